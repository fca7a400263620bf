/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* snapshot_rings.c: see snapshot_rings.h. */

#include "python/snapshot_rings.h"

enum {
    LANES = 16,
    STRETCH = 1024,           /* objects */
    STRETCHES_FIRST = 256,    /* room */
    FAR = 1 << 20,            /* bytes from an object to one that is worth a lane */
    LOOKED_AT = 8,            /* objects that are no way in, in a search */
    REFERENCES = 256,         /* in a search */
    PERMANENT_MOST = 1 << 15, /* objects of the permanent generation that may be kept apart */
    PATIENCE_MOST = 127,      /* rounds from one search for a way in to the next */
};

static const uint32_t none = UINT32_MAX;

struct lane {
    const struct gc_head *at;
    const struct gc_head *last; /* the one before it */
    uint32_t stretch;           /* the one that grows; `none` between two */
    uint32_t before;            /* the one before that; `none` if it is the lane's first */
    unsigned left;              /* objects that the stretch may still take */
};

struct walk {
    struct snapshot_scan *scan;
    struct snapshot_rings *rings;
    enum snapshot_status status;
    struct lane lane[LANES];
    size_t lanes;
    bool may_search;
    unsigned patience, waited; /* rounds from one search to the next */
    unsigned searches;
    uintptr_t from;               /* of a search: the object whose references are looked at, */
    unsigned references;          /* how many so far, */
    unsigned looked_at;           /* how many objects of these, */
    const struct gc_head *way_in; /* what was found, or NULL */
};

/* ---- stretches ---- */

static bool room_for_stretch(struct snapshot_scan *scan)
{
    struct snapshot_rings *rings = &scan->rings;
    if (rings->stretches < rings->room) {
        return true;
    }
    size_t room = rings->room > 0 ? 2 * rings->room : STRETCHES_FIRST;
    struct snapshot_stretch *bigger = snapshot_table_take(&scan->table, room * sizeof *bigger);
    if (bigger == NULL) {
        return false;
    }
    if (rings->stretches > 0) {
        memcpy(bigger, rings->stretch, rings->stretches * sizeof *bigger);
    }
    rings->stretch = bigger;
    rings->room = room;
    return true;
}

static bool begin_stretch(struct walk *walk, struct lane *lane)
{
    struct snapshot_rings *rings = walk->rings;
    if (!room_for_stretch(walk->scan)) {
        return false;
    }
    lane->stretch = (uint32_t)rings->stretches++;
    lane->left = STRETCH;
    rings->stretch[lane->stretch] = (struct snapshot_stretch){.first = lane->at, .end = lane->at, .next = none};
    if (lane->before != none) {
        rings->stretch[lane->before].next = lane->stretch;
    } else {
        rings->way_in[rings->ways_in++] = lane->stretch;
    }
    return true;
}

static void end_stretch(struct walk *walk, struct lane *lane)
{
    if (lane->stretch != none) {
        walk->rings->stretch[lane->stretch].end = lane->at;
        lane->before = lane->stretch;
        lane->stretch = none;
    }
}

/* ---- lanes ---- */

static void begin_lane(struct walk *walk, const struct gc_head *at)
{
    walk->lane[walk->lanes++] = (struct lane){
        .at = at, .last = gc_head_prev(at), .stretch = none, .before = none, .left = 0};
}

static bool is_ring(const struct snapshot_scan *scan, const struct gc_head *head)
{
    return head == scan->input->ring[0] || head == scan->input->ring[1] || head == scan->input->ring[2];
}

/* An immortal object (3.12) is external for a full collection: what it refers to is reachable. So it is here, since its
 * count is beyond all references. */
static enum snapshot_status add(struct snapshot_scan *scan, uintptr_t address)
{
    const struct python_object *object = (const struct python_object *)address;
    unsigned char *byte = snapshot_table_make_byte(&scan->table, address);
    scan->result->objects++;
    bool done = byte != NULL && snapshot_count_set(&scan->counts, &scan->table, byte, address, object->count);
    return done ? SNAPSHOT_COMPLETE : SNAPSHOT_NO_MEMORY;
}

