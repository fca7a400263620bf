/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_parts.c: see snapshot_parts.h.
 *
 * The unreachable objects are numbered by rising address; numbers are joined by union-find, where the root of a
 * component holds its size. If there are more than fit, only those with the lowest addresses are numbered, and a
 * component that refers to one without a number, or is referred to by one, is *cut*: it is not put out. */

#include "python/snapshot_parts.h"

#include <string.h>

#include "python/snapshot_rings.h"

enum { BYTES_PER_NUMBER = sizeof(uintptr_t) + 3 * sizeof(uint32_t) + sizeof(bool), LINE = 64, ARRAYS = 5 };

/* Of a root's `place`. */
static const uint32_t unplaced = UINT32_MAX, cut = UINT32_MAX - 1;

/* ---- components ---- */

static uint32_t root_of(struct snapshot_parts *parts, uint32_t number)
{
    while (parts->parent[number] != number) {
        parts->parent[number] = parts->parent[parts->parent[number]];
        number = parts->parent[number];
    }
    return number;
}

static void join(struct snapshot_parts *parts, uint32_t one, uint32_t other)
{
    uint32_t big = root_of(parts, one), small = root_of(parts, other);
    if (big == small) {
        return;
    }
    if (parts->size[big] < parts->size[small]) {
        uint32_t swapped = big;
        big = small;
        small = swapped;
    }
    parts->parent[small] = big;
    parts->size[big] += parts->size[small];
    parts->rough[big] |= parts->rough[small];
    if (parts->place[small] == cut) {
        parts->place[big] = cut;
    }
}

/* The number of an unreachable object, or parts->count if it has none. */
static uint32_t number_of(const struct snapshot_parts *parts, uintptr_t object)
{
    const uintptr_t *first = parts->object;
    size_t left = parts->count;
    while (left > 1) {
        size_t half = left / 2;
        first += first[half] <= object ? half : 0;
        left -= half;
    }
    return *first == object ? (uint32_t)(first - parts->object) : (uint32_t)parts->count;
}

static bool is_garbage(const struct snapshot_scan *scan, uintptr_t object)
{
    return *snapshot_table_byte(&scan->table, object) == COUNT_ZERO;
}

/* The owner refers to an object. Both, or one, or neither have a number. */
static int join_reference(void *object, void *context)
{
    struct snapshot_parts *parts = context;
    if (!is_garbage(parts->scan, (uintptr_t)object)) {
        return 0;
    }
    uint32_t number = number_of(parts, (uintptr_t)object);
    if (number < parts->count && parts->owner < parts->count) {
        join(parts, parts->owner, number);
    } else if (number < parts->count) {
        parts->place[root_of(parts, number)] = cut;
    } else if (parts->owner < parts->count) {
        parts->place[root_of(parts, parts->owner)] = cut;
    }
    return 0;
}

/* PyWeakref_Check: a subclass has the reference type among its bases of the same layout. */
static bool is_reference(const struct snapshot_input *input, const struct python_type *type)
{
    if (type == input->proxy_type || type == input->callable_proxy_type) {
        return true;
    }
    while (type != NULL && type != input->reference_type) {
        type = type->base;
    }
    return type != NULL;
}

/* ---- plain objects ---- */

/* A class written in Python may have any name. */
static bool is_class(const struct snapshot_input *input, const struct python_type *type)
{
    return (type->flags & PYTHON_HEAP_TYPE) != 0 && type->dealloc == input->class_dealloc &&
           type->clear == input->class_clear;
}

static bool is_known_plain(const struct snapshot_input *input, const struct python_type *type)
{
    for (size_t i = 0; i < SNAPSHOT_PLAIN_TYPES; i++) {
        if (type == input->plain_type[i]) {
            return true;
        }
    }
    return (type->flags & PYTHON_HAVE_GC) != 0 && !is_class(input, type) &&
           (strcmp(type->name, "collections.defaultdict") == 0 || strcmp(type->name, "collections.deque") == 0);
}

/* A type known to be, or a class written in Python whose base is plain. */
static bool is_plain_type(const struct snapshot_input *input, const struct python_type *type)
{
    if (input->class_dealloc == NULL || type->finalize != NULL || type->del != NULL) {
        return false;
    }
    while (type != NULL && !is_known_plain(input, type)) {
        type = is_class(input, type) ? type->base : NULL;
    }
    return type != NULL;
}

static bool is_plain(struct snapshot_parts *parts, const void *object, const struct python_type *type)
{
    if (type != parts->known) {
        parts->known = type;
        parts->known_plain = is_plain_type(parts->scan->input, type);
    }
    ptrdiff_t weaklist = type->weaklist_offset;
    return parts->known_plain && (gc_head_of(object)->prev & GC_HEAD_FINALIZED) == 0 &&
           (weaklist == 0 || *(void *const *)((const char *)object + weaklist) == NULL);
}

static void join_object(struct snapshot_parts *parts, void *object)
{
    const struct python_type *type = python_type_of(object);
    (void)type->traverse(object, join_reference, parts);
    if (is_reference(parts->scan->input, type)) {
        (void)join_reference(((const struct python_reference *)object)->referent, parts);
    }
    if (parts->owner < parts->count) {
        if (!is_plain(parts, object, type)) {
            parts->rough[root_of(parts, parts->owner)] = true;
        }
        parts->owner++;
    }
}

