/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* residency.h: which bytes of a region are resident, for a reader that goes through the region from its start to its
 * end. The system is asked once for each window of pages. No locks, no allocation; what is resident may change
 * meanwhile. */

#ifndef CAIRN_OBSERVE_RESIDENCY_H
#define CAIRN_OBSERVE_RESIDENCY_H

#include <stddef.h>
#include <stdint.h>

enum { WINDOW_PAGES = 1024 };

struct residency {
    uintptr_t start, end;     /* the region: whole pages */
    uintptr_t window, beyond; /* the pages that `set` tells of; window == beyond: none yet */
    uint64_t set[WINDOW_PAGES / 64];
};

/* Begins with a region of whole pages, reserved from the system. */
void residency_begin(struct residency *residency, const void *base, size_t size);

/* The bytes of [address, address + size), inside the region, that lie in resident pages. */
size_t residency_of(struct residency *residency, const void *address, size_t size);

#endif
