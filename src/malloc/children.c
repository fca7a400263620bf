/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* children.c: the preload takes itself out of LD_PRELOAD for children, and only for them.
 *
 * `cairn run --no-children -- env X=1 python3 app.py` starts env, and env becomes python3 by exec: the same process,
 * so it must stay on Cairn. Hence the exec functions put the old value back if they run in the very process that took
 * it out (a child, also one of vfork, has another process id) and its environment still has what children_leave()
 * left.
 *
 * A snapshot of Python's heap that is under way ends before exec, for the program that follows would be left with a
 * child it does not know. So every exec function of the C library comes through here: inside of it they reach the system
 * directly. An exec that fails has ended the snapshot, and no more.
 *
 * The environment is changed in place: nothing is allocated, and libc's `environ` stays the array it was. State is
 * written in the constructor and only read afterwards. */

#include "malloc/children.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cairn.h"
#include "os/os.h"
#include "os/place.h"
#include "python/snapshot.h"

#define VARIABLE "LD_PRELOAD="
#define SWITCH "CAIRN_CHILDREN="

static LARGE_DATA struct {
    pid_t pid;             /* the process that took the entry out; 0: none did */
    char before[PATH_MAX]; /* LD_PRELOAD=... as it was */
    char after[PATH_MAX];  /* as it is now; "" if it is gone */
} taken;

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static size_t find(char *const *environment, const char *prefix)
{
    size_t at = 0;
    while (environment[at] != NULL && !starts_with(environment[at], prefix)) {
        at++;
    }
    return at;
}

static bool same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    if (strcmp(a, b) == 0) {
        return true;
    }
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* ---- taking it out ---- */

/* Copies a list of libraries without those that are `self`. Both list and copy hold fewer than PATH_MAX bytes. */
static void copy_others(const char *list, const char *self, char *copy)
{
    char entry[PATH_MAX];
    size_t length = 0;
    for (;;) {
        list += strspn(list, " :");
        size_t size = strcspn(list, " :");
        if (size == 0) {
            break;
        }
        memcpy(entry, list, size);
        entry[size] = '\0';
        list += size;
        if (!same_file(entry, self)) {
            if (length != 0) {
                copy[length++] = ':';
            }
            memcpy(copy + length, entry, size);
            length += size;
        }
    }
    copy[length] = '\0';
}

static void remove_entry(char **environment, size_t at)
{
    do {
        environment[at] = environment[at + 1];
    } while (environment[at++] != NULL);
}

void children_leave(void)
{
    Dl_info self;
    char **environment = os_environment();
    if (environment == NULL || dladdr((void *)children_leave, &self) == 0 || self.dli_fname == NULL) {
        return;
    }
    size_t at = find(environment, VARIABLE);
    if (environment[at] == NULL || strlen(environment[at]) >= sizeof taken.before) {
        return;
    }
    strcpy(taken.before, environment[at]);
    strcpy(taken.after, VARIABLE);
    copy_others(taken.before + strlen(VARIABLE), self.dli_fname, taken.after + strlen(VARIABLE));
    if (strcmp(taken.after, VARIABLE) == 0) {
        taken.after[0] = '\0';
        remove_entry(environment, at);
    } else {
        environment[at] = taken.after;
    }
    taken.pid = getpid();
}

/* ---- putting it back for exec ---- */

/* True if the program that replaces this one, with this environment, is to run on Cairn too. */
static bool stays(char *const *environment)
{
    if (taken.pid == 0 || environment == NULL || taken.pid != getpid()) {
        return false;
    }
    const char *now = environment[find(environment, VARIABLE)];
    const char *off = environment[find(environment, SWITCH)];
    return strcmp(now != NULL ? now : "", taken.after) == 0 && off != NULL && strcmp(off, SWITCH "0") == 0;
}

static size_t count(char *const *environment)
{
    size_t n = 0;
    while (environment[n] != NULL) {
        n++;
    }
    return n;
}

