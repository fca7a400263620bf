/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_classic.c: the classic preset keeps the promises of the system it is named after (CPython's Objects/obmalloc.c
 * of versions 2.3 to 3.6). Each test reads like the sentence it proves. A single heap, so that order is exact. */

#include <stdlib.h>

#include "os/os.h"
#include "support/test.h"

enum { ARENA = 256 * 1024, POOL = 4096, POOLS = ARENA / POOL, LARGEST = 512, IN_LARGEST = POOL / LARGEST };

/* Without delay: what is free goes back at once, so that counts are exact. */
static int set_up(void **state)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("classic", &geometry);
    options.single = true;
    options.purge_delay_ms = 0;
    *state = heap_with_pools(&options);
    return *state != NULL ? 0 : -1;
}

/* Free pools keep their pages for an hour, so that they can be told from untouched ones. */
static int set_up_patient(void **state)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("classic", &geometry);
    options.single = true;
    options.purge_delay_ms = 3600000;
    *state = heap_with_pools(&options);
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    size_t faults = cairn_heap_check(*state, stderr);
    cairn_heap_destroy(*state);
    return faults == 0 ? 0 : -1;
}

static void *block_of(cairn_heap *heap, size_t size)
{
    void *block = cairn_alloc(heap, size);
    assert_non_null(block);
    return block;
}

static uintptr_t pool_of(const void *block)
{
    return address_of(block) / POOL;
}

static uintptr_t arena_of(const void *block)
{
    return address_of(block) / ARENA;
}

/* Fills `pools` pools with blocks of the largest class; block i of pool p is blocks[p * IN_LARGEST + i]. */
static void **fill_pools(cairn_heap *heap, size_t pools)
{
    void **blocks = calloc(pools * IN_LARGEST, sizeof blocks[0]);
    assert_non_null(blocks);
    for (size_t i = 0; i < pools * IN_LARGEST; i++) {
        blocks[i] = block_of(heap, LARGEST);
        assert_int_equal(pool_of(blocks[i]), pool_of(blocks[i - i % IN_LARGEST]));
    }
    return blocks;
}

static void free_pool(cairn_heap *heap, void **blocks, size_t pool)
{
    for (size_t i = 0; i < IN_LARGEST; i++) {
        cairn_free(heap, blocks[pool * IN_LARGEST + i]);
    }
}

struct shape {
    size_t arenas, pools, untouched, odd;
};

static bool measure(const cairn_area *area, void *context)
{
    struct shape *shape = context;
    if (area->kind == CAIRN_AREA_ARENA) {
        shape->arenas++;
        shape->odd += area->size != ARENA || !aligned_to(area->address, ARENA);
    } else if (area->kind == CAIRN_AREA_POOL) {
        shape->pools++;
        shape->untouched += area->pool_state == CAIRN_POOL_UNTOUCHED;
        shape->odd += area->size != POOL || !aligned_to(area->address, POOL);
    }
    return true;
}

static void an_arena_is_256_kib_of_64_pools_of_4_kib(void **state)
{
    cairn_heap *heap = *state;
    void *block = block_of(heap, 8);
    struct shape shape = {0};
    assert_true(cairn_heap_walk(heap, false, measure, &shape));
    assert_int_equal(shape.arenas, 1);
    assert_int_equal(shape.pools, POOLS);
    assert_int_equal(shape.untouched, POOLS - 1);
    assert_int_equal(shape.odd, 0);
    assert_int_equal(stats_of(heap)->reserved_bytes, ARENA);
    assert_int_equal(stats_of(heap)->held_bytes, POOL);
    cairn_free(heap, block);
}

static void there_are_64_classes_8_bytes_apart(void **state)
{
    cairn_heap *heap = *state;
    const cairn_stats *stats = stats_of(heap);
    assert_true(stats->class_count > 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(stats->classes[i].block_size, 8 * (i + 1));
        assert_int_equal(stats->classes[i].pool_size, POOL);
    }
    assert_true(stats->classes[64].block_size > LARGEST);
    assert_true(stats->classes[64].pool_size > POOL);
}

static void a_request_goes_to_the_class_of_its_size_rounded_up_to_8(void **state)
{
    cairn_heap *heap = *state;
    for (size_t size = 1; size <= LARGEST; size++) {
        void *block = block_of(heap, size);
        assert_int_equal(cairn_usable_size(block), round_up(size, 8));
        const cairn_stats *stats = stats_of(heap);
        assert_int_equal(stats->classes[(size - 1) / 8].blocks_live, 1);
        assert_int_equal(stats->live_blocks, 1);
        cairn_free(heap, block);
    }
}

static void requests_of_17_to_24_bytes_go_to_the_24_byte_class(void **state)
{
    cairn_heap *heap = *state;
    for (size_t size = 17; size <= 24; size++) {
        assert_int_equal(cairn_usable_size(block_of(heap, size)), 24);
    }
    assert_int_equal(cairn_usable_size(block_of(heap, 16)), 16);
    assert_int_equal(cairn_usable_size(block_of(heap, 25)), 32);
    assert_int_equal(stats_of(heap)->classes[2].block_size, 24);
    assert_int_equal(stats_of(heap)->classes[2].blocks_live, 8);
}

