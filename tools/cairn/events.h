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
 * Each writes at most EVENT_BYTES_MAX bytes, event_put_end() EVENT_END_BYTES_MAX. Those that are inline are called for
 * nearly every event. */

enum { TAG_CONTROL, TAG_FREE, TAG_ALLOC, TAG_ZEROED, TAG_ALIGNED, TAG_RESIZE };
enum { TAG_BITS = 3, TAG_NEAR = 31 };

static inline uint8_t *event_put_number(uint8_t *to, uint64_t number)
{
    for (; number >= 128; number >>= 7) {
        *to++ = (uint8_t)(number | 128);
    }
    *to++ = (uint8_t)number;
    return to;
}

static inline uint64_t event_distance(struct event_state *state, uint32_t object)
{
    int64_t step = (int64_t)object - (int64_t)state->last;
    state->last = object;
    return (uint64_t)step << 1 ^ (uint64_t)(step >> 63);
}

static inline uint8_t *event_put_alloc(uint8_t *to, struct event_state *state, const struct event *event)
{
    unsigned tag = event->kind == EVENT_ALLOC ? TAG_ALLOC : event->kind == EVENT_ZEROED ? TAG_ZEROED : TAG_ALIGNED;
    *to++ = (uint8_t)(tag | (unsigned)event->domain << TAG_BITS);
    if (tag == TAG_ALIGNED) {
        *to++ = event->alignment;
    }
    state->last = event->object;
    return event_put_number(to, event->size);
}

/* An allocation of less than 16384 bytes, without a branch. state->last is the caller's to set. */
static inline uint8_t *event_put_short_alloc(uint8_t *to, unsigned domain, size_t size)
{
    unsigned more = size >= 128;
    to[0] = (uint8_t)(TAG_ALLOC | domain << TAG_BITS);
    to[1] = (uint8_t)((size & 127) | more << 7);
    to[2] = (uint8_t)(size >> 7);
    return to + 2 + more;
}

static inline uint8_t *event_put_resize(uint8_t *to, struct event_state *state, const struct event *event)
{
    *to++ = (uint8_t)(TAG_RESIZE | (unsigned)event->domain << TAG_BITS);
    to = event_put_number(to, event_distance(state, event->object));
    return event_put_number(to, event->size);
}

static inline uint8_t *event_put_free(uint8_t *to, struct event_state *state, uint32_t object)
{
    uint64_t step = event_distance(state, object);
    if (step < TAG_NEAR) {
        *to++ = (uint8_t)(TAG_FREE | step << TAG_BITS);
        return to;
    }
    *to++ = (uint8_t)(TAG_FREE | TAG_NEAR << TAG_BITS);
    return event_put_number(to, step);
}

uint8_t *event_put_thread(uint8_t *to, enum event_kind kind, uint32_t thread);
uint8_t *event_put_time(uint8_t *to, struct event_state *state, uint64_t units);
uint8_t *event_put_end(uint8_t *to, const struct event_totals *totals);

/* Reads the events of one frame into `events`, which has room for `count` of them (a frame of n bytes has at most n).
 * Returns their number, or -1 with *at the index of the byte that cannot be right. *totals is filled at the end. */
ptrdiff_t events_read(struct event_state *state, const uint8_t *bytes, size_t count, struct event *events,
                      struct event_totals *totals, size_t *at);

#endif
