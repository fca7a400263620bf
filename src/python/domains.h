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

/* The heap of Python's mem and object domains, or NULL. */
cairn_heap *python_heap(void);

/* True if a domain that was Cairn's is not any more; then writes a line that says so. At exit. */
bool python_complaint(char *line, size_t size);

/* Trims CPython's heap. If this thread may not (it does not hold the GIL that guards the heap), asks the main thread
 * to do it soon. Returns the bytes given back by now. [any] */
size_t python_trim(void);

#endif
