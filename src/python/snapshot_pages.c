/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_pages.c: keeps the clone short.
 *
 * A clone costs the program its page tables: some 50 to 90 ns for a page, which for a heap of a gigabyte is more than a
 * stop may take, and next to nothing if the pages are huge. In snapshot mode the arenas of Python's objects begin on huge
 * pages; but of a page that is written while a clone runs a small piece is copied, and the huge page falls apart. So
 * when the clone has ended, a joiner (os_huge.h) puts the pieces together again, beside the program.
 *
 * The pieces are noted when it starts: two arenas side by side, or an arena that is as large. Meanwhile they may be
 * given back to the system, and something else may lie there: memory in full use either way, or it is not joined. */

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "heap/huge_pages.h"
#include "heap/owner.h"
#include "os/os.h"
#include "os/os_helper.h"
#include "os/os_huge.h"
#include "os/place.h"
#include "python/domains.h"
#include "python/snapshot_private.h"

enum { PIECES_MOST = 1 << 15 }; /* 64 GiB */

static struct {
    char **pieces; /* NULL before the first round */
    size_t count;
    char *spare;             /* the joiner's */
    _Atomic(int32_t) joiner; /* 0: none that was not reaped. A hint without the GIL, under which it is started */
    pid_t pid;               /* of the process that started it */
    bool impossible;
} joining;

/* Is there an arena of the heap at that address, some of it in use? */
static bool is_arena(const cairn_heap *heap, const char *address)
{
    const struct pool *pool = pagemap_get(address);
    bool of_arena = pool != NULL && (pool_is_class(pool) || pool_kind_of(pool) == POOL_SLOT);
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

static void note_all(void)
{
    cairn_heap *heap = python_heap();
    joining.count = 0;
    os_lock_take(&heap->lock);
    for (const struct arena *arena = heap->arenas; arena != NULL; arena = arena->all_next) {
        note(heap, arena);
    }
    os_lock_give(&heap->lock);
}

/* With one processor the joiner would take the program's time, and more of it than it saves. */
static bool worth_while(void)
{
    return !joining.impossible && python_heap()->huge_pages != CAIRN_HUGE_NEVER && os_processors() > 1;
}

/* Memory of its own, or NULL. */
static void *own(size_t size, size_t alignment)
{
    char *base = os->reserve(size, alignment);
    if (base != NULL && !os->commit(base, size)) {
        (void)os->release(base, size);
        return NULL;
    }
    return base;
}

/* True if there is memory to work with: at the first round it is reserved. */
static bool prepare(void)
{
    if (joining.pieces == NULL) {
        joining.pieces = own(PIECES_MOST * sizeof *joining.pieces, os_page_size());
    }
    if (joining.spare == NULL) {
        joining.spare = own(HUGE_PAGE, HUGE_PAGE);
        if (joining.spare != NULL) {
            os->advise_huge(joining.spare, HUGE_PAGE, true);
        }
    }
    return joining.pieces != NULL && joining.spare != NULL;
}

void pages_join(void)
{
    if (!worth_while() || pages_joining() || !prepare()) {
        return;
    }
    int32_t joiner;
    note_all();
    joining.pid = getpid();
    int error = os_huge_join(joining.pieces, joining.count, HUGE_PAGE, joining.spare, &joiner);
    joining.impossible = error == ENOTSUP;
    joining.joiner = error == 0 ? joiner : 0;
}

/* That one has ended. The next may have been started by another thread. */
static void note_end(int32_t joiner)
{
    (void)atomic_compare_exchange_strong(&joining.joiner, &joiner, 0);
}

/* The joiner that runs, 0 if there is none. Nothing is written in a child of vfork. */
static int32_t running(void)
{
    int32_t joiner = joining.joiner;
    if (joiner == 0 || joining.pid != getpid()) {
        return 0;
    }
    if (os_helper_poll(joiner) != OS_HELPER_RUNS) {
        note_end(joiner);
        return 0;
    }
    return joiner;
}

bool pages_joining(void)
{
    return running() != 0;
}

OF_REQUESTS bool pages_unreaped(void)
{
    return joining.joiner != 0;
}

bool pages_ended(void)
{
    int32_t joiner = joining.joiner;
    return joiner != 0 && os_helper_has_ended(joiner);
}

void pages_stop(void)
{
    int32_t joiner = running();
    if (joiner != 0) {
        os_helper_kill(joiner);
    }
}

void pages_leave(void)
{
    int32_t joiner = running();
    if (joiner != 0) {
        os_helper_kill(joiner);
        (void)os_helper_wait(joiner);
        note_end(joiner);
    }
}

void pages_forget(void)
{
    joining.joiner = 0;
}
