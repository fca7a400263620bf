/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a block again that another thread made and freed. */

#include "misuse.h"

#include <pthread.h>

static void *work(void *unused)
{
    (void)unused;
    void *block = malloc(200);
    free(block);
    return block;
}

int main(void)
{
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, work, NULL))
        return 3;
    if (pthread_join(thread, &block))
        return 3;
    free(announce(block));
    return go_on();
}
