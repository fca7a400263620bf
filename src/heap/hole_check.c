/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_check.c: looking at a hole space without changing it: what lies at an address, the walk, the check. Lock: the
 * heap's, held by every caller. */

#include "heap/hole_index.h"
#include "heap/hole_private.h"
#include "heap/hole_quick.h"

/* ---- what lies at an address ---- */

/* Whether a chunk's header can be believed: a block's checks, or was kept; a hole's agrees with the tag behind it. */
static bool is_sound(const struct hole_space *space, const struct segment *segment, const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    if (size < HOLE_CHUNK_MIN || size > (uintptr_t)segment->end - (uintptr_t)chunk) {
        return false;
    }
    if (!chunk_is_hole(chunk)) {
        return chunk_checks(space, chunk) || chunk_is_kept(space, chunk);
    }
    return chunk_next(chunk) == segment->end || chunk_next(chunk)->prev_size == size;
}

static bool is_free(const struct hole_space *space, const struct chunk *chunk)
{
    return chunk_is_hole(chunk) || chunk_is_kept(space, chunk);
}

static const struct chunk *first_chunk(const struct segment *segment)
{
    return (const struct chunk *)(const void *)segment->base;
}

/* The tail of the segment, behind the last chunk, is that chunk's. */
struct hole_place holes_find(const struct hole_space *space, const struct segment *segment, const void *address)
{
    const struct chunk *chunk = first_chunk(segment);
    for (;;) {
        if (!is_sound(space, segment, chunk)) {
            return (struct hole_place){HOLE_PLACE_DAMAGED, chunk_block(chunk), 0};
        }
        const struct chunk *next = chunk_next(chunk);
        uintptr_t end = next == segment->end ? (uintptr_t)next + HOLE_UNIT : (uintptr_t)next + HOLE_OVERHEAD;
        if ((uintptr_t)address < end || next == segment->end) {
            break;
        }
        chunk = next;
    }
    if (is_free(space, chunk)) {
        return (struct hole_place){HOLE_PLACE_FREE, (void *)(uintptr_t)chunk, chunk_size(chunk)};
    }
    struct hole_place place = {HOLE_PLACE_INTERIOR, chunk_block(chunk), chunk_size(chunk) - HOLE_OVERHEAD};
    if (address == place.start) {
        place.kind = HOLE_PLACE_BLOCK;
    } else if ((uintptr_t)address < (uintptr_t)place.start) {
        place.kind = HOLE_PLACE_HEADER;
    }
    return place;
}

/* ---- the walk ---- */

static struct hole_area hole_area(const struct hole_space *space, const struct segment *segment,
                                  const struct chunk *hole)
{
    size_t first;
    size_t last;
    hole_pages(space, segment, hole, chunk_next(hole), &first, &last);
    return (struct hole_area){
        .kind = HOLE_AREA_HOLE,
        .address = (void *)(uintptr_t)hole,
        .size = chunk_size(hole),
        .warm = pages_count(segment->warm_set, first, last) << space->page_shift,
        .resident = pages_count(segment->touched, first, last) << space->page_shift,
    };
}

static bool visit_segment(const struct hole_space *space, const struct segment *segment,
                          bool (*visitor)(const struct hole_area *area, void *context), void *context)
{
    struct hole_area area = {
        .kind = HOLE_AREA_SEGMENT,
        .address = segment->base,
        .size = segment->size,
        .warm = pages_warm(segment) << space->page_shift,
        .resident = pages_count(segment->touched, 0, segment->size >> space->page_shift) << space->page_shift,
        .given = segment->given,
    };
    if (!visitor(&area, context)) {
        return false;
    }
    for (const struct chunk *chunk = first_chunk(segment); chunk != segment->end; chunk = chunk_next(chunk)) {
        if (is_free(space, chunk)) {
            area = hole_area(space, segment, chunk);
        } else {
            area = (struct hole_area){
                .kind = HOLE_AREA_BLOCK, .address = chunk_block(chunk), .size = chunk_size(chunk) - HOLE_OVERHEAD};
        }
        if (!visitor(&area, context)) {
            return false;
        }
    }
    return true;
}

bool holes_visit(const struct hole_space *space, bool (*visitor)(const struct hole_area *area, void *context),
                 void *context)
{
    for (const struct segment *segment = space->segments; segment; segment = segment->next) {
        if (!visit_segment(space, segment, visitor, context)) {
            return false;
        }
    }
    return true;
}

/* ---- the check ---- */

struct tally {
    struct index_sum holes;
    struct hole_figures figures;
    size_t segments_free;
    size_t kept; /* blocks */
};

static const char *check_block_pages(const struct hole_space *space, const struct segment *segment,
                                     const struct chunk *chunk, const struct chunk *next)
{
    size_t first = page_below(space, segment, chunk);
    size_t last = page_below(space, segment, (const char *)next + HOLE_OVERHEAD - 1) + 1;
    if (pages_count(segment->touched, first, last) != last - first) {
        return "a block lies on pages that count as untouched";
    }
    return pages_count(segment->warm_set, first, last) ? "a block lies on warm pages" : NULL;
}

