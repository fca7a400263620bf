/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* leak_check.c: the report on what is still allocated at exit, and the proof that all of it can go back.
 *
 * The check is made in a forked copy of the process, at the place of the statistics (report.c): after all other exit
 * handlers. In the copy no other thread runs, so that every heap may be walked, the C library may be asked to free what
 * it keeps for itself (__libc_freeres), and in the end every heap is released, the default heap and Python's included,
 * and the counters of the OS layer must say that what was mapped for them went back. Nothing of that can be done to the
 * process itself, in which threads, late destructors and stdio still use their blocks.
 *
 * The copy must not be felt outside: its descriptors are closed but for those of the report and of the answer, so that
 * no stream is flushed and no offset moved; it leaves by the system call. Its SIGCHLD is blocked in the parent's
 * thread.
 *
 * After the release the copy may use neither libc's streams nor its locale, whose memory is gone: what is still to be
 * said is put together by hand in a buffer on the stack.
 *
 * No locks: the end of a process comes once (`armed`). */

#include "malloc/leak_check.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/front.h"
#include "heap/options.h"
#include "heap/pagemap.h"
#include "malloc/process.h"
#include "observe/call_sites.h"
#include "observe/leaks.h"
#include "observe/print.h"
#include "observe/report_file.h"
#include "os/place.h"
#include "python/domains.h"

/* Frees what the C library keeps for itself; glibc has it for such checks. */
extern void __libc_freeres(void) __attribute__((weak));

enum { REPORT_DESCRIPTOR = 3, ANSWER_DESCRIPTOR = 4, COPY_SECONDS = 120 };

static LARGE_DATA struct {
    atomic_bool armed;
    pid_t pid;
    FILE *out;               /* writes to REPORT_DESCRIPTOR; only the copy uses it */
    struct report_file file; /* none: stderr */
} check;

/* What the copy tells the process. */
struct answer {
    size_t blocks; /* that count as leaked */
    int error;     /* errno of a report that could not be written whole; 0: all of it was */
};

/* ---- the report, in the copy ---- */

static int report_error; /* the first that writing it met */

/* Takes everything, so that the stream does not keep what cannot be written. */
static ssize_t write_report(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    for (size_t done = 0; done < size && report_error == 0;) {
        ssize_t written = write(REPORT_DESCRIPTOR, text + done, size - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            report_error = written < 0 ? errno : EIO;
        }
    }
    return (ssize_t)size;
}

static FILE *open_report(void)
{
    static LARGE_DATA char buffer[65536];
    cookie_io_functions_t functions = {.write = write_report};
    FILE *out = fopencookie(NULL, "w", functions);
    if (out != NULL) {
        setvbuf(out, buffer, _IOFBF, sizeof buffer);
    }
    return out;
}

/* All heaps, the default heap first, in memory of the OS layer: no heap may be asked for it. */
struct heaps {
    size_t count;
    cairn_heap **heap;
    size_t bytes; /* of the list */
};

static bool count_heap(cairn_heap *heap, void *context)
{
    (void)heap;
    ++*(size_t *)context;
    return true;
}

static bool note_heap(cairn_heap *heap, void *context)
{
    struct heaps *heaps = context;
    heaps->heap[heaps->count++] = heap;
    return true;
}

/* False if there is no memory for the list. No other thread runs, so the number does not change. */
static bool list_heaps(struct heaps *heaps)
{
    size_t count = 0, page = os_page_size();
    (void)cairn_heaps_visit(count_heap, &count);
    heaps->count = 0;
    heaps->bytes = (count * sizeof(cairn_heap *) + page - 1) / page * page;
    heaps->heap = os->reserve(heaps->bytes, page);
    return heaps->heap != NULL && os->commit(heaps->heap, heaps->bytes) && cairn_heaps_visit(note_heap, heaps);
}

/* Objects of CPython outlive it by design: they are shown, but are no leak. */
static bool counts_as_leaked(const cairn_heap *heap)
{
    return heap != python_heap();
}

