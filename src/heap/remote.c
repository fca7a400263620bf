/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* remote.c: see remote.h. */

#include "heap/remote.h"

#include <errno.h>

#include "heap/envelope.h"
#include "heap/foreign.h"
#include "heap/misuse.h"

enum {
    COMMON_BYTES = 8192,          /* as an outbox counts: so much waits to be freed into pools of the common owner's */
    MANY_BYTES = OUTBOX_BYTES / 2 /* so much in a chain, and the next one is an envelope */
};

struct outbox outbox_none = {.to = (struct owner *)1};

/* No chain is the recent one any more: what it counts ahead is taken back. */
static void close_recent(struct owner *owner)
{
    struct outbox *box = owner->recent;
    if (box != &outbox_none) {
        size_t ahead = (size_t)(box->limit - box->at) * OUTBOX_WEIGHT;
        box->bytes -= (uint32_t)ahead;
        owner->outbox_bytes -= ahead;
        owner->recent = &outbox_none;
    }
}

/* Makes a chain the recent one: as many small blocks as fit into its newest message and the outbox are counted ahead. */
static void open_recent(struct owner *owner, struct outbox *box)
{
    close_recent(owner);
    size_t blocks = (size_t)(box->end - box->at);
    size_t fit = (OUTBOX_BYTES - owner->outbox_bytes) / OUTBOX_WEIGHT;
    blocks = blocks < fit ? blocks : fit;
    box->limit = box->at + blocks;
    box->bytes += (uint32_t)(blocks * OUTBOX_WEIGHT);
    owner->outbox_bytes += blocks * OUTBOX_WEIGHT;
    owner->recent = box;
}

/* Where a message links to the next. */
static struct block **message_link(struct block *message)
{
    return (struct block **)((uintptr_t)message & ~MESSAGE_ENVELOPE);
}

/* Posts a chain of so many bytes. False if the inbox is closed; the chain is then untouched but for its last link. */
static bool post(struct owner *to, struct block *first, struct block *last, size_t bytes)
{
    struct block *head = atomic_load_explicit(&to->inbox, memory_order_relaxed);
    do {
        *message_link(last) = head == INBOX_CLOSED ? NULL : head;
        if (head == INBOX_CLOSED) {
            return false;
        }
        /* Release: the owner's acquire in remote_take must see the links and all the freeing thread did before. */
    } while (!atomic_compare_exchange_weak_explicit(&to->inbox, &head, first, memory_order_release,
                                                    memory_order_relaxed));
    atomic_fetch_add_explicit(&to->inbox_bytes, bytes, memory_order_relaxed);
    return true;
}

/* Frees a block of the common owner's pool under the heap's lock. False if the pool has another owner by now. */
static bool free_common(struct owner *common, struct pool *pool, struct block *block, cairn_heap *locked)
{
    cairn_heap *heap = common->heap;
    if (heap != locked) {
        os_lock_take(&heap->lock);
    }
    bool ours = pool_owner(pool) == common;
    if (ours) {
        owner_free_own(common, pool, block);
        counter_add(&common->remote_frees, 1);
    }
    if (heap != locked) {
        os_lock_give(&heap->lock);
    }
    return ours;
}

/* Sends one block to whoever owns its pool now. */
static void send(struct pool *pool, struct block *block, cairn_heap *locked)
{
    for (;;) {
        struct owner *to = pool_owner(pool);
        if (to->common) {
            if (free_common(to, pool, block, locked)) {
                return;
            }
        } else {
            (void)letter_begin(block, pool, NULL);
            if (post(to, block, block, remote_weight(pool))) {
                return;
            }
        }
    }
}

/* Has the owner left so much in its inbox that what is freed for it had better be used by others? */
static bool is_behind(const struct owner *to)
{
    return atomic_load_explicit(&to->inbox_bytes, memory_order_relaxed) >= INBOX_BEHIND;
}

void remote_seal(const struct outbox *box)
{
    if (message_is_envelope(box->first)) {
        struct envelope *envelope = message_envelope(box->first);
        envelope->count = box->end == envelope->blocks + ENVELOPE_BLOCKS ? (size_t)(box->at - envelope->blocks) : 0;
        return;
    }
    bool fits = box->first && box->end == letter_end(box->first, pagemap_get(box->first));
    if (fits && box->at != box->end) {
        *box->at = NULL;
    }
}

/* Emptied first, as in send_chain(). */
void remote_send_common(struct owner *owner)
{
    struct block *chain = owner->common_box.first;
    if (!chain) {
        return;
    }
    owner->common_box = (struct gathered){0};
    atomic_signal_fence(memory_order_seq_cst);
    os_lock_take(&owner->heap->lock);
    remote_route_linked(NULL, chain, owner->heap);
    os_lock_give(&owner->heap->lock);
}

