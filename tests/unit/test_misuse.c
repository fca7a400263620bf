/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_misuse.c: each kind of misuse is reported as what it is, changes nothing, and leaves the heap sound. */

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/pagemap.h"
#include "support/test.h"

static void expect_report(cairn_misuse_kind kind, const char *call, const void *address)
{
    const struct misuse_record *record = misuse_record_stop();
    assert_int_equal(record->count, 1);
    assert_int_equal(record->last.kind, kind);
    assert_string_equal(record->last.call, call);
    assert_int_equal(address_of(record->last.address), address_of(address));
    char number[32];
    snprintf(number, sizeof number, "0x%" PRIxPTR, address_of(address));
    assert_non_null(strstr(record->text, number));
    assert_int_equal(strncmp(record->text, "cairn: ", 7), 0);
    assert_non_null(strstr(record->text, call));
    assert_null(strchr(record->text, '\n'));
}

/* ---- foreign ---- */

/* An address in the page that an entry of the near pages' table is for, or would be. */
static void *near_page(uintptr_t index)
{
    return (void *)((atomic_load(&pagemap_near.first) + index) << MAP_PAGE_SHIFT | 8);
}

static void freeing_what_cairn_never_gave_is_foreign(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", false);
    int on_the_stack = 0;
    static int in_data;
    void *elsewhere = malloc(100);
    void *foreign[] = {&on_the_stack,
                       &in_data,
                       elsewhere,
                       (void *)(uintptr_t)8,
                       (void *)UINTPTR_MAX,
                       (void *)(uintptr_t)UINT64_C(0xffff800000000000),
                       heap,
                       near_page(0),
                       near_page(MAP_NO_ENTRIES - 1),
                       near_page(MAP_NO_ENTRIES),
                       near_page(MAP_NEAR_END - 1),
                       near_page(MAP_NEAR_END)};
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        misuse_record_start();
        cairn_free(heap, foreign[i]);
        expect_report(CAIRN_MISUSE_FOREIGN, "free", foreign[i]);
        assert_null(misuse_record_now()->last.block);
        assert_ptr_equal(misuse_record_now()->last.expected, heap);
        misuse_record_start();
        assert_null(cairn_realloc(heap, foreign[i], 10));
        expect_report(CAIRN_MISUSE_FOREIGN, "realloc", foreign[i]);
        misuse_record_start();
        assert_int_equal(cairn_usable_size(foreign[i]), 0);
        expect_report(CAIRN_MISUSE_FOREIGN, "usable_size", foreign[i]);
    }
    free(elsewhere);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

static void a_block_of_a_destroyed_heap_is_foreign(void **state)
{
    (void)state;
    const size_t sizes[] = {100, 5000, KIB(100), MIB(6)};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        cairn_heap *gone = heap_of_preset("default", i % 2 == 0);
        cairn_heap *heap = heap_of_preset("default", i % 2 == 1);
        void *block = cairn_alloc(gone, sizes[i]);
        cairn_heap_destroy(gone);
        misuse_record_start();
        cairn_free(heap, block);
        expect_report(CAIRN_MISUSE_FOREIGN, "free", block);
        cairn_heap_destroy(heap);
    }
}

/* ---- double free ---- */

/* Frees `block` again and expects a report and no other effect. */
static void expect_double_free(cairn_heap *heap, void *block)
{
    uint64_t frees = stats_of(heap)->frees;
    size_t live = stats_of(heap)->live_blocks;
    misuse_record_start();
    cairn_free(heap, block);
    expect_report(CAIRN_MISUSE_DOUBLE_FREE, "free", block);
    assert_int_equal(stats_of(heap)->frees, frees);
    assert_int_equal(stats_of(heap)->live_blocks, live);
    heap_is_sound(heap);
}

static void freeing_the_newest_free_block_again_is_a_double_free(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < COUNT_OF(presets); i++) {
        cairn_heap *heap = heap_of_preset(presets[i], false); /* single ones: test_late.c */
        void *keeps_the_pool = cairn_alloc(heap, 100);
        void *keeps_it_too = cairn_alloc(heap, 100);
        void *block = cairn_alloc(heap, 100);
        assert_non_null(keeps_the_pool);
        assert_non_null(keeps_it_too);
        cairn_free(heap, block);
        expect_double_free(heap, block);
        cairn_heap_destroy(heap);
    }
}

