/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_collector.c: random graphs against a model of reachability, in every mode; generations, freezing, garbage list,
 * callbacks, memory that runs out. */

#include <errno.h>
#include <string.h>

#include "cairn_object.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { NODES = 300, SLOTS_OF_NODE = 4, HOLDERS = 16 };

struct node {
    cairn_object object;
    cairn_object *to[SLOTS_OF_NODE];
    cairn_weak *weak_list;
    uint32_t id;
    unsigned char payload[];
};

/* What the test knows of each node it made. */
struct known {
    struct node *node; /* NULL: never made, or dead */
    unsigned finalized;
    bool revive; /* its finalizer puts it into a holder */
};

struct world {
    cairn_runtime *runtime;
    uint64_t random;
    struct known known[NODES];
    cairn_object *holder[HOLDERS]; /* references from outside */
    size_t died;
    unsigned revived;
    bool quiet; /* finalizers revive nobody */
};

static struct world *world;

static void node_died(cairn_object *self)
{
    struct node *node = (struct node *)(void *)self;
    require(world->known[node->id].node == node);
    world->known[node->id].node = NULL;
    world->died++;
    for (unsigned i = 0; i < SLOTS_OF_NODE; i++) {
        cairn_clear(&node->to[i]);
    }
}

static void node_finalized(cairn_object *self)
{
    struct node *node = (struct node *)(void *)self;
    struct known *known = &world->known[node->id];
    require(known->node == node);
    known->finalized++;
    require(known->finalized == 1);
    if (known->revive && !world->quiet) {
        cairn_set(&world->holder[random_below(&world->random, HOLDERS)], self);
        world->revived++;
    }
}

static const cairn_type plain_type = {
    .struct_size = sizeof(cairn_type),
    .name = "node",
    .size = sizeof(struct node),
    .item_size = 1,
    .reference_offset = offsetof(struct node, to),
    .reference_count = SLOTS_OF_NODE,
    .weak_offset = offsetof(struct node, weak_list),
    .dealloc = node_died,
};

/* Two references and nothing else. */
static const cairn_type pair_type = {
    .struct_size = sizeof(cairn_type),
    .name = "pair",
    .size = sizeof(cairn_object) + 2 * sizeof(cairn_object *),
    .reference_offset = sizeof(cairn_object),
    .reference_count = 2,
};

static const cairn_type finalized_type = {
    .struct_size = sizeof(cairn_type),
    .name = "finalized node",
    .size = sizeof(struct node),
    .item_size = 1,
    .reference_offset = offsetof(struct node, to),
    .reference_count = SLOTS_OF_NODE,
    .weak_offset = offsetof(struct node, weak_list),
    .finalize = node_finalized,
    .dealloc = node_died,
};

/* ---- the model ---- */

static void reach(const struct node *node, bool *reached)
{
    uint32_t stack[NODES];
    size_t depth = 0;
    if (!reached[node->id]) {
        reached[node->id] = true;
        stack[depth++] = node->id;
    }
    while (depth) {
        const struct node *from = world->known[stack[--depth]].node;
        for (unsigned i = 0; i < SLOTS_OF_NODE; i++) {
            const struct node *to = (const struct node *)(const void *)from->to[i];
            if (to && !reached[to->id]) {
                reached[to->id] = true;
                stack[depth++] = to->id;
            }
        }
    }
}

static void reachable(bool *reached)
{
    memset(reached, 0, NODES);
    for (size_t i = 0; i < HOLDERS; i++) {
        if (world->holder[i]) {
            reach((const struct node *)(const void *)world->holder[i], reached);
        }
    }
}

/* All that is reachable is alive; with `exactly`, nothing else is. */
static void compare(bool exactly)
{
    bool reached[NODES];
    reachable(reached);
    for (size_t i = 0; i < NODES; i++) {
        if (reached[i]) {
            assert_non_null(world->known[i].node);
        } else if (exactly) {
            assert_null(world->known[i].node);
        }
    }
}

/* ---- random operations ---- */

static struct node *some_held(void)
{
    return (struct node *)(void *)world->holder[random_below(&world->random, HOLDERS)];
}

/* A node that is reachable from a held one. */
static struct node *some_reachable(void)
{
    struct node *node = some_held();
    for (size_t steps = random_below(&world->random, 6); node && steps; steps--) {
        struct node *next = (struct node *)(void *)node->to[random_below(&world->random, SLOTS_OF_NODE)];
        node = next ? next : node;
    }
    return node;
}

