/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_failure.c: memory runs out in the middle of each operation of the built-in kinds. The program is linked so
 * that every request of the kinds for memory comes here (--wrap): request n is refused, with all after it, for n = 0, 1, 2
 * and so on until nothing is refused. After each refusal the object is as it was before, every structure is sound,
 * and in the end nothing is left. Requests run in the harshest surroundings: a full collection before each container,
 * caches emptied at each refusal, with and without dead objects kept for reuse.
 *
 * Behind that, a heap with a real limit. */

#include <errno.h>
#include <string.h>

#include "cairn_kinds.h"
#include "object/kinds_table.h"
#include "support/test.h"

/* ---- every request for memory ---- */

static bool refusing;
static size_t granted; /* requests still to be granted while `refusing` */
static size_t refused; /* requests since refuse_after() that were */

static void refuse_after(size_t count)
{
    refusing = true;
    granted = count;
    refused = 0;
}

static bool is_granted(cairn_runtime *runtime)
{
    if (!refusing || granted) {
        granted -= refusing;
        return true;
    }
    refused++;
    caches_empty(runtime);
    (void)runtime_error(runtime, ENOMEM, "refused by the test");
    return false;
}

cairn_object *__real_cairn_object_alloc(cairn_runtime *runtime, const cairn_type *type, size_t items);
cairn_object *__wrap_cairn_object_alloc(cairn_runtime *runtime, const cairn_type *type, size_t items);
cairn_object *__real_cairn_object_new(cairn_runtime *runtime, const cairn_type *type, size_t items);
cairn_object *__wrap_cairn_object_new(cairn_runtime *runtime, const cairn_type *type, size_t items);
void *__real_cairn_runtime_alloc(cairn_runtime *runtime, size_t size);
void *__wrap_cairn_runtime_alloc(cairn_runtime *runtime, size_t size);
void *__real_cairn_runtime_calloc(cairn_runtime *runtime, size_t count, size_t size);
void *__wrap_cairn_runtime_calloc(cairn_runtime *runtime, size_t count, size_t size);
void *__real_cairn_runtime_realloc(cairn_runtime *runtime, void *block, size_t size);
void *__wrap_cairn_runtime_realloc(cairn_runtime *runtime, void *block, size_t size);

static void collect_before(cairn_runtime *runtime, const cairn_type *type)
{
    if (cairn_type_is_container(type) && refusing) {
        (void)cairn_collect(runtime, 2);
    }
}

cairn_object *__wrap_cairn_object_alloc(cairn_runtime *runtime, const cairn_type *type, size_t items)
{
    collect_before(runtime, type);
    return is_granted(runtime) ? __real_cairn_object_alloc(runtime, type, items) : NULL;
}

cairn_object *__wrap_cairn_object_new(cairn_runtime *runtime, const cairn_type *type, size_t items)
{
    collect_before(runtime, type);
    return is_granted(runtime) ? __real_cairn_object_new(runtime, type, items) : NULL;
}

void *__wrap_cairn_runtime_alloc(cairn_runtime *runtime, size_t size)
{
    return is_granted(runtime) ? __real_cairn_runtime_alloc(runtime, size) : NULL;
}

void *__wrap_cairn_runtime_calloc(cairn_runtime *runtime, size_t count, size_t size)
{
    return is_granted(runtime) ? __real_cairn_runtime_calloc(runtime, count, size) : NULL;
}

void *__wrap_cairn_runtime_realloc(cairn_runtime *runtime, void *block, size_t size)
{
    return is_granted(runtime) ? __real_cairn_runtime_realloc(runtime, block, size) : NULL;
}

/* ---- operations ---- */

static cairn_runtime *runtime;

static cairn_object *number(int64_t value)
{
    return cairn_int_new(runtime, value);
}

static cairn_object *text(const char *bytes)
{
    return cairn_str_new(runtime, bytes, SIZE_MAX);
}

/* Makes a dict of `count` entries with strs as keys, a list or a set of `count` ints. */
static cairn_object *dict_of(int count)
{
    cairn_object *dict = cairn_dict_new(runtime);
    for (int i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "key %d", i);
        cairn_object *key = text(name), *value = number(1000 + i);
        assert_int_equal(cairn_dict_set(dict, key, value), 0);
        cairn_decref(key);
        cairn_decref(value);
    }
    return dict;
}

