/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_values.c: kinds without references to other objects: int, float, str, bytes, none: made, read, described,
 * compared, shared, interned, kept for reuse. Each test has a runtime of its own, which must end with nothing kept. */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "support/kinds.h"

static uint64_t hash_of(cairn_object *object)
{
    uint64_t hash = 0;
    assert_int_equal(cairn_object_hash(object, &hash), 0);
    return hash;
}

static const cairn_cache *sought;
static const char *sought_name;

static bool is_sought(const cairn_cache *cache, void *arg)
{
    (void)arg;
    if (strcmp(cache->name, sought_name) == 0) {
        sought = cache;
    }
    return true;
}

static const cairn_cache *cache_named(const char *name)
{
    sought = NULL;
    sought_name = name;
    (void)cairn_runtime_visit_caches(runtime, is_sought, NULL);
    assert_non_null(sought);
    return sought;
}

/* ---- int ---- */

static void ints_from_minus_5_to_256_are_shared(void **state)
{
    (void)state;
    for (int64_t value = -7; value <= 258; value++) {
        cairn_object *a = cairn_int_new(runtime, value), *b = cairn_int_new(runtime, value);
        assert_int_equal(a == b, value >= -5 && value <= 256);
        assert_int_equal(cairn_is_immortal(a), value >= -5 && value <= 256);
        int64_t read;
        assert_int_equal(cairn_int_get(a, &read), 0);
        assert_true(read == value);
        cairn_decref(a);
        cairn_decref(b);
    }
}

static void a_dead_int_is_the_next_int(void **state)
{
    (void)state;
    cairn_object *a = cairn_int_new(runtime, 1000);
    uintptr_t address = address_of(a);
    cairn_decref(a);
    const cairn_cache *cache = cache_named("int");
    assert_int_equal(cache->count, 1);
    assert_int_equal(cache->bytes, 24);
    cairn_object *b = cairn_int_new(runtime, 2000);
    assert_true(address_of(b) == address);
    assert_int_equal(cache->count, 0);
    assert_int_equal(cache->hits, 1);
    cairn_decref(b);
}

static void ints_are_read_and_described(void **state)
{
    (void)state;
    const char *texts[] = {"0",
                           "-1",
                           "257",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "9223372036854775808",
                           "-9223372036854775809",
                           "18446744073709551615",
                           "18446744073709551616",
                           "10000000000000000000",
                           "-100000000000000000000000000000000000000",
                           "340282366920938463463374607431768211456"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_repr(cairn_int_parse(runtime, texts[i], SIZE_MAX), texts[i]);
    }
    assert_repr(cairn_int_parse(runtime, "+0000000000000000000000000000000000000000007", SIZE_MAX), "7");
    const char *wrong[] = {"", "-", "+", "1x", "x", "--1", " 1", "1 "};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        errno = 0;
        assert_null(cairn_int_parse(runtime, wrong[i], SIZE_MAX));
        assert_int_equal(errno, EINVAL);
        assert_non_null(strstr(cairn_runtime_error(runtime), "decimal digits"));
    }
}

static void the_longest_texts_of_ints(void **state)
{
    (void)state;
    char text[4302];
    memset(text, '9', sizeof text);
    text[4300] = 0;
    assert_repr(cairn_int_parse(runtime, text, 4300), text);
    assert_null(cairn_int_parse(runtime, text, 4301));
    uint64_t digits[225] = {0};
    digits[224] = 0x1f;
    cairn_object *huge = cairn_int_from_digits(runtime, true, digits, 225);
    size_t length = cairn_object_repr(huge, text, 30);
    assert_int_equal(length, 5 + 224 * 16);
    assert_string_equal(text, "-0x1f000000000000000000000000");
    cairn_decref(huge);
}

