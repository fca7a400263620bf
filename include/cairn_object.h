/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* cairn_object.h: objects with reference counts, types, weak references, a generational collector of cycles and a
 * global lock: what a language runtime in C stands on.
 *
 * Words. An *object* is a block that starts with a cairn_object: its count and its type. A *reference* is a pointer to
 * an object that is counted in it. A *container* is an object whose type can hold references; only containers are
 * *tracked* by the *collector*, which finds those that only references among themselves keep alive. An *atom* is an
 * object of any other type. An object *dies* when its count reaches zero or the collector takes it: it is finalized,
 * its weak references are cleared, it lets go of what it refers to, and its memory is free. A *runtime* owns objects:
 * one heap, one collector, one *GIL* (global lock). Runtimes are independent; a reference from an object of one runtime
 * to an object of another must not be made.
 *
 * Ownership. A function that returns an object returns a new reference, which the caller gives up with cairn_decref(),
 * unless it says *borrowed*. A function keeps what it is given only if it says so, and then counts a reference of its
 * own.
 *
 * When may other code run? Finalizers, callbacks of weak references and of the collector may run inside
 *   - cairn_decref(), cairn_clear(), cairn_set() and whatever else gives a reference up;
 *   - cairn_object_new() and cairn_object_alloc() of a container (a collection may start there), unless the option
 *     `collect_at_poll` restricts that to cairn_runtime_poll();
 *   - cairn_runtime_poll(), cairn_runtime_sweep(), cairn_collect() and the end of the runtime; and, for other threads'
 *     code, wherever the GIL is given up: cairn_gil_release(), cairn_runtime_poll().
 * At these points every object in use must be counted for by its user, and every tracked container must be fit to be
 * traversed. A collection that starts at an allocation runs before the new object exists.
 *
 * Thread rules. [gil]: the calling thread holds the GIL of the runtime concerned. [any], [quiet]: as in cairn.h.
 * Debug builds of the library check [gil], and programs compiled with CAIRN_OBJECT_CHECKS defined to 1 also check every
 * inline count. Errors: functions that return a pointer return NULL and set errno; functions that return int return 0
 * or a positive errno value; unless they say otherwise. cairn_runtime_error() has the last one's text. */

#ifndef CAIRN_OBJECT_H
#define CAIRN_OBJECT_H

#include "cairn.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define CAIRN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define CAIRN_UNLIKELY(condition) (condition)
#endif

#ifndef CAIRN_OBJECT_CHECKS
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
#define CAIRN_OBJECT_CHECKS 1
#else
#define CAIRN_OBJECT_CHECKS 0
#endif
#endif

/* A runtime. Opaque; made by cairn_runtime_create(). */
typedef struct cairn_runtime cairn_runtime;

typedef struct cairn_type cairn_type;

/* What every object starts with. Its address is its identity for life. */
typedef struct cairn_object {
    int64_t count;          /* references; 0 and below: dead, or being finalized */
    const cairn_type *type; /* constant for life */
} cairn_object;

/* The count an immortal object starts with: no program makes or drops so many references. */
#define CAIRN_IMMORTAL (INT64_C(1) << 60)

/* The header of an immortal object in static storage, as `static struct point origin = {CAIRN_OBJECT_STATIC(&point)};`.
 * The collector does not look into it: what it refers to must be kept alive otherwise. */
#define CAIRN_OBJECT_STATIC(type_address)                                                                              \
    {                                                                                                                  \
        CAIRN_IMMORTAL, (type_address)                                                                                 \
    }

/* ---------------------------------------------------------------------------------------------------------------
 * Types
 * ------------------------------------------------------------------------------------------------------------ */

/* Called by a traverse function for each reference an object holds. */
typedef void (*cairn_visit)(cairn_object *object, void *arg);

/* Inside a traverse function with parameters `visit` and `arg`: visits a member unless it is NULL. */
#define CAIRN_VISIT(member)                                                                                            \
    do {                                                                                                               \
        cairn_object *cairn_visited_ = (cairn_object *)(void *)(member);                                               \
        if (cairn_visited_) {                                                                                          \
            visit(cairn_visited_, arg);                                                                                \
        }                                                                                                              \
    } while (0)

enum {
    CAIRN_TYPE_UNTRACKED = 1, /* cairn_object_new() does not track: the user does, with cairn_object_track(), once the
                                 object is fit to be traversed or first holds a container */
    CAIRN_TYPE_NO_ZERO = 2,   /* cairn_object_new() leaves the bytes behind the header undefined; with `traverse` or
                                 references this wants CAIRN_TYPE_UNTRACKED, too */
    CAIRN_TYPE_ROW_INSIDE = 4 /* the row lies in the object itself, see row_offset */
};

/* A type: a descriptor that the user fills in, static and constant, or made at run time. It must stay valid and
 * unchanged as long as an object of it lives. Members that are not needed are NULL or 0.
 *
 * The references an object holds are `reference_count` members of type cairn_object *, one after the other, from
 * `reference_offset` on, which Cairn traverses, clears and drops by itself, and those that `traverse` visits. A type
 * that has either is a type of containers. */
struct cairn_type {
    size_t struct_size;        /* sizeof(cairn_type), so that the struct can grow */
    const char *name;          /* shown in messages and reports */
    size_t size;               /* bytes of an object without items, header included; at least sizeof(cairn_object) */
    size_t item_size;          /* bytes of an item; 0: objects of this type have none */
    unsigned flags;            /* CAIRN_TYPE_... */
    uint32_t reference_offset; /* a multiple of sizeof(void *) */
    uint32_t reference_count;
    uint32_t weak_offset; /* where the object has a member `cairn_weak *weak_list`, NULL at birth and then Cairn's own;
                                0: objects of this type have no weak references */
    uint32_t free_list_most; /* how many dead objects of this type and of the size of their first 16 item counts (0 to
                                15) are kept for reuse, each; bounded by the runtime's cache_limit; 0: none */

