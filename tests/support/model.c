/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* model.c: see model.h.
 *
 * Locks: a worker's mail lock guards its mailbox; the model's serial lock stands for the caller's lock of a single
 * heap and is taken around each call into it. Neither is held while the other is taken. Everything else of a worker
 * belongs to its thread; a successor or the controller touches it only after a join or a barrier. */

#include "support/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"
#include "support/os_fake.h"
#include "support/test.h"

enum {
    MAIL_MAX = 64,          /* blocks in a mailbox */
    ROUNDS = 12,            /* quiescent points of a run */
    ALIGNMENT_LOG_MAX = 20, /* alignments up to 1 MiB */
    DELIVERIES = 3,         /* trims by all threads that take every remote free home */
    LIFE_MEAN = 30000       /* operations of a thread before its successor takes over, on average */
};

struct block {
    unsigned char *address;
    size_t usable;
    uint64_t stamp;
};

struct worker {
    struct model *model;
    unsigned index;
    uint64_t random;
    uint64_t step;
    uint64_t round_ends; /* the step at which the round ends */
    struct block *blocks;
    size_t live;
    size_t target;       /* the number of live blocks this phase tends to */
    uint64_t phase_ends; /* step */
    uint64_t requests;   /* the model's counts */
    uint64_t frees;
    uint64_t refusals;
    pthread_t thread;      /* the thread at work */
    pthread_t predecessor; /* the thread that worked before, to be joined */
    bool has_predecessor;
    pthread_mutex_t mail_lock;
    struct block mail[MAIL_MAX];
    size_t mail_count;
};

struct model {
    const struct model_plan *plan;
    uint64_t seed;
    cairn_heap *heap;
    cairn_geometry geometry;
    void *memory; /* that the heap lives in */
    pthread_mutex_t serial;
    pthread_barrier_t barrier;
    bool delivered; /* this round ends with all remote frees delivered */
    bool over;
    struct worker workers[MODEL_THREADS_MAX];
};

/* Of heap/geometry.h, whose types have names that are the model's. */
void geometry_pack(cairn_heap *heap);

/* ---- failure ---- */

_Noreturn static void give_up(const struct worker *worker, const char *what, const struct block *block)
{
    const struct model *model = worker->model;
    const struct model_plan *plan = model->plan;
    fprintf(stderr, "model '%s', %s, %s%s, alignment %zu, limit %zu, delay %u, %u threads: ", plan->name,
            plan->geometry, plan->single ? "single" : "shared", plan->exact ? ", exact" : "", plan->min_alignment,
            plan->limit, plan->purge_delay_ms, plan->threads);
    fprintf(stderr, "CAIRN_TEST_SEED=%" PRIu64 " thread %u step %" PRIu64 ": %s", model->seed, worker->index,
            worker->step, what);
    if (block != NULL) {
        fprintf(stderr, " (block %p, %zu usable bytes)", (void *)block->address, block->usable);
    }
    fprintf(stderr, "\n");
    fflush(stderr);
    abort();
}

static void expect(bool condition, const struct worker *worker, const char *what, const struct block *block)
{
    if (!condition) {
        give_up(worker, what, block);
    }
}

static _Thread_local const struct worker *at_work;

/* The model never misuses the heap, so any report is a fault. */
static void on_misuse(const cairn_misuse *misuse)
{
    if (at_work == NULL) {
        require_failed(misuse->text, __FILE__, __LINE__);
    }
    give_up(at_work, misuse->text, NULL);
}

/* ---- calls into the heap ---- */

static void enter(struct model *model)
{
    if (model->plan->single) {
        pthread_mutex_lock(&model->serial);
    }
}

static void leave(struct model *model)
{
    if (model->plan->single) {
        pthread_mutex_unlock(&model->serial);
    }
}

static bool may_refuse(const struct model *model)
{
    return model->plan->limit != 0 || model->plan->refuse_per_thousand != 0 || model->plan->memory_size != 0;
}

/* Books the answer to a request; false if it was refused, as the plan allows. */
static bool answered(struct worker *worker, const void *answer)
{
    if (answer != NULL) {
        worker->requests++;
        return true;
    }
    expect(errno == ENOMEM, worker, "NULL without ENOMEM", NULL);
    expect(may_refuse(worker->model), worker, "a request was refused", NULL);
    worker->refusals++;
    return false;
}

/* ---- sizes ---- */

