/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cairn.h: private heaps of arenas, pools and blocks.
 *
 * Words. An *arena* is a run of address space from the operating system, carved into *pools*. A pool serves
 * *blocks* of one *size class*. A *heap* is a set of arenas with its own options, statistics and lifetime; it is
 * either *single* (the caller holds a lock, such as a GIL, around every call) or *shared* (any thread may call at
 * any time; each thread owns pools, and a block freed by another thread is a *remote free*). *Purge* gives physical
 * pages back and keeps the addresses; *release* gives the addresses back.
 *
 * Thread rules. Every function says its class:
 *   [any]   any thread, any time, on any heap kind;
 *   [heap]  shared heap: any thread, any time; single heap: only under the caller's lock;
 *   [quiet] no other thread may be using the heap during the call.
 *
 * Errors. Functions that return a pointer return NULL and set errno (ENOMEM, EINVAL) on failure; functions that
 * return int return 0 on success or a positive errno value; out-parameters are written only on success. Misuse of a
 * heap (freeing what is not a block, freeing twice, freeing into the wrong heap) is reported through the misuse
 * handler, see cairn_set_misuse_handler(). */

#ifndef CAIRN_H
#define CAIRN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CAIRN_VERSION_MAJOR 0
#define CAIRN_VERSION_MINOR 1
#define CAIRN_VERSION_PATCH 0
#define CAIRN_VERSION_STRING "0.1.0"

#if defined(__GNUC__) || defined(__clang__)
#define CAIRN_API __attribute__((visibility("default")))
#define CAIRN_ALLOC(...) __attribute__((malloc, warn_unused_result, alloc_size(__VA_ARGS__)))
#define CAIRN_USE_RESULT __attribute__((warn_unused_result))
#else
#define CAIRN_API
#define CAIRN_ALLOC(...)
#define CAIRN_USE_RESULT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A private heap. Opaque; made by cairn_heap_create(). */
typedef struct cairn_heap cairn_heap;

/* ---------------------------------------------------------------------------------------------------------------
 * Geometry and options
 * ------------------------------------------------------------------------------------------------------------ */

/* The geometry of the pools that serve small requests. Data, not code: every preset runs through the same paths.
 * Requests above `small_limit` go to pools of a larger geometry (64 KiB slots in 4 MiB arenas), above `medium_limit` to
 * holes, above 4 MiB to mappings of their own; see docs/design/heap.md. */
typedef struct cairn_geometry {
    size_t arena_size;   /* bytes; a power of two; pool_size * 4 to pool_size * 64, at most 64 MiB */
    size_t pool_size;    /* bytes; a power of two from 4 KiB to 512 KiB */
    size_t alignment;    /* bytes; alignment of small blocks and spacing of the classes up to 512: 8 or 16 */
    size_t small_limit;  /* bytes; the largest request a small pool serves: a multiple of `alignment`, from 64 to
                           64 * alignment, above 512 of 64, and at most pool_size / 8 */
    size_t medium_limit; /* bytes; the largest request that a pool of 64 KiB serves, above it is served from a hole: a
                            power of two from 1024 to 16384 */
    bool reuse_at_once;  /* true: a full pool that gets a free block is the next to serve its class, so that the block
                            is used again while it is in the processor's cache (CPython's rule). false: it queues
                            behind the pools in use, which costs less where frees come in random order. */
    bool return_at_once; /* true: a pool whose blocks are all free passes to the arena at once, and the next pool comes
                            from the fullest arena (CPython's rules). false: a class keeps an empty pool until
                            someone needs one, and pools that still hold pages are taken first. */
    size_t first_block;  /* bytes before a small pool's first block: a multiple of `alignment`, at most 240, rounded
                            up to a heap's min_alignment. 48 in
                            CPython, whose pools have a header: it happens to put the text of a short str object into
                            one cache line with the rest of what comparing it reads. */
} cairn_geometry;

