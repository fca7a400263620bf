/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_handles.c: random operations on handles, held against a model: a list of the blocks the program holds,
 * with size, stamp, pins, and the address while pinned.
 *
 * At each operation: success or the refusal the plan allows, contents through moves and resizing, the address of
 * pinned blocks unchanged, freed handles recognised, no other report. At quiescent points: the walk shows exactly the
 * model's blocks, they do not overlap, the figures equal its counts, the heap's own check finds nothing. At the end:
 * nothing held, nothing kept in the table, every reservation gone.
 *
 * With several threads each has its blocks and random numbers, all compact, and nobody uses an address without a pin;
 * at quiescent points (barriers) one of them checks. With one thread a seed repeats a run, and plain derefs are used.
 * */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn_handle.h"
#include "heap/handle.h"
#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { THREADS_MAX = 4, LIVE_MAX = 4000, STALE = 64, ROUNDS = 20, OPERATIONS = 400000 };

/* A reservation that is refused its commit and then its release is lost: not both at a time. */
enum { GROWTH = OS_FAKE_GROWTH | OS_FAKE_PURGE, BACK = OS_FAKE_PURGE | OS_FAKE_RELEASE };

struct plan {
    const char *name;
    size_t limit;
    unsigned refuse; /* OS_FAKE_* kinds */
    unsigned refuse_per_thousand;
    unsigned threads;
    unsigned large_per_thousand; /* share of blocks with segments of their own */
    bool single;
};

struct held {
    cairn_handle handle;
    size_t size;
    uint64_t stamp;
    unsigned pins;
    void *address; /* while pinned */
};

struct model;

struct worker {
    struct model *model;
    uint64_t random;
    struct held held[LIVE_MAX];
    size_t live;
    size_t target; /* the number of blocks this phase tends to */
    cairn_handle stale[STALE];
    uint64_t step, refusals;
};

struct model {
    const struct plan *plan;
    cairn_heap *heap;
    pthread_barrier_t barrier;
    struct worker workers[THREADS_MAX];
};

static _Thread_local struct worker *at_work;
static _Thread_local unsigned reports; /* expected by this thread */

#define expect(condition) ((condition) ? (void)0 : give_up(#condition, __LINE__))

_Noreturn static void give_up(const char *what, int line)
{
    fprintf(stderr, "model of handles '%s', CAIRN_TEST_SEED=%" PRIu64 ", step %" PRIu64 ", line %d: %s\n",
            at_work->model->plan->name, test_seed(), at_work->step, line, what);
    fflush(stderr);
    abort();
}

static void on_misuse(const cairn_misuse *misuse)
{
    if (reports == 0) {
        give_up(misuse->text, __LINE__);
    }
    reports--;
}

/* ---- operations ---- */

static bool may_refuse(void)
{
    const struct plan *plan = at_work->model->plan;
    return plan->limit != 0 || plan->refuse & OS_FAKE_GROWTH;
}

static size_t random_size(struct worker *w)
{
    size_t dice = random_below(&w->random, 1000);
    if (dice < w->model->plan->large_per_thousand) {
        return random_below(&w->random, KIB(600));
    }
    if (dice < 800) {
        return random_below(&w->random, 300);
    }
    return dice < 980 ? random_below(&w->random, KIB(4)) : random_below(&w->random, KIB(66));
}

static void *address_to_use(struct worker *w, const struct held *held)
{
    if (held->pins == 0 && w->model->plan->threads > 1) {
        void *address = cairn_handle_pin(w->model->heap, held->handle);
        expect(address != NULL);
        return address;
    }
    return cairn_handle_deref(held->handle);
}

static void address_used(struct worker *w, const struct held *held)
{
    if (held->pins == 0 && w->model->plan->threads > 1) {
        cairn_handle_unpin(w->model->heap, held->handle);
    }
}

static void verify(struct worker *w, const struct held *held, size_t upto)
{
    void *address = address_to_use(w, held);
    expect(aligned_to(address, 16));
    expect(held->pins == 0 || address == held->address);
    expect(pattern_holds(address, held->size, upto, held->stamp));
    address_used(w, held);
}

static void write_pattern(struct worker *w, const struct held *held)
{
    pattern_fill(address_to_use(w, held), held->size, held->stamp);
    address_used(w, held);
}

static void op_alloc(struct worker *w)
{
    struct held *held = &w->held[w->live];
    *held = (struct held){.size = random_size(w), .stamp = random_next(&w->random)};
    errno = 0;
    held->handle = cairn_handle_alloc(w->model->heap, held->size);
    if (held->handle == CAIRN_HANDLE_NONE) {
        expect(errno == ENOMEM && may_refuse());
        w->refusals++;
        return;
    }
    expect(cairn_handle_size(w->model->heap, held->handle) >= held->size);
    w->live++;
    write_pattern(w, held);
}

static void op_free(struct worker *w, size_t i)
{
    struct held *held = &w->held[i];
    verify(w, held, held->size);
    while (held->pins > 0) {
        cairn_handle_unpin(w->model->heap, held->handle);
        held->pins--;
    }
    cairn_handle_free(w->model->heap, held->handle);
    w->stale[random_below(&w->random, STALE)] = held->handle;
    *held = w->held[--w->live];
}

