/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pagemap.h: who owns this pointer? From any address to the record of the pool, run or huge block it belongs to,
 * in two loads, never faulting.
 *
 * Two levels over a 47-bit address space: a root of 2^17 entries (1 MiB of zero pages in the program's data, touched
 * where used), each for 1 GiB; a leaf of 2^18 entries (2 MiB reserved, touched where used), each for 4 KiB. A leaf,
 * once made, stays.
 *
 * Invariants: the entries of a slot that was ever taken since its arena was made point to the pool or run that covers
 * it, or to the slot's own record while it is free; all other entries of an arena are NULL. The first entry of a huge
 * block points to its record, the others are NULL. (arena_check, huge_check)
 *
 * Locks: writers hold the lock of the heap that owns the pages. Readers take none: whoever holds a live block got it
 * after its entries were written; for any other address the answer may be out of date by the time it is used. */

#ifndef CAIRN_HEAP_PAGEMAP_H
#define CAIRN_HEAP_PAGEMAP_H

#include "heap/types.h"

enum {
    MAP_PAGE_SHIFT = 12,
    MAP_LEAF_SHIFT = 30,
    MAP_ADDRESS_BITS = 47,
    MAP_ROOT_COUNT = 1 << (MAP_ADDRESS_BITS - MAP_LEAF_SHIFT),
    MAP_LEAF_COUNT = 1 << (MAP_LEAF_SHIFT - MAP_PAGE_SHIFT)
};

typedef _Atomic(struct pool *) map_entry;

/* Where the leaf would start if it began at address 0, so that the whole page number is the index; 0: no leaf. */
extern _Atomic(uintptr_t) pagemap_root[MAP_ROOT_COUNT];

static inline map_entry *pagemap_entry(uintptr_t leaf, uintptr_t page)
{
    return (map_entry *)(leaf + page * sizeof(map_entry));
}

/* The record for an address, or NULL. Hot path. */
static inline struct pool *pagemap_get(const void *address)
{
    uintptr_t a = (uintptr_t)address;
    uintptr_t index = a >> MAP_LEAF_SHIFT;
    if (UNLIKELY(index >= MAP_ROOT_COUNT)) {
        return NULL;
    }
    uintptr_t leaf = atomic_load_explicit(&pagemap_root[index], memory_order_acquire);
    if (UNLIKELY(!leaf)) {
        return NULL;
    }
    return atomic_load_explicit(pagemap_entry(leaf, a >> MAP_PAGE_SHIFT), memory_order_acquire);
}

/* Makes the leaves for a range. False if the system has no memory or the range is beyond the map. */
bool pagemap_prepare(const void *address, size_t size);

/* Points the entries of a prepared range to `pool` (NULL clears). */
void pagemap_set(const void *address, size_t size, struct pool *pool);

/* Bytes reserved for leaves, all heaps together. */
size_t pagemap_bytes(void);

#endif
