/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_region.c: where a heap's memory comes from: made beforehand, kept, shared with another heap, or given by the
 * caller. Calls into the system, arenas and bytes are counted exactly, and what was taken is given back to the byte. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cairn_handle.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { ARENA = 256 * 1024, BLOCK = 512, IN_ARENA = ARENA / BLOCK };

static cairn_geometry classic;

/* Options of a single heap with classic arenas that gives back at once. */
static cairn_heap_options classic_options(void)
{
    cairn_heap_options options = options_of_preset("classic", &classic);
    options.single = true;
    options.purge_delay_ms = 0;
    return options;
}

static cairn_heap *made(const cairn_heap_options *options)
{
    cairn_heap *heap = cairn_heap_create(options);
    assert_non_null(heap);
    return heap;
}

static void refused(const cairn_heap_options *options, int error)
{
    size_t bytes = os_fake_reserved_bytes();
    errno = 0;
    cairn_heap *heap = cairn_heap_create(options);
    assert_null(heap);
    assert_int_equal(errno, error);
    assert_int_equal(os_fake_reserved_bytes(), bytes);
}

/* The page map keeps a leaf for each GiB it has seen: this makes those of the neighbourhood, and the table of the
 * thread, beforehand, so that bytes can be compared. */
static int settle(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        cairn_heap *heap = cairn_heap_create(NULL);
        void *block = heap ? cairn_alloc(heap, MIB(64)) : NULL;
        void *small = heap ? cairn_alloc(heap, 1) : NULL;
        require(block != NULL && small != NULL);
        cairn_heap_destroy(heap);
    }
    os_fake_reset();
    return 0;
}

/* ---- made beforehand ---- */

static void reserve_makes_whole_arenas_at_creation(void **state)
{
    (void)state;
    only_with_pools();
    size_t bytes = os_fake_reserved_bytes();
    cairn_heap_options options = classic_options();
    options.reserve = 3 * ARENA + 1;
    cairn_heap *heap = made(&options);
    assert_int_equal(stats_of(heap)->arenas, 4);
    assert_int_equal(stats_of(heap)->reserved_bytes, 4 * ARENA);
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    struct os_fake_calls before = os_fake_calls();
    for (size_t i = 0; i < 4 * IN_ARENA; i++) {
        void *block = cairn_alloc(heap, BLOCK);
        assert_non_null(block);
    }
    assert_int_equal(os_fake_calls().reserve, before.reserve); /* none of these needed the system's addresses */
    void *block = cairn_alloc(heap, BLOCK);
    assert_non_null(block);
    assert_int_equal(os_fake_calls().reserve, before.reserve + 1);
    assert_int_equal(stats_of(heap)->arenas, 5);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_int_equal(os_fake_reserved_bytes(), bytes);
}

static void reserve_without_pools_makes_segments(void **state)
{
    (void)state;
    size_t bytes = os_fake_reserved_bytes();
    cairn_heap_options options = classic_options();
    options.no_pools = true;
    options.reserve = MIB(40);
    cairn_heap *heap = made(&options);
    assert_true(stats_of(heap)->segment_bytes >= MIB(40));
    assert_int_equal(stats_of(heap)->segments, 1);
    assert_int_equal(stats_of(heap)->arenas, 0);
    struct os_fake_calls before = os_fake_calls();
    for (size_t i = 0; i < 39; i++) {
        void *block = cairn_alloc(heap, MIB(1));
        assert_non_null(block);
    }
    assert_int_equal(os_fake_calls().reserve, before.reserve);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_int_equal(os_fake_reserved_bytes(), bytes);
}

