/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* graph.c: see graph.h. Order: the types, the table of nodes, the model, the comparison, the changes. */

#include "object/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

/* ---- the types ---- */

struct thing {
    cairn_object object;
    cairn_weak *weak_list;
    struct graph *graph;
    int32_t id;
    uint32_t slots;
    cairn_object *refs[];
};

enum { FIXED_SLOTS = 4, MIXED_SLOTS = 2 };

static struct thing *thing_of(cairn_object *object)
{
    return (struct thing *)(void *)object;
}

static struct node *node_of(struct thing *thing)
{
    return &thing->graph->nodes[thing->id];
}

static void traverse_all(cairn_object *self, cairn_visit visit, void *arg)
{
    const struct thing *thing = thing_of(self);
    for (uint32_t i = 0; i < thing->slots; i++) {
        CAIRN_VISIT(thing->refs[i]);
    }
}

static void traverse_behind_fixed(cairn_object *self, cairn_visit visit, void *arg)
{
    const struct thing *thing = thing_of(self);
    for (uint32_t i = MIXED_SLOTS; i < thing->slots; i++) {
        CAIRN_VISIT(thing->refs[i]);
    }
}

static void traverse_half(cairn_object *self, cairn_visit visit, void *arg)
{
    const struct thing *thing = thing_of(self);
    for (uint32_t i = 0; i < thing->slots; i += 2) {
        CAIRN_VISIT(thing->refs[i]);
    }
}

static void clear_all(cairn_object *self)
{
    struct thing *thing = thing_of(self);
    for (uint32_t i = 0; i < thing->slots; i++) {
        cairn_clear(&thing->refs[i]);
    }
}

static void clear_behind_fixed(cairn_object *self)
{
    struct thing *thing = thing_of(self);
    for (uint32_t i = MIXED_SLOTS; i < thing->slots; i++) {
        cairn_clear(&thing->refs[i]);
    }
}

static bool holds_none_tracked(cairn_object *self)
{
    const struct thing *thing = thing_of(self);
    for (uint32_t i = 0; i < thing->slots; i++) {
        if (thing->refs[i] && cairn_object_is_tracked(thing->refs[i])) {
            return false;
        }
    }
    return true;
}

static bool record_death(cairn_runtime *runtime, cairn_object *dead)
{
    struct node *node = node_of(thing_of(dead));
    (void)runtime;
    require(!node->freed);
    node->freed = true;
    node->object = NULL;
    node->thing = NULL;
    return false;
}

static void run_finalizer(cairn_object *self);

static void run_legacy(cairn_object *self)
{
    node_of(thing_of(self))->legacy++;
}

#define THING_BASE                                                                                                     \
    .struct_size = sizeof(cairn_type), .size = sizeof(struct thing), .item_size = sizeof(cairn_object *),              \
    .weak_offset = offsetof(struct thing, weak_list), .keep = record_death

#define THING_FIXED                                                                                                    \
    .struct_size = sizeof(cairn_type), .size = sizeof(struct thing) + FIXED_SLOTS * sizeof(cairn_object *),            \
    .weak_offset = offsetof(struct thing, weak_list), .reference_offset = offsetof(struct thing, refs),                \
    .reference_count = FIXED_SLOTS, .keep = record_death

static const cairn_type types[KIND_WEAK] = {
    [KIND_FIXED] = {THING_FIXED, .name = "fixed"},
    [KIND_FIXED_FINAL] = {THING_FIXED, .name = "fixed-final", .finalize = run_finalizer},
    [KIND_MIXED] = {.struct_size = sizeof(cairn_type),
                    .name = "mixed",
                    .size = sizeof(struct thing) + MIXED_SLOTS * sizeof(cairn_object *),
                    .item_size = sizeof(cairn_object *),
                    .weak_offset = offsetof(struct thing, weak_list),
                    .reference_offset = offsetof(struct thing, refs),
                    .reference_count = MIXED_SLOTS,
                    .traverse = traverse_behind_fixed,
                    .clear = clear_behind_fixed,
                    .keep = record_death},
    [KIND_VECTOR] = {THING_BASE, .name = "vector", .traverse = traverse_all, .clear = clear_all},
    [KIND_VECTOR_FINAL] = {THING_BASE, .name = "vector-final", .traverse = traverse_all, .clear = clear_all,
                           .finalize = run_finalizer},
    [KIND_DEALLOC] = {THING_BASE, .name = "dealloc", .traverse = traverse_all, .clear = clear_all, .dealloc = clear_all,
                      .finalize = run_finalizer},
    [KIND_TUPLE] = {THING_BASE, .name = "tuple", .traverse = traverse_all, .dealloc = clear_all,
                    .untrack = holds_none_tracked},
    [KIND_PARTIAL] = {THING_BASE, .name = "partial", .traverse = traverse_half, .clear = clear_all},
    [KIND_LEGACY] = {THING_BASE, .name = "legacy", .traverse = traverse_all, .clear = clear_all,
                     .finalize_legacy = run_legacy},
    [KIND_LATE] = {THING_BASE, .name = "late", .flags = CAIRN_TYPE_UNTRACKED, .traverse = traverse_all,
                   .clear = clear_all},
    [KIND_BOX] = {THING_BASE, .name = "box", .dealloc = clear_all},
    [KIND_ATOM] = {THING_BASE, .name = "atom", .finalize = run_finalizer},
};

static const char *kind_name(unsigned kind)
{
    return kind == KIND_WEAK ? "weak" : types[kind].name;
}

static bool is_container(unsigned kind)
{
    return kind != KIND_BOX && kind != KIND_ATOM;
}

static bool has_finalizer(unsigned kind)
{
    return kind == KIND_WEAK ? false : types[kind].finalize != NULL;
}

static bool shows(unsigned kind, size_t slot)
{
    return is_container(kind) && (kind != KIND_PARTIAL || slot % 2 == 0);
}

/* ---- failing ---- */

static struct thing *thing_at(const struct graph *graph, int32_t id)
{
    return graph->nodes[id].thing;
}

static size_t slots_of(const struct node *node);
static cairn_object *slot_of(const struct node *node, size_t slot);

