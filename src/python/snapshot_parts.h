/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_parts.h: the end of an analysis (snapshot_analysis.h): the unreachable objects, by component. */

#ifndef CAIRN_PYTHON_SNAPSHOT_PARTS_H
#define CAIRN_PYTHON_SNAPSHOT_PARTS_H

#include "python/snapshot_scan.h"

struct snapshot_parts {
    struct snapshot_scan *scan;
    size_t count;                    /* objects that have a number */
    size_t numbered;                 /* so far */
    size_t left;                     /* to be put out or found to be cut */
    uintptr_t *object;               /* by number, rising */
    uint32_t *parent;                /* by number; a root's own is itself */
    uint32_t *size;                  /* of a root: objects of its component, and then those not yet put out */
    uint32_t *place;                 /* of a root: the entry of its next object */
    bool *rough;                     /* of a root: its component is not plain */
    const struct python_type *known; /* the last type asked whether it is plain */
    bool known_plain;
    uint32_t owner; /* number of the object whose references are looked at; `count` if it has none */
};

/* After the mark, objects whose byte is COUNT_ZERO are unreachable. Parts them into components: two belong together if
 * one refers to the other, be it by a weak reference (or its callback would run when only the other is collected).
 * Returns COMPLETE; PARTIAL if only some components fit; NO_MEMORY. */
enum snapshot_status snapshot_part(struct snapshot_scan *scan, struct snapshot_parts *parts);

/* Writes the components into the result, in the order of their first objects in the rings, and the objects of each in
 * that order. False if there is no memory. */
bool snapshot_put_out(struct snapshot_parts *parts);

#endif
