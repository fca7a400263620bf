/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* figures.c: the calls by which programs look at malloc and tune it: mallinfo, mallinfo2, malloc_info, malloc_stats,
 * malloc_trim, malloc_good_size, mallopt, malloc_get_state, malloc_set_state.
 *
 * mallinfo and mallinfo2 speak of what malloc served, the default heap: psutil.heap_info() reads uordblks (blocks
 * inside arenas) and hblkhd (blocks mapped on their own). malloc_info and malloc_stats show every heap of the process.
 * malloc_trim trims the default heap, and CPython's when it can (see python/domains.h).
 *
 * Figures are sampled through cairn_heap_stats() and may be off by what other threads do meanwhile. */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "heap/geometry.h"
#include "malloc/surface.h"
#include "os/os.h"
#include "python/domains.h"

/* What glibc's mallinfo2 calls things, for one heap. */
struct figures {
    size_t arena_bytes;  /* from the system, without huge blocks */
    size_t used_bytes;   /* live blocks in arenas */
    size_t free_bytes;   /* the rest of the arenas */
    size_t free_blocks;  /* blocks freed and ready for reuse */
    size_t ready_bytes;  /* bytes in these */
    size_t kept_bytes;   /* what a trim could give back */
    size_t mapped_bytes; /* live huge blocks */
    size_t mapped_blocks;
};

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static void figures_of(const cairn_stats *stats, struct figures *figures)
{
    *figures = (struct figures){0};
    for (size_t i = 0; i < stats->class_count; i++) {
        figures->free_blocks += stats->classes[i].blocks_free;
        figures->ready_bytes += stats->classes[i].blocks_free * stats->classes[i].block_size;
    }
    figures->mapped_bytes = stats->huge_bytes;
    figures->mapped_blocks = stats->huge_blocks;
    figures->used_bytes = less(stats->live_bytes, stats->huge_bytes);
    figures->arena_bytes = less(stats->reserved_bytes, stats->huge_bytes);
    if (figures->arena_bytes < figures->used_bytes) { /* sampled in between */
        figures->arena_bytes = figures->used_bytes;
    }
    figures->free_bytes = figures->arena_bytes - figures->used_bytes;
    figures->kept_bytes = less(less(stats->resident_bytes, stats->huge_bytes), figures->used_bytes);
}

CAIRN_API struct mallinfo2 mallinfo2(void)
{
    cairn_stats stats;
    struct figures figures;
    cairn_heap_stats(cairn_heap_default(), &stats);
    figures_of(&stats, &figures);
    return (struct mallinfo2){.arena = figures.arena_bytes,
                              .ordblks = figures.free_blocks,
                              .hblks = figures.mapped_blocks,
                              .hblkhd = figures.mapped_bytes,
                              .uordblks = figures.used_bytes,
                              .fordblks = figures.free_bytes,
                              .keepcost = figures.kept_bytes};
}

/* The old interface counts in int: what does not fit shows as the most it can say. */
static int clamp(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

CAIRN_API struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){.arena = clamp(wide.arena),
                             .ordblks = clamp(wide.ordblks),
                             .hblks = clamp(wide.hblks),
                             .hblkhd = clamp(wide.hblkhd),
                             .uordblks = clamp(wide.uordblks),
                             .fordblks = clamp(wide.fordblks),
                             .keepcost = clamp(wide.keepcost)};
}

/* ---- malloc_info ---- */

/* The document being written, and the sums over the heaps so far. */
struct document {
    FILE *out;
    unsigned heaps;
    struct figures total;
    size_t held_peak;
};

static void print_name(FILE *out, const char *name)
{
    for (; *name != '\0'; name++) {
        switch (*name) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)*name < ' ' ? '?' : *name, out);
        }
    }
}

/* The free blocks of each class, as glibc lists its bins. */
static void print_sizes(FILE *out, const cairn_stats *stats)
{
    size_t below = 0;
    fputs("<sizes>\n", out);
    for (size_t i = 0; i < stats->class_count; i++) {
        const cairn_class_stats *row = &stats->classes[i];
        if (row->blocks_free != 0) {
            fprintf(out, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n", below + 1, row->block_size,
                    row->blocks_free * row->block_size, row->blocks_free);
        }
        below = row->block_size;
    }
    fputs("</sizes>\n", out);
}

