/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* freed_log.c: see freed_log.h. A piece is put into the table once, by whoever comes first, and taken out when the log
 * is closed; a thread that notes at that moment (only one of another interpreter could) may lose its bit, which nobody
 * reads any more, but must not meet freed memory: pieces are purged, not released, and kept for the next log. */

#include "python/freed_log.h"

#include <stdint.h>

#include "os/os.h"
#include "os/place.h"

enum {
    UNIT_SHIFT = 4,    /* bytes of address for a bit */
    PIECE_SHIFT = 30,  /* of address for a piece */
    ADDRESS_BITS = 47, /* of user addresses on x86-64 and AArch64 as Linux gives them out unasked */
    WORD_SHIFT = 6,
    PIECE_WORDS = 1 << (PIECE_SHIFT - UNIT_SHIFT - WORD_SHIFT),
    PIECES = 1 << (ADDRESS_BITS - PIECE_SHIFT),
};

#define PIECE_BYTES (PIECE_WORDS * sizeof(uint64_t))

typedef _Atomic(uint64_t) word;

static LARGE_DATA _Atomic(word *) pieces[PIECES];
static _Atomic(size_t) first_piece = PIECES, end_of_pieces; /* none made lies outside */
static atomic_bool lost;                                    /* a bit could not be kept */

atomic_bool freed_log_is_open;

static size_t piece_of(const void *block)
{
    return (size_t)((uintptr_t)block >> PIECE_SHIFT);
}

static word *word_of(word *piece, const void *block)
{
    uintptr_t unit = (uintptr_t)block >> UNIT_SHIFT;
    return &piece[(unit >> WORD_SHIFT) % PIECE_WORDS];
}

static uint64_t bit_of(const void *block)
{
    uintptr_t unit = (uintptr_t)block >> UNIT_SHIFT;
    return UINT64_C(1) << (unit % (1u << WORD_SHIFT));
}

/* Takes an index into the range of pieces made. */
static void widen(size_t index)
{
    size_t first = atomic_load(&first_piece);
    while (index < first && !atomic_compare_exchange_weak(&first_piece, &first, index)) {
    }
    size_t end = atomic_load(&end_of_pieces);
    while (index >= end && !atomic_compare_exchange_weak(&end_of_pieces, &end, index + 1)) {
    }
}

/* The piece of that index, made if there is none; NULL if the system refuses. */
static word *piece_at(size_t index)
{
    word *piece = atomic_load_explicit(&pieces[index], memory_order_acquire);
    if (piece != NULL) {
        return piece;
    }
    word *fresh = os->reserve(PIECE_BYTES, os_page_size());
    if (fresh == NULL) {
        return NULL;
    }
    if (!os->commit(fresh, PIECE_BYTES) || !atomic_compare_exchange_strong(&pieces[index], &piece, fresh)) {
        (void)os->release(fresh, PIECE_BYTES);
        return piece; /* another thread's, or NULL */
    }
    widen(index);
    return fresh;
}

void freed_log_note(const void *block)
{
    if (block == NULL) {
        return;
    }
    size_t index = piece_of(block);
    word *piece = index < PIECES ? piece_at(index) : NULL;
    if (piece == NULL) {
        atomic_store_explicit(&lost, true, memory_order_relaxed);
        return;
    }
    atomic_fetch_or_explicit(word_of(piece, block), bit_of(block), memory_order_relaxed);
}

bool freed_log_has(const void *block)
{
    size_t index = piece_of(block);
    if (atomic_load_explicit(&lost, memory_order_relaxed) || index >= PIECES) {
        return true;
    }
    word *piece = atomic_load_explicit(&pieces[index], memory_order_acquire);
    return piece != NULL && (atomic_load_explicit(word_of(piece, block), memory_order_relaxed) & bit_of(block)) != 0;
}

static void empty_piece(size_t index)
{
    word *piece = atomic_load_explicit(&pieces[index], memory_order_acquire);
    if (piece != NULL && !os->purge(piece, PIECE_BYTES)) {
        for (size_t i = 0; i < PIECE_WORDS; i++) {
            atomic_store_explicit(&piece[i], 0, memory_order_relaxed);
        }
    }
}

void freed_log_open(void)
{
    atomic_store_explicit(&lost, false, memory_order_relaxed);
    atomic_store_explicit(&freed_log_is_open, true, memory_order_release);
}

void freed_log_close(void)
{
    if (!atomic_exchange(&freed_log_is_open, false)) {
        return;
    }
    for (size_t i = atomic_load(&first_piece); i < atomic_load(&end_of_pieces); i++) {
        empty_piece(i);
    }
}

size_t freed_log_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = atomic_load(&first_piece); i < atomic_load(&end_of_pieces); i++) {
        word *piece = atomic_load_explicit(&pieces[i], memory_order_acquire);
        bytes += piece != NULL ? os->resident(piece, PIECE_BYTES) : 0;
    }
    return bytes;
}
