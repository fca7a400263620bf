/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* debug_hooks.c: a library to preload before Cairn's: its constructor runs after Cairn's and puts CPython's debug
 * hooks on top of Cairn's allocators, at the only time when that is safe: before main. */

void PyMem_SetupDebugHooks(void) __attribute__((weak));

static __attribute__((constructor)) void set_up(void)
{
    if (PyMem_SetupDebugHooks != 0) {
        PyMem_SetupDebugHooks();
    }
}
