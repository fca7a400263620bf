/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* signals.c: a timer interrupts allocation thousands of times; the handler runs on a stack that came from malloc,
 * checks errno is kept across free, and a second thread takes another signal by sigwait and allocates meanwhile. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

enum { TICKS = 1000, STACK = 65536, HELD = 200 };

static volatile sig_atomic_t ticks;
static atomic_bool stop;
static atomic_ulong waited;

static void tick(int number)
{
    int kept = errno;
    char scratch[2000];
    memset(scratch, number, sizeof scratch);
    ticks++;
    errno = kept;
}

static void *waiter(void *argument)
{
    const sigset_t *set = argument;
    uint64_t state = 5;
    while (!atomic_load(&stop)) {
        const struct timespec limit = {0, 1000000};
        if (sigtimedwait(set, NULL, &limit) == SIGUSR1)
            atomic_fetch_add(&waited, 1);
        size_t size = pattern_size(&state);
        void *block = malloc(size);
        REQUIRE(block);
        free(block);
    }
    return NULL;
}

static void set_timer(long microseconds)
{
    const struct itimerval interval = {{0, microseconds}, {0, microseconds}};
    REQUIRE(setitimer(ITIMER_REAL, &interval, NULL) == 0);
}

static void allocate_while_interrupted(pthread_t thread)
{
    void *held[HELD] = {0};
    size_t sizes[HELD] = {0};
    uint64_t state = 11;
    for (unsigned long round = 0; ticks < TICKS || round < 100000; round++) {
        unsigned i = pattern_random(&state) % HELD;
        if (held[i])
            pattern_check(held[i], sizes[i], i);
        errno = EXDEV;
        free(held[i]);
        REQUIRE(errno == EXDEV);
        sizes[i] = pattern_size(&state) % 4000 + 1;
        held[i] = malloc(sizes[i]);
        REQUIRE(held[i]);
        pattern_fill(held[i], sizes[i], i);
        if (round % 1000 == 0)
            pthread_kill(thread, SIGUSR1);
    }
    for (int i = 0; i < HELD; i++)
        free(held[i]);
}

int main(void)
{
    sigset_t set;
    stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_ONSTACK | SA_RESTART};
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    REQUIRE(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
    REQUIRE(pthread_create(&thread, NULL, waiter, &set) == 0);
    REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
    set_timer(500);
    allocate_while_interrupted(thread);
    set_timer(0);
    atomic_store(&stop, true);
    REQUIRE(pthread_join(thread, NULL) == 0 && atomic_load(&waited) > 0);
    puts("interrupted and whole");
    return 0;
}