static void an_int_has_one_form(void **state)
{
    (void)state;
    const uint64_t digits[] = {UINT64_C(1) << 63, 0, 0};
    int64_t value;
    cairn_object *least = cairn_int_from_digits(runtime, true, digits, 3);
    assert_int_equal(cairn_int_get(least, &value), 0);
    assert_true(value == INT64_MIN);
    cairn_object *beyond = cairn_int_from_digits(runtime, false, digits, 3);
    assert_int_equal(cairn_int_get(beyond, &value), ERANGE);
    uint64_t read[3] = {7, 7, 7};
    assert_int_equal(cairn_int_digits(beyond, read, 3), 1);
    assert_true(read[0] == digits[0] && read[1] == 7);
    assert_int_equal(cairn_int_digits(least, NULL, 0), 1);
    assert_int_equal(cairn_int_sign(least), -1);
    assert_int_equal(cairn_int_sign(beyond), 1);
    assert_true(cairn_int_compare(least, beyond) < 0);
    cairn_object *zero = cairn_int_from_digits(runtime, true, digits + 1, 2);
    assert_int_equal(cairn_int_sign(zero), 0);
    assert_int_equal(cairn_int_digits(zero, read, 3), 0);
    cairn_decref(zero);
    cairn_decref(least);
    size_t cached = cache_named("int")->count;
    cairn_decref(beyond); /* blocks with digits are not kept */
    assert_int_equal(cache_named("int")->count, cached);
}

static cairn_object *int_of(const char *text)
{
    cairn_object *number = cairn_int_parse(runtime, text, SIZE_MAX);
    assert_non_null(number);
    return number;
}

typedef cairn_object *operation(cairn_runtime *of, cairn_object *a, cairn_object *b);

/* a OP b is `expected`; with digits beyond 64 bits only if the library has arithmetic for them. */
static void assert_result(operation *calculate, const char *a, const char *b, const char *expected)
{
    cairn_object *x = int_of(a), *y = int_of(b);
    int64_t value;
    cairn_object *wanted = int_of(expected);
    bool big = cairn_int_get(x, &value) || cairn_int_get(y, &value) || cairn_int_get(wanted, &value);
    cairn_decref(wanted);
    errno = 0;
    cairn_object *result = calculate(runtime, x, y);
    if (big && !cairn_int_is_unbounded()) {
        assert_null(result);
        assert_int_equal(errno, ERANGE);
        assert_non_null(strstr(cairn_runtime_error(runtime), "CAIRN_WITH_GMP"));
    } else {
        assert_repr(result, expected);
    }
    cairn_decref(x);
    cairn_decref(y);
}

static void ints_are_calculated(void **state)
{
    (void)state;
    assert_result(cairn_int_add, "2", "3", "5");
    assert_result(cairn_int_subtract, "2", "300", "-298");
    assert_result(cairn_int_multiply, "-3000", "7", "-21000");
    const char *division[][4] = {{"7", "2", "3", "1"},    {"-7", "2", "-4", "1"}, {"7", "-2", "-4", "-1"},
                                 {"-7", "-2", "3", "-1"}, {"6", "3", "2", "0"},   {"-6", "3", "-2", "0"}};
    for (size_t i = 0; i < COUNT_OF(division); i++) {
        assert_result(cairn_int_divide, division[i][0], division[i][1], division[i][2]);
        assert_result(cairn_int_modulo, division[i][0], division[i][1], division[i][3]);
    }
    assert_result(cairn_int_modulo, "-9223372036854775808", "-1", "0");
    cairn_object *a = cairn_int_new(runtime, 9), *zero = cairn_int_new(runtime, 0);
    assert_null(cairn_int_divide(runtime, a, zero));
    assert_int_equal(errno, EDOM);
    assert_null(cairn_int_modulo(runtime, a, zero));
    assert_int_equal(errno, EDOM);
    assert_repr(cairn_int_power(runtime, a, 0), "1");
    assert_repr(cairn_int_power(runtime, a, 13), "2541865828329");
    assert_repr(cairn_int_negate(runtime, a), "-9");
    assert_repr(cairn_int_negate(runtime, zero), "0");
    cairn_decref(a);
    cairn_decref(zero);
}

