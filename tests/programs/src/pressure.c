/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pressure.c: takes blocks of one size until there are no more, which must give NULL and ENOMEM and leave every block
 * whole; then frees and must get as much again (within a tenth), round after round. A call that fails must leave what
 * it was given alone. Usage: pressure SIZE|mixed [THREADS]; prints the blocks of each round, or FAILED lines. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pattern.h"

enum { ROUNDS = 4, MOST = 1 << 24 };

struct link {
    struct link *next;
    size_t size;
};

static size_t fixed_size;
static atomic_ulong total;

static size_t next_size(uint64_t *state)
{
    return sizeof(struct link) + (fixed_size ? fixed_size : pattern_size(state));
}

/* Fills memory; returns the newest block of the chain and the number of blocks. */
static struct link *fill(uint64_t *state, size_t *count, size_t *bytes)
{
    struct link *chain = NULL;
    for (*count = 0, *bytes = 0; *count < MOST; ++*count) {
        size_t size = next_size(state);
        errno = 0;
        struct link *link = malloc(size);
        if (!link) {
            REQUIRE(errno == ENOMEM);
            return chain;
        }
        link->next = chain;
        link->size = size;
        pattern_fill(link + 1, size - sizeof *link, 8);
        chain = link;
        *bytes += size;
    }
    return chain;
}

/* With memory full, every other call fails the same way and harms nothing. */
static void fail_in_every_way(struct link *chain)
{
    void *block = &fixed_size;
    for (int i = 0; i < 100 && chain; i++, chain = chain->next) {
        size_t old = chain->size;
        errno = 0;
        REQUIRE(!realloc(chain, (size_t)1 << 40) && errno == ENOMEM);
        pattern_check(chain + 1, old - sizeof *chain, 8);
        errno = 0;
        REQUIRE(!calloc((size_t)1 << 20, (size_t)1 << 20) && errno == ENOMEM);
        errno = 0;
        REQUIRE(!aligned_alloc((size_t)1 << 21, (size_t)1 << 40) && errno == ENOMEM);
        REQUIRE(posix_memalign(&block, 64, (size_t)1 << 40) == ENOMEM && block == &fixed_size);
    }
}

static void empty(struct link *chain)
{
    while (chain) {
        struct link *next = chain->next;
        pattern_check(chain + 1, chain->size - sizeof *chain, 8);
        free(chain);
        chain = next;
    }
}

static void *work(void *argument)
{
    size_t first = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t state = (uintptr_t)argument + 1; /* the same sizes in every round */
        size_t count, bytes;
        struct link *chain = fill(&state, &count, &bytes);
        REQUIRE(count < MOST && (count > 0 || argument)); /* other threads may hold it all */
        fail_in_every_way(chain);
        empty(chain);
        if (round == 0)
            first = bytes;
        if (!argument && bytes < first / 10 * 9)
            printf("FAILED: round %u got %zu bytes, the first %zu\n", round, bytes, first);
        if (round == 0)
            atomic_fetch_add(&total, bytes);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    pthread_t ids[16];
    REQUIRE(argc > 1 && threads <= 16);
    fixed_size = (size_t)strtoul(argv[1], NULL, 10);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (uintptr_t i = 0; i < threads; i++)
        REQUIRE(pthread_create(&ids[i], NULL, work, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < threads; i++)
        REQUIRE(pthread_join(ids[i], NULL) == 0);
    if (threads == 0)
        work(NULL);
    printf("%lu bytes in the first round\n", atomic_load(&total));
    return 0;
}
