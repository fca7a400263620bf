/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_object.c: objects and their deaths: counts, types, deep structures, reuse, deferred mode, caches, the end of a
 * runtime. */

#include <errno.h>
#include <string.h>

#include "cairn_kinds.h"
#include "support/os_fake.h"
#include "support/test.h"

struct pair {
    cairn_object object;
    cairn_object *first, *second;
    cairn_weak *weak_list;
};

static unsigned died;
static unsigned finalized;
static cairn_object *saved;

static void note_death(cairn_object *self)
{
    (void)self;
    died++;
}

static const cairn_type pair_type = {
    .struct_size = sizeof(cairn_type),
    .name = "pair",
    .size = sizeof(struct pair),
    .reference_offset = offsetof(struct pair, first),
    .reference_count = 2,
    .weak_offset = offsetof(struct pair, weak_list),
    .dealloc = note_death,
};

struct text {
    cairn_object object;
    size_t length;
    char bytes[];
};

static const cairn_type text_type = {
    .struct_size = sizeof(cairn_type),
    .name = "text",
    .size = sizeof(struct text),
    .item_size = 1,
    .dealloc = note_death,
};

static cairn_runtime *start(void)
{
    cairn_runtime *runtime = cairn_runtime_create(NULL);
    assert_non_null(runtime);
    died = finalized = 0;
    saved = NULL;
    return runtime;
}

/* Ends a runtime of which nothing is left. */
static void end(cairn_runtime *runtime)
{
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, stderr, &result), 0);
    assert_int_equal(result.kept_objects, 0);
    assert_int_equal(result.kept_blocks, 0);
    assert_true(result.pools > 0 && result.arenas > 0);
    assert_int_equal(result.mapped_bytes, result.returned_bytes);
}

static struct pair *make_pair(cairn_runtime *runtime)
{
    cairn_object *object = cairn_object_new(runtime, &pair_type, 0);
    assert_non_null(object);
    return (struct pair *)(void *)object;
}

/* ---- counts ---- */

static void test_count(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    struct pair *pair = make_pair(runtime);
    cairn_object *object = &pair->object;
    assert_int_equal(cairn_count(object), 1);
    assert_ptr_equal(object->type, &pair_type);
    assert_null(pair->first);
    assert_null(pair->weak_list);
    assert_ptr_equal(cairn_incref(object), object);
    assert_int_equal(cairn_count(object), 2);
    cairn_decref(object);
    assert_int_equal(died, 0);
    cairn_xdecref(NULL);
    assert_null(cairn_xincref(NULL));
    cairn_object *place = NULL;
    cairn_set(&place, object);
    assert_int_equal(cairn_count(object), 2);
    cairn_set(&place, object); /* itself */
    assert_int_equal(cairn_count(object), 2);
    cairn_clear(&place);
    assert_null(place);
    cairn_clear(&place);
    cairn_set_steal(&place, object);
    assert_int_equal(cairn_count(object), 1);
    cairn_set(&place, NULL);
    assert_int_equal(died, 1);
    end(runtime);
}

/* The textbook: the freed block is the next one given, at the same address. */
static void test_address_is_reused(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    struct pair *first = make_pair(runtime);
    uintptr_t id = address_of(first);
    cairn_decref(&first->object);
    struct pair *second = make_pair(runtime);
    assert_int_equal(address_of(second), id);
    cairn_decref(&second->object);
    end(runtime);
}

static struct {
    cairn_object object;
    int value;
} forever = {CAIRN_OBJECT_STATIC(&text_type), 7};

static void test_immortal(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    for (int i = 0; i < 10; i++) {
        cairn_decref(&forever.object);
    }
    assert_true(cairn_is_immortal(&forever.object));
    assert_null(cairn_object_runtime(&forever.object));
    struct pair *pair = make_pair(runtime);
    cairn_set(&pair->first, &forever.object);
    cairn_object_make_immortal(&pair->object);
    cairn_decref(&pair->object);
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_int_equal(died, 0);
    assert_ptr_equal(cairn_object_runtime(&pair->object), runtime);
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &result), 0);
    assert_int_equal(result.kept_objects, 0);
}