/* The box is emptied first: should another thread fork in the middle, the child must not find the chain twice. */
static void send_chain(struct owner *owner, struct outbox *box)
{
    if (UNLIKELY(owner->recent == box)) { /* a handler of misuse has freed blocks since the last chain was sent */
        close_recent(owner);
    }
    struct outbox chain = *box;
    remote_seal(box);
    owner->outbox_bytes -= chain.bytes;
    box->many = chain.bytes >= MANY_BYTES;
    box->to = NULL;
    box->first = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(is_behind(chain.to)) && foreign_allowed(owner)) {
        foreign_keep(owner, &chain);
    }
    if (chain.first && !post(chain.to, chain.first, chain.last, chain.bytes)) {
        /* That owner is no longer live, or rests: some of its pools may be this one's now. */
        remote_route(owner, chain.first, NULL);
    }
}

/* Sends what the outbox holds; there is no recent chain. */
static void send_chains(struct owner *owner)
{
    for (int i = 0; i < OUTBOX_SLOTS && owner->outbox_bytes; i++) {
        if (owner->outbox[i].to) {
            send_chain(owner, &owner->outbox[i]);
        }
    }
    owner_drain(owner); /* a thread that only frees would not look into its inbox otherwise */
}

void remote_flush(struct owner *owner)
{
    remote_send_common(owner);
    close_recent(owner);
    if (owner->outbox_bytes) {
        send_chains(owner);
    }
}

/* Gathers a block of the common owner's, unless it was the last one gathered; sends a few at a time. */
static void gather_common(struct owner *owner, const struct pool *pool, struct block *block)
{
    struct gathered *box = &owner->common_box;
    if (box->first == block) {
        misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
        return;
    }
    block->next = box->first;
    atomic_signal_fence(memory_order_release); /* a fork in another thread must not see the chain without it */
    box->first = block;
    box->bytes += remote_weight(pool);
    if (box->bytes >= COMMON_BYTES) {
        remote_send_common(owner);
    }
}

/* Has the owner asked for blocks of this class? */
static bool asks_for(const struct owner *owner, unsigned class_index)
{
    return owner->wanted[class_index / 64] >> (class_index % 64) & 1;
}

/* An envelope, if there is one, as the first message of an empty chain. The orders of stores as in remote_push(). */
static void begin_envelope(struct owner *owner, struct outbox *box)
{
    struct envelope *envelope = envelope_take(owner);
    if (!envelope) {
        return;
    }
    atomic_signal_fence(memory_order_release);
    box->first = (struct block *)((uintptr_t)envelope + MESSAGE_ENVELOPE);
    box->last = box->first;
    atomic_signal_fence(memory_order_release);
    box->at = envelope->blocks;
    atomic_signal_fence(memory_order_release);
    box->end = envelope->blocks + ENVELOPE_BLOCKS;
}

/* An empty place in the outbox for blocks of `to`: what another owner has there is sent. */
static void make_box(struct owner *owner, struct outbox *box, struct owner *to)
{
    if (box->to) {
        send_chain(owner, box);
    }
    *box = (struct outbox){.to = to, .many = box->many};
    if (box->many) {
        begin_envelope(owner, box);
    }
}

/* Adds a block to the outbox, which has no recent chain, at the place for blocks of `to`; sends all if that is enough. */
static void add(struct owner *owner, struct outbox *box, struct owner *to, const struct pool *pool, struct block *block)
{
    if (box->to != to) {
        make_box(owner, box, to);
    }
    remote_push(box, block, pool, remote_weight(pool));
    owner->outbox_bytes += remote_weight(pool);
    if (UNLIKELY(owner->outbox_bytes > OUTBOX_BYTES)) {
        remote_send_common(owner);
        send_chain(owner, box); /* mostly there is no other */
        send_chains(owner);
    } else if (!owner->heap->single && !owner->exact) { /* each free of an exact heap is to be told to its watcher */
        open_recent(owner, box);
    }
}

/* The rest of remote_join(), which needs a stack frame. */
static __attribute__((noinline)) void join_slowly(struct owner *owner, struct pool *pool, struct block *block)
{
    int saved = errno;
    remote_free(owner, pool, block); /* the pool may have another owner by now, even the common one */
    errno = saved;
}

OF_REQUESTS void remote_join(struct owner *owner, struct outbox *box, struct pool *pool, struct block *block)
{
    uint32_t weight = remote_weight(pool);
    close_recent(owner);
    if (UNLIKELY(!box->to) || UNLIKELY(owner->outbox_bytes + weight > OUTBOX_BYTES)) {
        join_slowly(owner, pool, block);
        return;
    }
    remote_push(box, block, pool, weight);
    owner->outbox_bytes += weight;
    open_recent(owner, box);
}

