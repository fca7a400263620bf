/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* producer-consumer: xmalloc-like: one thread only allocates, the other only frees; blocks travel in batches through
 * a bounded queue. */

#include "bench.h"

#define BATCH 128
#define QUEUE 64

typedef struct batch {
    void *blocks[BATCH];
} batch;

/* Bounded queue; `lock` guards all fields; NULL ends the consumer. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_full;
    pthread_cond_t not_empty;
    batch *slots[QUEUE];
    size_t first;
    size_t count;
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .not_full = PTHREAD_COND_INITIALIZER,
    .not_empty = PTHREAD_COND_INITIALIZER,
};

static void queue_put(batch *b)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == QUEUE)
        pthread_cond_wait(&queue.not_full, &queue.lock);
    queue.slots[(queue.first + queue.count++) % QUEUE] = b;
    pthread_cond_signal(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

static batch *queue_take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0)
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    batch *b = queue.slots[queue.first];
    queue.first = (queue.first + 1) % QUEUE;
    queue.count--;
    pthread_cond_signal(&queue.not_full);
    pthread_mutex_unlock(&queue.lock);
    return b;
}

static void *consume(void *argument)
{
    uint64_t *sum = argument;
    for (batch *b = queue_take(); b != NULL; b = queue_take()) {
        for (size_t i = 0; i < BATCH; i++) {
            *sum += bench_marked(b->blocks[i]);
            free(b->blocks[i]);
        }
        free(b);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t batches = bench_scaled(argc, argv, 60000);
    uint64_t random = BENCH_SEED, sum = 0;
    pthread_t consumer;
    bench_start(&consumer, consume, &sum);
    for (size_t i = 0; i < batches; i++) {
        batch *b = bench_alloc(sizeof *b);
        for (size_t j = 0; j < BATCH; j++) {
            size_t size = 16 + bench_below(&random, 240);
            b->blocks[j] = bench_alloc(size);
            bench_mark(b->blocks[j], size, i + j);
        }
        queue_put(b);
    }
    queue_put(NULL);
    pthread_join(consumer, NULL);
    return bench_done("producer-consumer", sum);
}
