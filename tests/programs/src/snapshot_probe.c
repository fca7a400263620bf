/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_probe.c: an extension module for CPython that takes a snapshot of the interpreter it is loaded into, by the
 * code that is under test, and says what the analysis found. Compiled by test_snapshot_analysis.py together with
 * src/python/snapshot_*.c and src/os, once for each version of CPython; where the generations are it knows from that
 * version's own internal headers. Also says when a declaration in python_object.h differs from these headers. */

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE
#include <Python.h>
#include <internal/pycore_interp.h>

#include "python/python_object.h"
#include "python/snapshot_process.h"

#define SAME_OFFSET(theirs, their_field, ours, our_field)                                                              \
    _Static_assert(offsetof(theirs, their_field) == offsetof(struct ours, our_field), #our_field)

SAME_OFFSET(PyObject, ob_refcnt, python_object, count);
SAME_OFFSET(PyObject, ob_type, python_object, type);
SAME_OFFSET(PyTypeObject, tp_flags, python_type, flags);
SAME_OFFSET(PyTypeObject, tp_dealloc, python_type, dealloc);
SAME_OFFSET(PyTypeObject, tp_traverse, python_type, traverse);
SAME_OFFSET(PyTypeObject, tp_clear, python_type, clear);
SAME_OFFSET(PyTypeObject, tp_weaklistoffset, python_type, weaklist_offset);
SAME_OFFSET(PyTypeObject, tp_del, python_type, del);
SAME_OFFSET(PyTypeObject, tp_finalize, python_type, finalize);
SAME_OFFSET(PyTypeObject, tp_base, python_type, base);
SAME_OFFSET(PyTypeObject, tp_is_gc, python_type, is_gc);
SAME_OFFSET(PyListObject, ob_item, python_list, items);
SAME_OFFSET(PyDictObject, ma_used, python_dict, used);
SAME_OFFSET(PyDictObject, ma_keys, python_dict, keys);
SAME_OFFSET(PyDictObject, ma_values, python_dict, values);
SAME_OFFSET(PyWeakReference, wr_object, python_reference, referent);
_Static_assert(sizeof(PyGC_Head) == GC_HEAD_BYTES, "PyGC_Head");
#ifdef Py_TPFLAGS_MANAGED_WEAKREF
_Static_assert(Py_TPFLAGS_MANAGED_WEAKREF == PYTHON_MANAGED_WEAKREF, "managed weak references");
#endif
#ifdef Py_TPFLAGS_MANAGED_DICT
_Static_assert(Py_TPFLAGS_MANAGED_DICT == PYTHON_MANAGED_DICT, "managed dicts");
#endif

static struct snapshot_input input_of_interpreter(size_t memory)
{
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;
    return (struct snapshot_input){
        .ring = {(const struct gc_head *)&gc->generations[2].head, (const struct gc_head *)&gc->generations[0].head,
                 (const struct gc_head *)&gc->generations[1].head},
        .permanent = (const struct gc_head *)&gc->permanent_generation.head,
        .minor = PY_MINOR_VERSION,
        .dict_type = &PyDict_Type,
        .tuple_type = &PyTuple_Type,
        .list_type = &PyList_Type,
        .reference_type = &_PyWeakref_RefType,
        .proxy_type = &_PyWeakref_ProxyType,
        .callable_proxy_type = &_PyWeakref_CallableProxyType,
        .memory_limit = memory,
    };
}

/* Entries as a list of numbers. `step` is 1 or -1. */
static PyObject *numbers(const uintptr_t *entry, size_t count, ptrdiff_t step)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(entry[(ptrdiff_t)i * step]);
        if (number == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, number);
        }
    }
    return list;
}

static PyObject *told(const struct snapshot_result *result)
{
    const uint64_t *ns = result->pass_ns;
    return Py_BuildValue("{s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:(KKKKK),s:N,s:N}", "status", (unsigned)result->status,
                         "objects", (unsigned long long)result->objects, "live", (unsigned long long)result->live,
                         "garbage", (unsigned long long)result->garbage, "components",
                         (unsigned long long)result->components, "suspicious", (unsigned long long)result->suspicious,
                         "table_bytes", (unsigned long long)result->table_bytes, "pass_ns",
                         (unsigned long long)ns[SNAPSHOT_FIND], (unsigned long long)ns[SNAPSHOT_SUBTRACT],
                         (unsigned long long)ns[SNAPSHOT_MARK], (unsigned long long)ns[SNAPSHOT_PART],
                         (unsigned long long)ns[SNAPSHOT_ORDER], "candidates",
                         numbers(result->entry, result->candidates, 1), "untracks",
                         numbers(result->entry + result->capacity - 1, result->untracks, -1));
}

/* analyse(capacity, memory, limit_ms): takes a snapshot, waits for it, returns the result as a dict, None if there is
 * none. */
static PyObject *analyse(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_ssize_t capacity, memory;
    unsigned limit_ms;
    if (!PyArg_ParseTuple(arguments, "nnI", &capacity, &memory, &limit_ms)) {
        return NULL;
    }
    struct snapshot_input input = input_of_interpreter((size_t)memory);
    struct snapshot_process process = {0};
    int error = snapshot_process_start(&process, &input, (size_t)capacity, limit_ms);
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    enum snapshot_state state = snapshot_process_wait(&process, (limit_ms + 1000) * UINT64_C(1000000));
    PyObject *result = state == SNAPSHOT_ENDED ? told(process.result) : (Py_INCREF(Py_None), Py_None);
    snapshot_process_close(&process);
    return result;
}

/* objects(addresses): the objects that are there. */
static PyObject *objects(PyObject *module, PyObject *addresses)
{
    (void)module;
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < PyList_Size(addresses); i++) {
        PyObject *object = PyLong_AsVoidPtr(PyList_GetItem(addresses, i));
        if (object == NULL || PyList_Append(list, object) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyMethodDef functions[] = {
    {"analyse", analyse, METH_VARARGS, NULL},
    {"objects", objects, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "snapshot_probe", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit_snapshot_probe(void)
{
    return PyModule_Create(&definition);
}
