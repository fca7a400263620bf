/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* command_line.c: reads an interpreter's options as CPython does before it has an allocator to choose. No state. */

#include "python/command_line.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool names_python(const char *path)
{
    return strncmp(base_name(path), "python", strlen("python")) == 0;
}

/* By the name it was called by (a virtual environment's link) or by its file (exec -a). */
static bool is_interpreter(int argc, char **argv)
{
    char file[PATH_MAX];
    if (argc <= 0 || argv == NULL || argv[0] == NULL) {
        return false;
    }
    if (names_python(argv[0])) {
        return true;
    }
    ssize_t length = readlink("/proc/self/exe", file, sizeof file - 1);
    if (length <= 0) {
        return false;
    }
    file[length] = '\0';
    return names_python(file);
}

/* -X NAME or -X NAME=VALUE */
static bool is_dev(const char *value)
{
    size_t length = strcspn(value, "=");
    return length == strlen("dev") && strncmp(value, "dev", length) == 0;
}

/* Reads one argument of short options from argv[at]. Returns the index of the next argument, or -1 if the options
 * end with this one. */
static int read_cluster(int argc, char **argv, int at, struct python_command *command)
{
    for (const char *letter = argv[at] + 1; *letter != '\0'; letter++) {
        if (*letter == 'E' || *letter == 'I') {
            command->ignores_environment = true;
        }
        if (strchr("cmWX", *letter) == NULL) {
            continue;
        }
        bool attached = letter[1] != '\0';
        const char *value = attached ? letter + 1 : (at + 1 < argc ? argv[at + 1] : NULL);
        if (*letter == 'c' || *letter == 'm') {
            command->option = *letter;
            command->what = value;
            return -1;
        }
        if (*letter == 'X' && value != NULL && is_dev(value)) {
            command->development = true;
        }
        return attached ? at + 1 : at + 2;
    }
    return at + 1;
}

bool python_command_parse(int argc, char **argv, struct python_command *command)
{
    memset(command, 0, sizeof *command);
    if (!is_interpreter(argc, argv)) {
        return false;
    }
    int at = 1;
    while (at >= 0 && at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--check-hash-based-pycs") == 0) {
            at += 2;
        } else if (argv[at][1] == '-') {
            at++; /* --help, --version */
        } else {
            at = read_cluster(argc, argv, at, command);
        }
    }
    if (at >= 0 && at < argc) {
        command->what = argv[at];
    }
    return true;
}
