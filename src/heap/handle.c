/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle.c: see handle.h and cairn_handle.h: the public operations, figures, check and end. Compaction is in
 * handle_compact.c.
 *
 * Locks: each public function takes the heap's lock for all it does, so a pin is either seen by the compactor or comes
 * after its move; misuse is reported after the lock is given back. */

#include "heap/handle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/misuse.h"
#include "heap/owner.h"
#include "heap/thread.h"

enum { PINS_MAX = (1 << 29) - 1 };

/* ---- looking a handle up ---- */

/* The block of a live handle, with the heap's lock taken; NULL after a report, the lock given back. */
static struct cell *lock_block(cairn_heap *heap, cairn_handle handle, const char *call)
{
    os_lock_take(&heap->lock);
    const struct handle_table *table = heap->handles ? &heap->handles->table : NULL;
    const table_entry *entry = table ? table_find(table, handle) : NULL;
    if (entry) {
        return cell_of(entry_address(entry));
    }
    bool known = table && table_owns(table, handle);
    os_lock_give(&heap->lock);
    misuse_report_handle(CAIRN_MISUSE_HANDLE, call, handle, heap,
                         known ? "was freed before" : "is no handle of this heap");
    return NULL;
}

void *cairn_handle_misused(cairn_handle handle)
{
    misuse_report_handle(CAIRN_MISUSE_HANDLE, "handle_deref", handle, NULL, "was freed before, or never given");
    return NULL;
}

/* ---- blocks ---- */

static struct handle_space *space_of(cairn_heap *heap)
{
    if (!heap->handles && !heap->meta.region) { /* blocks that move need the system */
        heap->handles = meta_alloc(&heap->meta, sizeof *heap->handles);
    }
    return heap->handles;
}

static void count_block(struct handle_space *space, const struct cell *cell, int by)
{
    space->live += (size_t)by;
    space->live_bytes += (size_t)by * cell_usable(cell);
}

static table_entry *try_alloc(cairn_heap *heap, uint32_t units)
{
    struct handle_space *space = space_of(heap);
    table_entry *entry = space ? table_take(&heap->meta, &space->table) : NULL;
    if (!entry) {
        return NULL;
    }
    struct cell *cell = cell_take(heap, &space->cells, units);
    if (!cell) {
        table_give(&space->table, entry);
        return NULL;
    }
    cell->handle = entry_handle(entry);
    entry_set_address(entry, cell_content(cell));
    count_block(space, cell, 1);
    return entry;
}

cairn_handle cairn_handle_alloc(cairn_heap *heap, size_t size)
{
    uint32_t units = cell_units_for(size);
    cairn_handle handle = CAIRN_HANDLE_NONE;
    if (units) {
        os_lock_take(&heap->lock);
        const table_entry *entry = try_alloc(heap, units);
        if (!entry) {
            large_make_room(heap);
            entry = try_alloc(heap, units);
        }
        handle = entry ? entry_handle(entry) : CAIRN_HANDLE_NONE;
        os_lock_give(&heap->lock);
    }
    if (handle == CAIRN_HANDLE_NONE) {
        atomic_fetch_add_explicit(&heap->requests_failed, 1, memory_order_relaxed);
        errno = ENOMEM;
    }
    return handle;
}

void cairn_handle_free(cairn_heap *heap, cairn_handle handle)
{
    int saved = errno;
    struct cell *cell = handle ? lock_block(heap, handle, "handle_free") : NULL;
    if (cell) {
        struct handle_space *space = heap->handles;
        bool pinned = cell_pins(cell) > 0;
        if (!pinned) {
            count_block(space, cell, -1);
            table_give(&space->table, table_find(&space->table, handle));
            cell_give(heap, &space->cells, cell);
            space->changed = true;
        }
        os_lock_give(&heap->lock);
        if (pinned) {
            misuse_report_handle(CAIRN_MISUSE_PIN, "handle_free", handle, heap, "is pinned: unpin it first");
        }
    }
    errno = saved;
}

/* ---- resizing ---- */

/* Moves an unpinned block to a cell of the right size. */
static struct cell *resize_by_move(cairn_heap *heap, struct handle_space *space, struct cell *cell, uint32_t units)
{
    struct cell *moved = cell_remap(heap, &space->cells, cell, units);
    if (moved) {
        return moved;
    }
    moved = cell_take(heap, &space->cells, units);
    if (!moved) {
        return NULL;
    }
    size_t have = cell_usable(cell);
    size_t room = cell_usable(moved);
    memcpy(cell_content(moved), cell_content(cell), have < room ? have : room);
    moved->handle = cell->handle;
    cell_give(heap, &space->cells, cell);
    return moved;
}

