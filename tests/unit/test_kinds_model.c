/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_model.c: random operations on a dict, a set and a list, against models so simple that they cannot be wrong:
 * rows that are searched from the start. Keys are ints, floats, strs and tuples, of which many are equal to one of another
 * kind; values are ints, or lists, so that dicts come and go from the collector's sight. Collections and trims happen in
 * between. Both must agree on every result and, again and again, on the whole contents in order. */

#include <errno.h>
#include <string.h>

#include "object/kinds_table.h"
#include "support/kinds.h"

enum { KEYS = 300, ROOM = 1000 };

static uint64_t random_state;

static int start(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    random_state = test_seed();
    return runtime ? 0 : 1;
}

/* Deaths are deferred, collections frequent and in steps, little is kept for reuse. */
static int start_deferred(void **state)
{
    (void)state;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.deferred = true;
    options.sweep_most = 50;
    options.thresholds[0] = 100;
    options.step_us = 100;
    options.cache_limit = 2000;
    runtime = cairn_runtime_create(&options);
    random_state = test_seed();
    return runtime ? 0 : 1;
}

static int start_on(const cairn_heap_options *heap)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.heap = heap;
    runtime = cairn_runtime_create(&options);
    random_state = test_seed();
    return runtime ? 0 : 1;
}

/* Nothing comes from pools, so nothing is kept for reuse. */
static int start_without_pools(void **state)
{
    (void)state;
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    heap.no_pools = true;
    return start_on(&heap);
}

static int start_classic(void **state)
{
    (void)state;
    cairn_geometry geometry;
    cairn_heap_options heap = options_of_preset("classic", &geometry);
    return start_on(&heap);
}

static size_t below(size_t bound)
{
    return random_below(&random_state, bound);
}

/* A new object for key `id`: equal to every other one made for it, different from all others. */
static cairn_object *key_of(size_t id)
{
    char text[32];
    cairn_object *items[2];
    switch (id % 3) {
    case 0:
        return below(2) ? cairn_int_new(runtime, (int64_t)id * 37) : cairn_float_new(runtime, (double)id * 37);
    case 1:
        (void)snprintf(text, sizeof text, "key %zu", id);
        return below(2) ? cairn_str_new(runtime, text, SIZE_MAX) : cairn_str_intern(runtime, text, SIZE_MAX);
    default:
        items[0] = key_of(id / 3 * 3);
        items[1] = key_of(id / 3 * 3 + 1);
        cairn_object *tuple = cairn_tuple_new(runtime, items, 2);
        cairn_decref(items[0]);
        cairn_decref(items[1]);
        return tuple;
    }
}

/* Strs alone, so that the dict stays with entries without hashes. */
static cairn_object *name_of(size_t id)
{
    char text[32];
    (void)snprintf(text, sizeof text, "name %zu", id);
    return cairn_str_new(runtime, text, SIZE_MAX);
}

static cairn_object *value_of(int64_t value)
{
    cairn_object *number = cairn_int_new(runtime, value);
    if (value % 4) {
        return number;
    }
    cairn_object *list = cairn_list_new(runtime, &number, 1);
    cairn_decref(number);
    return list;
}

static void assert_value(cairn_object *object, int64_t expected)
{
    int64_t value;
    cairn_object *number = cairn_is_list(object) ? cairn_list_at(object, 0) : object;
    assert_int_equal(cairn_int_get(number, &value), 0);
    assert_true(value == expected);
}

static void disturb(void)
{
    cairn_runtime_poll(runtime);
    switch (below(4000)) {
    case 0:
        (void)cairn_collect(runtime, (int)below(3));
        break;
    case 1:
        (void)cairn_object_trim(runtime);
        break;
    default:
        break;
    }
}

/* ---- the model of a map ---- */

struct row {
    size_t id;
    int64_t value;
};

static struct row rows[ROOM];
static size_t row_count;

