/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_weakref_rules.c: the rules of weak references, weak tables and registered finalizers that a C object model can
 * have, one test each, named after the rule; among them the group of CPython's test_weakref about callbacks in
 * cycles. */

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/cells.h"

enum { NO_NAME = -1 };

static cairn_object *object_of(struct cell *cell)
{
    return &cell->object;
}

/* ---- life and death ---- */

static void it_leads_to_its_referent_without_keeping_it(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *weak = weak_to(cell, 0);
    assert_int_equal(cell_count(cell), 1);
    cairn_object *got = cairn_weak_get(weak);
    assert_ptr_equal(got, cell);
    assert_int_equal(cell_count(cell), 2);
    cairn_decref(got);
    cell_drop(cell);
    assert_string_equal(journal(), "D1");
    assert_null(cairn_weak_get(weak));
    assert_true(cairn_weak_is_dead(weak));
    weak_drop(weak);
}

static cairn_weak *watched[4];

static void see_weak_alive(struct cell *self)
{
    require(weak_alive(watched[0]) && weak_alive(watched[1]));
    require(cairn_weak_count(&self->object) == 2);
}

static void see_weak_dead(struct cell *self)
{
    require(!weak_alive(watched[0]) && !weak_alive(watched[1]));
    require(cairn_weak_count(&self->object) == 0);
}

static void at_death_by_count_it_is_alive_in_the_finalizer(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    watched[0] = weak_to(cell, 0);
    watched[1] = weak_to(cell, 5);
    cell->on_finalize = see_weak_alive;
    cell_drop(cell);
    assert_string_equal(journal(), "F1 W5 D1");
    weak_drop(watched[0]);
    weak_drop(watched[1]);
}

static void at_death_by_the_collector_it_is_dead_in_the_finalizer(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 1);
    watched[0] = weak_to(cell, 0);
    watched[1] = weak_to(cell, 5);
    cell->on_finalize = see_weak_dead;
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "W5 F1 D1");
    weak_drop(watched[0]);
    weak_drop(watched[1]);
}

static void resurrection_at_death_by_count_keeps_it_alive(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_string_equal(journal(), "F1");
    assert_true(weak_alive(weak));
    assert_true(cairn_weak_has_callback(weak));
    kept_drop();
    assert_string_equal(journal(), "W5 D1");
    assert_false(cairn_weak_has_callback(weak));
    weak_drop(weak);
}

static void resurrection_in_a_collection_leaves_it_dead(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 0);
    assert_string_equal(journal(), "W5 F1");
    assert_false(weak_alive(weak));
    cairn_weak *anew = weak_to(cell, 6);
    assert_true(weak_alive(anew));
    kept_drop();
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "W6 D1");
    weak_drop(weak);
    weak_drop(anew);
}

/* ---- callbacks ---- */

static void callbacks_run_newest_first(void **state)
{
    (void)state;
    cairn_weak *weak[4];
    for (int way = 0; way < 2; way++) {
        struct cell *cell = cell_new(&cell_plain, 9);
        for (int i = 0; i < 4; i++) {
            weak[i] = weak_to(cell, i + 1);
        }
        if (way == 1) {
            cell_set(cell, 0, cell);
        }
        cell_drop(cell);
        gc_collect(2);
        assert_string_equal(journal(), "W4 W3 W2 W1 D9");
        for (int i = 0; i < 4; i++) {
            weak_drop(weak[i]);
        }
    }
}

static void require_all_dead(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    require(!cairn_weak_has_callback(weak));
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        require(cairn_weak_is_dead(watched[i]) && cairn_weak_get(watched[i]) == NULL);
    }
    journal_write('A', 0);
}

static void all_are_cleared_before_any_callback(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct cell *cell = cell_cycle(&cell_plain, 1, 2);
        struct cell *second = cell->refs[0];
        watched[0] = weak_to(cell, 0);
        watched[1] = cairn_weak_new(object_of(cell), require_all_dead, NULL);
        watched[2] = cairn_weak_new(object_of(way ? second : cell), require_all_dead, NULL);
        watched[3] = weak_to(way ? second : cell, 0);
        if (way == 0) {
            cell_set(second, 0, NULL);
        }
        cell_drop(cell);
        gc_collect(2);
        assert_string_equal(journal_sorted(), "A0 A0 D1 D2");
        for (int i = 0; i < 4; i++) {
            weak_drop(watched[i]);
        }
    }
}

static void a_callback_comes_once(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_legacy, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell->on_finalize = keep_self; /* comes back after the callback */
    cell_drop(cell);
    cell->on_finalize = NULL;
    kept_drop();
    assert_string_equal(journal(), "W5 L1 L1 D1");
    weak_drop(weak);
}

