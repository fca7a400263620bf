/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_attach.c: the way into the interpreter.
 *
 * CPython tells a list of callbacks when a collection starts and stops. The collector puts a list of its own in the
 * place where CPython looks for it, with one function in it. gc.callbacks stays the program's list, because the gc module
 * is imported before the exchange. Neither list nor function is tracked, so that gc.get_objects() does not show them, and
 * gc.get_count() is put back.
 *
 * gc.get_objects() and gc.get_referrers() hand out objects that nothing refers to. So that snapshot_slices.c knows when
 * they were called, their entries in the gc module's table of methods lead through a counter; and that of gc.disable(),
 * after which there may be no collection that ends what was begun, not even at the interpreter's end.
 *
 * That function's `self` is a tuple that owns what the collector uses: when the interpreter drops its callbacks at the
 * end, all of it goes. */

#include <stdatomic.h>
#include <string.h>

#include "python/cpython.h"
#include "python/python_object.h"
#include "python/snapshot_private.h"

struct collector collector;

static struct python_method method = {"at_collection", NULL, PYTHON_METH_FASTCALL, NULL};

/* ---- calls of the gc module ---- */

/* With room for the arguments of every calling convention: (self, arguments), with their count, and with names. */
typedef void *any_method(void *self, void *arguments, void *count, void *names);

/* How PyCFunctionObject begins. */
struct python_function {
    struct python_object object;
    struct python_method *method;
};

static atomic_uint looked_for;
static any_method *get_objects, *get_referrers, *disable;

unsigned collector_looked_for(void)
{
    return atomic_load(&looked_for);
}

/* An interpreter beside ours has other objects. */
static bool is_ours(void)
{
    return collector.attached && PyInterpreterState_Get() == collector.gc.interpreter;
}

/* Counts before the call, so that nothing of what it hands out is taken already, and after it: an audit hook may have
 * opened a window in between. */
static void *look_for(any_method *theirs, void *self, void *arguments, void *count, void *names)
{
    atomic_fetch_add(&looked_for, 1);
    if (is_ours()) {
        slices_looked_for();
    }
    void *answer = theirs(self, arguments, count, names);
    atomic_fetch_add(&looked_for, 1);
    return answer;
}

static void *counted_get_objects(void *self, void *arguments, void *count, void *names)
{
    return look_for(get_objects, self, arguments, count, names);
}

static void *counted_get_referrers(void *self, void *arguments, void *count, void *names)
{
    return look_for(get_referrers, self, arguments, count, names);
}

static void *settling_disable(void *self, void *arguments, void *count, void *names)
{
    if (is_ours()) {
        slices_settle();
    }
    return disable(self, arguments, count, names);
}

/* False if the module's function is not what CPython made. The table is the same for all interpreters of the process,
 * and for the next ones. */
static bool lead_calls(void *module, const char *name, any_method **theirs, any_method *ours)
{
    void *function = PyObject_GetAttrString(module, name);
    bool good = function != NULL && (const void *)python_type_of(function) == &PyCFunction_Type;
    struct python_method *of = good ? ((struct python_function *)function)->method : NULL;
    void (*now)(void) = good ? (void (*)(void))of->function : NULL;
    good = good && PyCFunction_GetFunction != NULL && PyCFunction_GetFunction(function) == now &&
           strcmp(of->name, name) == 0;
    if (good && now != (void (*)(void))ours) {
        *theirs = (any_method *)now;
        of->function = (void *(*)(void *, void *const *, ptrdiff_t))(void (*)(void))ours;
    }
    Py_DecRef(function);
    return good;
}

/* Notes how classes written in Python end, as importlib's do; not if that cannot be told, or those calls not seen. */
static void note_classes(struct collector *use, void *module)
{
    void *importlib = PyImport_ImportModule("_frozen_importlib");
    void *class = importlib != NULL ? PyObject_GetAttrString(importlib, "ModuleSpec") : NULL;
    const struct python_type *type = class;
    bool known = type != NULL && (type->flags & PYTHON_HEAP_TYPE) != 0 &&
                 lead_calls(module, "get_objects", &get_objects, counted_get_objects) &&
                 lead_calls(module, "get_referrers", &get_referrers, counted_get_referrers) &&
                 lead_calls(module, "disable", &disable, settling_disable);
    use->class_dealloc = known ? type->dealloc : NULL;
    use->class_clear = known ? type->clear : NULL;
    Py_DecRef(class);
    Py_DecRef(importlib);
    PyErr_Clear();
}

/* ---- the callbacks ---- */

static void *untracked(void *object)
{
    if (object != NULL) {
        PyObject_GC_UnTrack(object);
    }
    return object;
}

/* A list with our function, which owns the objects of `use`; NULL if there is no memory. */
static void *make_callbacks(const struct collector *use)
{
    void *owned = untracked(Py_BuildValue("(OOOOOO)", use->program_callbacks, use->collect, use->no_callbacks,
                                          use->keys[0], use->keys[1], use->keys[2]));
    void *function = owned != NULL ? untracked(PyCFunction_NewEx(&method, owned, NULL)) : NULL;
    void *list = function != NULL ? untracked(PyList_New(1)) : NULL;
    if (list != NULL) {
        Py_IncRef(function);
        (void)PyList_SetItem(list, 0, function);
    }
    Py_DecRef(function);
    Py_DecRef(owned);
    return list;
}

/* Makes what `use` needs beside the layout; false if there is no memory. */
static bool make_objects(struct collector *use, void *module)
{
    static const char *const names[COLLECTION_FACTS] = {"generation", "collected", "uncollectable"};
    bool good = true;
    for (int i = 0; i < COLLECTION_FACTS; i++) {
        use->keys[i] = PyUnicode_InternFromString(names[i]);
        good = good && use->keys[i] != NULL;
    }
    use->program_callbacks = *use->gc.callbacks;
    use->collect = PyObject_GetAttrString(module, "collect");
    use->no_callbacks = untracked(PyList_New(0));
    return good && use->collect != NULL && use->no_callbacks != NULL;
}

/* Puts our list in the place of the program's. */
static bool enter(struct collector *use, void *module)
{
    void *list = make_objects(use, module) ? make_callbacks(use) : NULL;
    if (list != NULL) {
        *use->gc.callbacks = list;
        Py_DecRef(use->program_callbacks); /* the place's own reference; the function has one */
    }
    for (int i = 0; i < COLLECTION_FACTS; i++) {
        Py_DecRef(use->keys[i]);
    }
    Py_DecRef(use->collect);
    Py_DecRef(use->no_callbacks);
    return list != NULL;
}

const char *collector_attach(collection_function *at_collection)
{
    struct collector use = {.attached = true, .figures = collector.figures};
    void *module = PyImport_ImportModule("gc");
    const char *why = module != NULL ? layout_attach(&use.gc, module) : "the gc module cannot be imported";
    if (why == NULL) {
        int count = use.gc.generations[0].count;
        method.function = at_collection;
        note_classes(&use, module);
        why = enter(&use, module) ? NULL : "there is no memory for it";
        use.gc.generations[0].count = count;
    }
    PyErr_Clear();
    Py_DecRef(module);
    if (why == NULL) {
        collector = use;
    }
    return why;
}
