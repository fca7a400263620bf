/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* gil.c: the global lock of a runtime, and the list of runtimes of the process.
 *
 * Who waits is in a queue, each with a condition of its own; who gives the GIL up hands it to the first of them, so
 * nobody overtakes. A waiter that has waited for the switch interval, while the same thread held the GIL, sets
 * PENDING_GIL: the holder's next poll passes the GIL on and queues behind.
 *
 * Locks: gil->mutex for the queue, taken and given back inside each function; the list's lock, then the mutexes in the
 * list's order, by fork handlers only; under either no other lock is taken.
 *
 * Fork: the handlers hold all these locks over the fork. In the child nobody waits; a runtime whose GIL another thread
 * held was perhaps amid a change and is lost. */

#include "object/runtime.h"

#include <errno.h>
#include <time.h>

#include "os/os.h"

struct gil_waiter {
    pthread_cond_t granted_signal;
    struct gil_waiter *next;
    uintptr_t thread;
    bool granted;
};

static os_lock list_lock = OS_LOCK_INIT;
static cairn_runtime *list;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static uintptr_t this_thread(void)
{
    return (uintptr_t)pthread_self();
}

/* ---- fork ---- */

static void before_fork(void)
{
    os_lock_take(&list_lock);
    for (cairn_runtime *runtime = list; runtime; runtime = runtime->next) {
        (void)pthread_mutex_lock(&runtime->gil.mutex);
    }
}

static void after_fork(void)
{
    for (cairn_runtime *runtime = list; runtime; runtime = runtime->next) {
        (void)pthread_mutex_unlock(&runtime->gil.mutex);
    }
    os_lock_give(&list_lock);
}

static void in_child(void)
{
    for (cairn_runtime *runtime = list; runtime; runtime = runtime->next) {
        struct gil *gil = &runtime->gil;
        uintptr_t holder = atomic_load_explicit(&gil->holder, memory_order_relaxed);
        gil->first = gil->last = NULL;
        gil->lost |= holder != 0 && holder != this_thread();
        pending_clear(runtime, PENDING_GIL);
    }
    after_fork();
}

static void watch_forks(void)
{
    (void)os_fork_hooks(before_fork, after_fork, in_child);
}

/* ---- start and end ---- */

bool gil_start(cairn_runtime *runtime, bool none, unsigned interval_us)
{
    struct gil *gil = &runtime->gil;
    (void)pthread_once(&fork_once, watch_forks);
    if (pthread_mutex_init(&gil->mutex, NULL) != 0) {
        return false;
    }
    gil->none = none;
    atomic_store_explicit(&gil->interval_us, interval_us ? interval_us : 1, memory_order_relaxed);
    atomic_store_explicit(&gil->holder, this_thread(), memory_order_relaxed);
    os_lock_take(&list_lock);
    runtime->next = list;
    if (list) {
        list->prev = runtime;
    }
    list = runtime;
    os_lock_give(&list_lock);
    return true;
}

void gil_end(cairn_runtime *runtime)
{
    os_lock_take(&list_lock);
    *(runtime->prev ? &runtime->prev->next : &list) = runtime->next;
    if (runtime->next) {
        runtime->next->prev = runtime->prev;
    }
    os_lock_give(&list_lock);
    (void)pthread_mutex_destroy(&runtime->gil.mutex);
}

/* ---- waiting ---- */

static void hold(struct gil *gil, uintptr_t thread)
{
    atomic_store_explicit(&gil->holder, thread, memory_order_relaxed);
}

/* Hands the GIL to the first who waits. The mutex is held, and somebody waits. */
static void hand_over(struct gil *gil)
{
    struct gil_waiter *first = gil->first;
    gil->first = first->next;
    if (!gil->first) {
        gil->last = NULL;
    }
    hold(gil, first->thread);
    atomic_fetch_add_explicit(&gil->switches, 1, memory_order_relaxed);
    first->granted = true;
    (void)pthread_cond_signal(&first->granted_signal);
}

static struct timespec after_us(unsigned microseconds)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += microseconds / 1000000;
    at.tv_nsec += (long)(microseconds % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Queues and waits until the GIL is handed over. The mutex is held. */
static void wait_for_turn(cairn_runtime *runtime)
{
    struct gil *gil = &runtime->gil;
    struct gil_waiter self = {.thread = this_thread()};
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self.granted_signal, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    *(gil->last ? &gil->last->next : &gil->first) = &self;
    gil->last = &self;
    while (!self.granted) {
        uint64_t switches = atomic_load_explicit(&gil->switches, memory_order_relaxed);
        struct timespec until = after_us(atomic_load_explicit(&gil->interval_us, memory_order_relaxed));
        int result = 0;
        while (!self.granted && result == 0) {
            result = pthread_cond_timedwait(&self.granted_signal, &gil->mutex, &until);
        }
        if (!self.granted && gil->first == &self &&
            switches == atomic_load_explicit(&gil->switches, memory_order_relaxed)) {
            pending_set(runtime, PENDING_GIL);
        }
    }
    (void)pthread_cond_destroy(&self.granted_signal);
}

void cairn_gil_acquire(cairn_runtime *runtime)
{
    struct gil *gil = &runtime->gil;
    if (gil->none) {
        return;
    }
    if (gil->lost) {
        cairn_object_report(CAIRN_FAULT_GIL, "gil_acquire", NULL,
                            "another thread was using this runtime when the process forked: it is lost in the child");
        return;
    }
    if (cairn_gil_is_held(runtime)) {
        cairn_object_report(CAIRN_FAULT_GIL, "gil_acquire", NULL, "the calling thread holds the GIL already");
        return;
    }
    (void)pthread_mutex_lock(&gil->mutex);
    if (!gil->first && !atomic_load_explicit(&gil->holder, memory_order_relaxed)) {
        hold(gil, this_thread());
    } else {
        wait_for_turn(runtime);
    }
    (void)pthread_mutex_unlock(&gil->mutex);
}

void cairn_gil_release(cairn_runtime *runtime)
{
    struct gil *gil = &runtime->gil;
    if (gil->none) {
        return;
    }
    if (!cairn_gil_is_held(runtime)) {
        cairn_object_report(CAIRN_FAULT_GIL, "gil_release", NULL, "the calling thread does not hold the GIL");
        return;
    }
    (void)pthread_mutex_lock(&gil->mutex);
    pending_clear(runtime, PENDING_GIL);
    if (gil->first) {
        hand_over(gil);
    } else {
        hold(gil, 0);
    }
    (void)pthread_mutex_unlock(&gil->mutex);
}

void gil_yield(cairn_runtime *runtime)
{
    struct gil *gil = &runtime->gil;
    (void)pthread_mutex_lock(&gil->mutex);
    pending_clear(runtime, PENDING_GIL);
    if (gil->first) {
        atomic_fetch_add_explicit(&gil->forced, 1, memory_order_relaxed);
        hand_over(gil);
        wait_for_turn(runtime);
    }
    (void)pthread_mutex_unlock(&gil->mutex);
}

bool cairn_gil_is_held(const cairn_runtime *runtime)
{
    return runtime->gil.none || atomic_load_explicit(&runtime->gil.holder, memory_order_relaxed) == this_thread();
}

void cairn_gil_set_switch_interval(cairn_runtime *runtime, unsigned microseconds)
{
    atomic_store_explicit(&runtime->gil.interval_us, microseconds ? microseconds : 1, memory_order_relaxed);
}

unsigned cairn_gil_switch_interval(const cairn_runtime *runtime)
{
    return atomic_load_explicit(&runtime->gil.interval_us, memory_order_relaxed);
}
