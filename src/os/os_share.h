/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_share.h: memory that several processes see, and memory that a forked child sees empty. What is here serves the
 * recorder; the heap does not use it. The rules of os.h hold: no malloc, callable before constructors have run. */

#ifndef CAIRN_OS_SHARE_H
#define CAIRN_OS_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps the first `size` bytes of an open file, readable and writable, shared with whoever else maps it. NULL if the
 * system refuses. */
void *os_share_map(int descriptor, size_t size);

/* `size` bytes of private zeros that are zeros again in every child made by fork (however it is called), and the same
 * memory in a child that shares the address space (vfork). NULL if the system refuses. */
void *os_wiped_on_fork(size_t size);

/* The kernel's number of the calling thread. */
int32_t os_thread_number(void);

/* Waits until *word is no longer `value`, woken by os_share_wake(), or for `milliseconds` at most; may return early.
 * The word lies in shared memory. Does not pass through the C library's waits, which the preload watches. */
void os_share_wait(const void *word, uint32_t value, unsigned milliseconds);
void os_share_wake(const void *word);

/* Is there a process of this id that has not ended (a zombie has)? */
bool os_process_lives(int32_t pid);

#endif
