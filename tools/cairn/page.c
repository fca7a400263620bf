/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* page.c: see page.h. The pictures of the heaps are in the page as the players' strings of cells; a script draws them
 * in the colours of the reader's theme. Everything that came from outside (names, arguments) is escaped.
 * Single-threaded. */

#include "page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cairn.h"
#include "message.h"
#include "results.h"

static const char style[] =
    ":root{--back:#ffffff;--text:#1f2328;--soft:#656d76;--line:#d0d7de;--card:#f6f8fa;--best:#1a7f37;--live:#2f6fc4;"
    "--free:#f0a35e;--none:#eceff2}\n"
    "@media (prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--soft:#8d96a0;--line:#30363d;"
    "--card:#161b22;--best:#3fb950;--live:#58a6ff;--free:#b8691f;--none:#21262d}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--back);"
    "color:var(--text);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.2rem;margin:0 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}"
    "p{margin:.4rem 0}.soft,small{color:var(--soft)}code{font-family:ui-monospace,monospace;font-size:.93em}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line)}td{white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}td:first-child{white-space:normal;min-width:9rem}th{color:var(--"
    "soft);font-weight:600;vertical-align:bottom}"
    ".best{color:var(--best);font-weight:600}.bad{text-align:left;white-space:normal}\n"
    ".plot svg{width:100%;height:auto;display:block}\n"
    ".heaps{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}"
    ".heap{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.7rem}"
    ".heap h3{font-size:1rem;margin:0 0 .3rem;overflow-wrap:anywhere}.heap canvas{width:100%;height:auto;display:block;"
    "image-rendering:pixelated;margin:.15rem 0 .5rem}\n"
    ".key span{display:inline-block;width:.9em;height:.9em;border-radius:2px;margin:0 .35em 0 1em;"
    "vertical-align:-.08em}.key span:first-child{margin-left:0}\n"
    "dt{font-weight:600;margin-top:.5rem}dd{margin:0}\n";

/* Draws every canvas from its data-cells: rows of 128 cells, '.' untouched, '0' free to '9' full of live blocks. */
static const char script[] =
    "function colour(name){const c=getComputedStyle(document.documentElement).getPropertyValue(name).trim();"
    "return [1,3,5].map(i=>parseInt(c.slice(i,i+2),16))}\n"
    "function draw(){const live=colour('--live'),free=colour('--free'),none=colour('--none');"
    "for(const canvas of document.querySelectorAll('canvas[data-cells]')){const cells=canvas.dataset.cells,w=128,"
    "h=Math.max(1,Math.ceil(cells.length/w));canvas.width=w;canvas.height=h;const pen=canvas.getContext('2d'),"
    "image=pen.createImageData(w,h);for(let i=0;i<cells.length;i++){const cell=cells[i],"
    "part=cell==='.'?0:Number(cell)/9;for(let k=0;k<3;k++)image.data[4*i+k]=cell==='.'?none[k]:"
    "free[k]+(live[k]-free[k])*part;image.data[4*i+3]=255}pen.putImageData(image,0,0)}}\n"
    "draw();matchMedia('(prefers-color-scheme:dark)').addEventListener('change',draw);\n";

static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        }
    }
}

/* A policy's name, which may break behind a comma. */
static void put_name(FILE *out, const char *name)
{
    while (*name != '\0') {
        size_t length = strcspn(name, ",") + 1;
        char *part = text_of("%.*s", (int)length, name);
        put_text(out, part);
        name += strlen(part);
        fputs(*name != '\0' && *name != ' ' ? "<wbr>" : "", out);
        free(part);
    }
}

static bool good(const struct play *play)
{
    return play->fault[0] == '\0';
}

/* ---- the head ---- */

static void put_head(FILE *out, const struct survey *survey)
{
    char peak[32], end[32];
    char *line = survey_command_line(survey);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>cairn lab: ",
          out);
    put_text(out, line);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1><code>", style);
    put_text(out, line);
    fputs("</code></h1>\n<p class=\"soft\">What its requests for memory cost under each policy. Recorded ", out);
    put_text(out, survey_field(survey, "date"));
    fprintf(out,
            " by Cairn %s: %" PRIu64 " allocations, %" PRIu64 " resizes and %" PRIu64
            " frees by %u thread%s in %.3f s; at most %s live at a time, %s never freed.</p>\n",
            CAIRN_VERSION_STRING, survey->allocations, survey->resizes, survey->frees, survey->threads,
            survey->threads == 1 ? "" : "s", (double)survey->duration_us / 1e6, results_bytes(peak, survey->peak_bytes),
            results_bytes(end, survey->end_bytes));
    if (!survey->whole) {
        fputs("<p><strong>The recording was cut short:</strong> what follows is about its beginning.</p>\n", out);
    }
    free(line);
}

