/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* player.c: see player.h.
 *
 * A frame of the recording is decoded into a flat array of events, and these are played in slices; between slices
 * samples are taken. Only the playing counts as time. Every block is written to, one byte in each page at least, as the
 * recorded program will have done.
 *
 * With --threads each recorded thread has a lane, a thread that plays its events of the slice. The turns of an object
 * are numbered when the slice is dealt out, and a lane waits until the turn before has been taken; as the recorded
 * order is a possible one, they all come to an end. Everything else is done between slices, by the first thread alone.
 * Locks: none; a lane and the first thread hand over by semaphores. */

#include "player.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "picture.h"
#include "recording.h"
#include "survey.h"

enum {
    PAGE = 4096,
    MALLOC_ALIGNMENT = 16,
    LANES = 512,
    SPINS = 200,
    WALK_MAX = 40000000 /* blocks looked at for samples; beyond it their usable bytes are estimated */
};

enum { HEAP_MALLOC, HEAP_PYTHON, HEAPS };

#define SIZE_MASK ((UINT64_C(1) << 62) - 1)
#define OF_PYTHON (UINT64_C(1) << 63)

/* What is known of an object. */
struct entry {
    char *block;   /* NULL: its request failed, or it does not live */
    uint64_t size; /* bytes asked for; OF_PYTHON: from that heap */
};

/* Which turn of an object is given out next, and how many have been taken. */
struct turns {
    uint32_t given;
    _Atomic(uint32_t) taken;
};

struct lane {
    struct player *player;
    pthread_t thread;
    sem_t go, done;
    bool open, leaves, quits;
    uint32_t number;   /* of the recorded thread */
    struct table list; /* uint32_t: indexes of its events in this slice */
    size_t count;
    int64_t asked; /* bytes asked for, less those freed */
    uint64_t requests, failed;
};

struct player {
    struct play *play;
    cairn_heap *heaps[HEAPS];
    struct recording_reader reader;
    struct event_state state;
    struct event *events;
    size_t count;
    struct table entries; /* struct entry */
    struct table turns;   /* struct turns */
    uint32_t *turn;       /* of each event of the frame */
    struct lane lane[LANES];
    struct lane *current;
    _Atomic(bool) faulty;
    uint64_t played, time_us;
    uint64_t next_sample;
    uint64_t started; /* ns */
    uint64_t walked;
    double usable_share; /* usable bytes for one that was asked for, when last counted */
    uint64_t baseline;
    int statm;
    struct pictures *pictures;
};

