/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_envelopes.c: many blocks that one thread frees for another travel in an envelope. None is lost, whatever becomes
 * of the two threads and of memory meanwhile; and envelopes are used again. */

#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/types.h"
#include "support/os_fake.h"
#include "support/test.h"

enum {
    SIZE = 240,
    OUTBOX = ENVELOPE_BLOCKS, /* freed for one thread, they are sent; the next ones travel in an envelope */
    IN_ENVELOPE = 100,
    MADE = 3 * OUTBOX,
    LARGE = 768, /* in pools in every geometry */
    LARGE_COUNT = 8
};

/* Who makes blocks, and who frees some. Each waits for `may_end` when it has done so. */
struct pair {
    cairn_heap *heap;
    void *blocks[MADE];
    void *large[LARGE_COUNT];
    size_t large_count; /* of them, made after the others */
    size_t freed;
    pthread_t maker, freer;
    sem_t made, gone, maker_may_end, freer_may_end;
};

static void make_blocks(struct pair *pair)
{
    for (size_t i = 0; i < MADE; i++) {
        pair->blocks[i] = cairn_alloc(pair->heap, SIZE);
        require(pair->blocks[i] != NULL);
        pattern_fill(pair->blocks[i], SIZE, i);
    }
}

static void free_blocks(struct pair *pair, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        cairn_free(pair->heap, pair->blocks[i]);
    }
}

static void *make_and_wait(void *argument)
{
    struct pair *pair = argument;
    make_blocks(pair);
    for (size_t i = 0; i < pair->large_count; i++) {
        pair->large[i] = cairn_alloc(pair->heap, LARGE);
        require(pair->large[i] != NULL);
    }
    sem_post(&pair->made);
    sem_wait(&pair->maker_may_end);
    return NULL;
}

static void *free_and_wait(void *argument)
{
    struct pair *pair = argument;
    free_blocks(pair, 0, pair->freed);
    sem_post(&pair->gone);
    sem_wait(&pair->freer_may_end);
    return NULL;
}

static void pair_init(struct pair *pair)
{
    *pair = (struct pair){.heap = heap_of_preset("default", false), .freed = OUTBOX + IN_ENVELOPE};
    assert_int_equal(sem_init(&pair->made, 0, 0), 0);
    assert_int_equal(sem_init(&pair->gone, 0, 0), 0);
    assert_int_equal(sem_init(&pair->maker_may_end, 0, 0), 0);
    assert_int_equal(sem_init(&pair->freer_may_end, 0, 0), 0);
}

static void start_maker(struct pair *pair)
{
    start_thread(&pair->maker, make_and_wait, pair);
    sem_wait(&pair->made);
}

static void start_freer(struct pair *pair)
{
    start_thread(&pair->freer, free_and_wait, pair);
    sem_wait(&pair->gone);
}

static void end_maker(struct pair *pair)
{
    sem_post(&pair->maker_may_end);
    join_thread(pair->maker);
}

static void end_freer(struct pair *pair)
{
    sem_post(&pair->freer_may_end);
    join_thread(pair->freer);
}

static size_t live_now(struct pair *pair)
{
    cairn_trim(pair->heap);
    heap_is_sound(pair->heap);
    return stats_of(pair->heap)->live_blocks;
}

static void free_rest(struct pair *pair)
{
    free_blocks(pair, pair->freed, MADE);
    assert_int_equal(live_now(pair), 0);
    assert_int_equal(stats_of(pair->heap)->frees, stats_of(pair->heap)->requests);
    cairn_heap_destroy(pair->heap);
}

static void blocks_in_an_envelope_are_not_written(void **state)
{
    (void)state;
    only_with_pools();
    static struct pair pair;
    pair_init(&pair);
    make_blocks(&pair);
    start_freer(&pair);
    end_freer(&pair);
    for (size_t i = OUTBOX; i < pair.freed; i++) {
        assert_true(pattern_holds(pair.blocks[i], SIZE, SIZE, i));
    }
    assert_int_equal(live_now(&pair), MADE - pair.freed);
    assert_int_equal(stats_of(pair.heap)->remote_frees, pair.freed);
    free_rest(&pair);
}

