/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* protocol.h: what a recorded program and `cairn record` share: the layout of one memory file, and the words in it.
 *
 * The file (a memfd that `cairn record` makes and the program opens through /proc) begins with a struct record_area;
 * from RECORD_WORDS_OFFSET on follow the words of RECORD_RINGS rings, RECORD_RING_WORDS each. A thread that makes a
 * request claims a ring and is its only writer; `cairn record` is its only reader. Positions count words ever written,
 * so a word's index is its position modulo RECORD_RING_WORDS.
 *
 * A ring's words come in blocks of RECORD_BLOCK. No event crosses the end of a block: what is left over there is
 * filled with RECORD_PAD. An event is published as a whole by one release store to `written`.
 *
 * A word, from its low end: 3 bits operation; 45 bits: bits 3 to 47 of the block's address; 2 bits domain; 14 bits
 * size. The size 16383 stands for a size in the word that follows. The words of an event:
 *
 *   RECORD_FREE      address
 *   RECORD_ALLOC     address, domain, size
 *   RECORD_ZEROED    the same; the block is known to be zero
 *   RECORD_ALIGNED   the same, and after all a word with the alignment asked for
 *   RECORD_RESIZE    address: a resize of this block begins
 *   RECORD_RESIZED   address, domain, size: it ends; the address is 0 if it failed, and the old block lives on
 *   RECORD_MARK      bit 3 clear: the key, from bit 4 up, of the event that follows; left out if the key is that of the
 *                    ring's event before with its low bit set;
 *                    bit 3 set: the time, CLOCK_MONOTONIC in ns, from bit 4 up; stands at the start of each block
 *
 * Order. The events of a ring are in the order of its thread, and their keys never fall. As long as a process has had
 * one ring its events have the key 0. From the second ring on an event's key is 2n if it raised the process's epoch to
 * n (struct record_order in record.h), 2n + 1 if it found the epoch n; an allocation's after it was made, a free's
 * before it is made. Of two events that have to do with one address and depend on one another, the first is in the same
 * ring or has the lesser key; docs/design/recording.md shows why. An event of key 0 depends on none that has another
 * key, or its thread would have seen that there is a second ring.
 *
 * Waiting. A thread whose ring is full puts the position it wants read, made odd, into `wanted` and sleeps on that
 * word; the reader, once it is there, clears the word and wakes it. Each stores before it looks at the other's word. */

#ifndef CAIRN_RECORD_PROTOCOL_H
#define CAIRN_RECORD_PROTOCOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The variable through which `cairn record` reaches the program: "RECORDER:DESCRIPTOR:PROGRAM": the
 * recorder's process id, its descriptor of the file, and the process id of the program. Not an option for users. */
#define RECORD_VARIABLE "_CAIRN_RECORD"

#define RECORD_MAGIC UINT64_C(0x32564345524e5243)

enum {
    RECORD_RINGS = 512,
    RECORD_PROCESSES = 256,
    RECORD_COMMAND = 300,
    RECORD_BLOCK = 512,
    RECORD_RING_WORDS = 262144,
    RECORD_EVENT_WORDS = 4, /* most words of an event */
    RECORD_SIZE_ESCAPE = 16383
};

enum record_operation {
    RECORD_PAD,
    RECORD_FREE,
    RECORD_ALLOC,
    RECORD_ZEROED,
    RECORD_ALIGNED,
    RECORD_RESIZE,
    RECORD_RESIZED,
    RECORD_MARK
};

/* Who asked: malloc, or one of CPython's domains. */
enum record_domain { RECORD_MALLOC, RECORD_PYTHON_RAW, RECORD_PYTHON_MEM, RECORD_PYTHON_OBJECT, RECORD_DOMAINS };

enum { RECORD_OPERATION_BITS = 3, RECORD_DOMAIN_SHIFT = 48, RECORD_SIZE_SHIFT = 50 };
#define RECORD_OPERATION_MASK UINT64_C(7)
#define RECORD_ADDRESS_MASK ((UINT64_C(1) << RECORD_DOMAIN_SHIFT) - 1 - RECORD_OPERATION_MASK)
#define RECORD_MARK_TIME UINT64_C(8)
enum { RECORD_MARK_SHIFT = 4 };

enum record_ring_state {
    RING_IDLE,    /* anyone may claim it; the reader has read all */
    RING_CLAIMED, /* a thread is filling in the fields below */
    RING_READY    /* they hold; set back to RING_IDLE by the reader once the thread is gone and all is read */
};

struct record_ring {
    _Alignas(64) _Atomic(uint64_t) written; /* position; by the thread */
    _Alignas(64) _Atomic(uint64_t) read;    /* position; by the reader */
    _Atomic(uint64_t) wanted;               /* the thread waits for `read` to reach this; 0: it does not wait */
    _Alignas(64) _Atomic(uint32_t) state;   /* enum record_ring_state */
    uint32_t process;                       /* index into `processes` */
    uint32_t thread;                        /* number of the thread in its process, from 0 */
    int32_t tid;                            /* its kernel number */
};

/* A process, or what one becomes by exec: a new entry of the same pid then replaces the old. */
struct record_process {
    _Alignas(64) _Atomic(uint32_t) ready; /* the fields below hold */
    int32_t pid;
    int32_t replaces; /* index of the entry whose process this is now; -1: none */
    _Atomic(uint32_t) threads;
    uint32_t command_size;
    char command[RECORD_COMMAND]; /* its arguments, each with a zero at its end, as far as they fit */
};

struct record_area {
    uint64_t magic;
    int32_t recorder;            /* pid of `cairn record` */
    uint32_t children;           /* 1: children are recorded too */
    _Atomic(uint32_t) processes; /* entries given out; may exceed RECORD_PROCESSES */
    struct record_process process[RECORD_PROCESSES];
    struct record_ring ring[RECORD_RINGS];
};

#define RECORD_WORDS_OFFSET ((size_t)262144)
#define RECORD_AREA_SIZE(rings) (RECORD_WORDS_OFFSET + (size_t)(rings)*RECORD_RING_WORDS * sizeof(uint64_t))

_Static_assert(sizeof(struct record_area) <= RECORD_WORDS_OFFSET, "the words begin behind the area");
_Static_assert(RECORD_RING_WORDS % RECORD_BLOCK == 0, "blocks do not wrap");

#endif
