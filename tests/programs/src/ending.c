/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* ending.c: `ending WAY` ends in one of the ways a program can, to see which of them leave statistics, and how many
 * documents. The exit status is 7 wherever the way has one. */

#define _GNU_SOURCE

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_for_child(void)
{
    int status;
    while (wait(&status) > 0) {
    }
}

static void leave_from_handler(int number)
{
    (void)number;
    _exit(7);
}

static void end_in_child(int immediately)
{
    if (fork() == 0) {
        void *block = malloc(1000);
        if (immediately) {
            _exit(block != NULL ? 0 : 1);
        }
        exit(block != NULL ? 0 : 1);
    }
    wait_for_child();
}

static void exit_from_vfork(void)
{
    if (vfork() == 0) {
        _exit(3);
    }
    wait_for_child();
}

/* Closes stderr and everything above, then puts another file where the library may have kept its own descriptor. */
static void reuse_descriptors(const char *path)
{
    close_range(2, ~0U, 0);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int descriptor = 3; descriptor < 300; descriptor++) {
        dup2(file, descriptor);
    }
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    free(malloc(100));
    if (strcmp(way, "exit") == 0) {
        exit(7);
    } else if (strcmp(way, "_exit") == 0) {
        _exit(7);
    } else if (strcmp(way, "_Exit") == 0) {
        _Exit(7);
    } else if (strcmp(way, "quick_exit") == 0) {
        quick_exit(7);
    } else if (strcmp(way, "return") == 0) {
        return 7;
    } else if (strcmp(way, "closed") == 0) {
        fclose(stdout);
        fclose(stderr);
        return 7;
    } else if (strcmp(way, "reused") == 0) {
        reuse_descriptors(argv[2]);
        return 7;
    } else if (strcmp(way, "chdir") == 0) {
        return chdir("/") == 0 ? 7 : 1;
    } else if (strcmp(way, "fork") == 0) {
        end_in_child(0);
        return 7;
    } else if (strcmp(way, "fork_exit") == 0) {
        end_in_child(1);
        return 7;
    } else if (strcmp(way, "vfork") == 0) {
        exit_from_vfork();
        return 7;
    } else if (strcmp(way, "handler") == 0) {
        signal(SIGALRM, leave_from_handler);
        alarm(1);
        for (;;) { /* so that the signal mostly finds the heap at work */
            free(realloc(malloc(300000), 3000000));
        }
    } else if (strcmp(way, "signal") == 0) {
        raise(SIGTERM);
    }
    return 2;
}
