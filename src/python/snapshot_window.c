/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_window.c: from the clone to the last batch.
 *
 * The freed log is open as long as the window: an address that the clone names is believed only if the log does not have
 * its block (snapshot_batch.c). The first batch waits for the clone to be gone, so that pages are used again and not
 * copied.
 *
 * A window belongs to the process that opened it. A child of fork() drops it in its fork handler; one that was made
 * without handlers finds out by its process id. */

#include <errno.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_pressure.h"
#include "python/cpython.h"
#include "python/freed_log.h"
#include "python/snapshot_private.h"

enum {
    OBJECT_LEAST = 64, /* bytes: a process has no more tracked objects than this allows */
    ENTRIES_LEAST = 65536,
    LIMIT_MS = 10000, /* for the clone, and beside that */
    OBJECTS_PER_MS = 200,
    TABLES_SHARE = 12, /* of the resident bytes may be the analysis's tables */
    TABLES_LEAST = 64 << 20,
    FAULT_BYTES = 4096,
    OBJECT_NS = 150,       /* that the analysis takes for one, before that was seen */
    LEAST_WAIT_NS = 50000, /* a shorter one is left out */
    WAIT_NS = 1500000,
    LONG_WAIT_NS = 2000000,
    LAST_DOUBLED = 4, /* so often at most, by how near the limit of floating garbage is, or how far it is passed */
};

struct window window;

/* ---- opening ---- */

static void describe(struct snapshot_input *input, size_t resident)
{
    const struct gc_generation *generations = collector.gc.generations;
    *input = (struct snapshot_input){
        .plain_type = {&PyBaseObject_Type, &PyDict_Type, &PyList_Type, &PyTuple_Type, &PySet_Type, &PyFrozenSet_Type,
                       &PyCell_Type, &PyFunction_Type, &PyMethod_Type, &PyODict_Type, &PyUnicode_Type, &PyBytes_Type,
                       &PyLong_Type, &PyFloat_Type},
        .class_dealloc = collector.class_dealloc,
        .class_clear = collector.class_clear,
        .ring = {&generations[2].head, &generations[0].head, &generations[1].head},
        .permanent = collector.gc.permanent,
        .minor = collector.gc.minor,
        .dict_type = &PyDict_Type,
        .tuple_type = &PyTuple_Type,
        .list_type = &PyList_Type,
        .reference_type = &_PyWeakref_RefType,
        .proxy_type = &_PyWeakref_ProxyType,
        .callable_proxy_type = &_PyWeakref_CallableProxyType,
        .memory_limit = resident / TABLES_SHARE > TABLES_LEAST ? resident / TABLES_SHARE : TABLES_LEAST,
    };
}

static const char *failure(int error)
{
    switch (error) {
    case EAGAIN:
        return "the limit of processes is reached";
    case ENOMEM:
        return "the system has no memory for a snapshot";
    default:
        return "the system does not allow to clone the process";
    }
}

static void not_started(int error)
{
    freed_log_close();
    trigger_undone();
    collector.figures.abandoned_failed++;
    if (error == EAGAIN || error == ENOMEM) {
        trigger_refused(failure(error));
    } else {
        snapshot_give_up(failure(error));
    }
}

/* How fast the program takes new pages when none is copied. */
static void note_rate(uint64_t faults, uint64_t now_ns)
{
    struct fault_rate *before = &window.before;
    bool known = before->ns != 0 && now_ns > before->ns;
    before->per_ns = known ? (double)(faults - before->faults) / (double)(now_ns - before->ns) : 0;
}

static void opened(size_t resident, uint64_t now_ns)
{
    window.state = WINDOW_ANALYSING;
    window.pid = getpid();
    window.opened_ns = window.ticked_ns = now_ns;
    window.permanent_last = gc_head_prev(collector.gc.permanent);
    window.faults = os_page_faults();
    note_rate(window.faults, now_ns);
    window.expected_ns = (uint64_t)((double)trigger_objects() * (window.object_ns > 0 ? window.object_ns : OBJECT_NS) *
                                    1.3) +
                         1;
    window.copies_most = resident / FAULT_BYTES / 100 * cairn_options()->gc.copied;
    window.copies_seen = 0;
    window.next = window.next_untrack = 0;
    window.looked_for = collector_looked_for();
    window.collected = window.uncollectable = 0;
    atomic_store(&window.left, false);
    collector.figures.snapshots++;
}

bool window_open(void)
{
    struct snapshot_input input;
    struct pause pause = {.cause = PAUSE_FORK, .begun_ns = os_clock_ns()};
    size_t resident = os_resident_bytes();
    size_t entries = resident / OBJECT_LEAST > ENTRIES_LEAST ? resident / OBJECT_LEAST : ENTRIES_LEAST;
    unsigned limit_ms = LIMIT_MS + (unsigned)(trigger_objects() / OBJECTS_PER_MS);
    describe(&input, resident);
    pages_stop();
    trigger_begun();
    freed_log_open();
    int error = snapshot_process_start(&window.process, &input, entries, limit_ms);
    pause.ended_ns = os_clock_ns();
    if (error != 0) {
        not_started(error);
        return false;
    }
    pauses_note(&pause);
    trigger_clone_took(pause.ended_ns - pause.begun_ns, resident);
    opened(resident, pause.ended_ns);
    return true;
}

