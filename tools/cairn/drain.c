/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* drain.c: see drain.h.
 *
 * Order. Every ring's `written` is read twice. What the first look saw is taken in the order of the keys, but never
 * past an event that only the second look saw: what an event of the first look depends on was published before it, so
 * the second look sees that, and its key is less (record/protocol.h). Nothing waits for long: what was seen only at the
 * second look is of the first at the next turn, and an event that begins after a look has a key no less than those it
 * saw. A thread that is stopped, killed or asleep before a full ring shows nothing new, and so holds nobody up.
 *
 * Identity. A table over the address space holds the number (plus 1) of the object that lives at each address. An
 * address given out while its object lives means that its free was not seen (a thread that found no ring): the free is
 * put in. A free of an unknown address is left out. Both are counted. At an exec every object ends.
 *
 * Time. Blocks of a ring carry the time of their start; a ring seen empty raises it to the time of the look.
 *
 * Single-threaded; what is shared with the program are the atomics of record/protocol.h. */

#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

#include "events.h"
#include "message.h"
#include "record/protocol.h"
#include "recording.h"

enum {
    FLUSH_MS = 1000,
    REAP_MS = 20,
    TELL_WORDS = 4096, /* taken from a ring before its thread is told so */
    DESCRIPTION_MAX = 16384,
    PLAIN_BYTES = 8, /* more than an event of take_plain() has */
    AHEAD = 24       /* words that the table's entries are fetched ahead */
};

enum { ADDRESS_BITS = 47, LEAF_BITS = 24, GRAIN_BITS = 3 };
enum { LEAVES = 1 << (ADDRESS_BITS - LEAF_BITS), LEAF_ENTRIES = 1 << (LEAF_BITS - GRAIN_BITS) };

/* A recording and what its writing needs from event to event. */
struct stream {
    struct recording_writer *writer;
    char *path;
    pid_t pid;
    struct event_state state;
    struct event_totals totals;
    uint32_t **leaves; /* LEAVES of them, each NULL or LEAF_ENTRIES object numbers plus 1 */
    uint32_t thread;
    uint64_t started; /* ns */
    uint64_t time;    /* ns: told last */
    uint64_t flush_at;
    bool no_memory;
};

struct process {
    struct stream *stream; /* NULL: not begun, or handed on to what the process became by exec */
    int descriptor;        /* pidfd; -1: none */
    bool known, dead, finished;
};

struct ring {
    uint64_t at;      /* position read */
    uint64_t seen;    /* position at the first look */
    uint64_t written; /* position at the second */
    uint64_t told;    /* position the thread knows we have read */
    uint64_t key;     /* of the next event if no mark stands before it */
    uint64_t time;    /* ns */
    bool touched;     /* it has been given back */
    bool resizing;    /* between RECORD_RESIZE and RECORD_RESIZED */
    bool resized_known;
    uint32_t object; /* that is being resized */
    uint64_t address;
};

/* A ring whose next event has this key; `rank` is twice the key, plus 1 if only the second look saw the event. */
struct head {
    uint64_t rank;
    size_t ring;
};