static void one_that_dies_before_its_referent_never_calls_back(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    weak_drop(weak_to(cell, 5));
    assert_int_equal(cairn_weak_count(object_of(cell)), 0);
    cell_drop(cell);
    assert_string_equal(journal(), "D1");
}

static void one_that_was_cleared_never_calls_back(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    struct cell *context = cell_new(&cell_plain, 2);
    cairn_weak *weak = cairn_weak_new(object_of(cell), require_all_dead, object_of(context));
    cell_drop(context);
    assert_int_equal(cell_count(context), 1);
    cairn_weak_clear(weak);
    assert_string_equal(journal(), "D2"); /* the context is no longer needed */
    assert_true(cairn_weak_is_dead(weak));
    cell_drop(cell);
    assert_string_equal(journal(), "D1");
    weak_drop(weak);
}

static void collect_in_callback(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    journal_write('C', (int)gc_collect(2));
    cell_drop(cell_cycle(&cell_plain, NO_NAME, 2));
}

static void a_callback_may_collect_and_allocate(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *weak = cairn_weak_new(object_of(cell), collect_in_callback, NULL);
    cell_drop(cell_cycle(&cell_plain, NO_NAME, 3));
    cell_drop(cell); /* by count: the collection is a real one */
    assert_string_equal(journal(), "C3 D1");
    weak_drop(weak);
    cell = cell_cycle(&cell_plain, 1, 1);
    weak = cairn_weak_new(object_of(cell), collect_in_callback, NULL);
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 3); /* by the collector: a nested one does nothing */
    assert_string_equal(journal(), "C0 D1");
    weak_drop(weak);
    assert_int_equal(gc_collect(2), 2);
}

static void drop_watched(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    require(weak == watched[0]);
    for (int i = 1; i < 3; i++) {
        weak_drop(watched[i]);
    }
    journal_write('A', 0);
}

static void callbacks_that_are_to_come_keep_their_weak_references(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct cell *cell = way ? cell_cycle(&cell_plain, 1, 1) : cell_new(&cell_plain, 1);
        watched[1] = weak_to(cell, 5);
        watched[2] = weak_to(cell, 6);
        watched[0] = cairn_weak_new(object_of(cell), drop_watched, NULL); /* the newest: first */
        cell_drop(cell);
        gc_collect(2);
        assert_string_equal(journal(), "A0 W6 W5 D1");
        weak_drop(watched[0]);
    }
}

static void a_callback_in_a_collection_may_let_live_objects_die(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_plain, 1, 2);
    struct cell *live = cell_new(&cell_final, 3);
    keep_self(live);
    cell_drop(live);
    cell->on_finalize = NULL;
    struct cell *holder = cell_new(&cell_final, 4);
    cairn_weak *weak = cairn_weak_new(object_of(cell), collect_in_callback, object_of(holder));
    cell_drop(holder); /* dies when the callback has been */
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal_sorted(), "C0 D1 D2 D4 F4");
    kept_drop();
    weak_drop(weak);
    assert_int_equal(gc_collect(2), 2);
}

/* ---- callbacks and cycles ---- */

static void a_weak_reference_in_the_trash_does_not_call_back(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_plain, 1, 2);
    cairn_weak *weak = weak_to(cell, 5);
    cell_set(cell->refs[0], 1, cell_of(&weak->object)); /* the trash holds it */
    weak_drop(weak);
    cell_drop(cell);
    assert_true(gc_collect(2) >= 2);
    assert_string_equal(journal_sorted(), "D1 D2");
}

static void a_weak_reference_to_its_own_holder_does_not_call_back(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_plain, 1, 1);
    cairn_weak *weak = cairn_weak_new(object_of(cell), require_all_dead, object_of(cell));
    cell_set(cell, 1, cell_of(&weak->object));
    weak_drop(weak);
    cell_drop(cell);
    assert_true(gc_collect(2) >= 1);
    assert_string_equal(journal(), "D1");
}

static void trash_with_a_live_weak_reference_calls_back(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_plain, 1, 2);
    struct cell *context = cell_new(&cell_plain, 3);
    watched[0] = watched[1] = watched[2] = watched[3] = cairn_weak_new(object_of(cell), require_all_dead,
                                                                       object_of(context));
    cell_drop(context);
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal_sorted(), "A0 D1 D2 D3");
    weak_drop(watched[0]);
}

/* Two pieces of trash with weak references to each other, and one from the living. */
static void of_weak_references_to_trash_only_the_living_call_back(void **state)
{
    (void)state;
    struct cell *a = cell_cycle(&cell_plain, 1, 1);
    struct cell *b = cell_cycle(&cell_plain, 2, 1);
    cairn_weak *to_a = weak_to(a, 5);
    cairn_weak *to_b = weak_to(b, 6);
    cairn_weak *live = weak_to(a, 7);
    cell_set(b, 1, cell_of(&to_a->object));
    cell_set(a, 1, cell_of(&to_b->object));
    weak_drop(to_a);
    weak_drop(to_b);
    cell_drop(a);
    cell_drop(b);
    assert_true(gc_collect(2) >= 2);
    const char *text = journal();
    assert_true(strstr(text, "W7") && !strstr(text, "W5") && !strstr(text, "W6"));
    weak_drop(live);
}