static void op_resize(struct worker *w, struct held *held)
{
    size_t near = held->size + random_below(&w->random, 200);
    size_t size = random_chance(&w->random, 50) ? random_size(w) : near > 100 ? near - 100 : near;
    verify(w, held, held->size);
    int error = cairn_handle_resize(w->model->heap, held->handle, size);
    expect(error == 0 || (error == EBUSY && held->pins > 0) || (error == ENOMEM && may_refuse()));
    expect(error == 0 || size > held->size);
    size_t kept = error == 0 && size < held->size ? size : held->size;
    verify(w, held, kept);
    if (error == 0) {
        expect(cairn_handle_size(w->model->heap, held->handle) >= size);
        held->size = size;
        write_pattern(w, held);
    }
}

static void op_pin(struct worker *w, struct held *held)
{
    void *address = cairn_handle_pin(w->model->heap, held->handle);
    expect(address != NULL && address == cairn_handle_deref(held->handle));
    expect(held->pins == 0 || address == held->address);
    held->address = address;
    held->pins++;
    verify(w, held, held->size);
}

static void op_unpin(struct worker *w, struct held *held)
{
    verify(w, held, held->size);
    reports = held->pins == 0;
    cairn_handle_unpin(w->model->heap, held->handle);
    expect(reports == 0);
    held->pins -= held->pins > 0;
}

/* Uses a freed handle, or frees a pinned one. */
static void op_misuse(struct worker *w, struct held *held)
{
    cairn_handle stale = w->stale[random_below(&w->random, STALE)];
    if (stale != CAIRN_HANDLE_NONE) {
        reports = 4;
        cairn_handle_free(w->model->heap, stale);
        expect(cairn_handle_deref(stale) == NULL);
        expect(cairn_handle_pin(w->model->heap, stale) == NULL);
        expect(cairn_handle_resize(w->model->heap, stale, 10) == EINVAL);
        expect(reports == 0);
    }
    if (held->pins > 0) {
        reports = 1;
        cairn_handle_free(w->model->heap, held->handle);
        expect(reports == 0);
        verify(w, held, held->size);
    }
}

static void op_compact(struct worker *w)
{
    static const size_t budgets[] = {0, 100, 1000, 20000, 300000};
    size_t budget = random_chance(&w->random, 2) ? SIZE_MAX : budgets[random_below(&w->random, COUNT_OF(budgets))];
    bool more = cairn_heap_compact(w->model->heap, budget);
    expect(!more || budget != SIZE_MAX);
}

static void operation(struct worker *w)
{
    size_t dice = random_below(&w->random, 1000);
    if (w->live == 0 || dice < 350) {
        if (w->live < w->target) {
            op_alloc(w);
        } else if (w->live > 0) {
            op_free(w, random_below(&w->random, w->live));
        }
        return;
    }
    size_t i = random_below(&w->random, w->live);
    if (dice < 550) {
        op_free(w, i);
    } else if (dice < 650) {
        op_resize(w, &w->held[i]);
    } else if (dice < 700) {
        op_pin(w, &w->held[random_chance(&w->random, 80) ? i % 8 : i]);
    } else if (dice < 770) {
        op_unpin(w, &w->held[random_chance(&w->random, 80) ? i % 8 : i]);
    } else if (dice < 800) {
        op_misuse(w, &w->held[i]);
    } else if (dice < 850) {
        op_compact(w);
    } else if (dice < 853) {
        cairn_trim(w->model->heap);
    } else {
        verify(w, &w->held[i], w->held[i].size);
    }
}

/* ---- quiescent points ---- */

struct seen {
    uintptr_t last_end;
    size_t blocks, bytes, holes, pinned;
    bool bad;
};

static bool see(const struct handle_area *area, void *context)
{
    struct seen *seen = context;
    uintptr_t at = address_of(area->address);
    if (area->kind == HANDLE_AREA_SEGMENT) {
        seen->last_end = at;
        seen->bad |= !os_fake_covers(area->address, area->size);
        return true;
    }
    seen->bad |= at < seen->last_end;
    seen->last_end = at + area->size;
    if (area->kind == HANDLE_AREA_BLOCK) {
        seen->bad |= cairn_handle_deref(area->handle) != area->address;
        seen->blocks++;
        seen->bytes += area->size;
        seen->pinned += area->pins > 0;
    } else {
        seen->holes += area->size;
    }
    return true;
}

static void check_all(struct model *model)
{
    struct seen seen = {0};
    size_t live = 0;
    size_t pinned = 0;
    size_t usable = 0;
    for (unsigned t = 0; t < model->plan->threads; t++) {
        const struct worker *w = &model->workers[t];
        live += w->live;
        for (size_t i = 0; i < w->live; i++) {
            const struct held *held = &w->held[i];
            pinned += held->pins > 0;
            usable += cairn_handle_size(model->heap, held->handle);
            expect(pattern_holds(cairn_handle_deref(held->handle), held->size, held->size, held->stamp));
        }
    }
    expect(handles_walk(model->heap, see, &seen));
    cairn_handle_stats stats;
    cairn_heap_handle_stats(model->heap, &stats);
    expect(!seen.bad && seen.blocks == live && seen.pinned == pinned && seen.bytes == usable);
    expect(stats.live_handles == live && stats.pinned_handles == pinned && stats.live_bytes == usable);
    expect(stats.hole_bytes == seen.holes && stats.held_bytes <= stats_of(model->heap)->held_bytes);
    expect(model->plan->limit == 0 || stats.held_bytes <= model->plan->limit);
    size_t faults = cairn_heap_check(model->heap, stderr);
    expect(faults == 0);
}

