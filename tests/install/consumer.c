/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* consumer.c: a program of a user who found Cairn installed. Makes a heap, fills blocks, checks and destroys it; exits
 * with 0 only if all of that worked and the library is the version of the header. */

#include <cairn.h>

#include <string.h>

enum { BLOCKS = 1000, SIZE = 100 };

static int use(cairn_heap *heap)
{
    static unsigned char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = cairn_alloc(heap, SIZE);
        if (blocks[i] == NULL) {
            return 1;
        }
        memset(blocks[i], i % 256, SIZE);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i][0] != i % 256 || blocks[i][SIZE - 1] != i % 256 || cairn_heap_of(blocks[i]) != heap) {
            return 2;
        }
        cairn_free(heap, blocks[i]);
    }
    return cairn_heap_check(heap, stderr) == 0 ? 0 : 3;
}

int main(void)
{
    cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
    options.name = "consumer";
    cairn_heap *heap = cairn_heap_create(&options);
    if (heap == NULL || strcmp(cairn_heap_name(heap), "consumer") != 0) {
        return 4;
    }
    int result = use(heap);
    cairn_heap_destroy(heap);
    return strcmp(cairn_version(), CAIRN_VERSION_STRING) == 0 ? result : 5;
}
