/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* record.c: the slow way of an event: starting, claiming rings, waiting for the reader, forks, giving up.
 *
 * When recording cannot go on (no `cairn record`, it was killed, no ring is free) the program runs on unrecorded; it
 * never fails for it. Its waits end: a thread that waits for room looks twice a second whether the reader still lives.
 *
 * State. `recorder.state` leaves STATE_NEW once, at the first request after libc knows the environment. Everything else
 * in `recorder` is written before STATE_ON is, and again in a forked child, by its only thread, at its first event. No
 * locks. A child of vfork shares this memory and is no other process for us: what it allocates is in the same heap. */

#include "record/record.h"

#if defined(CAIRN_RECORD)

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_share.h"

enum { WAIT_MS = 20, PATIENCE = 25, RINGS_LEAST = 8 };
enum { STATE_NEW, STATE_STARTING, STATE_ON, STATE_OFF };

/* What a ring may allocate without raising the epoch: so far can the bytes that live in the file be from the truth, for
 * each thread. Every event costs something, and one of RECORD_SIZE_ESCAPE more than all there is. */
enum { CREDIT = RECORD_SIZE_ESCAPE, EVENT_COST = 32 };

/* What a forked child sees as zeros. */
struct wiped {
    struct record_order order;
    struct record_writer writer[RECORD_RINGS];
    bool here; /* false: this is a forked child that has not been here yet */
};

static struct {
    _Atomic(int) state;
    struct record_area *area;
    struct wiped *wiped;
    uint32_t rings; /* that are mapped */
    uint32_t process;
} recorder;

static struct record_writer no_room; /* its limit is 0: every event goes the slow way */

_Thread_local struct record_writer *record_writer RECORD_TLS = &no_room;
struct record_order *_Atomic record_order;

static uint64_t *words_of(const struct record_ring *ring)
{
    size_t index = (size_t)(ring - recorder.area->ring);
    return (uint64_t *)((char *)recorder.area + RECORD_WORDS_OFFSET) + index * RECORD_RING_WORDS;
}

static bool give_up(void)
{
    atomic_store(&recorder.state, STATE_OFF);
    return false;
}

/* ---- processes ---- */

/* The entry of the program that this process was before an exec, or -1. */
static int32_t find_former(const struct record_area *area, int32_t pid)
{
    uint32_t count = atomic_load(&area->processes);
    for (uint32_t i = count < RECORD_PROCESSES ? count : RECORD_PROCESSES; i-- > 0;) {
        if (atomic_load(&area->process[i].ready) != 0 && area->process[i].pid == pid) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* A process may be gone before the recorder can ask the system what it was. */
static void note_command(struct record_process *process)
{
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, process->command, sizeof process->command - 1) : 0;
    process->command_size = size > 0 ? (uint32_t)size : 0;
    if (file >= 0) {
        (void)close(file);
    }
}

static bool enter_process(int32_t replaces)
{
    struct record_area *area = recorder.area;
    uint32_t index = atomic_fetch_add(&area->processes, 1);
    if (index >= RECORD_PROCESSES) {
        return false;
    }
    area->process[index].pid = getpid();
    area->process[index].replaces = replaces;
    note_command(&area->process[index]);
    atomic_store(&area->process[index].ready, 1);
    recorder.process = index;
    recorder.wiped->here = true;
    atomic_store(&record_order, NULL);
    return true;
}

/* ---- starting ---- */

static bool read_number(const char **text, int32_t *number)
{
    int32_t value = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9' && value < 100000000; at++) {
        value = value * 10 + (*at - '0');
    }
    bool any = at != *text;
    *text = at;
    *number = value;
    return any;
}

struct invitation {
    int32_t recorder, descriptor, program;
};

/* Reads "RECORDER:DESCRIPTOR:PROGRAM" from the environment. */
static bool read_variable(char *const *environment, struct invitation *to)
{
    static const char name[] = RECORD_VARIABLE "=";
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, sizeof name - 1) == 0) {
            const char *at = *environment + sizeof name - 1;
            return read_number(&at, &to->recorder) && *at++ == ':' && read_number(&at, &to->descriptor) &&
                   *at++ == ':' && read_number(&at, &to->program);
        }
    }
    return false;
}

/* Not inherited: a program that closes every descriptor it does not know, as many do before an exec, is recorded. */
static int open_area(const struct invitation *from)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)from->recorder, (int)from->descriptor);
    return open(path, O_RDWR | O_CLOEXEC);
}