static void ints_beyond_64_bits_are_calculated_or_refused(void **state)
{
    (void)state;
    const char *big = "340282366920938463463374607431768211456"; /* 2^128 */
    assert_result(cairn_int_add, "9223372036854775807", "1", "9223372036854775808");
    assert_result(cairn_int_add, big, "-1", "340282366920938463463374607431768211455");
    assert_result(cairn_int_add, "-1", big, "340282366920938463463374607431768211455");
    assert_result(cairn_int_add, big, "-340282366920938463463374607431768211456", "0");
    assert_result(cairn_int_add, "0", big, big);
    assert_result(cairn_int_subtract, "-9223372036854775808", "1", "-9223372036854775809");
    assert_result(cairn_int_subtract, "1", big, "-340282366920938463463374607431768211455");
    assert_result(cairn_int_subtract, big, big, "0");
    assert_result(cairn_int_multiply, "18446744073709551616", "-18446744073709551616",
                  "-340282366920938463463374607431768211456");
    assert_result(cairn_int_multiply, big, "0", "0");
    assert_result(cairn_int_divide, "-9223372036854775808", "-1", "9223372036854775808");
    assert_result(cairn_int_divide, big, "18446744073709551616", "18446744073709551616");
    assert_result(cairn_int_divide, big, "-10000000000000000000000", "-34028236692093847");
    assert_result(cairn_int_modulo, big, "-10000000000000000000000", "-6536625392568231788544");
    assert_result(cairn_int_divide, "-340282366920938463463374607431768211456", "10",
                  "-34028236692093846346337460743176821146");
    assert_result(cairn_int_modulo, "-340282366920938463463374607431768211456", "10", "4");
    assert_result(cairn_int_divide, "5", big, "0");
    assert_result(cairn_int_divide, "-5", big, "-1");
    assert_result(cairn_int_modulo, "5", big, "5");
    assert_result(cairn_int_modulo, "-5", big, "340282366920938463463374607431768211451");
    cairn_object *two = cairn_int_new(runtime, 2);
    cairn_object *power = cairn_int_power(runtime, two, 128);
    if (cairn_int_is_unbounded()) {
        assert_repr(power, big);
    } else {
        assert_null(power);
        assert_int_equal(errno, ERANGE);
    }
    cairn_decref(two);
}

static void faults_ignored(const cairn_object_fault *fault)
{
    assert_int_equal(fault->kind, CAIRN_FAULT_TYPE);
    assert_non_null(strstr(fault->text, "an object of type int is needed"));
}

static void another_kind_is_a_fault(void **state)
{
    (void)state;
    cairn_object *text = cairn_str_new(runtime, "12", 2), *one = cairn_int_new(runtime, 1);
    cairn_object_fault_handler old = cairn_set_object_fault_handler(faults_ignored);
    int64_t value;
    assert_int_equal(cairn_int_get(text, &value), EINVAL);
    assert_null(cairn_int_add(runtime, one, text));
    assert_int_equal(errno, EINVAL);
    (void)cairn_set_object_fault_handler(old);
    cairn_decref(text);
    cairn_decref(one);
}

/* ---- float ---- */

static void floats_are_described_as_in_python(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *text;
    } rows[] = {{0.0, "0.0"},
                {-0.0, "-0.0"},
                {1.0, "1.0"},
                {0.1, "0.1"},
                {1e15, "1000000000000000.0"},
                {1e16, "1e+16"},
                {123456.789, "123456.789"},
                {1e-4, "0.0001"},
                {1e-5, "1e-05"},
                {1.5e-7, "1.5e-07"},
                {0.1 + 0.2, "0.30000000000000004"},
                {1e100, "1e+100"},
                {5e-324, "5e-324"},
                {1.7976931348623157e308, "1.7976931348623157e+308"},
                {INFINITY, "inf"},
                {-INFINITY, "-inf"},
                {NAN, "nan"},
                {9007199254740993.0, "9007199254740992.0"},
                {-2.5, "-2.5"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_repr(cairn_float_new(runtime, rows[i].value), rows[i].text);
    }
    assert_int_equal(cache_named("float")->count, 1);
}

