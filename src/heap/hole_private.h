/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_private.h: what the files of the hole space share: chunks, segments, page sets. For hole*.c alone.
 *
 * A chunk at c, all sizes multiples of 16:
 *
 *   c      the size of the chunk before, while that is a hole; else the last usable word of the block there
 *   c+8    header: size | flags in the low half; in the high half a block's check tag or, in the tree of first and next
 *          fit, the size in units of the largest hole in a hole's subtree
 *   c+16   a block's first usable byte, or a hole's two links
 *   c+size the next chunk; a block is usable up to 8 bytes behind there
 *
 * The first chunk of a segment is at its base, the last ends at segment->end, 16 bytes before the segment's own end.
 * There is no chunk at segment->end and nothing is written there but a block's last word, so that the untouched end of
 * a segment stays untouched.
 *
 * Invariants. A chunk is USED or a hole; it has PREV_USED unless the chunk before it is a hole; no two holes follow
 * each other. Only blocks' headers check (tag_of). A header that no longer heads a chunk has been cleared, or was a
 * hole's.
 *
 * A segment's pages, by three sets of bits:
 *   touched  may hold something other than zero; every page that a block or a header lies in is, and with the first
 *            page of a huge page all of it. Others are not resident, but where the system joined pages by itself
 *   warm     touched and wholly inside a hole, its head and the tag behind it left out
 *   aged     warm since before the last tick
 * Memory that is never purged is all touched and has no warm pages.
 *
 * Headers are atomics, relaxed, because holes_usable() reads a live block's size while its neighbours' changes rewrite
 * its PREV_USED. */

#ifndef CAIRN_HEAP_HOLE_PRIVATE_H
#define CAIRN_HEAP_HOLE_PRIVATE_H

#include "heap/debug.h"
#include "heap/hole.h"
#include "heap/types.h"

#define HUGE_NONE SIZE_MAX

enum {
    HOLE_HEAD = 32, /* bytes at a hole's start that are in use */
    BLOCK_AT = 16   /* where a chunk's block starts */
};

struct chunk {
    uint64_t prev_size;
    _Atomic(uint64_t) header;
    struct chunk *left;  /* of a hole: the lower subtree; in lists: the previous one */
    struct chunk *right; /* the higher subtree; in lists: the next one */
};

_Static_assert(sizeof(struct chunk) == HOLE_HEAD, "a hole's head fits the smallest chunk");
_Static_assert((int)HOLE_HEAD == (int)HOLE_CHUNK_MIN, "a hole's head fits the smallest chunk");

#define CHUNK_USED UINT64_C(1)
#define CHUNK_PREV_USED UINT64_C(2)
#define CHUNK_SIZE UINT64_C(0xFFFFFFF0)
#define CHUNK_LOW UINT64_C(0xFFFFFFFF)

struct segment {
    struct pool record; /* what the page map leads to; must be first */
    char *base;
    size_t size;
    struct chunk *end; /* of the last chunk */
    char *reach;       /* pages below are committed and in the page map */
    bool given;
    bool purges;       /* its pages may be purged */
    bool may_huge;     /* its pages beyond `reach` may get huge pages */
    size_t huge_first; /* the first page on huge pages, their first touch makes all of one resident; HUGE_NONE */
    size_t warm;       /* warm pages */
    size_t words;      /* of each page set in use: one bit more than there are pages, so that the end has one */
    size_t room;       /* words there are memory for */
    struct segment *next;
    uint64_t *touched, *warm_set, *aged; /* behind the record */
};

_Static_assert(offsetof(struct segment, record) == 0, "a record is its segment");

/* ---- chunks ---- */

static inline uint64_t chunk_header(const struct chunk *chunk)
{
    return atomic_load_explicit(&chunk->header, memory_order_relaxed);
}

static inline void chunk_set(struct chunk *chunk, uint64_t header)
{
    atomic_store_explicit(&chunk->header, header, memory_order_relaxed);
}

static inline size_t chunk_size(const struct chunk *chunk)
{
    return chunk_header(chunk) & CHUNK_SIZE;
}

static inline bool chunk_is_hole(const struct chunk *chunk)
{
    return !(chunk_header(chunk) & CHUNK_USED);
}

static inline struct chunk *chunk_at(const void *base, size_t offset)
{
    return (struct chunk *)(void *)((uintptr_t)base + offset);
}

static inline struct chunk *chunk_next(const struct chunk *chunk)
{
    return chunk_at(chunk, chunk_size(chunk));
}

