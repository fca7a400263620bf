/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* check.c: see check.h. Reads only; recomputes every counter from both sides. */

#include "heap/check.h"

#include "heap/arena.h"
#include "heap/debug.h"
#include "heap/foreign.h"
#include "heap/handle.h"
#include "heap/owned.h"
#include "heap/owner.h"
#include "heap/sweep.h"

/* ---- pools ---- */

const char *pool_check_quick(const struct pool *pool)
{
    if (!pool_is_class(pool)) {
        return "a pool on a list serves no class";
    }
    if (pool_is_unsettled(pool)) {
        return NULL;
    }
    unsigned used = pool_used(pool);
    unsigned carved = pool_carved(pool);
    if (used > carved || carved > pool_capacity(pool)) {
        return "more blocks are in use than carved, or more carved than the pool holds";
    }
    unsigned purged = pool_purged_blocks(pool);
    if (used + purged > carved) {
        return "more blocks are in use or purged than carved";
    }
    if (is_free_end(pool->free) != (used + purged == carved)) {
        return "the free list and the count of used blocks disagree";
    }
    uintptr_t fast = atomic_load_explicit(&pool->fast, memory_order_relaxed);
    if (fast && (fast != pool_owner(pool)->mark || pool->state != STATE_USED)) {
        return "a pool's fast field names an owner that may not free there directly";
    }
    return NULL;
}

void pool_check_assert(const struct pool *pool)
{
    const char *fault = pool_check_quick(pool);
    if (fault) {
        debug_failed(fault, __FILE__, __LINE__);
    }
}

const char *pool_check(const struct pool *pool)
{
    const char *fault = pool_check_quick(pool);
    if (fault || pool_is_unsettled(pool)) {
        return fault;
    }
    unsigned carved = pool_carved(pool);
    const char *base = pool_base(pool);
    size_t length = 0;
    const struct block *end = pool->free;
    for (const struct block *block = pool->free; !is_free_end(block); block = block->next, end = block) {
        size_t offset = (size_t)((const char *)block - base);
        if (offset % pool->block_size || offset / pool->block_size >= carved) {
            return "a free list holds what is no carved block of its pool";
        }
        if (pool_block_is_purged(pool, offset / pool->block_size)) {
            return "a free list holds a block in a purged page";
        }
        if (block->next == block) {
            return "a block was freed twice in a row";
        }
        if (++length > carved) {
            return "a free list has a cycle";
        }
    }
    if (end != pool_owner(pool)->end) {
        return "a free list ends as in another kind of heap";
    }
    return length + pool_used(pool) + pool_purged_blocks(pool) == carved
               ? NULL
               : "used and free blocks do not add up to the carved ones";
}

/* ---- arenas ---- */

static const char *map_check(const struct arena *arena, unsigned slot, const struct pool *expected)
{
    size_t size = arena->space->slot_size;
    for (size_t at = 0; at < size; at += (size_t)1 << MAP_PAGE_SHIFT) {
        if (pagemap_get(arena->base + slot * size + at) != expected) {
            return "the page map does not lead to the pool that covers the address";
        }
    }
    return NULL;
}

const char *arena_check(const struct arena *arena)
{
    const uint64_t all = arena_all_slots(arena);
    if ((arena->free | arena->dirty | arena->mapped) & ~all) {
        return "an arena has slots beyond its end";
    }
    if (~arena->free & all & ~arena->dirty) {
        return "a slot is in use and not marked as touched";
    }
    if (arena->key != arena_key(arena)) {
        return "an arena is in the wrong bucket";
    }
    for (unsigned slot = 0; slot < arena->space->slot_count; slot++) {
        const struct pool *pool = &arena->pools[slot];
        bool mapped = arena->mapped >> slot & 1;
        bool taken = !(arena->free >> slot & 1);
        if (taken != pool_is_class(pool)) {
            return "a slot's record and the set of free slots disagree";
        }
        if (taken && (!mapped || pool->slot != slot || pool_arena(pool) != arena ||
                      pool->class_index >= arena->heap->class_count ||
                      pool_base(pool) != pool_slot(pool) + arena->heap->classes[pool->class_index].first_block)) {
            return "the record of a slot in use does not describe it";
        }
        const char *fault = map_check(arena, slot, mapped ? pool : NULL);
        if (fault) {
            return fault;
        }
    }
    return NULL;
}

