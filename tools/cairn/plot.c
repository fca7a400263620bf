/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* plot.c: see plot.h. The script goes to gnuplot's standard input, data and all; nothing else is left behind.
 * Single-threaded. */

#include "plot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "message.h"
#include "program.h"
#include "results.h"

#define GREY "#7d8590"

/* Pixels, and bytes of labels. */
enum {
    WIDTH = 1000,
    HEIGHT = 460,     /* of memory over time */
    KEY_LINE = 18,    /* more for each line of a key below it */
    KEY_WIDTH = 30,   /* a key with a longer name lies below */
    BARS_HEAD = 165,  /* of the bars: axes and title... */
    BARS_LINE = 17,   /* ...and each line of a label, at least two for a policy */
    LABEL_WIDTH = 24, /* of a line of a label */
    COLOURS = 10
};

/* Mid-tones that can be read on white and on black. */
static const char *const colours[COLOURS] = {"#3b82d6", "#d9822b", "#2fa36b", "#c0504d", "#8b6cc9",
                                             "#b08d2e", "#c9559a", "#2aa3a8", "#7f8c3a", "#99705f"};

bool plot_possible(void)
{
    static struct program program;
    return program_find(&program, "gnuplot") == 0;
}

/* Text between single quotes in a script. */
static void put_text(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputc('\'', out);
        }
        fputc((unsigned char)*text >= ' ' ? *text : '?', out);
    }
    fputc('\'', out);
}

/* Is a label broken behind this place in a name? `width` bytes of the line are there already. */
static bool breaks_at(const char *at, size_t width)
{
    return *at == ',' && width + strcspn(at + 1, ",") > LABEL_WIDTH;
}

static size_t label_lines(const char *name)
{
    size_t lines = 1;
    for (size_t width = 1; *name != '\0'; name++, width++) {
        if (breaks_at(name, width)) {
            lines++;
            width = 0;
        }
    }
    return lines;
}

/* The name of a policy between double quotes, in lines. */
static void put_label(FILE *out, const char *name)
{
    fputc('"', out);
    for (size_t width = 1; *name != '\0'; name++, width++) {
        if (*name == '"' || *name == '\\') {
            fputc('\\', out);
        }
        fputc((unsigned char)*name >= ' ' ? *name : '?', out);
        if (breaks_at(name, width)) {
            fputs("\\n", out);
            width = 0;
        }
    }
    fputc('"', out);
}

static bool is_png(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".png") == 0;
}

static void put_start(FILE *out, const char *path, bool bare, int height)
{
    if (is_png(path)) {
        fprintf(out, "set terminal pngcairo size %d,%d font 'sans,11' background rgb 'white'\n", WIDTH, height);
    } else {
        fprintf(out, "set terminal svg size %d,%d dynamic font 'sans-serif,13'%s\n", WIDTH, height,
                bare ? "" : " background rgb 'white'");
    }
    fputs("set encoding utf8\nset output ", out);
    put_text(out, path);
    fputs("\nset border 3 lc rgb '" GREY "'\nset tics nomirror textcolor rgb '" GREY "'\n"
          "set grid lc rgb '" GREY "' lw 0.3 dt 3\nset key textcolor rgb '" GREY "' noenhanced\n"
          "set title textcolor rgb '" GREY "'\nset xlabel textcolor rgb '" GREY "'\nset ylabel textcolor rgb '" GREY
          "'\nset y2label textcolor rgb '" GREY "'\n",
          out);
}

/* ---- memory over time ---- */

static bool has_time(const struct play *play)
{
    return play->sample_count > 0 && play->sample[play->sample_count - 1].time_us >= 1000;
}

static void put_data(FILE *out, const struct play *play, size_t index, bool time)
{
    fprintf(out, "$play%zu << END_OF_DATA\n", index);
    for (uint32_t i = 0; i < play->sample_count; i++) {
        const struct sample *sample = &play->sample[i];
        fprintf(out, "%.6f %.6f %.6f\n", time ? (double)sample->time_us / 1e6 : (double)sample->event / 1e6,
                (double)sample->asked / 1048576, (double)sample->resident / 1048576);
    }
    fputs("END_OF_DATA\n", out);
}

static bool key_is_below(const struct play *plays, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(plays[i].policy.name) > KEY_WIDTH) {
            return true;
        }
    }
    return false;
}

static int memory_height(const struct play *plays, size_t count)
{
    return HEIGHT + (key_is_below(plays, count) ? (int)(count + 1) * KEY_LINE : 0);
}

