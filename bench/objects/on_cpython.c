/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* on_cpython.c: the workloads on CPython's objects, through its C API in an embedded interpreter. */

#define PY_SSIZE_T_CLEAN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <Python.h>
#pragma GCC diagnostic pop

#include <stdbool.h>

typedef PyObject *ref;
#define NAME "cpython"
#define NONE Py_None

static PyTypeObject node_type;

static void need(bool done)
{
    if (!done) {
        PyErr_Print();
        abort();
    }
}

static void start(bool automatic)
{
    Py_InitializeEx(0);
    need(PyType_Ready(&node_type) == 0);
    (void)PyGC_Collect();
    if (!automatic) {
        PyGC_Disable();
    }
}

static ref keep(ref object)
{
    Py_INCREF(object);
    return object;
}

static void drop(ref object)
{
    Py_DECREF(object);
}

static ref pair(ref a, ref b)
{
    ref tuple = PyTuple_New(2);
    need(tuple != NULL);
    PyTuple_SET_ITEM(tuple, 0, a == Py_None ? keep(a) : a);
    PyTuple_SET_ITEM(tuple, 1, b == Py_None ? keep(b) : b);
    return tuple;
}

static ref first(ref tuple)
{
    return PyTuple_GET_ITEM(tuple, 0);
}

static ref second(ref tuple)
{
    return PyTuple_GET_ITEM(tuple, 1);
}

static ref list(void)
{
    ref made = PyList_New(0);
    need(made != NULL);
    return made;
}

static void append(ref list_object, ref item)
{
    need(PyList_Append(list_object, item) == 0);
    drop(item);
}

static ref at(ref list_object, size_t i)
{
    return PyList_GET_ITEM(list_object, (Py_ssize_t)i);
}

static ref dict(void)
{
    ref made = PyDict_New();
    need(made != NULL);
    return made;
}

static void set(ref dict_object, ref key, ref value)
{
    need(PyDict_SetItem(dict_object, key, value) == 0);
    drop(key);
    drop(value);
}

static ref get(ref dict_object, ref key)
{
    return PyDict_GetItem(dict_object, key);
}

static ref integer(long value)
{
    ref made = PyLong_FromLong(value);
    need(made != NULL);
    return made;
}

static long value_of(ref number)
{
    return PyLong_AsLong(number);
}

static void collect(void)
{
    int enabled = PyGC_Enable(); /* it does nothing while disabled */
    (void)PyGC_Collect();
    if (!enabled) {
        PyGC_Disable();
    }
}

struct node {
    PyObject_HEAD ref references[2];
};

static int node_traverse(ref self, visitproc visit, void *arg)
{
    Py_VISIT(((struct node *)(void *)self)->references[0]);
    Py_VISIT(((struct node *)(void *)self)->references[1]);
    return 0;
}

static int node_clear(ref self)
{
    Py_CLEAR(((struct node *)(void *)self)->references[0]);
    Py_CLEAR(((struct node *)(void *)self)->references[1]);
    return 0;
}

static void node_dealloc(ref self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, node_dealloc) node_clear(self);
    PyObject_GC_Del(self);
    Py_TRASHCAN_END
}

static PyTypeObject node_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bench.node",
    .tp_basicsize = sizeof(struct node),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = node_traverse,
    .tp_clear = node_clear,
    .tp_dealloc = node_dealloc,
};

static ref node(ref a, ref b)
{
    struct node *made = PyObject_GC_New(struct node, &node_type);
    need(made != NULL);
    made->references[0] = a;
    made->references[1] = b;
    PyObject_GC_Track(made);
    return (ref)made;
}

static ref reference(ref node_object, int i)
{
    return ((struct node *)(void *)node_object)->references[i];
}

static void finish(void)
{
}

#include "workloads.h"
