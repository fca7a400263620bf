/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* drain.h: the reading side of record/protocol.h: takes the events out of the rings, puts those of several threads in
 * order, numbers the objects and writes the recordings, one for each process. Single-threaded. */

#ifndef CAIRN_TOOL_DRAIN_H
#define CAIRN_TOOL_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct drain;

/* What became of a recording. */
struct drain_result {
    const char *path;
    pid_t pid;
    uint64_t requests, unknown, missed, file_size;
    int error; /* errno value of a failed write; 0: the file is whole */
};

/* Makes the memory file and the drain. Recordings go to `path`, those of children to path.PID. `description` (size
 * bytes) begins each. NULL with errno on failure. */
struct drain *drain_create(const char *path, const char *description, size_t size, bool children);

/* The descriptor of the memory file, which the program opens by /proc. */
int drain_descriptor(const struct drain *drain);

/* Takes what there is. Returns how many words of the rings that were. */
uint64_t drain_turn(struct drain *drain);

/* The process `pid`, the first of the recording, has ended, with `status` as in struct event_totals. */
void drain_ended(struct drain *drain, pid_t pid, uint64_t status);

/* Are there processes left whose end has not been seen and read to the last event? */
bool drain_busy(const struct drain *drain);

/* Ends all recordings and calls `visit` for each; returns their number. The drain is gone after it. */
size_t drain_finish(struct drain *drain, void (*visit)(const struct drain_result *result));

#endif
