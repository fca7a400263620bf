/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* launcher: runs one program and writes what it used: launcher RESULT REST [NAME=VALUE ...] PROGRAM [ARGS...]
 *
 * Writes one line to the file RESULT: wall seconds, user seconds, system seconds, peak resident KiB, final resident
 * KiB, page faults, wait status. The peak is the largest of the program's and its waited-for descendants' (as rusage
 * has it). A C program of its own because a child's peak starts at the size of the process that forks it: a Python
 * harness would hide every program smaller than itself. The NAME=VALUE words are set for the program only.
 *
 * REST: with 0 the final figure is -1. Otherwise the program finds in BENCH_MARK the numbers of two descriptors,
 * "MARK,GO". It writes its process id (an int) to MARK when its work is done and waits in poll() for GO. REST
 * milliseconds later its resident size is read and GO written. The time between is not part of the wall time. A
 * program that ends without a mark has -1 for its final figure. */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct ends {
    int mark[2], go[2]; /* pipes, as pipe() gives them */
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void run(char **words, const struct ends *ends)
{
    char numbers[64];
    unsetenv("BENCH_MARK");
    if (ends != NULL) {
        close(ends->mark[0]);
        close(ends->go[1]);
        snprintf(numbers, sizeof numbers, "%d,%d", ends->mark[1], ends->go[0]);
        setenv("BENCH_MARK", numbers, 1);
    }
    for (; *words != NULL && strchr(*words, '=') != NULL; words++)
        putenv(*words);
    if (*words == NULL)
        _exit(127);
    execvp(*words, words);
    fprintf(stderr, "launcher: cannot run %s\n", *words);
    _exit(127);
}

/* Resident KiB of a process, -1 if it cannot be told. */
static long resident_kib(int process)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", process);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "Rss: %ld kB", &kib);
    fclose(file);
    return kib;
}

/* Waits for the mark or the program's end. After a mark: rests, reads the resident size and lets the program go on;
 * *rested is how long that took. */
static long final_kib(const struct ends *ends, int rest_ms, double *rested)
{
    int process;
    if (read(ends->mark[0], &process, sizeof process) != (ssize_t)sizeof process)
        return -1;
    double marked = seconds_now();
    poll(NULL, 0, rest_ms);
    long kib = resident_kib(process);
    *rested = seconds_now() - marked;
    if (write(ends->go[1], "", 1) != 1)
        return -1;
    return kib;
}

int main(int argc, char **argv)
{
    int rest_ms = argc < 4 ? -1 : atoi(argv[2]);
    struct ends ends;
    if (rest_ms < 0) {
        fputs("usage: launcher RESULT REST_MS [NAME=VALUE ...] PROGRAM [ARGS...]\n", stderr);
        return 2;
    }
    if (rest_ms > 0 && (pipe(ends.mark) != 0 || pipe(ends.go) != 0)) {
        perror("launcher");
        return 1;
    }
    double start = seconds_now(), rested = 0;
    long kib = -1;
    pid_t child = fork();
    if (child == 0)
        run(argv + 3, rest_ms > 0 ? &ends : NULL);
    if (child > 0 && rest_ms > 0) {
        signal(SIGPIPE, SIG_IGN); /* the program may end at any time */
        close(ends.mark[1]);
        kib = final_kib(&ends, rest_ms, &rested);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror("launcher");
        return 1;
    }
    double wall = seconds_now() - start - rested;
    FILE *result = fopen(argv[1], "w");
    if (result == NULL) {
        perror(argv[1]);
        return 1;
    }
    fprintf(result, "%.6f %.6f %.6f %ld %ld %ld %d\n", wall, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime),
            usage.ru_maxrss, kib, usage.ru_minflt, status);
    return fclose(result) == 0 ? 0 : 1;
}
