/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_analysis.h: which tracked objects of a CPython heap are unreachable, found without writing to the heap.
 *
 * Made for a process that was cloned while the program stood still between two collections, and that ends afterwards:
 * it calls no malloc, takes no lock and touches no object for writing. What it calls of CPython is tp_traverse and
 * tp_is_gc. */

#ifndef CAIRN_PYTHON_SNAPSHOT_ANALYSIS_H
#define CAIRN_PYTHON_SNAPSHOT_ANALYSIS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "python/gc_head.h"

enum { SNAPSHOT_RINGS = 3, SNAPSHOT_PLAIN_TYPES = 14 };

struct snapshot_input {
    /* The heads of the generations, in the order in which a full collection strings them together: oldest, youngest,
     * middle. All tracked objects are in them, or in the permanent generation: those are external. NULL for the latter
     * means that nothing is known of it; the analysis then takes longer. */
    const struct gc_head *ring[SNAPSHOT_RINGS];
    const struct gc_head *permanent;

    int minor; /* of CPython 3.minor, 9 to 13 */

    /* Addresses of CPython's types; NULL where it has none. */
    const void *dict_type;
    const void *tuple_type;
    const void *list_type;
    const void *reference_type;      /* _PyWeakref_RefType, which may have subclasses */
    const void *proxy_type;          /* _PyWeakref_ProxyType */
    const void *callable_proxy_type; /* _PyWeakref_CallableProxyType */

    /* Types whose tp_clear and tp_dealloc do nothing but let go of references and memory; NULL: none. And tp_dealloc of
     * the classes that Python code makes, NULL: nothing is plain; and their tp_clear. */
    const void *plain_type[SNAPSHOT_PLAIN_TYPES];
    void (*class_dealloc)(void *object);
    int (*class_clear)(void *object);

    size_t memory_limit; /* bytes that the tables of the analysis may take, the result's entries not among them; less
                            than SNAPSHOT_MEMORY_LEAST counts as that */
};

/* Memory is taken as it is needed: the tables of a small heap are smaller. */
enum { SNAPSHOT_MEMORY_LEAST = 16 << 20 };

enum snapshot_status {
    SNAPSHOT_UNFINISHED, /* the analysis runs, or ended on the way */
    SNAPSHOT_COMPLETE,   /* the result names every unreachable object */
    SNAPSHOT_PARTIAL,    /* it names whole components of unreachable objects, but not all: there was no room */
    SNAPSHOT_NO_MEMORY,  /* the tables would be larger than the limit, or the system has no memory; no result */
    SNAPSHOT_UNSOUND,    /* a ring is not linked as a ring; no result */
};

enum snapshot_pass {
    SNAPSHOT_FIND,     /* walk the rings: who is there, how many references has it */
    SNAPSHOT_SUBTRACT, /* take away the references that come from these objects */
    SNAPSHOT_MARK,     /* whoever has references left is reachable, and what it refers to */
    SNAPSHOT_PART,     /* part the others into components */
    SNAPSHOT_ORDER,    /* put them out in order */
    SNAPSHOT_PASSES,
};

/* The low bits of a candidate: an object's address is a multiple of 16. */
enum {
    SNAPSHOT_LAST = 1,      /* the last one of its component */
    SNAPSHOT_PREHEADER = 2, /* its block starts 32 bytes before the object, not 16 */
    SNAPSHOT_PLAIN = 4, /* of its component: no object has a finalizer, is or has a weak reference, was finalized, or
                               has a type whose end does more than to let go of references and memory */
    SNAPSHOT_BITS = 15,
};

/* And the high ones, which an address does not need: the count of references, or SNAPSHOT_COUNT_MOST. */
enum { SNAPSHOT_COUNT_SHIFT = 48, SNAPSHOT_COUNT_MOST = 0xffff };

static inline uintptr_t snapshot_entry_object(uintptr_t entry)
{
    return entry & (((uintptr_t)1 << SNAPSHOT_COUNT_SHIFT) - 1) & ~(uintptr_t)SNAPSHOT_BITS;
}

static inline uintptr_t snapshot_entry_count(uintptr_t entry)
{
    return entry >> SNAPSHOT_COUNT_SHIFT;
}

/* What an entry says of an object's count. */
static inline uintptr_t snapshot_count_of(ptrdiff_t count)
{
    return count < SNAPSHOT_COUNT_MOST ? (uintptr_t)count : SNAPSHOT_COUNT_MOST;
}

/* Lies in memory that the program and its clone share. All but `status` is valid only when the status is COMPLETE or
 * PARTIAL. */
struct snapshot_result {
    _Atomic uint32_t status; /* enum snapshot_status; written last (release) */

    uint64_t objects;    /* tracked objects in the rings */
    uint64_t live;       /* tracked objects that are reachable */
    uint64_t garbage;    /* and those that are not */
    uint64_t components; /* of the candidates named */
    uint64_t suspicious; /* objects with more references from others than their count says; taken as reachable */
    uint64_t pass_ns[SNAPSHOT_PASSES]; /* processor time */
    uint64_t table_bytes;              /* memory taken for the tables, the most at a time */

    size_t capacity;   /* of entry[]; set by whoever made the memory */
    size_t candidates; /* from entry[0] on: unreachable objects with SNAPSHOT_* bits, component by component and in each
                          component in the order of the rings */
    size_t untracks;   /* from entry[capacity - 1] down: live dicts and tuples that refer to nothing that can be part of
                          a cycle, which a full collection takes out of the rings; not all of them, if there was no
                          room, or one becomes so only when another has left */
    uintptr_t entry[];
};

static inline size_t snapshot_result_bytes(size_t capacity)
{
    return sizeof(struct snapshot_result) + capacity * sizeof(uintptr_t);
}

/* Runs the analysis. `result` is zero but for the capacity. Memory comes straight from the system; what traversal
 * functions do is their own affair. Needs no GIL, since nothing else runs. */
void snapshot_analyse(const struct snapshot_input *input, struct snapshot_result *result);

#endif
