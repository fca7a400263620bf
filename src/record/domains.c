/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* domains.c: recording functions around the allocators of CPython's domains. Each domain's own allocator is kept in
 * `inner`, which is the context of the functions put around it. Written before the domain's first request, only read
 * afterwards; no locks. */

#include "record/record.h"

#if defined(CAIRN_RECORD)

enum { DOMAINS = CAIRN_DOMAIN_OBJECT + 1 };

struct inner {
    cairn_allocator allocator;
    enum record_domain domain;
};

static struct inner inner[DOMAINS];

static void *wrapped_malloc(void *context, size_t size)
{
    const struct inner *to = context;
    void *block = to->allocator.malloc(to->allocator.context, size);
    record_alloc(block, to->domain, size);
    return block;
}

static void *wrapped_calloc(void *context, size_t count, size_t size)
{
    const struct inner *to = context;
    void *block = to->allocator.calloc(to->allocator.context, count, size);
    record_alloc_zeroed(block, to->domain, count, size);
    return block;
}

static void *wrapped_realloc(void *context, void *block, size_t size)
{
    const struct inner *to = context;
    if (block == NULL) {
        return wrapped_malloc(context, size);
    }
    record_resize(block);
    void *fresh = to->allocator.realloc(to->allocator.context, block, size);
    record_resized(fresh, to->domain, size);
    return fresh;
}

static void wrapped_free(void *context, void *block)
{
    const struct inner *to = context;
    record_free(block);
    to->allocator.free(to->allocator.context, block);
}

void record_wrap(cairn_domain domain, cairn_allocator *allocator)
{
    inner[domain].allocator = *allocator;
    inner[domain].domain = (enum record_domain)(RECORD_PYTHON_RAW + (int)domain);
    *allocator = (cairn_allocator){&inner[domain], wrapped_malloc, wrapped_calloc, wrapped_realloc, wrapped_free};
}

#endif