/* The presets by name:
 *   "classic"  256 KiB arenas, 4 KiB pools, 64 classes of 8 bytes to 512 (CPython 2.3 to 3.6, Objects/obmalloc.c)
 *   "cpython"  1 MiB arenas, 16 KiB pools, 32 classes of 16 bytes to 512 (CPython 3.10 and later on 64 bits)
 *   "default"  what measures best, see docs/benchmarks.md
 * Writes *geometry and returns 0, or returns EINVAL for an unknown name. [any] */
CAIRN_API int cairn_geometry_preset(const char *name, cairn_geometry *geometry);

/* Says whether a geometry is usable. Returns NULL if so, otherwise a static sentence that names the field at fault
 * and its range. [any] */
CAIRN_API const char *cairn_geometry_error(const cairn_geometry *geometry);

/* Reads a geometry from text: the name of a preset, or fields as "arena=1M,pool=16K,align=16,small=512,medium=4K,
 * reuse=0,return=0,first=48" (without the space), of which those that are missing are the default preset's; sizes in
 * bytes or with K or M. Writes *geometry and returns 0, or returns EINVAL and, if `error` is not NULL, writes a line that
 * names what is wrong, its value and its range, cut to error_size bytes with the final 0. [any] */
CAIRN_API int cairn_geometry_parse(const char *text, cairn_geometry *geometry, char *error, size_t error_size);

/* Which hole serves a request that no pool serves (Knuth, The Art of Computer Programming, vol. 1, 2.5). */
typedef enum cairn_fit {
    CAIRN_FIT_BEST,   /* the smallest that is large enough */
    CAIRN_FIT_FIRST,  /* the one at the lowest address */
    CAIRN_FIT_NEXT,   /* the next one, by address and round about, after the last that served */
    CAIRN_FIT_WORST,  /* the largest */
    CAIRN_FIT_DEFAULT /* first where holes serve nothing below 8 KiB: what is in use stays together at low addresses and
                         keeps its pages; otherwise best, which is found faster among small holes */
} cairn_fit;

/* Whether the system is to back a heap's memory by huge pages (2 MiB on x86-64): faults and look-ups of addresses cost
 * less, and what is touched of one counts whole as resident. The system may be set up to give none. */
typedef enum cairn_huge {
    CAIRN_HUGE_AUTO,  /* for blocks above 4 MiB, which are mapped on their own, unless they are asked for as zeros
                         (cairn_calloc()), and for holes once they hold so much that a huge page is within what
                         keep_percent keeps; else what the system does by itself */
    CAIRN_HUGE_NEVER, /* nowhere */
    CAIRN_HUGE_ALWAYS /* wherever 2 MiB lie together: in arenas and segments too, which then grow by so much */
} cairn_huge;

