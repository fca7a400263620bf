/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* domains.c: puts Cairn behind CPython's three domains and watches that it stays there.
 *
 * raw goes to the default heap, beside malloc. mem and object share one private heap, "python": single before 3.12,
 * where the one GIL guards it, shared from 3.12 on, where every interpreter may have a GIL of its own. The heap is
 * never destroyed: thousands of objects outlive the interpreter.
 *
 * The constructor is the one moment when this is sound: no domain has served a request yet, so none will be asked to
 * free what it did not give. CPython itself undoes it during its pre-initialisation when PYTHONMALLOC, PYTHONDEVMODE
 * or -X dev chooses an allocator: then Cairn stays out from the start and says so.
 *
 * State is written in the constructor and only read afterwards, but for the allocators of mem and object, which the
 * snapshot collector changes with the GIL. */

#include "python/domains.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/front.h"
#include "heap/geometry.h"
#include "heap/options.h"
#include "os/os.h"
#include "python/command_line.h"
#include "python/cpython.h"
#include "python/logged_domains.h"
#include "python/snapshot.h"
#include "record/record.h"

enum { DOMAINS = CAIRN_DOMAIN_OBJECT + 1 };
/* Stock Python keeps little: what is free must hardly raise the peak. But a program whose work swings so much that it would pay
 * for more than a quarter of what it takes with page faults may keep more. */
enum {
    PYTHON_KEEP_PERCENT = 5, /* the bytes beside the percent, and from when on holes may have huge pages */
    PYTHON_KEEP_FIRST = 1,
    PYTHON_KEEP_STEP = 10,
    PYTHON_KEEP_MOST = 30,
    PYTHON_COOL_PART = 4
};
/* Any Python asks for many objects of up to FEW_ABOVE bytes, for fewer of most larger sizes, and beside its objects for a few
 * hundred small blocks, of which a dozen stay. */
enum { FEW_ABOVE = 128, FEW_OBJECTS = 64 };
enum { FIRST_MINOR = 8, LAST_MINOR = 13, FIRST_MINOR_WITH_MANY_GILS = 12 };

static struct {
    unsigned installed; /* bit d: domain d was given to Cairn */
    cairn_allocator allocator[DOMAINS];
    cairn_heap *heap;
    bool heap_single;
    int minor; /* of the CPython that is served; 0: none */
    atomic_bool trim_asked;
} python;

/* ---- reports ---- */

static SELDOM __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
    if (!cairn_options_speaker()) {
        return;
    }
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0) {
        os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    }
}

/* ---- what keeps Cairn out ---- */

static const char *variable(const struct python_command *command, const char *name)
{
    const char *value = command->ignores_environment ? NULL : getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* True if the user chose another allocator; says so. */
static SELDOM bool kept_out(int argc, char **argv)
{
    static const char outcome[] = "keeps Cairn out of Python's memory domains: Cairn serves malloc only";
    struct python_command command;
    (void)python_command_parse(argc, argv, &command);
    const char *chosen = variable(&command, "PYTHONMALLOC");
    const char *development = variable(&command, "PYTHONDEVMODE");
    if (chosen != NULL) {
        say("cairn: PYTHONMALLOC=%.40s %s (unset it to run Python on Cairn)\n", chosen, outcome);
    } else if (command.development) {
        say("cairn: -X dev %s (leave it out to run Python on Cairn)\n", outcome);
    } else if (development != NULL) {
        say("cairn: PYTHONDEVMODE=%.40s %s (unset it to run Python on Cairn)\n", development, outcome);
    } else {
        return false;
    }
    return true;
}

/* The minor version of a CPython 3 that Cairn serves, else 0; says why. */
static SELDOM int served_minor(const char *version)
{
    int minor = strncmp(version, "3.", 2) == 0 ? (int)strtol(version + 2, NULL, 10) : 0;
    if (minor >= FIRST_MINOR && minor <= LAST_MINOR) {
        return minor;
    }
    say("cairn: Python %.*s is not a version whose memory domains Cairn serves (3.%d to 3.%d): Cairn serves malloc "
        "only\n",
        (int)strcspn(version, " "), version, FIRST_MINOR, LAST_MINOR);
    return 0;
}

static bool is_free_threaded(const char *version)
{
    return strstr(version, "free-threading build") != NULL;
}

/* ---- the raw domain: the default heap, by the contract of domains ---- */

static void *raw_malloc(void *context, size_t size)
{
    (void)context;
    return front_alloc(size);
}

static void *raw_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return front_calloc(count, size);
}

