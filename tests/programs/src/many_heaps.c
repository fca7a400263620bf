/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* many_heaps.c: `many_heaps N` makes N heaps by the library's functions, leaves one block of 1000 bytes in each of the
 * last three, and ends with all of them alive. */

#include <stdio.h>
#include <stdlib.h>

#include <cairn.h>

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < count; i++) {
        char name[16];
        cairn_heap_options options = CAIRN_HEAP_OPTIONS_INIT;
        snprintf(name, sizeof name, "heap %d", i);
        options.name = name;
        options.exact = true;
        cairn_heap *heap = cairn_heap_create(&options);
        void *block = heap != NULL ? cairn_alloc(heap, 1000) : NULL;
        if (block == NULL) {
            return 1;
        }
        if (i < count - 3) {
            cairn_free(heap, block);
        }
    }
    return 7;
}
