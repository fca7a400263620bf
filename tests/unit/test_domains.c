/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_domains.c: the three domains keep CPython's contract (docs.python.org/3/c-api/memory.html, PEP 445). */

#include <errno.h>
#include <string.h>

#include "support/test.h"

static const cairn_domain domains[] = {CAIRN_DOMAIN_RAW, CAIRN_DOMAIN_MEM, CAIRN_DOMAIN_OBJECT};

static void requests_are_served_and_resized(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT_OF(domains); d++) {
        unsigned char *block = cairn_domain_malloc(domains[d], 100);
        assert_non_null(block);
        assert_true(aligned_to(block, 16));
        pattern_fill(block, 100, d);
        block = cairn_domain_realloc(domains[d], block, 5000);
        assert_non_null(block);
        assert_true(pattern_holds(block, 100, 100, d));
        block = cairn_domain_realloc(domains[d], block, 50);
        assert_true(pattern_holds(block, 100, 50, d));
        cairn_domain_free(domains[d], block);
        block = cairn_domain_calloc(domains[d], 10, 33);
        assert_true(bytes_are(block, 0, 330));
        cairn_domain_free(domains[d], block);
    }
}

static void zero_sizes_give_distinct_blocks(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT_OF(domains); d++) {
        void *blocks[] = {cairn_domain_malloc(domains[d], 0),           cairn_domain_malloc(domains[d], 0),
                          cairn_domain_calloc(domains[d], 0, 1),        cairn_domain_calloc(domains[d], 1, 0),
                          cairn_domain_calloc(domains[d], 0, SIZE_MAX), cairn_domain_realloc(domains[d], NULL, 0)};
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            assert_non_null(blocks[i]);
            for (size_t j = 0; j < i; j++) {
                assert_ptr_not_equal(blocks[i], blocks[j]);
            }
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            cairn_domain_free(domains[d], blocks[i]);
        }
    }
}

static void realloc_of_null_allocates_and_to_0_does_not_free(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT_OF(domains); d++) {
        size_t live = stats_of(cairn_heap_default())->live_blocks;
        void *block = cairn_domain_realloc(domains[d], NULL, 300);
        assert_non_null(block);
        block = cairn_domain_realloc(domains[d], block, 0);
        assert_non_null(block);
        assert_int_equal(stats_of(cairn_heap_default())->live_blocks, live + 1);
        cairn_domain_free(domains[d], block);
        cairn_domain_free(domains[d], NULL);
        assert_int_equal(stats_of(cairn_heap_default())->live_blocks, live);
    }
}

static void sizes_beyond_ptrdiff_max_fail_and_leave_the_block(void **state)
{
    (void)state;
    volatile size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX};
    for (size_t d = 0; d < COUNT_OF(domains); d++) {
        void *block = cairn_domain_malloc(domains[d], 40);
        pattern_fill(block, 40, 1);
        for (size_t i = 0; i < COUNT_OF(absurd); i++) {
            assert_null(cairn_domain_malloc(domains[d], absurd[i]));
            assert_null(cairn_domain_calloc(domains[d], 1, absurd[i]));
            assert_null(cairn_domain_calloc(domains[d], absurd[i], 2));
            assert_null(cairn_domain_calloc(domains[d], absurd[i] / 2, 8));
            assert_null(cairn_domain_realloc(domains[d], block, absurd[i]));
            assert_null(cairn_domain_realloc(domains[d], NULL, absurd[i]));
        }
        assert_true(pattern_holds(block, 40, 40, 1));
        cairn_domain_free(domains[d], block);
    }
}

static void unknown_domains_are_refused(void **state)
{
    (void)state;
    cairn_domain unknown = (cairn_domain)3;
    cairn_allocator allocator;
    memset(&allocator, 0x5A, sizeof allocator);
    cairn_allocator before = allocator;
    assert_int_equal(cairn_get_allocator(unknown, &allocator), EINVAL);
    assert_memory_equal(&allocator, &before, sizeof allocator);
    assert_int_equal(cairn_get_allocator(CAIRN_DOMAIN_RAW, &allocator), 0);
    assert_int_equal(cairn_set_allocator(unknown, &allocator), EINVAL);
    assert_int_equal(cairn_set_allocator((cairn_domain)-1, &allocator), EINVAL);
    assert_null(cairn_domain_malloc(unknown, 1));
}

/* ---- a wrapping allocator ---- */

struct counter {
    cairn_allocator wrapped;
    size_t mallocs, callocs, reallocs, frees;
    size_t last_count, last_size;
};

static void *count_malloc(void *context, size_t size)
{
    struct counter *counter = context;
    counter->mallocs++;
    counter->last_size = size;
    return counter->wrapped.malloc(counter->wrapped.context, size);
}

static void *count_calloc(void *context, size_t count, size_t size)
{
    struct counter *counter = context;
    counter->callocs++;
    counter->last_count = count;
    counter->last_size = size;
    return counter->wrapped.calloc(counter->wrapped.context, count, size);
}

static void *count_realloc(void *context, void *block, size_t size)
{
    struct counter *counter = context;
    counter->reallocs++;
    counter->last_size = size;
    return counter->wrapped.realloc(counter->wrapped.context, block, size);
}

static void count_free(void *context, void *block)
{
    struct counter *counter = context;
    counter->frees++;
    counter->wrapped.free(counter->wrapped.context, block);
}

