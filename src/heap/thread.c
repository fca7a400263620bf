/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* thread.c: see thread.h. */

#include "heap/thread.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/envelope.h"
#include "heap/foreign.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/registry.h"
#include "heap/remote.h"
#include "heap/watch.h"

_Thread_local struct owner *tls_owner TLS_HOT = &owner_none;
_Thread_local size_t tls_number TLS_HOT;

/* The owners this thread has, by heap id: open addressing, grown at half full. Ids are never reused, so entries of
 * destroyed heaps are harmless; they go at the next growth. The default heap's owner is here too, for thread exit. */
struct owner_entry {
    uint64_t heap_id; /* 0: empty */
    struct owner *owner;
};

enum { TABLE_START = 16 };

static _Thread_local struct {
    struct owner_entry *entries;
    size_t capacity;
    size_t count;
    bool ending; /* the thread's owners were handed over: it gets no new ones */
    struct owner_entry start[TABLE_START];
} tls_table TLS_MODEL;

/* ---- table ---- */

static struct owner_entry *table_slot(struct owner_entry *entries, size_t capacity, uint64_t id)
{
    size_t i = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (capacity - 1);
    while (entries[i].heap_id && entries[i].heap_id != id) {
        i = (i + 1) & (capacity - 1);
    }
    return &entries[i];
}

static void table_free(void)
{
    if (tls_table.entries && tls_table.entries != tls_table.start) {
        os->release(tls_table.entries, tls_table.capacity * sizeof(struct owner_entry));
    }
    tls_table.entries = NULL;
    tls_table.capacity = 0;
    tls_table.count = 0;
}

static size_t live_entries(void)
{
    size_t live = 0;
    for (size_t i = 0; i < tls_table.capacity; i++) {
        live += tls_table.entries[i].heap_id && registry_find(tls_table.entries[i].heap_id);
    }
    return live;
}

/* Moves the entries of live heaps to a new table. The registry's lock is held. */
static bool table_move(size_t capacity)
{
    size_t page = os_page_size();
    while (capacity * sizeof(struct owner_entry) < page) {
        capacity *= 2;
    }
    struct owner_entry *entries = os->reserve(capacity * sizeof *entries, page);
    if (!entries || !os->commit(entries, capacity * sizeof *entries)) {
        if (entries) {
            os->release(entries, capacity * sizeof *entries);
        }
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < tls_table.capacity; i++) {
        const struct owner_entry *e = &tls_table.entries[i];
        if (e->heap_id && registry_find(e->heap_id)) {
            *table_slot(entries, capacity, e->heap_id) = *e;
            count++;
        }
    }
    table_free();
    tls_table.entries = entries;
    tls_table.capacity = capacity;
    tls_table.count = count;
    return true;
}

/* Makes room for one more entry: at half full the table moves, to one twice the size if the live entries ask for it.
 * The registry's lock is held, so that dead entries can be told. */
static bool table_grow(void)
{
    if (!tls_table.entries) {
        tls_table.entries = tls_table.start;
        tls_table.capacity = TABLE_START;
    }
    if (tls_table.count < tls_table.capacity / 2) {
        return true;
    }
    return table_move(live_entries() < tls_table.capacity / 4 ? tls_table.capacity : tls_table.capacity * 2);
}

/* ---- numbers ---- */

/* Bit n: a thread has number n. Under the registry's lock. */
static uint64_t numbers[THREAD_NUMBERS / 64] = {1};

static void number_take(void)
{
    for (size_t word = 0; word < THREAD_NUMBERS / 64 && !tls_number; word++) {
        if (~numbers[word]) {
            unsigned bit = (unsigned)__builtin_ctzll(~numbers[word]);
            numbers[word] |= UINT64_C(1) << bit;
            tls_number = word * 64 + bit;
        }
    }
}

static void number_give(void)
{
    if (tls_number) {
        numbers[tls_number / 64] &= ~(UINT64_C(1) << (tls_number % 64));
        tls_number = 0;
    }
}

/* Those of threads that are not in the child of a fork. */
static void numbers_of_gone_give(void)
{
    memset(numbers, 0, sizeof numbers);
    numbers[0] = 1;
    numbers[tls_number / 64] |= UINT64_C(1) << (tls_number % 64);
}

