/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* sweep.c: see sweep.h. */

#include "heap/sweep.h"

#include <errno.h>

#include "heap/arena.h"
#include "heap/large.h"
#include "heap/misuse.h"
#include "heap/owned.h"
#include "heap/owner.h"
#include "heap/region.h"

enum {
    SWEEP_DELAYS = 10,
    SWEEP_MS_LEAST = 100
}; /* delays of a waiting heap between two passes, and milliseconds at least */

SELDOM unsigned sweep_unit_shift(size_t slot_size)
{
    size_t unit = slot_size / SWEEP_UNITS;
    unit = unit > os_page_size() ? unit : os_page_size();
    return slot_size >= 2 * unit ? (unsigned)__builtin_ctzll(unit) : 0;
}

/* ---- units and blocks ---- */

/* The lay-out of a pool's blocks over its units. */
struct layout {
    size_t first; /* bytes of the slot before the first block */
    size_t size;  /* of a block */
    size_t carved;
    unsigned shift;
};

static struct layout layout_of(const struct pool *pool)
{
    size_t first = (size_t)(pool_base(pool) - pool_slot(pool));
    return (struct layout){first, pool->block_size, pool_carved(pool), pool_arena(pool)->space->unit_shift};
}

static unsigned unit_set(unsigned from, unsigned to)
{
    return (2u << to) - (1u << from);
}

/* The units that a block touches. */
static unsigned units_of(const struct layout *l, size_t index)
{
    size_t start = l->first + index * l->size;
    return unit_set((unsigned)(start >> l->shift), (unsigned)((start + l->size - 1) >> l->shift));
}

/* The carved blocks that touch one of the units [from, to). */
struct range {
    size_t first, end;
};

static struct range blocks_in(const struct layout *l, unsigned from, unsigned to)
{
    size_t start = (size_t)from << l->shift;
    size_t end = (size_t)to << l->shift;
    struct range range = {
        .first = start > l->first ? (start - l->first) / l->size : 0,
        .end = end > l->first ? (end - l->first + l->size - 1) / l->size : 0,
    };
    range.end = range.end < l->carved ? range.end : l->carved;
    range.first = range.first < range.end ? range.first : range.end;
    return range;
}

bool pool_block_is_purged(const struct pool *pool, size_t index)
{
    unsigned purged = pool_purged(pool);
    if (!purged) {
        return false;
    }
    struct layout l = layout_of(pool);
    return index < l.carved && (units_of(&l, index) & purged);
}

/* The first run of units in a set that is not empty; takes it out. */
static struct range take_run(unsigned *set)
{
    unsigned from = (unsigned)__builtin_ctz(*set);
    unsigned to = from + (unsigned)__builtin_ctz(~(*set >> from));
    *set &= ~unit_set(from, to - 1);
    return (struct range){from, to};
}

unsigned pool_purged_blocks(const struct pool *pool)
{
    unsigned purged = pool_purged(pool);
    size_t count = 0;
    size_t counted = 0; /* up to this block; one may touch two runs */
    if (!purged) {
        return 0;
    }
    struct layout l = layout_of(pool);
    while (purged) {
        struct range run = take_run(&purged);
        struct range blocks = blocks_in(&l, (unsigned)run.first, (unsigned)run.end);
        blocks.first = blocks.first > counted ? blocks.first : counted;
        if (blocks.end > blocks.first) {
            count += blocks.end - blocks.first;
            counted = blocks.end;
        }
    }
    return (unsigned)count;
}

