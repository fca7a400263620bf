/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_gc_rules.c: the rules of CPython 3.13's collector that a C object model can have, one test each, named after the
 * rule; among them what CPython's own test_gc asks, with the same counts. Finalizers have test_finalization.c, weak
 * references test_weakref_rules.c. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/cells.h"
#include "support/os_fake.h"

/* ---- what the tests share ---- */

static unsigned collector_count(int generation)
{
    unsigned counts[3];
    cairn_collector_get_count(runtime, counts);
    return counts[generation];
}

static cairn_collector_stats collector_stats(int generation)
{
    cairn_collector_stats stats[3];
    cairn_collector_get_stats(runtime, stats);
    return stats[generation];
}

static int generation_of(const struct cell *cell)
{
    return cairn_object_generation(&cell->object);
}

static void thresholds(unsigned t0, unsigned t1, unsigned t2)
{
    unsigned values[3] = {t0, t1, t2};
    assert_int_equal(cairn_collector_set_threshold(runtime, values, 3), 0);
    cairn_collector_enable(runtime);
}

/* The generations collected so far, as digits. */
static char ran[64];

static void note_generation(cairn_runtime *of, const cairn_collector_info *info, void *arg)
{
    (void)of;
    (void)arg;
    if (!info->stop && strlen(ran) + 1 < sizeof(ran)) {
        ran[strlen(ran)] = (char)('0' + info->generation);
    }
}

static void note_generations(void)
{
    memset(ran, 0, sizeof(ran));
    assert_int_equal(cairn_collector_add_callback(runtime, note_generation, NULL), 0);
}

static void drop_cycle(const cairn_type *type, int first, int count)
{
    cell_drop(cell_cycle(type, first, count));
}

/* ---- counts: test_list, test_dict, test_tuple, test_instance, ... ---- */

static void a_list_that_holds_itself_counts_1(void **state)
{
    (void)state;
    drop_cycle(&cell_plain, 1, 1);
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "D1");
}

static void a_dict_that_holds_itself_counts_1(void **state)
{
    (void)state;
    struct cell *dict = cell_new(&cell_plain, 1);
    cell_set(dict, 1, dict); /* as a value */
    cell_set(dict, 2, dict); /* twice */
    cell_drop(dict);
    assert_int_equal(gc_collect(2), 1);
}

static void an_instance_and_its_dict_count_2(void **state)
{
    (void)state;
    struct cell *instance = cell_new(&cell_plain, 1);
    struct cell *dict = cell_new(&cell_plain, 2);
    cell_hand(instance, 0, dict);
    cell_set(dict, 0, instance);
    cell_drop(instance);
    assert_int_equal(gc_collect(2), 2);
}

static void a_tuple_in_a_list_in_it_counts_2(void **state)
{
    (void)state;
    struct cell *list = cell_new(&cell_plain, 1);
    struct cell *tuple = cell_new(&cell_no_clear, 2);
    cell_set(tuple, 0, list);
    cell_hand(list, 0, tuple);
    cell_drop(list);
    assert_int_equal(gc_collect(2), 2);
    assert_int_equal(gc_collect(2), 0);
}

static void a_cycle_that_nothing_can_break_is_found_and_stays(void **state)
{
    (void)state;
    struct cell *tuple = cell_cycle(&cell_no_clear, 1, 2);
    cell_drop(tuple);
    assert_int_equal(gc_collect(2), 2);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal(), "");
    cell_keep(tuple);
    cell_set(tuple->refs[0], 0, NULL);
    cell_drop(tuple);
    assert_string_equal(journal_sorted(), "D1 D2");
}

static void what_trash_leads_to_is_trash(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_plain, 1, 2);
    cell_hand(cycle, 1, cell_new(&cell_plain, 3));
    cell_hand(cycle, 2, cell_new(&cell_atom, 4));
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 3); /* an atom is no trash: it dies by its count */
    assert_non_null(strstr(journal(), "D4"));
}

static void what_is_held_from_outside_lives_with_all_it_leads_to(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_plain, 1, 3);
    struct cell *other = cell_cycle(&cell_plain, 4, 2);
    cell_hand(cycle->refs[0]->refs[0], 1, other);
    assert_int_equal(gc_collect(2), 0);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 5);
}

/* ---- gc_collect() ---- */

static void a_generation_that_is_none_is_EINVAL(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(gc_collect(3), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(gc_collect(-1), -1);
    assert_int_equal(errno, EINVAL);
}

static void it_works_while_disabled(void **state)
{
    (void)state;
    assert_false(cairn_collector_is_enabled(runtime));
    drop_cycle(&cell_plain, 1, 2);
    assert_int_equal(gc_collect(2), 2);
    cairn_collector_enable(runtime);
    assert_true(cairn_collector_is_enabled(runtime));
}

static void collect_inside(struct cell *self)
{
    require(gc_collect(2) == 0);
    journal_write('C', self->name);
}

static void collect_in_callback(cairn_runtime *of, const cairn_collector_info *info, void *arg)
{
    (void)info;
    (void)arg;
    require(cairn_collect(of, 2) == 0);
    journal_write('C', 0);
}

static void a_collection_inside_a_collection_returns_0(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 2);
    cycle->on_finalize = collect_inside;
    cell_drop(cycle);
    assert_int_equal(cairn_collector_add_callback(runtime, collect_in_callback, NULL), 0);
    assert_int_equal(gc_collect(2), 2);
    const char *text = journal();
    assert_true(strncmp(text, "C0 F", 4) == 0 && strcmp(text + strlen(text) - 3, " C0") == 0);
    assert_non_null(strstr(text, "C1"));
    assert_int_equal(cairn_collector_remove_callback(runtime, collect_in_callback, NULL), 0);
}

static void the_resurrected_are_not_counted(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 3);
    cycle->on_finalize = keep_self;
    cell_drop(cycle);
    drop_cycle(&cell_plain, 4, 2);
    assert_int_equal(gc_collect(2), 2);
    assert_int_equal(collector_stats(2).collected, 2);
    kept_drop();
    assert_int_equal(gc_collect(2), 3);
    assert_int_equal(collector_stats(2).collected, 5);
}

static void uncollectable_ones_are_counted(void **state)
{
    (void)state;
    drop_cycle(&cell_legacy, 1, 1);
    drop_cycle(&cell_plain, 2, 2);
    assert_int_equal(gc_collect(2), 3);
    assert_int_equal(collector_stats(2).collected, 2);
    assert_int_equal(collector_stats(2).uncollectable, 1);
    break_self(cell_of(cairn_collector_garbage_at(runtime, 0)));
    cairn_collector_garbage_clear(runtime);
}

static void a_full_collection_empties_the_caches(void **state)
{
    (void)state;
    cairn_runtime_stats stats;
    for (int generation = 0; generation < 3; generation++) {
        cell_drop(cell_new(&cell_cached, 1));
        cairn_runtime_get_stats(runtime, &stats);
        assert_true(stats.cached_bytes > 0);
        assert_int_equal(gc_collect(generation), 0);
        cairn_runtime_get_stats(runtime, &stats);
        assert_int_equal(stats.cached_bytes > 0, generation < 2);
    }
}

/* ---- counts, thresholds, generations ---- */

static void get_count_counts_tracked_allocations_less_deallocations(void **state)
{
    (void)state;
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(collector_count(0), 0);
    struct cell *a = cell_new(&cell_plain, 1);
    struct cell *b = cell_new(&cell_plain, 2);
    assert_int_equal(collector_count(0), 2);
    struct cell *atom = cell_new(&cell_atom, 3);
    assert_int_equal(collector_count(0), 2);
    cell_drop(atom);
    cell_drop(a);
    assert_int_equal(collector_count(0), 1);
    assert_int_equal(gc_collect(0), 0);
    assert_int_equal(collector_count(0), 0);
    cell_drop(b);
    assert_int_equal(collector_count(0), 0); /* never below 0 */
}

