/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* mix: requests drawn from what a real program asked for. usage: mix FILE [SCALE]
 *
 * FILE is a distribution that mixes.py made of a recording (bench/mixes/). Its lines, after comments:
 *
 *   name NAME
 *   full ALLOCATIONS                   the benchmark's full work: whole rounds or a part of one
 *   round ALLOCATIONS                  as many as the program made
 *   batches C0 C1 ...                  runs of frees with no allocation between: C(k) of a length below 2^k
 *   order NEWEST OLDEST MIXED          frees in such runs by the order of the blocks' allocation
 *   size LOW HIGH COUNT ZEROED L0 L1 ... END
 *                                      COUNT allocations of LOW to HIGH bytes, ZEROED by calloc; L(k) of them freed
 *                                      after less than 2^k further allocations (and not less than 2^(k-1)), END never
 *   resize FROM TO COUNT               resizes from the FROM-th size line to the TO-th, counted from 0
 *
 * A round makes so many allocations, each of a size and a lifetime drawn independently of all others; what the program
 * never freed is freed at its end. Blocks whose time is up wait until they are as many as the drawn batch, then go in
 * the drawn order. A resize takes the block of its size line that was allocated last, if it still lives. All in one
 * thread. */

#include "programs/bench.h"

#define GROUPS 128
#define LIVES 26
#define RESIZES 48
#define ROUND_MAX (1 << 21)
#define NONE UINT32_MAX

_Static_assert(ROUND_MAX <= 1 << 22, "ages are sorted by two digits of 11 bits");

/* Draws an index below `count` by its weight, in constant time (Walker's aliases). */
struct draw {
    unsigned count;
    uint32_t keep[GROUPS], other[GROUPS];
};

struct group {
    size_t low, high;
    uint32_t zeroed; /* of 2^32 */
    uint32_t last;   /* record of the block allocated last */
    struct draw life;
};

struct record {
    unsigned char *block; /* NULL: this record is free */
    uint32_t size, born, next;
    uint32_t group;
};

static struct {
    char name[64];
    uint32_t round;
    size_t full;
    unsigned groups, resizes;
    struct group group[GROUPS];
    struct draw size, batch, order, resize;
    unsigned from[RESIZES], to[RESIZES];
    uint32_t resize_share; /* of 2^32: a resize follows an allocation */
} mix;

static struct record records[ROUND_MAX];
static uint32_t due[ROUND_MAX], waiting[ROUND_MAX];
static uint32_t free_record, unused_record, waiting_count;
static uint64_t chance = BENCH_SEED, checksum;

static _Noreturn void bad(const char *path, const char *what)
{
    fprintf(stderr, "mix: %s: %s\n", path, what);
    exit(2);
}

static void draw_init(struct draw *draw, const double *weight, unsigned count)
{
    double sum = 0, share[GROUPS];
    unsigned small[GROUPS], large[GROUPS], smalls = 0, larges = 0;
    for (unsigned i = 0; i < count; i++)
        sum += weight[i];
    draw->count = count;
    for (unsigned i = 0; i < count; i++) {
        share[i] = sum > 0 ? weight[i] * count / sum : 1;
        draw->keep[i] = UINT32_MAX;
        draw->other[i] = i;
        if (share[i] < 1)
            small[smalls++] = i;
        else
            large[larges++] = i;
    }
    while (smalls > 0 && larges > 0) {
        unsigned low = small[--smalls], high = large[larges - 1];
        draw->keep[low] = (uint32_t)(share[low] * UINT32_MAX);
        draw->other[low] = high;
        share[high] -= 1 - share[low];
        if (share[high] < 1)
            small[smalls++] = large[--larges];
    }
}

static unsigned draw_one(const struct draw *draw)
{
    uint64_t random = bench_random(&chance);
    unsigned at = (unsigned)(((random >> 32) * draw->count) >> 32);
    return (uint32_t)random <= draw->keep[at] ? at : draw->other[at];
}

static bool by_chance(uint32_t share)
{
    return (bench_random(&chance) >> 32) < share;
}

static size_t between(size_t low, size_t high)
{
    return low + bench_below(&chance, high - low + 1);
}