static void *map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static __attribute__((format(printf, 2, 3), cold)) void fault(struct player *player, const char *format, ...)
{
    va_list arguments;
    if (atomic_exchange(&player->faulty, true)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(player->play->fault, sizeof player->play->fault, format, arguments);
    va_end(arguments);
}

/* ---- contents ---- */

static inline uint64_t word_at(uint32_t object, size_t offset)
{
    return ((uint64_t)object + 1) * UINT64_C(0x9E3779B97F4A7C15) + offset;
}

static inline void fill_word(char *block, uint32_t object, size_t offset, size_t size)
{
    uint64_t word = word_at(object, offset);
    memcpy(block + offset, &word, size);
}

static inline bool holds_word(const char *block, uint32_t object, size_t offset, size_t size)
{
    uint64_t word = word_at(object, offset);
    return memcmp(block + offset, &word, size) == 0;
}

static inline void touch(char *block, size_t size)
{
    for (size_t offset = PAGE; offset < size; offset += PAGE) {
        block[offset] = 1;
    }
}

/* Writes a block of `size` bytes. */
static inline __attribute__((always_inline)) void fill(char *block, uint32_t object, size_t size, enum verify verify)
{
    if (verify == VERIFY_OFF) {
        if (size > 0) {
            block[0] = 1;
        }
        touch(block, size);
    } else if (size < sizeof(uint64_t)) {
        fill_word(block, object, 0, size);
    } else if (verify == VERIFY_FULL) {
        size_t offset = 0;
        for (; offset + sizeof(uint64_t) <= size; offset += sizeof(uint64_t)) {
            fill_word(block, object, offset, sizeof(uint64_t));
        }
        fill_word(block, object, offset, size - offset);
    } else {
        touch(block, size);
        fill_word(block, object, 0, sizeof(uint64_t));
        if (size >= 2 * sizeof(uint64_t)) {
            fill_word(block, object, size - sizeof(uint64_t), sizeof(uint64_t));
        }
    }
}

static __attribute__((cold)) void bad_contents(struct player *player, uint32_t object, size_t size, const char *when)
{
    fault(player, "the contents of object %u (%zu bytes) were changed by another before %s", object, size, when);
}

/* Are the first `part` bytes of a block that was filled for `size` bytes as they were? */
static inline __attribute__((always_inline)) bool holds(const char *block, uint32_t object, size_t size, size_t part,
                                                        enum verify verify)
{
    if (verify == VERIFY_OFF) {
        return true;
    }
    if (size < sizeof(uint64_t)) {
        return holds_word(block, object, 0, part < size ? part : size);
    }
    if (verify == VERIFY_FULL) {
        size_t offset = 0, end = part < size ? part : size;
        for (; offset + sizeof(uint64_t) <= end; offset += sizeof(uint64_t)) {
            if (!holds_word(block, object, offset, sizeof(uint64_t))) {
                return false;
            }
        }
        return holds_word(block, object, offset, end - offset);
    }
    if (!holds_word(block, object, 0, part < sizeof(uint64_t) ? part : sizeof(uint64_t))) {
        return false;
    }
    return size < 2 * sizeof(uint64_t) || part < size ||
           holds_word(block, object, size - sizeof(uint64_t), sizeof(uint64_t));
}

static bool is_zero(const char *block, size_t size, enum verify verify)
{
    size_t step = verify == VERIFY_FULL || size < 2 ? 1 : size - 1;
    for (size_t offset = 0; offset < size; offset += step) {
        if (block[offset] != 0) {
            return false;
        }
    }
    return true;
}

/* ---- requests ---- */

static inline __attribute__((always_inline)) char *request(struct player *player, const struct event *event, bool heap,
                                                           unsigned which)
{
    size_t alignment = (size_t)1 << event->alignment;
    void *block = NULL;
    if (heap) {
        switch (event->kind) {
        case EVENT_ZEROED:
            return cairn_calloc(player->heaps[which], 1, event->size);
        case EVENT_ALIGNED:
            return cairn_alloc_aligned(player->heaps[which], alignment, event->size);
        default:
            return cairn_alloc(player->heaps[which], event->size);
        }
    }
    switch (event->kind) {
    case EVENT_ZEROED:
        return calloc(1, event->size);
    case EVENT_ALIGNED:
        if (alignment > MALLOC_ALIGNMENT) {
            return posix_memalign(&block, alignment, event->size) == 0 ? block : NULL;
        }
        /* fall through */
    default:
        return malloc(event->size);
    }
}

static inline __attribute__((always_inline)) void play_alloc(struct lane *lane, const struct event *event,
                                                             struct entry *entry, bool heap, enum verify verify)
{
    struct player *player = lane->player;
    unsigned which = event->domain >= RECORD_PYTHON_MEM ? HEAP_PYTHON : HEAP_MALLOC;
    char *block = request(player, event, heap, which);
    entry->block = block;
    entry->size = event->size | (which == HEAP_PYTHON ? OF_PYTHON : 0);
    lane->asked += (int64_t)event->size;
    lane->requests++;
    if (__builtin_expect(block == NULL, 0)) {
        lane->failed++;
        return;
    }
    if (verify != VERIFY_OFF && event->kind == EVENT_ZEROED && !is_zero(block, event->size, verify)) {
        fault(player, "object %u (%zu bytes) was to be zero and is not", event->object, (size_t)event->size);
    }
    if (verify != VERIFY_OFF && event->kind == EVENT_ALIGNED &&
        (uintptr_t)block % ((uintptr_t)1 << event->alignment) != 0) {
        fault(player, "object %u (%zu bytes) is not aligned as asked for", event->object, (size_t)event->size);
    }
    fill(block, event->object, event->size, verify);
}

static inline __attribute__((always_inline)) void play_free(struct lane *lane, const struct event *event,
                                                            struct entry *entry, bool heap, enum verify verify)
{
    struct player *player = lane->player;
    size_t size = entry->size & SIZE_MASK;
    char *block = entry->block;
    lane->asked -= (int64_t)size;
    lane->requests++;
    entry->block = NULL;
    if (__builtin_expect(block == NULL, 0)) {
        return;
    }
    if (!holds(block, event->object, size, size, verify)) {
        bad_contents(player, event->object, size, "its free");
    }
    if (heap) {
        cairn_free(player->heaps[entry->size >= OF_PYTHON ? HEAP_PYTHON : HEAP_MALLOC], block);
    } else {
        free(block);
    }
}

static inline __attribute__((always_inline)) void play_resize(struct lane *lane, const struct event *event,
                                                              struct entry *entry, bool heap, enum verify verify)
{
    struct player *player = lane->player;
    size_t old = entry->block != NULL ? entry->size & SIZE_MASK : 0;
    uint64_t of = entry->size & OF_PYTHON;
    size_t size = event->size;
    if (entry->block != NULL && !holds(entry->block, event->object, old, old, verify)) {
        bad_contents(player, event->object, old, "its resize");
    }
    char *block = heap ? cairn_realloc(player->heaps[of != 0 ? HEAP_PYTHON : HEAP_MALLOC], entry->block, size)
                       : realloc(entry->block, size != 0 ? size : 1);
    lane->requests++;
    lane->asked += (int64_t)size - (int64_t)(entry->size & SIZE_MASK);
    if (__builtin_expect(block == NULL, 0)) {
        lane->failed++;
        entry->size = old | of;
        lane->asked += (int64_t)old - (int64_t)size;
        return;
    }
    if (!holds(block, event->object, old, size < old ? size : old, verify)) {
        bad_contents(player, event->object, old, "the end of its resize");
    }
    entry->block = block;
    entry->size = size | of;
    fill(block, event->object, size, verify);
}

static inline __attribute__((always_inline)) void play_event(struct lane *lane, const struct event *event,
                                                             struct entry *entry, bool heap, enum verify verify)
{
    switch (event->kind) {
    case EVENT_ALLOC:
    case EVENT_ZEROED:
    case EVENT_ALIGNED:
        play_alloc(lane, event, entry, heap, verify);
        break;
    case EVENT_RESIZE:
        play_resize(lane, event, entry, heap, verify);
        break;
    case EVENT_FREE:
        play_free(lane, event, entry, heap, verify);
        break;
    case EVENT_TIME:
        lane->player->time_us = event->size;
        break;
    default:
        break;
    }
}

/* ---- in one thread ---- */

static inline __attribute__((always_inline)) void play_row(struct lane *lane, size_t from, size_t to, bool heap,
                                                           enum verify verify)
{
    struct player *player = lane->player;
    struct entry *entries = player->entries.entries;
    const struct event *end = player->events + to;
    for (const struct event *event = player->events + from; event < end; event++) {
        play_event(lane, event, &entries[event->kind <= EVENT_FREE ? event->object : 0], heap, verify);
    }
}

/* One loop for each kind of target and of checking, so that neither is asked for at every event. */
static void play_alone(struct player *player, size_t from, size_t to)
{
    struct lane *lane = &player->lane[0];
    bool heap = player->play->policy.heap;
    switch (player->play->verify) {
    case VERIFY_OFF:
        heap ? play_row(lane, from, to, true, VERIFY_OFF) : play_row(lane, from, to, false, VERIFY_OFF);
        break;
    case VERIFY_ENDS:
        heap ? play_row(lane, from, to, true, VERIFY_ENDS) : play_row(lane, from, to, false, VERIFY_ENDS);
        break;
    case VERIFY_FULL:
        heap ? play_row(lane, from, to, true, VERIFY_FULL) : play_row(lane, from, to, false, VERIFY_FULL);
        break;
    }
}

/* ---- in many threads ---- */

static void wait_for_turn(const struct turns *turns, uint32_t turn)
{
    for (unsigned spins = 0; atomic_load_explicit(&turns->taken, memory_order_acquire) != turn; spins++) {
        if (spins > SPINS) {
            sched_yield();
        }
    }
}

static void play_list(struct lane *lane)
{
    struct player *player = lane->player;
    const struct play *play = player->play;
    struct entry *entries = player->entries.entries;
    struct turns *turns = player->turns.entries;
    const uint32_t *list = lane->list.entries;
    for (size_t i = 0; i < lane->count; i++) {
        const struct event *event = &player->events[list[i]];
        uint32_t turn = player->turn[list[i]];
        wait_for_turn(&turns[event->object], turn);
        play_event(lane, event, &entries[event->object], play->policy.heap, play->verify);
        atomic_store_explicit(&turns[event->object].taken, turn + 1, memory_order_release);
    }
}

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    for (;;) {
        while (sem_wait(&lane->go) != 0) {
        }
        if (lane->quits) {
            return NULL;
        }
        play_list(lane);
        sem_post(&lane->done);
    }
}

