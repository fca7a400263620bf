/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* foreign.h: blocks of other threads' pools that a thread uses again itself.
 *
 * What a thread frees for another goes home through that one's inbox. If the other has no processor, or does nothing
 * that would make it look, blocks pile up there while their pools stay. So once an inbox holds INBOX_BEHIND bytes, who
 * frees keeps such blocks, some of each class, and serves its own next requests with them: a record like a pool's,
 * whose free list they are, is shown in the direct table. To its pool a block that is kept is in use all the time.
 *
 * A thread that only frees keeps none: blocks kept for good would each hold a pool. After a chain of which it keeps
 * nothing it lets one go home without a look, then two, and so on, as a look costs a cache miss for each block.
 *
 * The records are made when an owner first keeps a block, in the heap's metadata, one for each class of the direct
 * table; `used` counts down with each block kept and up with each one served, as the hot path does.
 *
 * Lock: the owner's thread; the record's counters are read by anyone. */

#ifndef CAIRN_HEAP_FOREIGN_H
#define CAIRN_HEAP_FOREIGN_H

#include "heap/types.h"

/* May this owner keep blocks at all? */
static inline bool foreign_allowed(const struct owner *owner)
{
    return !owner->exact && !owner->common && !owner->heap->single;
}

/* Takes blocks out of a chain and keeps them, as far as there is room for them in their class; of one that is kept
 * already, see foreign_keep_one(). */
void foreign_keep(struct owner *owner, struct outbox *chain);

/* Keeps one block of the common owner's, if there is room for it; `owner` has records. Adopting its pool would give one
 * thread all the free blocks there, which another may need more. The block of its class that was kept last is free: it is
 * reported as freed twice, and true returned. errno is preserved. Nearly hot: so a thread frees what an ended one left. */
bool foreign_keep_one(struct owner *owner, const struct pool *pool, struct block *block);

/* A block that is kept for a class, NULL: none. The next ones are shown in the direct table. */
void *foreign_take(struct owner *owner, unsigned class_index);

/* Puts the head of the class's used list into the direct table again, if kept blocks that are used up are shown there.
 * The owner has records. */
void foreign_hide(struct owner *owner, unsigned class_index);

/* What requests were served with kept blocks: frees that did not go home. */
uint64_t foreign_requests(const struct owner *owner, unsigned class_index);

/* Sends all that is kept, as remote_route() does for `self` and `locked`. */
void foreign_send(struct owner *owner, struct owner *self, cairn_heap *locked);

/* NULL if the records are sound, else what is wrong with them. */
const char *foreign_check(const struct owner *owner);

#endif
