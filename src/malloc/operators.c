/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* operators.c: the C++ operators new and delete, in C.
 *
 * When memory runs out the C++ runtime of the process decides, and Cairn does not link to one: its entry points are
 * found in the process. The throwing operators run the new-handler loop and throw through the runtime's own
 * std::__throw_bad_alloc (libstdc++ and libc++ both export it under this name); the exception passes through the
 * frames of this file, which need their unwind tables (the compiler's default on 64-bit systems; -fexceptions
 * elsewhere). The nothrow operators leave a failed request to the runtime's own nothrow operator, which calls our
 * throwing one and catches what that or a new-handler throws. Without a runtime there is nothing to throw with: the
 * nothrow operators return NULL, the others end the program with a line that says why.
 *
 * No locks; the look-up happens only after a failed request. */

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "malloc/request.h"
#include "malloc/surface.h"
#include "os/os.h"

typedef void (*new_handler)(void);
typedef void *(*nothrow_new)(size_t size, const void *nothrow);
typedef void *(*nothrow_new_aligned)(size_t size, size_t alignment, const void *nothrow);

/* std::__throw_bad_alloc() and std::get_new_handler(); NULL unless a runtime was there when the program started. */
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));

/* A function of the C++ runtime, which may have come later than the program, with a module of its own; NULL if there
 * is none. Never one of this library's own. */
static void *runtime_function(const char *name)
{
    static const char *const runtimes[] = {"libstdc++.so.6", "libc++.so.1"};
    void *function = NULL;
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0] && function == NULL; i++) {
        void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
        if (runtime != NULL) {
            function = dlsym(runtime, name);
            dlclose(runtime);
        }
    }
    (void)dlerror(); /* ours is not for the program to see */
    return function;
}

static new_handler current_handler(void)
{
    new_handler (*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL) {
        get = (new_handler(*)(void))runtime_function("_ZSt15get_new_handlerv");
    }
    return get != NULL ? get() : NULL;
}

static void throw_bad_alloc(size_t size)
{
    void (*throw)(void) = _ZSt17__throw_bad_allocv;
    if (throw == NULL) {
        throw = (void (*)(void))runtime_function("_ZSt17__throw_bad_allocv");
    }
    if (throw != NULL) {
        throw();
    }
    char line[160];
    int length = snprintf(line, sizeof line,
                          "cairn: operator new: no memory for %zu bytes, and no C++ runtime to throw std::bad_alloc\n",
                          size);
    os_write_error(line, (size_t)length);
    os_abort();
}

/* The library's alignment for the plain operators. */
enum { PLAIN = 0 };

static void *request(size_t size, size_t alignment)
{
    return alignment == PLAIN ? request_alloc(size) : request_alloc_aligned(alignment, size);
}

/* The request failed: the new-handler loop. A handler may make room, install another, throw or end the program. */
static __attribute__((noinline, cold)) void *new_slow(size_t size, size_t alignment)
{
    bool possible = (alignment & (alignment - 1)) == 0;
    for (;;) {
        new_handler handler = possible ? current_handler() : NULL;
        if (handler == NULL) {
            throw_bad_alloc(size);
        } else {
            handler();
        }
        void *block = request(size, alignment);
        if (block != NULL) {
            return block;
        }
    }
}

static __attribute__((noinline, cold)) void *nothrow_slow(size_t size, const void *nothrow)
{
    nothrow_new again = (nothrow_new)runtime_function("_ZnwmRKSt9nothrow_t");
    return again != NULL ? again(size, nothrow) : NULL;
}

static __attribute__((noinline, cold)) void *nothrow_aligned_slow(size_t size, size_t alignment, const void *nothrow)
{
    nothrow_new_aligned again = (nothrow_new_aligned)runtime_function("_ZnwmSt11align_val_tRKSt9nothrow_t");
    return again != NULL ? again(size, alignment, nothrow) : NULL;
}

static inline void *new_plain(size_t size)
{
    void *block = request_alloc(size);
    return __builtin_expect(block != NULL, 1) ? block : new_slow(size, PLAIN);
}

static inline void *new_aligned(size_t size, size_t alignment)
{
    void *block = request_alloc_aligned(alignment, size);
    return __builtin_expect(block != NULL, 1) ? block : new_slow(size, alignment);
}

static inline void *new_nothrow(size_t size, const void *nothrow)
{
    void *block = request_alloc(size);
    return __builtin_expect(block != NULL, 1) ? block : nothrow_slow(size, nothrow);
}

static inline void *new_aligned_nothrow(size_t size, size_t alignment, const void *nothrow)
{
    void *block = request_alloc_aligned(alignment, size);
    return __builtin_expect(block != NULL, 1) ? block : nothrow_aligned_slow(size, alignment, nothrow);
}

/* ---- new ---- */

CAIRN_API void *_Znwm(size_t size)
{
    return new_plain(size);
}

CAIRN_API void *_Znam(size_t size)
{
    return new_plain(size);
}

CAIRN_API void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
    return new_nothrow(size, nothrow);
}

CAIRN_API void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow)
{
    return new_nothrow(size, nothrow);
}

CAIRN_API void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
{
    return new_aligned(size, alignment);
}

CAIRN_API void *_ZnamSt11align_val_t(size_t size, size_t alignment)
{
    return new_aligned(size, alignment);
}

CAIRN_API void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
    return new_aligned_nothrow(size, alignment, nothrow);
}

CAIRN_API void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
    return new_aligned_nothrow(size, alignment, nothrow);
}

/* ---- delete ---- */

CAIRN_API void _ZdlPv(void *block)
{
    request_free(block);
}

CAIRN_API void _ZdaPv(void *block)
{
    request_free(block);
}

CAIRN_API void _ZdlPvm(void *block, size_t size)
{
    (void)size;
    request_free(block);
}

CAIRN_API void _ZdaPvm(void *block, size_t size)
{
    (void)size;
    request_free(block);
}

CAIRN_API void _ZdlPvRKSt9nothrow_t(void *block, const void *nothrow)
{
    (void)nothrow;
    request_free(block);
}

CAIRN_API void _ZdaPvRKSt9nothrow_t(void *block, const void *nothrow)
{
    (void)nothrow;
    request_free(block);
}

CAIRN_API void _ZdlPvSt11align_val_t(void *block, size_t alignment)
{
    (void)alignment;
    request_free(block);
}

CAIRN_API void _ZdaPvSt11align_val_t(void *block, size_t alignment)
{
    (void)alignment;
    request_free(block);
}

CAIRN_API void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment)
{
    (void)size;
    (void)alignment;
    request_free(block);
}

CAIRN_API void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment)
{
    (void)size;
    (void)alignment;
    request_free(block);
}

CAIRN_API void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow)
{
    (void)alignment;
    (void)nothrow;
    request_free(block);
}

CAIRN_API void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const void *nothrow)
{
    (void)alignment;
    (void)nothrow;
    request_free(block);
}
