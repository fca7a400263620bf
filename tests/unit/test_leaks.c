/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_leaks.c: what the report on live blocks counts, and what a destruction gives back, for heaps of every kind. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn_handle.h"
#include "heap/pagemap.h"
#include "observe/call_sites.h"
#include "observe/leaks.h"
#include "support/test.h"

/* Frees all but every seventh of many blocks of all kinds; returns how many stay, and their usable bytes. */
static size_t fill(cairn_heap *heap, size_t *bytes)
{
    size_t live = 0;
    size_t count = test_scaled(4000) + 70;
    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = i % 70 == 0 ? MIB(5) : i % 10 == 0 ? KIB(100) : i % 1000 + 1;
        void *block = cairn_alloc(heap, size);
        assert_non_null(block);
        if (i % 7 == 0) {
            live++;
            *bytes += cairn_usable_size(block);
        } else {
            cairn_free(heap, block);
        }
    }
    return live;
}

static void everything_is_counted_and_goes_back(void **state)
{
    (void)state;
    static const char *const presets[] = {"classic", "cpython", "default"};
    for (unsigned i = 0; i < 2 * COUNT_OF(presets); i++) {
        size_t mapped = leaks_system_bytes() - pagemap_bytes(); /* that stays */
        cairn_heap *heap = heap_of_preset(presets[i / 2], i % 2 == 0);
        size_t bytes;
        size_t live = fill(heap, &bytes);
        cairn_teardown teardown;
        assert_true(leaks_system_bytes() - pagemap_bytes() > mapped);
        assert_int_equal(cairn_heap_destroy_checked(heap, NULL, &teardown), 0);
        assert_int_equal(teardown.live_blocks, live);
        assert_int_equal(teardown.live_bytes, bytes);
        assert_int_equal(teardown.mapped_bytes, teardown.returned_bytes);
        assert_true(teardown.mapped_bytes >= bytes);
        assert_int_equal(leaks_system_bytes() - pagemap_bytes(), mapped);
    }
}

static void handles_are_counted_and_go_back(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    for (int i = 0; i < 1000; i++) {
        assert_true(cairn_handle_alloc(heap, 500) != 0);
    }
    cairn_teardown teardown;
    assert_int_equal(cairn_heap_destroy_checked(heap, NULL, &teardown), 0);
    assert_int_equal(teardown.live_blocks, 1000);
    assert_true(teardown.live_bytes >= 500000);
}

static void the_default_heap_stays(void **state)
{
    (void)state;
    cairn_teardown teardown = {.live_blocks = 77};
    assert_int_equal(cairn_heap_destroy_checked(cairn_heap_default(), NULL, &teardown), EINVAL);
    assert_int_equal(cairn_heap_destroy_checked(NULL, NULL, &teardown), EINVAL);
    assert_int_equal(teardown.live_blocks, 77);
    heap_is_sound(cairn_heap_default());
}

/* What a function that prints wrote, in memory of the caller. */
static char *printed(int (*print)(cairn_heap *heap, FILE *out), cairn_heap *heap)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    assert_int_equal(print(heap, out), 0);
    (void)fclose(out);
    return text;
}

static void the_report_names_classes(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    options.name = "report \"x\"";
    cairn_heap *heap = heap_with_pools(&options);
    void *blocks[3] = {cairn_alloc(heap, 100), cairn_alloc(heap, 100), cairn_alloc(heap, MIB(6))};
    char *text = printed(cairn_heap_print_leaks, heap);
    char *json = printed(cairn_heap_print_leaks_json, heap);
    assert_non_null(strstr(text, "3 live blocks, 6291680 bytes"));
    assert_non_null(strstr(text, "outside the pools: 1 block, 6291456 bytes"));
    assert_non_null(strstr(json,
                           "{\"name\": \"report \\\"x\\\"\", \"blocks\": 3, \"bytes\": 6291680, \"asked\": null"));
    free(text);
    free(json);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(heap, blocks[i]);
    }
    text = printed(cairn_heap_print_leaks, heap);
    assert_non_null(strstr(text, "0 live blocks, 0 bytes"));
    free(text);
    cairn_heap_destroy(heap);
}

static void a_stream_that_fails_is_told(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_non_null(cairn_alloc(heap, 1));
    assert_int_equal(cairn_heap_print_leaks(heap, full), ENOSPC);
    (void)fclose(full);
    cairn_heap_destroy(heap);
}

/* Against a model: random requests, resizes and frees in an exact heap; every live block is found with its size. */
static void the_table_of_call_sites_follows(void **state)
{
    (void)state;
    assert_true(call_sites_start(LEAKS_FRAMES_DEFAULT));
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.exact = true;
    cairn_heap *heap = cairn_heap_create(&options);
    enum { TABLE_SLOTS = 3000 };
    static void *blocks[TABLE_SLOTS];
    static size_t sizes[TABLE_SLOTS];
    uint64_t seed = test_seed();
    uint32_t site;
    size_t asked;
    for (size_t n = test_scaled(60000) + 100; n > 0; n--) {
        size_t i = random_below(&seed, TABLE_SLOTS);
        size_t size = random_chance(&seed, 2) ? random_below(&seed, MIB(6)) : random_below(&seed, 3000);
        if (blocks[i] && random_chance(&seed, 60)) {
            void *old = blocks[i];
            cairn_free(heap, old);
            blocks[i] = NULL;
            assert_false(call_sites_find(old, &site, &asked));
        } else {
            blocks[i] = cairn_realloc(heap, blocks[i], size);
            sizes[i] = size;
        }
    }
    size_t live = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        if (blocks[i]) {
            assert_true(call_sites_find(blocks[i], &site, &asked));
            assert_true(site >= SITE_FIRST);
            assert_int_equal(asked, sizes[i]);
            live++;
            bytes += asked;
        }
    }
    struct leaks leaks;
    leaks_count(heap, &leaks);
    assert_true(leaks.sites_known);
    assert_int_equal(leaks.blocks, live);
    assert_int_equal(leaks.asked, bytes);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_counted_and_goes_back),
        cmocka_unit_test(handles_are_counted_and_go_back),
        cmocka_unit_test(the_default_heap_stays),
        cmocka_unit_test(the_report_names_classes),
        cmocka_unit_test(a_stream_that_fails_is_told),
        cmocka_unit_test(the_table_of_call_sites_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
