/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* leaks.c: see leaks.h. Call sites are shown as module and offset, with the symbol where the dynamic linker knows one;
 * those that hold most come first. */

#include "observe/leaks.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "heap/front.h"
#include "heap/handle.h"
#include "heap/supply.h"
#include "observe/call_sites.h"
#include "observe/print.h"
#include "os/os.h"

enum { SITES_IN_TEXT = 20, ROWS_IN_BRIEF = 3, BRIEF_FROM = 12 };

/* ---- counting ---- */

struct counting {
    struct leaks *leaks;
    size_t last; /* the row that was added to last */
    bool sites;
};

static void add_to_row(struct counting *counting, size_t block_size, size_t bytes)
{
    struct leaks *leaks = counting->leaks;
    size_t row = counting->last;
    if (row >= leaks->row_count || leaks->rows[row].block_size != block_size) {
        for (row = 0; row < leaks->row_count && leaks->rows[row].block_size != block_size; row++) {
        }
    }
    if (row == leaks->row_count) {
        leaks->rows[leaks->row_count++] = (struct leak_row){block_size, 0, 0};
    }
    leaks->rows[row].blocks++;
    leaks->rows[row].bytes += bytes;
    counting->last = row;
}

static bool is_block(const cairn_area *area)
{
    return area->kind == CAIRN_AREA_BLOCK || area->kind == CAIRN_AREA_LARGE || area->kind == CAIRN_AREA_HUGE ||
           area->kind == CAIRN_AREA_HANDLE_BLOCK;
}

static bool count_block(const cairn_area *area, void *context)
{
    struct counting *counting = context;
    struct leaks *leaks = counting->leaks;
    uint32_t site = SITE_UNKNOWN;
    size_t asked = area->size;
    if (!is_block(area)) {
        return true;
    }
    if (counting->sites && area->kind != CAIRN_AREA_HANDLE_BLOCK && !call_sites_find(area->address, &site, &asked)) {
        return true; /* freed by a thread that did not own it, and on its way */
    }
    if (site == SITE_EARLY) {
        leaks->early_blocks++;
        leaks->early_bytes += area->size;
        return true;
    }
    leaks->blocks++;
    leaks->bytes += area->size;
    leaks->asked += asked;
    if (counting->sites) {
        call_sites_at(site)->blocks++;
        call_sites_at(site)->bytes += asked;
    }
    add_to_row(counting, area->kind == CAIRN_AREA_BLOCK ? area->block_size : 0, area->size);
    return true;
}

static void sort_rows(struct leaks *leaks)
{
    for (size_t i = 1; i < leaks->row_count; i++) {
        struct leak_row row = leaks->rows[i];
        size_t at = i;
        for (; at > 0 && leaks->rows[at - 1].bytes < row.bytes; at--) {
            leaks->rows[at] = leaks->rows[at - 1];
        }
        leaks->rows[at] = row;
    }
}

void leaks_count(cairn_heap *heap, struct leaks *leaks)
{
    struct counting counting = {.leaks = leaks};
    memset(leaks, 0, sizeof *leaks);
    counting.sites = leaks->sites_known = heap->exact && call_sites_started();
    for (size_t i = 0; counting.sites && i < call_sites_count(); i++) {
        call_sites_at(i)->blocks = call_sites_at(i)->bytes = 0;
    }
    (void)cairn_heap_walk(heap, true, count_block, &counting);
    sort_rows(leaks);
}

/* ---- the order of call sites ---- */

/* The sites that hold blocks, those that hold most first, in memory of the OS layer. */
struct site_list {
    struct call_site **site;
    size_t count;
    size_t mapped;
};

/* Does `site` come behind `other`? */
static bool is_behind(const struct call_site *site, const struct call_site *other)
{
    return site->bytes != other->bytes ? site->bytes < other->bytes : site > other;
}

/* Sinks site[at] in the heap of site[0 .. count - 1], in which none comes behind those below it. */
static void sink(struct call_site **site, size_t at, size_t count)
{
    struct call_site *moving = site[at];
    for (size_t below = 2 * at + 1; below < count; below = 2 * at + 1) {
        below += below + 1 < count && is_behind(site[below + 1], site[below]);
        if (!is_behind(site[below], moving)) {
            break;
        }
        site[at] = site[below];
        at = below;
    }
    site[at] = moving;
}

/* Heapsort: libc's qsort may allocate. */
static void sort_sites(struct call_site **site, size_t count)
{
    for (size_t at = count / 2; at > 0; at--) {
        sink(site, at - 1, count);
    }
    for (size_t left = count; left > 1; left--) {
        struct call_site *last = site[0]; /* the hindmost of all that are left */
        site[0] = site[left - 1];
        site[left - 1] = last;
        sink(site, 0, left - 1);
    }
}