/* ---- words ---- */

enum measure { LEAST_RESIDENT, LEAST_EXTERNAL, LEAST_INTERNAL, LEAST_TIME, MEASURES };

static double value_of(const struct play *play, enum measure measure)
{
    struct figures figures;
    results_figures(play, &figures);
    switch (measure) {
    case LEAST_RESIDENT:
        return (double)figures.peak_resident;
    case LEAST_EXTERNAL:
        return figures.external_mean;
    case LEAST_INTERNAL:
        return figures.internal_mean;
    default:
        return figures.seconds;
    }
}

/* The play with the least or greatest value of a measure; NULL if none is good. */
static const struct play *extreme(const struct play *plays, size_t count, enum measure measure, bool least)
{
    const struct play *found = NULL;
    for (size_t i = 0; i < count; i++) {
        bool better = found == NULL || (value_of(&plays[i], measure) < value_of(found, measure)) == least;
        found = good(&plays[i]) && better ? &plays[i] : found;
    }
    return found;
}

static void put_words(FILE *out, const struct play *plays, size_t count)
{
    char least_text[32], most_text[32];
    const struct play *least = extreme(plays, count, LEAST_RESIDENT, true);
    const struct play *most = extreme(plays, count, LEAST_RESIDENT, false);
    const struct play *fastest = extreme(plays, count, LEAST_TIME, true);
    const struct play *tidiest = extreme(plays, count, LEAST_EXTERNAL, true);
    if (least == NULL) {
        fputs("<p><strong>No policy could be played.</strong></p>\n", out);
        return;
    }
    fputs("<p>Least memory at its peak: <strong>", out);
    put_name(out, least->policy.name);
    fprintf(out, "</strong> with %s (most: ", results_bytes(least_text, (uint64_t)value_of(least, LEAST_RESIDENT)));
    put_name(out, most->policy.name);
    fprintf(out, ", %s). Least external fragmentation on average: <strong>",
            results_bytes(most_text, (uint64_t)value_of(most, LEAST_RESIDENT)));
    put_name(out, tidiest->policy.name);
    fprintf(out, "</strong>, %.1f%%. Least time: <strong>", 100 * value_of(tidiest, LEAST_EXTERNAL));
    put_name(out, fastest->policy.name);
    fprintf(out, "</strong>, %.3f s.</p>\n", value_of(fastest, LEAST_TIME));
}

/* ---- the table ---- */

static void put_cell(FILE *out, bool best, const char *text)
{
    fprintf(out, "<td%s>%s</td>", best ? " class=\"best\"" : "", text);
}

static void put_row(FILE *out, const struct play *play, const struct play *const best[MEASURES])
{
    struct figures figures;
    char text[64], bytes[32];
    results_figures(play, &figures);
    fputs("<tr><td>", out);
    put_name(out, play->policy.name);
    fputs("</td>", out);
    if (!good(play)) {
        fputs("<td class=\"bad\" colspan=\"8\">failed: ", out);
        put_text(out, play->fault);
        fputs("</td></tr>\n", out);
        return;
    }
    snprintf(text, sizeof text, "%.3f", figures.seconds);
    put_cell(out, best[LEAST_TIME] == play, text);
    snprintf(text, sizeof text, "%.1f", figures.rate / 1e6);
    put_cell(out, false, text);
    put_cell(out, best[LEAST_RESIDENT] == play, results_bytes(bytes, figures.peak_resident));
    put_cell(out, false, results_bytes(bytes, figures.external_peak));
    snprintf(text, sizeof text, "%.1f%%", 100 * figures.external_at_peak);
    put_cell(out, false, text);
    snprintf(text, sizeof text, "%.1f%%", 100 * figures.external_mean);
    put_cell(out, best[LEAST_EXTERNAL] == play, text);
    snprintf(text, sizeof text, "%.1f%%", 100 * figures.internal_mean);
    put_cell(out, best[LEAST_INTERNAL] == play, text);
    if (figures.searches >= 0) {
        snprintf(text, sizeof text, "%.1f", figures.searches);
    } else {
        strcpy(text, "&ndash;");
    }
    put_cell(out, false, text);
    fputs("</tr>\n", out);
}

