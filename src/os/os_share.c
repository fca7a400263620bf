/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_share.c: see os_share.h; Linux. No state. */

#include "os/os_share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *os_share_map(int descriptor, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

void *os_wiped_on_fork(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    if (madvise(memory, size, MADV_WIPEONFORK) != 0) {
        (void)munmap(memory, size);
        return NULL;
    }
    return memory;
}

int32_t os_thread_number(void)
{
    return (int32_t)syscall(SYS_gettid);
}

void os_share_wait(const void *word, uint32_t value, unsigned milliseconds)
{
    struct timespec time = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0);
}

void os_share_wake(const void *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool os_process_lives(int32_t pid)
{
    char path[32], text[512];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
    }
    ssize_t length = read(file, text, sizeof text - 1);
    (void)close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *state = strrchr(text, ')'); /* behind the name, which may hold anything */
    return state == NULL || (strncmp(state, ") Z", 3) != 0 && strncmp(state, ") X", 3) != 0);
}
