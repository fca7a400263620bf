/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_table.c: see snapshot_table.h. */

#include "python/snapshot_table.h"

#include "os/os.h"

enum { HUGE_PAGE = 2 << 20, LINE = 64 };

static const size_t leaf_bytes = (size_t)1 << TABLE_LEAF_SHIFT;
static const size_t branch_bytes = sizeof(uint32_t) << TABLE_BRANCH_SHIFT;
static const size_t root_bytes = sizeof(uint32_t) << TABLE_ROOT_SHIFT;

_Static_assert((sizeof(uint32_t) << TABLE_BRANCH_SHIFT) <= ((size_t)1 << TABLE_LEAF_SHIFT),
               "the leaf without objects is the branch without leaves");

bool snapshot_table_make(struct snapshot_table *table, size_t limit)
{
    size_t size = limit & ~(size_t)(HUGE_PAGE - 1);
    unsigned char *store = size > 0 ? os->reserve(size, HUGE_PAGE) : NULL;
    if (store == NULL) {
        return false;
    }
    os->advise_huge(store, size, true);
    *table = (struct snapshot_table){.store = store, .leaves_end = leaf_bytes, .others_start = size, .size = size};
    table->root = snapshot_table_take(table, root_bytes);
    return table->root != NULL;
}

void snapshot_table_end(struct snapshot_table *table)
{
    (void)os->release(table->store, table->size);
}

static void *take_aligned(struct snapshot_table *table, size_t size, size_t alignment)
{
    if (size > table->others_start) {
        return NULL;
    }
    size_t start = (table->others_start - size) & ~(alignment - 1);
    if (start < table->leaves_end) {
        return NULL;
    }
    table->others_start = start;
    return table->store + start;
}

void *snapshot_table_take(struct snapshot_table *table, size_t size)
{
    return take_aligned(table, size, LINE);
}

size_t snapshot_table_free_bytes(const struct snapshot_table *table)
{
    return (table->others_start - table->leaves_end) & ~(size_t)(LINE - 1);
}

size_t snapshot_table_bytes(const struct snapshot_table *table)
{
    return table->size - (table->others_start - table->leaves_end);
}

static uint32_t *branch_at(const struct snapshot_table *table, uint32_t number)
{
    return (uint32_t *)(table->store + (size_t)number * branch_bytes);
}

static bool add_branch(struct snapshot_table *table, size_t at)
{
    unsigned char *branch = take_aligned(table, branch_bytes, branch_bytes);
    if (branch == NULL) {
        return false;
    }
    table->root[at] = (uint32_t)((size_t)(branch - table->store) / branch_bytes);
    return true;
}

static bool add_leaf(struct snapshot_table *table, uint32_t *number)
{
    if (table->others_start - table->leaves_end < leaf_bytes) {
        return false;
    }
    *number = (uint32_t)(table->leaves_end / leaf_bytes);
    table->leaves_end += leaf_bytes;
    return true;
}

unsigned char *snapshot_table_make_byte(struct snapshot_table *table, uintptr_t address)
{
    size_t top = address >> TABLE_BRANCH_SPAN;
    if (top >> TABLE_ROOT_SHIFT != 0 || (table->root[top] == 0 && !add_branch(table, top))) {
        return NULL;
    }
    uint32_t *leaf = branch_at(table, table->root[top]) +
                     ((address >> TABLE_LEAF_SPAN) & ((1u << TABLE_BRANCH_SHIFT) - 1));
    if (*leaf == 0 && !add_leaf(table, leaf)) {
        return NULL;
    }
    return snapshot_table_byte(table, address);
}

static void sweep_branch(const struct snapshot_table *table, size_t top,
                         void (*leaf)(void *context, uintptr_t address, const unsigned char *bytes), void *context)
{
    const uint32_t *numbers = branch_at(table, table->root[top]);
    for (size_t i = 0; i < (size_t)1 << TABLE_BRANCH_SHIFT; i++) {
        if (numbers[i] != 0) {
            leaf(context, ((uintptr_t)top << TABLE_BRANCH_SPAN) | (i << TABLE_LEAF_SPAN),
                 table->store + (size_t)numbers[i] * leaf_bytes);
        }
    }
}

void snapshot_table_sweep(const struct snapshot_table *table,
                          void (*leaf)(void *context, uintptr_t address, const unsigned char *bytes), void *context)
{
    for (size_t top = 0; top < (size_t)1 << TABLE_ROOT_SHIFT; top++) {
        if (table->root[top] != 0) {
            sweep_branch(table, top, leaf, context);
        }
    }
}
