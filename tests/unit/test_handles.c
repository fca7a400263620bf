/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_handles.c: handles: blocks that may move. Their life, pins, compaction (where blocks go, what goes back, how
 * much work a call does), misuse, refusals of the system, the end of a heap. */

#include <errno.h>
#include <string.h>

#include "cairn_handle.h"
#include "heap/handle.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { MANY = 20000, SEGMENT = SEGMENT_BYTES, LARGE = 65536 };

static cairn_handle handles[MANY];

/* ---- helpers ---- */

static cairn_heap *new_heap(size_t limit)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = "moving";
    options.limit = limit;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    return heap;
}

static cairn_handle_stats figures(cairn_heap *heap)
{
    cairn_handle_stats stats;
    cairn_heap_handle_stats(heap, &stats);
    return stats;
}

static cairn_handle alloc_marked(cairn_heap *heap, size_t size, uint64_t stamp)
{
    cairn_handle handle = cairn_handle_alloc(heap, size);
    assert_true(handle != CAIRN_HANDLE_NONE);
    pattern_fill(cairn_handle_deref(handle), size, stamp);
    return handle;
}

static bool marked(cairn_handle handle, size_t size, uint64_t stamp)
{
    return pattern_holds(cairn_handle_deref(handle), size, size, stamp);
}

static void compact_all(cairn_heap *heap)
{
    assert_false(cairn_heap_compact(heap, SIZE_MAX));
    heap_is_sound(heap);
}

/* Fills handles[0..count) with marked blocks of one size; their stamps are their numbers. */
static void fill(cairn_heap *heap, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        handles[i] = alloc_marked(heap, size, i);
    }
}

static void free_all_but_each(cairn_heap *heap, size_t count, size_t nth)
{
    for (size_t i = 0; i < count; i++) {
        if (i % nth != 0) {
            cairn_handle_free(heap, handles[i]);
        }
    }
}

/* ---- life ---- */

static void a_handle_leads_to_its_block_for_life(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4096, LARGE, LARGE + 1, MIB(3)};
    cairn_handle some[COUNT_OF(sizes)];
    size_t usable = 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        some[i] = alloc_marked(heap, sizes[i], i);
        void *address = cairn_handle_deref(some[i]);
        assert_true(aligned_to(address, 16));
        assert_true(cairn_handle_size(heap, some[i]) >= sizes[i]);
        bytes_fill(address, (int)i, cairn_handle_size(heap, some[i]));
        usable += cairn_handle_size(heap, some[i]);
    }
    assert_int_equal(figures(heap).live_handles, COUNT_OF(sizes));
    assert_int_equal(figures(heap).live_bytes, usable);
    assert_int_equal(figures(heap).segments, 3); /* one shared, two for the large ones */
    heap_is_sound(heap);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_true(bytes_are(cairn_handle_deref(some[i]), (int)i, cairn_handle_size(heap, some[i])));
        cairn_handle_free(heap, some[i]);
    }
    assert_int_equal(figures(heap).live_handles, 0);
    assert_int_equal(figures(heap).live_bytes, 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void a_size_is_rounded_to_the_next_16(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    for (size_t size = 0; size <= 200; size++) {
        cairn_handle handle = cairn_handle_alloc(heap, size);
        assert_int_equal(cairn_handle_size(heap, handle), size == 0 ? 16 : round_up(size, 16));
    }
    cairn_heap_destroy(heap);
}

static void none_is_no_handle(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    misuse_record_start();
    assert_null(cairn_handle_deref(CAIRN_HANDLE_NONE));
    cairn_handle_free(heap, CAIRN_HANDLE_NONE);
    assert_int_equal(cairn_handle_size(heap, CAIRN_HANDLE_NONE), 0);
    assert_int_equal(cairn_handle_resize(heap, CAIRN_HANDLE_NONE, 10), EINVAL);
    errno = 0;
    assert_null(cairn_handle_pin(heap, CAIRN_HANDLE_NONE));
    assert_int_equal(errno, EINVAL);
    cairn_handle_unpin(heap, CAIRN_HANDLE_NONE);
    assert_int_equal(misuse_record_stop()->count, 0);
    compact_all(heap); /* of a heap without handles: nothing to do */
    cairn_heap_destroy(heap);
}

static void a_freed_block_is_used_again_and_neighbours_join(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 100, 112); /* cells of 128 bytes */
    char *first = cairn_handle_deref(handles[10]);
    for (size_t i = 10; i < 14; i++) {
        assert_ptr_equal(cairn_handle_deref(handles[i]), first + (i - 10) * 128);
    }
    const size_t order[] = {11, 13, 12, 10}; /* joins with what lies behind, before, on both sides */
    size_t holes = figures(heap).hole_bytes;
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        cairn_handle_free(heap, handles[order[i]]);
        heap_is_sound(heap);
    }
    assert_int_equal(figures(heap).hole_bytes, holes + 4 * 128);
    cairn_handle joined = cairn_handle_alloc(heap, 4 * 128 - 16);
    assert_ptr_equal(cairn_handle_deref(joined), first);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void sizes_beyond_reason_are_refused(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, (size_t)64 << 30};
    cairn_handle small = cairn_handle_alloc(heap, 10);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        errno = 0;
        assert_true(cairn_handle_alloc(heap, sizes[i]) == CAIRN_HANDLE_NONE);
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(cairn_handle_resize(heap, small, sizes[i]), ENOMEM);
    }
    assert_int_equal(stats_of(heap)->requests_failed, 2 * COUNT_OF(sizes));
    cairn_heap_destroy(heap);
}

