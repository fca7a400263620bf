/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_finalization.c: the rules of finalizers (PEP 442) that a C object model can have: what CPython's own
 * test_finalization asks, for single objects, self-cycles and chains of a thousand, and what counting adds. */

#include <stdio.h>
#include <string.h>

#include "object/cells.h"

enum { CHAIN = 1000, NO_NAME = -1 };

/* What happened to the nameless ones. */
static size_t finalized;

static void count_finalizer(struct cell *self)
{
    (void)self;
    finalized++;
}

static uint64_t live_objects(void)
{
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    return stats.objects_made - stats.objects_died;
}

/* ---- single objects ---- */

static void a_finalizer_runs_before_the_object_dies(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cairn_weak *weak = weak_to(cell, 0);
    cell_drop(cell);
    assert_string_equal(journal(), "F1 D1");
    assert_false(weak_alive(weak));
    weak_drop(weak);
}

static void see_everything_as_in_life(struct cell *self)
{
    require(cell_count(self) == 1);
    require(self->refs[0] != NULL && self->refs[0]->name == 2);
    require(cairn_object_runtime(&self->object) == runtime);
}

static void in_a_finalizer_everything_is_as_in_life(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cell_hand(cell, 0, cell_new(&cell_plain, 2));
    cell->on_finalize = see_everything_as_in_life;
    cell_drop(cell);
    assert_string_equal(journal(), "F1 D2 D1");
}

static void a_resurrected_object_is_finalized_once_only(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_string_equal(journal(), "F1");
    assert_int_equal(kept_count, 1);
    assert_int_equal(cell_count(cell), 1);
    kept_drop();
    assert_string_equal(journal(), "D1");
    assert_int_equal(kept_count, 0);
}

static void an_atom_is_finalized(void **state)
{
    (void)state;
    cell_drop(cell_new(&cell_atom_final, 1));
    assert_string_equal(journal(), "F1 D1");
}

/* test_non_gc_resurrect: the finalizer is called at the second death, too. */
static void an_atom_is_finalized_at_every_death(void **state)
{
    (void)state;
    struct cell *atom = cell_new(&cell_atom_final, 1);
    atom->on_finalize = keep_self;
    cell_drop(atom);
    kept_drop();
    assert_string_equal(journal(), "F1 F1");
    assert_int_equal(kept_count, 1);
    atom->on_finalize = NULL;
    kept_drop();
    assert_string_equal(journal(), "F1 D1");
}

static void a_container_finalized_by_count_is_not_finalized_again_by_the_collector(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    cell_set(cell, 0, cell);
    kept_drop();
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "F1 D1");
}

/* ---- self-cycles ---- */

static void a_self_cycle_is_finalized_and_dies(void **state)
{
    (void)state;
    cell_drop(cell_cycle(&cell_final, 1, 1));
    assert_string_equal(journal(), "");
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "F1 D1");
}

static void a_self_cycle_can_resurrect_itself(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 1);
    cairn_weak *weak = weak_to(cell, 0);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 0);
    assert_string_equal(journal(), "F1");
    assert_int_equal(kept_count, 1);
    assert_false(weak_alive(weak)); /* cleared before the finalizer, and stays so */
    assert_ptr_equal(cell->refs[0], cell);
    kept_drop();
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "D1");
    weak_drop(weak);
}

static void a_finalizer_may_break_its_own_cycle(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 1);
    cell->on_finalize = break_self;
    cell_drop(cell);
    gc_collect(2);
    assert_string_equal(journal(), "F1 D1");
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(cairn_collector_garbage_count(runtime), 0);
}

/* ---- chains: a cycle of CHAIN objects, of behaviours in turns ---- */

typedef void (*behaviour)(struct cell *);

static struct cell *survivors[CHAIN];
static size_t survivor_count;

static void resurrect(struct cell *self)
{
    finalized++;
    cell_keep(self);
    survivors[survivor_count++] = self;
}

