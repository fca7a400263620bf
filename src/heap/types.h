/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* types.h: the map of the heap. Units, constants, structures; no code.
 *
 *   heap ── 3 spaces ── arenas ── 64 slots ── pools ── blocks          (small: the geometry's; span: 64 KiB slots;
 *    │                                                                    tiny: 4 KiB, see geometry_pack)
 *    ├── hole space ── segments ── large blocks and holes (hole.h)
 *    ├── huge blocks (mapped on their own) and a few cached mappings
 *    └── owners: what owns pools. A single heap has one, `base`. A shared heap has one per thread that allocates,
 *        and `base`, the common owner, which holds the pools of threads that ended and is used under the heap's lock.
 *
 * Nothing but blocks lies inside a pool's pages: pools are described by records in the arena's own record, which
 * comes from the heap's metadata (meta.h). The page map (pagemap.h) leads from any address to its pool record.
 *
 * Who may touch what:
 *   - an owner's lists and its pools' free lists: its thread (single: the caller's lock; `base` of a shared heap: the
 *     heap's lock);
 *   - spaces, arenas, slots, segments, huge blocks, the list of owners: the heap's lock;
 *   - inbox, counters: atomics, anyone. */

#ifndef CAIRN_HEAP_TYPES_H
#define CAIRN_HEAP_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"
#include "heap/hole.h"
#include "os/cpu.h"
#include "os/os.h"
#include "os/place.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum {
    SLOTS = 64,        /* most slots of an arena: one bit each in a 64-bit word */
    DIRECT_MAX = 1024, /* largest request found through an owner's direct table */
    DIRECT_COUNT = DIRECT_MAX / 8 + 1,
    LINEAR_MAX = 512,   /* classes up to here are spaced by the alignment */
    POOLED_MAX = 16384, /* largest request that a geometry may have served by pools */
    SPAN_SLOT = 65536,
    SPAN_ARENA = SPAN_SLOT * SLOTS,
    HOLE_MAX = 4194304, /* largest request served by a hole; above: mapped on its own */
    NAME_MAX_BYTES = 32,
    OUTBOX_SLOTS = 16,    /* destinations a thread gathers remote frees for at a time */
    OUTBOX_BYTES = 65536, /* most bytes a thread holds back in its outbox */
    OUTBOX_WEIGHT = 512,  /* what a block counts there at least: each may keep a whole pool from going back */
    OUTBOX_BLOCK = 4096,  /* blocks of this size and more are sent at once */
    ENVELOPE_BLOCKS = OUTBOX_BYTES / OUTBOX_WEIGHT + 1, /* all that an outbox holds, and the one for which it is sent */
    INBOX_BEHIND = 524288, /* bytes, as an outbox counts: an owner whose inbox holds as many is behind; see foreign.h */
    THREAD_NUMBERS = 128,  /* that have a number, see thread.h */
    FEW = 16,              /* requests of a class that are few for any program; see geometry_few_from_holes */
    FEW_MOST = UINT8_MAX,
    TINY_SLOT = 4096,
    HUGE_CACHE = 8 /* mappings kept for reuse */
};

_Static_assert(SLOTS == 64, "slot sets are 64-bit words");
_Static_assert(CAIRN_CLASSES_MAX <= 128, "class sets are two 64-bit words");

/* A free block: the link is its only content that Cairn needs. How lists of them end: owner.h. */
struct block {
    struct block *next;
};

enum pool_kind {
    POOL_SLOT,     /* a free slot: no pool (all records start so: the value is 0) */
    POOL_SEGMENT,  /* blocks and holes of the hole space; the record is a segment's */
    POOL_HUGE,     /* one block mapped on its own; the record is a huge block's */
    POOL_CLASS,    /* serves blocks of one class */
    POOL_UNSETTLED /* the same, but its thread did not survive a fork: recount before the next use */
};

