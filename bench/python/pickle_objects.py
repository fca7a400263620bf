# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""pickle: writes and reads a graph of small objects with shared references."""

import pickle
import random

from bench_common import done, scaled


class Item:
    def __init__(self, number, parent):
        self.number = number
        self.parent = parent
        self.label = f"item {number}"
        self.history = [(number, step, step * 0.5) for step in range(6)]


def make_items(count):
    chance = random.Random(2)
    items = [Item(0, None)]
    for number in range(1, count):
        items.append(Item(number, items[max(0, number - chance.randrange(1, 50))]))
    return {item.label: item for item in items}


def main():
    items = make_items(4000)
    total = 0
    for _ in range(scaled(60)):
        data = b"".join(pickle.dumps(item.history) for item in items.values())
        flat = {label: (item.number, item.history) for label, item in items.items()}
        total += len(pickle.loads(pickle.dumps(flat))) + len(data)
    return total


done("pickle", main())
