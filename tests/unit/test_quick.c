/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_quick.c: quick lists of a packed heap: freed blocks of holes wait for the next request of their size, and what is
 * left of a hole for the next of any. */

#include <stdlib.h>
#include <string.h>

#include "heap/front.h"
#include "heap/geometry.h"
#include "heap/hole_quick.h"
#include "heap/large.h"
#include "heap/types.h"
#include "support/test.h"

enum { SIZE = 600, OTHER = 408 }; /* bytes, above what pools of a packed heap serve */

#define NEVER_MS 3600000u

static cairn_heap *packed_heap(size_t limit)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("default", &geometry);
    assert_int_equal(cairn_geometry_preset("default", &geometry), 0);
    options.single = true;
    options.min_alignment = 16;
    options.purge_delay_ms = NEVER_MS;
    options.limit = limit;
    cairn_heap *heap = heap_as_told(&options);
    assert_non_null(heap);
    heap_look_at_frees(heap);
    geometry_pack(heap);
    return heap;
}

static void *get(cairn_heap *heap, size_t size)
{
    void *block = cairn_alloc(heap, size);
    assert_non_null(block);
    bytes_fill(block, (int)(size & 0x7F), size);
    return block;
}

static void the_block_freed_last_serves_the_next_request_of_its_size(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    void *first = get(heap, SIZE);
    void *second = get(heap, SIZE);
    void *other = get(heap, OTHER);
    size_t requests = stats_of(heap)->requests;
    cairn_free(heap, first);
    cairn_free(heap, second);
    assert_int_equal(stats_of(heap)->large_blocks, 1);
    assert_int_equal(stats_of(heap)->live_blocks, 1);
    assert_int_equal(stats_of(heap)->requests - stats_of(heap)->frees, 1);
    heap_is_sound(heap);
    void *third = get(heap, OTHER);
    assert_ptr_not_equal(third, first);
    assert_ptr_not_equal(third, second);
    assert_ptr_equal(cairn_alloc(heap, SIZE), second);
    assert_ptr_equal(cairn_alloc(heap, SIZE - 15), first);
    assert_int_equal(stats_of(heap)->requests, requests + 3);
    assert_int_equal(stats_of(heap)->large_blocks, 4);
    assert_true(bytes_are(other, OTHER & 0x7F, OTHER));
    assert_true(bytes_are(third, OTHER & 0x7F, OTHER));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void blocks_made_together_lie_together(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    static const size_t sizes[] = {SIZE, OTHER, 2040, 240, 1000};
    char *before = get(heap, 300);
    size_t before_size = cairn_usable_size(before);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *block = get(heap, sizes[i]);
        assert_ptr_equal(block, before + before_size + HOLE_OVERHEAD);
        before = block;
        before_size = cairn_usable_size(block);
        heap_is_sound(heap);
    }
    cairn_heap_destroy(heap);
}

static void so_many_of_a_size_are_kept_and_no_more(void **state)
{
    (void)state;
    enum { MORE = 5 };
    cairn_heap *heap = packed_heap(0);
    void *blocks[2 * (QUICK_KEPT + MORE)];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = get(heap, SIZE);
    }
    size_t holes = stats_of(heap)->holes;
    for (size_t i = 0; i < COUNT_OF(blocks); i += 2) {
        cairn_free(heap, blocks[i]);
    }
    heap_is_sound(heap);
    assert_int_equal(quick_sum(&heap->holes).blocks, QUICK_KEPT + 1); /* and the rest of their hole */
    assert_int_equal(stats_of(heap)->holes, holes + QUICK_KEPT + MORE);
    for (size_t i = 1; i < COUNT_OF(blocks); i += 2) {
        assert_true(bytes_are(blocks[i], SIZE & 0x7F, SIZE));
        cairn_free(heap, blocks[i]);
    }
    heap_is_sound(heap);
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    assert_int_equal(stats_of(heap)->live_bytes, 0);
    cairn_heap_destroy(heap);
}

