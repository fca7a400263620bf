/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* program.c: see program.h. The look-ups repeat what execvp(3), the kernel and the loader will do, so that the user
 * gets the reason before the program starts. They only advise: a file that changes in between is the kernel's to
 * judge. File descriptors are closed on exec. Single-threaded. */

#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    HEAD_SIZE = 256,  /* the kernel reads this much of a file to find `#!` (BINPRM_BUF_SIZE) */
    SCRIPT_DEPTH = 5, /* scripts whose interpreter is a script, at most (the kernel's limit) */
    PHDRS_MAX = 64    /* program headers looked at */
};

static const char shell[] = "/bin/sh";

/* ---- finding the file ---- */

/* Copies a path into a buffer of PATH_MAX bytes. */
static int copy_path(char *to, const char *from)
{
    size_t length = strlen(from);

    if (length >= PATH_MAX) {
        return ENAMETOOLONG;
    }
    memcpy(to, from, length + 1);
    return 0;
}

/* 0 if the kernel would try to execute `path`, otherwise the errno value execve() would give. */
static int executable_error(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return EACCES;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/* Joins a folder of PATH (`length` bytes, empty for the working folder) and a name. */
static int join_path(char *to, const char *folder, size_t length, const char *name)
{
    const char *dot = length == 0 ? "." : "";
    int wanted = snprintf(to, PATH_MAX, "%s%.*s/%s", dot, (int)length, folder, name);

    return wanted < PATH_MAX ? 0 : ENAMETOOLONG;
}

static int find_in_path(struct program *program, const char *name)
{
    const char *folders = getenv("PATH");
    int error = ENOENT;

    if (folders == NULL) {
        folders = "/bin:/usr/bin"; /* execvp's own default */
    }
    for (;;) {
        size_t length = strcspn(folders, ":");
        int this_error = join_path(program->path, folders, length, name);
        if (this_error == 0) {
            this_error = executable_error(program->path);
        }
        if (this_error == 0) {
            return 0;
        }
        if (this_error == EACCES && faccessat(AT_FDCWD, program->path, F_OK, AT_EACCESS) == 0) {
            error = EACCES; /* there is a file; a folder that may not be searched is passed over */
        }
        if (folders[length] == '\0') {
            return error;
        }
        folders += length + 1;
    }
}

int program_find(struct program *program, const char *name)
{
    program->name = name;
    program->path[0] = '\0';
    program->image[0] = '\0';
    if (name[0] == '\0') {
        return ENOENT;
    }
    if (strchr(name, '/') == NULL) {
        return find_in_path(program, name);
    }
    int error = copy_path(program->path, name);
    return error != 0 ? error : executable_error(program->path);
}

/* ---- following scripts ---- */

/* Reads the first bytes of a file; returns how many, 0 if it cannot be read. */
static size_t read_head(const char *path, char head[HEAD_SIZE])
{
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return 0;
    }
    ssize_t length = pread(file, head, HEAD_SIZE, 0);
    close(file);
    return length > 0 ? (size_t)length : 0;
}

static bool is_elf(const char *head, size_t length)
{
    return length >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static bool is_script(const char *head, size_t length)
{
    return length >= 2 && head[0] == '#' && head[1] == '!';
}

/* As the shells judge: text has no zero byte in its first line. */
static bool looks_like_text(const char *head, size_t length)
{
    const char *end = memchr(head, '\n', length);

    return memchr(head, '\0', end != NULL ? (size_t)(end - head) : length) == NULL;
}

/* Copies the interpreter's path out of a `#!` line. */
static int script_interpreter(const char *head, size_t length, char interpreter[HEAD_SIZE])
{
    size_t start = 2;

    while (start < length && (head[start] == ' ' || head[start] == '\t')) {
        start++;
    }
    size_t end = start;
    while (end < length && strchr(" \t\n", head[end]) == NULL) { /* a zero byte ends it too: strchr finds it */
        end++;
    }
    if (end == start) {
        return ENOEXEC;
    }
    memcpy(interpreter, head + start, end - start);
    interpreter[end - start] = '\0';
    return 0;
}

int program_follow(struct program *program)
{
    char head[HEAD_SIZE];
    char interpreter[HEAD_SIZE];
    int error = copy_path(program->image, program->path);

    for (int depth = 0; error == 0 && depth <= SCRIPT_DEPTH; depth++) {
        error = executable_error(program->image);
        size_t length = error == 0 ? read_head(program->image, head) : 0;
        if (error != 0 || is_elf(head, length)) {
            return error;
        }
        if (is_script(head, length)) {
            error = script_interpreter(head, length, interpreter);
            if (error == 0) {
                error = copy_path(program->image, interpreter);
            }
        } else if (length == 0 && access(program->image, R_OK) != 0) {
            return 0; /* executable, not readable: the kernel's to judge */
        } else if (depth == 0 && looks_like_text(head, length)) {
            error = copy_path(program->image, shell);
        } else {
            return ENOEXEC;
        }
    }
    return error != 0 ? error : ELOOP;
}

/* ---- what the loader will say ---- */

/* Reads the ELF header of a file, whatever its machine. The fields compared lie at the same place in both sizes. */
static bool read_elf(int file, ElfW(Ehdr) *header)
{
    ssize_t length = pread(file, header, sizeof *header, 0);

    return length >= (ssize_t)sizeof(Elf32_Ehdr) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0;
}

static bool read_elf_at(const char *path, ElfW(Ehdr) *header)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool good = file >= 0 && read_elf(file, header);

    if (file >= 0) {
        close(file);
    }
    return good;
}