/* ---- equality and hashes across kinds ---- */

static void assert_equal_numbers(cairn_object *a, cairn_object *b, bool expected)
{
    assert_int_equal(cairn_kinds_equal(a, b), expected);
    assert_int_equal(cairn_kinds_equal(b, a), expected);
    assert_true(!expected || hash_of(a) == hash_of(b));
    cairn_decref(a);
    cairn_decref(b);
}

static void equal_numbers_have_equal_hashes_whatever_their_kind(void **state)
{
    (void)state;
    assert_equal_numbers(cairn_int_new(runtime, 1), cairn_float_new(runtime, 1.0), true);
    assert_equal_numbers(cairn_int_new(runtime, 0), cairn_float_new(runtime, -0.0), true);
    assert_equal_numbers(cairn_int_new(runtime, -3), cairn_float_new(runtime, -3.0), true);
    assert_equal_numbers(cairn_int_new(runtime, 1), cairn_float_new(runtime, 1.5), false);
    assert_equal_numbers(cairn_int_new(runtime, (INT64_C(1) << 53) + 1), cairn_float_new(runtime, 9007199254740992.0),
                         false);
    assert_equal_numbers(cairn_int_new(runtime, INT64_MIN), cairn_float_new(runtime, -9223372036854775808.0), true);
    assert_equal_numbers(int_of("9223372036854775808"), cairn_float_new(runtime, 9223372036854775808.0), true);
    assert_equal_numbers(int_of("9223372036854775809"), cairn_float_new(runtime, 9223372036854775808.0), false);
    assert_equal_numbers(int_of("-1267650600228229401496703205376"), cairn_float_new(runtime, -0x1p100), true);
    assert_equal_numbers(int_of("10000000000000000000000"), cairn_float_new(runtime, 1e22), true);
    assert_equal_numbers(int_of("100000000000000000000000"), cairn_float_new(runtime, 1e23), false);
    assert_equal_numbers(cairn_float_new(runtime, NAN), cairn_float_new(runtime, NAN), false);
    assert_equal_numbers(cairn_float_new(runtime, INFINITY), cairn_float_new(runtime, -INFINITY), false);
    assert_equal_numbers(cairn_str_new(runtime, "ab", 2), cairn_bytes_new(runtime, "ab", 2), false);
    assert_equal_numbers(int_of("2305843009213693951"), cairn_float_new(runtime, 2305843009213693952.0), false);
    cairn_object *nan = cairn_float_new(runtime, NAN);
    assert_true(cairn_kinds_equal(nan, nan));
    cairn_decref(nan);
    for (int i = -1074; i < 1024; i++) { /* every power of two, against the int where there is one */
        cairn_object *power = cairn_float_new(runtime, ldexp(1.0, i));
        uint64_t hash, expected = UINT64_C(1) << ((i + 61 * 20) % 61);
        assert_int_equal(cairn_object_hash(power, &hash), 0);
        assert_true(hash == expected);
        if (i >= 0) {
            uint64_t digits[16] = {0};
            digits[i / 64] = UINT64_C(1) << (i % 64);
            assert_equal_numbers(cairn_int_from_digits(runtime, false, digits, 16), cairn_incref(power), true);
        }
        cairn_decref(power);
    }
}

