/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* trace.c: see trace.h. */

#include "python/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/options.h"
#include "observe/print.h"
#include "observe/report_file.h"
#include "os/os.h"
#include "os/place.h"
#include "python/cpython.h"

enum {
    NAME_BYTES = 1024,
    EVENT_BYTES = NAME_BYTES + 256,
    MESSAGE_BYTES = PATH_MAX + 160,
    NS_PER_US = 1000,
    HIGH_DESCRIPTOR = 200
};

static LARGE_DATA struct {
    struct report_file file;  /* none: no trace */
    char program[NAME_BYTES]; /* a JSON string with its quotes */
    pid_t pid;                /* whose trace it is; 0: nobody's yet */
    struct stat opened;       /* what it was opened as */
    uint64_t analyses;        /* written */
} trace;

static int descriptor = -1; /* of the trace; -1: none */

/* ---- the file ---- */

static void say(const char *what, int error)
{
    char line[MESSAGE_BYTES];
    if (!cairn_options_speaker()) {
        return;
    }
    int length = snprintf(line, sizeof line, "cairn: %s the trace '%s': %s (see CAIRN_GC_TRACE)\n", what,
                          trace.file.path, strerror(error));
    os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* The program may have closed our descriptor and given its number to a file of its own, into which no event must go. */
static bool is_ours(void)
{
    struct stat now;
    return descriptor >= 0 && fstat(descriptor, &now) == 0 && now.st_dev == trace.opened.st_dev &&
           now.st_ino == trace.opened.st_ino;
}

static void let_go(void)
{
    if (is_ours()) {
        close(descriptor);
    }
    descriptor = -1;
}

static void give_up(void)
{
    let_go();
    trace.file.path[0] = '\0';
}

/* Writes all of it or, after a line on stderr, ends the trace. */
static bool put(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, text, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            say("cannot go on with", written < 0 ? errno : EIO);
            give_up();
            return false;
        }
        text += written;
        length -= (size_t)written;
    }
    return true;
}

/* Opens the file, under a number that the program's own files do not come to. */
static int open_high(void)
{
    int file = report_file_open(&trace.file, true);
    int high = file >= 0 ? fcntl(file, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR) : -1;
    if (high < 0) { /* few descriptors are allowed */
        return file;
    }
    close(file);
    return high;
}

/* Makes the file this process's, with the event that names the process. False if it is another's, or after a line on
 * stderr. */
static bool begin(void)
{
    char event[EVENT_BYTES];
    descriptor = open_high();
    if (descriptor < 0 || fstat(descriptor, &trace.opened) != 0) {
        say("cannot write", errno);
        give_up();
        return false;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        give_up();
        return false;
    }
    if (S_ISREG(trace.opened.st_mode)) {
        (void)ftruncate(descriptor, 0);
    }
    trace.pid = getpid();
    int length = snprintf(event, sizeof event,
                          "[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%ld,\"args\":{\"name\":%s}}",
                          (long)trace.pid, trace.program);
    return put(event, (size_t)length);
}

/* ---- events ---- */

/* Is there a trace to write to? Makes that of a forked child. */
static bool ready(void)
{
    if (trace.file.path[0] == '\0') {
        return false;
    }
    if (trace.pid == 0) {
        return begin();
    }
    if (!is_ours()) {
        say("the program closed the descriptor of", EBADF);
        give_up();
        return false;
    }
    return true;
}

/* A time of the clock as the format has it: microseconds, with three decimals. */
struct stamp {
    char s[32];
};

static struct stamp stamp_of(uint64_t ns)
{
    struct stamp stamp;
    (void)snprintf(stamp.s, sizeof stamp.s, "%" PRIu64 ".%03u", ns / NS_PER_US, (unsigned)(ns % NS_PER_US));
    return stamp;
}

void trace_stop(const struct pause *pause)
{
    char event[EVENT_BYTES];
    if (!ready()) {
        return;
    }
    int length =
        snprintf(event, sizeof event,
                 ",\n{\"name\":\"%s\",\"cat\":\"gc\",\"ph\":\"X\",\"ts\":%s,\"dur\":%s,\"pid\":%ld,\"tid\":%ld,"
                 "\"args\":{\"found\":%zu,\"freed\":%zu}}",
                 pauses_name(pause->cause), stamp_of(pause->begun_ns).s, stamp_of(pause->ended_ns - pause->begun_ns).s,
                 (long)trace.pid, (long)gettid(), pause->found, pause->freed);
    (void)put(event, (size_t)length);
}

/* Two events, which bracket a time in which the process's threads do other things. */
void trace_analysis(uint64_t begun_ns, uint64_t ended_ns, size_t objects, size_t garbage)
{
    static const char head[] = "\"cat\":\"snapshot\",\"name\":\"analysis\"";
    char event[EVENT_BYTES];
    if (!ready()) {
        return;
    }
    uint64_t number = ++trace.analyses;
    int length = snprintf(event, sizeof event,
                          ",\n{\"ph\":\"b\",%s,\"id\":%" PRIu64 ",\"ts\":%s,\"pid\":%ld,\"tid\":%ld,"
                          "\"args\":{\"objects\":%zu,\"garbage\":%zu}},\n"
                          "{\"ph\":\"e\",%s,\"id\":%" PRIu64 ",\"ts\":%s,\"pid\":%ld,\"tid\":%ld}",
                          head, number, stamp_of(begun_ns).s, (long)trace.pid, (long)gettid(), objects, garbage, head,
                          number, stamp_of(ended_ns).s, (long)trace.pid, (long)gettid());
    (void)put(event, (size_t)length);
}

/* ---- the process ---- */

void trace_close(void)
{
    static const char bracket[] = "\n]\n";
    if (trace.file.path[0] != '\0' && trace.pid == getpid() && is_ours()) {
        trace.file.path[0] = '\0';
        (void)!write(descriptor, bracket, sizeof bracket - 1);
        close(descriptor);
    }
}

static void at_end(int status, void *context)
{
    (void)status;
    (void)context;
    trace_close();
}

void trace_leave(void)
{
    if (trace.file.path[0] == '\0') {
        return;
    }
    let_go();
    trace.pid = 0;
    if (!report_file_is_own(&trace.file)) {
        trace.file.path[0] = '\0';
    }
}

static void note_program(const char *program)
{
    FILE *out = fmemopen(trace.program, sizeof trace.program, "w");
    if (out != NULL) {
        print_json_string(out, program);
        (void)fclose(out);
    }
}

bool trace_open(const char *path, const char *program)
{
    if (Py_IsInitialized == NULL || path == NULL) { /* touches no page of it */
        return false;
    }
    report_file_note(&trace.file, path);
    if (!cairn_options_speaker() && !report_file_is_own(&trace.file)) {
        trace.file.path[0] = '\0';
    }
    if (trace.file.path[0] == '\0') {
        return false;
    }
    note_program(program);
    (void)on_exit(at_end, NULL);
    return begin();
}
