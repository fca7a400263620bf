/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* launch.c: see launch.h. Single-threaded. */

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

/* Is `word` a value that was meant for the option before it, which takes one only behind an equals sign? */
static bool is_value_of(const char *option, const char *word)
{
    static const char *const values[][2] = {{"--stats", "text"}, {"--stats", "json"}, {"--leaks", "text"},
                                            {"--leaks", "json"}, {"--leaks", "all"},  {"--leaks", "fail"}};
    size_t length = strcspn(word, ",");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (strcmp(values[i][0], option) == 0 && strlen(values[i][1]) == length &&
            strncmp(values[i][1], word, length) == 0) {
            return true;
        }
    }
    return false;
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
    if (is_value_of(before, name)) {
        fail(EXIT_NOT_FOUND, "no program '%s' in PATH; if a value was meant: %s=%s", name, before, name);
    }
    if (strchr(name, '/') != NULL) {
        fail(EXIT_NOT_FOUND, "no program '%s'; check the path", name);
    }
    fail(EXIT_NOT_FOUND, "no program '%s' in PATH; check the name, or give its path (./%s)", name, name);
}

_Noreturn void launch_fail(const struct program *program, int error)
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

void launch_say_without(const struct program *program, preload_verdict verdict, const char *outcome)
{
    switch (verdict) {
    case PRELOAD_STATIC:
        say("'%s' is statically linked and %s; link it dynamically, or with libcairn.a", program->image, outcome);
        break;
    case PRELOAD_FOREIGN:
        say("'%s' is for another machine or word size than libcairn-preload.so and %s", program->image, outcome);
        break;
    case PRELOAD_SECURE:
        say("'%s' raises privileges (setuid, setgid or capabilities), so the loader ignores LD_PRELOAD: it %s; run it "
            "as "
            "the user it becomes",
            program->image, outcome);
        break;
    case PRELOAD_POSSIBLE:
        break;
    }
}

void launch_find(struct program *program, const char *name, const char *before)
{
    int error = program_find(program, name);
    if (error != 0) {
        fail_not_found(name, before, error);
    }
    error = program_follow(program);
    if (error != 0) {
        launch_fail(program, error);
    }
}