/* Nobody has a number there but, if `but_own`, the calling thread. */
static void by_thread_clear(cairn_heap *heap, bool but_own)
{
    for (size_t i = 0; i < THREAD_NUMBERS; i++) {
        if (!but_own || i != tls_number) {
            heap->by_thread[i] = &owner_none;
        }
    }
}

SELDOM void thread_start_heap(cairn_heap *heap)
{
    by_thread_clear(heap, false);
}

/* ---- owners come and go ---- */

static struct owner *owner_new(cairn_heap *heap)
{
    struct owner *owner = heap->spare_owners;
    if (owner) {
        heap->spare_owners = owner->next;
        owner_renew(owner);
    } else {
        owner = meta_alloc(&heap->meta, sizeof *owner);
        if (!owner) {
            return NULL;
        }
        owner_init(owner, heap);
    }
    owner->mark = heap->mark + mark_of_thread();
    owner->prev = NULL;
    owner->next = heap->owners;
    if (heap->owners) {
        heap->owners->prev = owner;
    }
    heap->owners = owner;
    heap->owner_count++;
    return owner;
}

static void pass_count(_Atomic(uint64_t) *from, _Atomic(uint64_t) *to)
{
    counter_add(to, atomic_load_explicit(from, memory_order_relaxed));
    atomic_store_explicit(from, 0, memory_order_relaxed);
}

/* Adds an ended owner's counters to the common owner's and keeps its record. The heap's lock is held. */
static SELDOM void owner_retire(struct owner *owner)
{
    cairn_heap *heap = owner->heap;
    for (unsigned c = 0; c < heap->class_count; c++) {
        pass_count(&owner->requests[c], &heap->base.requests[c]);
        if (owner->asked && heap->base.asked) {
            pass_count(&owner->asked[c], &heap->base.asked[c]);
        }
    }
    pass_count(&owner->remote_frees, &heap->base.remote_frees);
    envelope_give_all(owner);
    *(owner->prev ? &owner->prev->next : &heap->owners) = owner->next;
    if (owner->next) {
        owner->next->prev = owner->prev;
    }
    owner->next = heap->spare_owners;
    heap->spare_owners = owner;
    heap->owner_count--;
}

/* Sends home what an owner holds of others and gives its pools to the common owner; its inbox is closed then. */
static SELDOM void owner_give_all(struct owner *owner)
{
    cairn_heap *heap = owner->heap;
    remote_flush(owner);
    foreign_send(owner, owner, NULL);
    owner_drain(owner);
    owner_return_idle(owner);
    os_lock_take(&heap->lock);
    owner_hand_over(owner);
    remote_route(NULL, remote_close(owner), heap);
    os_lock_give(&heap->lock);
}

/* The thread's part in one heap is over. */
static void owner_end(struct owner *owner)
{
    owner_give_all(owner);
    os_lock_take(&owner->heap->lock);
    owner_retire(owner);
    os_lock_give(&owner->heap->lock);
}

SELDOM void thread_rest(void)
{
    struct owner *owner = tls_owner;
    int saved = errno;
    if (owner != &owner_none) {
        owner_give_all(owner);
    }
    errno = saved;
}

SELDOM void thread_exchange(void)
{
    struct owner *owner = tls_owner;
    int saved = errno;
    remote_flush(owner); /* nothing of owner_none's, as below */
    owner_drain(owner);
    errno = saved;
}

struct owner *thread_owner_look_up(const cairn_heap *heap)
{
    if (!tls_table.entries) {
        return NULL;
    }
    return table_slot(tls_table.entries, tls_table.capacity, heap->id)->owner;
}

static struct owner *make_owner(cairn_heap *heap)
{
    if (tls_table.ending) {
        return NULL;
    }
    registry_lock();
    struct owner *owner = NULL;
    if (table_grow()) {
        os_lock_take(&heap->lock);
        owner = owner_new(heap);
        os_lock_give(&heap->lock);
    }
    if (owner) {
        struct owner_entry *entry = table_slot(tls_table.entries, tls_table.capacity, heap->id);
        entry->heap_id = heap->id;
        entry->owner = owner;
        tls_table.count++;
        number_take();
        if (tls_number) {
            heap->by_thread[tls_number] = owner;
        }
    }
    registry_unlock();
    if (owner) {
        if (heap->is_default) {
            tls_owner = owner;
        }
        (void)os_thread_watch(&tls_table);
    }
    return owner;
}