static void suicide(struct cell *self)
{
    finalized++;
    cell_set(self, 0, NULL);
}

static void drop_survivors(void)
{
    while (survivor_count > 0) {
        cell_drop(survivors[--survivor_count]);
    }
}

/* Builds the cycle, drops it. NULL: an object without a finalizer. */
static void chain(const behaviour *behaviours, size_t count)
{
    struct cell *head = NULL, *last = NULL;
    finalized = survivor_count = 0;
    for (size_t i = 0; i < CHAIN; i++) {
        behaviour what = behaviours[i % count];
        struct cell *next = cell_new(what ? &cell_final : &cell_plain, NO_NAME);
        next->on_finalize = what;
        if (last) {
            cell_hand(last, 0, next);
        } else {
            head = next;
        }
        last = next;
    }
    cell_set(last, 0, head);
    cell_drop(head);
    journal();
}

static void a_chain_of_finalizers_dies(void **state)
{
    (void)state;
    uint64_t before = live_objects();
    const behaviour all[] = {count_finalizer};
    chain(all, 1);
    assert_int_equal(gc_collect(2), CHAIN);
    assert_int_equal(finalized, CHAIN);
    assert_int_equal(live_objects(), before);
    assert_int_equal(gc_collect(2), 0);
    journal();
}

static void a_chain_that_resurrects_itself_is_finalized_once(void **state)
{
    (void)state;
    uint64_t before = live_objects();
    const behaviour all[] = {resurrect};
    chain(all, 1);
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(finalized, CHAIN);
    assert_int_equal(survivor_count, CHAIN);
    drop_survivors();
    assert_int_equal(gc_collect(2), CHAIN);
    assert_int_equal(finalized, CHAIN);
    assert_int_equal(live_objects(), before);
    journal();
}

static void dies_at_once(const behaviour *behaviours, size_t count, size_t finalizers)
{
    uint64_t before = live_objects();
    chain(behaviours, count);
    gc_collect(2);
    assert_int_equal(finalized, finalizers);
    assert_int_equal(survivor_count, 0);
    assert_int_equal(live_objects(), before);
    assert_int_equal(gc_collect(2), 0);
    journal();
}

/* One that resurrects brings back all it leads to; at the second death nothing runs again. */
static void dies_at_the_second_time(const behaviour *behaviours, size_t count, size_t finalizers, size_t resurrected)
{
    uint64_t before = live_objects();
    chain(behaviours, count);
    gc_collect(2);
    assert_int_equal(finalized, finalizers);
    assert_int_equal(survivor_count, resurrected);
    assert_true(live_objects() > before);
    drop_survivors();
    gc_collect(2);
    assert_int_equal(finalized, finalizers);
    assert_int_equal(live_objects(), before);
    journal();
}

static void a_chain_of_suicides_dies(void **state)
{
    (void)state;
    const behaviour all[] = {suicide};
    dies_at_once(all, 1, CHAIN);
}

static void a_chain_with_one_kind_of_suicide_dies(void **state)
{
    (void)state;
    const behaviour behaviours[] = {suicide, count_finalizer};
    dies_at_once(behaviours, 2, CHAIN);
}

static void a_chain_with_suicides_and_plain_objects_dies(void **state)
{
    (void)state;
    const behaviour behaviours[] = {suicide, count_finalizer, NULL, NULL};
    dies_at_once(behaviours, 4, CHAIN / 2);
}

static void one_that_resurrects_brings_the_chain_back(void **state)
{
    (void)state;
    const behaviour behaviours[] = {resurrect, count_finalizer};
    dies_at_the_second_time(behaviours, 2, CHAIN, CHAIN / 2);
}

static void resurrection_is_passed_on_through_plain_objects(void **state)
{
    (void)state;
    const behaviour behaviours[] = {resurrect, count_finalizer, NULL, NULL};
    uint64_t before = live_objects();
    chain(behaviours, 4);
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(live_objects(), before + CHAIN);
    drop_survivors();
    assert_int_equal(gc_collect(2), CHAIN);
    assert_int_equal(live_objects(), before);
    journal();
}

