/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* surface.h: the exported names of the malloc surface that no header of glibc 2.36 declares: C23's sized frees, the
 * BSD names, glibc's internal names (taken over so that a statically linked malloc.o stays out) and the 20 C++
 * operators under their Itanium names. */

#ifndef CAIRN_MALLOC_SURFACE_H
#define CAIRN_MALLOC_SURFACE_H

#include <stddef.h>

#include "cairn.h"

/* C23, old glibc, BSD */
CAIRN_API void free_sized(void *block, size_t size);
CAIRN_API void free_aligned_sized(void *block, size_t alignment, size_t size);
CAIRN_API void cfree(void *block);
CAIRN_API size_t malloc_size(const void *block);
CAIRN_API size_t malloc_good_size(size_t size);

/* glibc */
CAIRN_API void *__libc_malloc(size_t size);
CAIRN_API void *__libc_calloc(size_t count, size_t size);
CAIRN_API void *__libc_realloc(void *block, size_t size);
CAIRN_API void *__libc_reallocarray(void *block, size_t count, size_t size);
CAIRN_API void __libc_free(void *block);
CAIRN_API void __libc_cfree(void *block);
CAIRN_API void *__libc_memalign(size_t alignment, size_t size);
CAIRN_API void *__libc_valloc(size_t size);
CAIRN_API void *__libc_pvalloc(size_t size);
CAIRN_API int __posix_memalign(void **block, size_t alignment, size_t size);
CAIRN_API void *malloc_get_state(void);
CAIRN_API int malloc_set_state(void *saved);

/* operator new: plain, array; nothrow; aligned; aligned nothrow */
CAIRN_API void *_Znwm(size_t size);
CAIRN_API void *_Znam(size_t size);
CAIRN_API void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
CAIRN_API void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow);
CAIRN_API void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
CAIRN_API void *_ZnamSt11align_val_t(size_t size, size_t alignment);
CAIRN_API void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow);
CAIRN_API void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow);

/* operator delete: plain, array; sized; nothrow; aligned; sized aligned; aligned nothrow */
CAIRN_API void _ZdlPv(void *block);
CAIRN_API void _ZdaPv(void *block);
CAIRN_API void _ZdlPvm(void *block, size_t size);
CAIRN_API void _ZdaPvm(void *block, size_t size);
CAIRN_API void _ZdlPvRKSt9nothrow_t(void *block, const void *nothrow);
CAIRN_API void _ZdaPvRKSt9nothrow_t(void *block, const void *nothrow);
CAIRN_API void _ZdlPvSt11align_val_t(void *block, size_t alignment);
CAIRN_API void _ZdaPvSt11align_val_t(void *block, size_t alignment);
CAIRN_API void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment);
CAIRN_API void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment);
CAIRN_API void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow);
CAIRN_API void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow);

#endif
