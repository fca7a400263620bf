/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_pressure.c: see os_pressure.h; Linux, with control groups of version 1 or 2 where they are usually mounted. What
 * cannot be read limits nothing. */

#include "os/os_pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"

enum { TEXT = 4096 };

/* Reads the beginning of a file as text; "" if it cannot be read. */
static void read_text(const char *path, char text[TEXT])
{
    ssize_t length = -1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        length = read(file, text, TEXT - 1);
        (void)close(file);
    }
    text[length > 0 ? length : 0] = '\0';
}

/* The number after `name` in a text of lines; `otherwise` if there is none. */
static size_t number_after(const char *text, const char *name, size_t otherwise)
{
    const char *at = text;
    while (at != NULL && strncmp(at, name, strlen(name)) != 0) {
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL) {
        return otherwise;
    }
    char *end;
    unsigned long long number = strtoull(at + strlen(name), &end, 10);
    return end != at + strlen(name) ? (size_t)number : otherwise;
}

size_t os_resident_bytes(void)
{
    char text[TEXT];
    struct rusage usage;
    int saved = errno;
    read_text("/proc/self/statm", text);
    const char *second = strchr(text, ' ');
    size_t bytes = 0;
    if (second != NULL) {
        bytes = (size_t)strtoull(second, NULL, 10) * os_page_size();
    } else if (getrusage(RUSAGE_SELF, &usage) == 0) {
        bytes = (size_t)usage.ru_maxrss * 1024;
    }
    errno = saved;
    return bytes;
}

size_t os_pinned_bytes(void)
{
    char text[TEXT];
    int saved = errno;
    read_text("/proc/self/status", text);
    errno = saved;
    return number_after(text, "VmPin:", 0) * 1024;
}

uint64_t os_page_faults(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

/* ---- what is left ---- */

/* Files of a control group's memory controller. */
struct files {
    const char *line;  /* how its line in /proc/self/cgroup begins, from the controller on */
    const char *mount; /* where it is mounted */
    const char *most, *now, *cache;
};

static const struct files versions[] = {
    {"::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static void read_of_group(const char *group, const char *file, char text[TEXT])
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%.*s/%s", PATH_MAX - 64, group, file);
    read_text(path, text);
}

/* Bytes left of one group's limit. What its files keep cached is given back before the limit hurts. */
static size_t left_in_group(const struct files *files, const char *group)
{
    char text[TEXT];
    read_of_group(group, files->most, text);
    size_t most = number_after(text, "", SIZE_MAX);
    if (most >= SIZE_MAX / 4) {
        return SIZE_MAX; /* "max", or version 1's number for it */
    }
    read_of_group(group, files->now, text);
    size_t now = number_after(text, "", 0);
    read_of_group(group, "memory.stat", text);
    return less(most, less(now, number_after(text, files->cache, 0)));
}

/* The least that is left in the group of that line of /proc/self/cgroup and in those it is part of. */
static size_t left_in_groups(const struct files *files, const char *line)
{
    char group[PATH_MAX];
    size_t mount = strlen(files->mount), least = SIZE_MAX;
    const char *path = line + strlen(files->line);
    (void)snprintf(group, sizeof group, "%s%.*s", files->mount, (int)strcspn(path, "\n"), path);
    for (;;) {
        size_t left = left_in_group(files, group);
        least = left < least ? left : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL || slash < group + mount) {
            return least;
        }
        *slash = '\0';
    }
}

size_t os_memory_left(void)
{
    char text[TEXT];
    int saved = errno;
    read_text("/proc/meminfo", text);
    size_t kilobytes = number_after(text, "MemAvailable:", SIZE_MAX);
    size_t least = kilobytes < SIZE_MAX / 1024 ? kilobytes * 1024 : SIZE_MAX;
    read_text("/proc/self/cgroup", text);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const char *line = strstr(text, versions[i].line);
        size_t left = line != NULL ? left_in_groups(&versions[i], line) : SIZE_MAX;
        least = left < least ? left : least;
    }
    errno = saved;
    return least;
}
