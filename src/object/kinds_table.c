/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_table.c: key tables; see kinds_table.h. Lock: the GIL. */

#include "object/kinds_table.h"

#include <stdio.h>
#include <string.h>

enum { EMPTY = -1, GONE = -2, BITS_MOST = 46 };

/* ---- the index ---- */

/* `width` is the table's; a constant where it is known. */
static inline ptrdiff_t number_of_width(const struct kinds_table *table, size_t slot, unsigned width)
{
    const void *index = table + 1;
    switch (width) {
    case 0:
        return ((const int8_t *)index)[slot];
    case 1:
        return ((const int16_t *)index)[slot];
    case 2:
        return ((const int32_t *)index)[slot];
    default:
        return (ptrdiff_t)((const int64_t *)index)[slot];
    }
}

static inline ptrdiff_t number_at(const struct kinds_table *table, size_t slot)
{
    return number_of_width(table, slot, table->width);
}

static inline void set_number(struct kinds_table *table, size_t slot, ptrdiff_t number)
{
    void *index = table + 1;
    switch (table->width) {
    case 0:
        ((int8_t *)index)[slot] = (int8_t)number;
        break;
    case 1:
        ((int16_t *)index)[slot] = (int16_t)number;
        break;
    case 2:
        ((int32_t *)index)[slot] = (int32_t)number;
        break;
    default:
        ((int64_t *)index)[slot] = number;
        break;
    }
}

/* The slots that a hash leads to, one after the other: in the end all of them, as 5 i + 1 modulo a power of 2 does; the
 * upper bits of the hash come in first. */
struct path {
    size_t mask;
    size_t slot;
    uint64_t rest;
};

static inline struct path path_of(const struct kinds_table *table, uint64_t hash)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    return (struct path){mask, hash & mask, hash};
}

static inline void path_next(struct path *path)
{
    path->rest >>= 5;
    path->slot = (path->slot * 5 + path->rest + 1) & path->mask;
}

/* Enters an entry of a key that is not in the index. */
static inline void enter(struct kinds_table *table, size_t i, uint64_t hash)
{
    struct path path = path_of(table, hash);
    if (LIKELY(table->width == 0)) {
        int8_t *index = (int8_t *)(table + 1);
        while (index[path.slot] >= 0) {
            path_next(&path);
        }
        index[path.slot] = (int8_t)i;
        return;
    }
    while (number_at(table, path.slot) >= 0) {
        path_next(&path);
    }
    set_number(table, path.slot, (ptrdiff_t)i);
}

/* ---- memory ---- */

static size_t entries_for(unsigned bits)
{
    return ((size_t)2 << bits) / 3;
}

static unsigned bits_for(size_t slots)
{
    unsigned bits = KINDS_BITS_LEAST;
    while (bits < BITS_MOST && ((size_t)1 << bits) < slots) {
        bits++;
    }
    return bits;
}

static unsigned width_for(unsigned bits)
{
    return bits <= 7 ? 0 : bits <= 15 ? 1 : bits <= 31 ? 2 : 3;
}

/* What is asked of a table that is to be made. */
struct shape {
    unsigned bits, width;
    size_t entries;
    bool values, hashes;
};

static unsigned stride_of(const struct shape *shape)
{
    return 1u + shape->values + shape->hashes;
}

static size_t index_bytes(const struct shape *shape)
{
    return (size_t)1 << shape->bits << shape->width;
}

static bool is_least(const struct shape *shape)
{
    return shape->bits == KINDS_BITS_LEAST && shape->entries == entries_for(KINDS_BITS_LEAST) && shape->width == 0;
}

size_t kinds_table_least_size(unsigned stride)
{
    return sizeof(struct kinds_table) + ((size_t)1 << KINDS_BITS_LEAST) +
           entries_for(KINDS_BITS_LEAST) * stride * sizeof(cairn_object *);
}

static void *take_kept(struct kinds *kinds, unsigned stride)
{
    struct kinds_free *list = &kinds->tables[stride];
    void *block = list->first;
    if (LIKELY(block != NULL)) {
        list->first = *(void **)block;
        kinds_cache_take(list, kinds->runtime, true);
    } else {
        list->cache->misses++;
    }
    return block;
}

