/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* exit.c: _exit and _Exit, which run no exit handlers, with the statistics if this process is to print them.
 *
 * They may be called from anywhere: by a child of vfork (report_due() compares the process id before anything is
 * written), and from a signal handler that interrupted the heap itself, so that collecting the statistics could wait
 * for a lock its own thread holds, or meet a half-changed list. The process is about to end, so a guard is enough: an
 * alarm and the faults' signals end it at once, with its own exit status and without statistics. libc's exit() does
 * not come through here. */

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "cairn.h"
#include "malloc/leak_check.h"
#include "malloc/process.h"
#include "python/trace.h"

enum { GUARD_SECONDS = 5 };

static volatile sig_atomic_t guarded_status;

static _Noreturn void leave(int status)
{
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

static void give_up(int signal_number)
{
    (void)signal_number;
    leave(guarded_status);
}

static void set_alarm(int seconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static void guard(int status)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGBUS, SIGILL, SIGABRT};
    struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_NODEFER | SA_ONSTACK};
    sigset_t set;
    guarded_status = status;
    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaction(signals[i], &action, NULL);
        sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    set_alarm(GUARD_SECONDS);
}

static _Noreturn void end(int status)
{
    trace_close();
    if (report_due()) {
        guard(status);
        report_collect();
        set_alarm(0);
        report_deliver();
    }
    if (leak_check_due()) {
        guard(status);
        status = leak_check_make() ? LEAKS_STATUS : status;
        set_alarm(0);
    }
    leave(status);
}

CAIRN_API void _exit(int status)
{
    end(status);
}

CAIRN_API void _Exit(int status)
{
    end(status);
}
