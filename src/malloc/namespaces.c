/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* namespaces.c: unshare and setns. The system refuses some namespaces to a process that does not have its memory for
 * itself. A joiner (os/os_huge.h) shares it, so it ends first. */

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cairn.h"
#include "python/snapshot.h"

CAIRN_API int unshare(int flags)
{
    snapshot_alone();
    return (int)syscall(SYS_unshare, flags);
}

CAIRN_API int setns(int descriptor, int kind)
{
    snapshot_alone();
    return (int)syscall(SYS_setns, descriptor, kind);
}
