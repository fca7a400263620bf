/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_tree.h: treaps threaded through holes. The priority is a hash of a hole's address, so it needs no memory; the
 * depth is that of a random search tree, about 2 ln n on average. For hole*.c alone; lock: the heap's.
 *
 * There are two orders. By size, then address: for the bins of best and worst fit. By address, where each hole's header
 * carries in its high half the size in units of the largest hole in its subtree: for first and next fit. */

#ifndef CAIRN_HEAP_HOLE_TREE_H
#define CAIRN_HEAP_HOLE_TREE_H

#include "heap/hole_index.h"

enum { TREE_DEPTH_MAX = 256 }; /* with 2^26 holes, deeper has a chance below 10^-100 */

void tree_size_add(struct chunk **root, struct chunk *hole);
void tree_size_remove(struct chunk **root, struct chunk *hole);

/* The smallest hole of at least `size` bytes, the lowest of these, or NULL. Adds the holes looked at to *visited. */
struct chunk *tree_size_least(struct chunk *root, size_t size, uint64_t *visited);

/* The largest hole. */
struct chunk *tree_size_most(struct chunk *root, uint64_t *visited);

void tree_address_add(struct chunk **root, struct chunk *hole);
void tree_address_remove(struct chunk **root, struct chunk *hole);

/* The lowest hole at or behind `from` of at least `size` bytes, or NULL. */
struct chunk *tree_address_first(struct chunk *root, uintptr_t from, size_t size, uint64_t *visited);

/* The size of the largest hole in a subtree of the tree by address. */
static inline size_t tree_largest(const struct chunk *hole)
{
    return hole ? (size_t)(chunk_header(hole) >> 32) * HOLE_UNIT : 0;
}

/* NULL, or a sentence; adds up what is in the tree. By address if `by_address`. */
const char *tree_check(const struct chunk *root, bool by_address, struct index_sum *sum);

#endif
