/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* call_sites.c: see call_sites.h. Two hash tables with linear probing: blocks by address, sites by their frames. At most
 * three quarters of the places of each are taken; a removal moves what follows back, so there are no tombstones. */

#include "observe/call_sites.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "heap/thread.h"
#include "heap/watch.h"
#include "os/os.h"

enum { FIRST_BLOCKS = 4096, FIRST_SITES = 1024, OWN_FRAMES_MAX = 12 };

struct entry {
    uintptr_t block; /* 0: free */
    size_t asked;
    uint32_t site;
};

static struct {
    os_lock lock;
    bool started;
    struct entry *entries;
    size_t capacity, count; /* of entries */
    unsigned frames;        /* kept of a chain */
    size_t site_bytes;      /* of a struct call_site with so many */
    char *sites;            /* site_capacity of them */
    uint32_t *index;        /* of sites by hash; 0: free */
    size_t site_capacity, site_count;
    size_t bytes;
    uintptr_t own_start, own_end;       /* Cairn's code if it is a library of its own */
    uintptr_t linker_start, linker_end; /* the dynamic linker's */
} table = {.lock = OS_LOCK_INIT};

static _Thread_local bool inside TLS_MODEL;

/* ---- memory ---- */

static size_t pages_of(size_t bytes)
{
    size_t page = os_page_size();
    return (bytes + page - 1) / page * page;
}

static void *map(size_t bytes)
{
    size_t size = pages_of(bytes);
    void *memory = os->reserve(size, os_page_size());
    if (memory && !os->commit(memory, size)) {
        os->release(memory, size);
        return NULL;
    }
    table.bytes += memory ? size : 0;
    return memory;
}

static void unmap(void *memory, size_t bytes)
{
    if (memory && os->release(memory, pages_of(bytes))) {
        table.bytes -= pages_of(bytes);
    }
}

/* ---- blocks ---- */

static size_t mix(uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(key ^ key >> 32);
}

/* The place of a block, or the free one where it belongs. */
static struct entry *place_of(uintptr_t block)
{
    size_t i = mix(block) & (table.capacity - 1);
    while (table.entries[i].block && table.entries[i].block != block) {
        i = (i + 1) & (table.capacity - 1);
    }
    return &table.entries[i];
}

static bool make_place(void)
{
    if (table.entries && table.count + 1 <= table.capacity / 4 * 3) {
        return true;
    }
    size_t old_capacity = table.capacity;
    struct entry *old = table.entries;
    size_t capacity = old ? old_capacity * 2 : FIRST_BLOCKS;
    struct entry *entries = map(capacity * sizeof *entries);
    if (!entries) {
        return false;
    }
    table.entries = entries;
    table.capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].block) {
            *place_of(old[i].block) = old[i];
        }
    }
    unmap(old, old_capacity * sizeof *old);
    return true;
}

static void put(const void *block, size_t asked, uint32_t site)
{
    if (make_place()) {
        struct entry *entry = place_of((uintptr_t)block);
        table.count += entry->block == 0;
        *entry = (struct entry){(uintptr_t)block, asked, site};
    }
}

/* Empties a place and moves back whatever was pushed beyond its own. */
static void take(struct entry *entry)
{
    size_t mask = table.capacity - 1;
    size_t hole = (size_t)(entry - table.entries);
    for (size_t i = (hole + 1) & mask; table.entries[i].block; i = (i + 1) & mask) {
        size_t home = mix(table.entries[i].block) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table.entries[hole] = table.entries[i];
            hole = i;
        }
    }
    table.entries[hole].block = 0;
    table.count--;
}

/* ---- sites ---- */

static struct call_site *site_at(size_t index)
{
    return (struct call_site *)(void *)(table.sites + index * table.site_bytes);
}

static size_t hash_frames(void *const *frames)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < table.frames && frames[i]; i++) {
        hash = (uint64_t)mix(hash ^ (uintptr_t)frames[i]) + i;
    }
    return (size_t)hash;
}

static uint32_t *index_place(uint32_t *index, size_t capacity, void *const *frames)
{
    size_t i = hash_frames(frames) & (capacity - 1);
    while (index[i] && memcmp(site_at(index[i])->frames, frames, table.frames * sizeof *frames) != 0) {
        i = (i + 1) & (capacity - 1);
    }
    return &index[i];
}

static bool make_site_place(void)
{
    if (table.sites && table.site_count + 1 <= table.site_capacity / 4 * 3) {
        return true;
    }
    size_t capacity = table.sites ? table.site_capacity * 2 : FIRST_SITES;
    char *sites = map(capacity * table.site_bytes);
    uint32_t *index = sites ? map(capacity * sizeof *index) : NULL;
    if (!index) {
        unmap(sites, capacity * table.site_bytes);
        return false;
    }
    if (table.sites) {
        memcpy(sites, table.sites, table.site_count * table.site_bytes);
        unmap(table.sites, table.site_capacity * table.site_bytes);
        unmap(table.index, table.site_capacity * sizeof *index);
    } else {
        table.site_count = SITE_FIRST;
    }
    table.sites = sites;
    table.index = index;
    table.site_capacity = capacity;
    for (uint32_t i = SITE_FIRST; i < table.site_count; i++) {
        *index_place(index, capacity, site_at(i)->frames) = i;
    }
    return true;
}

