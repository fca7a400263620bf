/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_geometry.c: presets, and what a geometry may and may not be. */

#include <errno.h>
#include <string.h>

#include "support/test.h"

static void expect_preset(const char *name, size_t arena, size_t pool, size_t alignment, size_t limit, bool at_once,
                          size_t first_block)
{
    cairn_geometry g;
    assert_int_equal(cairn_geometry_preset(name, &g), 0);
    assert_int_equal(g.arena_size, arena);
    assert_int_equal(g.pool_size, pool);
    assert_int_equal(g.alignment, alignment);
    assert_int_equal(g.small_limit, limit);
    assert_int_equal(g.reuse_at_once, at_once);
    assert_int_equal(g.return_at_once, at_once);
    assert_int_equal(g.first_block, first_block);
    assert_null(cairn_geometry_error(&g));
}

static void classic_preset_has_its_published_sizes(void **state)
{
    (void)state;
    expect_preset("classic", KIB(256), KIB(4), 8, 512, true, 0);
}

static void cpython_preset_has_its_published_sizes(void **state)
{
    (void)state;
    expect_preset("cpython", MIB(1), KIB(16), 16, 512, true, 48);
}

static void default_preset_is_usable_and_aligned_to_16(void **state)
{
    (void)state;
    cairn_geometry g;
    assert_int_equal(cairn_geometry_preset("default", &g), 0);
    assert_null(cairn_geometry_error(&g));
    assert_int_equal(g.alignment, 16);
}

static void unknown_preset_is_einval_and_writes_nothing(void **state)
{
    (void)state;
    cairn_geometry g;
    memset(&g, 0x5A, sizeof g);
    cairn_geometry before = g;
    assert_int_equal(cairn_geometry_preset("Classic", &g), EINVAL);
    assert_int_equal(cairn_geometry_preset("", &g), EINVAL);
    assert_memory_equal(&g, &before, sizeof g);
}

static cairn_geometry good(void)
{
    cairn_geometry g;
    assert_int_equal(cairn_geometry_preset("cpython", &g), 0);
    return g;
}

/* The error names the field, and no heap is made of such a geometry. */
static void expect_fault(const cairn_geometry *g, const char *field)
{
    const char *error = cairn_geometry_error(g);
    assert_non_null(error);
    if (strncmp(error, field, strlen(field)) != 0) {
        fail_msg("the error is '%s' and should name %s", error, field);
    }
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.geometry = g;
    errno = 0;
    assert_null(cairn_heap_create(&options));
    assert_int_equal(errno, EINVAL);
}

static void text_names_a_preset_or_fields_of_the_default(void **state)
{
    (void)state;
    cairn_geometry g;
    cairn_geometry preset;
    const char *names[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(cairn_geometry_parse(names[i], &g, NULL, 0), 0);
        assert_int_equal(cairn_geometry_preset(names[i], &preset), 0);
        assert_memory_equal(&g, &preset, offsetof(cairn_geometry, reuse_at_once));
        assert_int_equal(g.first_block, preset.first_block);
    }
    assert_int_equal(cairn_geometry_parse("pool=32K", &g, NULL, 0), 0); /* now preset is "default" */
    assert_int_equal(g.pool_size, KIB(32));
    assert_int_equal(g.arena_size, preset.arena_size);
    assert_int_equal(g.medium_limit, preset.medium_limit);
    assert_int_equal(g.return_at_once, preset.return_at_once);
    char error[100] = "x";
    const char *all = "first=24,return=1,reuse=1,medium=4KiB,small=256,align=8,pool=8192,arena=512KB";
    assert_int_equal(cairn_geometry_parse(all, &g, error, sizeof error), 0);
    assert_string_equal(error, "");
    assert_int_equal(g.arena_size, KIB(512));
    assert_int_equal(g.pool_size, KIB(8));
    assert_int_equal(g.alignment, 8);
    assert_int_equal(g.small_limit, 256);
    assert_int_equal(g.medium_limit, KIB(4));
    assert_true(g.reuse_at_once && g.return_at_once);
    assert_int_equal(g.first_block, 24);
}

