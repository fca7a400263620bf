/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle_cells.c: see handle_cells.h. A request takes a hole from the lowest bin that surely fits, after a look at the
 * first few of its own; a new segment is one hole. */

#include "heap/handle_cells.h"

#include <string.h>

#include "heap/arena.h"
#include "heap/debug.h"
#include "heap/meta.h"

_Static_assert(offsetof(struct cell, prev) == UNIT, "the user's bytes follow the head, aligned");

enum { LINEAR_BINS = 16, BIN_LOOKS = 8 };

/* ---- bins ---- */

/* One bin for each number of units below 16, then eight to a doubling. */
static unsigned bin_of(uint32_t units)
{
    if (units < LINEAR_BINS) {
        return units;
    }
    unsigned log = 31 - (unsigned)__builtin_clz(units);
    return LINEAR_BINS + (log - 4) * 8 + (units >> (log - 3) & 7);
}

static void bin_add(struct cell_space *space, struct cell *hole)
{
    unsigned bin = bin_of(hole->units);
    hole->prev[0] = NULL;
    hole->next = space->bin[bin];
    if (hole->next) {
        hole->next->prev[0] = hole;
    }
    space->bin[bin] = hole;
    space->filled[bin / 64] |= UINT64_C(1) << bin % 64;
    space->hole_bytes += cell_bytes(hole);
}