static void total(const struct heaps *heaps, size_t *blocks, size_t *bytes)
{
    static LARGE_DATA struct leaks leaks;
    *blocks = *bytes = 0;
    for (size_t i = 0; i < heaps->count; i++) {
        leaks_count(heaps->heap[i], &leaks);
        if (counts_as_leaked(heaps->heap[i])) {
            *blocks += leaks.blocks;
            *bytes += leaks.bytes;
        }
    }
}

static void print_text(const struct heaps *heaps, size_t blocks, size_t bytes)
{
    static LARGE_DATA struct leaks leaks;
    if (blocks == 0) {
        fprintf(check.out, "cairn: no leaks: nothing is allocated at the end of %s (process %ld)\n", program_name(),
                (long)check.pid);
    } else {
        fprintf(check.out, "cairn: %zu block%s, %zu bytes, still allocated at the end of %s (process %ld)\n", blocks,
                blocks == 1 ? "" : "s", bytes, program_name(), (long)check.pid);
    }
    for (size_t i = 0; i < heaps->count; i++) {
        leaks_count(heaps->heap[i], &leaks);
        bool brief = !counts_as_leaked(heaps->heap[i]) && !cairn_options()->leaks.all;
        if (leaks.blocks != 0) {
            (void)leaks_print_text(heaps->heap[i], &leaks, !brief, check.out);
            if (!counts_as_leaked(heaps->heap[i])) {
                fputs("    (objects that outlive the interpreter are not counted as leaked)\n", check.out);
            }
        }
    }
}

static void print_json(const struct heaps *heaps, size_t blocks, size_t bytes)
{
    static LARGE_DATA struct leaks leaks;
    fprintf(check.out, "{\"cairn\": \"%s\", \"pid\": %ld, \"program\": ", cairn_version(), (long)check.pid);
    print_json_string(check.out, program_name());
    fprintf(check.out, ", \"leaked_blocks\": %zu, \"leaked_bytes\": %zu, \"heaps\": [", blocks, bytes);
    for (size_t i = 0; i < heaps->count; i++) {
        leaks_count(heaps->heap[i], &leaks);
        fputs(i != 0 ? ", " : "", check.out);
        bool sites = counts_as_leaked(heaps->heap[i]) || cairn_options()->leaks.all;
        (void)leaks_print_json(heaps->heap[i], &leaks, sites, check.out);
    }
    fputs("]", check.out);
}

/* ---- the release, in the copy ---- */

/* A line made by hand. */
struct line {
    char text[PATH_MAX + 400];
    size_t length;
};

static void add_text(struct line *line, const char *text)
{
    while (*text != '\0' && line->length < sizeof line->text) {
        line->text[line->length++] = *text++;
    }
}

static void add_number(struct line *line, size_t number)
{
    char digits[24] = "";
    size_t at = sizeof digits - 1;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    add_text(line, digits + at);
}

struct proof {
    size_t mapped;   /* by the heaps' own records */
    size_t returned; /* by the OS layer's counters */
    size_t kept;     /* still mapped, by the same counters */
};

/* Takes the list back too, which is in none of the figures. */
static struct proof release_all(const struct heaps *heaps)
{
    struct proof proof = {0, 0, 0};
    size_t before = leaks_system_bytes() - heaps->bytes;
    for (size_t i = heaps->count; i > 0; i--) { /* the default heap is the first */
        proof.mapped += leaks_mapped(heaps->heap[i - 1]);
        if (i > 1) {
            cairn_heap_destroy(heaps->heap[i - 1]);
        } else {
            heap_release(heaps->heap[0]);
        }
    }
    (void)os->release(heaps->heap, heaps->bytes);
    proof.kept = leaks_system_bytes();
    proof.returned = before - proof.kept;
    return proof;
}

