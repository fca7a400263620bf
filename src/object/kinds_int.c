/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* kinds_int.c: ints: made, read, described, compared. Arithmetic is in kinds_int_math.c.
 *
 * Invariants: a value that fits 63 bits is stored in the object (small); any other has digits to the base 2^64 behind
 * the object, the last of which is not 0. So a value has one form. -5 to 256 are objects that the runtime shares,
 * immortal, made when first asked for. Lock: the GIL. */

#include "object/kinds_int.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK_DIGITS = 19, /* decimal digits of the largest power of ten below 2^64 */
    DECIMAL_MOST = 224 /* longest ints, in digits to the base 2^64, that are described in decimal: the time grows with
                          the square */
};
#define CHUNK UINT64_C(10000000000000000000)

_Static_assert(KINDS_INT_PARSE_MOST * 3322 / 1000 / 64 < DECIMAL_MOST, "what can be read can be described");

/* ---- made ---- */

static bool is_shared(int64_t value)
{
    return value >= KINDS_INT_LEAST && value <= KINDS_INT_MOST;
}

static cairn_object *make_small(struct kinds *kinds, int64_t value)
{
    cairn_object *object = kinds_take(&kinds->ints, kinds->runtime, &kinds_int_type, 0);
    if (LIKELY(object != NULL)) {
        kinds_int_set_value(kinds_int_of(object), value);
    }
    return object;
}

static cairn_object *shared(struct kinds *kinds, int64_t value)
{
    cairn_object **place = &kinds->shared_ints[value - KINDS_INT_LEAST];
    if (UNLIKELY(!*place)) {
        *place = make_small(kinds, value);
        if (!*place) {
            return NULL;
        }
        cairn_object_make_immortal(*place);
    }
    return cairn_incref(*place);
}

/* A value that fits 64 bits, but not 63. */
static cairn_object *make_wide(cairn_runtime *runtime, int64_t value)
{
    struct kinds_int *number = kinds_int_alloc(runtime, 1);
    if (!number) {
        return NULL;
    }
    kinds_int_set_digits(number, 1, value < 0);
    *kinds_int_digits(number) = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return &number->object;
}

cairn_object *cairn_int_new(cairn_runtime *runtime, int64_t value)
{
    struct kinds *kinds = kinds_of(runtime);
    if (UNLIKELY(!kinds)) {
        return NULL;
    }
    if (is_shared(value)) {
        return shared(kinds, value);
    }
    bool small = value >= KINDS_INT_SMALL_LEAST && value <= KINDS_INT_SMALL_MOST;
    return LIKELY(small) ? make_small(kinds, value) : make_wide(runtime, value);
}

struct kinds_int *kinds_int_alloc(cairn_runtime *runtime, size_t count)
{
    cairn_object *object = kinds_of(runtime) ? cairn_object_alloc(runtime, &kinds_int_type, count) : NULL;
    if (!object) {
        return NULL;
    }
    kinds_int_set_digits(kinds_int_of(object), count, false);
    return kinds_int_of(object);
}

/* Does a number of one digit fit 63 bits with a sign? */
static bool fits(bool negative, uint64_t digit)
{
    return digit <= (uint64_t)KINDS_INT_SMALL_MOST + negative;
}

static int64_t with_sign(bool negative, uint64_t digit)
{
    return negative ? (int64_t)(0 - digit) : (int64_t)digit;
}

cairn_object *kinds_int_finish(cairn_runtime *runtime, struct kinds_int *number, bool negative)
{
    const uint64_t *digits = kinds_int_digits(number);
    size_t count = kinds_int_count(number);
    while (count && digits[count - 1] == 0) {
        count--;
    }
    if (count > 1 || (count == 1 && !fits(negative, digits[0]))) {
        kinds_int_set_digits(number, count, negative);
        return &number->object;
    }
    cairn_object *small = cairn_int_new(runtime, count ? with_sign(negative, digits[0]) : 0);
    cairn_decref(&number->object);
    return small;
}

cairn_object *cairn_int_from_digits(cairn_runtime *runtime, bool negative, const uint64_t *digits, size_t count)
{
    while (count && digits[count - 1] == 0) {
        count--;
    }
    if (count == 0 || (count == 1 && fits(negative, digits[0]))) {
        return cairn_int_new(runtime, count ? with_sign(negative, digits[0]) : 0);
    }
    struct kinds_int *number = kinds_int_alloc(runtime, count);
    if (!number) {
        return NULL;
    }
    memcpy(kinds_int_digits(number), digits, count * sizeof *digits);
    kinds_int_set_digits(number, count, negative);
    return &number->object;
}

/* ---- from text ---- */

/* digits = digits * factor + more; returns the new count. */
static size_t multiply_add(uint64_t *digits, size_t count, uint64_t factor, uint64_t more)
{
    for (size_t i = 0; i < count; i++) {
        unsigned __int128 product = (unsigned __int128)digits[i] * factor + more;
        digits[i] = (uint64_t)product;
        more = (uint64_t)(product >> 64);
    }
    if (more) {
        digits[count++] = more;
    }
    return count;
}

