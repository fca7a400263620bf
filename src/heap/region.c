/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* region.c: see region.h. Runs are searched page by page from the start: they are taken and given back as rarely as
 * the system is asked for memory elsewhere. */

#include "heap/region.h"

#include <string.h>

static bool page_is_used(const struct region *region, size_t page)
{
    return region->used[page / 64] >> (page % 64) & 1;
}

static void set_pages(struct region *region, size_t from, size_t to, bool used)
{
    for (size_t page = from; page < to; page++) {
        uint64_t bit = UINT64_C(1) << (page % 64);
        region->used[page / 64] = used ? region->used[page / 64] | bit : region->used[page / 64] & ~bit;
    }
}

static size_t pages_of(const struct region *region, size_t size)
{
    return (size >> region->page_shift) + ((size & (((size_t)1 << region->page_shift) - 1)) != 0);
}

struct region *region_make(void *memory, size_t size)
{
    size_t page = os_page_size();
    uintptr_t from = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)memory + size) & ~(page - 1);
    if (from < (uintptr_t)memory || from >= to || size >= (size_t)PTRDIFF_MAX) {
        return NULL;
    }
    size_t pages = (to - from) / page;
    size_t own = sizeof(struct region) + (pages / 64 + 1) * sizeof(uint64_t);
    if (own > to - from) {
        return NULL;
    }
    struct region *region = memset((void *)from, 0, own);
    region->base = (char *)from;
    region->pages = pages;
    region->page_shift = (unsigned)__builtin_ctzll(page);
    set_pages(region, 0, pages_of(region, own), true);
    return region;
}

/* Where the run of free pages from `from` on ends, looking no further than `limit`. */
static size_t run_end(const struct region *region, size_t from, size_t limit)
{
    while (from < limit && !page_is_used(region, from)) {
        from++;
    }
    return from;
}

/* The first page at or behind `page` whose address is a multiple of `alignment`. */
static size_t align_page(const struct region *region, size_t page, size_t alignment)
{
    uintptr_t address = (uintptr_t)region->base + (page << region->page_shift);
    return page + (((-address) & (alignment - 1)) >> region->page_shift);
}

void *region_take(struct region *region, size_t size, size_t alignment)
{
    size_t count = pages_of(region, size);
    size_t at = align_page(region, 0, alignment);
    while (at < region->pages && count <= region->pages - at) {
        size_t end = run_end(region, at, at + count);
        if (end == at + count) {
            set_pages(region, at, end, true);
            return region->base + (at << region->page_shift);
        }
        at = align_page(region, end + 1, alignment);
    }
    return NULL;
}

void *region_take_last(struct region *region, size_t size)
{
    size_t count = pages_of(region, size);
    size_t end = region->pages;
    for (size_t at = end; at-- > 0 && count <= end;) {
        if (page_is_used(region, at)) {
            end = at;
        } else if (end - at == count) {
            set_pages(region, at, end, true);
            return region->base + (at << region->page_shift);
        }
    }
    return NULL;
}

void region_give(struct region *region, const void *address, size_t size)
{
    size_t from = (size_t)((const char *)address - region->base) >> region->page_shift;
    set_pages(region, from, from + pages_of(region, size), false);
}

size_t region_longest(const struct region *region)
{
    size_t longest = 0;
    for (size_t at = 0; at < region->pages; at++) {
        size_t end = run_end(region, at, region->pages);
        longest = end - at > longest ? end - at : longest;
        at = end;
    }
    return longest << region->page_shift;
}

size_t region_free(const struct region *region)
{
    size_t pages = 0;
    for (size_t page = 0; page < region->pages; page++) {
        pages += !page_is_used(region, page);
    }
    return pages << region->page_shift;
}
