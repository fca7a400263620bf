/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* runtime.h: the map of the object layer. Structures, and the few inline functions that everything stands on.
 *
 * A runtime has one single heap and three owners in it: `base` for parts of objects, `atoms`, `containers`. So every
 * block in a pool of the last two is an object, and "all containers" is a walk over pools.
 *
 * The collector's state lies outside the objects, in side records: one for each pool of `containers`, which the pool's
 * record leads to, and one in front of each object that no pool serves (containers and atoms), with a capacity of one.
 * A side record holds, for each 64 slots, a struct side_word (one cache line), and for each slot a count of references.
 *
 * Invariants (cairn_runtime_check):
 *   - a slot that holds no container has no bit set;
 *   - low and high are subsets of tracked: 0 is low, 1 is high, 2 neither, frozen both;
 *   - outside of a collection candidate and pending are 0, and refs too, but for suspects of bounded mode;
 *   - a side record is on list g (0, 1) if it has objects of generation g;
 *   - every side record is on `sides` (by address) or on `fresh`, or, an atom's, on `large_atoms`.
 *
 * Dead and queued objects: count is below zero and holds the link (queue_link); they are not tracked.
 *
 * Lock: the GIL for all of it. */

#ifndef CAIRN_OBJECT_RUNTIME_H
#define CAIRN_OBJECT_RUNTIME_H

#include <errno.h>
#include <stdatomic.h>

#include "cairn_object.h"
#include "heap/debug.h"
#include "heap/owner.h"
#include "heap/pagemap.h"
#include "heap/sweep.h"
#include "heap/types.h"

enum {
    OBJECT_ALIGN = 16,    /* of large objects; those in pools have the heap's alignment */
    FREE_LIST_ITEMS = 16, /* item counts for which a type has free lists */
    FREE_LIST_TYPES = 64, /* buckets of the table of types that have them */
    SIDE_UNIT = 128,      /* sizes of side records are multiples of it */
    SIDE_SIZES = 56,
    DEPTH_MOST = 50, /* deaths inside deaths, before they queue */
    ERROR_BYTES = 160
};

/* What is pending, in runtime->pending: bits. */
enum { PENDING_COLLECT = 1, PENDING_SWEEP = 2, PENDING_STEP = 4, PENDING_GIL = 8, PENDING_MEMORY = 7 };

/* A circular list's node; a list's head is one, too. An unlinked node leads to itself. */
struct ring {
    struct ring *next, *prev;
};

/* State of 64 slots: a cache line. */
struct side_word {
    uint64_t tracked;
    uint64_t low, high; /* the generation of a tracked one, see generation_bits() */
    uint64_t finalized; /* finalize has run */
    uint64_t candidate; /* in a collection: looked at and not reached; in the end: unreachable */
    uint64_t pending;   /* in a collection: to be traversed, or finalized */
    uint64_t suspect;   /* bounded mode's, see bounded.c */
    uint64_t doing;
};

_Static_assert(sizeof(cairn_object) == 16, "the header of an object is its count and its type");
_Static_assert(sizeof(struct side_word) == 64, "one line for all that the collector asks about an object");

struct side {
    char *base;     /* first slot */
    uint32_t *refs; /* in a collection, for each slot: its count less the references from candidates */
    cairn_runtime *runtime;
    uint32_t reciprocal; /* of the slot size: see side_slot() */
    uint32_t slot_size;
    uint16_t capacity; /* slots */
    uint16_t words;    /* struct side_word, as many as the capacity needs */
    bool in_set;
    bool large;               /* the object follows the record */
    struct side *set;         /* in a collection: the next of those it looks at */
    struct ring all;          /* in runtime->sides, ->fresh or ->large_atoms */
    struct ring list[2];      /* in runtime->generation[g] */
    struct ring work;         /* in a collection: on its list of work */
    struct ring bounded_work; /* the same of bounded mode, also between its steps */
    struct side_word word[];
};

_Static_assert(sizeof(struct side) == 128, "the words of a record begin at a cache line");

/* Free lists of one type of the user's. */
struct free_list {
    struct free_list *next; /* in the bucket */
    const cairn_type *type;
    cairn_cache cache;
    cairn_object *first[FREE_LIST_ITEMS]; /* linked through their type members */
    uint32_t count[FREE_LIST_ITEMS];
};

struct callback {
    struct callback *next;
    cairn_collector_callback function; /* NULL: removed while they are being called */
    void *arg;
};

struct gil_waiter;

