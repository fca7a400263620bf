/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_kinds_example.c: runs examples/names_and_values and proves by its output that the story is true: who has which
 * address and count, step by step. CAIRN_EXAMPLE is the program's path. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

enum { LINES_MOST = 60 };

static char lines[LINES_MOST][160];
static size_t line_count;

static int run(void **state)
{
    (void)state;
    FILE *out = popen(CAIRN_EXAMPLE, "r");
    if (!out) {
        return 1;
    }
    while (line_count < LINES_MOST && fgets(lines[line_count], sizeof lines[0], out)) {
        lines[line_count][strcspn(lines[line_count], "\n")] = 0;
        line_count++;
    }
    return pclose(out);
}

/* The line of a step's result that starts with `start`, behind it. */
static const char *result(int step, const char *start)
{
    char head[16];
    (void)snprintf(head, sizeof head, "%d. ", step);
    size_t i = 0;
    while (i < line_count && strncmp(lines[i], head, strlen(head)) != 0) {
        i++;
    }
    for (i++; i < line_count && lines[i][0] == ' '; i++) {
        if (strncmp(lines[i], "    ", 4) == 0 && strncmp(lines[i] + 4, start, strlen(start)) == 0) {
            return lines[i] + 4 + strlen(start);
        }
    }
    fail_msg("step %d has no line that starts with \"%s\"", step, start);
    return "";
}

/* The address in such a line. */
static unsigned long long address(int step, const char *start)
{
    const char *at = strstr(result(step, start), "0x");
    assert_non_null(at);
    return strtoull(at, NULL, 16);
}

static void assert_ends(int step, const char *start, const char *with)
{
    const char *line = result(step, start);
    size_t length = strlen(line), tail = strlen(with);
    if (length < tail || strcmp(line + length - tail, with) != 0) {
        fail_msg("step %d: \"%s%s\" does not end with \"%s\"", step, start, line, with);
    }
}

static void names_share_an_object(void **state)
{
    (void)state;
    assert_ends(1, "x -> 1000 at ", ", count 1");
    assert_ends(2, "x -> 1000 at ", ", count 2");
    assert_ends(2, "y -> 1000 at ", ", count 2");
    assert_true(address(2, "x -> ") == address(1, "x -> "));
    assert_true(address(2, "y -> ") == address(1, "x -> "));
}

static void an_operation_rebinds_the_name_to_a_new_object(void **state)
{
    (void)state;
    assert_ends(3, "x -> 1001 at ", ", count 1");
    assert_ends(3, "y -> 1000 at ", ", count 1");
    assert_true(address(3, "x -> ") != address(1, "x -> "));
    assert_true(address(3, "y -> ") == address(1, "x -> "));
}

static void the_dead_objects_block_is_the_next_objects(void **state)
{
    (void)state;
    assert_true(address(4, "1000 was at") == address(1, "x -> "));
    assert_ends(4, "kept for reuse: ", "1 x int, 24 bytes");
    assert_ends(5, "z -> 2000 at ", ", count 1");
    assert_true(address(5, "z -> ") == address(1, "x -> "));
    for (size_t i = 0; i < line_count; i++) { /* nothing is kept behind step 5 */
        assert_true(strstr(lines[i], "kept for reuse:") == NULL || strstr(lines[i + 1], "5. ") == lines[i + 1]);
    }
}

static void small_ints_are_shared(void **state)
{
    (void)state;
    assert_ends(6, "a -> 7 at ", ", immortal");
    assert_true(address(6, "a -> ") == address(6, "b -> "));
}

static void only_the_collector_frees_the_cycle(void **state)
{
    (void)state;
    assert_ends(7, "p -> <namespace", ", count 2");
    assert_ends(7, "q -> <namespace", ", count 2");
    assert_ends(8, "w() is ", "alive, count 1");
    assert_ends(9, "found ", "2");
    assert_ends(9, "w() is ", "dead");
}

static void everything_goes_back(void **state)
{
    (void)state;
    size_t kept, mapped, returned;
    const char *line = result(10, "objects left: ");
    assert_int_equal(sscanf(line, "%zu; bytes mapped: %zu, returned: %zu", &kept, &mapped, &returned), 3);
    assert_int_equal(kept, 0);
    assert_true(mapped > 0);
    assert_int_equal(mapped, returned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_share_an_object),
        cmocka_unit_test(an_operation_rebinds_the_name_to_a_new_object),
        cmocka_unit_test(the_dead_objects_block_is_the_next_objects),
        cmocka_unit_test(small_ints_are_shared),
        cmocka_unit_test(only_the_collector_frees_the_cycle),
        cmocka_unit_test(everything_goes_back),
    };
    return cmocka_run_group_tests_name("kinds: example", tests, run, NULL);
}