    /* Calls visit(reference, arg) for each reference the object holds, once for each time it counts in the other's
     * count. To leave references out is safe (cycles through them are never collected); to visit one too often is an
     * error that is reported. Must not allocate, change counts or call Cairn otherwise. */
    void (*traverse)(cairn_object *self, cairn_visit visit, void *arg);

    /* Gives up the references that can be part of a cycle: sets the members to NULL and drops the references, as
     * cairn_clear() does. The object stays usable by its own functions. NULL: references that `traverse` visits are not
     * given up to break cycles. Called by the collector, and at death if `dealloc` is NULL. */
    void (*clear)(cairn_object *self);

    /* Called when the object is about to die, with everything as it was in life, count 1. May do anything: what it adds
     * a lasting reference to lives on ("resurrection"). At most once in the life of a container; for atoms, at every
     * death. */
    void (*finalize)(cairn_object *self);

    /* A finalizer of the old kind: called at each death by count, after weak references were cleared; may resurrect.
     * The collector does not free cycles that have an object with one: they go to the garbage list. */
    void (*finalize_legacy)(cairn_object *self);

    /* Called once at the very end of an object that dies: drops all references it still holds and frees what else it
     * owns. Must not free the object itself nor let a reference to it escape. NULL: Cairn clears the object. */
    void (*dealloc)(cairn_object *self);

    /* Called last, for types that keep their dead objects for reuse by themselves: returns true if it keeps the block
     * (which is then no object until cairn_object_reuse() makes one of it, or cairn_object_free_block() frees it), and
     * may use its bytes meanwhile, but for the header's `type`. */
    bool (*keep)(cairn_runtime *runtime, cairn_object *dead);

    /* Called by a collection for a tracked object that survives: true if it holds nothing that can be part of a cycle,
     * so that the collector need not look at it any more. NULL: never. */
    bool (*untrack)(cairn_object *self);

    /* Writes a description as snprintf() does: at most `size` bytes with the final 0; returns the length that the whole
     * text has. NULL: "<NAME at ADDRESS>". Must not change counts. */
    size_t (*repr)(cairn_object *self, char *text, size_t size);

    /* Value semantics for tables, weak references and the built-in kinds: equal objects have equal hashes. `hash`
     * writes *hash and returns true, or returns false if the object cannot be hashed. NULL: by identity. */
    bool (*hash)(cairn_object *self, uint64_t *hash);
    bool (*equal)(cairn_object *a, cairn_object *b);

    const void *user; /* the user's own */

    /* A row of references of any length: all that `traverse` visits is a row, whose members may be NULL. Where the
     * object has a member `cairn_object **`, its start, or with CAIRN_TYPE_ROW_INSIDE where in the object it begins;
     * and where it has a member `size_t`, its length. The collector then reads the row itself and makes no call. The
     * type has `traverse` all the same. Length at 0: there is none. */
    uint32_t row_offset;
    uint32_t row_length_offset;

    /* What `traverse` does, in parts, for objects that may hold very many references: visits some thousand from
     * position `from` on (0: the first; what positions mean is the type's own), and returns the position to go on from,
     * or 0 when that was all. Bounded mode lets the program change the object between two calls: positions that do not
     * exist any more return 0. NULL: `traverse` alone. Not needed for a row. */
    size_t (*traverse_part)(cairn_object *self, size_t from, cairn_visit visit, void *arg);
};

/* Can objects of this type hold references? [any] */
static inline bool cairn_type_is_container(const cairn_type *type)
{
    return type->traverse || type->reference_count;
}

/* Says what is wrong with a type: NULL if nothing, otherwise a static sentence. The functions that make objects check
 * only in debug builds. [any] */
CAIRN_API const char *cairn_type_error(const cairn_type *type);

/* ---------------------------------------------------------------------------------------------------------------
 * References
 * ------------------------------------------------------------------------------------------------------------ */

/* What happens to an object whose count has reached zero; for cairn_decref() alone. [gil] */
CAIRN_API void cairn_object_dealloc(cairn_object *object);

/* Reports a fault (see cairn_object_fault) if the object is dead or no object, or if its runtime's GIL is not held by
 * the calling thread; `call` is shown in the message. True if all is well. Always built; called by the inline
 * functions below if CAIRN_OBJECT_CHECKS is 1. [any] */
CAIRN_API bool cairn_object_check(const cairn_object *object, const char *call);

/* Counts a reference more; returns the object. [gil] */
static inline cairn_object *cairn_incref(cairn_object *object)
{
#if CAIRN_OBJECT_CHECKS
    if (!cairn_object_check(object, "incref")) {
        return object;
    }
#endif
    object->count++;
    return object;
}

/* Gives a reference up; the object dies if it was the last one. [gil] */
static inline void cairn_decref(cairn_object *object)
{
#if CAIRN_OBJECT_CHECKS
    if (!cairn_object_check(object, "decref")) {
        return;
    }
#endif
    if (--object->count == 0) {
        cairn_object_dealloc(object);
    }
}

/* The same, for NULL too. [gil] */
static inline cairn_object *cairn_xincref(cairn_object *object)
{
    return object ? cairn_incref(object) : NULL;
}

static inline void cairn_xdecref(cairn_object *object)
{
    if (object) {
        cairn_decref(object);
    }
}

/* Sets *place to NULL, then gives up the reference that was there, if any: whatever its death leads to finds NULL.
 * [gil] */
static inline void cairn_clear(cairn_object **place)
{
    cairn_object *old = *place;
    if (old) {
        *place = NULL;
        cairn_decref(old);
    }
}

/* Stores a reference of its own to `value` (may be NULL) in *place, then gives up what was there, if any. [gil] */
static inline void cairn_set(cairn_object **place, cairn_object *value)
{
    cairn_object *old = *place;
    *place = cairn_xincref(value);
    cairn_xdecref(old);
}

