/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* text.c: see text.h. */

#include "heap/text.h"

#include <string.h>

bool text_digits(const char **text, uint64_t *number)
{
    const char *at = *text;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return false;
        }
    }
    bool any = at != *text;
    *text = at;
    *number = value;
    return any;
}

/* The power of two that a size suffix stands for, or -1. */
static int suffix_shift(char suffix)
{
    switch (suffix) {
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    case 'T':
    case 't':
        return 40;
    default:
        return -1;
    }
}

bool text_size(const char **text, size_t *size)
{
    const char *at = *text;
    uint64_t value;
    if (!text_digits(&at, &value)) {
        return false;
    }
    int shift = suffix_shift(*at);
    if (shift > 0) {
        at++;
        if (at[0] == 'i' && at[1] == 'B') {
            at += 2;
        } else if (at[0] == 'B') {
            at++;
        }
        if (value > UINT64_MAX >> shift) {
            return false;
        }
        value <<= shift;
    }
    if (value > SIZE_MAX) {
        return false;
    }
    *text = at;
    *size = (size_t)value;
    return true;
}

void text_append(char *line, size_t size, const char *text, size_t most)
{
    size_t length = strlen(line);
    for (size_t i = 0; i < most && text[i] != '\0' && length + 1 < size; i++) {
        line[length++] = text[i];
    }
    line[length] = '\0';
}

void text_append_number(char *line, size_t size, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    text_append(line, size, digits + at, sizeof digits - at);
}
