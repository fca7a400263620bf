/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_rows.c: tuples and lists: made, changed, compared, described, kept for reuse, tracked, very deep; and code of
 * the user's that changes a list while it is compared. */

#include <errno.h>
#include <string.h>

#include "support/kinds.h"

/* Takes the items' references over. */
static cairn_object *tuple_of(size_t size, cairn_object **items)
{
    cairn_object *tuple = cairn_tuple_new(runtime, items, size);
    assert_non_null(tuple);
    for (size_t i = 0; i < size; i++) {
        cairn_decref(items[i]);
    }
    return tuple;
}

#define TUPLE(...)                                                                                                     \
    tuple_of(sizeof((cairn_object *[]){__VA_ARGS__}) / sizeof(cairn_object *), (cairn_object *[]){__VA_ARGS__})

static cairn_object *list_of(size_t size, const int64_t *values)
{
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    for (size_t i = 0; i < size; i++) {
        cairn_object *item = new_int(values[i]);
        assert_int_equal(cairn_list_append(list, item), 0);
        cairn_decref(item);
    }
    return list;
}

#define LIST(...) list_of(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static uint64_t hash_of(cairn_object *object)
{
    uint64_t hash = 0;
    assert_int_equal(cairn_object_hash(object, &hash), 0);
    return hash;
}

static const cairn_cache *sought;

static bool is_sought(const cairn_cache *cache, void *arg)
{
    sought = strcmp(cache->name, arg) == 0 ? cache : sought;
    return true;
}

static const cairn_cache *cache_named(const char *name)
{
    sought = NULL;
    (void)cairn_runtime_visit_caches(runtime, is_sought, (void *)(uintptr_t)name);
    assert_non_null(sought);
    return sought;
}

/* ---- tuples ---- */

static void tuples_hold_their_items(void **state)
{
    (void)state;
    cairn_object *item = new_int(1000);
    cairn_object *items[] = {item, item, item};
    cairn_object *tuple = cairn_tuple_new(runtime, items, 3);
    assert_int_equal(cairn_count(item), 4);
    assert_int_equal(cairn_tuple_size(tuple), 3);
    assert_ptr_equal(cairn_tuple_at(tuple, 2), item);
    assert_null(cairn_tuple_at(tuple, 3));
    cairn_object *slice = cairn_tuple_slice(tuple, 1, 9), *both = cairn_tuple_concat(tuple, slice);
    assert_int_equal(cairn_tuple_size(both), 5);
    assert_int_equal(cairn_count(item), 11);
    cairn_decref(slice);
    cairn_decref(both);
    cairn_decref(tuple);
    assert_int_equal(cairn_count(item), 1);
    cairn_decref(item);
    assert_repr(TUPLE(new_int(1), new_int(2)), "(1, 2)");
    assert_repr(TUPLE(new_int(1)), "(1,)");
    cairn_object *empty = cairn_tuple_new(runtime, NULL, 0);
    assert_ptr_equal(cairn_tuple_make(runtime, 0), empty);
    assert_true(cairn_is_immortal(empty));
    assert_false(cairn_object_is_tracked(empty));
    assert_text(empty, "()");
}

static void dead_tuples_are_kept_by_length_up_to_20(void **state)
{
    (void)state;
    cairn_collector_disable(runtime); /* what a collection changes is looked at before and after */
    cairn_object *none = cairn_none(runtime);
    cairn_object *items[30];
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        items[i] = none;
    }
    cairn_decref(cairn_tuple_new(runtime, items, 1));
    const cairn_cache *cache = cache_named("tuple");
    for (size_t size = 1; size <= 30; size++) {
        size_t before = cache->count, hits = (size_t)cache->hits;
        cairn_object *tuple = cairn_tuple_new(runtime, items, size);
        uintptr_t address = address_of(tuple);
        cairn_decref(tuple);
        bool kept = size <= 20;
        assert_int_equal(cache->count, before + (size > 1 && kept));
        tuple = cairn_tuple_new(runtime, items, size);
        assert_true(!kept || address_of(tuple) == address);
        assert_int_equal(cache->hits, hits + kept + (size == 1));
        cairn_decref(tuple);
    }
    assert_int_equal(cache->count, 20);
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_int_equal(cache->count, 0);
    assert_int_equal(cache->bytes, 0);
}

