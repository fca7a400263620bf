/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* request.c: requests by heap: zeroed, aligned, resizing, freeing, sizes; the public functions and those of front.h.
 * No locks of its own. */

#include <errno.h>
#include <string.h>

#include "heap/front.h"
#include "heap/geometry.h"
#include "heap/hole_quick.h"
#include "heap/large.h"
#include "heap/misuse.h"
#include "heap/sweep.h"
#include "heap/watch.h"

/* The calling thread's owner; owner_none if it has none. */
static struct owner *owner_of_thread(cairn_heap *heap)
{
    if (heap->single) {
        return &heap->base;
    }
    struct owner *owner = thread_owner_if_any(heap);
    return owner ? owner : &owner_none;
}

/* What a shared heap's thread has no ready block for, large requests of a late heap, and all of other single ones. */
static __attribute__((noinline)) void *alloc_elsewhere(cairn_heap *heap, size_t size)
{
    if (heap->single) {
        struct owner *owner = &heap->base;
        return owner->end ? owner_alloc_slow_late(owner, size) : owner_alloc(owner, size, false);
    }
    struct owner *owner = thread_owner_if_any(heap);
    return LIKELY(owner != NULL) ? owner_alloc_slow(owner, size) : thread_alloc(heap, size);
}

/* One comparison tells both that the heap is a late one and that its table has a place for the size. */
void *cairn_alloc(cairn_heap *heap, size_t size)
{
    if (size < heap->single_end) {
        void *block = owner_alloc_ready(&heap->base, size, true);
        return LIKELY(block != NULL) ? block : owner_alloc_slow_late(&heap->base, size);
    }
    void *block = LIKELY(size <= DIRECT_MAX) ? owner_alloc_ready(thread_owner_by_number(heap), size, false) : NULL;
    return LIKELY(block != NULL) ? block : alloc_elsewhere(heap, size);
}

void *cairn_calloc(cairn_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    if (bytes >= heap->pooled_end) {
        bool zeroed = false;
        void *block = large_alloc(heap, bytes, 1, &zeroed);
        if (block && !zeroed) {
            memset(block, 0, bytes);
        }
        return block;
    }
    void *block = cairn_alloc(heap, bytes);
    if (block) {
        memset(block, 0, bytes);
    }
    return block;
}

/* The next block for requests of `size` bytes rounded up to the alignment, if it is ready and happens to be aligned, as
 * all blocks of their class mostly are. Nearly hot: a few tests in place of a search. */
static inline void *alloc_ready_aligned(struct owner *owner, size_t alignment, size_t size, bool late)
{
    size_t mask = alignment - 1;
    size_t rounded = (size + mask) & ~mask;
    if (UNLIKELY(rounded - 1 >= DIRECT_MAX) || UNLIKELY(alignment & mask) || UNLIKELY(rounded < size)) {
        return NULL;
    }
    struct pool *pool = owner->direct[(rounded + 7) >> 3];
    return (uintptr_t)pool->free & mask ? NULL : owner_pop(pool, late);
}

/* Are all blocks of a class aligned? */
static inline bool is_aligned_class(const cairn_heap *heap, unsigned class_index, size_t mask)
{
    const struct size_class *class = &heap->classes[class_index];
    return ((class->block_size | class->first_block) & mask) == 0 && heap->spaces[class->space].slot_size > mask;
}

/* The class whose blocks are all aligned and hold `size` bytes, or -1. */
static int aligned_class(const cairn_heap *heap, size_t alignment, size_t size)
{
    size_t rounded = (size + alignment - 1) & ~(alignment - 1);
    if (rounded < size || rounded >= heap->pooled_end) {
        return -1;
    }
    for (unsigned c = class_of(heap, rounded ? rounded : alignment); c < heap->class_count; c++) {
        if (is_aligned_class(heap, c, alignment - 1)) {
            return (int)c;
        }
    }
    return -1;
}

/* A block of one class by the thread's owner, or whatever else serves the thread. */
static void *alloc_in_class(cairn_heap *heap, struct owner *owner, unsigned class_index, size_t size)
{
    owner = LIKELY(owner != &owner_none) ? owner : thread_owner(heap);
    if (LIKELY(owner != NULL)) {
        return owner_serve(owner, class_index, size);
    }
    os_lock_take(&heap->lock);
    void *block = owner_serve(&heap->base, class_index, size);
    os_lock_give(&heap->lock);
    return block;
}

