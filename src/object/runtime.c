/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* runtime.c: runtimes come; the safe point; errors, messages, statistics. How they go is in end.c.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "heap/front.h"
#include "heap/large.h"
#include "heap/meta.h"

/* ---- errors and messages ---- */

int runtime_error(cairn_runtime *runtime, int error, const char *text)
{
    size_t length = strnlen(text, ERROR_BYTES - 1);
    memcpy(runtime->error, text, length);
    runtime->error[length] = 0;
    errno = error;
    return error;
}

const char *cairn_runtime_error(const cairn_runtime *runtime)
{
    return runtime->error;
}

void cairn_set_unraisable(cairn_runtime *runtime, cairn_unraisable_hook hook, void *arg)
{
    CHECK_GIL(runtime, "set_unraisable");
    runtime->unraisable = hook;
    runtime->unraisable_arg = arg;
}

void cairn_unraisable(cairn_runtime *runtime, const char *message, cairn_object *object)
{
    CHECK_GIL(runtime, "unraisable");
    if (runtime->unraisable) {
        runtime->unraisable(runtime, message, object, runtime->unraisable_arg);
        return;
    }
    char description[128] = "";
    if (object) {
        (void)cairn_object_repr(object, description, sizeof description);
    }
    (void)fprintf(stderr, "cairn: %s%s%s\n", message, object ? ": " : "", description);
}

/* ---- creation ---- */

static bool options_valid(const cairn_runtime_options *options)
{
    return options->struct_size == sizeof *options && options->sweep_most > 0 &&
           (!options->heap || options->heap->struct_size == sizeof(cairn_heap_options));
}

static bool process_is_hostile(void)
{
    const char *text = getenv("CAIRN_OBJECT_HOSTILE");
    return text && strcmp(text, "1") == 0;
}

static void set_options(cairn_runtime *runtime, const cairn_runtime_options *options)
{
    runtime->hostile = options->hostile || process_is_hostile();
    object_set_deferred(runtime, options->deferred);
    runtime->sweep_most = options->sweep_most;
    runtime->collect_at_poll = options->collect_at_poll;
    memcpy(runtime->threshold, options->thresholds, sizeof runtime->threshold);
    runtime->step_us = options->step_us;
    runtime->cache_limit = options->cache_limit;
    runtime->enabled = true;
    runtime->step_at = UINT_MAX;
    collector_set_alarm(runtime);
}

/* The owners of a new runtime's objects; false if there is no memory. */
static bool add_owners(cairn_runtime *runtime)
{
    cairn_heap *heap = runtime->heap;
    runtime->atoms = owner_add(heap);
    runtime->containers = runtime->atoms ? owner_add(heap) : NULL;
    if (!runtime->containers) {
        return false;
    }
    runtime->atoms->pools_only = runtime->containers->pools_only = true;
    runtime->containers->hooks = &side_hooks;
    runtime->atoms->runtime = runtime->containers->runtime = heap->base.runtime = runtime;
    return true;
}

static cairn_runtime *make_in(cairn_heap *heap, const cairn_runtime_options *options)
{
    os_lock_take(&heap->lock);
    cairn_runtime *runtime = meta_alloc(&heap->meta, sizeof *runtime);
    os_lock_give(&heap->lock);
    if (!runtime) {
        return NULL;
    }
    runtime->heap = heap;
    set_options(runtime, options);
    sides_start(runtime);
    if (!add_owners(runtime) || !gil_start(runtime, options->gil_optional, options->switch_interval_us)) {
        return NULL;
    }
    return runtime;
}

/* Objects and their parts are rows of pointers and numbers of 8 bytes, so classes 8 bytes apart fit them best. What
 * has to lie at multiples of 16 has a size that is one, too, and so have the blocks of its class. */
static const cairn_geometry object_geometry = {
    .arena_size = 1 << 20,
    .pool_size = 16 << 10,
    .alignment = 8,
    .small_limit = 512,
    .medium_limit = 16 << 10,
};

cairn_runtime *cairn_runtime_create(const cairn_runtime_options *options)
{
    static const cairn_runtime_options defaults = CAIRN_RUNTIME_OPTIONS_INIT;
    static const cairn_heap_options heap_defaults = CAIRN_HEAP_OPTIONS_INIT;
    if (!options) {
        options = &defaults;
    }
    if (!options_valid(options)) {
        errno = EINVAL;
        return NULL;
    }
    cairn_heap_options heap_options = options->heap ? *options->heap : heap_defaults;
    heap_options.single = true;
    if (!heap_options.geometry) {
        heap_options.geometry = &object_geometry;
    }
    if (!heap_options.name) {
        heap_options.name = "runtime";
    }
    cairn_heap *heap = heap_create(&heap_options, true);
    if (!heap) {
        return NULL;
    }
    cairn_runtime *runtime = make_in(heap, options);
    if (!runtime) {
        cairn_heap_destroy(heap);
        errno = ENOMEM;
    }
    return runtime;
}

cairn_heap *cairn_runtime_heap(cairn_runtime *runtime)
{
    return runtime->heap;
}

void cairn_runtime_set_user(cairn_runtime *runtime, void *user)
{
    CHECK_GIL(runtime, "runtime_set_user");
    runtime->user = user;
}

void *cairn_runtime_user(const cairn_runtime *runtime)
{
    return runtime->user;
}

/* ---- the safe point ---- */

void runtime_do_pending(cairn_runtime *runtime)
{
    uint32_t pending = atomic_load_explicit(&runtime->pending, memory_order_relaxed);
    if (pending & PENDING_SWEEP) {
        (void)cairn_runtime_sweep(runtime, 0);
    }
    runtime->long_young = false;
    if (pending & PENDING_COLLECT) {
        collect_due(runtime);
    }
    if (pending & PENDING_STEP) {
        bounded_step_due(runtime);
    }
}

void cairn_runtime_poll_slow(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "runtime_poll");
    runtime_do_pending(runtime);
    if (atomic_load_explicit(&runtime->pending, memory_order_relaxed) & PENDING_GIL) {
        gil_yield(runtime);
    }
}

size_t cairn_object_trim(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "object_trim", 0);
    caches_empty(runtime);
    owner_return_empty(runtime->containers);
    owner_return_empty(runtime->atoms);
    owner_return_empty(&runtime->heap->base);
    return cairn_trim(runtime->heap);
}

/* ---- statistics ---- */

void cairn_runtime_get_stats(const cairn_runtime *runtime, cairn_runtime_stats *stats)
{
    *stats = (cairn_runtime_stats){0};
    CHECK_GIL(runtime, "runtime_get_stats");
    *stats = (cairn_runtime_stats){
        .objects_made = runtime->objects_made,
        .objects_died = runtime->objects_died,
        .containers_tracked = runtime->tracked,
        .queued = runtime->queued,
        .resurrected = runtime->resurrected,
        .cached_bytes = runtime->cached_bytes,
        .cached_peak = runtime->cached_peak,
        .side_bytes = runtime->side_bytes,
        .gil_switches = atomic_load_explicit(&runtime->gil.switches, memory_order_relaxed),
        .gil_forced = atomic_load_explicit(&runtime->gil.forced, memory_order_relaxed),
    };
}