static size_t some_size(void)
{
    static const size_t sizes[] = {0, 0, 0, 8, 40, 200, 700, 3000, 5000, 70000};
    return sizes[random_below(&world->random, COUNT_OF(sizes))];
}

static void make_node(void)
{
    size_t id = random_below(&world->random, NODES);
    struct known *known = &world->known[id];
    if (known->node) {
        return;
    }
    bool finalized = random_chance(&world->random, 30);
    struct node *node = (struct node *)(void *)cairn_object_new(world->runtime,
                                                                finalized ? &finalized_type : &plain_type, some_size());
    if (!node) {
        return;
    }
    if (known->node) { /* a finalizer cannot have made one */
        fail();
    }
    node->id = (uint32_t)id;
    *known = (struct known){.node = node, .revive = random_chance(&world->random, 30)};
    struct node *held = some_reachable();
    if (held && random_chance(&world->random, 60)) {
        cairn_set(&held->to[random_below(&world->random, SLOTS_OF_NODE)], &node->object);
    }
    if (random_chance(&world->random, 50)) {
        cairn_set(&world->holder[random_below(&world->random, HOLDERS)], &node->object);
    }
    struct node *to = some_reachable();
    if (to) {
        cairn_set(&node->to[0], &to->object);
    }
    cairn_decref(&node->object);
}

static void link_nodes(void)
{
    struct node *from = some_reachable();
    struct node *to = some_reachable();
    if (from) {
        unsigned slot = (unsigned)random_below(&world->random, SLOTS_OF_NODE);
        cairn_set(&from->to[slot], to && random_chance(&world->random, 80) ? &to->object : NULL);
    }
}

static void let_go(void)
{
    cairn_clear(&world->holder[random_below(&world->random, HOLDERS)]);
}

static void random_step(void)
{
    switch (random_below(&world->random, 8)) {
    case 0:
    case 1:
    case 2:
        make_node();
        break;
    case 3:
    case 4:
    case 5:
        link_nodes();
        break;
    case 6:
        let_go();
        break;
    default:
        cairn_runtime_poll(world->runtime);
        break;
    }
}

/* ---- modes ---- */

struct mode {
    const char *preset; /* of the heap's geometry */
    bool deferred;
    unsigned step_us;
    unsigned thresholds[3];
    bool no_pools;
};

static const struct mode modes[] = {
    {"default", false, 0, {2000, 10, 10}, false}, {"default", false, 0, {1, 1, 1}, false},
    {"classic", false, 0, {5, 2, 2}, false},      {"cpython", true, 0, {3, 3, 3}, false},
    {"default", true, 0, {2000, 10, 10}, false},  {"default", false, 1, {5, 1, 1}, false},
    {"default", true, 1, {3, 1, 1}, false},       {"default", false, 0, {20, 2, 2}, true},
};

static void start_world(const struct mode *mode, uint64_t seed)
{
    static struct world the_world;
    static cairn_geometry geometry;
    memset(&the_world, 0, sizeof the_world);
    world = &the_world;
    world->random = seed;
    assert_int_equal(cairn_geometry_preset(mode->preset, &geometry), 0);
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    heap.geometry = &geometry;
    heap.no_pools = mode->no_pools;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.heap = &heap;
    options.deferred = mode->deferred;
    options.sweep_most = 10;
    options.step_us = mode->step_us;
    memcpy(options.thresholds, mode->thresholds, sizeof options.thresholds);
    world->runtime = cairn_runtime_create(&options);
    assert_non_null(world->runtime);
}

static void end_world(void)
{
    world->quiet = true;
    for (size_t i = 0; i < HOLDERS; i++) {
        cairn_clear(&world->holder[i]);
    }
    cairn_runtime_end end;
    assert_int_equal(cairn_runtime_destroy_checked(world->runtime, stderr, &end), 0);
    assert_int_equal(end.kept_objects, 0);
    assert_int_equal(end.kept_blocks, 0);
    for (size_t i = 0; i < NODES; i++) {
        assert_null(world->known[i].node);
    }
}

