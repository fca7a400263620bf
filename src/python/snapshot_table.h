/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_table.h: a byte for every 16 bytes of heap, found by address, and the memory it comes from. Serves the
 * analysis of a snapshot (snapshot_analysis.c), in a process that does nothing else: no locks.
 *
 * All memory of an analysis is one reservation, the *store*, on huge pages if the system has them. Leaves are cut from
 * its start, everything else from its end; when the two meet, there is no more. A *leaf* holds the bytes of 1 MiB of
 * heap, a *branch* the numbers of the leaves of 4 GiB, the *root* the numbers of the branches. Both numbers count from
 * the start of the store, where 64 KiB stay zero: that is the leaf without objects and the branch without leaves, so
 * that a look-up has nothing to test. */

#ifndef CAIRN_PYTHON_SNAPSHOT_TABLE_H
#define CAIRN_PYTHON_SNAPSHOT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TABLE_GRANULE_SHIFT = 4,                                  /* log2 of bytes of heap for a byte */
    TABLE_LEAF_SHIFT = 16,                                    /* log2 of bytes of a leaf */
    TABLE_LEAF_SPAN = TABLE_GRANULE_SHIFT + TABLE_LEAF_SHIFT, /* log2 of bytes of heap for a leaf */
    TABLE_BRANCH_SHIFT = 12,                                  /* log2 of leaves of a branch */
    TABLE_BRANCH_SPAN = TABLE_LEAF_SPAN + TABLE_BRANCH_SHIFT,
    TABLE_ROOT_SHIFT = 16, /* log2 of branches */
    TABLE_ADDRESS_BITS = TABLE_BRANCH_SPAN + TABLE_ROOT_SHIFT,
};

struct snapshot_table {
    unsigned char *store;
    size_t leaves_end; /* offsets in the store: what lies between is free */
    size_t others_start;
    size_t size;
    uint32_t
        *root; /* a branch starts at store + (number << (TABLE_BRANCH_SHIFT + 2)), a leaf at store + (number << 16) */
};

/* Makes an empty table whose store has `limit` bytes, rounded down to whole huge pages. False if the system refuses. */
bool snapshot_table_make(struct snapshot_table *table, size_t limit);

/* Gives the store back, all that was taken from it included. */
void snapshot_table_end(struct snapshot_table *table);

/* `size` zero bytes, aligned to 64, from the store; NULL if it is used up. */
void *snapshot_table_take(struct snapshot_table *table, size_t size);

/* Bytes that snapshot_table_take() could still give. */
size_t snapshot_table_free_bytes(const struct snapshot_table *table);

/* Bytes of the store in use. */
size_t snapshot_table_bytes(const struct snapshot_table *table);

/* The byte of an address, to be written: makes its leaf. NULL if the store is used up or the address beyond 48 bits. */
unsigned char *snapshot_table_make_byte(struct snapshot_table *table, uintptr_t address);

/* The byte of an address. One that is 0 must not be written. Any address, 0 for those beyond 48 bits. */
static inline unsigned char *snapshot_table_byte(const struct snapshot_table *table, uintptr_t address)
{
    if (__builtin_expect((address >> TABLE_ADDRESS_BITS) != 0, 0)) {
        return table->store;
    }
    const uint32_t *branch = (const uint32_t *)(table->store + ((size_t)table->root[address >> TABLE_BRANCH_SPAN]
                                                                << (TABLE_BRANCH_SHIFT + 2)));
    uint32_t leaf = branch[(address >> TABLE_LEAF_SPAN) & ((1u << TABLE_BRANCH_SHIFT) - 1)];
    return table->store + ((size_t)leaf << TABLE_LEAF_SHIFT) +
           ((address >> TABLE_GRANULE_SHIFT) & ((1u << TABLE_LEAF_SHIFT) - 1));
}

/* Calls leaf(context, first address, its bytes) for every leaf, by rising address. */
void snapshot_table_sweep(const struct snapshot_table *table,
                          void (*leaf)(void *context, uintptr_t address, const unsigned char *bytes), void *context);

#endif
