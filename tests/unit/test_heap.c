/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_heap.c: heaps are made, named, listed and destroyed, and take nothing with them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/geometry.h"
#include "heap/pagemap.h"
#include "heap/types.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

/* But for the leaves of the page map, which stay once made: a heap may lie where none has before. */
static size_t mapped_now(void)
{
    struct os_counts counts;
    os_counts(&counts);
    return counts.reserved_bytes - counts.released_bytes - pagemap_bytes();
}

static void expect_refused(const cairn_heap_options *options)
{
    errno = 0;
    cairn_heap *heap = cairn_heap_create(options);
    assert_null(heap);
    assert_int_equal(errno, EINVAL);
}

static void options_may_be_null(void **state)
{
    (void)state;
    cairn_heap *heap = heap_as_told(NULL);
    assert_non_null(heap);
    cairn_geometry got;
    cairn_geometry preset;
    cairn_heap_geometry(heap, &got);
    assert_int_equal(cairn_geometry_preset("default", &preset), 0);
    assert_int_equal(got.arena_size, preset.arena_size);
    assert_int_equal(got.pool_size, preset.pool_size);
    assert_string_equal(cairn_heap_name(heap), "");
    cairn_heap_destroy(heap);
}

/* Without which a run under a policy would prove nothing. */
static void the_policy_of_the_run_reaches_every_heap(void **state)
{
    (void)state;
    static const char *const fits[] = {"best", "first", "next", "worst"};
    const char *fit = getenv("CAIRN_TEST_FIT");
    const char *pools = getenv("CAIRN_TEST_POOLS");
    const char *geometry = getenv("CAIRN_TEST_GEOMETRY");
    cairn_geometry wanted;
    assert_int_equal(cairn_geometry_parse(geometry && *geometry ? geometry : "default", &wanted, NULL, 0), 0);
    bool without = pools && strcmp(pools, "off") == 0;
    const char *otherwise = wanted.medium_limit >= KIB(8) && !without ? "first" : "best"; /* CAIRN_FIT_DEFAULT */
    cairn_heap *heaps[] = {cairn_heap_create(NULL), heap_of_preset("default", true), cairn_heap_default()};
    for (size_t i = 0; i < COUNT_OF(heaps); i++) {
        cairn_geometry got;
        assert_non_null(heaps[i]);
        cairn_heap_geometry(heaps[i], &got);
        assert_int_equal(got.arena_size, wanted.arena_size);
        assert_int_equal(got.pool_size, wanted.pool_size);
        assert_int_equal(got.first_block, wanted.first_block);
        assert_string_equal(fits[heaps[i]->fit], fit && *fit ? fit : otherwise);
        assert_int_equal(heaps[i]->no_pools, without);
        if (heaps[i] != cairn_heap_default()) {
            cairn_heap_destroy(heaps[i]);
        }
    }
}

static void options_out_of_range_are_einval(void **state)
{
    (void)state;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.struct_size = 0;
    expect_refused(&options);
    options = (cairn_heap_options)CAIRN_HEAP_OPTIONS_INIT;
    options.struct_size = sizeof options + 8;
    expect_refused(&options);
    const size_t alignments[] = {1, 4, 7, 12, 24, 32, 4096};
    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        options = (cairn_heap_options)CAIRN_HEAP_OPTIONS_INIT;
        options.min_alignment = alignments[i];
        expect_refused(&options);
    }
}

static void min_alignment_holds_for_every_size(void **state)
{
    (void)state;
    const size_t alignments[] = {8, 16};
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < COUNT_OF(alignments) * COUNT_OF(presets); i++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_preset(presets[i % COUNT_OF(presets)], &geometry);
        options.min_alignment = alignments[i / COUNT_OF(presets)];
        cairn_heap *heap = cairn_heap_create(&options);
        assert_non_null(heap);
        for (size_t size = 0; size < 3000; size++) {
            void *block = cairn_alloc(heap, size);
            assert_non_null(block);
            assert_true(aligned_to(block, options.min_alignment));
            assert_true(cairn_usable_size(block) >= size);
        }
        cairn_heap_destroy(heap);
    }
}

