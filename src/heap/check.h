/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* check.h: the structures' own checks. pool_check_quick runs around mutations in the debug build (constant time); the
 * others are for cairn_heap_check. Each returns NULL, or a sentence that names what does not hold. */

#ifndef CAIRN_HEAP_CHECK_H
#define CAIRN_HEAP_CHECK_H

#include "heap/types.h"

/* The counters of a class pool agree with each other and with its list. The owner calls. */
const char *pool_check_quick(const struct pool *pool);

/* Also its free list: blocks of the pool, each once, as many as the counters say. [quiet] */
const char *pool_check(const struct pool *pool);

/* Slots, key and page map of an arena, and the kinds of its records. [quiet] */
const char *arena_check(const struct arena *arena);

/* Buckets and counts of a space against the heap's list of arenas. [quiet] */
const char *space_check(const cairn_heap *heap, const struct space *space);

/* An owner's lists: every pool on them is its own, on the right one, and the direct table shows the heads. [quiet] */
const char *owner_check(const struct owner *owner);

/* The heap's counters recomputed, and its huge blocks. [quiet] */
const char *heap_totals_check(const cairn_heap *heap);

/* Aborts if pool_check_quick finds a fault. */
void pool_check_assert(const struct pool *pool);

#endif
