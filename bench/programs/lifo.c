/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* lifo: one size, freed in the reverse order of allocation, in bursts of changing depth. */

#include "bench.h"

#define DEPTH 1000
#define SIZE 64

int main(int argc, char **argv)
{
    size_t bursts = bench_scaled(argc, argv, 130000);
    static void *stack[DEPTH];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < bursts; i++) {
        size_t depth = 1 + bench_below(&random, DEPTH);
        for (size_t j = 0; j < depth; j++) {
            stack[j] = bench_alloc(SIZE);
            bench_mark(stack[j], SIZE, i + j);
        }
        while (depth-- > 0) {
            sum += bench_marked(stack[depth]);
            free(stack[depth]);
        }
    }
    return bench_done("lifo", sum);
}
