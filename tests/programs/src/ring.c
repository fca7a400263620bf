/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* ring.c: eight threads in a ring, each makes blocks and passes them on; the receiver checks, resizes or frees them:
 * every free is remote. Half the threads end early and leave their successors to free what they made. */

#include <pthread.h>
#include <stdatomic.h>

#include "pattern.h"

enum { THREADS = 8, ROUNDS = 30000, QUEUE = 256 };

struct message {
    size_t size;
    unsigned seed;
    unsigned char bytes[];
};

struct queue {
    pthread_mutex_t lock;
    struct message *slots[QUEUE];
    size_t head, count;
};

static struct queue queues[THREADS];

static struct message *pass(struct queue *queue, struct message *message)
{
    struct message *displaced = NULL;
    pthread_mutex_lock(&queue->lock);
    if (queue->count == QUEUE) {
        displaced = queue->slots[queue->head];
        queue->head = (queue->head + 1) % QUEUE;
        queue->count--;
    }
    queue->slots[(queue->head + queue->count++) % QUEUE] = message;
    pthread_mutex_unlock(&queue->lock);
    return displaced;
}

static struct message *take(struct queue *queue)
{
    struct message *message = NULL;
    pthread_mutex_lock(&queue->lock);
    if (queue->count) {
        message = queue->slots[queue->head];
        queue->head = (queue->head + 1) % QUEUE;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->lock);
    return message;
}

static void consume(struct message *message)
{
    if (!message)
        return;
    pattern_check(message->bytes, message->size, message->seed);
    if (message->seed % 5 == 0) {
        struct message *grown = realloc(message, sizeof *message + message->size * 2);
        REQUIRE(grown);
        pattern_check(grown->bytes, grown->size, grown->seed);
        message = grown;
    }
    free(message);
}

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    uint64_t state = number + 1;
    for (unsigned round = 0; round < (number % 2 ? ROUNDS / 10 : ROUNDS); round++) {
        size_t size = pattern_size(&state) % 3000 + 1;
        struct message *message = malloc(sizeof *message + size);
        REQUIRE(message);
        message->size = size;
        message->seed = round;
        pattern_fill(message->bytes, size, round);
        consume(pass(&queues[(number + 1) % THREADS], message));
        consume(take(&queues[number]));
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_mutex_init(&queues[i].lock, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        for (struct message *message; (message = take(&queues[i]));)
            consume(message);
    puts("ring done");
    return 0;
}
