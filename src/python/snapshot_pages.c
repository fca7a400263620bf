/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_pages.c: keeps the clone short.
 *
 * A clone costs the program its page tables: some 50 ns for a page, which for a heap of a gigabyte is more than a stop
 * may take, and next to nothing if the pages are huge. In snapshot mode the arenas of Python's objects begin on huge
 * pages; but a page that is written while a clone runs is copied as a small one, and its huge page falls apart. So
 * between windows, some at each tick, the pieces are joined again.
 *
 * A round looks at the pieces in turn and leaves the last few: joining costs more time in all than it saves, and is done
 * for the longest stop alone. The pieces are noted when a round begins: two arenas side by side, or an arena that
 * is as large. */

#include "heap/huge_pages.h"
#include "heap/owner.h"
#include "os/os.h"
#include "os/os_huge.h"
#include "python/domains.h"
#include "python/snapshot_private.h"

enum {
    PIECES_MOST = 1 << 15, /* 64 GiB */
    PIECES_LEFT = 50,      /* their pages cost the clone no more than 2 ms */
    JOIN_NS = 300000,      /* at a tick; some pieces, or one that takes longer */
};

static struct {
    char **pieces; /* of this round; NULL before the first */
    size_t count;
    size_t next;
    bool impossible; /* the system does not join pages */
} joining;

/* Is there an arena of the heap at that address, some of it in use? */
static bool is_arena(const cairn_heap *heap, const char *address)
{
    const struct pool *pool = pagemap_get(address);
    bool of_arena = pool != NULL && (pool_kind_of(pool) == POOL_CLASS || pool_kind_of(pool) == POOL_SLOT);
    return of_arena && pool_arena(pool)->heap == heap;
}

static void note(const cairn_heap *heap, const struct arena *arena)
{
    size_t size = arena->space->arena_size;
    bool first = (uintptr_t)arena->base % HUGE_PAGE == 0;
    bool whole = size >= HUGE_PAGE || (2 * size == HUGE_PAGE && is_arena(heap, arena->base + size));
    if (first && whole && joining.count < PIECES_MOST) {
        joining.pieces[joining.count++] = arena->base;
    }
}

void pages_round(void)
{
    cairn_heap *heap = python_heap();
    if (joining.pieces == NULL) {
        joining.pieces = os->reserve(PIECES_MOST * sizeof *joining.pieces, os_page_size());
    }
    joining.count = joining.next = 0;
    if (joining.pieces == NULL || joining.impossible) {
        return;
    }
    os_lock_take(&heap->lock);
    for (const struct arena *arena = heap->arenas; arena != NULL; arena = arena->all_next) {
        note(heap, arena);
    }
    os_lock_give(&heap->lock);
}

/* Joins a piece that is still what it was. */
static void join(char *piece)
{
    const cairn_heap *heap = python_heap();
    if (is_arena(heap, piece) && is_arena(heap, piece + HUGE_PAGE / 2)) {
        joining.impossible = !os_huge_join(piece, HUGE_PAGE);
    }
}

bool pages_apart(void)
{
    return joining.next + PIECES_LEFT < joining.count && !joining.impossible;
}

void pages_tick(void)
{
    if (!pages_apart()) {
        return;
    }
    struct pause pause = {.cause = PAUSE_BATCH, .begun_ns = pauses_clock()};
    do {
        join(joining.pieces[joining.next++]);
        pause.ended_ns = pauses_clock();
    } while (pages_apart() && pause.ended_ns - pause.begun_ns < JOIN_NS);
    pauses_note(&pause);
}
