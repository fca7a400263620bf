/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* request.h: requests of C and C++ programs: those of heap/front.h, each with its event for `cairn record`, which is
 * nothing outside libcairn-record.so. No locks here; see heap/front.h and record/record.h. */

#ifndef CAIRN_MALLOC_REQUEST_H
#define CAIRN_MALLOC_REQUEST_H

#include "heap/front.h"
#include "record/record.h"

static inline void *request_alloc(size_t size)
{
    void *block = front_alloc(size);
    record_alloc(block, RECORD_MALLOC, size);
    return block;
}

static inline void *request_calloc(size_t count, size_t size)
{
    void *block = front_calloc(count, size);
    record_alloc_zeroed(block, RECORD_MALLOC, count, size);
    return block;
}

static inline void *request_alloc_aligned(size_t alignment, size_t size)
{
    void *block = front_alloc_aligned(alignment, size);
    record_alloc_aligned(block, alignment, size);
    return block;
}

static inline void request_free(void *block)
{
    record_free(block);
    front_free(block);
}

static inline void *request_realloc(void *block, size_t size)
{
    if (block == NULL) {
        return request_alloc(size);
    }
    record_resize(block);
    void *fresh = front_realloc(block, size);
    record_resized(fresh, RECORD_MALLOC, size);
    return fresh;
}

#endif