/* ---- resizing ---- */

static void resizing_keeps_the_handle_and_the_contents(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    const size_t sizes[] = {10, 200, 100, 5000, 60000, LARGE + 10, MIB(2), MIB(8), LARGE + 100, 300, 0};
    cairn_handle wall = alloc_marked(heap, 50, 1);
    cairn_handle handle = alloc_marked(heap, 5, 77);
    size_t before = 5;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(cairn_handle_resize(heap, handle, sizes[i]), 0);
        size_t kept = before < sizes[i] ? before : sizes[i];
        assert_true(pattern_holds(cairn_handle_deref(handle), before, kept, 77));
        assert_true(cairn_handle_size(heap, handle) >= sizes[i]);
        assert_true(cairn_handle_size(heap, handle) < sizes[i] + os_page_size());
        pattern_fill(cairn_handle_deref(handle), sizes[i], 77);
        before = sizes[i];
        heap_is_sound(heap);
        (void)alloc_marked(heap, 20, i); /* in the way */
    }
    assert_true(marked(wall, 50, 1));
    cairn_heap_destroy(heap);
}

static void growing_takes_the_hole_behind_and_shrinking_leaves_one(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 10, 112);
    char *address = cairn_handle_deref(handles[3]);
    cairn_handle_free(heap, handles[4]);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 112 + 64), 0); /* part of it */
    assert_ptr_equal(cairn_handle_deref(handles[3]), address);
    heap_is_sound(heap);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 112 + 128), 0); /* all of it */
    assert_ptr_equal(cairn_handle_deref(handles[3]), address);
    assert_true(marked(handles[3], 112, 3));
    heap_is_sound(heap);
    size_t holes = figures(heap).hole_bytes;
    assert_int_equal(cairn_handle_resize(heap, handles[3], 112), 0);
    assert_ptr_equal(cairn_handle_deref(handles[3]), address);
    assert_int_equal(figures(heap).hole_bytes, holes + 128);
    heap_is_sound(heap);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 112 + 129), 0); /* more than there is: it moves */
    assert_ptr_not_equal(cairn_handle_deref(handles[3]), address);
    assert_true(marked(handles[3], 112, 3));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* ---- pins ---- */

static void a_pinned_block_stays_until_the_last_unpin(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 1000, 100);
    free_all_but_each(heap, 1000, 10);
    char *address = cairn_handle_pin(heap, handles[500]);
    assert_ptr_equal(address, cairn_handle_deref(handles[500]));
    assert_ptr_equal(cairn_handle_pin(heap, handles[500]), address);
    assert_int_equal(figures(heap).pinned_handles, 1);
    compact_all(heap);
    assert_ptr_equal(cairn_handle_deref(handles[500]), address);
    cairn_handle_unpin(heap, handles[500]);
    assert_int_equal(figures(heap).pinned_handles, 1);
    cairn_handle_free(heap, handles[990]);
    compact_all(heap);
    assert_ptr_equal(cairn_handle_deref(handles[500]), address);
    assert_true(marked(handles[500], 100, 500));
    cairn_handle_unpin(heap, handles[500]);
    assert_int_equal(figures(heap).pinned_handles, 0);
    compact_all(heap); /* the unpin alone is a reason to look again */
    assert_true((char *)cairn_handle_deref(handles[500]) < address);
    assert_true(marked(handles[500], 100, 500));
    cairn_heap_destroy(heap);
}

