/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole.c: see hole.h: segments, and blocks cut from their holes. What a chunk looks like and what holds between calls
 * is in hole_private.h. Lock: the heap's, held by every caller. */

#include "heap/hole.h"

#include <string.h>

#include "heap/hole_index.h"
#include "heap/hole_private.h"
#include "heap/hole_quick.h"
#include "heap/huge_pages.h"
#include "heap/meta.h"
#include "heap/pagemap.h"
#include "heap/region.h"

enum {
    SEGMENT_DEFAULT = 16 * 1024 * 1024,
    REACH_STEP = 64 * 1024,       /* committed and mapped at a time */
    SEGMENT_RECORD_ROOM = 16 * 64 /* least pages a record has room for */
};

#define SEGMENT_MAX ((size_t)1 << 31)

SELDOM void holes_init(struct hole_space *space, const struct hole_options *options)
{
    space->options = *options;
    if (!space->options.segment_size) {
        space->options.segment_size = SEGMENT_DEFAULT;
    }
    space->page_shift = (unsigned)__builtin_ctzll(os_page_size());
}

static struct region *region_of(const struct hole_space *space)
{
    return space->options.meta->region;
}

static size_t round_to(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

size_t holes_chunk_size(size_t size)
{
    size_t need = round_to(size + HOLE_OVERHEAD, HOLE_UNIT);
    return need < HOLE_CHUNK_MIN ? HOLE_CHUNK_MIN : need;
}

bool holes_is_block(const struct hole_space *space, const struct segment *segment, const void *block)
{
    return block_checks(space, segment, block);
}

size_t holes_usable(const void *block)
{
    return chunk_size(chunk_of(block)) - HOLE_OVERHEAD;
}

/* ---- segments ---- */

static size_t page_bytes(const struct hole_space *space)
{
    return (size_t)1 << space->page_shift;
}

static size_t record_bytes(size_t words)
{
    return sizeof(struct segment) + 3 * words * sizeof(uint64_t);
}

/* A record with room for `pages` pages and one, all sets empty. */
static struct segment *record_new(struct hole_space *space, size_t pages)
{
    size_t words = pages / 64 + 1;
    struct segment **link = &space->spare;
    while (*link && (*link)->room < words) {
        link = &(*link)->next;
    }
    struct segment *segment = *link;
    size_t room = segment ? segment->room : words < SEGMENT_RECORD_ROOM / 64 ? SEGMENT_RECORD_ROOM / 64 : words;
    if (segment) {
        *link = segment->next;
        memset(segment, 0, record_bytes(room));
    } else {
        segment = meta_alloc(space->options.meta, record_bytes(room));
    }
    if (segment) {
        segment->room = room;
        segment->words = words;
        segment->touched = (uint64_t *)(segment + 1);
        segment->warm_set = segment->touched + words;
        segment->aged = segment->warm_set + words;
    }
    return segment;
}

static void record_spare(struct hole_space *space, struct segment *segment)
{
    atomic_store_explicit(&segment->record.owner, NULL, memory_order_relaxed);
    atomic_store_explicit(&segment->record.kind, POOL_SLOT, memory_order_relaxed);
    segment->next = space->spare;
    space->spare = segment;
}

static bool wants_huge(const struct hole_space *space, const struct segment *segment)
{
    return segment->may_huge && segment->huge_first == HUGE_NONE &&
           (space->options.huge == CAIRN_HUGE_ALWAYS ||
            (space->options.huge == CAIRN_HUGE_AUTO && space->figures.held_bytes >= space->options.huge_from));
}

/* What is not in use yet of a segment is to lie on huge pages. */
static void start_huge(const struct hole_space *space, struct segment *segment)
{
    size_t reached = round_to((size_t)(segment->reach - segment->base), HUGE_PAGE);
    if (reached < segment->size) {
        segment->huge_first = reached >> space->page_shift;
        os->advise_huge(segment->base + reached, segment->size - reached, true);
    }
}

static bool reach_more(const struct hole_space *space, struct segment *segment, const char *end)
{
    if (wants_huge(space, segment)) {
        start_huge(space, segment);
    }
    char *limit = segment->base + segment->size;
    size_t more = round_to((size_t)(end - segment->reach), REACH_STEP);
    more = more < (size_t)(limit - segment->reach) ? more : (size_t)(limit - segment->reach);
    if (!segment->given && !source_commit(region_of(space), segment->reach, more)) {
        return false;
    }
    pagemap_set(segment->reach, more, &segment->record);
    segment->reach += more;
    return true;
}

/* Commits and maps the segment's pages up to `end`. False if the system refuses. */
static inline bool reach(const struct hole_space *space, struct segment *segment, const char *end)
{
    return LIKELY(end <= segment->reach) || reach_more(space, segment, end);
}

static inline void set_hole(struct hole_space *space, const struct segment *segment, struct chunk *hole,
                            struct chunk *end)
{
    size_t size = (size_t)((char *)end - (char *)hole);
    chunk_set(hole, size | CHUNK_PREV_USED);
    if (end != segment->end) {
        end->prev_size = size;
    }
    index_add(space, hole, size);
}

/* The rover must not stay inside a hole, be it one that was not there before. */
static inline void keep_rover_out(struct hole_space *space, const struct chunk *hole, const struct chunk *end)
{
    if (space->rover > (uintptr_t)hole && space->rover < (uintptr_t)end) {
        space->rover = (uintptr_t)hole;
    }
}

static inline bool whole(const struct segment *segment, const struct chunk *hole, const struct chunk *end)
{
    return (const char *)hole == segment->base && end == segment->end;
}

/* Makes a segment of [base, base + size), whole pages. Its first page is in use from now on, the others are not. */
static struct segment *segment_add(struct hole_space *space, char *base, size_t size, bool given, bool fresh)
{
    size_t pages = size >> space->page_shift;
    struct segment *segment = pagemap_prepare(base, size) && index_prepare(space) ? record_new(space, pages) : NULL;
    if (!segment) {
        return NULL;
    }
    segment->base = base;
    segment->size = size;
    segment->reach = base;
    segment->end = chunk_at(base, size - HOLE_SEGMENT_TAIL);
    segment->given = given;
    segment->purges = fresh;
    segment->may_huge = !given && !region_of(space) && size >= HUGE_PAGE;
    segment->huge_first = HUGE_NONE;
    atomic_store_explicit(&segment->record.kind, POOL_SEGMENT, memory_order_relaxed);
    atomic_store_explicit(&segment->record.owner, space->options.owner, memory_order_release);
    if (!reach(space, segment, base + HOLE_HEAD)) {
        record_spare(space, segment);
        return NULL;
    }
    struct segment **link = &space->segments;
    while (*link && (*link)->base < base) {
        link = &(*link)->next;
    }
    segment->next = *link;
    *link = segment;
    space->figures.segments++;
    space->figures.segment_bytes += size;
    space->segments_free++;
    if (!fresh) {
        memset(segment->touched, 0xFF, segment->words * sizeof(uint64_t));
    }
    pages_take(space, segment, chunk_at(base, 0), chunk_at(base, 0));
    set_hole(space, segment, chunk_at(base, 0), segment->end);
    keep_rover_out(space, chunk_at(base, 0), segment->end);
    return segment;
}

static SELDOM void segment_remove(struct hole_space *space, struct segment *segment)
{
    struct segment **link = &space->segments;
    while (*link != segment) {
        link = &(*link)->next;
    }
    *link = segment->next;
    space->figures.segments--;
    space->figures.segment_bytes -= segment->size;
    space->figures.warm_bytes -= pages_warm(segment) << space->page_shift;
    record_spare(space, segment);
}

SELDOM bool segment_release(struct hole_space *space, struct segment *segment)
{
    struct chunk *hole = chunk_at(segment->base, 0);
    size_t size = chunk_size(hole);
    size_t mapped = (size_t)(segment->reach - segment->base);
    if (segment->given) {
        return false;
    }
    index_remove(space, hole, size);
    pagemap_set(segment->base, mapped, NULL);
    if (!source_release(region_of(space), segment->base, segment->size)) {
        pagemap_set(segment->base, mapped, &segment->record);
        index_add(space, hole, size);
        return false;
    }
    space->figures.segments_released++;
    space->segments_free--;
    segment_remove(space, segment);
    return true;
}

SELDOM void holes_release_all(struct hole_space *space)
{
    index_clear(space);
    quick_forget(space);
    while (space->segments) {
        struct segment *segment = space->segments;
        pagemap_set(segment->base, (size_t)(segment->reach - segment->base), NULL);
        if (!segment->given && source_release(region_of(space), segment->base, segment->size)) {
            space->figures.segments_released++;
        }
        segment_remove(space, segment);
    }
    space->figures.live_blocks = 0;
    space->figures.live_bytes = 0;
    space->figures.held_bytes = 0;
    space->segments_free = 0;
    space->due = 0;
    space->rover = 0;
}

static size_t segment_alignment(const struct hole_space *space, size_t size)
{
    bool huge = space->options.huge != CAIRN_HUGE_NEVER && !region_of(space);
    return huge ? huge_pages_align(size, page_bytes(space)) : page_bytes(space);
}

/* A new segment with a hole of at least `need` bytes: of the usual size, or of half of it, and so on. */
static bool grow(struct hole_space *space, size_t need)
{
    struct region *region = region_of(space);
    size_t page = page_bytes(space);
    size_t least = round_to(need + HOLE_SEGMENT_TAIL, page);
    size_t size = round_to(space->options.segment_size, page);
    size = size > least ? size : round_to(least, REACH_STEP);
    for (;;) {
        char *base = source_reserve(region, size, segment_alignment(space, size));
        if (base && !region && space->options.huge == CAIRN_HUGE_NEVER) {
            os->advise_huge(base, size, false);
        }
        if (base && segment_add(space, base, size, false, !region)) {
            space->figures.segments_made++;
            return true;
        }
        if (base) {
            (void)source_release(region, base, size);
        }
        if (size <= least) {
            return false;
        }
        size = round_to(size / 2, page);
        size = size > least ? size : least;
    }
}

SELDOM bool holes_reserve(struct hole_space *space, size_t size)
{
    return size <= HOLE_REQUEST_MAX && grow(space, holes_chunk_size(size));
}

SELDOM size_t holes_give(struct hole_space *space, void *base, size_t size, bool fresh)
{
    size_t page = page_bytes(space);
    uintptr_t from = round_to((uintptr_t)base, page);
    uintptr_t to = ((uintptr_t)base + size) & ~(page - 1);
    size_t given = 0;
    while (from < to) {
        size_t part = to - from < SEGMENT_MAX ? to - from : SEGMENT_MAX;
        if (!segment_add(space, (char *)from, part, true, fresh)) {
            break;
        }
        given += part - HOLE_SEGMENT_TAIL;
        from += part;
    }
    return given;
}

/* ---- requests ---- */

struct segment *holes_segment_of(const struct chunk *chunk)
{
    struct pool *record = pagemap_get(chunk);
    if (!record) {
        __builtin_unreachable(); /* the pages of chunks are mapped */
    }
    return segment_of_record(record);
}

/* Bytes in front of a block of `hole` that is to be aligned: 0, or enough for a hole. */
static size_t front_of(const struct chunk *hole, size_t alignment)
{
    size_t front = -(uintptr_t)chunk_block(hole) & (alignment - 1);
    while (front && front < HOLE_CHUNK_MIN) {
        front += alignment;
    }
    return front;
}

/* Room that serves an alignment wherever the hole begins: a front of HOLE_UNIT bytes becomes one of alignment + HOLE_UNIT. */
static size_t alignment_room(size_t alignment)
{
    return alignment > HOLE_UNIT ? alignment + HOLE_UNIT : 0;
}

static inline struct chunk *choose(struct hole_space *space, size_t need, size_t alignment)
{
    struct chunk *hole = index_choose(space, need);
    if (LIKELY(alignment <= HOLE_UNIT) || !hole || front_of(hole, alignment) + need <= chunk_size(hole)) {
        return hole;
    }
    return index_choose(space, need + alignment_room(alignment));
}

/* Clears what may not be zero of a block whose whole pages are; false if they are not, or there are none. */
static bool clear_edges(const struct hole_space *space, const struct segment *segment, char *block, size_t usable)
{
    size_t first = page_above(space, segment, block);
    size_t last = page_below(space, segment, block + usable);
    if (first >= last || !pages_clean(segment, first, last)) {
        return false;
    }
    char *inner = segment->base + (first << space->page_shift);
    char *inner_end = segment->base + (last << space->page_shift);
    memset(block, 0, (size_t)(inner - block));
    memset(inner_end, 0, (size_t)(block + usable - inner_end));
    return true;
}

/* Makes [chunk, end) a block. `flags`: CHUNK_PREV_USED or nothing. */
static inline void set_block(struct hole_space *space, struct chunk *chunk, struct chunk *end, uint64_t flags)
{
    size_t size = (size_t)((char *)end - (char *)chunk);
    chunk_set(chunk, size | CHUNK_USED | flags | tag_of(space, chunk, size));
}

/* The rest [end, hole_end) behind a block becomes a hole, or there is none and the next chunk is told. */
static inline void set_rest(struct hole_space *space, const struct segment *segment, struct chunk *end,
                            struct chunk *hole_end)
{
    if (end != hole_end) {
        set_hole(space, segment, end, hole_end);
    } else if (end != segment->end) {
        chunk_set(end, chunk_header(end) | CHUNK_PREV_USED);
    }
}

/* Where a block of `need` bytes at `chunk` ends in a hole that ends at hole_end: there if the rest would be too
 * small. */
static inline struct chunk *block_end(struct chunk *chunk, size_t need, struct chunk *hole_end)
{
    struct chunk *end = chunk_at(chunk, need);
    return (size_t)((char *)hole_end - (char *)end) < HOLE_CHUNK_MIN ? hole_end : end;
}

/* The bytes up to which a segment is in use when a block ends at `end` and a hole may begin there. */
static const char *use_end(const struct segment *segment, const struct chunk *end)
{
    return end == segment->end ? segment->base + segment->size : (const char *)end + HOLE_HEAD;
}

/* Cuts a chunk of `need` bytes from a hole that has room for it. NULL if the system refuses the pages. */
static void *cut(struct hole_space *space, struct chunk *hole, size_t need, size_t alignment, bool *zeroed)
{
    struct segment *segment = holes_segment_of(hole);
    struct chunk *hole_end = chunk_next(hole);
    size_t front = UNLIKELY(alignment > HOLE_UNIT) ? front_of(hole, alignment) : 0;
    struct chunk *chunk = chunk_at(hole, front);
    struct chunk *end = block_end(chunk, need, hole_end);
    if (UNLIKELY(!reach(space, segment, use_end(segment, end)))) {
        return NULL;
    }
    space->segments_free -= whole(segment, hole, hole_end);
    index_remove(space, hole, (size_t)((char *)hole_end - (char *)hole));
    if (UNLIKELY(front)) {
        set_hole(space, segment, hole, chunk);
    }
    set_block(space, chunk, end, front ? 0 : CHUNK_PREV_USED);
    set_rest(space, segment, end, hole_end);
    size_t usable = (size_t)((char *)end - (char *)chunk) - HOLE_OVERHEAD;
    if (zeroed) {
        *zeroed = clear_edges(space, segment, chunk_block(chunk), usable);
    }
    pages_take(space, segment, chunk, end);
    space->rover = (uintptr_t)end;
    space->figures.live_blocks++;
    space->figures.live_bytes += usable;
    space->figures.held_bytes += usable + HOLE_OVERHEAD;
    return chunk_block(chunk);
}

/* The hole that serves, in a new segment if there is none and `may_grow`; NULL: none. */
static inline struct chunk *find_hole(struct hole_space *space, size_t need, size_t alignment, bool may_grow)
{
    struct chunk *hole = choose(space, need, alignment);
    if (UNLIKELY(!hole) && may_grow && grow(space, need + alignment_room(alignment))) {
        hole = choose(space, need, alignment);
    }
    return hole;
}

void *holes_alloc(struct hole_space *space, size_t size, size_t alignment, bool *zeroed, bool may_grow)
{
    if (UNLIKELY(size > HOLE_REQUEST_MAX || alignment > HOLE_REQUEST_MAX)) {
        return NULL;
    }
    size_t need = holes_chunk_size(size);
    struct chunk *hole = find_hole(space, need, alignment, may_grow);
    return LIKELY(hole) ? cut(space, hole, need, alignment, zeroed) : NULL;
}

void *holes_alloc_most(struct hole_space *space, size_t size, size_t most, bool may_grow)
{
    size_t need = holes_chunk_size(size);
    struct chunk *hole = find_hole(space, need, 1, may_grow);
    if (UNLIKELY(!hole)) {
        return NULL;
    }
    size_t room = chunk_size(hole) < most ? chunk_size(hole) : most;
    return cut(space, hole, room > need ? room : need, 1, NULL);
}

/* [from, to), so far a block's, becomes a hole, with the holes on both sides of it; not `prev_used`: there is one
 * before it. */
static void give(struct hole_space *space, struct segment *segment, struct chunk *from, struct chunk *to,
                 bool prev_used)
{
    struct chunk *hole = from;
    struct chunk *end = to;
    if (!prev_used) {
        hole = chunk_at(from, -from->prev_size);
        index_remove(space, hole, from->prev_size);
        chunk_set(from, 0);
    }
    if (to != segment->end && chunk_is_hole(to)) {
        end = chunk_next(to);
        index_remove(space, to, chunk_size(to));
    } else if (to != segment->end) {
        chunk_set(to, chunk_header(to) & ~CHUNK_PREV_USED);
    }
    set_hole(space, segment, hole, end);
    pages_give(space, segment, from, to, hole, end);
    keep_rover_out(space, hole, end);
    if (UNLIKELY(whole(segment, hole, end))) {
        space->segments_free++;
        if (!segment->given && space->segments_free > space->options.keep_segments) {
            pages_schedule(space);
        }
    }
    if (UNLIKELY(!space->options.purge_delay_ms)) {
        holes_tick(space, UINT64_MAX);
    }
}

void holes_free(struct hole_space *space, struct segment *segment, void *block)
{
    struct chunk *chunk = chunk_of(block);
    size_t size = chunk_size(chunk);
    space->figures.live_blocks--;
    space->figures.live_bytes -= size - HOLE_OVERHEAD;
    space->figures.held_bytes -= size;
    give(space, segment, chunk, chunk_next(chunk), chunk_header(chunk) & CHUNK_PREV_USED);
}

/* ---- resizing ---- */

static void count_resized(struct hole_space *space, size_t old_size, size_t new_size)
{
    space->figures.live_bytes += new_size - old_size;
    space->figures.held_bytes += new_size - old_size;
}

static bool resize_up(struct hole_space *space, struct segment *segment, struct chunk *chunk, size_t need)
{
    struct chunk *next = chunk_next(chunk);
    if (next == segment->end || !chunk_is_hole(next) || chunk_size(chunk) + chunk_size(next) < need) {
        return false;
    }
    struct chunk *hole_end = chunk_next(next);
    struct chunk *end = block_end(chunk, need, hole_end);
    if (!reach(space, segment, use_end(segment, end))) {
        return false;
    }
    size_t old_size = chunk_size(chunk);
    index_remove(space, next, chunk_size(next));
    set_block(space, chunk, end, chunk_header(chunk) & CHUNK_PREV_USED);
    set_rest(space, segment, end, hole_end);
    pages_take(space, segment, next, end);
    count_resized(space, old_size, chunk_size(chunk));
    return true;
}

/* A tail below the smallest hole can only join one. */
static void resize_down(struct hole_space *space, struct segment *segment, struct chunk *chunk, size_t need)
{
    size_t old_size = chunk_size(chunk);
    struct chunk *next = chunk_next(chunk);
    bool joins = next != segment->end && chunk_is_hole(next);
    if (old_size == need || (!joins && old_size - need < HOLE_CHUNK_MIN)) {
        return;
    }
    struct chunk *end = chunk_at(chunk, need);
    set_block(space, chunk, end, chunk_header(chunk) & CHUNK_PREV_USED);
    count_resized(space, old_size, need);
    give(space, segment, end, next, true);
}

bool holes_resize(struct hole_space *space, struct segment *segment, void *block, size_t size)
{
    struct chunk *chunk = chunk_of(block);
    if (size > HOLE_REQUEST_MAX) {
        return false;
    }
    size_t need = holes_chunk_size(size);
    if (need > chunk_size(chunk)) {
        return resize_up(space, segment, chunk, need);
    }
    resize_down(space, segment, chunk, need);
    return true;
}
