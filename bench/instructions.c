/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* instructions: requests to be counted by callgrind, one function for each kind (instructions.py runs it).
 *
 * usage: instructions COUNT [LIBCAIRN]: makes COUNT requests of each kind in the functions named measured_KIND. What
 * these call is what is counted; their own loops are not. With LIBCAIRN, a path of libcairn.so, the two kinds of
 * private heap are measured too. Compiled with -DLINKED and libcairn.a: these alone, of that library. As a shared
 * library (-shared -fPIC): measure_python(COUNT), for a process of CPython that calls it with the GIL held. No builtin
 * may stand for a call: compiled with -fno-builtin. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cairn.h"

#define RING 1000
#define COMPANY 100
#define MEASURED static __attribute__((noipa)) void

static void *ring[RING];
static void *company[8 * COMPANY];

#define PAIR(name, request)                                                                                            \
    MEASURED measured_##name(size_t count)                                                                             \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            free(request);                                                                                             \
    }

PAIR(lone_48, malloc(48))
PAIR(malloc_16, malloc(16))
PAIR(malloc_48, malloc(48))
PAIR(malloc_512, malloc(512))
PAIR(malloc_4000, malloc(4000))
PAIR(malloc_100000, malloc(100000))
PAIR(calloc_48, calloc(1, 48))
PAIR(aligned_192, aligned_alloc(64, 192))

/* The block freed is the one asked for 1000 requests ago. */
MEASURED measured_queue_48(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(ring[i % RING]);
        ring[i % RING] = malloc(48);
    }
}

/* A block that grows and shrinks where it is. */
MEASURED measured_resize_48(size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring[0] = realloc(ring[0], 41 + i % 8);
}

typedef void *(*alloc_function)(cairn_heap *heap, size_t size);
typedef void (*free_function)(cairn_heap *heap, void *block);

MEASURED measured_single_48(cairn_heap *heap, alloc_function alloc, free_function give, size_t count)
{
    for (size_t i = 0; i < count; i++)
        give(heap, alloc(heap, 48));
}

MEASURED measured_shared_48(cairn_heap *heap, alloc_function alloc, free_function give, size_t count)
{
    for (size_t i = 0; i < count; i++)
        give(heap, alloc(heap, 48));
}

MEASURED measured_python_48(void *(*alloc)(size_t), void (*give)(void *), size_t count)
{
    for (size_t i = 0; i < count; i++)
        give(alloc(48));
}

/* Blocks that live meanwhile: in a program a block is seldom the only one of its size. */
static void make_company(void)
{
    static const size_t sizes[] = {16, 48, 512, 4000, 100000};
    size_t made = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < COMPANY; k++)
            company[made++] = malloc(sizes[i]);
    for (size_t k = 0; k < COMPANY; k++)
        company[made++] = aligned_alloc(64, 192);
}

static void *find(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "instructions: no %s\n", name);
        exit(1);
    }
    return found;
}

/* The two kinds of private heap, by the functions of the library that is linked or loaded. */
static void measure_heaps(__typeof__(&cairn_heap_create) create, alloc_function alloc, free_function give, size_t count)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    cairn_heap *shared = create(&options);
    options.single = true;
    cairn_heap *single = create(&options);
    for (size_t k = 0; k < COMPANY; k++)
        if (alloc(shared, 48) == NULL || alloc(single, 48) == NULL)
            exit(1);
    measured_shared_48(shared, alloc, give, count);
    measured_single_48(single, alloc, give, count);
}

static void measure_loaded(const char *path, size_t count)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "instructions: %s\n", dlerror());
        exit(1);
    }
    measure_heaps((__typeof__(&cairn_heap_create))find(library, "cairn_heap_create"),
                  (alloc_function)find(library, "cairn_alloc"), (free_function)find(library, "cairn_free"), count);
}

/* Called through ctypes. */
int measure_python(size_t count);
int measure_python(size_t count)
{
    measured_python_48((void *(*)(size_t))find(RTLD_DEFAULT, "PyObject_Malloc"),
                       (void (*)(void *))find(RTLD_DEFAULT, "PyObject_Free"), count);
    return 0;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 0;
    if (count <= 0) {
        fputs("usage: instructions COUNT [LIBCAIRN]\n", stderr);
        return 2;
    }
    size_t n = (size_t)count;
#ifdef LINKED
    measure_heaps(cairn_heap_create, cairn_alloc, cairn_free, n);
    return 0;
#endif
    measured_lone_48(n);
    make_company();
    measured_malloc_16(n);
    measured_malloc_48(n);
    measured_malloc_512(n);
    measured_malloc_4000(n);
    measured_malloc_100000(n);
    measured_calloc_48(n);
    measured_aligned_192(n);
    measured_queue_48(n);
    measured_resize_48(n);
    for (size_t i = 0; i < RING; i++)
        free(ring[i]);
    for (size_t i = 0; i < sizeof company / sizeof *company; i++)
        free(company[i]);
    if (argc > 2)
        measure_loaded(argv[2], n);
    return 0;
}