/* Like cairn_set(), but takes the caller's reference to `value` over. [gil] */
static inline void cairn_set_steal(cairn_object **place, cairn_object *value)
{
    cairn_object *old = *place;
    *place = value;
    cairn_xdecref(old);
}

static inline int64_t cairn_count(const cairn_object *object)
{
    return object->count;
}

static inline bool cairn_is_immortal(const cairn_object *object)
{
    return object->count >= CAIRN_IMMORTAL / 2;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Runtimes
 * ------------------------------------------------------------------------------------------------------------ */

/* Options of a runtime. Start from CAIRN_RUNTIME_OPTIONS_INIT and set what you need. */
typedef struct cairn_runtime_options {
    size_t struct_size; /* sizeof(cairn_runtime_options) */
    const cairn_heap_options
        *heap;                   /* of the heap that holds the objects; NULL: the defaults. `single` is understood: the
                                       lock of the heap is the GIL. Without a geometry size classes are 8 bytes apart
                                       up to 512, see below for what is aligned how */
    bool deferred;               /* false: an object dies when its count reaches zero. true: it is queued then, and
                                       dies in a sweep */
    unsigned sweep_most;         /* deferred: most objects that die in one sweep */
    bool collect_at_poll;        /* true: automatic collections run in cairn_runtime_poll() only; false: also before
                                       the allocation of a container */
    unsigned thresholds[3];      /* see cairn_collector_set_threshold() */
    unsigned step_us;            /* 0: a collection of the oldest generation runs to its end. Else bounded mode: it is
                                       done in steps of at most so many microseconds; see cairn_collector_step() */
    unsigned switch_interval_us; /* how long a thread may keep the GIL while another one waits */
    size_t cache_limit;          /* most bytes that dead objects kept for reuse may take, all kinds together */
    bool gil_optional;           /* true: the runtime is used by one thread only, or under a lock of the user's; there
                                       is no GIL and nothing checks for it */
    bool hostile;                /* true: to find mistakes in the counts and traverse functions of types. A collection
                                       of all generations runs wherever an automatic one may: before each container but
                                       the first is made (with `collect_at_poll`, at each poll after one was made), as
                                       long as the collector is enabled; in bounded mode one of generation 1 and a
                                       step. Set for all runtimes of a process whose environment has
                                       CAIRN_OBJECT_HOSTILE=1 */
} cairn_runtime_options;

#define CAIRN_SWEEP_MOST_DEFAULT 1000u
#define CAIRN_SWITCH_INTERVAL_DEFAULT_US 5000u
#define CAIRN_CACHE_LIMIT_DEFAULT ((size_t)1 << 20)
#define CAIRN_STEP_DEFAULT_US 1000u
#define CAIRN_RUNTIME_OPTIONS_INIT                                                                                     \
    {                                                                                                                  \
        sizeof(cairn_runtime_options), NULL, false, CAIRN_SWEEP_MOST_DEFAULT, false, {2000, 10, 10}, 0,                \
            CAIRN_SWITCH_INTERVAL_DEFAULT_US, CAIRN_CACHE_LIMIT_DEFAULT, false, false                                  \
    }

/* Creates a runtime; the calling thread holds its GIL on return. `options` may be NULL. The caller ends it with
 * cairn_runtime_destroy(). Returns NULL with errno EINVAL (an option out of range) or ENOMEM. [any] */
CAIRN_API cairn_runtime *cairn_runtime_create(const cairn_runtime_options *options) CAIRN_USE_RESULT;

/* What the end of a runtime found. */
typedef struct cairn_runtime_end {
    size_t collected;      /* objects that the last collections freed */
    size_t kept_objects;   /* objects alive after them: what the user still holds references to */
    size_t kept_bytes;     /* their usable bytes */
    size_t kept_blocks;    /* live blocks of cairn_runtime_alloc() */
    size_t garbage;        /* objects in the garbage list */
    size_t pools;          /* pools given back */
    size_t arenas;         /* arenas given back */
    size_t mapped_bytes;   /* as in cairn_teardown */
    size_t returned_bytes; /* as in cairn_teardown */
} cairn_runtime_end;

/* Ends a runtime:
 *   1. what cairn_finalizer_add() was given for the end is called, newest first, also what is added meanwhile; what is
 *      queued for reclamation dies, full collections run until they find nothing; what is in the garbage list then is
 *      told to cairn_unraisable() (not with CAIRN_COLLECTOR_SAVEALL), one by one with CAIRN_COLLECTOR_UNCOLLECTABLE;
 *   2. each object still alive is finalized (containers in order of address, those finalized before not again; then
 *      atoms in order of address), its weak references being alive meanwhile; containers made meanwhile, too; and what
 *      cairn_finalizer_add() was given meanwhile for the end is called;
 *   3. what steps 1 and 2 let go of dies in the usual way; then all weak references to objects still alive are cleared,
 *      without callbacks;
 *   4. if `out` is not NULL, a report of the objects still alive is written to it, by type, and their addresses; and of
 *      how many blocks of cairn_runtime_alloc() are;
 *   5. every pool and arena goes back to the system.
 * Objects still alive after step 3 are not deallocated (their `dealloc` does not run): their references are invalid
 * afterwards. *end, if not NULL, is filled. Returns 0 if all memory went back, EBUSY if not, which is known for certain
 * if no other thread uses any heap meanwhile, see cairn_teardown; NULL: EINVAL. The calling thread holds the GIL, and no
 * other thread may use or wait for the runtime from now on. [quiet] */
CAIRN_API int cairn_runtime_destroy_checked(cairn_runtime *runtime, FILE *out, cairn_runtime_end *end);

/* The same without a report; NULL is a no-op. [quiet] */
CAIRN_API void cairn_runtime_destroy(cairn_runtime *runtime);

/* The text of the last error that a function of this runtime returned, "" if none; owned by the runtime, valid until
 * the next error. [gil] */
CAIRN_API const char *cairn_runtime_error(const cairn_runtime *runtime);

/* The heap that holds the runtime's objects: for its statistics, walk and check. Nothing may be allocated from it,
 * freed to it, and it must not be destroyed. [any] */
CAIRN_API cairn_heap *cairn_runtime_heap(cairn_runtime *runtime);

/* The runtime an object lives in; NULL for an immortal in static storage. [any] */
CAIRN_API cairn_runtime *cairn_object_runtime(const cairn_object *object);

/* A pointer of the user's, NULL at first. [gil] */
CAIRN_API void cairn_runtime_set_user(cairn_runtime *runtime, void *user);
CAIRN_API void *cairn_runtime_user(const cairn_runtime *runtime);

/* The safe point: runs a collection that is due, a step of one in bounded mode, a sweep in deferred mode, and lets a
 * thread that has waited long enough have the GIL. Costs a load if nothing is due: call it often, such as once a
 * loop. [gil] */
CAIRN_API void cairn_runtime_poll_slow(cairn_runtime *runtime);

/* A runtime starts with the flag that there is something to do. */
static inline void cairn_runtime_poll(cairn_runtime *runtime)
{
    if (CAIRN_UNLIKELY(__atomic_load_n((const uint32_t *)(const void *)runtime, __ATOMIC_RELAXED))) {
        cairn_runtime_poll_slow(runtime);
    }
}

/* Deferred mode: lets at most `most` (0: the option sweep_most) queued objects die, each with what dies of it (which is
 * queued in its turn, not counted at once). Returns how many are still queued. [gil] */
CAIRN_API size_t cairn_runtime_sweep(cairn_runtime *runtime, size_t most);

/* Switches between immediate and deferred reclamation; what is queued when deferral ends dies at once. [gil] */
CAIRN_API void cairn_runtime_set_deferred(cairn_runtime *runtime, bool deferred);

/* Frees what is kept for reuse, and gives back all memory that holds no live block. Returns the bytes purged or
 * released. [gil] */
CAIRN_API size_t cairn_object_trim(cairn_runtime *runtime);

/* ---------------------------------------------------------------------------------------------------------------
 * Making objects, and memory for their parts
 * ------------------------------------------------------------------------------------------------------------ */

/* Alignment of objects and of memory for their parts: as C wants it of their sizes. What has a size that is a multiple of
 * 16 lies at a multiple of 16, everything else at a multiple of 8; with a geometry or `min_alignment` of 16 everything
 * lies at multiples of 16. */

/* A new object with count 1 and room for `items` items (0 unless the type has an item_size) behind its `size` bytes,
 * all zero behind the header; tracked if it is a container (but see the type's flags). NULL and ENOMEM if the heap's
 * limit or the system's memory is reached, after what is kept for reuse was freed; and for a container also after what
 * is queued has died, and, while the collector is enabled, a full collection. [gil] */
CAIRN_API cairn_object *cairn_object_new(cairn_runtime *runtime, const cairn_type *type, size_t items) CAIRN_USE_RESULT;

/* The same with contents behind the header undefined, and not tracked: for types that set every member themselves. The
 * weak list (weak_offset) is set to NULL. [gil] */
CAIRN_API cairn_object *cairn_object_alloc(cairn_runtime *runtime, const cairn_type *type,
                                           size_t items) CAIRN_USE_RESULT;

/* Makes a new object, count 1, not tracked, contents as they are, of a block that the type's `keep` kept; the block
 * must have been made for this type and at least this size. Counts as an allocation for the collector, and like one
 * may start a collection before: so the block must be off the user's free list. Never fails. [gil] */
CAIRN_API cairn_object *cairn_object_reuse(cairn_runtime *runtime, const cairn_type *type, cairn_object *kept);

/* Frees a block that `keep` kept. [gil] */
CAIRN_API void cairn_object_free_block(cairn_runtime *runtime, const cairn_type *type, cairn_object *kept);

/* Bytes that the object's block has. [gil] */
CAIRN_API size_t cairn_object_usable_size(const cairn_object *object);

/* Makes an object immortal: it never dies by its count, and the collector takes it as alive. At the end of the runtime
 * it is finalized like others, and not reported as kept. [gil] */
CAIRN_API void cairn_object_make_immortal(cairn_object *object);

/* Memory from the runtime's heap for parts of objects (tables, buffers), not objects. Contracts as cairn_alloc(),
 * cairn_realloc(), cairn_free() and so on; on shortage what is kept for reuse is freed first, and no collection runs.
 * [gil] */
CAIRN_API void *cairn_runtime_alloc(cairn_runtime *runtime, size_t size) CAIRN_ALLOC(2);
CAIRN_API void *cairn_runtime_calloc(cairn_runtime *runtime, size_t count, size_t size) CAIRN_ALLOC(2, 3);
CAIRN_API void *cairn_runtime_realloc(cairn_runtime *runtime, void *block, size_t size) CAIRN_USE_RESULT;
CAIRN_API void cairn_runtime_free(cairn_runtime *runtime, void *block);

/* Writes a description of an object as snprintf() does; NULL is "NULL". Never calls other code than the type's repr.
 * [gil] */
CAIRN_API size_t cairn_object_repr(cairn_object *object, char *text, size_t size);

/* By the types' functions, or by identity. What is identical is equal; else a's type's `equal` is asked, and if that
 * says no, or there is none, b's with b first, unless it is the same function: so either type may know the other.
 * cairn_object_hash() returns 0, or EINVAL for an object that cannot be hashed. [gil] */
CAIRN_API int cairn_object_hash(cairn_object *object, uint64_t *hash);
CAIRN_API bool cairn_object_equal(cairn_object *a, cairn_object *b);

/* A store of dead objects or parts kept for reuse, with its own figures. The struct is its maker's, who counts in it;
 * it must stay valid until the runtime's end or cairn_cache_remove(). */
typedef struct cairn_cache {
    const char *name;                         /* such as the name of the kind */
    size_t count;                             /* what is kept now */
    size_t bytes;                             /* its usable bytes */
    size_t limit;                             /* most bytes to keep */
    uint64_t hits;                            /* requests served from it, ever */
    uint64_t misses;                          /* requests it could have served but was empty */
    void (*empty)(struct cairn_cache *cache); /* frees all of it; calls no other code */
    void *user;                               /* the maker's own */
    cairn_runtime *runtime;                   /* the rest is the runtime's */
    struct cairn_cache *next;
} cairn_cache;

/* Makes a cache known to its runtime, for its statistics, and for emptying: by cairn_object_trim(), by a full
 * collection, and when memory is short. [gil] */
CAIRN_API void cairn_cache_add(cairn_runtime *runtime, cairn_cache *cache);
CAIRN_API void cairn_cache_remove(cairn_cache *cache); /* after it was emptied */

/* May `bytes` more be kept in it, by its own limit and by the runtime's? Then it counts one more piece. [gil] */
CAIRN_API bool cairn_cache_put(cairn_cache *cache, size_t bytes);

/* One piece of `bytes` less, given out again (`hit`) or freed. [gil] */
CAIRN_API void cairn_cache_take(cairn_cache *cache, size_t bytes, bool hit);

/* Statistics of a runtime, but for its collector's. */
typedef struct cairn_runtime_stats {
    uint64_t objects_made;     /* ever; those made of kept blocks included */
    uint64_t objects_died;     /* ever */
    size_t containers_tracked; /* now */
    size_t queued;             /* dead and not yet swept, now */
    uint64_t resurrected;      /* objects that a finalizer brought back, ever */
    size_t cached_bytes;       /* kept for reuse, all caches */
    size_t cached_peak;        /* its highest value ever */
    size_t side_bytes;         /* records of the collector beside the pools */
    uint64_t gil_switches;     /* times the GIL passed to another thread */
    uint64_t gil_forced;       /* of these, after a request to the holder */
} cairn_runtime_stats;

CAIRN_API void cairn_runtime_get_stats(const cairn_runtime *runtime, cairn_runtime_stats *stats); /* [gil] */

/* Calls `visitor` for each cache; false ends it. [gil] */
CAIRN_API bool cairn_runtime_visit_caches(cairn_runtime *runtime, bool (*visitor)(const cairn_cache *cache, void *arg),
                                          void *arg);

/* Writes the runtime's statistics, its collector's and its caches', as text for people, or as one JSON object. Returns
 * 0 or an errno value. [gil] */
CAIRN_API int cairn_runtime_print_stats(cairn_runtime *runtime, FILE *out);
CAIRN_API int cairn_runtime_print_stats_json(cairn_runtime *runtime, FILE *out);

/* Visits every live object: containers in order of address, tracked or not, then atoms in order of address. The visitor
 * must not call Cairn but to read. Returns false if the visitor ended it. [gil] */
CAIRN_API bool cairn_runtime_visit_objects(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg),
                                           void *arg);

