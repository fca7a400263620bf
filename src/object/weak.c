/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* weak.c: weak references, and the registry of finalizers that stands on them.
 *
 * The weak references to an object are a list that starts in the object: the one without a callback first, if there is
 * one, then the others, newest first. (weak_check) A cleared one is on no list. A context is counted until the callback
 * has been called or can no longer be.
 *
 * When a referent dies, all its weak references are cleared first; those with callbacks go, counted, to a queue that is
 * linked through themselves, and only then the callbacks are called.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>

static void unlink_weak(cairn_weak *weak)
{
    cairn_object *referent = weak->referent;
    if (!referent) {
        return;
    }
    *(weak->prev ? &weak->prev->next : weak_list_of(referent, referent->type)) = weak->next;
    if (weak->next) {
        weak->next->prev = weak->prev;
    }
    weak->referent = NULL;
    weak->next = weak->prev = NULL;
}

void weak_unlink(cairn_weak *weak)
{
    unlink_weak(weak);
}

static void weak_clear_type(cairn_object *self)
{
    unlink_weak((cairn_weak *)(void *)self);
}

static size_t weak_repr(cairn_object *self, char *text, size_t size)
{
    const cairn_weak *weak = (const cairn_weak *)(const void *)self;
    int length = cairn_weak_is_dead(weak) ? snprintf(text, size, "<weakref at %p; dead>", (const void *)self)
                                          : snprintf(text, size, "<weakref at %p; to '%s' at %p>", (const void *)self,
                                                     weak->referent->type->name, (void *)weak->referent);
    return length > 0 ? (size_t)length : 0;
}

static bool weak_type_hash(cairn_object *self, uint64_t *hash)
{
    return cairn_weak_hash((cairn_weak *)(void *)self, hash) == 0;
}

static bool weak_type_equal(cairn_object *a, cairn_object *b)
{
    return a->type == b->type && cairn_weak_equal((cairn_weak *)(void *)a, (cairn_weak *)(void *)b);
}

static const cairn_type weak_type = {
    .struct_size = sizeof(cairn_type),
    .name = "weakref",
    .size = sizeof(cairn_weak),
    .flags = CAIRN_TYPE_UNTRACKED,
    .reference_offset = offsetof(cairn_weak, context),
    .reference_count = 1,
    .clear = weak_clear_type,
    .repr = weak_repr,
    .hash = weak_type_hash,
    .equal = weak_type_equal,
};

const cairn_type *cairn_weak_type(void)
{
    return &weak_type;
}

/* Those of tables, which own them: never tracked, not shared. */
static const cairn_type table_weak_type = {
    .struct_size = sizeof(cairn_type),
    .name = "table weakref",
    .size = sizeof(struct table_weak),
    .flags = CAIRN_TYPE_UNTRACKED,
    .reference_offset = offsetof(cairn_weak, context),
    .reference_count = 1,
    .clear = weak_clear_type,
    .repr = weak_repr,
};

bool type_is_weak(const cairn_type *type)
{
    return type == &weak_type || type == &table_weak_type;
}

/* ---- making ---- */

static cairn_weak *canonical_of(cairn_object *referent)
{
    cairn_weak *first = *weak_list_of(referent, referent->type);
    return first && first->canonical ? first : NULL;
}

/* Puts a new one in its place: the canonical one first, the others behind it. */
static void link_weak(cairn_weak *weak, cairn_object *referent)
{
    cairn_weak **head = weak_list_of(referent, referent->type);
    cairn_weak *after = weak->canonical ? NULL : canonical_of(referent);
    weak->referent = referent;
    weak->prev = after;
    weak->next = after ? after->next : *head;
    if (weak->next) {
        weak->next->prev = weak;
    }
    *(after ? &after->next : head) = weak;
}

static void refuse(cairn_runtime *runtime, const cairn_object *referent, bool for_type)
{
    char text[ERROR_BYTES] = "a context without a callback";
    if (for_type) {
        (void)snprintf(text, sizeof text, "cannot create weak reference to '%s' object", referent->type->name);
    }
    (void)runtime_error(runtime, EINVAL, text);
}

