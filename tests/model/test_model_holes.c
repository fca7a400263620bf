/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* test_model_holes.c: the hole space under every fit. Random operations on two spaces over regions of the same shape,
 * one with its index and one with the plain list, and on a model, a bitmap with one bit for each 16 bytes that a block
 * takes: from it the test works out by itself which hole the fit must choose, where in it the block must lie, and what
 * the figures must be, at every step. Where a tie lets the two spaces choose differently, the plain one is built anew
 * in the shape of the other. Then: spaces that grow and shrink while the system refuses, and one test for each rule in
 * heap/hole.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/hole.h"
#include "heap/hole_index.h"
#include "heap/meta.h"
#include "heap/pagemap.h"
#include "heap/types.h"
#include "support/os_fake.h"
#include "support/test.h"

enum { STEPS = 60000, SLOTS_MAX = 400, NONE = -1 };

static struct owner owner;

static const cairn_fit fits[] = {CAIRN_FIT_BEST, CAIRN_FIT_FIRST, CAIRN_FIT_NEXT, CAIRN_FIT_WORST};

static void space_init(struct hole_space *space, struct meta *meta, cairn_fit fit, bool plain)
{
    memset(space, 0, sizeof *space);
    const struct hole_options options = {
        .meta = meta,
        .owner = &owner,
        .fit = fit,
        .plain = plain,
        .segment_size = MIB(1),
        .secret = UINT64_C(0x5DEECE66D1234567),
        .purge_delay_ms = 50,
        .keep_segments = 1,
        .huge_from = SIZE_MAX,
    };
    holes_init(space, &options);
}

static void space_is_sound(const struct hole_space *space)
{
    const char *fault = holes_check(space);
    if (fault != NULL) {
        fail_msg("%s", fault);
    }
}

static struct segment *segment_at(const void *block)
{
    struct pool *record = pagemap_get(block);
    assert_non_null(record);
    assert_int_equal(atomic_load(&record->kind), POOL_SEGMENT);
    assert_ptr_equal(atomic_load(&record->owner), &owner);
    return segment_of_record(record);
}

static void *take(struct hole_space *space, size_t size)
{
    void *block = holes_alloc(space, size, HOLE_UNIT, NULL, true);
    assert_non_null(block);
    return block;
}

static void drop(struct hole_space *space, void *block)
{
    struct segment *segment = segment_at(block);
    assert_true(holes_is_block(space, segment, block));
    holes_free(space, segment, block);
}

static bool resize(struct hole_space *space, void *block, size_t size)
{
    return holes_resize(space, segment_at(block), block, size);
}

/* ---- the model ---- */

enum { REGION = 1 << 20, UNITS = REGION / HOLE_UNIT - 1 }; /* the last unit is no chunk's */

struct model {
    cairn_fit fit;
    uint64_t live[REGION / HOLE_UNIT / 64];
    long rover; /* unit */
};

struct run {
    long start, length; /* units; start NONE: no hole */
};

static bool is_live(const struct model *model, long unit)
{
    return model->live[unit / 64] >> (unit % 64) & 1;
}

static void model_set(struct model *model, long start, long length, bool live)
{
    for (long unit = start; unit < start + length; unit++) {
        assert_int_not_equal(is_live(model, unit), live);
        model->live[unit / 64] ^= UINT64_C(1) << (unit % 64);
    }
}

/* The first hole at or behind a unit that lies in no hole. */
static struct run run_from(const struct model *model, long unit)
{
    struct run run = {NONE, 0};
    while (unit < UNITS && is_live(model, unit)) {
        uint64_t holes = ~(model->live[unit / 64] >> (unit % 64));
        unit += holes ? __builtin_ctzll(holes) : 64 - unit % 64;
        unit = unit > UNITS ? UNITS : unit;
    }
    if (unit >= UNITS) {
        return run;
    }
    run.start = unit;
    while (unit < UNITS && !is_live(model, unit)) {
        uint64_t live = model->live[unit / 64] >> (unit % 64);
        unit += live ? __builtin_ctzll(live) : 64 - unit % 64;
    }
    run.length = (unit > UNITS ? UNITS : unit) - run.start;
    return run;
}

#define FOR_RUNS(run, model)                                                                                           \
    for (struct run run = run_from(model, 0); (run).start != NONE; run = run_from(model, (run).start + (run).length))

/* The hole that a unit lies in. */
static struct run run_at(const struct model *model, long unit)
{
    FOR_RUNS(run, model)
    {
        if (unit >= run.start && unit < run.start + run.length) {
            return run;
        }
    }
    return (struct run){NONE, 0};
}

/* A freed block's hole may have swallowed the rover. */
static void model_keep_rover(struct model *model)
{
    struct run run = run_at(model, model->rover);
    if (run.start != NONE) {
        model->rover = run.start;
    }
}

/* The length (best, worst) or start (first, next) of the holes that the fit may choose for `need` units; NONE: no
 * hole. */
static long model_choice(const struct model *model, long need)
{
    long choice = NONE;
    long wrapped = NONE;
    FOR_RUNS(run, model)
    {
        if (run.length < need) {
            continue;
        }
        switch (model->fit) {
        case CAIRN_FIT_BEST:
            choice = choice == NONE || run.length < choice ? run.length : choice;
            break;
        case CAIRN_FIT_WORST:
            choice = run.length > choice ? run.length : choice;
            break;
        case CAIRN_FIT_FIRST:
            choice = choice == NONE ? run.start : choice;
            break;
        case CAIRN_FIT_NEXT:
            wrapped = wrapped == NONE ? run.start : wrapped;
            choice = choice == NONE && run.start >= model->rover ? run.start : choice;
            break;
        case CAIRN_FIT_DEFAULT: /* a heap's, never a space's */
            break;
        }
    }
    return choice == NONE ? wrapped : choice;
}

static bool is_choice(const struct model *model, struct run run, long choice)
{
    bool by_length = model->fit == CAIRN_FIT_BEST || model->fit == CAIRN_FIT_WORST;
    return choice != NONE && (by_length ? run.length : run.start) == choice;
}

/* Units in front of a block that is to be aligned, in a region that is aligned to more. */
static long front_in(long start, size_t alignment)
{
    long step = (long)(alignment / HOLE_UNIT);
    long front = step > 1 ? (step - (start + 1) % step) % step : 0;
    return front == 1 ? front + step : front;
}

static bool fits_in(struct run run, long need, size_t alignment)
{
    return front_in(run.start, alignment) + need <= run.length;
}

/* Whether some hole (or the one given) that the fit may choose at first look has no room for the alignment. */
static bool may_look_again(const struct model *model, long choice, long need, size_t alignment)
{
    FOR_RUNS(run, model)
    {
        if (is_choice(model, run, choice) && !fits_in(run, need, alignment)) {
            return true;
        }
    }
    return false;
}

static long with_room(long need, size_t alignment)
{
    return alignment > HOLE_UNIT ? need + (long)(alignment / HOLE_UNIT) + 1 : need;
}

/* Whether the fit may choose this hole (start NONE: may find none) for a request. */
static bool may_choose(const struct model *model, struct run run, long need, size_t alignment)
{
    long first = model_choice(model, need);
    if (run.start != NONE && is_choice(model, run, first) && fits_in(run, need, alignment)) {
        return true;
    }
    if (first == NONE) {
        return run.start == NONE;
    }
    if (!may_look_again(model, first, need, alignment)) {
        return false;
    }
    long second = model_choice(model, with_room(need, alignment));
    return run.start == NONE ? second == NONE : is_choice(model, run, second);
}

/* ---- the two spaces and the model ---- */

struct slot {
    long start; /* unit of the chunk; NONE: empty */
    size_t usable;
    uint64_t stamp;
};

struct side {
    struct hole_space space;
    struct meta meta;
    char *base;
};

struct drive {
    struct side indexed, plain;
    struct model model;
    struct slot slots[SLOTS_MAX];
    uint64_t random;
    size_t refused, rebuilt, resized, zeroed;
};

static void side_init(struct side *side, cairn_fit fit, bool plain)
{
    memset(&side->meta, 0, sizeof side->meta);
    space_init(&side->space, &side->meta, fit, plain);
    side->base = os->reserve(REGION, REGION);
    assert_non_null(side->base);
    assert_true(os->commit(side->base, REGION));
    assert_int_equal(holes_give(&side->space, side->base, REGION, true), REGION - HOLE_SEGMENT_TAIL);
}

