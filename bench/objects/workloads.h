/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* workloads.h: the work that the three programs of this folder do, each on its own objects. The program that includes
 * this defines before:
 *
 *   ref                          a reference to an object
 *   NAME                         "cairn", "cpython", "boehm"
 *   void start(bool automatic)   makes the runtime; automatic: with its collections as they come by default
 *   ref pair(ref a, ref b)       a tuple of two, takes both references over; NONE for none
 *   ref first(ref), second(ref)  borrowed
 *   ref list(void)
 *   void append(ref list, ref item)           takes the item over
 *   ref at(ref list, size_t i)                borrowed
 *   ref dict(void)
 *   void set(ref dict, ref key, ref value)    takes both over
 *   ref get(ref dict, ref key)                borrowed; the key stays the caller's
 *   ref integer(long), long value_of(ref)
 *   ref keep(ref)                counts a reference; the same
 *   void drop(ref)               gives it up
 *   ref node(ref a, ref b)       an object of a C type with two references, taken over; NULL for none
 *   ref reference(ref, int i)    borrowed
 *   void collect(void)           a full collection
 *   void finish(void)            after the workload: ends the program if objects are left where they can be counted
 *
 * Each workload returns a sum that must be the same in all three. What is printed: name=value words in one line,
 * seconds being those of the workload alone, and peak_kib how far the workload raised the most memory the process
 * ever had. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Processor time of the process: none of these programs ever waits. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The most memory the process had at a time; unlike getrusage's figure it does not begin with the parent's. */
static long peak_kib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long peak = 0;
    while (status && fgets(line, sizeof(line), status)) {
        (void)sscanf(line, "VmHWM: %ld", &peak);
    }
    if (status) {
        fclose(status);
    }
    return peak;
}

/* ---- trees: perfect binary trees of tuples, long-lived and short-lived ---- */

static ref tree(unsigned depth)
{
    if (depth == 0) {
        return pair(NONE, NONE);
    }
    ref left = tree(depth - 1);
    return pair(left, tree(depth - 1));
}

static long tree_count(ref node)
{
    return first(node) == NONE ? 1 : 1 + tree_count(first(node)) + tree_count(second(node));
}

static long binary_trees(long scale)
{
    unsigned most = 16;
    long sum = 0;
    ref long_lived = tree(most);
    for (unsigned depth = 4; depth <= most; depth += 4) {
        long times = (scale << (most - depth)) / 4;
        for (long i = 0; i < times; i++) {
            ref short_lived = tree(depth);
            sum += tree_count(short_lived);
            drop(short_lived);
        }
    }
    sum += tree_count(long_lived);
    drop(long_lived);
    return sum;
}

/* ---- gcbench: trees of lists built from the top, trees of tuples built from the bottom, a long-lived one, and a long
 *      list of numbers (after the benchmark of J. Ellis, P. Kovac and H. Boehm) ---- */

static void populate(unsigned depth, ref node)
{
    if (depth > 0) {
        for (int i = 0; i < 2; i++) {
            ref child = list();
            append(node, child);
            populate(depth - 1, child);
        }
    }
}

static long gcbench(long scale)
{
    const unsigned least = 4, most = 14, long_depth = 15;
    long sum = 0;
    ref long_lived = list();
    populate(long_depth, long_lived);
    ref numbers = list();
    for (long i = 0; i < 500000; i++) {
        append(numbers, integer(i));
    }
    for (unsigned depth = least; depth <= most; depth += 2) {
        long times = scale * (1L << (most - depth));
        for (long i = 0; i < times; i++) {
            ref from_top = list();
            populate(depth, from_top);
            drop(from_top);
        }
        for (long i = 0; i < times; i++) {
            ref from_bottom = tree(depth);
            sum += first(from_bottom) != NONE;
            drop(from_bottom);
        }
    }
    sum += value_of(at(numbers, 1000));
    drop(long_lived);
    drop(numbers);
    return sum;
}

/* ---- linked-list: chains of (number, next), a million long ---- */

static long linked_list(long scale)
{
    long sum = 0;
    for (long round = 0; round < scale; round++) {
        ref chain = NONE;
        for (long i = 0; i < 1000000; i++) {
            chain = pair(integer(i), chain);
        }
        for (ref cell = chain; cell != NONE; cell = second(cell)) {
            sum += value_of(first(cell));
        }
        drop(chain);
    }
    return sum;
}

/* ---- dict-of-lists: numbers to lists of numbers, some replaced ---- */

