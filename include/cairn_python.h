/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cairn_python.h: what a CPython that runs on Cairn may ask of it: the collector's mode, statistics, memory back, a
 * check.
 *
 * libcairn-preload.so alone exports these functions. Code that is to load with and without it looks each up:
 *
 *     cairn_python_version_function *version =
 *         (cairn_python_version_function *)dlsym(RTLD_DEFAULT, "cairn_python_interface");
 *     if (version != NULL && version() == CAIRN_PYTHON_INTERFACE) { ... every other function is there too ... }
 *
 * Thread rules. Beside [any] (any thread, any time), as in cairn.h:
 *   [gil]  the calling thread holds the GIL of the main interpreter.
 *
 * Strings returned are static and never freed. Functions that return int return 0 or a positive errno value;
 * out-parameters are written only on success unless said otherwise. */

#ifndef CAIRN_PYTHON_H
#define CAIRN_PYTHON_H

#include <stddef.h>
#include <stdio.h>

#include "cairn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a declaration below changes. */
#define CAIRN_PYTHON_INTERFACE 1

/* CAIRN_PYTHON_INTERFACE as the preload was built with. Its declaration never changes. [any] */
CAIRN_API int cairn_python_interface(void);
typedef int cairn_python_version_function(void);

/* Which of CPython's domains Cairn was given when the process started: bit d for the domain d of cairn_domain. 0 in a
 * process that is no CPython, or where PYTHONMALLOC and the like keep Cairn out. [any] */
CAIRN_API unsigned cairn_python_domains(void);

/* ---- the collector ---- */

/* Who does the collections of the oldest generation. */
typedef enum cairn_gc_mode {
    CAIRN_GC_STOCK,   /* CPython */
    CAIRN_GC_SNAPSHOT /* Cairn, in a copy-on-write snapshot of the process */
} cairn_gc_mode;

/* The mode: what was asked for last, by CAIRN_GC or by a call, if it was possible. [any] */
CAIRN_API cairn_gc_mode cairn_python_gc_mode(void);

/* Switches the mode. Returns 0; EINVAL for a mode that does not exist; or ENOTSUP if snapshots are not possible in
 * this process: the mode is stock then. Unless it returns 0, *why says in a few words what is wrong; `why` may be
 * NULL. [gil] */
CAIRN_API int cairn_python_gc_set_mode(cairn_gc_mode mode, const char **why);

/* What keeps snapshots from being taken although they were asked for, in a few words; "" if nothing does. [gil] */
CAIRN_API const char *cairn_python_gc_obstacle(void);

/* In snapshot mode: takes a snapshot now, waits for it and frees all it found, once, as a full collection would. Returns
 * the objects freed, as gc.collect() counts them, or -1 if the mode is stock or no snapshot could be taken: the caller
 * then asks CPython's own collector. Finalizers of the program run inside. [gil] */
CAIRN_API ptrdiff_t cairn_python_gc_collect(void);

/* ---- memory ---- */

/* cairn_trim() for malloc's heap and for Python's. Returns the bytes purged or released. [gil] */
CAIRN_API size_t cairn_python_trim(void);

/* Checks the structures of the heaps that no other thread can be changing: Python's where the GIL guards it (before
 * 3.12), and all others too if the process has one thread. Every fault is a line of `text`, which is cut to `size`
 * bytes with the final 0; *faults is their number, *skipped that of the heaps left out. Returns 0; EINVAL if a
 * pointer is NULL or `size` 0; or ENOMEM. [gil] */
CAIRN_API int cairn_python_check(char *text, size_t size, size_t *faults, size_t *skipped);

/* ---- statistics ---- */

/* Writes the statistics of the process to `out`: as the JSON document that `cairn run --stats=json` prints at exit
 * (cairn-run(1) describes it), or as the text of `cairn run --stats`. Flushes `out`.
 * Returns 0 or an errno value. [gil] */
CAIRN_API int cairn_python_stats_json(FILE *out);
CAIRN_API int cairn_python_stats_text(FILE *out);

#ifdef __cplusplus
}
#endif

#endif /* CAIRN_PYTHON_H */
