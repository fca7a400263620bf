/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_fork.c: a process forks while its threads are inside the heap; the child, alone, must be able to use every heap
 * it inherited. The child reports through its exit code; require() aborts it, an alarm ends a deadlock.
 *
 * Two limits of the sanitizers' own run-times, which do not follow a child of a process with threads: under
 * ThreadSanitizer such a child only exits; under AddressSanitizer it starts no thread (its allocator's locks may have
 * been held by a thread that is not in the child). */

#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { CHILD_MAY_WORK = false, CHILD_MAY_START_THREADS = false };
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { CHILD_MAY_WORK = true, CHILD_MAY_START_THREADS = false };
#else
enum { CHILD_MAY_WORK = true, CHILD_MAY_START_THREADS = true };
#endif

enum { THREADS = 8, LIVE = 400, CHILD_SECONDS = 60 };

struct scene {
    cairn_heap *heap;
    cairn_heap *other;
    _Atomic(bool) stop;
    pthread_mutex_t lock;
    void *pass[64]; /* blocks handed from thread to thread, so that remote frees are under way */
};

static void *work(void *argument)
{
    struct scene *scene = argument;
    uint64_t random = (uint64_t)pthread_self();
    void *blocks[LIVE] = {NULL};
    while (!scene->stop) {
        size_t i = random_below(&random, LIVE);
        cairn_heap *heap = i % 4 == 0 ? scene->other : scene->heap;
        cairn_free(heap, blocks[i]);
        size_t size = random_chance(&random, 98) ? random_below(&random, 2000) : random_below(&random, MIB(3));
        blocks[i] = cairn_alloc(heap, size);
        require(blocks[i] != NULL);
        if (i % 4 == 1) {
            pthread_mutex_lock(&scene->lock);
            size_t slot = random_below(&random, COUNT_OF(scene->pass));
            void *swap = scene->pass[slot];
            scene->pass[slot] = blocks[i];
            blocks[i] = swap;
            pthread_mutex_unlock(&scene->lock);
        }
    }
    for (size_t i = 0; i < LIVE; i++) {
        cairn_free(i % 4 == 0 ? scene->other : scene->heap, blocks[i]);
    }
    return NULL;
}

static void *ask_in_child(void *argument)
{
    cairn_heap *heap = argument;
    for (size_t size = 0; size < 3000; size += 7) {
        void *block = cairn_alloc(heap, size);
        require(block != NULL);
        cairn_free(heap, block);
    }
    return NULL;
}

/* Every kind of call, on an inherited heap. `passed` are live blocks of threads that do not exist here. */
static void use_inherited(cairn_heap *heap, void **passed, size_t count)
{
    require(cairn_heap_check(heap, stderr) == 0);
    for (size_t i = 0; i < count; i++) {
        require(passed[i] == NULL || cairn_heap_of(passed[i]) == heap);
        cairn_free(heap, passed[i]);
    }
    void *blocks[500];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            size_t size = i % 50 == 0 ? KIB(100) * (i / 50 + 1) : i * 7;
            blocks[i] = cairn_alloc(heap, size);
            require(blocks[i] != NULL);
            pattern_fill(blocks[i], cairn_usable_size(blocks[i]), i);
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            size_t usable = cairn_usable_size(blocks[i]);
            require(pattern_holds(blocks[i], usable, usable, i));
            cairn_free(heap, blocks[i]);
        }
    }
    if (CHILD_MAY_START_THREADS) {
        pthread_t thread;
        start_thread(&thread, ask_in_child, heap);
        join_thread(thread);
    }
    ask_in_child(heap);
    cairn_trim(heap);
    require(cairn_heap_check(heap, stderr) == 0);
    require(stats_of(heap)->owners <= 1);
}

_Noreturn static void child(struct scene *scene)
{
    alarm(CHILD_SECONDS); /* a deadlock ends in SIGALRM */
    if (CHILD_MAY_WORK) {
        /* The pass table is stable: the parent forked under its lock. */
        use_inherited(scene->heap, scene->pass, COUNT_OF(scene->pass));
        use_inherited(scene->other, NULL, 0);
        use_inherited(cairn_heap_default(), NULL, 0);
        cairn_heap *own = cairn_heap_create(NULL);
        require(own != NULL);
        use_inherited(own, NULL, 0);
        cairn_heap_destroy(own);
        cairn_heap_destroy(scene->other);
    }
    _exit(0);
}

static void expect_child_ends_well(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status)) {
        fail_msg("the child ended by signal %d", WTERMSIG(status));
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void fork_from(struct scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    pid_t pid = fork();
    if (pid == 0) {
        child(scene);
    }
    pthread_mutex_unlock(&scene->lock);
    assert_true(pid > 0);
    expect_child_ends_well(pid);
}

static void fork_with_eight_threads(const char *preset)
{
    struct scene scene = {.heap = heap_of_preset(preset, false), .other = cairn_heap_create(NULL)};
    pthread_mutex_init(&scene.lock, NULL);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        start_thread(&threads[i], work, &scene);
    }
    for (size_t i = 0; i < test_scaled(15); i++) {
        usleep(500 + (useconds_t)i * 37);
        fork_from(&scene);
    }
    scene.stop = true;
    for (size_t i = 0; i < THREADS; i++) {
        join_thread(threads[i]);
    }
    for (size_t i = 0; i < COUNT_OF(scene.pass); i++) {
        cairn_free(scene.heap, scene.pass[i]);
    }
    cairn_trim(scene.heap);
    heap_is_sound(scene.heap);
    assert_int_equal(stats_of(scene.heap)->live_blocks, 0);
    assert_int_equal(stats_of(scene.heap)->held_bytes, 0);
    cairn_heap_destroy(scene.heap);
    cairn_heap_destroy(scene.other);
    pthread_mutex_destroy(&scene.lock);
}

