/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_analysis.c: see snapshot_analysis.h. The passes up to the mark; what is left then is parted and put out in
 * snapshot_parts.c.
 *
 * An object's state is its byte in the table (snapshot_table.h). While references are subtracted the byte is a count;
 * afterwards any value but COUNT_ABSENT, COUNT_ZERO and COUNT_REACHED means: reachable, to be looked into.
 *
 * A heap is far larger than the caches and its objects lie scattered, so the time goes into waiting for memory. Hence
 * objects are taken by rising address where the order is free, their memory is read a batch ahead, and references are
 * collected in a list whose bytes are asked for before the first one is looked at. */

#include "python/snapshot_analysis.h"

#include <string.h>
#include <time.h>

#include "python/python_object.h"
#include "python/snapshot_parts.h"
#include "python/snapshot_rings.h"
#include "python/snapshot_scan.h"

enum {
    STACK_LEAST = 1 << 12, /* entries */
    STACK_MOST = 1 << 18,
    STACK_PART = 64,        /* of the memory that is left */
    UNTRACK_PART = 4,       /* of the result's entries, at most, for objects that may leave the rings */
    MANAGED_DICT_FROM = 11, /* minor versions of CPython */
    MANAGED_WEAKREF_FROM = 12,
    INLINE_VALUES_FROM = 13,
};

/* ---- subtract ---- */

static void settle_subtracted(struct snapshot_scan *scan)
{
    for (size_t i = 0; i < scan->references; i++) {
        snapshot_count_take(&scan->counts, snapshot_table_byte(&scan->table, scan->reference[i]), scan->reference[i]);
    }
    scan->references = 0;
}

static int subtract_reference(void *object, void *context)
{
    struct snapshot_scan *scan = context;
    if (scan->references == SCAN_REFERENCES) {
        settle_subtracted(scan);
    }
    snapshot_scan_refer(scan, object);
    return 0;
}

static void subtract_batch(struct snapshot_scan *scan)
{
    snapshot_scan_await(scan);
    for (size_t i = 0; i < scan->batched; i++) {
        (void)python_type_of(scan->batch[i])->traverse(scan->batch[i], subtract_reference, scan);
    }
    scan->batched = 0;
}

static void subtract_leaf(void *context, uintptr_t address, const unsigned char *bytes)
{
    struct snapshot_scan *scan = context;
    for (size_t at = 0; at < SCAN_LEAF_WORDS; at++) {
        for (uint64_t word = snapshot_scan_word(bytes, at); word != 0;) {
            if (snapshot_scan_add(scan, snapshot_scan_object(address, at, snapshot_scan_next(&word)))) {
                subtract_batch(scan);
            }
        }
    }
}

static void subtract(struct snapshot_scan *scan)
{
    snapshot_table_sweep(&scan->table, subtract_leaf, scan);
    subtract_batch(scan);
    settle_subtracted(scan);
}

/* ---- objects that may leave the rings ---- */

/* Is it something that can be part of a cycle, now or later? CPython's _PyObject_GC_MAY_BE_TRACKED. */
static int may_be_tracked(void *object, void *context)
{
    const struct snapshot_scan *scan = context;
    return python_is_gc(object) &&
           (python_type_of(object) != scan->input->tuple_type || gc_head_is_tracked(gc_head_of(object)));
}

/* All but a dict of 3.13 whose values lie in an instance, which traverses them in its place. */
static bool shows_all(const struct snapshot_scan *scan, void *object)
{
    return scan->input->minor < INLINE_VALUES_FROM || python_type_of(object) == scan->input->tuple_type ||
           ((const struct python_dict *)object)->values == NULL;
}

/* Notes a live dict or tuple that refers to no tracked object, if it need not be tracked itself. */
static void consider_untrack(struct snapshot_scan *scan, void *object)
{
    struct snapshot_result *result = scan->result;
    if (result->untracks < result->capacity / UNTRACK_PART && shows_all(scan, object) &&
        python_type_of(object)->traverse(object, may_be_tracked, scan) == 0) {
        result->untracks++;
        result->entry[result->capacity - result->untracks] = (uintptr_t)object;
    }
}

/* ---- mark ---- */

/* A reachable object that the sweep has passed, or will come to: only the first goes on the stack. If there is no room,
 * another sweep will find it. */
static void reach(struct snapshot_scan *scan, uintptr_t object, unsigned char *byte)
{
    *byte = COUNT_PINNED;
    if (object >= scan->swept) {
        return;
    }
    if (scan->stacked == scan->stack_size) {
        scan->missed = true;
        return;
    }
    scan->stack[scan->stacked++] = object;
    __builtin_prefetch((const void *)(object - GC_HEAD_BYTES));
}

/* After the references of each object comes an entry whose low bit is set: the object, if it is one that may leave the
 * rings when none of its references is to a tracked object, or else nothing. */
static void settle_marked(struct snapshot_scan *scan)
{
    for (size_t i = 0; i < scan->references; i++) {
        uintptr_t object = scan->reference[i];
        if ((object & 1u) != 0) {
            if (!scan->refers_to_tracked && object != 1) {
                consider_untrack(scan, (void *)(object - 1));
            }
            scan->refers_to_tracked = false;
            continue;
        }
        unsigned char *byte = snapshot_table_byte(&scan->table, object);
        scan->refers_to_tracked |= *byte != COUNT_ABSENT;
        if (*byte == COUNT_ZERO) {
            reach(scan, object, byte);
        }
    }
    scan->references = 0;
}

static int mark_reference(void *object, void *context)
{
    struct snapshot_scan *scan = context;
    if (scan->references == SCAN_REFERENCES) {
        settle_marked(scan);
    }
    snapshot_scan_refer(scan, object);
    return 0;
}