static void collections_move_the_counts_of_generations(void **state)
{
    (void)state;
    gc_collect(2);
    gc_collect(0);
    assert_int_equal(collector_count(1), 1);
    assert_int_equal(collector_count(2), 0);
    gc_collect(1);
    assert_int_equal(collector_count(1), 0);
    assert_int_equal(collector_count(2), 1);
    gc_collect(2);
    assert_int_equal(collector_count(1), 0);
    assert_int_equal(collector_count(2), 0);
}

static void generation_0_runs_when_its_count_is_above_its_threshold(void **state)
{
    (void)state;
    struct cell *cells[8];
    note_generations();
    gc_collect(2);
    memset(ran, 0, sizeof(ran));
    thresholds(5, 100, 100);
    for (int i = 0; i < 5; i++) {
        cells[i] = cell_new(&cell_plain, i);
    }
    assert_string_equal(ran, "");
    cells[5] = cell_new(&cell_plain, 5);
    cells[6] = cell_new(&cell_plain, 6); /* at the latest: the count is 6 before it */
    assert_string_equal(ran, "0");
    for (int i = 0; i < 7; i++) {
        cell_drop(cells[i]);
    }
}

static void allocation_and_death_in_turns_start_no_collection(void **state)
{
    (void)state;
    note_generations();
    thresholds(5, 0, 0);
    for (int i = 0; i < 1000; i++) {
        cell_drop(cell_new(&cell_plain, -1));
    }
    assert_string_equal(ran, "");
}

static void threshold_0_turns_automatic_collections_off(void **state)
{
    (void)state;
    unsigned off[1] = {0};
    unsigned values[3];
    note_generations();
    thresholds(5, 6, 7);
    assert_int_equal(cairn_collector_set_threshold(runtime, off, 1), 0);
    cairn_collector_get_threshold(runtime, values);
    assert_true(values[0] == 0 && values[1] == 6 && values[2] == 7);
    for (int i = 0; i < 100; i++) {
        drop_cycle(&cell_plain, -1, 1);
    }
    assert_string_equal(ran, "");
    assert_int_equal(gc_collect(2), 100);
}

static void disable_turns_automatic_collections_off(void **state)
{
    (void)state;
    note_generations();
    thresholds(5, 10, 10);
    cairn_collector_disable(runtime);
    for (int i = 0; i < 100; i++) {
        drop_cycle(&cell_plain, -1, 1);
    }
    assert_string_equal(ran, "");
}

static void set_threshold_takes_1_to_3(void **state)
{
    (void)state;
    unsigned values[4] = {11, 12, 13, 14};
    unsigned now[3];
    cairn_collector_get_threshold(runtime, now);
    assert_true(now[0] == 2000 && now[1] == 10 && now[2] == 10);
    assert_int_equal(cairn_collector_set_threshold(runtime, values, 0), EINVAL);
    assert_int_equal(cairn_collector_set_threshold(runtime, values, 4), EINVAL);
    assert_int_equal(cairn_collector_set_threshold(runtime, values, 2), 0);
    cairn_collector_get_threshold(runtime, now);
    assert_true(now[0] == 11 && now[1] == 12 && now[2] == 10);
}

static void generation_1_runs_when_0_ran_more_often_than_its_threshold(void **state)
{
    (void)state;
    note_generations();
    gc_collect(2);
    memset(ran, 0, sizeof(ran));
    thresholds(5, 2, 100);
    while (strlen(ran) < 12) {
        drop_cycle(&cell_plain, -1, 1);
    }
    assert_string_equal(ran, "000100010001");
}

/* Objects that live, in a chain; returns its head. */
static struct cell *live_chain(size_t count)
{
    struct cell *head = cell_new(&cell_plain, -1);
    for (size_t i = 1; i < count; i++) {
        struct cell *next = cell_new(&cell_plain, -1);
        cell_hand(next, 0, head);
        head = next;
    }
    return head;
}

static void generation_2_waits_until_a_quarter_of_the_survivors_is_new(void **state)
{
    (void)state;
    struct cell *old = live_chain(400);
    assert_int_equal(gc_collect(2), 0);
    note_generations();
    thresholds(4, 1, 1);
    while (strlen(ran) < 40) {
        drop_cycle(&cell_plain, -1, 1); /* nothing survives */
    }
    assert_null(strchr(ran, '2'));
    memset(ran, 0, sizeof(ran));
    struct cell *young = live_chain(90);
    memset(ran, 0, sizeof(ran));
    while (strlen(ran) < 20) {
        drop_cycle(&cell_plain, -1, 1);
    }
    assert_null(strchr(ran, '2')); /* 90 is less than a quarter of 400 */
    memset(ran, 0, sizeof(ran));
    struct cell *more = live_chain(20);
    while (strlen(ran) < 20 && !strchr(ran, '2')) {
        drop_cycle(&cell_plain, -1, 1);
    }
    assert_non_null(strchr(ran, '2'));
    cairn_collector_disable(runtime);
    cell_drop(old);
    cell_drop(young);
    cell_drop(more);
}

static void survivors_move_one_generation_up(void **state)
{
    (void)state;
    struct cell *a = cell_new(&cell_plain, 1);
    assert_int_equal(generation_of(a), 0);
    gc_collect(0);
    assert_int_equal(generation_of(a), 1);
    struct cell *b = cell_new(&cell_plain, 2);
    gc_collect(0);
    assert_int_equal(generation_of(a), 1);
    assert_int_equal(generation_of(b), 1);
    gc_collect(1);
    assert_int_equal(generation_of(a), 2);
    struct cell *c = cell_new(&cell_plain, 3);
    gc_collect(2);
    assert_int_equal(generation_of(a), 2);
    assert_int_equal(generation_of(c), 2);
    cell_drop(a);
    cell_drop(b);
    cell_drop(c);
}

static void a_young_collection_leaves_old_trash(void **state)
{
    (void)state;
    struct cell *old = cell_cycle(&cell_plain, 1, 2);
    gc_collect(1);
    gc_collect(1);
    cell_drop(old);
    drop_cycle(&cell_plain, 3, 2);
    assert_int_equal(gc_collect(0), 2);
    assert_int_equal(gc_collect(1), 0);
    assert_int_equal(gc_collect(2), 2);
}

static void what_an_old_object_refers_to_is_no_young_trash(void **state)
{
    (void)state;
    struct cell *old = cell_cycle(&cell_plain, 1, 1);
    gc_collect(1);
    gc_collect(1);
    cell_hand(old, 1, cell_cycle(&cell_plain, 2, 2));
    cell_drop(old);
    assert_int_equal(gc_collect(1), 0);
    assert_int_equal(gc_collect(2), 3);
}

/* ---- get_objects, get_referents, get_referrers, is_tracked, is_finalized ---- */

struct found {
    cairn_object *objects[16];
    size_t count;
};

static bool find(cairn_object *object, void *arg)
{
    struct found *found = arg;
    require(found->count < COUNT_OF(found->objects));
    found->objects[found->count++] = object;
    return true;
}

static void find_each(cairn_object *object, void *arg)
{
    find(object, arg);
}

static bool find_one(cairn_object *object, void *arg)
{
    find(object, arg);
    return false;
}

static struct found objects_of(int generation)
{
    struct found found = {.count = 0};
    assert_true(cairn_collector_visit_objects(runtime, generation, find, &found));
    return found;
}

static void get_objects_shows_each_generation(void **state)
{
    (void)state;
    struct cell *cells[3];
    for (int i = 2; i >= 0; i--) {
        cells[i] = cell_new(&cell_plain, i);
        if (i > 0) {
            gc_collect(i == 2 ? 1 : 0);
        }
    }
    /* 2 went through a collection of 1 (to 1 then 2), 1 through one of 0 */
    gc_collect(1);
    struct cell *young = cell_new(&cell_plain, 4);
    struct found found = objects_of(0);
    assert_int_equal(found.count, 1);
    assert_ptr_equal(found.objects[0], young);
    size_t total = 0;
    for (int g = 0; g < 3; g++) {
        total += objects_of(g).count;
    }
    assert_int_equal(total, 4);
    assert_int_equal(objects_of(-1).count, 4);
    for (int i = 0; i < 3; i++) {
        cell_drop(cells[i]);
    }
    cell_drop(young);
    assert_int_equal(objects_of(-1).count, 0);
}

