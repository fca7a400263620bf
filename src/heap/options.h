/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* options.h: the CAIRN_* environment variables, read once, before the first request is served.
 *
 * The table in options.c is the one list of names; `cairn run --help` and docs/man mirror it and a test compares
 * them. Nothing is read when the process is setuid (AT_SECURE). An unknown or malformed variable is reported by name,
 * once per process tree (children of a process started by `cairn run` stay silent), and does not stop the program.
 * No libc call that allocates is made while reading. */

#ifndef CAIRN_HEAP_OPTIONS_H
#define CAIRN_HEAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cairn.h"

/* The fits that can be asked for, by cairn_fit, and NULL: what users write and read. */
static const char *const fit_names[] = {"best", "first", "next", "worst", NULL};

typedef enum { STATS_OFF, STATS_TEXT, STATS_JSON } stats_format;

/* CAIRN_LEAKS=1, or words joined by commas. */
struct leaks_options {
    bool on;   /* any of them: report at exit what is still allocated */
    bool json; /* json: as JSON; else (text) as text */
    bool all;  /* all: also where each block of Python's objects came from */
    bool fail; /* fail: then end with status 99 */
};

enum { LEAKS_FRAMES_DEFAULT = 8, LEAKS_FRAMES_MAX = 64 };

/* CAIRN_GC and CAIRN_GC_...: how CPython's full collections are done (python/snapshot.h). */
struct gc_options {
    bool snapshot;          /* CAIRN_GC=stock|snapshot */
    bool explicit_snapshot; /* CAIRN_GC_EXPLICIT=exact|snapshot: what gc.collect() called by the program does */
    unsigned floating;      /* CAIRN_GC_FLOATING=PERCENT of the live objects that garbage may come to, 1 to 100; 0: not
                               said, then 10, and 35 where there is but one processor */
    unsigned copied;        /* CAIRN_GC_COPIED=PERCENT of the resident pages that a snapshot may cost, 1 to 100 */
    size_t minimum;         /* CAIRN_GC_MINIMUM=N tracked objects below which the stock collector is left to work */
    size_t slices;          /* CAIRN_GC_SLICES=N: of how many objects a component is freed in slices; 0: none */
    unsigned force;         /* CAIRN_GC_FORCE=N: for tests: a whole snapshot at every Nth young collection; 0: none */
    const char *trace_file; /* CAIRN_GC_TRACE=PATH (%p becomes the process id); NULL: none */
};

enum { GC_COPIED_DEFAULT = 25, GC_MINIMUM_DEFAULT = 100000, GC_SLICES_DEFAULT = 2000 };

struct options {
    cairn_geometry geometry; /* CAIRN_GEOMETRY, as cairn_geometry_parse() reads it */
    bool geometry_given;     /* there was one */
    cairn_fit fit;           /* CAIRN_FIT=best|first|next|worst: of the default heap and of Python's; else
                                CAIRN_FIT_DEFAULT */
    bool no_pools;           /* CAIRN_POOLS=on|off: of both, too */
    cairn_huge huge;         /* CAIRN_HUGE=never|auto|always: of both, too */
    size_t limit;            /* CAIRN_LIMIT=SIZE, bytes or with suffix K, M, G, T: of the default heap and, on its own
                                account, of Python's; 0: none */
    unsigned purge_delay_ms; /* CAIRN_PURGE_DELAY=MS */
    stats_format stats;      /* CAIRN_STATS=text|json: print at exit */
    const char *stats_file;  /* CAIRN_STATS_FILE=PATH (%p becomes the process id); NULL: stderr */
    bool stats_children;     /* CAIRN_STATS_CHILDREN=1: children print too */
    struct leaks_options leaks; /* CAIRN_LEAKS */
    const char *leaks_file;     /* CAIRN_LEAKS_FILE=PATH (%p becomes the process id); NULL: stderr */
    unsigned leaks_frames;      /* CAIRN_LEAKS_FRAMES=N: return addresses of a call site, 1 to LEAKS_FRAMES_MAX */
    struct gc_options gc;       /* CAIRN_GC... */
    bool misuse_reports;        /* CAIRN_MISUSE=abort|report */
    bool no_children;           /* CAIRN_CHILDREN=0: the preload takes itself out of LD_PRELOAD for children */
    bool python;                /* CAIRN_PYTHON=0: leave CPython's allocators alone (malloc is still served) */
    pid_t run_pid;              /* CAIRN_RUN_PID, set by `cairn run`: the process it started; 0 without it */
    bool read;                  /* the environment has been read */
};

/* The process's options; reads the environment at the first call. [any, no lock; idempotent] */
const struct options *cairn_options(void);

/* True if this process should speak on stderr for the user (it is the one `cairn run` started, or there was no
 * `cairn run`). [any] */
bool cairn_options_speaker(void);

#endif