/* Options of a heap. Start from CAIRN_HEAP_OPTIONS_INIT and set what you need. */
typedef struct cairn_heap_options {
    size_t struct_size;             /* sizeof(cairn_heap_options), so that the struct can grow */
    const char *name;               /* shown in statistics and reports; copied, at most 31 bytes kept; may be NULL */
    const cairn_geometry *geometry; /* NULL for the default preset; copied */
    bool single;                    /* true: the caller serialises all calls; false: thread-safe */
    bool exact;                     /* true: count every request (bytes asked, exact peak of live bytes) at the price
                                       of the fast paths; false: those two figures are not kept */
    size_t min_alignment;           /* alignment of every block whatever its size: 0 (the geometry's), 8 or 16 */
    size_t limit;                   /* most bytes of pools, large blocks and mappings the heap may hold; 0: no limit */
    unsigned purge_delay_ms;        /* how long free pools keep their pages while the program works, up to 4 times as
                                       long if it needs them again soon after; a quarter of it in a heap at rest while the program
                                       waits, if the preload serves it; 0: purge at once */
    unsigned keep_percent;          /* how far pages kept by free pools may raise the peak over what was ever held at a
                                       time, in percent (and 16 KiB for each); up to twice that in a heap that would
                                       purge the same pages again and again */
    cairn_fit fit;                  /* which hole serves a request above the pools' limit */
    bool no_pools;                  /* true: every request, down to 1 byte, is served from a hole */
    size_t reserve;                 /* bytes of address space made at creation, not above a `limit`: whole arenas of the
                                       geometry, or, without pools, segments. 0: none, made as needed. Once used and
                                       free again they go back like any other */
    unsigned keep_free_arenas;      /* how many wholly free arenas of each kind, and how many segments without blocks,
                                       are not given back after the purge delay (but by cairn_trim()); 0: none */
    bool prefault;                  /* true: the pages of `reserve` or of `memory` are touched at creation, so that no
                                       request waits for them */
    cairn_heap *supply;             /* a heap, not one in given memory, to share free arenas with: what this or that
                                       one would give back after the purge delay is kept, without its pages, for
                                       whichever of them needs an arena next. Counts in neither's figures until then,
                                       goes back when either is trimmed or both are gone. NULL: none */
    void *memory;                   /* memory to live in: the heap and its records take all they need from it and ask
                                       the system for nothing after creation (but statistics, for what is resident, and
                                       a thread's ninth heap). When it is full, requests fail with ENOMEM until
                                       something is freed. Requests above the geometry's small_limit are served from
                                       holes; there are no handles (ENOMEM). Contents need not be zero. It stays the
                                       caller's, must be valid until the heap is destroyed, and is then left alone.
                                       Excludes `reserve` and `supply`. NULL: the system's memory */
    size_t memory_size;             /* bytes of `memory`: room for the heap's records (some 64 KiB) and one arena of
                                       the geometry, or, without pools, a page; EINVAL if it is too small for these */
    cairn_huge huge;                /* huge pages; without effect on `memory` */
} cairn_heap_options;

#define CAIRN_PURGE_DELAY_DEFAULT_MS 200u
#define CAIRN_KEEP_PERCENT_DEFAULT 35u
#define CAIRN_KEEP_FREE_ARENAS_DEFAULT 1u
#define CAIRN_HEAP_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        sizeof(cairn_heap_options), NULL, NULL, false, false, 0, 0, CAIRN_PURGE_DELAY_DEFAULT_MS,                      \
            CAIRN_KEEP_PERCENT_DEFAULT, CAIRN_FIT_DEFAULT, false, 0, CAIRN_KEEP_FREE_ARENAS_DEFAULT, false, NULL,      \
            NULL, 0, CAIRN_HUGE_AUTO                                                                                   \
    }

/* ---------------------------------------------------------------------------------------------------------------
 * Heaps
 * ------------------------------------------------------------------------------------------------------------ */

/* Creates a heap. `options` may be NULL for a shared heap of the default geometry. The caller owns the heap and ends
 * it with cairn_heap_destroy(). Returns NULL with errno EINVAL (an option out of range) or ENOMEM. [any] */
CAIRN_API cairn_heap *cairn_heap_create(const cairn_heap_options *options) CAIRN_USE_RESULT;

/* Destroys a heap with everything in it: every block becomes invalid, every arena and mapping goes back to the
 * operating system. NULL is a no-op. The default heap cannot be destroyed (the call is reported as misuse). [quiet] */
CAIRN_API void cairn_heap_destroy(cairn_heap *heap);

/* The process's default heap: shared, default geometry, 16-byte alignment; what malloc uses under the preload and
 * what the raw domain uses. Never NULL, never destroyed. [any] */
CAIRN_API cairn_heap *cairn_heap_default(void);

/* The name given at creation ("" if none). Owned by the heap. [any] */
CAIRN_API const char *cairn_heap_name(const cairn_heap *heap);

/* Copies the geometry the heap was created with. [any] */
CAIRN_API void cairn_heap_geometry(const cairn_heap *heap, cairn_geometry *geometry);

/* ---------------------------------------------------------------------------------------------------------------
 * Requests
 * ------------------------------------------------------------------------------------------------------------ */

