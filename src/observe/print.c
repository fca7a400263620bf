/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* print.c: the statistics of a heap as text for people and as JSON.
 *
 * It runs at exit inside a malloc replacement, so it allocates nothing: every number is formatted into a buffer on
 * the stack, and only integers pass through printf. The JSON side is two tables of fields; the _Static_asserts below
 * them fail when cairn.h gains a field that a table lacks. No locks: see print.h. */

#include "observe/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "observe/fragmentation.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Where the output goes, and the first error met (an errno value); after an error nothing more is written. */
struct printer {
    FILE *out;
    int error;
};

static void put(struct printer *printer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct printer *printer, const char *format, ...)
{
    va_list arguments;

    if (printer->error != 0) {
        return;
    }
    va_start(arguments, format);
    errno = 0;
    if (vfprintf(printer->out, format, arguments) < 0) {
        printer->error = errno != 0 ? errno : EIO;
    }
    va_end(arguments);
}

static int finish(struct printer *printer)
{
    errno = 0;
    if (fflush(printer->out) != 0 && printer->error == 0) {
        printer->error = errno != 0 ? errno : EIO;
    }
    return printer->error;
}

/* ---- numbers for people ---- */

/* A number as text; returned by value, so that several fit in one call of put(). */
struct text {
    char s[40];
};

/* 1234567 as "1,234,567". */
static struct text grouped(uint64_t number)
{
    struct text text;
    size_t at = sizeof text.s - 1;

    text.s[at] = '\0';
    for (unsigned digits = 0; digits == 0 || number != 0; digits++) {
        if (digits != 0 && digits % 3 == 0) {
            text.s[--at] = ',';
        }
        text.s[--at] = (char)('0' + number % 10);
        number /= 10;
    }
    memmove(text.s, text.s + at, sizeof text.s - at);
    return text;
}

/* Bytes in the largest unit that leaves a whole part: "512 B", "1.5 KiB", "23.9 MiB"; exact ones without a point:
 * "16 KiB". */
static struct text human(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct text text;
    size_t unit = 0;
    unsigned shift = 10;

    if (bytes < 1024) {
        snprintf(text.s, sizeof text.s, "%" PRIu64 " B", bytes);
        return text;
    }
    /* The last tenth before 1024 rounds up to the next unit: 1023.95 KiB is 1.0 MiB. */
    while (unit + 1 < COUNT_OF(units) &&
           (bytes >> shift) * 100 + ((bytes >> (shift - 10)) & 1023) * 100 / 1024 >= 102395) {
        unit++;
        shift += 10;
    }
    uint64_t whole = bytes >> shift;
    if (bytes == whole << shift) {
        snprintf(text.s, sizeof text.s, "%" PRIu64 " %s", whole, units[unit]);
        return text;
    }
    uint64_t tenths = (((bytes >> (shift - 10)) & 1023) * 10 + 512) / 1024;
    snprintf(text.s, sizeof text.s, "%" PRIu64 ".%" PRIu64 " %s", whole + tenths / 10, tenths % 10, units[unit]);
    return text;
}

/* "1 hole", "12,345 holes". */
static struct text counted(uint64_t number, const char *thing)
{
    struct text text = grouped(number);
    size_t length = strlen(text.s);
    (void)snprintf(text.s + length, sizeof text.s - length, " %s%s", thing, number == 1 ? "" : "s");
    return text;
}

/* A share in tenths of a percent, rounded; 0 of nothing is 0. */
static unsigned per_mille(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)((double)part / (double)whole * 1000.0 + 0.5);
}

/* ---- text ---- */

/* The name of a heap with what a terminal should not get shown as '?'. */
static void put_name(struct printer *printer, const char *name)
{
    put(printer, "Heap \"");
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        put(printer, "%c", byte < ' ' || byte == 127 ? '?' : *name);
    }
    put(printer, "\"");
}

/* The last class whose pools are smaller than the others', NULL if there is none. */
static const cairn_class_stats *last_of_smaller_pools(const cairn_stats *stats, const cairn_geometry *geometry)
{
    const cairn_class_stats *last = NULL;
    for (size_t i = 0; i < stats->class_count; i++) {
        last = stats->classes[i].pool_size < geometry->pool_size ? &stats->classes[i] : last;
    }
    return last;
}