static void a_name_is_copied_and_cut_at_31_bytes(void **state)
{
    (void)state;
    char name[] = "0123456789012345678901234567890123456789";
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = name;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    memset(name, 'x', sizeof name - 1);
    assert_string_equal(cairn_heap_name(heap), "0123456789012345678901234567890");
    cairn_heap_destroy(heap);
}

static void destroying_null_does_nothing(void **state)
{
    (void)state;
    size_t before = mapped_now();
    cairn_heap_destroy(NULL);
    assert_int_equal(mapped_now(), before);
}

/* Blocks of every kind: small, medium, large, huge, aligned. */
static void fill(cairn_heap *heap)
{
    const size_t sizes[] = {1, 100, 500, 2000, 9000, 60000, 70000, KIB(300), MIB(3), MIB(9)};
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            unsigned char *block = cairn_alloc(heap, sizes[i]);
            assert_non_null(block);
            bytes_fill(block, 1, sizes[i] < KIB(64) ? sizes[i] : KIB(64));
            if (round % 3 == 1 && i % 2 == 0) {
                cairn_free(heap, block);
            }
        }
        void *aligned = cairn_alloc_aligned(heap, MIB(1), 100);
        assert_non_null(aligned);
    }
}

/* What is mapped is compared from the second round on: the first makes what stays. */
static void destroy_gives_every_byte_back(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < 2 * COUNT_OF(presets); i++) {
        size_t before = mapped_now();
        size_t ranges = os_fake_reserved_ranges();
        size_t reserved = os_fake_reserved_bytes();
        cairn_heap *heap = heap_of_preset(presets[i / 2], i % 2 == 0);
        fill(heap);
        heap_is_sound(heap);
        assert_true(mapped_now() > before + MIB(60));
        cairn_heap_destroy(heap);
        if (i > 0) {
            assert_int_equal(mapped_now(), before);
            assert_int_equal(os_fake_reserved_ranges(), ranges);
            assert_int_equal(os_fake_reserved_bytes(), reserved);
        }
    }
    assert_int_equal(os_fake_faults(), 0);
}

static void a_heap_that_served_nothing_goes_away_too(void **state)
{
    (void)state;
    cairn_heap_destroy(cairn_heap_create(NULL));
    size_t before = mapped_now();
    cairn_heap_destroy(cairn_heap_create(NULL));
    assert_int_equal(mapped_now(), before);
}

static void a_thousand_heaps_one_after_the_other_leave_no_growth(void **state)
{
    (void)state;
    size_t after_first = 0;
    size_t ranges_after_first = 0;
    for (size_t i = 0; i < 1000; i++) {
        cairn_heap *heap = heap_of_preset(i % 2 ? "classic" : "default", i % 3 == 0);
        void *small = cairn_alloc(heap, i);
        void *large = cairn_alloc(heap, KIB(100) + i * 1000);
        assert_non_null(small);
        assert_non_null(large);
        cairn_heap_destroy(heap);
        if (i == 100) {
            after_first = mapped_now();
            ranges_after_first = os_fake_reserved_ranges();
        }
    }
    assert_int_equal(mapped_now(), after_first);
    assert_int_equal(os_fake_reserved_ranges(), ranges_after_first);
}

