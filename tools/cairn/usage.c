/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* usage.c: see usage.h. Single-threaded. */

#include "usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