/* What a callback was given is the referent of one in the trash, and dies with the callback. */
static void one_in_the_trash_does_not_call_back_for_what_a_callback_lets_die(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_plain, 1, 1);
    struct cell *context = cell_new(&cell_plain, 2);
    cairn_weak *live = cairn_weak_new(object_of(cell), collect_in_callback, object_of(context));
    cairn_weak *trash = weak_to(context, 5);
    cell_set(cell, 1, cell_of(&trash->object));
    weak_drop(trash);
    cell_drop(context);
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal_sorted(), "C0 D1 D2");
    weak_drop(live);
}

static void an_old_weak_reference_to_young_trash_calls_back(void **state)
{
    (void)state;
    struct cell *holder = cell_new(&cell_plain, 1);
    gc_collect(1);
    gc_collect(1);
    struct cell *young = cell_cycle(&cell_plain, 2, 2);
    cairn_weak *weak = weak_to(young, 5);
    cell_set(holder, 0, cell_of(&weak->object));
    weak_drop(weak);
    cell_drop(young);
    assert_int_equal(gc_collect(0), 2);
    assert_int_equal(strncmp(journal(), "W5 ", 3), 0);
    cell_drop(holder);
}

/* ---- which are there: reuse, order, counting ---- */

static void without_a_callback_the_same_one_is_given(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *a = weak_to(cell, 0);
    cairn_weak *b = weak_to(cell, 0);
    assert_ptr_equal(a, b);
    assert_int_equal(cairn_count(&a->object), 2);
    cairn_weak *c = weak_to(cell, 5);
    cairn_weak *d = weak_to(cell, 5);
    assert_true(c != a && d != a && c != d);
    assert_int_equal(cairn_weak_count(object_of(cell)), 3);
    weak_drop(a);
    weak_drop(b);
    assert_int_equal(cairn_weak_count(object_of(cell)), 2);
    weak_drop(c);
    weak_drop(d);
    cell_drop(cell);
}

static void they_are_listed_without_callback_first_then_newest_first(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *with[3];
    with[0] = weak_to(cell, 5);
    with[1] = weak_to(cell, 6);
    cairn_weak *without = weak_to(cell, 0);
    with[2] = weak_to(cell, 7);
    cairn_weak *expected[] = {without, with[2], with[1], with[0]};
    for (size_t i = 0; i < 4; i++) {
        cairn_weak *at = cairn_weak_at(object_of(cell), i);
        assert_ptr_equal(at, expected[i]);
        weak_drop(at);
    }
    assert_null(cairn_weak_at(object_of(cell), 4));
    weak_drop(without);
    for (int i = 0; i < 3; i++) {
        weak_drop(with[i]);
    }
    cell_drop(cell);
}

static void types_without_room_for_them_refuse(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_strong_only, 1);
    errno = 0;
    assert_null(cairn_weak_new(object_of(cell), NULL, NULL));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(cairn_runtime_error(runtime), "cannot create weak reference"));
    assert_non_null(strstr(cairn_runtime_error(runtime), "strong-only"));
    assert_int_equal(cairn_weak_count(object_of(cell)), 0);
    assert_null(cairn_weak_at(object_of(cell), 0));
    struct cell *context = cell_new(&cell_plain, 2);
    assert_null(cairn_weak_new(object_of(context), NULL, object_of(context))); /* a context without a callback */
    assert_int_equal(errno, EINVAL);
    cell_drop(context);
    cell_drop(cell);
}

/* ---- made while its referent dies ---- */

static void make_weak(struct cell *self)
{
    watched[0] = weak_to(self, 0);
    watched[1] = weak_to(self, 5);
    require(weak_alive(watched[0]));
}

static void one_made_by_the_finalizer_at_death_by_count_is_cleared(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cell->on_finalize = make_weak;
    cell_drop(cell);
    assert_int_equal(strncmp(journal(), "F1", 2), 0);
    assert_false(weak_alive(watched[0]));
    assert_false(weak_alive(watched[1]));
    weak_drop(watched[0]);
    weak_drop(watched[1]);
}

static void one_made_by_a_finalizer_in_a_collection_is_cleared_without_callback(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 2);
    cell->on_finalize = make_weak;
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 2);
    assert_null(strchr(journal(), 'W'));
    assert_false(weak_alive(watched[0]));
    assert_false(weak_alive(watched[1]));
    weak_drop(watched[0]);
    weak_drop(watched[1]);
}

