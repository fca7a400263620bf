/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* purging: what a program does that giving memory back could slow down. usage: purging CASE [SCALE]
 *
 *   small, medium, large   a loop that takes and returns some blocks (of 1000, 8000 or 100000 bytes) just across the
 *                          border of what Cairn has: before it blocks are taken until one more arena or segment comes
 *   mapping                a loop that takes and returns one block that is mapped on its own
 *   waves                  a whole working set taken, written and returned, every 50 ms
 *
 * On Cairn only: purging.py runs it there with purging and without. */

#include <dlfcn.h>
#include <time.h>

#include "cairn.h"
#include "programs/bench.h"

#define HELD 200000
#define LOOP 30
#define WAVE 200000

static void *held[HELD];
static size_t holds;

/* Arenas and segments of the heap behind malloc. */
static size_t areas(void)
{
    static cairn_stats stats;
    __typeof__(&cairn_heap_default) heap = (__typeof__(heap))dlsym(RTLD_DEFAULT, "cairn_heap_default");
    __typeof__(&cairn_heap_stats) fill = (__typeof__(fill))dlsym(RTLD_DEFAULT, "cairn_heap_stats");
    if (heap == NULL || fill == NULL) {
        fputs("purging: not on Cairn\n", stderr);
        exit(1);
    }
    fill(heap(), &stats);
    return stats.arenas + stats.segments;
}

/* Takes blocks up to the one that makes an area come, and gives that one back. */
static void go_to_border(size_t size)
{
    held[holds++] = bench_alloc(size);
    size_t before = areas();
    while (areas() == before) {
        if (holds == HELD) {
            fputs("purging: no border found\n", stderr);
            exit(1);
        }
        held[holds++] = bench_alloc(size);
    }
    free(held[--holds]);
}

static uint64_t loop_at_border(size_t size, size_t turns)
{
    void *blocks[LOOP];
    uint64_t sum = 0;
    go_to_border(size);
    for (size_t turn = 0; turn < turns; turn++) {
        for (size_t i = 0; i < LOOP; i++) {
            blocks[i] = bench_alloc(size);
            bench_mark(blocks[i], size, turn + i);
        }
        for (size_t i = 0; i < LOOP; i++) {
            sum += bench_marked(blocks[i]);
            free(blocks[i]);
        }
    }
    while (holds > 0)
        free(held[--holds]);
    return sum;
}

static uint64_t loop_of_mapping(size_t turns)
{
    enum { SIZE = 6 << 20 };
    uint64_t sum = 0;
    for (size_t turn = 0; turn < turns; turn++) {
        unsigned char *block = bench_alloc(SIZE);
        for (size_t at = 0; at < SIZE; at += 4096)
            block[at] = (unsigned char)turn;
        bench_mark(block, SIZE, turn);
        sum += bench_marked(block);
        free(block);
    }
    return sum;
}

static uint64_t waves(size_t count)
{
    static void *set[WAVE];
    uint64_t sum = 0;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (size_t wave = 0; wave < count; wave++) {
        for (size_t i = 0; i < WAVE; i++) {
            size_t size = 16 + i * 37 % 200;
            set[i] = bench_alloc(size);
            memset(set[i], (int)wave, size);
        }
        for (size_t i = 0; i < WAVE; i++) {
            sum += bench_marked(set[i]);
            free(set[i]);
        }
        next.tv_nsec += 50000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return sum;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    uint64_t sum;
    if (argc > 1)
        argv[1] = argv[0];
    if (strcmp(name, "small") == 0)
        sum = loop_at_border(1000, bench_scaled(argc - 1, argv + 1, 1000000));
    else if (strcmp(name, "medium") == 0)
        sum = loop_at_border(8000, bench_scaled(argc - 1, argv + 1, 500000));
    else if (strcmp(name, "large") == 0)
        sum = loop_at_border(100000, bench_scaled(argc - 1, argv + 1, 150000));
    else if (strcmp(name, "mapping") == 0)
        sum = loop_of_mapping(bench_scaled(argc - 1, argv + 1, 20000));
    else if (strcmp(name, "waves") == 0)
        sum = waves(bench_scaled(argc - 1, argv + 1, 60));
    else {
        fputs("usage: purging small|medium|large|mapping|waves [SCALE]\n", stderr);
        return 2;
    }
    return bench_done(name, sum);
}