static bool list_sites(struct site_list *list)
{
    size_t all = call_sites_count(), page = os_page_size();
    list->count = 0;
    list->mapped = (all * sizeof *list->site + page - 1) / page * page;
    list->site = os->reserve(list->mapped, page);
    if (!list->site || !os->commit(list->site, list->mapped)) {
        return false;
    }
    for (size_t i = SITE_UNKNOWN; i < all; i++) {
        if (call_sites_at(i)->blocks) {
            list->site[list->count++] = call_sites_at(i);
        }
    }
    sort_sites(list->site, list->count);
    return true;
}

static void free_sites(const struct site_list *list)
{
    if (list->site) {
        (void)os->release(list->site, list->mapped);
    }
}

/* ---- text ---- */

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void put_name(FILE *out, const char *name)
{
    for (; *name != '\0'; name++) {
        fputc((unsigned char)*name < ' ' || *name == 127 ? '?' : *name, out);
    }
}

/* A return address lies behind the call, perhaps in the next function. */
static const char *caller(const void *frame)
{
    return (const char *)frame - 1;
}

static void print_frame_text(FILE *out, const void *frame)
{
    Dl_info info;
    if (!dladdr(caller(frame), &info) || !info.dli_fname) {
        fprintf(out, "      %p\n", frame);
        return;
    }
    size_t offset = (size_t)(caller(frame) - (const char *)info.dli_fbase);
    if (info.dli_sname) {
        fprintf(out, "      %s ", info.dli_sname);
    } else {
        fputs("      ", out);
    }
    fprintf(out, "(%s+0x%zx)\n", info.dli_fname, offset);
}

static void print_site_text(FILE *out, const struct call_site *site)
{
    fprintf(out, "    %zu block%s, %zu bytes asked for, from\n", site->blocks, plural(site->blocks), site->bytes);
    for (unsigned f = 0; f < call_sites_frames() && site->frames[f]; f++) {
        print_frame_text(out, site->frames[f]);
    }
    if (!site->frames[0]) {
        fputs("      (unknown)\n", out);
    }
}

static void print_sites_text(FILE *out)
{
    struct site_list list;
    size_t more = 0;
    if (!list_sites(&list)) {
        fputs("    (no memory for the list of call sites)\n", out);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (i < SITES_IN_TEXT) {
            print_site_text(out, list.site[i]);
        } else {
            more += list.site[i]->blocks;
        }
    }
    if (more) {
        fprintf(out, "    %zu more block%s from elsewhere (all are in the JSON report)\n", more, plural(more));
    }
    free_sites(&list);
}

static void print_rows_text(FILE *out, const struct leaks *leaks, size_t most)
{
    for (size_t i = 0; i < leaks->row_count && i < most; i++) {
        const struct leak_row *row = &leaks->rows[i];
        if (row->block_size) {
            fprintf(out, "    class of %zu bytes: %zu block%s, %zu bytes\n", row->block_size, row->blocks,
                    plural(row->blocks), row->bytes);
        } else {
            fprintf(out, "    outside the pools: %zu block%s, %zu bytes\n", row->blocks, plural(row->blocks),
                    row->bytes);
        }
    }
    if (leaks->row_count > most) {
        fprintf(out, "    and in %zu other classes\n", leaks->row_count - most);
    }
}

static int finish(FILE *out)
{
    errno = 0;
    if (fflush(out) == 0 && !ferror(out)) {
        return 0;
    }
    return errno ? errno : EIO;
}

int leaks_print_text(cairn_heap *heap, const struct leaks *leaks, bool sites, FILE *out)
{
    bool with_sites = sites && leaks->sites_known;
    fputs("  heap \"", out);
    put_name(out, heap->name);
    fprintf(out, "\": %zu live block%s, %zu bytes", leaks->blocks, plural(leaks->blocks), leaks->bytes);
    fprintf(out, leaks->sites_known ? " (%zu asked for)\n" : "\n", leaks->asked);
    print_rows_text(out, leaks, with_sites || leaks->row_count <= BRIEF_FROM ? SIZE_MAX : ROWS_IN_BRIEF);
    if (with_sites) {
        print_sites_text(out);
    }
    if (leaks->early_blocks) {
        fprintf(out,
                "    not counted: %zu block%s, %zu bytes, from before the program began or of the dynamic linker\n",
                leaks->early_blocks, plural(leaks->early_blocks), leaks->early_bytes);
    }
    return finish(out);
}

/* ---- JSON ---- */

static void print_frame_json(FILE *out, const void *frame)
{
    Dl_info info;
    if (!dladdr(caller(frame), &info) || !info.dli_fname) {
        fprintf(out, "{\"module\": null, \"offset\": %zu, \"symbol\": null}", (size_t)(uintptr_t)frame);
        return;
    }
    fputs("{\"module\": ", out);
    print_json_string(out, info.dli_fname);
    fprintf(out, ", \"offset\": %zu, \"symbol\": ", (size_t)(caller(frame) - (const char *)info.dli_fbase));
    if (info.dli_sname) {
        print_json_string(out, info.dli_sname);
    } else {
        fputs("null", out);
    }
    fputc('}', out);
}