static void put_memory(FILE *out, const struct play *plays, size_t count)
{
    size_t first = 0;
    while (first < count && plays[first].sample_count == 0) {
        first++;
    }
    if (first == count) {
        return;
    }
    bool time = has_time(&plays[first]);
    for (size_t i = 0; i < count; i++) {
        put_data(out, &plays[i], i, time);
    }
    fprintf(out,
            "set key %s\nset xlabel '%s'\nset ylabel 'MiB'\nset yrange [0:*]\nset xrange [0:*]\n"
            "set title 'Memory over time: asked for, and resident under each policy'\n"
            "plot $play%zu using 1:2 with filledcurves x1 lc rgb '" GREY "' fs transparent solid 0.3 title 'asked for'",
            key_is_below(plays, count) ? "below left Left reverse maxcols 1" : "outside right top",
            time ? "seconds of the recorded program" : "million events", first);
    for (size_t i = 0; i < count; i++) {
        if (plays[i].sample_count > 0) {
            fprintf(out, ", $play%zu using 1:3 with lines lw 1.6 dt %s lc rgb '%s' title ", i,
                    i < COLOURS ? "1" : "'-'", colours[i % COLOURS]);
            put_text(out, plays[i].policy.name);
        }
    }
    fputc('\n', out);
}

/* ---- bars ---- */

static size_t most_lines(const struct play *plays, size_t count)
{
    size_t most = 2;
    for (size_t i = 0; i < count; i++) {
        size_t lines = label_lines(plays[i].policy.name);
        most = lines > most ? lines : most;
    }
    return most;
}

static int bars_height(const struct play *plays, size_t count)
{
    return BARS_HEAD + (int)(count * most_lines(plays, count)) * BARS_LINE;
}

/* Bars that lie, the first policy on top: peak resident by the axis below, time by the one above. */
static void put_bars(FILE *out, const struct play *plays, size_t count)
{
    fputs("$bars << END_OF_DATA\n", out);
    for (size_t i = 0; i < count; i++) {
        struct figures figures;
        results_figures(&plays[i], &figures);
        fprintf(out, "%zu %.6f %.6f\n", i, (double)figures.peak_resident / 1048576, figures.seconds);
    }
    fprintf(out,
            "END_OF_DATA\nset key outside below center horizontal noreverse Right\n"
            "set title 'Peak resident memory, and time'\nset style fill solid 0.85 noborder\nset border 7\n"
            "set xrange [0:*]\nset x2range [0:*]\nset x2tics nomirror textcolor rgb '" GREY "'\n"
            "set xlabel 'MiB at the peak'\nset x2label 'seconds' textcolor rgb '" GREY "'\nunset ylabel\n"
            "set yrange [%zu.5:-0.5]\nset ytics nomirror noenhanced textcolor rgb '" GREY "' (",
            count - 1);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", out);
        put_label(out, plays[i].policy.name);
        fprintf(out, " %zu", i);
    }
    fprintf(out,
            ")\nplot $bars using ($2/2):($1-0.19):($2/2):(0.17) axes x1y1 with boxxyerror lc rgb '%s' "
            "title 'peak resident (MiB)', '' using ($3/2):($1+0.19):($3/2):(0.17) axes x2y1 with boxxyerror lc rgb "
            "'%s' title 'time (s)'\n",
            colours[0], colours[1]);
}

/* ---- the whole ---- */

/* What follows is drawn from `low` to `high` of the height. */
static void put_place(FILE *out, int low, int high, int height)
{
    fprintf(out, "set origin 0,%.6f\nset size 1,%.6f\n", (double)low / height, (double)(high - low) / height);
}

/* Does the file end as a picture does? gnuplot says nothing of a disk that is full. */
static bool is_whole(const char *path)
{
    char tail[64] = "";
    const char *end = is_png(path) ? "IEND" : "</svg>";
    FILE *in = fopen(path, "r");
    size_t length = 0;
    if (in != NULL) {
        (void)fseek(in, -(long)(sizeof tail), SEEK_END);
        length = fread(tail, 1, sizeof tail, in);
        fclose(in);
    }
    return memmem(tail, length, end, strlen(end)) != NULL;
}

void plot_draw(const char *path, enum plot_kind kind, const struct play *plays, size_t count, bool bare)
{
    if (!plot_possible()) {
        fail(EXIT_CAIRN, "cannot draw '%s': gnuplot is not installed; on Debian: apt-get install gnuplot-nox", path);
    }
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    fflush(NULL);
    FILE *out = popen("gnuplot", "w");
    if (out == NULL) {
        fail(EXIT_CAIRN, "cannot draw '%s': %s", path, strerror(errno));
    }
    int memory = kind != PLOT_BARS ? memory_height(plays, count) : 0;
    int height = memory + (kind != PLOT_MEMORY ? bars_height(plays, count) : 0);
    put_start(out, path, bare, height);
    fputs("set multiplot\n", out);
    if (kind != PLOT_BARS) {
        put_place(out, height - memory, height, height);
        put_memory(out, plays, count);
    }
    if (kind != PLOT_MEMORY) {
        put_place(out, 0, height - memory, height);
        put_bars(out, plays, count);
    }
    fputs("unset multiplot\n", out);
    int status = pclose(out);
    (void)signal(SIGPIPE, old);
    if (status != 0) {
        fail(EXIT_CAIRN, "cannot draw '%s': gnuplot failed; can the file be written?", path);
    }
    if (!is_whole(path)) {
        fail(EXIT_CAIRN, "cannot draw '%s': the picture is not whole; is the disk full?", path);
    }
}
