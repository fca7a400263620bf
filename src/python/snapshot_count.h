/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_count.h: how many references to an object are not yet accounted for, in the object's byte of the table
 * (snapshot_table.h). Counts that a byte cannot hold are in a hash table; there are few: each stands for more than
 * COUNT_DIRECT references. */

#ifndef CAIRN_PYTHON_SNAPSHOT_COUNT_H
#define CAIRN_PYTHON_SNAPSHOT_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/snapshot_table.h"

/* The values of a byte. From COUNT_ZERO to COUNT_PINNED - 1 it is the count plus COUNT_ZERO. */
enum {
    COUNT_ABSENT = 0,    /* no object of the rings */
    COUNT_ZERO = 1,      /* all references come from objects of the rings */
    COUNT_PINNED = 253,  /* reachable whatever is taken away */
    COUNT_LARGE = 254,   /* in the hash table */
    COUNT_REACHED = 255, /* known to be reachable, and so is what it refers to */
    COUNT_DIRECT = COUNT_PINNED - 1 - COUNT_ZERO,
};

struct snapshot_large {
    uintptr_t object; /* 0: free */
    uint64_t count;
};

/* All zero: empty. */
struct snapshot_counts {
    struct snapshot_large *large; /* open addressing */
    size_t slots;                 /* 0, or a power of two */
    size_t used;                  /* at most half of them */
    uint64_t suspicious;          /* objects that had no reference left to take */
};

/* Sets the byte of an object to a count of references. False if the table's store is used up. */
bool snapshot_count_set(struct snapshot_counts *counts, struct snapshot_table *table, unsigned char *byte,
                        uintptr_t object, ptrdiff_t references);

/* The part of snapshot_count_take() for all but small counts. */
void snapshot_count_take_slowly(struct snapshot_counts *counts, unsigned char *byte, uintptr_t object);

/* Takes one reference away; does nothing to an absent object. One that has none left is pinned. */
static inline void snapshot_count_take(struct snapshot_counts *counts, unsigned char *byte, uintptr_t object)
{
    unsigned char value = *byte;
    if (value == COUNT_ABSENT) {
        return;
    }
    if (__builtin_expect(value > COUNT_ZERO && value < COUNT_PINNED, 1)) {
        *byte = (unsigned char)(value - 1);
        return;
    }
    snapshot_count_take_slowly(counts, byte, object);
}

#endif
