/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_print.c: the statistics as text and as JSON: figures in the right place and unit, figures not counted told
 * from zeros, classes without requests left out, names of any bytes, errors of the stream. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/print.h"
#include "support/test.h"

typedef int (*print_function)(const cairn_stats *stats, const cairn_fragmentation *fragmentation, const char *name,
                              const cairn_geometry *geometry, FILE *out);

static const cairn_geometry geometry_used = {1048576, 16384, 16, 512, 2048, true, false, 48};
static cairn_stats stats; /* set up anew for each test */
static cairn_fragmentation parts;
static char output[65536];

static int set_up(void **state)
{
    (void)state;
    memset(&stats, 0, sizeof stats);
    stats.requests = 1234567;
    stats.frees = 1234000;
    stats.requests_failed = 7;
    stats.bytes_asked = 90000000;
    stats.bytes_given = 100000000;
    stats.live_blocks = 567;
    stats.live_bytes = 200000;
    stats.live_peak = 3145728;
    stats.resident_bytes = 400000;
    stats.external_bytes = 100000;
    stats.internal_bytes = 25000;
    stats.arenas = 3;
    stats.arenas_created = 5;
    stats.arenas_released = 2;
    stats.pools_used = 11;
    stats.pools_full = 12;
    stats.pools_free = 13;
    stats.pools_untouched = 14;
    stats.class_count = 3;
    stats.classes[0] = (cairn_class_stats){16, 16384, 1, 2, 3, 1000, 500, 500, 9000, 8000, 100000, 2048};
    stats.classes[1] = (cairn_class_stats){.block_size = 32, .pool_size = 16384};
    stats.classes[2] = (cairn_class_stats){48, 16384, 4, 5, 6, 0, 10, 20, 4321, 4321, 200000, 0};
    parts = (cairn_fragmentation){
        .live_bytes = 200000,
        .internal_bytes = 25000,
        .huge_rounding = 4095,
        .resident_bytes = 400000,
        .live_resident = 300000,
        .external_bytes = 100000,
        .free_blocks_resident = 40000,
        .tails_resident = 1000,
        .untouched_resident = 2000,
        .free_pools_resident = 16384,
        .holes_resident = 30000,
        .handle_holes_resident = 600,
        .headers_resident = 16,
        .cached_resident = 10000,
        .hole_bytes = 80000,
        .largest_hole = 60000,
        .largest_request = 59992,
        .internal_ratio = 0.125,
        .external_ratio = 0.25,
        .hole_ratio = 0.25,
        .pool_occupancy = {1, 2, 0, 0, 5, 0, 0, 0, 9, 1234},
    };
    parts.holes[12] = (cairn_hole_size){4, 20000};
    parts.holes[15] = (cairn_hole_size){1, 60000};
    return 0;
}

/* What `print` writes, with its return value checked to be 0. */
static const char *printed(print_function print, const char *name)
{
    FILE *out = fmemopen(output, sizeof output, "w");

    assert_non_null(out);
    assert_int_equal(print(&stats, &parts, name, &geometry_used, out), 0);
    fclose(out);
    return output;
}

/* The line of the output that begins with `start` (after blanks), as a copy without runs of blanks. */
static const char *line_of(const char *text, const char *start)
{
    static char line[512];
    size_t length = 0;

    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
        at += strspn(at, " ");
        if (strncmp(at, start, strlen(start)) != 0) {
            continue;
        }
        for (const char *from = at; *from != '\n' && *from != '\0' && length < sizeof line - 1; from++) {
            if (*from != ' ' || from[1] != ' ') {
                line[length++] = *from;
            }
        }
        break;
    }
    line[length] = '\0';
    return line;
}

#define assert_has(text, part) assert_non_null(strstr(text, part))
#define assert_has_not(text, part) assert_null(strstr(text, part))

/* ---- text ---- */

static void text_has_heading(void **state)
{
    (void)state;
    assert_string_equal(line_of(printed(print_stats_text, "main"), "Heap"),
                        "Heap \"main\": arenas of 1 MiB, pools of 16 KiB, classes of 16 bytes up to 512");
}