const char *space_check(const cairn_heap *heap, const struct space *space)
{
    size_t listed = 0;
    size_t wholly_free = 0;
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        if (arena->space == space) {
            listed++;
            wholly_free += arena->free == arena_all_slots(arena);
        }
    }
    size_t bucketed = 0;
    for (unsigned key = 0; key <= SLOTS; key++) {
        const struct arena *first = space->bucket[key];
        if (key && (first != NULL) != (space->filled >> (key - 1) & 1)) {
            return "a bucket and the set of filled buckets disagree";
        }
        for (const struct arena *arena = first; arena; arena = arena->next) {
            bucketed++;
            if (arena->key != key || arena->space != space || (arena->next && arena->next->prev != arena)) {
                return "a bucket's list is damaged";
            }
        }
    }
    if (listed != space->arenas || bucketed != listed || wholly_free != space->arenas_free) {
        return "the counts of arenas disagree";
    }
    return NULL;
}

/* ---- owners ---- */

static const char *used_check(const struct owner *owner, unsigned class_index, size_t *length)
{
    const struct pool_list *list = &owner->used[class_index];
    const struct pool *prev = NULL;
    for (const struct pool *pool = list->head; pool; pool = pool->next) {
        if (pool->prev != prev || pool->state != STATE_USED || pool_owner(pool) != owner) {
            return "a used list is damaged or holds another owner's pool";
        }
        if (pool->class_index != class_index) {
            return "a pool is on another class's list";
        }
        prev = pool;
        ++*length;
    }
    return list->tail == prev ? NULL : "a used list's tail is not its last pool";
}

/* All its pools; those of them that are used make up the used lists, which hold `used` pools. */
static const char *all_check(const struct owner *owner, size_t used)
{
    const struct pool *prev = NULL;
    for (const struct pool *pool = owned_first(owner); pool; pool = owned_next(owner, pool)) {
        const struct pool_links *links = pool_arena(pool)->links;
        if ((links && links[pool->slot].prev != prev) || pool_owner(pool) != owner || pool->state == STATE_NONE) {
            return "the list of an owner's pools is damaged or holds another owner's pool";
        }
        if (pool->state == STATE_FULL && pool_used(pool) != pool_capacity(pool) && !pool_is_unsettled(pool)) {
            return "a pool that counts as full has room";
        }
        const char *fault = pool_check(pool);
        if (fault) {
            return fault;
        }
        used -= pool->state == STATE_USED;
        prev = pool;
    }
    return used == 0 ? NULL : "the used lists and the list of all pools disagree";
}

const char *owner_check(const struct owner *owner)
{
    const cairn_heap *heap = owner->heap;
    size_t used = 0;
    for (unsigned c = 0; c < heap->class_count; c++) {
        const char *fault = used_check(owner, c, &used);
        if (fault) {
            return fault;
        }
        const struct pool *head = owner->used[c].head;
        for (unsigned i = heap->classes[c].direct_lo; i <= heap->classes[c].direct_hi; i++) {
            const struct pool *shown = owner->direct[i];
            if (shown != owner_empty_pool(owner) && shown != head && !(owner->foreign && shown == &owner->foreign[c])) {
                return "the direct table shows a pool that is not the head of its class";
            }
        }
    }
    const char *fault = foreign_check(owner);
    return fault ? fault : all_check(owner, used);
}

/* ---- totals ---- */

struct totals {
    size_t held, warm, huge_blocks, huge_bytes;
};

static void add_arena(struct totals *totals, const struct arena *arena)
{
    totals->held += (size_t)__builtin_popcountll(~arena->free & arena_all_slots(arena)) * arena->space->slot_size;
    totals->warm += (size_t)__builtin_popcountll(arena->free & arena->dirty) * arena->space->slot_size;
}

const char *heap_totals_check(const cairn_heap *heap)
{
    struct totals totals = {0};
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        add_arena(&totals, arena);
    }
    for (const struct huge *huge = heap->huge; huge; huge = huge->next) {
        if (pool_kind_of(&huge->record) != POOL_HUGE || pagemap_get(huge->base) != &huge->record ||
            (huge->next && huge->next->prev != huge)) {
            return "the list of huge blocks is damaged";
        }
        totals.huge_blocks++;
        totals.huge_bytes += huge->size;
    }
    if (totals.warm != heap->warm_bytes) {
        return "the bytes of free slots that hold pages do not add up";
    }
    if (totals.held + heap->holes.figures.held_bytes + totals.huge_bytes + handles_held(heap) != heap->held_bytes) {
        return "the bytes held do not add up";
    }
    if (totals.huge_blocks != heap->huge_blocks || totals.huge_bytes != heap->huge_bytes) {
        return "the counts of huge blocks do not add up";
    }
    return handles_check(heap);
}
