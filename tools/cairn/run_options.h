/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* run_options.h: the options of `cairn run` as a table: option, variable, check, help. Every option sets one CAIRN_*
 * variable; an option that is not given leaves the variable as the user's environment has it. Single-threaded. */

#ifndef CAIRN_TOOL_RUN_OPTIONS_H
#define CAIRN_TOOL_RUN_OPTIONS_H

#include <stdbool.h>

enum {
    RUN_STATS,
    RUN_STATS_FILE,
    RUN_STATS_CHILDREN,
    RUN_LEAKS,
    RUN_LEAKS_FILE,
    RUN_LEAKS_FRAMES,
    RUN_NO_CHILDREN,
    RUN_GEOMETRY,
    RUN_FIT,
    RUN_POOLS,
    RUN_HUGE,
    RUN_LIMIT,
    RUN_PURGE_DELAY,
    RUN_MISUSE,
    RUN_NO_PYTHON,
    RUN_GC,
    RUN_GC_FLOATING,
    RUN_GC_COPIED,
    RUN_GC_EXPLICIT,
    RUN_GC_MINIMUM,
    RUN_GC_SLICES,
    RUN_GC_TRACE,
    RUN_HELP,
    RUN_OPTION_COUNT
};

struct run_options {
    const char *values[RUN_OPTION_COUNT]; /* what the variable is set to; NULL: left alone */
    bool help;
};

/* Reads the options. Returns the index of the program's name in `arguments`, or `count` if there is none. Ends the
 * process with a line for an unknown option or a value out of range. */
int run_options_read(struct run_options *options, int count, char **arguments);

/* Checks the options against each other and the reports' files against the file system, and completes what they imply.
 * Ends the process with a line if they do not fit. */
void run_options_check(struct run_options *options);

/* True if the program's children run without Cairn. */
bool run_options_no_children(const struct run_options *options);

/* Calls `set` for every variable that an option sets. */
void run_options_set(const struct run_options *options, void (*set)(const char *name, const char *value));

/* Writes the options' help to stdout. */
void run_options_print(void);

#endif
