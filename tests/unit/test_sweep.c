/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_sweep.c: the pages of used pools that no live block touches go back, exactly those, and come back as untouched
 * blocks. */

#include <stdlib.h>
#include <string.h>

#include "heap/owner.h"
#include "heap/sweep.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

#define NEVER_MS 3600000u

enum { POOL = 16 * 1024 };

static cairn_heap *heap_of(const char *preset, size_t first_block)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset(preset, &geometry);
    geometry.first_block = first_block;
    options.single = true;
    options.purge_delay_ms = NEVER_MS;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    for (unsigned c = 0; c < CAIRN_CLASSES_MAX; c++) {
        heap->few[c] = 0; /* all requests from pools */
    }
    os_fake_reset();
    return heap;
}

static void **fill(cairn_heap *heap, size_t size, size_t count)
{
    void **blocks = calloc(count, sizeof blocks[0]);
    assert_non_null(blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = cairn_alloc(heap, size);
        assert_non_null(blocks[i]);
        bytes_fill(blocks[i], (int)(i & 0x7F), size);
    }
    return blocks;
}

static void drop(cairn_heap *heap, void **block)
{
    cairn_free(heap, *block);
    *block = NULL;
}

static void one_survivor_keeps_one_page_of_its_pool(void **state)
{
    (void)state;
    enum { SIZE = 64, IN_POOL = POOL / SIZE, POOLS = 8, PAGE = 4096, SURVIVOR = IN_POOL / 4 + 5 };
    assert_int_equal(os_page_size(), PAGE);
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, POOLS * IN_POOL);
    for (size_t i = 0; i < POOLS * IN_POOL; i++) {
        if (i % IN_POOL != SURVIVOR) {
            drop(heap, &blocks[i]);
        }
    }
    assert_int_equal(stats_of(heap)->resident_bytes, POOLS * POOL);
    assert_int_equal(cairn_trim(heap), POOLS * 3 * PAGE);
    assert_int_equal(os_fake_calls().purge, POOLS * 2); /* the page before, and the two behind */
    assert_int_equal(stats_of(heap)->resident_bytes, POOLS * PAGE);
    assert_int_equal(stats_of(heap)->purged_bytes, POOLS * 3 * PAGE);
    heap_is_sound(heap);
    assert_int_equal(cairn_trim(heap), 0);

    for (size_t i = 0; i < POOLS * IN_POOL; i++) {
        if (i % IN_POOL == SURVIVOR) {
            assert_true(bytes_are(blocks[i], (int)(i & 0x7F), SIZE));
        } else {
            blocks[i] = cairn_alloc(heap, SIZE);
            bytes_fill(blocks[i], (int)(i & 0x7F), SIZE);
        }
    }
    assert_int_equal(stats_of(heap)->pools_full, POOLS);
    assert_int_equal(stats_of(heap)->resident_bytes, POOLS * POOL);
    for (size_t i = 0; i < POOLS * IN_POOL; i++) {
        assert_true(bytes_are(blocks[i], (int)(i & 0x7F), SIZE));
        drop(heap, &blocks[i]);
    }
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* ---- against a model: which pages a live block touches ---- */

/* The pages, of those that a block of `blocks` ever touched, that no live one touches and that lie in a pool with one. */
static size_t pages_to_go(void *const *ever, void *const *live, size_t count, size_t size, size_t slot)
{
    size_t page = os_page_size();
    size_t pages = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = (uintptr_t)ever[i];
        for (uintptr_t at = start & ~(page - 1); at < start + size; at += page) {
            bool seen = false;
            bool touched = false;
            bool pool_lives = false;
            for (size_t j = 0; j < count; j++) {
                uintptr_t other = (uintptr_t)ever[j];
                bool touches = other < at + page && other + size > at;
                seen = seen || (j < i && touches);
                touched = touched || (live[j] && touches);
                pool_lives = pool_lives || (live[j] && other / slot == at / slot);
            }
            pages += !seen && !touched && pool_lives;
        }
    }
    return pages;
}