/* A small graph as it is, for the message of a failure. */
static void dump(const struct graph *graph)
{
    for (size_t i = 0; i < graph->count && graph->count <= 64; i++) {
        const struct node *node = &graph->nodes[i];
        fprintf(stderr, "  %zu %s%s: generation %d, %u roots, %u in the garbage list, behaviour %u, finalized %u;", i,
                kind_name(node->kind), node->freed ? " (dead)" : "", node->gen, node->roots, node->garbage,
                node->behaviour, node->finals);
        if (node->kind == KIND_WEAK) {
            fprintf(stderr, " to %d%s%s;", (int)node->referent, node->cleared ? " (dead)" : "",
                    node->callback ? ", callback" : "");
        }
        for (size_t s = 0; !node->freed && s < slots_of(node) && s < 8; s++) {
            for (size_t k = 0; slot_of(node, s) && k < graph->count; k++) {
                if (graph->nodes[k].object == slot_of(node, s)) {
                    fprintf(stderr, " %zu", k);
                }
            }
        }
        fprintf(stderr, "\n");
    }
}

static _Noreturn void differ(const struct graph *graph, int32_t id, const char *what, long long expected,
                             long long found)
{
    const struct node *node = id >= 0 ? &graph->nodes[id] : NULL;
    fprintf(stderr, "plan \"%s\", seed %llu, graph %zu, node %d (%s, behaviour %u): %s: expected %lld, found %lld\n",
            graph->name, (unsigned long long)graph->seed, graph->tally.graphs, (int)id,
            node ? kind_name(node->kind) : "none", node ? node->behaviour : 0U, what, expected, found);
    dump(graph);
    abort();
}

static void same(const struct graph *graph, int32_t id, const char *what, long long expected, long long found)
{
    if (expected != found) {
        differ(graph, id, what, expected, found);
    }
}

/* ---- the table of nodes ---- */

static void *grown(void *array, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted > *capacity) {
        *capacity = wanted * 2 + 16;
        array = realloc(array, *capacity * size);
        require(array != NULL);
    }
    return array;
}

static int32_t node_add(struct graph *graph, cairn_object *object, enum kind kind)
{
    graph->nodes = grown(graph->nodes, &graph->capacity, graph->count + 1, sizeof(struct node));
    int32_t id = (int32_t)graph->count++;
    bool tracked = cairn_object_is_tracked(object);
    graph->nodes[id] = (struct node){.object = object,
                                     .thing = kind == KIND_WEAK ? NULL : thing_of(object),
                                     .kind = (uint8_t)kind,
                                     .gen = tracked ? 0 : -1,
                                     .roots = 1,
                                     .referent = NO_NODE};
    if (kind == KIND_WEAK) {
        graph->weaks = grown(graph->weaks, &graph->weak_capacity, graph->weak_count + 1, sizeof(int32_t));
        graph->weaks[graph->weak_count++] = id;
    }
    return id;
}

static int32_t weak_node(const struct graph *graph, const cairn_object *weak)
{
    for (size_t i = graph->weak_count; i-- > 0;) {
        if (graph->nodes[graph->weaks[i]].object == weak && !graph->nodes[graph->weaks[i]].freed) {
            return graph->weaks[i];
        }
    }
    return NO_NODE;
}

/* The number of an object that is alive as far as the table knows; a dead or unknown one ends the test. */
static int32_t id_of(const struct graph *graph, cairn_object *object)
{
    int32_t id;
    if (!object) {
        return NO_NODE;
    }
    id = object->type == cairn_weak_type() ? weak_node(graph, object) : thing_of(object)->id;
    require(id >= 0 && (size_t)id < graph->count);
    if (graph->nodes[id].freed || graph->nodes[id].object != object) {
        differ(graph, id, "a reference leads to a dead object", 0, 1);
    }
    return id;
}

static size_t slots_of(const struct node *node)
{
    return node->kind == KIND_WEAK ? 1 : node->thing->slots;
}

static cairn_object *slot_of(const struct node *node, size_t slot)
{
    return node->kind == KIND_WEAK ? ((cairn_weak *)(void *)node->object)->context : node->thing->refs[slot];
}

/* Weak references have no hook that tells of their death: those that nothing refers to any more are dead. */
static void find_dead_weaks(struct graph *graph)
{
    if (graph->weak_count == 0) {
        return;
    }
    for (size_t i = 0; i < graph->weak_count; i++) {
        graph->nodes[graph->weaks[i]].in_use = false;
    }
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        for (size_t s = 0; !node->freed && node->kind != KIND_WEAK && s < node->thing->slots; s++) {
            cairn_object *target = node->thing->refs[s];
            if (target && target->type == cairn_weak_type()) {
                int32_t id = weak_node(graph, target);
                require(id != NO_NODE);
                graph->nodes[id].in_use = true;
            }
        }
    }
    for (size_t i = 0; i < graph->weak_count; i++) {
        struct node *node = &graph->nodes[graph->weaks[i]];
        if (!node->freed && node->roots == 0 && node->garbage == 0 && !node->in_use) {
            node->freed = true;
            node->object = NULL;
        }
    }
}

/* ---- the model ---- */

static void model_copy(struct graph *graph)
{
    struct model *model = &graph->model;
    size_t edges = 0;
    find_dead_weaks(graph);
    for (size_t i = 0; i < graph->count; i++) {
        edges += graph->nodes[i].freed ? 0 : slots_of(&graph->nodes[i]);
    }
    if (graph->count > model->capacity) {
        model->nodes = grown(model->nodes, &model->capacity, graph->count, sizeof(struct model_node));
        model->stack = realloc(model->stack, model->capacity * sizeof(int32_t));
        require(model->stack != NULL);
    }
    if (edges > model->edge_capacity) {
        model->edges = grown(model->edges, &model->edge_capacity, edges, sizeof(int32_t));
        model->shown = realloc(model->shown, model->edge_capacity * sizeof(bool));
        require(model->shown != NULL);
    }
    model->count = graph->count;
    model->edge_count = 0;
    model->found = model->died_before = model->set_aside = 0;
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        struct model_node *copy = &model->nodes[i];
        *copy = (struct model_node){.alive = !node->freed,
                                    .done = node->finals > 0,
                                    .gen = node->gen,
                                    .roots = node->roots,
                                    .garbage = node->garbage,
                                    .finals = node->finals,
                                    .legacy = node->legacy,
                                    .calls = node->calls,
                                    .weak_dead = node->cleared,
                                    .first = model->edge_count,
                                    .slots = node->freed ? 0 : slots_of(node)};
        for (size_t s = 0; s < copy->slots; s++) {
            model->edges[copy->first + s] = id_of(graph, slot_of(node, s));
            model->shown[copy->first + s] = shows(node->kind, s);
        }
        model->edge_count += copy->slots;
    }
    for (size_t i = 0; i < graph->count; i++) {
        struct model_node *copy = &model->nodes[i];
        copy->in += copy->roots + copy->garbage;
        for (size_t s = 0; s < copy->slots; s++) {
            int32_t target = model->edges[copy->first + s];
            if (target != NO_NODE) {
                model->nodes[target].in++;
            }
        }
    }
    for (size_t i = 0; i < graph->count; i++) {
        if (model->nodes[i].alive && model->nodes[i].in == 0) {
            differ(graph, (int32_t)i, "nothing refers to a live object", 1, 0);
        }
    }
}