static void get_objects_refuses_a_generation_that_is_none(void **state)
{
    (void)state;
    struct found found = {.count = 0};
    struct cell *a = cell_new(&cell_plain, 1);
    for (int generation = -2; generation <= 4; generation++) {
        if (generation >= -1 && generation < 3) {
            continue;
        }
        errno = 0;
        assert_false(cairn_collector_visit_objects(runtime, generation, find, &found));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(found.count, 0);
    cell_drop(a);
}

static void get_objects_is_in_order_of_address_and_can_be_ended(void **state)
{
    (void)state;
    struct cell *cells[8];
    for (int i = 0; i < 8; i++) {
        cells[i] = cell_new(&cell_plain, i);
    }
    struct found found = objects_of(-1);
    assert_int_equal(found.count, 8);
    for (size_t i = 1; i < found.count; i++) {
        assert_true(found.objects[i - 1] < found.objects[i]);
    }
    found.count = 0;
    assert_false(cairn_collector_visit_objects(runtime, 0, find_one, &found));
    assert_int_equal(found.count, 1);
    for (int i = 0; i < 8; i++) {
        cell_drop(cells[i]);
    }
}

static void get_referents_shows_what_traverse_shows_duplicates_too(void **state)
{
    (void)state;
    struct cell *a = cell_new(&cell_plain, 1);
    struct cell *b = cell_new(&cell_atom, 2);
    struct cell *half = cell_new(&cell_half, 3);
    struct found found = {.count = 0};
    cell_set(a, 0, b);
    cell_set(a, 2, b);
    cell_set(a, 3, a);
    cairn_object_visit_referents(&a->object, find_each, &found);
    assert_int_equal(found.count, 3);
    assert_true(found.objects[0] == &b->object && found.objects[1] == &b->object && found.objects[2] == &a->object);
    found.count = 0;
    cell_set(half, 0, a);
    cell_set(half, 1, b);
    cairn_object_visit_referents(&half->object, find_each, &found);
    assert_int_equal(found.count, 1);
    found.count = 0;
    cairn_object_visit_referents(&b->object, find_each, &found);
    assert_int_equal(found.count, 0);
    cell_drop(half);
    cell_set(a, 3, NULL);
    cell_drop(a);
    cell_drop(b);
}

static void get_referrers_finds_tracked_containers_only(void **state)
{
    (void)state;
    struct cell *target = cell_new(&cell_atom, 1);
    struct cell *one = cell_new(&cell_plain, 2);
    struct cell *two = cell_new(&cell_plain, 3);
    struct cell *secret = cell_new(&cell_secret, 4);
    struct cell *untracked = cell_new(&cell_untracked, 5);
    struct cell *referrers[] = {one, two, secret, untracked};
    for (size_t i = 0; i < 4; i++) {
        cell_set(referrers[i], 1, target);
    }
    cell_set(one, 2, target);
    gc_collect(2); /* they need not be young */
    struct found found = {.count = 0};
    assert_true(cairn_collector_visit_referrers(runtime, &target->object, find, &found));
    assert_int_equal(found.count, 2);
    assert_true((found.objects[0] == &one->object && found.objects[1] == &two->object) ||
                (found.objects[1] == &one->object && found.objects[0] == &two->object));
    found.count = 0;
    assert_false(cairn_collector_visit_referrers(runtime, &target->object, find_one, &found));
    for (size_t i = 0; i < 4; i++) {
        cell_drop(referrers[i]);
    }
    cell_drop(target);
}

static void is_tracked_is_true_of_containers(void **state)
{
    (void)state;
    struct cell *atom = cell_new(&cell_atom, 1);
    struct cell *secret = cell_new(&cell_secret, 2);
    struct cell *plain = cell_new(&cell_plain, 3);
    struct cell *late = cell_new(&cell_untracked, 4);
    assert_false(cairn_object_is_tracked(&atom->object));
    assert_false(cairn_object_is_tracked(&secret->object));
    assert_true(cairn_object_is_tracked(&plain->object));
    assert_false(cairn_object_is_tracked(&late->object));
    assert_int_equal(generation_of(late), -1);
    cairn_object_track(&late->object);
    assert_true(cairn_object_is_tracked(&late->object));
    assert_int_equal(generation_of(late), 0);
    cairn_object_untrack(&late->object);
    cairn_object_untrack(&late->object); /* no fault */
    assert_false(cairn_object_is_tracked(&late->object));
    cell_drop(atom);
    cell_drop(secret);
    cell_drop(plain);
    cell_drop(late);
}

static void a_collection_untracks_what_holds_nothing_tracked(void **state)
{
    (void)state;
    struct cell *of_atoms = cell_new(&cell_untrackable, 1);
    struct cell *of_cells = cell_new(&cell_untrackable, 2);
    struct cell *cell = cell_new(&cell_plain, 3);
    cell_hand(of_atoms, 0, cell_new(&cell_atom, 4));
    cell_set(of_cells, 0, cell);
    assert_true(cairn_object_is_tracked(&of_atoms->object));
    gc_collect(0);
    assert_false(cairn_object_is_tracked(&of_atoms->object));
    assert_true(cairn_object_is_tracked(&of_cells->object));
    cell_drop(of_atoms);
    cell_drop(of_cells);
    cell_drop(cell);
}

static void an_untracked_container_holds_what_it_refers_to(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_plain, 1, 2);
    cairn_object_untrack(&cycle->object);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 0);
    cairn_object_track(&cycle->object);
    assert_int_equal(gc_collect(2), 2);
}

static void is_finalized_is_true_after_the_finalizer_ran(void **state)
{
    (void)state;
    struct cell *by_count = cell_new(&cell_final, 1);
    struct cell *atom = cell_new(&cell_atom_final, 2);
    by_count->on_finalize = keep_self;
    atom->on_finalize = keep_self;
    assert_false(cairn_object_is_finalized(&by_count->object));
    cell_drop(by_count);
    assert_true(cairn_object_is_finalized(&by_count->object));
    cell_drop(atom);
    assert_false(cairn_object_is_finalized(&atom->object));
    struct cell *cycle = cell_cycle(&cell_final, 3, 1);
    cycle->on_finalize = keep_self;
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 0);
    assert_true(cairn_object_is_finalized(&cycle->object));
    atom->on_finalize = NULL;
    kept_drop();
    assert_int_equal(gc_collect(2), 1);
}

/* ---- freeze ---- */

static void freeze_hides_everything_from_collections(void **state)
{
    (void)state;
    struct cell *live = cell_new(&cell_plain, 1);
    drop_cycle(&cell_plain, 2, 2);
    cairn_collector_freeze(runtime);
    assert_int_equal(cairn_collector_freeze_count(runtime), 3);
    assert_int_equal(generation_of(live), 3);
    assert_true(cairn_object_is_tracked(&live->object));
    assert_int_equal(objects_of(0).count + objects_of(1).count + objects_of(2).count, 0);
    assert_int_equal(gc_collect(2), 0);
    drop_cycle(&cell_plain, 4, 2);
    assert_int_equal(gc_collect(2), 2);
    cairn_collector_unfreeze(runtime);
    assert_int_equal(cairn_collector_freeze_count(runtime), 0);
    assert_int_equal(generation_of(live), 2);
    assert_int_equal(gc_collect(1), 0);
    assert_int_equal(gc_collect(2), 2);
    cell_drop(live);
}

static void what_is_frozen_dies_by_its_count(void **state)
{
    (void)state;
    struct cell *live = cell_new(&cell_plain, 1);
    cairn_collector_freeze(runtime);
    cell_drop(live);
    assert_string_equal(journal(), "D1");
    assert_int_equal(cairn_collector_freeze_count(runtime), 0);
}

static void what_a_frozen_object_refers_to_lives(void **state)
{
    (void)state;
    struct cell *frozen = cell_cycle(&cell_plain, 1, 1);
    cairn_collector_freeze(runtime);
    cell_hand(frozen, 1, cell_cycle(&cell_plain, 2, 2));
    cell_drop(frozen);
    assert_int_equal(gc_collect(2), 0);
    cairn_collector_unfreeze(runtime);
    assert_int_equal(gc_collect(2), 3);
}