static void put_heading(struct printer *printer, const char *name, const cairn_geometry *geometry,
                        const cairn_stats *stats)
{
    const cairn_class_stats *smaller = last_of_smaller_pools(stats, geometry);
    put_name(printer, name);
    put(printer, ": arenas of %s, ", human(geometry->arena_size).s);
    put(printer, "pools of %s", human(geometry->pool_size).s);
    if (smaller != NULL) {
        put(printer, " (%s for blocks of up to %zu bytes)", human(smaller->pool_size).s, smaller->block_size);
    }
    put(printer, ", ");
    put(printer, "classes of %zu bytes up to %zu\n", geometry->alignment, geometry->small_limit);
}

/* A line of a count with a remark. */
static void put_count(struct printer *printer, const char *label, uint64_t count, const char *remark)
{
    put(printer, "  %-15s %18s%s%s\n", label, grouped(count).s, remark[0] != '\0' ? "   " : "", remark);
}

/* A line of bytes, in human units and exactly, with a remark. */
static void put_bytes(struct printer *printer, const char *label, uint64_t bytes, const char *remark)
{
    put(printer, "  %-15s %18s   ", label, grouped(bytes).s);
    if (remark[0] != '\0') {
        put(printer, "%10s   %s\n", human(bytes).s, remark);
    } else {
        put(printer, "%10s\n", human(bytes).s);
    }
}

static void put_exact_bytes(struct printer *printer, bool exact, const char *label, uint64_t bytes, const char *remark)
{
    if (exact) {
        put_bytes(printer, label, bytes, remark);
    } else {
        put(printer, "  %-15s %18s\n", label, "not counted");
    }
}

/* A line of live blocks: their bytes and number, with a remark that begins with its comma. */
static void put_blocks(struct printer *printer, const char *label, uint64_t bytes, uint64_t blocks, const char *remark)
{
    put(printer, "  %-15s %18s   %10s   in %s %s%s\n", label, grouped(bytes).s, human(bytes).s, grouped(blocks).s,
        blocks == 1 ? "block" : "blocks", remark);
}

static void put_requests(struct printer *printer, const cairn_stats *stats)
{
    bool exact = stats_are_exact(stats);

    put(printer, "\n  %-15s %18s\n", "Requests", "count");
    put_count(printer, "served", stats->requests, "");
    put_count(printer, "freed", stats->frees, "");
    put_count(printer, "failed", stats->requests_failed, "answered with NULL");
    put_count(printer, "remote frees", stats->remote_frees, "by a thread that does not own the pool");
    put_count(printer, "owners", stats->owners, "threads that own pools now");
    put(printer, "\n  %-15s %18s\n", "Bytes, ever", "bytes");
    put_exact_bytes(printer, exact, "asked", stats->bytes_asked, "");
    put_exact_bytes(printer, exact, "given", stats->bytes_given, "usable, after rounding");
    put_bytes(printer, "purged", stats->purged_bytes, "pages given back to the system");
}

static void put_holes(struct printer *printer, const cairn_stats *stats)
{
    char remark[160];
    (void)snprintf(remark, sizeof remark, "in %s, %s, the largest hole %s", counted(stats->holes, "hole").s,
                   counted(stats->segments, "segment").s, human(stats->largest_hole).s);
    put_bytes(printer, "holes", stats->hole_bytes, remark);
}

/* Nothing in a heap that never had a handle, as most. */
static void put_handles(struct printer *printer, const cairn_stats *stats)
{
    char remark[160];
    if (stats->handle_segments == 0) {
        return;
    }
    put_blocks(printer, "handles", stats->handle_bytes, stats->handle_blocks, ", not counted above");
    (void)snprintf(remark, sizeof remark, "in %s of %s", counted(stats->handle_segments, "segment").s,
                   human(stats->handle_held_bytes).s);
    put_bytes(printer, "handles' holes", stats->handle_hole_bytes, remark);
}