static cairn_object *list_of(int count)
{
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    for (int i = 0; i < count; i++) {
        cairn_object *item = number(1000 + i);
        assert_int_equal(cairn_list_append(list, item), 0);
        cairn_decref(item);
    }
    return list;
}

static cairn_object *set_of(int count)
{
    cairn_object *set = cairn_hashset_new(runtime);
    for (int i = 0; i < count; i++) {
        cairn_object *item = number(1000 + i);
        assert_int_equal(cairn_hashset_add(set, item), 0);
        cairn_decref(item);
    }
    return set;
}

static cairn_object *tuple_of_3(void)
{
    cairn_object *tuple = cairn_tuple_make(runtime, 3);
    for (size_t i = 0; i < 3; i++) {
        cairn_tuple_init(tuple, i, number((int64_t)i + 1000));
    }
    return tuple;
}

/* What an operation works on; made before requests are refused. */
static cairn_object *subject, *other;

/* 0 if there is an object, which is given up; else the errno value. */
static int made(cairn_object *object)
{
    if (!object) {
        return errno;
    }
    cairn_decref(object);
    return 0;
}

static void no_subject(void)
{
}

static void short_text(void)
{
    subject = text("gr\xc3\xbc\xc3\x9f"
                   "e");
}

static void data(void)
{
    subject = cairn_bytes_new(runtime, "data", 4);
}

static void big_int(void)
{
    subject = cairn_int_parse(runtime, "-340282366920938463463374607431768211456", SIZE_MAX);
}

static void two_big_ints(void)
{
    subject = cairn_int_parse(runtime, "340282366920938463463374607431768211456", SIZE_MAX);
    other = cairn_int_parse(runtime, "340282366920938463463374607431768206456", SIZE_MAX);
}

static void digit_and_int(void)
{
    subject = number(INT64_C(1) << 40);
    other = number(-3000);
}

/* As many interned names as the table has room for, and the name of another one. */
static void full_intern_table(void)
{
    enum { FULL = 42 };
    other = cairn_list_new(runtime, NULL, 0);
    for (int i = 0; i < FULL; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "name %d", i);
        cairn_object *str = cairn_str_intern(runtime, name, SIZE_MAX);
        assert_int_equal(cairn_list_append(other, str), 0);
        cairn_decref(str);
    }
    short_text();
}

static void interned_already(void)
{
    short_text();
    other = cairn_str_intern(runtime, cairn_str_text(subject), SIZE_MAX);
}

static void tuple(void)
{
    subject = tuple_of_3();
}

static void list_of_4(void)
{
    subject = list_of(4); /* as many as there is room for */
    other = number(5000);
}

static void dict_of_64(void)
{
    subject = dict_of(64);
}

static void set_of_64(void)
{
    subject = set_of(64);
}

static void list_of_64(void)
{
    subject = list_of(64);
    other = tuple_of_3();
}

static void empty_dict(void)
{
    subject = cairn_dict_new(runtime);
    other = text("name");
}

static void dict_of_5(void)
{
    subject = dict_of(5); /* as many as there is room for */
    other = text("name");
}

static void dict_of_3_and_int(void)
{
    subject = dict_of(3);
    other = number(5000);
}

static void dicts_of_5_and_20(void)
{
    subject = dict_of(5);
    other = dict_of(20);
}

static void sets_of_5_and_20(void)
{
    subject = set_of(5);
    other = set_of(20);
}

static void class_alone(void)
{
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Point";
    subject = cairn_class_new(runtime, &options);
    other = text("name");
}

static void instance(void)
{
    class_alone();
    cairn_object *class = subject;
    subject = cairn_instance_new(class);
    cairn_decref(class);
}

static int make_int(void)
{
    return made(number(5000));
}

static int make_big_int(void)
{
    return made(cairn_int_parse(runtime, "340282366920938463463374607431768211456", SIZE_MAX));
}

static int parse_small_int(void)
{
    return made(cairn_int_parse(runtime, "-4611686018427387904", SIZE_MAX));
}

