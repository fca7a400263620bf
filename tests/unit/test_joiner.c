/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_joiner.c: small pages joined beside the program (os/os_huge.h): contents stay whatever the program does meanwhile,
 * what is not wholly in memory is left alone, and nobody notices. There is nothing to test where the system joins no
 * pages, under valgrind, which knows no clone of this kind, and under ThreadSanitizer, as for helpers. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_helper.h"
#include "os/os_huge.h"
#include "support/test.h"

enum { HUGE_PAGE = 2 << 20, COUNT = 24, WORDS = COUNT * HUGE_PAGE / (int)sizeof(uint64_t) };

static char *memory;
static char *spare;
static char *piece[COUNT];

static uint64_t word_of(size_t i)
{
    return i * UINT64_C(0x9e3779b97f4a7c15);
}

static char *reserved(size_t size, bool huge)
{
    char *base = os->reserve(size, HUGE_PAGE);
    assert_non_null(base);
    assert_true(os->commit(base, size));
    os->advise_huge(base, size, huge);
    return base;
}

/* COUNT pieces side by side, in small pages, all of them in memory. */
static void make(void)
{
    memory = reserved(COUNT * HUGE_PAGE, false);
    spare = spare == NULL ? reserved(HUGE_PAGE, true) : spare;
    for (size_t i = 0; i < WORDS; i++) {
        ((uint64_t *)memory)[i] = word_of(i);
    }
    (void)madvise(memory, COUNT * HUGE_PAGE, MADV_HUGEPAGE);
    for (size_t i = 0; i < COUNT; i++) {
        piece[i] = memory + i * HUGE_PAGE;
    }
}

/* Bytes of the pieces that are in huge pages. */
static size_t huge_bytes(void)
{
    char line[512];
    unsigned long from, to, kilobytes, sum = 0;
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = from < (uintptr_t)memory + COUNT * HUGE_PAGE && to > (uintptr_t)memory;
        } else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kilobytes) == 1) {
            sum += kilobytes;
        }
    }
    (void)fclose(maps);
    return sum * 1024;
}

static void end(int32_t joiner)
{
    assert_int_equal(os_helper_wait(joiner), OS_HELPER_ENDED);
}

static void contents_stay_while_the_program_writes(void **state)
{
    (void)state;
    int32_t joiner;
    make();
    assert_int_equal(huge_bytes(), 0);
    errno = 4711;
    assert_int_equal(os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner), 0);
    size_t turns = 0;
    while (os_helper_poll(joiner) == OS_HELPER_RUNS) {
        for (size_t i = turns % 97; i < WORDS; i += 97) {
            ((uint64_t *)memory)[i]++;
        }
        turns++;
        assert_int_equal(errno, 4711);
    }
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t times = turns / 97 + (i % 97 < turns % 97);
        assert_int_equal(((uint64_t *)memory)[i], word_of(i) + times);
    }
    assert_true(huge_bytes() >= COUNT / 2 * HUGE_PAGE);
    assert_int_equal(os->resident(spare, HUGE_PAGE), 0);
    os->release(memory, COUNT * HUGE_PAGE);
}

/* The system's own joiner, which passes by every ten seconds, fills such a piece: then once more. */
static void what_is_not_in_memory_stays_away(void **state)
{
    (void)state;
    size_t page = os_page_size();
    size_t resident = HUGE_PAGE;
    for (int attempt = 0; attempt < 3 && resident == HUGE_PAGE; attempt++) {
        int32_t joiner;
        make();
        os->purge(piece[0] + 7 * page, page);
        os->release(memory + (COUNT - 1) * HUGE_PAGE, HUGE_PAGE);
        assert_int_equal(os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner), 0);
        end(joiner);
        resident = os->resident(piece[0], HUGE_PAGE);
        assert_true(huge_bytes() >= HUGE_PAGE && huge_bytes() <= (COUNT - (resident == HUGE_PAGE ? 1 : 2)) * HUGE_PAGE);
        os->release(memory, (COUNT - 1) * HUGE_PAGE);
    }
    assert_int_equal(resident, HUGE_PAGE - page);
}

/* What the system refuses for a piece that is something else by now does not hold for the others, nor for ever. */
static void a_piece_of_something_else_is_passed_over(void **state)
{
    (void)state;
    int32_t joiner;
    make();
    int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED;
    assert_ptr_equal(mmap(piece[0], HUGE_PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0), piece[0]);
    assert_int_equal(madvise(piece[0], HUGE_PAGE, MADV_NOHUGEPAGE), 0);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner), 0);
        end(joiner);
    }
    assert_true(huge_bytes() >= COUNT / 2 * HUGE_PAGE);
    os->release(memory, COUNT * HUGE_PAGE);
}

static void nobody_notices(void **state)
{
    (void)state;
    int32_t joiner;
    make();
    assert_int_equal(os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    os_helper_kill(joiner);
    end(joiner);
    assert_int_equal(os_helper_poll(joiner), OS_HELPER_LOST);
    os->release(memory, COUNT * HUGE_PAGE);
}

/* The joiner's descriptors are not the program's: a pipe ends although one runs. */
static void no_descriptor_stays_open(void **state)
{
    (void)state;
    int32_t joiner;
    int ends[2];
    char byte;
    make();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner), 0);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
    end(joiner);
    os->release(memory, COUNT * HUGE_PAGE);
}

/* Is a piece joined at all here? */
static bool system_joins(void)
{
    int32_t joiner = 0;
    make();
    bool started = os_huge_join(piece, COUNT, HUGE_PAGE, spare, &joiner) == 0 &&
                   os_helper_wait(joiner) == OS_HELPER_ENDED;
    bool joined = started && huge_bytes() > 0;
    os->release(memory, COUNT * HUGE_PAGE);
    return joined;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_stay_while_the_program_writes),
        cmocka_unit_test(what_is_not_in_memory_stays_away),
        cmocka_unit_test(a_piece_of_something_else_is_passed_over),
        cmocka_unit_test(nobody_notices),
        cmocka_unit_test(no_descriptor_stays_open),
    };
    if (!test_can_clone() || !system_joins()) {
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
