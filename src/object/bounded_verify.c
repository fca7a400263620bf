/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* bounded_verify.c: what bounded mode (bounded.c) does with the suspects that it has narrowed down: it proves that they
 * are garbage, and takes them apart in steps.
 *
 * In batches (VERIFY): as many suspects as a part of a step can gather, each with what it leads to; detection runs on
 * them within the step.
 *
 * All at once (CONFIRM), what is too large for a batch: COUNT has gone over it in steps, and found no reference from
 * elsewhere; on its way it took a hash of each count and reference it read. CONFIRM takes that hash again without
 * interruption, which needs no more than to read the objects one after the other. If it is the same, all of them were
 * at that moment what they were when COUNT saw each, and COUNT's result holds for the moment. Weak references are
 * cleared in the same step. Finalizers run in further steps (FINALIZE), after which COUNT begins again: what they
 * brought back, or what the program did meanwhile, shows in the roots or in the hash.
 *
 * Lock: the GIL. */

#include "object/bounded.h"

enum {
    BATCH_LEAST = 256, /* objects and references of a batch between looks at the clock */
    BATCH_PARTS = 5,   /* gathering a batch may take one part of a step in so many; the rest takes up to twice that */
};

struct batch {
    cairn_runtime *runtime;
    struct side *set;
    struct ring work;
    size_t size;    /* objects */
    size_t seen;    /* objects and references */
    size_t looked;  /* of these when the clock was looked at */
    uint64_t start; /* by the thread's processor time */
    uint64_t most_ns;
    bool no_seeds; /* a third of that has passed */
    bool full;     /* all of it */
};

static void batch_add(struct batch *batch, struct side *side, struct side_word *word, uint64_t bit)
{
    word->candidate |= bit;
    word->pending |= bit;
    batch->size++;
    if (!side->in_set) {
        side->in_set = true;
        side->set = batch->set;
        batch->set = side;
    }
    if (ring_is_empty(&side->work)) {
        ring_add(&batch->work, &side->work);
    }
}

static void visit_gather(cairn_object *object, void *arg)
{
    struct batch *batch = arg;
    struct side *side = side_at(batch->runtime, object);
    batch->seen++;
    if (side) {
        struct place place = place_in(side, object);
        if (place.word->suspect & ~place.word->candidate & place.bit) {
            batch_add(batch, side, place.word, place.bit);
        }
    }
}

/* By the thread's time: a batch must not be small because others had the processor. */
static void look_at_clock(struct batch *batch)
{
    if (batch->seen - batch->looked >= BATCH_LEAST) {
        uint64_t passed = thread_ns() - batch->start;
        batch->looked = batch->seen;
        batch->no_seeds = passed >= batch->most_ns / 3;
        batch->full = passed >= batch->most_ns;
    }
}

/* Adds what a member refers to. One with very many references is no member: to look at it takes long, and once more is
 * tried when all that is left is counted again. */
static void gather_from(struct batch *batch, const struct side *side, struct side_word *word, unsigned slot)
{
    word->doing |= UINT64_C(1) << slot % 64;
    if (traverse_part(side_object(side, slot), 0, visit_gather, batch)) {
        word->candidate &= ~(UINT64_C(1) << slot % 64);
        batch->size--;
    }
    look_at_clock(batch);
}

/* Members that were not looked at when the time was up are none, and have not been tried by this. */
static void leave_out(struct batch *batch, struct side_word *word)
{
    batch->size -= (size_t)__builtin_popcountll(word->pending);
    word->candidate &= ~word->pending;
    word->pending = 0;
}

/* Adds what the batch's pending members lead to, as far as it is suspect and the time allows. */
static void gather(struct batch *batch)
{
    while (!ring_is_empty(&batch->work)) {
        struct side *side = RING_SIDE(batch->work.next, work);
        ring_remove(&side->work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            while (word->pending && !batch->full) {
                unsigned i = (unsigned)__builtin_ctzll(word->pending);
                word->pending &= word->pending - 1;
                gather_from(batch, side, word, w * 64 + i);
            }
            leave_out(batch, word);
        }
    }
}

static uint64_t untried(const struct side_word *word)
{
    return word->suspect & ~word->doing;
}

static uint64_t doomed(const struct side_word *word)
{
    return word->doing & ~word->suspect;
}

/* Fills a batch: seeds in the order of the list, each with what it leads to. */
static void fill(struct batch *batch, struct bounded *bounded)
{
    for (struct ring *at = bounded->todo.next; at != &bounded->todo && !batch->no_seeds; at = at->next) {
        struct side *side = RING_SIDE(at, bounded_work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            while (untried(word) && !batch->no_seeds) {
                batch->seen++;
                batch_add(batch, side, word, untried(word) & -untried(word));
                gather(batch);
            }
        }
    }
}

