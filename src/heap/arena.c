/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* arena.c: see arena.h. Slot sets are 64-bit words; finding an arena and a slot is a few bit operations. */

#include "heap/arena.h"

#include <limits.h>

#include "heap/debug.h"
#include "heap/huge_pages.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/owner.h"
#include "heap/pagemap.h"
#include "heap/region.h"
#include "heap/supply.h"
#include "os/cpu.h"

/* ---- buckets ---- */

unsigned arena_key(const struct arena *arena)
{
    return cpu_count_bits(arena->free);
}

static bool wholly_free(const struct arena *arena)
{
    return arena->free == arena_all_slots(arena);
}

static void bucket_add(struct arena *arena, unsigned key)
{
    struct space *space = arena->space;
    arena->key = key;
    arena->prev = NULL;
    arena->next = space->bucket[key];
    if (arena->next) {
        arena->next->prev = arena;
    }
    space->bucket[key] = arena;
    if (key) {
        space->filled |= UINT64_C(1) << (key - 1);
    }
}

static void bucket_remove(struct arena *arena)
{
    struct space *space = arena->space;
    if (arena->next) {
        arena->next->prev = arena->prev;
    }
    if (arena->prev) {
        arena->prev->next = arena->next;
    } else {
        space->bucket[arena->key] = arena->next;
        if (arena->key && !arena->next) {
            space->filled &= ~(UINT64_C(1) << (arena->key - 1));
        }
    }
}

/* Changes the arena's free slots and all that follows from them. */
static void set_free(struct arena *arena, uint64_t free)
{
    bool was = wholly_free(arena);
    arena->free = free;
    unsigned key = arena_key(arena);
    if (key != arena->key) {
        bucket_remove(arena);
        bucket_add(arena, key);
    }
    bool is = wholly_free(arena);
    arena->space->arenas_free += (size_t)is - (size_t)was;
}

/* ---- purging ---- */

_Atomic(int) heaps_with_purges;

void arena_set_due(cairn_heap *heap)
{
    uint64_t due = heap->purge_first ? heap->purge_first->queued_at + heap->delay_ms : 0;
    uint64_t holes = holes_due(&heap->holes);
    if (holes && (!due || holes < due)) {
        due = holes;
    }
    for (int i = 0; i < HUGE_CACHE; i++) {
        const struct huge_cache_entry *entry = &heap->huge_cache[i];
        if (entry->base && (!due || entry->expires < due)) {
            due = entry->expires;
        }
    }
    uint64_t before = atomic_exchange_explicit(&heap->purge_due, due, memory_order_relaxed);
    if (!before != !due) {
        atomic_fetch_add_explicit(&heaps_with_purges, due ? 1 : -1, memory_order_relaxed);
    }
}

static void purge_unqueue(struct arena *arena)
{
    cairn_heap *heap = arena->heap;
    if (!arena->queued_at) {
        return;
    }
    *(arena->purge_prev ? &arena->purge_prev->purge_next : &heap->purge_first) = arena->purge_next;
    *(arena->purge_next ? &arena->purge_next->purge_prev : &heap->purge_last) = arena->purge_prev;
    arena->queued_at = 0;
    arena_set_due(heap);
}

static void purge_queue(struct arena *arena)
{
    cairn_heap *heap = arena->heap;
    if (arena->queued_at) {
        return;
    }
    arena->queued_at = os_clock_ms();
    arena->queued_at += arena->queued_at == 0;
    arena->purge_next = NULL;
    arena->purge_prev = heap->purge_last;
    *(heap->purge_last ? &heap->purge_last->purge_next : &heap->purge_first) = arena;
    heap->purge_last = arena;
    arena_set_due(heap);
}

/* Bytes of the free slots in `set` that hold pages. */
static size_t warm_bytes_of(const struct arena *arena, uint64_t set)
{
    return (size_t)cpu_count_bits(arena->free & arena->dirty & set) * arena->space->slot_size;
}

/* Purges the pages wholly inside slots [slot, slot + count). Slots smaller than a page stay dirty unless their
 * neighbours are free too. */
