/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_instances.c: classes, their instances and attributes, namespaces: look-up through bases, finalizers, weak
 * references, cycles, and a class that dies with its last instance. */

#include <errno.h>
#include <string.h>

#include "support/kinds.h"
#include "support/os_fake.h"

static cairn_object *class_named(const char *name, cairn_object *base)
{
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = name;
    options.base = base;
    cairn_object *class = cairn_class_new(runtime, &options);
    assert_non_null(class);
    return class;
}

static void put(cairn_object *holder, const char *name, int64_t value)
{
    cairn_object *key = cairn_str_intern(runtime, name, SIZE_MAX), *number = cairn_int_new(runtime, value);
    assert_int_equal(cairn_attribute_set(holder, key, number), 0);
    cairn_decref(key);
    cairn_decref(number);
}

/* The value of an attribute; -1: there is none. */
static int64_t get(cairn_object *holder, const char *name)
{
    cairn_object *key = cairn_str_intern(runtime, name, SIZE_MAX);
    errno = 0;
    cairn_object *value = cairn_attribute_get(holder, key);
    int error = errno;
    cairn_decref(key);
    if (!value) {
        assert_int_equal(error, ENOENT);
        return -1;
    }
    int64_t number;
    assert_int_equal(cairn_int_get(value, &number), 0);
    cairn_decref(value);
    return number;
}

static void attributes_are_found_in_instance_class_and_bases(void **state)
{
    (void)state;
    cairn_object *base = class_named("Base", NULL), *class = class_named("Point", base);
    cairn_object *point = cairn_instance_new(class);
    put(base, "a", 1);
    put(class, "b", 2);
    put(point, "c", 3);
    assert_int_equal(get(point, "a"), 1);
    assert_int_equal(get(point, "b"), 2);
    assert_int_equal(get(point, "c"), 3);
    assert_int_equal(get(point, "d"), -1);
    assert_int_equal(get(class, "a"), 1);
    assert_int_equal(get(class, "c"), -1);
    put(point, "a", 10);
    assert_int_equal(get(point, "a"), 10);
    assert_int_equal(get(base, "a"), 1);
    assert_int_equal(cairn_attribute_count(point), 2);
    cairn_object *name = cairn_str_new(runtime, "a", 1), *own;
    assert_non_null(own = cairn_attribute_own(point, name));
    cairn_decref(own);
    assert_null(cairn_attribute_own(class, name));
    assert_int_equal(cairn_attribute_delete(point, name), 0);
    assert_int_equal(cairn_attribute_delete(point, name), ENOENT);
    assert_int_equal(get(point, "a"), 1);
    assert_true(cairn_is_instance(point) && !cairn_is_instance(class));
    assert_true(cairn_instance_is_of(point, class) && cairn_instance_is_of(point, base));
    assert_ptr_equal(cairn_instance_class(point), class);
    assert_ptr_equal(cairn_class_base(class), base);
    assert_string_equal(cairn_class_name(class), "Point");
    cairn_decref(base);
    cairn_decref(class);
    cairn_decref(point);
}

static void walks_and_descriptions(void **state)
{
    (void)state;
    cairn_object *class = class_named("Point", NULL), *point = cairn_instance_new(class);
    char text[64], expected[64];
    (void)cairn_object_repr(class, text, sizeof text);
    assert_string_equal(text, "<class 'Point'>");
    (void)cairn_object_repr(point, text, sizeof text);
    (void)snprintf(expected, sizeof expected, "<Point object at %p>", (void *)point);
    assert_string_equal(text, expected);
    const char *names[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++) {
        put(point, names[i], (int64_t)i);
    }
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *name, *value;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cairn_attribute_next(point, &position, &name, &value), 0);
        assert_string_equal(cairn_str_text(name), names[i]);
    }
    assert_int_equal(cairn_attribute_next(point, &position, &name, &value), ENOENT);
    put(point, "w", 4);
    assert_int_equal(cairn_attribute_next(point, &position, &name, &value), EBUSY);
    assert_string_equal(cairn_runtime_error(runtime), "attributes changed during iteration");
    cairn_decref(class);
    cairn_decref(point);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    assert_null(cairn_class_new(runtime, &options));
    assert_int_equal(errno, EINVAL);
    assert_string_equal(cairn_runtime_error(runtime), "a class needs a name");
    options.name = "C";
    options.base = cairn_none(runtime);
    assert_null(cairn_class_new(runtime, &options));
    assert_int_equal(errno, EINVAL);
    options.base = NULL;
    options.struct_size = 1;
    assert_null(cairn_class_new(runtime, &options));
    assert_int_equal(errno, EINVAL);
}

