/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* replay.c: `cairn replay`: the same requests under other policies. Single-threaded; the players are other processes
 * (player.h). */

#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "plot.h"
#include "results.h"
#include "usage.h"

enum { EXIT_PLAY_FAILED = 1 };

enum {
    BAR_AFTER_MS = 700,
    BAR_WIDTH = 30,  /* cells */
    BAR_NARROW = 10, /* in a narrow terminal */
    BAR_WORDS = 10,  /* columns for brackets, per cent and spaces, and one that stays free */
    COLUMNS = 80,    /* of a terminal that does not say */
    COLUMNS_OF_WIDE = 60,
};

void replay_help(void)
{
    puts("Usage: cairn replay [OPTIONS] FILE\n"
         "Plays the requests that 'cairn record' wrote to FILE under one or more policies, checks the\n"
         "contents of every block, and compares time, memory and fragmentation.\n"
         "\n"
         "Policies (lists with commas, or the option once more; every combination is played):\n"
         "  --fit=LIST         which hole serves a request no pool serves: best, first, next, worst,\n"
         "                     default (the one Cairn chooses for a heap of that geometry)\n"
         "  --geometry=LIST    geometry of the heaps: default, cpython, classic, or one's own as for\n"
         "                     'cairn run', parted by /: classic/arena=2M,pool=32K/arena=4M\n"
         "  --pools=LIST       on, off (off: every request is served from a hole)\n"
         "  --allocator=LIST   other allocators to compare with: glibc, mimalloc, jemalloc, tcmalloc, or\n"
         "                     the path of a library to preload\n"
         "\n"
         "Options:\n"
         "  --threads          play with as many threads as were recorded, not in one\n"
         "  --paced            not faster than the program was, so that delays count\n"
         "  --verify=MODE      contents that are checked: full, ends (the default), off\n"
         "  --csv, --json      print figures for programs instead of the table\n"
         "  --plot=FILE        draw memory over time and a comparison to FILE, .svg or .png\n"
         "  -h, --help         show this help and exit\n"
         "\n"
         "Exit status: 0; 1: a policy failed the checks; 2: FILE is damaged or no recording; 125: an\n"
         "error of cairn's. See also cairn-replay(1).");
}

/* ---- the bar ---- */

static struct {
    char shown[256];     /* the line as it is on the terminal; "": none */
    uint64_t started_ms; /* 0: not yet */
    size_t index, count; /* of the play */
} bar;

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

/* Shows how much is done, if stderr is a terminal and it takes long. The line is never as wide as the terminal. */
static void show_bar(double share, const char *what)
{
    if (bar.started_ms == 0) {
        bar.started_ms = now_ms();
    }
    if (now_ms() - bar.started_ms < BAR_AFTER_MS || !isatty(STDERR_FILENO)) {
        return;
    }
    int columns = terminal_columns();
    int width = columns >= COLUMNS_OF_WIDE ? BAR_WIDTH : BAR_NARROW;
    int room = columns - width - BAR_WORDS;
    int done = (int)(share * width);
    char line[sizeof bar.shown];
    snprintf(line, sizeof line, "\r[%.*s%*s] %3.0f%%  %.*s\033[K", done, "##############################", width - done,
             "", 100 * share, room > 0 ? room : 0, what);
    if (strcmp(line, bar.shown) != 0) {
        strcpy(bar.shown, line);
        fputs(line, stderr);
    }
}

static void show_play(const struct play *play)
{
    double share = play->events > 0 ? (double)atomic_load(&play->progress) / (double)play->events : 1;
    show_bar(((double)bar.index + share) / (double)bar.count, play->policy.name);
}

static void clear_bar(void)
{
    if (bar.shown[0] != '\0') {
        fputs("\r\033[K", stderr);
        bar.shown[0] = '\0';
    }
}

static void show_reading(size_t done, size_t size)
{
    show_bar((double)done / (double)size, "reading");
    if (done == size) {
        clear_bar();
    }
}

void replay_survey(struct survey *survey, const char *command, const char *path)
{
    survey_read(survey, command, path, show_reading);
}

/* ---- playing ---- */

struct play *replay_all(const char *path, const struct survey *survey, const struct policies *policies,
                        const struct replay_wish *wish)
{
    struct play *plays = calloc(policies->count, sizeof *plays);
    char absolute[PATH_MAX];
    if (plays == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    if (realpath(path, absolute) == NULL) {
        fail(EXIT_CAIRN, "cannot read '%s': %s", path, strerror(errno));
    }
    bar.count = policies->count;
    for (size_t i = 0; i < policies->count; i++) {
        struct play *play = &plays[i];
        strcpy(play->path, absolute);
        play->policy = policies->policy[i];
        play->verify = wish->verify;
        play->threads = wish->threads && survey->threads > 1;
        play->paced = wish->paced;
        play->python = survey->python;
        play->events = survey->events;
        play->peak_event = survey->peak_event;
        play->objects = survey->objects;
        bar.index = i;
        play_run(play, show_play);
    }
    clear_bar();
    return plays;
}

size_t replay_complain(const struct play *plays, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (plays[i].fault[0] != '\0') {
            say("%s: %s", plays[i].policy.name, plays[i].fault);
            failed++;
        } else if (plays[i].failed > 0) {
            say("%s: %llu requests were answered with NULL, so its memory is not what the program would have needed",
                plays[i].policy.name, (unsigned long long)plays[i].failed);
        }
    }
    return failed;
}