/* What neither of these serves. */
static __attribute__((noinline)) void *search_aligned(cairn_heap *heap, struct owner *owner, size_t alignment,
                                                      size_t size)
{
    if (!alignment || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= heap->min_alignment) {
        return cairn_alloc(heap, size);
    }
    int class_index = aligned_class(heap, alignment, size);
    if (class_index < 0) {
        return large_alloc(heap, size, alignment, NULL);
    }
    int saved = errno;
    void *block = alloc_in_class(heap, owner, (unsigned)class_index, size);
    return LIKELY(block) ? block : large_after_pools(heap, size, alignment, saved);
}

/* What alloc_ready_aligned() does not serve. Nearly hot: the class of the rounded size mostly is aligned. */
static __attribute__((noinline)) void *alloc_aligned_slow(cairn_heap *heap, struct owner *owner, size_t alignment,
                                                          size_t size)
{
    size_t mask = alignment - 1;
    size_t rounded = (size + mask) & ~mask;
    if (rounded && rounded >= size && rounded < heap->pooled_end && !(alignment & mask) &&
        alignment > heap->min_alignment && !heap->meta.region && owner != &owner_none) {
        unsigned class_index = class_of(heap, rounded);
        if (LIKELY(is_aligned_class(heap, class_index, mask))) {
            return owner_serve(owner, class_index, size);
        }
    }
    return search_aligned(heap, owner, alignment, size);
}

void *cairn_alloc_aligned(cairn_heap *heap, size_t alignment, size_t size)
{
    struct owner *owner = owner_of_thread(heap);
    void *block = owner->end ? alloc_ready_aligned(owner, alignment, size, true)
                             : alloc_ready_aligned(owner, alignment, size, false);
    return LIKELY(block != NULL) ? block : alloc_aligned_slow(heap, owner, alignment, size);
}

/* Is it the start of a carved block of this pool of a class, as pool_of_live() would find? Nearly hot: a pool with purged
 * units is left to that. */
static inline bool is_carved_block(const struct pool *pool, const void *block)
{
    uint32_t offset = pool_offset(pool, block);
    return !pool_purged(pool) && offset < pool_carved(pool) * pool->block_size && offset % pool->block_size == 0;
}

/* Is it a block in use in a ready pool of the owner of this mark, as pool_to_resize() would find? Nearly hot. */
static inline bool is_live_here(uintptr_t mark, const struct pool *pool, const void *block)
{
    return pool_may_free_fast(pool, mark) && (const void *)pool->free != block && pool_used(pool) != 0 &&
           is_carved_block(pool, block);
}

/* The record of a block that is to be resized: live, as far as can be told. */
static struct pool *pool_to_resize(void *block, cairn_heap *expected)
{
    struct pool *pool = pool_of_live("realloc", block, expected);
    if (pool && pool_is_class(pool)) {
        struct owner *owner = pool_owner(pool);
        bool ours = owner == owner_of_thread(owner->heap);
        if (ours && ((void *)pool->free == block || pool_used(pool) == 0)) {
            misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "realloc", block, expected);
            return NULL;
        }
    }
    return pool;
}

static size_t usable(const struct pool *pool, const void *block)
{
    return pool_is_class(pool) ? pool->block_size : large_usable(pool, block);
}

/* Does a block of `have` bytes serve `size` without wasting half? */
static inline bool stays(size_t have, size_t size)
{
    return size <= have && (size >= have / 2 || have <= 32);
}

/* Resizes without moving; NULL if the block must move. */
static void *resize_in_place(struct pool *pool, void *block, size_t size)
{
    if (!pool_is_class(pool)) {
        return large_resize(pool, block, size);
    }
    if (!stays(pool->block_size, size)) {
        return NULL;
    }
    watch_resized(block, block, size);
    return block;
}

