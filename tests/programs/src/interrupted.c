/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* interrupted: a signal ends each kind of wait early, before or after the point where free memory is purged; results,
 * errno and remaining times must be those of the plain calls. Prints "ok", or what is wrong. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int faults;

static void expect(int holds, const char *what, long at_ms)
{
    if (!holds) {
        printf("%s (signal after %ld ms)\n", what, at_ms);
        faults++;
    }
}

static void nothing(int number)
{
    (void)number;
}

/* Something to purge, and a signal on its way. */
static void prepare(long at_ms)
{
    enum { BLOCKS = 20000 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(200);
        memset(blocks[i], i, 200);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    struct itimerval timer = {.it_value = {0, at_ms * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static int about(double seconds, double expected)
{
    return seconds > expected - 0.15 && seconds <= expected + 0.02;
}

static void check_sleeps(long at_ms)
{
    struct timespec request = {1, 0};
    struct timespec left = {9, 9};
    double expected = 1.0 - (double)at_ms / 1000;
    prepare(at_ms);
    int result = nanosleep(&request, &left);
    expect(result == -1 && errno == EINTR, "nanosleep is not interrupted", at_ms);
    expect(about((double)left.tv_sec + (double)left.tv_nsec / 1e9, expected), "nanosleep: wrong time left", at_ms);
    prepare(at_ms);
    result = clock_nanosleep(CLOCK_MONOTONIC, 0, &request, &left);
    expect(result == EINTR, "clock_nanosleep is not interrupted", at_ms);
    expect(about((double)left.tv_sec + (double)left.tv_nsec / 1e9, expected), "clock_nanosleep: wrong time left",
           at_ms);
    prepare(at_ms);
    expect(sleep(2) >= 1, "sleep: wrong time left", at_ms);
}

static void check_descriptors(long at_ms)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    prepare(at_ms);
    expect(poll(&watched, 1, -1) == -1 && errno == EINTR, "poll is not interrupted", at_ms);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval timeout = {1, 0};
    prepare(at_ms);
    int result = select(ends[0] + 1, &set, NULL, NULL, &timeout);
    expect(result == -1 && errno == EINTR, "select is not interrupted", at_ms);
    double left = (double)timeout.tv_sec + (double)timeout.tv_usec / 1e6;
    expect(about(left, 1.0 - (double)at_ms / 1000), "select: wrong time left", at_ms);
    struct timeval negative = {-1, 0};
    prepare(at_ms);
    expect(select(0, NULL, NULL, NULL, &negative) == -1 && errno == EINVAL && negative.tv_sec == -1,
           "select takes a negative time", at_ms);
    prepare(at_ms);
    expect(write(ends[1], "x", 1) == 1 && poll(&watched, 1, -1) == 1 && watched.revents == POLLIN,
           "poll does not see what is ready", at_ms);
    pause();
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    for (long at_ms = 40; at_ms <= 300; at_ms += 260) {
        check_sleeps(at_ms);
        check_descriptors(at_ms);
    }
    puts(faults ? "not ok" : "ok");
    return faults != 0;
}
