/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cpython.h: the part of CPython's C API that Cairn uses, by weak references: the addresses are NULL in a process
 * that did not start with a libpython or an interpreter. A missing function costs no dlerror() text this way. The
 * declarations agree with Include/cpython/pymem.h (struct layout) of 3.8 to 3.13. */

#ifndef CAIRN_PYTHON_CPYTHON_H
#define CAIRN_PYTHON_CPYTHON_H

#include "cairn.h"

#define PYTHON_API extern __attribute__((weak))

/* PyMemAllocatorEx has the layout of cairn_allocator, PyMemAllocatorDomain the values of cairn_domain. */
PYTHON_API void PyMem_GetAllocator(int domain, cairn_allocator *allocator);
PYTHON_API void PyMem_SetAllocator(int domain, cairn_allocator *allocator);

/* "3.11.2 (main, ...) [GCC 12.2.0]"; callable before initialisation. */
PYTHON_API const char *Py_GetVersion(void);
PYTHON_API int Py_IsInitialized(void);

/* Asks the main thread to call `function` soon, with the GIL. Any thread, with or without the GIL. */
PYTHON_API int Py_AddPendingCall(int (*function)(void *context), void *context);

/* The thread state that holds the GIL, and this thread's; equal only in the thread that holds it (before 3.12). */
PYTHON_API void *_PyThreadState_UncheckedGet(void);
PYTHON_API void *PyGILState_GetThisThreadState(void);

/* Take and release the GIL, for a thread state of this thread. */
PYTHON_API void PyEval_RestoreThread(void *state);
PYTHON_API void *PyEval_SaveThread(void);
PYTHON_API int _Py_IsFinalizing(void);

/* ---- what the snapshot collector needs; objects are void * ---- */

/* A new reference to the module, NULL with an exception set. */
PYTHON_API void *PyImport_ImportModule(const char *name);

PYTHON_API void Py_IncRef(void *object);
PYTHON_API void Py_DecRef(void *object); /* NULL: nothing */

/* New references; NULL with an exception set. */
PYTHON_API void *PyObject_GetAttrString(void *object, const char *name);
PYTHON_API void *PyObject_CallMethod(void *object, const char *name, const char *format, ...);
PYTHON_API void *PyObject_CallFunction(void *callable, const char *format, ...);
PYTHON_API void *PyObject_CallFunctionObjArgs(void *callable, ...);
PYTHON_API void *Py_BuildValue(const char *format, ...);
PYTHON_API void *PyUnicode_InternFromString(const char *text);
PYTHON_API void *PyList_New(ptrdiff_t length);

PYTHON_API ptrdiff_t PyList_Size(void *list);
PYTHON_API void *PyList_GetItem(void *list, ptrdiff_t index);           /* borrowed */
PYTHON_API int PyList_SetItem(void *list, ptrdiff_t index, void *item); /* takes the item's reference */
PYTHON_API void *PyTuple_GetItem(void *tuple, ptrdiff_t index);         /* borrowed */
PYTHON_API void *PyDict_GetItem(void *dict, void *key);                 /* borrowed; NULL without an exception */
PYTHON_API ptrdiff_t PyDict_Size(void *dict);
PYTHON_API ptrdiff_t PyTuple_Size(void *tuple);
PYTHON_API int PyDict_Next(void *dict, ptrdiff_t *position, void **key, void **value); /* borrowed */
PYTHON_API long PyLong_AsLong(void *object);
PYTHON_API int PyUnicode_CompareWithASCIIString(void *text, const char *other);

PYTHON_API void *PyErr_Occurred(void); /* borrowed */
PYTHON_API void PyErr_Clear(void);
PYTHON_API void PyErr_WriteUnraisable(void *object);
PYTHON_API void PyErr_FormatUnraisable(const char *format, ...); /* from 3.13 */

/* PyMethodDef, and a function of METH_FASTCALL. */
struct python_method {
    const char *name;
    void *(*function)(void *self, void *const *arguments, ptrdiff_t count);
    int flags;
    const char *documentation;
};
enum { PYTHON_METH_FASTCALL = 0x80 };
PYTHON_API void *PyCFunction_NewEx(const struct python_method *method, void *self, void *module);

/* The method's function, whose true type depends on the flags. */
PYTHON_API void (*PyCFunction_GetFunction(void *function))(void);
PYTHON_API char PyCFunction_Type;

PYTHON_API int PyObject_IS_GC(void *object);
PYTHON_API int PyObject_GC_IsTracked(void *object);
PYTHON_API void PyObject_GC_UnTrack(void *object);

PYTHON_API void *PyInterpreterState_Get(void);
PYTHON_API void *PyInterpreterState_Head(void);
PYTHON_API void *PyInterpreterState_Next(void *interpreter);
PYTHON_API int Py_AtExit(void (*function)(void));  /* at the very end of the interpreter */
PYTHON_API int Py_IsFinalizing(void);              /* from 3.13 */
PYTHON_API void *PyThreadState_GetUnchecked(void); /* from 3.13 */

PYTHON_API char PyBaseObject_Type;
PYTHON_API char PyDict_Type;
PYTHON_API char PyList_Type;
PYTHON_API char PyTuple_Type;
PYTHON_API char PySet_Type;
PYTHON_API char PyFrozenSet_Type;
PYTHON_API char PyCell_Type;
PYTHON_API char PyFunction_Type;
PYTHON_API char PyMethod_Type;
PYTHON_API char PyODict_Type;
PYTHON_API char PyUnicode_Type;
PYTHON_API char PyBytes_Type;
PYTHON_API char PyLong_Type;
PYTHON_API char PyFloat_Type;
PYTHON_API char _PyWeakref_CallableProxyType;
PYTHON_API char _PyWeakref_ProxyType;
PYTHON_API char _PyWeakref_RefType;
PYTHON_API char _Py_NoneStruct;

#endif
