/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* key_destructors.c: pthread keys of every number. A key of 32 or more makes the C library call calloc inside
 * pthread_setspecific; destructors here free, allocate and set their key again, so that they run in every one of the
 * rounds the library allows, also after the allocator's own destructor has run. */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pattern.h"

enum { KEYS = 120, THREADS = 60 };

static pthread_key_t keys[KEYS];
static atomic_ulong runs;

struct value {
    unsigned key;
    unsigned round;
    char *text;
};

static struct value *make(unsigned key, unsigned round)
{
    struct value *value = malloc(sizeof *value);
    REQUIRE(value);
    value->key = key;
    value->round = round;
    value->text = malloc(1 + key * 40 + round);
    REQUIRE(value->text);
    pattern_fill(value->text, 1 + key * 40 + round, key);
    return value;
}

static void destroy(void *argument)
{
    struct value *value = argument;
    atomic_fetch_add(&runs, 1);
    pattern_check(value->text, 1 + value->key * 40 + value->round, value->key);
    if (value->round < PTHREAD_DESTRUCTOR_ITERATIONS - 1)
        REQUIRE(pthread_setspecific(keys[value->key], make(value->key, value->round + 1)) == 0);
    free(value->text);
    free(value);
    free(malloc(100000));
}

static void *work(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < KEYS; i++)
        REQUIRE(pthread_setspecific(keys[KEYS - 1 - i], make(KEYS - 1 - i, 0)) == 0);
    return NULL;
}

int main(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        REQUIRE(pthread_key_create(&keys[i], destroy) == 0);
    REQUIRE(keys[KEYS - 1] >= 32);
    for (unsigned i = 0; i < THREADS; i += 4) {
        pthread_t threads[4];
        for (unsigned j = 0; j < 4; j++)
            REQUIRE(pthread_create(&threads[j], NULL, work, NULL) == 0);
        for (unsigned j = 0; j < 4; j++)
            REQUIRE(pthread_join(threads[j], NULL) == 0);
    }
    REQUIRE(atomic_load(&runs) == (unsigned long)KEYS * THREADS * PTHREAD_DESTRUCTOR_ITERATIONS);
    printf("%lu destructors run\n", atomic_load(&runs));
    return 0;
}
