/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* run.c: `cairn run`: checks the options, turns them into the CAIRN_* variables that src/heap/options.h lists,
 * preloads libcairn-preload.so and becomes the program by exec, so that exit status, signals, terminal and process id
 * are the program's own. Everything that can be wrong is said before the exec. Single-threaded. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
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

/* Ends the process because the program could not be found. */
static _Noreturn void fail_not_found(const char *name, const char *before, int error)
{
    if (error == EACCES && strchr(name, '/') != NULL && faccessat(AT_FDCWD, name, F_OK, AT_EACCESS) != 0) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': a folder of its path may not be searched; see namei(1)", name);
    }
    if (error == EACCES) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': it is not an executable file; see chmod(1)", name);
    }
    if (error != ENOENT && error != ENOTDIR) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': %s", name, strerror(error));
    }
    if (strcmp(before, "--stats") == 0 && (strcmp(name, "json") == 0 || strcmp(name, "text") == 0)) {
        fail(EXIT_NOT_FOUND, "no program '%s' in PATH; if the format was meant: --stats=%s", name, name);
    }
    if (strchr(name, '/') != NULL) {
        fail(EXIT_NOT_FOUND, "no program '%s'; check the path", name);
    }
    fail(EXIT_NOT_FOUND, "no program '%s' in PATH; check the name, or give its path (./%s)", name, name);
}

/* Ends the process because the program was found and could not be executed. */
static _Noreturn void fail_not_executed(const struct program *program, int error)
{
    const char *behind = strcmp(program->path, program->image) != 0 ? program->image : NULL;

    if (behind != NULL && error == EACCES) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': its interpreter '%s' is not executable", program->path, behind);
    }
    if (behind != NULL && (error == ENOENT || error == ENOTDIR)) {
        fail(EXIT_NOT_EXECUTABLE,
             "cannot run '%s': its interpreter '%s' does not exist; install it or correct the "
             "first line",
             program->path, behind);
    }
    if (error == ENOENT) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': the loader it names does not exist; see ldd(1)", program->path);
    }
    if (error == ENOEXEC) {
        fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': neither a script nor a program for this machine; see file(1)",
             program->path);
    }
    fail(EXIT_NOT_EXECUTABLE, "cannot run '%s': %s", program->path, strerror(error));
}

/* Says why the program will run without Cairn. */
static void say_without(const struct program *program, preload_verdict verdict)
{
    switch (verdict) {
    case PRELOAD_STATIC:
        say("'%s' is statically linked and runs without Cairn; link it dynamically, or with libcairn.a",
            program->image);
        break;
    case PRELOAD_FOREIGN:
        say("'%s' is for another machine or word size than libcairn-preload.so and runs without Cairn", program->image);
        break;
    case PRELOAD_SECURE:
        say("'%s' raises privileges (setuid, setgid or capabilities), so the loader ignores LD_PRELOAD: it runs "
            "without Cairn; run it as the user it becomes",
            program->image);
        break;
    case PRELOAD_POSSIBLE:
        break;
    }
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
    int error = program_find(&program, arguments[first]);
    if (error != 0) {
        fail_not_found(arguments[first], arguments[first - 1], error);
    }
    error = program_follow(&program);
    if (error != 0) {
        fail_not_executed(&program, error);
    }
    preload_verdict verdict = program_preload_verdict(&program, library);
    say_without(&program, verdict);
    set_environment(&options);
    /* A program that cannot be preloaded cannot take the preload away from its children either. */
    if (verdict == PRELOAD_POSSIBLE || !run_options_no_children(&options)) {
        preload_set(library);
    }
    fail_not_executed(&program, program_exec(&program, arguments + first));
}
