/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* run.c: `cairn run`: checks the options, turns them into the CAIRN_* variables that src/heap/options.h lists,
 * preloads libcairn-preload.so and becomes the program by exec, so that exit status, signals, terminal and process id
 * are the program's own. Everything that can be wrong is said before the exec. Single-threaded. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"
#include "message.h"
#include "preload.h"
#include "program.h"
#include "run_options.h"

void run_help(void)
{
    puts("Usage: cairn run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
         "Runs PROGRAM on Cairn: its malloc and, when it is CPython, its three memory domains.\n"
         "The programs it starts run on Cairn too.\n"
         "\n"
         "Options (each sets the variable in brackets):");
    run_options_print();
    puts("\n"
         "The exit status is the program's own; 125: an error of cairn's, 126: the program\n"
         "cannot be executed, 127: the program was not found. See also cairn-run(1).");
}

static void set_variable(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        fail(EXIT_CAIRN, "cannot set %s: %s", name, strerror(errno));
    }
}

static void set_environment(const struct run_options *options)
{
    char pid[32];

    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    run_options_set(options, set_variable);
    set_variable("CAIRN_RUN_PID", pid);
    unsetenv(PRELOAD_VARIABLE);
}

int run_execute(int count, char **arguments)
{
    static struct program program;
    static char library[PATH_MAX];
    struct run_options options = {{NULL}, false};

    int first = run_options_read(&options, count, arguments);
    if (options.help) {
        run_help();
        return finish_output();
    }
    if (first == count) {
        fail(EXIT_CAIRN, "no program given; usage: cairn run [OPTIONS] -- PROGRAM [ARGUMENTS]");
    }
    run_options_check(&options);
    preload_find(library);
    launch_find(&program, arguments[first], arguments[first - 1]);
    preload_verdict verdict = program_preload_verdict(&program, library);
    launch_say_without(&program, verdict, "runs without Cairn");
    set_environment(&options);
    /* A program that cannot be preloaded cannot take the preload away from its children either. */
    if (verdict == PRELOAD_POSSIBLE || !run_options_no_children(&options)) {
        preload_set(library);
    }
    launch_fail(&program, program_exec(&program, arguments + first));
}
