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
        return (unsigned)(size / UNIT);
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size);
    return EXACT_BINS + (log - EXACT_LOG) * 8 + ((unsigned)(size >> (log - 3)) & 7);
}

static unsigned bin_last(const struct hole_bins *bins)
{
    if (!bins->words) {
        return BINS;
    }
    unsigned word = 63 - (unsigned)__builtin_clzll(bins->words);
    return word * 64 + 63 - (unsigned)__builtin_clzll(bins->filled[word]);
}

static void bins_add(struct hole_bins *bins, struct chunk *hole, size_t size)
{
    unsigned bin = bin_of(size);
    bin_fill(bins, bin);
    tree_size_add(&bins->bin[bin], hole);
}

static void bins_remove(struct hole_bins *bins, struct chunk *hole, size_t size)
{
    unsigned bin = bin_of(size);
    tree_size_remove(&bins->bin[bin], hole);
    if (!bins->bin[bin]) {
        bin_empty(bins, bin);
    }
}

/* The size's own bin may have smaller holes only. */
static struct chunk *bins_best(const struct hole_bins *bins, size_t size, uint64_t *visited)
{
    unsigned bin = bin_from(bins, bin_of(size));
    if (bin < EXACT_BINS) {
        ++*visited;
        return bins->bin[bin];
    }
    struct chunk *least = NULL;
    while (bin < BINS && !least) {
        least = tree_size_least(bins->bin[bin], size, visited);
        bin = bin + 1 < BINS ? bin_from(bins, bin + 1) : BINS;
    }
    return least;
}

static struct chunk *bins_worst(const struct hole_bins *bins, size_t size, uint64_t *visited)
{
    unsigned bin = bin_last(bins);
    if (bin == BINS) {
        return NULL;
    }
    struct chunk *most = bins->bin[bin];
    if (bin >= EXACT_BINS) {
        most = tree_size_most(most, visited);
    } else {
        ++*visited;
    }
    return chunk_size(most) >= size ? most : NULL;
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

static struct chunk *list_worst(struct chunk *hole, size_t size, uint64_t *visited)
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
        bins_add(space->bins, hole, size);
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
        break;
    }
    return space->bins ? bins_best(space->bins, size, visited) : list_best(space->root, size, visited);
}

void index_clear(struct hole_space *space)
{
    space->root = NULL;
    space->figures.holes = 0;
    if (space->bins) {
        memset(space->bins, 0, sizeof *space->bins);
    }
}

size_t holes_largest(const struct hole_space *space)
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

static const char *check_list(const struct chunk *first, bool by_address, size_t size, struct index_sum *sum)
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

static const char *check_bin(const struct hole_bins *bins, unsigned bin, struct index_sum *sum)
{
    const struct chunk *hole = bins->bin[bin];
    if (!(bins->filled[bin / 64] >> (bin % 64) & 1) != !hole) {
        return "a bin's bit is wrong";
    }
    if (!hole || bin < EXACT_BINS) {
        return check_list(hole, false, (size_t)bin * UNIT, sum);
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

const char *index_check(const struct hole_space *space, struct index_sum *sum)
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