static size_t purge_slots(struct arena *arena, unsigned slot, unsigned count)
{
    size_t page = os_page_size();
    size_t size = arena->space->slot_size;
    uintptr_t from = (uintptr_t)arena->base + slot * size;
    uintptr_t to = from + count * size;
    from = (from + page - 1) & ~(page - 1);
    to &= ~(page - 1);
    if (from >= to || !source_purge(arena->heap->meta.region, (void *)from, to - from)) {
        return 0;
    }
    if (from == (uintptr_t)arena->base + slot * size && to == from + count * size) {
        arena->dirty &= ~slot_mask(slot, count);
        arena->heap->warm_bytes -= count * size;
    }
    arena->heap->purged_bytes += to - from;
    return to - from;
}

/* Purges the slots of a set until `enough` bytes are. */
static size_t purge_set(struct arena *arena, uint64_t set, size_t enough)
{
    size_t purged = 0;
    while (set && purged < enough) {
        unsigned slot = (unsigned)__builtin_ctzll(set);
        uint64_t rest = ~(set >> slot);
        unsigned count = rest ? (unsigned)__builtin_ctzll(rest) : 64 - slot;
        purged += purge_slots(arena, slot, count);
        set &= ~slot_mask(slot, count);
    }
    return purged;
}

/* ---- the bound on warm slots ---- */

static size_t most_kept(const cairn_heap *heap)
{
    return heap->held_peak + heap->keep_percent * (heap->held_peak / 100) + heap->keep_bytes;
}

static size_t kept(const cairn_heap *heap)
{
    return heap->held_bytes + heap->warm_bytes + heap->huge_cached_bytes + heap->holes.figures.warm_bytes;
}

size_t heap_warm_room(const cairn_heap *heap)
{
    return most_kept(heap) > kept(heap) ? most_kept(heap) - kept(heap) : 0;
}

enum { COOL_LEAST = 65536 }; /* of holes at a time: a page each would be a call for each */

/* Cools as far as the bound is passed. Returns bytes. */
static size_t cool(cairn_heap *heap)
{
    size_t purged = 0;
    for (struct arena *arena = heap->purge_first; arena; arena = arena->purge_next) {
        if (kept(heap) <= most_kept(heap)) {
            return purged;
        }
        purged += purge_set(arena, arena->free & arena->dirty, kept(heap) - most_kept(heap));
    }
    if (kept(heap) > most_kept(heap)) {
        size_t more = kept(heap) - most_kept(heap);
        purged += holes_cool(&heap->holes, more > COOL_LEAST ? more : COOL_LEAST);
    }
    if (kept(heap) > most_kept(heap)) {
        purged += large_cool(heap, kept(heap) - most_kept(heap));
    }
    return purged;
}

void heap_cooled(cairn_heap *heap, size_t bytes)
{
    size_t enough = heap->held_peak;
    unsigned more = heap->keep_step;
    if (heap->cool_part) {
        size_t borne = (heap->taken_bytes - heap->cooled_at) / heap->cool_part + (heap->held_peak - heap->cooled_peak);
        enough = enough > COOL_ONCE ? enough : COOL_ONCE;
        heap->cooled_at = heap->taken_bytes;
        heap->cooled_peak = heap->held_peak;
        heap->cooled_bytes -= borne < heap->cooled_bytes ? borne : heap->cooled_bytes;
        if (!heap->cooled_bytes) {
            heap->cooled_since = heap->taken_bytes;
        }
        bool twice_the_part = (heap->taken_bytes - heap->cooled_since) / heap->cool_part <= enough;
        more = twice_the_part ? heap->keep_most : more;
    }
    heap->cooled_bytes += bytes;
    if (heap->cooled_bytes <= enough || heap->keep_percent >= heap->keep_most) {
        return;
    }
    unsigned room = heap->keep_most - heap->keep_percent;
    heap->keep_percent += more < room ? more : room;
    size_t bytes_too = (size_t)heap->keep_percent * KEEP_BYTES_PER_PERCENT;
    heap->keep_bytes = heap->keep_bytes > bytes_too ? heap->keep_bytes : bytes_too;
    heap->cooled_bytes = 0;
}