static struct kinds_table *make(struct kinds *kinds, const struct shape *shape)
{
    unsigned stride = stride_of(shape);
    size_t entries = shape->entries < UINT32_MAX ? shape->entries : UINT32_MAX;
    bool least = is_least(shape);
    if (shape->bits >= BITS_MOST) {
        return kinds_fail(kinds->runtime, ENOMEM, "a key table has too many entries");
    }
    struct kinds_table *table = least ? take_kept(kinds, stride) : NULL;
    if (!table) {
        size_t bytes = sizeof *table + index_bytes(shape) + entries * stride * sizeof(cairn_object *);
        table = cairn_runtime_alloc(kinds->runtime, bytes);
        if (!table) {
            return NULL;
        }
    }
    *table = (struct kinds_table){.free = (uint32_t)entries,
                                  .bits = (uint8_t)shape->bits,
                                  .width = (uint8_t)shape->width,
                                  .stride = (uint8_t)stride,
                                  .values = shape->values,
                                  .hashes = shape->hashes,
                                  .least = least};
    memset(table + 1, 0xff, index_bytes(shape)); /* EMPTY */
    return table;
}

static void drop(struct kinds *kinds, struct kinds_table *table)
{
    struct kinds_free *list = &kinds->tables[table->stride];
    if (table->least && kinds_cache_put(list, kinds->runtime)) {
        *(void **)(void *)table = list->first;
        list->first = table;
        return;
    }
    cairn_runtime_free(kinds->runtime, table);
}

/* The table of a map that dies at the end of the runtime, after the kinds' state, is freed all the same. */
static void drop_of(struct kinds_map *map, struct kinds_table *table)
{
    cairn_runtime *runtime = kinds_runtime(&map->object);
    if (runtime->kinds) {
        drop(runtime->kinds, table);
    } else {
        cairn_runtime_free(runtime, table);
    }
}

void kinds_tables_empty(struct kinds *kinds)
{
    for (size_t i = 0; i < KINDS_TABLE_SHAPES; i++) {
        struct kinds_free *list = &kinds->tables[i];
        while (list->first) {
            void *block = list->first;
            list->first = *(void **)block;
            kinds_cache_take(list, kinds->runtime, false);
            cairn_runtime_free(kinds->runtime, block);
        }
    }
}

/* ---- search ---- */

static inline size_t find_str(const struct kinds_table *table, const cairn_object *key, uint64_t hash, unsigned width)
{
    for (struct path path = path_of(table, hash);; path_next(&path)) {
        ptrdiff_t i = number_of_width(table, path.slot, width);
        if (i >= 0) {
            const cairn_object *at = kinds_key(table, (size_t)i);
            if (at == key || (kinds_str_of(at)->hash == hash && kinds_str_same(kinds_str_of(at), kinds_str_of(key)))) {
                return (size_t)i;
            }
        } else if (i == EMPTY) {
            return KINDS_NOT_FOUND;
        }
    }
}

/* Both the key and all keys of the table are strs: no other code runs. */
size_t kinds_find_str(const struct kinds_table *table, const cairn_object *key, uint64_t hash)
{
    return LIKELY(table->width == 0) ? find_str(table, key, hash, 0) : find_str(table, key, hash, table->width);
}

/* Compares an entry's key with equal hash; *changed if the map has changed meanwhile. */
static bool is_key(struct kinds_map *map, cairn_object *at, cairn_object *key, bool *changed)
{
    const struct kinds_table *table = map->table;
    uint64_t version = map->version;
    cairn_incref(at);
    bool equal = cairn_kinds_equal(at, key);
    cairn_decref(at);
    *changed = map->table != table || map->version != version;
    return equal;
}

/* One search; *changed: it has to be done again. */
static size_t find_any(struct kinds_map *map, cairn_object *key, uint64_t hash, bool *changed)
{
    const struct kinds_table *table = map->table;
    *changed = false;
    if (!table) {
        return KINDS_NOT_FOUND;
    }
    for (struct path path = path_of(table, hash);; path_next(&path)) {
        ptrdiff_t i = number_at(table, path.slot);
        if (i == EMPTY) {
            return KINDS_NOT_FOUND;
        }
        if (i >= 0) {
            cairn_object *at = kinds_key(table, (size_t)i);
            if (at == key) {
                return (size_t)i;
            }
            if (kinds_entry_hash(table, (size_t)i) == hash) {
                bool equal = is_key(map, at, key, changed);
                if (equal || *changed) {
                    return (size_t)i;
                }
            }
        }
    }
}

