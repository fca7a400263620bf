/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_tables.c: dicts and sets: entries, order, walks, tracking, growth, what is kept for reuse, and keys whose
 * comparison changes the dict. */

#include <errno.h>
#include <string.h>

#include "object/kinds_table.h"
#include "support/kinds.h"

static cairn_object *name(const char *text)
{
    cairn_object *object = cairn_str_new(runtime, text, SIZE_MAX);
    assert_non_null(object);
    return object;
}

/* Sets dict[key] = value; takes both references over. */
static void put(cairn_object *dict, cairn_object *key, cairn_object *value)
{
    assert_int_equal(cairn_dict_set(dict, key, value), 0);
    assert_int_equal(kinds_map_check(kinds_map_of(dict)), 0);
    cairn_decref(key);
    cairn_decref(value);
}

static void add(cairn_object *set, cairn_object *key)
{
    assert_int_equal(cairn_hashset_add(set, key), 0);
    assert_int_equal(kinds_map_check(kinds_map_of(set)), 0);
    cairn_decref(key);
}

static const cairn_cache *sought;

static bool is_sought(const cairn_cache *cache, void *arg)
{
    sought = strcmp(cache->name, arg) == 0 ? cache : sought;
    return true;
}

static const cairn_cache *cache_named(const char *of)
{
    sought = NULL;
    (void)cairn_runtime_visit_caches(runtime, is_sought, (void *)(uintptr_t)of);
    assert_non_null(sought);
    return sought;
}

/* ---- dicts ---- */

static void dicts_keep_the_order_of_insertion(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime);
    put(dict, name("one"), new_int(1));
    put(dict, name("two"), new_int(2));
    put(dict, name("three"), new_int(3));
    put(dict, name("one"), new_int(11));
    assert_text(dict, "{'one': 11, 'two': 2, 'three': 3}");
    cairn_object *two = name("two"), *four = name("four");
    assert_int_equal(cairn_dict_delete(dict, two), 0);
    assert_int_equal(cairn_dict_delete(dict, two), ENOENT);
    put(dict, cairn_incref(two), new_int(22));
    assert_text(dict, "{'one': 11, 'three': 3, 'two': 22}");
    assert_int_equal(cairn_dict_size(dict), 3);
    assert_repr(cairn_dict_get(dict, two), "22");
    assert_true(cairn_dict_contains(dict, two));
    errno = 0;
    assert_null(cairn_dict_get(dict, four));
    assert_int_equal(errno, ENOENT);
    assert_repr(cairn_dict_pop(dict, two), "22");
    assert_null(cairn_dict_pop(dict, two));
    cairn_object *value = new_int(4), *other = new_int(5);
    assert_repr(cairn_dict_set_default(dict, four, value), "4");
    assert_repr(cairn_dict_set_default(dict, four, other), "4");
    cairn_object *last_key, *last_value;
    assert_int_equal(cairn_dict_pop_last(dict, &last_key, &last_value), 0);
    assert_repr(last_key, "'four'");
    assert_repr(last_value, "4");
    assert_text(dict, "{'one': 11, 'three': 3}");
    assert_int_equal(cairn_dict_clear(dict), 0);
    assert_int_equal(cairn_dict_pop_last(dict, &last_key, &last_value), ENOENT);
    assert_text(dict, "{}");
    cairn_decref(dict);
    cairn_decref(two);
    cairn_decref(four);
}

static void keys_of_all_kinds_live_together(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime);
    put(dict, name("a"), new_int(1)); /* strs alone: entries without hashes */
    assert_false(kinds_map_of(dict)->table->hashes);
    put(dict, new_int(1), name("int"));
    assert_true(kinds_map_of(dict)->table->hashes);
    put(dict, cairn_float_new(runtime, 1.0), name("float")); /* the same key */
    put(dict, cairn_bytes_new(runtime, "a", 1), name("bytes"));
    cairn_object *items[] = {new_int(1), name("x")};
    put(dict, cairn_tuple_new(runtime, items, 2), name("tuple"));
    put(dict, cairn_none(runtime), name("none"));
    put(dict, name("b"), new_int(2));
    assert_text(dict, "{'a': 1, 1: 'float', b'a': 'bytes', (1, 'x'): 'tuple', None: 'none', 'b': 2}");
    cairn_object *same = cairn_tuple_new(runtime, items, 2);
    assert_repr(cairn_dict_get(dict, same), "'tuple'");
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    assert_int_equal(cairn_dict_set(dict, list, list), EINVAL);
    assert_string_equal(cairn_runtime_error(runtime), "an object of type list cannot be a key");
    assert_null(cairn_dict_get(dict, list));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(cairn_dict_delete(dict, list), EINVAL);
    cairn_decref(list);
    cairn_decref(same);
    cairn_decref(items[0]);
    cairn_decref(items[1]);
    cairn_decref(dict);
}