/* ---- deaths ---- */

static void test_deep_structures(void **state)
{
    (void)state;
    size_t depth = test_scaled(1000000);
    for (unsigned deferred = 0; deferred < 2; deferred++) {
        cairn_runtime *runtime = start();
        cairn_runtime_set_deferred(runtime, deferred);
        cairn_object *chain = NULL;
        for (size_t i = 0; i < depth; i++) {
            struct pair *pair = make_pair(runtime);
            pair->first = chain;
            chain = &pair->object;
        }
        cairn_decref(chain);
        if (deferred) {
            assert_int_equal(died, 0);
        }
        while (cairn_runtime_sweep(runtime, 0)) {
        }
        assert_int_equal(died, depth);
        end(runtime);
    }
}

/* A chain in a cycle, which a collection takes apart. */
static void test_deep_cycle(void **state)
{
    (void)state;
    size_t depth = test_scaled(300000);
    cairn_runtime *runtime = start();
    cairn_collector_disable(runtime);
    struct pair *last = make_pair(runtime);
    cairn_object *chain = &last->object;
    for (size_t i = 1; i < depth; i++) {
        struct pair *pair = make_pair(runtime);
        pair->first = chain;
        chain = &pair->object;
    }
    last->first = chain;
    assert_int_equal(cairn_collect(runtime, 2), depth);
    assert_int_equal(died, depth);
    end(runtime);
}

static void save(cairn_object *self)
{
    finalized++;
    cairn_set(&saved, self);
}

static const cairn_type saving_pair = {
    .struct_size = sizeof(cairn_type),
    .name = "saving pair",
    .size = sizeof(struct pair),
    .reference_offset = offsetof(struct pair, first),
    .reference_count = 2,
    .finalize = save,
    .dealloc = note_death,
};

static const cairn_type saving_text = {
    .struct_size = sizeof(cairn_type),
    .name = "saving text",
    .size = sizeof(struct text),
    .item_size = 1,
    .finalize = save,
    .dealloc = note_death,
};

/* A container is finalized once, an atom at every death. */
static void test_resurrection(void **state)
{
    (void)state;
    for (unsigned atom = 0; atom < 2; atom++) {
        cairn_runtime *runtime = start();
        cairn_object *object = cairn_object_new(runtime, atom ? &saving_text : &saving_pair, 0);
        cairn_decref(object);
        assert_int_equal(finalized, 1);
        assert_int_equal(died, 0);
        assert_ptr_equal(saved, object);
        assert_int_equal(cairn_count(object), 1);
        assert_int_equal(cairn_object_is_finalized(object), !atom);
        assert_int_equal(cairn_object_is_tracked(object), !atom);
        if (atom) {
            saved = NULL; /* the finalizer would save it again, for ever */
            cairn_decref(object);
            assert_int_equal(finalized, 2);
            assert_int_equal(died, 0);
            cairn_runtime_stats stats;
            cairn_runtime_get_stats(runtime, &stats);
            assert_int_equal(stats.resurrected, 2);
            cairn_runtime_destroy(runtime);
        } else {
            cairn_clear(&saved);
            assert_int_equal(finalized, 1);
            assert_int_equal(died, 1);
            end(runtime);
        }
    }
}

static void cut(cairn_object *self)
{
    finalized++;
    cairn_clear(&((struct pair *)(void *)self)->second);
}

/* In a collection, one finalizer lets another object die by its count, whose finalizer brings it back: it does not run
 * again when its turn in the collection comes. */
static void test_finalizers_run_once(void **state)
{
    (void)state;
    cairn_type cutting = pair_type;
    cutting.finalize = cut;
    cairn_type saving = pair_type;
    saving.finalize = save;
    cairn_runtime *runtime = start();
    struct pair *first = (struct pair *)(void *)cairn_object_new(runtime, &cutting, 0);
    cairn_object *second = cairn_object_new(runtime, &saving, 0);
    assert_true((uintptr_t)first < (uintptr_t)second); /* its turn comes first */
    cairn_set(&first->first, &first->object);
    first->second = second;
    cairn_decref(&first->object);
    assert_int_equal(cairn_collect(runtime, 2), 1);
    assert_int_equal(finalized, 2);
    assert_ptr_equal(saved, second);
    cairn_clear(&saved);
    assert_int_equal(finalized, 2);
    assert_int_equal(died, 2);
    end(runtime);
}

