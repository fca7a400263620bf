/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* print.h: statistics as text and as JSON. Plain functions from figures to a stream: they take no lock, touch no heap
 * and allocate nothing (stdio may, for the stream's own buffer). [any; the caller owns the stream] */

#ifndef CAIRN_OBSERVE_PRINT_H
#define CAIRN_OBSERVE_PRINT_H

#include <stdio.h>

#include "cairn.h"

/* Figures that only a heap with `exact` keeps are told from zeros by this: every request has usable bytes, so
 * bytes_given is 0 after a request only if it was not counted. */
static inline bool stats_are_exact(const cairn_stats *stats)
{
    return stats->bytes_given != 0 || stats->requests == 0;
}

/* Writes a JSON string. JSON is UTF-8 and `text` may be any bytes: what is not plain ASCII is written as \u00xx. */
void print_json_string(FILE *out, const char *text);

/* Writes the statistics of the heap `name` as text for people, 0 or an errno value. Flushes `out`. */
int print_stats_text(const cairn_stats *stats, const cairn_fragmentation *fragmentation, const char *name,
                     const cairn_geometry *geometry, FILE *out);

/* Writes the statistics as one JSON object: "name", "geometry", every field of cairn_stats under its own name (null
 * if it was not counted), "classes", one object per row, and "fragmentation", an object of all fields of
 * cairn_fragmentation. Valid JSON whatever bytes `name` holds. Returns 0 or an
 * errno value. Flushes `out`. */
int print_stats_json(const cairn_stats *stats, const cairn_fragmentation *fragmentation, const char *name,
                     const cairn_geometry *geometry, FILE *out);

#endif
