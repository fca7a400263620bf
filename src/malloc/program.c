/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* program.c: the program's name, its memory and its threads, for reports. No allocation, no stdio. The name is
 * written once, in the constructor, and only read afterwards. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "malloc/process.h"
#include "python/command_line.h"

enum { NAME_MAX_SHOWN = 160 };

static char name[NAME_MAX_SHOWN];

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void program_note(int argc, char **argv)
{
    const char *program = argc > 0 ? base_name(argv[0]) : "unknown";
    struct python_command command;
    if (!python_command_parse(argc, argv, &command)) {
        snprintf(name, sizeof name, "%s", program);
    } else if (command.option != '\0') {
        const char *what = command.option == 'm' && command.what != NULL ? command.what : "";
        snprintf(name, sizeof name, "%s -%c%s%s", program, command.option, *what ? " " : "", what);
    } else if (command.what != NULL) {
        snprintf(name, sizeof name, "%s %s", program, base_name(command.what));
    } else {
        snprintf(name, sizeof name, "%s", program);
    }
}

const char *program_name(void)
{
    return name;
}

/* ---- /proc/self/status ---- */

enum { STATUS_BYTES = 4096 };

/* Its text; "" if it cannot be read. */
static void read_status(char text[STATUS_BYTES])
{
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    text[0] = '\0';
    if (file >= 0) {
        ssize_t length = read(file, text, STATUS_BYTES - 1);
        text[length > 0 ? length : 0] = '\0';
        close(file);
    }
}

/* The figure after `label`. */
static size_t status_figure(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    return at != NULL ? (size_t)strtoull(at + strlen(label), NULL, 10) : 0;
}

void process_memory(struct process_memory *memory)
{
    char text[STATUS_BYTES];
    read_status(text); /* counts in KiB */
    memory->resident = status_figure(text, "VmRSS:") * 1024;
    memory->peak_resident = status_figure(text, "VmHWM:") * 1024;
}

size_t process_threads(void)
{
    char text[STATUS_BYTES];
    read_status(text);
    return status_figure(text, "Threads:");
}