/* Mostly small, as in real programs, with every range of the heap in it. */
static size_t random_size(uint64_t *random)
{
    size_t dice = random_below(random, 10000);
    if (dice < 100) {
        return 0;
    }
    if (dice < 6200) {
        return 1 + random_below(random, 128);
    }
    if (dice < 8800) {
        return 129 + random_below(random, 896);
    }
    if (dice < 9700) {
        return 1025 + random_below(random, KIB(8));
    }
    if (dice < 9940) {
        return KIB(8) + random_below(random, KIB(56));
    }
    if (dice < 9994) {
        return KIB(64) + random_below(random, KIB(448));
    }
    return KIB(512) + random_below(random, MIB(5));
}

/* The new size of a resize: near the old one, twice or half of it, or any. */
static size_t random_resize(uint64_t *random, size_t usable)
{
    switch (random_below(random, 8)) {
    case 0:
    case 1:
        return usable - random_below(random, usable / 8 + 1);
    case 2:
    case 3:
        return usable + random_below(random, usable / 4 + 2);
    case 4:
        return usable < MIB(4) ? usable * 2 : usable / 2;
    case 5:
        return usable / 2;
    default:
        return random_size(random);
    }
}

static size_t random_alignment(uint64_t *random)
{
    size_t log = random_chance(random, 90) ? random_below(random, 9) : random_below(random, ALIGNMENT_LOG_MAX + 1);
    return (size_t)1 << log;
}

/* The alignment that cairn_alloc() promises for `size` on this heap. */
static size_t promised_alignment(const struct model *model, size_t size)
{
    if (model->plan->min_alignment != 0) {
        return model->plan->min_alignment;
    }
    return size >= 16 ? model->geometry.alignment : 8;
}

/* ---- blocks ---- */

static void verify(const struct worker *worker, const struct block *block)
{
    expect(pattern_holds(block->address, block->usable, block->usable, block->stamp), worker, "contents have changed",
           block);
}

/* Measures and stamps a block that has just come from the heap, and enters it among the live ones. */
static void keep(struct worker *worker, void *address, size_t asked, size_t alignment)
{
    struct model *model = worker->model;
    struct block block = {address, 0, 0};
    enter(model);
    block.usable = cairn_usable_size(address);
    leave(model);
    block.stamp = random_next(&worker->random);
    expect(block.usable >= asked && block.usable > 0, worker, "usable size below the size asked for", &block);
    expect(aligned_to(address, alignment), worker, "alignment not as asked", &block);
    expect(aligned_to(address, promised_alignment(model, asked)), worker, "alignment not as promised", &block);
    pattern_fill(address, block.usable, block.stamp);
    worker->blocks[worker->live++] = block;
}

/* Takes the block at `index` out of the live ones. */
static struct block drop(struct worker *worker, size_t index)
{
    struct block block = worker->blocks[index];
    worker->blocks[index] = worker->blocks[--worker->live];
    return block;
}

static void give_back(struct worker *worker, const struct block *block)
{
    verify(worker, block);
    enter(worker->model);
    errno = EDOM;
    cairn_free(worker->model->heap, block->address);
    expect(errno == EDOM, worker, "free changed errno", block);
    leave(worker->model);
    worker->frees++;
}

/* ---- operations ---- */

static void do_alloc(struct worker *worker)
{
    size_t size = random_size(&worker->random);
    bool through_realloc = random_chance(&worker->random, 10);
    enter(worker->model);
    void *address = through_realloc ? cairn_realloc(worker->model->heap, NULL, size)
                                    : cairn_alloc(worker->model->heap, size);
    leave(worker->model);
    if (answered(worker, address)) {
        keep(worker, address, size, 1);
    }
}

static void do_calloc(struct worker *worker)
{
    size_t size = random_size(&worker->random);
    size_t count = 1 + random_below(&worker->random, 16);
    size_t each = size / count;
    if (random_chance(&worker->random, 50)) {
        size_t swap = count;
        count = each;
        each = swap;
    }
    enter(worker->model);
    unsigned char *address = cairn_calloc(worker->model->heap, count, each);
    leave(worker->model);
    if (answered(worker, address)) {
        struct block block = {address, count * each, 0};
        expect(bytes_are(address, 0, count * each), worker, "calloc gave bytes that are not zero", &block);
        keep(worker, address, count * each, 1);
    }
}