static void put_memory(struct printer *printer, const cairn_stats *stats)
{
    put(printer, "\n  %-15s %18s\n", "Memory, now", "bytes");
    put_blocks(printer, "live", stats->live_bytes, stats->live_blocks, "");
    put_exact_bytes(printer, stats_are_exact(stats), "live, peak", stats->live_peak, "");
    put_bytes(printer, "resident", stats->resident_bytes, "in physical memory, as the system says");
    put_bytes(printer, "held", stats->held_bytes, "pools, large blocks and mappings in use");
    put_bytes(printer, "held, peak", stats->held_peak, "");
    put_bytes(printer, "reserved", stats->reserved_bytes, "address space");
    put_bytes(printer, "cached", stats->cached_bytes, "mappings kept for reuse");
    put_bytes(printer, "metadata", stats->metadata_bytes, "Cairn's own records");
    put_blocks(printer, "large", stats->large_bytes, stats->large_blocks, ", cut from holes");
    put_holes(printer, stats);
    put_blocks(printer, "huge", stats->huge_bytes, stats->huge_blocks, ", mapped on their own");
    put_handles(printer, stats);
}

static void put_share(struct printer *printer, const char *label, uint64_t part, uint64_t whole, const char *remark)
{
    unsigned share = per_mille(part, whole);

    put(printer, "  %-15s %18s   %10s   %u.%u%% of %s\n", label, grouped(part).s, human(part).s, share / 10, share % 10,
        remark);
}

/* A cause of external fragmentation, if there is any of it. */
static void put_cause(struct printer *printer, const char *label, uint64_t bytes, const char *remark)
{
    if (bytes != 0) {
        char indented[32];
        (void)snprintf(indented, sizeof indented, "  %s", label);
        put_bytes(printer, indented, bytes, remark);
    }
}

static void put_causes(struct printer *printer, const cairn_fragmentation *figures)
{
    put_cause(printer, "free blocks", figures->free_blocks_resident, "in pools that also have live ones");
    put_cause(printer, "pool ends", figures->tails_resident, "before the first and behind the last block");
    put_cause(printer, "untouched", figures->untouched_resident, "blocks and pools not used yet");
    put_cause(printer, "free pools", figures->free_pools_resident, "given back once idle");
    put_cause(printer, "in holes", figures->holes_resident, "whole pages of it are given back once idle");
    put_cause(printer, "handle holes", figures->handle_holes_resident, "compaction gives them back");
    put_cause(printer, "headers", figures->headers_resident, "beside large blocks and those of handles");
    put_cause(printer, "kept mappings", figures->cached_resident, "given back once idle");
}

static void put_fragmentation(struct printer *printer, const cairn_stats *stats, const cairn_fragmentation *figures)
{
    put(printer, "\n  %-15s %18s\n", "Fragmentation", "bytes");
    if (stats_are_exact(stats)) {
        put_share(printer, "internal", stats->internal_bytes, stats->live_bytes, "live: rounding");
    } else {
        put(printer, "  %-15s %18s\n", "internal", "not counted");
    }
    put_share(printer, "external", stats->external_bytes, stats->resident_bytes, "resident: held by no live block");
    put_causes(printer, figures);
    if (figures->hole_bytes != 0) {
        put_share(printer, "split holes", figures->hole_bytes - figures->largest_hole, figures->hole_bytes,
                  "the bytes of holes: outside the largest");
    }
    put_bytes(printer, "largest request", figures->largest_request, "served without memory from the system");
}

/* How full the pools with live blocks are, in two lines. */
static void put_pool_occupancy(struct printer *printer, const cairn_fragmentation *figures)
{
    size_t pools = 0;
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        pools += figures->pool_occupancy[i];
    }
    if (pools == 0) {
        return;
    }
    put(printer, "\n  %-15s", "Live blocks");
    for (unsigned i = 1; i <= CAIRN_OCCUPANCY_TENTHS; i++) {
        put(printer, " %s%3u%%", i == 1 ? "<=" : "  ", i * 10);
    }
    put(printer, "   of a pool's blocks\n  %-15s", "in pools");
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        put(printer, " %6zu", figures->pool_occupancy[i]);
    }
    put(printer, "\n");
}

