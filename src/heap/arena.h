/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* arena.h: spaces, arenas and their slots: where pools come from and go back to.
 *
 * Rules. A pool comes from the usable arena with the fewest free slots, a free slot before an untouched one, the lowest
 * address first; only when no arena has a free slot is a new one made. In geometries without return_at_once, free slots
 * of another arena that still hold pages come before untouched ones of that arena.
 *
 * Giving back. An arena with free slots that hold pages is in the purge queue; when its tick comes (delay_ms
 * later, noticed by whichever slots are taken or returned next) the slots that were free at the tick before and have
 * been ever since are purged, the others are marked for the next tick. So what a loop takes and returns is never
 * purged, and what lies idle is after one to two delays. An arena that has been wholly free for that long goes back
 * to the system, or into the supply that heaps share, all but keep_free_arenas of its space (1 unless told otherwise, so
 * that a loop at the border does not thrash). And when new memory is touched
 * though slots are kept warm, as much of those is purged as would raise the heap's peak (arena_cool).
 *
 * Lock: the heap's, held by every caller. */

#ifndef CAIRN_HEAP_ARENA_H
#define CAIRN_HEAP_ARENA_H

#include "heap/types.h"

enum { KEEP_BYTES_PER_PERCENT = 16 * 1024, COOL_ONCE = 4 * 1024 * 1024 };

/* What may still be kept warm (free slots with pages, used pages inside holes, cached mappings) so that with what is
 * held it stays within keep_percent of the most that was ever held: keeping pages never raises the peak by more. */
size_t heap_warm_room(const cairn_heap *heap);

/* Purges the longest-free slots as far as that bound is passed, and raises it if that was done too often. Called when
 * the heap touches new memory. Cached mappings, which may never be of use again, are released before they raise the peak
 * at all. */
void arena_cool(cairn_heap *heap);

/* So many bytes were purged for that bound. A heap whose work swings between pools and holes touches them again soon, a page
 * fault for each page, so it may keep keep_step percent more, up to keep_most, once these are as many bytes as it ever held at
 * a time. With a cool_part, that part of what the heap takes costs too little to be counted, what the heap grew by is not touched
 * again, and COOL_ONCE bytes are borne once; what comes to twice the part leads to keep_most at once. No clock is read: what a
 * program keeps does not depend on how busy the machine is. */
void heap_cooled(cairn_heap *heap, size_t bytes);

/* A tick has purged so many bytes. Now and then it is judged how much of what ticks purged was touched again since: if
 * that is much, the heap's delay doubles, up to 4 times what its option says, and falls again when it is little. */
void heap_ticked(cairn_heap *heap, size_t bytes, uint64_t now);

/* How long free pools keep their pages while the program waits, ms: nothing shows that it will need them soon. 0 if they never
 * keep them. */
static inline unsigned heap_rest_delay(const cairn_heap *heap)
{
    enum { PART = 4 };
    return heap->purge_delay_ms / PART + (heap->purge_delay_ms % PART != 0);
}

/* For a wait of the program, under the heap's lock: purges and releases what is due. In a heap at rest, one that nobody used for two
 * delays of waiting, whoever waits, all that is warm is due; what is purged then is not judged, and ends what was learned. */
void heap_tick_in_wait(cairn_heap *heap);

/* A request came by a slow path. Written once for each reading of the clock: all threads read the line. */
static inline void heap_works(cairn_heap *heap, uint64_t now)
{
    if (atomic_load_explicit(&heap->worked_at, memory_order_relaxed) != now) {
        atomic_store_explicit(&heap->worked_at, now, memory_order_relaxed);
    }
}

/* Is anything due? For requests, on their slow paths. */
static inline bool heap_is_due(cairn_heap *heap)
{
    uint64_t due = atomic_load_explicit(&heap->purge_due, memory_order_relaxed);
    if (!due) {
        return false;
    }
    uint64_t now = os_clock_ms();
    heap_works(heap, now);
    return due <= now;
}

/* Takes a slot of a space. Returns its record with its slot set and the page map pointing to it, kind still POOL_SLOT and base still to come; NULL if the limit or the system forbids. With may_grow false no new arena is made. */
struct pool *arena_take(cairn_heap *heap, struct space *space, bool may_grow);

/* Makes `count` arenas of a space beforehand; with `prefault` their pages are touched. False if the system refuses. */
bool arena_reserve(cairn_heap *heap, struct space *space, size_t count, bool prefault);

/* Returns what arena_take gave. */
void arena_return(struct pool *pool);

/* Counts bytes against the limit: false if it would be passed. At a new peak, blocks that quick lists keep may become holes.
 * heap_has_room only asks. */
bool heap_has_room(const cairn_heap *heap, size_t bytes);
bool heap_hold(cairn_heap *heap, size_t bytes);
void heap_unhold(cairn_heap *heap, size_t bytes);

/* How many heaps have something to purge or release later. */
extern _Atomic(int) heaps_with_purges;

/* Notes when the next tick is due, for arenas, holes and cached mappings. */
void arena_set_due(cairn_heap *heap);

/* Purges free slots whose time has come. */
void arena_tick(cairn_heap *heap);

/* Purges all free slots and releases all free arenas. Returns bytes purged (resident or not) and released. */
size_t arena_trim(cairn_heap *heap);

/* Sorts the heap's list of arenas by address. */
void arenas_sort(cairn_heap *heap);

/* Releases every arena, whatever it holds. */
void arena_release_all(cairn_heap *heap);

/* The set of `slots` slots from `slot` on, as far as a word reaches. */
static inline uint64_t slot_mask(unsigned slot, unsigned slots)
{
    uint64_t set = slots >= SLOTS ? ~UINT64_C(0) : (UINT64_C(1) << slots) - 1;
    return slot >= SLOTS ? 0 : set << slot;
}

static inline uint64_t slot_bit(unsigned slot)
{
    return UINT64_C(1) << slot;
}

static inline uint64_t arena_all_slots(const struct arena *arena)
{
    return slot_mask(0, arena->space->slot_count);
}

/* The key the arena's free slots give it; see struct space. */
unsigned arena_key(const struct arena *arena);

#endif
