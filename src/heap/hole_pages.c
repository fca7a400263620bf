/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* hole_pages.c: the pages of segments: which are touched, warm and aged, and their way back to the system. The sets
 * are described in hole_private.h. Lock: the heap's, held by every caller. */

#include "heap/hole_private.h"
#include "heap/huge_pages.h"
#include "os/cpu.h"

/* ---- sets ---- */

size_t pages_count(const uint64_t *set, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t word = from / 64; from < to && word <= (to - 1) / 64; word++) {
        count += (size_t)cpu_count_bits(set[word] & word_mask(word, from, to));
    }
    return count;
}

bool pages_clean(const struct segment *segment, size_t from, size_t to)
{
    for (size_t word = from / 64; from < to && word <= (to - 1) / 64; word++) {
        if (segment->touched[word] & word_mask(word, from, to)) {
            return false;
        }
    }
    return true;
}

SELDOM size_t pages_warm(const struct segment *segment)
{
    return pages_count(segment->warm_set, 0, segment->words * 64);
}

static void count_warm(struct hole_space *space, size_t more, size_t less)
{
    space->figures.warm_bytes += (more - less) << space->page_shift;
}

/* The bits of [from, to) of one word, from/64 == (to - 1)/64. */
static inline uint64_t run_mask(size_t from, size_t to)
{
    return (~UINT64_C(0) >> (64 - (to - from))) << (from % 64);
}

/* Set bits of a word that is not 0. A block's pages are mostly one run, which needs no real count. */
static inline size_t count_run(uint64_t word)
{
    uint64_t run = word >> __builtin_ctzll(word);
    return run & (run + 1) ? (size_t)cpu_count_bits(word) : 64 - (size_t)__builtin_clzll(run);
}

/* Touches pages of one word; how many of them were warm. */
static inline size_t take_word(struct segment *segment, size_t word, uint64_t mask)
{
    uint64_t warm = segment->warm_set[word] & mask;
    segment->touched[word] |= mask;
    if (!warm) {
        return 0;
    }
    segment->warm_set[word] &= ~mask;
    segment->aged[word] &= ~mask;
    return count_run(warm);
}

static void set_range(uint64_t *set, size_t from, size_t to, bool value)
{
    for (size_t word = from / 64; from < to && word <= (to - 1) / 64; word++) {
        uint64_t mask = word_mask(word, from, to);
        set[word] = value ? set[word] | mask : set[word] & ~mask;
    }
}

/* The pages [*from, *to) of the huge page that a page lies in, as far as they are the segment's: none behind its end. */
static void huge_page_of(const struct hole_space *space, const struct segment *segment, size_t page, size_t *from,
                         size_t *to)
{
    size_t count = (size_t)HUGE_PAGE >> space->page_shift;
    size_t pages = segment->size >> space->page_shift;
    *from = page & ~(count - 1);
    *to = *from + count < pages ? *from + count : pages;
}

/* A page that may be of a huge page was touched: if it is the first, all are, and are warm until blocks take them. The
 * segment's last page, in which there is more than a hole, never is. */
static SELDOM void touch_huge(struct hole_space *space, struct segment *segment, size_t page)
{
    size_t from;
    size_t to;
    huge_page_of(space, segment, page, &from, &to);
    if (page < segment->huge_first || from == to || !pages_clean(segment, from, to)) {
        return;
    }
    set_range(segment->touched, from, to, true);
    to -= to == segment->size >> space->page_shift;
    set_range(segment->warm_set, from, to, true);
    count_warm(space, to - from, 0);
    pages_schedule(space);
}

/* The head of a hole that follows is in the range too. */
void pages_take(struct hole_space *space, struct segment *segment, const struct chunk *chunk, const struct chunk *end)
{
    if (UNLIKELY(!segment->purges)) {
        return;
    }
    size_t from = page_below(space, segment, chunk);
    size_t to = page_below(space, segment, (const char *)end + HOLE_HEAD - 1) + 1;
    size_t cooled = 0;
    if (UNLIKELY(to > segment->huge_first)) {
        touch_huge(space, segment, from);
        touch_huge(space, segment, to - 1);
    }
    if (LIKELY(from / 64 == (to - 1) / 64)) {
        cooled = take_word(segment, from / 64, run_mask(from, to));
    } else {
        for (size_t word = from / 64; word <= (to - 1) / 64; word++) {
            cooled += take_word(segment, word, word_mask(word, from, to));
        }
    }
    if (cooled) {
        count_warm(space, 0, cooled);
    }
}