static void join_batch(struct snapshot_parts *parts)
{
    struct snapshot_scan *scan = parts->scan;
    snapshot_scan_await(scan);
    for (size_t i = 0; i < scan->batched; i++) {
        join_object(parts, scan->batch[i]);
    }
    scan->batched = 0;
}

static void join_numbered(struct snapshot_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (snapshot_scan_add(parts->scan, parts->object[i])) {
            join_batch(parts);
        }
    }
    join_batch(parts);
}

/* ---- sweeps over the unreachable objects ---- */

static void number_leaf(void *context, uintptr_t address, const unsigned char *bytes)
{
    struct snapshot_parts *parts = context;
    for (size_t at = 0; at < SCAN_LEAF_WORDS; at++) {
        for (uint64_t word = snapshot_scan_word_of(bytes, at, COUNT_ZERO); word != 0;) {
            uintptr_t object = snapshot_scan_object(address, at, snapshot_scan_next(&word));
            if (parts->numbered == parts->count) {
                return;
            }
            parts->object[parts->numbered++] = object;
        }
    }
}

static void join_unnumbered_leaf(void *context, uintptr_t address, const unsigned char *bytes)
{
    struct snapshot_parts *parts = context;
    for (size_t at = 0; at < SCAN_LEAF_WORDS; at++) {
        for (uint64_t word = snapshot_scan_word_of(bytes, at, COUNT_ZERO); word != 0;) {
            uintptr_t object = snapshot_scan_object(address, at, snapshot_scan_next(&word));
            if (object > parts->object[parts->count - 1] && snapshot_scan_add(parts->scan, object)) {
                join_batch(parts);
            }
        }
    }
}

/* ---- all ---- */

static bool make_arrays(struct snapshot_parts *parts)
{
    struct snapshot_table *table = &parts->scan->table;
    parts->object = snapshot_table_take(table, parts->count * sizeof *parts->object);
    parts->parent = snapshot_table_take(table, parts->count * sizeof *parts->parent);
    parts->size = snapshot_table_take(table, parts->count * sizeof *parts->size);
    parts->place = snapshot_table_take(table, parts->count * sizeof *parts->place);
    parts->rough = snapshot_table_take(table, parts->count * sizeof *parts->rough);
    if (parts->object == NULL || parts->parent == NULL || parts->size == NULL || parts->place == NULL ||
        parts->rough == NULL) {
        return false;
    }
    for (size_t i = 0; i < parts->count; i++) {
        parts->parent[i] = (uint32_t)i;
        parts->size[i] = 1;
        parts->place[i] = unplaced;
        parts->rough[i] = false;
    }
    return true;
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

enum snapshot_status snapshot_part(struct snapshot_scan *scan, struct snapshot_parts *parts)
{
    size_t memory = snapshot_table_free_bytes(&scan->table);
    size_t fit = memory > ARRAYS * LINE ? (memory - ARRAYS * LINE) / BYTES_PER_NUMBER : 0;
    size_t room = least(scan->result->capacity - scan->result->untracks, cut - 1);
    *parts = (struct snapshot_parts){.scan = scan, .count = least(scan->result->garbage, least(fit, room))};
    if (parts->count == 0) {
        return scan->result->garbage == 0 ? SNAPSHOT_COMPLETE : SNAPSHOT_PARTIAL;
    }
    if (!make_arrays(parts)) {
        return SNAPSHOT_NO_MEMORY;
    }
    snapshot_table_sweep(&scan->table, number_leaf, parts);
    join_numbered(parts);
    if (parts->count == scan->result->garbage) {
        return SNAPSHOT_COMPLETE;
    }
    snapshot_table_sweep(&scan->table, join_unnumbered_leaf, parts);
    join_batch(parts);
    return SNAPSHOT_PARTIAL;
}

/* ---- order ---- */

static uintptr_t with_bits(const struct snapshot_parts *parts, uint32_t number, uint32_t root)
{
    uintptr_t object = parts->object[number];
    unsigned long flags = python_type_of((const void *)object)->flags;
    uintptr_t count = snapshot_count_of(((const struct python_object *)object)->count);
    return object | count << SNAPSHOT_COUNT_SHIFT | (parts->size[root] == 0 ? SNAPSHOT_LAST : 0) |
           (parts->rough[root] ? 0 : SNAPSHOT_PLAIN) |
           ((flags & parts->scan->preheader_flags) != 0 ? SNAPSHOT_PREHEADER : 0);
}

static void put_out(struct snapshot_parts *parts, uint32_t number)
{
    struct snapshot_result *result = parts->scan->result;
    uint32_t root = root_of(parts, number);
    if (parts->place[root] == cut) {
        return;
    }
    if (parts->place[root] == unplaced) {
        parts->place[root] = (uint32_t)result->candidates;
        result->candidates += parts->size[root];
        result->components++;
    }
    parts->size[root]--;
    result->entry[parts->place[root]++] = with_bits(parts, number, root);
}

static void note_object(void *context, uintptr_t object)
{
    struct snapshot_parts *parts = context;
    uint32_t number = number_of(parts, object);
    if (number < parts->count) {
        put_out(parts, number);
        parts->left--;
    }
}

bool snapshot_put_out(struct snapshot_parts *parts)
{
    parts->left = parts->count;
    return snapshot_rings_walk(parts->scan, note_object, parts, &parts->left);
}