static void do_aligned(struct worker *worker)
{
    size_t size = random_size(&worker->random);
    size_t alignment = random_alignment(&worker->random);
    enter(worker->model);
    void *address = cairn_alloc_aligned(worker->model->heap, alignment, size);
    leave(worker->model);
    if (answered(worker, address)) {
        keep(worker, address, size, alignment);
    }
}

static void do_request(struct worker *worker)
{
    size_t dice = random_below(&worker->random, 100);
    if (dice < 70) {
        do_alloc(worker);
    } else if (dice < 85) {
        do_calloc(worker);
    } else {
        do_aligned(worker);
    }
}

static void do_free(struct worker *worker)
{
    /* Mostly any block; sometimes the newest, as in a stack. */
    size_t index = random_chance(&worker->random, 20) ? worker->live - 1 : random_below(&worker->random, worker->live);
    struct block block = drop(worker, index);
    give_back(worker, &block);
}

static void do_realloc(struct worker *worker)
{
    size_t index = random_below(&worker->random, worker->live);
    struct block old = worker->blocks[index];
    size_t size = random_resize(&worker->random, old.usable);
    verify(worker, &old);
    size_t moves = os_fake_moves_of_this_thread();
    enter(worker->model);
    void *address = cairn_realloc(worker->model->heap, old.address, size);
    leave(worker->model);
    if (address == NULL) {
        answered(worker, NULL);
        verify(worker, &old);
        return;
    }
    /* A resize that copies counts as a request and a free; one that stays or remaps its pages does not. */
    if (address_of(address) != address_of(old.address) && os_fake_moves_of_this_thread() == moves) {
        worker->requests++;
        worker->frees++;
    }
    drop(worker, index);
    struct block moved = {address, old.usable, old.stamp};
    expect(pattern_holds(address, old.usable, size, old.stamp), worker, "resize lost contents", &moved);
    keep(worker, address, size, 1);
}

static void do_look(struct worker *worker)
{
    const struct block *block = &worker->blocks[random_below(&worker->random, worker->live)];
    cairn_heap *heap = worker->model->heap;
    verify(worker, block);
    enter(worker->model);
    size_t usable = cairn_usable_size(block->address);
    leave(worker->model);
    expect(usable == block->usable, worker, "usable size has changed", block);
    expect(cairn_heap_of(block->address) == heap, worker, "heap of a block's start", block);
    expect(cairn_heap_of(block->address + usable - 1) == heap, worker, "heap of a block's last byte", block);
    expect(cairn_heap_of(block->address + random_below(&worker->random, usable)) == heap, worker,
           "heap of a block's middle", block);
}

static void do_look_outside(struct worker *worker)
{
    cairn_heap *heap = worker->model->heap;
    enter(worker->model);
    cairn_free(heap, NULL);
    size_t usable = cairn_usable_size(NULL);
    leave(worker->model);
    expect(usable == 0, worker, "usable size of NULL", NULL);
    expect(cairn_heap_of(NULL) == NULL, worker, "heap of NULL", NULL);
    expect(cairn_heap_of(&usable) == NULL, worker, "heap of the stack", NULL);
    expect(cairn_heap_of(worker->model) == NULL, worker, "heap of memory of another allocator", NULL);
    (void)cairn_heap_of((void *)(uintptr_t)random_next(&worker->random)); /* must not fault */
}

/* Counters that hold while other threads run. */
static void do_stats(struct worker *worker)
{
    cairn_stats *stats = malloc(sizeof *stats);
    require(stats != NULL);
    enter(worker->model);
    cairn_heap_stats(worker->model->heap, stats);
    leave(worker->model);
    size_t limit = worker->model->plan->limit;
    expect(limit == 0 || stats->held_bytes <= limit, worker, "more is held than the limit", NULL);
    expect(limit == 0 || stats->held_peak <= limit, worker, "more was held than the limit", NULL);
    expect(stats->class_count <= CAIRN_CLASSES_MAX, worker, "too many class rows", NULL);
    free(stats);
}

static void do_trim(struct worker *worker)
{
    enter(worker->model);
    cairn_trim(worker->model->heap);
    leave(worker->model);
}

static void do_mail(struct worker *worker)
{
    struct worker *to = &worker->model->workers[random_below(&worker->random, worker->model->plan->threads)];
    size_t index = random_below(&worker->random, worker->live);
    pthread_mutex_lock(&to->mail_lock);
    if (to->mail_count < MAIL_MAX) {
        to->mail[to->mail_count++] = drop(worker, index);
    }
    pthread_mutex_unlock(&to->mail_lock);
}

