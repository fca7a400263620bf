/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_gil.c: the GIL: one thread at a time, in the order they came, hand-over on request, around blocking work, and
 * over a fork. */

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cairn_object.h"
#include "support/test.h"

struct link {
    cairn_object object;
    cairn_object *next;
};

static const cairn_type link_type = {
    .struct_size = sizeof(cairn_type),
    .name = "link",
    .size = sizeof(struct link),
    .reference_offset = offsetof(struct link, next),
    .reference_count = 1,
};

static cairn_runtime *start(unsigned interval_us)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.switch_interval_us = interval_us;
    options.thresholds[0] = 50;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    return runtime;
}

static void end(cairn_runtime *runtime)
{
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &result), 0);
    assert_int_equal(result.kept_objects, 0);
}

/* ---- threads that share objects ---- */

struct shared {
    cairn_runtime *runtime;
    size_t rounds;
    uint64_t inside; /* changed under the GIL only */
    atomic_uint running;
    cairn_object *passed; /* made by one thread, dropped by another */
};

static void *work(void *arg)
{
    struct shared *shared = arg;
    atomic_fetch_add(&shared->running, 1);
    cairn_gil_acquire(shared->runtime);
    for (size_t i = 0; i < shared->rounds; i++) {
        uint64_t before = ++shared->inside;
        cairn_object *object = cairn_object_new(shared->runtime, &link_type, 0);
        require(object != NULL);
        cairn_set(&((struct link *)(void *)object)->next, i % 3 ? object : shared->passed);
        cairn_set(&shared->passed, i % 7 ? object : NULL);
        cairn_decref(object);
        require(shared->inside == before);
        cairn_runtime_poll(shared->runtime);
        if (i % 100 == 0) {
            cairn_gil_release(shared->runtime);
            cairn_gil_acquire(shared->runtime);
        }
    }
    cairn_gil_release(shared->runtime);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    cairn_runtime *runtime = start(100);
    struct shared shared = {.runtime = runtime, .rounds = test_scaled(20000)};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        start_thread(&threads[i], work, &shared);
    }
    while (atomic_load(&shared.running) != THREADS) {
        sched_yield();
    }
    usleep(20000); /* until they wait */
    cairn_gil_release(runtime);
    assert_false(cairn_gil_is_held(runtime));
    for (size_t i = 0; i < THREADS; i++) {
        join_thread(threads[i]);
    }
    cairn_gil_acquire(runtime);
    assert_true(cairn_gil_is_held(runtime));
    assert_int_equal(shared.inside, THREADS * shared.rounds);
    cairn_clear(&shared.passed);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_true(stats.gil_switches >= THREADS - 1);
    end(runtime);
}

/* ---- order, and hand-over on request ---- */

struct queue {
    cairn_runtime *runtime;
    atomic_uint arrived;
    unsigned next;
    unsigned order[4];
};

struct member {
    struct queue *queue;
    unsigned number;
};

static void *arrive(void *arg)
{
    const struct member *member = arg;
    struct queue *queue = member->queue;
    while (atomic_load(&queue->arrived) != member->number) {
        sched_yield();
    }
    atomic_fetch_add(&queue->arrived, 1); /* the next one arrives while this one is on its way into the queue */
    cairn_gil_acquire(queue->runtime);
    queue->order[queue->next++] = member->number;
    cairn_gil_release(queue->runtime);
    return NULL;
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    cairn_runtime *runtime = start(1000000);
    struct queue queue = {.runtime = runtime};
    struct member members[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        members[i] = (struct member){&queue, i};
        start_thread(&threads[i], arrive, &members[i]);
        while (atomic_load(&queue.arrived) != i + 1) {
            sched_yield();
        }
        usleep(20000); /* until it waits */
    }
    assert_int_equal(queue.next, 0);
    cairn_gil_release(runtime);
    cairn_gil_acquire(runtime); /* queues behind all of them */
    assert_int_equal(queue.next, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(queue.order[i], i);
        join_thread(threads[i]);
    }
    end(runtime);
}

static void *take_once(void *arg)
{
    struct shared *shared = arg;
    cairn_gil_acquire(shared->runtime);
    shared->inside++;
    cairn_gil_release(shared->runtime);
    return NULL;
}

