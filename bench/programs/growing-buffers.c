/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* growing-buffers: 64 text buffers that grow by appending, with realloc to one and a half times, from 32 bytes to
 * 2 MiB at most; a full one is cut to size with realloc and starts anew. */

#include "bench.h"

#define BUFFERS 64

typedef struct buffer {
    unsigned char *bytes;
    size_t length;
    size_t capacity;
    size_t limit;
} buffer;

static void append(buffer *b, size_t count, unsigned char byte)
{
    if (b->length + count > b->capacity) {
        b->capacity = (b->length + count) * 3 / 2;
        b->bytes = bench_checked(realloc(b->bytes, b->capacity));
    }
    memset(b->bytes + b->length, byte, count);
    b->length += count;
}

static uint64_t finish(buffer *b, uint64_t *random)
{
    uint64_t sum = 0;
    b->bytes = bench_checked(realloc(b->bytes, b->length));
    for (size_t i = 0; i < b->length; i += 61)
        sum += b->bytes[i];
    free(b->bytes);
    *b = (buffer){.limit = (size_t)256 << bench_below(random, 14)};
    return sum;
}

int main(int argc, char **argv)
{
    size_t steps = bench_scaled(argc, argv, 700000);
    buffer buffers[BUFFERS];
    uint64_t random = BENCH_SEED, sum = 0;
    for (size_t i = 0; i < BUFFERS; i++)
        buffers[i] = (buffer){.limit = (size_t)256 << (i % 14)};
    for (size_t i = 0; i < steps; i++) {
        buffer *b = &buffers[bench_below(&random, BUFFERS)];
        append(b, 16 + b->length / 32, (unsigned char)i);
        if (b->length >= b->limit)
            sum += finish(b, &random);
    }
    for (size_t i = 0; i < BUFFERS; i++)
        free(buffers[i].bytes);
    return bench_done("growing-buffers", sum);
}
