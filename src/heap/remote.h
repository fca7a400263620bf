/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* remote.h: blocks freed by a thread that does not own their pool.
 *
 * The freeing thread gathers blocks per destination in its outbox (a small table of chains of messages), and posts a
 * whole chain to the destination's inbox with one compare-and-swap; the owner takes the whole inbox with one exchange,
 * in its slow path. So a chain costs two atomic operations however long it is, no block is ever popped singly (no ABA),
 * and neither side waits.
 *
 * A *letter* is a freed block whose words behind the link are the addresses of more freed blocks, up to the block's end
 * or a NULL. So only one block in many is written by who frees it and read by who gets it back; the others' cache lines
 * stay where they are until their owner links them into a free list.
 *
 * Who sent many blocks to a destination gathers the next ones for it in an *envelope* (envelope.h), a record that lists
 * all that an outbox may hold: letters are as long as chance has it, and neither side's processor guesses where one ends.
 * A chain is one envelope, or letters. A link to an envelope has the bit MESSAGE_ENVELOPE.
 *
 * Blocks for an owner that is behind with its inbox may be kept by who frees them instead; see foreign.h.
 *
 * When an owner ends, or rests (thread.h), it closes its inbox (INBOX_CLOSED): whoever posts later sees that and routes
 * each block anew. It has no pools then, and before it gets one it opens the inbox again: who finds an owner named by a
 * pool finds its inbox open. A block may therefore reach an owner that no longer owns its pool: every receiver looks the
 * pool's owner up again and passes on what is not its own. A block in flight counts as in use, so its pool cannot go away.
 *
 * A block of the common owner's: a freeing thread that has asked for blocks of the class adopts the pool, so that the next
 * ones are its own to free. One that has not gathers 16 and frees them under the heap's lock: pools that it adopted would
 * wait for it when others free the rest. A thread without an owner frees directly, under the heap's lock. An outbox
 * holds only blocks of its own heap, so that destroying a heap leaves none behind. */

#ifndef CAIRN_HEAP_REMOTE_H
#define CAIRN_HEAP_REMOTE_H

#include "heap/debug.h"
#include "heap/owner.h"
#include "heap/types.h"

#define INBOX_CLOSED ((struct block *)1)

/* Frees a block that `owner` does not own, through its outbox; with owner NULL it is sent at once. Adopts the pool, or
 * takes the lock of its heap, if the common owner has it. A block that was the last put into the outbox is reported as
 * freed twice. */
void remote_free(struct owner *owner, struct pool *pool, struct block *block);

/* The place in the outbox for blocks of `to`. */
static inline struct outbox *remote_box(struct owner *owner, const struct owner *to)
{
    uintptr_t key = (uintptr_t)to >> 7;
    key ^= key >> 9;
    return &owner->outbox[key % OUTBOX_SLOTS];
}

/* What a block counts in an outbox. */
static inline uint32_t remote_weight(const struct pool *pool)
{
    return pool->block_size > OUTBOX_WEIGHT ? pool->block_size : OUTBOX_WEIGHT;
}

/* Makes a block a letter that lists no other, before all those of a chain. Returns where its first address goes. */
static inline struct block **letter_begin(struct block *block, const struct pool *pool, struct block *chain)
{
    struct block **words = &block->next;
    words[0] = chain;
    if (LIKELY(pool->block_size > sizeof *words)) {
        words[1] = NULL;
    }
    return words + 1;
}

static inline struct block **letter_end(struct block *letter, const struct pool *pool)
{
    return &letter->next + pool->block_size / sizeof(struct block *);
}

#define MESSAGE_ENVELOPE ((uintptr_t)2)

static inline bool message_is_envelope(const struct block *message)
{
    return (uintptr_t)message & MESSAGE_ENVELOPE;
}

static inline struct envelope *message_envelope(struct block *message)
{
    return (struct envelope *)((uintptr_t)message - MESSAGE_ENVELOPE);
}

/* Adds a block to the newest message of a chain, which has room. The orders of stores here are for remote_seal(). */
static inline void remote_list(struct outbox *box, struct block **at, struct block *block)
{
    box->newest = block;
    *at = block;
    atomic_signal_fence(memory_order_release);
    box->at = at + 1;
}

