# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""A server's day: 40 waves of sessions, each with another mix of sizes; 2% of each wave live on for ten waves. Prints
MB resident: at the peak, two seconds after the last wave, two seconds after the last session. Argument: the scale in
percent (default 100); below it the rests are shorter too."""

import collections
import gc
import os
import random
import sys
import time


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def session(number, wave):
    size = 5 + (wave * 7 + number) % 40
    return {
        "id": number,
        "headers": {f"h{j}": "v" * (j % 60) for j in range(size % 12)},
        "body": bytes((wave * 131) % 900 + number % 64),
        "rows": [(number, j, float(j)) for j in range(size)],
    }


def rest():
    gc.collect()
    time.sleep(2 * min(1, SCALE))
    some = [object() for _ in range(1000)]  # for allocators that give back at a request
    return resident() if some else 0


SCALE = float(sys.argv[1] if len(sys.argv) > 1 else 100) / 100

random.seed(11)
living = collections.deque(maxlen=10)
peak = 0
for number in range(40):
    wave = [session(i, number) for i in range(int((12_000 if number % 8 else 40_000) * SCALE))]
    peak = max(peak, resident())
    living.append(random.sample(wave, len(wave) // 50))
    del wave
steady = rest()
living.clear()
print(f"{peak:.0f} {steady:.0f} {rest():.0f}")
