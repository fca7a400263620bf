/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* results.h: what players measured, as figures, a table, CSV and JSON. Single-threaded. */

#ifndef CAIRN_TOOL_RESULTS_H
#define CAIRN_TOOL_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "player.h"
#include "survey.h"

/* Figures of a play. External fragmentation: resident bytes that are not usable bytes of live blocks, as a share of
 * the resident; internal: usable bytes that were not asked for, as a share of the usable. Means are over all samples,
 * weighted by the bytes. */
struct figures {
    double seconds, rate; /* requests a second */
    uint64_t peak_resident, peak_asked;
    uint64_t external_peak;  /* bytes */
    double external_at_peak; /* when most bytes were asked for */
    double external_mean, internal_mean;
    double searches; /* holes looked at for each request a hole served; below 0: not known */
};

void results_figures(const struct play *play, struct figures *figures);

/* One table for people. */
void results_print(FILE *out, const struct survey *survey, const struct play *plays, size_t count);

/* One line for each play, with names in the first. */
void results_print_csv(FILE *out, const struct play *plays, size_t count);

/* One object, with every sample. */
void results_print_json(FILE *out, const struct survey *survey, const struct play *plays, size_t count);

/* Names for people: "1.25 GiB". */
const char *results_bytes(char text[32], uint64_t bytes);

#endif
