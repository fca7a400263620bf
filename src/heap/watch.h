/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* watch.h: one watcher of all blocks of exact heaps, told by the slow twins, through which every request and every free
 * of such a heap goes. The hot paths know nothing of it.
 *
 * `given` is told after a block was given, `freed` before it may be given again, `resized` when a block kept its
 * contents
 * without a request and a free. They may be called with the heap's lock held and must not use any heap; `lock` and
 * `unlock` are called around a fork, after and before the heaps' own locks. */

#ifndef CAIRN_HEAP_WATCH_H
#define CAIRN_HEAP_WATCH_H

#include "heap/types.h"

struct heap_watch {
    void (*given)(const void *block, size_t asked);
    void (*resized)(const void *old, const void *block, size_t asked);
    void (*freed)(const void *block);
    void (*lock)(void);
    void (*unlock)(void);
};

/* The watcher; NULL: none. Set once. */
extern _Atomic(const struct heap_watch *) heap_watch;

static inline const struct heap_watch *heap_watcher(void)
{
    return atomic_load_explicit(&heap_watch, memory_order_acquire);
}

static inline void watch_given(const void *block, size_t asked)
{
    const struct heap_watch *watch = heap_watcher();
    if (UNLIKELY(watch != NULL)) {
        watch->given(block, asked);
    }
}

static inline void watch_resized(const void *old, const void *block, size_t asked)
{
    const struct heap_watch *watch = heap_watcher();
    if (UNLIKELY(watch != NULL)) {
        watch->resized(old, block, asked);
    }
}

static inline void watch_freed(const void *block)
{
    const struct heap_watch *watch = heap_watcher();
    if (UNLIKELY(watch != NULL)) {
        watch->freed(block);
    }
}

#endif
