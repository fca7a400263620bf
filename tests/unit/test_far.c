/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_far.c: heaps whose blocks lie outside the page map's near pages (heap/pagemap.h), where look-ups go another way:
 * all that is near is taken by mappings that nobody uses. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "heap/front.h"
#include "heap/pagemap.h"
#include "support/test.h"

enum { COUNT = 2000 };

static bool is_far(const void *address)
{
    return pagemap_near_index(address) - MAP_NO_ENTRIES >= MAP_NEAR_COUNT;
}

/* Maps pieces of a size until one lies elsewhere: the system fills gaps first. */
static void take_near(size_t size)
{
    for (;;) {
        void *piece = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_ptr_not_equal(piece, MAP_FAILED);
        if (is_far(piece)) {
            assert_int_equal(munmap(piece, size), 0);
            return;
        }
    }
}

static int leave_nothing_near(void **state)
{
    (void)state;
    void *block = front_alloc(1); /* chooses what is near */
    if (block == NULL || is_far(block)) {
        return 1;
    }
    front_free(block);
    for (size_t size = (size_t)1 << 30; size >= os_page_size(); size /= 4) {
        take_near(size);
    }
    return 0;
}

static size_t size_of(size_t i)
{
    static const size_t sizes[] = {1, 24, 100, 1000, 3000, 10000, 40000};
    return i == COUNT / 2 ? MIB(9) : sizes[i % COUNT_OF(sizes)];
}

struct blocks {
    cairn_heap *heap;
    unsigned char *block[COUNT];
};

static void fill(struct blocks *all)
{
    for (size_t i = 0; i < COUNT; i++) {
        all->block[i] = cairn_alloc(all->heap, size_of(i));
        require(all->block[i] != NULL);
        require(is_far(all->block[i]));
        require(cairn_heap_of(all->block[i]) == all->heap);
        require(cairn_usable_size(all->block[i]) >= size_of(i));
        pattern_fill(all->block[i], size_of(i), i);
    }
}

static void *free_all(void *argument)
{
    const struct blocks *all = argument;
    for (size_t i = 0; i < COUNT; i++) {
        require(pattern_holds(all->block[i], size_of(i), size_of(i), i));
        cairn_free(all->heap, all->block[i]);
    }
    return NULL;
}

static void resize_all(struct blocks *all)
{
    for (size_t i = 0; i < COUNT; i++) {
        size_t more = 3 * size_of(i);
        all->block[i] = cairn_realloc(all->heap, all->block[i], more);
        require(all->block[i] != NULL && is_far(all->block[i]));
        require(pattern_holds(all->block[i], size_of(i), size_of(i), i));
        all->block[i] = cairn_realloc(all->heap, all->block[i], size_of(i));
    }
}

static void far_heap_works(bool single)
{
    struct blocks *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->heap = heap_of_preset("default", single);
    fill(all);
    resize_all(all);
    heap_is_sound(all->heap);
    free_all(all);
    heap_is_sound(all->heap);
    assert_int_equal(stats_of(all->heap)->live_blocks, 0);
    if (!single) {
        pthread_t thread;
        fill(all);
        start_thread(&thread, free_all, all);
        join_thread(thread);
        (void)cairn_trim(all->heap);
        assert_int_equal(stats_of(all->heap)->live_blocks, 0);
    }
    cairn_heap_destroy(all->heap);
    free(all);
}

static void a_single_heap_far_away_works(void **state)
{
    (void)state;
    far_heap_works(true);
}

static void a_shared_heap_far_away_works(void **state)
{
    (void)state;
    far_heap_works(false);
}

static void the_default_heap_works_where_it_grew_far_away(void **state)
{
    (void)state;
    enum { SIZE = 2000, MOST = 100000 };
    void **blocks = calloc(MOST, sizeof blocks[0]);
    assert_non_null(blocks);
    size_t count = 0;
    size_t far = 0;
    for (; far < COUNT && count < MOST; count++) {
        blocks[count] = front_alloc(SIZE);
        assert_non_null(blocks[count]);
        pattern_fill(blocks[count], SIZE, count);
        far += is_far(blocks[count]);
    }
    assert_int_equal(far, COUNT);
    void *last = blocks[count - 1];
    front_free(last);
    assert_ptr_equal(front_alloc(SIZE), last);
    pattern_fill(last, SIZE, count - 1);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = front_realloc(blocks[i], 2 * (size_t)SIZE);
        assert_non_null(blocks[i]);
        assert_true(pattern_holds(blocks[i], SIZE, SIZE, i));
    }
    for (size_t i = 0; i < count; i++) {
        front_free(blocks[i]);
    }
    front_free(NULL);
    heap_is_sound(cairn_heap_default());
    free(blocks);
}

static void misuse_far_away_is_told(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    char *block = cairn_alloc(heap, MIB(9));
    char *other = cairn_alloc(heap, 100);
    const void *nothing = mmap(NULL, KIB(64), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(nothing, MAP_FAILED);
    assert_true(is_far(block) && is_far(other) && is_far(nothing));
    misuse_record_start();
    cairn_free(heap, block + 16);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_INTERIOR);
    cairn_free(heap, (void *)(uintptr_t)nothing);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_FOREIGN);
    cairn_free(heap, other);
    cairn_free(heap, other);
    assert_int_equal(misuse_record_now()->last.kind, CAIRN_MISUSE_DOUBLE_FREE);
    (void)misuse_record_stop();
    cairn_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_heap_far_away_works),
        cmocka_unit_test(a_shared_heap_far_away_works),
        cmocka_unit_test(the_default_heap_works_where_it_grew_far_away),
        cmocka_unit_test(misuse_far_away_is_told),
    };
    return cmocka_run_group_tests(tests, leave_nothing_near, NULL);
}
