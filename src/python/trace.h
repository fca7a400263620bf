/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* trace.h: CAIRN_GC_TRACE: the program's stops as a file that ui.perfetto.dev and chrome://tracing show.
 *
 * The file is an array of the Trace Event Format, JSON. Each event is one write(), so that a process that is killed
 * leaves whole events; the array then lacks its last bracket, which both viewers allow. Cairn holds no event in
 * memory.
 *
 * One file is one process's: it is locked while its process lives, and who finds it locked writes none. With %p in
 * its path every process has a file of its own. A forked child writes to its parent's never.
 *
 * The GIL guards the state. */

#ifndef CAIRN_PYTHON_TRACE_H
#define CAIRN_PYTHON_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/pauses.h"

/* Opens the trace, if `path` is not NULL and the process has an interpreter; `program` is shown as the process's
 * name. If it cannot be written, says so on stderr. True if there is a trace. From the preload's constructor, once. */
bool trace_open(const char *path, const char *program);

/* Writes a stop, if there is a trace. */
void trace_stop(const struct pause *pause);

/* Writes the analysis of a snapshot, on a track of its own. */
void trace_analysis(uint64_t begun_ns, uint64_t ended_ns, size_t objects, size_t garbage);

/* The process ends: writes the last bracket. Async-signal-safe; does nothing in a child of vfork. [any] */
void trace_close(void);

/* In a forked child: the file is the parent's. With %p in the path, the child's own is made at its first stop. */
void trace_leave(void);

#endif