void arena_cool(cairn_heap *heap)
{
    if (UNLIKELY(kept(heap) > most_kept(heap))) {
        heap_cooled(heap, cool(heap));
    }
    if (UNLIKELY(heap->huge_cached_bytes) && kept(heap) > heap->held_peak) {
        (void)large_cool(heap, kept(heap) - heap->held_peak);
    }
}

/* ---- how long what is free waits for its tick ---- */

enum {
    DELAY_GROWS = 4,   /* times, at most */
    WINDOW_DELAYS = 4, /* delays from one judgement to the next */
    SWING_PART = 16,   /* of what is kept: as much must be needed again that the delay grows */
    CALM_PART = 4      /* of what was purged: if less is, the delay falls */
};

static void set_delay(cairn_heap *heap, unsigned delay_ms)
{
    heap->delay_ms = delay_ms;
    holes_set_delay(&heap->holes, delay_ms);
    arena_set_due(heap);
}

void heap_ticked(cairn_heap *heap, size_t bytes, uint64_t now)
{
    heap->window.bytes += bytes;
    bool waits = heap->delay_ms < heap->purge_delay_ms;
    if (waits || now < heap->window.end) {
        return;
    }
    size_t level = kept(heap) + heap->window.bytes;
    size_t touched = level > heap->window.kept ? level - heap->window.kept : 0;
    size_t again = touched < heap->window.bytes ? touched : heap->window.bytes;
    if (heap->window.end && again > heap->window.kept / SWING_PART) {
        if (heap->delay_ms / DELAY_GROWS < heap->purge_delay_ms && heap->delay_ms <= UINT_MAX / 2) {
            set_delay(heap, heap->delay_ms * 2);
        }
    } else if (again < heap->window.bytes / CALM_PART && heap->delay_ms > heap->purge_delay_ms) {
        set_delay(heap, heap->delay_ms / 2);
    }
    heap->window.end = now + WINDOW_DELAYS * (uint64_t)heap->delay_ms;
    heap->window.bytes = 0;
    heap->window.kept = kept(heap);
}

/* ---- arenas ---- */

enum { HUGE_FROM = 8 /* arenas: a small heap is not rounded up to huge pages unless told to */ };

static bool wants_huge_arena(const cairn_heap *heap)
{
    return heap->huge_pages == CAIRN_HUGE_ALWAYS ||
           (heap->huge_pages == CAIRN_HUGE_AUTO && heap->huge_arenas && heap->arenas_created >= HUGE_FROM);
}

/* Addresses for an arena in a piece that can be one huge page: it must be reserved as a whole before any of it is
 * touched. NULL if the system refuses. */
static char *huge_addresses(struct space *space)
{
    if (space->huge_rest == space->huge_end) {
        char *piece = os->reserve(HUGE_PAGE, HUGE_PAGE);
        if (!piece) {
            return NULL;
        }
        os->advise_huge(piece, HUGE_PAGE, true);
        space->huge_rest = piece;
        space->huge_end = piece + HUGE_PAGE;
    }
    char *base = space->huge_rest;
    space->huge_rest += space->arena_size;
    return base;
}

static char *new_addresses(cairn_heap *heap, struct space *space)
{
    struct region *region = heap->meta.region;
    if (region) {
        return source_reserve(region, space->arena_size, space->slot_size);
    }
    if (space->arena_size < HUGE_PAGE && wants_huge_arena(heap)) {
        return huge_addresses(space);
    }
    char *base = os->reserve(space->arena_size, space->arena_size);
    if (base) {
        huge_pages_shared(heap->huge_pages, base, space->arena_size);
    }
    return base;
}

/* The addresses of a new arena, in the page map. Blocks rely on the alignment of slots only: in a region, where room is
 * scarce, there is no more. */
