/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_fragmentation.c: the figures of fragmentation against heaps whose every byte is known by construction, and, after
 * random work in every geometry, with every fit, with and without pools, against what the walk shows and the system says
 * page by page.
 *
 * What is resident is the system's to say, and it may change it: where a heap has advised huge pages, the kernel's
 * khugepaged fills a half-empty one at a moment of its own. So heaps whose every byte is known have none, and what is
 * compared with other heaps at rest is looked at again if it disagrees: a fault of Cairn's is the same at each look. */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "cairn_handle.h"
#include "os/os.h"
#include "support/test.h"

enum {
    HOLE_HEADER = 8,    /* in front of a block cut from a hole */
    HOLE_HEAD = 32,     /* at the start of a hole, written */
    SEGMENT_START = 8,  /* before the first block's header, and again at the end */
    HANDLE_HEADER = 16, /* in front of a block of a handle, and at the start of its segment */
    HOLE_REQUEST_MAX_BYTES = 4 << 20
};

static const char *const presets[] = {"classic", "cpython", "default"};

/* Nothing is purged, and nothing filled, behind the test's back. */
static cairn_heap_options lasting_options(const char *preset, cairn_geometry *geometry)
{
    cairn_heap_options options = options_of_preset(preset, geometry);
    options.purge_delay_ms = 1000000;
    options.keep_percent = 10000;
    options.huge = CAIRN_HUGE_NEVER;
    return options;
}

static cairn_heap *lasting_heap(const char *preset)
{
    cairn_geometry geometry;
    cairn_heap_options options = lasting_options(preset, &geometry);
    options.single = true;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    return heap;
}

/* The same with pools of the preset told, whatever the policy. */
static cairn_heap *lasting_pools(const char *preset)
{
    cairn_geometry geometry;
    cairn_heap_options options = lasting_options(preset, &geometry);
    options.single = true;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    return heap;
}

/* A block with something in every byte. */
static void *filled(cairn_heap *heap, size_t size)
{
    void *block = cairn_alloc(heap, size);
    assert_non_null(block);
    bytes_fill(block, 0x5a, cairn_usable_size(block));
    return block;
}

static size_t sum_of_causes(const cairn_fragmentation *figures)
{
    return figures->free_blocks_resident + figures->tails_resident + figures->untouched_resident +
           figures->free_pools_resident + figures->holes_resident + figures->handle_holes_resident +
           figures->headers_resident + figures->cached_resident;
}

enum { LOOKS = 20 }; /* at most, at what the system may change meanwhile */

/* The figures, in which sums and ratios agree and the statistics say the same. Good until the next call. */
static const cairn_fragmentation *figures_of(cairn_heap *heap)
{
    static cairn_fragmentation figures;
    const cairn_stats *stats = NULL;
    for (int look = 0; look < LOOKS && (!stats || stats->resident_bytes != figures.resident_bytes); look++) {
        memset(&figures, 0xa5, sizeof figures);
        assert_int_equal(cairn_heap_fragmentation(heap, &figures), 0);
        stats = stats_of(heap);
    }
    assert_int_equal(figures.resident_bytes, figures.live_resident + figures.external_bytes);
    assert_int_equal(figures.external_bytes, sum_of_causes(&figures));
    assert_int_equal(figures.resident_bytes, stats->resident_bytes);
    assert_int_equal(figures.external_bytes, stats->external_bytes);
    assert_int_equal(figures.live_bytes, stats->live_bytes);
    assert_int_equal(figures.internal_bytes, stats->internal_bytes);
    assert_int_equal(figures.hole_bytes, stats->hole_bytes);
    assert_int_equal(figures.largest_hole, stats->largest_hole);
    assert_true(figures.live_resident <= stats->live_bytes + stats->handle_bytes);
    assert_true(figures.external_ratio >= 0 && figures.external_ratio <= 1);
    assert_true(figures.hole_ratio >= 0 && figures.hole_ratio < 1);
    return &figures;
}