static void an_allocator_may_wrap_the_one_before(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT_OF(domains); d++) {
        void *from_before = cairn_domain_malloc(domains[d], 10);
        struct counter counter = {0};
        assert_int_equal(cairn_get_allocator(domains[d], &counter.wrapped), 0);
        cairn_allocator original = counter.wrapped;
        cairn_allocator counting = {&counter, count_malloc, count_calloc, count_realloc, count_free};
        assert_int_equal(cairn_set_allocator(domains[d], &counting), 0);

        void *other = cairn_domain_malloc(domains[(d + 1) % COUNT_OF(domains)], 5); /* goes by */
        void *a = cairn_domain_malloc(domains[d], 11);
        assert_int_equal(counter.last_size, 11);
        void *b = cairn_domain_calloc(domains[d], 3, 7);
        assert_int_equal(counter.last_count, 3);
        assert_int_equal(counter.last_size, 7);
        a = cairn_domain_realloc(domains[d], a, 22);
        assert_int_equal(counter.last_size, 22);
        cairn_domain_free(domains[d], a);
        cairn_domain_free(domains[d], b);
        cairn_domain_free(domains[d], from_before);
        assert_null(cairn_domain_malloc(domains[d], SIZE_MAX - 1)); /* refused before the allocator sees it */
        cairn_domain_free(domains[(d + 1) % COUNT_OF(domains)], other);
        assert_int_equal(counter.mallocs, 1);
        assert_int_equal(counter.callocs, 1);
        assert_int_equal(counter.reallocs, 1);
        assert_int_equal(counter.frees, 3);

        cairn_allocator got;
        assert_int_equal(cairn_get_allocator(domains[d], &got), 0);
        assert_memory_equal(&got, &counting, sizeof got);
        assert_int_equal(cairn_set_allocator(domains[d], &original), 0);
        cairn_domain_free(domains[d], cairn_domain_malloc(domains[d], 1));
        assert_int_equal(counter.mallocs, 1);
    }
}

static void an_allocator_with_a_missing_function_is_refused(void **state)
{
    (void)state;
    cairn_allocator original;
    assert_int_equal(cairn_get_allocator(CAIRN_DOMAIN_OBJECT, &original), 0);
    for (int missing = 0; missing < 4; missing++) {
        cairn_allocator bad = original;
        bad.malloc = missing == 0 ? NULL : bad.malloc;
        bad.calloc = missing == 1 ? NULL : bad.calloc;
        bad.realloc = missing == 2 ? NULL : bad.realloc;
        bad.free = missing == 3 ? NULL : bad.free;
        assert_int_equal(cairn_set_allocator(CAIRN_DOMAIN_OBJECT, &bad), EINVAL);
    }
    cairn_allocator got;
    assert_int_equal(cairn_get_allocator(CAIRN_DOMAIN_OBJECT, &got), 0);
    assert_memory_equal(&got, &original, sizeof got);
}

static void a_domain_may_be_served_from_a_private_heap(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("cpython", true);
    cairn_allocator original;
    cairn_allocator ours;
    assert_int_equal(cairn_get_allocator(CAIRN_DOMAIN_OBJECT, &original), 0);
    cairn_heap_allocator(heap, &ours);
    assert_int_equal(cairn_set_allocator(CAIRN_DOMAIN_OBJECT, &ours), 0);
    void *blocks[] = {cairn_domain_malloc(CAIRN_DOMAIN_OBJECT, 100), cairn_domain_calloc(CAIRN_DOMAIN_OBJECT, 5, 100),
                      cairn_domain_realloc(CAIRN_DOMAIN_OBJECT, NULL, 3000)};
    assert_int_equal(stats_of(heap)->live_blocks, COUNT_OF(blocks));
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        assert_ptr_equal(cairn_heap_of(blocks[i]), heap);
        cairn_domain_free(CAIRN_DOMAIN_OBJECT, blocks[i]);
    }
    assert_int_equal(stats_of(heap)->live_blocks, 0);
    void *raw = cairn_domain_malloc(CAIRN_DOMAIN_RAW, 10);
    assert_ptr_equal(cairn_heap_of(raw), cairn_heap_default());
    cairn_domain_free(CAIRN_DOMAIN_RAW, raw);
    assert_int_equal(cairn_set_allocator(CAIRN_DOMAIN_OBJECT, &original), 0);
    cairn_heap_destroy(heap);
}

/* ---- threads ---- */

static void *use_all_domains(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < test_scaled(20000); i++) {
        cairn_domain domain = domains[i % COUNT_OF(domains)];
        void *block = cairn_domain_malloc(domain, i % 700);
        require(block != NULL);
        bytes_fill(block, 1, i % 700);
        block = cairn_domain_realloc(domain, block, i % 1300);
        require(block != NULL);
        cairn_domain_free(domain, block);
    }
    return NULL;
}

static void all_three_domains_are_thread_safe(void **state)
{
    (void)state;
    size_t live = stats_of(cairn_heap_default())->live_blocks;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        start_thread(&threads[i], use_all_domains, NULL);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        join_thread(threads[i]);
    }
    assert_int_equal(stats_of(cairn_heap_default())->live_blocks, live);
    heap_is_sound(cairn_heap_default());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served_and_resized),
        cmocka_unit_test(zero_sizes_give_distinct_blocks),
        cmocka_unit_test(realloc_of_null_allocates_and_to_0_does_not_free),
        cmocka_unit_test(sizes_beyond_ptrdiff_max_fail_and_leave_the_block),
        cmocka_unit_test(unknown_domains_are_refused),
        cmocka_unit_test(an_allocator_may_wrap_the_one_before),
        cmocka_unit_test(an_allocator_with_a_missing_function_is_refused),
        cmocka_unit_test(a_domain_may_be_served_from_a_private_heap),
        cmocka_unit_test(all_three_domains_are_thread_safe),
    };
    return cmocka_run_group_tests_name("domains", tests, NULL, NULL);
}
