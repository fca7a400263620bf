/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_owner.c: cairn_heap_of() on any address there is, and there is not. */

#include <stdlib.h>
#include <sys/mman.h>

#include "support/test.h"

static const size_t sizes[] = {1,     8,     100,   512,      1000,   1500,   8000,  9000,
                               50000, 65536, 70000, KIB(300), MIB(2), MIB(3), MIB(9)};

static void every_byte_of_a_block_belongs_to_its_heap(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t p = 0; p < 2 * COUNT_OF(presets); p++) {
        cairn_heap *heap = heap_of_preset(presets[p / 2], p % 2 == 0);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            char *block = cairn_alloc(heap, sizes[i]);
            size_t usable = cairn_usable_size(block);
            size_t step = usable > 10000 ? 509 : 1;
            for (size_t at = 0; at < usable; at += step) {
                assert_ptr_equal(cairn_heap_of(block + at), heap);
            }
            assert_ptr_equal(cairn_heap_of(block + usable - 1), heap);
        }
        cairn_heap_destroy(heap);
    }
}

static void blocks_of_two_heaps_are_told_apart(void **state)
{
    (void)state;
    cairn_heap *heaps[2] = {heap_of_preset("default", false), heap_of_preset("classic", true)};
    for (size_t i = 0; i < 2000; i++) {
        cairn_heap *heap = heaps[i % 2];
        void *block = cairn_alloc(heap, sizes[i % 11]);
        assert_ptr_equal(cairn_heap_of(block), heap);
    }
    cairn_heap_destroy(heaps[0]);
    cairn_heap_destroy(heaps[1]);
}

static void what_cairn_does_not_own_belongs_to_no_heap(void **state)
{
    (void)state;
    int on_the_stack = 0;
    static int in_data;
    void *elsewhere = malloc(1000);
    void *mapped = mmap(NULL, KIB(64), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_null(cairn_heap_of(NULL));
    assert_null(cairn_heap_of(&on_the_stack));
    assert_null(cairn_heap_of(&in_data));
    assert_null(cairn_heap_of("text"));
    assert_null(cairn_heap_of((void *)(uintptr_t)&cairn_heap_of));
    assert_null(cairn_heap_of((void *)(uintptr_t)&malloc));
    assert_null(cairn_heap_of(elsewhere));
    assert_null(cairn_heap_of(mapped));
    munmap(mapped, KIB(64));
    assert_null(cairn_heap_of(mapped));
    free(elsewhere);
}

static void addresses_that_cannot_be_are_answered_too(void **state)
{
    (void)state;
    const uintptr_t odd[] = {1,
                             4095,
                             4096,
                             UINT64_C(0x00007fffffffffff),
                             UINT64_C(0x0000800000000000),
                             UINT64_C(0x0000ffffffffffff),
                             UINT64_C(0x0001000000000000),
                             UINT64_C(0x8000000000000000),
                             UINT64_C(0xffff800000000000),
                             UINT64_C(0xffffffff81000000),
                             UINT64_C(0xfffffffffffff000),
                             UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        assert_null(cairn_heap_of((void *)odd[i]));
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        (void)cairn_heap_of((void *)((uintptr_t)1 << bit));
    }
}

static bool is_either(const cairn_heap *heap, const cairn_heap *a, const cairn_heap *b)
{
    return heap == NULL || heap == a || heap == b;
}

static void random_addresses_never_fault(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    cairn_heap *heap = heap_of_preset("default", false);
    char *block = cairn_alloc(heap, MIB(1));
    for (size_t i = 0; i < test_scaled(200000); i++) {
        uintptr_t address = (uintptr_t)random_next(&random) >> random_below(&random, 40);
        assert_true(is_either(cairn_heap_of((void *)address), heap, cairn_heap_default()));
        uintptr_t near = address_of(block) + random_below(&random, MIB(64)) - MIB(32);
        assert_true(is_either(cairn_heap_of((void *)near), heap, cairn_heap_default()));
    }
    cairn_heap_destroy(heap);
}

static void a_released_arena_and_a_destroyed_heap_own_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        cairn_heap *heap = heap_of_preset("default", false);
        char *block = cairn_alloc(heap, sizes[i]);
        size_t usable = cairn_usable_size(block);
        uintptr_t last = address_of(block) + usable - 1;
        cairn_free(heap, block);
        cairn_trim(heap);
        assert_null(cairn_heap_of(block));
        assert_null(cairn_heap_of((void *)last));
        block = cairn_alloc(heap, sizes[i]);
        assert_ptr_equal(cairn_heap_of(block), heap);
        cairn_heap_destroy(heap);
        assert_null(cairn_heap_of(block));
        assert_null(cairn_heap_of(block + usable / 2));
    }
}

