/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* library_pages.c: prints the resident KiB of the library's code and of its constants, after some requests and, with an
 * argument, a wait of so many milliseconds. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
    for (size_t i = 0; i < 1000; i++) {
        free(realloc(calloc(1, i + 1), 3 * i + 1));
    }
    if (argc > 1) {
        long ms = atol(argv[1]);
        (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    }
    long code = 0, constants = 0, *into = NULL, resident;
    char line[1024];
    char permissions[8];
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%*x-%*x %7s", permissions) == 1) {
            into = !strstr(line, "/libcairn-preload.so") ? NULL
                   : !strcmp(permissions, "r-xp")        ? &code
                   : !strcmp(permissions, "r--p")        ? &constants
                                                         : NULL;
        } else if (into && sscanf(line, "Rss: %ld", &resident) == 1) {
            *into += resident;
        }
    }
    printf("%ld %ld\n", code, constants);
    return 0;
}
