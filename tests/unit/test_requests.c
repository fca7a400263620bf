/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_requests.c: what each request promises, on every preset and both kinds of heap. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/geometry.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

/* Each test runs on six heaps: `state` is one of these. */
struct variant {
    const char *preset;
    bool single;
    cairn_heap *heap;
    cairn_geometry geometry;
};

static int set_up(void **state)
{
    struct variant *variant = *state;
    variant->heap = heap_of_preset(variant->preset, variant->single);
    cairn_heap_geometry(variant->heap, &variant->geometry);
    return 0;
}

static int tear_down(void **state)
{
    struct variant *variant = *state;
    size_t faults = cairn_heap_check(variant->heap, stderr);
    cairn_heap_destroy(variant->heap);
    return faults == 0 ? 0 : -1;
}

static cairn_heap *heap_in(void **state)
{
    return ((struct variant *)*state)->heap;
}

/* All sizes that matter: every small one, and around each border further up. */
static size_t next_size(size_t size)
{
    if (size < 2100) {
        return size + 1;
    }
    size_t power = 1;
    while (power <= size) {
        power *= 2;
    }
    /* power/2 <= size < power: visit power - 1, power, power + 1 and three places between. */
    if (size < power - 1) {
        size_t step = size + power / 8;
        return step < power - 1 ? step : power - 1;
    }
    return power;
}

static void every_size_is_aligned_distinct_and_usable(void **state)
{
    const struct variant *variant = *state;
    cairn_heap *heap = heap_in(state);
    for (size_t size = 0; size <= MIB(8); size = next_size(size)) {
        void *a = cairn_alloc(heap, size);
        void *b = cairn_alloc(heap, size);
        assert_non_null(a);
        assert_non_null(b);
        assert_true(aligned_to(a, size >= 16 ? variant->geometry.alignment : 8));
        size_t usable = cairn_usable_size(a);
        assert_true(usable >= size && usable > 0);
        assert_int_equal(cairn_usable_size(b), usable);
        uintptr_t low = address_of(a) < address_of(b) ? address_of(a) : address_of(b);
        uintptr_t high = address_of(a) < address_of(b) ? address_of(b) : address_of(a);
        assert_true(low + usable <= high);
        pattern_fill(a, usable, 1);
        pattern_fill(b, usable, 2);
        assert_true(pattern_holds(a, usable, usable, 1));
        assert_true(pattern_holds(b, usable, usable, 2));
        cairn_free(heap, a);
        cairn_free(heap, b);
    }
}

static void rounding_stays_within_an_eighth(void **state)
{
    cairn_heap *heap = heap_in(state);
    for (size_t size = 1024; size <= MIB(8); size = next_size(size)) {
        void *block = cairn_alloc(heap, size);
        assert_non_null(block);
        size_t usable = cairn_usable_size(block);
        size_t most = size <= KIB(64) ? size + size / 8 + 8 : size + KIB(64);
        if (usable > most) {
            fail_msg("%zu bytes got %zu", size, usable);
        }
        cairn_free(heap, block);
    }
}

static void zero_sizes_give_distinct_blocks(void **state)
{
    cairn_heap *heap = heap_in(state);
    volatile size_t huge = SIZE_MAX;
    void *blocks[] = {cairn_alloc(heap, 0),        cairn_calloc(heap, 0, 8),     cairn_calloc(heap, 8, 0),
                      cairn_calloc(heap, 0, huge), cairn_realloc(heap, NULL, 0), cairn_alloc_aligned(heap, 64, 0)};
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        assert_non_null(blocks[i]);
        assert_true(cairn_usable_size(blocks[i]) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(address_of(blocks[i]), address_of(blocks[j]));
        }
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(heap, blocks[i]);
    }
}

static void expect_no_memory(void *answer)
{
    int error = errno;
    assert_null(answer);
    assert_int_equal(error, ENOMEM);
    errno = 0;
}

