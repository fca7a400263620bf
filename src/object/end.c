/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* end.c: the end of a runtime; see cairn_object.h for its order.
 *
 * Finalizers may do anything, but while those of the last objects run, deaths are deferred and nothing is swept, and
 * empty pools were given back before: no pool and no object goes away under the walk.
 *
 * Lock: the GIL, and no other thread uses the runtime. */

#include "object/runtime.h"

#include <errno.h>
#include <string.h>

#include "heap/owned.h"
#include "object/detect.h"

enum { ROUNDS_MOST = 100 }; /* finalizers may bring back what they find, and make more, for ever */

/* ---- finalizers of what is left ---- */

/* *arg, a bool, is set if the finalizer ran. */
static bool finalize_container(cairn_object *object, void *arg)
{
    struct place place = place_of(object);
    if (object->count > 0 && object->type->finalize && !(place.word->finalized & place.bit)) {
        *(bool *)arg = true;
        place.word->finalized |= place.bit;
        object->count++;
        object->type->finalize(object);
        cairn_decref(object);
    }
    return true;
}

static bool finalize_atom(cairn_object *object, void *arg)
{
    (void)arg;
    if (object->count > 0 && object->type->finalize) {
        object->count++;
        object->type->finalize(object);
        cairn_decref(object);
    }
    return true;
}

/* Containers that finalizers make are finalized, too. */
static void finalize_containers(cairn_runtime *runtime)
{
    bool any = true;
    for (int i = 0; any && i < ROUNDS_MOST; i++) {
        any = false;
        (void)containers_visit(runtime, finalize_container, &any);
    }
}

static void finalize_all(cairn_runtime *runtime)
{
    bool deferred = runtime->deferred;
    owner_return_empty(runtime->containers);
    owner_return_empty(runtime->atoms);
    runtime->sweeping = true;
    object_set_deferred(runtime, true);
    finalize_containers(runtime);
    (void)atoms_visit(runtime, finalize_atom, NULL);
    finalize_containers(runtime);
    object_set_deferred(runtime, deferred);
    runtime->sweeping = false;
    object_sweep_all(runtime);
}

/* ---- what is left then ---- */

static bool clear_weak(cairn_object *object, void *arg)
{
    (void)arg;
    if (object->type->weak_offset) {
        cairn_weak *none = NULL;
        cairn_weak **tail = &none;
        weak_clear_into(object, weak_want_none, &tail);
    }
    return true;
}

enum { TYPES_LISTED = 64, ADDRESSES_LISTED = 8 };

struct kept_row {
    const cairn_type *type; /* NULL: all further types */
    size_t objects, bytes;
    const cairn_object *first[ADDRESSES_LISTED];
};

struct kept {
    size_t objects, bytes;
    size_t rows;
    struct kept_row row[TYPES_LISTED];
};

static bool count_kept(cairn_object *object, void *arg)
{
    struct kept *kept = arg;
    if (object->count <= 0 || cairn_is_immortal(object)) {
        return true;
    }
    size_t i = 0;
    while (i < kept->rows && kept->row[i].type != object->type) {
        i++;
    }
    if (i == TYPES_LISTED) {
        kept->row[--i].type = NULL;
    } else if (i == kept->rows) {
        kept->row[kept->rows++].type = object->type;
    }
    struct kept_row *row = &kept->row[i];
    size_t bytes = cairn_object_usable_size(object);
    if (row->objects < ADDRESSES_LISTED) {
        row->first[row->objects] = object;
    }
    row->objects++;
    row->bytes += bytes;
    kept->objects++;
    kept->bytes += bytes;
    return true;
}

static void report_objects(const cairn_runtime *runtime, const struct kept *kept, FILE *out)
{
    (void)fprintf(out, "cairn: runtime \"%s\" ended with %zu object%s kept, %zu bytes\n",
                  cairn_heap_name(runtime->heap), kept->objects, kept->objects == 1 ? "" : "s", kept->bytes);
    for (size_t i = 0; i < kept->rows; i++) {
        const struct kept_row *row = &kept->row[i];
        (void)fprintf(out, "%10zu %s %12zu bytes  %s:", row->objects, row->objects == 1 ? "object " : "objects",
                      row->bytes, row->type ? row->type->name : "(other types)");
        for (size_t k = 0; k < row->objects && k < ADDRESSES_LISTED; k++) {
            (void)fprintf(out, " %p", (const void *)row->first[k]);
        }
        (void)fputs(row->objects > ADDRESSES_LISTED ? " ...\n" : "\n", out);
    }
}

static void report_kept(const cairn_runtime *runtime, const struct kept *kept, size_t blocks, FILE *out)
{
    if (kept->objects) {
        report_objects(runtime, kept, out);
    }
    if (blocks) {
        (void)fprintf(out, "cairn: runtime \"%s\" ended with %zu block%s kept of cairn_runtime_alloc()\n",
                      cairn_heap_name(runtime->heap), blocks, blocks == 1 ? "" : "s");
    }
}

