/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* idle.c: memory goes back also while the program sleeps.
 *
 * Free pools are purged by ticks, and ticks ride on requests (heap/arena.h); a program that stops asking would keep
 * them. A background thread would be seen by the program (its thread count, fork warnings, unshare), so the tick rides
 * on the calls by which programs wait: when such a call would wait longer than free pools may keep their pages, and
 * there are some, it first waits that long, and if nothing happened meanwhile purges and waits on. A program that is
 * woken earlier pays nothing but one look at a counter.
 *
 * Results, errno, signals, cancellation and remaining times are those of the wrapped calls, and so is their use in
 * signal handlers: no lock is waited for here. */

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "heap/front.h"

/* The next definition of each function after this library's. Found by the constructor, or at the first call if a
 * program's own constructors wait before that. */
static struct {
    __typeof__(&poll) poll;
    __typeof__(&epoll_wait) epoll_wait;
    __typeof__(&epoll_pwait) epoll_pwait;
    __typeof__(&select) select;
    __typeof__(&nanosleep) nanosleep;
    __typeof__(&clock_nanosleep) clock_nanosleep;
} real;

static __attribute__((constructor)) void find_real(void)
{
    real.poll = (__typeof__(&poll))dlsym(RTLD_NEXT, "poll");
    real.epoll_wait = (__typeof__(&epoll_wait))dlsym(RTLD_NEXT, "epoll_wait");
    real.epoll_pwait = (__typeof__(&epoll_pwait))dlsym(RTLD_NEXT, "epoll_pwait");
    real.select = (__typeof__(&select))dlsym(RTLD_NEXT, "select");
    real.nanosleep = (__typeof__(&nanosleep))dlsym(RTLD_NEXT, "nanosleep");
    real.clock_nanosleep = (__typeof__(&clock_nanosleep))dlsym(RTLD_NEXT, "clock_nanosleep");
}

#define REAL(function) (LIKELY(real.function != NULL) ? real.function : (find_real(), real.function))

enum { NANO = 1000000000, NANO_PER_MS = 1000000, MICRO_PER_MS = 1000 };

/* How many milliseconds to wait before purging, if a wait of `timeout` ms (negative: for ever) is worth splitting; 0 if
 * not. */
static int first_slice(long long timeout)
{
    unsigned slice = heap_idle_ms();
    bool worth = slice && slice < INT32_MAX && (timeout < 0 || timeout > (long long)slice);
    return worth ? (int)slice : 0;
}

static void purge_idle(void)
{
    int saved = errno;
    heap_idle_tick();
    errno = saved;
}

/* ---- waiting for descriptors ---- */

CAIRN_API int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    int slice = first_slice(timeout);
    if (slice) {
        int ready = REAL(poll)(fds, count, slice);
        if (ready != 0) {
            return ready;
        }
        purge_idle();
        timeout = timeout < 0 ? timeout : timeout - slice;
    }
    return REAL(poll)(fds, count, timeout);
}

CAIRN_API int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int slice = first_slice(timeout);
    if (slice) {
        int ready = REAL(epoll_wait)(epoll, events, most, slice);
        if (ready != 0) {
            return ready;
        }
        purge_idle();
        timeout = timeout < 0 ? timeout : timeout - slice;
    }
    return REAL(epoll_wait)(epoll, events, most, timeout);
}

CAIRN_API int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    int slice = first_slice(timeout);
    if (slice) {
        int ready = REAL(epoll_pwait)(epoll, events, most, slice, mask);
        if (ready != 0) {
            return ready;
        }
        purge_idle();
        timeout = timeout < 0 ? timeout : timeout - slice;
    }
    return REAL(epoll_pwait)(epoll, events, most, timeout, mask);
}

/* A wait that timed out has cleared its sets, so they are kept. */
struct kept_sets {
    fd_set *set[3];
    fd_set copy[3];
};

static void keep_sets(struct kept_sets *kept, fd_set *readable, fd_set *writable, fd_set *exceptional)
{
    fd_set *sets[3] = {readable, writable, exceptional};
    for (int i = 0; i < 3; i++) {
        kept->set[i] = sets[i];
        if (sets[i]) {
            kept->copy[i] = *sets[i];
        }
    }
}

static void restore_sets(const struct kept_sets *kept)
{
    for (int i = 0; i < 3; i++) {
        if (kept->set[i]) {
            *kept->set[i] = kept->copy[i];
        }
    }
}

