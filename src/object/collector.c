/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* collector.c: what a collection does; see cairn_object.h for the order and docs/design/collector.md for the reasons.
 *
 * Detection works on a set of side records, chained through `set`, whose candidate bits are what it looks at:
 *   1. for each candidate: its count is added to its ref, and 1 is taken from the ref of each candidate it refers
 *      to, in whatever order the two come. Then ref is the number of references from elsewhere;
 *   2. candidates with ref not 0 are reached: candidates no more, but pending;
 *   3. pending ones are traversed: candidates they refer to are reached, too. Side records with pending bits are on a
 *      list: no recursion, no memory, each object traversed once;
 *   4. the candidate bits that remain are those of unreachable objects.
 * The same on a subset of these tells which finalizers have brought back.
 *
 * From the first finalizer or callback on, any code may run: objects of the set die (their bits go with them), pools
 * and side records go away (they leave every list), objects are made in slots that have no bits. So these phases take
 * the first bit of the first side record of a list, again and again, and trust nothing else they knew.
 *
 * Lock: the GIL. */

#include "object/runtime.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

#include "object/visits.h"
#include "os/os.h"

enum { NEAR_MOST = 1 << 15 }; /* candidates of a set that the caches hold, about */

uint64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- detection ---- */

static inline void subtract_one(struct visits *visits, struct side *side, unsigned slot)
{
    (void)visits;
    if (side->word[slot / 64].candidate >> (slot % 64) & 1) {
        side->refs[slot]--;
    }
}

static inline HOT void visit_subtract(cairn_object *object, void *arg)
{
    visits_add(arg, object, true, subtract_one);
}

static inline HOT void visit_subtract_near(cairn_object *object, void *arg)
{
    visits_add_near(arg, object, subtract_one);
}

static inline void work_add(struct ring *work, struct side *side)
{
    if (ring_is_empty(&side->work)) {
        ring_add(work, &side->work);
    }
}

static inline void mark_one(struct visits *visits, struct side *side, unsigned slot)
{
    struct side_word *word = &side->word[slot / 64];
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (word->candidate & bit) {
        word->candidate &= ~bit;
        word->pending |= bit;
        visits->unreached--;
        work_add(&visits->work, side);
    }
}

static inline HOT void visit_mark(cairn_object *object, void *arg)
{
    visits_add(arg, object, false, mark_one);
}

static inline HOT void visit_mark_near(cairn_object *object, void *arg)
{
    visits_add_near(arg, object, mark_one);
}

static inline HOT void subtract(struct visits *visits, struct side *set, cairn_visit visit)
{
    for (struct side *side = set; side; side = side->set) {
        prefetch_side(side->set);
        visits_enter(visits, side);
        for (unsigned w = 0; w < side->words; w++) {
            for (uint64_t bits = side->word[w].candidate; bits; bits &= bits - 1) {
                unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
                cairn_object *object = side_object(side, slot);
                fetch_ahead(side, &side->word[w], slot);
                int64_t count = object->count;
                side->refs[slot] += LIKELY(count < REFS_MANY) ? (uint32_t)count : (uint32_t)REFS_MANY;
                traverse(object, visit, visits);
            }
        }
    }
    visits_flush(visits, true, subtract_one);
}

static void too_small(cairn_object *object)
{
    cairn_object_report(CAIRN_FAULT_COUNT, "collect", object,
                        "more references to the object than its count says: a traverse function visits too often, or a "
                        "reference was not counted");
}

/* The candidates of a word that something else refers to; their refs are set back to 0. */
static uint64_t roots_of(struct side *side, unsigned w)
{
    uint64_t roots = 0;
    uint32_t *refs = side->refs + w * 64;
    for (uint64_t bits = side->word[w].candidate; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctzll(bits);
        uint32_t left = refs[i];
        refs[i] = 0;
        roots |= (uint64_t)(left != 0) << i;
        if (UNLIKELY(left > INT32_MAX)) {
            too_small(side_object(side, w * 64 + i));
        }
    }
    return roots;
}

static void find_roots(struct visits *visits, struct side *set)
{
    visits->unreached = 0;
    for (struct side *side = set; side; side = side->set) {
        prefetch_side(side->set);
        uint64_t any = 0;
        for (unsigned w = 0; w < side->words; w++) {
            if (side->word[w].candidate) {
                uint64_t roots = roots_of(side, w);
                side->word[w].candidate &= ~roots;
                side->word[w].pending = roots;
                any |= roots;
                visits->unreached += (size_t)__builtin_popcountll(side->word[w].candidate);
            }
        }
        if (any) {
            work_add(&visits->work, side);
        }
    }
}

