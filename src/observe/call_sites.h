/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* call_sites.h: where the live blocks of exact heaps came from: for each block the bytes asked for and its call site, a
 * chain of return addresses outside Cairn, of which the first few are kept.
 *
 * One lock, the innermost of all: the watcher's functions may be called with a heap's lock held. It is held across a
 * fork (heap/watch.h). Memory comes from the OS layer; when there is none left, blocks go unrecorded. */

#ifndef CAIRN_OBSERVE_CALL_SITES_H
#define CAIRN_OBSERVE_CALL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"
#include "heap/options.h"

enum { SITE_FRAMES_MAX = LEAKS_FRAMES_MAX };

/* Sites that are none. */
enum {
    SITE_EARLY,   /* given before the watch began, or to the dynamic linker: no doing of the program */
    SITE_UNKNOWN, /* no frames, or no memory to record them */
    SITE_FIRST    /* the first real one */
};

struct call_site {
    size_t blocks, bytes; /* for whoever counts: bytes asked for */
    void *frames[];       /* call_sites_frames() of them, innermost first; NULL behind the last */
};

/* Begins to watch, with chains of at most `frames` (1 to SITE_FRAMES_MAX); blocks that the default heap has given by now
 * are noted as early. Idempotent: a second call changes nothing. False if memory is short. No other thread may be using
 * the default heap, and the first call may allocate. */
bool call_sites_start(unsigned frames);

bool call_sites_started(void);

/* Finds a block's site and the bytes asked for (for an early one, 0). False if it is not recorded: it is not live, or of
 * a heap without `exact`. */
bool call_sites_find(const void *block, uint32_t *site, size_t *asked);

/* The number of sites, SITE_FIRST and those before it included, one of them, and the most frames of each. Only while no
 * thread allocates. */
size_t call_sites_count(void);
struct call_site *call_sites_at(size_t index);
unsigned call_sites_frames(void);

/* Bytes that the records take. */
size_t call_sites_bytes(void);

#endif
