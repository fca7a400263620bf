/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_set.c: sets: maps without values. Tracked from birth to death. Lock: the GIL. */

#include "object/kinds_table.h"

static bool is_set(const cairn_object *object, const char *call)
{
    return kinds_is(object, &kinds_set_type, call);
}

static bool are_sets(const cairn_object *a, const cairn_object *b, const char *call)
{
    return is_set(a, call) && is_set(b, call);
}

cairn_object *cairn_hashset_new(cairn_runtime *runtime)
{
    struct kinds *kinds = kinds_of(runtime);
    cairn_object *set = kinds ? kinds_take(&kinds->sets, runtime, &kinds_set_type, 0) : NULL;
    if (LIKELY(set != NULL)) {
        kinds_map_init(kinds_map_of(set));
        kinds_track(set);
    }
    return set;
}

size_t cairn_hashset_size(cairn_object *set)
{
    return is_set(set, "hashset_size") ? kinds_map_size(kinds_map_of(set)) : 0;
}

/* ---- keys ---- */

static int add_hashed(cairn_object *set, cairn_object *key, uint64_t hash)
{
    struct kinds_map *map = kinds_map_of(set);
    if (kinds_map_find(map, key, hash) != KINDS_NOT_FOUND) {
        return 0;
    }
    return kinds_map_add(map, key, hash, NULL, 0) ? 0 : ENOMEM;
}

int cairn_hashset_add(cairn_object *set, cairn_object *key)
{
    uint64_t hash;
    if (!is_set(set, "hashset_add") || !kinds_key_hash(set, key, &hash)) {
        return EINVAL;
    }
    return add_hashed(set, key, hash);
}

int cairn_hashset_remove(cairn_object *set, cairn_object *key)
{
    uint64_t hash;
    if (!is_set(set, "hashset_remove") || !kinds_key_hash(set, key, &hash)) {
        return EINVAL;
    }
    struct kinds_map *map = kinds_map_of(set);
    size_t i = kinds_map_find(map, key, hash);
    if (i == KINDS_NOT_FOUND) {
        return ENOENT;
    }
    cairn_object *old, *none;
    kinds_map_take(map, i, &old, &none);
    cairn_decref(old);
    return 0;
}

bool cairn_hashset_contains(cairn_object *set, cairn_object *key)
{
    uint64_t hash;
    return is_set(set, "hashset_contains") && kinds_key_hash(set, key, &hash) &&
           kinds_map_find(kinds_map_of(set), key, hash) != KINDS_NOT_FOUND;
}

cairn_object *cairn_hashset_pop(cairn_object *set)
{
    if (!is_set(set, "hashset_pop")) {
        return NULL;
    }
    struct kinds_map *map = kinds_map_of(set);
    if (!kinds_map_size(map)) {
        errno = ENOENT;
        return NULL;
    }
    cairn_object *key, *none;
    kinds_map_take(map, kinds_map_last(map), &key, &none);
    return key;
}

/* ---- all keys ---- */

int cairn_hashset_next(cairn_object *set, cairn_position *position, cairn_object **key)
{
    size_t i;
    if (!is_set(set, "hashset_next")) {
        return EINVAL;
    }
    int error = kinds_map_next(kinds_map_of(set), position, &i);
    if (error) {
        return error == EBUSY ? runtime_error(kinds_runtime(set), EBUSY, "set changed during iteration") : error;
    }
    *key = kinds_key(kinds_map_of(set)->table, i);
    return 0;
}

static void set_clear(cairn_object *self)
{
    kinds_map_clear(kinds_map_of(self));
}

int cairn_hashset_clear(cairn_object *set)
{
    if (!is_set(set, "hashset_clear")) {
        return EINVAL;
    }
    set_clear(set);
    return 0;
}

cairn_object *cairn_hashset_copy(cairn_object *set)
{
    if (!is_set(set, "hashset_copy")) {
        return NULL;
    }
    cairn_object *copy = cairn_hashset_new(kinds_runtime(set));
    if (copy && !kinds_map_copy(kinds_map_of(copy), kinds_map_of(set))) {
        cairn_decref(copy);
        errno = ENOMEM;
        return NULL;
    }
    return copy;
}

/* Which keys of one set are taken: all, or those that are in another one, or those that are not. */
enum filter { ALL, THOSE_IN, THOSE_NOT_IN };