static void freeing_a_block_of_a_pool_that_is_all_free_is_a_double_free(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < 2 * COUNT_OF(presets); i++) {
        cairn_heap *heap = heap_of_preset(presets[i / 2], i % 2 == 0);
        void *keeps_the_arena = cairn_alloc(heap, 32);
        void *first = cairn_alloc(heap, 100);
        void *second = cairn_alloc(heap, 100);
        assert_non_null(keeps_the_arena);
        cairn_free(heap, first);
        cairn_free(heap, second);
        expect_double_free(heap, first);
        expect_double_free(heap, second);
        cairn_heap_destroy(heap);
    }
}

static void freeing_a_large_block_again_is_reported(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("default", true);
    void *keeps_the_arena = cairn_alloc(heap, KIB(100));
    void *block = cairn_alloc(heap, KIB(200));
    assert_non_null(keeps_the_arena);
    cairn_free(heap, block);
    expect_double_free(heap, block);
    void *huge = cairn_alloc(heap, MIB(6));
    cairn_free(heap, huge);
    misuse_record_start();
    cairn_free(heap, huge); /* its mapping is nobody's now */
    expect_report(CAIRN_MISUSE_FOREIGN, "free", huge);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

struct other_thread {
    cairn_heap *heap;
    void *blocks[3];
};

/* The second free of a block that waits in the outbox for its owner. */
static void *free_newest_twice(void *argument)
{
    struct other_thread *other = argument;
    cairn_free(other->heap, other->blocks[0]);
    cairn_free(other->heap, other->blocks[1]);
    cairn_free(other->heap, other->blocks[1]);
    cairn_free(other->heap, other->blocks[2]);
    return NULL;
}

static void a_double_free_by_another_thread_is_reported(void **state)
{
    (void)state;
    const char *presets[] = {"classic", "cpython", "default"};
    for (size_t i = 0; i < 2 * COUNT_OF(presets); i++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_preset(presets[i / 2], &geometry);
        options.exact = i % 2 == 1;
        cairn_heap *heap = cairn_heap_create(&options);
        struct other_thread other = {.heap = heap};
        void *keeps_the_pool = cairn_alloc(heap, 100);
        for (size_t k = 0; k < COUNT_OF(other.blocks); k++) {
            other.blocks[k] = cairn_alloc(heap, 100);
            assert_non_null(other.blocks[k]);
        }
        misuse_record_start();
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, free_newest_twice, &other), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        expect_report(CAIRN_MISUSE_DOUBLE_FREE, "free", other.blocks[1]);
        cairn_free(heap, keeps_the_pool);
        cairn_trim(heap);
        heap_is_sound(heap);
        assert_int_equal(stats_of(heap)->live_blocks, 0);
        cairn_heap_destroy(heap);
    }
}