/* ---- the command ---- */

enum form { FORM_TABLE, FORM_CSV, FORM_JSON };

struct replay_options {
    char *fits, *geometries, *pools, *allocators; /* lists; NULL: not given */
    const char *plot;
    struct replay_wish wish;
    enum form form;
    bool help;
};

enum {
    OPTION_FIT = 256,
    OPTION_GEOMETRY,
    OPTION_POOLS,
    OPTION_ALLOCATOR,
    OPTION_THREADS,
    OPTION_PACED,
    OPTION_VERIFY,
    OPTION_CSV,
    OPTION_JSON,
    OPTION_PLOT
};

static const struct option option_table[] = {{"fit", required_argument, NULL, OPTION_FIT},
                                             {"geometry", required_argument, NULL, OPTION_GEOMETRY},
                                             {"pools", required_argument, NULL, OPTION_POOLS},
                                             {"allocator", required_argument, NULL, OPTION_ALLOCATOR},
                                             {"threads", no_argument, NULL, OPTION_THREADS},
                                             {"paced", no_argument, NULL, OPTION_PACED},
                                             {"verify", required_argument, NULL, OPTION_VERIFY},
                                             {"csv", no_argument, NULL, OPTION_CSV},
                                             {"json", no_argument, NULL, OPTION_JSON},
                                             {"plot", required_argument, NULL, OPTION_PLOT},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static void check_plot(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot == NULL || (strcmp(dot, ".svg") != 0 && strcmp(dot, ".png") != 0)) {
        fail(EXIT_CAIRN, "--plot: '%s' is neither .svg nor .png; name such a file", path);
    }
    if (!plot_possible()) {
        fail(EXIT_CAIRN, "--plot: gnuplot is not installed; on Debian: apt-get install gnuplot-nox");
    }
    usage_check_output("--plot", path);
}

static void take_option(struct replay_options *options, int answer)
{
    static const char *const modes[] = {"off", "ends", "full", NULL};
    switch (answer) {
    case OPTION_FIT:
        usage_add_to_list(&options->fits, optarg, ',');
        break;
    case OPTION_GEOMETRY:
        usage_add_to_list(&options->geometries, optarg, '/');
        break;
    case OPTION_POOLS:
        usage_add_to_list(&options->pools, optarg, ',');
        break;
    case OPTION_ALLOCATOR:
        usage_add_to_list(&options->allocators, optarg, ',');
        break;
    case OPTION_THREADS:
        options->wish.threads = true;
        break;
    case OPTION_PACED:
        options->wish.paced = true;
        break;
    case OPTION_VERIFY:
        options->wish.verify = (enum verify)usage_choice("--verify", optarg, strlen(optarg), modes);
        break;
    case OPTION_CSV:
    case OPTION_JSON:
        if (options->form != FORM_TABLE) {
            fail(EXIT_CAIRN, "--csv and --json exclude each other, and once is enough");
        }
        options->form = answer == OPTION_CSV ? FORM_CSV : FORM_JSON;
        break;
    case OPTION_PLOT:
        options->plot = optarg;
        break;
    default:
        options->help = true;
        break;
    }
}

static void read_options(struct replay_options *options, int count, char **arguments)
{
    for (;;) {
        optopt = 0;
        int answer = getopt_long(count, arguments, ":h", option_table, NULL);
        if (answer == -1) {
            return;
        }
        if (answer == '?' || answer == ':') {
            usage_fail("replay", option_table, answer, arguments[optind - 1]);
        }
        take_option(options, answer);
    }
}

static void print_results(const struct replay_options *options, const struct survey *survey, const struct play *plays,
                          size_t count)
{
    switch (options->form) {
    case FORM_TABLE:
        results_print(stdout, survey, plays, count);
        break;
    case FORM_CSV:
        results_print_csv(stdout, plays, count);
        break;
    case FORM_JSON:
        results_print_json(stdout, survey, plays, count);
        break;
    }
}

static int replay_file(const struct replay_options *options, const char *path)
{
    static struct policies policies;
    struct survey survey;
    policies_add_heaps(&policies, options->fits, options->geometries, options->pools);
    policies_add_allocators(&policies, options->allocators);
    if (options->plot != NULL) {
        check_plot(options->plot);
    }
    replay_survey(&survey, "replay", path);
    struct play *plays = replay_all(path, &survey, &policies, &options->wish);
    print_results(options, &survey, plays, policies.count);
    int status = finish_output();
    size_t failed = replay_complain(plays, policies.count);
    if (options->plot != NULL) {
        plot_draw(options->plot, PLOT_BOTH, plays, policies.count, false);
    }
    free(plays);
    free(survey.description);
    return status != 0 ? status : failed > 0 ? EXIT_PLAY_FAILED : 0;
}

int replay_execute(int count, char **arguments)
{
    struct replay_options options = {.wish.verify = VERIFY_ENDS};
    if (count == 3 && strcmp(arguments[1], "--player") == 0) { /* started by play_run() */
        return player_main(atoi(arguments[2]));
    }
    read_options(&options, count, arguments);
    if (options.help) {
        replay_help();
        return finish_output();
    }
    if (optind == count) {
        fail(EXIT_CAIRN, "no recording given; usage: cairn replay [OPTIONS] FILE");
    }
    if (optind + 1 < count) {
        fail(EXIT_CAIRN, "replay takes one recording, and '%s' is one too many", arguments[optind + 1]);
    }
    return replay_file(&options, arguments[optind]);
}
