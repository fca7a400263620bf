/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* lab.c: `cairn lab`: records a program, plays the recording under every policy there is, and writes the report.
 * What lies between (the recording, the plots) is in a folder of its own that is removed at the end. Single-threaded. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "page.h"
#include "plot.h"
#include "record.h"
#include "replay.h"
#include "usage.h"

#define DEFAULT_PATH "cairn-lab.html"

enum { EXIT_PLAY_FAILED = 1 };

struct lab_options {
    const char *output, *keep;
    struct replay_wish wish;
};

void lab_help(void)
{
    puts("Usage: cairn lab [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
         "Records what PROGRAM asks of its memory manager, plays it under every geometry and fit of\n"
         "Cairn and under the other allocators installed here, and writes one HTML page that compares\n"
         "them: table, memory over time, pictures of the heaps.\n"
         "\n"
         "Options:\n"
         "  -o, --output=FILE  the report; default: " DEFAULT_PATH "\n"
         "  --keep=FILE        keep the recording, for 'cairn replay'\n"
         "  --threads          play with as many threads as were recorded, not in one\n"
         "  --paced            play not faster than the program was, so that delays count\n"
         "  -h, --help         show this help and exit\n"
         "\n"
         "Exit status: 0; 1: a policy failed the checks; 125: an error of cairn's, 126: the program\n"
         "cannot be executed, 127: the program was not found. See also cairn-lab(1).");
}

/* ---- files ---- */

/* Made by mkdtemp(3); removed at exit, whatever happens. */
static char folder[64];
static const char *const names[] = {"recording", "memory.svg", "bars.svg"};
enum { RECORDING, MEMORY, BARS, NAMES };

static void remove_folder(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        char *path = text_of("%s/%s", folder, names[i]);
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(folder);
}

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/' || strlen(base) > 40) {
        base = "/tmp";
    }
    snprintf(folder, sizeof folder, "%s/cairn-lab-XXXXXX", base);
    if (mkdtemp(folder) == NULL) {
        fail(EXIT_CAIRN, "lab: cannot make a folder in %s: %s; set TMPDIR to another", base, strerror(errno));
    }
    (void)atexit(remove_folder);
}

static char *path_of(size_t index)
{
    return text_of("%s/%s", folder, names[index]);
}

static FILE *open_report(const char *path)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        fail(EXIT_CAIRN, "lab: cannot write '%s': %s; name another file with -o", path, strerror(errno));
    }
    return out;
}

/* ---- the work ---- */

static void say_end(int status, const char *program)
{
    if (WIFSIGNALED(status)) {
        say("lab: '%s' was ended by signal %d; the report is about what it did until then", program, WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        say("lab: '%s' ended with exit status %d; the report is about what it did until then", program,
            WEXITSTATUS(status));
    }
}

static void write_report(const char *path, FILE *out, const struct survey *survey, const struct play *plays,
                         size_t count)
{
    char *memory = path_of(MEMORY), *bars = path_of(BARS);
    plot_draw(memory, PLOT_MEMORY, plays, count, true);
    plot_draw(bars, PLOT_BARS, plays, count, true);
    page_write(out, survey, plays, count, memory, bars);
    if (fclose(out) != 0) {
        fail(EXIT_CAIRN, "lab: cannot write '%s': %s", path, strerror(errno));
    }
    say("report written to '%s'", path);
    free(memory);
    free(bars);
}

static int work(const struct lab_options *options, int count, char **arguments, int first)
{
    static struct policies policies;
    struct survey survey;
    if (!plot_possible()) {
        fail(EXIT_CAIRN, "lab: gnuplot is not installed; on Debian: apt-get install gnuplot-nox");
    }
    FILE *out = open_report(options->output);
    make_folder();
    char *recording = options->keep != NULL ? text_of("%s", options->keep) : path_of(RECORDING);
    struct record_wish wish = {.command = "lab", .path = recording, .quiet = options->keep == NULL};
    say_end(record_program(&wish, count, arguments, first), arguments[first]);
    survey_read(&survey, "lab", recording);
    policies_add_heaps(&policies, NULL, "default,cpython,classic", "on");
    policies_add_heaps(&policies, "best,first,next,worst", NULL, "off");
    policies_add_installed(&policies);
    struct play *plays = replay_all(recording, &survey, &policies, &options->wish);
    size_t failed = replay_complain(plays, policies.count);
    write_report(options->output, out, &survey, plays, policies.count);
    free(plays);
    free(survey.description);
    free(recording);
    return failed > 0 ? EXIT_PLAY_FAILED : 0;
}

int lab_execute(int count, char **arguments)
{
    enum { OPTION_KEEP = 256, OPTION_THREADS, OPTION_PACED };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"keep", required_argument, NULL, OPTION_KEEP},
                                            {"threads", no_argument, NULL, OPTION_THREADS},
                                            {"paced", no_argument, NULL, OPTION_PACED},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct lab_options wish = {.output = DEFAULT_PATH, .wish.verify = VERIFY_ENDS};

    for (;;) {
        optopt = 0;
        int answer = getopt_long(count, arguments, "+:o:h", options, NULL);
        if (answer == -1) {
            break;
        }
        switch (answer) {
        case 'o':
            wish.output = optarg;
            break;
        case OPTION_KEEP:
            wish.keep = optarg;
            break;
        case OPTION_THREADS:
            wish.wish.threads = true;
            break;
        case OPTION_PACED:
            wish.wish.paced = true;
            break;
        case 'h':
            lab_help();
            return finish_output();
        default:
            usage_fail("lab", options, answer, arguments[optind - 1]);
        }
    }
    if (optind == count) {
        fail(EXIT_CAIRN, "no program given; usage: cairn lab [OPTIONS] -- PROGRAM [ARGUMENTS]");
    }
    return work(&wish, count, arguments, optind);
}
