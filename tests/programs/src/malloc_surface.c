/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* malloc_surface.c: the C side of the malloc surface, checked from inside a program. `malloc_surface GROUP` runs one
 * group of checks, prints a line for each that fails, and exits with 1 if any did. test_malloc_surface.py has the
 * list of groups. */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void cfree(void *block);
size_t malloc_size(const void *block);
size_t malloc_good_size(size_t size);
void *malloc_get_state(void);
int malloc_set_state(void *state);
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak cfree
#pragma weak malloc_size
#pragma weak malloc_good_size
#pragma weak malloc_get_state
#pragma weak malloc_set_state

static int failures;

#define CHECK(condition, ...) check((condition), __LINE__, #condition, __VA_ARGS__)

static __attribute__((format(printf, 4, 5))) void check(bool passed, int line, const char *condition,
                                                        const char *format, ...)
{
    if (passed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("line %d: not %s: ", line, condition);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    failures++;
}

/* Sizes at which allocators change their ways, each with its neighbours. */
static const size_t edges[] = {1,      8,      16,      24,      32,      64,      128,     256,
                               512,    1024,   2048,    4096,    8192,    16384,   32768,   65536,
                               131072, 262144, 1048576, 2097152, 4194304, 8388608, 33554432};
enum { EDGES = sizeof edges / sizeof edges[0] };

/* Hidden from the compiler, which would warn of absurd sizes or drop the calls. */
static size_t opaque(size_t n)
{
    volatile size_t hidden = n;
    return hidden;
}

static size_t edge_size(size_t i, size_t shift)
{
    return edges[i] + shift - 1; /* shift 0, 1, 2: one less, equal, one more */
}

/* The same pointer; the compiler does not know that a failing realloc was given it. */
static void *launder(void *p)
{
    void *volatile hidden = p;
    return hidden;
}

static bool aligned(const void *p, size_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

static bool filled(const unsigned char *p, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] != value) {
            return false;
        }
    }
    return true;
}

static void *(*heap_of)(const void *);

static bool is_ours(const void *p)
{
    return heap_of != NULL && heap_of(p) != NULL;
}

/* ---- groups ---- */

static void group_symbols(void)
{
    static const char *const names[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "free",
                                        "aligned_alloc",
                                        "posix_memalign",
                                        "memalign",
                                        "valloc",
                                        "pvalloc",
                                        "malloc_usable_size",
                                        "cfree",
                                        "reallocarray",
                                        "free_sized",
                                        "free_aligned_sized",
                                        "malloc_size",
                                        "malloc_good_size",
                                        "mallinfo",
                                        "mallinfo2",
                                        "malloc_info",
                                        "malloc_trim",
                                        "malloc_stats",
                                        "mallopt",
                                        "malloc_get_state",
                                        "malloc_set_state",
                                        "__libc_malloc",
                                        "__libc_calloc",
                                        "__libc_realloc",
                                        "__libc_free",
                                        "__libc_cfree",
                                        "__libc_memalign",
                                        "__libc_valloc",
                                        "__libc_pvalloc",
                                        "__libc_reallocarray",
                                        "__posix_memalign",
                                        "_Znwm",
                                        "_Znam",
                                        "_ZnwmRKSt9nothrow_t",
                                        "_ZnamRKSt9nothrow_t",
                                        "_ZnwmSt11align_val_t",
                                        "_ZnamSt11align_val_t",
                                        "_ZnwmSt11align_val_tRKSt9nothrow_t",
                                        "_ZnamSt11align_val_tRKSt9nothrow_t",
                                        "_ZdlPv",
                                        "_ZdaPv",
                                        "_ZdlPvm",
                                        "_ZdaPvm",
                                        "_ZdlPvRKSt9nothrow_t",
                                        "_ZdaPvRKSt9nothrow_t",
                                        "_ZdlPvSt11align_val_t",
                                        "_ZdaPvSt11align_val_t",
                                        "_ZdlPvmSt11align_val_t",
                                        "_ZdaPvmSt11align_val_t",
                                        "_ZdlPvSt11align_val_tRKSt9nothrow_t",
                                        "_ZdaPvSt11align_val_tRKSt9nothrow_t"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Dl_info info = {0};
        void *symbol = dlsym(RTLD_DEFAULT, names[i]);
        bool found = symbol != NULL && dladdr(symbol, &info) != 0;
        CHECK(found && strstr(info.dli_fname, "libcairn-preload") != NULL, "%s is from %s", names[i],
              found ? info.dli_fname : "nowhere");
    }
}

