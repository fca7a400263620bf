/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_object_failure.c: memory runs out in the middle of each operation of the object layer's core: runtimes, objects
 * small and large, tracking, weak references, finalizers, weak tables, callbacks, the garbage list. The program is linked
 * so that every request of the layer for memory comes here (--wrap): request n is refused, with all after it, for n = 0,
 * 1, 2 and so on until the operation succeeds. Heaps count exactly, so that each object is a request. After each refusal
 * every structure is sound, the operation succeeds with memory, and in the end nothing is left. Each scenario runs as it
 * is, in bounded mode, with deferred deaths, and with a collection at each allocation. */

#include <errno.h>
#include <string.h>

#include "heap/large.h"
#include "heap/meta.h"
#include "heap/owner.h"
#include "object/runtime.h"
#include "support/test.h"

/* ---- every request for memory ---- */

static bool refusing;
static size_t granted; /* requests still to be granted while `refusing` */

static bool is_granted(void)
{
    if (!refusing || granted) {
        granted -= refusing;
        return true;
    }
    errno = ENOMEM;
    return false;
}

void *__real_meta_alloc(struct meta *meta, size_t size);
void *__wrap_meta_alloc(struct meta *meta, size_t size);
void *__real_owner_alloc_slow_late(struct owner *owner, size_t size);
void *__wrap_owner_alloc_slow_late(struct owner *owner, size_t size);
void *__real_large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed);
void *__wrap_large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed);
void *__real_cairn_calloc(cairn_heap *heap, size_t count, size_t size);
void *__wrap_cairn_calloc(cairn_heap *heap, size_t count, size_t size);
void *__real_cairn_realloc(cairn_heap *heap, void *block, size_t size);
void *__wrap_cairn_realloc(cairn_heap *heap, void *block, size_t size);

void *__wrap_meta_alloc(struct meta *meta, size_t size)
{
    return is_granted() ? __real_meta_alloc(meta, size) : NULL;
}

void *__wrap_owner_alloc_slow_late(struct owner *owner, size_t size)
{
    return is_granted() ? __real_owner_alloc_slow_late(owner, size) : NULL;
}

void *__wrap_large_alloc(cairn_heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    return is_granted() ? __real_large_alloc(heap, size, alignment, zeroed) : NULL;
}

void *__wrap_cairn_calloc(cairn_heap *heap, size_t count, size_t size)
{
    return is_granted() ? __real_cairn_calloc(heap, count, size) : NULL;
}

void *__wrap_cairn_realloc(cairn_heap *heap, void *block, size_t size)
{
    return is_granted() ? __real_cairn_realloc(heap, block, size) : NULL;
}

/* ---- types ---- */

struct part {
    cairn_object object;
    cairn_object *references[2];
    cairn_weak *weak_list;
};

static const cairn_type part_type = {.struct_size = sizeof(cairn_type),
                                     .name = "part",
                                     .size = sizeof(struct part),
                                     .reference_offset = offsetof(struct part, references),
                                     .reference_count = 2,
                                     .weak_offset = offsetof(struct part, weak_list)};

static const cairn_type kept_type = {.struct_size = sizeof(cairn_type),
                                     .name = "kept",
                                     .size = sizeof(struct part),
                                     .item_size = 8,
                                     .free_list_most = 4,
                                     .reference_offset = offsetof(struct part, references),
                                     .reference_count = 2};

static const cairn_type atom_type = {
    .struct_size = sizeof(cairn_type), .name = "atom", .size = sizeof(cairn_object), .item_size = 1};

static cairn_runtime *runtime;
static cairn_object *held[4]; /* given up at the end */

static struct part *part_of(cairn_object *object)
{
    return (struct part *)(void *)object;
}

/* Keeps a new object in a place of its own; ENOMEM if there is none. */
static int hold(size_t i, cairn_object *made)
{
    if (made) {
        cairn_set_steal(&held[i], made);
    }
    return made ? 0 : ENOMEM;
}

/* ---- scenarios ---- */

static void nothing(void)
{
}

static void one_part(void)
{
    assert_int_equal(hold(0, cairn_object_new(runtime, &part_type, 0)), 0);
}

static int make_part(void)
{
    return hold(1, cairn_object_new(runtime, &part_type, 0));
}