static void say_proof_text(struct line *line, const struct proof *proof)
{
    if (proof->returned == proof->mapped) {
        add_text(line, "cairn: in a copy of this process, every heap was released: all ");
        add_number(line, proof->mapped);
        add_text(line, " bytes went back to the system");
    } else {
        add_text(line, "cairn: in a copy of this process, every heap was released: of ");
        add_number(line, proof->mapped);
        add_text(line, " bytes mapped, ");
        add_number(line, proof->returned);
        add_text(line, " went back to the system");
    }
    add_text(line, "; ");
    add_number(line, proof->kept);
    add_text(line, " are Cairn's own, ");
    add_number(line, pagemap_bytes());
    add_text(line, " of them the page map, ");
    add_number(line, call_sites_bytes());
    add_text(line, " the call sites\n");
}

static void say_proof_json(struct line *line, const struct proof *proof)
{
    add_text(line, ", \"released\": {\"mapped_bytes\": ");
    add_number(line, proof->mapped);
    add_text(line, ", \"returned_bytes\": ");
    add_number(line, proof->returned);
    add_text(line, ", \"kept_bytes\": ");
    add_number(line, proof->kept);
    add_text(line, ", \"page_map_bytes\": ");
    add_number(line, pagemap_bytes());
    add_text(line, ", \"call_site_bytes\": ");
    add_number(line, call_sites_bytes());
    add_text(line, "}}\n");
}

/* ---- the copy ---- */

static _Noreturn void leave_copy(int status)
{
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

static void end_copy(int signal_number)
{
    (void)signal_number;
    leave_copy(1);
}

/* What goes wrong in the copy ends it quietly; the process says so. */
static void guard_copy(void)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE};
    struct sigaction action = {.sa_handler = end_copy, .sa_flags = SA_NODEFER | SA_ONSTACK};
    sigset_t set;
    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaction(signals[i], &action, NULL);
        sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)alarm(COPY_SECONDS);
}

/* Leaves the copy the descriptors of the report and of the answer alone. */
static void keep_descriptors(int report, int answer)
{
    int high = dup2(report, ANSWER_DESCRIPTOR + 1 + (answer == ANSWER_DESCRIPTOR + 1));
    (void)dup2(answer, ANSWER_DESCRIPTOR);
    (void)dup2(high, REPORT_DESCRIPTOR);
    (void)syscall(SYS_close_range, 0u, (unsigned)REPORT_DESCRIPTOR - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)ANSWER_DESCRIPTOR + 1, ~0u, 0u);
}

static _Noreturn void run_copy(int report, int answer_to)
{
    struct heaps heaps;
    struct answer answer;
    struct line line = {.length = 0};
    size_t bytes;
    guard_copy();
    keep_descriptors(report, answer_to);
    if (__libc_freeres) {
        __libc_freeres();
    }
    if (!list_heaps(&heaps)) {
        leave_copy(1);
    }
    total(&heaps, &answer.blocks, &bytes);
    bool json = cairn_options()->leaks.json;
    if (json) {
        print_json(&heaps, answer.blocks, bytes);
    } else {
        print_text(&heaps, answer.blocks, bytes);
    }
    (void)fflush(check.out);
    struct proof proof = release_all(&heaps);
    if (json) {
        say_proof_json(&line, &proof);
    } else {
        say_proof_text(&line, &proof);
    }
    (void)write_report(NULL, line.text, line.length);
    answer.error = report_error;
    (void)!write(ANSWER_DESCRIPTOR, &answer, sizeof answer);
    leave_copy(0);
}

/* ---- the process ---- */

/* Says a line on stderr, if that is still there. */
static void complain(const struct line *line)
{
    int descriptor = report_error_descriptor();
    if (descriptor >= 0) {
        (void)!write(descriptor, line->text, line->length);
    }
}

static void no_report(const char *why)
{
    struct line line = {.length = 0};
    add_text(&line, "cairn: no leak report: ");
    add_text(&line, why);
    add_text(&line, "\n");
    complain(&line);
}