/* ---- the garbage list, saveall ---- */

static void saveall_keeps_what_is_found(void **state)
{
    (void)state;
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_SAVEALL);
    assert_int_equal(cairn_collector_get_debug(runtime), CAIRN_COLLECTOR_SAVEALL);
    struct cell *cycle = cell_cycle(&cell_plain, 1, 1);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 1);
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    assert_ptr_equal(cairn_collector_garbage_at(runtime, 0), cycle);
    assert_null(cairn_collector_garbage_at(runtime, 1));
    assert_int_equal(cell_count(cycle), 2);
    assert_ptr_equal(cycle->refs[0], cycle); /* not cleared */
    assert_string_equal(journal(), "");
    assert_int_equal(gc_collect(2), 0); /* the list holds it */
    cairn_collector_set_debug(runtime, 0);
    cairn_collector_garbage_clear(runtime);
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "D1");
}

static void saveall_runs_finalizers_and_clears_weak_references(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 2);
    cairn_weak *weak = weak_to(cycle, 5);
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_SAVEALL);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 2);
    assert_int_equal(cairn_collector_garbage_count(runtime), 2);
    const char *text = journal();
    assert_true(strncmp(text, "W5 F", 4) == 0 && !strchr(text, 'D'));
    assert_false(weak_alive(weak));
    cairn_collector_set_debug(runtime, 0);
    cairn_collector_garbage_clear(runtime);
    assert_int_equal(gc_collect(2), 2);
    assert_null(strchr(journal(), 'F'));
    weak_drop(weak);
}

static void a_legacy_finalizer_in_a_cycle_makes_garbage_of_it_and_what_it_leads_to(void **state)
{
    (void)state;
    struct cell *legacy = cell_cycle(&cell_legacy, 1, 1);
    struct cell *final = cell_new(&cell_final, 2);
    cairn_weak *to_legacy = weak_to(legacy, 5);
    cairn_weak *to_final = weak_to(final, 6);
    cell_hand(legacy, 1, final);
    cell_drop(legacy);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal(), ""); /* no finalizer, no callback, nothing dies */
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    assert_ptr_equal(cairn_collector_garbage_at(runtime, 0), legacy);
    assert_true(weak_alive(to_legacy) && weak_alive(to_final));
    assert_int_equal(generation_of(final), 2);
    cell_set(legacy, 0, NULL);
    cairn_collector_garbage_clear(runtime);
    assert_string_equal(journal(), "W5 L1 F2 W6 D2 D1");
    weak_drop(to_legacy);
    weak_drop(to_final);
}

static void a_young_uncollectable_one_goes_to_the_next_generation(void **state)
{
    (void)state;
    struct cell *legacy = cell_cycle(&cell_legacy, 1, 1);
    cell_drop(legacy);
    assert_int_equal(gc_collect(0), 1);
    assert_int_equal(generation_of(legacy), 1);
    cell_set(legacy, 0, NULL);
    cairn_collector_garbage_clear(runtime);
    assert_string_equal(journal(), "L1 D1");
}

/* ---- stats, callbacks, debug lines ---- */

static void get_stats_counts_each_generation(void **state)
{
    (void)state;
    cairn_collector_stats before[3], after[3];
    cairn_collector_get_stats(runtime, before);
    gc_collect(0);
    gc_collect(1);
    drop_cycle(&cell_plain, 1, 3);
    gc_collect(1);
    gc_collect(2);
    cairn_collector_get_stats(runtime, after);
    assert_int_equal(after[0].collections - before[0].collections, 1);
    assert_int_equal(after[1].collections - before[1].collections, 2);
    assert_int_equal(after[2].collections - before[2].collections, 1);
    assert_int_equal(after[0].collected, before[0].collected);
    assert_int_equal(after[1].collected - before[1].collected, 3);
    assert_true(after[1].candidates - before[1].candidates >= 3);
    assert_true(after[1].longest_ns > 0 && after[1].nanoseconds >= after[1].longest_ns);
}

static cairn_collector_info infos[8];
static size_t info_count;

static void note_info(cairn_runtime *of, const cairn_collector_info *info, void *arg)
{
    require(of == runtime);
    journal_write(info->stop ? 'S' : 'B', *(const int *)arg);
    if (info_count < COUNT_OF(infos)) {
        infos[info_count++] = *info;
    }
}

static void callbacks_run_at_start_and_stop_in_the_order_they_were_added(void **state)
{
    (void)state;
    static const int one = 1;
    static const int two = 2;
    assert_int_equal(cairn_collector_add_callback(runtime, note_info, (void *)(uintptr_t)&one), 0);
    assert_int_equal(cairn_collector_add_callback(runtime, note_info, (void *)(uintptr_t)&two), 0);
    drop_cycle(&cell_final, 5, 1);
    info_count = 0;
    assert_int_equal(gc_collect(1), 1);
    assert_string_equal(journal(), "B1 B2 F5 D5 S1 S2");
    assert_int_equal(info_count, 4);
    assert_int_equal(infos[0].generation, 1);
    assert_int_equal(infos[2].generation, 1);
    assert_int_equal(infos[2].collected, 1);
    assert_int_equal(infos[2].uncollectable, 0);
    assert_int_equal(cairn_collector_remove_callback(runtime, note_info, (void *)(uintptr_t)&one), 0);
    assert_int_equal(cairn_collector_remove_callback(runtime, note_info, (void *)(uintptr_t)&one), ENOENT);
    gc_collect(0);
    assert_string_equal(journal(), "B2 S2");
    assert_int_equal(cairn_collector_remove_callback(runtime, note_info, (void *)(uintptr_t)&two), 0);
}

static void the_callbacks_info_sums_to_1_collected_and_4_uncollectable(void **state)
{
    (void)state;
    static const int zero = 0;
    struct cell *first = cell_new(&cell_legacy, 1);
    struct cell *second = cell_new(&cell_legacy, 2);
    assert_int_equal(cairn_collector_add_callback(runtime, note_info, (void *)(uintptr_t)&zero), 0);
    drop_cycle(&cell_plain, 5, 1);
    cell_hand(first, 0, cell_new(&cell_plain, 3));
    cell_set(first->refs[0], 0, first);
    cell_hand(second, 0, cell_new(&cell_plain, 4));
    cell_set(second->refs[0], 0, second);
    cell_drop(first);
    cell_drop(second);
    info_count = 0;
    assert_int_equal(gc_collect(2), 5);
    assert_int_equal(infos[1].collected, 1);
    assert_int_equal(infos[1].uncollectable, 4);
    assert_int_equal(cairn_collector_garbage_count(runtime), 2);
    cell_set(first->refs[0], 0, NULL);
    cell_set(second->refs[0], 0, NULL);
    cairn_collector_garbage_clear(runtime);
    cairn_collector_remove_callback(runtime, note_info, (void *)(uintptr_t)&zero);
}

static size_t lines_with(FILE *out, const char *word, const char *other)
{
    char text[512];
    size_t count = 0;
    fflush(out);
    rewind(out);
    while (fgets(text, sizeof(text), out)) {
        count += strstr(text, word) != NULL && strstr(text, other) != NULL;
    }
    return count;
}

static void debug_flags_print_a_line_for_each_object(void **state)
{
    (void)state;
    FILE *out = tmpfile();
    assert_non_null(out);
    cairn_collector_set_output(runtime, out);
    cairn_collector_set_debug(runtime,
                              CAIRN_COLLECTOR_STATS | CAIRN_COLLECTOR_COLLECTABLE | CAIRN_COLLECTOR_UNCOLLECTABLE);
    drop_cycle(&cell_plain, 1, 3);
    struct cell *legacy = cell_cycle(&cell_legacy, 4, 1);
    cell_drop(legacy);
    gc_collect(2);
    assert_int_equal(lines_with(out, "uncollectable", "<legacy "), 1);
    assert_int_equal(lines_with(out, " collectable", "<plain "), 3);
    assert_true(lines_with(out, "generation 2", "") >= 1);
    cairn_collector_set_debug(runtime, 0);
    cairn_collector_set_output(runtime, NULL);
    fclose(out);
    cell_set(legacy, 0, NULL);
    cairn_collector_garbage_clear(runtime);
}

