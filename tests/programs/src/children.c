/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* children.c: popen, system, posix_spawn and vfork in a loop while four threads allocate. */

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"

extern char **environ;

enum { ROUNDS = 25, THREADS = 4 };

static atomic_bool stop;

static void *work(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    while (!atomic_load(&stop)) {
        size_t size = pattern_size(&state);
        void *block = malloc(size);
        REQUIRE(block);
        pattern_fill(block, size, 9);
        pattern_check(block, size, 9);
        free(block);
    }
    return NULL;
}

static size_t read_lines(const char *command)
{
    char *line = NULL;
    size_t room = 0, sum = 0;
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    for (ssize_t got; (got = getline(&line, &room, pipe)) > 0;)
        sum += (size_t)got;
    REQUIRE(pclose(pipe) == 0);
    free(line);
    return sum;
}

static void spawn(void)
{
    char *arguments[] = {"true", NULL};
    int status;
    pid_t pid;
    REQUIRE(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static void spawn_by_vfork(void)
{
    int status;
    pid_t pid = vfork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
    pthread_t threads[THREADS];
    size_t sum = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        sum += read_lines("seq 1 500; sort /etc/passwd | head -n 3 | wc -l");
        REQUIRE(system("exit 0") == 0);
        spawn();
        spawn_by_vfork();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    printf("%zu bytes read from children\n", sum);
    return 0;
}
