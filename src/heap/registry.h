/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* registry.h: the list of all live heaps, the default heap first. One lock, which ranks before every heap's. */

#ifndef CAIRN_HEAP_REGISTRY_H
#define CAIRN_HEAP_REGISTRY_H

#include "heap/types.h"

void registry_lock(void);
void registry_unlock(void);

/* With the lock held: the first heap (the others follow by `next`), or the live heap with an id, or NULL. */
cairn_heap *registry_first(void);
cairn_heap *registry_find(uint64_t id);

#endif
