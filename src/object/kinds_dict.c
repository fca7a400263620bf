/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_dict.c: dicts: maps with values.
 *
 * A dict is tracked if it holds, or once held, a key or value that can be part of a cycle; a collection that finds none
 * untracks it. Lock: the GIL. */

#include "object/kinds_table.h"

static bool is_dict(const cairn_object *object, const char *call)
{
    return kinds_is(object, &kinds_dict_type, call);
}

cairn_object *cairn_dict_new(cairn_runtime *runtime)
{
    struct kinds *kinds = kinds_of(runtime);
    cairn_object *dict = kinds ? kinds_take(&kinds->dicts, runtime, &kinds_dict_type, 0) : NULL;
    if (LIKELY(dict != NULL)) {
        kinds_map_init(kinds_map_of(dict));
    }
    return dict;
}

size_t cairn_dict_size(cairn_object *dict)
{
    return is_dict(dict, "dict_size") ? kinds_map_size(kinds_map_of(dict)) : 0;
}

/* The dict holds these now: has it to be tracked? */
static inline void maintain_tracking(cairn_object *dict, const cairn_object *key, const cairn_object *value)
{
    if ((kinds_may_be_tracked(value) || kinds_may_be_tracked(key)) && !cairn_object_is_tracked(dict)) {
        cairn_object_track(dict);
    }
}

/* ---- entries ---- */

/* Finds a key's entry: 0, ENOENT, or EINVAL if it cannot be hashed. Only the latter has a text. */
static inline int find(cairn_object *dict, cairn_object *key, uint64_t *hash, size_t *i)
{
    if (UNLIKELY(!kinds_key_hash(dict, key, hash))) {
        return EINVAL;
    }
    *i = kinds_map_find(kinds_map_of(dict), key, *hash);
    return *i == KINDS_NOT_FOUND ? ENOENT : 0;
}

static inline int add(cairn_object *dict, cairn_object *key, uint64_t hash, cairn_object *value)
{
    if (!kinds_map_add(kinds_map_of(dict), key, hash, value, 0)) {
        return ENOMEM;
    }
    maintain_tracking(dict, key, value);
    return 0;
}

/* Stores `value` in entry `i`; what was there is given up last. */
static void replace(cairn_object *dict, size_t i, cairn_object *value)
{
    const struct kinds_table *table = kinds_map_of(dict)->table;
    cairn_object *old = *kinds_value(table, i);
    *kinds_value(table, i) = cairn_incref(value);
    maintain_tracking(dict, kinds_key(table, i), value);
    cairn_decref(old);
}

static inline int set_hashed(cairn_object *dict, cairn_object *key, uint64_t hash, cairn_object *value)
{
    size_t i = kinds_map_find(kinds_map_of(dict), key, hash);
    if (i == KINDS_NOT_FOUND) {
        return add(dict, key, hash, value);
    }
    replace(dict, i, value);
    return 0;
}

int cairn_dict_set(cairn_object *dict, cairn_object *key, cairn_object *value)
{
    uint64_t hash;
    if (!is_dict(dict, "dict_set") || !kinds_key_hash(dict, key, &hash)) {
        return EINVAL;
    }
    return set_hashed(dict, key, hash, value);
}

cairn_object *cairn_dict_find(cairn_object *dict, cairn_object *key)
{
    uint64_t hash;
    size_t i;
    int error = is_dict(dict, "dict_find") ? find(dict, key, &hash, &i) : EINVAL;
    if (error) {
        errno = error;
        return NULL;
    }
    return *kinds_value(kinds_map_of(dict)->table, i);
}

cairn_object *cairn_dict_get(cairn_object *dict, cairn_object *key)
{
    return cairn_xincref(cairn_dict_find(dict, key));
}

bool cairn_dict_contains(cairn_object *dict, cairn_object *key)
{
    return cairn_dict_find(dict, key) != NULL;
}

cairn_object *cairn_dict_set_default(cairn_object *dict, cairn_object *key, cairn_object *value)
{
    uint64_t hash;
    size_t i;
    int error = is_dict(dict, "dict_set_default") ? find(dict, key, &hash, &i) : EINVAL;
    if (error == 0) {
        return cairn_incref(*kinds_value(kinds_map_of(dict)->table, i));
    }
    if (error == ENOENT) {
        error = add(dict, key, hash, value);
    }
    if (error) {
        errno = error;
        return NULL;
    }
    return cairn_incref(value);
}

/* Takes a key's entry out; the references are the caller's. */
static int take(cairn_object *dict, cairn_object *key, const char *call, cairn_object **old_key, cairn_object **value)
{
    uint64_t hash;
    size_t i;
    int error = is_dict(dict, call) ? find(dict, key, &hash, &i) : EINVAL;
    if (!error) {
        kinds_map_take(kinds_map_of(dict), i, old_key, value);
    }
    return error;
}

int cairn_dict_delete(cairn_object *dict, cairn_object *key)
{
    cairn_object *old_key, *value;
    int error = take(dict, key, "dict_delete", &old_key, &value);
    if (!error) {
        cairn_decref(old_key);
        cairn_decref(value);
    }
    return error;
}

cairn_object *cairn_dict_pop(cairn_object *dict, cairn_object *key)
{
    cairn_object *old_key, *value;
    int error = take(dict, key, "dict_pop", &old_key, &value);
    if (error) {
        errno = error;
        return NULL;
    }
    cairn_decref(old_key);
    return value;
}