static void model_die(struct graph *graph, int32_t id);

static void model_drop(struct graph *graph, int32_t target)
{
    struct model_node *node = &graph->model.nodes[target];
    require(node->in > 0);
    if (--node->in == 0 && node->alive) {
        model_die(graph, target);
    }
}

static void model_drop_all(struct graph *graph, int32_t id)
{
    const struct model_node *node = &graph->model.nodes[id];
    for (size_t s = 0; s < node->slots; s++) {
        int32_t target = graph->model.edges[node->first + s];
        graph->model.edges[node->first + s] = NO_NODE;
        if (target != NO_NODE) {
            model_drop(graph, target);
        }
    }
}

static void model_keep(struct graph *graph, int32_t id)
{
    graph->model.nodes[id].roots++;
    graph->model.nodes[id].in++;
}

static void model_finalize(struct graph *graph, int32_t id)
{
    struct model_node *node = &graph->model.nodes[id];
    node->done = true;
    node->finals++;
    switch (graph->nodes[id].behaviour) {
    case DO_KEEP_SELF:
        model_keep(graph, id);
        break;
    case DO_KEEP_FIRST:
        if (node->slots > 0 && graph->model.edges[node->first] != NO_NODE) {
            model_keep(graph, graph->model.edges[node->first]);
        }
        break;
    case DO_BREAK:
        model_drop_all(graph, id);
        break;
    default:
        break;
    }
}

/* Clears a weak reference: calls back, and what its callback was given is let go. */
static void model_clear_weak(struct graph *graph, int32_t weak)
{
    struct model_node *node = &graph->model.nodes[weak];
    if (!node->weak_dead) {
        node->weak_dead = true;
        node->calls += graph->nodes[weak].callback;
        model_drop_all(graph, weak);
    }
}

static void model_clear_weaks_to(struct graph *graph, int32_t id)
{
    for (size_t i = 0; i < graph->weak_count; i++) {
        int32_t weak = graph->weaks[i];
        if ((size_t)weak < graph->model.count && graph->nodes[weak].referent == id && graph->model.nodes[weak].alive) {
            model_clear_weak(graph, weak);
        }
    }
}

static bool finalizer_due(const struct graph *graph, int32_t id)
{
    unsigned kind = graph->nodes[id].kind;
    return has_finalizer(kind) && (!is_container(kind) || !graph->model.nodes[id].done);
}

static void model_die(struct graph *graph, int32_t id)
{
    struct model_node *node = &graph->model.nodes[id];
    if (finalizer_due(graph, id)) {
        node->in++;
        model_finalize(graph, id);
        if (--node->in > 0) {
            return;
        }
    }
    node->alive = false;
    model_clear_weaks_to(graph, id);
    if (graph->nodes[id].kind == KIND_LEGACY) {
        node->legacy++;
    }
    model_drop_all(graph, id);
}

/* Marks what shown references lead to from the nodes for which `held` is not 0, among those of which `member` is true.
 * Both are offsets of members of struct model_node; the mark is `reached`. */
static bool *flag_of(struct model_node *node, size_t offset)
{
    return (bool *)(void *)((char *)node + offset);
}

static void model_reach(struct model *model, size_t member, size_t mark)
{
    size_t depth = 0;
    for (size_t i = 0; i < model->count; i++) {
        bool start = *flag_of(&model->nodes[i], member) && model->nodes[i].held != 0;
        *flag_of(&model->nodes[i], mark) = start;
        if (start) {
            model->stack[depth++] = (int32_t)i;
        }
    }
    while (depth > 0) {
        const struct model_node *node = &model->nodes[model->stack[--depth]];
        for (size_t s = 0; s < node->slots; s++) {
            int32_t target = model->edges[node->first + s];
            if (target != NO_NODE && model->shown[node->first + s] && *flag_of(&model->nodes[target], member) &&
                !*flag_of(&model->nodes[target], mark)) {
                *flag_of(&model->nodes[target], mark) = true;
                model->stack[depth++] = target;
            }
        }
    }
}

/* For each member: references from roots and from what is no member or does not show them. */
static void model_hold(struct model *model, size_t member)
{
    for (size_t i = 0; i < model->count; i++) {
        model->nodes[i].held = model->nodes[i].roots + model->nodes[i].garbage;
    }
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        for (size_t s = 0; s < node->slots; s++) {
            int32_t target = model->edges[node->first + s];
            if (target != NO_NODE && !(*flag_of(node, member) && model->shown[node->first + s])) {
                model->nodes[target].held++;
            }
        }
    }
}

/* Steps 1 and 2: what is trash, and what of it is set aside. */
static void model_find_trash(struct graph *graph, int generation)
{
    struct model *model = &graph->model;
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        node->candidate = node->alive && node->gen >= 0 && node->gen <= generation;
    }
    model_hold(model, offsetof(struct model_node, candidate));
    model_reach(model, offsetof(struct model_node, candidate), offsetof(struct model_node, reached));
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        node->survivor = node->reached;
        node->trash = node->candidate && !node->reached;
        node->held = node->trash && graph->nodes[i].kind == KIND_LEGACY;
    }
    model_reach(model, offsetof(struct model_node, trash), offsetof(struct model_node, aside));
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        if (node->aside) {
            node->trash = false;
            model->set_aside++;
            graph->tally.uncollectable++;
            if (graph->nodes[i].kind == KIND_LEGACY || graph->saveall) {
                node->garbage++;
                node->in++;
            }
        }
        graph->tally.trash += node->trash;
    }
}

/* Step 3. Weak references that are trash are dead, whatever they lead to, without a callback; what that was given is
 * let go at their own death. All this is settled before the first callback: what that lets go of may be a referent. */