static void tuples_of_atoms_are_untracked_by_a_collection(void **state)
{
    (void)state;
    cairn_collector_disable(runtime); /* what a collection changes is looked at before and after */
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    cairn_object *atoms = TUPLE(new_int(1), cairn_float_new(runtime, 2.0), cairn_none(runtime));
    cairn_object *nested = TUPLE(cairn_incref(atoms), new_int(3));
    cairn_object *with_list = TUPLE(cairn_incref(list));
    cairn_object *unfinished = cairn_tuple_make(runtime, 2);
    assert_true(cairn_object_is_tracked(atoms) && cairn_object_is_tracked(nested));
    (void)cairn_collect(runtime, 0);
    (void)cairn_collect(runtime, 1); /* should `nested` have been looked at before `atoms` */
    assert_false(cairn_object_is_tracked(atoms));
    assert_false(cairn_object_is_tracked(nested));
    assert_true(cairn_object_is_tracked(with_list));
    assert_true(cairn_object_is_tracked(unfinished));
    cairn_tuple_init(unfinished, 0, cairn_incref(list));
    cairn_tuple_init(unfinished, 1, cairn_incref(atoms));
    cairn_object *objects[] = {list, atoms, nested, with_list, unfinished};
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        cairn_decref(objects[i]);
    }
}

static void rows_are_equal_item_by_item(void **state)
{
    (void)state;
    cairn_object *a = TUPLE(new_int(1), new_int(2)), *b = TUPLE(cairn_float_new(runtime, 1.0), new_int(2));
    cairn_object *c = TUPLE(new_int(2), new_int(1)), *list = LIST(1, 2), *same = LIST(1, 2), *longer = LIST(1, 2, 3);
    uint64_t x;
    assert_true(cairn_kinds_equal(a, b));
    assert_false(cairn_kinds_equal(a, c));
    assert_false(cairn_kinds_equal(a, list));
    assert_true(cairn_kinds_equal(list, same));
    assert_false(cairn_kinds_equal(list, longer));
    assert_true(hash_of(a) == hash_of(b) && hash_of(a) != hash_of(c));
    assert_int_equal(cairn_object_hash(list, &x), EINVAL);
    cairn_object *with_list = TUPLE(cairn_incref(list));
    assert_int_equal(cairn_object_hash(with_list, &x), EINVAL);
    cairn_object *two = new_int(2), *three = new_int(3);
    assert_true(cairn_tuple_contains(a, two) && !cairn_tuple_contains(a, three));
    assert_true(cairn_list_contains(list, two) && !cairn_list_contains(list, three));
    assert_int_equal(cairn_list_find(list, two), 1);
    cairn_object *objects[] = {a, b, c, list, same, longer, with_list};
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        cairn_decref(objects[i]);
    }
}

/* ---- lists ---- */

static void append_int(cairn_object *list, int value)
{
    cairn_object *number = new_int(value);
    assert_int_equal(cairn_list_append(list, number), 0);
    cairn_decref(number);
}

static size_t room_of(const cairn_list *list)
{
    return list->items == list->inside ? CAIRN_LIST_INSIDE : list->room;
}

/* Rows of 0 to 6 items, each part of them replaced by each of 0 to 6, the list's own among them. */
static void lists_move_in_and_out_of_themselves(void **state)
{
    (void)state;
    for (int n = 0; n < 7 * 7 * 7 * 7; n++) {
        size_t size = (size_t)(n % 7), from = (size_t)(n / 7 % 7), to = (size_t)(n / 49 % 7), more = (size_t)(n / 343);
        cairn_object *list = cairn_list_new(runtime, NULL, 0), *items = cairn_list_new(runtime, NULL, 0);
        int expected[20], row[20];
        size_t count = 0;
        for (size_t i = 0; i < size; i++) {
            row[i] = 1000 + (int)i;
            append_int(list, row[i]);
        }
        for (size_t i = 0; i < more; i++) {
            append_int(items, 2000 + (int)i);
        }
        to = to < size ? to : size;
        from = from < to ? from : to;
        bool own = more == 6;
        for (size_t i = 0; i < from; i++) {
            expected[count++] = row[i];
        }
        for (size_t i = 0; i < (own ? size : more); i++) {
            expected[count++] = own ? row[i] : 2000 + (int)i;
        }
        for (size_t i = to; i < size; i++) {
            expected[count++] = row[i];
        }
        assert_int_equal(cairn_list_replace(list, from, to, own ? list : items), 0);
        assert_int_equal(cairn_list_size(list), count);
        for (size_t i = 0; i < count; i++) {
            int64_t value;
            assert_int_equal(cairn_int_get(cairn_list_at(list, i), &value), 0);
            assert_int_equal(value, expected[i]);
        }
        const cairn_list *view = (const cairn_list *)(void *)list;
        assert_int_equal(view->items == view->inside, count <= CAIRN_LIST_INSIDE);
        cairn_decref(list);
        cairn_decref(items);
    }
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
}

