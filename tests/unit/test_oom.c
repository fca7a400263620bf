/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_oom.c: memory runs out: at a heap's limit, or because the system refuses its n-th call, for every n until the
 * work succeeds. Each refused request is NULL with ENOMEM, nothing is corrupted, and freeing makes it work again. */

#include <errno.h>

#include "support/os_fake.h"
#include "support/test.h"

enum { MANY = 40000 };

static void *blocks[MANY];
static size_t usable[MANY];

/* ---- the limit ---- */

static cairn_heap *limited(const char *preset, bool single, size_t limit)
{
    cairn_geometry geometry;
    cairn_heap_options options = options_of_preset(preset, &geometry);
    options.single = single;
    options.limit = limit;
    cairn_heap *heap = cairn_heap_create(&options);
    assert_non_null(heap);
    return heap;
}

/* Asks for `size` bytes until refused; returns how many were given. */
static size_t ask_until_refused(cairn_heap *heap, size_t size)
{
    for (size_t count = 0; count < MANY; count++) {
        errno = 0;
        blocks[count] = cairn_alloc(heap, size);
        if (blocks[count] == NULL) {
            assert_int_equal(errno, ENOMEM);
            return count;
        }
        usable[count] = cairn_usable_size(blocks[count]);
        pattern_fill(blocks[count], usable[count], count);
    }
    fail_msg("no request of %zu bytes was refused", size);
    return 0;
}

static void verify_and_free(cairn_heap *heap, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(pattern_holds(blocks[i], usable[i], usable[i], i));
        cairn_free(heap, blocks[i]);
    }
}

static void reach_the_limit(const char *preset, bool single)
{
    const size_t limit = MIB(4);
    const size_t sizes[] = {300, 500, 3000, 30000, KIB(100), MIB(1)};
    cairn_heap *heap = limited(preset, single, limit);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t first = ask_until_refused(heap, sizes[i]);
        assert_true(first * sizes[i] > limit / 2);
        assert_true(stats_of(heap)->held_bytes <= limit);
        assert_int_equal(stats_of(heap)->requests_failed, i * 2 + 1);
        heap_is_sound(heap);
        verify_and_free(heap, first);
        cairn_trim(heap);
        assert_int_equal(stats_of(heap)->held_bytes, 0);
        size_t again = ask_until_refused(heap, sizes[i]);
        assert_int_equal(again, first);
        verify_and_free(heap, again); /* no trim: the next size must get the memory all the same */
    }
    assert_true(stats_of(heap)->held_peak <= limit);
    cairn_heap_destroy(heap);
}

static void the_limit_bounds_what_is_held_and_freeing_helps(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < 2 * COUNT_OF(presets); i++) {
        reach_the_limit(presets[i / 2], i % 2 == 0);
    }
}

static void a_single_block_above_the_limit_is_refused(void **state)
{
    (void)state;
    cairn_heap *heap = limited("default", false, MIB(1));
    const size_t sizes[] = {MIB(1) + 1, MIB(2), MIB(5), MIB(100)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        errno = 0;
        void *block = cairn_alloc(heap, sizes[i]);
        assert_null(block);
        assert_int_equal(errno, ENOMEM);
        block = cairn_calloc(heap, sizes[i] / 16 + 1, 16);
        assert_null(block);
        block = cairn_alloc_aligned(heap, 4096, sizes[i]);
        assert_null(block);
    }
    assert_int_equal(stats_of(heap)->held_bytes, 0);
    cairn_heap_destroy(heap);
}

static void a_resize_beyond_the_limit_leaves_the_block(void **state)
{
    (void)state;
    const size_t sizes[] = {100, 5000, KIB(100), KIB(600)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        cairn_heap *heap = limited("default", i % 2 == 0, MIB(1));
        void *block = cairn_alloc(heap, sizes[i]);
        assert_non_null(block);
        size_t size = cairn_usable_size(block);
        pattern_fill(block, size, i);
        errno = 0;
        void *moved = cairn_realloc(heap, block, MIB(2));
        assert_null(moved);
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(cairn_usable_size(block), size);
        assert_true(pattern_holds(block, size, size, i));
        heap_is_sound(heap);
        cairn_free(heap, block);
        cairn_heap_destroy(heap);
    }
}

