/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees the only block of its size again. */

#include "misuse.h"

int main(void)
{
    char *block = malloc(7000);
    if (!block)
        return 3;
    free(block);
    free(announce(block));
    return go_on();
}
