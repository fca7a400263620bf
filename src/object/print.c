/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* print.c: a runtime's statistics as text and as JSON. Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>

/* ---- text ---- */

static void print_generations(const cairn_runtime *runtime, FILE *out)
{
    (void)fprintf(out, "%-12s %12s %14s %14s %14s %12s %12s\n", "generation", "collections", "looked at", "collected",
                  "uncollectable", "seconds", "longest ms");
    for (int g = 0; g < CAIRN_GENERATIONS; g++) {
        const cairn_collector_stats *stats = &runtime->stats[g];
        (void)fprintf(out, "%-12d %12llu %14llu %14llu %14llu %12.4f %12.3f\n", g,
                      (unsigned long long)stats->collections, (unsigned long long)stats->candidates,
                      (unsigned long long)stats->collected, (unsigned long long)stats->uncollectable,
                      (double)stats->nanoseconds / 1e9, (double)stats->longest_ns / 1e6);
    }
    const cairn_step_stats *steps = &runtime->step_stats;
    if (steps->steps) {
        (void)fprintf(out,
                      "bounded mode: %llu cycles in %llu steps (%llu late), longest %.3f ms, %.4f s, %llu collected\n",
                      (unsigned long long)steps->cycles, (unsigned long long)steps->steps,
                      (unsigned long long)steps->late, (double)steps->longest_ns / 1e6,
                      (double)steps->nanoseconds / 1e9, (unsigned long long)steps->collected);
    }
}

static void print_caches(const cairn_runtime *runtime, FILE *out)
{
    if (runtime->caches) {
        (void)fprintf(out, "%-24s %12s %12s %12s %12s\n", "kept for reuse", "pieces", "bytes", "hits", "misses");
    }
    for (const cairn_cache *cache = runtime->caches; cache; cache = cache->next) {
        (void)fprintf(out, "%-24s %12zu %12zu %12llu %12llu\n", cache->name, cache->count, cache->bytes,
                      (unsigned long long)cache->hits, (unsigned long long)cache->misses);
    }
}

int cairn_runtime_print_stats(cairn_runtime *runtime, FILE *out)
{
    CHECK_GIL(runtime, "runtime_print_stats", EINVAL);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    (void)fprintf(out, "cairn: runtime \"%s\"\n", cairn_heap_name(runtime->heap));
    (void)fprintf(out, "objects: %llu made, %llu died, %llu brought back, %zu tracked, %zu queued\n",
                  (unsigned long long)stats.objects_made, (unsigned long long)stats.objects_died,
                  (unsigned long long)stats.resurrected, stats.containers_tracked, stats.queued);
    (void)fprintf(out, "bytes: %zu kept for reuse (at most %zu), %zu beside the pools for the collector\n",
                  stats.cached_bytes, stats.cached_peak, stats.side_bytes);
    (void)fprintf(out, "GIL: passed on %llu times, %llu of them on request\n", (unsigned long long)stats.gil_switches,
                  (unsigned long long)stats.gil_forced);
    print_generations(runtime, out);
    print_caches(runtime, out);
    return ferror(out) ? EIO : 0;
}

/* ---- JSON ---- */

/* A string with what JSON does not allow in one escaped. */
static void put_string(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\') {
            (void)fprintf(out, "\\%c", *at);
        } else if (*at < 0x20) {
            (void)fprintf(out, "\\u%04x", *at);
        } else {
            (void)fputc(*at, out);
        }
    }
    (void)fputc('"', out);
}

static void put(FILE *out, const char *name, uint64_t value, bool more)
{
    (void)fprintf(out, "\"%s\": %llu%s", name, (unsigned long long)value, more ? ", " : "");
}

static void put_generations(const cairn_runtime *runtime, FILE *out)
{
    (void)fputs("\"generations\": [", out);
    for (int g = 0; g < CAIRN_GENERATIONS; g++) {
        const cairn_collector_stats *stats = &runtime->stats[g];
        (void)fputs(g ? ", {" : "{", out);
        put(out, "collections", stats->collections, true);
        put(out, "candidates", stats->candidates, true);
        put(out, "collected", stats->collected, true);
        put(out, "uncollectable", stats->uncollectable, true);
        put(out, "nanoseconds", stats->nanoseconds, true);
        put(out, "longest_ns", stats->longest_ns, false);
        (void)fputc('}', out);
    }
    (void)fputs("], ", out);
}

static void put_steps(const cairn_runtime *runtime, FILE *out)
{
    const cairn_step_stats *steps = &runtime->step_stats;
    (void)fputs("\"bounded\": {", out);
    put(out, "cycles", steps->cycles, true);
    put(out, "steps", steps->steps, true);
    put(out, "late", steps->late, true);
    put(out, "longest_ns", steps->longest_ns, true);
    put(out, "nanoseconds", steps->nanoseconds, true);
    put(out, "collected", steps->collected, false);
    (void)fputs("}, ", out);
}

static void put_caches(const cairn_runtime *runtime, FILE *out)
{
    (void)fputs("\"caches\": [", out);
    for (const cairn_cache *cache = runtime->caches; cache; cache = cache->next) {
        (void)fputs("{\"name\": ", out);
        put_string(cache->name, out);
        (void)fputs(", ", out);
        put(out, "count", cache->count, true);
        put(out, "bytes", cache->bytes, true);
        put(out, "hits", cache->hits, true);
        put(out, "misses", cache->misses, false);
        (void)fputs(cache->next ? "}, " : "}", out);
    }
    (void)fputs("]", out);
}

int cairn_runtime_print_stats_json(cairn_runtime *runtime, FILE *out)
{
    CHECK_GIL(runtime, "runtime_print_stats_json", EINVAL);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    (void)fputs("{\"name\": ", out);
    put_string(cairn_heap_name(runtime->heap), out);
    (void)fputs(", ", out);
    put(out, "objects_made", stats.objects_made, true);
    put(out, "objects_died", stats.objects_died, true);
    put(out, "resurrected", stats.resurrected, true);
    put(out, "containers_tracked", stats.containers_tracked, true);
    put(out, "queued", stats.queued, true);
    put(out, "cached_bytes", stats.cached_bytes, true);
    put(out, "cached_peak", stats.cached_peak, true);
    put(out, "side_bytes", stats.side_bytes, true);
    put(out, "gil_switches", stats.gil_switches, true);
    put(out, "gil_forced", stats.gil_forced, true);
    put_generations(runtime, out);
    put_steps(runtime, out);
    put_caches(runtime, out);
    (void)fputs("}\n", out);
    return ferror(out) ? EIO : 0;
}
