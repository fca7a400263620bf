/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_trim.c: cairn_trim() gives back exactly what holds no live block, says how much, and counts it. */

#include <stdlib.h>

#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { POOL = 16 * 1024, ARENA = 1024 * 1024, POOLS = ARENA / POOL, BLOCK = 512, IN_POOL = POOL / BLOCK };

#define NEVER_MS 3600000u /* free pools keep their pages unless trimmed */

static cairn_heap *patient_heap(bool single)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    geometry.first_block = 0;
    options.single = single;
    options.purge_delay_ms = NEVER_MS;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    os_fake_reset();
    return heap;
}

/* Fills pools with blocks of the largest class and touches all of them. */
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

static void trimming_nothing_gives_nothing(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    assert_int_equal(cairn_trim(heap), 0);
    void **blocks = fill_pools(heap, 10);
    assert_int_equal(cairn_trim(heap), 0);
    assert_int_equal(stats_of(heap)->resident_bytes, 10 * POOL);
    assert_int_equal(os_fake_calls().purge, 0);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void free_pools_of_a_living_arena_are_purged_to_the_page(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    void **blocks = fill_pools(heap, 20);
    const size_t freed[] = {3, 4, 5, 9, 14, 19};
    for (size_t i = 0; i < COUNT_OF(freed); i++) {
        free_pool(heap, blocks, freed[i]);
    }
    assert_int_equal(stats_of(heap)->pools_free, COUNT_OF(freed));
    assert_int_equal(stats_of(heap)->resident_bytes, 20 * POOL);
    assert_int_equal(cairn_trim(heap), COUNT_OF(freed) * POOL);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->resident_bytes, 14 * POOL);
    assert_int_equal(stats->purged_bytes, COUNT_OF(freed) * POOL);
    assert_int_equal(stats->pools_free, 0);
    assert_int_equal(stats->pools_untouched, POOLS - 14);
    assert_int_equal(os_fake_calls().purged_bytes, COUNT_OF(freed) * POOL);
    assert_int_equal(os_fake_calls().purge, 4); /* neighbours go together */
    assert_int_equal(cairn_trim(heap), 0);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void free_arenas_are_released(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    void **blocks = fill_pools(heap, 3 * POOLS);
    size_t ranges = os_fake_reserved_ranges();
    for (size_t pool = 0; pool < 3 * POOLS; pool++) {
        if (pool != POOLS + 7) {
            free_pool(heap, blocks, pool);
        }
    }
    assert_int_equal(stats_of(heap)->arenas, 3);
    assert_int_equal(stats_of(heap)->arenas_released, 0);
    assert_int_equal(cairn_trim(heap), 2 * ARENA + (POOLS - 1) * POOL);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->arenas, 1);
    assert_int_equal(stats->arenas_created, 3);
    assert_int_equal(stats->arenas_released, 2);
    assert_int_equal(stats->resident_bytes, POOL);
    assert_int_equal(stats->reserved_bytes, ARENA);
    assert_int_equal(os_fake_reserved_ranges(), ranges - 2);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void all_freed_and_trimmed_is_nothing_held(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 100, 512, 513, 2000, 9000, 60000, KIB(70), KIB(900), MIB(3), MIB(10)};
    const bool kinds[] = {true, false};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        cairn_heap *heap = patient_heap(kinds[k]);
        void *blocks[COUNT_OF(sizes) * 20];
        size_t ranges = 0;
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < COUNT_OF(blocks); i++) {
                blocks[i] = cairn_alloc(heap, sizes[i % COUNT_OF(sizes)]);
                bytes_fill(blocks[i], 1, 1);
            }
            for (size_t i = 0; i < COUNT_OF(blocks); i++) {
                cairn_free(heap, blocks[i]);
            }
            cairn_trim(heap);
            const cairn_stats *stats = stats_of(heap);
            assert_int_equal(stats->held_bytes, 0);
            assert_int_equal(stats->arenas, 0);
            assert_int_equal(stats->arenas_created, stats->arenas_released);
            assert_int_equal(stats->reserved_bytes, 0);
            assert_int_equal(stats->resident_bytes, 0);
            assert_int_equal(stats->cached_bytes, 0);
            assert_true(round == 0 || os_fake_reserved_ranges() == ranges);
            ranges = os_fake_reserved_ranges();
        }
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void cached_mappings_are_released(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    void *huge = cairn_alloc(heap, MIB(5));
    size_t usable = cairn_usable_size(huge);
    cairn_free(heap, huge);
    assert_int_equal(stats_of(heap)->cached_bytes, usable);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    assert_int_equal(cairn_trim(heap), usable);
    assert_int_equal(stats_of(heap)->cached_bytes, 0);
    cairn_heap_destroy(heap);
}

static void a_cached_mapping_serves_the_next_block_of_its_size(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    void *first = cairn_alloc(heap, MIB(5));
    size_t reserves = os_fake_calls().reserve;
    cairn_free(heap, first);
    void *second = cairn_alloc(heap, MIB(5));
    assert_non_null(second);
    assert_int_equal(os_fake_calls().reserve, reserves);
    assert_int_equal(stats_of(heap)->cached_bytes, 0);
    cairn_heap_destroy(heap);
}

static void purged_pools_come_back_as_untouched_zero_pages(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(true);
    void **blocks = fill_pools(heap, 4);
    free_pool(heap, blocks, 2);
    cairn_trim(heap);
    assert_int_equal(stats_of(heap)->resident_bytes, 3 * POOL);
    for (size_t i = 0; i < IN_POOL; i++) {
        void *block = cairn_calloc(heap, 1, BLOCK);
        assert_true(bytes_are(block, 0, BLOCK));
        assert_int_equal(address_of(block) / POOL, address_of(blocks[2 * IN_POOL]) / POOL);
    }
    assert_int_equal(stats_of(heap)->resident_bytes, 4 * POOL);
    assert_int_equal(stats_of(heap)->arenas_created, 1);
    free(blocks);
    cairn_heap_destroy(heap);
}

struct helper {
    cairn_heap *heap;
    void **blocks;
    size_t count;
};

static void *free_for_another(void *argument)
{
    struct helper *helper = argument;
    for (size_t i = 0; i < helper->count; i++) {
        cairn_free(helper->heap, helper->blocks[i]);
    }
    return NULL;
}

static void trim_delivers_what_others_freed(void **state)
{
    (void)state;
    cairn_heap *heap = patient_heap(false);
    void **blocks = fill_pools(heap, 10);
    struct helper helper = {heap, blocks, (size_t)10 * IN_POOL};
    pthread_t thread;
    start_thread(&thread, free_for_another, &helper);
    join_thread(thread);
    assert_int_equal(cairn_trim(heap), ARENA);
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    assert_int_equal(stats_of(heap)->remote_frees, 10 * IN_POOL);
    assert_int_equal(stats_of(heap)->arenas, 0);
    free(blocks);
    cairn_heap_destroy(heap);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimming_nothing_gives_nothing),
        cmocka_unit_test(free_pools_of_a_living_arena_are_purged_to_the_page),
        cmocka_unit_test(free_arenas_are_released),
        cmocka_unit_test(all_freed_and_trimmed_is_nothing_held),
        cmocka_unit_test(cached_mappings_are_released),
        cmocka_unit_test(a_cached_mapping_serves_the_next_block_of_its_size),
        cmocka_unit_test(purged_pools_come_back_as_untouched_zero_pages),
        cmocka_unit_test(trim_delivers_what_others_freed),
    };
    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