static void random_graph(const struct mode *mode, uint64_t seed, size_t steps)
{
    start_world(mode, seed);
    for (size_t i = 0; i < steps; i++) {
        random_step();
        if (i % 16 == 0) {
            compare(false);
            assert_int_equal(cairn_runtime_check(world->runtime, stderr), 0);
        }
        if (random_chance(&world->random, 3)) {
            (void)cairn_collect(world->runtime, (int)random_below(&world->random, 2));
            compare(false);
        }
        if (mode->step_us && random_chance(&world->random, 20)) {
            (void)cairn_collector_step(world->runtime);
        }
    }
    /* Twice: what a finalizer brought back, and then nobody holds, is found by the second. */
    world->quiet = true;
    (void)cairn_collect(world->runtime, 2);
    (void)cairn_collect(world->runtime, 2);
    compare(true);
    assert_int_equal(cairn_runtime_check(world->runtime, stderr), 0);
    end_world();
}

static void test_random_graphs(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (size_t i = 0; i < test_scaled(300); i++) {
        for (size_t m = 0; m < COUNT_OF(modes); m++) {
            random_graph(&modes[m], seed + i * COUNT_OF(modes) + m, 200 + i % 7 * 100);
        }
    }
}

/* Moves a reference from a holder into a node, or back: what counts of different times make of it is wrong. */
static void shuttle(void)
{
    struct node *node = some_reachable();
    if (!node) {
        return;
    }
    cairn_object **slot = &node->to[random_below(&world->random, SLOTS_OF_NODE)];
    cairn_object **holder = &world->holder[random_below(&world->random, HOLDERS)];
    if (!*slot && *holder && *holder != &node->object) {
        cairn_object *moved = *holder;
        *holder = NULL;
        *slot = moved;
    } else if (*slot && !*holder) {
        *holder = *slot;
        *slot = NULL;
    }
}

/* A cycle of bounded mode finds all that was garbage when it began, and nothing that lives, with changes going on
 * meanwhile. */
static void test_bounded_finds_all(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (size_t i = 0; i < test_scaled(400); i++) {
        struct mode mode = {"default", i % 2, 1, {0, 0, 0}, i % 5 == 4};
        start_world(&mode, seed + i);
        world->quiet = true;
        for (size_t n = 0; n < 300; n++) {
            random_step();
        }
        while (cairn_runtime_sweep(world->runtime, 100)) {
        }
        bool reached[NODES], garbage[NODES];
        struct node *was[NODES];
        reachable(reached);
        for (size_t id = 0; id < NODES; id++) {
            was[id] = world->known[id].node;
            garbage[id] = was[id] && !reached[id];
        }
        while (!cairn_collector_step(world->runtime)) {
            link_nodes(); /* changes, but makes nothing: so a dead node's place stays empty */
            for (size_t n = random_below(&world->random, 40); n; n--) {
                shuttle();
            }
            compare(false);
            if (random_chance(&world->random, 30)) {
                let_go();
            }
            assert_int_equal(cairn_runtime_check(world->runtime, stderr), 0);
        }
        while (cairn_runtime_sweep(world->runtime, 100)) {
        }
        for (size_t id = 0; id < NODES; id++) {
            if (garbage[id]) {
                assert_null(world->known[id].node);
            }
        }
        compare(false);
        end_world();
    }
}

/* One connected piece, larger than what a step can prove dead, is found by one cycle all the same. */
static void test_bounded_finds_a_large_piece(void **state)
{
    (void)state;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.step_us = 10;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    cairn_collector_disable(runtime);
    size_t count = test_scaled(100000) + 3000;
    cairn_object *first = cairn_object_new(runtime, &pair_type, 0);
    cairn_object *last = first;
    for (size_t i = 1; i < count; i++) {
        cairn_object *next = cairn_object_new(runtime, &pair_type, 0);
        *(cairn_object **)(void *)(last + 1) = next;
        last = next;
    }
    *(cairn_object **)(void *)(last + 1) = first;
    /* It dies piece by piece, though each object's death is that of the next. */
    size_t left = count, most = 0;
    for (bool done = false; !done;) {
        done = cairn_collector_step(runtime);
        assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
        cairn_runtime_stats now;
        cairn_runtime_get_stats(runtime, &now);
        size_t alive = now.containers_tracked + now.queued;
        most = left - alive > most ? left - alive : most;
        left = alive;
    }
    assert_int_equal(left, 0);
    assert_true(most <= count / 2);
    cairn_step_stats stats;
    cairn_collector_get_step_stats(runtime, &stats);
    assert_int_equal(stats.collected, count);
    assert_int_equal(stats.cycles, 1);
    assert_true(stats.steps > 1);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_runtime_end end;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &end), 0);
    assert_int_equal(end.kept_objects, 0);
}

/* ---- rules ---- */