static void *raw_realloc(void *context, void *block, size_t size)
{
    (void)context;
    return front_realloc(block, size);
}

static void raw_free(void *context, void *block)
{
    (void)context;
    front_free(block);
}

static const cairn_allocator raw_allocator = {NULL, raw_malloc, raw_calloc, raw_realloc, raw_free};

/* ---- mem and object on a single heap; the context is the heap's owner ---- */

static void *single_malloc(void *context, size_t size)
{
    return front_single_alloc(context, size);
}

static void *single_calloc(void *context, size_t count, size_t size)
{
    return front_single_calloc(context, count, size);
}

static void *single_realloc(void *context, void *block, size_t size)
{
    return front_single_realloc(context, block, size);
}

static void single_free(void *context, void *block)
{
    front_single_free(context, block);
}

/* ---- installing ---- */

static void give(cairn_domain domain, const cairn_allocator *allocator)
{
    python.allocator[domain] = *allocator;
    record_wrap(domain, &python.allocator[domain]);
    python.installed |= 1u << domain;
    PyMem_SetAllocator((int)domain, &python.allocator[domain]);
}

/* Objects are aligned to 16 bytes under every geometry, as in CPython since 3.8: extension modules are compiled to rely
 * on it (_ctypes moves 16 bytes at a time). */
enum { OBJECT_ALIGNMENT = 16 };

/* Where CPython's own pools have their first block; see cairn_geometry. */
enum { CPYTHON_FIRST_BLOCK = 48 };

/* Buffers of lists, dicts and strings are packed as tightly as malloc does for stock Python. */
enum { PYTHON_MEDIUM_LIMIT = 2048 };

/* Will this process print its statistics, or where its objects came from? Then the heap counts every request, as the
 * default heap does. */
static bool will_be_shown(const struct options *options)
{
    bool counted = options->stats != STATS_OFF && (options->stats_children || cairn_options_speaker());
    return counted || (options->leaks.all && cairn_options_speaker());
}

static SELDOM cairn_heap *make_heap(bool single)
{
    const struct options *options = cairn_options();
    cairn_geometry geometry = options->geometry;
    geometry.reuse_at_once = true;
    if (geometry.medium_limit > PYTHON_MEDIUM_LIMIT) {
        geometry.medium_limit = PYTHON_MEDIUM_LIMIT;
    }
    if (geometry.alignment == OBJECT_ALIGNMENT && !geometry.first_block) {
        geometry.first_block = CPYTHON_FIRST_BLOCK;
    }
    cairn_heap_options wanted = CAIRN_HEAP_OPTIONS_INIT;
    wanted.name = "python";
    wanted.geometry = &geometry;
    wanted.single = single;
    wanted.exact = will_be_shown(options);
    wanted.limit = options->limit;
    wanted.min_alignment = OBJECT_ALIGNMENT;
    wanted.purge_delay_ms = options->purge_delay_ms;
    wanted.keep_percent = PYTHON_KEEP_PERCENT;
    wanted.fit = options->fit;
    wanted.no_pools = options->no_pools;
    wanted.huge = options->huge;
    cairn_heap *heap = cairn_heap_create(&wanted);
    if (heap != NULL) {
        if (single) {
            heap_look_at_frees(heap);
        }
        if (!options->gc.snapshot) {
            geometry_pack(heap); /* a snapshot's joiner makes huge pages of larger arenas */
        }
        geometry_few_from_holes(heap, FEW_ABOVE, FEW_OBJECTS);
        heap->keep_percent = PYTHON_KEEP_FIRST;
        heap->keep_step = PYTHON_KEEP_STEP;
        heap->keep_most = PYTHON_KEEP_MOST;
        heap->cool_part = PYTHON_COOL_PART;
        heap->huge_arenas = options->gc.snapshot;
    }
    return heap;
}

static void plain_allocator(cairn_allocator *allocator)
{
    if (python.heap_single) {
        *allocator = (cairn_allocator){front_single_owner(python.heap), single_malloc, single_calloc, single_realloc,
                                       single_free};
    } else {
        cairn_heap_allocator(python.heap, allocator);
    }
}