static bool same_machine(const ElfW(Ehdr) *a, const ElfW(Ehdr) *b)
{
    return a->e_ident[EI_CLASS] == b->e_ident[EI_CLASS] && a->e_ident[EI_DATA] == b->e_ident[EI_DATA] &&
           a->e_machine == b->e_machine;
}

bool is_shared_object(const char *path)
{
    ElfW(Ehdr) header;

    return read_elf_at(path, &header) && header.e_type == ET_DYN;
}

/* True if the ELF file names a loader. True also if it cannot be told. */
static bool names_loader(int file, const ElfW(Ehdr) *header)
{
    ElfW(Phdr) table[PHDRS_MAX];
    size_t count = header->e_phnum < PHDRS_MAX ? header->e_phnum : PHDRS_MAX;

    if (header->e_phentsize != sizeof table[0]) {
        return true;
    }
    if (pread(file, table, count * sizeof table[0], (off_t)header->e_phoff) != (ssize_t)(count * sizeof table[0])) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (table[i].p_type == PT_INTERP) {
            return true;
        }
    }
    return false;
}

/* The loader itself (`ld-linux-x86-64.so.2 PROGRAM`) names no loader and heeds LD_PRELOAD all the same. */
static bool is_loader(const char *path)
{
    char real[PATH_MAX];
    const char *base = realpath(path, real) != NULL ? strrchr(real, '/') + 1 : path;

    return strncmp(base, "ld-", 3) == 0 && strstr(base, ".so") != NULL;
}

/* True if executing the file raises privileges, so that the loader runs in secure mode (AT_SECURE). */
static bool raises_privileges(const char *path)
{
    struct stat status;
    struct statvfs mount;

    if (stat(path, &status) != 0 || statvfs(path, &mount) != 0 || (mount.f_flag & ST_NOSUID) != 0) {
        return false;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1) {
        return false;
    }
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) {
        return true;
    }
    if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != getgid()) {
        return true;
    }
    return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

preload_verdict program_preload_verdict(const struct program *program, const char *library)
{
    ElfW(Ehdr) header;
    ElfW(Ehdr) library_header;
    preload_verdict verdict = PRELOAD_POSSIBLE;
    int file = open(program->image, O_RDONLY | O_CLOEXEC);

    if (file >= 0 && read_elf(file, &header) && read_elf_at(library, &library_header)) {
        if (!same_machine(&header, &library_header)) {
            verdict = PRELOAD_FOREIGN;
        } else if (!names_loader(file, &header) && !is_loader(program->image)) {
            verdict = PRELOAD_STATIC;
        }
    }
    if (file >= 0) {
        close(file);
    }
    if (verdict == PRELOAD_POSSIBLE && raises_privileges(program->image)) {
        verdict = PRELOAD_SECURE;
    }
    return verdict;
}

/* ---- executing ---- */

/* Executes a text file without `#!` by the shell, as execvp(3) does. `arguments` ends with NULL. */
static void exec_by_shell(const char *path, char **arguments)
{
    size_t count = 0;

    while (arguments[count] != NULL) {
        count++;
    }
    char **longer = calloc(count + 2, sizeof *longer);
    char *first = strdup(shell);
    char *script = strdup(path);
    if (longer != NULL && first != NULL && script != NULL) {
        longer[0] = first;
        longer[1] = script;
        memcpy(longer + 2, arguments + 1, count * sizeof *longer); /* the NULL too */
        execv(shell, longer);
    }
    int error = errno;
    free(script);
    free(first);
    free(longer);
    errno = error;
}

int program_exec(const struct program *program, char **arguments)
{
    char head[HEAD_SIZE];

    execv(program->path, arguments);
    if (errno != ENOEXEC) {
        return errno;
    }
    size_t length = read_head(program->path, head);
    if (!is_elf(head, length) && !is_script(head, length) && looks_like_text(head, length)) {
        exec_by_shell(program->path, arguments);
    }
    return errno;
}
