/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* debug.h: assertion tiers. ASSERT: debug builds (CAIRN_DEBUG); it never guards against what a user can cause. A
 * disabled one still compiles its condition. DEBUG_HOLDS(condition) is the condition in debug builds, else true: for
 * what users can cause and only debug builds look for. */

#ifndef CAIRN_HEAP_DEBUG_H
#define CAIRN_HEAP_DEBUG_H

#include <stdbool.h>

_Noreturn void debug_failed(const char *condition, const char *file, int line);

#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
#define ASSERT(condition) ((condition) ? (void)0 : debug_failed(#condition, __FILE__, __LINE__))
#define DEBUG_ONLY(statement) statement
#define DEBUG_HOLDS(condition) (condition)
#else
#define ASSERT(condition) ((void)sizeof(condition))
#define DEBUG_ONLY(statement) ((void)0)
#define DEBUG_HOLDS(condition) (sizeof(condition) != 0)
#endif

#endif