static void a_trim_makes_what_is_kept_one_hole(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    void *blocks[10];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = get(heap, SIZE + 16 * i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(heap, blocks[i]);
    }
    assert_int_equal(quick_sum(&heap->holes).blocks, COUNT_OF(blocks) + 1);
    (void)cairn_trim(heap);
    heap_is_sound(heap);
    assert_int_equal(quick_sum(&heap->holes).blocks, 0);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    assert_true(stats_of(heap)->holes <= 1);
    cairn_free(heap, get(heap, SIZE));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void what_is_kept_serves_before_a_request_is_refused(void **state)
{
    (void)state;
    enum { LIMIT = 64 * 1024, BLOCKS = 40 };
    cairn_heap *heap = packed_heap(LIMIT);
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = get(heap, 1024 + 16 * i);
    }
    void *larger = get(heap, 3 * 1024);
    for (size_t i = 0; i < BLOCKS; i++) {
        cairn_free(heap, blocks[i]);
    }
    size_t kept = quick_sum(&heap->holes).blocks;
    cairn_free(heap, larger);
    assert_int_equal(quick_sum(&heap->holes).blocks, kept + 1);
    void *large = get(heap, LIMIT - 1024);
    assert_int_equal(stats_of(heap)->requests_failed, 0);
    heap_is_sound(heap);
    cairn_free(heap, large);
    cairn_heap_destroy(heap);
}

static void a_block_that_is_kept_is_freed_twice(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    void *block = get(heap, SIZE);
    cairn_free(heap, block);
    misuse_record_start();
    cairn_free(heap, block);
    assert_int_equal(misuse_record_now()->count, 1);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    assert_null(cairn_realloc(heap, block, 2 * SIZE));
    assert_int_equal(misuse_record_now()->count, 2);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    cairn_free(heap, (char *)block + 32);
    assert_int_equal(misuse_record_now()->count, 3);
    (void)misuse_record_stop();
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void zeros_are_zeros_in_a_block_that_was_kept(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    cairn_free(heap, get(heap, SIZE));
    void *block = cairn_calloc(heap, 1, SIZE);
    assert_non_null(block);
    assert_true(bytes_are(block, 0, SIZE));
    block = cairn_calloc(heap, 1, OTHER);
    assert_true(bytes_are(block, 0, OTHER));
    cairn_heap_destroy(heap);
}

enum { LARGE = 4136, LARGE_STEP = 512 }; /* whole chunks */

/* As many larger blocks of different sizes as are kept, and some; each has a neighbour in use, so that none joins another. */
static void get_large(cairn_heap *heap, void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = get(heap, LARGE + i * LARGE_STEP);
        (void)get(heap, QUICK_CUT + 100);
    }
}

static void of_larger_blocks_those_freed_last_are_kept(void **state)
{
    (void)state;
    enum { MORE = 3, COUNT = QUICK_RECENT + MORE };
    cairn_heap *heap = packed_heap(0);
    void *blocks[COUNT];
    get_large(heap, blocks, COUNT);
    large_flush(heap);
    size_t holes = stats_of(heap)->holes;
    size_t live = stats_of(heap)->live_blocks;
    for (size_t i = 0; i < COUNT; i++) {
        cairn_free(heap, blocks[i]);
        heap_is_sound(heap);
    }
    assert_int_equal(quick_sum(&heap->holes).blocks, QUICK_RECENT);
    assert_int_equal(stats_of(heap)->holes, holes + COUNT);
    assert_int_equal(stats_of(heap)->live_blocks, live - COUNT);
    for (size_t i = COUNT; i-- > MORE;) {
        assert_ptr_equal(get(heap, LARGE + i * LARGE_STEP), blocks[i]);
        heap_is_sound(heap);
    }
    assert_int_equal(quick_sum(&heap->holes).blocks, 0);
    assert_int_equal(stats_of(heap)->live_blocks, live - MORE);
    cairn_heap_destroy(heap);
}