/* Allocates `size` bytes, aligned to the heap's alignment (to 16 for sizes of 16 and more unless the geometry says
 * 8). A size of 0 gives a distinct block of the smallest class. Contents are undefined. NULL and ENOMEM if the limit
 * or the system's memory is reached or if size exceeds PTRDIFF_MAX. [heap] */
CAIRN_API void *cairn_alloc(cairn_heap *heap, size_t size) CAIRN_ALLOC(2);

/* Like cairn_alloc() for count * size bytes, all zero; ENOMEM if the product overflows. [heap] */
CAIRN_API void *cairn_calloc(cairn_heap *heap, size_t count, size_t size) CAIRN_ALLOC(2, 3);

/* Like cairn_alloc(), aligned to `alignment`, a power of two of any size (EINVAL otherwise). [heap] */
CAIRN_API void *cairn_alloc_aligned(cairn_heap *heap, size_t alignment, size_t size) CAIRN_ALLOC(3);

/* Resizes a block: returns a block of `size` bytes with the old contents up to the smaller size; the old pointer is
 * then invalid unless it is the one returned. NULL for `block` allocates. A size of 0 resizes to the smallest block
 * and does not free. On failure returns NULL and the old block stays valid. Large blocks grow in place where they
 * can; mapped ones move by remapping pages, not by copying. [heap] */
CAIRN_API void *cairn_realloc(cairn_heap *heap, void *block, size_t size) CAIRN_USE_RESULT;

/* Frees a block of this heap; NULL is a no-op; errno is preserved; never fails. A block of another heap or a pointer
 * that is no live block is misuse. [heap] */
CAIRN_API void cairn_free(cairn_heap *heap, void *block);

/* Bytes that may be used at `block`, at least the size asked for; 0 for NULL. A pointer that is no block of any
 * Cairn heap is misuse. [any] */
CAIRN_API size_t cairn_usable_size(const void *block);

/* The heap that owns the memory at `address`, which may point anywhere, also into the middle of a block; NULL if no
 * Cairn heap owns it. Never faults, unless another thread is destroying that very heap. Does not say whether the block is
 * live. [any] */
CAIRN_API cairn_heap *cairn_heap_of(const void *address);

/* Gives back all memory that holds no live block: delivers remote frees of the calling thread, returns empty pools,
 * purges free ones and the pages of others that no live block touches, and releases empty arenas and cached mappings.
 * Returns the bytes purged or released. [heap] */
CAIRN_API size_t cairn_trim(cairn_heap *heap);

/* ---------------------------------------------------------------------------------------------------------------
 * Sight: statistics, walk, check
 * ------------------------------------------------------------------------------------------------------------ */

/* One row per size class that a pool can serve, in order of size. */
typedef struct cairn_class_stats {
    size_t block_size;       /* bytes of a block */
    size_t pool_size;        /* bytes of a pool of this class */
    size_t pools_used;       /* pools with live blocks and room for more */
    size_t pools_full;       /* pools with no room */
    size_t pools_empty;      /* pools kept for this class with no live block */
    size_t blocks_live;      /* blocks the user holds */
    size_t blocks_free;      /* blocks freed or carved and not held */
    size_t blocks_untouched; /* blocks never carved */
    uint64_t requests;       /* since the heap was created */
    uint64_t frees;
    uint64_t bytes_asked;  /* sum of the sizes asked for; only with `exact`, else 0 */
    size_t internal_bytes; /* of live blocks, not asked for, by the mean of all requests; with `exact`, else 0 */
} cairn_class_stats;

#define CAIRN_CLASSES_MAX 128

/* Statistics of one heap. Sums are exact when no thread is inside the heap; while others run, each counter is exact
 * at the moment it is read. Remote frees still on their way count as live. */
