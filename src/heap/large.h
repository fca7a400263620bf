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

/* A block of `size` bytes at a multiple of `alignment`. *zeroed (if not NULL) tells whether it is known to be zero. NULL
 * and ENOMEM on failure. Takes the heap's lock. */
void *large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed);

/* Frees a run or huge block. Takes the heap's lock. */
void large_free(struct pool *pool);

/* Resizes a run or huge block to `size` > MEDIUM_MAX bytes without copying: a run in place, a huge block in place or
 * by moving its pages. NULL if that cannot be done; the block is then unchanged. */
void *large_resize(struct pool *pool, size_t size);

/* The live huge block an address lies in, of whatever heap; heap NULL if there is none. Searches the lists: for
 * addresses the page map does not know. */
struct large_place {
    cairn_heap *heap;
    const char *base;
    size_t size;
};
struct large_place large_find(const void *address);

/* Releases cached mappings whose time has come. The heap's lock is held. */
void large_tick(cairn_heap *heap);

/* Releases cached mappings. Returns their bytes. The heap's lock is held. */
size_t large_trim(cairn_heap *heap);

/* Releases every huge block and cached mapping. */
void large_release_all(cairn_heap *heap);

#endif
