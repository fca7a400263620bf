/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* owner.c: owners and their pools; the slow twins of the hot paths in owner.h.
 *
 * States of a pool of a class, and the moves between them:
 *
 *     arena ──take──> used list ──no free and no untouched block found──> full
 *       ^                │  ^                                              │
 *       │                │  └────────────── a block is freed ─────────────┘
 *       └──no block used─┘
 *
 * A pool whose last block was just given stays on the used list until the next request finds it so; the head of the
 * used list is what the direct table shows. If another pool has a free block then, the used-up one queues at the tail:
 * mostly it has free blocks when its turn comes again, and frees into it stay on the hot path meanwhile. One that is
 * found used up a second time is full; it queues at the tail when it gets a free block. With reuse_at_once a used-up pool
 * is full at once, and becomes the head when it gets a free block; in a packed heap the second, if the head has a free one
 * itself. Without return_at_once the head stays when its last
 * block is freed (the idle set), until pools run short; with reuse_at_once only if there is no other.
 *
 * Locks: see types.h; the heap's lock is taken here only around arenas and the common owner (never by the common
 * owner itself, which is used with it held). */

#include "heap/owner.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/check.h"
#include "heap/foreign.h"
#include "heap/geometry.h"
#include "heap/hole_quick.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/misuse.h"
#include "heap/owned.h"
#include "heap/remote.h"
#include "heap/sweep.h"
#include "heap/thread.h"
#include "heap/watch.h"

enum {
    CARVE_BYTES = 4096, /* untouched blocks are made free a page at a time */
    TICK_TURNS = 64     /* used-up pools passed over before the inbox and the clock are looked at again */
};

const struct block free_end = {FREE_END};

struct pool pool_empty;
struct pool pool_empty_late = {.free = FREE_END};

#define EMPTY &pool_empty
#define EMPTY8 EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY
#define EMPTY64 EMPTY8, EMPTY8, EMPTY8, EMPTY8, EMPTY8, EMPTY8, EMPTY8, EMPTY8
_Static_assert(DIRECT_COUNT == 129, "owner_none fills the whole direct table");

struct owner owner_none = {.direct = {EMPTY64, EMPTY64, EMPTY}, .mark = 1, .recent = &outbox_none};

/* ---- locks ---- */

static void lock_heap(const struct owner *owner)
{
    if (!owner->common) {
        os_lock_take(&owner->heap->lock);
    }
}

static void unlock_heap(const struct owner *owner)
{
    if (!owner->common) {
        os_lock_give(&owner->heap->lock);
    }
}

/* ---- lists ---- */

static void list_push_front(struct pool_list *list, struct pool *pool)
{
    pool->prev = NULL;
    pool->next = list->head;
    *(list->head ? &list->head->prev : &list->tail) = pool;
    list->head = pool;
}

static void list_push_back(struct pool_list *list, struct pool *pool)
{
    pool->next = NULL;
    pool->prev = list->tail;
    *(list->tail ? &list->tail->next : &list->head) = pool;
    list->tail = pool;
}

static void list_push_second(struct pool_list *list, struct pool *pool)
{
    struct pool *head = list->head;
    pool->prev = head;
    pool->next = head->next;
    *(head->next ? &head->next->prev : &list->tail) = pool;
    head->next = pool;
}

static void list_remove(struct pool_list *list, struct pool *pool)
{
    *(pool->prev ? &pool->prev->next : &list->head) = pool->next;
    *(pool->next ? &pool->next->prev : &list->tail) = pool->prev;
    pool->next = pool->prev = NULL;
}

/* Shows a pool in the direct table, to requests of the class of a list. */
static inline void show(struct owner *owner, const struct pool_list *list, struct pool *pool)
{
    unsigned last = list->direct_hi;
    for (unsigned i = list->direct_lo; i <= last; i++) {
        owner->direct[i] = pool;
    }
}

/* Shows the head of a class's used list in the direct table. Exact owners show the empty pool, so that every request
 * comes through the slow twin and is counted. */
static void publish(struct owner *owner, const struct pool *pool)
{
    const struct pool_list *list = &owner->used[pool->class_index];
    show(owner, list, list->head && !owner->exact ? list->head : owner_empty_pool(owner));
}

static void set_fast(struct owner *owner, struct pool *pool, bool fast)
{
    fast = fast && !owner->exact && !owner->common;
    atomic_store_explicit(&pool->fast, fast ? owner->mark : 0, memory_order_relaxed);
}

/* What follows when a pool came on its used list. */
static void used_added(struct owner *owner, struct pool *pool)
{
    pool->state = STATE_USED;
    set_fast(owner, pool, true);
    if (owner->used[pool->class_index].head == pool) {
        publish(owner, pool);
    }
}

