/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot.c: the mode, and what happens at the start and end of each collection.
 *
 * CPython calls at_collection() (snapshot_attach.c says how it came there). It calls what is in gc.callbacks, as CPython
 * would, and then does a tick. Full collections seen here are those the program asked for, or that CPython was let to
 * do: they make a window pointless, and it is closed.
 *
 * A collection that the program asked for by gc.collect(0) or gc.collect(1) brings no tick: it is to do what it says and
 * nothing else. CPython's own begin when a count has passed its threshold. */

#include "python/snapshot.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "os/place.h"
#include "python/cpython.h"
#include "python/domains.h"
#include "python/freed_log.h"
#include "python/snapshot_private.h"

enum { FIRST_MINOR = 9 };

static struct {
    atomic_bool on;
    bool hooked;              /* fork handlers and the end of the interpreter */
    bool busy;                /* between collections: snapshot_collect() waits */
    atomic_bool attach_asked; /* a pending call is under way */
    const char *obstacle;     /* NULL: none */
    uint64_t begun_ns;        /* when the collection that CPython does now began; 0: that was not seen */
    bool automatic;           /* CPython began the present collection by itself */
    unsigned youngs;          /* young collections, for CAIRN_GC_FORCE */
    bool ready;               /* a snapshot is due, and affordable */
    bool riding;              /* an explicit full collection sees the younger generations only */
    struct gc_head oldest;    /* what lay in the oldest one meanwhile */
} mode;

/* ---- reports ---- */