/* Warm pages are exactly the touched ones inside; outside, at the hole's edges, there are none. */
static const char *check_hole_pages(const struct hole_space *space, const struct segment *segment,
                                    const struct chunk *hole, const struct chunk *next)
{
    size_t first;
    size_t last;
    size_t head = page_below(space, segment, hole);
    size_t head_end = page_below(space, segment, (const char *)hole + HOLE_HEAD - 1) + 1;
    hole_pages(space, segment, hole, next, &first, &last);
    if (pages_count(segment->touched, head, head_end) != head_end - head) {
        return "a hole's head lies on a page that counts as untouched";
    }
    if (pages_count(segment->warm_set, head, head_end)) {
        return "a hole's head lies on a warm page";
    }
    if (segment->purges && pages_count(segment->warm_set, first, last) != pages_count(segment->touched, first, last)) {
        return "a used page inside a hole is not warm";
    }
    return NULL;
}

static const char *check_chunk(const struct hole_space *space, const struct segment *segment, const struct chunk *chunk,
                               bool after_hole, struct tally *tally)
{
    const struct chunk *next = chunk_next(chunk);
    if (!(chunk_header(chunk) & CHUNK_PREV_USED) != after_hole) {
        return "a chunk does not know whether the one before it is a hole";
    }
    if ((const char *)next + HOLE_UNIT > segment->reach && !chunk_is_hole(chunk)) {
        return "a block lies on pages that were not committed";
    }
    if ((const char *)chunk + HOLE_HEAD > segment->reach) {
        return "a hole's head lies on a page that was not committed";
    }
    if (!chunk_is_hole(chunk)) {
        tally->figures.live_blocks++;
        tally->figures.live_bytes += chunk_size(chunk) - HOLE_OVERHEAD;
        tally->figures.held_bytes += chunk_size(chunk);
        tally->kept += chunk_is_kept(space, chunk);
        return check_block_pages(space, segment, chunk, next);
    }
    if (after_hole) {
        return "two holes follow each other";
    }
    if (space->rover > (uintptr_t)chunk && space->rover < (uintptr_t)next) {
        return "the rover is inside a hole";
    }
    tally->holes.holes++;
    tally->holes.bytes += chunk_size(chunk);
    tally->holes.marks += index_mark(chunk);
    return check_hole_pages(space, segment, chunk, next);
}

static const char *check_pages(const struct segment *segment)
{
    for (size_t word = 0; word < segment->words; word++) {
        if (segment->warm_set[word] & ~segment->touched[word]) {
            return "a warm page counts as untouched";
        }
        if (segment->aged[word] & ~segment->warm_set[word]) {
            return "an aged page is not warm";
        }
    }
    return !segment->purges && pages_warm(segment) ? "memory that is never purged has warm pages" : NULL;
}

static const char *check_segment(const struct hole_space *space, const struct segment *segment, struct tally *tally)
{
    bool after_hole = false;
    const struct chunk *chunk = first_chunk(segment);
    while (chunk != segment->end) {
        if (!is_sound(space, segment, chunk)) {
            return "a header was overwritten";
        }
        const char *fault = check_chunk(space, segment, chunk, after_hole, tally);
        if (fault) {
            return fault;
        }
        after_hole = chunk_is_hole(chunk);
        chunk = chunk_next(chunk);
    }
    if (segment->next && segment->next->base <= segment->base) {
        return "the segments are out of order";
    }
    tally->figures.segments++;
    tally->figures.segment_bytes += segment->size;
    tally->figures.warm_bytes += pages_warm(segment) << space->page_shift;
    tally->segments_free += segment_is_free(segment);
    return check_pages(segment);
}

static const char *check_figures(const struct hole_space *space, const struct tally *tally)
{
    const struct hole_figures *figures = &space->figures;
    struct quick_sum kept = quick_sum(space);
    if (figures->live_blocks + kept.split != tally->figures.live_blocks ||
        figures->live_bytes - kept.split * HOLE_OVERHEAD != tally->figures.live_bytes ||
        figures->held_bytes != tally->figures.held_bytes) {
        return "live blocks of the hole space are miscounted";
    }
    if (figures->holes != tally->holes.holes || holes_bytes(space) != tally->holes.bytes) {
        return "holes are miscounted";
    }
    if (figures->segments != tally->figures.segments || figures->segment_bytes != tally->figures.segment_bytes ||
        space->segments_free != tally->segments_free) {
        return "segments are miscounted";
    }
    if (kept.blocks != tally->kept) {
        return "kept blocks of the hole space are miscounted";
    }
    return figures->warm_bytes != tally->figures.warm_bytes ? "warm pages of segments are miscounted" : NULL;
}

const char *holes_check(const struct hole_space *space)
{
    struct tally tally = {0};
    struct index_sum index = {0};
    const char *fault = NULL;
    for (const struct segment *segment = space->segments; segment && !fault; segment = segment->next) {
        fault = check_segment(space, segment, &tally);
    }
    fault = fault ? fault : check_figures(space, &tally);
    fault = fault ? fault : quick_check(space);
    fault = fault ? fault : index_check(space, &index);
    if (!fault &&
        (index.holes != tally.holes.holes || index.bytes != tally.holes.bytes || index.marks != tally.holes.marks)) {
        fault = "the index does not hold exactly the holes there are";
    }
    return fault;
}
