/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* heap.c: heaps come and go: the default heap, creation, destruction, the registry, trim.
 *
 * Locks: the registry's, for the list of heaps; see registry.h. */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/front.h"
#include "heap/geometry.h"
#include "heap/handle.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/misuse.h"
#include "heap/options.h"
#include "heap/registry.h"
#include "heap/remote.h"

static os_lock lock = OS_LOCK_INIT;
static cairn_heap default_heap;
static atomic_bool default_ready;
static cairn_heap *last; /* the registry's list ends here; it starts with the default heap; ids ascend */
static uint64_t last_id;

/* ---- registry ---- */

void registry_lock(void)
{
    os_lock_take(&lock);
}

void registry_unlock(void)
{
    os_lock_give(&lock);
}

cairn_heap *registry_first(void)
{
    return last ? &default_heap : NULL;
}

/* The first live heap with at least this id. */
static cairn_heap *registry_from(uint64_t id)
{
    cairn_heap *heap = registry_first();
    while (heap && heap->id < id) {
        heap = heap->next;
    }
    return heap;
}

cairn_heap *registry_find(uint64_t id)
{
    cairn_heap *heap = registry_from(id);
    return heap && heap->id == id ? heap : NULL;
}

static void note_idle_ms(const cairn_heap *heap);

static void registry_add(cairn_heap *heap)
{
    heap->id = ++last_id;
    note_idle_ms(heap);
    heap->prev = last;
    heap->next = NULL;
    if (last) {
        last->next = heap;
    }
    last = heap;
}

static void registry_remove(cairn_heap *heap)
{
    heap->prev->next = heap->next; /* the default heap is first and stays */
    *(heap->next ? &heap->next->prev : &last) = heap->prev;
}

bool cairn_heaps_visit(bool (*visitor)(cairn_heap *heap, void *context), void *context)
{
    (void)cairn_heap_default();
    uint64_t id = 0;
    for (;;) {
        registry_lock();
        cairn_heap *heap = registry_from(id + 1);
        registry_unlock();
        if (!heap) {
            return true;
        }
        id = heap->id;
        if (!visitor(heap, context)) {
            return false;
        }
    }
}

/* ---- creation ---- */

static void heap_init(cairn_heap *heap, const cairn_heap_options *options, const cairn_geometry *geometry)
{
    heap->single = options->single;
    heap->exact = options->exact;
    heap->geometry = *geometry;
    heap->min_alignment = options->min_alignment ? options->min_alignment : geometry->alignment;
    heap->limit = options->limit;
    heap->purge_delay_ms = options->purge_delay_ms;
    heap->keep_percent = options->keep_percent;
    if (options->name) {
        size_t length = strnlen(options->name, NAME_MAX_BYTES - 1);
        memcpy(heap->name, options->name, length);
    }
    heap->fit = options->fit;
    heap->no_pools = options->no_pools;
    geometry_apply(heap);
    os_lock_init(&heap->lock);
    owner_init(&heap->base, heap);
    heap->base.common = !heap->single;
    large_init(heap);
}

static void start_default(void)
{
    const struct options *o = cairn_options();
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = "default";
    options.min_alignment = 16;
    options.limit = o->limit;
    options.purge_delay_ms = o->purge_delay_ms;
    options.exact = o->stats != STATS_OFF && (o->stats_children || cairn_options_speaker());
    heap_init(&default_heap, &options, &o->geometry);
    default_heap.is_default = true;
    owner_none.heap = &default_heap;
    thread_start();
    registry_add(&default_heap);
}

cairn_heap *cairn_heap_default(void)
{
    if (UNLIKELY(!atomic_load_explicit(&default_ready, memory_order_acquire))) {
        registry_lock();
        if (!atomic_load_explicit(&default_ready, memory_order_relaxed)) {
            start_default();
            atomic_store_explicit(&default_ready, true, memory_order_release);
        }
        registry_unlock();
    }
    return &default_heap;
}

void heap_start(void)
{
    (void)cairn_heap_default();
}

static bool options_valid(const cairn_heap_options *options, const cairn_geometry *geometry)
{
    return options->struct_size == sizeof *options && !cairn_geometry_error(geometry) &&
           options->fit <= CAIRN_FIT_WORST &&
           (options->min_alignment == 0 || options->min_alignment == 8 || options->min_alignment == 16);
}

