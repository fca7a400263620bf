/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_int.h: the form of an int, for kinds_int.c and kinds_int_math.c. Lock: the GIL. */

#ifndef CAIRN_OBJECT_KINDS_INT_H
#define CAIRN_OBJECT_KINDS_INT_H

#include "object/kinds_state.h"

enum { KINDS_INT_PARSE_MOST = 4300 }; /* decimal digits that cairn_int_parse() takes */

struct kinds_int {
    cairn_object object;
    int64_t value; /* with digits: the sign, -1 or 1 */
    size_t digits; /* to the base 2^64, behind the object; 0: the value fits */
};

static inline struct kinds_int *kinds_int_of(cairn_object *object)
{
    return (struct kinds_int *)(void *)object;
}

static inline uint64_t *kinds_int_digits(struct kinds_int *number)
{
    return (uint64_t *)(void *)(number + 1);
}

/* A number with so many digits, to be written and given to kinds_int_finish(). */
struct kinds_int *kinds_int_alloc(cairn_runtime *runtime, size_t count);

/* Brings a number to its one form: leading zeros go, and it is given up for a small one if it fits. */
cairn_object *kinds_int_finish(cairn_runtime *runtime, struct kinds_int *number, bool negative);

#endif
