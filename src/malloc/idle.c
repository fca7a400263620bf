/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* idle.c: memory goes back also while the program sleeps.
 *
 * Free pools are purged by ticks, and ticks ride on requests (heap/arena.h); a program that stops asking would keep
 * them. A background thread would be seen by the program (its thread count, fork warnings, unshare), so the tick rides
 * on the calls by which programs wait: when such a call would wait longer than free pools may keep their pages, and
 * there are some, it is split: it first waits that long, and if nothing happened meanwhile purges and waits on, with
 * looks at what it waits for in between if there is much to do. A shorter one purges what is due when it begins, if
 * what it waits for is not there yet, once in half that time: an event loop may never wait longer. When
 * there is nothing to purge, a call costs one look at a counter, and when what it waits for is there already, no more
 * system calls than without.
 *
 * Results, errno, signals, cancellation and remaining times are those of the wrapped calls, and so is their use in
 * signal handlers: no lock is waited for here.
 *
 * Signals. A handler that runs between the two parts would not end the wait, so from before the first part to behind
 * the second no handler runs but in them: the thread's signals are held back, and each part is a call that lets them
 * in for its own length (ppoll and its kin). What arrives in between ends the second part at once, with EINTR. Only
 * signals that come from what the thread itself does stay open (also of seccomp, which may send one for the purge). A
 * thread that is cancelled just in between runs its cleanup handlers with its signals held back. A kernel or a filter
 * that refuses those calls gets the plain one, undivided.
 *
 * A thread that waits in pthread_join() for another's end rests meanwhile (heap/thread.h): what others free of its
 * blocks would lie in its inbox otherwise. The calls above may be made in a handler that interrupted a request, in the
 * middle of which nothing of the thread's may be given away; pthread_join() may not.
 *
 * Sleeps on a clock that may be set or that also runs while the machine is suspended are not split, nor are those on
 * processor time: only the kernel can measure them. */

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "heap/front.h"
#include "heap/types.h"
#include "os/os.h"
#include "python/waiting.h"

/* The next definition of each function after this library's. Found by the constructor, or at the first call if a
 * program's own constructors wait before that. */
static struct {
    __typeof__(&poll) poll;
    __typeof__(&epoll_wait) epoll_wait;
    __typeof__(&epoll_pwait) epoll_pwait;
    __typeof__(&select) select;
    __typeof__(&nanosleep) nanosleep;
    __typeof__(&clock_nanosleep) clock_nanosleep;
    __typeof__(&pthread_join) pthread_join;
} real;

static __attribute__((constructor)) void find_real(void)
{
    real.poll = (__typeof__(&poll))dlsym(RTLD_NEXT, "poll");
    real.epoll_wait = (__typeof__(&epoll_wait))dlsym(RTLD_NEXT, "epoll_wait");
    real.epoll_pwait = (__typeof__(&epoll_pwait))dlsym(RTLD_NEXT, "epoll_pwait");
    real.select = (__typeof__(&select))dlsym(RTLD_NEXT, "select");
    real.nanosleep = (__typeof__(&nanosleep))dlsym(RTLD_NEXT, "nanosleep");
    real.clock_nanosleep = (__typeof__(&clock_nanosleep))dlsym(RTLD_NEXT, "clock_nanosleep");
    real.pthread_join = (__typeof__(&pthread_join))dlsym(RTLD_NEXT, "pthread_join");
}

#define REAL(function) (LIKELY(real.function != NULL) ? real.function : (find_real(), real.function))

enum { NANO = 1000000000, NANO_PER_MS = 1000000, MICRO = 1000000 };

enum { WHOLE = -1 }; /* a wait that is not split */

/* Is it time to look for what is due? Once in half a slice, whoever waits. */
static bool look_is_due(unsigned slice)
{
    static _Atomic(uint64_t) looked; /* on os_clock_ms() */
    uint64_t now = os_clock_ms();
    uint64_t last = atomic_load_explicit(&looked, memory_order_relaxed);
    return now - last >= slice / 2 &&
           atomic_compare_exchange_strong_explicit(&looked, &last, now, memory_order_relaxed, memory_order_relaxed);
}

/* How many milliseconds to wait before purging, in a wait of `timeout` ms (negative: for ever), or WHOLE. Waits too
 * short for that, of which the days of a server may consist, purge what is due when they begin: 0. */
static int first_slice(long long timeout)
{
    unsigned slice = heap_idle_ms(python_wants_sweep());
    if (LIKELY(!slice) || slice >= INT32_MAX || timeout == 0) {
        return WHOLE;
    }
    if (timeout < 0 || timeout > (long long)slice) {
        return (int)slice;
    }
    return look_is_due(slice) ? 0 : WHOLE;
}

