/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_snapshot_analysis.c: the analysis of a snapshot (python/snapshot_analysis.h) on heaps made by hand, against a
 * model that does the same in the simplest way. CPython's own objects: programs/test_snapshot_analysis.py.
 *
 * A *thing* has the header of a tracked object, a count, a type, and references, of which its type shows the first
 * `shown` when it is traversed. A heap of things has a ring order of its own. */

#include <string.h>

#include "os/os.h"
#include "python/python_object.h"
#include "python/snapshot_analysis.h"
#include "python/snapshot_count.h"
#include "support/test.h"

enum { REFERENCES = 4, STACK_OVERFLOWS = 120000, DEEP = 100000, MINOR = 11 };

struct thing {
    _Alignas(16) struct gc_head head;
    struct python_object object;
    void *referent; /* where a weak reference has it */
    size_t shown;
    struct thing **reference;
    struct thing *own[REFERENCES];
    bool reachable;
    size_t part; /* in the model: number of a thing of its component */
};

struct heap {
    struct thing *thing;
    size_t count;
    struct gc_head ring[SNAPSHOT_RINGS], permanent;
    struct snapshot_result *result;
};

static int traverse(void *object, python_visit *visit, void *context)
{
    struct thing *thing = (struct thing *)gc_head_of(object);
    for (size_t i = 0; i < thing->shown; i++) {
        int told = thing->reference[i] != NULL ? visit(&thing->reference[i]->object, context) : 0;
        if (told != 0) {
            return told;
        }
    }
    return 0;
}

static const struct python_type plain = {.name = "plain", .flags = PYTHON_HAVE_GC, .traverse = traverse};
static const struct python_type tuple = {.name = "tuple", .flags = PYTHON_HAVE_GC, .traverse = traverse};
static const struct python_type managed = {
    .name = "managed", .flags = PYTHON_HAVE_GC | PYTHON_MANAGED_WEAKREF, .traverse = traverse};
static const struct python_type reference = {.name = "reference", .flags = PYTHON_HAVE_GC, .traverse = traverse};
static const struct python_type own_reference = {
    .name = "own", .flags = PYTHON_HAVE_GC, .traverse = traverse, .base = &reference};

/* ---- heaps ---- */

static void heap_make(struct heap *heap, size_t count)
{
    *heap = (struct heap){.count = count};
    heap->thing = os->reserve(round_up(count * sizeof *heap->thing, os_page_size()), os_page_size());
    size_t room = round_up(snapshot_result_bytes(count), os_page_size());
    heap->result = os->reserve(room, os_page_size());
    assert_true(heap->thing != NULL && heap->result != NULL);
    for (size_t i = 0; i < count; i++) {
        struct thing *thing = &heap->thing[i];
        thing->object.type = &plain;
        thing->shown = REFERENCES;
        thing->reference = thing->own;
    }
    for (size_t i = 0; i < SNAPSHOT_RINGS; i++) {
        gc_ring_clear(&heap->ring[i]);
    }
    gc_ring_clear(&heap->permanent);
}

static void heap_end(struct heap *heap)
{
    size_t room = round_up(snapshot_result_bytes(heap->count), os_page_size());
    assert_true(os->release(heap->result, room));
    assert_true(os->release(heap->thing, round_up(heap->count * sizeof *heap->thing, os_page_size())));
}

static void refer(struct thing *from, size_t slot, struct thing *to)
{
    from->reference[slot] = to;
    to->object.count++;
}

static void ring_add(struct gc_head *ring, struct thing *thing)
{
    gc_head_join(gc_head_prev(ring), &thing->head);
    gc_head_join(&thing->head, ring);
}

/* Puts all things into the rings, in address order, or else in a random one. */
static void fill_rings(struct heap *heap, uint64_t *random)
{
    for (size_t i = 0; i < heap->count; i++) {
        ring_add(&heap->ring[random != NULL ? random_below(random, SNAPSHOT_RINGS) : 0], &heap->thing[i]);
    }
    for (size_t i = 0; random != NULL && i < heap->count; i++) {
        gc_ring_move(&heap->ring[random_below(random, SNAPSHOT_RINGS)],
                     &heap->thing[random_below(random, heap->count)].head);
    }
}

static struct snapshot_input input_of(const struct heap *heap)
{
    return (struct snapshot_input){
        .ring = {&heap->ring[0], &heap->ring[1], &heap->ring[2]},
        .permanent = &heap->permanent,
        .minor = MINOR,
        .tuple_type = &tuple,
        .reference_type = &reference,
    };
}