static void group_zero(void)
{
    enum { BLOCKS = 100 };
    void *blocks[2 * BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[2 * i] = malloc(opaque(0));
        blocks[2 * i + 1] = calloc(opaque(i % 2 ? 0 : 7), opaque(i % 2 ? 7 : 0));
    }
    for (int i = 0; i < 2 * BLOCKS; i++) {
        CHECK(blocks[i] != NULL && is_ours(blocks[i]), "block %d", i);
        for (int j = 0; j < i; j++) {
            CHECK(blocks[i] != blocks[j], "blocks %d and %d are one", i, j);
        }
    }
    for (int i = 0; i < 2 * BLOCKS; i++) {
        free(blocks[i]);
    }
    errno = 0;
    CHECK(realloc(malloc(100), opaque(0)) == NULL && errno == 0, "realloc(p, 0) frees, errno %d", errno);
    CHECK(reallocarray(malloc(100), opaque(0), 8) == NULL, "reallocarray(p, 0, 8) frees");
    void *fresh = realloc(NULL, opaque(0));
    CHECK(fresh != NULL, "realloc(NULL, 0) is malloc(0)");
    free(fresh);
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0, "usable size of NULL");
}

static void group_alignment(void)
{
    for (size_t i = 0; i < EDGES; i++) {
        for (size_t shift = 0; shift < 3; shift++) {
            size_t size = edge_size(i, shift);
            unsigned char *p = malloc(size);
            unsigned char *q = calloc(1, size);
            unsigned char *r = realloc(NULL, size);
            CHECK(p && q && r, "size %zu", size);
            CHECK(aligned(p, 16) && aligned(q, 16) && aligned(r, 16), "size %zu: %p %p %p", size, (void *)p, (void *)q,
                  (void *)r);
            CHECK(is_ours(p) && is_ours(q) && is_ours(r), "size %zu", size);
            size_t usable = malloc_usable_size(p);
            CHECK(usable >= size, "size %zu: usable %zu", size, usable);
            memset(p, 0x5a, usable);
            CHECK(filled(q, size, 0), "size %zu: calloc not zero", size);
            memset(r, 0xa5, malloc_usable_size(r));
            CHECK(filled(p, usable, 0x5a), "size %zu: blocks overlap", size);
            free(p);
            free(q);
            free(r);
        }
    }
}

static void group_calloc_dirty(void)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < EDGES; i++) {
            size_t size = edges[i];
            enum { BLOCKS = 4 };
            unsigned char *dirty[BLOCKS];
            for (int j = 0; j < BLOCKS; j++) {
                dirty[j] = malloc(size);
                memset(dirty[j], 0xff, malloc_usable_size(dirty[j]));
            }
            for (int j = 0; j < BLOCKS; j++) {
                free(dirty[j]);
            }
            for (int j = 0; j < BLOCKS; j++) {
                dirty[j] = calloc(size, 1);
                CHECK(filled(dirty[j], size, 0), "calloc(%zu) after dirty blocks", size);
            }
            for (int j = 0; j < BLOCKS; j++) {
                free(dirty[j]);
            }
        }
    }
}

static void check_nomem(void *p, const char *what)
{
    CHECK(p == NULL && errno == ENOMEM, "%s: %p, errno %d", what, p, errno);
    errno = 0;
}

