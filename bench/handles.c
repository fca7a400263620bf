/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handles: what handles cost and what they save, as three tables.
 *
 *   handles deref     a plain pointer against cairn_handle_deref(): nanoseconds for one access: through an array in
 *                     order, through one at random, and along a list that leads from block to block at random
 *   handles memory    a heap after most of its blocks died at random: resident memory of handles with compaction, of
 *                     cairn_trim, and of glibc's malloc_trim
 *   handles pauses    the longest and the mean compaction step for several budgets
 *   handles count WAY ORDER ROUNDS   one way of access and no clock, to count instructions with callgrind or perf:
 *                                    the difference between two numbers of rounds, by blocks
 *
 * Without an argument: the three tables. It links libcairn.a; malloc is the C library's. */

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cairn_handle.h"

static void *checked(void *pointer)
{
    if (pointer == NULL) {
        fputs("handles: out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}

static size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(((random_next(state) >> 32) * bound) >> 32);
}

static double read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* The processor time of this thread: what other programs take from it does not count. */
static double own_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- the cost of following a handle ---- */

enum { BLOCK = 48, REPEATS = 9 };

/* A block of the list; each way of access follows its own link. */
struct node {
    uint64_t value;
    struct node *next;
    cairn_handle next_handle;
    uint64_t rest[BLOCK / 8 - 3];
};

enum order { IN_ORDER, AT_RANDOM, AS_LIST, ORDERS };

static const char *const order_names[] = {"in order", "random", "list"};

struct set {
    enum order order;
    size_t count;
    cairn_heap *heap;
    cairn_handle *handles;
    struct node **pointers;
};

static struct set make_set(size_t count, enum order order)
{
    struct set set = {.order = order, .count = count, .heap = checked(cairn_heap_create(NULL))};
    set.handles = checked(malloc(count * sizeof *set.handles));
    set.pointers = checked(malloc(count * sizeof *set.pointers));
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        set.handles[i] = cairn_handle_alloc(set.heap, BLOCK);
        memset(checked(cairn_handle_deref(set.handles[i])), (int)i, BLOCK);
    }
    for (size_t i = count - 1; order != IN_ORDER && i > 0; i--) {
        size_t j = random_below(&random, i + 1);
        cairn_handle swap = set.handles[i];
        set.handles[i] = set.handles[j];
        set.handles[j] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        set.pointers[i] = cairn_handle_deref(set.handles[i]);
    }
    for (size_t i = 0; i < count; i++) {
        set.pointers[i]->next = set.pointers[(i + 1) % count];
        set.pointers[i]->next_handle = set.handles[(i + 1) % count];
    }
    return set;
}

static void drop_set(struct set *set)
{
    cairn_heap_destroy(set->heap);
    free(set->handles);
    free(set->pointers);
}

__attribute__((noinline)) static uint64_t sum_pointers(const struct set *set)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count; i++) {
        sum += set->pointers[i]->value;
    }
    return sum;
}

__attribute__((noinline)) static uint64_t sum_handles(const struct set *set)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count; i++) {
        sum += ((const struct node *)cairn_handle_deref(set->handles[i]))->value;
    }
    return sum;
}

__attribute__((noinline)) static uint64_t sum_pins(const struct set *set)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count; i++) {
        sum += ((const struct node *)checked(cairn_handle_pin(set->heap, set->handles[i])))->value;
        cairn_handle_unpin(set->heap, set->handles[i]);
    }
    return sum;
}

__attribute__((noinline)) static uint64_t sum_list(const struct set *set)
{
    uint64_t sum = 0;
    const struct node *node = set->pointers[0];
    for (size_t i = 0; i < set->count; i++) {
        sum += node->value;
        node = node->next;
    }
    return sum;
}

__attribute__((noinline)) static uint64_t sum_handle_list(const struct set *set)
{
    uint64_t sum = 0;
    const struct node *node = cairn_handle_deref(set->handles[0]);
    for (size_t i = 0; i < set->count; i++) {
        sum += node->value;
        node = cairn_handle_deref(node->next_handle);
    }
    return sum;
}

__attribute__((noinline)) static uint64_t sum_pinned_list(const struct set *set)
{
    uint64_t sum = 0;
    cairn_handle handle = set->handles[0];
    for (size_t i = 0; i < set->count; i++) {
        const struct node *node = checked(cairn_handle_pin(set->heap, handle));
        cairn_handle next = node->next_handle;
        sum += node->value;
        cairn_handle_unpin(set->heap, handle);
        handle = next;
    }
    return sum;
}

typedef uint64_t (*way)(const struct set *set);

enum { WAYS = 3 };

static const way array_ways[WAYS] = {sum_pointers, sum_handles, sum_pins};
static const way list_ways[WAYS] = {sum_list, sum_handle_list, sum_pinned_list};

