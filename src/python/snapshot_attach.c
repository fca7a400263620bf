/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_attach.c: the way into the interpreter.
 *
 * CPython tells a list of callbacks when a collection starts and stops. The collector puts a list of its own in the
 * place where CPython looks for it, with one function in it. gc.callbacks stays the program's list, because the gc module
 * is imported before the exchange. Neither list nor function is tracked, so that gc.get_objects() does not show them, and
 * gc.get_count() is put back.
 *
 * That function's `self` is a tuple that owns what the collector uses: when the interpreter drops its callbacks at the
 * end, all of it goes. */

#include "python/cpython.h"
#include "python/snapshot_private.h"

struct collector collector;

static struct python_method method = {"at_collection", NULL, PYTHON_METH_FASTCALL, NULL};

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
