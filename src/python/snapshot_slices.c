/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_slices.c: a large component freed some of it at a time.
 *
 * CPython decides on a component as a whole, because its finalizers may bring any of it back, and clears what it found
 * in one go. In a *plain* component (snapshot_analysis.h) nothing can bring an object back, so nothing is to be decided:
 * it was unreachable in the snapshot, its only ways back would have been finalizers and weak references, which it has
 * not, and gc.get_objects() and gc.get_referrers(), which were not called since. Then its end may be divided into steps
 * of an object each:
 *
 *   take    each gets a reference of ours and leaves the generations: nobody comes to it from now on. Its block was not
 *           given up since the clone, and it has as many references as then.
 *   clear   tp_clear of each. A tuple has none, for it never changes; its items are dropped here, or a chain of tuples
 *           would go in one step. No object goes with that, for each has our reference: the step is as long as the
 *           object's own references.
 *   drop    our reference to each. It goes, or does when the last that refers to it is dropped.
 *
 * If an object is not as it was, or somebody has looked for objects, before the last is taken, all are given back, and
 * CPython decides as ever. What is cleared cannot be given back. So a fork, in which the window is lost, a full
 * collection, and the end of the mode find the rings as they are: the next step, or slices_settle(), goes on with them.
 *
 * tp_clear may run code of the program (what a cleared dict held was the last reference to something else), and that may
 * do all that calls slices_settle(). So an object that is being cleared is held once more. */

#include "os/os.h"
#include "python/cpython.h"
#include "python/python_object.h"
#include "python/snapshot_private.h"

enum {
    STEPS_AT_ONCE = 64, /* between two looks at the clock */
    STEPS_EACH = 3,     /* of an object */
};

enum phase { IDLE, TAKING, CLEARING, DROPPING };

static struct {
    enum phase phase;
    struct gc_head taken, cleared, dropped;
    size_t first, next, end; /* entries of the component; next: to be taken */
    size_t left;             /* steps */
    size_t refused_end;      /* what lies before that entry of this window is CPython's */
} slices;

/* ---- one component ---- */

static bool may_go_on(void)
{
    return window.state == WINDOW_FREEING && *collector.gc.debug == 0 && collector_looked_for() == window.looked_for;
}

/* Entries of the component that starts there, counted up to `most`. */
static size_t entries_of(size_t first, size_t most)
{
    const struct snapshot_result *result = window.process.result;
    size_t end = first;
    while (end - first < most && end < result->candidates && (result->entry[end++] & SNAPSHOT_LAST) == 0) {
    }
    return end - first;
}

bool slices_wanted(size_t entry)
{
    size_t least = cairn_options()->gc.slices;
    return least > 0 && entry >= slices.refused_end && may_go_on() &&
           (window.process.result->entry[entry] & SNAPSHOT_PLAIN) != 0 && entries_of(entry, least) == least;
}

bool slices_begin(void)
{
    if (!slices_wanted(window.next)) {
        return false;
    }
    size_t objects = entries_of(window.next, SIZE_MAX);
    slices.phase = TAKING;
    slices.first = slices.next = window.next;
    slices.end = window.next += objects;
    slices.left = objects * STEPS_EACH;
    gc_ring_clear(&slices.taken);
    gc_ring_clear(&slices.cleared);
    gc_ring_clear(&slices.dropped);
    return true;
}

bool slices_busy(void)
{
    return slices.phase != IDLE;
}

size_t slices_left(void)
{
    return slices.left / STEPS_EACH;
}

void slices_new_window(void)
{
    slices.refused_end = 0;
}

void slices_forget(void)
{
    slices.phase = IDLE;
    slices.left = 0;
}

/* ---- steps ---- */

static void *first_of(struct gc_head *ring, struct gc_head *into)
{
    struct gc_head *head = gc_head_next(ring);
    gc_ring_move(into, head);
    return gc_head_object(head);
}

/* All that was taken goes back to where it is looked at next, and CPython is to decide. Our reference may be the last by
 * now: somebody who walks the generations from C may have cut the others. */