static int parse_int_of_64_bits(void)
{
    return made(cairn_int_parse(runtime, "+9223372036854775807", SIZE_MAX));
}

static int parse_shared_int(void)
{
    return made(cairn_int_parse(runtime, "256", 3));
}

static int make_from_digits(void)
{
    const uint64_t digits[] = {1, 2, 3, 0};
    return made(cairn_int_from_digits(runtime, true, digits, COUNT_OF(digits)));
}

static int make_from_a_small_digit(void)
{
    const uint64_t digits[] = {5000, 0};
    return made(cairn_int_from_digits(runtime, false, digits, COUNT_OF(digits)));
}

static int make_float(void)
{
    return made(cairn_float_new(runtime, 0.5));
}

static int make_str(void)
{
    return made(text("some text"));
}

static int make_wide_str(void)
{
    return made(text("\xc3\xbc\xc3\xbc"));
}

static int make_char(void)
{
    return made(text("c"));
}

static int make_none(void)
{
    return made(cairn_none(runtime));
}

static int make_shared_int(void)
{
    return made(number(5));
}

static int make_bytes(void)
{
    return made(cairn_bytes_new(runtime, "data", 4));
}

static int make_empty_ones(void)
{
    int error = made(text(""));
    error = error ? error : made(cairn_bytes_new(runtime, NULL, 0));
    return error ? error : made(cairn_tuple_new(runtime, NULL, 0));
}

static int intern_names(void)
{
    enum { NAMES = 60 }; /* more than a first table holds */
    cairn_object *names[NAMES];
    int error = 0, count = 0;
    while (count < NAMES && !error) {
        char name[16];
        (void)snprintf(name, sizeof name, "name %d", count);
        names[count] = cairn_str_intern(runtime, name, SIZE_MAX);
        error = names[count] ? 0 : errno;
        count += !error;
    }
    assert_int_equal(cairn_str_interned_count(runtime), count);
    while (count) {
        cairn_decref(names[--count]);
    }
    return error;
}

static int negate(void)
{
    return made(cairn_int_negate(runtime, subject));
}

static int add_ints(void)
{
    return made(cairn_int_add(runtime, subject, subject));
}

static int multiply(void)
{
    return made(cairn_int_multiply(runtime, subject, other));
}

static int subtract_to_small(void)
{
    return made(cairn_int_subtract(runtime, subject, other));
}

static int divide_ints(void)
{
    int error = made(cairn_int_divide(runtime, subject, other));
    return error ? error : made(cairn_int_modulo(runtime, subject, other));
}

static int power_of_64_bits(void)
{
    return made(cairn_int_power(runtime, other, 5)); /* -3000 */
}

static int power_beyond(void)
{
    return made(cairn_int_power(runtime, other, 45));
}

static int intern_in_place(void)
{
    cairn_object *str = cairn_incref(subject);
    bool there = other && cairn_is_str(other);
    int error = cairn_str_intern_in_place(&str);
    assert_ptr_equal(str, there ? other : subject);
    assert_int_equal(cairn_str_is_interned(str), !error);
    cairn_decref(str);
    return error;
}

static int concat_text(void)
{
    return made(cairn_str_concat(subject, subject));
}

static int slice_text(void)
{
    return made(cairn_str_slice(subject, 1, 3));
}

static int concat_data(void)
{
    return made(cairn_bytes_concat(subject, subject));
}

static int slice_data(void)
{
    return made(cairn_bytes_slice(subject, 1, 3));
}

static int copy_tuple(void)
{
    return made(cairn_tuple_new(runtime, cairn_tuple_items(subject), 3));
}

static int concat_tuple(void)
{
    return made(cairn_tuple_concat(subject, subject));
}

static int slice_tuple(void)
{
    return made(cairn_tuple_slice(subject, 1, 3));
}

static int make_list(void)
{
    return made(cairn_list_new(runtime, cairn_tuple_items(subject), 3));
}

static int append(void)
{
    return cairn_list_append(subject, other);
}

static int insert(void)
{
    return cairn_list_insert(subject, 1, other);
}

static int reverse(void) /* needs no memory */
{
    int error = cairn_list_reverse(subject);
    return error ? error : cairn_list_reverse(subject);
}

