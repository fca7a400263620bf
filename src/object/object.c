/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* object.c: how objects are made and die.
 *
 * Death by count, in this order: finalizer; weak references and their callbacks; finalizer of the old kind; from here
 * on nothing but this code reaches the object: it leaves the collector's bitmaps, drops its references, and its block
 * is kept for reuse or freed.
 *
 * Deaths inside deaths go DEPTH_MOST levels deep; then the objects wait in runtime->trash, linked through their counts,
 * until the outermost death has ended: no structure is too deep. In deferred mode every death waits in runtime->queue.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>
#include <string.h>

#include "heap/arena.h"
#include "heap/large.h"
#include "heap/owned.h"

const cairn_type dead_type = {.struct_size = sizeof(cairn_type), .name = "(dead)", .size = sizeof(cairn_object)};

/* ---- memory ---- */

/* A block that no pool serves: a side record, then the object. */
static cairn_object *large_take(cairn_runtime *runtime, size_t size, bool container)
{
    if (size > PTRDIFF_MAX - LARGE_PREFIX) {
        errno = ENOMEM;
        return NULL;
    }
    struct side *side = large_alloc(runtime->heap, size + LARGE_PREFIX, OBJECT_ALIGN, NULL);
    if (!side) {
        return NULL;
    }
    cairn_object *object = (cairn_object *)(void *)((char *)side + LARGE_PREFIX);
    memset(side, 0, LARGE_PREFIX);
    side_init(side, runtime, (char *)object, 0, 1);
    side->large = true;
    ring_add(container ? &runtime->fresh : &runtime->large_atoms, &side->all);
    return object;
}

static cairn_object *try_take(cairn_runtime *runtime, size_t size, bool container)
{
    if (LIKELY(size < runtime->heap->pooled_end)) {
        cairn_object *object = owner_alloc(container ? runtime->containers : runtime->atoms, size, true);
        if (LIKELY(object != NULL) || !runtime->heap->meta.region) {
            return object;
        }
    }
    return large_take(runtime, size, container);
}

/* All that can be done before a request is refused, step by step; false: nothing is left to try. */
static bool make_room(cairn_runtime *runtime, unsigned attempt, bool may_collect)
{
    switch (attempt) {
    case 0:
        caches_empty(runtime);
        owner_return_empty(runtime->containers);
        owner_return_empty(runtime->atoms);
        owner_return_empty(&runtime->heap->base);
        return true;
    case 1:
        if (!runtime->queued || runtime->sweeping || !may_collect) {
            return make_room(runtime, 2, may_collect);
        }
        object_sweep_all(runtime);
        return true;
    case 2:
        if (!may_collect || !runtime->enabled || runtime->collecting) {
            return false;
        }
        (void)cairn_collect(runtime, CAIRN_GENERATIONS - 1);
        owner_return_empty(runtime->containers);
        owner_return_empty(runtime->atoms);
        owner_return_empty(&runtime->heap->base);
        return true;
    default:
        return false;
    }
}

static cairn_object *take_hard(cairn_runtime *runtime, size_t size, bool container)
{
    cairn_object *object = NULL;
    for (unsigned attempt = 0; !object && make_room(runtime, attempt, container); attempt++) {
        object = try_take(runtime, size, container);
    }
    if (!object) {
        (void)runtime_error(runtime, ENOMEM, "no memory for an object");
    }
    return object;
}

/* Bytes of an object of a type; SIZE_MAX if that is too much. */
static size_t size_of(const cairn_type *type, size_t items)
{
    size_t bytes = type->size;
    if (items) {
        size_t more;
        if (__builtin_mul_overflow(items, type->item_size, &more) || __builtin_add_overflow(bytes, more, &bytes) ||
            bytes > PTRDIFF_MAX - LARGE_PREFIX) {
            return SIZE_MAX;
        }
    }
    return bytes;
}

