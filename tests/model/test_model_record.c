/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_record.c: the order of a recording. Threads allocate, resize and free blocks that wander between them, each
 * address given out again at once, and write their events by the recorder's own code, while its reader reads along.
 * Whatever happens between whom, the life of each address must be in order in the recording: no free of a block that
 * does not live, no block given out twice, every request there.
 *
 * First with threads that are switched at random before each of their atomic operations and the reader's (coroutines,
 * in one thread: what this finds, its seed repeats), then with true ones. The bytes that live in the recording, too,
 * must be those that lived in the program, but for what each thread may be wrong by. */

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* A chance for other coroutines to run. */
static void step(void);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#if defined(__clang__)
#define atomic_load_explicit(object, order) (step(), __c11_atomic_load(object, order))
#define atomic_store_explicit(object, value, order) (step(), __c11_atomic_store(object, value, order))
#define atomic_fetch_add_explicit(object, value, order) (step(), __c11_atomic_fetch_add(object, value, order))
#else
#define atomic_load_explicit(object, order) (step(), __atomic_load_n(object, order))
#define atomic_store_explicit(object, value, order) (step(), __atomic_store_n(object, value, order))
#define atomic_fetch_add_explicit(object, value, order) (step(), __atomic_fetch_add(object, value, order))
#endif

#define CAIRN_RECORD 1
#include "record/record.c"
#include "support/recorded.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* ---- the program ---- */

enum { BLOCKS = 48, THREADS = 4, ESCAPED = 20000 };
enum { FREE, TAKEN, LIVE };

/* A program whose blocks lie `spacing` bytes apart; no memory is behind them. */
static struct {
    size_t blocks, spacing;
    _Atomic(int) state[BLOCKS];
    _Atomic(uint64_t) requests;
} program;

static const void *block_at(size_t index)
{
    return (const void *)(UINT64_C(0x7e1234560000) + index * program.spacing);
}

/* Makes this thread the only one that deals with a block. */
static bool take(size_t block, int state)
{
    return atomic_compare_exchange_strong(&program.state[block], &state, TAKEN);
}

static void allocate(size_t block, uint64_t random)
{
    size_t size = random % 64 == 0 ? ESCAPED : random % 300;
    if (take(block, FREE)) {
        record_alloc(block_at(block), RECORD_MALLOC, size);
        program.requests++;
        atomic_store(&program.state[block], LIVE);
    }
}

/* Before it is given up, as every front does. */
static void give_back_block(size_t block)
{
    if (take(block, LIVE)) {
        record_free(block_at(block));
        program.requests++;
        atomic_store(&program.state[block], FREE);
    }
}

/* A resize that moves gives its old address up before its end is written; one that fails leaves the block as it was. */
static void resize(size_t block, size_t other, uint64_t random)
{
    if (!take(block, LIVE)) {
        return;
    }
    record_resize(block_at(block));
    if (random % 4 == 0) {
        record_resized(NULL, RECORD_MALLOC, 100);
    } else if (take(other, FREE)) {
        atomic_store(&program.state[block], FREE);
        record_resized(block_at(other), RECORD_MALLOC, random % 300);
        program.requests++;
        atomic_store(&program.state[other], LIVE);
        return;
    } else {
        record_resized(block_at(block), RECORD_MALLOC, random % 300);
        program.requests++;
    }
    atomic_store(&program.state[block], LIVE);
}

static void run_program(uint64_t seed, size_t steps)
{
    uint64_t random = seed;
    for (size_t i = 0; i < steps; i++) {
        size_t block = random_below(&random, program.blocks);
        switch (random_below(&random, 5)) {
        case 0:
        case 1:
            allocate(block, random_next(&random));
            break;
        case 2:
            resize(block, random_below(&random, program.blocks), random_next(&random));
            break;
        default:
            give_back_block(block);
        }
    }
}

/* ---- a recording of this process ---- */