/* Gives back for a bounded time. True if there is more to do. */
static bool purge_idle(const void *caller)
{
    int saved = errno;
    heap_idle_tick();
    errno = saved;
    return python_sweep(caller);
}

/* ---- time ---- */

static struct timespec from_ms(int ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NANO_PER_MS};
}

static struct timespec difference(struct timespec a, struct timespec b)
{
    struct timespec d = {.tv_sec = a.tv_sec - b.tv_sec, .tv_nsec = a.tv_nsec - b.tv_nsec};
    if (d.tv_nsec < 0) {
        d.tv_sec--;
        d.tv_nsec += NANO;
    }
    return d;
}

static bool valid(const struct timespec *t)
{
    return t && t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < NANO;
}

static bool is_less(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

static bool is_zero(struct timespec t)
{
    return t.tv_sec == 0 && t.tv_nsec == 0;
}

static long long to_ms(struct timespec t)
{
    return t.tv_sec > INT32_MAX ? INT32_MAX : (long long)t.tv_sec * 1000 + t.tv_nsec / NANO_PER_MS;
}

/* ---- a wait in two parts ---- */

struct split {
    sigset_t callers; /* the thread's mask */
    struct timespec start;
};

static void split_begin(struct split *split)
{
    static const int of_itself[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t held;
    sigfillset(&held);
    for (size_t i = 0; i < sizeof of_itself / sizeof of_itself[0]; i++) {
        sigdelset(&held, of_itself[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, &split->callers);
    clock_gettime(CLOCK_MONOTONIC, &split->start);
}

/* Handlers of what came in since the last part run here, as they would after the undivided call. */
static void split_end(const struct split *split)
{
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &split->callers, NULL);
    errno = saved;
}

/* What is left now of a wait of so long; 0 if it is over. */
static struct timespec left_of(const struct split *split, struct timespec whole)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct timespec left = difference(whole, difference(now, split->start));
    return left.tv_sec >= 0 ? left : (struct timespec){0};
}

/* How long to wait now: shortly if there is more to purge then, otherwise for the rest, for ever if `whole` is NULL. */
static const struct timespec *next_part(const struct split *split, const struct timespec *whole, bool more,
                                        struct timespec *part)
{
    static const struct timespec shortly = {.tv_nsec = NANO_PER_MS / 2};
    if (!whole) {
        return more ? &shortly : NULL;
    }
    *part = left_of(split, *whole);
    return more && is_less(shortly, *part) ? &shortly : part;
}

/* After the last purge CPython is told of an interruption. It then looks for signals, of which the system may have given
 * one to another thread while they were held back here, and waits on by itself (PEP 475). */
static bool tell_interrupted(const void *caller, bool more)
{
    if (more || !python_retries(caller)) {
        return false;
    }
    errno = EINTR;
    return true;
}

/* No part was waited: the plain call must do. */
static bool refused(int result)
{
    return result < 0 && (errno == EPERM || errno == ENOSYS);
}

/* ---- waiting for descriptors ---- */

static int poll_split(struct pollfd *fds, nfds_t count, int timeout, int slice, const void *caller)
{
    struct split split;
    split_begin(&split);
    struct timespec whole = from_ms(timeout);
    struct timespec part = from_ms(slice);
    int ready = ppoll(fds, count, &part, &split.callers);
    for (bool more = true; ready == 0 && more;) {
        more = purge_idle(caller);
        if (tell_interrupted(caller, more)) {
            ready = -1;
            break;
        }
        const struct timespec *next = next_part(&split, timeout < 0 ? NULL : &whole, more, &part);
        more = more && next != &part;
        ready = ppoll(fds, count, next, &split.callers);
    }
    split_end(&split);
    return ready;
}

CAIRN_API int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    int slice = first_slice(timeout);
    if (slice != WHOLE) {
        int ready = REAL(poll)(fds, count, 0);
        ready = ready ? ready : poll_split(fds, count, timeout, slice, __builtin_return_address(0));
        if (!refused(ready)) {
            return ready;
        }
    }
    return REAL(poll)(fds, count, timeout);
}

/* `mask` is the caller's for the wait; NULL: the thread's. */
static int epoll_split(int epoll, struct epoll_event *events, int most, int timeout, int slice, const sigset_t *mask,
                       const void *caller)
{
    struct split split;
    split_begin(&split);
    mask = mask ? mask : &split.callers;
    int ready = REAL(epoll_pwait)(epoll, events, most, slice, mask);
    for (bool more = true; ready == 0 && more;) {
        more = purge_idle(caller);
        if (tell_interrupted(caller, more)) {
            ready = -1;
            break;
        }
        struct timespec left = left_of(&split, from_ms(timeout));
        int rest = (int)to_ms(left) + (left.tv_nsec % NANO_PER_MS != 0); /* not less than was asked for */
        rest = timeout < 0 ? timeout : rest;
        more = more && (rest < 0 || rest > 1);
        ready = REAL(epoll_pwait)(epoll, events, most, more ? 1 : rest, mask);
    }
    split_end(&split);
    return ready;
}

CAIRN_API int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int slice = first_slice(timeout);
    if (slice != WHOLE) {
        int ready = REAL(epoll_wait)(epoll, events, most, 0);
        ready = ready ? ready : epoll_split(epoll, events, most, timeout, slice, NULL, __builtin_return_address(0));
        if (!refused(ready)) {
            return ready;
        }
    }
    return REAL(epoll_wait)(epoll, events, most, timeout);
}

