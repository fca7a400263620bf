/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* stats.c: one pass over a heap's records gives its figures; see cairn_stats in cairn.h for what each means. What is
 * resident is found by a second one, see fragmentation.c.
 *
 * Lock: the heap's, so that arenas and pools stay while they are read. The counters of pools that other threads use
 * meanwhile are atomics, each right at the moment it is read. */

#include <string.h>

#include "heap/arena.h"
#include "heap/foreign.h"
#include "heap/handle.h"
#include "heap/hole_quick.h"
#include "heap/owner.h"
#include "heap/sweep.h"
#include "heap/types.h"
#include "observe/fragmentation.h"

static void add_class_pool(cairn_stats *stats, const struct pool *pool)
{
    cairn_class_stats *c = &stats->classes[pool->class_index];
    size_t used = pool_used(pool);
    size_t carved = pool_carved(pool);
    size_t capacity = pool_capacity(pool);
    c->requests += pool_requests(pool);
    c->blocks_live += used;
    size_t purged = pool_purged_blocks(pool); /* may be newer than `carved` */
    size_t touched = carved > purged ? carved - purged : 0;
    c->blocks_free += touched > used ? touched - used : 0;
    c->blocks_untouched += capacity - touched;
    if (used == 0) {
        c->pools_empty++;
        stats->pools_free++;
    } else if (used == capacity) {
        c->pools_full++;
        stats->pools_full++;
    } else {
        c->pools_used++;
        stats->pools_used++;
    }
}

static void add_arena(cairn_stats *stats, const struct arena *arena)
{
    stats->arenas++;
    stats->reserved_bytes += arena->space->arena_size;
    stats->pools_free += (size_t)__builtin_popcountll(arena->free & arena->dirty);
    stats->pools_untouched += (size_t)__builtin_popcountll(arena->free & ~arena->dirty);
    for (uint64_t taken = ~arena->free & arena_all_slots(arena); taken; taken &= taken - 1) {
        add_class_pool(stats, &arena->pools[__builtin_ctzll(taken)]);
    }
}

static void add_owner(cairn_stats *stats, const cairn_heap *heap, const struct owner *owner)
{
    for (unsigned c = 0; c < heap->class_count; c++) {
        stats->classes[c].requests += atomic_load_explicit(&owner->requests[c], memory_order_relaxed);
        stats->classes[c].bytes_asked += owner->asked ? atomic_load_explicit(&owner->asked[c], memory_order_relaxed)
                                                      : 0;
        uint64_t foreign = foreign_requests(owner, c);
        stats->classes[c].requests += foreign;
        stats->remote_frees += foreign;
    }
    stats->remote_frees += atomic_load_explicit(&owner->remote_frees, memory_order_relaxed);
}

static void describe_classes(cairn_stats *stats, const cairn_heap *heap)
{
    stats->class_count = heap->class_count;
    for (unsigned c = 0; c < heap->class_count; c++) {
        const struct size_class *class = &heap->classes[c];
        stats->classes[c].block_size = class->block_size;
        stats->classes[c].pool_size = heap->spaces[class->space].slot_size;
    }
}

/* Sums over the classes, once their rows are complete. Returns the live bytes in pools. */
static size_t sum_classes(cairn_stats *stats, bool exact)
{
    size_t live_bytes = 0;
    for (size_t i = 0; i < stats->class_count; i++) {
        cairn_class_stats *c = &stats->classes[i];
        c->frees = c->requests > c->blocks_live ? c->requests - c->blocks_live : 0;
        stats->requests += c->requests;
        stats->frees += c->frees;
        stats->live_blocks += c->blocks_live;
        live_bytes += c->blocks_live * c->block_size;
        if (exact && c->requests) {
            stats->bytes_asked += c->bytes_asked;
            stats->bytes_given += c->requests * c->block_size;
            double unasked = (double)c->block_size - (double)c->bytes_asked / (double)c->requests;
            c->internal_bytes = (size_t)(unasked * (double)c->blocks_live);
            stats->internal_bytes += c->internal_bytes;
        }
    }
    return live_bytes;
}

/* What live blocks waste by the mean of all requests. */
static size_t unasked(const struct large_counts *counts, size_t live_blocks)
{
    double mean = counts->requests ? (double)(counts->given - counts->asked) / (double)counts->requests : 0;
    return (size_t)(mean * (double)live_blocks);
}

static void add_owners(cairn_stats *stats, const cairn_heap *heap)
{
    add_owner(stats, heap, &heap->base);
    for (const struct owner *owner = heap->owners; owner; owner = owner->next) {
        add_owner(stats, heap, owner);
    }
    stats->owners = heap->owner_count + (heap->single ? 1 : 0);
}

