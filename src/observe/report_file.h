/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* report_file.h: the files that reports on a process go to (CAIRN_STATS_FILE, CAIRN_LEAKS_FILE, CAIRN_GC_TRACE). No
 * allocation, no locks: noted in the constructor, opened there or at the end. */

#ifndef CAIRN_OBSERVE_REPORT_FILE_H
#define CAIRN_OBSERVE_REPORT_FILE_H

#include <limits.h>
#include <stdbool.h>

struct report_file {
    char path[PATH_MAX]; /* absolute, %p not yet replaced; "": none */
};

/* Notes a path (NULL: none) as it is meant now: the program may change its folder. One that is too long is none. */
void report_file_note(struct report_file *file, const char *path);

/* Does every process have a file of its own (is there a %p)? */
bool report_file_is_own(const struct report_file *file);

/* Opens it for writing, every %p replaced by the process id: at its end if `append`, else anew. A descriptor, or -1 with
 * errno set. */
int report_file_open(const struct report_file *file, bool append);

#endif
