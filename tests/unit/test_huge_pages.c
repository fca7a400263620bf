/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_huge_pages.c: what the system is told about huge pages, and where memory lies for them, by a heap's `huge`.
 * Whether the system then gives any is its own affair. */

#include <errno.h>
#include <stdint.h>

#include "support/os_fake.h"
#include "support/test.h"

enum { POOL = 16 * 1024, BLOCK = 512, IN_POOL = POOL / BLOCK, IN_ARENA = 64 * IN_POOL };

static const size_t huge_page = (size_t)2 << 20;

static cairn_heap *heap_with(cairn_huge huge)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    geometry.first_block = 0;
    options.single = true;
    options.huge = huge;
    options.keep_percent = 25;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    os_fake_reset();
    return heap;
}

static char *block_of(cairn_heap *heap, size_t size)
{
    char *block = cairn_alloc(heap, size);
    assert_non_null(block);
    return block;
}

static size_t advice(void)
{
    return os_fake_calls().advise;
}

/* Of a bound of 25 percent one huge page is a part from 8 MiB on. */
static void by_auto_holes_beyond_what_is_kept_lie_on_huge_pages(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with(CAIRN_HUGE_AUTO);
    for (size_t i = 0; i < 4; i++) {
        (void)block_of(heap, MIB(2) - KIB(64));
    }
    assert_int_equal(advice(), 0);
    (void)block_of(heap, MIB(2));
    assert_int_equal(advice(), 0);
    (void)block_of(heap, KIB(100));
    assert_int_equal(advice(), 1);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void by_auto_only_mapped_blocks_are_spoken_of(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with(CAIRN_HUGE_AUTO);
    for (size_t i = 0; i < IN_ARENA + 1; i++) {
        (void)block_of(heap, BLOCK);
    }
    (void)block_of(heap, KIB(100));
    (void)block_of(heap, MIB(4));
    assert_int_equal(stats_of(heap)->arenas, 2);
    assert_int_equal(advice(), 0);
    assert_int_equal((uintptr_t)block_of(heap, MIB(5)) % huge_page, 0);
    assert_int_equal(advice(), 1);
    assert_non_null(cairn_calloc(heap, 1, MIB(5))); /* of a table of zeros little may be touched */
    assert_int_equal(advice(), 1);
    cairn_heap_destroy(heap);
}

static void by_never_all_memory_is_refused_huge_pages(void **state)
{
    (void)state;
    cairn_heap *heap = heap_with(CAIRN_HUGE_NEVER);
    (void)block_of(heap, BLOCK);
    assert_int_equal(advice(), 1);
    (void)block_of(heap, KIB(100));
    assert_int_equal(advice(), 2);
    (void)block_of(heap, MIB(5));
    assert_int_equal(advice(), 3);
    assert_non_null(cairn_calloc(heap, 1, MIB(5)));
    assert_int_equal(advice(), 4);
    cairn_heap_destroy(heap);
}

static void by_always_two_small_arenas_lie_in_one_huge_page(void **state)
{
    (void)state;
    size_t before = os_fake_reserved_bytes();
    cairn_heap *heap = heap_with(CAIRN_HUGE_ALWAYS);
    uintptr_t place[3];
    for (size_t arena = 0; arena < 3; arena++) {
        place[arena] = (uintptr_t)block_of(heap, BLOCK);
        for (size_t i = 1; i < IN_ARENA; i++) {
            (void)block_of(heap, BLOCK);
        }
    }
    assert_int_equal(stats_of(heap)->arenas, 3);
    assert_int_equal(advice(), 2);
    assert_int_equal(place[0] / huge_page, place[1] / huge_page);
    assert_int_not_equal(place[0], place[1]);
    assert_int_not_equal(place[1] / huge_page, place[2] / huge_page);
    (void)block_of(heap, KIB(100));
    assert_int_equal(advice(), 3);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_int_equal(os_fake_reserved_bytes(), before);
}

/* The advice must not split the mapping: the system remaps within one only. */
static void a_mapped_block_grows_with_its_contents(void **state)
{
    (void)state;
    for (cairn_huge huge = CAIRN_HUGE_AUTO; huge <= CAIRN_HUGE_ALWAYS; huge++) {
        cairn_heap *heap = heap_with(huge);
        size_t size = MIB(5) + KIB(12);
        char *block = block_of(heap, size);
        bytes_fill(block, 3, size);
        block = cairn_realloc(heap, block, MIB(40));
        assert_true(bytes_are(block, 3, size));
        assert_true(os_fake_calls().remap > 0);
        block = cairn_realloc(heap, block, MIB(6));
        assert_true(bytes_are(block, 3, size));
        assert_int_equal(stats_of(heap)->huge_blocks, 1);
        cairn_heap_destroy(heap);
    }
}

static void another_value_is_refused(void **state)
{
    (void)state;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.huge = (cairn_huge)(CAIRN_HUGE_ALWAYS + 1);
    errno = 0;
    assert_null(cairn_heap_create(&options));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_auto_only_mapped_blocks_are_spoken_of),
        cmocka_unit_test(by_auto_holes_beyond_what_is_kept_lie_on_huge_pages),
        cmocka_unit_test(by_never_all_memory_is_refused_huge_pages),
        cmocka_unit_test(by_always_two_small_arenas_lie_in_one_huge_page),
        cmocka_unit_test(a_mapped_block_grows_with_its_contents),
        cmocka_unit_test(another_value_is_refused),
    };
    return cmocka_run_group_tests_name("huge_pages", tests, NULL, NULL);
}
