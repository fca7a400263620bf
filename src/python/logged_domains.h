/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* logged_domains.h: the allocators of Python's mem and object domains in snapshot mode. They serve as those of
 * domains.c do, and note in the freed log (freed_log.h) each block that is given up; in other modes they are not
 * installed, so that nothing is paid for them.
 *
 * The *starting* variant also looks every LOGGED_LOOK requests whether the interpreter is ready for the snapshot
 * collector to attach: that is how the collector finds its way in without a hook in CPython. */

#ifndef CAIRN_PYTHON_LOGGED_DOMAINS_H
#define CAIRN_PYTHON_LOGGED_DOMAINS_H

#include "cairn.h"

enum { LOGGED_LOOK = 1024 };

/* An allocator that serves from a single heap (context: its owner) or from any heap (context: the heap), with the log.
 * `look` is called by every LOGGED_LOOK-th request for memory, before it is served; NULL: the plain variant. One `look`
 * for the process. */
void logged_allocator(cairn_heap *heap, void (*look)(void), cairn_allocator *allocator);

#endif
