/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_private.h: what the parts of the snapshot collector (snapshot.h) know of each other.
 *
 *   snapshot.c           the mode; what happens at the start and end of collections
 *   snapshot_attach.c    the way into the interpreter
 *   snapshot_trigger.c   when a snapshot is due, and whether CPython's own full collections are held off
 *   snapshot_window.c    from the clone to the last batch
 *   snapshot_batch.c     one batch
 *   snapshot_slices.c    a large component freed some of it at a time
 *   snapshot_pages.c     huge pages, so that the clone is short
 *
 * Everything here needs the GIL. Code of the program (finalizers, callbacks) runs inside batch_apply() and
 * program_told(), and may close the window or turn the mode off: who calls them looks at the window again afterwards.
 * [any] marks what needs no GIL. */

#ifndef CAIRN_PYTHON_SNAPSHOT_PRIVATE_H
#define CAIRN_PYTHON_SNAPSHOT_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/options.h"
#include "python/layout.h"
#include "python/pauses.h"
#include "python/snapshot.h"
#include "python/snapshot_process.h"

/* ---- snapshot_attach.c ---- */

/* What callbacks are told about a collection. */
enum { FACT_GENERATION, FACT_COLLECTED, FACT_UNCOLLECTABLE, COLLECTION_FACTS };

/* What collector.gc leads to is there from attach to the end of the interpreter. The objects are owned by the function
 * that CPython calls at collections. */
struct collector {
    bool attached;
    struct python_gc gc;
    void *program_callbacks;       /* the list gc.callbacks of the program */
    void *collect;                 /* the function gc.collect */
    void *no_callbacks;            /* an empty list, put in place of ours while collections are to tell nobody */
    void *keys[COLLECTION_FACTS];  /* of the dict that callbacks are given */
    void (*class_dealloc)(void *); /* tp_dealloc of classes written in Python; NULL: components are not sliced */
    int (*class_clear)(void *);    /* and their tp_clear */
    struct snapshot_figures figures;
};
extern struct collector collector;

/* What CPython is to call at the start and at the end of every collection. */
typedef void *collection_function(void *self, void *const *arguments, ptrdiff_t count);

/* Finds the collector of the calling thread's interpreter, fills `collector`, and puts the function in place. NULL, or
 * why that cannot be (static). */
const char *collector_attach(collection_function *at_collection);

/* How often somebody has asked for objects without having a reference to them (gc.get_objects, gc.get_referrers). */
unsigned collector_looked_for(void);

/* ---- snapshot.c ---- */

/* Says a line on stderr, once for each reason (a static text), if this process speaks. */
void snapshot_say(const char *reason);

/* CPython does its own full collections from now on, and the user is told why (static). */
void snapshot_give_up(const char *reason);

/* Calls the program's callbacks for the start or stop of a full collection. */
void program_told(const char *phase, ptrdiff_t collected, ptrdiff_t uncollectable);

/* ---- snapshot_trigger.c ---- */

/* CPython's full collections wait for long_lived_pending to reach a quarter of long_lived_total. They are held off by a
 * total that is never reached, and let go by the real one; both are repeated at every middle collection, for the
 * program may have had a full collection meanwhile. */
void trigger_release(void);

/* Takes in what the last middle or full collection left: holds full collections off, or lets them go because the heap is
 * small or something speaks against snapshots now. */
void trigger_update(void);

/* A young or a middle collection has ended. */
void trigger_young(void);
void trigger_middle(void);

/* An explicit full collection that is to see the younger generations only: what CPython makes of its figures is put
 * right afterwards. */
void trigger_ride(void);
void trigger_dismount(void);

/* Is a snapshot due? And is it so urgent that nothing can be done before? After trigger_update(). */
bool trigger_due(void);
bool trigger_urgent(void);

/* Objects that are tracked, about: those of the last full collection or snapshot and those that came to the oldest
 * generation since. */
size_t trigger_objects(void);

/* Floating garbage as a share of its limit, if `named` objects are garbage, and `unknown` ones beside those that survived
 * since the last snapshot may be. */
double trigger_floating(size_t named, size_t unknown);

/* Young collections after which it will have grown by a hundredth of its limit; infinite if nothing survives them. */
double trigger_hundredth(void);

/* A snapshot was begun: what survives is counted anew. */
void trigger_begun(void);

/* Survivors in the oldest generation at that time. */
size_t trigger_at_clone(void);

/* The clone has ended, with a result. */
void trigger_found(void);

/* All it found has been freed. */
void trigger_finished(const struct snapshot_result *result);

/* It came to nothing: what had survived is still to be looked at. */
void trigger_undone(void);

/* That was its own fault: CPython is let to work if it happens again and again. */
void trigger_missed(void);

/* How often that was so in a row. */
unsigned trigger_misses(void);

/* No snapshot can be taken now: CPython is let to work once. The user is told the reason, unless it is NULL. */
void trigger_refused(const char *reason);

/* The memory that a snapshot may cost is there, and it is worth while: the clone takes less than half as long as CPython
 * would. If not, it is refused. Reads from the system for
 * some tenths of a millisecond. */
