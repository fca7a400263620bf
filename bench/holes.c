/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* holes: what a request costs as the number of holes grows, for each fit, as one table: nanoseconds of the processor
 * for one block allocated and freed, in the program alone (the kernel's page faults for memory never touched before are
 * left out), and holes looked at for each search.
 *
 *   holes [SMALLEST LARGEST]    sizes of the blocks in bytes (default 24 8192), drawn evenly on a logarithmic scale
 *
 * A heap without pools holds twice as many blocks as there shall be holes; then every other block is freed. Pairs of
 * random sizes follow, 64 blocks in hand at a time. It links libcairn.a. */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "cairn.h"

enum { IN_HAND = 64, PAIRS = 1000000 };

static uint64_t random_state = 88172645463325252u;

static double random_unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static size_t random_size(double smallest, double largest)
{
    return (size_t)(smallest * pow(largest / smallest, random_unit()));
}

static double user_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static void *checked(void *pointer)
{
    if (pointer == NULL) {
        fputs("holes: out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

static cairn_heap *heap_with_holes(cairn_fit fit, size_t holes, double smallest, double largest)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.single = true;
    options.no_pools = true;
    options.fit = fit;
    options.purge_delay_ms = 3600000; /* no purging while the clock runs */
    cairn_heap *heap = checked(cairn_heap_create(&options));
    void **blocks = checked(calloc(2 * holes, sizeof blocks[0]));
    for (size_t i = 0; i < 2 * holes; i++) {
        blocks[i] = checked(cairn_alloc(heap, random_size(smallest, largest)));
    }
    for (size_t i = 0; i < 2 * holes; i += 2) {
        cairn_free(heap, blocks[i]);
    }
    free(blocks);
    return heap;
}

static void measure(cairn_fit fit, size_t holes, double smallest, double largest)
{
    static cairn_stats before;
    static cairn_stats after;
    cairn_heap *heap = heap_with_holes(fit, holes, smallest, largest);
    void *hand[IN_HAND] = {0};
    size_t *sizes = checked(calloc(PAIRS, sizeof sizes[0]));
    for (size_t i = 0; i < PAIRS; i++) {
        sizes[i] = random_size(smallest, largest);
    }
    cairn_heap_stats(heap, &before);
    double start = user_seconds();
    for (size_t i = 0; i < PAIRS; i++) {
        void **place = &hand[i % IN_HAND];
        cairn_free(heap, *place);
        *place = checked(cairn_alloc(heap, sizes[i]));
    }
    double seconds = user_seconds() - start;
    cairn_heap_stats(heap, &after);
    double visited = (double)(after.holes_visited - before.holes_visited);
    double searches = (double)(after.hole_searches - before.hole_searches);
    printf(" %7.0f %6.1f", seconds * 1e9 / PAIRS, searches > 0 ? visited / searches : 0);
    fflush(stdout);
    free(sizes);
    cairn_heap_destroy(heap);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"best", "first", "next", "worst"};
    static const size_t counts[] = {100, 1000, 10000, 100000};
    double smallest = argc == 3 ? atof(argv[1]) : 24;
    double largest = argc == 3 ? atof(argv[2]) : 8192;
    if ((argc != 1 && argc != 3) || smallest < 1 || largest < smallest || largest > 4194304) {
        fputs("usage: holes [SMALLEST LARGEST]  (bytes, 1 to 4194304)\n", stderr);
        return 2;
    }
    printf("blocks of %.0f to %.0f bytes: ns for a pair, holes looked at for a search\n%-6s", smallest, largest,
           "holes");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        printf(" %14zu", counts[i]);
    }
    putchar('\n');
    for (int fit = CAIRN_FIT_BEST; fit <= CAIRN_FIT_WORST; fit++) {
        printf("%-6s", names[fit]);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            measure((cairn_fit)fit, counts[i], smallest, largest);
        }
        putchar('\n');
    }
    return 0;
}