/* GH-91636: one to trash that has no finalizer of its own, made by its neighbour's. */
static void make_weak_to_next(struct cell *self)
{
    watched[0] = weak_to(self->refs[0], 0);
}

static void one_made_by_a_neighbours_finalizer_is_cleared_before_anything_is(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    struct cell *next = cell_new(&cell_no_clear, 2); /* survives the clearing of its neighbour for a while */
    cell->on_finalize = make_weak_to_next;
    cell_set(next, 0, cell);
    cell_hand(cell, 0, next);
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 2);
    assert_false(weak_alive(watched[0]));
    weak_drop(watched[0]);
}

/* ---- value ---- */

struct number {
    cairn_object object;
    cairn_weak *weak_list;
    uint64_t value;
};

static bool number_hash(cairn_object *self, uint64_t *hash)
{
    *hash = ((struct number *)(void *)self)->value;
    return *hash != 13; /* 13 cannot be hashed */
}

static bool number_equal(cairn_object *a, cairn_object *b)
{
    return ((struct number *)(void *)a)->value == ((struct number *)(void *)b)->value;
}

static const cairn_type number_type = {.struct_size = sizeof(cairn_type),
                                       .name = "number",
                                       .size = sizeof(struct number),
                                       .weak_offset = offsetof(struct number, weak_list),
                                       .hash = number_hash,
                                       .equal = number_equal};

static cairn_object *number(uint64_t value)
{
    cairn_object *made = cairn_object_new(runtime, &number_type, 0);
    require(made != NULL);
    ((struct number *)(void *)made)->value = value;
    return made;
}

static void equal_while_both_live_if_the_referents_are_then_by_identity(void **state)
{
    (void)state;
    cairn_object *a = number(7), *b = number(7), *c = number(8);
    cairn_weak *to_a = cairn_weak_new(a, NULL, NULL), *to_b = cairn_weak_new(b, NULL, NULL),
               *to_c = cairn_weak_new(c, NULL, NULL);
    assert_true(cairn_weak_equal(to_a, to_b));
    assert_true(cairn_object_equal(&to_a->object, &to_b->object));
    assert_false(cairn_weak_equal(to_a, to_c));
    cairn_decref(a);
    assert_false(cairn_weak_equal(to_a, to_b));
    assert_true(cairn_weak_equal(to_a, to_a));
    cairn_decref(b);
    assert_false(cairn_weak_equal(to_a, to_b));
    cairn_decref(c);
    weak_drop(to_a);
    weak_drop(to_b);
    weak_drop(to_c);
}

static void the_hash_is_the_referents_and_is_remembered(void **state)
{
    (void)state;
    cairn_object *a = number(7), *b = number(8), *c = number(13);
    cairn_weak *to_a = cairn_weak_new(a, NULL, NULL), *to_b = cairn_weak_new(b, NULL, NULL),
               *to_c = cairn_weak_new(c, NULL, NULL);
    uint64_t hash = 0, again = 0, of_a = 0;
    assert_int_equal(cairn_weak_hash(to_a, &hash), 0);
    assert_int_equal(cairn_object_hash(a, &of_a), 0);
    assert_int_equal(hash, of_a);
    assert_int_equal(cairn_object_hash(&to_a->object, &again), 0);
    assert_int_equal(again, hash);
    assert_int_equal(cairn_weak_hash(to_c, &again), EINVAL);
    cairn_decref(a);
    cairn_decref(b);
    cairn_decref(c);
    assert_int_equal(cairn_weak_hash(to_a, &again), 0);
    assert_int_equal(again, hash);
    assert_int_equal(cairn_weak_hash(to_b, &again), ENOENT);
    weak_drop(to_a);
    weak_drop(to_b);
    weak_drop(to_c);
}

static void note_call(cairn_object *referent, void *arg)
{
    require(cairn_count(referent) == *(const int *)arg);
    journal_write('P', cell_of(referent)->name);
}

static void drop_inside(cairn_object *referent, void *arg)
{
    cell_drop(arg);
    require(cairn_count(referent) == 1);
    journal_write('P', cell_of(referent)->name);
}

static void the_proxy_keeps_its_referent_while_it_is_used_and_refuses_a_dead_one(void **state)
{
    (void)state;
    int two = 2;
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *weak = weak_to(cell, 0);
    assert_int_equal(cairn_weak_call(weak, note_call, &two), 0);
    assert_int_equal(cairn_weak_call(weak, drop_inside, cell), 0);
    assert_string_equal(journal(), "P1 P1 D1");
    assert_int_equal(cairn_weak_call(weak, note_call, &two), ENOENT);
    assert_string_equal(cairn_runtime_error(runtime), "weakly-referenced object no longer exists");
    assert_string_equal(journal(), "");
    weak_drop(weak);
}

