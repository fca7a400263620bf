/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* collector.c: figures of Cairn's objects that have no counterpart elsewhere.
 *   bounded [MILLIONS [STEP_US]]   collections of so many live containers: at once, in steps while nothing else runs,
 *                                  and in steps while the program makes small cycles and drops them
 *   piece [THOUSANDS [STEP_US]]    one strongly connected piece of garbage of so many objects, its links at random, in
 *                                  steps while nothing else runs
 *   row [MILLIONS [STEP_US]]       so many live containers that one object refers to, and its end, in steps
 *   counts                         references counted and given up, against a plain counter
 * Times are processor time. The library measures its steps by the clock, which on a busy machine counts the time that
 * others had the processor: `clock` is its longest, `longest` the longest by processor time, of a step (quiet) or of
 * making three objects with the steps and young collections in it (busy); the ratio is by processor time (quiet) or by
 * the clock (busy), to a collection of the containers without garbage. `same` is what an unbounded collection takes
 * when the same program asks for as many of them, and the ratio to that; `machine` what a loop that does nothing sees.
 * */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cairn_object.h"

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

struct node {
    cairn_object object;
    cairn_object *references[2];
};

static const cairn_type node_type = {.struct_size = sizeof(cairn_type),
                                     .name = "node",
                                     .size = sizeof(struct node),
                                     .reference_offset = offsetof(struct node, references),
                                     .reference_count = 2};

static struct node *node(cairn_runtime *runtime, struct node *a, struct node *b)
{
    struct node *made = (struct node *)(void *)cairn_object_new(runtime, &node_type, 0);
    if (!made) {
        abort();
    }
    made->references[0] = a ? &a->object : NULL;
    made->references[1] = b ? &b->object : NULL;
    return made;
}

static struct node *tree(cairn_runtime *runtime, unsigned depth)
{
    if (depth == 0) {
        return node(runtime, NULL, NULL);
    }
    struct node *left = tree(runtime, depth - 1);
    return node(runtime, left, tree(runtime, depth - 1));
}

/* ---- bounded ---- */

static cairn_runtime *new_runtime(void)
{
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.gil_optional = true;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    if (!runtime) {
        abort();
    }
    cairn_collector_disable(runtime);
    return runtime;
}

enum { DEPTH = 9, NODES = (1 << (DEPTH + 1)) - 1, TIMES = 3 };

