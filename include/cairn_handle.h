/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cairn_handle.h: blocks that may move, reached through handles.
 *
 * A handle names a block of a heap for the block's whole life; where the block lies is in the heap's table of handles.
 * So the heap may slide blocks together (cairn_heap_compact) and give the memory between them back, which no allocator
 * can do whose users hold addresses.
 *
 * How long is an address good?
 *   - From cairn_handle_pin() until the cairn_handle_unpin() that undoes it. Pins count.
 *   - From cairn_handle_deref() until the next cairn_heap_compact() of the heap, by whatever thread, or until the block
 *     is resized or freed. Nothing else moves a block: not an allocation, not another block's resizing.
 * So where one thread compacts while others work, the others pin; where the program compacts at moments of its own
 * choice, when no address is in use, the plain deref will do everywhere else.
 *
 * A handle is an opaque 64-bit number: it can be copied, compared, hashed, stored anywhere.
 * 0 (CAIRN_HANDLE_NONE) is never a handle. A handle that was freed is never given out again in the life of its heap,
 * so a use after free is always recognised; it is reported through the misuse handler (see cairn_set_misuse_handler),
 * with kind CAIRN_MISUSE_HANDLE or CAIRN_MISUSE_PIN, and if that returns, the call does nothing. When the heap is
 * destroyed its handles end with it.
 *
 * Cost: 24 bytes for each block (8 in the table, 16 before the block). Thread classes [any], [heap] and [quiet], and
 * how errors are told, are those of cairn.h. */

#ifndef CAIRN_HANDLE_H
#define CAIRN_HANDLE_H

#include "cairn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t cairn_handle;

#define CAIRN_HANDLE_NONE ((cairn_handle)0)

#if defined(__GNUC__) || defined(__clang__)
#define CAIRN_HANDLE_COLD __attribute__((cold))
#else
#define CAIRN_HANDLE_COLD
#endif

/* Allocates a block of `size` bytes at a multiple of 16, unpinned; contents are undefined; a size of 0 gives a block of
 * 16. Moves no block. Returns CAIRN_HANDLE_NONE and ENOMEM if the heap's limit or the system's memory is reached, or if
 * `size` is 64 GiB or more. [heap] */
CAIRN_API cairn_handle cairn_handle_alloc(cairn_heap *heap, size_t size) CAIRN_USE_RESULT;

/* Frees a block. CAIRN_HANDLE_NONE is a no-op; errno is preserved. A handle that is not live in this heap, or is
 * pinned, is misuse; a pinned block then stays live. [heap] */
CAIRN_API void cairn_handle_free(cairn_heap *heap, cairn_handle handle);

/* Resizes a block, contents kept up to the smaller size; the handle stays. The block moves if it must, also a large
 * one by remapping its pages; a pinned one grows and shrinks in place or not at all. Returns 0; ENOMEM as for an
 * allocation; EBUSY if the block is pinned and would have to move; EINVAL after misuse, or for CAIRN_HANDLE_NONE. On
 * failure nothing has changed. [heap] */
CAIRN_API int cairn_handle_resize(cairn_heap *heap, cairn_handle handle, size_t size) CAIRN_USE_RESULT;

/* Bytes that may be used, at least the size asked for; 0 for CAIRN_HANDLE_NONE and after misuse. [heap] */
CAIRN_API size_t cairn_handle_size(cairn_heap *heap, cairn_handle handle);

/* Keeps a block where it is until as many calls of cairn_handle_unpin(). Returns its address; NULL with EINVAL after
 * misuse or for CAIRN_HANDLE_NONE, and with EAGAIN beyond 2^29 - 1 pins. [heap] */
CAIRN_API void *cairn_handle_pin(cairn_heap *heap, cairn_handle handle) CAIRN_USE_RESULT;

/* Undoes one pin. A block without a pin is misuse. [heap] */
CAIRN_API void cairn_handle_unpin(cairn_heap *heap, cairn_handle handle);