static void a_tiny_limit_refuses_everything_and_breaks_nothing(void **state)
{
    (void)state;
    cairn_heap *heap = limited("default", false, 1);
    for (size_t size = 0; size < MIB(8); size = size * 2 + 1) {
        errno = 0;
        void *block = cairn_alloc(heap, size);
        assert_null(block);
        assert_int_equal(errno, ENOMEM);
    }
    assert_int_equal(stats_of(heap)->held_peak, 0);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* ---- the n-th call fails ---- */

/* One of each request; counts the answers. What was refused is NULL with ENOMEM. */
struct work {
    cairn_heap *heap;
    void *blocks[32];
    size_t sizes[32];
    size_t count;
    size_t refused;
};

/* Only the start of a block is marked: this runs many times, and touching memory is dear. */
static size_t marked_size(size_t usable_size)
{
    return usable_size < KIB(16) ? usable_size : KIB(16);
}

static void note(struct work *work, void *block)
{
    if (block == NULL) {
        require(errno == ENOMEM);
        work->refused++;
        return;
    }
    size_t size = marked_size(cairn_usable_size(block));
    pattern_fill(block, size, work->count);
    work->blocks[work->count] = block;
    work->sizes[work->count++] = size;
}

static void resize(struct work *work, size_t index, size_t size)
{
    if (index >= work->count) {
        return;
    }
    errno = 0;
    void *block = cairn_realloc(work->heap, work->blocks[index], size);
    if (block == NULL) {
        require(errno == ENOMEM);
        work->refused++;
        return;
    }
    require(pattern_holds(block, work->sizes[index], size, index));
    work->blocks[index] = block;
    work->sizes[index] = marked_size(cairn_usable_size(block));
    pattern_fill(block, work->sizes[index], index);
}

static void do_work(struct work *work)
{
    const size_t sizes[] = {8, 100, 512, 1024, 4000, 20000, 65536, 70000, KIB(300), MIB(3), MIB(5)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        errno = 0;
        note(work, cairn_alloc(work->heap, sizes[i]));
        errno = 0;
        note(work, cairn_calloc(work->heap, 1, sizes[i]));
    }
    errno = 0;
    note(work, cairn_alloc_aligned(work->heap, KIB(64), 100));
    errno = 0;
    note(work, cairn_alloc_aligned(work->heap, MIB(8), 100));
    resize(work, 0, 5000);
    resize(work, 5, KIB(200));
    resize(work, 12, MIB(1));
    resize(work, 16, MIB(7));
    resize(work, 18, MIB(9));
    resize(work, 19, 50);
}

static void undo_work(struct work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        require(pattern_holds(work->blocks[i], work->sizes[i], work->sizes[i], i));
        cairn_free(work->heap, work->blocks[i]);
    }
    work->count = 0;
}

/* With the system whole again, the same heap must do the whole work. */
static void expect_recovery(struct work *work)
{
    os_fake_refuse_none();
    heap_is_sound(work->heap);
    undo_work(work);
    heap_is_sound(work->heap);
    work->refused = 0;
    do_work(work);
    assert_int_equal(work->refused, 0);
    undo_work(work);
    cairn_trim(work->heap);
    heap_is_sound(work->heap);
    assert_int_equal(stats_of(work->heap)->held_bytes, 0);
    assert_int_equal(stats_of(work->heap)->reserved_bytes, 0);
}

typedef void refuse_rule(unsigned kinds, size_t n);

/* Runs the work with the rule at n = 0, 1, 2, ... until the rule no longer strikes. `must_fail` says that a strike
 * must make a request fail (not so where the heap can fall back). */
static void exhaust(const char *preset, bool single, unsigned kinds, refuse_rule *rule, bool must_fail)
{
    const size_t most = 2000;
    for (size_t n = 0; n < most; n++) {
        cairn_heap *heap = heap_of_preset(preset, single);
        struct work work = {.heap = heap};
        rule(kinds, n);
        do_work(&work);
        size_t struck = os_fake_rule_refused();
        assert_true(struck > 0 || work.refused == 0);
        assert_true(struck == 0 || work.refused > 0 || !must_fail);
        assert_int_equal(stats_of(heap)->requests_failed, work.refused);
        assert_int_equal(stats_of(heap)->live_blocks, work.count);
        expect_recovery(&work);
        cairn_heap_destroy(heap);
        if (struck == 0) {
            assert_true(n > 0);
            return;
        }
    }
    fail_msg("the work never succeeded");
}

