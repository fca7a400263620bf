/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* owner.h: requests and frees by the one who owns pools: the hot paths, and their slow twins in owner.c.
 *
 * Hot: a request up to DIRECT_MAX pops the newest free block of the pool in the direct table; a free whose pool has
 * this owner's mark in its `fast` field pushes the block. Everything else (no free block, another owner's pool, a full
 * pool, runs, huge blocks, exact heaps, misuse, NULL) fails one of the hot path's tests and goes to the slow twin.
 *
 * An owner is used by its thread only; see types.h for the two exceptions, under locks. */

#ifndef CAIRN_HEAP_OWNER_H
#define CAIRN_HEAP_OWNER_H

#include "heap/debug.h"
#include "heap/pagemap.h"
#include "heap/types.h"
#include "os/cpu.h"

/* The owner of a thread that has none yet: its direct table leads to the empty pool, its heap is the default heap. */
extern struct owner owner_none;

/* Free lists end in one of two ways, by which a block that is freed twice in a row is found. Mostly with NULL: then each
 * free looks whether the block is the newest free one already. Those of *late* heaps, single ones (see
 * heap_look_at_frees), end with a block that links to itself. So does a block freed twice in a row: the request that is
 * to get it finds it by the test for the end of the list, and the free need not look. */
extern const struct block free_end;
#define FREE_END ((struct block *)(uintptr_t)&free_end)

/* Pools with no free block, never on any list: the second is of late heaps. */
extern struct pool pool_empty;
extern struct pool pool_empty_late;

static inline struct pool *owner_empty_pool(const struct owner *owner)
{
    return owner->end ? &pool_empty_late : &pool_empty;
}

static inline bool is_free_end(const struct block *block)
{
    return !block || block == FREE_END;
}

/* The free blocks of a pool one after the other, for who only reads: the first, and the next one; NULL: no more. A block
 * freed twice in a row is the last. */
static inline struct block *free_first(const struct pool *pool)
{
    return is_free_end(pool->free) ? NULL : pool->free;
}

static inline struct block *free_next(const struct block *block)
{
    return is_free_end(block->next) || block->next == block ? NULL : block->next;
}

/* The slow twins. owner_alloc_slow returns NULL with errno ENOMEM; the second is that of late heaps. `pool` is what the
 * page map says of the block. */
void *owner_alloc_slow(struct owner *owner, size_t size);
void *owner_alloc_slow_late(struct owner *owner, size_t size);
void owner_free_slow(struct owner *owner, struct pool *pool, void *block);

/* The same by the thread's owner of the default heap; its arguments are where the hot path of malloc's front has them. */
void owner_free_slow_of_thread(void *block, struct pool *pool);

/* Frees a block whose page is not near (pagemap.h), or what is no block. */
void owner_free_far(struct owner *owner, void *address);

/* The first part of owner_free_slow(), nearly hot: a block of one's own full pool, or of a thread's for whose blocks the
 * outbox has a chain. False: it is none, or more is to be looked at. */
bool owner_free_quick(struct owner *owner, void *block, struct pool *pool);

/* What follows when the last block in use of a pool was freed, or, a misuse, one more than were in use. errno is
 * preserved. The second, for late heaps, looks first whether the block was freed twice in a row: another is in use
 * then. */
void owner_pool_emptied(struct owner *owner, void *block, struct pool *pool);
void owner_pool_emptied_late(struct owner *owner, void *block, struct pool *pool);

/* The start of the block an address of a class pool lies in, NULL for the tail beyond the last block. */
void *pool_block_start(const struct pool *pool, const void *address);

/* A block of a pool, NULL if it has no free one, or (`late`, of a late heap; a constant) if the next was freed twice in a
 * row. Hot path. */
static inline void *owner_pop(struct pool *pool, bool late)
{
    struct block *block = cpu_returned(pool->free);
    if (!late && UNLIKELY(block == NULL)) {
        return NULL;
    }
    if (late && UNLIKELY(CPU_POINTS_TO(block->next, block))) {
        return NULL;
    }
    ASSERT(block != FREE_END);
    pool->free = block->next;
    cpu_increment16(&pool->used);
    cpu_increment64(&pool->requests);
    return block;
}