static void prefault_touches_what_was_reserved(void **state)
{
    (void)state;
    for (int no_pools = 0; no_pools < 2; no_pools++) {
        cairn_heap_options options = classic_options();
        options.no_pools = no_pools;
        options.reserve = MIB(2);
        cairn_heap *cold = made(&options);
        assert_true(stats_of(cold)->resident_bytes <= KIB(64));
        cairn_heap_destroy(cold);
        options.prefault = true;
        cairn_heap *heap = made(&options);
        assert_true(stats_of(heap)->resident_bytes >= MIB(2));
        assert_int_equal(stats_of(heap)->resident_bytes, stats_of(heap)->reserved_bytes);
        unsigned char *block = cairn_calloc(heap, 1, 500);
        assert_non_null(block);
        assert_true(bytes_are(block, 0, 500));
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void what_cannot_be_reserved_fails_the_creation(void **state)
{
    (void)state;
    for (int no_pools = 0; no_pools < 2; no_pools++) {
        cairn_heap_options options = classic_options();
        options.no_pools = no_pools;
        options.reserve = MIB(4);
        options.prefault = true;
        size_t n = 0;
        for (;; n++) {
            os_fake_refuse_from(OS_FAKE_RESERVE | OS_FAKE_COMMIT, n);
            size_t bytes = os_fake_reserved_bytes();
            errno = 0;
            cairn_heap *heap = cairn_heap_create(&options);
            size_t said_no = os_fake_rule_refused();
            os_fake_refuse_none();
            if (heap != NULL) {
                assert_int_equal(said_no, 0);
                cairn_heap_destroy(heap);
                break;
            }
            assert_int_equal(errno, ENOMEM);
            assert_int_equal(os_fake_reserved_bytes(), bytes);
        }
        assert_true(n > 4);
    }
}

static void options_that_exclude_each_other_are_einval(void **state)
{
    (void)state;
    static char memory[MIB(1)];
    cairn_heap *other = made(NULL);
    cairn_heap_options options = classic_options();
    options.prefault = true; /* nothing to touch */
    refused(&options, EINVAL);
    options = classic_options();
    options.limit = ARENA;
    options.reserve = ARENA + 1;
    refused(&options, EINVAL);
    options = classic_options();
    options.reserve = SIZE_MAX;
    refused(&options, EINVAL);
    options = classic_options();
    options.memory_size = sizeof memory; /* of what? */
    refused(&options, EINVAL);
    options.memory = memory;
    options.memory_size = 0;
    refused(&options, EINVAL);
    options.memory_size = SIZE_MAX;
    refused(&options, EINVAL);
    options.memory_size = sizeof memory;
    options.reserve = ARENA;
    refused(&options, EINVAL);
    options.reserve = 0;
    options.supply = other;
    refused(&options, EINVAL);
    cairn_heap_destroy(other);
}

/* ---- kept ---- */

static void **fill_arenas(cairn_heap *heap, size_t arenas)
{
    void **blocks = malloc(arenas * IN_ARENA * sizeof blocks[0]);
    assert_non_null(blocks);
    for (size_t i = 0; i < arenas * IN_ARENA; i++) {
        blocks[i] = cairn_alloc(heap, BLOCK);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(stats_of(heap)->arenas, arenas);
    return blocks;
}

static void free_all(cairn_heap *heap, void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cairn_free(heap, blocks[i]);
    }
    free(blocks);
}

static void at_most_n_free_arenas_are_kept(void **state)
{
    (void)state;
    only_with_pools();
    for (unsigned keep = 0; keep <= 6; keep++) {
        cairn_heap_options options = classic_options();
        options.keep_free_arenas = keep;
        cairn_heap *heap = made(&options);
        free_all(heap, fill_arenas(heap, 5), 5 * IN_ARENA);
        size_t kept = keep < 5 ? keep : 5;
        assert_int_equal(stats_of(heap)->arenas, kept);
        assert_int_equal(stats_of(heap)->arenas_released, 5 - kept);
        struct os_fake_calls before = os_fake_calls();
        free_all(heap, fill_arenas(heap, 5), 5 * IN_ARENA);
        assert_int_equal(os_fake_calls().reserve - before.reserve, 5 - kept);
        cairn_trim(heap);
        assert_int_equal(stats_of(heap)->arenas, 0);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
}

static void as_many_free_segments_are_kept(void **state)
{
    (void)state;
    for (unsigned keep = 0; keep <= 3; keep++) {
        cairn_heap_options options = classic_options();
        options.keep_free_arenas = keep;
        cairn_heap *heap = made(&options);
        void *blocks[15];
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = cairn_alloc(heap, MIB(3));
            assert_non_null(blocks[i]);
        }
        assert_int_equal(stats_of(heap)->segments, 3);
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            cairn_free(heap, blocks[i]);
        }
        assert_int_equal(stats_of(heap)->segments, keep);
        cairn_heap_destroy(heap);
    }
}

/* ---- shared ---- */

static cairn_heap *sharing(cairn_heap *other, bool single)
{
    cairn_heap_options options = classic_options();
    options.single = single;
    options.keep_free_arenas = 0;
    options.supply = other;
    return made(&options);
}

static void free_arenas_pass_between_heaps_that_share_a_supply(void **state)
{
    (void)state;
    only_with_pools();
    size_t bytes = os_fake_reserved_bytes();
    cairn_heap *a = sharing(NULL, true);
    cairn_heap *b = sharing(a, true);
    void **blocks = fill_arenas(a, 7);
    struct os_fake_calls before = os_fake_calls();
    free_all(a, blocks, 7 * IN_ARENA);
    assert_int_equal(os_fake_calls().release, before.release); /* none went to the system */
    assert_int_equal(stats_of(a)->arenas, 0);
    assert_int_equal(stats_of(a)->reserved_bytes, 0);
    assert_int_equal(stats_of(a)->arenas_released, 7);
    blocks = fill_arenas(b, 7);
    assert_int_equal(os_fake_calls().reserve, before.reserve);
    assert_int_equal(stats_of(b)->arenas_created, 7);
    assert_ptr_equal(cairn_heap_of(blocks[0]), b);
    heap_is_sound(a);
    heap_is_sound(b);
    free_all(b, blocks, 7 * IN_ARENA);
    free_all(a, fill_arenas(a, 7), 7 * IN_ARENA); /* and back */
    assert_int_equal(os_fake_calls().reserve, before.reserve);
    cairn_heap_destroy(a);
    free_all(b, fill_arenas(b, 7), 7 * IN_ARENA); /* the supply outlives the heap it came from */
    assert_int_equal(os_fake_calls().reserve, before.reserve);
    cairn_heap_destroy(b);
    assert_int_equal(os_fake_reserved_bytes(), bytes);
}

static void arenas_from_a_supply_hold_no_pages_and_no_old_contents(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *a = sharing(NULL, true);
    cairn_heap *b = sharing(a, true);
    void **blocks = fill_arenas(a, 2);
    for (size_t i = 0; i < 2 * IN_ARENA; i++) {
        bytes_fill(blocks[i], 0xAB, BLOCK);
    }
    free_all(a, blocks, 2 * IN_ARENA);
    unsigned char *block = cairn_alloc(b, BLOCK);
    assert_non_null(block);
    assert_true(stats_of(b)->resident_bytes <= KIB(8));
    assert_int_equal(stats_of(b)->pools_untouched, 63);
    assert_true(bytes_are(block + 8, 0, BLOCK - 8));
    cairn_heap_destroy(a);
    cairn_heap_destroy(b);
}

static void a_trim_empties_the_supply(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *a = sharing(NULL, true);
    cairn_heap *b = sharing(a, true);
    free_all(a, fill_arenas(a, 5), 5 * IN_ARENA);
    size_t bytes = os_fake_reserved_bytes();
    assert_int_equal(cairn_trim(b), 5 * ARENA);
    assert_int_equal(os_fake_reserved_bytes(), bytes - 5 * ARENA);
    assert_int_equal(cairn_trim(a), 0);
    cairn_heap_destroy(a);
    cairn_heap_destroy(b);
}

static void arenas_of_other_sizes_are_left_to_those_who_use_them(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *a = sharing(NULL, true);
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.supply = a;
    cairn_heap *other = heap_with_pools(&options); /* arenas of 1 MiB */
    assert_non_null(other);
    free_all(a, fill_arenas(a, 3), 3 * IN_ARENA);
    struct os_fake_calls before = os_fake_calls();
    void *block = cairn_alloc(other, 100);
    assert_non_null(block);
    assert_true(os_fake_calls().reserve > before.reserve);
    assert_int_equal(stats_of(other)->reserved_bytes, MIB(1));
    cairn_heap_destroy(other);
    cairn_heap_destroy(a);
}

static void limits_of_heaps_that_share_are_their_own(void **state)
{
    (void)state;
    only_with_pools();
    cairn_heap *a = sharing(NULL, true);
    cairn_heap_options options = classic_options();
    options.supply = a;
    options.limit = ARENA;
    cairn_heap *b = made(&options);
    free_all(a, fill_arenas(a, 4), 4 * IN_ARENA);
    void **blocks = fill_arenas(b, 1);
    void *refusal = cairn_alloc(b, BLOCK);
    assert_null(refusal);
    assert_int_equal(stats_of(b)->held_bytes, ARENA);
    assert_int_equal(stats_of(a)->held_bytes, 0);
    free_all(b, blocks, IN_ARENA);
    cairn_heap_destroy(a);
    cairn_heap_destroy(b);
}

/* Each refusal on the way of arenas from heap to heap: nothing is lost. */
static void sharing_survives_every_refusal(void **state)
{
    (void)state;
    only_with_pools();
    for (size_t n = 0; n < 40; n++) {
        size_t bytes = os_fake_reserved_bytes();
        cairn_heap *a = sharing(NULL, true);
        void **blocks = fill_arenas(a, 3);
        os_fake_refuse_nth(OS_FAKE_ANY, n);
        cairn_heap_options options = classic_options();
        options.supply = a;
        cairn_heap *b = cairn_heap_create(&options);
        free_all(a, blocks, 3 * IN_ARENA);
        for (size_t i = 0; b != NULL && i < 3 * IN_ARENA; i++) {
            void *block = cairn_alloc(b, BLOCK);
            assert_true(block == NULL || cairn_usable_size(block) == BLOCK);
        }
        os_fake_refuse_none();
        heap_is_sound(a);
        if (b != NULL) {
            heap_is_sound(b);
        }
        cairn_heap_destroy(a);
        cairn_heap_destroy(b);
        assert_int_equal(os_fake_reserved_bytes(), bytes);
    }
}

struct sharer {
    cairn_heap *heap;
    uint64_t seed;
};

/* Fills and empties a few arenas over and over. */
static void *share(void *argument)
{
    struct sharer *sharer = argument;
    enum { MOST = 4 * IN_ARENA };
    void **blocks = malloc(MOST * sizeof blocks[0]);
    require(blocks != NULL);
    size_t rounds = test_scaled(60);
    for (size_t round = 0; round < rounds; round++) {
        size_t count = 1 + random_below(&sharer->seed, MOST);
        for (size_t i = 0; i < count; i++) {
            blocks[i] = cairn_alloc(sharer->heap, BLOCK);
            require(blocks[i] != NULL);
            pattern_fill(blocks[i], BLOCK, i);
        }
        for (size_t i = 0; i < count; i++) {
            require(pattern_holds(blocks[i], BLOCK, BLOCK, i));
            cairn_free(sharer->heap, blocks[i]);
        }
        if (random_chance(&sharer->seed, 5)) {
            cairn_trim(sharer->heap);
        }
    }
    free(blocks);
    return NULL;
}

static void threads_share_a_supply(void **state)
{
    (void)state;
    enum { HEAPS = 4 };
    size_t bytes = os_fake_reserved_bytes();
    cairn_heap *heaps[HEAPS];
    struct sharer sharers[2 * HEAPS];
    pthread_t threads[2 * HEAPS];
    for (size_t i = 0; i < HEAPS; i++) {
        heaps[i] = sharing(i ? heaps[i - 1] : NULL, false);
    }
    for (size_t i = 0; i < 2 * HEAPS; i++) {
        sharers[i] = (struct sharer){heaps[i % HEAPS], test_seed() + i};
        start_thread(&threads[i], share, &sharers[i]);
    }
    for (size_t i = 0; i < 2 * HEAPS; i++) {
        join_thread(threads[i]);
    }
    for (size_t i = 0; i < HEAPS; i++) {
        heap_is_sound(heaps[i]);
        assert_int_equal(stats_of(heaps[i])->live_blocks, 0);
        cairn_heap_destroy(heaps[i]);
    }
    assert_int_equal(os_fake_reserved_bytes(), bytes);
    assert_int_equal(os_fake_faults(), 0);
}

/* ---- in given memory ---- */

/* Memory that looks used, in the ledger, so that questions about it are none about foreign memory. */
static char *memory_of(size_t size)
{
    char *memory = os->reserve(size, MIB(1));
    assert_non_null(memory);
    assert_true(os->commit(memory, size));
    memset(memory, 0xE7, size);
    return memory;
}

static bool inside(const void *block, const char *memory, size_t size)
{
    return address_of(block) - address_of(memory) < size;
}

static size_t all_calls(void)
{
    struct os_fake_calls c = os_fake_calls();
    return c.reserve + c.commit + c.purge + c.release + c.remap + c.protect + c.advise;
}

/* Sizes that need pools, holes, and what elsewhere is mapped on its own. */
static const size_t mixed[] = {1, 8, 100, 500, 512, 700, 1024, 3000, 20000, KIB(100), KIB(700), MIB(5)};

enum { MOST = 200000 };
static void *held[MOST];
static size_t sizes[MOST];

/* Asks for blocks of `count` sizes in turn until each was refused; returns how many it got. */
static size_t fill_up(cairn_heap *heap, const char *memory, size_t size, const size_t *wanted, size_t count)
{
    size_t got = 0;
    size_t refusals = 0;
    for (size_t i = 0; refusals < count && got < MOST; i++) {
        errno = 0;
        void *block = cairn_alloc(heap, wanted[i % count]);
        if (block == NULL) {
            assert_int_equal(errno, ENOMEM);
            refusals++;
            continue;
        }
        refusals = 0;
        assert_true(inside(block, memory, size));
        assert_ptr_equal(cairn_heap_of(block), heap);
        sizes[got] = cairn_usable_size(block);
        pattern_fill(block, sizes[got], got);
        held[got++] = block;
    }
    assert_true(got < MOST);
    return got;
}

static size_t empty(cairn_heap *heap, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(pattern_holds(held[i], sizes[i], sizes[i], i));
        bytes += sizes[i];
        cairn_free(heap, held[i]);
    }
    return bytes;
}