static void test_deferred(void **state)
{
    (void)state;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.deferred = true;
    options.sweep_most = 10;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    died = 0;
    struct pair *pair = make_pair(runtime);
    cairn_weak *weak = cairn_weak_new(&pair->object, NULL, NULL);
    for (int i = 0; i < 9; i++) {
        cairn_decref(&make_pair(runtime)->object);
    }
    cairn_decref(&pair->object);
    assert_int_equal(died, 0);
    assert_true(cairn_weak_is_dead(weak)); /* at once, swept or not */
    assert_null(cairn_weak_get(weak));
    cairn_runtime_poll(runtime);
    assert_int_equal(died, 0); /* no more are queued than wait for a sweep */
    assert_int_equal(cairn_runtime_sweep(runtime, 4), 6);
    assert_int_equal(died, 4);
    for (int i = 0; i < 5; i++) {
        cairn_decref(&make_pair(runtime)->object);
    }
    cairn_runtime_poll(runtime);
    assert_int_equal(died, 14);
    cairn_runtime_set_deferred(runtime, false);
    assert_int_equal(died, 15);
    cairn_decref(&make_pair(runtime)->object);
    assert_int_equal(died, 16);
    cairn_decref(&weak->object);
    end(runtime);
}

/* ---- types ---- */

static void test_type_errors(void **state)
{
    (void)state;
    assert_null(cairn_type_error(&pair_type));
    assert_null(cairn_type_error(&text_type));
    assert_null(cairn_type_error(cairn_weak_type()));
    assert_null(cairn_type_error(cairn_weak_table_type()));
    assert_non_null(cairn_type_error(NULL));
    cairn_type bad = pair_type;
    bad.struct_size--;
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.name = NULL;
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.size = 8;
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.reference_count = 4;
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.reference_offset = 20;
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.weak_offset = sizeof(struct pair);
    assert_non_null(cairn_type_error(&bad));
    bad = pair_type;
    bad.flags = CAIRN_TYPE_NO_ZERO;
    assert_non_null(cairn_type_error(&bad));
    bad.flags |= CAIRN_TYPE_UNTRACKED;
    assert_null(cairn_type_error(&bad));
}

static size_t repr_of_pair(cairn_object *self, char *text, size_t size)
{
    (void)self;
    return (size_t)snprintf(text, size, "(a, b)");
}

static bool hash_of_text(cairn_object *self, uint64_t *hash)
{
    *hash = ((struct text *)(void *)self)->length;
    return true;
}

static bool texts_equal(cairn_object *a, cairn_object *b)
{
    return ((struct text *)(void *)a)->length == ((struct text *)(void *)b)->length;
}

/* Knows objects of every type. */
static bool equals_all(cairn_object *a, cairn_object *b)
{
    return a->type->equal == equals_all && b != NULL;
}

