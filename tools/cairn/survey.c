/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* survey.c: see survey.h. Single-threaded. */

#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "message.h"
#include "recording.h"

/* ---- tables ---- */

static void *map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

bool table_reserve(struct table *table, size_t entry_size, size_t count)
{
    if (count <= table->capacity) {
        return true;
    }
    size_t capacity = table->capacity != 0 ? table->capacity * 2 : 65536;
    while (capacity < count) {
        capacity *= 2;
    }
    void *entries = map_shared(capacity * entry_size);
    if (entries == NULL) {
        return false;
    }
    if (table->entries != NULL) {
        memcpy(entries, table->entries, table->capacity * entry_size);
        munmap(table->entries, table->capacity * entry_size);
    }
    table->entries = entries;
    table->capacity = capacity;
    table->entry_size = entry_size;
    return true;
}

void table_free(struct table *table)
{
    if (table->entries != NULL) {
        munmap(table->entries, table->capacity * table->entry_size);
    }
    memset(table, 0, sizeof *table);
}

/* ---- the pass ---- */

struct pass {
    const char *command, *path; /* for what is said */
    void (*watch)(size_t done, size_t size);
    struct survey *survey;
    struct event_state state;
    struct table sizes; /* uint64_t: bytes asked for plus 1; 0: no such object lives */
    uint64_t live_bytes, live_objects;
};

static void note_live(struct pass *pass, uint64_t grown, uint64_t gone)
{
    struct survey *survey = pass->survey;
    pass->live_bytes += grown;
    pass->live_bytes -= gone;
    if (pass->live_bytes > survey->peak_bytes) {
        survey->peak_bytes = pass->live_bytes;
        survey->peak_event = survey->events + 1;
    }
}

/* False if the event cannot be: it frees or resizes what does not live, or asks for more than there are addresses. */
static bool note_event(struct pass *pass, const struct event *event)
{
    struct survey *survey = pass->survey;
    uint64_t *sizes = pass->sizes.entries;
    bool object = event->kind <= EVENT_FREE;
    if (object && event->size > PTRDIFF_MAX / 2) {
        return false;
    }
    switch (event->kind) {
    case EVENT_ALLOC:
    case EVENT_ZEROED:
    case EVENT_ALIGNED:
        if (sizes[event->object] != 0) {
            return false;
        }
        survey->python |= event->domain >= RECORD_PYTHON_MEM;
        survey->allocations++;
        pass->live_objects++;
        note_live(pass, event->size, 0);
        sizes[event->object] = event->size + 1;
        break;
    case EVENT_RESIZE:
    case EVENT_FREE:
        if (sizes[event->object] == 0) {
            return false;
        }
        survey->resizes += event->kind == EVENT_RESIZE;
        survey->frees += event->kind == EVENT_FREE;
        pass->live_objects -= event->kind == EVENT_FREE;
        note_live(pass, event->size, sizes[event->object] - 1);
        sizes[event->object] = event->kind == EVENT_RESIZE ? event->size + 1 : 0;
        break;
    case EVENT_THREAD:
        survey->threads = event->object >= survey->threads ? event->object + 1 : survey->threads;
        break;
    case EVENT_TIME:
        survey->duration_us = event->size;
        break;
    case EVENT_END:
        survey->whole = true;
        break;
    default:
        break;
    }
    survey->events++;
    return true;
}

static _Noreturn void fail_damaged(const struct pass *pass, const struct recording_reader *reader, size_t offset,
                                   const char *what)
{
    pass->watch(reader->size, reader->size);
    fail(EXIT_BAD_FILE, "%s: '%s' is damaged at byte %zu: %s; record the program again", pass->command, pass->path,
         offset, what);
}

static void note_frame(struct pass *pass, const struct recording_reader *reader, size_t offset, struct event *events)
{
    static const char impossible[] = "the frame there holds an event that cannot be";
    size_t at = 0;
    if (pass->survey->whole) {
        fail_damaged(pass, reader, offset, "a frame follows the end");
    }
    ptrdiff_t count = events_read(&pass->state, reader->bytes, reader->count, events, &pass->survey->totals, &at);
    if (count < 0) {
        fail_damaged(pass, reader, offset, impossible);
    }
    pass->survey->objects = pass->state.numbers.next;
    if (!table_reserve(&pass->sizes, sizeof(uint64_t), pass->state.numbers.next)) {
        fail(EXIT_CAIRN, "%s: out of memory", pass->command);
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        if (!note_event(pass, &events[i])) {
            fail_damaged(pass, reader, offset, impossible);
        }
    }
}