static void live_in_a_region(const char *preset, bool single, bool no_pools)
{
    const size_t size = test_scale() < 10 ? MIB(8) : MIB(12);
    char *memory = memory_of(size + 2);
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset(preset, &geometry);
    options.single = single;
    options.no_pools = no_pools;
    options.purge_delay_ms = 0;
    options.memory = memory + 1; /* whole pages are used of it */
    options.memory_size = size;
    cairn_heap *heap = made(&options);
    size_t calls = all_calls();
    for (size_t round = 0; round < test_scaled(4); round++) {
        size_t many = fill_up(heap, memory, size, mixed, COUNT_OF(mixed));
        heap_is_sound(heap);
        assert_true(empty(heap, many) > size / 2);
        for (size_t i = test_scale() < 10 ? 6 : 0; i < COUNT_OF(mixed);
             i++) { /* each size alone may have nearly all of it */
            size_t alone = fill_up(heap, memory, size, &mixed[i], mixed[i] < 100 ? 0 : 1);
            heap_is_sound(heap);
            size_t bytes = empty(heap, alone);
            assert_true(mixed[i] < 100 || bytes > size / 3);
        }
        assert_int_equal(stats_of(heap)->live_blocks, 0);
    }
    assert_int_equal(all_calls(), calls); /* not one, not even in trims */
    cairn_heap_destroy(heap);
    assert_int_equal(all_calls(), calls);
    assert_true(memory[0] == (char)0xE7 && memory[size + 1] == (char)0xE7);
    memset(memory, 1, size + 2); /* still the caller's */
    assert_true(os->release(memory, size + 2));
}