static void a_freed_block_in_a_pool_that_lives_on_is_still_the_heaps(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    void *stays = cairn_alloc(heap, 100);
    void *goes = cairn_alloc(heap, 100);
    assert_non_null(stays);
    cairn_free(heap, goes);
    assert_ptr_equal(cairn_heap_of(goes), heap);
    cairn_heap_destroy(heap);
}

static void a_heap_does_not_own_itself(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    assert_null(cairn_heap_of(heap));
    assert_null(cairn_heap_of(cairn_heap_name(heap)));
    cairn_heap_destroy(heap);
}

struct watcher {
    uintptr_t from;
    _Atomic(bool) stop;
};

static void *ask_all_the_time(void *argument)
{
    struct watcher *watcher = argument;
    uint64_t random = 1;
    while (!watcher->stop) {
        (void)cairn_heap_of((void *)(watcher->from + random_below(&random, MIB(64)) - MIB(32)));
    }
    return NULL;
}

/* Safe because the page map is only ever read and written atomically and its leaves stay. */
static void asking_while_others_map_and_unmap_is_safe(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("classic", false);
    struct watcher watcher = {address_of(cairn_alloc(heap, MIB(3))), false};
    pthread_t thread;
    start_thread(&thread, ask_all_the_time, &watcher);
    for (size_t i = 0; i < test_scaled(2000); i++) {
        void *block = cairn_alloc(heap, i % 2 ? MIB(5) : KIB(300));
        assert_ptr_equal(cairn_heap_of(block), heap);
        cairn_free(heap, block);
        if (i % 8 == 0) {
            cairn_trim(heap);
        }
    }
    watcher.stop = true;
    join_thread(thread);
    cairn_heap_destroy(heap);
}

static void *ask_about_a_stack(void *argument)
{
    struct watcher *watcher = argument;
    while (!watcher->stop) {
        require(cairn_heap_of(&watcher) == NULL);
    }
    return NULL;
}

/* A foreign address makes the search go through all heaps: none may vanish under it. */
static void asking_while_others_create_and_destroy_heaps_is_safe(void **state)
{
    (void)state;
    struct watcher watcher = {0, false};
    pthread_t thread;
    start_thread(&thread, ask_about_a_stack, &watcher);
    for (size_t i = 0; i < test_scaled(3000); i++) {
        cairn_heap *heap = cairn_heap_create(NULL);
        void *block = cairn_alloc(heap, MIB(9));
        assert_ptr_equal(cairn_heap_of(block), heap);
        cairn_heap_destroy(heap);
    }
    watcher.stop = true;
    join_thread(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_block_belongs_to_its_heap),
        cmocka_unit_test(blocks_of_two_heaps_are_told_apart),
        cmocka_unit_test(what_cairn_does_not_own_belongs_to_no_heap),
        cmocka_unit_test(addresses_that_cannot_be_are_answered_too),
        cmocka_unit_test(random_addresses_never_fault),
        cmocka_unit_test(a_released_arena_and_a_destroyed_heap_own_nothing),
        cmocka_unit_test(a_freed_block_in_a_pool_that_lives_on_is_still_the_heaps),
        cmocka_unit_test(a_heap_does_not_own_itself),
        cmocka_unit_test(asking_while_others_map_and_unmap_is_safe),
        cmocka_unit_test(asking_while_others_create_and_destroy_heaps_is_safe),
    };
    return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