static const way *ways_of(const struct set *set)
{
    return set->order == AS_LIST ? list_ways : array_ways;
}

/* The same work again and again; the compiler must not know that it is the same. */
static uint64_t go(way chosen, const struct set *set, size_t rounds)
{
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        sum += chosen(set);
        __asm__ volatile("" ::: "memory");
    }
    return sum;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Nanoseconds for one access by each way: medians of REPEATS runs in turns. */
static void time_ways(const struct set *set, size_t rounds, double *result)
{
    const way *ways = ways_of(set);
    double times[WAYS][REPEATS];
    uint64_t expected = go(ways[0], set, rounds);
    for (size_t repeat = 0; repeat < REPEATS; repeat++) {
        for (size_t i = 0; i < WAYS; i++) {
            double start = now_ns();
            if (go(ways[i], set, rounds) != expected) {
                fputs("handles: two ways of access read different contents\n", stderr);
                exit(1);
            }
            times[i][repeat] = (now_ns() - start) / ((double)rounds * (double)set->count);
        }
    }
    for (size_t i = 0; i < WAYS; i++) {
        result[i] = median(times[i], REPEATS);
    }
}

static void table_deref(void)
{
    static const size_t counts[] = {1000, 30000, 2000000};
    printf("ns for one access to %d-byte blocks, medians of %d runs in turns\n", BLOCK, REPEATS);
    printf("%9s  %-9s %8s %8s %8s %8s\n", "blocks", "order", "pointer", "deref", "ratio", "pin");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (unsigned order = 0; order < ORDERS; order++) {
            struct set set = make_set(counts[i], (enum order)order);
            double ns[WAYS];
            time_ways(&set, 2000000 / counts[i], ns);
            printf("%9zu  %-9s %8.2f %8.2f %8.2f %8.2f\n", counts[i], order_names[order], ns[0], ns[1], ns[1] / ns[0],
                   ns[2]);
            fflush(stdout);
            drop_set(&set);
        }
    }
}

static unsigned word_in(const char *word, const char *const *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "handles: unknown word %s\n", word);
    exit(2);
}

static int count_instructions(char **words)
{
    static const char *const way_names[WAYS] = {"pointer", "deref", "pin"};
    unsigned way_index = word_in(words[0], way_names, WAYS);
    struct set set = make_set(10000, (enum order)word_in(words[1], order_names, ORDERS));
    printf("%" PRIx64 "\n", go(ways_of(&set)[way_index], &set, strtoul(words[2], NULL, 10)));
    drop_set(&set);
    return 0;
}

/* ---- what compaction saves ---- */

enum { BLOCKS = 1000000 };

static double resident_mb(void)
{
    FILE *file = checked(fopen("/proc/self/statm", "r"));
    unsigned long total;
    unsigned long resident;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) {
        resident = 0;
    }
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* 16 to 1024 bytes, most of them small. */
static size_t random_size(uint64_t *random)
{
    size_t bound = 64;
    while (bound < 1024 && random_below(random, 4) == 0) {
        bound *= 2;
    }
    return 16 + random_below(random, bound - 15);
}

/* The three ways a program may keep its blocks. `slots` holds handles or pointers. */
static cairn_heap *heap;

static uint64_t handle_make(size_t size)
{
    cairn_handle handle = cairn_handle_alloc(heap, size);
    memset(checked(cairn_handle_deref(handle)), 1, size);
    return handle;
}

static void handle_drop(uint64_t slot)
{
    cairn_handle_free(heap, slot);
}

static void handle_give_back(void)
{
    (void)cairn_heap_compact(heap, SIZE_MAX);
}

static uint64_t cairn_make(size_t size)
{
    void *block = checked(cairn_alloc(heap, size));
    return (uintptr_t)memset(block, 1, size);
}

static void cairn_drop(uint64_t slot)
{
    cairn_free(heap, (void *)(uintptr_t)slot);
}

static void cairn_give_back(void)
{
    cairn_trim(heap);
}

static uint64_t libc_make(size_t size)
{
    return (uintptr_t)memset(checked(malloc(size)), 1, size);
}

static void libc_drop(uint64_t slot)
{
    free((void *)(uintptr_t)slot);
}

static void libc_give_back(void)
{
    malloc_trim(0);
}

struct keeper {
    const char *name;
    uint64_t (*make)(size_t size);
    void (*drop)(uint64_t slot);
    void (*give_back)(void);
};

static const struct keeper keepers[] = {
    {"handles, compacted", handle_make, handle_drop, handle_give_back},
    {"cairn_alloc, cairn_trim", cairn_make, cairn_drop, cairn_give_back},
    {"malloc, malloc_trim", libc_make, libc_drop, libc_give_back},
};

