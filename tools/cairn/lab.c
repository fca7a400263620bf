/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* lab.c: `cairn lab`: records a program, plays the recording under every policy there is, and writes the report.
 * What lies between (the recording, the plots) is in a folder of its own that is removed at the end, also by a signal.
 * An older report stays until the new one is complete. Single-threaded. */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    char *geometries; /* besides the presets; NULL: none */
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
         "  --geometry=LIST    geometries of one's own to compare with those of Cairn, written as for\n"
         "                     'cairn run' and parted by /: arena=2M,pool=32K/arena=4M\n"
         "  --threads          play with as many threads as were recorded, not in one\n"
         "  --paced            play not faster than the program was, so that delays count\n"
         "  -h, --help         show this help and exit\n"
         "\n"
         "Exit status: 0; 1: a policy failed the checks; 125: an error of cairn's, 126: the program\n"
         "cannot be executed, 127: the program was not found. See also cairn-lab(1).");
}

/* ---- files ---- */

/* Made by mkdtemp(3); removed at exit, whatever happens. */
static char folder[PATH_MAX];
static pid_t owner;
enum { RECORDING, MEMORY, BARS, NAMES };
static const char *const names[NAMES] = {"recording", "memory.svg", "bars.svg"};
static char paths[NAMES][PATH_MAX + 16];

static void remove_folder(void)
{
    if (getpid() != owner) {
        return; /* a process that was to become the program */
    }
    for (size_t i = 0; i < NAMES; i++) {
        (void)unlink(paths[i]);
    }
    (void)rmdir(folder);
}

static void end_by(int number)
{
    remove_folder();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* A signal that is ignored stays so. */
static void catch_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (signal(signals[i], end_by) == SIG_IGN) {
            (void)signal(signals[i], SIG_IGN);
        }
    }
}

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/') {
        base = "/tmp";
    }
    int length = snprintf(folder, sizeof folder, "%s/cairn-lab-XXXXXX", base);
    if (length >= (int)sizeof folder || mkdtemp(folder) == NULL) {
        fail(EXIT_CAIRN, "lab: cannot make a folder in %s: %s; set TMPDIR to another", base,
             length >= (int)sizeof folder ? "its path is too long" : strerror(errno));
    }
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    }
    owner = getpid();
    (void)atexit(remove_folder);
    catch_signals();
}

/* The path of a file that need not be there yet, without links in its folder; "" if there is no such folder. */
static const char *place_of(const char *path, char place[2 * PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    char *folder_of = slash == NULL ? text_of(".") : text_of("%.*s", (int)(slash - path + 1), path);
    char resolved[PATH_MAX] = "";
    if (realpath(folder_of, resolved) != NULL) {
        snprintf(place, 2 * PATH_MAX, "%s/%s", resolved, slash == NULL ? path : slash + 1);
    } else {
        place[0] = '\0';
    }
    free(folder_of);
    return place;
}

static bool is_same_file(const char *path, const char *other)
{
    static char places[2][2 * PATH_MAX];
    struct stat status, other_status;
    if (stat(path, &status) == 0 && stat(other, &other_status) == 0) {
        return status.st_dev == other_status.st_dev && status.st_ino == other_status.st_ino;
    }
    return strcmp(place_of(path, places[0]), place_of(other, places[1])) == 0;
}

static void check_files(const struct lab_options *options)
{
    usage_check_output("lab: --output", options->output);
    if (options->keep != NULL) {
        usage_check_output("lab: --keep", options->keep);
        if (is_same_file(options->output, options->keep)) {
            fail(EXIT_CAIRN, "lab: --output and --keep name the same file '%s'; name two", options->keep);
        }
    }
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

static void write_report(const char *path, const struct survey *survey, const struct play *plays, size_t count)
{
    plot_draw(paths[MEMORY], PLOT_MEMORY, plays, count, true);
    plot_draw(paths[BARS], PLOT_BARS, plays, count, true);
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        page_write(out, survey, plays, count, paths[MEMORY], paths[BARS]);
    }
    if (out == NULL || fflush(out) != 0 || ferror(out) || fclose(out) != 0) {
        fail(EXIT_CAIRN, "lab: cannot write '%s': %s; name another file with -o", path, strerror(errno));
    }
    say("report written to '%s'", path);
}

/* Every geometry by the fit Cairn chooses; every fit, with pools and without; every other allocator. */
static void add_policies(struct policies *policies, const struct lab_options *options)
{
    static const char fits[] = "best,first,next,worst";
    policies_add_heaps(policies, NULL, "default,cpython,classic", "on");
    if (options->geometries != NULL) {
        policies_add_heaps(policies, NULL, options->geometries, "on");
    }
    policies_add_heaps(policies, fits, NULL, "on,off");
    policies_add_installed(policies);
}

static int work(const struct lab_options *options, int count, char **arguments, int first)
{
    static struct policies policies;
    struct survey survey;
    if (!plot_possible()) {
        fail(EXIT_CAIRN, "lab: gnuplot is not installed; on Debian: apt-get install gnuplot-nox");
    }
    add_policies(&policies, options);
    check_files(options);
    make_folder();
    const char *recording = options->keep != NULL ? options->keep : paths[RECORDING];
    struct record_wish wish = {.command = "lab", .path = recording, .quiet = options->keep == NULL};
    say_end(record_program(&wish, count, arguments, first), arguments[first]);
    replay_survey(&survey, "lab", recording);
    struct play *plays = replay_all(recording, &survey, &policies, &options->wish);
    size_t failed = replay_complain(plays, policies.count);
    write_report(options->output, &survey, plays, policies.count);
    free(plays);
    free(survey.description);
    return failed > 0 ? EXIT_PLAY_FAILED : 0;
}

int lab_execute(int count, char **arguments)
{
    enum { OPTION_KEEP = 256, OPTION_GEOMETRY, OPTION_THREADS, OPTION_PACED };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"keep", required_argument, NULL, OPTION_KEEP},
                                            {"geometry", required_argument, NULL, OPTION_GEOMETRY},
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
        case OPTION_GEOMETRY:
            usage_add_to_list(&wish.geometries, optarg, '/');
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
