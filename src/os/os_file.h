/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_file.h: pages of a mapped file that are no longer needed. */

#ifndef CAIRN_OS_FILE_H
#define CAIRN_OS_FILE_H

/* Gives the pages from that of `from` to that of the byte before `to`, of a private mapping of a file that nobody writes
 * to, back to the system: what is touched again is read from the file. A page that differs from the file's keeps what it
 * holds: a debugger has set a breakpoint there. Does nothing if the system does not tell which those are, and changes
 * no errno. */
void os_file_drop(const char *from, const char *to);

#endif