static void random_survivors(const char *preset, size_t first_block, size_t size, size_t slot, unsigned percent)
{
    uint64_t random = test_seed() + size + percent;
    cairn_heap *heap = heap_of(preset, first_block);
    void *first = cairn_alloc(heap, size);
    size_t given = cairn_usable_size(first);
    cairn_free(heap, first);
    size_t count = 5 * ((slot - first_block) / given); /* whole pools */
    void **blocks = fill(heap, size, count);
    void **ever = calloc(count, sizeof ever[0]);
    assert_non_null(ever);
    for (int round = 0; round < 4; round++) {
        memcpy(ever, blocks, count * sizeof ever[0]);
        for (size_t i = 0; i < count; i++) {
            if (!random_chance(&random, percent)) {
                drop(heap, &blocks[i]);
            }
        }
        size_t expected = pages_to_go(ever, blocks, count, given, slot) * os_page_size();
        size_t purged = stats_of(heap)->purged_bytes;
        size_t bytes = 0;
        assert_true(owner_sweep(&heap->base, SIZE_MAX, true, &bytes));
        assert_int_equal(bytes, expected);
        assert_int_equal(stats_of(heap)->purged_bytes - purged, expected);
        heap_is_sound(heap);
        for (size_t i = 0; i < count; i++) {
            if (blocks[i] == NULL) {
                blocks[i] = cairn_alloc(heap, size);
                assert_non_null(blocks[i]);
                bytes_fill(blocks[i], (int)(i & 0x7F), size);
            }
        }
        for (size_t i = 0; i < count; i++) {
            assert_true(bytes_are(blocks[i], (int)(i & 0x7F), size));
        }
        heap_is_sound(heap);
    }
    for (size_t i = 0; i < count; i++) {
        drop(heap, &blocks[i]);
    }
    free(ever);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void exactly_the_pages_without_live_blocks_go(void **state)
{
    (void)state;
    static const size_t sizes[] = {48, 64, 112, 208, 512, 832};
    static const unsigned percents[] = {0, 1, 3, 20};
    for (size_t p = 0; p < COUNT_OF(percents); p++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            random_survivors("default", 0, sizes[i], POOL, percents[p]);
            random_survivors("default", 48, sizes[i], POOL, percents[p]);
        }
        random_survivors("default", 0, 1100, SPAN_SLOT, percents[p]);
        random_survivors("default", 0, 5000, SPAN_SLOT, percents[p] * 5);
        random_survivors("default", 0, 16000, SPAN_SLOT, percents[p] * 5);
    }
}

/* ---- when ---- */

static void drop_but_one(cairn_heap *heap, void **blocks, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        drop(heap, &blocks[i]);
    }
}

static void only_pools_at_rest_are_purged(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT);
    drop_but_one(heap, blocks, COUNT);
    size_t bytes = 0;
    for (int pass = 0; pass < 3; pass++) {
        assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
        assert_int_equal(bytes, 0);
        assert_true(sweep_armed(&heap->base));
        cairn_free(heap, cairn_alloc(heap, SIZE)); /* not at rest */
    }
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_int_equal(bytes, 3 * os_page_size());
    assert_false(sweep_armed(&heap->base));
    free(blocks);
    cairn_heap_destroy(heap);
}

static void a_block_back_in_a_full_pool_arms_the_sweep(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT + 1); /* the next pool shows that this one is full */
    assert_false(sweep_armed(&heap->base));
    drop(heap, &blocks[7]);
    assert_true(sweep_armed(&heap->base));
    free(blocks);
    cairn_heap_destroy(heap);
}

/* Two pools of which each was used up twice; both wait for blocks on the used list. The pool of blocks[0] served last. */
static void **used_up_twice(cairn_heap *heap, size_t size, size_t in_pool)
{
    void **blocks = fill(heap, size, 2 * in_pool);
    drop(heap, &blocks[0]);
    drop(heap, &blocks[in_pool]);
    blocks[in_pool] = cairn_alloc(heap, size);
    blocks[0] = cairn_alloc(heap, size);
    assert_int_equal(stats_of(heap)->pools_full, 2);
    return blocks;
}