/* Where a pool of a class stands with its owner. */
enum pool_state {
    STATE_NONE, /* on none of the owner's lists */
    STATE_USED, /* on the used list of its class: it has free or untouched blocks, or had at the last look */
    STATE_FULL  /* it has none; on no list but that of all the owner's pools, if there is one */
};

/* A pool's record, or the first part of another's that the page map leads to. For a pool of a class: used + free blocks + untouched blocks == capacity, where free is the length
 * of `free`, and untouched are the blocks beyond the first `carved` and those that touch purged units (sweep.h).
 * (pool_check) */
struct pool {
    _Alignas(64) struct block *free; /* freed and carved blocks, newest first */
    _Atomic(uintptr_t) fast;         /* the owner's mark if it may free here without further thought, else 0: the pool
                                        is on its used list and its heap is not exact */
    _Atomic(uint64_t) requests;      /* served; written by the owner only */
    _Atomic(uint16_t) used;          /* blocks in use; written by the owner only */
    uint16_t block_size;             /* bytes; 0 for segments and huge blocks */
    _Atomic(uint16_t) carved;        /* blocks that have been free or used since the pool got its class */
    _Atomic(uint16_t) purged;        /* the set of its purged units; written by the owner only */
    uint32_t base;                   /* the low half of the first block's address: see pool_offset() */
    _Atomic(uint8_t) kind;           /* enum pool_kind; but for a recount constant while a block of it is live */
    uint8_t state;                   /* enum pool_state */
    uint8_t class_index;
    uint8_t slot;                  /* index of its slot */
    _Atomic(struct owner *) owner; /* changes only under the heap's lock; NULL for a slot */
    struct pool *next, *prev;      /* in the owner's used list */
};

_Static_assert(sizeof(struct pool) == 64, "a record is a cache line");

/* One block mapped on its own. */
struct huge {
    struct pool record; /* what the page map leads to; must be first */
    char *base;
    size_t size;              /* bytes */
    size_t asked;             /* bytes asked for */
    struct huge *next, *prev; /* in the heap's list */
};

/* The huge block whose record this is (kind POOL_HUGE). */
static inline struct huge *huge_of_record(const struct pool *record)
{
    return (struct huge *)(uintptr_t)record;
}

/* An owner's used pools of a class, and of its heap's class what is looked for where one takes another's place. */
struct pool_list {
    struct pool *head, *tail;
    uint16_t capacity;
    uint8_t direct_lo, direct_hi;
};

/* In the list of all pools of an owner; see owned.h. */
struct pool_links {
    struct pool *next, *prev;
};

/* What blocks travel in, if many do together; see envelope.h. */
struct envelope {
    struct block *next; /* message */
    size_t count;       /* of the blocks, once it is sealed */
    struct block *blocks[ENVELOPE_BLOCKS];
};

/* Blocks freed by this thread and owned by another, gathered per destination in messages (remote.h). */
struct outbox {
    _Alignas(64) struct owner *to; /* NULL: empty */
    struct block *first;           /* the newest message */
    struct block *last;            /* the oldest one */
    struct block **at;             /* where the newest message takes the next address */
    struct block **end;            /* where it ends */
    struct block **limit;          /* of the recent chain: blocks that join it up to there are counted already */
    struct block *newest;          /* of all blocks */
    uint32_t bytes;                /* what all count, together */
    bool many;                     /* were in the chain that was sent last: the next one is an envelope */
};

/* Where an owner's sweep over its pools stands; see sweep.h. */
struct sweep {
    struct pool *next;      /* to look at, while running */
    uint64_t due;           /* of the next slice, on os_clock_ms(); 0: to be set */
    _Atomic(uint64_t) seen; /* when the owner last asked whether a slice is due; anyone may read it */
    _Atomic(bool) armed;    /* a pass is wanted; anyone may read it */
    bool running;
    bool again; /* this pass saw a pool that may be purged at the next */
};

struct owner;

/* What is told of an owner's pools, under the heap's lock: one taken (its class is set, nothing is carved; false refuses
 * it, as if there were no memory) and one returned (nothing of it is in use). May use the heap's metadata and nothing
 * else. */
