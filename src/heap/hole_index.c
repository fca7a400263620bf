/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_index.c: see hole_index.h: what is not inline. */

#include "heap/hole_index.h"

#include <string.h>

#include "heap/hole_tree.h"
#include "heap/meta.h"

static bool has_bins(const struct hole_space *space)
{
    return !space->options.plain && (space->options.fit == CAIRN_FIT_BEST || space->options.fit == CAIRN_FIT_WORST);
}

bool index_prepare(struct hole_space *space)
{
    if (has_bins(space) && !space->bins) {
        space->bins = meta_alloc(space->options.meta, sizeof *space->bins);
        return space->bins != NULL;
    }
    return true;
}

/* ---- bins ---- */

static unsigned bin_of(size_t size)
{
    if (LIKELY(size < (1u << EXACT_LOG))) {
        return (unsigned)(size / HOLE_UNIT);
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size);
    return EXACT_BINS + (log - EXACT_LOG) * 8 + ((unsigned)(size >> (log - 3)) & 7);
}

/* The smallest size in a bin above those of one size. */
static size_t bin_least(unsigned bin)
{
    unsigned log = EXACT_LOG + (bin - EXACT_BINS) / 8;
    return (8 + (size_t)((bin - EXACT_BINS) % 8)) << (log - 3);
}

static unsigned bin_last(const struct hole_bins *bins)
{
    if (!bins->words) {
        return BINS;
    }
    unsigned word = 63 - (unsigned)__builtin_clzll(bins->words);
    return word * 64 + 63 - (unsigned)__builtin_clzll(bins->filled[word]);
}

/* ---- bands ---- */

enum { BAND_HOLES = 64 }; /* a tree that holds so many becomes a band */

/* A list for each size of a bin's range. */
struct band {
    uint64_t words; /* bit i: filled[i] is not 0 */
    uint64_t filled[64];
    struct chunk *list[];
};

static struct band *band_of(const struct hole_bins *bins, unsigned bin)
{
    return bin >= EXACT_BINS && bin < EXACT_BINS + BANDS ? bins->band[bin - EXACT_BINS] : NULL;
}

/* The lists that a band of that bin has. */
static unsigned band_lists(unsigned bin)
{
    unsigned doubling = (bin - EXACT_BINS) / 8;
    return (unsigned)(EXACT_MAX / 8 / HOLE_UNIT) << doubling;
}

/* Which of the lists holes of `size` bytes, in the range of the bin, are in. */
static unsigned band_list(unsigned bin, size_t size)
{
    return (unsigned)(size / HOLE_UNIT) & (band_lists(bin) - 1);
}

static void band_add(struct band *band, unsigned list, struct chunk *hole)
{
    if (list_push(&band->list[list], hole)) {
        band->filled[list / 64] |= UINT64_C(1) << (list % 64);
        band->words |= UINT64_C(1) << (list / 64);
    }
}

static void band_remove(struct band *band, unsigned list, struct chunk *hole)
{
    if (list_unlink(&band->list[list], hole)) {
        band->filled[list / 64] &= ~(UINT64_C(1) << (list % 64));
        if (!band->filled[list / 64]) {
            band->words &= ~(UINT64_C(1) << (list / 64));
        }
    }
}

/* A smallest hole in the lists at or behind `list`, or NULL. */
static struct chunk *band_least(const struct band *band, unsigned list)
{
    unsigned word = list / 64;
    uint64_t filled = band->filled[word] >> (list % 64) << (list % 64);
    if (!filled) {
        uint64_t words = band->words >> word >> 1;
        if (!words) {
            return NULL;
        }
        word += 1 + (unsigned)__builtin_ctzll(words);
        filled = band->filled[word];
    }
    return band->list[word * 64 + (unsigned)__builtin_ctzll(filled)];
}

/* A largest hole of a band that is not empty. */
static struct chunk *band_most(const struct band *band)
{
    unsigned word = 63 - (unsigned)__builtin_clzll(band->words);
    return band->list[word * 64 + 63 - (unsigned)__builtin_clzll(band->filled[word])];
}

/* Makes a band of a tree that holds BAND_HOLES or, if that was refused, a power of two above it. It stays a tree if the
 * metadata refuses, and in memory of the caller, which is never plenty. */
static void band_make(struct hole_space *space, unsigned bin)
{
    struct hole_bins *bins = space->bins;
    struct meta *meta = space->options.meta;
    size_t bytes = sizeof(struct band) + band_lists(bin) * sizeof(struct chunk *);
    struct band *band = meta->region ? NULL : meta_alloc(meta, bytes);
    if (!band) {
        return;
    }
    bins->band[bin - EXACT_BINS] = band;
    for (struct chunk *hole; (hole = bins->bin[bin]) != NULL;) {
        tree_size_remove(&bins->bin[bin], hole);
        band_add(band, band_list(bin, chunk_size(hole)), hole);
    }
}

/* ---- bins above those of one size ---- */

