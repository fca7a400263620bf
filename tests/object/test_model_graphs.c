/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_graphs.c: random graphs of objects against the model of reachability in graph.h: after every collection
 * what is dead is what the model says, and so are counts, generations, weak references, finalizers and callbacks. More
 * than 100,000 graphs at scale 100, in these plans:
 *   collections asked for; collections at each allocation, of the generation that is due and of all (hostile); deferred
 *   reclamation; bounded mode; threads that share a runtime; large graphs and containers; memory refused at each call
 *   into the system, and at a limit.
 * The runtime's own check runs after each graph, in the debug build after each step. */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/graph.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { GRAPHS_PER_RUNTIME = 400, SMALL_STEPS = 24, KEEP = 350 };

#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
enum { CHECK_STEPS = 1 };
#else
enum { CHECK_STEPS = 0 };
#endif

struct plan {
    const char *name;
    size_t graphs;
    size_t objects; /* at most, made at first */
    size_t steps;
    unsigned behaviours; /* 0: all */
    size_t slots_max;
    size_t keep; /* how many of a thousand roots stay; 0: KEEP */
    bool often;  /* a collection is due at each second allocation */
    bool
        hostile; /* all generations are collected at each; with CAIRN_OBJECT_HOSTILE=1 in all plans but deferred ones */
    bool deferred;
    unsigned step_us;
    size_t limit;
};

static cairn_runtime *runtime_of(const struct plan *plan)
{
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    heap.single = true;
    heap.limit = plan->limit;
    options.heap = &heap;
    options.deferred = plan->deferred;
    options.step_us = plan->step_us;
    options.hostile = plan->hostile;
    if (plan->often) {
        options.thresholds[0] = 1;
        options.thresholds[1] = 1;
        options.thresholds[2] = 1;
    }
    cairn_runtime *runtime = cairn_runtime_create(&options);
    require(runtime != NULL || plan->limit != 0);
    bool hostile = plan->hostile || (getenv("CAIRN_OBJECT_HOSTILE") && !plan->deferred);
    if (runtime && !hostile && !plan->often && plan->step_us == 0) {
        cairn_collector_disable(runtime);
    }
    return runtime;
}

static void end_runtime(cairn_runtime *runtime)
{
    cairn_runtime_end end;
    require(cairn_runtime_destroy_checked(runtime, stderr, &end) == 0);
    require(end.kept_objects == 0 && end.kept_blocks == 0);
    require(end.mapped_bytes == end.returned_bytes);
}

static void prepare(struct graph *graph, const struct plan *plan, cairn_runtime *runtime, uint64_t seed)
{
    graph_init(graph, runtime, plan->name, seed);
    graph->deferred = plan->deferred;
    graph->exact = plan->step_us == 0;
    graph->may_refuse = plan->limit != 0;
    if (plan->limit != 0) {
        graph->kinds &= ~(1U << KIND_LEGACY); /* the garbage list could be refused its memory */
    }
    graph->behaviours = plan->behaviours ? plan->behaviours : graph->behaviours;
    graph->slots_max = plan->slots_max ? plan->slots_max : graph->slots_max;
}

static void drop_most_roots(struct graph *graph, size_t keep)
{
    size_t count = graph->count;
    for (size_t i = 0; i < count; i++) {
        if (graph->nodes[i].roots > 0 && random_below(&graph->random, 1000) >= keep) {
            graph_drop_root(graph, (int32_t)i);
        }
    }
}