static void a_request_of_0_bytes_gets_a_block_of_the_smallest_class(void **state)
{
    cairn_heap *heap = *state;
    void *a = block_of(heap, 0);
    void *b = block_of(heap, 0);
    assert_int_not_equal(address_of(a), address_of(b));
    assert_int_equal(cairn_usable_size(a), 8);
}

static void a_pool_serves_512_blocks_of_8_bytes(void **state)
{
    cairn_heap *heap = *state;
    uintptr_t pool = pool_of(block_of(heap, 8));
    for (size_t i = 1; i < 512; i++) {
        assert_int_equal(pool_of(block_of(heap, 8)), pool);
    }
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->pools_full, 1);
    assert_int_equal(stats->pools_used, 0);
    assert_int_equal(stats->classes[0].blocks_live, 512);
    assert_int_equal(stats->classes[0].blocks_free + stats->classes[0].blocks_untouched, 0);
    assert_int_not_equal(pool_of(block_of(heap, 8)), pool);
    assert_int_equal(stats_of(heap)->pools_used, 1);
}

static void every_class_fills_its_pool_to_the_last_whole_block(void **state)
{
    cairn_heap *heap = *state;
    for (size_t size = 8; size <= LARGEST; size += 8) {
        size_t capacity = POOL / size;
        uintptr_t pool = pool_of(block_of(heap, size));
        for (size_t i = 1; i < capacity; i++) {
            assert_int_equal(pool_of(block_of(heap, size)), pool);
        }
        assert_int_not_equal(pool_of(block_of(heap, size)), pool);
    }
}

static void the_freed_block_is_next_in_line(void **state)
{
    cairn_heap *heap = *state;
    void *blocks[20];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = block_of(heap, 40);
    }
    uintptr_t order[] = {address_of(blocks[3]), address_of(blocks[17]), address_of(blocks[0]), address_of(blocks[9])};
    cairn_free(heap, blocks[3]);
    cairn_free(heap, blocks[17]);
    cairn_free(heap, blocks[0]);
    cairn_free(heap, blocks[9]);
    for (size_t i = COUNT_OF(order); i-- > 0;) {
        assert_int_equal(address_of(block_of(heap, 33 + i)), order[i]);
    }
}

static void a_full_pool_that_gets_a_free_block_is_the_next_to_serve(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 3);
    void *in_use = block_of(heap, LARGEST); /* a fourth pool, with room */
    uintptr_t freed = address_of(blocks[5]);
    cairn_free(heap, blocks[5]);
    assert_int_equal(address_of(block_of(heap, LARGEST)), freed);
    assert_int_equal(pool_of(block_of(heap, LARGEST)), pool_of(in_use));
    free(blocks);
}

static void untouched_blocks_are_carved_in_order_of_address(void **state)
{
    cairn_heap *heap = *state;
    uintptr_t first = address_of(block_of(heap, 48));
    assert_int_equal(first % POOL, 0);
    for (size_t i = 1; i < POOL / 48; i++) {
        assert_int_equal(address_of(block_of(heap, 48)), first + i * 48);
    }
}

static void untouched_pools_are_taken_in_order_of_address(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, POOLS);
    for (size_t pool = 0; pool < POOLS; pool++) {
        assert_int_equal(pool_of(blocks[pool * IN_LARGEST]), pool_of(blocks[0]) + pool);
    }
    free(blocks);
}

static void one_block_holds_a_whole_pool(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 1);
    for (size_t i = 1; i < IN_LARGEST; i++) {
        cairn_free(heap, blocks[i]);
    }
    assert_int_equal(stats_of(heap)->pools_used, 1);
    assert_int_equal(stats_of(heap)->held_bytes, POOL);
    assert_int_not_equal(pool_of(block_of(heap, 8)), pool_of(blocks[0])); /* no other class may have it */
    cairn_free(heap, blocks[0]);
    assert_int_equal(pool_of(block_of(heap, 16)), pool_of(blocks[0])); /* now it may */
    free(blocks);
}

static void a_pool_whose_blocks_are_all_free_passes_to_another_class(void **state)
{
    cairn_heap *heap = *state;
    void *keeps_the_arena = block_of(heap, 24);
    void *block = block_of(heap, 8);
    uintptr_t pool = pool_of(block);
    cairn_free(heap, block);
    assert_int_equal(stats_of(heap)->pools_free, 1);
    for (size_t size = 256; size <= LARGEST; size *= 2) {
        block = block_of(heap, size);
        assert_int_equal(pool_of(block), pool);
        cairn_free(heap, block);
    }
    cairn_free(heap, keeps_the_arena);
}

static void a_free_pool_is_taken_before_an_untouched_one(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 10);
    uintptr_t freed = pool_of(blocks[7 * IN_LARGEST]);
    free_pool(heap, blocks, 7);
    assert_int_equal(pool_of(block_of(heap, 8)), freed);
    assert_int_equal(pool_of(block_of(heap, 16)), pool_of(blocks[0]) + 10);
    free(blocks);
}