/* An object that is reached leaves the collector's sight if it can be part of no cycle. */
static void untrack_if_plain(struct side *side, unsigned slot, cairn_object *object)
{
    if (object->type->untrack(object)) {
        struct place place = {side, &side->word[slot / 64], UINT64_C(1) << (slot % 64), slot};
        untrack(&place);
    }
}

static void is_uncollectable(struct collection *c, cairn_object *object);

/* What is done to objects as they are traversed, beside that. */
struct marking {
    bool untracks;
    struct collection *legacy; /* not NULL: what is reached is uncollectable */
};

static inline HOT void mark_one_object(struct visits *visits, struct side *side, unsigned slot, cairn_visit visit,
                                       const struct marking *marking)
{
    cairn_object *object = side_object(side, slot);
    fetch_ahead(side, &side->word[slot / 64], slot);
    traverse(object, visit, visits);
    if (UNLIKELY(object->type->untrack != NULL) && marking->untracks) {
        untrack_if_plain(side, slot, object);
    }
    if (UNLIKELY(marking->legacy != NULL)) {
        is_uncollectable(marking->legacy, object);
    }
}

/* Traverses what is pending of a record, and what of it that leads to, as far as can be in order of address: the
 * processor fetches ahead. */
static inline HOT void mark_side(struct visits *visits, struct side *side, cairn_visit visit,
                                 const struct marking *marking)
{
    visits_enter(visits, side);
    bool more = true;
    while (more) {
        more = false;
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            more |= word->pending != 0;
            while (word->pending) {
                unsigned i = (unsigned)__builtin_ctzll(word->pending);
                word->pending &= word->pending - 1;
                mark_one_object(visits, side, w * 64 + i, visit, marking);
            }
        }
    }
}

/* Nothing is left that could be reached: what is pending need not be traversed. */
static void stop_marking(struct visits *visits)
{
    while (!ring_is_empty(&visits->work)) {
        struct side *side = RING_SIDE(visits->work.next, work);
        ring_remove(&side->work);
        for (unsigned w = 0; w < side->words; w++) {
            side->word[w].pending = 0;
        }
    }
    visits_forget(visits);
}

static inline HOT void mark_with(struct visits *visits, cairn_visit visit, const struct marking *marking)
{
    do {
        while (!ring_is_empty(&visits->work)) {
            struct side *side = RING_SIDE(visits->work.next, work);
            ring_remove(&side->work);
            prefetch_side(RING_SIDE(visits->work.next, work));
            mark_side(visits, side, visit, marking);
            if (!visits->unreached && !marking->untracks) {
                stop_marking(visits);
                return;
            }
        }
        visits_flush(visits, false, mark_one);
    } while (!ring_is_empty(&visits->work));
}

static __attribute__((noinline)) void mark(struct visits *visits, const struct marking *marking)
{
    mark_with(visits, visit_mark, marking);
}

static __attribute__((noinline)) void mark_near(struct visits *visits, const struct marking *marking)
{
    mark_with(visits, visit_mark_near, marking);
}

void detect(cairn_runtime *runtime, struct side *set, size_t size, bool untracks)
{
    bool near = size <= NEAR_MOST;
    struct visits visits;
    visits_init(&visits, runtime);
    if (near) {
        subtract(&visits, set, visit_subtract_near);
    } else {
        subtract(&visits, set, visit_subtract);
    }
    find_roots(&visits, set);
    untracks = untracks && runtime->untracks;
    if (!visits.unreached && !untracks) {
        stop_marking(&visits);
        return;
    }
    (near ? mark_near : mark)(&visits, &(struct marking){.untracks = untracks});
}

/* ---- the set ---- */

static void set_add(struct collection *c, struct side *side)
{
    if (!side->in_set) {
        side->in_set = true;
        side->set = NULL;
        *c->set_tail = side;
        c->set_tail = &side->set;
    }
}

/* What a collection of a generation looks at. */
static uint64_t chosen(const struct side_word *word, int generation)
{
    switch (generation) {
    case 0:
        return generation_bits(word, 0);
    case 1:
        return word->low ^ word->high;
    default:
        return word->tracked & ~(word->low & word->high);
    }
}