/* Objects, half the references they have room for, weak references; then most of the roots go. */
static void build(struct graph *graph, size_t objects, size_t keep)
{
    size_t wanted = 2 + random_below(&graph->random, objects);
    for (size_t i = 0; i < wanted; i++) {
        int32_t id = graph_random_new(graph);
        int32_t other = graph_pick(graph, 0);
        if (id != NO_NODE && other != NO_NODE) {
            graph_set(graph, id, (size_t)random_next(&graph->random), other);
            if (graph->nodes[other].kind != KIND_WEAK) {
                graph_set(graph, other, (size_t)random_next(&graph->random), id);
            }
        }
        int32_t context = random_chance(&graph->random, 15) ? graph_pick_thing(graph) : NO_NODE;
        if (context != NO_NODE && id != NO_NODE) {
            bool callback = random_chance(&graph->random, 70);
            int32_t weak = graph_weak(graph, id, callback, callback ? context : NO_NODE);
            if (weak != NO_NODE && other != NO_NODE && graph->nodes[other].kind != KIND_WEAK) {
                graph_set(graph, other, (size_t)random_next(&graph->random), weak);
            }
        }
    }
    drop_most_roots(graph, keep);
}

static void checked_step(struct graph *graph)
{
    graph_step(graph);
    if (CHECK_STEPS) {
        graph_check_sound(graph);
    }
}

static void one_graph(struct graph *graph, const struct plan *plan)
{
    build(graph, plan->objects, plan->keep ? plan->keep : KEEP);
    for (size_t i = 0; i < plan->steps; i++) {
        checked_step(graph);
    }
    if (!graph->exact) {
        graph_check_sound(graph);
    }
    graph_empty(graph);
    require(cairn_runtime_check(graph->runtime, stderr) == 0);
}

static void add_tally(struct tally *sum, const struct tally *tally)
{
    size_t *to = (size_t *)(void *)sum;
    const size_t *from = (const size_t *)(const void *)tally;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(size_t); i++) {
        to[i] += from[i];
    }
}

static void print_tally(const char *name, const struct tally *tally)
{
    printf("%s: %zu graphs, %zu collections; trash %zu, resurrected %zu, uncollectable %zu, stuck %zu; died by count "
           "%zu, finalizers %zu, weak references cleared %zu, callbacks %zu, lost %zu; untracked %zu, refused %zu\n",
           name, tally->graphs, tally->collections, tally->trash, tally->resurrected, tally->uncollectable,
           tally->stuck, tally->by_count, tally->finalizers, tally->weak_cleared, tally->callbacks,
           tally->callbacks_lost, tally->untracked, tally->refused);
}

static struct tally run_plan(const struct plan *plan, uint64_t seed)
{
    struct tally sum = {0};
    while (sum.graphs < plan->graphs) {
        struct graph graph;
        cairn_runtime *runtime = runtime_of(plan);
        prepare(&graph, plan, runtime, seed + sum.graphs);
        for (size_t i = 0; i < GRAPHS_PER_RUNTIME && sum.graphs + i < plan->graphs; i++) {
            graph.seed = graph.random = seed + sum.graphs + i;
            one_graph(&graph, plan);
        }
        graph_end(&graph);
        add_tally(&sum, &graph.tally);
        end_runtime(runtime);
    }
    print_tally(plan->name, &sum);
    return sum;
}

/* ---- the plans ---- */

static void small_graphs(void **state)
{
    (void)state;
    struct plan plan = {.name = "small", .graphs = test_scaled(100000), .objects = 9, .steps = SMALL_STEPS};
    struct tally tally = run_plan(&plan, test_seed());
    assert_true(tally.trash > plan.graphs && tally.by_count > plan.graphs && tally.collections > plan.graphs);
    if (test_scale() >= 5) {
        assert_true(tally.resurrected > 100 && tally.uncollectable > 100 && tally.stuck > 100);
        assert_true(tally.weak_cleared > 100 && tally.callbacks > 100 && tally.callbacks_lost > 100);
        assert_true(tally.untracked > 100 && tally.finalizers > 1000);
    }
}