static const struct snapshot_result *analyse_as(struct heap *heap, const struct snapshot_input *input, size_t capacity)
{
    memset(heap->result, 0, sizeof *heap->result);
    heap->result->capacity = capacity;
    snapshot_analyse(input, heap->result);
    return heap->result;
}

static const struct snapshot_result *analyse(struct heap *heap)
{
    struct snapshot_input input = input_of(heap);
    return analyse_as(heap, &input, heap->count);
}

/* ---- the model ---- */

static size_t visits_of(const struct heap *heap, const struct thing *to)
{
    size_t visits = 0;
    for (size_t i = 0; i < heap->count; i++) {
        for (size_t k = 0; k < heap->thing[i].shown; k++) {
            visits += heap->thing[i].reference[k] == to;
        }
    }
    return visits;
}

static bool spread_reachable(struct heap *heap)
{
    bool more = false;
    for (size_t i = 0; i < heap->count; i++) {
        for (size_t k = 0; heap->thing[i].reachable && k < heap->thing[i].shown; k++) {
            struct thing *to = heap->thing[i].reference[k];
            more |= to != NULL && !to->reachable;
            if (to != NULL) {
                to->reachable = true;
            }
        }
    }
    return more;
}

static bool spread_parts(struct heap *heap)
{
    bool more = false;
    for (size_t i = 0; i < heap->count; i++) {
        struct thing *from = &heap->thing[i];
        for (size_t k = 0; !from->reachable && k < from->shown; k++) {
            struct thing *to = from->reference[k];
            if (to != NULL && !to->reachable && to->part != from->part) {
                to->part = from->part = to->part < from->part ? to->part : from->part;
                more = true;
            }
        }
    }
    return more;
}

static void run_model(struct heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        struct thing *thing = &heap->thing[i];
        thing->part = i;
        thing->reachable = (size_t)thing->object.count != visits_of(heap, thing);
    }
    while (spread_reachable(heap)) {
    }
    while (spread_parts(heap)) {
    }
}

static struct thing *candidate(const struct snapshot_result *result, size_t i)
{
    return (struct thing *)gc_head_of((void *)snapshot_entry_object(result->entry[i]));
}

static size_t garbage_in_model(const struct heap *heap)
{
    size_t garbage = 0;
    for (size_t i = 0; i < heap->count; i++) {
        garbage += !heap->thing[i].reachable;
    }
    return garbage;
}

/* The candidates are things of the model's garbage, each once, component by component. */
static void check_candidates(const struct heap *heap, const struct snapshot_result *result)
{
    size_t parts = 0;
    for (size_t i = 0; i < result->candidates; i++) {
        struct thing *thing = candidate(result, i);
        bool last = (result->entry[i] & SNAPSHOT_LAST) != 0;
        assert_int_equal(snapshot_entry_count(result->entry[i]), thing->object.count);
        assert_false(thing->reachable);
        thing->reachable = true;
        parts += last;
        assert_true(i + 1 < result->candidates || last);
        assert_true(i + 1 == result->candidates || (candidate(result, i + 1)->part != thing->part) == last);
    }
    assert_int_equal(parts, result->components);
    assert_int_equal(result->objects, heap->count);
}

/* ---- tests ---- */

static void make_random(struct heap *heap, uint64_t *random)
{
    unsigned density = 10 + (unsigned)random_below(random, 40);
    heap_make(heap, 1 + random_below(random, 120));
    for (size_t i = 0; i < heap->count; i++) {
        struct thing *thing = &heap->thing[i];
        for (size_t k = 0; k < REFERENCES; k++) {
            if (random_chance(random, density)) {
                refer(thing, k, &heap->thing[random_below(random, heap->count)]);
            }
        }
        thing->object.count += random_chance(random, 3);
        thing->shown -= random_chance(random, 3);
    }
    for (size_t i = 0; i < heap->count; i++) { /* there is no object without a reference */
        heap->thing[i].object.count += heap->thing[i].object.count == 0;
    }
    fill_rings(heap, random);
}

static void test_random_heaps(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    size_t garbage = 0, heaps = test_scaled(400);
    for (size_t i = 0; i < heaps; i++) {
        struct heap heap;
        make_random(&heap, &random);
        run_model(&heap);
        const struct snapshot_result *result = analyse(&heap);
        assert_int_equal(result->status, SNAPSHOT_COMPLETE);
        assert_int_equal(result->candidates, garbage_in_model(&heap));
        assert_int_equal(result->candidates, result->garbage);
        check_candidates(&heap, result);
        garbage += result->candidates;
        heap_end(&heap);
    }
    assert_true(garbage > 0 || heaps < 100); /* few may all live */
}

