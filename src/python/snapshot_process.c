/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_process.c: see snapshot_process.h. The result lies in shared memory; its status is the last thing the helper
 * writes, so a helper that was killed on the way leaves SNAPSHOT_UNFINISHED.
 *
 * `unreaped` is written with the GIL and read without: a hint. */

#include "python/snapshot_process.h"

#include <errno.h>
#include <stdatomic.h>

#include "os/cpu.h"
#include "os/os.h"
#include "os/os_helper.h"
#include "os/os_share.h"
#include "os/place.h"
#include "python/pauses.h"

enum {
    GRACE_MS = 500,    /* between the helper's own limit and ours */
    SPIN_NS = 4000000, /* a wait that is no longer does not sleep */
    MS_NS = 1000000,
    SLICE_MS = 5, /* of a wait, which the helper cannot end if it was killed */
};

static _Atomic(int32_t) unreaped;

struct work {
    const struct snapshot_input *input;
    struct snapshot_result *result;
};

static void work(void *argument)
{
    const struct work *own = argument;
    snapshot_analyse(own->input, own->result);
    os_share_wake(&own->result->status);
}

static void set_pid(struct snapshot_process *process, int32_t pid)
{
    process->pid = pid;
    atomic_store_explicit(&unreaped, pid, memory_order_relaxed);
}

OF_REQUESTS bool snapshot_process_unreaped(void)
{
    return atomic_load_explicit(&unreaped, memory_order_relaxed) != 0;
}

bool snapshot_process_ended(void)
{
    int32_t pid = atomic_load_explicit(&unreaped, memory_order_relaxed);
    return pid != 0 && os_helper_has_ended(pid);
}

static void unmap(struct snapshot_process *process)
{
    set_pid(process, 0);
    if (process->result != NULL) {
        os_helper_unshare(process->result, process->mapped);
    }
    *process = (struct snapshot_process){0};
}

int snapshot_process_start(struct snapshot_process *process, const struct snapshot_input *input, size_t capacity,
                           unsigned limit_ms)
{
    size_t page = os_page_size();
    size_t size = (snapshot_result_bytes(capacity) + page - 1) & ~(page - 1);
    struct work own = {.input = input, .result = os_helper_share(size)};
    if (own.result == NULL) {
        return ENOMEM;
    }
    own.result->capacity = capacity;
    *process = (struct snapshot_process){
        .result = own.result, .mapped = size, .deadline_ms = os_clock_ms() + limit_ms + GRACE_MS};
    int32_t pid = 0;
    int error = os_helper_start(work, &own, limit_ms, &pid);
    set_pid(process, pid);
    if (error != 0) {
        unmap(process);
    }
    return error;
}

static bool is_finished(const struct snapshot_process *process)
{
    return atomic_load_explicit(&process->result->status, memory_order_acquire) != SNAPSHOT_UNFINISHED;
}

/* Of a helper that was reaped. */
static enum snapshot_state outcome(const struct snapshot_process *process)
{
    uint32_t status = atomic_load_explicit(&process->result->status, memory_order_acquire);
    return status == SNAPSHOT_COMPLETE || status == SNAPSHOT_PARTIAL ? SNAPSHOT_ENDED : SNAPSHOT_FAILED;
}

/* Does its helper run? Reaps it when it does not. */
static bool runs(struct snapshot_process *process)
{
    if (process->pid != 0 && os_helper_poll(process->pid) != OS_HELPER_RUNS) {
        set_pid(process, 0);
    }
    return process->pid != 0;
}

enum snapshot_state snapshot_process_poll(struct snapshot_process *process)
{
    if (process->result == NULL) {
        return SNAPSHOT_NONE;
    }
    if (!runs(process)) {
        return outcome(process);
    }
    if (os_clock_ms() >= process->deadline_ms) {
        os_helper_kill(process->pid);
    }
    return SNAPSHOT_RUNNING;
}

/* A thread that sleeps gives its processor away, and may get it back a tick of the scheduler late: some milliseconds. */
static enum snapshot_state spin(struct snapshot_process *process, uint64_t wait_ns)
{
    uint64_t until = os_clock_ns() + wait_ns;
    while (!is_finished(process) && os_clock_ns() < until) {
        cpu_relax();
    }
    return snapshot_process_poll(process);
}

/* One that has finished may take its time to end, and somebody may have stopped it. */
static enum snapshot_state sleep_for(struct snapshot_process *process, uint64_t wait_ns)
{
    unsigned wait_ms = (unsigned)((wait_ns + MS_NS - 1) / MS_NS);
    enum snapshot_state state = snapshot_process_poll(process);
    for (unsigned waited_ms = 0; state == SNAPSHOT_RUNNING && waited_ms < wait_ms;) {
        uint32_t status = atomic_load_explicit(&process->result->status, memory_order_acquire);
        unsigned most_ms = status == SNAPSHOT_UNFINISHED ? SLICE_MS : 1;
        unsigned slice_ms = wait_ms - waited_ms < most_ms ? wait_ms - waited_ms : most_ms;
        if (status != SNAPSHOT_UNFINISHED) {
            os_helper_kill(process->pid);
        }
        os_share_wait(&process->result->status, status, slice_ms);
        waited_ms += slice_ms;
        state = snapshot_process_poll(process);
    }
    return state;
}

enum snapshot_state snapshot_process_wait(struct snapshot_process *process, uint64_t wait_ns)
{
    return wait_ns <= SPIN_NS && os_processors() > 1 ? spin(process, wait_ns) : sleep_for(process, wait_ns);
}

void snapshot_process_kill(struct snapshot_process *process)
{
    if (runs(process)) {
        os_helper_kill(process->pid);
    }
}

void snapshot_process_leave(void)
{
    int32_t pid = atomic_exchange_explicit(&unreaped, 0, memory_order_relaxed);
    if (pid != 0) {
        os_helper_kill(pid);
        (void)os_helper_wait(pid);
    }
}

void snapshot_process_close(struct snapshot_process *process)
{
    if (runs(process)) {
        os_helper_kill(process->pid);
        (void)os_helper_wait(process->pid);
    }
    unmap(process);
}

void snapshot_process_forget(struct snapshot_process *process)
{
    unmap(process);
}