/* Of two threads that end one after the other. */
static void nothing_is_lost_at_the_ends(void (*end_first)(struct pair *), void (*end_second)(struct pair *))
{
    static struct pair pair;
    pair_init(&pair);
    start_maker(&pair);
    start_freer(&pair);
    end_first(&pair);
    end_second(&pair);
    assert_int_equal(live_now(&pair), MADE - pair.freed);
    free_rest(&pair);
}

/* Its inbox is closed by the time the envelope is sent. */
static void an_envelope_for_an_ended_thread_is_emptied_by_who_sends_it(void **state)
{
    (void)state;
    only_with_pools();
    nothing_is_lost_at_the_ends(end_maker, end_freer);
}

/* The thread ends with an envelope in its inbox. */
static void an_envelope_that_nobody_opened_is_opened_at_the_end(void **state)
{
    (void)state;
    only_with_pools();
    nothing_is_lost_at_the_ends(end_freer, end_maker);
}

/* Their number does not grow with the number of journeys, once the thread that gets them has as many as it keeps. */
static void envelopes_are_used_again(void **state)
{
    (void)state;
    only_with_pools();
    enum { ROUNDS = 40 };
    static struct pair pair;
    pair_init(&pair);
    pair.freed = MADE;
    size_t after_some = 0;
    for (int round = 0; round < ROUNDS; round++) {
        make_blocks(&pair);
        start_freer(&pair);
        end_freer(&pair);
        assert_int_equal(live_now(&pair), 0);
        size_t metadata = stats_of(pair.heap)->metadata_bytes;
        after_some = round < ROUNDS / 2 ? metadata : after_some;
        assert_true(metadata <= after_some);
    }
    cairn_heap_destroy(pair.heap);
}

enum { MANY = 60000, SMALL = 16 };

struct many {
    cairn_heap *heap;
    void *blocks[MANY];
};

static void *free_many(void *argument)
{
    struct many *many = argument;
    for (size_t i = 0; i < MANY; i++) {
        cairn_free(many->heap, many->blocks[i]);
    }
    return NULL;
}

/* More are on their way at once than a chunk of metadata holds. */
static void no_block_is_lost_if_there_is_no_memory_for_envelopes(void **state)
{
    (void)state;
    only_with_pools();
    static struct many many;
    many.heap = heap_of_preset("default", false);
    for (size_t i = 0; i < MANY; i++) {
        many.blocks[i] = cairn_alloc(many.heap, SMALL);
        assert_non_null(many.blocks[i]);
    }
    pthread_t thread;
    os_fake_refuse_from(OS_FAKE_GROWTH, 0);
    start_thread(&thread, free_many, &many);
    join_thread(thread);
    assert_true(os_fake_rule_refused() > 0);
    os_fake_refuse_none();
    cairn_trim(many.heap);
    heap_is_sound(many.heap);
    assert_int_equal(stats_of(many.heap)->live_blocks, 0);
    assert_int_equal(stats_of(many.heap)->remote_frees, MANY);
    cairn_heap_destroy(many.heap);
}

/* ---- what an outbox holds ---- */

/* What lies in the inboxes of a heap's threads, as an outbox counts. */
static size_t on_their_way(const cairn_heap *heap)
{
    size_t bytes = 0;
    for (const struct owner *owner = heap->owners; owner; owner = owner->next) {
        bytes += atomic_load(&owner->inbox_bytes);
    }
    return bytes;
}

/* Frees the same number of blocks of each, by turns of so many. */
static void free_by_turns(struct pair *pairs, size_t from, size_t count, size_t turn)
{
    for (size_t i = from; i < from + count; i += turn) {
        free_blocks(&pairs[0], i, i + turn);
        free_blocks(&pairs[1], i, i + turn);
    }
}

/* Each time a block for another thread is freed, another chain of the outbox grows, or after some blocks of the same: the
 * outbox is sent with the block that is too many for it, and not before. */