static void side_end(struct side *side)
{
    holes_release_all(&side->space);
    assert_int_equal(side->space.figures.segments, 0);
    assert_null(pagemap_get(side->base));
    assert_true(os->release(side->base, REGION));
    meta_release(&side->meta);
}

static char *block_in(const struct side *side, long start)
{
    return side->base + start * HOLE_UNIT + HOLE_UNIT;
}

static long start_in(const struct side *side, const void *block)
{
    return ((const char *)block - side->base) / HOLE_UNIT - 1;
}

/* ---- the plain space in the shape of the other ---- */

struct shape {
    struct side *side;
    void *to_free[UNITS / 2];
    size_t count;
};

static bool shape_area(const struct hole_area *area, void *context)
{
    struct shape *shape = context;
    if (area->kind == HOLE_AREA_SEGMENT) {
        return true;
    }
    bool hole = area->kind == HOLE_AREA_HOLE;
    void *block = holes_alloc(&shape->side->space, hole ? area->size - HOLE_OVERHEAD : area->size, HOLE_UNIT, NULL,
                              false);
    assert_non_null(block);
    if (hole) {
        shape->to_free[shape->count++] = block;
    }
    return true;
}

static void rebuild_plain(struct drive *drive)
{
    static struct shape shape;
    uintptr_t rover = drive->indexed.space.rover - (uintptr_t)drive->indexed.base;
    shape.side = &drive->plain;
    shape.count = 0;
    holes_release_all(&drive->plain.space);
    assert_true(os->purge(drive->plain.base, REGION));
    assert_int_equal(holes_give(&drive->plain.space, drive->plain.base, REGION, true), REGION - HOLE_SEGMENT_TAIL);
    assert_true(holes_visit(&drive->indexed.space, shape_area, &shape));
    for (size_t i = 0; i < shape.count; i++) {
        drop(&drive->plain.space, shape.to_free[i]);
    }
    drive->plain.space.rover = rover + (uintptr_t)drive->plain.base;
    drive->rebuilt++;
}

/* ---- what must hold after every step ---- */

struct comparison {
    const struct side *side;
    const struct model *model;
    struct run next; /* the model's next hole */
    bool after_hole;
    size_t blocks, live;
};

/* Pages that the system holds inside a hole are pages that the space knows of. */
static void residence_is_known(const struct hole_area *area)
{
    size_t page = os_page_size();
    uintptr_t from = ((uintptr_t)area->address + HOLE_CHUNK_MIN + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)area->address + area->size) & ~(page - 1);
    if (from < to) {
        assert_true(os->resident((void *)from, to - from) <= area->resident);
    }
}

static bool compare_area(const struct hole_area *area, void *context)
{
    struct comparison *comparison = context;
    if (area->kind == HOLE_AREA_HOLE) {
        long start = ((char *)area->address - comparison->side->base) / HOLE_UNIT;
        assert_false(comparison->after_hole);
        assert_int_equal(start, comparison->next.start);
        assert_int_equal(area->size, comparison->next.length * HOLE_UNIT);
        comparison->next = run_from(comparison->model, start + comparison->next.length);
    } else if (area->kind == HOLE_AREA_BLOCK) {
        assert_true(is_live(comparison->model, start_in(comparison->side, area->address)));
        comparison->blocks++;
        comparison->live += area->size;
    }
    comparison->after_hole = area->kind == HOLE_AREA_HOLE;
    return true;
}

static bool residence_area(const struct hole_area *area, void *context)
{
    (void)context;
    if (area->kind == HOLE_AREA_HOLE) {
        residence_is_known(area);
    }
    return true;
}

static void side_agrees(const struct side *side, const struct model *model)
{
    struct comparison comparison = {side, model, run_from(model, 0), false, 0, 0};
    size_t held = 0;
    size_t holes = 0;
    long largest = 0;
    space_is_sound(&side->space);
    assert_true(holes_visit(&side->space, compare_area, &comparison));
    assert_int_equal(comparison.next.start, NONE);
    for (size_t word = 0; word < COUNT_OF(model->live); word++) {
        held += (size_t)__builtin_popcountll(model->live[word]) * HOLE_UNIT;
    }
    FOR_RUNS(run, model)
    {
        holes++;
        largest = run.length > largest ? run.length : largest;
    }
    const struct hole_figures *figures = &side->space.figures;
    assert_int_equal(figures->held_bytes, held);
    assert_int_equal(figures->live_blocks, comparison.blocks);
    assert_int_equal(figures->live_bytes, comparison.live);
    assert_int_equal(figures->live_bytes, held - comparison.blocks * HOLE_OVERHEAD);
    assert_int_equal(figures->holes, holes);
    assert_int_equal(holes_bytes(&side->space), (size_t)UNITS * HOLE_UNIT - held);
    assert_int_equal(holes_largest(&side->space), largest * HOLE_UNIT);
}

static void drive_agrees(struct drive *drive)
{
    side_agrees(&drive->indexed, &drive->model);
    side_agrees(&drive->plain, &drive->model);
}

/* ---- operations ---- */

static size_t some_size(struct drive *drive)
{
    switch (random_below(&drive->random, 10)) {
    case 0:
        return random_below(&drive->random, 4);
    case 1:
    case 2:
        return 4096 * (1 + random_below(&drive->random, 8)) - 40 + random_below(&drive->random, 80);
    case 3:
        return random_below(&drive->random, 150000);
    default:
        return random_below(&drive->random, 1500);
    }
}

static size_t some_alignment(struct drive *drive)
{
    return random_chance(&drive->random, 75) ? HOLE_UNIT : (size_t)1 << random_below(&drive->random, 17);
}

static long units_of(size_t size)
{
    long units = (long)((size + HOLE_OVERHEAD + HOLE_UNIT - 1) / HOLE_UNIT);
    return units < 2 ? 2 : units;
}

/* The block lies where it must in the hole that the fit must choose; if there is none, none may serve. */
static void block_is_right(const struct side *side, const struct model *model, void *block, size_t size,
                           size_t alignment)
{
    long need = units_of(size);
    struct run run = {NONE, 0};
    if (block != NULL) {
        long start = start_in(side, block);
        assert_true(aligned_to(block, HOLE_UNIT));
        assert_true(aligned_to(block, alignment));
        run = run_at(model, start);
        assert_int_not_equal(run.start, NONE);
        assert_int_equal(start, run.start + front_in(run.start, alignment));
        long rest = run.start + run.length - start - need;
        size_t usable = holes_usable(block);
        assert_true(usable >= size);
        assert_int_equal(usable, (need + (rest < 2 ? rest : 0)) * HOLE_UNIT - HOLE_OVERHEAD);
    }
    assert_true(may_choose(model, run, need, alignment));
}

static void note_block(struct drive *drive, struct slot *slot, char *block, bool zeroed)
{
    size_t usable = holes_usable(block);
    long units = (long)((usable + HOLE_OVERHEAD) / HOLE_UNIT);
    *slot = (struct slot){start_in(&drive->indexed, block), usable, random_next(&drive->random)};
    model_set(&drive->model, slot->start, units, true);
    drive->model.rover = slot->start + units;
    if (zeroed) {
        drive->zeroed++;
        assert_true(bytes_are(block, 0, usable));
    }
    pattern_fill(block, usable, slot->stamp);
}

/* Only best and worst fit have ties. */
static void do_alloc(struct drive *drive, struct slot *slot)
{
    size_t size = some_size(drive);
    size_t alignment = some_alignment(drive);
    bool zeroed = false;
    bool asks = random_chance(&drive->random, 50);
    char *block = holes_alloc(&drive->indexed.space, size, alignment, asks ? &zeroed : NULL, false);
    char *plain = holes_alloc(&drive->plain.space, size, alignment, NULL, false);
    block_is_right(&drive->indexed, &drive->model, block, size, alignment);
    block_is_right(&drive->plain, &drive->model, plain, size, alignment);
    bool same = block == NULL || plain == NULL ? block == plain
                                               : start_in(&drive->indexed, block) == start_in(&drive->plain, plain);
    if (block != NULL) {
        note_block(drive, slot, block, zeroed);
    } else {
        drive->refused++;
    }
    if (!same) {
        assert_true(drive->model.fit == CAIRN_FIT_BEST || drive->model.fit == CAIRN_FIT_WORST);
        rebuild_plain(drive);
    }
}