static void test_little_room(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    for (size_t i = 0; i < test_scaled(200); i++) {
        struct heap heap;
        make_random(&heap, &random);
        run_model(&heap);
        struct snapshot_input input = input_of(&heap);
        size_t garbage = garbage_in_model(&heap), capacity = random_below(&random, garbage + 1);
        const struct snapshot_result *result = analyse_as(&heap, &input, capacity);
        assert_int_equal(result->status, capacity < garbage ? SNAPSHOT_PARTIAL : SNAPSHOT_COMPLETE);
        assert_true(result->candidates <= capacity);
        check_candidates(&heap, result);
        /* Whole components: nothing of one that was named is left. */
        for (size_t k = 0; k < result->candidates; k++) {
            for (size_t other = 0; other < heap.count; other++) {
                assert_true(heap.thing[other].reachable || heap.thing[other].part != candidate(result, k)->part);
            }
        }
        heap_end(&heap);
    }
}

/* A hub that `spokes` things refer to, which are a chain that starts at the hub. */
static void make_hub(struct heap *heap, size_t spokes)
{
    heap_make(heap, spokes + 1);
    for (size_t i = 0; i < spokes; i++) {
        refer(&heap->thing[i], 1, &heap->thing[i + 1]);
        refer(&heap->thing[i + 1], 0, &heap->thing[0]);
    }
    fill_rings(heap, NULL);
}

static void test_counts_of_every_size(void **state)
{
    (void)state;
    const size_t spokes[] = {2, COUNT_DIRECT - 1, COUNT_DIRECT, COUNT_DIRECT + 1, COUNT_DIRECT + 2, 5000};
    for (size_t i = 0; i < COUNT_OF(spokes); i++) {
        struct heap heap;
        make_hub(&heap, spokes[i]);
        assert_int_equal(analyse(&heap)->garbage, heap.count);
        assert_int_equal(heap.result->components, 1);
        heap.thing[0].object.count++;
        assert_int_equal(analyse(&heap)->garbage, 0);
        heap.thing[0].object.count -= 2;
        assert_int_equal(analyse(&heap)->garbage, 0);
        assert_int_equal(heap.result->suspicious, 1);
        heap_end(&heap);
    }
}

/* Gives a thing room for more references. */
static size_t widen(struct thing *thing, size_t references)
{
    size_t bytes = round_up(references * sizeof(struct thing *), os_page_size());
    thing->reference = os->reserve(bytes, os_page_size());
    assert_non_null(thing->reference);
    thing->shown = references;
    return bytes;
}

/* More large counts than the first hash table has room for; the last thing has all the references. */
static void test_many_large_counts(void **state)
{
    (void)state;
    enum { HUBS = 600, EACH = COUNT_DIRECT + 1 };
    struct heap heap;
    heap_make(&heap, HUBS + 1);
    struct thing *root = &heap.thing[HUBS];
    size_t bytes = widen(root, HUBS * EACH + 1);
    for (size_t i = 0; i < HUBS * EACH; i++) {
        refer(root, i, &heap.thing[i / EACH]);
    }
    refer(root, HUBS * EACH, root);
    fill_rings(&heap, NULL);
    assert_int_equal(analyse(&heap)->garbage, heap.count);
    heap.thing[HUBS / 2].object.count++;
    assert_int_equal(analyse(&heap)->garbage, HUBS);
    assert_true(os->release(root->reference, bytes));
    heap_end(&heap);
}

static void test_immortal(void **state)
{
    (void)state;
    struct heap heap;
    heap_make(&heap, 2);
    refer(&heap.thing[0], 0, &heap.thing[1]);
    heap.thing[0].object.count = UINT32_MAX;
    fill_rings(&heap, NULL);
    assert_int_equal(analyse(&heap)->garbage, 0);
    assert_int_equal(heap.result->suspicious, 0);
    heap_end(&heap);
}

static void test_permanent_is_external(void **state)
{
    (void)state;
    struct heap heap;
    heap_make(&heap, 3);
    refer(&heap.thing[0], 0, &heap.thing[1]);
    refer(&heap.thing[1], 0, &heap.thing[0]);
    refer(&heap.thing[2], 0, &heap.thing[2]);
    fill_rings(&heap, NULL);
    gc_ring_move(&heap.permanent, &heap.thing[0].head);
    assert_int_equal(analyse(&heap)->objects, 2);
    assert_int_equal(heap.result->candidates, 1);
    assert_ptr_equal(candidate(heap.result, 0), &heap.thing[2]);
    heap_end(&heap);
}