static void give_objects(bool single)
{
    cairn_allocator allocator;
    python.heap = make_heap(single);
    python.heap_single = single;
    if (python.heap == NULL) {
        say("cairn: no heap for Python's objects (%s): Cairn serves malloc and the raw domain only\n", strerror(errno));
        return;
    }
    plain_allocator(&allocator);
    give(CAIRN_DOMAIN_MEM, &allocator);
    give(CAIRN_DOMAIN_OBJECT, &allocator);
}

SELDOM void python_install(int argc, char **argv)
{
    bool present = PyMem_SetAllocator != NULL && PyMem_GetAllocator != NULL && Py_GetVersion != NULL;
    if (!present || !cairn_options()->python || kept_out(argc, argv)) {
        return;
    }
    const char *version = Py_GetVersion();
    int minor = served_minor(version);
    if (minor == 0) {
        return;
    }
    geometry_few_from_holes(cairn_heap_default(), 0, FEW_MOST);
    give(CAIRN_DOMAIN_RAW, &raw_allocator);
    if (is_free_threaded(version)) {
        say("cairn: this Python is a free-threading build, whose objects need its own allocator: Cairn serves malloc "
            "and the raw domain only\n");
    } else {
        give_objects(minor < FIRST_MINOR_WITH_MANY_GILS);
    }
    if (python.heap != NULL) {
        python.minor = minor;
        snapshot_arm();
    }
}

int python_minor(void)
{
    return python.minor;
}

/* ---- changed while the program runs ---- */

/* Is what Cairn gave a domain still what the interpreter calls? */
static bool is_ours(cairn_domain domain)
{
    cairn_allocator now;
    PyMem_GetAllocator((int)domain, &now);
    return now.malloc == python.allocator[domain].malloc && now.context == python.allocator[domain].context;
}

SELDOM bool python_note_frees(bool on, void (*look)(void))
{
    cairn_allocator allocator;
    if (python.heap == NULL || !is_ours(CAIRN_DOMAIN_MEM) || !is_ours(CAIRN_DOMAIN_OBJECT)) {
        return false;
    }
    if (on) {
        logged_allocator(python.heap, look, &allocator);
    } else {
        plain_allocator(&allocator);
    }
    give(CAIRN_DOMAIN_MEM, &allocator);
    give(CAIRN_DOMAIN_OBJECT, &allocator);
    return true;
}

/* ---- at exit ---- */

unsigned python_domains(void)
{
    return python.installed;
}

cairn_heap *python_heap(void)
{
    return python.heap;
}

SELDOM bool python_complaint(char *line, size_t size)
{
    static const char *const names[DOMAINS] = {"raw", "mem", "object"};
    for (int domain = 0; domain < DOMAINS; domain++) {
        if ((python.installed & (1u << domain)) != 0 && !is_ours((cairn_domain)domain)) {
            snprintf(line, size,
                     "cairn: the program replaced or wrapped Python's %s domain while it ran: requests that did not "
                     "reach Cairn are not in these statistics\n",
                     names[domain]);
            return true;
        }
    }
    return false;
}

/* ---- trim ---- */

static bool holds_gil(void)
{
    if (_PyThreadState_UncheckedGet == NULL || PyGILState_GetThisThreadState == NULL) {
        return false;
    }
    void *mine = PyGILState_GetThisThreadState();
    return mine != NULL && mine == _PyThreadState_UncheckedGet();
}

static SELDOM int trim_when_called(void *context)
{
    (void)context;
    atomic_store(&python.trim_asked, false);
    if (holds_gil()) {
        (void)cairn_trim(python.heap);
    }
    return 0;
}

static void ask_for_trim(void)
{
    if (Py_AddPendingCall == NULL || Py_IsInitialized == NULL || !Py_IsInitialized()) {
        return;
    }
    if (!atomic_exchange(&python.trim_asked, true) && Py_AddPendingCall(trim_when_called, NULL) != 0) {
        atomic_store(&python.trim_asked, false); /* its queue is full */
    }
}

SELDOM size_t python_trim(void)
{
    if (python.heap == NULL) {
        return 0;
    }
    if (!python.heap_single || holds_gil()) {
        return cairn_trim(python.heap);
    }
    ask_for_trim();
    return 0;
}