/* The side records with objects of generations up to that one, and what their candidates are. */
static void choose_candidates(struct collection *c)
{
    cairn_runtime *runtime = c->runtime;
    c->set_tail = &c->set;
    for (int g = 0; g <= c->generation && g < 2; g++) {
        struct ring *list = &runtime->generation[g];
        while (!ring_is_empty(list)) {
            struct side *side = RING_SIDE(list->next, list[g]);
            ring_remove(&side->list[g]);
            if (c->generation < 2) {
                set_add(c, side);
            }
        }
    }
    if (c->generation == 2) {
        sides_sort(runtime);
        for (struct ring *at = runtime->sides.next; at != &runtime->sides; at = at->next) {
            set_add(c, RING_SIDE(at, all));
        }
    }
    for (struct side *side = c->set; side; side = side->set) {
        prefetch_side(side->set);
        for (unsigned w = 0; w < side->words; w++) {
            side->word[w].candidate = chosen(&side->word[w], c->generation);
            c->candidates += (size_t)__builtin_popcountll(side->word[w].candidate);
        }
    }
}

/* Moves what was looked at in a word one generation up. */
static bool promote(struct side_word *word, int generation)
{
    uint64_t moved = chosen(word, generation);
    word->low &= ~moved;
    if (generation == 0) {
        word->high |= moved;
    } else {
        word->high &= ~moved;
    }
    return generation == 0 && moved;
}

/* A chain, in the order of a list, and a list in the order of a chain. */
static struct side *chain_of(struct ring *list)
{
    struct side *chain = NULL;
    struct side **tail = &chain;
    while (!ring_is_empty(list)) {
        struct side *side = RING_SIDE(list->next, work);
        ring_remove(&side->work);
        side->set = NULL;
        *tail = side;
        tail = &side->set;
    }
    return chain;
}

static void list_chain(struct ring *list, struct side *chain)
{
    struct side *next;
    for (struct side *side = chain; side; side = next) {
        next = side->set;
        side->set = NULL;
        ring_add(list, &side->work);
    }
}

void collect_garbage_list(struct collection *c, struct side *chain)
{
    struct side *unreachable = NULL;
    struct side *next;
    for (struct side *side = chain; side; side = next) {
        next = side->set;
        side->in_set = false;
        uint64_t any = 0;
        for (unsigned w = 0; w < side->words; w++) {
            any |= side->word[w].candidate;
            c->unreachable += (size_t)__builtin_popcountll(side->word[w].candidate);
        }
        side->set = any ? unreachable : NULL;
        unreachable = any ? side : unreachable;
    }
    list_chain(&c->garbage, sides_sort_chain(unreachable));
}

/* Ends detection: all that was looked at moves one generation up; c->garbage becomes the list of the side records with
 * unreachable objects, by address. */
static void settle(struct collection *c)
{
    for (struct side *side = c->set; side; side = side->set) {
        prefetch_side(side->set);
        bool moved = false;
        for (unsigned w = 0; w < side->words; w++) {
            moved |= promote(&side->word[w], c->generation);
        }
        if (moved) {
            generation_list(side, 1);
        }
    }
    struct side *set = c->set;
    c->set = NULL;
    collect_garbage_list(c, set);
    size_t survivors = c->candidates - c->unreachable;
    if (c->generation == 1) {
        c->runtime->long_lived_pending += survivors;
    } else if (c->generation == 2) {
        c->runtime->long_lived_pending = 0;
        c->runtime->long_lived_total = survivors;
    }
}

/* ---- garbage ---- */

/* Calls `function` for each object whose candidate bit is set. The function must not free anything. */
static void each_unreachable(struct collection *c,
                             void (*function)(struct collection *c, struct place *place, cairn_object *object))
{
    for (struct ring *at = c->garbage.next; at != &c->garbage; at = at->next) {
        struct side *side = RING_SIDE(at, work);
        for (unsigned w = 0; w < side->words; w++) {
            for (uint64_t bits = side->word[w].candidate; bits; bits &= bits - 1) {
                unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
                struct place place = {side, &side->word[w], bits & -bits, slot};
                function(c, &place, side_object(side, slot));
            }
        }
    }
}