static void suicides_and_resurrections_in_one_chain(void **state)
{
    (void)state;
    const behaviour behaviours[] = {resurrect, suicide, count_finalizer, NULL};
    dies_at_the_second_time(behaviours, 4, CHAIN / 4 * 3, CHAIN / 4);
}

/* ---- resurrection: what it brings back, and what it does not hold up ---- */

static void resurrection_is_transitive(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 1);
    cell_hand(cell, 1, cell_cycle(&cell_final, 2, 2));
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 0);
    const char *text = journal();
    assert_true(strstr(text, "F1") && strstr(text, "F2") && strstr(text, "F3") && !strchr(text, 'D'));
    assert_int_equal(cell->refs[1]->name, 2);
    kept_drop();
    assert_int_equal(gc_collect(2), 3);
    assert_null(strchr(journal(), 'F'));
}

/* test_resurrection_only_happens_once_per_object, test_resurrection_is_transitive, does_not_block_cleanup_of_other. */
static void resurrection_does_not_hold_up_other_trash(void **state)
{
    (void)state;
    enum { OTHERS = 100 };
    struct cell *back = cell_cycle(&cell_final, 1, 1);
    back->on_finalize = keep_self;
    cell_drop(back);
    for (int i = 0; i < OTHERS; i++) {
        cell_drop(cell_cycle(&cell_plain, NO_NAME, 2));
    }
    assert_int_equal(gc_collect(2), 2 * OTHERS);
    assert_int_equal(cell_count(back), 2);
    kept_drop();
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "F1 D1");
}

static void the_resurrected_go_to_the_older_generation(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_final, 1, 2);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_int_equal(gc_collect(0), 0);
    assert_int_equal(cairn_object_generation(&cell->object), 1);
    assert_int_equal(cairn_object_generation(&cell->refs[0]->object), 1);
    kept_drop();
    assert_int_equal(gc_collect(0), 0);
    assert_int_equal(gc_collect(1), 2);
}

static void a_finalizer_may_bring_back_another_one(void **state)
{
    (void)state;
    struct cell *cycle = cell_cycle(&cell_final, 1, 2);
    cell_hand(cycle->refs[0], 1, cell_new(&cell_plain, 3)); /* the one brought back does not lead back to it */
    cell_set(cycle, 1, cycle->refs[0]->refs[1]);
    struct cell *third = cycle->refs[1];
    cell_keep(third);
    assert_int_equal(gc_collect(2), 0);
    cell_drop(third);
    cycle->on_finalize = NULL;
    cycle->refs[0]->on_finalize = keep_first; /* brings the first back, with all */
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 0);
    assert_int_equal(kept_count, 1);
    assert_ptr_equal(kept[0], cycle);
    kept_drop();
    assert_int_equal(gc_collect(2), 3);
}

static void what_is_stored_in_a_live_object_lives(void **state)
{
    (void)state;
    struct cell *live = cell_new(&cell_plain, 1);
    struct cell *cycle = cell_cycle(&cell_final, 2, 1);
    cell_set(cycle, 1, live);
    cell_set(cycle, 2, cycle);
    kept[0] = NULL;
    cycle->on_finalize = keep_self;
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 0);
    cell_set(live, 0, cycle);
    kept_drop();
    assert_int_equal(gc_collect(2), 0); /* the live one holds it */
    cell_drop(live);
    assert_int_equal(gc_collect(2), 2);
    assert_string_equal(journal(), "F2 D1 D2");
}

/* ---- order ---- */