static double best_collection(cairn_runtime *runtime)
{
    double best = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double begin = now();
        (void)cairn_collect(runtime, 2);
        double seconds = now() - begin;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* The longest time between two calls. */
static double longest, last_time;

static void lap(void)
{
    double time = now();
    longest = time - last_time > longest ? time - last_time : longest;
    last_time = time;
}

static void laps_begin(void)
{
    longest = 0;
    last_time = now();
}

static void print_steps(cairn_runtime *runtime, const char *name, const cairn_step_stats *before, double unbounded,
                        double quiet_seconds)
{
    cairn_step_stats after;
    cairn_collector_get_step_stats(runtime, &after);
    double seconds = quiet_seconds > 0 ? quiet_seconds : (double)(after.nanoseconds - before->nanoseconds) * 1e-9;
    double cycles = (double)(after.cycles - before->cycles);
    printf("%s_longest_ms=%.3f %s_clock_ms=%.3f %s_steps=%llu %s_late=%llu %s_cycles=%llu %s_ratio=%.3f ", name,
           longest * 1e3, name, (double)after.longest_ns * 1e-6, name,
           (unsigned long long)(after.steps - before->steps), name, (unsigned long long)(after.late - before->late),
           name, (unsigned long long)(after.cycles - before->cycles), name,
           cycles > 0 ? seconds / cycles / unbounded : 0.0);
}

/* Makes cycles of three and keeps the last ones made, so that they are old when they die. `collect_each` not 0: a full
 * collection after so many objects. Returns the seconds these took. */
static double make_cycles(cairn_runtime *runtime, size_t objects, size_t window, size_t collect_each)
{
    double seconds = 0;
    struct node **kept = calloc(window, sizeof(*kept));
    if (!kept) {
        abort();
    }
    laps_begin();
    for (size_t i = 0; i < objects / 3; i++) {
        struct node *c = node(runtime, NULL, NULL);
        struct node *a = node(runtime, node(runtime, c, NULL), NULL);
        cairn_set(&c->references[1], &a->object);
        if (kept[i % window]) {
            cairn_decref(&kept[i % window]->object);
        }
        kept[i % window] = a;
        if (collect_each && i % (collect_each / 3) == collect_each / 3 - 1) {
            double begin = now();
            (void)cairn_collect(runtime, 2);
            seconds += now() - begin;
        }
        lap();
    }
    for (size_t i = 0; i < window; i++) {
        cairn_decref(&kept[i]->object);
    }
    free(kept);
    return seconds;
}

/* What the machine itself takes of a program's processor time: the longest time between two looks at the clock, with
 * nothing between them, and how many were longer than half a step. */
static void print_machine(double seconds, unsigned step_us)
{
    unsigned late = 0;
    laps_begin();
    for (double end = last_time + seconds; last_time < end;) {
        double before = last_time;
        lap();
        late += last_time - before > step_us * 0.5e-6;
    }
    printf("machine_longest_ms=%.3f machine_late=%u machine_seconds=%.0f ", longest * 1e3, late, seconds);
}

static int bounded(long millions, unsigned step_us)
{
    cairn_runtime *runtime = new_runtime();
    size_t trees = (size_t)millions * 1000000 / NODES + 1;
    struct node **all = calloc(trees, sizeof(*all));
    if (!all) {
        return 1;
    }
    for (size_t i = 0; i < trees; i++) {
        all[i] = tree(runtime, DEPTH);
    }
    (void)cairn_collect(runtime, 2);
    double unbounded = best_collection(runtime);
    printf("program=collector workload=bounded containers=%zu unbounded_ms=%.1f unbounded_ns=%.2f ", trees * NODES,
           unbounded * 1e3, unbounded / (double)(trees * NODES) * 1e9);
    cairn_step_stats before;
    cairn_collector_set_step(runtime, step_us);
    cairn_collector_get_step_stats(runtime, &before);
    laps_begin();
    double begin = now();
    for (int i = 0; i < TIMES; i++) {
        while (!cairn_collector_step(runtime)) {
            lap();
        }
        lap();
    }
    print_steps(runtime, "quiet", &before, unbounded, now() - begin);
    cairn_collector_get_step_stats(runtime, &before);
    cairn_collector_enable(runtime);
    size_t objects = (size_t)millions * 2000000;
    (void)make_cycles(runtime, objects, objects / 48, 0);
    cairn_step_stats after;
    cairn_collector_get_step_stats(runtime, &after);
    uint64_t cycles = after.cycles - before.cycles;
    double each = cycles ? (double)(after.nanoseconds - before.nanoseconds) * 1e-9 / (double)cycles : 0;
    print_steps(runtime, "busy", &before, unbounded, 0);
    cairn_collector_disable(runtime);
    cairn_collector_set_step(runtime, 0);
    double same = make_cycles(runtime, objects / 4, objects / 48, objects / (cycles + 1)) * 4 / ((double)cycles + 1);
    printf("same_unbounded_ms=%.1f same_ratio=%.3f ", same * 1e3, each / same);
    print_machine(10, step_us);
    printf("\n");
    return 0;
}

/* ---- one piece, one row ---- */

/* A cycle in steps. */
static void print_cycle(cairn_runtime *runtime, const char *name, unsigned step_us)
{
    cairn_step_stats before, after;
    cairn_collector_set_step(runtime, 0);
    cairn_collector_set_step(runtime, step_us);
    cairn_collector_get_step_stats(runtime, &before);
    double begin = now();
    laps_begin();
    while (!cairn_collector_step(runtime)) {
        lap();
    }
    lap();
    cairn_collector_get_step_stats(runtime, &after);
    printf("%s_longest_ms=%.3f %s_ms=%.1f %s_steps=%llu %s_late=%llu %s_collected=%llu ", name, longest * 1e3, name,
           (now() - begin) * 1e3, name, (unsigned long long)(after.steps - before.steps), name,
           (unsigned long long)(after.late - before.late), name,
           (unsigned long long)(after.collected - before.collected));
}

static int piece(size_t size, unsigned step_us)
{
    cairn_runtime *runtime = new_runtime();
    struct node **all = calloc(size, sizeof(*all));
    if (!all) {
        return 1;
    }
    uint64_t random = 1;
    for (size_t i = 0; i < size; i++) {
        all[i] = node(runtime, NULL, NULL);
    }
    for (size_t i = 0; i < size; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        cairn_set(&all[i]->references[0], &all[(i + 1) % size]->object);
        cairn_set(&all[i]->references[1], &all[(random >> 20) % size]->object);
    }
    for (size_t i = 0; i < size; i++) {
        cairn_decref(&all[i]->object);
    }
    free(all);
    printf("program=collector workload=piece containers=%zu ", size);
    print_cycle(runtime, "piece", step_us);
    printf("\n");
    cairn_runtime_destroy(runtime);
    return 0;
}

struct wide {
    cairn_object object;
    size_t length;
    cairn_object *row[];
};

static void wide_traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    const struct wide *wide = (const struct wide *)(const void *)self;
    for (size_t i = 0; i < wide->length; i++) {
        CAIRN_VISIT(wide->row[i]);
    }
}