static void model_clear_for_trash(struct graph *graph)
{
    struct model *model = &graph->model;
    for (size_t i = 0; i < graph->weak_count; i++) {
        int32_t id = graph->weaks[i];
        int32_t referent = graph->nodes[id].referent;
        if ((size_t)id >= model->count || !model->nodes[id].alive || model->nodes[id].weak_dead) {
            continue;
        }
        struct model_node *node = &model->nodes[id];
        bool callback = graph->nodes[id].callback;
        if (node->trash) {
            graph->tally.callbacks_lost += callback;
            node->weak_dead = true;
        } else if (model->nodes[referent].trash) {
            graph->tally.weak_cleared++;
            graph->tally.callbacks += callback;
            node->weak_dead = true;
            node->due = callback;
            node->in += callback; /* until it has been called */
        }
    }
}

static void model_weaks(struct graph *graph)
{
    struct model *model = &graph->model;
    model_clear_for_trash(graph);
    for (size_t i = 0; i < graph->weak_count; i++) {
        int32_t id = graph->weaks[i];
        if ((size_t)id < model->count && model->nodes[id].due) {
            model->nodes[id].due = false;
            model->nodes[id].calls++;
            model_drop_all(graph, id);
            model_drop(graph, id);
        }
    }
}

/* Steps 4 to 6. */
static void model_finish(struct graph *graph)
{
    struct model *model = &graph->model;
    for (size_t i = 0; i < model->count; i++) {
        if (model->nodes[i].trash && model->nodes[i].alive && finalizer_due(graph, (int32_t)i)) {
            graph->tally.finalizers++;
            model->nodes[i].in++;
            model_finalize(graph, (int32_t)i);
            model_drop(graph, (int32_t)i);
        }
    }
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        model->died_before += node->trash && !node->alive;
        node->trash = node->trash && node->alive;
    }
    model_hold(model, offsetof(struct model_node, trash));
    model_reach(model, offsetof(struct model_node, trash), offsetof(struct model_node, reached));
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        node->still = node->trash && !node->reached;
        graph->tally.resurrected += node->trash && node->reached;
        model->found += node->still;
    }
    for (size_t i = 0; i < model->count; i++) {
        if (model->nodes[i].still) {
            model_clear_weaks_to(graph, (int32_t)i);
        }
    }
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        if (node->still && graph->saveall) {
            node->garbage++;
            node->in++;
        } else if (node->still && node->alive && graph->nodes[i].kind != KIND_TUPLE) {
            node->in++;
            model_drop_all(graph, (int32_t)i);
            model_drop(graph, (int32_t)i);
        }
    }
}

static void model_collect(struct graph *graph, int generation)
{
    struct model *model = &graph->model;
    model->collecting = true;
    model_find_trash(graph, generation);
    model_weaks(graph);
    model_finish(graph);
    model->collecting = false;
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        if (node->candidate && node->alive) {
            node->gen = generation < 2 ? generation + 1 : 2;
            node->may_untrack = graph->nodes[i].kind == KIND_TUPLE;
            graph->tally.stuck += node->still && !graph->saveall;
        }
        graph->tally.dead += node->candidate && !node->alive;
    }
}

/* ---- the comparison ---- */

/* A tuple may be untracked by a collection if it holds nothing tracked, and must be if it holds atoms alone. */
static void compare_untracked(struct graph *graph, int32_t id, bool tracked)
{
    const struct model_node *copy = &graph->model.nodes[id];
    bool may = true;
    bool must = true;
    for (size_t s = 0; s < copy->slots; s++) {
        int32_t target = graph->model.edges[copy->first + s];
        if (target != NO_NODE) {
            must = must && !is_container(graph->nodes[target].kind);
            may = may && !cairn_object_is_tracked(graph->nodes[target].object);
        }
    }
    if (tracked) {
        same(graph, id, "tracked though it holds atoms alone", false, must && copy->survivor);
    } else {
        same(graph, id, "untracked though it holds what is tracked", true, may);
        graph->nodes[id].gen = -1;
        graph->tally.untracked++;
    }
}

static void compare_generation(struct graph *graph, int32_t id)
{
    const struct model_node *copy = &graph->model.nodes[id];
    struct node *node = &graph->nodes[id];
    bool tracked = cairn_object_is_tracked(node->object);
    node->gen = (int8_t)copy->gen;
    if (graph->deferred && copy->gen > 0 && node->finals > 0 && cairn_object_generation(node->object) == 0) {
        node->gen = 0; /* queued objects are not tracked; what a finalizer in the sweep brings back is young */
    }
    if (copy->may_untrack) {
        compare_untracked(graph, id, tracked);
    }
    same(graph, id, "generation", node->gen, cairn_object_generation(node->object));
    same(graph, id, "tracked", node->gen >= 0, tracked);
}

static void compare_weak(struct graph *graph, int32_t id)
{
    const struct model_node *copy = &graph->model.nodes[id];
    struct node *node = &graph->nodes[id];
    cairn_weak *weak = (cairn_weak *)(void *)node->object;
    if (!copy->alive) {
        same(graph, id, "roots of a weak reference that died", 0, node->roots);
        require(node->calls <= 1); /* whether it died before its referent is a matter of order */
        return;
    }
    same(graph, id, "weak reference is dead", copy->weak_dead, cairn_weak_is_dead(weak));
    same(graph, id, "callbacks", copy->calls, node->calls);
    node->cleared = copy->weak_dead;
}

static void compare_edges(const struct graph *graph, int32_t id)
{
    const struct model_node *copy = &graph->model.nodes[id];
    for (size_t s = 0; s < copy->slots; s++) {
        same(graph, id, "reference", graph->model.edges[copy->first + s], id_of(graph, slot_of(&graph->nodes[id], s)));
    }
}

static void compare_node(struct graph *graph, int32_t id)
{
    const struct model_node *copy = &graph->model.nodes[id];
    struct node *node = &graph->nodes[id];
    if (node->kind != KIND_WEAK) {
        same(graph, id, "alive", copy->alive, !node->freed);
        same(graph, id, "finalizer runs", copy->finals, node->finals);
        same(graph, id, "runs of the finalizer of the old kind", copy->legacy, node->legacy);
    } else if (!node->freed) {
        compare_weak(graph, id);
        node->freed = !copy->alive;
        node->object = node->freed ? NULL : node->object;
    }
    if (node->freed) {
        return;
    }
    same(graph, id, "roots", copy->roots, node->roots);
    node->garbage = copy->garbage;
    same(graph, id, "count", copy->in, cairn_count(node->object));
    compare_edges(graph, id);
    compare_generation(graph, id);
    if (has_finalizer(node->kind)) {
        same(graph, id, "is finalized", is_container(node->kind) && node->finals > 0,
             cairn_object_is_finalized(node->object));
    }
}