static void finalizers_run_in_order_of_address_before_anything_dies(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    char expected[256] = "";
    struct cell *cells[COUNT];
    struct cell *head = cell_cycle(&cell_final, 10, COUNT);
    struct cell *at = head;
    for (int i = 0; i < COUNT; i++, at = at->refs[0]) {
        cells[i] = at;
    }
    for (int i = 0; i < COUNT; i++) { /* by address */
        for (int k = i + 1; k < COUNT; k++) {
            if (cells[k] < cells[i]) {
                struct cell *other = cells[i];
                cells[i] = cells[k];
                cells[k] = other;
            }
        }
        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "F%d ", cells[i]->name);
    }
    cell_drop(head);
    assert_int_equal(gc_collect(2), COUNT);
    assert_int_equal(strncmp(journal(), expected, strlen(expected)), 0);
}

/* A finalizer that runs by count inside another one's. */
static void drop_kept(struct cell *self)
{
    (void)self;
    kept_drop();
}

static void a_finalizer_may_let_other_objects_die(void **state)
{
    (void)state;
    struct cell *other = cell_new(&cell_final, 2);
    struct cell *cycle = cell_cycle(&cell_final, 1, 1);
    keep_self(other);
    cell_drop(other);
    cycle->on_finalize = drop_kept;
    cell_drop(cycle);
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "F1 F2 D2 D1");
}

static ptrdiff_t collected_inside;

static void collect_inside(struct cell *self)
{
    require(cell_count(self) == 1);
    collected_inside = gc_collect(2);
    require(cell_count(self) == 1);
}

static void a_collection_during_a_death_by_count_spares_the_dying(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_final, 1);
    cell_drop(cell_cycle(&cell_plain, 2, 2));
    cell_hand(cell, 0, cell_cycle(&cell_plain, 4, 2));
    cell->on_finalize = collect_inside;
    cell_drop(cell);
    assert_int_equal(collected_inside, 2);
    assert_string_equal(journal_sorted(), "D1 D2 D3 F1");
    assert_int_equal(gc_collect(2), 2);
}

/* ---- finalizers of the old kind ---- */

static void a_legacy_finalizer_runs_at_a_death_by_count_after_weak_references_are_cleared(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_legacy, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell_drop(cell);
    assert_string_equal(journal(), "W5 L1 D1");
    weak_drop(weak);
}

