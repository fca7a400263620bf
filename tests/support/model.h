/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* model.h: random operations on a heap, held against a model so simple that it cannot be wrong: a list of the blocks
 * the program holds, each with its address, its usable size and the pattern written into all of it.
 *
 * What is proven, at each operation: success (or, where the plan allows refusal, NULL with ENOMEM and nothing
 * changed), alignment, usable size, zeros from calloc, contents through resize, owner of start, end and middle, no
 * misuse report. At each quiescent point: blocks do not overlap, the walk shows exactly the blocks of the model, the
 * statistics equal its counts, the heap's own check finds nothing. At the end: all freed, trimmed, nothing held.
 *
 * Threads: each has its own blocks and random numbers, mails blocks to others (who free, resize or keep them), ends
 * at random and is continued by a successor that starts while it is still leaving. On a single heap all calls go
 * under one lock. Quiescent points are barriers. With one thread a seed repeats a run exactly.
 *
 * A failure prints the plan, the seed, the thread and its step, and aborts. */

#ifndef CAIRN_MODEL_H
#define CAIRN_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "cairn.h"

#define MODEL_THREADS_MAX 8

struct model_plan {
    const char *name;             /* shown on failure */
    const char *geometry;         /* as cairn_geometry_parse() reads it */
    bool as_told;                 /* geometry, fit and no_pools are as told here, whatever the policy of the run */
    bool single;                  /* heap kind */
    bool packed;                  /* as Python's heap is */
    bool exact;                   /* heap option */
    size_t min_alignment;         /* heap option */
    size_t limit;                 /* heap option; not 0: requests may be refused, held bytes stay below */
    unsigned purge_delay_ms;      /* heap option */
    cairn_fit fit;                /* heap option */
    bool no_pools;                /* heap option */
    size_t memory_size;           /* not 0: the heap lives in so much memory; requests may be refused */
    unsigned threads;             /* 1 to MODEL_THREADS_MAX */
    size_t operations;            /* of all threads together; the caller scales */
    size_t blocks_max;            /* live blocks per thread at most */
    unsigned refuse_per_thousand; /* share of calls into the system that the fake refuses (growth and purge) */
};

/* Runs the plan; returns the operations done. Fails by aborting. */
size_t model_run(const struct model_plan *plan);

#endif
