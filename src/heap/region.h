/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* region.h: where a heap's memory comes from: the system, or a *region*, memory that the caller gave once and for all.
 *
 * A region hands out runs of its pages, the lowest that fit, by a bitmap that lies in its own first pages; the heap's
 * metadata, which never goes back, takes the highest, so that it does not part what does. So arenas, segments and
 * metadata take what they need of one store, and what one gives back another may use. Nothing of a region is ever
 * purged or released, and its contents are whatever they were.
 *
 * The source_* functions are the calls of os.h for a heap that may live in a region; `region` NULL means the system.
 *
 * Lock: the heap's, held by every caller. */

#ifndef CAIRN_HEAP_REGION_H
#define CAIRN_HEAP_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os.h"

struct region {
    char *base; /* page 0; the region's own pages come first and are never free */
    size_t pages;
    unsigned page_shift;
    uint64_t used[]; /* a bit for each page */
};

/* Sets a region up in [memory, memory + size), of which whole pages are used. NULL if there is no room for that. */
struct region *region_make(void *memory, size_t size);

/* Takes a run of whole pages at a multiple of `alignment`; NULL if there is none. */
void *region_take(struct region *region, size_t size, size_t alignment);

/* The same with the highest run. */
void *region_take_last(struct region *region, size_t size);

/* Gives back what these gave. */
void region_give(struct region *region, const void *address, size_t size);

/* Bytes of the longest run of free pages. */
size_t region_longest(const struct region *region);

/* Bytes of all free pages. */
size_t region_free(const struct region *region);

static inline void *source_reserve(struct region *region, size_t size, size_t alignment)
{
    return region ? region_take(region, size, alignment) : os->reserve(size, alignment);
}

static inline bool source_commit(const struct region *region, void *address, size_t size)
{
    return region || os->commit(address, size);
}

static inline bool source_purge(const struct region *region, void *address, size_t size)
{
    return !region && os->purge(address, size);
}

static inline bool source_release(struct region *region, void *address, size_t size)
{
    if (!region) {
        return os->release(address, size);
    }
    region_give(region, address, size);
    return true;
}

#endif
