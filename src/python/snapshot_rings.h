/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_rings.h: walks over the rings of an analysis (snapshot_analysis.h), in many places at a time.
 *
 * The next head of a ring is known only when this one has come from memory, and in a heap that has lived for a while
 * every one is a miss: a walk from one end waits for one at a time. But any tracked object is a way into its ring. So
 * the first walk starts further *lanes* at objects that those found refer to; a lane ends where another began. Each
 * lane notes its way in *stretches* of equal length, which put together are the rings in order, and which the second
 * walk takes many at a time. */

#ifndef CAIRN_PYTHON_SNAPSHOT_RINGS_H
#define CAIRN_PYTHON_SNAPSHOT_RINGS_H

#include "python/snapshot_scan.h"

/* Sets the byte of every object in the rings to its count. Returns COMPLETE, NO_MEMORY, or UNSOUND. */
enum snapshot_status snapshot_rings_find(struct snapshot_scan *scan);

/* Calls note(context, object) for objects whose byte is COUNT_ZERO, in the order of the rings, until *left is 0. False
 * if there is no memory. */
bool snapshot_rings_walk(struct snapshot_scan *scan, void (*note)(void *context, uintptr_t object), void *context,
                         const size_t *left);

#endif