static void exhaust_all(unsigned kinds, refuse_rule *rule, bool must_fail)
{
    const char *presets[] = {"default", "classic", "cpython"};
    for (size_t i = 0; i < test_scaled(2 * COUNT_OF(presets)); i++) {
        exhaust(presets[i / 2 % COUNT_OF(presets)], i % 2 == 1, kinds, rule, must_fail);
    }
    assert_int_equal(os_fake_faults(), 0);
}

static void any_one_call_may_fail(void **state)
{
    (void)state;
    exhaust_all(OS_FAKE_GROWTH, os_fake_refuse_nth, false);
}

static void all_calls_from_the_nth_may_fail(void **state)
{
    (void)state;
    exhaust_all(OS_FAKE_GROWTH, os_fake_refuse_from, false);
}

static void reservations_from_the_nth_may_fail(void **state)
{
    (void)state;
    exhaust_all(OS_FAKE_RESERVE, os_fake_refuse_from, true);
}

static void commits_from_the_nth_may_fail(void **state)
{
    (void)state;
    exhaust_all(OS_FAKE_COMMIT, os_fake_refuse_from, false);
}

/* Purge and release may be refused for good: memory then stays, and nothing else changes. */
static void purges_and_releases_may_all_fail(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < 2 * COUNT_OF(presets); i++) {
        cairn_heap *heap = heap_of_preset(presets[i / 2], i % 2 == 0);
        struct work work = {.heap = heap};
        os_fake_refuse_from(OS_FAKE_PURGE | OS_FAKE_RELEASE, 0);
        for (int round = 0; round < 5; round++) {
            do_work(&work);
            assert_int_equal(work.refused, 0);
            heap_is_sound(heap);
            undo_work(&work);
            cairn_trim(heap);
            heap_is_sound(heap);
        }
        assert_true(os_fake_rule_refused() > 0);
        os_fake_refuse_none();
        cairn_trim(heap);
        assert_int_equal(stats_of(heap)->held_bytes, 0);
        assert_int_equal(stats_of(heap)->arenas, 0);
        cairn_heap_destroy(heap);
    }
}

/* Memory that could not be purged is not zero: calloc must not believe it is. */
static void calloc_is_zero_although_purges_failed(void **state)
{
    (void)state;
    const size_t sizes[] = {64, 1000, 5000, 50000, KIB(256), MIB(3)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        cairn_heap *heap = heap_of_preset("default", true);
        os_fake_refuse_from(OS_FAKE_PURGE | OS_FAKE_RELEASE, 0);
        void *stays = cairn_alloc(heap, 2000);
        assert_non_null(stays);
        for (int round = 0; round < 4; round++) {
            void *block = cairn_calloc(heap, 1, sizes[i]);
            assert_non_null(block);
            assert_true(bytes_are(block, 0, sizes[i]));
            bytes_fill(block, 0xFF, cairn_usable_size(block));
            cairn_free(heap, block);
            cairn_trim(heap);
        }
        os_fake_refuse_none();
        cairn_heap_destroy(heap);
    }
}

static void creating_a_heap_may_fail_at_every_call(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        size_t ranges = os_fake_reserved_ranges();
        os_fake_refuse_from(OS_FAKE_GROWTH, n);
        errno = 0;
        cairn_heap *heap = cairn_heap_create(NULL);
        int error = errno;
        bool struck = os_fake_rule_refused() > 0;
        os_fake_refuse_none();
        if (heap != NULL) {
            assert_false(struck);
            assert_true(n > 0);
            cairn_heap_destroy(heap);
            return;
        }
        assert_int_equal(error, ENOMEM);
        assert_int_equal(os_fake_reserved_ranges(), ranges);
        assert_true(n < 100);
    }
}