static void pools_come_from_the_arena_with_the_fewest_free_pools(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 3 * POOLS);
    uintptr_t arenas[3] = {arena_of(blocks[0]), arena_of(blocks[POOLS * IN_LARGEST]),
                           arena_of(blocks[2 * POOLS * IN_LARGEST])};
    const size_t freed[3] = {5, 2, 3};
    for (size_t a = 0; a < 3; a++) {
        for (size_t i = 0; i < freed[a]; i++) {
            free_pool(heap, blocks, a * POOLS + 9 * i);
        }
    }
    const size_t expected[] = {1, 1, 2, 2, 2, 0, 0, 0, 0, 0}; /* the one with 2 free, with 3, with 5 */
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_int_equal(arena_of(block_of(heap, 8 * (i + 1))), arenas[expected[i]]);
    }
    assert_int_equal(stats_of(heap)->arenas, 3);
    (void)block_of(heap, 8 * (COUNT_OF(expected) + 1));
    assert_int_equal(stats_of(heap)->arenas, 4); /* only now a new one */
    free(blocks);
}

static void an_arena_whose_pools_are_all_free_goes_back_to_the_system(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 4 * POOLS);
    struct os_counts before;
    struct os_counts after;
    os_counts(&before);
    assert_int_equal(stats_of(heap)->arenas, 4);
    for (size_t pool = 0; pool < 4 * POOLS; pool++) {
        free_pool(heap, blocks, pool);
    }
    /* One stays, so that a loop at the border does not map and unmap. */
    assert_int_equal(stats_of(heap)->arenas, 1);
    assert_int_equal(stats_of(heap)->arenas_released, 3);
    os_counts(&after);
    assert_int_equal(after.released_bytes - before.released_bytes, 3 * ARENA);
    cairn_trim(heap);
    os_counts(&after);
    assert_int_equal(after.released_bytes - before.released_bytes, 4 * ARENA);
    assert_int_equal(stats_of(heap)->arenas, 0);
    assert_int_equal(stats_of(heap)->reserved_bytes, 0);
    free(blocks);
}

static void one_block_holds_a_whole_arena(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, 3 * POOLS);
    for (size_t i = 0; i < 3 * POOLS * IN_LARGEST; i++) {
        if (i % (POOLS * IN_LARGEST) != 100) {
            cairn_free(heap, blocks[i]);
        }
    }
    cairn_trim(heap);
    assert_int_equal(stats_of(heap)->arenas, 3);
    assert_int_equal(stats_of(heap)->held_bytes, 3 * POOL);
    assert_int_equal(stats_of(heap)->arenas_released, 0);
    free(blocks);
}

static void a_loop_at_the_border_of_an_arena_reserves_nothing(void **state)
{
    cairn_heap *heap = *state;
    void **blocks = fill_pools(heap, POOLS);
    void *block = block_of(heap, LARGEST); /* the second arena */
    cairn_free(heap, block);
    struct os_counts before;
    struct os_counts after;
    os_counts(&before);
    for (int i = 0; i < 1000; i++) {
        block = block_of(heap, LARGEST);
        cairn_free(heap, block);
    }
    os_counts(&after);
    assert_int_equal(after.reserved_bytes, before.reserved_bytes);
    assert_int_equal(after.released_bytes, before.released_bytes);
    free(blocks);
}

#define CLASSIC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define PATIENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_patient, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLASSIC_TEST(an_arena_is_256_kib_of_64_pools_of_4_kib),
        CLASSIC_TEST(there_are_64_classes_8_bytes_apart),
        CLASSIC_TEST(a_request_goes_to_the_class_of_its_size_rounded_up_to_8),
        CLASSIC_TEST(requests_of_17_to_24_bytes_go_to_the_24_byte_class),
        CLASSIC_TEST(a_request_of_0_bytes_gets_a_block_of_the_smallest_class),
        CLASSIC_TEST(a_pool_serves_512_blocks_of_8_bytes),
        CLASSIC_TEST(every_class_fills_its_pool_to_the_last_whole_block),
        CLASSIC_TEST(the_freed_block_is_next_in_line),
        CLASSIC_TEST(a_full_pool_that_gets_a_free_block_is_the_next_to_serve),
        CLASSIC_TEST(untouched_blocks_are_carved_in_order_of_address),
        CLASSIC_TEST(untouched_pools_are_taken_in_order_of_address),
        CLASSIC_TEST(one_block_holds_a_whole_pool),
        PATIENT_TEST(a_pool_whose_blocks_are_all_free_passes_to_another_class),
        PATIENT_TEST(a_free_pool_is_taken_before_an_untouched_one),
        PATIENT_TEST(pools_come_from_the_arena_with_the_fewest_free_pools),
        CLASSIC_TEST(an_arena_whose_pools_are_all_free_goes_back_to_the_system),
        CLASSIC_TEST(one_block_holds_a_whole_arena),
        CLASSIC_TEST(a_loop_at_the_border_of_an_arena_reserves_nothing),
    };
    return cmocka_run_group_tests_name("classic", tests, NULL, NULL);
}