struct owner *thread_owner(cairn_heap *heap)
{
    struct owner *owner = thread_owner_if_any(heap);
    return owner ? owner : make_owner(heap);
}

void *thread_alloc(cairn_heap *heap, size_t size)
{
    if (size >= heap->pooled_end) {
        return large_alloc(heap, size, 1, NULL);
    }
    struct owner *owner = thread_owner(heap);
    if (owner) {
        return owner_alloc(owner, size, false);
    }
    int saved = errno;
    os_lock_take(&heap->lock);
    void *block = owner_alloc(&heap->base, size, false);
    os_lock_give(&heap->lock);
    return block ? block : large_after_pools(heap, size, 1, saved);
}

/* The thread ends. Its table is read under the registry's lock, so that no heap in it is destroyed meanwhile. */
static SELDOM void thread_end(void *value)
{
    (void)value;
    tls_owner = &owner_none;
    tls_table.ending = true;
    registry_lock();
    for (size_t i = 0; i < tls_table.capacity; i++) {
        const struct owner_entry *e = &tls_table.entries[i];
        cairn_heap *heap = e->heap_id ? registry_find(e->heap_id) : NULL;
        if (heap) {
            heap->by_thread[tls_number] = &owner_none;
            owner_end(e->owner);
        }
    }
    table_free();
    number_give();
    registry_unlock();
}

/* ---- fork ---- */

static SELDOM void fork_before(void)
{
    registry_lock();
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        os_lock_take(&heap->lock);
    }
    if (heap_watcher()) {
        heap_watcher()->lock();
    }
}

static SELDOM void fork_parent(void)
{
    if (heap_watcher()) {
        heap_watcher()->unlock();
    }
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        os_lock_give(&heap->lock);
    }
    registry_unlock();
}

static bool gone(const cairn_heap *heap, const struct owner *owner)
{
    return owner && !heap->single && owner != &heap->base && owner != thread_owner_if_any(heap);
}

/* Gives the pools of threads that are not in the child to the common owner. Their own lists may have been caught in
 * mid-change, so the arenas are walked instead, and each pool is recounted before it is next used. */
static void adopt_pools_of_gone(cairn_heap *heap)
{
    for (struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        for (uint64_t taken = arena->mapped & ~arena->free; taken; taken &= taken - 1) {
            struct pool *pool = &arena->pools[__builtin_ctzll(taken)];
            if (pool_is_class(pool) && gone(heap, pool_owner(pool))) {
                pool_set_kind(pool, POOL_UNSETTLED);
                owner_give_to_base(pool);
            }
        }
    }
}

static void retire_gone(cairn_heap *heap)
{
    struct owner *next;
    for (struct owner *owner = heap->owners; owner; owner = next) {
        next = owner->next;
        if (!gone(heap, owner)) {
            continue;
        }
        remote_route_linked(NULL, owner->common_box.first, heap);
        for (int i = 0; i < OUTBOX_SLOTS; i++) {
            if (owner->outbox[i].to) {
                remote_seal(&owner->outbox[i]);
                owner->outbox[i].to = NULL;
                remote_route(NULL, owner->outbox[i].first, heap);
            }
        }
        foreign_send(owner, NULL, heap);
        struct block *late = remote_close(owner);
        owner_retire(owner);
        remote_route(NULL, late, heap);
    }
}

/* The forking thread holds all locks and is the one that goes on here, so it may give them back. */
static SELDOM void fork_child(void)
{
    numbers_of_gone_give();
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        by_thread_clear(heap, true);
    }
    fork_parent();
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        if (heap->owners && !heap->single) {
            os_lock_take(&heap->lock);
            adopt_pools_of_gone(heap);
            owner_return_empty(&heap->base);
            os_lock_give(&heap->lock);
        }
    }
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        os_lock_take(&heap->lock);
        retire_gone(heap);
        os_lock_give(&heap->lock);
    }
}

SELDOM void thread_start(void)
{
    (void)os_thread_watch_init(thread_end);
    (void)os_fork_hooks(fork_before, fork_parent, fork_child);
}
