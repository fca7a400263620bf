/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* window: a signal arrives in the midst of a purge, between the two parts of a wait that Cairn has split, and must end
 * the wait as it would have ended the undivided one. To hit that window every time, this program is its own madvise(),
 * which signals before it purges (build it with -rdynamic). Each kind of wait is checked for its result, errno, the
 * handler, the time left, and the thread's signal mask. Prints "ok", or what is wrong. Not for stock: nothing is purged
 * there. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 2000, SOON_MS = 1000, BLOCKS = 20000 };

static int faults;
static const char *call;
static volatile sig_atomic_t handled;
static bool armed;
static int ends[2];
static int epoll_descriptor;

static void expect(bool holds, const char *what)
{
    if (!holds) {
        printf("%s: %s\n", call, what);
        faults++;
    }
}

static void note(int number)
{
    (void)number;
    handled++;
}

int madvise(void *address, size_t size, int advice)
{
    if (armed && advice == MADV_DONTNEED) {
        armed = false;
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    }
    return (int)syscall(SYS_madvise, address, size, advice);
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Something to purge, and what purges it sends the signal. */
static void prepare(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(200);
        memset(blocks[i], i, 200);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    handled = 0;
    armed = true;
}

static const struct timespec whole = {.tv_sec = WAIT_MS / 1000};

static struct timespec from_now(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_MS / 1000;
    return until;
}

static bool about_all_left(long seconds, long part, long parts)
{
    double left = (double)seconds + (double)part / (double)parts;
    return left > 1.0 && left < (double)WAIT_MS / 1000;
}

/* ---- the waits: each returns whether it was interrupted, as the call tells it ---- */

static bool by_poll(void)
{
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    return poll(&watched, 1, WAIT_MS) == -1 && errno == EINTR;
}

static bool by_poll_for_ever(void)
{
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    return poll(&watched, 1, -1) == -1 && errno == EINTR;
}

static bool by_select(void)
{
    struct timeval timeout = {.tv_sec = WAIT_MS / 1000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    bool interrupted = select(ends[0] + 1, &set, NULL, NULL, &timeout) == -1 && errno == EINTR;
    expect(!interrupted || about_all_left(timeout.tv_sec, timeout.tv_usec, 1000000), "wrong time left");
    return interrupted;
}

static bool by_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epoll_descriptor, &event, 1, WAIT_MS) == -1 && errno == EINTR;
}

static bool by_epoll_pwait(void)
{
    struct epoll_event event;
    return epoll_pwait(epoll_descriptor, &event, 1, WAIT_MS, NULL) == -1 && errno == EINTR;
}

static bool by_nanosleep(void)
{
    struct timespec left = {9, 9};
    bool interrupted = nanosleep(&whole, &left) == -1 && errno == EINTR;
    expect(!interrupted || about_all_left(left.tv_sec, left.tv_nsec, 1000000000), "wrong time left");
    return interrupted;
}

static bool by_clock_nanosleep(void)
{
    struct timespec left = {9, 9};
    bool interrupted = clock_nanosleep(CLOCK_MONOTONIC, 0, &whole, &left) == EINTR;
    expect(!interrupted || about_all_left(left.tv_sec, left.tv_nsec, 1000000000), "wrong time left");
    return interrupted;
}

static bool by_clock_nanosleep_until(void)
{
    struct timespec until = from_now();
    struct timespec left = {9, 9};
    bool interrupted = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left) == EINTR;
    expect(left.tv_sec == 9 && left.tv_nsec == 9, "has written a time left");
    return interrupted;
}

static bool by_usleep(void)
{
    return usleep(WAIT_MS * 1000) == -1 && errno == EINTR;
}

static bool by_sleep(void)
{
    return sleep(WAIT_MS / 1000) >= 1;
}

static const struct {
    const char *name;
    bool (*wait)(void);
} waits[] = {
    {"poll", by_poll},
    {"poll for ever", by_poll_for_ever},
    {"select", by_select},
    {"epoll_wait", by_epoll_wait},
    {"epoll_pwait", by_epoll_pwait},
    {"nanosleep", by_nanosleep},
    {"clock_nanosleep", by_clock_nanosleep},
    {"clock_nanosleep until", by_clock_nanosleep_until},
    {"usleep", by_usleep},
    {"sleep", by_sleep},
};

/* ---- checks ---- */

static bool same_mask(const sigset_t *a, const sigset_t *b)
{
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(a, number) != sigismember(b, number)) {
            return false;
        }
    }
    return true;
}

static void expect_mask(const sigset_t *wanted)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    expect(same_mask(&mask, wanted), "the thread's signal mask is not what it was");
}

