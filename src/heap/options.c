/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* options.c: reads the CAIRN_* environment variables by the table below.
 *
 * The values are read into place once, by the thread that comes first; the others wait for it (a matter of
 * microseconds). A value that does not parse leaves the default. What is wrong is reported after everything has been
 * read, because who may speak is an option too. No allocation, no stdio, no locale. */

#include "heap/options.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "heap/text.h"
#include "os/os.h"

#define PREFIX "CAIRN_"

/* One option: its name, what its value must be (for the report), and the function that stores it (false: malformed;
 * nothing stored). */
struct option {
    const char *name;
    const char *wanted;
    bool (*store)(struct options *into, const char *text);
};

/* ---- values ---- */

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
    uint64_t value;
    if (!text_digits(&text, &value) || *text != '\0' || value > most) {
        return false;
    }
    *number = value;
    return true;
}

static bool read_size(const char *text, size_t *size)
{
    size_t value;
    if (!text_size(&text, &value) || *text != '\0') {
        return false;
    }
    *size = value;
    return true;
}

static bool read_switch(const char *text, bool *on)
{
    uint64_t value;
    if (!read_number(text, 1, &value)) {
        return false;
    }
    *on = value == 1;
    return true;
}

/* ---- the options ---- */

static bool store_geometry(struct options *into, const char *text)
{
    into->geometry_given = cairn_geometry_parse(text, &into->geometry, NULL, 0) == 0;
    return into->geometry_given;
}

/* The place of a word in a list that ends in NULL, or -1. */
static int place_of(const char *const *names, const char *text)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static bool store_fit(struct options *into, const char *text)
{
    int fit = place_of(fit_names, text);
    into->fit = fit < 0 ? into->fit : (cairn_fit)fit;
    return fit >= 0;
}

/* By cairn_huge. */
static const char *const huge_names[] = {"auto", "never", "always", NULL};

static bool store_huge(struct options *into, const char *text)
{
    int huge = place_of(huge_names, text);
    into->huge = huge < 0 ? into->huge : (cairn_huge)huge;
    return huge >= 0;
}

static bool store_pools(struct options *into, const char *text)
{
    into->no_pools = strcmp(text, "off") == 0;
    return into->no_pools || strcmp(text, "on") == 0;
}

static bool store_limit(struct options *into, const char *text)
{
    return read_size(text, &into->limit);
}

static bool store_purge_delay(struct options *into, const char *text)
{
    uint64_t value;
    if (!read_number(text, UINT_MAX, &value)) {
        return false;
    }
    into->purge_delay_ms = (unsigned)value;
    return true;
}

static bool store_stats(struct options *into, const char *text)
{
    if (strcmp(text, "text") == 0) {
        into->stats = STATS_TEXT;
    } else if (strcmp(text, "json") == 0) {
        into->stats = STATS_JSON;
    } else {
        return false;
    }
    return true;
}

static bool store_stats_file(struct options *into, const char *text)
{
    into->stats_file = text;
    return true;
}

static bool store_stats_children(struct options *into, const char *text)
{
    return read_switch(text, &into->stats_children);
}

/* Stores one word of CAIRN_LEAKS. */
static bool store_leaks_word(struct leaks_options *into, const char *word, size_t length)
{
    static const struct {
        const char *name;
        size_t offset;
    } words[] = {
        {"1", offsetof(struct leaks_options, on)},      {"text", offsetof(struct leaks_options, on)},
        {"json", offsetof(struct leaks_options, json)}, {"all", offsetof(struct leaks_options, all)},
        {"fail", offsetof(struct leaks_options, fail)},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].name) == length && strncmp(words[i].name, word, length) == 0) {
            *(bool *)((char *)into + words[i].offset) = true;
            return true;
        }
    }
    return false;
}

static bool store_leaks(struct options *into, const char *text)
{
    struct leaks_options leaks = {.on = true};
    if (strcmp(text, "0") == 0) {
        into->leaks = (struct leaks_options){0};
        return true;
    }
    for (;;) {
        size_t length = strcspn(text, ",");
        if (!store_leaks_word(&leaks, text, length)) {
            return false;
        }
        if (text[length] == '\0') {
            into->leaks = leaks;
            return true;
        }
        text += length + 1;
    }
}

static bool store_leaks_file(struct options *into, const char *text)
{
    into->leaks_file = text;
    return true;
}

static bool store_leaks_frames(struct options *into, const char *text)
{
    uint64_t value;
    if (!read_number(text, LEAKS_FRAMES_MAX, &value) || value == 0) {
        return false;
    }
    into->leaks_frames = (unsigned)value;
    return true;
}

static bool store_misuse(struct options *into, const char *text)
{
    into->misuse_reports = strcmp(text, "report") == 0;
    return into->misuse_reports || strcmp(text, "abort") == 0;
}

static bool store_children(struct options *into, const char *text)
{
    bool follow;
    if (!read_switch(text, &follow)) {
        return false;
    }
    into->no_children = !follow;
    return true;
}

