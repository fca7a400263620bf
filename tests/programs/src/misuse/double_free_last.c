/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the newest freed block again. */

#include "misuse.h"

int main(void)
{
    char *keep = malloc(100), *block = malloc(100);
    if (!keep || !block)
        return 3;
    free(block);
    free(announce(block));
    free(keep);
    return go_on();
}