static char *arena_addresses(cairn_heap *heap, struct space *space)
{
    char *base = supply_take(heap->supply, space->arena_size);
    if (base) {
        return base;
    }
    base = new_addresses(heap, space);
    if (base && !pagemap_prepare(base, space->arena_size)) {
        (void)source_release(heap->meta.region, base, space->arena_size);
        base = NULL;
    }
    return base;
}

static size_t sides_size(const cairn_heap *heap)
{
    return heap->keeps_sides ? SLOTS * sizeof(void *) : 0;
}

static size_t record_size(const cairn_heap *heap)
{
    return sizeof(struct arena) + sides_size(heap) + (heap->single ? 0 : SLOTS * sizeof(struct pool_links));
}

static struct arena *arena_new(cairn_heap *heap, struct space *space)
{
    struct arena *arena = meta_alloc(&heap->meta, record_size(heap));
    if (!arena) {
        return NULL;
    }
    char *base = arena_addresses(heap, space);
    if (!base) {
        meta_free(&heap->meta, arena, record_size(heap));
        return NULL;
    }
    arena->heap = heap;
    arena->space = space;
    arena->base = base;
    arena->links = heap->single ? NULL : (void *)((char *)arena->sides + sides_size(heap));
    arena->free = arena_all_slots(arena);
    bucket_add(arena, arena_key(arena));
    space->arenas++;
    space->arenas_free++;
    arena->all_next = heap->arenas;
    if (heap->arenas) {
        heap->arenas->all_prev = arena;
    }
    heap->arenas = arena;
    heap->arenas_created++;
    return arena;
}

static void touch(char *base, size_t size)
{
    for (size_t at = 0; at < size; at += os_page_size()) {
        ((volatile char *)base)[at] = 0;
    }
}

SELDOM bool arena_reserve(cairn_heap *heap, struct space *space, size_t count, bool prefault)
{
    for (size_t i = 0; i < count; i++) {
        const struct arena *arena = arena_new(heap, space);
        if (!arena || (prefault && !source_commit(heap->meta.region, arena->base, space->arena_size))) {
            return false;
        }
        if (prefault) {
            touch(arena->base, space->arena_size);
        }
    }
    return true;
}

/* Gives an arena's addresses back, or, if `share`, to the heaps it shares a supply with. If the system refuses (it may,
 * at its limit of mappings), the arena stays. */
static bool arena_release(struct arena *arena, bool share)
{
    cairn_heap *heap = arena->heap;
    struct space *space = arena->space;
    pagemap_set(arena->base, space->arena_size, NULL);
    arena->mapped = 0;
    bool shared = share && supply_give(heap->supply, arena->base, space->arena_size);
    if (!shared && !source_release(heap->meta.region, arena->base, space->arena_size)) {
        return false;
    }
    purge_unqueue(arena);
    heap->warm_bytes -= warm_bytes_of(arena, ~UINT64_C(0));
    bucket_remove(arena);
    space->arenas--;
    space->arenas_free -= wholly_free(arena);
    *(arena->all_prev ? &arena->all_prev->all_next : &heap->arenas) = arena->all_next;
    if (arena->all_next) {
        arena->all_next->all_prev = arena->all_prev;
    }
    heap->arenas_released++;
    meta_free(&heap->meta, arena, record_size(heap));
    return true;
}

/* An arena's time has come: what was free at the last tick and still is goes, the rest is marked. */
static void tick(struct arena *arena, uint64_t now, unsigned delay_ms)
{
    cairn_heap *heap = arena->heap;
    uint64_t idle = arena->free & arena->dirty;
    bool late = now - arena->queued_at >= 2 * (uint64_t)delay_ms; /* a tick missed: nothing moved meanwhile */
    uint64_t aged = late ? idle : arena->aged & idle;
    size_t warm = warm_bytes_of(arena, ~UINT64_C(0));
    purge_unqueue(arena);
    if (wholly_free(arena) && aged == idle && arena->space->arenas_free > heap->keep_free_arenas &&
        arena_release(arena, true)) {
        heap_ticked(heap, warm, now);
        return;
    }
    size_t purged = purge_set(arena, aged, SIZE_MAX);
    arena->aged = arena->free & arena->dirty & ~aged;
    if (arena->aged) {
        purge_queue(arena);
    }
    heap_ticked(heap, purged, now);
}

