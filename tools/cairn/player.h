/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* player.h: a process that plays a recording under one policy and measures.
 *
 * A player is this command again, started with a memory file that holds a struct play: the wish, and then the result,
 * which the starting process reads, the progress at any time. The player's own tables are shared memory, so that the
 * private memory of the process, less what it had before the first request, is the memory of the allocator.
 *
 * The structs are shared by two processes of the same program; `progress` alone is written while the other reads. */

#ifndef CAIRN_TOOL_PLAYER_H
#define CAIRN_TOOL_PLAYER_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cairn.h"

enum verify { VERIFY_OFF, VERIFY_ENDS, VERIFY_FULL };

enum {
    GEOMETRY_TEXT = 160,             /* a geometry as it is written, with its zero */
    POLICY_NAME = GEOMETRY_TEXT + 32 /* with the words around it */
};

enum { SAMPLES_MAX = 512, PICTURE_COLUMNS = 128, PICTURE_ROWS = 64, PICTURE_CELLS = PICTURE_COLUMNS * PICTURE_ROWS };

/* How it is played. */
struct policy {
    char name[POLICY_NAME];
    bool heap;                    /* on private heaps of Cairn; false: on malloc, of `library` or of the C library */
    char geometry[GEOMETRY_TEXT]; /* as cairn_geometry_parse() reads it */
    cairn_fit fit;
    bool no_pools;
    char library[PATH_MAX]; /* preloaded; "": none */
};

struct sample {
    uint64_t event;    /* played before it */
    uint64_t time_us;  /* of the recording */
    uint64_t asked;    /* bytes asked for and not freed */
    uint64_t usable;   /* bytes of the blocks that hold them */
    uint64_t resident; /* bytes of the allocator in memory */
};

/* The memory that was in use, in order of address: mappings that hold nothing resident are left out. A cell stands for
 * cell_bytes: '.' not resident; '0' resident and free, to '9' resident and filled by live blocks. */
struct picture {
    uint64_t cell_bytes;
    uint32_t cells;
    char cell[PICTURE_CELLS];
};

struct play {
    /* the wish */
    char path[PATH_MAX];
    struct policy policy;
    enum verify verify;
    bool threads; /* as many as recorded */
    bool paced;   /* not faster than recorded */
    bool python;  /* the recording has requests of CPython's mem and object domains */
    uint64_t events, peak_event;
    uint64_t objects;

    /* the result */
    _Atomic(uint64_t) progress; /* events played */
    bool done;
    char fault[256]; /* what went wrong; "" if nothing did */
    uint64_t nanoseconds;
    uint64_t requests, failed;
    uint64_t served;       /* requests answered by a search for a hole; 0: not known */
    uint64_t search_steps; /* holes looked at for them */
    uint32_t sample_count;
    struct sample sample[SAMPLES_MAX];
    struct picture peak, end;
};

/* The player's whole life: maps the memory file `descriptor`, plays, returns the exit status. */
int player_main(int descriptor);

/* Plays in a new process. Fills the result; `watch` is called now and then with the share that is done. */
void play_run(struct play *play, void (*watch)(const struct play *play));

#endif