/* Reads the mail: frees most blocks at once, keeps the others among its own. */
static void do_read_mail(struct worker *worker)
{
    struct block mail[MAIL_MAX];
    pthread_mutex_lock(&worker->mail_lock);
    size_t count = worker->mail_count;
    memcpy(mail, worker->mail, count * sizeof mail[0]);
    worker->mail_count = 0;
    pthread_mutex_unlock(&worker->mail_lock);
    for (size_t i = 0; i < count; i++) {
        verify(worker, &mail[i]);
        if (worker->live < worker->model->plan->blocks_max && random_chance(&worker->random, 30)) {
            worker->blocks[worker->live++] = mail[i];
        } else {
            give_back(worker, &mail[i]);
        }
    }
}

static void free_all(struct worker *worker)
{
    do_read_mail(worker);
    while (worker->live > 0) {
        struct block block = drop(worker, worker->live - 1);
        give_back(worker, &block);
    }
}

static void do_rare(struct worker *worker)
{
    size_t dice = random_below(&worker->random, 1000);
    if (dice < 700) {
        do_look_outside(worker);
    } else if (dice < 900) {
        do_stats(worker);
    } else if (dice < 990) {
        do_trim(worker);
    } else {
        free_all(worker);
    }
}

/* A phase tends to nearly no blocks, some, or as many as fit, so that pools and arenas fill and drain. */
static void next_phase(struct worker *worker)
{
    static const size_t percent[] = {2, 30, 60, 98};
    size_t blocks_max = worker->model->plan->blocks_max;
    worker->target = blocks_max * percent[random_below(&worker->random, COUNT_OF(percent))] / 100;
    worker->phase_ends = worker->step + blocks_max + random_below(&worker->random, 4 * blocks_max);
}

static void do_with_a_block(struct worker *worker)
{
    size_t dice = random_below(&worker->random, 100);
    bool mails = worker->model->plan->threads > 1;
    if (dice < 45) {
        do_free(worker);
    } else if (dice < 65) {
        do_realloc(worker);
    } else if (dice < 85 || !mails) {
        do_look(worker);
    } else {
        do_mail(worker);
    }
}

static void do_step(struct worker *worker)
{
    if (worker->step >= worker->phase_ends) {
        next_phase(worker);
    }
    worker->step++;
    if (random_below(&worker->random, 256) == 0) {
        do_rare(worker);
        return;
    }
    if (worker->model->plan->threads > 1 && random_below(&worker->random, 32) == 0) {
        do_read_mail(worker);
        return;
    }
    unsigned request_percent = worker->live < worker->target ? 75 : 25;
    if (worker->live == 0 ||
        (worker->live < worker->model->plan->blocks_max && random_chance(&worker->random, request_percent))) {
        do_request(worker);
    } else {
        do_with_a_block(worker);
    }
}

/* ---- quiescent points ---- */

struct seen_blocks {
    struct block *blocks;
    size_t count;
    size_t room;
    size_t large, large_bytes, huge, huge_bytes;
    size_t segments, segment_bytes, holes, hole_bytes;
    size_t arenas;
    size_t pools[4]; /* by cairn_pool_state */
    size_t resident; /* of arenas, segments and huge blocks, as the system says */
};

static void see(struct seen_blocks *seen, void *address, size_t usable)
{
    if (seen->count == seen->room) {
        seen->room = seen->room * 2 + 1024;
        seen->blocks = realloc(seen->blocks, seen->room * sizeof seen->blocks[0]);
        require(seen->blocks != NULL);
    }
    seen->blocks[seen->count++] = (struct block){address, usable, 0};
}