/* Messages that have no caller to go to: from finalizers and callbacks, which report with cairn_unraisable(), and from
 * the collector at the end of the runtime. The default writes a line to stderr. [gil] */
typedef void (*cairn_unraisable_hook)(cairn_runtime *runtime, const char *message, cairn_object *object, void *arg);
CAIRN_API void cairn_set_unraisable(cairn_runtime *runtime, cairn_unraisable_hook hook, void *arg);
CAIRN_API void cairn_unraisable(cairn_runtime *runtime, const char *message, cairn_object *object);

/* ---------------------------------------------------------------------------------------------------------------
 * Weak references
 *
 * A weak reference is an object that leads to another one, its referent, without keeping it alive. When the referent
 * dies, all weak references to it are cleared first, then their callbacks are called, newest first; each at most once,
 * and never if the weak reference died before, or is itself found dead by the collection that found its referent dead.
 * At death by count, finalizers run before (the weak references are alive meanwhile, and stay so if the object is
 * resurrected); at death by the collector, after (the weak references stay cleared).
 * ------------------------------------------------------------------------------------------------------------ */

typedef struct cairn_weak cairn_weak;

/* Called with the cleared weak reference and the context given with it; not if the weak reference is garbage, too, when
 * its referent is found to be: then it is cleared, and keeps its context until it dies, also if a finalizer brings it
 * back. */
