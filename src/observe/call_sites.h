/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* call_sites.h: where the live blocks of exact heaps came from: for each block the bytes asked for and its call site, a
 * chain of at most SITE_FRAMES return addresses outside Cairn.
 *
 * One lock, the innermost of all: the watcher's functions may be called with a heap's lock held. It is held across a
 * fork (heap/watch.h). Memory comes from the OS layer; when there is none left, blocks go unrecorded. */

#ifndef CAIRN_OBSERVE_CALL_SITES_H
#define CAIRN_OBSERVE_CALL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

enum { SITE_FRAMES = 8 };

/* Sites that are none. */
enum {
    SITE_EARLY,   /* given before the watch began, or to the dynamic linker: no doing of the program */
    SITE_UNKNOWN, /* no frames, or no memory to record them */
    SITE_FIRST    /* the first real one */
};

struct call_site {
    void *frames[SITE_FRAMES]; /* innermost first; NULL behind the last */
    size_t blocks, bytes;      /* for whoever counts: bytes asked for */
};

/* Begins to watch; blocks that the default heap has given by now are noted as early. Idempotent. False if memory is
 * short. No other thread may be using the default heap, and the first call may allocate. */
bool call_sites_start(void);

bool call_sites_started(void);

/* Finds a block's site and the bytes asked for (for an early one, 0). False if it is not recorded: it is not live, or
 * of
 * a heap without `exact`. */
bool call_sites_find(const void *block, uint32_t *site, size_t *asked);

/* The sites, SITE_FIRST and those before it included; *count is their number. Only while no thread allocates. */
struct call_site *call_sites_all(size_t *count);

/* Bytes that the records take. */
size_t call_sites_bytes(void);

#endif
