/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle_table.h: the table of a heap's handles: entries that say where the block of a handle lies.
 *
 * A handle is the address of its entry (/ 8, 44 bits) and a generation (20 bits), so that following it takes one load
 * and no look-up. An entry is one word: the address of the block's contents (/ 8) and the generation, so that a
 * reader never sees one without the other. The table is chunks of leaves, a leaf is a page of entries; entries never
 * move. A leaf without live handles can be closed: its pages go back, and its record remembers a generation that no
 * handle of it has passed, so that old handles stay recognisable (a closed leaf reads as zeros, which is no handle).
 *
 * Invariants. The generation of an entry is odd while its handle is live, even while it is free; it only rises; an
 * entry that has used up its generations is retired: on no list, its leaf never closed. Of the entries of an open
 * leaf, `live` are live, `retired` are retired, the others are on the leaf's free list. A leaf has its bit in `open`
 * if it is open and has free entries, in `closed` if it is closed. (table_check)
 *
 * Lock: the heap's; entries are read by any thread without (cairn_handle_deref), so they are written atomically. */

#ifndef CAIRN_HEAP_HANDLE_TABLE_H
#define CAIRN_HEAP_HANDLE_TABLE_H

#include "cairn_handle.h"
#include "heap/types.h"

enum {
    TABLE_FIRST_LEAVES = 16, /* leaves of the first chunk; each further chunk has twice those of the one before */
    TABLE_LEAVES_MAX = 64 * 64
};

#define GENERATION_LAST ((UINT32_C(1) << (64 - CAIRN_HANDLE_ADDRESS_BITS)) - 1)

/* The generation above; below, of a live handle's entry, the address / 8; of a free one, the number of the next free
 * entry in the leaf, as in table_leaf.free; of a retired one, all ones. */
typedef uint64_t table_entry;

struct table_leaf {
    uint32_t floor;   /* of a closed leaf: the even generation its entries will start with */
    uint16_t live;    /* entries whose handle is live */
    uint16_t retired; /* entries that are never used again */
    uint16_t free;    /* 1 + index in the leaf of the first free entry, 0: none */
    bool is_open;
};

/* A set of up to 4096 leaves: bit l / 64 of `words` says that word l / 64 of `word` is not 0. */
struct leaf_set {
    uint64_t words;
    uint64_t word[64];
};

struct table_chunk {
    struct table_chunk *next; /* younger */
    table_entry *entries;
    unsigned leaves;
    struct leaf_set open;
    struct leaf_set closed;
    struct table_leaf leaf[];
};

struct handle_table {
    struct table_chunk *first, *last;
    size_t open_leaves;
    struct table_chunk *sweep_chunk; /* where table_sweep is */
    unsigned sweep_leaf;
};

/* The entry of a new handle, its address not set yet. NULL if the system has no memory. */
table_entry *table_take(struct meta *meta, struct handle_table *table);

/* Ends the handle of an entry that table_take gave. */
void table_give(struct handle_table *table, table_entry *entry);

/* The entry of a handle if it is live in this table, else NULL. Never faults, whatever the number. */
table_entry *table_find(const struct handle_table *table, cairn_handle handle);

/* Says whether the number could be a handle that this table gave, live or not. */
bool table_owns(const struct handle_table *table, cairn_handle handle);

/* Closes leaves without live handles, one a call: table_sweep_start, then table_sweep until it returns false. Adds the
 * work done to *work, and sets *refused if the system did not take a page back. */
void table_sweep_start(struct handle_table *table);
bool table_sweep(struct handle_table *table, size_t *work, bool *refused);

/* Bytes mapped for entries. */
size_t table_mapped_bytes(const struct handle_table *table);

/* Bytes of open leaves. */
size_t table_bytes(const struct handle_table *table);

/* The first fault found, or NULL; *live is the number of live handles. */
const char *table_check(const struct handle_table *table, size_t *live);

/* Gives the entries' memory back (the records belong to the heap's metadata). */
void table_release(struct handle_table *table);

static inline cairn_handle entry_handle(const table_entry *entry)
{
    return *entry >> CAIRN_HANDLE_ADDRESS_BITS << CAIRN_HANDLE_ADDRESS_BITS | (uintptr_t)entry / sizeof *entry;
}

static inline void *entry_address(const table_entry *entry)
{
    return (void *)CAIRN_HANDLE_ADDRESS(*entry);
}

static inline void entry_set_address(table_entry *entry, const void *address)
{
    table_entry generation = *entry >> CAIRN_HANDLE_ADDRESS_BITS << CAIRN_HANDLE_ADDRESS_BITS;
    __atomic_store_n(entry, generation | (uintptr_t)address / sizeof *entry, __ATOMIC_RELAXED);
}

#endif
