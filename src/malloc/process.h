/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* process.h: what the preload does for a whole process: its start (start.c), the statistics at its end (report.c),
 * and facts about it for reports (program.c). */

#ifndef CAIRN_MALLOC_PROCESS_H
#define CAIRN_MALLOC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Notes how the process was started, for reports: "ls", "python3 app.py", "python3 -m http.server". */
void program_note(int argc, char **argv);

/* That name; "" before program_note. */
const char *program_name(void);

/* Resident bytes of the process now and at most, as the system says; 0 what it does not say. */
struct process_memory {
    size_t resident;
    size_t peak_resident;
};
void process_memory(struct process_memory *memory);

/* Threads of the process now; 0 if the system does not say. */
size_t process_threads(void);

/* Prepares the statistics at exit if the options ask for them. From the constructor, once. */
void report_arm(void);

/* Keeps a second descriptor of stderr for the end of the process; idempotent. From the constructor. */
void report_keep_stderr(void);

/* Closes it: a forked child that will not speak must not keep the reader of a pipe waiting. */
void report_drop_stderr(void);

/* A descriptor of the file that was stderr at the start, or -1. */
int report_error_descriptor(void);

/* Writes the statistics of the process as text for people or as a JSON document, and flushes `out`. 0 or an errno
 * value. With the GIL, or when the program ends. */
int report_write_text(FILE *out);
int report_write_json(FILE *out);

/* True if this process is to print its statistics and has not done so yet. */
bool report_due(void);

/* Then, once: composes the text, and writes it out. Failures are reported on stderr. */
void report_collect(void);
void report_deliver(void);

#endif