static int make_atoms(void)
{
    int error = hold(1, cairn_object_alloc(runtime, &atom_type, 10));
    error = error ? error : hold(2, cairn_object_new(runtime, &atom_type, 3000));
    return error ? error : hold(3, cairn_object_new(runtime, &atom_type, 100000));
}

static int make_large_container(void)
{
    cairn_object *made = cairn_object_new(runtime, &kept_type, 20000);
    return hold(1, made);
}

static int make_from_free_list(void)
{
    int error = 0;
    for (size_t i = 0; i < 8 && !error; i++) {
        error = hold(i % 4, cairn_object_new(runtime, &kept_type, i % 3));
    }
    return error;
}

static int make_parts_of_objects(void)
{
    char *block = cairn_runtime_alloc(runtime, 40);
    char *grown = block ? cairn_runtime_realloc(runtime, block, 4000) : NULL;
    void *zero = cairn_runtime_calloc(runtime, 10, 10);
    int error = grown && zero ? 0 : ENOMEM;
    cairn_runtime_free(runtime, grown ? grown : block);
    cairn_runtime_free(runtime, zero);
    return error;
}

static size_t called;

static void note_call(void *arg)
{
    (void)arg;
    called++;
}

static void note_weak(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    called++;
}

static int make_weak(void)
{
    cairn_weak *plain = cairn_weak_new(held[0], NULL, NULL);
    cairn_weak *calls = plain ? cairn_weak_new(held[0], note_weak, held[0]) : NULL;
    int error = calls ? 0 : ENOMEM;
    cairn_xdecref((cairn_object *)(void *)plain);
    cairn_xdecref((cairn_object *)(void *)calls);
    return error;
}

static int make_finalizer(void)
{
    cairn_finalizer *finalizer = cairn_finalizer_add(held[0], note_call, NULL, true);
    if (!finalizer) {
        return ENOMEM;
    }
    (void)cairn_finalizer_detach(runtime, finalizer);
    cairn_decref((cairn_object *)(void *)finalizer);
    return 0;
}

static int fill_table(unsigned weak)
{
    cairn_weak_table *table = cairn_weak_table_new(runtime, weak);
    if (!table) {
        return ENOMEM;
    }
    int error = 0;
    cairn_object *keys[24] = {0};
    size_t made = 0;
    for (size_t i = 0; i < 24 && !error; i++) {
        keys[i] = cairn_object_new(runtime, &part_type, 0);
        error = keys[i] ? cairn_weak_table_set(table, keys[i], keys[i]) : ENOMEM;
        made += !error;
        assert_int_equal(cairn_weak_table_count(table), made);
        assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    }
    for (size_t i = 0; i < made; i++) {
        cairn_object *found = cairn_weak_table_get(table, keys[i]);
        assert_ptr_equal(found, keys[i]);
        cairn_decref(found);
    }
    for (size_t i = 0; i < 24; i++) {
        cairn_xdecref(keys[i]);
    }
    cairn_decref((cairn_object *)(void *)table);
    return error;
}

static int fill_weak_keys(void)
{
    return fill_table(CAIRN_WEAK_KEYS);
}

static int fill_weak_values(void)
{
    return fill_table(CAIRN_WEAK_VALUES);
}

static int fill_weak_both(void)
{
    return fill_table(CAIRN_WEAK_KEYS | CAIRN_WEAK_VALUES);
}

static void note_collection(cairn_runtime *of, const cairn_collector_info *info, void *arg)
{
    (void)of;
    (void)info;
    (void)arg;
    called++;
}

static int add_callback(void)
{
    int error = cairn_collector_add_callback(runtime, note_collection, NULL);
    if (!error) {
        assert_int_equal(cairn_collector_remove_callback(runtime, note_collection, NULL), 0);
    }
    return error;
}

/* 100 rings of two, garbage, with weak references that call back. */
static void rings(void)
{
    bool enabled = cairn_collector_is_enabled(runtime);
    cairn_collector_disable(runtime);
    one_part();
    for (size_t i = 0; i < 100; i++) {
        cairn_object *a = cairn_object_new(runtime, &part_type, 0), *b = cairn_object_new(runtime, &part_type, 0);
        part_of(a)->references[0] = b;
        part_of(b)->references[0] = a;
    }
    if (enabled) {
        cairn_collector_enable(runtime);
    }
}