struct seen {
    size_t count;
    uintptr_t sum;
};

static bool see(cairn_object *object, void *arg)
{
    struct seen *seen = arg;
    seen->count++;
    seen->sum += (uintptr_t)object;
    return true;
}

/* What the collector shows of each generation is what the table says. */
static void compare_generations(struct graph *graph)
{
    struct seen expected[4] = {{0, 0}};
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        if (!node->freed && node->gen >= 0) {
            see(node->object, &expected[node->gen]);
            if (node->gen < 3) {
                see(node->object, &expected[3]);
            }
        }
    }
    for (int generation = 0; generation < CAIRN_GENERATIONS; generation++) {
        struct seen seen = {0, 0};
        require(cairn_collector_visit_objects(graph->runtime, generation, see, &seen));
        same(graph, NO_NODE, "objects of a generation", (long long)expected[generation].count, (long long)seen.count);
        require(seen.sum == expected[generation].sum);
    }
    struct seen all = {0, 0};
    require(cairn_collector_visit_objects(graph->runtime, -1, see, &all));
    same(graph, NO_NODE, "objects of all generations", (long long)expected[3].count, (long long)all.count);
    require(all.sum == expected[3].sum);
}

static void compare_totals(struct graph *graph)
{
    cairn_runtime_stats stats;
    size_t garbage = 0;
    for (size_t i = 0; i < graph->count; i++) {
        garbage += graph->nodes[i].garbage;
    }
    same(graph, NO_NODE, "garbage list", (long long)garbage, (long long)cairn_collector_garbage_count(graph->runtime));
    cairn_runtime_get_stats(graph->runtime, &stats);
    same(graph, NO_NODE, "live objects", (long long)graph_live(graph) + graph->base_objects,
         (long long)stats.objects_made - (long long)stats.objects_died);
}

/* Compares all that the model knew; what finalizers made since is alive and young. */
static void compare(struct graph *graph)
{
    for (size_t i = 0; i < graph->model.count; i++) {
        compare_node(graph, (int32_t)i);
    }
    for (size_t i = graph->model.count; i < graph->count; i++) {
        struct node *node = &graph->nodes[i];
        if (!node->freed && node->kind == KIND_WEAK) {
            bool dead = graph->nodes[node->referent].freed ||
                        ((size_t)node->referent < graph->model.count && graph->model.nodes[node->referent].still);
            same(graph, (int32_t)i, "weak reference made by a finalizer is dead", dead,
                 cairn_weak_is_dead((cairn_weak *)(void *)node->object));
            node->cleared = dead;
        }
    }
    graph->tally.checks++;
}

/* Deaths that wait: all in deferred mode, and in bounded mode those that pieces of garbage lead to. */
static void settle(struct graph *graph)
{
    while (cairn_runtime_sweep(graph->runtime, 0) > 0) {
    }
}

/* The frame of every change: the model's copy before, the comparison after. */
static void change_begins(struct graph *graph)
{
    settle(graph);
    if (graph->exact) {
        model_copy(graph);
    }
}

static void change_ends(struct graph *graph)
{
    settle(graph);
    if (graph->exact) {
        compare(graph);
        find_dead_weaks(graph);
        compare_totals(graph);
    } else {
        find_dead_weaks(graph);
    }
}

static void at_collection(cairn_runtime *runtime, const cairn_collector_info *info, void *arg)
{
    struct graph *graph = arg;
    require(runtime == graph->runtime);
    if (!info->stop) {
        require(graph->busy == 0 || !graph->exact); /* young collections run between the steps of an old one */
        graph->busy++;
        graph->tally.collections++;
        if (graph->exact) {
            model_copy(graph);
            model_collect(graph, info->generation);
        }
        return;
    }
    require(graph->busy > 0);
    graph->busy--;
    if (graph->exact) {
        long long least = (long long)graph->model.found;
        long long found = (long long)info->collected;
        if (found < least || found > least + (long long)graph->model.died_before) {
            differ(graph, NO_NODE, "objects collected", least, found);
        }
        same(graph, NO_NODE, "uncollectable", (long long)graph->model.set_aside, (long long)info->uncollectable);
        if (!graph->deferred) {
            compare(graph);
        }
    }
}

/* ---- what the objects do ---- */

static void make_and_drop_cycle(struct graph *graph)
{
    int32_t a = graph_new(graph, KIND_VECTOR, 1);
    int32_t b = graph_new(graph, KIND_VECTOR, 1);
    if (a != NO_NODE && b != NO_NODE) {
        cairn_set(&thing_at(graph, a)->refs[0], graph->nodes[b].object);
        cairn_set(&thing_at(graph, b)->refs[0], graph->nodes[a].object);
    }
    for (int i = 0; i < 2; i++) {
        int32_t id = i == 0 ? a : b;
        if (id != NO_NODE) {
            graph->nodes[id].roots--;
            cairn_decref(graph->nodes[id].object);
        }
    }
}

static void finalize_by_allocating(struct graph *graph, int32_t id, unsigned behaviour)
{
    if (behaviour == DO_WEAK && cairn_weak_count(graph->nodes[id].object) == 0) { /* none to be given again */
        cairn_weak *weak = cairn_weak_new(graph->nodes[id].object, NULL, NULL);
        if (weak) {
            find_dead_weaks(graph);
            int32_t made = node_add(graph, &weak->object, KIND_WEAK);
            graph->nodes[made].referent = id;
        }
    } else if (behaviour == DO_NEW) {
        (void)graph_new(graph, KIND_FIXED, FIXED_SLOTS);
        make_and_drop_cycle(graph);
    } else if (behaviour == DO_COLLECT && graph->exact) {
        require(cairn_collect(graph->runtime, 2) == 0);
    }
}

static void run_finalizer(cairn_object *self)
{
    struct thing *thing = thing_of(self);
    struct graph *graph = thing->graph;
    int32_t id = thing->id;
    unsigned behaviour = graph->nodes[id].behaviour;
    graph->nodes[id].finals++;
    require(cairn_count(self) >= 1);
    if (behaviour == DO_KEEP_SELF) {
        cairn_incref(self);
        graph->nodes[id].roots++;
    } else if (behaviour == DO_KEEP_FIRST && thing->slots > 0 && thing->refs[0]) {
        graph->nodes[id_of(graph, cairn_incref(thing->refs[0]))].roots++;
    } else if (behaviour == DO_BREAK) {
        clear_all(self);
    } else if (graph->busy) {
        finalize_by_allocating(graph, id, behaviour);
    }
}