/* The lane of a recorded thread; a new one if it has none yet. */
static struct lane *lane_of(struct player *player, uint32_t number)
{
    struct lane *spare = NULL;
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &player->lane[i];
        if (lane->open && lane->number == number) {
            return lane;
        }
        spare = spare == NULL && !lane->open ? lane : spare;
    }
    if (spare == NULL) {
        return &player->lane[number % LANES]; /* more threads than can have been recorded at a time */
    }
    spare->number = number;
    spare->player = player;
    spare->quits = spare->leaves = false;
    (void)sem_init(&spare->go, 0, 0);
    (void)sem_init(&spare->done, 0, 0);
    spare->open = pthread_create(&spare->thread, NULL, run_lane, spare) == 0;
    if (!spare->open) {
        fault(player, "cannot start a thread: %s", strerror(errno));
        return NULL;
    }
    return spare;
}

static void close_lane(struct lane *lane)
{
    lane->quits = true;
    sem_post(&lane->go);
    pthread_join(lane->thread, NULL);
    lane->open = false;
}

static bool deal_one(struct player *player, size_t index)
{
    const struct event *event = &player->events[index];
    struct turns *turns = player->turns.entries;
    if (event->kind == EVENT_THREAD) {
        player->current = lane_of(player, event->object);
        return player->current != NULL;
    }
    if (event->kind == EVENT_EXIT) {
        struct lane *lane = lane_of(player, event->object);
        if (lane != NULL) {
            lane->leaves = true;
        }
        return lane != NULL;
    }
    if (event->kind == EVENT_TIME) {
        player->time_us = event->size;
    }
    if (event->kind > EVENT_FREE) {
        return true;
    }
    struct lane *lane = player->current != NULL ? player->current : lane_of(player, 0);
    if (lane == NULL || !table_reserve(&lane->list, sizeof(uint32_t), lane->count + 1)) {
        fault(player, "no memory for the lists of threads");
        return false;
    }
    player->current = lane;
    ((uint32_t *)lane->list.entries)[lane->count++] = (uint32_t)index;
    player->turn[index] = turns[event->object].given++;
    return true;
}

