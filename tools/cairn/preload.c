/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* preload.c: see preload.h. The library is looked for relative to the running executable, so that a build tree, an
 * installed prefix and a copied prefix all work without being told where they are:
 *   1. the executable's own folder (a build tree);
 *   2. CAIRN_PRELOAD_DIR, the way from BINDIR to LIBDIR/cairn as the build was configured (relative);
 *   3. ../lib/cairn and ../lib64/cairn (the parts of an install moved to a prefix of another layout);
 *   4. ../lib/<any>/cairn, where <any> is Debian's multiarch name, such as x86_64-linux-gnu.
 * Single-threaded. */

#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "program.h"

#define LIBRARY "libcairn-preload.so"

/* Folders relative to the executable's, in order. */
static const char *const places[] = {"",
#ifdef CAIRN_PRELOAD_DIR
                                     CAIRN_PRELOAD_DIR "/",
#endif
                                     "../lib/cairn/", "../lib64/cairn/"};

enum { PLACE_COUNT = sizeof places / sizeof places[0] };

/* The folder of the running executable, with a slash at its end. */
static void own_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);

    if (length <= 0) {
        fail(EXIT_CAIRN,
             "cannot read /proc/self/exe (%s) to find " LIBRARY "; is /proc mounted? Or set " PRELOAD_VARIABLE
             " to its path",
             strerror(errno));
    }
    folder[length] = '\0';
    strrchr(folder, '/')[1] = '\0';
}

/* Joins three parts to a path; false if it would be too long or names nothing. */
static bool existing_path(char path[PATH_MAX], const char *folder, const char *middle, const char *name)
{
    char joined[PATH_MAX];
    int length = snprintf(joined, sizeof joined, "%s%s%s", folder, middle, name);

    return length > 0 && length < PATH_MAX && realpath(joined, path) != NULL;
}

/* Looks in the folders of ../lib for one that holds cairn/libcairn-preload.so. */
static bool find_multiarch(char path[PATH_MAX], const char *folder)
{
    char libraries[PATH_MAX];
    bool found = false;

    if (!existing_path(libraries, folder, "../lib", "")) {
        return false;
    }
    DIR *list = opendir(libraries);
    if (list == NULL) {
        return false;
    }
    for (struct dirent *entry = readdir(list); entry != NULL && !found; entry = readdir(list)) {
        char middle[sizeof entry->d_name + 2];
        snprintf(middle, sizeof middle, "/%s", entry->d_name);
        if (entry->d_name[0] != '.') {
            found = existing_path(path, libraries, middle, "/cairn/" LIBRARY);
        }
    }
    closedir(list);
    return found;
}

static void find_beside(char path[PATH_MAX])
{
    char folder[PATH_MAX];

    own_folder(folder);
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (existing_path(path, folder, places[i], LIBRARY)) {
            return;
        }
    }
    if (find_multiarch(path, folder)) {
        return;
    }
    fail(EXIT_CAIRN,
         "cannot find " LIBRARY " in %s, nor in ../lib/cairn, ../lib64/cairn or ../lib/*/cairn from there; "
         "build or install Cairn again, or set " PRELOAD_VARIABLE " to its path",
         folder);
}

void preload_find(char path[PATH_MAX])
{
    const char *wish = getenv(PRELOAD_VARIABLE);

    if (wish == NULL || wish[0] == '\0') {
        find_beside(path);
    } else if (realpath(wish, path) == NULL) {
        fail(EXIT_CAIRN, PRELOAD_VARIABLE " names '%s': %s; name an existing " LIBRARY " or unset it", wish,
             strerror(errno));
    }
    if (!is_shared_object(path)) {
        fail(EXIT_CAIRN, "'%s' is no shared library; build or install Cairn again", path);
    }
    /* The loader splits LD_PRELOAD at these and expands $ORIGIN and its like; it knows no quoting. */
    if (strpbrk(path, ": \t\n$") != NULL) {
        fail(EXIT_CAIRN,
             "LD_PRELOAD cannot name '%s' (space, colon or dollar sign in the path); copy " LIBRARY
             " elsewhere and set " PRELOAD_VARIABLE " to the copy",
             path);
    }
}

/* True if the list, parted as the loader parts it, begins with `path`. */
static bool begins_with(const char *list, const char *path)
{
    size_t length = strcspn(list, ": ");

    return length == strlen(path) && strncmp(list, path, length) == 0;
}

void preload_set(const char *path)
{
    const char *old = getenv("LD_PRELOAD");
    char *joined = NULL;

    if (old != NULL && begins_with(old, path)) {
        return;
    }
    if (old != NULL && old[0] != '\0') {
        joined = text_of("%s:%s", path, old);
    }
    if (setenv("LD_PRELOAD", joined != NULL ? joined : path, 1) != 0) {
        fail(EXIT_CAIRN, "cannot set LD_PRELOAD: %s", strerror(errno));
    }
    free(joined);
}
