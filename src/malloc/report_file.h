/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* report_file.h: the files that reports at the end of a process go to (CAIRN_STATS_FILE, CAIRN_LEAKS_FILE). No
 * allocation, no locks: noted in the constructor, opened at the end. */

#ifndef CAIRN_MALLOC_REPORT_FILE_H
#define CAIRN_MALLOC_REPORT_FILE_H

#include <limits.h>
#include <stdbool.h>

struct report_file {
    char path[PATH_MAX]; /* absolute, %p not yet replaced; "": none */
};

/* Notes a path (NULL: none) as it is meant now: the program may change its folder. One that is too long is none. */
void report_file_note(struct report_file *file, const char *path);

/* Opens it for writing, every %p replaced by the process id: at its end if `append`, else anew. A descriptor, or -1 with
 * errno set. */
int report_file_open(const struct report_file *file, bool append);

#endif
