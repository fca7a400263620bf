/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* gc_report.c: see gc_report.h. Allocates nothing, and only integers pass through printf. The figures of snapshots
 * are a table; the _Static_assert below it fails when snapshot.h gains a figure that it lacks. */

#include "python/gc_report.h"

#include <inttypes.h>
#include <string.h>

#include "cairn.h"
#include "observe/print.h"
#include "python/cpython.h"
#include "python/domains.h"
#include "python/pauses.h"
#include "python/snapshot.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "3.11.2" of what Py_GetVersion says. */
static int version_length(const char *version)
{
    return (int)strcspn(version, " ");
}

/* ---- text ---- */

struct text {
    char s[32];
};

/* A duration in the largest unit that leaves a whole part: "812 ns", "1.2 ms", "3.4 s". */
static struct text duration(uint64_t ns)
{
    static const char *const units[] = {"us", "ms", "s"};
    struct text text;
    uint64_t unit = 1000;
    size_t i = 0;
    if (ns < unit) {
        (void)snprintf(text.s, sizeof text.s, "%" PRIu64 " ns", ns);
        return text;
    }
    /* The last tenth before 1000 rounds up to the next unit. */
    while (i + 1 < COUNT_OF(units) && ns + unit / 20 >= unit * 1000) {
        unit *= 1000;
        i++;
    }
    uint64_t tenths = (ns + unit / 20) / (unit / 10);
    (void)snprintf(text.s, sizeof text.s, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[i]);
    return text;
}

static void put_stops(FILE *out)
{
    fprintf(out, "\n  %-10s %12s %12s %12s %12s %14s %14s\n", "Stops", "count", "in all", "longest", "99.9% within",
            "objects found", "freed");
    for (enum pause_cause cause = 0; cause < PAUSE_CAUSES; cause++) {
        struct pause_figures figures;
        pauses_figures(cause, &figures);
        if (figures.count != 0 || cause <= PAUSE_FULL) {
            fprintf(out, "  %-10s %12" PRIu64 " %12s %12s %12s %14" PRIu64 " %14" PRIu64 "\n", pauses_name(cause),
                    figures.count, duration(figures.total_ns).s, duration(figures.longest_ns).s,
                    duration(figures.p999_ns).s, figures.found, figures.freed);
        }
    }
}

static void put_figure(FILE *out, const char *label, uint64_t figure, const char *remark)
{
    fprintf(out, "  %-15s %18" PRIu64 "   %s\n", label, figure, remark);
}

static void put_snapshots(FILE *out, const struct snapshot_figures *figures)
{
    uint64_t abandoned = figures->abandoned_copying + figures->abandoned_program + figures->abandoned_failed;
    fprintf(out, "\n  Snapshots: %" PRIu64 " begun, %" PRIu64 " finished, %" PRIu64 " abandoned", figures->snapshots,
            figures->finished, abandoned);
    if (abandoned != 0) {
        fprintf(out, " (%" PRIu64 " for copied pages, %" PRIu64 " for what the program did, %" PRIu64 " failed)",
                figures->abandoned_copying, figures->abandoned_program, figures->abandoned_failed);
    }
    fputc('\n', out);
    put_figure(out, "candidates", figures->candidates, "objects that snapshots found unreachable");
    put_figure(out, "freed before", figures->stale, "of these: by the program itself");
    put_figure(out, "collected", figures->collected, "objects freed in batches");
    put_figure(out, "floating", figures->floating_most, "objects that waited for a snapshot, at most");
    put_figure(out, "pages copied", figures->pages_copied_most, "while one snapshot lasted, at most");
    put_figure(out, "table bytes", figures->table_bytes_most, "of one analysis, at most");
    fprintf(out, "  %-15s %18s   %s\n", "analysis", duration(figures->analysis_ns_longest).s,
            "the longest, beside the program");
}

static void put_mode(FILE *out)
{
    const char *obstacle = snapshot_obstacle();
    if (obstacle[0] != '\0') {
        fprintf(out, "full collections by CPython, as snapshots are not possible: %s", obstacle);
    } else {
        fprintf(out, "full collections %s", snapshot_is_on() ? "from snapshots" : "by CPython");
    }
}

