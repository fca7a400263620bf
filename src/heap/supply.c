/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* supply.c: see supply.h. */

#include "heap/supply.h"

enum { SUPPLY_ARENAS = 128 };

struct supply {
    os_lock lock;
    unsigned heaps; /* that share it; under the registry's lock */
    unsigned count;
    struct {
        void *base;
        size_t size;
    } arenas[SUPPLY_ARENAS]; /* newest last */
};

static size_t supply_bytes(void)
{
    size_t page = os_page_size();
    return (sizeof(struct supply) + page - 1) & ~(page - 1);
}

static struct supply *supply_make(void)
{
    struct supply *supply = os->reserve(supply_bytes(), os_page_size());
    if (supply && !os->commit(supply, supply_bytes())) {
        os->release(supply, supply_bytes());
        supply = NULL;
    }
    if (supply) {
        os_lock_init(&supply->lock);
        supply->heaps = 1;
    }
    return supply;
}

SELDOM bool supply_join(cairn_heap *heap, cairn_heap *other)
{
    os_lock_take(&other->lock);
    if (!other->supply) {
        other->supply = supply_make();
    }
    heap->supply = other->supply;
    os_lock_give(&other->lock);
    if (heap->supply) {
        heap->supply->heaps++;
    }
    return heap->supply != NULL;
}

SELDOM void supply_leave(cairn_heap *heap)
{
    struct supply *supply = heap->supply;
    heap->supply = NULL;
    if (supply && --supply->heaps == 0) {
        supply_trim(supply);
        os->release(supply, supply_bytes());
    }
}

SELDOM size_t supply_last_bytes(const struct supply *supply)
{
    size_t bytes = 0;
    if (supply && supply->heaps == 1) {
        bytes = supply_bytes();
        for (unsigned i = 0; i < supply->count; i++) {
            bytes += supply->arenas[i].size;
        }
    }
    return bytes;
}

void *supply_take(struct supply *supply, size_t size)
{
    void *base = NULL;
    if (!supply) {
        return NULL;
    }
    os_lock_take(&supply->lock);
    for (unsigned i = supply->count; i-- > 0 && !base;) {
        if (supply->arenas[i].size == size) {
            base = supply->arenas[i].base;
            supply->arenas[i] = supply->arenas[--supply->count];
        }
    }
    os_lock_give(&supply->lock);
    return base;
}

bool supply_give(struct supply *supply, void *base, size_t size)
{
    if (!supply || !os->purge(base, size)) {
        return false;
    }
    os_lock_take(&supply->lock);
    bool room = supply->count < SUPPLY_ARENAS;
    if (room) {
        supply->arenas[supply->count].base = base;
        supply->arenas[supply->count].size = size;
        supply->count++;
    }
    os_lock_give(&supply->lock);
    return room;
}

SELDOM size_t supply_trim(struct supply *supply)
{
    size_t bytes = 0;
    if (!supply) {
        return 0;
    }
    os_lock_take(&supply->lock);
    unsigned kept = 0;
    for (unsigned i = 0; i < supply->count; i++) {
        if (os->release(supply->arenas[i].base, supply->arenas[i].size)) {
            bytes += supply->arenas[i].size;
        } else {
            supply->arenas[kept++] = supply->arenas[i];
        }
    }
    supply->count = kept;
    os_lock_give(&supply->lock);
    return bytes;
}
