/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_owned.c: all pools of an owner are found, each once: in a single heap, through the records of its arenas, and in a
 * shared one, where they are a list, also after they went to another owner. */

#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/arena.h"
#include "heap/owned.h"
#include "heap/owner.h"
#include "heap/thread.h"
#include "support/test.h"

enum { SIZE = 512, COUNT = 4000, CHILD_SECONDS = 60 };

static cairn_heap *heap_of(bool single)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("classic", &geometry);
    options.single = single;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    return heap;
}

/* Pools that the owner has, as the arenas' records say. */
static size_t pools_of(const struct owner *owner)
{
    size_t count = 0;
    for (const struct arena *arena = owner->heap->arenas; arena; arena = arena->all_next) {
        for (unsigned slot = 0; slot < arena->space->slot_count; slot++) {
            count += pool_owner(&arena->pools[slot]) == owner;
        }
    }
    return count;
}

static int by_address(const void *a, const void *b)
{
    const struct pool *const *first = a;
    const struct pool *const *second = b;
    return (*first > *second) - (*first < *second);
}

/* Walks over the owner's pools. Returns how many there are. */
static size_t expect_each_once(const struct owner *owner)
{
    static const struct pool *found[COUNT];
    size_t count = 0;
    for (const struct pool *pool = owned_first(owner); pool; pool = owned_next(owner, pool)) {
        require(count < COUNT);
        require(pool_owner(pool) == owner);
        found[count++] = pool;
    }
    qsort(found, count, sizeof found[0], by_address);
    for (size_t i = 1; i < count; i++) {
        require(found[i - 1] != found[i]);
    }
    require(count == pools_of(owner));
    return count;
}

static void fill(cairn_heap *heap, void **blocks)
{
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = cairn_alloc(heap, SIZE);
        require(blocks[i] != NULL);
    }
}

static void drop(cairn_heap *heap, void **blocks, size_t from, size_t step)
{
    for (size_t i = from; i < COUNT; i += step) {
        cairn_free(heap, blocks[i]);
        blocks[i] = NULL;
    }
}

/* ---- single heaps ---- */

static void pools_of_a_single_heap_are_found_in_its_arenas(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of(true);
    static void *blocks[COUNT];
    assert_int_equal(expect_each_once(&heap->base), 0);
    fill(heap, blocks);
    size_t in_pool = KIB(4) / SIZE;
    assert_int_equal(expect_each_once(&heap->base), COUNT / in_pool);
    for (size_t i = 0; i < COUNT; i++) {
        if (i / in_pool % 3 != 0) {
            cairn_free(heap, blocks[i]); /* two whole pools of three */
            blocks[i] = NULL;
        }
    }
    assert_int_equal(expect_each_once(&heap->base), (COUNT / in_pool + 2) / 3);
    heap_is_sound(heap);
    drop(heap, blocks, 0, 1);
    assert_int_equal(expect_each_once(&heap->base), 0);
    cairn_heap_destroy(heap);
}

