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

#endif