static uint32_t site_of(void *const *frames)
{
    if (!frames[0] || !make_site_place()) {
        return SITE_UNKNOWN;
    }
    uint32_t *place = index_place(table.index, table.site_capacity, frames);
    if (!*place) {
        *place = (uint32_t)table.site_count++;
        memcpy(site_at(*place)->frames, frames, table.frames * sizeof *frames);
    }
    return *place;
}

/* ---- frames ---- */

static bool is_own(const void *address)
{
    return (uintptr_t)address - table.own_start < table.own_end - table.own_start;
}

/* The callers of Cairn, innermost first, and NULL behind the last. */
static void find_frames(void *frames[SITE_FRAMES_MAX])
{
    void *found[SITE_FRAMES_MAX + OWN_FRAMES_MAX];
    int wanted = (int)table.frames;
    int count = backtrace(found, wanted + OWN_FRAMES_MAX);
    int first = 0;
    while (first < count && is_own(found[first])) {
        first++;
    }
    for (int i = 0; i < wanted; i++) {
        frames[i] = first + i < count ? found[first + i] : NULL;
    }
}

/* Is the request one of the dynamic linker's, which keeps records of what it loaded? */
static bool is_linkers(const void *frame)
{
    return (uintptr_t)frame - table.linker_start < table.linker_end - table.linker_start;
}

static int note_linker(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (info->dlpi_addr == 0 || info->dlpi_addr != getauxval(AT_BASE)) {
        return 0;
    }
    table.linker_start = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > table.linker_end) {
            table.linker_end = end;
        }
    }
    return 1;
}

static int note_own_code(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    uintptr_t here = (uintptr_t)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && here - start < info->dlpi_phdr[i].p_memsz) {
            bool library = info->dlpi_name && info->dlpi_name[0] != '\0'; /* the program itself has no name */
            table.own_start = library ? start : 0;
            table.own_end = library ? start + info->dlpi_phdr[i].p_memsz : 0;
            return 1;
        }
    }
    return 0;
}

/* ---- the watcher ---- */

static void given(const void *block, size_t asked)
{
    void *frames[SITE_FRAMES_MAX];
    int saved = errno;
    frames[0] = NULL;
    if (!inside) { /* the unwinder may allocate */
        inside = true;
        find_frames(frames);
        inside = false;
    }
    os_lock_take(&table.lock);
    put(block, asked, is_linkers(frames[0]) ? SITE_EARLY : site_of(frames));
    os_lock_give(&table.lock);
    errno = saved;
}

static void resized(const void *old, const void *block, size_t asked)
{
    os_lock_take(&table.lock);
    struct entry *entry = table.entries ? place_of((uintptr_t)old) : NULL;
    if (entry && entry->block) {
        uint32_t site = entry->site;
        take(entry);
        put(block, asked, site);
    }
    os_lock_give(&table.lock);
}

static void freed(const void *block)
{
    os_lock_take(&table.lock);
    struct entry *entry = table.entries ? place_of((uintptr_t)block) : NULL;
    if (entry && entry->block) {
        take(entry);
    }
    os_lock_give(&table.lock);
}

static void lock_table(void)
{
    os_lock_take(&table.lock);
}

static void unlock_table(void)
{
    os_lock_give(&table.lock);
}

static const struct heap_watch watch = {given, resized, freed, lock_table, unlock_table};

static bool note_early(const cairn_area *area, void *context)
{
    (void)context;
    if (area->kind == CAIRN_AREA_BLOCK || area->kind == CAIRN_AREA_LARGE || area->kind == CAIRN_AREA_HUGE) {
        put(area->address, 0, SITE_EARLY);
    }
    return true;
}

bool call_sites_start(unsigned kept)
{
    if (table.started) {
        return true;
    }
    void *frames[SITE_FRAMES_MAX];
    table.frames = kept;
    table.site_bytes = sizeof(struct call_site) + kept * sizeof(void *);
    (void)dl_iterate_phdr(note_own_code, (void *)(uintptr_t)&call_sites_start);
    (void)dl_iterate_phdr(note_linker, NULL);
    find_frames(frames); /* loads the unwinder */
    if (!make_place() || !make_site_place()) {
        return false;
    }
    (void)cairn_heap_walk(cairn_heap_default(), true, note_early, NULL);
    table.started = true;
    atomic_store_explicit(&heap_watch, &watch, memory_order_release);
    return true;
}

bool call_sites_started(void)
{
    return table.started;
}

bool call_sites_find(const void *block, uint32_t *site, size_t *asked)
{
    os_lock_take(&table.lock);
    const struct entry *entry = table.entries ? place_of((uintptr_t)block) : NULL;
    bool found = entry && entry->block;
    if (found) {
        *site = entry->site;
        *asked = entry->asked;
    }
    os_lock_give(&table.lock);
    return found;
}

size_t call_sites_count(void)
{
    return table.site_count;
}

struct call_site *call_sites_at(size_t index)
{
    return site_at(index);
}

unsigned call_sites_frames(void)
{
    return table.frames;
}

size_t call_sites_bytes(void)
{
    return table.bytes;
}