static void contents_hold(struct drive *drive, const struct slot *slot)
{
    const char *block = block_in(&drive->indexed, slot->start);
    assert_true(pattern_holds(block, slot->usable, slot->usable, slot->stamp));
    assert_int_equal(holes_usable(block), slot->usable);
}

static void do_free(struct drive *drive, struct slot *slot)
{
    contents_hold(drive, slot);
    void *block = block_in(&drive->indexed, slot->start);
    struct segment *segment = segment_at(block);
    drop(&drive->indexed.space, block);
    drop(&drive->plain.space, block_in(&drive->plain, slot->start));
    assert_false(holes_is_block(&drive->indexed.space, segment, block));
    assert_int_equal(holes_find(&drive->indexed.space, segment, block).kind, HOLE_PLACE_FREE);
    model_set(&drive->model, slot->start, (long)((slot->usable + HOLE_OVERHEAD) / HOLE_UNIT), false);
    model_keep_rover(&drive->model);
    slot->start = NONE;
}

/* Whether a block of `have` units can have `need` where it is, and how many it then has. */
static bool model_resize(const struct model *model, long start, long have, long need, long *units)
{
    long behind = start + have;
    struct run run = behind < UNITS && !is_live(model, behind) ? run_at(model, behind) : (struct run){behind, 0};
    long all = have + run.length;
    if (need > all) {
        return false;
    }
    if (need <= have) {
        *units = have - need >= 2 || (have > need && run.length) ? need : have;
    } else {
        *units = all - need < 2 ? all : need;
    }
    return true;
}

static void do_resize(struct drive *drive, struct slot *slot)
{
    char *block = block_in(&drive->indexed, slot->start);
    size_t size = random_chance(&drive->random, 50) ? some_size(drive)
                                                    : slot->usable + 200 - random_below(&drive->random, 400);
    size = size > PTRDIFF_MAX ? 0 : size;
    long have = (long)((slot->usable + HOLE_OVERHEAD) / HOLE_UNIT);
    long units = have;
    bool can = model_resize(&drive->model, slot->start, have, units_of(size), &units);
    assert_int_equal(resize(&drive->indexed.space, block, size), can);
    assert_int_equal(resize(&drive->plain.space, block_in(&drive->plain, slot->start), size), can);
    size_t usable = (size_t)units * HOLE_UNIT - HOLE_OVERHEAD;
    assert_int_equal(holes_usable(block), usable);
    assert_true(pattern_holds(block, slot->usable, usable < slot->usable ? usable : slot->usable, slot->stamp));
    if (units > have) {
        model_set(&drive->model, slot->start + have, units - have, true);
    } else if (units < have) {
        model_set(&drive->model, slot->start + units, have - units, false);
        model_keep_rover(&drive->model);
    }
    drive->resized += units != have;
    slot->usable = usable;
    pattern_fill(block, usable, slot->stamp);
}

static void do_care(struct drive *drive)
{
    for (int i = 0; i < 2; i++) {
        struct hole_space *space = i ? &drive->plain.space : &drive->indexed.space;
        size_t warm = space->figures.warm_bytes;
        size_t some = random_below(&drive->random, KIB(64));
        switch (random_below(&drive->random, 12)) {
        case 0:
            assert_int_equal(holes_trim(space), warm);
            assert_int_equal(space->figures.warm_bytes, 0);
            break;
        case 1:
            warm = warm < some ? warm : round_up(some, os_page_size());
            assert_int_equal(holes_cool(space, some), warm);
            break;
        default:
            holes_tick(space, holes_due(space) + random_below(&drive->random, 60));
        }
    }
}

/* Blocks come and go, mostly come for a while, then mostly go. */
static void step(struct drive *drive, size_t number)
{
    struct slot *slot = &drive->slots[random_below(&drive->random, SLOTS_MAX)];
    unsigned coming = number / 2000 % 2 ? 35 : 80;
    bool comes = random_chance(&drive->random, coming);
    if (random_chance(&drive->random, 4)) {
        do_care(drive);
    } else if (slot->start == NONE) {
        if (comes) {
            do_alloc(drive, slot);
        }
    } else if (random_chance(&drive->random, 30)) {
        do_resize(drive, slot);
    } else if (!comes) {
        do_free(drive, slot);
    }
}

static void model_run(cairn_fit fit)
{
    static struct drive drive;
    memset(&drive, 0, sizeof drive);
    drive.random = test_seed() + (uint64_t)fit;
    drive.model.fit = fit;
    side_init(&drive.indexed, fit, false);
    side_init(&drive.plain, fit, true);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        drive.slots[i].start = NONE;
    }
    size_t steps = test_scaled(STEPS);
    for (size_t i = 0; i < steps; i++) {
        step(&drive, i);
        drive_agrees(&drive);
        if (i % 100 == 0) {
            assert_true(holes_visit(&drive.indexed.space, residence_area, NULL));
        }
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (drive.slots[i].start != NONE) {
            do_free(&drive, &drive.slots[i]);
            drive_agrees(&drive);
        }
    }
    assert_int_equal(drive.indexed.space.figures.holes, 1);
    if (steps >= 20000) {
        assert_true(drive.refused > 0 && drive.resized > 0 && drive.zeroed > 0);
    }
    side_end(&drive.indexed);
    side_end(&drive.plain);
}

static void best_fit_chooses_as_the_model(void **state)
{
    (void)state;
    model_run(CAIRN_FIT_BEST);
}

static void first_fit_chooses_as_the_model(void **state)
{
    (void)state;
    model_run(CAIRN_FIT_FIRST);
}

static void next_fit_chooses_as_the_model(void **state)
{
    (void)state;
    model_run(CAIRN_FIT_NEXT);
}

static void worst_fit_chooses_as_the_model(void **state)
{
    (void)state;
    model_run(CAIRN_FIT_WORST);
}

/* ---- many large holes: the bands and trees of the large bins, and the tree of addresses ---- */

enum { LARGE_BLOCKS = 1200 };

struct choice {
    cairn_fit fit;
    size_t need;
    uintptr_t rover;
    const void *hole, *behind; /* next: the first and the first at or behind the rover */
    size_t size;               /* best, worst */
};

/* The reference again, over the walk. Sizes alone for best and worst. */
static bool choose_area(const struct hole_area *area, void *context)
{
    struct choice *choice = context;
    if (area->kind != HOLE_AREA_HOLE || area->size < choice->need) {
        return true;
    }
    choice->hole = choice->hole != NULL ? choice->hole : area->address;
    if (choice->behind == NULL && (uintptr_t)area->address >= choice->rover) {
        choice->behind = area->address;
    }
    bool better = choice->fit == CAIRN_FIT_BEST ? area->size < choice->size : area->size > choice->size;
    if (choice->size == 0 || better) {
        choice->size = area->size;
    }
    return true;
}

static void take_as_chosen(struct hole_space *space, void **block, size_t size)
{
    struct choice choice = {space->options.fit, holes_chunk_size(size), space->rover, NULL, NULL, 0};
    size_t holes = space->figures.holes;
    assert_true(holes_visit(space, choose_area, &choice));
    *block = holes_alloc(space, size, HOLE_UNIT, NULL, false);
    if (choice.hole == NULL) {
        assert_null(*block);
        return;
    }
    assert_non_null(*block);
    const char *chunk = (char *)*block - HOLE_UNIT;
    size_t used = holes_usable(*block) + HOLE_OVERHEAD;
    if (choice.fit == CAIRN_FIT_FIRST) {
        assert_ptr_equal(chunk, choice.hole);
    } else if (choice.fit == CAIRN_FIT_NEXT) {
        assert_ptr_equal(chunk, choice.behind != NULL ? choice.behind : choice.hole);
    } else if (space->figures.holes == holes) {
        struct hole_place rest = holes_find(space, segment_at(chunk), chunk + used + HOLE_UNIT);
        assert_int_equal(rest.kind, HOLE_PLACE_FREE);
        assert_int_equal(used + rest.size, choice.size);
    } else {
        assert_int_equal(used, choice.size);
    }
}

static size_t bands_made(const struct hole_space *space)
{
    size_t made = 0;
    for (size_t i = 0; space->bins != NULL && i < BANDS; i++) {
        made += space->bins->band[i] != NULL;
    }
    return made;
}