static void at_weak_death(cairn_weak *weak, cairn_object *context)
{
    struct graph *graph = cairn_runtime_user(cairn_object_runtime(&weak->object));
    require(!context || thing_of(context)->graph == graph);
    int32_t id = weak_node(graph, &weak->object);
    require(id != NO_NODE);
    require(cairn_weak_get(weak) == NULL);
    require(!cairn_weak_has_callback(weak));
    graph->nodes[id].calls++;
    if (graph->busy && graph->exact) {
        require(cairn_collect(graph->runtime, 2) == 0);
    }
}

/* ---- the changes ---- */

void graph_init(struct graph *graph, cairn_runtime *runtime, const char *name, uint64_t seed)
{
    cairn_runtime_stats stats;
    *graph = (struct graph){.runtime = runtime,
                            .name = name,
                            .seed = seed,
                            .random = seed,
                            .exact = true,
                            .behaviours = (1U << BEHAVIOURS) - 1,
                            .kinds = (1U << KIND_WEAK) - 1,
                            .slots_max = 4};
    cairn_runtime_set_user(runtime, graph);
    cairn_runtime_get_stats(runtime, &stats);
    graph->base_objects = (int64_t)(stats.objects_made - stats.objects_died);
    require(cairn_collector_add_callback(runtime, at_collection, graph) == 0);
}

size_t graph_live(const struct graph *graph)
{
    size_t live = 0;
    for (size_t i = 0; i < graph->count; i++) {
        live += !graph->nodes[i].freed;
    }
    return live;
}

int32_t graph_new(struct graph *graph, enum kind kind, size_t slots)
{
    size_t fixed = kind == KIND_FIXED || kind == KIND_FIXED_FINAL ? FIXED_SLOTS : kind == KIND_MIXED ? MIXED_SLOTS : 0;
    size_t all = kind == KIND_ATOM ? 0 : fixed == FIXED_SLOTS ? fixed : slots < fixed ? fixed : slots;
    cairn_object *object;
    if (!graph->busy) {
        settle(graph);
    }
    object = cairn_object_new(graph->runtime, &types[kind], all - fixed);
    if (!object) {
        require(graph->may_refuse && errno == ENOMEM);
        graph->tally.refused++;
        return NO_NODE;
    }
    int32_t id = node_add(graph, object, kind);
    struct thing *thing = thing_of(object);
    thing->graph = graph;
    thing->id = id;
    thing->slots = (uint32_t)all;
    if (has_finalizer(kind)) {
        unsigned behaviour = (unsigned)random_below(&graph->random, BEHAVIOURS);
        graph->nodes[id].behaviour = (uint8_t)(graph->behaviours >> behaviour & 1 ? behaviour : DO_NOTHING);
    }
    require(cairn_count(object) == 1);
    require(cairn_object_is_tracked(object) == (is_container(kind) && kind != KIND_LATE));
    return id;
}

int32_t graph_random_new(struct graph *graph)
{
    unsigned kind;
    do {
        kind = (unsigned)random_below(&graph->random, KIND_WEAK);
    } while (!(graph->kinds >> kind & 1));
    return graph_new(graph, (enum kind)kind, 1 + random_below(&graph->random, graph->slots_max));
}

int32_t graph_weak(struct graph *graph, int32_t referent, bool callback, int32_t context)
{
    settle(graph);
    cairn_weak *weak = cairn_weak_new(graph->nodes[referent].object, callback ? at_weak_death : NULL,
                                      context != NO_NODE ? graph->nodes[context].object : NULL);
    if (!weak) {
        require(graph->may_refuse && errno == ENOMEM);
        graph->tally.refused++;
        return NO_NODE;
    }
    find_dead_weaks(graph); /* the new one may lie where one of them was */
    int32_t id = weak_node(graph, &weak->object);
    if (id != NO_NODE) {
        require(!callback && graph->nodes[id].referent == referent && !graph->nodes[id].callback);
        graph->nodes[id].roots++;
        return id;
    }
    id = node_add(graph, &weak->object, KIND_WEAK);
    graph->nodes[id].referent = referent;
    graph->nodes[id].callback = callback;
    require(!callback || graph->nodes[id].gen == 0); /* or it could not be found to be trash */
    return id;
}

void graph_drop_root(struct graph *graph, int32_t node)
{
    require(graph->nodes[node].roots > 0);
    change_begins(graph);
    if (graph->exact) {
        graph->model.nodes[node].roots--;
        model_drop(graph, node);
        graph->tally.by_count += !graph->model.nodes[node].alive;
    }
    graph->nodes[node].roots--;
    cairn_decref(graph->nodes[node].object);
    change_ends(graph);
}

void graph_add_root(struct graph *graph, int32_t node)
{
    cairn_incref(graph->nodes[node].object);
    graph->nodes[node].roots++;
}

/* Where collections are not held against the model, the table does not know. */
static void look_at_generation(const struct graph *graph, struct node *row)
{
    if (!graph->exact) {
        row->gen = (int8_t)cairn_object_generation(row->object);
    }
}

/* What is untracked and gets a container must be tracked again, or cycles through it are not found. */
static void track_tuple(struct graph *graph, int32_t node, int32_t target)
{
    struct node *row = &graph->nodes[node];
    look_at_generation(graph, row);
    if (row->kind == KIND_TUPLE && row->gen < 0 && target != NO_NODE && is_container(graph->nodes[target].kind)) {
        cairn_object_track(row->object);
        row->gen = 0;
    }
}

void graph_set(struct graph *graph, int32_t node, size_t slot, int32_t target)
{
    struct thing *thing = thing_at(graph, node);
    cairn_object *object = target == NO_NODE ? NULL : graph->nodes[target].object;
    if (!thing || thing->slots == 0) {
        return;
    }
    slot %= thing->slots;
    track_tuple(graph, node, target);
    if (!thing->refs[slot]) {
        thing->refs[slot] = cairn_xincref(object);
        return;
    }
    change_begins(graph);
    if (graph->exact) {
        size_t edge = graph->model.nodes[node].first + slot;
        int32_t old = graph->model.edges[edge];
        graph->model.edges[edge] = target;
        if (target != NO_NODE) {
            graph->model.nodes[target].in++;
        }
        model_drop(graph, old);
    }
    cairn_set(&thing->refs[slot], object);
    change_ends(graph);
}

