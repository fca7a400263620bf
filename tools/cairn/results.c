/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* results.c: see results.h. Single-threaded. */

#include "results.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "policies.h"

/* ---- figures ---- */

void results_figures(const struct play *play, struct figures *figures)
{
    uint64_t resident = 0, usable = 0, external = 0, internal = 0;
    memset(figures, 0, sizeof *figures);
    figures->seconds = (double)play->nanoseconds / 1e9;
    figures->rate = play->nanoseconds > 0 ? (double)play->requests / figures->seconds : 0;
    for (uint32_t i = 0; i < play->sample_count; i++) {
        const struct sample *sample = &play->sample[i];
        uint64_t outside = sample->resident > sample->usable ? sample->resident - sample->usable : 0;
        double share = sample->resident > 0 ? (double)outside / (double)sample->resident : 0;
        resident += sample->resident;
        usable += sample->usable;
        external += outside;
        internal += sample->usable > sample->asked ? sample->usable - sample->asked : 0;
        figures->external_peak = outside > figures->external_peak ? outside : figures->external_peak;
        figures->external_at_peak = sample->asked >= figures->peak_asked ? share : figures->external_at_peak;
        figures->peak_resident = sample->resident > figures->peak_resident ? sample->resident : figures->peak_resident;
        figures->peak_asked = sample->asked > figures->peak_asked ? sample->asked : figures->peak_asked;
    }
    figures->external_mean = resident > 0 ? (double)external / (double)resident : 0;
    figures->internal_mean = usable > 0 ? (double)internal / (double)usable : 0;
    figures->searches = play->served > 0 ? (double)play->search_steps / (double)play->served : -1;
}

const char *results_bytes(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;
    for (; number >= 1000 && unit < 4; unit++) {
        number /= 1024;
    }
    snprintf(text, 32, unit == 0 ? "%.0f %s" : number < 10 ? "%.2f %s" : "%.1f %s", number, units[unit]);
    return text;
}

static const char *status_of(const struct play *play)
{
    return play->fault[0] != '\0' ? "FAILED" : play->verify == VERIFY_OFF ? "not checked" : "ok";
}

/* ---- the table ---- */

static void print_row(FILE *out, const struct play *play, size_t width)
{
    struct figures figures;
    char peak[32], external[32], searches[32] = "-";
    results_figures(play, &figures);
    if (play->fault[0] != '\0') {
        fprintf(out, "%-*s  FAILED: %s\n", (int)width, play->policy.name, play->fault);
        return;
    }
    if (figures.searches >= 0) {
        snprintf(searches, sizeof searches, "%.1f", figures.searches);
    }
    fprintf(out, "%-*s  %8.3f  %6.1f  %10s  %10s %5.1f%%  %5.1f%%  %7.1f%%  %8s\n", (int)width, play->policy.name,
            figures.seconds, figures.rate / 1e6, results_bytes(peak, figures.peak_resident),
            results_bytes(external, figures.external_peak), 100 * figures.external_at_peak, 100 * figures.external_mean,
            100 * figures.internal_mean, searches);
}

void results_print(FILE *out, const struct survey *survey, const struct play *plays, size_t count)
{
    size_t width = strlen("policy");
    char peak[32], end[32];
    char *line = survey_command_line(survey);
    for (size_t i = 0; i < count; i++) {
        width = strlen(plays[i].policy.name) > width ? strlen(plays[i].policy.name) : width;
    }
    fprintf(out, "%.100s%s\n", line, strlen(line) > 100 ? "..." : "");
    fprintf(out,
            "%" PRIu64 " allocations, %" PRIu64 " resizes, %" PRIu64
            " frees by %u thread%s in %.3f s; at most %s live, "
            "%s at the end\n\n",
            survey->allocations, survey->resizes, survey->frees, survey->threads, survey->threads == 1 ? "" : "s",
            (double)survey->duration_us / 1e6, results_bytes(peak, survey->peak_bytes),
            results_bytes(end, survey->end_bytes));
    fprintf(out, "%-*s  %8s  %6s  %10s  %17s  %6s  %8s  %8s\n", (int)width, "", "", "", "peak", "external frag.", "",
            "internal", "searches");
    fprintf(out, "%-*s  %8s  %6s  %10s  %10s %6s  %6s  %8s  %8s\n", (int)width, "policy", "time s", "Mreq/s",
            "resident", "most", "atpeak", "mean", "mean", "/request");
    for (size_t i = 0; i < count; i++) {
        print_row(out, &plays[i], width);
    }
    free(line);
}

/* ---- CSV ---- */

static void print_csv_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, out);
    }
    fputc('"', out);
}

