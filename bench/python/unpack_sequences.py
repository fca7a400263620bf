# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""unpacking: tuples and lists made, taken apart, starred and put together again."""

from bench_common import done, scaled


def turn(one, two, three, four, *rest):
    return four, three, *rest, two, one


def main():
    total = 0
    for number in range(scaled(700000)):
        first, *middle, last = number, number + 1, number + 2, number + 3
        a, b, (c, d), *rest = [first, last, middle, number * 5, number * 7]
        record = (a, b, c, d, *rest)
        e, f, *others, g, h = turn(*record)
        pairs = [(e, f), (g, h), tuple(others)]
        (e, f), (g, h), others = pairs
        merged = {**{"e": e, "f": f}, "g": g, "h": h}
        total += sum(merged.values()) + len(others) + sum([*others, *record])
    return total


done("unpacking", main())
