/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* meta.c: see meta.h. A chunk is a header and records laid one after the other; pages are touched as they are used. */

#include "heap/meta.h"

#include <string.h>

#include "heap/region.h"

enum { META_CHUNK = 256 * 1024, META_CHUNK_IN_REGION = 16 * 1024, META_ALIGN = 128 };

static size_t round_up(size_t size)
{
    return (size + META_ALIGN - 1) & ~(size_t)(META_ALIGN - 1);
}

/* The spare records of that size; with `make` a list is begun for it if there is none. */
static struct meta_free **spare_list(struct meta *meta, size_t size, bool make)
{
    for (int i = 0; i < META_SIZES; i++) {
        if (meta->spare[i].size == 0 && make) {
            meta->spare[i].size = size;
        }
        if (meta->spare[i].size == size) {
            return &meta->spare[i].list;
        }
    }
    return NULL;
}

static bool add_chunk(struct meta *meta, size_t need)
{
    size_t size = meta->region ? META_CHUNK_IN_REGION : META_CHUNK;
    while (size < need + META_ALIGN) {
        size *= 2;
    }
    struct meta_chunk *chunk = meta->region ? region_take_last(meta->region, size) : os->reserve(size, os_page_size());
    if (!chunk) {
        return false;
    }
    if (!source_commit(meta->region, chunk, size)) {
        (void)source_release(meta->region, chunk, size);
        return false;
    }
    if (meta->region) {
        memset(chunk, 0, size);
    }
    chunk->next = meta->chunks;
    chunk->size = size;
    chunk->used = META_ALIGN;
    meta->chunks = chunk;
    meta->bytes += META_ALIGN;
    return true;
}

void *meta_alloc(struct meta *meta, size_t size)
{
    size = round_up(size);
    struct meta_free **list = spare_list(meta, size, false);
    if (list && *list) {
        struct meta_free *record = *list;
        *list = record->next;
        return memset(record, 0, size);
    }
    if ((!meta->chunks || meta->chunks->size - meta->chunks->used < size) && !add_chunk(meta, size)) {
        return NULL;
    }
    char *record = (char *)meta->chunks + meta->chunks->used;
    meta->chunks->used += size;
    meta->bytes += size;
    return record;
}

void meta_free(struct meta *meta, void *record, size_t size)
{
    struct meta_free **list = spare_list(meta, round_up(size), true);
    if (list) {
        struct meta_free *spare = record;
        spare->next = *list;
        *list = spare;
    }
}

SELDOM void meta_release(struct meta *meta)
{
    struct meta_chunk *chunk = meta->chunks;
    while (chunk) {
        struct meta_chunk *next = chunk->next;
        if (!meta->region) {
            os->release(chunk, chunk->size);
        }
        chunk = next;
    }
}
