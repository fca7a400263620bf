/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os.h: everything Cairn asks of the operating system, with contracts. The lowest layer: it includes nothing of
 * Cairn's. A port is one folder: src/os/ holds os_linux.c (memory, clock) and os_posix.c (threads, locks).
 *
 * Memory goes through the table `os`, so that a test can put a fake in its place (os_fake in tests/). The fake must
 * be in place before the first heap is made. None of these functions allocates with malloc, none sets errno for the
 * caller's eyes (callers decide), all may be called before constructors have run. Sizes and addresses are multiples
 * of the page size unless stated. */

#ifndef CAIRN_OS_H
#define CAIRN_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

/* ---- memory ---- */

struct os_memory {
    /* Reserves `size` bytes of address space at a multiple of `alignment` (a power of two, at least a page). The
     * contents are zero once committed. Returns NULL if the system refuses. */
    void *(*reserve)(size_t size, size_t alignment);

    /* Makes reserved pages usable, zero-filled if never used since reserve or purge. Physical memory may be handed
     * out only at first touch. False if the system refuses. Idempotent. */
    bool (*commit)(void *address, size_t size);

    /* Gives physical pages back at once and keeps the addresses usable: the next read sees zeros. False if refused
     * (the contents are then unchanged). */
    bool (*purge)(void *address, size_t size);

    /* Gives the addresses back: all of one reservation or a page-aligned part at its start or end. Returns false if
     * the system refuses; the range is then still mapped. */
    bool (*release)(void *address, size_t size);

    /* Changes the size of a whole reservation, contents kept, by remapping pages, never by copying. With `target`
     * NULL it stays in place; otherwise it moves to `target`, a reservation of new_size bytes, which it replaces.
     * Returns the address, or NULL (old reservation and target are then unchanged). New pages are zero. */
    void *(*remap)(void *address, size_t old_size, size_t new_size, void *target);

    /* Makes pages inaccessible (any access faults) or accessible again. */
    bool (*protect)(void *address, size_t size, bool accessible);

    /* Advises the system to back a range by huge pages, or not to. Advice only. */
    void (*advise_huge)(void *address, size_t size, bool want);

    /* Bytes of the range that are resident in memory now; 0 if the system cannot say. */
    size_t (*resident)(const void *address, size_t size);
};

/* The table in use. Tests may store another one. */
extern const struct os_memory *os;

/* The system's own table, for fakes that wrap it. */
extern const struct os_memory os_system;

/* Sets bit i of `set` if page i of the pages from `address` on is resident, clears it if not; clears all if the system
 * cannot say. Not in the table, since it changes nothing. */
void os_resident_set(const void *address, size_t pages, uint64_t *set);

/* Counters of what os_system did, ever: bytes reserved (growth in place included) minus bytes released is what is
 * mapped now. Relaxed atomics, readable any time. */
struct os_counts {
    size_t reserved_bytes;
    size_t released_bytes;
    size_t purged_bytes;
};
void os_counts(struct os_counts *counts);

/* ---- facts ---- */

size_t os_page_size(void);              /* bytes of a page, found at run time */
bool os_address_space_is_limited(void); /* by a limit of the process (ulimit -v) */
unsigned os_processors(void);           /* that the calling thread may run on now; at least 1 */
uint64_t os_clock_ms(void);             /* monotonic, cheap (a few ns), milliseconds; resolution may be 4 ms */
uint64_t os_clock_ns(void);             /* monotonic, exact (tens of ns), nanoseconds */
uint64_t os_random(void);               /* 64 unpredictable bits */
bool os_process_is_secure(void);        /* setuid and the like: the environment must not be trusted */
char **os_environment(void);            /* the process's environment, NULL before it is known */

/* Writes text to stderr with one system call and no allocation; a failure is ignored. */
void os_write_error(const char *text, size_t length);

/* Ends the process with SIGABRT. */
_Noreturn void os_abort(void);

/* ---- threads ---- */

typedef pthread_mutex_t os_lock;
#define OS_LOCK_INIT PTHREAD_MUTEX_INITIALIZER

void os_lock_init(os_lock *lock);
void os_lock_take(os_lock *lock);
bool os_lock_try(os_lock *lock); /* false if it is taken, also by the caller */
void os_lock_give(os_lock *lock);

/* Calls `at_exit(value)` when a thread that called os_thread_watch(value) with a non-NULL value ends. One watcher
 * for the process. os_thread_watch_init must come first; both return false if the system refuses. */
bool os_thread_watch_init(void (*at_exit)(void *value));
bool os_thread_watch(void *value);

/* Registers fork handlers: `before` runs in the parent before the fork, then `parent` in the parent and `child` in
 * the child. Returns false if the system refuses. Must not be called from a fork handler. */
bool os_fork_hooks(void (*before)(void), void (*parent)(void), void (*child)(void));

#endif
