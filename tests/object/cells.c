/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cells.c: see cells.h. */

#include "object/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cell *kept[16];
size_t kept_count;

static size_t expected_kept;
static char lines[2][4096];
static unsigned line;
static size_t line_length;

/* ---- the journal ---- */

void journal_write(char what, int name)
{
    size_t room = sizeof(lines[0]) - line_length;
    if (name < 0) {
        return;
    }
    int length = snprintf(&lines[line][line_length], room, "%s%c%d", line_length ? " " : "", what, name);
    require(length > 0 && (size_t)length < room);
    line_length += (size_t)length;
}

const char *journal(void)
{
    const char *text = lines[line];
    line = 1 - line;
    lines[line][0] = '\0';
    line_length = 0;
    return text;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *journal_sorted(void)
{
    static char sorted[sizeof(lines[0])];
    char copy[sizeof(lines[0])];
    char *words[1024];
    size_t count = 0;
    strcpy(copy, journal());
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        require(count < COUNT_OF(words));
        words[count++] = word;
    }
    qsort(words, count, sizeof(words[0]), compare_words);
    sorted[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(strcat(sorted, i ? " " : ""), words[i]);
    }
    return sorted;
}

/* ---- the types ---- */

struct cell *cell_of(cairn_object *object)
{
    return (struct cell *)(void *)object;
}

static cairn_object *object_of(struct cell *cell)
{
    return cell ? &cell->object : NULL;
}

static void finalize(cairn_object *self)
{
    struct cell *cell = cell_of(self);
    journal_write('F', cell->name);
    if (cell->on_finalize) {
        cell->on_finalize(cell);
    }
}

static void finalize_legacy(cairn_object *self)
{
    struct cell *cell = cell_of(self);
    journal_write('L', cell->name);
    if (cell->on_finalize) {
        cell->on_finalize(cell);
    }
}

static bool died(cairn_runtime *of, cairn_object *dead)
{
    (void)of;
    journal_write('D', cell_of(dead)->name);
    return false;
}

static void traverse(cairn_object *self, cairn_visit visit, void *arg)
{
    for (int i = 0; i < CELL_SLOTS; i++) {
        CAIRN_VISIT(cell_of(self)->refs[i]);
    }
}

static void traverse_half(cairn_object *self, cairn_visit visit, void *arg)
{
    CAIRN_VISIT(cell_of(self)->refs[0]);
    CAIRN_VISIT(cell_of(self)->refs[2]);
}

static void traverse_twice(cairn_object *self, cairn_visit visit, void *arg)
{
    CAIRN_VISIT(cell_of(self)->refs[0]);
    CAIRN_VISIT(cell_of(self)->refs[0]);
}

static void clear(cairn_object *self)
{
    for (int i = 0; i < CELL_SLOTS; i++) {
        cell_set(cell_of(self), i, NULL);
    }
}

static bool holds_none_tracked(cairn_object *self)
{
    for (int i = 0; i < CELL_SLOTS; i++) {
        struct cell *target = cell_of(self)->refs[i];
        if (target && cairn_object_is_tracked(&target->object)) {
            return false;
        }
    }
    return true;
}

#define CELL_COMMON                                                                                                    \
    .struct_size = sizeof(cairn_type), .size = sizeof(struct cell), .weak_offset = offsetof(struct cell, weak_list),   \
    .keep = died
#define CELL_REFERENCES .reference_offset = offsetof(struct cell, refs), .reference_count = CELL_SLOTS

const cairn_type cell_plain = {CELL_COMMON, CELL_REFERENCES, .name = "plain"};
const cairn_type cell_final = {CELL_COMMON, CELL_REFERENCES, .name = "final", .finalize = finalize};
const cairn_type cell_legacy = {CELL_COMMON, CELL_REFERENCES, .name = "legacy", .finalize_legacy = finalize_legacy};
const cairn_type cell_no_clear = {CELL_COMMON, .name = "no-clear", .traverse = traverse, .dealloc = clear};
const cairn_type cell_secret = {CELL_COMMON, .name = "secret", .dealloc = clear};
const cairn_type cell_half = {CELL_COMMON, .name = "half", .traverse = traverse_half, .clear = clear};
const cairn_type cell_twice = {CELL_COMMON, .name = "twice", .traverse = traverse_twice, .clear = clear};
const cairn_type cell_untracked = {CELL_COMMON, CELL_REFERENCES, .name = "untracked", .flags = CAIRN_TYPE_UNTRACKED};
const cairn_type cell_untrackable = {CELL_COMMON, CELL_REFERENCES, .name = "untrackable",
                                     .untrack = holds_none_tracked};
const cairn_type cell_cached = {.struct_size = sizeof(cairn_type),
                                .size = sizeof(struct cell),
                                CELL_REFERENCES,
                                .name = "cached",
                                .free_list_most = 8};
