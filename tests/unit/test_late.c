/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_late.c: a block of a single heap that is freed twice in a row is reported before it is served to two requests, and
 * the heap goes on: when the block is next served, at once if its pool looks empty, by the check, by a sweep. Heaps that
 * look at frees, exact ones and debug builds report at once. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn_object.h"
#include "heap/front.h"
#include "heap/owner.h"
#include "support/test.h"

enum { MOST = 6000, SIZE = 100 };

static cairn_heap *single_heap(const char *preset, bool exact)
{
    cairn_geometry geometry;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    assert_int_equal(cairn_geometry_preset(preset, &geometry), 0);
    options.geometry = &geometry;
    options.single = true;
    options.exact = exact;
    cairn_heap *heap = heap_with_pools(&options);
    assert_non_null(heap);
    return heap;
}

static const char *const presets[] = {"classic", "cpython", "default"};

/* Blocks in use, each with a pattern of its own. */
struct held {
    cairn_heap *heap;
    size_t count;
    struct {
        unsigned char *block;
        size_t size;
    } at[MOST];
};

static struct held *hold_none(cairn_heap *heap)
{
    static struct held held;
    held.heap = heap;
    held.count = 0;
    return &held;
}

static void hold(struct held *held, void *block, size_t size)
{
    assert_non_null(block);
    assert_true(held->count < MOST);
    pattern_fill(block, size, held->count);
    held->at[held->count].block = block;
    held->at[held->count++].size = size;
}

static void *ask(struct held *held, size_t size)
{
    void *block = cairn_alloc(held->heap, size);
    hold(held, block, size);
    return block;
}

/* Takes block i out of those held, unchanged. */
static void *let_go(struct held *held, size_t i)
{
    void *block = held->at[i].block;
    assert_true(pattern_holds(block, held->at[i].size, held->at[i].size, i));
    held->at[i].block = NULL;
    return block;
}

/* No block was given to two: more are asked for, all patterns hold, and all are freed without a word. */
static void goes_on(struct held *held, size_t size)
{
    heap_is_sound(held->heap);
    misuse_record_start();
    for (size_t i = 0; i < 1000; i++) {
        (void)ask(held, size);
    }
    for (size_t i = 0; i < held->count; i++) {
        if (held->at[i].block != NULL) {
            cairn_free(held->heap, let_go(held, i));
        }
    }
    assert_int_equal(misuse_record_stop()->count, 0);
    heap_is_sound(held->heap);
}

static void expect_reported(const void *block)
{
    const struct misuse_record *record = misuse_record_stop();
    assert_int_equal(record->count, 1);
    assert_int_equal(record->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    assert_string_equal(record->last.call, "free");
    assert_ptr_equal(record->last.address, block);
    assert_non_null(strstr(record->text, "double free"));
}

static void expect_found_at_once(cairn_heap *heap, void *block)
{
    misuse_record_start();
    cairn_free(heap, block);
    expect_reported(block);
    heap_is_sound(heap);
}

/* Frees a block twice. False if the second free is found at once, as in debug builds. */
static bool free_twice(struct held *held, size_t i)
{
    void *block = let_go(held, i);
    cairn_free(held->heap, block);
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
    expect_found_at_once(held->heap, block);
    return false;
#else
    misuse_record_start();
    cairn_free(held->heap, block);
    assert_int_equal(misuse_record_stop()->count, 0);
    return true;
#endif
}

/* Asks until a report comes, which must be that of `block`; whoever gets it then is the only one. */
static void ask_until_reported(struct held *held, size_t size, const void *block)
{
    misuse_record_start();
    while (misuse_record_now()->count == 0) {
        (void)ask(held, size);
    }
    expect_reported(block);
    assert_ptr_equal(held->at[held->count - 1].block, block);
}

enum { SEVERAL = 8 }; /* as many as a pool of any preset holds */

/* Asks for blocks up to the one with which its pool has several in use and no free one. Its index. */
static size_t use_up(struct held *held, size_t size)
{
    const struct pool *pool;
    do {
        pool = pagemap_get(ask(held, size));
    } while (!is_free_end(pool->free) || pool_used(pool) < SEVERAL);
    return held->count - 1;
}

static void found_when_served(const char *preset, size_t size, size_t before, size_t between)
{
    cairn_heap *heap = single_heap(preset, false);
    struct held *held = hold_none(heap);
    size_t last = use_up(held, size);
    for (size_t i = 1; i <= before; i++) {
        cairn_free(heap, let_go(held, last - i));
    }
    const void *block = held->at[last].block;
    if (free_twice(held, last)) {
        void *others[2];
        for (size_t i = 0; i < between; i++) {
            others[i] = let_go(held, last - before - 1 - i);
            cairn_free(heap, others[i]);
        }
        misuse_record_start();
        for (size_t i = between; i-- > 0;) {
            assert_ptr_equal(ask(held, size), others[i]);
        }
        assert_int_equal(misuse_record_now()->count, 0);
        assert_ptr_equal(ask(held, size), block);
        expect_reported(block);
    }
    goes_on(held, size);
    cairn_heap_destroy(heap);
}

static void it_is_found_when_the_block_is_served(void **state)
{
    (void)state;
    const size_t sizes[] = {8, SIZE, 512};
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            for (size_t i = 0; i < 6; i++) {
                found_when_served(presets[p], sizes[s], i % 2 * 3, i / 2);
            }
        }
    }
    found_when_served("default", 3000, 3, 1); /* more than the direct table knows */
    found_when_served("default", 3000, 0, 0);
}