static cairn_runtime *plain_runtime(void)
{
    struct mode mode = {"default", false, 0, {0, 10, 10}, false};
    start_world(&mode, 1);
    world->quiet = true;
    return world->runtime;
}

static struct node *named(const cairn_type *type, uint32_t id)
{
    struct node *node = (struct node *)(void *)cairn_object_new(world->runtime, type, 0);
    assert_non_null(node);
    node->id = id;
    world->known[id] = (struct known){.node = node};
    return node;
}

static void self_cycle(const cairn_type *type, uint32_t id)
{
    struct node *node = named(type, id);
    cairn_set(&node->to[0], &node->object);
    cairn_decref(&node->object);
}

static void test_counts(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    self_cycle(&plain_type, 0);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    struct node *a = named(&plain_type, 0);
    struct node *b = named(&plain_type, 1);
    cairn_set(&a->to[0], &b->object);
    cairn_set(&b->to[3], &a->object);
    cairn_decref(&a->object);
    cairn_decref(&b->object);
    assert_int_equal(cairn_collect(runtime, 0), 2);
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_int_equal(cairn_collect(runtime, 3), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(cairn_runtime_error(runtime), "invalid generation");
    unsigned counts[3];
    self_cycle(&plain_type, 0);
    cairn_collector_get_count(runtime, counts);
    assert_int_equal(counts[0], 1);
    end_world();
}

static void test_generations_move_up(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    struct node *node = named(&plain_type, 0);
    unsigned counts[3];
    assert_int_equal(cairn_object_generation(&node->object), 0);
    (void)cairn_collect(runtime, 0);
    cairn_collector_get_count(runtime, counts);
    assert_int_equal(counts[1], 1);
    assert_int_equal(cairn_object_generation(&node->object), 1);
    (void)cairn_collect(runtime, 1);
    cairn_collector_get_count(runtime, counts);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1);
    assert_int_equal(cairn_object_generation(&node->object), 2);
    (void)cairn_collect(runtime, 2);
    cairn_collector_get_count(runtime, counts);
    assert_int_equal(counts[2], 0);
    assert_int_equal(cairn_object_generation(&node->object), 2);
    cairn_collector_freeze(runtime);
    assert_int_equal(cairn_object_generation(&node->object), 3);
    assert_int_equal(cairn_collector_freeze_count(runtime), 1);
    cairn_set(&node->to[0], &node->object);
    cairn_decref(&node->object);
    assert_int_equal(cairn_collect(runtime, 2), 0);
    cairn_collector_unfreeze(runtime);
    assert_int_equal(cairn_collector_freeze_count(runtime), 0);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    end_world();
}

static void test_thresholds_trigger(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    cairn_collector_stats stats[3];
    unsigned thresholds[3] = {10, 2, 1};
    assert_int_equal(cairn_collector_set_threshold(runtime, thresholds, 3), 0);
    assert_int_equal(cairn_collector_set_threshold(runtime, thresholds, 4), EINVAL);
    /* A collection runs before the allocation that follows the one that passed the threshold. */
    uint32_t id = 0;
    for (; id < 11; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 0);
    (void)named(&plain_type, id++);
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 1);
    for (; id < 90; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 6);
    assert_int_equal(stats[1].collections, 2);
    assert_int_equal(stats[2].collections, 0);
    for (; id < 140; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 9);
    assert_int_equal(stats[1].collections, 2);
    assert_int_equal(stats[2].collections, 1);
    cairn_collector_disable(runtime);
    for (; id < 200; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 9);
    for (uint32_t i = 0; i < id; i++) {
        cairn_decref(&world->known[i].node->object);
    }
    end_world();
}

/* With the option, what is due waits for the next poll, which does it once. */
static void test_collections_wait_for_a_poll(void **state)
{
    (void)state;
    enum { CYCLES = 1000 };
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.collect_at_poll = true;
    options.thresholds[0] = 10;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    for (int i = 0; i < CYCLES; i++) {
        cairn_object *object = cairn_object_new(runtime, &pair_type, 0);
        assert_non_null(object);
        cairn_set((cairn_object **)(void *)(object + 1), object);
        cairn_decref(object);
    }
    cairn_collector_stats stats[3];
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections + stats[1].collections + stats[2].collections, 0);
    cairn_runtime_stats figures;
    cairn_runtime_get_stats(runtime, &figures);
    assert_int_equal(figures.objects_died, 0);
    assert_int_equal(figures.containers_tracked, CYCLES);
    cairn_runtime_poll(runtime);
    cairn_runtime_poll(runtime); /* nothing is due any more */
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[0].collections, 1);
    assert_int_equal(stats[0].collected, CYCLES);
    assert_int_equal(stats[1].collections + stats[2].collections, 0);
    cairn_runtime_get_stats(runtime, &figures);
    assert_int_equal(figures.containers_tracked, 0);
    cairn_runtime_end end;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &end), 0);
    assert_int_equal(end.kept_objects, 0);
}