CAIRN_API int select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout)
{
    long long ms = timeout ? (long long)timeout->tv_sec * 1000 + timeout->tv_usec / MICRO_PER_MS : -1;
    bool sound = count <= FD_SETSIZE && (!timeout || (timeout->tv_sec >= 0 && timeout->tv_usec >= 0));
    int slice = sound && ms < INT32_MAX ? first_slice(ms) : 0;
    if (slice) {
        struct kept_sets kept;
        keep_sets(&kept, readable, writable, exceptional);
        struct timeval first = {.tv_sec = slice / 1000, .tv_usec = slice % 1000 * MICRO_PER_MS};
        struct timeval part = first;
        int ready = REAL(select)(count, readable, writable, exceptional, &part);
        if (timeout) {
            struct timeval used;
            timersub(&first, &part, &used); /* Linux leaves the time not slept in its argument */
            timersub(timeout, &used, timeout);
        }
        if (ready != 0) {
            return ready;
        }
        purge_idle();
        restore_sets(&kept);
    }
    return REAL(select)(count, readable, writable, exceptional, timeout);
}

/* ---- sleeping ---- */

static struct timespec from_ms(int ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NANO_PER_MS};
}

static struct timespec sum(struct timespec a, struct timespec b)
{
    struct timespec s = {.tv_sec = a.tv_sec + b.tv_sec, .tv_nsec = a.tv_nsec + b.tv_nsec};
    if (s.tv_nsec >= NANO) {
        s.tv_sec++;
        s.tv_nsec -= NANO;
    }
    return s;
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

static long long to_ms(struct timespec t)
{
    return t.tv_sec > INT32_MAX ? INT32_MAX : (long long)t.tv_sec * 1000 + t.tv_nsec / NANO_PER_MS;
}

CAIRN_API int nanosleep(const struct timespec *request, struct timespec *remaining)
{
    int slice = valid(request) ? first_slice(to_ms(*request)) : 0;
    if (!slice) {
        return REAL(nanosleep)(request, remaining);
    }
    struct timespec first = from_ms(slice);
    struct timespec rest = difference(*request, first);
    struct timespec left;
    if (REAL(nanosleep)(&first, &left) != 0) {
        if (remaining) {
            *remaining = sum(left, rest);
        }
        return -1;
    }
    purge_idle();
    return REAL(nanosleep)(&rest, remaining);
}

static int sleep_until(clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    int slice = 0;
    if (valid(until) && clock_gettime(clock, &now) == 0) {
        struct timespec wait = difference(*until, now);
        slice = wait.tv_sec >= 0 ? first_slice(to_ms(wait)) : 0;
    }
    if (slice) {
        struct timespec first = sum(now, from_ms(slice));
        int error = REAL(clock_nanosleep)(clock, TIMER_ABSTIME, &first, NULL);
        if (error) {
            return error;
        }
        purge_idle();
    }
    return REAL(clock_nanosleep)(clock, TIMER_ABSTIME, until, NULL);
}

CAIRN_API int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *remaining)
{
    if (flags == TIMER_ABSTIME) {
        return sleep_until(clock, request);
    }
    int slice = flags == 0 && valid(request) ? first_slice(to_ms(*request)) : 0;
    if (!slice) {
        return REAL(clock_nanosleep)(clock, flags, request, remaining);
    }
    struct timespec first = from_ms(slice);
    struct timespec rest = difference(*request, first);
    struct timespec left;
    int error = REAL(clock_nanosleep)(clock, 0, &first, &left);
    if (error) {
        if (remaining && error == EINTR) {
            *remaining = sum(left, rest);
        }
        return error;
    }
    purge_idle();
    return REAL(clock_nanosleep)(clock, 0, &rest, remaining);
}

CAIRN_API int usleep(useconds_t microseconds)
{
    struct timespec request = {.tv_sec = microseconds / 1000000, .tv_nsec = (long)(microseconds % 1000000) * 1000};
    return nanosleep(&request, NULL);
}

CAIRN_API unsigned sleep(unsigned seconds)
{
    struct timespec request = {.tv_sec = seconds};
    struct timespec left;
    if (nanosleep(&request, &left) == 0) {
        return 0;
    }
    return (unsigned)left.tv_sec + (left.tv_nsec >= NANO / 2);
}