static void test_repr_hash_equal(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    struct pair *pair = make_pair(runtime);
    char text[64], expected[64];
    (void)snprintf(expected, sizeof expected, "<pair at %p>", (void *)pair);
    assert_int_equal(cairn_object_repr(&pair->object, text, sizeof text), strlen(expected));
    assert_string_equal(text, expected);
    assert_int_equal(cairn_object_repr(NULL, text, 3), 4);
    assert_string_equal(text, "NU");
    cairn_type type = pair_type;
    type.repr = repr_of_pair;
    cairn_object *other = cairn_object_new(runtime, &type, 0);
    (void)cairn_object_repr(other, text, sizeof text);
    assert_string_equal(text, "(a, b)");
    assert_true(cairn_object_equal(other, other));
    assert_false(cairn_object_equal(other, &pair->object));
    uint64_t a, b;
    assert_int_equal(cairn_object_hash(other, &a), 0);
    assert_int_equal(cairn_object_hash(&pair->object, &b), 0);
    assert_int_not_equal(a, b);
    cairn_type value = text_type;
    value.hash = hash_of_text;
    value.equal = texts_equal;
    struct text *x = (struct text *)(void *)cairn_object_new(runtime, &value, 3);
    struct text *y = (struct text *)(void *)cairn_object_new(runtime, &value, 30);
    x->length = y->length = 5;
    assert_true(cairn_object_equal(&x->object, &y->object));
    type.equal = equals_all; /* either side may know the other */
    y->length = 6;
    assert_true(cairn_object_equal(other, &pair->object));
    assert_true(cairn_object_equal(&pair->object, other));
    assert_false(cairn_object_equal(&x->object, &y->object));
    assert_int_equal(cairn_object_hash(&x->object, &a), 0);
    assert_int_equal(a, 5);
    cairn_decref(&x->object);
    cairn_decref(&y->object);
    cairn_decref(other);
    cairn_decref(&pair->object);
    end(runtime);
}

/* Every size, small, medium, large and huge, of atoms and containers. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 480, 512, 1000, 4000, 5000, 70000, 1000000, 5000000};
    cairn_type wide = pair_type;
    wide.item_size = 1;
    cairn_runtime *runtime = start();
    cairn_object *objects[2 * COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        const cairn_type *type = i % 2 ? &wide : &text_type;
        objects[i] = cairn_object_new(runtime, type, sizes[i / 2]);
        assert_non_null(objects[i]);
        assert_true(aligned_to(objects[i], 16));
        assert_true(cairn_object_usable_size(objects[i]) >= type->size + sizes[i / 2]);
        assert_true(bytes_are((char *)objects[i] + type->size, 0, sizes[i / 2]));
        bytes_fill((char *)objects[i] + type->size, (int)i, sizes[i / 2]);
        assert_int_equal(cairn_object_is_tracked(objects[i]), i % 2);
        assert_ptr_equal(cairn_object_runtime(objects[i]), runtime);
    }
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        assert_true(bytes_are((char *)objects[i] + objects[i]->type->size, (int)i, sizes[i / 2]));
        cairn_decref(objects[i]);
    }
    assert_int_equal(died, COUNT_OF(objects));
    assert_null(cairn_object_new(runtime, &text_type, SIZE_MAX / 2));
    assert_int_equal(errno, ENOMEM);
    end(runtime);
}

/* ---- kept for reuse ---- */

static void test_alignment(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    cairn_type type = text_type;
    cairn_object *objects[16];
    void *parts[16];
    for (size_t size = sizeof(cairn_object); size < 20000; size += size < 1024 ? 8 : 1000) {
        size_t alignment = size % 16 ? 8 : 16;
        type.size = size;
        for (size_t i = 0; i < 16; i++) {
            objects[i] = cairn_object_new(runtime, &type, 0);
            parts[i] = cairn_runtime_alloc(runtime, size);
            assert_int_equal((uintptr_t)objects[i] % alignment, 0);
            assert_int_equal((uintptr_t)parts[i] % alignment, 0);
        }
        for (size_t i = 0; i < 16; i++) {
            cairn_decref(objects[i]);
            cairn_runtime_free(runtime, parts[i]);
        }
    }
    cairn_runtime_destroy(runtime);
}

static void test_free_lists(void **state)
{
    (void)state;
    cairn_type type = text_type;
    type.item_size = 8;
    type.free_list_most = 3;
    cairn_runtime *runtime = start();
    cairn_object *objects[5];
    for (size_t i = 0; i < 5; i++) {
        objects[i] = cairn_object_new(runtime, &type, 2);
    }
    for (size_t i = 0; i < 5; i++) {
        cairn_decref(objects[i]);
    }
    cairn_runtime_stats stats;
    cairn_runtime_get_stats(runtime, &stats);
    size_t kept = stats.cached_bytes;
    assert_int_equal(kept, 3 * 40);
    cairn_object *again = cairn_object_new(runtime, &type, 2);
    assert_ptr_equal(again, objects[2]); /* the last one kept */
    assert_true(bytes_are((char *)again + sizeof(cairn_object), 0, 24));
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.cached_bytes, 2 * 40);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    (void)cairn_object_trim(runtime);
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.cached_bytes, 0);
    assert_int_equal(stats.cached_peak, kept);
    cairn_decref(again);
    (void)cairn_collect(runtime, 2);
    cairn_runtime_get_stats(runtime, &stats);
    assert_int_equal(stats.cached_bytes, 0);
    end(runtime);
}

