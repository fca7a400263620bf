/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_purge.c: free pools give their pages back by themselves: at once with a delay of 0, otherwise when the delay
 * is over (once to twice, as purging goes in ticks) and the heap next takes or returns pools. Counted in pages. */

#include <stdlib.h>
#include <time.h>

#include "heap/arena.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { POOL = 16 * 1024, BLOCK = 512, IN_POOL = POOL / BLOCK };

static cairn_heap *heap_with_delay(unsigned delay_ms)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    geometry.first_block = 0;
    options.single = true;
    options.purge_delay_ms = delay_ms;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    os_fake_reset();
    return heap;
}

static void **fill_pools(cairn_heap *heap, size_t pools)
{
    void **blocks = calloc(pools * IN_POOL, sizeof blocks[0]);
    assert_non_null(blocks);
    for (size_t i = 0; i < pools * IN_POOL; i++) {
        blocks[i] = cairn_alloc(heap, BLOCK);
        assert_non_null(blocks[i]);
        bytes_fill(blocks[i], 1, BLOCK);
    }
    return blocks;
}

static void free_pool(cairn_heap *heap, void **blocks, size_t pool)
{
    for (size_t i = 0; i < IN_POOL; i++) {
        cairn_free(heap, blocks[pool * IN_POOL + i]);
    }
}