CAIRN_API int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    int slice = first_slice(timeout);
    if (slice != WHOLE) {
        int ready = REAL(epoll_pwait)(epoll, events, most, 0, mask);
        ready = ready ? ready : epoll_split(epoll, events, most, timeout, slice, mask, __builtin_return_address(0));
        if (!refused(ready)) {
            return ready;
        }
    }
    return REAL(epoll_pwait)(epoll, events, most, timeout, mask);
}

/* A wait that timed out has cleared its sets, so they are kept: the words that the system reads and writes, for a
 * program may have sets that are shorter than fd_set. */
struct kept_sets {
    size_t bytes;
    fd_set *set[3];
    fd_set copy[3];
};

static void keep_sets(struct kept_sets *kept, int count, fd_set *readable, fd_set *writable, fd_set *exceptional)
{
    fd_set *sets[3] = {readable, writable, exceptional};
    kept->bytes = count > 0 ? ((size_t)count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask) : 0;
    for (int i = 0; i < 3; i++) {
        kept->set[i] = sets[i];
        if (sets[i]) {
            memcpy(&kept->copy[i], sets[i], kept->bytes);
        }
    }
}

static void restore_sets(const struct kept_sets *kept)
{
    for (int i = 0; i < 3; i++) {
        if (kept->set[i]) {
            memcpy(kept->set[i], &kept->copy[i], kept->bytes);
        }
    }
}

/* The microseconds may be a million and more. */
static struct timespec from_timeval(const struct timeval *time)
{
    return (struct timespec){.tv_sec = time->tv_sec + time->tv_usec / MICRO,
                             .tv_nsec = time->tv_usec % MICRO * (NANO / MICRO)};
}

/* Linux leaves the time not waited in `timeout`. */
static int select_split(int count, const struct kept_sets *kept, struct timeval *timeout, int slice, const void *caller)
{
    fd_set *const *set = kept->set;
    struct timespec whole = {0};
    if (timeout) {
        whole = from_timeval(timeout);
    }
    struct split split;
    split_begin(&split);
    struct timespec part = from_ms(slice);
    int ready = pselect(count, set[0], set[1], set[2], &part, &split.callers);
    for (bool more = true; ready == 0 && more;) {
        more = purge_idle(caller);
        restore_sets(kept);
        if (tell_interrupted(caller, more)) {
            ready = -1;
            break;
        }
        const struct timespec *next = next_part(&split, timeout ? &whole : NULL, more, &part);
        more = more && next != &part;
        ready = pselect(count, set[0], set[1], set[2], next, &split.callers);
    }
    if (timeout && !refused(ready)) {
        part = left_of(&split, whole);
        TIMESPEC_TO_TIMEVAL(timeout, &part);
    }
    split_end(&split);
    return ready;
}

CAIRN_API int select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout)
{
    bool sound = count <= FD_SETSIZE &&
                 (!timeout || (timeout->tv_sec >= 0 && timeout->tv_sec < INT32_MAX && timeout->tv_usec >= 0));
    int slice = sound ? first_slice(timeout ? to_ms(from_timeval(timeout)) : -1) : WHOLE;
    if (slice != WHOLE) {
        struct kept_sets kept;
        struct timeval none = {0};
        keep_sets(&kept, count, readable, writable, exceptional);
        int ready = REAL(select)(count, readable, writable, exceptional, &none);
        if (ready == 0) {
            restore_sets(&kept);
            ready = select_split(count, &kept, timeout, slice, __builtin_return_address(0));
        }
        if (!refused(ready)) {
            return ready;
        }
        restore_sets(&kept);
    }
    return REAL(select)(count, readable, writable, exceptional, timeout);
}

/* ---- sleeping ---- */

