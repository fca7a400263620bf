/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_index.h: which holes there are, and which of them a fit chooses. For hole*.c alone; lock: the heap's.
 *
 *   best, worst   bins: below 8 KiB one for each size, a list, newest first; above, eight to each doubling, a tree by
 *                 size and address, or, once it has held many holes, a *band*: again a list for each size; a bit for
 *                 each bin that is not empty, and a bit for each word of these
 *   first, next   one tree by address
 *   plain         under every fit one list in order of address
 *
 * What concerns the bins of one size is inline: it is most of what a request costs. */

#ifndef CAIRN_HEAP_HOLE_INDEX_H
#define CAIRN_HEAP_HOLE_INDEX_H

#include "heap/hole_private.h"

enum {
    EXACT_LOG = 13, /* holes below 2^13 bytes have a bin for each size */
    EXACT_MAX = 1 << EXACT_LOG,
    EXACT_BINS = EXACT_MAX / HOLE_UNIT,
    TREE_BINS = (32 - EXACT_LOG) * 8,
    BINS = EXACT_BINS + TREE_BINS,
    BIN_WORDS = (BINS + 63) / 64,
    BANDS = 7 * 8 /* bins that may become bands: those below 1 MiB */
};

_Static_assert(BIN_WORDS <= 64, "the summary is one word");

struct band;

struct hole_bins {
    uint64_t words; /* bit i: filled[i] is not 0 */
    uint64_t filled[BIN_WORDS];
    struct chunk *bin[BINS];  /* list, tree, or NULL if the bin is a band */
    uint32_t held[BANDS];     /* holes in the trees of the bins that may become bands */
    struct band *band[BANDS]; /* NULL: a tree */
};

/* Makes what the index needs. False if the metadata refuses. */
bool index_prepare(struct hole_space *space);

/* Empties the index. */
void index_clear(struct hole_space *space);

/* What the index holds: how many holes, their bytes, and the sum of index_mark() over them. A sentence if it is
 * damaged. */
struct index_sum {
    size_t holes;
    size_t bytes;
    uint64_t marks;
};
const char *index_check(const struct hole_space *space, struct index_sum *sum);

/* A mark of a hole by address and size. */
static inline uint64_t index_mark(const struct chunk *hole)
{
    uint64_t mark = ((uintptr_t)hole ^ (chunk_size(hole) << 36)) * UINT64_C(0xBF58476D1CE4E5B9);
    return mark ^ (mark >> 29);
}

/* ---- bins ---- */

static inline void bin_fill(struct hole_bins *bins, unsigned bin)
{
    bins->filled[bin / 64] |= UINT64_C(1) << (bin % 64);
    bins->words |= UINT64_C(1) << (bin / 64);
}

static inline void bin_empty(struct hole_bins *bins, unsigned bin)
{
    bins->filled[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
    if (!bins->filled[bin / 64]) {
        bins->words &= ~(UINT64_C(1) << (bin / 64));
    }
}

/* Adds a hole to a list. True if it is the only one now. */
static inline bool list_push(struct chunk **list, struct chunk *hole)
{
    struct chunk *first = *list;
    hole->left = NULL;
    hole->right = first;
    *list = hole;
    if (first) {
        first->left = hole;
    }
    return !first;
}

/* Takes a hole out of a list. True if that is empty now. */
static inline bool list_unlink(struct chunk **list, struct chunk *hole)
{
    struct chunk *left = hole->left;
    struct chunk *right = hole->right;
    if (right) {
        right->left = left;
    }
    if (left) {
        left->right = right;
        return false;
    }
    *list = right;
    return !right;
}

/* The first bin at or behind `bin` that is not empty; BINS if none is. */
static inline unsigned bin_from(const struct hole_bins *bins, unsigned bin)
{
    unsigned word = bin / 64;
    uint64_t filled = bins->filled[word] >> (bin % 64);
    if (filled) {
        return bin + (unsigned)__builtin_ctzll(filled);
    }
    uint64_t words = bins->words >> word >> 1;
    if (!words) {
        return BINS;
    }
    word += 1 + (unsigned)__builtin_ctzll(words);
    return word * 64 + (unsigned)__builtin_ctzll(bins->filled[word]);
}

/* ---- adding and removing ---- */

void index_add_slow(struct hole_space *space, struct chunk *hole, size_t size);
void index_remove_slow(struct hole_space *space, struct chunk *hole, size_t size);

/* Adds a hole, whose header is set. */
static inline void index_add(struct hole_space *space, struct chunk *hole, size_t size)
{
    struct hole_bins *bins = space->bins;
    space->figures.holes++;
    if (!bins || size >= EXACT_MAX) {
        index_add_slow(space, hole, size);
        return;
    }
    if (list_push(&bins->bin[size / HOLE_UNIT], hole)) {
        bin_fill(bins, (unsigned)(size / HOLE_UNIT));
    }
}

/* Takes a hole out, before its header is changed. */
static inline void index_remove(struct hole_space *space, struct chunk *hole, size_t size)
{
    struct hole_bins *bins = space->bins;
    space->figures.holes--;
    if (!bins || size >= EXACT_MAX) {
        index_remove_slow(space, hole, size);
        return;
    }
    if (list_unlink(&bins->bin[size / HOLE_UNIT], hole)) {
        bin_empty(bins, (unsigned)(size / HOLE_UNIT));
    }
}

/* ---- choosing ---- */

struct chunk *index_choose_slow(struct hole_space *space, size_t size);

/* The hole that the fit chooses for a chunk of `size` bytes, or NULL. */
static inline struct chunk *index_choose(struct hole_space *space, size_t size)
{
    space->figures.searches++;
    if (space->bins && space->options.fit == CAIRN_FIT_BEST && size < EXACT_MAX) {
        unsigned bin = bin_from(space->bins, (unsigned)(size / HOLE_UNIT));
        if (bin < EXACT_BINS) {
            space->figures.visited++;
            return space->bins->bin[bin];
        }
    }
    return index_choose_slow(space, size);
}

#endif