static bool see_area(const cairn_area *area, void *context)
{
    struct seen_blocks *seen = context;
    switch (area->kind) {
    case CAIRN_AREA_ARENA:
        seen->arenas++;
        seen->resident += os->resident(area->address, area->size);
        break;
    case CAIRN_AREA_POOL:
        seen->pools[area->pool_state]++;
        break;
    case CAIRN_AREA_LARGE:
        seen->large++;
        seen->large_bytes += area->size;
        see(seen, area->address, area->size);
        break;
    case CAIRN_AREA_SEGMENT:
        seen->segments++;
        seen->segment_bytes += area->size;
        seen->resident += os->resident(area->address, area->size);
        break;
    case CAIRN_AREA_HOLE:
        seen->holes++;
        seen->hole_bytes += area->size;
        break;
    case CAIRN_AREA_HUGE:
        seen->huge++;
        seen->huge_bytes += area->size;
        seen->resident += os->resident(area->address, area->size);
        see(seen, area->address, area->size);
        break;
    case CAIRN_AREA_BLOCK:
        see(seen, area->address, area->size);
        break;
    case CAIRN_AREA_HANDLE_SEGMENT:
    case CAIRN_AREA_HANDLE_BLOCK:
    case CAIRN_AREA_HANDLE_HOLE:
        require_failed("the model has no handles", __FILE__, __LINE__);
        break;
    }
    return true;
}

static int by_address(const void *a, const void *b)
{
    const struct block *left = a;
    const struct block *right = b;
    return (left->address > right->address) - (left->address < right->address);
}

static void sort_blocks(struct seen_blocks *seen)
{
    if (seen->count > 0) {
        qsort(seen->blocks, seen->count, sizeof seen->blocks[0], by_address);
    }
}

/* All blocks of the model, mail included, sorted by address. */
static struct seen_blocks model_blocks(const struct model *model)
{
    struct seen_blocks all = {0};
    for (unsigned w = 0; w < model->plan->threads; w++) {
        const struct worker *worker = &model->workers[w];
        for (size_t i = 0; i < worker->live; i++) {
            verify(worker, &worker->blocks[i]);
            see(&all, worker->blocks[i].address, worker->blocks[i].usable);
        }
        for (size_t i = 0; i < worker->mail_count; i++) {
            verify(worker, &worker->mail[i]);
            see(&all, worker->mail[i].address, worker->mail[i].usable);
        }
    }
    sort_blocks(&all);
    return all;
}

static void expect_no_overlap(const struct worker *worker, const struct seen_blocks *blocks)
{
    for (size_t i = 1; i < blocks->count; i++) {
        const struct block *before = &blocks->blocks[i - 1];
        expect(before->address + before->usable <= blocks->blocks[i].address, worker, "blocks overlap", before);
    }
}

/* The walk shows every block of the model; if all remote frees are delivered, nothing else. */
static void expect_walk_matches(const struct worker *worker, const struct seen_blocks *walked,
                                const struct seen_blocks *expected, bool exactly)
{
    size_t at = 0;
    for (size_t i = 0; i < expected->count; i++) {
        const struct block *block = &expected->blocks[i];
        while (!exactly && at < walked->count && walked->blocks[at].address < block->address) {
            at++;
        }
        expect(at < walked->count && walked->blocks[at].address <= block->address, worker,
               "the walk does not show a live block", block);
        expect(walked->blocks[at].address == block->address, worker, "the walk shows a block that is not live",
               &walked->blocks[at]);
        expect(walked->blocks[at].usable == block->usable, worker, "the walk shows another size", block);
        at++;
    }
    expect(!exactly || at == walked->count, worker, "the walk shows more blocks than are live",
           at < walked->count ? &walked->blocks[at] : NULL);
}

struct totals {
    uint64_t requests, frees, refusals;
    size_t live_bytes;
};

static struct totals totals_of(const struct model *model, const struct seen_blocks *live)
{
    struct totals totals = {0};
    for (unsigned w = 0; w < model->plan->threads; w++) {
        totals.requests += model->workers[w].requests;
        totals.frees += model->workers[w].frees;
        totals.refusals += model->workers[w].refusals;
    }
    for (size_t i = 0; i < live->count; i++) {
        totals.live_bytes += live->blocks[i].usable;
    }
    return totals;
}

static void expect_number(const struct worker *worker, const char *what, uint64_t got, uint64_t wanted)
{
    if (got != wanted) {
        char text[160];
        snprintf(text, sizeof text, "%s: %" PRIu64 ", should be %" PRIu64, what, got, wanted);
        give_up(worker, text, NULL);
    }
}

