/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* message.h: what the command says to its user. Every message is one line on stderr that begins with "cairn: ",
 * names the thing and says the mend. Control bytes (in a file's name, say) are shown as '?', so that a message stays
 * one line and cannot drive the terminal. Single-threaded. */

#ifndef CAIRN_TOOL_MESSAGE_H
#define CAIRN_TOOL_MESSAGE_H

#include <stddef.h>

/* Exit statuses of the command itself; a program that was run gives its own. As env(1), nohup(1) and the shells. */
enum {
    EXIT_CAIRN = 125,          /* an error of cairn's own: usage, a missing preload */
    EXIT_NOT_EXECUTABLE = 126, /* the program was found and cannot be executed */
    EXIT_NOT_FOUND = 127       /* the program was not found */
};

/* Writes one line to stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes one line to stderr and ends the process with `status`. */
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends a command whose answer went to stdout: 0, or EXIT_CAIRN with a line if stdout could not take it. */
int finish_output(void);

/* A string made as by printf; the caller frees it. Ends the process if there is no memory. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name of `names` (count of them) that `word` was probably meant to be, or NULL if none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