static void a_heap_lives_in_given_memory(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < (test_scale() < 10 ? 1 : COUNT_OF(presets)); i++) {
        live_in_a_region(presets[i], true, false);
        live_in_a_region(presets[i], false, false);
    }
    live_in_a_region("default", true, true);
    live_in_a_region("default", false, true);
}

static void requests_of_every_kind_work_in_given_memory(void **state)
{
    (void)state;
    for (int no_pools = 0; no_pools < 2; no_pools++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_preset("default", &geometry);
        apply_policy(&options, &geometry);
        const size_t room = MIB(7) + geometry.arena_size;
        char *memory = memory_of(room);
        options.no_pools = no_pools;
        options.exact = true;
        options.memory = memory;
        options.memory_size = room;
        cairn_heap *heap = made(&options);
        for (size_t size = 0; size < 100000; size = size * 5 / 4 + 1) {
            unsigned char *block = cairn_calloc(heap, 1, size); /* the memory was not zero */
            assert_non_null(block);
            assert_true(bytes_are(block, 0, size));
            pattern_fill(block, size, size);
            block = cairn_realloc(heap, block, size * 3);
            assert_non_null(block);
            assert_true(pattern_holds(block, size, size, size));
            cairn_free(heap, block);
            for (size_t alignment = 8; alignment <= KIB(64); alignment *= 2) {
                void *aligned = cairn_alloc_aligned(heap, alignment, size);
                assert_non_null(aligned);
                assert_true(aligned_to(aligned, alignment) && inside(aligned, memory, room));
                cairn_free(heap, aligned);
            }
        }
        assert_int_equal(stats_of(heap)->live_bytes, 0);
        assert_int_equal(stats_of(heap)->huge_blocks, 0);
        cairn_trim(heap);
        assert_int_equal(stats_of(heap)->held_bytes, 0);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
        assert_true(os->release(memory, room));
    }
}

