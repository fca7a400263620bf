/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* text.h: reading numbers from and putting words into short texts, without allocation, stdio or locale: for what is
 * read before libc may be relied on. No state. */

#ifndef CAIRN_HEAP_TEXT_H
#define CAIRN_HEAP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads decimal digits; false if there is none or the number is too large. Leaves *text behind the last digit. */
bool text_digits(const char **text, uint64_t *number);

/* A size: digits and at most one of the suffixes K, M, G and T, in either case, which may be written K, KB or KiB.
 * Leaves *text behind it; false if there is none or it is too large. */
bool text_size(const char **text, size_t *size);

/* Appends at most `most` bytes to the line of limited size; what does not fit is cut. */
void text_append(char *line, size_t size, const char *text, size_t most);

/* Appends a number in decimal. */
void text_append_number(char *line, size_t size, uint64_t number);

#endif
