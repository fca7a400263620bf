/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_state.h: what the built-in kinds share: their state in a runtime, free lists, small helpers.
 *
 * The state is made at the first use of a kind and found through runtime->kinds. It owns references to the shared
 * objects and to the class of namespaces; what it has in tables (interned strs) or on free lists is not counted.
 *
 * Invariants:
 *   - a free list's blocks are linked behind the header; its cache counts their bytes;
 *   - every function leaves containers whole before it gives a reference up, compares, hashes or makes a container, as
 *     other code may run there; memory is asked for before anything is changed.
 *
 * Lock: the GIL. */

#ifndef CAIRN_OBJECT_KINDS_STATE_H
#define CAIRN_OBJECT_KINDS_STATE_H

#include <errno.h>

#include "cairn_kinds.h"
#include "heap/types.h"
#include "object/runtime.h"

enum {
    KINDS_INT_LEAST = -5, /* shared ints */
    KINDS_INT_MOST = 256,
    KINDS_CHARS = 128,          /* shared strs of one character */
    KINDS_TUPLE_MOST = 20,      /* longest tuples that are kept for reuse */
    KINDS_TABLE_SHAPES = 4,     /* of key tables that are kept for reuse: by words an entry */
    KINDS_CACHE_MOST = 64 << 10 /* bytes that a kind keeps for reuse at most */
};

/* Dead objects of one kind and size, or parts of objects, kept for reuse. */
struct kinds_free {
    cairn_cache *cache;
    void *first;
    size_t bytes; /* of each block; 0: nothing is kept, as blocks of this size do not all come from pools */
};

struct kinds_intern {
    cairn_object **slots; /* NULL: none; KINDS_GONE: removed */
    size_t mask;          /* slots - 1; 0: no table yet */
    size_t live, used;    /* used: live and removed */
};

struct kinds {
    cairn_runtime *runtime;
    uint64_t seed[2];
    cairn_cache int_cache, float_cache, tuple_cache, list_cache, dict_cache, set_cache, table_cache;
    struct kinds_free ints, floats, lists, dicts, sets;
    struct kinds_free tuples[KINDS_TUPLE_MOST + 1];
    struct kinds_free tables[KINDS_TABLE_SHAPES];
    struct kinds_intern intern;
    cairn_object *none, *empty_str, *empty_bytes, *empty_tuple;
    cairn_object *namespace_class;
    cairn_object *shared_ints[KINDS_INT_MOST - KINDS_INT_LEAST + 1];
    cairn_object *shared_chars[KINDS_CHARS];
};

extern const cairn_type kinds_int_type, kinds_float_type, kinds_str_type, kinds_bytes_type, kinds_tuple_type,
    kinds_list_type, kinds_dict_type, kinds_set_type, kinds_class_type;

/* Makes the state; NULL and ENOMEM. */
struct kinds *kinds_start(cairn_runtime *runtime);

static inline struct kinds *kinds_of(cairn_runtime *runtime)
{
    struct kinds *kinds = runtime->kinds;
    return LIKELY(kinds != NULL) ? kinds : kinds_start(runtime);
}

/* The runtime of an object that a kind made. */
static inline cairn_runtime *kinds_runtime(const cairn_object *object)
{
    return object_runtime(object);
}

/* ---- errors ---- */

/* Sets the error and returns NULL. */
static inline void *kinds_fail(cairn_runtime *runtime, int error, const char *text)
{
    (void)runtime_error(runtime, error, text);
    return NULL;
}

/* True if `object` is of the kind and, looked at in debug builds only, the GIL is held; otherwise reports a fault and
 * sets errno to EINVAL. */
bool kinds_wrong(const cairn_object *object, const cairn_type *type, const char *call);
bool kinds_gil_held(const cairn_object *object, const char *call);

static inline bool kinds_is(const cairn_object *object, const cairn_type *type, const char *call)
{
    return DEBUG_HOLDS(kinds_gil_held(object, call)) &&
           (LIKELY(object->type == type) || kinds_wrong(object, type, call));
}

/* ---- free lists: hot paths; what they count is what cairn_cache_put() and cairn_cache_take() count ---- */

static inline bool kinds_cache_put(struct kinds_free *list, cairn_runtime *runtime)
{
    cairn_cache *cache = list->cache;
    size_t bytes = list->bytes, kept = runtime->cached_bytes + bytes;
    if (UNLIKELY(!bytes || cache->bytes + bytes > cache->limit || kept > runtime->cache_limit)) {
        return false;
    }
    cache->count++;
    cache->bytes += bytes;
    runtime->cached_bytes = kept;
    if (UNLIKELY(kept > runtime->cached_peak)) {
        runtime->cached_peak = kept;
    }
    return true;
}

static inline void kinds_cache_take(const struct kinds_free *list, cairn_runtime *runtime, bool hit)
{
    cairn_cache *cache = list->cache;
    cache->count--;
    cache->bytes -= list->bytes;
    cache->hits += hit;
    runtime->cached_bytes -= list->bytes;
}

/* What cairn_object_reuse() does, for a type without weak references. */
static inline cairn_object *kinds_reuse(cairn_runtime *runtime, const cairn_type *type, cairn_object *kept)
{
    if (type != &kinds_int_type && type != &kinds_float_type) {
        before_container(runtime);
        count_container(runtime);
    }
    runtime->objects_made++;
    kept->count = 1;
    kept->type = type;
    return kept;
}

/* A new object of a kind with a free list, contents undefined, not tracked. */
static inline cairn_object *kinds_take(struct kinds_free *list, cairn_runtime *runtime, const cairn_type *type,
                                       size_t items)
{
    cairn_object *object = list->first;
    if (UNLIKELY(!object)) {
        list->cache->misses++;
        return cairn_object_alloc(runtime, type, items);
    }
    list->first = *(void **)(void *)(object + 1);
    kinds_cache_take(list, runtime, true);
    return kinds_reuse(runtime, type, object);
}