static size_t pools_with_live_blocks(const cairn_fragmentation *figures)
{
    size_t pools = 0;
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        pools += figures->pool_occupancy[i];
    }
    return pools;
}

/* ---- pools ---- */

static void an_empty_heap_has_no_figures(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    cairn_fragmentation none;
    memset(&none, 0, sizeof none);
    assert_memory_equal(figures_of(heap), &none, sizeof none);
    cairn_heap_destroy(heap);
}

/* 1000 blocks of 64 bytes in 16 pools of 4 KiB, every second one freed: 500 live ones, 524 free. */
static void every_second_block_freed_is_half_the_memory(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_pools("classic");
    void *blocks[1000];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = filled(heap, 64);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i += 2) {
        cairn_free(heap, blocks[i]);
    }
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->resident_bytes, 16 * 4096);
    assert_int_equal(figures->live_bytes, 32000);
    assert_int_equal(figures->live_resident, 32000);
    assert_int_equal(figures->free_blocks_resident, 524 * 64);
    assert_int_equal(figures->external_bytes, 524 * 64);
    assert_true(figures->external_ratio > 0.5117 && figures->external_ratio < 0.5118);
    assert_int_equal(figures->pool_occupancy[4], 15); /* 32 of 64 */
    assert_int_equal(figures->pool_occupancy[3], 1);  /* 20 of 64 */
    assert_int_equal(pools_with_live_blocks(figures), 16);
    assert_int_equal(figures->largest_request, 512); /* another class would take a free pool */
    assert_int_equal(figures->hole_bytes, 0);
    cairn_heap_destroy(heap);
}

/* 32 blocks of 496 bytes behind 48: 464 are left. */
static void what_lies_before_and_behind_the_blocks_of_a_pool_is_its_tails(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_pools("cpython");
    for (size_t i = 0; i < 3 * 32; i++) {
        filled(heap, 496);
    }
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->resident_bytes, 3 * KIB(16));
    assert_int_equal(figures->live_resident, 3 * 32 * 496);
    assert_int_equal(figures->tails_resident, 3 * (48 + 464));
    assert_int_equal(figures->external_bytes, figures->tails_resident);
    assert_int_equal(figures->pool_occupancy[9], 3);
    cairn_heap_destroy(heap);
}

/* Blocks are carved a page at a time, those that begin in it; the last reaches into the next page, where others lie. */
static void blocks_never_carved_count_where_they_share_a_page(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_pools("default");
    filled(heap, 48);
    const cairn_class_stats *row = &stats_of(heap)->classes[48 / 16 - 1];
    assert_int_equal(row->block_size, 48);
    size_t carved = row->blocks_live + row->blocks_free;
    assert_int_equal(carved, os_page_size() / 48 + 1);
    assert_int_equal(figures_of(heap)->resident_bytes, os_page_size());
    for (size_t i = 1; i < carved; i++) {
        filled(heap, 48);
    }
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->resident_bytes, 2 * os_page_size());
    assert_int_equal(figures->live_resident, carved * 48);
    assert_int_equal(figures->free_blocks_resident, 0);
    assert_int_equal(figures->untouched_resident, 2 * os_page_size() - carved * 48);
    assert_int_equal(figures->pool_occupancy[2], 1);
    cairn_heap_destroy(heap);
}

/* A pool keeps its pages until they are purged, whether a class keeps it or the arena. */
static void pools_without_live_blocks_are_free_pools(void **state)
{
    (void)state;
    only_with_pools();
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = lasting_heap(presets[p]);
        cairn_geometry geometry;
        cairn_heap_geometry(heap, &geometry);
        size_t count = (geometry.pool_size - geometry.first_block) / 64;
        static void *blocks[KIB(512) / 64];
        assert_true(count <= COUNT_OF(blocks));
        for (size_t i = 0; i < count; i++) {
            blocks[i] = filled(heap, 64);
        }
        for (size_t i = 0; i < count; i++) {
            cairn_free(heap, blocks[i]);
        }
        const cairn_fragmentation *figures = figures_of(heap);
        assert_int_equal(figures->free_pools_resident, geometry.pool_size);
        assert_int_equal(figures->resident_bytes, geometry.pool_size);
        assert_int_equal(pools_with_live_blocks(figures), 0);
        assert_int_equal(figures->largest_request, geometry.small_limit);
        assert_true(cairn_trim(heap) > 0);
        assert_int_equal(figures_of(heap)->resident_bytes, 0);
        cairn_heap_destroy(heap);
    }
}

