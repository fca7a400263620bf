/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_walk_stats.c: what the walk shows and what the statistics say, against counts known by construction. */

#include <stdlib.h>
#include <string.h>

#include "cairn_handle.h"
#include "os/os.h"
#include "support/test.h"

enum { HOLE_HEADER = 8 }; /* bytes in front of a block cut from a hole */

/* ---- counts ---- */

static void counters_follow_each_call(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = heap_of_preset("cpython", true);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->requests + stats->frees + stats->live_blocks + stats->live_bytes + stats->held_bytes, 0);
    void *small = cairn_alloc(heap, 100);
    void *large = cairn_alloc(heap, KIB(65) + 1);
    void *huge = cairn_alloc(heap, MIB(4) + 1);
    stats = stats_of(heap);
    assert_int_equal(stats->requests, 3);
    assert_int_equal(stats->frees, 0);
    assert_int_equal(stats->live_blocks, 3);
    assert_int_equal(stats->large_blocks, 1);
    assert_int_equal(stats->huge_blocks, 1);
    assert_int_equal(stats->large_bytes, cairn_usable_size(large));
    assert_int_equal(stats->huge_bytes, cairn_usable_size(huge));
    assert_int_equal(stats->live_bytes, 112 + cairn_usable_size(large) + cairn_usable_size(huge));
    assert_int_equal(stats->held_bytes, KIB(16) + cairn_usable_size(large) + HOLE_HEADER + cairn_usable_size(huge));
    cairn_free(heap, large);
    cairn_free(heap, small);
    stats = stats_of(heap);
    assert_int_equal(stats->requests, 3);
    assert_int_equal(stats->frees, 2);
    assert_int_equal(stats->live_blocks, 1);
    assert_int_equal(stats->large_blocks, 0);
    assert_int_equal(stats->live_bytes, cairn_usable_size(huge));
    assert_int_equal(stats->held_bytes, cairn_usable_size(huge));
    cairn_free(heap, huge);
    cairn_heap_destroy(heap);
}

static void a_resize_counts_as_a_request_when_it_moves_and_not_otherwise(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = heap_of_preset("cpython", true);
    void *block = cairn_alloc(heap, 100);
    block = cairn_realloc(heap, block, 110);
    assert_int_equal(stats_of(heap)->requests, 1);
    block = cairn_realloc(heap, block, 200);
    assert_int_equal(stats_of(heap)->requests, 2);
    assert_int_equal(stats_of(heap)->frees, 1);
    assert_int_equal(stats_of(heap)->live_blocks, 1);
    cairn_free(heap, block);
    cairn_heap_destroy(heap);
}

static void a_failed_request_counts_as_failed_only(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    volatile size_t absurd = SIZE_MAX / 2 + 1;
    void *none = cairn_alloc(heap, absurd);
    assert_null(none);
    assert_int_equal(stats_of(heap)->requests_failed, 1);
    assert_int_equal(stats_of(heap)->requests, 0);
    assert_int_equal(stats_of(heap)->bytes_asked, 0);
    cairn_heap_destroy(heap);
}

static void class_rows_tell_live_free_and_untouched_blocks(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = heap_of_preset("classic", true);
    void *blocks[30];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, 200); /* 20 to a pool */
    }
    for (size_t i = 0; i < 7; i++) {
        cairn_free(heap, blocks[i]);
    }
    const cairn_class_stats *row = &stats_of(heap)->classes[200 / 8 - 1];
    assert_int_equal(row->block_size, 200);
    assert_int_equal(row->blocks_live, 23);
    assert_int_equal(row->blocks_free + row->blocks_untouched, 17);
    assert_true(row->blocks_free >= 7);
    assert_int_equal(row->pools_used, 2);
    assert_int_equal(row->pools_full, 0);
    assert_int_equal(row->requests, 30);
    assert_int_equal(row->frees, 7);
    assert_int_equal(row->bytes_asked, 0);
    cairn_heap_destroy(heap);
}

static void rows_are_in_order_of_size_and_cover_all_requests_of_pools(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = heap_of_preset(presets[p], true);
        cairn_geometry geometry;
        cairn_heap_geometry(heap, &geometry);
        size_t limit = geometry.medium_limit;
        for (size_t size = 1; size <= KIB(64); size += 251) {
            void *block = cairn_alloc(heap, size);
            assert_non_null(block);
        }
        const cairn_stats *stats = stats_of(heap);
        uint64_t requests = 0;
        for (size_t i = 0; i < stats->class_count; i++) {
            assert_true(i == 0 || stats->classes[i].block_size > stats->classes[i - 1].block_size);
            requests += stats->classes[i].requests;
        }
        assert_int_equal(requests + stats->large_blocks, stats->requests);
        size_t pooled = policy_has_pools() ? (limit - 1) / 251 + 1 : 0;
        assert_int_equal(requests, pooled);
        cairn_heap_destroy(heap);
    }
}

