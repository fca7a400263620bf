/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_huge.c: see os_huge.h; Linux 6.1 and later. No state. */

#include "os/os_huge.h"

#include <errno.h>
#include <sys/mman.h>

#include "os/os.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

bool os_huge_join(void *address, size_t size)
{
    int saved = errno;
    bool possible = true;
    if (os->resident(address, size) == size) {
        possible = madvise(address, size, MADV_COLLAPSE) == 0 || errno != EINVAL;
    }
    errno = saved;
    return possible;
}