/* ---- the end ---- */

static size_t collect_all(cairn_runtime *runtime)
{
    size_t collected = 0;
    for (int i = 0; i < ROUNDS_MOST; i++) {
        object_sweep_all(runtime);
        size_t found = collect(runtime, CAIRN_GENERATIONS - 1);
        collected += found;
        if (!found && !runtime->queued) {
            break;
        }
    }
    return collected;
}

static void warn_of_garbage(cairn_runtime *runtime)
{
    if (!runtime->garbage_count || (runtime->debug & CAIRN_COLLECTOR_SAVEALL)) {
        return;
    }
    bool list = runtime->debug & CAIRN_COLLECTOR_UNCOLLECTABLE;
    char text[128];
    (void)snprintf(text, sizeof text, "%zu uncollectable object%s at the end of the runtime%s", runtime->garbage_count,
                   runtime->garbage_count == 1 ? "" : "s", list ? "" : "; CAIRN_COLLECTOR_UNCOLLECTABLE lists them");
    cairn_unraisable(runtime, text, NULL);
    if (list) {
        for (size_t i = 0; i < runtime->garbage_count; i++) {
            cairn_unraisable(runtime, "uncollectable", runtime->garbage[i]);
        }
    }
}

/* Steps 1 to 3. */
static void let_go(cairn_runtime *runtime, cairn_runtime_end *end)
{
    runtime->enabled = false;
    finalizers_at_end(runtime);
    end->collected = collect_all(runtime);
    end->garbage = runtime->garbage_count;
    warn_of_garbage(runtime);
    runtime->ended = true;
    runtime->cache_limit = 0; /* nothing is kept any more */
    cairn_collector_unfreeze(runtime);
    cairn_collector_garbage_clear(runtime);
    end->collected += collect_all(runtime);
    finalize_all(runtime);
    finalizers_at_end(runtime); /* those registered meanwhile */
    end->collected += collect_all(runtime);
    (void)containers_visit(runtime, clear_weak, NULL);
    (void)atoms_visit(runtime, clear_weak, NULL);
    for (struct callback *callback = runtime->callbacks; callback; callback = callback->next) {
        callback->function = NULL;
    }
    callbacks_sweep(runtime);
    cairn_runtime_free(runtime, runtime->garbage);
    runtime->garbage = NULL;
    caches_empty(runtime);
    if (runtime->kinds_end) {
        runtime->kinds_end(runtime);
    }
}

static size_t blocks_of(const struct owner *owner)
{
    size_t blocks = 0;
    for (const struct pool *pool = owned_first(owner); pool; pool = owned_next(owner, pool)) {
        blocks += pool_used(pool);
    }
    return blocks;
}

static size_t large_objects(const cairn_runtime *runtime)
{
    size_t count = 0;
    const struct ring *lists[] = {&runtime->sides, &runtime->fresh, &runtime->large_atoms};
    for (size_t i = 0; i < 3; i++) {
        for (const struct ring *at = lists[i]->next; at != lists[i]; at = at->next) {
            count += RING_SIDE(at, all)->large;
        }
    }
    return count;
}

static void note_figures(const cairn_runtime *runtime, const struct kept *kept, cairn_runtime_end *end)
{
    static const cairn_stats none;
    cairn_stats stats = none;
    cairn_heap_stats(runtime->heap, &stats);
    end->kept_objects = kept->objects;
    end->kept_bytes = kept->bytes;
    end->kept_blocks = blocks_of(&runtime->heap->base) + stats.large_blocks + stats.huge_blocks -
                       large_objects(runtime);
    end->pools = stats.pools_used + stats.pools_full + stats.pools_free;
    end->arenas = stats.arenas;
}

int cairn_runtime_destroy_checked(cairn_runtime *runtime, FILE *out, cairn_runtime_end *end)
{
    if (!runtime) {
        return EINVAL;
    }
    CHECK_GIL(runtime, "runtime_destroy", EINVAL);
    cairn_runtime_end result = {0};
    let_go(runtime, &result);
    struct kept kept = {0};
    (void)containers_visit(runtime, count_kept, &kept);
    (void)atoms_visit(runtime, count_kept, &kept);
    note_figures(runtime, &kept, &result);
    if (out) {
        report_kept(runtime, &kept, result.kept_blocks, out);
    }
    gil_end(runtime);
    cairn_teardown teardown;
    int error = cairn_heap_destroy_checked(runtime->heap, NULL, &teardown);
    result.mapped_bytes = teardown.mapped_bytes;
    result.returned_bytes = teardown.returned_bytes;
    if (end) {
        *end = result;
    }
    return error;
}

void cairn_runtime_destroy(cairn_runtime *runtime)
{
    if (runtime) {
        CHECK_GIL(runtime, "runtime_destroy");
        cairn_runtime_end ignored = {0};
        let_go(runtime, &ignored);
        gil_end(runtime);
        cairn_heap_destroy(runtime->heap);
    }
}