/* The sizes are volatile so that the compiler does not refuse them first. */
static void sizes_beyond_ptrdiff_max_are_enomem(void **state)
{
    cairn_heap *heap = heap_in(state);
    volatile size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX,    SIZE_MAX - 4095, SIZE_MAX - 65535,
                               SIZE_MAX / 2 + 2,        PTRDIFF_MAX, (size_t)1 << 50};
    void *block = cairn_alloc(heap, 100);
    assert_non_null(block);
    pattern_fill(block, 100, 7);
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        expect_no_memory(cairn_alloc(heap, sizes[i]));
        expect_no_memory(cairn_calloc(heap, 1, sizes[i]));
        expect_no_memory(cairn_calloc(heap, sizes[i], 1));
        expect_no_memory(cairn_alloc_aligned(heap, 4096, sizes[i]));
        expect_no_memory(cairn_alloc_aligned(heap, MIB(2), sizes[i]));
        expect_no_memory(cairn_realloc(heap, block, sizes[i]));
        expect_no_memory(cairn_realloc(heap, NULL, sizes[i]));
    }
    assert_true(pattern_holds(block, 100, 100, 7));
    assert_int_equal(stats_of(heap)->requests_failed, 7 * COUNT_OF(sizes));
    assert_int_equal(stats_of(heap)->live_blocks, 1);
    cairn_free(heap, block);
}

static void calloc_products_that_overflow_are_enomem(void **state)
{
    cairn_heap *heap = heap_in(state);
    volatile size_t pairs[][2] = {{SIZE_MAX, 2},
                                  {2, SIZE_MAX},
                                  {SIZE_MAX, SIZE_MAX},
                                  {SIZE_MAX / 2 + 1, 2},
                                  {(size_t)1 << 32, (size_t)1 << 32},
                                  {SIZE_MAX / 3 + 1, 3}};
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        expect_no_memory(cairn_calloc(heap, pairs[i][0], pairs[i][1]));
    }
}

static void calloc_is_zero_where_dirty_blocks_were(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {1, 8, 40, 500, 1000, 4000, 30000, KIB(64), KIB(200), MIB(1), MIB(5)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int round = 0; round < 3; round++) {
            void *dirty[4];
            for (size_t j = 0; j < COUNT_OF(dirty); j++) {
                dirty[j] = cairn_alloc(heap, sizes[i]);
                assert_non_null(dirty[j]);
                bytes_fill(dirty[j], 0xFF, cairn_usable_size(dirty[j]));
            }
            for (size_t j = 0; j < COUNT_OF(dirty); j++) {
                cairn_free(heap, dirty[j]);
            }
            void *clean[5];
            for (size_t j = 0; j < COUNT_OF(clean); j++) {
                clean[j] = cairn_calloc(heap, 1, sizes[i]);
                assert_non_null(clean[j]);
                assert_true(bytes_are(clean[j], 0, sizes[i]));
                bytes_fill(clean[j], 0xFF, cairn_usable_size(clean[j]));
            }
            for (size_t j = 0; j < COUNT_OF(clean); j++) {
                cairn_free(heap, clean[j]);
            }
        }
    }
}

static void every_alignment_to_64_mib_is_given(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {0, 1, 24, 100, 1000, 5000, 70000, MIB(3)};
    for (size_t alignment = 1; alignment <= MIB(64); alignment *= 2) {
        void *blocks[COUNT_OF(sizes)];
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            blocks[i] = cairn_alloc_aligned(heap, alignment, sizes[i]);
            assert_non_null(blocks[i]);
            assert_true(aligned_to(blocks[i], alignment));
            size_t usable = cairn_usable_size(blocks[i]);
            assert_true(usable >= sizes[i]);
            pattern_fill(blocks[i], usable, i);
        }
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            size_t usable = cairn_usable_size(blocks[i]);
            assert_true(pattern_holds(blocks[i], usable, usable, i));
            cairn_free(heap, blocks[i]);
        }
    }
    cairn_trim(heap);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
}

