/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* report.c: the statistics at exit.
 *
 * Who prints: the process whose constructor armed the report (report_arm), and forked children of it only with
 * CAIRN_STATS_CHILDREN=1. The process id is compared at the end too, because a child of vfork shares this memory and
 * must not print.
 *
 * When: after everything else. A handler that the constructor registers, before libc registers the dynamic linker's,
 * runs after all other exit handlers and destructors. Programs that leave by _exit, _Exit or quick_exit are covered
 * (exit.c); a signal ends a process without statistics.
 *
 * How: by then the program may have closed stderr and may have no memory left, so what is needed is made at the start:
 * a stream of our own that collects the text in memory from the OS layer, and a second descriptor for stderr, which
 * is trusted at the end only if it still is the same file. The text goes out in one piece, so that processes which
 * append to one file do not mix.
 *
 * No locks: the end of a process comes once (`armed`). */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/options.h"
#include "malloc/process.h"
#include "observe/print.h"
#include "observe/report_file.h"
#include "os/os.h"
#include "os/place.h"
#include "python/domains.h"
#include "python/gc_report.h"

enum { HIGH_DESCRIPTOR = 200, FIRST_TEXT_BYTES = 65536 };

static struct {
    atomic_bool armed;
    pid_t pid;
    FILE *out; /* collects into text */
    char *text;
    size_t length, capacity;
    bool cut; /* no memory for all of the text */
    struct stat error_file;
    struct report_file file; /* none: stderr */
} report;

static int error_copy = -1; /* a second descriptor of stderr; -1: none */

/* ---- the stream ---- */

static bool grow(size_t wanted)
{
    size_t capacity = report.capacity != 0 ? report.capacity : FIRST_TEXT_BYTES;
    while (capacity < wanted) {
        capacity *= 2;
    }
    char *text = os->reserve(capacity, os_page_size());
    if (text == NULL || !os->commit(text, capacity)) {
        return false;
    }
    if (report.text != NULL) {
        memcpy(text, report.text, report.length);
        os->release(report.text, report.capacity);
    }
    report.text = text;
    report.capacity = capacity;
    return true;
}

static ssize_t collect(void *cookie, const char *data, size_t size)
{
    (void)cookie;
    if (report.length + size > report.capacity && !grow(report.length + size)) {
        report.cut = true;
        return -1;
    }
    memcpy(report.text + report.length, data, size);
    report.length += size;
    return (ssize_t)size;
}

static FILE *open_collector(void)
{
    static LARGE_DATA char buffer[8192];
    cookie_io_functions_t functions = {.write = collect};
    FILE *out = fopencookie(NULL, "w", functions);
    if (out != NULL) {
        setvbuf(out, buffer, _IOFBF, sizeof buffer);
    }
    return out;
}

/* ---- where the text goes ---- */

