/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* random-free: 100000 blocks of one size are allocated, then freed in random order, again and again. */

#include "bench.h"

#define LIVE 100000
#define SIZE 96

static void shuffle(void **blocks, size_t count, uint64_t *random)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = bench_below(random, i + 1);
        void *block = blocks[i];
        blocks[i] = blocks[j];
        blocks[j] = block;
    }
}

int main(int argc, char **argv)
{
    size_t rounds = bench_scaled(argc, argv, 50);
    static void *blocks[LIVE];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < LIVE; j++) {
            blocks[j] = bench_alloc(SIZE);
            bench_mark(blocks[j], SIZE, i ^ j);
        }
        shuffle(blocks, LIVE, &random);
        for (size_t j = 0; j < LIVE; j++) {
            sum += bench_marked(blocks[j]);
            free(blocks[j]);
        }
    }
    return bench_done("random-free", sum);
}