static int resize(cairn_heap *heap, cairn_handle handle, struct cell *cell, uint32_t units)
{
    struct handle_space *space = heap->handles;
    size_t before = cell_usable(cell);
    bool shrinks = units <= cell->units;
    if (!cell_resize(heap, &space->cells, cell, units)) {
        if (cell_pins(cell)) {
            return shrinks ? 0 : EBUSY;
        }
        cell = resize_by_move(heap, space, cell, units);
        if (!cell) {
            return shrinks ? 0 : ENOMEM;
        }
        entry_set_address(table_find(&space->table, handle), cell_content(cell));
    }
    space->live_bytes += cell_usable(cell) - before;
    space->changed = true;
    return 0;
}

int cairn_handle_resize(cairn_heap *heap, cairn_handle handle, size_t size)
{
    struct cell *cell = handle ? lock_block(heap, handle, "handle_resize") : NULL;
    if (!cell) {
        return EINVAL;
    }
    uint32_t units = cell_units_for(size);
    int error = units ? resize(heap, handle, cell, units) : ENOMEM;
    if (error == ENOMEM && units) {
        large_make_room(heap);
        /* The lock was given back: a compactor may have moved the block meanwhile. */
        const table_entry *entry = table_find(&heap->handles->table, handle);
        error = entry ? resize(heap, handle, cell_of(entry_address(entry)), units) : EINVAL;
    }
    os_lock_give(&heap->lock);
    if (error == ENOMEM) {
        atomic_fetch_add_explicit(&heap->requests_failed, 1, memory_order_relaxed);
    }
    return error;
}

size_t cairn_handle_size(cairn_heap *heap, cairn_handle handle)
{
    const struct cell *cell = handle ? lock_block(heap, handle, "handle_size") : NULL;
    if (!cell) {
        return 0;
    }
    size_t size = cell_usable(cell);
    os_lock_give(&heap->lock);
    return size;
}

/* ---- pins ---- */

void *cairn_handle_pin(cairn_heap *heap, cairn_handle handle)
{
    struct cell *cell = handle ? lock_block(heap, handle, "handle_pin") : NULL;
    if (!cell) {
        errno = EINVAL;
        return NULL;
    }
    uint32_t pins = cell_pins(cell);
    void *address = NULL;
    if (pins < PINS_MAX) {
        cell->state += CELL_PIN;
        heap->handles->pinned += pins == 0;
        address = cell_content(cell);
    }
    os_lock_give(&heap->lock);
    if (!address) {
        errno = EAGAIN;
    }
    return address;
}

void cairn_handle_unpin(cairn_heap *heap, cairn_handle handle)
{
    struct cell *cell = handle ? lock_block(heap, handle, "handle_unpin") : NULL;
    if (!cell) {
        return;
    }
    uint32_t pins = cell_pins(cell);
    if (pins) {
        cell->state -= CELL_PIN;
        heap->handles->pinned -= pins == 1;
        heap->handles->changed |= pins == 1;
    }
    os_lock_give(&heap->lock);
    if (!pins) {
        misuse_report_handle(CAIRN_MISUSE_PIN, "handle_unpin", handle, heap, "has no pin that could be undone");
    }
}

/* ---- figures ---- */

static size_t resident_of(const struct handle_segment_list *list)
{
    size_t bytes = 0;
    for (const struct handle_segment *segment = list->first; segment; segment = segment->next) {
        bytes += os->resident(segment->base, segment->size);
    }
    return bytes;
}

static size_t count_of(const struct handle_segment_list *list)
{
    size_t count = 0;
    for (const struct handle_segment *segment = list->first; segment; segment = segment->next) {
        count++;
    }
    return count;
}

