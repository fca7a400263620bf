/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* small-sizes: 16 to 512 bytes, evenly spread; each step replaces a random one of 50000 live blocks. */

#include "bench.h"

#define LIVE 50000

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 12000000);
    static void *slots[LIVE];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        void **slot = &slots[bench_below(&random, LIVE)];
        if (*slot != NULL)
            sum += bench_marked(*slot);
        free(*slot);
        size_t size = 16 + bench_below(&random, 497);
        *slot = bench_alloc(size);
        bench_mark(*slot, size, i);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(slots[i]);
    return bench_done("small-sizes", sum);
}
