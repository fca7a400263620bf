/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_pressure.h: what memory this process holds, and what it may still take. The rules of os.h hold: no malloc, and
 * errno is left alone. Reading costs some tens of microseconds: not for hot paths. */

#ifndef CAIRN_OS_PRESSURE_H
#define CAIRN_OS_PRESSURE_H

#include <stddef.h>
#include <stdint.h>

/* Resident bytes of the process: now, or where the system does not say (no /proc), at most so far. */
size_t os_resident_bytes(void);

/* Bytes that devices may write to or read from (RDMA, io_uring's buffers), and which a clone of the process copies at
 * once; 0 if the system does not say. */
size_t os_pinned_bytes(void);

/* Page faults of the process that needed no reading from a file, ever: each gave it a page, or a copy of one. Cheap. */
uint64_t os_page_faults(void);

/* Bytes that may be taken before the machine or a control group of this process is short of memory; SIZE_MAX if the
 * system does not say. */
size_t os_memory_left(void);

#endif