size_t kinds_map_find_any(struct kinds_map *map, cairn_object *key, uint64_t hash)
{
    for (;;) {
        bool changed;
        size_t i = find_any(map, key, hash, &changed);
        if (!changed) {
            return i;
        }
    }
}

bool kinds_no_key(const cairn_object *holder, const cairn_object *key)
{
    char text[96];
    (void)snprintf(text, sizeof text, "an object of type %s cannot be a key", key->type->name);
    (void)runtime_error(kinds_runtime(holder), EINVAL, text);
    return false;
}

/* ---- change ---- */

static inline __attribute__((always_inline)) void put(struct kinds_table *table, cairn_object *key, uint64_t hash,
                                                      cairn_object *value)
{
    size_t i = table->filled++;
    cairn_object **entry = kinds_entry(table, i);
    entry[0] = key;
    if (table->values) {
        entry[1] = value;
    }
    if (table->hashes) {
        entry[1 + table->values] = (cairn_object *)(uintptr_t)hash;
    }
    enter(table, i, hash);
    table->used++;
    table->free--;
}

/* Puts the live entries of a table into a new, larger one, in order; references are not counted. */
static void put_all(struct kinds_table *table, const struct kinds_table *from)
{
    if (from->used == from->filled && from->hashes == table->hashes) {
        memcpy(kinds_entry(table, 0), kinds_entry(from, 0), from->filled * from->stride * sizeof(cairn_object *));
        for (size_t i = 0; i < from->filled; i++) {
            enter(table, i, kinds_entry_hash(table, i));
        }
        table->used = table->filled = from->filled;
        table->free -= (uint32_t)from->filled;
        return;
    }
    for (size_t i = 0; i < from->filled; i++) {
        cairn_object *key = kinds_key(from, i);
        if (key) {
            put(table, key, kinds_entry_hash(from, i), from->values ? *kinds_value(from, i) : NULL);
        }
    }
}

/* Room for as many entries more as there are. */
static __attribute__((noinline)) bool grow(struct kinds_map *map, bool values, bool hashes, size_t room)
{
    struct kinds *kinds = kinds_runtime(&map->object)->kinds;
    struct kinds_table *old = map->table;
    struct shape shape = {.values = values, .hashes = hashes || (old && old->hashes)};
    if (old || room == 0) {
        shape.bits = bits_for(kinds_map_size(map) * 3);
        shape.entries = entries_for(shape.bits);
    } else {
        shape.bits = bits_for(room + room / 2 + 1);
        shape.entries = room;
    }
    shape.width = width_for(shape.bits);
    struct kinds_table *table = make(kinds, &shape);
    if (!table) {
        return false;
    }
    if (old) {
        put_all(table, old);
        drop(kinds, old);
    }
    map->table = table;
    return true;
}

bool kinds_map_add(struct kinds_map *map, cairn_object *key, uint64_t hash, cairn_object *value, size_t room)
{
    const struct kinds_table *table = map->table;
    bool hashes = key->type != &kinds_str_type;
    if (UNLIKELY(!table || table->free == 0 || (hashes && !table->hashes))) {
        if (!grow(map, value != NULL, hashes, room)) {
            return false;
        }
    }
    cairn_incref(key);
    (void)cairn_xincref(value);
    put(map->table, key, hash, value);
    map->version++;
    return true;
}

void kinds_map_take(struct kinds_map *map, size_t i, cairn_object **key, cairn_object **value)
{
    struct kinds_table *table = map->table;
    struct path path = path_of(table, kinds_entry_hash(table, i));
    while (number_at(table, path.slot) != (ptrdiff_t)i) {
        path_next(&path);
    }
    set_number(table, path.slot, GONE);
    *key = kinds_key(table, i);
    *value = table->values ? *kinds_value(table, i) : NULL;
    kinds_entry(table, i)[0] = NULL;
    table->used--;
    while (table->filled && !kinds_key(table, table->filled - 1)) {
        table->filled--;
    }
    map->version++;
}

void kinds_map_clear(struct kinds_map *map)
{
    struct kinds_table *table = map->table;
    if (!table) {
        return;
    }
    map->table = NULL;
    map->version++;
    for (size_t i = 0; i < table->filled; i++) {
        if (kinds_key(table, i)) {
            cairn_decref(kinds_key(table, i));
            if (table->values) {
                cairn_decref(*kinds_value(table, i));
            }
        }
    }
    drop_of(map, table);
}