void cairn_heap_handle_stats(cairn_heap *heap, cairn_handle_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    os_lock_take(&heap->lock);
    const struct handle_space *space = heap->handles;
    if (space) {
        uint32_t largest = cells_largest(&space->cells);
        stats->live_handles = space->live;
        stats->live_bytes = space->live_bytes;
        stats->pinned_handles = space->pinned;
        stats->held_bytes = space->cells.held_bytes;
        stats->hole_bytes = space->cells.hole_bytes;
        stats->largest_hole = largest ? largest * (size_t)UNIT - sizeof(struct cell) : 0;
        stats->resident_bytes = resident_of(&space->cells.shared) + resident_of(&space->cells.solo);
        stats->table_bytes = table_bytes(&space->table);
        stats->segments = count_of(&space->cells.shared) + count_of(&space->cells.solo);
        stats->moved_blocks = space->moved_blocks;
        stats->moved_bytes = space->moved_bytes;
        stats->compacting = space->phase != COMPACT_IDLE;
    }
    os_lock_give(&heap->lock);
}

size_t handles_held(const cairn_heap *heap)
{
    return heap->handles ? heap->handles->cells.held_bytes : 0;
}

size_t handles_trim(cairn_heap *heap)
{
    return heap->handles ? cells_trim(heap, &heap->handles->cells) : 0;
}

/* ---- walk ---- */

struct walk {
    bool (*visitor)(const struct handle_area *area, void *context);
    void *context;
};

static bool walk_cell(struct cell *cell, const struct walk *walk)
{
    struct handle_area area = {.kind = HANDLE_AREA_HOLE, .address = cell, .size = cell_bytes(cell)};
    if (!cell_is_hole(cell)) {
        area = (struct handle_area){HANDLE_AREA_BLOCK, cell_content(cell), cell_usable(cell), cell->handle,
                                    cell_pins(cell)};
    }
    return walk->visitor(&area, walk->context);
}

static bool walk_list(const struct handle_segment_list *list, const struct walk *walk)
{
    for (const struct handle_segment *segment = list->first; segment; segment = segment->next) {
        struct handle_area area = {.kind = HANDLE_AREA_SEGMENT, .address = segment->base, .size = segment->size};
        if (!walk->visitor(&area, walk->context)) {
            return false;
        }
        for (struct cell *cell = segment_first(segment); cell < segment_end(segment); cell = cell_after(cell)) {
            if (!walk_cell(cell, walk)) {
                return false;
            }
        }
    }
    return true;
}

bool handles_walk(const cairn_heap *heap, bool (*visitor)(const struct handle_area *area, void *context), void *context)
{
    const struct walk walk = {visitor, context};
    return !heap->handles ||
           (walk_list(&heap->handles->cells.shared, &walk) && walk_list(&heap->handles->cells.solo, &walk));
}

/* ---- check ---- */

struct check {
    const struct handle_space *space;
    size_t live, live_bytes, pinned;
    bool bad;
};

static bool check_area(const struct handle_area *area, void *context)
{
    struct check *check = context;
    if (area->kind == HANDLE_AREA_BLOCK) {
        const table_entry *entry = table_find(&check->space->table, area->handle);
        check->bad |= !entry || entry_address(entry) != area->address;
        check->live++;
        check->live_bytes += area->size;
        check->pinned += area->pins > 0;
    }
    return !check->bad;
}

const char *handles_check(const cairn_heap *heap)
{
    const struct handle_space *space = heap->handles;
    if (!space) {
        return NULL;
    }
    size_t handles = 0;
    const char *fault = table_check(&space->table, &handles);
    fault = fault ? fault : cells_check(&space->cells);
    if (fault) {
        return fault;
    }
    struct check check = {.space = space};
    (void)handles_walk(heap, check_area, &check);
    if (check.bad) {
        return "a handle and its block do not lead to each other";
    }
    return check.live == space->live && check.live == handles && check.live_bytes == space->live_bytes &&
                   check.pinned == space->pinned
               ? NULL
               : "the counts of handles, their bytes and pins do not add up";
}

/* ---- the end ---- */

static bool find_pinned(const struct handle_area *area, void *context)
{
    if (area->kind == HANDLE_AREA_BLOCK && area->pins) {
        *(struct handle_area *)context = *area;
        return false;
    }
    return true;
}

void handles_release(cairn_heap *heap)
{
    struct handle_space *space = heap->handles;
    if (!space) {
        return;
    }
    if (space->pinned) {
        struct handle_area first = {0};
        (void)handles_walk(heap, find_pinned, &first);
        char sentence[120];
        (void)snprintf(sentence, sizeof sentence, "(%zu bytes) and %zu more are still pinned: unpin them first",
                       first.size, space->pinned - 1);
        misuse_report_handle(CAIRN_MISUSE_PIN, "heap_destroy", first.handle, heap, sentence);
    }
    cells_release(&space->cells);
    table_release(&space->table);
    heap->handles = NULL;
}
