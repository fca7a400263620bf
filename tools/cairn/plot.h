/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* plot.h: pictures of results by gnuplot(1). Single-threaded. */

#ifndef CAIRN_TOOL_PLOT_H
#define CAIRN_TOOL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "player.h"

enum plot_kind {
    PLOT_MEMORY, /* live and resident bytes over the time of the recording */
    PLOT_BARS,   /* peak resident and time of each policy */
    PLOT_BOTH    /* one above the other */
};

/* Is there a gnuplot to draw with? */
bool plot_possible(void);

/* Draws to `path`, SVG or, if its name ends in .png, PNG; `bare`: on no background, in colours for dark and light.
 * Ends the process with a line if gnuplot is missing or fails. */
void plot_draw(const char *path, enum plot_kind kind, const struct play *plays, size_t count, bool bare);

#endif