/* ---- closing ---- */

void window_close(void)
{
    if (window.state == WINDOW_CLOSED) {
        return;
    }
    window.state = WINDOW_CLOSED;
    freed_log_close();
    window.before.faults = os_page_faults();
    window.before.ns = os_clock_ns();
    if (window.pid == getpid()) {
        snapshot_process_close(&window.process);
    } else {
        snapshot_process_forget(&window.process);
    }
}

/* Wants nothing of the window any more. A clone that runs is told to end, and is waited for by ticks. */
static void leave(void)
{
    freed_log_close();
    if (window.state == WINDOW_ANALYSING) {
        snapshot_process_kill(&window.process);
        window.state = WINDOW_ENDING;
    } else {
        window_close();
    }
}

void window_abandon(void)
{
    if (window.state == WINDOW_ANALYSING || window.state == WINDOW_FREEING) {
        collector.figures.abandoned_program++;
        trigger_undone();
        leave();
    }
}

void window_leave(void)
{
    if (snapshot_process_unreaped() && window.pid == getpid()) {
        atomic_store(&window.left, true);
        snapshot_process_leave();
    }
}

/* The snapshot came to nothing. */
static void miss(uint64_t *counter)
{
    (*counter)++;
    trigger_missed();
    leave();
}

/* ---- while the clone runs ---- */

/* Page faults since the clone, without those that the program would have had anyway: pages copied, about. */
static uint64_t copies(void)
{
    double faults = (double)(os_page_faults() - window.faults);
    double usual = window.before.per_ns * (double)(os_clock_ns() - window.opened_ns);
    return faults > usual ? (uint64_t)(faults - usual) : 0;
}

static void note_copies(void)
{
    uint64_t pages = copies();
    collector.figures.pages_copied += pages;
    if (pages > collector.figures.pages_copied_most) {
        collector.figures.pages_copied_most = pages;
    }
}

static void note_result(void)
{
    struct snapshot_figures *figures = &collector.figures;
    const struct snapshot_result *result = window.process.result;
    uint64_t ns = 0;
    for (int pass = 0; pass < SNAPSHOT_PASSES; pass++) {
        ns += result->pass_ns[pass];
    }
    figures->analysis_ns += ns;
    window.object_ns = (double)(os_clock_ns() - window.opened_ns) / (double)(result->objects + 1);
    figures->analysis_ns_longest = ns > figures->analysis_ns_longest ? ns : figures->analysis_ns_longest;
    if (result->table_bytes > figures->table_bytes_most) {
        figures->table_bytes_most = result->table_bytes;
    }
    figures->candidates += result->candidates;
    pauses_note_analysis(window.opened_ns, window.opened_ns + ns, (size_t)result->objects, (size_t)result->garbage);
}

static void take_in(enum snapshot_state state)
{
    if (state == SNAPSHOT_RUNNING) {
        return;
    }
    note_copies();
    if (state == SNAPSHOT_ENDED) {
        note_result();
        trigger_found();
        window.state = WINDOW_FREEING;
        batch_begin();
        pages_join();
    } else if (atomic_load(&window.left)) {
        window_abandon();
    } else {
        miss(&collector.figures.abandoned_failed);
    }
}

/* Nanoseconds that the analysis will still take: what is expected, and once that is over, a little each time. */
static double left_ns(void)
{
    double expected = (double)window.expected_ns, done = (double)(os_clock_ns() - window.opened_ns);
    return done < expected * 7 / 8 ? expected - done : expected / 8;
}

/* The wait at each tick that makes so many ticks last until the analysis ends, `most_ns` at most: many short waits do the
 * program less harm than one long one. */
static uint64_t spread(double ticks, uint64_t most_ns)
{
    double wait = ticks < 1 ? (double)most_ns : left_ns() / ticks - window.between_ns;
    return wait < 0 ? 0 : wait < (double)most_ns ? (uint64_t)wait : most_ns;
}

/* A program that writes to so many pages that the limit would be passed before the analysis ends is slowed: a snapshot
 * that is given up has cost as much as one that is not, and after some of them CPython does it in one stop: each that was
 * given up lets the next begin sooner and wait longer. The more pages are copied, the fewer there are to copy, so they will
 * come slower than now. */