static struct drain *drain;

static void begin_recording(size_t blocks, size_t spacing)
{
    char value[64];
    memset(&program, 0, sizeof program);
    program.blocks = blocks;
    program.spacing = spacing;
    drain = drain_create("unused", "cairn=0", 8, false);
    assert_non_null(drain);
    (void)snprintf(value, sizeof value, "%d:%d:%d", (int)getpid(), drain_descriptor(drain), (int)getpid());
    (void)setenv(RECORD_VARIABLE, value, 1);
    memset(&recorder, 0, sizeof recorder);
    record_order = NULL;
    record_writer = &no_room;
    assert_true(is_on()); /* a process begins with one thread */
}

static void read_recording(void)
{
    recorded_end(drain);
    assert_int_equal(recorded.totals.unknown, 0);
    assert_int_equal(recorded.totals.missed, 0);
    assert_int_equal(recorded.totals.requests, program.requests);
    assert_true(program.requests > 0);
}

static void end_recording(void)
{
    munmap(recorder.area, RECORD_AREA_SIZE(recorder.rings));
    munmap(recorder.wiped, sizeof *recorder.wiped);
    recorded_forget();
}

/* ---- coroutines ---- */

#if !defined(SANITIZED)

enum { STACK = 256 * 1024, COROUTINES = THREADS + 1 };

/* The last coroutine is the reader. */
static struct {
    ucontext_t context[COROUTINES], done;
    struct record_writer *writer[COROUTINES];
    size_t count, current, running, steps;
    unsigned switches; /* in percent of the atomic operations */
    uint64_t random;
    bool ended[COROUTINES], on;
} coroutines;

static void switch_to(size_t next)
{
    size_t self = coroutines.current;
    coroutines.writer[self] = record_writer;
    coroutines.current = next;
    record_writer = coroutines.writer[next];
    if (next != self) {
        swapcontext(&coroutines.context[self], &coroutines.context[next]);
    }
}

static size_t any_other(void)
{
    size_t next;
    do {
        next = random_below(&coroutines.random, coroutines.count);
    } while (coroutines.ended[next]);
    return next;
}

static void step(void)
{
    if (coroutines.on && random_chance(&coroutines.random, coroutines.switches)) {
        switch_to(any_other());
    }
}

static void coroutine(void)
{
    size_t self = coroutines.current;
    if (self + 1 < coroutines.count) {
        run_program(coroutines.random + self, coroutines.steps);
        coroutines.running--;
    } else {
        while (coroutines.running > 0) {
            (void)drain_turn(drain);
            step();
        }
    }
    coroutines.ended[self] = true;
    for (size_t i = 0; i < coroutines.count; i++) {
        if (!coroutines.ended[i]) {
            switch_to(any_other());
        }
    }
    setcontext(&coroutines.done);
}

static void run_coroutines(uint64_t seed, size_t threads, size_t steps, unsigned switches)
{
    static char stack[COROUTINES][STACK];
    static volatile bool back;
    memset(&coroutines, 0, sizeof coroutines);
    coroutines.random = seed;
    coroutines.count = threads + 1;
    coroutines.running = threads;
    coroutines.steps = steps;
    coroutines.switches = switches;
    for (size_t i = 0; i < coroutines.count; i++) {
        getcontext(&coroutines.context[i]);
        coroutines.context[i].uc_stack.ss_sp = stack[i];
        coroutines.context[i].uc_stack.ss_size = sizeof stack[i];
        makecontext(&coroutines.context[i], coroutine, 0);
        coroutines.writer[i] = &no_room;
    }
    back = false;
    getcontext(&coroutines.done);
    if (!back) {
        back = true;
        coroutines.on = true;
        setcontext(&coroutines.context[0]);
    }
    coroutines.on = false;
}