static bool map_area(const struct invitation *from)
{
    uint64_t magic = 0;
    int descriptor = open_area(from);
    if (descriptor < 0) {
        return false;
    }
    if (pread(descriptor, &magic, sizeof magic, 0) == (ssize_t)sizeof magic && magic == RECORD_MAGIC) {
        for (uint32_t rings = RECORD_RINGS; rings >= RINGS_LEAST && recorder.area == NULL; rings /= 4) {
            recorder.rings = rings;
            recorder.area = os_share_map(descriptor, RECORD_AREA_SIZE(rings));
        }
    }
    (void)close(descriptor);
    return recorder.area != NULL;
}

static bool start(char *const *environment)
{
    struct invitation invitation;
    if (os_process_is_secure() || !read_variable(environment, &invitation) || !map_area(&invitation)) {
        return give_up();
    }
    recorder.wiped = os_wiped_on_fork(sizeof *recorder.wiped);
    if (recorder.wiped == NULL) {
        return give_up();
    }
    int32_t pid = getpid();
    if ((pid != invitation.program && recorder.area->children == 0) ||
        !enter_process(find_former(recorder.area, pid))) {
        return give_up();
    }
    atomic_store(&recorder.state, STATE_ON);
    return true;
}

/* Is this process recorded? Starts, if that is still to do. */
static bool is_on(void)
{
    int state = atomic_load_explicit(&recorder.state, memory_order_acquire);
    if (state == STATE_NEW) {
        char **environment = os_environment();
        return environment != NULL && atomic_compare_exchange_strong(&recorder.state, &state, STATE_STARTING) &&
               start(environment);
    }
    if (state != STATE_ON) {
        return false;
    }
    if (!recorder.wiped->here) { /* a forked child */
        return (recorder.area->children != 0 && enter_process(-1)) || give_up();
    }
    return true;
}

/* ---- rings ---- */

static bool reader_lives(void)
{
    return os_process_lives(recorder.area->recorder);
}

static struct record_ring *try_claim(void)
{
    for (uint32_t i = 0; i < recorder.rings; i++) {
        struct record_ring *ring = &recorder.area->ring[i];
        uint32_t idle = RING_IDLE;
        if (atomic_load_explicit(&ring->state, memory_order_relaxed) == RING_IDLE &&
            atomic_compare_exchange_strong(&ring->state, &idle, RING_CLAIMED)) {
            return ring;
        }
    }
    return NULL;
}

/* Waits while all rings are taken: the reader frees those of threads that ended. */
static struct record_ring *claim(void)
{
    struct record_ring *ring = try_claim();
    for (int patience = PATIENCE; ring == NULL && patience > 0 && reader_lives(); patience--) {
        static const uint32_t never;
        os_share_wait(&never, 0, WAIT_MS);
        ring = try_claim();
    }
    return ring;
}

static struct record_writer *claim_writer(void)
{
    struct record_ring *ring = claim();
    if (ring == NULL) {
        return NULL;
    }
    struct record_process *process = &recorder.area->process[recorder.process];
    struct record_writer *writer = &recorder.wiped->writer[ring - recorder.area->ring];
    ring->process = recorder.process;
    ring->thread = atomic_fetch_add(&process->threads, 1);
    ring->tid = os_thread_number();
    if (ring->thread > 0) {
        atomic_store(&record_order, &recorder.wiped->order);
    }
    writer->position = atomic_load(&ring->written);
    writer->limit = 0;
    writer->words = words_of(ring);
    writer->ring = ring;
    writer->key = 0; /* that no event with a key has */
    writer->credit = 0;
    writer->name = (uint16_t)(ring - recorder.area->ring + 1);
    atomic_store_explicit(&ring->state, RING_READY, memory_order_release);
    record_writer = writer;
    return writer;
}

/* Waits until there is room for one block more; once it has to wait, until half the ring is free: a thread that waits
 * for every block costs more in switches than in events. False if the reader is gone, or has done with this ring. */
static bool wait_for_room(struct record_writer *writer)
{
    struct record_ring *ring = writer->ring;
    uint64_t enough = writer->position + 2 * RECORD_BLOCK, patience = PATIENCE;
    while (atomic_load_explicit(&ring->read, memory_order_acquire) + RECORD_RING_WORDS < enough) {
        enough = writer->position + RECORD_RING_WORDS / 2;
        uint64_t wanted = (enough - RECORD_RING_WORDS) | 1;
        atomic_store(&ring->wanted, wanted);
        if (atomic_load(&ring->read) < wanted) {
            os_share_wait(&ring->wanted, (uint32_t)wanted, WAIT_MS);
        }
        atomic_store(&ring->wanted, 0);
        if (--patience == 0) {
            patience = PATIENCE;
            if (!reader_lives() || atomic_load(&ring->state) != RING_READY) {
                return give_up();
            }
        }
    }
    return true;
}

