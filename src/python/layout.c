/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* layout.c: see layout.h. The checks go from what cannot be there by chance (generation0 points to the first
 * generation, two fields hold the very lists of the gc module) to what is only likely. Nothing is written. */

#include "python/layout.h"

#include <stdbool.h>

#include "python/cpython.h"
#include "python/domains.h"

static const struct gc_layout layouts[] = {
#include "python/layout_table.h"
};

const struct gc_layout *layout_of(int minor)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (layouts[i].minor == minor) {
            return &layouts[i];
        }
    }
    return NULL;
}

static void locate(struct python_gc *gc, const struct gc_layout *layout, char *interpreter)
{
    char *base = interpreter + layout->gc;
    gc->minor = layout->minor;
    gc->interpreter = interpreter;
    gc->enabled = (int *)(void *)(base + layout->enabled);
    gc->debug = (int *)(void *)(base + layout->debug);
    gc->collecting = (int *)(void *)(base + layout->collecting);
    gc->generations = (struct gc_generation *)(void *)(base + layout->generations);
    gc->permanent = (struct gc_head *)(void *)(base + layout->permanent);
    gc->statistics = (struct gc_generation_stats *)(void *)(base + layout->statistics);
    gc->garbage = (void **)(void *)(base + layout->garbage);
    gc->callbacks = (void **)(void *)(base + layout->callbacks);
    gc->long_lived_total = (ptrdiff_t *)(void *)(base + layout->long_lived_total);
    gc->long_lived_pending = (ptrdiff_t *)(void *)(base + layout->long_lived_pending);
}

/* ---- what the gc module says ---- */

static bool holds(void *module, const char *name, const void *expected)
{
    void *value = PyObject_GetAttrString(module, name);
    bool same = value != NULL && value == expected;
    Py_DecRef(value);
    return same;
}

/* The number an expression of the gc module gives, item `at` if that is not negative; -1 if there is none. */
static long number_of(void *module, const char *function, ptrdiff_t at)
{
    void *answer = PyObject_CallMethod(module, function, NULL);
    void *item = answer != NULL && at >= 0 ? PyTuple_GetItem(answer, at) : answer;
    long number = item != NULL ? PyLong_AsLong(item) : -1;
    Py_DecRef(answer);
    return number;
}

static bool agrees_with_module(const struct python_gc *gc, void *module)
{
    for (int i = 0; i < GC_GENERATIONS; i++) {
        if (number_of(module, "get_threshold", i) != gc->generations[i].threshold) {
            return false;
        }
    }
    for (int i = 1; i < GC_GENERATIONS; i++) { /* the first count moves with each object made */
        if (number_of(module, "get_count", i) != gc->generations[i].count) {
            return false;
        }
    }
    return holds(module, "garbage", *gc->garbage) && holds(module, "callbacks", *gc->callbacks) &&
           number_of(module, "isenabled", -1) == *gc->enabled;
}

/* ---- what must be so in itself ---- */

static bool linked(const struct gc_head *head)
{
    return gc_head_next(head) != NULL && gc_head_prev(head) != NULL && gc_head_prev(gc_head_next(head)) == head &&
           gc_head_next(gc_head_prev(head)) == head;
}

static bool plausible(const struct python_gc *gc, const struct gc_layout *layout)
{
    const char *base = (const char *)gc->interpreter + layout->gc;
    const void *const *generation0 = (const void *const *)(const void *)(base + layout->generation0);
    if (*generation0 != gc->generations) {
        return false;
    }
    for (int i = 0; i < GC_GENERATIONS; i++) {
        if (!linked(&gc->generations[i].head)) {
            return false;
        }
    }
    return linked(gc->permanent) && *gc->long_lived_total >= 0 && *gc->long_lived_pending >= 0;
}

/* A reference count and a type, and nothing else: no build with extra fields in each object. */
static bool plain_objects(void)
{
    enum { PLAIN = 16 };
    void *size = PyObject_GetAttrString(&PyBaseObject_Type, "__basicsize__");
    bool plain = size != NULL && PyLong_AsLong(size) == PLAIN;
    Py_DecRef(size);
    return plain;
}

const char *layout_attach(struct python_gc *gc, void *module)
{
    struct python_gc found;
    const struct gc_layout *layout = layout_of(python_minor());
    if (layout == NULL) {
        return "this version of Python is not known to it";
    }
    if (!plain_objects()) {
        PyErr_Clear();
        return "this is a debug build of Python";
    }
    locate(&found, layout, PyInterpreterState_Get());
    bool good = plausible(&found, layout) && agrees_with_module(&found, module);
    PyErr_Clear();
    if (!good) {
        return "this build of Python keeps its collector elsewhere than its headers say";
    }
    *gc = found;
    return NULL;
}