static bool store_python(struct options *into, const char *text)
{
    return read_switch(text, &into->python);
}

/* Of two words: 0 or 1, or -1 if it is neither. */
static int word_of(const char *text, const char *first, const char *second)
{
    return strcmp(text, first) == 0 ? 0 : strcmp(text, second) == 0 ? 1 : -1;
}

static bool store_gc(struct options *into, const char *text)
{
    int word = word_of(text, "stock", "snapshot");
    into->gc.snapshot = word == 1;
    return word >= 0;
}

static bool store_gc_explicit(struct options *into, const char *text)
{
    int word = word_of(text, "exact", "snapshot");
    into->gc.explicit_snapshot = word == 1;
    return word >= 0;
}

static bool read_percent(const char *text, unsigned *percent)
{
    uint64_t value;
    if (!read_number(text, 100, &value) || value == 0) {
        return false;
    }
    *percent = (unsigned)value;
    return true;
}

static bool store_gc_floating(struct options *into, const char *text)
{
    return read_percent(text, &into->gc.floating);
}

static bool store_gc_copied(struct options *into, const char *text)
{
    return read_percent(text, &into->gc.copied);
}

static bool read_objects(const char *text, size_t *objects)
{
    uint64_t value;
    if (!read_number(text, PTRDIFF_MAX, &value)) {
        return false;
    }
    *objects = (size_t)value;
    return true;
}

static bool store_gc_minimum(struct options *into, const char *text)
{
    return read_objects(text, &into->gc.minimum);
}

static bool store_gc_slices(struct options *into, const char *text)
{
    return read_objects(text, &into->gc.slices);
}

static bool store_gc_force(struct options *into, const char *text)
{
    uint64_t value;
    if (!read_number(text, UINT_MAX, &value)) {
        return false;
    }
    into->gc.force = (unsigned)value;
    return true;
}

static bool store_gc_trace(struct options *into, const char *text)
{
    into->gc.trace_file = text;
    return true;
}

static bool store_run_pid(struct options *into, const char *text)
{
    uint64_t value;
    if (!read_number(text, INT_MAX, &value)) {
        return false;
    }
    into->run_pid = (pid_t)value;
    return true;
}

static const struct option table[] = {
    {"CAIRN_GEOMETRY", "classic, cpython, default, or fields such as arena=1M,pool=16K", store_geometry},
    {"CAIRN_FIT", "best, first, next or worst", store_fit},
    {"CAIRN_POOLS", "on or off", store_pools},
    {"CAIRN_HUGE", "never, auto or always", store_huge},
    {"CAIRN_LIMIT", "a size in bytes, or with suffix K, M, G or T", store_limit},
    {"CAIRN_PURGE_DELAY", "a number of milliseconds", store_purge_delay},
    {"CAIRN_STATS", "text or json", store_stats},
    {"CAIRN_STATS_FILE", "a path", store_stats_file},
    {"CAIRN_STATS_CHILDREN", "0 or 1", store_stats_children},
    {"CAIRN_LEAKS", "0, 1, or of text, json, all and fail, joined by commas", store_leaks},
    {"CAIRN_LEAKS_FILE", "a path", store_leaks_file},
    {"CAIRN_LEAKS_FRAMES", "a number from 1 to 64", store_leaks_frames},
    {"CAIRN_MISUSE", "abort or report", store_misuse},
    {"CAIRN_CHILDREN", "0 or 1", store_children},
    {"CAIRN_PYTHON", "0 or 1", store_python},
    {"CAIRN_GC", "stock or snapshot", store_gc},
    {"CAIRN_GC_FLOATING", "a number from 1 to 100, in percent", store_gc_floating},
    {"CAIRN_GC_COPIED", "a number from 1 to 100, in percent", store_gc_copied},
    {"CAIRN_GC_EXPLICIT", "exact or snapshot", store_gc_explicit},
    {"CAIRN_GC_MINIMUM", "a number of objects", store_gc_minimum},
    {"CAIRN_GC_SLICES", "a number of objects", store_gc_slices},
    {"CAIRN_GC_FORCE", "a number of collections", store_gc_force},
    {"CAIRN_GC_TRACE", "a path", store_gc_trace},
    {"CAIRN_RUN_PID", "a process id", store_run_pid},
};

enum { OPTIONS = sizeof table / sizeof table[0] };

/* Variables of Cairn's build, tests, benchmarks and demo; not options of the library. One that ends in an underscore
 * stands for all that start with it. */
static const char *const neighbours[] = {"CAIRN_BUILD", "CAIRN_TEST_", "CAIRN_BENCH_", "CAIRN_DEMO_", "CAIRN_OBJECT_"};

/* ---- reading ---- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The value of NAME=VALUE if it is the option's, else NULL. */
static const char *value_of(const struct option *option, const char *variable)
{
    size_t length = strlen(option->name);
    return strncmp(variable, option->name, length) == 0 && variable[length] == '=' ? variable + length + 1 : NULL;
}