static void used_add(struct owner *owner, struct pool *pool, bool front)
{
    struct pool_list *list = &owner->used[pool->class_index];
    if (front) {
        list_push_front(list, pool);
    } else {
        list_push_back(list, pool);
    }
    used_added(owner, pool);
}

/* Puts a full pool that got a free block on its used list again. Nearly hot. */
static inline void requeue(struct owner *owner, struct pool *pool)
{
    struct pool_list *list = &owner->used[pool->class_index];
    if (!owner->reuse_at_once) {
        list_push_back(list, pool);
    } else if (list->head && list->head->free != owner->end && owner->heap->packed) {
        list_push_second(list, pool);
    } else {
        list_push_front(list, pool);
    }
}

static void used_remove(struct owner *owner, struct pool *pool)
{
    struct pool_list *list = &owner->used[pool->class_index];
    bool head = list->head == pool;
    list_remove(list, pool);
    pool->state = STATE_NONE;
    set_fast(owner, pool, false);
    if (head) {
        publish(owner, pool);
    }
}

/* Has a pool of the list's class, without free blocks, untouched ones? */
static inline bool has_untouched(const struct pool_list *list, const struct pool *pool)
{
    return pool_carved(pool) < list->capacity || pool_purged(pool);
}

/* `end`: of the owner's free lists. */
static inline bool has_room(const struct pool_list *list, const struct pool *pool, const struct block *end)
{
    return pool->free != end || has_untouched(list, pool);
}

static void make_full(struct owner *owner, struct pool *pool)
{
    used_remove(owner, pool);
    pool->state = STATE_FULL;
}

void owner_set_aside(struct owner *owner, struct pool *pool)
{
    if (pool->state == STATE_USED && !has_room(&owner->used[pool->class_index], pool, owner->end)) {
        make_full(owner, pool);
    }
}

void owner_move_back(struct owner *owner, struct pool *pool)
{
    if (pool->state == STATE_USED && pool->next) {
        used_remove(owner, pool);
        used_add(owner, pool, false);
    }
}

/* Takes a pool that is on no list among the owner's. */
static inline void add_pool(struct owner *owner, struct pool *pool, bool front)
{
    owned_add(owner, pool);
    if (has_room(&owner->used[pool->class_index], pool, owner->end)) {
        used_add(owner, pool, front);
    } else {
        pool->state = STATE_FULL;
    }
}

/* Takes a pool off the owner's lists. */
static void remove_pool(struct owner *owner, struct pool *pool)
{
    if (pool->state == STATE_USED) {
        used_remove(owner, pool);
    }
    pool->state = STATE_NONE;
    if (UNLIKELY(owner->sweep.next == pool)) {
        owner->sweep.next = owned_next(owner, pool);
    }
    owned_remove(owner, pool);
}

/* ---- blocks of a pool ---- */

SELDOM void *pool_block_start(const struct pool *pool, const void *address)
{
    uint32_t index = pool_offset(pool, address) / pool->block_size;
    return index < pool_capacity(pool) ? pool_base(pool) + (size_t)index * pool->block_size : NULL;
}

/* Makes untouched blocks free, in address order: those that begin in the page where the first does, so that no other is
 * touched. */
