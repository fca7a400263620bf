/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* usage.h: what is said about options that getopt_long(3) refuses, and about values that are not known.
 * Single-threaded. */

#ifndef CAIRN_TOOL_USAGE_H
#define CAIRN_TOOL_USAGE_H

#include <getopt.h>
#include <stddef.h>

/* Ends the process with a line about the word getopt_long() stopped at, having answered '?' or ':'. Every option has
 * a distinct `val` above 0, and `optopt` was 0 before the call. */
_Noreturn void usage_fail(const char *command, const struct option *options, int answer, const char *word);

/* The index of `word` (length bytes) in a list that ends with NULL; ends the process with a line that says which there
 * are if it is none of them. */
size_t usage_choice(const char *option, const char *word, size_t length, const char *const *choices);

/* Adds what an option was given to its list, which is NULL at first: an option that is given again goes on with it. The
 * list lives until it is freed. */
void usage_add_to_list(char **list, const char *more, char parting);

/* Ends the process with a line, before any work is done, if the file that `option` names could not be written in the
 * end. Leaves the file as it is; makes none. */
void usage_check_output(const char *option, const char *path);

#endif
