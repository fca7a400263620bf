/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* misuse.c: see misuse.h. Formats on the stack: the heap may be damaged, so nothing here allocates. */

#include "heap/misuse.h"

#include <stdio.h>
#include <string.h>

#include "heap/debug.h"
#include "heap/large.h"
#include "heap/options.h"
#include "heap/owner.h"

static _Atomic(cairn_misuse_handler) handler;

static void default_handler(const cairn_misuse *misuse)
{
    os_write_error(misuse->text, strlen(misuse->text));
    os_write_error("\n", 1);
    if (!cairn_options()->misuse_reports) {
        os_abort();
    }
}

cairn_misuse_handler cairn_set_misuse_handler(cairn_misuse_handler replacement)
{
    cairn_misuse_handler old = atomic_exchange(&handler, replacement ? replacement : default_handler);
    return old ? old : default_handler;
}

static const char *sentence(cairn_misuse_kind kind)
{
    switch (kind) {
    case CAIRN_MISUSE_FOREIGN:
        return "is no address that Cairn gave out";
    case CAIRN_MISUSE_DOUBLE_FREE:
        return "is free already (double free)";
    case CAIRN_MISUSE_INTERIOR:
        return "is not the start of a block";
    case CAIRN_MISUSE_WRONG_HEAP:
        return "belongs to another heap";
    case CAIRN_MISUSE_HEAP:
        break;
    }
    return "is a heap that cannot be destroyed";
}

static void describe(cairn_misuse *misuse)
{
    if (misuse->kind == CAIRN_MISUSE_HEAP) {
        return;
    }
    const struct pool *pool = pagemap_get(misuse->address);
    if (!pool) {
        struct large_place place = large_find(misuse->address);
        misuse->heap = place.heap;
        misuse->block = place.base;
        misuse->block_size = place.size;
        return;
    }
    struct owner *owner = pool_owner(pool);
    misuse->heap = pool->arena ? pool->arena->heap : owner ? owner->heap : NULL;
    switch (pool_kind_of(pool)) {
    case POOL_CLASS:
        misuse->block = pool_block_start(pool, misuse->address);
        misuse->block_size = misuse->block ? pool->block_size : 0;
        break;
    case POOL_RUN:
    case POOL_HUGE:
        misuse->block = pool->base;
        misuse->block_size = pool->size;
        break;
    case POOL_SEGMENT:
    case POOL_SLOT:
        break;
    }
}

void misuse_report(cairn_misuse_kind kind, const char *call, const void *address, cairn_heap *expected)
{
    cairn_misuse misuse = {.kind = kind, .call = call, .address = address, .expected = expected};
    char text[400];
    char block[96] = "";
    char heap[96] = "";
    describe(&misuse);
    if (misuse.block) {
        ptrdiff_t offset = (const char *)address - (const char *)misuse.block;
        (void)snprintf(block, sizeof block, "; block %p of %zu bytes, offset %td", misuse.block, misuse.block_size,
                       offset);
    } else if (misuse.heap) {
        (void)snprintf(block, sizeof block, "; memory without a block");
    }
    if (misuse.heap) {
        const char *name = cairn_heap_name(misuse.heap);
        (void)snprintf(heap, sizeof heap, " in heap \"%s\"%s%s%s", name,
                       expected && expected != misuse.heap ? ", not \"" : "",
                       expected && expected != misuse.heap ? cairn_heap_name(expected) : "",
                       expected && expected != misuse.heap ? "\"" : "");
    }
    (void)snprintf(text, sizeof text, "cairn: %s(%p): the address %s%s%s", call, address, sentence(kind), block, heap);
    misuse.text = text;
    cairn_misuse_handler h = atomic_load(&handler);
    (h ? h : default_handler)(&misuse);
}

_Noreturn void debug_failed(const char *condition, const char *file, int line)
{
    char text[300];
    int length = snprintf(text, sizeof text, "cairn: internal error: %s does not hold at %s:%d\n", condition, file,
                          line);
    os_write_error(text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    os_abort();
}