static void the_nearest_double_of_an_int(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double value;
    } rows[] = {{"9007199254740993", 9007199254740992.0}, /* halfway: to even */
                {"9007199254740995", 9007199254740996.0},
                {"36893488147419107329", 36893488147419111424.0}, /* just above halfway, told by the last digit alone */
                {"-36893488147419107328", -36893488147419103232.0},
                {"0", 0.0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double value;
        cairn_object *number = int_of(rows[i].text);
        assert_int_equal(cairn_int_to_double(number, &value), 0);
        assert_true(value == rows[i].value);
        cairn_decref(number);
    }
    uint64_t digits[20] = {0};
    double value;
    digits[16] = 1; /* 2^1024 */
    cairn_object *huge = cairn_int_from_digits(runtime, false, digits, 17);
    assert_int_equal(cairn_int_to_double(huge, &value), ERANGE);
    cairn_object *infinite = cairn_float_new(runtime, INFINITY);
    assert_false(cairn_kinds_equal(huge, infinite));
    cairn_decref(infinite);
    cairn_decref(huge);
}

/* ---- str ---- */

static void strs_are_utf8(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t length;
    } good[] = {{"", 0},
                {"a", 1},
                {"hello, world", 12},
                {"gr\xc3\xbc\xc3\x9f", 4},
                {"\xe2\x82\xac", 1},
                {"\xf0\x9f\x98\x80!", 2},
                {"\xf4\x8f\xbf\xbf", 1},
                {"\xed\x9f\xbf\xee\x80\x80", 2}};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        cairn_object *str = cairn_str_new(runtime, good[i].text, SIZE_MAX);
        assert_non_null(str);
        assert_int_equal(cairn_str_length(str), good[i].length);
        assert_int_equal(cairn_str_size(str), strlen(good[i].text));
        assert_string_equal(cairn_str_text(str), good[i].text);
        cairn_decref(str);
    }
    const char *bad[] = {"\x80",
                         "a\xc0\x80",
                         "\xc1\xbf",
                         "\xc3",
                         "\xe0\x80\x80",
                         "\xed\xa0\x80",
                         "\xf0\x80\x80\x80",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xff",
                         "\xe2\x82",
                         "\xe2\x28\xa1",
                         "12345678\xff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        errno = 0;
        assert_null(cairn_str_new(runtime, bad[i], SIZE_MAX));
        assert_int_equal(errno, EILSEQ);
    }
    cairn_object *with_zero = cairn_str_new(runtime, "a\0b", 3);
    assert_int_equal(cairn_str_length(with_zero), 3);
    assert_repr(with_zero, "'a\\x00b'");
}

static void strs_are_read_by_code_points(void **state)
{
    (void)state;
    cairn_object *str = cairn_str_new(runtime, "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z", SIZE_MAX);
    const uint32_t points[] = {'a', 0xfc, 0x20ac, 0x1f600, 'z', UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        assert_int_equal(cairn_str_at(str, i), points[i]);
    }
    assert_int_equal(cairn_str_at(str, SIZE_MAX), UINT32_MAX);
    assert_repr(cairn_str_slice(str, 1, 3), "'\xc3\xbc\xe2\x82\xac'");
    assert_repr(cairn_str_slice(str, 3, SIZE_MAX), "'\xf0\x9f\x98\x80z'");
    assert_repr(cairn_str_slice(str, 4, 2), "''");
    cairn_object *whole = cairn_str_slice(str, 0, 5);
    assert_ptr_equal(whole, str);
    cairn_decref(whole);
    cairn_object *part = cairn_str_new(runtime, "z", 1);
    assert_int_equal(cairn_str_find(str, part, 0), 4);
    assert_int_equal(cairn_str_find(str, part, 5), SIZE_MAX);
    assert_int_equal(cairn_str_find(str, part, 6), SIZE_MAX);
    cairn_object *twice = cairn_str_concat(str, str);
    assert_int_equal(cairn_str_length(twice), 10);
    assert_int_equal(cairn_str_find(twice, part, 5), 9);
    assert_true(cairn_str_compare(str, twice) < 0);
    assert_true(cairn_str_compare(part, str) > 0);
    assert_int_equal(cairn_str_compare(str, str), 0);
    cairn_decref(twice);
    cairn_decref(part);
    cairn_decref(str);
}