static void set_header(cairn_object *object, const cairn_type *type)
{
    object->count = 1;
    object->type = type;
    if (type->weak_offset) {
        *weak_list_of(object, type) = NULL;
    }
}

static void free_block(struct pool *pool, cairn_object *object)
{
    object->type = &dead_type;
    if (LIKELY(pool_is_class(pool))) {
        owner_free_single_in(pool_owner(pool), pool, object, true);
        return;
    }
    struct side *side = large_side(object);
    side_unlink(side);
    owner_free_live(&side->runtime->heap->base, pool, side);
}

size_t cairn_object_usable_size(const cairn_object *object)
{
    const struct pool *pool = pagemap_get(object);
    if (!pool) {
        return 0;
    }
    return pool_is_class(pool) ? pool->block_size : large_usable(pool, large_side(object)) - LARGE_PREFIX;
}

/* ---- birth ---- */

/* Looked for in debug builds only. */
static __attribute__((unused)) bool type_is_good(const cairn_runtime *runtime, const cairn_type *type, const char *call)
{
    const char *fault = cairn_type_error(type);
    if (fault) {
        cairn_object_report(CAIRN_FAULT_TYPE, call, NULL, fault);
    }
    return !fault && gil_check(runtime, call);
}

/* A block that the owner's head pool does not have ready. */
static __attribute__((noinline)) cairn_object *take_slow(cairn_runtime *runtime, const cairn_type *type, size_t items,
                                                         size_t size, bool container)
{
    cairn_object *object = NULL;
    if (type->free_list_most && items < FREE_LIST_ITEMS) {
        object = free_list_take(runtime, type, items);
    }
    if (!object && size == SIZE_MAX) {
        (void)runtime_error(runtime, ENOMEM, "too many items");
        return NULL;
    }
    object = object ? object : try_take(runtime, size, container);
    return object ? object : take_hard(runtime, size, container);
}

/* A block, counted as an object. */
static inline __attribute__((always_inline)) cairn_object *make(cairn_runtime *runtime, const cairn_type *type,
                                                                size_t items, size_t *size)
{
    if (!DEBUG_HOLDS(type_is_good(runtime, type, "object_new"))) {
        return NULL;
    }
    bool container = cairn_type_is_container(type);
    if (container) {
        before_container(runtime);
    }
    *size = size_of(type, items);
    cairn_object *object = NULL;
    if (LIKELY(*size <= DIRECT_MAX && !type->free_list_most)) {
        object = owner_alloc_ready(container ? runtime->containers : runtime->atoms, *size, true);
    }
    if (UNLIKELY(!object)) {
        object = take_slow(runtime, type, items, *size, container);
        if (!object) {
            return NULL;
        }
    }
    runtime->objects_made++;
    if (container) {
        runtime->legacy |= type->finalize_legacy != NULL;
        runtime->untracks |= type->untrack != NULL;
        count_container(runtime);
    }
    return object;
}

cairn_object *cairn_object_alloc(cairn_runtime *runtime, const cairn_type *type, size_t items)
{
    size_t size;
    cairn_object *object = make(runtime, type, items, &size);
    if (LIKELY(object != NULL)) {
        set_header(object, type);
    }
    return object;
}

cairn_object *cairn_object_new(cairn_runtime *runtime, const cairn_type *type, size_t items)
{
    size_t size;
    cairn_object *object = make(runtime, type, items, &size);
    if (UNLIKELY(!object)) {
        return NULL;
    }
    if (!(type->flags & CAIRN_TYPE_NO_ZERO)) {
        memset(object + 1, 0, size - sizeof *object);
    }
    set_header(object, type);
    if (cairn_type_is_container(type) && !(type->flags & CAIRN_TYPE_UNTRACKED)) {
        struct place place = place_in(side_of(pagemap_get(object), object), object);
        track(&place);
    }
    return object;
}

