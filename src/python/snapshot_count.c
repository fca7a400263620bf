/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_count.c: see snapshot_count.h. */

#include "python/snapshot_count.h"

enum { FIRST_SLOTS = 1024 };

/* Where the object's count is, or the free slot where it belongs. */
static struct snapshot_large *slot_of(const struct snapshot_counts *counts, uintptr_t object)
{
    size_t at = (size_t)(((uint64_t)object * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (counts->slots - 1);
    while (counts->large[at].object != object && counts->large[at].object != 0) {
        at = (at + 1) & (counts->slots - 1);
    }
    return &counts->large[at];
}

/* Twice the slots. The old ones stay behind in the store: together they are smaller than the new ones. */
static bool grow(struct snapshot_counts *counts, struct snapshot_table *table)
{
    struct snapshot_counts bigger = *counts;
    bigger.slots = counts->slots > 0 ? 2 * counts->slots : FIRST_SLOTS;
    bigger.large = snapshot_table_take(table, bigger.slots * sizeof *bigger.large);
    if (bigger.large == NULL) {
        return false;
    }
    for (size_t i = 0; i < counts->slots; i++) {
        if (counts->large[i].object != 0) {
            *slot_of(&bigger, counts->large[i].object) = counts->large[i];
        }
    }
    *counts = bigger;
    return true;
}

bool snapshot_count_set(struct snapshot_counts *counts, struct snapshot_table *table, unsigned char *byte,
                        uintptr_t object, ptrdiff_t references)
{
    if (references <= COUNT_DIRECT) {
        *byte = (unsigned char)(references > 0 ? references + COUNT_ZERO : COUNT_PINNED);
        return true;
    }
    if (2 * (counts->used + 1) > counts->slots && !grow(counts, table)) {
        return false;
    }
    *slot_of(counts, object) = (struct snapshot_large){.object = object, .count = (uint64_t)references};
    counts->used++;
    *byte = COUNT_LARGE;
    return true;
}

void snapshot_count_take_slowly(struct snapshot_counts *counts, unsigned char *byte, uintptr_t object)
{
    if (*byte == COUNT_ZERO) {
        *byte = COUNT_PINNED;
        counts->suspicious++;
    } else if (*byte == COUNT_LARGE && --slot_of(counts, object)->count == 0) {
        *byte = COUNT_ZERO;
    }
}
