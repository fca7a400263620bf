/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* on_boehm.c: the workloads on memory of the conservative collector of H. Boehm and others (libgc): tuples, lists and
 * tables as a C programmer would write them there; nothing is counted, nothing is dropped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <gc.h>

typedef void *ref;
#define NAME "boehm"
#define NONE NULL

struct tuple {
    ref items[2];
};

struct list {
    size_t size, room;
    ref *items;
};

struct entry {
    long *key;
    ref value;
};

struct dict {
    size_t used, room; /* room: a power of two */
    struct entry *entries;
};

static long small[262];

static void need(bool done)
{
    if (!done) {
        abort();
    }
}

static void *made(size_t size)
{
    void *object = GC_MALLOC(size);
    need(object != NULL);
    return object;
}

static void start(bool automatic)
{
    GC_INIT();
    if (!automatic) {
        GC_disable();
    }
    for (int i = 0; i < 262; i++) {
        small[i] = i - 5;
    }
}

static ref keep(ref object)
{
    return object;
}

/* Nothing to do, but the object must be reachable until here. */
static void drop(ref object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

static ref pair(ref a, ref b)
{
    struct tuple *tuple = made(sizeof(*tuple));
    tuple->items[0] = a;
    tuple->items[1] = b;
    return tuple;
}

static ref first(ref tuple)
{
    return ((struct tuple *)tuple)->items[0];
}

static ref second(ref tuple)
{
    return ((struct tuple *)tuple)->items[1];
}

static ref list(void)
{
    return made(sizeof(struct list));
}

static void append(ref list_object, ref item)
{
    struct list *to = list_object;
    if (to->size == to->room) {
        size_t room = (to->size + 1 + ((to->size + 1) >> 3) + 6) & ~(size_t)3;
        to->items = GC_REALLOC(to->items, room * sizeof(ref));
        need(to->items != NULL);
        to->room = room;
    }
    to->items[to->size++] = item;
}

static ref at(ref list_object, size_t i)
{
    return ((struct list *)list_object)->items[i];
}

static ref dict(void)
{
    struct dict *table = made(sizeof(*table));
    table->room = 8;
    table->entries = made(table->room * sizeof(struct entry));
    return table;
}

static struct entry *find(struct dict *table, long key)
{
    size_t i = ((size_t)key * 0x9e3779b97f4a7c15U) >> 20;
    for (;; i++) {
        struct entry *entry = &table->entries[i & (table->room - 1)];
        if (!entry->key || *entry->key == key) {
            return entry;
        }
    }
}

static void grow(struct dict *table)
{
    struct dict bigger = {table->used, table->room * 2, made(table->room * 2 * sizeof(struct entry))};
    for (size_t i = 0; i < table->room; i++) {
        if (table->entries[i].key) {
            *find(&bigger, *table->entries[i].key) = table->entries[i];
        }
    }
    *table = bigger;
}

static void set(ref dict_object, ref key, ref value)
{
    struct dict *table = dict_object;
    if (table->used * 3 >= table->room * 2) {
        grow(table);
    }
    struct entry *entry = find(table, *(long *)key);
    table->used += entry->key == NULL;
    entry->key = key;
    entry->value = value;
}

static ref get(ref dict_object, ref key)
{
    return find(dict_object, *(long *)key)->value;
}

static ref integer(long value)
{
    if (value >= -5 && value <= 256) {
        return &small[value + 5];
    }
    long *number = GC_MALLOC_ATOMIC(sizeof(long));
    need(number != NULL);
    *number = value;
    return number;
}

static long value_of(ref number)
{
    return *(long *)number;
}

static void collect(void)
{
    GC_enable();
    GC_gcollect();
    GC_disable();
}

static ref node(ref a, ref b)
{
    return pair(a, b);
}

static ref reference(ref node_object, int i)
{
    return ((struct tuple *)node_object)->items[i];
}

static void finish(void)
{
}

#include "workloads.h"