static void a_legacy_finalizer_may_resurrect_and_runs_at_each_death(void **state)
{
    (void)state;
    struct cell *cell = cell_new(&cell_legacy, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell->on_finalize = keep_self;
    cell_drop(cell);
    assert_string_equal(journal(), "W5 L1");
    assert_int_equal(cell_count(cell), 1);
    assert_false(weak_alive(weak));
    kept_drop();
    assert_string_equal(journal(), "L1");
    assert_int_equal(kept_count, 1);
    cell->on_finalize = NULL;
    kept_drop();
    assert_string_equal(journal(), "L1 D1");
    weak_drop(weak);
}

static void a_legacy_self_cycle_is_garbage_until_someone_breaks_it(void **state)
{
    (void)state;
    struct cell *cell = cell_cycle(&cell_legacy, 1, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell_drop(cell);
    assert_int_equal(gc_collect(2), 1);
    assert_string_equal(journal(), "");
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    assert_true(weak_alive(weak));
    cell_set(cell_of(cairn_collector_garbage_at(runtime, 0)), 0, NULL);
    cairn_collector_garbage_clear(runtime);
    assert_string_equal(journal(), "W5 L1 D1");
    assert_false(weak_alive(weak));
    weak_drop(weak);
}

/* ---- deferred reclamation ---- */

static void in_deferred_mode_objects_die_in_the_sweep(void **state)
{
    (void)state;
    cairn_runtime_set_deferred(runtime, true);
    struct cell *cell = cell_new(&cell_final, 1);
    cairn_weak *weak = weak_to(cell, 5);
    cell_hand(cell, 0, cell_new(&cell_final, 2));
    cell_drop(cell);
    assert_string_equal(journal(), "");
    while (cairn_runtime_sweep(runtime, 1) > 0) {
    }
    assert_string_equal(journal(), "F1 W5 D1 F2 D2");
    weak_drop(weak);
    cell_drop(cell_new(&cell_plain, 3));
    cairn_runtime_set_deferred(runtime, false);
    assert_string_equal(journal(), "D3");
}

static void in_deferred_mode_a_dead_object_is_no_longer_to_be_had(void **state)
{
    (void)state;
    cairn_runtime_set_deferred(runtime, true);
    struct cell *cell = cell_new(&cell_plain, 1);
    cairn_weak *weak = weak_to(cell, 0);
    cell_drop(cell);
    cairn_object *got = cairn_weak_get(weak);
    if (got) { /* it may come back to life, but then it must live */
        while (cairn_runtime_sweep(runtime, 0) > 0) {
        }
        assert_string_equal(journal(), "");
        assert_int_equal(cairn_count(got), 1);
        cairn_decref(got);
    }
    while (cairn_runtime_sweep(runtime, 0) > 0) {
    }
    assert_string_equal(journal(), "D1");
    assert_false(weak_alive(weak));
    weak_drop(weak);
    cairn_runtime_set_deferred(runtime, false);
}

static void a_sweep_takes_no_more_than_it_is_told(void **state)
{
    (void)state;
    cairn_runtime_stats stats;
    cairn_runtime_set_deferred(runtime, true);
    for (int i = 0; i < 100; i++) {
        cell_drop(cell_new(&cell_plain, NO_NAME));
    }
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.queued, 100);
    assert_int_equal(cairn_runtime_sweep(runtime, 30), 70);
    assert_int_equal(cairn_runtime_sweep(runtime, 70), 0);
    cairn_runtime_set_deferred(runtime, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CELL_TEST(a_finalizer_runs_before_the_object_dies),
        CELL_TEST(in_a_finalizer_everything_is_as_in_life),
        CELL_TEST(a_resurrected_object_is_finalized_once_only),
        CELL_TEST(an_atom_is_finalized),
        CELL_TEST(an_atom_is_finalized_at_every_death),
        CELL_TEST(a_container_finalized_by_count_is_not_finalized_again_by_the_collector),
        CELL_TEST(a_self_cycle_is_finalized_and_dies),
        CELL_TEST(a_self_cycle_can_resurrect_itself),
        CELL_TEST(a_finalizer_may_break_its_own_cycle),
        CELL_TEST(a_chain_of_finalizers_dies),
        CELL_TEST(a_chain_that_resurrects_itself_is_finalized_once),
        CELL_TEST(a_chain_of_suicides_dies),
        CELL_TEST(a_chain_with_one_kind_of_suicide_dies),
        CELL_TEST(a_chain_with_suicides_and_plain_objects_dies),
        CELL_TEST(one_that_resurrects_brings_the_chain_back),
        CELL_TEST(resurrection_is_passed_on_through_plain_objects),
        CELL_TEST(suicides_and_resurrections_in_one_chain),
        CELL_TEST(resurrection_is_transitive),
        CELL_TEST(resurrection_does_not_hold_up_other_trash),
        CELL_TEST(the_resurrected_go_to_the_older_generation),
        CELL_TEST(a_finalizer_may_bring_back_another_one),
        CELL_TEST(what_is_stored_in_a_live_object_lives),
        CELL_TEST(finalizers_run_in_order_of_address_before_anything_dies),
        CELL_TEST(a_finalizer_may_let_other_objects_die),
        CELL_TEST(a_collection_during_a_death_by_count_spares_the_dying),
        CELL_TEST(a_legacy_finalizer_runs_at_a_death_by_count_after_weak_references_are_cleared),
        CELL_TEST(a_legacy_finalizer_may_resurrect_and_runs_at_each_death),
        CELL_TEST(a_legacy_self_cycle_is_garbage_until_someone_breaks_it),
        CELL_TEST(in_deferred_mode_objects_die_in_the_sweep),
        CELL_TEST(in_deferred_mode_a_dead_object_is_no_longer_to_be_had),
        CELL_TEST(a_sweep_takes_no_more_than_it_is_told),
    };
    return cmocka_run_group_tests_name("rules of finalizers", tests, NULL, NULL);
}
