/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_process.h: the process that analyses a snapshot (snapshot_analysis.h) beside the program.
 *
 * The program cannot see it: no SIGCHLD, not among the children that wait() finds, no descriptor here, none kept open
 * there, no fork handler runs. It ends by itself when it is done, when its time is over and when the program ends;
 * killing it at any moment does no harm. Its life is  start -> poll until it is not RUNNING -> use the result ->
 * close;  close may come at any moment.
 *
 * One struct is used by one thread at a time; the GIL is the lock. No function here allocates with malloc; errno is
 * preserved. */

#ifndef CAIRN_PYTHON_SNAPSHOT_PROCESS_H
#define CAIRN_PYTHON_SNAPSHOT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/snapshot_analysis.h"

/* All zero: none. */
struct snapshot_process {
    int32_t pid;                    /* 0 if none runs or waits to be reaped */
    struct snapshot_result *result; /* NULL if there is none */
    size_t mapped;                  /* bytes at result */
    uint64_t deadline_ms;           /* on os_clock_ms() */
};

enum snapshot_state {
    SNAPSHOT_NONE,    /* nothing was started */
    SNAPSHOT_RUNNING, /* ask again */
    SNAPSHOT_ENDED,   /* it has ended and is reaped; the result is COMPLETE or PARTIAL and stays until close */
    SNAPSHOT_FAILED,  /* it has ended without a result, or nobody knows how it ended */
};

/* Clones the process and starts the analysis there, with room for `capacity` entries (the memory is used as far as
 * entries are written), for `limit_ms` at most. *process must be zero or closed. Returns 0, or the error of the system
 * that kept it from starting: nothing is left behind then. The GIL is held and no collection runs. */
int snapshot_process_start(struct snapshot_process *process, const struct snapshot_input *input, size_t capacity,
                           unsigned limit_ms);

/* How it stands. Does not block: one system call while it runs. Kills it when its time is over; reaps it when it has
 * ended. */
enum snapshot_state snapshot_process_poll(struct snapshot_process *process);

/* Is there one that runs or waits to be reaped? And does it wait to be reaped? Hints, for who would poll at a quiet
 * moment. Without or with the GIL. [any] */
bool snapshot_process_unreaped(void);
bool snapshot_process_ended(void);

/* As poll, but waits for the end: `wait_ns` at most, and some milliseconds more where it has to sleep. */
enum snapshot_state snapshot_process_wait(struct snapshot_process *process, uint64_t wait_ns);

/* Asks for its end without waiting for it; poll reaps it. Safe at any moment. */
void snapshot_process_kill(struct snapshot_process *process);

/* Ends the process, and waits for its end; poll finds out. Without or with the GIL. [any] */
void snapshot_process_leave(void);

/* Ends it if it runs (which takes as long as the system needs to take down its memory), gives all back, zeroes the
 * struct. Idempotent. */
void snapshot_process_close(struct snapshot_process *process);

/* In a child of fork(): the process is the parent's, and so are its results. Lets go of them without a trace. */
void snapshot_process_forget(struct snapshot_process *process);

#endif