static void a_pinned_block_resizes_in_place_or_not_at_all(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 10, 112);
    void *address = cairn_handle_pin(heap, handles[3]);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 500), EBUSY);
    assert_int_equal(cairn_handle_size(heap, handles[3]), 112);
    cairn_handle_free(heap, handles[4]);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 240), 0);
    assert_int_equal(cairn_handle_resize(heap, handles[3], LARGE * 2), EBUSY);
    assert_int_equal(cairn_handle_resize(heap, handles[3], 20), 0);
    assert_ptr_equal(cairn_handle_deref(handles[3]), address);
    cairn_handle large = alloc_marked(heap, MIB(1), 9);
    void *large_address = cairn_handle_pin(heap, large);
    assert_int_equal(cairn_handle_resize(heap, large, 100), 0);
    assert_ptr_equal(cairn_handle_deref(large), large_address);
    assert_true(cairn_handle_size(heap, large) >= 100);
    heap_is_sound(heap);
    cairn_handle_unpin(heap, large);
    cairn_handle_unpin(heap, handles[3]);
    cairn_heap_destroy(heap);
}

/* ---- compaction ---- */

static void compaction_slides_blocks_together_in_order(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 1000, 100);
    char *bottom = cairn_handle_deref(handles[0]);
    free_all_but_each(heap, 1000, 3);
    assert_true(figures(heap).largest_hole < SEGMENT - 100 * 128);
    compact_all(heap);
    for (size_t i = 0; i < 1000; i += 3) { /* cells of 128 bytes, one after the other, in the old order */
        assert_ptr_equal(cairn_handle_deref(handles[i]), bottom + i / 3 * 128);
        assert_true(marked(handles[i], 100, i));
    }
    assert_int_equal(figures(heap).hole_bytes, SEGMENT - 16 - 334 * 128);
    assert_int_equal(figures(heap).largest_hole, SEGMENT - 16 - 334 * 128 - 16);
    assert_int_equal(figures(heap).moved_blocks, 333);
    assert_int_equal(figures(heap).moved_bytes, 333 * 128);
    cairn_heap_destroy(heap);
}

static void compaction_returns_pages_and_segments(void **state)
{
    (void)state;
    os_fake_reset();
    size_t ranges = os_fake_reserved_ranges();
    cairn_heap *heap = new_heap(0);
    fill(heap, MANY, 496); /* 10 MB */
    cairn_handle_stats before = figures(heap);
    assert_true(before.segments >= MANY * 512 / SEGMENT);
    assert_true(before.resident_bytes >= MANY * 512);
    free_all_but_each(heap, MANY, 100);
    assert_true(figures(heap).resident_bytes >= MANY * 512); /* survivors everywhere keep it all */
    compact_all(heap);
    cairn_handle_stats after = figures(heap);
    assert_int_equal(after.live_handles, MANY / 100);
    assert_int_equal(after.segments, 2); /* one in use, and the empty one that is kept */
    assert_int_equal(after.held_bytes, 2 * SEGMENT);
    assert_int_equal(stats_of(heap)->held_bytes, 2 * SEGMENT);
    assert_true(after.resident_bytes <= MANY / 100 * 512 + 3 * os_page_size());

    for (size_t i = 0; i < MANY; i += 100) {
        assert_true(marked(handles[i], 496, i));
        cairn_handle_free(heap, handles[i]);
    }
    assert_int_equal(figures(heap).held_bytes, SEGMENT); /* one is kept, empty */
    cairn_trim(heap);
    assert_int_equal(figures(heap).held_bytes, 0);
    cairn_heap_destroy(heap);
    assert_int_equal(os_fake_reserved_ranges(), ranges);
}

static void pinned_blocks_are_passed_and_gaps_before_them_filled(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, MANY, 496);
    for (size_t i = 500; i < MANY; i += 1000) { /* one pinned in about each segment */
        (void)!cairn_handle_pin(heap, handles[i]);
    }
    uintptr_t places[MANY / 1000];
    for (size_t i = 0; i < MANY / 1000; i++) {
        places[i] = address_of(cairn_handle_deref(handles[500 + i * 1000]));
    }
    free_all_but_each(heap, MANY, 100);
    compact_all(heap);
    for (size_t i = 0; i < MANY / 1000; i++) {
        assert_int_equal(address_of(cairn_handle_deref(handles[500 + i * 1000])), places[i]);
    }
    for (size_t i = 0; i < MANY; i += 100) {
        assert_true(marked(handles[i], 496, i));
    }
    cairn_handle_stats stats = figures(heap);
    /* What is not pinned fits below the first pinned block; each of these keeps one page, or two if it lies across. */
    assert_true(stats.resident_bytes <= MANY / 100 * 512 + (MANY / 1000 * 4 + 4) * os_page_size());
    for (size_t i = 500; i < MANY; i += 1000) {
        cairn_handle_unpin(heap, handles[i]);
    }
    compact_all(heap);
    assert_true(figures(heap).segments <= 2);
    cairn_heap_destroy(heap);
}