static cairn_object *kept_pair;

static bool keep_one(cairn_runtime *runtime, cairn_object *dead)
{
    (void)runtime;
    if (kept_pair) {
        return false;
    }
    kept_pair = dead;
    return true;
}

static void test_keep_hook(void **state)
{
    (void)state;
    cairn_type type = pair_type;
    type.keep = keep_one;
    cairn_runtime *runtime = start();
    cairn_object *object = cairn_object_new(runtime, &type, 0);
    cairn_decref(object);
    assert_ptr_equal(kept_pair, object);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    assert_ptr_equal(cairn_object_reuse(runtime, &type, object), object);
    assert_int_equal(cairn_count(object), 1);
    assert_false(cairn_object_is_tracked(object));
    cairn_object_track(object);
    cairn_decref(object); /* no room: freed */
    cairn_object *second = cairn_object_new(runtime, &type, 0);
    kept_pair = NULL;
    cairn_decref(second);
    assert_ptr_equal(kept_pair, second);
    cairn_object_free_block(runtime, &type, second);
    kept_pair = NULL;
    assert_int_equal(died, 3);
    end(runtime);
}

/* ---- the end of a runtime ---- */

static unsigned order[8];
static unsigned ends;

struct numbered {
    cairn_object object;
    unsigned number;
};

static void note_order(cairn_object *self)
{
    order[ends++] = ((struct numbered *)(void *)self)->number;
}

static void test_end_reports_what_is_kept(void **state)
{
    (void)state;
    static const cairn_type numbered = {
        .struct_size = sizeof(cairn_type),
        .name = "numbered",
        .size = sizeof(struct numbered),
        .finalize = note_order,
        .dealloc = note_death,
    };
    static const cairn_type numbered_pair = {
        .struct_size = sizeof(cairn_type),
        .name = "numbered pair",
        .size = sizeof(struct numbered) + 2 * sizeof(cairn_object *),
        .reference_offset = sizeof(struct numbered),
        .reference_count = 2,
        .finalize = note_order,
    };
    cairn_runtime *runtime = start();
    ends = 0;
    for (unsigned i = 0; i < 3; i++) { /* atoms first, but containers are finalized first */
        ((struct numbered *)(void *)cairn_object_new(runtime, &numbered, 0))->number = 10 + i;
    }
    struct numbered *dies = (struct numbered *)(void *)cairn_object_new(runtime, &numbered, 0);
    cairn_object *last = NULL;
    for (unsigned i = 0; i < 3; i++) {
        last = cairn_object_new(runtime, &numbered_pair, 0);
        ((struct numbered *)(void *)last)->number = i;
    }
    char address[32];
    (void)snprintf(address, sizeof address, " %p\n", (void *)last);
    cairn_decref(&dies->object);
    assert_int_equal(ends, 1);
    ends = 0;
    assert_non_null(cairn_runtime_alloc(runtime, 100));
    char report[2000] = "";
    FILE *out = fmemopen(report, sizeof report, "w");
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, out, &result), 0);
    (void)fclose(out);
    assert_int_equal(ends, 6);
    static const unsigned expected[] = {0, 1, 2, 10, 11, 12};
    assert_memory_equal(order, expected, sizeof expected);
    assert_int_equal(died, 1); /* what is kept is finalized, not deallocated */
    assert_int_equal(result.kept_objects, 6);
    assert_int_equal(result.kept_blocks, 1);
    assert_true(result.pools > 0 && result.arenas > 0);
    assert_int_equal(result.mapped_bytes, result.returned_bytes);
    assert_non_null(strstr(report, "6 objects kept"));
    assert_non_null(strstr(report, "numbered pair:"));
    assert_non_null(strstr(report, address));
    assert_non_null(strstr(report, "1 block kept"));
}