static void choose_among_large_holes(cairn_fit fit, size_t smallest, size_t spread, size_t least_bands)
{
    static void *blocks[LARGE_BLOCKS];
    struct hole_space space;
    struct meta meta = {0};
    uint64_t random = test_seed() + (uint64_t)fit;
    space_init(&space, &meta, fit, false);
    space.options.segment_size = smallest * 1200;
    for (size_t i = 0; i < LARGE_BLOCKS; i++) {
        blocks[i] = take(&space, smallest + spread / 1500 * random_below(&random, 1500));
    }
    size_t steps = test_scaled(12000);
    for (size_t i = 0; i < steps; i++) {
        void **block = &blocks[random_below(&random, LARGE_BLOCKS)];
        if (*block == NULL && random_chance(&random, i / 1500 % 2 ? 70 : 40)) {
            take_as_chosen(&space, block, smallest - KIB(2) + spread / 24 * random_below(&random, 40));
        } else if (*block != NULL && random_chance(&random, 60)) {
            drop(&space, *block);
            *block = NULL;
        }
        if (i % 16 == 0) {
            space_is_sound(&space);
        }
    }
    assert_true(steps < 3000 || space.figures.holes > 100);
    assert_true(steps < 3000 || bands_made(&space) >= least_bands);
    holes_release_all(&space);
    space_is_sound(&space);
    meta_release(&meta);
}

static void large_holes_are_chosen_by_every_fit(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        size_t bands = fits[f] == CAIRN_FIT_BEST || fits[f] == CAIRN_FIT_WORST;
        choose_among_large_holes(fits[f], KIB(32), KIB(6), bands);
        choose_among_large_holes(fits[f], KIB(100), KIB(12), bands);
        choose_among_large_holes(fits[f], MIB(1) + KIB(4), KIB(24), 0);
    }
}

/* A hole chosen by a search is found without a look at all the others. */
static void searches_do_not_visit_every_hole(void **state)
{
    (void)state;
    enum { HOLES = 20000, SEARCHES = 2000, MOST = 40 };
    static void *blocks[2 * HOLES];
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        struct hole_space space;
        struct meta meta = {0};
        uint64_t random = test_seed() + f;
        space_init(&space, &meta, fits[f], false);
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = take(&space, i % 2 ? 16 : 100 + random_below(&random, 3000));
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i += 2) {
            drop(&space, blocks[i]);
        }
        assert_true(space.figures.holes > HOLES * 9 / 10);
        uint64_t visited = space.figures.visited;
        uint64_t searches = space.figures.searches;
        for (size_t i = 0; i < SEARCHES; i++) {
            drop(&space, take(&space, 100 + random_below(&random, 3000)));
        }
        assert_int_equal(space.figures.searches - searches, SEARCHES);
        assert_true(space.figures.visited - visited >= SEARCHES);
        assert_true(space.figures.visited - visited < SEARCHES * MOST);
        space_is_sound(&space);
        holes_release_all(&space);
        meta_release(&meta);
    }
}

/* ---- growing and shrinking, while the system refuses ---- */

enum { GROWING_BLOCKS = 300 };

struct growing {
    struct hole_space space;
    struct meta meta;
    char *blocks[GROWING_BLOCKS];
    size_t usable[GROWING_BLOCKS];
    uint64_t random;
};

static bool count_area(const struct hole_area *area, void *context)
{
    size_t *counts = context;
    counts[0] += area->kind == HOLE_AREA_BLOCK;
    counts[1] += area->kind == HOLE_AREA_SEGMENT;
    return true;
}

static void growing_agrees(struct growing *growing)
{
    size_t live = 0;
    size_t counts[2] = {0};
    for (size_t i = 0; i < GROWING_BLOCKS; i++) {
        if (growing->blocks[i] != NULL) {
            live++;
            assert_int_equal(holes_usable(growing->blocks[i]), growing->usable[i]);
            assert_true(pattern_holds(growing->blocks[i], growing->usable[i], growing->usable[i], i));
        }
    }
    space_is_sound(&growing->space);
    assert_true(holes_visit(&growing->space, count_area, counts));
    if (growing->space.options.huge_from == SIZE_MAX) { /* else the system may join small pages when it likes */
        assert_true(holes_visit(&growing->space, residence_area, NULL));
    }
    assert_int_equal(counts[0], live);
    assert_int_equal(growing->space.figures.live_blocks, live);
    assert_int_equal(growing->space.figures.segments, counts[1]);
    assert_int_equal(growing->space.figures.segments_made - growing->space.figures.segments_released, counts[1]);
    assert_int_equal(os_fake_faults(), 0);
}

static void growing_alloc(struct growing *growing, size_t i)
{
    size_t size = random_below(&growing->random, random_chance(&growing->random, 10) ? MIB(2) : KIB(60));
    size_t alignment = random_chance(&growing->random, 80) ? HOLE_UNIT : KIB(4) << random_below(&growing->random, 9);
    bool zeroed = false;
    growing->blocks[i] = holes_alloc(&growing->space, size, alignment, &zeroed, true);
    if (growing->blocks[i] != NULL) {
        assert_true(aligned_to(growing->blocks[i], alignment));
        growing->usable[i] = holes_usable(growing->blocks[i]);
        assert_true(growing->usable[i] >= size);
        assert_true(!zeroed || bytes_are(growing->blocks[i], 0, growing->usable[i]));
        pattern_fill(growing->blocks[i], growing->usable[i], i);
    }
}

static void growing_step(struct growing *growing, bool comes)
{
    size_t i = random_below(&growing->random, GROWING_BLOCKS);
    struct hole_space *space = &growing->space;
    if (random_chance(&growing->random, 2)) {
        holes_trim(space);
    } else if (random_chance(&growing->random, 5)) {
        holes_tick(space, holes_due(space) + random_below(&growing->random, 60));
    } else if (random_chance(&growing->random, 2)) {
        holes_cool(space, random_below(&growing->random, MIB(1)));
    } else if (growing->blocks[i] == NULL) {
        if (comes) {
            growing_alloc(growing, i);
        }
    } else if (random_chance(&growing->random, 25)) {
        size_t size = random_below(&growing->random, KIB(90));
        if (resize(space, growing->blocks[i], size)) {
            growing->usable[i] = holes_usable(growing->blocks[i]);
            assert_true(growing->usable[i] >= size);
            pattern_fill(growing->blocks[i], growing->usable[i], i);
        }
    } else if (!comes) {
        drop(space, growing->blocks[i]);
        growing->blocks[i] = NULL;
    }
}

static void growing_run(cairn_fit fit, bool plain, unsigned delay, unsigned kinds, size_t segment_size)
{
    static struct growing growing;
    memset(&growing, 0, sizeof growing);
    size_t reserved = os_fake_reserved_bytes();
    growing.random = test_seed() + (uint64_t)fit;
    space_init(&growing.space, &growing.meta, fit, plain);
    growing.space.options.purge_delay_ms = delay;
    growing.space.options.segment_size = segment_size;
    growing.space.options.huge_from = segment_size > MIB(2) ? MIB(1) : SIZE_MAX;
    size_t steps = test_scaled(3000);
    os_fake_refuse_some(kinds, 300, growing.random);
    for (size_t i = 0; i < steps; i++) {
        growing_step(&growing, random_chance(&growing.random, i / 600 % 2 ? 30 : 85));
        if (i % 8 == 0) {
            growing_agrees(&growing);
        }
    }
    assert_true(kinds == 0 || steps < 1000 || os_fake_rule_refused() > 0);
    os_fake_refuse_none();
    growing_agrees(&growing);
    holes_release_all(&growing.space);
    assert_null(growing.space.segments);
    assert_int_equal(growing.space.figures.live_bytes + growing.space.figures.holes, 0);
    assert_int_equal(growing.space.figures.warm_bytes + growing.space.figures.segment_bytes, 0);
    meta_release(&growing.meta);
    assert_int_equal(os_fake_reserved_bytes(), reserved);
}

static void spaces_grow_and_shrink(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        for (unsigned variant = 0; variant < 4; variant++) {
            growing_run(fits[f], variant & 1, variant & 2 ? 0 : 50, 0, MIB(1));
        }
    }
}

static void spaces_stay_sound_when_the_system_refuses(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        growing_run(fits[f], false, 50, OS_FAKE_GROWTH | OS_FAKE_PURGE, MIB(1));
        growing_run(fits[f], false, 0, OS_FAKE_GROWTH, MIB(1));
        growing_run(fits[f], false, 50, OS_FAKE_RELEASE | OS_FAKE_PURGE, MIB(1));
        growing_run(fits[f], false, 0, OS_FAKE_RELEASE | OS_FAKE_PURGE, MIB(1));
    }
}

