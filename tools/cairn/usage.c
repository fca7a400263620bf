/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* usage.c: see usage.h. Single-threaded. */

#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

enum { NAMES_MAX = 32, LIST_MAX = 256 };

_Noreturn void usage_fail(const char *command, const struct option *options, int answer, const char *word)
{
    const char *names[NAMES_MAX];
    const char *nearest = NULL;
    size_t count = 0;

    for (; options[count].name != NULL && count < NAMES_MAX; count++) {
        names[count] = options[count].name;
        if (optopt != 0 && options[count].val == optopt) {
            fail(EXIT_CAIRN,
                 answer == ':' ? "%s: --%s needs a value; see 'cairn %s --help'"
                               : "%s: --%s takes no value; see 'cairn %s --help'",
                 command, names[count], command);
        }
    }
    if (strncmp(word, "--", 2) == 0) {
        char *name = text_of("%.*s", (int)strcspn(word + 2, "="), word + 2);
        nearest = nearest_name(name, names, count);
        free(name);
    }
    if (nearest != NULL) {
        fail(EXIT_CAIRN, "%s: unknown option '%s'; did you mean --%s?", command, word, nearest);
    }
    fail(EXIT_CAIRN, "%s: unknown option '%s'; see 'cairn %s --help'", command, word, command);
}

size_t usage_choice(const char *option, const char *word, size_t length, const char *const *choices)
{
    char list[LIST_MAX] = "";
    size_t count = 0;

    for (; choices[count] != NULL; count++) {
        if (strlen(choices[count]) == length && strncmp(choices[count], word, length) == 0) {
            return count;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", count > 0 ? ", " : "", choices[count]);
    }
    char *copy = text_of("%.*s", (int)length, word);
    const char *nearest = nearest_name(copy, choices, count);
    if (nearest != NULL) {
        fail(EXIT_CAIRN, "%s: unknown value '%s', did you mean %s? Valid: %s", option, copy, nearest, list);
    }
    fail(EXIT_CAIRN, "%s: unknown value '%s'; valid: %s", option, copy, list);
}

void usage_check_output(const char *option, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
        (void)unlink(path);
    } else if (errno == EEXIST) { /* a named pipe has no reader yet, and that is no fault */
        file = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (file < 0 && errno != ENXIO) {
        fail(EXIT_CAIRN, "%s: cannot write '%s': %s; name another file", option, path, strerror(errno));
    }
    if (file >= 0) {
        (void)close(file);
    }
}

void usage_add_to_list(char **list, const char *more, char parting)
{
    char *longer = *list == NULL ? text_of("%s", more) : text_of("%s%c%s", *list, parting, more);
    free(*list);
    *list = longer;
}
