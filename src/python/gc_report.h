/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* gc_report.h: the part of the statistics that is about CPython: its domains, its collector's mode, the program's
 * stops (pauses.h), the snapshots (snapshot.h). Plain functions from figures to a stream, as in observe/print.h. The
 * GIL is held, or the program ends. */

#ifndef CAIRN_PYTHON_GC_REPORT_H
#define CAIRN_PYTHON_GC_REPORT_H

#include <stdio.h>

/* As text for people; nothing if the process is no CPython that Cairn serves. */
void gc_report_text(FILE *out);

/* As one JSON object, or null if the process is no CPython that Cairn serves; cairn-run(1) describes it. */
void gc_report_json(FILE *out);

#endif