static void a_hundred_heaps_at_once_are_apart(void **state)
{
    (void)state;
    cairn_heap *heaps[100];
    void *blocks[100];
    for (size_t i = 0; i < COUNT_OF(heaps); i++) {
        heaps[i] = cairn_heap_create(NULL);
        assert_non_null(heaps[i]);
        blocks[i] = cairn_alloc(heaps[i], 64);
        assert_non_null(blocks[i]);
        pattern_fill(blocks[i], 64, i);
    }
    for (size_t i = 0; i < COUNT_OF(heaps); i += 2) {
        cairn_heap_destroy(heaps[i]);
    }
    for (size_t i = 1; i < COUNT_OF(heaps); i += 2) {
        assert_ptr_equal(cairn_heap_of(blocks[i]), heaps[i]);
        assert_true(pattern_holds(blocks[i], 64, 64, i));
        heap_is_sound(heaps[i]);
        cairn_free(heaps[i], blocks[i]);
        cairn_heap_destroy(heaps[i]);
    }
}

static void the_default_heap_is_one_aligned_to_16(void **state)
{
    (void)state;
    cairn_heap *heap = cairn_heap_default();
    assert_non_null(heap);
    assert_ptr_equal(cairn_heap_default(), heap);
    for (size_t size = 0; size < 300; size++) {
        void *block = cairn_alloc(heap, size);
        assert_non_null(block);
        assert_true(aligned_to(block, 16));
        assert_ptr_equal(cairn_heap_of(block), heap);
        cairn_free(heap, block);
    }
}

/* 16 of a class that nobody else here asks for. */
static void the_default_heaps_first_few_of_a_class_come_from_holes(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = cairn_heap_default();
    cairn_geometry geometry;
    cairn_heap_geometry(heap, &geometry);
    const size_t size = geometry.medium_limit;
    void *blocks[20];
    size_t before = stats_of(heap)->large_blocks;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, size);
        assert_non_null(blocks[i]);
        assert_true(aligned_to(blocks[i], 16));
        pattern_fill(blocks[i], size, i);
        assert_int_equal(stats_of(heap)->large_blocks - before, i < 16 ? i + 1 : 16);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        assert_true(pattern_holds(blocks[i], size, size, i));
        cairn_free(heap, blocks[i]);
    }
    assert_int_equal(stats_of(heap)->large_blocks, before);
    assert_int_equal(cairn_heap_check(heap, stderr), 0);
}

static size_t pool_size_of_class(cairn_heap *heap, size_t size)
{
    const cairn_stats *stats = stats_of(heap);
    for (size_t c = 0; c < stats->class_count; c++) {
        if (stats->classes[c].block_size == size) {
            return stats->classes[c].pool_size;
        }
    }
    fail_msg("no class of %zu bytes", size);
    return 0;
}

static cairn_heap *packed_heap(bool single, bool reuse_at_once)
{
    cairn_geometry geometry;
    cairn_heap_options options = {.struct_size = sizeof options, .geometry = &geometry, .single = single};
    assert_int_equal(cairn_geometry_preset("default", &geometry), 0);
    geometry.reuse_at_once = reuse_at_once;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    geometry_pack(heap);
    return heap;
}

static void a_packed_heap_has_small_pools_for_its_smallest_blocks(void **state)
{
    (void)state;
    cairn_heap *heap = packed_heap(true, false);
    assert_int_equal(pool_size_of_class(heap, 16), TINY_SLOT);
    assert_int_equal(pool_size_of_class(heap, 64), TINY_SLOT);
    assert_int_equal(pool_size_of_class(heap, 80), KIB(16));
    void *blocks[TINY_SLOT / 64 + 1];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = cairn_alloc(heap, 64);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(stats_of(heap)->pools_used + stats_of(heap)->pools_full, 2);
    assert_int_equal(cairn_heap_check(heap, stderr), 0);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(heap, blocks[i]);
    }
    assert_int_equal(cairn_heap_check(heap, stderr), 0);
    cairn_heap_destroy(heap);
}

