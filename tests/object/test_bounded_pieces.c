/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_bounded_pieces.c: in bounded mode one strongly connected piece of garbage, too large for a batch, dies by the
 * collector's rules though its finalizers and its clearing are spread over many steps, with the program at work between
 * them; and an object with very many references does not make one long step. How long steps are is tested as counts. */

#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"
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

/* A user's type with traverse_part: a row of references in memory of its own. */
struct shelf {
    cairn_object object;
    cairn_object **items;
    size_t length;
};

enum { SHELF_ITEMS = 30000, SHELF_PART = 2000 };

static size_t parts, parts_beyond; /* calls of shelf_part, and those with a position that is no more */

static struct shelf *shelf_of(cairn_object *object)
{
    return (struct shelf *)(void *)object;
}

static size_t shelf_part(cairn_object *self, size_t from, cairn_visit visit, void *arg)
{
    const struct shelf *shelf = shelf_of(self);
    parts++;
    parts_beyond += from > 0 && from >= shelf->length;
    size_t to = from + SHELF_PART < shelf->length ? from + SHELF_PART : shelf->length;
    for (size_t i = from; i < to; i++) {
        CAIRN_VISIT(shelf->items[i]);
    }
    return to < shelf->length ? to : 0;
}

static void shelf_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    for (size_t i = 0; i < shelf_of(self)->length; i++) {
        CAIRN_VISIT(shelf_of(self)->items[i]);
    }
}

static void shelf_shrink(struct shelf *shelf, size_t length)
{
    while (shelf->length > length) {
        cairn_decref(shelf->items[--shelf->length]);
    }
    shelf->items = realloc(shelf->items, (length + 1) * sizeof(*shelf->items));
    require(shelf->items != NULL);
}

static void shelf_clear(cairn_object *self)
{
    struct shelf *shelf = shelf_of(self);
    while (shelf->length) {
        cairn_decref(shelf->items[--shelf->length]);
    }
}

static void shelf_dealloc(cairn_object *self)
{
    shelf_clear(self);
    free(shelf_of(self)->items);
}

static const cairn_type shelf_type = {.struct_size = sizeof(cairn_type),
                                      .name = "shelf",
                                      .size = sizeof(struct shelf),
                                      .traverse = shelf_traverse,
                                      .traverse_part = shelf_part,
                                      .clear = shelf_clear,
                                      .dealloc = shelf_dealloc};

/* A shelf of references to `item`, the last one its only one to a ring of two links. */
static struct shelf *shelf_new(size_t length, cairn_object *item)
{
    struct shelf *shelf = shelf_of(cairn_object_new(runtime, &shelf_type, 0));
    require(shelf != NULL);
    shelf->items = malloc((length + 1) * sizeof(*shelf->items));
    require(shelf->items != NULL);
    while (shelf->length < length) {
        shelf->items[shelf->length++] = cairn_incref(item);
    }
    cairn_object *ring = cairn_object_new(runtime, &plain, 0), *other = cairn_object_new(runtime, &plain, 0);
    require(ring && other);
    cairn_set(&link_of(ring)->refs[0], other);
    cairn_set_steal(&link_of(other)->refs[0], ring);
    shelf->items[shelf->length++] = other;
    return shelf;
}

/* Steps until the shelf has been traversed in so many parts, COUNT's and MARK's, or the cycle has ended. */
static bool step_to_part(size_t part)
{
    parts = 0;
    while (parts < part) {
        if (cairn_collector_step(runtime)) {
            return false;
        }
    }
    return true;
}

/* At each part in turn it shrinks, or dies, and another object takes its place. */
static void a_users_row_shrinks_between_steps(void **state)
{
    (void)state;
    enum { LEFT = 5 };
    cairn_collector_disable(runtime);
    cairn_object *item = cairn_object_new(runtime, &plain, 0);
    size_t part = 1, in_time = 0;
    bool more = true;
    for (; more; part++) {
        for (int dies = 0; dies < 2; dies++) {
            struct shelf *shelf = shelf_new(SHELF_ITEMS, item);
            (void)cairn_collect(runtime, 2);
            (void)cairn_collector_visit_objects(runtime, 0, see, NULL);
            died = 0;
            cairn_collector_set_step(runtime, 1);
            more = step_to_part(part);
            in_time += more;
            if (dies) {
                cairn_decref(&shelf->object);
                shelf = shelf_new(LEFT - 1, item); /* where it was: the block is free */
            } else {
                shelf_shrink(shelf, LEFT);
            }
            assert_int_equal(shelf->length, LEFT);
            (void)steps_to_the_end(NULL);
            assert_int_equal(died, 2); /* the ring that the shelf no longer holds */
            assert_int_equal(cairn_count(item), 1 + (dies ? LEFT - 1 : LEFT));
            cairn_decref(&shelf->object);
            (void)cairn_collect(runtime, 2);
            assert_int_equal(died, dies ? 4 : 2);
            assert_int_equal(cairn_count(item), 1);
        }
    }
    assert_true(part > 2 * (SHELF_ITEMS / SHELF_PART)); /* all of COUNT, and all of MARK */
    assert_true(in_time > 2 * (SHELF_ITEMS / SHELF_PART));
    assert_true(parts_beyond > 0);
    cairn_decref(item);
}

