/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_trigger.c: when a snapshot is due.
 *
 * CPython counts the objects that survive a middle collection (long_lived_pending). Some of them are garbage already or
 * become it: the *floating garbage*. What share that is, the last snapshots tell; before the first one, all may be. A
 * snapshot is due early enough that with what comes while it is analysed and freed, floating garbage stays within the
 * limit (a share of the live objects). Each snapshot costs the program the pages it writes to meanwhile, so
 * none is taken earlier than that; a program whose survivors live has one when CPython would have had a full collection,
 * at a quarter of the live objects.
 *
 * The limit is kept by three steps: the next snapshot is begun earlier, by what came during the last; batches get larger;
 * and while the clone runs, a program that makes garbage faster than it is found is slowed (snapshot_window.c). That
 * goes by the share found, for a program that loads data must not be slowed.
 *
 * CPython's own full collections are held off only while snapshots do their work. They are let go, and thereby done at
 * the next opportunity, when the heap is small, when debug flags are set, when there is a second interpreter, when the
 * memory for a snapshot is not there, and when snapshots came to nothing MISSES times in a row. */

#include <limits.h>

#include "os/os.h"
#include "os/os_pressure.h"
#include "python/cpython.h"
#include "python/snapshot_private.h"

enum {
    STOCK_SHARE = 4,        /* CPython's rule: when a quarter of the live objects came anew */
    STOCK_THRESHOLD = 10,   /* its usual threshold of the oldest generation; a higher one is the program's wish */
    LEAST_SURVIVORS = 5000, /* a snapshot for fewer is not worth while */
    LIMIT_PERCENT = 10,     /* of the live objects may float, */
    LIMIT_PERCENT_ONE = 35, /* and with one processor, where a snapshot takes the program's own time */
    LEAST_LIMIT = 20000,    /* objects that may always float: two or three megabytes */
    MISSES = 4,
    CLONE_PAGE_NS = 90,    /* of a resident page, before it was measured */
    STOCK_OBJECT_NS = 170, /* of an object, in a heap in good order */
    CHEAP_NS = 2000000,    /* a clone that takes no longer is not weighed */
    PAGE_BYTES = 4096,     /* unit of these estimates, whatever pages there are */
};

static const double BULK = 2; /* limits: so much at once was loaded, and to slow the program would not change it */
static const double LEAST_SHARE = 0.25;     /* of garbage, that is always reckoned with */
static const double AIM = 0.7;              /* of the limit: what floats when all goes as the last time */
static const double URGENT = 0.75;          /* of the limit */
static const ptrdiff_t NEVER = PTRDIFF_MAX; /* as long_lived_total: held off */

static struct {
    ptrdiff_t total;     /* the real long_lived_total */
    double garbage;      /* share of survivors that were garbage: high at once, low by and by */
    ptrdiff_t meanwhile; /* survivors that came while clones ran lately */
    ptrdiff_t at_clone;  /* survivors before it */
    ptrdiff_t seen;      /* objects that the clone has seen in the middle generation */
    ptrdiff_t pending;   /* long_lived_pending when it was last looked at */
    unsigned youngs;     /* young collections since the last middle one */
    double per_young; /* objects that a young collection leaves in the middle generation, and that survive that, too */
    bool measured;    /* per_young is known */
    ptrdiff_t ridden; /* survivors before an explicit collection that rides on a snapshot */
    unsigned misses;  /* snapshots in a row that came to nothing */
    bool poor;        /* the next full collection is CPython's */
    double page_ns;   /* of the clone, for a resident page */
    unsigned percent; /* of the live objects may float */
} trigger = {.garbage = 1, .page_ns = CLONE_PAGE_NS, .percent = LIMIT_PERCENT};

/* ---- holding off ---- */

static void hold(void)
{
    if (*collector.gc.long_lived_total != NEVER) {
        trigger.total = *collector.gc.long_lived_total;
        *collector.gc.long_lived_total = NEVER;
    }
}

void trigger_release(void)
{
    if (*collector.gc.long_lived_total == NEVER) {
        *collector.gc.long_lived_total = trigger.total;
    }
}