struct owner_hooks {
    bool (*taken)(struct owner *owner, struct pool *pool);
    void (*returned)(struct owner *owner, struct pool *pool);
};

/* What owns pools. `direct[i]` is the pool that serves requests of 8*i-7 to 8*i bytes, or the empty pool; it is the
 * head of its class's used list. */
struct owner {
    struct pool *direct[DIRECT_COUNT];
    cairn_heap *heap;
    uintptr_t mark;                           /* never 0; of no other live owner: by it a thread sees a pool of its own.
                                                 A thread's: what the thread and the heap make together; else: the
                                                 owner's address */
    bool exact;                               /* copy of the heap's option */
    bool reuse_at_once;                       /* copy of the geometry's */
    bool common;                              /* the base owner of a shared heap: every use is under its lock */
    bool pools_only;                          /* its small blocks never come from holes */
    struct block *end;                        /* of its pools' free lists: NULL, or FREE_END in a late heap (owner.h) */
    const struct owner_hooks *hooks;          /* NULL: none; only in a heap that keeps sides */
    struct cairn_runtime *runtime;            /* whose objects it holds; NULL: none */
    struct pool_list used[CAIRN_CLASSES_MAX]; /* pools with free or untouched blocks */
    struct pool *all;                         /* all its pools, if its heap is shared; see owned.h */
    struct sweep sweep;
    uint64_t idle[2];    /* classes whose first used pool may be empty */
    uint64_t wanted[2];  /* classes of which it had to look for a block */
    unsigned since_tick; /* used-up pools passed over since the clock was looked at */
    struct outbox outbox[OUTBOX_SLOTS];
    struct outbox *recent; /* the chain that a block joined last and may join without further thought, or outbox_none */
    size_t outbox_bytes;
    struct envelope *envelopes; /* spare ones */
    unsigned envelope_count;
    struct gathered {
        struct block *first;
        size_t bytes;
    } common_box;                /* blocks of the common owner's, see remote.h; not among outbox_bytes */
    struct pool *foreign;        /* blocks of other owners kept for its own requests, see foreign.h; NULL: none yet */
    unsigned foreign_pause;      /* chains to let go home before it keeps blocks again: it frees and asks for none */
    unsigned foreign_next_pause; /* after a chain of which nothing was kept; twice as many each time */
    _Atomic(uint64_t) requests[CAIRN_CLASSES_MAX]; /* of pools that were returned; `base`: of owners that ended, too */
    _Atomic(uint64_t) *asked;                      /* with `exact`: bytes asked for, by class; NULL: no memory for it */
    _Atomic(uint64_t) remote_frees;                /* received; `base`: by owners that ended, too */
    struct owner *next, *prev;                     /* the heap's list of live owners, or its list of spare ones */
    _Alignas(64) _Atomic(struct block *) inbox;    /* remote frees; INBOX_CLOSED when the owner is no longer live */
    _Atomic(size_t) inbox_bytes;                   /* about what it holds, as an outbox counts */
};

/* A size class of a heap. */
struct size_class {
    uint32_t block_size;
    uint16_t capacity;
    uint8_t space;     /* index into heap->spaces */
    uint8_t direct_lo; /* direct table entries this class serves: lo..hi, none if lo > hi */
    uint8_t direct_hi;
    uint8_t first_block; /* bytes before a pool's first block */
};

enum { SPACE_SMALL, SPACE_SPAN, SPACE_TINY, SPACES };

/* Arenas of one shape. An arena with key k > 0 is in bucket k. The key is the number of its free slots, so that the arena
 * with the fewest free pools is found first. (space_check) */
struct space {
    size_t arena_size;
    size_t slot_size;
    unsigned unit_shift; /* see sweep.h */
    unsigned slot_count;
    uint64_t filled; /* bit k-1: bucket k is not empty */
    struct arena *bucket[SLOTS + 1];
    size_t arenas;
    size_t arenas_free; /* arenas with all slots free */
    char *huge_rest;    /* of its last piece of address space on huge pages, what is not in use yet */
    char *huge_end;
};

