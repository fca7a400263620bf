/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the middle of a block. */

#include "misuse.h"

int main(void)
{
    char *block = malloc(400);
    if (!block)
        return 3;
    memset(block, 0, 400);
    free(announce(block + 48));
    return go_on();
}
