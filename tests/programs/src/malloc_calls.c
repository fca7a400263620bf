/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* malloc_calls.c: every call of the malloc family, mixed on the same blocks, with the results C and glibc promise. */

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "pattern.h"

static volatile size_t too_much = PTRDIFF_MAX;
static volatile size_t half = (size_t)1 << 63;
static char marker;

static int aligned(const void *block, size_t alignment)
{
    return ((uintptr_t)block & (alignment - 1)) == 0;
}

/* Every way to get a block, by number. */
static void *get(unsigned way, size_t size)
{
    void *block = NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    switch (way) {
    case 0:
        return malloc(size);
    case 1:
        return calloc(1, size);
    case 2:
        return realloc(NULL, size);
    case 3:
        return reallocarray(NULL, 1, size);
    case 4:
        return memalign(128, size);
    case 5:
        return aligned_alloc(64, (size + 63) / 64 * 64);
    case 6:
        REQUIRE(posix_memalign(&block, 1024, size) == 0);
        return block;
    case 7:
        block = valloc(size);
        REQUIRE(aligned(block, page));
        return block;
    case 8:
        block = pvalloc(size);
        REQUIRE(aligned(block, page));
        return block;
    default:
        block = strndup("", 0);
        return realloc(block, size);
    }
}

static void mix(void)
{
    uint64_t state = 3;
    for (int i = 0; i < 60000; i++) {
        size_t size = pattern_size(&state);
        unsigned char *block = get((unsigned)i % 10, size);
        REQUIRE(block && aligned(block, 16));
        if (i % 10 == 1)
            for (size_t j = 0; j < size; j++)
                REQUIRE(block[j] == 0);
        size_t usable = malloc_usable_size(block);
        REQUIRE(usable >= size);
        pattern_fill(block, usable, 4);
        pattern_check(block, usable, 4);
        size_t other = pattern_size(&state);
        unsigned char *moved = realloc(block, other);
        REQUIRE(moved);
        for (size_t j = 0; j < (usable < other ? usable : other); j++)
            REQUIRE(moved[j] == pattern_byte(usable, 4));
        free(moved);
    }
}

static void failures(void)
{
    void *untouched = &marker;
    void *block = malloc(100);
    pattern_fill(block, 100, 6);
    errno = 0;
    REQUIRE(!malloc(too_much + 1) && errno == ENOMEM);
    errno = 0;
    REQUIRE(!calloc(half, 2) && errno == ENOMEM);
    errno = 0;
    REQUIRE(!reallocarray(block, half, 2) && errno == ENOMEM);
    errno = 0;
    REQUIRE(!realloc(block, too_much + 1) && errno == ENOMEM);
    errno = 0;
    REQUIRE(!memalign(4096, too_much) && errno == ENOMEM);
    REQUIRE(posix_memalign(&untouched, 24, 8) == EINVAL && untouched == &marker);
    REQUIRE(posix_memalign(&untouched, 64, too_much) == ENOMEM && untouched == &marker);
    pattern_check(block, 100, 6);
    free(block);
}

static void statistics(void)
{
    void *blocks[1000];
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < 1000; i++)
        REQUIRE((blocks[i] = malloc(3000)));
    REQUIRE(mallinfo2().uordblks + mallinfo2().hblkhd >= before + 3000000);
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    REQUIRE(mallinfo2().uordblks + mallinfo2().hblkhd < before + 3000000);
    malloc_trim(0);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    REQUIRE(out && malloc_info(0, out) == 0 && fclose(out) == 0);
    REQUIRE(strstr(text, "<malloc") && strstr(text, "</malloc>"));
    free(text);
}

int main(void)
{
    void *one = malloc(0), *two = malloc(0);
    REQUIRE(one && two && one != two);
    REQUIRE(realloc(one, 0) == NULL);
    free(two);
    free(NULL);
    REQUIRE(malloc_usable_size(NULL) == 0);
    mix();
    failures();
    statistics();
    puts("malloc family done");
    return 0;
}
