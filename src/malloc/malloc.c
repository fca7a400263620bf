/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* malloc.c: the C allocation functions, all on the default heap.
 *
 * Behaviour is glibc's where programs can tell: malloc(0) gives a block of its own, realloc(p, 0) frees and returns
 * NULL, posix_memalign reports through its result and writes its out-parameter only on success, memalign rounds its
 * alignment up, free keeps errno. An alignment that is no power of two is EINVAL in aligned_alloc, as in glibc 2.38.
 * No locks here; see heap/front.h. */

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "heap/front.h"
#include "malloc/request.h"
#include "malloc/surface.h"
#include "os/os.h"

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static void *refuse(int error)
{
    errno = error;
    return NULL;
}

/* realloc as C programs know it: a size of 0 frees. */
static inline void *resize(void *block, size_t size)
{
    if (size == 0 && block != NULL) {
        request_free(block);
        return NULL;
    }
    return request_realloc(block, size);
}

static inline void *resize_array(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return refuse(ENOMEM);
    }
    return resize(block, bytes);
}

/* memalign: an alignment that is no power of two is rounded up to the next. */
static void *alloc_rounded(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        return refuse(EINVAL);
    }
    size_t rounded = sizeof(void *);
    while (rounded < alignment) {
        rounded <<= 1;
    }
    return request_alloc_aligned(rounded, size);
}

static int alloc_posix(void **block, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    void *fresh = request_alloc_aligned(alignment, size);
    if (fresh == NULL) {
        return ENOMEM;
    }
    *block = fresh;
    return 0;
}

static void *alloc_pages(size_t size)
{
    size_t mask = os_page_size() - 1;
    if (size > PTRDIFF_MAX - mask) {
        return refuse(ENOMEM);
    }
    return request_alloc_aligned(mask + 1, (size + mask) & ~mask);
}

/* ---- C ---- */

CAIRN_API void *malloc(size_t size)
{
    return request_alloc(size);
}

CAIRN_API void *calloc(size_t count, size_t size)
{
    return request_calloc(count, size);
}

CAIRN_API void *realloc(void *block, size_t size)
{
    return resize(block, size);
}

CAIRN_API void free(void *block)
{
    request_free(block);
}

CAIRN_API void *aligned_alloc(size_t alignment, size_t size)
{
    return is_power_of_two(alignment) ? request_alloc_aligned(alignment, size) : refuse(EINVAL);
}

CAIRN_API void free_sized(void *block, size_t size)
{
    (void)size;
    request_free(block);
}

CAIRN_API void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    request_free(block);
}

/* ---- POSIX, glibc, BSD ---- */

CAIRN_API int posix_memalign(void **block, size_t alignment, size_t size)
{
    return alloc_posix(block, alignment, size);
}

CAIRN_API void *reallocarray(void *block, size_t count, size_t size)
{
    return resize_array(block, count, size);
}

CAIRN_API void *memalign(size_t alignment, size_t size)
{
    return alloc_rounded(alignment, size);
}

CAIRN_API void *valloc(size_t size)
{
    return request_alloc_aligned(os_page_size(), size);
}

CAIRN_API void *pvalloc(size_t size)
{
    return alloc_pages(size);
}

CAIRN_API void cfree(void *block)
{
    request_free(block);
}

CAIRN_API size_t malloc_usable_size(void *block)
{
    return front_usable_size(block);
}

CAIRN_API size_t malloc_size(const void *block)
{
    return front_usable_size(block);
}

/* ---- glibc's internal names ---- */

CAIRN_API void *__libc_malloc(size_t size)
{
    return request_alloc(size);
}

CAIRN_API void *__libc_calloc(size_t count, size_t size)
{
    return request_calloc(count, size);
}

CAIRN_API void *__libc_realloc(void *block, size_t size)
{
    return resize(block, size);
}

CAIRN_API void *__libc_reallocarray(void *block, size_t count, size_t size)
{
    return resize_array(block, count, size);
}

CAIRN_API void __libc_free(void *block)
{
    request_free(block);
}

CAIRN_API void __libc_cfree(void *block)
{
    request_free(block);
}

CAIRN_API void *__libc_memalign(size_t alignment, size_t size)
{
    return alloc_rounded(alignment, size);
}

CAIRN_API void *__libc_valloc(size_t size)
{
    return request_alloc_aligned(os_page_size(), size);
}

CAIRN_API void *__libc_pvalloc(size_t size)
{
    return alloc_pages(size);
}

CAIRN_API int __posix_memalign(void **block, size_t alignment, size_t size)
{
    return alloc_posix(block, alignment, size);
}