static void spaces_on_huge_pages_grow_and_shrink(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        growing_run(fits[f], false, 50, 0, MIB(7));
        growing_run(fits[f], false, 0, 0, MIB(7));
        growing_run(fits[f], false, 50, OS_FAKE_GROWTH | OS_FAKE_PURGE, MIB(7));
    }
}

/* ---- coalescing, exhaustively ---- */

enum { PIECES = 6, ORDERS = 720 };

/* A space of one page. */
struct page_space {
    struct hole_space space;
    struct meta meta;
    char *page;
};

static void page_space_init(struct page_space *small, cairn_fit fit, bool plain)
{
    memset(small, 0, sizeof *small);
    space_init(&small->space, &small->meta, fit, plain);
    small->page = os->reserve(os_page_size(), os_page_size());
    assert_non_null(small->page);
    assert_int_equal(holes_give(&small->space, small->page, os_page_size(), false), os_page_size() - HOLE_SEGMENT_TAIL);
}

static void page_space_end(struct page_space *small)
{
    holes_release_all(&small->space);
    assert_true(os->release(small->page, os_page_size()));
    meta_release(&small->meta);
}

/* Numbers 0 to 5 in the order of this number. */
static void order_of(size_t number, size_t order[PIECES])
{
    size_t rest[PIECES] = {0, 1, 2, 3, 4, 5};
    for (size_t left = PIECES; left > 0; left--) {
        size_t at = number % left;
        number /= left;
        order[PIECES - left] = rest[at];
        memmove(&rest[at], &rest[at + 1], (left - at - 1) * sizeof rest[0]);
    }
}

static size_t runs_of_free(const bool live[PIECES])
{
    size_t runs = 0;
    for (size_t i = 0; i < PIECES; i++) {
        runs += !live[i] && (i == 0 || live[i - 1]);
    }
    return runs;
}

static void free_in_order(struct page_space *small, const size_t order[PIECES])
{
    static const size_t sizes[PIECES] = {24, 600, 40, 1000, 8, 0};
    char *blocks[PIECES];
    bool live[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        bool last = i == PIECES - 1;
        blocks[i] = holes_alloc(&small->space, last ? holes_largest(&small->space) - HOLE_OVERHEAD : sizes[i],
                                HOLE_UNIT, NULL, false);
        assert_non_null(blocks[i]);
        assert_ptr_equal(blocks[i], i == 0 ? small->page + HOLE_UNIT : blocks[i - 1] + holes_usable(blocks[i - 1]) + 8);
        live[i] = true;
    }
    assert_int_equal(small->space.figures.holes, 0);
    assert_null(holes_alloc(&small->space, 1, HOLE_UNIT, NULL, false));
    for (size_t i = 0; i < PIECES; i++) {
        drop(&small->space, blocks[order[i]]);
        live[order[i]] = false;
        space_is_sound(&small->space);
        assert_int_equal(small->space.figures.holes, runs_of_free(live));
    }
    assert_int_equal(holes_largest(&small->space), os_page_size() - HOLE_SEGMENT_TAIL);
}

static void freed_blocks_join_in_every_order(void **state)
{
    (void)state;
    for (size_t variant = 0; variant < 2 * COUNT_OF(fits); variant++) {
        struct page_space small;
        page_space_init(&small, fits[variant / 2], variant % 2);
        for (size_t number = 0; number < ORDERS; number++) {
            size_t order[PIECES];
            order_of(number, order);
            free_in_order(&small, order);
        }
        page_space_end(&small);
    }
}

/* ---- the rover ---- */

static void next_fit_goes_round(void **state)
{
    (void)state;
    struct page_space small;
    page_space_init(&small, CAIRN_FIT_NEXT, false);
    struct hole_space *space = &small.space;
    void *a = take(space, 504);
    void *b = take(space, 504);
    void *c = take(space, 504);
    void *d = take(space, 504);
    drop(space, a);
    drop(space, c);
    char *e = take(space, 200); /* behind d, though a and c would do */
    assert_ptr_equal(e, (char *)d + 512);
    void *rest = take(space, holes_usable(e)); /* and behind that */
    assert_ptr_equal(rest, e + 208);
    size_t size = 4080 - 4 * 512 - 2 * 208 - HOLE_OVERHEAD;
    void *end = take(space, size);
    drop(space, end);                      /* the rover stands behind it */
    assert_ptr_equal(take(space, 200), a); /* round to the lowest */
    drop(space, a);
    assert_ptr_equal(take(space, 200), a);
    assert_ptr_equal(take(space, size), end);
    assert_null(holes_alloc(space, 505, HOLE_UNIT, NULL, false));
    drop(space, a);
    assert_ptr_equal(take(space, 200), a);
    assert_ptr_equal(take(space, 400), c); /* what is left of a is too small */
    drop(space, end);
    drop(space, b);
    assert_ptr_equal(take(space, 300), end); /* the next, though b would do */
    space_is_sound(space);
    page_space_end(&small);
}

static void the_rover_moves_to_the_start_of_a_hole_that_swallows_it(void **state)
{
    (void)state;
    struct page_space small;
    page_space_init(&small, CAIRN_FIT_NEXT, false);
    struct hole_space *space = &small.space;
    void *a = take(space, 504);
    void *b = take(space, 504);
    void *c = take(space, 504);
    void *d = take(space, 504);
    void *end = take(space, holes_largest(space) - HOLE_OVERHEAD);
    drop(space, a);
    drop(space, c);
    assert_ptr_equal(take(space, 100), a);
    drop(space, a);
    assert_ptr_equal(take(space, 504), a); /* the rover stood behind its first part: it went back to its start */
    assert_ptr_equal(take(space, 100), c);
    drop(space, a);
    drop(space, c);
    assert_ptr_equal(take(space, 500), c); /* not a */
    drop(space, b);
    drop(space, d); /* a with b; c; d: the rover stands at d */
    assert_ptr_equal(take(space, 500), d);
    drop(space, c);
    assert_ptr_equal(take(space, 500), a); /* round */
    drop(space, end);
    space_is_sound(space);
    page_space_end(&small);
}

static void the_rover_survives_its_segment(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_NEXT, false);
    size_t records = 0;
    for (int round = 0; round < 20; round++) {
        void *first = take(&space, KIB(700));
        void *second = take(&space, KIB(700)); /* the rover is in its segment */
        assert_int_equal(space.figures.segments, 2);
        drop(&space, round % 2 ? first : second);
        holes_trim(&space);
        assert_int_equal(space.figures.segments, 1);
        void *third = take(&space, KIB(700));
        space_is_sound(&space);
        drop(&space, round % 2 ? second : first);
        drop(&space, third);
        holes_trim(&space);
        assert_int_equal(space.figures.segments, 0);
        records = round == 0 ? meta.bytes : records;
    }
    assert_int_equal(meta.bytes, records);
    holes_release_all(&space);
    meta_release(&meta);
}

/* Addresses that were a segment's may come back as another's, of other size. */
static void the_rover_is_not_inside_a_new_hole(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_NEXT, false);
    char *region = os->reserve(KIB(64), KIB(64));
    assert_non_null(region);
    space.rover = (uintptr_t)region + KIB(32);
    assert_true(holes_give(&space, region, KIB(64), true) > 0);
    space_is_sound(&space);
    assert_ptr_equal(take(&space, 100), region + HOLE_UNIT);
    holes_release_all(&space);
    assert_true(os->release(region, KIB(64)));
    meta_release(&meta);
}

/* ---- misuse ---- */

static void place_is(const struct hole_space *space, const void *address, enum hole_place_kind kind, const void *start,
                     size_t size)
{
    struct hole_place place = holes_find(space, segment_at(address), address);
    assert_int_equal(place.kind, kind);
    assert_ptr_equal(place.start, start);
    assert_int_equal(place.size, size);
    assert_int_equal(holes_is_block(space, segment_at(address), address), kind == HOLE_PLACE_BLOCK);
}