static void a_hole_of_the_exact_size_is_filled(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 10, 112);
    void *place = cairn_handle_deref(handles[3]);
    (void)!cairn_handle_pin(heap, handles[4]);
    cairn_handle_free(heap, handles[3]);
    compact_all(heap);
    assert_ptr_equal(cairn_handle_deref(handles[5]), place);
    assert_true(marked(handles[5], 112, 5));
    cairn_handle_unpin(heap, handles[4]);
    cairn_heap_destroy(heap);
}

static void a_hole_that_grew_is_purged_again(void **state)
{
    (void)state;
    enum { COUNT = 60, SIZE = 8176 };
    cairn_heap *heap = new_heap(0);
    fill(heap, COUNT, SIZE);
    for (size_t i = 0; i < COUNT; i += 10) {
        (void)!cairn_handle_pin(heap, handles[i]);
    }
    size_t walls = COUNT / 10;
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 10 > 0 && i % 10 < 5) {
            cairn_handle_free(heap, handles[i]);
        } else if (i % 10 > 0) {
            (void)!cairn_handle_pin(heap, handles[i]);
        }
    }
    compact_all(heap);
    size_t first = figures(heap).resident_bytes;
    assert_true(first <= (COUNT - walls * 4) * (SIZE + 16) + walls * 3 * os_page_size());
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 10 >= 5) { /* these join the holes that were purged, from behind */
            cairn_handle_unpin(heap, handles[i]);
            cairn_handle_free(heap, handles[i]);
        }
    }
    compact_all(heap);
    assert_true(figures(heap).resident_bytes <= walls * (SIZE + 16) + (walls + 1) * 3 * os_page_size());
    for (size_t i = 0; i < COUNT; i += 10) {
        assert_true(marked(handles[i], SIZE, i));
        cairn_handle_unpin(heap, handles[i]);
    }
    cairn_heap_destroy(heap);
}

static void a_step_does_bounded_work_and_steps_add_up(void **state)
{
    (void)state;
    const size_t budgets[] = {0, 1, 1000, 10000, 100000};
    for (size_t b = 0; b < COUNT_OF(budgets); b++) {
        cairn_heap *heap = new_heap(0);
        fill(heap, 5000, 496);
        free_all_but_each(heap, 5000, 5);
        size_t steps = 0;
        uint64_t before = 0;
        bool more = true;
        size_t kept = os_fake_reserved_bytes();
        size_t purged = os_fake_calls().purged_bytes;
        while (more) {
            more = cairn_heap_compact(heap, budgets[b]);
            uint64_t after = figures(heap).moved_bytes;
            assert_true(after - before <= budgets[b] + 512);
            size_t given = kept - os_fake_reserved_bytes() + os_fake_calls().purged_bytes - purged;
            assert_true(given <= budgets[b] * 4 + SEGMENT);
            kept = os_fake_reserved_bytes();
            purged = os_fake_calls().purged_bytes;
            assert_int_equal(figures(heap).compacting, more);
            before = after;
            steps++;
            if (steps % 97 == 0) {
                heap_is_sound(heap);
            }
        }
        assert_true(steps >= 1000 * 512 / (budgets[b] + 512));
        assert_true(figures(heap).segments <= 3);
        for (size_t i = 0; i < 5000; i += 5) {
            assert_true(marked(handles[i], 496, i));
        }
        heap_is_sound(heap);
        assert_false(cairn_heap_compact(heap, SIZE_MAX)); /* nothing has changed: nothing to do */
        assert_int_equal(figures(heap).moved_bytes, before);
        cairn_handle_free(heap, handles[4995]);
        for (steps = 1; cairn_heap_compact(heap, 640); steps++) {
        }
        assert_true(steps >= 100); /* 999 blocks passed, none moved: looking is work, too */
        assert_int_equal(figures(heap).moved_bytes, before);
        cairn_heap_destroy(heap);
    }
}

static void the_table_gives_leaves_back_and_remembers(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, MANY, 16);
    size_t full = figures(heap).table_bytes;
    assert_true(full >= MANY * 8);
    cairn_handle first = handles[0];
    cairn_handle last = handles[MANY - 1];
    for (size_t i = 0; i < MANY; i++) {
        cairn_handle_free(heap, handles[i]);
    }
    assert_int_equal(figures(heap).table_bytes, full);
    compact_all(heap);
    assert_int_equal(figures(heap).table_bytes, 0);
    misuse_record_start();
    assert_null(cairn_handle_deref(last)); /* into a page that is gone */
    assert_int_equal(misuse_record_now()->count, 1);
    static cairn_handle again[MANY];
    for (size_t i = 0; i < MANY; i++) {
        again[i] = cairn_handle_alloc(heap, 16);
        assert_true(again[i] != handles[i]);
    }
    heap_is_sound(heap);
    assert_int_equal(figures(heap).table_bytes, full);
    assert_null(cairn_handle_deref(first)); /* its entry serves another handle now */
    assert_null(cairn_handle_pin(heap, last));
    assert_int_equal(misuse_record_stop()->count, 3);
    cairn_heap_destroy(heap);
}

