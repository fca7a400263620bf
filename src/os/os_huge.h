/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_huge.h: huge pages made of small ones, beside the program. The advice that memory may have huge pages is in os.h.
 *
 * The work is done by a *joiner*: a process that shares this one's memory, and else is as unseen as a helper
 * (os_helper.h). It costs the program what a thread would, but is none: nobody who counts or stops the program's threads
 * meets it. The program waits only where it touches the huge page that is being copied just then. */

#ifndef CAIRN_OS_HUGE_H
#define CAIRN_OS_HUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts a joiner, which joins the small pages of each piece to a huge page and then ends. A piece begins at a multiple
 * of `size`, the size of a huge page, and is as long. Contents and addresses stay. A piece of which a page is not in
 * memory is left alone, since what was purged would come back; so is one that is no memory any more, or may have no huge
 * pages. One that is huge already costs next to nothing, any other about as much as copying it.
 *
 * `spare` is a piece of memory that nobody uses, advised to have a huge page: where the joiner has one found before it
 * needs it. It takes memory only while that is done, or until the next joiner if one is killed just then.
 *
 * `pieces` must stay as it is until the joiner has ended. One at a time: the last one's id was given to
 * os_helper_poll() or os_helper_wait(), and they said that it ended. os_helper_kill() ends it, after the piece it is at.
 *
 * Returns 0 and its id in *pid; ENOTSUP if this system does not join pages or not here, then there is no use in trying
 * again; or another of the system's errors. errno is left alone. */
int os_huge_join(char *const *pieces, size_t count, size_t size, char *spare, int32_t *pid);

#endif
