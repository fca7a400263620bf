/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_int.h: the form of an int, for kinds_int.c and kinds_int_math.c. Lock: the GIL.
 *
 * `word` is even for a small one, a value that fits 63 bits: twice the value. It is odd for any other: behind the
 * object lie digits, as many as the upper 62 bits say, and bit 1 is the sign. */

#ifndef CAIRN_OBJECT_KINDS_INT_H
#define CAIRN_OBJECT_KINDS_INT_H

#include "object/kinds_state.h"

enum { KINDS_INT_PARSE_MOST = 4300 }; /* decimal digits that cairn_int_parse() takes */

struct kinds_int {
    cairn_object object;
    int64_t word;
};

_Static_assert(sizeof(struct kinds_int) == 24, "a small int is its header and a word");

#define KINDS_INT_SMALL_MOST (INT64_MAX / 2)
#define KINDS_INT_SMALL_LEAST (INT64_MIN / 2)

static inline struct kinds_int *kinds_int_of(cairn_object *object)
{
    return (struct kinds_int *)(void *)object;
}

static inline bool kinds_int_is_small(const struct kinds_int *number)
{
    return (number->word & 1) == 0;
}

/* Of a small one. */
static inline int64_t kinds_int_value(const struct kinds_int *number)
{
    return number->word >> 1;
}

static inline void kinds_int_set_value(struct kinds_int *number, int64_t value)
{
    number->word = (int64_t)((uint64_t)value << 1);
}

/* Of one with digits. */
static inline size_t kinds_int_count(const struct kinds_int *number)
{
    return (size_t)((uint64_t)number->word >> 2);
}

static inline bool kinds_int_negative(const struct kinds_int *number)
{
    return (number->word & 2) != 0;
}

static inline void kinds_int_set_digits(struct kinds_int *number, size_t count, bool negative)
{
    number->word = (int64_t)((uint64_t)count << 2 | (uint64_t)negative << 1 | 1);
}

static inline uint64_t *kinds_int_digits(struct kinds_int *number)
{
    return (uint64_t *)(void *)(number + 1);
}

/* Does the value fit 64 bits? Then *value is it. */
bool kinds_int_fits(struct kinds_int *number, int64_t *value);

/* A number with so many digits, to be written and given to kinds_int_finish(). */
struct kinds_int *kinds_int_alloc(cairn_runtime *runtime, size_t count);

/* Brings a number to its one form: leading zeros go, and it is given up for a small one if it fits. */
cairn_object *kinds_int_finish(cairn_runtime *runtime, struct kinds_int *number, bool negative);

#endif
