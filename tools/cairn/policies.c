/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* policies.c: see policies.h. Single-threaded. */

#include "policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/options.h"
#include "message.h"
#include "program.h"
#include "usage.h"

static const char *const geometry_names[] = {"default", "cpython", "classic", NULL};
static const char *const policy_fits[] = {"best", "first", "next", "worst", "default", NULL}; /* cairn_fit */
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

/* Adds a policy unless there is one of its kind and name. */
static void add(struct policies *policies, const struct policy *policy)
{
    for (size_t i = 0; i < policies->count; i++) {
        const struct policy *other = &policies->policy[i];
        if (other->heap == policy->heap && strcmp(other->name, policy->name) == 0 &&
            strcmp(other->library, policy->library) == 0) {
            return;
        }
    }
    if (policies->count == POLICIES_MAX) {
        fail(EXIT_CAIRN, "more than %d policies at once; leave some out", POLICIES_MAX);
    }
    policies->policy[policies->count++] = *policy;
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

/* A heap is named by its geometry, and by its fit unless that is the heap's own choice. Where all is served from holes
 * this choice is best fit, and goes by that name. */
static void add_heap(struct policies *policies, cairn_fit fit, const char *geometry, bool no_pools)
{
    struct policy policy = {.heap = true, .no_pools = no_pools, .fit = fit};
    if (no_pools && fit == CAIRN_FIT_DEFAULT) {
        policy.fit = CAIRN_FIT_BEST;
    }
    snprintf(policy.geometry, sizeof policy.geometry, "%s", geometry);
    if (policy.fit == CAIRN_FIT_DEFAULT) {
        snprintf(policy.name, sizeof policy.name, "%s", geometry);
    } else {
        snprintf(policy.name, sizeof policy.name, "%s, %s fit", no_pools ? "no pools" : policy.geometry,
                 policy_fit_name(&policy));
    }
    add(policies, &policy);
}

const char *policy_fit_name(const struct policy *policy)
{
    return policy_fits[policy->fit];
}

/* ---- geometries ---- */

struct geometries {
    size_t count;
    char text[POLICIES_MAX][GEOMETRY_TEXT];
};

static bool is_preset(const char *word, size_t length)
{
    for (size_t i = 0; geometry_names[i] != NULL; i++) {
        if (strlen(geometry_names[i]) == length && strncmp(geometry_names[i], word, length) == 0) {
            return true;
        }
    }
    return false;
}

static _Noreturn void refuse_name(const char *word, size_t length)
{
    static const char valid[] = "default, cpython, classic, or fields such as arena=1M,pool=16K";
    char *name = text_of("%.*s", (int)length, word);
    const char *nearest = nearest_name(name, geometry_names, sizeof geometry_names / sizeof geometry_names[0] - 1);
    if (nearest != NULL) {
        fail(EXIT_CAIRN, "--geometry: unknown geometry '%s', did you mean %s? Valid: %s", name, nearest, valid);
    }
    fail(EXIT_CAIRN, "--geometry: unknown geometry '%s'; valid: %s", name, valid);
}

static void add_geometry(struct geometries *geometries, const char *text, size_t length)
{
    char error[240];
    cairn_geometry geometry;
    if (length >= GEOMETRY_TEXT) {
        fail(EXIT_CAIRN, "--geometry: '%.40s...' is longer than %d bytes; write it shorter", text, GEOMETRY_TEXT - 1);
    }
    if (geometries->count == POLICIES_MAX) {
        fail(EXIT_CAIRN, "--geometry: more than %d at once; leave some out", POLICIES_MAX);
    }
    char *copy = geometries->text[geometries->count++];
    snprintf(copy, GEOMETRY_TEXT, "%.*s", (int)length, text);
    if (cairn_geometry_parse(copy, &geometry, error, sizeof error) != 0) {
        bool plain = strchr(copy, ',') == NULL;
        fail(EXIT_CAIRN, plain ? "--geometry: %s%s" : "--geometry: in '%s': %s", plain ? "" : copy, error);
    }
}

/* Has the field that `word` sets a value in text[0 .. length - 1] already? */
static bool has_field(const char *text, size_t length, const char *word)
{
    size_t name = strcspn(word, "=,/;") + 1;
    for (const char *at = text; at < text + length; at += strcspn(at, ",") + 1) {
        if (word[name - 1] == '=' && strncmp(at, word, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Reads one part of the list: the names of presets, each a geometry, and between them fields, together one. */
static void read_part(struct geometries *geometries, const char *part, size_t size)
{
    const char *fields = NULL; /* where a geometry of one's own began */
    for (const char *word = part; word <= part + size;) {
        size_t length = strcspn(word, ",/;");
        bool preset = is_preset(word, length);
        if (fields != NULL && preset) {
            add_geometry(geometries, fields, (size_t)(word - 1 - fields));
            fields = NULL;
        }
        if (preset) {
            add_geometry(geometries, word, length);
        } else if (fields == NULL && memchr(word, '=', length) == NULL) {
            refuse_name(word, length);
        } else if (fields == NULL) {
            fields = word;
        } else if (has_field(fields, (size_t)(word - fields), word)) {
            fail(EXIT_CAIRN, "--geometry: '%.*s' is the second of its kind in '%.*s'; to part geometries, write A/B",
                 (int)length, word, (int)size, part);
        }
        word += length + 1;
    }
    if (fields != NULL) {
        add_geometry(geometries, fields, (size_t)(part + size - fields));
    }
}

static void read_geometries(struct geometries *geometries, const char *list)
{
    geometries->count = 0;
    for (;;) {
        size_t length = strcspn(list, "/;");
        read_part(geometries, list, length);
        if (list[length] == '\0') {
            return;
        }
        list += length + 1;
    }
}

void policies_add_heaps(struct policies *policies, const char *fits, const char *geometries, const char *pools)
{
    static struct geometries geometry;
    size_t fit[8], pool[8];
    size_t fit_count = read_list("--fit", fits != NULL ? fits : "default", policy_fits, fit);
    size_t pool_count = read_list("--pools", pools != NULL ? pools : "on", pools_names, pool);
    read_geometries(&geometry, geometries != NULL ? geometries : "default");
    if (geometries != NULL && pool_count == 1 && pool[0] == 1) {
        fail(EXIT_CAIRN,
             "--geometry and --pools=off exclude each other: a heap without pools has no geometry; drop one, or write "
             "--pools=on,off");
    }
    for (size_t p = 0; p < pool_count; p++) {
        bool no_pools = pool[p] == 1;
        for (size_t g = 0; g < (no_pools ? 1 : geometry.count); g++) {
            for (size_t f = 0; f < fit_count; f++) {
                add_heap(policies, (cairn_fit)fit[f], no_pools ? "default" : geometry.text[g], no_pools);
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
    struct policy policy = {.name = "glibc"};
    add(policies, &policy);
}

static void add_library(struct policies *policies, const char *name, const char *path)
{
    struct policy policy = {.heap = false};
    snprintf(policy.name, sizeof policy.name, "%s", name);
    snprintf(policy.library, sizeof policy.library, "%s", path);
    add(policies, &policy);
}

static void add_path(struct policies *policies, const char *path)
{
    char absolute[PATH_MAX];
    if (realpath(path, absolute) == NULL) {
        fail(EXIT_CAIRN, "--allocator: cannot read '%s': %s; check the path", path, strerror(errno));
    }
    if (!is_shared_object(absolute)) {
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