static void expect_sums_agree(const struct worker *worker, const cairn_stats *stats, const struct seen_blocks *walked)
{
    size_t live = stats->large_blocks + stats->huge_blocks;
    size_t live_bytes = stats->large_bytes + stats->huge_bytes;
    uint64_t requests = 0;
    for (size_t i = 0; i < stats->class_count; i++) {
        live += stats->classes[i].blocks_live;
        live_bytes += stats->classes[i].blocks_live * stats->classes[i].block_size;
        requests += stats->classes[i].requests;
    }
    expect_number(worker, "sum of live blocks of the classes", live, stats->live_blocks);
    expect_number(worker, "sum of live bytes of the classes", live_bytes, stats->live_bytes);
    expect(requests <= stats->requests, worker, "the classes had more requests than the heap", NULL);
    expect_number(worker, "arenas", stats->arenas, walked->arenas);
    expect_number(worker, "arenas ever", stats->arenas_created - stats->arenas_released, stats->arenas);
    expect_number(worker, "pools used", stats->pools_used, walked->pools[CAIRN_POOL_USED]);
    expect_number(worker, "pools full", stats->pools_full, walked->pools[CAIRN_POOL_FULL]);
    expect_number(worker, "pools free", stats->pools_free, walked->pools[CAIRN_POOL_FREE]);
    expect_number(worker, "large blocks", stats->large_blocks, walked->large);
    expect_number(worker, "segments", stats->segments, walked->segments);
    expect_number(worker, "segment bytes", stats->segment_bytes, walked->segment_bytes);
    expect_number(worker, "holes", stats->holes, walked->holes);
    expect_number(worker, "hole bytes", stats->hole_bytes, walked->hole_bytes);
    expect_number(worker, "large bytes", stats->large_bytes, walked->large_bytes);
    expect_number(worker, "huge blocks", stats->huge_blocks, walked->huge);
    expect_number(worker, "huge bytes", stats->huge_bytes, walked->huge_bytes);
    expect(stats->live_bytes <= stats->held_bytes, worker, "more live bytes than held", NULL);
    expect(stats->held_bytes <= stats->held_peak, worker, "more held than its peak", NULL);
    expect(stats->held_bytes <= stats->reserved_bytes, worker, "more held than reserved", NULL);
    expect(stats->resident_bytes <= stats->reserved_bytes, worker, "more resident than reserved", NULL);
}

/* Every resident byte is counted once, under one cause. */
static void expect_fragmentation_adds_up(const struct model *model, const struct seen_blocks *walked)
{
    const struct worker *worker = &model->workers[0];
    const cairn_stats *stats = stats_of(model->heap);
    cairn_fragmentation figures;
    expect(cairn_heap_fragmentation(model->heap, &figures) == 0, worker, "no figures of fragmentation", NULL);
    size_t causes = figures.free_blocks_resident + figures.tails_resident + figures.untouched_resident +
                    figures.free_pools_resident + figures.holes_resident + figures.handle_holes_resident +
                    figures.headers_resident + figures.cached_resident;
    expect_number(worker, "external bytes and their causes", figures.external_bytes, causes);
    expect_number(worker, "resident bytes", figures.live_resident + causes, figures.resident_bytes);
    expect_number(worker, "resident bytes and what was walked", figures.resident_bytes - figures.cached_resident,
                  walked->resident);
    expect_number(worker, "resident bytes of the statistics", stats->resident_bytes, figures.resident_bytes);
    expect(figures.live_resident <= stats->live_bytes, worker, "more resident in live blocks than they have", NULL);
    expect(figures.cached_resident <= stats->cached_bytes, worker, "more resident in the cache than it has", NULL);
    expect_number(worker, "hole bytes of the fragmentation", figures.hole_bytes, stats->hole_bytes);
    size_t pools = 0;
    size_t holes = 0;
    for (size_t i = 0; i < CAIRN_OCCUPANCY_TENTHS; i++) {
        pools += figures.pool_occupancy[i];
    }
    for (size_t i = 0; i < CAIRN_HOLE_SIZES; i++) {
        holes += figures.holes[i].count;
    }
    expect_number(worker, "pools by occupancy", pools, stats->pools_used + stats->pools_full);
    expect_number(worker, "holes by size", holes, stats->holes);
}

