/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_fit.c: the fit as an option of a heap, and heaps that are only holes: which hole serves, and that everything a
 * heap does works down to one byte. The choice itself is proven at every step by the model of holes. */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/os_fake.h"
#include "support/test.h"

static cairn_heap *holes_only(cairn_fit fit, bool single)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.fit = fit;
    options.single = single;
    options.no_pools = true;
    options.exact = single;
    cairn_heap *heap = heap_as_told(&options);
    assert_non_null(heap);
    return heap;
}

/* Leaves holes of 400, 1600 and 160 bytes, in order of address, between blocks, and the end of the segment behind. */
enum { HOLES = 3 };
static void make_holes(cairn_heap *heap, void *holes[HOLES])
{
    const size_t hole_sizes[HOLES] = {400, 1600, 160};
    for (size_t i = 0; i < HOLES; i++) {
        holes[i] = cairn_alloc(heap, hole_sizes[i]);
        void *between = cairn_alloc(heap, 48);
        assert_non_null(holes[i]);
        assert_non_null(between);
    }
    for (size_t i = 0; i < HOLES; i++) {
        cairn_free(heap, holes[i]);
    }
    assert_int_equal(stats_of(heap)->holes, HOLES + 1);
}

static void the_fit_says_which_hole_serves(void **state)
{
    (void)state;
    void *holes[HOLES];
    cairn_heap *heap = holes_only(CAIRN_FIT_BEST, true);
    make_holes(heap, holes);
    assert_ptr_equal(cairn_alloc(heap, 100), holes[2]); /* the smallest that is large enough */
    assert_ptr_equal(cairn_alloc(heap, 300), holes[0]);
    cairn_heap_destroy(heap);

    heap = holes_only(CAIRN_FIT_FIRST, true);
    make_holes(heap, holes);
    assert_ptr_equal(cairn_alloc(heap, 100), holes[0]); /* the lowest */
    assert_ptr_equal(cairn_alloc(heap, 1000), holes[1]);
    cairn_heap_destroy(heap);

    heap = holes_only(CAIRN_FIT_NEXT, true);
    make_holes(heap, holes);
    char *behind = cairn_alloc(heap, 100); /* behind the block served last */
    assert_true(behind > (char *)holes[2] + 160);
    char *next = cairn_alloc(heap, 100);
    assert_true(next > behind);
    cairn_heap_destroy(heap);

    heap = holes_only(CAIRN_FIT_WORST, true);
    make_holes(heap, holes);
    char *end = cairn_alloc(heap, 100); /* the largest: the end of the segment */
    assert_true(end > (char *)holes[2] + 160);
    cairn_heap_destroy(heap);
}

static void a_fit_that_does_not_exist_is_einval(void **state)
{
    (void)state;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.fit = (cairn_fit)(CAIRN_FIT_DEFAULT + 1);
    errno = 0;
    assert_null(heap_as_told(&options));
    assert_int_equal(errno, EINVAL);
}