typedef struct cairn_stats {
    uint64_t requests;        /* successful allocations, of all sizes (a resize that copies counts as one) */
    uint64_t frees;           /* blocks freed */
    uint64_t requests_failed; /* requests answered with NULL */
    uint64_t bytes_asked;     /* with `exact`: sum of all sizes asked for; else 0 */
    uint64_t bytes_given;     /* with `exact`: sum of the usable sizes given for them; else 0 */
    size_t live_blocks;       /* blocks the user holds */
    size_t live_bytes;        /* their usable bytes */
    size_t live_peak;         /* with `exact`: highest live_bytes ever; else 0 */
    size_t held_bytes;        /* bytes of pools, large blocks and mappings in use (what `limit` bounds) */
    size_t held_peak;         /* highest held_bytes ever */
    size_t reserved_bytes;    /* address space: arenas and mappings, cached ones included */
    size_t resident_bytes;    /* of these, resident in memory now, as the system says */
    size_t metadata_bytes;    /* Cairn's own records of this heap */
    size_t arenas;            /* arenas held */
    size_t arenas_created;    /* ever */
    size_t arenas_released;   /* ever */
    size_t pools_used;        /* pools by state: live blocks and room */
    size_t pools_full;        /* no room */
    size_t pools_free;        /* used before, all blocks free now (in an arena or kept for a class) */
    size_t pools_untouched;   /* slots never used since they came from the system or were purged */
    size_t large_blocks;      /* live blocks cut from holes */
    size_t large_bytes;       /* their usable bytes */
    size_t segments;          /* segments held */
    size_t segment_bytes;     /* their bytes */
    size_t holes;             /* free ranges in them */
    size_t hole_bytes;        /* their bytes, touched or not */
    size_t largest_hole;      /* bytes of the largest */
    uint64_t hole_searches;   /* looks for a hole, ever */
    uint64_t holes_visited;   /* holes they looked at, ever */
    size_t huge_blocks;       /* live blocks mapped on their own */
    size_t huge_bytes;        /* their usable bytes */
    size_t cached_bytes;      /* mappings kept for reuse */
    size_t handle_blocks;     /* live blocks of handles (cairn_handle.h), not counted above */
    size_t handle_bytes;      /* their usable bytes */
    size_t handle_segments;   /* segments that hold them */
    size_t handle_held_bytes; /* their bytes; part of held_bytes */
    size_t handle_hole_bytes; /* free bytes in them */
    uint64_t purged_bytes;    /* given back by purging, ever */
    uint64_t remote_frees;    /* blocks freed by a thread that did not own their pool, ever */
    size_t owners;            /* threads that own pools of this heap now */
    size_t internal_bytes;    /* internal fragmentation of live blocks: usable bytes that were not asked for; with
                                  `exact` (by the mean request of each class), else 0 */
    size_t external_bytes;    /* resident bytes that no live block holds; cairn_heap_fragmentation() says why */
    size_t class_count;       /* rows in `classes` */
    cairn_class_stats classes[CAIRN_CLASSES_MAX];
} cairn_stats;

/* Fills *stats. [any] */
CAIRN_API void cairn_heap_stats(cairn_heap *heap, cairn_stats *stats);

#define CAIRN_OCCUPANCY_TENTHS 10
#define CAIRN_HOLE_SIZES 48

/* Holes of at least 2^i and below 2^(i+1) bytes, for row i. */
typedef struct cairn_hole_size {
    size_t count;
    size_t bytes;
} cairn_hole_size;

/* What keeps a heap from being as small as its live blocks; docs/design/fragmentation.md defines each figure. Every
 * resident byte is counted once: resident_bytes is live_resident and external_bytes, and external_bytes is the sum of
 * the eight causes. A byte is resident if its page is; the resident bytes of a pool's carved blocks are shared out
 * between live and free ones by their number. */
