/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole.h: the hole space: blocks of any size cut from *holes*, the free ranges of a *segment*. A segment is a run of
 * address space from the system or memory that the caller gave. Which hole serves a request is the space's fit: best,
 * first, next or worst.
 *
 * Rules. A block is cut from the low end of its hole; the rest stays a hole, or, if it is below the smallest chunk,
 * stays with the block. A freed block joins its free neighbours at once, so two holes never touch. The untouched end
 * of a segment is a hole like any other. An aligned request takes the hole that the fit finds for its size if the
 * alignment can be had there, otherwise the one that it finds for size and alignment together; what lies in front of
 * the block stays a hole. A new segment is made only if no hole serves. Fits: best takes the smallest hole that is
 * large enough, worst the largest, first the lowest, next the lowest at or behind the *rover*, the end of the block
 * served last, and from the lowest address again if there is none; a rover inside what has become one hole moves to
 * the start of that hole.
 *
 * Giving back. Pages that lie wholly inside holes and were used are *warm*; a tick purges those that were warm at the
 * tick before and have been ever since, and marks the others. Segments without blocks are released by ticks, all but
 * `keep_segments`, and by a trim.
 *
 * Lock: the heap's, held by every caller, except where a function says otherwise. No function sets errno. */

#ifndef CAIRN_HEAP_HOLE_H
#define CAIRN_HEAP_HOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

struct meta;
struct owner;
struct pool;
struct segment;
struct chunk;
struct hole_bins;
struct quick_lists;

enum {
    HOLE_UNIT = 16,         /* sizes of chunks and addresses of blocks are multiples of it */
    HOLE_OVERHEAD = 8,      /* bytes of a block's chunk that are not usable */
    HOLE_CHUNK_MIN = 32,    /* bytes of the smallest chunk, and of the smallest hole */
    HOLE_SEGMENT_TAIL = 16, /* bytes at the end of a segment that are no chunk's */
    HOLE_REQUEST_MAX = 1 << 30
};

/* All kept exactly at every step. */
struct hole_figures {
    size_t live_blocks;
    size_t live_bytes; /* usable bytes of live blocks */
    size_t held_bytes; /* the same with each block's overhead: whole chunks */
    size_t holes;
    size_t warm_bytes; /* used pages wholly inside holes; none of memory that is never purged */
    size_t segments;
    size_t segment_bytes;     /* given memory included */
    size_t segments_made;     /* ever, from the system */
    size_t segments_released; /* ever */
    uint64_t purged_bytes;    /* ever */
    uint64_t searches;        /* looks for a hole, ever; an aligned request may need two */
    uint64_t visited;         /* holes they looked at */
};

struct hole_options {
    struct meta *meta;   /* where segment records and bins come from; nothing goes back before the heap does */
    struct owner *owner; /* written to the segments' records */
    cairn_fit fit;
    bool plain;              /* one list in address order, searched from its start: the reference for the others */
    size_t segment_size;     /* bytes of a segment from the system, if no request needs more; 0: 16 MiB */
    uint64_t secret;         /* mixed into the blocks' check tags */
    unsigned purge_delay_ms; /* between ticks; 0: purge at once */
    unsigned keep_segments;  /* segments without blocks that ticks leave alone */
    cairn_huge huge;
    size_t huge_from; /* by CAIRN_HUGE_AUTO: held_bytes from which on what is new lies on huge pages */
};

/* All state of one space but its segments. Embed it, zeroed, and begin with holes_init(). The fields are hole*.c's own,
 * except that `figures` may be read. */
struct hole_space {
    struct hole_figures figures;
    struct hole_options options;
    unsigned page_shift;
    struct hole_bins *bins;    /* best, worst */
    struct quick_lists *quick; /* see hole_quick.h; NULL: none */
    struct chunk *root;        /* first, next: the tree; plain: the list */
    uintptr_t rover;           /* next */
    struct segment *segments;  /* in order of address */
    struct segment *spare;     /* records of released segments */
    size_t segments_free;      /* segments without blocks */
    uint64_t due;              /* of the next tick, on os_clock_ms(); 0: none */
};

/* Makes a zeroed space ready. Asks the system for nothing. */
void holes_init(struct hole_space *space, const struct hole_options *options);

/* Gives all segments back, with the blocks in them: those of the system are released, given memory is left alone. The
 * space may be used again. */
void holes_release_all(struct hole_space *space);

/* Makes a segment that can serve `size` bytes beforehand. False if the system or the metadata refuses. */
bool holes_reserve(struct hole_space *space, size_t size);

/* Adds memory of the caller: the whole pages of [base, base + size), accessible, to stay valid until
 * holes_release_all(). It is never released. `fresh`: it came from os->reserve, was committed, is all zero, and may be
 * purged; otherwise it is never purged. Returns the bytes that blocks and their overhead can take, 0 if it is too small
 * for any or the metadata refuses. */
size_t holes_give(struct hole_space *space, void *base, size_t size, bool fresh);

