/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* geometry.c: presets, their check, and the class tables; see geometry.h. No state. */

#include "heap/geometry.h"

#include <errno.h>
#include <string.h>

#include "heap/hole_quick.h"
#include "heap/owner.h"
#include "heap/sweep.h"

enum { FIRST_BLOCK_MAX = 240 };
/* Of a packed heap, bytes: the largest block of a tiny pool; the largest that any pool serves. */
enum { TINY_MAX = 64, PACKED_MAX = 224 };

#define KIB 1024u
#define MIB (1024u * KIB)

static const struct {
    const char *name;
    cairn_geometry geometry;
} presets[] = {
    {"classic", {256 * KIB, 4 * KIB, 8, 512, 1 * KIB, true, true, 0}},
    {"cpython", {1 * MIB, 16 * KIB, 16, 512, 1 * KIB, true, true, 48}},
    {"default", {1 * MIB, 16 * KIB, 16, 1024, 16 * KIB, false, false, 0}},
};

int cairn_geometry_preset(const char *name, cairn_geometry *geometry)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (name && strcmp(name, presets[i].name) == 0) {
            *geometry = presets[i].geometry;
            return 0;
        }
    }
    return EINVAL;
}

static bool power_of_two(size_t n)
{
    return n && (n & (n - 1)) == 0;
}

const char *cairn_geometry_error(const cairn_geometry *g)
{
    if (!power_of_two(g->pool_size) || g->pool_size < 4 * KIB || g->pool_size > 512 * KIB) {
        return "pool_size must be a power of two from 4 KiB to 512 KiB";
    }
    if (!power_of_two(g->arena_size) || g->arena_size < 4 * g->pool_size || g->arena_size > SLOTS * g->pool_size) {
        return "arena_size must be a power of two from 4 to 64 times pool_size";
    }
    if (g->alignment != 8 && g->alignment != 16) {
        return "alignment must be 8 or 16";
    }
    if (g->small_limit % g->alignment || g->small_limit < 64 || g->small_limit > 64 * g->alignment) {
        return "small_limit must be a multiple of alignment from 64 to 64 times alignment";
    }
    if (g->small_limit > LINEAR_MAX && g->small_limit % 64) {
        return "small_limit above 512 must be a multiple of 64";
    }
    if (g->small_limit > g->pool_size / 8) {
        return "small_limit must be at most an eighth of pool_size";
    }
    if (!power_of_two(g->medium_limit) || g->medium_limit < DIRECT_MAX || g->medium_limit > POOLED_MAX) {
        return "medium_limit must be a power of two from 1024 to 16384";
    }
    if (g->first_block % g->alignment || g->first_block > FIRST_BLOCK_MAX) {
        return "first_block must be a multiple of alignment, at most 240";
    }
    return NULL;
}

static void space_init(const cairn_heap *heap, struct space *space, size_t arena_size, size_t slot_size)
{
    space->arena_size = arena_size;
    space->slot_size = slot_size;
    space->slot_count = (unsigned)(arena_size / slot_size);
    space->unit_shift = heap->meta.region ? 0 : sweep_unit_shift(slot_size); /* a region keeps its pages */
}

static void set_layout(const cairn_heap *heap, struct size_class *c, unsigned space, size_t first_block)
{
    size_t capacity = (heap->spaces[space].slot_size - first_block) / c->block_size;
    c->space = (uint8_t)space;
    c->first_block = (uint8_t)first_block;
    c->capacity = (uint16_t)(capacity < INT16_MAX ? capacity
                                                  : INT16_MAX); /* what a pool's counter can hold, and below 0 */
}

static void add_class(cairn_heap *heap, size_t block_size)
{
    const cairn_geometry *g = &heap->geometry;
    size_t first_block = (g->first_block + heap->min_alignment - 1) & ~(heap->min_alignment - 1);
    struct size_class *c = &heap->classes[heap->class_count];
    bool small = block_size <= g->small_limit;
    c->block_size = (uint32_t)block_size;
    set_layout(heap, c, small ? SPACE_SMALL : SPACE_SPAN, small ? first_block : 0);
    c->direct_lo = 1;
    c->direct_hi = 0;
    heap->class_count++;
}

static void fill_direct_table(cairn_heap *heap)
{
    unsigned index = 0;
    for (unsigned i = 0; i < DIRECT_COUNT; i++) {
        size_t size = i ? (size_t)i * 8 : 1;
        while (heap->classes[index].block_size < size || heap->classes[index].block_size % heap->min_alignment) {
            index++;
        }
        heap->direct_class[i] = (uint8_t)index;
        struct size_class *c = &heap->classes[index];
        if (c->direct_lo > c->direct_hi) {
            c->direct_lo = (uint8_t)i;
        }
        c->direct_hi = (uint8_t)i;
    }
}

void geometry_apply(cairn_heap *heap)
{
    const cairn_geometry *g = &heap->geometry;
    space_init(heap, &heap->spaces[SPACE_SMALL], g->arena_size, g->pool_size);
    space_init(heap, &heap->spaces[SPACE_SPAN], SPAN_ARENA, SPAN_SLOT);
    space_init(heap, &heap->spaces[SPACE_TINY], TINY_SLOT * SLOTS, TINY_SLOT);
    heap->pooled_end = heap->no_pools ? 0 : (heap->meta.region ? g->small_limit : g->medium_limit) + 1;
    if (heap->no_pools) {
        return;
    }
    size_t linear_max = g->small_limit < LINEAR_MAX ? g->small_limit : LINEAR_MAX;
    for (size_t size = g->alignment; size <= linear_max; size += g->alignment) {
        add_class(heap, size);
    }
    for (size_t doubling = 64; doubling < g->medium_limit; doubling *= 2) {
        for (size_t step = 1; step <= 8; step++) {
            size_t size = doubling + step * (doubling / 8);
            if (size > linear_max && size % g->alignment == 0) {
                add_class(heap, size);
            }
            if (size == DIRECT_MAX) {
                heap->class_above_direct = heap->class_count;
            }
        }
    }
    fill_direct_table(heap);
}

void geometry_pack(cairn_heap *heap)
{
    if (heap->no_pools || heap->geometry.return_at_once || heap->meta.region ||
        heap->spaces[SPACE_SMALL].slot_size <= TINY_SLOT) {
        return;
    }
    heap->packed = true;
    for (unsigned i = 0; i < heap->class_count; i++) {
        struct size_class *c = &heap->classes[i];
        if (c->block_size <= TINY_MAX) {
            set_layout(heap, c, SPACE_TINY, c->first_block % c->block_size); /* the same places, and more in front */
        }
    }
    owner_copy_classes(&heap->base);
    if (heap->single && heap->purge_delay_ms && (heap->exact || quick_start(&heap->holes))) {
        heap->pooled_end = PACKED_MAX + 1;
        heap->class_count = heap->direct_class[PACKED_MAX / 8] + 1u;
    }
}

void geometry_few_from_holes(cairn_heap *heap, size_t above, unsigned count)
{
    for (unsigned c = 0; c < heap->class_count; c++) {
        unsigned few = heap->classes[c].block_size > above ? count : 0;
        atomic_store_explicit(&heap->few[c], (uint8_t)few, memory_order_relaxed);
    }
    heap->few_from_holes = true;
}
