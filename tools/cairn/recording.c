/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* recording.c: see recording.h. The whole file is a sequence of Zstandard frames (RFC 8878), so that zstd(1) shows
 * its contents; Cairn's own words are in skippable frames:
 *
 *   file    = opening frame*
 *   opening = skippable{ "CAIRNREC", version: u32 }
 *   frame   = skippable{ size: u32, check: u32 } zstd-frame of `size` bytes, with content size and checksum
 *
 * All numbers are little-endian. `check` mixes the size with the frame's place. Damage that changes anything is seen,
 * and a wrong size is told from a file that was cut.
 *
 * From its first full frame on a writer has a thread that compresses and writes, so that the caller, on whom a recorded
 * program waits, only fills frames. Each frame belongs to one of the two; `lock` guards `queued` and `ending`, by which
 * frames change hands. All else of a writer is the caller's before the thread is started and after it has ended, and
 * the thread's in between, except `frames`, which stay as they are, `filling` and the frame that this names. */

#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "message.h"

enum { FRAMES = 4, LEVEL = 1, SKIPPABLE = 0x184D2A5C, OPENING_SIZE = 20, PREFIX_SIZE = 16 };

static const char name[8] = {'C', 'A', 'I', 'R', 'N', 'R', 'E', 'C'};

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t check_of(uint32_t size, uint64_t offset)
{
    uint64_t mixed = (size + (offset << 32 | offset >> 32) + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(mixed >> 32);
}

/* ---- writing ---- */

struct frame {
    size_t count;
    uint8_t bytes[RECORDING_FRAME];
};

struct recording_writer {
    struct frame *frames[FRAMES]; /* in turns; without a thread there is one */
    size_t filling;
    size_t writing;
    int descriptor;
    int error; /* the first failure; nothing is written after it */
    uint64_t offset;
    ZSTD_CCtx *context;
    uint8_t *compressed;
    size_t compressed_size;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t queued; /* frames that the thread has to write, from `writing` on */
    bool ending;
};

static void write_bytes(struct recording_writer *writer, const uint8_t *bytes, size_t size)
{
    while (size > 0 && writer->error == 0) {
        ssize_t done = write(writer->descriptor, bytes, size);
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
            writer->offset += (uint64_t)done;
        } else if (done == 0 || errno != EINTR) {
            writer->error = done == 0 ? ENOSPC : errno;
        }
    }
}

static void write_opening(struct recording_writer *writer)
{
    uint8_t opening[OPENING_SIZE];
    put_u32(opening, SKIPPABLE);
    put_u32(opening + 4, OPENING_SIZE - 8);
    memcpy(opening + 8, name, sizeof name);
    put_u32(opening + 16, RECORDING_VERSION);
    write_bytes(writer, opening, sizeof opening);
}

static void write_frame(struct recording_writer *writer, struct frame *from)
{
    if (from->count == 0 || writer->error != 0) {
        from->count = 0;
        return;
    }
    uint8_t *frame = writer->compressed + PREFIX_SIZE;
    size_t size = ZSTD_compress2(writer->context, frame, writer->compressed_size - PREFIX_SIZE, from->bytes,
                                 from->count);
    if (ZSTD_isError(size)) {
        writer->error = ENOMEM;
        return;
    }
    put_u32(writer->compressed, SKIPPABLE);
    put_u32(writer->compressed + 4, PREFIX_SIZE - 8);
    put_u32(writer->compressed + 8, (uint32_t)size);
    put_u32(writer->compressed + 12, check_of((uint32_t)size, writer->offset));
    write_bytes(writer, writer->compressed, PREFIX_SIZE + size); /* in one piece: it is there or it is not */
    from->count = 0;
}

/* ---- the thread that writes ---- */

/* Waits for a frame to write; false if none will come. */
static bool next_queued(struct recording_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->queued == 0 && !writer->ending) {
        pthread_cond_wait(&writer->changed, &writer->lock);
    }
    bool any = writer->queued > 0;
    pthread_mutex_unlock(&writer->lock);
    return any;
}

static void *write_queued(void *argument)
{
    struct recording_writer *writer = argument;
    while (next_queued(writer)) {
        write_frame(writer, writer->frames[writer->writing]);
        writer->writing = (writer->writing + 1) % FRAMES;
        pthread_mutex_lock(&writer->lock);
        writer->queued--;
        pthread_cond_signal(&writer->changed);
        pthread_mutex_unlock(&writer->lock);
    }
    return NULL;
}

