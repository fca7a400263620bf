/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* weak_table.c: tables whose keys or values are held weakly.
 *
 * Entries lie in an array in order of insertion; an index finds them by hash: open addressing, linear, its cells hold
 * the number of an entry plus 1, 0 (never used) or GONE. A side that is held weakly is a struct table_weak, whose
 * callback takes the entry out. An entry without a key is out.
 *
 * Invariants: `live` counts the entries with a key; each of these has one cell; cells in use, GONE ones included, are
 * at most three quarters of all; entries are moved (compact) only while nobody visits.
 *
 * Comparing and dropping may run any code, which may change the table: what was found before counts only while
 * `version` is the same.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>
#include <string.h>

#define GONE UINT32_MAX

enum { CELLS_FIRST = 8 };

struct entry {
    uint64_t hash;
    cairn_object *key; /* counted: the object, or its struct table_weak; NULL: out */
    cairn_object *value;
};

struct cairn_weak_table {
    cairn_object object;
    unsigned weak;
    unsigned visits; /* under way */
    struct entry *entries;
    size_t count, room; /* entries in use, out or not, and allocated */
    uint32_t *cells;
    size_t cell_count, cells_used;
    size_t live;
    uint64_t version;
};

/* ---- sides ---- */

static cairn_weak_table *table_of(cairn_object *object)
{
    return (cairn_weak_table *)(void *)object;
}

static cairn_weak *weak_of(cairn_object *side)
{
    return (cairn_weak *)(void *)side;
}

/* A new reference to what a side stands for; NULL if it is dead. */
static cairn_object *side_get(const cairn_weak_table *table, unsigned which, cairn_object *side)
{
    return table->weak & which ? cairn_weak_get(weak_of(side)) : cairn_incref(side);
}

static bool side_is_dead(const cairn_weak_table *table, unsigned which, cairn_object *side)
{
    return (table->weak & which) && cairn_weak_is_dead(weak_of(side));
}

static bool entry_is_live(const cairn_weak_table *table, const struct entry *entry)
{
    return entry->key && !side_is_dead(table, CAIRN_WEAK_KEYS, entry->key) &&
           !side_is_dead(table, CAIRN_WEAK_VALUES, entry->value);
}

/* Gives a side up that is in no entry any more. */
static void side_drop(const cairn_weak_table *table, unsigned which, cairn_object *side)
{
    if (table->weak & which) {
        ((struct table_weak *)(void *)side)->table = NULL;
        cairn_weak_clear(weak_of(side));
    }
    cairn_decref(side);
}

static void entry_died(cairn_weak *weak, cairn_object *context);

static cairn_object *side_make(cairn_weak_table *table, unsigned which, cairn_object *object, size_t entry)
{
    if (!(table->weak & which)) {
        return cairn_incref(object);
    }
    struct table_weak *made = table_weak_new(object_runtime(&table->object), object, entry_died);
    if (!made) {
        return NULL;
    }
    made->table = table;
    made->entry = entry;
    return &made->weak.object;
}

/* ---- the index ---- */

static size_t first_cell(const cairn_weak_table *table, uint64_t hash)
{
    return (size_t)(hash * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (table->cell_count - 1);
}

static uint32_t *cell_of(const cairn_weak_table *table, size_t entry)
{
    size_t i = first_cell(table, table->entries[entry].hash);
    while (table->cells[i] != entry + 1) {
        i = (i + 1) & (table->cell_count - 1);
    }
    return &table->cells[i];
}

static void index_entry(cairn_weak_table *table, size_t entry)
{
    size_t i = first_cell(table, table->entries[entry].hash);
    while (table->cells[i]) {
        i = (i + 1) & (table->cell_count - 1);
    }
    table->cells[i] = (uint32_t)(entry + 1);
    table->cells_used++;
}

static void set_place(const cairn_weak_table *table, const struct entry *entry, size_t i)
{
    if (table->weak & CAIRN_WEAK_KEYS) {
        ((struct table_weak *)(void *)entry->key)->entry = i;
    }
    if (table->weak & CAIRN_WEAK_VALUES) {
        ((struct table_weak *)(void *)entry->value)->entry = i;
    }
}

/* Moves entries together, unless they are being visited. */
static void compact(cairn_weak_table *table)
{
    if (table->visits) {
        return;
    }
    size_t to = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].key) {
            table->entries[to] = table->entries[i];
            set_place(table, &table->entries[to], to);
            to++;
        }
    }
    table->count = to;
}