static inline struct chunk *chunk_of(const void *block)
{
    return (struct chunk *)((uintptr_t)block - BLOCK_AT);
}

static inline char *chunk_block(const struct chunk *chunk)
{
    return (char *)((uintptr_t)chunk + BLOCK_AT);
}

/* The high half of a block's header: any other address, size or secret gives the same with a chance of 2^-32. */
static inline uint64_t tag_of(const struct hole_space *space, const struct chunk *chunk, size_t size)
{
    uint64_t mixed = ((uintptr_t)chunk >> 4) ^ ((uint64_t)size << 32) ^ space->options.secret;
    return (mixed * UINT64_C(0x9E3779B97F4A7C15)) & ~CHUNK_LOW;
}

static inline bool chunk_checks(const struct hole_space *space, const struct chunk *chunk)
{
    uint64_t header = chunk_header(chunk);
    return (header & CHUNK_USED) && (header & ~CHUNK_LOW) == tag_of(space, chunk, header & CHUNK_SIZE);
}

/* Is this a live block of the segment? */
static inline bool block_checks(const struct hole_space *space, const struct segment *segment, const void *block)
{
    uintptr_t at = (uintptr_t)block - (uintptr_t)segment->base;
    return at >= BLOCK_AT && at < segment->size - HOLE_UNIT && at % HOLE_UNIT == 0 &&
           chunk_checks(space, chunk_of(block));
}

/* Is this chunk, whose size is sound, a block that waits in a quick list (hole_quick.h)? */
static inline bool chunk_is_kept(const struct hole_space *space, const struct chunk *chunk)
{
    uint64_t header = chunk_header(chunk);
    return (header & CHUNK_USED) && (~header & ~CHUNK_LOW) == tag_of(space, chunk, header & CHUNK_SIZE);
}

/* ---- pages of a segment, by number from its base ---- */

static inline size_t page_below(const struct hole_space *space, const struct segment *segment, const void *address)
{
    return ((uintptr_t)address - (uintptr_t)segment->base) >> space->page_shift;
}

static inline size_t page_above(const struct hole_space *space, const struct segment *segment, const void *address)
{
    size_t page = (size_t)1 << space->page_shift;
    return ((uintptr_t)address - (uintptr_t)segment->base + page - 1) >> space->page_shift;
}

/* The bits of [from, to) that lie in a word. */
static inline uint64_t word_mask(size_t word, size_t from, size_t to)
{
    uint64_t mask = ~UINT64_C(0);
    mask = word == from / 64 ? mask << (from % 64) : mask;
    return word == to / 64 ? mask & ~(~UINT64_C(0) << (to % 64)) : mask;
}

/* The pages wholly inside a hole [hole, end), from *first to before *last. */
static inline void hole_pages(const struct hole_space *space, const struct segment *segment, const struct chunk *hole,
                              const struct chunk *end, size_t *first, size_t *last)
{
    *first = page_above(space, segment, (const char *)hole + HOLE_HEAD);
    *last = page_below(space, segment, end);
}

/* Bits of a set in [from, to). */
size_t pages_count(const uint64_t *set, size_t from, size_t to);

/* The chunk [chunk, end) becomes a block (or grew to be one): its pages are touched and none is warm. */
void pages_take(struct hole_space *space, struct segment *segment, const struct chunk *chunk, const struct chunk *end);

/* [from, to), so far a block's, is part of the hole [hole, end): pages that are wholly inside only now become warm. */
void pages_give(struct hole_space *space, struct segment *segment, const struct chunk *from, const struct chunk *to,
                const struct chunk *hole, const struct chunk *end);

/* No page of [from, to) is touched. */
bool pages_clean(const struct segment *segment, size_t from, size_t to);

/* Sees to it that there will be a tick. */
void pages_schedule_first(struct hole_space *space);

static inline void pages_schedule(struct hole_space *space)
{
    if (UNLIKELY(!space->due)) {
        pages_schedule_first(space);
    }
}

/* The segment's warm pages. */
size_t pages_warm(const struct segment *segment);

/* ---- segments (hole.c) ---- */

static inline bool segment_is_free(const struct segment *segment)
{
    const struct chunk *first = (const struct chunk *)(const void *)segment->base;
    return chunk_is_hole(first) && chunk_next(first) == segment->end;
}

/* The segment that a chunk lies in. */
struct segment *holes_segment_of(const struct chunk *chunk);

/* Gives a segment without blocks back to the system. False if it refuses or the memory is given. */
bool segment_release(struct hole_space *space, struct segment *segment);

#endif