enum { BAR_WIDTH = 10 };

/* "[#####.....]  50%" of a share in tenths of a percent. */
static void put_bar(struct printer *printer, unsigned share)
{
    char bar[BAR_WIDTH + 1];
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        bar[i] = share * BAR_WIDTH >= i * 1000 + 500 ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    put(printer, "  [%s] %3u%%\n", bar, (share + 5) / 10);
}

/* Holes by size, one row for each power of two that there are holes of. */
static void put_hole_sizes(struct printer *printer, const cairn_fragmentation *figures)
{
    if (figures->hole_bytes == 0) {
        return;
    }
    put(printer, "\n  %-15s %18s %18s  %s\n", "Holes from", "holes", "bytes", "of the bytes of holes");
    for (size_t i = 0; i < CAIRN_HOLE_SIZES; i++) {
        const cairn_hole_size *row = &figures->holes[i];
        if (row->count != 0) {
            put(printer, "  %15s %18s %18s", human(UINT64_C(1) << i).s, grouped(row->count).s, grouped(row->bytes).s);
            put_bar(printer, per_mille(row->bytes, figures->hole_bytes));
        }
    }
}

static void put_arenas(struct printer *printer, const cairn_stats *stats)
{
    put(printer, "\n  Arenas   %s now, %s created, %s released\n", grouped(stats->arenas).s,
        grouped(stats->arenas_created).s, grouped(stats->arenas_released).s);
    put(printer, "  Pools    %s used, %s full, %s free, %s untouched\n", grouped(stats->pools_used).s,
        grouped(stats->pools_full).s, grouped(stats->pools_free).s, grouped(stats->pools_untouched).s);
}

/* Live blocks as a share of the blocks in the class's pools. */
static void put_occupancy(struct printer *printer, uint64_t live, uint64_t blocks)
{
    if (blocks == 0) {
        put(printer, "  %*s\n", BAR_WIDTH + 7, "no pools");
        return;
    }
    put_bar(printer, per_mille(live, blocks));
}

static uint64_t class_blocks(const cairn_class_stats *class)
{
    return (uint64_t) class->blocks_live + class->blocks_free + class->blocks_untouched;
}

/* A row of the table: a class, or the sum of all under the label "all". */
static void put_class(struct printer *printer, const char *label, const cairn_class_stats *class, bool exact)
{
    put(printer, "  %6s %6zu %6zu %6zu", label, class->pools_used, class->pools_full, class->pools_empty);
    put(printer, " %11s %11s %11s", grouped(class->blocks_live).s, grouped(class->blocks_free).s,
        grouped(class->blocks_untouched).s);
    put(printer, " %14s", grouped(class->requests).s);
    if (exact) {
        put(printer, " %10s", human(class->internal_bytes).s);
    }
    put_occupancy(printer, class->blocks_live, class_blocks(class));
}

static void put_classes_heading(struct printer *printer, bool exact)
{
    put(printer, "\n  %6s %20s %35s\n", "Class", "------- pools ------", "-------------- blocks -------------");
    put(printer, "  %6s %6s %6s %6s %11s %11s %11s %14s", "bytes", "used", "full", "empty", "live", "free", "untouched",
        "requests");
    put(printer, "%s  %s\n", exact ? "   internal" : "", "occupancy");
}

static void add_class(cairn_class_stats *total, const cairn_class_stats *class)
{
    total->pools_used += class->pools_used;
    total->pools_full += class->pools_full;
    total->pools_empty += class->pools_empty;
    total->blocks_live += class->blocks_live;
    total->blocks_free += class->blocks_free;
    total->blocks_untouched += class->blocks_untouched;
    total->requests += class->requests;
    total->internal_bytes += class->internal_bytes;
}

