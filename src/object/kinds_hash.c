/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_hash.c: the hashes of the built-in kinds.
 *
 * Numbers: the value modulo the prime 2^61 - 1, so that equal numbers have equal hashes whatever their kind; for a
 * fraction, the division is that of the field. Since 2^61 is 1 modulo the prime, a multiplication by a power of 2 is a
 * rotation of 61 bits. Strs and bytes: SipHash-1-3 with the runtime's key, so that nobody who chooses the texts can
 * make them meet in a table. No locks. */

#include "object/kinds_state.h"

#include <string.h>

#define HASH_INFINITY UINT64_C(314159)

/* ---- numbers ---- */

static uint64_t times_power_of_2(uint64_t value, unsigned exponent)
{
    exponent %= 61;
    return exponent ? ((value << exponent) & KINDS_HASH_PRIME) | value >> (61 - exponent) : value;
}

uint64_t kinds_hash_digits(bool negative, const uint64_t *digits, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = count; i-- > 0;) {
        hash = kinds_hash_reduce(times_power_of_2(hash, 64) + kinds_hash_reduce(digits[i]));
    }
    return negative ? 0 - hash : hash;
}

uint64_t kinds_hash_double(double value, const cairn_object *object)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 63;
    unsigned exponent = bits >> 52 & 0x7ff;
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7ff) {
        return mantissa ? (uintptr_t)object >> 4 : negative ? 0 - HASH_INFINITY : HASH_INFINITY;
    }
    if (exponent) {
        mantissa |= UINT64_C(1) << 52;
    } else {
        exponent = 1;
    }
    /* The value is mantissa * 2^(exponent - 1075); 1098 is a multiple of 61 above 1075. */
    uint64_t hash = times_power_of_2(mantissa, exponent + 1098 - 1075);
    return negative ? 0 - hash : hash;
}

/* ---- text ---- */

static inline uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->d ^= word;
    sip_round(s);
    s->a ^= word;
}

/* Never 0. */
uint64_t kinds_hash_bytes(const struct kinds *kinds, const void *data, size_t size)
{
    uint64_t k0 = kinds->seed[0], k1 = kinds->seed[1];
    struct sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                    k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    const char *at = data;
    uint64_t word;
    for (size_t left = size / 8; left; left--, at += 8) {
        memcpy(&word, at, 8);
        sip_word(&s, word);
    }
    word = (uint64_t)size << 56;
    for (size_t i = 0; i < size % 8; i++) {
        word |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    sip_word(&s, word);
    s.c ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    uint64_t hash = s.a ^ s.b ^ s.c ^ s.d;
    return hash ? hash : 1;
}
