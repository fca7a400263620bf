/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* domain.c: CPython's three allocator domains over Cairn's heaps (PEP 445). All three start on the default heap.
 * The table is plain data: setting an allocator is [quiet]. */

#include <errno.h>
#include <string.h>

#include "heap/front.h"

static void *heap_malloc(void *context, size_t size)
{
    return cairn_alloc(context, size);
}

static void *heap_calloc(void *context, size_t count, size_t size)
{
    return cairn_calloc(context, count, size);
}

static void *heap_realloc(void *context, void *block, size_t size)
{
    return cairn_realloc(context, block, size);
}

static void heap_free(void *context, void *block)
{
    cairn_free(context, block);
}

void cairn_heap_allocator(cairn_heap *heap, cairn_allocator *allocator)
{
    *allocator = (cairn_allocator){heap, heap_malloc, heap_calloc, heap_realloc, heap_free};
}

enum { DOMAINS = CAIRN_DOMAIN_OBJECT + 1 };

static cairn_allocator domains[DOMAINS]; /* malloc NULL: the default heap's */

static cairn_allocator current(cairn_domain domain)
{
    cairn_allocator allocator = domains[domain];
    if (!allocator.malloc) {
        cairn_heap_allocator(cairn_heap_default(), &allocator);
    }
    return allocator;
}

static bool known(cairn_domain domain)
{
    return (unsigned)domain < DOMAINS;
}

int cairn_get_allocator(cairn_domain domain, cairn_allocator *allocator)
{
    if (!known(domain)) {
        return EINVAL;
    }
    *allocator = current(domain);
    return 0;
}

int cairn_set_allocator(cairn_domain domain, const cairn_allocator *allocator)
{
    if (!known(domain) || !allocator->malloc || !allocator->calloc || !allocator->realloc || !allocator->free) {
        return EINVAL;
    }
    domains[domain] = *allocator;
    return 0;
}

void *cairn_domain_malloc(cairn_domain domain, size_t size)
{
    if (!known(domain) || size > PTRDIFF_MAX) {
        return NULL;
    }
    cairn_allocator a = current(domain);
    return a.malloc(a.context, size);
}

void *cairn_domain_calloc(cairn_domain domain, size_t count, size_t size)
{
    size_t bytes;
    if (!known(domain) || __builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        return NULL;
    }
    cairn_allocator a = current(domain);
    return a.calloc(a.context, count, size);
}

void *cairn_domain_realloc(cairn_domain domain, void *block, size_t size)
{
    if (!known(domain) || size > PTRDIFF_MAX) {
        return NULL;
    }
    cairn_allocator a = current(domain);
    return a.realloc(a.context, block, size);
}

void cairn_domain_free(cairn_domain domain, void *block)
{
    if (known(domain)) {
        cairn_allocator a = current(domain);
        a.free(a.context, block);
    }
}