static size_t find_row(size_t id)
{
    size_t i = 0;
    while (i < row_count && rows[i].id != id) {
        i++;
    }
    return i;
}

static void remove_row(size_t i)
{
    row_count--;
    memmove(&rows[i], &rows[i + 1], (row_count - i) * sizeof rows[0]);
}

/* ---- dict ---- */

static cairn_object *(*make_key)(size_t id);

static void assert_same_dict(cairn_object *dict)
{
    assert_int_equal(cairn_dict_size(dict), row_count);
    assert_int_equal(kinds_map_check(kinds_map_of(dict)), 0);
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key, *value;
    for (size_t i = 0; i < row_count; i++) {
        assert_int_equal(cairn_dict_next(dict, &position, &key, &value), 0);
        cairn_object *expected = make_key(rows[i].id);
        assert_true(cairn_kinds_equal(key, expected));
        assert_value(value, rows[i].value);
        cairn_decref(expected);
    }
    assert_int_equal(cairn_dict_next(dict, &position, &key, &value), ENOENT);
}

static void set_in_both(cairn_object *dict, cairn_object *key, size_t id, int64_t value)
{
    cairn_object *object = value_of(value);
    assert_int_equal(cairn_dict_set(dict, key, object), 0);
    cairn_decref(object);
    size_t i = find_row(id);
    if (i == row_count) {
        rows[row_count++].id = id;
    }
    rows[i].value = value;
}

static void default_in_both(cairn_object *dict, cairn_object *key, size_t id, int64_t value)
{
    cairn_object *object = value_of(value);
    cairn_object *result = cairn_dict_set_default(dict, key, object);
    size_t i = find_row(id);
    if (i == row_count) {
        rows[row_count++] = (struct row){id, value};
    }
    assert_value(result, rows[i].value);
    cairn_decref(result);
    cairn_decref(object);
}

static void delete_in_both(cairn_object *dict, cairn_object *key, size_t id)
{
    size_t i = find_row(id);
    assert_int_equal(cairn_dict_delete(dict, key), i < row_count ? 0 : ENOENT);
    if (i < row_count) {
        remove_row(i);
    }
}

static void pop_in_both(cairn_object *dict, cairn_object *key, size_t id)
{
    size_t i = find_row(id);
    cairn_object *value = cairn_dict_pop(dict, key);
    assert_int_equal(value != NULL, i < row_count);
    if (value) {
        assert_value(value, rows[i].value);
        cairn_decref(value);
        remove_row(i);
    }
}

static void pop_last_in_both(cairn_object *dict)
{
    cairn_object *key, *value;
    int error = cairn_dict_pop_last(dict, &key, &value);
    assert_int_equal(error, row_count ? 0 : ENOENT);
    if (!error) {
        assert_value(value, rows[--row_count].value);
        cairn_decref(key);
        cairn_decref(value);
    }
}

static void look_up_in_both(cairn_object *dict, cairn_object *key, size_t id)
{
    size_t i = find_row(id);
    cairn_object *value = cairn_dict_find(dict, key);
    assert_int_equal(value != NULL, i < row_count);
    if (value) {
        assert_value(value, rows[i].value);
    }
}

/* The whole dict is replaced by a copy of itself. */
static void copy_in_place(cairn_object **dict)
{
    cairn_object *copy = cairn_dict_copy(*dict);
    assert_true(cairn_kinds_equal(copy, *dict));
    cairn_set_steal(dict, copy);
}

static void one_operation(cairn_object **dict)
{
    size_t id = below(KEYS);
    cairn_object *key = make_key(id);
    size_t kind = below(1000);
    if (kind < 380) {
        set_in_both(*dict, key, id, (int64_t)below(1000));
    } else if (kind < 420) {
        default_in_both(*dict, key, id, (int64_t)below(1000));
    } else if (kind < 600) {
        delete_in_both(*dict, key, id);
    } else if (kind < 700) {
        pop_in_both(*dict, key, id);
    } else if (kind < 760) {
        pop_last_in_both(*dict);
    } else if (kind < 762) {
        assert_int_equal(cairn_dict_clear(*dict), 0);
        row_count = 0;
    } else if (kind < 770) {
        copy_in_place(dict);
    } else if (kind < 775) {
        assert_same_dict(*dict);
    } else {
        look_up_in_both(*dict, key, id);
    }
    cairn_decref(key);
}