static void there_are_no_handles_in_given_memory(void **state)
{
    (void)state;
    char *memory = memory_of(MIB(2));
    cairn_heap_options options = classic_options();
    options.memory = memory;
    options.memory_size = MIB(2);
    cairn_heap *heap = made(&options);
    size_t calls = all_calls();
    errno = 0;
    assert_int_equal(cairn_handle_alloc(heap, 100), 0);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(all_calls(), calls);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_true(os->release(memory, MIB(2)));
}

/* Freed by another heap's rules, or from outside: told as elsewhere. */
static void misuse_is_seen_in_given_memory(void **state)
{
    (void)state;
    char *memory = memory_of(MIB(2));
    cairn_heap_options options = classic_options();
    options.memory = memory;
    options.memory_size = MIB(2);
    cairn_heap *heap = made(&options);
    char *large = cairn_alloc(heap, 3000);
    char *small = cairn_alloc(heap, 40);
    misuse_record_start();
    cairn_free(heap, memory); /* the heap's own records */
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_FOREIGN);
    cairn_free(heap, large + 16);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_INTERIOR);
    cairn_free(cairn_heap_default(), small);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_WRONG_HEAP);
    assert_int_equal(misuse_record_stop()->count, 3);
    cairn_free(heap, large);
    cairn_free(heap, small);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_null(cairn_heap_of(small)); /* the page map has forgotten it */
    assert_null(cairn_heap_of(large));
    assert_true(os->release(memory, MIB(2)));
}

