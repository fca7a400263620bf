/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* select_sets.c: select() with a set shorter than fd_set, as OpenSSH, libevent and Perl make them, and with a million
 * microseconds and more, while there is memory to give back. Prints what lay behind the set (another thread has
 * written 42 there meanwhile), and the results. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static struct {
    unsigned long set;
    long neighbour[15];
} memory;

static void *write_neighbour(void *unused)
{
    (void)unused;
    usleep(20000);
    memory.neighbour[0] = 42;
    return NULL;
}

static void free_much(void)
{
    enum { COUNT = 200000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = memset(malloc(64), 1, 64);
    }
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

int main(void)
{
    int ends[2];
    pthread_t thread;
    if (pipe(ends) != 0) {
        return 2;
    }
    free_much();
    if (pthread_create(&thread, NULL, write_neighbour, NULL) != 0) {
        return 2;
    }
    memory.set = 1ul << ends[0];
    struct timeval wait = {.tv_usec = 400000};
    int short_set = select(ends[0] + 1, (fd_set *)(void *)&memory.set, NULL, NULL, &wait);
    pthread_join(thread, NULL);
    free_much();
    wait = (struct timeval){.tv_usec = 1300000};
    int many_microseconds = select(0, NULL, NULL, NULL, &wait);
    printf("%ld %d %d\n", memory.neighbour[0], short_set, many_microseconds);
    return 0;
}