/* ---- what a collection may never do ---- */

/* test_trash_weakref_clear, ContainerNoGC: a live object that trash leads to by references that are not all shown. */
static void an_incomplete_traverse_never_frees_a_live_object(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_half, 1, 2);
    struct cell *secret = cell_new(&cell_secret, 3);
    struct cell *live = cell_cycle(&cell_plain, 4, 2);
    cell_hand(secret, 0, live); /* held by no shown reference */
    cell_set(cycle, 1, live);   /* nor by this one */
    assert_int_equal(gc_collect(2), 0);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 2);
    assert_int_equal(gc_collect(2), 0);
    assert_null(strstr(journal(), "D4"));
    cell_drop(secret);
    assert_int_equal(gc_collect(2), 2);
}

static void a_cycle_through_a_reference_not_shown_is_never_found(void **state)
{
    (void)state;
    struct cell *half = cell_new(&cell_half, 1);
    cell_set(half, 1, half);
    cell_drop(half);
    assert_int_equal(gc_collect(2), 0);
    cell_keep(half);
    cell_set(half, 1, NULL);
    cell_drop(half);
    assert_string_equal(journal(), "D1");
}

static cairn_object_fault_kind fault_kind;
static char fault_text[512];
static unsigned faults;

static void note_fault(const cairn_object_fault *fault)
{
    faults++;
    fault_kind = fault->kind;
    snprintf(fault_text, sizeof(fault_text), "%s", fault->text);
}

static void start_faults(void)
{
    faults = 0;
    fault_text[0] = '\0';
    cairn_set_object_fault_handler(note_fault);
}

static void a_traverse_that_visits_too_often_is_reported_with_the_object_dumped(void **state)
{
    (void)state;
    char address[32];
    struct cell *wrong = cell_new(&cell_twice, 1);
    struct cell *target = cell_new(&cell_plain, 2);
    cell_hand(wrong, 0, target);
    start_faults();
    gc_collect(2);
    cairn_set_object_fault_handler(NULL);
    assert_true(faults >= 1);
    assert_int_equal(fault_kind, CAIRN_FAULT_COUNT);
    snprintf(address, sizeof(address), "%p", (void *)target);
    assert_non_null(strstr(fault_text, address));
    assert_non_null(strstr(fault_text, "plain"));
    assert_null(strchr(fault_text, '\n'));
    assert_string_equal(journal(), ""); /* and nothing died of it */
    cell_drop(wrong);
}

/* While it is young; of old objects, whose counts change between steps, it is no news that they do not match: they live,
 * and a collection that is asked for reports it. */
static void in_bounded_mode_a_traverse_that_visits_too_often_is_reported(void **state)
{
    (void)state;
    char address[32];
    struct cell *wrong = cell_new(&cell_twice, 1);
    struct cell *target = cell_new(&cell_plain, 2);
    snprintf(address, sizeof(address), "%p", (void *)target);
    cell_hand(wrong, 0, target);
    start_faults();
    cairn_collector_set_step(runtime, 1);
    cairn_collector_enable(runtime);
    struct cell *others = cell_new(&cell_plain, -1);
    for (int i = 0; i < 10000 && faults == 0; i++) {
        struct cell *next = cell_new(&cell_plain, -1);
        cell_hand(next, 0, others);
        others = next;
    }
    cairn_collector_disable(runtime);
    assert_true(faults >= 1);
    assert_int_equal(fault_kind, CAIRN_FAULT_COUNT);
    assert_non_null(strstr(fault_text, address));

    cell_set(wrong, 0, NULL); /* old now, and right: nothing to report */
    assert_string_equal(journal(), "D2");
    assert_int_equal(gc_collect(2), 0);
    target = cell_new(&cell_plain, 3);
    assert_int_equal(gc_collect(1) + gc_collect(1), 0);
    start_faults();
    cell_hand(wrong, 0, target);
    assert_true(generation_of(wrong) == 2 && generation_of(target) == 2);
    for (int cycles = 0; cycles < 3;) {
        cycles += cairn_collector_step(runtime);
    }
    assert_int_equal(faults, 0);
    assert_string_equal(journal(), "");
    cairn_collector_set_step(runtime, 0);
    gc_collect(2);
    cairn_set_object_fault_handler(NULL);
    assert_true(faults >= 1);
    snprintf(address, sizeof(address), "%p", (void *)target);
    assert_non_null(strstr(fault_text, address));
    assert_string_equal(journal(), "");
    cell_drop(wrong);
    cell_drop(others);
}

static void to_track_twice_is_a_fault(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_plain, 1);
    struct cell *atom = cell_new(&cell_atom, 2);
    start_faults();
    cairn_object_track(&cell->object);
    assert_int_equal(faults, 1);
    assert_int_equal(fault_kind, CAIRN_FAULT_TRACK);
    cairn_object_track(&atom->object);
    cairn_set_object_fault_handler(NULL);
    assert_int_equal(faults, 2);
    cell_drop(cell);
    cell_drop(atom);
}

/* ---- depth, memory ---- */

enum { DEEP = 1000000 };

static struct cell *deep(const cairn_type *type, size_t depth)
{
    struct cell *head = cell_new(type, -1);
    for (size_t i = 1; i < depth; i++) {
        struct cell *next = cell_new(type, -1);
        cell_hand(next, 0, head);
        head = next;
    }
    return head;
}

/* Runs a function on a thread with a stack of 64 KiB, where recursion over a deep structure must fail. */
static void on_a_small_stack(void *(*function)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    require(pthread_attr_init(&attributes) == 0);
    require(pthread_attr_setstacksize(&attributes, KIB(64)) == 0);
    cairn_gil_release(runtime);
    require(pthread_create(&thread, &attributes, function, NULL) == 0);
    join_thread(thread);
    cairn_gil_acquire(runtime);
    pthread_attr_destroy(&attributes);
}

static void *drop_deep(void *arg)
{
    (void)arg;
    cairn_gil_acquire(runtime);
    const cairn_type *types[] = {&cell_plain, &cell_no_clear, &cell_half, &cell_secret, &cell_strong_only};
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        cell_drop(deep(types[t], test_scaled(DEEP)));
    }
    cairn_gil_release(runtime);
    return NULL;
}

static void a_deep_structure_dies_without_recursion(void **state)
{
    (void)state;
    cairn_runtime_stats before, after;
    cairn_runtime_get_stats(runtime, &before);
    on_a_small_stack(drop_deep);
    cairn_runtime_get_stats(runtime, &after);
    assert_int_equal(after.objects_made - before.objects_made, after.objects_died - before.objects_died);
    assert_true(after.objects_made - before.objects_made >= 5 * test_scaled(DEEP));
}

static ptrdiff_t deep_found[2];

static void *collect_deep(void *arg)
{
    (void)arg;
    cairn_gil_acquire(runtime);
    struct cell *head = deep(&cell_plain, test_scaled(DEEP));
    struct cell *tail = head;
    while (tail->refs[0]) {
        tail = tail->refs[0];
    }
    deep_found[0] = gc_collect(2);
    cell_set(tail, 0, head);
    cell_drop(head);
    deep_found[1] = gc_collect(2);
    cairn_gil_release(runtime);
    return NULL;
}

static void a_deep_structure_is_collected_without_recursion(void **state)
{
    (void)state;
    on_a_small_stack(collect_deep);
    assert_int_equal(deep_found[0], 0);
    assert_int_equal(deep_found[1], test_scaled(DEEP));
}