static void alignments_that_are_no_power_of_two_are_einval(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t bad[] = {0, 3, 6, 24, 48, 4097, KIB(4) * 3, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        errno = 0;
        void *block = cairn_alloc_aligned(heap, bad[i], 100);
        assert_int_equal(errno, EINVAL);
        assert_null(block);
    }
    assert_int_equal(stats_of(heap)->live_blocks, 0);
}

static void absurd_alignments_are_enomem(void **state)
{
    cairn_heap *heap = heap_in(state);
    volatile size_t alignment = (size_t)1 << 63;
    errno = 0;
    expect_no_memory(cairn_alloc_aligned(heap, alignment, 100));
    alignment = (size_t)1 << 55;
    expect_no_memory(cairn_alloc_aligned(heap, alignment, 100));
}

/* ---- resize ---- */

static void realloc_of_null_allocates(void **state)
{
    cairn_heap *heap = heap_in(state);
    void *block = cairn_realloc(heap, NULL, 1000);
    assert_non_null(block);
    assert_true(cairn_usable_size(block) >= 1000);
    assert_int_equal(stats_of(heap)->live_blocks, 1);
    cairn_free(heap, block);
}

static void realloc_to_0_gives_the_smallest_block_and_does_not_free(void **state)
{
    cairn_heap *heap = heap_in(state);
    void *smallest = cairn_alloc(heap, 0);
    size_t usable = cairn_usable_size(smallest);
    const size_t sizes[] = {1, 100, 5000, KIB(200), MIB(4)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i]);
        block = cairn_realloc(heap, block, 0);
        assert_non_null(block);
        assert_int_equal(cairn_usable_size(block), usable);
        assert_int_equal(stats_of(heap)->live_blocks, 2);
        cairn_free(heap, block);
    }
    cairn_free(heap, smallest);
}

static void realloc_within_the_usable_size_stays_in_place(void **state)
{
    cairn_heap *heap = heap_in(state);
    for (size_t size = 1; size <= MIB(4); size = next_size(size)) {
        void *block = cairn_alloc(heap, size);
        uintptr_t place = address_of(block);
        size_t usable = cairn_usable_size(block);
        uint64_t requests = stats_of(heap)->requests;
        block = cairn_realloc(heap, block, usable);
        assert_int_equal(address_of(block), place);
        assert_int_equal(stats_of(heap)->requests, requests);
        assert_int_equal(cairn_usable_size(block), usable);
        cairn_free(heap, block);
        size = size < 2100 ? size + 30 : size;
    }
}

/* From every size to every size: contents kept up to the smaller. */
static void realloc_keeps_contents_from_any_size_to_any(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {1,    8,     17,    100,   512,    513,      1024,   1025,   3000,       8192,
                            8193, 20000, 65536, 65537, 131072, KIB(500), MIB(1), MIB(2), MIB(2) + 1, MIB(5)};
    for (size_t from = 0; from < COUNT_OF(sizes); from++) {
        for (size_t to = 0; to < COUNT_OF(sizes); to++) {
            void *block = cairn_alloc(heap, sizes[from]);
            void *neighbour = cairn_alloc(heap, sizes[from]);
            size_t usable = cairn_usable_size(block);
            pattern_fill(block, usable, 3);
            pattern_fill(neighbour, usable, 4);
            block = cairn_realloc(heap, block, sizes[to]);
            assert_non_null(block);
            assert_true(cairn_usable_size(block) >= sizes[to]);
            assert_true(pattern_holds(block, usable, sizes[to], 3));
            pattern_fill(block, cairn_usable_size(block), 5);
            assert_true(pattern_holds(neighbour, usable, usable, 4));
            cairn_free(heap, block);
            cairn_free(heap, neighbour);
        }
    }
}

