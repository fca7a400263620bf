/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Resizes an array on the stack. */

#include "misuse.h"

int main(void)
{
    char array[256];
    memset(array, 0, sizeof array);
    if (realloc(announce(array + 32), 5000))
        return 4;
    return go_on();
}