/* The same for any heap, of a pool that has a free block; NULL if the next was freed twice in a row. */
static inline void *owner_take(struct pool *pool)
{
    return owner_pop(pool, true);
}

/* A block for a request of at most DIRECT_MAX bytes that is ready; NULL: the slow twin is to serve it. Hot path. */
static inline void *owner_alloc_ready(struct owner *owner, size_t size, bool late)
{
    return owner_pop(owner->direct[(size + 7) >> 3], late);
}

/* Hot path. */
static inline void *owner_alloc(struct owner *owner, size_t size, bool late)
{
    if (LIKELY(size <= DIRECT_MAX)) {
        void *block = owner_alloc_ready(owner, size, late);
        if (LIKELY(block != NULL)) {
            return block;
        }
    }
    return late ? owner_alloc_slow_late(owner, size) : owner_alloc_slow(owner, size);
}

/* The mark of an owner of a single heap, and that of the thread's owner of the default heap. Hot path. */
static inline uintptr_t mark_of_single(const struct owner *owner)
{
    return (uintptr_t)owner;
}

static inline uintptr_t mark_of_thread(void)
{
    return cpu_thread();
}

/* May the owner of this mark free into the pool without further thought? Hot path. */
static inline bool pool_may_free_fast(const struct pool *pool, uintptr_t mark)
{
    return cpu_holds(&pool->fast, mark);
}

/* What became of a block: freed; freed and perhaps the last in use of its pool, so that owner_pool_emptied() follows;
 * not freed, a slow twin is to look at it. */
enum owner_freed { OWNER_FREED, OWNER_FREED_LAST, OWNER_NOT_FREED };

/* Frees a block of a pool that holds the mark of the caller's owner; of a `late` heap (a constant) without a look whether
 * it was freed just now, but in debug builds. Hot path. */
static inline enum owner_freed owner_push(void *address, struct pool *pool, bool late)
{
    struct block *block = address;
    struct block *newest = pool->free;
    if ((!late && UNLIKELY(block == newest)) ||
        !DEBUG_HOLDS(block != newest && pool_block_start(pool, address) == address)) {
        return OWNER_NOT_FREED;
    }
    block->next = newest;
    atomic_signal_fence(memory_order_release); /* a fork in another thread must not see the list without it */
    pool->free = block;
    return UNLIKELY(cpu_decrement16(&pool->used)) ? OWNER_FREED_LAST : OWNER_FREED;
}

/* Frees a block of a pool that is ready for the owner of this mark. Hot path. */
static inline enum owner_freed owner_free_ready(uintptr_t mark, void *address, struct pool *pool)
{
    return LIKELY(pool_may_free_fast(pool, mark)) ? owner_push(address, pool, false) : OWNER_NOT_FREED;
}

/* Frees a block whose pool is known, with a look whether it was freed just now. */
static inline void owner_free_in(struct owner *owner, struct pool *pool, void *address)
{
    enum owner_freed freed = owner_free_ready(owner->mark, address, pool);
    if (UNLIKELY(freed == OWNER_FREED_LAST)) {
        owner_pool_emptied(owner, address, pool);
    } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
        owner_free_slow(owner, pool, address);
    }
}

/* The same for an owner of a single heap. Hot path. */
static inline void owner_free_single_in(struct owner *owner, struct pool *pool, void *address, bool late)
{
    bool ready = LIKELY(pool_may_free_fast(pool, mark_of_single(owner)));
    enum owner_freed freed = ready ? owner_push(address, pool, late) : OWNER_NOT_FREED;
    if (UNLIKELY(freed == OWNER_FREED_LAST)) {
        if (late) {
            owner_pool_emptied_late(owner, address, pool);
        } else {
            owner_pool_emptied(owner, address, pool);
        }
    } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
        owner_free_slow(owner, pool, address);
    }
}

/* Frees a block by an owner of a single heap. Hot path. */
static inline void owner_free_single(struct owner *owner, void *address, bool late)
{
    struct pool *pool = pagemap_get_near(address);
    if (UNLIKELY(!pool)) {
        owner_free_far(owner, address);
        return;
    }
    owner_free_single_in(owner, pool, address, late);
}

