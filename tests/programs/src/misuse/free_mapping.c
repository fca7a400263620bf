/* SPDX-License-Identifier: MIT
 * Copyright (c) 2026 The Cairn authors */

/* Frees a mapping that did not come from malloc. */

#include "misuse.h"

#include <sys/mman.h>

int main(void)
{
    void *mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return 3;
    free(announce(mapping));
    return go_on();
}