/* ---- runs ---- */

static void meet(struct worker *w)
{
    pthread_barrier_wait(&w->model->barrier);
    if (w == &w->model->workers[0]) {
        check_all(w->model);
    }
    pthread_barrier_wait(&w->model->barrier);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    at_work = w;
    size_t operations = test_scaled(OPERATIONS) / w->model->plan->threads / ROUNDS;
    for (int round = 0; round < ROUNDS; round++) {
        w->target = random_chance(&w->random, 30) ? random_below(&w->random, 50) : random_below(&w->random, LIVE_MAX);
        for (size_t i = 0; i < operations; i++, w->step++) {
            operation(w);
        }
        meet(w);
    }
    while (w->live > 0) {
        op_free(w, w->live - 1);
    }
    meet(w);
    return NULL;
}

static void run(const struct plan *plan)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    model.plan = plan;
    os_fake_reset();
    size_t ranges = os_fake_reserved_ranges();
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = plan->name;
    options.limit = plan->limit;
    options.single = plan->single;
    model.heap = cairn_heap_create(&options);
    assert_non_null(model.heap);
    os_fake_refuse_some(plan->refuse, plan->refuse_per_thousand, test_seed());
    cairn_misuse_handler before = cairn_set_misuse_handler(on_misuse);
    pthread_barrier_init(&model.barrier, NULL, plan->threads);
    pthread_t threads[THREADS_MAX];
    uint64_t refusals = 0;
    for (unsigned t = 0; t < plan->threads; t++) {
        model.workers[t].model = &model;
        model.workers[t].random = test_seed() + t;
        start_thread(&threads[t], work, &model.workers[t]);
    }
    for (unsigned t = 0; t < plan->threads; t++) {
        join_thread(threads[t]);
        refusals += model.workers[t].refusals;
    }
    pthread_barrier_destroy(&model.barrier);
    assert_true(test_scale() < 100 || (refusals > 0) == (plan->limit != 0 || plan->refuse & OS_FAKE_GROWTH));
    os_fake_refuse_none();
    while (cairn_heap_compact(model.heap, SIZE_MAX)) {
    }
    assert_false(cairn_heap_compact(model.heap, SIZE_MAX)); /* a round that was under way is over: one more */
    cairn_trim(model.heap);
    cairn_handle_stats stats;
    cairn_heap_handle_stats(model.heap, &stats);
    assert_int_equal(stats.held_bytes, 0);
    assert_int_equal(stats.table_bytes, 0);
    assert_true(test_scale() < 100 || stats.moved_blocks > 1000);
    cairn_heap_destroy(model.heap);
    cairn_set_misuse_handler(before);
    os_fake_reset();
    assert_int_equal(os_fake_faults(), 0);
    assert_int_equal(os_fake_reserved_ranges(), ranges);
}

static void one_thread(void **state)
{
    (void)state;
    const struct plan plans[] = {
        {.name = "small blocks", .threads = 1},
        {.name = "small blocks, single", .threads = 1, .single = true},
        {.name = "large blocks too", .threads = 1, .large_per_thousand = 20},
        {.name = "at a limit", .threads = 1, .large_per_thousand = 5, .limit = MIB(3)},
        {.name = "growth refused", .threads = 1, .large_per_thousand = 20, .refuse = GROWTH, .refuse_per_thousand = 50},
        {.name = "giving back refused",
         .threads = 1,
         .large_per_thousand = 20,
         .refuse = BACK,
         .refuse_per_thousand = 300},
        {.name = "refusals at a limit", .threads = 1, .limit = MIB(5), .refuse = GROWTH, .refuse_per_thousand = 300},
    };
    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        run(&plans[i]);
    }
}

static void four_threads_that_pin(void **state)
{
    (void)state;
    const struct plan plans[] = {
        {.name = "four threads", .threads = 4},
        {.name = "four threads, large blocks too", .threads = 4, .large_per_thousand = 20},
        {.name = "four threads at a limit", .threads = 4, .limit = MIB(6), .large_per_thousand = 5},
        {.name = "four threads, growth refused",
         .threads = 4,
         .refuse = GROWTH,
         .refuse_per_thousand = 50,
         .large_per_thousand = 20},
        {.name = "four threads, giving back refused", .threads = 4, .refuse = BACK, .refuse_per_thousand = 200},
    };
    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        run(&plans[i]);
    }
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread),
        cmocka_unit_test(four_threads_that_pin),
    };
    return cmocka_run_group_tests_name("model, handles", tests, NULL, NULL);
}