void report_keep_stderr(void)
{
    if (error_copy >= 0 || fstat(STDERR_FILENO, &report.error_file) != 0) {
        return;
    }
    error_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
    if (error_copy < 0) { /* few descriptors are allowed */
        error_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
}

static bool is_error_file(int descriptor)
{
    struct stat now;
    return descriptor >= 0 && fstat(descriptor, &now) == 0 && now.st_dev == report.error_file.st_dev &&
           now.st_ino == report.error_file.st_ino;
}

void report_drop_stderr(void)
{
    if (is_error_file(error_copy)) {
        close(error_copy);
        error_copy = -1;
    }
}

/* A descriptor of the file that was stderr at the start, or -1. The program may have closed its descriptors and given
 * their numbers to files of its own, into which no word of ours must go. */
int report_error_descriptor(void)
{
    return is_error_file(error_copy) ? error_copy : is_error_file(STDERR_FILENO) ? STDERR_FILENO : -1;
}

static void write_all(int descriptor, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, text, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

static void complain(const char *line)
{
    write_all(report_error_descriptor(), line, strlen(line));
}

static void deliver(void)
{
    if (report.file.path[0] == '\0') {
        write_all(report_error_descriptor(), report.text, report.length);
        return;
    }
    /* One file for several processes is appended to. */
    bool many = cairn_options()->stats_children && !report_file_is_own(&report.file);
    int file = report_file_open(&report.file, many);
    if (file < 0) {
        char line[PATH_MAX + 120];
        snprintf(line, sizeof line, "cairn: cannot write the statistics to '%s': %s (see CAIRN_STATS_FILE)\n",
                 report.file.path, strerror(errno));
        complain(line);
        return;
    }
    write_all(file, report.text, report.length);
    close(file);
}

/* ---- the text ---- */

static int finish(FILE *out)
{
    errno = 0;
    bool whole = fflush(out) == 0 && !ferror(out);
    return whole ? 0 : errno != 0 ? errno : EIO;
}

static bool used(cairn_heap *heap)
{
    cairn_stats stats;
    cairn_heap_stats(heap, &stats);
    return stats.requests != 0 || stats.handle_blocks != 0;
}

static bool print_text(cairn_heap *heap, void *context)
{
    FILE *out = context;
    if (used(heap)) {
        fputc('\n', out);
        (void)cairn_heap_print_stats(heap, out);
    }
    return true;
}

int report_write_text(FILE *out)
{
    struct process_memory memory;
    process_memory(&memory);
    fprintf(out, "cairn %s: statistics of %s (process %ld)\n", cairn_version(), program_name(), (long)getpid());
    fprintf(out, "process: %.1f MiB resident, %.1f MiB at its peak\n", (double)memory.resident / 1048576.0,
            (double)memory.peak_resident / 1048576.0);
    gc_report_text(out);
    cairn_heaps_visit(print_text, out);
    return finish(out);
}

struct json_list {
    FILE *out;
    bool some;
};

static bool print_json(cairn_heap *heap, void *context)
{
    struct json_list *list = context;
    if (used(heap)) {
        fputs(list->some ? ", " : "", list->out);
        (void)cairn_heap_print_stats_json(heap, list->out);
        list->some = true;
    }
    return true;
}

int report_write_json(FILE *out)
{
    struct process_memory memory;
    struct json_list list = {out, false};
    process_memory(&memory);
    fprintf(out, "{\"cairn\": \"%s\", \"pid\": %ld, \"program\": ", cairn_version(), (long)getpid());
    print_json_string(out, program_name());
    fputs(", \"heaps\": [", out);
    cairn_heaps_visit(print_json, &list);
    fprintf(out,
            "], \"process\": {\"resident_bytes\": %zu, \"peak_resident_bytes\": %zu}, \"python\": ", memory.resident,
            memory.peak_resident);
    gc_report_json(out);
    fputs("}\n", out);
    return finish(out);
}

/* One document, one line: line breaks inside JSON stand between its tokens only. */
static void join_lines(void)
{
    for (size_t i = 0; i + 1 < report.length; i++) {
        if (report.text[i] == '\n') {
            report.text[i] = ' ';
        }
    }
}

static void compose(void)
{
    report.length = 0;
    bool json = cairn_options()->stats == STATS_JSON;
    int error = json ? report_write_json(report.out) : report_write_text(report.out);
    report.cut = report.cut || error != 0;
    if (json) {
        join_lines();
    }
}

/* ---- when ---- */

bool report_due(void)
{
    return atomic_load(&report.armed) && getpid() == report.pid;
}

void report_collect(void)
{
    atomic_store(&report.armed, false);
    compose();
}

void report_deliver(void)
{
    char line[320];
    if (report.cut) {
        complain("cairn: no memory left to print the statistics\n");
        return;
    }
    if (python_complaint(line, sizeof line)) {
        complain(line);
    }
    deliver();
}

static void at_end(int status, void *context)
{
    (void)status;
    (void)context;
    if (report_due()) {
        report_collect();
        report_deliver();
    }
}

static void at_quick_end(void)
{
    at_end(0, NULL);
}

static void in_child(void)
{
    if (!atomic_load(&report.armed)) {
        return;
    }
    if (cairn_options()->stats_children) {
        report.pid = getpid();
        return;
    }
    atomic_store(&report.armed, false);
    report_drop_stderr();
}

/* Is this process to print? Without `cairn run` it is each one that starts with CAIRN_STATS set. */
static bool prints(const struct options *options)
{
    return options->stats != STATS_OFF &&
           (options->run_pid == 0 || options->run_pid == getpid() || options->stats_children);
}

void report_arm(void)
{
    const struct options *options = cairn_options();
    if (!prints(options)) {
        return;
    }
    report_keep_stderr();
    report.out = open_collector();
    if (report.out == NULL || !grow(FIRST_TEXT_BYTES)) {
        complain("cairn: no memory for the statistics at exit\n");
        return;
    }
    report_file_note(&report.file, options->stats_file);
    report.pid = getpid();
    (void)os_fork_hooks(NULL, NULL, in_child);
    (void)on_exit(at_end, NULL);
    (void)at_quick_exit(at_quick_end);
    atomic_store(&report.armed, true);
}
