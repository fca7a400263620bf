/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* large.c: see large.h. Lock: the heap's, taken by each public function. */

#include "heap/large.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/debug.h"
#include "heap/meta.h"
#include "heap/owner.h"
#include "heap/pagemap.h"
#include "heap/registry.h"
#include "heap/thread.h"

static size_t round_to_page(size_t size)
{
    size_t page = os_page_size();
    return (size + page - 1) & ~(page - 1);
}

/* ---- accounting ---- */

static void count_alloc(cairn_heap *heap, struct pool *pool, size_t asked)
{
    bool huge = pool_kind_of(pool) == POOL_HUGE;
    *(huge ? &heap->huge_blocks : &heap->large_blocks) += 1;
    *(huge ? &heap->huge_bytes : &heap->large_bytes) += pool->size;
    heap->large_requests++;
    heap->large_asked += asked;
    heap->large_given += pool->size;
    pool->asked = asked;
    if (heap->exact) {
        exact_served(&heap->base, heap->class_count, asked, pool->size);
    }
}

static void count_free(cairn_heap *heap, const struct pool *pool)
{
    bool huge = pool_kind_of(pool) == POOL_HUGE;
    *(huge ? &heap->huge_blocks : &heap->large_blocks) -= 1;
    *(huge ? &heap->huge_bytes : &heap->large_bytes) -= pool->size;
    if (heap->exact) {
        exact_freed(heap, pool->size);
    }
}

/* A block changed its size in place or by remapping. */
static void count_resize(cairn_heap *heap, struct pool *pool, size_t old_size, size_t asked)
{
    bool huge = pool_kind_of(pool) == POOL_HUGE;
    *(huge ? &heap->huge_bytes : &heap->large_bytes) += pool->size - old_size;
    pool->asked = asked;
    if (heap->exact && pool->size >= old_size) {
        exact_served(&heap->base, heap->class_count, 0, pool->size - old_size);
    } else if (heap->exact) {
        exact_freed(heap, old_size - pool->size);
    }
}

static void own(cairn_heap *heap, struct pool *pool, enum pool_kind kind)
{
    pool->block_size = 0;
    pool->state = STATE_NONE;
    atomic_store_explicit(&pool->used, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->fast, NULL, memory_order_relaxed);
    atomic_store_explicit(&pool->kind, kind, memory_order_relaxed);
    atomic_store_explicit(&pool->owner, &heap->base, memory_order_release);
}

/* ---- runs ---- */

static struct pool *run_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    struct space *space = &heap->spaces[SPACE_SPAN];
    unsigned slots = (unsigned)((size + SPAN_SLOT - 1) / SPAN_SLOT);
    struct pool *pool = arena_take(heap, space, slots ? slots : 1, alignment, true);
    if (pool) {
        own(heap, pool, POOL_RUN);
        *zeroed = pool->fresh;
    }
    return pool;
}

/* ---- mappings ---- */

/* Gives a cached mapping back. If the system refuses, it stays cached without its pages. */
static size_t cache_drop(cairn_heap *heap, struct huge_cache_entry *entry)
{
    size_t size = entry->size;
    if (!os->release(entry->base, size)) {
        entry->expires = os_clock_ms() + heap->purge_delay_ms;
        return os->purge(entry->base, size) ? size : 0;
    }
    heap->huge_cached_bytes -= size;
    entry->base = NULL;
    arena_set_due(heap);
    return size;
}

void large_tick(cairn_heap *heap)
{
    if (!heap->huge_cached_bytes) {
        return;
    }
    uint64_t now = os_clock_ms();
    for (int i = 0; i < HUGE_CACHE; i++) {
        if (heap->huge_cache[i].base && heap->huge_cache[i].expires <= now) {
            cache_drop(heap, &heap->huge_cache[i]);
        }
    }
}

size_t large_trim(cairn_heap *heap)
{
    size_t bytes = 0;
    for (int i = 0; i < HUGE_CACHE; i++) {
        if (heap->huge_cache[i].base) {
            bytes += cache_drop(heap, &heap->huge_cache[i]);
        }
    }
    return bytes;
}

