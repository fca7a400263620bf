/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* record.h: running a program and recording its requests, for `cairn record` and `cairn lab`. Single-threaded. */

#ifndef CAIRN_TOOL_RECORD_H
#define CAIRN_TOOL_RECORD_H

#include <stdbool.h>

struct record_wish {
    const char *command; /* whose words are said */
    const char *path;    /* of the recording */
    bool children;
    bool quiet;
};

/* Runs the program arguments[first] (count words in all) and records it. Returns how it ended, as waitpid(2) says. Ends
 * the process with a line if the program cannot be run or recorded, or if the recording could not be written. */
int record_program(const struct record_wish *wish, int count, char **arguments, int first);

#endif