cairn_object *cairn_object_reuse(cairn_runtime *runtime, const cairn_type *type, cairn_object *kept)
{
    CHECK_GIL(runtime, "object_reuse", NULL);
    if (cairn_type_is_container(type)) {
        before_container(runtime);
        count_container(runtime);
    }
    runtime->objects_made++;
    set_header(kept, type);
    return kept;
}

void cairn_object_make_immortal(cairn_object *object)
{
    CHECK_OBJECT(object, "make_immortal");
    object->count = CAIRN_IMMORTAL;
}

/* ---- death ---- */

/* Runs a finalizer with the object alive. True if it brought the object back. */
static bool brought_back(cairn_runtime *runtime, cairn_object *object, void (*finalize)(cairn_object *))
{
    object->count = 1;
    finalize(object);
    if (--object->count == 0) {
        return false;
    }
    runtime->resurrected++;
    return true;
}

/* A finalizer that has not run in this object's life. True if it brought the object back. */
static bool finalize(cairn_runtime *runtime, cairn_object *object, const cairn_type *type, const struct place *place)
{
    if (place->side) {
        if (place->word->finalized & place->bit) {
            return false;
        }
        place->word->finalized |= place->bit;
    }
    return brought_back(runtime, object, type->finalize);
}

/* The weak references of a dying object, and its finalizer of the old kind; the collector does not see it meanwhile,
 * but while that finalizer runs. True if it was brought back. */
static bool last_words(cairn_runtime *runtime, cairn_object *object, const cairn_type *type, const struct place *place,
                       bool tracked)
{
    bool weak = type->weak_offset != 0;
    if (weak && *weak_list_of(object, type)) {
        weak_referent_died(object, true);
    }
    if (!type->finalize_legacy) {
        return false;
    }
    if (tracked) {
        track(place);
    }
    if (brought_back(runtime, object, type->finalize_legacy)) {
        return true;
    }
    if (tracked) {
        untrack(place);
    }
    if (weak && *weak_list_of(object, type)) {
        weak_referent_died(object, false);
    }
    return false;
}

static inline void drop_references(cairn_object *object, const cairn_type *type)
{
    if (type->dealloc) {
        type->dealloc(object);
    } else if (type->clear) {
        type->clear(object);
    }
    if (type->reference_count) {
        cairn_object **at = references_of(object, type), **end = at + type->reference_count;
        for (; at < end; at++) {
            cairn_clear(at);
        }
    }
}

/* The block of an object whose last word is said. */
static inline __attribute__((always_inline)) void dispose(cairn_runtime *runtime, struct pool *pool,
                                                          cairn_object *object, const cairn_type *type)
{
    runtime->objects_died++;
    if (type->keep && type->keep(runtime, object)) {
        object->type = &dead_type;
        return;
    }
    if (type->free_list_most && free_list_keep(runtime, object, type, cairn_object_usable_size(object))) {
        return;
    }
    free_block(pool, object);
}

static __attribute__((noinline)) void escaped(cairn_object *object)
{
    cairn_object_report(CAIRN_FAULT_ESCAPED, "dealloc", object, "a dealloc function gave a reference away");
}

/* Ends an object whose count is zero. `was_tracked`: it was, before it was queued. */
static void die(cairn_runtime *runtime, struct pool *pool, cairn_object *object, bool was_tracked)
{
    const cairn_type *type = object->type;
    struct place place = {0};
    bool tracked = false;
    if (cairn_type_is_container(type)) {
        place = place_in(side_of(pool, object), object);
        tracked = was_tracked || (place.word->tracked & place.bit);
    }
    if (type->finalize) {
        if (was_tracked) {
            track(&place);
        }
        if (finalize(runtime, object, type, &place)) {
            return;
        }
    }
    if (place.side) {
        untrack(&place);
    }
    if ((type->weak_offset || type->finalize_legacy) && last_words(runtime, object, type, &place, tracked)) {
        return;
    }
    if (place.side) {
        place.word->finalized &= ~place.bit;
        runtime->count[0] -= runtime->count[0] != 0;
    }
    drop_references(object, type);
    if (UNLIKELY(object->count != 0)) {
        escaped(object);
        return;
    }
    dispose(runtime, pool, object, type);
}

