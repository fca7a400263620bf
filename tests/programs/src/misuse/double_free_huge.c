/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a huge block again. */

#include "misuse.h"

int main(void)
{
    char *block = malloc((size_t)40 << 20);
    if (!block)
        return 3;
    memset(block, 0, 1000);
    free(block);
    free(announce(block));
    return go_on();
}
