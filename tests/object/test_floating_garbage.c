/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_floating_garbage.c: in bounded mode what is garbage and not yet freed is never more than a tenth of the live
 * containers, young garbage included, in the pattern that filled the memory of programs on CPython 3.14's incremental
 * collector: many small cycles made in a loop between the objects of a model that stays alive. Here the cycles live for
 * a while, so that they are old when they die, refer to objects of the model, and the model refers to some of them. */

#include <stdio.h>
#include <stdlib.h>

#include "cairn_object.h"
#include "support/test.h"

enum {
    MODEL = 200000, /* objects of the model */
    WINDOW = 4000,  /* cycles alive at a time */
    CYCLE = 5,      /* objects of a cycle */
    LIVE = MODEL + WINDOW * CYCLE,
    SMALL_MOST = 100 /* objects */
};

struct part {
    cairn_object object;
    cairn_object *refs[4];
};

static const cairn_type part_type = {.struct_size = sizeof(cairn_type),
                                     .name = "part",
                                     .size = sizeof(struct part),
                                     .reference_offset = offsetof(struct part, refs),
                                     .reference_count = 4};

static struct part *part_of(cairn_object *object)
{
    return (struct part *)(void *)object;
}

static cairn_object *part(cairn_runtime *runtime)
{
    cairn_object *made = cairn_object_new(runtime, &part_type, 0);
    require(made != NULL);
    return made;
}

struct scene {
    cairn_runtime *runtime;
    cairn_object **model;  /* each refers to its neighbours in the model: one large live cycle */
    cairn_object **window; /* the first object of each cycle that lives */
    uint64_t random;
    size_t most; /* floating garbage, in objects */
};

static void build_model(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        scene->model[i] = part(scene->runtime);
    }
    for (size_t i = 0; i < count; i++) {
        cairn_set(&part_of(scene->model[i])->refs[0], scene->model[(i + 1) % count]);
        cairn_set(&part_of(scene->model[i])->refs[1], scene->model[random_below(&scene->random, count)]);
    }
}

/* A cycle whose objects refer to the model; with `back` an object of the model refers to it until another takes its
 * place. */
static cairn_object *cycle(struct scene *scene, size_t model, bool back)
{
    cairn_object *head = part(scene->runtime);
    cairn_object *last = head;
    for (int i = 1; i < CYCLE; i++) {
        cairn_object *next = part(scene->runtime);
        cairn_set(&part_of(next)->refs[1], scene->model[random_below(&scene->random, model)]);
        cairn_set_steal(&part_of(last)->refs[0], next);
        last = next;
    }
    cairn_set(&part_of(last)->refs[0], head);
    if (back) {
        cairn_set(&part_of(scene->model[0])->refs[2], head);
    }
    return head;
}

/* What is tracked, or dead and waits to be swept, and neither of the model nor of a living cycle. The cycle the model
 * refers to may live on. */
static void look(struct scene *scene, size_t live)
{
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(scene->runtime, &stats);
    require(stats.containers_tracked >= live);
    size_t floating = stats.containers_tracked + stats.queued - live;
    scene->most = floating > scene->most ? floating : scene->most;
}

static size_t run(unsigned step_us, bool back, size_t model, size_t window, size_t rounds, cairn_step_stats *stats)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.step_us = step_us;
    struct scene scene = {.runtime = cairn_runtime_create(&options), .random = test_seed()};
    require(scene.runtime != NULL);
    scene.model = calloc(model, sizeof(cairn_object *));
    scene.window = calloc(window, sizeof(cairn_object *));
    require(scene.model && scene.window);
    build_model(&scene, model);
    for (size_t i = 0; i < rounds; i++) {
        cairn_object *old = scene.window[i % window];
        scene.window[i % window] = cycle(&scene, model, back && i % 64 == 0);
        cairn_xdecref(old);
        if (i >= window) {
            look(&scene, model + window * CYCLE);
        }
    }
    cairn_collector_get_step_stats(scene.runtime, stats);
    for (size_t i = 0; i < model + window; i++) {
        cairn_decref(i < model ? scene.model[i] : scene.window[i - model]);
    }
    free(scene.model);
    free(scene.window);
    cairn_runtime_end end;
    require(cairn_runtime_destroy_checked(scene.runtime, stderr, &end) == 0 && end.kept_objects == 0);
    return scene.most;
}

static void bounded(const char *name, bool back, size_t model, size_t window)
{
    cairn_step_stats stats;
    size_t live = model + window * CYCLE;
    size_t most = run(CAIRN_STEP_DEFAULT_US, back, model, window, test_scaled(200000) + 2 * window, &stats);
    printf("%s: at most %zu objects of floating garbage beside %zu live ones (%.1f%%); %llu cycles in %llu steps, %llu "
           "objects\n",
           name, most, live, 100.0 * (double)most / (double)live, (unsigned long long)stats.cycles,
           (unsigned long long)stats.steps, (unsigned long long)stats.collected);
    assert_true(most <= live / 10);
    if (test_scale() >= 100) {
        assert_true(stats.cycles > 2 && stats.collected > live);
    }
}

static void floating_garbage_is_at_most_a_tenth(void **state)
{
    (void)state;
    bounded("cycles that refer to a model", false, MODEL, WINDOW);
    bounded("and a model that refers to some", true, MODEL, WINDOW);
}

static void even_if_most_of_what_lives_is_renewed_all_the_time(void **state)
{
    (void)state;
    bounded("a large window", true, MODEL / 10, WINDOW * 8);
}

/* Where a tenth is few objects, the bound has a constant beside it. */
static void in_a_small_heap_too(void **state)
{
    (void)state;
    const size_t models[] = {500, 2000, 8000, 30000};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        cairn_step_stats stats;
        size_t window = models[i] / 40, live = models[i] + window * CYCLE;
        size_t most = run(CAIRN_STEP_DEFAULT_US, true, models[i], window, test_scaled(40000) + 2 * window, &stats);
        printf("a small heap: at most %zu beside %zu (%.1f%%); %llu cycles\n", most, live,
               100.0 * (double)most / (double)live, (unsigned long long)stats.cycles);
        assert_true(most <= live / 10 + SMALL_MOST);
    }
}

/* The bound says something: a collector that waits until a quarter is new has more. */
static void unbounded_mode_has_more(void **state)
{
    (void)state;
    cairn_step_stats stats;
    if (test_scale() < 100) {
        skip();
    }
    size_t most = run(0, false, MODEL, WINDOW, 200000, &stats);
    printf("unbounded: %zu\n", most);
    assert_true(most > LIVE / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floating_garbage_is_at_most_a_tenth),
        cmocka_unit_test(even_if_most_of_what_lives_is_renewed_all_the_time),
        cmocka_unit_test(in_a_small_heap_too),
        cmocka_unit_test(unbounded_mode_has_more),
    };
    return cmocka_run_group_tests_name("floating garbage in bounded mode", tests, NULL, NULL);
}