static void print_totals(FILE *out, const struct figures *figures, size_t peak)
{
    size_t rest = less(figures->free_bytes, figures->ready_bytes);
    size_t most = peak > figures->arena_bytes ? peak : figures->arena_bytes;
    fprintf(out,
            "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n"
            "<total type=\"rest\" count=\"%d\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n"
            "<aspace type=\"mprotect\" size=\"%zu\"/>\n",
            figures->free_blocks, figures->ready_bytes, rest != 0, rest, figures->mapped_blocks, figures->mapped_bytes,
            figures->arena_bytes, most, figures->arena_bytes, figures->arena_bytes);
}

static void add_figures(struct figures *total, const struct figures *figures)
{
    total->arena_bytes += figures->arena_bytes;
    total->used_bytes += figures->used_bytes;
    total->free_bytes += figures->free_bytes;
    total->free_blocks += figures->free_blocks;
    total->ready_bytes += figures->ready_bytes;
    total->mapped_bytes += figures->mapped_bytes;
    total->mapped_blocks += figures->mapped_blocks;
}

static bool print_heap(cairn_heap *heap, void *context)
{
    struct document *document = context;
    cairn_stats stats;
    struct figures figures;
    cairn_heap_stats(heap, &stats);
    figures_of(&stats, &figures);
    fprintf(document->out, "<heap nr=\"%u\" name=\"", document->heaps++);
    print_name(document->out, cairn_heap_name(heap));
    fputs("\">\n", document->out);
    print_sizes(document->out, &stats);
    print_totals(document->out, &figures, stats.held_peak);
    fputs("</heap>\n", document->out);
    add_figures(&document->total, &figures);
    document->held_peak += stats.held_peak;
    return true;
}

CAIRN_API int malloc_info(int options, FILE *out)
{
    if (options != 0) {
        return EINVAL;
    }
    struct document document = {.out = out};
    fputs("<malloc version=\"1\">\n", out);
    cairn_heaps_visit(print_heap, &document);
    print_totals(out, &document.total, document.held_peak);
    fputs("</malloc>\n", out);
    return 0;
}

/* ---- malloc_stats, malloc_trim ---- */

static bool print_stats(cairn_heap *heap, void *context)
{
    (void)context;
    (void)cairn_heap_print_stats(heap, stderr);
    return true;
}

CAIRN_API void malloc_stats(void)
{
    cairn_heaps_visit(print_stats, NULL);
}

CAIRN_API int malloc_trim(size_t pad)
{
    (void)pad; /* how much to leave at the top of a heap that grows upwards: there is none here */
    size_t given_back = cairn_trim(cairn_heap_default());
    given_back += python_trim();
    return given_back != 0;
}

/* ---- malloc_good_size, mallopt ---- */

static size_t round_up(size_t size, size_t unit)
{
    return size > SIZE_MAX - unit ? size : (size + unit - 1) / unit * unit;
}

CAIRN_API size_t malloc_good_size(size_t size)
{
    const cairn_heap *heap = cairn_heap_default();
    if (size < heap->pooled_end) {
        return heap->classes[class_of(heap, size)].block_size;
    }
    return size <= HOLE_MAX ? holes_chunk_size(size) - HOLE_OVERHEAD : round_up(size, os_page_size());
}

/* Bionic's requests to give memory back. */
enum { BIONIC_PURGE = -101, BIONIC_PURGE_ALL = -104 };

/* Parameters that steer when glibc maps and trims, and how many arenas it makes, are taken as the hints they are:
 * Cairn decides by its own rules. Parameters that would change what a program sees (M_PERTURB, M_CHECK_ACTION) are
 * refused. */
CAIRN_API int mallopt(int parameter, int value)
{
    switch (parameter) {
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    case M_MXFAST:
        return value >= 0 && (size_t)value <= 80 * sizeof(size_t) / 4; /* glibc's range */
    case BIONIC_PURGE:
    case BIONIC_PURGE_ALL:
        (void)malloc_trim(0);
        return 1;
    default:
        return 0;
    }
}

/* ---- glibc's former heap dumps ---- */

CAIRN_API void *malloc_get_state(void)
{
    errno = ENOSYS;
    return NULL;
}

CAIRN_API int malloc_set_state(void *saved)
{
    (void)saved;
    errno = ENOSYS;
    return -1;
}