static void run_dict(cairn_object *(*maker)(size_t id))
{
    make_key = maker;
    row_count = 0;
    cairn_object *dict = cairn_dict_new(runtime);
    for (size_t i = 0, steps = test_scaled(300000); i < steps; i++) {
        one_operation(&dict);
        disturb();
    }
    assert_same_dict(dict);
    cairn_decref(dict);
}

static void a_dict_of_keys_of_many_kinds(void **state)
{
    (void)state;
    run_dict(key_of);
}

static void a_dict_of_strs(void **state)
{
    (void)state;
    run_dict(name_of);
}

/* ---- set ---- */

static void assert_same_set(cairn_object *set)
{
    assert_int_equal(cairn_hashset_size(set), row_count);
    assert_int_equal(kinds_map_check(kinds_map_of(set)), 0);
    cairn_position position = CAIRN_POSITION_INIT;
    cairn_object *key;
    for (size_t i = 0; i < row_count; i++) {
        assert_int_equal(cairn_hashset_next(set, &position, &key), 0);
        cairn_object *expected = make_key(rows[i].id);
        assert_true(cairn_kinds_equal(key, expected));
        cairn_decref(expected);
    }
    assert_int_equal(cairn_hashset_next(set, &position, &key), ENOENT);
}

static void one_operation_on_set(cairn_object *set)
{
    size_t id = below(KEYS), i = find_row(id);
    bool there = i < row_count;
    cairn_object *key = make_key(id);
    size_t kind = below(1000);
    if (kind < 400) {
        assert_int_equal(cairn_hashset_add(set, key), 0);
        if (!there) {
            rows[row_count++].id = id;
        }
    } else if (kind < 700) {
        assert_int_equal(cairn_hashset_remove(set, key), there ? 0 : ENOENT);
        if (there) {
            remove_row(i);
        }
    } else if (kind < 740) {
        cairn_object *last = cairn_hashset_pop(set);
        assert_int_equal(last != NULL, row_count > 0);
        if (last) {
            row_count--;
            cairn_decref(last);
        }
    } else if (kind < 742) {
        assert_int_equal(cairn_hashset_clear(set), 0);
        row_count = 0;
    } else if (kind < 747) {
        assert_same_set(set);
    } else {
        assert_int_equal(cairn_hashset_contains(set, key), there);
    }
    cairn_decref(key);
}

static void a_set(void **state)
{
    (void)state;
    make_key = key_of;
    row_count = 0;
    cairn_object *set = cairn_hashset_new(runtime);
    for (size_t i = 0, steps = test_scaled(200000); i < steps; i++) {
        one_operation_on_set(set);
        disturb();
    }
    assert_same_set(set);
    cairn_decref(set);
}

/* ---- list ---- */

static int64_t values[ROOM];
static size_t value_count;

static void assert_same_list(cairn_object *list)
{
    assert_int_equal(cairn_list_size(list), value_count);
    for (size_t i = 0; i < value_count; i++) {
        assert_value(cairn_list_at(list, i), values[i]);
    }
    assert_null(cairn_list_at(list, value_count));
}

/* Puts `count` values in place of those from `from` up to `to`. */
static void replace_values(size_t from, size_t to, const int64_t *with, size_t count)
{
    int64_t copy[ROOM];
    if (count) {
        memcpy(copy, with, count * sizeof copy[0]);
    }
    memmove(&values[from + count], &values[to], (value_count - to) * sizeof values[0]);
    memcpy(&values[from], copy, count * sizeof copy[0]);
    value_count = value_count - (to - from) + count;
}

