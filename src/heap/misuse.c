/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* misuse.c: see misuse.h. Formats on the stack: the heap may be damaged, so nothing here allocates. */

#include "heap/misuse.h"

#include <inttypes.h>
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

static void call_handler(const cairn_misuse *misuse)
{
    cairn_misuse_handler h = atomic_load(&handler);
    (h ? h : default_handler)(misuse);
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
    case CAIRN_MISUSE_OVERRUN:
        return "is a block whose header was overwritten (overrun)";
    case CAIRN_MISUSE_HEAP:
    case CAIRN_MISUSE_HANDLE:
    case CAIRN_MISUSE_PIN:
        break;
    }
    return "is a heap that cannot be destroyed";
}

static void describe(cairn_misuse *misuse)
{
    if (misuse->kind == CAIRN_MISUSE_HEAP) {
        return;
    }
    struct pool *pool = pagemap_get(misuse->address);
    if (!pool) {
        struct large_place place = large_find(misuse->address);
        misuse->heap = place.heap;
        misuse->block = place.base;
        misuse->block_size = place.size;
        return;
    }
    struct owner *owner = pool_owner(pool);
    misuse->heap = owner ? owner->heap : pool_arena(pool)->heap;
    switch (pool_kind_of(pool)) {
    case POOL_CLASS:
    case POOL_UNSETTLED:
        misuse->block = pool_block_start(pool, misuse->address);
        misuse->block_size = misuse->block ? pool->block_size : 0;
        break;
    case POOL_HUGE:
        misuse->block = huge_of_record(pool)->base;
        misuse->block_size = huge_of_record(pool)->size;
        break;
    case POOL_SEGMENT:
        misuse->block = large_block_at(pool, misuse->address, &misuse->block_size);
        break;
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
    call_handler(&misuse);
}

void misuse_report_handle(cairn_misuse_kind kind, const char *call, uint64_t handle, cairn_heap *heap,
                          const char *sentence)
{
    cairn_misuse misuse = {.kind = kind, .call = call, .address = (void *)(uintptr_t)handle, .expected = heap};
    char text[400];
    (void)snprintf(text, sizeof text, "cairn: %s(%#" PRIx64 "): the handle %s%s%s%s", call, handle, sentence,
                   heap ? " in heap \"" : "", heap ? cairn_heap_name(heap) : "", heap ? "\"" : "");
    misuse.text = text;
    call_handler(&misuse);
}

_Noreturn void debug_failed(const char *condition, const char *file, int line)
{
    char text[300];
    int length = snprintf(text, sizeof text, "cairn: internal error: %s does not hold at %s:%d\n", condition, file,
                          line);
    os_write_error(text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    os_abort();
}