/* A number with so many bits. */
static uint32_t of_bits(unsigned bits)
{
    return bits == 0 ? 0 : (uint32_t)between((size_t)1 << (bits - 1), ((size_t)1 << bits) - 1);
}

static unsigned read_numbers(char *text, double *to, unsigned most)
{
    unsigned count = 0;
    for (char *word = strtok(text, " \n"); word != NULL && count < most; word = strtok(NULL, " \n"))
        to[count++] = strtod(word, NULL);
    return count;
}

static void read_size(const char *path, const double *number, unsigned count, double *weight)
{
    if (mix.groups == GROUPS || count < 6 || count > 4 + LIVES || number[0] > number[1] || number[1] > UINT32_MAX)
        bad(path, "a size line that cannot be");
    struct group *group = &mix.group[mix.groups];
    group->low = (size_t)number[0];
    group->high = (size_t)number[1];
    group->zeroed = number[2] > 0 ? (uint32_t)(number[3] / number[2] * UINT32_MAX) : 0;
    group->last = NONE;
    weight[mix.groups++] = number[2];
    draw_init(&group->life, number + 4, count - 4);
}

static void read_mix(const char *path)
{
    static double number[GROUPS], weight[GROUPS], resize_weight[RESIZES];
    static char line[4096];
    double resizes = 0, made = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bad(path, "cannot be read");
    while (fgets(line, sizeof line, file) != NULL) {
        char *space = strchr(line, ' ');
        if (line[0] == '#' || space == NULL)
            continue;
        *space = '\0';
        if (strcmp(line, "name") == 0) {
            snprintf(mix.name, sizeof mix.name, "%.*s", (int)strcspn(space + 1, "\n"), space + 1);
            continue;
        }
        unsigned count = read_numbers(space + 1, number, GROUPS);
        if (strcmp(line, "full") == 0) {
            mix.full = (size_t)number[0];
        } else if (strcmp(line, "round") == 0) {
            mix.round = (uint32_t)number[0];
        } else if (strcmp(line, "batches") == 0) {
            draw_init(&mix.batch, number, count);
        } else if (strcmp(line, "order") == 0) {
            draw_init(&mix.order, number, count);
        } else if (strcmp(line, "size") == 0) {
            read_size(path, number, count, weight);
            made += number[2];
        } else if (strcmp(line, "resize") == 0 && mix.resizes < RESIZES) {
            mix.from[mix.resizes] = (unsigned)number[0];
            mix.to[mix.resizes] = (unsigned)number[1];
            resize_weight[mix.resizes++] = number[2];
            resizes += number[2];
        }
    }
    fclose(file);
    if (mix.groups == 0 || mix.full == 0 || mix.round == 0 || mix.round >= ROUND_MAX / 2 || mix.order.count != 3 ||
        mix.batch.count == 0)
        bad(path, "is no distribution of mixes.py");
    for (unsigned i = 0; i < mix.resizes; i++)
        if (mix.from[i] >= mix.groups || mix.to[i] >= mix.groups)
            bad(path, "a resize line that cannot be");
    draw_init(&mix.size, weight, mix.groups);
    draw_init(&mix.resize, resize_weight, mix.resizes);
    mix.resize_share = made > 0 && resizes < made ? (uint32_t)(resizes / made * UINT32_MAX) : 0;
}

/* ---- blocks ---- */

/* A byte in each page, and a mark to be read back. */
static void write_block(struct record *record, uint32_t mark)
{
    for (size_t at = 0; at < record->size; at += 4096)
        record->block[at] = (unsigned char)at;
    if (record->size >= 8)
        bench_mark(record->block, record->size, mark);
}

static void read_block(const struct record *record)
{
    if (record->size >= 8)
        checksum = checksum * 31 + bench_marked(record->block);
}

static void release(uint32_t at)
{
    struct record *record = &records[at];
    read_block(record);
    free(record->block);
    record->block = NULL;
    record->next = free_record;
    free_record = at;
}