static void with_delay_0_each_free_pool_is_purged_at_once(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(0);
    void **blocks = fill_pools(heap, 12);
    for (size_t pool = 1; pool < 12; pool++) {
        assert_int_equal(stats_of(heap)->resident_bytes, (13 - pool) * POOL);
        free_pool(heap, blocks, pool);
        assert_int_equal(stats_of(heap)->resident_bytes, (12 - pool) * POOL);
        assert_int_equal(stats_of(heap)->purged_bytes, pool * POOL);
    }
    assert_int_equal(os_fake_calls().purged_bytes, 11 * POOL);
    assert_int_equal(stats_of(heap)->arenas, 1);
    assert_int_equal(stats_of(heap)->pools_free, 0);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* A block cut from a hole of a fresh segment: it begins 16 bytes behind a page's start, so touches one page more. */
static size_t pages_of(size_t large)
{
    return large + KIB(4);
}

static void with_delay_0_large_and_huge_blocks_go_at_once_too(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(0);
    void *stays = cairn_alloc(heap, KIB(128));
    void *large = cairn_alloc(heap, KIB(640));
    void *huge = cairn_alloc(heap, MIB(6));
    bytes_fill(stays, 1, KIB(128));
    bytes_fill(large, 1, KIB(640));
    bytes_fill(huge, 1, MIB(6));
    assert_int_equal(stats_of(heap)->resident_bytes, pages_of(KIB(768)) + MIB(6));
    cairn_free(heap, large);
    assert_int_equal(stats_of(heap)->resident_bytes, pages_of(KIB(128)) + MIB(6));
    cairn_free(heap, huge);
    assert_int_equal(stats_of(heap)->resident_bytes, pages_of(KIB(128)));
    assert_int_equal(stats_of(heap)->cached_bytes, 0);
    assert_true(bytes_are(stays, 1, KIB(128)));
    cairn_heap_destroy(heap);
}

static void with_delay_0_a_shortened_block_gives_its_tail_back(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(0);
    void *large = cairn_alloc(heap, KIB(1024));
    bytes_fill(large, 1, KIB(1024));
    large = cairn_realloc(heap, large, KIB(128));
    assert_int_equal(stats_of(heap)->resident_bytes, pages_of(KIB(128)));
    assert_true(bytes_are(large, 1, KIB(128)));
    cairn_heap_destroy(heap);
}

static void wait_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void pages_are_kept_for_the_delay_and_purged_by_the_next_pool_that_moves(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(3600000);
    void **blocks = fill_pools(heap, 8);
    for (size_t pool = 2; pool < 6; pool++) {
        free_pool(heap, blocks, pool);
    }
    assert_int_equal(stats_of(heap)->resident_bytes, 8 * POOL);
    assert_int_equal(os_fake_calls().purge, 0);
    free(blocks);
    cairn_heap_destroy(heap);

    heap = heap_with_delay(30);
    blocks = fill_pools(heap, 8);
    for (size_t pool = 2; pool < 6; pool++) {
        free_pool(heap, blocks, pool);
    }
    for (int tick = 0; tick < 2; tick++) {
        wait_ms(100);
        void *large = cairn_alloc(heap, KIB(100)); /* of the hole space, untouched: only its coming counts */
        assert_non_null(large);
    }
    assert_int_equal(stats_of(heap)->purged_bytes, 4 * POOL);
    assert_int_equal(stats_of(heap)->resident_bytes, 4 * POOL + 3 * KIB(4)); /* two blocks' headers and the hole's */
    assert_int_equal(os_fake_calls().purge, 1);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void a_pool_taken_again_before_the_delay_keeps_its_pages(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(3600000);
    void **blocks = fill_pools(heap, 4);
    for (int i = 0; i < 100; i++) {
        free_pool(heap, blocks, 2);
        for (size_t j = 0; j < IN_POOL; j++) {
            blocks[2 * IN_POOL + j] = cairn_alloc(heap, BLOCK);
        }
    }
    assert_int_equal(os_fake_calls().purge, 0);
    assert_int_equal(stats_of(heap)->resident_bytes, 4 * POOL);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* Pools and large blocks by turns, each taking what the other has left: `rounds` times. */
static void swing(cairn_heap *heap, unsigned rounds)
{
    enum { POOLS = 96 };
    for (unsigned round = 0; round < rounds; round++) {
        void **blocks = fill_pools(heap, POOLS);
        for (size_t pool = 0; pool < POOLS; pool++) {
            free_pool(heap, blocks, pool);
        }
        free(blocks);
        void *large = cairn_alloc(heap, POOLS * POOL);
        assert_non_null(large);
        cairn_free(heap, large);
    }
}

static cairn_heap *heap_that_keeps(unsigned percent)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    options.single = true;
    options.purge_delay_ms = 3600000;
    options.keep_percent = percent;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    os_fake_reset();
    return heap;
}

static void a_heap_that_cools_the_same_pages_again_and_again_keeps_up_to_twice_as_much(void **state)
{
    (void)state;
    enum { LIVE = 512, SWING_PAGES = 96 * POOL };
    cairn_heap *heap = heap_that_keeps(10);
    void **blocks = fill_pools(heap, LIVE);
    swing(heap, 4);
    size_t first = stats_of(heap)->purged_bytes;
    assert_true(first > SWING_PAGES); /* so much does not fit into the first bound */
    swing(heap, 60);
    size_t learned = stats_of(heap)->purged_bytes;
    size_t live = stats_of(heap)->held_peak;
    assert_true(learned - first < 3 * live); /* once the peak for each of two steps, and little in the last */
    swing(heap, 20);
    assert_int_equal(stats_of(heap)->purged_bytes, learned);
    assert_true(stats_of(heap)->resident_bytes <= live + live / 5 + 21 * KIB(16));
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);

    heap = heap_that_keeps(0);
    blocks = fill_pools(heap, LIVE);
    swing(heap, 20);
    assert_true(stats_of(heap)->purged_bytes >= 20 * SWING_PAGES);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* The heap is told that it took so much, and has purged so much for the bound. */
static void cooled_after(cairn_heap *heap, size_t taken, size_t bytes)
{
    heap->taken_bytes += taken;
    heap_cooled(heap, bytes);
}

static void what_is_cooled_for_a_part_of_what_is_taken_does_not_raise_the_bound(void **state)
{
    (void)state;
    enum { LIVE = 2048, PART = 4 };
    cairn_heap *heap = heap_that_keeps(5);
    void **blocks = fill_pools(heap, LIVE);
    size_t peak = heap->held_peak;
    assert_true(peak > COOL_ONCE);
    assert_int_equal(heap->taken_bytes, peak);
    heap->keep_percent = 0;
    heap->keep_most = 15;
    heap->keep_step = 10;
    heap->cool_part = PART;
    cooled_after(heap, 0, peak); /* once what it ever held is not yet enough */
    for (int i = 0; i < 8; i++) {
        cooled_after(heap, peak, peak / PART);
        assert_int_equal(heap->cooled_bytes, peak);
        assert_int_equal(heap->keep_percent, 0);
    }
    cooled_after(heap, peak, peak / PART + 1); /* a byte more than its part */
    assert_int_equal(heap->keep_percent, 10);
    assert_int_equal(heap->keep_bytes, 10 * KIB(16));
    assert_int_equal(heap->cooled_bytes, 0);
    cooled_after(heap, 0, peak + 1);
    assert_int_equal(heap->keep_percent, 15); /* no more than its most */
    cooled_after(heap, 0, peak);
    cooled_after(heap, PART * peak + PART, 1); /* so much taken pays for all before it, and for nothing after it */
    assert_int_equal(heap->cooled_bytes, 1);

    heap->keep_percent = 0;
    heap->cooled_bytes = peak;
    size_t taken = heap->taken_bytes;
    void **more = fill_pools(heap, LIVE / 2); /* what it grows by is touched for the first time */
    assert_int_equal(heap->taken_bytes - taken, heap->held_peak - peak);
    heap->taken_bytes = taken;
    heap_cooled(heap, 0);
    assert_int_equal(heap->cooled_bytes, 2 * peak - heap->held_peak);
    heap_cooled(heap, heap->held_peak - heap->cooled_bytes);
    assert_int_equal(heap->keep_percent, 0);
    heap_cooled(heap, 1); /* and nothing taken: twice its part */
    assert_int_equal(heap->keep_percent, 15);
    heap_is_sound(heap);
    free(blocks);
    free(more);
    cairn_heap_destroy(heap);
}

/* Bytes that a heap purges in `rounds` rounds of a swing, after as many in which it learns what it may keep. */
static size_t purged_in_swings(size_t part, unsigned rounds)
{
    enum { LIVE = 512 };
    cairn_heap *heap = heap_that_keeps(0);
    heap->keep_step = 20;
    heap->keep_most = 40;
    heap->cool_part = part;
    void **blocks = fill_pools(heap, LIVE);
    swing(heap, rounds);
    size_t learned = stats_of(heap)->purged_bytes;
    swing(heap, rounds);
    size_t purged = stats_of(heap)->purged_bytes - learned;
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
    return purged;
}

static void a_swing_is_purged_again_and_again_only_if_its_part_is_small(void **state)
{
    (void)state;
    enum { ROUNDS = 40, SWING_PAGES = 96 * POOL };
    assert_true(purged_in_swings(1, ROUNDS) >=
                ROUNDS * SWING_PAGES);                /* half of what is taken is purged: less than the whole */
    assert_int_equal(purged_in_swings(4, ROUNDS), 0); /* more than twice a quarter */
}

static void a_small_heap_bears_some_cooling_once(void **state)
{
    (void)state;
    cairn_heap *heap = heap_that_keeps(5);
    void **blocks = fill_pools(heap, 16);
    assert_true(heap->held_peak < COOL_ONCE);
    heap->cool_part = 4;
    heap->keep_most = 4 * heap->keep_step;
    unsigned percent = heap->keep_percent;
    heap_cooled(heap, COOL_ONCE);
    assert_int_equal(heap->keep_percent, percent);
    heap_cooled(heap, 1);
    assert_int_equal(heap->keep_percent, heap->keep_most); /* at once */
    assert_true(percent + heap->keep_step < heap->keep_most);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* What is kept of pools may raise the peak by the bound's percents, a mapping that nobody may ever need again may not. */
static void a_cached_mapping_never_raises_the_peak(void **state)
{
    (void)state;
    enum { LIVE = 512, MORE = 32 };
    cairn_heap *heap = heap_that_keeps(25);
    void **blocks = fill_pools(heap, LIVE);
    void *huge = cairn_alloc(heap, MIB(8));
    assert_non_null(huge);
    cairn_free(heap, huge);
    assert_int_equal(stats_of(heap)->cached_bytes, MIB(8));
    void **more = fill_pools(heap, MORE);
    assert_int_equal(stats_of(heap)->cached_bytes, 0);
    assert_true(stats_of(heap)->resident_bytes <= stats_of(heap)->held_peak);
    heap_is_sound(heap);
    free(blocks);
    free(more);
    cairn_heap_destroy(heap);
}

/* Ticks are told, at moments of the test's own clock, that they have purged so much. */
static void the_delay_grows_while_what_is_purged_is_needed_again_and_falls_back(void **state)
{
    (void)state;
    enum { DELAY = 50, MOST = 4 * DELAY, POOLS = 64, LATER = 4 * MOST };
    cairn_heap *heap = heap_with_delay(DELAY);
    void **blocks = fill_pools(heap, POOLS);
    uint64_t now = 1000;
    heap_ticked(heap, 0, now);
    assert_int_equal(heap->delay_ms, DELAY);
    for (unsigned delay = 2 * DELAY; delay <= 2 * MOST; delay *= 2) {
        heap_ticked(heap, POOLS * POOL / 2, now + 1); /* a judgement comes only now and then */
        now += LATER;
        heap_ticked(heap, 0, now); /* as much is kept as before: what was purged has been touched again */
        assert_int_equal(heap->delay_ms, delay < MOST ? delay : MOST);
    }
    heap_ticked(heap, POOLS * POOL / 100, now += LATER); /* needed again, but little of what is kept: neither */
    assert_int_equal(heap->delay_ms, MOST);
    for (size_t pool = 0; pool < POOLS / 2; pool++) {
        free_pool(heap, blocks, pool);
    }
    heap_ticked(heap, cairn_trim(heap), now += LATER); /* not needed again */
    assert_int_equal(heap->delay_ms, MOST / 2);
    wait_ms(DELAY);
    heap_tick_in_wait(heap); /* at rest since long before */
    assert_int_equal(heap->delay_ms, DELAY);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void all_that_is_free_goes_in_a_wait_unless_the_heap_is_at_work(void **state)
{
    (void)state;
    enum { DELAY = 2000, RESTS = 2 * DELAY / 4 + 100 };
    cairn_heap *heap = heap_with_delay(DELAY);
    void **blocks = fill_pools(heap, 8);
    for (size_t pool = 2; pool < 6; pool++) {
        free_pool(heap, blocks, pool);
    }
    heap_tick_in_wait(heap);
    assert_int_equal(os_fake_calls().purge, 0);
    wait_ms(RESTS);
    free_pool(heap, blocks, 6); /* another thread works while one waits */
    heap_tick_in_wait(heap);
    assert_int_equal(os_fake_calls().purge, 0);
    wait_ms(RESTS);
    heap_tick_in_wait(heap);
    assert_int_equal(stats_of(heap)->purged_bytes, 5 * POOL);
    assert_int_equal(heap->delay_ms, DELAY);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void a_refused_purge_keeps_the_pool_free_and_is_tried_again(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with_delay(3600000);
    void **blocks = fill_pools(heap, 4);
    free_pool(heap, blocks, 1);
    os_fake_refuse_from(OS_FAKE_PURGE, 0);
    assert_int_equal(cairn_trim(heap), 0);
    assert_int_equal(stats_of(heap)->purged_bytes, 0);
    assert_int_equal(stats_of(heap)->pools_free, 1);
    os_fake_refuse_none();
    assert_int_equal(cairn_trim(heap), POOL);
    assert_int_equal(stats_of(heap)->pools_free, 0);
    free(blocks);
    cairn_heap_destroy(heap);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_delay_0_each_free_pool_is_purged_at_once),
        cmocka_unit_test(with_delay_0_large_and_huge_blocks_go_at_once_too),
        cmocka_unit_test(with_delay_0_a_shortened_block_gives_its_tail_back),
        cmocka_unit_test(pages_are_kept_for_the_delay_and_purged_by_the_next_pool_that_moves),
        cmocka_unit_test(a_pool_taken_again_before_the_delay_keeps_its_pages),
        cmocka_unit_test(a_heap_that_cools_the_same_pages_again_and_again_keeps_up_to_twice_as_much),
        cmocka_unit_test(what_is_cooled_for_a_part_of_what_is_taken_does_not_raise_the_bound),
        cmocka_unit_test(a_swing_is_purged_again_and_again_only_if_its_part_is_small),
        cmocka_unit_test(a_small_heap_bears_some_cooling_once),
        cmocka_unit_test(a_cached_mapping_never_raises_the_peak),
        cmocka_unit_test(the_delay_grows_while_what_is_purged_is_needed_again_and_falls_back),
        cmocka_unit_test(all_that_is_free_goes_in_a_wait_unless_the_heap_is_at_work),
        cmocka_unit_test(a_refused_purge_keeps_the_pool_free_and_is_tried_again),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