static void fragment(const struct keeper *keeper, unsigned survivors_percent)
{
    static uint64_t slots[BLOCKS];
    memset(slots, 1, sizeof slots); /* resident before the first figure */
    heap = checked(cairn_heap_create(NULL));
    double base = resident_mb();
    uint64_t random = 42;
    size_t live = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = random_size(&random);
        slots[i] = keeper->make(size);
    }
    double full = resident_mb() - base;
    uint64_t again = 42;
    uint64_t coin = 4711;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = random_size(&again);
        if (random_below(&coin, 100) < survivors_percent) {
            live += size;
        } else {
            keeper->drop(slots[i]);
        }
    }
    double before = resident_mb() - base;
    double start = now_ns();
    keeper->give_back();
    double milliseconds = (now_ns() - start) / 1e6;
    printf("%8u%%  %-24s %8.1f %8.1f %8.1f %8.1f %9.1f\n", survivors_percent, keeper->name, (double)live / 1e6, full,
           before, resident_mb() - base, milliseconds);
    fflush(stdout);
}

/* Runs in a process of its own, so that nobody inherits another's memory. */
static void apart(const struct keeper *keeper, unsigned survivors_percent)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fragment(keeper, survivors_percent);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fputs("handles: a measuring process failed\n", stderr);
        exit(1);
    }
}

static void table_memory(void)
{
    static const unsigned survivors[] = {1, 10, 50};
    printf("MB resident; %d blocks of 16 to 1024 bytes, all but some freed at random\n", BLOCKS);
    printf("%9s  %-24s %8s %8s %8s %8s %9s\n", "survivors", "kept by", "asked", "full", "freed", "given", "ms");
    for (size_t s = 0; s < sizeof survivors / sizeof survivors[0]; s++) {
        for (size_t k = 0; k < sizeof keepers / sizeof keepers[0]; k++) {
            apart(&keepers[k], survivors[s]);
        }
    }
}

/* ---- pauses ---- */

static void pauses(size_t budget)
{
    enum { LIVE = 400000 };
    static cairn_handle handles[LIVE];
    heap = checked(cairn_heap_create(NULL));
    uint64_t random = 42;
    for (size_t i = 0; i < LIVE; i++) {
        handles[i] = handle_make(random_size(&random));
    }
    for (size_t i = 0; i < LIVE; i++) {
        if (random_below(&random, 100) < 50) {
            cairn_handle_free(heap, handles[i]);
        }
    }
    static double steps[1000000];
    size_t count = 0;
    double total = 0;
    bool more = true;
    while (more && count < sizeof steps / sizeof steps[0]) {
        double start = own_ns();
        more = cairn_heap_compact(heap, budget);
        steps[count] = (own_ns() - start) / 1e3;
        total += steps[count++];
    }
    qsort(steps, count, sizeof *steps, compare);
    cairn_handle_stats stats;
    cairn_heap_handle_stats(heap, &stats);
    char kib[24] = "all";
    if (budget != SIZE_MAX) {
        (void)snprintf(kib, sizeof kib, "%zu", budget >> 10);
    }
    printf("%9s %9zu %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n", kib, count, steps[count / 2], steps[count * 99 / 100],
           steps[count * 999 / 1000], steps[count - 1], total / 1e3, (double)stats.moved_bytes / 1e6);
    fflush(stdout);
    cairn_heap_destroy(heap);
}

static void table_pauses(void)
{
    static const size_t budgets[] = {16 << 10, 64 << 10, 256 << 10, 1 << 20, SIZE_MAX};
    printf("one round over 400000 blocks of which half were freed: processor time of steps in us, of all in ms\n");
    printf("%9s %9s %9s %9s %9s %9s %9s %9s\n", "KiB", "steps", "median", "99%", "99.9%", "longest", "whole ms",
           "moved MB");
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        pauses(budgets[i]);
    }
}

int main(int argc, char **argv)
{
    const char *table = argc > 1 ? argv[1] : "";
    if (argc == 5 && strcmp(table, "count") == 0) {
        return count_instructions(argv + 2);
    }
    bool all = argc == 1;
    if (argc > 2 ||
        (!all && strcmp(table, "deref") != 0 && strcmp(table, "memory") != 0 && strcmp(table, "pauses") != 0)) {
        fputs("usage: handles [deref|memory|pauses]\n       handles count pointer|deref|pin \"in order\"|random|list "
              "ROUNDS\n",
              stderr);
        return 2;
    }
    if (all || strcmp(table, "deref") == 0) {
        table_deref();
    }
    if (all || strcmp(table, "memory") == 0) {
        table_memory();
    }
    if (all || strcmp(table, "pauses") == 0) {
        table_pauses();
    }
    return 0;
}