static void a_shrunk_block_gives_its_memory_back(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {KIB(32), KIB(256), MIB(1), MIB(16)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i]);
        pattern_fill(block, cairn_usable_size(block), 6);
        block = cairn_realloc(heap, block, sizes[i] / 8);
        assert_non_null(block);
        assert_true(cairn_usable_size(block) < sizes[i] / 2);
        assert_true(stats_of(heap)->live_bytes < sizes[i] / 2);
        cairn_free(heap, block);
    }
}

static void a_large_block_grows_in_place_into_the_hole_behind(void **state)
{
    cairn_heap *heap = heap_in(state);
    void *block = cairn_alloc(heap, KIB(100));
    uintptr_t place = address_of(block);
    for (size_t size = KIB(200); size <= MIB(1); size += KIB(100)) {
        block = cairn_realloc(heap, block, size);
        assert_int_equal(address_of(block), place);
        assert_true(cairn_usable_size(block) >= size);
    }
    assert_int_equal(stats_of(heap)->requests, 1);
    cairn_free(heap, block);
}

/* A huge block is never copied: growth is left to remap, so pages keep their place in memory and the heap never holds
 * two copies. */
static void huge_blocks_grow_by_remap(void **state)
{
    cairn_heap *heap = heap_in(state);
    void *block = cairn_alloc(heap, MIB(6));
    assert_non_null(block);
    pattern_fill(block, MIB(6), 8);
    size_t held = stats_of(heap)->held_bytes;
    os_fake_reset();
    size_t size = MIB(6);
    for (int i = 0; i < 6; i++) {
        size += MIB(6);
        block = cairn_realloc(heap, block, size);
        assert_non_null(block);
        assert_true(pattern_holds(block, MIB(6), MIB(6), 8));
    }
    assert_true(os_fake_calls().remap >= 6);
    assert_true(stats_of(heap)->held_peak <= size + held);
    assert_true(bytes_are((char *)block + MIB(20), 0, MIB(1))); /* new pages are zero, not copied from anywhere */
    assert_int_equal(stats_of(heap)->huge_blocks, 1);
    cairn_free(heap, block);
}

static void a_refused_resize_leaves_the_block_as_it_was(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {10, 1000, 50000, KIB(300), MIB(5)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i]);
        size_t usable = cairn_usable_size(block);
        pattern_fill(block, usable, i);
        os_fake_refuse_from(OS_FAKE_GROWTH, 0);
        errno = 0;
        expect_no_memory(cairn_realloc(heap, block, MIB(100)));
        os_fake_refuse_none();
        assert_int_equal(cairn_usable_size(block), usable);
        assert_true(pattern_holds(block, usable, usable, i));
        heap_is_sound(heap);
        cairn_free(heap, block);
    }
}

/* ---- free ---- */

static void free_preserves_errno(void **state)
{
    cairn_heap *heap = heap_in(state);
    const size_t sizes[] = {0, 100, 2000, 50000, KIB(300), MIB(3), MIB(20)};
    for (size_t i = 0; i < 3 * COUNT_OF(sizes); i++) {
        void *block = cairn_alloc(heap, sizes[i % COUNT_OF(sizes)]);
        os_fake_refuse_from(i % 3 == 0 ? 0u : (unsigned)(OS_FAKE_PURGE | OS_FAKE_RELEASE), 0);
        errno = EXDEV;
        cairn_free(heap, block);
        int after = errno;
        os_fake_refuse_none();
        assert_int_equal(after, EXDEV);
    }
    errno = EXDEV;
    cairn_free(heap, NULL);
    assert_int_equal(errno, EXDEV);
}

static void success_does_not_touch_the_live_count_of_failures(void **state)
{
    cairn_heap *heap = heap_in(state);
    for (size_t size = 0; size < MIB(3); size = size * 3 + 1) {
        void *block = cairn_alloc(heap, size);
        assert_non_null(block);
        cairn_free(heap, block);
    }
    assert_int_equal(stats_of(heap)->requests_failed, 0);
}