/* Blocks are reported also where no object is kept; where nothing is, nothing is written. */
static void test_end_reports_blocks_alone(void **state)
{
    (void)state;
    static const size_t sizes[] = {100, 5000, 3000000}; /* small, large and huge */
    for (size_t count = 0; count <= COUNT_OF(sizes); count++) {
        cairn_runtime *runtime = start();
        for (size_t i = 0; i < count; i++) {
            assert_non_null(cairn_runtime_alloc(runtime, sizes[i]));
        }
        char report[400] = "", expected[32];
        FILE *out = fmemopen(report, sizeof report, "w");
        cairn_runtime_end result;
        assert_int_equal(cairn_runtime_destroy_checked(runtime, out, &result), 0);
        (void)fclose(out);
        assert_int_equal(result.kept_objects, 0);
        assert_int_equal(result.kept_blocks, count);
        (void)snprintf(expected, sizeof expected, "%zu block%s kept", count, count == 1 ? "" : "s");
        assert_int_equal(strstr(report, expected) != NULL, count > 0);
        assert_null(strstr(report, "objects"));
        assert_true(count > 0 || report[0] == 0);
    }
}

static unsigned called;
static cairn_weak *watched[2];
static bool alive_at_last[2];

static void note_call(cairn_weak *weak, cairn_object *context)
{
    (void)weak;
    (void)context;
    called++;
}

static void look_at_watched(cairn_cache *cache)
{
    assert_int_equal(cache->count, 1); /* is left there: so it is asked again */
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        alive_at_last[i] = !cairn_weak_is_dead(watched[i]);
    }
}

/* Weak references to what is kept are alive while finalizers run, then cleared, and nobody is called. Caches are emptied
 * by the last collections, and once more behind that. */
static void test_weak_references_at_the_end(void **state)
{
    (void)state;
    static cairn_cache cache;
    cairn_runtime *runtime = start();
    struct pair *pair = make_pair(runtime);
    watched[0] = cairn_weak_new(&pair->object, note_call, NULL);
    watched[1] = cairn_weak_new(&pair->object, NULL, NULL);
    cache = (cairn_cache){.name = "watch", .empty = look_at_watched};
    cairn_cache_add(runtime, &cache);
    cache.count = 1;
    called = 0;
    assert_int_equal(cairn_collect(runtime, 2), 0);
    assert_true(alive_at_last[0] && alive_at_last[1]);
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &result), 0);
    assert_false(alive_at_last[0] || alive_at_last[1]);
    assert_int_equal(called, 0);
    assert_int_equal(died, 0);
    assert_int_equal(result.kept_objects, 3);
}

/* Finalizers at the end make, drop and bring back objects. */
static void unruly(cairn_object *self)
{
    cairn_runtime *runtime = cairn_object_runtime(self);
    for (int i = 0; i < 50; i++) {
        cairn_object *object = cairn_object_new(runtime, &text_type, 100);
        cairn_xdecref(object);
        object = cairn_object_new(runtime, &pair_type, 0);
        cairn_xdecref(object);
    }
    struct pair *pair = (struct pair *)(void *)self;
    cairn_clear(&pair->second);
    cairn_set(&saved, self);
    finalized++;
}

static void test_unruly_finalizers_at_the_end(void **state)
{
    (void)state;
    cairn_type type = pair_type;
    type.finalize = unruly;
    cairn_runtime *runtime = start();
    cairn_object *last = NULL;
    for (int i = 0; i < 500; i++) {
        struct pair *pair = (struct pair *)(void *)cairn_object_new(runtime, &type, 0);
        cairn_set(&pair->first, last);
        pair->second = last; /* the reference given away: each is held by the next one only */
        last = &pair->object;
    }
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &result), 0);
    assert_int_equal(finalized, 500);
    assert_int_equal(result.mapped_bytes, result.returned_bytes);
}