static void a_number_is_never_a_handle_twice(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    size_t rounds = test_scaled(GENERATION_LAST + 10000); /* more than an entry has generations, twice */
    cairn_handle before = cairn_handle_alloc(heap, 1);
    cairn_handle_free(heap, before);
    uint32_t last = 0;
    size_t entries = 1;
    for (size_t i = 0; i < rounds; i++) {
        cairn_handle handle = cairn_handle_alloc(heap, 1);
        uint32_t generation = (uint32_t)(handle >> CAIRN_HANDLE_ADDRESS_BITS);
        bool same = handle << 20 == before << 20;
        assert_true(same ? generation > last || i == 0 : generation == 1);
        entries += !same;
        last = generation;
        before = handle;
        cairn_handle_free(heap, handle);
    }
    heap_is_sound(heap);
    if (test_scale() >= 100) {
        assert_int_equal(entries, 3); /* the first two are used up */
    }
    compact_all(heap);
    if (test_scale() >= 100) {
        assert_int_equal(figures(heap).table_bytes, os_page_size()); /* what was used up must be remembered */
    }
    cairn_heap_destroy(heap);
}

/* ---- misuse ---- */

static void expect_report(cairn_misuse_kind kind, unsigned count, const char *text)
{
    const struct misuse_record *record = misuse_record_now();
    assert_int_equal(record->count, count);
    assert_int_equal(record->last.kind, kind);
    if (strstr(record->text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", record->text, text);
    }
}

static void a_use_after_free_is_recognised_by_every_call(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    cairn_handle stale = cairn_handle_alloc(heap, 100);
    cairn_handle_free(heap, stale);
    cairn_handle heir = alloc_marked(heap, 100, 5); /* has its place, and its entry */
    misuse_record_start();
    errno = 77;
    cairn_handle_free(heap, stale);
    assert_int_equal(errno, 77);
    expect_report(CAIRN_MISUSE_HANDLE, 1, "cairn: handle_free(0x");
    expect_report(CAIRN_MISUSE_HANDLE, 1, "was freed before in heap \"moving\"");
    assert_int_equal(cairn_handle_resize(heap, stale, 1000), EINVAL);
    expect_report(CAIRN_MISUSE_HANDLE, 2, "handle_resize(0x");
    assert_int_equal(cairn_handle_size(heap, stale), 0);
    expect_report(CAIRN_MISUSE_HANDLE, 3, "handle_size(0x");
    assert_null(cairn_handle_pin(heap, stale));
    expect_report(CAIRN_MISUSE_HANDLE, 4, "handle_pin(0x");
    cairn_handle_unpin(heap, stale);
    expect_report(CAIRN_MISUSE_HANDLE, 5, "handle_unpin(0x");
    assert_null(cairn_handle_deref(stale));
    expect_report(CAIRN_MISUSE_HANDLE, 6, "handle_deref(0x");
    assert_true(marked(heir, 100, 5));
    assert_int_equal(cairn_handle_size(heap, heir), 112);
    heap_is_sound(heap);
    misuse_record_stop();
    cairn_heap_destroy(heap);
}

static void numbers_that_are_no_handles_are_recognised(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    cairn_heap *other = new_heap(0);
    cairn_handle mine = alloc_marked(heap, 100, 5);
    cairn_handle theirs = alloc_marked(other, 100, 6);
    cairn_handle freed = cairn_handle_alloc(heap, 10);
    cairn_handle_free(heap, freed);
    cairn_handle forged = freed + (UINT64_C(1) << CAIRN_HANDLE_ADDRESS_BITS); /* what its entry holds now */
    const cairn_handle wrong[] = {theirs, 1, UINT64_MAX, freed, UINT64_C(1) << 63, address_of(&mine), forged};
    misuse_record_start();
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        cairn_handle_free(heap, wrong[i]);
        expect_report(CAIRN_MISUSE_HANDLE, i + 1, i == 3 ? "was freed before" : "is no handle of this heap");
    }
    misuse_record_stop();
    assert_true(marked(mine, 100, 5));
    assert_true(marked(theirs, 100, 6));
    cairn_heap_destroy(heap);
    cairn_heap_destroy(other);
}