/* Blocks that are live at once, and all freed behind. */
static size_t from_holes(cairn_heap *heap, size_t size, size_t count)
{
    enum { MOST = 64 };
    void *blocks[MOST];
    assert_true(count <= MOST);
    size_t before = stats_of(heap)->large_blocks;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = cairn_alloc(heap, size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 0x5A, size);
    }
    size_t holes = stats_of(heap)->large_blocks - before;
    for (size_t i = 0; i < count; i++) {
        cairn_free(heap, blocks[i]);
    }
    return holes;
}

static void a_heap_that_is_told_so_serves_a_few_requests_of_a_class_from_holes(void **state)
{
    only_with_pools();
    cairn_heap *heap = heap_in(state);
    assert_int_equal(from_holes(heap, 256, 8), 0);
    geometry_few_from_holes(heap, 128, 3);
    assert_int_equal(from_holes(heap, 128, 8), 0);
    assert_int_equal(from_holes(heap, 400, 8), 3);
    assert_int_equal(from_holes(heap, 400, 8), 0); /* they are counted for good */
    size_t before = stats_of(heap)->large_blocks;
    void *block = cairn_alloc_aligned(heap, 8, 600); /* no more than any request has: one of the few */
    assert_int_equal(stats_of(heap)->large_blocks, before + 1);
    cairn_free(heap, block);
}

static void usable_size_of_null_is_0(void **state)
{
    (void)state;
    assert_int_equal(cairn_usable_size(NULL), 0);
}

#define ON(variant, name)                                                                                              \
    {                                                                                                                  \
#name " on " #variant, name, set_up, tear_down, &variant                                                       \
    }
#define ON_ALL(name)                                                                                                   \
    ON(classic_single, name), ON(classic_shared, name), ON(cpython_single, name), ON(cpython_shared, name),            \
        ON(default_single, name), ON(default_shared, name)

int main(void)
{
    static struct variant classic_single = {.preset = "classic", .single = true};
    static struct variant classic_shared = {.preset = "classic", .single = false};
    static struct variant cpython_single = {.preset = "cpython", .single = true};
    static struct variant cpython_shared = {.preset = "cpython", .single = false};
    static struct variant default_single = {.preset = "default", .single = true};
    static struct variant default_shared = {.preset = "default", .single = false};
    os_fake_install();
    const struct CMUnitTest tests[] = {
        ON_ALL(every_size_is_aligned_distinct_and_usable),
        ON_ALL(rounding_stays_within_an_eighth),
        ON_ALL(zero_sizes_give_distinct_blocks),
        ON_ALL(sizes_beyond_ptrdiff_max_are_enomem),
        ON_ALL(calloc_products_that_overflow_are_enomem),
        ON_ALL(calloc_is_zero_where_dirty_blocks_were),
        ON_ALL(every_alignment_to_64_mib_is_given),
        ON_ALL(alignments_that_are_no_power_of_two_are_einval),
        ON_ALL(absurd_alignments_are_enomem),
        ON_ALL(realloc_of_null_allocates),
        ON_ALL(realloc_to_0_gives_the_smallest_block_and_does_not_free),
        ON_ALL(realloc_within_the_usable_size_stays_in_place),
        ON_ALL(realloc_keeps_contents_from_any_size_to_any),
        ON_ALL(a_shrunk_block_gives_its_memory_back),
        ON_ALL(a_large_block_grows_in_place_into_the_hole_behind),
        ON_ALL(huge_blocks_grow_by_remap),
        ON_ALL(a_refused_resize_leaves_the_block_as_it_was),
        ON_ALL(free_preserves_errno),
        ON_ALL(success_does_not_touch_the_live_count_of_failures),
        ON_ALL(usable_size_of_null_is_0),
        ON_ALL(a_heap_that_is_told_so_serves_a_few_requests_of_a_class_from_holes),
    };
    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
