/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test.h: what every unit and model test shares: cmocka with the headers it needs, scale and seed from the
 * environment, random numbers, byte patterns, a recorder for misuse, threads.
 *
 * CAIRN_TEST_SCALE is a percentage: loops are scaled by it (valgrind runs at 1 to 5). CAIRN_TEST_SEED repeats a run.
 *
 * CAIRN_TEST_FIT, CAIRN_TEST_POOLS and CAIRN_TEST_GEOMETRY, with the values of `cairn run`'s options, are the policy of
 * a run: what every heap is made with wherever its test leaves these options at their defaults, the process's default
 * heap included. So each test is held against every policy, unless it is about one: then it makes its heaps by
 * heap_as_told() or heap_with_pools(); or, if what it says holds only with pools, it calls only_with_pools() first, and
 * is skipped without.
 *
 * cmocka's assertions leave the test by longjmp, so they belong to the thread that runs the test. Other threads use
 * require(), which prints the place and ends the process.
 *
 * Blocks are filled and compared here, in a translation unit of their own, so that the compiler's knowledge of
 * cairn_alloc() (alloc_size, malloc) can neither fold a comparison nor complain about the usable bytes behind the
 * size asked for. */

#ifndef CAIRN_TEST_H
#define CAIRN_TEST_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cairn.h"

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- scale, seed, random numbers ---- */

unsigned test_scale(void);       /* CAIRN_TEST_SCALE in percent, 100 if unset */
size_t test_scaled(size_t full); /* `full` at 100 percent; at least 1 */
uint64_t test_seed(void);        /* CAIRN_TEST_SEED, or a fresh one; printed once so that a failure can be repeated */

uint64_t random_next(uint64_t *state);                 /* 64 bits (splitmix64) */
size_t random_below(uint64_t *state, size_t bound);    /* 0 to bound - 1 */
bool random_chance(uint64_t *state, unsigned percent); /* true in `percent` of the calls */

/* ---- assertions for any thread ---- */

#define require(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))
_Noreturn void require_failed(const char *condition, const char *file, int line);

/* ---- bytes ---- */

/* Writes a pattern made of `stamp` over [block, block + size). Blocks above PATTERN_WHOLE bytes get it at both ends
 * and once in each 4 KiB between. */
#define PATTERN_WHOLE KIB(32)
void pattern_fill(void *block, size_t size, uint64_t stamp);

/* True if the pattern that pattern_fill(block, size, stamp) wrote is still there in the first `upto` bytes. */
bool pattern_holds(const void *block, size_t size, size_t upto, uint64_t stamp);

void bytes_fill(void *block, int value, size_t size);
bool bytes_are(const void *block, int value, size_t size);

/* The address as a number, opaque to the optimiser. */
uintptr_t address_of(const void *pointer);

static inline bool aligned_to(const void *pointer, size_t alignment)
{
    return (address_of(pointer) & (alignment - 1)) == 0;
}

static inline size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* ---- misuse ---- */

struct misuse_record {
    unsigned count;    /* reports since misuse_record_start() */
    cairn_misuse last; /* the last one; `text` points at the copy below */
    char text[512];
};

void misuse_record_start(void);                       /* installs the recorder, count 0 */
const struct misuse_record *misuse_record_stop(void); /* restores the handler that was there before */
const struct misuse_record *misuse_record_now(void);

/* ---- heaps ---- */

/* cairn_heap_create() under the policy of the run: it takes the place of options left at the default or best fit, pools,
 * and the default preset's geometry (or NULL). */
cairn_heap *heap_under_policy(const cairn_heap_options *options) CAIRN_USE_RESULT;

/* cairn_heap_create() itself. */
cairn_heap *heap_as_told(const cairn_heap_options *options) CAIRN_USE_RESULT;

/* cairn_heap_create() under the policy's fit, but with the pools and the geometry told: for tests of pools. */
cairn_heap *heap_with_pools(const cairn_heap_options *options) CAIRN_USE_RESULT;

#define cairn_heap_create heap_under_policy

/* Fills in the policy where `options` leave it open; `geometry` is where its geometry is kept. */
void apply_policy(cairn_heap_options *options, cairn_geometry *geometry);

/* Whether the policy's heaps have pools. */
bool policy_has_pools(void);

/* Skips the test that calls it if they have none: for what only pools do. */
void only_with_pools(void);

/* A heap of a preset; fails the test if there is none. "default" means the policy's geometry if there is one. */
cairn_heap *heap_of_preset(const char *preset, bool single);

/* Options with the preset's geometry filled in; `geometry` is where it is kept. */
cairn_heap_options options_of_preset(const char *preset, cairn_geometry *geometry);

/* Statistics by value are large; this returns a static copy, good until the next call. Main thread only. */
const cairn_stats *stats_of(cairn_heap *heap);

/* Fails the test if cairn_heap_check() finds a fault (its lines go to stderr). */
void heap_is_sound(cairn_heap *heap);

/* Whether clones of the process can be tested: not under valgrind, which knows none but threads and forks, nor under
 * ThreadSanitizer, which keeps signals back until the program waits. */
bool test_can_clone(void);

/* ---- threads ---- */

void start_thread(pthread_t *thread, void *(*body)(void *), void *argument);
void join_thread(pthread_t thread);

#endif
