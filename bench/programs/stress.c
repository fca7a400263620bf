/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* stress: mstress-like: threads allocate bursts of skewed sizes, keep some of the blocks for later rounds and swap
 * others through a shared array of atomic slots, so frees cross threads in no order. The swaps make the order of
 * frees vary; the checksum does not, as every block adds its mark once, whoever frees it. */

#include <stdatomic.h>

#include "bench.h"

#define THREADS 2
#define SHARED 1000
#define BURST 2000
#define KEPT 4000

static _Atomic(void *) shared[SHARED];

typedef struct worker {
    pthread_t thread;
    size_t rounds;
    uint64_t random;
    uint64_t sum;
} worker;

static void drop(worker *w, void *block)
{
    if (block != NULL)
        w->sum += bench_marked(block);
    free(block);
}

static void *make(worker *w, uint64_t mark)
{
    size_t size = bench_skewed_size(&w->random, 16384);
    void *block = bench_alloc(size);
    bench_mark(block, size, mark);
    return block;
}

static void *stress(void *argument)
{
    worker *w = argument;
    void **burst = bench_checked(calloc(BURST, sizeof *burst));
    void **kept = bench_checked(calloc(KEPT, sizeof *kept));
    for (size_t round = 0; round < w->rounds; round++) {
        for (size_t i = 0; i < BURST; i++) {
            burst[i] = make(w, round * BURST + i);
            if (bench_below(&w->random, 8) == 0) {
                void **slot = &kept[bench_below(&w->random, KEPT)];
                void *old = *slot;
                *slot = burst[i];
                burst[i] = old;
            }
            if (bench_below(&w->random, 4) == 0)
                burst[i] = atomic_exchange(&shared[bench_below(&w->random, SHARED)], burst[i]);
        }
        for (size_t i = 0; i < BURST; i++)
            drop(w, burst[i]);
    }
    for (size_t i = 0; i < KEPT; i++)
        drop(w, kept[i]);
    free(burst);
    free(kept);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t rounds = bench_scaled(argc, argv, 5000);
    worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.rounds = rounds, .random = BENCH_SEED + i};
        bench_start(&workers[i].thread, stress, &workers[i]);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        sum += workers[i].sum;
    }
    worker last = {.sum = sum};
    for (size_t i = 0; i < SHARED; i++)
        drop(&last, shared[i]);
    return bench_done("stress", last.sum);
}