static void blocks_of_a_small_pool_lie_where_those_of_a_large_one_do_and_more_in_front(void **state)
{
    (void)state;
    static const struct {
        size_t size, first, count;
    } class[] = {{16, 0, 256}, {32, 16, 127}, {48, 0, 85}, {64, 48, 63}};
    cairn_geometry geometry;
    cairn_heap_options options = {.struct_size = sizeof options, .geometry = &geometry, .single = true};
    assert_int_equal(cairn_geometry_preset("cpython", &geometry), 0);
    geometry.return_at_once = false;
    assert_int_equal(geometry.first_block, 48);
    for (size_t i = 0; i < COUNT_OF(class); i++) {
        cairn_heap *heap = heap_with_pools(&options);
        assert_non_null(heap);
        geometry_pack(heap);
        char *first = cairn_alloc(heap, class[i].size);
        assert_non_null(first);
        assert_int_equal((uintptr_t)first % TINY_SLOT, class[i].first);
        for (size_t n = 1; n < class[i].count; n++) {
            assert_ptr_equal(cairn_alloc(heap, class[i].size), first + n * class[i].size);
        }
        assert_ptr_not_equal(pagemap_get(cairn_alloc(heap, class[i].size)), pagemap_get(first));
        assert_int_equal(cairn_heap_check(heap, stderr), 0);
        cairn_heap_destroy(heap);
    }
}

/* Fills pools of 48 bytes until one is used up and another serves. Returns a block of the first one. */
static void *fill_a_pool(cairn_heap *heap)
{
    void *first = cairn_alloc(heap, 48), *block = first;
    assert_non_null(first);
    const struct pool *pool = pagemap_get(first);
    while (pagemap_get(block) == pool) {
        block = cairn_alloc(heap, 48);
        assert_non_null(block);
    }
    return first;
}

static void a_full_pool_that_gets_a_block_queues_behind_the_one_that_serves(void **state)
{
    (void)state;
    cairn_heap *packed = packed_heap(true, true);
    void *first = fill_a_pool(packed);
    const struct pool *full = pagemap_get(first);
    const struct pool *serves = packed->base.used[full->class_index].head;
    assert_int_equal(full->state, STATE_FULL);
    cairn_free(packed, first);
    assert_int_equal(full->state, STATE_USED);
    assert_ptr_equal(packed->base.used[full->class_index].head, serves);
    assert_ptr_equal(serves->next, full);
    void *next = cairn_alloc(packed, 48);
    assert_ptr_equal(pagemap_get(next), serves);
    while (next != first) { /* the freed block serves as soon as the other pool is used up */
        next = cairn_alloc(packed, 48);
        assert_true(next == first || pagemap_get(next) == serves);
    }
    assert_int_equal(cairn_heap_check(packed, stderr), 0);
    cairn_heap_destroy(packed);
}

static void by_cpythons_rules_the_freed_block_is_next_in_line(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = {.struct_size = sizeof options, .geometry = &geometry, .single = true};
    assert_int_equal(cairn_geometry_preset("cpython", &geometry), 0);
    cairn_heap *heap = heap_with_pools(&options);
    void *first = fill_a_pool(heap);
    cairn_free(heap, first);
    assert_ptr_equal(cairn_alloc(heap, 48), first);
    cairn_heap_destroy(heap);
}

static void a_heap_of_cpythons_rules_is_not_packed(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *heap = heap_of_preset("cpython", true);
    geometry_pack(heap);
    assert_int_equal(pool_size_of_class(heap, 16), KIB(16));
    cairn_heap_destroy(heap);
}

static void the_default_heap_cannot_be_destroyed(void **state)
{
    (void)state;
    cairn_heap *heap = cairn_heap_default();
    void *block = cairn_alloc(heap, 100);
    assert_non_null(block);
    misuse_record_start();
    cairn_heap_destroy(heap);
    const struct misuse_record *record = misuse_record_stop();
    assert_int_equal(record->count, 1);
    assert_int_equal(record->last.kind, CAIRN_MISUSE_HEAP);
    assert_string_equal(record->last.call, "destroy");
    assert_ptr_equal(cairn_heap_of(block), heap);
    cairn_free(heap, block);
    heap_is_sound(heap);
}