static void text_has_figures(void **state)
{
    (void)state;
    const char *text = printed(print_stats_text, "main");

    assert_string_equal(line_of(text, "served"), "served 1,234,567");
    assert_string_equal(line_of(text, "freed"), "freed 1,234,000");
    assert_string_equal(line_of(text, "failed"), "failed 7 answered with NULL");
    assert_string_equal(line_of(text, "asked"), "asked 90,000,000 85.8 MiB");
    assert_string_equal(line_of(text, "live "), "live 200,000 195.3 KiB in 567 blocks");
    assert_string_equal(line_of(text, "live, peak"), "live, peak 3,145,728 3 MiB");
    assert_string_equal(line_of(text, "Arenas"), "Arenas 3 now, 5 created, 2 released");
    assert_string_equal(line_of(text, "Pools"), "Pools 11 used, 12 full, 13 free, 14 untouched");
}

static void text_has_every_figure(void **state)
{
    (void)state;
    struct {
        size_t *figure;
        const char *line;
    } const figures[] = {
        {&stats.held_bytes, "held "},        {&stats.held_peak, "held, peak"},    {&stats.reserved_bytes, "reserved"},
        {&stats.resident_bytes, "resident"}, {&stats.metadata_bytes, "metadata"}, {&stats.cached_bytes, "cached"},
        {&stats.large_bytes, "large"},       {&stats.huge_bytes, "huge"},         {&stats.large_blocks, "large"},
        {&stats.huge_blocks, "huge"},        {&stats.owners, "owners"},           {&stats.live_blocks, "live "},
        {&stats.external_bytes, "external"}, {&stats.internal_bytes, "internal"},
    };

    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        *figures[i].figure = 987654321 + i;
        char wanted[32];
        snprintf(wanted, sizeof wanted, "987,654,%03zu", 321 + i);
        assert_has(line_of(printed(print_stats_text, ""), figures[i].line), wanted);
    }
    stats.purged_bytes = UINT64_MAX;
    stats.remote_frees = 1000;
    assert_has(line_of(printed(print_stats_text, ""), "purged"), "18,446,744,073,709,551,615 16.0 EiB");
    assert_has(line_of(printed(print_stats_text, ""), "remote frees"), " 1,000 ");
}

static void text_has_fragmentation(void **state)
{
    (void)state;
    const char *text = printed(print_stats_text, "main");

    assert_has(line_of(text, "internal"), "25,000 24.4 KiB 12.5% of live");
    assert_has(line_of(text, "external"), "100,000 97.7 KiB 25.0% of resident");
    assert_has(line_of(text, "free blocks"), " 40,000 39.1 KiB ");
    assert_has(line_of(text, "pool ends"), " 1,000 1000 B ");
    assert_has(line_of(text, "untouched"), " 2,000 2.0 KiB ");
    assert_has(line_of(text, "free pools"), " 16,384 16 KiB ");
    assert_has(line_of(text, "in holes"), " 30,000 29.3 KiB ");
    assert_has(line_of(text, "handle holes"), " 600 600 B ");
    assert_has(line_of(text, "headers"), " 16 16 B ");
    assert_has(line_of(text, "kept mappings"), " 10,000 9.8 KiB ");
    assert_has(line_of(text, "split holes"), " 20,000 19.5 KiB 25.0% of the bytes of holes");
    assert_has(line_of(text, "largest request"), " 59,992 58.6 KiB ");
}

static void text_has_histograms(void **state)
{
    (void)state;
    const char *text = printed(print_stats_text, "main");

    assert_string_equal(line_of(text, "Live blocks"),
                        "Live blocks <= 10% 20% 30% 40% 50% 60% 70% 80% 90% 100% of a pool's blocks");
    assert_string_equal(line_of(text, "in pools"), "in pools 1 2 0 0 5 0 0 0 9 1234");
    assert_string_equal(line_of(text, "4 KiB "), "4 KiB 4 20,000 [###.......] 25%");
    assert_string_equal(line_of(text, "8 KiB "), "");
    assert_string_equal(line_of(text, "32 KiB "), "32 KiB 1 60,000 [########..] 75%");
}

/* What a heap has nothing of has no line. */
static void text_leaves_out_causes_that_are_none(void **state)
{
    static const char *const lines[] = {
        "free blocks", "pool ends",   "untouched", "free pools",  "in holes", "handle holes", "headers",
        "kept",        "split holes", "handles",   "Live blocks", "in pools", "Holes from",
    };

    (void)state;
    memset(&parts, 0, sizeof parts);
    const char *text = printed(print_stats_text, "main");
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_string_equal(line_of(text, lines[i]), "");
    }
    assert_has(line_of(text, "largest request"), " 0 0 B ");
}

