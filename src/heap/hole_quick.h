/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_quick.h: quick lists: freed blocks of the smaller sizes that wait for the next request of their size before they
 * join the holes beside them. Taking one or putting one there costs a tenth of cutting a hole and of joining two. Of larger
 * blocks the few that were freed last wait, whatever their sizes: the *recent* ones.
 *
 * A *kept* block, of a list or a recent one, is free: to the walk it is a hole, to a free a block freed twice. To the holes
 * beside it, and in hole_figures, it is a block in use: its chunk is USED, with the complement of the check tag in its header.
 * At most QUICK_KEPT blocks of a size are kept, and QUICK_RECENT larger ones, the newest serves first, and all of them
 * become holes when memory is short, when they would raise the heap's peak (large_flush_at_peak), and when its pools are
 * swept (sweep.h).
 *
 * Lock rule: only for heaps that are used by one thread at a time. That thread calls these functions, without the heap's
 * lock but for quick_alloc() and quick_flush(); the counts may be read by anyone. */

#ifndef CAIRN_HEAP_HOLE_QUICK_H
#define CAIRN_HEAP_HOLE_QUICK_H

#include "heap/hole_private.h"

enum {
    QUICK_CUT = 2048 + HOLE_OVERHEAD, /* bytes of the largest request that has a list and is cut from the rest */
    QUICK_LISTS = (QUICK_CUT + HOLE_OVERHEAD) / HOLE_UNIT + 1,
    QUICK_KEPT = 16,     /* most blocks of a size that are kept */
    QUICK_CHUNK = 16896, /* bytes of the largest recent chunk: 16 KiB and what a program puts before them */
    QUICK_MAX = QUICK_CHUNK - HOLE_OVERHEAD, /* bytes of the largest request that a recent block serves */
    QUICK_RECENT = 8,                        /* most larger blocks that are kept */
    QUICK_WASTE = 32,                        /* part of a larger request by which a block for it may be too large */
    QUICK_REST = 16384                       /* bytes of a hole that are cut at once, at most */
};

/* A kept block of no list; none if size is 0. */
struct quick_recent {
    struct chunk *chunk;
    _Atomic(size_t) size; /* bytes of the chunk */
};