/* The last error's text is another one from here on. */
static void make_another_error(void)
{
    assert_int_equal(cairn_collect(runtime, CAIRN_GENERATIONS), -1);
    assert_string_equal(cairn_runtime_error(runtime), "invalid generation");
}

static void a_walk_sees_that_the_dict_changed(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime), *key, *value;
    for (int i = 0; i < 4; i++) {
        put(dict, new_int(i), new_int(i));
    }
    cairn_position position = CAIRN_POSITION_INIT;
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), 0);
    put(dict, new_int(0), new_int(100)); /* a new value for an old key is no change */
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), 0);
    cairn_position before_removal = position, before_clear = position;
    put(dict, new_int(4), new_int(4));
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), EBUSY);
    assert_string_equal(cairn_runtime_error(runtime), "dict changed during iteration");
    position = (cairn_position)CAIRN_POSITION_INIT;
    size_t seen = 0;
    while (cairn_dict_next(dict, &position, &key, &value) == 0) {
        seen++;
    }
    assert_int_equal(seen, 5);
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), ENOENT);
    cairn_decref(cairn_dict_pop(dict, key));
    assert_int_equal(cairn_dict_next(dict, &before_removal, &key, &value), EBUSY);
    assert_int_equal(cairn_dict_clear(dict), 0);
    position = before_clear;
    make_another_error();
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), EBUSY);
    assert_string_equal(cairn_runtime_error(runtime), "dict changed during iteration");
    for (int i = 0; i < 4; i++) {
        put(dict, new_int(i), new_int(i)); /* as before, in the same blocks */
    }
    assert_int_equal(cairn_dict_next(dict, &before_clear, &key, &value), EBUSY);
    cairn_decref(dict);
}

static void dicts_are_equal_whatever_their_order(void **state)
{
    (void)state;
    cairn_object *a = cairn_dict_new(runtime), *b = cairn_dict_new(runtime);
    for (int i = 0; i < 20; i++) {
        put(a, new_int(i), new_int(-i));
        put(b, cairn_float_new(runtime, 19 - i), new_int(i - 19));
    }
    assert_true(cairn_kinds_equal(a, b) && cairn_kinds_equal(b, a));
    cairn_object *copy = cairn_dict_copy(a);
    assert_true(cairn_kinds_equal(a, copy));
    assert_int_equal(kinds_map_check(kinds_map_of(copy)), 0);
    put(b, new_int(3), new_int(0));
    assert_false(cairn_kinds_equal(a, b));
    assert_int_equal(cairn_dict_update(a, b), 0);
    assert_true(cairn_kinds_equal(a, b));
    assert_false(cairn_kinds_equal(a, copy));
    assert_int_equal(cairn_dict_update(a, a), 0);
    put(copy, name("more"), new_int(0));
    assert_false(cairn_kinds_equal(b, copy));
    cairn_decref(a);
    cairn_decref(b);
    cairn_decref(copy);
}