/* A batch of all suspects there are. */
static void fill_with_all(struct batch *batch, struct bounded *bounded)
{
    struct side **tail = &batch->set;
    for (struct ring *at = bounded->todo.next; at != &bounded->todo; at = at->next) {
        struct side *side = RING_SIDE(at, bounded_work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            word->candidate = word->suspect;
            word->doing |= word->suspect;
            batch->size += (size_t)__builtin_popcountll(word->suspect);
        }
        side->in_set = true;
        *tail = side;
        tail = &side->set;
    }
    *tail = NULL;
}

/* What a doomed object refers to may have been tried and found referred to by it alone. */
static void visit_try_again(cairn_object *object, void *arg)
{
    struct bounded *bounded = arg;
    struct side *side = side_at(bounded->runtime, object);
    if (side) {
        struct place place = place_in(side, object);
        if (place.word->suspect & place.word->doing & place.bit) {
            place.word->doing &= ~place.bit;
            todo_add(bounded, side);
        }
    }
}

/* The unreachable ones of a batch, their last words said, are doomed; their side records come first on the list. */
static void doom(struct bounded *bounded, struct collection *c)
{
    while (!ring_is_empty(&c->garbage)) {
        struct side *side = RING_SIDE(c->garbage.next, work);
        ring_remove(&side->work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            word->suspect &= ~word->candidate;
            word->doing |= word->candidate;
            for (uint64_t bits = bounded->last ? 0 : word->candidate; bits; bits &= bits - 1) {
                traverse(side_object(side, w * 64 + (unsigned)__builtin_ctzll(bits)), visit_try_again, bounded);
            }
            word->candidate = 0;
        }
        ring_remove(&side->bounded_work);
        ring_add(bounded->todo.next, &side->bounded_work);
    }
    bounded->collected += c->unreachable;
    bounded->uncollectable += c->uncollectable;
}

/* Verifies one batch. */
static void verify(struct step *step)
{
    struct bounded *bounded = step->bounded;
    cairn_runtime *runtime = step->runtime;
    struct batch batch = {
        .runtime = runtime, .start = thread_ns(), .most_ns = (uint64_t)runtime->step_us * 1000 / BATCH_PARTS};
    ring_init(&batch.work);
    if (bounded->last) {
        fill_with_all(&batch, bounded);
    } else {
        fill(&batch, bounded);
    }
    detect(runtime, batch.set, batch.size, false);
    struct collection c = {
        .runtime = runtime, .generation = 2, .candidates = batch.size, .finalized = bounded->finalized};
    ring_init(&c.garbage);
    collect_garbage_list(&c, batch.set);
    finish_garbage(&c, false);
    doom(bounded, &c);
    step->code_ns += c.code_ns;
}

/* The first word of a side record with something to do. */
static struct side_word *word_to_do(struct side *side)
{
    for (unsigned w = 0; w < side->words; w++) {
        if (doomed(&side->word[w]) || untried(&side->word[w])) {
            return &side->word[w];
        }
    }
    return NULL;
}

static bool half_is_left(const struct step *step)
{
    return os_clock_ns() - step->code_ns + (uint64_t)step->runtime->step_us * 500 < step->deadline;
}

enum { CLEARS_AT_A_TIME = 16 };

/* What dies as doomed objects are cleared is queued, and dies here: otherwise one clear might end a whole piece. (In
 * deferred mode its own sweeps see to that.) False: the time is up. */
static bool sweep_dead(const struct step *step)
{
    cairn_runtime *runtime = step->runtime;
    while (runtime->queued && !runtime->deferred && !runtime->sweeping) {
        (void)cairn_runtime_sweep(runtime, CLEARS_AT_A_TIME);
        if (time_is_up(step)) {
            return false;
        }
    }
    return true;
}

/* Clears the doomed objects of a word; any code may run. False: the time is up. */
static bool clear_doomed(struct step *step, struct side *side)
{
    object_queue_deaths(step->runtime, true);
    for (unsigned n = 0; n < CLEARS_AT_A_TIME; n++) {
        if (step->bounded->todo.next != &side->bounded_work) {
            break; /* it has gone */
        }
        const struct side_word *word = word_to_do(side);
        if (!word || !doomed(word)) {
            break;
        }
        uint64_t bit = doomed(word) & -doomed(word);
        unsigned w = (unsigned)(word - side->word);
        side->word[w].doing &= ~bit;
        break_cycle(step->runtime, side_object(side, w * 64 + (unsigned)__builtin_ctzll(bit)));
    }
    object_queue_deaths(step->runtime, false);
    return !time_is_up(step) && sweep_dead(step);
}

bool verify_all(struct step *step)
{
    struct bounded *bounded = step->bounded;
    if (!sweep_dead(step)) {
        return false;
    }
    for (bool first = true; !ring_is_empty(&bounded->todo); first = false) {
        struct side *side = RING_SIDE(bounded->todo.next, bounded_work);
        const struct side_word *word = word_to_do(side);
        if (!word) {
            ring_remove(&side->bounded_work);
        } else if (doomed(word)) {
            if (!clear_doomed(step, side)) {
                return false;
            }
        } else if (first || (!bounded->last && half_is_left(step))) {
            verify(step);
        } else {
            return false;
        }
    }
    return true;
}