/* Takes an object out of the collector's sight until its turn comes. True if it was tracked. */
static bool hide(struct pool *pool, cairn_object *object)
{
    if (!cairn_type_is_container(object->type)) {
        return false;
    }
    struct place place = place_in(side_of(pool, object), object);
    bool tracked = place.word->tracked & place.bit;
    untrack(&place);
    return tracked;
}

static void empty_trash(cairn_runtime *runtime)
{
    cairn_object *object;
    while ((object = runtime->trash)) {
        runtime->trash = queue_next(object);
        bool tracked = queue_was_tracked(object);
        object->count = 0;
        runtime->depth++;
        die(runtime, pagemap_get(object), object, tracked);
        runtime->depth--;
    }
}

static void enqueue(cairn_runtime *runtime, struct pool *pool, cairn_object *object)
{
    object->count = queue_link(NULL, hide(pool, object));
    if (runtime->queue_last) {
        cairn_object *last = runtime->queue_last;
        last->count = queue_link(object, queue_was_tracked(last));
    } else {
        runtime->queue_first = object;
    }
    runtime->queue_last = object;
    if (++runtime->queued > runtime->sweep_most && runtime->deferred) {
        pending_set(runtime, PENDING_SWEEP);
    }
}

/* Until the outermost death has ended, or the next sweep. */
static __attribute__((noinline)) void die_later(cairn_runtime *runtime, struct pool *pool, cairn_object *object)
{
    if (runtime->depth_most == 0) {
        enqueue(runtime, pool, object);
    } else {
        object->count = queue_link(runtime->trash, hide(pool, object));
        runtime->trash = object;
    }
}

static inline void death_ends(cairn_runtime *runtime)
{
    if (--runtime->depth == 0 && UNLIKELY(runtime->trash != NULL)) {
        empty_trash(runtime);
    }
}

static __attribute__((noinline)) void die_at_depth(cairn_runtime *runtime, struct pool *pool, cairn_object *object)
{
    runtime->depth++;
    die(runtime, pool, object, false);
    death_ends(runtime);
}

/* Ends a container in a pool, whose type has no word in the death of its objects. */
static __attribute__((noinline)) void die_quietly(cairn_runtime *runtime, struct pool *pool, cairn_object *object,
                                                  const cairn_type *type)
{
    struct place place = place_in(*pool_side(pool), object);
    untrack(&place);
    runtime->depth++;
    runtime->count[0] -= runtime->count[0] != 0;
    drop_references(object, type);
    if (LIKELY(object->count == 0)) {
        dispose(runtime, pool, object, type);
    } else {
        escaped(object);
    }
    death_ends(runtime);
}

/* Has an object of this type no word in its death? */
static inline bool dies_quietly(const cairn_type *type)
{
    return !((uintptr_t)type->finalize | (uintptr_t)type->finalize_legacy | type->weak_offset);
}

/* Is there nothing to be done in the death of an object of this type, which is no container? */
static inline bool is_plain(const cairn_type *type)
{
    return !((uintptr_t)type->dealloc | (uintptr_t)type->clear | (uintptr_t)type->traverse | type->reference_count);
}

void cairn_object_dealloc(cairn_object *object)
{
    struct pool *pool = pagemap_get(object);
    const struct owner *owner = LIKELY(pool != NULL) ? pool_owner(pool) : NULL;
    cairn_runtime *runtime = LIKELY(owner != NULL) ? owner->runtime : NULL;
    if (UNLIKELY(!runtime)) {
        cairn_object_report(CAIRN_FAULT_DEAD, "decref", object, "an object that is in no runtime cannot die");
        return;
    }
    if (!DEBUG_HOLDS(gil_check(runtime, "decref"))) {
        object->count++; /* as if it had not been called */
        return;
    }
    const cairn_type *type = object->type;
    if (UNLIKELY(runtime->depth >= runtime->depth_most)) {
        die_later(runtime, pool, object);
    } else if (LIKELY(dies_quietly(type) && owner == runtime->containers)) {
        die_quietly(runtime, pool, object, type);
    } else if (LIKELY(dies_quietly(type) && is_plain(type))) {
        dispose(runtime, pool, object, type);
    } else {
        die_at_depth(runtime, pool, object);
    }
}