static int extend(void)
{
    return cairn_list_extend(subject, subject);
}

static int replace(void)
{
    return cairn_list_replace(subject, 1, 60, other);
}

static int slice_list(void)
{
    return made(cairn_list_slice(subject, 1, 30));
}

static int list_to_tuple(void)
{
    return made(cairn_list_to_tuple(subject));
}

static int pop_many(void) /* needs no memory: a list that cannot shrink keeps its room */
{
    for (int i = 0; i < 60; i++) {
        cairn_decref(cairn_list_pop(subject, 0));
    }
    return cairn_list_insert(subject, 1, other);
}

/* Gives up what was popped, an int of this value. */
static void popped(cairn_object *item, int64_t expected)
{
    int64_t value;
    assert_non_null(item);
    assert_int_equal(cairn_int_get(item, &value), 0);
    assert_int_equal(value, expected);
    cairn_decref(item);
}

/* Pops and deletions need no memory either, nor does a clear. */
static int pop_from_list(void)
{
    for (size_t i = 0; i < 31; i++) {
        popped(cairn_list_pop(subject, cairn_list_size(subject) - 1), 1063 - (int64_t)i);
        assert_int_equal(cairn_list_delete(subject, 0), 0);
    }
    popped(cairn_list_pop(subject, 0), 1031);
    popped(cairn_list_pop(subject, 0), 1032);
    assert_int_equal(cairn_list_size(subject), 0);
    return cairn_list_clear(subject);
}

static int pop_from_dict(void)
{
    cairn_object *keys[64];
    cairn_object *key, *value;
    cairn_position position = {0};
    for (int i = 0; i < 64; i++) {
        assert_int_equal(cairn_dict_next(subject, &position, &keys[i], &value), 0);
        (void)cairn_incref(keys[i]);
    }
    for (int i = 0; i < 20; i++) {
        popped(cairn_dict_pop(subject, keys[i]), 1000 + i);
        assert_int_equal(cairn_dict_delete(subject, keys[20 + i]), 0);
    }
    for (int i = 63; i >= 40; i--) {
        assert_int_equal(cairn_dict_pop_last(subject, &key, &value), 0);
        assert_ptr_equal(key, keys[i]);
        cairn_decref(key);
        popped(value, 1000 + i);
    }
    assert_int_equal(cairn_dict_size(subject), 0);
    for (int i = 0; i < 64; i++) {
        cairn_decref(keys[i]);
    }
    return cairn_dict_clear(subject);
}

static int pop_from_set(void)
{
    int64_t value, sum = 0;
    for (int i = 0; i < 64; i++) {
        cairn_object *item = cairn_hashset_pop(subject);
        assert_non_null(item);
        assert_int_equal(cairn_int_get(item, &value), 0);
        assert_false(cairn_hashset_contains(subject, item));
        sum += value;
        cairn_decref(item);
    }
    assert_int_equal(sum, 64 * 1000 + 63 * 64 / 2);
    assert_int_equal(cairn_hashset_size(subject), 0);
    return cairn_hashset_clear(subject);
}

static int set_entry(void)
{
    return cairn_dict_set(subject, other, subject);
}

static int set_default(void)
{
    return made(cairn_dict_set_default(subject, other, other));
}

static int copy_dict(void)
{
    return made(cairn_dict_copy(other));
}

static int update(void)
{
    return cairn_dict_update(subject, other);
}

static int add_all(void)
{
    return made(cairn_hashset_union(subject, other));
}

static int intersect(void)
{
    return made(cairn_hashset_intersection(other, subject));
}

static int subtract(void)
{
    return made(cairn_hashset_difference(other, subject));
}

static int copy_set(void)
{
    return made(cairn_hashset_copy(other));
}

static int add_key(void)
{
    cairn_object *key = cairn_hashset_pop(other);
    int error = cairn_hashset_add(subject, key);
    if (error) { /* put back what needs no memory: the entry was the last one */
        refusing = false;
        assert_int_equal(cairn_hashset_add(other, key), 0);
    }
    cairn_decref(key);
    return error;
}

static int make_class(void)
{
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Point";
    return made(cairn_class_new(runtime, &options));
}

