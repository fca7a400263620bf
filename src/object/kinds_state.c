/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_state.c: the state of the built-in kinds in a runtime, their caches, equality of any two objects, and what
 * their descriptions are written with.
 *
 * The state and the table of interned strs are parts of objects to the heap; both are gone when kinds_end() returns.
 * Lock: the GIL; the frames of what nests belong to their thread. */

#include "object/kinds_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "heap/geometry.h"
#include "object/kinds_table.h"
#include "os/os.h"

/* ---- caches ---- */

static void empty_list(struct kinds *kinds, struct kinds_free *list)
{
    while (list->first) {
        cairn_object *object = list->first;
        list->first = *(void **)(void *)(object + 1);
        kinds_cache_take(list, kinds->runtime, false);
        cairn_object_free_block(kinds->runtime, &dead_type, object);
    }
}

static void empty_objects(cairn_cache *cache)
{
    struct kinds *kinds = cache->user;
    struct kinds_free *lists[] = {&kinds->ints, &kinds->floats, &kinds->lists, &kinds->dicts, &kinds->sets};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (lists[i]->cache == cache) {
            empty_list(kinds, lists[i]);
        }
    }
}

static void empty_tuples(cairn_cache *cache)
{
    struct kinds *kinds = cache->user;
    for (size_t i = 0; i <= KINDS_TUPLE_MOST; i++) {
        empty_list(kinds, &kinds->tuples[i]);
    }
}

static void empty_tables(cairn_cache *cache)
{
    kinds_tables_empty(cache->user);
}

static void add_cache(struct kinds *kinds, cairn_cache *cache, const char *name, void (*empty)(cairn_cache *cache))
{
    *cache = (cairn_cache){.name = name, .limit = KINDS_CACHE_MOST, .empty = empty, .user = kinds};
    cairn_cache_add(kinds->runtime, cache);
}

/* Blocks of `size` bytes are kept if they all come from pools of one class. */
static void set_list(struct kinds *kinds, struct kinds_free *list, cairn_cache *cache, size_t size)
{
    const cairn_heap *heap = kinds->runtime->heap;
    bool pooled = size < heap->pooled_end && !heap->meta.region;
    list->cache = cache;
    list->bytes = pooled ? heap->classes[class_of(heap, size)].block_size : 0;
}

static void add_caches(struct kinds *kinds)
{
    add_cache(kinds, &kinds->int_cache, "int", empty_objects);
    add_cache(kinds, &kinds->float_cache, "float", empty_objects);
    add_cache(kinds, &kinds->tuple_cache, "tuple", empty_tuples);
    add_cache(kinds, &kinds->list_cache, "list", empty_objects);
    add_cache(kinds, &kinds->dict_cache, "dict", empty_objects);
    add_cache(kinds, &kinds->set_cache, "set", empty_objects);
    add_cache(kinds, &kinds->table_cache, "key table", empty_tables);
    kinds->tuple_cache.limit = 4 * KINDS_CACHE_MOST; /* of 20 lengths */
    set_list(kinds, &kinds->ints, &kinds->int_cache, kinds_int_type.size);
    set_list(kinds, &kinds->floats, &kinds->float_cache, kinds_float_type.size);
    set_list(kinds, &kinds->lists, &kinds->list_cache, kinds_list_type.size);
    set_list(kinds, &kinds->dicts, &kinds->dict_cache, kinds_dict_type.size);
    set_list(kinds, &kinds->sets, &kinds->set_cache, kinds_set_type.size);
    for (size_t i = 0; i <= KINDS_TUPLE_MOST; i++) {
        set_list(kinds, &kinds->tuples[i], &kinds->tuple_cache, kinds_tuple_type.size + i * sizeof(cairn_object *));
    }
    for (unsigned i = 0; i < KINDS_TABLE_SHAPES; i++) {
        set_list(kinds, &kinds->tables[i], &kinds->table_cache, kinds_table_least_size(i));
    }
}

/* ---- start and end ---- */

/* Called by the end of the runtime, when no object of it dies any more. */
static void kinds_end(cairn_runtime *runtime)
{
    struct kinds *kinds = runtime->kinds;
    cairn_cache *caches[] = {&kinds->int_cache,  &kinds->float_cache, &kinds->tuple_cache, &kinds->list_cache,
                             &kinds->dict_cache, &kinds->set_cache,   &kinds->table_cache};
    for (size_t i = 0; i < sizeof caches / sizeof caches[0]; i++) {
        caches[i]->empty(caches[i]);
        cairn_cache_remove(caches[i]);
    }
    kinds_intern_end(kinds);
    runtime->kinds = NULL;
    runtime->kinds_end = NULL;
    cairn_runtime_free(runtime, kinds);
}

