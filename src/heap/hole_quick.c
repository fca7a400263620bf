/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_quick.c: see hole_quick.h. */

#include "heap/hole_quick.h"

#include "heap/meta.h"

static void empty_lists(struct quick_lists *quick)
{
    for (size_t list = 0; list < QUICK_LISTS; list++) {
        quick->first[list] = NULL;
        atomic_store_explicit(&quick->room[list], QUICK_KEPT, memory_order_relaxed);
    }
    for (unsigned place = 0; place < QUICK_RECENT; place++) {
        atomic_store_explicit(&quick->recent[place].size, 0, memory_order_relaxed);
    }
}

SELDOM bool quick_start(struct hole_space *space)
{
    space->quick = meta_alloc(space->options.meta, sizeof *space->quick);
    if (space->quick) {
        empty_lists(space->quick);
    }
    return space->quick != NULL;
}

static unsigned kept_in(const struct quick_lists *quick, size_t list)
{
    return QUICK_KEPT - atomic_load_explicit(&quick->room[list], memory_order_relaxed);
}

static void set_rest(struct quick_lists *quick, struct chunk *rest, size_t size)
{
    quick->rest = rest;
    atomic_store_explicit(&quick->rest_size, size, memory_order_relaxed);
}

/* Should another thread fork now, the child may lose the chunk, but gives it to nobody twice. */
static struct chunk *cut(const struct hole_space *space, size_t need)
{
    struct quick_lists *quick = space->quick;
    struct chunk *chunk = quick->rest;
    size_t size = atomic_load_explicit(&quick->rest_size, memory_order_relaxed);
    if (size < need + HOLE_CHUNK_MIN) {
        return NULL;
    }
    struct chunk *rest = chunk_at(chunk, need);
    uint64_t tag = ~tag_of(space, rest, size - need) & ~CHUNK_LOW;
    chunk_set(rest, (size - need) | CHUNK_USED | CHUNK_PREV_USED | tag);
    set_rest(quick, rest, size - need);
    uint64_t flags = chunk_header(chunk) & CHUNK_PREV_USED;
    atomic_signal_fence(memory_order_seq_cst);
    chunk_set(chunk, need | CHUNK_USED | flags | tag_of(space, chunk, need));
    size_t split = atomic_load_explicit(&quick->split, memory_order_relaxed);
    atomic_store_explicit(&quick->split, split + 1, memory_order_relaxed);
    return chunk;
}

void *quick_cut(const struct hole_space *space, size_t size)
{
    struct chunk *chunk = size <= QUICK_CUT ? cut(space, holes_chunk_size(size)) : NULL;
    if (!chunk) {
        return NULL;
    }
    quick_count_served(space->quick);
    return chunk_block(chunk);
}

/* Makes a chunk, in use now, a hole. */
static void make_hole(struct hole_space *space, struct chunk *chunk)
{
    holes_free(space, holes_segment_of(chunk), chunk_block(chunk));
}

static void flush_rest(struct hole_space *space)
{
    struct chunk *rest = space->quick->rest;
    if (rest) {
        set_rest(space->quick, NULL, 0);
        chunk_set(rest, chunk_header(rest) ^ ~CHUNK_LOW);
        make_hole(space, rest);
    }
}

void *quick_alloc(struct hole_space *space, size_t size, bool may_grow)
{
    flush_rest(space);
    void *block = holes_alloc_most(space, size, QUICK_REST, may_grow);
    struct chunk *chunk = block ? chunk_of(block) : NULL;
    size_t need = holes_chunk_size(size);
    if (!chunk || chunk_size(chunk) < need + HOLE_CHUNK_MIN) {
        return block;
    }
    set_rest(space->quick, chunk, chunk_size(chunk));
    chunk_set(chunk, chunk_header(chunk) ^ ~CHUNK_LOW);
    return chunk_block(cut(space, need));
}

void *quick_replace(const struct hole_space *space, void *block)
{
    struct quick_lists *quick = space->quick;
    struct quick_recent *old = &quick->recent[(quick->newest + 1) % QUICK_RECENT];
    if (!quick_is_larger(chunk_size(chunk_of(block))) || !atomic_load_explicit(&old->size, memory_order_relaxed)) {
        return block;
    }
    void *gone = chunk_block(quick_take_place(old));
    (void)quick_keep_recent(quick, chunk_of(block));
    return gone;
}

void quick_flush(struct hole_space *space)
{
    struct quick_lists *quick = space->quick;
    if (quick) {
        flush_rest(space);
    }
    for (size_t list = 0; quick && list < QUICK_LISTS; list++) {
        for (struct chunk *chunk; (chunk = quick_pop(quick, list)) != NULL;) {
            make_hole(space, chunk);
        }
    }
    for (unsigned place = 0; quick && place < QUICK_RECENT; place++) {
        struct quick_recent *recent = &quick->recent[place];
        if (atomic_load_explicit(&recent->size, memory_order_relaxed)) {
            make_hole(space, quick_take_place(recent));
        }
    }
}

SELDOM void quick_forget(struct hole_space *space)
{
    struct quick_lists *quick = space->quick;
    if (quick) {
        set_rest(quick, NULL, 0);
        atomic_store_explicit(&quick->split, 0, memory_order_relaxed);
        empty_lists(quick);
    }
}

struct quick_sum quick_sum(const struct hole_space *space)
{
    struct quick_sum sum = {0};
    const struct quick_lists *quick = space->quick;
    if (!quick) {
        return sum;
    }
    for (size_t list = 0; list < QUICK_LISTS; list++) {
        sum.blocks += kept_in(quick, list);
        sum.bytes += kept_in(quick, list) * list * HOLE_UNIT;
    }
    for (unsigned place = 0; place < QUICK_RECENT; place++) {
        size_t size = atomic_load_explicit(&quick->recent[place].size, memory_order_relaxed);
        sum.blocks += size != 0;
        sum.bytes += size;
    }
    size_t rest = atomic_load_explicit(&quick->rest_size, memory_order_relaxed);
    sum.blocks += rest != 0;
    sum.bytes += rest;
    sum.split = atomic_load_explicit(&quick->split, memory_order_relaxed);
    return sum;
}

SELDOM uint64_t quick_served(const struct hole_space *space)
{
    return space->quick ? atomic_load_explicit(&space->quick->served, memory_order_relaxed) : 0;
}

SELDOM const char *quick_check(const struct hole_space *space)
{
    const struct quick_lists *quick = space->quick;
    for (size_t list = 0; quick && list < QUICK_LISTS; list++) {
        size_t left = kept_in(quick, list);
        for (const struct chunk *chunk = quick->first[list]; chunk; chunk = chunk->right) {
            if (chunk_size(chunk) != list * HOLE_UNIT || !chunk_is_kept(space, chunk)) {
                return "a block in a quick list is not one that was kept, or was written to";
            }
            if (left-- == 0) {
                return "a quick list is longer than it says";
            }
        }
        if (left) {
            return "a quick list is shorter than it says";
        }
    }
    for (unsigned place = 0; quick && place < QUICK_RECENT; place++) {
        const struct quick_recent *recent = &quick->recent[place];
        size_t size = atomic_load_explicit(&recent->size, memory_order_relaxed);
        if (size && (chunk_size(recent->chunk) != size || !chunk_is_kept(space, recent->chunk))) {
            return "a recent block is not one that was kept, or was written to";
        }
    }
    return NULL;
}
