/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* check.c: the whole-runtime check: the invariants of runtime.h, one by one.
 *
 * Counts are checked in the refs of the side records, which are all 0 outside of a collection; while bounded mode keeps
 * its own there, counts are not checked.
 *
 * Lock: the GIL. */

#include "object/detect.h"

#include <stdarg.h>

struct check {
    cairn_runtime *runtime;
    FILE *out;
    size_t faults;
    size_t tracked;
};

__attribute__((format(printf, 2, 3))) static void fault(struct check *check, const char *format, ...)
{
    check->faults++;
    if (check->out) {
        va_list arguments;
        va_start(arguments, format);
        (void)fprintf(check->out, "cairn: runtime \"%s\": ", cairn_heap_name(check->runtime->heap));
        (void)vfprintf(check->out, format, arguments);
        (void)fputc('\n', check->out);
        va_end(arguments);
    }
}

/* ---- side records ---- */

/* The slots of a word that hold objects. */
static uint64_t live_slots(const struct side *side, unsigned w)
{
    uint64_t live = 0;
    const struct pool *pool = side->large ? NULL : pagemap_get(side->base);
    for (unsigned i = 0; i < 64 && w * 64 + i < side->capacity; i++) {
        const cairn_object *object = side_object(side, w * 64 + i);
        bool carved = !pool || (w * 64 + i < pool_carved(pool) && !pool_block_is_purged(pool, w * 64 + i));
        live |= (uint64_t)(carved && object->type && object->type != &dead_type) << i;
    }
    if (pool) {
        for (const struct block *block = free_first(pool); block; block = free_next(block)) {
            unsigned slot = side_slot(side, (const cairn_object *)(const void *)block);
            if (slot / 64 == w) {
                live &= ~(UINT64_C(1) << (slot % 64));
            }
        }
    }
    return live;
}

static void check_word(struct check *check, const struct side *side, unsigned w)
{
    const struct side_word *word = &side->word[w];
    const void *where = side_object(side, w * 64);
    uint64_t any = word->tracked | word->low | word->high | word->finalized | word->candidate | word->pending |
                   word->suspect | word->doing;
    if (any & ~live_slots(side, w)) {
        fault(check, "side record of %p: a slot without an object has bits", where);
    }
    if ((word->low | word->high | word->suspect) & ~word->tracked) {
        fault(check, "side record of %p: an object that is not tracked has a generation", where);
    }
    if (!check->runtime->collecting && (word->candidate | word->pending)) {
        fault(check, "side record of %p: bits of a collection are left", where);
    }
    if (check->runtime->bounded.phase == BOUNDED_IDLE && (word->suspect | word->doing)) {
        fault(check, "side record of %p: bits of bounded mode are left", where);
    }
    for (unsigned i = 0; i < 64 && w * 64 + i < side->capacity; i++) {
        if (side->refs[w * 64 + i] && !(word->suspect >> i & 1) && !check->runtime->collecting) {
            fault(check, "side record of %p: a count of references is left", where);
            break;
        }
    }
    check->tracked += (size_t)__builtin_popcountll(word->tracked);
}

static void check_side(struct check *check, const struct side *side)
{
    const struct pool *pool = pagemap_get(side->base);
    bool found = pool && (side->large ? large_side((const cairn_object *)(const void *)side->base) == side
                                      : *pool_side(pool) == side && pool_base(pool) == side->base);
    if (!found || side->runtime != check->runtime) {
        fault(check, "side record of %p: its pool does not lead to it", (const void *)side->base);
        return;
    }
    uint64_t generations[2] = {0, 0};
    for (unsigned w = 0; w < side->words; w++) {
        check_word(check, side, w);
        generations[0] |= generation_bits(&side->word[w], 0);
        generations[1] |= generation_bits(&side->word[w], 1);
    }
    for (int g = 0; g < 2; g++) {
        if (generations[g] && ring_is_empty(&side->list[g])) {
            fault(check, "side record of %p: not on the list of generation %d", (const void *)side->base, g);
        }
    }
}