static void tick_all(cairn_heap *heap, uint64_t now)
{
    unsigned delay_ms = heap->delay_ms; /* what is learned meanwhile is for the next time */
    while (heap->purge_first && heap->purge_first->queued_at + delay_ms <= now) {
        tick(heap->purge_first, now, delay_ms);
    }
}

void arena_tick(cairn_heap *heap)
{
    if (heap->purge_first) {
        uint64_t now = os_clock_ms();
        heap_works(heap, now);
        tick_all(heap, now);
    }
}

SELDOM void heap_tick_in_wait(cairn_heap *heap)
{
    uint64_t now = os_clock_ms();
    uint64_t rested = now - atomic_load_explicit(&heap->worked_at, memory_order_relaxed);
    bool rests = rested >= 2 * (uint64_t)heap_rest_delay(heap) &&
                 rested < UINT64_MAX / 2; /* not one that works just now */
    if (rests) {
        set_delay(heap, heap_rest_delay(heap));
    }
    large_tick(heap);
    tick_all(heap, now);
    if (rests) {
        set_delay(heap, heap->purge_delay_ms);
        heap->window.end = 0;
    }
}

SELDOM size_t arena_trim(cairn_heap *heap)
{
    size_t bytes = supply_trim(heap->supply);
    struct arena *next;
    for (struct arena *arena = heap->arenas; arena; arena = next) {
        next = arena->all_next;
        size_t size = arena->space->arena_size;
        if (wholly_free(arena) && arena_release(arena, false)) {
            bytes += size;
        } else {
            purge_unqueue(arena);
            arena->aged = 0;
            bytes += purge_set(arena, arena->free & arena->dirty, SIZE_MAX);
        }
    }
    return bytes;
}

SELDOM void arena_release_all(cairn_heap *heap)
{
    struct arena *next;
    for (struct arena *arena = heap->arenas; arena; arena = next) {
        next = arena->all_next;
        (void)arena_release(arena, false);
    }
    for (int i = 0; i < SPACES; i++) {
        struct space *space = &heap->spaces[i];
        if (space->huge_rest != space->huge_end) {
            (void)os->release(space->huge_rest, (size_t)(space->huge_end - space->huge_rest));
            space->huge_rest = space->huge_end = NULL;
        }
    }
}

/* ---- order of address ---- */

static SELDOM struct arena *merge(struct arena *a, struct arena *b)
{
    struct arena *first = NULL;
    struct arena **tail = &first;
    while (a && b) {
        struct arena **lower = a->base < b->base ? &a : &b;
        *tail = *lower;
        tail = &(*lower)->all_next;
        *lower = *tail;
    }
    *tail = a ? a : b;
    return first;
}

/* Merge sort, bottom up: bins[i] holds a sorted list of 2^i arenas or nothing. */
SELDOM void arenas_sort(cairn_heap *heap)
{
    struct arena *bins[48] = {0};
    struct arena *next;
    for (struct arena *arena = heap->arenas; arena; arena = next) {
        next = arena->all_next;
        arena->all_next = NULL;
        int i = 0;
        for (; bins[i]; i++) {
            arena = merge(bins[i], arena);
            bins[i] = NULL;
        }
        bins[i] = arena;
    }
    struct arena *sorted = NULL;
    for (int i = 0; i < 48; i++) {
        sorted = bins[i] ? merge(bins[i], sorted) : sorted;
    }
    heap->arenas = sorted;
    struct arena *prev = NULL;
    for (struct arena *arena = sorted; arena; arena = arena->all_next) {
        arena->all_prev = prev;
        prev = arena;
    }
}

/* ---- limit ---- */

bool heap_has_room(const cairn_heap *heap, size_t bytes)
{
    size_t held = heap->held_bytes + bytes;
    return held >= bytes && (!heap->limit || held <= heap->limit);
}