/* The classes that had requests; a heap without any has no table. */
static void put_classes(struct printer *printer, const cairn_stats *stats)
{
    bool exact = stats_are_exact(stats);
    cairn_class_stats total;
    struct text label;
    size_t rows = 0;

    memset(&total, 0, sizeof total);
    for (size_t i = 0; i < stats->class_count; i++) {
        const cairn_class_stats *class = &stats->classes[i];
        if (class->requests == 0) {
            continue;
        }
        if (rows++ == 0) {
            put_classes_heading(printer, exact);
        }
        snprintf(label.s, sizeof label.s, "%zu", class->block_size);
        put_class(printer, label.s, class, exact);
        add_class(&total, class);
    }
    if (rows > 1) {
        put_class(printer, "all", &total, exact);
    }
}

int print_stats_text(const cairn_stats *stats, const cairn_fragmentation *fragmentation, const char *name,
                     const cairn_geometry *geometry, FILE *out)
{
    struct printer printer = {out, 0};

    put_heading(&printer, name, geometry, stats);
    put_requests(&printer, stats);
    put_memory(&printer, stats);
    put_fragmentation(&printer, stats, fragmentation);
    put_hole_sizes(&printer, fragmentation);
    put_arenas(&printer, stats);
    put_pool_occupancy(&printer, fragmentation);
    put_classes(&printer, stats);
    return finish(&printer);
}

/* ---- JSON ---- */

/* A counter of a statistics struct: uint64_t or size_t, told apart by its size. */
struct field {
    const char *name;
    size_t offset;
    size_t size;
    bool exact_only; /* null unless every request was counted */
};

#define FIELD(type, member, exact_only)                                                                                \
    {                                                                                                                  \
#member, offsetof(type, member), sizeof(((type *)0)->member), exact_only                                       \
    }
#define COUNTED(member) FIELD(cairn_stats, member, false)
#define EXACT(member) FIELD(cairn_stats, member, true)
#define CLASS_COUNTED(member) FIELD(cairn_class_stats, member, false)
#define CLASS_EXACT(member) FIELD(cairn_class_stats, member, true)
#define PART(member) FIELD(cairn_fragmentation, member, false)
#define PART_EXACT(member) FIELD(cairn_fragmentation, member, true)

static const struct field stats_fields[] = {
    COUNTED(requests),
    COUNTED(frees),
    COUNTED(requests_failed),
    EXACT(bytes_asked),
    EXACT(bytes_given),
    COUNTED(live_blocks),
    COUNTED(live_bytes),
    EXACT(live_peak),
    COUNTED(held_bytes),
    COUNTED(held_peak),
    COUNTED(reserved_bytes),
    COUNTED(resident_bytes),
    COUNTED(metadata_bytes),
    COUNTED(arenas),
    COUNTED(arenas_created),
    COUNTED(arenas_released),
    COUNTED(pools_used),
    COUNTED(pools_full),
    COUNTED(pools_free),
    COUNTED(pools_untouched),
    COUNTED(large_blocks),
    COUNTED(large_bytes),
    COUNTED(segments),
    COUNTED(segment_bytes),
    COUNTED(holes),
    COUNTED(hole_bytes),
    COUNTED(largest_hole),
    COUNTED(hole_searches),
    COUNTED(holes_visited),
    COUNTED(huge_blocks),
    COUNTED(huge_bytes),
    COUNTED(cached_bytes),
    COUNTED(handle_blocks),
    COUNTED(handle_bytes),
    COUNTED(handle_segments),
    COUNTED(handle_held_bytes),
    COUNTED(handle_hole_bytes),
    COUNTED(purged_bytes),
    COUNTED(remote_frees),
    COUNTED(owners),
    EXACT(internal_bytes),
    COUNTED(external_bytes),
    COUNTED(class_count),
};

static const struct field class_fields[] = {
    CLASS_COUNTED(block_size),  CLASS_COUNTED(pool_size),   CLASS_COUNTED(pools_used),  CLASS_COUNTED(pools_full),
    CLASS_COUNTED(pools_empty), CLASS_COUNTED(blocks_live), CLASS_COUNTED(blocks_free), CLASS_COUNTED(blocks_untouched),
    CLASS_COUNTED(requests),    CLASS_COUNTED(frees),       CLASS_EXACT(bytes_asked),   CLASS_EXACT(internal_bytes),
};