static void bin_remove(struct cell_space *space, struct cell *hole)
{
    unsigned bin = bin_of(hole->units);
    *(hole->prev[0] ? &hole->prev[0]->next : &space->bin[bin]) = hole->next;
    if (hole->next) {
        hole->next->prev[0] = hole->prev[0];
    }
    if (!space->bin[bin]) {
        space->filled[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    }
    space->hole_bytes -= cell_bytes(hole);
}

/* The lowest bin from `bin` on that is not empty, or CELL_BINS. */
static unsigned bin_from(const struct cell_space *space, unsigned bin)
{
    for (unsigned word = bin / 64; word < 2; word++) {
        uint64_t set = space->filled[word] & (word == bin / 64 ? ~UINT64_C(0) << bin % 64 : ~UINT64_C(0));
        if (set) {
            return word * 64 + (unsigned)__builtin_ctzll(set);
        }
    }
    return CELL_BINS;
}

static struct cell *hole_for(const struct cell_space *space, uint32_t units)
{
    unsigned bin = bin_of(units);
    struct cell *hole = space->bin[bin];
    for (int i = 0; hole && i < BIN_LOOKS; i++, hole = hole->next) {
        if (hole->units >= units) {
            return hole;
        }
    }
    bin = bin_from(space, bin + 1);
    return bin < CELL_BINS ? space->bin[bin] : NULL;
}

uint32_t cells_largest(const struct cell_space *space)
{
    uint32_t largest = 0;
    if (space->filled[0] | space->filled[1]) {
        unsigned word = space->filled[1] != 0;
        unsigned bin = word * 64 + 63 - (unsigned)__builtin_clzll(space->filled[word]);
        for (const struct cell *hole = space->bin[bin]; hole; hole = hole->next) {
            largest = hole->units > largest ? hole->units : largest;
        }
    }
    return largest;
}

/* ---- holes and blocks ---- */

struct handle_segment *segment_of(const struct cell *cell)
{
    return *(struct handle_segment **)((uintptr_t)cell & ~(uintptr_t)(SEGMENT_BYTES - 1));
}

/* The end of the shared segment that a cell lies in. */
static const struct cell *end_of(const struct cell *cell)
{
    return (const struct cell *)(((uintptr_t)cell | (SEGMENT_BYTES - 1)) + 1);
}

static uint64_t *last_word(const struct cell *cell)
{
    return (uint64_t *)((uintptr_t)cell + cell_bytes(cell)) - 1;
}

/* Makes a hole, with all that its neighbours must know. */
static void hole_make(struct cell_space *space, struct cell *cell, uint32_t units, uint32_t purged)
{
    cell->units = units;
    cell->state = CELL_HOLE | purged;
    struct cell *after = cell_after(cell);
    if (after != end_of(cell)) {
        after->state |= CELL_AFTER_HOLE;
        *last_word(cell) = units;
    }
    bin_add(space, cell);
}

/* Takes a hole out of its bin; what it is to become is the caller's next step. */
static void hole_drop(struct cell_space *space, struct cell *hole)
{
    bin_remove(space, hole);
    struct cell *after = cell_after(hole);
    if (after != end_of(hole)) {
        after->state &= ~(uint32_t)CELL_AFTER_HOLE;
    }
}

/* A cell becomes part of the one that starts at `into`. */
static void cursors_follow(struct cell_space *space, const struct cell *absorbed, struct cell *into)
{
    for (int i = 0; i < CURSORS; i++) {
        if (space->cursor[i].cell == absorbed) {
            space->cursor[i].cell = into;
        }
    }
}

/* Takes the hole that starts at `after` in, if there is one: returns its units, or 0. */
static uint32_t absorb_after(struct cell_space *space, struct cell *after, struct cell *into)
{
    if (after == end_of(into) || !cell_is_hole(after)) {
        return 0;
    }
    hole_drop(space, after);
    cursors_follow(space, after, into);
    return after->units;
}

/* Makes a hole of a block's cell and the holes on both sides. */
static void hole_from_block(struct cell_space *space, struct cell *cell)
{
    uint32_t units = cell->units;
    struct cell *start = cell;
    if (cell->state & CELL_AFTER_HOLE) {
        start = (struct cell *)((uintptr_t)cell - (uintptr_t)((uint64_t *)cell)[-1] * UNIT);
        hole_drop(space, start);
        cursors_follow(space, cell, start);
        units += start->units;
    }
    units += absorb_after(space, (struct cell *)((uintptr_t)cell + cell_bytes(cell)), start);
    hole_make(space, start, units, 0);
}

/* Takes `units`, or one more if the rest would be too small for a hole, from the front of what was a hole of `have`. */
static void split(struct cell_space *space, struct cell *cell, uint32_t units, uint32_t have, uint32_t purged)
{
    cell->units = have - units < CELL_UNITS_MIN ? have : units;
    if (cell->units < have) {
        hole_make(space, cell_after(cell), have - cell->units, purged);
    }
}

static struct cell *block_from_hole(struct cell_space *space, struct cell *hole, uint32_t units)
{
    uint32_t purged = hole->state & CELL_PURGED;
    hole_drop(space, hole);
    split(space, hole, units, hole->units, purged);
    hole->state = 0;
    return hole;
}

/* ---- segments ---- */

static void list_add(struct handle_segment_list *list, struct handle_segment *segment)
{
    segment->next = NULL;
    segment->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = segment;
    list->last = segment;
}

static void list_remove(struct handle_segment_list *list, struct handle_segment *segment)
{
    *(segment->prev ? &segment->prev->next : &list->first) = segment->next;
    *(segment->next ? &segment->next->prev : &list->last) = segment->prev;
}

void cursor_place(struct cursor *cursor, struct handle_segment *segment)
{
    cursor->segment = segment;
    cursor->cell = segment ? segment_first(segment) : NULL;
}

/* One of those the system did not take back. */
static struct handle_segment *segment_again(struct cell_space *space, size_t size)
{
    for (struct handle_segment *segment = space->refused.first; segment; segment = segment->next) {
        if (segment->size == size) {
            list_remove(&space->refused, segment);
            return segment;
        }
    }
    return NULL;
}

static struct handle_segment *segment_map(cairn_heap *heap, size_t size)
{
    struct handle_segment *segment = meta_alloc(&heap->meta, sizeof *segment);
    if (!segment) {
        return NULL;
    }
    segment->size = size;
    segment->base = os->reserve(size, SEGMENT_BYTES);
    if (segment->base && !os->commit(segment->base, size)) {
        os->release(segment->base, size);
        segment->base = NULL;
    }
    if (!segment->base) {
        meta_free(&heap->meta, segment, sizeof *segment);
        return NULL;
    }
    return segment;
}

static void segment_mark(struct handle_segment *segment)
{
    *(struct handle_segment **)segment->base = segment;
}

static struct handle_segment *segment_new(cairn_heap *heap, struct cell_space *space, size_t size, bool shared)
{
    if (!heap_hold(heap, size)) {
        return NULL;
    }
    struct handle_segment *segment = segment_again(space, size);
    segment = segment ? segment : segment_map(heap, size);
    if (!segment) {
        heap_unhold(heap, size);
        return NULL;
    }
    arena_cool(heap);
    segment->live = 0;
    segment->shared = shared;
    segment_mark(segment);
    list_add(shared ? &space->shared : &space->solo, segment);
    space->held_bytes += size;
    return segment;
}

/* Gives a segment's memory back, or keeps it without pages if the system does not take it. */
static bool segment_unmap(cairn_heap *heap, struct cell_space *space, struct handle_segment *segment)
{
    if (os->release(segment->base, segment->size)) {
        meta_free(&heap->meta, segment, sizeof *segment);
        return true;
    }
    os->purge(segment->base, segment->size);
    space->refused_once = true;
    list_add(&space->refused, segment);
    return false;
}

/* Ends a segment whose cells are on no list any more. */
static bool segment_end_of_life(cairn_heap *heap, struct cell_space *space, struct handle_segment *segment)
{
    for (int i = 0; i < CURSORS; i++) {
        if (space->cursor[i].segment == segment) {
            cursor_place(&space->cursor[i], segment->next);
        }
    }
    list_remove(segment->shared ? &space->shared : &space->solo, segment);
    space->held_bytes -= segment->size;
    heap_unhold(heap, segment->size);
    return segment_unmap(heap, space, segment);
}

static bool segment_release_empty(cairn_heap *heap, struct cell_space *space, struct handle_segment *segment)
{
    ASSERT(segment->shared && segment->live == 0);
    space->empty--;
    hole_drop(space, segment_first(segment));
    return segment_end_of_life(heap, space, segment);
}

static void segment_block_gone(cairn_heap *heap, struct cell_space *space, struct handle_segment *segment)
{
    if (--segment->live > 0) {
        return;
    }
    if (++space->empty > 1) {
        segment_release_empty(heap, space, segment);
    }
}

static void segment_block_came(struct cell_space *space, struct handle_segment *segment)
{
    if (segment->live++ == 0) {
        space->empty--;
    }
}

size_t cells_retry(cairn_heap *heap, struct cell_space *space)
{
    size_t bytes = 0;
    struct handle_segment_list refused = space->refused;
    space->refused = (struct handle_segment_list){NULL, NULL};
    for (struct handle_segment *segment = refused.first, *next; segment; segment = next) {
        next = segment->next;
        size_t size = segment->size;
        bytes += segment_unmap(heap, space, segment) ? size : 0;
    }
    return bytes;
}

size_t cells_trim(cairn_heap *heap, struct cell_space *space)
{
    size_t bytes = cells_retry(heap, space);
    for (struct handle_segment *segment = space->shared.first; segment && space->empty; segment = segment->next) {
        if (segment->live == 0) {
            size_t size = segment->size;
            bytes += segment_release_empty(heap, space, segment) ? size : 0;
            break; /* there is no second */
        }
    }
    return bytes;
}

static void list_release(const struct handle_segment_list *list)
{
    for (const struct handle_segment *segment = list->first; segment; segment = segment->next) {
        os->release(segment->base, segment->size);
    }
}

void cells_release(struct cell_space *space)
{
    list_release(&space->shared);
    list_release(&space->solo);
    list_release(&space->refused);
}

/* ---- blocks ---- */

uint32_t cell_units_for(size_t size)
{
    size = size < UNIT ? UNIT : size;
    size_t units = size <= PTRDIFF_MAX ? (size + sizeof(struct cell) + UNIT - 1) / UNIT : SIZE_MAX;
    return units <= UINT32_MAX - 2 * os_page_size() / UNIT ? (uint32_t)units : 0;
}

static size_t solo_bytes(uint32_t units)
{
    size_t page = os_page_size();
    return (SEGMENT_HEAD + (size_t)units * UNIT + page - 1) & ~(page - 1);
}

static struct cell *solo_fill(struct handle_segment *segment)
{
    struct cell *cell = segment_first(segment);
    cell->units = (uint32_t)((segment->size - SEGMENT_HEAD) / UNIT);
    return cell;
}

static struct cell *solo_take(cairn_heap *heap, struct cell_space *space, uint32_t units)
{
    struct handle_segment *segment = segment_new(heap, space, solo_bytes(units), false);
    if (!segment) {
        return NULL;
    }
    segment->live = 1;
    struct cell *cell = solo_fill(segment);
    cell->state = 0;
    return cell;
}

struct cell *cell_take(cairn_heap *heap, struct cell_space *space, uint32_t units)
{
    if (units > SHARED_UNITS_MAX) {
        return solo_take(heap, space, units);
    }
    struct cell *hole = hole_for(space, units);
    if (!hole) {
        struct handle_segment *segment = segment_new(heap, space, SEGMENT_BYTES, true);
        if (!segment) {
            return NULL;
        }
        space->empty++;
        hole = segment_first(segment);
        hole_make(space, hole, SEGMENT_UNITS, CELL_PURGED);
    }
    segment_block_came(space, segment_of(hole));
    return block_from_hole(space, hole, units);
}

void cell_give(cairn_heap *heap, struct cell_space *space, struct cell *cell)
{
    struct handle_segment *segment = segment_of(cell);
    if (!segment->shared) {
        segment_end_of_life(heap, space, segment);
        return;
    }
    hole_from_block(space, cell);
    segment_block_gone(heap, space, segment);
}

/* Counts a solo segment's change of size; false if the limit forbids it. */
static bool solo_hold(cairn_heap *heap, struct cell_space *space, size_t from, size_t to)
{
    if (to > from && !heap_hold(heap, to - from)) {
        return false;
    }
    heap_unhold(heap, from > to ? from - to : 0);
    space->held_bytes += to - from;
    return true;
}

static bool solo_resize(cairn_heap *heap, struct cell_space *space, struct handle_segment *segment, uint32_t units)
{
    size_t old_size = segment->size;
    size_t size = solo_bytes(units);
    if (size == old_size) {
        return true;
    }
    if (!solo_hold(heap, space, old_size, size)) {
        return false;
    }
    if (!os->remap(segment->base, old_size, size, NULL)) {
        (void)solo_hold(heap, space, size, old_size);
        return false;
    }
    segment->size = size;
    solo_fill(segment);
    arena_cool(heap);
    return true;
}

struct cell *cell_remap(cairn_heap *heap, struct cell_space *space, struct cell *cell, uint32_t units)
{
    struct handle_segment *segment = segment_of(cell);
    size_t old_size = segment->size;
    size_t size = solo_bytes(units);
    if (segment->shared || units <= SHARED_UNITS_MAX || !solo_hold(heap, space, old_size, size)) {
        return NULL;
    }
    char *target = os->reserve(size, SEGMENT_BYTES);
    char *moved = target ? os->remap(segment->base, old_size, size, target) : NULL;
    if (!moved) {
        if (target) {
            os->release(target, size);
        }
        (void)solo_hold(heap, space, size, old_size);
        return NULL;
    }
    segment->base = moved;
    segment->size = size;
    arena_cool(heap);
    return solo_fill(segment);
}

static void shared_shrink(struct cell_space *space, struct cell *cell, uint32_t units)
{
    uint32_t spare = cell->units - units;
    if (spare < CELL_UNITS_MIN) {
        return;
    }
    cell->units = units;
    struct cell *rest = cell_after(cell);
    rest->units = spare;
    rest->state = 0;
    hole_from_block(space, rest);
}

static bool shared_grow(struct cell_space *space, struct cell *cell, uint32_t units)
{
    struct cell *after = cell_after(cell);
    if (after == end_of(cell) || !cell_is_hole(after) || after->units < units - cell->units) {
        return false;
    }
    uint32_t purged = after->state & CELL_PURGED;
    uint32_t have = cell->units + absorb_after(space, after, cell);
    split(space, cell, units, have, purged);
    return true;
}

bool cell_resize(cairn_heap *heap, struct cell_space *space, struct cell *cell, uint32_t units)
{
    struct handle_segment *segment = segment_of(cell);
    if (segment->shared != (units <= SHARED_UNITS_MAX)) {
        return false;
    }
    if (!segment->shared) {
        return solo_resize(heap, space, segment, units);
    }
    if (units > cell->units) {
        return shared_grow(space, cell, units);
    }
    shared_shrink(space, cell, units);
    return true;
}

/* ---- moving ---- */

struct cell *cell_slide(struct cell_space *space, struct cell *block)
{
    struct cell *to = (struct cell *)((uintptr_t)block - (uintptr_t)((uint64_t *)block)[-1] * UNIT);
    hole_drop(space, to);
    uint32_t gap = to->units;
    memmove(to, block, cell_bytes(block));
    struct cell *hole = cell_after(to);
    gap += absorb_after(space, (struct cell *)((uintptr_t)hole + (size_t)gap * UNIT), hole);
    hole_make(space, hole, gap, 0);
    return to;
}

struct cell *cell_relocate(cairn_heap *heap, struct cell_space *space, struct cell *block, struct cell *hole)
{
    segment_block_came(space, segment_of(hole));
    struct cell *moved = block_from_hole(space, hole, block->units);
    moved->handle = block->handle;
    memcpy(cell_content(moved), cell_content(block), cell_usable(block));
    cell_give(heap, space, block);
    return moved;
}

size_t cell_purge(struct cell_space *space, struct cell *hole)
{
    const struct cell *after = cell_after(hole);
    uintptr_t page = os_page_size();
    uintptr_t start = ((uintptr_t)hole + CELL_UNITS_MIN * UNIT + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)after - (after == end_of(hole) ? 0 : sizeof(uint64_t))) & ~(page - 1);
    if (hole->state & CELL_PURGED || end <= start) {
        return 0;
    }
    if (!os->purge((void *)start, end - start)) {
        space->refused_once = true;
        return 0;
    }
    hole->state |= CELL_PURGED;
    return end - start;
}