/* The oldest generation waits until what has come into it is a quarter of what is in it. */
static void test_quarter_rule(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    uint32_t id = 0;
    for (; id < 100; id++) {
        (void)named(&plain_type, id);
    }
    (void)cairn_collect(runtime, 2);
    unsigned thresholds[3] = {1, 0, 0};
    (void)cairn_collector_set_threshold(runtime, thresholds, 3);
    cairn_collector_stats stats[3];
    for (; id < 120; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_true(stats[1].collections > 2);
    assert_int_equal(stats[2].collections, 1);
    for (; id < 150; id++) {
        (void)named(&plain_type, id);
    }
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[2].collections, 2);
    for (uint32_t i = 0; i < id; i++) {
        cairn_decref(&world->known[i].node->object);
    }
    end_world();
}

static void legacy(cairn_object *self)
{
    (void)self;
    world->revived++;
}

static const cairn_type legacy_type = {
    .struct_size = sizeof(cairn_type),
    .name = "legacy node",
    .size = sizeof(struct node),
    .reference_offset = offsetof(struct node, to),
    .reference_count = SLOTS_OF_NODE,
    .weak_offset = offsetof(struct node, weak_list),
    .finalize_legacy = legacy,
    .dealloc = node_died,
};

static void test_legacy_goes_to_garbage(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    struct node *a = named(&legacy_type, 0);
    struct node *b = named(&plain_type, 1);
    cairn_set(&a->to[0], &a->object);
    cairn_set(&a->to[1], &b->object);
    cairn_decref(&b->object);
    cairn_decref(&a->object);
    self_cycle(&plain_type, 2);
    assert_int_equal(cairn_collect(runtime, 2), 3);
    assert_null(world->known[2].node);
    assert_int_equal(world->revived, 0);
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    assert_ptr_equal(cairn_collector_garbage_at(runtime, 0), a);
    assert_null(cairn_collector_garbage_at(runtime, 1));
    cairn_collector_stats stats[3];
    cairn_collector_get_stats(runtime, stats);
    assert_int_equal(stats[2].collected, 1);
    assert_int_equal(stats[2].uncollectable, 2);
    cairn_clear(&a->to[0]);
    cairn_collector_garbage_clear(runtime);
    assert_int_equal(world->revived, 1);
    assert_null(world->known[0].node);
    assert_null(world->known[1].node);
    end_world();
}

static void test_saveall(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_SAVEALL);
    self_cycle(&plain_type, 0);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_non_null(world->known[0].node);
    assert_int_equal(cairn_collector_garbage_count(runtime), 1);
    cairn_collector_set_debug(runtime, 0);
    cairn_collector_garbage_clear(runtime);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_null(world->known[0].node);
    end_world();
}

struct calls {
    unsigned start, stop;
    cairn_collector_info last;
};

static void note_call(cairn_runtime *runtime, const cairn_collector_info *info, void *arg)
{
    struct calls *calls = arg;
    calls->start += !info->stop;
    calls->stop += info->stop;
    calls->last = *info;
    assert_int_equal(cairn_collect(runtime, 2), 0); /* one at a time */
}

static void test_callbacks(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    struct calls calls = {0};
    assert_int_equal(cairn_collector_add_callback(runtime, note_call, &calls), 0);
    self_cycle(&plain_type, 0);
    self_cycle(&plain_type, 1);
    assert_int_equal(cairn_collect(runtime, 1), 2);
    assert_int_equal(calls.start, 1);
    assert_int_equal(calls.stop, 1);
    assert_int_equal(calls.last.generation, 1);
    assert_int_equal(calls.last.collected, 2);
    assert_int_equal(cairn_collector_remove_callback(runtime, note_call, &calls), 0);
    assert_int_equal(cairn_collector_remove_callback(runtime, note_call, &calls), ENOENT);
    (void)cairn_collect(runtime, 1);
    assert_int_equal(calls.start, 1);
    end_world();
}