static void the_text_says_what_it_leads_to(void **state)
{
    (void)state;
    char text[128];
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *weak = weak_to(cell, 0);
    cairn_object_repr(&weak->object, text, sizeof(text));
    assert_non_null(strstr(text, "<weakref at 0x"));
    assert_non_null(strstr(text, "plain"));
    cell_drop(cell);
    cairn_object_repr(&weak->object, text, sizeof(text));
    assert_non_null(strstr(text, "; dead>"));
    weak_drop(weak);
}

/* ---- weak tables ---- */

static void an_entry_vanishes_when_what_it_holds_weakly_dies(void **state)
{
    (void)state;
    for (unsigned weak = 1; weak <= 3; weak++) {
        cairn_weak_table *table = cairn_weak_table_new(runtime, weak);
        struct cell *key = cell_new(&cell_plain, 1);
        struct cell *value = cell_new(&cell_plain, 2);
        assert_int_equal(cairn_weak_table_set(table, object_of(key), object_of(value)), 0);
        assert_int_equal(cairn_weak_table_count(table), 1);
        cairn_object *got = cairn_weak_table_get(table, object_of(key));
        assert_ptr_equal(got, value);
        cairn_decref(got);
        bool by_key = weak & CAIRN_WEAK_KEYS;
        cell_drop(by_key ? key : value);
        assert_int_equal(cairn_weak_table_count(table), 0);
        cell_drop(by_key ? value : key);
        assert_string_equal(journal(), by_key ? "D1 D2" : "D2 D1");
        cairn_decref((cairn_object *)(void *)table);
    }
}

static void an_entry_vanishes_in_a_collection(void **state)
{
    (void)state;
    cairn_weak_table *table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    for (int i = 0; i < 200; i++) {
        struct cell *key = cell_cycle(&cell_plain, NO_NAME, 2);
        assert_int_equal(cairn_weak_table_set(table, object_of(key), object_of(key->refs[0]->refs[0])), 0);
        cell_drop(key);
    }
    /* values that lead to their keys keep them: the table is no ephemeron table, as CPython's is none */
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(cairn_weak_table_count(table), 200);
    cairn_decref((cairn_object *)(void *)table);
    assert_true(gc_collect(2) >= 400);
    table = cairn_weak_table_new(runtime, CAIRN_WEAK_VALUES);
    for (uint64_t i = 0; i < 200; i++) {
        cairn_object *key = number(100 + i);
        struct cell *value = cell_cycle(&cell_plain, NO_NAME, 2);
        assert_int_equal(cairn_weak_table_set(table, key, object_of(value)), 0);
        cairn_decref(key);
        cell_drop(value);
    }
    assert_int_equal(cairn_weak_table_count(table), 200);
    assert_true(gc_collect(2) >= 400);
    assert_int_equal(cairn_weak_table_count(table), 0);
    cairn_decref((cairn_object *)(void *)table);
}

static bool drop_others(cairn_object *key, cairn_object *value, void *arg)
{
    struct cell **cells = arg;
    (void)value;
    for (int i = 0; i < 8; i++) {
        if (cells[i] && object_of(cells[i]) != key) {
            cell_drop(cells[i]);
            cells[i] = NULL;
        }
    }
    gc_collect(2);
    journal_write('V', cell_of(key)->name);
    return true;
}

static void while_a_table_is_visited_dead_entries_are_not_shown(void **state)
{
    (void)state;
    struct cell *cells[8];
    cairn_weak_table *table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    struct cell *value = cell_new(&cell_plain, 9);
    for (int i = 0; i < 8; i++) {
        cells[i] = cell_new(&cell_plain, i);
        assert_int_equal(cairn_weak_table_set(table, object_of(cells[i]), object_of(value)), 0);
    }
    assert_true(cairn_weak_table_visit(table, drop_others, cells));
    assert_string_equal(journal_sorted(), "D1 D2 D3 D4 D5 D6 D7 V0");
    assert_int_equal(cairn_weak_table_count(table), 1);
    cell_drop(cells[0]);
    assert_int_equal(cairn_weak_table_count(table), 0);
    cell_drop(value);
    cairn_decref((cairn_object *)(void *)table);
}

static void keys_are_told_apart_by_value(void **state)
{
    (void)state;
    cairn_weak_table *table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS);
    cairn_object *a = number(7), *b = number(7), *c = number(9), *bad = number(13);
    struct cell *value = cell_new(&cell_plain, 1);
    struct cell *other = cell_new(&cell_plain, 2);
    assert_int_equal(cairn_weak_table_set(table, a, object_of(value)), 0);
    assert_int_equal(cairn_weak_table_set(table, b, object_of(other)), 0); /* replaces */
    assert_int_equal(cairn_weak_table_count(table), 1);
    cairn_object *got = cairn_weak_table_get(table, a);
    assert_ptr_equal(got, other);
    cairn_decref(got);
    assert_null(cairn_weak_table_get(table, c));
    assert_int_equal(cairn_weak_table_remove(table, c), ENOENT);
    assert_int_equal(cairn_weak_table_set(table, bad, object_of(value)), EINVAL);
    assert_int_equal(cairn_weak_table_remove(table, b), 0);
    assert_int_equal(cairn_weak_table_count(table), 0);
    cairn_decref(a);
    cairn_decref(b);
    cairn_decref(c);
    cairn_decref(bad);
    cell_drop(value);
    cell_drop(other);
    cairn_decref((cairn_object *)(void *)table);
}