/* The smallest cached mapping of `size` to a quarter more bytes; its size is written to *got. */
static char *cache_take(cairn_heap *heap, size_t size, size_t *got)
{
    struct huge_cache_entry *best = NULL;
    for (int i = 0; i < HUGE_CACHE; i++) {
        struct huge_cache_entry *entry = &heap->huge_cache[i];
        if (entry->base && entry->size >= size && entry->size - size <= size / 4 &&
            (!best || entry->size < best->size)) {
            best = entry;
        }
    }
    if (!best) {
        return NULL;
    }
    char *base = best->base;
    *got = best->size;
    heap->huge_cached_bytes -= best->size;
    best->base = NULL;
    arena_set_due(heap);
    return base;
}

/* Keeps a mapping if the cache's bounds allow, else releases it. */
static void cache_put(cairn_heap *heap, char *base, size_t size)
{
    struct huge_cache_entry *place = NULL;
    for (int i = 0; i < HUGE_CACHE && !place; i++) {
        place = heap->huge_cache[i].base ? NULL : &heap->huge_cache[i];
    }
    if (!place || !heap->purge_delay_ms || size > heap_warm_room(heap)) {
        os->release(base, size);
        return;
    }
    place->base = base;
    place->size = size;
    place->expires = os_clock_ms() + heap->purge_delay_ms;
    heap->huge_cached_bytes += size;
    arena_set_due(heap);
}

static char *map_pages(cairn_heap *heap, size_t size, size_t alignment, size_t *got, bool *zeroed)
{
    if (alignment <= os_page_size()) {
        char *cached = cache_take(heap, size, got);
        if (cached) {
            *zeroed = false;
            return cached;
        }
    }
    *got = size;
    *zeroed = true;
    char *base = os->reserve(size, alignment < os_page_size() ? os_page_size() : alignment);
    if (!base) {
        return NULL;
    }
    if (!pagemap_prepare(base, 1) || !os->commit(base, size)) {
        os->release(base, size);
        return NULL;
    }
    return base;
}

static struct pool *huge_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    size = round_to_page(size ? size : 1);
    struct pool *pool = meta_alloc(&heap->meta, sizeof *pool);
    if (!pool) {
        return NULL;
    }
    size_t got = 0;
    char *base = map_pages(heap, size, alignment, &got, zeroed);
    if (base && !heap_hold(heap, got)) {
        os->release(base, got);
        base = NULL;
    }
    if (!base) {
        meta_free(&heap->meta, pool, sizeof *pool);
        return NULL;
    }
    pool->base = base;
    pool->size = got;
    own(heap, pool, POOL_HUGE);
    pool->next = heap->huge;
    if (heap->huge) {
        heap->huge->prev = pool;
    }
    heap->huge = pool;
    arena_cool(heap);
    pagemap_set(base, 1, pool);
    return pool;
}

static void huge_free(cairn_heap *heap, struct pool *pool)
{
    *(pool->prev ? &pool->prev->next : &heap->huge) = pool->next;
    if (pool->next) {
        pool->next->prev = pool->prev;
    }
    pagemap_set(pool->base, 1, NULL);
    heap_unhold(heap, pool->size);
    cache_put(heap, pool->base, pool->size);
    meta_free(&heap->meta, pool, sizeof *pool);
}

/* Remaps to `new_size` bytes, in place or to a new reservation that the page map covers; NULL if neither goes. */
static char *remap_pages(struct pool *pool, size_t new_size)
{
    char *stayed = os->remap(pool->base, pool->size, new_size, NULL);
    if (stayed || new_size < pool->size) {
        return stayed;
    }
    char *target = os->reserve(new_size, os_page_size());
    if (!target) {
        return NULL;
    }
    /* Once moved, the old addresses may be anyone's at once: their entry goes first. */
    pagemap_set(pool->base, 1, NULL);
    char *moved = pagemap_prepare(target, 1) ? os->remap(pool->base, pool->size, new_size, target) : NULL;
    if (moved) {
        pagemap_set(moved, 1, pool);
    } else {
        pagemap_set(pool->base, 1, pool);
        os->release(target, new_size);
    }
    return moved;
}