static void all_chains_together_are_as_long_as_an_outbox_allows(void **state)
{
    (void)state;
    only_with_pools();
    enum { ROUNDS = 4, HALF = OUTBOX / 2, TOGETHER = 2 * HALF };
    const size_t turns[] = {1, 2, HALF / 4, HALF};
    static struct pair pairs[2];
    cairn_heap *heap = heap_of_preset("default", false);
    for (size_t k = 0; k < 2; k++) {
        pair_init(&pairs[k]);
        cairn_heap_destroy(pairs[k].heap);
        pairs[k].heap = heap; /* the same for both */
        start_maker(&pairs[k]);
    }
    size_t from = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t before = on_their_way(heap);
        free_by_turns(pairs, from, HALF, turns[round]);
        assert_int_equal(on_their_way(heap), before);
        from += HALF;
        free_blocks(&pairs[round % 2], from, from + 1);
        assert_int_equal(on_their_way(heap), before + (TOGETHER + 1) * (size_t)OUTBOX_WEIGHT);
        free_blocks(&pairs[!(round % 2)], from, from + 1);
        cairn_trim(heap); /* sends it */
        from++;
    }
    for (size_t k = 0; k < 2; k++) {
        free_blocks(&pairs[k], from, MADE);
        end_maker(&pairs[k]);
    }
    assert_int_equal(live_now(&pairs[0]), 0);
    assert_int_equal(stats_of(heap)->frees, stats_of(heap)->requests);
    cairn_heap_destroy(heap);
}

/* A block that counts more than a small one may join a chain that counts some ahead. */
static void large_blocks_between_small_ones_count_in_full(void **state)
{
    (void)state;
    only_with_pools();
    enum { SMALL_COUNT = (OUTBOX_BYTES - LARGE_COUNT * LARGE) / OUTBOX_WEIGHT };
    static struct pair pair;
    pair_init(&pair);
    pair.large_count = LARGE_COUNT;
    start_maker(&pair);
    free_blocks(&pair, 0, 1);
    for (size_t i = 0; i < LARGE_COUNT; i++) {
        cairn_free(pair.heap, pair.large[i]);
    }
    free_blocks(&pair, 1, SMALL_COUNT);
    assert_int_equal(on_their_way(pair.heap), 0);
    free_blocks(&pair, SMALL_COUNT, SMALL_COUNT + 1);
    assert_int_equal(on_their_way(pair.heap), OUTBOX_BYTES + OUTBOX_WEIGHT);
    free_blocks(&pair, SMALL_COUNT + 1, MADE);
    end_maker(&pair);
    assert_int_equal(live_now(&pair), 0);
    cairn_heap_destroy(pair.heap);
}

/* ThreadSanitizer's run-time does not follow a child of a process with threads. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_MAY_WORK false
#endif
#elif defined(__SANITIZE_THREAD__)
#define CHILD_MAY_WORK false
#endif
#ifndef CHILD_MAY_WORK
#define CHILD_MAY_WORK true
#endif

_Noreturn static void child(struct pair *pair)
{
    alarm(60);
    if (CHILD_MAY_WORK) {
        cairn_trim(pair->heap);
        require(cairn_heap_check(pair->heap, stderr) == 0);
        require(stats_of(pair->heap)->live_blocks == MADE - pair->freed);
        free_blocks(pair, pair->freed, MADE);
        cairn_trim(pair->heap);
        require(cairn_heap_check(pair->heap, stderr) == 0);
        require(stats_of(pair->heap)->live_blocks == 0);
    }
    _exit(0);
}

/* In the outbox of a thread that is not in the child. */
static void an_envelope_is_opened_in_the_child_of_a_fork(void **state)
{
    (void)state;
    only_with_pools();
    static struct pair pair;
    pair_init(&pair);
    make_blocks(&pair);
    start_freer(&pair);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(&pair);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_freer(&pair);
    assert_int_equal(live_now(&pair), MADE - pair.freed);
    free_rest(&pair);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_is_opened_in_the_child_of_a_fork),
        cmocka_unit_test(blocks_in_an_envelope_are_not_written),
        cmocka_unit_test(an_envelope_for_an_ended_thread_is_emptied_by_who_sends_it),
        cmocka_unit_test(an_envelope_that_nobody_opened_is_opened_at_the_end),
        cmocka_unit_test(envelopes_are_used_again),
        cmocka_unit_test(all_chains_together_are_as_long_as_an_outbox_allows),
        cmocka_unit_test(large_blocks_between_small_ones_count_in_full),
        cmocka_unit_test(no_block_is_lost_if_there_is_no_memory_for_envelopes),
    };
    return cmocka_run_group_tests_name("envelopes", tests, NULL, NULL);
}
