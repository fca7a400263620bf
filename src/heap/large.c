/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* large.c: see large.h. Lock: the heap's, taken by each public function. */

#include "heap/large.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/debug.h"
#include "heap/handle.h"
#include "heap/hole_quick.h"
#include "heap/huge_pages.h"
#include "heap/meta.h"
#include "heap/owner.h"
#include "heap/pagemap.h"
#include "heap/region.h"
#include "heap/registry.h"
#include "heap/thread.h"
#include "heap/watch.h"

enum { HOLE_SLACK = 16 }; /* a chunk may be this much larger than holes_chunk_size() says */

static size_t round_to_page(size_t size)
{
    size_t page = os_page_size();
    return (size + page - 1) & ~(page - 1);
}

/* ---- accounting ---- */

static void count_alloc(cairn_heap *heap, struct large_counts *counts, size_t asked, size_t given)
{
    counts->requests++;
    counts->asked += asked;
    counts->given += given;
    if (heap->exact) {
        exact_served(&heap->base, heap->class_count, asked, given);
    }
}

/* A block changed its size in place or by remapping. */
static void count_resize(cairn_heap *heap, size_t old_size, size_t new_size)
{
    if (heap->exact && new_size >= old_size) {
        exact_served(&heap->base, heap->class_count, 0, new_size - old_size);
    } else if (heap->exact) {
        exact_freed(heap, old_size - new_size);
    }
}

/* ---- holes ---- */

/* Segments in a region: without pools all of it but what the records of so large a segment take, else small ones, so
 * that pools find room too; holes beyond a segment get one of their own. */
static size_t segment_size(const cairn_heap *heap)
{
    enum { RECORD_SHARE = 8192, RECORD_ROOM = 64 * 1024, LEAST = 64 * 1024, PARTS = 16, MOST = 16 * 1024 * 1024 };
    if (!heap->meta.region) {
        return 0;
    }
    size_t room = region_longest(heap->meta.region);
    size_t most = heap->no_pools ? room - room / RECORD_SHARE : room / PARTS;
    most = heap->no_pools ? (most > 2 * RECORD_ROOM ? most - RECORD_ROOM : most / 2) : most < MOST ? most : MOST;
    most = most < HOLE_REQUEST_MAX ? most : HOLE_REQUEST_MAX;
    return most > LEAST ? most : LEAST;
}

SELDOM void large_init(cairn_heap *heap)
{
    struct hole_options options = {
        .meta = &heap->meta,
        .owner = &heap->base,
        .fit = heap->fit,
        .secret = os_random(),
        .purge_delay_ms = heap->purge_delay_ms,
        .segment_size = segment_size(heap),
        .huge = heap->huge_pages,
        .huge_from = heap->keep_percent ? HUGE_PAGE / heap->keep_percent * 100 : SIZE_MAX,
        .keep_segments = heap->keep_free_arenas,
    };
    holes_init(&heap->holes, &options);
}

static void note_holes_due(cairn_heap *heap)
{
    if (holes_due(&heap->holes) != heap->holes_due) {
        heap->holes_due = holes_due(&heap->holes);
        arena_set_due(heap);
    }
}

/* What follows a change of the hole space: the bytes held, which were `before`, and the next tick. */
static void holes_changed(cairn_heap *heap, size_t before)
{
    size_t held = heap->holes.figures.held_bytes;
    if (held > before) {
        (void)heap_hold(heap, held - before);
        arena_cool(heap);
    } else {
        heap_unhold(heap, before - held);
    }
    note_holes_due(heap);
}

static void *hole_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    struct hole_space *holes = &heap->holes;
    size_t before = holes->figures.held_bytes;
    if (!heap_has_room(heap, holes_chunk_size(size) + HOLE_SLACK)) {
        return NULL;
    }
    bool small = holes->quick && size <= QUICK_CUT && size >= heap->pooled_end && alignment <= HOLE_UNIT;
    void *block = NULL;
    if (small && heap_has_room(heap, QUICK_REST + HOLE_SLACK)) {
        block = quick_alloc(holes, size, true);
        if (zeroed) {
            *zeroed = false;
        }
    } else {
        block = holes_alloc(holes, size, alignment, zeroed, true);
    }
    if (block) {
        holes_changed(heap, before);
        count_alloc(heap, &heap->large_counts, size, holes_usable(block));
    }
    return block;
}

