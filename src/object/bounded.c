/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* bounded.c: collections of the oldest generation in steps of bounded time.
 *
 * A cycle narrows down what may be garbage (the suspects) while the program goes on changing things, and then takes of
 * these only what it proves to be garbage within one step.
 *
 *   SUSPECT  all objects become suspects, and younger ones move to generation 2.
 *   COUNT    for each suspect its count is added to its ref, and 1 taken from the ref of each suspect it refers to.
 *   ROOTS    suspects with ref not 0 are suspects no more; they are `doing`: to be traversed.
 *   MARK     those are traversed, and suspects they refer to join them.
 *   VERIFY   for suspects not tried yet: what some of them lead to, as far as it is suspect, becomes a batch, and
 *            detection (collector.c) runs on the batch within the step. It is exact whatever went before, for it asks
 *            each count now. What it finds is finalized and so on, and doomed: nothing but the collector reaches it any
 *            more, so it can be cleared bit by bit.
 *   CONFIRM, FINALIZE   for what no batch can hold; see bounded_verify.c.
 *
 * What was garbage when the cycle began is garbage still, and nobody has changed it: its refs came out right, nothing
 * that is alive refers to it, so it is suspect at VERIFY. A batch holds what a suspect leads to, but not all that
 * leads there; parts that something outside of the batch refers to are tried again when that has been doomed. So
 * pieces come off from where nothing refers to them. What then is left has been alive and moved about, or is a
 * connected piece too large for a batch: COUNT to MARK run again on the rest, which leaves of the former next to
 * nothing, until no roots are found; then CONFIRM proves what is left now, all of it at once.
 *
 * An object with very many references is counted and marked in parts (part_of, part); its bit stays meanwhile.
 *
 * Meaning of the bits (suspect, doing): in MARK 1,0 not reached; 0,1 reached and to be traversed; 0,0 done or none of
 * this cycle's. In VERIFY 1,0 not tried; 1,1 tried; 0,1 doomed. An object that dies or is untracked loses both, and
 * its ref.
 *
 * Young collections run between the steps. They look at generations 0 and 1 only, so neither bits nor refs meet.
 *
 * Lock: the GIL. */

#include "object/bounded.h"

#include <limits.h>

enum {
    GROWTH_PARTS = 32,   /* a cycle begins when generation 2 has grown by 1 part in so many since the last one began */
    GROWTH_LEAST = 32,   /* objects; a smaller growth is not worth a cycle */
    YOUNG_PARTS = 100,   /* generation 0 has at most 1 object in so many */
    YOUNG_LEAST = 32,    /* objects of generation 0, whatever there is */
    YOUNG_PART_NS = 500, /* for each microsecond of a step: what a collection of generation 1 may take */
    YOUNG_MANY = 256,    /* objects of a young collection whose time is worth remembering */
    SUSPECT_NS = 150,    /* first guess of the time that a cycle takes for each suspect */
    ROUNDS_MOST = 6,     /* of COUNT to CONFIRM, before what is left is verified whatever its size */
    ALLOCATIONS_BETWEEN = 8, /* a collection of young objects that took long and a step */
    ALLOCATIONS_MOST = 1000, /* from one step to the next */
};

/* ---- walking over the side records ---- */

static void rewind_to_first(struct bounded *bounded, enum bounded_phase phase)
{
    bounded->phase = phase;
    bounded->at = bounded->runtime->sides.next;
    bounded->slot = 0;
}

static void rewind_to_count(struct bounded *bounded)
{
    while (!ring_is_empty(&bounded->todo)) {
        ring_remove(bounded->todo.next);
    }
    rewind_to_first(bounded, BOUNDED_COUNT);
    bounded->hash = HASH_START;
    bounded->counted = bounded->roots = 0;
    bounded->part_of = NULL;
}

void bounded_side_gone(const struct side *side)
{
    struct bounded *bounded = &side->runtime->bounded;
    if (bounded->at == &side->all) {
        bounded->at = side->all.next;
        bounded->slot = 0;
    }
}

/* The side record that the walk stands at; NULL: it has ended. Those on `fresh` come last, as sorting them in would
 * take long. */
static struct side *this_side(struct bounded *bounded)
{
    cairn_runtime *runtime = bounded->runtime;
    if (bounded->at == &runtime->sides) {
        bounded->at = runtime->fresh.next;
    }
    return bounded->at == &runtime->fresh ? NULL : RING_SIDE(bounded->at, all);
}