/* ---- life and death ---- */

static unsigned finalized;

static void count_finalized(cairn_object *instance)
{
    (void)instance;
    finalized++;
}

static bool always_equal(cairn_object *a, cairn_object *b)
{
    (void)a;
    (void)b;
    return true;
}

static void functions_of_a_class_are_those_of_its_base(void **state)
{
    (void)state;
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Base";
    options.weak = true;
    options.finalize = count_finalized;
    options.equal = always_equal;
    cairn_object *base = cairn_class_new(runtime, &options);
    cairn_object *class = class_named("Derived", base);
    cairn_object *a = cairn_instance_new(class), *b = cairn_instance_new(class);
    uint64_t hash;
    assert_true(cairn_kinds_equal(a, b));
    assert_int_equal(cairn_object_hash(a, &hash), EINVAL);
    cairn_weak *weak = cairn_weak_new(a, NULL, NULL);
    assert_non_null(weak);
    finalized = 0;
    cairn_decref(a);
    assert_int_equal(finalized, 1);
    assert_true(cairn_weak_is_dead(weak));
    cairn_decref(b);
    assert_int_equal(finalized, 2);
    cairn_decref(&weak->object);
    cairn_decref(base);
    cairn_decref(class);
}

static void a_class_dies_with_its_last_instance(void **state)
{
    (void)state;
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Brief";
    options.finalize = count_finalized;
    for (int i = 0; i < 1000; i++) {
        cairn_object *class = cairn_class_new(runtime, &options);
        cairn_object *a = cairn_instance_new(class), *b = cairn_instance_new(class);
        put(class, "n", i);
        put(b, "x", i);
        cairn_decref(class);
        cairn_decref(a);
        assert_int_equal(get(b, "n"), i);
        cairn_decref(b);
    }
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.containers_tracked, 0);
}

static uint64_t died_before_class;

static void note_deaths(cairn_object *witness)
{
    (void)witness;
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    died_before_class = stats.objects_died;
}

/* The type of a dying instance lies in its class: the class must not die before the instance has. */
static void the_class_of_the_last_instance_dies_after_it(void **state)
{
    (void)state;
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Witness";
    options.finalize = note_deaths;
    cairn_object *witness_class = cairn_class_new(runtime, &options), *witness = cairn_instance_new(witness_class);
    cairn_object *class = class_named("Brief", NULL), *last = cairn_instance_new(class);
    cairn_object *name = cairn_str_intern(runtime, "witness", SIZE_MAX);
    assert_int_equal(cairn_attribute_set(class, name, witness), 0);
    cairn_object *given_up[] = {witness_class, witness, class};
    for (size_t i = 0; i < COUNT_OF(given_up); i++) {
        cairn_decref(given_up[i]);
    }
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    died_before_class = 0;
    cairn_decref(last);
    assert_int_equal(died_before_class, stats.objects_died + 1);
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.containers_tracked, 0);
    cairn_decref(name);
}