typedef struct cairn_fragmentation {
    size_t live_bytes;     /* usable bytes of live blocks, without those of handles */
    size_t internal_bytes; /* of these, not asked for; with `exact`, else 0 (cairn_stats has the classes' parts) */
    size_t huge_rounding;  /* the part of it in huge blocks, known also without `exact` */
    size_t resident_bytes; /* of arenas, segments and mappings, resident in memory now */
    size_t live_resident;  /* of these, in live blocks, those of handles included */
    size_t external_bytes; /* the others, by cause: */
    size_t free_blocks_resident;  /* free blocks in pools that have live ones */
    size_t tails_resident;        /* what such a pool has before its first block and behind its last */
    size_t untouched_resident;    /* blocks never carved, pools never used since they last came from the system */
    size_t free_pools_resident;   /* pools without live blocks */
    size_t holes_resident;        /* holes of segments */
    size_t handle_holes_resident; /* holes between blocks of handles: what cairn_heap_compact() is for */
    size_t headers_resident;      /* what the heap writes beside large blocks and blocks of handles */
    size_t cached_resident;       /* mappings kept for reuse */
    size_t hole_bytes;            /* holes of segments, resident or not */
    size_t largest_hole;          /* bytes of the largest */
    size_t largest_request;       /* bytes of the largest request that would succeed now without memory from the system,
                                     by a hole, a free block or pool, or a cached mapping; in a shared heap, for the
                                     thread that owns it; 0: none */
    double internal_ratio;        /* internal_bytes / live_bytes; each ratio is 0 of nothing */
    double external_ratio;        /* external_bytes / resident_bytes */
    double hole_ratio;            /* 1 - largest_hole / hole_bytes; 0: the free memory of segments is in one piece */
    size_t pool_occupancy[CAIRN_OCCUPANCY_TENTHS]; /* pools with live blocks: row i counts those of which more than i
                                                      and at most i + 1 tenths of the blocks are live */
    cairn_hole_size holes[CAIRN_HOLE_SIZES];       /* holes of segments by size */
} cairn_fragmentation;

/* Fills *fragmentation by one walk over the heap's records, under its lock; threads that allocate and free meanwhile
 * blur the split, but never the sums. Costs a question to the system for each arena and for each 4 MiB of segments.
 * Returns 0, or EINVAL if an argument is NULL. [any] */
CAIRN_API int cairn_heap_fragmentation(cairn_heap *heap, cairn_fragmentation *fragmentation);

/* Writes the statistics of a heap with its fragmentation as text for people, or as one JSON object. Returns 0 or an
 * errno value. [any] */
CAIRN_API int cairn_heap_print_stats(cairn_heap *heap, FILE *out);
CAIRN_API int cairn_heap_print_stats_json(cairn_heap *heap, FILE *out);

/* What the walk shows. */
typedef enum cairn_area_kind {
    CAIRN_AREA_ARENA,          /* a whole arena */
    CAIRN_AREA_POOL,           /* a pool of `block_size` blocks; state in `pool_state` */
    CAIRN_AREA_BLOCK,          /* a live block */
    CAIRN_AREA_SEGMENT,        /* a whole segment: memory that holds large blocks and holes */
    CAIRN_AREA_LARGE,          /* a live block cut from a hole */
    CAIRN_AREA_HOLE,           /* a free range of a segment */
    CAIRN_AREA_HUGE,           /* a live block mapped on its own */
    CAIRN_AREA_HANDLE_SEGMENT, /* a whole segment of blocks that handles lead to */
    CAIRN_AREA_HANDLE_BLOCK,   /* a live block that a handle leads to */
    CAIRN_AREA_HANDLE_HOLE     /* a free range of such a segment */
} cairn_area_kind;

typedef enum cairn_pool_state {
    CAIRN_POOL_UNTOUCHED,
    CAIRN_POOL_FREE,
    CAIRN_POOL_USED,
    CAIRN_POOL_FULL
} cairn_pool_state;

typedef struct cairn_area {
    cairn_area_kind kind;
    cairn_pool_state pool_state; /* for CAIRN_AREA_POOL */
    void *address;
    size_t size;        /* bytes; usable bytes for blocks */
    size_t block_size;  /* for pools of a class, else 0 */
    size_t blocks_live; /* for pools */
} cairn_area;

/* Return false to end the walk. The visitor must not call into the heap. */
typedef bool (*cairn_visitor)(const cairn_area *area, void *context);

