/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fragmentation.h: where a heap's resident bytes are, and the statistics that go with it. */

#ifndef CAIRN_OBSERVE_FRAGMENTATION_H
#define CAIRN_OBSERVE_FRAGMENTATION_H

#include "cairn.h"

/* Fills all of *fragmentation but what only the heap's counters tell: live_bytes, internal_bytes and the ratio of the
 * two are left 0. The heap's lock is held. */
void fragmentation_walk(const cairn_heap *heap, cairn_fragmentation *fragmentation);

/* Both at one moment: what cairn_heap_stats() and cairn_heap_fragmentation() fill. Takes the heap's lock. (stats.c) */
void stats_collect(cairn_heap *heap, cairn_stats *stats, cairn_fragmentation *fragmentation);

#endif