static int make_instance(void)
{
    return made(cairn_instance_new(subject));
}

static int make_namespace(void)
{
    return made(cairn_namespace_new(runtime));
}

static int set_attribute(void)
{
    return cairn_attribute_set(subject, other, subject);
}

static const struct scenario {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
    size_t requests; /* at the least */
} scenarios[] = {
    {"int", no_subject, make_int, 1},
    {"big int", no_subject, make_big_int, 1},
    {"parse small int", no_subject, parse_small_int, 1},
    {"parse int of 64 bits", no_subject, parse_int_of_64_bits, 1},
    {"parse shared int", no_subject, parse_shared_int, 1},
    {"from digits", no_subject, make_from_digits, 1},
    {"from a small digit", no_subject, make_from_a_small_digit, 1},
    {"float", no_subject, make_float, 1},
    {"str", no_subject, make_str, 1},
    {"wide str", no_subject, make_wide_str, 1},
    {"char", no_subject, make_char, 1},
    {"none", no_subject, make_none, 1},
    {"shared int", no_subject, make_shared_int, 1},
    {"bytes", no_subject, make_bytes, 1},
    {"empty ones", no_subject, make_empty_ones, 3},
    {"intern", no_subject, intern_names, 62},
    {"intern in place", short_text, intern_in_place, 1},
    {"intern in place, table full", full_intern_table, intern_in_place, 1},
    {"intern in place, there already", interned_already, intern_in_place, 0},
    {"negate", big_int, negate, 1},
    {"add ints", digit_and_int, add_ints, 1},
    {"multiply", digit_and_int, multiply, 1},
    {"power of 64 bits", digit_and_int, power_of_64_bits, 5},
    {"concat text", short_text, concat_text, 1},
    {"slice text", short_text, slice_text, 1},
    {"concat data", data, concat_data, 1},
    {"slice data", data, slice_data, 1},
    {"copy tuple", tuple, copy_tuple, 1},
    {"concat tuple", tuple, concat_tuple, 1},
    {"slice tuple", tuple, slice_tuple, 1},
    {"list", tuple, make_list, 2},
    {"append", list_of_4, append, 1},
    {"insert", list_of_4, insert, 1},
    {"reverse", list_of_64, reverse, 0},
    {"extend", list_of_64, extend, 1},
    {"replace", list_of_64, replace, 1},
    {"slice list", list_of_64, slice_list, 2},
    {"list to tuple", list_of_64, list_to_tuple, 1},
    {"pop", list_of_64, pop_many, 0},
    {"pops from a list", list_of_64, pop_from_list, 0},
    {"pops from a dict", dict_of_64, pop_from_dict, 0},
    {"pops from a set", set_of_64, pop_from_set, 0},
    {"first entry", empty_dict, set_entry, 1},
    {"sixth entry", dict_of_5, set_entry, 1},
    {"first key that is no str", dict_of_3_and_int, set_entry, 1},
    {"set default", dict_of_5, set_default, 1},
    {"copy dict", dicts_of_5_and_20, copy_dict, 2},
    {"update", dicts_of_5_and_20, update, 2},
    {"union", sets_of_5_and_20, add_all, 3},
    {"intersection", sets_of_5_and_20, intersect, 2},
    {"difference", sets_of_5_and_20, subtract, 2},
    {"copy set", sets_of_5_and_20, copy_set, 2},
    {"add", sets_of_5_and_20, add_key, 1},
    {"class", no_subject, make_class, 1},
    {"instance", class_alone, make_instance, 1},
    {"namespace", no_subject, make_namespace, 2},
    {"attribute of an instance", instance, set_attribute, 1},
    {"attribute of a class", class_alone, set_attribute, 1},
};

/* Where ints have no bounds. */
static const struct scenario of_big_ints[] = {
    {"subtract to a small int", two_big_ints, subtract_to_small, 2},
    {"divide", two_big_ints, divide_ints, 5},
    {"power beyond 64 bits", digit_and_int, power_beyond, 9},
};

/* ---- the proof ---- */

static void describe(char *into, size_t size)
{
    *into = 0;
    size_t used = subject ? cairn_object_repr(subject, into, size) : 0;
    if (other && used < size) {
        (void)cairn_object_repr(other, into + used, size - used);
    }
}