/* Adds a reference to the garbage list; false if there is no memory. */
static bool garbage_add(cairn_runtime *runtime, cairn_object *object)
{
    if (runtime->garbage_count == runtime->garbage_room) {
        size_t room = runtime->garbage_room ? runtime->garbage_room * 2 : 64;
        cairn_object **grown = cairn_runtime_realloc(runtime, runtime->garbage, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        runtime->garbage = grown;
        runtime->garbage_room = room;
    }
    runtime->garbage[runtime->garbage_count++] = object;
    object->count++;
    return true;
}

static void debug_line(cairn_runtime *runtime, const char *what, cairn_object *object)
{
    (void)fprintf(runtime->output ? runtime->output : stderr, "cairn: collector: %s <%s %p>\n", what,
                  object->type->name, (void *)object);
}

/* ---- finalizers of the old kind ---- */

static void is_uncollectable(struct collection *c, cairn_object *object)
{
    cairn_runtime *runtime = c->runtime;
    c->uncollectable++;
    c->unreachable--;
    if ((runtime->debug & CAIRN_COLLECTOR_UNCOLLECTABLE) && !runtime->ended) { /* the end has listed them */
        debug_line(runtime, "uncollectable", object);
    }
    if (object->type->finalize_legacy || (runtime->debug & CAIRN_COLLECTOR_SAVEALL)) {
        (void)garbage_add(runtime, object);
    }
}

static void find_legacy(struct collection *c, struct place *place, cairn_object *object)
{
    (void)c;
    if (object->type->finalize_legacy) {
        place->word->candidate &= ~place->bit;
        place->word->pending |= place->bit;
    }
}

static bool has_pending(const struct side *side)
{
    uint64_t any = 0;
    for (unsigned w = 0; w < side->words; w++) {
        any |= side->word[w].pending;
    }
    return any != 0;
}

/* Sets aside what has a finalizer of the old kind, and what that leads to. */
static void keep_legacy(struct collection *c)
{
    if (!c->runtime->legacy) {
        return;
    }
    each_unreachable(c, find_legacy);
    struct visits visits;
    visits_init(&visits, c->runtime);
    struct side *chain = chain_of(&c->garbage);
    for (struct side *side = chain; side; side = side->set) {
        if (has_pending(side)) {
            work_add(&visits.work, side);
        }
    }
    mark(&visits, &(struct marking){.legacy = c});
    list_chain(&c->garbage, chain);
}

/* ---- weak references ---- */

static bool want_reachable(const cairn_weak *weak)
{
    struct place place = place_of(&weak->object);
    return !(place.word->candidate & place.bit);
}

void look_at(struct collection *c, struct place *place, cairn_object *object)
{
    const cairn_type *type = object->type;
    if (type->weak_offset) {
        weak_clear_into(object, c->finalized ? weak_want_none : want_reachable, &c->callbacks_tail);
    }
    if (type_is_weak(type)) {
        weak_unlink((cairn_weak *)(void *)object);
    }
    if (type->finalize && !(place->word->finalized & place->bit)) {
        place->word->pending |= place->bit;
        c->finalizers = true;
    }
    if (UNLIKELY(c->runtime->debug & CAIRN_COLLECTOR_COLLECTABLE)) {
        debug_line(c->runtime, "collectable", object);
    }
}

/* Finalizers have made weak references to what dies now. */
static void forget_new_weak(struct collection *c, struct place *place, cairn_object *object)
{
    (void)place;
    if (object->type->weak_offset) {
        weak_clear_into(object, weak_want_none, &c->callbacks_tail);
    }
}

/* ---- finalizers ---- */

/* The first object of a side record with a bit of that kind, which is taken away; NULL: none. */
static cairn_object *take_first(struct side *side, size_t kind)
{
    for (unsigned w = 0; w < side->words; w++) {
        uint64_t *bits = (uint64_t *)(void *)((char *)&side->word[w] + kind);
        if (*bits) {
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(*bits);
            *bits &= *bits - 1;
            return side_object(side, slot);
        }
    }
    return NULL;
}

/* Unless it has run meanwhile: an object may have died by its count, in another one's finalizer, and been brought back. */
void finalize_one(cairn_object *object)
{
    struct place place = place_of(object);
    if (place.word->finalized & place.bit) {
        return;
    }
    place.word->finalized |= place.bit;
    object->count++;
    object->type->finalize(object);
    cairn_decref(object);
}

/* Runs the pending finalizers, in order of address. Any code may run: see above. */
static void run_finalizers(struct collection *c)
{
    struct ring done;
    ring_init(&done);
    while (!ring_is_empty(&c->garbage)) {
        struct side *side = RING_SIDE(c->garbage.next, work);
        cairn_object *object = take_first(side, offsetof(struct side_word, pending));
        if (object) {
            finalize_one(object);
        } else {
            ring_remove(&side->work);
            ring_add(&done, &side->work);
        }
    }
    while (!ring_is_empty(&done)) {
        struct ring *first = done.next;
        ring_remove(first);
        ring_add(&c->garbage, first);
    }
}

/* Finds what finalizers and callbacks have brought back among the unreachable. */
static void detect_again(struct collection *c)
{
    struct side *chain = chain_of(&c->garbage);
    size_t before = 0, after = 0;
    for (const struct side *side = chain; side; side = side->set) {
        for (unsigned w = 0; w < side->words; w++) {
            before += (size_t)__builtin_popcountll(side->word[w].candidate);
        }
    }
    detect(c->runtime, chain, before, false);
    for (const struct side *side = chain; side; side = side->set) {
        for (unsigned w = 0; w < side->words; w++) {
            after += (size_t)__builtin_popcountll(side->word[w].candidate);
        }
    }
    c->runtime->resurrected += before - after;
    c->unreachable = after;
    list_chain(&c->garbage, chain);
}

void break_cycle(cairn_runtime *runtime, cairn_object *object)
{
    if ((runtime->debug & CAIRN_COLLECTOR_SAVEALL) && !runtime->ended) {
        (void)garbage_add(runtime, object);
        return;
    }
    const cairn_type *type = object->type;
    cairn_object **references = references_of(object, type);
    object->count++;
    if (type->clear) {
        type->clear(object);
    }
    for (uint32_t i = 0; i < type->reference_count; i++) {
        cairn_clear(&references[i]);
    }
    cairn_decref(object);
}

static void clear_all(struct collection *c)
{
    while (!ring_is_empty(&c->garbage)) {
        struct side *side = RING_SIDE(c->garbage.next, work);
        cairn_object *object = take_first(side, offsetof(struct side_word, candidate));
        if (object) {
            break_cycle(c->runtime, object);
        } else {
            ring_remove(&side->work);
        }
    }
}

void finish_garbage(struct collection *c, bool clear)
{
    keep_legacy(c);
    c->callbacks = NULL;
    c->callbacks_tail = &c->callbacks;
    each_unreachable(c, look_at);
    c->ran_code = c->callbacks || c->finalizers;
    if (c->ran_code) {
        uint64_t start = os_clock_ns();
        weak_run_queue(c->callbacks);
        if (c->finalizers) {
            run_finalizers(c);
        }
        c->code_ns += os_clock_ns() - start;
        detect_again(c);
        c->callbacks_tail = &c->callbacks;
        each_unreachable(c, forget_new_weak);
    }
    if (clear) {
        clear_all(c);
    }
}

/* ---- a collection ---- */

void collector_call_back(cairn_runtime *runtime, const cairn_collector_info *info)
{
    for (struct callback *callback = runtime->callbacks; callback; callback = callback->next) {
        if (callback->function) {
            callback->function(runtime, info, callback->arg);
        }
    }
}

static void collect_now(struct collection *c)
{
    cairn_runtime *runtime = c->runtime;
    if (c->generation + 1 < CAIRN_GENERATIONS) {
        runtime->count[c->generation + 1]++;
    }
    runtime->step_at = runtime->step_at > runtime->count[0] ? runtime->step_at - runtime->count[0] : 0;
    for (int g = 0; g <= c->generation; g++) {
        runtime->count[g] = 0;
    }
    ring_init(&c->garbage);
    choose_candidates(c);
    detect(runtime, c->set, c->candidates, true);
    settle(c);
    finish_garbage(c, true);
    if (c->generation == CAIRN_GENERATIONS - 1) {
        caches_empty(runtime);
    }
}

static void note_stats(const struct collection *c, uint64_t nanoseconds)
{
    cairn_collector_stats *stats = &c->runtime->stats[c->generation];
    stats->collections++;
    stats->collected += c->unreachable;
    stats->uncollectable += c->uncollectable;
    stats->candidates += c->candidates;
    stats->nanoseconds += nanoseconds;
    if (nanoseconds > stats->longest_ns) {
        stats->longest_ns = nanoseconds;
    }
    if (c->runtime->debug & CAIRN_COLLECTOR_STATS) {
        (void)fprintf(c->runtime->output ? c->runtime->output : stderr,
                      "cairn: collector: generation %d: %zu objects, %zu unreachable, %zu uncollectable, %.4f s\n",
                      c->generation, c->candidates, c->unreachable, c->uncollectable, (double)nanoseconds / 1e9);
    }
}

size_t collect(cairn_runtime *runtime, int generation)
{
    if (runtime->collecting) {
        return 0;
    }
    runtime->collecting = true;
    pending_clear(runtime, PENDING_COLLECT);
    struct collection c = {.runtime = runtime, .generation = generation};
    cairn_collector_info info = {.generation = generation};
    collector_call_back(runtime, &info);
    if (generation == CAIRN_GENERATIONS - 1) {
        bounded_drop(runtime);
    }
    uint64_t start = os_clock_ns();
    collect_now(&c);
    info.nanoseconds = os_clock_ns() - start;
    note_stats(&c, info.nanoseconds);
    if (generation < CAIRN_GENERATIONS - 1) {
        bounded_note_young(runtime, c.candidates, info.nanoseconds - c.code_ns);
    }
    info.stop = true;
    info.collected = c.unreachable;
    info.uncollectable = c.uncollectable;
    info.candidates = c.candidates;
    collector_call_back(runtime, &info);
    runtime->collecting = false;
    callbacks_sweep(runtime);
    collector_set_alarm(runtime);
    return c.unreachable + c.uncollectable;
}

ptrdiff_t cairn_collect(cairn_runtime *runtime, int generation)
{
    if (!DEBUG_HOLDS(gil_check(runtime, "collect"))) {
        return 0;
    }
    if (generation < 0 || generation >= CAIRN_GENERATIONS) {
        (void)runtime_error(runtime, EINVAL, "invalid generation");
        return -1;
    }
    if (runtime->collecting) {
        return 0;
    }
    object_sweep_all(runtime);
    size_t found = collect(runtime, generation);
    object_sweep_all(runtime);
    return (ptrdiff_t)found;
}

/* ---- when ---- */

/* While something is pending, or nothing can become due, there is no alarm. */
void collector_set_alarm(cairn_runtime *runtime)
{
    unsigned alarm = UINT_MAX;
    if (runtime->enabled && runtime->threshold[0]) {
        alarm = runtime->young_most = bounded_young_most(runtime);
    }
    runtime->alarm = runtime->step_at < alarm ? runtime->step_at : alarm;
    runtime->alarm = runtime->hostile && runtime->enabled ? 0 : runtime->alarm;
}

void collector_due(cairn_runtime *runtime)
{
    if (runtime->collecting) {
        return;
    }
    if (runtime->count[0] > runtime->step_at) {
        pending_set(runtime, PENDING_STEP);
    }
    bool due = runtime->threshold[0] && runtime->count[0] > runtime->young_most;
    if (runtime->enabled && (due || runtime->hostile)) {
        pending_set(runtime, PENDING_COLLECT);
    }
    runtime->alarm = UINT_MAX;
}

static bool is_due(const cairn_runtime *runtime, int generation)
{
    if (generation == 1 && bounded_wants_old(runtime)) {
        return true;
    }
    unsigned most = generation == 0 ? runtime->young_most : runtime->threshold[generation];
    if (runtime->count[generation] <= most) {
        return false;
    }
    return generation < 2 || runtime->long_lived_pending >= runtime->long_lived_total / 4;
}

/* The option hostile: everything that could be found is looked for. */
static void collect_anyway(cairn_runtime *runtime)
{
    if (runtime->enabled && !runtime->collecting) {
        (void)collect(runtime, runtime->step_us ? 1 : CAIRN_GENERATIONS - 1);
        if (runtime->step_us) {
            bounded_step_anyway(runtime);
        }
    }
    collector_set_alarm(runtime);
}

void collect_due(cairn_runtime *runtime)
{
    pending_clear(runtime, PENDING_COLLECT);
    if (runtime->hostile) {
        collect_anyway(runtime);
        return;
    }
    bool wanted = runtime->enabled && runtime->threshold[0] && !runtime->collecting;
    if (wanted && runtime->count[0] > runtime->young_most) {
        for (int generation = runtime->step_us ? 1 : CAIRN_GENERATIONS - 1; generation >= 0; generation--) {
            if (is_due(runtime, generation)) {
                (void)collect(runtime, generation);
                break;
            }
        }
        bounded_note_growth(runtime);
    }
    collector_set_alarm(runtime);
}
