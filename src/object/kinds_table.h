/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_table.h: key tables: from keys to values, or keys alone, in order of insertion; and maps, the objects that
 * have one.
 *
 *   +--------+------------------------------+-----------------------------------------------+
 *   | header | index: 2^bits numbers of 1,  | entries: key, value (if any), hash (if kept)   |
 *   |        | 2, 4 or 8 bytes              | in order of insertion                          |
 *   +--------+------------------------------+-----------------------------------------------+
 *
 * The index is open addressing: a number leads to an entry, or says that the search ends (EMPTY) or goes on (GONE).
 * Entries have no hash as long as all keys are strs, which remember theirs.
 *
 * Invariants (kinds_map_check):
 *   - each live entry has exactly one number in the index, on the search path of its hash;
 *   - EMPTY numbers exist: numbers that are not EMPTY plus `free` are at most two thirds of the index;
 *   - `used` entries of the first `filled` are live, the others of these have the key NULL, and the last is live;
 *   - entries from `filled` on: `free` of them at least are there;
 *   - a map's version changes with every key that is added or removed.
 *
 * A comparison of keys may run other code, which may change the map: kinds_map_find() then starts again. Nothing else
 * here runs other code but where a reference is given up, which callers do when the map is whole. Lock: the GIL. */

#ifndef CAIRN_OBJECT_KINDS_TABLE_H
#define CAIRN_OBJECT_KINDS_TABLE_H

#include "object/kinds_state.h"

struct kinds_table {
    size_t used;
    size_t filled;
    uint32_t free;   /* entries that may still be added before it is rebuilt; what is removed does not come back */
    uint8_t bits;    /* of the index */
    uint8_t width;   /* bytes of a number in it, as a power of 2 */
    uint8_t stride;  /* words of an entry */
    bool values : 1; /* entries have values */
    bool hashes : 1; /* entries have hashes */
    bool least : 1;  /* of the smallest shape: kept for reuse */
};

_Static_assert(sizeof(struct kinds_table) == 24, "the smallest key table of strs and values has 112 bytes");

/* An object with a key table. */
struct kinds_map {
    cairn_object object;
    struct kinds_table *table; /* NULL: empty */
    uint64_t version;
};

enum { KINDS_BITS_LEAST = 3 };
#define KINDS_NOT_FOUND ((size_t)-1)

static inline struct kinds_map *kinds_map_of(cairn_object *object)
{
    return (struct kinds_map *)(void *)object;
}

static inline size_t kinds_map_size(const struct kinds_map *map)
{
    return map->table ? map->table->used : 0;
}

static inline size_t kinds_map_filled(const struct kinds_map *map)
{
    return map->table ? map->table->filled : 0;
}

/* Words of entry `i`. */
static inline cairn_object **kinds_entry(const struct kinds_table *table, size_t i)
{
    char *entries = (char *)(uintptr_t)(table + 1) + ((size_t)1 << (table->bits + table->width));
    return (cairn_object **)(void *)entries + i * table->stride;
}

/* The key of entry `i`: NULL if it was removed. The value's place. */
static inline cairn_object *kinds_key(const struct kinds_table *table, size_t i)
{
    return kinds_entry(table, i)[0];
}

static inline cairn_object **kinds_value(const struct kinds_table *table, size_t i)
{
    return &kinds_entry(table, i)[1];
}

static inline uint64_t kinds_entry_hash(const struct kinds_table *table, size_t i)
{
    cairn_object **entry = kinds_entry(table, i);
    return table->hashes ? (uint64_t)(uintptr_t)entry[1 + table->values] : kinds_str_of(entry[0])->hash;
}

static inline void kinds_map_init(struct kinds_map *map)
{
    map->table = NULL;
    map->version = 1;
}

/* The entry of a key with this hash, or KINDS_NOT_FOUND. May run other code, and then may find the map changed. */
size_t kinds_map_find_any(struct kinds_map *map, cairn_object *key, uint64_t hash);
size_t kinds_find_str(const struct kinds_table *table, const cairn_object *key, uint64_t hash);

static inline size_t kinds_map_find(struct kinds_map *map, cairn_object *key, uint64_t hash)
{
    const struct kinds_table *table = map->table;
    if (UNLIKELY(!table)) {
        return KINDS_NOT_FOUND;
    }
    if (LIKELY(!table->hashes && key->type == &kinds_str_type)) {
        return kinds_find_str(table, key, hash);
    }
    return kinds_map_find_any(map, key, hash);
}

/* Adds an entry for a key that is not there; counts references. `value` NULL: a map of keys alone. `room`: entries
 * that a first table gets room for, 0: the least. False and ENOMEM. */
bool kinds_map_add(struct kinds_map *map, cairn_object *key, uint64_t hash, cairn_object *value, size_t room);

/* Takes entry `i` out; the references are the caller's. */
void kinds_map_take(struct kinds_map *map, size_t i, cairn_object **key, cairn_object **value);

/* The newest entry; there must be one. */
static inline size_t kinds_map_last(const struct kinds_map *map)
{
    return map->table->filled - 1;
}

/* Removes all entries; gives the references up. */
void kinds_map_clear(struct kinds_map *map);

/* Makes an empty map a copy of another one's entries. False and ENOMEM. */
bool kinds_map_copy(struct kinds_map *map, const struct kinds_map *from);

/* The next live entry at or behind position->index, which is set behind it: 0, ENOENT at the end, EBUSY if the map has
 * changed since the walk began. */
int kinds_map_next(struct kinds_map *map, cairn_position *position, size_t *i);

void kinds_map_traverse(const struct kinds_map *map, cairn_visit visit, void *arg);
size_t kinds_map_traverse_part(cairn_object *self, size_t from, cairn_visit visit, void *arg); /* of a map alone */

/* Does it hold only what cannot be part of a cycle? */
bool kinds_map_is_plain(const struct kinds_map *map);

/* Says that an object cannot be a key: EINVAL, an error of the runtime that `holder` is in. False. */
bool kinds_no_key(const cairn_object *holder, const cairn_object *key);

/* The hash of a key for `holder`; false and an error if it is none. */
static inline bool kinds_key_hash(const cairn_object *holder, cairn_object *key, uint64_t *hash)
{
    return LIKELY(kinds_hash(key, hash)) || kinds_no_key(holder, key);
}

/* Bytes of the smallest table whose entries have so many words. */
size_t kinds_table_least_size(unsigned stride);

/* For tests: counts what breaks the invariants; makes an empty map's table with numbers of 2^width bytes. */
size_t kinds_map_check(const struct kinds_map *map);
bool kinds_map_force_width(struct kinds_map *map, unsigned bits, unsigned width, bool values);

#endif