static void give_back(void)
{
    while (!gc_ring_is_empty(&slices.taken)) {
        Py_DecRef(first_of(&slices.taken, &collector.gc.generations[GC_OLDEST].head));
    }
    if (window.state == WINDOW_FREEING) {
        slices.refused_end = slices.end;
        window.next = slices.first;
    }
    slices_forget();
}

static bool take(void)
{
    uintptr_t entry = window.process.result->entry[slices.next++];
    struct gc_head *head = batch_head_of(entry);
    if (head == NULL || (head->prev & GC_HEAD_FINALIZED) != 0) {
        return false;
    }
    void *object = gc_head_object(head);
    const struct python_type *type = python_type_of(object);
    if (type->finalize != NULL || type->del != NULL) { /* it has got one since */
        return false;
    }
    if (snapshot_count_of(((const struct python_object *)object)->count) != snapshot_entry_count(entry)) {
        return false;
    }
    Py_IncRef(object);
    gc_ring_move(&slices.taken, head);
    return true;
}

/* A finalizer that its class gets from now on is not for this object. (Objects of other types have none, and some are
 * kept for reuse with their header as it is.) */
static void mark_finalized(void *object)
{
    if ((python_type_of(object)->flags & PYTHON_HEAP_TYPE) != 0) {
        gc_head_of(object)->prev |= GC_HEAD_FINALIZED;
    }
}

/* Nobody has the tuple but us, and what refers to it in the component. */
static void clear_items(struct python_tuple *tuple)
{
    for (ptrdiff_t i = 0; i < tuple->size; i++) {
        void *item = tuple->items[i];
        tuple->items[i] = NULL;
        Py_DecRef(item);
    }
}

static void clear(void)
{
    void *object = first_of(&slices.taken, &slices.cleared);
    const struct python_type *type = python_type_of(object);
    mark_finalized(object);
    Py_IncRef(object);
    if (type->clear != NULL) {
        (void)type->clear(object);
    }
    if ((type->flags & PYTHON_TUPLE_SUBCLASS) != 0) {
        clear_items(object);
    }
    if (PyErr_Occurred() != NULL) {
        PyErr_WriteUnraisable((void *)(uintptr_t)type);
    }
    Py_DecRef(object);
}

/* Whoever is still there goes on as what survives a collection does. */
static void end(struct pause *pause)
{
    size_t freed = slices.end - slices.first;
    for (const struct gc_head *head = gc_head_next(&slices.dropped); head != &slices.dropped;
         head = gc_head_next(head)) {
        freed--;
    }
    gc_ring_append(&collector.gc.generations[GC_OLDEST].head, &slices.dropped);
    batch_note_freed((ptrdiff_t)freed, 0);
    pause->freed = freed;
    collector.figures.sliced++;
    slices_forget();
}

/* True if there is more to do. */
static bool step(struct pause *pause)
{
    if (slices.phase == TAKING) {
        if (!may_go_on() || !take()) {
            give_back();
            return false;
        }
        pause->found++;
        slices.phase = slices.next == slices.end ? CLEARING : TAKING;
    } else if (!gc_ring_is_empty(&slices.taken)) {
        clear();
    } else if (!gc_ring_is_empty(&slices.cleared)) {
        slices.phase = DROPPING;
        Py_DecRef(first_of(&slices.cleared, &slices.dropped));
    } else {
        end(pause);
        return false;
    }
    slices.left -= slices.left > 0;
    return true;
}

void slices_step(uint64_t budget_ns)
{
    struct pause pause = {.cause = PAUSE_BATCH, .begun_ns = os_clock_ns()};
    size_t least = batch_least() * STEPS_EACH;
    for (size_t steps = 1; slices_busy() && step(&pause); steps++) {
        bool looks = budget_ns != 0 && steps >= least && steps % STEPS_AT_ONCE == 0;
        if (looks && os_clock_ns() - pause.begun_ns >= budget_ns) {
            break;
        }
    }
    pause.ended_ns = os_clock_ns();
    pauses_note(&pause);
    collector.figures.batches++;
}

void slices_looked_for(void)
{
    if (slices.phase == TAKING) {
        give_back();
    }
}

void slices_settle(void)
{
    if (slices.phase == TAKING) {
        give_back();
    } else if (slices.phase != IDLE) {
        slices_step(0);
    }
}
