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

enum { WIDTH = 1000, HEIGHT = 460, COLOURS = 10 };

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
            "set key outside right top\nset xlabel '%s'\nset ylabel 'MiB'\nset yrange [0:*]\nset xrange [0:*]\n"
            "set title 'Memory over time: asked for, and resident under each policy'\n"
            "plot $play%zu using 1:2 with filledcurves x1 lc rgb '" GREY "' fs transparent solid 0.3 title 'asked for'",
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

static void put_bars(FILE *out, const struct play *plays, size_t count)
{
    fputs("$bars << END_OF_DATA\n", out);
    for (size_t i = 0; i < count; i++) {
        struct figures figures;
        results_figures(&plays[i], &figures);
        fprintf(out, "\"%s\" %.6f %.6f\n", plays[i].policy.name, (double)figures.peak_resident / 1048576,
                figures.seconds);
    }
    fprintf(out,
            "END_OF_DATA\nset key above horizontal\nunset xlabel\nset title 'Peak resident memory, and time'\n"
            "set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.85 noborder\n"
            "set boxwidth 0.9\nset xrange [-0.7:%zu.7]\nset yrange [0:*]\nset y2range [0:*]\nset y2tics textcolor rgb "
            "'" GREY "'\nset ytics nomirror\nset border 11\nset ylabel 'MiB at the peak'\nset y2label 'seconds'\n"
            "set xtics rotate by -30 textcolor rgb '" GREY "' noenhanced\n"
            "plot $bars using 2:xtic(1) axes x1y1 lc rgb '%s' title 'peak resident (MiB)', "
            "'' using 3 axes x1y2 lc rgb '%s' title 'time (s)'\n",
            count - 1, colours[0], colours[1]);
}

/* ---- the whole ---- */

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
    put_start(out, path, bare, kind == PLOT_BOTH ? 2 * HEIGHT : HEIGHT);
    if (kind == PLOT_BOTH) {
        fputs("set multiplot layout 2,1\n", out);
    }
    if (kind != PLOT_BARS) {
        put_memory(out, plays, count);
    }
    if (kind != PLOT_MEMORY) {
        put_bars(out, plays, count);
    }
    if (kind == PLOT_BOTH) {
        fputs("unset multiplot\n", out);
    }
    int status = pclose(out);
    (void)signal(SIGPIPE, old);
    if (status != 0) {
        fail(EXIT_CAIRN, "cannot draw '%s': gnuplot failed; can the file be written?", path);
    }
}
