/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fragmentation.c: every resident byte of a heap under one heading, by one walk over its records; see
 * docs/design/fragmentation.md for what the figures mean.
 *
 * Invariant: each part of an arena, segment or mapping is looked at once, and resident_bytes is the sum of what was
 * found, whatever other threads do meanwhile.
 *
 * Lock: the heap's, held by the caller. Pools are judged by their counters, which are atomics: their free lists belong
 * to other threads. */

#include "observe/fragmentation.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/geometry.h"
#include "heap/handle.h"
#include "heap/owner.h"
#include "heap/sweep.h"
#include "heap/types.h"
#include "observe/residency.h"

struct walk {
    const cairn_heap *heap;
    cairn_fragmentation *figures;
    struct residency residency; /* of the region the walk is in */
    bool free_slot[SPACES];     /* some arena of the space has a free slot */
    bool empty_pool[SPACES];    /* some class keeps a pool of the space without live blocks */
};

enum { CHUNK_UNIT = 16 }; /* sizes in the hole space are multiples */

static size_t resident(struct walk *walk, const void *address, size_t size)
{
    return residency_of(&walk->residency, address, size);
}

static double ratio(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* ---- what could be served ---- */

/* A request of `size` bytes would be served if it takes `held` bytes more. */
static void note_servable(struct walk *walk, size_t size, size_t held)
{
    if (size > walk->figures->largest_request && heap_has_room(walk->heap, held)) {
        walk->figures->largest_request = size;
    }
}

/* A class of which a block is to be had. */
static void note_class(struct walk *walk, unsigned class_index, size_t held)
{
    size_t size = walk->heap->classes[class_index].block_size;
    if (class_of(walk->heap, size) == class_index) { /* else no request comes here: the blocks are not aligned enough */
        note_servable(walk, size, held);
    }
}

/* Any class of a space may use a free slot, or the empty pool that another class keeps. */
static void note_free_pools(struct walk *walk)
{
    for (unsigned c = 0; c < walk->heap->class_count; c++) {
        unsigned space = walk->heap->classes[c].space;
        if (walk->empty_pool[space]) {
            note_class(walk, c, 0);
        } else if (walk->free_slot[space]) {
            note_class(walk, c, walk->heap->spaces[space].slot_size);
        }
    }
}

/* The largest hole; the limit must leave room for one unit more than the chunk. Small requests go to pools. */
static void note_hole(struct walk *walk, size_t bytes)
{
    const cairn_heap *heap = walk->heap;
    if (heap->limit) {
        size_t room = heap->limit - heap->held_bytes;
        room = room > CHUNK_UNIT ? (room - CHUNK_UNIT) / CHUNK_UNIT * CHUNK_UNIT : 0;
        bytes = bytes < room ? bytes : room;
    }
    size_t size = bytes >= HOLE_CHUNK_MIN ? bytes - HOLE_OVERHEAD : 0;
    size = size < HOLE_MAX ? size : HOLE_MAX;
    if (size >= heap->pooled_end) {
        note_servable(walk, size, 0);
    }
}

static void note_cached(struct walk *walk, const struct huge_cache_entry *entry)
{
    if (entry->size > HOLE_MAX) {
        note_servable(walk, entry->size, entry->size);
    }
}

/* ---- arenas ---- */

/* A pool with live blocks: head, carved blocks (those in purged pages are not resident), blocks never carved, tail. */
static void add_used_pool(struct walk *walk, const struct space *space, const struct pool *pool, size_t used)
{
    cairn_fragmentation *figures = walk->figures;
    size_t carved = pool_carved(pool);
    carved = carved > used ? carved : used;
    size_t capacity = pool_capacity(pool);
    char *base = pool_base(pool);
    char *slot = pool_slot(pool);
    char *untouched = base + carved * pool->block_size;
    char *tail = base + capacity * pool->block_size;
    figures->tails_resident += resident(walk, slot, (size_t)(base - slot));
    size_t blocks = resident(walk, base, (size_t)(untouched - base));
    size_t purged = pool_purged_blocks(pool); /* may be newer than the others */
    size_t touched = carved > used + purged ? carved - purged : used;
    size_t live = blocks * used / touched;
    live = live < used * pool->block_size ? live : used * pool->block_size;
    figures->live_resident += live;
    figures->free_blocks_resident += blocks - live;
    figures->untouched_resident += resident(walk, untouched, (size_t)(tail - untouched));
    figures->tails_resident += resident(walk, tail, (size_t)(slot + space->slot_size - tail));
    figures->pool_occupancy[(used * CAIRN_OCCUPANCY_TENTHS - 1) / capacity]++;
    if (used < capacity) {
        note_class(walk, pool->class_index, 0);
    }
}

static void add_slot(struct walk *walk, const struct arena *arena, unsigned slot)
{
    const struct pool *pool = &arena->pools[slot];
    bool is_free = arena->free >> slot & 1;
    size_t used = is_free ? 0 : pool_used(pool);
    if (used) {
        size_t capacity = pool_capacity(pool);
        add_used_pool(walk, arena->space, pool, used < capacity ? used : capacity);
        return;
    }
    bool untouched = is_free && !(arena->dirty >> slot & 1);
    size_t size = arena->space->slot_size;
    size_t bytes = resident(walk, arena->base + slot * size, size);
    bool *to_be_had = is_free ? walk->free_slot : walk->empty_pool;
    to_be_had[arena->space - walk->heap->spaces] = true;
    *(untouched ? &walk->figures->untouched_resident : &walk->figures->free_pools_resident) += bytes;
}

static void add_arena(struct walk *walk, const struct arena *arena)
{
    residency_begin(&walk->residency, arena->base, arena->space->arena_size);
    for (unsigned slot = 0; slot < arena->space->slot_count; slot++) {
        add_slot(walk, arena, slot);
    }
}

/* ---- segments ---- */

static void add_hole(struct walk *walk, const struct hole_area *hole)
{
    cairn_fragmentation *figures = walk->figures;
    cairn_hole_size *row = &figures->holes[63 - __builtin_clzll(hole->size)];
    row->count++;
    row->bytes += hole->size;
    figures->hole_bytes += hole->size;
    figures->largest_hole = hole->size > figures->largest_hole ? hole->size : figures->largest_hole;
    /* The first word is still the block's before it, and the first behind it is the hole's. */
    figures->holes_resident += resident(walk, (const char *)hole->address + HOLE_OVERHEAD, hole->size);
}

static bool add_hole_area(const struct hole_area *area, void *context)
{
    struct walk *walk = context;
    cairn_fragmentation *figures = walk->figures;
    char *start = area->address;
    switch (area->kind) {
    case HOLE_AREA_SEGMENT: {
        size_t end = HOLE_SEGMENT_TAIL / 2; /* the other half is at the start */
        residency_begin(&walk->residency, start, area->size);
        figures->headers_resident += resident(walk, start + area->size - end, end);
        figures->headers_resident += resident(walk, start, HOLE_SEGMENT_TAIL - end);
        break;
    }
    case HOLE_AREA_BLOCK:
        figures->headers_resident += resident(walk, start - HOLE_OVERHEAD, HOLE_OVERHEAD);
        figures->live_resident += resident(walk, start, area->size);
        break;
    case HOLE_AREA_HOLE:
        add_hole(walk, area);
        break;
    }
    return true;
}

static bool add_handle_area(const struct handle_area *area, void *context)
{
    struct walk *walk = context;
    cairn_fragmentation *figures = walk->figures;
    char *start = area->address;
    switch (area->kind) {
    case HANDLE_AREA_SEGMENT:
        residency_begin(&walk->residency, start, area->size);
        figures->headers_resident += resident(walk, start, SEGMENT_HEAD);
        break;
    case HANDLE_AREA_BLOCK:
        figures->headers_resident += resident(walk, start - sizeof(struct cell), sizeof(struct cell));
        figures->live_resident += resident(walk, start, area->size);
        break;
    case HANDLE_AREA_HOLE:
        figures->handle_holes_resident += resident(walk, start, area->size);
        break;
    }
    return true;
}

/* ---- mappings ---- */

static void add_mappings(struct walk *walk)
{
    cairn_fragmentation *figures = walk->figures;
    for (const struct huge *huge = walk->heap->huge; huge; huge = huge->next) {
        figures->live_resident += os->resident(huge->base, huge->size);
        figures->huge_rounding += huge->size - huge->asked;
    }
    for (int i = 0; i < HUGE_CACHE; i++) {
        const struct huge_cache_entry *entry = &walk->heap->huge_cache[i];
        if (entry->base) {
            figures->cached_resident += os->resident(entry->base, entry->size);
            note_cached(walk, entry);
        }
    }
}

/* ---- all ---- */

static void sum_up(cairn_fragmentation *figures)
{
    figures->external_bytes = figures->free_blocks_resident + figures->tails_resident + figures->untouched_resident +
                              figures->free_pools_resident + figures->holes_resident + figures->handle_holes_resident +
                              figures->headers_resident + figures->cached_resident;
    figures->resident_bytes = figures->live_resident + figures->external_bytes;
    figures->external_ratio = ratio(figures->external_bytes, figures->resident_bytes);
    figures->hole_ratio = figures->hole_bytes ? 1 - ratio(figures->largest_hole, figures->hole_bytes) : 0;
}

void fragmentation_walk(const cairn_heap *heap, cairn_fragmentation *fragmentation)
{
    struct walk walk = {.heap = heap, .figures = fragmentation};
    memset(fragmentation, 0, sizeof *fragmentation);
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        add_arena(&walk, arena);
    }
    note_free_pools(&walk);
    (void)holes_visit(&heap->holes, add_hole_area, &walk);
    note_hole(&walk, fragmentation->largest_hole);
    add_mappings(&walk);
    (void)handles_walk(heap, add_handle_area, &walk);
    sum_up(fragmentation);
}

int cairn_heap_fragmentation(cairn_heap *heap, cairn_fragmentation *fragmentation)
{
    if (!heap || !fragmentation) {
        return EINVAL;
    }
    cairn_stats stats;
    stats_collect(heap, &stats, fragmentation);
    return 0;
}