int cairn_dict_pop_last(cairn_object *dict, cairn_object **key, cairn_object **value)
{
    if (!is_dict(dict, "dict_pop_last")) {
        return EINVAL;
    }
    struct kinds_map *map = kinds_map_of(dict);
    if (!kinds_map_size(map)) {
        return ENOENT;
    }
    kinds_map_take(map, kinds_map_last(map), key, value);
    return 0;
}

/* ---- all entries ---- */

int cairn_dict_next(cairn_object *dict, cairn_position *position, cairn_object **key, cairn_object **value)
{
    size_t i;
    if (!is_dict(dict, "dict_next")) {
        return EINVAL;
    }
    int error = kinds_map_next(kinds_map_of(dict), position, &i);
    if (error) {
        return error == EBUSY ? runtime_error(kinds_runtime(dict), EBUSY, "dict changed during iteration") : error;
    }
    *key = kinds_key(kinds_map_of(dict)->table, i);
    *value = *kinds_value(kinds_map_of(dict)->table, i);
    return 0;
}

static void dict_clear(cairn_object *self)
{
    kinds_map_clear(kinds_map_of(self));
}

int cairn_dict_clear(cairn_object *dict)
{
    if (!is_dict(dict, "dict_clear")) {
        return EINVAL;
    }
    dict_clear(dict);
    return 0;
}

cairn_object *cairn_dict_copy(cairn_object *dict)
{
    if (!is_dict(dict, "dict_copy")) {
        return NULL;
    }
    cairn_object *copy = cairn_dict_new(kinds_runtime(dict));
    if (copy && !kinds_map_copy(kinds_map_of(copy), kinds_map_of(dict))) {
        cairn_decref(copy);
        errno = ENOMEM;
        return NULL;
    }
    if (copy && cairn_object_is_tracked(dict)) {
        cairn_object_track(copy);
    }
    return copy;
}

int cairn_dict_update(cairn_object *dict, cairn_object *other)
{
    if (!is_dict(dict, "dict_update") || !is_dict(other, "dict_update")) {
        return EINVAL;
    }
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key, *value;
    int error = 0;
    while (dict != other && !error && !(error = cairn_dict_next(other, &position, &key, &value))) {
        uint64_t hash = kinds_entry_hash(kinds_map_of(other)->table, position.index - 1);
        cairn_incref(key);
        cairn_incref(value);
        error = set_hashed(dict, key, hash, value);
        cairn_decref(key);
        cairn_decref(value);
    }
    return error == ENOENT ? 0 : error;
}

/* ---- as an object ---- */

static void dict_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    kinds_map_traverse(kinds_map_of(self), visit, arg);
}

static bool dict_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    return kinds && kinds_keep(&kinds->dicts, runtime, dead);
}

static bool dict_untrack(cairn_object *self)
{
    return kinds_map_is_plain(kinds_map_of(self));
}

/* Is there an equal value for this key? The key and the value are held by the caller. */
static bool has_entry(cairn_object *dict, cairn_object *key, uint64_t hash, cairn_object *value)
{
    size_t i = kinds_map_find(kinds_map_of(dict), key, hash);
    if (i == KINDS_NOT_FOUND) {
        return false;
    }
    cairn_object *other = cairn_incref(*kinds_value(kinds_map_of(dict)->table, i));
    bool equal = cairn_kinds_equal(value, other);
    cairn_decref(other);
    return equal;
}

/* Dicts that change while they are compared are not equal. */
static bool dict_equal(cairn_object *a, cairn_object *b)
{
    struct kinds_frame frame;
    if (b->type != &kinds_dict_type || cairn_dict_size(a) != cairn_dict_size(b) || !kinds_enter(&frame, a, NULL)) {
        return false;
    }
    cairn_position position = CAIRN_POSITION_INIT;
    int error = 0;
    bool equal = true;
    size_t i;
    while (equal && !(error = kinds_map_next(kinds_map_of(a), &position, &i))) {
        const struct kinds_table *table = kinds_map_of(a)->table;
        uint64_t hash = kinds_entry_hash(table, i);
        cairn_object *key = cairn_incref(kinds_key(table, i)), *value = cairn_incref(*kinds_value(table, i));
        equal = has_entry(b, key, hash, value);
        cairn_decref(key);
        cairn_decref(value);
    }
    kinds_leave(&frame);
    return equal && error == ENOENT && cairn_dict_size(a) == cairn_dict_size(b);
}

static size_t dict_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_text out = {text, size, 0};
    struct kinds_frame frame;
    bool again;
    if (!kinds_enter(&frame, self, &again)) {
        kinds_text_word(&out, "{...}");
        return out.length;
    }
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key, *value;
    kinds_text_word(&out, again ? "{..." : "{");
    for (bool first = true; !again && !cairn_dict_next(self, &position, &key, &value); first = false) {
        kinds_text_word(&out, first ? "" : ", ");
        kinds_text_object(&out, key);
        kinds_text_word(&out, ": ");
        kinds_text_object(&out, value);
    }
    kinds_text_word(&out, "}");
    kinds_leave(&frame);
    return out.length;
}

const cairn_type kinds_dict_type = {.struct_size = sizeof(cairn_type),
                                    .name = "dict",
                                    .size = sizeof(struct kinds_map),
                                    .flags = CAIRN_TYPE_UNTRACKED,
                                    .traverse = dict_traverse,
                                    .traverse_part = kinds_map_traverse_part,
                                    .clear = dict_clear,
                                    .keep = dict_keep,
                                    .untrack = dict_untrack,
                                    .repr = dict_repr,
                                    .hash = kinds_no_hash,
                                    .equal = dict_equal};

const cairn_type *cairn_dict_type(void)
{
    return &kinds_dict_type;
}
