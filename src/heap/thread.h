/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* thread.h: which owner does this thread use? And what happens when threads end or rest and processes fork.
 *
 * A thread's owner of the default heap is one thread-local pointer, `tls_owner`; owners of other shared heaps are in
 * a small thread-local table by heap id. A thread that ends hands its pools to each heap's common owner. Requests it
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

/* The private heap this thread used last, and its owner there: what most look-ups want. */
struct recent_owner {
    uint64_t heap_id;    /* 0: none; ids are never reused */
    struct owner *owner; /* NULL: none */
};
extern _Thread_local struct recent_owner tls_recent TLS_HOT;

/* The same from the table; notes it in tls_recent. */
struct owner *thread_owner_look_up(const cairn_heap *heap);

/* This thread's owner of a shared heap if it has one, else NULL. */
static inline struct owner *thread_owner_if_any(const cairn_heap *heap)
{
    return LIKELY(tls_recent.heap_id == heap->id) ? tls_recent.owner : thread_owner_look_up(heap);
}

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
