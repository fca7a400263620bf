# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""sets: unions, intersections, differences and frozen sets of numbers, words and tuples."""

import random

from bench_common import done, scaled


def main():
    chance = random.Random(41)
    groups = [{chance.randrange(4000) for _ in range(600)} for _ in range(30)]
    words = [{f"word{number % 900}" for number in group} for group in groups[:12]]
    total = 0
    for turn in range(scaled(27)):
        for one in groups:
            for two in groups[turn % 3 :: 3]:
                total += len(one & two) + len(one ^ two) - len(one - two)
        every = set().union(*groups)
        pairs = {(number % 60, number % 7) for number in every}
        frozen = {frozenset(sorted(group)[turn : turn + 9]) for group in groups}
        common = words[0].copy()
        for group in words[1:]:
            common |= {word.upper() for word in group}
        total += len(pairs) + len(frozen) + len(common)
    return total


done("sets", main())
