/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* python_calls.c: what cairn_python.h offers. No state, no locks. */

#include <errno.h>

#include "cairn_python.h"
#include "heap/types.h"
#include "malloc/process.h"
#include "python/domains.h"
#include "python/snapshot.h"

CAIRN_API int cairn_python_interface(void)
{
    return CAIRN_PYTHON_INTERFACE;
}

CAIRN_API unsigned cairn_python_domains(void)
{
    return python_domains();
}

/* ---- the collector ---- */

CAIRN_API cairn_gc_mode cairn_python_gc_mode(void)
{
    return snapshot_is_on() ? CAIRN_GC_SNAPSHOT : CAIRN_GC_STOCK;
}

CAIRN_API int cairn_python_gc_set_mode(cairn_gc_mode mode, const char **why)
{
    const char *reason = "there is no such mode";
    int error = EINVAL;
    if (mode == CAIRN_GC_STOCK || mode == CAIRN_GC_SNAPSHOT) {
        error = snapshot_switch(mode == CAIRN_GC_SNAPSHOT, &reason) ? 0 : ENOTSUP;
    }
    if (error != 0 && why != NULL) {
        *why = reason;
    }
    return error;
}

CAIRN_API const char *cairn_python_gc_obstacle(void)
{
    return snapshot_obstacle();
}

CAIRN_API ptrdiff_t cairn_python_gc_collect(void)
{
    return snapshot_collect();
}

/* ---- memory and statistics ---- */

CAIRN_API size_t cairn_python_trim(void)
{
    size_t bytes = cairn_trim(cairn_heap_default());
    return bytes + python_trim();
}

CAIRN_API int cairn_python_stats_json(FILE *out)
{
    return out != NULL ? report_write_json(out) : EINVAL;
}

CAIRN_API int cairn_python_stats_text(FILE *out)
{
    return out != NULL ? report_write_text(out) : EINVAL;
}

/* ---- check ---- */

struct check {
    FILE *out;
    bool alone; /* the process has one thread */
    size_t faults, skipped;
};

/* Can no other thread be inside the heap while this one holds the GIL? */
static bool is_quiet(const struct check *check, const cairn_heap *heap)
{
    return check->alone || (heap == python_heap() && heap->single);
}

static bool check_heap(cairn_heap *heap, void *context)
{
    struct check *check = context;
    if (is_quiet(check, heap)) {
        check->faults += cairn_heap_check(heap, check->out);
    } else {
        check->skipped++;
    }
    return true;
}

CAIRN_API int cairn_python_check(char *text, size_t size, size_t *faults, size_t *skipped)
{
    char buffer[1024]; /* the stream's, which must not allocate while a heap is looked at */
    if (text == NULL || size == 0 || faults == NULL || skipped == NULL) {
        return EINVAL;
    }
    text[0] = '\0';
    FILE *out = fmemopen(text, size, "w");
    if (out == NULL) {
        return errno;
    }
    setvbuf(out, buffer, _IOFBF, sizeof buffer);
    struct check check = {.out = out, .alone = process_threads() == 1};
    cairn_heaps_visit(check_heap, &check);
    (void)fclose(out); /* a text that is cut is no error */
    text[size - 1] = '\0';
    *faults = check.faults;
    *skipped = check.skipped;
    return 0;
}
