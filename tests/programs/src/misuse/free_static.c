/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a static array. */

#include "misuse.h"

static char array[4096];

int main(void)
{
    free(announce(array + 16));
    return go_on();
}
