/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the middle of a large block. */

#include "misuse.h"

int main(void)
{
    char *block = malloc(300000);
    if (!block)
        return 3;
    memset(block, 0, 300000);
    free(announce(block + 65536));
    return go_on();
}