struct drain {
    int descriptor;
    struct record_area *area;
    uint64_t *words;
    const char *path;
    const char *description;
    size_t description_size;
    struct stream *first; /* of the first process, until it begins */
    uint64_t status;      /* of the first process */
    uint64_t taken;       /* words */
    uint64_t reap_at;
    struct process process[RECORD_PROCESSES];
    struct ring ring[RECORD_RINGS];
    struct stream *finished[RECORD_PROCESSES + 1];
    size_t finished_count;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *map_sparse(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

/* ---- streams ---- */

/* The description of a child: the recording's own, with the child's arguments. Returns its size. */
static size_t describe_child(const struct drain *drain, const struct record_process *child, char *text)
{
    size_t size = 0;
    const char *end = drain->description + drain->description_size;
    for (const char *at = drain->description; at < end && strncmp(at, "program=", 8) != 0; at += strlen(at) + 1) {
        size += (size_t)sprintf(text + size, "%s", at) + 1;
    }
    for (uint32_t at = 0; at < child->command_size; at += (uint32_t)strlen(child->command + at) + 1) {
        size += (size_t)sprintf(text + size, "argument=%s", child->command + at) + 1;
    }
    return size;
}

/* Makes a stream; `child` NULL: of the first process. */
static struct stream *open_stream(const struct drain *drain, const struct record_process *child)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    stream->path = child == NULL ? text_of("%s", drain->path) : text_of("%s.%ld", drain->path, (long)child->pid);
    stream->thread = UINT32_MAX;
    stream->started = now_ns();
    stream->flush_at = stream->started + (uint64_t)FLUSH_MS * 1000000;
    stream->leaves = map_sparse(LEAVES * sizeof *stream->leaves);
    if (stream->leaves == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    char description[DESCRIPTION_MAX];
    size_t size = child != NULL ? describe_child(drain, child, description) : 0;
    stream->writer = size != 0 ? recording_create(stream->path, description, size)
                               : recording_create(stream->path, drain->description, drain->description_size);
    return stream;
}

/* The entry of an address; NULL if there is no memory for it. */
static inline uint32_t *entry_of(struct stream *stream, uint64_t address)
{
    uint32_t **leaf = &stream->leaves[(address >> LEAF_BITS) % LEAVES];
    if (__builtin_expect(*leaf == NULL, 0)) {
        *leaf = map_sparse(LEAF_ENTRIES * sizeof **leaf);
        if (*leaf == NULL) {
            stream->no_memory = true;
            return NULL;
        }
    }
    return &(*leaf)[address >> GRAIN_BITS & (LEAF_ENTRIES - 1)];
}

static inline uint8_t *room(struct stream *stream)
{
    return recording_room(stream->writer, EVENT_BYTES_MAX);
}

static inline void used(struct stream *stream, const uint8_t *start, const uint8_t *end)
{
    recording_used(stream->writer, (size_t)(end - start));
}

static void put_free(struct stream *stream, uint32_t object)
{
    uint8_t *to = room(stream);
    used(stream, to, event_put_free(to, &stream->state, object));
    stream->totals.requests++;
    if (!numbers_give(&stream->state.numbers, object)) {
        stream->no_memory = true;
    }
}

/* An address is given out: if an object still lives there its free was not seen. */
static inline void vacate(struct stream *stream, const uint32_t *entry)
{
    if (__builtin_expect(*entry != 0, 0)) {
        stream->totals.missed++;
        put_free(stream, *entry - 1);
    }
}

static void put_thread(struct stream *stream, enum event_kind kind, uint32_t thread)
{
    uint8_t *to = room(stream);
    used(stream, to, event_put_thread(to, kind, thread));
}

static void put_time(struct stream *stream, uint64_t time)
{
    if (time <= stream->time) {
        return;
    }
    stream->time = time;
    uint64_t units = time > stream->started ? (time - stream->started) / (1000 * EVENT_TIME_UNIT_US) : 0;
    if (units > stream->state.time) {
        uint8_t *to = room(stream);
        used(stream, to, event_put_time(to, &stream->state, units));
    }
}

/* Ends every object: the process has become another program. */
static void end_objects(struct stream *stream)
{
    for (size_t i = 0; i < LEAVES; i++) {
        uint32_t *leaf = stream->leaves[i];
        for (size_t j = 0; leaf != NULL && j < LEAF_ENTRIES; j++) {
            if (leaf[j] != 0) {
                put_free(stream, leaf[j] - 1);
            }
        }
        if (leaf != NULL) {
            munmap(leaf, LEAF_ENTRIES * sizeof *leaf);
            stream->leaves[i] = NULL;
        }
    }
    stream->thread = UINT32_MAX;
}

static void free_table(struct stream *stream)
{
    for (size_t i = 0; i < LEAVES; i++) {
        if (stream->leaves[i] != NULL) {
            munmap(stream->leaves[i], LEAF_ENTRIES * sizeof *stream->leaves[i]);
        }
    }
    munmap(stream->leaves, LEAVES * sizeof *stream->leaves);
    stream->leaves = NULL;
    numbers_free(&stream->state.numbers);
}

/* ---- events ---- */

static void take_alloc(struct stream *stream, const struct event *told, uint64_t address)
{
    struct event event = *told;
    uint32_t *entry = entry_of(stream, address);
    if (entry == NULL) {
        return;
    }
    vacate(stream, entry);
    event.object = numbers_take(&stream->state.numbers);
    *entry = event.object + 1;
    uint8_t *to = room(stream);
    used(stream, to, event_put_alloc(to, &stream->state, &event));
    stream->totals.requests++;
}

static void take_free(struct stream *stream, uint64_t address)
{
    uint32_t *entry = entry_of(stream, address);
    if (entry == NULL || *entry == 0) {
        stream->totals.unknown++;
        return;
    }
    uint32_t object = *entry - 1;
    *entry = 0;
    put_free(stream, object);
}

static void take_resize(struct stream *stream, struct ring *ring, uint64_t address)
{
    uint32_t *entry = entry_of(stream, address);
    ring->resizing = true;
    ring->address = address;
    ring->resized_known = entry != NULL && *entry != 0;
    if (ring->resized_known) {
        ring->object = *entry - 1;
        *entry = 0;
    } else {
        stream->totals.unknown++;
    }
}

static void take_resized(struct stream *stream, struct ring *ring, const struct event *told, uint64_t address)
{
    struct event event = *told;
    bool known = ring->resizing && ring->resized_known;
    uint32_t *entry = entry_of(stream, address != 0 ? address : ring->address);
    ring->resizing = false;
    if (entry == NULL || (address == 0 && !known)) {
        return;
    }
    if (!known) {
        event.kind = EVENT_ALLOC;
        take_alloc(stream, &event, address);
        return;
    }
    vacate(stream, entry);
    *entry = ring->object + 1;
    if (address != 0) {
        event.kind = EVENT_RESIZE;
        event.object = ring->object;
        uint8_t *to = room(stream);
        used(stream, to, event_put_resize(to, &stream->state, &event));
        stream->totals.requests++;
    }
}

static uint8_t power_of(uint64_t alignment)
{
    return (uint8_t)(alignment != 0 ? 63 - __builtin_clzll(alignment) : 0);
}

/* Begins to fetch the table's entry for a word that will come up soon. It must be inlined: gcc takes a function that
 * only fetches ahead for one without effect, and drops its calls. */
__attribute__((always_inline)) static inline void fetch_ahead(uint32_t *const *leaves, uint64_t word)
{
    const uint32_t *leaf = leaves[(word & RECORD_ADDRESS_MASK) >> LEAF_BITS & (LEAVES - 1)];
    if (leaf != NULL) {
        __builtin_prefetch(&leaf[word >> GRAIN_BITS & (LEAF_ENTRIES - 1)], 1);
    }
}

/* Takes the plain allocations and frees, of one word each, that the words from `at` on begin with: nearly all there
 * are, so what they need is kept in registers. Stops before the first event that is anything else or finds anything
 * unusual, and after a block at most. Returns the position behind them. */
static uint64_t take_plain(struct stream *stream, const uint64_t *words, uint64_t at, uint64_t end)
{
    uint32_t *const *leaves = stream->leaves;
    struct event_state state = stream->state;
    uint8_t *start = recording_room(stream->writer, (size_t)RECORD_BLOCK * PLAIN_BYTES), *to = start;
    uint64_t first = at;

    end = end - at < RECORD_BLOCK ? end : at + RECORD_BLOCK;
    for (; at < end; at++) {
        uint64_t word = words[at % RECORD_RING_WORDS];
        fetch_ahead(leaves, words[(at + AHEAD) % RECORD_RING_WORDS]);
        uint32_t *leaf = leaves[(word & RECORD_ADDRESS_MASK) >> LEAF_BITS & (LEAVES - 1)];
        if (leaf == NULL) {
            break;
        }
        uint32_t *entry = &leaf[word >> GRAIN_BITS & (LEAF_ENTRIES - 1)];
        if ((word & RECORD_OPERATION_MASK) == RECORD_FREE) {
            uint32_t object = *entry - 1;
            if (object == UINT32_MAX || state.numbers.count == state.numbers.capacity) {
                break;
            }
            *entry = 0;
            state.numbers.given_up[state.numbers.count++] = object;
            to = event_put_free(to, &state, object);
        } else if ((word & RECORD_OPERATION_MASK) == RECORD_ALLOC) {
            size_t size = word >> RECORD_SIZE_SHIFT;
            if (*entry != 0 || size == RECORD_SIZE_ESCAPE) {
                break;
            }
            state.last = numbers_take(&state.numbers);
            *entry = state.last + 1;
            to = event_put_short_alloc(to, word >> RECORD_DOMAIN_SHIFT & 3, size);
        } else {
            break;
        }
    }
    stream->state = state;
    stream->totals.requests += at - first;
    used(stream, start, to);
    return at;
}

/* Takes the event whose first word is at position `at`; returns the position behind it. */
static inline uint64_t take_event(struct stream *stream, struct ring *ring, const uint64_t *words, uint64_t at)
{
    static const uint8_t kinds[] = {
        [RECORD_ALLOC] = EVENT_ALLOC, [RECORD_ZEROED] = EVENT_ZEROED, [RECORD_ALIGNED] = EVENT_ALIGNED};
    uint64_t word = words[at++ % RECORD_RING_WORDS];
    unsigned operation = (unsigned)(word & RECORD_OPERATION_MASK);
    uint64_t address = word & RECORD_ADDRESS_MASK;
    struct event event = {.domain = word >> RECORD_DOMAIN_SHIFT & 3, .size = word >> RECORD_SIZE_SHIFT};

    if (event.size == RECORD_SIZE_ESCAPE) {
        event.size = words[at++ % RECORD_RING_WORDS];
    }
    switch (operation) {
    case RECORD_FREE:
        take_free(stream, address);
        break;
    case RECORD_ALIGNED:
        event.alignment = power_of(words[at++ % RECORD_RING_WORDS]);
        /* fall through */
    case RECORD_ALLOC:
    case RECORD_ZEROED:
        event.kind = kinds[operation];
        take_alloc(stream, &event, address);
        break;
    case RECORD_RESIZE:
        take_resize(stream, ring, address);
        break;
    case RECORD_RESIZED:
        take_resized(stream, ring, &event, address);
        break;
    default:
        break;
    }
    return at;
}

/* ---- rings ---- */

/* Tells the thread how far its words have been read. */
static void release_words(struct drain *drain, size_t index)
{
    struct record_ring *shared = &drain->area->ring[index];
    struct ring *ring = &drain->ring[index];
    ring->told = ring->at;
    atomic_store(&shared->read, ring->at);
    uint64_t wanted = atomic_load(&shared->wanted);
    if (wanted != 0 && wanted <= ring->at && atomic_compare_exchange_strong(&shared->wanted, &wanted, 0)) {
        (void)syscall(SYS_futex, &shared->wanted, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

static void note_time(struct ring *ring, uint64_t mark)
{
    uint64_t time = mark >> RECORD_MARK_SHIFT;
    ring->time = time > ring->time ? time : ring->time;
}

/* Takes the events of a ring that the first look saw and whose keys are no greater than `bound`. */
static void take_run(struct drain *drain, struct stream *stream, size_t index, uint64_t bound)
{
    struct ring *ring = &drain->ring[index];
    const uint64_t *words = drain->words + index * RECORD_RING_WORDS;
    uint64_t start = ring->at, at = start;
    uint32_t thread = drain->area->ring[index].thread;

    if (stream->thread != thread) {
        stream->thread = thread;
        put_thread(stream, EVENT_THREAD, thread);
    }
    while (at < ring->seen) {
        uint64_t word = words[at % RECORD_RING_WORDS];
        unsigned operation = (unsigned)(word & RECORD_OPERATION_MASK);
        if (operation == RECORD_PAD) {
            at++;
        } else if (operation != RECORD_MARK) {
            put_time(stream, ring->time);
            uint64_t next = take_plain(stream, words, at, ring->seen);
            at = next != at ? next : take_event(stream, ring, words, at);
        } else if ((word & RECORD_MARK_TIME) != 0) {
            note_time(ring, word);
            at++;
        } else if (word >> RECORD_MARK_SHIFT <= bound) {
            ring->key = word >> RECORD_MARK_SHIFT | 1;
            at++;
        } else {
            break;
        }
        if (at - ring->told > TELL_WORDS) {
            ring->at = at;
            release_words(drain, index);
        }
    }
    ring->at = at;
    drain->taken += at - start;
}

/* The head of a ring that has events. */
static struct head head_of(struct drain *drain, size_t index)
{
    struct ring *ring = &drain->ring[index];
    const uint64_t *words = drain->words + index * RECORD_RING_WORDS;
    for (;; ring->at++) {
        uint64_t word = words[ring->at % RECORD_RING_WORDS];
        unsigned operation = (unsigned)(word & RECORD_OPERATION_MASK);
        if (operation == RECORD_MARK && (word & RECORD_MARK_TIME) != 0) {
            note_time(ring, word);
        } else if (operation != RECORD_PAD) {
            uint64_t key = operation == RECORD_MARK ? word >> RECORD_MARK_SHIFT : ring->key;
            return (struct head){key << 1 | (ring->at >= ring->seen), index};
        }
    }
}

static bool is_of(const struct drain *drain, size_t ring, uint32_t process)
{
    const struct record_ring *shared = &drain->area->ring[ring];
    return atomic_load_explicit(&shared->state, memory_order_acquire) == RING_READY && shared->process == process;
}

/* Has no thread ever claimed this ring? Then none has claimed one behind it. */
static bool is_untouched(const struct drain *drain, size_t ring)
{
    return atomic_load_explicit(&drain->area->ring[ring].state, memory_order_acquire) == RING_IDLE &&
           !drain->ring[ring].touched;
}

static uint64_t written_of(const struct drain *drain, size_t ring)
{
    return atomic_load_explicit(&drain->area->ring[ring].written, memory_order_acquire);
}

/* The first look at the rings of a process. */
static void look(struct drain *drain, uint32_t number, uint64_t now)
{
    for (size_t i = 0; i < RECORD_RINGS && !is_untouched(drain, i); i++) {
        struct ring *ring = &drain->ring[i];
        if (is_of(drain, i, number)) {
            ring->seen = written_of(drain, i);
            ring->time = ring->at == ring->seen && now > ring->time ? now : ring->time;
        }
    }
}

/* Puts a head where its rank belongs, into the places from `heads` to that before `end`. The first is free. */
static inline void sift(struct head *heads, const struct head *end, struct head head)
{
    for (; heads + 1 < end && heads[1].rank < head.rank; heads++) {
        heads[0] = heads[1];
    }
    heads[0] = head;
}

/* The second look: the heads of the process's rings that have events, those of the least rank first. Returns their
 * number. */
static size_t look_again(struct drain *drain, uint32_t number, struct head heads[RECORD_RINGS])
{
    size_t first = RECORD_RINGS;
    for (size_t i = 0; i < RECORD_RINGS && !is_untouched(drain, i); i++) {
        if (is_of(drain, i, number)) {
            drain->ring[i].written = written_of(drain, i);
            if (drain->ring[i].at < drain->ring[i].written) {
                first--;
                sift(heads + first, heads + RECORD_RINGS, head_of(drain, i));
            }
        }
    }
    memmove(heads, heads + first, (RECORD_RINGS - first) * sizeof *heads);
    return RECORD_RINGS - first;
}

/* Takes what may be taken, in order. */
static void merge(struct drain *drain, struct stream *stream, struct head *heads, size_t count)
{
    struct head *end = heads + count;
    while (heads < end && (heads->rank & 1) == 0) {
        struct ring *ring = &drain->ring[heads->ring];
        take_run(drain, stream, heads->ring, heads + 1 < end ? heads[1].rank >> 1 : UINT64_MAX);
        if (ring->at < ring->written) {
            sift(heads, end, head_of(drain, heads->ring));
        } else {
            heads++;
        }
    }
}

/* Takes what a process has written, as far as its place is known. True if that was anything. */
static bool drain_process(struct drain *drain, uint32_t number, uint64_t now)
{
    struct head heads[RECORD_RINGS];
    uint64_t before = drain->taken;
    look(drain, number, now);
    merge(drain, drain->process[number].stream, heads, look_again(drain, number, heads));
    for (size_t i = 0; i < RECORD_RINGS && !is_untouched(drain, i); i++) {
        if (drain->ring[i].told != drain->ring[i].at && is_of(drain, i, number)) {
            release_words(drain, i);
        }
    }
    return drain->taken != before;
}

/* ---- threads that end ---- */

static void give_back(struct drain *drain, size_t index, struct stream *stream)
{
    struct record_ring *shared = &drain->area->ring[index];
    if (stream != NULL) {
        put_thread(stream, EVENT_EXIT, shared->thread);
    }
    memset(&drain->ring[index], 0, sizeof drain->ring[index]);
    struct ring *ring = &drain->ring[index];
    ring->at = ring->seen = ring->written = ring->told = atomic_load(&shared->written);
    ring->touched = true;
    atomic_store_explicit(&shared->state, RING_IDLE, memory_order_release);
}

/* Frees the rings of threads that ended, once they are read. */
static void reap_threads(struct drain *drain, uint32_t number)
{
    struct process *process = &drain->process[number];
    for (size_t i = 0; i < RECORD_RINGS; i++) {
        const struct record_ring *shared = &drain->area->ring[i];
        if (is_of(drain, i, number) && drain->ring[i].at == atomic_load(&shared->written) &&
            syscall(SYS_tgkill, drain->area->process[number].pid, shared->tid, 0) != 0 && errno == ESRCH &&
            drain->ring[i].at == atomic_load(&shared->written)) {
            give_back(drain, i, process->stream);
        }
    }
}

/* ---- processes ---- */

/* A process has begun: its recording, or that of the program it was before an exec. */
static void begin_process(struct drain *drain, uint32_t number)
{
    const struct record_process *shared = &drain->area->process[number];
    struct process *process = &drain->process[number];
    struct process *former = shared->replaces >= 0 ? &drain->process[shared->replaces] : NULL;
    process->known = true;
    if (former != NULL && former->stream != NULL) {
        process->stream = former->stream;
        process->descriptor = former->descriptor;
        former->stream = NULL;
        former->descriptor = -1;
        end_objects(process->stream);
        return;
    }
    process->descriptor = (int)syscall(SYS_pidfd_open, shared->pid, 0);
    process->stream = drain->first != NULL ? drain->first : open_stream(drain, shared);
    drain->first = NULL;
    process->stream->pid = shared->pid;
}

/* Without a pidfd (an older kernel, a sandbox) the end is seen when the process's parent has seen it. */
static bool has_ended(const struct process *process, pid_t pid)
{
    if (process->descriptor < 0) {
        return kill(pid, 0) != 0 && errno == ESRCH;
    }
    struct pollfd poll_one = {process->descriptor, POLLIN, 0};
    return poll(&poll_one, 1, 0) > 0 && (poll_one.revents & POLLIN) != 0;
}

static void end_stream(struct drain *drain, struct process *process, uint64_t status)
{
    struct stream *stream = process->stream;
    process->stream = NULL;
    stream->totals.status = status;
    stream->totals.duration_us = (now_ns() - stream->started) / 1000;
    put_time(stream, now_ns());
    uint8_t *to = recording_room(stream->writer, EVENT_END_BYTES_MAX);
    used(stream, to, event_put_end(to, &stream->totals));
    free_table(stream);
    drain->finished[drain->finished_count++] = stream;
}

/* The process wrote its last event and all are taken. */
static void finish_process(struct drain *drain, uint32_t number)
{
    struct process *process = &drain->process[number];
    while (drain_process(drain, number, now_ns())) {
    }
    for (size_t i = 0; i < RECORD_RINGS; i++) {
        if (is_of(drain, i, number)) {
            give_back(drain, i, process->stream);
        }
    }
    process->finished = true;
    if (process->descriptor >= 0) {
        close(process->descriptor);
        process->descriptor = -1;
    }
}

/* The entry that this one's process has become by exec, if any. */
static uint32_t successor(const struct drain *drain, uint32_t number, uint32_t count)
{
    for (uint32_t i = number + 1; i < count; i++) {
        if (atomic_load(&drain->area->process[i].ready) != 0 && drain->area->process[i].replaces == (int32_t)number) {
            return i;
        }
    }
    return 0;
}

static uint32_t process_count(const struct drain *drain)
{
    uint32_t count = atomic_load(&drain->area->processes);
    return count < RECORD_PROCESSES ? count : RECORD_PROCESSES;
}

static void turn_process(struct drain *drain, uint32_t number, uint32_t count, uint64_t now)
{
    struct process *process = &drain->process[number];
    const struct record_process *shared = &drain->area->process[number];

    if (process->finished || atomic_load(&shared->ready) == 0) {
        return;
    }
    if (!process->known) {
        if (shared->replaces >= 0 && !drain->process[shared->replaces].finished) {
            return;
        }
        begin_process(drain, number);
        return;
    }
    uint32_t next = successor(drain, number, count);
    bool ended = process->dead || next != 0 || (number != 0 && has_ended(process, shared->pid));
    if (ended) {
        int descriptor = process->descriptor;
        process->descriptor = next != 0 ? -1 : descriptor;
        finish_process(drain, number);
        process->descriptor = next != 0 ? descriptor : -1;
        if (next == 0 && process->stream != NULL) {
            end_stream(drain, process, process->dead ? drain->status : 0);
        }
        return;
    }
    (void)drain_process(drain, number, now);
    if (process->stream != NULL && now >= process->stream->flush_at) {
        recording_flush(process->stream->writer);
        process->stream->flush_at = now + (uint64_t)FLUSH_MS * 1000000;
    }
}

uint64_t drain_turn(struct drain *drain)
{
    uint64_t now = now_ns(), before = drain->taken;
    uint32_t count = process_count(drain);
    for (uint32_t i = 0; i < count; i++) {
        turn_process(drain, i, count, now);
    }
    if (now >= drain->reap_at) {
        for (uint32_t i = 0; i < count; i++) {
            if (drain->process[i].known && !drain->process[i].finished) {
                reap_threads(drain, i);
            }
        }
        drain->reap_at = now + (uint64_t)REAP_MS * 1000000;
    }
    return drain->taken - before;
}

/* ---- the whole ---- */

struct drain *drain_create(const char *path, const char *description, size_t size, bool children)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL) {
        return NULL;
    }
    drain->descriptor = memfd_create("cairn-record", MFD_CLOEXEC);
    if (drain->descriptor < 0 || ftruncate(drain->descriptor, (off_t)RECORD_AREA_SIZE(RECORD_RINGS)) != 0) {
        free(drain);
        return NULL;
    }
    void *area = mmap(NULL, RECORD_AREA_SIZE(RECORD_RINGS), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      drain->descriptor, 0);
    if (area == MAP_FAILED) {
        free(drain);
        return NULL;
    }
    drain->area = area;
    drain->words = (uint64_t *)((char *)area + RECORD_WORDS_OFFSET);
    drain->area->recorder = getpid();
    drain->area->children = children;
    drain->area->magic = RECORD_MAGIC;
    drain->path = path;
    drain->description = description;
    drain->description_size = size;
    drain->first = open_stream(drain, NULL);
    int error = recording_error(drain->first->writer);
    if (error != 0) {
        free(drain);
        errno = error;
        return NULL;
    }
    return drain;
}

int drain_descriptor(const struct drain *drain)
{
    return drain->descriptor;
}

void drain_ended(struct drain *drain, pid_t pid, uint64_t status)
{
    uint32_t count = process_count(drain);
    drain->status = status;
    for (uint32_t i = 0; i < count; i++) {
        if (drain->area->process[i].pid == pid) {
            drain->process[i].dead = true;
        }
    }
}

bool drain_busy(const struct drain *drain)
{
    uint32_t count = process_count(drain);
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&drain->area->process[i].ready) != 0 && !drain->process[i].finished) {
            return true;
        }
    }
    return false;
}

size_t drain_finish(struct drain *drain, void (*visit)(const struct drain_result *result))
{
    if (drain->first != NULL) { /* no process came */
        struct process none = {.stream = drain->first};
        end_stream(drain, &none, drain->status);
    }
    size_t count = drain->finished_count;
    for (size_t i = 0; i < count; i++) {
        struct stream *stream = drain->finished[i];
        struct drain_result result = {.path = stream->path,
                                      .pid = stream->pid,
                                      .requests = stream->totals.requests,
                                      .unknown = stream->totals.unknown,
                                      .missed = stream->totals.missed};
        result.error = recording_close(stream->writer, &result.file_size);
        if (result.error == 0 && stream->no_memory) {
            result.error = ENOMEM;
        }
        visit(&result);
        free(stream->path);
        free(stream);
    }
    munmap(drain->area, RECORD_AREA_SIZE(RECORD_RINGS));
    close(drain->descriptor);
    free(drain);
    return count;
}