static void cycles_of_instances_and_classes_are_collected(void **state)
{
    (void)state;
    cairn_object *name = cairn_str_intern(runtime, "friend", SIZE_MAX);
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Node";
    options.finalize = count_finalized;
    cairn_object *class = cairn_class_new(runtime, &options);
    cairn_object *a = cairn_instance_new(class), *b = cairn_instance_new(class);
    assert_int_equal(cairn_attribute_set(a, name, b), 0);
    assert_int_equal(cairn_attribute_set(b, name, a), 0);
    assert_int_equal(cairn_attribute_set(class, name, a), 0); /* the class, too */
    finalized = 0;
    cairn_decref(a);
    cairn_decref(b);
    assert_int_equal(cairn_collect(runtime, 2), 0);
    cairn_decref(class);
    assert_int_equal(cairn_collect(runtime, 2), 3);
    assert_int_equal(finalized, 2);
    cairn_decref(name);
}

static void instances_get_the_room_that_their_class_expects(void **state)
{
    (void)state;
    cairn_object *class = class_named("Point", NULL), *first = cairn_instance_new(class);
    put(first, "x", 1);
    put(first, "y", 2);
    cairn_stats before, after;
    cairn_heap_stats(cairn_runtime_heap(runtime), &before);
    cairn_object *second = cairn_instance_new(class);
    put(second, "x", 300); /* one int, one instance, one key table */
    put(second, "y", 2);
    cairn_heap_stats(cairn_runtime_heap(runtime), &after);
    assert_int_equal(after.live_bytes - before.live_bytes, 24 + 32 + 64);
    put(second, "z", 3);
    assert_int_equal(get(second, "x"), 300);
    assert_int_equal(get(second, "z"), 3);
    cairn_object *third = cairn_instance_new(class);
    put(third, "x", 3);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    size_t cached = stats.cached_bytes;
    cairn_decref(third); /* its key table is not of the shape that is kept */
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.cached_bytes, cached);
    cairn_decref(first);
    cairn_decref(second);
    cairn_decref(class);
}

static void namespaces_have_attributes_and_weak_references(void **state)
{
    (void)state;
    cairn_object *a = cairn_namespace_new(runtime), *b = cairn_namespace_new(runtime);
    assert_ptr_equal(cairn_instance_class(a), cairn_instance_class(b));
    put(a, "x", 1);
    assert_int_equal(get(a, "x"), 1);
    assert_int_equal(get(b, "x"), -1);
    cairn_weak *weak = cairn_weak_new(a, NULL, NULL);
    cairn_decref(a);
    assert_true(cairn_weak_is_dead(weak));
    cairn_decref(&weak->object);
    cairn_decref(b);
}

/* ---- the end ---- */

static void make_all_kinds(cairn_object *instance)
{
    cairn_object *name = cairn_str_intern(runtime, "made at the end", SIZE_MAX), *dict = cairn_dict_new(runtime);
    cairn_object *old = cairn_str_intern(runtime, "made before", SIZE_MAX);
    assert_int_equal(cairn_dict_set(dict, name, instance), 0);
    assert_int_equal(cairn_attribute_delete(instance, old),
                     0); /* the last reference to an interned str, and to a list */
    cairn_decref(old);
    cairn_decref(name);
    cairn_decref(dict);
    finalized++;
}

static void the_last_finalizers_may_use_the_kinds(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = "Kept";
    options.finalize = make_all_kinds;
    cairn_object *class = cairn_class_new(runtime, &options), *kept = cairn_instance_new(class);
    cairn_object *name = cairn_str_intern(runtime, "made before", SIZE_MAX), *list = cairn_list_new(runtime, NULL, 0);
    assert_int_equal(cairn_attribute_set(kept, name, list), 0);
    cairn_decref(name);
    cairn_decref(list);
    cairn_decref(class);
    finalized = 0;
    cairn_runtime_end found; /* `kept` is not given up */
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &found), 0);
    assert_int_equal(finalized, 1);
    assert_int_equal(found.kept_objects, 2); /* it and its class */
    assert_int_equal(found.kept_blocks, 1);  /* its key table */
    assert_int_equal(found.mapped_bytes, found.returned_bytes);
}

/* An object of each kind, of sizes that change from one runtime to the next: strs interned and not, large blocks, tables
 * that grow; what is in the list stays there. */
