/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_int_math.c: arithmetic of ints. What fits 64 bits is done here; the rest by GMP's functions on rows of digits,
 * if CAIRN_WITH_GMP is 1, and refused with ERANGE otherwise. Lock: the GIL. */

#include "object/kinds_int.h"

#ifndef CAIRN_WITH_GMP
#define CAIRN_WITH_GMP 0
#endif

static bool are_ints(const cairn_object *a, const cairn_object *b, const char *call)
{
    return kinds_is(a, &kinds_int_type, call) && kinds_is(b, &kinds_int_type, call);
}

/* The values of both, if they fit 64 bits. */
static bool both_fit(cairn_object *a, cairn_object *b, int64_t values[2])
{
    return kinds_int_fits(kinds_int_of(a), &values[0]) && kinds_int_fits(kinds_int_of(b), &values[1]);
}

bool cairn_int_is_unbounded(void)
{
    return CAIRN_WITH_GMP;
}

#if CAIRN_WITH_GMP

#include <gmp.h>

_Static_assert(GMP_NUMB_BITS == 64 && sizeof(mp_limb_t) == sizeof(uint64_t), "a limb is a digit");

/* The sum of absolute values. */
static cairn_object *add_absolute(cairn_runtime *runtime, const struct kinds_number *a, const struct kinds_number *b,
                                  bool negative)
{
    if (a->count < b->count) {
        const struct kinds_number *swapped = a;
        a = b;
        b = swapped;
    }
    struct kinds_int *sum = kinds_int_alloc(runtime, a->count + 1);
    if (!sum) {
        return NULL;
    }
    uint64_t *digits = kinds_int_digits(sum);
    digits[a->count] = a->count ? mpn_add(digits, a->digits, (mp_size_t)a->count, b->digits, (mp_size_t)b->count) : 0;
    return kinds_int_finish(runtime, sum, negative);
}

static bool is_less(const struct kinds_number *a, const struct kinds_number *b)
{
    return a->count != b->count ? a->count < b->count : mpn_cmp(a->digits, b->digits, (mp_size_t)a->count) < 0;
}

/* The difference of absolute values, with the sign `negative` if a is the greater. */
static cairn_object *subtract_absolute(cairn_runtime *runtime, const struct kinds_number *a,
                                       const struct kinds_number *b, bool negative)
{
    if (is_less(a, b)) {
        const struct kinds_number *swapped = a;
        a = b;
        b = swapped;
        negative = !negative;
    }
    struct kinds_int *difference = kinds_int_alloc(runtime, a->count);
    if (!difference) {
        return NULL;
    }
    if (a->count) {
        (void)mpn_sub(kinds_int_digits(difference), a->digits, (mp_size_t)a->count, b->digits, (mp_size_t)b->count);
    }
    return kinds_int_finish(runtime, difference, negative);
}

static cairn_object *big_add(cairn_runtime *runtime, cairn_object *a, cairn_object *b, bool subtract)
{
    struct kinds_number x, y;
    kinds_number_get(a, &x);
    kinds_number_get(b, &y);
    bool same_sign = x.negative == (y.negative != subtract);
    return (same_sign ? add_absolute : subtract_absolute)(runtime, &x, &y, x.negative);
}

static cairn_object *big_multiply(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    struct kinds_number x, y;
    kinds_number_get(a, &x);
    kinds_number_get(b, &y);
    if (!x.count || !y.count) {
        return cairn_int_new(runtime, 0);
    }
    const struct kinds_number *longer = x.count >= y.count ? &x : &y, *shorter = longer == &x ? &y : &x;
    struct kinds_int *product = kinds_int_alloc(runtime, x.count + y.count);
    if (!product) {
        return NULL;
    }
    (void)mpn_mul(kinds_int_digits(product), longer->digits, (mp_size_t)longer->count, shorter->digits,
                  (mp_size_t)shorter->count);
    return kinds_int_finish(runtime, product, x.negative != y.negative);
}

/* Absolute values divided, then rounded down: if the signs differ and there is a rest, the quotient is one further from
 * zero and the rest is what is missing to the divisor. */
static bool divide(const struct kinds_number *x, const struct kinds_number *y, struct kinds_int *quotient,
                   struct kinds_int *rest)
{
    uint64_t *q = kinds_int_digits(quotient), *r = kinds_int_digits(rest);
    size_t count = x->count - y->count + 1;
    mpn_tdiv_qr(q, r, 0, x->digits, (mp_size_t)x->count, y->digits, (mp_size_t)y->count);
    q[count] = 0;
    if (x->negative != y->negative && !mpn_zero_p(r, (mp_size_t)y->count)) {
        (void)mpn_add_1(q, q, (mp_size_t)count + 1, 1);
        (void)mpn_sub_n(r, y->digits, r, (mp_size_t)y->count);
    }
    return x->negative != y->negative;
}

