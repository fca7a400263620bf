/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_posix.c: locks, thread exit and fork hooks on POSIX threads, limits. The watcher's key is made first of all keys in the
 * process where possible: glibc's pthread_setspecific allocates for keys of 32 and more. */

#include "os/os.h"
#include "os/place.h"

#include <sys/resource.h>

void os_lock_init(os_lock *lock)
{
    (void)pthread_mutex_init(lock, NULL);
}

void os_lock_take(os_lock *lock)
{
    (void)pthread_mutex_lock(lock);
}

bool os_lock_try(os_lock *lock)
{
    return pthread_mutex_trylock(lock) == 0;
}

void os_lock_give(os_lock *lock)
{
    (void)pthread_mutex_unlock(lock);
}

static pthread_key_t watch_key;
static bool watch_key_made;

SELDOM bool os_thread_watch_init(void (*at_exit)(void *value))
{
    watch_key_made = pthread_key_create(&watch_key, at_exit) == 0;
    return watch_key_made;
}

bool os_thread_watch(void *value)
{
    return watch_key_made && pthread_setspecific(watch_key, value) == 0;
}

/* What glibc's pthread_atfork calls, which is a function linked to the end of each library, apart from all others. */
extern int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void *library)
    __attribute__((weak));
extern __attribute__((visibility("hidden"))) void *__dso_handle;

SELDOM bool os_fork_hooks(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    return __register_atfork != NULL ? __register_atfork(before, parent, child, __dso_handle) == 0
                                     : pthread_atfork(before, parent, child) == 0;
}

bool os_address_space_is_limited(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}