static void hole_free(cairn_heap *heap, struct pool *pool, void *block)
{
    size_t before = heap->holes.figures.held_bytes;
    if (heap->exact) {
        exact_freed(heap, holes_usable(block));
    }
    holes_free(&heap->holes, segment_of_record(pool), block);
    holes_changed(heap, before);
}

static void *hole_resize(cairn_heap *heap, struct pool *pool, void *block, size_t size)
{
    size_t before = heap->holes.figures.held_bytes;
    size_t old_size = holes_usable(block);
    if (size > old_size && !heap_has_room(heap, size - old_size + 2 * HOLE_SLACK)) {
        return NULL;
    }
    if (!holes_resize(&heap->holes, segment_of_record(pool), block, size)) {
        return NULL;
    }
    holes_changed(heap, before);
    count_resize(heap, old_size, holes_usable(block));
    return block;
}

void large_flush(cairn_heap *heap)
{
    size_t before = heap->holes.figures.held_bytes;
    quick_flush(&heap->holes);
    holes_changed(heap, before);
}

enum {
    MUCH_PART = 16,        /* of what the heap holds: if lists keep more, that is much */
    MUCH_PART_SMALL = 32,  /* the same of a small heap, where pages touched again are few */
    SMALL_HEAP = 4 << 20,  /* holds less */
    LOOK_PART = 32,        /* of the peak, by which it grows from one look to the next */
    LOOK_STEP = 64 * 1024, /* but at least so many bytes */
};

void large_flush_at_peak(cairn_heap *heap)
{
    size_t part = heap->held_bytes < SMALL_HEAP ? MUCH_PART_SMALL : MUCH_PART;
    if (heap->holes.quick && quick_sum(&heap->holes).bytes > heap->held_bytes / part) {
        large_flush(heap);
    }
    size_t step = heap->held_peak / LOOK_PART;
    heap->next_look = heap->held_peak + (step > LOOK_STEP ? step : LOOK_STEP);
}

bool large_check(struct pool *segment, const void *block, cairn_misuse_kind *misuse)
{
    cairn_heap *heap = pool_owner(segment)->heap;
    if (LIKELY(holes_is_block(&heap->holes, segment_of_record(segment), block))) {
        return true;
    }
    os_lock_take(&heap->lock);
    enum hole_place_kind kind = holes_find(&heap->holes, segment_of_record(segment), block).kind;
    os_lock_give(&heap->lock);
    switch (kind) {
    case HOLE_PLACE_BLOCK:
    case HOLE_PLACE_DAMAGED:
        *misuse = CAIRN_MISUSE_OVERRUN;
        break;
    case HOLE_PLACE_INTERIOR:
        *misuse = CAIRN_MISUSE_INTERIOR;
        break;
    case HOLE_PLACE_FREE:
        *misuse = CAIRN_MISUSE_DOUBLE_FREE;
        break;
    case HOLE_PLACE_HEADER:
        *misuse = CAIRN_MISUSE_FOREIGN;
        break;
    }
    return false;
}

SELDOM const void *large_block_at(struct pool *segment, const void *address, size_t *size)
{
    cairn_heap *heap = pool_owner(segment)->heap;
    os_lock_take(&heap->lock);
    struct hole_place place = holes_find(&heap->holes, segment_of_record(segment), address);
    os_lock_give(&heap->lock);
    bool live = place.kind == HOLE_PLACE_BLOCK || place.kind == HOLE_PLACE_INTERIOR || place.kind == HOLE_PLACE_DAMAGED;
    *size = live ? place.size : 0;
    return live ? place.start : NULL;
}

/* ---- mappings ---- */

