/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees an array on the stack. */

#include "misuse.h"

int main(void)
{
    char array[256];
    memset(array, 0, sizeof array);
    free(announce(array + 64));
    return go_on();
}