static void text_has_handles(void **state)
{
    (void)state;
    stats.handle_blocks = 5;
    stats.handle_bytes = 2000;
    stats.handle_segments = 2;
    stats.handle_held_bytes = 1048576;
    stats.handle_hole_bytes = 1040000;
    const char *text = printed(print_stats_text, "main");
    assert_has(line_of(text, "handles "), "handles 2,000 2.0 KiB in 5 blocks");
    assert_has(line_of(text, "handles' holes"), "1,040,000 1015.6 KiB in 2 segments of 1 MiB");
}

/* Shares of nothing are no fault. */
static void text_of_empty_heap(void **state)
{
    (void)state;
    memset(&stats, 0, sizeof stats);
    memset(&parts, 0, sizeof parts);
    const char *text = printed(print_stats_text, "");

    assert_has(line_of(text, "internal"), "0 B 0.0% of live");
    assert_has(line_of(text, "external"), "0 B 0.0% of resident");
    assert_has_not(text, "not counted");
    assert_has_not(text, "occupancy");
}

static void text_rounds_units(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *line;
    } units[] = {
        {0, "purged 0 0 B"},
        {999, "purged 999 999 B"},
        {1023, "purged 1,023 1023 B"},
        {1024, "purged 1,024 1 KiB"},
        {1025, "purged 1,025 1.0 KiB"},
        {1536, "purged 1,536 1.5 KiB"},
        {2047, "purged 2,047 2.0 KiB"},
        {1048524, "purged 1,048,524 1023.9 KiB"},
        {1048575, "purged 1,048,575 1.0 MiB"},
        {UINT64_C(1) << 40, "purged 1,099,511,627,776 1 TiB"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        stats.purged_bytes = units[i].bytes;
        const char *line = line_of(printed(print_stats_text, ""), "purged");
        assert_int_equal(strncmp(line, units[i].line, strlen(units[i].line)), 0);
        assert_int_equal(line[strlen(units[i].line)], ' ');
    }
}

static void text_counts_one_block(void **state)
{
    (void)state;
    stats.huge_blocks = 1;
    assert_has(line_of(printed(print_stats_text, ""), "huge"), "in 1 block, mapped");
}

static void text_tells_what_was_not_counted(void **state)
{
    static const char *const lines[] = {"asked", "given", "live, peak", "internal"};

    (void)state;
    stats.bytes_asked = stats.bytes_given = 0;
    stats.live_peak = stats.internal_bytes = 0;
    const char *text = printed(print_stats_text, "main");
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s not counted", lines[i]);
        assert_string_equal(line_of(text, lines[i]), wanted);
    }
    assert_string_equal(line_of(text, "served"), "served 1,234,567");
}

static void text_has_classes_with_requests(void **state)
{
    (void)state;
    const char *text = printed(print_stats_text, "main");

    assert_string_equal(line_of(text, "16 "), "16 1 2 3 1,000 500 500 9,000 2 KiB [#####.....] 50%");
    assert_string_equal(line_of(text, "32  "), "");
    assert_string_equal(line_of(text, "48 "), "48 4 5 6 0 10 20 4,321 0 B [..........] 0%");
    assert_string_equal(line_of(text, "all "), "all 5 7 9 1,000 510 520 13,321 2 KiB [#####.....] 49%");
}

static void text_fills_the_bar(void **state)
{
    (void)state;
    stats.classes[2].blocks_live = 30;
    stats.classes[2].blocks_free = stats.classes[2].blocks_untouched = 0;
    assert_has(line_of(printed(print_stats_text, ""), "48 "), "[##########] 100%");
    stats.classes[2].blocks_live = 0;
    assert_has(line_of(printed(print_stats_text, ""), "48 "), "no pools");
}

/* The widest figures a heap can have keep the columns apart. */
static void text_keeps_columns_apart(void **state)
{
    (void)state;
    memset(&stats.classes[0], 0xFF, sizeof stats.classes[0]);
    const char *line = line_of(printed(print_stats_text, ""), "18446744073709551615");
    assert_has(line, "18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615 ");
    assert_has(line, " 18,446,744,073,709,551,615 18,446,744,073,709,551,615 ");
}

