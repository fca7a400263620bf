/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* side.c: side records come and go with the pools of containers; their order by address.
 *
 * A record comes from the heap's metadata when its pool is taken, so that a collection needs no memory; if there is
 * none, the pool is refused and the allocation fails. Records of pools that went back are kept by size for the next
 * pools. Their bits and counts are zero then: nothing lives in an empty pool.
 *
 * Lock: the GIL, and for the metadata the heap's, which the hooks are called under. */

#include "object/runtime.h"

#include "heap/meta.h"

/* ---- records ---- */

static size_t words_for(size_t capacity)
{
    return (capacity + 63) / 64;
}

/* Rounded up to four sizes to a doubling, so that few sizes of spare records exist. */
static size_t record_size(size_t capacity)
{
    size_t size = sizeof(struct side) + words_for(capacity) * sizeof(struct side_word) + capacity * sizeof(uint32_t);
    size_t step = SIDE_UNIT;
    while (step * 8 < size) {
        step *= 2;
    }
    return (size + step - 1) / step * step;
}

/* The index of a size among the sizes there are: 1 to 8 units, then four to a doubling. */
static unsigned spare_index(size_t size)
{
    size_t step = SIDE_UNIT;
    unsigned doublings = 0;
    while (step * 8 < size) {
        step *= 2;
        doublings++;
    }
    return doublings * 4 + (unsigned)(size / step) - 1;
}

void side_init(struct side *side, cairn_runtime *runtime, char *base, size_t slot_size, size_t capacity)
{
    size_t words = words_for(capacity);
    side->base = base;
    side->slot_size = (uint32_t)slot_size;
    side->reciprocal = slot_size ? (uint32_t)((UINT64_C(0xffffffff) + slot_size) / slot_size) : 0;
    side->capacity = (uint16_t)capacity;
    side->words = (uint16_t)words;
    side->refs = (uint32_t *)(void *)(side->word + words);
    side->runtime = runtime;
    side->set = NULL;
    side->in_set = side->large = false;
    ring_init(&side->all);
    ring_init(&side->list[0]);
    ring_init(&side->list[1]);
    ring_init(&side->work);
    ring_init(&side->bounded_work);
}

size_t side_bytes(const struct side *side)
{
    return side->large ? LARGE_PREFIX : record_size(side->capacity);
}

void side_unlink(struct side *side)
{
    bounded_side_gone(side);
    ring_remove(&side->bounded_work);
    ring_remove(&side->all);
    ring_remove(&side->list[0]);
    ring_remove(&side->list[1]);
    ring_remove(&side->work);
}

static struct side *take_record(cairn_runtime *runtime, size_t size)
{
    unsigned index = spare_index(size);
    struct side *side = index < SIDE_SIZES ? runtime->spare_sides[index] : NULL;
    if (side) {
        runtime->spare_sides[index] = side->set;
        return side;
    }
    side = meta_alloc(&runtime->heap->meta, size);
    if (side) {
        runtime->side_bytes += size;
    }
    return side;
}

static bool pool_taken(struct owner *owner, struct pool *pool)
{
    cairn_runtime *runtime = owner->runtime;
    size_t size = record_size(pool_capacity(pool));
    struct side *side = take_record(runtime, size);
    if (!side) {
        return false;
    }
    side_init(side, runtime, pool_base(pool), pool->block_size, pool_capacity(pool));
    ring_add(&runtime->fresh, &side->all);
    *pool_side(pool) = side;
    return true;
}

static void pool_returned(struct owner *owner, struct pool *pool)
{
    cairn_runtime *runtime = owner->runtime;
    struct side *side = *pool_side(pool);
    side_unlink(side);
    *pool_side(pool) = NULL;
    unsigned index = spare_index(side_bytes(side));
    if (index < SIDE_SIZES) {
        side->set = runtime->spare_sides[index];
        runtime->spare_sides[index] = side;
    } else {
        runtime->side_bytes -= side_bytes(side);
        meta_free(&runtime->heap->meta, side, side_bytes(side));
    }
}

const struct owner_hooks side_hooks = {pool_taken, pool_returned};

void sides_start(cairn_runtime *runtime)
{
    ring_init(&runtime->sides);
    ring_init(&runtime->fresh);
    ring_init(&runtime->large_atoms);
    ring_init(&runtime->generation[0]);
    ring_init(&runtime->generation[1]);
}

/* ---- order of address ---- */

/* Chains of records through their `set` members, which are free outside of a collection. */
static struct side *merge(struct side *a, struct side *b)
{
    struct side *first = NULL;
    struct side **tail = &first;
    while (a && b) {
        struct side **lower = a->base < b->base ? &a : &b;
        *tail = *lower;
        tail = &(*lower)->set;
        *lower = *tail;
    }
    *tail = a ? a : b;
    return first;
}

struct side *sides_sort_chain(struct side *chain)
{
    struct side *bins[48] = {0}; /* bins[i] holds a sorted chain of 2^i records or nothing */
    struct side *next;
    for (struct side *side = chain; side; side = next) {
        next = side->set;
        side->set = NULL;
        int i = 0;
        for (; bins[i]; i++) {
            side = merge(bins[i], side);
            bins[i] = NULL;
        }
        bins[i] = side;
    }
    struct side *sorted = NULL;
    for (int i = 0; i < 48; i++) {
        sorted = bins[i] ? merge(bins[i], sorted) : sorted;
    }
    return sorted;
}

/* Sorts the fresh records and merges them into the others. */
void sides_sort(cairn_runtime *runtime)
{
    struct side *chain = NULL;
    if (!ring_is_empty(&runtime->fresh)) {
        bounded_disturbed(runtime);
    }
    while (!ring_is_empty(&runtime->fresh)) {
        struct side *side = RING_SIDE(runtime->fresh.next, all);
        ring_remove(&side->all);
        side->set = chain;
        chain = side;
    }
    struct ring *at = runtime->sides.next;
    struct side *next;
    for (struct side *side = sides_sort_chain(chain); side; side = next) {
        next = side->set;
        side->set = NULL;
        while (at != &runtime->sides && RING_SIDE(at, all)->base < side->base) {
            at = at->next;
        }
        ring_add(at, &side->all);
    }
}