/* Gives a cached mapping back. If the system refuses, it stays cached without its pages. */
static size_t cache_drop(cairn_heap *heap, struct huge_cache_entry *entry)
{
    size_t size = entry->size;
    if (!os->release(entry->base, size)) {
        entry->expires = os_clock_ms() + heap_rest_delay(heap);
        return os->purge(entry->base, size) ? size : 0;
    }
    heap->huge_cached_bytes -= size;
    entry->base = NULL;
    arena_set_due(heap);
    return size;
}

void large_tick(cairn_heap *heap)
{
    if (!heap->huge_cached_bytes && !holes_due(&heap->holes)) {
        return;
    }
    uint64_t now = os_clock_ms();
    size_t purged = heap->holes.figures.purged_bytes;
    holes_tick(&heap->holes, now);
    note_holes_due(heap);
    if (heap->holes.figures.purged_bytes != purged) {
        heap_ticked(heap, heap->holes.figures.purged_bytes - purged, now);
    }
    for (int i = 0; i < HUGE_CACHE; i++) {
        if (heap->huge_cache[i].base && heap->huge_cache[i].expires <= now) {
            cache_drop(heap, &heap->huge_cache[i]);
        }
    }
}

size_t large_cool(cairn_heap *heap, size_t enough)
{
    size_t bytes = 0;
    while (bytes < enough) {
        struct huge_cache_entry *oldest = NULL;
        for (int i = 0; i < HUGE_CACHE; i++) {
            struct huge_cache_entry *entry = &heap->huge_cache[i];
            if (entry->base && (!oldest || entry->expires < oldest->expires)) {
                oldest = entry;
            }
        }
        size_t dropped = oldest ? cache_drop(heap, oldest) : 0;
        if (!dropped || oldest->base) {
            return bytes + dropped;
        }
        bytes += dropped;
    }
    return bytes;
}

SELDOM size_t large_trim(cairn_heap *heap)
{
    size_t bytes = holes_trim(&heap->holes);
    note_holes_due(heap);
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
    place->expires = os_clock_ms() + heap_rest_delay(heap);
    heap->huge_cached_bytes += size;
    arena_set_due(heap);
}

/* Addresses for one block. `sparse`: it is asked for as zeros, as tables are of which the program may touch little. */
static char *reserve_single(const cairn_heap *heap, size_t size, size_t alignment, bool sparse)
{
    bool huge = heap->huge_pages == CAIRN_HUGE_ALWAYS || (heap->huge_pages == CAIRN_HUGE_AUTO && !sparse);
    alignment = alignment < os_page_size() ? os_page_size() : alignment;
    char *base = os->reserve(size, huge ? huge_pages_align(size, alignment) : alignment);
    if (base && (huge || heap->huge_pages == CAIRN_HUGE_NEVER)) {
        os->advise_huge(base, size, huge); /* all of it, so that it stays one mapping, which `remap` needs */
    }
    return base;
}

/* On input *zeroed says whether zeros are asked for, on output whether the pages are. */
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
    char *base = reserve_single(heap, size, alignment, *zeroed);
    *zeroed = true;
    if (!base) {
        return NULL;
    }
    if (!pagemap_prepare(base, 1) || !os->commit(base, size)) {
        os->release(base, size);
        return NULL;
    }
    return base;
}

static void *huge_alloc(cairn_heap *heap, size_t asked, size_t alignment, bool *zeroed)
{
    size_t size = round_to_page(asked ? asked : 1);
    struct huge *huge = meta_alloc(&heap->meta, sizeof *huge);
    if (!huge) {
        return NULL;
    }
    size_t got = 0;
    char *base = map_pages(heap, size, alignment, &got, zeroed);
    if (base && !heap_hold(heap, got)) {
        os->release(base, got);
        base = NULL;
    }
    if (!base) {
        meta_free(&heap->meta, huge, sizeof *huge);
        return NULL;
    }
    huge->base = base;
    huge->size = got;
    huge->asked = asked;
    pool_set_kind(&huge->record, POOL_HUGE);
    atomic_store_explicit(&huge->record.owner, &heap->base, memory_order_release);
    huge->next = heap->huge;
    if (heap->huge) {
        heap->huge->prev = huge;
    }
    heap->huge = huge;
    arena_cool(heap);
    pagemap_set(base, 1, &huge->record);
    heap->huge_blocks++;
    heap->huge_bytes += got;
    count_alloc(heap, &heap->huge_counts, asked, got);
    return base;
}