static void wide_clear(cairn_object *self)
{
    struct wide *wide = (struct wide *)(void *)self;
    for (size_t i = 0; i < wide->length; i++) {
        cairn_clear(&wide->row[i]);
    }
}

static const cairn_type wide_type = {.struct_size = sizeof(cairn_type),
                                     .name = "wide",
                                     .size = sizeof(struct wide),
                                     .item_size = sizeof(cairn_object *),
                                     .flags = CAIRN_TYPE_ROW_INSIDE,
                                     .traverse = wide_traverse,
                                     .clear = wide_clear,
                                     .row_offset = offsetof(struct wide, row),
                                     .row_length_offset = offsetof(struct wide, length)};

static int row(size_t size, unsigned step_us)
{
    cairn_runtime *runtime = new_runtime();
    struct wide *wide = (struct wide *)(void *)cairn_object_new(runtime, &wide_type, size);
    if (!wide) {
        return 1;
    }
    for (; wide->length < size; wide->length++) {
        wide->row[wide->length] = &node(runtime, NULL, NULL)->object;
    }
    (void)cairn_collect(runtime, 2);
    printf("program=collector workload=row containers=%zu unbounded_ms=%.1f ", size + 1,
           best_collection(runtime) * 1e3);
    print_cycle(runtime, "row", step_us);
    printf("\n");
    return 0;
}

/* ---- counts ---- */

struct plain {
    int64_t count;
    void *other;
    void *references[2];
};

enum { OBJECTS = 512, ROUNDS = 40000 };

__attribute__((noinline)) static void plain_zero(struct plain *object)
{
    free(object);
}

__attribute__((noinline)) static double count_plain(struct plain **objects)
{
    double begin = now();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            objects[i]->count++;
        }
        __asm__ volatile("" : : : "memory");
        for (int i = 0; i < OBJECTS; i++) {
            if (--objects[i]->count == 0) {
                plain_zero(objects[i]);
            }
        }
    }
    return now() - begin;
}

__attribute__((noinline)) static double count_cairn(cairn_object **objects)
{
    double begin = now();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            cairn_incref(objects[i]);
        }
        __asm__ volatile("" : : : "memory");
        for (int i = 0; i < OBJECTS; i++) {
            cairn_decref(objects[i]);
        }
    }
    return now() - begin;
}

static int counts(void)
{
    static cairn_object *objects[OBJECTS];
    static struct plain *plain[OBJECTS];
    double best[2] = {1e9, 1e9};
    cairn_runtime *runtime = cairn_runtime_create(NULL);
    if (!runtime) {
        return 1;
    }
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = &node(runtime, NULL, NULL)->object;
        plain[i] = calloc(1, sizeof(struct plain));
        if (!plain[i]) {
            return 1;
        }
        plain[i]->count = 1;
    }
    for (int turn = 0; turn < 9; turn++) {
        double a = count_plain(plain);
        double b = count_cairn(objects);
        best[0] = a < best[0] ? a : best[0];
        best[1] = b < best[1] ? b : best[1];
    }
    double pairs = (double)OBJECTS * ROUNDS;
    printf("program=collector workload=counts plain_ns=%.3f cairn_ns=%.3f counts_ratio=%.3f\n", best[0] / pairs * 1e9,
           best[1] / pairs * 1e9, best[1] / best[0]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "bounded") == 0) {
        return bounded(argc > 2 ? atol(argv[2]) : 8, argc > 3 ? (unsigned)atoi(argv[3]) : CAIRN_STEP_DEFAULT_US);
    }
    if (argc > 1 && strcmp(argv[1], "piece") == 0) {
        return piece((argc > 2 ? strtoul(argv[2], NULL, 10) : 100) * 1000,
                     argc > 3 ? (unsigned)atoi(argv[3]) : CAIRN_STEP_DEFAULT_US);
    }
    if (argc > 1 && strcmp(argv[1], "row") == 0) {
        return row((argc > 2 ? strtoul(argv[2], NULL, 10) : 8) * 1000000,
                   argc > 3 ? (unsigned)atoi(argv[3]) : CAIRN_STEP_DEFAULT_US);
    }
    if (argc > 1 && strcmp(argv[1], "counts") == 0) {
        return counts();
    }
    fprintf(
        stderr,
        "usage: %s bounded [MILLIONS [STEP_US]] | piece [THOUSANDS [STEP_US]] | row [MILLIONS [STEP_US]] | counts\n",
        argv[0]);
    return 2;
}