static void group_limits(void)
{
    static const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096,
                                    (size_t)PTRDIFF_MAX - 4096};
    char *block = malloc(100);
    strcpy(block, "still here");
    errno = 0;
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        size_t size = opaque(absurd[i]);
        check_nomem(malloc(size), "malloc");
        check_nomem(calloc(size, 1), "calloc");
        check_nomem(realloc(launder(block), size), "realloc");
        check_nomem(realloc(NULL, size), "realloc of NULL");
        check_nomem(reallocarray(launder(block), size, 1), "reallocarray");
        check_nomem(aligned_alloc(64, size), "aligned_alloc");
        check_nomem(memalign(64, size), "memalign");
        check_nomem(valloc(size), "valloc");
        check_nomem(pvalloc(size), "pvalloc");
        void *out = block;
        CHECK(posix_memalign(&out, 64, size) == ENOMEM && out == block, "posix_memalign(%zu)", size);
        errno = 0;
    }
    check_nomem(calloc(opaque(SIZE_MAX / 2), 3), "calloc product");
    check_nomem(calloc(opaque((size_t)1 << 32), opaque((size_t)1 << 32)), "calloc product 2^64");
    check_nomem(reallocarray(launder(block), opaque(SIZE_MAX / 2), 3), "reallocarray product");
    check_nomem(reallocarray(NULL, opaque((size_t)1 << 32), opaque((size_t)1 << 32)), "reallocarray product 2^64");
    CHECK(strcmp(block, "still here") == 0, "a failed realloc changed its block to %.20s", block);
    free(block);
}

static void group_errno(void)
{
    for (size_t i = 0; i < EDGES; i++) {
        void *p = malloc(edges[i]);
        void *q = realloc(malloc(edges[i]), edges[i] * 2);
        errno = 4321;
        free(p);
        free(q);
        CHECK(errno == 4321, "free of %zu bytes sets errno to %d", edges[i], errno);
    }
    errno = 4321;
    free(NULL);
    CHECK(errno == 4321, "free(NULL) sets errno to %d", errno);
    free(malloc(10));
    CHECK(errno == 4321, "malloc that succeeds sets errno to %d", errno);
}

static void group_realloc(void)
{
    for (size_t from = 0; from < EDGES; from++) {
        for (size_t to = 0; to < EDGES; to++) {
            size_t common = edges[from] < edges[to] ? edges[from] : edges[to];
            unsigned char seed = (unsigned char)(from * 31 + to + 1);
            unsigned char *p = malloc(edges[from]);
            memset(p, seed, edges[from]);
            p = realloc(p, edges[to]);
            CHECK(p && aligned(p, 16) && malloc_usable_size(p) >= edges[to], "%zu to %zu: %p", edges[from], edges[to],
                  (void *)p);
            CHECK(filled(p, common, seed), "%zu to %zu: contents lost", edges[from], edges[to]);
            memset(p, 0x77, edges[to]);
            free(p);
        }
    }
    char *grown = NULL;
    for (size_t size = 1; size < 300000; size += 1 + size / 3) {
        grown = reallocarray(grown, size, 1);
        grown[size - 1] = (char)size;
        CHECK(size == 1 || grown[0] == 1, "growing step by step loses the first byte at %zu", size);
    }
    free(grown);
}