static void strs_are_described_in_quotes(void **state)
{
    (void)state;
    assert_repr(cairn_str_new(runtime, "it's", SIZE_MAX), "\"it's\"");
    assert_repr(cairn_str_new(runtime, "'\"\\\n\t\r\x01\x7f\xc3\xbc", SIZE_MAX),
                "'\\'\"\\\\\\n\\t\\r\\x01\\x7f\xc3\xbc'");
    cairn_object *str = cairn_str_new(runtime, "abcdef", 6);
    char text[5] = "????";
    assert_int_equal(cairn_object_repr(str, text, 4), 8);
    assert_string_equal(text, "'ab");
    assert_int_equal(cairn_object_repr(str, NULL, 0), 8);
    cairn_decref(str);
}

static void short_strs_are_shared(void **state)
{
    (void)state;
    cairn_object *a = cairn_str_new(runtime, "q", 1), *word = cairn_str_new(runtime, "quick", 5);
    cairn_object *b = cairn_str_slice(word, 0, 1), *empty = cairn_str_slice(word, 9, 9);
    assert_ptr_equal(a, b);
    assert_true(cairn_is_immortal(a) && cairn_is_immortal(empty));
    cairn_decref(word);
}

static void hashes_of_strs_depend_on_the_seed(void **state)
{
    (void)state;
    uint64_t hashes[3];
    const uint64_t seeds[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
        options.gil_optional = true;
        cairn_runtime *other = cairn_runtime_create(&options);
        assert_int_equal(cairn_kinds_set_seed(other, seeds[i]), 0);
        cairn_object *str = cairn_str_new(other, "some text of a length", SIZE_MAX);
        assert_int_equal(cairn_object_hash(str, &hashes[i]), 0);
        assert_int_equal(cairn_kinds_set_seed(other, 3), EBUSY);
        cairn_decref(str);
        cairn_runtime_destroy(other);
    }
    assert_true(hashes[0] == hashes[1] && hashes[0] != hashes[2]);
}

static void interned_strs_are_one_object_as_long_as_one_lives(void **state)
{
    (void)state;
    cairn_object *a = cairn_str_intern(runtime, "a name", SIZE_MAX), *b = cairn_str_intern(runtime, "a name", 6);
    assert_ptr_equal(a, b);
    assert_int_equal(cairn_count(a), 2);
    assert_int_equal(cairn_str_interned_count(runtime), 1);
    cairn_object *c = cairn_str_new(runtime, "a name", 6);
    assert_ptr_not_equal(a, c);
    assert_true(cairn_kinds_equal(a, c));
    assert_false(cairn_str_is_interned(c));
    assert_int_equal(cairn_str_intern_in_place(&c), 0);
    assert_ptr_equal(a, c);
    assert_true(cairn_str_is_interned(c));
    cairn_decref(a);
    cairn_decref(b);
    cairn_decref(c);
    assert_int_equal(cairn_str_interned_count(runtime), 0);
    assert_null(cairn_str_intern(runtime, "\xff", 1));
    assert_int_equal(errno, EILSEQ);
}

/* Thousands of names that come and go, beside others that stay. */
static void the_intern_table_holds_what_lives(void **state)
{
    (void)state;
    enum { NAMES = 3000 };
    static cairn_object *names[NAMES];
    uint64_t random = test_seed();
    size_t live = 0;
    for (size_t i = 0, steps = test_scaled(60000); i < steps; i++) {
        size_t n = random_below(&random, NAMES);
        char text[24];
        (void)snprintf(text, sizeof text, "name %zu", n);
        if (!names[n]) {
            names[n] = cairn_str_intern(runtime, text, SIZE_MAX);
            live++;
        } else if (random_chance(&random, 50)) {
            cairn_object *again = cairn_str_intern(runtime, text, SIZE_MAX);
            assert_ptr_equal(again, names[n]);
            cairn_decref(again);
        } else {
            cairn_clear(&names[n]);
            live--;
        }
        assert_int_equal(cairn_str_interned_count(runtime), live);
    }
    for (size_t n = 0; n < NAMES; n++) {
        cairn_clear(&names[n]);
    }
    assert_int_equal(cairn_str_interned_count(runtime), 0);
}

