/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* pauses.c: see pauses.h.
 *
 * The histogram: durations below EXACT ns have a cell each; above, each power of two is cut into CELLS_PER_OCTAVE
 * cells of equal width; the last cell takes all that lasts longer than OCTAVES tell. */

#include "python/pauses.h"

#include <string.h>

#include "heap/options.h"
#include "os/os.h"
#include "os/place.h"
#include "python/cpython.h"
#include "python/trace.h"

enum {
    CELL_BITS = 5,
    CELLS_PER_OCTAVE = 1 << CELL_BITS,
    EXACT = CELLS_PER_OCTAVE,
    OCTAVES = 37, /* the last ends at 2^42 ns, more than an hour */
    CELLS = EXACT + OCTAVES * CELLS_PER_OCTAVE,
};

struct cause {
    struct pause_figures figures; /* without p999_ns */
    uint64_t cells[CELLS];
};

static bool wanted; /* by itself: most processes touch nothing of the rest */
static LARGE_DATA struct {
    bool some;
    struct cause causes[PAUSE_CAUSES];
} pauses;

bool pauses_wanted(void)
{
    return wanted;
}

const char *pauses_name(enum pause_cause cause)
{
    static const char *const names[PAUSE_CAUSES] = {"young", "middle", "full", "fork", "wait", "batch"};
    return names[cause];
}

/* ---- the histogram ---- */

static unsigned cell_of(uint64_t ns)
{
    if (ns < EXACT) {
        return (unsigned)ns;
    }
    unsigned octave = 63 - CELL_BITS - (unsigned)__builtin_clzll(ns);
    unsigned within = (unsigned)(ns >> octave) & (CELLS_PER_OCTAVE - 1);
    return octave < OCTAVES ? EXACT + octave * CELLS_PER_OCTAVE + within : CELLS - 1;
}

/* The longest duration that a cell counts. */
static uint64_t cell_end(unsigned cell)
{
    if (cell < EXACT) {
        return cell;
    }
    unsigned octave = (cell - EXACT) / CELLS_PER_OCTAVE;
    uint64_t within = (cell - EXACT) % CELLS_PER_OCTAVE;
    return ((CELLS_PER_OCTAVE + within + 1) << octave) - 1;
}

/* The end of the cell in which the shortest 99.9% end. */
static uint64_t percentile(const struct cause *cause)
{
    uint64_t beyond = cause->figures.count / 1000; /* stops that may be longer */
    unsigned cell = CELLS - 1;
    while (cell > 0 && cause->cells[cell] <= beyond) {
        beyond -= cause->cells[cell--];
    }
    uint64_t end = cell_end(cell);
    return cell == CELLS - 1 || end > cause->figures.longest_ns ? cause->figures.longest_ns : end;
}

/* ---- noting ---- */

void pauses_note(const struct pause *pause)
{
    struct cause *cause = &pauses.causes[pause->cause];
    pauses.some = true;
    uint64_t ns = pause->ended_ns - pause->begun_ns;
    cause->figures.count++;
    cause->figures.total_ns += ns;
    cause->figures.longest_ns = ns > cause->figures.longest_ns ? ns : cause->figures.longest_ns;
    cause->figures.found += pause->found;
    cause->figures.freed += pause->freed;
    cause->cells[cell_of(ns)]++;
    trace_stop(pause);
}

void pauses_note_analysis(uint64_t begun_ns, uint64_t ended_ns, size_t objects, size_t garbage)
{
    trace_analysis(begun_ns, ended_ns, objects, garbage);
}

bool pauses_some(void)
{
    return pauses.some;
}

void pauses_figures(enum pause_cause cause, struct pause_figures *figures)
{
    *figures = pauses.causes[cause].figures;
    figures->p999_ns = percentile(&pauses.causes[cause]);
}

/* ---- the process ---- */

static void in_child(void)
{
    trace_leave();
    if (pauses.some) { /* else no page is touched */
        pauses.some = false;
        memset(pauses.causes, 0, sizeof pauses.causes);
    }
}

void pauses_arm(const char *program)
{
    const struct options *options = cairn_options();
    bool prints = options->stats != STATS_OFF && (options->stats_children || cairn_options_speaker());
    wanted = trace_open(options->gc.trace_file, program) || prints;
    if (Py_IsInitialized != NULL) { /* there is an interpreter */
        (void)os_fork_hooks(NULL, NULL, in_child);
    }
}