static void a_table_refuses_what_cannot_be_held_weakly(void **state)
{
    (void)state;
    errno = 0;
    assert_null(cairn_weak_table_new(runtime, 0));
    assert_int_equal(errno, EINVAL);
    cairn_weak_table *table = cairn_weak_table_new(runtime, CAIRN_WEAK_KEYS | CAIRN_WEAK_VALUES);
    struct cell *strong = cell_new(&cell_strong_only, 1);
    struct cell *cell = cell_new(&cell_plain, 2);
    assert_int_equal(cairn_weak_table_set(table, object_of(strong), object_of(cell)), EINVAL);
    assert_int_equal(cairn_weak_table_set(table, object_of(cell), object_of(strong)), EINVAL);
    assert_int_equal(cairn_weak_table_count(table), 0);
    cell_drop(strong);
    cell_drop(cell);
    cairn_decref((cairn_object *)(void *)table);
}

/* Threads that change, read and visit the same table, while one collects all the time: what a table shows is alive and
 * belongs together, and in the end it holds nothing. */
enum { TABLE_USERS = 3, IN_USE = 32 };

struct table_test {
    cairn_weak_table *table;
    unsigned weak;
    int rounds;
    int next_name;
    atomic_uint started, users;
    size_t shown, found, vanished;
    size_t collections;
};

/* Gives the GIL up: the collecting thread may run here. */
static void let_others_run(void)
{
    cairn_gil_release(runtime);
    sched_yield();
    cairn_gil_acquire(runtime);
}

/* Until a collection that began after now has ended. */
static void wait_for_collection(const struct table_test *test)
{
    size_t before = test->collections;
    while (test->collections == before) {
        let_others_run();
    }
}

static bool see_entry(cairn_object *key, cairn_object *value, void *arg)
{
    struct table_test *test = arg;
    require(cairn_count(key) > 0 && cairn_count(value) > 0);
    require(cell_of(key)->name == cell_of(value)->name);
    test->shown++;
    if (test->shown % 16 == 0) {
        let_others_run();
        require(cairn_count(key) > 0 && cairn_count(value) > 0); /* the visit keeps them */
    }
    return true;
}

/* A new pair in the table, each in a cycle of its own: dropped it is trash. */
static void table_add(struct table_test *test, struct cell **key, struct cell **value)
{
    int name = -2 - test->next_name++;
    *key = cell_cycle(&cell_plain, name, 2);
    *value = cell_cycle(&cell_plain, name, 2);
    require(cairn_weak_table_set(test->table, object_of(*key), object_of(*value)) == 0);
}

/* Is the pair there, and right? */
static void table_look(struct table_test *test, struct cell *key, const struct cell *value, bool must)
{
    cairn_object *got = cairn_weak_table_get(test->table, object_of(key));
    require(!got || cell_of(got) == value);
    require(got || !must);
    test->found += got != NULL;
    test->vanished += got == NULL;
    cairn_xdecref(got);
}

/* Gives a pair up. A value held weakly goes first: its entry may vanish at any time then. */
static void table_let_go(struct table_test *test, struct cell *key, struct cell *value)
{
    table_look(test, key, value, true);
    cell_drop(value);
    if (test->weak == CAIRN_WEAK_VALUES) {
        if (key->name % 16 == 0) {
            wait_for_collection(test);
        }
        table_look(test, key, value, false);
    }
    cell_drop(key);
}

static void *use_table(void *arg)
{
    struct table_test *test = arg;
    struct cell *keys[IN_USE] = {NULL};
    struct cell *values[IN_USE] = {NULL};
    atomic_fetch_add(&test->started, 1);
    cairn_gil_acquire(runtime);
    for (int round = 0; round < test->rounds; round++) {
        int i = round % IN_USE;
        if (keys[i]) {
            table_let_go(test, keys[i], values[i]);
        }
        table_add(test, &keys[i], &values[i]);
        if (round % 7 == 0) {
            require(cairn_weak_table_visit(test->table, see_entry, test));
        }
        if (round % 3 == 0) {
            let_others_run();
        }
        if (round % 64 == 0) {
            wait_for_collection(test);
        }
        cairn_runtime_poll(runtime);
    }
    for (int i = 0; i < IN_USE && keys[i]; i++) {
        table_let_go(test, keys[i], values[i]);
    }
    atomic_fetch_sub(&test->users, 1);
    cairn_gil_release(runtime);
    return NULL;
}