static void it_is_found_in_a_pool_that_was_full(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = single_heap(presets[p], false);
        struct held *held = hold_none(heap);
        const struct pool *first = pagemap_get(ask(held, SIZE));
        while (first->state != STATE_FULL) {
            (void)ask(held, SIZE);
        }
        const void *block = held->at[0].block;
        if (free_twice(held, 0)) {
            ask_until_reported(held, SIZE, block);
        }
        goes_on(held, SIZE);
        cairn_heap_destroy(heap);
    }
}

/* The one list of free blocks ends with it; the pool that serves is another. */
static void it_is_found_in_a_pool_that_waits_for_its_turn(void **state)
{
    (void)state;
    cairn_heap *heap = single_heap("default", false);
    struct held *held = hold_none(heap);
    const struct pool *first = pagemap_get(ask(held, SIZE));
    while (held->count < 2 * (size_t)pool_capacity(first) + 1) {
        (void)ask(held, SIZE);
    }
    cairn_free(heap, let_go(held, 1));
    const void *block = held->at[0].block;
    if (free_twice(held, 0)) {
        ask_until_reported(held, SIZE, block);
    }
    goes_on(held, SIZE);
    cairn_heap_destroy(heap);
}

/* Counted twice, the block is the last in use: its pool must not go, another is. */
static void it_is_found_at_once_if_the_pool_looks_empty(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = single_heap(presets[p], false);
        struct held *held = hold_none(heap);
        (void)ask(held, SIZE);
        void *block = ask(held, SIZE);
        cairn_free(heap, let_go(held, 1));
        expect_found_at_once(heap, block);
        goes_on(held, SIZE);
        cairn_heap_destroy(heap);
    }
}

static void it_is_found_at_once_if_all_of_the_pool_is_free(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = single_heap(presets[p], false);
        struct held *held = hold_none(heap);
        (void)ask(held, 32); /* keeps the arena */
        void *block = ask(held, SIZE);
        cairn_free(heap, let_go(held, 1));
        expect_found_at_once(heap, block);
        goes_on(held, SIZE);
        assert_int_equal(stats_of(heap)->live_blocks, 0);
        cairn_heap_destroy(heap);
    }
}

static void exact_heaps_find_it_at_once(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(presets); p++) {
        cairn_heap *heap = single_heap(presets[p], true);
        struct held *held = hold_none(heap);
        (void)use_up(held, SIZE);
        for (size_t i = 1; i <= 2; i++) {
            void *block = let_go(held, i);
            cairn_free(heap, block);
            expect_found_at_once(heap, block);
        }
        goes_on(held, SIZE);
        assert_int_equal(stats_of(heap)->live_blocks, 0);
        cairn_heap_destroy(heap);
    }
}

static void heaps_that_look_at_frees_find_it_at_once(void **state)
{
    (void)state;
    cairn_heap *heap = single_heap("default", false);
    heap_look_at_frees(heap);
    struct held *held = hold_none(heap);
    (void)use_up(held, SIZE);
    for (size_t i = 1; i <= 2; i++) {
        void *block = let_go(held, i);
        front_single_free(front_single_owner(heap), block);
        misuse_record_start();
        front_single_free(front_single_owner(heap), block);
        expect_reported(block);
    }
    hold(held, front_single_calloc(front_single_owner(heap), 3, 10), 30);
    hold(held, front_single_alloc(front_single_owner(heap), SIZE), SIZE);
    goes_on(held, SIZE);
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    cairn_heap_destroy(heap);
}