/* ---- exact ---- */

static cairn_heap *exact_heap(const char *preset, bool single)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset(preset, &geometry);
    options.exact = true;
    options.single = single;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    return heap;
}

static void exact_heaps_know_what_was_asked_and_the_peak(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < 2 * COUNT_OF(presets); p++) {
        cairn_heap *heap = exact_heap(presets[p / 2], p % 2 == 0);
        const size_t sizes[] = {1, 100, 513, 3000, 40000, KIB(100), MIB(5)};
        void *blocks[COUNT_OF(sizes)];
        uint64_t asked = 0;
        uint64_t given = 0;
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            blocks[i] = cairn_alloc(heap, sizes[i]);
            asked += sizes[i];
            given += cairn_usable_size(blocks[i]);
        }
        uint64_t peak = given;
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            cairn_free(heap, blocks[i]);
        }
        for (size_t round = 0; round < 100; round++) {
            void *block = cairn_alloc(heap, 100);
            asked += 100;
            given += cairn_usable_size(block);
            cairn_free(heap, block);
        }
        const cairn_stats *stats = stats_of(heap);
        assert_int_equal(stats->bytes_asked, asked);
        assert_int_equal(stats->bytes_given, given);
        assert_int_equal(stats->live_peak, peak);
        assert_int_equal(stats->live_bytes, 0);
        cairn_heap_destroy(heap);
    }
}

static void the_peak_is_the_highest_sum_of_live_bytes(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = exact_heap("classic", false);
    void *a = cairn_alloc(heap, 100); /* 104 */
    void *b = cairn_alloc(heap, 200);
    cairn_free(heap, a);
    void *c = cairn_alloc(heap, 80);
    assert_int_equal(stats_of(heap)->live_peak, 304);
    assert_int_equal(stats_of(heap)->live_bytes, 280);
    void *d = cairn_alloc(heap, 48);
    assert_int_equal(stats_of(heap)->live_peak, 328);
    cairn_free(heap, b);
    cairn_free(heap, c);
    cairn_free(heap, d);
    assert_int_equal(stats_of(heap)->live_peak, 328);
    cairn_heap_destroy(heap);
}

static void internal_fragmentation_is_what_was_given_and_not_asked(void **state)
{
    (void)state;
    cairn_heap *heap = exact_heap("classic", true);
    void *blocks[50];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, 101); /* gets 104 */
        assert_non_null(blocks[i]);
    }
    assert_int_equal(stats_of(heap)->internal_bytes, 150);
    void *block = cairn_alloc(heap, KIB(64) + 1);
    assert_int_equal(stats_of(heap)->internal_bytes, 150 + cairn_usable_size(block) - KIB(64) - 1);
    cairn_heap_destroy(heap);
}

static void heaps_that_are_not_exact_leave_those_figures_at_0(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    const size_t sizes[] = {10, 5000, KIB(70), MIB(5)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i]);
        assert_non_null(block);
    }
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->bytes_asked + stats->bytes_given + stats->live_peak + stats->internal_bytes, 0);
    cairn_heap_destroy(heap);
}

/* ---- memory ---- */

static void resident_bytes_are_the_pages_touched(void **state)
{
    (void)state;
    size_t page = os_page_size();
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("default", &geometry);
    options.single = true;
    options.huge = CAIRN_HUGE_NEVER; /* a huge page is resident as a whole */
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    unsigned char *huge = cairn_alloc(heap, page * 2000);
    assert_non_null(huge);
    size_t before = stats_of(heap)->resident_bytes;
    for (size_t i = 0; i < 300; i++) {
        bytes_fill(huge + i * 3 * page, 1, 1);
    }
    assert_int_equal(stats_of(heap)->resident_bytes - before, 300 * page);
    assert_true(stats_of(heap)->reserved_bytes >= 2000 * page);
    cairn_heap_destroy(heap);
}

static void external_bytes_are_resident_and_held_by_no_block(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = heap_of_preset("classic", true);
    void *blocks[1024];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, 512);
        bytes_fill(blocks[i], 1, 512);
    }
    assert_int_equal(stats_of(heap)->external_bytes, 0);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        if (i % 8 != 0) {
            cairn_free(heap, blocks[i]);
        }
    }
    assert_int_equal(stats_of(heap)->external_bytes, 896 * 512);
    cairn_heap_destroy(heap);
}

