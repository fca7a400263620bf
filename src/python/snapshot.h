/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot.h: full collections of stock CPython without the stop: the part that runs in the program.
 *
 * CPython's own full collections are held off. In their place the process clones a snapshot of itself
 * (snapshot_process.h), in which all unreachable objects are found (snapshot_analysis.h) while the program runs on. What
 * was found is then freed in batches by CPython's own young collection, which looks at exactly these objects again.
 * docs/design/snapshot-gc.md has the argument.
 *
 * A *window* is open from the clone to the end of the last batch. A *tick* is what is done at the end of a young or
 * middle collection: to begin a window, to look whether the clone has ended, to free a batch.
 *
 * All of it happens with the GIL, in whatever thread CPython collects; there are no locks. What may be called without
 * the GIL says so. */

#ifndef CAIRN_PYTHON_SNAPSHOT_H
#define CAIRN_PYTHON_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the snapshot collector did since it was attached; sums unless said otherwise. */
struct snapshot_figures {
    uint64_t snapshots;         /* begun */
    uint64_t finished;          /* the last batch was freed */
    uint64_t abandoned_copying; /* too many pages were copied */
    uint64_t abandoned_program; /* an explicit collection, gc.freeze, exec and the like came first */
    uint64_t abandoned_failed;  /* the clone could not be made, was killed, ran out of time or memory */
    uint64_t stock_collections; /* full collections left to CPython meanwhile */
    uint64_t batches;
    uint64_t sliced;     /* large components freed in slices */
    uint64_t candidates; /* addresses named */
    uint64_t stale;      /* of these: freed by the program before their batch */
    uint64_t collected;  /* objects freed in batches, as gc.get_stats() counts them */
    uint64_t uncollectable;
    uint64_t untracked;         /* live dicts and tuples taken out of the lists, as a full collection does */
    uint64_t pages_copied;      /* at most: minor page faults while clones ran */
    uint64_t pages_copied_most; /* by one of them */
    uint64_t log_bytes_most;    /* of the freed log */
    uint64_t table_bytes_most;  /* of the analysis */
    uint64_t analysis_ns;       /* of all clones */
    uint64_t analysis_ns_longest;
    uint64_t floating_most; /* unreachable objects that a snapshot found, the most */
    uint64_t live;          /* tracked objects that the last snapshot left, now */
};

/* Why the stock collector does the work although the mode is snapshot; "" if it does not. One sentence part, static. */
const char *snapshot_obstacle(void);

/* Is the mode snapshot (asked for, whether or not an obstacle keeps it from working)? [any] */
bool snapshot_is_on(void);

/* Switches the mode. Turning it on attaches to the interpreter at once. False, with the reason in *why (static), if
 * that is not possible; the mode then is stock. The GIL is held. */
bool snapshot_switch(bool on, const char **why);

/* A consistent copy of the figures. With the GIL, or when the program ends. */
void snapshot_figures(struct snapshot_figures *figures);

/* Takes a snapshot now, waits for it and frees all it found. Returns the objects freed, or -1 if that could not be done
 * (the stock collector must be asked then). The GIL is held. */
ptrdiff_t snapshot_collect(void);

/* From the preload's constructor, when Cairn has become the allocator of Python's objects: the mode is snapshot from the
 * moment the interpreter is ready. */
void snapshot_arm(void);

/* Is there a process of ours, a clone or a joiner, that runs or waits to be reaped? And does one wait to be reaped?
 * Hints, for who would call snapshot_idle() at a quiet moment. Without or with the GIL. [any] */
bool snapshot_unreaped(void);
bool snapshot_child_ended(void);

/* CPython waits: reaps what has ended, which otherwise lies there until the next tick. Nothing is freed. The GIL
 * is held. */
void snapshot_idle(void);

/* The process is about to ask for a namespace, which the system gives to none that shares its memory: ends the joiner. [any]
 */
void snapshot_alone(void);

/* The process is about to become another program: ends what runs beside it, so that nothing is left behind. Does nothing
 * in a child of vfork. If it stays what it is, a snapshot that was under way is abandoned at the next tick. Without or
 * with the GIL. [any] */
void snapshot_leave(void);

#endif
