/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle_compact.c: the compactor of handle blocks: incremental, in address order within a segment, oldest segment
 * first.
 *
 * A round. Two cursors go over the cells of the shared segments, FROM ahead, TO behind. FROM stops at each unpinned
 * block; TO goes on to the next hole that can take it. If that hole lies directly before the block, the block slides
 * down and the hole comes to lie behind it, so that the holes of a stretch gather into one that travels along; else
 * the block is copied into the hole. Pinned blocks are passed by both, and so are holes before them that are too
 * small for what comes. Where TO has been, nothing more will move in this round: it gives the whole pages inside the
 * holes it leaves behind back. Segments whose last block moves out go back at once, all but one. When both cursors
 * are through, the leaves of the table without live handles are closed.
 *
 * Each piece of work moves a cursor on, or moves a block to before FROM, so a round ends. Between pieces the segments
 * are in the same order as at any other time, so any call may come between; cursors follow the cells they stand at
 * (handle_cells.c). TO is never ahead of FROM in the order of cells: FROM only moves on, or back to the start of a
 * hole its cell became part of, and then TO is not ahead of that either, as no cell starts within.
 *
 * Lock: the heap's, taken for a whole call. */

#include "heap/handle.h"

enum { PASS_WORK = 64, RETURN_DIVISOR = 4 };

static bool same_place(const struct cursor *a, const struct cursor *b)
{
    return a->segment == b->segment && a->cell == b->cell;
}

static bool at_end(const struct cursor *cursor)
{
    return cursor->cell == segment_end(cursor->segment);
}

/* To the next cell; from the last one to the segment's end, and from there to the next segment. */
static void pass(struct cursor *cursor)
{
    if (at_end(cursor)) {
        cursor_place(cursor, cursor->segment->next);
    } else {
        cursor->cell = cell_after(cursor->cell);
    }
}

static void leave_behind(struct cell_space *cells, size_t *work)
{
    struct cursor *to = &cells->cursor[CURSOR_TO];
    if (!at_end(to) && cell_is_hole(to->cell)) {
        *work += cell_purge(cells, to->cell) / RETURN_DIVISOR;
    }
    pass(to);
}

static void moved(struct handle_space *space, struct cell *block, size_t *work)
{
    entry_set_address(table_find(&space->table, block->handle), cell_content(block));
    space->moved_blocks++;
    space->moved_bytes += cell_bytes(block);
    *work += cell_bytes(block);
}

/* FROM stands at a block that may move, TO at another place. */
static void place_block(cairn_heap *heap, struct handle_space *space, size_t *work)
{
    struct cell_space *cells = &space->cells;
    struct cursor *from = &cells->cursor[CURSOR_FROM];
    struct cursor *to = &cells->cursor[CURSOR_TO];
    if (at_end(to) || !cell_is_hole(to->cell)) {
        leave_behind(cells, work);
        return;
    }
    struct cell *block = from->cell;
    if (cell_after(to->cell) == block) {
        block = cell_slide(cells, block);
        to->cell = from->cell = cell_after(block);
        moved(space, block, work);
    } else if (to->cell->units >= block->units) {
        size_t held = cells->held_bytes;
        size_t usable = cell_usable(block);
        block = cell_relocate(heap, cells, block, to->cell);
        space->live_bytes += cell_usable(block) - usable; /* a rest too small for a hole is the block's */
        to->cell = cell_after(block);
        moved(space, block, work);
        *work += (held - cells->held_bytes) / RETURN_DIVISOR;
    } else {
        leave_behind(cells, work);
    }
}

/* One piece of work in the cells. False if there is none left. */
static bool cells_piece(cairn_heap *heap, struct handle_space *space, size_t *work)
{
    struct cursor *from = &space->cells.cursor[CURSOR_FROM];
    struct cursor *to = &space->cells.cursor[CURSOR_TO];
    *work += PASS_WORK;
    if (!from->segment) {
        if (!to->segment) {
            return false;
        }
        leave_behind(&space->cells, work);
    } else if (at_end(from) || cell_is_hole(from->cell) || cell_pins(from->cell)) {
        pass(from);
    } else if (same_place(from, to)) {
        pass(from);
        pass(to);
    } else {
        place_block(heap, space, work);
    }
    return true;
}

static bool start_round(cairn_heap *heap, struct handle_space *space)
{
    if (!space->changed) {
        return false;
    }
    space->changed = false;
    space->cells.refused_once = false;
    cells_retry(heap, &space->cells);
    for (int i = 0; i < CURSORS; i++) {
        cursor_place(&space->cells.cursor[i], space->cells.shared.first);
    }
    space->phase = COMPACT_CELLS;
    return true;
}

/* One piece of work of the round. False if the round is over. */
static bool piece(cairn_heap *heap, struct handle_space *space, size_t *work)
{
    if (space->phase == COMPACT_CELLS) {
        if (!cells_piece(heap, space, work)) {
            table_sweep_start(&space->table);
            space->phase = COMPACT_TABLE;
        }
        return true;
    }
    if (table_sweep(&space->table, work, &space->cells.refused_once)) {
        return true;
    }
    space->phase = COMPACT_IDLE;
    space->changed |= space->cells.refused_once; /* the next round asks again */
    return false;
}

bool cairn_heap_compact(cairn_heap *heap, size_t budget)
{
    bool more = false;
    os_lock_take(&heap->lock);
    struct handle_space *space = heap->handles;
    if (space && (space->phase != COMPACT_IDLE || start_round(heap, space))) {
        size_t work = 0;
        do {
            more = piece(heap, space, &work);
        } while (more && work < budget);
    }
    os_lock_give(&heap->lock);
    return more;
}