/* ---- check ---- */

static bool in_bin(const struct cell_space *space, const struct cell *hole)
{
    const struct cell *at = space->bin[bin_of(hole->units)];
    return hole->prev[0] ? hole->prev[0]->next == hole : at == hole;
}

struct found {
    size_t held, holes, hole_bytes, empty;
    size_t places;          /* cells and ends of segments passed */
    size_t cursor[CURSORS]; /* the number of its place, SIZE_MAX: nowhere */
};

static void find_cursors(const struct cell_space *space, const struct handle_segment *segment, const struct cell *cell,
                         struct found *found)
{
    for (int i = 0; i < CURSORS; i++) {
        if (space->cursor[i].segment == segment && space->cursor[i].cell == cell) {
            found->cursor[i] = found->places;
        }
    }
    found->places++;
}

static bool cursors_good(const struct cell_space *space, const struct found *found)
{
    for (int i = 0; i < CURSORS; i++) {
        if ((found->cursor[i] == SIZE_MAX) != !space->cursor[i].segment) {
            return false;
        }
    }
    return found->cursor[CURSOR_TO] <= found->cursor[CURSOR_FROM];
}

static const char *shared_check(const struct cell_space *space, const struct handle_segment *segment,
                                struct found *found)
{
    size_t live = 0;
    bool hole_before = false;
    const struct cell *cell = segment_first(segment);
    for (; cell < segment_end(segment); cell = cell_after(cell)) {
        bool hole = cell_is_hole(cell);
        const struct cell *after = cell_after(cell);
        if (cell->units < CELL_UNITS_MIN || after > segment_end(segment)) {
            return "a cell of a handle segment has a wrong size";
        }
        if (hole && hole_before) {
            return "two holes between handle blocks are neighbours";
        }
        if (((cell->state & CELL_AFTER_HOLE) != 0) != hole_before) {
            return "a cell of a handle segment is wrong about the hole before it";
        }
        if (hole && after != segment_end(segment) && *last_word(cell) != cell->units) {
            return "a hole between handle blocks does not end with its size";
        }
        if (hole && !in_bin(space, cell)) {
            return "a hole between handle blocks is in no bin";
        }
        live += !hole;
        found->holes += hole;
        found->hole_bytes += hole ? cell_bytes(cell) : 0;
        find_cursors(space, segment, cell, found);
        hole_before = hole;
    }
    find_cursors(space, segment, cell, found);
    found->empty += live == 0;
    return live == segment->live ? NULL : "the live blocks of a handle segment do not add up";
}