static void text_hides_control_bytes_of_a_name(void **state)
{
    (void)state;
    const char *text = printed(print_stats_text, "a\x1b[31m\nb\x7f\xc3\xa9");
    assert_has(text, "Heap \"a?[31m?b?\xc3\xa9\": ");
}

/* ---- JSON ---- */

static void json_has_figures(void **state)
{
    (void)state;
    const char *text = printed(print_stats_json, "main");

    assert_int_equal(strncmp(text, "{\n  \"name\": \"main\",\n", 20), 0);
    assert_has(text,
               "\"geometry\": {\"arena_size\": 1048576, \"pool_size\": 16384, \"alignment\": 16, "
               "\"small_limit\": 512, \"medium_limit\": 2048, \"reuse_at_once\": true, \"return_at_once\": false, "
               "\"first_block\": 48},");
    assert_has(text, "\"requests\": 1234567,");
    assert_has(text, "\"bytes_given\": 100000000,");
    assert_has(text, "\"pools_untouched\": 14,");
    assert_has(text, "\"class_count\": 3,");
    assert_has(text, "\n  ],\n  \"fragmentation\": {\n");
    assert_string_equal(text + strlen(text) - 8, "]\n  }\n}\n");
}

/* All rows, those without requests too. */
static void json_has_every_class(void **state)
{
    (void)state;
    const char *text = printed(print_stats_json, "main");

    assert_has(text, "{\"block_size\": 16, \"pool_size\": 16384, \"pools_used\": 1, \"pools_full\": 2, "
                     "\"pools_empty\": 3, \"blocks_live\": 1000, \"blocks_free\": 500, \"blocks_untouched\": 500, "
                     "\"requests\": 9000, \"frees\": 8000, \"bytes_asked\": 100000, \"internal_bytes\": 2048},\n");
    assert_has(text, "{\"block_size\": 32, ");
    assert_has(text, "{\"block_size\": 48, ");
    stats.class_count = 0;
    assert_has(printed(print_stats_json, ""), "\"classes\": [],\n");
}

static void json_has_fragmentation(void **state)
{
    (void)state;
    const char *text = printed(print_stats_json, "main");

    assert_has(text, "\"huge_rounding\": 4095,");
    assert_has(text, "\"handle_holes_resident\": 600,");
    assert_has(text, "\"largest_request\": 59992,");
    assert_has(text, "\"internal_ratio\": 0.1250, \"external_ratio\": 0.2500, \"hole_ratio\": 0.2500,");
    assert_has(text, "\"pool_occupancy\": [1, 2, 0, 0, 5, 0, 0, 0, 9, 1234],");
    assert_has(text, "\"holes\": [{\"from\": 4096, \"count\": 4, \"bytes\": 20000}, "
                     "{\"from\": 32768, \"count\": 1, \"bytes\": 60000}]\n");
    parts.hole_ratio = 0.99996; /* rounds to a whole */
    parts.external_ratio = 0.00004;
    memset(parts.holes, 0, sizeof parts.holes);
    text = printed(print_stats_json, "main");
    assert_has(text, "\"external_ratio\": 0.0000, \"hole_ratio\": 1.0000,");
    assert_has(text, "\"holes\": []\n");
}

static void json_has_large_numbers(void **state)
{
    (void)state;
    stats.requests = UINT64_MAX;
    stats.reserved_bytes = SIZE_MAX;
    const char *text = printed(print_stats_json, "");
    assert_has(text, "\"requests\": 18446744073709551615,");
    assert_has(text, "\"reserved_bytes\": 18446744073709551615,");
}

static void json_says_null_for_what_was_not_counted(void **state)
{
    (void)state;
    assert_has_not(printed(print_stats_json, ""), "null");
    stats.bytes_given = 0;
    const char *text = printed(print_stats_json, "");
    assert_has(text, "  \"bytes_asked\": null,\n  \"bytes_given\": null,\n");
    assert_has(text, "  \"live_peak\": null,");
    assert_has(text, "  \"internal_bytes\": null,");
    assert_has(text, "\"frees\": 8000, \"bytes_asked\": null, \"internal_bytes\": null}");
    assert_has(text, "    \"internal_bytes\": null,\n    \"huge_rounding\": 4095,\n");
    assert_has(text, "\"internal_ratio\": null, \"external_ratio\": 0.2500,");
    assert_has(text, "  \"external_bytes\": 100000,");
}

