/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_freed_log.c: the log of freed blocks against a plain set; pieces far apart; opened again it is empty; a system
 * that refuses memory makes it lost, which means yes to everything. */

#include "python/freed_log.h"

#include "support/os_fake.h"
#include "support/test.h"

enum { BLOCKS = 4096, PIECE_SHIFT = 30 /* a piece of the log is for that much address space */ };

/* Where blocks may lie: close together, at both ends of a piece, in pieces far apart. */
static const void *block_at(size_t i)
{
    uintptr_t region = (uintptr_t)(1 + i % 5) << 36;
    return (const void *)(region + (i / 5) * 48);
}

static bool is_in(size_t i)
{
    return i % 3 == 0 || i % 7 == 0;
}

static void test_exactly_what_was_freed(void **state)
{
    (void)state;
    freed_log_open();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (is_in(i)) {
            freed_log_freed(block_at(i));
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(freed_log_has(block_at(i)), is_in(i));
    }
    assert_true(freed_log_bytes() > 0);
    freed_log_close();
}

static void test_empty_when_opened_again(void **state)
{
    (void)state;
    freed_log_open();
    freed_log_freed(block_at(1));
    freed_log_close();
    freed_log_open();
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_false(freed_log_has(block_at(i)));
    }
    freed_log_close();
}

static void test_closed_log_notes_nothing(void **state)
{
    (void)state;
    freed_log_close();
    freed_log_freed(block_at(2));
    freed_log_freed(NULL);
    freed_log_open();
    freed_log_freed(NULL);
    assert_false(freed_log_has(block_at(2)));
    freed_log_close();
}

static void test_ends_of_a_piece(void **state)
{
    (void)state;
    const char *end = (const char *)((uintptr_t)7 << PIECE_SHIFT);
    freed_log_open();
    freed_log_freed(end - 16);
    assert_true(freed_log_has(end - 16));
    assert_false(freed_log_has(end));
    freed_log_freed(end);
    assert_true(freed_log_has(end));
    assert_false(freed_log_has(end - 32));
    assert_false(freed_log_has(end + 16));
    freed_log_close();
}

static void test_lost_without_memory(void **state)
{
    (void)state;
    const void *new_piece = (const void *)((uintptr_t)99 << PIECE_SHIFT);
    freed_log_open();
    os_fake_refuse_from(OS_FAKE_RESERVE, 0);
    freed_log_freed(new_piece);
    os_fake_refuse_none();
    assert_true(freed_log_has(new_piece));
    assert_true(freed_log_has(block_at(3)));
    freed_log_close();
    freed_log_open();
    assert_false(freed_log_has(new_piece));
    freed_log_close();
}

static void test_addresses_beyond_the_log(void **state)
{
    (void)state;
    const void *beyond = (const void *)((uintptr_t)1 << 52);
    freed_log_open();
    assert_true(freed_log_has(beyond));
    assert_false(freed_log_has(block_at(4)));
    freed_log_freed(beyond);
    assert_true(freed_log_has(block_at(4)));
    freed_log_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exactly_what_was_freed),   cmocka_unit_test(test_empty_when_opened_again),
        cmocka_unit_test(test_closed_log_notes_nothing), cmocka_unit_test(test_ends_of_a_piece),
        cmocka_unit_test(test_lost_without_memory),      cmocka_unit_test(test_addresses_beyond_the_log),
    };
    os_fake_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed != 0 ? failed : os_fake_faults() != 0;
}