static const struct field fragmentation_fields[] = {
    PART(live_bytes),         PART_EXACT(internal_bytes), PART(huge_rounding),        PART(resident_bytes),
    PART(live_resident),      PART(external_bytes),       PART(free_blocks_resident), PART(tails_resident),
    PART(untouched_resident), PART(free_pools_resident),  PART(holes_resident),       PART(handle_holes_resident),
    PART(headers_resident),   PART(cached_resident),      PART(hole_bytes),           PART(largest_hole),
    PART(largest_request),
};

/* Where size_t has 64 bits every counter has, so a struct's size says how many there are. */
_Static_assert(sizeof(size_t) != sizeof(uint64_t) ||
                   offsetof(cairn_stats, classes) == COUNT_OF(stats_fields) * sizeof(uint64_t),
               "stats_fields lacks a field of cairn_stats");
_Static_assert(sizeof(size_t) != sizeof(uint64_t) ||
                   sizeof(cairn_class_stats) == COUNT_OF(class_fields) * sizeof(uint64_t),
               "class_fields lacks a field of cairn_class_stats");
_Static_assert(sizeof(size_t) != sizeof(uint64_t) ||
                   offsetof(cairn_fragmentation, internal_ratio) == COUNT_OF(fragmentation_fields) * sizeof(uint64_t),
               "fragmentation_fields lacks a field of cairn_fragmentation");

static uint64_t field_value(const void *record, const struct field *field)
{
    const char *address = (const char *)record + field->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;

    if (field->size == sizeof wide) {
        memcpy(&wide, address, sizeof wide);
        return wide;
    }
    memcpy(&narrow, address, sizeof narrow);
    return narrow;
}

static void put_field(struct printer *printer, const struct field *field, const void *record, bool exact)
{
    if (field->exact_only && !exact) {
        put(printer, "\"%s\": null", field->name);
    } else {
        put(printer, "\"%s\": %" PRIu64, field->name, field_value(record, field));
    }
}

/* Length of the valid UTF-8 sequence at `at`; 0 if there is none. Stops at the string's end by itself. */
static size_t utf8_length(const unsigned char *at)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;

    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool beyond = (at[0] == 0xED && at[1] >= 0xA0) || (at[0] == 0xF4 && at[1] >= 0x90); /* surrogates, > U+10FFFF */
    return overlong || beyond ? 0 : length;
}

/* A JSON string; bytes that are no UTF-8 become U+FFFD, the replacement character. */
static void put_string(struct printer *printer, const char *string)
{
    const unsigned char *at = (const unsigned char *)string;

    put(printer, "\"");
    while (*at != '\0') {
        size_t length = utf8_length(at);
        if (length == 0) {
            put(printer, "\\ufffd");
        } else if (*at == '"' || *at == '\\') {
            put(printer, "\\%c", *at);
        } else if (*at < ' ' || *at == 127) {
            put(printer, "\\u%04x", *at);
        } else {
            put(printer, "%.*s", (int)length, (const char *)at);
        }
        at += length > 0 ? length : 1;
    }
    put(printer, "\"");
}

static void put_geometry_json(struct printer *printer, const cairn_geometry *geometry)
{
    put(printer, "  \"geometry\": {\"arena_size\": %zu, \"pool_size\": %zu, \"alignment\": %zu, \"small_limit\": %zu, ",
        geometry->arena_size, geometry->pool_size, geometry->alignment, geometry->small_limit);
    put(printer, "\"medium_limit\": %zu, ", geometry->medium_limit);
    put(printer, "\"reuse_at_once\": %s, \"return_at_once\": %s, ", geometry->reuse_at_once ? "true" : "false",
        geometry->return_at_once ? "true" : "false");
    put(printer, "\"first_block\": %zu},\n", geometry->first_block);
}

static void put_class_json(struct printer *printer, const cairn_class_stats *class, bool exact)
{
    put(printer, "    {");
    for (size_t i = 0; i < COUNT_OF(class_fields); i++) {
        put(printer, "%s", i > 0 ? ", " : "");
        put_field(printer, &class_fields[i], class, exact);
    }
    put(printer, "}");
}