void trigger_ride(void)
{
    hold();
    trigger.ridden = *collector.gc.long_lived_pending;
}

void trigger_dismount(void)
{
    *collector.gc.long_lived_pending = trigger.ridden + *collector.gc.long_lived_total;
    *collector.gc.long_lived_total = NEVER;
}

size_t trigger_objects(void)
{
    return (size_t)(trigger.total + *collector.gc.long_lived_pending);
}

static bool has_interpreter_beside(void)
{
    void *first = PyInterpreterState_Head();
    return first != NULL && PyInterpreterState_Next(first) != NULL;
}

static bool wants_stock(void)
{
    const struct gc_options *options = &cairn_options()->gc;
    if (*collector.gc.debug != 0 || !snapshot_is_on() || snapshot_obstacle()[0] != '\0') {
        return true;
    }
    if (has_interpreter_beside()) {
        snapshot_say("there are several interpreters");
        return true;
    }
    if (options->force != 0) {
        return false;
    }
    return trigger.poor || trigger.misses >= MISSES || trigger_objects() < options->minimum;
}

static unsigned percent(void)
{
    unsigned asked = cairn_options()->gc.floating;
    return asked != 0 ? asked : os_processors() > 1 ? LIMIT_PERCENT : LIMIT_PERCENT_ONE;
}

void trigger_update(void)
{
    trigger.percent = percent();
    bool full_done = *collector.gc.long_lived_total != NEVER && *collector.gc.long_lived_pending == 0;
    if (full_done) {
        trigger.misses = 0;
        trigger.poor = false;
        trigger.garbage = 1; /* what comes now is not known */
        trigger.pending = trigger.seen = 0;
        trigger.youngs = 0;
    }
    hold();
    if (wants_stock()) {
        trigger_release();
    }
}

/* ---- survivors ---- */

void trigger_young(void)
{
    trigger.youngs++;
}

void trigger_middle(void)
{
    ptrdiff_t pending = *collector.gc.long_lived_pending;
    double per_young = (double)(pending - trigger.pending) / (double)(trigger.youngs + 1);
    double most = collector.gc.generations[0].threshold; /* more comes at once when the collector was off */
    trigger.per_young = per_young < most ? per_young : most;
    trigger.measured = true;
    trigger.pending = pending;
    trigger.youngs = 0;
    trigger.seen = 0;
}

static double per_young(void)
{
    return trigger.measured ? trigger.per_young : collector.gc.generations[0].threshold;
}

/* Objects that wait in the middle generation, about. */
static ptrdiff_t in_middle(void)
{
    return (ptrdiff_t)(per_young() * (double)trigger.youngs);
}

/* Objects that survived since the last snapshot, those in the middle generation with them. */
static double survivors(void)
{
    ptrdiff_t count = *collector.gc.long_lived_pending + in_middle() - trigger.seen;
    return count > 0 ? (double)count : 0;
}

/* ---- when ---- */

/* Objects that may float: a share of those that lived when that was last known. */
static double limit(void)
{
    double share = (double)(trigger.total - trigger.at_clone) * trigger.percent / 100;
    return share > LEAST_LIMIT ? share : LEAST_LIMIT;
}

/* Survivors among which so much garbage is expected. */
static double survivors_allowed(void)
{
    return limit() / trigger.garbage;
}

static double survivors_wanted(void)
{
    double most = (double)trigger.total / STOCK_SHARE;
    double allowed = survivors_allowed();
    double wanted = allowed * AIM - (double)trigger.meanwhile;
    wanted = wanted < allowed / 4 ? allowed / 4 : wanted;
    wanted = wanted > most ? most : wanted;
    wanted = wanted < LEAST_SURVIVORS ? LEAST_SURVIVORS : wanted;
    return wanted * (double)(1u << trigger.misses);
}

bool trigger_due(void)
{
    const struct gc_generation *oldest = &collector.gc.generations[GC_OLDEST];
    bool asked = oldest->count > oldest->threshold || oldest->threshold <= STOCK_THRESHOLD;
    return asked && *collector.gc.long_lived_total == NEVER && survivors() >= LEAST_SURVIVORS &&
           survivors() >= survivors_wanted();
}

