/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pagemap.c: the two-level map; see pagemap.h. Leaves are added by compare-and-swap, so heaps need no common lock. */

#include "heap/pagemap.h"

_Static_assert(sizeof(map_entry) == sizeof(void *), "an entry is one pointer");

_Atomic(uintptr_t) pagemap_root[MAP_ROOT_COUNT];
static atomic_size_t leaf_bytes;

static bool prepare_leaf(size_t index)
{
    if (atomic_load_explicit(&pagemap_root[index], memory_order_acquire)) {
        return true;
    }
    size_t size = MAP_LEAF_COUNT * sizeof(map_entry);
    void *leaf = os->reserve(size, os_page_size());
    if (!leaf) {
        return false;
    }
    uintptr_t biased = (uintptr_t)leaf - index * size;
    if (!biased || !os->commit(leaf, size)) {
        os->release(leaf, size);
        return false;
    }
    uintptr_t expected = 0;
    if (atomic_compare_exchange_strong_explicit(&pagemap_root[index], &expected, biased, memory_order_acq_rel,
                                                memory_order_acquire)) {
        atomic_fetch_add_explicit(&leaf_bytes, size, memory_order_relaxed);
    } else {
        os->release(leaf, size);
    }
    return true;
}

bool pagemap_prepare(const void *address, size_t size)
{
    uintptr_t first = (uintptr_t)address;
    uintptr_t last = first + size - 1;
    if (last < first || last >> MAP_ADDRESS_BITS) {
        return false;
    }
    for (size_t i = first >> MAP_LEAF_SHIFT; i <= last >> MAP_LEAF_SHIFT; i++) {
        if (!prepare_leaf(i)) {
            return false;
        }
    }
    return true;
}

void pagemap_set(const void *address, size_t size, struct pool *pool)
{
    uintptr_t page = (uintptr_t)address >> MAP_PAGE_SHIFT;
    uintptr_t end = ((uintptr_t)address + size + (1u << MAP_PAGE_SHIFT) - 1) >> MAP_PAGE_SHIFT;
    while (page < end) {
        uintptr_t leaf = atomic_load_explicit(&pagemap_root[page >> (MAP_LEAF_SHIFT - MAP_PAGE_SHIFT)],
                                              memory_order_relaxed);
        uintptr_t leaf_end = (page | (MAP_LEAF_COUNT - 1)) + 1;
        for (uintptr_t stop = end < leaf_end ? end : leaf_end; page < stop; page++) {
            atomic_store_explicit(pagemap_entry(leaf, page), pool, memory_order_release);
        }
    }
}

size_t pagemap_bytes(void)
{
    return atomic_load_explicit(&leaf_bytes, memory_order_relaxed);
}
