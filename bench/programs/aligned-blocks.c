/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* aligned-blocks: aligned_alloc and posix_memalign with 16 bytes to 4 KiB of alignment among ordinary requests. */

#include "bench.h"

#define LIVE 20000

static void *make(uint64_t *random, size_t i, size_t *size)
{
    size_t alignment = (size_t)16 << bench_below(random, 9);
    *size = (1 + bench_below(random, 8)) * (alignment < 256 ? alignment : 256);
    if (i % 4 == 0)
        return bench_alloc(*size);
    if (i % 4 == 1)
        return bench_checked(aligned_alloc(alignment, (*size + alignment - 1) / alignment * alignment));
    void *block;
    return posix_memalign(&block, alignment, *size) == 0 ? block : bench_checked(NULL);
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 2000000);
    static void *slots[LIVE];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        void **slot = &slots[bench_below(&random, LIVE)];
        if (*slot != NULL)
            sum += bench_marked(*slot);
        free(*slot);
        size_t size;
        *slot = make(&random, i, &size);
        bench_mark(*slot, size, i);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(slots[i]);
    return bench_done("aligned-blocks", sum);
}
