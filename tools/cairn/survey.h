/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* survey.h: one pass over a recording before it is played: is it whole, what is in it, where does most live.
 * Single-threaded. */

#ifndef CAIRN_TOOL_SURVEY_H
#define CAIRN_TOOL_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"

/* Exit status of a command that was given a damaged or foreign file. */
enum { EXIT_BAD_FILE = 2 };

struct survey {
    char *description; /* fields "key=value", each with a zero at its end, `description_size` bytes */
    size_t description_size;
    uint64_t events; /* of every kind */
    uint64_t allocations, resizes, frees;
    uint64_t objects;    /* most that live at a time: the size of a table over their numbers */
    uint64_t peak_bytes; /* most bytes asked for and not freed at a time */
    uint64_t peak_event; /* events before that moment */
    uint64_t end_bytes;  /* never freed */
    uint64_t end_objects;
    uint64_t duration_us;
    uint32_t threads;
    bool python;                /* CPython's mem or object domain is in it */
    bool whole;                 /* the recorder wrote its end */
    bool cut;                   /* the file ends inside a frame... */
    size_t cut_at;              /* ...which begins there */
    struct event_totals totals; /* if `whole` */
};

/* Reads the recording at `path`. A file that cannot be read, is damaged or foreign ends the process with a line that
 * names the offset, and EXIT_BAD_FILE (EXIT_CAIRN if it cannot be opened). A recording that was cut short or has no
 * end is good; says so. `watch` is called now and then with the bytes that have been read and with all of them, for the
 * last time before anything is said. */
void survey_read(struct survey *survey, const char *command, const char *path, void (*watch)(size_t done, size_t size));

/* The first value of a field of the description, or "". */
const char *survey_field(const struct survey *survey, const char *key);

/* The command line that was recorded, as one line; the caller frees it. */
char *survey_command_line(const struct survey *survey);

/* A table of shared memory that grows, zeroed: what players keep per object must not be private memory. */
struct table {
    void *entries;
    size_t capacity, entry_size;
};
bool table_reserve(struct table *table, size_t entry_size, size_t count);
void table_free(struct table *table);

#endif
