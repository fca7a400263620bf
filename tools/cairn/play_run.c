/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* play_run.c: starting players; see player.h. The memory file is the only thing the two processes share. The player
 * runs without the variables that set up Cairn or another allocator, and dies with this process. Single-threaded. */

#include "player.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "message.h"

enum { WATCH_MS = 50 };

static _Noreturn void become_player(const char *library, int descriptor)
{
    char number[16];
    char *arguments[] = {"cairn", "replay", "--player", number, NULL};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(number, sizeof number, "%d", descriptor);
    unsetenv("LD_PRELOAD");
    if (library[0] != '\0') {
        setenv("LD_PRELOAD", library, 1);
    }
    execv("/proc/self/exe", arguments);
    _exit(1);
}

static struct play *map_play(int descriptor)
{
    if (descriptor < 0 || ftruncate(descriptor, sizeof(struct play)) != 0) {
        fail(EXIT_CAIRN, "cannot share memory with a player: %s", strerror(errno));
    }
    void *play = mmap(NULL, sizeof(struct play), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (play == MAP_FAILED) {
        fail(EXIT_CAIRN, "cannot share memory with a player: %s", strerror(errno));
    }
    return play;
}

static int wait_for(pid_t pid, const struct play *play, void (*watch)(const struct play *play))
{
    static const struct timespec pause = {0, WATCH_MS * 1000000};
    static const struct timespec first = {0, 1000000};
    int status = 0;
    for (unsigned turn = 0; waitpid(pid, &status, WNOHANG) != pid; turn++) {
        (void)nanosleep(turn < WATCH_MS ? &first : &pause, NULL);
        watch(play);
    }
    return status;
}

void play_run(struct play *play, void (*watch)(const struct play *play))
{
    int descriptor = memfd_create("cairn-play", 0);
    struct play *shared = map_play(descriptor);
    *shared = *play;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        fail(EXIT_CAIRN, "cannot start a player: %s", strerror(errno));
    }
    if (pid == 0) {
        become_player(play->policy.library, descriptor);
    }
    int status = wait_for(pid, shared, watch);
    *play = *shared;
    munmap(shared, sizeof *shared);
    close(descriptor);
    if (WIFSIGNALED(status) && play->fault[0] == '\0') {
        snprintf(play->fault, sizeof play->fault, "the player was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (!play->done && play->fault[0] == '\0') {
        snprintf(play->fault, sizeof play->fault, "the player did not come to an end (exit status %d)",
                 WEXITSTATUS(status));
    }
}