/* Adds keys of `from` to `to`: 0, or an errno value. */
static int add_filtered(cairn_object *to, cairn_object *from, enum filter filter, cairn_object *other)
{
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key = NULL;
    int error = 0;
    while (!error && !(error = cairn_hashset_next(from, &position, &key))) {
        uint64_t hash = kinds_entry_hash(kinds_map_of(from)->table, position.index - 1);
        cairn_incref(key);
        bool found = filter != ALL && kinds_map_find(kinds_map_of(other), key, hash) != KINDS_NOT_FOUND;
        if (filter == ALL || found == (filter == THOSE_IN)) {
            error = add_hashed(to, key, hash);
        }
        cairn_decref(key);
    }
    return error == ENOENT ? 0 : error;
}

/* Gives `set` up if there was an error. */
static cairn_object *unless(int error, cairn_object *set)
{
    if (!error) {
        return set;
    }
    cairn_xdecref(set);
    errno = error;
    return NULL;
}

cairn_object *cairn_hashset_union(cairn_object *a, cairn_object *b)
{
    if (!are_sets(a, b, "hashset_union")) {
        return NULL;
    }
    cairn_object *set = cairn_hashset_copy(a);
    return set ? unless(add_filtered(set, b, ALL, NULL), set) : NULL;
}

static cairn_object *filtered(cairn_object *a, enum filter filter, cairn_object *b, const char *call)
{
    cairn_object *set = are_sets(a, b, call) ? cairn_hashset_new(kinds_runtime(a)) : NULL;
    return set ? unless(add_filtered(set, a, filter, b), set) : NULL;
}

cairn_object *cairn_hashset_intersection(cairn_object *a, cairn_object *b)
{
    return filtered(a, THOSE_IN, b, "hashset_intersection");
}

cairn_object *cairn_hashset_difference(cairn_object *a, cairn_object *b)
{
    return filtered(a, THOSE_NOT_IN, b, "hashset_difference");
}

bool cairn_hashset_is_subset(cairn_object *a, cairn_object *b)
{
    if (!are_sets(a, b, "hashset_is_subset") || cairn_hashset_size(a) > cairn_hashset_size(b)) {
        return false;
    }
    cairn_position position = CAIRN_POSITION_INIT;
    int error = 0;
    bool inside = true;
    size_t i;
    while (inside && !(error = kinds_map_next(kinds_map_of(a), &position, &i))) {
        const struct kinds_table *table = kinds_map_of(a)->table;
        uint64_t hash = kinds_entry_hash(table, i);
        cairn_object *key = cairn_incref(kinds_key(table, i));
        inside = kinds_map_find(kinds_map_of(b), key, hash) != KINDS_NOT_FOUND;
        cairn_decref(key);
    }
    return inside && error == ENOENT;
}

/* ---- as an object ---- */

static void set_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    kinds_map_traverse(kinds_map_of(self), visit, arg);
}

static bool set_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    return kinds && kinds_keep(&kinds->sets, runtime, dead);
}

static bool set_equal(cairn_object *a, cairn_object *b)
{
    return b->type == &kinds_set_type && cairn_hashset_size(a) == cairn_hashset_size(b) &&
           cairn_hashset_is_subset(a, b);
}

static size_t set_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    struct kinds_frame frame;
    bool again;
    if (kinds_map_size(kinds_map_of(self)) == 0) {
        kinds_text_word(&out, "set()");
        return out.length;
    }
    if (!kinds_enter(&frame, self, &again)) {
        kinds_text_word(&out, "{...}");
        return out.length;
    }
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key = NULL;
    kinds_text_word(&out, again ? "{..." : "{");
    for (bool first = true; !again && !cairn_hashset_next(self, &position, &key); first = false) {
        kinds_text_word(&out, first ? "" : ", ");
        kinds_text_object(&out, key);
    }
    kinds_text_word(&out, "}");
    kinds_leave(&frame);
    return out.length;
}

const cairn_type kinds_set_type = {.struct_size = sizeof(cairn_type),
                                   .name = "set",
                                   .size = sizeof(struct kinds_map),
                                   .traverse = set_traverse,
                                   .traverse_part = kinds_map_traverse_part,
                                   .clear = set_clear,
                                   .keep = set_keep,
                                   .repr = set_repr,
                                   .hash = kinds_no_hash,
                                   .equal = set_equal};

const cairn_type *cairn_hashset_type(void)
{
    return &kinds_set_type;
}
