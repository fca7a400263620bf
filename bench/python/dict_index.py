# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""dicts: an inverted index of word counts, merged, inverted, sorted and thinned out."""

import random
from collections import Counter, defaultdict

from bench_common import done, scaled


def main():
    chance = random.Random(4)
    words = [f"word{int(chance.paretovariate(0.8)) % 40000}" for _ in range(150000)]
    total = 0
    for number in range(scaled(24)):
        index = defaultdict(dict)
        for place, word in enumerate(words):
            index[word][place % 997] = place
        counts = Counter(words)
        by_count = defaultdict(set)
        for word, count in counts.items():
            by_count[count].add(word)
        merged = {**index, **{word + "s": dict(places) for word, places in index.items()}}
        for word in list(merged)[number::3]:
            del merged[word]
        total += len(merged) + len(by_count) + sum(map(len, merged.values()))
    return total


done("dicts", main())