/* Copies an environment of n variables, with LD_PRELOAD as it was. */
static void restore(char *const *environment, size_t n, char **copy)
{
    memcpy(copy, environment, (n + 1) * sizeof *copy);
    size_t at = find(copy, VARIABLE);
    copy[at] = taken.before;
    if (at == n) {
        copy[n + 1] = NULL;
    }
}

/* ---- exec ---- */

/* The next definitions after this library's. Found by the constructor, or at the first call if a program's own
 * constructors become another program before that. */
static struct {
    __typeof__(&execvpe) search;
    __typeof__(&fexecve) file;
} real;

static __attribute__((constructor)) void find_real(void)
{
    real.search = (__typeof__(&execvpe))dlsym(RTLD_NEXT, "execvpe");
    real.file = (__typeof__(&fexecve))dlsym(RTLD_NEXT, "fexecve");
}

/* What is to be executed: by its path, by a name to search for in PATH, or by a descriptor. */
struct program {
    enum { BY_PATH, BY_SEARCH, BY_FILE } how;
    const char *name;
    int file;
};

static int execute(const struct program *program, char *const argv[], char *const environment[])
{
    if (program->how != BY_PATH && (real.search == NULL || real.file == NULL)) {
        find_real();
    }
    switch (program->how) {
    case BY_SEARCH:
        return real.search(program->name, argv, environment);
    case BY_FILE:
        return real.file(program->file, argv, environment);
    default:
        return (int)syscall(SYS_execve, program->name, argv, environment);
    }
}

static int become(struct program program, char *const argv[], char *const environment[])
{
    snapshot_leave();
    if (!stays(environment)) {
        return execute(&program, argv, environment);
    }
    size_t n = count(environment);
    char *copy[n + 2];
    restore(environment, n, copy);
    return execute(&program, argv, copy);
}

CAIRN_API int execve(const char *path, char *const argv[], char *const environment[])
{
    return become((struct program){.how = BY_PATH, .name = path}, argv, environment);
}

CAIRN_API int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

CAIRN_API int execvpe(const char *file, char *const argv[], char *const environment[])
{
    return become((struct program){.how = BY_SEARCH, .name = file}, argv, environment);
}

CAIRN_API int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

CAIRN_API int fexecve(int file, char *const argv[], char *const environment[])
{
    return become((struct program){.how = BY_FILE, .file = file}, argv, environment);
}

/* ---- exec with the arguments one by one ---- */

/* How many there are in front of the NULL. */
static size_t count_arguments(const char *first, va_list rest)
{
    size_t n = 0;
    for (const char *argument = first; argument != NULL; argument = va_arg(rest, const char *)) {
        n++;
    }
    return n;
}

/* Fills argv with n of them and the NULL; `rest` is behind that then. */
static void take_arguments(const char *first, va_list rest, size_t n, char **argv)
{
    argv[0] = (char *)first;
    for (size_t i = 1; i <= n; i++) {
        argv[i] = va_arg(rest, char *);
    }
}

/* As become(), with the arguments listed; the environment is behind their NULL if it is listed too. */
static int become_listed(struct program program, const char *first, va_list rest, bool lists_environment)
{
    va_list counted;
    va_copy(counted, rest);
    size_t n = count_arguments(first, counted);
    va_end(counted);
    char *argv[n + 1];
    take_arguments(first, rest, n, argv);
    return become(program, argv, lists_environment ? va_arg(rest, char *const *) : environ);
}

CAIRN_API int execl(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = become_listed((struct program){.how = BY_PATH, .name = path}, first, rest, false);
    va_end(rest);
    return result;
}

CAIRN_API int execlp(const char *file, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = become_listed((struct program){.how = BY_SEARCH, .name = file}, first, rest, false);
    va_end(rest);
    return result;
}

CAIRN_API int execle(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = become_listed((struct program){.how = BY_PATH, .name = path}, first, rest, true);
    va_end(rest);
    return result;
}