cairn_weak *cairn_weak_new(cairn_object *referent, cairn_weak_callback callback, cairn_object *context)
{
    CHECK_OBJECT(referent, "weak_new", NULL);
    cairn_runtime *runtime = object_runtime(referent);
    if (!runtime || !referent->type->weak_offset || (context && !callback)) {
        errno = EINVAL;
        if (runtime) {
            refuse(runtime, referent, callback || !context);
        }
        return NULL;
    }
    cairn_weak *weak = callback ? NULL : canonical_of(referent);
    if (weak && weak->object.count > 0) {
        return (cairn_weak *)(void *)cairn_incref(&weak->object);
    }
    cairn_weak *made = (cairn_weak *)(void *)cairn_object_new(runtime, &weak_type, 0);
    if (!made) {
        return NULL;
    }
    weak = callback ? NULL : canonical_of(referent); /* a collection may have run meanwhile, and made one */
    if (weak && weak->object.count > 0) {
        cairn_decref(&made->object);
        return (cairn_weak *)(void *)cairn_incref(&weak->object);
    }
    made->callback = callback;
    made->context = cairn_xincref(context);
    made->canonical = !callback && !weak;
    link_weak(made, referent);
    if (callback) { /* the collector asks whether it is trash itself */
        cairn_object_track(&made->object);
    }
    return made;
}

struct table_weak *table_weak_new(cairn_runtime *runtime, cairn_object *referent, cairn_weak_callback callback)
{
    struct table_weak *made = (struct table_weak *)(void *)cairn_object_new(runtime, &table_weak_type, 0);
    if (made) {
        made->weak.callback = callback;
        link_weak(&made->weak, referent);
    }
    return made;
}

/* ---- using ---- */

bool cairn_weak_is_dead(const cairn_weak *weak)
{
    return !weak->referent || weak->referent->count <= 0;
}

cairn_object *cairn_weak_get(cairn_weak *weak)
{
    CHECK_OBJECT(&weak->object, "weak_get", NULL);
    return cairn_weak_is_dead(weak) ? NULL : cairn_incref(weak->referent);
}

int cairn_weak_call(cairn_weak *weak, void (*function)(cairn_object *referent, void *arg), void *arg)
{
    cairn_object *referent = cairn_weak_get(weak);
    if (!referent) {
        return runtime_error(object_runtime(&weak->object), ENOENT, "weakly-referenced object no longer exists");
    }
    function(referent, arg);
    cairn_decref(referent);
    return 0;
}

bool cairn_weak_has_callback(const cairn_weak *weak)
{
    return weak->callback && weak->referent;
}

void cairn_weak_clear(cairn_weak *weak)
{
    CHECK_OBJECT(&weak->object, "weak_clear");
    unlink_weak(weak);
    weak->callback = NULL;
    cairn_clear(&weak->context);
}

size_t cairn_weak_count(cairn_object *referent)
{
    size_t count = 0;
    if (referent->type->weak_offset) {
        for (const cairn_weak *weak = *weak_list_of(referent, referent->type); weak; weak = weak->next) {
            count += weak->object.count > 0;
        }
    }
    return count;
}

cairn_weak *cairn_weak_at(cairn_object *referent, size_t i)
{
    cairn_weak *weak = referent->type->weak_offset ? *weak_list_of(referent, referent->type) : NULL;
    for (; weak; weak = weak->next) {
        if (weak->object.count > 0 && i-- == 0) {
            return (cairn_weak *)(void *)cairn_incref(&weak->object);
        }
    }
    return NULL;
}

bool cairn_weak_equal(cairn_weak *a, cairn_weak *b)
{
    if (a == b) {
        return true;
    }
    if (cairn_weak_is_dead(a) || cairn_weak_is_dead(b)) {
        return false;
    }
    cairn_object *left = cairn_weak_get(a);
    cairn_object *right = cairn_weak_get(b);
    bool equal = cairn_object_equal(left, right);
    cairn_decref(left);
    cairn_decref(right);
    return equal;
}

int cairn_weak_hash(cairn_weak *weak, uint64_t *hash)
{
    if (!weak->hashed) {
        cairn_object *referent = cairn_weak_get(weak);
        if (!referent) {
            return runtime_error(object_runtime(&weak->object), ENOENT, "weakly-referenced object no longer exists");
        }
        uint64_t value;
        int error = cairn_object_hash(referent, &value);
        cairn_decref(referent);
        if (error) {
            return runtime_error(object_runtime(&weak->object), error, "the object cannot be hashed");
        }
        weak->hash = value;
        weak->hashed = 1;
    }
    *hash = weak->hash;
    return 0;
}

/* ---- a referent dies ---- */

void weak_clear_into(cairn_object *referent, bool (*wanted)(const cairn_weak *weak), cairn_weak ***tail)
{
    cairn_weak *weak;
    while ((weak = *weak_list_of(referent, referent->type))) {
        unlink_weak(weak);
        if (weak->callback && weak->object.count > 0 && wanted(weak)) {
            (void)cairn_incref(&weak->object);
            weak->queue = NULL;
            **tail = weak;
            *tail = &weak->queue;
        }
    }
}

