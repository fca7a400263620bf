/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* report_file.c: see report_file.h. */

#include "observe/report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void report_file_note(struct report_file *file, const char *path)
{
    char folder[PATH_MAX] = "";
    if (path != NULL && path[0] != '/' && getcwd(folder, sizeof folder - 1) != NULL) {
        strcat(folder, "/");
    }
    size_t length = strlen(folder);
    if (path != NULL && length + strlen(path) < sizeof file->path) {
        memcpy(file->path, folder, length);
        strcpy(file->path + length, path);
    }
}

/* The path with %p replaced by the process id; false if it is too long. */
static bool expand(const struct report_file *file, char *path, size_t size)
{
    char id[16];
    int digits = snprintf(id, sizeof id, "%ld", (long)getpid());
    size_t length = 0;
    for (const char *at = file->path; *at != '\0'; at++) {
        bool mark = at[0] == '%' && at[1] == 'p';
        size_t step = mark ? (size_t)digits : 1;
        if (length + step >= size) {
            return false;
        }
        memcpy(path + length, mark ? id : at, step);
        length += step;
        at += mark;
    }
    path[length] = '\0';
    return true;
}

bool report_file_is_own(const struct report_file *file)
{
    return strstr(file->path, "%p") != NULL;
}

int report_file_open(const struct report_file *file, bool append)
{
    char path[PATH_MAX];
    if (!expand(file, path, sizeof path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
}
