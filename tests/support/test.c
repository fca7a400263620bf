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

/* What the environment says; read before main(), by which time the environment is known. */
static struct {
    bool no_pools;
    bool has_fit;
    cairn_fit fit;
    bool has_geometry;
    cairn_geometry geometry;
} policy;

/* The value of a variable; NULL if it is unset or empty. */
static const char *setting(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? text : NULL;
}

_Noreturn static void bad_setting(const char *name, const char *text, const char *wanted)
{
    fprintf(stderr, "cairn: %s must be %s, not '%s'\n", name, wanted, text);
    exit(2);
}

static void read_fit(const char *text)
{
    static const char *const fits[] = {"best", "first", "next", "worst"};
    for (int i = CAIRN_FIT_BEST; i <= CAIRN_FIT_WORST; i++) {
        if (strcmp(text, fits[i]) == 0) {
            policy.has_fit = true;
            policy.fit = (cairn_fit)i;
            return;
        }
    }
    bad_setting("CAIRN_TEST_FIT", text, "best, first, next or worst");
}

static void read_pools(const char *text)
{
    policy.no_pools = strcmp(text, "off") == 0;
    if (!policy.no_pools && strcmp(text, "on") != 0) {
        bad_setting("CAIRN_TEST_POOLS", text, "on or off");
    }
}

static void read_geometry(const char *text)
{
    char error[200];
    if (cairn_geometry_parse(text, &policy.geometry, error, sizeof error) != 0) {
        bad_setting("CAIRN_TEST_GEOMETRY", text, error);
    }
    policy.has_geometry = strcmp(text, "default") != 0;
}

/* The default heap is made from the library's own variables. */
static __attribute__((constructor)) void read_policy(void)
{
    const char *fit = setting("CAIRN_TEST_FIT");
    const char *pools = setting("CAIRN_TEST_POOLS");
    const char *geometry = setting("CAIRN_TEST_GEOMETRY");
    if (fit != NULL) {
        read_fit(fit);
        setenv("CAIRN_FIT", fit, true);
    }
    if (pools != NULL) {
        read_pools(pools);
        setenv("CAIRN_POOLS", pools, true);
    }
    if (geometry != NULL) {
        read_geometry(geometry);
        setenv("CAIRN_GEOMETRY", geometry, true);
    }
}

bool policy_has_pools(void)
{
    return !policy.no_pools;
}

void only_with_pools(void)
{
    if (policy.no_pools) {
        skip();
    }
}

static bool is_default(const cairn_geometry *geometry)
{
    cairn_geometry preset;
    assert_int_equal(cairn_geometry_preset("default", &preset), 0);
    return geometry->arena_size == preset.arena_size && geometry->pool_size == preset.pool_size &&
           geometry->alignment == preset.alignment && geometry->small_limit == preset.small_limit &&
           geometry->medium_limit == preset.medium_limit && geometry->reuse_at_once == preset.reuse_at_once &&
           geometry->return_at_once == preset.return_at_once && geometry->first_block == preset.first_block;
}

static cairn_fit fit_under_policy(cairn_fit fit)
{
    return policy.has_fit && (fit == CAIRN_FIT_DEFAULT || fit == CAIRN_FIT_BEST) ? policy.fit : fit;
}

void apply_policy(cairn_heap_options *options, cairn_geometry *geometry)
{
    options->no_pools = options->no_pools || policy.no_pools;
    options->fit = fit_under_policy(options->fit);
    if (policy.has_geometry && (options->geometry == NULL || is_default(options->geometry))) {
        *geometry = policy.geometry;
        options->geometry = geometry;
    }
}

#undef cairn_heap_create

cairn_heap *heap_as_told(const cairn_heap_options *options)
{
    return cairn_heap_create(options);
}

cairn_heap *heap_with_pools(const cairn_heap_options *options)
{
    cairn_heap_options filled = *options;
    filled.fit = fit_under_policy(options->fit);
    return cairn_heap_create(&filled);
}

cairn_heap *heap_under_policy(const cairn_heap_options *options)
{
    cairn_heap_options filled = CAIRN_HEAP_OPTIONS_INIT;
    cairn_geometry geometry;
    if (options != NULL) {
        filled = *options;
    }
    apply_policy(&filled, &geometry);
    return cairn_heap_create(&filled);
}

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
    cairn_heap *heap = heap_under_policy(&options);
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

/* ---- clones ---- */

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif

bool test_can_clone(void)
{
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
    return false;
#else
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
#endif
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
