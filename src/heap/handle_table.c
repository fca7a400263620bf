/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* handle_table.c: see handle_table.h. The lowest leaf with a free entry serves, so that the table stays dense. */

#include "heap/handle_table.h"

#include "heap/meta.h"

#define VALUE_MASK ((UINT64_C(1) << CAIRN_HANDLE_ADDRESS_BITS) - 1)
#define RETIRED VALUE_MASK

static unsigned leaf_entries(void)
{
    return (unsigned)(os_page_size() / sizeof(table_entry));
}

/* ---- handles and entries ---- */

static table_entry *entry_of(cairn_handle handle)
{
    return (table_entry *)CAIRN_HANDLE_ADDRESS(handle);
}

/* Of a handle or an entry. */
static uint32_t generation_of(uint64_t number)
{
    return (uint32_t)(number >> CAIRN_HANDLE_ADDRESS_BITS);
}

static bool is_live(uint64_t number)
{
    return generation_of(number) % 2 == 1;
}

static uint16_t next_free(table_entry free_entry)
{
    return (uint16_t)(free_entry & VALUE_MASK);
}

static void set_entry(table_entry *entry, uint32_t generation, uint64_t value)
{
    __atomic_store_n(entry, (uint64_t)generation << CAIRN_HANDLE_ADDRESS_BITS | value, __ATOMIC_RELAXED);
}

/* ---- sets of leaves ---- */

static void set_add(struct leaf_set *set, unsigned leaf)
{
    set->word[leaf / 64] |= UINT64_C(1) << leaf % 64;
    set->words |= UINT64_C(1) << leaf / 64;
}

static void set_remove(struct leaf_set *set, unsigned leaf)
{
    set->word[leaf / 64] &= ~(UINT64_C(1) << leaf % 64);
    if (!set->word[leaf / 64]) {
        set->words &= ~(UINT64_C(1) << leaf / 64);
    }
}

static bool set_has(const struct leaf_set *set, unsigned leaf)
{
    return set->word[leaf / 64] >> leaf % 64 & 1;
}

static unsigned set_lowest(const struct leaf_set *set)
{
    unsigned word = (unsigned)__builtin_ctzll(set->words);
    return word * 64 + (unsigned)__builtin_ctzll(set->word[word]);
}

/* ---- chunks and leaves ---- */

static table_entry *leaf_base(const struct table_chunk *chunk, unsigned leaf)
{
    return chunk->entries + (size_t)leaf * leaf_entries();
}

static size_t chunk_bytes(const struct table_chunk *chunk)
{
    return chunk->leaves * os_page_size();
}

static struct table_chunk *chunk_new(struct meta *meta, struct handle_table *table)
{
    unsigned leaves = table->last ? table->last->leaves * 2 : TABLE_FIRST_LEAVES;
    leaves = leaves < TABLE_LEAVES_MAX ? leaves : TABLE_LEAVES_MAX;
    size_t bytes = leaves * os_page_size();
    table_entry *entries = os->reserve(bytes, os_page_size());
    if (!entries) {
        return NULL;
    }
    struct table_chunk *chunk = NULL;
    if (((uintptr_t)entries + bytes - 1) / sizeof *entries >> CAIRN_HANDLE_ADDRESS_BITS == 0) {
        chunk = meta_alloc(meta, sizeof *chunk + leaves * sizeof chunk->leaf[0]);
    }
    if (!chunk) {
        os->release(entries, bytes);
        return NULL;
    }
    chunk->entries = entries;
    chunk->leaves = leaves;
    for (unsigned leaf = 0; leaf < leaves; leaf++) {
        set_add(&chunk->closed, leaf);
    }
    *(table->last ? &table->last->next : &table->first) = chunk;
    table->last = chunk;
    return chunk;
}

static bool leaf_open(struct handle_table *table, struct table_chunk *chunk, unsigned index)
{
    table_entry *base = leaf_base(chunk, index);
    if (!os->commit(base, os_page_size())) {
        return false;
    }
    struct table_leaf *leaf = &chunk->leaf[index];
    unsigned count = leaf_entries();
    for (unsigned i = 0; i < count; i++) {
        set_entry(&base[i], leaf->floor, i + 1 < count ? i + 2 : 0);
    }
    leaf->free = 1;
    leaf->is_open = true;
    set_remove(&chunk->closed, index);
    set_add(&chunk->open, index);
    table->open_leaves++;
    return true;
}

/* The oldest chunk with a free entry in an open leaf; one is opened or made if need be. */
static struct table_chunk *chunk_with_room(struct meta *meta, struct handle_table *table)
{
    struct table_chunk *closed = NULL;
    for (struct table_chunk *chunk = table->first; chunk; chunk = chunk->next) {
        if (chunk->open.words) {
            return chunk;
        }
        closed = closed || !chunk->closed.words ? closed : chunk;
    }
    closed = closed ? closed : chunk_new(meta, table);
    return closed && leaf_open(table, closed, set_lowest(&closed->closed)) ? closed : NULL;
}

static struct table_chunk *chunk_of(const struct handle_table *table, const table_entry *e)
{
    for (struct table_chunk *chunk = table->first; chunk; chunk = chunk->next) {
        if ((uintptr_t)e - (uintptr_t)chunk->entries < chunk_bytes(chunk)) {
            return chunk;
        }
    }
    return NULL;
}

/* ---- entries ---- */