static void assert_sound(void)
{
    cairn_object *objects[] = {subject, other};
    for (size_t i = 0; i < 2; i++) {
        bool map = objects[i] && (cairn_is_dict(objects[i]) || cairn_is_hashset(objects[i]) ||
                                  cairn_is_class(objects[i]) || cairn_is_instance(objects[i]));
        assert_true(!map || kinds_map_check(kinds_map_of(objects[i])) == 0);
    }
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
}

static void start(size_t cache_limit)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.cache_limit = cache_limit;
    options.gil_optional = true;
    runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    assert_int_equal(cairn_kinds_set_seed(runtime, 1), 0);
    subject = other = NULL;
}

static void end(const char *name)
{
    cairn_runtime_end found;
    cairn_xdecref(subject);
    cairn_xdecref(other);
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &found), 0);
    if (found.kept_objects || found.kept_blocks) {
        fail_msg("%s: %zu objects and %zu blocks are left", name, found.kept_objects, found.kept_blocks);
    }
}

/* The same for containers made of blocks that were kept, which make no request. */
static void collect_before_each(bool wanted)
{
    runtime->hostile = wanted;
    collector_set_alarm(runtime);
    if (wanted) {
        collector_due(runtime);
    }
}

/* Runs a scenario with request n refused and all after it; true if none was. */
static bool run_refusing(const struct scenario *scenario, size_t n, size_t cache_limit)
{
    static char before[4096], after[4096];
    start(cache_limit);
    scenario->prepare();
    describe(before, sizeof before);
    refuse_after(n);
    collect_before_each(true);
    int error = scenario->run();
    collect_before_each(false);
    refusing = false;
    bool none = refused == 0;
    assert_true(error == 0 || !none);
    describe(after, sizeof after);
    assert_sound();
    if (error) {
        assert_int_equal(error, ENOMEM);
        assert_true(*cairn_runtime_error(runtime) != 0);
        if (scenario->run != update) { /* what was set stays */
            assert_string_equal(after, before);
        }
        assert_int_equal(scenario->run(), 0); /* with memory it works */
    }
    end(scenario->name);
    return none;
}

static void refuse_each_request(const struct scenario *scenario, size_t cache_limit)
{
    size_t n = 0;
    while (!run_refusing(scenario, n, cache_limit)) {
        n++;
    }
    if (cache_limit == 0 && n < scenario->requests) {
        fail_msg("%s: %zu requests were refused, not %zu", scenario->name, n, scenario->requests);
    }
}

static void every_operation_survives_every_refusal(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        refuse_each_request(&scenarios[i], 0);
        refuse_each_request(&scenarios[i], CAIRN_CACHE_LIMIT_DEFAULT);
    }
}

static void arithmetic_beyond_64_bits_survives_every_refusal(void **state)
{
    (void)state;
    if (!cairn_int_is_unbounded()) {
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(of_big_ints); i++) {
        refuse_each_request(&of_big_ints[i], 0);
        refuse_each_request(&of_big_ints[i], CAIRN_CACHE_LIMIT_DEFAULT);
    }
}

/* One object of each kind in a list that is in itself: a cycle, which the end has to find. */
static void make_garbage_of_all_kinds(void)
{
    cairn_object *list = list_of(40);
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Point";
    cairn_object *class = cairn_class_new(runtime, &options);
    cairn_object *parts[] = {tuple_of_3(),
                             dict_of(20),
                             set_of(20),
                             cairn_float_new(runtime, 0.5),
                             cairn_str_intern(runtime, "a name", SIZE_MAX),
                             cairn_bytes_new(runtime, "data", 4),
                             cairn_none(runtime),
                             cairn_instance_new(class),
                             class};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        assert_int_equal(cairn_list_append(list, parts[i]), 0);
        cairn_decref(parts[i]);
    }
    assert_int_equal(cairn_list_append(list, list), 0);
    cairn_decref(list);
}

