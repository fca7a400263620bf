/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* meta.h: memory for a heap's own records (arena records, owners, records of huge blocks), apart from the blocks.
 * Chunks come from the OS layer and go back when the heap is destroyed, or from the heap's region, if it has one; freed
 * records are kept for reuse by size.
 * Lock: the heap's. */

#ifndef CAIRN_HEAP_META_H
#define CAIRN_HEAP_META_H

#include "heap/types.h"

/* Zeroed memory for a record, aligned to 128 bytes; NULL if the system has none. */
void *meta_alloc(struct meta *meta, size_t size);

/* Keeps a record of `size` bytes, as passed to meta_alloc, for reuse. */
void meta_free(struct meta *meta, void *record, size_t size);

/* Gives all chunks back; every record, also one that holds `meta` itself, is gone afterwards. */
void meta_release(struct meta *meta);

#endif
