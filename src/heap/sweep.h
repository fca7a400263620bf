/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* sweep.h: pages of used pools that hold no live block go back to the system.
 *
 * A pool's slot is seen as units of a page or, in pools of more than 16 pages, of more. Once all blocks that touch a unit
 * are free, a sweep may purge it: those blocks leave the free list and count as untouched again, and the unit is in the
 * pool's set `purged`. When the free list runs out, units come back from the set, the lowest first, before blocks
 * beyond `carved` are taken.
 *
 * A sweep is a pass over all pools of an owner, in slices of bounded work that ride on the slow path of requests. It
 * purges in pools that served no request and got no block back between two passes, so a loop never pays for it. It is
 * *armed* when a full pool gets a block back, or a used-up pool stays on its list to get some.
 *
 * Lock rules: those of the owner whose pools they are; `purged` may be read by anyone. */

#ifndef CAIRN_HEAP_SWEEP_H
#define CAIRN_HEAP_SWEEP_H

#include "heap/types.h"

enum { SWEEP_UNITS = 16, SWEEP_SLICE = 8192 /* work: about a block of a free list looked at */ };

/* How units lie in slots of that size, as a shift; 0 if they are not to be purged, since a slot is one unit. */
unsigned sweep_unit_shift(size_t slot_size);

static inline void sweep_arm(struct owner *owner, bool armed)
{
    atomic_store_explicit(&owner->sweep.armed, armed, memory_order_relaxed);
}

static inline bool sweep_armed(const struct owner *owner)
{
    return atomic_load_explicit(&owner->sweep.armed, memory_order_relaxed);
}

static inline unsigned pool_purged(const struct pool *pool)
{
    return atomic_load_explicit(&pool->purged, memory_order_relaxed);
}

/* How many of a pool's carved blocks touch purged units. */
unsigned pool_purged_blocks(const struct pool *pool);

/* Does the block of that index touch one? */
bool pool_block_is_purged(const struct pool *pool, size_t index);

/* Makes blocks of purged units free until there is one. */
void pool_refill(struct pool *pool);

/* Sweeps on, or begins a pass, until `work` is done or the pass ends. True if it ended. With `force`, pools need not
 * have been at rest. Adds the bytes purged to *bytes if that is not NULL. errno is preserved. */
bool owner_sweep(struct owner *owner, size_t work, bool force, size_t *bytes);

/* Sweeps a slice if one is due. For owners whose sweep is armed. */
void owner_sweep_tick(struct owner *owner);

#endif
