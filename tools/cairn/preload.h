/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* preload.h: where libcairn-preload.so is, and how LD_PRELOAD names it. Single-threaded. */

#ifndef CAIRN_TOOL_PRELOAD_H
#define CAIRN_TOOL_PRELOAD_H

#include <limits.h>

/* Names another preload library than the one that belongs to this command. Taken out of the environment before the
 * program starts. */
#define PRELOAD_VARIABLE "CAIRN_PRELOAD"

/* Writes the absolute path of the preload library to `path`. Ends the process with a line that says where it was
 * looked for if there is none, or if LD_PRELOAD cannot name it. */
void preload_find(char path[PATH_MAX]);

/* Puts `path` in front of the environment's LD_PRELOAD, once. */
void preload_set(const char *path);

#endif
