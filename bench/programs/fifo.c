/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fifo: one size, freed in the order of allocation, through a ring of 20000 live blocks. */

#include "bench.h"

#define LIVE 20000
#define SIZE 48

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 60000000);
    static void *ring[LIVE];
    uint64_t sum = 0;
    size_t at = 0;
    for (size_t i = 0; i < steps; i++) {
        if (ring[at] != NULL)
            sum += bench_marked(ring[at]);
        free(ring[at]);
        ring[at] = bench_alloc(SIZE);
        bench_mark(ring[at], SIZE, i);
        if (++at == LIVE)
            at = 0;
    }
    for (at = 0; at < LIVE; at++)
        free(ring[at]);
    return bench_done("fifo", sum);
}
