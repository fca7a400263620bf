/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* remote.c: see remote.h. */

#include "heap/remote.h"

#include "heap/envelope.h"
#include "heap/foreign.h"
#include "heap/misuse.h"
#include "heap/owner.h"

enum {
    COMMON_BYTES = 8192,          /* as an outbox counts: so much waits to be freed into pools of the common owner's */
    MANY_BYTES = OUTBOX_BYTES / 2 /* so much in a chain, and the next one is an envelope */
};

struct outbox outbox_none = {.to = (struct owner *)1};

OF_REQUESTS bool remote_find(struct owner *owner, const struct owner *to)
{
    struct outbox *box = remote_box(owner, to);
    if (!to || box->to != to || owner->exact) {
        return false;
    }
    owner->recent = box;
    return true;
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
    struct outbox chain = *box;
    remote_seal(box);
    owner->recent = &outbox_none;
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

void remote_flush(struct owner *owner)
{
    remote_send_common(owner);
    if (!owner->outbox_bytes) {
        return;
    }
    for (int i = 0; i < OUTBOX_SLOTS; i++) {
        if (owner->outbox[i].to) {
            send_chain(owner, &owner->outbox[i]);
        }
    }
    owner->outbox_bytes = 0;
    owner_drain(owner); /* a thread that only frees would not look into its inbox otherwise */
}

/* Blocks of another heap, of a thread without an owner, and large ones do not wait in an outbox. */
static bool may_wait(const struct owner *owner, const struct owner *to, const struct pool *pool)
{
    return owner && to->heap == owner->heap && pool->block_size < OUTBOX_BLOCK;
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
        owner->outbox_bytes -= box->bytes;
        send_chain(owner, box);
    }
    *box = (struct outbox){.to = to, .many = box->many};
    if (box->many) {
        begin_envelope(owner, box);
    }
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
    if (!may_wait(owner, to, pool) || (to->common && owner->exact)) {
        send(pool, block, NULL);
        return;
    }
    if (to->common) {
        gather_common(owner, pool, block);
        return;
    }
    struct outbox *box = remote_box(owner, to);
    if (box->to != to) {
        make_box(owner, box, to);
    } else if (box->newest == block) {
        misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
        return;
    }
    remote_push(box, block, pool, remote_weight(pool));
    owner->outbox_bytes += remote_weight(pool);
    if (owner->outbox_bytes > OUTBOX_BYTES) {
        remote_flush(owner);
    }
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