static void each_of_two_owners_finds_its_own(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of(true);
    struct owner *other = owner_add(heap);
    assert_non_null(other);
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = owner_alloc(i % 2 ? other : &heap->base, SIZE, true);
        assert_non_null(blocks[i]);
    }
    size_t pools = expect_each_once(&heap->base);
    assert_true(pools > SLOTS / 2); /* of several arenas */
    assert_int_equal(expect_each_once(other), pools);
    heap_is_sound(heap);
    for (size_t i = 0; i < COUNT; i++) {
        struct pool *pool = pagemap_get(blocks[i]);
        owner_free_in(pool_owner(pool), pool, blocks[i]);
    }
    assert_int_equal(expect_each_once(&heap->base) + expect_each_once(other), 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* What its other owner keeps empty stays in the child as it is: no thread is missing there. */
static void a_fork_leaves_the_pools_of_a_single_heap_alone(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("default", &geometry);
    options.single = true;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    struct owner *other = owner_add(heap);
    assert_non_null(other);
    cairn_free(heap, cairn_alloc(heap, SIZE)); /* the pool stays, empty */
    size_t pools = expect_each_once(&heap->base);
    assert_int_equal(pools, 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(CHILD_SECONDS); /* a deadlock ends in SIGALRM */
        require(expect_each_once(&heap->base) == pools);
        require(cairn_alloc(heap, SIZE) != NULL);
        require(cairn_heap_check(heap, stderr) == 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cairn_heap_destroy(heap);
}

/* ---- shared heaps ---- */

struct relay {
    cairn_heap *heap;
    void *blocks[COUNT];
    sem_t made, may_end;
};

static void *make_and_wait(void *argument)
{
    struct relay *relay = argument;
    fill(relay->heap, relay->blocks);
    drop(relay->heap, relay->blocks, 0, 2); /* so that pools have room */
    require(expect_each_once(thread_owner_if_any(relay->heap)) == COUNT * SIZE / KIB(4));
    sem_post(&relay->made);
    sem_wait(&relay->may_end);
    return NULL;
}

static struct relay *start_relay(pthread_t *thread)
{
    static struct relay relay;
    relay.heap = heap_of(false);
    assert_int_equal(sem_init(&relay.made, 0, 0), 0);
    assert_int_equal(sem_init(&relay.may_end, 0, 0), 0);
    start_thread(thread, make_and_wait, &relay);
    sem_wait(&relay.made);
    return &relay;
}

static void end_relay(struct relay *relay, pthread_t thread)
{
    sem_post(&relay->may_end);
    join_thread(thread);
    sem_destroy(&relay->made);
    sem_destroy(&relay->may_end);
}

static void pools_go_to_the_common_owner_and_on_to_who_adopts_them(void **state)
{
    (void)state;
    pthread_t thread;
    struct relay *relay = start_relay(&thread);
    cairn_heap *heap = relay->heap;
    enum { POOLS = COUNT * SIZE / KIB(4), ADOPTED = 10 };
    assert_int_equal(expect_each_once(&heap->base), 0);
    end_relay(relay, thread);
    assert_int_equal(expect_each_once(&heap->base), POOLS);
    heap_is_sound(heap);
    void *mine[ADOPTED * (KIB(4) / SIZE) / 2];
    for (size_t i = 0; i < COUNT_OF(mine); i++) {
        mine[i] = cairn_alloc(heap, SIZE); /* four blocks of each pool are free */
        assert_non_null(mine[i]);
    }
    assert_int_equal(expect_each_once(thread_owner_if_any(heap)), ADOPTED);
    assert_int_equal(expect_each_once(&heap->base), POOLS - ADOPTED);
    heap_is_sound(heap);
    drop(heap, relay->blocks, 1, 2);
    for (size_t i = 0; i < COUNT_OF(mine); i++) {
        cairn_free(heap, mine[i]);
    }
    cairn_trim(heap);
    assert_int_equal(expect_each_once(&heap->base) + expect_each_once(thread_owner_if_any(heap)), 0);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void the_child_of_a_fork_finds_the_pools_of_threads_that_it_lacks(void **state)
{
    (void)state;
    pthread_t thread;
    struct relay *relay = start_relay(&thread);
    cairn_heap *heap = relay->heap;
    size_t pools = expect_each_once(heap->owners);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        require(expect_each_once(&heap->base) == pools);
        require(pool_is_unsettled(owned_first(&heap->base)));
        require(pool_kind_of(owned_first(&heap->base)) == POOL_CLASS);
        require(cairn_heap_check(heap, stderr) == 0);
        void *block = cairn_alloc(heap, SIZE);
        require(block != NULL && !pool_is_unsettled(pagemap_get(block)));
        cairn_free(heap, block);
        drop(heap, relay->blocks, 1, 2);
        cairn_trim(heap);
        require(stats_of(heap)->live_blocks == 0);
        require(cairn_heap_check(heap, stderr) == 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_relay(relay, thread);
    cairn_heap_destroy(heap);
}

/* ---- records ---- */

/* The count of blocks in use has 16 bits, of which one is for the count below zero that a misuse leaves. */
static void the_largest_pools_hold_no_more_blocks_than_a_record_counts(void **state)
{
    (void)state;
    cairn_geometry geometry = {
        .arena_size = MIB(4), .pool_size = KIB(512), .alignment = 8, .small_limit = 512, .medium_limit = KIB(1)};
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.geometry = &geometry;
    options.single = true;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    enum { MANY = 40000 };
    void **blocks = malloc(MANY * sizeof *blocks);
    assert_non_null(blocks);
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = cairn_alloc(heap, 8);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(stats_of(heap)->pools_full, 1);
    assert_int_equal(stats_of(heap)->live_blocks, MANY);
    heap_is_sound(heap);
    for (size_t i = 0; i < MANY; i++) {
        cairn_free(heap, blocks[i]);
    }
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_of_a_single_heap_are_found_in_its_arenas),
        cmocka_unit_test(each_of_two_owners_finds_its_own),
        cmocka_unit_test(a_fork_leaves_the_pools_of_a_single_heap_alone),
        cmocka_unit_test(pools_go_to_the_common_owner_and_on_to_who_adopts_them),
        cmocka_unit_test(the_child_of_a_fork_finds_the_pools_of_threads_that_it_lacks),
        cmocka_unit_test(the_largest_pools_hold_no_more_blocks_than_a_record_counts),
    };
    return cmocka_run_group_tests_name("owned", tests, NULL, NULL);
}
