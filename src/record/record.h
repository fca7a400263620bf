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
    uint64_t key;   /* that needs no mark */
    int64_t credit; /* of bytes, until the next event raises the epoch */
    uint16_t name;  /* of the ring in `last`: its index plus 1 */
};

/* Pieces of the address space: of 16 KiB, as most pools are; those 1 GiB apart and more may share an entry. */
enum { RECORD_PIECES = 65536, RECORD_PIECE_SHIFT = 14, RECORD_PIECE_MIX = 30 };

/* What orders the events of a process that has had two rings. An event that finds another ring's name for its piece of
 * the address space puts its own there and then raises the epoch. One that finds its own name needs no more than the
 * epoch, which it must have read before. */
struct record_order {
    _Alignas(64) _Atomic(uint64_t) epoch;
    _Alignas(64) _Atomic(uint16_t) last[RECORD_PIECES]; /* who wrote last; 0: nobody */
};

/* The writer of this thread, or one without room. */
extern _Thread_local struct record_writer *record_writer RECORD_TLS;

/* The process's order once it has had two rings; else NULL. */
extern struct record_order *_Atomic record_order;

/* An event that finds no room, and one that needs a key. */
void record_slow(uint64_t first, uint64_t second, uint64_t third, unsigned count);
void record_ordered(uint64_t first, uint64_t second, uint64_t third, unsigned count);

/* Writes an event of `count` words to `at`, behind its mark if it has one, and publishes it. */
static inline void record_put(struct record_writer *writer, uint64_t *at, uint64_t first, uint64_t second,
                              uint64_t third, unsigned count)
{
    at[0] = first;
    if (count > 1) {
        at[1] = second;
    }
    if (count > 2) {
        at[2] = third;
    }
    writer->position += count;
    atomic_store_explicit(&writer->ring->written, writer->position, memory_order_release);
}

static inline uint64_t *record_place(const struct record_writer *writer)
{
    return writer->words + writer->position % RECORD_RING_WORDS;
}

static inline void record_words(uint64_t first, uint64_t second, uint64_t third, unsigned count)
{
    struct record_writer *writer = record_writer;
    if (__builtin_expect(atomic_load_explicit(&record_order, memory_order_relaxed) != NULL, 0)) {
        record_ordered(first, second, third, count);
        return;
    }
    if (__builtin_expect(writer->position >= writer->limit, 0)) {
        record_slow(first, second, third, count);
        return;
    }
    record_put(writer, record_place(writer), first, second, third, count);
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

/* One that failed has no address to be ordered by: its size makes it raise the epoch. */
static inline void record_resized(const void *block, enum record_domain domain, size_t size)
{
    record_given(RECORD_RESIZED, block, domain, block != NULL ? size : SIZE_MAX);
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