struct visit {
    cairn_heap *seen[16];
    size_t count;
    size_t stop_after;
};

static bool visit_one(cairn_heap *heap, void *context)
{
    struct visit *visit = context;
    if (visit->count < COUNT_OF(visit->seen)) {
        visit->seen[visit->count] = heap;
    }
    visit->count++;
    return visit->count != visit->stop_after;
}

static bool visited(const struct visit *visit, const cairn_heap *heap)
{
    for (size_t i = 0; i < visit->count && i < COUNT_OF(visit->seen); i++) {
        if (visit->seen[i] == heap) {
            return true;
        }
    }
    return false;
}

static void the_visit_shows_every_live_heap_the_default_first(void **state)
{
    (void)state;
    cairn_heap *a = cairn_heap_create(NULL);
    cairn_heap *b = cairn_heap_create(NULL);
    struct visit visit = {0};
    assert_true(cairn_heaps_visit(visit_one, &visit));
    assert_ptr_equal(visit.seen[0], cairn_heap_default());
    assert_true(visited(&visit, a) && visited(&visit, b));
    size_t all = visit.count;
    cairn_heap_destroy(a);
    visit = (struct visit){0};
    assert_true(cairn_heaps_visit(visit_one, &visit));
    assert_int_equal(visit.count, all - 1);
    assert_false(visited(&visit, a));
    visit = (struct visit){.stop_after = 1};
    assert_false(cairn_heaps_visit(visit_one, &visit));
    assert_int_equal(visit.count, 1);
    cairn_heap_destroy(b);
}

static void the_version_is_the_headers(void **state)
{
    (void)state;
    assert_string_equal(cairn_version(), CAIRN_VERSION_STRING);
}

/* The thread keeps a table of its heaps, which takes a page of its own when it first grows. */
static int grow_the_threads_table(void **state)
{
    (void)state;
    cairn_heap *heaps[12];
    for (size_t i = 0; i < COUNT_OF(heaps); i++) {
        heaps[i] = cairn_heap_create(NULL);
        void *block = cairn_alloc(heaps[i], 1);
        require(block != NULL);
    }
    for (size_t i = 0; i < COUNT_OF(heaps); i++) {
        cairn_heap_destroy(heaps[i]);
    }
    return 0;
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_be_null),
        cmocka_unit_test(the_policy_of_the_run_reaches_every_heap),
        cmocka_unit_test(options_out_of_range_are_einval),
        cmocka_unit_test(min_alignment_holds_for_every_size),
        cmocka_unit_test(a_name_is_copied_and_cut_at_31_bytes),
        cmocka_unit_test(destroying_null_does_nothing),
        cmocka_unit_test(destroy_gives_every_byte_back),
        cmocka_unit_test(a_heap_that_served_nothing_goes_away_too),
        cmocka_unit_test(a_thousand_heaps_one_after_the_other_leave_no_growth),
        cmocka_unit_test(a_hundred_heaps_at_once_are_apart),
        cmocka_unit_test(the_default_heap_is_one_aligned_to_16),
        cmocka_unit_test(the_default_heaps_first_few_of_a_class_come_from_holes),
        cmocka_unit_test(a_packed_heap_has_small_pools_for_its_smallest_blocks),
        cmocka_unit_test(blocks_of_a_small_pool_lie_where_those_of_a_large_one_do_and_more_in_front),
        cmocka_unit_test(a_full_pool_that_gets_a_block_queues_behind_the_one_that_serves),
        cmocka_unit_test(by_cpythons_rules_the_freed_block_is_next_in_line),
        cmocka_unit_test(a_heap_of_cpythons_rules_is_not_packed),
        cmocka_unit_test(the_default_heap_cannot_be_destroyed),
        cmocka_unit_test(the_visit_shows_every_live_heap_the_default_first),
        cmocka_unit_test(the_version_is_the_headers),
    };
    return cmocka_run_group_tests_name("heap", tests, grow_the_threads_table, NULL);
}