static void memory_too_small_for_one_arena_is_einval(void **state)
{
    (void)state;
    const size_t page = os_page_size();
    char *memory = memory_of(MIB(2));
    const char *presets[] = {"classic", "default", "classic"};
    for (size_t i = 0; i < COUNT_OF(presets); i++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_preset(presets[i], &geometry);
        options.no_pools = i == 2;
        options.memory = memory;
        size_t least = 0;
        for (size_t size = i == 1 ? MIB(1) - page : 1; size < MIB(2) && least == 0; size += page) {
            options.memory_size = size;
            errno = 0;
            cairn_heap *heap = heap_with_pools(&options);
            if (heap == NULL) {
                assert_int_equal(errno, EINVAL);
                continue;
            }
            least = size;
            void *block = cairn_alloc(heap, 100);
            assert_non_null(block);
            heap_is_sound(heap);
            cairn_heap_destroy(heap);
        }
        size_t unit = options.no_pools ? page : geometry.arena_size;
        assert_true(least > unit && least <= unit + KIB(96)); /* as the header promises: records and one arena */
    }
    assert_true(os->release(memory, MIB(2)));
}

/* A heap in given memory that has no arena and no room for one, but a free block of 700 KiB. */
static cairn_heap *with_one_hole(char *memory, size_t size, bool single)
{
    static const size_t wanted[] = {KIB(700), KIB(700), 20000};
    cairn_geometry geometry; /* its arenas are larger than the block */
    cairn_heap_options options = options_of_preset("cpython", &geometry);
    options.single = single;
    options.memory = memory;
    options.memory_size = size;
    cairn_heap *heap = made(&options);
    size_t many = fill_up(heap, memory, size, wanted, COUNT_OF(wanted));
    assert_true(many > 3);
    assert_int_equal(stats_of(heap)->arenas, 0);
    cairn_free(heap, held[0]);
    return heap;
}