static void a_budget_of_address_space_is_survived(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    os_fake_budget(os_fake_reserved_bytes() + MIB(16));
    size_t first = ask_until_refused(heap, 2000);
    heap_is_sound(heap);
    assert_true(first * 2000 > MIB(2));
    verify_and_free(heap, first);
    /* All of it can serve another size without a trim. */
    size_t second = ask_until_refused(heap, KIB(150));
    assert_true(second >= 10);
    heap_is_sound(heap);
    verify_and_free(heap, second);
    os_fake_budget(0);
    cairn_heap_destroy(heap);
}

/* ---- threads ---- */

struct starved {
    cairn_heap *heap;
    _Atomic(size_t) refused;
};

static void *live_in_want(void *argument)
{
    struct starved *starved = argument;
    uint64_t random = (uint64_t)pthread_self();
    void *own[200] = {NULL};
    for (size_t i = 0; i < test_scaled(30000); i++) {
        size_t at = random_below(&random, COUNT_OF(own));
        cairn_free(starved->heap, own[at]);
        errno = 0;
        own[at] = cairn_alloc(starved->heap, random_below(&random, random_chance(&random, 95) ? 3000 : KIB(400)));
        if (own[at] == NULL) {
            require(errno == ENOMEM);
            starved->refused++;
        } else {
            bytes_fill(own[at], 1, cairn_usable_size(own[at]));
        }
    }
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        cairn_free(starved->heap, own[i]);
    }
    return NULL;
}

static void threads_at_the_limit_get_null_and_go_on(void **state)
{
    (void)state;
    struct starved starved = {limited("cpython", false, MIB(2)), 0};
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], live_in_want, &starved);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    assert_true(starved.refused > 0);
    cairn_trim(starved.heap);
    heap_is_sound(starved.heap);
    assert_int_equal(stats_of(starved.heap)->requests_failed, starved.refused);
    assert_true(stats_of(starved.heap)->held_peak <= MIB(2));
    assert_int_equal(stats_of(starved.heap)->held_bytes, 0);
    cairn_heap_destroy(starved.heap);
}

static void *first_request_of_a_thread(void *argument)
{
    struct starved *starved = argument;
    errno = 0;
    void *block = cairn_alloc(starved->heap, 100);
    if (block == NULL) {
        require(errno == ENOMEM);
        starved->refused++;
    }
    cairn_free(starved->heap, block);
    return NULL;
}

/* A thread needs records of its own before its first block: that may fail too, and frees by such a thread must not. */
static void a_threads_first_request_may_fail(void **state)
{
    (void)state;
    struct starved starved = {heap_of_preset("default", false), 0};
    void *block = cairn_alloc(starved.heap, 100);
    assert_non_null(block);
    os_fake_refuse_from(OS_FAKE_GROWTH, 0);
    pthread_t threads[300];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], first_request_of_a_thread, &starved);
        join_thread(threads[i]);
    }
    os_fake_refuse_none();
    cairn_free(starved.heap, block);
    cairn_trim(starved.heap);
    heap_is_sound(starved.heap);
    assert_int_equal(stats_of(starved.heap)->held_bytes, 0);
    cairn_heap_destroy(starved.heap);
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_bounds_what_is_held_and_freeing_helps),
        cmocka_unit_test(a_single_block_above_the_limit_is_refused),
        cmocka_unit_test(a_resize_beyond_the_limit_leaves_the_block),
        cmocka_unit_test(a_tiny_limit_refuses_everything_and_breaks_nothing),
        cmocka_unit_test(any_one_call_may_fail),
        cmocka_unit_test(all_calls_from_the_nth_may_fail),
        cmocka_unit_test(reservations_from_the_nth_may_fail),
        cmocka_unit_test(commits_from_the_nth_may_fail),
        cmocka_unit_test(purges_and_releases_may_all_fail),
        cmocka_unit_test(calloc_is_zero_although_purges_failed),
        cmocka_unit_test(creating_a_heap_may_fail_at_every_call),
        cmocka_unit_test(a_budget_of_address_space_is_survived),
        cmocka_unit_test(threads_at_the_limit_get_null_and_go_on),
        cmocka_unit_test(a_threads_first_request_may_fail),
    };
    return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
