/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* large-blocks: 64 KiB to 4 MiB, at most 24 live, one byte of every page touched. */

#include "bench.h"

#define LIVE 24
#define PAGE 4096

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 16000);
    static unsigned char *slots[LIVE];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        unsigned char **slot = &slots[bench_below(&random, LIVE)];
        if (*slot != NULL)
            sum += bench_marked(*slot);
        free(*slot);
        size_t size = ((size_t)64 << 10 << bench_below(&random, 6)) + bench_below(&random, 65536);
        *slot = bench_alloc(size);
        for (size_t at = 0; at < size; at += PAGE)
            (*slot)[at] = (unsigned char)at;
        bench_mark(*slot, size, i);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(slots[i]);
    return bench_done("large-blocks", sum);
}