void graph_track(struct graph *graph, int32_t node, bool track)
{
    struct node *row = &graph->nodes[node];
    look_at_generation(graph, row);
    if (!is_container(row->kind) || row->kind == KIND_WEAK || track == (row->gen >= 0)) {
        return;
    }
    if (track) {
        cairn_object_track(row->object);
    } else {
        cairn_object_untrack(row->object);
    }
    row->gen = track ? 0 : -1;
    require(cairn_object_is_tracked(row->object) == track);
}

void graph_collect(struct graph *graph, int generation)
{
    settle(graph);
    size_t before = graph->tally.collections;
    ptrdiff_t found = cairn_collect(graph->runtime, generation);
    require(found >= 0);
    if (graph->exact) {
        ptrdiff_t least = (ptrdiff_t)(graph->model.found + graph->model.set_aside);
        require(graph->tally.collections == before + 1);
        require(found >= least && found <= least + (ptrdiff_t)graph->model.died_before);
        change_ends(graph);
        compare_generations(graph);
    } else {
        settle(graph);
        find_dead_weaks(graph);
    }
}

void graph_garbage_clear(struct graph *graph)
{
    change_begins(graph);
    for (size_t i = 0; graph->exact && i < graph->count; i++) {
        struct model_node *copy = &graph->model.nodes[i];
        unsigned references = copy->garbage;
        copy->garbage = 0;
        while (references-- > 0) {
            model_drop(graph, (int32_t)i);
        }
    }
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i].garbage = 0;
    }
    cairn_collector_garbage_clear(graph->runtime);
    change_ends(graph);
}

void graph_saveall(struct graph *graph, bool on)
{
    cairn_collector_set_debug(graph->runtime, on ? CAIRN_COLLECTOR_SAVEALL : 0);
    graph->saveall = on;
}

void graph_freeze(struct graph *graph, bool freeze)
{
    size_t frozen = 0;
    settle(graph);
    if (freeze) {
        cairn_collector_freeze(graph->runtime);
    } else {
        cairn_collector_unfreeze(graph->runtime);
    }
    find_dead_weaks(graph);
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = &graph->nodes[i];
        if (!node->freed && node->gen >= 0) {
            node->gen = freeze ? 3 : node->gen == 3 ? 2 : node->gen;
            frozen += node->gen == 3;
        }
    }
    if (!graph->exact) {
        return;
    }
    same(graph, NO_NODE, "frozen", (long long)frozen, (long long)cairn_collector_freeze_count(graph->runtime));
}

/* ---- at random ---- */

int32_t graph_pick(struct graph *graph, unsigned hops)
{
    size_t start = graph->count ? random_below(&graph->random, graph->count) : 0;
    int32_t id = NO_NODE;
    for (size_t i = 0; i < graph->count && id == NO_NODE; i++) {
        size_t candidate = (start + i) % graph->count;
        if (!graph->nodes[candidate].freed && graph->nodes[candidate].roots > 0) {
            id = (int32_t)candidate;
        }
    }
    while (id != NO_NODE && hops-- > 0 && graph->nodes[id].kind != KIND_WEAK && thing_at(graph, id)->slots > 0) {
        struct thing *thing = thing_at(graph, id);
        cairn_object *next = thing->refs[random_below(&graph->random, thing->slots)];
        if (next) {
            id = id_of(graph, next);
        }
    }
    return id;
}

static int32_t pick_thing_within(struct graph *graph, unsigned hops)
{
    for (int tries = 0; tries < 4; tries++) {
        int32_t id = graph_pick(graph, (unsigned)random_below(&graph->random, hops));
        if (id != NO_NODE && graph->nodes[id].kind != KIND_WEAK) {
            return id;
        }
    }
    return NO_NODE;
}

int32_t graph_pick_thing(struct graph *graph)
{
    return pick_thing_within(graph, 4);
}

static void step_weak(struct graph *graph)
{
    int32_t referent = graph_pick_thing(graph);
    int32_t context = graph_pick_thing(graph);
    if (referent != NO_NODE && context != NO_NODE) {
        bool callback = random_chance(&graph->random, 60);
        (void)graph_weak(graph, referent, callback, callback && random_chance(&graph->random, 70) ? context : NO_NODE);
    }
}

static void step_edge(struct graph *graph)
{
    int32_t from = graph_pick_thing(graph);
    int32_t to = random_chance(&graph->random, 10) ? NO_NODE : graph_pick(graph, 2);
    if (from != NO_NODE) {
        graph_set(graph, from, (size_t)random_next(&graph->random), to);
    }
}

/* A reference moves from one object to another: what a collection in steps must not lose sight of. */
void graph_move(struct graph *graph, unsigned hops)
{
    int32_t from = pick_thing_within(graph, hops);
    int32_t to = pick_thing_within(graph, hops);
    if (from == NO_NODE || to == NO_NODE || from == to || thing_at(graph, from)->slots == 0) {
        return;
    }
    size_t slot = random_below(&graph->random, thing_at(graph, from)->slots);
    int32_t target = id_of(graph, thing_at(graph, from)->refs[slot]);
    if (target != NO_NODE) {
        graph_set(graph, to, (size_t)random_next(&graph->random), target);
        if (!graph->nodes[from].freed && thing_at(graph, from)->refs[slot] == graph->nodes[target].object) {
            graph_set(graph, from, slot, NO_NODE);
        }
    }
}

static void step_root(struct graph *graph, bool add)
{
    int32_t id = graph_pick(graph, add ? 3 : 0);
    if (id != NO_NODE && add) {
        graph_add_root(graph, id);
    } else if (id != NO_NODE) {
        graph_drop_root(graph, id);
    }
}

static void step_rare(struct graph *graph)
{
    int32_t id = graph_pick_thing(graph);
    switch (random_below(&graph->random, 6)) {
    case 0:
        graph_freeze(graph, true);
        break;
    case 1:
        graph_freeze(graph, false);
        break;
    case 2:
        graph_garbage_clear(graph);
        break;
    case 3:
        graph_saveall(graph, graph->exact && !graph->may_refuse && random_chance(&graph->random, 30));
        break;
    default:
        if (id != NO_NODE && (graph->nodes[id].kind == KIND_LATE || random_chance(&graph->random, 20))) {
            graph_track(graph, id, graph->nodes[id].gen < 0);
        }
        break;
    }
}