static void without_pools_every_size_comes_from_a_hole(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        cairn_heap *heap = holes_only(fit, true);
        size_t asked = 0;
        for (size_t size = 0; size <= 3000; size++) {
            unsigned char *block = cairn_alloc(heap, size);
            assert_non_null(block);
            assert_true(aligned_to(block, 16));
            assert_in_range(cairn_usable_size(block), size, size + 39); /* to the smallest chunk, or a rest too small */
            assert_ptr_equal(cairn_heap_of(block), heap);
            bytes_fill(block, 0xEE, size);
            asked += size;
        }
        const cairn_stats *stats = stats_of(heap);
        assert_int_equal(stats->large_blocks, 3001);
        assert_int_equal(stats->live_blocks, 3001);
        assert_int_equal(stats->bytes_asked, asked);
        assert_int_equal(stats->arenas, 0);
        assert_int_equal(stats->pools_used + stats->pools_full + stats->pools_free, 0);
        assert_int_equal(stats->class_count, 0);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void without_pools_calloc_resize_and_alignment_work(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        cairn_heap *heap = holes_only(fit, fit % 2 == 0);
        for (size_t size = 0; size < 20000; size = size * 3 / 2 + 1) {
            unsigned char *dirty = cairn_alloc(heap, size);
            assert_non_null(dirty);
            bytes_fill(dirty, 0xFF, cairn_usable_size(dirty));
            cairn_free(heap, dirty);
            unsigned char *block = cairn_calloc(heap, 1, size);
            assert_non_null(block);
            assert_true(bytes_are(block, 0, size));
            pattern_fill(block, size, size);
            block = cairn_realloc(heap, block, 5 * size + 1);
            assert_non_null(block);
            assert_true(pattern_holds(block, size, size, size));
            block = cairn_realloc(heap, block, size / 2);
            assert_non_null(block);
            assert_true(pattern_holds(block, size, size / 2, size));
            cairn_free(heap, block);
            for (size_t alignment = 1; alignment <= MIB(1); alignment *= 4) {
                void *aligned = cairn_alloc_aligned(heap, alignment, size);
                assert_non_null(aligned);
                assert_true(aligned_to(aligned, alignment));
                cairn_free(heap, aligned);
            }
        }
        assert_int_equal(stats_of(heap)->live_blocks, 0);
        cairn_trim(heap);
        assert_int_equal(stats_of(heap)->reserved_bytes, 0);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void without_pools_the_limit_holds(void **state)
{
    (void)state;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.no_pools = true;
    options.limit = MIB(1);
    cairn_heap *heap = heap_as_told(&options);
    assert_non_null(heap);
    void **blocks = calloc(MIB(1) / 32, sizeof blocks[0]);
    assert_non_null(blocks);
    size_t first = 0;
    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        errno = 0;
        while ((blocks[count] = cairn_alloc(heap, 1)) != NULL) {
            count++;
        }
        assert_int_equal(errno, ENOMEM);
        assert_in_range(count, MIB(1) / 32 - 2, MIB(1) / 32); /* 32 bytes each */
        assert_true(stats_of(heap)->held_bytes <= MIB(1));
        assert_true(round == 0 || count == first);
        first = count;
        for (size_t i = 0; i < count; i++) {
            cairn_free(heap, blocks[i]);
        }
        assert_int_equal(stats_of(heap)->held_bytes, 0);
    }
    free(blocks);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

struct seen {
    size_t segments, blocks, holes, others;
};

static bool see(const cairn_area *area, void *context)
{
    struct seen *seen = context;
    seen->segments += area->kind == CAIRN_AREA_SEGMENT;
    seen->blocks += area->kind == CAIRN_AREA_LARGE;
    seen->holes += area->kind == CAIRN_AREA_HOLE;
    seen->others += area->kind != CAIRN_AREA_SEGMENT && area->kind != CAIRN_AREA_LARGE && area->kind != CAIRN_AREA_HOLE;
    return true;
}

static void without_pools_the_walk_shows_blocks_and_holes(void **state)
{
    (void)state;
    cairn_heap *heap = holes_only(CAIRN_FIT_FIRST, true);
    void *holes[HOLES];
    make_holes(heap, holes);
    struct seen seen = {0};
    assert_true(cairn_heap_walk(heap, true, see, &seen));
    assert_int_equal(seen.segments, 1);
    assert_int_equal(seen.blocks, HOLES);
    assert_int_equal(seen.holes, HOLES + 1);
    assert_int_equal(seen.others, 0);
    cairn_heap_destroy(heap);
}

static void without_pools_misuse_is_seen(void **state)
{
    (void)state;
    cairn_heap *heap = holes_only(CAIRN_FIT_BEST, true);
    char *block = cairn_alloc(heap, 24);
    void *keeps = cairn_alloc(heap, 24);
    assert_non_null(keeps);
    misuse_record_start();
    cairn_free(heap, block + 8);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_INTERIOR);
    cairn_free(heap, block);
    cairn_free(heap, block);
    const struct misuse_record *record = misuse_record_stop();
    assert_int_equal(record->count, 2);
    assert_int_equal(record->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* Blocks pass between threads through here. */
static struct exchange {
    cairn_heap *heap;
    _Atomic(void *) box[64];
} shared;

static void *trade(void *argument)
{
    uint64_t seed = *(const uint64_t *)argument;
    for (size_t i = 0; i < test_scaled(30000); i++) {
        size_t size = 1 + random_below(&seed, random_chance(&seed, 5) ? 20000 : 200);
        void *block = cairn_alloc(shared.heap, size);
        require(block != NULL);
        pattern_fill(block, 1, (uintptr_t)block);
        void *other = atomic_exchange(&shared.box[random_below(&seed, COUNT_OF(shared.box))], block);
        require(other == NULL || pattern_holds(other, 1, 1, (uintptr_t)other));
        cairn_free(shared.heap, other);
    }
    return NULL;
}

static void threads_share_a_heap_without_pools(void **state)
{
    (void)state;
    for (cairn_fit fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        pthread_t threads[4];
        uint64_t seeds[4];
        memset(&shared, 0, sizeof shared);
        shared.heap = holes_only(fit, false);
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            seeds[i] = test_seed() + i;
            start_thread(&threads[i], trade, &seeds[i]);
        }
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            join_thread(threads[i]);
        }
        for (size_t i = 0; i < COUNT_OF(shared.box); i++) {
            cairn_free(shared.heap, shared.box[i]);
        }
        assert_int_equal(stats_of(shared.heap)->live_blocks, 0);
        heap_is_sound(shared.heap);
        cairn_heap_destroy(shared.heap);
    }
}

/* Destroyed with everything in it, every page went back. */
static void heaps_of_every_fit_are_destroyed_whole(void **state)
{
    (void)state;
    size_t bytes = 0;
    for (int i = -1; i < 16; i++) { /* the first time the page map and the thread's table grow */
        cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
        options.fit = (cairn_fit)(i & 3);
        options.no_pools = i & 4;
        options.single = i & 8;
        cairn_heap *heap = heap_as_told(&options);
        assert_non_null(heap);
        for (size_t size = 1; size < MIB(20); size = size * 4 / 3 + 1) {
            void *block = cairn_alloc(heap, size);
            assert_non_null(block);
        }
        cairn_heap_destroy(heap);
        bytes = i < 0 ? os_fake_reserved_bytes() : bytes;
        assert_int_equal(os_fake_reserved_bytes(), bytes);
    }
    assert_int_equal(os_fake_faults(), 0);
}

static int grow_the_threads_table(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        cairn_heap *heap = cairn_heap_create(NULL);
        void *block = heap ? cairn_alloc(heap, 1) : NULL;
        require(block != NULL);
        cairn_heap_destroy(heap);
    }
    return 0;
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fit_says_which_hole_serves),
        cmocka_unit_test(a_fit_that_does_not_exist_is_einval),
        cmocka_unit_test(without_pools_every_size_comes_from_a_hole),
        cmocka_unit_test(without_pools_calloc_resize_and_alignment_work),
        cmocka_unit_test(without_pools_the_limit_holds),
        cmocka_unit_test(without_pools_the_walk_shows_blocks_and_holes),
        cmocka_unit_test(without_pools_misuse_is_seen),
        cmocka_unit_test(threads_share_a_heap_without_pools),
        cmocka_unit_test(heaps_of_every_fit_are_destroyed_whole),
    };
    return cmocka_run_group_tests_name("fit", tests, grow_the_threads_table, NULL);
}