/* One step of a lane. False if it has ended. */
static bool step(struct walk *walk, struct lane *lane)
{
    uintptr_t object = (uintptr_t)gc_head_object(lane->at);
    bool known = *snapshot_table_byte(&walk->scan->table, object) != COUNT_ABSENT;
    if (known || is_ring(walk->scan, lane->at)) {
        end_stretch(walk, lane);
        return false;
    }
    if (gc_head_prev(lane->at) != lane->last || object % (1u << TABLE_GRANULE_SHIFT) != 0) {
        walk->status = SNAPSHOT_UNSOUND;
        return false;
    }
    if (lane->stretch == none && !begin_stretch(walk, lane)) {
        walk->status = SNAPSHOT_NO_MEMORY;
        return false;
    }
    walk->status = add(walk->scan, object);
    lane->last = lane->at;
    lane->at = gc_head_next(lane->at);
    if (--lane->left == 0) {
        end_stretch(walk, lane);
    }
    return walk->status == SNAPSHOT_COMPLETE;
}

/* One step of each lane. All their memory is brought near before the first is looked at. */
static void round_of_steps(struct walk *walk)
{
    for (size_t i = 0; i < walk->lanes; i++) {
        const struct python_object *object = gc_head_object(walk->lane[i].at);
        __builtin_prefetch(snapshot_table_byte(&walk->scan->table, (uintptr_t)object), 1);
        snapshot_scan_touch(walk->lane[i].at);
        snapshot_scan_touch(object);
    }
    for (size_t i = 0; i < walk->lanes && walk->status == SNAPSHOT_COMPLETE;) {
        if (step(walk, &walk->lane[i])) {
            i++;
        } else {
            walk->lane[i] = walk->lane[--walk->lanes];
        }
    }
}

/* ---- ways in ---- */

/* A reference of an object in a ring. Ends the traversal when it is to a tracked object that is not known and far away,
 * or when enough were looked at that are not. */
static int look_at(void *object, void *context)
{
    struct walk *walk = context;
    uintptr_t address = (uintptr_t)object;
    uintptr_t distance = address > walk->from ? address - walk->from : walk->from - address;
    if (distance < FAR || *snapshot_table_byte(&walk->scan->table, address) != COUNT_ABSENT) {
        return ++walk->references == REFERENCES;
    }
    if (python_is_gc(object) && gc_head_is_tracked(gc_head_of(object))) {
        walk->way_in = gc_head_of(object);
    }
    return walk->way_in != NULL || ++walk->looked_at == LOOKED_AT;
}

static void search(struct walk *walk)
{
    if (!walk->may_search || ++walk->waited < walk->patience || walk->lanes == 0 || walk->lanes == LANES ||
        walk->rings->ways_in + LANES > RINGS_WAYS_IN) {
        return;
    }
    const struct lane *lane = &walk->lane[walk->searches++ % walk->lanes];
    if (is_ring(walk->scan, lane->last)) {
        return;
    }
    void *object = gc_head_object(lane->last);
    walk->waited = 0;
    walk->way_in = NULL;
    walk->references = walk->looked_at = 0;
    walk->from = (uintptr_t)object;
    (void)python_type_of(object)->traverse(object, look_at, walk);
    if (walk->way_in != NULL) {
        begin_lane(walk, walk->way_in);
        walk->patience = 1;
    } else if (walk->patience < PATIENCE_MOST) {
        walk->patience += walk->patience + 1; /* odd: objects of different kinds often alternate in a ring */
    }
}

static bool permanent_is_small(const struct gc_head *ring)
{
    unsigned count = 0;
    for (const struct gc_head *head = gc_head_next(ring); head != ring; head = gc_head_next(head)) {
        if (++count > PERMANENT_MOST) {
            return false;
        }
    }
    return true;
}

/* Objects of the permanent generation are external, and no way in: while lanes are started, their bytes are set. */
static bool set_permanent(struct snapshot_scan *scan, unsigned char value)
{
    const struct gc_head *ring = scan->input->permanent;
    for (const struct gc_head *head = gc_head_next(ring); head != ring; head = gc_head_next(head)) {
        unsigned char *byte = snapshot_table_make_byte(&scan->table, (uintptr_t)gc_head_object(head));
        if (byte == NULL) {
            return false;
        }
        *byte = value;
    }
    return true;
}

/* ---- the rings in order ---- */

struct place {
    size_t ring;      /* of the input */
    uint32_t stretch; /* in it; `none` before the first */
};

/* The stretch that starts a lane's way at a head; `none` if no lane did. */
static uint32_t starting_at(const struct snapshot_rings *rings, const struct gc_head *head)
{
    for (size_t i = 0; i < rings->ways_in; i++) {
        if (rings->stretch[rings->way_in[i]].first == head) {
            return rings->way_in[i];
        }
    }
    return none;
}