/* Makes room for one more entry. Returns 0 or ENOMEM. */
static int make_room(cairn_weak_table *table)
{
    bool entries_full = table->count == table->room;
    bool cells_full = (table->cells_used + 1) * 4 > table->cell_count * 3;
    if (!entries_full && !cells_full) {
        return 0;
    }
    size_t cells = CELLS_FIRST;
    size_t most = table->visits ? table->count : table->live;
    while ((most + 1) * 2 > cells) {
        cells *= 2;
    }
    cairn_runtime *runtime = object_runtime(&table->object);
    size_t room = cells / 4 * 3;
    if (room >= GONE) {
        return ENOMEM;
    }
    uint32_t *index = cairn_runtime_calloc(runtime, cells, sizeof *index);
    struct entry *entries = index && room > table->room
                                ? cairn_runtime_realloc(runtime, table->entries, room * sizeof *entries)
                                : table->entries;
    if (!index || (room > table->room && !entries)) {
        cairn_runtime_free(runtime, index);
        return ENOMEM;
    }
    table->version++;
    table->entries = entries;
    table->room = room > table->room ? room : table->room;
    cairn_runtime_free(runtime, table->cells);
    table->cells = index;
    table->cell_count = cells;
    table->cells_used = 0;
    compact(table);
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].key) {
            index_entry(table, i);
        }
    }
    return 0;
}

/* ---- entries ---- */

/* Takes an entry out. */
static void take_out(cairn_weak_table *table, size_t i)
{
    struct entry entry = table->entries[i];
    *cell_of(table, i) = GONE;
    table->entries[i].key = table->entries[i].value = NULL;
    table->live--;
    table->version++;
    side_drop(table, CAIRN_WEAK_KEYS, entry.key);
    side_drop(table, CAIRN_WEAK_VALUES, entry.value);
}

static void entry_died(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    const struct table_weak *side = (const struct table_weak *)(const void *)weak;
    if (side->table) {
        take_out(side->table, side->entry);
    }
}

struct matching {
    uint64_t hash;
    bool (*match)(cairn_object *key, void *arg);
    void *arg;
};

enum { NOT_FOUND = -1, CHANGED = -2 };

/* Does an entry match? The comparison may change the table: CHANGED. */
static int compare(cairn_weak_table *table, const struct entry *entry, const struct matching *matching)
{
    cairn_object *key = side_get(table, CAIRN_WEAK_KEYS, entry->key);
    if (!key) {
        return 0;
    }
    uint64_t version = table->version;
    bool equal = matching->match(key, matching->arg);
    cairn_decref(key);
    return version == table->version ? equal : CHANGED;
}

static ptrdiff_t look(cairn_weak_table *table, const struct matching *matching)
{
    size_t i = table->cell_count ? first_cell(table, matching->hash) : 0;
    for (size_t looked = 0; looked < table->cell_count && table->cells[i]; looked++) {
        uint32_t cell = table->cells[i];
        i = (i + 1) & (table->cell_count - 1);
        if (cell == GONE || table->entries[cell - 1].hash != matching->hash ||
            !entry_is_live(table, &table->entries[cell - 1])) {
            continue;
        }
        int result = compare(table, &table->entries[cell - 1], matching);
        if (result) {
            return result == CHANGED ? CHANGED : (ptrdiff_t)cell - 1;
        }
    }
    return NOT_FOUND;
}

/* The live entry that matches, or NOT_FOUND. */
static ptrdiff_t find(cairn_weak_table *table, const struct matching *matching)
{
    ptrdiff_t found;
    do {
        found = look(table, matching);
    } while (found == CHANGED);
    return found;
}

static bool match_equal(cairn_object *key, void *arg)
{
    return cairn_object_equal(key, arg);
}

/* ---- the public functions ---- */

static void traverse_table(cairn_object *self, cairn_visit visit, void *arg)
{
    const cairn_weak_table *table = table_of(self);
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].key && !(table->weak & CAIRN_WEAK_KEYS)) {
            visit(table->entries[i].key, arg);
        }
        if (table->entries[i].key && !(table->weak & CAIRN_WEAK_VALUES)) {
            visit(table->entries[i].value, arg);
        }
    }
}

static void clear_table(cairn_object *self)
{
    cairn_weak_table *table = table_of(self);
    cairn_runtime *runtime = object_runtime(self);
    struct entry *entries = table->entries;
    size_t count = table->count;
    cairn_runtime_free(runtime, table->cells);
    table->cells = NULL;
    table->entries = NULL;
    table->count = table->room = table->cell_count = table->cells_used = table->live = 0;
    table->version++;
    for (size_t i = 0; i < count; i++) { /* none of them may find its way back here */
        if (entries[i].key && (table->weak & CAIRN_WEAK_KEYS)) {
            ((struct table_weak *)(void *)entries[i].key)->table = NULL;
        }
        if (entries[i].key && (table->weak & CAIRN_WEAK_VALUES)) {
            ((struct table_weak *)(void *)entries[i].value)->table = NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].key) {
            side_drop(table, CAIRN_WEAK_KEYS, entries[i].key);
            side_drop(table, CAIRN_WEAK_VALUES, entries[i].value);
        }
    }
    cairn_runtime_free(runtime, entries);
}

static const cairn_type table_type = {
    .struct_size = sizeof(cairn_type),
    .name = "weak table",
    .size = sizeof(cairn_weak_table),
    .traverse = traverse_table,
    .clear = clear_table,
};

const cairn_type *cairn_weak_table_type(void)
{
    return &table_type;
}