static void misuse_of_pins_is_reported_and_changes_nothing(void **state)
{
    (void)state;
    os_fake_reset();
    size_t ranges = os_fake_reserved_ranges();
    cairn_heap *heap = new_heap(0);
    cairn_handle pinned = alloc_marked(heap, 100, 5);
    cairn_handle loose = alloc_marked(heap, 200, 6);
    cairn_handle large = alloc_marked(heap, MIB(1), 7);
    misuse_record_start();
    cairn_handle_unpin(heap, loose);
    expect_report(CAIRN_MISUSE_PIN, 1, "has no pin that could be undone");
    (void)!cairn_handle_pin(heap, pinned);
    (void)!cairn_handle_pin(heap, large);
    cairn_handle_free(heap, pinned);
    expect_report(CAIRN_MISUSE_PIN, 2, "is pinned: unpin it first in heap \"moving\"");
    assert_true(marked(pinned, 100, 5));
    assert_int_equal(figures(heap).live_handles, 3);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    expect_report(CAIRN_MISUSE_PIN, 3, "(112 bytes) and 1 more are still pinned");
    misuse_record_stop();
    assert_int_equal(os_fake_reserved_ranges(), ranges);
}

/* ---- memory runs out ---- */

static void the_limit_counts_segments_and_freeing_helps(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(MIB(4));
    size_t count = 0;
    while (count < MANY && (handles[count] = cairn_handle_alloc(heap, 1000)) != CAIRN_HANDLE_NONE) {
        pattern_fill(cairn_handle_deref(handles[count]), 1000, count);
        count++;
    }
    assert_int_equal(errno, ENOMEM);
    assert_true(count * 1024 > MIB(4) - 8 * 1100);
    assert_int_equal(stats_of(heap)->held_bytes, MIB(4));
    assert_null(cairn_alloc(heap, 100));
    assert_int_equal(cairn_handle_resize(heap, handles[0], MIB(1)), ENOMEM);
    assert_true(marked(handles[0], 1000, 0));
    for (size_t i = 0; i < count; i += 2) {
        cairn_handle_free(heap, handles[i]);
    }
    assert_int_equal(cairn_handle_alloc(heap, 3000), CAIRN_HANDLE_NONE); /* room in plenty, but in small holes */
    compact_all(heap);
    assert_int_not_equal(cairn_handle_alloc(heap, MIB(1)), CAIRN_HANDLE_NONE);
    void *block = cairn_alloc(heap, 100);
    assert_non_null(block);
    for (size_t i = 1; i < count; i += 2) {
        assert_true(marked(handles[i], 1000, i));
    }
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static cairn_heap *full_but_for_an_empty_segment(void)
{
    cairn_heap *heap = new_heap(SEGMENT);
    cairn_handle_free(heap, alloc_marked(heap, 100, 1));
    assert_int_equal(figures(heap).held_bytes, SEGMENT);
    return heap;
}

static void the_segment_kept_empty_stands_in_nobodys_way(void **state)
{
    (void)state;
    cairn_heap *heap = full_but_for_an_empty_segment();
    assert_true(cairn_handle_alloc(heap, LARGE * 4) != CAIRN_HANDLE_NONE);
    cairn_heap_destroy(heap);
    heap = full_but_for_an_empty_segment();
    assert_non_null(cairn_alloc(heap, LARGE * 4));
    cairn_heap_destroy(heap);
    heap = full_but_for_an_empty_segment();
    assert_non_null(cairn_alloc(heap, 40));
    cairn_heap_destroy(heap);
}

/* Work of every kind; returns false as soon as a request is refused. */
static bool try_work(cairn_heap *heap)
{
    const size_t sizes[] = {100, 60000, 60000, LARGE * 4, 3000};
    cairn_handle some[24] = {0};
    bool done = true;
    for (size_t i = 0; i < COUNT_OF(some) && done; i++) {
        size_t size = sizes[i % COUNT_OF(sizes)];
        some[i] = cairn_handle_alloc(heap, size);
        done = some[i] != CAIRN_HANDLE_NONE;
        if (done) {
            pattern_fill(cairn_handle_deref(some[i]), size, i);
        }
    }
    done = done && cairn_handle_resize(heap, some[3], LARGE * 8) == 0;
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        size_t size = sizes[i % COUNT_OF(sizes)];
        assert_true(some[i] == CAIRN_HANDLE_NONE || pattern_holds(cairn_handle_deref(some[i]), size, size, i));
        if (i % 3 == 1) {
            cairn_handle_free(heap, some[i]);
            some[i] = CAIRN_HANDLE_NONE;
        }
    }
    assert_false(cairn_heap_compact(heap, SIZE_MAX));
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        size_t size = sizes[i % COUNT_OF(sizes)];
        assert_true(some[i] == CAIRN_HANDLE_NONE || pattern_holds(cairn_handle_deref(some[i]), size, size, i));
        cairn_handle_free(heap, some[i]);
    }
    return done;
}

