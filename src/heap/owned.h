/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* owned.h: all pools of an owner, used and full.
 *
 * In a shared heap they are a list: an owner's thread may not look at arenas without the heap's lock, and one that ends
 * hands over its own pools and reads no others. Its links lie behind the records of an arena. A single heap, which
 * has one owner or few, does without: it looks through the records of its arenas.
 *
 * Lock rules: those of the owner; the heap's lock is taken here in a single heap, as in owner.c. */

#ifndef CAIRN_HEAP_OWNED_H
#define CAIRN_HEAP_OWNED_H

#include "heap/types.h"

/* Each pool of an owner once, in any order; in a single heap in that of its list of arenas. NULL: there are no more.
 * Meanwhile `pool` must stay the owner's. */
struct pool *owned_first(const struct owner *owner);
struct pool *owned_next(const struct owner *owner, const struct pool *pool);

/* A pool became the owner's; the owner is about to lose it. */
void owned_add(struct owner *owner, struct pool *pool);
void owned_remove(struct owner *owner, const struct pool *pool);

#endif
