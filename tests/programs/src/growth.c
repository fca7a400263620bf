/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* growth.c: one block grows by realloc until it cannot; the block it had must be whole, and freeing it makes room for
 * another of the same size. */

#include <errno.h>

#include "pattern.h"

int main(void)
{
    for (int round = 0; round < 3; round++) {
        size_t size = 1000;
        unsigned char *block = malloc(size);
        REQUIRE(block);
        memset(block, 0x5a, size);
        for (;;) {
            size_t bigger = size + size / 4;
            errno = 0;
            unsigned char *grown = realloc(block, bigger);
            if (!grown)
                break;
            memset(grown + size, 0x5a, bigger - size);
            block = grown;
            size = bigger;
        }
        REQUIRE(errno == ENOMEM);
        for (size_t i = 0; i < size; i++)
            REQUIRE(block[i] == 0x5a);
        free(block);
        block = malloc(size);
        REQUIRE(block);
        memset(block, 1, size);
        free(block);
        if (round == 0)
            printf("grew to %zu\n", size);
    }
    return 0;
}