/* A tuple in a cycle stays, and with it the weak reference that must not have called back. */
static void weak_references_in_the_trash_are_dead_before_any_callback(void **state)
{
    (void)state;
    struct plan plan = {.name = "callbacks"};
    struct graph graph;
    cairn_runtime *runtime = runtime_of(&plan);
    prepare(&graph, &plan, runtime, 1);
    int32_t tuple = graph_new(&graph, KIND_TUPLE, 2);
    int32_t context = graph_new(&graph, KIND_VECTOR, 1);
    int32_t live = graph_weak(&graph, tuple, true, context);
    int32_t trash = graph_weak(&graph, context, true, NO_NODE);
    graph_set(&graph, tuple, 0, tuple);
    graph_set(&graph, tuple, 1, trash);
    graph_drop_root(&graph, trash);
    graph_drop_root(&graph, context);
    graph_drop_root(&graph, tuple);
    graph_collect(&graph, 2);
    assert_true(graph.nodes[context].freed && !graph.nodes[tuple].freed);
    assert_int_equal(graph.nodes[live].calls, 1);
    assert_int_equal(graph.nodes[trash].calls, 0);
    graph_end(&graph);
    end_runtime(runtime);
}

static void collections_at_each_allocation(void **state)
{
    (void)state;
    struct plan often = {
        .name = "often", .graphs = test_scaled(10000), .objects = 9, .steps = SMALL_STEPS, .often = true};
    struct tally tally = run_plan(&often, test_seed());
    assert_true(test_scale() < 5 || (tally.collections > often.graphs * 4 && tally.trash > often.graphs));
    struct plan hostile = {
        .name = "hostile", .graphs = test_scaled(4000), .objects = 9, .steps = SMALL_STEPS, .hostile = true};
    tally = run_plan(&hostile, test_seed());
    assert_true(test_scale() < 5 || (tally.collections > hostile.graphs * 8 && tally.trash > hostile.graphs));
}

static void deferred_reclamation(void **state)
{
    (void)state;
    struct plan plan = {.name = "deferred",
                        .graphs = test_scaled(10000),
                        .objects = 9,
                        .steps = SMALL_STEPS,
                        .behaviours = 1U << DO_NOTHING | 1U << DO_KEEP_SELF | 1U << DO_KEEP_FIRST,
                        .deferred = true};
    struct tally tally = run_plan(&plan, test_seed());
    assert_true(test_scale() < 5 || (tally.trash > plan.graphs && tally.by_count > plan.graphs));
}

static void large_graphs(void **state)
{
    (void)state;
    struct plan plan = {.name = "large", .graphs = test_scaled(12), .objects = 1500, .steps = 150, .slots_max = 40};
    struct tally tally = run_plan(&plan, test_seed());
    assert_true(tally.collections > 0);
    struct plan wide = {
        .name = "large containers", .graphs = test_scaled(10), .objects = 80, .steps = 60, .slots_max = 20000};
    tally = run_plan(&wide, test_seed());
    assert_true(tally.collections > 0);
}

/* ---- bounded mode ---- */

/* Steps until a collection of the oldest generation ends that began after the call. */
static void step_to_the_end(struct graph *graph)
{
    while (!graph_collector_step(graph)) {
    }
    while (!graph_collector_step(graph)) {
    }
}

/* A tree whose nodes refer back to their parents here and there; all that is known of most nodes is one reference. */
static void build_tree(struct graph *graph, size_t objects)
{
    static const enum kind kinds[] = {KIND_FIXED, KIND_VECTOR, KIND_PARTIAL, KIND_MIXED};
    for (size_t i = 0; i < objects; i++) {
        int32_t id = graph_new(graph, kinds[random_below(&graph->random, COUNT_OF(kinds))], 6);
        int32_t parent = i ? (int32_t)random_below(&graph->random, i) : id;
        graph_set(graph, parent, (size_t)random_next(&graph->random) & ~(size_t)1, id);
        if (random_chance(&graph->random, 50)) {
            graph_set(graph, id, (size_t)random_next(&graph->random), parent);
        }
    }
    for (size_t i = 1; i < objects; i++) {
        if (i % 1000) {
            graph_drop_root(graph, (int32_t)i);
        }
    }
}