bool trigger_urgent(void)
{
    return survivors() >= survivors_wanted() * 5 / 4 || trigger_floating(0, 0) > URGENT;
}

double trigger_floating(size_t named, size_t unknown)
{
    double maybe = (double)unknown < limit() * BULK ? (double)unknown : 0;
    return ((double)named + trigger.garbage * (maybe + survivors())) / limit();
}

double trigger_hundredth(void)
{
    return limit() / 100 / (trigger.garbage * per_young());
}

/* ---- how it went ---- */

size_t trigger_at_clone(void)
{
    return (size_t)trigger.at_clone;
}

void trigger_found(void)
{
    ptrdiff_t now = (ptrdiff_t)survivors(), faded = trigger.meanwhile / 4 * 3;
    trigger.meanwhile = now > faded ? now : faded;
}

void trigger_begun(void)
{
    trigger.at_clone = *collector.gc.long_lived_pending;
    trigger.seen = in_middle();
    trigger.total += trigger.at_clone;
    trigger.pending = *collector.gc.long_lived_pending = 0;
    collector.gc.generations[GC_OLDEST].count = 0;
}

/* What share of the objects that came was garbage. */
static void learn(uint64_t garbage, ptrdiff_t came)
{
    double share = (double)garbage / (double)(came > LEAST_SURVIVORS ? came : LEAST_SURVIVORS);
    double faded = (trigger.garbage + share) / 2;
    share = share > faded ? share : faded;
    trigger.garbage = share > 1 ? 1 : share < LEAST_SHARE ? LEAST_SHARE : share;
}

void trigger_finished(const struct snapshot_result *result)
{
    learn(result->garbage, trigger.at_clone + trigger.seen);
    trigger.total = (ptrdiff_t)result->live;
    trigger.misses = 0;
    trigger.at_clone = 0;
    collector.figures.live = result->live;
    if (result->garbage > collector.figures.floating_most) {
        collector.figures.floating_most = result->garbage;
    }
}

void trigger_undone(void)
{
    trigger.total -= trigger.at_clone;
    *collector.gc.long_lived_pending += trigger.at_clone;
    trigger.pending += trigger.at_clone;
    trigger.at_clone = trigger.seen = 0;
}

void trigger_missed(void)
{
    trigger.misses += trigger.misses < MISSES; /* more may come where snapshots are forced */
    trigger_undone();
}

unsigned trigger_misses(void)
{
    return trigger.misses;
}

void trigger_refused(const char *reason)
{
    if (reason != NULL) {
        snapshot_say(reason);
    }
    trigger.poor = true;
    trigger_update();
}

/* ---- what it costs ---- */

void trigger_clone_took(uint64_t ns, size_t resident)
{
    size_t pages = resident / PAGE_BYTES;
    if (pages > 0) {
        /* A clone that was held up says nothing of pages, and if it kept snapshots off nobody would measure again. */
        double measured = (double)ns / (double)pages;
        measured = measured < 2 * CLONE_PAGE_NS ? measured : 2 * CLONE_PAGE_NS;
        trigger.page_ns = (trigger.page_ns + measured) / 2;
    }
}

bool trigger_affords(void)
{
    enum { TABLES_SHARE = 12, PINNED_MOST = 16 << 20 };
    size_t resident = os_resident_bytes();
    size_t copies = resident / 100 * cairn_options()->gc.copied + resident / TABLES_SHARE;
    double clone_ns = (double)(resident / PAGE_BYTES) * trigger.page_ns;
    if (os_memory_left() < copies) {
        trigger_refused("there is too little memory left for snapshots");
        return false;
    }
    if (os_pinned_bytes() > PINNED_MOST) {
        trigger_refused("the program has pinned memory for devices, which a snapshot would copy at once");
        return false;
    }
    bool worth_while = clone_ns < CHEAP_NS || clone_ns < (double)trigger_objects() * STOCK_OBJECT_NS / 2;
    if (!worth_while) {
        trigger_refused(NULL);
    }
    return worth_while;
}