static void dicts_are_tracked_when_they_can_be_part_of_a_cycle(void **state)
{
    (void)state;
    cairn_collector_disable(runtime); /* what a collection changes is looked at before and after */
    cairn_object *dict = cairn_dict_new(runtime);
    assert_false(cairn_object_is_tracked(dict));
    put(dict, name("a"), new_int(1));
    cairn_object *items[] = {new_int(1)};
    put(dict, name("t"), cairn_tuple_new(runtime, items, 1)); /* a tracked tuple */
    assert_true(cairn_object_is_tracked(dict));
    (void)cairn_collect(runtime, 0);
    (void)cairn_collect(runtime, 1);
    assert_false(cairn_object_is_tracked(dict)); /* the tuple is untracked by now */
    put(dict, name("a"), cairn_list_new(runtime, NULL, 0));
    assert_true(cairn_object_is_tracked(dict));
    cairn_object *copy = cairn_dict_copy(dict);
    assert_true(cairn_object_is_tracked(copy));
    put(dict, name("a"), new_int(2));
    (void)cairn_collect(runtime, 0);
    assert_false(cairn_object_is_tracked(dict));
    put(dict, name("self"), cairn_incref(dict));
    cairn_decref(dict);
    cairn_decref(copy);
    cairn_decref(items[0]);
    assert_int_equal(cairn_collect(runtime, 2), 1);
}

static void dicts_and_key_tables_are_reused(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime);
    put(dict, name("a"), new_int(1));
    uintptr_t address = address_of(dict), table = address_of(kinds_map_of(dict)->table);
    cairn_decref(dict);
    assert_int_equal(cache_named("dict")->bytes, 32);
    assert_int_equal(cache_named("key table")->bytes, 112);
    dict = cairn_dict_new(runtime);
    put(dict, name("a"), new_int(1));
    assert_true(address_of(dict) == address && address_of(kinds_map_of(dict)->table) == table);
    cairn_decref(dict);
    (void)cairn_object_trim(runtime);
    assert_int_equal(cache_named("dict")->count, 0);
    assert_int_equal(cache_named("key table")->bytes, 0);
}

/* The index with numbers of each width, the two last ones in tables far smaller than those that need them. */
static void the_index_has_numbers_of_1_2_4_or_8_bytes(void **state)
{
    (void)state;
    const size_t counts[] = {85, 86, 21845, 21846};
    const unsigned widths[] = {0, 1, 1, 2};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        cairn_object *dict = cairn_dict_new(runtime);
        for (size_t k = 0; k < counts[i]; k++) {
            cairn_object *key = new_int((int64_t)k * 1000);
            assert_int_equal(cairn_dict_set(dict, key, key), 0);
            cairn_decref(key);
        }
        assert_int_equal(kinds_map_of(dict)->table->width, widths[i]);
        for (size_t k = 0; k < counts[i]; k++) {
            cairn_object *key = new_int((int64_t)k * 1000);
            assert_true(cairn_dict_contains(dict, key));
            cairn_decref(key);
        }
        cairn_decref(dict);
    }
    for (unsigned width = 0; width < 4; width++) {
        cairn_object *dict = cairn_dict_new(runtime);
        assert_true(kinds_map_force_width(kinds_map_of(dict), 5, width, true));
        for (int k = 0; k < 21; k++) {
            char text[8];
            (void)snprintf(text, sizeof text, "key %d", k);
            put(dict, name(text), new_int(k));
        }
        assert_int_equal(kinds_map_of(dict)->table->width, width);
        cairn_object *key = name("key 7"), *last, *value;
        assert_int_equal(cairn_dict_delete(dict, key), 0);
        assert_int_equal(cairn_dict_pop_last(dict, &last, &value), 0);
        assert_int_equal(kinds_map_check(kinds_map_of(dict)), 0);
        assert_repr(last, "'key 20'");
        assert_repr(value, "20");
        assert_false(cairn_dict_contains(dict, key));
        cairn_decref(key);
        cairn_decref(dict);
    }
}

/* Entries that come and go at the end must not fill the index with what was removed. */
static void a_dict_used_as_a_stack(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime);
    put(dict, new_int(0), new_int(0));
    for (int i = 1; i < 1000; i++) {
        put(dict, new_int(i), new_int(i));
        cairn_object *key, *value;
        assert_int_equal(cairn_dict_pop_last(dict, &key, &value), 0);
        cairn_decref(key);
        cairn_decref(value);
    }
    assert_text(dict, "{0: 0}");
    assert_int_equal(kinds_map_of(dict)->table->bits, 3);
    cairn_decref(dict);
}

/* ---- keys that meddle ---- */

struct key {
    cairn_object object;
    cairn_object *dict; /* what a comparison changes, once */
    unsigned comparisons;
};