static void test_a_waiter_asks(void **state)
{
    (void)state;
    cairn_runtime *runtime = start(1000);
    assert_int_equal(cairn_gil_switch_interval(runtime), 1000);
    cairn_gil_set_switch_interval(runtime, 0);
    assert_int_equal(cairn_gil_switch_interval(runtime), 1);
    struct shared shared = {.runtime = runtime};
    pthread_t thread;
    start_thread(&thread, take_once, &shared);
    while (!*(volatile uint64_t *)&shared.inside) {
        cairn_runtime_poll(runtime); /* never gives the GIL up of its own accord */
    }
    join_thread(thread);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.gil_forced, 1);
    end(runtime);
}

static void test_optional(void **state)
{
    (void)state;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.gil_optional = true;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    cairn_gil_release(runtime);
    cairn_gil_release(runtime);
    assert_true(cairn_gil_is_held(runtime));
    cairn_decref(cairn_object_new(runtime, &link_type, 0));
    end(runtime);
}

/* ---- fork ---- */

static unsigned faults;
static cairn_object_fault_kind last_fault;

static void note_fault(const cairn_object_fault *fault)
{
    faults++;
    last_fault = fault->kind;
}

static void *hold(void *arg)
{
    struct shared *shared = arg;
    cairn_gil_acquire(shared->runtime);
    atomic_fetch_add(&shared->running, 1);
    while (atomic_load(&shared->running) == 1) {
        sched_yield();
    }
    cairn_gil_release(shared->runtime);
    return NULL;
}

/* In the child: a runtime that was ours works, one that nobody held, too, and one in use by another thread is lost. */
static bool child(cairn_runtime *ours, cairn_runtime *free_one, cairn_runtime *theirs)
{
    (void)cairn_set_object_fault_handler(note_fault);
    for (int i = 0; i < 1000; i++) {
        cairn_object *object = cairn_object_new(ours, &link_type, 0);
        cairn_set(&((struct link *)(void *)object)->next, object);
        cairn_decref(object);
    }
    bool good = cairn_runtime_check(ours, stderr) == 0 && cairn_collect(ours, 2) > 0;
    cairn_gil_release(ours);
    cairn_gil_acquire(ours);
    cairn_runtime_end result;
    good = good && cairn_runtime_destroy_checked(ours, stderr, &result) == 0;
    cairn_gil_acquire(free_one);
    cairn_decref(cairn_object_new(free_one, &link_type, 0));
    good = good && faults == 0 && cairn_runtime_check(free_one, stderr) == 0;
    cairn_gil_acquire(theirs);
    return good && faults == 1 && last_fault == CAIRN_FAULT_GIL && !cairn_gil_is_held(theirs);
}

static void test_fork(void **state)
{
    (void)state;
    cairn_runtime *theirs = start(1000);
    cairn_runtime *free_one = start(1000);
    cairn_runtime *ours = start(1000);
    cairn_object *object = cairn_object_new(ours, &link_type, 0);
    cairn_gil_release(free_one);
    cairn_gil_release(theirs);
    struct shared shared = {.runtime = theirs};
    pthread_t thread;
    start_thread(&thread, hold, &shared);
    while (atomic_load(&shared.running) != 1) {
        sched_yield();
    }
    cairn_decref(object);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child(ours, free_one, theirs) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_fetch_add(&shared.running, 1);
    join_thread(thread);
    cairn_gil_acquire(theirs);
    cairn_gil_acquire(free_one);
    end(theirs);
    end(free_one);
    end(ours);
}

/* ---- faults ---- */

static void test_faults(void **state)
{
    (void)state;
    cairn_runtime *runtime = start(1000);
    faults = 0;
    (void)cairn_set_object_fault_handler(note_fault);
    cairn_gil_acquire(runtime); /* twice */
    assert_int_equal(faults, 1);
    cairn_gil_release(runtime);
    cairn_gil_release(runtime); /* not held */
    assert_int_equal(faults, 2);
    assert_int_equal(last_fault, CAIRN_FAULT_GIL);
    cairn_gil_acquire(runtime);
    cairn_object *object = cairn_object_new(runtime, &link_type, 0);
    cairn_gil_release(runtime);
    assert_false(cairn_object_check(object, "incref"));
    assert_int_equal(faults, 3);
    cairn_gil_acquire(runtime);
    assert_true(cairn_object_check(object, "incref"));
    (void)cairn_set_object_fault_handler(NULL);
    cairn_decref(object);
    end(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_a_waiter_asks), cmocka_unit_test(test_optional),
        cmocka_unit_test(test_fork),          cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