static void a_child_can_use_every_heap_of_a_process_with_eight_threads_default(void **state)
{
    (void)state;
    fork_with_eight_threads("default");
}

static void a_child_can_use_every_heap_of_a_process_with_eight_threads_classic(void **state)
{
    (void)state;
    fork_with_eight_threads("classic");
}

static void a_child_of_a_single_thread_keeps_its_blocks_and_its_counts(void **state)
{
    (void)state;
    const bool kinds[] = {false, true};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        cairn_heap *heap = heap_of_preset("cpython", kinds[k]);
        void *blocks[300];
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = cairn_alloc(heap, i * 30);
            pattern_fill(blocks[i], i * 30, i);
        }
        pid_t pid = fork();
        if (pid == 0) {
            require(stats_of(heap)->live_blocks == COUNT_OF(blocks));
            for (size_t i = 0; i < COUNT_OF(blocks); i++) {
                require(pattern_holds(blocks[i], i * 30, i * 30, i));
                cairn_free(heap, blocks[i]);
            }
            cairn_trim(heap);
            require(stats_of(heap)->held_bytes == 0);
            require(cairn_heap_check(heap, stderr) == 0);
            _exit(0);
        }
        expect_child_ends_well(pid);
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            assert_true(pattern_holds(blocks[i], i * 30, i * 30, i));
        }
        assert_int_equal(stats_of(heap)->live_blocks, COUNT_OF(blocks));
        cairn_heap_destroy(heap);
    }
}

static void grandchildren_work_too(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    void *block = cairn_alloc(heap, 100);
    pid_t pid = fork();
    if (pid == 0) {
        void *of_child = cairn_alloc(heap, 100);
        require(of_child != NULL);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            cairn_free(heap, block);
            cairn_free(heap, of_child);
            use_inherited(heap, NULL, 0);
            require(stats_of(heap)->held_bytes == 0);
            _exit(0);
        }
        int status = 0;
        require(waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        require(cairn_heap_check(heap, stderr) == 0);
        _exit(0);
    }
    expect_child_ends_well(pid);
    cairn_free(heap, block);
    cairn_heap_destroy(heap);
}

/* ---- a child of a process in which one thread keeps blocks of another for itself ---- */

enum { MADE = 6000, FREED = 4000, ASKED = 700, SMALL = 64 };

struct keeping {
    cairn_heap *heap;
    void *made[MADE];
    void *asked[ASKED];
    sem_t done, may_end;
};

static void *make_and_wait(void *argument)
{
    struct keeping *keeping = argument;
    for (size_t i = 0; i < MADE; i++) {
        keeping->made[i] = cairn_alloc(keeping->heap, SMALL);
        require(keeping->made[i] != NULL);
    }
    sem_post(&keeping->done);
    sem_wait(&keeping->may_end);
    return NULL;
}

static void *keep_and_wait(void *argument)
{
    struct keeping *keeping = argument;
    for (size_t i = 0; i < FREED; i++) {
        if (i < ASKED) {
            keeping->asked[i] = cairn_alloc(keeping->heap, SMALL);
            require(keeping->asked[i] != NULL);
        }
        cairn_free(keeping->heap, keeping->made[i]);
    }
    sem_post(&keeping->done);
    sem_wait(&keeping->may_end);
    return NULL;
}

_Noreturn static void child_of_keeping(struct keeping *keeping)
{
    alarm(CHILD_SECONDS);
    if (CHILD_MAY_WORK) {
        for (size_t i = FREED; i < MADE; i++) {
            cairn_free(keeping->heap, keeping->made[i]);
        }
        for (size_t i = 0; i < ASKED; i++) {
            cairn_free(keeping->heap, keeping->asked[i]);
        }
        cairn_trim(keeping->heap);
        require(cairn_heap_check(keeping->heap, stderr) == 0);
        require(stats_of(keeping->heap)->live_blocks == 0);
    }
    _exit(0);
}

static void blocks_that_a_thread_keeps_come_home_in_the_child(void **state)
{
    (void)state;
    static struct keeping keeping;
    pthread_t maker;
    pthread_t keeper;
    keeping.heap = cairn_heap_create(NULL);
    assert_non_null(keeping.heap);
    assert_int_equal(sem_init(&keeping.done, 0, 0), 0);
    assert_int_equal(sem_init(&keeping.may_end, 0, 0), 0);
    start_thread(&maker, make_and_wait, &keeping);
    sem_wait(&keeping.done);
    start_thread(&keeper, keep_and_wait, &keeping);
    sem_wait(&keeping.done);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_of_keeping(&keeping);
    }
    expect_child_ends_well(pid);
    sem_post(&keeping.may_end);
    sem_post(&keeping.may_end);
    join_thread(maker);
    join_thread(keeper);
    cairn_heap_destroy(keeping.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_a_thread_keeps_come_home_in_the_child),
        cmocka_unit_test(a_child_of_a_single_thread_keeps_its_blocks_and_its_counts),
        cmocka_unit_test(grandchildren_work_too),
        cmocka_unit_test(a_child_can_use_every_heap_of_a_process_with_eight_threads_default),
        cmocka_unit_test(a_child_can_use_every_heap_of_a_process_with_eight_threads_classic),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
