/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* record.h: what the fronts call around every request, so that `cairn record` can write it down.
 *
 * In libcairn-record.so (CAIRN_RECORD) these write events into the calling thread's ring (protocol.h); everywhere else
 * they are empty and cost nothing. The rule of order: record_alloc() and record_resized() after the block was given,
 * record_free() and record_resize() before the block is given up.
 *
 * No locks: a ring has one writer. What a thread needs at each event, its struct record_writer, lies in memory that a
 * forked child sees as zeros: there the next event finds no room, goes the slow way and learns where it is.
 *
 * None of these functions changes errno or allocates. [any] */

#ifndef CAIRN_RECORD_RECORD_H
#define CAIRN_RECORD_RECORD_H

#include <stddef.h>

#include "cairn.h"
#include "record/protocol.h"

#if defined(CAIRN_RECORD)

#define RECORD_TLS __attribute__((tls_model("initial-exec")))

/* A thread's place in its ring; `position` is also where it will be published. */
struct record_writer {
    _Alignas(64) uint64_t position; /* two threads' writers share no cache line */
    uint64_t limit;                 /* an event that begins below it fits into the block */
    uint64_t *words;
    struct record_ring *ring;
    uint64_t next; /* the number that needs no mark: the one after that of this thread's last event */
};

/* The writer of this thread, or one without room. */
extern _Thread_local struct record_writer *record_writer RECORD_TLS;

/* The process's counter of events once it has had two rings; else NULL. */
extern _Atomic(uint64_t) *_Atomic record_sequence;

/* Makes room for an event; NULL if this event is not recorded. */
struct record_writer *record_room(void);

/* Numbers an event, with a mark before it if another thread's came between. Returns where the event goes. */
static inline uint64_t *record_number(struct record_writer *writer, uint64_t *at, _Atomic(uint64_t) *sequence)
{
    uint64_t number = atomic_fetch_add_explicit(sequence, 1, memory_order_relaxed);
    if (number != writer->next) {
        *at++ = number << RECORD_MARK_SHIFT | RECORD_MARK;
    }
    writer->next = number + 1;
    return at;
}

static inline void record_words(uint64_t first, uint64_t second, uint64_t third, unsigned count)
{
    struct record_writer *writer = record_writer;
    if (__builtin_expect(writer->position >= writer->limit, 0)) {
        writer = record_room();
        if (writer == NULL) {
            return;
        }
    }
    uint64_t *at = writer->words + writer->position % RECORD_RING_WORDS;
    uint64_t *start = at;
    _Atomic(uint64_t) *sequence = atomic_load_explicit(&record_sequence, memory_order_relaxed);
    if (__builtin_expect(sequence != NULL, 0)) {
        at = record_number(writer, at, sequence);
    }
    *at++ = first;
    if (count > 1) {
        *at++ = second;
    }
    if (count > 2) {
        *at++ = third;
    }
    writer->position += (uint64_t)(at - start);
    atomic_store_explicit(&writer->ring->written, writer->position, memory_order_release);
}

static inline uint64_t record_word(enum record_operation operation, const void *block, enum record_domain domain,
                                   size_t size)
{
    size_t shown = size < RECORD_SIZE_ESCAPE ? size : RECORD_SIZE_ESCAPE;
    return (uint64_t)operation | ((uint64_t)(uintptr_t)block & RECORD_ADDRESS_MASK) |
           (uint64_t)domain << RECORD_DOMAIN_SHIFT | (uint64_t)shown << RECORD_SIZE_SHIFT;
}

static inline void record_given(enum record_operation operation, const void *block, enum record_domain domain,
                                size_t size)
{
    record_words(record_word(operation, block, domain, size), size, 0, size < RECORD_SIZE_ESCAPE ? 1 : 2);
}

/* A block was given (NULL: the request failed and is not recorded). */
static inline void record_alloc(const void *block, enum record_domain domain, size_t size)
{
    if (block != NULL) {
        record_given(RECORD_ALLOC, block, domain, size);
    }
}

static inline void record_alloc_zeroed(const void *block, enum record_domain domain, size_t count, size_t size)
{
    if (block != NULL) {
        record_given(RECORD_ZEROED, block, domain, count * size);
    }
}

static inline void record_alloc_aligned(const void *block, size_t alignment, size_t size)
{
    if (block != NULL) {
        uint64_t word = record_word(RECORD_ALIGNED, block, RECORD_MALLOC, size);
        bool escape = size >= RECORD_SIZE_ESCAPE;
        record_words(word, escape ? size : alignment, alignment, escape ? 3 : 2);
    }
}

/* A block is about to be freed (NULL: nothing happens). */
static inline void record_free(const void *block)
{
    if (block != NULL) {
        record_words((uint64_t)RECORD_FREE | ((uint64_t)(uintptr_t)block & RECORD_ADDRESS_MASK), 0, 0, 1);
    }
}

/* A block, not NULL, is about to be resized; the answer was `block` (NULL: it failed). */
static inline void record_resize(const void *block)
{
    record_words((uint64_t)RECORD_RESIZE | ((uint64_t)(uintptr_t)block & RECORD_ADDRESS_MASK), 0, 0, 1);
}

static inline void record_resized(const void *block, enum record_domain domain, size_t size)
{
    record_given(RECORD_RESIZED, block, domain, size);
}

/* Puts recording functions around a domain's allocator (in place). Before the domain's first request, once. */
void record_wrap(cairn_domain domain, cairn_allocator *allocator);

#else

static inline void record_alloc(const void *block, enum record_domain domain, size_t size)
{
    (void)block, (void)domain, (void)size;
}

static inline void record_alloc_zeroed(const void *block, enum record_domain domain, size_t count, size_t size)
{
    (void)block, (void)domain, (void)count, (void)size;
}

static inline void record_alloc_aligned(const void *block, size_t alignment, size_t size)
{
    (void)block, (void)alignment, (void)size;
}

static inline void record_free(const void *block)
{
    (void)block;
}

static inline void record_resize(const void *block)
{
    (void)block;
}

static inline void record_resized(const void *block, enum record_domain domain, size_t size)
{
    (void)block, (void)domain, (void)size;
}

static inline void record_wrap(cairn_domain domain, cairn_allocator *allocator)
{
    (void)domain, (void)allocator;
}

#endif
#endif
