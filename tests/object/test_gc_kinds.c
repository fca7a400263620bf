/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_gc_kinds.c: CPython's own tests of cycles through its built-in types, on the built-in kinds, with the same
 * counts; what is tracked; and the deep structures that must die without recursion. */

#include <stdio.h>
#include <string.h>

#include "cairn_kinds.h"
#include "support/test.h"

static cairn_runtime *runtime;

static int setup(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    if (runtime) {
        cairn_collector_disable(runtime);
    }
    return runtime ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cairn_runtime_end end;
    size_t faults = cairn_runtime_check(runtime, stderr);
    int error = cairn_runtime_destroy_checked(runtime, stderr, &end);
    return faults == 0 && error == 0 && end.kept_objects == 0 && end.kept_blocks == 0 ? 0 : -1;
}

static cairn_object *there(cairn_object *object)
{
    require(object != NULL);
    return object;
}

static cairn_object *list(void)
{
    return there(cairn_list_new(runtime, NULL, 0));
}

static cairn_object *dict(void)
{
    return there(cairn_dict_new(runtime));
}

static cairn_object *str(const char *text)
{
    return there(cairn_str_new(runtime, text, strlen(text)));
}

static cairn_object *integer(int64_t value)
{
    return there(cairn_int_new(runtime, value));
}

static cairn_object *class_named(const char *name, bool weak, void (*finalize)(cairn_object *))
{
    cairn_class_options options = CAIRN_CLASS_OPTIONS_INIT;
    options.name = name;
    options.weak = weak;
    options.finalize = finalize;
    return there(cairn_class_new(runtime, &options));
}

/* Appends, taking the item over. */
static void append(cairn_object *to, cairn_object *item)
{
    require(cairn_list_append(to, item) == 0);
    cairn_decref(item);
}

/* Sets, taking key and value over. */
static void set(cairn_object *to, cairn_object *key, cairn_object *value)
{
    require(cairn_dict_set(to, key, value) == 0);
    cairn_decref(key);
    cairn_decref(value);
}

static void set_attribute(cairn_object *holder, const char *name, cairn_object *value)
{
    cairn_object *key = str(name);
    require(cairn_attribute_set(holder, key, value) == 0);
    cairn_decref(key);
}

static ptrdiff_t found(void)
{
    return cairn_collect(runtime, 2);
}

/* ---- counts ---- */

static void test_list(void **state)
{
    (void)state;
    cairn_object *l = list();
    append(l, cairn_incref(l));
    assert_int_equal(found(), 0);
    cairn_decref(l);
    assert_int_equal(found(), 1);
}

static void test_dict(void **state)
{
    (void)state;
    cairn_object *d = dict();
    set(d, integer(1), cairn_incref(d));
    assert_int_equal(found(), 0);
    cairn_decref(d);
    assert_int_equal(found(), 1);
}

static void test_tuple(void **state)
{
    (void)state;
    cairn_object *l = list();
    cairn_object *t = there(cairn_tuple_new(runtime, &l, 1));
    append(l, t);
    assert_int_equal(found(), 0);
    cairn_decref(l);
    assert_int_equal(found(), 2);
}

static void test_class(void **state)
{
    (void)state;
    cairn_object *a = class_named("A", false, NULL);
    set_attribute(a, "a", a);
    found();
    cairn_decref(a);
    assert_true(found() > 0);
}

/* An instance has its attributes in itself: one object, where CPython before 3.13 found the instance and its dict. */
static void test_instance(void **state)
{
    (void)state;
    cairn_object *class_object = class_named("A", false, NULL);
    cairn_object *a = there(cairn_instance_new(class_object));
    set_attribute(a, "a", a);
    assert_int_equal(found(), 0);
    cairn_decref(a);
    assert_int_equal(found(), 1);
    cairn_decref(class_object);
}

/* The instance and a dict of its own: two. */
static void test_instance_with_a_dict(void **state)
{
    (void)state;
    cairn_object *class_object = class_named("A", false, NULL);
    cairn_object *a = there(cairn_instance_new(class_object));
    cairn_object *d = dict();
    set(d, str("a"), cairn_incref(a));
    set_attribute(a, "d", d);
    cairn_decref(d);
    cairn_decref(a);
    assert_int_equal(found(), 2);
    cairn_decref(class_object);
}

static void test_new_class_and_its_instance(void **state)
{
    (void)state;
    cairn_object *class_object = class_named("A", false, NULL);
    cairn_object *a = there(cairn_instance_new(class_object));
    set_attribute(class_object, "a", a);
    cairn_decref(a);
    cairn_decref(class_object);
    assert_int_equal(found(), 2);
}

static void test_set(void **state)
{
    (void)state;
    cairn_object *class_object = class_named("A", false, NULL);
    cairn_object *a = there(cairn_instance_new(class_object));
    cairn_object *s = there(cairn_hashset_new(runtime));
    require(cairn_hashset_add(s, a) == 0);
    set_attribute(a, "s", s);
    cairn_decref(a);
    cairn_decref(s);
    assert_int_equal(found(), 2);
    cairn_decref(class_object);
}

static void test_saveall(void **state)
{
    (void)state;
    cairn_object *l = list();
    append(l, cairn_incref(l));
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_SAVEALL);
    cairn_decref(l);
    assert_int_equal(found(), 1);
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    assert_ptr_equal(cairn_collector_garbage_at(runtime, 0), l);
    cairn_collector_set_debug(runtime, 0);
    cairn_collector_garbage_clear(runtime);
    assert_int_equal(found(), 1);
}