/* Blocks cut from holes and mapped on their own. */
static void add_large(cairn_stats *stats, const cairn_heap *heap)
{
    const struct hole_figures *holes = &heap->holes.figures;
    struct quick_sum kept = quick_sum(&heap->holes);
    stats->large_blocks = holes->live_blocks + kept.split - kept.blocks;
    stats->large_bytes = holes->held_bytes - kept.bytes - stats->large_blocks * HOLE_OVERHEAD;
    stats->segments = holes->segments;
    stats->segment_bytes = holes->segment_bytes;
    stats->holes = holes->holes + kept.blocks;
    stats->hole_bytes = holes_bytes(&heap->holes) + kept.bytes;
    stats->largest_hole = holes_largest(&heap->holes);
    stats->hole_searches = holes->searches;
    stats->holes_visited = holes->visited;
    stats->huge_blocks = heap->huge_blocks;
    stats->huge_bytes = heap->huge_bytes;
    stats->cached_bytes = heap->huge_cached_bytes;
    uint64_t requests = heap->large_counts.requests + quick_served(&heap->holes) + heap->huge_counts.requests;
    size_t live = stats->large_blocks + heap->huge_blocks;
    stats->requests += requests;
    stats->frees += requests - live;
    stats->live_blocks += live;
    stats->live_bytes += stats->large_bytes + heap->huge_bytes;
    stats->reserved_bytes += heap->huge_bytes + heap->huge_cached_bytes + holes->segment_bytes;
    stats->purged_bytes = heap->purged_bytes + holes->purged_bytes;
}

/* What only a heap that counts every request knows. */
static void add_exact(cairn_stats *stats, const cairn_heap *heap, const cairn_fragmentation *fragmentation)
{
    stats->bytes_asked += heap->large_counts.asked + heap->huge_counts.asked;
    stats->bytes_given += heap->large_counts.given + heap->huge_counts.given;
    stats->internal_bytes += unasked(&heap->large_counts, stats->large_blocks) + fragmentation->huge_rounding;
    stats->live_peak = atomic_load_explicit(&heap->live_peak, memory_order_relaxed);
}

static bool count_segment(const struct handle_area *area, void *context)
{
    *(size_t *)context += area->kind == HANDLE_AREA_SEGMENT;
    return true;
}

static void add_handles(cairn_stats *stats, const cairn_heap *heap)
{
    const struct handle_space *handles = heap->handles;
    if (!handles) {
        return;
    }
    stats->handle_blocks = handles->live;
    stats->handle_bytes = handles->live_bytes;
    stats->handle_held_bytes = handles->cells.held_bytes;
    stats->handle_hole_bytes = handles->cells.hole_bytes;
    (void)handles_walk(heap, count_segment, &stats->handle_segments);
    stats->reserved_bytes += handles->cells.held_bytes;
    stats->metadata_bytes += table_bytes(&handles->table);
}

void stats_collect(cairn_heap *heap, cairn_stats *stats, cairn_fragmentation *fragmentation)
{
    memset(stats, 0, sizeof *stats);
    os_lock_take(&heap->lock);
    describe_classes(stats, heap);
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        add_arena(stats, arena);
    }
    fragmentation_walk(heap, fragmentation);
    stats->resident_bytes = fragmentation->resident_bytes;
    stats->external_bytes = fragmentation->external_bytes;
    add_owners(stats, heap);
    stats->live_bytes = sum_classes(stats, heap->exact);
    add_large(stats, heap);
    if (heap->exact) {
        add_exact(stats, heap, fragmentation);
    }
    stats->requests_failed = atomic_load_explicit(&heap->requests_failed, memory_order_relaxed);
    stats->held_bytes = heap->held_bytes;
    stats->held_peak = heap->held_peak;
    stats->metadata_bytes = heap->meta.bytes + stats->reserved_bytes / ((1u << MAP_PAGE_SHIFT) / sizeof(map_entry));
    stats->metadata_bytes += heap->is_default ? sizeof *heap : 0;
    add_handles(stats, heap);
    stats->arenas_created = heap->arenas_created;
    stats->arenas_released = heap->arenas_released;
    os_lock_give(&heap->lock);
    fragmentation->live_bytes = stats->live_bytes;
    fragmentation->internal_bytes = stats->internal_bytes;
    fragmentation->internal_ratio = stats->live_bytes ? (double)stats->internal_bytes / (double)stats->live_bytes : 0;
}

void cairn_heap_stats(cairn_heap *heap, cairn_stats *stats)
{
    cairn_fragmentation fragmentation;
    stats_collect(heap, stats, &fragmentation);
}