/* ---- deaths that wait: in deferred mode, and while the collector breaks up large pieces ---- */

static void set_depth_most(cairn_runtime *runtime)
{
    runtime->depth_most = runtime->deferred || runtime->queueing ? 0 : DEPTH_MOST;
}

void object_queue_deaths(cairn_runtime *runtime, bool begin)
{
    runtime->queueing += begin ? 1 : -1;
    set_depth_most(runtime);
}

size_t cairn_runtime_sweep(cairn_runtime *runtime, size_t most)
{
    CHECK_GIL(runtime, "runtime_sweep", 0);
    if (runtime->sweeping) {
        return runtime->queued;
    }
    runtime->sweeping = true;
    object_queue_deaths(runtime, true);
    for (size_t left = most ? most : runtime->sweep_most; left && runtime->queued; left--) {
        cairn_object *object = runtime->queue_first;
        runtime->queue_first = queue_next(object);
        if (--runtime->queued == 0) {
            runtime->queue_last = NULL;
        }
        bool tracked = queue_was_tracked(object);
        object->count = 0;
        runtime->depth++;
        die(runtime, pagemap_get(object), object, tracked);
        if (--runtime->depth == 0 && runtime->trash) {
            empty_trash(runtime);
        }
    }
    object_queue_deaths(runtime, false);
    runtime->sweeping = false;
    if (runtime->queued <= (runtime->deferred ? runtime->sweep_most : 0)) {
        pending_clear(runtime, PENDING_SWEEP);
    }
    return runtime->queued;
}

void object_sweep_all(cairn_runtime *runtime)
{
    while (!runtime->sweeping && runtime->queued) {
        (void)cairn_runtime_sweep(runtime, SIZE_MAX);
    }
}

void object_set_deferred(cairn_runtime *runtime, bool deferred)
{
    runtime->deferred = deferred;
    set_depth_most(runtime);
}

void cairn_runtime_set_deferred(cairn_runtime *runtime, bool deferred)
{
    CHECK_GIL(runtime, "runtime_set_deferred");
    object_set_deferred(runtime, deferred);
    if (!deferred) {
        object_sweep_all(runtime);
    }
}

/* ---- blocks kept by kinds ---- */

void cairn_object_free_block(cairn_runtime *runtime, const cairn_type *type, cairn_object *kept)
{
    CHECK_GIL(runtime, "object_free_block");
    (void)runtime;
    (void)type;
    free_block(pagemap_get(kept), kept);
}

/* ---- parts of objects ---- */

void *cairn_runtime_alloc(cairn_runtime *runtime, size_t size)
{
    CHECK_GIL(runtime, "runtime_alloc", NULL);
    void *block = owner_alloc(&runtime->heap->base, size, true);
    if (UNLIKELY(!block) && make_room(runtime, 0, false)) {
        block = owner_alloc(&runtime->heap->base, size, true);
    }
    return block ? block : (runtime_error(runtime, ENOMEM, "no memory for a part of an object"), NULL);
}

void *cairn_runtime_calloc(cairn_runtime *runtime, size_t count, size_t size)
{
    CHECK_GIL(runtime, "runtime_calloc", NULL);
    void *block = cairn_calloc(runtime->heap, count, size);
    if (UNLIKELY(!block) && make_room(runtime, 0, false)) {
        block = cairn_calloc(runtime->heap, count, size);
    }
    return block ? block : (runtime_error(runtime, ENOMEM, "no memory for a part of an object"), NULL);
}