void gc_report_text(FILE *out)
{
    struct snapshot_figures figures;
    if (python_domains() == 0) {
        return;
    }
    const char *version = Py_GetVersion();
    fprintf(out, "\nPython %.*s: ", version_length(version), version);
    put_mode(out);
    fputc('\n', out);
    if (pauses_some()) {
        put_stops(out);
    }
    snapshot_figures(&figures);
    if (figures.snapshots != 0) {
        put_snapshots(out, &figures);
    }
}

/* ---- JSON ---- */

struct field {
    const char *name;
    size_t offset;
};

#define FIGURE(member)                                                                                                 \
    {                                                                                                                  \
#member, offsetof(struct snapshot_figures, member)                                                             \
    }

static const struct field snapshot_fields[] = {
    FIGURE(snapshots),
    FIGURE(finished),
    FIGURE(abandoned_copying),
    FIGURE(abandoned_program),
    FIGURE(abandoned_failed),
    FIGURE(stock_collections),
    FIGURE(batches),
    FIGURE(sliced),
    FIGURE(candidates),
    FIGURE(stale),
    FIGURE(collected),
    FIGURE(uncollectable),
    FIGURE(untracked),
    FIGURE(pages_copied),
    FIGURE(pages_copied_most),
    FIGURE(log_bytes_most),
    FIGURE(table_bytes_most),
    FIGURE(analysis_ns),
    FIGURE(analysis_ns_longest),
    FIGURE(floating_most),
    FIGURE(live),
};

_Static_assert(sizeof(struct snapshot_figures) == COUNT_OF(snapshot_fields) * sizeof(uint64_t),
               "snapshot_fields lacks a figure of struct snapshot_figures");

static void put_snapshots_json(FILE *out)
{
    struct snapshot_figures figures;
    snapshot_figures(&figures);
    fputc('{', out);
    for (size_t i = 0; i < COUNT_OF(snapshot_fields); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&figures + snapshot_fields[i].offset, sizeof value);
        fprintf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", snapshot_fields[i].name, value);
    }
    fputc('}', out);
}

static void put_stops_json(FILE *out)
{
    fputc('{', out);
    for (enum pause_cause cause = 0; cause < PAUSE_CAUSES; cause++) {
        struct pause_figures figures;
        pauses_figures(cause, &figures);
        fprintf(out,
                "%s\"%s\": {\"count\": %" PRIu64 ", \"total_ns\": %" PRIu64 ", \"longest_ns\": %" PRIu64
                ", \"p999_ns\": %" PRIu64 ", \"found\": %" PRIu64 ", \"freed\": %" PRIu64 "}",
                cause > 0 ? ", " : "", pauses_name(cause), figures.count, figures.total_ns, figures.longest_ns,
                figures.p999_ns, figures.found, figures.freed);
    }
    fputc('}', out);
}

static void put_domains_json(FILE *out)
{
    static const char *const names[] = {"raw", "mem", "object"};
    const char *comma = "";
    fputc('[', out);
    for (unsigned domain = 0; domain < COUNT_OF(names); domain++) {
        if ((python_domains() & (1u << domain)) != 0) {
            fprintf(out, "%s\"%s\"", comma, names[domain]);
            comma = ", ";
        }
    }
    fputc(']', out);
}

void gc_report_json(FILE *out)
{
    if (python_domains() == 0) {
        fputs("null", out);
        return;
    }
    const char *version = Py_GetVersion();
    fprintf(out, "{\"version\": \"%.*s\", \"domains\": ", version_length(version), version);
    put_domains_json(out);
    fprintf(out, ", \"gc\": {\"mode\": \"%s\", \"obstacle\": ", snapshot_is_on() ? "snapshot" : "stock");
    print_json_string(out, snapshot_obstacle());
    fputs(", \"stops\": ", out);
    if (pauses_some()) {
        put_stops_json(out);
    } else {
        fputs("null", out);
    }
    fputs(", \"snapshots\": ", out);
    put_snapshots_json(out);
    fputs("}}", out);
}
