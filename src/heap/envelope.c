/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* envelope.c: see envelope.h. The orders of stores: should another thread fork in between, its child must not find an
 * envelope both in use and spare. */

#include "heap/envelope.h"

#include "heap/meta.h"

enum { KEPT_MOST = 4 };

static struct envelope *pop(struct envelope **list)
{
    struct envelope *envelope = *list;
    if (envelope) {
        *list = (struct envelope *)(void *)envelope->next;
        atomic_signal_fence(memory_order_seq_cst);
    }
    return envelope;
}

static void push(struct envelope **list, struct envelope *envelope)
{
    envelope->next = (struct block *)(void *)*list;
    atomic_signal_fence(memory_order_seq_cst);
    *list = envelope;
}

/* The owner has none: some of the heap's, or a new one. */
static void fetch(struct owner *owner)
{
    cairn_heap *heap = owner->heap;
    struct envelope *envelope;
    os_lock_take(&heap->lock);
    owner->envelope_count = 0;
    while (owner->envelope_count < KEPT_MOST && (envelope = pop(&heap->envelopes))) {
        push(&owner->envelopes, envelope);
        owner->envelope_count++;
    }
    if (!owner->envelopes && (envelope = meta_alloc(&heap->meta, sizeof *envelope))) {
        push(&owner->envelopes, envelope);
        owner->envelope_count++;
    }
    os_lock_give(&heap->lock);
}

struct envelope *envelope_take(struct owner *owner)
{
    if (!owner->envelopes && !owner->heap->meta.region) {
        fetch(owner);
    }
    struct envelope *envelope = pop(&owner->envelopes);
    if (envelope) {
        owner->envelope_count--;
        envelope->next = NULL;
        envelope->count = 0;
    }
    return envelope;
}

void envelope_give(struct owner *owner, struct envelope *envelope, cairn_heap *locked)
{
    if (!owner) {
        push(&locked->envelopes, envelope);
        return;
    }
    push(&owner->envelopes, envelope);
    if (++owner->envelope_count > KEPT_MOST) {
        os_lock_take(&owner->heap->lock);
        envelope_give_all(owner);
        os_lock_give(&owner->heap->lock);
    }
}

void envelope_give_all(struct owner *owner)
{
    for (struct envelope *envelope; (envelope = pop(&owner->envelopes));) {
        push(&owner->heap->envelopes, envelope);
    }
    owner->envelope_count = 0;
}
