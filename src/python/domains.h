/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* domains.h: Cairn as the allocator of CPython's raw, mem and object domains. */

#ifndef CAIRN_PYTHON_DOMAINS_H
#define CAIRN_PYTHON_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "cairn.h"

/* If the process is a CPython that Cairn serves (3.8 to 3.13, with a GIL), installs Cairn behind its three domains;
 * if something keeps Cairn out, says so on stderr. Before main, from the preload's constructor, once. */
void python_install(int argc, char **argv);

/* Which domains were given to Cairn: bit d for the domain d of cairn_domain. Constant after python_install(). [any] */
unsigned python_domains(void);

/* The heap of Python's mem and object domains, or NULL. */
cairn_heap *python_heap(void);

/* The minor version of the CPython whose objects live there; 0: none. */
int python_minor(void);

/* From now on frees of the mem and object domains are noted in the freed log, or not; with `look`, as
 * logged_domains.h has it. False if Cairn does not serve these domains, or something was put in front of it since. In
 * the constructor, or with the GIL. */
bool python_note_frees(bool on, void (*look)(void));

/* True if a domain that was Cairn's is not any more; then writes a line that says so. At exit. */
bool python_complaint(char *line, size_t size);

/* Trims CPython's heap. If this thread may not (it does not hold the GIL that guards the heap), asks the main thread
 * to do it soon. Returns the bytes given back by now. [any] */
size_t python_trim(void);

#endif