static void lists_grow_ahead_of_need_and_shrink(void **state)
{
    (void)state;
    const size_t rooms[] = {CAIRN_LIST_INSIDE, 4, 8, 16, 24, 32, 40, 52, 64, 76, 92, 108, 128};
    cairn_object *list = cairn_list_new(runtime, NULL, 0), *none = cairn_none(runtime);
    size_t step = 0;
    const cairn_list *view = (const cairn_list *)(void *)list;
    while (step + 1 < COUNT_OF(rooms)) {
        if (view->size == rooms[step]) {
            step++;
        }
        assert_int_equal(cairn_list_append(list, none), 0);
        assert_int_equal(room_of(view), rooms[step]);
    }
    while (view->size) {
        cairn_decref(cairn_list_pop(list, SIZE_MAX));
        assert_true(room_of(view) <= (view->size < 4 ? 8 : view->size * 2 + 1));
    }
    assert_int_equal(room_of(view), CAIRN_LIST_INSIDE);
    cairn_decref(list);
}

static void lists_are_changed_in_place(void **state)
{
    (void)state;
    cairn_object *list = LIST(1, 2, 3), *nine = new_int(9), *tuple = TUPLE(new_int(7), new_int(8));
    assert_int_equal(cairn_list_insert(list, 0, nine), 0);
    assert_int_equal(cairn_list_insert(list, 4, nine), 0);
    assert_text(list, "[9, 1, 2, 3, 9]");
    assert_int_equal(cairn_list_insert(list, 6, nine), EINVAL);
    assert_string_equal(cairn_runtime_error(runtime), "a list's index is beyond its end");
    assert_int_equal(cairn_list_set(list, 1, nine), 0);
    assert_int_equal(cairn_list_set(list, 5, nine), EINVAL);
    assert_int_equal(cairn_list_delete(list, 2), 0);
    assert_int_equal(cairn_list_delete(list, 4), EINVAL);
    assert_text(list, "[9, 9, 3, 9]");
    assert_repr(cairn_list_pop(list, 2), "3");
    assert_null(cairn_list_pop(list, 3));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(cairn_list_extend(list, tuple), 0);
    assert_int_equal(cairn_list_extend(list, list), 0);
    assert_text(list, "[9, 9, 9, 7, 8, 9, 9, 9, 7, 8]");
    assert_int_equal(cairn_list_replace(list, 1, 8, tuple), 0);
    assert_text(list, "[9, 7, 8, 7, 8]");
    assert_int_equal(cairn_list_replace(list, 1, 2, list), 0);
    assert_text(list, "[9, 9, 7, 8, 7, 8, 8, 7, 8]");
    assert_int_equal(cairn_list_replace(list, 2, SIZE_MAX, NULL), 0);
    assert_text(list, "[9, 9]");
    assert_int_equal(cairn_list_extend(list, tuple), 0);
    assert_int_equal(cairn_list_reverse(list), 0);
    assert_text(list, "[8, 7, 9, 9]");
    assert_repr(cairn_list_slice(list, 1, 3), "[7, 9]");
    assert_repr(cairn_list_slice(list, 3, 1), "[]");
    assert_repr(cairn_list_to_tuple(list), "(8, 7, 9, 9)");
    assert_int_equal(cairn_list_clear(list), 0);
    assert_int_equal(cairn_list_replace(list, 0, 0, NULL), 0);
    assert_int_equal(cairn_list_extend(list, list), 0);
    assert_text(list, "[]");
    assert_null(cairn_list_pop(list, SIZE_MAX));
    cairn_decref(list);
    cairn_decref(tuple);
}

static void a_dead_list_is_the_next_list(void **state)
{
    (void)state;
    cairn_object *list = LIST(1, 2);
    uintptr_t address = address_of(list);
    cairn_decref(list);
    assert_int_equal(cache_named("list")->count, 1);
    assert_int_equal(cache_named("list")->bytes, 48);
    list = cairn_list_new(runtime, NULL, 0);
    assert_true(address_of(list) == address);
    assert_int_equal(cairn_list_size(list), 0);
    assert_true(cairn_object_is_tracked(list));
    cairn_decref(list);
}

static void what_contains_itself_is_described_and_compared(void **state)
{
    (void)state;
    cairn_object *list = LIST(1), *other = LIST(1);
    assert_int_equal(cairn_list_append(list, list), 0);
    assert_text(list, "[1, [...]]");
    cairn_object *tuple = TUPLE(cairn_incref(list));
    assert_int_equal(cairn_list_append(list, tuple), 0);
    assert_text(tuple, "([1, [...], (...)],)");
    assert_int_equal(cairn_list_append(other, other), 0);
    assert_int_equal(cairn_list_append(other, tuple), 0);
    errno = 0;
    assert_false(cairn_kinds_equal(list, other)); /* without end: too deep */
    assert_int_equal(errno, ELOOP);
    cairn_decref(tuple);
    cairn_decref(list);
    cairn_decref(other);
    assert_int_equal(cairn_collect(runtime, 2), 3);
}