table_entry *table_take(struct meta *meta, struct handle_table *table)
{
    struct table_chunk *chunk = chunk_with_room(meta, table);
    if (!chunk) {
        return NULL;
    }
    unsigned index = set_lowest(&chunk->open);
    struct table_leaf *leaf = &chunk->leaf[index];
    table_entry *e = leaf_base(chunk, index) + (leaf->free - 1u);
    leaf->free = next_free(*e);
    leaf->live++;
    if (!leaf->free) {
        set_remove(&chunk->open, index);
    }
    set_entry(e, generation_of(*e) + 1, 0);
    return e;
}

void table_give(struct handle_table *table, table_entry *e)
{
    struct table_chunk *chunk = chunk_of(table, e);
    if (!chunk) {
        return; /* never: callers pass what table_take gave */
    }
    size_t at = (size_t)(e - chunk->entries);
    unsigned index = (unsigned)(at / leaf_entries());
    struct table_leaf *leaf = &chunk->leaf[index];
    uint32_t generation = generation_of(*e);
    leaf->live--;
    if (generation == GENERATION_LAST) {
        leaf->retired++;
        set_entry(e, 0, RETIRED);
        return;
    }
    set_entry(e, generation + 1, leaf->free);
    leaf->free = (uint16_t)(at % leaf_entries() + 1);
    set_add(&chunk->open, index);
}

table_entry *table_find(const struct handle_table *table, cairn_handle handle)
{
    table_entry *e = entry_of(handle);
    bool live = is_live(handle) && chunk_of(table, e) && entry_handle(e) == handle;
    return live ? e : NULL;
}

bool table_owns(const struct handle_table *table, cairn_handle handle)
{
    return is_live(handle) && chunk_of(table, entry_of(handle));
}

/* ---- closing leaves ---- */

void table_sweep_start(struct handle_table *table)
{
    table->sweep_chunk = table->first;
    table->sweep_leaf = 0;
}

static bool leaf_close(struct handle_table *table, struct table_chunk *chunk, unsigned index)
{
    struct table_leaf *leaf = &chunk->leaf[index];
    table_entry *base = leaf_base(chunk, index);
    uint32_t floor = 0;
    for (unsigned i = 0; i < leaf_entries(); i++) {
        uint32_t generation = generation_of(base[i]);
        floor = generation > floor ? generation : floor;
    }
    if (!os->purge(base, os_page_size())) {
        return false;
    }
    *leaf = (struct table_leaf){.floor = floor};
    set_remove(&chunk->open, index);
    set_add(&chunk->closed, index);
    table->open_leaves--;
    return true;
}

bool table_sweep(struct handle_table *table, size_t *work, bool *refused)
{
    struct table_chunk *chunk = table->sweep_chunk;
    if (!chunk) {
        return false;
    }
    const struct table_leaf *leaf = &chunk->leaf[table->sweep_leaf];
    *work += sizeof *leaf;
    if (leaf->is_open && !leaf->live && !leaf->retired) {
        *work += os_page_size();
        *refused |= !leaf_close(table, chunk, table->sweep_leaf);
    }
    if (++table->sweep_leaf == chunk->leaves) {
        table->sweep_chunk = chunk->next;
        table->sweep_leaf = 0;
    }
    return true;
}

/* ---- figures, check, end ---- */

size_t table_bytes(const struct handle_table *table)
{
    return table->open_leaves * os_page_size();
}

static const char *leaf_check(const struct table_chunk *chunk, unsigned index)
{
    const struct table_leaf *leaf = &chunk->leaf[index];
    if (set_has(&chunk->closed, index) == leaf->is_open ||
        set_has(&chunk->open, index) != (leaf->is_open && leaf->free)) {
        return "a leaf of the table of handles is in the wrong set";
    }
    if (!leaf->is_open) {
        return leaf->live || leaf->retired || leaf->free || leaf->floor % 2
                   ? "a closed leaf of the table of handles has entries in use"
                   : NULL;
    }
    const table_entry *base = leaf_base(chunk, index);
    unsigned live = 0;
    unsigned retired = 0;
    for (unsigned i = 0; i < leaf_entries(); i++) {
        retired += base[i] == RETIRED;
        live += is_live(base[i]);
    }
    unsigned free = 0;
    for (unsigned i = leaf->free; i; i = next_free(base[i - 1])) {
        if (i > leaf_entries() || is_live(base[i - 1]) || base[i - 1] == RETIRED || ++free > leaf_entries()) {
            return "a free list of the table of handles is damaged";
        }
    }
    return live == leaf->live && retired == leaf->retired && live + retired + free == leaf_entries()
               ? NULL
               : "the entries of a leaf of the table of handles do not add up";
}

const char *table_check(const struct handle_table *table, size_t *live)
{
    size_t open = 0;
    *live = 0;
    for (const struct table_chunk *chunk = table->first; chunk; chunk = chunk->next) {
        for (unsigned leaf = 0; leaf < chunk->leaves; leaf++) {
            const char *fault = leaf_check(chunk, leaf);
            if (fault) {
                return fault;
            }
            open += chunk->leaf[leaf].is_open;
            *live += chunk->leaf[leaf].live;
        }
    }
    return open == table->open_leaves ? NULL : "the open leaves of the table of handles do not add up";
}

size_t table_mapped_bytes(const struct handle_table *table)
{
    size_t bytes = 0;
    for (const struct table_chunk *chunk = table->first; chunk; chunk = chunk->next) {
        bytes += chunk_bytes(chunk);
    }
    return bytes;
}

void table_release(struct handle_table *table)
{
    for (struct table_chunk *chunk = table->first; chunk; chunk = chunk->next) {
        os->release(chunk->entries, chunk_bytes(chunk));
    }
}