static void a_larger_block_serves_what_is_hardly_smaller(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(0);
    void *too_large = get(heap, QUICK_MAX + 1);
    void *blocks[2];
    get_large(heap, blocks, COUNT_OF(blocks));
    size_t size = LARGE + LARGE_STEP;
    cairn_free(heap, blocks[0]);
    cairn_free(heap, blocks[1]);
    size_t least = size;
    while (holes_chunk_size(least - HOLE_UNIT) * (QUICK_WASTE + 1) / QUICK_WASTE >= holes_chunk_size(size)) {
        least -= HOLE_UNIT;
    }
    assert_in_range(size - least, size / 2 / QUICK_WASTE, size / QUICK_WASTE);
    assert_ptr_not_equal(get(heap, size + 1), blocks[1]);
    void *block = get(heap, least);
    assert_ptr_equal(block, blocks[1]);
    assert_true(cairn_usable_size(block) >= size);
    char *zeros = cairn_calloc(heap, 1, LARGE);
    assert_ptr_equal(zeros, blocks[0]);
    assert_true(bytes_are(zeros, 0, LARGE));
    heap_is_sound(heap);
    cairn_free(heap, blocks[1]);
    assert_ptr_not_equal(get(heap, least - HOLE_UNIT), blocks[1]);
    misuse_record_start();
    cairn_free(heap, blocks[1]);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    assert_int_equal(misuse_record_stop()->count, 1);
    heap_is_sound(heap);
    assert_int_equal(quick_sum(&heap->holes).blocks, 1);
    cairn_free(heap, too_large);
    assert_int_equal(quick_sum(&heap->holes).blocks, 1);
    cairn_heap_destroy(heap);
}

static void a_request_of_any_size_gets_its_own_block_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {QUICK_CUT - HOLE_OVERHEAD,
                                   QUICK_CUT - HOLE_OVERHEAD + 1,
                                   QUICK_CUT,
                                   QUICK_CUT + 1,
                                   3000,
                                   QUICK_MAX - HOLE_UNIT,
                                   QUICK_MAX};
    cairn_heap *heap = packed_heap(0);
    (void)get(heap, KIB(64)); /* the peak stays where it is */
    large_flush(heap);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = get(heap, sizes[i]);
        (void)get(heap, SIZE);
        size_t kept = quick_sum(&heap->holes).blocks;
        cairn_free(heap, block);
        assert_int_equal(quick_sum(&heap->holes).blocks, kept + 1);
        assert_ptr_equal(get(heap, sizes[i]), block);
        heap_is_sound(heap);
    }
    cairn_heap_destroy(heap);
}