static struct side *next_side(struct bounded *bounded)
{
    struct side *side = this_side(bounded);
    if (side) {
        bounded->at = bounded->at->next;
    }
    return side;
}

/* ---- SUSPECT, COUNT, ROOTS, MARK: each returns true when it is done ---- */

static bool suspect_all(struct step *step)
{
    for (unsigned n = 1;; n++) {
        struct side *side = next_side(step->bounded);
        if (!side) {
            return true;
        }
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            uint64_t all = word->tracked & ~generation_bits(word, 3);
            word->low &= ~all;
            word->high &= ~all;
            word->suspect = all;
            step->bounded->suspects += (size_t)__builtin_popcountll(all);
        }
        if (n % SIDES_AT_A_TIME == 0 && time_is_up(step)) {
            return false;
        }
    }
}

static inline void count_one(struct visits *visits, struct side *side, unsigned slot)
{
    (void)visits;
    if (side->word[slot / 64].suspect >> (slot % 64) & 1) {
        side->refs[slot]--;
    }
}

static inline HOT void visit_count(cairn_object *object, void *arg)
{
    visits_add(arg, object, true, count_one);
}

static inline HOT void visit_count_hashed(cairn_object *object, void *arg)
{
    struct visits *visits = arg;
    visits->runtime->bounded.hash = hash_word(visits->runtime->bounded.hash, (uintptr_t)object);
    visits_add(visits, object, true, count_one);
}

/* Visits all references of an object, or, if there are very many, some from where it stopped: then bounded->part_of is
 * the object. Returns how much work that was, and in the latter case so much that the clock is looked at. */
static inline HOT size_t traverse_some(struct visits *visits, cairn_object *object, cairn_visit visit)
{
    const cairn_type *type = object->type;
    if (LIKELY(!type->row_length_offset && !type->traverse)) {
        traverse(object, visit, visits);
        return 1 + type->reference_count;
    }
    unsigned at = visits->at;
    size_t length = type->row_length_offset ? row_length(object, type) : 0;
    if (LIKELY(length <= PART_MOST && !type->traverse_part)) {
        traverse(object, visit, visits);
        return 1 + length + (visits->at - at);
    }
    struct bounded *bounded = &visits->runtime->bounded;
    bounded->part = traverse_part(object, bounded->part_of == object ? bounded->part : 0, visit, visits);
    bounded->part_of = bounded->part ? object : NULL;
    return bounded->part ? WORK_AT_A_TIME : 1 + length + (visits->at - at);
}

/* Counts an object, or more of it. */
static inline HOT size_t count_object(struct visits *visits, struct side *side, unsigned slot, bool hashed)
{
    struct bounded *bounded = &visits->runtime->bounded;
    cairn_object *object = side_object(side, slot);
    fetch_ahead(side, &side->word[slot / 64], slot);
    if (LIKELY(object != bounded->part_of)) {
        side->refs[slot] += (uint32_t)(object->count < REFS_MANY ? object->count : REFS_MANY);
        if (hashed) {
            bounded->counted++;
            bounded->hash = hash_word(bounded->hash, (uint64_t)object->count);
        }
    }
    return traverse_some(visits, object, hashed ? visit_count_hashed : visit_count);
}

/* Counts the suspects of a side record from bounded->slot on. False: the time is up. */
static inline HOT bool count_side(struct step *step, struct visits *visits, struct side *side, bool hashed)
{
    struct bounded *bounded = step->bounded;
    uint64_t from = ~UINT64_C(0) << bounded->slot % 64;
    for (unsigned w = bounded->slot / 64; w < side->words; w++, from = ~UINT64_C(0)) {
        for (uint64_t bits = side->word[w].suspect & from; bits;) {
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
            visits->seen += count_object(visits, side, slot, hashed);
            bool all = side_object(side, slot) != bounded->part_of;
            bits &= bits - all;
            if (UNLIKELY(time_is_up_at(step, visits->seen))) {
                bounded->slot = slot + all;
                return false;
            }
        }
    }
    bounded->slot = 0;
    return true;
}

/* Goes on where it stopped. */
static inline HOT bool count_some(struct step *step, struct visits *visits, bool hashed)
{
    struct bounded *bounded = step->bounded;
    struct side *side;
    while ((side = this_side(bounded))) {
        visits_enter(visits, side);
        if (!count_side(step, visits, side, hashed)) {
            return false;
        }
        bounded->at = bounded->at->next;
    }
    return true;
}

