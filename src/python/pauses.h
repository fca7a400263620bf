/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pauses.h: how long the program stops for CPython's collector, by cause: counts, sums, the longest, the 99.9th
 * percentile, objects found and freed; and, on request, each stop as an event of a trace (trace.h).
 *
 * A *stop* is the time in which the program waits for a collection or for a part of one. Whoever makes it times it and
 * notes it here. Memory is fixed: durations are counted in a log-linear histogram whose cells are at most 1/32 wide, so
 * that a percentile is at most 3.2% too high; the longest is exact.
 *
 * The GIL guards all that is written. Reading without it (when the program ends) may miss the stop being noted. */

#ifndef CAIRN_PYTHON_PAUSES_H
#define CAIRN_PYTHON_PAUSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first three are CPython's own collections; their values are the generation's number. */
enum pause_cause {
    PAUSE_YOUNG,
    PAUSE_MIDDLE,
    PAUSE_FULL,
    PAUSE_FORK,  /* of the clone that is a snapshot */
    PAUSE_WAIT,  /* for the clone, so that garbage does not come faster than it is found */
    PAUSE_BATCH, /* garbage of a snapshot freed */
    PAUSE_CAUSES
};

struct pause {
    enum pause_cause cause;
    uint64_t begun_ns, ended_ns; /* on os_clock_ns() */
    size_t found;                /* unreachable objects; of a batch: those it looked at */
    size_t freed;
};

/* What was noted for one cause. */
struct pause_figures {
    uint64_t count;
    uint64_t total_ns;
    uint64_t longest_ns;
    uint64_t p999_ns; /* 999 of 1,000 stops were at most that long */
    uint64_t found, freed;
};

/* Did the user ask for figures of stops (CAIRN_STATS, where this process prints them, or CAIRN_GC_TRACE)? In stock
 * mode collections are timed only then; in snapshot mode always. Constant from the end of the preload's constructor
 * on. [any] */
bool pauses_wanted(void);

/* "young", "middle", "full", "fork", "wait", "batch". [any] */
const char *pauses_name(enum pause_cause cause);

/* Notes a stop. The GIL is held. */
void pauses_note(const struct pause *pause);

/* Notes the analysis of a snapshot, which stops nobody: for the trace. `garbage` is 0 if it came to nothing. The GIL is
 * held. */
void pauses_note_analysis(uint64_t begun_ns, uint64_t ended_ns, size_t objects, size_t garbage);

/* True once a stop was noted: figures are worth printing. */
bool pauses_some(void);

/* The figures of a cause. */
void pauses_figures(enum pause_cause cause, struct pause_figures *figures);

/* From the preload's constructor, after program_note() and before python_install(): opens the trace if one was asked
 * for, with `program` as the name of the process. A forked child begins with no stop noted. Once. */
void pauses_arm(const char *program);

#endif