/* The first finalizer lets everything after it go. */
static void test_finalizers_that_free_what_follows(void **state)
{
    (void)state;
    cairn_type type = pair_type;
    type.finalize = unruly;
    cairn_runtime *runtime = start();
    struct pair *first = (struct pair *)(void *)cairn_object_new(runtime, &type, 0);
    struct pair *last = first;
    for (int i = 1; i < 3000; i++) {
        struct pair *pair = (struct pair *)(void *)cairn_object_new(runtime, &type, 0);
        last->second = &pair->object;
        last = pair;
    }
    cairn_runtime_end result;
    assert_int_equal(cairn_runtime_destroy_checked(runtime, NULL, &result), 0);
    assert_int_equal(finalized, 3000);
    assert_int_equal(result.mapped_bytes, result.returned_bytes);
}

static void test_start_and_stop(void **state)
{
    (void)state;
    size_t before = os_fake_reserved_bytes();
    for (size_t i = 0; i < test_scaled(10000); i++) {
        cairn_runtime *runtime = cairn_runtime_create(NULL);
        assert_non_null(runtime);
        struct pair *pair = make_pair(runtime);
        cairn_set(&pair->first, &pair->object);
        if (i % 2) {
            cairn_decref(&pair->object);
        }
        cairn_runtime_destroy(runtime);
        if (i == 0) {
            before = os_fake_reserved_bytes(); /* the page map's leaves stay */
        }
    }
    assert_int_equal(os_fake_reserved_bytes(), before);
    cairn_runtime_destroy(NULL);
}

static void test_two_runtimes(void **state)
{
    (void)state;
    cairn_runtime *one = start();
    cairn_runtime *two = start();
    struct pair *a = make_pair(one);
    struct pair *b = make_pair(two);
    cairn_set(&a->first, &a->object);
    cairn_set(&b->first, &b->object);
    cairn_decref(&a->object);
    cairn_decref(&b->object);
    assert_int_equal(cairn_collect(one, 2), 1);
    assert_int_equal(died, 1);
    assert_ptr_equal(cairn_object_runtime(&b->object), two);
    end(one);
    assert_int_equal(cairn_collect(two, 2), 1);
    end(two);
}

static void test_options(void **state)
{
    (void)state;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.struct_size = 4;
    assert_null(cairn_runtime_create(&options));
    assert_int_equal(errno, EINVAL);
    options = (cairn_runtime_options)CAIRN_RUNTIME_OPTIONS_INIT;
    options.sweep_most = 0;
    assert_null(cairn_runtime_create(&options));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(cairn_runtime_destroy_checked(NULL, NULL, NULL), EINVAL);
}

/* A runtime in given memory works, and fails cleanly when that is full. */
static void test_given_memory(void **state)
{
    (void)state;
    static _Alignas(4096) char memory[4 << 20];
    cairn_heap_options heap = CAIRN_HEAP_OPTIONS_INIT;
    heap.memory = memory;
    heap.memory_size = sizeof memory;
    cairn_runtime_options options = CAIRN_RUNTIME_OPTIONS_INIT;
    options.heap = &heap;
    cairn_runtime *runtime = cairn_runtime_create(&options);
    assert_non_null(runtime);
    died = 0;
    unsigned made = 0;
    cairn_object *chain = NULL;
    for (cairn_object *object; (object = cairn_object_new(runtime, &pair_type, 0)); made++) {
        ((struct pair *)(void *)object)->first = chain;
        chain = object;
    }
    assert_int_equal(errno, ENOMEM);
    assert_true(made > 30000);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_decref(chain);
    assert_int_equal(died, made);
    assert_int_equal(cairn_runtime_check(runtime, stderr), 0);
    cairn_runtime_destroy(runtime);
}

static void test_statistics_print(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    cairn_decref(&make_pair(runtime)->object);
    char text[8000] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_int_equal(cairn_runtime_print_stats(runtime, out), 0);
    (void)fclose(out);
    assert_non_null(strstr(text, "objects: 1 made, 1 died"));
    out = fmemopen(text, sizeof text, "w");
    assert_int_equal(cairn_runtime_print_stats_json(runtime, out), 0);
    (void)fclose(out);
    assert_non_null(strstr(text, "\"objects_made\": 1, \"objects_died\": 1"));
    end(runtime);
}

