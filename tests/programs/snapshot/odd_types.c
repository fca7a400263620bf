/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors
 *
 * odd_types: extension types whose dealings with the collector are less than
 * perfect, as such types in use are.
 *
 *   Partial(seen, hidden)  collected by the garbage collector; its tp_traverse
 * tells of `seen`, never of `hidden` Opaque(held)           not known to the
 * collector at all, though it holds a reference Legacy(held)           has a
 * tp_del: cycles with it are uncollectable and end in gc.garbage Freed(number,
 * log)     not known to the collector; calls log(number) when its memory is
 * given back
 *
 * Each has clear(), which drops what it holds. All but Freed can be referred to
 * weakly. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

struct odd {
    PyObject ob_base;
    PyObject *first;
    PyObject *second;
    PyObject *weak;
};

static int odd_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct odd *odd = (struct odd *)self;
    PyObject *first = Py_None, *second = Py_None;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "|OO", &first, &second)) {
        return -1;
    }
    Py_INCREF(first);
    Py_XSETREF(odd->first, first);
    Py_INCREF(second);
    Py_XSETREF(odd->second, second);
    return 0;
}

static int odd_tp_clear(PyObject *self)
{
    struct odd *odd = (struct odd *)self;
    Py_CLEAR(odd->first);
    Py_CLEAR(odd->second);
    return 0;
}

static PyObject *odd_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    odd_tp_clear(self);
    Py_RETURN_NONE;
}

static int partial_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct odd *)self)->first);
    return 0;
}

static int whole_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct odd *)self)->first);
    Py_VISIT(((struct odd *)self)->second);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void odd_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyType_IS_GC(type)) {
        PyObject_GC_UnTrack(self);
    }
    if (((struct odd *)self)->weak != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    odd_tp_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static void freed_dealloc(PyObject *self)
{
    struct odd *odd = (struct odd *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject *done = PyObject_CallFunctionObjArgs(odd->second, odd->first, NULL);
    if (done == NULL) {
        PyErr_WriteUnraisable(odd->second);
    }
    Py_XDECREF(done);
    PyErr_Restore(kind, value, trace);
    odd_tp_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static void legacy_del(PyObject *self)
{
    (void)self;
}

static PyMethodDef odd_methods[] = {{"clear", odd_clear, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};

static PyMemberDef odd_members[] = {
    {"first", T_OBJECT, offsetof(struct odd, first), 0, NULL},
    {"second", T_OBJECT, offsetof(struct odd, second), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct odd, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define SLOTS(name, ...)                                                                                               \
    static PyType_Slot name[] = {{Py_tp_new, PyType_GenericNew},                                                       \
                                 {Py_tp_init, odd_init},                                                               \
                                 {Py_tp_members, odd_members},                                                         \
                                 {Py_tp_methods, odd_methods},                                                         \
                                 __VA_ARGS__,                                                                          \
                                 {0, NULL}}

SLOTS(partial_slots, {Py_tp_traverse, partial_traverse}, {Py_tp_clear, odd_tp_clear}, {Py_tp_dealloc, odd_dealloc});
SLOTS(opaque_slots, {Py_tp_dealloc, odd_dealloc});
SLOTS(legacy_slots, {Py_tp_traverse, whole_traverse}, {Py_tp_clear, odd_tp_clear}, {Py_tp_dealloc, odd_dealloc},
      {Py_tp_del, legacy_del});
SLOTS(freed_slots, {Py_tp_dealloc, freed_dealloc});

#define GC_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE)

static PyType_Spec specs[] = {
    {"odd_types.Partial", sizeof(struct odd), 0, GC_FLAGS, partial_slots},
    {"odd_types.Opaque", sizeof(struct odd), 0, Py_TPFLAGS_DEFAULT, opaque_slots},
    {"odd_types.Legacy", sizeof(struct odd), 0, GC_FLAGS, legacy_slots},
    {"odd_types.Freed", sizeof(struct odd), 0, Py_TPFLAGS_DEFAULT, freed_slots},
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, "odd_types", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_odd_types(void)
{
    static const char *const names[] = {"Partial", "Opaque", "Legacy", "Freed"};
    PyObject *self = PyModule_Create(&module);
    for (size_t i = 0; self != NULL && i < sizeof(specs) / sizeof(*specs); i++) {
        PyObject *type = PyType_FromSpec(&specs[i]);
        if (type == NULL || PyModule_AddObject(self, names[i], type) != 0) {
            Py_CLEAR(self);
        }
    }
    return self;
}