void remote_free(struct owner *owner, struct pool *pool, struct block *block)
{
    struct owner *to = pool_owner(pool);
    bool adoptable = owner && to->common && to->heap == owner->heap;
    if (adoptable && UNLIKELY(owner->foreign != NULL) && foreign_keep_one(owner, pool, block)) {
        return;
    }
    if (adoptable && asks_for(owner, pool->class_index) && owner_adopt(owner, pool)) {
        owner_free_own(owner, pool, block);
        counter_add(&owner->remote_frees, 1);
        return;
    }
    if (!remote_may_wait(owner, to, pool) || (to->common && owner->exact)) {
        send(pool, block, NULL);
        return;
    }
    if (to->common) {
        gather_common(owner, pool, block);
        return;
    }
    struct outbox *box = remote_box(owner, to);
    if (box->to == to && box->newest == block) {
        misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
        return;
    }
    close_recent(owner);
    add(owner, box, to, pool, block);
}

OF_REQUESTS void remote_open(struct owner *owner)
{
    atomic_store_explicit(&owner->inbox_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&owner->inbox, NULL, memory_order_release);
}

struct block *remote_close(struct owner *owner)
{
    struct block *chain = atomic_exchange_explicit(&owner->inbox, INBOX_CLOSED, memory_order_acq_rel);
    return chain == INBOX_CLOSED ? NULL : chain;
}

struct block *remote_take(struct owner *owner)
{
    struct block *head = atomic_load_explicit(&owner->inbox, memory_order_relaxed);
    if (head == NULL || head == INBOX_CLOSED) {
        return NULL;
    }
    /* Acquire: pairs with the release in post. Only the owner closes, so this cannot see INBOX_CLOSED. */
    head = atomic_exchange_explicit(&owner->inbox, NULL, memory_order_acquire);
    atomic_store_explicit(&owner->inbox_bytes, 0, memory_order_relaxed);
    return head;
}

/* The rest of route(). */
static __attribute__((noinline)) bool route_slowly(struct owner *self, struct block *block, cairn_heap *locked)
{
    struct pool *pool = pagemap_get(block);
    if (!self || pool_owner(pool) != self) {
        send(pool, block, locked);
        return false;
    }
    if (pool_may_free_fast(pool, self->mark)) {
        owner_free_in(self, pool, block); /* it is not near, or was freed twice */
    } else {
        owner_free_own(self, pool, block);
    }
    return true;
}

/* Frees a block; true if `self`, which has that mark, owns its pool. Nearly hot. */
static inline bool route(struct owner *self, uintptr_t mark, struct block *block, cairn_heap *locked)
{
    struct pool *pool = pagemap_get_near(block);
    enum owner_freed freed = LIKELY(pool) ? owner_free_ready(mark, block, pool) : OWNER_NOT_FREED;
    if (UNLIKELY(freed == OWNER_FREED_LAST)) {
        owner_pool_emptied(self, block, pool);
    } else if (UNLIKELY(freed == OWNER_NOT_FREED)) {
        return route_slowly(self, block, locked);
    }
    return true;
}

/* The mark of an owner, which may be NULL: then one that no pool has. */
static uintptr_t mark_of(const struct owner *self)
{
    return self ? self->mark : owner_none.mark;
}

static uint64_t route_envelope(struct owner *self, const struct envelope *envelope, cairn_heap *locked)
{
    uintptr_t mark = mark_of(self);
    uint64_t own = envelope->count;
    for (size_t i = 0; i < envelope->count; i++) {
        own -= !route(self, mark, envelope->blocks[i], locked);
    }
    return own;
}

/* A letter comes after the blocks it lists: whoever gets it may give it away at once. */
static uint64_t route_letter(struct owner *self, struct block *letter, cairn_heap *locked)
{
    uintptr_t mark = mark_of(self);
    uint64_t own = 0;
    struct block **end = letter_end(letter, pagemap_get(letter));
    for (struct block **at = &letter->next + 1; at != end && *at; at++) {
        own += route(self, mark, *at, locked);
    }
    return own + route(self, mark, letter, locked);
}

void remote_route(struct owner *self, struct block *message, cairn_heap *locked)
{
    uint64_t own = 0;
    while (message) {
        struct block *next = *message_link(message);
        __builtin_prefetch(next);
        if (message_is_envelope(message)) {
            struct envelope *envelope = message_envelope(message);
            own += route_envelope(self, envelope, locked);
            envelope_give(self, envelope, locked);
        } else {
            own += route_letter(self, message, locked);
        }
        message = next;
    }
    if (own) {
        counter_add(&self->remote_frees, own);
    }
}

void remote_route_linked(struct owner *self, struct block *chain, cairn_heap *locked)
{
    while (chain) {
        struct block *block = chain;
        chain = block->next;
        if (route(self, mark_of(self), block, locked)) {
            counter_add(&self->remote_frees, 1);
        }
    }
}