static void *huge_resize(cairn_heap *heap, struct pool *pool, size_t size)
{
    size_t new_size = round_to_page(size);
    size_t old_size = pool->size;
    if (new_size > old_size && !heap_hold(heap, new_size - old_size)) {
        return NULL;
    }
    char *base = new_size == old_size ? pool->base : remap_pages(pool, new_size);
    if (!base) {
        heap_unhold(heap, new_size > old_size ? new_size - old_size : 0);
        return NULL;
    }
    pool->base = base;
    pool->size = new_size;
    heap_unhold(heap, new_size < old_size ? old_size - new_size : 0);
    arena_cool(heap);
    count_resize(heap, pool, old_size, size);
    return base;
}

/* ---- public ---- */

static struct pool *try_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zero)
{
    bool run = size <= RUN_MAX && alignment <= SPAN_ARENA;
    return run ? run_alloc(heap, size, alignment, zero) : huge_alloc(heap, size, alignment, zero);
}

/* All that this thread can give back before a request is refused. The heap's lock is held, and given back meanwhile. */
static void make_room(cairn_heap *heap)
{
    struct owner *owner = heap->single ? &heap->base : thread_owner_if_any(heap);
    if (owner) {
        os_lock_give(&heap->lock);
        owner_drain(owner);
        owner_return_idle(owner);
        os_lock_take(&heap->lock);
    }
}

void *large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    bool zero = false;
    struct pool *pool = NULL;
    if (size <= PTRDIFF_MAX && alignment <= PTRDIFF_MAX) {
        os_lock_take(&heap->lock);
        large_tick(heap);
        pool = try_alloc(heap, size, alignment, &zero);
        if (!pool) {
            make_room(heap);
            large_trim(heap);
            arena_trim(heap);
            pool = try_alloc(heap, size, alignment, &zero);
        }
        if (pool) {
            count_alloc(heap, pool, size);
        }
        os_lock_give(&heap->lock);
    }
    if (!pool) {
        atomic_fetch_add_explicit(&heap->requests_failed, 1, memory_order_relaxed);
        errno = ENOMEM;
        return NULL;
    }
    if (zeroed) {
        *zeroed = zero;
    }
    return pool->base;
}

struct large_place large_find(const void *address)
{
    struct large_place place = {NULL, NULL, 0};
    registry_lock();
    for (cairn_heap *heap = registry_first(); heap && !place.heap; heap = heap->next) {
        os_lock_take(&heap->lock);
        for (const struct pool *pool = heap->huge; pool && !place.heap; pool = pool->next) {
            if ((uintptr_t)address - (uintptr_t)pool->base < pool->size) {
                place = (struct large_place){heap, pool->base, pool->size};
            }
        }
        os_lock_give(&heap->lock);
    }
    registry_unlock();
    return place;
}

void large_free(struct pool *pool)
{
    cairn_heap *heap = pool_owner(pool)->heap;
    os_lock_take(&heap->lock);
    count_free(heap, pool);
    large_tick(heap);
    if (pool_kind_of(pool) == POOL_HUGE) {
        huge_free(heap, pool);
    } else {
        arena_return(pool);
    }
    os_lock_give(&heap->lock);
}

static void *run_resize(cairn_heap *heap, struct pool *pool, size_t size)
{
    size_t old_size = pool->size;
    unsigned slots = (unsigned)((size + SPAN_SLOT - 1) / SPAN_SLOT);
    if (slots > pool->slots && !arena_extend(pool, slots - pool->slots)) {
        return NULL;
    }
    if (slots < pool->slots) {
        arena_shorten(pool, pool->slots - slots);
    }
    count_resize(heap, pool, old_size, size);
    return pool->base;
}

void *large_resize(struct pool *pool, size_t size)
{
    cairn_heap *heap = pool_owner(pool)->heap;
    bool huge = pool_kind_of(pool) == POOL_HUGE;
    void *resized = NULL;
    os_lock_take(&heap->lock);
    if (huge && size > RUN_MAX) {
        resized = huge_resize(heap, pool, size);
    } else if (!huge && size <= RUN_MAX) {
        resized = run_resize(heap, pool, size);
    }
    os_lock_give(&heap->lock);
    return resized;
}

void large_release_all(cairn_heap *heap)
{
    large_trim(heap);
    while (heap->huge) {
        struct pool *pool = heap->huge;
        heap->huge = pool->next;
        pagemap_set(pool->base, 1, NULL);
        os->release(pool->base, pool->size);
    }
}