static void resizing_a_block_of_a_free_pool_is_reported(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("classic", true);
    void *keeps_the_arena = cairn_alloc(heap, 32);
    void *block = cairn_alloc(heap, 100);
    assert_non_null(keeps_the_arena);
    cairn_free(heap, block);
    misuse_record_start();
    assert_null(cairn_realloc(heap, block, 200));
    expect_report(CAIRN_MISUSE_DOUBLE_FREE, "realloc", block);
    misuse_record_start();
    assert_int_equal(cairn_usable_size(block), 0);
    expect_report(CAIRN_MISUSE_DOUBLE_FREE, "usable_size", block);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

/* ---- interior ---- */

static void expect_interior_free(cairn_heap *heap, char *block, size_t offset)
{
    size_t usable = cairn_usable_size(block);
    misuse_record_start();
    cairn_free(heap, block + offset);
    expect_report(CAIRN_MISUSE_INTERIOR, "free", block + offset);
    const struct misuse_record *record = misuse_record_now();
    assert_ptr_equal(record->last.block, block);
    assert_int_equal(record->last.block_size, usable);
    assert_ptr_equal(record->last.heap, heap);
}

static void expect_interior_resize(cairn_heap *heap, char *block, size_t offset)
{
    misuse_record_start();
    assert_null(cairn_realloc(heap, block + offset, 10));
    expect_report(CAIRN_MISUSE_INTERIOR, "realloc", block + offset);
    misuse_record_start();
    assert_int_equal(cairn_usable_size(block + offset), 0);
    expect_report(CAIRN_MISUSE_INTERIOR, "usable_size", block + offset);
}

/* `frees`: the free is seen too. */
static void expect_interior_everywhere(const size_t *sizes, size_t count, bool exact, bool frees)
{
    for (size_t i = 0; i < 2 * count; i++) {
        cairn_geometry geometry;
        cairn_heap_options options = options_of_preset(i % 3 ? "classic" : "default", &geometry);
        options.single = i % 2 == 0;
        options.exact = exact;
        cairn_heap *heap = cairn_heap_create(&options);
        size_t size = sizes[i / 2];
        char *block = cairn_alloc(heap, size);
        pattern_fill(block, size, i);
        const size_t offsets[] = {1, 7, 8, 16, size / 2, size - 1};
        for (size_t j = 0; j < COUNT_OF(offsets); j++) {
            expect_interior_resize(heap, block, offsets[j]);
            if (frees) {
                expect_interior_free(heap, block, offsets[j]);
            }
        }
        assert_true(pattern_holds(block, size, size, i));
        assert_int_equal(stats_of(heap)->live_blocks, 1);
        heap_is_sound(heap);
        cairn_free(heap, block);
        cairn_heap_destroy(heap);
    }
}

static const size_t small_sizes[] = {100, 512, 3000, 50000};
static const size_t large_sizes[] = {KIB(100), MIB(1), MIB(6)};

#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
enum { SMALL_FREES_SEEN = true };
#else
enum { SMALL_FREES_SEEN = false };
#endif

static void pointers_into_small_blocks_are_interior_to_resize(void **state)
{
    (void)state;
    expect_interior_everywhere(small_sizes, COUNT_OF(small_sizes), false, SMALL_FREES_SEEN);
}

static void pointers_into_blocks_of_full_pools_are_interior(void **state)
{
    (void)state;
    cairn_heap *heap = heap_of_preset("classic", false);
    char *block = cairn_alloc(heap, 512);
    for (size_t i = 0; i < 8; i++) {
        void *fills = cairn_alloc(heap, 512); /* the last opens the next pool */
        assert_non_null(fills);
    }
    expect_interior_free(heap, block, 8);
    expect_interior_free(heap, block, 511);
    heap_is_sound(heap);
    cairn_heap_destroy(heap);
}

struct loan {
    cairn_heap *heap;
    char *block;
};

static void *lend(void *argument)
{
    struct loan *loan = argument;
    loan->block = cairn_alloc(loan->heap, 200);
    require(loan->block != NULL);
    return NULL;
}

static void pointers_into_blocks_of_other_threads_are_interior(void **state)
{
    (void)state;
    struct loan loan = {heap_of_preset("default", false), NULL};
    pthread_t thread;
    start_thread(&thread, lend, &loan);
    join_thread(thread);
    expect_interior_free(loan.heap, loan.block, 16);
    void *own = cairn_alloc(loan.heap, 3000);
    assert_non_null(own);
    expect_interior_free(loan.heap, loan.block, 100);
    heap_is_sound(loan.heap);
    cairn_heap_destroy(loan.heap);
}

static void pointers_into_small_blocks_of_exact_heaps_are_interior(void **state)
{
    (void)state;
    expect_interior_everywhere(small_sizes, COUNT_OF(small_sizes), true, true);
}

static void pointers_into_large_blocks_are_interior(void **state)
{
    (void)state;
    expect_interior_everywhere(large_sizes, COUNT_OF(large_sizes), false, true);
}

/* ---- wrong heap ---- */

static void a_live_block_of_another_heap_is_the_wrong_heaps(void **state)
{
    (void)state;
    const size_t sizes[] = {8, 500, 5000, KIB(100), MIB(6)};
    for (size_t i = 0; i < 4 * COUNT_OF(sizes); i++) {
        cairn_heap *right = heap_of_preset("default", i % 2 == 0);
        cairn_heap *wrong = i / 2 % 2 == 0 ? cairn_heap_default() : heap_of_preset("classic", i % 2 == 0);
        size_t size = sizes[i / 4];
        void *other = cairn_alloc(wrong, size);
        void *block = cairn_alloc(right, size);
        assert_non_null(other);
        pattern_fill(block, size, i);
        misuse_record_start();
        cairn_free(wrong, block);
        expect_report(CAIRN_MISUSE_WRONG_HEAP, "free", block);
        assert_ptr_equal(misuse_record_now()->last.heap, right);
        assert_ptr_equal(misuse_record_now()->last.expected, wrong);
        assert_ptr_equal(misuse_record_now()->last.block, block);
        misuse_record_start();
        assert_null(cairn_realloc(wrong, block, 10));
        expect_report(CAIRN_MISUSE_WRONG_HEAP, "realloc", block);
        assert_true(pattern_holds(block, size, size, i));
        assert_int_equal(stats_of(right)->live_blocks, 1);
        heap_is_sound(right);
        heap_is_sound(wrong);
        cairn_free(right, block);
        cairn_free(wrong, other);
        cairn_heap_destroy(right);
        if (wrong != cairn_heap_default()) {
            cairn_heap_destroy(wrong);
        }
    }
}

/* ---- the handler ---- */

static void ignore(const cairn_misuse *misuse)
{
    (void)misuse;
}

static void setting_a_handler_returns_the_one_before(void **state)
{
    (void)state;
    cairn_misuse_handler standard = cairn_set_misuse_handler(ignore);
    assert_true(standard != NULL);
    assert_true(cairn_set_misuse_handler(NULL) == ignore);
    assert_true(cairn_set_misuse_handler(ignore) == standard);
    assert_true(cairn_set_misuse_handler(NULL) == ignore);
}

/* Frees a foreign pointer in a child with the default handler; returns its exit status and what it wrote. */
static int misuse_in_child(const char *mode, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("CAIRN_TEST_MISUSE_IN_CHILD", "1", 1);
        if (mode != NULL) {
            setenv("CAIRN_MISUSE", mode, 1);
        } else {
            unsetenv("CAIRN_MISUSE");
        }
        /* By name: under valgrind /proc/self/exe leads to valgrind, but its name is that of the program. */
        char path[4096] = "";
        if (readlink("/proc/self/exe", path, sizeof path - 1) > 0) {
            execl(path, "test_misuse", (char *)NULL);
        }
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* What the child does after exec. */
static int be_the_child(void)
{
    static char not_a_block[64];
    cairn_free(cairn_heap_default(), not_a_block);
    return 17;
}

static void the_default_handler_writes_one_line_and_aborts(void **state)
{
    (void)state;
    char text[1000];
    int status = misuse_in_child(NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(strncmp(text, "cairn: free(0x", 14), 0);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void the_default_handler_goes_on_if_the_environment_says_report(void **state)
{
    (void)state;
    char text[1000];
    int status = misuse_in_child("report", text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 17);
    assert_int_equal(strncmp(text, "cairn: free(0x", 14), 0);
}

int main(void)
{
    if (getenv("CAIRN_TEST_MISUSE_IN_CHILD") != NULL) {
        return be_the_child();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freeing_what_cairn_never_gave_is_foreign),
        cmocka_unit_test(a_block_of_a_destroyed_heap_is_foreign),
        cmocka_unit_test(freeing_the_newest_free_block_again_is_a_double_free),
        cmocka_unit_test(freeing_a_block_of_a_pool_that_is_all_free_is_a_double_free),
        cmocka_unit_test(freeing_a_large_block_again_is_reported),
        cmocka_unit_test(a_double_free_by_another_thread_is_reported),
        cmocka_unit_test(resizing_a_block_of_a_free_pool_is_reported),
        cmocka_unit_test(pointers_into_small_blocks_are_interior_to_resize),
        cmocka_unit_test(pointers_into_blocks_of_full_pools_are_interior),
        cmocka_unit_test(pointers_into_blocks_of_other_threads_are_interior),
        cmocka_unit_test(pointers_into_small_blocks_of_exact_heaps_are_interior),
        cmocka_unit_test(pointers_into_large_blocks_are_interior),
        cmocka_unit_test(a_live_block_of_another_heap_is_the_wrong_heaps),
        cmocka_unit_test(setting_a_handler_returns_the_one_before),
        cmocka_unit_test(the_default_handler_writes_one_line_and_aborts),
        cmocka_unit_test(the_default_handler_goes_on_if_the_environment_says_report),
    };
    return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