/* The GIL, gil.c. */
struct gil {
    pthread_mutex_t mutex;
    struct gil_waiter *first, *last;
    _Atomic(uintptr_t) holder; /* the thread; 0: nobody */
    _Atomic(unsigned) interval_us;
    _Atomic(uint64_t) switches, forced;
    bool lost; /* it was held by another thread at a fork, and this is the child */
    bool none; /* the option gil_optional */
};

/* A collection of the oldest generation in steps: where it stands, see bounded.c. */
enum bounded_phase {
    BOUNDED_IDLE,
    BOUNDED_SUSPECT,
    BOUNDED_COUNT,
    BOUNDED_ROOTS,
    BOUNDED_MARK,
    BOUNDED_LIST, /* what is left for VERIFY is put on the list */
    BOUNDED_VERIFY,
    BOUNDED_CONFIRM,
    BOUNDED_FINALIZE,
    BOUNDED_FORGET
};

struct bounded {
    cairn_runtime *runtime;
    enum bounded_phase phase;
    bool again;            /* the list will be of what VERIFY has left */
    bool last;             /* what VERIFY has left is counted again */
    bool finalized;        /* the finalizers of what is counted have run */
    unsigned rounds;       /* since `last` or `finalized` became true */
    struct ring *at;       /* a walk over all side records: the next; NULL: none under way */
    unsigned slot;         /* in that: the next */
    cairn_object *part_of; /* an object that was traversed in part: it goes on from `part` */
    size_t part;
    struct ring todo; /* side records with something to do, through bounded_work */
    size_t suspects;  /* at the beginning */
    size_t left;      /* suspects on the list */
    uint64_t hash;    /* of the counts and references that COUNT has seen, if `last` */
    size_t counted;   /* suspects that it has seen */
    size_t roots;     /* suspects that ROOTS has found referred to from elsewhere */
    size_t returned;  /* suspects that were left when all finalizers had run */
    uint64_t steps;
    uint64_t suspect_ns; /* that the last cycle took for each suspect */
    uint64_t nanoseconds;
    uint64_t young; /* objects on their way to generation 2 when the cycle began */
    size_t collected, uncollectable;
};

struct cairn_runtime {
    _Atomic(uint32_t) pending; /* must be first: cairn_runtime_poll() reads it */
    uint32_t depth;            /* deaths under way */
    int queueing;              /* see object_queue_deaths() */
    uint32_t depth_most;       /* with so many the next one waits; 0: all wait */
    struct owner *containers;
    struct owner *atoms;
    uint64_t objects_made, objects_died;
    unsigned count[CAIRN_GENERATIONS];
    unsigned alarm; /* value of count[0] beyond which something is due */
    unsigned threshold[CAIRN_GENERATIONS];
    unsigned young_most; /* objects of generation 0 before it is collected: the threshold, in bounded mode maybe less */
    bool enabled, collecting, deferred, collect_at_poll, sweeping, ended, hostile;
    bool legacy;   /* a type with finalize_legacy has been seen */
    bool untracks; /* a type with untrack has been seen */
    cairn_heap *heap;
    cairn_object *trash;                    /* dead, waiting for the deaths under way */
    cairn_object *queue_first, *queue_last; /* deferred mode: dead, waiting for a sweep */
    size_t queued;
    unsigned sweep_most;
    struct ring generation[2]; /* side records with bits of generations 0 and 1 */
    struct ring sides, fresh, large_atoms;
    size_t tracked; /* containers */
    size_t long_lived_total, long_lived_pending;
    uint64_t resurrected;
    cairn_collector_stats stats[CAIRN_GENERATIONS];
    unsigned debug;
    FILE *output;
    struct callback *callbacks;
    cairn_object **garbage;
    size_t garbage_count, garbage_room;
    cairn_cache *caches;
    size_t cache_limit, cached_bytes, cached_peak;
    struct free_list *free_lists[FREE_LIST_TYPES];
    size_t side_bytes;
    struct side *spare_sides[SIDE_SIZES]; /* by size, chained through `set` */
    struct bounded bounded;
    unsigned step_us;  /* 0: unbounded mode */
    uint64_t young_ns; /* that young collections took of late for each object, about */
    bool long_young;   /* one has just run and taken long: the step that is due waits */
    unsigned step_at;  /* value of count[0] at which the next step is due */
    cairn_step_stats step_stats;
    cairn_finalizer *finalizers; /* newest first */
    cairn_unraisable_hook unraisable;
    void *unraisable_arg;
    void *user;
    void *kinds; /* state of the built-in kinds, theirs */
    void (*kinds_end)(cairn_runtime *runtime);
    struct gil gil;
    cairn_runtime *next, *prev; /* of the process, under the lock in gil.c */
    char error[ERROR_BYTES];
};

