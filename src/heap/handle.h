/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle.h: a heap's handles, for the rest of the heap and for what observes it. The public side is cairn_handle.h, the
 * table handle_table.h, the memory handle_cells.h.
 *
 * Invariant: the entry of a live handle holds the address of its block's contents, and the block's head holds the
 * handle. (handles_check)
 *
 * Lock: the heap's, for everything but reading an entry. Functions here say whether they take it. */

#ifndef CAIRN_HEAP_HANDLE_H
#define CAIRN_HEAP_HANDLE_H

#include "cairn_handle.h"
#include "heap/handle_cells.h"
#include "heap/handle_table.h"
#include "heap/types.h"

enum compact_phase { COMPACT_IDLE, COMPACT_CELLS, COMPACT_TABLE };

struct handle_space {
    struct handle_table table;
    struct cell_space cells;
    size_t live;       /* blocks */
    size_t live_bytes; /* usable */
    size_t pinned;     /* blocks with pins */
    bool changed;      /* since the last round of compaction began: the next may find work */
    uint8_t phase;     /* enum compact_phase */
    uint64_t moved_blocks, moved_bytes;
};

/* Bytes held by the heap's handle segments: part of its held_bytes. The heap's lock is held. */
size_t handles_held(const cairn_heap *heap);

/* Releases what is kept without live blocks. Returns its bytes. The heap's lock is held. */
size_t handles_trim(cairn_heap *heap);

/* Gives all segments and the table back, whatever they hold; blocks still pinned are reported as misuse first. Only
 * for a heap that is being destroyed; no lock is held. */
void handles_release(cairn_heap *heap);

/* The first fault found in the heap's handles, or NULL. The heap's lock is held, or nobody uses the heap. */
const char *handles_check(const cairn_heap *heap);

/* What handles_walk shows: a segment, then the blocks and holes in it, by address. */
enum handle_area_kind { HANDLE_AREA_SEGMENT, HANDLE_AREA_BLOCK, HANDLE_AREA_HOLE };

struct handle_area {
    enum handle_area_kind kind;
    void *address; /* of a block: its contents */
    size_t size;   /* of a block: usable bytes */
    cairn_handle handle;
    uint32_t pins;
};

/* Visits shared segments in the order of compaction, then blocks with segments of their own. False if the visitor ended
 * it. The heap's lock is held, or nobody uses the heap. */
bool handles_walk(const cairn_heap *heap, bool (*visitor)(const struct handle_area *area, void *context),
                  void *context);

#endif