static bool count_object(cairn_object *object, void *arg)
{
    (void)object;
    ++*(size_t *)arg;
    return true;
}

static bool stop_at_once(cairn_object *object, void *arg)
{
    (void)count_object(object, arg);
    return false;
}

static void count_referent(cairn_object *object, void *arg)
{
    (void)object;
    ++*(size_t *)arg;
}

static void test_sight(void **state)
{
    (void)state;
    cairn_runtime *runtime = plain_runtime();
    struct node *a = named(&plain_type, 0);
    struct node *b = named(&plain_type, 1);
    cairn_set(&a->to[0], &b->object);
    cairn_set(&a->to[1], &b->object);
    (void)cairn_collect(runtime, 0);
    struct node *c = named(&plain_type, 2);
    cairn_set(&c->to[0], &b->object);
    size_t count = 0;
    assert_true(cairn_collector_visit_objects(runtime, -1, count_object, &count));
    assert_int_equal(count, 3);
    count = 0;
    assert_true(cairn_collector_visit_objects(runtime, 1, count_object, &count));
    assert_int_equal(count, 2);
    count = 0;
    assert_false(cairn_collector_visit_objects(runtime, -1, stop_at_once, &count));
    assert_int_equal(count, 1);
    assert_false(cairn_collector_visit_objects(runtime, 3, count_object, &count));
    count = 0;
    assert_true(cairn_collector_visit_referrers(runtime, &b->object, count_object, &count));
    assert_int_equal(count, 2);
    count = 0;
    cairn_object_visit_referents(&a->object, count_referent, &count);
    assert_int_equal(count, 2);
    assert_true(cairn_object_is_tracked(&a->object));
    cairn_object_untrack(&a->object);
    assert_false(cairn_object_is_tracked(&a->object));
    cairn_decref(&a->object);
    cairn_decref(&b->object);
    cairn_decref(&c->object);
    end_world();
}

/* No memory is needed to collect, and what a collection frees is enough to go on. */
static void test_collects_without_memory(void **state)
{
    (void)state;
    for (unsigned step_us = 0; step_us < 2; step_us++) {
        struct mode mode = {"default", false, step_us, {2000, 10, 10}, false};
        start_world(&mode, 1);
        world->quiet = true;
        for (uint32_t i = 0; i < 200; i += 2) {
            struct node *a = named(i % 3 ? &plain_type : &finalized_type, i);
            struct node *b = named(&plain_type, i + 1);
            cairn_set(&a->to[0], &b->object);
            cairn_set(&b->to[0], &a->object);
            cairn_decref(&a->object);
            cairn_decref(&b->object);
        }
        os_fake_refuse_from(OS_FAKE_GROWTH, 0);
        if (step_us) {
            while (!cairn_collector_step(world->runtime)) {
            }
        } else {
            assert_int_equal(cairn_collect(world->runtime, 2), 200);
        }
        os_fake_refuse_none();
        assert_int_equal(world->died, 200);
        end_world();
    }
}

/* At a limit, an allocation collects before it fails, and fails cleanly. */
static void test_limit(void **state)
{
    (void)state;
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    heap.limit = MIB(2);
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.heap = &heap;
    options.thresholds[0] = 0;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    for (unsigned i = 0; i < 500000; i++) {
        cairn_object *object = cairn_object_new(runtime, &pair_type, 0);
        assert_non_null(object);
        cairn_set((cairn_object **)(void *)(object + 1), object);
        cairn_decref(object);
    }
    cairn_object *chain = NULL;
    for (cairn_object *object; (object = cairn_object_new(runtime, &pair_type, 0));) {
        cairn_set_steal((cairn_object **)(void *)(object + 1), chain);
        chain = object;
    }
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_decref(chain);
    cairn_object *object = cairn_object_new(runtime, &pair_type, 0);
    assert_non_null(object);
    cairn_decref(object);
    cairn_runtime_destroy(runtime);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_generations_move_up),
        cmocka_unit_test(test_thresholds_trigger),
        cmocka_unit_test(test_collections_wait_for_a_poll),
        cmocka_unit_test(test_quarter_rule),
        cmocka_unit_test(test_bounded_finds_a_large_piece),
        cmocka_unit_test(test_legacy_goes_to_garbage),
        cmocka_unit_test(test_saveall),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_sight),
        cmocka_unit_test(test_collects_without_memory),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_bounded_finds_all),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : os_fake_faults() != 0;
}