/* A ratio between 0 and 1 with four digits, whatever the locale. */
static void put_ratio(struct printer *printer, const char *name, double value)
{
    unsigned digits = (unsigned)(value * 10000 + 0.5);
    put(printer, "\"%s\": %u.%04u", name, digits / 10000, digits % 10000);
}

static void put_ratios_json(struct printer *printer, const cairn_fragmentation *figures, bool exact)
{
    if (exact) {
        put_ratio(printer, "internal_ratio", figures->internal_ratio);
    } else {
        put(printer, "\"internal_ratio\": null");
    }
    put(printer, ", ");
    put_ratio(printer, "external_ratio", figures->external_ratio);
    put(printer, ", ");
    put_ratio(printer, "hole_ratio", figures->hole_ratio);
}

/* Of the holes only the rows that have some, each with the size it begins at. */
static void put_histograms_json(struct printer *printer, const cairn_fragmentation *figures)
{
    const char *comma = "";
    put(printer, "    \"pool_occupancy\": [");
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        put(printer, "%s%zu", i > 0 ? ", " : "", figures->pool_occupancy[i]);
    }
    put(printer, "],\n    \"holes\": [");
    for (size_t i = 0; i < CAIRN_HOLE_SIZES; i++) {
        const cairn_hole_size *row = &figures->holes[i];
        if (row->count != 0) {
            put(printer, "%s{\"from\": %" PRIu64 ", \"count\": %zu, \"bytes\": %zu}", comma, UINT64_C(1) << i,
                row->count, row->bytes);
            comma = ", ";
        }
    }
    put(printer, "]\n");
}

static void put_fragmentation_json(struct printer *printer, const cairn_fragmentation *figures, bool exact)
{
    put(printer, "  \"fragmentation\": {\n");
    for (size_t i = 0; i < COUNT_OF(fragmentation_fields); i++) {
        put(printer, "    ");
        put_field(printer, &fragmentation_fields[i], figures, exact);
        put(printer, ",\n");
    }
    put(printer, "    ");
    put_ratios_json(printer, figures, exact);
    put(printer, ",\n");
    put_histograms_json(printer, figures);
    put(printer, "  }\n}\n");
}

int print_stats_json(const cairn_stats *stats, const cairn_fragmentation *fragmentation, const char *name,
                     const cairn_geometry *geometry, FILE *out)
{
    struct printer printer = {out, 0};
    bool exact = stats_are_exact(stats);

    put(&printer, "{\n  \"name\": ");
    put_string(&printer, name);
    put(&printer, ",\n");
    put_geometry_json(&printer, geometry);
    for (size_t i = 0; i < COUNT_OF(stats_fields); i++) {
        put(&printer, "  ");
        put_field(&printer, &stats_fields[i], stats, exact);
        put(&printer, ",\n");
    }
    put(&printer, "  \"classes\": [");
    for (size_t i = 0; i < stats->class_count; i++) {
        put(&printer, "%s\n", i > 0 ? "," : "");
        put_class_json(&printer, &stats->classes[i], exact);
    }
    put(&printer, "%s],\n", stats->class_count > 0 ? "\n  " : "");
    put_fragmentation_json(&printer, fragmentation, exact);
    return finish(&printer);
}

/* ---- the public calls ---- */

int cairn_heap_print_stats(cairn_heap *heap, FILE *out)
{
    cairn_stats stats;
    cairn_fragmentation fragmentation;
    cairn_geometry geometry;

    stats_collect(heap, &stats, &fragmentation);
    cairn_heap_geometry(heap, &geometry);
    return print_stats_text(&stats, &fragmentation, cairn_heap_name(heap), &geometry, out);
}

int cairn_heap_print_stats_json(cairn_heap *heap, FILE *out)
{
    cairn_stats stats;
    cairn_fragmentation fragmentation;
    cairn_geometry geometry;

    stats_collect(heap, &stats, &fragmentation);
    cairn_heap_geometry(heap, &geometry);
    return print_stats_json(&stats, &fragmentation, cairn_heap_name(heap), &geometry, out);
}

void print_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}
