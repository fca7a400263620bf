/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* waiting.c: see waiting.h. State: what the program is, found once. */

#include "python/waiting.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "heap/front.h"
#include "heap/sweep.h"
#include "os/os.h"
#include "python/cpython.h"
#include "python/domains.h"
#include "python/snapshot.h"

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
    return owner != NULL && sweep_armed(owner) && !owner->heap->quiet &&
           (!owner->heap->single ||
            os_clock_ms() - atomic_load_explicit(&owner->sweep.seen, memory_order_relaxed) >= QUIET_MS);
}

bool python_wants_sweep(void)
{
    const struct owner *owner = owner_of_thread();
    return snapshot_unreaped() || (owner != NULL && sweep_armed(owner));
}

/* ---- who waits ---- */

extern __attribute__((weak)) int _dl_find_object(void *address, struct dl_find_object *result);

static const struct link_map *object_at(const void *address)
{
    struct dl_find_object found;
    return _dl_find_object != NULL && _dl_find_object((void *)(uintptr_t)address, &found) == 0 ? found.dlfo_link_map
                                                                                               : NULL;
}

static bool program_is_python; /* by the name of its file */

static __attribute__((constructor)) void look_at_program(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *slash = strrchr(path, '/');
    program_is_python = slash != NULL && strncmp(slash + 1, "python", 6) == 0;
}

/* The main program has no name here. */
static bool is_cpython(const void *caller)
{
    const struct link_map *object = object_at(caller);
    if (object == NULL || PyMem_SetAllocator == NULL) {
        return false;
    }
    bool interpreter = object == object_at((const void *)(uintptr_t)PyMem_SetAllocator);
    return interpreter ? program_is_python || object->l_name[0] != '\0'
                       : strstr(object->l_name, "/lib-dynload/") != NULL;
}

bool python_retries(const void *caller)
{
    return is_cpython(caller);
}

/* ---- the GIL ---- */

static bool has_api(void)
{
    return PyEval_RestoreThread != NULL && PyEval_SaveThread != NULL && PyGILState_GetThisThreadState != NULL &&
           (_PyThreadState_UncheckedGet != NULL || PyThreadState_GetUnchecked != NULL) && Py_IsInitialized != NULL;
}

static bool finalizing(void)
{
    return Py_IsFinalizing != NULL ? Py_IsFinalizing() : _Py_IsFinalizing != NULL && _Py_IsFinalizing();
}

/* The thread state that holds the GIL; from 3.12 on NULL in every thread but its own. */
static void *holder(void)
{
    return _PyThreadState_UncheckedGet != NULL ? _PyThreadState_UncheckedGet() : PyThreadState_GetUnchecked();
}

/* False if it is held by anyone: then its holder sweeps, or another wait will. From 3.12 on this waits for a holder, who
 * is asked to let it go. */
static bool take_gil(void)
{
    if (!has_api() || !Py_IsInitialized() || finalizing()) {
        return false;
    }
    void *mine = PyGILState_GetThisThreadState();
    if (mine == NULL || holder() != NULL) {
        return false;
    }
    PyEval_RestoreThread(mine);
    return true;
}

/* While the snapshot's clone runs, waits are interrupted again and again. */
static void reap_clone(const void *caller)
{
    int saved = errno;
    if (snapshot_child_ended() && is_cpython(caller) && take_gil()) {
        snapshot_idle();
        (void)PyEval_SaveThread();
    }
    errno = saved;
}

bool python_sweep(const void *caller)
{
    struct owner *owner = owner_of_thread();
    reap_clone(caller);
    if (!wanted(owner) || !is_cpython(caller)) {
        return false;
    }
    int saved = errno;
    bool guarded = owner->heap->single;
    bool ended = true;
    if (!guarded || take_gil()) {
        ended = owner_sweep(owner, SWEEP_SLICE, true, NULL);
        if (guarded) {
            (void)PyEval_SaveThread();
        }
    }
    errno = saved;
    return !ended;
}
