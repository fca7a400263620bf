/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* heap.c: heaps come and go: the default heap, creation, destruction, the registry, trim.
 *
 * Locks: the registry's, for the list of heaps; see registry.h. */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/foreign.h"
#include "heap/front.h"
#include "heap/geometry.h"
#include "heap/handle.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "heap/misuse.h"
#include "heap/options.h"
#include "heap/pagemap.h"
#include "heap/region.h"
#include "heap/registry.h"
#include "heap/remote.h"
#include "heap/supply.h"
#include "heap/sweep.h"
#include "heap/watch.h"

_Atomic(const struct heap_watch *) heap_watch;

static os_lock lock = OS_LOCK_INIT;
static cairn_heap default_heap;
static atomic_bool default_ready;
static cairn_heap *last; /* the registry's list ends here; it starts with the default heap; ids ascend */
static uint64_t last_id;

/* ---- registry ---- */

OF_REQUESTS void registry_lock(void)
{
    os_lock_take(&lock);
}

OF_REQUESTS void registry_unlock(void)
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

enum { MARK_SHIFT = 48, MARKS = 65535 }; /* above the bits of cpu_thread(); 0 is the default heap's */

static void registry_add(cairn_heap *heap)
{
    heap->id = ++last_id;
    heap->mark = heap->is_default ? 0 : (uintptr_t)(1 + heap->id % MARKS) << MARK_SHIFT;
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

enum { FIRST_FIT_FROM = 8192 }; /* see CAIRN_FIT_DEFAULT */
enum { KEEP_STEP = 5 };         /* percent, see heap_cooled */

static void heap_init(cairn_heap *heap, const cairn_heap_options *options, const cairn_geometry *geometry)
{
    heap->single = options->single;
    heap->exact = options->exact;
    heap->geometry = *geometry;
    heap->min_alignment = options->min_alignment ? options->min_alignment : geometry->alignment;
    heap->limit = options->limit;
    heap->purge_delay_ms = options->purge_delay_ms;
    heap->delay_ms = options->purge_delay_ms;
    heap->keep_percent = options->keep_percent;
    heap->keep_most = options->keep_percent <= UINT_MAX / 2 ? 2 * options->keep_percent : UINT_MAX;
    heap->keep_step = KEEP_STEP;
    heap->keep_bytes = (size_t)options->keep_percent * KEEP_BYTES_PER_PERCENT;
    if (options->name) {
        size_t length = strnlen(options->name, NAME_MAX_BYTES - 1);
        memcpy(heap->name, options->name, length);
    }
    heap->no_pools = options->no_pools;
    heap->keep_free_arenas = options->keep_free_arenas;
    geometry_apply(heap);
    heap->fit = options->fit != CAIRN_FIT_DEFAULT   ? options->fit
                : heap->pooled_end > FIRST_FIT_FROM ? CAIRN_FIT_FIRST
                                                    : CAIRN_FIT_BEST;
    heap->huge_pages = options->huge;
    os_lock_init(&heap->lock);
    heap->single_end = heap->single ? DIRECT_MAX + 1 : 0;
    owner_init(&heap->base, heap);
    heap->base.common = !heap->single;
    thread_start_heap(heap);
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
    options.fit = o->fit;
    options.no_pools = o->no_pools;
    options.huge = o->huge;
    options.exact = (o->stats != STATS_OFF && (o->stats_children || cairn_options_speaker())) ||
                    (o->leaks.on && cairn_options_speaker());
    heap_init(&default_heap, &options, &o->geometry);
    default_heap.is_default = true;
    geometry_few_from_holes(&default_heap, 0, FEW);
    owner_none.heap = &default_heap;
    thread_start();
    registry_add(&default_heap);
}

OF_REQUESTS cairn_heap *cairn_heap_default(void)
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
           options->fit <= CAIRN_FIT_DEFAULT && options->huge <= CAIRN_HUGE_ALWAYS &&
           (options->min_alignment == 0 || options->min_alignment == 8 || options->min_alignment == 16);
}

/* What belongs together and what excludes each other. */
static bool options_agree(const cairn_heap_options *options)
{
    bool reserve_fits = options->reserve <= PTRDIFF_MAX && (!options->limit || options->reserve <= options->limit);
    bool memory_fits = options->memory ? options->memory_size && !options->reserve && !options->supply
                                       : !options->memory_size;
    bool prefault_fits = !options->prefault || options->reserve || options->memory;
    bool supply_fits = !options->supply || !options->supply->meta.region;
    return reserve_fits && memory_fits && prefault_fits && supply_fits;
}

/* ---- memory beforehand ---- */

/* Reads and writes back a byte of each page. */
static void touch(void *base, size_t size)
{
    volatile char *bytes = base;
    for (size_t at = 0; at < size; at += os_page_size()) {
        bytes[at] = bytes[at];
    }
}

static bool prefault_segment(const struct hole_area *area, void *context)
{
    bool *done = context;
    if (area->kind == HOLE_AREA_SEGMENT) {
        *done = *done && os->commit(area->address, area->size);
        if (*done) {
            touch(area->address, area->size);
        }
    }
    return true;
}

static bool reserve_segments(cairn_heap *heap, size_t bytes, bool prefault)
{
    enum { AT_ONCE = 1 << 29 };
    size_t made = 0;
    while (made < bytes) {
        size_t left = bytes - made;
        if (!holes_reserve(&heap->holes, left < AT_ONCE ? left : AT_ONCE)) {
            return false;
        }
        made = heap->holes.figures.segment_bytes;
    }
    bool done = true;
    if (prefault) {
        (void)holes_visit(&heap->holes, prefault_segment, &done);
    }
    return done;
}

