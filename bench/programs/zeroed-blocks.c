/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* zeroed-blocks: calloc of tables from 32 bytes to 1 MiB, most of them small, of which a part is then filled. */

#include "bench.h"

#define LIVE 2000

/* The sum of the first and last 8 bytes (zero in a fresh block). */
static uint64_t ends(const unsigned char *block, size_t size)
{
    return bench_marked(block) + bench_marked(block + size - 8);
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 5000000);
    static unsigned char *slots[LIVE];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < steps; i++) {
        unsigned char **slot = &slots[bench_below(&random, LIVE)];
        if (*slot != NULL)
            sum += bench_marked(*slot);
        free(*slot);
        size_t bits = bench_below(&random, 2000) == 0 ? 16 : bench_below(&random, 8);
        size_t count = 4 + ((size_t)1 << bits) + bench_below(&random, (size_t)1 << bits);
        *slot = bench_checked(calloc(count, 8));
        sum += ends(*slot, count * 8) << 1;
        memset(*slot, (int)(i & 0xff), count * 4);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(slots[i]);
    return bench_done("zeroed-blocks", sum);
}