/* In deferred mode a str that waits for its death must not be found again. */
static void a_dying_name_is_not_found(void **state)
{
    (void)state;
    cairn_runtime_set_deferred(runtime, true);
    cairn_object *first = cairn_str_intern(runtime, "a name", SIZE_MAX);
    cairn_decref(first);
    cairn_object *second = cairn_str_intern(runtime, "a name", SIZE_MAX);
    assert_ptr_not_equal(first, second);
    assert_int_equal(cairn_count(second), 1);
    (void)cairn_runtime_sweep(runtime, 0);
    cairn_object *third = cairn_str_intern(runtime, "a name", SIZE_MAX);
    assert_ptr_equal(second, third);
    cairn_decref(second);
    cairn_decref(third);
    cairn_runtime_set_deferred(runtime, false);
    assert_int_equal(cairn_str_interned_count(runtime), 0);
}

/* ---- bytes, none ---- */

static void bytes_hold_any_data(void **state)
{
    (void)state;
    cairn_object *a = cairn_bytes_new(runtime, "a\0'\\\xff", 5), *zeros = cairn_bytes_new(runtime, NULL, 3);
    assert_int_equal(cairn_bytes_size(a), 5);
    assert_memory_equal(cairn_bytes_data(a), "a\0'\\\xff", 6);
    cairn_object *both = cairn_bytes_concat(a, zeros);
    assert_memory_equal(cairn_bytes_data(both), "a\0'\\\xff\0\0\0", 9);
    assert_repr(cairn_bytes_slice(both, 1, 6), "b'\\x00\\'\\\\\\xff\\x00'");
    assert_repr(cairn_bytes_slice(both, 3, 2), "b''");
    cairn_object *same = cairn_bytes_slice(both, 0, 5);
    assert_true(cairn_kinds_equal(a, same));
    assert_int_equal(cairn_bytes_compare(a, same), 0);
    assert_false(cairn_kinds_equal(a, both));
    assert_true(cairn_bytes_compare(a, both) < 0 && cairn_bytes_compare(a, zeros) > 0);
    assert_true(hash_of(a) == hash_of(same));
    cairn_decref(same);
    cairn_decref(both);
    cairn_decref(a);
    cairn_decref(zeros);
    cairn_object *none = cairn_none(runtime);
    assert_true(cairn_is_immortal(none));
    assert_ptr_equal(cairn_none(runtime), none);
    assert_repr(none, "None");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ints_from_minus_5_to_256_are_shared, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dead_int_is_the_next_int, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(ints_are_read_and_described, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(the_longest_texts_of_ints, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(an_int_has_one_form, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(ints_are_calculated, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(ints_beyond_64_bits_are_calculated_or_refused, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(another_kind_is_a_fault, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(floats_are_described_as_in_python, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(equal_numbers_have_equal_hashes_whatever_their_kind, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(the_nearest_double_of_an_int, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(strs_are_utf8, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(strs_are_read_by_code_points, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(strs_are_described_in_quotes, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(short_strs_are_shared, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(hashes_of_strs_depend_on_the_seed, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(interned_strs_are_one_object_as_long_as_one_lives, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(the_intern_table_holds_what_lives, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dying_name_is_not_found, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(bytes_hold_any_data, test_runtime_start, test_runtime_end),
    };
    return cmocka_run_group_tests_name("kinds: values", tests, NULL, NULL);
}
