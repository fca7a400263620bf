/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* policies.c: see policies.h. Single-threaded. */

#include "policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "program.h"
#include "usage.h"

static const char *const fit_names[] = {"best", "first", "next", "worst", NULL};
static const char *const geometry_names[] = {"default", "cpython", "classic", NULL};
static const char *const pools_names[] = {"on", "off", NULL};

/* Allocators that Debian packages, and the names of their libraries. */
static const struct {
    const char *name;
    const char *files[3];
} packaged[] = {
    {"mimalloc", {"libmimalloc.so.3", "libmimalloc.so.2"}},
    {"jemalloc", {"libjemalloc.so.2"}},
    {"tcmalloc", {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4"}},
};

enum { PACKAGED = sizeof packaged / sizeof packaged[0] };

static struct policy *add(struct policies *policies)
{
    if (policies->count == POLICIES_MAX) {
        fail(EXIT_CAIRN, "more than %d policies at once; leave some out", POLICIES_MAX);
    }
    struct policy *policy = &policies->policy[policies->count++];
    memset(policy, 0, sizeof *policy);
    return policy;
}

/* Takes the next word off a list; NULL at its end. */
static const char *next_word(const char **list, size_t *length)
{
    const char *word = *list;
    if (word == NULL) {
        return NULL;
    }
    *length = strcspn(word, ",");
    *list = word[*length] == ',' ? word + *length + 1 : NULL;
    return word;
}

/* ---- heaps ---- */

/* The words of a list as a set of indexes into `names`, in the list's order. */
static size_t read_list(const char *option, const char *list, const char *const *names, size_t indexes[8])
{
    size_t count = 0, length;
    for (const char *word = next_word(&list, &length); word != NULL; word = next_word(&list, &length)) {
        size_t index = usage_choice(option, word, length, names);
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known |= indexes[i] == index;
        }
        if (!known) {
            indexes[count++] = index;
        }
    }
    return count;
}

static void add_heap(struct policies *policies, size_t fit, size_t geometry, bool no_pools)
{
    struct policy *policy = add(policies);
    policy->heap = true;
    policy->fit = (cairn_fit)((int)CAIRN_FIT_BEST + (int)fit);
    policy->no_pools = no_pools;
    strcpy(policy->geometry, geometry_names[geometry]);
    if (no_pools) {
        snprintf(policy->name, sizeof policy->name, "no pools, %s fit", fit_names[fit]);
    } else if (fit == 0) {
        snprintf(policy->name, sizeof policy->name, "%s", geometry_names[geometry]);
    } else {
        snprintf(policy->name, sizeof policy->name, "%s, %s fit", geometry_names[geometry], fit_names[fit]);
    }
}

void policies_add_heaps(struct policies *policies, const char *fits, const char *geometries, const char *pools)
{
    size_t fit[8], geometry[8], pool[8];
    size_t fit_count = read_list("--fit", fits != NULL ? fits : "best", fit_names, fit);
    size_t geometry_count = read_list("--geometry", geometries != NULL ? geometries : "default", geometry_names,
                                      geometry);
    size_t pool_count = read_list("--pools", pools != NULL ? pools : "on", pools_names, pool);
    for (size_t p = 0; p < pool_count; p++) {
        bool no_pools = pool[p] == 1;
        for (size_t g = 0; g < (no_pools ? 1 : geometry_count); g++) {
            for (size_t f = 0; f < fit_count; f++) {
                add_heap(policies, fit[f], no_pools ? 0 : geometry[g], no_pools);
            }
        }
    }
}

/* ---- allocators ---- */

static bool find_file(char path[PATH_MAX], const char *file)
{
    static const char *const folders[] = {"/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, PATH_MAX, "%s/%s", folders[i], file);
        if (is_shared_object(path)) {
            return true;
        }
    }
    return false;
}

static bool find_packaged(char path[PATH_MAX], size_t index)
{
    for (size_t i = 0; i < 3 && packaged[index].files[i] != NULL; i++) {
        if (find_file(path, packaged[index].files[i])) {
            return true;
        }
    }
    return false;
}

static void add_glibc(struct policies *policies)
{
    strcpy(add(policies)->name, "glibc");
}

static void add_library(struct policies *policies, const char *name, const char *path)
{
    struct policy *policy = add(policies);
    snprintf(policy->name, sizeof policy->name, "%s", name);
    snprintf(policy->library, sizeof policy->library, "%s", path);
}

static void add_path(struct policies *policies, const char *path)
{
    char absolute[PATH_MAX];
    if (realpath(path, absolute) == NULL || !is_shared_object(absolute)) {
        fail(EXIT_CAIRN, "--allocator: '%s' is no shared library; name one such as /usr/lib/libmimalloc.so", path);
    }
    if (strpbrk(absolute, ": \t\n$") != NULL) {
        fail(EXIT_CAIRN, "--allocator: LD_PRELOAD cannot name '%s' (space, colon or dollar sign); copy it elsewhere",
             absolute);
    }
    add_library(policies, strrchr(absolute, '/') + 1, absolute);
}

static void add_named(struct policies *policies, const char *name)
{
    char path[PATH_MAX];
    if (strcmp(name, "glibc") == 0) {
        add_glibc(policies);
        return;
    }
    if (strchr(name, '/') != NULL) {
        add_path(policies, name);
        return;
    }
    for (size_t i = 0; i < PACKAGED; i++) {
        if (strcmp(packaged[i].name, name) == 0) {
            if (!find_packaged(path, i)) {
                fail(EXIT_CAIRN, "--allocator: %s is not installed; install it, or give the path of its library", name);
            }
            add_library(policies, name, path);
            return;
        }
    }
    fail(EXIT_CAIRN, "--allocator: unknown '%s'; valid: glibc, mimalloc, jemalloc, tcmalloc, or a path with a slash",
         name);
}

void policies_add_allocators(struct policies *policies, const char *names)
{
    size_t length;
    for (const char *word = next_word(&names, &length); word != NULL; word = next_word(&names, &length)) {
        char *name = text_of("%.*s", (int)length, word);
        add_named(policies, name);
        free(name);
    }
}

void policies_add_installed(struct policies *policies)
{
    char path[PATH_MAX];
    add_glibc(policies);
    for (size_t i = 0; i < PACKAGED; i++) {
        if (find_packaged(path, i)) {
            add_library(policies, packaged[i].name, path);
        }
    }
}
