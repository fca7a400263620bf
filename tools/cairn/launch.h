/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* launch.h: finding the program that the user named, and the words for what is wrong with it. Single-threaded. */

#ifndef CAIRN_TOOL_LAUNCH_H
#define CAIRN_TOOL_LAUNCH_H

#include "program.h"

/* Finds the program `name` and follows it to its ELF file; `before` is the word before it on the command line. Ends the
 * process with a line that says the mend and EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE if that is not possible. */
void launch_find(struct program *program, const char *name, const char *before);

/* Ends the process because the program was found and could not be executed. */
_Noreturn void launch_fail(const struct program *program, int error);

/* Says why the loader will not preload Cairn into the program; `outcome` is what follows from it, such as "runs without
 * Cairn". Silent if it will. */
void launch_say_without(const struct program *program, preload_verdict verdict, const char *outcome);

#endif
