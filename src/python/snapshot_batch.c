/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_batch.c: one batch of candidates, freed by CPython.
 *
 * A candidate is believed if its block is in Python's heap, was not given up since the clone, and holds a tracked
 * object. It need not be the same object any more, nor garbage: the batch is moved into the youngest generation, whose
 * list CPython has just emptied, and gc.collect(0) finds out. What is reachable after all goes on to the middle
 * generation as every survivor does.
 *
 * Code of the program runs in there. It may close the window, whose entries are gone then, so each step looks. */

#include "heap/owner.h"
#include "os/os.h"
#include "python/cpython.h"
#include "python/domains.h"
#include "python/freed_log.h"
#include "python/snapshot_private.h"

enum {
    FIRST_OBJECTS = 200, /* in a batch, before the time that an object takes is known */
    LEAST_OBJECTS = 32,
    UNTRACKED_AT_ONCE = 1000,
    AHEAD = 8, /* entries whose headers are fetched early */
};

/* What an object of a batch takes, by and by; 0: not known. After a clone it is more for a while: the pages are met anew. */
static struct object_time {
    double ns, slowest_ns; /* the latter of the batches since the last clone */
} object_time;

/* ---- CPython's collections, in silence ---- */

/* What a collection must leave as it was. */
struct kept {
    struct gc_generation_stats statistics;
    int counts[GC_GENERATIONS];
    void *callbacks;
};

static void keep(struct kept *kept)
{
    struct python_gc *gc = &collector.gc;
    kept->statistics = gc->statistics[0];
    for (int i = 0; i < GC_GENERATIONS; i++) {
        kept->counts[i] = gc->generations[i].count;
    }
    kept->callbacks = *gc->callbacks;
    *gc->callbacks = collector.no_callbacks;
    *gc->collecting = 0;
}

static void restore(const struct kept *kept)
{
    struct python_gc *gc = &collector.gc;
    *gc->collecting = 1;
    *gc->callbacks = kept->callbacks;
    gc->generations[0].count += kept->counts[0];
    for (int i = 1; i < GC_GENERATIONS; i++) {
        gc->generations[i].count = kept->counts[i];
    }
}

static void run(int generation)
{
    void *answer = PyObject_CallFunction(collector.collect, "i", generation);
    if (answer == NULL) {
        PyErr_WriteUnraisable(collector.collect);
    }
    Py_DecRef(answer);
}

void batch_note_freed(ptrdiff_t collected, ptrdiff_t uncollectable)
{
    struct gc_generation_stats *statistics = &collector.gc.statistics[GC_OLDEST];
    statistics->collected += collected;
    statistics->uncollectable += uncollectable;
    window.collected += collected;
    window.uncollectable += uncollectable;
    collector.figures.collected += (uint64_t)collected;
    collector.figures.uncollectable += (uint64_t)uncollectable;
}

/* Has CPython collect the youngest generation, and counts what it did as part of a full collection. Returns the objects
 * freed. */
static ptrdiff_t collect_youngest(void)
{
    struct kept kept;
    struct gc_generation_stats *statistics = collector.gc.statistics;
    keep(&kept);
    run(0);
    restore(&kept);
    ptrdiff_t collected = statistics[0].collected - kept.statistics.collected;
    ptrdiff_t uncollectable = statistics[0].uncollectable - kept.statistics.uncollectable;
    statistics[0] = kept.statistics;
    batch_note_freed(collected, uncollectable);
    return collected;
}

void batch_tidy(void)
{
    struct kept kept;
    struct gc_head aside[GC_GENERATIONS];
    struct gc_generation *generations = collector.gc.generations;
    ptrdiff_t total = *collector.gc.long_lived_total, pending = *collector.gc.long_lived_pending;
    for (int i = 0; i < GC_GENERATIONS; i++) {
        gc_ring_clear(&aside[i]);
        gc_ring_append(&aside[i], &generations[i].head);
    }
    keep(&kept);
    run(GC_OLDEST);
    restore(&kept);
    for (int i = 0; i < GC_GENERATIONS; i++) {
        gc_ring_append(&generations[i].head, &aside[i]);
    }
    *collector.gc.long_lived_total = total;
    *collector.gc.long_lived_pending = pending;
}

/* ---- candidates ---- */

static bool in_python_heap(const void *block)
{
    const struct pool *pool = pagemap_get(block);
    if (pool == NULL || pool_kind_of(pool) == POOL_SLOT) {
        return false;
    }
    const struct owner *owner = pool_owner(pool);
    return owner != NULL && owner->heap == python_heap();
}

struct gc_head *batch_head_of(uintptr_t entry)
{
    uintptr_t object = snapshot_entry_object(entry);
    uintptr_t before = (entry & SNAPSHOT_PREHEADER) != 0 ? 2 * GC_HEAD_BYTES : GC_HEAD_BYTES;
    const void *block = (const void *)(object - before);
    if (freed_log_has(block) || !in_python_heap(block)) {
        return NULL;
    }
    struct gc_head *head = gc_head_of((const void *)object);
    return gc_head_is_tracked(head) ? head : NULL;
}

size_t batch_least(void)
{
    int threshold = collector.gc.generations[0].threshold;
    size_t came = threshold > LEAST_OBJECTS ? (size_t)threshold : LEAST_OBJECTS;
    return window.floating > 1 ? came * 5 / 2 : came * 5 / 4;
}