static void group_aligned(void)
{
    void *const untouched = &failures;
    static const size_t bad[] = {0, 1, 2, 3, 4, 7, 12, 24, 48, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *out = untouched;
        errno = 4321;
        int result = posix_memalign(&out, opaque(bad[i]), 100);
        CHECK(result == EINVAL && out == untouched && errno == 4321, "posix_memalign by %zu: %d, errno %d", bad[i],
              result, errno);
    }
    static const size_t uneven[] = {0, 3, 12, 24, 48};
    for (size_t i = 0; i < sizeof uneven / sizeof uneven[0]; i++) {
        errno = 0;
        CHECK(aligned_alloc(opaque(uneven[i]), 100) == NULL && errno == EINVAL, "aligned_alloc by %zu: errno %d",
              uneven[i], errno);
    }
    for (size_t alignment = sizeof(void *); alignment <= (size_t)16 << 20; alignment *= alignment < 256 ? 2 : 8) {
        for (size_t i = 0; i + 2 < EDGES; i += 2) {
            size_t size = edges[i] + 1;
            void *p = NULL;
            CHECK(posix_memalign(&p, alignment, size) == 0 && aligned(p, alignment), "posix_memalign(%zu, %zu) = %p",
                  alignment, size, p);
            void *q = aligned_alloc(alignment, size);
            void *r = memalign(alignment, size);
            CHECK(q && r && aligned(q, alignment) && aligned(r, alignment), "%zu, %zu: %p %p", alignment, size, q, r);
            CHECK(is_ours(p) && is_ours(q) && is_ours(r), "%zu, %zu", alignment, size);
            memset(p, 1, malloc_usable_size(p));
            memset(q, 2, malloc_usable_size(q));
            memset(r, 3, malloc_usable_size(r));
            CHECK(malloc_usable_size(p) >= size && filled(p, size, 1) && filled(q, size, 2), "%zu, %zu: overlap",
                  alignment, size);
            q = realloc(q, size * 2);
            CHECK(q && filled(q, size, 2), "%zu, %zu: realloc of an aligned block", alignment, size);
            free(p);
            free(q);
            free(r);
        }
    }
}

static void group_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = memalign(opaque(24), 100);
    CHECK(p && aligned(p, 32), "memalign rounds 24 up to 32: %p", p);
    void *q = memalign(opaque(0), 100);
    CHECK(q && aligned(q, 16), "memalign by 0: %p", q);
    errno = 0;
    CHECK(memalign(opaque(SIZE_MAX / 2 + 2), 1) == NULL && errno == EINVAL, "memalign beyond half of all: %d", errno);
    void *r = valloc(100);
    CHECK(r && aligned(r, page), "valloc: %p", r);
    char *s = pvalloc(page + 1);
    CHECK(s && aligned(s, page) && malloc_usable_size(s) >= 2 * page, "pvalloc: %p, %zu", (void *)s,
          malloc_usable_size(s));
    memset(s, 1, 2 * page);
    free(p);
    free(q);
    free(r);
    free(s);
}

static void group_sized(void)
{
    void *blocks[64];
    for (int round = 0; round < 100; round++) { /* a free that does nothing would show as growth in group_info */
        for (size_t i = 0; i < 64; i++) {
            blocks[i] = i % 2 ? aligned_alloc(64, 100 + i) : malloc(100 + i);
        }
        for (size_t i = 0; i < 64; i++) {
            if (i % 4 == 3) {
                cfree(blocks[i]);
            } else if (i % 2) {
                free_aligned_sized(blocks[i], 64, 100 + i);
            } else {
                free_sized(blocks[i], 100 + i);
            }
        }
    }
    free_sized(NULL, 0);
    free_aligned_sized(NULL, 16, 0);
    cfree(NULL);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 2000; i++) {
        free_sized(malloc(1000), 1000);
        free_aligned_sized(aligned_alloc(64, 1000), 64, 1000);
        cfree(malloc(1000));
    }
    size_t after = mallinfo2().uordblks;
    CHECK(after < before + 100000, "sized frees free nothing: %zu, then %zu", before, after);
    size_t last = 0;
    for (size_t size = 0; size < 200000; size += 1 + size / 7) {
        for (int i = 0; i < 20; i++) {
            CHECK(malloc_usable_size(malloc(size)) >= size, "one of the first few, not from a pool: %zu", size);
        }
        size_t good = malloc_good_size(size);
        void *p = malloc(size);
        CHECK(good >= size && good >= last, "good size of %zu is %zu", size, good);
        CHECK(malloc_size(p) == malloc_usable_size(p), "malloc_size %zu", malloc_size(p));
        CHECK(good == malloc_usable_size(p), "good size of %zu is %zu, usable %zu", size, good, malloc_size(p));
        last = good;
        free(p);
    }
    CHECK(malloc_good_size(SIZE_MAX) == SIZE_MAX, "no overflow: %zu", malloc_good_size(SIZE_MAX));
}

