/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* start.c: the preload's constructor. Requests are served long before it runs; what it adds is what needs a running
 * libc (fork handlers, the watch on threads that end) or is done once for the user (reports, statistics, CPython's
 * domains, children that go their own way). glibc passes main's arguments to constructors. */

#include "heap/front.h"
#include "heap/options.h"
#include "malloc/children.h"
#include "malloc/leak_check.h"
#include "malloc/process.h"
#include "python/domains.h"
#include "python/pauses.h"

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
}