uint64_t bounded_doomed(const cairn_runtime *runtime, const struct side_word *word)
{
    return runtime->bounded.phase == BOUNDED_VERIFY ? doomed(word) : 0;
}

/* ---- CONFIRM, FINALIZE ---- */

static inline HOT void visit_hash(cairn_object *object, void *arg)
{
    uint64_t *hash = arg;
    *hash = hash_word(*hash, (uintptr_t)object);
}

/* What COUNT has read, once more: the suspects of a side record. They become candidates, weak references and what such
 * lead to pending. */
static void hash_side(struct collection *c, struct side *side, uint64_t *hash)
{
    for (unsigned w = 0; w < side->words; w++) {
        struct side_word *word = &side->word[w];
        word->candidate = word->suspect;
        for (uint64_t bits = word->suspect; bits; bits &= bits - 1) {
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
            cairn_object *object = side_object(side, slot);
            const cairn_type *type = object->type;
            fetch_ahead(side, word, slot);
            *hash = hash_word(*hash, (uint64_t)object->count);
            for (size_t from = 0; (from = traverse_part(object, from, visit_hash, hash));) {
            }
            if (type->finalize || (type->weak_offset && *weak_list_of(object, type)) || type_is_weak(type)) {
                word->pending |= bits & -bits;
            }
            c->candidates++;
        }
    }
}

/* Clears the weak references to what is proved, and finds out whether there are callbacks or finalizers. */
static void clear_weak_references(struct collection *c, struct bounded *bounded)
{
    for (struct ring *at = bounded->todo.next; at != &bounded->todo; at = at->next) {
        struct side *side = RING_SIDE(at, bounded_work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            for (uint64_t bits = word->pending; bits; bits &= bits - 1) {
                unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
                struct place place = {side, word, bits & -bits, slot};
                look_at(c, &place, side_object(side, slot));
            }
        }
    }
}

/* Ends CONFIRM: all suspects on the list are doomed, or wait for their finalizers, or, not `confirmed`, stay as they
 * were. */
static void leave_confirm(struct bounded *bounded, bool confirmed)
{
    for (struct ring *at = bounded->todo.next; at != &bounded->todo; at = at->next) {
        struct side *side = RING_SIDE(at, bounded_work);
        for (unsigned w = 0; w < side->words; w++) {
            struct side_word *word = &side->word[w];
            word->candidate = word->pending = 0;
            if (confirmed && bounded->finalized) {
                word->doing |= word->suspect;
                word->suspect = 0;
            }
        }
    }
}

bool confirm(struct step *step)
{
    struct bounded *bounded = step->bounded;
    struct collection c = {.runtime = step->runtime, .generation = 2, .finalized = bounded->finalized};
    uint64_t hash = HASH_START;
    for (struct ring *at = bounded->todo.next; at != &bounded->todo; at = at->next) {
        prefetch_side(RING_SIDE(at->next, bounded_work));
        hash_side(&c, RING_SIDE(at, bounded_work), &hash);
    }
    bool confirmed = hash == bounded->hash && c.candidates == bounded->counted;
    if (confirmed) {
        c.callbacks_tail = &c.callbacks;
        clear_weak_references(&c, bounded);
        /* Where no code runs, nothing can be brought back. */
        bounded->finalized |= !c.callbacks && !c.finalizers;
    }
    leave_confirm(bounded, confirmed);
    if (confirmed && bounded->finalized) {
        bounded->collected += c.candidates;
        step->runtime->resurrected += bounded->returned ? bounded->returned - c.candidates : 0;
        bounded->phase = BOUNDED_VERIFY;
    }
    uint64_t start = os_clock_ns();
    weak_run_queue(c.callbacks);
    step->code_ns += os_clock_ns() - start;
    return confirmed;
}

/* Runs the finalizer of the first suspect of a side record that was not looked at. False: there is none. */
static bool finalize_next(struct step *step, struct side *side)
{
    for (unsigned w = 0; w < side->words; w++) {
        struct side_word *word = &side->word[w];
        while (untried(word)) {
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(untried(word));
            uint64_t bit = UINT64_C(1) << slot % 64;
            cairn_object *object = side_object(side, slot);
            word->doing |= bit;
            if (object->type->finalize && !(word->finalized & bit)) {
                uint64_t start = os_clock_ns();
                finalize_one(object);
                step->code_ns += os_clock_ns() - start;
                return true;
            }
        }
        word->doing &= ~word->suspect;
    }
    return false;
}

bool finalize_suspects(struct step *step)
{
    struct bounded *bounded = step->bounded;
    unsigned sides = 0;
    while (!ring_is_empty(&bounded->todo)) {
        struct side *side = RING_SIDE(bounded->todo.next, bounded_work);
        bool ran = finalize_next(step, side);
        if (!ran) {
            ring_remove(&side->bounded_work);
        }
        /* Finalizers are no part of a step's time, but end it. */
        if ((ran || ++sides % SIDES_AT_A_TIME == 0) && os_clock_ns() >= step->deadline) {
            return false;
        }
    }
    return true;
}
