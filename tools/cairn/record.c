/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* record.c: `cairn record`: starts the program with libcairn-record.so in front of its C library, and empties the
 * rings the library fills until the program (with --children: every process of it) has ended. What the program wrote
 * into the rings is there whatever becomes of it, so a crash or a kill loses no event; what this process has written
 * to the file is good up to a frame should it be killed itself.
 *
 * Signals from the terminal reach the program by themselves; SIGTERM and SIGHUP are passed on to it. Single-threaded:
 * the handler only notes the signal. */

#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cairn.h"
#include "command.h"
#include "drain.h"
#include "launch.h"
#include "message.h"
#include "preload.h"
#include "program.h"
#include "record/protocol.h"
#include "usage.h"

#define LIBRARY "libcairn-record.so"
#define DEFAULT_PATH "cairn.rec"

enum { SLEEP_LEAST_US = 100, SLEEP_MOST_US = 2000, LITTLE = RECORD_RING_WORDS / 16, DESCRIPTION_MAX = 65536 };

void record_help(void)
{
    puts("Usage: cairn record [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
         "Runs PROGRAM on Cairn and writes every request it makes for memory to a file that\n"
         "'cairn replay' and 'cairn lab' read.\n"
         "\n"
         "Options:\n"
         "  -o, --output=FILE  the recording; default: " DEFAULT_PATH "\n"
         "  --children         record child processes too, each to FILE.PID\n"
         "  -q, --quiet        do not say at the end what was recorded\n"
         "  -h, --help         show this help and exit\n"
         "\n"
         "The exit status is the program's own; 125: an error of cairn's, 126: the program\n"
         "cannot be executed, 127: the program was not found. See also cairn-record(1).");
}

/* ---- the description ---- */

static size_t add_field(char *text, size_t length, const char *key, const char *value)
{
    size_t size = strlen(key) + 1 + strlen(value) + 1;
    if (length + size > DESCRIPTION_MAX) {
        return length;
    }
    sprintf(text + length, "%s=%s", key, value);
    return length + size;
}

/* What is known before the start: fields "key=value", each with a zero at its end. */
static size_t describe(char *text, const struct program *program, int count, char **arguments)
{
    char date[64], page[32];
    time_t now = time(NULL);
    struct tm parts;
    size_t length = add_field(text, 0, "cairn", CAIRN_VERSION_STRING);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    snprintf(page, sizeof page, "%ld", sysconf(_SC_PAGESIZE));
    length = add_field(text, length, "date", date);
    length = add_field(text, length, "page_size", page);
    length = add_field(text, length, "program", program->path);
    for (int i = 0; i < count; i++) {
        length = add_field(text, length, "argument", arguments[i]);
    }
    return length;
}

/* ---- the program ---- */

static volatile sig_atomic_t passed_on;

static void note_signal(int number)
{
    passed_on = number;
}

static struct sigaction old_actions[NSIG];

static void set_signals(void)
{
    static const int ignored[] = {SIGINT, SIGQUIT}, noted[] = {SIGTERM, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, note = {.sa_handler = note_signal};
    for (size_t i = 0; i < 2; i++) {
        (void)sigaction(ignored[i], &ignore, &old_actions[ignored[i]]);
        (void)sigaction(noted[i], &note, &old_actions[noted[i]]);
    }
}

static void restore_signals(void)
{
    static const int all[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        (void)sigaction(all[i], &old_actions[all[i]], NULL);
    }
}

static void set_variable(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        fail(EXIT_CAIRN, "cannot set %s: %s", name, strerror(errno));
    }
}

static _Noreturn void become(const struct program *program, char **arguments, const char *library, int descriptor,
                             bool children)
{
    char value[64];
    restore_signals();
    snprintf(value, sizeof value, "%ld:%d:%ld", (long)getppid(), descriptor, (long)getpid());
    set_variable(RECORD_VARIABLE, value);
    snprintf(value, sizeof value, "%ld", (long)getpid());
    set_variable("CAIRN_RUN_PID", value);
    if (!children) {
        set_variable("CAIRN_CHILDREN", "0");
    }
    unsetenv(PRELOAD_VARIABLE);
    preload_set(library);
    launch_fail(program, program_exec(program, arguments));
}

/* The recording library lies beside the preload. */
static void find_library(char path[PATH_MAX])
{
    preload_find(path);
    char *slash = strrchr(path, '/');
    if ((size_t)(slash + 1 - path) + sizeof LIBRARY > PATH_MAX) {
        fail(EXIT_CAIRN, "the path of " LIBRARY " is too long; install Cairn elsewhere");
    }
    strcpy(slash + 1, LIBRARY);
    if (!is_shared_object(path)) {
        fail(EXIT_CAIRN, "cannot find '%s'; build or install Cairn again", path);
    }
}