static void carve(const struct owner *owner, struct pool *pool)
{
    if (UNLIKELY(pool_purged(pool))) {
        pool_refill(pool);
        return;
    }
    size_t size = pool->block_size;
    size_t carved = pool_carved(pool);
    size_t left = owner->used[pool->class_index].capacity - carved;
    char *first = pool_base(pool) + carved * size;
    size_t count = (CARVE_BYTES - (uintptr_t)first % CARVE_BYTES + size - 1) / size;
    if (count > left) {
        count = left;
    }
    char *last = first + (count - 1) * size;
    for (char *at = first; at < last; at += size) {
        ((struct block *)(void *)at)->next = (struct block *)(void *)(at + size);
    }
    ((struct block *)(void *)last)->next = pool->free;
    /* Should another thread fork now, the child must not carve these again: `carved` first. */
    atomic_store_explicit(&pool->carved, (uint16_t)(carved + count), memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    pool->free = (struct block *)(void *)first;
}

static SELDOM void recount(struct pool *pool)
{
    unsigned used = pool_carved(pool) - pool_purged_blocks(pool);
    for (const struct block *b = free_first(pool); b; b = free_next(b)) {
        used--;
    }
    atomic_store_explicit(&pool->used, (uint16_t)used, memory_order_relaxed);
    pool_set_kind(pool, POOL_CLASS);
}

/* The thread that owned the pool may have been stopped by a fork between two of its steps: count again. */
static inline void settle(struct pool *pool)
{
    if (UNLIKELY(pool_is_unsettled(pool))) {
        recount(pool);
    }
}

/* A block was freed twice in a row, and the list of the free ones ends with it: those behind it are lost, and count as
 * in use from now on. The block itself is free. */
static SELDOM void open_loop(struct owner *owner, struct pool *pool)
{
    int saved = errno;
    struct block *block = pool->free;
    block->next = owner->end;
    unsigned others = pool_carved(pool) - pool_purged_blocks(pool) - 1;
    atomic_store_explicit(&pool->used, (uint16_t)others, memory_order_relaxed);
    misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
    errno = saved;
}

/* ---- exact counting ---- */

SELDOM void exact_served(struct owner *owner, unsigned class_index, size_t asked, size_t given)
{
    cairn_heap *heap = owner->heap;
    if (class_index < heap->class_count && owner->asked) {
        counter_add(&owner->asked[class_index], asked);
    }
    size_t live = atomic_fetch_add_explicit(&heap->live_bytes, given, memory_order_relaxed) + given;
    size_t peak = atomic_load_explicit(&heap->live_peak, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&heap->live_peak, &peak, live, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
    }
}

SELDOM void exact_freed(cairn_heap *heap, size_t given)
{
    atomic_fetch_sub_explicit(&heap->live_bytes, given, memory_order_relaxed);
}

/* ---- pools come and go ---- */

void owner_renew(struct owner *owner)
{
    for (unsigned c = 0; c < CAIRN_CLASSES_MAX; c++) {
        owner->used[c].head = owner->used[c].tail = NULL;
    }
    owner->all = NULL;
    memset(&owner->sweep, 0, sizeof owner->sweep);
    memset(owner->idle, 0, sizeof owner->idle);
    memset(owner->wanted, 0, sizeof owner->wanted);
    memset(owner->outbox, 0, sizeof owner->outbox);
    owner->recent = &outbox_none;
    owner->outbox_bytes = 0;
    memset(&owner->common_box, 0, sizeof owner->common_box);
    for (unsigned i = 0; i < DIRECT_COUNT; i++) {
        owner->direct[i] = owner_empty_pool(owner);
    }
    remote_open(owner);
}

void owner_init(struct owner *owner, cairn_heap *heap)
{
    owner->heap = heap;
    owner->end = heap->single_end ? FREE_END : NULL;
    owner->mark = mark_of_single(owner);
    owner->exact = heap->exact;
    owner->asked = heap->exact ? meta_alloc(&heap->meta, CAIRN_CLASSES_MAX * sizeof owner->asked[0]) : NULL;
    owner->reuse_at_once = heap->geometry.reuse_at_once;
    owner_copy_classes(owner);
    owner_renew(owner);
}

void owner_copy_classes(struct owner *owner)
{
    for (unsigned c = 0; c < owner->heap->class_count; c++) {
        const struct size_class *class = &owner->heap->classes[c];
        owner->used[c].capacity = class->capacity;
        owner->used[c].direct_lo = class->direct_lo;
        owner->used[c].direct_hi = class->direct_hi;
    }
}

SELDOM struct owner *owner_add(cairn_heap *heap)
{
    os_lock_take(&heap->lock);
    struct owner *owner = meta_alloc(&heap->meta, sizeof *owner);
    if (owner) {
        owner_init(owner, heap);
        owner->next = heap->owners;
        if (heap->owners) {
            heap->owners->prev = owner;
        }
        heap->owners = owner;
    }
    os_lock_give(&heap->lock);
    return owner;
}

/* Gives a pool without used blocks back to its arena. */
static void return_pool(struct owner *owner, struct pool *pool)
{
    ASSERT(pool_used(pool) == 0);
    remove_pool(owner, pool);
    counter_add(&owner->requests[pool->class_index], pool_requests(pool));
    atomic_store_explicit(&pool->requests, 0, memory_order_relaxed);
    lock_heap(owner);
    if (owner->hooks) {
        owner->hooks->returned(owner, pool);
    }
    arena_return(pool);
    unlock_heap(owner);
}

static void set_idle(struct owner *owner, unsigned class_index, bool idle)
{
    uint64_t bit = UINT64_C(1) << (class_index % 64);
    if (idle) {
        owner->idle[class_index / 64] |= bit;
    } else {
        owner->idle[class_index / 64] &= ~bit;
    }
}

static void pool_emptied(struct owner *owner, struct pool *pool)
{
    bool stays = owner->used[pool->class_index].head == pool && !(owner->reuse_at_once && pool->next);
    if (stays && !owner->heap->geometry.return_at_once && !owner->common) {
        set_idle(owner, pool->class_index, true);
        return;
    }
    int saved = errno;
    return_pool(owner, pool);
    errno = saved;
}

static void return_if_empty(struct owner *owner, struct pool *pool)
{
    if (pool_used(pool) == 0) {
        settle(pool);
    }
    if (pool_used(pool) == 0) {
        return_pool(owner, pool);
    }
}

/* Returns the empty pools of one class. */
static void return_empty(struct owner *owner, unsigned class_index)
{
    struct pool *next;
    for (struct pool *pool = owner->used[class_index].head; pool; pool = next) {
        next = pool->next;
        return_if_empty(owner, pool);
    }
}

void owner_return_idle(struct owner *owner)
{
    for (unsigned word = 0; word < 2; word++) {
        while (owner->idle[word]) {
            unsigned class_index = word * 64 + (unsigned)__builtin_ctzll(owner->idle[word]);
            set_idle(owner, class_index, false);
            struct pool *head = owner->used[class_index].head;
            if (owner->reuse_at_once) {
                return_empty(owner, class_index); /* others may stand before it */
            } else if (head) {
                return_if_empty(owner, head);
            }
        }
    }
}

SELDOM void owner_return_empty(struct owner *owner)
{
    for (unsigned c = 0; c < owner->heap->class_count; c++) {
        return_empty(owner, c);
    }
}

/* Makes an owner that may rest one with pools: its inbox opens before anybody can see a pool of its own. */
static void set_owner(struct owner *owner, struct pool *pool)
{
    if (UNLIKELY(remote_is_closed(owner))) {
        remote_open(owner);
    }
    atomic_store_explicit(&pool->owner, owner, memory_order_release);
}

/* Gives a pool taken from an arena its class. */
static void set_class(struct owner *owner, struct pool *pool, unsigned class_index)
{
    const struct size_class *c = &owner->heap->classes[class_index];
    pool->free = owner->end;
    pool->base = (uint32_t)(uintptr_t)(pool_slot(pool) + c->first_block);
    pool->block_size = (uint16_t)c->block_size;
    atomic_store_explicit(&pool->carved, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->purged, 0, memory_order_relaxed);
    pool_arena(pool)->look[pool->slot] = 0;
    pool->class_index = (uint8_t)class_index;
    pool->state = STATE_NONE;
    atomic_store_explicit(&pool->requests, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->used, 0, memory_order_relaxed);
    pool_set_kind(pool, POOL_CLASS);
    set_owner(owner, pool);
}

/* A pool of the common owner with room, now ours and on no list; the heap's lock is held. */
static struct pool *adopt_of_class(struct owner *owner, unsigned class_index)
{
    struct owner *base = &owner->heap->base;
    struct pool *pool = base == owner ? NULL : base->used[class_index].head;
    if (!pool) {
        return NULL;
    }
    remove_pool(base, pool);
    settle(pool);
    set_owner(owner, pool);
    return pool;
}

SELDOM bool owner_adopt(struct owner *owner, struct pool *pool)
{
    struct owner *base = &owner->heap->base;
    os_lock_take(&owner->heap->lock);
    bool ours = pool_owner(pool) == base;
    if (ours) {
        remove_pool(base, pool);
        settle(pool);
        set_owner(owner, pool);
    }
    os_lock_give(&owner->heap->lock);
    if (ours) {
        add_pool(owner, pool, false);
    }
    return ours;
}

static struct pool *take_pool(struct owner *owner, unsigned class_index, bool may_grow)
{
    cairn_heap *heap = owner->heap;
    const struct size_class *c = &heap->classes[class_index];
    lock_heap(owner);
    struct pool *pool = heap->single ? NULL : adopt_of_class(owner, class_index);
    if (!pool) {
        pool = arena_take(heap, &heap->spaces[c->space], may_grow);
        if (pool) {
            set_class(owner, pool, class_index);
        }
        if (pool && owner->hooks && !owner->hooks->taken(owner, pool)) {
            arena_return(pool);
            pool = NULL;
        }
    }
    unlock_heap(owner);
    return pool;
}

/* A pool with room for a class that has none: a free one, one that another class keeps empty, or one of a new arena;
 * when memory is short, all that can be given back is, first. */
static struct pool *find_pool(struct owner *owner, unsigned class_index)
{
    if (UNLIKELY(owner->common_box.first != NULL)) {
        remote_send_common(owner); /* that may be what is looked for */
    }
    struct pool *pool = take_pool(owner, class_index, false);
    if (!pool && (owner->idle[0] | owner->idle[1])) {
        owner_return_idle(owner);
        pool = take_pool(owner, class_index, false);
    }
    if (!pool) {
        pool = take_pool(owner, class_index, true);
    }
    if (!pool) {
        lock_heap(owner);
        (void)large_give_back(owner->heap);
        unlock_heap(owner);
        pool = take_pool(owner, class_index, true);
    }
    if (pool) {
        add_pool(owner, pool, true);
    }
    return pool;
}

/* ---- requests ---- */

/* Purges what is due, also while the program takes no new pools. */
static void tick_if_due(struct owner *owner)
{
    if (heap_is_due(owner->heap)) {
        lock_heap(owner);
        large_tick(owner->heap);
        arena_tick(owner->heap);
        unlock_heap(owner);
    }
}

static void *alloc_class(struct owner *owner, unsigned class_index)
{
    owner->since_tick = 0;
    owner->wanted[class_index / 64] |= UINT64_C(1) << (class_index % 64);
    tick_if_due(owner);
    if (sweep_armed(owner)) {
        owner_sweep_tick(owner);
    }
    if (atomic_load_explicit(&owner->inbox, memory_order_relaxed)) {
        owner_drain(owner);
    }
    void *kept = foreign_take(owner, class_index);
    if (kept) {
        return kept;
    }
    for (;;) {
        const struct pool_list *list = &owner->used[class_index];
        struct pool *pool = list->head;
        if (!pool) {
            pool = find_pool(owner, class_index);
            if (!pool) {
                return NULL;
            }
        }
        settle(pool);
        if (pool->free == owner->end && has_untouched(list, pool)) {
            carve(owner, pool);
        }
        if (pool->free != owner->end) {
            publish(owner, pool);
            void *block = owner_take(pool);
            if (UNLIKELY(!block)) {
                open_loop(owner, pool);
                continue; /* the handler of misuse may have used the heap */
            }
            DEBUG_ONLY(pool_check_assert(pool));
            return block;
        }
        make_full(owner, pool);
    }
}

static void *try_serve(struct owner *owner, unsigned class_index, size_t size)
{
    void *block = alloc_class(owner, class_index);
    if (UNLIKELY(owner->exact) && block) {
        exact_served(owner, class_index, size, owner->heap->classes[class_index].block_size);
        watch_given(block, size);
    }
    return block;
}

/* Is `pool`, which may be NULL, good to serve at once? */
static inline bool is_ready(const struct pool *pool, const struct block *end)
{
    return pool && pool->free != end && !pool_is_unsettled(pool);
}

/* The head of a used list is used up; `next`, which is ready, is the head now. The old head becomes the last; those
 * between, used up for the second time, are full. */
static inline void pass_on(struct owner *owner, struct pool_list *list, struct pool *spent, struct pool *next)
{
    next->prev = NULL;
    list->head = next;
    show(owner, list, next);
    struct pool *full = owner->reuse_at_once ? spent : spent->next;
    for (; full != next; full = full->next) {
        full->state = STATE_FULL;
        atomic_store_explicit(&full->fast, 0, memory_order_relaxed);
    }
    if (!owner->reuse_at_once) {
        spent->prev = list->tail;
        spent->next = NULL;
        list->tail->next = spent;
        list->tail = spent;
        sweep_arm(owner, true);
    }
}

/* The next pool after one that is used up, past others that are; NULL if there is none. */
static inline struct pool *next_with_room(const struct pool_list *list, const struct pool *spent,
                                          const struct block *end)
{
    struct pool *pool = spent->next;
    while (pool && !has_room(list, pool, end)) {
        pool = pool->next;
    }
    return pool;
}

/* Is it time to look at the inbox and at what waits to be purged? */
static inline bool must_look(struct owner *owner)
{
    return ++owner->since_tick >= TICK_TURNS || atomic_load_explicit(&owner->inbox, memory_order_relaxed);
}

/* A block of a class if its first or second pool has one that is free; NULL also if there is something to look at.
 * Nearly hot, for requests of which the direct table knows nothing. */
static inline void *serve_ready(struct owner *owner, unsigned class_index)
{
    struct pool_list *list = &owner->used[class_index];
    struct pool *pool = list->head;
    if (!pool || owner->exact) {
        return NULL;
    }
    const struct block *end = owner->end;
    struct pool *spent = pool->free != end ? NULL : pool;
    pool = spent ? next_with_room(list, spent, end) : pool;
    if (!is_ready(pool, end) || (spent && has_untouched(list, spent)) || must_look(owner)) {
        return NULL;
    }
    if (spent) {
        pass_on(owner, list, spent, pool);
    }
    return owner_take(pool);
}

void *owner_serve(struct owner *owner, unsigned class_index, size_t size)
{
    void *block = serve_ready(owner, class_index);
    if (LIKELY(block)) {
        return block;
    }
    block = try_serve(owner, class_index, size);
    if (UNLIKELY(!block)) {
        atomic_fetch_add_explicit(&owner->heap->requests_failed, 1, memory_order_relaxed);
        errno = ENOMEM;
    }
    return block;
}

/* In a region that has no room for an arena any more, holes may still serve. */
static void *serve_in_region(struct owner *owner, unsigned class_index, size_t size)
{
    void *block = try_serve(owner, class_index, size);
    return block ? block : large_alloc(owner->heap, size, 1, NULL);
}

/* One of the first few requests of a class that has no pool; NULL if they were not so few, or no hole serves. */
static void *serve_few(struct owner *owner, unsigned class_index, size_t size)
{
    cairn_heap *heap = owner->heap;
    uint8_t left = atomic_load_explicit(&heap->few[class_index], memory_order_relaxed);
    if (owner->common || left == 0 ||
        !atomic_compare_exchange_strong_explicit(&heap->few[class_index], &left, (uint8_t)(left - 1),
                                                 memory_order_relaxed, memory_order_relaxed)) {
        return NULL;
    }
    return large_try(heap, size);
}

/* The slow twin's slow rest. */
static __attribute__((noinline)) void *serve_slowly(struct owner *owner, size_t size)
{
    if (owner == &owner_none) {
        return thread_alloc(cairn_heap_default(), size);
    }
    if (size >= owner->heap->pooled_end) {
        return large_alloc(owner->heap, size, 1, NULL);
    }
    unsigned class_index = class_of(owner->heap, size);
    if (UNLIKELY(owner->foreign != NULL)) {
        foreign_hide(owner, class_index);
    }
    if (owner->heap->few_from_holes && !owner->used[class_index].head) {
        void *block = serve_few(owner, class_index, size);
        if (block) {
            return block;
        }
    }
    bool holes_too = UNLIKELY(owner->heap->meta.region != NULL) && !owner->common && !owner->pools_only;
    return holes_too ? serve_in_region(owner, class_index, size) : owner_serve(owner, class_index, size);
}

/* A block cut from what is left of a hole, or the slow rest. */
static __attribute__((noinline)) void *serve_cut(struct owner *owner, size_t size)
{
    void *block = quick_cut(&owner->heap->holes, size);
    return LIKELY(block != NULL) ? block : serve_slowly(owner, size);
}

/* A kept block for a size that no pool serves, or the slow rest. Nearly hot, and a function of its own: what it calls, it
 * calls last, so that neither it nor the one before needs a stack frame. */
static __attribute__((noinline)) void *serve_kept(struct owner *owner, size_t size)
{
    const cairn_heap *heap = owner->heap;
    if (!heap || !heap->holes.quick || size < heap->pooled_end || size > QUICK_CUT) {
        return serve_slowly(owner, size);
    }
    void *kept = quick_take_kept(heap->holes.quick, size);
    return LIKELY(kept != NULL) ? kept : serve_cut(owner, size);
}

/* The common case is a pool that has just been used up and another on its list with a free block. All else, and once
 * in a while what waits to be purged and the inbox, is for the slow rest. Nearly hot: kept short. */
static inline __attribute__((always_inline)) void *alloc_slow(struct owner *owner, size_t size, bool late)
{
    const struct block *end = late ? FREE_END : NULL;
    ASSERT(owner->end == end);
    if (size > DIRECT_MAX) {
        struct pool *above = pool_above(owner, size);
        void *block = above ? owner_pop(above, late) : NULL;
        return LIKELY(block) ? block : serve_kept(owner, size);
    }
    struct pool *spent = owner->direct[(size + 7) >> 3];
    struct pool_list *list = cpu_kept(&owner->used[spent->class_index]);
    struct pool *pool = next_with_room(list, spent, end);
    if (!pool) {
        return serve_kept(owner, size);
    }
    if (!is_ready(pool, end) || has_room(list, spent, end) || must_look(owner)) {
        return serve_slowly(owner, size);
    }
    pass_on(owner, list, spent, pool);
    void *block = owner_pop(pool, late);
    return late && UNLIKELY(!block) ? serve_slowly(owner, size) : block;
}

void *owner_alloc_slow(struct owner *owner, size_t size)
{
    return alloc_slow(owner, size, false);
}

void *owner_alloc_slow_late(struct owner *owner, size_t size)
{
    return alloc_slow(owner, size, true);
}

/* ---- frees ---- */

void owner_free_own(struct owner *owner, struct pool *pool, void *address)
{
    settle(pool);
    DEBUG_ONLY(pool_check_assert(pool));
    struct block *block = address;
    block->next = pool->free;
    pool->free = block;
    bool emptied = cpu_decrement16(&pool->used);
    if (owner->exact) {
        exact_freed(owner->heap, pool->block_size);
    }
    if (pool->state == STATE_FULL) {
        requeue(owner, pool);
        used_added(owner, pool);
        sweep_arm(owner, true);
    }
    if (emptied) {
        pool_emptied(owner, pool);
    }
}

void owner_pool_emptied(struct owner *owner, void *address, struct pool *pool)
{
    if (LIKELY(pool_used(pool) == 0)) {
        pool_emptied(owner, pool);
        return;
    }
    /* All of its blocks were free, and the list of them has a cycle now. */
    atomic_store_explicit(&pool->used, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->carved, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->purged, 0, memory_order_relaxed);
    pool->free = owner->end;
    misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", address, owner->heap);
}

void owner_pool_emptied_late(struct owner *owner, void *address, struct pool *pool)
{
    const struct block *block = address;
    if (UNLIKELY(block->next == block) && pool_used(pool) == 0) {
        open_loop(owner, pool);
    } else {
        owner_pool_emptied(owner, address, pool);
    }
}

void owner_drain(struct owner *owner)
{
    struct block *chain = remote_take(owner);
    if (chain) {
        remote_route(owner, chain, NULL);
    }
}

/* Beyond the blocks that were ever carved. */
static bool is_untouched(const struct pool *pool, const void *address)
{
    return pool_offset(pool, address) >= (size_t)pool_carved(pool) * pool->block_size;
}

/* Free, in a page that was purged. */
static bool is_purged(const struct pool *pool, const void *address)
{
    return pool_block_is_purged(pool, pool_offset(pool, address) / pool->block_size);
}

struct pool *pool_of_live(const char *call, const void *address, cairn_heap *expected)
{
    struct pool *pool = pagemap_get(address);
    enum pool_kind kind = pool ? pool_kind_of(pool) : POOL_SLOT;
    cairn_misuse_kind misuse;
    if (!pool) {
        misuse = large_find(address).heap ? CAIRN_MISUSE_INTERIOR : CAIRN_MISUSE_FOREIGN;
    } else if (kind == POOL_SLOT) {
        misuse = CAIRN_MISUSE_DOUBLE_FREE;
    } else if (expected && pool_owner(pool)->heap != expected) {
        misuse = CAIRN_MISUSE_WRONG_HEAP;
    } else if (kind == POOL_SEGMENT) {
        if (large_check(pool, address, &misuse)) {
            return pool;
        }
    } else if (kind == POOL_CLASS && is_untouched(pool, address)) {
        misuse = CAIRN_MISUSE_FOREIGN;
    } else if (kind == POOL_CLASS ? pool_offset(pool, address) % pool->block_size != 0
                                  : huge_of_record(pool)->base != address) {
        misuse = CAIRN_MISUSE_INTERIOR;
    } else if (kind == POOL_CLASS && is_purged(pool, address)) {
        misuse = CAIRN_MISUSE_DOUBLE_FREE;
    } else {
        return pool;
    }
    misuse_report(misuse, call, address, expected);
    return NULL;
}

/* Frees into a pool of this owner, unless the block can be seen to be free already. */
static void free_own_checked(struct owner *owner, struct pool *pool, void *address)
{
    if ((void *)pool->free == address || pool_used(pool) == 0) {
        misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", address, owner->heap);
    } else {
        owner_free_own(owner, pool, address);
    }
}

/* Frees a block of another owner. The thread gets an owner of its own for this if it has none: it gathers such blocks
 * in its outbox. */
static void free_remote(struct owner *owner, struct pool *pool, void *address)
{
    if (owner == &owner_none) {
        cairn_heap *heap = pool_owner(pool)->heap;
        owner = heap->single ? NULL : thread_owner(heap);
    }
    remote_free(owner, pool, address);
}

void owner_free_live(struct owner *owner, struct pool *pool, void *address)
{
    int saved = errno;
    watch_freed(address);
    if (!pool_is_class(pool)) {
        large_free(pool, address);
    } else if (pool_owner(pool) == owner) {
        free_own_checked(owner, pool, address);
    } else {
        free_remote(owner, pool, address);
    }
    errno = saved;
}

/* A full pool of an owner that is not exact has a free block again: back on its used list. Nearly hot: kept short. */
static inline void refill(struct owner *owner, struct pool *pool)
{
    requeue(owner, pool);
    if (!pool->prev) {
        show(owner, &owner->used[pool->class_index], pool);
    }
    pool->state = STATE_USED;
    atomic_store_explicit(&pool->fast, owner->mark, memory_order_relaxed);
    sweep_arm(owner, true);
}

static __attribute__((noinline)) void free_slowly(struct owner *owner, void *address)
{
    if (!address) {
        return;
    }
    int saved = errno;
    struct pool *pool = pool_of_live("free", address, NULL);
    if (pool) {
        owner_free_live(owner, pool, address);
    }
    errno = saved;
}

/* Is it the start of a block of this pool that was ever carved? */
static inline bool is_carved(const struct pool *pool, const void *address)
{
    uint32_t offset = pool_offset(pool, address);
    return offset % pool->block_size == 0 && offset / pool->block_size < pool_carved(pool);
}

/* A block of another thread's pool that may go into the outbox without a closer look. */
static inline bool is_sound(const struct pool *pool, const void *address)
{
    return !pool_purged(pool) && is_carved(pool, address);
}

/* A block of one's own full pool. */
static inline bool free_to_full(struct owner *owner, struct pool *pool, void *address)
{
    if (pool->state != STATE_FULL || pool_is_unsettled(pool) || owner->exact || owner->common ||
        !is_carved(pool, address)) {
        return false;
    }
    struct block *block = address;
    block->next = pool->free;
    pool->free = block;
    refill(owner, pool);
    if (UNLIKELY(cpu_decrement16(&pool->used))) {
        pool_emptied(owner, pool);
    }
    return true;
}

/* A block that quick_keep() did not keep, or one that it replaces: true then. */
static __attribute__((noinline)) bool free_to_holes(const struct hole_space *holes, struct pool *pool, void *address)
{
    int saved = errno;
    void *gone = quick_replace(holes, address);
    large_free(gone == address ? pool : pagemap_get(gone), gone);
    errno = saved;
    return gone != address;
}

/* A block of a hole in a heap that has quick lists. Nearly hot. */
static inline bool free_to_quick(struct owner *owner, struct pool *pool, void *address)
{
    const struct hole_space *holes = &owner->heap->holes;
    const struct segment *segment = segment_of_record(pool);
    if (!holes->quick || pool_kind_of(pool) != POOL_SEGMENT || !block_checks(holes, segment, address)) {
        return false;
    }
    if (LIKELY(quick_keep(holes, address)) || free_to_holes(holes, pool, address)) {
        sweep_arm(owner, true);
    }
    return true;
}

/* A block of another thread's pool that the recent chain of the outbox is for. */
static inline bool free_to_recent(struct owner *owner, const struct owner *to, const struct pool *pool, void *address)
{
    return LIKELY(to == owner->recent->to) && LIKELY(is_sound(pool, address)) &&
           LIKELY(remote_free_ready(owner, pool, address));
}

/* One that another chain is for, or that is the first on its way to that thread. */
static inline bool free_to_outbox(struct owner *owner, struct pool *pool, void *address)
{
    struct outbox *box = remote_find(owner, pool, address);
    if (!box || !is_sound(pool, address)) {
        return false;
    }
    remote_join(owner, box, pool, address);
    return true;
}

/* One that an ended thread left, by a thread that keeps such: of the common owner's, as `to` is. */
static inline bool free_to_kept(struct owner *owner, const struct owner *to, const struct pool *pool, void *address)
{
    return owner->foreign && to->heap == owner->heap && !owner->exact && pool_is_class(pool) &&
           is_sound(pool, address) && foreign_keep_one(owner, pool, address);
}

/* One that the recent chain is not for. */
static inline bool free_to_other(struct owner *owner, const struct owner *to, struct pool *pool, void *address)
{
    bool left = to && to->common;
    return left ? free_to_kept(owner, to, pool, address) : free_to_outbox(owner, pool, address);
}

bool owner_free_quick(struct owner *owner, void *address, struct pool *pool)
{
    const struct owner *to = pool_owner(pool);
    if (to == owner) {
        return free_to_full(owner, pool, address) || free_to_quick(owner, pool, address);
    }
    return free_to_recent(owner, to, pool, address) || free_to_other(owner, to, pool, address);
}

static __attribute__((noinline)) void free_elsewhere(void *address, struct pool *pool, struct owner *owner)
{
    if (!free_to_other(owner, pool_owner(pool), pool, address)) {
        free_slowly(owner, address);
    }
}

/* A block of one's own that is in no full pool. A function of its own: the nearly hot one needs no stack frame. */
static __attribute__((noinline)) void free_own(void *address, struct pool *pool, struct owner *owner)
{
    if (!free_to_quick(owner, pool, address)) {
        free_slowly(owner, address);
    }
}

static inline __attribute__((always_inline)) void free_slow(struct owner *owner, struct pool *pool, void *address)
{
    const struct owner *to = pool_owner(pool);
    if (to == owner) {
        if (UNLIKELY(!free_to_full(owner, pool, address))) {
            free_own(address, pool, owner);
        }
    } else if (UNLIKELY(!free_to_recent(owner, to, pool, address))) {
        free_elsewhere(address, pool, owner);
    }
}

void owner_free_slow(struct owner *owner, struct pool *pool, void *address)
{
    free_slow(owner, pool, address);
}

void owner_free_slow_of_thread(void *address, struct pool *pool)
{
    free_slow(tls_owner, pool, address);
}

void owner_free_far(struct owner *owner, void *address)
{
    struct pool *pool = pagemap_get_far(address);
    if (LIKELY(pool)) {
        owner_free_in(owner, pool, address);
    } else {
        free_slowly(owner, address);
    }
}

/* ---- hand-over ---- */

SELDOM void owner_give_to_base(struct pool *pool)
{
    struct owner *base = &pool_arena(pool)->heap->base;
    atomic_store_explicit(&pool->fast, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->owner, base, memory_order_release);
    add_pool(base, pool, false);
}

SELDOM void owner_hand_over(struct owner *owner)
{
    for (struct pool *pool; (pool = owned_first(owner));) {
        remove_pool(owner, pool);
        owner_give_to_base(pool);
    }
}
