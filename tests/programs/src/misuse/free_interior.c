/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the middle of a block, one of many of its size: the first few a process asks for are not from a pool. */

#include "misuse.h"

int main(void)
{
    char *block = NULL;
    for (int i = 0; i < 40; i++)
        if (!(block = malloc(400)))
            return 3;
    memset(block, 0, 400);
    free(announce(block + 48));
    return go_on();
}