static void addresses_are_told_apart(void **state)
{
    (void)state;
    struct page_space small;
    page_space_init(&small, CAIRN_FIT_BEST, false);
    struct hole_space *space = &small.space;
    char *a = take(space, 104);
    char *b = take(space, 200);
    char *c = take(space, 24);
    size_t size = holes_usable(b);
    for (size_t i = 1; i < size; i++) {
        place_is(space, b + i, HOLE_PLACE_INTERIOR, b, size);
    }
    place_is(space, b, HOLE_PLACE_BLOCK, b, size);
    place_is(space, b + size, HOLE_PLACE_HEADER, c, 24);
    place_is(space, small.page, HOLE_PLACE_HEADER, a, 104);
    place_is(space, c + 24, HOLE_PLACE_FREE, c + 16, 4080 - 112 - 208 - 32);
    place_is(space, small.page + 4095, HOLE_PLACE_FREE, c + 16, 4080 - 112 - 208 - 32);
    drop(space, b);
    place_is(space, b, HOLE_PLACE_FREE, b - 16, 208);
    drop(space, a); /* b's hole is now a's */
    place_is(space, b, HOLE_PLACE_FREE, a - 16, 112 + 208);
    place_is(space, a, HOLE_PLACE_FREE, a - 16, 112 + 208);
    place_is(space, c, HOLE_PLACE_BLOCK, c, 24);
    drop(space, c);
    place_is(space, c, HOLE_PLACE_FREE, a - 16, 4080);
    page_space_end(&small);
}

static void an_overwritten_header_is_seen(void **state)
{
    (void)state;
    struct page_space small;
    page_space_init(&small, CAIRN_FIT_FIRST, false);
    struct hole_space *space = &small.space;
    char *a = take(space, 100);
    char *b = take(space, 100);
    size_t usable = holes_usable(a);
    assert_ptr_equal(b, a + usable + 8);
    for (size_t byte = 0; byte < 8; byte++) {
        unsigned char kept = (unsigned char)a[usable + byte];
        for (unsigned bit = byte == 0 ? 4 : 0; bit < 8; bit++) { /* the lowest four bits are flags */
            a[usable + byte] = (char)(kept ^ (1u << bit));
            assert_false(holes_is_block(space, segment_at(b), b));
            struct hole_place place = holes_find(space, segment_at(b), b);
            assert_int_equal(place.kind, HOLE_PLACE_DAMAGED);
            assert_ptr_equal(place.start, b);
            assert_non_null(holes_check(space));
        }
        a[usable + byte] = (char)kept;
    }
    assert_true(holes_is_block(space, segment_at(b), b));
    space_is_sound(space);
    page_space_end(&small);
}

static void a_copy_of_a_block_is_no_block(void **state)
{
    (void)state;
    struct page_space small;
    page_space_init(&small, CAIRN_FIT_BEST, false);
    char *block = take(&small.space, 200);
    memcpy(block + 48, block - 16, 64);
    assert_false(holes_is_block(&small.space, segment_at(block), block + 64));
    page_space_end(&small);
}

/* ---- memory of the caller ---- */

static void given_memory_is_used_and_left_alone(void **state)
{
    (void)state;
    size_t page = os_page_size();
    char *memory = malloc(18 * page);
    require(memory != NULL);
    bytes_fill(memory, 0xAA, 18 * page);
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    char *base = (char *)round_up(address_of(memory) + 1, page);
    assert_int_equal(holes_give(&space, base - 1, page, false), 0);
    assert_int_equal(holes_give(&space, base + 1, 2 * page - 2, false), 0);
    assert_int_equal(holes_give(&space, base - 1, 16 * page + 2, false), 16 * page - HOLE_SEGMENT_TAIL);
    assert_int_equal(space.figures.segment_bytes, 16 * page);
    bool zeroed = true;
    char *block = holes_alloc(&space, 8 * page, HOLE_UNIT, &zeroed, false);
    assert_ptr_equal(block, base + HOLE_UNIT);
    assert_false(zeroed);
    assert_true(bytes_are(block + 16, 0xAA, 8 * page - 16));
    assert_null(holes_alloc(&space, 8 * page, HOLE_UNIT, NULL, false));
    char *rest = holes_alloc(&space, holes_largest(&space) - HOLE_OVERHEAD, HOLE_UNIT, NULL, false);
    assert_non_null(rest);
    assert_null(holes_alloc(&space, 1, HOLE_UNIT, NULL, false));
    drop(&space, block);
    assert_int_equal(space.figures.warm_bytes, 0);
    assert_int_equal(holes_due(&space), 0);
    assert_int_equal(holes_trim(&space), 0);
    assert_true(bytes_are(block + 16, 0xAA, 8 * page - 32));
    assert_ptr_equal(holes_alloc(&space, 8 * page, HOLE_UNIT, NULL, false), block);
    drop(&space, block);
    drop(&space, rest);
    assert_int_equal(holes_trim(&space), 0);
    assert_int_equal(space.figures.segments, 1);
    space_is_sound(&space);
    void *elsewhere = holes_alloc(&space, 20 * page, HOLE_UNIT, NULL, true);
    assert_int_equal(space.figures.segments, 2);
    assert_non_null(elsewhere);
    holes_release_all(&space);
    assert_null(pagemap_get(base));
    assert_true(bytes_are(base + page, 0xAA, 7 * page));
    assert_int_equal(os_fake_faults(), 0);
    meta_release(&meta);
    free(memory);
}

static void a_region_beyond_two_gigabytes_is_more_than_one_segment(void **state)
{
    (void)state;
    size_t size = MIB(2048) + KIB(64);
    char *base = os->reserve(size, os_page_size());
    if (base == NULL) {
        skip();
    }
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_FIRST, false);
    assert_int_equal(holes_give(&space, base, size, true), size - 2 * HOLE_SEGMENT_TAIL);
    assert_int_equal(space.figures.segments, 2);
    assert_int_equal(holes_largest(&space), MIB(2048) - HOLE_SEGMENT_TAIL);
    assert_non_null(holes_alloc(&space, HOLE_REQUEST_MAX, HOLE_UNIT, NULL, false));
    assert_non_null(holes_alloc(&space, MIB(1023), MIB(1), NULL, false));
    char *last = holes_alloc(&space, KIB(64) - HOLE_SEGMENT_TAIL - HOLE_OVERHEAD, HOLE_UNIT, NULL, false);
    assert_non_null(last);
    space_is_sound(&space);
    holes_release_all(&space);
    assert_true(os->release(base, size));
    meta_release(&meta);
}

/* ---- segments ---- */

static void requests_beyond_the_bounds_are_refused(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    assert_null(holes_alloc(&space, (size_t)HOLE_REQUEST_MAX + 1, HOLE_UNIT, NULL, true));
    assert_null(holes_alloc(&space, SIZE_MAX, HOLE_UNIT, NULL, true));
    assert_null(holes_alloc(&space, 1, (size_t)2 * HOLE_REQUEST_MAX, NULL, true));
    assert_null(holes_alloc(&space, 1, HOLE_UNIT, NULL, false));
    assert_int_equal(space.figures.segments, 0);
    void *block = take(&space, 0);
    assert_int_equal(holes_usable(block), HOLE_CHUNK_MIN - HOLE_OVERHEAD);
    assert_false(resize(&space, block, SIZE_MAX));
    assert_false(resize(&space, block, (size_t)HOLE_REQUEST_MAX + 1));
    assert_true(resize(&space, block, 0));
    holes_release_all(&space);
    meta_release(&meta);
}

static void segments_are_as_large_as_they_must_and_can_be(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    drop(&space, take(&space, 100));
    assert_int_equal(space.figures.segment_bytes, MIB(1));
    void *large = take(&space, MIB(3)); /* more than a segment */
    assert_true(space.figures.segment_bytes > MIB(4) && space.figures.segment_bytes < MIB(4) + KIB(129));
    void *aligned = holes_alloc(&space, MIB(1), MIB(1), NULL, true);
    assert_true(aligned_to(aligned, MIB(1)));
    drop(&space, large);
    drop(&space, aligned);
    holes_trim(&space);
    assert_int_equal(space.figures.segments, 0);
    os_fake_budget(os_fake_reserved_bytes() + KIB(600));
    assert_non_null(holes_alloc(&space, 100, HOLE_UNIT, NULL, true)); /* half of one */
    assert_int_equal(space.figures.segment_bytes, KIB(512));
    assert_non_null(holes_alloc(&space, KIB(500), HOLE_UNIT, NULL, true));
    assert_null(holes_alloc(&space, KIB(90), HOLE_UNIT, NULL, true));
    assert_non_null(holes_alloc(&space, KIB(66), HOLE_UNIT, NULL, true)); /* the least that serves */
    space_is_sound(&space);
    os_fake_budget(0);
    assert_true(holes_reserve(&space, MIB(5)));
    size_t segments = space.figures.segments;
    assert_non_null(holes_alloc(&space, MIB(5), HOLE_UNIT, NULL, false));
    assert_int_equal(space.figures.segments, segments);
    holes_release_all(&space);
    meta_release(&meta);
}

