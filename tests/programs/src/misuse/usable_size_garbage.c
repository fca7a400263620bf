/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Asks for the usable size of an address that is no block. */

#include "misuse.h"

int main(void)
{
    if (malloc_usable_size(announce((void *)(uintptr_t)0x5a5a5a5a5a50)))
        return 4;
    return go_on();
}