void graph_step(struct graph *graph)
{
    unsigned die = (unsigned)random_below(&graph->random, 100);
    if (die < 25) {
        (void)graph_random_new(graph);
    } else if (die < 45) {
        step_edge(graph);
    } else if (die < 55) {
        graph_move(graph, 4);
    } else if (die < 62) {
        step_weak(graph);
    } else if (die < 80) {
        step_root(graph, false);
    } else if (die < 84) {
        step_root(graph, true);
    } else if (die < 92) {
        step_rare(graph);
    } else {
        graph_collect(graph, (int)random_below(&graph->random, CAIRN_GENERATIONS));
    }
}

/* ---- soundness and completeness ---- */

static void require_sound_runtime(struct graph *graph)
{
    size_t faults = cairn_runtime_check(graph->runtime, stderr);
    same(graph, NO_NODE, "faults found by the runtime's check", 0, (long long)faults);
}

void graph_check_sound(struct graph *graph)
{
    settle(graph);
    find_dead_weaks(graph);
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        same(graph, (int32_t)i, "dead though it has a root", false, node->freed && node->roots > 0);
        for (size_t s = 0; !node->freed && s < slots_of(node); s++) {
            (void)id_of(graph, slot_of(node, s)); /* ends the test at a dead referent */
        }
    }
    require_sound_runtime(graph);
}

/* Marks in the model what can be reached by any reference; but a weak reference gives up what its callback was given
 * when its referent dies. */
static void model_reach_all(const struct graph *graph, struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        node->candidate = node->alive;
        node->held = node->roots + node->garbage;
        for (size_t s = 0; s < node->slots; s++) {
            model->shown[node->first + s] = graph->nodes[i].kind != KIND_WEAK;
        }
    }
    model_reach(model, offsetof(struct model_node, candidate), offsetof(struct model_node, reached));
}

static void compare_reached(struct graph *graph, int32_t id)
{
    const struct node *node = &graph->nodes[id];
    const struct model_node *copy = &graph->model.nodes[id];
    same(graph, id, "died though it could be reached", false, node->freed);
    same(graph, id, "finalized though it could be reached", copy->finals, node->finals);
    if (node->kind != KIND_WEAK) {
        compare_edges(graph, id);
    } else if (!copy->weak_dead && graph->model.nodes[node->referent].reached) {
        same(graph, id, "weak reference to what can be reached is dead", false,
             cairn_weak_is_dead((cairn_weak *)(void *)node->object));
    }
}

bool graph_collector_step(struct graph *graph)
{
    settle(graph);
    find_dead_weaks(graph);
    for (size_t i = 0; i < graph->weak_count; i++) {
        struct node *node = &graph->nodes[graph->weaks[i]];
        node->cleared = !node->freed && cairn_weak_is_dead((cairn_weak *)(void *)node->object);
    }
    model_copy(graph);
    model_reach_all(graph, &graph->model);
    bool ended = cairn_collector_step(graph->runtime);
    for (size_t i = 0; i < graph->model.count; i++) {
        if (graph->model.nodes[i].reached) {
            compare_reached(graph, (int32_t)i);
        }
    }
    return ended;
}

void graph_check_complete(struct graph *graph)
{
    bool saved = graph->exact;
    settle(graph);
    graph->exact = true;
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = &graph->nodes[i];
        if (!node->freed) {
            node->gen = (int8_t)cairn_object_generation(node->object);
            node->cleared = node->kind == KIND_WEAK && cairn_weak_is_dead((cairn_weak *)(void *)node->object);
        }
    }
    model_copy(graph);
    model_collect(graph, 2);
    for (size_t i = 0; i < graph->model.count; i++) {
        const struct model_node *copy = &graph->model.nodes[i];
        same(graph, (int32_t)i, "alive though a collection ended since it was trash", copy->alive,
             !graph->nodes[i].freed);
        same(graph, (int32_t)i, "not finalized though trash", copy->finals, graph->nodes[i].finals);
    }
    graph->exact = saved;
}

/* ---- the end of a graph ---- */

static void drop_roots(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        for (unsigned roots = graph->nodes[i].roots; roots > 0; roots--) { /* finalizers may take new ones */
            graph->nodes[i].roots--;
            cairn_decref(graph->nodes[i].object);
        }
    }
    settle(graph);
    find_dead_weaks(graph);
    for (size_t i = 0; i < graph->weak_count; i++) {
        struct node *node = &graph->nodes[graph->weaks[i]];
        node->cleared = !node->freed && cairn_weak_is_dead((cairn_weak *)(void *)node->object);
        require(node->freed || node->cleared || !graph->nodes[node->referent].freed);
    }
}

static void break_by_hand(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        cairn_object *object = graph->nodes[i].object;
        if (!graph->nodes[i].freed && graph->nodes[i].kind != KIND_WEAK) {
            cairn_incref(object);
            clear_all(object);
            cairn_decref(object);
            settle(graph);
        }
    }
}

void graph_empty(struct graph *graph)
{
    graph_saveall(graph, false);
    if (cairn_collector_freeze_count(graph->runtime) > 0) {
        graph_freeze(graph, false);
    }
    for (int round = 0; round < 6 && graph_live(graph) > 0; round++) {
        for (size_t i = 0; round == 2 && i < graph->count; i++) {
            graph->nodes[i].behaviour = DO_NOTHING;
        }
        drop_roots(graph);
        if (cairn_collector_garbage_count(graph->runtime) > 0) {
            graph_garbage_clear(graph);
        }
        graph_collect(graph, 2);
        if (round >= 3) {
            drop_roots(graph);
            if (cairn_collector_garbage_count(graph->runtime) > 0) {
                graph_garbage_clear(graph);
            }
            break_by_hand(graph);
        }
    }
    drop_roots(graph);
    same(graph, NO_NODE, "objects left at the end", 0, (long long)graph_live(graph));
    compare_totals(graph);
    graph->count = 0;
    graph->weak_count = 0;
    graph->tally.graphs++;
}

void graph_end(struct graph *graph)
{
    graph_empty(graph);
    require(cairn_collector_remove_callback(graph->runtime, at_collection, graph) == 0);
    free(graph->nodes);
    free(graph->weaks);
    free(graph->model.nodes);
    free(graph->model.edges);
    free(graph->model.shown);
    free(graph->model.stack);
}
