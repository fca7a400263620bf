/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_intern.c: the table of interned strs: open addressing by hash, the strs not counted. A str leaves it when it
 * dies.
 *
 * Invariants: two thirds of the slots at most are used, so that a search ends; every str in it has `interned` set and a
 * hash; strs that wait for their death (count not above 0) may be in it, and are not found: so the same text may be in
 * it twice, but once at most alive. Lock: the GIL. */

#include "object/kinds_state.h"

#include <string.h>

enum { SLOTS_LEAST = 64 };

/* In the place of a removed str: a search goes on. */
static cairn_object gone;

/* A living str of this text, or NULL. */
static struct kinds_str *find(const struct kinds_intern *table, const char *text, size_t size, uint64_t hash)
{
    if (!table->mask) {
        return NULL;
    }
    for (size_t i = hash & table->mask; table->slots[i]; i = (i + 1) & table->mask) {
        struct kinds_str *str = kinds_str_of(table->slots[i]);
        if (table->slots[i] != &gone && str->object.count > 0 && str->hash == hash && str->size == size &&
            memcmp(str->text, text, size) == 0) {
            return str;
        }
    }
    return NULL;
}

static void put(cairn_object **slots, size_t mask, cairn_object *str)
{
    size_t i = kinds_str_of(str)->hash & mask;
    while (slots[i]) {
        i = (i + 1) & mask;
    }
    slots[i] = str;
}

/* Moves what is in the table to one with room for it twice. */
static bool rebuild(struct kinds *kinds)
{
    struct kinds_intern *table = &kinds->intern;
    size_t count = SLOTS_LEAST;
    while (count < table->live * 3) {
        count *= 2;
    }
    cairn_object **slots = cairn_runtime_calloc(kinds->runtime, count, sizeof(cairn_object *));
    if (!slots) {
        return false;
    }
    for (size_t i = 0; table->mask && i <= table->mask; i++) {
        if (table->slots[i] && table->slots[i] != &gone) {
            put(slots, count - 1, table->slots[i]);
        }
    }
    kinds_intern_end(kinds);
    table->slots = slots;
    table->mask = count - 1;
    table->used = table->live;
    return true;
}

/* Sees to it that one more str fits. */
static bool make_room(struct kinds *kinds)
{
    const struct kinds_intern *table = &kinds->intern;
    return (table->mask && (table->used + 1) * 3 <= (table->mask + 1) * 2) || rebuild(kinds);
}

static void add(struct kinds *kinds, struct kinds_str *str)
{
    put(kinds->intern.slots, kinds->intern.mask, &str->object);
    kinds->intern.live++;
    kinds->intern.used++;
    str->interned = true;
}

void kinds_intern_remove(struct kinds *kinds, struct kinds_str *str)
{
    struct kinds_intern *table = &kinds->intern;
    size_t i = str->hash & table->mask;
    while (table->slots[i] != &str->object) {
        i = (i + 1) & table->mask;
    }
    str->interned = false;
    table->live--;
    table->slots[i] = &gone;
    if (!table->slots[(i + 1) & table->mask]) {
        for (; table->slots[i] == &gone; i = (i - 1) & table->mask) {
            table->slots[i] = NULL;
            table->used--;
        }
    }
}

void kinds_intern_end(struct kinds *kinds)
{
    if (kinds->intern.mask) {
        cairn_runtime_free(kinds->runtime, kinds->intern.slots);
        kinds->intern.mask = 0;
    }
}

cairn_object *cairn_str_intern(cairn_runtime *runtime, const char *text, size_t size)
{
    struct kinds *kinds = kinds_of(runtime);
    if (!kinds) {
        return NULL;
    }
    if (size == SIZE_MAX) {
        size = strlen(text);
    }
    struct kinds_str *found = find(&kinds->intern, text, size, kinds_hash_bytes(kinds, text, size));
    if (found) {
        return cairn_incref(&found->object);
    }
    cairn_object *str = cairn_str_new(runtime, text, size);
    if (str && cairn_str_intern_in_place(&str)) {
        cairn_clear(&str);
        errno = ENOMEM;
    }
    return str;
}

int cairn_str_intern_in_place(cairn_object **place)
{
    if (!kinds_is(*place, &kinds_str_type, "str_intern_in_place")) {
        return EINVAL;
    }
    struct kinds_str *str = kinds_str_of(*place);
    if (str->interned) {
        return 0;
    }
    struct kinds *kinds = kinds_runtime(*place)->kinds;
    struct kinds_str *found = find(&kinds->intern, str->text, str->size, kinds_str_hash(str));
    if (found) {
        cairn_set(place, &found->object);
        return 0;
    }
    if (!make_room(kinds)) {
        return ENOMEM;
    }
    add(kinds, str);
    return 0;
}

bool cairn_str_is_interned(cairn_object *str)
{
    return kinds_is(str, &kinds_str_type, "str_is_interned") && kinds_str_of(str)->interned;
}

size_t cairn_str_interned_count(cairn_runtime *runtime)
{
    const struct kinds *kinds = runtime->kinds;
    return kinds ? kinds->intern.live : 0;
}
