/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* waiting.h: sweeps over Python's heap (heap/sweep.h) while CPython waits, and the end of a snapshot's clone.
 *
 * A sweep must be made by who may use the pools: before 3.12 that is the holder of the GIL, which a waiting thread has
 * let go, so it is taken, if nobody holds it, for the length of a slice. This is done only in waits that CPython itself
 * began, of which it is known that they hold no lock for which a holder of the GIL may wait, and that they are not
 * signal handlers: an interpreter called python..., a shared libpython, or an extension module of the standard library. A
 * program that has CPython linked into itself is left alone. */

#ifndef CAIRN_PYTHON_WAITING_H
#define CAIRN_PYTHON_WAITING_H

#include <stdbool.h>

/* Whether a wait of this thread should be interrupted for sweeping, or to reap a clone. A hint. */
bool python_wants_sweep(void);

/* Whether that caller waits on by itself when a wait ends with EINTR. */
bool python_retries(const void *caller);

/* Reaps a clone that has ended; sweeps a slice, in a wait whose caller returns to that address. True if there is more to do. errno is preserved. */
bool python_sweep(const void *caller);

#endif