static void bounded_tree(struct graph *graph, const struct plan *plan)
{
    build_tree(graph, plan->objects);
    for (size_t i = 0; i < plan->steps; i++) {
        for (int moves = 0; moves < 20; moves++) {
            graph_move(graph, 30);
        }
        (void)graph_collector_step(graph);
        if (i % 30 == 0 || CHECK_STEPS) {
            graph_check_sound(graph);
        }
    }
}

static void bounded_changes(struct graph *graph, const struct plan *plan)
{
    build(graph, plan->objects, plan->keep ? plan->keep : KEEP);
    for (size_t i = 0; i < plan->steps; i++) {
        graph_step(graph);
        for (size_t moves = 0; moves < plan->objects / 200; moves++) {
            graph_move(graph, 10);
        }
        (void)graph_collector_step(graph);
        if (i % (plan->objects / 4 + 6) == 0 || CHECK_STEPS) {
            graph_check_sound(graph);
        }
    }
}

static void bounded_graph(struct graph *graph, const struct plan *plan, bool tree)
{
    if (tree) {
        bounded_tree(graph, plan);
    } else {
        bounded_changes(graph, plan);
    }
    for (int round = 0; round < 3; round++) { /* finalizers may bring back what dies in the next */
        step_to_the_end(graph);
    }
    graph_check_sound(graph);
    graph_check_complete(graph);
    graph_empty(graph);
}

static void bounded_mode(void **state)
{
    (void)state;
    struct plan plans[] = {
        {.name = "bounded", .graphs = test_scaled(10000), .objects = 9, .steps = SMALL_STEPS, .step_us = 1},
        {.name = "bounded, large",
         .graphs = test_scaled(20),
         .objects = 3000,
         .steps = 300,
         .slots_max = 60,
         .keep = 10,
         .step_us = 1},
        {.name = "bounded, trees", .graphs = test_scaled(60), .objects = 3000, .steps = 300, .step_us = 1}};
    for (size_t p = 0; p < COUNT_OF(plans); p++) {
        struct graph graph;
        cairn_step_stats stats;
        cairn_runtime *runtime = runtime_of(&plans[p]);
        prepare(&graph, &plans[p], runtime, test_seed());
        graph.kinds &= ~(1U << KIND_LEGACY);
        for (size_t i = 0; i < plans[p].graphs; i++) {
            graph.seed = graph.random = test_seed() + i;
            bounded_graph(&graph, &plans[p], p == 2);
        }
        cairn_collector_get_step_stats(runtime, &stats);
        graph_end(&graph);
        print_tally(plans[p].name, &graph.tally);
        printf("steps %llu, cycles %llu, collected %llu, late %llu\n", (unsigned long long)stats.steps,
               (unsigned long long)stats.cycles, (unsigned long long)stats.collected, (unsigned long long)stats.late);
        assert_true(stats.steps > 0 && (stats.collected > 0 || test_scale() < 100));
        end_runtime(runtime);
    }
}

/* ---- threads ---- */

enum { THREADS = 3 };

struct crew {
    struct graph *graph;
    size_t steps;
};

static void *thread_steps(void *arg)
{
    struct crew *crew = arg;
    struct graph *graph = crew->graph;
    cairn_gil_acquire(graph->runtime);
    for (size_t i = 0; i < crew->steps; i++) {
        checked_step(graph);
        if (i % 3 == 0) {
            cairn_gil_release(graph->runtime);
            sched_yield();
            cairn_gil_acquire(graph->runtime);
        } else {
            cairn_runtime_poll(graph->runtime);
        }
    }
    cairn_gil_release(graph->runtime);
    return NULL;
}

