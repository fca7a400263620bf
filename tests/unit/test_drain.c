/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_drain.c: in what order `cairn record` takes the events of several rings, on rings written by hand: by their keys,
 * and never past an event that only the second look saw. What a look sees depends on when it comes to a ring, so these
 * tests publish events between the looks, and between the rings of the first. */

#include <sys/syscall.h>

#include "support/recorded.h"

enum { SIZES = 1 << 16 };

static struct drain *drain;
static struct head heads[RECORD_RINGS];

/* ---- rings by hand ---- */

static void open_ring(unsigned ring)
{
    struct record_ring *shared = &drain->area->ring[ring];
    shared->process = 0;
    shared->thread = ring;
    shared->tid = (int32_t)syscall(SYS_gettid);
    atomic_store(&shared->state, RING_READY);
}

static void put(unsigned ring, uint64_t word)
{
    struct record_ring *shared = &drain->area->ring[ring];
    uint64_t at = atomic_load(&shared->written);
    drain->words[ring * RECORD_RING_WORDS + at % RECORD_RING_WORDS] = word;
    atomic_store(&shared->written, at + 1);
}

/* An event with its mark is published as a whole; key 0: without a mark. */
static void put_event(unsigned ring, uint64_t key, uint64_t word)
{
    struct record_ring *shared = &drain->area->ring[ring];
    uint64_t at = atomic_load(&shared->written), *words = drain->words + ring * RECORD_RING_WORDS;
    if (key != 0) {
        words[at++ % RECORD_RING_WORDS] = key << RECORD_MARK_SHIFT | RECORD_MARK;
    }
    words[at++ % RECORD_RING_WORDS] = word;
    atomic_store(&shared->written, at);
}

/* Blocks go by their sizes, from which their addresses follow. */
static void put_alloc(unsigned ring, uint64_t key, uint64_t size)
{
    put_event(ring, key, RECORD_ALLOC | size << 12 | size << RECORD_SIZE_SHIFT);
}

static void put_free_of(unsigned ring, uint64_t key, uint64_t size)
{
    put_event(ring, key, RECORD_FREE | size << 12);
}

/* ---- the two looks ---- */

static void first_look(void)
{
    look(drain, 0, now_ns());
}

/* What the first look would have seen, had it come to this ring only now. */
static void first_look_comes_to(unsigned ring)
{
    drain->ring[ring].seen = written_of(drain, ring);
}

static void second_look(void)
{
    merge(drain, drain->process[0].stream, heads, look_again(drain, 0, heads));
}

/* ---- what was taken ---- */

/* Requests as "THREAD+SIZE" and "THREAD-SIZE". */
static const char *taken(void)
{
    static char text[4096];
    static uint64_t sizes[SIZES];
    uint32_t thread = UINT32_MAX;
    char *at = text;
    text[0] = '\0';
    recording_flush(drain->process[0].stream->writer);
    for (size_t i = 0; i < recorded.count; i++) {
        const struct event *event = &recorded.events[i];
        if (event->kind == EVENT_THREAD) {
            thread = event->object;
        } else if (event->kind == EVENT_ALLOC) {
            sizes[event->object] = event->size;
            at += sprintf(at, "%s%u+%u", at != text ? " " : "", thread, (unsigned)event->size);
        } else if (event->kind == EVENT_FREE) {
            at += sprintf(at, "%s%u-%u", at != text ? " " : "", thread, (unsigned)sizes[event->object]);
        }
    }
    return text;
}

#define assert_taken(wanted) assert_string_equal(taken(), wanted)

static int set_up(void **state)
{
    (void)state;
    drain = drain_create("unused", "cairn=0", 8, false);
    assert_non_null(drain);
    drain->area->process[0].pid = getpid();
    drain->area->process[0].replaces = -1;
    atomic_store(&drain->area->process[0].ready, 1);
    atomic_store(&drain->area->processes, 1);
    (void)drain_turn(drain);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    recorded_end(drain);
    assert_int_equal(recorded.totals.unknown, 0);
    assert_int_equal(recorded.totals.missed, 0);
    recorded_forget();
    return 0;
}

/* ---- the order of keys ---- */

static void one_ring_needs_no_keys(void **state)
{
    (void)state;
    open_ring(0);
    put_alloc(0, 0, 10), put_alloc(0, 0, 20), put_free_of(0, 0, 10);
    (void)drain_turn(drain);
    assert_taken("0+10 0+20 0-10");
}

static void lesser_keys_come_first(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_free_of(0, 4, 10), put_alloc(0, 8, 20);
    put_alloc(1, 2, 10), put_free_of(1, 10, 20), put_alloc(1, 12, 30);
    (void)drain_turn(drain);
    assert_taken("1+10 0-10 0+20 1-20 1+30");
}

static void events_without_a_mark_have_the_key_before(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 3, 10), put_alloc(0, 0, 20), put_alloc(0, 9, 30);
    put_alloc(1, 5, 40), put_alloc(1, 6, 50), put_alloc(1, 0, 60);
    (void)drain_turn(drain);
    assert_taken("0+10 0+20 1+40 1+50 1+60 0+30");
}

