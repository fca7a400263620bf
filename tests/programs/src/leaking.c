/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* leaking.c: `leaking WAY` leaves blocks of known number and size behind, by functions whose names the report must show
 * (the program is linked with -rdynamic), and ends in a way of its own. Exit status 7 where the way has one. */

#define _GNU_SOURCE

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHURN = 5000 };

static void *volatile sink;

void *leak_small(size_t size)
{
    sink = malloc(size);
    return sink;
}

void leak_large(void)
{
    sink = calloc(1, 100000);
    sink = malloc(6000000);
}

void leak_resized(void)
{
    sink = realloc(malloc(10), 700); /* moves */
    sink = realloc(malloc(100), 97); /* stays */
    sink = realloc(malloc(5000000), 9000000);
    sink = aligned_alloc(256, 512);
}

/* Allocates and frees in every size, so that the table is grown and emptied. */
static void churn(void)
{
    void *blocks[CHURN];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CHURN; i++) {
            blocks[i] = malloc((size_t)(i * 7 + 1));
        }
        for (int i = 0; i < CHURN; i++) {
            free(blocks[(i * 2003) % CHURN]);
        }
    }
}

static void *leaking_thread(void *unused)
{
    churn();
    leak_small(333);
    return unused;
}

static void *waiting_thread(void *unused)
{
    leak_small(333);
    for (;;) {
        pause();
    }
    return unused;
}

static void run_threads(int count, void *(*body)(void *), int join)
{
    pthread_t threads[8];
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, body, NULL);
    }
    for (int i = 0; i < count && join; i++) {
        pthread_join(threads[i], NULL);
    }
    usleep(join ? 0 : 200000);
}

static void fork_child(void)
{
    if (fork() == 0) {
        leak_small(4444);
        exit(0);
    }
    wait(NULL);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    printf("%s\n", way); /* the buffer of stdout is the C library's */
    churn();
    if (strcmp(way, "small") == 0) {
        for (int i = 0; i < 3; i++) {
            leak_small(1000);
        }
        leak_small(24);
    } else if (strcmp(way, "large") == 0) {
        leak_large();
    } else if (strcmp(way, "resized") == 0) {
        leak_resized();
    } else if (strcmp(way, "threads") == 0) {
        run_threads(4, leaking_thread, 1);
    } else if (strcmp(way, "waiting") == 0) {
        run_threads(3, waiting_thread, 0);
    } else if (strcmp(way, "fork") == 0) {
        leak_small(55);
        fork_child();
    } else if (strcmp(way, "exec") == 0) {
        leak_small(66);
        fflush(stdout);
        execl(argv[0], argv[0], "small", (char *)NULL);
    } else if (strcmp(way, "_exit") == 0) {
        leak_small(77);
        fflush(stdout);
        _exit(7);
    } else if (strcmp(way, "quick_exit") == 0) {
        leak_small(88);
        fflush(stdout);
        quick_exit(7);
    } else if (strcmp(way, "abort") == 0) {
        leak_small(99);
        fflush(stdout);
        abort();
    } else if (strcmp(way, "input") == 0) {
        char line[100];
        return fgets(line, sizeof line, stdin) != NULL ? 0 : 1;
    } else if (strcmp(way, "closed") == 0) {
        leak_small(44);
        for (int descriptor = 2; descriptor < 256; descriptor++) {
            close(descriptor);
        }
    }
    return 7;
}
