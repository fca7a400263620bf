/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* events.c: see events.h. An event is a tag byte and up to three numbers in base 128, low digits first, the top bit
 * saying that more follow. The tag's low 3 bits:
 *
 *   0 control   bits 3-7: what; then its numbers
 *   1 free      bits 3-7: the object, as its signed distance (zigzag) from the event before it; 31: a number follows
 *   2 allocation, 3 zeroed: bits 3-4: the domain; then the size
 *   4 aligned   bits 3-4: the domain; then the alignment's power of two, the size
 *   5 resize    bits 3-4: the domain; then the object as a signed distance, the new size
 *
 * Single-threaded. */

#include "events.h"

#include <string.h>
#include <sys/mman.h>

enum { CONTROL_THREAD, CONTROL_EXIT, CONTROL_TIME, CONTROL_END };
enum { ALIGNMENT_MAX = 46 };

/* ---- numbers ---- */

/* In shared mappings of their own: a player's private memory is the allocator's that is being measured. */
bool numbers_grow(struct numbers *numbers)
{
    size_t capacity = numbers->capacity != 0 ? numbers->capacity * 2 : 4096;
    uint32_t *grown = mmap(NULL, capacity * sizeof *grown, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (grown == MAP_FAILED) {
        return false;
    }
    if (numbers->given_up != NULL) {
        memcpy(grown, numbers->given_up, numbers->count * sizeof *grown);
        munmap(numbers->given_up, numbers->capacity * sizeof *grown);
    }
    numbers->given_up = grown;
    numbers->capacity = capacity;
    return true;
}

void numbers_free(struct numbers *numbers)
{
    if (numbers->given_up != NULL) {
        munmap(numbers->given_up, numbers->capacity * sizeof *numbers->given_up);
    }
    memset(numbers, 0, sizeof *numbers);
}

/* ---- writing ---- */

static uint8_t *put_control(uint8_t *to, unsigned what)
{
    *to++ = (uint8_t)(TAG_CONTROL | what << TAG_BITS);
    return to;
}

uint8_t *event_put_thread(uint8_t *to, enum event_kind kind, uint32_t thread)
{
    return event_put_number(put_control(to, kind == EVENT_THREAD ? CONTROL_THREAD : CONTROL_EXIT), thread);
}

uint8_t *event_put_time(uint8_t *to, struct event_state *state, uint64_t units)
{
    to = event_put_number(put_control(to, CONTROL_TIME), units - state->time);
    state->time = units;
    return to;
}

uint8_t *event_put_end(uint8_t *to, const struct event_totals *totals)
{
    to = event_put_number(put_control(to, CONTROL_END), totals->requests);
    to = event_put_number(to, totals->unknown);
    to = event_put_number(to, totals->missed);
    to = event_put_number(to, totals->status);
    return event_put_number(to, totals->duration_us);
}

/* ---- reading ---- */

/* The bytes of a frame, and whether a number ran over their end or is too large. */
struct source {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t get_long_number(struct source *from)
{
    uint64_t number = 0;
    for (unsigned shift = 0; from->at < from->end && shift < 63; shift += 7) {
        uint8_t byte = *from->at++;
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            return number;
        }
    }
    from->bad = true;
    return 0;
}

static inline uint64_t get_number(struct source *from)
{
    if (from->at < from->end && *from->at < 128) {
        return *from->at++;
    }
    return get_long_number(from);
}

static inline uint32_t get_object(struct source *from, struct event_state *state, uint64_t step)
{
    int64_t object = (int64_t)state->last + (int64_t)(step >> 1 ^ -(step & 1));
    if (object < 0 || object >= (int64_t)state->numbers.next) {
        from->bad = true;
        return 0;
    }
    state->last = (uint32_t)object;
    return (uint32_t)object;
}

static void get_control(struct source *from, struct event_state *state, unsigned what, struct event *event,
                        struct event_totals *totals)
{
    switch (what) {
    case CONTROL_THREAD:
    case CONTROL_EXIT: {
        uint64_t thread = get_number(from);
        from->bad |= thread > UINT32_MAX;
        event->kind = what == CONTROL_THREAD ? EVENT_THREAD : EVENT_EXIT;
        event->object = (uint32_t)thread;
        break;
    }
    case CONTROL_TIME:
        state->time += get_number(from);
        event->kind = EVENT_TIME;
        event->size = state->time * EVENT_TIME_UNIT_US;
        from->bad |= state->time > UINT64_MAX / EVENT_TIME_UNIT_US / 2;
        break;
    case CONTROL_END:
        event->kind = EVENT_END;
        totals->requests = get_number(from);
        totals->unknown = get_number(from);
        totals->missed = get_number(from);
        totals->status = get_number(from);
        totals->duration_us = get_number(from);
        from->bad |= from->at != from->end;
        break;
    default:
        from->bad = true;
    }
}

static inline void get_event(struct source *from, struct event_state *state, struct event *event,
                             struct event_totals *totals)
{
    unsigned tag = *from->at++;
    unsigned upper = tag >> TAG_BITS;
    event->domain = upper & 3;
    event->alignment = 0;
    switch (tag & 7) {
    case TAG_FREE:
        event->kind = EVENT_FREE;
        event->size = 0;
        event->object = get_object(from, state, upper == TAG_NEAR ? get_number(from) : upper);
        from->bad = from->bad || !numbers_give(&state->numbers, event->object);
        break;
    case TAG_ALIGNED:
        event->alignment = from->at < from->end ? *from->at++ : UINT8_MAX;
        from->bad |= event->alignment > ALIGNMENT_MAX;
        /* fall through */
    case TAG_ALLOC:
    case TAG_ZEROED:
        event->kind = (uint8_t)((tag & 7) == TAG_ALLOC    ? EVENT_ALLOC
                                : (tag & 7) == TAG_ZEROED ? EVENT_ZEROED
                                                          : EVENT_ALIGNED);
        event->object = numbers_take(&state->numbers);
        from->bad |= event->object >= OBJECTS_MAX;
        state->last = event->object;
        event->size = get_number(from);
        break;
    case TAG_RESIZE:
        event->kind = EVENT_RESIZE;
        event->object = get_object(from, state, get_number(from));
        event->size = get_number(from);
        break;
    case TAG_CONTROL:
        get_control(from, state, upper, event, totals);
        break;
    default:
        from->bad = true;
    }
}

ptrdiff_t events_read(struct event_state *state, const uint8_t *bytes, size_t count, struct event *events,
                      struct event_totals *totals, size_t *at)
{
    struct source from = {bytes, bytes + count, false};
    struct event *event = events;
    while (from.at < from.end) {
        const uint8_t *start = from.at;
        get_event(&from, state, event, totals);
        if (from.bad) {
            *at = (size_t)(start - bytes);
            return -1;
        }
        event++;
    }
    return event - events;
}
