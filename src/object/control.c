/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* control.c: the collector's settings, figures, lists and callbacks; what it tracks, by generation.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>
#include <string.h>

/* ---- settings and figures ---- */

void cairn_collector_enable(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_enable");
    runtime->enabled = true;
    collector_set_alarm(runtime);
}

void cairn_collector_disable(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_disable");
    runtime->enabled = false;
    collector_set_alarm(runtime);
}

bool cairn_collector_is_enabled(const cairn_runtime *runtime)
{
    return runtime->enabled;
}

int cairn_collector_set_threshold(cairn_runtime *runtime, const unsigned *thresholds, size_t count)
{
    CHECK_GIL(runtime, "collector_set_threshold", EINVAL);
    if (count < 1 || count > CAIRN_GENERATIONS) {
        return runtime_error(runtime, EINVAL, "one to three thresholds can be set");
    }
    memcpy(runtime->threshold, thresholds, count * sizeof *thresholds);
    collector_set_alarm(runtime);
    return 0;
}

void cairn_collector_get_threshold(const cairn_runtime *runtime, unsigned thresholds[3])
{
    memcpy(thresholds, runtime->threshold, sizeof runtime->threshold);
}

void cairn_collector_get_count(const cairn_runtime *runtime, unsigned counts[3])
{
    memcpy(counts, runtime->count, sizeof runtime->count);
}

void cairn_collector_get_stats(const cairn_runtime *runtime, cairn_collector_stats stats[3])
{
    memcpy(stats, runtime->stats, sizeof runtime->stats);
}

void cairn_collector_set_debug(cairn_runtime *runtime, unsigned flags)
{
    CHECK_GIL(runtime, "collector_set_debug");
    runtime->debug = flags;
}

unsigned cairn_collector_get_debug(const cairn_runtime *runtime)
{
    return runtime->debug;
}

void cairn_collector_set_output(cairn_runtime *runtime, FILE *out)
{
    CHECK_GIL(runtime, "collector_set_output");
    runtime->output = out;
}

/* ---- callbacks ---- */

int cairn_collector_add_callback(cairn_runtime *runtime, cairn_collector_callback callback, void *arg)
{
    CHECK_GIL(runtime, "collector_add_callback", EINVAL);
    struct callback *added = cairn_runtime_alloc(runtime, sizeof *added);
    if (!added) {
        return ENOMEM;
    }
    *added = (struct callback){.function = callback, .arg = arg};
    struct callback **at = &runtime->callbacks;
    while (*at) {
        at = &(*at)->next;
    }
    *at = added;
    return 0;
}

void callbacks_sweep(cairn_runtime *runtime)
{
    struct callback **at = &runtime->callbacks;
    while (*at) {
        struct callback *callback = *at;
        if (callback->function) {
            at = &callback->next;
        } else {
            *at = callback->next;
            cairn_runtime_free(runtime, callback);
        }
    }
}

int cairn_collector_remove_callback(cairn_runtime *runtime, cairn_collector_callback callback, void *arg)
{
    CHECK_GIL(runtime, "collector_remove_callback", EINVAL);
    for (struct callback *at = runtime->callbacks; at; at = at->next) {
        if (at->function == callback && at->arg == arg) {
            at->function = NULL;
            if (!runtime->collecting) {
                callbacks_sweep(runtime);
            }
            return 0;
        }
    }
    return runtime_error(runtime, ENOENT, "no such callback");
}

/* ---- the garbage list ---- */

size_t cairn_collector_garbage_count(const cairn_runtime *runtime)
{
    return runtime->garbage_count;
}

cairn_object *cairn_collector_garbage_at(const cairn_runtime *runtime, size_t i)
{
    return i < runtime->garbage_count ? runtime->garbage[i] : NULL;
}

void cairn_collector_garbage_clear(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_garbage_clear");
    cairn_object **garbage = runtime->garbage;
    size_t count = runtime->garbage_count;
    runtime->garbage = NULL;
    runtime->garbage_count = runtime->garbage_room = 0;
    for (size_t i = 0; i < count; i++) {
        cairn_decref(garbage[i]);
    }
    cairn_runtime_free(runtime, garbage);
}

/* ---- freezing ---- */