static void occupancy_is_counted_in_tenths(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_pools("classic");
    void *blocks[80]; /* 10 to a pool of 4096 */
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = filled(heap, 400);
    }
    for (size_t pool = 0; pool < 8; pool++) {
        for (size_t i = 0; i < pool; i++) {
            cairn_free(heap, blocks[pool * 10 + i]);
        }
    }
    const cairn_fragmentation *figures = figures_of(heap);
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        assert_int_equal(figures->pool_occupancy[i], i >= 2); /* 3 of 10 to 10 of 10 */
    }
    cairn_heap_destroy(heap);
}

/* ---- holes ---- */

/* Three blocks at the start of a segment, the middle one freed. */
static void a_freed_large_block_is_a_hole(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    char *first = filled(heap, KIB(100));
    void *middle = filled(heap, KIB(100));
    filled(heap, KIB(100));
    size_t usable = cairn_usable_size(first);
    size_t chunk = usable + HOLE_HEADER;
    assert_int_equal(chunk, 102416);
    cairn_free(heap, middle);
    const cairn_fragmentation *figures = figures_of(heap);
    size_t rest = MIB(16) - 2 * SEGMENT_START - 3 * chunk;
    assert_int_equal(figures->hole_bytes, chunk + rest);
    assert_int_equal(figures->largest_hole, rest);
    assert_int_equal(figures->holes[16].count, 1);
    assert_int_equal(figures->holes[16].bytes, chunk);
    assert_int_equal(figures->holes[23].count, 1);
    assert_int_equal(figures->holes[23].bytes, rest);
    assert_true(figures->hole_ratio == 1 - (double)rest / (double)(chunk + rest));
    size_t used = round_up(3 * chunk + HOLE_HEAD, os_page_size()); /* from the segment's start */
    assert_int_equal(figures->resident_bytes, used);
    assert_int_equal(figures->live_resident, 2 * usable);
    assert_int_equal(figures->headers_resident, SEGMENT_START + 2 * HOLE_HEADER);
    assert_int_equal(figures->holes_resident, chunk + (used - SEGMENT_START - 3 * chunk));
    assert_int_equal(figures->largest_request, HOLE_REQUEST_MAX_BYTES);
    cairn_heap_destroy(heap);
}

static void a_purged_hole_holds_nothing_but_its_edges(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    filled(heap, KIB(100));
    void *middle = filled(heap, MIB(1));
    filled(heap, KIB(100));
    cairn_free(heap, middle);
    assert_true(figures_of(heap)->holes_resident >= MIB(1));
    assert_true(cairn_trim(heap) >= MIB(1) - 2 * os_page_size());
    assert_true(figures_of(heap)->holes_resident <= 3 * os_page_size());
    cairn_heap_destroy(heap);
}

/* A block at the start of a page that nobody has written to: what is resident is its header, before that page, and its
 * last word, before the head of the hole behind it. */
static void a_header_counts_where_it_lies(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    void *block = cairn_alloc_aligned(heap, os_page_size(), KIB(64));
    assert_non_null(block);
    assert_int_equal(cairn_usable_size(block), KIB(64) + 8);
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->resident_bytes, 2 * os_page_size());
    assert_int_equal(figures->headers_resident, SEGMENT_START + HOLE_HEADER);
    assert_int_equal(figures->live_resident, 8);
    cairn_heap_destroy(heap);
}

/* ---- the largest request ---- */