static bool read_decimal(const char *text, size_t size, uint64_t *digits, size_t *count)
{
    *count = 0;
    if (size == 0 || size > KINDS_INT_PARSE_MOST) {
        return false;
    }
    uint64_t chunk = 0, power = 1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        chunk = chunk * 10 + (uint64_t)(text[i] - '0');
        power *= 10;
        if (power == CHUNK || i + 1 == size) {
            *count = multiply_add(digits, *count, power, chunk);
            chunk = 0;
            power = 1;
        }
    }
    return true;
}

cairn_object *cairn_int_parse(cairn_runtime *runtime, const char *text, size_t size)
{
    if (size == SIZE_MAX) {
        size = strlen(text);
    }
    uint64_t digits[DECIMAL_MOST];
    size_t count;
    bool negative = size && text[0] == '-';
    size_t sign = size && (negative || text[0] == '+');
    if (!read_decimal(text + sign, size - sign, digits, &count)) {
        return kinds_fail(runtime, EINVAL, "the text of an int must be a sign, if any, and 1 to 4300 decimal digits");
    }
    return cairn_int_from_digits(runtime, negative, digits, count);
}

/* ---- read ---- */

void kinds_number_get(cairn_object *object, struct kinds_number *parts)
{
    struct kinds_int *number = kinds_int_of(object);
    if (!kinds_int_is_small(number)) {
        parts->negative = kinds_int_negative(number);
        parts->digits = kinds_int_digits(number);
        parts->count = kinds_int_count(number);
    } else {
        int64_t value = kinds_int_value(number);
        parts->negative = value < 0;
        parts->small = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        parts->digits = &parts->small;
        parts->count = parts->small != 0;
    }
}

