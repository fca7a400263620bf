/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* picture.c: see picture.h. What is mapped is read from /proc/self/maps, what is resident from mincore(2), what lives
 * from the player: the same for every allocator. The units are granules of 64 KiB: those without a resident page are
 * left out, so that reserved address space does not fill the picture. Cells are a power of two of bytes, as small as
 * the picture's size allows. Single-threaded. */

#include "picture.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GRANULE = 65536,
    PAGE = 4096,
    GRANULE_PAGES = GRANULE / PAGE,
    RANGES_MAX = 16384,
    GRANULES_MAX = 1 << 20, /* 64 GiB */
    TEXT_MAX = 4 << 20,
    CELL_LEAST = 256
};

struct range {
    uintptr_t start, end;
};

struct granule {
    uintptr_t start;
    uint32_t pages; /* bit n: page n is resident */
};

struct pictures {
    size_t before_count, range_count, granule_count;
    uint64_t cell_bytes;
    struct range before[RANGES_MAX]; /* not the allocator's */
    struct range range[RANGES_MAX];
    struct granule granule[GRANULES_MAX];
    uint32_t live[PICTURE_CELLS], resident[PICTURE_CELLS]; /* bytes */
    char text[TEXT_MAX];
};

/* ---- mappings ---- */

static void read_maps(struct pictures *pictures)
{
    size_t length = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (file >= 0 && length < TEXT_MAX - 1) {
        ssize_t done = read(file, pictures->text + length, TEXT_MAX - 1 - length);
        if (done <= 0) {
            break;
        }
        length += (size_t)done;
    }
    if (file >= 0) {
        close(file);
    }
    pictures->text[length] = '\0';
}

/* Reads a line "START-END PERMISSIONS OFFSET DEVICE INODE NAME"; true if it is private memory of no file: the heap's,
 * or without a name. */