/* The record of a released segment is no place for that of a much larger one. */
static void records_have_room_for_their_segments(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    void *first = take(&space, KIB(1000));
    void *second = take(&space, KIB(1000));
    drop(&space, first);
    assert_int_equal(holes_trim(&space), MIB(1));
    void *large = take(&space, MIB(20));
    space_is_sound(&space);
    drop(&space, second);
    assert_int_equal(holes_trim(&space), MIB(1));
    second = take(&space, KIB(1000));
    drop(&space, large);
    space_is_sound(&space);
    assert_true(holes_trim(&space) > MIB(20));
    space_is_sound(&space);
    holes_release_all(&space);
    meta_release(&meta);
}

/* A segment costs what is used of it. */
static void an_unused_end_stays_untouched(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(fits); f++) {
        struct hole_space space;
        struct meta meta = {0};
        space_init(&space, &meta, fits[f], false);
        char *block = take(&space, KIB(100));
        assert_int_equal(os->resident(block - HOLE_UNIT, MIB(1)), 2 * os_page_size());
        bool zeroed = false;
        char *more = holes_alloc(&space, KIB(700), HOLE_UNIT, &zeroed, true);
        assert_true(zeroed);
        assert_null(pagemap_get(block - HOLE_UNIT + MIB(1) - 1));
        assert_ptr_equal(pagemap_get(more + KIB(700) - 1), pagemap_get(block));
        holes_release_all(&space);
        meta_release(&meta);
    }
}

static void refused_pages_refuse_the_request_alone(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    char *block = take(&space, 1000);
    os_fake_refuse_from(OS_FAKE_COMMIT, 0);
    assert_null(holes_alloc(&space, KIB(100), HOLE_UNIT, NULL, true));
    assert_false(resize(&space, block, KIB(200)));
    assert_int_equal(holes_usable(block), 1000);
    assert_int_equal(space.figures.live_blocks, 1);
    space_is_sound(&space);
    os_fake_refuse_none();
    assert_true(resize(&space, block, KIB(200)));
    assert_non_null(holes_alloc(&space, KIB(100), HOLE_UNIT, NULL, true));
    assert_int_equal(space.figures.segments, 1);
    holes_release_all(&space);
    meta_release(&meta);
}

/* ---- giving back ---- */

struct warming {
    struct hole_space space;
    struct meta meta;
    char *a, *b, *guard;
    size_t page;
};

/* Three used blocks of 16 pages and some bytes, in one segment. */
static void warming_init(struct warming *warming, unsigned delay)
{
    memset(warming, 0, sizeof *warming);
    space_init(&warming->space, &warming->meta, CAIRN_FIT_FIRST, false);
    warming->space.options.purge_delay_ms = delay;
    warming->page = os_page_size();
    char **blocks[] = {&warming->a, &warming->b, &warming->guard};
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        *blocks[i] = take(&warming->space, 16 * warming->page);
        bytes_fill(*blocks[i], 1, 16 * warming->page);
    }
    os_fake_reset();
}

static void warming_end(struct warming *warming)
{
    space_is_sound(&warming->space);
    holes_release_all(&warming->space);
    meta_release(&warming->meta);
}

static size_t resident_pages(const struct warming *warming, const char *block)
{
    return os->resident((void *)round_up(address_of(block), warming->page), 15 * warming->page) / warming->page;
}

static void pages_idle_for_two_ticks_go(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 50);
    struct hole_space *space = &warming.space;
    assert_int_equal(holes_due(space), 0);
    drop(space, warming.a);
    uint64_t due = holes_due(space);
    assert_int_not_equal(due, 0);
    assert_int_equal(space->figures.warm_bytes, 15 * warming.page);
    holes_tick(space, due - 1);
    holes_tick(space, due);
    assert_int_equal(os_fake_calls().purge, 0);
    assert_int_not_equal(holes_due(space), 0);
    drop(space, warming.b); /* younger */
    holes_tick(space, holes_due(space));
    assert_int_equal(os_fake_calls().purge, 1);
    assert_int_equal(resident_pages(&warming, warming.a), 0);
    assert_int_equal(resident_pages(&warming, warming.b), 15);
    assert_int_equal(space->figures.purged_bytes, 15 * warming.page);
    holes_tick(space, holes_due(space));
    assert_int_equal(resident_pages(&warming, warming.b), 0);
    assert_int_equal(space->figures.warm_bytes, 0);
    assert_int_equal(holes_due(space), 0);
    assert_true(bytes_are(warming.guard, 1, 16 * warming.page));
    warming_end(&warming);
}

/* A space whose first block lies on a huge page, if the system gives any. */
static void huge_init(struct warming *warming)
{
    memset(warming, 0, sizeof *warming);
    space_init(&warming->space, &warming->meta, CAIRN_FIT_FIRST, false);
    warming->space.options.segment_size = MIB(8);
    warming->space.options.huge_from = 0;
    warming->page = os_page_size();
    os_fake_reset();
    warming->a = take(&warming->space, KIB(64));
    warming->b = take(&warming->space, MIB(4));
    warming->guard = take(&warming->space, KIB(64));
    assert_int_equal(os_fake_calls().advise, 1);
}

static void a_touched_huge_page_counts_whole(void **state)
{
    (void)state;
    struct warming warming;
    huge_init(&warming);
    size_t warm = warming.space.figures.warm_bytes; /* of the third huge page */
    assert_true(warm >= MIB(2) - KIB(128) - 4 * warming.page && warm <= MIB(2) - KIB(128));
    space_is_sound(&warming.space);
    assert_int_equal(holes_cool(&warming.space, SIZE_MAX), warm);
    assert_int_equal(warming.space.figures.warm_bytes, 0);
    (void)take(&warming.space, holes_largest(&warming.space) - HOLE_OVERHEAD); /* up to the segment's end */
    assert_int_equal(warming.space.figures.segments, 1);
    assert_int_equal(warming.space.figures.warm_bytes, 0);
    warming_end(&warming);
}

static void whole_huge_pages_are_cooled_first(void **state)
{
    (void)state;
    struct warming warming;
    huge_init(&warming);
    drop(&warming.space, warming.b); /* the second huge page and parts of the first and the third */
    os_fake_reset();
    assert_int_equal(holes_cool(&warming.space, 1), MIB(2));
    assert_int_equal(os_fake_calls().purge, 1);
    assert_int_equal(holes_cool(&warming.space, 1), warming.page);
    size_t warm = warming.space.figures.warm_bytes;
    warming.b = take(&warming.space, MIB(2)); /* ends in the second, which is touched as a whole again */
    assert_true(warming.space.figures.warm_bytes > warm - MIB(2) + KIB(128));
    assert_true(warming.space.figures.warm_bytes < warm + MIB(2));
    warming_end(&warming);
}

static void a_segment_with_idle_parts_of_huge_pages_gets_no_more(void **state)
{
    (void)state;
    struct warming warming;
    huge_init(&warming);
    struct hole_space *space = &warming.space;
    holes_tick(space, holes_due(space));
    assert_int_equal(os_fake_calls().advise, 1);
    holes_tick(space, holes_due(space));
    assert_int_equal(os_fake_calls().advise, 2);
    assert_int_equal(space->figures.warm_bytes, 0);
    assert_non_null(take(space, MIB(3)));
    assert_int_equal(os_fake_calls().advise, 2);
    assert_int_equal(space->figures.warm_bytes, 0);
    warming_end(&warming);
}

static void pages_used_between_ticks_stay(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 50);
    struct hole_space *space = &warming.space;
    drop(space, warming.a);
    for (int i = 0; i < 5; i++) {
        holes_tick(space, holes_due(space));
        assert_ptr_equal(take(space, 16 * warming.page), warming.a);
        drop(space, warming.a);
    }
    assert_int_equal(os_fake_calls().purge, 0);
    holes_tick(space, holes_due(space) + 50); /* a whole delay late */
    assert_int_equal(os_fake_calls().purge, 1);
    assert_int_equal(resident_pages(&warming, warming.a), 0);
    bool zeroed = false;
    assert_ptr_equal(holes_alloc(space, 16 * warming.page, HOLE_UNIT, &zeroed, false), warming.a);
    assert_true(zeroed);
    assert_true(bytes_are(warming.a, 0, 16 * warming.page));
    warming_end(&warming);
}