static void put_all_kinds(cairn_object *list, size_t i)
{
    char text[24];
    int length = snprintf(text, sizeof text, "number %zu", i);
    cairn_object *name = cairn_str_new(runtime, text, (size_t)length);
    cairn_object *point = class_named("Point", NULL);
    cairn_object *ints[3] = {cairn_int_new(runtime, 5), cairn_int_new(runtime, (int64_t)i + 1000),
                             cairn_int_parse(runtime, "340282366920938463463374607431768211456", SIZE_MAX)};
    cairn_object *parts[] = {cairn_tuple_new(runtime, ints, 3),
                             cairn_dict_new(runtime),
                             cairn_hashset_new(runtime),
                             cairn_float_new(runtime, (double)i),
                             cairn_str_intern(runtime, text, (size_t)length),
                             cairn_bytes_new(runtime, text, (size_t)length),
                             cairn_bytes_new(runtime, NULL, i % 100 ? 0 : KIB(300)),
                             cairn_none(runtime),
                             cairn_instance_new(point),
                             cairn_namespace_new(runtime),
                             point};
    for (int64_t k = 0; k < (int64_t)(i % 20); k++) {
        cairn_object *number = cairn_int_new(runtime, k * 100);
        assert_int_equal(cairn_dict_set(parts[1], number, list), 0);
        assert_int_equal(cairn_hashset_add(parts[2], number), 0);
        cairn_decref(number);
    }
    put(parts[8], "x", (int64_t)i);
    put(parts[9], text, (int64_t)i);
    assert_int_equal(cairn_attribute_set(parts[8], name, list), 0);
    for (size_t k = 0; k < COUNT_OF(parts); k++) {
        assert_int_equal(cairn_list_append(list, parts[k]), 0);
        cairn_decref(parts[k]);
    }
    for (size_t k = 0; k < COUNT_OF(ints); k++) {
        cairn_decref(ints[k]);
    }
    cairn_decref(name);
}

/* Every second runtime has garbage in the end, every fifth what the program keeps. */
static void one_runtime(size_t i)
{
    runtime = cairn_runtime_create(NULL);
    assert_non_null(runtime);
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    put_all_kinds(list, i);
    assert_true(os_fake_committed_bytes() > 0 && os_fake_committed_bytes() <= os_fake_reserved_bytes());
    bool keeps = i % 5 == 0;
    if (!keeps) {
        if (i % 2) {
            assert_int_equal(cairn_list_append(list, list), 0);
        }
        cairn_decref(list);
    }
    cairn_runtime_end found;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &found), 0);
    assert_int_equal(found.kept_objects > 0, keeps);
    assert_true(keeps || found.kept_blocks == 0);
    assert_int_equal(found.mapped_bytes, found.returned_bytes);
}

static void runtimes_start_and_end_10000_times_with_every_kind(void **state)
{
    (void)state;
    size_t ranges = os_fake_reserved_ranges();
    size_t reserved = os_fake_reserved_bytes(), committed = os_fake_committed_bytes();
    for (size_t i = 0, times = test_scaled(10000); i < times; i++) {
        one_runtime(i);
        assert_int_equal(os_fake_reserved_bytes(), reserved);
        assert_int_equal(os_fake_committed_bytes(), committed);
        assert_int_equal(os_fake_reserved_ranges(), ranges);
    }
    assert_int_equal(os_fake_faults(), 0);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(attributes_are_found_in_instance_class_and_bases, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(walks_and_descriptions, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(wrong_options_are_refused, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(functions_of_a_class_are_those_of_its_base, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(a_class_dies_with_its_last_instance, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(the_class_of_the_last_instance_dies_after_it, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(cycles_of_instances_and_classes_are_collected, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(instances_get_the_room_that_their_class_expects, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(namespaces_have_attributes_and_weak_references, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test(the_last_finalizers_may_use_the_kinds),
        cmocka_unit_test(runtimes_start_and_end_10000_times_with_every_kind),
    };
    return cmocka_run_group_tests_name("kinds: instances", tests, NULL, NULL);
}