static void lives_are_in_order_however_threads_switch(void **state)
{
    static const size_t spacings[] = {16, 4096, KIB(16), MIB(1024) + 16};
    uint64_t seed = test_seed();
    size_t runs = test_scaled(160);
    (void)state;
    for (size_t i = 0; i < runs; i++) {
        uint64_t random = seed + i;
        begin_recording(2 + random_below(&random, BLOCKS - 1), spacings[i % COUNT_OF(spacings)]);
        run_coroutines(random_next(&random), 2 + random_below(&random, THREADS - 1), 1500,
                       (unsigned)(2 + random_below(&random, 40)));
        read_recording();
        end_recording();
    }
}

#else

static void step(void)
{
}

#endif

/* ---- bytes that live ---- */

enum { PEAK_BLOCKS = 300, PEAK_SIZE = 600 };

/* One of two threads allocates all its blocks, or frees them. */
static void all_blocks(struct record_writer *writers[2], size_t thread, bool alloc)
{
    uint64_t address = UINT64_C(0x7e1200000000) + thread * MIB(16);
    record_writer = writers[thread];
    for (size_t i = 0; i < PEAK_BLOCKS; i++, address += round_up(PEAK_SIZE, 16)) {
        if (alloc) {
            record_alloc((const void *)address, RECORD_MALLOC, PEAK_SIZE);
        } else {
            record_free((const void *)address);
        }
        program.requests++;
    }
    writers[thread] = record_writer;
}

static uint64_t recorded_peak(void)
{
    static uint64_t sizes[1000];
    uint64_t live = 0, peak = 0;
    for (size_t i = 0; i < recorded.count; i++) {
        const struct event *event = &recorded.events[i];
        if (event->kind == EVENT_ALLOC) {
            sizes[event->object] = event->size;
            live += event->size;
        } else if (event->kind == EVENT_FREE) {
            live -= sizes[event->object];
        }
        peak = live > peak ? live : peak;
    }
    return peak;
}

/* Two threads take turns in having blocks, each its own; the first one has some at the end. All is read at once, so that
 * nothing but the keys of the events can tell the turns. */
static void peaks_are_true(void **state)
{
    struct record_writer *writers[2] = {&no_room, &no_room};
    (void)state;
    begin_recording(1, 16);
    all_blocks(writers, 0, true);
    for (size_t i = 0; i < 20; i++) {
        all_blocks(writers, 0, false);
        all_blocks(writers, 1, true);
        all_blocks(writers, 1, false);
        all_blocks(writers, 0, true);
    }
    read_recording();
    assert_in_range(recorded_peak(), PEAK_BLOCKS * PEAK_SIZE, PEAK_BLOCKS * PEAK_SIZE + 2 * CREDIT);
    end_recording();
}

/* ---- threads ---- */

static atomic_bool finished;

static void *read_along(void *unused)
{
    (void)unused;
    while (!finished) {
        if (drain_turn(drain) == 0) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void *run_thread(void *seed)
{
    run_program(*(const uint64_t *)seed, test_scaled(150000));
    return NULL;
}

static void lives_are_in_order_with_true_threads(void **state)
{
    static const size_t blocks[] = {2, BLOCKS};
    uint64_t seed = test_seed(), seeds[THREADS];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        pthread_t reader, thread[THREADS];
        begin_recording(blocks[i], 4096);
        finished = false;
        start_thread(&reader, read_along, NULL);
        for (size_t j = 0; j < THREADS; j++) {
            seeds[j] = random_next(&seed);
            start_thread(&thread[j], run_thread, &seeds[j]);
        }
        for (size_t j = 0; j < THREADS; j++) {
            join_thread(thread[j]);
        }
        finished = true;
        join_thread(reader);
        read_recording();
        end_recording();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if !defined(SANITIZED)
        cmocka_unit_test(lives_are_in_order_however_threads_switch),
#endif
        cmocka_unit_test(lives_are_in_order_with_true_threads),
        cmocka_unit_test(peaks_are_true),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
