/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* waiting.c: see waiting.h. No state. */

#include "python/waiting.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "heap/front.h"
#include "heap/sweep.h"
#include "os/os.h"
#include "python/cpython.h"
#include "python/domains.h"

enum { QUIET_MS = 100 }; /* a heap used more recently than that sweeps by itself */

/* What the calling thread may sweep, NULL if there is none. */
static struct owner *owner_of_thread(void)
{
    cairn_heap *heap = python_heap();
    if (heap == NULL) {
        return NULL;
    }
    return heap->single ? &heap->base : thread_owner_if_any(heap);
}

static bool wanted(const struct owner *owner)
{
    return owner != NULL && sweep_armed(owner) &&
           (!owner->heap->single ||
            os_clock_ms() - atomic_load_explicit(&owner->sweep.seen, memory_order_relaxed) >= QUIET_MS);
}

bool python_wants_sweep(void)
{
    const struct owner *owner = owner_of_thread();
    return owner != NULL && sweep_armed(owner);
}

/* ---- who waits ---- */

extern __attribute__((weak)) int _dl_find_object(void *address, struct dl_find_object *result);

static const struct link_map *object_at(const void *address)
{
    struct dl_find_object found;
    return _dl_find_object != NULL && _dl_find_object((void *)(uintptr_t)address, &found) == 0 ? found.dlfo_link_map
                                                                                               : NULL;
}

/* The interpreter, its library, or an extension module of the standard library. */
static bool is_cpython(const void *caller)
{
    const struct link_map *object = object_at(caller);
    return object != NULL && (object == object_at((const void *)(uintptr_t)PyMem_SetAllocator) ||
                              strstr(object->l_name, "/lib-dynload/") != NULL);
}

/* ---- the GIL ---- */

enum gil { GIL_REFUSED, GIL_HELD, GIL_TAKEN };

static enum gil take_gil(void)
{
    if (PyEval_RestoreThread == NULL || PyEval_SaveThread == NULL || PyGILState_GetThisThreadState == NULL ||
        _PyThreadState_UncheckedGet == NULL || Py_IsInitialized == NULL || !Py_IsInitialized() ||
        (_Py_IsFinalizing != NULL && _Py_IsFinalizing())) {
        return GIL_REFUSED;
    }
    void *mine = PyGILState_GetThisThreadState();
    if (mine == NULL) {
        return GIL_REFUSED;
    }
    if (mine == _PyThreadState_UncheckedGet()) {
        return GIL_HELD;
    }
    PyEval_RestoreThread(mine);
    return GIL_TAKEN;
}

bool python_sweep(const void *caller)
{
    struct owner *owner = owner_of_thread();
    if (!wanted(owner) || !is_cpython(caller)) {
        return false;
    }
    int saved = errno;
    enum gil gil = owner->heap->single ? take_gil() : GIL_HELD;
    bool ended = gil == GIL_REFUSED || owner_sweep(owner, SWEEP_SLICE, true, NULL);
    if (gil == GIL_TAKEN) {
        (void)PyEval_SaveThread();
    }
    errno = saved;
    return !ended;
}