static void text_that_is_no_geometry_is_told_why(void **state)
{
    (void)state;
    const struct {
        const char *text, *error;
    } bad[] = {
        {"", "unknown geometry ''; valid: classic, cpython, default, or fields such as arena=1M,pool=16K"},
        {"square", "unknown geometry 'square'; valid: classic, cpython, default, or fields such as arena=1M,pool=16K"},
        {"arenas=1M", "unknown key 'arenas'; valid: arena, pool, align, small, medium, reuse, return, first"},
        {"arena=1M,", "unknown key ''; valid: arena, pool, align, small, medium, reuse, return, first"},
        {",arena=1M", "unknown key ''; valid: arena, pool, align, small, medium, reuse, return, first"},
        {"=1", "unknown key ''; valid: arena, pool, align, small, medium, reuse, return, first"},
        {"arena=1M,classic", "unknown key 'classic'; valid: arena, pool, align, small, medium, reuse, return, first"},
        {"arena=1M,pool", "pool needs a value, such as arena=1M,pool=16K"},
        {"arena=1M,pool=8K,arena=2M", "arena is given twice"},
        {"arena=", "arena='' must be bytes, or a number with K or M, such as 16K"},
        {"arena=-1", "arena='-1' must be bytes, or a number with K or M, such as 16K"},
        {"pool=16 K", "pool='16 K' must be bytes, or a number with K or M, such as 16K"},
        {"pool=0x1000", "pool='0x1000' must be bytes, or a number with K or M, such as 16K"},
        {"pool=16384T", "pool=18014398509481984: pool_size must be a power of two from 4 KiB to 512 KiB"},
        {"pool=16777216T", "pool='16777216T' must be bytes, or a number with K or M, such as 16K"},
        {"pool=99999999999999999999",
         "pool='99999999999999999999' must be bytes, or a number with K or M, such as 16K"},
        {"reuse=2", "reuse='2' must be 0 or 1"},
        {"return=yes", "return='yes' must be 0 or 1"},
        {"pool=0", "pool=0: pool_size must be a power of two from 4 KiB to 512 KiB"},
        {"arena=3M", "arena=3145728: arena_size must be a power of two from 4 to 64 times pool_size"},
        {"pool=512K", "arena=1048576: arena_size must be a power of two from 4 to 64 times pool_size"},
        {"align=32", "align=32: alignment must be 8 or 16"},
        {"small=2K", "small=2048: small_limit must be a multiple of alignment from 64 to 64 times alignment"},
        {"medium=512", "medium=512: medium_limit must be a power of two from 1024 to 16384"},
        {"first=8", "first=8: first_block must be a multiple of alignment, at most 240"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        cairn_geometry before = g;
        char error[200];
        char narrow[9];
        assert_int_equal(cairn_geometry_parse(bad[i].text, &g, error, sizeof error), EINVAL);
        assert_string_equal(error, bad[i].error);
        assert_int_equal(cairn_geometry_parse(bad[i].text, &g, narrow, sizeof narrow), EINVAL);
        assert_int_equal(strlen(narrow), 8);
        assert_memory_equal(narrow, error, 8);
        assert_int_equal(cairn_geometry_parse(bad[i].text, &g, NULL, 0), EINVAL);
        assert_memory_equal(&g, &before, sizeof g);
    }
    cairn_geometry g;
    assert_int_equal(cairn_geometry_parse(NULL, &g, NULL, 0), EINVAL);
}

static void bad_arena_sizes_are_named(void **state)
{
    (void)state;
    cairn_geometry g = good();
    size_t bad[] = {0, KIB(16) * 3, KIB(16) * 5, KIB(16) * 2, KIB(16) * 128, MIB(1) + 1, MIB(128), SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        g.arena_size = bad[i];
        expect_fault(&g, "arena_size");
    }
}

static void bad_pool_sizes_are_named(void **state)
{
    (void)state;
    size_t bad[] = {0, 1, KIB(2), KIB(5), KIB(12), MIB(1), SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        g.pool_size = bad[i];
        expect_fault(&g, "pool_size");
    }
}

static void bad_alignments_are_named(void **state)
{
    (void)state;
    size_t bad[] = {0, 1, 4, 7, 12, 24, 32, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        g.alignment = bad[i];
        expect_fault(&g, "alignment");
    }
}

static void bad_small_limits_are_named(void **state)
{
    (void)state;
    size_t bad[] = {0, 8, 48, 520, 1025, 1040, 2048, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        g.small_limit = bad[i];
        expect_fault(&g, "small_limit");
    }
}

static void bad_medium_limits_are_named(void **state)
{
    (void)state;
    size_t bad[] = {0, 512, 1023, 3072, 32768, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        g.medium_limit = bad[i];
        expect_fault(&g, "medium_limit");
    }
}

static void bad_first_blocks_are_named(void **state)
{
    (void)state;
    size_t bad[] = {8, 24, 256, SIZE_MAX - 15};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cairn_geometry g = good();
        g.first_block = bad[i];
        expect_fault(&g, "first_block");
    }
}

