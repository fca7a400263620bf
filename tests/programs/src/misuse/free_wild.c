/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees an address where nothing is mapped. */

#include "misuse.h"

int main(void)
{
    free(announce((void *)(uintptr_t)0x123456789ab0));
    return go_on();
}