/* A block of `size` bytes (1 to HOLE_REQUEST_MAX; 0 counts as 1) at a multiple of `alignment` (a power of two; at least
 * 16 is had always). *zeroed, if not NULL, tells whether the block is known to be zero; for that, bytes at its edges
 * may have been cleared. NULL if no hole serves and with `may_grow` no segment can be made. */
void *holes_alloc(struct hole_space *space, size_t size, size_t alignment, bool *zeroed, bool may_grow);

/* The same, but the block is larger than asked for if its hole is: up to `most` bytes. */
void *holes_alloc_most(struct hole_space *space, size_t size, size_t most, bool may_grow);

/* Frees a live block of the segment. With a purge delay of 0 the segment may be gone afterwards. */
void holes_free(struct hole_space *space, struct segment *segment, void *block);

/* Resizes a live block in place: what it no longer needs becomes a hole, what it needs more is taken from the hole
 * behind it. False if there is none or it is too small; the block is then unchanged. */
bool holes_resize(struct hole_space *space, struct segment *segment, void *block, size_t size);

/* Usable bytes of a live block. Needs no lock. */
size_t holes_usable(const void *block);

/* What a request of `size` bytes (alignment 16) takes from held_bytes: exactly this or 16 more. */
size_t holes_chunk_size(size_t size);

/* Whether `block` is a live block of the segment, by the check tag in front of it: a pointer that is none, or a block
 * whose header was overwritten, passes with a chance of 2^-32. Any address within the segment's mapped pages may be
 * asked. Needs no lock for a block that is live. */
bool holes_is_block(const struct hole_space *space, const struct segment *segment, const void *block);

/* What lies at an address of the segment, by a walk over its chunks: for reports of misuse. */
enum hole_place_kind {
    HOLE_PLACE_BLOCK,    /* a live block begins here */
    HOLE_PLACE_INTERIOR, /* inside a live block */
    HOLE_PLACE_FREE,     /* inside a hole: never given out, or free already */
    HOLE_PLACE_HEADER,   /* between blocks: overhead of the block behind */
    HOLE_PLACE_DAMAGED /* the headers on the way there were overwritten: start is the first block that does not check */
};
struct hole_place {
    enum hole_place_kind kind;
    void *start; /* of the block, or of the hole */
    size_t size; /* usable bytes of the block, bytes of the hole; 0 if damaged */
};
struct hole_place holes_find(const struct hole_space *space, const struct segment *segment, const void *address);

/* The segment whose record this is (kind POOL_SEGMENT). */
static inline struct segment *segment_of_record(struct pool *record)
{
    return (struct segment *)(void *)record;
}

/* ---- giving back ---- */

/* The next tick is due then, on os_clock_ms(); 0: none. */
static inline uint64_t holes_due(const struct hole_space *space)
{
    return space->due;
}

/* Changes the time between ticks, also of the next one; not from or to 0. */
void holes_set_delay(struct hole_space *space, unsigned delay_ms);

/* The tick, if it is due at `now_ms`. Call it before each request while holes_due() is not 0: a tick that comes a whole
 * delay late takes it that nothing was allocated or freed meanwhile, and purges all that is warm. */
void holes_tick(struct hole_space *space, uint64_t now_ms);

/* Purges warm pages, from the highest address down, until `bytes` are: what lies low is used again first. Returns the
 * bytes purged. */
size_t holes_cool(struct hole_space *space, size_t bytes);

/* Purges all warm pages and releases all segments without blocks. Returns bytes purged and released. */
size_t holes_trim(struct hole_space *space);

/* ---- sight ---- */

/* Bytes of all holes, untouched ends of segments included. */
static inline size_t holes_bytes(const struct hole_space *space)
{
    return space->figures.segment_bytes - space->figures.segments * HOLE_SEGMENT_TAIL - space->figures.held_bytes;
}

/* Bytes of the largest hole, 0 if there is none. A request of up to holes_largest() - HOLE_OVERHEAD bytes succeeds
 * without the system. Quick, but linear in a plain space. */
size_t holes_largest(const struct hole_space *space);

struct hole_area {
    enum { HOLE_AREA_SEGMENT, HOLE_AREA_BLOCK, HOLE_AREA_HOLE } kind;
    void *address;   /* segment: its base; block: what was given out; hole: its chunk */
    size_t size;     /* segment, hole: bytes; block: usable bytes */
    size_t warm;     /* hole, segment: bytes of warm pages inside */
    size_t resident; /* segment, hole: bytes of pages wholly inside that may hold something (used since the last purge);
                        all of them in memory that is never purged */
    bool given;      /* segment: the caller's memory */
};

/* Visits every segment in order of address and after each what lies in it, also in order of address, until the visitor
 * returns false, which is then returned. The visitor must not change the space. */
bool holes_visit(const struct hole_space *space, bool (*visitor)(const struct hole_area *area, void *context),
                 void *context);

/* Checks everything that holds between calls. NULL, or a sentence that says what does not. */
const char *holes_check(const struct hole_space *space);

#endif