/* Makes one object of each kind with a cache of its own, in the caches' order; `dict` has one entry. */
static void make_one_of_each_kind(cairn_runtime *runtime, cairn_object *made[6])
{
    made[0] = cairn_int_new(runtime, 5000);
    made[1] = cairn_float_new(runtime, 0.5);
    made[2] = cairn_tuple_new(runtime, &made[0], 1);
    made[3] = cairn_list_new(runtime, &made[0], 1);
    made[4] = cairn_dict_new(runtime);
    made[5] = cairn_hashset_new(runtime);
    for (size_t i = 0; i < 6; i++) {
        assert_non_null(made[i]);
    }
    assert_int_equal(cairn_dict_set(made[4], made[0], made[1]), 0);
}

/* Each kind has its line, with the bytes of the one object of it that is kept for reuse. */
static void test_statistics_of_each_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"int", "float", "tuple", "list", "dict", "set"};
    cairn_runtime *runtime = start();
    cairn_object *made[6];
    size_t bytes[6];
    make_one_of_each_kind(runtime, made);
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        bytes[i] = cairn_object_usable_size(made[i]);
    }
    for (size_t i = COUNT_OF(made); i-- > 0;) {
        cairn_decref(made[i]);
    }
    static char text[8000], json[8000];
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_int_equal(cairn_runtime_print_stats(runtime, out), 0);
    (void)fclose(out);
    out = fmemopen(json, sizeof json, "w");
    assert_int_equal(cairn_runtime_print_stats_json(runtime, out), 0);
    (void)fclose(out);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "\n%-24s %12d %12zu %12d ", names[i], 1, bytes[i], 0);
        assert_non_null(strstr(text, expected));
        (void)snprintf(expected, sizeof expected, "{\"name\": \"%s\", \"count\": 1, \"bytes\": %zu, \"hits\": 0, ",
                       names[i], bytes[i]);
        assert_non_null(strstr(json, expected));
    }
    end(runtime);
}

static bool count_all(cairn_object *object, void *arg)
{
    size_t *counts = arg;
    counts[cairn_type_is_container(object->type)]++;
    return true;
}

static void test_visit_objects(void **state)
{
    (void)state;
    cairn_runtime *runtime = start();
    cairn_object *objects[90];
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        objects[i] = i % 3 ? cairn_object_new(runtime, &text_type, i % 7 * 1000)
                           : cairn_object_alloc(runtime, &pair_type, 0);
    }
    size_t counts[2] = {0, 0};
    assert_true(cairn_runtime_visit_objects(runtime, count_all, counts));
    assert_int_equal(counts[0], 60);
    assert_int_equal(counts[1], 30);
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        if (i % 3 == 0) { /* not tracked, and undefined until now */
            struct pair *pair = (struct pair *)(void *)objects[i];
            pair->first = pair->second = NULL;
        }
        cairn_decref(objects[i]);
    }
    end(runtime);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_address_is_reused),
        cmocka_unit_test(test_immortal),
        cmocka_unit_test(test_deep_structures),
        cmocka_unit_test(test_deep_cycle),
        cmocka_unit_test(test_resurrection),
        cmocka_unit_test(test_finalizers_run_once),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_type_errors),
        cmocka_unit_test(test_repr_hash_equal),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_free_lists),
        cmocka_unit_test(test_keep_hook),
        cmocka_unit_test(test_end_reports_what_is_kept),
        cmocka_unit_test(test_end_reports_blocks_alone),
        cmocka_unit_test(test_weak_references_at_the_end),
        cmocka_unit_test(test_unruly_finalizers_at_the_end),
        cmocka_unit_test(test_finalizers_that_free_what_follows),
        cmocka_unit_test(test_start_and_stop),
        cmocka_unit_test(test_two_runtimes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_given_memory),
        cmocka_unit_test(test_statistics_print),
        cmocka_unit_test(test_statistics_of_each_kind),
        cmocka_unit_test(test_visit_objects),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : os_fake_faults() != 0;
}