/* Returns the nanoseconds that it took, without the dealing out. */
static uint64_t play_together(struct player *player, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (!deal_one(player, i)) {
            return 0;
        }
    }
    uint64_t start = now_ns();
    for (size_t i = 0; i < LANES; i++) {
        if (player->lane[i].count > 0) {
            sem_post(&player->lane[i].go);
        }
    }
    for (size_t i = 0; i < LANES; i++) {
        while (player->lane[i].count > 0 && sem_wait(&player->lane[i].done) != 0) {
        }
    }
    uint64_t spent = now_ns() - start;
    for (size_t i = 0; i < LANES; i++) {
        player->lane[i].count = 0;
        if (player->lane[i].open && player->lane[i].leaves) {
            close_lane(&player->lane[i]);
        }
    }
    return spent;
}

/* ---- samples ---- */

/* Private memory of the process that is resident, without allocating. */
static uint64_t private_bytes(const struct player *player)
{
    char text[128];
    ssize_t length = pread(player->statm, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    char *at = text;
    (void)strtoull(at, &at, 10);
    uint64_t resident = strtoull(at, &at, 10);
    uint64_t shared = strtoull(at, &at, 10);
    return (resident - shared) * PAGE;
}

static size_t usable_size(const struct player *player, char *block)
{
    return player->play->policy.heap ? cairn_usable_size(block) : malloc_usable_size(block);
}

static uint64_t count_usable(struct player *player)
{
    struct entry *entries = player->entries.entries;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < player->state.numbers.next; i++) {
        sum += entries[i].block != NULL ? usable_size(player, entries[i].block) : 0;
    }
    player->walked += player->state.numbers.next;
    return sum;
}

