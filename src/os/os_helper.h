/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* os_helper.h: a helper: a copy of this process, as it is now, that does one thing beside it, unseen by the program,
 * and memory that both see.
 *
 * Unseen means: no SIGCHLD when it ends or stops; wait() and waitpid(-1) do not return it; no descriptor of the program
 * stays open in it, and none is made here; no fork handler runs; it takes no signal and is alone in its process group; it leaves
 * no core file. What can be seen: a process more in lists, and the processor time of ended helpers in that of the
 * children. No function here allocates with malloc; errno is preserved unless stated. */

#ifndef CAIRN_OS_HELPER_H
#define CAIRN_OS_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `size` bytes of zeros that this process and those cloned from it share. Gets memory where it is touched. NULL if the
 * system refuses. */
void *os_helper_share(size_t size);

/* Unmaps it here. */
void os_helper_unshare(void *memory, size_t size);

/* Starts a helper that calls run(argument) on a copy of the calling thread's stack, alone, and ends when that returns,
 * when this process ends, or after `limit_ms`, whatever it is doing then (within about 100 ms). It may use what was
 * mapped with os_helper_share(); all other memory is its own copy. It must call nothing that waits for a lock of this
 * process. The system may end it at any moment; it is the first to go when memory is short.
 *
 * Returns 0 and its id in *pid; or the system's error, and there is no helper: EAGAIN, ENOMEM, EPERM or ENOSYS (limits,
 * memory, a filter of system calls, an old kernel); EBUSY if the program has asked for a new namespace of process ids
 * for its next child. */
int os_helper_start(void (*run)(void *argument), void *argument, unsigned limit_ms, int32_t *pid);

/* Starts a helper that has no copy of the memory but shares it, and calls run(argument) on a stack that ends at
 * `stack_end`, aligned to 16 bytes. It shares the calling thread's thread-local data, too, so it may call nothing that
 * has errno or another state, and must make system calls by itself. It must first let go of the table of descriptors,
 * which it shares, and see itself that it ends soon after the program. Returns as os_helper_start(). */
int os_helper_start_inside(int (*run)(void *argument), void *argument, void *stack_end, int32_t *pid);

enum os_helper_state { OS_HELPER_RUNS, OS_HELPER_ENDED, OS_HELPER_LOST };

/* How it stands; one system call, does not wait. ENDED (said once): it has ended, and its id is free again. LOST: there
 * is no such helper of this process. */
enum os_helper_state os_helper_poll(int32_t pid);

/* Has it ended, and was not reaped? Does not reap it. Any thread. */
bool os_helper_has_ended(int32_t pid);

/* The same as poll, but waits until it does not run. */
enum os_helper_state os_helper_wait(int32_t pid);

/* Ends a helper that poll and wait have not called ENDED or LOST. Does not wait for its end. */
void os_helper_kill(int32_t pid);

#endif