cairn_heap *cairn_heap_create(const cairn_heap_options *options)
{
    (void)cairn_heap_default();
    cairn_heap_options defaults = CAIRN_HEAP_OPTIONS_INIT;
    if (!options) {
        options = &defaults;
    }
    cairn_geometry preset;
    (void)cairn_geometry_preset("default", &preset);
    const cairn_geometry *geometry = options->geometry ? options->geometry : &preset;
    if (!options_valid(options, geometry)) {
        errno = EINVAL;
        return NULL;
    }
    struct meta meta = {0};
    cairn_heap *heap = meta_alloc(&meta, sizeof *heap);
    if (!heap) {
        errno = ENOMEM;
        return NULL;
    }
    heap->meta = meta;
    heap_init(heap, options, geometry);
    registry_lock();
    registry_add(heap);
    registry_unlock();
    return heap;
}

void cairn_heap_destroy(cairn_heap *heap)
{
    if (!heap) {
        return;
    }
    if (heap->is_default) {
        misuse_report(CAIRN_MISUSE_HEAP, "destroy", heap, heap);
        return;
    }
    registry_lock();
    registry_remove(heap);
    registry_unlock();
    handles_release(heap);
    large_release_all(heap);
    arena_release_all(heap);
    if (atomic_exchange_explicit(&heap->purge_due, 0, memory_order_relaxed)) {
        /* The system refused to take something back, which stays mapped. */
        atomic_fetch_sub_explicit(&heaps_with_purges, 1, memory_order_relaxed);
    }
    struct meta meta = heap->meta; /* the heap itself lies in it */
    meta_release(&meta);
}

const char *cairn_heap_name(const cairn_heap *heap)
{
    return heap->name;
}

void cairn_heap_geometry(const cairn_heap *heap, cairn_geometry *geometry)
{
    *geometry = heap->geometry;
}

/* ---- trim ---- */

size_t cairn_trim(cairn_heap *heap)
{
    struct owner *owner = heap->single ? &heap->base : thread_owner_if_any(heap);
    if (owner) {
        remote_flush(owner);
        owner_drain(owner);
        owner_return_idle(owner);
    }
    os_lock_take(&heap->lock);
    size_t bytes = handles_trim(heap) + large_trim(heap) + arena_trim(heap);
    os_lock_give(&heap->lock);
    return bytes;
}

/* ---- giving back while the program waits ---- */

enum { CLOCK_GRAIN_MS = 10 }; /* more than os_clock_ms() may lag */

/* A tick that comes two delays late purges all that lies idle; the shortest such wait of any heap there was. */
static _Atomic(unsigned) idle_ms = UINT_MAX;

static void note_idle_ms(const cairn_heap *heap)
{
    uint64_t wait = 2 * (uint64_t)heap->purge_delay_ms + CLOCK_GRAIN_MS;
    if (heap->purge_delay_ms && wait < atomic_load_explicit(&idle_ms, memory_order_relaxed)) {
        atomic_store_explicit(&idle_ms, (unsigned)wait, memory_order_relaxed);
    }
}

unsigned heap_idle_ms(void)
{
    bool pending = atomic_load_explicit(&heaps_with_purges, memory_order_relaxed) > 0;
    return pending ? atomic_load_explicit(&idle_ms, memory_order_relaxed) : 0;
}

void heap_idle_tick(void)
{
    if (!os_lock_try(&lock)) {
        return;
    }
    for (cairn_heap *heap = registry_first(); heap; heap = heap->next) {
        if (atomic_load_explicit(&heap->purge_due, memory_order_relaxed) && os_lock_try(&heap->lock)) {
            if (!heap->quiet) {
                large_tick(heap);
                arena_tick(heap);
            }
            os_lock_give(&heap->lock);
        }
    }
    os_lock_give(&lock);
}

void heap_set_quiet(cairn_heap *heap, bool quiet)
{
    os_lock_take(&heap->lock);
    heap->quiet = quiet;
    os_lock_give(&heap->lock);
}

const char *cairn_version(void)
{
    return CAIRN_VERSION_STRING;
}