static void resizing_the_block_is_reported(void **state)
{
    (void)state;
    cairn_heap *heap = single_heap("default", false);
    struct held *held = hold_none(heap);
    void *block = held->at[use_up(held, SIZE)].block;
    if (free_twice(held, held->count - 1)) {
        misuse_record_start();
        assert_null(cairn_realloc(heap, block, SIZE));
        assert_int_equal(misuse_record_stop()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
        ask_until_reported(held, SIZE, block);
    }
    goes_on(held, SIZE);
    cairn_heap_destroy(heap);
}

static void *ask_aligned(cairn_heap *heap, size_t size)
{
    return cairn_alloc_aligned(heap, 64, size);
}

static void *ask_zeroed(cairn_heap *heap, size_t size)
{
    return cairn_calloc(heap, 1, size);
}

static void *ask_by_resizing(cairn_heap *heap, size_t size)
{
    return cairn_realloc(heap, cairn_alloc(heap, 16), size);
}

static void every_kind_of_request_finds_it(void **state)
{
    (void)state;
    void *(*const requests[])(cairn_heap *, size_t) = {ask_aligned, ask_zeroed, ask_by_resizing};
    for (size_t i = 0; i < 2 * COUNT_OF(requests); i++) {
        size_t size = i % 2 == 0 ? 192 : 1536;
        cairn_heap *heap = single_heap("default", false);
        struct held *held = hold_none(heap);
        size_t last = use_up(held, size);
        cairn_free(heap, let_go(held, 0));
        const void *block = held->at[last].block;
        if (free_twice(held, last)) {
            misuse_record_start();
            void *served = requests[i / 2](heap, size);
            expect_reported(block);
            assert_ptr_equal(served, block);
            hold(held, served, size);
        }
        goes_on(held, size);
        cairn_heap_destroy(heap);
    }
}

static cairn_heap *heap_of_handler;
static void *asked_by_handler;

static void ask_in_handler(const cairn_misuse *misuse)
{
    (void)misuse;
    asked_by_handler = cairn_alloc(heap_of_handler, SIZE);
}

static void the_handler_may_use_the_heap(void **state)
{
    (void)state;
    heap_of_handler = single_heap("default", false);
    struct held *held = hold_none(heap_of_handler);
    size_t last = use_up(held, SIZE);
    const void *block = held->at[last].block;
    if (free_twice(held, last)) {
        cairn_misuse_handler before = cairn_set_misuse_handler(ask_in_handler);
        errno = EXDEV;
        void *other = ask(held, SIZE);
        assert_int_equal(errno, EXDEV);
        cairn_set_misuse_handler(before);
        assert_ptr_equal(asked_by_handler, block);
        assert_ptr_not_equal(other, block);
        hold(held, asked_by_handler, SIZE);
    }
    goes_on(held, SIZE);
    cairn_heap_destroy(heap_of_handler);
}

static bool count_area(const cairn_area *area, void *context)
{
    *(size_t *)context += area->kind == CAIRN_AREA_BLOCK;
    return true;
}

/* Until then the check names it, a sweep reports it and purges nothing there, and a walk ends. */
static void who_looks_at_the_list_finds_it(void **state)
{
    (void)state;
    enum { MANY = 100 };
    cairn_heap *heap = single_heap("default", false);
    struct held *held = hold_none(heap);
    while (held->count < MANY) {
        (void)ask(held, SIZE);
    }
    size_t count = use_up(held, SIZE);
    for (size_t i = 1; i < count; i++) {
        cairn_free(heap, let_go(held, i));
    }
    const void *block = held->at[count].block;
    (void)ask(held, SIZE);
    (void)ask(held, SIZE);
    if (free_twice(held, count)) {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        assert_non_null(out);
        assert_true(cairn_heap_check(heap, out) > 0);
        assert_int_equal(fclose(out), 0);
        assert_non_null(strstr(text, "a block was freed twice in a row"));
        free(text);
        size_t blocks = 0;
        assert_true(cairn_heap_walk(heap, true, count_area, &blocks));
        assert_true(blocks >= 3);
        misuse_record_start();
        (void)cairn_trim(heap);
        expect_reported(block);
        ask_until_reported(held, SIZE, block);
    }
    goes_on(held, SIZE);
    cairn_heap_destroy(heap);
}

static void runtimes_find_it_in_parts_of_objects(void **state)
{
    (void)state;
    cairn_runtime *runtime = cairn_runtime_create(NULL);
    assert_non_null(runtime);
    cairn_heap *heap = cairn_runtime_heap(runtime);
    void *keeps_the_pool = cairn_runtime_alloc(runtime, SIZE);
    void *more = cairn_runtime_alloc(runtime, SIZE);
    void *block = cairn_runtime_alloc(runtime, SIZE);
    cairn_runtime_free(runtime, block);
    misuse_record_start();
    cairn_runtime_free(runtime, block);
    assert_ptr_equal(cairn_runtime_alloc(runtime, SIZE), block);
    expect_reported(block);
    assert_ptr_not_equal(cairn_runtime_alloc(runtime, SIZE), block);
    heap_is_sound(heap);
    cairn_runtime_free(runtime, more);
    cairn_runtime_free(runtime, keeps_the_pool);
    cairn_runtime_destroy(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_when_the_block_is_served),
        cmocka_unit_test(it_is_found_in_a_pool_that_was_full),
        cmocka_unit_test(it_is_found_in_a_pool_that_waits_for_its_turn),
        cmocka_unit_test(it_is_found_at_once_if_the_pool_looks_empty),
        cmocka_unit_test(it_is_found_at_once_if_all_of_the_pool_is_free),
        cmocka_unit_test(exact_heaps_find_it_at_once),
        cmocka_unit_test(heaps_that_look_at_frees_find_it_at_once),
        cmocka_unit_test(resizing_the_block_is_reported),
        cmocka_unit_test(every_kind_of_request_finds_it),
        cmocka_unit_test(the_handler_may_use_the_heap),
        cmocka_unit_test(who_looks_at_the_list_finds_it),
        cmocka_unit_test(runtimes_find_it_in_parts_of_objects),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
