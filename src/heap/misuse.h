/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* misuse.h: reports of misuse: one line with the address and what is known of it, given to the handler. No locks are
 * held by callers. */

#ifndef CAIRN_HEAP_MISUSE_H
#define CAIRN_HEAP_MISUSE_H

#include "heap/types.h"

/* Reports; returns if the handler does. `call` names the public call, `expected` the heap it named or NULL. */
void misuse_report(cairn_misuse_kind kind, const char *call, const void *address, cairn_heap *expected);

/* The same for a handle; `sentence` says what is wrong with it, `heap` is the one the call named or NULL. */
void misuse_report_handle(cairn_misuse_kind kind, const char *call, uint64_t handle, cairn_heap *heap,
                          const char *sentence);

#endif
