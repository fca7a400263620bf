/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_fake.c: see os_fake.h. A ledger is an array of ranges sorted by address, in static memory, so that keeping it asks
 * nothing of any heap; there is one of what is reserved, and one of what of that is committed. Invariants: ranges of a
 * ledger do not overlap and none is empty; committed ones do not touch, and lie in reserved ones. */

#include "support/os_fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/pagemap.h"
#include "os/os.h"
#include "support/test.h"

struct range {
    uintptr_t start;
    size_t size;
};

enum { RANGES_MAX = 1 << 16, FAULTS_SHOWN = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ledger {
    struct range ranges[RANGES_MAX];
    size_t count;
    size_t bytes;
} reserved, committed;
static size_t leaf_bytes_before; /* of the page map, reserved before the ledger began */
static size_t budget;
static size_t faults;
static struct os_fake_calls calls;
static _Thread_local size_t moves;

/* The rule in force. */
enum rule_kind { RULE_NONE, RULE_NTH, RULE_FROM, RULE_SOME };
static struct {
    enum rule_kind kind;
    unsigned calls; /* OS_FAKE_* bits */
    size_t n;
    size_t seen;
    size_t refused;
    unsigned per_thousand;
    uint64_t random;
} rule;

static void enter(void)
{
    pthread_mutex_lock(&lock);
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- the ledger (lock held) ---- */

static void fault(const char *what, const void *address, size_t size)
{
    if (faults++ < FAULTS_SHOWN) {
        fprintf(stderr, "os_fake: %s: %p, %zu bytes\n", what, address, size);
    }
}

/* Index of the first range that ends above `address`. */
static size_t range_index(const struct ledger *ledger, uintptr_t address)
{
    size_t low = 0;
    size_t high = ledger->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ledger->ranges[middle].start + ledger->ranges[middle].size > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool range_covers(const void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    size_t at = range_index(&reserved, start);
    return at < reserved.count && reserved.ranges[at].start <= start &&
           start + size <= reserved.ranges[at].start + reserved.ranges[at].size;
}

static void insert_at(struct ledger *ledger, size_t at, uintptr_t start, size_t size)
{
    if (ledger->count == RANGES_MAX) {
        fprintf(stderr, "os_fake: more than %d ranges; raise RANGES_MAX\n", RANGES_MAX);
        abort();
    }
    memmove(&ledger->ranges[at + 1], &ledger->ranges[at], (ledger->count - at) * sizeof ledger->ranges[0]);
    ledger->ranges[at] = (struct range){start, size};
    ledger->count++;
    ledger->bytes += size;
}

static void delete_at(struct ledger *ledger, size_t at)
{
    ledger->bytes -= ledger->ranges[at].size;
    ledger->count--;
    memmove(&ledger->ranges[at], &ledger->ranges[at + 1], (ledger->count - at) * sizeof ledger->ranges[0]);
}

/* Takes what there is of [start, start + size) out. */
static void ledger_cut(struct ledger *ledger, uintptr_t start, size_t size)
{
    uintptr_t end = start + size;
    size_t at;
    while ((at = range_index(ledger, start)) < ledger->count && ledger->ranges[at].start < end) {
        struct range range = ledger->ranges[at];
        delete_at(ledger, at);
        if (range.start + range.size > end) {
            insert_at(ledger, at, end, range.start + range.size - end);
        }
        if (range.start < start) {
            insert_at(ledger, at, range.start, start - range.start);
        }
    }
}

static void ledger_add(const void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    size_t at = range_index(&reserved, start);
    if (at < reserved.count && reserved.ranges[at].start < start + size) {
        fault("reservation overlaps another", address, size);
    }
    insert_at(&reserved, at, start, size);
}

/* Takes [address, address + size) out of the range that covers it; the caller has checked that one does. */
static void ledger_remove(const void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    const struct range *range = &reserved.ranges[range_index(&reserved, start)];
    if (range->start < start && start + size < range->start + range->size) {
        fault("release from the middle of a reservation", address, size);
    }
    ledger_cut(&reserved, start, size);
    ledger_cut(&committed, start, size);
}

/* Commits are idempotent: what is committed already is taken once, what touches becomes one range. */
static void ledger_commit(const void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    uintptr_t end = start + size;
    size_t at = range_index(&committed, start - 1);
    while (at < committed.count && committed.ranges[at].start <= end) {
        struct range range = committed.ranges[at];
        start = range.start < start ? range.start : start;
        end = range.start + range.size > end ? range.start + range.size : end;
        delete_at(&committed, at);
    }
    insert_at(&committed, at, start, end - start);
}

static bool known(const char *what, const void *address, size_t size)
{
    if (range_covers(address, size)) {
        return true;
    }
    fault(what, address, size);
    return false;
}

/* ---- rules (lock held) ---- */

static bool rule_says_no(void)
{
    size_t number = rule.seen++;
    switch (rule.kind) {
    case RULE_NTH:
        return number == rule.n;
    case RULE_FROM:
        return number >= rule.n;
    case RULE_SOME:
        return random_below(&rule.random, 1000) < rule.per_thousand;
    case RULE_NONE:
        break;
    }
    return false;
}

static bool refused(unsigned kind)
{
    if (rule.kind == RULE_NONE || (rule.calls & kind) == 0 || !rule_says_no()) {
        return false;
    }
    rule.refused++;
    calls.refused++;
    return true;
}

static size_t leaf_bytes(void)
{
    return pagemap_bytes() - leaf_bytes_before;
}

static bool over_budget(size_t more)
{
    if (budget == 0 || reserved.bytes - leaf_bytes() + more <= budget) {
        return false;
    }
    calls.refused++;
    return true;
}

/* ---- the table ---- */

static void *fake_reserve(size_t size, size_t alignment)
{
    enter();
    calls.reserve++;
    void *address = NULL;
    if (!refused(OS_FAKE_RESERVE) && !over_budget(size)) {
        address = os_system.reserve(size, alignment);
    }
    if (address != NULL) {
        if (!aligned_to(address, alignment)) {
            fault("reservation is not aligned", address, alignment);
        }
        ledger_add(address, size);
    }
    leave();
    return address;
}

static bool fake_commit(void *address, size_t size)
{
    enter();
    calls.commit++;
    bool done = known("commit of what is not reserved", address, size) && !refused(OS_FAKE_COMMIT) &&
                os_system.commit(address, size);
    if (done) {
        ledger_commit(address, size);
    }
    leave();
    return done;
}

static bool fake_purge(void *address, size_t size)
{
    enter();
    calls.purge++;
    bool done = known("purge of what is not reserved", address, size) && !refused(OS_FAKE_PURGE) &&
                os_system.purge(address, size);
    calls.purged_bytes += done ? size : 0;
    leave();
    return done;
}

static bool fake_release(void *address, size_t size)
{
    enter();
    calls.release++;
    bool done = known("release of what is not reserved", address, size) && !refused(OS_FAKE_RELEASE) &&
                os_system.release(address, size);
    if (done) {
        ledger_remove(address, size);
    }
    leave();
    return done;
}

static void *fake_remap(void *address, size_t old_size, size_t new_size, void *target)
{
    enter();
    calls.remap++;
    void *result = NULL;
    bool grows_too_far = target == NULL && new_size > old_size && over_budget(new_size - old_size);
    bool fits = known("remap of what is not reserved", address, old_size) &&
                (target == NULL || known("remap to what is not reserved", target, new_size));
    if (fits && !refused(OS_FAKE_REMAP) && !grows_too_far) {
        result = os_system.remap(address, old_size, new_size, target);
    }
    if (result != NULL) {
        if (result != (target != NULL ? target : address)) {
            fault("remap went elsewhere", result, new_size);
        }
        moves += target != NULL;
        ledger_remove(address, old_size);
        if (target == NULL) {
            ledger_add(result, new_size);
        }
        ledger_commit(result, new_size); /* the heap remaps what it has committed whole */
    }
    leave();
    return result;
}

static bool fake_protect(void *address, size_t size, bool accessible)
{
    enter();
    calls.protect++;
    bool done = known("protect of what is not reserved", address, size) && os_system.protect(address, size, accessible);
    leave();
    return done;
}

static void fake_advise_huge(void *address, size_t size, bool want)
{
    enter();
    calls.advise++;
    if (known("advice on what is not reserved", address, size)) {
        os_system.advise_huge(address, size, want);
    }
    leave();
}

static size_t fake_resident(const void *address, size_t size)
{
    enter();
    calls.resident++;
    size_t resident = known("question about what is not reserved", address, size) ? os_system.resident(address, size)
                                                                                  : 0;
    leave();
    return resident;
}

static const struct os_memory os_fake = {
    .reserve = fake_reserve,
    .commit = fake_commit,
    .purge = fake_purge,
    .release = fake_release,
    .remap = fake_remap,
    .protect = fake_protect,
    .advise_huge = fake_advise_huge,
    .resident = fake_resident,
};

/* ---- the handles ---- */

static void reset_lock(void)
{
    pthread_mutex_init(&lock, NULL);
}

/* The fork hooks are registered before the first heap registers its own, so the fake's lock is taken after the
 * heap's, as in any call of the heap. */
void os_fake_install(void)
{
    if (pthread_atfork(enter, leave, reset_lock) != 0) {
        abort();
    }
    leaf_bytes_before = pagemap_bytes();
    os = &os_fake;
}

void os_fake_reset(void)
{
    enter();
    memset(&calls, 0, sizeof calls);
    memset(&rule, 0, sizeof rule);
    budget = 0;
    leave();
}

static void set_rule(enum rule_kind kind, unsigned kinds, size_t n)
{
    enter();
    memset(&rule, 0, sizeof rule);
    rule.calls = kinds;
    rule.n = n;
    rule.kind = kind;
    leave();
}

void os_fake_refuse_none(void)
{
    set_rule(RULE_NONE, 0, 0);
}

void os_fake_refuse_nth(unsigned kinds, size_t n)
{
    set_rule(RULE_NTH, kinds, n);
}

void os_fake_refuse_from(unsigned kinds, size_t n)
{
    set_rule(RULE_FROM, kinds, n);
}

void os_fake_refuse_some(unsigned kinds, unsigned per_thousand, uint64_t seed)
{
    set_rule(RULE_SOME, kinds, 0);
    enter();
    rule.per_thousand = per_thousand;
    rule.random = seed;
    leave();
}

static size_t read_locked(const size_t *value)
{
    enter();
    size_t copy = *value;
    leave();
    return copy;
}

size_t os_fake_rule_seen(void)
{
    return read_locked(&rule.seen);
}

size_t os_fake_rule_refused(void)
{
    return read_locked(&rule.refused);
}

void os_fake_budget(size_t bytes)
{
    enter();
    budget = bytes;
    leave();
}

struct os_fake_calls os_fake_calls(void)
{
    enter();
    struct os_fake_calls copy = calls;
    leave();
    return copy;
}

size_t os_fake_moves_of_this_thread(void)
{
    return moves;
}

size_t os_fake_reserved_bytes(void)
{
    return read_locked(&reserved.bytes) - leaf_bytes();
}

size_t os_fake_committed_bytes(void)
{
    return read_locked(&committed.bytes) - leaf_bytes();
}

size_t os_fake_reserved_ranges(void)
{
    size_t leaves = leaf_bytes() / (MAP_LEAF_COUNT * sizeof(map_entry));
    bool near = leaf_bytes_before == 0 && leaves >= MAP_NEAR_LEAVES; /* the table of the near pages is one range */
    return read_locked(&reserved.count) - leaves + (near ? MAP_NEAR_LEAVES - 1 : 0);
}

bool os_fake_covers(const void *address, size_t size)
{
    enter();
    bool covers = range_covers(address, size);
    leave();
    return covers;
}

size_t os_fake_faults(void)
{
    return read_locked(&faults);
}
