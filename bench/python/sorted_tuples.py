# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""sorting: a dict of tuples grouped, ranked and sorted by several keys; heaps and bisection beside it."""

import bisect
import heapq
import random

from bench_common import done, scaled


def main():
    chance = random.Random(77)
    total = 0
    for _ in range(scaled(9)):
        table = {
            number: (f"name{chance.randrange(4000)}", chance.randrange(90), chance.random()) for number in range(18000)
        }
        by_name = sorted(table.items(), key=lambda item: (item[1][0], -item[1][1]))
        groups = {}
        for number, (name, age, weight) in by_name:
            groups.setdefault(name, []).append((age, weight, number))
        ranked = sorted(((len(rows), name, sorted(rows)[0]) for name, rows in groups.items()), reverse=True)
        oldest = heapq.nlargest(50, table.values(), key=lambda row: (row[1], row[0]))
        ages = []
        for _, age, weight in list(table.values())[:4000]:
            bisect.insort(ages, (age, weight))
        total += ranked[0][0] + len(oldest[-1][0]) + ages[2000][0] + by_name[777][0]
    return total


done("sorting", main())