/* Needs no memory at all. */
static int collect_rings(void)
{
    (void)cairn_collect(runtime, 2);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.containers_tracked, 1);
    return 0;
}

/* What cannot be added to the garbage list stays as it is. */
static int save_all(void)
{
    cairn_collector_set_debug(runtime, CAIRN_COLLECTOR_SAVEALL);
    (void)cairn_collect(runtime, 2);
    cairn_collector_set_debug(runtime, 0);
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    size_t saved = cairn_collector_garbage_count(runtime);
    assert_int_equal(stats.containers_tracked, 201);
    cairn_collector_garbage_clear(runtime);
    return saved == 200 ? 0 : ENOMEM;
}

static const struct scenario {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
    size_t requests; /* at least so many are refused in the plain mode */
} scenarios[] = {
    {"a part", nothing, make_part, 1},
    {"atoms", nothing, make_atoms, 3},
    {"a large container", nothing, make_large_container, 1},
    {"a free list", nothing, make_from_free_list, 4},
    {"parts of objects", nothing, make_parts_of_objects, 3},
    {"weak references", one_part, make_weak, 2},
    {"a finalizer", one_part, make_finalizer, 1},
    {"a table of weak keys", nothing, fill_weak_keys, 49},
    {"a table of weak values", nothing, fill_weak_values, 49},
    {"a table weak both ways", nothing, fill_weak_both, 73},
    {"a callback", nothing, add_callback, 1},
    {"a collection", rings, collect_rings, 0},
    {"the garbage list", rings, save_all, 1},
};

/* ---- runs ---- */

struct surroundings {
    bool hostile, deferred;
    unsigned step_us;
};

static void start(const struct surroundings *surroundings)
{
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    heap.exact = true;
    options.heap = &heap;
    options.hostile = surroundings->hostile;
    options.deferred = surroundings->deferred;
    options.step_us = surroundings->step_us;
    runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    memset(held, 0, sizeof held);
}

static void end(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        cairn_clear(&held[i]);
    }
    cairn_runtime_end found;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &found), 0);
    if (found.kept_objects || found.kept_blocks) {
        fail_msg("%s: %zu objects and %zu blocks are left", name, found.kept_objects, found.kept_blocks);
    }
}

/* Runs a scenario with request n refused and all after it; true if it succeeded. */
static bool run_refusing(const struct scenario *scenario, const struct surroundings *surroundings, size_t n)
{
    start(surroundings);
    scenario->prepare();
    refusing = true;
    granted = n;
    int error = scenario->run();
    refusing = false;
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    if (error) {
        assert_int_equal(error, ENOMEM);
        if (scenario->run != save_all) { /* whose rings are gone */
            assert_int_equal(scenario->run(), 0);
        }
        assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    }
    end(scenario->name);
    return error == 0;
}

static void every_operation_survives_every_refusal(void **state)
{
    (void)state;
    const struct surroundings all[] = {{false, false, 0}, {true, false, 0}, {false, true, 0}, {true, false, 100}};
    for (size_t i = 0; i < COUNT_OF(scenarios) * COUNT_OF(all); i++) {
        const struct scenario *scenario = &scenarios[i / COUNT_OF(all)];
        size_t n = 0;
        while (!run_refusing(scenario, &all[i % COUNT_OF(all)], n)) {
            n++;
        }
        if (i % COUNT_OF(all) == 0 && n < scenario->requests) {
            fail_msg("%s: %zu requests were refused, not %zu", scenario->name, n, scenario->requests);
        }
    }
}

/* A runtime is made whole or not at all. */
static void creation_survives_every_refusal(void **state)
{
    (void)state;
    size_t n = 0;
    for (bool made = false; !made; n++) {
        refusing = true;
        granted = n;
        runtime = cairn_runtime_create(NULL);
        int error = errno;
        refusing = false;
        made = runtime != NULL;
        if (made) {
            memset(held, 0, sizeof held);
            assert_int_equal(make_part(), 0);
            end("creation");
        } else {
            assert_int_equal(error, ENOMEM);
        }
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_survives_every_refusal),
        cmocka_unit_test(creation_survives_every_refusal),
    };
    return cmocka_run_group_tests_name("the core of objects without memory", tests, NULL, NULL);
}