/* test_trashcan_threads: threads that build and drop nested structures, a finalizer in each object. */
static void *nest(void *arg)
{
    (void)arg;
    cairn_gil_acquire(runtime);
    for (size_t round = 0; round < test_scaled(200); round++) {
        struct cell *head = cell_new(&cell_plain, -1);
        for (int i = 0; i < 60; i++) {
            struct cell *next = cell_new(i % 2 ? &cell_plain : &cell_no_clear, -1);
            cell_hand(next, 1, head);
            head = next;
            cairn_runtime_poll(runtime);
        }
        cell_drop(head);
        cairn_runtime_poll(runtime);
    }
    cairn_gil_release(runtime);
    return NULL;
}

static void deep_structures_die_in_several_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    cairn_runtime_stats before, after;
    cairn_runtime_get_stats(runtime, &before);
    cairn_gil_set_switch_interval(runtime, 20);
    cairn_gil_release(runtime);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], nest, NULL);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    cairn_gil_acquire(runtime);
    cairn_runtime_get_stats(runtime, &after);
    assert_int_equal(after.objects_made - before.objects_made, after.objects_died - before.objects_died);
}

static void a_collection_needs_no_memory(void **state)
{
    (void)state;
    struct cell *live = cell_new(&cell_plain, -1);
    for (size_t i = 0; i < 5000; i++) {
        struct cell *next = cell_cycle(i % 2 ? &cell_plain : &cell_final, -1, 2);
        if (i % 8 == 0) {
            cell_hand(live, 1, next);
        } else {
            next->on_finalize = NULL;
            cell_drop(next);
        }
    }
    os_fake_refuse_from(OS_FAKE_GROWTH, 0);
    for (int generation = 0; generation < 3; generation++) {
        ptrdiff_t found = gc_collect(generation);
        assert_int_equal(found > 0, generation == 0);
    }
    assert_int_equal(os_fake_rule_refused(), 0); /* it did not even ask */
    os_fake_refuse_none();
    journal();
    cell_drop(live);
    gc_collect(2);
    journal();
}

/* A finalizer that gives the GIL up: other threads work, and their collections do nothing. */
static size_t worked;

static void *work_meanwhile(void *arg)
{
    (void)arg;
    cairn_gil_acquire(runtime);
    for (int i = 0; i < 200; i++) {
        drop_cycle(&cell_plain, -1, 3);
        require(gc_collect(2) == 0);
        worked++;
    }
    cairn_gil_release(runtime);
    return NULL;
}

static void let_others_work(struct cell *self)
{
    pthread_t thread;
    require(cell_count(self) >= 1);
    cairn_gil_release(runtime);
    start_thread(&thread, work_meanwhile, NULL);
    join_thread(thread);
    cairn_gil_acquire(runtime);
}

static void other_threads_may_work_while_a_finalizer_runs(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 3);
    cycle->on_finalize = let_others_work;
    cycle->refs[0]->on_finalize = let_others_work;
    worked = 0;
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 3);
    assert_int_equal(worked, 400);
    assert_int_equal(gc_collect(2), 1200); /* theirs */
}

/* What the garbage list cannot hold for lack of memory stays in the oldest generation, and is found again. */
static void garbage_that_cannot_be_listed_is_not_lost(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static struct cell *all[MANY];
    for (int i = 0; i < MANY; i++) {
        all[i] = cell_cycle(&cell_legacy, -1, 1);
        cell_drop(all[i]);
    }
    os_fake_refuse_from(OS_FAKE_GROWTH, 0);
    assert_int_equal(gc_collect(2), MANY);
    os_fake_refuse_none();
    size_t listed = cairn_collector_garbage_count(runtime);
    assert_true(listed <= MANY);
    assert_int_equal(gc_collect(2), MANY - listed);
    assert_int_equal(cairn_collector_garbage_count(runtime), MANY);
    for (int i = 0; i < MANY; i++) {
        cell_set(all[i], 0, NULL);
    }
    cairn_collector_garbage_clear(runtime);
}

/* ---- test_boom, test_bug1055820, test_bug21435 ---- */

/* test_boom, boom2, boom_new and boom2_new: what the type can be asked breaks the cycle, at the first or the second
 * question; a collection asks nothing. */
static unsigned questions, break_at;

static void note_question(cairn_object *self)
{
    if (++questions >= break_at) {
        break_self(cell_of(self));
    }
}

static size_t boom_repr(cairn_object *self, char *text, size_t size)
{
    note_question(self);
    return (size_t)snprintf(text, size, "boom");
}

static bool boom_hash(cairn_object *self, uint64_t *hash)
{
    note_question(self);
    *hash = 0;
    return true;
}

static bool boom_equal(cairn_object *a, cairn_object *b)
{
    note_question(a);
    return a == b;
}

static void boom_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    CAIRN_VISIT(cell_of(self)->refs[0]);
}

static void boom_clear(cairn_object *self)
{
    break_self(cell_of(self));
}

#define BOOM_TYPE                                                                                                      \
    .struct_size = sizeof(cairn_type), .name = "boom", .size = sizeof(struct cell),                                    \
    .weak_offset = offsetof(struct cell, weak_list), .repr = boom_repr, .hash = boom_hash, .equal = boom_equal

static void boom_a_collection_asks_the_trash_nothing_and_counts_2(void **state)
{
    (void)state;
    static const cairn_type types[] = {
        {BOOM_TYPE, .reference_offset = offsetof(struct cell, refs), .reference_count = 1},
        {BOOM_TYPE, .traverse = boom_traverse, .clear = boom_clear},
    };
    for (unsigned i = 0; i < 4; i++) {
        questions = 0;
        break_at = 1 + i % 2;
        struct cell *cycle = cell_cycle(&types[i / 2], -1, 2);
        cairn_weak *weak = weak_to(cycle, 0);
        gc_collect(2);
        cell_drop(cycle);
        assert_int_equal(gc_collect(2), 2);
        assert_int_equal(cairn_collector_garbage_count(runtime), 0);
        assert_int_equal(questions, 0);
        assert_true(cairn_weak_is_dead(weak));
        weak_drop(weak);
    }
}

/* What dies by its count in a finalizer is not counted: CPython 3.8 to 3.13 return 0 for each of these three. */
static void boom_finalizers_that_break_their_cycle_leave_nothing_to_count(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct cell *cycle = cell_cycle(&cell_final, 1, i == 1 ? 3 : 2);
        struct cell *cell = cycle;
        do {
            cell->on_finalize = i < 2 || cell == cycle ? break_self : NULL;
            cell = cell->refs[0];
        } while (cell != cycle);
        cell_drop(cycle);
        assert_int_equal(gc_collect(2), 0);
        assert_int_equal(cairn_collector_garbage_count(runtime), 0);
        assert_string_equal(journal_sorted(), i == 1 ? "D1 D2 D3 F1 F2 F3" : "D1 D2 F1 F2");
    }
}

static cairn_weak *reached_from_callback;

static void look_at_trash(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    require(context != NULL);
    require(!reached_from_callback || cairn_weak_get(reached_from_callback) == NULL);
    journal_write('W', cell_of(context)->name);
}

/* bug1055820b: callbacks must not get at trash through weak references that are still to be cleared. */
static void callbacks_see_no_trash_through_other_weak_references(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_plain, 1, 3);
    struct cell *context = cell_new(&cell_plain, 7);
    cairn_weak *weak[3];
    struct cell *at = cycle;
    for (int i = 0; i < 3; i++, at = at->refs[0]) {
        weak[i] = cairn_weak_new(&at->object, look_at_trash, &context->object);
        assert_non_null(weak[i]);
    }
    reached_from_callback = weak_to(cycle, 0);
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 3);
    assert_string_equal(journal_sorted(), "D1 D2 D3 W7 W7 W7");
    for (int i = 0; i < 3; i++) {
        weak_drop(weak[i]);
    }
    weak_drop(reached_from_callback);
    reached_from_callback = NULL;
    cell_drop(context);
}