/* ---- depth ---- */

static void a_million_nested_tuples_die_and_are_compared(void **state)
{
    (void)state;
    size_t depth = test_scaled(1000000);
    cairn_object *a = cairn_tuple_new(runtime, NULL, 0), *b = cairn_tuple_new(runtime, NULL, 0);
    for (size_t i = 0; i < depth; i++) {
        a = TUPLE(a);
        b = TUPLE(b);
    }
    uint64_t hash;
    char text[16];
    assert_true(cairn_kinds_equal(a, a));
    assert_false(cairn_kinds_equal(a, b));
    assert_int_equal(cairn_object_hash(a, &hash), EINVAL);
    assert_int_equal(cairn_object_repr(a, text, sizeof text), CAIRN_KINDS_DEPTH * 3 + 5);
    assert_string_equal(text, "(((((((((((((((");
    cairn_decref(a);
    cairn_decref(b);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.containers_tracked, 0);
}

static void as_deep_as_is_compared(void **state)
{
    (void)state;
    cairn_object *a = new_int(1), *b = cairn_float_new(runtime, 1.0);
    for (unsigned i = 0; i < CAIRN_KINDS_DEPTH; i++) {
        a = TUPLE(a);
        b = TUPLE(b);
    }
    assert_true(cairn_kinds_equal(a, b));
    assert_true(hash_of(a) == hash_of(b));
    a = TUPLE(a);
    b = TUPLE(b);
    assert_false(cairn_kinds_equal(a, b));
    cairn_decref(a);
    cairn_decref(b);
}

static void a_million_nested_lists_die(void **state)
{
    (void)state;
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    for (size_t i = 0, depth = test_scaled(1000000); i < depth; i++) {
        cairn_object *outer = cairn_list_new(runtime, NULL, 0);
        assert_int_equal(cairn_list_append(outer, list), 0);
        cairn_decref(list);
        list = outer;
    }
    cairn_decref(list);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.containers_tracked, 0);
}

/* ---- code of the user's in the middle ---- */

struct meddler {
    cairn_object object;
    cairn_object *list; /* cleared by a comparison */
};

static bool meddled; /* what the comparison says */

static bool meddle(cairn_object *a, cairn_object *b)
{
    struct meddler *self = (struct meddler *)(void *)a;
    (void)b;
    if (self->list) {
        (void)cairn_list_clear(self->list);
    }
    return meddled;
}

static const cairn_type meddler_type = {.struct_size = sizeof(cairn_type),
                                        .name = "meddler",
                                        .size = sizeof(struct meddler),
                                        .reference_offset = offsetof(struct meddler, list),
                                        .reference_count = 1,
                                        .equal = meddle};

static void a_comparison_may_clear_the_list(void **state)
{
    (void)state;
    cairn_object *list = LIST(1, 2), *other = LIST(1, 2), *seven = new_int(7);
    meddled = false;
    cairn_object *meddler = cairn_object_new(runtime, &meddler_type, 0);
    cairn_set(&((struct meddler *)(void *)meddler)->list, list);
    assert_int_equal(cairn_list_insert(list, 0, meddler), 0);
    assert_int_equal(cairn_list_append(other, seven), 0);
    cairn_decref(meddler); /* from now on only the list holds it */
    assert_int_equal(cairn_list_find(list, seven), SIZE_MAX);
    assert_int_equal(cairn_list_size(list), 0);
    meddler = cairn_object_new(runtime, &meddler_type, 0);
    cairn_set(&((struct meddler *)(void *)meddler)->list, list);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cairn_list_append(list, i ? seven : meddler), 0);
    }
    cairn_decref(meddler);
    meddled = true; /* what was compared is equal, but the lists are not, any more */
    assert_false(cairn_kinds_equal(other, list));
    assert_int_equal(cairn_list_size(list), 0);
    cairn_decref(list);
    cairn_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tuples_hold_their_items, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(dead_tuples_are_kept_by_length_up_to_20, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(tuples_of_atoms_are_untracked_by_a_collection, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(rows_are_equal_item_by_item, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(lists_move_in_and_out_of_themselves, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(lists_grow_ahead_of_need_and_shrink, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(lists_are_changed_in_place, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_dead_list_is_the_next_list, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(what_contains_itself_is_described_and_compared, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(a_million_nested_tuples_die_and_are_compared, test_runtime_start,
                                        test_runtime_end),
        cmocka_unit_test_setup_teardown(as_deep_as_is_compared, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_million_nested_lists_die, test_runtime_start, test_runtime_end),
        cmocka_unit_test_setup_teardown(a_comparison_may_clear_the_list, test_runtime_start, test_runtime_end),
    };
    return cmocka_run_group_tests_name("kinds: rows", tests, NULL, NULL);
}