struct quick_lists {
    struct chunk *first[QUICK_LISTS];         /* by size in units; linked by `right`, the newest first */
    _Atomic(uint8_t) room[QUICK_LISTS];       /* blocks that may still be kept */
    struct quick_recent recent[QUICK_RECENT]; /* in the order in which they were freed, as far as places were empty */
    unsigned newest;                          /* the place of the newest, if it is there */
    struct chunk *rest;                       /* a kept block that requests of any size are cut from; NULL: none */
    _Atomic(size_t) rest_size;                /* bytes of its chunk; 0: none */
    _Atomic(uint64_t) served;                 /* requests, ever */
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

static inline void quick_count_served(struct quick_lists *quick)
{
    uint64_t served = atomic_load_explicit(&quick->served, memory_order_relaxed);
    atomic_store_explicit(&quick->served, served + 1, memory_order_relaxed);
}

/* A kept block of the size for a request of at most QUICK_CUT bytes, in use now; NULL if there is none. Nearly hot. */
static inline void *quick_take_kept(struct quick_lists *quick, size_t size)
{
    struct chunk *chunk = quick_pop(quick, (size + HOLE_OVERHEAD + HOLE_UNIT - 1) / HOLE_UNIT);
    if (UNLIKELY(!chunk)) {
        return NULL;
    }
    quick_count_served(quick);
    return chunk_block(chunk);
}

/* Empties a place. Returns its chunk, in use now. */
static inline struct chunk *quick_take_place(struct quick_recent *recent)
{
    atomic_store_explicit(&recent->size, 0, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    chunk_set(recent->chunk, chunk_header(recent->chunk) ^ ~CHUNK_LOW);
    return recent->chunk;
}

/* A recent block for a request of more than QUICK_CUT bytes, in use now, the newest that is large enough and hardly larger; NULL
 * if there is none. */
static inline void *quick_take_recent(struct quick_lists *quick, size_t size)
{
    size_t need = (size + HOLE_OVERHEAD + HOLE_UNIT - 1) / HOLE_UNIT * HOLE_UNIT;
    for (unsigned age = 0; age < QUICK_RECENT; age++) {
        struct quick_recent *recent = &quick->recent[(quick->newest - age) % QUICK_RECENT];
        if (atomic_load_explicit(&recent->size, memory_order_relaxed) - need <= need / QUICK_WASTE) {
            quick->newest -= age == 0;
            quick_count_served(quick);
            return chunk_block(quick_take_place(recent));
        }
    }
    return NULL;
}

/* A kept block for a request of `size` bytes, or one cut from the rest; NULL if there is none. */
static inline void *quick_take(const struct hole_space *space, size_t size)
{
    if (!space->quick || size > QUICK_MAX) {
        return NULL;
    }
    if (size > QUICK_CUT) {
        return quick_take_recent(space->quick, size);
    }
    void *block = quick_take_kept(space->quick, size);
    return LIKELY(block != NULL) ? block : quick_cut(space, size);
}

/* Is a chunk of this size too large for a list, but not for a recent block? */
static inline bool quick_is_larger(size_t size)
{
    return size >= QUICK_LISTS * HOLE_UNIT && size <= QUICK_CHUNK;
}

/* Keeps a live block that no list takes as the newest of the recent ones. False if none of their places is empty. Nearly hot. */
static inline bool quick_keep_recent(struct quick_lists *quick, struct chunk *chunk)
{
    for (unsigned step = 1; step <= QUICK_RECENT; step++) {
        unsigned place = (quick->newest + step) % QUICK_RECENT;
        struct quick_recent *recent = &quick->recent[place];
        if (atomic_load_explicit(&recent->size, memory_order_relaxed) == 0) {
            uint64_t header = chunk_header(chunk);
            chunk_set(chunk, header ^ ~CHUNK_LOW);
            recent->chunk = chunk;
            atomic_signal_fence(memory_order_seq_cst);
            atomic_store_explicit(&recent->size, header & CHUNK_SIZE, memory_order_relaxed);
            quick->newest = place;
            return true;
        }
    }
    return false;
}

/* Keeps a live block. False, and nothing is done, if it is too large, if enough of its size are kept, or if no place of the recent
 * ones is empty. Nearly hot. */
static inline bool quick_keep(const struct hole_space *space, void *block)
{
    struct quick_lists *quick = space->quick;
    struct chunk *chunk = chunk_of(block);
    uint64_t header = chunk_header(chunk);
    size_t list = (header & CHUNK_SIZE) / HOLE_UNIT;
    if (UNLIKELY(quick_is_larger(header & CHUNK_SIZE))) {
        return quick_keep_recent(quick, chunk);
    }
    unsigned room = list < QUICK_LISTS ? atomic_load_explicit(&quick->room[list], memory_order_relaxed) : 0;
    if (UNLIKELY(room == 0)) {
        return false;
    }
    chunk->right = quick->first[list];
    chunk_set(chunk, header ^ ~CHUNK_LOW);
    atomic_signal_fence(memory_order_seq_cst);
    quick->first[list] = chunk;
    atomic_store_explicit(&quick->room[list], (uint8_t)(room - 1), memory_order_relaxed);
    return true;
}

/* Keeps a live block that quick_keep() did not, if it is not too large, in place of one of the oldest recent ones. Returns that, in
 * use now, or the block itself: it is to become a hole. */
void *quick_replace(const struct hole_space *space, void *block);

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

/* Whether the lists hold kept blocks of their sizes, as many as they say, and the places kept blocks. NULL, or a sentence. */
const char *quick_check(const struct hole_space *space);

#endif
