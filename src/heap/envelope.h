/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* envelope.h: where the records come from in which many blocks travel home together (remote.h).
 *
 * They are part of the heap's metadata, so they are in nobody's way who looks at blocks. Who gets one keeps it for its own
 * next blocks: between threads that free for each other none is ever made or given back. Who only gets them keeps a few and
 * gives the others to the heap, where those that only send take theirs. They are as many as were ever on their way at once.
 *
 * Lock: a spare one of an owner's is its thread's; the heap's others are under its lock. */

#ifndef CAIRN_HEAP_ENVELOPE_H
#define CAIRN_HEAP_ENVELOPE_H

#include "heap/types.h"

/* An empty envelope; NULL if there is no memory, or the heap is in a region, where there is never plenty. */
struct envelope *envelope_take(struct owner *owner);

/* Keeps an envelope for the owner's next blocks; if it has enough, or is NULL, it becomes one of the heap's, of which
 * `locked` says that its lock is held. One of the two is NULL. */
void envelope_give(struct owner *owner, struct envelope *envelope, cairn_heap *locked);

/* Makes those that the owner keeps the heap's. The heap's lock is held. */
void envelope_give_all(struct owner *owner);

#endif
