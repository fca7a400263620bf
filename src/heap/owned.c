/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* owned.c: see owned.h. */

#include "heap/owned.h"

#include "heap/arena.h"
#include "heap/owner.h"

/* ---- a shared heap: lists ---- */

static struct pool_links *links_of(const struct pool *pool)
{
    return &pool_arena(pool)->links[pool->slot];
}

void owned_add(struct owner *owner, struct pool *pool)
{
    if (owner->heap->single) {
        return;
    }
    *links_of(pool) = (struct pool_links){.next = owner->all};
    if (owner->all) {
        links_of(owner->all)->prev = pool;
    }
    owner->all = pool;
}

void owned_remove(struct owner *owner, const struct pool *pool)
{
    if (owner->heap->single) {
        return;
    }
    const struct pool_links *links = links_of(pool);
    *(links->prev ? &links_of(links->prev)->next : &owner->all) = links->next;
    if (links->next) {
        links_of(links->next)->prev = links->prev;
    }
}

/* ---- a single heap: arenas ---- */

/* The owner's first pool of those in a set of slots. */
static struct pool *find_in(const struct owner *owner, struct arena *arena, uint64_t slots)
{
    for (uint64_t taken = arena->mapped & ~arena->free & slots; taken; taken &= taken - 1) {
        struct pool *pool = &arena->pools[__builtin_ctzll(taken)];
        if (pool_owner(pool) == owner) {
            return pool;
        }
    }
    return NULL;
}

/* The owner's first pool in an arena and those after it, in the list at `link`. Under the heap's lock, as a thread that
 * waits may release an arena that is wholly free. */
static struct pool *find_from(const struct owner *owner, struct arena *const *link)
{
    struct pool *found = NULL;
    if (!owner->common) {
        os_lock_take(&owner->heap->lock);
    }
    for (struct arena *arena = *link; arena && !found; arena = arena->all_next) {
        found = find_in(owner, arena, ~UINT64_C(0));
    }
    if (!owner->common) {
        os_lock_give(&owner->heap->lock);
    }
    return found;
}

/* ---- both ---- */

struct pool *owned_first(const struct owner *owner)
{
    return owner->heap->single ? find_from(owner, &owner->heap->arenas) : owner->all;
}

struct pool *owned_next(const struct owner *owner, const struct pool *pool)
{
    if (!owner->heap->single) {
        return links_of(pool)->next;
    }
    struct arena *arena = pool_arena(pool); /* which stays, for this pool, and so do its other ones in use */
    struct pool *found = find_in(owner, arena, ~slot_mask(0, pool->slot + 1u));
    return found ? found : find_from(owner, &arena->all_next);
}