void *cairn_runtime_realloc(cairn_runtime *runtime, void *block, size_t size)
{
    CHECK_GIL(runtime, "runtime_realloc", NULL);
    void *resized = cairn_realloc(runtime->heap, block, size);
    if (UNLIKELY(!resized) && make_room(runtime, 0, false)) {
        resized = cairn_realloc(runtime->heap, block, size);
    }
    return resized ? resized : (runtime_error(runtime, ENOMEM, "no memory for a part of an object"), NULL);
}

void cairn_runtime_free(cairn_runtime *runtime, void *block)
{
    CHECK_GIL(runtime, "runtime_free");
    owner_free_single(&runtime->heap->base, block, true);
}

/* ---- tracking ---- */

void cairn_object_track(cairn_object *object)
{
    CHECK_OBJECT(object, "object_track");
    struct place place = place_of(object);
    if (UNLIKELY(!place.side || (place.word->tracked & place.bit))) {
        cairn_object_report(CAIRN_FAULT_TRACK, "object_track", object,
                            place.side ? "the object is tracked already" : "the object is no container");
        return;
    }
    track(&place);
}

void cairn_object_untrack(cairn_object *object)
{
    struct place place = place_of(object);
    if (place.side) {
        untrack(&place);
    }
}

bool cairn_object_is_tracked(const cairn_object *object)
{
    struct place place = place_of(object);
    return place.side && (place.word->tracked & place.bit);
}

bool cairn_object_is_finalized(const cairn_object *object)
{
    struct place place = place_of(object);
    return place.side && (place.word->finalized & place.bit);
}

int cairn_object_generation(const cairn_object *object)
{
    struct place place = place_of(object);
    if (!place.side || !(place.word->tracked & place.bit)) {
        return -1;
    }
    for (int generation = 0; generation < 2; generation++) {
        if (generation_bits(place.word, generation) & place.bit) {
            return generation;
        }
    }
    return place.word->low & place.bit ? 3 : 2;
}

/* ---- what types say ---- */

cairn_runtime *cairn_object_runtime(const cairn_object *object)
{
    return object_runtime(object);
}

const char *cairn_type_error(const cairn_type *type)
{
    if (!type || type->struct_size != sizeof *type) {
        return "a type's struct_size is not sizeof(cairn_type)";
    }
    if (!type->name) {
        return "a type has no name";
    }
    if (type->size < sizeof(cairn_object)) {
        return "a type's size is less than that of a cairn_object";
    }
    size_t end = type->reference_offset + type->reference_count * sizeof(cairn_object *);
    if (type->reference_count && (type->reference_offset < sizeof(cairn_object) || end > type->size ||
                                  type->reference_offset % sizeof(void *))) {
        return "a type's references lie outside of its objects, or at no multiple of a pointer's size";
    }
    if (type->weak_offset && (type->weak_offset < sizeof(cairn_object) || type->weak_offset % sizeof(void *) ||
                              type->weak_offset + sizeof(cairn_weak *) > type->size)) {
        return "a type's weak_offset lies outside of its objects, or at no multiple of a pointer's size";
    }
    if (type->traverse && !type->clear && !type->dealloc) {
        return "a type has traverse, but neither clear nor dealloc: what it refers to would never be given up";
    }
    if (type->row_length_offset &&
        (!type->traverse || type->row_length_offset < sizeof(cairn_object) ||
         type->row_length_offset + sizeof(size_t) > type->size || type->row_length_offset % sizeof(size_t) ||
         type->row_offset < sizeof(cairn_object) || type->row_offset > type->size ||
         type->row_offset % sizeof(void *) ||
         (!(type->flags & CAIRN_TYPE_ROW_INSIDE) && type->row_offset + sizeof(void *) > type->size))) {
        return "a type's row or its length lies outside of its objects, or at no multiple of a pointer's size, or the "
               "type has no traverse";
    }
    if ((type->flags & CAIRN_TYPE_NO_ZERO) && cairn_type_is_container(type) && !(type->flags & CAIRN_TYPE_UNTRACKED)) {
        return "a type of containers has CAIRN_TYPE_NO_ZERO without CAIRN_TYPE_UNTRACKED";
    }
    return NULL;
}