cairn_weak_table *cairn_weak_table_new(cairn_runtime *runtime, unsigned weak)
{
    if (!weak || (weak & ~(unsigned)(CAIRN_WEAK_KEYS | CAIRN_WEAK_VALUES))) {
        (void)runtime_error(runtime, EINVAL, "a weak table holds its keys, its values, or both weakly");
        return NULL;
    }
    cairn_weak_table *table = table_of(cairn_object_new(runtime, &table_type, 0));
    if (table) {
        table->weak = weak;
    }
    return table;
}

static bool can_be_weak(const cairn_weak_table *table, unsigned which, const cairn_object *object)
{
    return !(table->weak & which) || (object->type->weak_offset && object_runtime(object));
}

/* Adds an entry, or gives the one there is a new value. */
static int put(cairn_weak_table *table, const struct matching *matching, cairn_object *key, cairn_object *value)
{
    cairn_object *new_key = side_make(table, CAIRN_WEAK_KEYS, key, 0);
    cairn_object *new_value = new_key ? side_make(table, CAIRN_WEAK_VALUES, value, 0) : NULL;
    int error = new_value ? 0 : ENOMEM;
    ptrdiff_t found = error ? NOT_FOUND : find(table, matching);
    if (!error && found == NOT_FOUND) {
        error = make_room(table);
    }
    if (error || found != NOT_FOUND) {
        cairn_object *old = new_value;
        if (!error) {
            old = table->entries[found].value;
            table->entries[found].value = new_value;
            set_place(table, &table->entries[found], (size_t)found);
        }
        if (new_key) {
            side_drop(table, CAIRN_WEAK_KEYS, new_key);
        }
        if (old) {
            side_drop(table, CAIRN_WEAK_VALUES, old);
        }
        return error;
    }
    size_t i = table->count++;
    table->entries[i] = (struct entry){matching->hash, new_key, new_value};
    set_place(table, &table->entries[i], i);
    table->live++;
    table->version++;
    index_entry(table, i);
    return 0;
}

int cairn_weak_table_set(cairn_weak_table *table, cairn_object *key, cairn_object *value)
{
    CHECK_OBJECT(&table->object, "weak_table_set", EINVAL);
    cairn_runtime *runtime = object_runtime(&table->object);
    struct matching matching = {.match = match_equal, .arg = key};
    if (cairn_object_hash(key, &matching.hash) != 0) {
        return runtime_error(runtime, EINVAL, "the key cannot be hashed");
    }
    if (!can_be_weak(table, CAIRN_WEAK_KEYS, key) || !can_be_weak(table, CAIRN_WEAK_VALUES, value)) {
        return runtime_error(runtime, EINVAL, "objects of this type have no weak references");
    }
    return put(table, &matching, key, value);
}

cairn_object *cairn_weak_table_find(cairn_weak_table *table, uint64_t hash, bool (*match)(cairn_object *key, void *arg),
                                    void *arg)
{
    CHECK_OBJECT(&table->object, "weak_table_find", NULL);
    ptrdiff_t found = find(table, &(struct matching){hash, match, arg});
    return found == NOT_FOUND ? NULL : side_get(table, CAIRN_WEAK_VALUES, table->entries[found].value);
}

cairn_object *cairn_weak_table_get(cairn_weak_table *table, cairn_object *key)
{
    uint64_t hash;
    return cairn_object_hash(key, &hash) ? NULL : cairn_weak_table_find(table, hash, match_equal, key);
}

int cairn_weak_table_remove(cairn_weak_table *table, cairn_object *key)
{
    CHECK_OBJECT(&table->object, "weak_table_remove", EINVAL);
    struct matching matching = {.match = match_equal, .arg = key};
    ptrdiff_t found = cairn_object_hash(key, &matching.hash) ? NOT_FOUND : find(table, &matching);
    if (found == NOT_FOUND) {
        return runtime_error(object_runtime(&table->object), ENOENT, "no such entry");
    }
    take_out(table, (size_t)found);
    return 0;
}

size_t cairn_weak_table_count(const cairn_weak_table *table)
{
    size_t live = 0;
    for (size_t i = 0; i < table->count; i++) {
        live += entry_is_live(table, &table->entries[i]);
    }
    return live;
}

bool cairn_weak_table_visit(cairn_weak_table *table, bool (*visitor)(cairn_object *key, cairn_object *value, void *arg),
                            void *arg)
{
    CHECK_OBJECT(&table->object, "weak_table_visit", false);
    bool more = true;
    (void)cairn_incref(&table->object);
    table->visits++;
    for (size_t i = 0; more && i < table->count; i++) {
        if (!entry_is_live(table, &table->entries[i])) {
            continue;
        }
        cairn_object *key = side_get(table, CAIRN_WEAK_KEYS, table->entries[i].key);
        cairn_object *value = side_get(table, CAIRN_WEAK_VALUES, table->entries[i].value);
        more = visitor(key, value, arg);
        cairn_decref(key);
        cairn_decref(value);
    }
    table->visits--;
    cairn_decref(&table->object);
    return more;
}