/* What went wrong with the report's file, or with stderr, and what follows. */
static void bad_file(const char *what, int error, const char *then)
{
    struct line line = {.length = 0};
    bool file = check.file.path[0] != '\0';
    add_text(&line, "cairn: cannot write ");
    add_text(&line, what);
    add_text(&line, file ? " to '" : "");
    add_text(&line, check.file.path);
    add_text(&line, file ? "': " : ": ");
    add_text(&line, strerror(error));
    add_text(&line, file ? " (see CAIRN_LEAKS_FILE)" : "");
    add_text(&line, then);
    add_text(&line, "\n");
    complain(&line);
}

/* Where the report goes: the file, or else stderr; -1: nowhere. *opened: it must be closed. */
static int open_target(bool *opened)
{
    const struct options *options = cairn_options();
    *opened = false;
    if (check.file.path[0] != '\0') {
        /* In a file of both the report follows the statistics. */
        bool behind = options->stats != STATS_OFF && options->stats_file != NULL &&
                      strcmp(options->stats_file, options->leaks_file) == 0;
        int file = report_file_open(&check.file, behind);
        if (file >= 0) {
            *opened = true;
            return file;
        }
        bad_file("the leak report", errno, "; here it is");
    }
    return report_error_descriptor();
}

static bool read_answer(int from, struct answer *answer)
{
    ssize_t got;
    do {
        got = read(from, answer, sizeof *answer);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof *answer;
}

bool leak_check_due(void)
{
    return atomic_load(&check.armed) && getpid() == check.pid;
}

/* Forks the copy and waits for its end. False if there was no check. */
static bool ask_copy(int report, struct answer *answer)
{
    int ends[2];
    if (pipe(ends) != 0) {
        no_report("the system has no pipe for it (see ulimit -n)");
        return false;
    }
    pid_t copy = fork();
    if (copy == 0) {
        run_copy(report, ends[1]);
    }
    close(ends[1]);
    bool answered = copy > 0 && read_answer(ends[0], answer);
    close(ends[0]);
    while (copy > 0 && waitpid(copy, NULL, 0) < 0 && errno == EINTR) {
    }
    if (copy < 0) {
        no_report("the system has no process for it (see ulimit -u)");
    } else if (!answered) {
        no_report("the check did not come to its end");
    } else if (answer->error != 0) {
        bad_file("all of the leak report", answer->error, "");
    }
    return answered;
}

bool leak_check_make(void)
{
    struct answer answer;
    sigset_t child;
    bool opened;
    atomic_store(&check.armed, false);
    int report = open_target(&opened);
    if (report < 0) {
        return false; /* the program closed stderr: there is nobody to tell */
    }
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, &child, NULL);
    bool answered = ask_copy(report, &answer);
    if (opened) {
        close(report);
    }
    return answered && answer.blocks != 0 && cairn_options()->leaks.fail;
}

static void at_end(int status, void *context)
{
    (void)status;
    (void)context;
    if (leak_check_due() && leak_check_make()) {
        exit(LEAKS_STATUS); /* goes on with the handlers that are left; glibc allows it */
    }
}

static void at_quick_end(void)
{
    if (leak_check_due() && leak_check_make()) {
        _Exit(LEAKS_STATUS);
    }
}

static void in_child(void)
{
    if (atomic_exchange(&check.armed, false)) {
        report_drop_stderr();
    }
}

void leak_check_arm(void)
{
    if (!cairn_options()->leaks.on || !cairn_options_speaker()) {
        return;
    }
    report_keep_stderr();
    check.pid = getpid();
    report_file_note(&check.file, cairn_options()->leaks_file);
    check.out = open_report();
    (void)os_fork_hooks(NULL, NULL, in_child);
    (void)on_exit(at_end, NULL);
    (void)at_quick_exit(at_quick_end);
    atomic_store(&check.armed, true);
}

void leak_check_begin(void)
{
    if (atomic_load(&check.armed) && (check.out == NULL || !call_sites_start(cairn_options()->leaks_frames))) {
        atomic_store(&check.armed, false);
        no_report("no memory for it");
    }
}
