/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* long-run: a program that runs for long without a leak: its work changes from phase to phase, each with sizes of its
 * own, freed in random order; one block in fifty lives on for ten phases. What an allocator cannot use again for the
 * sizes of later phases shows as peak memory, what it keeps of the last as final memory. */

#include "bench.h"

#define BLOCKS 20000
#define SURVIVORS (BLOCKS / 50)
#define AGES 10

static void *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static void *survivors[AGES][SURVIVORS];

static void shuffle(uint64_t *random)
{
    for (size_t i = BLOCKS - 1; i > 0; i--) {
        size_t k = bench_below(random, i + 1);
        void *block = blocks[i];
        blocks[i] = blocks[k];
        blocks[k] = block;
    }
}

static uint64_t free_survivors(void **old)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SURVIVORS; i++) {
        if (old[i] != NULL)
            sum += bench_marked(old[i]);
        free(old[i]);
        old[i] = NULL;
    }
    return sum;
}

static uint64_t run_phase(size_t phase, uint64_t *random)
{
    size_t low = 16 + bench_below(random, 48) * bench_below(random, 24), range = 16 + low / 4;
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes[i] = low + bench_below(random, range);
        blocks[i] = bench_alloc(sizes[i]);
        bench_mark(blocks[i], sizes[i], phase * BLOCKS + i);
    }
    shuffle(random);
    void **kept = survivors[phase % AGES];
    uint64_t sum = free_survivors(kept);
    memcpy(kept, blocks, SURVIVORS * sizeof *kept);
    for (size_t i = SURVIVORS; i < BLOCKS; i++) {
        sum += bench_marked(blocks[i]);
        free(blocks[i]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    size_t phases = bench_scaled(argc, argv, 400);
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t phase = 0; phase < phases; phase++)
        sum = sum * 31 + run_phase(phase, &random);
    for (size_t age = 0; age < AGES; age++)
        sum += free_survivors(survivors[age]);
    return bench_done("long-run", sum);
}
