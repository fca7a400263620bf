/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_scan.h: what the passes of an analysis (snapshot_analysis.c, snapshot_parts.c) share: their state, batches
 * of objects, and steps through the bytes of a leaf. */

#ifndef CAIRN_PYTHON_SNAPSHOT_SCAN_H
#define CAIRN_PYTHON_SNAPSHOT_SCAN_H

#include <string.h>

#include "python/python_object.h"
#include "python/snapshot_analysis.h"
#include "python/snapshot_count.h"
#include "python/snapshot_table.h"

enum {
    SCAN_BATCH = 32,       /* objects whose memory is brought near at a time */
    SCAN_REFERENCES = 256, /* and references whose bytes are */
    SCAN_LEAF_WORDS = (1 << TABLE_LEAF_SHIFT) / sizeof(uint64_t),
};

/* A part of a ring, in the order of the ring. */
struct snapshot_stretch {
    const struct gc_head *first;
    const struct gc_head *end; /* the head behind its last */
    uint32_t next; /* number of the stretch that starts there; UINT32_MAX: one of way_in[], or a ring ends */
};

enum { RINGS_WAYS_IN = 512 };

/* All zero: none. */
struct snapshot_rings {
    struct snapshot_stretch *stretch;
    size_t stretches, room;
    uint32_t way_in[RINGS_WAYS_IN]; /* stretches where a lane started */
    size_t ways_in;
};

struct snapshot_scan {
    const struct snapshot_input *input;
    struct snapshot_result *result;
    struct snapshot_table table;
    struct snapshot_counts counts;
    struct snapshot_rings rings;
    unsigned long preheader_flags; /* in a type's flags: two more words lie in front of its objects */
    unsigned long inner_flags;     /* those that say where an object of this version has more memory */
    bool has_values;               /* 3.11: managed dicts have a pointer to values */
    uint64_t pass_start;           /* ns */

    size_t batched;
    void *batch[SCAN_BATCH];
    size_t references;
    uintptr_t reference[SCAN_REFERENCES];

    /* mark */
    uintptr_t *stack; /* reachable, not looked into */
    size_t stacked, stack_size;
    uintptr_t swept;        /* the sweep comes to what is from here on */
    bool missed;            /* something behind the sweep found no room on the stack */
    bool refers_to_tracked; /* one of the references since the last end of an object's */
};

/* ---- batches ----
 *
 * Scattered objects cost a miss of the address translation each, which the processor does not begin for a prefetch, but
 * for many loads at a time if nothing stands between them. So the memory of a batch is read before it is looked at. */

/* Adds an object to the batch, which has room. True if it is full then. */
static inline bool snapshot_scan_add(struct snapshot_scan *scan, uintptr_t object)
{
    scan->batch[scan->batched++] = (void *)object;
    return scan->batched == SCAN_BATCH;
}

static inline void snapshot_scan_touch(const void *memory)
{
    if (memory != NULL) {
        (void)*(const volatile char *)memory;
    }
}

/* Reads from what the commonest types keep outside of the object. */
static inline void snapshot_scan_touch_inner(const void *object, unsigned long flags, bool has_values)
{
    if ((flags & PYTHON_DICT_SUBCLASS) != 0) {
        const struct python_dict *dict = object;
        __builtin_prefetch((const char *)dict->keys + 64);
        snapshot_scan_touch(dict->keys);
        snapshot_scan_touch(dict->values);
    } else if ((flags & PYTHON_LIST_SUBCLASS) != 0) {
        snapshot_scan_touch(((const struct python_list *)object)->items);
    } else if ((flags & PYTHON_MANAGED_DICT) != 0) {
        snapshot_scan_touch(((void *const *)object)[PYTHON_MANAGED_DICT_AT]);
        if (has_values) {
            snapshot_scan_touch(((void *const *)object)[PYTHON_MANAGED_VALUES_AT]);
        }
    }
}

/* Brings the memory of the batch near; before its objects are traversed. */
static inline void snapshot_scan_await(const struct snapshot_scan *scan)
{
    const struct python_type *type[SCAN_BATCH];
    for (size_t i = 0; i < scan->batched; i++) {
        type[i] = python_type_of(scan->batch[i]);
    }
    for (size_t i = 0; i < scan->batched; i++) {
        snapshot_scan_touch_inner(scan->batch[i], type[i]->flags & scan->inner_flags, scan->has_values);
    }
}

/* ---- references ---- */

/* Adds a reference, for which there is room, and asks for its byte. */
static inline void snapshot_scan_refer(struct snapshot_scan *scan, const void *object)
{
    __builtin_prefetch(snapshot_table_byte(&scan->table, (uintptr_t)object));
    scan->reference[scan->references++] = (uintptr_t)object;
}

/* ---- the bytes of a leaf, eight at a time ---- */

/* Word `at` of a leaf, with a bit set in every byte that is not COUNT_ABSENT. */
static inline uint64_t snapshot_scan_word(const unsigned char *bytes, size_t at)
{
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t word;
    memcpy(&word, bytes + at * sizeof word, sizeof word);
    return (((word & low_bits) + low_bits) | word) & ~low_bits;
}

/* The same with a bit in every byte that has that value. */
static inline uint64_t snapshot_scan_word_of(const unsigned char *bytes, size_t at, unsigned char value)
{
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t word;
    memcpy(&word, bytes + at * sizeof word, sizeof word);
    word ^= value * UINT64_C(0x0101010101010101);
    return ~((((word & low_bits) + low_bits) | word) | low_bits);
}

/* Takes the first byte out of such a word, which must not be zero, and returns its number. */
static inline unsigned snapshot_scan_next(uint64_t *word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    unsigned bit = (unsigned)__builtin_ctzll(*word);
    *word &= *word - 1;
    return bit / 8;
#else
    unsigned number = (unsigned)__builtin_clzll(*word) / 8;
    *word &= ~(UINT64_C(0x8000000000000000) >> (8 * number));
    return number;
#endif
}

/* The object of byte `number` of word `at` of the leaf for `address`. */
static inline uintptr_t snapshot_scan_object(uintptr_t address, size_t at, unsigned number)
{
    return address + ((at * sizeof(uint64_t) + number) << TABLE_GRANULE_SHIFT);
}

#endif
