/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* many-threads: 16 threads on few cores, each with small churn of its own: shows locks held while descheduled and
 * memory kept per thread. */

#include "bench.h"

#define THREADS 16
#define LIVE 4000

typedef struct worker {
    pthread_t thread;
    size_t steps;
    uint64_t random;
    uint64_t sum;
} worker;

static void *churn(void *argument)
{
    worker *w = argument;
    void **slots = bench_checked(calloc(LIVE, sizeof *slots));
    for (size_t i = 0; i < w->steps; i++) {
        void **slot = &slots[bench_below(&w->random, LIVE)];
        if (*slot != NULL)
            w->sum += bench_marked(*slot);
        free(*slot);
        size_t size = bench_skewed_size(&w->random, 2048);
        *slot = bench_alloc(size);
        bench_mark(*slot, size, i);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(slots[i]);
    free(slots);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 1700000);
    worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.steps = steps, .random = BENCH_SEED + i};
        bench_start(&workers[i].thread, churn, &workers[i]);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        sum += workers[i].sum;
    }
    return bench_done("many-threads", sum);
}