static uint64_t wait_for_copies(uint64_t copied)
{
    static const double begin = 0.2, near = 0.6, aim = 0.95; /* of the limit */
    static const double slower = 0.7;
    double most = (double)window.copies_most, left = most * aim - (double)copied;
    uint64_t most_ns = (double)copied < most * near ? WAIT_NS : LONG_WAIT_NS;
    unsigned misses = trigger_misses();
    bool early = (double)copied < most * begin / (1 << misses);
    return early ? 0 : spread(left / (window.copies_tick * slower + 1), most_ns << misses);
}

/* And so is one that makes garbage faster than it is found. Waits of LONG_WAIT_NS are doubled from step to step, from the
 * limit on; where some ticks are more than a step, as with a few hundred thousand objects, from so much before it. */
static uint64_t wait_for_garbage(void)
{
    static const double step = 0.03, most_ahead = 0.1, margin = 0.05; /* of the limit */
    static const double ticks = 4;
    double ahead = ticks / 100 / trigger_hundredth() - step;
    double near = 1 - (ahead < 0 ? 0 : ahead < most_ahead ? ahead : most_ahead);
    double floating = trigger_floating(0, trigger_at_clone());
    if (floating >= near) {
        double steps = (floating - near) / step;
        unsigned doubled = steps < LAST_DOUBLED ? (unsigned)steps : LAST_DOUBLED;
        return trigger_misses() == 0 ? (uint64_t)LONG_WAIT_NS << doubled : LONG_WAIT_NS; /* too late is too late */
    }
    return spread((near - margin - floating) * 100 * trigger_hundredth(), LONG_WAIT_NS);
}

static void slow_down(uint64_t wait_ns)
{
    if (wait_ns >= LEAST_WAIT_NS) {
        struct pause pause = {.cause = PAUSE_WAIT, .begun_ns = os_clock_ns()};
        take_in(snapshot_process_wait(&window.process, wait_ns));
        pause.ended_ns = os_clock_ns();
        pauses_note(&pause);
    }
}

static double faded(double before, double now)
{
    return before > 0 ? (7 * before + now) / 8 : now;
}

/* What the program does from tick to tick when it is not slowed. */
static void note_tick(uint64_t copied)
{
    window.between_ns = faded(window.between_ns, (double)(os_clock_ns() - window.ticked_ns));
    window.copies_tick = faded(window.copies_tick, (double)copied - (double)window.copies_seen);
    window.copies_seen = copied;
}

static void watch(void)
{
    take_in(snapshot_process_poll(&window.process));
    if (window.state != WINDOW_ANALYSING) {
        return;
    }
    uint64_t copied = copies();
    note_tick(copied);
    if (copied > window.copies_most) {
        note_copies();
        miss(&collector.figures.abandoned_copying);
    } else {
        uint64_t of_copies = wait_for_copies(copied), of_garbage = wait_for_garbage();
        slow_down(of_copies > of_garbage ? of_copies : of_garbage);
        window.ticked_ns = os_clock_ns();
    }
}

/* ---- freeing ---- */

/* Frozen objects are not to be collected any more. A last one that was freed is no sign of that. */
static bool frozen_meanwhile(void)
{
    return gc_head_prev(collector.gc.permanent) != window.permanent_last && !freed_log_has(window.permanent_last);
}

/* The last batch and what follows it, as one full collection. */
static void finish(bool all)
{
    program_told("start", 0, 0);
    if (window.state != WINDOW_FREEING || !batch_apply_all() || !batch_untrack(all)) {
        return; /* the program closed it */
    }
    batch_tidy();
    trigger_finished(window.process.result);
    collector.figures.finished++;
    size_t log_bytes = freed_log_bytes();
    if (log_bytes > collector.figures.log_bytes_most) {
        collector.figures.log_bytes_most = log_bytes;
    }
    ptrdiff_t collected = window.collected, uncollectable = window.uncollectable;
    window_close();
    program_told("stop", collected, uncollectable);
}

static void free_some(void)
{
    static const double HURRY = 0.75; /* of the limit */
    if (frozen_meanwhile()) {
        window_abandon();
        return;
    }
    size_t left = window.process.result->candidates - window.next + slices_left();
    if (left > 0 || slices_busy()) {
        window.floating = trigger_floating(left, 0);
        batch_apply(window.floating > HURRY ? 2 * BATCH_NS : BATCH_NS);
    } else if (batch_untrack(false)) {
        finish(false);
    }
}

void window_tick(void)
{
    if (window.pid != getpid()) {
        window_close();
    } else if (window.state == WINDOW_ANALYSING) {
        watch();
    } else if (window.state == WINDOW_FREEING) {
        free_some();
    } else if (snapshot_process_poll(&window.process) != SNAPSHOT_RUNNING) {
        window_close();
        pages_join();
    }
}

void window_finish(void)
{
    enum { WAIT = 1000000000 };
    while (window.state == WINDOW_ANALYSING) {
        take_in(snapshot_process_wait(&window.process, WAIT));
    }
    if (window.state == WINDOW_FREEING) {
        finish(true);
    }
}