static void json_escapes_names(void **state)
{
    static const struct {
        const char *name;
        const char *string;
    } names[] = {
        {"", "\"\""},
        {"q\"b\\n\n\t\x01\x7f", "\"q\\\"b\\\\n\\u000a\\u0009\\u0001\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff\x80", "\"\\ufffd\\ufffd\""},
        {"cut\xe2\x82", "\"cut\\ufffd\\ufffd\""},      /* a name cut at 31 bytes */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},            /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "{\n  \"name\": %s,\n", names[i].string);
        assert_int_equal(strncmp(printed(print_stats_json, names[i].name), wanted, strlen(wanted)), 0);
    }
}

/* ---- errors ---- */

static void full_device_is_reported(void **state)
{
    static const print_function functions[] = {print_stats_text, print_stats_json};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        for (int unbuffered = 0; unbuffered < 2; unbuffered++) {
            FILE *out = fopen("/dev/full", "w");
            assert_non_null(out);
            if (unbuffered) {
                setvbuf(out, NULL, _IONBF, 0);
            }
            assert_int_equal(functions[i](&stats, &parts, "", &geometry_used, out), ENOSPC);
            fclose(out);
        }
    }
}

static void stream_for_reading_is_reported(void **state)
{
    (void)state;
    FILE *out = fopen("/dev/null", "r");
    assert_non_null(out);
    assert_int_equal(print_stats_text(&stats, &parts, "", &geometry_used, out), EBADF);
    fclose(out);
}

/* ---- the public calls on a real heap ---- */

static void public_calls_print_a_heap(void **state)
{
    (void)state;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = "shelf";
    options.exact = true;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    void *block = cairn_alloc(heap, 100);
    assert_non_null(block);

    FILE *out = fmemopen(output, sizeof output, "w");
    assert_int_equal(cairn_heap_print_stats(heap, out), 0);
    fclose(out);
    assert_has(output, "Heap \"shelf\": arenas of ");
    assert_string_equal(line_of(output, "served"), "served 1");
    assert_has(line_of(output, "live "), " in 1 block");
    assert_string_equal(line_of(output, "asked"), "asked 100 100 B");

    out = fmemopen(output, sizeof output, "w");
    assert_int_equal(cairn_heap_print_stats_json(heap, out), 0);
    fclose(out);
    assert_has(output, "\"name\": \"shelf\",");
    assert_has(output, "\"live_blocks\": 1,");
    assert_has(output, "\"bytes_asked\": 100,");
    cairn_free(heap, block);
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(text_has_heading, set_up),
        cmocka_unit_test_setup(text_has_figures, set_up),
        cmocka_unit_test_setup(text_has_every_figure, set_up),
        cmocka_unit_test_setup(text_has_fragmentation, set_up),
        cmocka_unit_test_setup(text_has_histograms, set_up),
        cmocka_unit_test_setup(text_leaves_out_causes_that_are_none, set_up),
        cmocka_unit_test_setup(text_has_handles, set_up),
        cmocka_unit_test_setup(text_of_empty_heap, set_up),
        cmocka_unit_test_setup(text_rounds_units, set_up),
        cmocka_unit_test_setup(text_counts_one_block, set_up),
        cmocka_unit_test_setup(text_tells_what_was_not_counted, set_up),
        cmocka_unit_test_setup(text_has_classes_with_requests, set_up),
        cmocka_unit_test_setup(text_fills_the_bar, set_up),
        cmocka_unit_test_setup(text_keeps_columns_apart, set_up),
        cmocka_unit_test_setup(text_hides_control_bytes_of_a_name, set_up),
        cmocka_unit_test_setup(json_has_figures, set_up),
        cmocka_unit_test_setup(json_has_every_class, set_up),
        cmocka_unit_test_setup(json_has_fragmentation, set_up),
        cmocka_unit_test_setup(json_has_large_numbers, set_up),
        cmocka_unit_test_setup(json_says_null_for_what_was_not_counted, set_up),
        cmocka_unit_test_setup(json_escapes_names, set_up),
        cmocka_unit_test_setup(full_device_is_reported, set_up),
        cmocka_unit_test_setup(stream_for_reading_is_reported, set_up),
        cmocka_unit_test_setup(public_calls_print_a_heap, set_up),
    };

    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
