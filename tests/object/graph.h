/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* graph.h: a graph of objects of many kinds in a runtime, held against a model of reachability so simple that it cannot
 * be wrong.
 *
 * The graph is a table of all objects the test made, *nodes*, by number, with what the test itself holds of each
 * (*roots*). What refers to what is read from the objects: they are of the test's own types. Before each change and
 * each collection the model copies all that and works out on the copy what must follow; afterwards every object is
 * compared: dead or alive, its count, its references, its generation, finalizers run, weak references cleared,
 * callbacks called, the garbage list, the number the collection returned, the objects each generation shows.
 *
 * The model of a collection of generation g, said without counts of references:
 *   candidates   tracked, generation g or younger
 *   held         candidates with a root, or referred to by an object that is no candidate, or by one that does not
 *                show the reference (an incomplete traverse)
 *   trash        candidates to which no path of shown references leads from a held one
 *   set aside    those of the trash with a finalizer of the old kind, and what they lead to
 *   weak references to the rest are dead; finalizers of the rest run, each once in its life; what is held now, and what
 *   that leads to, lives; the rest is cleared and what nothing refers to any more dies.
 *
 * Every function is to be called with the GIL of the graph's runtime; with several threads it guards the graph, too. A
 * difference prints the plan's name, its seed and the node, and ends the process. */

#ifndef CAIRN_TEST_GRAPH_H
#define CAIRN_TEST_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn_object.h"

enum kind {
    KIND_FIXED,        /* its references are known by offset and count alone */
    KIND_FIXED_FINAL,  /* the same, with a finalizer */
    KIND_MIXED,        /* two by offset, the others by traverse and clear */
    KIND_VECTOR,       /* traverse and clear */
    KIND_VECTOR_FINAL, /* the same, with a finalizer */
    KIND_DEALLOC,      /* traverse, clear and dealloc */
    KIND_TUPLE,        /* traverse and dealloc, no clear: cannot break a cycle; untracked when it holds none tracked */
    KIND_PARTIAL,      /* traverse leaves out every other reference */
    KIND_LEGACY,       /* a finalizer of the old kind */
    KIND_LATE,         /* a vector that is tracked only when told to */
    KIND_BOX,          /* no container for the collector, but has references */
    KIND_ATOM,         /* no container; a finalizer */
    KIND_WEAK,         /* a weak reference */
    KINDS
};

/* What a finalizer does. */
enum behaviour {
    DO_NOTHING,
    DO_KEEP_SELF,  /* takes a root of itself */
    DO_KEEP_FIRST, /* takes a root of its first referent */
    DO_BREAK,      /* drops its references */
    DO_WEAK,       /* makes a weak reference to itself if there is none */
    DO_NEW,        /* makes an object, and a cycle of two that it drops */
    DO_COLLECT,    /* asks for a collection */
    BEHAVIOURS
};

enum { NO_NODE = -1 };

struct thing;

struct node {
    cairn_object *object;
    struct thing *thing; /* NULL for a weak reference */
    uint8_t kind;
    uint8_t behaviour;
    bool freed;
    bool cleared;     /* of a weak reference: it was seen dead */
    int8_t gen;       /* expected; -1: not tracked */
    unsigned roots;   /* references the test holds */
    unsigned garbage; /* references the garbage list holds */
    unsigned finals;  /* finalizer runs */
    unsigned legacy;  /* runs of the finalizer of the old kind */
    unsigned calls;   /* of a weak reference's callback */
    int32_t referent; /* of a weak reference */
    bool callback;    /* of a weak reference: it was made with one */
    bool in_use;      /* of a weak reference: something refers to it */
};

/* What happened, to show that a plan meets what it is made for. */
struct tally {
    size_t graphs, collections, automatic, trash, dead, resurrected, uncollectable, stuck, finalizers, weak_cleared,
        callbacks, callbacks_lost, untracked, refused, checks, by_count;
};

/* One node of the model's copy. */
struct model_node {
    bool alive, done, candidate, reached, survivor, trash, still, aside, weak_dead, may_untrack;
    bool due; /* of a weak reference: its callback is to come */
    int gen;
    unsigned in, roots, garbage, finals, legacy, calls, held;
    size_t first, slots; /* in edges */
};

struct model {
    struct model_node *nodes;
    int32_t *edges;
    bool *shown;
    int32_t *stack;
    size_t count, capacity, edge_count, edge_capacity;
    size_t found, died_before, set_aside;
    bool collecting;
};

struct graph {
    cairn_runtime *runtime;
    const char *name;
    uint64_t seed;
    uint64_t random;
    struct node *nodes;
    size_t count, capacity;
    int32_t *weaks; /* numbers of the nodes that are weak references */
    size_t weak_count, weak_capacity;
    struct model model;
    struct tally tally;
    bool exact;      /* compare at each collection; false: only soundness is checked */
    bool deferred;   /* the runtime is: sweep before each comparison */
    unsigned busy;   /* collections under way */
    bool may_refuse; /* allocations may fail */
    bool saveall;
    unsigned behaviours; /* bits of the behaviours that finalizers may have */
    unsigned kinds;      /* bits of the kinds that may be made */
    size_t slots_max;
    int64_t base_objects; /* objects in the runtime that are not nodes */
};

/* Makes a graph in a runtime; the caller holds the GIL. All memory of its own comes from malloc. */
void graph_init(struct graph *graph, cairn_runtime *runtime, const char *name, uint64_t seed);

/* Drops every root, breaks every cycle, and proves that nothing is left; then the graph can be used again. */
void graph_empty(struct graph *graph);
void graph_end(struct graph *graph);

/* A new node with one root; NO_NODE if memory is refused and that may be. */
int32_t graph_new(struct graph *graph, enum kind kind, size_t slots);
/* The context may be NO_NODE, and must be without a callback. */
int32_t graph_weak(struct graph *graph, int32_t referent, bool callback, int32_t context);
int32_t graph_random_new(struct graph *graph);

/* Changes, each held against the model. */
void graph_drop_root(struct graph *graph, int32_t node);
void graph_add_root(struct graph *graph, int32_t node);
void graph_set(struct graph *graph, int32_t node, size_t slot, int32_t target);
void graph_track(struct graph *graph, int32_t node, bool track);
void graph_collect(struct graph *graph, int generation);
void graph_garbage_clear(struct graph *graph);
void graph_saveall(struct graph *graph, bool on);
void graph_freeze(struct graph *graph, bool freeze);

/* A node that the test can get at: one with a root, or some references on; NO_NODE if there is none. */
int32_t graph_pick(struct graph *graph, unsigned hops);
int32_t graph_pick_thing(struct graph *graph);

/* A reference moves from one object to another, both at random, fewer than so many references from a root. */
void graph_move(struct graph *graph, unsigned hops);

/* One change at random. */
void graph_step(struct graph *graph);

/* A step of a collection in bounded mode, which leaves alone whatever can be reached. Returns what the step does. */
bool graph_collector_step(struct graph *graph);

/* No object that can be reached is dead or has a dead referent; the runtime's own check finds nothing. */
void graph_check_sound(struct graph *graph);

/* A collection of the oldest generation would find nothing that can die. */
void graph_check_complete(struct graph *graph);

size_t graph_live(const struct graph *graph);

#endif