/* The first pool of a fresh heap shows where blocks start and how many there are. */
static void a_pool_holds_what_follows_its_first_block(void **state)
{
    (void)state;
    cairn_geometry g = good();
    for (g.first_block = 0; g.first_block <= 240; g.first_block += 16) {
        cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
        options.geometry = &g;
        cairn_heap *heap = heap_with_pools(&options);
        assert_non_null(heap);
        size_t capacity = (g.pool_size - g.first_block) / 512;
        char *first = cairn_alloc(heap, 512);
        assert_int_equal((uintptr_t)first % g.pool_size, g.first_block);
        for (size_t i = 1; i < capacity; i++) {
            assert_ptr_equal(cairn_alloc(heap, 512), first + i * 512);
        }
        assert_int_equal(stats_of(heap)->pools_full, 1);
        assert_int_equal((uintptr_t)cairn_alloc(heap, 512) % g.pool_size, g.first_block);
        assert_int_equal((uintptr_t)cairn_alloc_aligned(heap, 256, 512) % 256, 0);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

/* Also where that is no multiple of the alignment asked of the whole heap. */
static void blocks_are_aligned_whatever_the_first_block(void **state)
{
    (void)state;
    for (size_t first = 0; first <= 240; first += 8) {
        cairn_geometry g;
        assert_int_equal(cairn_geometry_preset("classic", &g), 0);
        g.first_block = first;
        cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
        options.geometry = &g;
        options.min_alignment = 16;
        cairn_heap *heap = heap_with_pools(&options);
        assert_non_null(heap);
        for (size_t size = 1; size <= 600; size++) {
            void *block = cairn_alloc(heap, size);
            assert_non_null(block);
            assert_true(aligned_to(block, 16));
            void *aligned = cairn_alloc_aligned(heap, 16, size);
            assert_non_null(aligned);
            assert_true(aligned_to(aligned, 16));
        }
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void small_limit_above_an_eighth_of_the_pool_is_named(void **state)
{
    (void)state;
    cairn_geometry g = good();
    g.pool_size = KIB(4);
    g.arena_size = KIB(256);
    g.small_limit = 528;
    expect_fault(&g, "small_limit");
    g.small_limit = 512;
    assert_null(cairn_geometry_error(&g));
}

/* Requests of every small size and one of each larger kind, on one geometry. */
static void serve_everything(const cairn_geometry *g, bool single)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.geometry = g;
    options.single = single;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    void *blocks[160];
    size_t count = 0;
    for (size_t size = 0; size <= g->small_limit + 2 * g->alignment; size += g->alignment) {
        blocks[count++] = cairn_alloc(heap, size);
    }
    size_t larger[] = {KIB(2), KIB(20), KIB(65), KIB(300), MIB(3)};
    for (size_t i = 0; i < COUNT_OF(larger); i++) {
        blocks[count++] = cairn_alloc(heap, larger[i]);
    }
    for (size_t i = 0; i < count; i++) {
        assert_non_null(blocks[i]);
        assert_true(aligned_to(blocks[i], g->alignment));
        pattern_fill(blocks[i], cairn_usable_size(blocks[i]), i);
    }
    heap_is_sound(heap);
    for (size_t i = 0; i < count; i++) {
        size_t usable = cairn_usable_size(blocks[i]);
        assert_true(pattern_holds(blocks[i], usable, usable, i));
        cairn_free(heap, blocks[i]);
    }
    cairn_trim(heap);
    heap_is_sound(heap);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    cairn_heap_destroy(heap);
}

static void every_geometry_without_error_serves(void **state)
{
    (void)state;
    size_t limits[] = {64, 512, 1024};
    unsigned served = 0;
    for (size_t pool = KIB(4); pool <= KIB(512); pool *= 2) {
        for (size_t ratio = 4; ratio <= 64; ratio *= 2) {
            for (size_t i = 0; i < 2 * COUNT_OF(limits); i++) {
                cairn_geometry g = {pool * ratio,    pool,       i % 2 ? 16 : 8, limits[i / 2],
                                    KIB(1) << i % 5, i % 3 == 0, i % 3 == 1,     i % 4 * 16};
                if (cairn_geometry_error(&g) == NULL) {
                    serve_everything(&g, i % 2 == 0);
                    served++;
                }
            }
        }
    }
    assert_in_range(served, 100, 240);
}

static void a_heap_tells_the_geometry_it_was_made_with(void **state)
{
    (void)state;
    cairn_geometry wanted = {MIB(2), KIB(32), 8, 256, 4096, true, false, 24};
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.geometry = &wanted;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    wanted.reuse_at_once = false; /* the heap holds a copy */
    cairn_geometry got;
    cairn_heap_geometry(heap, &got);
    assert_int_equal(got.arena_size, MIB(2));
    assert_int_equal(got.pool_size, KIB(32));
    assert_int_equal(got.alignment, 8);
    assert_int_equal(got.small_limit, 256);
    assert_true(got.reuse_at_once);
    assert_false(got.return_at_once);
    assert_int_equal(got.first_block, 24);
    assert_int_equal(got.medium_limit, 4096);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic_preset_has_its_published_sizes),
        cmocka_unit_test(cpython_preset_has_its_published_sizes),
        cmocka_unit_test(default_preset_is_usable_and_aligned_to_16),
        cmocka_unit_test(unknown_preset_is_einval_and_writes_nothing),
        cmocka_unit_test(text_names_a_preset_or_fields_of_the_default),
        cmocka_unit_test(text_that_is_no_geometry_is_told_why),
        cmocka_unit_test(bad_arena_sizes_are_named),
        cmocka_unit_test(bad_pool_sizes_are_named),
        cmocka_unit_test(bad_alignments_are_named),
        cmocka_unit_test(bad_small_limits_are_named),
        cmocka_unit_test(bad_medium_limits_are_named),
        cmocka_unit_test(bad_first_blocks_are_named),
        cmocka_unit_test(a_pool_holds_what_follows_its_first_block),
        cmocka_unit_test(blocks_are_aligned_whatever_the_first_block),
        cmocka_unit_test(small_limit_above_an_eighth_of_the_pool_is_named),
        cmocka_unit_test(every_geometry_without_error_serves),
        cmocka_unit_test(a_heap_tells_the_geometry_it_was_made_with),
    };
    return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
