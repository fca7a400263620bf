/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* command_line.h: what CPython's command line says about memory allocators, and what it runs. */

#ifndef CAIRN_PYTHON_COMMAND_LINE_H
#define CAIRN_PYTHON_COMMAND_LINE_H

#include <stdbool.h>

struct python_command {
    bool ignores_environment; /* -E or -I */
    bool development;         /* -X dev */
    char option;              /* 'c' or 'm' if that ends the options, else 0 */
    const char *what;         /* the script, the module, the code; NULL if there is none */
};

/* True if the process runs a Python interpreter by its own command line (and not an embedded one); then fills
 * *command by the rules of CPython's Python/getopt.c. */
bool python_command_parse(int argc, char **argv, struct python_command *command);

#endif