void pages_schedule_first(struct hole_space *space)
{
    space->due = os_clock_ms() + space->options.purge_delay_ms;
    space->due += space->due == 0;
}

/* The page that `from` lies in and the one that `to` lies in may have been shared with what is free beside it. */
void pages_give(struct hole_space *space, struct segment *segment, const struct chunk *from, const struct chunk *to,
                const struct chunk *hole, const struct chunk *end)
{
    if (!segment->purges) {
        return;
    }
    size_t first;
    size_t last;
    hole_pages(space, segment, hole, end, &first, &last);
    size_t low = page_below(space, segment, from);
    size_t high = page_above(space, segment, (const char *)to + HOLE_HEAD);
    low = low > first ? low : first;
    high = high < last ? high : last;
    if (low >= high) {
        return;
    }
    ASSERT(pages_count(segment->warm_set, low, high) == 0);
    if (LIKELY(low / 64 == (high - 1) / 64)) {
        segment->warm_set[low / 64] |= run_mask(low, high);
    } else {
        for (size_t word = low / 64; word <= (high - 1) / 64; word++) {
            segment->warm_set[word] |= word_mask(word, low, high);
        }
    }
    count_warm(space, high - low, 0);
    pages_schedule(space);
}

/* ---- purging ---- */

/* The first page at or behind `at` whose bit is `value`, at most `limit`. */
static size_t next_page(const uint64_t *set, bool value, size_t at, size_t limit)
{
    while (at < limit) {
        uint64_t word = (value ? set[at / 64] : ~set[at / 64]) >> (at % 64);
        if (word) {
            at += (size_t)__builtin_ctzll(word);
            return at < limit ? at : limit;
        }
        at = (at / 64 + 1) * 64;
    }
    return limit;
}

static size_t purge_pages(struct hole_space *space, struct segment *segment, size_t from, size_t to)
{
    size_t warm = pages_count(segment->warm_set, from, to);
    if (!os->purge(segment->base + (from << space->page_shift), (to - from) << space->page_shift)) {
        return 0;
    }
    set_range(segment->touched, from, to, false);
    set_range(segment->warm_set, from, to, false);
    set_range(segment->aged, from, to, false);
    count_warm(space, 0, warm);
    space->figures.purged_bytes += warm << space->page_shift;
    return warm << space->page_shift;
}

/* Purges the pages in `set`, one of the segment's own that has only warm pages, run by run, until `enough` bytes
 * are. */
static size_t purge_set(struct hole_space *space, struct segment *segment, const uint64_t *set, size_t enough)
{
    size_t limit = segment->size >> space->page_shift;
    size_t purged = 0;
    size_t from = next_page(set, true, 0, limit);
    while (from < limit && purged < enough) {
        size_t to = next_page(set, false, from, limit);
        size_t wanted = (enough - purged - 1) >> space->page_shift; /* and one page more */
        to = to - from <= wanted ? to : from + wanted + 1;
        purged += purge_pages(space, segment, from, to);
        from = next_page(set, true, to, limit);
    }
    return purged;
}

/* Does the set have a part of a huge page whose other pages hold something? */
static bool parts_huge(const struct hole_space *space, const struct segment *segment, const uint64_t *set)
{
    size_t pages = segment->size >> space->page_shift;
    size_t to = segment->huge_first;
    for (size_t from; to < pages;) {
        huge_page_of(space, segment, to, &from, &to);
        size_t count = pages_count(set, from, to);
        if (count && count < pages_count(segment->touched, from, to)) {
            return true;
        }
    }
    return false;
}

/* What lies idle in parts of huge pages is worth more than they are: the system must not fill them up again. */
static void end_huge(const struct hole_space *space, struct segment *segment)
{
    size_t first = segment->huge_first << space->page_shift;
    os->advise_huge(segment->base + first, segment->size - first, false);
    segment->huge_first = HUGE_NONE;
    segment->may_huge = false;
}