typedef void (*cairn_weak_callback)(cairn_weak *weak, cairn_object *context);

/* A weak reference is an object: struct for the inline functions, its members are Cairn's. */
struct cairn_weak {
    cairn_object object;
    cairn_object *referent;  /* NULL: cleared */
    cairn_weak *next, *prev; /* of the same referent */
    cairn_weak_callback callback;
    cairn_object *context; /* counted; NULL if none */
    cairn_weak *queue;
    uint64_t hash;
    uint32_t hashed;
    uint32_t canonical;
};

/* The type of weak references: containers (of their contexts), themselves without weak references. [any] */
CAIRN_API const cairn_type *cairn_weak_type(void);

/* A weak reference to an object. Without a callback (NULL; `context` must then be NULL, too) the same one is given to
 * everybody as long as it lives. `context` is counted as long as the callback is still to come. NULL and errno EINVAL
 * if the referent's type has no weak_offset, or ENOMEM. [gil] */
CAIRN_API cairn_weak *cairn_weak_new(cairn_object *referent, cairn_weak_callback callback,
                                     cairn_object *context) CAIRN_USE_RESULT;

/* A new reference to the referent, or NULL if it is dead. [gil] */
CAIRN_API cairn_object *cairn_weak_get(cairn_weak *weak) CAIRN_USE_RESULT;

/* Is the referent dead? [gil] */
CAIRN_API bool cairn_weak_is_dead(const cairn_weak *weak);

/* The proxy: calls function(referent, arg) with the referent kept alive meanwhile, and returns 0; if it is dead returns
 * ENOENT, with the error text "weakly-referenced object no longer exists". [gil] */