static void take_sample(struct player *player, bool exact)
{
    struct play *play = player->play;
    int64_t asked = 0;
    for (size_t i = 0; i < LANES; i++) {
        asked += player->lane[i].asked;
    }
    if (play->sample_count == SAMPLES_MAX) {
        return;
    }
    struct sample *sample = &play->sample[play->sample_count++];
    uint64_t resident = private_bytes(player);
    sample->event = player->played;
    sample->time_us = player->time_us;
    sample->asked = (uint64_t)asked;
    sample->resident = resident > player->baseline ? resident - player->baseline : 0;
    if (exact || player->walked + player->state.numbers.next <= WALK_MAX) {
        sample->usable = count_usable(player);
        player->usable_share = asked > 0 ? (double)sample->usable / (double)asked : player->usable_share;
    } else {
        sample->usable = (uint64_t)((double)asked * player->usable_share);
    }
}

static void walk_blocks(void *context, struct pictures *pictures, picture_visit visit)
{
    struct player *player = context;
    struct entry *entries = player->entries.entries;
    for (uint32_t i = 0; i < player->state.numbers.next; i++) {
        if (entries[i].block != NULL) {
            visit(pictures, entries[i].block, usable_size(player, entries[i].block));
        }
    }
}

static void draw(struct player *player, struct picture *picture)
{
    pictures_draw(player->pictures, picture, walk_blocks, player);
}

/* Where the slice that begins now ends: at the next sample, which are evenly spread, with one where most lives. */
static uint64_t next_stop(const struct player *player)
{
    const struct play *play = player->play;
    uint64_t stop = player->next_sample;
    return player->played < play->peak_event && play->peak_event < stop ? play->peak_event : stop;
}

/* Waits until the recording was here too. */
static void keep_pace(const struct player *player)
{
    uint64_t due = player->started + player->time_us * 1000, now = now_ns();
    if (due > now) {
        struct timespec pause = {(time_t)((due - now) / 1000000000), (long)((due - now) % 1000000000)};
        (void)nanosleep(&pause, NULL);
    }
}

static void stop_here(struct player *player)
{
    struct play *play = player->play;
    if (play->paced) {
        keep_pace(player);
    }
    if (player->played == play->peak_event) {
        take_sample(player, true);
        draw(player, &play->peak);
    }
    if (player->played >= player->next_sample) {
        uint64_t step = play->events / (SAMPLES_MAX - 8) + 1;
        player->next_sample = player->played + step;
        take_sample(player, false);
    }
    atomic_store_explicit(&play->progress, player->played, memory_order_relaxed);
}

/* ---- the whole ---- */

static bool begin_heaps(struct player *player)
{
    const struct play *play = player->play;
    char error[120];
    cairn_geometry geometry;
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    if (cairn_geometry_parse(play->policy.geometry, &geometry, error, sizeof error) != 0) {
        fault(player, "geometry: %s", error);
        return false;
    }
    options.geometry = &geometry;
    options.fit = play->policy.fit;
    options.no_pools = play->policy.no_pools;
    options.min_alignment = MALLOC_ALIGNMENT;
    options.name = "malloc";
    player->heaps[HEAP_MALLOC] = cairn_heap_create(&options);
    options.name = "python";
    options.single = !play->threads;
    player->heaps[HEAP_PYTHON] = play->python ? cairn_heap_create(&options) : player->heaps[HEAP_MALLOC];
    if (player->heaps[HEAP_MALLOC] == NULL || player->heaps[HEAP_PYTHON] == NULL) {
        fault(player, "cannot create a heap: %s", strerror(errno));
        return false;
    }
    return true;
}