static bool read_line(const char *line, struct range *range)
{
    char *at;
    range->start = strtoull(line, &at, 16);
    range->end = strtoull(at + 1, &at, 16);
    if (strncmp(at, " rw-p", 5) != 0) {
        return false;
    }
    for (int fields = 0; fields < 3; fields++) { /* permissions, offset, device */
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    uint64_t inode = strtoull(at, &at, 10);
    at += strspn(at, " ");
    return inode == 0 && (*at == '\n' || strncmp(at, "[heap]", 6) == 0 || strncmp(at, "[anon:", 6) == 0);
}

static size_t list_maps(struct pictures *pictures, struct range *ranges)
{
    size_t count = 0;
    read_maps(pictures);
    for (const char *line = pictures->text; *line != '\0' && count < RANGES_MAX;) {
        count += read_line(line, &ranges[count]);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return count;
}

struct pictures *pictures_begin(void)
{
    void *memory = mmap(NULL, sizeof(struct pictures), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    struct pictures *pictures = memory;
    pictures->before_count = list_maps(pictures, pictures->before);
    return pictures;
}

/* Was there a mapping of just this place before? A heap that has grown since is the allocator's. */
static bool was_before(const struct pictures *pictures, const struct range *range)
{
    for (size_t i = 0; i < pictures->before_count; i++) {
        if (pictures->before[i].start == range->start && pictures->before[i].end == range->end) {
            return true;
        }
    }
    return false;
}

/* ---- granules ---- */

static void note_page(struct pictures *pictures, uintptr_t address)
{
    uintptr_t start = address & ~(uintptr_t)(GRANULE - 1);
    size_t count = pictures->granule_count;
    if (count == 0 || pictures->granule[count - 1].start != start) {
        if (count == GRANULES_MAX) {
            return;
        }
        pictures->granule[count] = (struct granule){start, 0};
        pictures->granule_count = ++count;
    }
    pictures->granule[count - 1].pages |= 1u << (address - start) / PAGE;
}

static void note_range(struct pictures *pictures, const struct range *range)
{
    unsigned char resident[4096];
    for (uintptr_t at = range->start; at < range->end; at += sizeof resident * PAGE) {
        size_t size = range->end - at < sizeof resident * PAGE ? range->end - at : sizeof resident * PAGE;
        if (mincore((void *)at, size, resident) != 0) {
            continue;
        }
        for (size_t i = 0; i < size / PAGE; i++) {
            if ((resident[i] & 1) != 0) {
                note_page(pictures, at + i * PAGE);
            }
        }
    }
}

static void note_mappings(struct pictures *pictures)
{
    pictures->granule_count = 0;
    pictures->range_count = list_maps(pictures, pictures->range);
    for (size_t i = 0; i < pictures->range_count; i++) {
        if (!was_before(pictures, &pictures->range[i])) {
            note_range(pictures, &pictures->range[i]);
        }
    }
}

/* The place of an address among the bytes of all granules, or -1. *left is set to the bytes to its granule's end. */
static int64_t place_of(const struct pictures *pictures, uintptr_t address, size_t *left)
{
    size_t low = 0, high = pictures->granule_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pictures->granule[middle].start + GRANULE <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *left = GRANULE - address % GRANULE;
    if (low == pictures->granule_count || pictures->granule[low].start > address) {
        return -1;
    }
    return (int64_t)(low * GRANULE + address % GRANULE);
}

/* ---- cells ---- */

static void add(uint32_t *cells, uint64_t cell_bytes, uint64_t place, uint64_t size)
{
    while (size > 0) {
        uint64_t here = cell_bytes - place % cell_bytes;
        here = here < size ? here : size;
        cells[place / cell_bytes] += (uint32_t)here;
        place += here;
        size -= here;
    }
}

static void add_block(struct pictures *pictures, const char *block, size_t size)
{
    uintptr_t address = (uintptr_t)block;
    while (size > 0) {
        size_t here;
        int64_t place = place_of(pictures, address, &here);
        here = here < size ? here : size;
        if (place >= 0) {
            add(pictures->live, pictures->cell_bytes, (uint64_t)place, here);
        }
        address += here;
        size -= here;
    }
}

static char shade(uint32_t live, uint32_t resident)
{
    if (resident == 0) {
        return '.';
    }
    uint32_t part = live < resident ? live : resident;
    uint32_t level = (uint32_t)((uint64_t)part * 9 / resident);
    return (char)('0' + (level == 0 && part > 0 ? 1 : level));
}

static uint64_t cell_size(uint64_t total)
{
    uint64_t bytes = CELL_LEAST;
    while (bytes * PICTURE_CELLS < total) {
        bytes *= 2;
    }
    return bytes;
}

/* A mapping that was there before and holds a block is the allocator's after all: it had reserved it early. */
static void claim_mapping(struct pictures *pictures, const char *block, size_t size)
{
    (void)size;
    for (size_t i = 0; i < pictures->before_count; i++) {
        struct range *before = &pictures->before[i];
        if (before->start <= (uintptr_t)block && (uintptr_t)block < before->end) {
            *before = pictures->before[--pictures->before_count];
            return;
        }
    }
}

void pictures_draw(struct pictures *pictures, struct picture *picture,
                   void (*walk)(void *context, struct pictures *pictures, picture_visit visit), void *context)
{
    walk(context, pictures, claim_mapping);
    note_mappings(pictures);
    uint64_t total = (uint64_t)pictures->granule_count * GRANULE;
    uint64_t bytes = cell_size(total);
    memset(pictures->live, 0, sizeof pictures->live);
    memset(pictures->resident, 0, sizeof pictures->resident);
    for (size_t i = 0; i < pictures->granule_count; i++) {
        for (size_t page = 0; page < GRANULE_PAGES; page++) {
            if ((pictures->granule[i].pages >> page & 1) != 0) {
                add(pictures->resident, bytes, i * GRANULE + page * PAGE, PAGE);
            }
        }
    }
    pictures->cell_bytes = bytes;
    walk(context, pictures, add_block);
    picture->cell_bytes = bytes;
    picture->cells = (uint32_t)(total / bytes);
    for (uint32_t i = 0; i < picture->cells; i++) {
        picture->cell[i] = shade(pictures->live[i], pictures->resident[i]);
    }
}