CAIRN_API int cairn_weak_call(cairn_weak *weak, void (*function)(cairn_object *referent, void *arg), void *arg);

/* Has it a callback that is still to come? [gil] */
CAIRN_API bool cairn_weak_has_callback(const cairn_weak *weak);

/* Clears a weak reference; its callback will not be called. [gil] */
CAIRN_API void cairn_weak_clear(cairn_weak *weak);

/* Weak references to an object now; 0 for types without. [gil] */
CAIRN_API size_t cairn_weak_count(cairn_object *referent);

/* The i-th of them, the one without a callback first, then the newest first; a new reference; NULL if there are not so
 * many. [gil] */
CAIRN_API cairn_weak *cairn_weak_at(cairn_object *referent, size_t i);

/* Clears all weak references to an object, and calls the callbacks if `callbacks`. For dealloc functions that want it
 * earlier than Cairn does it. [gil] */
CAIRN_API void cairn_weak_clear_all(cairn_object *referent, bool callbacks);

/* Equality: by the referents while both live, by identity when one is dead. The hash is the referent's, remembered;
 * ENOENT if it is asked for the first time after the death, EINVAL if the referent cannot be hashed. Both are what
 * cairn_object_equal() and cairn_object_hash() say. [gil] */
CAIRN_API bool cairn_weak_equal(cairn_weak *a, cairn_weak *b);
CAIRN_API int cairn_weak_hash(cairn_weak *weak, uint64_t *hash);

/* A finalizer from outside: calls function(arg) once, when `object` dies, or at the runtime's end if `at_end`; newest
 * first among those of one object, and at the end. The runtime keeps it until then: the reference that this returns
 * may be given up at once. NULL and errno EINVAL (the object's type has no weak_offset) or ENOMEM. [gil] */
typedef struct cairn_finalizer cairn_finalizer;
CAIRN_API cairn_finalizer *cairn_finalizer_add(cairn_object *object, void (*function)(void *arg), void *arg,
                                               bool at_end);

/* Calls it now; makes it never be called. False if it was called or detached before. Is it still to come? [gil] */
CAIRN_API bool cairn_finalizer_call(cairn_runtime *runtime, cairn_finalizer *finalizer);
CAIRN_API bool cairn_finalizer_detach(cairn_runtime *runtime, cairn_finalizer *finalizer);
CAIRN_API bool cairn_finalizer_is_alive(const cairn_finalizer *finalizer);

/* ---- weak tables ---- */

/* A table from objects to objects whose keys, values, or both are held weakly: an entry vanishes when one of these
 * dies. Keys are told apart by cairn_object_hash() and cairn_object_equal(). Entries do not vanish while the table is
 * visited, but dead ones are not shown. The table is an object, a container of what it holds strongly. */
typedef struct cairn_weak_table cairn_weak_table;
CAIRN_API const cairn_type *cairn_weak_table_type(void); /* [any] */

enum { CAIRN_WEAK_KEYS = 1, CAIRN_WEAK_VALUES = 2 };

/* A new table; `weak` is CAIRN_WEAK_KEYS, CAIRN_WEAK_VALUES or both. NULL with errno EINVAL or ENOMEM. [gil] */
CAIRN_API cairn_weak_table *cairn_weak_table_new(cairn_runtime *runtime, unsigned weak) CAIRN_USE_RESULT;

/* Adds or replaces an entry. EINVAL for a key that cannot be hashed, or what is to be held weakly and cannot; ENOMEM.
 * [gil] */
CAIRN_API int cairn_weak_table_set(cairn_weak_table *table, cairn_object *key, cairn_object *value);

/* A new reference to the value, or NULL. [gil] */
CAIRN_API cairn_object *cairn_weak_table_get(cairn_weak_table *table, cairn_object *key);

/* A new reference to the value of the first live entry whose key has this hash and for which match(key, arg) is true;
 * NULL if there is none. For keys that do not exist as objects yet. [gil] */
CAIRN_API cairn_object *cairn_weak_table_find(cairn_weak_table *table, uint64_t hash,
                                              bool (*match)(cairn_object *key, void *arg), void *arg);

/* Removes an entry; ENOENT if there is none. [gil] */
CAIRN_API int cairn_weak_table_remove(cairn_weak_table *table, cairn_object *key);

/* Live entries. [gil] */
CAIRN_API size_t cairn_weak_table_count(const cairn_weak_table *table);

/* Visits live entries, key and value kept alive meanwhile, in order of insertion; false from the visitor ends it. The
 * visitor may do anything: entries it adds are visited or not. [gil] */
CAIRN_API bool cairn_weak_table_visit(cairn_weak_table *table,
                                      bool (*visitor)(cairn_object *key, cairn_object *value, void *arg), void *arg);

/* ---------------------------------------------------------------------------------------------------------------
 * The collector
 *
 * Generations 0, 1 and 2 by age: containers are tracked into 0, and those that survive a collection move one up. What a
 * collection of generation g does, to it and the younger ones, in this order (CPython 3.13's):
 *   1. callbacks "start"; objects that only references among themselves keep alive are found;
 *   2. those with a finalizer of the old kind, and what they lead to, are set aside: uncollectable;
 *   3. weak references to the others are cleared, and the callbacks called of those that are reachable;
 *   4. finalizers run, once in each object's life, in order of address;
 *   5. what finalizers brought back, and what that leads to, goes to the older generation; weak references made
 *      meanwhile to the others are cleared, without callbacks;
 *   6. the others are cleared, and die (or are added to the garbage list, with CAIRN_COLLECTOR_SAVEALL);
 *   7. after a full collection caches are emptied; callbacks "stop".
 * A collection needs no memory.
 * ------------------------------------------------------------------------------------------------------------ */

enum { CAIRN_GENERATIONS = 3 };

/* Collects generation 0, 1 or 2 (with the younger ones), also while the collector is disabled, and in bounded mode to
 * its end. Returns the number of objects found unreachable (died and uncollectable; not those resurrected), 0 if a
 * collection is running already, -1 with errno EINVAL for another generation. [gil] */
