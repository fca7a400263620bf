/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* thread.h: which owner does this thread use? And what happens when threads end or rest and processes fork.
 *
 * A thread's owner of the default heap is one thread-local pointer, `tls_owner`. A thread that has owners has a number,
 * by which each shared heap keeps them; if there are too many threads for that, it finds them in a small thread-local
 * table by heap id, which tells at its end which they are. A thread that ends hands its pools to each heap's common owner. Requests it
 * makes afterwards (from destructors that run later) are served by the common owner, under the lock; so are those of
 * threads for which no owner could be made.
 *
 * Lock ranks: the registry's lock before any heap's; heaps' locks in order of the registry's list (only in the fork
 * handlers is more than one held). */

#ifndef CAIRN_HEAP_THREAD_H
#define CAIRN_HEAP_THREAD_H

#include "heap/owner.h"
#include "heap/types.h"

#if defined(CAIRN_PRELOAD) && CAIRN_PRELOAD
#define TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define TLS_MODEL
#endif

/* For the few bytes that every request reads: found without a call in every library. A library that is loaded late takes
 * them of what the C library keeps ready for such (glibc: 1,664 bytes at least). */
#define TLS_HOT __attribute__((tls_model("initial-exec")))

/* This thread's owner of the default heap; owner_none before its first request and after its end. */
extern _Thread_local struct owner *tls_owner TLS_HOT;

/* This thread's owner of a shared heap, made if need be; NULL if the thread is ending or memory is short. */
struct owner *thread_owner(cairn_heap *heap);

/* This thread's number, below THREAD_NUMBERS; 0: it has none. */
extern _Thread_local size_t tls_number TLS_HOT;

/* This thread's owner of a shared heap by its number; owner_none: it has none, or no number. Hot path. */
static inline struct owner *thread_owner_by_number(const cairn_heap *heap)
{
    return heap->by_thread[tls_number];
}

/* The same from the table; NULL: it has none. */
struct owner *thread_owner_look_up(const cairn_heap *heap);

/* This thread's owner of a shared heap if it has one, else NULL. */
static inline struct owner *thread_owner_if_any(const cairn_heap *heap)
{
    struct owner *owner = thread_owner_by_number(heap);
    return LIKELY(owner != &owner_none) ? owner : thread_owner_look_up(heap);
}

/* Sets up what a new heap has for its threads. */
void thread_start_heap(cairn_heap *heap);

/* A request in a shared heap by a thread that may have no owner. */
void *thread_alloc(cairn_heap *heap, size_t size);

/* The calling thread is about to wait for long and is not within a request or free: it rests. What it has of the default
 * heap goes to the common owner, as at a thread's end, so that others' frees of its blocks do not wait for it. It goes on
 * by itself with its next request. errno is preserved. */
void thread_rest(void);

/* Sends what the calling thread freed of others' blocks in the default heap, and frees what others sent to it. It is not
 * within a request or free. errno is preserved. */
void thread_exchange(void);

/* Registers thread exit and fork handlers; once per process, by heap.c. */
void thread_start(void);

#endif