_Static_assert(offsetof(cairn_runtime, pending) == 0, "cairn_runtime_poll() reads it");

/* Does what is pending but for the GIL. runtime.c */
void runtime_do_pending(cairn_runtime *runtime);

/* So many containers have been made that something is due, or may be. collector.c */
void collector_due(cairn_runtime *runtime);

/* From begin to end deaths are queued. Nests. object.c */
void object_queue_deaths(cairn_runtime *runtime, bool begin);

/* Deaths wait from now on, or do not. object.c */
void object_set_deferred(cairn_runtime *runtime, bool deferred);

/* ---- rings ---- */

static inline void ring_init(struct ring *ring)
{
    ring->next = ring->prev = ring;
}

static inline bool ring_is_empty(const struct ring *ring)
{
    return ring->next == ring;
}

static inline void ring_add(struct ring *list, struct ring *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void ring_remove(struct ring *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    ring_init(node);
}

#define RING_SIDE(node, member) ((struct side *)(void *)((char *)(node)-offsetof(struct side, member)))

/* ---- from an object to where it lies ---- */

/* The runtime whose pool or large block this is; NULL if it is of none. */
static inline cairn_runtime *pool_runtime(const struct pool *pool)
{
    const struct owner *owner = pool ? pool_owner(pool) : NULL;
    return owner ? owner->runtime : NULL;
}

static inline cairn_runtime *object_runtime(const cairn_object *object)
{
    return pool_runtime(pagemap_get(object));
}

/* The side record of a large object. */
static inline struct side *large_side(const cairn_object *object);

/* Which slot an address that is the start of one is; capacity is below 2^16 and so is any rounding error. */
static inline unsigned side_slot(const struct side *side, const cairn_object *object)
{
    uint64_t offset = (uint64_t)((const char *)object - side->base);
    return (unsigned)((offset * side->reciprocal) >> 32);
}

static inline cairn_object *side_object(const struct side *side, unsigned slot)
{
    return (cairn_object *)(void *)(side->base + (size_t)slot * side->slot_size);
}

enum {
    LARGE_PREFIX = (sizeof(struct side) + sizeof(struct side_word) + sizeof(uint32_t) + OBJECT_ALIGN - 1) /
                   OBJECT_ALIGN * OBJECT_ALIGN
};

static inline struct side *large_side(const cairn_object *object)
{
    return (struct side *)((uintptr_t)object - LARGE_PREFIX);
}

/* The side record of a pool's object, or of a large one; NULL for atoms in pools. */
static inline struct side *side_of(const struct pool *pool, const cairn_object *object)
{
    return LIKELY(pool_is_class(pool)) ? *pool_side(pool) : large_side(object);
}

/* A container's place: side record, word, bit. */
struct place {
    struct side *side;
    struct side_word *word;
    uint64_t bit;
    unsigned slot;
};

static inline struct place place_in(struct side *side, const cairn_object *object)
{
    unsigned slot = side_slot(side, object);
    return (struct place){side, &side->word[slot / 64], UINT64_C(1) << (slot % 64), slot};
}

/* The place of a container of a runtime; side NULL for other objects. */
static inline struct place place_of(const cairn_object *object)
{
    const struct pool *pool = pagemap_get(object);
    if (!pool_runtime(pool) || !cairn_type_is_container(object->type)) {
        return (struct place){0};
    }
    return place_in(side_of(pool, object), object);
}

/* ---- tracking ---- */

static inline void generation_list(struct side *side, int generation)
{
    if (side->list[generation].next == &side->list[generation]) {
        ring_add(&side->runtime->generation[generation], &side->list[generation]);
    }
}

/* The tracked ones of generation 0, 1, 2 or, 3, the frozen ones. */
static inline uint64_t generation_bits(const struct side_word *word, int generation)
{
    switch (generation) {
    case 0:
        return word->low & ~word->high;
    case 1:
        return word->high & ~word->low;
    case 2:
        return word->tracked & ~word->low & ~word->high;
    default:
        return word->low & word->high;
    }
}

static inline void track(const struct place *place)
{
    place->word->tracked |= place->bit;
    place->word->low |= place->bit;
    place->side->runtime->tracked++;
    generation_list(place->side, 0);
}

/* The object leaves its generation and a collection under way. */
static inline void untrack(const struct place *place)
{
    struct side_word *word = place->word;
    uint64_t keep = ~place->bit;
    place->side->runtime->tracked -= (word->tracked & place->bit) != 0;
    if (UNLIKELY((word->candidate | word->pending | word->suspect | word->doing) & place->bit)) {
        if (word->suspect & place->bit) {
            place->side->refs[place->slot] = 0;
        }
        word->candidate &= keep;
        word->pending &= keep;
        word->suspect &= keep;
        word->doing &= keep;
    }
    word->tracked &= keep;
    word->low &= keep;
    word->high &= keep;
}

/* ---- dead objects in queues ---- */

static inline int64_t queue_link(const cairn_object *next, bool was_tracked)
{
    return -(int64_t)(((uintptr_t)next >> 2) | (uintptr_t)was_tracked) - 1;
}

static inline cairn_object *queue_next(const cairn_object *object)
{
    return (cairn_object *)(((uintptr_t)(-(object->count + 1)) & ~(uintptr_t)1) << 2);
}

static inline bool queue_was_tracked(const cairn_object *object)
{
    return (uintptr_t)(-(object->count + 1)) & 1;
}

/* ---- birth ---- */

/* What is due is done before a container is made. */
static inline void before_container(cairn_runtime *runtime)
{
    uint32_t pending = atomic_load_explicit(&runtime->pending, memory_order_relaxed);
    if (UNLIKELY(pending & PENDING_MEMORY) && !runtime->collect_at_poll) {
        runtime_do_pending(runtime);
    }
}

/* Counts the allocation of a container. */
static inline void count_container(cairn_runtime *runtime)
{
    if (UNLIKELY(++runtime->count[0] > runtime->alarm)) {
        collector_due(runtime);
    }
}

/* ---- references ---- */

static inline cairn_object **references_of(cairn_object *object, const cairn_type *type)
{
    return (cairn_object **)(void *)((char *)object + type->reference_offset);
}

static inline cairn_object **row_start(cairn_object *object, const cairn_type *type)
{
    void *at = (char *)object + type->row_offset;
    return type->flags & CAIRN_TYPE_ROW_INSIDE ? (cairn_object **)at : *(cairn_object ***)at;
}

static inline size_t row_length(const cairn_object *object, const cairn_type *type)
{
    return *(const size_t *)(const void *)((const char *)object + type->row_length_offset);
}

/* Visits all references of an object. Hot path, where `visit` is a constant: calls to it are inlined. */
static inline __attribute__((always_inline)) void traverse(cairn_object *object, cairn_visit visit, void *arg)
{
    const cairn_type *type = object->type;
    uint32_t count = type->reference_count;
    if (count) {
        cairn_object **references = references_of(object, type);
        do {
            if (*references) {
                visit(*references, arg);
            }
            references++;
        } while (--count);
    }
    if (type->row_length_offset) {
        size_t length = row_length(object, type);
        for (cairn_object **at = row_start(object, type); length; at++, length--) {
            if (*at) {
                visit(*at, arg);
            }
        }
    } else if (type->traverse) {
        type->traverse(object, visit, arg);
    }
}

enum { PART_MOST = 4096 }; /* references of an object that are visited at a time, about */

/* Visits references of an object from a position on, 0 at first, and returns the one to go on from; 0: that was all. */
static inline __attribute__((always_inline)) size_t traverse_part(cairn_object *object, size_t from, cairn_visit visit,
                                                                  void *arg)
{
    const cairn_type *type = object->type;
    size_t length = type->row_length_offset ? row_length(object, type) : 0;
    if (LIKELY(from == 0 && length <= PART_MOST && !type->traverse_part)) {
        traverse(object, visit, arg);
        return 0;
    }
    for (uint32_t i = 0; from == 0 && i < type->reference_count; i++) {
        cairn_object *reference = references_of(object, type)[i];
        if (reference) {
            visit(reference, arg);
        }
    }
    if (!type->row_length_offset) {
        return type->traverse_part(object, from, visit, arg);
    }
    size_t end = from + PART_MOST < length ? from + PART_MOST : length;
    for (cairn_object **row = row_start(object, type); from < end; from++) {
        if (row[from]) {
            visit(row[from], arg);
        }
    }
    return end < length ? end : 0;
}

static inline cairn_weak **weak_list_of(const cairn_object *object, const cairn_type *type)
{
    return (cairn_weak **)(void *)((uintptr_t)object + type->weak_offset);
}

/* ---- between the parts ---- */

static inline void pending_set(cairn_runtime *runtime, uint32_t bits)
{
    atomic_fetch_or_explicit(&runtime->pending, bits, memory_order_relaxed);
}

static inline void pending_clear(cairn_runtime *runtime, uint32_t bits)
{
    atomic_fetch_and_explicit(&runtime->pending, ~bits, memory_order_relaxed);
}

/* Sets the runtime's error text and errno; returns the errno value. runtime.c */
int runtime_error(cairn_runtime *runtime, int error, const char *text);

/* Frees what is kept for reuse. cache.c */
void caches_empty(cairn_runtime *runtime);
bool free_list_keep(cairn_runtime *runtime, cairn_object *dead, const cairn_type *type, size_t usable);
cairn_object *free_list_take(cairn_runtime *runtime, const cairn_type *type, size_t items);

/* Side records. side.c */
extern const struct owner_hooks side_hooks;
void sides_start(cairn_runtime *runtime);
void sides_sort(cairn_runtime *runtime); /* all of them onto runtime->sides, by address */
void side_init(struct side *side, cairn_runtime *runtime, char *base, size_t slot_size, size_t capacity);
size_t side_bytes(const struct side *side);
void side_unlink(struct side *side);
struct side *sides_sort_chain(struct side *chain);

/* The type of blocks whose object has died. */
extern const cairn_type dead_type;

/* Deaths. object.c */
void object_sweep_all(cairn_runtime *runtime);
bool containers_visit(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg);
bool containers_visit_unsorted(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg);
bool atoms_visit(cairn_runtime *runtime, bool (*visitor)(cairn_object *object, void *arg), void *arg);

/* Weak references. weak.c */
void weak_referent_died(cairn_object *referent, bool callbacks); /* its list is not empty, or may be */
/* Clears all weak references to an object; those with callbacks that are `wanted` go to the end of a queue. */
void weak_clear_into(cairn_object *referent, bool (*wanted)(const cairn_weak *weak), cairn_weak ***tail);
void weak_run_queue(cairn_weak *first);
bool weak_want_none(const cairn_weak *weak);
void weak_unlink(cairn_weak *weak);
void finalizers_at_end(cairn_runtime *runtime);
bool type_is_weak(const cairn_type *type);

/* A weak reference of a table. weak_table.c */
struct table_weak {
    cairn_weak weak;
    cairn_weak_table *table; /* NULL: it has gone */
    size_t entry;
};
struct table_weak *table_weak_new(cairn_runtime *runtime, cairn_object *referent, cairn_weak_callback callback);

/* The collector. collector.c */
size_t collect(cairn_runtime *runtime, int generation);
void callbacks_sweep(cairn_runtime *runtime);
void collect_due(cairn_runtime *runtime);

/* Bounded mode. bounded.c */
void bounded_step_due(cairn_runtime *runtime);
void bounded_step_anyway(cairn_runtime *runtime); /* of a cycle that is begun for it if there is none */
void bounded_note_growth(cairn_runtime *runtime);
void bounded_schedule(cairn_runtime *runtime);
uint64_t bounded_doomed(const cairn_runtime *runtime, const struct side_word *word); /* proved dead, not yet gone */
/* Is what waits in generation 1 more than the old generation may grow by, or than a step can deal with? Then it is
 * collected early. */
void bounded_note_young(cairn_runtime *runtime, size_t candidates, uint64_t nanoseconds);
unsigned bounded_young_most(const cairn_runtime *runtime);
bool bounded_wants_old(const cairn_runtime *runtime);
void bounded_disturbed(cairn_runtime *runtime);
void collector_set_alarm(cairn_runtime *runtime);
void bounded_side_gone(const struct side *side);
void bounded_drop(cairn_runtime *runtime);

/* The GIL. gil.c */
bool gil_start(cairn_runtime *runtime, bool none, unsigned interval_us);
void gil_end(cairn_runtime *runtime);
void gil_yield(cairn_runtime *runtime);

/* At the start of a public function, in debug builds: without the GIL, or with an object that is none, the fault is
 * reported, and if the handler returns the function does nothing and returns what comes third, if anything. */
#if defined(CAIRN_DEBUG) && CAIRN_DEBUG
#define CHECK_OBJECT(object, call, ...)                                                                                \
    do {                                                                                                               \
        if (!cairn_object_check(object, call)) {                                                                       \
            errno = EINVAL;                                                                                            \
            return __VA_ARGS__;                                                                                        \
        }                                                                                                              \
    } while (0)
#define CHECK_GIL(runtime, call, ...)                                                                                  \
    do {                                                                                                               \
        if (!gil_check(runtime, call)) {                                                                               \
            return __VA_ARGS__;                                                                                        \
        }                                                                                                              \
    } while (0)
#else
#define CHECK_OBJECT(object, call, ...) ((void)0)
#define CHECK_GIL(runtime, call, ...) ((void)0)
#endif
bool gil_check(const cairn_runtime *runtime, const char *call); /* false: reported, and errno is EINVAL */

#endif
