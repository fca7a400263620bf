/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* bignum: cfrac-like: arithmetic on small numbers of any length, each result a new short-lived block. Runs the
 * convergents of the continued fraction of sqrt(n) modulo n for a run of n, as the factoring method of that name. */

#include "bench.h"

/* A natural number: `length` digits in base 2^32, least significant first, no leading zeros. */
typedef struct number {
    uint32_t references;
    uint32_t length;
    uint32_t digits[];
} number;

static number *number_new(size_t length)
{
    number *n = bench_alloc(sizeof *n + length * sizeof n->digits[0]);
    n->references = 1;
    n->length = (uint32_t)length;
    return n;
}

static void number_drop(number *n)
{
    if (--n->references == 0)
        free(n);
}

static number *number_trim(number *n)
{
    while (n->length > 0 && n->digits[n->length - 1] == 0)
        n->length--;
    return n;
}

static number *number_of(uint64_t value)
{
    number *n = number_new(2);
    n->digits[0] = (uint32_t)value;
    n->digits[1] = (uint32_t)(value >> 32);
    return number_trim(n);
}

static number *number_add(const number *a, const number *b)
{
    if (a->length < b->length)
        return number_add(b, a);
    number *sum = number_new(a->length + 1u);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        carry += (uint64_t)a->digits[i] + (i < b->length ? b->digits[i] : 0);
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum->digits[a->length] = (uint32_t)carry;
    return number_trim(sum);
}

static number *number_times(const number *a, uint32_t factor)
{
    number *product = number_new(a->length + 1u);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        carry += (uint64_t)a->digits[i] * factor;
        product->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    product->digits[a->length] = (uint32_t)carry;
    return number_trim(product);
}

static uint32_t number_remainder(const number *a, uint32_t divisor)
{
    uint64_t rest = 0;
    for (uint32_t i = a->length; i-- > 0;)
        rest = ((rest << 32) | a->digits[i]) % divisor;
    return (uint32_t)rest;
}

static uint32_t integer_root(uint32_t n)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
        uint32_t tried = root | bit;
        if ((uint64_t)tried * tried <= n)
            root = tried;
    }
    return root;
}

/* The numerators of the first `terms` convergents of sqrt(n), summed modulo a prime. */
static uint64_t convergents(uint32_t n, size_t terms)
{
    uint32_t root = integer_root(n), m = 0, d = 1, a = root;
    if (root * root == n)
        return 0;
    uint64_t sum = 0;
    number *before = number_of(1), *now = number_of(root);
    for (size_t i = 0; i < terms; i++) {
        m = d * a - m;
        d = (n - m * m) / d;
        a = (root + m) / d;
        number *product = number_times(now, a);
        number *next = number_add(product, before);
        number_drop(product);
        number_drop(before);
        before = now;
        now = next;
        sum += number_remainder(now, 1000003);
    }
    number_drop(before);
    number_drop(now);
    return sum;
}

int main(int argc, char **argv)
{
    size_t count = bench_scaled(argc, argv, 750000);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += convergents((uint32_t)(1000003 + i), 40);
    return bench_done("bignum", sum);
}
