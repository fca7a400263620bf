/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_file.c: see os_file.h. A private page is told from the file's own by /proc/self/pagemap, which is not there in every
 * process: /proc may not be mounted, or a sandbox may refuse it. */

#include "os/os_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"

#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_SWAPPED (UINT64_C(1) << 62) /* and so not the file's */
#define PAGE_OF_FILE (UINT64_C(1) << 61)

enum { PAGES_AT_ONCE = 64 };

static bool is_of_file(uint64_t entry)
{
    return (entry & (PAGE_PRESENT | PAGE_SWAPPED | PAGE_OF_FILE)) == (PAGE_PRESENT | PAGE_OF_FILE);
}

/* Drops the file's among `count` pages from `from` on; false if the system does not tell which those are. */
static bool drop_pages(int pagemap, uintptr_t from, size_t count)
{
    uint64_t entries[PAGES_AT_ONCE];
    size_t page = os_page_size();
    ssize_t size = (ssize_t)(count * sizeof entries[0]);
    if (pread(pagemap, entries, (size_t)size, (off_t)(from / page * sizeof entries[0])) != size) {
        return false;
    }
    for (size_t first = 0, last; first < count; first = last + 1) {
        for (last = first; last < count && is_of_file(entries[last]); last++) {
        }
        if (last > first) {
            (void)madvise((char *)from + first * page, (last - first) * page, MADV_DONTNEED);
        }
    }
    return true;
}

void os_file_drop(const char *from, const char *to)
{
    int before = errno;
    size_t page = os_page_size();
    uintptr_t at = (uintptr_t)from & ~(uintptr_t)(page - 1);
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    while (pagemap >= 0 && at < (uintptr_t)to) {
        size_t left = ((uintptr_t)to - at + page - 1) / page;
        size_t count = left < PAGES_AT_ONCE ? left : PAGES_AT_ONCE;
        at = drop_pages(pagemap, at, count) ? at + count * page : (uintptr_t)to;
    }
    if (pagemap >= 0) {
        (void)close(pagemap);
    }
    errno = before;
}