CAIRN_API ptrdiff_t cairn_collect(cairn_runtime *runtime, int generation);

/* Automatic collections on and off; on at first. [gil] */
CAIRN_API void cairn_collector_enable(cairn_runtime *runtime);
CAIRN_API void cairn_collector_disable(cairn_runtime *runtime);
CAIRN_API bool cairn_collector_is_enabled(const cairn_runtime *runtime);

/* Generation 0 is collected when allocations of containers exceed deallocations by more than thresholds[0] since its
 * last collection; 1 with it when 0 has been collected more than thresholds[1] times since 1 was; 2 when 1 has been
 * more than thresholds[2] times and what has survived into 2 since its last collection is at least a quarter of what
 * survived that. In bounded mode 0 and 1 may come earlier, and 2 comes in steps, see cairn_collector_step().
 * thresholds[0] 0: no automatic collections. `count` thresholds from the first on are set, 1 to 3.
 * EINVAL for another count. [gil] */
CAIRN_API int cairn_collector_set_threshold(cairn_runtime *runtime, const unsigned *thresholds, size_t count);
CAIRN_API void cairn_collector_get_threshold(const cairn_runtime *runtime, unsigned thresholds[3]);

/* What is compared with the thresholds. [gil] */
CAIRN_API void cairn_collector_get_count(const cairn_runtime *runtime, unsigned counts[3]);

/* Of each generation, ever. */
typedef struct cairn_collector_stats {
    uint64_t collections;
    uint64_t collected;     /* objects */
    uint64_t uncollectable; /* objects */
    uint64_t candidates;    /* objects looked at */
    uint64_t nanoseconds;   /* from start to stop, finalizers and callbacks included; in bounded mode, of all steps */
    uint64_t longest_ns;    /* the longest of these, in bounded mode of the steps */
} cairn_collector_stats;
CAIRN_API void cairn_collector_get_stats(const cairn_runtime *runtime, cairn_collector_stats stats[3]); /* [gil] */

enum {
    CAIRN_COLLECTOR_STATS = 1,         /* a line on stderr for each collection */
    CAIRN_COLLECTOR_COLLECTABLE = 2,   /* a line for each object found collectable */
    CAIRN_COLLECTOR_UNCOLLECTABLE = 4, /* for each uncollectable one */
    CAIRN_COLLECTOR_SAVEALL = 32,      /* what is found goes to the garbage list instead of dying */
    CAIRN_COLLECTOR_LEAK = 38          /* the last three */
};
CAIRN_API void cairn_collector_set_debug(cairn_runtime *runtime, unsigned flags);
CAIRN_API unsigned cairn_collector_get_debug(const cairn_runtime *runtime);

/* Where debug lines go; NULL: stderr. [gil] */
CAIRN_API void cairn_collector_set_output(cairn_runtime *runtime, FILE *out);

/* Called at "start" and at "stop" (then with the figures) of each collection, in the order they were added. May do
 * anything; a collection asked for meanwhile does nothing. */
typedef struct cairn_collector_info {
    bool stop;
    int generation;
    size_t collected;
    size_t uncollectable;
    size_t candidates;
    uint64_t nanoseconds;
} cairn_collector_info;
typedef void (*cairn_collector_callback)(cairn_runtime *runtime, const cairn_collector_info *info, void *arg);

/* Adds one (ENOMEM); removes the first of this function and argument (ENOENT). [gil] */
CAIRN_API int cairn_collector_add_callback(cairn_runtime *runtime, cairn_collector_callback callback, void *arg);
CAIRN_API int cairn_collector_remove_callback(cairn_runtime *runtime, cairn_collector_callback callback, void *arg);

/* The garbage list: uncollectable objects, and all that was found with SAVEALL; each holds a reference. What cannot be
 * added for lack of memory stays in the oldest generation. cairn_collector_garbage_at() is borrowed, NULL beyond the
 * end; clear empties the list and gives the references up. [gil] */
CAIRN_API size_t cairn_collector_garbage_count(const cairn_runtime *runtime);
CAIRN_API cairn_object *cairn_collector_garbage_at(const cairn_runtime *runtime, size_t i);
CAIRN_API void cairn_collector_garbage_clear(cairn_runtime *runtime);

/* Moves all tracked containers to a permanent generation that is never looked at; moves that to generation 2; how many
 * are in it. [gil] */
CAIRN_API void cairn_collector_freeze(cairn_runtime *runtime);
CAIRN_API void cairn_collector_unfreeze(cairn_runtime *runtime);
CAIRN_API size_t cairn_collector_freeze_count(const cairn_runtime *runtime);

/* Makes the collector look at a container; makes it not look. To track what is tracked is a fault; to untrack what is
 * not is none. An object that dies need not be untracked. [gil] */
CAIRN_API void cairn_object_track(cairn_object *object);
CAIRN_API void cairn_object_untrack(cairn_object *object);
CAIRN_API bool cairn_object_is_tracked(const cairn_object *object);   /* false for atoms */
CAIRN_API bool cairn_object_is_finalized(const cairn_object *object); /* has finalize run; false for atoms */

/* The generation of a tracked container; 3: frozen; -1: not tracked. [gil] */
CAIRN_API int cairn_object_generation(const cairn_object *object);

/* Visits the tracked containers of a generation (0 to 2; -1: of all, frozen ones too), by address. The visitor may
 * count references, but must not make objects or give references up. Returns true, or false if the visitor ended it.
 * A wrong generation visits nothing and is false with errno EINVAL. [gil] */
CAIRN_API bool cairn_collector_visit_objects(cairn_runtime *runtime, int generation,
                                             bool (*visitor)(cairn_object *object, void *arg), void *arg);

/* Visits what an object refers to, as far as its type says; duplicates too. The visitor: as above. [gil] */
CAIRN_API void cairn_object_visit_referents(cairn_object *object, cairn_visit visit, void *arg);

