/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fork_threads.c: the main thread forks again and again while 8 threads allocate, free and pass blocks to each other.
 * Each child allocates, frees blocks made before the fork by every thread, starts a thread of its own, forks a child
 * in turn, and exits; every second one by exit(), so that exit handlers run. */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"

enum { THREADS = 8, ROUNDS = 50, KEPT = 64, SLOT_SIZE = 200 };

static atomic_bool stop;
static _Atomic(void *) shelf[THREADS]; /* a block each thread leaves for the next one to free */
static void *settled[THREADS][KEPT];   /* blocks each thread made and nobody frees but the children */
static atomic_int ready;

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    uint64_t state = number + 99;
    void *held[32] = {0};
    for (int i = 0; i < KEPT; i++) {
        settled[number][i] = malloc(SLOT_SIZE);
        REQUIRE(settled[number][i]);
        pattern_fill(settled[number][i], SLOT_SIZE, number);
    }
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) {
        unsigned i = pattern_random(&state) % 32;
        free(held[i]);
        held[i] = malloc(pattern_size(&state));
        REQUIRE(held[i]);
        void *block = malloc(1 + pattern_random(&state) % 400);
        REQUIRE(block);
        free(atomic_exchange(&shelf[(number + 1) % THREADS], block));
    }
    for (int i = 0; i < 32; i++)
        free(held[i]);
    return NULL;
}

static void *child_thread(void *unused)
{
    uint64_t state = 7;
    (void)unused;
    for (int i = 0; i < 200; i++) {
        size_t size = pattern_size(&state);
        void *block = malloc(size);
        REQUIRE(block);
        pattern_fill(block, size, 3);
        pattern_check(block, size, 3);
        free(block);
    }
    return malloc(100);
}

static void grandchild(void)
{
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        void *block = malloc(5000);
        REQUIRE(block);
        free(block);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static void child(int round)
{
    alarm(60);
    void *before[50];
    for (int i = 0; i < 50; i++)
        before[i] = malloc(64);
    for (unsigned t = 0; t < THREADS; t++)
        for (int i = 0; i < KEPT; i++) {
            pattern_check(settled[t][i], SLOT_SIZE, t);
            free(settled[t][i]);
        }
    pthread_t thread;
    void *made;
    REQUIRE(pthread_create(&thread, NULL, child_thread, NULL) == 0);
    child_thread(NULL);
    REQUIRE(pthread_join(thread, &made) == 0 && made);
    free(made);
    if (round % 8 == 0)
        grandchild();
    for (int i = 0; i < 50; i++)
        free(before[i]);
    if (round % 2)
        exit(0);
    _exit(0);
}

int main(void)
{
    pthread_t threads[THREADS];
    setvbuf(stdout, NULL, _IONBF, 0);
    for (unsigned i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) == 0);
    while (atomic_load(&ready) < THREADS)
        usleep(1000);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0)
            child(round);
        int status;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (status)
            fprintf(stderr, "child of round %d: wait status %d\n", round, status);
        REQUIRE(status == 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    for (unsigned t = 0; t < THREADS; t++) {
        free(atomic_load(&shelf[t]));
        for (int i = 0; i < KEPT; i++)
            free(settled[t][i]);
    }
    printf("%d children done\n", ROUNDS);
    return 0;
}
