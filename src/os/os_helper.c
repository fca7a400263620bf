/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_helper.c: see os_helper.h; Linux. State: what a helper knows of itself, written in the helper only.
 *
 * System calls are made raw where the C library or Cairn's own preload would add something: fork handlers, the two
 * signals the C library keeps for itself, interposed waits and exits. */

#include "os/close_range.h"
#include "os/os_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_MS = 100, SIGNAL_SET_BYTES = 8 };

typedef uint64_t signal_set; /* the kernel's, all 64 signals */

static void signal_mask(int how, const signal_set *set, signal_set *before)
{
    (void)syscall(SYS_rt_sigprocmask, how, set, before, (size_t)SIGNAL_SET_BYTES);
}

void *os_helper_share(size_t size)
{
    int saved = errno;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return memory != MAP_FAILED ? memory : NULL;
}

void os_helper_unshare(void *memory, size_t size)
{
    int saved = errno;
    (void)munmap(memory, size);
    errno = saved;
}

/* ---- in the helper ---- */

static pid_t program;         /* its parent */
static struct timespec limit; /* on CLOCK_MONOTONIC */

static _Noreturn void leave(int status)
{
    for (;;) {
        (void)syscall(SYS_exit_group, status);
    }
}

static void watch(int signal)
{
    (void)signal;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    bool late = now.tv_sec > limit.tv_sec || (now.tv_sec == limit.tv_sec && now.tv_nsec >= limit.tv_nsec);
    if (late || getppid() != program) {
        leave(1);
    }
}

/* Ends a helper that computes on although its watch does not come. */
static void limit_processor_time(unsigned limit_ms)
{
    rlim_t seconds = limit_ms / 1000 + 2;
    struct rlimit most = {seconds, seconds};
    (void)setrlimit(RLIMIT_CPU, &most);
}

/* The helper may be stuck in code that was not made for it, so the watch must interrupt it. */
static bool start_watch(unsigned limit_ms)
{
    (void)clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += (time_t)(limit_ms / 1000);
    limit.tv_nsec += (long)(limit_ms % 1000) * 1000000;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_sec++;
        limit.tv_nsec -= 1000000000;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = watch;
    action.sa_flags = SA_RESTART;
    struct itimerval every = {.it_interval = {0, WATCH_MS * 1000}, .it_value = {0, WATCH_MS * 1000}};
    signal_set alarm = UINT64_C(1) << (SIGALRM - 1);
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0) {
        return false;
    }
    signal_mask(SIG_UNBLOCK, &alarm, NULL);
    limit_processor_time(limit_ms);
    return getppid() == program;
}

static void go_first_when_memory_is_short(void)
{
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t ignored = write(file, "1000", 4);
        (void)ignored;
        (void)close(file);
    }
}

/* Each of these is worth having, and none is worth giving up for. */
static void become_modest(void)
{
    go_first_when_memory_is_short();
    struct rlimit none = {0, 0};
    struct sched_param no_priority = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "cairn-helper", 0, 0, 0);
    (void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &no_priority);
}

static _Noreturn void be_helper(void (*run)(void *argument), void *argument, unsigned limit_ms)
{
    if (syscall(SYS_close_range, 0u, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0 || !start_watch(limit_ms)) {
        leave(1);
    }
    become_modest();
    run(argument);
    leave(0);
}

/* ---- in the program ---- */

/* Will the next child be in the same namespace of process ids? (The first child in a new one is its init: if it ends,
 * there can be no other.) Yes if there is no telling. */
static bool namespace_stays(void)
{
    char own[64], childs[64];
    ssize_t own_length = readlink("/proc/self/ns/pid", own, sizeof own);
    if (own_length <= 0) {
        return true;
    }
    ssize_t childs_length = readlink("/proc/self/ns/pid_for_children", childs, sizeof childs);
    return childs_length == own_length && memcmp(own, childs, (size_t)own_length) == 0;
}

/* Can a helper let go of the descriptors? Above INT_MAX there are none, so this closes nothing. */
static int close_range_error(void)
{
    return syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0u) == 0 ? 0 : errno;
}

