/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* launcher: runs one program and writes what it used: launcher RESULT [NAME=VALUE ...] PROGRAM [ARGS...]
 *
 * Writes one line to the file RESULT: wall seconds, user seconds, system seconds, peak resident KiB, wait status.
 * The peak is the largest of the program's and its waited-for descendants' (as rusage has it). A C program of its own
 * because a child's peak starts at the size of the process that forks it: a Python harness would hide every program
 * smaller than itself. The NAME=VALUE words are set for the program only. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static void run(char **words)
{
    for (; *words != NULL && strchr(*words, '=') != NULL; words++)
        putenv(*words);
    if (*words == NULL)
        _exit(127);
    execvp(*words, words);
    fprintf(stderr, "launcher: cannot run %s\n", *words);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: launcher RESULT [NAME=VALUE ...] PROGRAM [ARGS...]\n", stderr);
        return 2;
    }
    double start = seconds_now();
    pid_t child = fork();
    if (child == 0)
        run(argv + 2);
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror("launcher");
        return 1;
    }
    double wall = seconds_now() - start;
    FILE *result = fopen(argv[1], "w");
    if (result == NULL) {
        perror(argv[1]);
        return 1;
    }
    fprintf(result, "%.6f %.6f %.6f %ld %d\n", wall, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime),
            usage.ru_maxrss, status);
    return fclose(result) == 0 ? 0 : 1;
}