static void mark_object(struct snapshot_scan *scan, void *object)
{
    const struct python_type *type = python_type_of(object);
    bool may_leave = type == scan->input->dict_type || type == scan->input->tuple_type;
    (void)type->traverse(object, mark_reference, scan);
    (void)mark_reference((void *)((may_leave ? (uintptr_t)object : 0) | 1u), scan);
}

static void mark_batch(struct snapshot_scan *scan)
{
    snapshot_scan_await(scan);
    scan->result->live += scan->batched;
    for (size_t i = 0; i < scan->batched; i++) {
        mark_object(scan, scan->batch[i]);
    }
    scan->batched = 0;
}

/* Puts a reachable object into the batch, unless that was done before. True if the batch is full then. */
static bool look_into(struct snapshot_scan *scan, uintptr_t object)
{
    unsigned char *byte = snapshot_table_byte(&scan->table, object);
    if (*byte == COUNT_REACHED) {
        return false;
    }
    *byte = COUNT_REACHED;
    return snapshot_scan_add(scan, object);
}

/* Looks into a batch from the stack, or what there is. The batch must be empty. */
static void mark_from_stack(struct snapshot_scan *scan)
{
    bool full = false;
    while (scan->stacked > 0 && !full) {
        full = look_into(scan, scan->stack[--scan->stacked]);
    }
    mark_batch(scan);
}

static void mark_leaf(void *context, uintptr_t address, const unsigned char *bytes)
{
    struct snapshot_scan *scan = context;
    for (size_t at = 0; at < SCAN_LEAF_WORDS; at++) {
        scan->swept = snapshot_scan_object(address, at + 1, 0);
        for (uint64_t word = snapshot_scan_word(bytes, at); word != 0;) {
            uintptr_t object = snapshot_scan_object(address, at, snapshot_scan_next(&word));
            if (*snapshot_table_byte(&scan->table, object) == COUNT_ZERO || !look_into(scan, object)) {
                continue;
            }
            mark_batch(scan);
            while (scan->stacked >= SCAN_BATCH) {
                mark_from_stack(scan);
            }
        }
    }
}

/* What is behind the sweep, to the last. */
static void mark_rest(struct snapshot_scan *scan)
{
    mark_batch(scan);
    settle_marked(scan);
    while (scan->stacked > 0) {
        mark_from_stack(scan);
        if (scan->stacked == 0) {
            settle_marked(scan);
        }
    }
}

static bool mark(struct snapshot_scan *scan)
{
    size_t room = snapshot_table_free_bytes(&scan->table) / STACK_PART / sizeof *scan->stack;
    scan->stack_size = room < STACK_LEAST ? STACK_LEAST : room > STACK_MOST ? STACK_MOST : room;
    scan->stack = snapshot_table_take(&scan->table, scan->stack_size * sizeof *scan->stack);
    if (scan->stack == NULL) {
        return false;
    }
    do {
        scan->missed = false;
        snapshot_table_sweep(&scan->table, mark_leaf, scan);
        mark_rest(scan);
    } while (scan->missed);
    return true;
}

/* ---- all ---- */

static uint64_t now_ns(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void end_pass(struct snapshot_scan *scan, enum snapshot_pass pass)
{
    uint64_t now = now_ns();
    scan->result->pass_ns[pass] = now - scan->pass_start;
    scan->pass_start = now;
}

static enum snapshot_status analyse(struct snapshot_scan *scan)
{
    enum snapshot_status status = snapshot_rings_find(scan);
    end_pass(scan, SNAPSHOT_FIND);
    if (status != SNAPSHOT_COMPLETE) {
        return status;
    }
    subtract(scan);
    end_pass(scan, SNAPSHOT_SUBTRACT);
    if (!mark(scan)) {
        return SNAPSHOT_NO_MEMORY;
    }
    end_pass(scan, SNAPSHOT_MARK);
    scan->result->garbage = scan->result->objects - scan->result->live;
    struct snapshot_parts parts;
    status = snapshot_part(scan, &parts);
    end_pass(scan, SNAPSHOT_PART);
    if (status != SNAPSHOT_NO_MEMORY && parts.count > 0 && !snapshot_put_out(&parts)) {
        status = SNAPSHOT_NO_MEMORY;
    }
    end_pass(scan, SNAPSHOT_ORDER);
    return status;
}

void snapshot_analyse(const struct snapshot_input *input, struct snapshot_result *result)
{
    struct snapshot_scan scan;
    memset(&scan, 0, sizeof scan);
    scan.input = input;
    scan.result = result;
    scan.preheader_flags = (input->minor >= MANAGED_DICT_FROM ? PYTHON_MANAGED_DICT : 0) |
                           (input->minor >= MANAGED_WEAKREF_FROM ? PYTHON_MANAGED_WEAKREF : 0);
    scan.inner_flags = PYTHON_DICT_SUBCLASS | PYTHON_LIST_SUBCLASS |
                       (input->minor >= MANAGED_DICT_FROM ? PYTHON_MANAGED_DICT : 0);
    scan.has_values = input->minor == MANAGED_DICT_FROM;
    scan.pass_start = now_ns();
    size_t limit = input->memory_limit > SNAPSHOT_MEMORY_LEAST ? input->memory_limit : SNAPSHOT_MEMORY_LEAST;
    enum snapshot_status status = SNAPSHOT_NO_MEMORY;
    bool made = snapshot_table_make(&scan.table, limit);
    if (made) {
        status = analyse(&scan);
        result->suspicious = scan.counts.suspicious;
        result->table_bytes = snapshot_table_bytes(&scan.table);
    }
    atomic_store_explicit(&result->status, status, memory_order_release);
    if (made) {
        snapshot_table_end(&scan.table);
    }
}
