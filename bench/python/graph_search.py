# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""graph: breadth-first searches over a graph of sets, with frozensets and tuples as states."""

import random
from collections import deque

from bench_common import done, scaled


def neighbours(state, size):
    x, y, keys = state
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        nx, ny = x + dx, y + dy
        if 0 <= nx < size and 0 <= ny < size:
            yield nx, ny, keys | {(nx * 7 + ny) % 5} if (nx * ny) % 11 == 3 else keys


def search(size, goal_keys):
    start = (0, 0, frozenset())
    seen = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if len(state[2]) >= goal_keys and state[0] == size - 1:
            break
        for following in neighbours(state, size):
            if following not in seen:
                seen[following] = state
                queue.append(following)
    return len(seen)


def main():
    chance = random.Random(6)
    return [search(28 + chance.randrange(8), 5) for _ in range(scaled(42))]


done("graph", main())
