/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* front.h: what the fronts (malloc, Python) call: the hot paths on the default heap, and on a single heap. */

#ifndef CAIRN_HEAP_FRONT_H
#define CAIRN_HEAP_FRONT_H

#include "heap/owner.h"
#include "heap/thread.h"

/* Makes the default heap and registers thread-exit and fork handlers. Idempotent; called by itself at the first
 * request, and by the preload's constructor so that it happens before threads exist. */
void heap_start(void);

/* cairn_heap_create(); with `keeps_sides` the hooks of its owners may keep something beside each pool (pool_side). */
cairn_heap *heap_create(const cairn_heap_options *options, bool keeps_sides);

/* Gives back all memory of a heap, the default heap too. Its blocks, and unless it is the default heap the heap itself,
 * are gone: nothing may use it afterwards. For cairn_heap_destroy(), and for the last moment of a process. [quiet] */
void heap_release(cairn_heap *heap);

/* Giving back while the program waits. heap_idle_ms says after how long a wait a heap that nobody uses may be at rest; 0 if there
 * is none with free pages, unless `anyway`. heap_idle_tick purges what is due (heap_tick_in_wait), leaving out heaps whose lock is
 * taken. Both may be called in a signal handler. [any] */
unsigned heap_idle_ms(bool anyway);
void heap_idle_tick(void);

/* While a heap is quiet, heap_idle_tick leaves it alone: for walks and checks, which take no lock. */
void heap_set_quiet(cairn_heap *heap, bool quiet);

/* The slow twins of the two below, by the thread's owner (and owner_free_slow_of_thread()). Their arguments are where the
 * hot paths have them. */
void *front_alloc_slow(size_t size);
void front_free_far(void *block);
void front_pool_emptied(void *block, struct pool *pool);

/* The C allocation functions on the default heap; their contracts are those of cairn_alloc() and so on. Freeing,
 * resizing and asking the size accept a live block of any heap. */
static inline void *front_alloc(size_t size)
{
    if (LIKELY(size <= DIRECT_MAX)) {
        void *block = owner_alloc_ready(tls_owner, size, false);
        if (LIKELY(block != NULL)) {
            return block;
        }
    }
    return front_alloc_slow(size);
}

static inline void front_free(void *block)
{
    struct pool *pool = pagemap_get_near(block);
    if (UNLIKELY(!pool)) {
        front_free_far(block);
        return;
    }
    enum owner_freed freed = owner_free_ready(mark_of_thread(), block, pool);
    if (UNLIKELY(freed == OWNER_FREED_LAST)) {
        front_pool_emptied(block, pool);
    } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
        owner_free_slow_of_thread(block, pool);
    }
}

void *front_calloc(size_t count, size_t size);
void *front_alloc_aligned(size_t alignment, size_t size);
void *front_realloc(void *block, size_t size);
size_t front_usable_size(const void *block);

/* For a single heap, before its first request: a block that is freed twice in a row is found by the second free, as in a
 * shared one, not when it is served (see owner.h). Small blocks of it are to be asked for and freed by the functions
 * below: cairn_alloc() takes a longer way there, and cairn_free() does not look. */
void heap_look_at_frees(cairn_heap *heap);

/* Requests of such a heap: its lock-holder calls them with its owner. */
static inline struct owner *front_single_owner(cairn_heap *heap)
{
    ASSERT(heap->single && !heap->base.end);
    return &heap->base;
}

static inline void *front_single_alloc(struct owner *owner, size_t size)
{
    return owner_alloc(owner, size, false);
}

static inline void front_single_free(struct owner *owner, void *block)
{
    owner_free_single(owner, block, false);
}

/* cairn_calloc() and cairn_realloc() on the owner's heap. */
void *front_single_calloc(struct owner *owner, size_t count, size_t size);
void *front_single_realloc(struct owner *owner, void *block, size_t size);

#endif