/* Of the default geometry, or without pools. */
static cairn_heap *limited_heap(size_t limit, bool no_pools)
{
    cairn_geometry geometry;
    cairn_heap_options options = lasting_options("default", &geometry);
    options.limit = limit;
    options.no_pools = no_pools;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    return heap;
}

/* A chunk for 100,000 bytes has 100,016; the limit leaves 24 more, and a hole is used only if there are 16 to spare. */
static void the_limit_bounds_what_a_hole_can_serve(void **state)
{
    (void)state;
    cairn_heap *heap = limited_heap(100016 + 24, true);
    cairn_free(heap, filled(heap, 10));
    assert_int_equal(figures_of(heap)->largest_request, 100016 - HOLE_HEADER);
    filled(heap, 100016 - HOLE_HEADER);
    assert_int_equal(figures_of(heap)->largest_request, 0);
    assert_null(cairn_alloc(heap, 10));
    cairn_heap_destroy(heap);
}

/* Requests up to the pools' limit never come to the holes, however much room those have. */
static void a_hole_serves_no_request_that_is_a_pools(void **state)
{
    (void)state;
    cairn_heap *heap = limited_heap(KIB(100), false);
    filled(heap, KIB(90));
    assert_true(figures_of(heap)->hole_bytes > MIB(15));
    assert_int_equal(figures_of(heap)->largest_request, 0);
    assert_null(cairn_alloc(heap, KIB(8)));
    cairn_heap_destroy(heap);
}

static void a_free_pool_serves_only_if_the_limit_allows(void **state)
{
    (void)state;
    cairn_heap *tight = limited_heap(KIB(24), false);
    filled(tight, 64);
    assert_int_equal(figures_of(tight)->largest_request, 64);
    assert_null(cairn_alloc(tight, 65));
    cairn_heap_destroy(tight);
    cairn_heap *wide = limited_heap(KIB(32), false);
    filled(wide, 64);
    assert_int_equal(figures_of(wide)->largest_request, 1024);
    cairn_heap_destroy(wide);
}

/* With blocks aligned to 16, no request comes to the class of 504 bytes. */
static void classes_that_serve_no_request_do_not_count(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = lasting_options("classic", &geometry);
    geometry.small_limit = 504;
    options.min_alignment = 16;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    filled(heap, 64);
    assert_int_equal(figures_of(heap)->largest_request, 496);
    cairn_heap_destroy(heap);
}

/* A mapping made for an alignment that holes do not serve is too small for what comes to mappings otherwise. */
static void a_kept_mapping_that_is_small_serves_nothing(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    cairn_free(heap, cairn_alloc_aligned(heap, MIB(8), 100));
    assert_int_equal(stats_of(heap)->cached_bytes, os_page_size());
    assert_int_equal(figures_of(heap)->largest_request, 0);
    cairn_heap_destroy(heap);
}

/* ---- mappings ---- */

static void the_rounding_of_a_huge_block_is_known(void **state)
{
    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        cairn_geometry geometry;
        cairn_heap_options options = lasting_options("default", &geometry);
        options.exact = exact != 0;
        cairn_heap *heap = cairn_heap_create(&options);
        assert_non_null(heap);
        filled(heap, MIB(5) + 1);
        const cairn_fragmentation *figures = figures_of(heap);
        assert_int_equal(figures->huge_rounding, os_page_size() - 1);
        assert_int_equal(figures->internal_bytes, exact ? os_page_size() - 1 : 0);
        assert_int_equal(figures->resident_bytes, MIB(5) + os_page_size());
        assert_int_equal(figures->live_resident, figures->resident_bytes);
        assert_int_equal(figures->largest_request, 0);
        cairn_heap_destroy(heap);
    }
}