static void expect_stats_match(const struct model *model, const struct seen_blocks *walked,
                               const struct seen_blocks *live, bool exactly)
{
    const struct worker *worker = &model->workers[0];
    const cairn_stats *stats = stats_of(model->heap);
    struct totals totals = totals_of(model, live);
    expect_number(worker, "requests", stats->requests, totals.requests);
    expect_number(worker, "failed requests", stats->requests_failed, totals.refusals);
    expect_number(worker, "requests minus frees", stats->requests - stats->frees, stats->live_blocks);
    expect_number(worker, "live blocks and blocks walked", stats->live_blocks, walked->count);
    if (exactly) {
        expect_number(worker, "frees", stats->frees, totals.frees);
        expect_number(worker, "live blocks", stats->live_blocks, live->count);
        expect_number(worker, "live bytes", stats->live_bytes, totals.live_bytes);
    } else {
        expect(stats->frees <= totals.frees, worker, "more frees counted than made", NULL);
        expect(stats->live_bytes >= totals.live_bytes, worker, "fewer live bytes counted than held", NULL);
    }
    expect(!model->plan->exact || stats->live_peak >= stats->live_bytes, worker, "live bytes above their peak", NULL);
    expect(!model->plan->single || stats->remote_frees == 0, worker, "remote frees on a single heap", NULL);
    expect_sums_agree(worker, stats, walked);
}

/* No thread is inside the heap. */
static void check_all(const struct model *model)
{
    const struct worker *worker = &model->workers[0];
    bool exactly = model->delivered;
    expect(cairn_heap_check(model->heap, stderr) == 0, worker, "the heap's check found faults", NULL);
    struct seen_blocks live = model_blocks(model);
    struct seen_blocks walked = {0};
    expect(cairn_heap_walk(model->heap, true, see_area, &walked), worker, "the walk ended early", NULL);
    sort_blocks(&walked);
    expect_no_overlap(worker, &live);
    expect_no_overlap(worker, &walked);
    expect_walk_matches(worker, &walked, &live, exactly);
    expect_stats_match(model, &walked, &live, exactly);
    expect_fragmentation_adds_up(model, &walked);
    expect(os_fake_faults() == 0, worker, "the heap touched what it had not reserved", NULL);
    free(live.blocks);
    free(walked.blocks);
}

/* ---- threads ---- */

static void join_predecessor(struct worker *worker)
{
    if (worker->has_predecessor) {
        join_thread(worker->predecessor);
        worker->has_predecessor = false;
    }
}

/* Works to the end of the round; true if a successor takes over instead. */
static bool work_a_round(struct worker *worker)
{
    bool alone = worker->model->plan->threads == 1;
    while (worker->step < worker->round_ends) {
        do_step(worker);
        if (!alone && random_below(&worker->random, LIFE_MEAN) == 0) {
            join_predecessor(worker);
            worker->predecessor = pthread_self();
            worker->has_predecessor = true;
            return true;
        }
    }
    return false;
}

/* Delivers all remote frees: everyone sends its own; then everyone takes what came in, and passes on what is meant for
 * the new owner of a pool; then everyone takes that. The barriers keep the three apart. */
static void deliver(struct worker *worker)
{
    for (unsigned i = 0; i < DELIVERIES; i++) {
        do_trim(worker);
        pthread_barrier_wait(&worker->model->barrier);
    }
}

/* `delivered` is read before the barrier: behind it the controller may set it for the next round. */
static void end_of_round(struct worker *worker)
{
    bool delivered = worker->model->delivered;
    join_predecessor(worker);
    pthread_barrier_wait(&worker->model->barrier); /* all have stopped */
    if (delivered) {
        deliver(worker);
    }
    pthread_barrier_wait(&worker->model->barrier); /* the controller has checked */
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    at_work = worker;
    worker->thread = pthread_self();
    while (!worker->model->over) {
        if (work_a_round(worker)) {
            /* From here on the worker belongs to the successor. */
            pthread_t successor;
            start_thread(&successor, work, worker);
            return NULL;
        }
        end_of_round(worker);
    }
    return NULL;
}

/* ---- runs ---- */

static void set_round(struct model *model, size_t round)
{
    uint64_t random = model->seed + round;
    model->delivered = model->plan->threads == 1 || model->plan->single || random_chance(&random, 60);
    for (unsigned w = 0; w < model->plan->threads; w++) {
        struct worker *worker = &model->workers[w];
        size_t share = model->plan->operations / model->plan->threads / ROUNDS;
        worker->round_ends = worker->step + share + 1;
    }
}

static void run_alone(struct model *model)
{
    struct worker *worker = &model->workers[0];
    at_work = worker;
    for (size_t round = 0; round < ROUNDS; round++) {
        set_round(model, round);
        (void)work_a_round(worker);
        check_all(model);
    }
}