/* Steps to the next stretch. False if there is none. */
static bool next_stretch(const struct snapshot_scan *scan, struct place *place)
{
    const struct snapshot_rings *rings = &scan->rings;
    const struct gc_head *end = NULL;
    if (place->stretch != none) {
        end = rings->stretch[place->stretch].end;
        place->stretch = rings->stretch[place->stretch].next;
        if (place->stretch == none) {
            place->stretch = starting_at(rings, end);
        }
        place->ring += place->stretch == none;
    }
    while (place->stretch == none && place->ring < SNAPSHOT_RINGS) {
        place->stretch = starting_at(rings, gc_head_next(scan->input->ring[place->ring]));
        place->ring += place->stretch == none;
    }
    return place->stretch != none;
}

/* Do the stretches put together give the rings? */
static bool is_whole(const struct snapshot_scan *scan)
{
    struct place place = {.ring = 0, .stretch = none};
    size_t count = 0;
    while (count <= scan->rings.stretches && next_stretch(scan, &place)) {
        count++;
    }
    return count == scan->rings.stretches;
}

/* ---- the first walk ---- */

enum snapshot_status snapshot_rings_find(struct snapshot_scan *scan)
{
    const struct gc_head *permanent = scan->input->permanent;
    struct walk walk = {.scan = scan, .rings = &scan->rings, .status = SNAPSHOT_COMPLETE, .patience = 1};
    walk.may_search = permanent != NULL && permanent_is_small(permanent);
    if (walk.may_search && !set_permanent(scan, COUNT_PINNED)) {
        return SNAPSHOT_NO_MEMORY;
    }
    for (size_t i = 0; i < SNAPSHOT_RINGS; i++) {
        begin_lane(&walk, gc_head_next(scan->input->ring[i]));
    }
    while (walk.lanes > 0 && walk.status == SNAPSHOT_COMPLETE) {
        round_of_steps(&walk);
        search(&walk);
    }
    if (walk.may_search) {
        (void)set_permanent(scan, COUNT_ABSENT);
    }
    return walk.status != SNAPSHOT_COMPLETE || is_whole(scan) ? walk.status : SNAPSHOT_UNSOUND;
}

/* ---- the second walk ---- */

struct second {
    struct snapshot_scan *scan;
    uintptr_t (*found)[STRETCH]; /* by lane, LANES */
    size_t lanes;
    struct second_lane {
        const struct gc_head *at, *end;
        size_t found;
    } lane[LANES];
};

/* Takes up the next stretches, as many as there are lanes. False if there are none. */
static bool take_stretches(struct second *second, struct place *place)
{
    for (second->lanes = 0; second->lanes < LANES && next_stretch(second->scan, place); second->lanes++) {
        const struct snapshot_stretch *stretch = &second->scan->rings.stretch[place->stretch];
        second->lane[second->lanes] = (struct second_lane){.at = stretch->first, .end = stretch->end, .found = 0};
    }
    return second->lanes > 0;
}

/* One step of each lane that has not ended. False if all have. */
static bool second_round(struct second *second)
{
    const struct gc_head *next[LANES];
    bool more = false;
    for (size_t i = 0; i < second->lanes; i++) {
        next[i] = gc_head_next(second->lane[i].at);
    }
    for (size_t i = 0; i < second->lanes; i++) {
        struct second_lane *lane = &second->lane[i];
        if (lane->at == lane->end) {
            continue;
        }
        uintptr_t object = (uintptr_t)gc_head_object(lane->at);
        if (*snapshot_table_byte(&second->scan->table, object) == COUNT_ZERO) {
            second->found[i][lane->found++] = object;
        }
        lane->at = next[i];
        more = true;
    }
    return more;
}

bool snapshot_rings_walk(struct snapshot_scan *scan, void (*note)(void *context, uintptr_t object), void *context,
                         const size_t *left)
{
    struct second second = {.scan = scan};
    struct place place = {.ring = 0, .stretch = none};
    second.found = snapshot_table_take(&scan->table, LANES * sizeof *second.found);
    while (second.found != NULL && *left > 0 && take_stretches(&second, &place)) {
        while (second_round(&second)) {
        }
        for (size_t i = 0; i < second.lanes; i++) {
            for (size_t k = 0; k < second.lane[i].found; k++) {
                note(context, second.found[i][k]);
            }
        }
    }
    return second.found != NULL;
}
