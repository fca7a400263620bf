/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_linux.c: memory, clock, randomness and process facts on Linux. No locks; state is relaxed atomics. */

#include "os/os.h"
#include "os/place.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static atomic_size_t reserved_bytes;
static atomic_size_t released_bytes;
static atomic_size_t purged_bytes;

/* Where the next aligned reservation is tried, just below this: the kernel maps downwards, so that the address below
 * the last one is usually free and aligned, which saves the over-reserve and trim of the general way. A release above
 * raises it, so that addresses are used again. */
static _Atomic(uintptr_t) last_aligned;

static void count(atomic_size_t *counter, size_t size)
{
    atomic_fetch_add_explicit(counter, size, memory_order_relaxed);
}

SELDOM void os_counts(struct os_counts *counts)
{
    counts->reserved_bytes = atomic_load_explicit(&reserved_bytes, memory_order_relaxed);
    counts->released_bytes = atomic_load_explicit(&released_bytes, memory_order_relaxed);
    counts->purged_bytes = atomic_load_explicit(&purged_bytes, memory_order_relaxed);
}

static void *map(void *hint, size_t size)
{
    void *address = mmap(hint, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return address == MAP_FAILED ? NULL : address;
}

static void *map_trimmed(size_t size, size_t alignment)
{
    if (size + alignment < size) {
        return NULL;
    }
    char *wide = map(NULL, size + alignment);
    if (!wide) {
        return NULL;
    }
    size_t head = (alignment - ((uintptr_t)wide & (alignment - 1))) & (alignment - 1);
    if (head) {
        munmap(wide, head);
    }
    if (alignment > head) {
        munmap(wide + head + size, alignment - head);
    }
    return wide + head;
}

static void *linux_reserve(size_t size, size_t alignment)
{
    char *address = NULL;
    if (alignment <= os_page_size()) {
        address = map(NULL, size);
    } else {
        uintptr_t last = atomic_load_explicit(&last_aligned, memory_order_relaxed);
        uintptr_t hint = last > size ? (last - size) & ~(alignment - 1) : 0;
        address = map((void *)hint, size);
        if (address && ((uintptr_t)address & (alignment - 1))) {
            munmap(address, size);
            address = NULL;
        }
        if (!address) {
            address = map_trimmed(size, alignment);
        }
        if (address) {
            atomic_store_explicit(&last_aligned, (uintptr_t)address, memory_order_relaxed);
        }
    }
    if (address) {
        count(&reserved_bytes, size);
    }
    return address;
}

/* Private anonymous mappings are readable and writable from the start and get memory at first touch. */
static bool linux_commit(void *address, size_t size)
{
    (void)address;
    (void)size;
    return true;
}

static bool linux_purge(void *address, size_t size)
{
    if (madvise(address, size, MADV_DONTNEED) != 0) {
        return false;
    }
    count(&purged_bytes, size);
    return true;
}

static bool linux_release(void *address, size_t size)
{
    if (munmap(address, size) != 0) {
        return false;
    }
    count(&released_bytes, size);
    uintptr_t end = (uintptr_t)address + size;
    uintptr_t last = atomic_load_explicit(&last_aligned, memory_order_relaxed);
    if (last && end > last) {
        atomic_store_explicit(&last_aligned, end, memory_order_relaxed);
    }
    return true;
}

static SELDOM void *linux_remap(void *address, size_t old_size, size_t new_size, void *target)
{
    void *moved = target ? mremap(address, old_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, target)
                         : mremap(address, old_size, new_size, 0);
    if (moved == MAP_FAILED) {
        return NULL;
    }
    if (target) {
        count(&released_bytes, old_size);
    } else if (new_size > old_size) {
        count(&reserved_bytes, new_size - old_size);
    } else {
        count(&released_bytes, old_size - new_size);
    }
    return moved;
}

static SELDOM bool linux_protect(void *address, size_t size, bool accessible)
{
    return mprotect(address, size, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;
}

static void linux_advise_huge(void *address, size_t size, bool want)
{
    (void)madvise(address, size, want ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

SELDOM unsigned os_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int saved = errno;
    bool fits = sched_getaffinity(0, sizeof set, &set) == 0 || errno != EINVAL;
    errno = saved;
    return fits && CPU_COUNT(&set) > 0 ? (unsigned)CPU_COUNT(&set) : fits ? 1 : CPU_SETSIZE;
}

static SELDOM size_t linux_resident(const void *address, size_t size)
{
    enum { BATCH = 1024 };
    unsigned char state[BATCH];
    size_t page = os_page_size();
    size_t pages = size / page;
    size_t resident = 0;
    for (size_t at = 0; at < pages; at += BATCH) {
        size_t n = pages - at < BATCH ? pages - at : BATCH;
        if (mincore((void *)((uintptr_t)address + at * page), n * page, state) != 0) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            resident += (state[i] & 1u) ? page : 0;
        }
    }
    return resident;
}

SELDOM void os_resident_set(const void *address, size_t pages, uint64_t *set)
{
    enum { BATCH = 1024 };
    unsigned char state[BATCH];
    size_t page = os_page_size();
    for (size_t at = 0; at < pages; at += BATCH) {
        size_t n = pages - at < BATCH ? pages - at : BATCH;
        bool known = mincore((void *)((uintptr_t)address + at * page), n * page, state) == 0;
        for (size_t i = 0; i < n; i++) {
            uint64_t bit = UINT64_C(1) << ((at + i) % 64);
            uint64_t *word = &set[(at + i) / 64];
            *word = known && (state[i] & 1u) ? *word | bit : *word & ~bit;
        }
    }
}

const struct os_memory os_system = {
    .reserve = linux_reserve,
    .commit = linux_commit,
    .purge = linux_purge,
    .release = linux_release,
    .remap = linux_remap,
    .protect = linux_protect,
    .advise_huge = linux_advise_huge,
    .resident = linux_resident,
};

const struct os_memory *os = &os_system;

size_t os_page_size(void)
{
    static atomic_size_t cached;
    size_t size = atomic_load_explicit(&cached, memory_order_relaxed);
    if (!size) {
        size = (size_t)getauxval(AT_PAGESZ);
        if (!size) {
            size = 4096;
        }
        atomic_store_explicit(&cached, size, memory_order_relaxed);
    }
    return size;
}

uint64_t os_clock_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

SELDOM uint64_t os_clock_ns(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

SELDOM uint64_t os_random(void)
{
    uint64_t bits = 0;
    int saved = errno;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits) {
        bits = (os_clock_ns() * 0x9e3779b97f4a7c15u) ^ (uint64_t)(uintptr_t)&bits ^ (uint64_t)getpid();
    }
    errno = saved;
    return bits;
}

bool os_process_is_secure(void)
{
    return getauxval(AT_SECURE) != 0;
}

char **os_environment(void)
{
    return environ;
}

SELDOM void os_write_error(const char *text, size_t length)
{
    int saved = errno;
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0) {
            break;
        }
        text += written;
        length -= (size_t)written;
    }
    errno = saved;
}

_Noreturn void os_abort(void)
{
    abort();
}