/* free & ~dirty: untouched slots; free & dirty: free slots; ~free: slots of pools. (arena_check) */
struct arena {
    struct pool pools[SLOTS]; /* must be first (pool_arena); record i describes the pool or free slot at slot i */
    cairn_heap *heap;
    struct space *space;
    char *base;
    uint64_t free;
    uint64_t dirty;           /* used since they came from the system or were purged */
    uint64_t aged;            /* free and dirty since before the last tick: the next one purges them */
    uint64_t mapped;          /* slots whose page map entries and records are set up */
    uint16_t look[SLOTS];     /* what sweeps saw last of each pool */
    struct pool_links *links; /* of each pool, if the heap is shared; else NULL */
    unsigned key;
    struct arena *next, *prev;             /* in its bucket */
    struct arena *all_next, *all_prev;     /* in the heap's list */
    struct arena *purge_next, *purge_prev; /* in the heap's purge queue */
    uint64_t queued_at;                    /* os_clock_ms() when it was queued; 0: it is not */
    void *sides[]; /* of each pool, if the heap keeps them: what the hooks of its owner keep beside it; NULL: nothing.
                      Behind them the links */
};

/* The arena that the record of a pool of a class, or of a free slot, is part of. */
static inline struct arena *pool_arena(const struct pool *pool)
{
    return (struct arena *)(uintptr_t)(pool - pool->slot);
}

/* What its owner's hooks keep beside a pool of a class, in a heap that keeps sides. Hot path. */
static inline void **pool_side(const struct pool *pool)
{
    return &pool_arena(pool)->sides[pool->slot];
}

/* How far an address in the slot of a pool of a class is from the first block; a block's length and more from any in front of
 * that. Nearly hot. */
static inline uint32_t pool_offset(const struct pool *pool, const void *address)
{
    return (uint32_t)(uintptr_t)address - pool->base; /* pools are far below 4 GiB */
}

/* The first block of a pool of a class. */
static inline char *pool_base(const struct pool *pool)
{
    char *arena = pool_arena(pool)->base;
    return arena + (uint32_t)(pool->base - (uint32_t)(uintptr_t)arena);
}

/* The slot that a pool lies in. */
static inline char *pool_slot(const struct pool *pool)
{
    const struct arena *arena = pool_arena(pool);
    return arena->base + pool->slot * arena->space->slot_size;
}

/* Must it be recounted before it is used? */
static inline bool pool_is_unsettled(const struct pool *pool)
{
    return cpu_holds_byte(&pool->kind, POOL_UNSETTLED);
}

/* A chunk of metadata. */
struct meta_chunk {
    struct meta_chunk *next;
    size_t size;
    size_t used;
};

/* Records freed and kept for reuse, by size. */
struct meta_free {
    struct meta_free *next;
};

enum { META_SIZES = 16 };

struct region;
struct supply;

struct meta {
    struct region *region; /* the memory that the heap lives in; NULL: the system's */
    struct meta_chunk *chunks;
    struct {
        size_t size;
        struct meta_free *list;
    } spare[META_SIZES];
    size_t bytes;
};

/* Requests served, ever. */
struct large_counts {
    uint64_t requests;
    uint64_t asked; /* bytes asked for */
    uint64_t given; /* usable bytes given for them */
};

struct huge_cache_entry {
    char *base; /* NULL: empty */
    size_t size;
    uint64_t expires;
};