/* The exit signal is 0. The table of descriptors is shared until the helper lets go of it: a copy would keep what is in
 * it open for a moment. */
static long clone_unseen(void)
{
    unsigned long flags = CLONE_FILES | CLONE_UNTRACED;
#if defined(__s390__) || defined(__s390x__)
    return syscall(SYS_clone, NULL, flags, NULL, NULL, 0ul);
#else
    return syscall(SYS_clone, flags, NULL, NULL, NULL, 0ul);
#endif
}

/* Signals are blocked from before the clone, so that no handler of the program runs in the helper. */
static void block_signals(signal_set *before)
{
    const signal_set all = ~UINT64_C(0);
    signal_mask(SIG_SETMASK, &all, before);
}

/* What follows the clone in the program. */
static int started(long child, const signal_set *before, int32_t *pid)
{
    int error = child < 0 ? errno : 0;
    if (child > 0) {
        (void)setpgid((pid_t)child, (pid_t)child); /* here, for it may be long until it runs */
    }
    signal_mask(SIG_SETMASK, before, NULL);
    *pid = error == 0 ? (int32_t)child : 0;
    return error;
}

static int start(void (*run)(void *argument), void *argument, unsigned limit_ms, int32_t *pid)
{
    signal_set before;
    pid_t self = getpid();
    block_signals(&before);
    long child = clone_unseen();
    if (child == 0) {
        program = self;
        be_helper(run, argument, limit_ms);
    }
    return started(child, &before, pid);
}

static int start_inside(int (*run)(void *argument), void *argument, void *stack_end, int32_t *pid)
{
    signal_set before;
    block_signals(&before);
    int child = clone(run, stack_end, CLONE_VM | CLONE_FILES | CLONE_UNTRACED, argument);
    return started(child, &before, pid);
}

int os_helper_start_inside(int (*run)(void *argument), void *argument, void *stack_end, int32_t *pid)
{
    int saved = errno;
    int error = close_range_error();
    if (error == 0) {
        error = namespace_stays() ? start_inside(run, argument, stack_end, pid) : EBUSY;
    }
    errno = saved;
    return error;
}

int os_helper_start(void (*run)(void *argument), void *argument, unsigned limit_ms, int32_t *pid)
{
    int saved = errno;
    int error = close_range_error();
    if (error == 0) {
        error = namespace_stays() ? start(run, argument, limit_ms, pid) : EBUSY;
    }
    errno = saved;
    return error;
}

static enum os_helper_state state_of(int32_t pid, int options)
{
    int saved = errno;
    long found;
    do {
        found = syscall(SYS_wait4, (pid_t)pid, NULL, (int)((unsigned)options | __WCLONE), NULL);
    } while (found < 0 && errno == EINTR);
    errno = saved;
    return found == 0 ? OS_HELPER_RUNS : found > 0 ? OS_HELPER_ENDED : OS_HELPER_LOST;
}

enum os_helper_state os_helper_poll(int32_t pid)
{
    return state_of(pid, WNOHANG);
}

bool os_helper_has_ended(int32_t pid)
{
    siginfo_t found = {0};
    int saved = errno;
    int options = (int)(WEXITED | WNOHANG | WNOWAIT | __WCLONE);
    long error = syscall(SYS_waitid, P_PID, (pid_t)pid, &found, options, NULL);
    errno = saved;
    return error == 0 && found.si_pid == (pid_t)pid;
}

enum os_helper_state os_helper_wait(int32_t pid)
{
    return state_of(pid, 0);
}

void os_helper_kill(int32_t pid)
{
    int saved = errno;
    (void)kill((pid_t)pid, SIGKILL);
    errno = saved;
}
