/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* waiting: waiting.c CALL [MS]: frees 64 MiB of small blocks, then waits by CALL for 0.5 s, at once or in waits of MS
 * milliseconds. Prints the resident MiB before and after, and the milliseconds waited. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 1 << 19, SIZE = 128, WAIT_MS = 500 };

static long resident_mib(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || !fgets(text, sizeof text, file)) {
        return -1;
    }
    fclose(file);
    long pages = strtol(strchr(text, ' '), NULL, 10);
    return pages * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void fill_and_free(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        memset(blocks[i], i, SIZE);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
}

/* Waits for `ms`, below a second; the result is that of the call. */
static int wait_by(const char *call, int ms)
{
    struct timespec half = {0, ms * 1000000L};
    struct timeval half_too = {0, ms * 1000};
    int descriptors[2];
    if (pipe(descriptors) != 0) {
        return -2;
    }
    struct pollfd watched = {.fd = descriptors[0], .events = POLLIN};
    if (strcmp(call, "poll") == 0) {
        return poll(&watched, 1, ms);
    }
    if (strcmp(call, "select") == 0) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(descriptors[0], &set);
        int ready = select(descriptors[0] + 1, &set, NULL, NULL, &half_too);
        return ready || half_too.tv_usec || FD_ISSET(descriptors[0], &set);
    }
    if (strcmp(call, "epoll_wait") == 0 || strcmp(call, "epoll_pwait") == 0) {
        struct epoll_event event;
        int epoll = epoll_create1(0);
        return strcmp(call, "epoll_wait") == 0 ? epoll_wait(epoll, &event, 1, ms)
                                               : epoll_pwait(epoll, &event, 1, ms, NULL);
    }
    if (strcmp(call, "nanosleep") == 0) {
        return nanosleep(&half, NULL);
    }
    if (strcmp(call, "clock_nanosleep") == 0) {
        return clock_nanosleep(CLOCK_MONOTONIC, 0, &half, NULL);
    }
    if (strcmp(call, "clock_nanosleep_until") == 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += half.tv_nsec;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return strcmp(call, "usleep") == 0 ? usleep(ms * 1000) : -3;
}

int main(int argc, char **argv)
{
    fill_and_free();
    long before = resident_mib();
    long long start = now_ms();
    int ms = argc > 2 ? atoi(argv[2]) : WAIT_MS;
    int result = 0;
    for (int waited = 0; waited < WAIT_MS && result == 0; waited += ms) {
        result = wait_by(argc > 1 ? argv[1] : "", ms);
    }
    printf("%d %ld %ld %lld\n", result, before, resident_mib(), now_ms() - start);
    return 0;
}
