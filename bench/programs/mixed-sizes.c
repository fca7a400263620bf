/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* mixed-sizes: the skewed mix of real programs, 8 bytes to 8 KiB; most blocks die young, one in 16 lives long. */

#include "bench.h"

#define YOUNG 64
#define OLD 30000
#define LIMIT 8192

static uint64_t replace(void **slot, size_t size, uint64_t mark)
{
    uint64_t old = *slot != NULL ? bench_marked(*slot) : 0;
    free(*slot);
    *slot = bench_alloc(size);
    bench_mark(*slot, size, mark);
    return old;
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 25000000);
    static void *young[YOUNG], *old[OLD];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        size_t size = bench_skewed_size(&random, LIMIT);
        bool long_lived = i % 16 == 0;
        sum += replace(long_lived ? &old[bench_below(&random, OLD)] : &young[i % YOUNG], size, i);
    }
    for (size_t i = 0; i < OLD; i++)
        free(old[i]);
    for (size_t i = 0; i < YOUNG; i++)
        free(young[i]);
    return bench_done("mixed-sizes", sum);
}