void snapshot_say(const char *reason)
{
    enum { SAID = 16 };
    static const char *said[SAID];
    static atomic_size_t count;
    for (size_t i = 0; i < atomic_load(&count); i++) {
        if (said[i] == reason) {
            return;
        }
    }
    if (atomic_load(&count) == SAID || !cairn_options_speaker()) {
        return;
    }
    said[atomic_fetch_add(&count, 1)] = reason;
    char line[320];
    int length = snprintf(line, sizeof line, "cairn: full collections are left to Python: %s\n", reason);
    os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void snapshot_give_up(const char *reason)
{
    window_close();
    mode.obstacle = reason;
    snapshot_say(reason);
    if (collector.attached) {
        slices_settle();
        trigger_release();
    }
}

/* ---- the program's callbacks ---- */

static void report_failure(void *callback)
{
    if (PyErr_FormatUnraisable != NULL) {
        PyErr_FormatUnraisable("Exception ignored while calling GC callback %R", callback);
    } else {
        PyErr_WriteUnraisable(callback);
    }
}

/* Calls what is in the program's list, as CPython does: by index, since callbacks may change the list. */
static void call_program(void *phase, void *info)
{
    for (ptrdiff_t i = 0; i < PyList_Size(collector.program_callbacks); i++) {
        void *callback = PyList_GetItem(collector.program_callbacks, i);
        Py_IncRef(callback);
        void *answer = PyObject_CallFunctionObjArgs(callback, phase, info, NULL);
        if (answer == NULL) {
            report_failure(callback);
        }
        Py_DecRef(answer);
        Py_DecRef(callback);
    }
}

void program_told(const char *phase, ptrdiff_t collected, ptrdiff_t uncollectable)
{
    if (PyList_Size(collector.program_callbacks) == 0) {
        return;
    }
    void *text = Py_BuildValue("s", phase);
    void *info = Py_BuildValue("{sisnsn}", "generation", (int)GC_OLDEST, "collected", collected, "uncollectable",
                               uncollectable);
    if (text != NULL && info != NULL) {
        call_program(text, info);
    } else {
        PyErr_WriteUnraisable(NULL);
    }
    Py_DecRef(text);
    Py_DecRef(info);
}

/* ---- collections ---- */

static bool finalizing(void)
{
    return Py_IsFinalizing != NULL ? Py_IsFinalizing() : _Py_IsFinalizing != NULL && _Py_IsFinalizing();
}

/* The oldest generation is put aside: what CPython collects now are the younger ones. */
static void ride(void)
{
    mode.riding = true;
    trigger_ride();
    gc_ring_clear(&mode.oldest);
    gc_ring_append(&mode.oldest, &collector.gc.generations[GC_OLDEST].head);
}

/* Puts it back, in front of what survived. */
static void dismount(void)
{
    struct gc_head *oldest = &collector.gc.generations[GC_OLDEST].head;
    mode.riding = false;
    gc_ring_append(&mode.oldest, oldest);
    gc_ring_append(oldest, &mode.oldest);
    trigger_dismount();
    mode.ready = true;
}

/* The program asked for a full collection, or CPython was let to do one. */
static void full_begins(void)
{
    const struct gc_options *options = &cairn_options()->gc;
    if (options->explicit_snapshot && !mode.automatic && !finalizing() && mode.obstacle == NULL &&
        *collector.gc.debug == 0 && trigger_objects() >= options->minimum) {
        ride();
    } else {
        window_abandon();
        slices_settle();
        collector.figures.stock_collections++;
    }
}

static void full_ended(void)
{
    mode.ready = false;
    if (mode.riding) {
        dismount();
    }
    trigger_update();
}

static bool forced(void)
{
    unsigned every = cairn_options()->gc.force;
    return every != 0 && ++mode.youngs % every == 0;
}

/* A snapshot is begun at the tick after the one that found it due, since finding out whether it is affordable takes
 * its time, too; and when the pages that the last one left apart are joined, if there is time for that. */
static void tick_without_window(void)
{
    if (mode.ready && (!pages_joining() || trigger_urgent())) {
        mode.ready = false;
        (void)window_open();
    } else if (!mode.ready && trigger_due()) {
        mode.ready = trigger_affords();
    }
}

/* The end of a young or middle collection that CPython began. */
static void tick(void)
{
    if (finalizing() || mode.obstacle != NULL) {
        window_close();
        slices_settle();
    } else if (window.state != WINDOW_CLOSED) {
        window_tick();
    } else if (slices_busy()) {
        slices_step(BATCH_NS);
    } else if (cairn_options()->gc.force == 0) {
        tick_without_window();
    } else if (forced() && *collector.gc.debug == 0 && window_open()) {
        window_finish();
    }
}

static ptrdiff_t fact(void *info, int which)
{
    void *number = PyDict_GetItem(info, collector.keys[which]);
    return number != NULL ? PyLong_AsLong(number) : 0;
}

/* Of a collection within which the collector was attached, only the end is seen: it is not noted. */
static void note_stop(int generation, void *info)
{
    struct pause pause = {.cause = (enum pause_cause)generation, .begun_ns = mode.begun_ns, .ended_ns = os_clock_ns()};
    bool seen = mode.begun_ns != 0;
    mode.begun_ns = 0;
    if (seen) {
        pause.freed = (size_t)fact(info, FACT_COLLECTED);
        pause.found = pause.freed + (size_t)fact(info, FACT_UNCOLLECTABLE);
        pauses_note(&pause);
    }
}

static void collection_begins(int generation, void *phase, void *info)
{
    const struct gc_generation *begun = &collector.gc.generations[generation];
    if (mode.riding) { /* CPython had no memory to say that it stopped */
        dismount();
    }
    mode.begun_ns = os_clock_ns();
    mode.automatic = begun->count > begun->threshold;
    if (generation == GC_OLDEST) {
        full_begins();
    }
    call_program(phase, info);
}

static void collection_ended(int generation, void *phase, void *info)
{
    call_program(phase, info);
    note_stop(generation, info);
    if (generation == GC_OLDEST) {
        full_ended();
        return;
    }
    if (generation == 0) {
        trigger_young();
    } else {
        trigger_middle();
        trigger_update();
    }
    if (mode.automatic) {
        tick();
    }
}

/* In stock mode: only the clock, if stops are to be timed. */
static void time_collection(bool begins, int generation, void *phase, void *info)
{
    if (begins) {
        mode.begun_ns = os_clock_ns();
    }
    call_program(phase, info);
    if (!begins && pauses_wanted()) {
        note_stop(generation, info);
    }
}

/* What CPython calls: ("start" or "stop", a dict of facts). */
static void *at_collection(void *self, void *const *arguments, ptrdiff_t count)
{
    (void)self;
    if (count == 2) {
        void *phase = arguments[0], *info = arguments[1];
        int generation = (int)fact(info, FACT_GENERATION);
        bool begins = PyUnicode_CompareWithASCIIString(phase, "start") == 0;
        if (!snapshot_is_on()) {
            time_collection(begins, generation, phase, info);
        } else if (begins) {
            collection_begins(generation, phase, info);
        } else {
            collection_ended(generation, phase, info);
        }
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

/* ---- begin and end ---- */

/* In a forked child: the clone is the parent's. */
static void after_fork(void)
{
    pages_forget();
    window_close();
}

static void look(void);

static const char *first_obstacle(void);

/* For snapshots, or to time CPython's own collections? */
static bool attach_wanted(void)
{
    return snapshot_is_on() || (pauses_wanted() && first_obstacle() == NULL);
}

/* The interpreter has ended; another one may begin. */
static void at_python_end(void)
{
    pages_leave();
    window_close();
    slices_forget();
    collector.attached = false;
    if (attach_wanted() && python_note_frees(true, look)) {
        atomic_store(&mode.attach_asked, false);
    }
}

static void hook_in(void)
{
    if (!mode.hooked) {
        mode.hooked = os_fork_hooks(NULL, NULL, after_fork);
        (void)Py_AtExit(at_python_end);
    }
}

/* NULL, or why not. */
static const char *attach(void)
{
    const char *why = collector_attach(at_collection);
    if (why == NULL) {
        hook_in();
        if (snapshot_is_on()) {
            trigger_update();
        }
    }
    return why;
}

static int attach_when_called(void *context)
{
    (void)context;
    if (!collector.attached && attach_wanted()) {
        const char *why = attach();
        bool on = snapshot_is_on();
        (void)python_note_frees(on && why == NULL, NULL);
        if (on && why != NULL) {
            snapshot_give_up(why);
        }
    }
    return 0;
}

/* Called now and then by requests for memory until the interpreter is ready. */
static void look(void)
{
    if (!collector.attached && Py_IsInitialized() && !atomic_exchange(&mode.attach_asked, true) &&
        Py_AddPendingCall(attach_when_called, NULL) != 0) {
        atomic_store(&mode.attach_asked, false); /* its queue is full */
    }
}

/* ---- the mode ---- */

static bool has_api(void)
{
    return PyImport_ImportModule != NULL && PyObject_CallFunction != NULL && PyCFunction_NewEx != NULL &&
           PyObject_GC_UnTrack != NULL && PyObject_IS_GC != NULL && PyInterpreterState_Next != NULL &&
           PyInterpreterState_Get != NULL && Py_AddPendingCall != NULL && Py_IsInitialized != NULL && Py_AtExit != NULL;
}

static const char *first_obstacle(void)
{
    return python_heap() == NULL                        ? "Cairn does not serve Python's objects here"
           : python_minor() < FIRST_MINOR || !has_api() ? "this version of Python is not known to it"
                                                        : NULL;
}

void snapshot_arm(void)
{
    if (!cairn_options()->gc.snapshot) {
        if (attach_wanted()) {
            (void)python_note_frees(true, look);
        }
        return;
    }
    mode.obstacle = first_obstacle();
    if (mode.obstacle != NULL) {
        snapshot_say(mode.obstacle);
        return;
    }
    atomic_store(&mode.on, python_note_frees(true, look));
}

bool snapshot_is_on(void)
{
    return atomic_load(&mode.on);
}

const char *snapshot_obstacle(void)
{
    return mode.obstacle != NULL ? mode.obstacle : "";
}

static const char *switch_on(void)
{
    const char *why = first_obstacle();
    if (why == NULL && !python_note_frees(true, NULL)) {
        why = "something else was put in front of Cairn's allocator";
    }
    if (why == NULL && !collector.attached) {
        why = attach();
    }
    if (why == NULL) {
        mode.obstacle = NULL;
        atomic_store(&mode.on, true);
        trigger_update();
    }
    return why;
}

static void switch_off(void)
{
    atomic_store(&mode.on, false);
    mode.obstacle = NULL;
    if (collector.attached) {
        pages_leave();
        window_abandon();
        slices_settle();
        trigger_release();
    }
    (void)python_note_frees(false, NULL);
}

bool snapshot_switch(bool on, const char **why)
{
    *why = mode.busy ? "a collection is under way" : NULL;
    if (*why != NULL || on == snapshot_is_on()) {
        return *why == NULL;
    }
    if (!on) {
        switch_off();
        return true;
    }
    *why = switch_on();
    return *why == NULL;
}

void snapshot_figures(struct snapshot_figures *figures)
{
    *figures = collector.figures;
}

ptrdiff_t snapshot_collect(void)
{
    if (!snapshot_is_on() || !collector.attached || mode.obstacle != NULL || mode.busy || finalizing() ||
        *collector.gc.collecting != 0 || *collector.gc.debug != 0) {
        return -1;
    }
    window_abandon();
    slices_settle();
    uint64_t before = collector.figures.collected;
    mode.busy = true;
    *collector.gc.collecting = 1;
    bool done = window_open();
    if (done) {
        window_finish();
    }
    *collector.gc.collecting = 0;
    mode.busy = false;
    return done ? (ptrdiff_t)(collector.figures.collected - before) : -1;
}

void snapshot_alone(void)
{
    pages_leave();
}

void snapshot_leave(void)
{
    pages_leave();
    window_leave();
}

OF_REQUESTS bool snapshot_unreaped(void)
{
    return snapshot_process_unreaped() || pages_unreaped();
}

bool snapshot_child_ended(void)
{
    return snapshot_process_ended() || pages_ended();
}

void snapshot_idle(void)
{
    (void)pages_joining();
    if (window.state != WINDOW_CLOSED && window.pid == getpid()) {
        (void)snapshot_process_poll(&window.process);
    } else {
        window_close();
    }
}
