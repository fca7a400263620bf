/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* recording.h: the file of a recording: frames of bytes, each compressed and checked on its own. docs/design/
 * recording.md describes the format byte by byte; events.h says what the bytes of the frames mean.
 *
 * A writer's first frame holds the description, the others events. A file that ends inside a frame was cut short and
 * is good up to there; anything else that does not fit is damage. A writer or reader is used by one thread; a writer of
 * more than a frame has one of its own, which compresses and writes. */

#ifndef CAIRN_TOOL_RECORDING_H
#define CAIRN_TOOL_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORDING_FRAME = 1 << 20, /* most bytes of a frame, uncompressed */
    RECORDING_VERSION = 1
};

/* ---- writing ---- */

struct recording_writer;

/* Creates the file (an older one goes) and writes `description` (size bytes) as its first frame. From the first write
 * that fails on nothing is written. */
struct recording_writer *recording_create(const char *path, const char *description, size_t size);

/* Of a writer just created: the errno value of its failure, or 0. */
int recording_error(const struct recording_writer *writer);

/* Where the next bytes go: room for `size` (at most RECORDING_FRAME) of them; a frame that is full is written first. */
uint8_t *recording_room(struct recording_writer *writer, size_t size);

/* So many of the bytes were used. */
void recording_used(struct recording_writer *writer, size_t size);

/* Writes what there is as a frame, now or soon. */
void recording_flush(struct recording_writer *writer);

/* Writes the rest, closes the file and frees the writer. Returns 0, or the errno value of the first failure; then the
 * file is good up to a frame before it. */
int recording_close(struct recording_writer *writer, uint64_t *file_size);

/* ---- reading ---- */

enum recording_end {
    RECORDING_MORE,    /* a frame was read */
    RECORDING_DONE,    /* the file ends after a frame */
    RECORDING_CUT,     /* the file ends inside a frame */
    RECORDING_DAMAGED, /* see recording_fault */
    RECORDING_FOREIGN  /* no recording at all, or of a version this program does not know */
};

struct recording_reader {
    const uint8_t *file;
    size_t size;
    size_t offset; /* of the frame that comes next; after a fault: of the fault */
    const char *fault;
    const uint8_t *bytes; /* of the frame read last */
    size_t count;
    void *context, *buffer;
};

/* Opens a file. Returns 0 or an errno value. Its memory is mapped shared: it does not count as private memory. */
int recording_open(struct recording_reader *reader, const char *path);
enum recording_end recording_next(struct recording_reader *reader);
void recording_shut(struct recording_reader *reader);

#endif
