/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* layout.h: where a running interpreter keeps its collector: generations, counts, statistics, callbacks.
 *
 * CPython has no API for these. Their offsets in PyInterpreterState are in one table, layout_table.h, which
 * scripts/python-layouts prints from each version's own headers. A table can be wrong for a build nobody has seen, so
 * layout_attach() believes it only after the interpreter has confirmed it: what gc.get_threshold(), gc.get_count(),
 * gc.garbage, gc.callbacks and gc.isenabled() answer is what lies there, and the lists are linked as lists.
 *
 * No state. Everything here needs the GIL of the interpreter it is about. */

#ifndef CAIRN_PYTHON_LAYOUT_H
#define CAIRN_PYTHON_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "python/gc_head.h"

enum { GC_GENERATIONS = 3, GC_OLDEST = GC_GENERATIONS - 1 };

/* CPython's struct gc_generation. */
struct gc_generation {
    struct gc_head head;
    int threshold;
    int count;
};

/* CPython's struct gc_generation_stats. */
struct gc_generation_stats {
    ptrdiff_t collections;
    ptrdiff_t collected;
    ptrdiff_t uncollectable;
};

/* Bytes from the start of PyInterpreterState to `gc`, and from there to its fields. */
struct gc_layout {
    int minor; /* of CPython 3.minor */
    uint32_t gc;
    uint32_t enabled, debug, generations, generation0, permanent, statistics, collecting, garbage, callbacks;
    uint32_t long_lived_total, long_lived_pending;
};

/* An interpreter's collector, in place. */
struct python_gc {
    int minor;
    void *interpreter;
    int *enabled;
    int *debug;
    int *collecting;
    struct gc_generation *generations; /* GC_GENERATIONS */
    struct gc_head *permanent;
    struct gc_generation_stats *statistics; /* GC_GENERATIONS */
    void **garbage;                         /* a list */
    void **callbacks;                       /* a list */
    ptrdiff_t *long_lived_total;
    ptrdiff_t *long_lived_pending;
};

/* The layout of CPython 3.minor, or NULL if it is not known. [any] */
const struct gc_layout *layout_of(int minor);

/* Fills *gc for the calling thread's interpreter, after it has confirmed the table. `module` is its gc module. Returns
 * NULL, or in a few words what keeps Cairn from knowing. Leaves no exception set. The GIL is held. */
const char *layout_attach(struct python_gc *gc, void *module);

#endif