/* An old object whose callback's context is young trash: the young collection must not take it. */
static void what_an_old_weak_reference_keeps_for_its_callback_is_no_young_trash(void **state)
{
    (void)state;
    struct cell *old = cell_cycle(&cell_plain, 1, 1);
    struct cell *context = cell_cycle(&cell_plain, 2, 1);
    cairn_weak *weak = cairn_weak_new(&old->object, look_at_trash, &context->object);
    cell_hand(context, 1, old);
    gc_collect(1);
    gc_collect(1);
    struct cell *young = cell_cycle(&cell_plain, 3, 1);
    cell_hand(context, 2, young);
    cell_drop(context); /* the weak reference holds it */
    assert_int_equal(gc_collect(0), 0);
    assert_int_equal(gc_collect(2), 0);
    weak_drop(weak);
    assert_int_equal(gc_collect(2), 3);
    assert_null(strchr(journal(), 'W'));
}

/* test_bug1055820c and d: old trash that only young trash keeps, so it dies when a collection of generation 0 breaks the
 * young one up, and what runs then (a callback, a finalizer) looks for other young trash by a weak reference. */
static cairn_weak *to_young;
static unsigned looks, looks_that_found;

static void look_for_young(void)
{
    cairn_object *young = cairn_weak_get(to_young);
    looks++;
    looks_that_found += young != NULL;
    cairn_xdecref(young);
}

static void look_in_callback(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    look_for_young();
}

static void look_in_finalizer(struct cell *self)
{
    (void)self;
    look_for_young();
}

static bool gc_happened;

static void it_happened(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    gc_happened = true;
}

/* Makes 1 old trash kept by 2, and 2 and 3 young trash in loops; collects generation 0 by making lists. */
static void old_trash_behind_young(struct cell *old, void (*on_finalize)(struct cell *))
{
    old->on_finalize = on_finalize;
    struct cell *holder = cell_cycle(&cell_plain, 2, 1);
    struct cell *young = cell_cycle(&cell_plain, 3, 1);
    cell_set(holder, 1, old);
    cell_set(old, 0, NULL);
    to_young = weak_to(young, 0);
    looks = looks_that_found = 0;
    assert_true(generation_of(old) == 2 && generation_of(holder) == 0 && generation_of(young) == 0);
    cell_drop(old);
    cell_drop(holder);
    cell_drop(young);

    struct cell *detected = cell_cycle(&cell_plain, -1, 1);
    cairn_weak *detector = cairn_weak_new(&detected->object, it_happened, NULL);
    cell_drop(detected);
    struct cell *junk = cell_new(&cell_plain, -1);
    note_generations();
    thresholds(700, 10, 10);
    gc_happened = false;
    for (int i = 0; i < 10000 && !gc_happened; i++) {
        assert_int_equal(looks, 0);
        struct cell *more = cell_new(&cell_plain, -1);
        cell_hand(more, 0, junk);
        junk = more;
    }
    cairn_collector_disable(runtime);
    assert_true(gc_happened);
    assert_string_equal(ran, "0");
    weak_drop(detector);
    cell_drop(junk);
}

static void bug1055820c_a_callback_of_old_trash_finds_no_young_trash(void **state)
{
    (void)state;
    struct cell *old = cell_cycle(&cell_plain, 1, 1);
    gc_collect(2);
    cairn_weak *weak = cairn_weak_new(&old->object, look_in_callback, NULL);
    old_trash_behind_young(old, NULL);
    assert_int_equal(looks, 1);
    assert_int_equal(looks_that_found, 0);
    assert_string_equal(journal_sorted(), "D1 D2 D3");
    weak_drop(weak);
    weak_drop(to_young);
}

static void bug1055820d_a_finalizer_of_old_trash_finds_no_young_trash(void **state)
{
    (void)state;
    struct cell *old = cell_cycle(&cell_final, 1, 1);
    gc_collect(2);
    old_trash_behind_young(old, look_in_finalizer);
    assert_int_equal(looks, 1);
    assert_int_equal(looks_that_found, 0);
    assert_string_equal(journal_sorted(), "D1 D2 D3 F1");
    weak_drop(to_young);
}

/* bug21435: a finalizer that makes an object live and drops it again, with references into the trash. */
static void make_and_drop(struct cell *self)
{
    struct cell *made = cell_new(&cell_plain, 9);
    cell_set(made, 0, self);
    cell_set(self, 3, made);
    cell_drop(made);
    cell_set(self, 3, NULL);
}

static void a_finalizer_may_make_objects_that_lead_into_the_trash(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 2);
    cycle->on_finalize = make_and_drop;
    cycle->refs[0]->on_finalize = make_and_drop;
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 2);
    assert_non_null(strstr(journal(), "D9"));
}

/* ---- the end of a runtime ---- */

/* A runtime for `make` to fill; its end is what is tested. */
static cairn_runtime_end end_of(void (*make)(void))
{
    cairn_runtime *of_test = runtime;
    cairn_runtime_end end;
    runtime = cairn_runtime_create(NULL);
    cairn_collector_disable(runtime);
    make();
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &end), 0);
    runtime = of_test;
    return end;
}

static void drop_a_cycle_with_finalizers(void)
{
    drop_cycle(&cell_final, 1, 2);
}

static void the_end_collects_cycles_and_finalizes_them(void **state)
{
    (void)state;
    cairn_runtime_end end = end_of(drop_a_cycle_with_finalizers);
    assert_string_equal(journal_sorted(), "D1 D2 F1 F2");
    assert_int_equal(end.collected, 2);
    assert_int_equal(end.kept_objects, 0);
}

enum { FAMILY_DEPTH = 6, FAMILY = 1365 }; /* 4^0 + ... + 4^5 */

static unsigned family_finalized;

static void count_and_make_four(struct cell *self)
{
    family_finalized++;
    for (int i = 0; i < CELL_SLOTS && self->name > -FAMILY_DEPTH; i++) {
        struct cell *next = cell_new(&cell_final, self->name - 1);
        next->on_finalize = count_and_make_four;
        cell_hand(self, i, next);
    }
}

static void keep_a_family(void)
{
    struct cell *first = cell_new(&cell_final, -1);
    first->on_finalize = count_and_make_four;
    family_finalized = 0;
}

static void what_a_finalizer_makes_at_the_end_is_finalized_too(void **state)
{
    (void)state;
    cairn_runtime_end end = end_of(keep_a_family);
    assert_int_equal(family_finalized, FAMILY);
    assert_int_equal(end.kept_objects, FAMILY);
}

static unsigned messages, listed[3];
static char message[256];

static void note_message(cairn_runtime *of, const char *text, cairn_object *object, void *arg)
{
    (void)of;
    (void)arg;
    messages++;
    if (object) {
        require(strcmp(text, "uncollectable") == 0);
        listed[cell_of(object)->name]++;
    } else {
        snprintf(message, sizeof(message), "%s", text);
    }
}

static unsigned debug_at_end;
static int legacy_at_end;
static char *lines_at_end;
static size_t lines_size;
static FILE *output_at_end;

static void keep_legacy_garbage(void)
{
    cairn_set_unraisable(runtime, note_message, NULL);
    cairn_collector_set_debug(runtime, debug_at_end);
    cairn_collector_set_output(runtime, output_at_end);
    for (int i = 1; i <= legacy_at_end; i++) {
        drop_cycle(&cell_legacy, i, 1);
    }
    assert_int_equal(gc_collect(2), legacy_at_end);
}

static cairn_runtime_end end_with_garbage(unsigned debug, int objects)
{
    messages = 0;
    memset(listed, 0, sizeof(listed));
    message[0] = '\0';
    debug_at_end = debug;
    legacy_at_end = objects;
    output_at_end = open_memstream(&lines_at_end, &lines_size);
    cairn_runtime_end end = end_of(keep_legacy_garbage);
    fclose(output_at_end);
    return end;
}

static void garbage_at_the_end_is_told(void **state)
{
    (void)state;
    cairn_runtime_end end = end_with_garbage(0, 2);
    assert_int_equal(end.garbage, 2);
    assert_int_equal(messages, 1);
    assert_string_equal(message, "2 uncollectable objects at the end of the runtime; "
                                 "CAIRN_COLLECTOR_UNCOLLECTABLE lists them");
    assert_string_equal(lines_at_end, "");
    free(lines_at_end);
    end = end_with_garbage(0, 1);
    assert_int_equal(end.garbage, 1);
    assert_int_equal(strncmp(message, "1 uncollectable object at", 25), 0);
    free(lines_at_end);
}

