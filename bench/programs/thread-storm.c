/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* thread-storm: short-lived threads, four at a time; each allocates a few hundred blocks, frees most and leaves the
 * rest to the main thread. */

#include "bench.h"

#define AT_ONCE 4
#define BLOCKS 300
#define LEFT 50

typedef struct job {
    pthread_t thread;
    uint64_t random;
    void *left[LEFT];
} job;

static void *run(void *argument)
{
    job *j = argument;
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = bench_skewed_size(&j->random, 4096);
        blocks[i] = bench_alloc(size);
        bench_mark(blocks[i], size, i);
    }
    for (size_t i = 0; i < LEFT; i++)
        j->left[i] = blocks[i];
    for (size_t i = LEFT; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t rounds = bench_scaled(argc, argv, 2500);
    static job jobs[AT_ONCE];
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            jobs[i].random = BENCH_SEED + round * AT_ONCE + i;
            bench_start(&jobs[i].thread, run, &jobs[i]);
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            pthread_join(jobs[i].thread, NULL);
            for (size_t k = 0; k < LEFT; k++) {
                sum += bench_marked(jobs[i].left[k]);
                free(jobs[i].left[k]);
            }
        }
    }
    return bench_done("thread-storm", sum);
}
