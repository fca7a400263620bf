/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* crossing-pairs: four producer-consumer pairs at once (eight threads): each thread both makes blocks for its partner
 * and frees its partner's.
 *
 * A side has two inboxes used in turn, filled by its partner, and a semaphore that counts the full ones. No inbox is
 * overwritten before it is drained: whoever fills inbox i % 2 for step i has had the partner's batch of step i - 1,
 * which the partner sends after draining step i - 2. */

#include <semaphore.h>

#include "bench.h"

#define PAIRS 4
#define BATCH 128

typedef struct side {
    pthread_t thread;
    void *inbox[2][BATCH];
    sem_t full;
    struct side *partner;
    size_t steps;
    uint64_t random;
    uint64_t sum;
} side;

static void send(side *s, size_t step)
{
    for (size_t j = 0; j < BATCH; j++) {
        size_t size = 16 + bench_below(&s->random, 112);
        void *block = bench_alloc(size);
        bench_mark(block, size, step * 31 + j);
        s->partner->inbox[step % 2][j] = block;
    }
    sem_post(&s->partner->full);
}

static void receive(side *s, size_t step)
{
    while (sem_wait(&s->full) != 0)
        continue;
    for (size_t j = 0; j < BATCH; j++) {
        void *block = s->inbox[step % 2][j];
        s->sum += bench_marked(block);
        free(block);
    }
}

static void *exchange(void *argument)
{
    side *s = argument;
    for (size_t step = 0; step < s->steps; step++) {
        send(s, step);
        receive(s, step);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 25000);
    static side sides[2 * PAIRS];
    uint64_t sum = 0;
    for (size_t i = 0; i < 2 * PAIRS; i++) {
        sem_init(&sides[i].full, 0, 0);
        sides[i].partner = &sides[i ^ 1];
        sides[i].steps = steps;
        sides[i].random = BENCH_SEED + i;
    }
    for (size_t i = 0; i < 2 * PAIRS; i++)
        bench_start(&sides[i].thread, exchange, &sides[i]);
    for (size_t i = 0; i < 2 * PAIRS; i++) {
        pthread_join(sides[i].thread, NULL);
        sum += sides[i].sum;
    }
    return bench_done("crossing-pairs", sum);
}
