/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_bounded_pieces.c: in bounded mode one strongly connected piece of garbage, too large for a batch, dies by the
 * collector's rules though its finalizers and its clearing are spread over many steps, with the program at work between
 * them; and an object with very many references does not make one long step. */

#include <stdio.h>
#include <stdlib.h>

#include "support/kinds.h"

#define PIECE (test_scale() >= 20 ? (size_t)20000 : (size_t)3000)

enum { PART_FINAL = 10, WEAKS = 50, STEPS_MOST = 1000000 };

struct link {
    cairn_object object;
    cairn_weak *weak_list;
    size_t number;
    cairn_object *refs[3];
};

static size_t finalized, cleared_weak, died, steps_with_finals, weaks_at_first_final;
static cairn_object *taken; /* by a finalizer, or by the program */
static size_t taken_number;

static struct link *link_of(cairn_object *object)
{
    return (struct link *)(void *)object;
}

static void finalize(cairn_object *self)
{
    if (finalized++ == 0) {
        weaks_at_first_final = cleared_weak;
    }
    assert_int_equal(died, 0); /* all finalizers run before anything is taken apart */
    for (int i = 0; i < 3; i++) {
        assert_non_null(link_of(self)->refs[i]);
    }
    if (link_of(self)->number == taken_number) {
        taken = cairn_incref(self);
    }
}

static void traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    for (int i = 0; i < 3; i++) {
        CAIRN_VISIT(link_of(self)->refs[i]);
    }
}

static void clear(cairn_object *self)
{
    for (int i = 0; i < 3; i++) {
        cairn_clear(&link_of(self)->refs[i]);
    }
}

static void dealloc(cairn_object *self)
{
    died++;
    clear(self);
}

static const cairn_type plain = {.struct_size = sizeof(cairn_type),
                                 .name = "link",
                                 .size = sizeof(struct link),
                                 .weak_offset = offsetof(struct link, weak_list),
                                 .traverse = traverse,
                                 .clear = clear,
                                 .dealloc = dealloc};

static const cairn_type final = {.struct_size = sizeof(cairn_type),
                                 .name = "final link",
                                 .size = sizeof(struct link),
                                 .weak_offset = offsetof(struct link, weak_list),
                                 .traverse = traverse,
                                 .clear = clear,
                                 .finalize = finalize,
                                 .dealloc = dealloc};

static void on_death(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    assert_true(cairn_weak_is_dead(weak));
    assert_int_equal(finalized, 0); /* weak references come before finalizers */
    cleared_weak++;
}

static int start(void **state)
{
    finalized = cleared_weak = died = steps_with_finals = weaks_at_first_final = 0;
    taken = NULL;
    taken_number = SIZE_MAX;
    return test_runtime_start(state);
}

static bool see(cairn_object *object, void *arg)
{
    (void)object;
    (void)arg;
    return true;
}

/* A ring, with chords at random: one strongly connected piece. The caller has one reference, to the first. */
static struct link *piece(size_t size, cairn_weak **weaks)
{
    uint64_t random = test_seed();
    cairn_object **all = calloc(size, sizeof(*all));
    require(all != NULL);
    for (size_t i = 0; i < size; i++) {
        all[i] = cairn_object_new(runtime, i % PART_FINAL ? &plain : &final, 0);
        require(all[i] != NULL);
        link_of(all[i])->number = i;
    }
    for (size_t i = 0; i < size; i++) {
        cairn_set(&link_of(all[i])->refs[0], all[(i + 1) % size]);
        cairn_set(&link_of(all[i])->refs[1], all[random_below(&random, size)]);
        cairn_set(&link_of(all[i])->refs[2], all[random_below(&random, size)]);
    }
    for (size_t i = 0; i < WEAKS && weaks; i++) {
        weaks[i] = cairn_weak_new(all[random_below(&random, size)], on_death, NULL);
        require(weaks[i] != NULL);
    }
    for (size_t i = 1; i < size; i++) {
        cairn_decref(all[i]);
    }
    struct link *first = link_of(all[0]);
    free(all);
    (void)cairn_collector_visit_objects(runtime, 0, see, NULL); /* new pools are put in order: not amid a cycle */
    return first;
}

/* Steps of a microsecond to the end of two cycles, with a young collection now and then; returns how many. */
static size_t steps_to_the_end(void (*between)(size_t step))
{
    size_t steps = 0;
    cairn_collector_set_step(runtime, 1);
    for (int cycles = 0; cycles < 2; steps++) {
        size_t before = finalized;
        cycles += cairn_collector_step(runtime);
        steps_with_finals += finalized != before;
        require(steps < STEPS_MOST);
        if (between) {
            between(steps);
        }
        if (steps % 64 == 0) {
            (void)cairn_collect(runtime, 1);
            require(cairn_runtime_check(runtime, stderr) == 0);
        }
    }
    cairn_collector_set_step(runtime, 0);
    return steps;
}

static void drop_weaks(cairn_weak **weaks)
{
    for (size_t i = 0; i < WEAKS; i++) {
        assert_true(cairn_weak_is_dead(weaks[i]));
        cairn_decref(&weaks[i]->object);
    }
}

static void a_large_piece_dies_in_many_steps(void **state)
{
    (void)state;
    cairn_weak *weaks[WEAKS];
    cairn_collector_disable(runtime);
    cairn_decref(&piece(PIECE, weaks)->object);
    (void)steps_to_the_end(NULL);
    assert_int_equal(died, PIECE);
    assert_int_equal(finalized, PIECE / PART_FINAL);
    assert_int_equal(weaks_at_first_final, WEAKS);
    assert_true(steps_with_finals > PIECE / PART_FINAL / 50); /* a step ends when its time is up */
    drop_weaks(weaks);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.resurrected, 0);
}