static void *collect_meanwhile(void *arg)
{
    struct table_test *test = arg;
    atomic_fetch_add(&test->started, 1);
    cairn_gil_acquire(runtime);
    while (atomic_load(&test->users) > 0) {
        require(gc_collect(2) >= 0);
        test->collections++;
        let_others_run();
    }
    cairn_gil_release(runtime);
    return NULL;
}

static void tables_stay_right_while_another_thread_collects(void **state)
{
    (void)state;
    cairn_gil_set_switch_interval(runtime, 20);
    for (unsigned weak = 1; weak <= 3; weak++) {
        struct table_test test = {.table = cairn_weak_table_new(runtime, weak), .weak = weak};
        pthread_t threads[TABLE_USERS + 1];
        test.rounds = (int)test_scaled(1000);
        atomic_store(&test.users, TABLE_USERS);
        for (int t = 0; t <= TABLE_USERS; t++) {
            start_thread(&threads[t], t < TABLE_USERS ? use_table : collect_meanwhile, &test);
        }
        while (atomic_load(&test.started) <= TABLE_USERS) {
            sched_yield();
        }
        cairn_gil_release(runtime);
        for (int t = 0; t <= TABLE_USERS; t++) {
            join_thread(threads[t]);
        }
        cairn_gil_acquire(runtime);
        while (gc_collect(2) > 0) { /* values that the table held are trash after their keys */
        }
        assert_int_equal(cairn_weak_table_count(test.table), 0);
        assert_true(test.shown > 0 && test.found > 0 && (weak != CAIRN_WEAK_VALUES || test.vanished > 0));
        assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
        cairn_decref((cairn_object *)(void *)test.table);
        assert_true(test.collections > (size_t)test.rounds / 64); /* in between, not before or after */
    }
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.objects_made, stats.objects_died);
}

/* ---- registered finalizers ---- */

static void write_number(void *arg)
{
    journal_write('R', *(const int *)arg);
}

static int numbers[] = {0, 1, 2, 3, 4};

static void finalizer_drop(cairn_finalizer *finalizer)
{
    cairn_decref((cairn_object *)(void *)finalizer);
}

static cairn_finalizer *registered(struct cell *cell, int which, bool at_end)
{
    cairn_finalizer *made = cairn_finalizer_add(object_of(cell), write_number, &numbers[which], at_end);
    assert_non_null(made);
    return made;
}

static void registered_finalizers_run_once_newest_first(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 9);
    finalizer_drop(registered(cell, 1, true)); /* the runtime keeps it */
    cairn_finalizer *second = registered(cell, 2, true);
    cairn_finalizer *third = registered(cell, 3, true);
    cairn_finalizer *fourth = registered(cell, 4, false);
    assert_true(cairn_finalizer_call(runtime, second));
    assert_false(cairn_finalizer_call(runtime, second));
    assert_true(cairn_finalizer_detach(runtime, third));
    assert_false(cairn_finalizer_detach(runtime, third));
    assert_false(cairn_finalizer_is_alive(second) || cairn_finalizer_is_alive(third));
    assert_true(cairn_finalizer_is_alive(fourth));
    assert_string_equal(journal(), "R2");
    cell_drop(cell);
    assert_string_equal(journal(), "R4 R1 D9");
    assert_false(cairn_finalizer_is_alive(fourth));
    finalizer_drop(second);
    finalizer_drop(third);
    finalizer_drop(fourth);
    cell = cell_cycle(&cell_plain, 8, 2);
    finalizer_drop(registered(cell, 1, true));
    finalizer_drop(registered(cell, 2, true));
    cell_drop(cell);
    gc_collect(2);
    assert_int_equal(strncmp(journal(), "R2 R1 ", 6), 0);
}

static void registered_finalizers_run_at_the_end_if_they_are_to(void **state)
{
    (void)state;
    cairn_runtime *of_test = runtime;
    cairn_runtime_end end;
    runtime = cairn_runtime_create(NULL);
    struct cell *kept_alive = cell_new(&cell_plain, 9);
    finalizer_drop(registered(kept_alive, 1, true));
    finalizer_drop(registered(kept_alive, 2, false));
    finalizer_drop(registered(kept_alive, 3, true));
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &end), 0);
    runtime = of_test;
    assert_string_equal(journal(), "R3 R1");
    assert_int_equal(end.kept_objects, 1);
}

/* One made while the others run at the end comes next: it is the newest. */
static struct cell *registers_more;

static void register_more(void *arg)
{
    write_number(arg);
    finalizer_drop(registered(registers_more, 4, true));
    finalizer_drop(registered(registers_more, 0, false)); /* not to run at the end */
}