const cairn_type cell_atom = {CELL_COMMON, .name = "atom"};
const cairn_type cell_atom_final = {CELL_COMMON, .name = "atom-final", .finalize = finalize};
const cairn_type cell_strong_only = {.struct_size = sizeof(cairn_type),
                                     .size = sizeof(struct cell),
                                     CELL_REFERENCES,
                                     .name = "strong-only",
                                     .keep = died};

/* ---- the runtime of a test ---- */

int cells_setup(void **state)
{
    (void)state;
    runtime = cairn_runtime_create(NULL);
    if (!runtime) {
        return -1;
    }
    cairn_collector_disable(runtime);
    kept_count = 0;
    expected_kept = 0;
    journal();
    return 0;
}

void cells_expect_kept(size_t objects)
{
    expected_kept = objects;
}

int cells_teardown(void **state)
{
    (void)state;
    cairn_runtime_end end;
    size_t faults = cairn_runtime_check(runtime, stderr);
    int error = cairn_runtime_destroy_checked(runtime, stderr, &end);
    runtime = NULL;
    if (faults != 0 || error != 0 || end.kept_objects != expected_kept) {
        fprintf(stderr, "at the end of the test: %zu faults, error %d, %zu objects kept, %zu expected\n", faults, error,
                end.kept_objects, expected_kept);
        return -1;
    }
    return 0;
}

/* ---- cells ---- */

struct cell *cell_new(const cairn_type *type, int name)
{
    struct cell *cell = cell_of(cairn_object_new(runtime, type, 0));
    require(cell != NULL);
    cell->name = name;
    return cell;
}

void cell_set(struct cell *cell, int slot, struct cell *target)
{
    struct cell *old = cell->refs[slot];
    cairn_xincref(object_of(target));
    cell->refs[slot] = target;
    cairn_xdecref(object_of(old));
}

void cell_hand(struct cell *cell, int slot, struct cell *target)
{
    cell_set(cell, slot, target);
    cell_drop(target);
}

void cell_keep(struct cell *cell)
{
    cairn_incref(&cell->object);
}

void cell_drop(struct cell *cell)
{
    cairn_decref(&cell->object);
}

int64_t cell_count(const struct cell *cell)
{
    return cairn_count(&cell->object);
}

struct cell *cell_cycle(const cairn_type *type, int first, int count)
{
    struct cell *head = cell_new(type, first);
    struct cell *last = head;
    for (int i = 1; i < count; i++) {
        struct cell *next = cell_new(type, first < 0 ? first : first + i);
        cell_hand(last, 0, next);
        last = next;
    }
    cell_set(last, 0, head);
    return head;
}

/* ---- weak references ---- */

enum { WEAK_MOST = 64 };
static struct {
    cairn_weak *weak;
    int number;
} numbers[WEAK_MOST];
static size_t number_count;

static void called_back(cairn_weak *weak, cairn_object *context)
{
    (void)context;
    for (size_t i = WEAK_MOST; i-- > 0;) {
        if (numbers[(number_count + i) % WEAK_MOST].weak == weak) {
            journal_write('W', numbers[(number_count + i) % WEAK_MOST].number);
            return;
        }
    }
    fail_msg("a weak reference called back that nobody made");
}

cairn_weak *weak_to(struct cell *cell, int number)
{
    cairn_weak *weak = cairn_weak_new(&cell->object, number ? called_back : NULL, NULL);
    require(weak != NULL);
    numbers[number_count % WEAK_MOST].weak = weak;
    numbers[number_count++ % WEAK_MOST].number = number;
    return weak;
}

void weak_drop(cairn_weak *weak)
{
    cairn_decref(&weak->object);
}

bool weak_alive(cairn_weak *weak)
{
    cairn_object *referent = cairn_weak_get(weak);
    require((referent == NULL) == cairn_weak_is_dead(weak));
    cairn_xdecref(referent);
    return referent != NULL;
}

/* ---- what finalizers do ---- */

void keep_self(struct cell *self)
{
    require(kept_count < COUNT_OF(kept));
    cell_keep(self);
    kept[kept_count++] = self;
}

void keep_first(struct cell *self)
{
    if (self->refs[0]) {
        keep_self(self->refs[0]);
    }
}

void break_self(struct cell *self)
{
    cell_set(self, 0, NULL);
}

void kept_drop(void)
{
    struct cell *now[COUNT_OF(kept)];
    size_t count = kept_count;
    memcpy(now, kept, sizeof(now));
    kept_count = 0;
    while (count > 0) {
        cell_drop(now[--count]);
    }
}

ptrdiff_t gc_collect(int generation)
{
    return cairn_collect(runtime, generation);
}