bool kinds_map_copy(struct kinds_map *map, const struct kinds_map *from)
{
    const struct kinds_table *source = from->table;
    if (!source || !source->used) {
        return true;
    }
    struct shape shape = {.values = source->values, .hashes = source->hashes};
    shape.bits = bits_for(source->used + source->used / 2 + 1);
    shape.entries = entries_for(shape.bits);
    shape.width = width_for(shape.bits);
    struct kinds_table *table = make(kinds_runtime(&map->object)->kinds, &shape);
    if (!table) {
        return false;
    }
    put_all(table, source);
    for (size_t i = 0; i < table->filled; i++) {
        cairn_incref(kinds_key(table, i));
        if (table->values) {
            cairn_incref(*kinds_value(table, i));
        }
    }
    map->table = table;
    map->version++;
    return true;
}

/* ---- walks ---- */

int kinds_map_next(struct kinds_map *map, cairn_position *position, size_t *i)
{
    if (!position->version) {
        position->version = map->version;
    } else if (UNLIKELY(position->version != map->version)) {
        return EBUSY;
    }
    size_t at = position->index, filled = kinds_map_filled(map);
    while (at < filled && !kinds_key(map->table, at)) {
        at++;
    }
    position->index = at + 1;
    *i = at;
    return at < filled ? 0 : ENOENT;
}

static void traverse_entries(const struct kinds_table *table, size_t from, size_t end, cairn_visit visit, void *arg)
{
    for (size_t i = from; i < end; i++) {
        cairn_object *key = kinds_key(table, i);
        if (key) {
            visit(key, arg);
            if (table->values) {
                visit(*kinds_value(table, i), arg);
            }
        }
    }
}

void kinds_map_traverse(const struct kinds_map *map, cairn_visit visit, void *arg)
{
    traverse_entries(map->table, 0, kinds_map_filled(map), visit, arg);
}

size_t kinds_map_traverse_part(cairn_object *self, size_t from, cairn_visit visit, void *arg)
{
    const struct kinds_map *map = kinds_map_of(self);
    size_t filled = kinds_map_filled(map);
    size_t end = from + PART_MOST / 2 < filled ? from + PART_MOST / 2 : filled;
    traverse_entries(map->table, from, end, visit, arg);
    return end < filled ? end : 0;
}

bool kinds_map_is_plain(const struct kinds_map *map)
{
    const struct kinds_table *table = map->table;
    for (size_t i = 0, filled = kinds_map_filled(map); i < filled; i++) {
        cairn_object *key = kinds_key(table, i);
        if (key && (kinds_may_be_tracked(key) || (table->values && kinds_may_be_tracked(*kinds_value(table, i))))) {
            return false;
        }
    }
    return true;
}

/* ---- for tests ---- */

/* Numbers in the index that lead to an entry, and whether one is on the path of the entry's hash. */
static size_t check_entry(const struct kinds_table *table, size_t i)
{
    size_t numbers = 0, slots = (size_t)1 << table->bits;
    for (size_t slot = 0; slot < slots; slot++) {
        numbers += number_at(table, slot) == (ptrdiff_t)i;
    }
    struct path path = path_of(table, kinds_entry_hash(table, i));
    while (number_at(table, path.slot) != EMPTY && number_at(table, path.slot) != (ptrdiff_t)i) {
        path_next(&path);
    }
    return (size_t)(numbers != 1) + (size_t)(number_at(table, path.slot) == EMPTY);
}

size_t kinds_map_check(const struct kinds_map *map)
{
    const struct kinds_table *table = map->table;
    if (!table) {
        return 0;
    }
    size_t faults = 0, live = 0, taken = 0, slots = (size_t)1 << table->bits;
    for (size_t i = 0; i < table->filled; i++) {
        if (kinds_key(table, i)) {
            live++;
            faults += check_entry(table, i);
        }
    }
    for (size_t slot = 0; slot < slots; slot++) {
        taken += number_at(table, slot) != EMPTY;
    }
    faults += live != table->used;
    faults += taken + table->free > entries_for(table->bits);
    faults += table->filled && !kinds_key(table, table->filled - 1);
    return faults;
}

bool kinds_map_force_width(struct kinds_map *map, unsigned bits, unsigned width, bool values)
{
    struct shape shape = {.bits = bits, .width = width, .entries = entries_for(bits), .values = values};
    map->table = make(kinds_runtime(&map->object)->kinds, &shape);
    return map->table != NULL;
}