static void a_place_that_was_emptied_takes_the_next_block(void **state)
{
    (void)state;
    enum { COUNT = QUICK_RECENT + 2, MIDDLE = 3 };
    cairn_heap *heap = packed_heap(0);
    void *blocks[COUNT];
    get_large(heap, blocks, COUNT);
    for (size_t i = 0; i < QUICK_RECENT; i++) {
        cairn_free(heap, blocks[i]);
    }
    assert_ptr_equal(get(heap, LARGE + MIDDLE * LARGE_STEP), blocks[MIDDLE]);
    for (size_t i = QUICK_RECENT; i < COUNT; i++) {
        cairn_free(heap, blocks[i]);
        assert_int_equal(quick_sum(&heap->holes).blocks, QUICK_RECENT);
        heap_is_sound(heap);
    }
    assert_true(bytes_are(blocks[MIDDLE], (LARGE + MIDDLE * LARGE_STEP) & 0x7F, LARGE + MIDDLE * LARGE_STEP));
    for (size_t i = COUNT; i-- > QUICK_RECENT;) {
        assert_ptr_equal(get(heap, LARGE + i * LARGE_STEP), blocks[i]);
    }
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* As free() of an object's block in an extension module, which does not hold the GIL, perhaps: nothing that is kept is touched. */
static void a_larger_block_freed_as_another_heaps_becomes_a_hole(void **state)
{
    (void)state;
    enum { COUNT = QUICK_RECENT + 1 };
    cairn_heap *heap = packed_heap(0);
    void *blocks[COUNT];
    get_large(heap, blocks, COUNT);
    front_free(blocks[0]);
    assert_int_equal(quick_sum(&heap->holes).blocks, 0);
    heap_is_sound(heap);
    for (size_t i = 1; i < COUNT; i++) {
        cairn_free(heap, blocks[i]);
    }
    void *block = get(heap, LARGE + LARGE_STEP); /* the place of the oldest is empty and knows a block in use */
    assert_ptr_equal(block, blocks[1]);
    void *other = get(heap, 3 * LARGE);
    size_t kept = quick_sum(&heap->holes).blocks;
    front_free(other);
    assert_int_equal(quick_sum(&heap->holes).blocks, kept);
    assert_true(bytes_are(block, (LARGE + LARGE_STEP) & 0x7F, LARGE + LARGE_STEP));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* What pickle does: a buffer, of which little is used. */
static void a_buffer_cut_short_goes_to_a_pool(void **state)
{
    (void)state;
    enum { BUFFER = 4129, SHORT = 100 };
    cairn_heap *heap = packed_heap(0);
    struct owner *owner = front_single_owner(heap);
    void *other = get(heap, SHORT);
    char *buffer = get(heap, BUFFER);
    bytes_fill(buffer, 7, BUFFER);
    char *cut = front_single_realloc(owner, buffer, SHORT);
    assert_non_null(cut);
    assert_true(bytes_are(cut, 7, SHORT));
    assert_true(cairn_usable_size(cut) < 2 * SHORT);
    assert_int_equal(stats_of(heap)->large_blocks, 0);
    assert_ptr_equal(get(heap, BUFFER), buffer);
    assert_ptr_equal(cairn_realloc(heap, buffer, BUFFER - 1), buffer);
    buffer = cairn_realloc(heap, buffer, SHORT); /* the general way */
    assert_true(bytes_are(buffer, BUFFER & 0x7F, SHORT));
    assert_int_equal(stats_of(heap)->large_blocks, 0);
    assert_true(bytes_are(other, SHORT, SHORT));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* A text to which one word after the other is added: few resizes do more than look at its size. */
static void what_creeps_has_room_for_the_next_steps(void **state)
{
    (void)state;
    enum { FROM = 300, TO = 20000, STEP = 6 };
    cairn_heap *heap = packed_heap(0);
    struct owner *owner = front_single_owner(heap);
    char *text = get(heap, FROM);
    bytes_fill(text, 9, FROM);
    size_t changes = 0;
    for (size_t size = FROM + STEP; size < TO; size += STEP) {
        size_t had = cairn_usable_size(text);
        text = front_single_realloc(owner, text, size);
        assert_non_null(text);
        size_t has = cairn_usable_size(text);
        assert_true(has >= size && has <= size + size / 16 + HOLE_CHUNK_MIN + HOLE_UNIT);
        assert_true(bytes_are(text, 9, size - STEP));
        bytes_fill(text + size - STEP, 9, STEP);
        changes += has != had;
    }
    assert_true(changes < 200);
    heap_is_sound(heap);
    text = front_single_realloc(owner, text, TO / 2);
    assert_true(cairn_usable_size(text) < TO / 2 + HOLE_CHUNK_MIN);
    text = front_single_realloc(owner, text, TO / 2 + TO / 16); /* a list's growth, which has its own room */
    assert_true(cairn_usable_size(text) < TO / 2 + TO / 16 + HOLE_CHUNK_MIN);
    assert_true(bytes_are(text, 9, TO / 2));
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* Room for the next steps is left out where memory ends: what creeps gets as large as what is asked for at once. */
static void room_that_is_refused_refuses_no_growth(void **state)
{
    (void)state;
    enum { LIMIT = 64 * 1024, FROM = 4096, STEP = 16 };
    cairn_heap *heap = packed_heap(LIMIT);
    size_t most = LIMIT;
    void *whole = NULL;
    while (!whole) {
        most -= STEP;
        whole = cairn_alloc(heap, most);
    }
    assert_true(most > LIMIT / 2);
    cairn_free(heap, whole);
    struct owner *owner = front_single_owner(heap);
    size_t size = FROM;
    char *text = get(heap, size);
    bytes_fill(text, 9, size);
    for (char *more; (more = front_single_realloc(owner, text, size + STEP)) != NULL; size += STEP) {
        text = more;
        bytes_fill(text + size, 9, STEP);
    }
    assert_true(size + 2 * STEP > most);
    assert_true(bytes_are(text, 9, size));
    assert_int_equal(stats_of(heap)->live_blocks, 1);
    heap_is_sound(heap);
    assert_ptr_equal(front_single_realloc(owner, text, FROM), text);
    assert_true(bytes_are(text, 9, FROM));
    cairn_heap_destroy(heap);
}

/* Integers of many lengths, say, and then objects: kept blocks become holes before the heap holds more than it ever did. */
static void what_is_kept_does_not_raise_the_peak(void **state)
{
    (void)state;
    enum {
        FROM = 240,
        TO = 2032,
        STEP = 16,
        SIZES = (TO - FROM) / STEP,
        OBJECT = 48,
        OBJECTS = 20000,
        SOME = 96 * 1024
    };
    static void *blocks[SIZES * QUICK_KEPT];
    cairn_heap *heap = packed_heap(0);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = get(heap, FROM + i % SIZES * STEP);
    }
    size_t peak = heap->held_peak;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(heap, blocks[i]);
    }
    size_t kept = quick_sum(&heap->holes).bytes;
    assert_true(kept > peak / 2 && kept > OBJECT * OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        (void)get(heap, OBJECT);
    }
    assert_true(heap->held_peak <= peak + SOME);
    assert_true(quick_sum(&heap->holes).bytes < SOME);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void shared_heaps_keep_nothing(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("default", &geometry);
    cairn_heap *heap = heap_as_told(&options);
    assert_non_null(heap);
    geometry_pack(heap);
    assert_null(heap->holes.quick);
    cairn_free(heap, get(heap, KIB(20)));
    assert_int_equal(stats_of(heap)->large_blocks, 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_freed_last_serves_the_next_request_of_its_size),
        cmocka_unit_test(blocks_made_together_lie_together),
        cmocka_unit_test(so_many_of_a_size_are_kept_and_no_more),
        cmocka_unit_test(a_trim_makes_what_is_kept_one_hole),
        cmocka_unit_test(what_is_kept_serves_before_a_request_is_refused),
        cmocka_unit_test(a_block_that_is_kept_is_freed_twice),
        cmocka_unit_test(zeros_are_zeros_in_a_block_that_was_kept),
        cmocka_unit_test(of_larger_blocks_those_freed_last_are_kept),
        cmocka_unit_test(a_larger_block_serves_what_is_hardly_smaller),
        cmocka_unit_test(a_request_of_any_size_gets_its_own_block_back),
        cmocka_unit_test(a_place_that_was_emptied_takes_the_next_block),
        cmocka_unit_test(a_larger_block_freed_as_another_heaps_becomes_a_hole),
        cmocka_unit_test(a_buffer_cut_short_goes_to_a_pool),
        cmocka_unit_test(what_creeps_has_room_for_the_next_steps),
        cmocka_unit_test(room_that_is_refused_refuses_no_growth),
        cmocka_unit_test(what_is_kept_does_not_raise_the_peak),
        cmocka_unit_test(shared_heaps_keep_nothing),
    };
    return cmocka_run_group_tests_name("quick lists", tests, NULL, NULL);
}
