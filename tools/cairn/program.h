/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* program.h: the program to run: where it is, and whether the system's loader will preload a library into it.
 * Single-threaded. Nothing here starts anything but program_exec(). */

#ifndef CAIRN_TOOL_PROGRAM_H
#define CAIRN_TOOL_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

struct program {
    const char *name;     /* as the user wrote it; becomes argv[0] */
    char path[PATH_MAX];  /* the file that is executed */
    char image[PATH_MAX]; /* the ELF file the kernel ends up with: `path`, or the interpreter of a script */
};

/* Why a program cannot be preloaded. */
typedef enum {
    PRELOAD_POSSIBLE,
    PRELOAD_STATIC,  /* statically linked: no loader to ask */
    PRELOAD_FOREIGN, /* for another machine or word size than the preload library */
    PRELOAD_SECURE   /* setuid, setgid or with capabilities: the loader ignores LD_PRELOAD */
} preload_verdict;

/* Finds `name` as execvp(3) does: a name with a slash is a path, any other is looked up in PATH. Fills *program and
 * returns 0, or returns ENOENT (no such file), EACCES (a file, but not executable, or one in a folder that may not be
 * searched) or another errno value. */
int program_find(struct program *program, const char *name);

/* Follows `#!` lines from program->path to the ELF file behind and fills program->image. Returns 0, or an errno
 * value with program->image the file that is at fault (missing, not executable); ENOEXEC if that is neither an ELF
 * file nor a script. A file without `#!` that looks like text counts as a script of /bin/sh, as in execvp(3). */
int program_follow(struct program *program);

/* Says whether the loader will preload `library` (a path) into program->image. A file that cannot be read is given
 * the benefit of the doubt. [program_follow() first] */
preload_verdict program_preload_verdict(const struct program *program, const char *library);

/* True if `path` is an ELF shared object. */
bool is_shared_object(const char *path);

/* Replaces the process by the program with the environment as it is. Returns an errno value on failure. */
int program_exec(const struct program *program, char **arguments);

#endif
