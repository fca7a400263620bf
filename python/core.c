/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* core.c: cairn._core, the way from Python to the calls of cairn_python.h.
 *
 * The module is the same with and without Cairn in the process: it looks the calls up when it is imported. Those on
 * Cairn raise RuntimeError where it is not there; the package asks preloaded() first. It is built once, against the
 * limited API of CPython 3.9, for all versions from there on. The GIL is held in every call, as cairn_python.h
 * demands. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#include <Python.h>

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "cairn_python.h"

enum { CHECK_BYTES = 65536 };

/* The calls, NULL if Cairn is not in the process. Written when the module is first made, never again. */
static struct {
    int interface; /* of the preload; 0: none */
    unsigned (*domains)(void);
    cairn_gc_mode (*gc_mode)(void);
    int (*gc_set_mode)(cairn_gc_mode mode, const char **why);
    const char *(*gc_obstacle)(void);
    ptrdiff_t (*gc_collect)(void);
    size_t (*trim)(void);
    int (*check)(char *text, size_t size, size_t *faults, size_t *skipped);
    int (*stats_json)(FILE *out);
    int (*stats_text)(FILE *out);
} calls;

/* ---- finding them ---- */

static int find(const char *name, void *call)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    memcpy(call, &address, sizeof address);
    return address != NULL;
}

static void find_calls(void)
{
    cairn_python_version_function *interface;
    if (!find("cairn_python_interface", &interface)) {
        return;
    }
    calls.interface = interface();
    int whole = calls.interface == CAIRN_PYTHON_INTERFACE && find("cairn_python_domains", &calls.domains) &&
                find("cairn_python_gc_mode", &calls.gc_mode) && find("cairn_python_gc_set_mode", &calls.gc_set_mode) &&
                find("cairn_python_gc_obstacle", &calls.gc_obstacle) &&
                find("cairn_python_gc_collect", &calls.gc_collect) && find("cairn_python_trim", &calls.trim) &&
                find("cairn_python_check", &calls.check) && find("cairn_python_stats_json", &calls.stats_json) &&
                find("cairn_python_stats_text", &calls.stats_text);
    if (!whole) {
        int interface_found = calls.interface;
        memset(&calls, 0, sizeof calls);
        calls.interface = interface_found;
    }
}

static int is_preloaded(void)
{
    return calls.stats_json != NULL;
}

static int need_cairn(void)
{
    if (!is_preloaded()) {
        PyErr_SetString(PyExc_RuntimeError, "this process does not run on Cairn");
    }
    return is_preloaded();
}

/* ---- what the process runs on ---- */

static PyObject *core_preloaded(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(is_preloaded());
}

static PyObject *core_interfaces(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("(ii)", CAIRN_PYTHON_INTERFACE, calls.interface);
}

static PyObject *core_domains(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? PyLong_FromUnsignedLong(calls.domains()) : NULL;
}

/* ---- the collector ---- */

static PyObject *core_gc_mode(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? PyLong_FromLong(calls.gc_mode()) : NULL;
}

static PyObject *core_gc_set_mode(PyObject *module, PyObject *argument)
{
    (void)module;
    const char *why = "";
    long mode = PyLong_AsLong(argument);
    if ((mode == -1 && PyErr_Occurred()) || !need_cairn()) {
        return NULL;
    }
    if (calls.gc_set_mode((cairn_gc_mode)mode, &why) != 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_RuntimeError, "%s", why);
    }
    Py_RETURN_NONE;
}

static PyObject *core_gc_obstacle(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? PyUnicode_FromString(calls.gc_obstacle()) : NULL;
}

static PyObject *core_gc_collect(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (!need_cairn()) {
        return NULL;
    }
    ptrdiff_t freed = calls.gc_collect();
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(freed);
}

/* ---- memory ---- */

static PyObject *core_trim(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? PyLong_FromSize_t(calls.trim()) : NULL;
}

/* The C library's, for a process without Cairn. */
static PyObject *core_malloc_trim(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(malloc_trim(0));
}

static PyObject *core_check(PyObject *module, PyObject *unused)
{
    static char text[CHECK_BYTES]; /* no request for memory while the heaps are looked at */
    size_t faults, skipped;
    (void)module;
    (void)unused;
    if (!need_cairn()) {
        return NULL;
    }
    int error = calls.check(text, sizeof text, &faults, &skipped);
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    PyObject *lines = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    return lines != NULL ? Py_BuildValue("(Nnn)", lines, (Py_ssize_t)faults, (Py_ssize_t)skipped) : NULL;
}

/* ---- statistics ---- */

/* What `write` writes to a stream, as a str. */
static PyObject *written(int (*write)(FILE *out))
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return PyErr_NoMemory();
    }
    int error = write(out);
    if (fclose(out) != 0 && error == 0) {
        error = errno;
    }
    PyObject *result = NULL;
    if (error == 0) {
        result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
    } else {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    free(text);
    return result;
}

static PyObject *core_stats_json(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? written(calls.stats_json) : NULL;
}

static PyObject *core_stats_text(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return need_cairn() ? written(calls.stats_text) : NULL;
}

/* ---- the module ---- */

static PyMethodDef methods[] = {
    {"preloaded", core_preloaded, METH_NOARGS, "Is libcairn-preload.so, of a version that fits, in this process?"},
    {"interfaces", core_interfaces, METH_NOARGS,
     "The interface this module was built for, and the preload's (0: none)."},
    {"domains", core_domains, METH_NOARGS, "CPython's domains that are Cairn's: bits 0 raw, 1 mem, 2 object."},
    {"gc_mode", core_gc_mode, METH_NOARGS, "0: stock, 1: snapshot."},
    {"gc_set_mode", core_gc_set_mode, METH_O, "Switches the mode; RuntimeError with the reason if that is impossible."},
    {"gc_obstacle", core_gc_obstacle, METH_NOARGS, "What keeps snapshots from being taken; '' if nothing does."},
    {"gc_collect", core_gc_collect, METH_NOARGS, "Objects freed by a snapshot taken now; -1 if none could be taken."},
    {"trim", core_trim, METH_NOARGS, "Bytes given back to the system."},
    {"malloc_trim", core_malloc_trim, METH_NOARGS, "The C library's malloc_trim(0)."},
    {"check", core_check, METH_NOARGS, "Lines on faults, their number, and that of heaps left out."},
    {"stats_json", core_stats_json, METH_NOARGS, "The statistics of the process as a JSON document."},
    {"stats_text", core_stats_text, METH_NOARGS, "The statistics of the process as text for people."},
    {NULL, NULL, 0, NULL},
};

/* The calls on the collector are about the main interpreter's. */
static int begin(PyObject *module)
{
    (void)module;
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "cairn can be imported in the main interpreter only");
        return -1;
    }
    find_calls();
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "cairn._core",
    "The calls of Cairn that this process has.",
    0,
    methods,
    slots,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