static size_t batch_size(uint64_t budget_ns)
{
    if (budget_ns == 0) {
        return SIZE_MAX;
    }
    size_t least = batch_least();
    double fits = object_time.ns > 0 ? (double)budget_ns / object_time.ns : FIRST_OBJECTS;
    return fits < (double)least ? least : (size_t)fits;
}

/* Moves the objects of whole components into the youngest generation, `most` or those of one component, up to one that
 * is to be freed in slices. Returns how many. */
static size_t move_batch(size_t most)
{
    const struct snapshot_result *result = window.process.result;
    struct gc_head *youngest = &collector.gc.generations[0].head;
    size_t moved = 0;
    while (window.next < result->candidates) {
        uintptr_t entry = result->entry[window.next++];
        if (window.next + AHEAD < result->candidates) {
            uintptr_t ahead = snapshot_entry_object(result->entry[window.next + AHEAD]);
            __builtin_prefetch((const void *)(ahead - GC_HEAD_BYTES), 1);
        }
        struct gc_head *head = batch_head_of(entry);
        if (head != NULL) {
            gc_ring_move(youngest, head);
            moved++;
        } else {
            collector.figures.stale++;
        }
        bool last = (entry & SNAPSHOT_LAST) != 0;
        if (last && (moved >= most || (window.next < result->candidates && slices_wanted(window.next)))) {
            break;
        }
    }
    return moved;
}

/* Notes a batch that has been freed, and learns from it how large the next may be. */
static void note_batch(struct pause *pause)
{
    pause->ended_ns = os_clock_ns();
    pauses_note(pause);
    collector.figures.batches++;
    double now = (double)(pause->ended_ns - pause->begun_ns) / (double)pause->found;
    object_time.ns = now > object_time.ns ? now : (3 * object_time.ns + now) / 4;
    object_time.slowest_ns = now > object_time.slowest_ns ? now : object_time.slowest_ns;
}

void batch_begin(void)
{
    object_time = (struct object_time){.ns = object_time.slowest_ns};
    slices_new_window();
}

/* By CPython, up to the next component that is to be freed in slices. */
static void apply(uint64_t budget_ns)
{
    struct pause pause = {.cause = PAUSE_BATCH, .begun_ns = os_clock_ns()};
    pause.found = move_batch(batch_size(budget_ns));
    if (pause.found > 0) {
        pause.freed = (size_t)collect_youngest();
        note_batch(&pause);
    }
}

static bool all_applied(void)
{
    return window.next >= window.process.result->candidates && !slices_busy();
}

void batch_apply(uint64_t budget_ns)
{
    if (slices_busy() || slices_begin()) {
        slices_step(budget_ns);
    } else {
        apply(budget_ns);
    }
}

bool batch_apply_all(void)
{
    while (window.state == WINDOW_FREEING && !all_applied()) {
        batch_apply(0);
    }
    return window.state == WINDOW_FREEING;
}

/* ---- live objects that need no tracking ---- */

static void *type_of(const void *object)
{
    return ((void *const *)object)[1];
}

/* By CPython's rule (_PyObject_GC_MAY_BE_TRACKED): can this object be part of a cycle? */
static bool may_be_tracked(void *object)
{
    return PyObject_IS_GC(object) && (type_of(object) != &PyTuple_Type || PyObject_GC_IsTracked(object));
}

/* The values of a dict that shares its keys lie with an instance, which may change them without the dict's knowing. */
static bool shares_keys(const void *dict)
{
    enum { MA_VALUES = 5 }; /* word of PyDictObject in all versions served */
    return ((void *const *)dict)[MA_VALUES] != NULL;
}

static bool dict_holds_none(void *dict)
{
    ptrdiff_t position = 0;
    void *key, *value;
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (may_be_tracked(key) || may_be_tracked(value)) {
            return false;
        }
    }
    return true;
}

static bool tuple_holds_none(void *tuple, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i++) {
        void *item = PyTuple_GetItem(tuple, i);
        if (item == NULL || may_be_tracked(item)) {
            return false;
        }
    }
    return true;
}

/* Untracks a live dict or tuple if it is one, and CPython would. Returns how many items were looked at. */
static size_t untrack(void *object)
{
    bool dict = type_of(object) == &PyDict_Type;
    if (!dict && type_of(object) != &PyTuple_Type) {
        return 0;
    }
    ptrdiff_t size = dict ? PyDict_Size(object) : PyTuple_Size(object);
    if (size > UNTRACKED_AT_ONCE || (dict && shares_keys(object))) {
        return 0;
    }
    if (dict ? dict_holds_none(object) : tuple_holds_none(object, size)) {
        PyObject_GC_UnTrack(object);
        collector.figures.untracked++;
    }
    return (size_t)size;
}

bool batch_untrack(bool all)
{
    const struct snapshot_result *result = window.process.result;
    size_t work = 0;
    while (window.next_untrack < result->untracks && (all || work < UNTRACKED_AT_ONCE)) {
        struct gc_head *head = batch_head_of(result->entry[result->capacity - ++window.next_untrack]);
        work += head != NULL ? 1 + untrack(gc_head_object(head)) : 1;
    }
    return window.next_untrack >= result->untracks;
}