/* Hands the frame over, and waits until there is one to fill. */
static void queue_frame(struct recording_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->queued++;
    pthread_cond_signal(&writer->changed);
    while (writer->queued == FRAMES) {
        pthread_cond_wait(&writer->changed, &writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    writer->filling = (writer->filling + 1) % FRAMES;
}

/* Signals are the caller's. If there can be no thread, the caller goes on writing. */
static void start_thread(struct recording_writer *writer)
{
    sigset_t all, before;
    for (size_t i = 1; i < FRAMES; i++) {
        writer->frames[i] = writer->frames[i] != NULL ? writer->frames[i] : calloc(1, sizeof *writer->frames[i]);
        if (writer->frames[i] == NULL) {
            return;
        }
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    writer->has_thread = pthread_create(&writer->thread, NULL, write_queued, writer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_thread(struct recording_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->ending = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    writer->has_thread = false;
}

/* ---- frames ---- */

void recording_flush(struct recording_writer *writer)
{
    struct frame *frame = writer->frames[writer->filling];
    if (!writer->has_thread) {
        write_frame(writer, frame);
    } else if (frame->count > 0) {
        queue_frame(writer);
    }
}

uint8_t *recording_room(struct recording_writer *writer, size_t size)
{
    struct frame *frame = writer->frames[writer->filling];
    if (frame->count + size > sizeof frame->bytes) {
        if (!writer->has_thread) {
            start_thread(writer);
        }
        recording_flush(writer);
        frame = writer->frames[writer->filling];
    }
    return frame->bytes + frame->count;
}

void recording_used(struct recording_writer *writer, size_t size)
{
    writer->frames[writer->filling]->count += size;
}

static void free_writer(struct recording_writer *writer)
{
    for (size_t i = 0; i < FRAMES; i++) {
        free(writer->frames[i]);
    }
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    ZSTD_freeCCtx(writer->context);
    free(writer->compressed);
    free(writer);
}

static struct recording_writer *make_writer(void)
{
    struct recording_writer *writer = calloc(1, sizeof *writer);
    struct frame *frame = calloc(1, sizeof *frame);
    size_t size = PREFIX_SIZE + ZSTD_compressBound(RECORDING_FRAME);
    uint8_t *compressed = malloc(size);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (writer == NULL || frame == NULL || compressed == NULL || context == NULL) {
        fail(EXIT_CAIRN, "out of memory");
    }
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    writer->frames[0] = frame;
    writer->compressed = compressed;
    writer->compressed_size = size;
    writer->context = context;
    (void)ZSTD_CCtx_setParameter(writer->context, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(writer->context, ZSTD_c_checksumFlag, 1);
    return writer;
}

struct recording_writer *recording_create(const char *path, const char *description, size_t size)
{
    struct recording_writer *writer = make_writer();
    writer->descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    writer->error = writer->descriptor < 0 ? errno : 0;
    write_opening(writer);
    if (size > RECORDING_FRAME) {
        size = RECORDING_FRAME;
    }
    memcpy(recording_room(writer, size), description, size);
    recording_used(writer, size);
    recording_flush(writer);
    return writer;
}

int recording_error(const struct recording_writer *writer)
{
    return writer->error;
}

int recording_close(struct recording_writer *writer, uint64_t *file_size)
{
    recording_flush(writer);
    if (writer->has_thread) {
        end_thread(writer);
    }
    if (writer->descriptor >= 0 && close(writer->descriptor) != 0 && writer->error == 0) {
        writer->error = errno;
    }
    int error = writer->error;
    *file_size = writer->offset;
    free_writer(writer);
    return error;
}

/* ---- reading ---- */

static int map_file(struct recording_reader *reader, int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return S_ISDIR(status.st_mode) ? EISDIR : ESPIPE;
    }
    reader->size = (size_t)status.st_size;
    if (reader->size == 0) {
        return 0;
    }
    void *file = mmap(NULL, reader->size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (file == MAP_FAILED) {
        return errno;
    }
    reader->file = file;
    return 0;
}

int recording_open(struct recording_reader *reader, const char *path)
{
    memset(reader, 0, sizeof *reader);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return errno;
    }
    int error = map_file(reader, descriptor);
    close(descriptor);
    if (error != 0) {
        return error;
    }
    void *buffer = mmap(NULL, RECORDING_FRAME, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                        0);
    reader->buffer = buffer != MAP_FAILED ? buffer : NULL;
    reader->context = ZSTD_createDCtx();
    if (reader->buffer == NULL || reader->context == NULL) {
        recording_shut(reader);
        return ENOMEM;
    }
    return 0;
}

static enum recording_end fault(struct recording_reader *reader, enum recording_end end, size_t offset,
                                const char *text)
{
    reader->offset = offset;
    reader->fault = text;
    return end;
}

/* The first bytes of the file: what it is. */
static enum recording_end read_opening(struct recording_reader *reader)
{
    uint8_t opening[OPENING_SIZE];
    put_u32(opening, SKIPPABLE);
    put_u32(opening + 4, OPENING_SIZE - 8);
    memcpy(opening + 8, name, sizeof name);
    size_t here = reader->size < OPENING_SIZE - 4 ? reader->size : OPENING_SIZE - 4;
    for (size_t i = 0; i < here; i++) {
        if (reader->file[i] != opening[i]) {
            return fault(reader, RECORDING_FOREIGN, i, "it does not begin as a recording does");
        }
    }
    if (reader->size < OPENING_SIZE) {
        return fault(reader, RECORDING_FOREIGN, reader->size, "it ends before its contents begin");
    }
    if (get_u32(reader->file + OPENING_SIZE - 4) != RECORDING_VERSION) {
        return fault(reader, RECORDING_FOREIGN, OPENING_SIZE - 4, "its version is unknown to this program");
    }
    reader->offset = OPENING_SIZE;
    return RECORDING_MORE;
}

/* Checks a frame's prefix and sets *size to the bytes of the frame behind it. */
static enum recording_end read_prefix(struct recording_reader *reader, size_t *size)
{
    uint8_t prefix[8];
    size_t left = reader->size - reader->offset;
    const uint8_t *at = reader->file + reader->offset;
    if (left == 0) {
        return RECORDING_DONE;
    }
    put_u32(prefix, SKIPPABLE);
    put_u32(prefix + 4, PREFIX_SIZE - 8);
    for (size_t i = 0; i < sizeof prefix && i < left; i++) {
        if (at[i] != prefix[i]) {
            return fault(reader, RECORDING_DAMAGED, reader->offset + i, "no frame begins there");
        }
    }
    if (left < PREFIX_SIZE) {
        return RECORDING_CUT;
    }
    *size = get_u32(at + 8);
    if (get_u32(at + 12) != check_of((uint32_t)*size, reader->offset)) {
        return fault(reader, RECORDING_DAMAGED, reader->offset + 8, "the size of a frame is wrong there");
    }
    return *size <= left - PREFIX_SIZE ? RECORDING_MORE : RECORDING_CUT;
}

enum recording_end recording_next(struct recording_reader *reader)
{
    size_t size = 0;
    if (reader->offset == 0) {
        enum recording_end end = read_opening(reader);
        if (end != RECORDING_MORE) {
            return end;
        }
    }
    enum recording_end end = read_prefix(reader, &size);
    if (end != RECORDING_MORE) {
        return end;
    }
    const uint8_t *frame = reader->file + reader->offset + PREFIX_SIZE;
    size_t count = ZSTD_decompressDCtx(reader->context, reader->buffer, RECORDING_FRAME, frame, size);
    if (ZSTD_isError(count)) {
        return fault(reader, RECORDING_DAMAGED, reader->offset + PREFIX_SIZE,
                     "the contents of a frame do not match its checksum");
    }
    reader->bytes = reader->buffer;
    reader->count = count;
    reader->offset += PREFIX_SIZE + size;
    return RECORDING_MORE;
}

void recording_shut(struct recording_reader *reader)
{
    ZSTD_freeDCtx(reader->context);
    if (reader->buffer != NULL) {
        munmap(reader->buffer, RECORDING_FRAME);
    }
    if (reader->file != NULL) {
        munmap((void *)(uintptr_t)reader->file, reader->size);
    }
    memset(reader, 0, sizeof *reader);
}