/* Visits arenas in order of address, in each its pools, in each (if `blocks`) its live blocks; then segments in order
 * of address, in each its large blocks and holes; then huge blocks; then segments of handles, in no order, in each its
 * blocks and holes.
 * Returns false if the visitor ended it. Blocks on their way to their owner (remote frees) count as live. [quiet] */
CAIRN_API bool cairn_heap_walk(cairn_heap *heap, bool blocks, cairn_visitor visitor, void *context);

/* Checks every structure of the heap: counters recomputed from both sides, lists, bitmaps, free blocks, look-ups.
 * Returns 0, or the number of faults found, each written to `out` as a line if it is not NULL. [quiet] */
CAIRN_API size_t cairn_heap_check(cairn_heap *heap, FILE *out);

/* Writes what the heap's user still holds: blocks and bytes, by size class, and by call site for an exact heap of a process
 * that runs under `cairn run --leaks`; as text for people, or as one JSON object on a line. Blocks of handles included.
 * Returns 0 or an errno value. [quiet] */
CAIRN_API int cairn_heap_print_leaks(cairn_heap *heap, FILE *out);
CAIRN_API int cairn_heap_print_leaks_json(cairn_heap *heap, FILE *out);

/* What a destruction found and gave back. The last figure is the difference of the process's counters of mapped bytes: it
 * is exact if no other thread uses any heap meanwhile. */
typedef struct cairn_teardown {
    size_t live_blocks;    /* still allocated */
    size_t live_bytes;     /* their usable bytes */
    size_t mapped_bytes;   /* what the heap had mapped, by its own records: arenas, segments, mappings, metadata */
    size_t returned_bytes; /* what the system took back meanwhile */
} cairn_teardown;

/* cairn_heap_destroy() with an account: writes the report of cairn_heap_print_leaks() to `out` if blocks are live and
 * `out` is not NULL, destroys the heap, and fills *teardown if that is not NULL. Returns 0 if all that was mapped went
 * back; EBUSY if mapped_bytes and returned_bytes differ; EINVAL for NULL and the default heap, which stay; or the
 * stream's errno value (the heap is destroyed nevertheless). [quiet] */
CAIRN_API int cairn_heap_destroy_checked(cairn_heap *heap, FILE *out, cairn_teardown *teardown);

/* Calls `visitor` for every live heap, the default heap first; false from the visitor ends it. The visitor may allocate
 * and may ask the heap for its figures; a heap must not be destroyed by another thread while it is visited. [any] */
CAIRN_API bool cairn_heaps_visit(bool (*visitor)(cairn_heap *heap, void *context), void *context);

/* ---------------------------------------------------------------------------------------------------------------
 * Misuse
 *
 * Seen always: addresses that Cairn never gave out, blocks of another heap, a second free of the newest free block, of
 * a block whose pool has none in use, of large and huge blocks; pointers into blocks that are large, huge, of another
 * thread, in a full pool, resized or asked for their size. Seen with `exact` and in debug builds only, because it would
 * slow every free: a pointer into a small block of a pool in use. Not seen: a second free of an older block.
 *
 * A single heap sees the second free of the newest free block later (with `exact`, in debug builds and in a realloc at
 * once): when the block is next served, which goes to that request alone, or when the count of its pool's blocks in use comes
 * to zero by it. What was free in the pool before the block counts as in use then. Until then cairn_heap_check() names
 * the fault. Not seen: if the pool's other blocks are freed before that, so that it goes back.
 * ------------------------------------------------------------------------------------------------------------ */

typedef enum cairn_misuse_kind {
    CAIRN_MISUSE_FOREIGN,     /* not an address any Cairn heap gave */
    CAIRN_MISUSE_DOUBLE_FREE, /* the block is free already */
    CAIRN_MISUSE_INTERIOR,    /* points into a block, not at its start */
    CAIRN_MISUSE_WRONG_HEAP,  /* a live block of another heap */
    CAIRN_MISUSE_OVERRUN, /* the block's header was overwritten, by writing in front of it or beyond the one before */
    CAIRN_MISUSE_HEAP,    /* a call that the heap does not allow (destroying the default heap) */
    CAIRN_MISUSE_HANDLE,  /* a handle that was freed, or is none of this heap; `address` holds its number */
    CAIRN_MISUSE_PIN      /* an unpin without a pin, or a pin on a block that is freed or whose heap is destroyed */
} cairn_misuse_kind;

