/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* visits.h: from the references that traversal yields to the bits and counts of what they lead to, without waiting for
 * memory at each step.
 *
 * Four loads lead from an address to its bits: page map, pool record, side record, word. In a large heap each may miss
 * the caches. So a reference passes through a queue: at each stage what the next one needs is prefetched, and some
 * other references go by before it is used. The order in which references are dealt with does not matter to a
 * collection. A reference into the pool it comes from takes the short way, without queue or look-up: most do where a
 * structure was built in one go. And it is dealt with at once, so that marking has done with a pool before it turns to
 * the next.
 *
 * What is queued is not done: visits_flush() before the results count.
 *
 * A small set, as that of a young collection, lies in the caches: there the queue would cost more than it saves, and
 * each reference is dealt with at once (visits_add_near). */

#ifndef CAIRN_OBJECT_VISITS_H
#define CAIRN_OBJECT_VISITS_H

#include "object/detect.h"

/* Where a visitor is to be known when it is compiled. */
#define HOT __attribute__((always_inline))

enum { VISITS = 32, STAGE = 5 }; /* queue; references between one stage and the next */

_Static_assert(4 * STAGE < VISITS, "four stages fit into the queue");

struct visit {
    cairn_object *object; /* NULL: done */
    void *lead;           /* the pool record, then the side record */
};

struct visits {
    cairn_runtime *runtime;
    const char *base; /* of the pool whose objects are traversed now */
    size_t bytes;
    struct side *side;
    unsigned at;
    unsigned queued; /* not done, at most */
    size_t seen;     /* objects and references, where they are counted */
    struct visit queue[VISITS];
    struct ring work; /* of marking: side records with pending objects */
    size_t unreached; /* of marking: candidates left */
};

typedef void visit_finish(struct visits *visits, struct side *side, unsigned slot);

static inline void visits_init(struct visits *visits, cairn_runtime *runtime)
{
    visits->runtime = runtime;
    visits->base = NULL;
    visits->bytes = 0;
    visits->side = NULL;
    visits->at = visits->queued = 0;
    visits->seen = 0;
    for (unsigned i = 0; i < VISITS; i++) {
        visits->queue[i].object = NULL;
    }
    ring_init(&visits->work);
    visits->unreached = SIZE_MAX;
}

/* The record whose objects are traversed now. */
static inline void visits_enter(struct visits *visits, struct side *side)
{
    visits->base = side->base;
    visits->bytes = (size_t)side->slot_size * side->capacity;
    visits->side = side;
}

/* The page map's entry for an address, to be prefetched. */
static inline void prefetch_entry(const void *address)
{
    __builtin_prefetch(pagemap_place(address));
}

static inline struct visit *visit_before(struct visits *visits, unsigned stages)
{
    return &visits->queue[(visits->at - stages * STAGE) % VISITS];
}

/* From the page map to the pool. */
static inline void visit_pool_stage(struct visits *visits)
{
    struct visit *visit = visit_before(visits, 1);
    if (visit->object) {
        struct pool *pool = pagemap_get(visit->object);
        visit->lead = pool;
        if (pool) {
            __builtin_prefetch(&pool->kind);
        } else {
            visit->object = NULL;
        }
    }
}

/* From the pool to the side record. */
static inline void visit_side_stage(struct visits *visits)
{
    struct visit *visit = visit_before(visits, 2);
    if (visit->object) {
        const struct pool *pool = visit->lead;
        struct side *side = NULL;
        if (LIKELY(pool_is_class(pool))) {
            side = *pool_side(pool);
        } else if (pool_runtime(pool) == visits->runtime && cairn_type_is_container(visit->object->type)) {
            side = large_side(visit->object);
        }
        visit->lead = side;
        if (side) {
            __builtin_prefetch(side);
        } else {
            visit->object = NULL;
        }
    }
}

/* From the side record to word and count. */
static inline void visit_word_stage(struct visits *visits, bool counts)
{
    const struct visit *visit = visit_before(visits, 3);
    if (visit->object) {
        const struct side *side = visit->lead;
        unsigned slot = side_slot(side, visit->object);
        if (counts) {
            __builtin_prefetch(&side->refs[slot], 1);
        }
        __builtin_prefetch(&side->word[slot / 64], 1);
    }
}

static inline __attribute__((always_inline)) void visit_last_stage(struct visits *visits, visit_finish *finish)
{
    struct visit *visit = visit_before(visits, 4);
    if (visit->object) {
        struct side *side = visit->lead;
        finish(visits, side, side_slot(side, visit->object));
        visit->object = NULL;
    }
}

static inline __attribute__((always_inline)) void visits_advance(struct visits *visits, bool counts,
                                                                 visit_finish *finish)
{
    visit_last_stage(visits, finish);
    visit_word_stage(visits, counts);
    visit_side_stage(visits);
    visit_pool_stage(visits);
}

/* A reference. */
static inline __attribute__((always_inline)) void visits_add(struct visits *visits, cairn_object *object, bool counts,
                                                             visit_finish *finish)
{
    if (LIKELY((uintptr_t)object - (uintptr_t)visits->base < visits->bytes)) {
        finish(visits, visits->side, side_slot(visits->side, object));
        return;
    }
    visits->at++;
    visits->queue[visits->at % VISITS].object = object;
    visits->queued = 4 * STAGE;
    prefetch_entry(object);
    visits_advance(visits, counts, finish);
}

/* A reference, without the queue. */
static inline __attribute__((always_inline)) void visits_add_near(struct visits *visits, cairn_object *object,
                                                                  visit_finish *finish)
{
    struct side *side = visits->side;
    if (UNLIKELY((uintptr_t)object - (uintptr_t)visits->base >= visits->bytes)) {
        side = side_at(visits->runtime, object);
        if (!side) {
            return;
        }
    }
    finish(visits, side, side_slot(side, object));
}

/* Fetches what will be read of objects that follow in the pool, if they are tracked: the object itself, and, some later,
 * the row of references that it leads to. */
static inline HOT void fetch_ahead(const struct side *side, const struct side_word *word, unsigned slot)
{
    enum { OBJECTS = 24, ROWS = 12 };
    unsigned i = slot % 64 + ROWS;
    __builtin_prefetch(side_object(side, slot + OBJECTS));
    if (i < 64 && (word->tracked >> i & 1)) {
        cairn_object *object = side_object(side, slot + ROWS);
        const cairn_type *type = object->type;
        if (type->row_length_offset) {
            __builtin_prefetch(row_start(object, type));
        }
    }
}

static inline void visits_forget(struct visits *visits)
{
    for (unsigned i = 0; i < VISITS; i++) {
        visits->queue[i].object = NULL;
    }
    visits->queued = 0;
}

/* Deals with all that is queued. */
static inline __attribute__((always_inline)) void visits_flush(struct visits *visits, bool counts, visit_finish *finish)
{
    for (; visits->queued; visits->queued--) {
        visits->at++;
        visits->queue[visits->at % VISITS].object = NULL;
        visits_advance(visits, counts, finish);
    }
}

#endif
