/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a block again after others of its size have been freed; all are from a pool, as the first few are not. */

#include "misuse.h"

int main(void)
{
    char *blocks[60];
    for (int i = 0; i < 60; i++)
        if (!(blocks[i] = malloc(100)))
            return 3;
    for (int i = 30; i < 50; i++)
        free(blocks[i]);
    free(announce(blocks[34]));
    return go_on();
}