size_t cairn_object_repr(cairn_object *object, char *text, size_t size)
{
    int length;
    if (!object) {
        length = snprintf(text, size, "NULL");
    } else if (object->type->repr) {
        return object->type->repr(object, text, size);
    } else {
        length = snprintf(text, size, "<%s at %p>", object->type->name, (void *)object);
    }
    return length > 0 ? (size_t)length : 0;
}

int cairn_object_hash(cairn_object *object, uint64_t *hash)
{
    if (object->type->hash) {
        return object->type->hash(object, hash) ? 0 : EINVAL;
    }
    uint64_t bits = (uintptr_t)object >> 4;
    *hash = bits ^ bits << 60;
    return 0;
}

bool cairn_object_equal(cairn_object *a, cairn_object *b)
{
    bool (*ours)(cairn_object *, cairn_object *) = a->type->equal,
                                              (*theirs)(cairn_object *, cairn_object *) = b->type->equal;
    return a == b || (ours && ours(a, b)) || (theirs && theirs != ours && theirs(b, a));
}

void cairn_object_visit_referents(cairn_object *object, cairn_visit visit, void *arg)
{
    CHECK_OBJECT(object, "object_visit_referents");
    traverse(object, visit, arg);
}

/* ---- all objects ---- */

/* Visits the live blocks of one pool of objects; those kept for reuse have no type of their own. */
static bool visit_pool(const struct pool *pool, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    uint64_t free_set[(UINT16_MAX + 1) / 64] = {0};
    char *base = pool_base(pool);
    for (const struct block *block = free_first(pool); block; block = free_next(block)) {
        size_t i = (size_t)((const char *)block - base) / pool->block_size;
        free_set[i / 64] |= UINT64_C(1) << (i % 64);
    }
    for (size_t i = 0, carved = pool_carved(pool); i < carved; i++) {
        if ((free_set[i / 64] >> (i % 64) & 1) || pool_block_is_purged(pool, i)) {
            continue;
        }
        cairn_object *object = (cairn_object *)(void *)(base + i * pool->block_size);
        if (object->type != &dead_type && !visitor(object, arg)) {
            return false;
        }
    }
    return true;
}

static bool visit_sides(const struct ring *list, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    const struct ring *next;
    for (const struct ring *at = list->next; at != list; at = next) {
        next = at->next;
        const struct side *side = RING_SIDE(at, all);
        cairn_object *object = (cairn_object *)(void *)side->base;
        bool more = side->large ? object->type == &dead_type || visitor(object, arg)
                                : visit_pool(pagemap_get(side->base), visitor, arg);
        if (!more) {
            return false;
        }
    }
    return true;
}

bool containers_visit(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    sides_sort(runtime);
    return visit_sides(&runtime->sides, visitor, arg);
}

bool containers_visit_unsorted(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    return visit_sides(&runtime->sides, visitor, arg) && visit_sides(&runtime->fresh, visitor, arg);
}

bool atoms_visit(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    struct owner *atoms = runtime->atoms;
    os_lock_take(&runtime->heap->lock);
    arenas_sort(runtime->heap);
    os_lock_give(&runtime->heap->lock);
    for (const struct pool *pool = owned_first(atoms); pool; pool = owned_next(atoms, pool)) {
        if (!visit_pool(pool, visitor, arg)) {
            return false;
        }
    }
    return visit_sides(&runtime->large_atoms, visitor, arg);
}

bool cairn_runtime_visit_objects(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    CHECK_GIL(runtime, "runtime_visit_objects", false);
    return containers_visit(runtime, visitor, arg) && atoms_visit(runtime, visitor, arg);
}
