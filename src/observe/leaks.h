/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* leaks.h: what a heap's user still holds, and the proof that all of it can go back. No locks; a report wants quiet, as
 * the walk does, and one at a time. Nothing here uses a heap. */

#ifndef CAIRN_OBSERVE_LEAKS_H
#define CAIRN_OBSERVE_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cairn.h"

struct leak_row {
    size_t block_size; /* of a class; 0: large, huge and handles' blocks */
    size_t blocks;
    size_t bytes; /* usable */
};

/* The live blocks of one heap, those of SITE_EARLY on their own. */
struct leaks {
    size_t blocks, bytes, asked;      /* bytes are usable; asked: the same as bytes where it is not known */
    size_t early_blocks, early_bytes; /* not in the figures above */
    bool sites_known;                 /* call_sites_at() holds the counts of this heap, and no other's */
    size_t row_count;
    struct leak_row rows[CAIRN_CLASSES_MAX + 1]; /* only those with blocks */
};

/* Counts the live blocks of a heap. [quiet] */
void leaks_count(cairn_heap *heap, struct leaks *leaks);

/* Writes the report of a heap; `sites`: with call sites, if they are known. 0 or an errno value; flushes `out`. */
int leaks_print_text(cairn_heap *heap, const struct leaks *leaks, bool sites, FILE *out);
int leaks_print_json(cairn_heap *heap, const struct leaks *leaks, bool sites, FILE *out);

/* Bytes that must go back to the system when the heap is destroyed, by its own records: arenas, segments, mappings,
 * tables, metadata, and the supply that it is the last to share. Memory that the caller gave is not in it. */
size_t leaks_mapped(cairn_heap *heap);

/* Bytes mapped by the OS layer and not released, of the whole process. */
size_t leaks_system_bytes(void);

#endif
