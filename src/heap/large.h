/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* large.h: blocks that no pool serves: cut from holes (hole.h) up to HOLE_MAX, mapped on their own beyond.
 *
 * In a heap that lives in a region, all are cut from holes.
 *
 * They belong to the heap, not to a thread: the record's owner is the heap's base owner, and every operation takes
 * the heap's lock. Freed mappings are kept for a short time (a quarter of purge_delay_ms) and in small number for requests of
 * about their size. */

#ifndef CAIRN_HEAP_LARGE_H
#define CAIRN_HEAP_LARGE_H

#include "heap/types.h"

/* Makes the heap's hole space ready. */
void large_init(cairn_heap *heap);

/* A block of `size` bytes at a multiple of `alignment`. *zeroed (if not NULL) tells whether it is known to be zero. NULL
 * and ENOMEM on failure. Takes the heap's lock. */
void *large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed);

/* A block of `size` bytes cut from a hole, or NULL; errno and the count of failures are left alone. Takes the heap's
 * lock. */
void *large_try(cairn_heap *heap, size_t size);

/* The same as large_alloc() for a request that no pool could serve, and whose failure was counted: in a region that has
 * no room for an arena, holes may still serve. NULL in other heaps; errno is as before the pools were asked, `saved`,
 * if a hole serves. */
void *large_after_pools(cairn_heap *heap, size_t size, size_t alignment, int saved);

/* Frees a large or huge block. Takes the heap's lock. */
void large_free(struct pool *pool, void *block);

/* Makes all kept blocks holes. The heap's lock is held, by its owner. */
void large_flush(cairn_heap *heap);

/* The same if they are more than a small part of what the heap holds, which is more than ever before: what lists keep must
 * not raise the peak. Then says at which peak to look again. */
void large_flush_at_peak(cairn_heap *heap);

/* Resizes a large or huge block without copying: a large block in place, a huge block in place or by moving its pages.
 * NULL if that cannot be done or would waste more than half; the block is then unchanged. */
void *large_resize(struct pool *pool, void *block, size_t size);

/* Usable bytes of a live large or huge block. */
size_t large_usable(const struct pool *pool, const void *block);

/* Is this a live block of a segment? If not, *misuse says what it is. Takes the heap's lock in that case. */
bool large_check(struct pool *segment, const void *block, cairn_misuse_kind *misuse);

/* The live block of a segment that an address lies in, and its usable bytes; NULL if there is none. Takes the heap's
 * lock. */
const void *large_block_at(struct pool *segment, const void *address, size_t *size);

/* The live huge block an address lies in, of whatever heap; heap NULL if there is none. Searches the lists: for
 * addresses the page map does not know. */
struct large_place {
    cairn_heap *heap;
    const char *base;
    size_t size;
};
struct large_place large_find(const void *address);

/* Releases cached mappings and purges holes whose time has come. The heap's lock is held. */
void large_tick(cairn_heap *heap);

/* Releases cached mappings, the oldest first, until `enough` bytes are. Returns the bytes. The heap's lock is held. */
size_t large_cool(cairn_heap *heap, size_t enough);

/* Releases cached mappings, purges all holes and releases empty segments. Returns the bytes. The heap's lock is held. */
size_t large_trim(cairn_heap *heap);

/* Purges or releases all of the heap's memory that holds no live block: handles, holes, mappings, arenas. Returns the
 * bytes. The heap's lock is held. */
size_t large_give_back(cairn_heap *heap);

/* The same after this thread's own empty pools were returned: all that can be done before a request is refused. The
 * heap's lock is held, and given back meanwhile. */
void large_make_room(cairn_heap *heap);

/* Releases every segment, huge block and cached mapping. */
void large_release_all(cairn_heap *heap);

#endif
