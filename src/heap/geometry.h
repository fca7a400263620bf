/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* geometry.h: from a geometry to a heap's size classes.
 *
 * Classes up to 512 bytes (or small_limit if that is less) are spaced by the alignment; above, eight to a doubling (at
 * most 12.5% rounding) up to medium_limit. Those up to small_limit live in pools of the geometry (the small space), the
 * others in pools of 64 KiB (the span space; not in a heap that lives in a region, where they have no class). Requests
 * above medium_limit, and all of a heap without pools, have no class. A packed heap is another matter: geometry_pack. */

#ifndef CAIRN_HEAP_GEOMETRY_H
#define CAIRN_HEAP_GEOMETRY_H

#include "heap/types.h"

/* Fills the heap's class tables and spaces from heap->geometry and heap->min_alignment. */
void geometry_apply(cairn_heap *heap);

/* For a heap of many small objects, before its first request: packs what lives long into fewer pages. Blocks of up to 64
 * bytes get pools of TINY_SLOT bytes, in which they lie as in the geometry's, with as many more in front as fit; and in a
 * single heap that does not purge at once blocks of more than 224 bytes are cut from holes, with quick lists (hole_quick.h)
 * unless the heap counts every request.
 * With reuse_at_once a full pool that gets a free block queues behind the pool that serves, not before it. Nothing changes
 * without pools, in geometries of smaller pools, those that return pools at once, and in a region. */
void geometry_pack(cairn_heap *heap);

/* Of each class above `above` bytes holes are to serve the next `count` requests (at most FEW_MOST), of the others none: a
 * process that makes no more touches no page for a pool of the class, but a hole's request and free take ten times the
 * instructions. */
void geometry_few_from_holes(cairn_heap *heap, size_t above, unsigned count);

/* The class that serves a request of `size` bytes, at most medium_limit. */
static inline unsigned class_of(const cairn_heap *heap, size_t size)
{
    if (size <= DIRECT_MAX) {
        return heap->direct_class[(size + 7) >> 3];
    }
    unsigned bits = 63u - (unsigned)__builtin_clzll(size - 1); /* 10 for 1025..2048 */
    return heap->class_above_direct + (bits - 10) * 8 + (unsigned)(((size - 1) >> (bits - 3)) & 7);
}

/* The pool of an owner that serves requests of `size` bytes, more than DIRECT_MAX, next; NULL if that is not known without
 * further thought. Nearly hot. */
static inline struct pool *pool_above(const struct owner *owner, size_t size)
{
    const cairn_heap *heap = owner->heap;
    if (UNLIKELY(!heap) || size >= heap->pooled_end || owner->exact) {
        return NULL;
    }
    struct pool *pool = owner->used[class_of(heap, size)].head;
    return pool && !pool_is_unsettled(pool) ? pool : NULL;
}

#endif
