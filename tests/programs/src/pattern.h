/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pattern.h: blocks that know their own contents. A block filled by pattern_fill() is checked by pattern_check(),
 * which ends the program with a message if any byte changed: another block overlaps it, or its memory was lost. */

#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Every byte of a block is the same one, derived from size and seed. */
static inline unsigned char pattern_byte(size_t size, unsigned seed)
{
    return (unsigned char)(size * 31 + seed * 17 + 5);
}

static inline void pattern_fill(void *block, size_t size, unsigned seed)
{
    memset(block, pattern_byte(size, seed), size);
}

static inline void pattern_check(const void *block, size_t size, unsigned seed)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++)
        REQUIRE(bytes[i] == pattern_byte(size, seed));
}

/* A small generator with its state in the caller's hands, so that threads do not share it. */
static inline unsigned pattern_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

/* Sizes as programs ask for them: mostly small, some medium, few large. */
static inline size_t pattern_size(uint64_t *state)
{
    unsigned kind = pattern_random(state) % 100;
    if (kind < 80)
        return 1 + pattern_random(state) % 512;
    if (kind < 97)
        return 1 + pattern_random(state) % 16384;
    return 1 + pattern_random(state) % 300000;
}

#endif