/* Visits the tracked containers that refer to an object. The visitor: as above. Returns false if it ended it. [gil] */
CAIRN_API bool cairn_collector_visit_referrers(cairn_runtime *runtime, cairn_object *object,
                                               bool (*visitor)(cairn_object *referrer, void *arg), void *arg);

/* Bounded mode. A collection of the oldest generation is spread over steps of at most the option step_us each, which
 * run at allocations of containers and in cairn_runtime_poll(), as many as keep it ahead of the garbage: what is
 * garbage and not yet freed stays below a tenth of the tracked containers that live, and 100. Of strongly connected
 * pieces of garbage larger than some thousand objects one step is longer than the others: by some 5 ns for each object
 * of them and 50 for each weak reference to them, or by that of a whole collection of them while a type with
 * `finalize_legacy` or debug flags are in use; their finalizers run in steps, and they die in steps: what dies when a
 * step lets go of it may wait, as in deferred mode. Objects with very many references are looked at in parts if the
 * type says how (a row, or traverse_part). Sets the time (0: unbounded mode; a cycle under way is dropped). [gil] */
CAIRN_API void cairn_collector_set_step(cairn_runtime *runtime, unsigned step_us);

/* Does one step, starting a collection of the oldest generation if none is under way. Returns true when it came to its
 * end. [gil] */
CAIRN_API bool cairn_collector_step(cairn_runtime *runtime);

/* Figures of bounded mode, ever. */
typedef struct cairn_step_stats {
    uint64_t cycles; /* collections of the oldest generation that came to their end */
    uint64_t steps;
    uint64_t late;        /* steps that took half as long again as step_us and more, by the thread's processor time */
    uint64_t longest_ns;  /* the longest, finalizers and callbacks not included */
    uint64_t nanoseconds; /* all, finalizers and callbacks not included */
    uint64_t collected;   /* objects */
} cairn_step_stats;
CAIRN_API void cairn_collector_get_step_stats(const cairn_runtime *runtime, cairn_step_stats *stats); /* [gil] */

/* Checks every structure of the runtime: the heap's own check; bitmaps and lists of the collector against the pools;
 * each count against the references that tracked containers hold (too many are a fault, too few are not); weak lists.
 * Returns 0, or the number of faults found, each written to `out` as a line if it is not NULL. [gil] */
CAIRN_API size_t cairn_runtime_check(cairn_runtime *runtime, FILE *out);

/* ---------------------------------------------------------------------------------------------------------------
 * The GIL
 * ------------------------------------------------------------------------------------------------------------ */

/* Waits for the GIL and takes it. A thread that has waited for the switch interval asks the holder to give it up at its
 * next poll; threads get it in the order they came. Not recursive (a fault). Threads need no registration. [any] */
CAIRN_API void cairn_gil_acquire(cairn_runtime *runtime);

/* Gives it up, as around work that blocks; the fault if the thread does not hold it is reported. [gil] */
CAIRN_API void cairn_gil_release(cairn_runtime *runtime);

/* Does the calling thread hold it? [any] */
CAIRN_API bool cairn_gil_is_held(const cairn_runtime *runtime);

/* Microseconds; 0 is taken as 1. [any] */
CAIRN_API void cairn_gil_set_switch_interval(cairn_runtime *runtime, unsigned microseconds);
CAIRN_API unsigned cairn_gil_switch_interval(const cairn_runtime *runtime);

/* Fork: a thread may fork whether it holds a GIL or not. In the child a runtime is whole if the forking thread held its
 * GIL, or nobody did; a runtime that another thread was using is lost there: to acquire its GIL is a fault. */

/* ---------------------------------------------------------------------------------------------------------------
 * Faults
 * ------------------------------------------------------------------------------------------------------------ */

typedef enum cairn_object_fault_kind {
    CAIRN_FAULT_DEAD,         /* a count changed of a dead object, or of what is none (CAIRN_OBJECT_CHECKS) */
    CAIRN_FAULT_OVER_RELEASE, /* a reference given up that nobody had: the count was zero or less already */
    CAIRN_FAULT_COUNT,  /* a collection found more references to an object than its count says: a traverse function
                                 visits too often, or a reference was not counted. In bounded mode those of young
                                 objects and full ones that are asked for say so; to its steps, between which counts
                                 change, the object is alive */
    CAIRN_FAULT_TRACK,  /* tracked twice, or an atom tracked */
    CAIRN_FAULT_GIL,    /* an object or a runtime used without its GIL; released and not held; acquired twice */
    CAIRN_FAULT_TYPE,   /* a type that cairn_type_error() refuses, or an object of another type than needed */
    CAIRN_FAULT_ESCAPED /* a dealloc function gave away a reference to its object */
} cairn_object_fault_kind;

typedef struct cairn_object_fault {
    cairn_object_fault_kind kind;
    const char *call;           /* such as "decref" */
    const cairn_object *object; /* or NULL */
    cairn_runtime *runtime;     /* or NULL */
    const char *text;           /* one line: what, with the object dumped: address, type, count, and where it lies */
} cairn_object_fault;

/* Called on a fault, on the thread at fault. If it returns, the call at fault does nothing, and returns what it does when
 * it fails: NULL, EINVAL, false, 0 (cairn_runtime_check(): 1). The default handler writes the line to stderr and aborts. NULL restores it. Returns the previous one. [any] */
typedef void (*cairn_object_fault_handler)(const cairn_object_fault *fault);
CAIRN_API cairn_object_fault_handler cairn_set_object_fault_handler(cairn_object_fault_handler handler);

/* Reports a fault: for kinds and users' types. [any] */
CAIRN_API void cairn_object_report(cairn_object_fault_kind kind, const char *call, const cairn_object *object,
                                   const char *sentence);

#ifdef __cplusplus
}
#endif

#endif /* CAIRN_OBJECT_H */