static void put_table(FILE *out, const struct play *plays, size_t count)
{
    const struct play *best[MEASURES];
    for (int measure = 0; measure < MEASURES; measure++) {
        best[measure] = extreme(plays, count, (enum measure)measure, true);
    }
    fputs("<div class=\"scroll\"><table>\n<thead><tr><th>policy</th><th>time, s</th><th>million requests/s</th>"
          "<th>peak resident</th><th>external, most</th><th>external at the peak</th><th>external, mean</th>"
          "<th>internal, mean</th><th>searches per request</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < count; i++) {
        put_row(out, &plays[i], best);
    }
    fputs("</tbody></table></div>\n", out);
}

/* ---- plots ---- */

/* Copies an SVG file from its <svg> element on. */
static void put_svg(FILE *out, const char *path)
{
    FILE *in = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    bool begun = false;
    if (in == NULL) {
        fail(EXIT_CAIRN, "cannot read '%s': %s", path, strerror(errno));
    }
    fputs("<div class=\"plot\">\n", out);
    while (getline(&line, &size, in) > 0) {
        begun = begun || strstr(line, "<svg") != NULL;
        if (begun) {
            fputs(line, out);
        }
    }
    fputs("</div>\n", out);
    free(line);
    fclose(in);
}

/* ---- pictures ---- */

static void put_picture(FILE *out, const char *when, const struct picture *picture)
{
    char bytes[32];
    fprintf(
        out,
        "<small>%s, a cell is %s</small>\n<canvas role=\"img\" aria-label=\"heap %s\" data-cells=\"%.*s\"></canvas>\n",
        when, results_bytes(bytes, picture->cell_bytes), when, (int)picture->cells, picture->cell);
}

static void put_pictures(FILE *out, const struct play *plays, size_t count)
{
    fputs("<p class=\"key soft\"><span style=\"background:var(--live)\"></span>live"
          "<span style=\"background:linear-gradient(90deg,var(--free),var(--live))\"></span>partly"
          "<span style=\"background:var(--free)\"></span>free but resident (holes, free blocks, the allocator's own "
          "records)<span style=\"background:var(--none)\"></span>not resident (never touched, or given back)</p>\n"
          "<div class=\"heaps\">\n",
          out);
    for (size_t i = 0; i < count; i++) {
        if (!good(&plays[i])) {
            continue;
        }
        fputs("<div class=\"heap\"><h3>", out);
        put_name(out, plays[i].policy.name);
        fputs("</h3>\n", out);
        put_picture(out, "at the peak", &plays[i].peak);
        put_picture(out, "at the end", &plays[i].end);
        fputs("</div>\n", out);
    }
    fputs("</div>\n", out);
}

/* ---- the whole ---- */

static const char notes[] =
    "<h2>How to read this</h2>\n<dl>\n"
    "<dt>policy</dt><dd>A geometry of Cairn's pools, a name or fields as <code>cairn run --geometry</code> takes them "
    "(requests no pool serves go to a hole, by best fit if no other is named); <em>no pools</em>: every request is "
    "served from a hole by the fit named; or another allocator, preloaded.</dd>\n"
    "<dt>time</dt><dd>of the requests played one after the other as fast as they go, with a check of the contents of "
    "every block; not the time of the program.</dd>\n"
    "<dt>resident</dt><dd>physical memory of the allocator, its own records included. Every block is written to, a "
    "byte "
    "in each page at least. Unless the replay was paced, pauses of the program are left out, so memory that is given "
    "back after a delay shows later than it would.</dd>\n"
    "<dt>external fragmentation</dt><dd>resident bytes that no live block holds, of all resident bytes.</dd>\n"
    "<dt>internal fragmentation</dt><dd>usable bytes of live blocks that were not asked for, of all usable bytes."
    "</dd>\n<dt>heap pictures</dt><dd>the allocator's mappings in order of address, from left to right and down; 64 "
    "KiB "
    "parts that hold no resident page are left out.</dd>\n</dl>\n";

void page_write(FILE *out, const struct survey *survey, const struct play *plays, size_t count, const char *memory,
                const char *bars)
{
    put_head(out, survey);
    put_words(out, plays, count);
    fputs("<h2>The comparison</h2>\n", out);
    put_table(out, plays, count);
    fputs("<h2>Memory over time</h2>\n", out);
    put_svg(out, memory);
    fputs("<h2>Memory and time</h2>\n", out);
    put_svg(out, bars);
    fputs("<h2>The heaps</h2>\n", out);
    put_pictures(out, plays, count);
    fprintf(out, "%s<script>\n%s</script>\n</body>\n</html>\n", notes, script);
}
