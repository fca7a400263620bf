/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* misuse.h: what the programs of misuse share. Each program commits one misuse. It first prints the address it will
 * misuse; if the call returns, it goes on working with the heap and prints "went on". The file src/misuse/NAME.c is
 * what a user would have written by accident; `hide` keeps the compiler from seeing it. */

#ifndef MISUSE_H
#define MISUSE_H

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void *hide(void *address)
{
    void *volatile hidden = address;
    return hidden;
}

/* Prints without stdio, whose buffer would come from the heap and could take the very block that was freed. */
static inline void *announce(void *address)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%p\n", address);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        abort();
    return hide(address);
}

static inline int go_on(void)
{
    void *blocks[500];
    for (size_t i = 0; i < 500; i++) {
        blocks[i] = malloc(1 + i * 97);
        if (!blocks[i])
            return 1;
        memset(blocks[i], 1, 1 + i * 97);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = i + 1; j < 500; j++)
            if (blocks[i] == blocks[j])
                return 2;
    for (size_t i = 0; i < 500; i++)
        free(blocks[i]);
    puts("went on");
    return 0;
}

#endif
