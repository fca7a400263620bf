/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* foreign.c: see foreign.h. */

#include "heap/foreign.h"

#include <errno.h>

#include "heap/envelope.h"
#include "heap/meta.h"
#include "heap/misuse.h"
#include "heap/owner.h"
#include "heap/remote.h"

enum {
    KEPT_BLOCKS = 256, /* of a class, at most: more than an outbox holds */
    KEPT_BYTES = 12288,
    SHOWN_FROM = 16,  /* blocks: fewer wait until the class has no pool with a free block */
    PAUSE_MOST = 1024 /* chains; see types.h */
};

static unsigned records(const cairn_heap *heap)
{
    return heap->class_above_direct;
}

static bool make_records(struct owner *owner)
{
    cairn_heap *heap = owner->heap;
    os_lock_take(&heap->lock);
    owner->foreign = meta_alloc(&heap->meta, records(heap) * sizeof *owner->foreign);
    os_lock_give(&heap->lock);
    for (unsigned c = 0; owner->foreign && c < records(heap); c++) {
        owner->foreign[c].block_size = (uint16_t)heap->classes[c].block_size;
    }
    owner->foreign_next_pause = 1;
    return owner->foreign != NULL;
}

static unsigned count_of(const struct pool *record)
{
    return (uint16_t)-pool_used(record);
}

static void show(struct owner *owner, unsigned class_index, struct pool *pool)
{
    const struct size_class *class = &owner->heap->classes[class_index];
    for (unsigned i = class->direct_lo; i <= class->direct_hi; i++) {
        owner->direct[i] = pool;
    }
}

static bool is_shown(const struct owner *owner, unsigned class_index)
{
    return owner->direct[owner->heap->classes[class_index].direct_hi] == &owner->foreign[class_index];
}

/* May one more block of a class be kept? Not if the owner does not seem to ask for such, as it has no pool of them; few as
 * long as no request was served with one. */
static inline bool has_room(const struct owner *owner, unsigned class_index, unsigned count)
{
    const struct pool *record = &owner->foreign[class_index];
    if (UNLIKELY(!pool_requests(record))) {
        return count < SHOWN_FROM && owner->used[class_index].head;
    }
    return count < KEPT_BLOCKS && (count + 1) * record->block_size <= KEPT_BYTES;
}

static SELDOM __attribute__((noinline)) void report_kept(const struct owner *owner, const struct block *block)
{
    int saved = errno;
    misuse_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block, owner->heap);
    errno = saved;
}

/* Keeps one block, if its class is to have more. The one kept last is free: it is reported, and stays where it is. Nearly
 * hot. */
static inline bool keep(struct owner *owner, const struct pool *pool, struct block *block)
{
    unsigned class_index = pool->class_index;
    struct pool *record = &owner->foreign[class_index];
    unsigned count = count_of(record);
    if (UNLIKELY(record->free == block)) {
        report_kept(owner, block);
        return true;
    }
    if (!has_room(owner, class_index, count)) {
        return false;
    }
    block->next = record->free;
    atomic_signal_fence(memory_order_release); /* a fork in another thread must not see the list without it */
    record->free = block;
    (void)cpu_decrement16(&record->used);
    if (count + 1 >= SHOWN_FROM && !is_shown(owner, class_index)) {
        show(owner, class_index, record);
    }
    return true;
}

bool foreign_keep_one(struct owner *owner, const struct pool *pool, struct block *block)
{
    return pool->class_index < records(owner->heap) && keep(owner, pool, block);
}

/* Keeps a block on its way, if it may be kept and there is room. */
static bool keep_on_way(struct owner *owner, const struct pool *pool, struct block *block)
{
    return pool->class_index < records(owner->heap) && pool_owner(pool) != owner && keep(owner, pool, block);
}