static void a_kept_mapping_is_resident_and_serves_again(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    cairn_free(heap, filled(heap, MIB(6)));
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->cached_resident, MIB(6));
    assert_int_equal(figures->external_bytes, MIB(6));
    assert_int_equal(figures->largest_request, MIB(6));
    assert_int_equal(figures->live_resident, 0);
    struct os_counts before;
    struct os_counts after;
    os_counts(&before);
    void *block = cairn_alloc(heap, MIB(6));
    assert_non_null(block);
    os_counts(&after);
    assert_int_equal(after.reserved_bytes, before.reserved_bytes);
    assert_int_equal(figures_of(heap)->cached_resident, 0);
    cairn_heap_destroy(heap);
}

/* ---- internal ---- */

static void internal_fragmentation_is_told_by_class(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options options = lasting_options("classic", &geometry);
    options.exact = true;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    for (size_t i = 0; i < 50; i++) {
        filled(heap, 101); /* gets 104 */
        filled(heap, 17);  /* gets 24 */
    }
    const cairn_fragmentation *figures = figures_of(heap);
    assert_int_equal(figures->internal_bytes, 150 + 350);
    assert_true(figures->internal_ratio == 500.0 / 6400);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->classes[104 / 8 - 1].internal_bytes, 150);
    assert_int_equal(stats->classes[24 / 8 - 1].internal_bytes, 350);
    cairn_heap_destroy(heap);
}

/* ---- handles ---- */

/* Ten cells of 128 bytes, every second one freed, and the hole behind them, all in the segment's first page. */
static void holes_between_blocks_of_handles_are_their_own_cause(void **state)
{
    (void)state;
    cairn_heap *heap = lasting_heap("default");
    cairn_handle handles[10];
    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        handles[i] = cairn_handle_alloc(heap, 112);
        assert_true(handles[i] != CAIRN_HANDLE_NONE);
        bytes_fill(cairn_handle_deref(handles[i]), 1, 112);
    }
    for (size_t i = 0; i < COUNT_OF(handles); i += 2) {
        cairn_handle_free(heap, handles[i]);
    }
    const cairn_fragmentation *figures = figures_of(heap);
    size_t page = os_page_size();
    assert_int_equal(figures->resident_bytes, page);
    assert_int_equal(figures->live_resident, 5 * 112);
    assert_int_equal(figures->headers_resident, 6 * HANDLE_HEADER);
    assert_int_equal(figures->handle_holes_resident, page - 5 * 112 - 6 * HANDLE_HEADER);
    assert_int_equal(figures->live_bytes, 0);
    const cairn_stats *stats = stats_of(heap);
    cairn_handle_stats by_handle;
    cairn_heap_handle_stats(heap, &by_handle);
    assert_int_equal(stats->live_blocks + stats->requests, 0);
    assert_int_equal(stats->handle_blocks, 5);
    assert_int_equal(stats->handle_bytes, 5 * 112);
    assert_int_equal(stats->handle_segments, 1);
    assert_int_equal(stats->handle_held_bytes, by_handle.held_bytes);
    assert_int_equal(stats->handle_hole_bytes, by_handle.hole_bytes);
    assert_int_equal(stats->held_bytes, by_handle.held_bytes);
    assert_int_equal(stats->reserved_bytes, by_handle.held_bytes);
    assert_false(cairn_heap_compact(heap, SIZE_MAX));
    assert_int_equal(figures_of(heap)->live_resident, 5 * 112);
    cairn_heap_destroy(heap);
}

/* ---- everything, against the walk ---- */

/* Resident bytes page by page, as nobody would who had to be quick. */
static size_t slowly_resident(const void *address, size_t size)
{
    uintptr_t page = os_page_size();
    uintptr_t at = address_of(address);
    uintptr_t end = at + size;
    size_t bytes = 0;
    while (at < end) {
        uintptr_t start = at & ~(page - 1);
        uintptr_t next = start + page < end ? start + page : end;
        bytes += os->resident((const void *)start, page) ? next - at : 0;
        at = next;
    }
    return bytes;
}

struct shown {
    cairn_geometry geometry;
    cairn_fragmentation figures;
    size_t resident;       /* of everything the walk shows as a whole */
    size_t pools_resident; /* in pools with live blocks, without their tails */
    size_t handle_segments, handle_blocks, handle_bytes, handle_hole_bytes;
};