static bool count_all(struct step *step)
{
    struct visits visits;
    visits_init(&visits, step->runtime);
    step->looked = 0;
    bool done = step->bounded->last ? count_some(step, &visits, true) : count_some(step, &visits, false);
    visits_flush(&visits, true, count_one);
    return done;
}

static bool find_roots(struct step *step)
{
    for (unsigned n = 1;; n++) {
        struct side *side = next_side(step->bounded);
        if (!side) {
            return true;
        }
        for (unsigned w = 0; w < side->words; w++) {
            uint64_t roots = 0;
            for (uint64_t bits = side->word[w].suspect; bits; bits &= bits - 1) {
                unsigned i = (unsigned)__builtin_ctzll(bits);
                roots |= (uint64_t)(side->refs[w * 64 + i] != 0) << i;
                side->refs[w * 64 + i] = 0;
            }
            side->word[w].suspect &= ~roots;
            side->word[w].doing |= roots;
            if (roots) {
                todo_add(step->bounded, side);
                step->bounded->roots += (size_t)__builtin_popcountll(roots);
            }
        }
        if (n % SIDES_AT_A_TIME == 0 && time_is_up(step)) {
            return false;
        }
    }
}

static inline void reach_one(struct visits *visits, struct side *side, unsigned slot)
{
    struct side_word *word = &side->word[slot / 64];
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (word->suspect & bit) {
        word->suspect &= ~bit;
        word->doing |= bit;
        todo_add(&visits->runtime->bounded, side);
    }
}

static inline HOT void visit_reach(cairn_object *object, void *arg)
{
    visits_add(arg, object, false, reach_one);
}