/* Resizes a live block; if it moves, the new one is of `heap`. */
static void *resize(cairn_heap *heap, struct pool *pool, void *block, size_t size)
{
    void *resized = size <= PTRDIFF_MAX ? resize_in_place(pool, block, size) : NULL;
    if (resized) {
        return resized;
    }
    size_t have = usable(pool, block);
    int saved = errno;
    resized = cairn_alloc(heap, size);
    if (resized) {
        memcpy(resized, block, have < size ? have : size);
        owner_free_in(owner_of_thread(heap), pool, block);
    } else if (size <= have) {
        /* No memory for a smaller block: the old one will do, and nothing has failed. */
        atomic_fetch_sub_explicit(&heap->requests_failed, 1, memory_order_relaxed);
        errno = saved;
        resized = block;
    }
    return resized;
}

void *cairn_realloc(cairn_heap *heap, void *block, size_t size)
{
    if (!block) {
        return cairn_alloc(heap, size);
    }
    struct pool *pool = pool_to_resize(block, heap);
    return pool ? resize(heap, pool, block, size) : NULL;
}

static __attribute__((noinline)) void free_slowly(cairn_heap *heap, void *block)
{
    int saved = errno;
    struct pool *pool = block ? pool_of_live("free", block, heap) : NULL;
    if (pool) {
        owner_free_live(owner_of_thread(heap), pool, block);
    }
    errno = saved;
}

/* A block of a pool that is not ready for the thread's owner. */
static __attribute__((noinline)) void free_elsewhere(cairn_heap *heap, void *block, struct pool *pool)
{
    if (UNLIKELY(!owner_free_quick(owner_of_thread(heap), block, pool))) {
        free_slowly(heap, block);
    }
}

/* Frees a block if its pool has the mark of the thread's owner in the heap. The common owner of a shared heap frees
 * nothing without further thought: if the mark is the base owner's, the heap is a single one, and mostly a late one. */
static inline void free_in(cairn_heap *heap, void *block, struct pool *pool)
{
    if (LIKELY(pool_may_free_fast(pool, mark_of_single(&heap->base)))) {
        enum owner_freed freed = owner_push(block, pool, true);
        if (UNLIKELY(freed == OWNER_FREED_LAST)) {
            owner_pool_emptied_late(&heap->base, block, pool);
        } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
            free_elsewhere(heap, block, pool);
        }
        return;
    }
    enum owner_freed freed = owner_free_ready(mark_of_thread() + heap->mark, block, pool);
    if (UNLIKELY(freed == OWNER_FREED_LAST)) {
        owner_pool_emptied(pool_owner(pool), block, pool);
    } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
        free_elsewhere(heap, block, pool);
    }
}

/* A block whose page is not near, or no block. */
static __attribute__((noinline)) void free_far(cairn_heap *heap, void *block)
{
    struct pool *pool = pagemap_get_far(block);
    if (LIKELY(pool)) {
        free_in(heap, block, pool);
    } else {
        free_slowly(heap, block);
    }
}

void cairn_free(cairn_heap *heap, void *block)
{
    struct pool *pool = pagemap_get_near(block);
    if (LIKELY(pool != NULL)) {
        free_in(heap, block, pool);
    } else {
        free_far(heap, block);
    }
}

size_t cairn_usable_size(const void *block)
{
    if (!block) {
        return 0;
    }
    const struct pool *pool = pool_of_live("usable_size", block, NULL);
    return pool ? usable(pool, block) : 0;
}

SELDOM cairn_heap *cairn_heap_of(const void *address)
{
    const struct pool *pool = pagemap_get(address);
    if (!pool) {
        return large_find(address).heap;
    }
    struct owner *owner = pool_owner(pool);
    return owner ? owner->heap : pool_arena(pool)->heap;
}

/* ---- front.h ---- */

void *front_alloc_slow(size_t size)
{
    return owner_alloc_slow(tls_owner, size);
}

void front_free_far(void *block)
{
    owner_free_far(tls_owner, block);
}

void front_pool_emptied(void *block, struct pool *pool)
{
    owner_pool_emptied(pool_owner(pool), block, pool);
}

enum { CREEP_PART = 16, SLACK_PART = 32 };

/* What a block of `have` bytes that grows to `size` gets: more, if it grows little by little, as a text does to which one
 * word after the other is added. Lists and buffers grow by an eighth: they have their own room. */
static inline size_t with_slack(size_t have, size_t size)
{
    return size > have && size - have < have / CREEP_PART ? size + size / SLACK_PART : size;
}

