/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_file_pages.c: os_file_drop() gives back the pages of a file, and leaves alone what differs from it. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_file.h"
#include "support/test.h"

enum { PAGES = 150, PRIVATE = 70 /* the page that is written to */ };

#define PAGE_PRESENT (UINT64_C(1) << 63)

/* A private mapping of a file of PAGES pages, page i filled with i, all touched, one of them changed to 'x'. */
static char *mapping(void)
{
    size_t page = os_page_size();
    char name[] = "file_pages.XXXXXX";
    int file = mkstemp(name);
    assert_true(file >= 0);
    (void)unlink(name);
    char *content = malloc(PAGES * page);
    assert_non_null(content);
    for (size_t i = 0; i < PAGES; i++) {
        memset(content + i * page, (int)i, page);
    }
    assert_int_equal(write(file, content, PAGES * page), PAGES * page);
    free(content);
    char *at = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    (void)close(file);
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(*(volatile unsigned char *)(at + i * page), i);
    }
    memset(at + PRIVATE * page, 'x', page);
    return at;
}

/* Is the page in this process's page table? */
static bool is_present(const char *address)
{
    uint64_t entry = 0;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    assert_true(pagemap >= 0);
    off_t at = (off_t)((uintptr_t)address / os_page_size() * sizeof entry);
    assert_int_equal(pread(pagemap, &entry, sizeof entry, at), sizeof entry);
    (void)close(pagemap);
    return (entry & PAGE_PRESENT) != 0;
}

static void check_content(const char *at)
{
    size_t page = os_page_size();
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal((unsigned char)at[i * page + page - 1], i == PRIVATE ? 'x' : i);
    }
}

static void pages_of_the_file_go_and_others_stay(void **state)
{
    (void)state;
    size_t page = os_page_size();
    char *at = mapping();
    errno = EBUSY;
    os_file_drop(at + 3 * page + 1, at + (PAGES - 2) * page + 1);
    assert_int_equal(errno, EBUSY);
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(is_present(at + i * page), i < 3 || i == PRIVATE || i == PAGES - 1);
    }
    check_content(at);
    (void)munmap(at, PAGES * page);
}

static void nothing_goes_if_the_system_does_not_tell_which(void **state)
{
    (void)state;
    size_t page = os_page_size();
    char *at = mapping();
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    errno = EBUSY;
    os_file_drop(at, at + PAGES * page);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < PAGES; i++) {
        assert_true(is_present(at + i * page));
    }
    check_content(at);
    (void)munmap(at, PAGES * page);
}

static void an_empty_range_is_nothing(void **state)
{
    (void)state;
    char *at = mapping();
    os_file_drop(at, at);
    assert_true(is_present(at));
    (void)munmap(at, PAGES * os_page_size());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_the_file_go_and_others_stay),
        cmocka_unit_test(nothing_goes_if_the_system_does_not_tell_which),
        cmocka_unit_test(an_empty_range_is_nothing),
    };
    return cmocka_run_group_tests_name("file_pages", tests, NULL, NULL);
}