void weak_run_queue(cairn_weak *first)
{
    while (first) {
        cairn_weak *weak = first;
        first = weak->queue;
        weak->queue = NULL;
        cairn_weak_callback callback = weak->callback;
        cairn_object *context = weak->context;
        weak->callback = NULL;
        weak->context = NULL;
        if (callback) {
            callback(weak, context);
        }
        cairn_xdecref(context);
        cairn_decref(&weak->object);
    }
}

static bool want_all(const cairn_weak *weak)
{
    (void)weak;
    return true;
}

bool weak_want_none(const cairn_weak *weak)
{
    (void)weak;
    return false;
}

void weak_referent_died(cairn_object *referent, bool callbacks)
{
    cairn_weak *first = NULL;
    cairn_weak **tail = &first;
    weak_clear_into(referent, callbacks ? want_all : weak_want_none, &tail);
    weak_run_queue(first);
}

void cairn_weak_clear_all(cairn_object *referent, bool callbacks)
{
    if (referent->type->weak_offset) {
        weak_referent_died(referent, callbacks);
    }
}

/* ---- the registry of finalizers ---- */

struct cairn_finalizer {
    cairn_object object;
    cairn_weak *weak;      /* a reference; NULL when it is not to come any more */
    cairn_finalizer *next; /* in the runtime's list, newest first, which holds a reference */
    cairn_finalizer *prev;
    void (*function)(void *arg);
    void *arg;
    bool at_end;
};

static const cairn_type finalizer_type = {
    .struct_size = sizeof(cairn_type),
    .name = "finalizer",
    .size = sizeof(cairn_finalizer),
};

/* Takes an entry out of the registry. False if it is not in it; else the caller has the registry's reference. */
static bool withdraw(cairn_runtime *runtime, cairn_finalizer *finalizer)
{
    cairn_weak *weak = finalizer->weak;
    if (!weak) {
        return false;
    }
    *(finalizer->prev ? &finalizer->prev->next : &runtime->finalizers) = finalizer->next;
    if (finalizer->next) {
        finalizer->next->prev = finalizer->prev;
    }
    finalizer->weak = NULL;
    cairn_weak_clear(weak);
    cairn_decref(&weak->object);
    return true;
}

static void referent_died(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)cairn_finalizer_call(object_runtime(context), (cairn_finalizer *)(void *)context);
}

cairn_finalizer *cairn_finalizer_add(cairn_object *object, void (*function)(void *arg), void *arg, bool at_end)
{
    cairn_runtime *runtime = object_runtime(object);
    if (!runtime) {
        errno = EINVAL;
        return NULL;
    }
    cairn_finalizer *finalizer = (cairn_finalizer *)(void *)cairn_object_new(runtime, &finalizer_type, 0);
    if (!finalizer) {
        return NULL;
    }
    finalizer->weak = cairn_weak_new(object, referent_died, &finalizer->object);
    if (!finalizer->weak) {
        cairn_decref(&finalizer->object);
        return NULL;
    }
    finalizer->function = function;
    finalizer->arg = arg;
    finalizer->at_end = at_end;
    finalizer->next = runtime->finalizers;
    if (finalizer->next) {
        finalizer->next->prev = finalizer;
    }
    runtime->finalizers = finalizer;
    (void)cairn_incref(&finalizer->object);
    return finalizer;
}

bool cairn_finalizer_call(cairn_runtime *runtime, cairn_finalizer *finalizer)
{
    if (!withdraw(runtime, finalizer)) {
        return false;
    }
    finalizer->function(finalizer->arg);
    cairn_decref(&finalizer->object);
    return true;
}

bool cairn_finalizer_detach(cairn_runtime *runtime, cairn_finalizer *finalizer)
{
    if (!withdraw(runtime, finalizer)) {
        return false;
    }
    cairn_decref(&finalizer->object);
    return true;
}

bool cairn_finalizer_is_alive(const cairn_finalizer *finalizer)
{
    return finalizer->weak != NULL;
}

static cairn_finalizer *first_at_end(const cairn_runtime *runtime)
{
    cairn_finalizer *finalizer = runtime->finalizers;
    while (finalizer && !finalizer->at_end) {
        finalizer = finalizer->next;
    }
    return finalizer;
}

void finalizers_at_end(cairn_runtime *runtime)
{
    cairn_finalizer *finalizer;
    while ((finalizer = first_at_end(runtime))) {
        (void)cairn_finalizer_call(runtime, finalizer);
    }
    while ((finalizer = runtime->finalizers)) {
        (void)cairn_finalizer_detach(runtime, finalizer);
    }
}