static void check_interrupted(bool (*wait)(void), const sigset_t *mask)
{
    prepare();
    if (wait == by_poll_for_ever) {
        alarm(WAIT_MS / 1000); /* or the test would not end */
    }
    long long start = now_ms();
    bool interrupted = wait();
    long long took = now_ms() - start;
    alarm(0);
    expect(!armed, "nothing was purged");
    expect(handled == 1, "the handler has not run once");
    expect(interrupted && took < SOON_MS, "the signal has not ended the wait");
    expect_mask(mask);
}

/* A signal that the thread blocks interrupts nothing, and waits until it is let in. */
static void check_blocked(void)
{
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    sigset_t mask = before;
    sigaddset(&mask, SIGUSR1);
    prepare();
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    expect(poll(&watched, 1, SOON_MS) == 0, "ended by a signal that is blocked");
    expect(!armed && handled == 0, "a blocked signal has come through");
    expect_mask(&mask);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    expect(handled == 1, "the signal is lost");
}

/* epoll_pwait with a mask of its own, which lets in what the thread blocks. */
static void check_own_mask(void)
{
    sigset_t blocked;
    sigset_t before;
    sigset_t none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGWINCH);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    prepare();
    struct epoll_event event;
    expect(epoll_pwait(epoll_descriptor, &event, 1, WAIT_MS, &none) == -1 && errno == EINTR && handled == 1,
           "a signal that its mask lets in has not ended it");
    expect_mask(&blocked);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* What is ready after the purge, or during it, is seen. */
static void *write_later(void *argument)
{
    usleep(SOON_MS / 2 * 1000);
    if (write(ends[1], "x", 1) != 1) {
        abort();
    }
    return argument;
}

static void check_ready_later(const sigset_t *mask)
{
    prepare();
    armed = false;
    pthread_t writer;
    if (pthread_create(&writer, NULL, write_later, NULL) != 0) {
        abort();
    }
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    char byte;
    expect(poll(&watched, 1, WAIT_MS) == 1 && watched.revents == POLLIN, "not woken by what became ready");
    expect(read(ends[0], &byte, 1) == 1, "nothing to read");
    pthread_join(writer, NULL);
    expect_mask(mask);
}

static void note_mask(void *argument)
{
    pthread_sigmask(SIG_SETMASK, NULL, argument);
}

static void *sleep_long(void *argument)
{
    pthread_cleanup_push(note_mask, argument);
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    poll(&watched, 1, 60 * 1000);
    sleep(60);
    pthread_cleanup_pop(0);
    return NULL;
}

/* A wait is a point of cancellation before and after the purge, and cleanup handlers have the thread's signals. */
static void check_cancelled(long at_ms)
{
    sigset_t mask;
    sigfillset(&mask);
    prepare();
    armed = false;
    pthread_t sleeper;
    if (pthread_create(&sleeper, NULL, sleep_long, &mask) != 0) {
        abort();
    }
    usleep((unsigned)at_ms * 1000);
    pthread_cancel(sleeper);
    void *result = NULL;
    pthread_join(sleeper, &result);
    expect(result == PTHREAD_CANCELED, "not cancelled");
    expect(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGTERM), "cleanup handlers run with signals blocked");
}

/* Under a filter that knows only the plain calls, those are what is left. For good: comes last. */
static void check_filtered(const sigset_t *mask)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ppoll, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        return; /* a kernel without filters */
    }
    enum { SHORT_MS = 300 };
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    struct epoll_event event;
    struct timespec request = {.tv_nsec = SHORT_MS * 1000000};
    prepare();
    armed = false;
    long long start = now_ms();
    expect(poll(&watched, 1, SHORT_MS) == 0, "poll fails");
    expect(epoll_wait(epoll_descriptor, &event, 1, SHORT_MS) == 0, "epoll_wait fails");
    expect(nanosleep(&request, NULL) == 0, "nanosleep fails");
    expect(clock_nanosleep(CLOCK_MONOTONIC, 0, &request, NULL) == 0, "clock_nanosleep fails");
    expect(now_ms() - start >= 4 * SHORT_MS - 4, "not waited to the end");
    expect_mask(mask);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* what is wrong is said also if it comes to no end */
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGWINCH);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (pipe(ends) != 0 || (epoll_descriptor = epoll_create1(0)) < 0) {
        return 2;
    }
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        call = waits[i].name;
        check_interrupted(waits[i].wait, &mask);
    }
    call = "poll, blocked";
    check_blocked();
    call = "epoll_pwait, own mask";
    check_own_mask();
    call = "poll, ready later";
    check_ready_later(&mask);
    call = "cancelled";
    check_cancelled(30);
    check_cancelled(500);
    call = "filtered";
    check_filtered(&mask);
    puts(faults ? "not ok" : "ok");
    return faults != 0;
}
