/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* huge_pages.h: where memory lies so that the system can back it by huge pages, and what it is told about that.
 * docs/design/huge-pages.md says why.
 *
 * Two kinds of memory: that of a block mapped on its own (large.c), which is used and given back as a whole, and that
 * which many blocks share (arenas, segments), of which single pages are purged. By `auto` the former gets huge pages,
 * unless it is asked for as zeros, and of the latter the system is told nothing; `never` and `always` hold for both.
 * Memory of a region is the caller's: nothing is said about it.
 *
 * Nothing here may fail: advice that the system refuses changes nothing. */

#ifndef CAIRN_HEAP_HUGE_PAGES_H
#define CAIRN_HEAP_HUGE_PAGES_H

#include "heap/types.h"

enum { HUGE_PAGE = 2 * 1024 * 1024 }; /* on x86-64, and on arm64 with pages of 4 KiB */

/* How a reservation of `size` bytes that is to be aligned to `alignment` is aligned if it may get huge pages. */
static inline size_t huge_pages_align(size_t size, size_t alignment)
{
    return size >= HUGE_PAGE && alignment < HUGE_PAGE ? HUGE_PAGE : alignment;
}

/* Tells the system of memory just reserved for many blocks. */
static inline void huge_pages_shared(cairn_huge huge, void *base, size_t size)
{
    if (huge != CAIRN_HUGE_AUTO) {
        os->advise_huge(base, size, huge == CAIRN_HUGE_ALWAYS);
    }
}

#endif