static bool reserve(cairn_heap *heap, size_t bytes, bool prefault)
{
    if (heap->no_pools) {
        return reserve_segments(heap, bytes, prefault);
    }
    struct space *space = &heap->spaces[SPACE_SMALL];
    return arena_reserve(heap, space, bytes / space->arena_size + (bytes % space->arena_size != 0), prefault);
}

/* Is there room for an arena, or without pools for a segment, as far as free pages can tell? Makes it, for good
 * measure. */
static bool has_room(cairn_heap *heap)
{
    return heap->no_pools ? holes_reserve(&heap->holes, 1) : arena_reserve(heap, &heap->spaces[SPACE_SMALL], 1, false);
}

/* Where the heap's records are to come from: the system, or the memory given. Returns 0 or an errno value. */
static int meta_start(struct meta *meta, const cairn_heap_options *options)
{
    if (!options->memory) {
        return 0;
    }
    meta->region = region_make(options->memory, options->memory_size);
    if (!meta->region) {
        return EINVAL;
    }
    if (options->prefault) {
        touch(meta->region->base, meta->region->pages << meta->region->page_shift);
    }
    return pagemap_prepare(meta->region->base, meta->region->pages << meta->region->page_shift) ? 0 : ENOMEM;
}

/* What a new heap has from the start. Returns 0 or an errno value. */
static int provide(cairn_heap *heap, const cairn_heap_options *options)
{
    if (options->supply) {
        registry_lock();
        bool joined = supply_join(heap, options->supply);
        registry_unlock();
        if (!joined) {
            return ENOMEM;
        }
    }
    if (heap->meta.region) {
        return has_room(heap) ? 0 : EINVAL;
    }
    return reserve(heap, options->reserve, options->prefault) ? 0 : ENOMEM;
}

cairn_heap *heap_create(const cairn_heap_options *options, bool keeps_sides)
{
    (void)cairn_heap_default();
    cairn_heap_options defaults = CAIRN_HEAP_OPTIONS_INIT;
    if (!options) {
        options = &defaults;
    }
    cairn_geometry preset;
    (void)cairn_geometry_preset("default", &preset);
    const cairn_geometry *geometry = options->geometry ? options->geometry : &preset;
    if (!options_valid(options, geometry) || !options_agree(options)) {
        errno = EINVAL;
        return NULL;
    }
    struct meta meta = {0};
    int error = meta_start(&meta, options);
    cairn_heap *heap = error ? NULL : meta_alloc(&meta, sizeof *heap);
    if (!heap) {
        errno = error ? error : meta.region ? EINVAL : ENOMEM;
        return NULL;
    }
    heap->meta = meta;
    heap->keeps_sides = keeps_sides;
    heap_init(heap, options, geometry);
    error = provide(heap, options);
    if (error) {
        heap_release(heap);
        errno = error;
        return NULL;
    }
    registry_lock();
    registry_add(heap);
    registry_unlock();
    return heap;
}

SELDOM void heap_look_at_frees(cairn_heap *heap)
{
    heap->single_end = 0;
    heap->base.end = NULL;
    owner_renew(&heap->base);
}

cairn_heap *cairn_heap_create(const cairn_heap_options *options)
{
    return heap_create(options, false);
}

void heap_release(cairn_heap *heap)
{
    handles_release(heap);
    large_release_all(heap);
    arena_release_all(heap);
    registry_lock();
    supply_leave(heap);
    registry_unlock();
    if (atomic_exchange_explicit(&heap->purge_due, 0, memory_order_relaxed)) {
        /* The system refused to take something back, which stays mapped. */
        atomic_fetch_sub_explicit(&heaps_with_purges, 1, memory_order_relaxed);
    }
    struct meta meta = heap->meta; /* the heap itself may lie in it */
    meta_release(&meta);
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
    heap_release(heap);
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

/* Ends the pass that is on its way, and makes one. */
static void sweep_whole(struct owner *owner, size_t *bytes)
{
    if (owner->sweep.running) {
        (void)owner_sweep(owner, SIZE_MAX, true, bytes);
    }
    (void)owner_sweep(owner, SIZE_MAX, true, bytes);
}

size_t cairn_trim(cairn_heap *heap)
{
    size_t bytes = 0;
    struct owner *owner = heap->single ? &heap->base : thread_owner_if_any(heap);
    if (owner) {
        remote_flush(owner);
        foreign_send(owner, owner, NULL);
        owner_drain(owner);
        owner_return_idle(owner);
        sweep_whole(owner, &bytes);
    }
    os_lock_take(&heap->lock);
    if (!heap->single) {
        sweep_whole(&heap->base, &bytes);
    }
    bytes += large_give_back(heap);
    os_lock_give(&heap->lock);
    return bytes;
}

/* ---- giving back while the program waits ---- */

enum { CLOCK_GRAIN_MS = 10 }; /* more than os_clock_ms() may lag */

/* A tick that comes two delays late purges all that lies idle; the shortest such wait of any heap there was. */
static _Atomic(unsigned) idle_ms = UINT_MAX;

static void note_idle_ms(const cairn_heap *heap)
{
    uint64_t wait = 2 * (uint64_t)heap_rest_delay(heap) + CLOCK_GRAIN_MS;
    if (heap->purge_delay_ms && wait < atomic_load_explicit(&idle_ms, memory_order_relaxed)) {
        atomic_store_explicit(&idle_ms, (unsigned)wait, memory_order_relaxed);
    }
}

unsigned heap_idle_ms(bool anyway)
{
    bool pending = anyway || atomic_load_explicit(&heaps_with_purges, memory_order_relaxed) > 0;
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
                heap_tick_in_wait(heap);
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
