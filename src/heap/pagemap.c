/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pagemap.c: the map; see pagemap.h. The near pages are chosen, and leaves added, by compare-and-swap, so heaps need no
 * common lock. */

#include "heap/pagemap.h"

#define LEAF_BYTES (MAP_LEAF_COUNT * sizeof(map_entry))

#define NEAR_BYTES (MAP_NEAR_END * sizeof(map_entry))

_Static_assert(sizeof(map_entry) == sizeof(void *), "an entry is one pointer");
_Static_assert(sizeof(struct pool) <= MAP_NO_ENTRIES * sizeof(map_entry), "room for the record of no pool");

#define NO_PAGE ((uintptr_t)1 << 63)

LARGE_DATA _Atomic(uintptr_t) pagemap_root[MAP_ROOT_COUNT];
struct near_pages pagemap_near = {.first = NO_PAGE};
static map_entry no_table; /* as the near pages': there is and will be none */
static atomic_size_t map_bytes;

/* A committed table, NULL if the system refuses. */
static map_entry *table_new(size_t size)
{
    void *table = os->reserve(size, os_page_size());
    if (table && !os->commit(table, size)) {
        os->release(table, size);
        return NULL;
    }
    return table;
}

/* The near pages' table; &no_table if there is none. */
static map_entry *near_table(void)
{
    map_entry *before = atomic_load_explicit(&pagemap_near.table, memory_order_acquire);
    if (before) {
        return before;
    }
    map_entry *table = os_address_space_is_limited() ? NULL : table_new(NEAR_BYTES);
    map_entry *made = table ? table : &no_table;
    if (!atomic_compare_exchange_strong_explicit(&pagemap_near.table, &before, made, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        if (table) {
            os->release(table, NEAR_BYTES);
        }
        return before;
    }
    if (table) {
        atomic_fetch_add_explicit(&map_bytes, NEAR_BYTES, memory_order_relaxed);
    }
    return made;
}

enum { BELOW = 2 /* leaves; systems mostly map downwards, but not only */ };

/* Is a leaf's gigabyte near? The first that asks is. */
static bool is_near(size_t leaf)
{
    if (near_table() == &no_table) {
        return false;
    }
    uintptr_t first = (leaf > BELOW ? leaf - BELOW : 0) * (uintptr_t)MAP_LEAF_COUNT - MAP_NO_ENTRIES;
    uintptr_t expected = NO_PAGE;
    if (!atomic_compare_exchange_strong_explicit(&pagemap_near.first, &expected, first, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        first = expected;
    }
    return leaf * (uintptr_t)MAP_LEAF_COUNT - first - MAP_NO_ENTRIES < MAP_NEAR_COUNT;
}

static bool prepare_leaf(size_t index)
{
    if (is_near(index) || atomic_load_explicit(&pagemap_root[index], memory_order_acquire)) {
        return true;
    }
    map_entry *leaf = table_new(LEAF_BYTES);
    uintptr_t biased = (uintptr_t)leaf - index * LEAF_BYTES;
    if (!leaf || !biased) {
        if (leaf) {
            os->release(leaf, LEAF_BYTES);
        }
        return false;
    }
    uintptr_t expected = 0;
    if (atomic_compare_exchange_strong_explicit(&pagemap_root[index], &expected, biased, memory_order_acq_rel,
                                                memory_order_acquire)) {
        atomic_fetch_add_explicit(&map_bytes, LEAF_BYTES, memory_order_relaxed);
    } else {
        os->release(leaf, LEAF_BYTES);
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

/* Points entries of one prepared gigabyte to `pool`, those of the pages from one to before another. */
static void set_in_leaf(uintptr_t page, uintptr_t end, struct pool *pool)
{
    size_t leaf = page / MAP_LEAF_COUNT;
    uintptr_t record = (uintptr_t)pool;
    map_entry *first;
    if (is_near(leaf)) {
        map_entry *table = near_table();
        first = table + (page - atomic_load_explicit(&pagemap_near.first, memory_order_relaxed));
        record -= pool ? (uintptr_t)table : 0;
    } else {
        first = pagemap_entry(atomic_load_explicit(&pagemap_root[leaf], memory_order_relaxed), page);
    }
    for (map_entry *entry = first; entry < first + (end - page); entry++) {
        atomic_store_explicit(entry, record, memory_order_release);
    }
}

void pagemap_set(const void *address, size_t size, struct pool *pool)
{
    uintptr_t page = (uintptr_t)address >> MAP_PAGE_SHIFT;
    uintptr_t end = ((uintptr_t)address + size + (1u << MAP_PAGE_SHIFT) - 1) >> MAP_PAGE_SHIFT;
    while (page < end) {
        uintptr_t leaf_end = (page | (MAP_LEAF_COUNT - 1)) + 1;
        uintptr_t stop = end < leaf_end ? end : leaf_end;
        set_in_leaf(page, stop, pool);
        page = stop;
    }
}

size_t pagemap_bytes(void)
{
    return atomic_load_explicit(&map_bytes, memory_order_relaxed);
}
