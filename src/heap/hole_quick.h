/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_quick.h: quick lists: freed blocks of the smaller sizes that wait for the next request of their size before they
 * join the holes beside them. Taking one or putting one there costs a tenth of cutting a hole and of joining two.
 *
 * A *kept* block is free: to the walk it is a hole, to a free a block freed twice. To the holes beside it, and in
 * hole_figures, it is a block in use: its chunk is USED, with the complement of the check tag in its header. At most
 * QUICK_KEPT blocks of a size are kept, of the larger ones QUICK_KEPT_LARGE, the newest serves first, and all of them
 * become holes when memory is short, when they would raise the heap's peak (large_flush_at_peak), and when its pools are
 * swept (sweep.h).
 *
 * Lock rule: only for heaps that are used by one thread at a time. That thread calls these functions, without the heap's
 * lock but for quick_flush(); the counts may be read by anyone. */

#ifndef CAIRN_HEAP_HOLE_QUICK_H
#define CAIRN_HEAP_HOLE_QUICK_H

#include "heap/hole_private.h"

enum {
    QUICK_CUT = 2048,   /* bytes of the largest request that is cut from the rest */
    QUICK_LARGE = 4096, /* of larger sizes, those from here on are kept: CPython's buffers begin with so much */
    QUICK_MAX = 4608,   /* and to here */
    QUICK_LISTS = QUICK_MAX / HOLE_UNIT + 2,
    QUICK_KEPT = 16,      /* most blocks of a size that are kept */
    QUICK_KEPT_LARGE = 2, /* the same of the larger sizes */
    QUICK_REST = 16384    /* bytes of a hole that are cut at once, at most */
};

struct quick_lists {
    struct chunk *first[QUICK_LISTS];   /* by size in units; linked by `right`, the newest first */
    _Atomic(uint8_t) room[QUICK_LISTS]; /* blocks that may still be kept */
    struct chunk *rest;                 /* a kept block that requests of any size are cut from; NULL: none */
    _Atomic(size_t) rest_size;          /* bytes of its chunk; 0: none */
    _Atomic(uint64_t) served;           /* requests, ever */
    _Atomic(size_t) split; /* blocks cut from rests, ever: hole_figures does not know that they are more than one */
};

/* Gives the space quick lists. False if the metadata refuses. */
bool quick_start(struct hole_space *space);

/* The newest block of a list, in use now; NULL if it is empty. */
static inline struct chunk *quick_pop(struct quick_lists *quick, size_t list)
{
    struct chunk *chunk = quick->first[list];
    if (LIKELY(chunk != NULL)) {
        unsigned room = atomic_load_explicit(&quick->room[list], memory_order_relaxed);
        quick->first[list] = chunk->right;
        atomic_store_explicit(&quick->room[list], (uint8_t)(room + 1), memory_order_relaxed);
        chunk_set(chunk, chunk_header(chunk) ^ ~CHUNK_LOW);
    }
    return chunk;
}

/* A block for a request of `size` bytes from the low end of the rest; NULL if that is too small. */
void *quick_cut(const struct hole_space *space, size_t size);

/* A kept block of the size for a request of at most QUICK_MAX bytes, in use now; NULL if there is none. Nearly hot. */
static inline void *quick_take_kept(struct quick_lists *quick, size_t size)
{
    struct chunk *chunk = quick_pop(quick, (size + HOLE_OVERHEAD + HOLE_UNIT - 1) / HOLE_UNIT);
    if (UNLIKELY(!chunk)) {
        return NULL;
    }
    uint64_t served = atomic_load_explicit(&quick->served, memory_order_relaxed);
    atomic_store_explicit(&quick->served, served + 1, memory_order_relaxed);
    return chunk_block(chunk);
}

/* A kept block for a request of `size` bytes, or one cut from the rest; NULL if there is none. */
static inline void *quick_take(const struct hole_space *space, size_t size)
{
    if (!space->quick || size > QUICK_MAX) {
        return NULL;
    }
    void *block = quick_take_kept(space->quick, size);
    return LIKELY(block != NULL) ? block : quick_cut(space, size);
}

/* Keeps a live block. False, and nothing is done, if it is too large, or if enough of its size are kept. Nearly hot. */
static inline bool quick_keep(const struct hole_space *space, void *block)
{
    struct quick_lists *quick = space->quick;
    struct chunk *chunk = chunk_of(block);
    uint64_t header = chunk_header(chunk);
    size_t list = (header & CHUNK_SIZE) / HOLE_UNIT;
    unsigned room = list < QUICK_LISTS ? atomic_load_explicit(&quick->room[list], memory_order_relaxed) : 0;
    if (UNLIKELY(room == 0)) {
        return false;
    }
    chunk->right = quick->first[list];
    chunk_set(chunk, header ^ ~CHUNK_LOW);
    quick->first[list] = chunk;
    atomic_store_explicit(&quick->room[list], (uint8_t)(room - 1), memory_order_relaxed);
    return true;
}

/* A block for a request of `size` bytes that quick_take() does not serve: cut from the hole that the fit chooses, the rest
 * of which is kept as far as QUICK_REST goes. NULL if there is no hole. The heap's lock is held. */
void *quick_alloc(struct hole_space *space, size_t size, bool may_grow);

/* Makes all kept blocks holes. The heap's lock is held. */
void quick_flush(struct hole_space *space);

/* Empties the lists: the segments are going. */
void quick_forget(struct hole_space *space);

/* What is kept, in blocks, and in bytes of whole chunks. */
struct quick_sum {
    size_t blocks;
    size_t bytes;
    size_t split; /* blocks in use, kept, or holes again that hole_figures counted as part of another */
};
struct quick_sum quick_sum(const struct hole_space *space);

/* Requests served, ever. */
uint64_t quick_served(const struct hole_space *space);

/* Whether the lists hold kept blocks of their sizes, as many as they say. NULL, or a sentence. */
const char *quick_check(const struct hole_space *space);

#endif
