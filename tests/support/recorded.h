/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* recorded.h: the reading side of `cairn record` for one test program, with its recording kept in memory: in place of
 * recording.c, so that tests need no file and no Zstandard. To be included once. Single-threaded, as the drain is. */

#ifndef CAIRN_TEST_RECORDED_H
#define CAIRN_TEST_RECORDED_H

#include <stdlib.h>
#include <string.h>

#include "../../tools/cairn/drain.c"
#include "../../tools/cairn/events.c"
#include "../../tools/cairn/message.c"
#include "support/test.h"

/* What the drain wrote, decoded. */
static struct {
    struct event *events;
    size_t count, capacity;
    struct event_totals totals;
} recorded;

struct recording_writer {
    struct event_state state;
    size_t count;
    bool described;
    uint8_t bytes[RECORDING_FRAME];
};

struct recording_writer *recording_create(const char *path, const char *description, size_t size)
{
    (void)path, (void)description, (void)size;
    struct recording_writer *writer = calloc(1, sizeof *writer);
    require(writer != NULL);
    return writer;
}

void recording_flush(struct recording_writer *writer)
{
    size_t at = 0;
    if (recorded.capacity < recorded.count + writer->count) {
        recorded.capacity = (recorded.count + writer->count) * 2;
        recorded.events = realloc(recorded.events, recorded.capacity * sizeof *recorded.events);
        require(recorded.events != NULL);
    }
    ptrdiff_t count = events_read(&writer->state, writer->bytes, writer->count, recorded.events + recorded.count,
                                  &recorded.totals, &at);
    require(count >= 0);
    recorded.count += (size_t)count;
    writer->count = 0;
}

uint8_t *recording_room(struct recording_writer *writer, size_t size)
{
    if (writer->count + size > sizeof writer->bytes) {
        recording_flush(writer);
    }
    return writer->bytes + writer->count;
}

void recording_used(struct recording_writer *writer, size_t size)
{
    writer->count += size;
}

int recording_error(const struct recording_writer *writer)
{
    return writer == NULL;
}

int recording_close(struct recording_writer *writer, uint64_t *size)
{
    recording_flush(writer);
    numbers_free(&writer->state.numbers);
    free(writer);
    *size = 0;
    return 0;
}

static void recorded_visit(const struct drain_result *result)
{
    require(result->error == 0);
}

/* Reads all that this process, the recorded one, has written, and ends the recording. */
static void recorded_end(struct drain *drain)
{
    drain_ended(drain, getpid(), 0);
    while (drain_busy(drain)) {
        (void)drain_turn(drain);
    }
    require(drain_finish(drain, recorded_visit) == 1);
}

static void recorded_forget(void)
{
    free(recorded.events);
    memset(&recorded, 0, sizeof recorded);
}

#endif