static void metadata_stays_below_two_percent_of_a_full_heap(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    size_t empty = stats_of(heap)->metadata_bytes;
    for (size_t i = 0; i < 64 * 1024; i++) {
        void *block = cairn_alloc(heap, 1024);
        assert_non_null(block);
    }
    const cairn_stats *stats = stats_of(heap);
    assert_true(stats->metadata_bytes > empty);
    assert_true((stats->metadata_bytes - empty) * 1000 < stats->held_bytes * 16);
    cairn_heap_destroy(heap);
}

/* ---- the walk ---- */

struct tally {
    size_t arenas, pools[4], blocks, larges, huges, segments, holes;
    size_t handle_segments, handle_blocks, handle_holes;
    size_t pool_blocks; /* sum of blocks_live */
    size_t out_of_order, outside, stop_after, seen;
    uintptr_t arena, arena_end, pool, pool_end, block, last_arena, last_segment;
};

/* Each area lies in the one it belongs to and behind the one before it. */
static void tally_order(struct tally *tally, const cairn_area *area)
{
    uintptr_t start = address_of(area->address);
    uintptr_t end = start + area->size;
    switch (area->kind) {
    case CAIRN_AREA_SEGMENT: /* from the lowest address again */
        tally->out_of_order += start <= tally->last_segment;
        tally->last_segment = start;
        tally->arena_end = end;
        tally->pool_end = start;
        break;
    case CAIRN_AREA_ARENA:
        tally->out_of_order += start <= tally->last_arena;
        tally->last_arena = start;
        tally->arena_end = end;
        tally->pool_end = tally->block = start;
        break;
    case CAIRN_AREA_POOL:
    case CAIRN_AREA_LARGE:
    case CAIRN_AREA_HOLE:
        tally->outside += end > tally->arena_end;
        tally->out_of_order += start < tally->pool_end;
        tally->pool = tally->block = start;
        tally->pool_end = end;
        break;
    case CAIRN_AREA_BLOCK:
        tally->outside += start < tally->pool || end > tally->pool_end;
        tally->out_of_order += start < tally->block;
        tally->block = end;
        break;
    case CAIRN_AREA_HANDLE_SEGMENT: /* in no order */
        tally->arena_end = end;
        tally->pool_end = start;
        break;
    case CAIRN_AREA_HANDLE_BLOCK:
    case CAIRN_AREA_HANDLE_HOLE:
        tally->outside += end > tally->arena_end;
        tally->out_of_order += start < tally->pool_end;
        tally->pool_end = end;
        break;
    case CAIRN_AREA_HUGE:
        break;
    }
}

static bool tally_area(const cairn_area *area, void *context)
{
    struct tally *tally = context;
    tally_order(tally, area);
    switch (area->kind) {
    case CAIRN_AREA_ARENA:
        tally->arenas++;
        break;
    case CAIRN_AREA_POOL:
        tally->pools[area->pool_state]++;
        tally->pool_blocks += area->blocks_live;
        break;
    case CAIRN_AREA_BLOCK:
        tally->blocks++;
        break;
    case CAIRN_AREA_LARGE:
        tally->larges++;
        break;
    case CAIRN_AREA_SEGMENT:
        tally->segments++;
        break;
    case CAIRN_AREA_HOLE:
        tally->holes++;
        break;
    case CAIRN_AREA_HUGE:
        tally->huges++;
        break;
    case CAIRN_AREA_HANDLE_SEGMENT:
        tally->handle_segments++;
        break;
    case CAIRN_AREA_HANDLE_BLOCK:
        tally->handle_blocks++;
        break;
    case CAIRN_AREA_HANDLE_HOLE:
        tally->handle_holes++;
        break;
    }
    return ++tally->seen != tally->stop_after;
}