static void each_call_of_the_system_may_be_refused(void **state)
{
    (void)state;
    const unsigned kinds[] = {OS_FAKE_GROWTH, OS_FAKE_PURGE, OS_FAKE_RELEASE, OS_FAKE_ANY};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        size_t refused = 1;
        for (size_t n = 0; refused > 0; n++) {
            os_fake_reset();
            size_t ranges = os_fake_reserved_ranges();
            cairn_heap *heap = new_heap(0);
            os_fake_refuse_nth(kinds[k], n);
            bool done = try_work(heap);
            refused = os_fake_rule_refused();
            assert_true(done || (refused > 0 && kinds[k] & OS_FAKE_GROWTH));
            heap_is_sound(heap);
            os_fake_refuse_none();
            assert_true(try_work(heap));
            heap_is_sound(heap);
            compact_all(heap);
            cairn_trim(heap);
            assert_int_equal(figures(heap).held_bytes, 0);
            assert_int_equal(figures(heap).table_bytes, 0);
            cairn_heap_destroy(heap);
            assert_int_equal(os_fake_reserved_ranges(), ranges);
        }
    }
    assert_int_equal(os_fake_faults(), 0);
}

static void segments_that_are_not_taken_back_lose_their_pages(void **state)
{
    (void)state;
    os_fake_reset();
    cairn_heap *heap = new_heap(MIB(16));
    fill(heap, MANY, 496);
    free_all_but_each(heap, MANY, 100);
    os_fake_refuse_from(OS_FAKE_RELEASE, 0);
    compact_all(heap);
    assert_true(os_fake_calls().purged_bytes > (size_t)MANY * 512 - 4 * SEGMENT);
    size_t kept = os_fake_reserved_bytes();
    fill(heap, MANY, 496); /* takes them again */
    assert_int_equal(os_fake_reserved_bytes(), kept);
    heap_is_sound(heap);
    os_fake_refuse_none();
    cairn_heap_destroy(heap);
}

static void what_the_system_refused_to_take_is_taken_later(void **state)
{
    (void)state;
    os_fake_reset();
    cairn_heap *heap = new_heap(0);
    fill(heap, MANY, 496);
    free_all_but_each(heap, MANY, 100);
    os_fake_refuse_from(OS_FAKE_RELEASE | OS_FAKE_PURGE, 0);
    compact_all(heap);
    size_t kept = os_fake_reserved_bytes();
    assert_true(kept > MANY * 512);
    assert_int_equal(figures(heap).held_bytes, 2 * SEGMENT); /* not held any more, and not counted against the limit */
    os_fake_refuse_none();
    compact_all(heap); /* nothing has changed but that */
    assert_true(os_fake_reserved_bytes() < kept - MANY * 512 + 4 * SEGMENT);
    assert_true(figures(heap).resident_bytes <= MANY / 100 * 512 + 3 * os_page_size());
    cairn_heap_destroy(heap);
}

/* ---- threads ---- */

enum { THREADS = 4 };

struct worker {
    cairn_heap *heap;
    const bool *stop;
    uint64_t random;
    size_t operations;
};

/* Pins whatever it looks at, so that the compactor beside it may run at any time. */
static void *work_pinned(void *argument)
{
    struct worker *worker = argument;
    cairn_handle own[200] = {0};
    size_t sizes[200] = {0};
    for (size_t step = 0; step < worker->operations; step++) {
        size_t i = random_below(&worker->random, COUNT_OF(own));
        if (own[i] != CAIRN_HANDLE_NONE) {
            void *address = cairn_handle_pin(worker->heap, own[i]);
            require(address != NULL && address == cairn_handle_deref(own[i]));
            require(pattern_holds(address, sizes[i], sizes[i], own[i]));
            cairn_handle_unpin(worker->heap, own[i]);
            cairn_handle_free(worker->heap, own[i]);
            own[i] = CAIRN_HANDLE_NONE;
            continue;
        }
        sizes[i] = random_below(&worker->random, random_chance(&worker->random, 2) ? MIB(1) / 4 : 600);
        own[i] = cairn_handle_alloc(worker->heap, sizes[i]);
        require(own[i] != CAIRN_HANDLE_NONE);
        void *address = cairn_handle_pin(worker->heap, own[i]);
        require(address != NULL);
        pattern_fill(address, sizes[i], own[i]);
        cairn_handle_unpin(worker->heap, own[i]);
    }
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        cairn_handle_free(worker->heap, own[i]);
    }
    return NULL;
}

