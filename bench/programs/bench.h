/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* bench.h: what all benchmark programs share: seeded random numbers, checked allocation, marks and the checksum.
 *
 * Each program takes one optional argument, the scale in percent of its full work (default 100), does the same work
 * for the same scale in every run, and prints one line, "NAME CHECKSUM". The checksum comes from marks written into
 * every block and read back before it is freed, so a block given out twice or lost shows as another checksum, and no
 * compiler can leave the allocations out. The measuring is the harness's: the programs read no clock. What they made
 * is freed before bench_done(), so what stays resident there is what the allocator keeps. */

#ifndef CAIRN_BENCH_H
#define CAIRN_BENCH_H

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BENCH_SEED UINT64_C(0x9E3779B97F4A7C15)

/* xorshift64*: a full-period generator; `state` must not be 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}

/* A number from 0 to bound - 1; `bound` must be below 2^32. */
static inline size_t bench_below(uint64_t *state, size_t bound)
{
    return (size_t)(((bench_random(state) >> 32) * bound) >> 32);
}

/* A size as programs ask for them: most are small, few reach `limit` (a power of two of at least 128). */
static inline size_t bench_skewed_size(uint64_t *state, size_t limit)
{
    size_t bound = 64;
    while (bound < limit && bench_below(state, 4) == 0)
        bound *= 2;
    return 8 + bench_below(state, bound - 8);
}

static inline void *bench_checked(void *block)
{
    if (block == NULL) {
        fputs("bench: out of memory\n", stderr);
        exit(1);
    }
    return block;
}

static inline void *bench_alloc(size_t size)
{
    return bench_checked(malloc(size));
}

/* Writes the first 8 bytes and the last byte of a block of at least 8 bytes. */
static inline void bench_mark(void *block, size_t size, uint64_t mark)
{
    ((unsigned char *)block)[size - 1] = (unsigned char)mark;
    memcpy(block, &mark, sizeof mark);
}

/* Reads the mark back. */
static inline uint64_t bench_marked(const void *block)
{
    uint64_t mark;
    memcpy(&mark, block, sizeof mark);
    return mark;
}

/* `full` scaled by the program's argument, at least 1. */
static inline size_t bench_scaled(int argc, char **argv, size_t full)
{
    if (argc < 2)
        return full;
    char *end;
    double percent = strtod(argv[1], &end);
    if (*end != '\0' || !(percent > 0.0 && percent <= 10000.0)) {
        fprintf(stderr, "usage: %s [SCALE]: percent of the full work, above 0, at most 10000\n", argv[0]);
        exit(2);
    }
    double scaled = (double)full * percent / 100.0;
    return scaled < 1.0 ? 1 : (size_t)scaled;
}

static inline void bench_start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    if (pthread_create(thread, NULL, body, argument) != 0) {
        fputs("bench: cannot start a thread\n", stderr);
        exit(1);
    }
}

/* Tells the launcher that the work is done, if it asked to know, and waits until it has looked at what is resident
 * (launcher.c). */
static inline void bench_rest(void)
{
    const char *ends = getenv("BENCH_MARK");
    int mark, self = (int)getpid();
    struct pollfd go = {.events = POLLIN};
    if (ends == NULL || sscanf(ends, "%d,%d", &mark, &go.fd) != 2)
        return;
    if (write(mark, &self, sizeof self) == (ssize_t)sizeof self)
        poll(&go, 1, -1);
}

static inline int bench_done(const char *name, uint64_t checksum)
{
    bench_rest();
    printf("%s %016" PRIx64 "\n", name, checksum);
    return 0;
}

#endif