static void replace_in_both(cairn_object *list)
{
    size_t from = below(value_count + 1), to = from + below(value_count - from + 1);
    int64_t row[8];
    size_t count = below(8);
    cairn_object *items = cairn_list_new(runtime, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        row[i] = (int64_t)below(1000);
        cairn_object *item = value_of(row[i]);
        assert_int_equal(cairn_list_append(items, item), 0);
        cairn_decref(item);
    }
    if (below(10) == 0 && value_count < 100) { /* the list by itself */
        assert_int_equal(cairn_list_replace(list, from, to, list), 0);
        replace_values(from, to, values, value_count);
    } else {
        assert_int_equal(cairn_list_replace(list, from, to, items), 0);
        replace_values(from, to, row, count);
    }
    cairn_decref(items);
}

static void slice_in_both(cairn_object *list)
{
    size_t from = below(value_count + 1), to = from + below(value_count - from + 1);
    cairn_object *slice = cairn_list_slice(list, from, to), *tuple = cairn_list_to_tuple(slice);
    assert_int_equal(cairn_list_size(slice), to - from);
    assert_int_equal(cairn_tuple_size(tuple), to - from);
    for (size_t i = from; i < to; i++) {
        assert_value(cairn_list_at(slice, i - from), values[i]);
        assert_value(cairn_tuple_at(tuple, i - from), values[i]);
    }
    cairn_decref(slice);
    cairn_decref(tuple);
}

static void remove_in_both(cairn_object *list, size_t i)
{
    if (below(2)) {
        assert_int_equal(cairn_list_delete(list, i), i < value_count ? 0 : EINVAL);
    } else {
        cairn_object *item = cairn_list_pop(list, i);
        assert_int_equal(item != NULL, i < value_count);
        if (item) {
            assert_value(item, values[i]);
            cairn_decref(item);
        }
    }
    if (i < value_count) {
        replace_values(i, i + 1, NULL, 0);
    }
}

static void one_operation_on_list(cairn_object *list)
{
    size_t i = below(value_count + 1), kind = below(1000);
    int64_t value = (int64_t)below(1000);
    cairn_object *item = value_of(value);
    if (kind < 300 && value_count < ROOM / 2) {
        assert_int_equal(cairn_list_append(list, item), 0);
        replace_values(value_count, value_count, &value, 1);
    } else if (kind < 500 && value_count < ROOM / 2) {
        assert_int_equal(cairn_list_insert(list, i, item), 0);
        replace_values(i, i, &value, 1);
    } else if (kind < 600) {
        assert_int_equal(cairn_list_set(list, i, item), i < value_count ? 0 : EINVAL);
        if (i < value_count) {
            values[i] = value;
        }
    } else if (kind < 900) {
        remove_in_both(list, i);
    } else if (kind < 950 && value_count < ROOM / 2) {
        replace_in_both(list);
    } else if (kind < 960) {
        slice_in_both(list);
    } else if (kind < 962) {
        assert_int_equal(cairn_list_clear(list), 0);
        value_count = 0;
    } else {
        assert_same_list(list);
    }
    cairn_decref(item);
}

static void a_list(void **state)
{
    (void)state;
    value_count = 0;
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    for (size_t i = 0, steps = test_scaled(200000); i < steps; i++) {
        one_operation_on_list(list);
        disturb();
    }
    assert_same_list(list);
    cairn_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dict_of_keys_of_many_kinds, start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_of_strs, start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_set, start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_list, start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_of_keys_of_many_kinds, start_deferred, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_of_strs, start_deferred, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_set, start_deferred, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_list, start_deferred, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_of_keys_of_many_kinds, start_without_pools, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dict_of_keys_of_many_kinds, start_classic, test_runtime_end),
    };
    return cmocka_run_group_tests_name("kinds: model", tests, NULL, NULL);
}