static bool key_hash(cairn_object *self, uint64_t *hash)
{
    (void)self;
    *hash = 7;
    return true;
}

static bool key_equal(cairn_object *a, cairn_object *b)
{
    struct key *self = (struct key *)(void *)a;
    (void)b;
    self->comparisons++;
    cairn_object *dict = self->dict;
    if (dict) {
        self->dict = NULL;
        (void)cairn_dict_clear(dict); /* which gives up this key */
        cairn_decref(dict);
    }
    return false;
}

static const cairn_type key_type = {.struct_size = sizeof(cairn_type),
                                    .name = "key",
                                    .size = sizeof(struct key),
                                    .reference_offset = offsetof(struct key, dict),
                                    .reference_count = 1,
                                    .hash = key_hash,
                                    .equal = key_equal};

static void a_comparison_may_clear_the_dict(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime), *seven = new_int(7);
    cairn_object *key = cairn_object_new(runtime, &key_type, 0);
    cairn_set(&((struct key *)(void *)key)->dict, dict);
    put(dict, key, new_int(1));
    assert_int_equal(cairn_dict_set(dict, seven, seven), 0); /* has the hash of the key, and is compared with it */
    assert_text(dict, "{7: 7}");
    assert_int_equal(kinds_map_check(kinds_map_of(dict)), 0);
    key = cairn_object_new(runtime, &key_type, 0);
    assert_int_equal(cairn_dict_clear(dict), 0);
    put(dict, cairn_incref(key), new_int(1));
    cairn_set(&((struct key *)(void *)key)->dict, dict);
    cairn_object *other = cairn_dict_new(runtime);
    put(other, cairn_incref(seven), new_int(1));
    assert_false(cairn_kinds_equal(other, dict));
    assert_int_equal(((struct key *)(void *)key)->comparisons, 1);
    assert_int_equal(cairn_dict_size(dict), 0);
    cairn_decref(key);
    cairn_decref(other);
    cairn_decref(dict);
}

/* Adds the key that is sought while it is sought. */
static bool adder_equal(cairn_object *a, cairn_object *b)
{
    struct key *self = (struct key *)(void *)a;
    cairn_object *dict = self->dict;
    if (dict) {
        self->dict = NULL;
        assert_int_equal(cairn_dict_set(dict, b, b), 0);
        cairn_decref(dict);
    }
    return false;
}

static const cairn_type adder_type = {.struct_size = sizeof(cairn_type),
                                      .name = "adder",
                                      .size = sizeof(struct key),
                                      .reference_offset = offsetof(struct key, dict),
                                      .reference_count = 1,
                                      .hash = key_hash,
                                      .equal = adder_equal};

static void a_comparison_may_add_the_key(void **state)
{
    (void)state;
    cairn_object *dict = cairn_dict_new(runtime), *seven = new_int(7), *eight = new_int(8);
    cairn_object *key = cairn_object_new(runtime, &adder_type, 0);
    put(dict, cairn_incref(key), new_int(1));
    for (int i = 100; i < 104; i++) {
        put(dict, new_int(i), new_int(i)); /* so that the one that is added needs a new key table */
    }
    cairn_set(&((struct key *)(void *)key)->dict, dict);
    assert_int_equal(cairn_dict_set(dict, seven, eight), 0);
    assert_int_equal(cairn_dict_size(dict), 6);
    assert_repr(cairn_dict_get(dict, seven), "8");
    cairn_decref(key);
    cairn_decref(dict);
}

static cairn_object *cleared[2];

static bool clear_both(cairn_object *a, cairn_object *b)
{
    (void)a;
    (void)b;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cairn_dict_clear(cleared[i]), 0);
    }
    return true;
}

static const cairn_type clearer_type = {
    .struct_size = sizeof(cairn_type), .name = "clearer", .size = sizeof(cairn_object), .equal = clear_both};

static void dicts_that_change_while_they_are_compared_are_not_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cleared[i] = cairn_dict_new(runtime);
        put(cleared[i], new_int(1), cairn_object_new(runtime, &clearer_type, 0));
    }
    assert_false(cairn_kinds_equal(cleared[0], cleared[1]));
    assert_true(cairn_kinds_equal(cleared[0], cleared[1]));
    cairn_decref(cleared[0]);
    cairn_decref(cleared[1]);
}