static cairn_object *big_divide(cairn_runtime *runtime, cairn_object *a, cairn_object *b, bool modulo)
{
    struct kinds_number x, y;
    kinds_number_get(a, &x);
    kinds_number_get(b, &y);
    if (x.count < y.count) { /* the quotient is 0 or -1 */
        if (!x.count || x.negative == y.negative) {
            return modulo ? cairn_incref(a) : cairn_int_new(runtime, 0);
        }
        return modulo ? cairn_int_add(runtime, a, b) : cairn_int_new(runtime, -1);
    }
    struct kinds_int *quotient = kinds_int_alloc(runtime, x.count - y.count + 2);
    struct kinds_int *rest = quotient ? kinds_int_alloc(runtime, y.count) : NULL;
    if (!rest) {
        if (quotient) {
            cairn_decref(&quotient->object);
        }
        return NULL;
    }
    bool negative = divide(&x, &y, quotient, rest);
    cairn_decref(modulo ? &quotient->object : &rest->object);
    return modulo ? kinds_int_finish(runtime, rest, y.negative) : kinds_int_finish(runtime, quotient, negative);
}

#else

static cairn_object *refuse(cairn_runtime *runtime)
{
    return kinds_fail(runtime, ERANGE, "an int beyond 64 bits: this library was built without CAIRN_WITH_GMP");
}

static cairn_object *big_add(cairn_runtime *runtime, cairn_object *a, cairn_object *b, bool subtract)
{
    (void)a, (void)b, (void)subtract;
    return refuse(runtime);
}

static cairn_object *big_multiply(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    (void)a, (void)b;
    return refuse(runtime);
}

static cairn_object *big_divide(cairn_runtime *runtime, cairn_object *a, cairn_object *b, bool modulo)
{
    (void)a, (void)b, (void)modulo;
    return refuse(runtime);
}

#endif

/* ---- 64 bits ---- */

cairn_object *cairn_int_add(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    int64_t sum, value[2];
    if (!are_ints(a, b, "int_add")) {
        return NULL;
    }
    if (both_fit(a, b, value) && !__builtin_add_overflow(value[0], value[1], &sum)) {
        return cairn_int_new(runtime, sum);
    }
    return big_add(runtime, a, b, false);
}

cairn_object *cairn_int_subtract(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    int64_t difference, value[2];
    if (!are_ints(a, b, "int_subtract")) {
        return NULL;
    }
    if (both_fit(a, b, value) && !__builtin_sub_overflow(value[0], value[1], &difference)) {
        return cairn_int_new(runtime, difference);
    }
    return big_add(runtime, a, b, true);
}

cairn_object *cairn_int_multiply(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    int64_t product, value[2];
    if (!are_ints(a, b, "int_multiply")) {
        return NULL;
    }
    if (both_fit(a, b, value) && !__builtin_mul_overflow(value[0], value[1], &product)) {
        return cairn_int_new(runtime, product);
    }
    return big_multiply(runtime, a, b);
}

static cairn_object *small_divide(cairn_runtime *runtime, int64_t a, int64_t b, bool modulo)
{
    int64_t quotient = a / b, rest = a % b;
    if (rest && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    return cairn_int_new(runtime, modulo ? rest : quotient);
}

static cairn_object *int_divide(cairn_runtime *runtime, cairn_object *a, cairn_object *b, bool modulo)
{
    if (cairn_int_sign(b) == 0) {
        return kinds_fail(runtime, EDOM, "division of an int by zero");
    }
    int64_t value[2];
    bool fit = both_fit(a, b, value);
    if (fit && !(value[0] == INT64_MIN && value[1] == -1)) {
        return small_divide(runtime, value[0], value[1], modulo);
    }
    if (modulo && fit) {
        return cairn_int_new(runtime, 0);
    }
    return big_divide(runtime, a, b, modulo);
}

cairn_object *cairn_int_divide(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    return are_ints(a, b, "int_divide") ? int_divide(runtime, a, b, false) : NULL;
}

cairn_object *cairn_int_modulo(cairn_runtime *runtime, cairn_object *a, cairn_object *b)
{
    return are_ints(a, b, "int_modulo") ? int_divide(runtime, a, b, true) : NULL;
}

cairn_object *cairn_int_negate(cairn_runtime *runtime, cairn_object *a)
{
    if (!kinds_is(a, &kinds_int_type, "int_negate")) {
        return NULL;
    }
    struct kinds_number parts;
    kinds_number_get(a, &parts);
    return cairn_int_from_digits(runtime, !parts.negative, parts.digits, parts.count);
}

/* *number becomes its product with `factor`; false, and it is given up, if that fails. */
static bool multiply_into(cairn_runtime *runtime, cairn_object **number, cairn_object *factor)
{
    cairn_object *product = cairn_int_multiply(runtime, *number, factor);
    cairn_set_steal(number, product);
    return product != NULL;
}

cairn_object *cairn_int_power(cairn_runtime *runtime, cairn_object *a, unsigned exponent)
{
    if (!kinds_is(a, &kinds_int_type, "int_power")) {
        return NULL;
    }
    cairn_object *power = cairn_int_new(runtime, 1);
    for (unsigned bit = exponent ? 32 - (unsigned)__builtin_clz(exponent) : 0; power && bit-- > 0;) {
        if (multiply_into(runtime, &power, power) && (exponent >> bit & 1)) {
            (void)multiply_into(runtime, &power, a);
        }
    }
    return power;
}