/* A pool with live blocks: its ends are tails. */
static void show_used_pool(struct shown *shown, const cairn_area *area)
{
    bool small = area->block_size <= shown->geometry.small_limit;
    size_t head = small ? shown->geometry.first_block : 0;
    size_t blocks = (area->size - head) / area->block_size;
    size_t end = head + blocks * area->block_size;
    char *start = area->address;
    shown->figures.tails_resident += slowly_resident(start, head) + slowly_resident(start + end, area->size - end);
    shown->pools_resident += slowly_resident(start + head, end - head);
    size_t tenth = (area->blocks_live * CAIRN_OCCUPANCY_TENTHS + blocks - 1) / blocks;
    shown->figures.pool_occupancy[tenth - 1]++;
}

static void show_hole(struct shown *shown, const cairn_area *area)
{
    size_t row = 0;
    while (area->size >> (row + 1)) {
        row++;
    }
    shown->figures.holes[row].count++;
    shown->figures.holes[row].bytes += area->size;
    shown->figures.holes_resident += slowly_resident(area->address, area->size);
}

static bool show(const cairn_area *area, void *context)
{
    struct shown *shown = context;
    cairn_fragmentation *figures = &shown->figures;
    switch (area->kind) {
    case CAIRN_AREA_ARENA:
    case CAIRN_AREA_SEGMENT:
        shown->resident += os->resident(area->address, area->size);
        break;
    case CAIRN_AREA_POOL:
        if (area->blocks_live > 0) {
            show_used_pool(shown, area);
        } else if (area->pool_state == CAIRN_POOL_FREE) {
            figures->free_pools_resident += slowly_resident(area->address, area->size);
        } else {
            figures->untouched_resident += slowly_resident(area->address, area->size);
        }
        break;
    case CAIRN_AREA_BLOCK:
        break;
    case CAIRN_AREA_LARGE:
        figures->live_resident += slowly_resident(area->address, area->size);
        break;
    case CAIRN_AREA_HOLE:
        show_hole(shown, area);
        break;
    case CAIRN_AREA_HUGE:
        shown->resident += os->resident(area->address, area->size);
        figures->live_resident += slowly_resident(area->address, area->size);
        break;
    case CAIRN_AREA_HANDLE_SEGMENT:
        shown->resident += os->resident(area->address, area->size);
        shown->handle_segments++;
        break;
    case CAIRN_AREA_HANDLE_BLOCK:
        figures->live_resident += slowly_resident(area->address, area->size);
        shown->handle_blocks++;
        shown->handle_bytes += area->size;
        break;
    case CAIRN_AREA_HANDLE_HOLE:
        figures->handle_holes_resident += slowly_resident(area->address, area->size);
        shown->handle_hole_bytes += area->size;
        break;
    }
    return true;
}

static void figures_are_those_of_the_walk(cairn_heap *heap)
{
    struct shown shown;
    const cairn_fragmentation *figures = NULL;
    for (int look = 0; look < LOOKS; look++) {
        memset(&shown, 0, sizeof shown);
        cairn_heap_geometry(heap, &shown.geometry);
        assert_true(cairn_heap_walk(heap, true, show, &shown));
        figures = figures_of(heap);
        if (figures->resident_bytes == shown.resident + figures->cached_resident) {
            break;
        }
    }
    assert_int_equal(figures->resident_bytes, shown.resident + figures->cached_resident);
    assert_int_equal(figures->tails_resident, shown.figures.tails_resident);
    assert_int_equal(figures->free_pools_resident, shown.figures.free_pools_resident);
    assert_int_equal(figures->holes_resident, shown.figures.holes_resident);
    assert_int_equal(figures->handle_holes_resident, shown.figures.handle_holes_resident);
    assert_int_equal(figures->live_resident + figures->free_blocks_resident + figures->untouched_resident,
                     shown.figures.live_resident + shown.pools_resident + shown.figures.untouched_resident);
    assert_memory_equal(figures->holes, shown.figures.holes, sizeof figures->holes);
    assert_memory_equal(figures->pool_occupancy, shown.figures.pool_occupancy, sizeof figures->pool_occupancy);
    const cairn_stats *stats = stats_of(heap);
    assert_int_equal(stats->handle_segments, shown.handle_segments);
    assert_int_equal(stats->handle_blocks, shown.handle_blocks);
    assert_int_equal(stats->handle_bytes, shown.handle_bytes);
    assert_int_equal(stats->handle_hole_bytes, shown.handle_hole_bytes);
    assert_int_equal(pools_with_live_blocks(figures), stats->pools_used + stats->pools_full);
}

