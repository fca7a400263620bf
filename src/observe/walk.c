/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* walk.c: the walk over a heap, and the whole-heap check. Both want quiet; no lock is held, so that a visitor may use
 * other heaps, but the ticks that waiting threads make are kept off. */

#include <string.h>

#include "heap/arena.h"
#include "heap/check.h"
#include "heap/front.h"
#include "heap/handle.h"
#include "heap/owned.h"
#include "heap/owner.h"
#include "heap/sweep.h"
#include "heap/types.h"

/* ---- walk ---- */

struct walk {
    cairn_visitor visitor;
    void *context;
    bool blocks;
};

static bool visit_blocks(const struct walk *walk, const struct pool *pool)
{
    uint64_t free_set[(UINT16_MAX + 1) / 64] = {0};
    char *base = pool_base(pool);
    for (const struct block *block = free_first(pool); block; block = free_next(block)) {
        size_t i = (size_t)((const char *)block - base) / pool->block_size;
        free_set[i / 64] |= UINT64_C(1) << (i % 64);
    }
    cairn_area area = {.kind = CAIRN_AREA_BLOCK, .size = pool->block_size, .block_size = pool->block_size};
    for (size_t i = 0; i < pool_carved(pool); i++) {
        if (!(free_set[i / 64] >> (i % 64) & 1) && !pool_block_is_purged(pool, i)) {
            area.address = base + i * pool->block_size;
            if (!walk->visitor(&area, walk->context)) {
                return false;
            }
        }
    }
    return true;
}

static bool visit_class_pool(const struct walk *walk, const struct pool *pool)
{
    size_t used = pool_used(pool);
    cairn_area area = {
        .kind = CAIRN_AREA_POOL,
        .pool_state = used == 0                     ? CAIRN_POOL_FREE
                      : used == pool_capacity(pool) ? CAIRN_POOL_FULL
                                                    : CAIRN_POOL_USED,
        .address = pool_slot(pool),
        .size = pool_arena(pool)->space->slot_size,
        .block_size = pool->block_size,
        .blocks_live = used,
    };
    return walk->visitor(&area, walk->context) && (!walk->blocks || visit_blocks(walk, pool));
}

static bool visit_slot(const struct walk *walk, const struct arena *arena, unsigned slot)
{
    cairn_area area = {
        .kind = CAIRN_AREA_POOL,
        .pool_state = arena->dirty >> slot & 1 ? CAIRN_POOL_FREE : CAIRN_POOL_UNTOUCHED,
        .address = arena->base + slot * arena->space->slot_size,
        .size = arena->space->slot_size,
    };
    return walk->visitor(&area, walk->context);
}

static bool visit_arena(const struct walk *walk, const struct arena *arena)
{
    cairn_area area = {.kind = CAIRN_AREA_ARENA, .address = arena->base, .size = arena->space->arena_size};
    if (!walk->visitor(&area, walk->context)) {
        return false;
    }
    for (unsigned slot = 0; slot < arena->space->slot_count; slot++) {
        bool more = arena->free >> slot & 1 ? visit_slot(walk, arena, slot)
                                            : visit_class_pool(walk, &arena->pools[slot]);
        if (!more) {
            return false;
        }
    }
    return true;
}

static bool visit_hole_area(const struct hole_area *found, void *context)
{
    const struct walk *walk = context;
    cairn_area area = {.address = found->address, .size = found->size};
    switch (found->kind) {
    case HOLE_AREA_SEGMENT:
        area.kind = CAIRN_AREA_SEGMENT;
        break;
    case HOLE_AREA_BLOCK:
        area.kind = CAIRN_AREA_LARGE;
        break;
    case HOLE_AREA_HOLE:
        area.kind = CAIRN_AREA_HOLE;
        area.address = (char *)found->address + HOLE_OVERHEAD; /* the first word is the block's before it */
        break;
    }
    return walk->visitor(&area, walk->context);
}

static bool visit_huge(const struct walk *walk, const struct huge *huge)
{
    cairn_area area = {.kind = CAIRN_AREA_HUGE, .address = huge->base, .size = huge->size};
    return walk->visitor(&area, walk->context);
}

static bool visit_handle_area(const struct handle_area *found, void *context)
{
    static const cairn_area_kind kinds[] = {
        [HANDLE_AREA_SEGMENT] = CAIRN_AREA_HANDLE_SEGMENT,
        [HANDLE_AREA_BLOCK] = CAIRN_AREA_HANDLE_BLOCK,
        [HANDLE_AREA_HOLE] = CAIRN_AREA_HANDLE_HOLE,
    };
    const struct walk *walk = context;
    cairn_area area = {.kind = kinds[found->kind], .address = found->address, .size = found->size};
    return walk->visitor(&area, walk->context);
}

static bool visit_heap(const cairn_heap *heap, struct walk *walk)
{
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        if (!visit_arena(walk, arena)) {
            return false;
        }
    }
    if (!holes_visit(&heap->holes, visit_hole_area, walk)) {
        return false;
    }
    for (const struct huge *huge = heap->huge; huge; huge = huge->next) {
        if (!visit_huge(walk, huge)) {
            return false;
        }
    }
    return handles_walk(heap, visit_handle_area, walk);
}

bool cairn_heap_walk(cairn_heap *heap, bool blocks, cairn_visitor visitor, void *context)
{
    struct walk walk = {visitor, context, blocks};
    heap_set_quiet(heap, true);
    arenas_sort(heap);
    bool whole = visit_heap(heap, &walk);
    heap_set_quiet(heap, false);
    return whole;
}

/* ---- check ---- */

static size_t report(const cairn_heap *heap, FILE *out, const char *what, const void *where, const char *fault)
{
    if (fault && out) {
        (void)fprintf(out, "cairn: heap \"%s\": %s %p: %s\n", heap->name, what, where, fault);
    }
    return fault ? 1 : 0;
}

/* Every pool is on exactly one list of a live owner: as many are listed as the arenas hold. */
static const char *listed_check(const cairn_heap *heap)
{
    size_t listed = 0;
    const struct owner *owner = &heap->base;
    for (const struct owner *next = heap->owners; owner; owner = next, next = next ? next->next : NULL) {
        for (const struct pool *pool = owned_first(owner); pool; pool = owned_next(owner, pool)) {
            listed++;
        }
    }
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        for (uint64_t taken = ~arena->free & arena->mapped; taken; taken &= taken - 1) {
            listed -= pool_is_class(&arena->pools[__builtin_ctzll(taken)]);
        }
    }
    return listed == 0 ? NULL : "a pool is on no owner's list, or on two";
}

size_t cairn_heap_check(cairn_heap *heap, FILE *out)
{
    size_t faults = 0;
    heap_set_quiet(heap, true);
    for (int i = 0; i < SPACES; i++) {
        faults += report(heap, out, "space", &heap->spaces[i], space_check(heap, &heap->spaces[i]));
    }
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        faults += report(heap, out, "arena", arena->base, arena_check(arena));
    }
    faults += report(heap, out, "owner", &heap->base, owner_check(&heap->base));
    for (const struct owner *owner = heap->owners; owner; owner = owner->next) {
        faults += report(heap, out, "owner", owner, owner_check(owner));
    }
    faults += report(heap, out, "hole space of", heap, holes_check(&heap->holes));
    faults += report(heap, out, "totals of", heap, heap_totals_check(heap));
    faults += report(heap, out, "lists of", heap, listed_check(heap));
    heap_set_quiet(heap, false);
    return faults;
}
