/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* logged_domains.c: see logged_domains.h. free on a single heap is the hot one: while the log is closed it costs a
 * comparison and a branch more than without a log, and no register more.
 *
 * The order in which a block is noted and given up matters: noted first, since
 * whoever is given the block next must find it noted. A realloc notes the old block even if it stays where it is.
 *
 * State: the look and its countdown. Threads of interpreters with a GIL of their own may count at the same time; a look
 * more or less does no harm. */

#include "python/logged_domains.h"

#include <stdatomic.h>
#include <stddef.h>

#include "heap/front.h"
#include "python/freed_log.h"

static struct {
    void (*look)(void);
    atomic_int left; /* requests until the next look */
} starting;

static void count_request(void)
{
    int left = atomic_load_explicit(&starting.left, memory_order_relaxed);
    atomic_store_explicit(&starting.left, left > 0 ? left - 1 : LOGGED_LOOK, memory_order_relaxed);
    if (UNLIKELY(left <= 0)) {
        starting.look();
    }
}

/* ---- a single heap; the context is its owner ---- */

static void *single_malloc(void *context, size_t size)
{
    return front_single_alloc(context, size);
}

static void *single_malloc_starting(void *context, size_t size)
{
    count_request();
    return front_single_alloc(context, size);
}

static void *single_calloc(void *context, size_t count, size_t size)
{
    return front_single_calloc(context, count, size);
}

static void *single_realloc(void *context, void *block, size_t size)
{
    const struct owner *owner = context;
    freed_log_freed(block);
    return cairn_realloc(owner->heap, block, size);
}

static __attribute__((noinline, cold)) void single_free_noted(void *context, void *block)
{
    freed_log_note(block);
    front_single_free(context, block);
}

static void single_free(void *context, void *block)
{
    if (freed_log_wants()) {
        single_free_noted(context, block);
    } else {
        front_single_free(context, block);
    }
}

/* ---- a shared heap; the context is the heap ---- */

static void *shared_malloc(void *context, size_t size)
{
    return cairn_alloc(context, size);
}

static void *shared_malloc_starting(void *context, size_t size)
{
    count_request();
    return cairn_alloc(context, size);
}

static void *shared_calloc(void *context, size_t count, size_t size)
{
    return cairn_calloc(context, count, size);
}

static void *shared_realloc(void *context, void *block, size_t size)
{
    freed_log_freed(block);
    return cairn_realloc(context, block, size);
}

static void shared_free(void *context, void *block)
{
    freed_log_freed(block);
    cairn_free(context, block);
}

void logged_allocator(cairn_heap *heap, void (*look)(void), cairn_allocator *allocator)
{
    if (look != NULL) {
        starting.look = look;
    }
    if (heap->single) {
        *allocator = (cairn_allocator){front_single_owner(heap), look != NULL ? single_malloc_starting : single_malloc,
                                       single_calloc, single_realloc, single_free};
    } else {
        *allocator = (cairn_allocator){heap, look != NULL ? shared_malloc_starting : shared_malloc, shared_calloc,
                                       shared_realloc, shared_free};
    }
}