static void the_end_needs_no_memory(void **state)
{
    (void)state;
    const size_t limits[] = {0, CAIRN_CACHE_LIMIT_DEFAULT};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        start(limits[i]);
        make_garbage_of_all_kinds();
        refuse_after(0);
        cairn_runtime_end found;
        assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &found), 0);
        refusing = false;
        assert_true(found.collected > 0);
        assert_int_equal(found.kept_objects, 0);
        assert_int_equal(found.kept_blocks, 0);
        assert_int_equal(found.mapped_bytes, found.returned_bytes);
    }
}

static void the_state_of_the_kinds_needs_memory(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    refuse_after(0);
    assert_null(cairn_int_new(runtime, 1));
    assert_int_equal(errno, ENOMEM);
    assert_null(cairn_dict_new(runtime));
    assert_int_equal(cairn_kinds_set_seed(runtime, 1), ENOMEM);
    refusing = false;
    subject = other = NULL;
    end("state");
}

/* ---- a real limit ---- */

static size_t held(void)
{
    cairn_stats stats;
    cairn_heap_stats(cairn_runtime_heap(runtime), &stats);
    return stats.held_bytes;
}

static bool count_kept(const cairn_cache *cache, void *arg)
{
    *(size_t *)arg += cache->bytes;
    return true;
}

static size_t kept(void)
{
    size_t bytes = 0;
    (void)cairn_runtime_visit_caches(runtime, count_kept, &bytes);
    return bytes;
}

/* Appends dicts to a list until that is refused; returns how many. */
static size_t fill(cairn_object *list)
{
    for (size_t count = 0;; count++) {
        cairn_object *dict = cairn_dict_new(runtime), *value = dict ? cairn_float_new(runtime, 0.5) : NULL;
        cairn_object *key = value ? cairn_int_new(runtime, (int64_t)count) : NULL;
        int error = key ? cairn_dict_set(dict, key, value) : ENOMEM;
        error = error ? error : cairn_list_append(list, dict);
        cairn_xdecref(dict);
        cairn_xdecref(key);
        cairn_xdecref(value);
        if (error) {
            assert_int_equal(error, ENOMEM);
            return count;
        }
    }
}

static void what_is_kept_for_reuse_goes_before_a_request_is_refused(void **state)
{
    (void)state;
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    heap.limit = MIB(2);
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.heap = &heap;
    runtime = cairn_runtime_create(&options);
    subject = other = NULL;
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    size_t first = fill(list);
    assert_true(first > 1000);
    assert_true(held() <= heap.limit);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cairn_list_clear(list), 0);
        assert_true(kept() > KIB(100)); /* floats, dicts, key tables */
        assert_true(fill(list) >= first);
        assert_true(kept() < KIB(2)); /* only what died after the last refusal */
        assert_true(held() <= heap.limit);
        assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    }
    cairn_decref(list);
    (void)cairn_object_trim(runtime);
    assert_int_equal(kept(), 0);
    end("limit");
}

static void the_option_bounds_all_caches_together(void **state)
{
    (void)state;
    const size_t limits[] = {0, 1000, 10000};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        start(limits[i]);
        cairn_object *list = list_of(3000);
        for (int k = 0; k < 1000; k++) {
            cairn_object *dict = dict_of(1);
            assert_int_equal(cairn_list_append(list, dict), 0);
            cairn_decref(dict);
        }
        cairn_decref(list);
        assert_true(kept() <= limits[i]);
        assert_true(kept() + 200 > limits[i]);
        cairn_runtime_stats stats;
        cairn_runtime_get_stats(runtime, &stats);
        assert_int_equal(stats.cached_bytes, kept());
        assert_true(stats.cached_peak <= limits[i]);
        assert_int_equal(cairn_collect(runtime, 2), 0); /* a full collection empties them */
        assert_int_equal(kept(), 0);
        end("bound");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_survives_every_refusal),
        cmocka_unit_test(arithmetic_beyond_64_bits_survives_every_refusal),
        cmocka_unit_test(the_end_needs_no_memory),
        cmocka_unit_test(the_state_of_the_kinds_needs_memory),
        cmocka_unit_test(what_is_kept_for_reuse_goes_before_a_request_is_refused),
        cmocka_unit_test(the_option_bounds_all_caches_together),
    };
    return cmocka_run_group_tests_name("kinds: failure", tests, NULL, NULL);
}
