/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* residency.c: see residency.h. */

#include "observe/residency.h"

#include "os/os.h"

void residency_begin(struct residency *residency, const void *base, size_t size)
{
    residency->start = (uintptr_t)base;
    residency->end = residency->start + size;
    residency->window = residency->beyond = residency->start;
}

static void move_window(struct residency *residency, uintptr_t address)
{
    uintptr_t bytes = WINDOW_PAGES * os_page_size();
    residency->window = address - (address - residency->start) % bytes;
    uintptr_t left = residency->end - residency->window;
    residency->beyond = residency->window + (left < bytes ? left : bytes);
    os_resident_set((const void *)residency->window, (residency->beyond - residency->window) / os_page_size(),
                    residency->set);
}

size_t residency_of(struct residency *residency, const void *address, size_t size)
{
    uintptr_t page = os_page_size();
    uintptr_t at = (uintptr_t)address;
    uintptr_t end = at + size;
    size_t bytes = 0;
    while (at < end) {
        if (at < residency->window || at >= residency->beyond) {
            move_window(residency, at);
        }
        size_t index = (at - residency->window) / page;
        uintptr_t next = residency->window + (index + 1) * page;
        next = next < end ? next : end;
        bytes += residency->set[index / 64] >> (index % 64) & 1 ? next - at : 0;
        at = next;
    }
    return bytes;
}
