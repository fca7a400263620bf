/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_tuple.c: tuples. Blocks of dead ones of 1 to KINDS_TUPLE_MOST items are kept on a list for each length; the
 * empty one is shared and not tracked.
 *
 * A tuple is tracked when it is made, all items being there (or NULL, as cairn_tuple_make() leaves them), and
 * untracked by the collection that finds only atoms and untracked tuples in it: nothing of that kind can become part
 * of a cycle, as it is constant. Lock: the GIL. */

#include "object/kinds_state.h"

#include <string.h>

static cairn_object *shared_empty(cairn_runtime *runtime, struct kinds *kinds)
{
    if (!kinds->empty_tuple) {
        cairn_object *empty = cairn_object_alloc(runtime, &kinds_tuple_type, 0);
        if (!empty) {
            return NULL;
        }
        ((cairn_tuple *)(void *)empty)->size = 0;
        if (kinds->empty_tuple) { /* by code that ran in a collection */
            cairn_decref(empty);
        } else {
            kinds->empty_tuple = empty;
            cairn_object_make_immortal(empty);
        }
    }
    return cairn_incref(kinds->empty_tuple);
}

/* A tuple, not tracked, whose items are to be written. */
static cairn_object *make(cairn_runtime *runtime, size_t size)
{
    struct kinds *kinds = kinds_of(runtime);
    if (UNLIKELY(!kinds)) {
        return NULL;
    }
    if (UNLIKELY(size == 0)) {
        return shared_empty(runtime, kinds);
    }
    cairn_object *tuple = size <= KINDS_TUPLE_MOST ? kinds_take(&kinds->tuples[size], runtime, &kinds_tuple_type, size)
                                                   : cairn_object_alloc(runtime, &kinds_tuple_type, size);
    if (LIKELY(tuple != NULL)) {
        ((cairn_tuple *)(void *)tuple)->size = size;
    }
    return tuple;
}

cairn_object *cairn_tuple_new(cairn_runtime *runtime, cairn_object *const *items, size_t size)
{
    cairn_object *tuple = make(runtime, size);
    if (LIKELY(tuple != NULL) && size) {
        kinds_copy(cairn_tuple_items(tuple), items, size);
        kinds_track(tuple);
    }
    return tuple;
}

cairn_object *cairn_tuple_make(cairn_runtime *runtime, size_t size)
{
    cairn_object *tuple = make(runtime, size);
    if (LIKELY(tuple != NULL) && size) {
        memset(cairn_tuple_items(tuple), 0, size * sizeof(cairn_object *));
        kinds_track(tuple);
    }
    return tuple;
}

cairn_object *cairn_tuple_concat(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_tuple_type, "tuple_concat") || !kinds_is(b, &kinds_tuple_type, "tuple_concat")) {
        return NULL;
    }
    size_t first = cairn_tuple_size(a), second = cairn_tuple_size(b);
    if (first == 0 || second == 0) {
        return cairn_incref(first ? a : b);
    }
    cairn_object *both = make(kinds_runtime(a), first + second);
    if (both) {
        kinds_copy(cairn_tuple_items(both), cairn_tuple_items(a), first);
        kinds_copy(cairn_tuple_items(both) + first, cairn_tuple_items(b), second);
        kinds_track(both);
    }
    return both;
}

cairn_object *cairn_tuple_slice(cairn_object *tuple, size_t from, size_t to)
{
    if (!kinds_is(tuple, &kinds_tuple_type, "tuple_slice")) {
        return NULL;
    }
    size_t size = cairn_tuple_size(tuple);
    to = to < size ? to : size;
    from = from < to ? from : to;
    if (to - from == size) {
        return cairn_incref(tuple);
    }
    return cairn_tuple_new(kinds_runtime(tuple), cairn_tuple_items(tuple) + from, to - from);
}

