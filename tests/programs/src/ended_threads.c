/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Threads end; how much is left? usage: ended_threads made|shared|freed
 *
 *   made    the main thread makes the blocks and waits in pthread_join() while other threads free them all;
 *   shared  it makes none: threads replace blocks of their own and of each other, and the last of them frees what is left;
 *   freed   the same, but the main thread frees what is left, while the threads are ending.
 *
 * Then it sleeps for a second and prints: live blocks, pools with live blocks, resident bytes, as Cairn counts them. */

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cairn.h"

enum { THREADS = 24, BLOCKS = 120000, STEPS = 60000 };

static _Atomic(void *) blocks[BLOCKS];
static atomic_size_t next, ended;
static pthread_barrier_t churned;
static char mode;

static uint64_t draw(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

static void *make(uint64_t *random)
{
    size_t size = 16 + draw(random) % 600;
    char *block = malloc(size);
    if (block == NULL)
        abort();
    block[0] = block[size - 1] = 1;
    return block;
}

static void free_left(void)
{
    for (size_t i; (i = atomic_fetch_add(&next, 1)) < BLOCKS;)
        free(atomic_exchange(&blocks[i], NULL));
}

static void *work(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    if (mode != 'm') {
        for (size_t i = 0; i < STEPS; i++)
            free(atomic_exchange(&blocks[draw(&random) % BLOCKS], make(&random)));
        pthread_barrier_wait(&churned);
    }
    if (mode == 'm' || (mode == 's' && atomic_fetch_add(&ended, 1) == THREADS - 1))
        free_left();
    return NULL;
}

static bool add_heap(cairn_heap *heap, void *context)
{
    static cairn_stats stats;
    size_t *sums = context;
    ((__typeof__(&cairn_heap_stats))dlsym(RTLD_DEFAULT, "cairn_heap_stats"))(heap, &stats);
    sums[0] += stats.live_blocks;
    sums[1] += stats.pools_used + stats.pools_full;
    sums[2] += stats.resident_bytes;
    return true;
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS];
    uint64_t random = 1;
    mode = argc == 2 ? argv[1][0] : '?';
    if (strchr("msf", mode) == NULL)
        return 2;
    for (size_t i = 0; mode == 'm' && i < BLOCKS; i++)
        blocks[i] = make(&random);
    if (pthread_barrier_init(&churned, NULL, mode == 'f' ? THREADS + 1 : THREADS))
        return 3;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i + 2)))
            return 3;
    if (mode == 'f') {
        pthread_barrier_wait(&churned);
        free_left();
    }
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_join(threads[i], NULL))
            return 3;
    usleep(999999);
    size_t sums[3] = {0};
    ((__typeof__(&cairn_heaps_visit))dlsym(RTLD_DEFAULT, "cairn_heaps_visit"))(add_heap, sums);
    printf("%zu %zu %zu\n", sums[0], sums[1], sums[2]);
    return 0;
}