void results_print_csv(FILE *out, const struct play *plays, size_t count)
{
    fputs(
        "policy,kind,geometry,fit,pools,library,status,seconds,requests,requests_per_second,failed,peak_resident_bytes,"
        "peak_asked_bytes,external_peak_bytes,external_share_at_peak,external_mean_share,internal_mean_share,"
        "searches_per_request\n",
        out);
    for (size_t i = 0; i < count; i++) {
        const struct play *play = &plays[i];
        const struct policy *policy = &play->policy;
        struct figures figures;
        results_figures(play, &figures);
        print_csv_text(out, policy->name);
        fprintf(out, ",%s,", policy->heap ? "heap" : "malloc");
        print_csv_text(out, policy->heap ? policy->geometry : "");
        fprintf(out, ",%s,%s,", policy->heap ? policy_fit_name(policy) : "",
                !policy->heap      ? ""
                : policy->no_pools ? "off"
                                   : "on");
        print_csv_text(out, policy->library);
        fprintf(out, ",%s,%.6f,%" PRIu64 ",%.0f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.6f,%.6f,%.6f,",
                status_of(play), figures.seconds, play->requests, figures.rate, play->failed, figures.peak_resident,
                figures.peak_asked, figures.external_peak, figures.external_at_peak, figures.external_mean,
                figures.internal_mean);
        if (figures.searches >= 0) {
            fprintf(out, "%.3f", figures.searches);
        }
        fputc('\n', out);
    }
}

/* ---- JSON ---- */

/* Strings of JSON are UTF-8, a program's arguments any bytes: what is not plain ASCII is written as \u00xx. */
static void print_json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void print_json_samples(FILE *out, const struct play *play)
{
    fputs("\"samples\": [", out);
    for (uint32_t i = 0; i < play->sample_count; i++) {
        const struct sample *sample = &play->sample[i];
        fprintf(out,
                "%s{\"event\": %" PRIu64 ", \"time_us\": %" PRIu64 ", \"asked_bytes\": %" PRIu64
                ", \"usable_bytes\": %" PRIu64 ", \"resident_bytes\": %" PRIu64 "}",
                i > 0 ? ", " : "", sample->event, sample->time_us, sample->asked, sample->usable, sample->resident);
    }
    fputc(']', out);
}

static void print_json_play(FILE *out, const struct play *play)
{
    const struct policy *policy = &play->policy;
    struct figures figures;
    results_figures(play, &figures);
    fputs("{\"policy\": ", out);
    print_json_text(out, policy->name);
    if (policy->heap) {
        fputs(", \"kind\": \"heap\", \"geometry\": ", out);
        print_json_text(out, policy->geometry);
        fprintf(out, ", \"fit\": \"%s\", \"pools\": %s", policy_fit_name(policy), policy->no_pools ? "false" : "true");
    } else {
        fputs(", \"kind\": \"malloc\", \"library\": ", out);
        print_json_text(out, policy->library);
    }
    fprintf(out, ", \"status\": \"%s\", \"fault\": ", status_of(play));
    print_json_text(out, play->fault);
    fprintf(out,
            ", \"seconds\": %.6f, \"requests\": %" PRIu64 ", \"requests_per_second\": %.0f, \"failed\": %" PRIu64
            ", \"peak_resident_bytes\": %" PRIu64 ", \"peak_asked_bytes\": %" PRIu64
            ", \"external_peak_bytes\": %" PRIu64
            ", \"external_share_at_peak\": %.6f, \"external_mean_share\": %.6f, \"internal_mean_share\": %.6f, ",
            figures.seconds, play->requests, figures.rate, play->failed, figures.peak_resident, figures.peak_asked,
            figures.external_peak, figures.external_at_peak, figures.external_mean, figures.internal_mean);
    if (figures.searches >= 0) {
        fprintf(out, "\"searches_per_request\": %.3f, ", figures.searches);
    } else {
        fputs("\"searches_per_request\": null, ", out);
    }
    print_json_samples(out, play);
    fputc('}', out);
}

void results_print_json(FILE *out, const struct survey *survey, const struct play *plays, size_t count)
{
    char *line = survey_command_line(survey);
    fputs("{\"recording\": {\"command\": ", out);
    print_json_text(out, line);
    fputs(", \"date\": ", out);
    print_json_text(out, survey_field(survey, "date"));
    fprintf(out,
            ", \"whole\": %s, \"allocations\": %" PRIu64 ", \"resizes\": %" PRIu64 ", \"frees\": %" PRIu64
            ", \"threads\": %u, \"seconds\": %.6f, \"peak_bytes\": %" PRIu64 ", \"end_bytes\": %" PRIu64
            ", \"unknown_frees\": %" PRIu64 ", \"missed_frees\": %" PRIu64 "}, \"plays\": [\n",
            survey->whole ? "true" : "false", survey->allocations, survey->resizes, survey->frees, survey->threads,
            (double)survey->duration_us / 1e6, survey->peak_bytes, survey->end_bytes, survey->totals.unknown,
            survey->totals.missed);
    for (size_t i = 0; i < count; i++) {
        print_json_play(out, &plays[i]);
        fputs(i + 1 < count ? ",\n" : "\n", out);
    }
    fputs("]}\n", out);
    free(line);
}