static void bins_add(struct hole_space *space, struct chunk *hole, size_t size)
{
    struct hole_bins *bins = space->bins;
    unsigned bin = bin_of(size);
    struct band *band = band_of(bins, bin);
    bin_fill(bins, bin);
    if (band) {
        band_add(band, band_list(bin, size), hole);
        return;
    }
    tree_size_add(&bins->bin[bin], hole);
    if (bin < EXACT_BINS + BANDS) {
        uint32_t held = ++bins->held[bin - EXACT_BINS];
        if (held >= BAND_HOLES && (held & (held - 1)) == 0) {
            band_make(space, bin);
        }
    }
}

static void bins_remove(struct hole_bins *bins, struct chunk *hole, size_t size)
{
    unsigned bin = bin_of(size);
    struct band *band = band_of(bins, bin);
    bool empty;
    if (band) {
        band_remove(band, band_list(bin, size), hole);
        empty = !band->words;
    } else {
        tree_size_remove(&bins->bin[bin], hole);
        empty = !bins->bin[bin];
        if (bin < EXACT_BINS + BANDS) {
            bins->held[bin - EXACT_BINS]--;
        }
    }
    if (empty) {
        bin_empty(bins, bin);
    }
}

/* The size's own bin may have smaller holes only. */
static struct chunk *bins_best(const struct hole_bins *bins, size_t size, uint64_t *visited)
{
    unsigned own = bin_of(size);
    unsigned bin = bin_from(bins, own);
    struct chunk *least = NULL;
    while (bin < BINS && !least) {
        const struct band *band = band_of(bins, bin);
        if (band) {
            least = band_least(band, bin == own ? band_list(bin, size) : 0);
            ++*visited;
        } else if (bin < EXACT_BINS) {
            least = bins->bin[bin];
            ++*visited;
        } else {
            least = tree_size_least(bins->bin[bin], size, visited);
        }
        bin = bin + 1 < BINS ? bin_from(bins, bin + 1) : BINS;
    }
    return least;
}

static SELDOM struct chunk *bins_worst(const struct hole_bins *bins, size_t size, uint64_t *visited)
{
    unsigned bin = bin_last(bins);
    if (bin == BINS) {
        return NULL;
    }
    const struct band *band = band_of(bins, bin);
    struct chunk *most = band ? band_most(band) : bins->bin[bin];
    if (bin >= EXACT_BINS && !band) {
        most = tree_size_most(most, visited);
    } else {
        ++*visited;
    }
    return chunk_size(most) >= size ? most : NULL;
}

static SELDOM void bins_clear(struct hole_bins *bins)
{
    struct band *bands[BANDS];
    memcpy(bands, bins->band, sizeof bands);
    memset(bins, 0, sizeof *bins);
    for (unsigned i = 0; i < BANDS; i++) {
        if (bands[i]) {
            memset(bands[i], 0, sizeof(struct band) + band_lists(EXACT_BINS + i) * sizeof(struct chunk *));
        }
    }
    memcpy(bins->band, bands, sizeof bands);
}

/* ---- the plain list ---- */

static void list_add(struct chunk **first, struct chunk *hole)
{
    struct chunk *before = NULL;
    struct chunk *behind = *first;
    while (behind && behind < hole) {
        before = behind;
        behind = behind->right;
    }
    hole->left = before;
    hole->right = behind;
    *(before ? &before->right : first) = hole;
    if (behind) {
        behind->left = hole;
    }
}

static void list_remove(struct chunk **first, struct chunk *hole)
{
    *(hole->left ? &hole->left->right : first) = hole->right;
    if (hole->right) {
        hole->right->left = hole->left;
    }
}

static struct chunk *list_first(struct chunk *hole, uintptr_t from, size_t size, uint64_t *visited)
{
    for (; hole; hole = hole->right) {
        ++*visited;
        if ((uintptr_t)hole >= from && chunk_size(hole) >= size) {
            return hole;
        }
    }
    return NULL;
}

static struct chunk *list_best(struct chunk *hole, size_t size, uint64_t *visited)
{
    struct chunk *best = NULL;
    for (; hole; hole = hole->right) {
        ++*visited;
        if (chunk_size(hole) >= size && (!best || chunk_size(hole) < chunk_size(best))) {
            best = hole;
        }
    }
    return best;
}

static SELDOM struct chunk *list_worst(struct chunk *hole, size_t size, uint64_t *visited)
{
    struct chunk *worst = NULL;
    for (; hole; hole = hole->right) {
        ++*visited;
        if (chunk_size(hole) >= size && (!worst || chunk_size(hole) > chunk_size(worst))) {
            worst = hole;
        }
    }
    return worst;
}

/* ---- all ---- */

void index_add_slow(struct hole_space *space, struct chunk *hole, size_t size)
{
    if (space->bins) {
        bins_add(space, hole, size);
    } else if (space->options.plain) {
        list_add(&space->root, hole);
    } else {
        tree_address_add(&space->root, hole);
    }
}

void index_remove_slow(struct hole_space *space, struct chunk *hole, size_t size)
{
    if (space->bins) {
        bins_remove(space->bins, hole, size);
    } else if (space->options.plain) {
        list_remove(&space->root, hole);
    } else {
        tree_address_remove(&space->root, hole);
    }
}