static void keep_of_envelope(struct owner *owner, struct outbox *chain)
{
    struct envelope *envelope = message_envelope(chain->first);
    size_t left = 0;
    chain->bytes = 0;
    for (size_t i = 0; i < envelope->count; i++) {
        struct block *block = envelope->blocks[i];
        const struct pool *pool = pagemap_get(block);
        if (!keep_on_way(owner, pool, block)) {
            envelope->blocks[left++] = block;
            chain->bytes += remote_weight(pool);
        }
    }
    envelope->count = left;
    if (left == 0) {
        chain->first = NULL;
        envelope_give(owner, envelope, NULL);
    }
}

static void keep_of_letter(struct owner *owner, struct outbox *chain, struct block *block)
{
    const struct pool *pool = pagemap_get(block);
    if (!keep_on_way(owner, pool, block)) {
        remote_push(chain, block, pool, remote_weight(pool));
    }
}

static void keep_of_letters(struct owner *owner, struct outbox *chain)
{
    struct block *letter = chain->first;
    *chain = (struct outbox){.to = chain->to};
    while (letter) {
        struct block *next = letter->next;
        struct block **end = letter_end(letter, pagemap_get(letter));
        for (struct block **at = &letter->next + 1; at != end && *at; at++) {
            keep_of_letter(owner, chain, *at);
        }
        keep_of_letter(owner, chain, letter);
        letter = next;
    }
    remote_seal(chain);
}

SELDOM void foreign_keep(struct owner *owner, struct outbox *chain)
{
    if (owner->foreign_pause) {
        owner->foreign_pause--;
        return;
    }
    if (!owner->foreign && !make_records(owner)) {
        return;
    }
    size_t bytes = chain->bytes;
    if (message_is_envelope(chain->first)) {
        keep_of_envelope(owner, chain);
    } else {
        keep_of_letters(owner, chain);
    }
    if (chain->bytes < bytes) {
        owner->foreign_next_pause = 1;
    } else {
        owner->foreign_pause = owner->foreign_next_pause;
        owner->foreign_next_pause *= owner->foreign_next_pause < PAUSE_MOST ? 2 : 1;
    }
}

void *foreign_take(struct owner *owner, unsigned class_index)
{
    if (!owner->foreign || class_index >= records(owner->heap)) {
        return NULL;
    }
    struct pool *record = &owner->foreign[class_index];
    struct block *block = record->free;
    if (block) {
        record->free = block->next;
        cpu_increment16(&record->used);
        cpu_increment64(&record->requests);
        show(owner, class_index, record);
    }
    return block;
}

SELDOM void foreign_hide(struct owner *owner, unsigned class_index)
{
    if (class_index < records(owner->heap) && is_shown(owner, class_index) && !owner->foreign[class_index].free) {
        struct pool *head = owner->used[class_index].head;
        show(owner, class_index, head ? head : &pool_empty);
    }
}

SELDOM uint64_t foreign_requests(const struct owner *owner, unsigned class_index)
{
    bool any = owner->foreign && class_index < records(owner->heap);
    return any ? pool_requests(&owner->foreign[class_index]) : 0;
}

SELDOM void foreign_send(struct owner *owner, struct owner *self, cairn_heap *locked)
{
    for (unsigned c = 0; owner->foreign && c < records(owner->heap); c++) {
        struct pool *record = &owner->foreign[c];
        struct block *chain = record->free;
        counter_add(&owner->requests[c], pool_requests(record));
        counter_add(&owner->remote_frees, pool_requests(record));
        atomic_store_explicit(&record->requests, 0, memory_order_relaxed);
        record->free = NULL;
        atomic_store_explicit(&record->used, 0, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        remote_route_linked(self, chain, locked);
    }
}

SELDOM const char *foreign_check(const struct owner *owner)
{
    for (unsigned c = 0; owner->foreign && c < records(owner->heap); c++) {
        const struct pool *record = &owner->foreign[c];
        unsigned left = count_of(record);
        for (const struct block *block = record->free; block && left > 0; block = block->next) {
            const struct pool *pool = pagemap_get(block);
            if (!pool || !pool_is_class(pool) || pool->class_index != c) {
                return "a block that a thread keeps for itself is of another class, or is none";
            }
            left--;
        }
        if (left != 0) {
            return "the count of blocks that a thread keeps for itself is wrong";
        }
    }
    return NULL;
}