static void frees_into_a_pool_that_waits_for_its_turn_stay_on_the_hot_path(void **state)
{
    (void)state;
    enum { SIZE = 128, IN_POOL = POOL / SIZE };
    cairn_heap *heap = heap_of("default", 0);
    void **blocks = used_up_twice(heap, SIZE, IN_POOL);
    void *freed = blocks[IN_POOL + 3];
    const struct pool *waits = pagemap_get(freed);
    assert_int_equal(atomic_load(&waits->fast), heap->base.mark);
    drop(heap, &blocks[IN_POOL + 3]);
    assert_ptr_equal(cairn_alloc(heap, SIZE), freed); /* its turn: the other is used up */
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void frees_after_a_pass_arm_the_sweep_though_no_pool_was_full(void **state)
{
    (void)state;
    enum { SIZE = 128, IN_POOL = POOL / SIZE };
    cairn_heap *heap = heap_of("default", 0);
    void **blocks = used_up_twice(heap, SIZE, IN_POOL);
    size_t bytes = 0;
    assert_true(sweep_armed(&heap->base));
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(sweep_armed(&heap->base));
    drop_but_one(heap, &blocks[IN_POOL], IN_POOL);
    assert_true(sweep_armed(&heap->base));
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_true(owner_sweep(&heap->base, SIZE_MAX, false, &bytes));
    assert_int_equal(bytes, 3 * os_page_size());
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* A loop at the border of a pool would else take and return one in each turn. */
static void the_pool_that_serves_stays_when_it_empties_and_goes_when_pools_run_short(void **state)
{
    (void)state;
    enum { SIZE = 128, IN_POOL = POOL / SIZE };
    cairn_heap *heap = heap_of("default", 0);
    void **blocks = fill(heap, SIZE, IN_POOL + 1);
    drop(heap, &blocks[0]); /* another pool with room */
    drop(heap, &blocks[IN_POOL]);
    assert_int_equal(stats_of(heap)->arenas, 1);
    size_t in_pools = heap->held_bytes;
    assert_int_equal(in_pools, 2 * POOL);
    void **others = fill(heap, 2 * SIZE, 63 * (IN_POOL / 2)); /* all the arena's slots but the first pool's */
    assert_int_equal(stats_of(heap)->arenas, 1);
    assert_ptr_equal(pagemap_get(cairn_alloc(heap, SIZE)), pagemap_get(blocks[1]));
    heap_is_sound(heap);
    free(others);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void a_sweep_goes_on_where_a_slice_ended(void **state)
{
    (void)state;
    enum { SIZE = 128, IN_POOL = POOL / SIZE, POOLS = 6 };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, POOLS * IN_POOL);
    for (size_t i = 0; i < POOLS; i++) {
        drop_but_one(heap, blocks + i * IN_POOL, IN_POOL);
    }
    size_t bytes = 0;
    for (size_t i = 1; i < POOLS; i++) {
        assert_false(owner_sweep(&heap->base, 1, true, &bytes));
        assert_int_equal(bytes, i * 3 * os_page_size());
    }
    size_t next = 0;
    while (pagemap_get(blocks[next * IN_POOL]) != heap->base.sweep.next) {
        next++;
        assert_true(next < POOLS);
    }
    drop(heap, &blocks[next * IN_POOL]); /* the pool that comes next goes */
    assert_int_equal(bytes, (POOLS - 1) * 3 * os_page_size());
    assert_true(heap->base.sweep.next == NULL);
    heap_is_sound(heap);
    assert_true(owner_sweep(&heap->base, 1, true, &bytes));
    free(blocks);
    cairn_heap_destroy(heap);
}

/* ---- what can go wrong ---- */

static void a_refused_purge_loses_nothing(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT);
    drop_but_one(heap, blocks, COUNT);
    os_fake_refuse_from(OS_FAKE_PURGE, 0);
    assert_int_equal(cairn_trim(heap), 0);
    assert_true(os_fake_rule_refused() > 0);
    os_fake_refuse_none();
    heap_is_sound(heap);
    for (size_t i = 1; i < COUNT; i++) {
        blocks[i] = cairn_alloc(heap, SIZE);
        bytes_fill(blocks[i], 1, SIZE);
    }
    assert_true(bytes_are(blocks[0], 0, SIZE));
    assert_int_equal(stats_of(heap)->pools_full, 1);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static unsigned reports;
static unsigned strays;

static void count_report(const cairn_misuse *misuse)
{
    reports += misuse->kind == CAIRN_MISUSE_DOUBLE_FREE;
    strays += misuse->kind == CAIRN_MISUSE_INTERIOR;
}

/* A free block was written to: its link leads out of the pool. Under the lock that a sweep of the common owner holds. */
static void a_link_out_of_the_pool_is_reported_by_its_holder(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT);
    struct pool *pool = pagemap_get(blocks[0]);
    drop_but_one(heap, blocks, COUNT);
    struct block *behind = pool->free->next;
    pool->free->next = (struct block *)(void *)blocks; /* memory of nobody's */
    strays = 0;
    cairn_misuse_handler handler = cairn_set_misuse_handler(count_report);
    size_t bytes = 0;
    os_lock_take(&heap->lock);
    heap->base.common = true;
    assert_true(owner_sweep(&heap->base, SIZE_MAX, true, &bytes));
    heap->base.common = false;
    os_lock_give(&heap->lock);
    cairn_set_misuse_handler(handler);
    assert_int_equal(bytes, 0);
    assert_int_equal(strays, 1);
    pool->free->next = behind;
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

static void freeing_a_block_in_a_purged_page_again_is_reported(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT);
    void *last = blocks[COUNT - 1];
    drop_but_one(heap, blocks, COUNT);
    assert_true(cairn_trim(heap) > 0);
    reports = 0;
    cairn_misuse_handler before = cairn_set_misuse_handler(count_report);
    assert_null(cairn_realloc(heap, last, 300));
    assert_int_equal(cairn_usable_size(last), 0);
    cairn_set_misuse_handler(before);
    assert_int_equal(reports, 2);
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

/* Freed twice, with another free in between: nothing sees it at once but debug builds, and the free list has a cycle. */
static void a_damaged_free_list_is_reported_and_left_alone(void **state)
{
    (void)state;
    enum { SIZE = 128, COUNT = POOL / SIZE };
    cairn_heap *heap = heap_of("cpython", 0);
    void **blocks = fill(heap, SIZE, COUNT);
    struct pool *pool = pagemap_get(blocks[0]);
    drop_but_one(heap, blocks, COUNT);
    struct block *newest = pool->free;
    struct block *before = newest->next;
    struct block *behind = before->next;
    before->next = newest;
    reports = 0;
    cairn_misuse_handler handler = cairn_set_misuse_handler(count_report);
    size_t bytes = 0;
    assert_true(owner_sweep(&heap->base, SIZE_MAX, true, &bytes));
    cairn_set_misuse_handler(handler);
    assert_int_equal(bytes, 0);
    assert_int_equal(reports, 1);
    before->next = behind;
    heap_is_sound(heap);
    free(blocks);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_survivor_keeps_one_page_of_its_pool),
        cmocka_unit_test(exactly_the_pages_without_live_blocks_go),
        cmocka_unit_test(only_pools_at_rest_are_purged),
        cmocka_unit_test(a_block_back_in_a_full_pool_arms_the_sweep),
        cmocka_unit_test(frees_into_a_pool_that_waits_for_its_turn_stay_on_the_hot_path),
        cmocka_unit_test(frees_after_a_pass_arm_the_sweep_though_no_pool_was_full),
        cmocka_unit_test(the_pool_that_serves_stays_when_it_empties_and_goes_when_pools_run_short),
        cmocka_unit_test(a_sweep_goes_on_where_a_slice_ended),
        cmocka_unit_test(a_refused_purge_loses_nothing),
        cmocka_unit_test(a_damaged_free_list_is_reported_and_left_alone),
        cmocka_unit_test(a_link_out_of_the_pool_is_reported_by_its_holder),
        cmocka_unit_test(freeing_a_block_in_a_purged_page_again_is_reported),
    };
    os_fake_install();
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