static void group_figures(void)
{
    enum { BLOCKS = 20000, SIZE = 100, HUGE = 64 << 20 };
    static void *blocks[BLOCKS];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
    }
    struct mallinfo2 full = mallinfo2();
    CHECK(full.uordblks >= before.uordblks + BLOCKS * SIZE, "%zu, then %zu", before.uordblks, full.uordblks);
    CHECK(full.uordblks <= before.uordblks + BLOCKS * SIZE * 3 / 2, "%zu, then %zu", before.uordblks, full.uordblks);
    CHECK(full.arena >= full.uordblks && full.arena == full.uordblks + full.fordblks, "arena %zu", full.arena);
    char *huge = malloc(HUGE);
    struct mallinfo2 mapped = mallinfo2();
    CHECK(mapped.hblkhd >= before.hblkhd + HUGE && mapped.hblks == before.hblks + 1, "hblkhd %zu", mapped.hblkhd);
    CHECK(mapped.uordblks < full.uordblks + 100000, "a mapped block counts as one in arenas: %zu", mapped.uordblks);
    struct mallinfo (*old_interface)(void) = (struct mallinfo(*)(void))dlsym(RTLD_DEFAULT, "mallinfo");
    struct mallinfo old = old_interface();
    CHECK((size_t)old.uordblks == mallinfo2().uordblks && (size_t)old.hblkhd == mallinfo2().hblkhd, "mallinfo %d",
          old.uordblks);
    free(huge);
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    struct mallinfo2 empty = mallinfo2();
    CHECK(empty.uordblks < before.uordblks + 100000 && empty.hblkhd == before.hblkhd, "after: %zu, %zu", empty.uordblks,
          empty.hblkhd);
    CHECK(mallopt(M_TRIM_THRESHOLD, 1) == 1 && mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1 && mallopt(M_ARENA_MAX, 1) == 1,
          "mallopt of known hints");
    CHECK(mallopt(12345, 1) == 0 && mallopt(M_PERTURB, 1) == 0, "mallopt of what Cairn does not do");
    errno = 0;
    CHECK(malloc_get_state() == NULL && errno == ENOSYS, "malloc_get_state: %d", errno);
    CHECK(malloc_set_state(NULL) == -1, "malloc_set_state");
    CHECK(malloc_info(1, stdout) == EINVAL, "malloc_info with options");
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %zu", &pages) != 1) {
        CHECK(false, "%s", "no /proc/self/statm");
    }
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* With CAIRN_PURGE_DELAY set to an hour: only malloc_trim gives memory back. */
static void group_trim(void)
{
    enum { BLOCKS = 100000, SIZE = 500 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        memset(blocks[i], 1, SIZE);
    }
    size_t full = resident_bytes();
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    CHECK(malloc_trim(0) == 1, "the first trim gives nothing back; resident %zu", resident_bytes());
    size_t trimmed = resident_bytes();
    CHECK(trimmed + (size_t)BLOCKS * SIZE * 9 / 10 <= full, "resident %zu, after the trim %zu", full, trimmed);
    malloc_trim(0);
    CHECK(malloc_trim(0) == 0, "%s", "a trim of a trimmed heap says it released memory");
}