static size_t frozen_of(const struct side *side)
{
    size_t count = 0;
    for (unsigned w = 0; w < side->words; w++) {
        count += (size_t)__builtin_popcountll(generation_bits(&side->word[w], 3));
    }
    return count;
}

void cairn_collector_freeze(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_freeze");
    bounded_drop(runtime);
    sides_sort(runtime);
    for (struct ring *at = runtime->sides.next; at != &runtime->sides; at = at->next) {
        struct side *side = RING_SIDE(at, all);
        for (unsigned w = 0; w < side->words; w++) {
            side->word[w].low = side->word[w].high = side->word[w].tracked;
        }
        ring_remove(&side->list[0]);
        ring_remove(&side->list[1]);
    }
    for (int g = 0; g < CAIRN_GENERATIONS; g++) {
        runtime->count[g] = 0;
    }
}

void cairn_collector_unfreeze(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_unfreeze");
    sides_sort(runtime);
    for (struct ring *at = runtime->sides.next; at != &runtime->sides; at = at->next) {
        struct side *side = RING_SIDE(at, all);
        for (unsigned w = 0; w < side->words; w++) {
            uint64_t frozen = generation_bits(&side->word[w], 3);
            side->word[w].low &= ~frozen;
            side->word[w].high &= ~frozen;
        }
    }
}

size_t cairn_collector_freeze_count(const cairn_runtime *runtime)
{
    size_t count = 0;
    const struct ring *lists[] = {&runtime->sides, &runtime->fresh};
    for (size_t i = 0; i < 2; i++) {
        for (const struct ring *at = lists[i]->next; at != lists[i]; at = at->next) {
            count += frozen_of(RING_SIDE(at, all));
        }
    }
    return count;
}

/* ---- what is tracked ---- */

struct visiting {
    int generation; /* -1: all */
    bool (*visitor)(cairn_object *object, void *arg);
    void *arg;
};

static bool visit_side(const struct side *side, const struct visiting *visiting)
{
    for (unsigned w = 0; w < side->words; w++) {
        const struct side_word *word = &side->word[w];
        uint64_t bits = visiting->generation < 0 ? word->tracked : generation_bits(word, visiting->generation);
        bits &= ~bounded_doomed(side->runtime, word);
        for (; bits; bits &= bits - 1) {
            cairn_object *object = side_object(side, w * 64 + (unsigned)__builtin_ctzll(bits));
            if (!visiting->visitor(object, visiting->arg)) {
                return false;
            }
        }
    }
    return true;
}

static bool visit_tracked(cairn_runtime *runtime, const struct visiting *visiting)
{
    sides_sort(runtime);
    for (struct ring *at = runtime->sides.next; at != &runtime->sides; at = at->next) {
        if (!visit_side(RING_SIDE(at, all), visiting)) {
            return false;
        }
    }
    return true;
}

bool cairn_collector_visit_objects(cairn_runtime *runtime, int generation,
                                   bool (*visitor)(cairn_object *object, void *arg), void *arg)
{
    CHECK_GIL(runtime, "collector_visit_objects", false);
    if (generation < -1 || generation >= CAIRN_GENERATIONS) {
        (void)runtime_error(runtime, EINVAL, "invalid generation");
        return false;
    }
    return visit_tracked(runtime, &(struct visiting){generation, visitor, arg});
}

struct search {
    cairn_object *target;
    bool found;
    struct visiting visiting;
};

static void visit_compare(cairn_object *object, void *arg)
{
    struct search *search = arg;
    search->found |= object == search->target;
}

static bool visit_referrer(cairn_object *object, void *arg)
{
    struct search *search = arg;
    search->found = false;
    traverse(object, visit_compare, search);
    return !search->found || search->visiting.visitor(object, search->visiting.arg);
}

bool cairn_collector_visit_referrers(cairn_runtime *runtime, cairn_object *object,
                                     bool (*visitor)(cairn_object *referrer, void *arg), void *arg)
{
    CHECK_GIL(runtime, "collector_visit_referrers", false);
    struct search search = {.target = object, .visiting = {-1, visitor, arg}};
    return visit_tracked(runtime, &(struct visiting){-1, visit_referrer, &search});
}
