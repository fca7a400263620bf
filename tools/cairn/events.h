/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* events.h: the events of a recording, as structs and as the bytes in its frames.
 *
 * An object is a block from its allocation to its free, through all its resizes. Objects are numbered as compactly as
 * can be: a new one takes the number that was given up last, or else the next that was never used. Writer and reader
 * follow the same rule, so an allocation needs no number in the file, and a table over the numbers is as large as the
 * most objects that ever lived at a time. Single-threaded. */

#ifndef CAIRN_TOOL_EVENTS_H
#define CAIRN_TOOL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/protocol.h"

enum event_kind {
    EVENT_ALLOC,
    EVENT_ZEROED,
    EVENT_ALIGNED,
    EVENT_RESIZE,
    EVENT_FREE,
    EVENT_THREAD, /* the events that follow are of thread `object` */
    EVENT_EXIT,   /* thread `object` has ended */
    EVENT_TIME,   /* the events that follow happened at `size` us since the start or a little later */
    EVENT_END     /* the recording is whole */
};

struct event {
    uint8_t kind;
    uint8_t domain;    /* enum record_domain */
    uint8_t alignment; /* its power of two, for EVENT_ALIGNED */
    uint32_t object;   /* number; for a thread's events the thread's */
    uint64_t size;     /* bytes asked for, or microseconds */
};

_Static_assert(sizeof(struct event) == 16, "events are played from a flat array");

enum {
    EVENT_BYTES_MAX = 24,     /* most bytes of one event */
    EVENT_TIME_UNIT_US = 100, /* resolution of times in the file */
    EVENT_END_BYTES_MAX = 64,
    OBJECTS_MAX = UINT32_MAX - 1
};

/* ---- numbers ---- */

struct numbers {
    uint32_t *given_up;
    size_t count, capacity;
    uint32_t next; /* never used */
};

bool numbers_grow(struct numbers *numbers);
void numbers_free(struct numbers *numbers);

/* A number for a new object. */
static inline uint32_t numbers_take(struct numbers *numbers)
{
    return numbers->count > 0 ? numbers->given_up[--numbers->count] : numbers->next++;
}

/* Gives a number up. False if there is no memory. */
static inline bool numbers_give(struct numbers *numbers, uint32_t number)
{
    if (numbers->count == numbers->capacity && !numbers_grow(numbers)) {
        return false;
    }
    numbers->given_up[numbers->count++] = number;
    return true;
}

/* ---- bytes ---- */

/* What writer and reader both keep from event to event. */
struct event_state {
    struct numbers numbers;
    uint32_t last; /* the object of the event before */
    uint64_t time; /* in units */
};

/* What the recorder knows at the end. */
struct event_totals {
    uint64_t requests; /* allocations, resizes and frees written */
    uint64_t unknown;  /* frees and resizes of blocks whose allocation was not seen */
    uint64_t missed;   /* blocks given out again whose free was not seen */
    uint64_t status;   /* exit status of the program; 256 and more: signal + 256 */
    uint64_t duration_us;
};

/* These write an event's bytes and return where the next go. `object` of an allocation must come from numbers_take().
 * Each writes at most EVENT_BYTES_MAX bytes, event_put_end() EVENT_END_BYTES_MAX. */
uint8_t *event_put_alloc(uint8_t *to, struct event_state *state, const struct event *event);
uint8_t *event_put_resize(uint8_t *to, struct event_state *state, const struct event *event);
uint8_t *event_put_free(uint8_t *to, struct event_state *state, uint32_t object);
uint8_t *event_put_thread(uint8_t *to, enum event_kind kind, uint32_t thread);
uint8_t *event_put_time(uint8_t *to, struct event_state *state, uint64_t units);
uint8_t *event_put_end(uint8_t *to, const struct event_totals *totals);

/* Reads the events of one frame into `events`, which has room for `count` of them (a frame of n bytes has at most n).
 * Returns their number, or -1 with *at the index of the byte that cannot be right. *totals is filled at the end. */
ptrdiff_t events_read(struct event_state *state, const uint8_t *bytes, size_t count, struct event *events,
                      struct event_totals *totals, size_t *at);

#endif