static void threads_share_a_runtime(void **state)
{
    (void)state;
    struct plan plan = {.name = "threads", .graphs = test_scaled(1000), .objects = 12, .steps = 20};
    struct graph graph;
    cairn_runtime *runtime = runtime_of(&plan);
    cairn_gil_set_switch_interval(runtime, 50);
    prepare(&graph, &plan, runtime, test_seed());
    for (size_t i = 0; i < plan.graphs; i++) {
        struct crew crew = {&graph, plan.steps};
        pthread_t threads[THREADS];
        build(&graph, plan.objects, KEEP);
        cairn_gil_release(runtime);
        for (int t = 0; t < THREADS; t++) {
            start_thread(&threads[t], thread_steps, &crew);
        }
        for (int t = 0; t < THREADS; t++) {
            join_thread(threads[t]);
        }
        cairn_gil_acquire(runtime);
        graph_empty(&graph);
    }
    graph_end(&graph);
    print_tally(plan.name, &graph.tally);
    assert_true(test_scale() < 5 || graph.tally.trash > plan.graphs);
    end_runtime(runtime);
}

/* ---- memory refused ---- */

/* One graph with objects of many sizes, so that the heap asks the system for memory again and again. */
static size_t graph_with_refusals(unsigned kinds, size_t n, size_t *refused)
{
    struct plan plan = {.name = "refusals", .objects = 300, .steps = 60, .slots_max = 4000};
    struct graph graph;
    size_t reserved = os_fake_reserved_bytes();
    os_fake_refuse_none();
    cairn_runtime *runtime = runtime_of(&plan);
    prepare(&graph, &plan, runtime, 77);
    graph.may_refuse = true;
    graph.kinds &= ~(1U << KIND_LEGACY);
    os_fake_refuse_nth(kinds, n);
    build(&graph, plan.objects, KEEP);
    for (size_t i = 0; i < plan.steps; i++) {
        checked_step(&graph);
    }
    *refused += os_fake_rule_refused();
    size_t seen = os_fake_rule_seen();
    os_fake_refuse_none();
    graph_check_sound(&graph);
    graph_end(&graph);
    end_runtime(runtime);
    if (os_fake_reserved_bytes() != reserved) {
        print_error("call %zu refused: %zu bytes reserved before, %zu after\n", n, reserved, os_fake_reserved_bytes());
        fail();
    }
    return seen;
}

static void each_call_into_the_system_refused(void **state)
{
    (void)state;
    size_t refused = 0;
    size_t calls = graph_with_refusals(OS_FAKE_GROWTH, SIZE_MAX, &refused);
    assert_int_equal(refused, 0);
    assert_true(calls > 10);
    size_t stride = test_scale() >= 100 ? 1 : 1 + calls / test_scaled(100);
    for (size_t n = 0; n < calls; n += stride) {
        (void)graph_with_refusals(OS_FAKE_GROWTH, n, &refused);
    }
    assert_true(refused > 0);
    assert_int_equal(os_fake_faults(), 0);
}

/* At a limit every growth is refused for good: the collection that runs before must find what the model finds. */
static void memory_ends_at_a_limit(void **state)
{
    (void)state;
    struct plan plan = {
        .name = "limit", .graphs = test_scaled(60), .objects = 600, .steps = 60, .slots_max = 2000, .limit = MIB(1)};
    struct tally tally = run_plan(&plan, test_seed());
    assert_true(test_scale() < 25 || (tally.refused > 0 && tally.collections > plan.graphs));
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_graphs),
        cmocka_unit_test(weak_references_in_the_trash_are_dead_before_any_callback),
        cmocka_unit_test(collections_at_each_allocation),
        cmocka_unit_test(deferred_reclamation),
        cmocka_unit_test(bounded_mode),
        cmocka_unit_test(threads_share_a_runtime),
        cmocka_unit_test(large_graphs),
        cmocka_unit_test(each_call_into_the_system_refused),
        cmocka_unit_test(memory_ends_at_a_limit),
    };
    return cmocka_run_group_tests_name("random graphs against a model of reachability", tests, NULL, NULL);
}
