/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* supply.h: wholly free arenas on their way between heaps that share them. An arena in a supply belongs to no heap: it
 * holds no pages (they were purged) and counts in no heap's figures and limit, so that only its addresses, and the cost
 * of reserving them again, are kept.
 *
 * A supply is made when the second heap joins the first and goes, with all that is in it, when the last one leaves.
 *
 * Locks: a supply's own, taken with the lock of the heap that gives or takes held, and nothing is locked inside it. A
 * heap that is destroyed does not touch it but by supply_leave(); joining and leaving happen under the registry's lock.
 * So whoever holds the registry's and all heaps' locks (a fork) knows it to be free. */

#ifndef CAIRN_HEAP_SUPPLY_H
#define CAIRN_HEAP_SUPPLY_H

#include "heap/types.h"

/* Makes `heap`, not yet public, share the supply of `other`, which gets one if it has none. False if the system has no
 * memory. Takes the lock of `other`. */
bool supply_join(cairn_heap *heap, cairn_heap *other);

/* The heap shares its supply no longer. */
void supply_leave(cairn_heap *heap);

/* Bytes that will go back to the system when the last heap of a supply (which may be NULL) leaves it; 0 if there are
 * others. Nobody may be using the supply. */
size_t supply_last_bytes(const struct supply *supply);

/* An arena of `size` bytes, in the page map, its pages zero and not resident; NULL if there is none (`supply` may be
 * NULL). */
void *supply_take(struct supply *supply, size_t size);

/* Takes in an arena that no heap has any more. False, and nothing has changed but that its pages may be purged, if
 * there is no supply, it is full or the system does not purge. */
bool supply_give(struct supply *supply, void *base, size_t size);

/* Gives all arenas in the supply (which may be NULL) back to the system. Returns their bytes. */
size_t supply_trim(struct supply *supply);

#endif
