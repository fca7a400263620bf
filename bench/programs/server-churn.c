/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* server-churn: larson-like: each worker replaces random blocks of its set, then ends and hands the set to a new
 * thread that goes on, so most blocks are freed by another thread than the one that made them. Two workers run at
 * a time. */

#include "bench.h"

#define WORKERS 2
#define LIVE 10000
#define STEPS 60000

typedef struct worker {
    pthread_t thread;
    void *blocks[LIVE];
    uint64_t random;
    uint64_t sum;
} worker;

static void *serve(void *argument)
{
    worker *w = argument;
    for (size_t i = 0; i < STEPS; i++) {
        void **slot = &w->blocks[bench_below(&w->random, LIVE)];
        if (*slot != NULL)
            w->sum += bench_marked(*slot);
        free(*slot);
        size_t size = 16 + bench_below(&w->random, 1000);
        *slot = bench_alloc(size);
        bench_mark(*slot, size, i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t generations = bench_scaled(argc, argv, 130);
    static worker workers[WORKERS];
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKERS; i++)
        workers[i].random = BENCH_SEED + i;
    for (size_t generation = 0; generation < generations; generation++) {
        for (size_t i = 0; i < WORKERS; i++)
            bench_start(&workers[i].thread, serve, &workers[i]);
        for (size_t i = 0; i < WORKERS; i++)
            pthread_join(workers[i].thread, NULL);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        sum += workers[i].sum;
        for (size_t j = 0; j < LIVE; j++)
            free(workers[i].blocks[j]);
    }
    return bench_done("server-churn", sum);
}
