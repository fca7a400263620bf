/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cells.h: small objects for tests of single rules, and a journal of what happens to them.
 *
 * A cell has a name (a number), four references and, if its type has a finalizer, a function that the finalizer calls.
 * The journal is a line of words in the order things happened: "F1" the finalizer of cell 1 ran, "L1" that of the old
 * kind, "D1" cell 1 died for good, "W5" the weak reference made with the number 5 called back.
 * Cells with a name below 0 are too many for it and leave it alone.
 *
 * Each test runs in a runtime of its own (cells_setup, cells_teardown) with automatic collections off; at its end
 * nothing may be left that the test did not say it keeps. All under the runtime's GIL. */

#ifndef CAIRN_TEST_CELLS_H
#define CAIRN_TEST_CELLS_H

#include "cairn_object.h"
#include "support/kinds.h"

enum { CELL_SLOTS = 4 };

struct cell {
    cairn_object object;
    cairn_weak *weak_list;
    int name;
    void (*on_finalize)(struct cell *self);
    struct cell *refs[CELL_SLOTS];
};

extern const cairn_type cell_plain;       /* references by offset; weak references */
extern const cairn_type cell_final;       /* the same with a finalizer */
extern const cairn_type cell_legacy;      /* with a finalizer of the old kind; calls on_finalize, too */
extern const cairn_type cell_no_clear;    /* traverse and dealloc, but nothing breaks its cycles */
extern const cairn_type cell_secret;      /* no container for the collector, though it has references */
extern const cairn_type cell_half;        /* traverse leaves out refs[1] and refs[3] */
extern const cairn_type cell_twice;       /* traverse visits refs[0] twice: wrong */
extern const cairn_type cell_untracked;   /* not tracked at birth */
extern const cairn_type cell_untrackable; /* untracked by a collection when it holds nothing tracked */
extern const cairn_type cell_cached;      /* up to 8 dead ones are kept for reuse */
extern const cairn_type cell_atom;        /* no references */
extern const cairn_type cell_atom_final;  /* no references, but a finalizer */
extern const cairn_type cell_strong_only; /* cannot be referred to weakly */

int cells_setup(void **state);
int cells_teardown(void **state);

/* Both around each test. */
#define CELL_TEST(test) cmocka_unit_test_setup_teardown(test, cells_setup, cells_teardown)

/* What the test leaves alive at the end on purpose, in objects. */
void cells_expect_kept(size_t objects);

/* A new cell; the caller's reference. */
struct cell *cell_new(const cairn_type *type, int name);

/* Stores a reference of its own to `target` (may be NULL). */
void cell_set(struct cell *cell, int slot, struct cell *target);

/* The same with the caller's reference. */
void cell_hand(struct cell *cell, int slot, struct cell *target);

void cell_keep(struct cell *cell); /* counts one more reference */
void cell_drop(struct cell *cell); /* one less */
int64_t cell_count(const struct cell *cell);
struct cell *cell_of(cairn_object *object);

/* A cycle of `count` cells of this type with the names first, first + 1, ..., each referring to the next by refs[0];
 * returns the first; the only reference the caller has. */
struct cell *cell_cycle(const cairn_type *type, int first, int count);

/* A weak reference that writes "W<number>" in the journal; number 0: without a callback. */
cairn_weak *weak_to(struct cell *cell, int number);
void weak_drop(cairn_weak *weak);
bool weak_alive(cairn_weak *weak);

/* Finalizers: a static place to keep cells that a finalizer brings back, and the usual behaviours. */
extern struct cell *kept[16];
extern size_t kept_count;
void keep_self(struct cell *self);
void keep_first(struct cell *self); /* what refs[0] refers to */
void break_self(struct cell *self); /* drops refs[0] */
void kept_drop(void);               /* gives them up again; finalizers may keep them anew */

/* The journal since the last call of journal(), as "F1 D1"; good until the next call. */
const char *journal(void);
const char *journal_sorted(void); /* the words in alphabetical order: for what happens in no defined order */
void journal_write(char what, int name);

/* Collects; the number found. */
ptrdiff_t gc_collect(int generation);

#endif