static void garbage_at_the_end_is_listed_if_uncollectable_is_set(void **state)
{
    (void)state;
    cairn_runtime_end end = end_with_garbage(CAIRN_COLLECTOR_UNCOLLECTABLE, 2);
    assert_int_equal(end.garbage, 2);
    assert_int_equal(messages, 3);
    assert_string_equal(message, "2 uncollectable objects at the end of the runtime");
    assert_true(listed[1] == 1 && listed[2] == 1);
    const char *line = lines_at_end;
    for (int i = 0; i < 2; i++) { /* a line for each when it was found, and none again at the end */
        assert_int_equal(strncmp(line, "cairn: collector: uncollectable <legacy 0x", 42), 0);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
    free(lines_at_end);
}

static void garbage_at_the_end_is_not_told_if_all_is_saved(void **state)
{
    (void)state;
    cairn_runtime_end end = end_with_garbage(CAIRN_COLLECTOR_SAVEALL, 2);
    assert_int_equal(end.garbage, 2);
    assert_int_equal(messages, 0);
    free(lines_at_end);
}

/* DEBUG_LEAK: 38, what its three parts do together. */
static void leak_is_collectable_uncollectable_and_saveall(void **state)
{
    (void)state;
    assert_int_equal(CAIRN_COLLECTOR_LEAK, 38);
    assert_int_equal(CAIRN_COLLECTOR_LEAK,
                     CAIRN_COLLECTOR_COLLECTABLE | CAIRN_COLLECTOR_UNCOLLECTABLE | CAIRN_COLLECTOR_SAVEALL);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cairn_collector_set_output(runtime, out);
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_LEAK);
    assert_int_equal(cairn_collector_get_debug(runtime), 38);
    drop_cycle(&cell_plain, 1, 1);
    drop_cycle(&cell_legacy, 2, 1);
    assert_int_equal(gc_collect(2), 2);
    fclose(out);
    cairn_collector_set_output(runtime, NULL);
    cairn_collector_set_debug(runtime, 0);
    assert_non_null(strstr(text, "cairn: collector: collectable <plain 0x"));
    assert_non_null(strstr(text, "cairn: collector: uncollectable <legacy 0x"));
    assert_null(strstr(text, "generation")); /* STATS is not among them */
    free(text);
    assert_int_equal(cairn_collector_garbage_count(runtime), 2);
    for (size_t i = 0; i < 2; i++) {
        break_self(cell_of(cairn_collector_garbage_at(runtime, i)));
    }
    cairn_collector_garbage_clear(runtime);
    assert_string_equal(journal_sorted(), "D1 D2 L2");
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        CELL_TEST(a_list_that_holds_itself_counts_1),
        CELL_TEST(a_dict_that_holds_itself_counts_1),
        CELL_TEST(an_instance_and_its_dict_count_2),
        CELL_TEST(a_tuple_in_a_list_in_it_counts_2),
        CELL_TEST(a_cycle_that_nothing_can_break_is_found_and_stays),
        CELL_TEST(what_trash_leads_to_is_trash),
        CELL_TEST(what_is_held_from_outside_lives_with_all_it_leads_to),
        CELL_TEST(a_generation_that_is_none_is_EINVAL),
        CELL_TEST(it_works_while_disabled),
        CELL_TEST(a_collection_inside_a_collection_returns_0),
        CELL_TEST(the_resurrected_are_not_counted),
        CELL_TEST(uncollectable_ones_are_counted),
        CELL_TEST(a_full_collection_empties_the_caches),
        CELL_TEST(get_count_counts_tracked_allocations_less_deallocations),
        CELL_TEST(collections_move_the_counts_of_generations),
        CELL_TEST(generation_0_runs_when_its_count_is_above_its_threshold),
        CELL_TEST(allocation_and_death_in_turns_start_no_collection),
        CELL_TEST(threshold_0_turns_automatic_collections_off),
        CELL_TEST(disable_turns_automatic_collections_off),
        CELL_TEST(set_threshold_takes_1_to_3),
        CELL_TEST(generation_1_runs_when_0_ran_more_often_than_its_threshold),
        CELL_TEST(generation_2_waits_until_a_quarter_of_the_survivors_is_new),
        CELL_TEST(survivors_move_one_generation_up),
        CELL_TEST(a_young_collection_leaves_old_trash),
        CELL_TEST(what_an_old_object_refers_to_is_no_young_trash),
        CELL_TEST(get_objects_shows_each_generation),
        CELL_TEST(get_objects_refuses_a_generation_that_is_none),
        CELL_TEST(get_objects_is_in_order_of_address_and_can_be_ended),
        CELL_TEST(get_referents_shows_what_traverse_shows_duplicates_too),
        CELL_TEST(get_referrers_finds_tracked_containers_only),
        CELL_TEST(is_tracked_is_true_of_containers),
        CELL_TEST(a_collection_untracks_what_holds_nothing_tracked),
        CELL_TEST(an_untracked_container_holds_what_it_refers_to),
        CELL_TEST(is_finalized_is_true_after_the_finalizer_ran),
        CELL_TEST(freeze_hides_everything_from_collections),
        CELL_TEST(what_is_frozen_dies_by_its_count),
        CELL_TEST(what_a_frozen_object_refers_to_lives),
        CELL_TEST(saveall_keeps_what_is_found),
        CELL_TEST(saveall_runs_finalizers_and_clears_weak_references),
        CELL_TEST(a_legacy_finalizer_in_a_cycle_makes_garbage_of_it_and_what_it_leads_to),
        CELL_TEST(a_young_uncollectable_one_goes_to_the_next_generation),
        CELL_TEST(get_stats_counts_each_generation),
        CELL_TEST(callbacks_run_at_start_and_stop_in_the_order_they_were_added),
        CELL_TEST(the_callbacks_info_sums_to_1_collected_and_4_uncollectable),
        CELL_TEST(debug_flags_print_a_line_for_each_object),
        CELL_TEST(an_incomplete_traverse_never_frees_a_live_object),
        CELL_TEST(a_cycle_through_a_reference_not_shown_is_never_found),
        CELL_TEST(a_traverse_that_visits_too_often_is_reported_with_the_object_dumped),
        CELL_TEST(in_bounded_mode_a_traverse_that_visits_too_often_is_reported),
        CELL_TEST(to_track_twice_is_a_fault),
        CELL_TEST(a_deep_structure_dies_without_recursion),
        CELL_TEST(a_deep_structure_is_collected_without_recursion),
        CELL_TEST(deep_structures_die_in_several_threads),
        CELL_TEST(a_collection_needs_no_memory),
        CELL_TEST(other_threads_may_work_while_a_finalizer_runs),
        CELL_TEST(garbage_that_cannot_be_listed_is_not_lost),
        CELL_TEST(boom_a_collection_asks_the_trash_nothing_and_counts_2),
        CELL_TEST(boom_finalizers_that_break_their_cycle_leave_nothing_to_count),
        CELL_TEST(callbacks_see_no_trash_through_other_weak_references),
        CELL_TEST(what_an_old_weak_reference_keeps_for_its_callback_is_no_young_trash),
        CELL_TEST(bug1055820c_a_callback_of_old_trash_finds_no_young_trash),
        CELL_TEST(bug1055820d_a_finalizer_of_old_trash_finds_no_young_trash),
        CELL_TEST(a_finalizer_may_make_objects_that_lead_into_the_trash),
        CELL_TEST(the_end_collects_cycles_and_finalizes_them),
        CELL_TEST(what_a_finalizer_makes_at_the_end_is_finalized_too),
        CELL_TEST(garbage_at_the_end_is_told),
        CELL_TEST(garbage_at_the_end_is_listed_if_uncollectable_is_set),
        CELL_TEST(garbage_at_the_end_is_not_told_if_all_is_saved),
        CELL_TEST(leak_is_collectable_uncollectable_and_saveall),
    };
    return cmocka_run_group_tests_name("rules of the collector", tests, NULL, NULL);
}
