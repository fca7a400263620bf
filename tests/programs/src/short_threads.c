/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* short_threads.c: 200 short-lived threads, a few at a time. Each leaves blocks behind which others free: half are
 * freed by the main thread after their maker has ended, half by a later thread. Every block is checked first. */

#include <pthread.h>

#include "pattern.h"

enum { THREADS = 200, AT_ONCE = 8, LEFT = 300 };

struct left {
    void *blocks[LEFT];
    size_t sizes[LEFT];
    unsigned seed;
};

static struct left *board[THREADS];

static void free_half(struct left *left, int odd)
{
    for (int i = odd; i < LEFT; i += 2) {
        pattern_check(left->blocks[i], left->sizes[i], left->seed);
        free(left->blocks[i]);
    }
}

static void churn(uint64_t *state)
{
    for (int i = 0; i < 500; i++) {
        size_t size = pattern_size(state);
        void *block = malloc(size);
        REQUIRE(block);
        pattern_fill(block, size, 1);
        block = realloc(block, size * 2);
        REQUIRE(block);
        for (size_t j = 0; j < size; j++)
            REQUIRE(((unsigned char *)block)[j] == pattern_byte(size, 1));
        free(block);
    }
}

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    uint64_t state = number;
    struct left *left = malloc(sizeof *left);
    REQUIRE(left);
    left->seed = number;
    for (int i = 0; i < LEFT; i++) {
        left->sizes[i] = pattern_size(&state);
        left->blocks[i] = malloc(left->sizes[i]);
        REQUIRE(left->blocks[i]);
        pattern_fill(left->blocks[i], left->sizes[i], number);
    }
    churn(&state);
    if (number >= AT_ONCE)
        free_half(board[number - AT_ONCE], 1);
    return left;
}

int main(void)
{
    for (unsigned first = 0; first < THREADS; first += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++)
            REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(first + i)) == 0);
        for (unsigned i = 0; i < AT_ONCE; i++) {
            void *left;
            REQUIRE(pthread_join(threads[i], &left) == 0);
            board[first + i] = left;
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        free_half(board[i], 0);
        if (i >= THREADS - AT_ONCE)
            free_half(board[i], 1);
        free(board[i]);
    }
    puts("200 threads done");
    return 0;
}
