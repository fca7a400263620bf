/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* freed_log.h: which blocks of Python's heap were freed since the log was opened.
 *
 * While a snapshot is looked at, the program goes on. An address that the snapshot names may be used only if its block
 * was not given up since: whatever lies there then is still the header of an object of the same allocation. So while
 * the log is open, every free and every realloc of the mem and object domains sets the bit of the block's start, one
 * bit for 16 bytes, before the block is given up.
 *
 * The bits lie in pieces for 1 GiB of addresses each, taken from the system when the first bit of a piece is set and
 * given back when the log is closed; untouched pages of a piece cost nothing. If the system refuses a piece, the log is
 * *lost*: freed_log_has() then says yes to everything.
 *
 * Opened and closed with the GIL; noted by any thread (an interpreter with a GIL of its own may free beside us). A
 * forked child inherits an open log and closes it. */

#ifndef CAIRN_PYTHON_FREED_LOG_H
#define CAIRN_PYTHON_FREED_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

extern atomic_bool freed_log_is_open;

/* Begins an empty log. It must not be open. */
void freed_log_open(void);

/* Ends it and gives its memory back. Idempotent. */
void freed_log_close(void);

/* Sets a block's bit (NULL: none). The log is open. */
void freed_log_note(const void *block);

/* Is it open? Hot. */
static inline bool freed_log_wants(void)
{
    return __builtin_expect(atomic_load_explicit(&freed_log_is_open, memory_order_relaxed), 0);
}

/* A block (NULL: none) is about to be given up. */
static inline void freed_log_freed(const void *block)
{
    if (freed_log_wants()) {
        freed_log_note(block);
    }
}

/* Was the block that starts there given up since the log was opened? True if that is not known. */
bool freed_log_has(const void *block);

/* Resident bytes of the log. */
size_t freed_log_bytes(void);

#endif
