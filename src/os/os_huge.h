/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_huge.h: huge pages made of small ones at once. The advice that memory may have huge pages is in os.h. */

#ifndef CAIRN_OS_HUGE_H
#define CAIRN_OS_HUGE_H

#include <stdbool.h>
#include <stddef.h>

/* Joins the small pages of a range, which begins at a multiple of a huge page and is as long as one, to a huge page, which
 * costs about as much as copying it; a range that is one already costs next to nothing. Contents and addresses stay. Only
 * if all its pages are in memory, since what was purged would come back. False if the system cannot do that at all, true
 * also if it did not want to. errno is left alone. */
bool os_huge_join(void *address, size_t size);

#endif