/* ---------------------------------------------------------------------------------------------------------------
 * The address of a block
 * ------------------------------------------------------------------------------------------------------------ */

/* For cairn_handle_deref() alone. A handle is the address of its entry in the table / 8 and, in the bits above, a
 * generation; the entry is the address of the block / 8 and the generation of the handle that is live, if one is. */
#define CAIRN_HANDLE_ADDRESS_BITS 44
#define CAIRN_HANDLE_ADDRESS(number)                                                                                   \
    ((uintptr_t)((number) << (64 - CAIRN_HANDLE_ADDRESS_BITS) >> (64 - CAIRN_HANDLE_ADDRESS_BITS - 3)))
#if defined(__GNUC__) || defined(__clang__)
#define CAIRN_HANDLE_LOAD(address) __atomic_load_n((const uint64_t *)(address), __ATOMIC_RELAXED)
#else
#define CAIRN_HANDLE_LOAD(address) (*(const volatile uint64_t *)(address))
#endif

/* Reports a use of a handle that is not live, and returns NULL. [any] */
CAIRN_API void *cairn_handle_misused(cairn_handle handle) CAIRN_HANDLE_COLD;

/* The address of a block, good until the next compaction of the heap (see above); NULL for CAIRN_HANDLE_NONE and after
 * misuse. Recognises every handle that was freed while its heap lives; a number that never was a handle, or whose heap
 * is gone, is as bad as a wild pointer. One load beside that of the contents, no lock. [heap] */
static inline void *cairn_handle_deref(cairn_handle handle)
{
    if (handle == CAIRN_HANDLE_NONE) {
        return NULL;
    }
    uint64_t entry = CAIRN_HANDLE_LOAD(CAIRN_HANDLE_ADDRESS(handle));
    if ((entry ^ handle) >> CAIRN_HANDLE_ADDRESS_BITS != 0) {
        return cairn_handle_misused(handle);
    }
    return (void *)CAIRN_HANDLE_ADDRESS(entry);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Compaction and sight
 * ------------------------------------------------------------------------------------------------------------ */

/* Slides the unpinned blocks of the heap's handles together, towards the oldest segment and in each towards low
 * addresses, around the pinned ones, and gives whole free pages and free segments back to the system, also those of
 * the table. Does about `budget` bytes of work and returns true if there is more to do; SIZE_MAX does all. Work:
 * bytes moved, 64 for each block or hole passed, a quarter of the bytes given back; a call ends after the piece of
 * work that reaches the budget (a piece is at most 64 KiB moved, or one segment of 512 KiB given back). Blocks above
 * 64 KiB have pages of their own and do not move. Between the calls everything is allowed; what is freed behind the
 * compactor is left for its next round. Holds the heap's lock during the call.
 *
 * Every address that cairn_handle_deref() gave for this heap is invalid afterwards, in all threads; those of pinned
 * blocks stay. [heap], with that condition. */
CAIRN_API bool cairn_heap_compact(cairn_heap *heap, size_t budget);

typedef struct cairn_handle_stats {
    size_t live_handles;   /* blocks the user holds */
    size_t live_bytes;     /* their usable bytes */
    size_t pinned_handles; /* of these, pinned */
    size_t held_bytes;     /* address space of segments; counted in the heap's held_bytes and limit */
    size_t hole_bytes;     /* of these, free */
    size_t largest_hole;   /* bytes of the largest block that a hole can serve */
    size_t resident_bytes; /* of held_bytes, resident in memory now, as the system says */
    size_t table_bytes;    /* of the table of handles: what is in use */
    size_t segments;       /* segments, blocks with pages of their own included */
    uint64_t moved_blocks; /* by compaction, ever */
    uint64_t moved_bytes;
    bool compacting; /* a round of compaction has begun and not ended */
} cairn_handle_stats;

/* Fills *stats. [any] */
CAIRN_API void cairn_heap_handle_stats(cairn_heap *heap, cairn_handle_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* CAIRN_HANDLE_H */
