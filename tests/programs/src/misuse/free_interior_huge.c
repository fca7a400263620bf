/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the middle of a huge block. */

#include "misuse.h"

int main(void)
{
    char *block = malloc((size_t)40 << 20);
    if (!block)
        return 3;
    memset(block, 0, 1000);
    free(announce(block + ((size_t)8 << 20)));
    return go_on();
}