static struct chunk *first_from(struct hole_space *space, uintptr_t from, size_t size)
{
    uint64_t *visited = &space->figures.visited;
    return space->options.plain ? list_first(space->root, from, size, visited)
                                : tree_address_first(space->root, from, size, visited);
}

struct chunk *index_choose_slow(struct hole_space *space, size_t size)
{
    uint64_t *visited = &space->figures.visited;
    struct chunk *hole;
    switch (space->options.fit) {
    case CAIRN_FIT_FIRST:
        return first_from(space, 0, size);
    case CAIRN_FIT_NEXT:
        hole = first_from(space, space->rover, size);
        return hole ? hole : first_from(space, 0, size);
    case CAIRN_FIT_WORST:
        return space->bins ? bins_worst(space->bins, size, visited) : list_worst(space->root, size, visited);
    case CAIRN_FIT_BEST:
    case CAIRN_FIT_DEFAULT: /* a heap has chosen by now */
        break;
    }
    return space->bins ? bins_best(space->bins, size, visited) : list_best(space->root, size, visited);
}

SELDOM void index_clear(struct hole_space *space)
{
    space->root = NULL;
    space->figures.holes = 0;
    if (space->bins) {
        bins_clear(space->bins);
    }
}

SELDOM size_t holes_largest(const struct hole_space *space)
{
    uint64_t visited = 0;
    const struct chunk *hole;
    if (space->bins) {
        hole = bins_worst(space->bins, 0, &visited);
    } else if (space->options.plain) {
        hole = list_worst(space->root, 0, &visited);
    } else {
        return tree_largest(space->root);
    }
    return hole ? chunk_size(hole) : 0;
}

/* ---- check ---- */

static SELDOM const char *check_list(const struct chunk *first, bool by_address, size_t size, struct index_sum *sum)
{
    const struct chunk *last = NULL;
    for (const struct chunk *hole = first; hole; last = hole, hole = hole->right) {
        if (!chunk_is_hole(hole)) {
            return "a hole in a list is in use";
        }
        if (hole->left != last) {
            return "a list of holes is not linked both ways";
        }
        if (by_address ? last && last >= hole : chunk_size(hole) != size) {
            return by_address ? "the list of holes is out of order" : "a hole is in a bin of another size";
        }
        sum->holes++;
        sum->bytes += chunk_size(hole);
        sum->marks += index_mark(hole);
    }
    return NULL;
}

static const char *check_band(const struct band *band, unsigned bin, struct index_sum *sum)
{
    size_t least = bin_least(bin);
    const char *fault = NULL;
    for (unsigned list = 0; list < band_lists(bin) && !fault; list++) {
        fault = check_list(band->list[list], false, least + (size_t)list * HOLE_UNIT, sum);
        if (!fault && !(band->filled[list / 64] >> (list % 64) & 1) != !band->list[list]) {
            fault = "a bit of a band is wrong";
        }
    }
    for (unsigned word = 0; word < 64 && !fault; word++) {
        fault = !(band->words >> word & 1) != !band->filled[word] ? "a bit for a word of a band is wrong" : NULL;
    }
    return fault;
}

static const char *check_bin(const struct hole_bins *bins, unsigned bin, struct index_sum *sum)
{
    const struct chunk *hole = bins->bin[bin];
    const struct band *band = band_of(bins, bin);
    if (!(bins->filled[bin / 64] >> (bin % 64) & 1) != !(band ? band->words != 0 : hole != NULL)) {
        return "a bin's bit is wrong";
    }
    if (band) {
        return hole ? "a band is a tree too" : check_band(band, bin, sum);
    }
    if (!hole || bin < EXACT_BINS) {
        return check_list(hole, false, (size_t)bin * HOLE_UNIT, sum);
    }
    const struct chunk *most = hole;
    const struct chunk *least = hole;
    for (unsigned depth = 0; least->left && depth < TREE_DEPTH_MAX; depth++) {
        least = least->left;
    }
    for (unsigned depth = 0; most->right && depth < TREE_DEPTH_MAX; depth++) {
        most = most->right;
    }
    if (bin_of(chunk_size(least)) != bin || bin_of(chunk_size(most)) != bin) {
        return "a hole is in a bin of other sizes";
    }
    return tree_check(hole, false, sum);
}

SELDOM const char *index_check(const struct hole_space *space, struct index_sum *sum)
{
    const char *fault = NULL;
    if (!space->bins) {
        return space->options.plain ? check_list(space->root, true, 0, sum) : tree_check(space->root, true, sum);
    }
    for (unsigned bin = 0; bin < BINS && !fault; bin++) {
        fault = check_bin(space->bins, bin, sum);
    }
    for (unsigned word = 0; word < BIN_WORDS && !fault; word++) {
        fault = !(space->bins->words >> word & 1) != !space->bins->filled[word] ? "a bit for a word of bins is wrong"
                                                                                : NULL;
    }
    return fault;
}
