/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* message.c: lines to the user, and the guess at what a mistyped word was meant to be. A message longer than its
 * buffer is cut, never split. Single-threaded. */

#include "message.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_SIZE = 4096 + 512, /* a path of PATH_MAX and words around it */
    WORD_MAX_LENGTH = 31,   /* longer words are not guessed at */
    NEAR_DISTANCE = 2       /* edits that still make a guess worth showing */
};

static void say_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
static void say_line(const char *format, va_list arguments)
{
    static const char prefix[] = "cairn: ";
    char line[LINE_SIZE];
    size_t start = sizeof prefix - 1;

    memcpy(line, prefix, start);
    int wanted = vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    if (wanted < 0) {
        return;
    }
    size_t length = strlen(line);
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)line[i])) {
            line[i] = '?';
        }
    }
    line[length] = '\n';
    fwrite(line, 1, length + 1, stderr);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_line(format, arguments);
    va_end(arguments);
}

_Noreturn void fail(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_line(format, arguments);
    va_end(arguments);
    exit(status);
}

int finish_output(void)
{
    if (ferror(stdout) || fflush(stdout) != 0) {
        say("cannot write to stdout: %s", strerror(errno));
        return EXIT_CAIRN;
    }
    return EXIT_SUCCESS;
}

char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        text = malloc((size_t)length + 1);
    }
    if (text == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Edits (insert, delete, replace a byte) between two words of at most WORD_MAX_LENGTH bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[WORD_MAX_LENGTH + 1];
    size_t columns = strlen(b);

    for (size_t j = 0; j <= columns; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = smallest(replaced, row[j] + 1, row[j + 1] + 1);
        }
    }
    return row[columns];
}

const char *nearest_name(const char *word, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t least = NEAR_DISTANCE + 1;

    if (strlen(word) > WORD_MAX_LENGTH) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t distance = strlen(names[i]) <= WORD_MAX_LENGTH ? edit_distance(word, names[i]) : least;
        if (distance < least && distance < strlen(names[i])) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