/* Moves a live block of a hole to `moved`, if that is one. */
static inline void *move_kept(struct owner *owner, struct pool *pool, void *block, void *moved, size_t bytes)
{
    if (UNLIKELY(!moved)) {
        return NULL;
    }
    memcpy(moved, block, bytes);
    if (LIKELY(quick_keep(&owner->heap->holes, block))) {
        sweep_arm(owner, true);
    } else {
        owner_free_in(owner, pool, block);
    }
    return moved;
}

/* Resizes a block of a hole: by keeping it for another and taking one that was kept, or one of a pool if it shrinks as far,
 * or in place, with some room for the next time, as larger ones are first: there is more to copy. NULL if that is not enough. */
static inline void *resize_kept(struct owner *owner, struct pool *pool, void *block, size_t size)
{
    cairn_heap *heap = owner->heap;
    const struct hole_space *holes = &heap->holes;
    if (!holes->quick || pool_kind_of(pool) != POOL_SEGMENT || pool_owner(pool) != owner ||
        !block_checks(holes, segment_of_record(pool), block)) {
        return NULL;
    }
    size_t have = holes_usable(block);
    if (size <= have && have - size < have / SLACK_PART + HOLE_CHUNK_MIN) {
        return block;
    }
    if (size < heap->pooled_end) {
        return have < heap->pooled_end ? NULL
                                       : move_kept(owner, pool, block, owner_alloc_ready(owner, size, false), size);
    }
    size_t wanted = with_slack(have, size);
    void *kept = wanted <= QUICK_CUT ? quick_take(holes, wanted) : NULL;
    void *moved = move_kept(owner, pool, block, kept, have < size ? have : size);
    return moved || wanted == size ? moved : large_resize(pool, block, wanted);
}

void *front_single_calloc(struct owner *owner, size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)) || bytes > DIRECT_MAX ||
        bytes >= owner->heap->pooled_end) {
        return cairn_calloc(owner->heap, count, size);
    }
    void *block = owner_alloc(owner, bytes, false);
    return LIKELY(block != NULL) ? memset(block, 0, bytes) : NULL;
}

void *front_single_realloc(struct owner *owner, void *block, size_t size)
{
    if (!block) {
        return owner_alloc(owner, size, false);
    }
    struct pool *pool = pagemap_get_near(block);
    if (LIKELY(pool != NULL) && is_live_here(mark_of_single(owner), pool, block)) {
        size_t have = pool->block_size;
        if (stays(have, size)) {
            return block;
        }
        void *moved = size <= DIRECT_MAX ? owner_alloc_ready(owner, size, false) : NULL;
        if (LIKELY(moved != NULL)) {
            memcpy(moved, block, have < size ? have : size);
            owner_free_single_in(owner, pool, block, false);
            return moved;
        }
    } else if (pool) {
        void *resized = resize_kept(owner, pool, block, size);
        if (resized) {
            return resized;
        }
    }
    return cairn_realloc(owner->heap, block, size);
}

void *front_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)) || bytes > DIRECT_MAX) {
        return cairn_calloc(cairn_heap_default(), count, size);
    }
    void *block = front_alloc(bytes);
    return LIKELY(block != NULL) ? memset(block, 0, bytes) : NULL;
}

void *front_alloc_aligned(size_t alignment, size_t size)
{
    void *block = alloc_ready_aligned(tls_owner, alignment, size, false);
    return LIKELY(block != NULL) ? block : alloc_aligned_slow(cairn_heap_default(), tls_owner, alignment, size);
}

void *front_realloc(void *block, size_t size)
{
    if (!block) {
        return front_alloc(size);
    }
    struct pool *pool = pagemap_get_near(block);
    if (LIKELY(pool != NULL) && stays(pool->block_size, size) && is_live_here(mark_of_thread(), pool, block)) {
        return block;
    }
    pool = pool_to_resize(block, NULL);
    return pool ? resize(cairn_heap_default(), pool, block, size) : NULL;
}

size_t front_usable_size(const void *block)
{
    const struct pool *pool = pagemap_get_near(block);
    if (LIKELY(pool != NULL) && pool_is_class(pool) && is_carved_block(pool, block)) {
        return pool->block_size;
    }
    return cairn_usable_size(block);
}
