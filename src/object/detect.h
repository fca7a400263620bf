/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* detect.h: which objects of a set only references among themselves keep alive; what both ways to collect share. */

#ifndef CAIRN_OBJECT_DETECT_H
#define CAIRN_OBJECT_DETECT_H

#include "object/runtime.h"

/* A collection under way: the figures, and what it found. */
struct collection {
    cairn_runtime *runtime;
    int generation;
    size_t candidates;    /* objects looked at */
    size_t unreachable;   /* found so and not set aside or brought back */
    size_t uncollectable; /* set aside */
    bool ran_code;        /* callbacks or finalizers have run */
    uint64_t code_ns;     /* how long */
    bool finalizers;      /* there are some to run */
    struct side *set;     /* the side records with candidates, chained */
    struct side **set_tail;
    struct ring garbage;   /* side records with unreachable objects, their candidates, through `work` */
    cairn_weak *callbacks; /* weak references whose callbacks are to be called */
    cairn_weak **callbacks_tail;
    bool finalized; /* finalizers have run already: what weak references are new now do not call back */
};

uint64_t thread_ns(void); /* processor time of the calling thread */

/* Takes from the candidates of a chain of side records those that something else refers to, and what these lead to.
 * `size`: how many candidates there are. With `untracks` those that say that they hold nothing are untracked. */
void detect(cairn_runtime *runtime, struct side *set, size_t size, bool untracks);

/* Steps 2 to 6 of a collection on c->garbage. `clear`: with step 6; otherwise c->garbage is what it is to be done to.
 * */
void finish_garbage(struct collection *c, bool clear);

/* Makes c->garbage the list of the records of a chain that have candidates left, by address, and counts these. */
void collect_garbage_list(struct collection *c, struct side *chain);

/* Step 3 for one object: its weak references are cleared, and c->callbacks are those to be called; if it has a finalizer
 * to run, c->finalizers is set, and the object pending. */
void look_at(struct collection *c, struct place *place, cairn_object *object);

/* Calls the finalizer of an object unless it has run. Any code may run. */
void finalize_one(cairn_object *object);

void collector_call_back(cairn_runtime *runtime, const cairn_collector_info *info);

enum { REFS_MANY = 1 << 30 }; /* what a larger count is taken as */

/* Gives up what an unreachable object refers to, or adds it to the garbage list if that is wanted. */
void break_cycle(cairn_runtime *runtime, cairn_object *object);

/* Fetches the bits of a record that is next; NULL is no record. */
static inline void prefetch_side(const struct side *side)
{
    enum { WORDS = 8 };
    uintptr_t words = (uintptr_t)side + offsetof(struct side, word);
    for (unsigned w = 0; w < WORDS; w++) {
        __builtin_prefetch((const void *)(words + w * sizeof(struct side_word)), 1);
    }
}

/* The side record of a container, NULL for other objects. Hot path. */
static inline struct side *side_at(const cairn_runtime *runtime, const cairn_object *object)
{
    const struct pool *pool = pagemap_get(object);
    if (UNLIKELY(!pool)) {
        return NULL;
    }
    if (LIKELY(pool_is_class(pool))) {
        return *pool_side(pool);
    }
    bool ours = pool_runtime(pool) == runtime && cairn_type_is_container(object->type);
    return ours ? large_side(object) : NULL;
}

#endif