static void group_info(void)
{
    enum { BLOCKS = 1000 };
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(48);
    }
    for (int i = 0; i < BLOCKS; i += 2) {
        free(blocks[i]);
    }
    void *huge = malloc(64 << 20);
    CHECK(malloc_info(0, stdout) == 0, "%s", "malloc_info");
    malloc_stats();
    free(huge);
    for (int i = 1; i < BLOCKS; i += 2) {
        free(blocks[i]);
    }
}

static void group_libc(void)
{
    char *text = NULL;
    size_t size = 0;
    CHECK(asprintf(&text, "%0500d", 7) == 500 && is_ours(text), "%s", "asprintf");
    free(text);
    text = strdup("a");
    CHECK(is_ours(text), "%s", "strdup");
    free(text);
    wchar_t *wide = wcsdup(L"a");
    CHECK(is_ours(wide), "%s", "wcsdup");
    free(wide);
    text = getcwd(NULL, 0);
    CHECK(is_ours(text), "%s", "getcwd");
    free(text);
    text = realpath("/proc/self", NULL);
    CHECK(is_ours(text), "%s", "realpath");
    free(text);
    FILE *memory = open_memstream(&text, &size);
    for (int i = 0; i < 10000; i++) {
        fprintf(memory, "%d\n", i);
    }
    fclose(memory);
    CHECK(size == 48890 && is_ours(text), "open_memstream: %zu", size);
    FILE *back = fmemopen(text, size, "r");
    char *line = NULL;
    size_t capacity = 0;
    int lines = 0;
    while (getline(&line, &capacity, back) > 0) {
        lines++;
    }
    CHECK(lines == 10000 && is_ours(line), "getline: %d", lines);
    fclose(back);
    free(line);
    free(text);
    CHECK(dlerror() == NULL, "%s", "dlerror() has text that this program did not cause");
}

/* ---- early and late ---- */

static char *early;
static pthread_key_t key;

static __attribute__((constructor(101))) void allocate_early(void)
{
    early = malloc(1000);
    strcpy(early, "early");
}

static void in_destructor(void *value)
{
    char *last = malloc(5000);
    strcpy(last, "late");
    free(value);
    free(last);
}

static void *short_thread(void *context)
{
    pthread_setspecific(key, malloc(77));
    return realloc(context, 3000);
}

static void say_goodbye(void)
{
    char *text = malloc(100000);
    strcpy(text, "freed after main");
    puts(text);
    free(early);
    free(text);
}

static void group_threads(void)
{
    CHECK(strcmp(early, "early") == 0 && is_ours(early), "%s", "a block from a constructor");
    pthread_key_create(&key, in_destructor);
    atexit(say_goodbye);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        char *text = malloc(40);
        void *result = NULL;
        snprintf(text, 40, "block %d", i);
        CHECK(pthread_create(&thread, NULL, short_thread, text) == 0, "thread %d", i);
        pthread_join(thread, &result);
        CHECK(result && atoi((char *)result + 6) == i, "thread %d gives back %.20s", i, (char *)result);
        free(result);
    }
    pid_t child = fork();
    if (child == 0) {
        free(realloc(early, 100000));
        _exit(malloc(1 << 20) != NULL ? 42 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ended with %x", status);
}

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"symbols", group_symbols}, {"zero", group_zero},   {"alignment", group_alignment}, {"calloc", group_calloc_dirty},
    {"limits", group_limits},   {"errno", group_errno}, {"realloc", group_realloc},     {"aligned", group_aligned},
    {"pages", group_pages},     {"sized", group_sized}, {"figures", group_figures},     {"trim", group_trim},
    {"info", group_info},       {"libc", group_libc},   {"threads", group_threads},
};

int main(int argc, char **argv)
{
    heap_of = (void *(*)(const void *))dlsym(RTLD_DEFAULT, "cairn_heap_of");
    (void)dlerror();
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (argc == 2 && strcmp(argv[1], groups[i].name) == 0) {
            groups[i].run();
            return failures != 0;
        }
    }
    fprintf(stderr, "usage: malloc_surface GROUP\n");
    return 2;
}