static long dict_of_lists(long scale)
{
    long sum = 0;
    for (long round = 0; round < scale; round++) {
        ref index = dict();
        for (long i = 0; i < 100000; i++) {
            ref items = list();
            for (long k = 0; k < 8; k++) {
                append(items, integer(i + k));
            }
            set(index, integer(i * 7), items);
        }
        for (long i = 0; i < 100000; i += 2) {
            ref key = integer(i * 7);
            sum += value_of(at(get(index, key), 3));
            ref items = list();
            append(items, integer(round));
            set(index, key, items);
        }
        drop(index);
    }
    return sum;
}

/* ---- rings: small cycles made in a loop beside a live structure; only the collector frees them ---- */

static long rings(long scale)
{
    long sum = 0;
    ref live = tree(15);
    for (long i = 0; i < scale * 100000; i++) {
        ref head = list();
        ref last = keep(head);
        for (int k = 0; k < 3; k++) {
            ref next = list();
            append(next, integer(i + 1000));
            append(last, keep(next));
            drop(last);
            last = next;
        }
        append(last, head);
        sum += value_of(at(last, 0));
        drop(last);
    }
    sum += tree_count(live);
    drop(live);
    return sum;
}

/* ---- nodes: binary trees of objects of a C type ---- */

static ref node_tree(unsigned depth)
{
    if (depth == 0) {
        return node(NULL, NULL);
    }
    ref left = node_tree(depth - 1);
    return node(left, node_tree(depth - 1));
}

static long node_count(ref top)
{
    return reference(top, 0) ? 1 + node_count(reference(top, 0)) + node_count(reference(top, 1)) : 1;
}

static long nodes(long scale)
{
    long sum = 0;
    ref live = node_tree(15);
    for (long i = 0; i < scale; i++) {
        ref top = node_tree(12);
        sum += node_count(top);
        drop(top);
    }
    drop(live);
    return sum;
}

/* ---- full collections of many live containers ---- */

static long timed_collections(ref all, long containers)
{
    enum { TIMES = 5 };
    double best = 1e9;
    collect();
    for (int i = 0; i < TIMES; i++) {
        double begin = now();
        collect();
        double seconds = now() - begin;
        best = seconds < best ? seconds : best;
    }
    printf("ns_per_object=%.2f ", best / (double)containers * 1e9);
    double begin = now();
    drop(all);
    printf("drop_ns=%.2f ", (now() - begin) / (double)containers * 1e9);
    return containers;
}

/* Lists in chains that branch, each with a reference or two. */
static long full_lists(long millions)
{
    enum { CHAIN = 1023 };
    ref all = list();
    long containers = 0;
    for (; containers < millions * 1000000; containers += CHAIN) {
        ref head = list();
        ref last = head;
        append(all, head);
        for (int i = 0; i < CHAIN - 1; i++) {
            ref next = list();
            append(last, next);
            last = i % 16 ? next : head;
        }
    }
    return timed_collections(all, containers);
}

/* Trees of objects of a C type. */
static long full_nodes(long millions)
{
    enum { DEPTH = 9, NODES = (1 << (DEPTH + 1)) - 1 };
    ref all = list();
    long containers = 0;
    for (; containers < millions * 1000000; containers += NODES) {
        append(all, node_tree(DEPTH));
    }
    return timed_collections(all, containers);
}

/* ---- the program ---- */

static const struct workload {
    const char *name;
    long (*run)(long scale);
    long scale;
    bool automatic;
} workloads[] = {
    {"binary-trees", binary_trees, 12, true},
    {"gcbench", gcbench, 2, true},
    {"linked-list", linked_list, 4, true},
    {"dict-of-lists", dict_of_lists, 6, true},
    {"rings", rings, 6, true},
    {"nodes", nodes, 200, true},
    {"full-lists", full_lists, 8, false},
    {"full-nodes", full_nodes, 8, false},
};

static int run_workload(const struct workload *workload, long scale)
{
    start(workload->automatic);
    long base = peak_kib();
    double begin = now();
    long sum = workload->run(scale);
    double seconds = now() - begin;
    long peak = peak_kib() - base;
    finish();
    printf("program=%s workload=%s seconds=%.6f peak_kib=%ld sum=%ld\n", NAME, workload->name, seconds, peak, sum);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (strcmp(argv[1], workloads[i].name) == 0) {
            return run_workload(&workloads[i], argc > 2 ? atol(argv[2]) : workloads[i].scale);
        }
    }
    fprintf(stderr, "usage: %s WORKLOAD [SCALE]; workloads:", argv[0]);
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        fprintf(stderr, " %s", workloads[i].name);
    }
    fprintf(stderr, "\n");
    return 2;
}