static void one_finalizer_brings_all_of_it_back(void **state)
{
    (void)state;
    cairn_weak *weaks[WEAKS];
    cairn_collector_disable(runtime);
    taken_number = PIECE / 2;
    cairn_decref(&piece(PIECE, weaks)->object);
    (void)steps_to_the_end(NULL);
    assert_non_null(taken);
    assert_int_equal(died, 0);
    assert_int_equal(finalized, PIECE / PART_FINAL);
    drop_weaks(weaks);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.resurrected, PIECE);
    cairn_clear(&taken);
    (void)steps_to_the_end(NULL);
    assert_int_equal(died, PIECE);
    assert_int_equal(finalized, PIECE / PART_FINAL); /* not once more */
}

static bool take_one(cairn_object *object, void *arg)
{
    (void)arg;
    if (object->type == &plain) {
        taken = cairn_incref(object);
        return false;
    }
    return true;
}

/* Once finalizers have begun to run, the program finds an object of the piece among those the collector shows. */
static void find_one(size_t step)
{
    (void)step;
    if (finalized > 10 && !taken) {
        (void)cairn_collector_visit_objects(runtime, -1, take_one, NULL);
    }
}

static void the_program_takes_it_up_between_steps(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    cairn_decref(&piece(PIECE, NULL)->object);
    (void)steps_to_the_end(find_one);
    assert_non_null(taken);
    assert_int_equal(died, 0);
    cairn_clear(&taken);
    (void)cairn_collect(runtime, 2);
    assert_int_equal(died, PIECE);
}

/* The program's only reference into a piece that lives goes from object to object: at one step it is taken out of a
 * member, which is left empty, at the next it is put back there and another one counted. So no walk in steps may trust
 * what it has seen, and no count tells. The ring, but for one link at a time, keeps all of it alive. */
static cairn_object *held, **left_empty;

static void move_on(size_t step)
{
    if (left_empty) {
        cairn_object *next = cairn_incref(link_of(held)->refs[step % 3]);
        *left_empty = held;
        left_empty = NULL;
        held = next;
    } else {
        cairn_object *origin = held;
        left_empty = &link_of(origin)->refs[step % 3];
        held = *left_empty;
        *left_empty = NULL;
        cairn_decref(origin);
    }
}

static void a_piece_that_lives_and_changes_stays(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    held = &piece(PIECE, NULL)->object;
    left_empty = NULL;
    for (int i = 0; i < 5; i++) {
        (void)steps_to_the_end(move_on);
    }
    assert_int_equal(died, 0);
    assert_int_equal(finalized, 0);
    if (left_empty) {
        cairn_set(left_empty, held);
        left_empty = NULL;
    }
    cairn_clear(&held);
    (void)cairn_collect(runtime, 2);
    assert_int_equal(died, PIECE);
}

/* ---- objects with many references ---- */

enum { MANY = 240000, PARTS_LEAST = 50 };

static void a_long_list_takes_many_steps(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    cairn_object *list = cairn_list_new(runtime, NULL, 0);
    require(list != NULL);
    for (size_t i = 0; i < MANY; i++) {
        require(cairn_list_append(list, list) == 0);
    }
    (void)cairn_collect(runtime, 2);
    size_t steps = steps_to_the_end(NULL);
    assert_true(steps > PARTS_LEAST);
    cairn_decref(list);
    steps = steps_to_the_end(NULL);
    assert_true(steps > PARTS_LEAST);
}

static void a_large_dict_takes_many_steps(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    cairn_object *dict = cairn_dict_new(runtime);
    require(dict != NULL);
    for (size_t i = 0; i < MANY; i++) {
        cairn_object *key = new_int((int64_t)i);
        require(cairn_dict_set(dict, key, dict) == 0);
        cairn_decref(key);
    }
    (void)cairn_collect(runtime, 2);
    size_t steps = steps_to_the_end(NULL);
    assert_true(steps > PARTS_LEAST);
    cairn_decref(dict);
    steps = steps_to_the_end(NULL);
    assert_true(steps > PARTS_LEAST);
}

/* What is counted in parts may shrink, grow and die between two of them. */
static cairn_object *changing;

static void change(size_t step)
{
    if (step % 7 == 0) {
        require(cairn_list_replace(changing, 0, cairn_list_size(changing) / 2, NULL) == 0);
    } else {
        for (int i = 0; i < 3000; i++) {
            require(cairn_list_append(changing, step % 2 ? changing : taken) == 0);
        }
    }
}

static void a_long_list_changes_between_steps(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    changing = cairn_list_new(runtime, NULL, 0);
    taken = cairn_list_new(runtime, NULL, 0);
    require(changing && taken);
    for (int i = 0; i < 30000; i++) {
        require(cairn_list_append(changing, taken) == 0);
    }
    (void)steps_to_the_end(change);
    (void)steps_to_the_end(change);
    assert_int_equal(cairn_list_size(taken), 0);
    cairn_clear(&taken);
    cairn_clear(&changing);
    (void)cairn_collect(runtime, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, test_runtime_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_piece_dies_in_many_steps),      TEST(one_finalizer_brings_all_of_it_back),
        TEST(the_program_takes_it_up_between_steps), TEST(a_piece_that_lives_and_changes_stays),
        TEST(a_long_list_takes_many_steps),          TEST(a_large_dict_takes_many_steps),
        TEST(a_long_list_changes_between_steps),
    };
    return cmocka_run_group_tests_name("large pieces and large objects in bounded mode", tests, NULL, NULL);
}