bool heap_hold(cairn_heap *heap, size_t bytes)
{
    if (!heap_has_room(heap, bytes)) {
        return false;
    }
    size_t held = heap->held_bytes + bytes;
    heap->held_bytes = held;
    heap->taken_bytes += bytes;
    if (held > heap->held_peak) {
        heap->held_peak = held;
        if (UNLIKELY(held > heap->next_look)) {
            large_flush_at_peak(heap);
        }
    }
    return true;
}

void heap_unhold(cairn_heap *heap, size_t bytes)
{
    ASSERT(heap->held_bytes >= bytes);
    heap->held_bytes -= bytes;
}

/* ---- slots ---- */

/* Points a slot's page map entries to its record, both set up at its first use. */
static void map_slot(struct arena *arena, unsigned slot)
{
    size_t size = arena->space->slot_size;
    struct pool *pool = &arena->pools[slot];
    pool->slot = (uint8_t)slot;
    pagemap_set(arena->base + slot * size, size, pool);
    arena->mapped |= slot_bit(slot);
}

/* The usable arena with the fewest free slots. */
static struct arena *fullest_arena(const struct space *space)
{
    return space->filled ? space->bucket[__builtin_ctzll(space->filled) + 1] : NULL;
}

enum { WARM_LOOKS = 8 }; /* queued arenas looked at */

/* Where a slot would be taken that holds no pages yet, a warm one elsewhere saves the page faults and the memory: looks
 * at the last arenas that slots went back to. Not in geometries that keep CPython's rules to the letter. */
static struct arena *prefer_warm(const cairn_heap *heap, struct arena *arena)
{
    if (!arena || heap->geometry.return_at_once || (arena->free & arena->dirty)) {
        return arena;
    }
    struct arena *other = heap->purge_last;
    for (int i = 0; other && i < WARM_LOOKS; i++, other = other->purge_prev) {
        if (other->space == arena->space && (other->free & other->dirty)) {
            return other;
        }
    }
    return arena;
}

static void take_slot(struct arena *arena, unsigned slot)
{
    uint64_t bit = slot_bit(slot);
    arena->heap->warm_bytes -= warm_bytes_of(arena, bit);
    arena->dirty |= bit;
    arena->aged &= ~bit;
    set_free(arena, arena->free & ~bit);
}

struct pool *arena_take(cairn_heap *heap, struct space *space, bool may_grow)
{
    arena_tick(heap);
    struct arena *arena = prefer_warm(heap, fullest_arena(space));
    if ((!arena && !may_grow) || !heap_hold(heap, space->slot_size)) {
        return NULL;
    }
    if (!arena) {
        arena = arena_new(heap, space);
    }
    uint64_t warm = arena ? arena->free & arena->dirty : 0;
    unsigned slot = arena ? (unsigned)__builtin_ctzll(warm ? warm : arena->free) : 0;
    if (!arena || !source_commit(heap->meta.region, arena->base + slot * space->slot_size, space->slot_size)) {
        heap_unhold(heap, space->slot_size);
        return NULL;
    }
    take_slot(arena, slot);
    if (!warm) {
        arena_cool(heap);
    }
    if (!(arena->mapped & slot_bit(slot))) {
        map_slot(arena, slot);
    }
    return &arena->pools[slot];
}

void arena_return(struct pool *pool)
{
    struct arena *arena = pool_arena(pool);
    cairn_heap *heap = arena->heap;
    uint64_t bit = slot_bit(pool->slot);
    atomic_store_explicit(&pool->fast, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->owner, NULL, memory_order_relaxed);
    pool_set_kind(pool, POOL_SLOT);
    arena_tick(heap); /* what came back earlier; not yet what comes back now */
    heap_unhold(heap, arena->space->slot_size);
    set_free(arena, arena->free | bit);
    heap->warm_bytes += warm_bytes_of(arena, bit);
    purge_queue(arena);
    if (heap->purge_delay_ms == 0) {
        arena_tick(heap); /* the arena may be gone now */
    }
}