/* The largest request is served without the system, and no larger one is. */
static void the_largest_request_is_the_largest(cairn_heap *heap)
{
    size_t size = figures_of(heap)->largest_request;
    struct os_counts before;
    struct os_counts after;
    os_counts(&before);
    void *block = cairn_alloc(heap, size + 1);
    os_counts(&after);
    assert_true(block == NULL || after.reserved_bytes > before.reserved_bytes);
    cairn_free(heap, block);
    size = figures_of(heap)->largest_request; /* what was reserved may have made it larger */
    os_counts(&before);
    block = size > 0 ? cairn_alloc(heap, size) : NULL;
    os_counts(&after);
    assert_true(size == 0 || block != NULL);
    assert_int_equal(after.reserved_bytes, before.reserved_bytes);
    cairn_free(heap, block);
}

enum { PLACES = 400 };

struct work {
    cairn_heap *heap;
    uint64_t random;
    void *blocks[PLACES];
    cairn_handle handles[PLACES];
};

static size_t random_size(uint64_t *random)
{
    size_t bits = 3 + random_below(random, random_chance(random, 10) ? 20 : 12);
    return 1 + random_below(random, (size_t)1 << bits);
}

/* Replaces what is at a place: a block, half of them filled, or one of a handle. */
static void change_place(struct work *work)
{
    size_t place = random_below(&work->random, PLACES);
    size_t size = random_size(&work->random);
    bool written = random_chance(&work->random, 50);
    bool gone = random_chance(&work->random, 40);
    if (random_chance(&work->random, 75)) {
        cairn_free(work->heap, work->blocks[place]);
        work->blocks[place] = gone ? NULL : cairn_alloc(work->heap, size);
        if (work->blocks[place] && written) {
            bytes_fill(work->blocks[place], 7, size);
        }
        return;
    }
    cairn_handle_free(work->heap, work->handles[place]);
    work->handles[place] = gone ? CAIRN_HANDLE_NONE : cairn_handle_alloc(work->heap, size);
    if (work->handles[place] != CAIRN_HANDLE_NONE && written) {
        bytes_fill(cairn_handle_deref(work->handles[place]), 7, size);
    }
}

static void work_and_compare(const cairn_heap_options *options)
{
    struct work work = {.heap = cairn_heap_create(options), .random = test_seed()};
    assert_non_null(work.heap);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < test_scaled(2000); i++) {
            change_place(&work);
        }
        figures_are_those_of_the_walk(work.heap);
        the_largest_request_is_the_largest(work.heap);
        if (round == 1) {
            cairn_trim(work.heap);
            figures_are_those_of_the_walk(work.heap);
        }
    }
    heap_is_sound(work.heap);
    cairn_heap_destroy(work.heap);
}

/* The presets and two unlike them: pools as small as they may be with a wide head, and large ones. */
static cairn_heap_options options_of_row(unsigned row, cairn_geometry *geometry)
{
    cairn_heap_options options = lasting_options(row < COUNT_OF(presets) ? presets[row] : "default", geometry);
    if (row == 3) {
        geometry->arena_size = KIB(64);
        geometry->pool_size = KIB(4);
        geometry->small_limit = 320;
        geometry->medium_limit = KIB(2);
        geometry->first_block = 240;
    } else if (row == 4) {
        geometry->arena_size = MIB(1);
        geometry->pool_size = KIB(256);
        geometry->return_at_once = true;
    }
    return options;
}