static void *compact_until_told(void *argument)
{
    struct worker *worker = argument;
    while (!__atomic_load_n(worker->stop, __ATOMIC_RELAXED)) {
        (void)cairn_heap_compact(worker->heap, random_below(&worker->random, 20000));
    }
    return NULL;
}

static void threads_that_pin_work_beside_a_compactor(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    pthread_t threads[THREADS + 1];
    struct worker workers[THREADS + 1];
    bool stop = false;
    uint64_t seed = test_seed();
    for (size_t i = 0; i <= THREADS; i++) {
        workers[i] = (struct worker){heap, &stop, seed + i, test_scaled(100000)};
        start_thread(&threads[i], i < THREADS ? work_pinned : compact_until_told, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        join_thread(threads[i]);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    join_thread(threads[THREADS]);
    assert_int_equal(figures(heap).live_handles, 0);
    assert_int_equal(figures(heap).pinned_handles, 0);
    while (cairn_heap_compact(heap, SIZE_MAX)) {
    }
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

struct reader {
    const cairn_handle *shared;
    const bool *stop;
    uint64_t random;
};

static void *read_without_pins(void *argument)
{
    struct reader *reader = argument;
    while (!__atomic_load_n(reader->stop, __ATOMIC_RELAXED)) {
        size_t i = random_below(&reader->random, 1000);
        require(pattern_holds(cairn_handle_deref(reader->shared[i]), 100, 100, i));
    }
    return NULL;
}

static void plain_derefs_are_good_while_others_allocate(void **state)
{
    (void)state;
    cairn_heap *heap = new_heap(0);
    fill(heap, 1000, 100);
    pthread_t readers[THREADS];
    struct reader arguments[THREADS];
    bool stop = false;
    for (size_t i = 0; i < THREADS; i++) {
        arguments[i] = (struct reader){handles, &stop, test_seed() + i};
        start_thread(&readers[i], read_without_pins, &arguments[i]);
    }
    struct worker worker = {heap, &stop, test_seed(), test_scaled(100000)};
    work_pinned(&worker);
    for (size_t i = 1000; i < MANY; i++) {
        handles[i] = cairn_handle_alloc(heap, 64); /* the table grows under the readers */
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++) {
        join_thread(readers[i]);
    }
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_leads_to_its_block_for_life),
        cmocka_unit_test(a_size_is_rounded_to_the_next_16),
        cmocka_unit_test(none_is_no_handle),
        cmocka_unit_test(a_freed_block_is_used_again_and_neighbours_join),
        cmocka_unit_test(sizes_beyond_reason_are_refused),
        cmocka_unit_test(resizing_keeps_the_handle_and_the_contents),
        cmocka_unit_test(growing_takes_the_hole_behind_and_shrinking_leaves_one),
        cmocka_unit_test(a_pinned_block_stays_until_the_last_unpin),
        cmocka_unit_test(a_pinned_block_resizes_in_place_or_not_at_all),
        cmocka_unit_test(compaction_slides_blocks_together_in_order),
        cmocka_unit_test(compaction_returns_pages_and_segments),
        cmocka_unit_test(pinned_blocks_are_passed_and_gaps_before_them_filled),
        cmocka_unit_test(a_hole_of_the_exact_size_is_filled),
        cmocka_unit_test(a_hole_that_grew_is_purged_again),
        cmocka_unit_test(a_step_does_bounded_work_and_steps_add_up),
        cmocka_unit_test(the_table_gives_leaves_back_and_remembers),
        cmocka_unit_test(a_number_is_never_a_handle_twice),
        cmocka_unit_test(a_use_after_free_is_recognised_by_every_call),
        cmocka_unit_test(numbers_that_are_no_handles_are_recognised),
        cmocka_unit_test(misuse_of_pins_is_reported_and_changes_nothing),
        cmocka_unit_test(the_limit_counts_segments_and_freeing_helps),
        cmocka_unit_test(each_call_of_the_system_may_be_refused),
        cmocka_unit_test(the_segment_kept_empty_stands_in_nobodys_way),
        cmocka_unit_test(segments_that_are_not_taken_back_lose_their_pages),
        cmocka_unit_test(what_the_system_refused_to_take_is_taken_later),
        cmocka_unit_test(threads_that_pin_work_beside_a_compactor),
        cmocka_unit_test(plain_derefs_are_good_while_others_allocate),
    };
    return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
