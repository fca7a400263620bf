/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_float.c: floats. Described as in Python: with the fewest digits that read back as the same number. Lock: the
 * GIL. */

#include "object/kinds_state.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MOST = 17 };

cairn_object *cairn_float_new(cairn_runtime *runtime, double value)
{
    struct kinds *kinds = kinds_of(runtime);
    cairn_object *object = kinds ? kinds_take(&kinds->floats, runtime, &kinds_float_type, 0) : NULL;
    if (LIKELY(object != NULL)) {
        ((cairn_float *)(void *)object)->value = value;
    }
    return object;
}

static bool float_equal(cairn_object *a, cairn_object *b)
{
    if (b->type == &kinds_int_type) {
        return kinds_int_equals_double(b, cairn_float_get(a));
    }
    return b->type == &kinds_float_type && cairn_float_get(a) == cairn_float_get(b);
}

static bool float_hash(cairn_object *self, uint64_t *hash)
{
    *hash = kinds_hash_double(cairn_float_get(self), self);
    return true;
}

/* ---- described ---- */

/* The digits of a finite absolute value without a point, trailing zeros cut, and the exponent of the first one. */
static int shortest(double value, char digits[DIGITS_MOST + 1], int *exponent)
{
    char text[64];
    int least = value < DBL_MIN ? 1 : DBL_DIG; /* up to DBL_DIG digits are always right, but for the smallest numbers */
    for (int precision = least; precision <= DIGITS_MOST; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    int count = 0;
    const char *at = text;
    for (; *at != 'e'; at++) { /* between the digits is the locale's point */
        if (*at >= '0' && *at <= '9') {
            digits[count++] = *at;
        }
    }
    *exponent = atoi(at + 1);
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    digits[count] = 0;
    return count;
}

static void write_zeros(struct kinds_text *text, int count)
{
    for (int i = 0; i < count; i++) {
        kinds_text_word(text, "0");
    }
}

static void write_finite(struct kinds_text *text, double value)
{
    char digits[DIGITS_MOST + 1];
    int exponent;
    int count = shortest(value, digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        kinds_text_format(text, "%c%s%se%c%02d", digits[0], count > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
                          abs(exponent));
    } else if (exponent < 0) {
        kinds_text_word(text, "0.");
        write_zeros(text, -exponent - 1);
        kinds_text_word(text, digits);
    } else {
        int whole = count < exponent + 1 ? count : exponent + 1;
        kinds_text_bytes(text, digits, (size_t)whole);
        write_zeros(text, exponent + 1 - whole);
        kinds_text_word(text, ".");
        kinds_text_word(text, count > whole ? digits + whole : "0");
    }
}

static size_t float_repr(cairn_object *self, char *text, size_t size)
{
    double value = cairn_float_get(self);
    struct kinds_text out = {text, size, 0};
    if (isnan(value)) {
        kinds_text_word(&out, "nan");
        return out.length;
    }
    if (signbit(value)) {
        kinds_text_word(&out, "-");
    }
    if (isinf(value)) {
        kinds_text_word(&out, "inf");
    } else {
        write_finite(&out, fabs(value));
    }
    return out.length;
}

static bool float_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    return kinds && kinds_keep(&kinds->floats, runtime, dead);
}

const cairn_type kinds_float_type = {.struct_size = sizeof(cairn_type),
                                     .name = "float",
                                     .size = sizeof(cairn_float),
                                     .keep = float_keep,
                                     .repr = float_repr,
                                     .hash = float_hash,
                                     .equal = float_equal};

const cairn_type *cairn_float_type(void)
{
    return &kinds_float_type;
}
