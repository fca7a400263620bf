/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_gil.c: the GIL: one thread at a time, in the order they came, hand-over on request, around blocking work, and
 * over a fork. */

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cairn_kinds.h"
#include "support/test.h"

struct link {
    cairn_object object;
    cairn_object *next;
    cairn_weak *weak_list;
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

/* ---- threads that share nothing ---- */

/* A name from an int, interned, and a dict under it that refers to itself. */
static void store(cairn_runtime *runtime, cairn_object *names, size_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "name %zu", number);
    cairn_object *name = cairn_str_intern(runtime, text, SIZE_MAX);
    cairn_object *again = cairn_str_intern(runtime, text, SIZE_MAX);
    require(name != NULL && name == again && cairn_object_runtime(name) == runtime);
    cairn_object *dict = cairn_dict_new(runtime);
    require(dict != NULL && cairn_dict_set(dict, name, dict) == 0);
    require(cairn_dict_set(names, name, dict) == 0);
    cairn_decref(dict);
    cairn_decref(name);
    cairn_decref(again);
}

static void *live_alone(void *arg)
{
    enum { NAMES = 200 };
    atomic_uint *running = arg;
    atomic_fetch_add(running, 1);
    while (atomic_load(running) < 2) {
        sched_yield();
    }
    cairn_runtime *runtime = start(1000);
    cairn_object *names = cairn_dict_new(runtime);
    size_t rounds = NAMES + test_scaled(20000);
    for (size_t i = 0; i < rounds; i++) {
        store(runtime, names, i % NAMES);
        if (i % 1000 == 0) {
            require(cairn_collect(runtime, 2) >= 0);
        }
        cairn_runtime_poll(runtime);
    }
    require(cairn_dict_size(names) == NAMES && cairn_str_interned_count(runtime) == NAMES);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    require(stats.gil_switches == 0);
    cairn_decref(names);
    require(cairn_collect(runtime, 2) > 0 && cairn_str_interned_count(runtime) == 0);
    require(cairn_runtime_check(runtime, stderr) == 0);
    cairn_runtime_end result;
    (void)cairn_runtime_destroy_checked(runtime, stderr,
                                        &result); /* what went back is not exact beside other threads */
    require(result.kept_objects == 0 && result.kept_blocks == 0);
    require(result.pools > 0 && result.arenas > 0);
    return NULL;
}

static void test_two_runtimes_at_once(void **state)
{
    (void)state;
    atomic_uint running = 0;
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        start_thread(&threads[i], live_alone, &running);
    }
    for (size_t i = 0; i < 2; i++) {
        join_thread(threads[i]);
    }
}

/* ---- who runs finalizers and callbacks ---- */

static pthread_t finalizer_ran_on, callback_ran_on;
static unsigned finalizers, callbacks;

static void note_finalizer(cairn_object *self)
{
    (void)self;
    finalizer_ran_on = pthread_self();
    finalizers++;
}

static void note_callback(cairn_weak *weak, cairn_object *context)
{
    require(cairn_weak_is_dead(weak) && context == NULL);
    callback_ran_on = pthread_self();
    callbacks++;
}

static const cairn_type noted_type = {
    .struct_size = sizeof(cairn_type),
    .name = "noted link",
    .size = sizeof(struct link),
    .reference_offset = offsetof(struct link, next),
    .reference_count = 1,
    .weak_offset = offsetof(struct link, weak_list),
    .finalize = note_finalizer,
};

struct left {
    cairn_runtime *runtime;
    cairn_object *object;
    bool by_collection;
};

static void *let_die(void *arg)
{
    struct left *left = arg;
    cairn_gil_acquire(left->runtime);
    if (left->by_collection) {
        cairn_set(&((struct link *)(void *)left->object)->next, left->object);
    }
    cairn_clear(&left->object);
    if (left->by_collection) {
        require(callbacks == 0 && cairn_collect(left->runtime, 2) == 1);
    }
    cairn_gil_release(left->runtime);
    return NULL;
}

/* By the thread in which the object dies, not by the one that made it. */
static void test_code_runs_where_the_object_dies(void **state)
{
    (void)state;
    for (unsigned by_collection = 0; by_collection < 2; by_collection++) {
        cairn_runtime *runtime = start(1000);
        finalizers = callbacks = 0;
        struct left left = {runtime, cairn_object_new(runtime, &noted_type, 0), by_collection};
        cairn_weak *weak = cairn_weak_new(left.object, note_callback, NULL);
        assert_non_null(weak);
        cairn_gil_release(runtime);
        pthread_t thread;
        start_thread(&thread, let_die, &left);
        join_thread(thread);
        cairn_gil_acquire(runtime);
        assert_int_equal(finalizers, 1);
        assert_int_equal(callbacks, 1);
        assert_true(pthread_equal(finalizer_ran_on, thread));
        assert_true(pthread_equal(callback_ran_on, thread));
        cairn_decref(&weak->object);
        end(runtime);
    }
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

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *take_and_note(void *arg)
{
    struct shared *shared = arg;
    cairn_gil_acquire(shared->runtime);
    shared->inside = now_ms();
    cairn_gil_release(shared->runtime);
    return NULL;
}

/* A holder that polls keeps the GIL for the whole switch interval, however slow the machine; then it gives it up. */
static void test_a_waiter_waits_for_the_interval(void **state)
{
    (void)state;
    enum { INTERVAL_MS = 200 };
    cairn_runtime *runtime = start(INTERVAL_MS * 1000);
    struct shared shared = {.runtime = runtime};
    pthread_t thread;
    uint64_t before = now_ms(); /* the waiter comes later */
    start_thread(&thread, take_and_note, &shared);
    while (!*(volatile uint64_t *)&shared.inside) {
        cairn_runtime_poll(runtime);
    }
    join_thread(thread);
    assert_true(shared.inside >= before + INTERVAL_MS);
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
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_two_runtimes_at_once),
        cmocka_unit_test(test_code_runs_where_the_object_dies),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_a_waiter_asks),
        cmocka_unit_test(test_a_waiter_waits_for_the_interval),
        cmocka_unit_test(test_optional),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