/* Traverses what is to be traversed of a side record, and what of it that leads to. False: the time is up. */
static bool mark_side(struct step *step, struct visits *visits, struct side *side)
{
    const struct bounded *bounded = step->bounded;
    visits_enter(visits, side);
    bool more = true;
    while (more) {
        more = false;
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            more |= word->doing != 0;
            while (word->doing) {
                unsigned i = (unsigned)__builtin_ctzll(word->doing);
                cairn_object *object = side_object(side, w * 64 + i);
                fetch_ahead(side, word, w * 64 + i);
                visits->seen += traverse_some(visits, object, visit_reach);
                word->doing &= ~((uint64_t)(object != bounded->part_of) << i);
                if (UNLIKELY(time_is_up_at(step, visits->seen))) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* A side record stays on the list until all of it is done, so what it reaches in itself does not put it there again. */
static bool mark_all(struct step *step)
{
    struct bounded *bounded = step->bounded;
    struct visits visits;
    visits_init(&visits, step->runtime);
    step->looked = 0;
    bool in_time = true;
    do {
        while (!ring_is_empty(&bounded->todo)) {
            struct side *side = RING_SIDE(bounded->todo.next, bounded_work);
            prefetch_side(RING_SIDE(side->bounded_work.next, bounded_work));
            in_time = mark_side(step, &visits, side);
            if (!in_time) {
                break;
            }
            ring_remove(&side->bounded_work);
        }
        visits_flush(&visits, false, reach_one);
    } while (in_time && !ring_is_empty(&bounded->todo));
    return in_time;
}

/* Lists the side records that have suspects left; none of them has been tried. */
static bool list_suspects(struct step *step)
{
    struct bounded *bounded = step->bounded;
    for (unsigned n = 1;; n++) {
        struct side *side = next_side(bounded);
        if (!side) {
            return true;
        }
        size_t count = 0;
        for (unsigned w = 0; w < side->words; w++) {
            count += (size_t)__builtin_popcountll(side->word[w].suspect);
            side->word[w].doing = 0;
        }
        if (count) {
            bounded->left += count;
            todo_add(bounded, side);
        }
        if (n % SIDES_AT_A_TIME == 0 && time_is_up(step)) {
            return false;
        }
    }
}

/* ---- a cycle ---- */

/* By how much the old generation may grow from the beginning of a cycle to that of the next. */
static uint64_t growth_allowed(const cairn_runtime *runtime)
{
    return runtime->long_lived_total / GROWTH_PARTS + GROWTH_LEAST;
}

/* What may be on its way to the old generation. */
static uint64_t young_objects(const cairn_runtime *runtime)
{
    return (uint64_t)runtime->count[1] * runtime->young_most + runtime->count[0];
}

static void forget_side(struct side *side)
{
    ring_remove(&side->bounded_work);
    for (unsigned w = 0; w < side->words; w++) {
        struct side_word *word = &side->word[w];
        for (uint64_t bits = word->suspect; bits; bits &= bits - 1) {
            side->refs[w * 64 + (unsigned)__builtin_ctzll(bits)] = 0;
        }
        word->suspect = word->doing = 0;
    }
}

/* What even the second round has not found dead is no suspect any more. */
static bool forget_suspects(struct step *step)
{
    struct side *side;
    for (unsigned n = 1; (side = next_side(step->bounded)); n++) {
        forget_side(side);
        if (n % SIDES_AT_A_TIME == 0 && time_is_up(step)) {
            return false;
        }
    }
    return true;
}

static void begin(cairn_runtime *runtime)
{
    struct bounded *bounded = &runtime->bounded;
    *bounded = (struct bounded){
        .runtime = runtime,
        .suspect_ns = bounded->suspect_ns ? bounded->suspect_ns : SUSPECT_NS,
        .young = young_objects(runtime),
    };
    ring_init(&bounded->todo);
    rewind_to_first(bounded, BOUNDED_SUSPECT);
    runtime->long_lived_pending = 0;
    runtime->count[2] = 0;
    collector_call_back(runtime, &(cairn_collector_info){.generation = 2});
}

static void end(cairn_runtime *runtime)
{
    struct bounded *bounded = &runtime->bounded;
    cairn_collector_info info = {
        .stop = true,
        .generation = 2,
        .collected = bounded->collected,
        .uncollectable = bounded->uncollectable,
        .candidates = bounded->suspects,
        .nanoseconds = bounded->nanoseconds,
    };
    bounded->phase = BOUNDED_IDLE;
    bounded->at = NULL;
    bounded->suspect_ns = bounded->nanoseconds / (bounded->suspects + 1) + 1;
    runtime->long_lived_total = runtime->tracked;
    runtime->step_stats.cycles++;
    runtime->step_stats.collected += bounded->collected;
    cairn_collector_stats *stats = &runtime->stats[2];
    stats->collections++;
    stats->collected += bounded->collected;
    stats->uncollectable += bounded->uncollectable;
    stats->candidates += bounded->suspects;
    caches_empty(runtime);
    collector_call_back(runtime, &info);
}

/* Are the suspects that are left nothing but what only references among themselves kept alive when they were counted?
 * (What has finalizers of the old kind or debug flags to obey goes the simple way.) */
static bool can_confirm(const struct bounded *bounded)
{
    return bounded->last && !bounded->roots && bounded->rounds <= ROUNDS_MOST && !bounded->runtime->legacy &&
           !bounded->runtime->debug;
}

/* After ROOTS and MARK: are the rest to be counted again, without those? */
static void after_mark(struct bounded *bounded)
{
    if (bounded->finalized && !bounded->returned) {
        bounded->returned = bounded->counted;
    }
    if (bounded->last && bounded->roots && bounded->rounds++ < ROUNDS_MOST) {
        rewind_to_count(bounded);
    } else {
        bounded->left = 0;
        rewind_to_first(bounded, BOUNDED_LIST);
    }
}

/* True: the cycle has ended. */
static bool after_list(struct bounded *bounded)
{
    if (!bounded->left) {
        bounded->runtime->resurrected += bounded->returned;
        return true;
    }
    if (bounded->again) { /* what VERIFY left */
        bounded->again = false;
        bounded->last = true;
        bounded->rounds = 0;
        rewind_to_count(bounded);
    } else {
        bounded->phase = can_confirm(bounded) ? BOUNDED_CONFIRM : BOUNDED_VERIFY;
    }
    return false;
}

static void after_confirm(struct bounded *bounded, bool confirmed)
{
    if (confirmed) {
        bounded->phase = bounded->finalized ? BOUNDED_VERIFY : BOUNDED_FINALIZE;
    } else {
        bounded->rounds++;
        rewind_to_count(bounded);
    }
}

static void after_verify(struct bounded *bounded)
{
    if (bounded->last) {
        rewind_to_first(bounded, BOUNDED_FORGET);
    } else {
        bounded->again = true;
        bounded->left = 0;
        rewind_to_first(bounded, BOUNDED_LIST);
    }
}

/* Works until the time is up. True: the cycle has ended. */
static bool work(struct step *step)
{
    struct bounded *bounded = step->bounded;
    for (bool first = true;; first = false) {
        if (!first && time_is_up(step)) {
            return false;
        }
        switch (bounded->phase) {
        case BOUNDED_IDLE:
            return true;
        case BOUNDED_SUSPECT:
            if (!suspect_all(step)) {
                return false;
            }
            rewind_to_count(bounded);
            break;
        case BOUNDED_COUNT:
            if (!count_all(step)) {
                return false;
            }
            rewind_to_first(bounded, BOUNDED_ROOTS);
            break;
        case BOUNDED_ROOTS:
            if (!find_roots(step)) {
                return false;
            }
            bounded->phase = BOUNDED_MARK;
            break;
        case BOUNDED_MARK:
            if (!mark_all(step)) {
                return false;
            }
            after_mark(bounded);
            break;
        case BOUNDED_LIST:
            if (!list_suspects(step)) {
                return false;
            }
            if (after_list(bounded)) {
                return true;
            }
            break;
        case BOUNDED_CONFIRM:
            if (!first) { /* it wants a step of its own */
                return false;
            }
            after_confirm(bounded, confirm(step));
            break;
        case BOUNDED_FINALIZE:
            if (!finalize_suspects(step)) {
                return false;
            }
            bounded->finalized = true;
            bounded->rounds = 0;
            rewind_to_count(bounded);
            break;
        case BOUNDED_VERIFY:
            if (!verify_all(step)) {
                return false;
            }
            after_verify(bounded);
            break;
        case BOUNDED_FORGET:
            return forget_suspects(step);
        }
    }
}

static void forget(struct ring *list)
{
    for (struct ring *at = list->next; at != list; at = at->next) {
        forget_side(RING_SIDE(at, all));
    }
}

void bounded_drop(cairn_runtime *runtime)
{
    struct bounded *bounded = &runtime->bounded;
    if (bounded->phase != BOUNDED_IDLE) {
        forget(&runtime->sides);
        forget(&runtime->fresh);
        bounded->phase = BOUNDED_IDLE;
        bounded->at = NULL;
        if (runtime->queued) {
            pending_set(runtime, PENDING_SWEEP);
        }
    }
}

/* The order of the walk changes: the cycle is given up, and the next one begins as soon as may be. */
void bounded_disturbed(cairn_runtime *runtime)
{
    if (runtime->bounded.phase != BOUNDED_IDLE) {
        bounded_drop(runtime);
        runtime->long_lived_pending += growth_allowed(runtime);
    }
}

/* ---- steps, and when ---- */

static void note_step(cairn_runtime *runtime, uint64_t nanoseconds, bool late)
{
    cairn_step_stats *stats = &runtime->step_stats;
    stats->steps++;
    stats->nanoseconds += nanoseconds;
    stats->late += late;
    stats->longest_ns = nanoseconds > stats->longest_ns ? nanoseconds : stats->longest_ns;
    cairn_collector_stats *oldest = &runtime->stats[2];
    oldest->nanoseconds += nanoseconds;
    oldest->longest_ns = nanoseconds > oldest->longest_ns ? nanoseconds : oldest->longest_ns;
    runtime->bounded.nanoseconds += nanoseconds;
}

/* Does a step of the cycle under way. True: it has ended. A step is late by its processor time: that others had the
 * processor meanwhile is no fault of its own. */
static bool do_step(cairn_runtime *runtime)
{
    uint64_t limit = (uint64_t)runtime->step_us * 1000;
    uint64_t start = os_clock_ns();
    uint64_t thread_start = thread_ns();
    struct step step = {.runtime = runtime, .bounded = &runtime->bounded, .deadline = start + limit};
    runtime->bounded.steps++;
    bool done = work(&step);
    note_step(runtime, os_clock_ns() - start - step.code_ns,
              thread_ns() - thread_start > limit + limit / 2 + step.code_ns);
    return done;
}

static bool step_once(cairn_runtime *runtime)
{
    if (runtime->collecting) {
        return false;
    }
    runtime->collecting = true;
    if (runtime->bounded.phase == BOUNDED_IDLE) {
        begin(runtime);
    }
    bool done = do_step(runtime);
    if (done) {
        end(runtime);
    }
    runtime->collecting = false;
    callbacks_sweep(runtime);
    return done;
}

void bounded_step_anyway(cairn_runtime *runtime)
{
    (void)step_once(runtime);
}

bool cairn_collector_step(cairn_runtime *runtime)
{
    CHECK_GIL(runtime, "collector_step", false);
    unsigned step_us = runtime->step_us;
    runtime->step_us = step_us ? step_us : CAIRN_STEP_DEFAULT_US;
    bool done = step_once(runtime);
    runtime->step_us = step_us;
    return done;
}

/* In how many allocations the next step is to come, so that the cycle ends in half the growth that is allowed. */
static unsigned allocations_to_step(const cairn_runtime *runtime)
{
    const struct bounded *bounded = &runtime->bounded;
    uint64_t all_ns = bounded->suspects * bounded->suspect_ns;
    uint64_t left_ns = bounded->nanoseconds < all_ns - all_ns / 8 ? all_ns - bounded->nanoseconds : all_ns / 8;
    uint64_t steps = left_ns / ((uint64_t)runtime->step_us * 1000) + 1;
    uint64_t all = growth_allowed(runtime) / 2;
    uint64_t grown = runtime->long_lived_pending + young_objects(runtime);
    grown = grown > bounded->young ? grown - bounded->young : 0;
    uint64_t left = grown < all - all / 8 ? all - grown : all / 8;
    uint64_t allocations = left / steps;
    return allocations < 1 ? 1 : allocations > ALLOCATIONS_MOST ? ALLOCATIONS_MOST : (unsigned)allocations;
}

void bounded_step_due(cairn_runtime *runtime)
{
    pending_clear(runtime, PENDING_STEP);
    if (runtime->long_young) { /* not both in one pause */
        runtime->step_at = runtime->count[0] + ALLOCATIONS_BETWEEN;
        collector_set_alarm(runtime);
        return;
    }
    if (runtime->step_us && runtime->enabled && !runtime->collecting && runtime->bounded.phase != BOUNDED_IDLE) {
        (void)step_once(runtime);
    }
    bounded_schedule(runtime);
}

bool bounded_wants_old(const cairn_runtime *runtime)
{
    uint64_t objects = (uint64_t)runtime->count[1] * runtime->young_most;
    return runtime->step_us && (objects > growth_allowed(runtime) ||
                                objects * runtime->young_ns > (uint64_t)runtime->step_us * YOUNG_PART_NS);
}

unsigned bounded_young_most(const cairn_runtime *runtime)
{
    unsigned most = runtime->threshold[0];
    if (runtime->step_us && runtime->tracked / YOUNG_PARTS < most) {
        size_t few = runtime->tracked / YOUNG_PARTS;
        few = few > YOUNG_LEAST ? few : YOUNG_LEAST;
        most = few < most ? (unsigned)few : most;
    }
    return most;
}

void bounded_note_young(cairn_runtime *runtime, size_t candidates, uint64_t nanoseconds)
{
    runtime->long_young = nanoseconds > (uint64_t)runtime->step_us * YOUNG_PART_NS / 2;
    if (candidates >= YOUNG_MANY) {
        runtime->young_ns = (runtime->young_ns * 3 + nanoseconds / candidates) / 4 + 1;
    }
}

void bounded_schedule(cairn_runtime *runtime)
{
    bool active = runtime->step_us && runtime->enabled && runtime->bounded.phase != BOUNDED_IDLE;
    runtime->step_at = active ? runtime->count[0] + allocations_to_step(runtime) : UINT_MAX;
    collector_set_alarm(runtime);
}

void bounded_note_growth(cairn_runtime *runtime)
{
    if (!runtime->step_us || runtime->collecting) {
        return;
    }
    if (runtime->bounded.phase == BOUNDED_IDLE && runtime->long_lived_pending >= growth_allowed(runtime)) {
        runtime->collecting = true;
        begin(runtime);
        runtime->collecting = false;
    }
    bounded_schedule(runtime);
}

void cairn_collector_set_step(cairn_runtime *runtime, unsigned step_us)
{
    CHECK_GIL(runtime, "collector_set_step");
    if (!step_us) {
        bounded_drop(runtime);
    }
    runtime->step_us = step_us;
    bounded_schedule(runtime);
}

void cairn_collector_get_step_stats(const cairn_runtime *runtime, cairn_step_stats *stats)
{
    *stats = runtime->step_stats;
}
