/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a block again after others of its size have been freed. */

#include "misuse.h"

int main(void)
{
    char *blocks[20];
    for (int i = 0; i < 20; i++)
        if (!(blocks[i] = malloc(100)))
            return 3;
    for (int i = 0; i < 10; i++)
        free(blocks[i]);
    free(announce(blocks[4]));
    return go_on();
}