static void run_threads(struct model *model)
{
    set_round(model, 0);
    for (unsigned w = 0; w < model->plan->threads; w++) {
        pthread_t thread; /* the worker notes its own, and so do its successors */
        start_thread(&thread, work, &model->workers[w]);
    }
    for (size_t round = 1; round <= ROUNDS; round++) {
        pthread_barrier_wait(&model->barrier);
        for (unsigned i = 0; model->delivered && i < DELIVERIES; i++) {
            pthread_barrier_wait(&model->barrier);
        }
        check_all(model);
        set_round(model, round);
        model->over = round == ROUNDS;
        pthread_barrier_wait(&model->barrier);
    }
    for (unsigned w = 0; w < model->plan->threads; w++) {
        join_thread(model->workers[w].thread);
    }
}

static void prepare(struct model *model, const struct model_plan *plan)
{
    memset(model, 0, sizeof *model);
    model->plan = plan;
    model->seed = test_seed();
    pthread_mutex_init(&model->serial, NULL);
    pthread_barrier_init(&model->barrier, NULL, plan->threads + 1);
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    require(cairn_geometry_parse(plan->geometry, &model->geometry, NULL, 0) == 0);
    options.geometry = &model->geometry;
    options.name = plan->name;
    options.single = plan->single;
    options.exact = plan->exact;
    options.min_alignment = plan->min_alignment;
    options.limit = plan->limit;
    options.purge_delay_ms = plan->purge_delay_ms;
    options.fit = plan->fit;
    options.no_pools = plan->no_pools;
    options.huge = CAIRN_HUGE_NEVER; /* the system would fill huge pages up between two looks at what is resident */
    options.memory_size = plan->memory_size;
    if (plan->memory_size != 0) {
        model->memory = os->reserve(plan->memory_size, os_page_size());
        require(model->memory != NULL && os->commit(model->memory, plan->memory_size));
        options.memory = model->memory;
    }
    model->heap = plan->as_told ? heap_as_told(&options) : cairn_heap_create(&options);
    require(model->heap != NULL);
    if (plan->packed) {
        geometry_pack(model->heap);
    }
    cairn_heap_geometry(model->heap, &model->geometry);
    for (unsigned w = 0; w < plan->threads; w++) {
        struct worker *worker = &model->workers[w];
        worker->model = model;
        worker->index = w;
        worker->random = model->seed * 1000003 + w;
        worker->blocks = calloc(plan->blocks_max, sizeof worker->blocks[0]);
        require(worker->blocks != NULL);
        pthread_mutex_init(&worker->mail_lock, NULL);
    }
}

/* All threads are gone: frees what is left, trims, and nothing may be held. */
static void wind_up(struct model *model)
{
    const struct worker *first = &model->workers[0];
    os_fake_refuse_none();
    for (unsigned w = 0; w < model->plan->threads; w++) {
        free_all(&model->workers[w]);
    }
    cairn_trim(model->heap);
    model->delivered = true;
    check_all(model);
    const cairn_stats *stats = stats_of(model->heap);
    expect_number(first, "bytes held after all was freed", stats->held_bytes, 0);
    expect_number(first, "arenas held after all was freed", stats->arenas, 0);
    expect_number(first, "bytes cached after a trim", stats->cached_bytes, 0);
}

size_t model_run(const struct model_plan *plan)
{
    struct model *model = malloc(sizeof *model);
    require(model != NULL && plan->threads >= 1 && plan->threads <= MODEL_THREADS_MAX);
    prepare(model, plan);
    cairn_misuse_handler before = cairn_set_misuse_handler(on_misuse);
    if (plan->refuse_per_thousand != 0) {
        os_fake_refuse_some(OS_FAKE_GROWTH | OS_FAKE_PURGE, plan->refuse_per_thousand, model->seed);
    }
    if (plan->threads == 1) {
        run_alone(model);
    } else {
        run_threads(model);
    }
    wind_up(model);
    cairn_heap_destroy(model->heap);
    require(plan->memory_size == 0 || os->release(model->memory, plan->memory_size));
    cairn_set_misuse_handler(before);
    at_work = NULL;
    size_t done = 0;
    for (unsigned w = 0; w < plan->threads; w++) {
        done += model->workers[w].step;
        free(model->workers[w].blocks);
        pthread_mutex_destroy(&model->workers[w].mail_lock);
    }
    pthread_barrier_destroy(&model->barrier);
    pthread_mutex_destroy(&model->serial);
    free(model);
    return done;
}