/* ppoll may be late by as much as a 200th of a long wait, where sleeps are exact: a part that leaves room for it. */
static struct timespec most_of(struct timespec left)
{
    enum { SHORT_MS = 10, SHARE = 64 };
    long long ms = to_ms(left);
    return ms > SHORT_MS && ms < INT32_MAX ? from_ms((int)(ms - ms / SHARE - 1)) : left;
}

/* Returns 0, EINTR or what a refusal sets; *left is what was not slept. */
static int sleep_split(struct timespec whole, struct timespec *left, int slice, const void *caller)
{
    struct split split;
    split_begin(&split);
    struct timespec part = from_ms(slice);
    int result = ppoll(NULL, 0, &part, &split.callers);
    for (bool more = true; result == 0 && more;) {
        more = purge_idle(caller);
        const struct timespec *next = next_part(&split, &whole, more, &part);
        result = tell_interrupted(caller, more) ? -1 : 0;
        more = more && next != &part;
        result = more ? ppoll(NULL, 0, next, &split.callers) : result;
    }
    for (;;) {
        *left = left_of(&split, whole);
        if (result != 0 || is_zero(*left)) {
            break;
        }
        part = most_of(*left);
        result = ppoll(NULL, 0, &part, &split.callers);
    }
    split_end(&split);
    return result == 0 || is_zero(*left) ? 0 : errno;
}

static int sleep_for(const struct timespec *request, struct timespec *remaining, const void *caller)
{
    int slice = valid(request) ? first_slice(to_ms(*request)) : WHOLE;
    if (slice != WHOLE) {
        struct timespec left;
        int error = sleep_split(*request, &left, slice, caller);
        if (!error) {
            return 0;
        }
        if (error == EINTR) {
            if (remaining) {
                *remaining = left;
            }
            errno = EINTR;
            return -1;
        }
    }
    return REAL(nanosleep)(request, remaining);
}

CAIRN_API int nanosleep(const struct timespec *request, struct timespec *remaining)
{
    return sleep_for(request, remaining, __builtin_return_address(0));
}

static int sleep_until(clockid_t clock, const struct timespec *until, const void *caller)
{
    struct timespec now;
    if (clock == CLOCK_MONOTONIC && valid(until) && clock_gettime(clock, &now) == 0) {
        struct timespec wait = difference(*until, now);
        struct timespec left;
        int slice = wait.tv_sec >= 0 ? first_slice(to_ms(wait)) : WHOLE;
        int error = slice != WHOLE ? sleep_split(wait, &left, slice, caller) : EPERM;
        if (!error || error == EINTR) {
            return error;
        }
    }
    return REAL(clock_nanosleep)(clock, TIMER_ABSTIME, until, NULL);
}

CAIRN_API int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *remaining)
{
    if (flags == TIMER_ABSTIME) {
        return sleep_until(clock, request, __builtin_return_address(0));
    }
    bool steady = clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME; /* setting the latter moves no relative sleep */
    int slice = steady && flags == 0 && valid(request) ? first_slice(to_ms(*request)) : WHOLE;
    if (slice != WHOLE) {
        struct timespec left;
        int error = sleep_split(*request, &left, slice, __builtin_return_address(0));
        if (error == EINTR && remaining) {
            *remaining = left;
        }
        if (!error || error == EINTR) {
            return error;
        }
    }
    return REAL(clock_nanosleep)(clock, flags, request, remaining);
}

CAIRN_API int usleep(useconds_t microseconds)
{
    struct timespec request = {.tv_sec = microseconds / 1000000, .tv_nsec = (long)(microseconds % 1000000) * 1000};
    return sleep_for(&request, NULL, __builtin_return_address(0));
}

CAIRN_API unsigned sleep(unsigned seconds)
{
    struct timespec request = {.tv_sec = seconds};
    struct timespec left;
    if (sleep_for(&request, &left, __builtin_return_address(0)) == 0) {
        return 0;
    }
    return (unsigned)left.tv_sec + (left.tv_nsec >= NANO / 2);
}

/* ---- waiting for a thread ---- */

/* Most waits are short, and then giving all away and asking for it anew would be the longer part of them. */
CAIRN_API int pthread_join(pthread_t thread, void **result)
{
    enum { SHORT_NS = 20000000 };
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SHORT_NS;
    until.tv_sec += until.tv_nsec / NANO;
    until.tv_nsec %= NANO;
    int error = pthread_timedjoin_np(thread, result, &until);
    if (error != ETIMEDOUT) {
        thread_exchange(); /* with the thread that has ended */
        return error;
    }
    thread_rest();
    return REAL(pthread_join)(thread, result);
}
