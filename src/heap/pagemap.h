/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pagemap.h: who owns this pointer? From any address to the record of the pool, run or huge block it belongs to,
 * never faulting.
 *
 * Two levels over a 47-bit address space: a root of 2^17 entries (1 MiB of zero pages in the program's data, touched
 * where used), each for 1 GiB; a leaf of 2^18 entries (2 MiB reserved, touched where used), each for 4 KiB. A leaf,
 * once made, stays. Around the first range that was prepared, where systems put most others, four gigabytes are *near*:
 * their entries lie in one table (8 MiB reserved, touched where used), which is looked up first; these have no leaves.
 * There is none where the address space is limited. An entry of that table says how far from the table's start the
 * record lies, and there, in front of the entries, is one that stands for no pool: an entry that is 0 needs no test.
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
#include "os/cpu.h"

enum {
    MAP_PAGE_SHIFT = 12,
    MAP_LEAF_SHIFT = 30,
    MAP_ADDRESS_BITS = 47,
    MAP_ROOT_COUNT = 1 << (MAP_ADDRESS_BITS - MAP_LEAF_SHIFT),
    MAP_LEAF_COUNT = 1 << (MAP_LEAF_SHIFT - MAP_PAGE_SHIFT),
    MAP_NEAR_LEAVES = 4,
    MAP_NO_ENTRIES = 512, /* a page in front of the near pages' entries, always 0 */
    MAP_NEAR_COUNT = MAP_NEAR_LEAVES * MAP_LEAF_COUNT,
    MAP_NEAR_END = MAP_NO_ENTRIES + MAP_NEAR_COUNT
};

typedef _Atomic(uintptr_t) map_entry; /* the record's address; of a near page, less that of the table */

/* Told of a variable where it is declared, it spares a load of its address: it is not looked for in other libraries. */
#define MAP_LOCAL __attribute__((visibility("hidden")))

/* Where the leaf would start if it began at address 0, so that the whole page number is the index; 0: no leaf. */
extern MAP_LOCAL _Atomic(uintptr_t) pagemap_root[MAP_ROOT_COUNT];

/* The near pages. Both change once, the second last, from one that no page has. */
struct near_pages {
    _Alignas(16) _Atomic(map_entry *) table; /* MAP_NO_ENTRIES, then theirs */
    _Atomic(uintptr_t) first;                /* number of the page that the table's first entry would be for */
};
extern MAP_LOCAL struct near_pages pagemap_near;

/* Which entry of the near pages' table an address has; below MAP_NO_ENTRIES, and from MAP_NEAR_END: none. */
static inline uintptr_t pagemap_near_index(const void *address)
{
    return CPU_MINUS((uintptr_t)address >> MAP_PAGE_SHIFT, pagemap_near.first);
}

/* What an entry of the near pages' table leads to; the table's start stands for no pool. */
static inline struct pool *pagemap_near_at(const map_entry *table, uintptr_t index)
{
    uintptr_t pool = cpu_plus((uintptr_t)table, &table[index]);
    if (!pool) {
        __builtin_unreachable();
    }
    return (struct pool *)pool;
}

/* The record for an address in the near pages. There may be none, or only pagemap_get() knows: then NULL, or a record like
 * that of a free slot, all zero. Hot path. */
static inline struct pool *pagemap_get_near(const void *address)
{
    uintptr_t index = pagemap_near_index(address);
    if (UNLIKELY(index >= MAP_NEAR_END)) {
        return NULL;
    }
    const map_entry *table = atomic_load_explicit(&pagemap_near.table, memory_order_relaxed);
    return pagemap_near_at(table, index);
}

static inline map_entry *pagemap_entry(uintptr_t leaf, uintptr_t page)
{
    return (map_entry *)(leaf + page * sizeof(map_entry));
}

/* The record for an address that is not in the near pages, or NULL. */
static inline struct pool *pagemap_get_far(const void *address)
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
    return (struct pool *)atomic_load_explicit(pagemap_entry(leaf, a >> MAP_PAGE_SHIFT), memory_order_acquire);
}

/* The record for an address, or NULL. */
static inline struct pool *pagemap_get(const void *address)
{
    uintptr_t index = pagemap_near_index(address);
    if (LIKELY(index < MAP_NEAR_END)) {
        const map_entry *table = atomic_load_explicit(&pagemap_near.table, memory_order_relaxed);
        struct pool *pool = pagemap_near_at(table, index);
        if (LIKELY((const void *)pool != table)) {
            return pool;
        }
    }
    return pagemap_get_far(address);
}

/* Where the entry for an address is, or some address: to be fetched ahead. */
static inline const void *pagemap_place(const void *address)
{
    uintptr_t index = pagemap_near_index(address);
    if (LIKELY(index < MAP_NEAR_END)) {
        return &atomic_load_explicit(&pagemap_near.table, memory_order_relaxed)[index];
    }
    uintptr_t a = (uintptr_t)address;
    uintptr_t leaf = atomic_load_explicit(&pagemap_root[(a >> MAP_LEAF_SHIFT) & (MAP_ROOT_COUNT - 1)],
                                          memory_order_relaxed);
    return pagemap_entry(leaf, a >> MAP_PAGE_SHIFT);
}

/* Makes the leaves for a range. False if the system has no memory or the range is beyond the map. */
bool pagemap_prepare(const void *address, size_t size);

/* Points the entries of a prepared range to `pool` (NULL clears). */
void pagemap_set(const void *address, size_t size, struct pool *pool);

/* Bytes reserved for leaves and the near pages' entries, all heaps together. */
size_t pagemap_bytes(void);

#endif