static void one_registered_while_others_run_at_the_end_runs_next(void **state)
{
    (void)state;
    cairn_runtime *of_test = runtime;
    cairn_runtime_end end;
    runtime = cairn_runtime_create(NULL);
    registers_more = cell_new(&cell_plain, 9);
    finalizer_drop(registered(registers_more, 1, true));
    finalizer_drop(cairn_finalizer_add(object_of(registers_more), register_more, &numbers[2], true));
    finalizer_drop(registered(registers_more, 3, true));
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &end), 0);
    runtime = of_test;
    assert_string_equal(journal(), "R3 R2 R4 R1");
    assert_int_equal(end.kept_objects, 1);
}

static void register_in_finalizer(struct cell *self)
{
    finalizer_drop(registered(self, 1, true));
    finalizer_drop(registered(self, 2, false));
    finalizer_drop(registered(self, 3, true));
}

static void those_that_the_last_finalizers_register_run_too(void **state)
{
    (void)state;
    cairn_runtime *of_test = runtime;
    cairn_runtime_end end;
    char *report = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&report, &size);
    runtime = cairn_runtime_create(NULL);
    struct cell *kept_alive = cell_new(&cell_final, 9);
    kept_alive->on_finalize = register_in_finalizer;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, out, &end), 0);
    runtime = of_test;
    fclose(out);
    assert_string_equal(journal(), "F9 R3 R1");
    assert_int_equal(end.kept_objects, 1); /* and none of the registry's own */
    assert_non_null(strstr(report, " ended with 1 object kept, "));
    assert_non_null(strstr(report, "         1 object  "));
    assert_null(strstr(report, "finalizer"));
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CELL_TEST(it_leads_to_its_referent_without_keeping_it),
        CELL_TEST(at_death_by_count_it_is_alive_in_the_finalizer),
        CELL_TEST(at_death_by_the_collector_it_is_dead_in_the_finalizer),
        CELL_TEST(resurrection_at_death_by_count_keeps_it_alive),
        CELL_TEST(resurrection_in_a_collection_leaves_it_dead),
        CELL_TEST(callbacks_run_newest_first),
        CELL_TEST(all_are_cleared_before_any_callback),
        CELL_TEST(a_callback_comes_once),
        CELL_TEST(one_that_dies_before_its_referent_never_calls_back),
        CELL_TEST(one_that_was_cleared_never_calls_back),
        CELL_TEST(a_callback_may_collect_and_allocate),
        CELL_TEST(callbacks_that_are_to_come_keep_their_weak_references),
        CELL_TEST(a_callback_in_a_collection_may_let_live_objects_die),
        CELL_TEST(a_weak_reference_in_the_trash_does_not_call_back),
        CELL_TEST(a_weak_reference_to_its_own_holder_does_not_call_back),
        CELL_TEST(trash_with_a_live_weak_reference_calls_back),
        CELL_TEST(of_weak_references_to_trash_only_the_living_call_back),
        CELL_TEST(one_in_the_trash_does_not_call_back_for_what_a_callback_lets_die),
        CELL_TEST(an_old_weak_reference_to_young_trash_calls_back),
        CELL_TEST(without_a_callback_the_same_one_is_given),
        CELL_TEST(they_are_listed_without_callback_first_then_newest_first),
        CELL_TEST(types_without_room_for_them_refuse),
        CELL_TEST(one_made_by_the_finalizer_at_death_by_count_is_cleared),
        CELL_TEST(one_made_by_a_finalizer_in_a_collection_is_cleared_without_callback),
        CELL_TEST(one_made_by_a_neighbours_finalizer_is_cleared_before_anything_is),
        CELL_TEST(equal_while_both_live_if_the_referents_are_then_by_identity),
        CELL_TEST(the_hash_is_the_referents_and_is_remembered),
        CELL_TEST(the_proxy_keeps_its_referent_while_it_is_used_and_refuses_a_dead_one),
        CELL_TEST(the_text_says_what_it_leads_to),
        CELL_TEST(an_entry_vanishes_when_what_it_holds_weakly_dies),
        CELL_TEST(an_entry_vanishes_in_a_collection),
        CELL_TEST(while_a_table_is_visited_dead_entries_are_not_shown),
        CELL_TEST(keys_are_told_apart_by_value),
        CELL_TEST(a_table_refuses_what_cannot_be_held_weakly),
        CELL_TEST(tables_stay_right_while_another_thread_collects),
        CELL_TEST(registered_finalizers_run_once_newest_first),
        CELL_TEST(registered_finalizers_run_at_the_end_if_they_are_to),
        CELL_TEST(one_registered_while_others_run_at_the_end_runs_next),
        CELL_TEST(those_that_the_last_finalizers_register_run_too),
    };
    return cmocka_run_group_tests_name("rules of weak references", tests, NULL, NULL);
}