static void print_site_json(FILE *out, const struct call_site *site)
{
    fprintf(out, "{\"blocks\": %zu, \"asked\": %zu, \"frames\": [", site->blocks, site->bytes);
    for (unsigned f = 0; f < call_sites_frames() && site->frames[f]; f++) {
        fputs(f ? ", " : "", out);
        print_frame_json(out, site->frames[f]);
    }
    fputs("]}", out);
}

/* An array, or null if there is no memory to sort it. */
static void print_sites_json(FILE *out)
{
    struct site_list list;
    bool listed = list_sites(&list);
    fputs(listed ? "[" : "null", out);
    for (size_t i = 0; i < list.count; i++) {
        fputs(i ? ", " : "", out);
        print_site_json(out, list.site[i]);
    }
    fputs(listed ? "]" : "", out);
    free_sites(&list);
}

int leaks_print_json(cairn_heap *heap, const struct leaks *leaks, bool sites, FILE *out)
{
    fputs("{\"name\": ", out);
    print_json_string(out, heap->name);
    fprintf(out, ", \"blocks\": %zu, \"bytes\": %zu, \"asked\": ", leaks->blocks, leaks->bytes);
    if (leaks->sites_known) {
        fprintf(out, "%zu", leaks->asked);
    } else {
        fputs("null", out);
    }
    fprintf(out, ", \"early_blocks\": %zu, \"early_bytes\": %zu, \"classes\": [", leaks->early_blocks,
            leaks->early_bytes);
    for (size_t i = 0; i < leaks->row_count; i++) {
        const struct leak_row *row = &leaks->rows[i];
        fprintf(out, "%s{\"size\": ", i ? ", " : "");
        fprintf(out, row->block_size ? "%zu" : "null", row->block_size);
        fprintf(out, ", \"blocks\": %zu, \"bytes\": %zu}", row->blocks, row->bytes);
    }
    fputs("], \"sites\": ", out);
    if (sites && leaks->sites_known) {
        print_sites_json(out);
        fputc('}', out);
    } else {
        fputs("null}", out);
    }
    return finish(out);
}

/* ---- pages ---- */

static bool add_segment(const struct hole_area *area, void *context)
{
    if (area->kind == HOLE_AREA_SEGMENT && !area->given) {
        *(size_t *)context += area->size;
    }
    return true;
}

/* What lies in a region if the heap has one. */
static size_t sourced(cairn_heap *heap)
{
    size_t bytes = 0;
    (void)holes_visit(&heap->holes, add_segment, &bytes);
    for (const struct arena *arena = heap->arenas; arena; arena = arena->all_next) {
        bytes += arena->space->arena_size;
    }
    for (const struct meta_chunk *chunk = heap->meta.chunks; chunk; chunk = chunk->next) {
        bytes += chunk->size;
    }
    return bytes;
}

size_t leaks_mapped(cairn_heap *heap)
{
    os_lock_take(&heap->lock);
    size_t bytes = heap->meta.region ? 0 : sourced(heap);
    bytes += heap->huge_bytes + heap->huge_cached_bytes + supply_last_bytes(heap->supply);
    if (heap->handles) {
        bytes += heap->handles->cells.held_bytes + table_mapped_bytes(&heap->handles->table);
    }
    os_lock_give(&heap->lock);
    return bytes;
}

size_t leaks_system_bytes(void)
{
    struct os_counts counts;
    os_counts(&counts);
    return counts.reserved_bytes - counts.released_bytes;
}

/* ---- the public calls ---- */

int cairn_heap_print_leaks(cairn_heap *heap, FILE *out)
{
    struct leaks leaks;
    leaks_count(heap, &leaks);
    return leaks_print_text(heap, &leaks, true, out);
}

int cairn_heap_print_leaks_json(cairn_heap *heap, FILE *out)
{
    struct leaks leaks;
    leaks_count(heap, &leaks);
    int error = leaks_print_json(heap, &leaks, true, out);
    fputc('\n', out);
    return error ? error : finish(out);
}

int cairn_heap_destroy_checked(cairn_heap *heap, FILE *out, cairn_teardown *teardown)
{
    if (!heap || heap->is_default) {
        return EINVAL;
    }
    struct leaks leaks;
    leaks_count(heap, &leaks);
    int error = out && leaks.blocks ? leaks_print_text(heap, &leaks, true, out) : 0;
    cairn_teardown result = {.live_blocks = leaks.blocks, .live_bytes = leaks.bytes};
    result.mapped_bytes = leaks_mapped(heap);
    size_t before = leaks_system_bytes();
    cairn_heap_destroy(heap);
    result.returned_bytes = before - leaks_system_bytes();
    if (teardown) {
        *teardown = result;
    }
    return error ? error : result.returned_bytes == result.mapped_bytes ? 0 : EBUSY;
}