static void holes_serve_what_no_pool_can_also_when_aligned(void **state)
{
    (void)state;
    const size_t size = MIB(4);
    char *memory = memory_of(size);
    for (int single = 0; single < 2; single++) {
        cairn_heap *heap = with_one_hole(memory, size, single);
        uint64_t failed = stats_of(heap)->requests_failed;
        errno = 0;
        for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            char *block = cairn_alloc_aligned(heap, alignment, 100);
            assert_non_null(block);
            assert_true(inside(block, memory, size));
            assert_int_equal(address_of(block) % alignment, 0);
            cairn_free(heap, block);
        }
        assert_int_equal(errno, 0);
        assert_int_equal(stats_of(heap)->requests_failed, failed);
        assert_null(cairn_alloc_aligned(heap, 64, MIB(1)));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(stats_of(heap)->requests_failed, failed + 1);
        heap_is_sound(heap);
        cairn_heap_destroy(heap);
    }
    assert_true(os->release(memory, size));
}

static pthread_key_t late_key;

struct late {
    cairn_heap *heap;
    int rounds; /* of destructors to come */
    void *block;
};

/* Runs in each round of the thread's destructors; in the last of them the thread has no owner any more. */
static void ask_late(void *value)
{
    struct late *late = value;
    if (--late->rounds > 0) {
        (void)pthread_setspecific(late_key, late);
        return;
    }
    late->block = cairn_alloc(late->heap, 200);
}

static void *end_with_a_request(void *argument)
{
    struct late *late = argument;
    cairn_free(late->heap, cairn_alloc(late->heap, 48));
    (void)pthread_setspecific(late_key, late);
    return NULL;
}