/* Keeps a dead object; false if the cache is full. */
static inline bool kinds_keep(struct kinds_free *list, cairn_runtime *runtime, cairn_object *dead)
{
    if (!kinds_cache_put(list, runtime)) {
        return false;
    }
    *(void **)(void *)(dead + 1) = list->first;
    list->first = dead;
    return true;
}

/* Tracks a new container. */
static inline void kinds_track(cairn_object *object)
{
    struct place place = place_in(side_of(pagemap_get(object), object), object);
    track(&place);
}

/* ---- references ---- */

static inline void kinds_incref_all(cairn_object *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cairn_incref(items[i]);
    }
}

static inline void kinds_copy(cairn_object **to, cairn_object *const *from, size_t count)
{
    kinds_incref_all(from, count);
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
}

static inline void kinds_decref_all(cairn_object **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cairn_decref(items[i]);
    }
}

/* Can it be part of a cycle, now or later? A tuple that is untracked can not; other containers can. */
static inline bool kinds_may_be_tracked(const cairn_object *object)
{
    return cairn_type_is_container(object->type) &&
           (object->type != cairn_tuple_type() || cairn_object_is_tracked(object));
}

/* ---- hashes ---- */

uint64_t kinds_hash_bytes(const struct kinds *kinds, const void *data, size_t size);
uint64_t kinds_hash_double(double value, const cairn_object *object);

/* Of a multi-digit int, sign applied. */
uint64_t kinds_hash_digits(bool negative, const uint64_t *digits, size_t count);

#define KINDS_HASH_PRIME ((UINT64_C(1) << 61) - 1)

static inline uint64_t kinds_hash_reduce(uint64_t value)
{
    value = (value & KINDS_HASH_PRIME) + (value >> 61);
    return value >= KINDS_HASH_PRIME ? value - KINDS_HASH_PRIME : value;
}

static inline uint64_t kinds_hash_int64(int64_t value)
{
    return value < 0 ? 0 - kinds_hash_reduce(0 - (uint64_t)value) : kinds_hash_reduce((uint64_t)value);
}

/* Folds a hash into one of a row. */
static inline uint64_t kinds_hash_mix(uint64_t state, uint64_t hash)
{
    unsigned __int128 product = (unsigned __int128)(state ^ UINT64_C(0x9e3779b97f4a7c15)) *
                                (hash ^ UINT64_C(0xd6e8feb86659fd93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The hash of what cannot be a key. */
bool kinds_no_hash(cairn_object *self, uint64_t *hash);

/* ---- descriptions ---- */

/* A text that is being written as snprintf() does. */
struct kinds_text {
    char *at;
    size_t room;   /* bytes left, the final 0's included */
    size_t length; /* of the whole text so far */
};

void kinds_text_bytes(struct kinds_text *text, const char *bytes, size_t size);
void kinds_text_format(struct kinds_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kinds_text_object(struct kinds_text *text, cairn_object *object);

static inline void kinds_text_word(struct kinds_text *text, const char *word)
{
    kinds_text_bytes(text, word, __builtin_strlen(word));
}

/* Around what nests: descriptions (`again` is set if the object is being described already), comparisons, hashes. False
 * if it is too deep; then kinds_leave() must not be called. */
struct kinds_frame {
    struct kinds_frame *outer;
    const cairn_object *object;
    unsigned depth;
};
bool kinds_enter(struct kinds_frame *frame, const cairn_object *object, bool *again);
void kinds_leave(const struct kinds_frame *frame);

/* ---- between the kinds ---- */

/* int: sign and digits, whatever the size. `small` is room for the one digit of a small one. */
struct kinds_number {
    const uint64_t *digits;
    size_t count; /* 0 for zero */
    bool negative;
    uint64_t small;
};
void kinds_number_get(cairn_object *number, struct kinds_number *parts);
bool kinds_int_equals_double(cairn_object *number, double value);

/* str */
struct kinds_str {
    cairn_object object;
    uint64_t hash;    /* 0: not yet known */
    size_t size : 62; /* bytes */
    size_t interned : 1;
    size_t wide : 1; /* not ASCII: the length in code points is stored behind the text */
    char text[];
};

static inline struct kinds_str *kinds_str_of(const cairn_object *str)
{
    return (struct kinds_str *)(uintptr_t)str;
}

uint64_t kinds_str_hash_slow(struct kinds_str *str);

static inline uint64_t kinds_str_hash(struct kinds_str *str)
{
    return LIKELY(str->hash != 0) ? str->hash : kinds_str_hash_slow(str);
}

static inline bool kinds_str_same(const struct kinds_str *a, const struct kinds_str *b)
{
    return a->size == b->size && __builtin_memcmp(a->text, b->text, a->size) == 0;
}

/* An object's hash; false if it cannot be a key. */
static inline bool kinds_hash(cairn_object *object, uint64_t *hash)
{
    if (LIKELY(object->type == &kinds_str_type)) {
        *hash = kinds_str_hash(kinds_str_of(object));
        return true;
    }
    return LIKELY(object->type->hash != NULL) ? object->type->hash(object, hash) : cairn_object_hash(object, hash) == 0;
}

/* Removes a dying str from the table of interned ones. intern.c */
void kinds_intern_remove(struct kinds *kinds, struct kinds_str *str);
void kinds_intern_end(struct kinds *kinds);

/* Keys tables that are kept for reuse. table.c */
void kinds_tables_empty(struct kinds *kinds);

#endif