static void check_sides(struct check *check)
{
    const char *last = NULL;
    for (const struct ring *at = check->runtime->sides.next; at != &check->runtime->sides; at = at->next) {
        const struct side *side = RING_SIDE(at, all);
        if (last && side->base <= last) {
            fault(check, "side record of %p: out of order", (const void *)side->base);
        }
        last = side->base;
        check_side(check, side);
    }
    for (const struct ring *at = check->runtime->fresh.next; at != &check->runtime->fresh; at = at->next) {
        check_side(check, RING_SIDE(at, all));
    }
    if (check->tracked != check->runtime->tracked) {
        fault(check, "%zu objects are tracked, and %zu counted", check->tracked, check->runtime->tracked);
    }
}

/* ---- counts ---- */

static void visit_subtract(cairn_object *object, void *arg)
{
    struct side *side = side_at(arg, object);
    if (side) {
        side->refs[side_slot(side, object)]--;
    }
}

static bool subtract(cairn_object *object, void *arg)
{
    struct place place = place_of(object);
    if (!(place.word->tracked & place.bit)) { /* perhaps not fit to be traversed */
        return true;
    }
    if (object->count > 0) {
        place.side->refs[place.slot] += (uint32_t)(object->count < REFS_MANY ? object->count : REFS_MANY);
    }
    const cairn_type *type = object->type;
    for (uint32_t i = 0; i < type->reference_count; i++) {
        cairn_object *reference = references_of(object, type)[i];
        if (reference) {
            visit_subtract(reference, arg);
        }
    }
    if (type->traverse) { /* not the row, which the collector reads: they must not differ */
        type->traverse(object, visit_subtract, arg);
    }
    return true;
}

static bool compare(cairn_object *object, void *arg)
{
    struct check *check = arg;
    struct place place = place_of(object);
    bool tracked = place.word->tracked & place.bit;
    if (tracked && place.side->refs[place.slot] > INT32_MAX) {
        fault(check, "object %p, type %s, count %lld: containers hold more references to it than that", (void *)object,
              object->type->name, (long long)object->count);
    }
    place.side->refs[place.slot] = 0;
    return true;
}

static void check_counts(struct check *check)
{
    enum bounded_phase phase = check->runtime->bounded.phase;
    if (check->runtime->collecting || phase == BOUNDED_COUNT || phase == BOUNDED_ROOTS) {
        return;
    }
    (void)containers_visit_unsorted(check->runtime, subtract, check->runtime);
    (void)containers_visit_unsorted(check->runtime, compare, check);
}

/* ---- weak references ---- */

static bool check_weak_list(cairn_object *object, void *arg)
{
    struct check *check = arg;
    if (!object->type->weak_offset) {
        return true;
    }
    const cairn_weak *prev = NULL;
    for (const cairn_weak *weak = *weak_list_of(object, object->type); weak; weak = weak->next) {
        if (weak->referent != object || weak->prev != prev || !type_is_weak(weak->object.type)) {
            fault(check, "object %p: its list of weak references is damaged", (void *)object);
            break;
        }
        if (weak->canonical && prev) {
            fault(check, "object %p: its shared weak reference is not the first", (void *)object);
        }
        prev = weak;
    }
    return true;
}

static void check_queue(struct check *check)
{
    size_t queued = 0;
    for (const cairn_object *object = check->runtime->queue_first; object; object = queue_next(object)) {
        if (object->count >= 0 || ++queued > check->runtime->queued) {
            fault(check, "the queue of dead objects is damaged at %p", (const void *)object);
            return;
        }
    }
    if (queued != check->runtime->queued) {
        fault(check, "%zu objects are queued, and %zu counted", queued, check->runtime->queued);
    }
}

size_t cairn_runtime_check(cairn_runtime *runtime, FILE *out)
{
    CHECK_GIL(runtime, "runtime_check", 1);
    struct check check = {.runtime = runtime, .out = out};
    check.faults = cairn_heap_check(runtime->heap, out);
    check_sides(&check);
    if (check.faults == 0) { /* else walks are not safe */
        check_counts(&check);
        (void)containers_visit_unsorted(runtime, check_weak_list, &check);
        (void)atoms_visit(runtime, check_weak_list, &check);
        check_queue(&check);
    }
    return check.faults;
}
