/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* page.h: the report of `cairn lab` as one HTML page that needs nothing else. Single-threaded. */

#ifndef CAIRN_TOOL_PAGE_H
#define CAIRN_TOOL_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "player.h"
#include "survey.h"

/* Writes the page. `memory` and `bars` are the paths of two SVG files that become part of it. */
void page_write(FILE *out, const struct survey *survey, const struct play *plays, size_t count, const char *memory,
                const char *bars);

#endif