/* ---- what is tracked ---- */

static bool tracked(cairn_object *object)
{
    bool is = cairn_object_is_tracked(object);
    cairn_decref(object);
    return is;
}

static cairn_object *pair(cairn_object *a, cairn_object *b)
{
    cairn_object *items[2] = {a, b};
    cairn_object *made = there(cairn_tuple_new(runtime, items, 2));
    cairn_decref(a);
    cairn_decref(b);
    return made;
}

static void test_is_tracked(void **state)
{
    (void)state;
    assert_false(tracked(integer(1)));
    assert_false(tracked(integer(INT64_C(1) << 40)));
    assert_false(tracked(there(cairn_float_new(runtime, 1.5))));
    assert_false(tracked(str("a")));
    assert_false(tracked(there(cairn_bytes_new(runtime, "a", 1))));
    assert_false(tracked(there(cairn_tuple_new(runtime, NULL, 0))));
    assert_false(tracked(dict()));
    assert_true(tracked(list()));
    assert_true(tracked(there(cairn_hashset_new(runtime))));
    cairn_object *d = dict();
    set(d, str("a"), integer(1));
    assert_false(cairn_object_is_tracked(d));
    set(d, str("b"), list());
    assert_true(tracked(d));
}

static void test_track_literals_of_tuples(void **state)
{
    (void)state;
    cairn_object *atoms = pair(integer(1), str("a"));
    cairn_object *nested = pair(pair(integer(1), integer(2)), str("a"));
    cairn_object *with_list = pair(integer(1), list());
    assert_true(cairn_object_is_tracked(with_list));
    for (int i = 0; i < 3; i++) { /* one level at a collection, at the least */
        found();
    }
    assert_false(cairn_object_is_tracked(atoms));
    assert_false(cairn_object_is_tracked(nested));
    assert_true(cairn_object_is_tracked(with_list));
    cairn_decref(atoms);
    cairn_decref(nested);
    cairn_decref(with_list);
}

/* ---- depth ---- */

enum { DEEP = 1000000 };

static void deep_tuples_lists_and_instances_die(void **state)
{
    (void)state;
    size_t depth = test_scaled(DEEP);
    cairn_object *class_object = class_named("A", false, NULL);
    cairn_object *name = str("next");
    for (int kind = 0; kind < 4; kind++) {
        cairn_object *head = list();
        for (size_t i = 0; i < depth; i++) {
            cairn_object *next;
            if (kind == 0) {
                next = there(cairn_tuple_new(runtime, &head, 1));
            } else if (kind == 1) {
                next = there(cairn_list_new(runtime, &head, 1));
            } else if (kind == 2) {
                next = there(cairn_instance_new(class_object));
                require(cairn_attribute_set(next, name, head) == 0);
            } else {
                next = dict();
                require(cairn_dict_set(next, name, head) == 0);
            }
            cairn_decref(head);
            head = next;
        }
        cairn_decref(head);
    }
    cairn_decref(name);
    cairn_decref(class_object);
    assert_int_equal(found(), 0);
}

/* ---- finalizers and weak references of instances ---- */

static unsigned finalized;

static void count_finalizer(cairn_object *self)
{
    (void)self;
    finalized++;
}

static void a_cycle_of_instances_with_finalizers_dies(void **state)
{
    (void)state;
    cairn_object *class_object = class_named("A", true, count_finalizer);
    cairn_object *a = there(cairn_instance_new(class_object));
    cairn_object *b = there(cairn_instance_new(class_object));
    cairn_weak *weak = cairn_weak_new(a, NULL, NULL);
    require(weak != NULL);
    set_attribute(a, "b", b);
    set_attribute(b, "a", a);
    cairn_decref(a);
    cairn_decref(b);
    finalized = 0;
    assert_int_equal(found(), 2);
    assert_int_equal(finalized, 2);
    assert_true(cairn_weak_is_dead(weak));
    cairn_decref(&weak->object);
    cairn_decref(class_object);
}

static void a_full_collection_empties_the_caches_of_kinds(void **state)
{
    (void)state;
    cairn_runtime_stats stats;
    for (int i = 0; i < 50; i++) {
        cairn_decref(pair(integer(1000 + i), there(cairn_float_new(runtime, i))));
        cairn_decref(list());
        cairn_decref(dict());
    }
    cairn_runtime_get_stats(runtime, &stats);
    assert_true(stats.cached_bytes > 0);
    found();
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.cached_bytes, 0);
}

int main(void)
{
#define KIND_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        KIND_TEST(test_list),
        KIND_TEST(test_dict),
        KIND_TEST(test_tuple),
        KIND_TEST(test_class),
        KIND_TEST(test_instance),
        KIND_TEST(test_instance_with_a_dict),
        KIND_TEST(test_new_class_and_its_instance),
        KIND_TEST(test_set),
        KIND_TEST(test_saveall),
        KIND_TEST(test_is_tracked),
        KIND_TEST(test_track_literals_of_tuples),
        KIND_TEST(deep_tuples_lists_and_instances_die),
        KIND_TEST(a_cycle_of_instances_with_finalizers_dies),
        KIND_TEST(a_full_collection_empties_the_caches_of_kinds),
    };
    return cmocka_run_group_tests_name("cycles through the built-in kinds", tests, NULL, NULL);
}