/* Makes a block; returns the moment at which its time is up. */
static void make(uint32_t now)
{
    unsigned which = draw_one(&mix.size), bits;
    struct group *group = &mix.group[which];
    uint32_t at = free_record;
    if (at != NONE)
        free_record = records[at].next;
    else
        at = unused_record++;
    struct record *record = &records[at];
    size_t size = between(group->low, group->high);
    bool zeroed = by_chance(group->zeroed);
    *record = (struct record){bench_checked(zeroed ? calloc(1, size) : malloc(size)), (uint32_t)size, now, NONE, which};
    write_block(record, now);
    group->last = at;
    bits = draw_one(&group->life);
    uint32_t end = now + (bits + 1 < group->life.count ? of_bits(bits) : mix.round);
    if (end > mix.round)
        end = mix.round;
    record->next = due[end];
    due[end] = at;
}

static void resize(void)
{
    unsigned which = draw_one(&mix.resize);
    struct group *from = &mix.group[mix.from[which]], *to = &mix.group[mix.to[which]];
    struct record *record = from->last == NONE ? NULL : &records[from->last];
    if (record == NULL || record->block == NULL || record->group != mix.from[which])
        return;
    read_block(record);
    record->size = (uint32_t)between(to->low, to->high);
    record->block = bench_checked(realloc(record->block, record->size > 0 ? record->size : 1));
    record->group = mix.to[which];
    to->last = from->last;
    write_block(record, record->born);
}

/* ---- frees ---- */

/* Moves `count` indices by 11 bits of their blocks' age, from the `shift`-th on. */
static void sort_by_digit(const uint32_t *from, uint32_t *to, size_t count, unsigned shift)
{
    static uint32_t place[2048];
    memset(place, 0, sizeof place);
    for (size_t i = 0; i < count; i++)
        place[records[from[i]].born >> shift & 2047]++;
    for (uint32_t digit = 0, start = 0; digit < 2048; digit++) {
        uint32_t many = place[digit];
        place[digit] = start;
        start += many;
    }
    for (size_t i = 0; i < count; i++)
        to[place[records[from[i]].born >> shift & 2047]++] = from[i];
}

/* By age, the oldest first; no qsort(), which may itself allocate. */
static void sort_by_age(uint32_t *index, size_t count)
{
    static uint32_t other[ROUND_MAX];
    if (count > 500) {
        sort_by_digit(index, other, count, 0);
        sort_by_digit(other, index, count, 11);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        uint32_t moved = index[i];
        size_t at = i;
        for (; at > 0 && records[index[at - 1]].born > records[moved].born; at--)
            index[at] = index[at - 1];
        index[at] = moved;
    }
}

static void release_waiting(void)
{
    enum { NEWEST, OLDEST, MIXED } order = draw_one(&mix.order);
    if (order != MIXED)
        sort_by_age(waiting, waiting_count);
    for (uint32_t i = 0; i < waiting_count; i++)
        release(waiting[order == NEWEST ? waiting_count - 1 - i : i]);
    waiting_count = 0;
}

static void collect_due(uint32_t now)
{
    for (uint32_t at = due[now]; at != NONE; at = records[at].next)
        waiting[waiting_count++] = at;
    due[now] = NONE;
}

static void play_round(uint32_t allocations)
{
    free_record = NONE;
    unused_record = 0;
    uint32_t batch = of_bits(draw_one(&mix.batch));
    for (uint32_t now = 0; now < allocations; now++) {
        make(now);
        if (by_chance(mix.resize_share))
            resize();
        collect_due(now);
        if (waiting_count > 0 && waiting_count >= batch) {
            release_waiting();
            batch = of_bits(draw_one(&mix.batch));
        }
    }
    for (uint32_t now = allocations; now <= mix.round; now++)
        collect_due(now);
    release_waiting();
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: mix FILE [SCALE]\n", stderr);
        return 2;
    }
    read_mix(argv[1]);
    argv[1] = argv[0];
    size_t left = bench_scaled(argc - 1, argv + 1, mix.full);
    for (uint32_t i = 0; i <= mix.round; i++)
        due[i] = NONE;
    while (left > 0) {
        uint32_t allocations = left < mix.round ? (uint32_t)left : mix.round;
        play_round(allocations);
        left -= allocations;
    }
    return bench_done(mix.name, checksum);
}