bool cairn_tuple_contains(cairn_object *tuple, cairn_object *item)
{
    if (!kinds_is(tuple, &kinds_tuple_type, "tuple_contains")) {
        return false;
    }
    bool found = false;
    cairn_incref(tuple); /* a comparison may give it up */
    for (size_t i = 0; i < cairn_tuple_size(tuple) && !found; i++) {
        found = cairn_kinds_equal(cairn_tuple_items(tuple)[i], item);
    }
    cairn_decref(tuple);
    return found;
}

/* ---- as an object ---- */

static void tuple_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    cairn_object **items = cairn_tuple_items(self);
    for (size_t i = 0, size = cairn_tuple_size(self); i < size; i++) {
        CAIRN_VISIT(items[i]);
    }
}

static void tuple_dealloc(cairn_object *self)
{
    cairn_object **items = cairn_tuple_items(self);
    for (size_t i = cairn_tuple_size(self); i-- > 0;) {
        cairn_xdecref(items[i]);
    }
}

static bool tuple_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    size_t size = cairn_tuple_size(dead);
    return kinds && size - 1 < KINDS_TUPLE_MOST && kinds_keep(&kinds->tuples[size], runtime, dead);
}

static bool tuple_untrack(cairn_object *self)
{
    cairn_object **items = cairn_tuple_items(self);
    for (size_t i = 0, size = cairn_tuple_size(self); i < size; i++) {
        if (!items[i] || kinds_may_be_tracked(items[i])) {
            return false;
        }
    }
    return true;
}

static bool tuple_hash(cairn_object *self, uint64_t *hash)
{
    struct kinds_frame frame;
    if (!kinds_enter(&frame, self, NULL)) {
        return false;
    }
    uint64_t state = cairn_tuple_size(self), one;
    bool done = true;
    for (size_t i = 0, size = cairn_tuple_size(self); i < size && done; i++) {
        done = kinds_hash(cairn_tuple_items(self)[i], &one);
        state = kinds_hash_mix(state, one);
    }
    kinds_leave(&frame);
    *hash = state;
    return done;
}

static bool tuple_equal(cairn_object *a, cairn_object *b)
{
    struct kinds_frame frame;
    size_t size = cairn_tuple_size(a);
    if (b->type != &kinds_tuple_type || size != cairn_tuple_size(b) || !kinds_enter(&frame, a, NULL)) {
        return false;
    }
    bool equal = true;
    for (size_t i = 0; i < size && equal; i++) {
        equal = cairn_kinds_equal(cairn_tuple_items(a)[i], cairn_tuple_items(b)[i]);
    }
    kinds_leave(&frame);
    return equal;
}

static size_t tuple_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    struct kinds_frame frame;
    bool again;
    if (!kinds_enter(&frame, self, &again)) {
        kinds_text_word(&out, "(...)");
        return out.length;
    }
    kinds_text_word(&out, again ? "(..." : "(");
    for (size_t i = 0; i < cairn_tuple_size(self) && !again; i++) {
        kinds_text_word(&out, i ? ", " : "");
        kinds_text_object(&out, cairn_tuple_items(self)[i]);
    }
    kinds_text_word(&out, cairn_tuple_size(self) == 1 && !again ? ",)" : ")");
    kinds_leave(&frame);
    return out.length;
}

const cairn_type kinds_tuple_type = {.struct_size = sizeof(cairn_type),
                                     .name = "tuple",
                                     .size = sizeof(cairn_tuple),
                                     .item_size = sizeof(cairn_object *),
                                     .flags = CAIRN_TYPE_ROW_INSIDE,
                                     .traverse = tuple_traverse,
                                     .row_offset = sizeof(cairn_tuple),
                                     .row_length_offset = offsetof(cairn_tuple, size),
                                     .dealloc = tuple_dealloc,
                                     .keep = tuple_keep,
                                     .untrack = tuple_untrack,
                                     .repr = tuple_repr,
                                     .hash = tuple_hash,
                                     .equal = tuple_equal};

const cairn_type *cairn_tuple_type(void)
{
    return &kinds_tuple_type;
}