/* ---- sets ---- */

static void sets_hold_each_key_once(void **state)
{
    (void)state;
    cairn_object *set = cairn_hashset_new(runtime), *key;
    assert_text(set, "set()");
    add(set, name("a"));
    add(set, new_int(1));
    add(set, cairn_float_new(runtime, 1.0));
    add(set, name("a"));
    assert_text(set, "{'a', 1}");
    assert_int_equal(cairn_hashset_size(set), 2);
    cairn_object *a = name("a"), *list = cairn_list_new(runtime, NULL, 0);
    assert_true(cairn_hashset_contains(set, a));
    assert_false(cairn_hashset_contains(set, list));
    assert_int_equal(cairn_hashset_add(set, list), EINVAL);
    cairn_position position = CAIRN_POSITION_INIT;
    assert_int_equal(cairn_hashset_next(set, &position, &key), 0);
    assert_ptr_equal(key, a);
    assert_int_equal(cairn_hashset_remove(set, a), 0);
    assert_int_equal(cairn_hashset_remove(set, a), ENOENT);
    assert_int_equal(cairn_hashset_next(set, &position, &key), EBUSY);
    assert_string_equal(cairn_runtime_error(runtime), "set changed during iteration");
    assert_repr(cairn_hashset_pop(set), "1");
    assert_null(cairn_hashset_pop(set));
    assert_int_equal(errno, ENOENT);
    add(set, cairn_incref(a));
    add(set, new_int(2));
    position = (cairn_position)CAIRN_POSITION_INIT;
    assert_int_equal(cairn_hashset_next(set, &position, &key), 0);
    assert_int_equal(cairn_hashset_clear(set), 0);
    make_another_error();
    assert_int_equal(cairn_hashset_next(set, &position, &key), EBUSY);
    assert_string_equal(cairn_runtime_error(runtime), "set changed during iteration");
    assert_true(cairn_object_is_tracked(set));
    cairn_decref(set);
    cairn_decref(a);
    cairn_decref(list);
}

static void sets_are_united_and_compared(void **state)
{
    (void)state;
    cairn_object *a = cairn_hashset_new(runtime), *b = cairn_hashset_new(runtime);
    for (int i = 0; i < 6; i++) {
        add(a, new_int(i));
        add(b, new_int(i + 3));
    }
    assert_repr(cairn_hashset_union(a, b), "{0, 1, 2, 3, 4, 5, 6, 7, 8}");
    assert_repr(cairn_hashset_difference(a, b), "{0, 1, 2}");
    cairn_object *common = cairn_hashset_intersection(a, b), *copy = cairn_hashset_copy(a);
    assert_text(common, "{3, 4, 5}");
    assert_true(cairn_hashset_is_subset(common, a) && cairn_hashset_is_subset(common, b));
    assert_false(cairn_hashset_is_subset(a, b) || cairn_hashset_is_subset(a, common));
    assert_true(cairn_kinds_equal(a, copy));
    assert_false(cairn_kinds_equal(a, b) || cairn_kinds_equal(a, common));
    assert_int_equal(cairn_hashset_clear(copy), 0);
    assert_text(copy, "set()");
    cairn_decref(a);
    cairn_decref(b);
    cairn_decref(common);
    cairn_decref(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dicts_keep_the_order_of_insertion, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(keys_of_all_kinds_live_together, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_walk_sees_that_the_dict_changed, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(dicts_are_equal_whatever_their_order, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(dicts_are_tracked_when_they_can_be_part_of_a_cycle, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(dicts_and_key_tables_are_reused, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(the_index_has_numbers_of_1_2_4_or_8_bytes, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_used_as_a_stack, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_comparison_may_clear_the_dict, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_comparison_may_add_the_key, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(dicts_that_change_while_they_are_compared_are_not_equal, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(sets_hold_each_key_once, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(sets_are_united_and_compared, test_runtime_start, test_runtime_end),
    };
    return cmocka_run_group_tests_name("kinds: tables", tests, NULL, NULL);
}