/* ---- the length of a step, as a count ---- */

/* To look at one of these takes so long that the time of a step is up at each look at the clock. */
static size_t looked_at;

/* Longer than a step of a microsecond may take: whoever looks at the clock next finds the time up. */
static void take_time(void)
{
    enum { LONGER_NS = 1500 };
    uint64_t until = os_clock_ns() + LONGER_NS;
    while (os_clock_ns() < until) {
    }
}

static void slow_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    looked_at++;
    take_time();
    traverse(self, visit, arg);
}

static void slow_dealloc(cairn_object *self)
{
    take_time();
    dealloc(self);
}

static const cairn_type slow = {.struct_size = sizeof(cairn_type),
                                .name = "slow link",
                                .size = sizeof(struct link),
                                .weak_offset = offsetof(struct link, weak_list),
                                .traverse = slow_traverse,
                                .clear = clear,
                                .dealloc = slow_dealloc};

enum { LOOKED_AT_MOST = 1024, DEATHS_MOST = 16 }; /* between two looks at the clock */

static struct link *slow_link(struct link *to)
{
    cairn_object *made = cairn_object_new(runtime, &slow, 0);
    require(made != NULL);
    cairn_set(&link_of(made)->refs[0], &to->object);
    return link_of(made);
}

struct longest {
    size_t steps, looked_at, deaths;
};

static struct longest steps_of_a_cycle(void)
{
    struct longest most = {0, 0, 0};
    bool ended = false;
    (void)cairn_collector_visit_objects(runtime, 0, see, NULL);
    cairn_collector_set_step(runtime, 1);
    while (!ended) {
        size_t looked_before = looked_at, died_before = died;
        ended = cairn_collector_step(runtime);
        size_t looked = looked_at - looked_before, deaths = died - died_before;
        most.looked_at = looked > most.looked_at ? looked : most.looked_at;
        most.deaths = deaths > most.deaths ? deaths : most.deaths;
        most.steps++;
    }
    return most;
}

static void a_step_looks_at_so_many_objects_and_no_more(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    cairn_object *first = cairn_object_new(runtime, &slow, 0);
    struct link *chain = link_of(first);
    for (size_t i = 1; i < PIECE; i++) {
        struct link *next = slow_link(chain);
        cairn_decref(&chain->object);
        chain = next;
    }
    (void)cairn_collect(runtime, 2);
    looked_at = 0;
    struct longest most = steps_of_a_cycle();
    assert_int_equal(looked_at, 2 * PIECE); /* counted once and marked once */
    assert_in_range(most.looked_at, LOOKED_AT_MOST / 2, LOOKED_AT_MOST);
    assert_in_range(most.steps, 2 * PIECE / LOOKED_AT_MOST, SIZE_MAX);
    assert_int_equal(died, 0);
    cairn_decref(&chain->object);
    cairn_collector_set_step(runtime, 0);
    (void)cairn_collect(runtime, 2);
    assert_int_equal(died, PIECE);
}

static void so_many_objects_die_in_a_step_and_no_more(void **state)
{
    (void)state;
    cairn_collector_disable(runtime);
    size_t rings = PIECE / 3;
    for (size_t i = 0; i < rings; i++) {
        cairn_object *last = cairn_object_new(runtime, &slow, 0);
        struct link *middle = slow_link(link_of(last)), *head = slow_link(middle);
        cairn_set(&link_of(last)->refs[0], &head->object);
        cairn_decref(last);
        cairn_decref(&middle->object);
        cairn_decref(&head->object);
    }
    looked_at = 0;
    struct longest most = {0, 0, 0};
    for (int cycles = 0; cycles < 3; cycles++) {
        struct longest cycle = steps_of_a_cycle();
        most.steps += cycle.steps;
        most.looked_at = cycle.looked_at > most.looked_at ? cycle.looked_at : most.looked_at;
        most.deaths = cycle.deaths > most.deaths ? cycle.deaths : most.deaths;
    }
    cairn_collector_set_step(runtime, 0);
    while (cairn_runtime_sweep(runtime, 0)) {
    }
    assert_int_equal(died, 3 * rings);
    assert_in_range(most.deaths, 1, DEATHS_MOST);
    assert_in_range(most.looked_at, 1, LOOKED_AT_MOST);
    assert_in_range(most.steps, 3 * rings / DEATHS_MOST, SIZE_MAX);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, test_runtime_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_piece_dies_in_many_steps),
        TEST(one_finalizer_brings_all_of_it_back),
        TEST(the_program_takes_it_up_between_steps),
        TEST(a_piece_that_lives_and_changes_stays),
        TEST(a_long_list_takes_many_steps),
        TEST(a_large_dict_takes_many_steps),
        TEST(a_long_list_changes_between_steps),
        TEST(a_users_row_shrinks_between_steps),
        TEST(a_step_looks_at_so_many_objects_and_no_more),
        TEST(so_many_objects_die_in_a_step_and_no_more),
    };
    return cmocka_run_group_tests_name("large pieces and large objects in bounded mode", tests, NULL, NULL);
}