static struct kinds *start(cairn_runtime *runtime, uint64_t seed_0, uint64_t seed_1)
{
    struct kinds *kinds = cairn_runtime_calloc(runtime, 1, sizeof *kinds);
    if (!kinds) {
        return NULL;
    }
    kinds->runtime = runtime;
    kinds->seed[0] = seed_0;
    kinds->seed[1] = seed_1;
    add_caches(kinds);
    runtime->kinds = kinds;
    runtime->kinds_end = kinds_end;
    return kinds;
}

struct kinds *kinds_start(cairn_runtime *runtime)
{
    return start(runtime, os_random(), os_random());
}

int cairn_kinds_set_seed(cairn_runtime *runtime, uint64_t seed)
{
    if (runtime->kinds) {
        return runtime_error(runtime, EBUSY, "the seed must be set before the first object of a kind is made");
    }
    return start(runtime, seed, ~seed) ? 0 : ENOMEM;
}

/* ---- wrong use ---- */

bool kinds_wrong(const cairn_object *object, const cairn_type *type, const char *call)
{
    char sentence[96];
    (void)snprintf(sentence, sizeof sentence, "an object of type %s is needed", type->name);
    cairn_object_report(CAIRN_FAULT_TYPE, call, object, sentence);
    cairn_runtime *runtime = kinds_runtime(object);
    if (runtime) {
        (void)runtime_error(runtime, EINVAL, sentence);
    }
    errno = EINVAL;
    return false;
}

bool kinds_gil_held(const cairn_object *object, const char *call)
{
    const cairn_runtime *runtime = kinds_runtime(object);
    if (!runtime || gil_check(runtime, call)) {
        return true;
    }
    errno = EINVAL;
    return false;
}

/* ---- none ---- */

static size_t none_repr(cairn_object *self, char *text, size_t size)
{
    (void)self;
    struct kinds_text out = {text, size, 0};
    kinds_text_word(&out, "None");
    return out.length;
}

static const cairn_type none_type = {
    .struct_size = sizeof(cairn_type), .name = "NoneType", .size = sizeof(cairn_object), .repr = none_repr};

cairn_object *cairn_none(cairn_runtime *runtime)
{
    struct kinds *kinds = kinds_of(runtime);
    if (!kinds) {
        return NULL;
    }
    if (!kinds->none) {
        kinds->none = cairn_object_new(runtime, &none_type, 0);
        if (!kinds->none) {
            return NULL;
        }
        cairn_object_make_immortal(kinds->none);
    }
    return cairn_incref(kinds->none);
}

/* ---- what nests ---- */

static _Thread_local struct kinds_frame *innermost;

bool kinds_enter(struct kinds_frame *frame, const cairn_object *object, bool *again)
{
    unsigned depth = innermost ? innermost->depth + 1 : 1;
    if (depth > CAIRN_KINDS_DEPTH) {
        errno = ELOOP;
        return false;
    }
    if (again) {
        *again = false;
        for (const struct kinds_frame *at = innermost; at && !*again; at = at->outer) {
            *again = at->object == object;
        }
    }
    *frame = (struct kinds_frame){innermost, object, depth};
    innermost = frame;
    return true;
}

void kinds_leave(const struct kinds_frame *frame)
{
    innermost = frame->outer;
}

/* ---- equality and hashes ---- */

bool cairn_kinds_equal(cairn_object *a, cairn_object *b)
{
    return cairn_object_equal(a, b);
}

bool kinds_no_hash(cairn_object *self, uint64_t *hash)
{
    (void)self;
    (void)hash;
    return false;
}

/* ---- descriptions ---- */

void kinds_text_bytes(struct kinds_text *text, const char *bytes, size_t size)
{
    text->length += size;
    if (text->room == 0) {
        return;
    }
    size_t fits = size < text->room ? size : text->room - 1;
    memcpy(text->at, bytes, fits);
    text->at += fits;
    *text->at = 0;
    text->room -= fits;
}

void kinds_text_format(struct kinds_text *text, const char *format, ...)
{
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (length > 0) {
        kinds_text_bytes(text, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
    }
}

void kinds_text_object(struct kinds_text *text, cairn_object *object)
{
    size_t length = cairn_object_repr(object, text->at, text->room);
    size_t written = length < text->room ? length : text->room ? text->room - 1 : 0;
    text->length += length;
    text->at += written;
    text->room -= written;
}
