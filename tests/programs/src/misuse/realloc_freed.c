/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Resizes a block that is free. */

#include "misuse.h"

int main(void)
{
    char *keep = malloc(100), *block = malloc(100);
    if (!keep || !block)
        return 3;
    free(block);
    if (realloc(announce(block), 5000))
        return 4;
    free(keep);
    return go_on();
}
