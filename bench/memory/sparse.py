# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""A million objects, of which one in a hundred stays, at random. Prints MB resident: at the peak, two seconds later.
Argument: the
scale in percent (default 100); below it the rest is shorter too."""

import gc
import os
import random
import sys
import time


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


SCALE = float(sys.argv[1] if len(sys.argv) > 1 else 100) / 100

random.seed(7)
gc.disable()
objects = [{"i": i, "s": "x" * (i % 90), "l": [i, i + 1]} for i in range(int(1_000_000 * SCALE))]
peak = resident()
kept = random.sample(objects, len(objects) // 100)
del objects
gc.collect()
time.sleep(2 * min(1, SCALE))
some = [object() for _ in range(1000)]  # for allocators that give back at a request
print(f"{peak:.0f} {resident():.0f}")