/* A hole may have purged pages between warm ones. */
static void pages_are_counted_one_by_one(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 50);
    struct hole_space *space = &warming.space;
    drop(space, warming.b);
    holes_trim(space);
    drop(space, warming.guard);
    drop(space, warming.a);
    assert_int_equal(space->figures.warm_bytes, 33 * warming.page);
    assert_int_equal(resident_pages(&warming, warming.b), 0);
    assert_ptr_equal(take(space, 40 * warming.page), warming.a);
    space_is_sound(space);
    assert_int_equal(space->figures.warm_bytes, 8 * warming.page); /* 41 to 48 */
    warming_end(&warming);
}

static void without_a_delay_pages_go_at_once(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 0);
    drop(&warming.space, warming.a);
    assert_int_equal(resident_pages(&warming, warming.a), 0);
    assert_true(resize(&warming.space, warming.b, warming.page));
    assert_int_equal(resident_pages(&warming, warming.b + 2 * warming.page), 2); /* the guard's */
    assert_int_equal(holes_due(&warming.space), 0);
    warming_end(&warming);
}

static void the_longest_warm_are_cooled_first(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 50);
    struct hole_space *space = &warming.space;
    drop(space, warming.b);
    holes_tick(space, holes_due(space));
    drop(space, warming.a);
    assert_int_equal(holes_cool(space, 1), warming.page);
    assert_int_equal(holes_cool(space, 3 * warming.page - 1), 3 * warming.page);
    assert_int_equal(resident_pages(&warming, warming.a), 15);
    assert_true(resident_pages(&warming, warming.b) <= 12);
    size_t warm = space->figures.warm_bytes;
    assert_int_equal(holes_cool(space, SIZE_MAX), warm);
    assert_int_equal(resident_pages(&warming, warming.a), 0);
    assert_int_equal(holes_cool(space, 1), 0);
    warming_end(&warming);
}

static void refused_purges_change_nothing(void **state)
{
    (void)state;
    struct warming warming;
    warming_init(&warming, 50);
    struct hole_space *space = &warming.space;
    drop(space, warming.a);
    size_t warm = space->figures.warm_bytes;
    os_fake_refuse_from(OS_FAKE_PURGE, 0);
    holes_tick(space, holes_due(space) + 50);
    assert_int_equal(os_fake_rule_refused(), 1);
    assert_int_equal(holes_due(space), 0); /* not asked again until something moves */
    assert_int_equal(holes_trim(space), 0);
    assert_int_equal(holes_cool(space, 1), 0);
    assert_int_equal(space->figures.warm_bytes, warm);
    space_is_sound(space);
    os_fake_refuse_none();
    assert_int_equal(holes_trim(space), warm);
    warming_end(&warming);
}

static void segments_without_blocks_go(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    size_t reserved = os_fake_reserved_bytes();
    void *blocks[4];
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    space.options.keep_segments = 2;
    for (int i = 0; i < 4; i++) {
        blocks[i] = take(&space, i % 2 ? 100 : KIB(1000));
        take(&space, i % 2 ? holes_largest(&space) - HOLE_OVERHEAD : 1);
    }
    holes_release_all(&space);
    for (int i = 0; i < 4; i++) {
        blocks[i] = take(&space, KIB(1000));
    }
    assert_int_equal(space.figures.segments, 4);
    for (int i = 0; i < 4; i++) {
        drop(&space, blocks[i]);
    }
    holes_tick(&space, holes_due(&space));
    assert_int_equal(space.figures.segments, 4);
    holes_tick(&space, holes_due(&space));
    assert_int_equal(space.figures.segments, 2);
    os_fake_refuse_nth(OS_FAKE_RELEASE, 0);
    assert_int_equal(holes_trim(&space), MIB(1));
    assert_int_equal(space.figures.segments, 1);
    os_fake_refuse_none();
    space_is_sound(&space);
    void *block = take(&space, KIB(1000));
    assert_int_equal(space.figures.segments, 1);
    drop(&space, block);
    assert_int_not_equal(holes_due(&space), 0);
    assert_int_equal(holes_trim(&space), MIB(1));
    assert_int_equal(holes_due(&space), 0);
    assert_null(pagemap_get(block));
    assert_int_equal(space.figures.segments_made, space.figures.segments_released);
    meta_release(&meta);
    assert_int_equal(os_fake_reserved_bytes(), reserved);
}

/* A segment whose blocks all lay on its first page has no warm pages, but is to go. */
static void a_segment_of_one_used_page_goes(void **state)
{
    (void)state;
    struct hole_space space;
    struct meta meta = {0};
    space_init(&space, &meta, CAIRN_FIT_BEST, false);
    space.options.keep_segments = 0;
    drop(&space, take(&space, 100));
    assert_int_equal(space.figures.warm_bytes, 0);
    holes_tick(&space, holes_due(&space));
    assert_int_equal(space.figures.segments, 0);
    holes_release_all(&space);
    meta_release(&meta);
}

static int forget_rules(void **state)
{
    (void)state;
    os_fake_reset();
    return 0;
}

int main(void)
{
    os_fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(best_fit_chooses_as_the_model, forget_rules),
        cmocka_unit_test_setup(first_fit_chooses_as_the_model, forget_rules),
        cmocka_unit_test_setup(next_fit_chooses_as_the_model, forget_rules),
        cmocka_unit_test_setup(worst_fit_chooses_as_the_model, forget_rules),
        cmocka_unit_test_setup(large_holes_are_chosen_by_every_fit, forget_rules),
        cmocka_unit_test_setup(searches_do_not_visit_every_hole, forget_rules),
        cmocka_unit_test_setup(spaces_grow_and_shrink, forget_rules),
        cmocka_unit_test_setup(spaces_stay_sound_when_the_system_refuses, forget_rules),
        cmocka_unit_test_setup(spaces_on_huge_pages_grow_and_shrink, forget_rules),
        cmocka_unit_test_setup(freed_blocks_join_in_every_order, forget_rules),
        cmocka_unit_test_setup(next_fit_goes_round, forget_rules),
        cmocka_unit_test_setup(the_rover_moves_to_the_start_of_a_hole_that_swallows_it, forget_rules),
        cmocka_unit_test_setup(the_rover_survives_its_segment, forget_rules),
        cmocka_unit_test_setup(the_rover_is_not_inside_a_new_hole, forget_rules),
        cmocka_unit_test_setup(addresses_are_told_apart, forget_rules),
        cmocka_unit_test_setup(an_overwritten_header_is_seen, forget_rules),
        cmocka_unit_test_setup(a_copy_of_a_block_is_no_block, forget_rules),
        cmocka_unit_test_setup(given_memory_is_used_and_left_alone, forget_rules),
        cmocka_unit_test_setup(a_region_beyond_two_gigabytes_is_more_than_one_segment, forget_rules),
        cmocka_unit_test_setup(requests_beyond_the_bounds_are_refused, forget_rules),
        cmocka_unit_test_setup(segments_are_as_large_as_they_must_and_can_be, forget_rules),
        cmocka_unit_test_setup(records_have_room_for_their_segments, forget_rules),
        cmocka_unit_test_setup(an_unused_end_stays_untouched, forget_rules),
        cmocka_unit_test_setup(refused_pages_refuse_the_request_alone, forget_rules),
        cmocka_unit_test_setup(pages_idle_for_two_ticks_go, forget_rules),
        cmocka_unit_test_setup(pages_used_between_ticks_stay, forget_rules),
        cmocka_unit_test_setup(pages_are_counted_one_by_one, forget_rules),
        cmocka_unit_test_setup(without_a_delay_pages_go_at_once, forget_rules),
        cmocka_unit_test_setup(the_longest_warm_are_cooled_first, forget_rules),
        cmocka_unit_test_setup(a_touched_huge_page_counts_whole, forget_rules),
        cmocka_unit_test_setup(whole_huge_pages_are_cooled_first, forget_rules),
        cmocka_unit_test_setup(a_segment_with_idle_parts_of_huge_pages_gets_no_more, forget_rules),
        cmocka_unit_test_setup(refused_purges_change_nothing, forget_rules),
        cmocka_unit_test_setup(segments_without_blocks_go, forget_rules),
        cmocka_unit_test_setup(a_segment_of_one_used_page_goes, forget_rules),
    };
    return cmocka_run_group_tests_name("model, hole spaces", tests, NULL, NULL);
}
