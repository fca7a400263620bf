/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* start.c: the preload's constructor. Requests are served long before it runs; what it adds is what needs a running
 * libc (fork handlers, the watch on threads that end) or is done once for the user (reports, statistics, CPython's
 * domains, children that go their own way). glibc passes main's arguments to constructors.
 *
 * When it is over, the library's pages that requests do not need are given back: the start's code and constants, and
 * what the system mapped around them. cmake/layout.ld.in has where they begin and end. */

#include "heap/front.h"
#include "heap/options.h"
#include "malloc/children.h"
#include "malloc/leak_check.h"
#include "malloc/process.h"
#include "os/os_file.h"
#include "python/domains.h"
#include "python/pauses.h"

/* Of the linker's script; NULL without it. */
#define OF_LAYOUT extern const char __attribute__((weak, visibility("hidden")))
OF_LAYOUT after_constants[], after_constants_end[], after_code[], after_code_end[];

static void give_back_start(void)
{
    if (after_code != NULL) {
        os_file_drop(after_constants, after_constants_end);
        os_file_drop(after_code, after_code_end);
    }
}

static __attribute__((constructor)) void start(int argc, char **argv, char **environment)
{
    (void)environment;
    heap_start();
    program_note(argc, argv);
    if (cairn_options()->no_children) {
        children_leave();
    }
    pauses_arm(program_name());
    python_install(argc, argv);
    leak_check_arm();
    report_arm();
    leak_check_begin();
    give_back_start();
}
