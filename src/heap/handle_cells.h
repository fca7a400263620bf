/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle_cells.h: the memory of a heap's handle blocks: segments, and in them cells.
 *
 *   segment: | pointer to its record | cell | cell | ... | cell |       every byte behind the head belongs to a cell
 *   block:   | handle    | units, state | the user's bytes ...         |
 *   hole:    | next hole | units, state | hole before | ...  | units   |
 *
 * A cell is a block or a hole. It is a whole number of units of 16 bytes, at least two, its head included. A shared
 * segment has SEGMENT_BYTES; a block above SHARED_UNITS_MAX has a segment of its own, with one cell, which never
 * becomes a hole. Segments lie at multiples of SEGMENT_BYTES, so that a cell leads to its segment.
 *
 * Invariants. No two holes are neighbours. A cell is marked AFTER_HOLE exactly if a hole lies before it in its
 * segment; a hole that is not last in its segment ends with its number of units (so both neighbours of a freed block
 * are found at once). Every hole is in the list of its bin; a bin's bit is set exactly if its list is not empty. A
 * hole marked PURGED holds no pages but those of its first 32 bytes and its last 8. At most one shared segment has no
 * live block, but for those the system did not take back, which are kept apart (`refused`) without pages and are not
 * held. The cursors stand at the start of a cell, or at a segment's end, or nowhere; TO is never ahead of FROM.
 * (cells_check)
 *
 * Lock: the heap's. */

#ifndef CAIRN_HEAP_HANDLE_CELLS_H
#define CAIRN_HEAP_HANDLE_CELLS_H

#include "cairn_handle.h"
#include "heap/types.h"

enum {
    UNIT = 16,
    CELL_UNITS_MIN = 2,
    SEGMENT_BYTES = 512 * 1024,
    SEGMENT_HEAD = UNIT,
    SEGMENT_UNITS = (SEGMENT_BYTES - SEGMENT_HEAD) / UNIT,
    SHARED_UNITS_MAX = 65536 / UNIT + 1, /* of a block in a shared segment */
    CELL_BINS = 104                      /* for holes of 2 to SEGMENT_UNITS units */
};

/* `state` of a cell: three marks, above them the number of pins. */
enum { CELL_HOLE = 1, CELL_AFTER_HOLE = 2, CELL_PURGED = 4, CELL_PIN = 8 };

struct cell {
    union {
        cairn_handle handle; /* of a block */
        struct cell *next;   /* of a hole: in its bin */
    };
    uint32_t units;
    uint32_t state;
    struct cell *prev[]; /* of a hole: prev[0] is the one before it in its bin. Of a block: the user's bytes */
};

struct handle_segment {
    char *base;
    size_t size;
    size_t live; /* blocks */
    bool shared;
    struct handle_segment *next, *prev; /* younger, older */
};

struct handle_segment_list {
    struct handle_segment *first, *last;
};

/* A place in the order of cells; see handle.c. segment NULL: past the last. */
struct cursor {
    struct handle_segment *segment;
    struct cell *cell;
};

enum { CURSOR_FROM, CURSOR_TO, CURSORS };

struct cell_space {
    struct handle_segment_list shared;  /* oldest first */
    struct handle_segment_list solo;    /* of one block each */
    struct handle_segment_list refused; /* the system did not take them back */
    struct cursor cursor[CURSORS];
    uint64_t filled[2]; /* bit b: bin b is not empty */
    struct cell *bin[CELL_BINS];
    size_t held_bytes; /* of shared and solo segments */
    size_t hole_bytes;
    size_t empty;      /* shared segments without live blocks */
    bool refused_once; /* the system did not take something back, since this was last cleared */
};

static inline struct cell *segment_first(const struct handle_segment *segment)
{
    return (struct cell *)(segment->base + SEGMENT_HEAD);
}

static inline struct cell *segment_end(const struct handle_segment *segment)
{
    return (struct cell *)(segment->base + segment->size);
}

static inline size_t cell_bytes(const struct cell *cell)
{
    return (size_t)cell->units * UNIT;
}

static inline struct cell *cell_after(const struct cell *cell)
{
    return (struct cell *)((uintptr_t)cell + cell_bytes(cell));
}

static inline bool cell_is_hole(const struct cell *cell)
{
    return cell->state & CELL_HOLE;
}

static inline uint32_t cell_pins(const struct cell *cell)
{
    return cell->state / CELL_PIN;
}

static inline void *cell_content(struct cell *cell)
{
    return cell->prev;
}

static inline struct cell *cell_of(void *content)
{
    return (struct cell *)((uintptr_t)content - sizeof(struct cell));
}

static inline size_t cell_usable(const struct cell *cell)
{
    return cell_bytes(cell) - sizeof *cell;
}

struct handle_segment *segment_of(const struct cell *cell);

/* The units of a cell for `size` usable bytes, at most UINT32_MAX; 0 if that is not enough. */
uint32_t cell_units_for(size_t size);

/* A block of at least `units`, without pins, its handle not set; NULL if the limit or the system forbids. */
struct cell *cell_take(cairn_heap *heap, struct cell_space *space, uint32_t units);

/* Frees a block. */
void cell_give(cairn_heap *heap, struct cell_space *space, struct cell *cell);

/* Resizes where the block lies: a shared one into the hole behind it, a solo one by remapping in place. False if that
 * cannot be done, or if the block belongs into the other kind of segment. */
bool cell_resize(cairn_heap *heap, struct cell_space *space, struct cell *cell, uint32_t units);

/* Moves the pages of a solo block to where it has `units`. Returns the block's new place, or NULL. */
struct cell *cell_remap(cairn_heap *heap, struct cell_space *space, struct cell *cell, uint32_t units);

/* Moves a block down into the hole directly before it; the hole comes to lie behind. Returns the block's new place. */
struct cell *cell_slide(struct cell_space *space, struct cell *block);

/* Moves a block into a hole with room for it (cell_fits). Returns the block's new place. */
struct cell *cell_relocate(cairn_heap *heap, struct cell_space *space, struct cell *block, struct cell *hole);

/* Gives the whole pages inside a hole back. Returns their bytes, 0 if there are none or they are gone already. */
size_t cell_purge(struct cell_space *space, struct cell *hole);

/* Asks again to take back what the system refused to. Returns the bytes. */
size_t cells_retry(cairn_heap *heap, struct cell_space *space);

/* The same, and releases the segment that is kept empty. */
size_t cells_trim(cairn_heap *heap, struct cell_space *space);

/* Gives every segment back, whatever it holds. */
void cells_release(struct cell_space *space);

/* Places a cursor at the first cell of a segment (NULL: nowhere). */
void cursor_place(struct cursor *cursor, struct handle_segment *segment);

/* Units of the largest hole. */
uint32_t cells_largest(const struct cell_space *space);

/* The first fault found, or NULL. */
const char *cells_check(const struct cell_space *space);

#endif