/* Fills up the block and begins the next with the time. */
static void begin_block(struct record_writer *writer)
{
    while (writer->position % RECORD_BLOCK != 0) {
        writer->words[writer->position++ % RECORD_RING_WORDS] = RECORD_PAD;
    }
    uint64_t time = os_clock_ns();
    writer->limit = writer->position + RECORD_BLOCK - RECORD_EVENT_WORDS + 1;
    writer->words[writer->position++ % RECORD_RING_WORDS] = time << RECORD_MARK_SHIFT | RECORD_MARK_TIME | RECORD_MARK;
}

static struct record_writer *make_room(void)
{
    if (!is_on()) {
        record_writer = &no_room;
        return NULL;
    }
    struct record_writer *writer = record_writer;
    if (writer->ring == NULL) { /* none yet, or wiped by a fork */
        writer = claim_writer();
    }
    if (writer == NULL || !wait_for_room(writer)) {
        return NULL;
    }
    begin_block(writer);
    return writer;
}

/* Makes room for an event; NULL if it is not recorded. */
static struct record_writer *find_room(void)
{
    int saved = errno;
    struct record_writer *writer = make_room();
    errno = saved;
    return writer;
}

/* ---- order ---- */

static size_t piece_of(uint64_t word)
{
    uint64_t address = word & RECORD_ADDRESS_MASK;
    return (address >> RECORD_PIECE_SHIFT ^ address >> RECORD_PIECE_MIX) % RECORD_PIECES;
}

/* Raises the epoch, once this ring is named in `last`. Returns the event's key. */
static uint64_t raise_epoch(struct record_writer *writer, struct record_order *order, _Atomic(uint16_t) *last)
{
    if (atomic_load_explicit(last, memory_order_relaxed) != writer->name) {
        atomic_store_explicit(last, writer->name, memory_order_release);
    }
    writer->credit = CREDIT;
    return (atomic_fetch_add_explicit(&order->epoch, 1, memory_order_release) + 1) * 2;
}

/* The key of the event that begins with this word. The epoch is read before the name. */
static uint64_t key_of(struct record_writer *writer, struct record_order *order, uint64_t word)
{
    uint64_t found = atomic_load_explicit(&order->epoch, memory_order_acquire) * 2 + 1;
    _Atomic(uint16_t) *last = &order->last[piece_of(word)];
    writer->credit -= (int64_t)(word >> RECORD_SIZE_SHIFT) + EVENT_COST;
    if (atomic_load_explicit(last, memory_order_acquire) != writer->name || writer->credit < 0) {
        return raise_epoch(writer, order, last);
    }
    return found;
}

/* With a mark before it, if it needs one. */
static inline void put_ordered(struct record_writer *writer, struct record_order *order, uint64_t first,
                               uint64_t second, uint64_t third, unsigned count)
{
    uint64_t *at = record_place(writer), key = key_of(writer, order, first);
    if (key != writer->key) {
        *at++ = key << RECORD_MARK_SHIFT | RECORD_MARK;
        writer->key = key | 1;
        writer->position++;
    }
    record_put(writer, at, first, second, third, count);
}

/* It calls nothing, so that it has no register to save. */
void record_ordered(uint64_t first, uint64_t second, uint64_t third, unsigned count)
{
    struct record_writer *writer = record_writer;
    if (__builtin_expect(writer->position >= writer->limit, 0)) {
        record_slow(first, second, third, count);
    } else {
        put_ordered(writer, atomic_load_explicit(&record_order, memory_order_relaxed), first, second, third, count);
    }
}

void record_slow(uint64_t first, uint64_t second, uint64_t third, unsigned count)
{
    struct record_writer *writer = find_room();
    if (writer == NULL) {
        return;
    }
    struct record_order *order = atomic_load_explicit(&record_order, memory_order_relaxed);
    if (order != NULL) {
        put_ordered(writer, order, first, second, third, count);
    } else {
        record_put(writer, record_place(writer), first, second, third, count);
    }
}

#endif