static const struct option *option_of(const char *variable, const char **value)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        *value = value_of(&table[i], variable);
        if (*value) {
            return &table[i];
        }
    }
    return NULL;
}

static bool is_neighbour(const char *variable)
{
    size_t name = strcspn(variable, "=");
    for (size_t i = 0; i < sizeof neighbours / sizeof neighbours[0]; i++) {
        size_t length = strlen(neighbours[i]);
        bool family = neighbours[i][length - 1] == '_';
        if (starts_with(variable, neighbours[i]) && (family || name == length)) {
            return true;
        }
    }
    return false;
}

static void set_defaults(struct options *into)
{
    memset(into, 0, sizeof *into);
    (void)cairn_geometry_preset("default", &into->geometry);
    into->fit = CAIRN_FIT_DEFAULT;
    into->purge_delay_ms = CAIRN_PURGE_DELAY_DEFAULT_MS;
    into->leaks_frames = LEAKS_FRAMES_DEFAULT;
    into->gc = (struct gc_options){
        .copied = GC_COPIED_DEFAULT, .minimum = GC_MINIMUM_DEFAULT, .slices = GC_SLICES_DEFAULT};
    into->python = true;
}

enum { LINE = 480 };

static void write_line(char line[LINE])
{
    text_append(line, LINE, " (see cairn run --help)\n", SIZE_MAX);
    os_write_error(line, strlen(line));
}

static void report(const char *variable, const struct option *option)
{
    enum { SHOWN = 200 };
    char line[LINE] = "cairn: ";
    char reason[LINE / 2] = "";
    size_t name = strcspn(variable, "=");
    text_append(line, LINE, variable, option ? SHOWN : (name < SHOWN ? name : SHOWN));
    if (!option) {
        text_append(line, LINE, " is not an option of Cairn", SIZE_MAX);
    } else if (option->store == store_geometry) {
        cairn_geometry ignored;
        (void)cairn_geometry_parse(variable + name + 1, &ignored, reason, sizeof reason);
        text_append(line, LINE, " is ignored: ", SIZE_MAX);
        text_append(line, LINE, reason, SIZE_MAX);
    } else {
        text_append(line, LINE, " is ignored: it must be ", SIZE_MAX);
        text_append(line, LINE, option->wanted, SIZE_MAX);
    }
    write_line(line);
}

/* Takes in one variable; false if there is something to report. An empty value counts as unset. */
static bool take_in(struct options *into, const char *variable, const struct option **option)
{
    const char *value;
    *option = option_of(variable, &value);
    if (*option) {
        return *value == '\0' || (*option)->store(into, value);
    }
    return is_neighbour(variable);
}

static bool may_speak(const struct options *from)
{
    return from->run_pid == 0 || from->run_pid == getpid();
}

static void report_all(const struct options *from, char **environment)
{
    if (!may_speak(from)) {
        return;
    }
    struct options scratch = *from;
    for (char **at = environment; *at; at++) {
        const struct option *option;
        if (starts_with(*at, PREFIX) && !take_in(&scratch, *at, &option)) {
            report(*at, option);
        }
    }
    if (from->no_pools && from->geometry_given) {
        char line[LINE] = "cairn: CAIRN_GEOMETRY has no effect with CAIRN_POOLS=off; drop one of them";
        write_line(line);
    }
}

static void read_environment(struct options *into, char **environment)
{
    set_defaults(into);
    if (!os_process_is_secure()) {
        for (char **at = environment; *at; at++) {
            const struct option *option;
            if (starts_with(*at, PREFIX)) {
                (void)take_in(into, *at, &option);
            }
        }
        report_all(into, environment);
    }
    into->read = true;
}

/* ---- once ---- */

enum { UNREAD, READING, READ };

static struct options options;
static atomic_int state = UNREAD;

/* Before the environment is known: the defaults, and the next call tries again. */
static const struct options *early_options(void)
{
    static struct options early;
    static atomic_int early_state = UNREAD;
    if (atomic_load_explicit(&early_state, memory_order_acquire) != READ) {
        set_defaults(&early); /* by the only thread there is: libc has not started yet */
        atomic_store_explicit(&early_state, READ, memory_order_release);
    }
    return &early;
}

const struct options *cairn_options(void)
{
    if (atomic_load_explicit(&state, memory_order_acquire) == READ) {
        return &options;
    }
    char **environment = os_environment();
    if (!environment) {
        return early_options();
    }
    int expected = UNREAD;
    if (atomic_compare_exchange_strong(&state, &expected, READING)) {
        read_environment(&options, environment);
        atomic_store_explicit(&state, READ, memory_order_release);
    }
    while (atomic_load_explicit(&state, memory_order_acquire) != READ) {
        sched_yield();
    }
    return &options;
}

bool cairn_options_speaker(void)
{
    return may_speak(cairn_options());
}