static const char *bins_check(const struct cell_space *space, size_t holes)
{
    size_t binned = 0;
    for (unsigned bin = 0; bin < CELL_BINS; bin++) {
        if ((space->bin[bin] != NULL) != (space->filled[bin / 64] >> bin % 64 & 1)) {
            return "a bin of holes and the set of filled bins disagree";
        }
        for (const struct cell *hole = space->bin[bin]; hole; hole = hole->next) {
            if (!cell_is_hole(hole) || bin_of(hole->units) != bin || ++binned > holes) {
                return "a bin of holes is damaged";
            }
        }
    }
    return binned == holes ? NULL : "the holes between handle blocks do not add up";
}

const char *cells_check(const struct cell_space *space)
{
    struct found found = {.cursor = {SIZE_MAX, SIZE_MAX}};
    for (const struct handle_segment *segment = space->shared.first; segment; segment = segment->next) {
        const char *fault = segment->size == SEGMENT_BYTES ? shared_check(space, segment, &found)
                                                           : "a shared handle segment has a wrong size";
        if (fault) {
            return fault;
        }
        found.held += segment->size;
    }
    for (const struct handle_segment *segment = space->solo.first; segment; segment = segment->next) {
        const struct cell *cell = segment_first(segment);
        if (cell_after(cell) != segment_end(segment) || cell->state % CELL_PIN) {
            return "a handle block does not fill its segment";
        }
        found.held += segment->size;
    }
    if (!cursors_good(space, &found)) {
        return "a cursor of the compaction stands at no cell, or ahead of the other";
    }
    if (found.held != space->held_bytes || found.hole_bytes != space->hole_bytes || found.empty != space->empty ||
        found.empty > 1) {
        return "the segments of handle blocks do not add up";
    }
    return bins_check(space, found.holes);
}
