/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a large block again. */

#include "misuse.h"

int main(void)
{
    char *block = malloc(300000);
    if (!block)
        return 3;
    memset(block, 0, 300000);
    free(block);
    free(announce(block));
    return go_on();
}