/* Also when that one was taken at a turn before. */
static void a_key_is_kept_from_turn_to_turn(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 9, 10);
    (void)drain_turn(drain);
    put_free_of(0, 0, 20), put_alloc(1, 7, 20);
    (void)drain_turn(drain);
    assert_taken("0+10 1+20 0-20");
}

/* One that raised the epoch to 2 comes before those that found it at 2; what follows it in its ring is one of these. */
static void raising_comes_before_finding(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_free_of(0, 5, 20), put_alloc(0, 6, 30);
    put_alloc(1, 4, 20), put_alloc(1, 0, 40);
    (void)drain_turn(drain);
    assert_taken("1+20 1+40 0-20 0+30");
}

static void times_and_filling_do_not_hide_a_key(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 3, 10);
    put(0, RECORD_PAD), put(0, RECORD_PAD);
    put(0, now_ns() << RECORD_MARK_SHIFT | RECORD_MARK_TIME | RECORD_MARK);
    put_alloc(0, 9, 20);
    put_free_of(1, 4, 10);
    (void)drain_turn(drain);
    assert_taken("0+10 1-10 0+20");
}

static void rings_of_one_process_wait_in_any_number(void **state)
{
    enum { RINGS = 40, EACH = 5 };
    char wanted[RINGS * EACH * 8], *at = wanted;
    (void)state;
    for (unsigned i = 0; i < RINGS; i++) {
        open_ring(i);
    }
    for (unsigned i = 0; i < RINGS * EACH; i++) {
        unsigned ring = i * 7 % RINGS;
        put_alloc(ring, 2 + 2 * (uint64_t)i, 100 + i);
        at += sprintf(at, "%s%u+%u", i > 0 ? " " : "", ring, 100 + i);
    }
    (void)drain_turn(drain);
    assert_taken(wanted);
}

/* ---- the two looks ---- */

/* The first look has passed ring 0 when a block is allocated there and freed in ring 1, and sees the free alone. */
static void a_free_waits_for_its_allocation(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    first_look();
    put_alloc(0, 2, 10), put_free_of(1, 4, 10);
    first_look_comes_to(1);
    second_look();
    assert_taken("");
    (void)drain_turn(drain);
    assert_taken("0+10 1-10");
}

/* What comes before in the order does not wait. */
static void lesser_keys_do_not_wait(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    first_look();
    put_alloc(0, 5, 10);
    put_alloc(1, 2, 20), put_alloc(1, 4, 30), put_alloc(1, 0, 40), put_free_of(1, 6, 10);
    first_look_comes_to(1);
    second_look();
    assert_taken("1+20 1+30 1+40");
    (void)drain_turn(drain);
    assert_taken("1+20 1+30 1+40 0+10 1-10");
}

/* Part of a ring was there at the first look, part only at the second; that part holds up another ring. */
static void the_new_part_of_a_ring_holds_up(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 2, 10);
    first_look();
    put_free_of(0, 3, 10), put_alloc(1, 4, 10);
    first_look_comes_to(1);
    second_look();
    assert_taken("0+10");
    (void)drain_turn(drain);
    assert_taken("0+10 0-10 1+10");
}

/* So does a ring whose thread claimed it after the first look. */
static void a_new_ring_holds_up(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 2, 10), put_alloc(1, 4, 20);
    (void)drain_turn(drain);
    first_look();
    open_ring(2);
    put_alloc(2, 6, 30), put_free_of(0, 8, 30);
    first_look_comes_to(0);
    second_look();
    assert_taken("0+10 1+20");
    (void)drain_turn(drain);
    assert_taken("0+10 1+20 2+30 0-30");
}

/* An event from before there were keys comes before all that have one, whenever it is seen. */
static void events_without_keys_hold_up(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    put_alloc(0, 0, 10);
    first_look();
    put_alloc(0, 0, 20), put_free_of(1, 2, 20);
    first_look_comes_to(1);
    second_look();
    assert_taken("0+10");
    (void)drain_turn(drain);
    assert_taken("0+10 0+20 1-20");
}

/* Rings that always have something new do not hold up for long: a turn later it is old. */
static void it_goes_on(void **state)
{
    (void)state;
    open_ring(0), open_ring(1);
    uint64_t before = drain->taken;
    for (uint64_t i = 1; i <= 100; i++) {
        first_look();
        put_alloc(0, 4 * i, 100 + i), put_alloc(1, 4 * i + 2, 1100 + i);
        first_look_comes_to(1);
        second_look();
        assert_true(drain->taken - before >= 2 * 2 * (i - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_ring_needs_no_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lesser_keys_come_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_without_a_mark_have_the_key_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_kept_from_turn_to_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(raising_comes_before_finding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_and_filling_do_not_hide_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rings_of_one_process_wait_in_any_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_free_waits_for_its_allocation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lesser_keys_do_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_new_part_of_a_ring_holds_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_ring_holds_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_without_keys_hold_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_goes_on, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
