/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* run_options.c: see run_options.h. Values are put into the form that src/heap/options.h documents (sizes as bytes,
 * the reports' files as absolute paths), so that the library sees nothing it could refuse. Strings made here live until
 * the exec. Single-threaded. */

#include "run_options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cairn.h"
#include "heap/options.h"
#include "message.h"

struct run_option {
    const char *name;
    int argument;                            /* as in struct option */
    const char *metavar;                     /* how help shows the argument, with its '=' */
    const char *variable;                    /* what it sets; NULL: nothing */
    const char *fixed;                       /* the value if there is no argument */
    const char *(*check)(const char *value); /* returns the value to set; ends the process if it is bad */
    const char *help;
};

/* ---- values ---- */

enum { CHOICES_MAX = 5 };

/* Returns `value` if it is one of `choices` (ends with NULL), else says which there are. */
static const char *check_choice(const char *option, const char *value, const char *const choices[CHOICES_MAX])
{
    char list[128] = "";
    size_t count = 0;

    for (; choices[count] != NULL; count++) {
        if (strcmp(choices[count], value) == 0) {
            return value;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", count > 0 ? ", " : "", choices[count]);
    }
    const char *nearest = nearest_name(value, choices, count);
    if (nearest != NULL) {
        fail(EXIT_CAIRN, "%s: unknown value '%s', did you mean %s? Valid: %s", option, value, nearest, list);
    }
    fail(EXIT_CAIRN, "%s: unknown value '%s'; valid: %s", option, value, list);
}

static const char *check_stats(const char *value)
{
    static const char *const formats[CHOICES_MAX] = {"text", "json"};
    return check_choice("--stats", value, formats);
}

/* Words joined by commas. */
static const char *check_leaks(const char *value)
{
    static const char *const words[CHOICES_MAX] = {"text", "json", "all", "fail"};
    const char *word = value;

    for (;;) {
        size_t length = strcspn(word, ",");
        (void)check_choice("--leaks", text_of("%.*s", (int)length, word), words);
        if (word[length] == '\0') {
            return value;
        }
        word += length + 1;
    }
}

static const char *check_geometry(const char *value)
{
    static const char *const presets[CHOICES_MAX] = {"classic", "cpython", "default"};
    cairn_geometry geometry;
    char error[240];

    if (strchr(value, '=') == NULL) {
        return check_choice("--geometry", value, presets);
    }
    if (cairn_geometry_parse(value, &geometry, error, sizeof error) != 0) {
        fail(EXIT_CAIRN, "--geometry: %s", error);
    }
    return value;
}

static const char *check_fit(const char *value)
{
    return check_choice("--fit", value, fit_names);
}

static const char *check_huge(const char *value)
{
    static const char *const answers[CHOICES_MAX] = {"never", "auto", "always"};
    return check_choice("--huge", value, answers);
}

static const char *check_pools(const char *value)
{
    static const char *const answers[CHOICES_MAX] = {"on", "off"};
    return check_choice("--pools", value, answers);
}

static const char *check_misuse(const char *value)
{
    static const char *const answers[CHOICES_MAX] = {"abort", "report"};
    return check_choice("--misuse", value, answers);
}

/* Reads decimal digits and nothing else; sets *rest to what follows. False if there are none or too many. */
static bool read_number(const char *text, uint64_t *number, const char **rest)
{
    char *end = NULL;

    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

/* The power of two that a size suffix stands for: K, M, G or T in either case, which may be written K, KB or KiB; 0 if
 * there is none; -1 for an unknown one. */
static int suffix_shift(const char *suffix)
{
    static const char letters[] = "KMGT";

    if (suffix[0] == '\0') {
        return 0;
    }
    const char *letter = strchr(letters, toupper((unsigned char)suffix[0]));
    bool bytes = strcmp(suffix + 1, "") == 0 || strcmp(suffix + 1, "B") == 0 || strcmp(suffix + 1, "iB") == 0;
    return letter != NULL && bytes ? 10 * (int)(letter - letters + 1) : -1;
}

static const char *check_limit(const char *value)
{
    uint64_t number = 0;
    const char *suffix = "";
    int shift = read_number(value, &number, &suffix) ? suffix_shift(suffix) : -1;

    if (shift < 0 || number > (uint64_t)PTRDIFF_MAX >> shift) {
        fail(EXIT_CAIRN, "--limit: bad size '%s'; give bytes, or a number with K, M, G or T, such as 512M", value);
    }
    return text_of("%" PRIu64, number << shift);
}

static const char *check_purge_delay(const char *value)
{
    uint64_t number = 0;
    const char *rest = "";

    if (!read_number(value, &number, &rest) || rest[0] != '\0' || number > UINT_MAX) {
        fail(EXIT_CAIRN, "--purge-delay: bad time '%s'; give whole milliseconds, 0 to %u", value, UINT_MAX);
    }
    return text_of("%" PRIu64, number);
}

static const char *check_path(const char *option, const char *value, const char *example)
{
    if (value[0] == '\0') {
        fail(EXIT_CAIRN, "%s: the path is empty; name a file, such as %s", option, example);
    }
    return value;
}

static const char *check_stats_file(const char *value)
{
    return check_path("--stats-file", value, "stats-%p.json");
}

static const char *check_leaks_file(const char *value)
{
    return check_path("--leaks-file", value, "leaks-%p.txt");
}

/* A whole number from `least` to `most`; says what else it is. */
static const char *check_number(const char *option, const char *value, uint64_t least, uint64_t most,
                                const char *wanted)
{
    uint64_t number = 0;
    const char *rest = "";

    if (!read_number(value, &number, &rest) || rest[0] != '\0' || number < least || number > most) {
        fail(EXIT_CAIRN, "%s: bad number '%s'; give %s", option, value, wanted);
    }
    return text_of("%" PRIu64, number);
}

static const char *check_leaks_frames(const char *value)
{
    _Static_assert(LEAKS_FRAMES_MAX == 64, "as the text says");
    return check_number("--leaks-frames", value, 1, LEAKS_FRAMES_MAX, "a whole number from 1 to 64");
}

static const char *check_gc(const char *value)
{
    static const char *const modes[CHOICES_MAX] = {"stock", "snapshot"};
    return check_choice("--gc", value, modes);
}

static const char *check_gc_explicit(const char *value)
{
    static const char *const answers[CHOICES_MAX] = {"exact", "snapshot"};
    return check_choice("--gc-explicit", value, answers);
}

static const char *check_gc_floating(const char *value)
{
    return check_number("--gc-floating", value, 1, 100, "whole percent of the live objects, 1 to 100");
}

static const char *check_gc_copied(const char *value)
{
    return check_number("--gc-copied", value, 1, 100, "whole percent of the program's memory, 1 to 100");
}

static const char *check_gc_slices(const char *value)
{
    return check_number("--gc-slices", value, 0, PTRDIFF_MAX, "a whole number of objects, such as 2000");
}

static const char *check_gc_minimum(const char *value)
{
    return check_number("--gc-minimum", value, 0, PTRDIFF_MAX, "a whole number of objects, such as 100000");
}

static const char *check_gc_trace(const char *value)
{
    return check_path("--gc-trace", value, "trace-%p.json");
}

/* ---- the table ---- */

/* Options in the order help shows them; indexes are the RUN_ values. */
static const struct run_option table[RUN_OPTION_COUNT] = {
    [RUN_STATS] = {"stats", optional_argument, "[=text|json]", "CAIRN_STATS", "text", check_stats,
                   "print statistics at exit, to stderr, as text\nfor people (the default) or as JSON"},
    [RUN_STATS_FILE] = {"stats-file", required_argument, "=PATH", "CAIRN_STATS_FILE", NULL, check_stats_file,
                        "write them to PATH instead; %p in it becomes\nthe process id; implies --stats"},
    [RUN_STATS_CHILDREN] = {"stats-children", no_argument, "", "CAIRN_STATS_CHILDREN", "1", NULL,
                            "child processes print theirs too;\nimplies --stats"},
    [RUN_LEAKS] =
        {"leaks", optional_argument, "[=WORDS]", "CAIRN_LEAKS", "text", check_leaks,
         "report at exit what is still allocated; WORDS,\njoined by commas: json, all (also where Python's\nobjects "
         "come from), fail (end with status\n99)"},
    [RUN_LEAKS_FILE] = {"leaks-file", required_argument, "=PATH", "CAIRN_LEAKS_FILE", NULL, check_leaks_file,
                        "write that report to PATH instead of stderr;\n%p in it becomes the process id;\nimplies "
                        "--leaks"},
    [RUN_LEAKS_FRAMES] = {"leaks-frames", required_argument, "=N", "CAIRN_LEAKS_FRAMES", NULL, check_leaks_frames,
                          "callers that are shown of each block, 1 to 64\n(the default is 8); implies --leaks"},
    [RUN_NO_CHILDREN] = {"no-children", no_argument, "", "CAIRN_CHILDREN", "0", NULL,
                         "programs that PROGRAM starts run without\nCairn"},
    [RUN_GEOMETRY] = {"geometry", required_argument, "=GEOMETRY", "CAIRN_GEOMETRY", NULL, check_geometry,
                      "geometry of the heaps: classic, cpython,\ndefault, or fields such as\narena=1M,pool=16K"},
    [RUN_FIT] = {"fit", required_argument, "=FIT", "CAIRN_FIT", NULL, check_fit,
                 "which hole serves a request that no pool\nserves: best, first, next or worst"},
    [RUN_POOLS] = {"pools", required_argument, "=on|off", "CAIRN_POOLS", NULL, check_pools,
                   "off: serve every request, however small,\nfrom a hole"},
    [RUN_HUGE] = {"huge", required_argument, "=WHEN", "CAIRN_HUGE", NULL, check_huge,
                  "back memory by huge pages: never, auto (the\ndefault: blocks above 4 MiB) or always"},
    [RUN_LIMIT] = {"limit", required_argument, "=SIZE", "CAIRN_LIMIT", NULL, check_limit,
                   "most bytes each heap (malloc's and Python's) may\nhold, or with K, M, G or T; "
                   "requests beyond it fail;\n0: no limit"},
    [RUN_PURGE_DELAY] = {"purge-delay", required_argument, "=MS", "CAIRN_PURGE_DELAY", NULL, check_purge_delay,
                         "milliseconds that free pools keep their memory, a\nquarter of that in a wait (the default is "
                         "200);\n0: give it back at once"},
    [RUN_MISUSE] = {"misuse", required_argument, "=abort|report", "CAIRN_MISUSE", NULL, check_misuse,
                    "on a bad or double free: end the program (the\ndefault), or only report it"},
    [RUN_NO_PYTHON] = {"no-python", no_argument, "", "CAIRN_PYTHON", "0", NULL,
                       "serve malloc, but leave CPython its own\nallocators"},
    [RUN_GC] = {"gc", required_argument, "=stock|snapshot", "CAIRN_GC", NULL, check_gc,
                "who finds Python's old garbage: CPython, with\nthe program stopped (the default), or Cairn, in\na "
                "snapshot of the process"},
    [RUN_GC_FLOATING] = {"gc-floating", required_argument, "=PERCENT", "CAIRN_GC_FLOATING", NULL, check_gc_floating,
                         "garbage that may wait for a snapshot, in\npercent of the live objects (the default is\n10)"},
    [RUN_GC_COPIED] = {"gc-copied", required_argument, "=PERCENT", "CAIRN_GC_COPIED", NULL, check_gc_copied,
                       "pages that may be copied for a snapshot, in\npercent of all (the default is 25)"},
    [RUN_GC_EXPLICIT] = {"gc-explicit", required_argument, "=ANSWER", "CAIRN_GC_EXPLICIT", NULL, check_gc_explicit,
                         "what gc.collect() does: exact, CPython's\n(the default), or snapshot"},
    [RUN_GC_MINIMUM] = {"gc-minimum", required_argument, "=N", "CAIRN_GC_MINIMUM", NULL, check_gc_minimum,
                        "objects below which CPython does its own\nfull collections (default 100000)"},
    [RUN_GC_SLICES] = {"gc-slices", required_argument, "=N", "CAIRN_GC_SLICES", NULL, check_gc_slices,
                       "objects from which on a circle of garbage is\nfreed in slices (default 2000)"},
    [RUN_GC_TRACE] =
        {"gc-trace", required_argument, "=PATH", "CAIRN_GC_TRACE", NULL, check_gc_trace,
         "write every stop of Python's collector to PATH,\nfor ui.perfetto.dev; %p becomes the process\nid"},
    [RUN_HELP] = {"help", no_argument, "", NULL, NULL, NULL, "show this help and exit"},
};

enum { HELP_COLUMN = 29 };

void run_options_print(void)
{
    for (int i = 0; i < RUN_OPTION_COUNT; i++) {
        const char *line = table[i].help;
        int width = printf("  %s--%s%s", i == RUN_HELP ? "-h, " : "", table[i].name, table[i].metavar);
        for (;;) {
            int length = (int)strcspn(line, "\n");
            printf("%*s%.*s", HELP_COLUMN - width, "", length, line);
            line += length;
            if (*line++ == '\0') {
                break;
            }
            putchar('\n');
            width = 0;
        }
        if (table[i].variable != NULL) {
            printf(" [%s]", table[i].variable);
        }
        putchar('\n');
    }
}

/* ---- reading ---- */

static _Noreturn void fail_unknown(const char *word)
{
    const char *names[RUN_OPTION_COUNT];
    const char *nearest = NULL;

    for (int i = 0; i < RUN_OPTION_COUNT; i++) {
        names[i] = table[i].name;
    }
    if (strncmp(word, "--", 2) == 0) {
        nearest = nearest_name(word + 2, names, RUN_OPTION_COUNT);
    }
    if (nearest != NULL) {
        fail(EXIT_CAIRN, "run: unknown option '%s'; did you mean --%s?", word, nearest);
    }
    fail(EXIT_CAIRN, "run: unknown option '%s'; see 'cairn run --help' (a program's own options follow its name)",
         word);
}

/* Says what is wrong with the word getopt stopped at. `index` is the option it belongs to, or 0 or less. */
static _Noreturn void fail_option(int answer, int index, const char *word)
{
    if (index < 1 || index > RUN_OPTION_COUNT) {
        fail_unknown(word);
    }
    const struct run_option *option = &table[index - 1];
    if (answer == ':') {
        fail(EXIT_CAIRN, "--%s needs a value: --%s%s", option->name, option->name, option->metavar);
    }
    fail(EXIT_CAIRN, "--%s takes no value; write just --%s", option->name, option->name);
}

int run_options_read(struct run_options *options, int count, char **arguments)
{
    struct option names[RUN_OPTION_COUNT + 1];

    memset(names, 0, sizeof names);
    for (int i = 0; i < RUN_OPTION_COUNT; i++) {
        names[i].name = table[i].name;
        names[i].has_arg = table[i].argument;
        names[i].val = i + 1; /* not 0, which getopt keeps for itself */
    }
    for (;;) {
        optopt = 0;
        int answer = getopt_long(count, arguments, "+:h", names, NULL);
        if (answer == -1) {
            return optind;
        }
        if (answer == '?' || answer == ':') {
            fail_option(answer, optopt, arguments[optind - 1]);
        }
        if (answer == 'h' || answer == RUN_HELP + 1) {
            options->help = true;
            continue;
        }
        const struct run_option *option = &table[answer - 1];
        const char *value = optarg != NULL ? optarg : option->fixed;
        options->values[answer - 1] = option->check != NULL ? option->check(value) : value;
    }
}

/* ---- checking ---- */

/* Replaces every %p by this process's id, which the exec keeps. */
static void expand_path(const char *option, const char *path, char expanded[PATH_MAX])
{
    size_t length = 0;

    for (const char *from = path; *from != '\0' && length < PATH_MAX; from++) {
        if (from[0] == '%' && from[1] == 'p') {
            length += (size_t)snprintf(expanded + length, PATH_MAX - length, "%ld", (long)getpid());
            from++;
        } else {
            expanded[length++] = *from;
        }
    }
    if (length >= PATH_MAX) {
        fail(EXIT_CAIRN, "--%s: the path '%.60s...' is too long", option, path);
    }
    expanded[length] = '\0';
}

/* Checks that the folder of `file` can take a new file. Changes `file`. */
static void check_folder(const char *option, char *file)
{
    char *slash = strrchr(file, '/');
    const char *folder = file;
    struct stat status;

    if (slash == NULL) {
        folder = ".";
    } else if (slash == file) {
        folder = "/";
    } else {
        *slash = '\0';
    }
    if (stat(folder, &status) != 0) {
        fail(EXIT_CAIRN, "--%s: no folder '%s' (%s); make it first", option, folder, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        fail(EXIT_CAIRN, "--%s: '%s' is not a folder; name a file in one", option, folder);
    }
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        fail(EXIT_CAIRN, "--%s: cannot write in '%s': %s; choose another folder", option, folder, strerror(errno));
    }
}

static void check_writable(const char *option, const char *path)
{
    char file[PATH_MAX];
    struct stat status;

    expand_path(option, path, file);
    if (stat(file, &status) != 0) {
        if (file[strlen(file) - 1] == '/') {
            fail(EXIT_CAIRN, "--%s: '%s' is a folder; name a file in it", option, file);
        }
        check_folder(option, file);
    } else if (S_ISDIR(status.st_mode)) {
        fail(EXIT_CAIRN, "--%s: '%s' is a folder; name a file in it", option, file);
    } else if (faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) != 0) {
        fail(EXIT_CAIRN, "--%s: cannot write '%s': %s; choose another file", option, file, strerror(errno));
    }
}

/* The program may change its folder before it exits: makes the path absolute. A working folder whose own name holds
 * %p would be misread, so there the path stays as it is. */
static const char *absolute_path(const char *path)
{
    char folder[PATH_MAX];

    if (path[0] == '/' || getcwd(folder, sizeof folder) == NULL || strstr(folder, "%p") != NULL) {
        return path;
    }
    return text_of("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
}

/* The environment's value of an option's variable, or NULL if it is unset or empty. */
static const char *inherited(int option)
{
    const char *value = getenv(table[option].variable);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool run_options_no_children(const struct run_options *options)
{
    const char *value = options->values[RUN_NO_CHILDREN];

    if (value == NULL) {
        value = inherited(RUN_NO_CHILDREN);
    }
    return value != NULL && strcmp(value, "0") == 0;
}

/* True if child processes print statistics too. */
static bool children_print(const struct run_options *options)
{
    const char *value = options->values[RUN_STATS_CHILDREN];

    if (value == NULL) {
        value = inherited(RUN_STATS_CHILDREN);
    }
    return value != NULL && strcmp(value, "1") == 0;
}

/* Several processes append to one file: what an earlier run left there goes first. */
static void empty_file(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return;
    }
    if (truncate(path, 0) != 0) {
        fail(EXIT_CAIRN, "--stats-file: cannot empty '%s': %s; choose another file", path, strerror(errno));
    }
}

/* An option is implied if it is given neither here nor by the environment. */
static void imply(struct run_options *options, int option)
{
    if (options->values[option] == NULL && inherited(option) == NULL) {
        options->values[option] = table[option].fixed;
    }
}

static void check_gc_options(struct run_options *options)
{
    const char *trace = options->values[RUN_GC_TRACE];

    if (options->values[RUN_NO_PYTHON] != NULL && options->values[RUN_GC] != NULL &&
        strcmp(options->values[RUN_GC], "snapshot") == 0) {
        fail(EXIT_CAIRN, "--gc=snapshot and --no-python exclude each other: snapshots need Python's memory on Cairn; "
                         "drop one");
    }
    if (trace != NULL) {
        check_writable("gc-trace", trace);
        options->values[RUN_GC_TRACE] = absolute_path(trace);
    }
}

static void check_leaks_options(struct run_options *options)
{
    const char *file = options->values[RUN_LEAKS_FILE];

    if (file != NULL) {
        check_writable("leaks-file", file);
        options->values[RUN_LEAKS_FILE] = absolute_path(file);
    }
    if (file != NULL || options->values[RUN_LEAKS_FRAMES] != NULL) {
        imply(options, RUN_LEAKS);
    }
}

void run_options_check(struct run_options *options)
{
    const char *file = options->values[RUN_STATS_FILE];
    bool children = options->values[RUN_STATS_CHILDREN] != NULL;

    if (children && options->values[RUN_NO_CHILDREN] != NULL) {
        fail(EXIT_CAIRN, "--stats-children and --no-children exclude each other; drop one");
    }
    if (options->values[RUN_GEOMETRY] != NULL && options->values[RUN_POOLS] != NULL &&
        strcmp(options->values[RUN_POOLS], "off") == 0) {
        fail(EXIT_CAIRN,
             "--geometry and --pools=off exclude each other: a heap without pools has no geometry; drop one");
    }
    if (file != NULL) {
        check_writable("stats-file", file);
        if (children_print(options) && strstr(file, "%p") == NULL) {
            empty_file(file);
        }
        options->values[RUN_STATS_FILE] = absolute_path(file);
    }
    if (file != NULL || children) {
        imply(options, RUN_STATS);
    }
    check_leaks_options(options);
    check_gc_options(options);
}

void run_options_set(const struct run_options *options, void (*set)(const char *name, const char *value))
{
    for (int i = 0; i < RUN_OPTION_COUNT; i++) {
        if (options->values[i] != NULL) {
            set(table[i].variable, options->values[i]);
        }
    }
}