/* A segment's part of a tick. */
static void age(struct hole_space *space, struct segment *segment, bool late)
{
    bool rested = true;
    for (size_t word = 0; word < segment->words; word++) {
        segment->aged[word] |= late ? segment->warm_set[word] : 0;
        rested = rested && segment->aged[word] == segment->warm_set[word];
    }
    if (rested && segment_is_free(segment) && space->segments_free > space->options.keep_segments &&
        segment_release(space, segment)) {
        return;
    }
    if (UNLIKELY(parts_huge(space, segment, segment->aged))) {
        end_huge(space, segment);
    }
    (void)purge_set(space, segment, segment->aged, SIZE_MAX);
    uint64_t any = 0;
    for (size_t word = 0; word < segment->words; word++) {
        segment->aged[word] = segment->warm_set[word] & ~segment->aged[word]; /* what was refused is let alone */
        any |= segment->aged[word];
    }
    if (any) {
        pages_schedule(space);
    }
}

void holes_set_delay(struct hole_space *space, unsigned delay_ms)
{
    if (space->due) {
        space->due = space->due - space->options.purge_delay_ms + delay_ms;
    }
    space->options.purge_delay_ms = delay_ms;
}

void holes_tick(struct hole_space *space, uint64_t now_ms)
{
    if (!space->due || now_ms < space->due) {
        return;
    }
    bool late = now_ms - space->due >= space->options.purge_delay_ms; /* a tick missed: nothing moved meanwhile */
    space->due = 0;
    struct segment *next;
    for (struct segment *segment = space->segments; segment; segment = next) {
        next = segment->next;
        age(space, segment, late);
    }
}

/* The end of the last page below `at` whose bit is `value`; 0: there is none. */
static size_t page_before(const uint64_t *set, bool value, size_t at)
{
    while (at > 0) {
        size_t bits = (at - 1) % 64 + 1;
        uint64_t word = (value ? set[(at - 1) / 64] : ~set[(at - 1) / 64]) << (64 - bits);
        if (word) {
            return at - (size_t)__builtin_clzll(word);
        }
        at -= bits;
    }
    return 0;
}

/* Purges huge pages without blocks from the highest down until `enough` bytes are: the next touch makes them whole. */
static size_t purge_top_huge(struct hole_space *space, struct segment *segment, size_t enough)
{
    size_t purged = 0;
    size_t to = segment->size >> space->page_shift;
    for (size_t from; to > segment->huge_first && purged < enough; to = from) {
        size_t end;
        huge_page_of(space, segment, to - 1, &from, &end);
        size_t warm = pages_count(segment->warm_set, from, end);
        if (warm && warm == pages_count(segment->touched, from, end)) {
            purged += purge_pages(space, segment, from, end);
        }
    }
    return purged;
}

/* Purges the segment's warm pages from the highest down until `enough` bytes are; whole huge pages first. */
static size_t purge_top(struct hole_space *space, struct segment *segment, size_t enough)
{
    size_t purged = purge_top_huge(space, segment, enough);
    size_t to = page_before(segment->warm_set, true, segment->size >> space->page_shift);
    while (to && purged < enough) {
        size_t from = page_before(segment->warm_set, false, to);
        size_t wanted = ((enough - purged - 1) >> space->page_shift) + 1;
        from = to - from <= wanted ? from : to - wanted;
        size_t got = purge_pages(space, segment, from, to);
        if (!got) {
            return purged;
        }
        purged += got;
        to = page_before(segment->warm_set, true, from);
    }
    return purged;
}

size_t holes_cool(struct hole_space *space, size_t bytes)
{
    size_t purged = 0;
    struct segment *stop = NULL;
    while (purged < bytes && stop != space->segments) {
        struct segment *segment = space->segments;
        while (segment->next != stop) {
            segment = segment->next;
        }
        purged += purge_top(space, segment, bytes - purged);
        stop = segment;
    }
    return purged;
}

SELDOM size_t holes_trim(struct hole_space *space)
{
    size_t bytes = 0;
    struct segment *next;
    for (struct segment *segment = space->segments; segment; segment = next) {
        next = segment->next;
        size_t size = segment->size;
        bytes += segment_is_free(segment) && segment_release(space, segment)
                     ? size
                     : purge_set(space, segment, segment->warm_set, SIZE_MAX);
    }
    space->due = 0;
    return bytes;
}