static void test_weak_references_join(void **state)
{
    (void)state;
    const struct python_type *types[] = {&plain, &reference, &own_reference};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct heap heap;
        heap_make(&heap, 2);
        refer(&heap.thing[0], 0, &heap.thing[0]);
        refer(&heap.thing[1], 0, &heap.thing[1]);
        heap.thing[0].object.type = types[i];
        heap.thing[0].referent = &heap.thing[1].object;
        fill_rings(&heap, NULL);
        assert_int_equal(analyse(&heap)->components, i == 0 ? 2 : 1);
        heap_end(&heap);
    }
}

static void test_preheaders(void **state)
{
    (void)state;
    for (int minor = 9; minor <= 13; minor++) {
        struct heap heap;
        heap_make(&heap, 1);
        refer(&heap.thing[0], 0, &heap.thing[0]);
        heap.thing[0].object.type = &managed;
        fill_rings(&heap, NULL);
        struct snapshot_input input = input_of(&heap);
        input.minor = minor;
        bool told = (analyse_as(&heap, &input, 1)->entry[0] & SNAPSHOT_PREHEADER) != 0;
        assert_int_equal(told, minor >= 12);
        heap_end(&heap);
    }
}

static int other_clear(void *object)
{
    (void)object;
    return 0;
}

static void class_dealloc(void *object)
{
    (void)object;
}

static void other_dealloc(void *object)
{
    (void)object;
}

/* Two things in a circle, the second of a certain type and with a first weak reference: is their component plain? */
static bool told_plain_by(void (*dealloc)(void *), const struct python_type *type, uintptr_t flags, void *weak)
{
    static const struct python_type *const known[] = {&plain, &tuple};
    struct heap heap;
    heap_make(&heap, 2);
    heap.thing[1].object.type = type;
    refer(&heap.thing[0], 0, &heap.thing[1]);
    refer(&heap.thing[1], 0, &heap.thing[0]);
    heap.thing[1].referent = weak;
    fill_rings(&heap, NULL);
    heap.thing[1].head.prev |= flags;
    struct snapshot_input input = input_of(&heap);
    memcpy(input.plain_type, known, sizeof known);
    input.class_dealloc = dealloc;
    const struct snapshot_result *result = analyse_as(&heap, &input, 2);
    assert_int_equal(result->candidates, 2);
    bool first = (result->entry[0] & SNAPSHOT_PLAIN) != 0;
    assert_int_equal((result->entry[1] & SNAPSHOT_PLAIN) != 0, first);
    heap_end(&heap);
    return first;
}

static bool told_plain(const struct python_type *type, uintptr_t flags, void *weak)
{
    return told_plain_by(class_dealloc, type, flags, weak);
}

#define OF_CLASS .flags = PYTHON_HAVE_GC | PYTHON_HEAP_TYPE, .traverse = traverse, .name = "class"

static void test_plain(void **state)
{
    (void)state;
    static const struct python_type class = {OF_CLASS, .dealloc = class_dealloc, .base = &tuple},
                                    of_class = {OF_CLASS, .dealloc = class_dealloc, .base = &class},
                                    of_none = {OF_CLASS, .dealloc = class_dealloc},
                                    of_extension = {OF_CLASS, .dealloc = other_dealloc, .base = &tuple},
                                    clears = {OF_CLASS, .dealloc = class_dealloc, .clear = other_clear, .base = &tuple},
                                    built_in = {.name = "extension.type",
                                                .flags = PYTHON_HAVE_GC,
                                                .traverse = traverse,
                                                .dealloc = class_dealloc,
                                                .base = &tuple},
                                    deque = {.name = "collections.deque",
                                             .flags = PYTHON_HAVE_GC,
                                             .traverse = traverse,
                                             .dealloc = other_dealloc},
                                    named_deque = {.name = "collections.deque",
                                                   .flags = PYTHON_HAVE_GC | PYTHON_HEAP_TYPE,
                                                   .traverse = traverse,
                                                   .dealloc = class_dealloc},
                                    finalized = {OF_CLASS, .dealloc = class_dealloc, .base = &tuple,
                                                 .finalize = (void *)class_dealloc},
                                    with_del = {OF_CLASS, .dealloc = class_dealloc, .base = &tuple,
                                                .del = (void *)class_dealloc},
                                    referred = {OF_CLASS, .dealloc = class_dealloc, .base = &tuple,
                                                .weaklist_offset = sizeof(struct python_object)};
    int weak;
    const struct python_type *good[] = {&plain, &tuple, &class, &of_class, &deque};
    const struct python_type *bad[] = {&of_none,     &clears,    &of_extension, &built_in,
                                       &named_deque, &finalized, &with_del,     &reference};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(told_plain(good[i], 0, NULL));
        assert_false(told_plain_by(NULL, good[i], 0, NULL));
        assert_false(told_plain(good[i], GC_HEAD_FINALIZED, NULL));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(told_plain(bad[i], 0, NULL));
    }
    assert_true(told_plain(&referred, 0, NULL)); /* `referent` lies at that offset */
    assert_false(told_plain(&referred, 0, &weak));
}

