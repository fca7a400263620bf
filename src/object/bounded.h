/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* bounded.h: what the two files of bounded mode share: steps and the time they have, and the list of side records with
 * something to do. bounded.c narrows down what may be garbage, bounded_verify.c proves it and takes it apart. */

#ifndef CAIRN_OBJECT_BOUNDED_H
#define CAIRN_OBJECT_BOUNDED_H

#include "object/visits.h"
#include "os/os.h"

enum {
    WORK_AT_A_TIME = 1024, /* objects and references between looks at the clock */
    SIDES_AT_A_TIME = 16,  /* side records between looks at the clock where a record costs little */
};

struct step {
    cairn_runtime *runtime;
    struct bounded *bounded;
    uint64_t deadline;
    uint64_t code_ns; /* spent in finalizers and callbacks */
    size_t looked;    /* work of the walk under way when the clock was looked at */
};

static inline bool time_is_up(const struct step *step)
{
    return os_clock_ns() - step->code_ns >= step->deadline;
}

/* The same where so much work has been done in a walk: it looks at the clock now and then. */
static inline bool time_is_up_at(struct step *step, size_t work)
{
    if (work - step->looked < WORK_AT_A_TIME) {
        return false;
    }
    step->looked = work;
    return time_is_up(step);
}

static inline void todo_add(struct bounded *bounded, struct side *side)
{
    if (ring_is_empty(&side->bounded_work)) {
        ring_add(&bounded->todo, &side->bounded_work);
    }
}

/* The hash of what COUNT read, and CONFIRM reads again: that one word differs always shows. */
enum { HASH_TURN = 29 };
#define HASH_START UINT64_C(0x243f6a8885a308d3)

static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash << HASH_TURN | hash >> (64 - HASH_TURN);
}

/* VERIFY: clears what is doomed, and takes of the suspects on the list what it proves to be garbage, until the list is
 * empty. CONFIRM: proves all suspects on the list at once; true: they are garbage. FINALIZE: runs their finalizers.
 * VERIFY and FINALIZE return false if the time is up. bounded_verify.c */
bool verify_all(struct step *step);
bool confirm(struct step *step);
bool finalize_suspects(struct step *step);

#endif