bool kinds_int_fits(struct kinds_int *number, int64_t *value)
{
    if (LIKELY(kinds_int_is_small(number))) {
        *value = kinds_int_value(number);
        return true;
    }
    uint64_t digit = *kinds_int_digits(number);
    bool negative = kinds_int_negative(number);
    if (kinds_int_count(number) > 1 || digit > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value = with_sign(negative, digit);
    return true;
}

int cairn_int_get(cairn_object *object, int64_t *value)
{
    if (!kinds_is(object, &kinds_int_type, "int_get")) {
        return EINVAL;
    }
    if (!kinds_int_fits(kinds_int_of(object), value)) {
        return runtime_error(kinds_runtime(object), ERANGE, "the int does not fit 64 bits");
    }
    return 0;
}

int cairn_int_sign(cairn_object *object)
{
    if (!kinds_is(object, &kinds_int_type, "int_sign")) {
        return 0;
    }
    const struct kinds_int *number = kinds_int_of(object);
    if (!kinds_int_is_small(number)) {
        return kinds_int_negative(number) ? -1 : 1;
    }
    return (number->word > 0) - (number->word < 0);
}

size_t cairn_int_digits(cairn_object *object, uint64_t *digits, size_t room)
{
    if (!kinds_is(object, &kinds_int_type, "int_digits")) {
        return 0;
    }
    struct kinds_number parts;
    kinds_number_get(object, &parts);
    size_t fit = parts.count < room ? parts.count : room;
    if (fit) {
        memcpy(digits, parts.digits, fit * sizeof *digits);
    }
    return parts.count;
}

/* The nearest double of an absolute value, infinite if there is none; is it exact? */
static double nearest(const struct kinds_number *parts, bool *exact)
{
    *exact = true;
    if (parts->count == 0) {
        return 0;
    }
    size_t last = parts->count - 1;
    unsigned shift = (unsigned)__builtin_clzll(parts->digits[last]);
    uint64_t top = parts->digits[last] << shift;
    bool more = false; /* are there bits below the top 64? */
    if (last && shift) {
        top |= parts->digits[last - 1] >> (64 - shift);
        more = parts->digits[last - 1] << shift != 0;
    } else if (last) {
        more = parts->digits[last - 1] != 0;
    }
    for (size_t i = 0; last && i < last - 1 && !more; i++) {
        more = parts->digits[i] != 0;
    }
    *exact = !more && (top & 0x7ff) == 0;
    top |= more;
    return last > 16 ? INFINITY : ldexp((double)top, (int)(last * 64) - (int)shift);
}

int cairn_int_to_double(cairn_object *object, double *value)
{
    if (!kinds_is(object, &kinds_int_type, "int_to_double")) {
        return EINVAL;
    }
    struct kinds_number parts;
    bool exact;
    kinds_number_get(object, &parts);
    double result = nearest(&parts, &exact);
    if (isinf(result)) {
        return runtime_error(kinds_runtime(object), ERANGE, "the int is beyond all doubles");
    }
    *value = parts.negative ? -result : result;
    return 0;
}

bool kinds_int_equals_double(cairn_object *object, double value)
{
    struct kinds_number parts;
    bool exact;
    kinds_number_get(object, &parts);
    double own = nearest(&parts, &exact);
    return exact && !isinf(own) && (parts.negative ? -own : own) == value;
}

/* ---- compared ---- */

static int compare_digits(const struct kinds_number *a, const struct kinds_number *b)
{
    if (a->count != b->count) {
        return a->count < b->count ? -1 : 1;
    }
    for (size_t i = a->count; i-- > 0;) {
        if (a->digits[i] != b->digits[i]) {
            return a->digits[i] < b->digits[i] ? -1 : 1;
        }
    }
    return 0;
}

int cairn_int_compare(cairn_object *a, cairn_object *b)
{
    if (!kinds_is(a, &kinds_int_type, "int_compare") || !kinds_is(b, &kinds_int_type, "int_compare")) {
        return 0;
    }
    struct kinds_number x, y;
    kinds_number_get(a, &x);
    kinds_number_get(b, &y);
    if (x.negative != y.negative) {
        return x.negative ? -1 : 1;
    }
    int order = compare_digits(&x, &y);
    return x.negative ? -order : order;
}

static bool int_equal(cairn_object *a, cairn_object *b)
{
    if (b->type == &kinds_float_type) {
        return kinds_int_equals_double(a, cairn_float_get(b));
    }
    if (b->type != &kinds_int_type) {
        return false;
    }
    const struct kinds_int *x = kinds_int_of(a), *y = kinds_int_of(b);
    return x->word == y->word &&
           (kinds_int_is_small(x) || memcmp(x + 1, y + 1, kinds_int_count(x) * sizeof(uint64_t)) == 0);
}

static bool int_hash(cairn_object *self, uint64_t *hash)
{
    struct kinds_int *number = kinds_int_of(self);
    *hash = kinds_int_is_small(number)
                ? kinds_hash_int64(kinds_int_value(number))
                : kinds_hash_digits(kinds_int_negative(number), kinds_int_digits(number), kinds_int_count(number));
    return true;
}

/* ---- described ---- */

/* Divides by CHUNK in place; returns the remainder. */
static uint64_t divide_by_chunk(uint64_t *digits, size_t *count)
{
    uint64_t rest = 0;
    for (size_t i = *count; i-- > 0;) {
        unsigned __int128 value = (unsigned __int128)rest << 64 | digits[i];
        digits[i] = (uint64_t)(value / CHUNK);
        rest = (uint64_t)(value % CHUNK);
    }
    while (*count && digits[*count - 1] == 0) {
        (*count)--;
    }
    return rest;
}

static void write_decimal(struct kinds_text *text, const struct kinds_number *parts)
{
    uint64_t digits[DECIMAL_MOST];
    uint64_t chunks[DECIMAL_MOST * 64 / 63 + 1]; /* CHUNK is above 2^63 */
    size_t count = parts->count, used = 0;
    memcpy(digits, parts->digits, count * sizeof *digits);
    while (count) {
        chunks[used++] = divide_by_chunk(digits, &count);
    }
    kinds_text_format(text, "%llu", (unsigned long long)(used ? chunks[used - 1] : 0));
    for (size_t i = used; i-- > 1;) {
        kinds_text_format(text, "%0*llu", CHUNK_DIGITS, (unsigned long long)chunks[i - 1]);
    }
}

static void write_hexadecimal(struct kinds_text *text, const struct kinds_number *parts)
{
    kinds_text_format(text, "0x%llx", (unsigned long long)parts->digits[parts->count - 1]);
    for (size_t i = parts->count - 1; i-- > 0;) {
        kinds_text_format(text, "%016llx", (unsigned long long)parts->digits[i]);
    }
}

static size_t int_repr(cairn_object *self, char *text, size_t size)
{
    struct kinds_number parts;
    kinds_number_get(self, &parts);
    struct kinds_text out = {text, size, 0};
    if (parts.negative) {
        kinds_text_word(&out, "-");
    }
    (parts.count <= DECIMAL_MOST ? write_decimal : write_hexadecimal)(&out, &parts);
    return out.length;
}

static bool int_keep(cairn_runtime *runtime, cairn_object *dead)
{
    struct kinds *kinds = runtime->kinds;
    return kinds && kinds_int_is_small(kinds_int_of(dead)) && kinds_keep(&kinds->ints, runtime, dead);
}

const cairn_type kinds_int_type = {.struct_size = sizeof(cairn_type),
                                   .name = "int",
                                   .size = sizeof(struct kinds_int),
                                   .item_size = sizeof(uint64_t),
                                   .keep = int_keep,
                                   .repr = int_repr,
                                   .hash = int_hash,
                                   .equal = int_equal};

const cairn_type *cairn_int_type(void)
{
    return &kinds_int_type;
}