static void the_walk_goes_through_arenas_pools_and_blocks_in_order(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = heap_of_preset(presets[p], true);
        size_t live = 0;
        for (size_t i = 0; i < 6000; i++) {
            void *block = cairn_alloc(heap, i % 700);
            assert_non_null(block);
            live++;
            if (i % 5 == 0) {
                cairn_free(heap, block);
                live--;
            }
        }
        void *large = cairn_alloc(heap, KIB(100));
        void *huge = cairn_alloc(heap, MIB(5));
        assert_true(large != NULL && huge != NULL);
        cairn_handle handles[3]; /* two share a segment, one has its own */
        for (size_t i = 0; i < COUNT_OF(handles); i++) {
            handles[i] = cairn_handle_alloc(heap, i < 2 ? 100 : MIB(1));
            assert_true(handles[i] != CAIRN_HANDLE_NONE);
        }
        cairn_handle_free(heap, handles[0]);
        struct tally tally = {0};
        assert_true(cairn_heap_walk(heap, true, tally_area, &tally));
        size_t pooled = policy_has_pools() ? live : 0; /* without pools they are large blocks */
        assert_int_equal(tally.blocks, pooled);
        assert_int_equal(tally.pool_blocks, pooled);
        assert_int_equal(tally.larges, live - pooled + 1);
        assert_int_equal(tally.huges, 1);
        assert_int_equal(tally.handle_segments, 2);
        assert_int_equal(tally.handle_blocks, 2);
        assert_int_equal(tally.handle_holes, 2);
        assert_int_equal(tally.out_of_order, 0);
        assert_int_equal(tally.outside, 0);
        const cairn_stats *stats = stats_of(heap);
        assert_int_equal(tally.arenas, stats->arenas);
        assert_int_equal(tally.pools[CAIRN_POOL_USED], stats->pools_used);
        assert_int_equal(tally.pools[CAIRN_POOL_FULL], stats->pools_full);
        assert_int_equal(tally.pools[CAIRN_POOL_FREE], stats->pools_free);
        assert_int_equal(tally.pools[CAIRN_POOL_UNTOUCHED], stats->pools_untouched);
        tally = (struct tally){0};
        assert_true(cairn_heap_walk(heap, false, tally_area, &tally));
        assert_int_equal(tally.blocks, 0);
        assert_int_equal(tally.larges + tally.huges, live - pooled + 2);
        cairn_heap_destroy(heap);
    }
}

static void the_visitor_ends_the_walk_at_any_point(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("classic", true);
    for (size_t i = 0; i < 50; i++) {
        void *block = cairn_alloc(heap, 100);
        assert_non_null(block);
    }
    void *huge = cairn_alloc(heap, MIB(5));
    assert_non_null(huge);
    assert_true(cairn_handle_alloc(heap, 100) != CAIRN_HANDLE_NONE);
    struct tally all = {0};
    assert_true(cairn_heap_walk(heap, true, tally_area, &all));
    for (size_t stop = 1; stop <= all.seen; stop++) {
        struct tally tally = {.stop_after = stop};
        assert_false(cairn_heap_walk(heap, true, tally_area, &tally));
        assert_int_equal(tally.seen, stop);
    }
    struct tally tally = {.stop_after = all.seen + 1};
    assert_true(cairn_heap_walk(heap, true, tally_area, &tally));
    cairn_heap_destroy(heap);
}

static void an_empty_heap_shows_nothing(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    struct tally tally = {0};
    assert_true(cairn_heap_walk(heap, true, tally_area, &tally));
    assert_int_equal(tally.seen, 0);
    cairn_heap_destroy(heap);
}

/* ---- the check ---- */

static void the_check_finds_a_smashed_free_block(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("classic", true);
    void *blocks[8];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, 64);
    }
    cairn_free(heap, blocks[2]);
    cairn_free(heap, blocks[5]);
    assert_int_equal(cairn_heap_check(heap, NULL), 0);
    uintptr_t saved[8];
    memcpy(saved, blocks[5], sizeof saved);
    uintptr_t wrong = address_of(blocks[0]) + 8; /* a use after free that leaves a pointer into a live block */
    memcpy(blocks[5], &wrong, sizeof wrong);
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_true(cairn_heap_check(heap, out) > 0);
    assert_true(ftell(out) > 0);
    fclose(out);
    memcpy(blocks[5], saved, sizeof saved);
    assert_int_equal(cairn_heap_check(heap, NULL), 0);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_follow_each_call),
        cmocka_unit_test(a_resize_counts_as_a_request_when_it_moves_and_not_otherwise),
        cmocka_unit_test(a_failed_request_counts_as_failed_only),
        cmocka_unit_test(class_rows_tell_live_free_and_untouched_blocks),
        cmocka_unit_test(rows_are_in_order_of_size_and_cover_all_requests_of_pools),
        cmocka_unit_test(exact_heaps_know_what_was_asked_and_the_peak),
        cmocka_unit_test(the_peak_is_the_highest_sum_of_live_bytes),
        cmocka_unit_test(internal_fragmentation_is_what_was_given_and_not_asked),
        cmocka_unit_test(heaps_that_are_not_exact_leave_those_figures_at_0),
        cmocka_unit_test(resident_bytes_are_the_pages_touched),
        cmocka_unit_test(external_bytes_are_resident_and_held_by_no_block),
        cmocka_unit_test(metadata_stays_below_two_percent_of_a_full_heap),
        cmocka_unit_test(the_walk_goes_through_arenas_pools_and_blocks_in_order),
        cmocka_unit_test(the_visitor_ends_the_walk_at_any_point),
        cmocka_unit_test(an_empty_heap_shows_nothing),
        cmocka_unit_test(the_check_finds_a_smashed_free_block),
    };
    return cmocka_run_group_tests_name("walk and statistics", tests, NULL, NULL);
}