void pool_refill(struct pool *pool)
{
    struct layout l = layout_of(pool);
    unsigned purged = pool_purged(pool);
    char *base = pool_base(pool);
    while (purged && is_free_end(pool->free)) {
        unsigned unit = (unsigned)__builtin_ctz(purged);
        purged &= purged - 1;
        /* Should another thread fork now, the child counts these blocks as used: lost, but given to nobody twice. */
        atomic_store_explicit(&pool->purged, (uint16_t)purged, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        struct range blocks = blocks_in(&l, unit, unit + 1);
        for (size_t i = blocks.end; i-- > blocks.first;) {
            if (!(units_of(&l, i) & purged)) {
                struct block *block = (struct block *)(void *)(base + i * l.size);
                block->next = pool->free;
                pool->free = block;
            }
        }
    }
}

/* ---- finding units without live blocks ---- */

/* Counts the free blocks that touch each unit. False, after a report, if frees of the same block or of what is none, or
 * writes to a free block, have damaged the list: it is too long, or leads to what is no block of the pool. */
static bool count_free(const struct owner *owner, const struct pool *pool, const struct layout *l,
                       size_t free[SWEEP_UNITS + 1])
{
    size_t left = l->carved - pool_used(pool) - pool_purged_blocks(pool);
    const char *base = pool_base(pool);
    const void *holder = base; /* of the link that is followed */
    for (const struct block *block = pool->free; !is_free_end(block); holder = block, block = block->next) {
        size_t offset = (size_t)((const char *)block - base);
        if (offset >= l->carved * l->size || offset % l->size != 0) {
            const void *within = offset < pool_capacity(pool) * l->size ? (const void *)block : holder;
            misuse_report(CAIRN_MISUSE_INTERIOR, "free", within, owner->heap);
            return false;
        }
        if (left-- == 0) {
            misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
            return false;
        }
        size_t start = offset + l->first;
        size_t last = (start + l->size - 1) >> l->shift;
        for (size_t unit = start >> l->shift; unit <= last; unit++) {
            free[unit]++;
        }
    }
    return true;
}

/* The units that at least one carved block touches, all of which are free. */
static unsigned find_units(const struct owner *owner, const struct pool *pool, const struct layout *l)
{
    size_t free[SWEEP_UNITS + 1] = {0};
    if (!count_free(owner, pool, l, free)) {
        return 0;
    }
    unsigned purged = pool_purged(pool);
    unsigned found = 0;
    for (unsigned unit = 0; unit < SWEEP_UNITS; unit++) {
        struct range blocks = blocks_in(l, unit, unit + 1);
        while (blocks.first < blocks.end && (units_of(l, blocks.first) & purged)) {
            blocks.first++;
        }
        while (blocks.first < blocks.end && (units_of(l, blocks.end - 1) & purged)) {
            blocks.end--;
        }
        if (blocks.first < blocks.end && free[unit] == blocks.end - blocks.first) {
            found |= 1u << unit;
        }
    }
    return found & ~purged;
}

/* Takes the free blocks that touch the units off the free list. The list is sound after every step. */
static void unlink_blocks(struct pool *pool, const struct layout *l, unsigned units)
{
    struct block **link = &pool->free;
    while (!is_free_end(*link)) {
        size_t index = pool_offset(pool, *link) / l->size;
        if (units_of(l, index) & units) {
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}

/* Purges the units of a pool that no live block touches. Returns bytes. */
static size_t purge_units(struct owner *owner, struct pool *pool)
{
    struct layout l = layout_of(pool);
    unsigned units = find_units(owner, pool, &l);
    if (!units) {
        return 0;
    }
    unlink_blocks(pool, &l, units);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&pool->purged, (uint16_t)(pool_purged(pool) | units), memory_order_relaxed);
    char *slot = pool_base(pool) - l.first;
    size_t purged = 0;
    while (units) {
        struct range run = take_run(&units);
        size_t size = (run.end - run.first) << l.shift;
        if (source_purge(owner->heap->meta.region, slot + (run.first << l.shift), size)) {
            purged += size;
        }
    }
    owner_move_back(owner, pool);
    return purged;
}

/* ---- passes ---- */

enum { SCANNED = 1 };

/* What a pool looked like, in the bits above SCANNED: changes with a request and with a free, and stays the same over many
 * of both with a chance of 2^-15. */
static uint16_t stamp_of(const struct pool *pool)
{
    enum { SPREAD = 0x4F1B }; /* odd: no number of requests below 2^15 is lost */
    return (uint16_t)((pool_requests(pool) * SPREAD + pool_used(pool)) << 1);
}

static size_t look_at(struct owner *owner, struct pool *pool, bool force, size_t *work)
{
    struct arena *arena = pool_arena(pool);
    uint16_t *look = &arena->look[pool->slot];
    unsigned shift = arena->space->unit_shift;
    unsigned used = pool_used(pool);
    size_t free = pool_carved(pool) - used;
    ++*work;
    owner_set_aside(owner, pool);
    if (!shift || pool_is_unsettled(pool) || !used || free * pool->block_size < (size_t)1 << shift) {
        return 0;
    }
    uint16_t stamp = stamp_of(pool);
    bool rested = (*look & ~SCANNED) == stamp;
    if (rested && (*look & SCANNED)) {
        return 0;
    }
    *look = stamp;
    if (!rested && !force) {
        owner->sweep.again = true;
        return 0;
    }
    *work += 2 * free + SWEEP_UNITS;
    *look = stamp | SCANNED;
    return purge_units(owner, pool);
}

/* What was kept for requests that have not come becomes holes, whose pages can be given back. */
static void flush_kept(struct owner *owner)
{
    cairn_heap *heap = owner->heap;
    if (heap->holes.quick && owner == &heap->base) {
        os_lock_take(&heap->lock);
        large_flush(heap);
        os_lock_give(&heap->lock);
    }
}

bool owner_sweep(struct owner *owner, size_t work, bool force, size_t *bytes)
{
    struct sweep *sweep = &owner->sweep;
    int saved = errno;
    size_t done = 0;
    size_t purged = 0;
    if (!sweep->running) {
        sweep->running = true;
        sweep->again = false;
        sweep->next = owned_first(owner);
        flush_kept(owner);
    }
    while (sweep->next && done < work) {
        struct pool *pool = sweep->next;
        sweep->next = owned_next(owner, pool);
        purged += look_at(owner, pool, force, &done);
    }
    sweep->running = sweep->next != NULL;
    if (!sweep->running) {
        sweep_arm(owner, sweep->again);
        sweep->due = 0;
    }
    if (purged) {
        if (!owner->common) {
            os_lock_take(&owner->heap->lock);
        }
        owner->heap->purged_bytes += purged;
        if (!owner->common) {
            os_lock_give(&owner->heap->lock);
        }
    }
    if (bytes) {
        *bytes += purged;
    }
    errno = saved;
    return !sweep->running;
}

void owner_sweep_tick(struct owner *owner)
{
    struct sweep *sweep = &owner->sweep;
    uint64_t now = os_clock_ms();
    atomic_store_explicit(&sweep->seen, now, memory_order_relaxed);
    if (!sweep->due) {
        uint64_t wait = (uint64_t)SWEEP_DELAYS * heap_rest_delay(owner->heap);
        sweep->due = now + (wait > SWEEP_MS_LEAST ? wait : SWEEP_MS_LEAST);
    }
    if (sweep->due <= now) {
        (void)owner_sweep(owner, SWEEP_SLICE, false, NULL);
    }
}