/* Adds a block of that weight to a chain. */
static inline void remote_push(struct outbox *box, struct block *block, const struct pool *pool, uint32_t weight)
{
    box->bytes += weight;
    if (LIKELY(box->at != box->end)) {
        remote_list(box, box->at, block);
        return;
    }
    ASSERT(!message_is_envelope(box->first)); /* it is never full */
    struct block **at = letter_begin(block, pool, box->first);
    box->newest = block;
    box->last = box->first ? box->last : block;
    atomic_signal_fence(memory_order_release);
    box->first = block;
    atomic_signal_fence(memory_order_release);
    box->at = at;
    atomic_signal_fence(memory_order_release);
    box->end = letter_end(block, pool);
}

/* Ends the newest message of a chain. Also that of a thread that a fork stopped in the middle of remote_push(): a message
 * that `at` and `end` do not belong to yet lists nothing. */
void remote_seal(const struct outbox *box);

/* A chain to nobody: `to` is no owner. Never written. */
extern struct outbox outbox_none;

/* The quickest part of remote_free(), for a small block that the recent chain is for. False if its `limit` is reached, or
 * more is to be looked at. Both the chain and the outbox count what fits before the limit already, and take back what has
 * not come when another chain becomes the recent one, or none. */
static inline bool remote_free_ready(const struct owner *owner, const struct pool *pool, struct block *block)
{
    struct outbox *box = owner->recent;
    struct block **at = box->at;
    if (at == box->limit || box->newest == block || pool->block_size > OUTBOX_WEIGHT) {
        return false;
    }
    remote_list(box, at, block);
    return true;
}

/* May blocks of the pool, which `to` owns, wait in the outbox? Not those of another heap, nor large ones; a thread without
 * an owner has none. */
static inline bool remote_may_wait(const struct owner *owner, const struct owner *to, const struct pool *pool)
{
    return owner && to->heap == owner->heap && pool->block_size < OUTBOX_BLOCK;
}

/* The place in the outbox for a block of another owner's pool, if it may join a chain there, or begin one, without further
 * thought; else NULL. The pool is of a class then: all else in a shared heap is the common owner's. */
static inline struct outbox *remote_find(struct owner *owner, const struct pool *pool, const struct block *block)
{
    const struct owner *to = pool_owner(pool);
    struct outbox *box = remote_box(owner, to);
    if (!to || owner->exact || owner->heap->single) {
        return NULL;
    }
    if (LIKELY(box->to == to)) {
        return box->newest != block ? box : NULL;
    }
    bool begins = !box->to && !to->common && owner != &owner_none && remote_may_wait(owner, to, pool);
    return begins ? box : NULL;
}

/* The quick part of remote_free() for a block for which a place was found: its chain becomes the recent one. errno is
 * preserved. */
void remote_join(struct owner *owner, struct outbox *box, struct pool *pool, struct block *block);

/* Sends all that the outbox holds. */
void remote_flush(struct owner *owner);

/* Sends what it holds for the common owner. */
void remote_send_common(struct owner *owner);

/* Opens and closes the inbox. Closing returns what was in it. */
void remote_open(struct owner *owner);
static inline bool remote_is_closed(const struct owner *owner)
{
    return atomic_load_explicit(&owner->inbox, memory_order_relaxed) == INBOX_CLOSED;
}
struct block *remote_close(struct owner *owner);

/* Takes all that is in the inbox; NULL if nothing is, or it is closed. */
struct block *remote_take(struct owner *owner);

/* Frees each block of a chain, NULL or its first message, wherever its pool's owner is now. `self` is the caller's owner,
 * whose blocks it frees directly; the lock of heap `locked` is held. One of the two is NULL. */
void remote_route(struct owner *self, struct block *chain, cairn_heap *locked);

/* The same for a chain through all of its blocks: of those a thread kept, or gathered for the common owner. */
void remote_route_linked(struct owner *self, struct block *chain, cairn_heap *locked);

#endif
