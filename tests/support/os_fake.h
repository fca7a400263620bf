/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_fake.h: an operating system for tests. It wraps os_system, counts what is asked, refuses what it is told to
 * refuse, and keeps a ledger of every reservation, so that a test can prove that each page went back and that the
 * heap only ever touches what it holds.
 *
 * Order: os_fake_install() comes first in main(), before the first heap; reservations made before it are unknown and
 * would be reported as faults. All functions may be called by any thread; one lock guards the ledger and is held
 * across the system calls that move address space, so that the ledger and the system never disagree. The lock is
 * fork-safe. */

#ifndef CAIRN_OS_FAKE_H
#define CAIRN_OS_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calls that can be refused, as bits. A release that is refused leaves the range mapped. */
enum {
    OS_FAKE_RESERVE = 1,
    OS_FAKE_COMMIT = 2,
    OS_FAKE_PURGE = 4,
    OS_FAKE_REMAP = 8,
    OS_FAKE_RELEASE = 16,
    OS_FAKE_GROWTH = OS_FAKE_RESERVE | OS_FAKE_COMMIT | OS_FAKE_REMAP,
    OS_FAKE_ANY = OS_FAKE_GROWTH | OS_FAKE_PURGE | OS_FAKE_RELEASE
};

/* What was called, since os_fake_reset(). */
struct os_fake_calls {
    size_t reserve, commit, purge, release, remap, protect, advise, resident;
    size_t refused;
    size_t purged_bytes;
};

/* Puts the fake in the place of the system. */
void os_fake_install(void);

/* Forgets counts and rules (the ledger stays). */
void os_fake_reset(void);

/* Rules; each replaces the rule before it and counts calls of `kinds` from now on, the first being number 0. */
void os_fake_refuse_none(void);
void os_fake_refuse_nth(unsigned kinds, size_t n);                              /* call n, once */
void os_fake_refuse_from(unsigned kinds, size_t n);                             /* call n and all after it */
void os_fake_refuse_some(unsigned kinds, unsigned per_thousand, uint64_t seed); /* at random */

/* How many calls the rule in force has counted, and how many it refused. */
size_t os_fake_rule_seen(void);
size_t os_fake_rule_refused(void);

/* The most bytes that may be reserved at a time; more is refused. 0: no bound. Stands beside the rule. */
void os_fake_budget(size_t bytes);

struct os_fake_calls os_fake_calls(void);

/* How many remaps to another place the calling thread has had done for it, ever. */
size_t os_fake_moves_of_this_thread(void);

/* The ledger: what is reserved now, in bytes and in ranges, and how many bytes of that are committed, but for the leaves of the page map: they stay once made, and
 * whether the next arena needs another is the chance of where the system puts it. */
size_t os_fake_reserved_bytes(void);
size_t os_fake_committed_bytes(void);
size_t os_fake_reserved_ranges(void);
bool os_fake_covers(const void *address, size_t size);

/* Calls on ranges that are not reserved, releases from the middle, reservations that overlap or are misaligned or not
 * zero: counted and written to stderr. Any number but 0 is a bug of the heap (or of the system). */
size_t os_fake_faults(void);

#endif
