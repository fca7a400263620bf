/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_huge.c: see os_huge.h; Linux 6.1 and later, x86-64 and arm64.
 *
 * State: what the one joiner works on, and its stack. The joiner shares this process's memory, its thread-local data
 * too: errno is somebody else's. So it makes system calls by itself and calls nothing. What concerns memory as a whole
 * (the order in which processes are killed, core files) would concern the program, too, and is left alone. */

#include "os/os_huge.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/close_range.h"
#include "os/os.h"
#include "os/os_helper.h"
#include "os/place.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
    STACK_BYTES = 16384,
    PAGES_MOST = 4096,
    /* While a piece is copied, the program's page faults wait. With this between them, most find nothing to wait for. */
    REST_NS = 300000,
    COPIED_NS = 100000, /* a piece that takes less was huge already */
};

static LARGE_DATA struct {
    char *const *pieces;
    size_t count, size;
    volatile char *spare;
    long program; /* its process id */
    unsigned char resident[PAGES_MOST];
    _Alignas(64) char stack[STACK_BYTES];
} joiner;

/* ---- in the joiner ---- */

#define ALONE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

#if defined(__x86_64__)
#define ALONE_CALLS 1
ALONE static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
#define ALONE_CALLS 1
ALONE static long call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#endif

#ifdef ALONE_CALLS
ALONE static bool in_memory(const char *piece, size_t pages)
{
    if (call(SYS_mincore, (long)piece, (long)joiner.size, (long)joiner.resident) != 0) {
        return false;
    }
    size_t in = 0;
    for (size_t page = 0; page < pages; page++) {
        in += joiner.resident[page] & 1u;
    }
    return in == pages;
}

/* Has the system find a huge page, and gives it back at once: the next one asked for is that one. On a virtual machine
 * the host may have to find the memory first, for tens of milliseconds; better now, when the program is not kept from
 * its own. */
ALONE static void warm_up(void)
{
    *joiner.spare = 1;
    (void)call(SYS_madvise, (long)joiner.spare, (long)joiner.size, MADV_DONTNEED);
}

/* The system may refuse, for what lies there now, or for lack of memory. */
ALONE static void join(char *piece)
{
    struct timespec before = {0}, after = {0}, rest = {0, REST_NS};
    (void)call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&before, 0);
    long result = call(SYS_madvise, (long)piece, (long)joiner.size, MADV_COLLAPSE);
    (void)call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&after, 0);
    if (result == 0 && (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec > COPIED_NS) {
        (void)call(SYS_nanosleep, (long)&rest, 0, 0);
        warm_up();
    }
}

ALONE static int join_all(void *argument)
{
    struct sched_param no_priority = {0};
    size_t pages = joiner.size / (size_t)(long)argument;
    (void)call(SYS_close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE);
    (void)call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
    (void)call(SYS_prctl, PR_SET_NAME, (long)"cairn-joiner", 0);
    (void)call(SYS_sched_setscheduler, 0, SCHED_BATCH, (long)&no_priority);
    warm_up();
    for (size_t i = 0; i < joiner.count && call(SYS_getppid, 0, 0, 0) == joiner.program; i++) {
        char *piece = joiner.pieces[i];
        if (in_memory(piece, pages)) {
            join(piece);
        }
    }
    return 0;
}

/* ---- in the program ---- */

/* Asked about no memory at all, the system refuses only what it does not know. */
static bool is_known(int advice)
{
    int saved = errno;
    bool known = madvise(NULL, 0, advice) == 0;
    errno = saved;
    return known;
}

int os_huge_join(char *const *pieces, size_t count, size_t size, char *spare, int32_t *pid)
{
    size_t page = os_page_size();
    if (size / page > PAGES_MOST || !is_known(MADV_COLLAPSE)) {
        return ENOTSUP;
    }
    joiner.pieces = pieces;
    joiner.count = count;
    joiner.size = size;
    joiner.spare = spare;
    joiner.program = getpid();
    return os_helper_start_inside(join_all, (void *)page, joiner.stack + STACK_BYTES, pid);
}

#else

int os_huge_join(char *const *pieces, size_t count, size_t size, char *spare, int32_t *pid)
{
    (void)pieces, (void)count, (void)size, (void)spare, (void)pid;
    return ENOTSUP;
}

#endif
