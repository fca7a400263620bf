/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* gc_head.h: CPython's PyGC_Head, the two words in front of every object that its collector knows (3.9 to 3.13 with a
 * GIL), and the ring of heads that a generation is.
 *
 * A ring's own head stands for no object. `next` is 0 for an object that is in no ring (untracked). Between collections
 * `next` carries no flags and both directions agree; the two low bits of `prev` are flags that move with the object.
 * Whoever changes a ring holds the GIL. */

#ifndef CAIRN_PYTHON_GC_HEAD_H
#define CAIRN_PYTHON_GC_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc_head {
    uintptr_t next;
    uintptr_t prev;
};

enum {
    GC_HEAD_BYTES = sizeof(struct gc_head),
    GC_HEAD_FINALIZED = 1,  /* in prev: tp_finalize was called */
    GC_HEAD_COLLECTING = 2, /* in prev: part of the collection that runs now */
    GC_HEAD_FLAGS = GC_HEAD_FINALIZED | GC_HEAD_COLLECTING,
};

static inline struct gc_head *gc_head_of(const void *object)
{
    return (struct gc_head *)((uintptr_t)object - GC_HEAD_BYTES);
}

static inline void *gc_head_object(const struct gc_head *head)
{
    return (void *)((uintptr_t)head + GC_HEAD_BYTES);
}

static inline bool gc_head_is_tracked(const struct gc_head *head)
{
    return head->next != 0;
}

static inline struct gc_head *gc_head_next(const struct gc_head *head)
{
    return (struct gc_head *)head->next;
}

static inline struct gc_head *gc_head_prev(const struct gc_head *head)
{
    return (struct gc_head *)(head->prev & ~(uintptr_t)GC_HEAD_FLAGS);
}

/* Makes `second` follow `first`. */
static inline void gc_head_join(struct gc_head *first, struct gc_head *second)
{
    first->next = (uintptr_t)second;
    second->prev = (uintptr_t)first | (second->prev & GC_HEAD_FLAGS);
}

/* ---- rings ---- */

static inline void gc_ring_clear(struct gc_head *ring)
{
    ring->next = ring->prev = (uintptr_t)ring;
}

static inline bool gc_ring_is_empty(const struct gc_head *ring)
{
    return ring->next == (uintptr_t)ring;
}

/* Takes a tracked object's head out of the ring it is in and puts it at the end of `ring`. */
static inline void gc_ring_move(struct gc_head *ring, struct gc_head *head)
{
    gc_head_join(gc_head_prev(head), gc_head_next(head));
    gc_head_join(gc_head_prev(ring), head);
    gc_head_join(head, ring);
}

/* Puts all of `from` at the end of `ring`; `from` is empty then. */
static inline void gc_ring_append(struct gc_head *ring, struct gc_head *from)
{
    if (gc_ring_is_empty(from)) {
        return;
    }
    gc_head_join(gc_head_prev(ring), gc_head_next(from));
    gc_head_join(gc_head_prev(from), ring);
    gc_ring_clear(from);
}

#endif