static void end_heap(struct player *player, cairn_heap *heap)
{
    struct play *play = player->play;
    static cairn_stats stats;
    cairn_heap_stats(heap, &stats);
    play->served += stats.hole_searches;
    play->search_steps += stats.holes_visited;
    size_t faults = play->verify != VERIFY_OFF ? cairn_heap_check(heap, NULL) : 0;
    if (faults > 0) {
        fault(player, "the check of the heap at the end finds %zu faults", faults);
    }
}

static void end_heaps(struct player *player)
{
    end_heap(player, player->heaps[HEAP_MALLOC]);
    if (player->heaps[HEAP_PYTHON] != player->heaps[HEAP_MALLOC]) {
        end_heap(player, player->heaps[HEAP_PYTHON]);
    }
}

static bool begin(struct player *player, struct play *play)
{
    player->play = play;
    for (size_t i = 0; i < LANES; i++) {
        player->lane[i].player = player;
    }
    int error = recording_open(&player->reader, play->path);
    if (error != 0) {
        fault(player, "cannot read the recording: %s", strerror(error));
        return false;
    }
    player->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    player->events = map_shared(RECORDING_FRAME * sizeof *player->events);
    player->turn = map_shared(RECORDING_FRAME * sizeof *player->turn);
    player->pictures = pictures_begin();
    player->usable_share = 1;
    if (player->events == NULL || player->turn == NULL || player->pictures == NULL ||
        !table_reserve(&player->entries, sizeof(struct entry), play->objects + 1) ||
        !table_reserve(&player->turns, sizeof(struct turns), play->threads ? play->objects + 1 : 1) ||
        recording_next(&player->reader) != RECORDING_MORE) {
        fault(player, "cannot begin to read the recording");
        return false;
    }
    (void)private_bytes(player);
    player->baseline = private_bytes(player);
    return !play->policy.heap || begin_heaps(player);
}

static void play_slice(struct player *player, size_t from, size_t to)
{
    if (player->play->threads) {
        player->play->nanoseconds += play_together(player, from, to);
    } else {
        uint64_t start = now_ns();
        play_alone(player, from, to);
        player->play->nanoseconds += now_ns() - start;
    }
}

static void play_frame(struct player *player)
{
    size_t from = 0;
    while (from < player->count && !atomic_load(&player->faulty)) {
        uint64_t left = next_stop(player) - player->played;
        size_t to = player->count - from < left ? player->count : from + (size_t)left;
        play_slice(player, from, to);
        player->played += to - from;
        from = to;
        stop_here(player);
    }
}

static void play_all(struct player *player)
{
    struct event_totals totals;
    size_t at;
    player->started = now_ns();
    stop_here(player);
    while (!atomic_load(&player->faulty) && player->played < player->play->events &&
           recording_next(&player->reader) == RECORDING_MORE) {
        ptrdiff_t count = events_read(&player->state, player->reader.bytes, player->reader.count, player->events,
                                      &totals, &at);
        if (count < 0 || player->state.numbers.next > player->play->objects) {
            fault(player, "the recording has changed since it was looked through");
            return;
        }
        player->count = (size_t)count;
        play_frame(player);
    }
}

static void end(struct player *player)
{
    struct play *play = player->play;
    for (size_t i = 0; i < LANES; i++) {
        play->requests += player->lane[i].requests;
        play->failed += player->lane[i].failed;
        if (player->lane[i].open) {
            close_lane(&player->lane[i]);
        }
    }
    take_sample(player, true);
    draw(player, &play->end);
    if (play->policy.heap) {
        end_heaps(player);
    }
    play->done = true;
}

int player_main(int descriptor)
{
    struct player *player = map_shared(sizeof *player);
    void *play = mmap(NULL, sizeof(struct play), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (player == NULL || play == MAP_FAILED) {
        return 1;
    }
    if (begin(player, play)) {
        play_all(player);
        end(player);
    }
    return 0;
}