/* Empties the rings until all is read. Returns how the program ended. */
static int follow(struct drain *drain, pid_t pid)
{
    unsigned sleep_us = SLEEP_LEAST_US;
    bool ended = false;
    int status = 0;
    while (!ended || drain_busy(drain)) {
        if (passed_on != 0 && !ended) {
            (void)kill(pid, passed_on);
            passed_on = 0;
        }
        uint64_t taken = drain_turn(drain);
        if (taken < LITTLE) {
            struct timespec pause = {0, (long)sleep_us * 1000};
            (void)nanosleep(&pause, NULL);
            sleep_us = sleep_us * 2 < SLEEP_MOST_US ? sleep_us * 2 : SLEEP_MOST_US;
        }
        if (taken > 0) {
            sleep_us = SLEEP_LEAST_US;
        }
        if (!ended && waitpid(pid, &status, WNOHANG) == pid) {
            ended = true;
            drain_ended(drain, pid, (uint64_t)(WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status)));
        }
    }
    return status;
}

/* ---- the end ---- */

static struct {
    bool quiet, failed;
    uint64_t requests;
} outcome;

static void tell(const struct drain_result *result)
{
    if (result->error != 0) {
        outcome.failed = true;
        say("cannot write '%s': %s; what was written before is good", result->path, strerror(result->error));
        return;
    }
    outcome.requests += result->requests;
    if (!outcome.quiet) {
        say("%" PRIu64 " requests recorded in '%s' (%.1f MiB)", result->requests, result->path,
            (double)result->file_size / 1048576);
    }
    if (result->missed > 0) {
        say("%" PRIu64 " frees were not seen in '%s': more threads at a time than can be recorded", result->missed,
            result->path);
    }
}

int record_program(const struct record_wish *wish, int count, char **arguments, int first)
{
    static struct program program;
    static char library[PATH_MAX], description[DESCRIPTION_MAX];

    find_library(library);
    launch_find(&program, arguments[first], arguments[first - 1]);
    preload_verdict verdict = program_preload_verdict(&program, library);
    if (verdict != PRELOAD_POSSIBLE) {
        launch_say_without(&program, verdict, "cannot be recorded");
        exit(EXIT_NOT_EXECUTABLE);
    }
    size_t size = describe(description, &program, count - first, arguments + first);
    struct drain *drain = drain_create(wish->path, description, size, wish->children);
    if (drain == NULL) {
        fail(EXIT_CAIRN, "%s: cannot write '%s': %s; name another file with -o", wish->command, wish->path,
             strerror(errno));
    }
    set_signals();
    pid_t pid = fork();
    if (pid < 0) {
        fail(EXIT_CAIRN, "%s: cannot start a process: %s", wish->command, strerror(errno));
    }
    if (pid == 0) {
        become(&program, arguments + first, library, drain_descriptor(drain), wish->children);
    }
    int status = follow(drain, pid);
    restore_signals();
    outcome.quiet = wish->quiet;
    (void)drain_finish(drain, tell);
    if (outcome.failed) {
        exit(EXIT_CAIRN);
    }
    if (outcome.requests == 0) {
        say("%s: '%s' made no request that could be recorded", wish->command, arguments[first]);
    }
    return status;
}

/* Ends this process as the program ended. */
static int end_as(int status)
{
    if (!WIFSIGNALED(status)) {
        return WEXITSTATUS(status);
    }
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

int record_execute(int count, char **arguments)
{
    enum { OPTION_CHILDREN = 256 };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"children", no_argument, NULL, OPTION_CHILDREN},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct record_wish wish = {.command = "record", .path = DEFAULT_PATH};

    for (;;) {
        optopt = 0;
        int answer = getopt_long(count, arguments, "+:o:qh", options, NULL);
        if (answer == -1) {
            break;
        }
        switch (answer) {
        case 'o':
            wish.path = optarg;
            break;
        case OPTION_CHILDREN:
            wish.children = true;
            break;
        case 'q':
            wish.quiet = true;
            break;
        case 'h':
            record_help();
            return finish_output();
        default:
            usage_fail("record", options, answer, arguments[optind - 1]);
        }
    }
    if (optind == count) {
        fail(EXIT_CAIRN, "no program given; usage: cairn record [OPTIONS] -- PROGRAM [ARGUMENTS]");
    }
    return end_as(record_program(&wish, count, arguments, optind));
}
