/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* policies.h: which policies a recording is played under: the wishes of the command line multiplied out.
 * Single-threaded. */

#ifndef CAIRN_TOOL_POLICIES_H
#define CAIRN_TOOL_POLICIES_H

#include <stddef.h>

#include "player.h"

enum { POLICIES_MAX = 64 };

struct policies {
    struct policy policy[POLICIES_MAX];
    size_t count;
};

/* Adds every combination of lists: fits and pools (on, off), with commas between; and geometries, parted by '/' or ';'.
 * A geometry of one's own has commas in it ("arena=2M,pool=32K"); beside a preset's name a comma parts geometries too, as
 * no name is a field. NULL: the default. Without pools the geometry means nothing, so each fit is added once; a policy
 * that is there already is not added again. Ends the process with a line about a word or a value that is wrong. */
void policies_add_heaps(struct policies *policies, const char *fits, const char *geometries, const char *pools);

/* The policy's fit as --fit has it: best, first, next, worst, or default, the heap's own choice. */
const char *policy_fit_name(const struct policy *policy);

/* Adds allocators: "glibc", the name of one that Debian packages (found where its libraries are), or the path of a
 * preload library. Ends the process with a line if there is no such library. */
void policies_add_allocators(struct policies *policies, const char *names);

/* Adds glibc and the packaged allocators that are installed here. */
void policies_add_installed(struct policies *policies);

#endif