typedef struct cairn_misuse {
    cairn_misuse_kind kind;
    const char *call;     /* "free", "realloc", "usable_size", "destroy" */
    const void *address;  /* the pointer given */
    cairn_heap *heap;     /* the heap that owns the address, or NULL */
    cairn_heap *expected; /* the heap the call named, or NULL */
    const void *block;    /* start of the block the address lies in, or NULL */
    size_t block_size;    /* its usable size, or 0 */
    const char *text;     /* the whole report as one line */
} cairn_misuse;

/* Called on misuse, on the thread that misused. If it returns, the call that misused is a no-op (a realloc returns
 * NULL, a usable size is 0); what a single heap sees late is reported as a "free" during a request, which is served. The
 * default handler writes the line to stderr and aborts, or returns when the environment says CAIRN_MISUSE=report. NULL
 * restores the default. Returns the previous handler. [any] */
typedef void (*cairn_misuse_handler)(const cairn_misuse *misuse);
CAIRN_API cairn_misuse_handler cairn_set_misuse_handler(cairn_misuse_handler handler);

/* ---------------------------------------------------------------------------------------------------------------
 * The three domains
 * ------------------------------------------------------------------------------------------------------------ */

/* CPython's allocator domains (PEP 445; docs.python.org/3/c-api/memory.html). RAW may be called by any thread
 * without a lock; MEM and OBJECT by any thread that holds the program's lock if it has one. Cairn's own allocators
 * behind all three are thread-safe, so a program without such a lock may use them too. */
typedef enum cairn_domain { CAIRN_DOMAIN_RAW, CAIRN_DOMAIN_MEM, CAIRN_DOMAIN_OBJECT } cairn_domain;

/* The functions of a domain, in the layout of CPython's PyMemAllocatorEx. Contract: malloc(0) and calloc with a zero
 * give distinct non-NULL blocks; realloc(NULL, n) allocates; realloc(p, 0) does not free; failure returns NULL and
 * leaves the old block valid; free(NULL) is a no-op. */
typedef struct cairn_allocator {
    void *context; /* first argument of each function */
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
} cairn_allocator;

/* Copies a domain's allocator. Returns 0, or EINVAL for an unknown domain. [any] */
CAIRN_API int cairn_get_allocator(cairn_domain domain, cairn_allocator *allocator);

/* Replaces a domain's allocator (copied). The new one must wrap the old one or be set before the domain's first
 * request, as for PyMem_SetAllocator. Returns 0, or EINVAL (unknown domain, a missing function). [quiet] */
CAIRN_API int cairn_set_allocator(cairn_domain domain, const cairn_allocator *allocator);

/* Fills *allocator with functions that serve from `heap` (its thread rules apply). [any] */
CAIRN_API void cairn_heap_allocator(cairn_heap *heap, cairn_allocator *allocator);

/* Requests in a domain; NULL on failure; sizes above PTRDIFF_MAX and products that overflow fail. [any] */
CAIRN_API void *cairn_domain_malloc(cairn_domain domain, size_t size) CAIRN_USE_RESULT;
CAIRN_API void *cairn_domain_calloc(cairn_domain domain, size_t count, size_t size) CAIRN_USE_RESULT;
CAIRN_API void *cairn_domain_realloc(cairn_domain domain, void *block, size_t size) CAIRN_USE_RESULT;
CAIRN_API void cairn_domain_free(cairn_domain domain, void *block);

/* The library's version, "major.minor.patch". [any] */
CAIRN_API const char *cairn_version(void);

#ifdef __cplusplus
}
#endif

#endif /* CAIRN_H */
