# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""comprehensions: lists, sets and dicts of tuples built from each other and dropped."""

from bench_common import done, scaled


def main():
    total = 0
    for number in range(scaled(10)):
        rows = [(k, k * 7 % 1009, k / 3) for k in range(60000)]
        by_key = {key: [] for _, key, _ in rows}
        for row in rows:
            by_key[row[1]].append(row)
        sums = {key: sum(value for _, _, value in group) for key, group in by_key.items()}
        squares = {(a * a, b) for a, b, _ in rows if (a + b + number) % 4}
        matrix = [[x * y for x in range(60)] for y in range(400)]
        total += len(sums) + len(squares) + sum(map(sum, zip(*matrix)))
    return total


done("comprehensions", main())