static void holes_serve_a_thread_that_is_ending(void **state)
{
    (void)state;
    const size_t size = MIB(4);
    char *memory = memory_of(size);
    cairn_heap *heap = with_one_hole(memory, size, false);
    uint64_t failed = stats_of(heap)->requests_failed;
    struct late late = {heap, 3, NULL};
    pthread_t thread;
    assert_int_equal(pthread_key_create(&late_key, ask_late), 0);
    start_thread(&thread, end_with_a_request, &late);
    join_thread(thread);
    assert_non_null(late.block);
    assert_true(inside(late.block, memory, size));
    assert_int_equal(stats_of(heap)->requests_failed, failed);
    cairn_free(heap, late.block);
    assert_int_equal(pthread_key_delete(late_key), 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_true(os->release(memory, size));
}

static void *use_region(void *argument)
{
    struct sharer *sharer = argument;
    void *blocks[64] = {NULL};
    for (size_t i = 0; i < test_scaled(20000); i++) {
        size_t at = random_below(&sharer->seed, COUNT_OF(blocks));
        cairn_free(sharer->heap, blocks[at]);
        size_t size = random_below(&sharer->seed, random_chance(&sharer->seed, 10) ? 60000 : 600);
        blocks[at] = cairn_alloc(sharer->heap, size);
        if (blocks[at] != NULL) {
            bytes_fill(blocks[at], (int)i, size);
        }
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        cairn_free(sharer->heap, blocks[i]);
    }
    return NULL;
}

static void threads_use_a_heap_in_given_memory(void **state)
{
    (void)state;
    enum { SIZE = 6 * 1024 * 1024, THREADS = 6 };
    char *memory = memory_of(SIZE);
    cairn_heap_options options = classic_options();
    options.single = false;
    options.memory = memory;
    options.memory_size = SIZE;
    options.prefault = true;
    cairn_heap *heap = made(&options);
    struct sharer sharers[THREADS];
    pthread_t threads[THREADS];
    size_t calls = all_calls();
    for (size_t i = 0; i < THREADS; i++) {
        sharers[i] = (struct sharer){heap, test_seed() + i};
        start_thread(&threads[i], use_region, &sharers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        join_thread(threads[i]);
    }
    assert_int_equal(all_calls(), calls);
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
    assert_true(os->release(memory, SIZE));
    assert_int_equal(os_fake_faults(), 0);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserve_makes_whole_arenas_at_creation),
        cmocka_unit_test(reserve_without_pools_makes_segments),
        cmocka_unit_test(prefault_touches_what_was_reserved),
        cmocka_unit_test(what_cannot_be_reserved_fails_the_creation),
        cmocka_unit_test(options_that_exclude_each_other_are_einval),
        cmocka_unit_test(at_most_n_free_arenas_are_kept),
        cmocka_unit_test(as_many_free_segments_are_kept),
        cmocka_unit_test(free_arenas_pass_between_heaps_that_share_a_supply),
        cmocka_unit_test(arenas_from_a_supply_hold_no_pages_and_no_old_contents),
        cmocka_unit_test(a_trim_empties_the_supply),
        cmocka_unit_test(arenas_of_other_sizes_are_left_to_those_who_use_them),
        cmocka_unit_test(limits_of_heaps_that_share_are_their_own),
        cmocka_unit_test(sharing_survives_every_refusal),
        cmocka_unit_test(threads_share_a_supply),
        cmocka_unit_test(a_heap_lives_in_given_memory),
        cmocka_unit_test(requests_of_every_kind_work_in_given_memory),
        cmocka_unit_test(there_are_no_handles_in_given_memory),
        cmocka_unit_test(misuse_is_seen_in_given_memory),
        cmocka_unit_test(memory_too_small_for_one_arena_is_einval),
        cmocka_unit_test(threads_use_a_heap_in_given_memory),
        cmocka_unit_test(holes_serve_what_no_pool_can_also_when_aligned),
        cmocka_unit_test(holes_serve_a_thread_that_is_ending),
    };
    return cmocka_run_group_tests_name("region", tests, settle, NULL);
}
