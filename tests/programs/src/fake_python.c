/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* fake_python.c: a program with the allocator API of a CPython of any version ($FAKE_VERSION), for the versions and
 * builds that are not at hand. Prints which domains somebody set before main; with an argument "replace" it then sets
 * the object domain itself, as programs do that fight over allocators. Linked with -rdynamic. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};

const char *Py_GetVersion(void);
void PyMem_GetAllocator(int domain, struct allocator *allocator);
void PyMem_SetAllocator(int domain, struct allocator *allocator);

static struct allocator domains[3];

const char *Py_GetVersion(void)
{
    const char *version = getenv("FAKE_VERSION");
    return version != NULL ? version : "3.11.2 (main)";
}

void PyMem_GetAllocator(int domain, struct allocator *allocator)
{
    *allocator = domains[domain];
}

void PyMem_SetAllocator(int domain, struct allocator *allocator)
{
    domains[domain] = *allocator;
}

static void *use(int domain)
{
    struct allocator *by = &domains[domain];
    char *block = by->malloc(by->context, 100);
    strcpy(block, "contents");
    block = by->realloc(by->context, block, 100000);
    return strcmp(block, "contents") == 0 ? block : NULL;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"raw", "mem", "object"};
    for (int domain = 0; domain < 3; domain++) {
        if (domains[domain].malloc != NULL && use(domain) != NULL) {
            printf("%s ", names[domain]);
        }
    }
    printf("\n");
    if (argc > 1 && strcmp(argv[1], "replace") == 0) {
        memset(&domains[2], 0, sizeof domains[2]);
    }
    return 0;
}