static void huge_free(cairn_heap *heap, struct huge *huge)
{
    *(huge->prev ? &huge->prev->next : &heap->huge) = huge->next;
    if (huge->next) {
        huge->next->prev = huge->prev;
    }
    pagemap_set(huge->base, 1, NULL);
    heap->huge_blocks--;
    heap->huge_bytes -= huge->size;
    if (heap->exact) {
        exact_freed(heap, huge->size);
    }
    heap_unhold(heap, huge->size);
    cache_put(heap, huge->base, huge->size);
    meta_free(&heap->meta, huge, sizeof *huge);
}

/* Remaps to `new_size` bytes, in place or to a new reservation that the page map covers; NULL if neither goes. */
static char *remap_pages(const cairn_heap *heap, struct huge *huge, size_t new_size)
{
    char *stayed = os->remap(huge->base, huge->size, new_size, NULL);
    if (stayed || new_size < huge->size) {
        return stayed;
    }
    char *target = reserve_single(heap, new_size, os_page_size(), false);
    if (!target) {
        return NULL;
    }
    /* Once moved, the old addresses may be anyone's at once: their entry goes first. */
    pagemap_set(huge->base, 1, NULL);
    char *moved = pagemap_prepare(target, 1) ? os->remap(huge->base, huge->size, new_size, target) : NULL;
    if (moved) {
        pagemap_set(moved, 1, &huge->record);
    } else {
        pagemap_set(huge->base, 1, &huge->record);
        os->release(target, new_size);
    }
    return moved;
}

static void *huge_resize(cairn_heap *heap, struct huge *huge, size_t size)
{
    size_t new_size = round_to_page(size);
    size_t old_size = huge->size;
    if (new_size > old_size && !heap_hold(heap, new_size - old_size)) {
        return NULL;
    }
    char *base = new_size == old_size ? huge->base : remap_pages(heap, huge, new_size);
    if (!base) {
        heap_unhold(heap, new_size > old_size ? new_size - old_size : 0);
        return NULL;
    }
    huge->base = base;
    huge->size = new_size;
    heap_unhold(heap, new_size < old_size ? old_size - new_size : 0);
    arena_cool(heap);
    heap->huge_bytes += new_size - old_size;
    huge->asked = size;
    count_resize(heap, old_size, new_size);
    return base;
}

/* ---- public ---- */

static void tick_if_due(cairn_heap *heap)
{
    if (heap_is_due(heap)) {
        large_tick(heap);
        arena_tick(heap);
    }
}

static void *try_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zero)
{
    bool large = heap->meta.region || (size <= HOLE_MAX && alignment <= HOLE_MAX);
    return large ? hole_alloc(heap, size, alignment, zero) : huge_alloc(heap, size, alignment, zero);
}

SELDOM size_t large_give_back(cairn_heap *heap)
{
    large_flush(heap);
    return handles_trim(heap) + large_trim(heap) + arena_trim(heap);
}

SELDOM void large_make_room(cairn_heap *heap)
{
    struct owner *owner = heap->single ? &heap->base : thread_owner_if_any(heap);
    if (owner) {
        os_lock_give(&heap->lock);
        owner_drain(owner);
        owner_return_idle(owner);
        os_lock_take(&heap->lock);
    }
    (void)large_give_back(heap);
}