bool trigger_affords(void);

/* How long the clone took, for that estimate. */
void trigger_clone_took(uint64_t ns, size_t resident);

/* ---- snapshot_window.c ---- */

enum window_state {
    WINDOW_CLOSED,
    WINDOW_ANALYSING, /* the clone runs */
    WINDOW_FREEING,   /* its result is being used */
    WINDOW_ENDING,    /* nothing is wanted of the clone any more, but it has not ended yet */
};

struct window {
    enum window_state state;
    pid_t pid;          /* of the process that opened it */
    uint64_t opened_ns; /* on os_clock_ns() */
    struct snapshot_process process;
    struct gc_head *permanent_last; /* the last frozen object when it was opened */
    struct fault_rate {
        uint64_t faults, ns; /* of the process, and when, as the last window closed */
        double per_ns;       /* since then */
    } before;
    uint64_t faults;           /* of the process, when the window was opened */
    uint64_t copies_most;      /* that a snapshot may cost */
    uint64_t copies_seen;      /* at the last tick */
    double copies_tick;        /* by and by, from one to the next */
    uint64_t expected_ns;      /* that the analysis will take, and */
    double object_ns;          /* took for an object the last time, until it was seen; 0: not known */
    uint64_t ticked_ns;        /* the end of the last tick */
    double between_ns;         /* ticks, by and by, what the program needs from one to the next */
    size_t next, next_untrack; /* entries done, or begun in slices */
    double floating;           /* at the last batch, as a share of the limit */
    unsigned looked_for;       /* collector_looked_for() when it was opened */
    ptrdiff_t collected, uncollectable;
    atomic_bool left; /* the clone was ended for an exec */
};
extern struct window window;

/* Opens a window; false if that is not possible now. No window is open. */
bool window_open(void);

/* Does what is due at the end of a collection: looks at the clone, frees a batch. */
void window_tick(void);

/* Waits for the clone and frees everything. */
void window_finish(void);

/* Closes it, done or not: drops the freed log and the result, and waits for the clone's end. Idempotent. */
void window_close(void);

/* Closes it because the program did something that a snapshot does not outlive, without waiting for the clone's end. */
void window_abandon(void);

/* Ends the clone, and waits for its end. The window is closed by ticks, for whoever holds the GIL may be using it. [any]
 */
void window_leave(void);

/* ---- snapshot_pages.c ---- */

/* Begins to join the pages of Python's heap to huge ones, beside the program; no clone runs. Nothing if that is under
 * way, or impossible. */
void pages_join(void);

/* Is that under way? */
bool pages_joining(void);

/* A clone is about to be made, and what is joined while it runs would be in memory twice: ends it, after the piece it is
 * at. */
void pages_stop(void);

/* Ends it, and waits for its end. [any] */
void pages_leave(void);

/* In a forked child: it is the parent's. */
void pages_forget(void);

/* Is there a joiner that runs or waits to be reaped? And does it wait to be reaped? Hints, as those of
 * snapshot_process.h. [any] */
bool pages_unreaped(void);
bool pages_ended(void);

/* ---- snapshot_batch.c ---- */

enum { BATCH_NS = 500000 };

/* A clone has ended; batches follow. */
void batch_begin(void);

/* Frees candidates of the open window: whole components, or a slice of a large one, until `budget_ns` is likely to be
 * used up; 0: to the next large one, or the end of one. */
void batch_apply(uint64_t budget_ns);

/* All that are left. False if the program closed the window meanwhile. */
bool batch_apply_all(void);

/* Objects that a batch has at least, however long it takes: more than the program can have made since the last,
 * and where the limit of floating garbage is passed much more. */
size_t batch_least(void);

/* The header of an entry's object if it may be used, else NULL. */
struct gc_head *batch_head_of(uintptr_t entry);

/* Counts objects freed, as part of a full collection. */
void batch_note_freed(ptrdiff_t collected, ptrdiff_t uncollectable);

/* Takes live dicts and tuples that a full collection would untrack out of the lists, some at a time. True if none are
 * left. */
bool batch_untrack(bool all);

/* Has CPython clear its free lists and count a full collection, with all lists put aside. */
void batch_tidy(void);

/* ---- snapshot_slices.c ---- */

/* Does a component begin at that entry that is to be freed in slices? */
bool slices_wanted(size_t entry);

/* Begins with the component at window.next, which is behind it then. False if it is not to be freed in slices. None is
 * under way. */
bool slices_begin(void);

/* Is a component being freed? It need not be one of the open window. */
bool slices_busy(void);

/* Its objects that are still there, about. */
size_t slices_left(void);

/* Goes on for about `budget_ns`, 0: to its end. */
void slices_step(uint64_t budget_ns);

/* Gives it back to the generations if nothing of it is cleared yet, or goes on to its end. Nothing if none is busy. */
void slices_settle(void);

/* Somebody is about to ask for objects without having a reference to them, and has to find all of a component or
 * nothing: gives back what is only taken. */
void slices_looked_for(void);

/* A window begins to free. */
void slices_new_window(void);

/* The interpreter has ended, and its objects are nobody's. */
void slices_forget(void);

#endif