/* A live tuple of nothing may leave the rings, one of a tracked thing may not. */
static void test_untracks(void **state)
{
    (void)state;
    struct heap heap;
    heap_make(&heap, 8);
    for (size_t i = 0; i < heap.count; i++) {
        heap.thing[i].object.count = 1;
    }
    heap.thing[1].object.type = heap.thing[2].object.type = &tuple;
    refer(&heap.thing[1], 0, &heap.thing[0]);
    fill_rings(&heap, NULL);
    assert_int_equal(analyse(&heap)->untracks, 1);
    assert_int_equal(heap.result->entry[heap.count - 1], (uintptr_t)&heap.thing[2].object);
    heap_end(&heap);
}

/* The last thing refers to all, which the sweep has passed: more than the stack takes. */
static void test_stack_overflow(void **state)
{
    (void)state;
    struct heap heap;
    heap_make(&heap, STACK_OVERFLOWS);
    struct thing *root = &heap.thing[heap.count - 1];
    size_t bytes = widen(root, heap.count);
    for (size_t i = 0; i < heap.count; i++) {
        refer(root, i, &heap.thing[i]);
    }
    fill_rings(&heap, NULL);
    assert_int_equal(analyse(&heap)->garbage, heap.count);
    root->object.count++;
    assert_int_equal(analyse(&heap)->garbage, 0);
    assert_int_equal(heap.result->live, heap.count);
    assert_true(os->release(root->reference, bytes));
    heap_end(&heap);
}

static void test_deep(void **state)
{
    (void)state;
    struct heap heap;
    size_t count = test_scaled(DEEP);
    heap_make(&heap, count);
    for (size_t i = 0; i + 1 < count; i++) {
        refer(&heap.thing[i], 0, &heap.thing[(i + 1) % count]);
    }
    fill_rings(&heap, NULL);
    heap.thing[0].object.count++;
    assert_int_equal(analyse(&heap)->live, count);
    heap.thing[0].object.count--;
    refer(&heap.thing[count - 1], 0, &heap.thing[0]);
    assert_int_equal(analyse(&heap)->garbage, count);
    assert_int_equal(heap.result->components, 1);
    heap_end(&heap);
}

static void test_broken_ring(void **state)
{
    (void)state;
    struct heap heap;
    heap_make(&heap, 3);
    fill_rings(&heap, NULL);
    heap.thing[2].head.prev = (uintptr_t)&heap.thing[0].head;
    assert_int_equal(analyse(&heap)->status, SNAPSHOT_UNSOUND);
    heap_end(&heap);
}

/* One thing in each MiB: the least table has fewer leaves. */
static void test_no_memory(void **state)
{
    (void)state;
    struct heap heap;
    size_t count = 2 * (SNAPSHOT_MEMORY_LEAST >> TABLE_LEAF_SHIFT);
    heap_make(&heap, 1);
    char *memory = os->reserve(count << TABLE_LEAF_SPAN, os_page_size());
    assert_non_null(memory);
    for (size_t i = 0; i < count; i++) {
        struct thing *thing = (struct thing *)(memory + (i << TABLE_LEAF_SPAN));
        thing->object.type = &plain;
        thing->object.count = 1;
        ring_add(&heap.ring[0], thing);
    }
    assert_int_equal(analyse(&heap)->status, SNAPSHOT_NO_MEMORY);
    struct snapshot_input input = input_of(&heap);
    input.memory_limit = 4 * (size_t)SNAPSHOT_MEMORY_LEAST;
    assert_int_equal(analyse_as(&heap, &input, 0)->status, SNAPSHOT_COMPLETE);
    assert_true(heap.result->table_bytes <= input.memory_limit);
    assert_true(os->release(memory, count << TABLE_LEAF_SPAN));
    heap_end(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_heaps),
        cmocka_unit_test(test_little_room),
        cmocka_unit_test(test_counts_of_every_size),
        cmocka_unit_test(test_many_large_counts),
        cmocka_unit_test(test_immortal),
        cmocka_unit_test(test_permanent_is_external),
        cmocka_unit_test(test_weak_references_join),
        cmocka_unit_test(test_preheaders),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_untracks),
        cmocka_unit_test(test_stack_overflow),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_broken_ring),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