/* A request that no kept block serves. */
static __attribute__((noinline)) void *alloc_anew(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    bool zero = zeroed != NULL;
    void *block = NULL;
    if (size <= PTRDIFF_MAX && alignment <= PTRDIFF_MAX) {
        os_lock_take(&heap->lock);
        tick_if_due(heap);
        block = try_alloc(heap, size, alignment, &zero);
        if (!block) {
            large_make_room(heap);
            zero = zeroed != NULL;
            block = try_alloc(heap, size, alignment, &zero);
        }
        os_lock_give(&heap->lock);
    }
    if (!block) {
        atomic_fetch_add_explicit(&heap->requests_failed, 1, memory_order_relaxed);
        errno = ENOMEM;
        return NULL;
    }
    if (zeroed) {
        *zeroed = zero;
    }
    if (heap->exact) {
        watch_given(block, size);
    }
    return block;
}

void *large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    void *kept = alignment <= HOLE_UNIT ? quick_take(&heap->holes, size) : NULL;
    if (LIKELY(!kept)) {
        return alloc_anew(heap, size, alignment, zeroed);
    }
    if (zeroed) {
        *zeroed = false;
    }
    return kept;
}

void *large_try(cairn_heap *heap, size_t size)
{
    bool zeroed;
    os_lock_take(&heap->lock);
    tick_if_due(heap);
    void *block = hole_alloc(heap, size, 1, &zeroed);
    os_lock_give(&heap->lock);
    if (block && heap->exact) {
        watch_given(block, size);
    }
    return block;
}

SELDOM void *large_after_pools(cairn_heap *heap, size_t size, size_t alignment, int saved)
{
    if (!heap->meta.region) {
        return NULL;
    }
    void *block = large_alloc(heap, size, alignment, NULL);
    atomic_fetch_sub_explicit(&heap->requests_failed, 1, memory_order_relaxed);
    errno = block ? saved : ENOMEM;
    return block;
}

SELDOM struct large_place large_find(const void *address)
{
    struct large_place place = {NULL, NULL, 0};
    registry_lock();
    for (cairn_heap *heap = registry_first(); heap && !place.heap; heap = heap->next) {
        os_lock_take(&heap->lock);
        for (const struct huge *huge = heap->huge; huge && !place.heap; huge = huge->next) {
            if ((uintptr_t)address - (uintptr_t)huge->base < huge->size) {
                place = (struct large_place){heap, huge->base, huge->size};
            }
        }
        os_lock_give(&heap->lock);
    }
    registry_unlock();
    return place;
}

void large_free(struct pool *pool, void *block)
{
    cairn_heap *heap = pool_owner(pool)->heap;
    os_lock_take(&heap->lock);
    tick_if_due(heap);
    if (pool_kind_of(pool) == POOL_HUGE) {
        huge_free(heap, huge_of_record(pool));
    } else {
        hole_free(heap, pool, block);
    }
    os_lock_give(&heap->lock);
}

size_t large_usable(const struct pool *pool, const void *block)
{
    return pool_kind_of(pool) == POOL_HUGE ? huge_of_record(pool)->size : holes_usable(block);
}

void *large_resize(struct pool *pool, void *block, size_t size)
{
    cairn_heap *heap = pool_owner(pool)->heap;
    bool huge = pool_kind_of(pool) == POOL_HUGE;
    bool to_huge = !heap->meta.region && size > HOLE_MAX && size > large_usable(pool, block);
    bool from_pooled = heap->few_from_holes && large_usable(pool, block) < heap->pooled_end;
    bool to_pool = size < heap->pooled_end && !from_pooled;
    if (to_pool || to_huge != huge) {
        return NULL;
    }
    os_lock_take(&heap->lock);
    void *resized = huge ? huge_resize(heap, huge_of_record(pool), size) : hole_resize(heap, pool, block, size);
    if (resized && heap->exact) {
        watch_resized(block, resized, size);
    }
    os_lock_give(&heap->lock);
    return resized;
}

SELDOM void large_release_all(cairn_heap *heap)
{
    (void)large_trim(heap);
    holes_release_all(&heap->holes);
    while (heap->huge) {
        struct huge *huge = heap->huge;
        heap->huge = huge->next;
        pagemap_set(huge->base, 1, NULL);
        os->release(huge->base, huge->size);
    }
}