struct cairn_heap {
    struct owner base;
    uint64_t id;       /* never reused */
    uintptr_t mark;    /* and cpu_thread() are the mark of a thread's owner. 0: the default heap's. Some other heap has
                           the same after 65535 more: a block of one, freed to the other by the thread that owns its
                           pool, is freed, and the misuse not seen */
    size_t single_end; /* requests of fewer bytes are for base's direct table; 0 unless the heap is a late one */
    struct owner *by_thread[THREAD_NUMBERS]; /* a thread's owner by the thread's number, or owner_none; see thread.h */
    char name[NAME_MAX_BYTES];
    bool single;
    bool exact;
    bool is_default;
    bool no_pools;
    bool quiet; /* being walked or checked: no ticks; under the lock */
    cairn_geometry geometry;
    size_t min_alignment;
    size_t limit;
    unsigned purge_delay_ms; /* the option's */
    unsigned delay_ms;       /* now: grows while what ticks purge is needed again, see heap_ticked; under the lock */
    unsigned keep_percent;   /* the option's at first; grows to keep_most, see heap_cooled; under the lock */
    unsigned keep_most, keep_step;
    size_t keep_bytes; /* beside the percent */
    size_t cool_part;  /* one in so many of the bytes taken may be cooled, see heap_cooled; 0: none is borne */
    cairn_fit fit;
    cairn_huge huge_pages;
    unsigned keep_free_arenas; /* of each space, and as many segments */

    bool huge_arenas; /* small pools' arenas lie on huge pages even by CAIRN_HUGE_AUTO; see arena_addresses */

    bool keeps_sides; /* owners may have hooks, see pool_side */

    bool packed; /* see geometry_pack */

    bool few_from_holes;                     /* see geometry_few_from_holes */
    _Atomic(uint8_t) few[CAIRN_CLASSES_MAX]; /* requests of each class that holes still serve */

    size_t pooled_end; /* requests of fewer bytes are served by pools; 0: none is */
    unsigned class_count;
    unsigned class_above_direct; /* class of the first size above DIRECT_MAX */
    struct size_class classes[CAIRN_CLASSES_MAX];
    uint8_t direct_class[DIRECT_COUNT];

    os_lock lock; /* for all below */
    struct space spaces[SPACES];
    struct arena *arenas; /* all, newest first */
    struct arena *purge_first, *purge_last;
    struct huge *huge; /* live huge blocks */
    struct huge_cache_entry huge_cache[HUGE_CACHE];
    size_t huge_cached_bytes;
    struct owner *owners; /* live ones, without base */
    struct owner *spare_owners;
    struct envelope *envelopes;   /* spare ones */
    struct handle_space *handles; /* NULL until the first handle */
    struct supply *supply;        /* shared with other heaps; NULL: none */
    struct meta meta;
    size_t held_bytes, held_peak;
    size_t taken_bytes; /* ever: the sum of what held_bytes grew by */
    size_t next_look;   /* of held_peak: beyond, it is looked how much quick lists keep, see large_flush_at_peak */
    size_t warm_bytes;  /* free slots that hold pages: the sum of free & dirty */
    struct {
        uint64_t end;       /* on os_clock_ms(); 0: no tick yet */
        size_t bytes, kept; /* purged by ticks since its start; kept at its start */
    } window;
    size_t
        cooled_bytes; /* that count, see heap_cooled: since the heap was made or keep_percent grew, less what is borne */
    size_t cooled_since, cooled_at; /* what taken_bytes was at the first and at the last of them */
    size_t cooled_peak;             /* what held_peak was at the last */
    size_t arenas_created, arenas_released;
    struct hole_space holes; /* large blocks */
    uint64_t holes_due;      /* what holes_due() said last */
    size_t huge_blocks, huge_bytes;
    struct large_counts large_counts, huge_counts;
    uint64_t purged_bytes;
    size_t owner_count;
    cairn_heap *next, *prev; /* the registry's list, under its lock */

    _Atomic(uint64_t) purge_due; /* when the next purge or release is due, on os_clock_ms(); 0: none */
    _Atomic(uint64_t) worked_at; /* while one is: when a request last came by the slow paths, on os_clock_ms() */
    _Atomic(uint64_t) requests_failed;
    _Atomic(size_t) live_bytes, live_peak; /* with `exact` */
};

#endif
