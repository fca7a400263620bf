/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* plugin.c: what dlopen_loop.c opens and closes. */

#include "pattern.h"

void *plugin_make(size_t size);

static void *held[200];
static __thread char local[3000];

__attribute__((constructor)) static void begin(void)
{
    for (size_t i = 0; i < 200; i++) {
        held[i] = malloc(1 + i * 37);
        REQUIRE(held[i]);
        pattern_fill(held[i], 1 + i * 37, 2);
    }
}

__attribute__((destructor)) static void end(void)
{
    for (size_t i = 0; i < 200; i++) {
        pattern_check(held[i], 1 + i * 37, 2);
        free(held[i]);
    }
}

void *plugin_make(size_t size)
{
    void *block = malloc(size);
    REQUIRE(block);
    memset(local, 1, sizeof local);
    pattern_fill(block, size, 7);
    return block;
}
