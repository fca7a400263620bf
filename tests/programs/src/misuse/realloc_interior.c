/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Resizes from the middle of a block. */

#include "misuse.h"

int main(void)
{
    char *block = malloc(1000);
    if (!block)
        return 3;
    memset(block, 0, 1000);
    if (realloc(announce(block + 32), 5000))
        return 4;
    free(block);
    return go_on();
}