static void note_description(struct survey *survey, const struct recording_reader *reader)
{
    survey->description = malloc(reader->count + 1);
    if (survey->description == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    memcpy(survey->description, reader->bytes, reader->count);
    survey->description[reader->count] = '\0';
    survey->description_size = reader->count;
}

static void note_end(const struct pass *pass, enum recording_end end, const struct recording_reader *reader)
{
    struct survey *survey = pass->survey;
    const char *command = pass->command, *path = pass->path;
    if (end == RECORDING_DAMAGED) {
        fail_damaged(pass, reader, reader->offset, reader->fault);
    }
    pass->watch(reader->size, reader->size);
    if (end == RECORDING_FOREIGN) {
        fail(EXIT_BAD_FILE, "%s: '%s' is no recording of 'cairn record': at byte %zu %s", command, path, reader->offset,
             reader->fault);
    }
    if (survey->description == NULL) {
        fail(EXIT_BAD_FILE, "%s: '%s' was cut short at byte %zu, before its first event; record the program again",
             command, path, reader->size);
    }
    survey->cut = end == RECORDING_CUT;
    survey->cut_at = reader->offset;
    uint64_t requests = survey->allocations + survey->resizes + survey->frees;
    if (survey->cut) {
        say("'%s' was cut short: the frame at byte %zu is not whole; going on with the %" PRIu64 " requests before it",
            path, survey->cut_at, requests);
    } else if (!survey->whole) {
        say("'%s' has no end: the recorder was stopped; going on with the %" PRIu64 " requests it wrote", path,
            requests);
    }
}

void survey_read(struct survey *survey, const char *command, const char *path, void (*watch)(size_t done, size_t size))
{
    struct recording_reader reader;
    struct pass pass = {.command = command, .path = path, .watch = watch, .survey = survey};
    memset(survey, 0, sizeof *survey);
    int error = recording_open(&reader, path);
    if (error != 0) {
        fail(EXIT_CAIRN, "%s: cannot read '%s': %s", command, path, strerror(error));
    }
    struct event *events = map_shared(RECORDING_FRAME * sizeof *events);
    if (events == NULL) {
        fail(EXIT_CAIRN, "%s: out of memory", command);
    }
    enum recording_end end;
    for (;;) {
        size_t offset = reader.offset;
        end = recording_next(&reader);
        if (end != RECORDING_MORE) {
            break;
        }
        if (survey->description == NULL) {
            note_description(survey, &reader);
        } else {
            note_frame(&pass, &reader, offset, events);
        }
        watch(reader.offset, reader.size);
    }
    note_end(&pass, end, &reader);
    survey->end_bytes = pass.live_bytes;
    survey->end_objects = pass.live_objects;
    munmap(events, RECORDING_FRAME * sizeof *events);
    table_free(&pass.sizes);
    numbers_free(&pass.state.numbers);
    recording_shut(&reader);
}

/* ---- the description ---- */

/* The field after `at` (NULL: the first), or NULL. */
static const char *next_field(const struct survey *survey, const char *at)
{
    const char *next = at == NULL ? survey->description : at + strlen(at) + 1;
    return next < survey->description + survey->description_size ? next : NULL;
}

static const char *value_of(const char *field, const char *key)
{
    size_t length = strlen(key);
    return strncmp(field, key, length) == 0 && field[length] == '=' ? field + length + 1 : NULL;
}

const char *survey_field(const struct survey *survey, const char *key)
{
    for (const char *at = next_field(survey, NULL); at != NULL; at = next_field(survey, at)) {
        if (value_of(at, key) != NULL) {
            return value_of(at, key);
        }
    }
    return "";
}

char *survey_command_line(const struct survey *survey)
{
    char *line = calloc(1, survey->description_size + 1);
    if (line == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    for (const char *at = next_field(survey, NULL); at != NULL; at = next_field(survey, at)) {
        const char *word = value_of(at, "argument");
        if (word != NULL) {
            strcat(line, line[0] != '\0' ? " " : "");
            strcat(line, word);
        }
    }
    for (char *at = line; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' ? ' ' : *at;
    }
    return line;
}