static void every_byte_is_accounted_once(void **state)
{
    (void)state;
    enum { GEOMETRIES = 5 };
    for (unsigned i = 0; i < GEOMETRIES * 4 * 2 * 2; i++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_row(i % GEOMETRIES, &geometry);
        options.fit = (cairn_fit)(i / GEOMETRIES % 4);
        options.no_pools = i / GEOMETRIES / 4 % 2 != 0;
        options.single = i / GEOMETRIES / 8 != 0;
        options.exact = i % 7 == 0;
        options.huge = i % 3 == 0 ? CAIRN_HUGE_NEVER : CAIRN_HUGE_AUTO;
        options.limit = i % 4 == 3 ? MIB(40) : 0;
        work_and_compare(&options);
    }
}

/* ---- while others work ---- */

static atomic_bool over;

static void *churn(void *argument)
{
    struct work work = {.heap = argument, .random = 11};
    while (!atomic_load(&over)) {
        change_place(&work);
    }
    for (size_t i = 0; i < PLACES; i++) {
        cairn_free(work.heap, work.blocks[i]);
        cairn_handle_free(work.heap, work.handles[i]);
    }
    return NULL;
}

static void sums_hold_while_other_threads_work(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    atomic_store(&over, false);
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], churn, heap);
    }
    for (size_t i = 0; i < test_scaled(300); i++) {
        cairn_fragmentation figures;
        assert_int_equal(cairn_heap_fragmentation(heap, &figures), 0);
        assert_int_equal(figures.resident_bytes, figures.live_resident + figures.external_bytes);
        assert_int_equal(figures.external_bytes, sum_of_causes(&figures));
        size_t bytes = 0;
        for (size_t row = 0; row < CAIRN_HOLE_SIZES; row++) {
            bytes += figures.holes[row].bytes;
        }
        assert_int_equal(bytes, figures.hole_bytes);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    cairn_heap_destroy(heap);
}

static void missing_arguments_are_refused(void **state)
{
    (void)state;
    cairn_fragmentation figures;
    assert_int_equal(cairn_heap_fragmentation(NULL, &figures), EINVAL);
    assert_int_equal(cairn_heap_fragmentation(cairn_heap_default(), NULL), EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_figures),
        cmocka_unit_test(every_second_block_freed_is_half_the_memory),
        cmocka_unit_test(what_lies_before_and_behind_the_blocks_of_a_pool_is_its_tails),
        cmocka_unit_test(blocks_never_carved_count_where_they_share_a_page),
        cmocka_unit_test(pools_without_live_blocks_are_free_pools),
        cmocka_unit_test(occupancy_is_counted_in_tenths),
        cmocka_unit_test(a_freed_large_block_is_a_hole),
        cmocka_unit_test(a_purged_hole_holds_nothing_but_its_edges),
        cmocka_unit_test(a_header_counts_where_it_lies),
        cmocka_unit_test(the_limit_bounds_what_a_hole_can_serve),
        cmocka_unit_test(a_hole_serves_no_request_that_is_a_pools),
        cmocka_unit_test(a_free_pool_serves_only_if_the_limit_allows),
        cmocka_unit_test(classes_that_serve_no_request_do_not_count),
        cmocka_unit_test(a_kept_mapping_that_is_small_serves_nothing),
        cmocka_unit_test(the_rounding_of_a_huge_block_is_known),
        cmocka_unit_test(a_kept_mapping_is_resident_and_serves_again),
        cmocka_unit_test(internal_fragmentation_is_told_by_class),
        cmocka_unit_test(holes_between_blocks_of_handles_are_their_own_cause),
        cmocka_unit_test(every_byte_is_accounted_once),
        cmocka_unit_test(sums_hold_while_other_threads_work),
        cmocka_unit_test(missing_arguments_are_refused),
    };
    return cmocka_run_group_tests_name("fragmentation", tests, NULL, NULL);
}
