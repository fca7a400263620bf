/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* large.h: blocks above MEDIUM_MAX: runs of 64 KiB slots up to RUN_MAX, and mappings of their own beyond.
 *
 * They belong to the heap, not to a thread: the record's owner is the heap's base owner, and every operation takes
 * the heap's lock. Freed mappings are kept for a short time (purge_delay_ms) and in small number for requests of
 * about their size. */

#ifndef CAIRN_HEAP_LARGE_H
#define CAIRN_HEAP_LARGE_H

#include "heap/types.h"

/* A block of `size` bytes at a multiple of `alignment`. `owner` may be NULL; if it is the heap's common owner, the
 * heap's lock is held. *zeroed (if not NULL) tells whether the block is known to be zero. NULL and ENOMEM on
 * failure. */
void *large_alloc(struct owner *owner, cairn_heap *heap, size_t size, size_t alignment, bool *zeroed);

/* Frees a run or huge block. Takes the heap's lock. */
void large_free(struct pool *pool);

/* Resizes a run or huge block to `size` > MEDIUM_MAX bytes without copying: a run in place, a huge block in place or
 * by moving its pages. NULL if that cannot be done; the block is then unchanged. */
void *large_resize(struct pool *pool, size_t size);

/* The record of the live huge block an address lies in, in any heap, or NULL. Searches the lists: for addresses the
 * page map does not know. */
struct pool *large_find(const void *address);

/* Releases cached mappings whose time has come. The heap's lock is held. */
void large_tick(cairn_heap *heap);

/* Releases cached mappings. Returns their bytes. The heap's lock is held. */
size_t large_trim(cairn_heap *heap);

/* Releases every huge block and cached mapping. */
void large_release_all(cairn_heap *heap);

/* Bytes the user may use. */
static inline size_t large_usable(const struct pool *pool)
{
    return pool->size;
}

#endif
