/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* close_range.h: the number and the flag of Linux's close_range, which headers older than it (5.9) lack. */

#ifndef CAIRN_OS_CLOSE_RANGE_H
#define CAIRN_OS_CLOSE_RANGE_H

#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

#endif