/* Adds to a counter that one thread at a time writes and any may read. */
static inline void counter_add(_Atomic(uint64_t) *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static inline unsigned pool_used(const struct pool *pool)
{
    return atomic_load_explicit(&pool->used, memory_order_relaxed);
}

static inline uint64_t pool_requests(const struct pool *pool)
{
    return atomic_load_explicit(&pool->requests, memory_order_relaxed);
}

static inline unsigned pool_carved(const struct pool *pool)
{
    return atomic_load_explicit(&pool->carved, memory_order_relaxed);
}

static inline struct owner *pool_owner(const struct pool *pool)
{
    return atomic_load_explicit(&pool->owner, memory_order_acquire);
}

/* Does it serve blocks of a class? */
static inline bool pool_is_class(const struct pool *pool)
{
    return atomic_load_explicit(&pool->kind, memory_order_relaxed) >= POOL_CLASS;
}

/* Settled or not, a pool of a class is POOL_CLASS. */
static inline enum pool_kind pool_kind_of(const struct pool *pool)
{
    enum pool_kind kind = (enum pool_kind)atomic_load_explicit(&pool->kind, memory_order_relaxed);
    return kind == POOL_UNSETTLED ? POOL_CLASS : kind;
}

static inline void pool_set_kind(struct pool *pool, enum pool_kind kind)
{
    atomic_store_explicit(&pool->kind, (uint8_t)kind, memory_order_relaxed);
}

/* Blocks that a pool of a class has room for. */
static inline unsigned pool_capacity(const struct pool *pool)
{
    return pool_arena(pool)->heap->classes[pool->class_index].capacity;
}

/* The record of a block that a public call named, or NULL after a report of misuse (what can be told without the
 * owner: foreign, free, interior, of another heap than `expected` if that is not NULL). */
struct pool *pool_of_live(const char *call, const void *block, cairn_heap *expected);

/* Makes a spare owner as new; its inbox is open. What other threads may still read of it through an old pointer (heap,
 * common, the inbox) is not touched, but for the atomic opening. */
void owner_renew(struct owner *owner);

/* Sets up a new owner, in zeroed memory, for a heap. */
void owner_init(struct owner *owner, cairn_heap *heap);

/* Copies into its lists what an owner keeps of its heap's classes. */
void owner_copy_classes(struct owner *owner);

/* Adds an owner beside `base` to a single heap, used under the same lock, for blocks that are to have pools of their
 * own. NULL if there is no memory. Lives as long as the heap. */
struct owner *owner_add(cairn_heap *heap);

/* A block of one class for a request of `size` bytes; NULL and ENOMEM if neither pools nor memory are left. */
void *owner_serve(struct owner *owner, unsigned class_index, size_t size);

/* Frees a live block of any pool, run or mapping. errno is preserved. */
void owner_free_live(struct owner *owner, struct pool *pool, void *block);

/* Frees a block into a pool that this owner owns. */
void owner_free_own(struct owner *owner, struct pool *pool, void *block);

/* Makes a pool of the heap's common owner this owner's. False if it has another owner by now. Takes the heap's lock. */
bool owner_adopt(struct owner *owner, struct pool *pool);

/* Takes in what other threads freed. */
void owner_drain(struct owner *owner);

/* Returns every empty pool this owner keeps. */
void owner_return_idle(struct owner *owner);

/* Returns every empty pool, of all classes. */
void owner_return_empty(struct owner *owner);

/* Makes a used-up pool full, so that the next free into it is noticed. */
void owner_set_aside(struct owner *owner, struct pool *pool);

/* Makes a pool the last of its used list. */
void owner_move_back(struct owner *owner, struct pool *pool);

/* Gives all pools to the heap's common owner. The heap's lock is held. */
void owner_hand_over(struct owner *owner);

/* Gives one pool, on no list, to the common owner. The heap's lock is held. */
void owner_give_to_base(struct pool *pool);

/* With `exact`: counts a request served, a block freed. */
void exact_served(struct owner *owner, unsigned class_index, size_t asked, size_t given);
void exact_freed(cairn_heap *heap, size_t given);

#endif
