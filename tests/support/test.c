/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test.c: see test.h. */

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- scale, seed, random numbers ---- */

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0') {
        return otherwise;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno != 0 || *end != '\0') {
        fprintf(stderr, "cairn: %s must be a number, not '%s'\n", name, text);
        exit(2);
    }
    return value;
}

unsigned test_scale(void)
{
    return (unsigned)number_from_environment("CAIRN_TEST_SCALE", 100);
}

size_t test_scaled(size_t full)
{
    size_t scaled = full * test_scale() / 100;
    return scaled > 0 ? scaled : 1;
}

static uint64_t fresh_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t state = (uint64_t)now.tv_nsec ^ ((uint64_t)now.tv_sec << 20) ^ ((uint64_t)getpid() << 44);
    return random_next(&state) & UINT32_MAX;
}

uint64_t test_seed(void)
{
    static uint64_t seed;
    static bool known;
    if (!known) {
        seed = number_from_environment("CAIRN_TEST_SEED", fresh_seed());
        known = true;
        fprintf(stderr, "CAIRN_TEST_SEED=%llu CAIRN_TEST_SCALE=%u\n", (unsigned long long)seed, test_scale());
    }
    return seed;
}

#if defined(__clang__)
#define WRAPS __attribute__((no_sanitize("integer")))
#else
#define WRAPS
#endif

WRAPS uint64_t random_next(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(random_next(state) % bound);
}

bool random_chance(uint64_t *state, unsigned percent)
{
    return random_below(state, 100) < percent;
}

/* ---- assertions for any thread ---- */

void require_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: required: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}

/* ---- bytes ---- */

enum { WORD = sizeof(uint64_t), EDGE = 4096, STRIDE = 4096 };

static uint64_t word_at(uint64_t stamp, size_t offset)
{
    return stamp ^ (uint64_t)offset;
}

static void fill_range(unsigned char *block, size_t from, size_t to, uint64_t stamp)
{
    size_t at = from;
    for (; at + WORD <= to; at += WORD) {
        uint64_t word = word_at(stamp, at);
        memcpy(block + at, &word, WORD);
    }
    uint64_t last = word_at(stamp, at);
    if (at < to) {
        memcpy(block + at, &last, to - at);
    }
}

static bool range_holds(const unsigned char *block, size_t from, size_t to, uint64_t stamp)
{
    size_t at = from;
    for (; at + WORD <= to; at += WORD) {
        uint64_t word;
        memcpy(&word, block + at, WORD);
        if (word != word_at(stamp, at)) {
            return false;
        }
    }
    uint64_t last = word_at(stamp, at);
    return at >= to || memcmp(block + at, &last, to - at) == 0;
}

/* Where the last edge of a big block starts: a multiple of a word, so that words keep their places. */
static size_t last_edge(size_t size)
{
    return (size - EDGE) / WORD * WORD;
}

void pattern_fill(void *block, size_t size, uint64_t stamp)
{
    if (size <= PATTERN_WHOLE) {
        fill_range(block, 0, size, stamp);
        return;
    }
    fill_range(block, 0, EDGE, stamp);
    for (size_t at = STRIDE; at < last_edge(size); at += STRIDE) {
        fill_range(block, at, at + WORD, stamp);
    }
    fill_range(block, last_edge(size), size, stamp);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool pattern_holds(const void *block, size_t size, size_t upto, uint64_t stamp)
{
    upto = smaller(upto, size);
    if (size <= PATTERN_WHOLE) {
        return range_holds(block, 0, upto, stamp);
    }
    if (!range_holds(block, 0, smaller(EDGE, upto), stamp)) {
        return false;
    }
    for (size_t at = STRIDE; at < last_edge(size) && at < upto; at += STRIDE) {
        if (!range_holds(block, at, smaller(at + WORD, upto), stamp)) {
            return false;
        }
    }
    return range_holds(block, last_edge(size), upto, stamp);
}

void bytes_fill(void *block, int value, size_t size)
{
    memset(block, value, size);
}

bool bytes_are(const void *block, int value, size_t size)
{
    const unsigned char *bytes = block;
    return size == 0 || (bytes[0] == (unsigned char)value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

uintptr_t address_of(const void *pointer)
{
    return (uintptr_t)pointer;
}

/* ---- misuse ---- */

static struct misuse_record record;
static cairn_misuse_handler handler_before;

static void note_misuse(const cairn_misuse *misuse)
{
    record.count++;
    record.last = *misuse;
    snprintf(record.text, sizeof record.text, "%s", misuse->text);
    record.last.text = record.text;
}

void misuse_record_start(void)
{
    memset(&record, 0, sizeof record);
    handler_before = cairn_set_misuse_handler(note_misuse);
}

const struct misuse_record *misuse_record_stop(void)
{
    cairn_set_misuse_handler(handler_before);
    return &record;
}

const struct misuse_record *misuse_record_now(void)
{
    return &record;
}

/* ---- heaps ---- */

cairn_heap_options options_of_preset(const char *preset, cairn_geometry *geometry)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    assert_int_equal(cairn_geometry_preset(preset, geometry), 0);
    options.geometry = geometry;
    return options;
}

cairn_heap *heap_of_preset(const char *preset, bool single)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset(preset, &geometry);
    options.single = single;
    options.name = preset;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    return heap;
}

const cairn_stats *stats_of(cairn_heap *heap)
{
    static cairn_stats stats;
    cairn_heap_stats(heap, &stats);
    return &stats;
}

void heap_is_sound(cairn_heap *heap)
{
    assert_int_equal(cairn_heap_check(heap, stderr), 0);
}

/* ---- threads ---- */

/* Small stacks, so that glibc keeps all of them for reuse: AddressSanitizer of gcc 12 leaves the shadow of a stack that
 * was unmapped poisoned, and a heap's arena may come to lie there. */
void start_thread(pthread_t *thread, void *(*body)(void *), void *argument)
{
    pthread_attr_t attributes;
    require(pthread_attr_init(&attributes) == 0);
    require(pthread_attr_setstacksize(&attributes, KIB(512)) == 0);
    int error = pthread_create(thread, &attributes, body, argument);
    require(error == 0);
    pthread_attr_destroy(&attributes);
}

void join_thread(pthread_t thread)
{
    int error = pthread_join(thread, NULL);
    require(error == 0);
}
