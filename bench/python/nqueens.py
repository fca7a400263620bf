# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""queens: queens on a board by permutations from a generator, and by sets of occupied lines."""

from bench_common import done, scaled


def permutations(values):
    """All orders of a tuple, by exchanging pairs of an index list."""
    indices, cycles = list(range(len(values))), list(range(len(values), 0, -1))
    yield tuple(values)
    while True:
        for place in reversed(range(len(values))):
            cycles[place] -= 1
            if cycles[place]:
                other = -cycles[place]
                indices[place], indices[other] = indices[other], indices[place]
                yield tuple(values[index] for index in indices)
                break
            indices[place:] = indices[place + 1 :] + indices[place : place + 1]
            cycles[place] = len(values) - place
        else:
            return


def by_permutations(size):
    columns = range(size)
    return sum(
        size == len({order[i] + i for i in columns}) == len({order[i] - i for i in columns})
        for order in permutations(columns)
    )


def by_sets(size, row=0, columns=frozenset(), rising=frozenset(), falling=frozenset()):
    if row == size:
        return 1
    return sum(
        by_sets(size, row + 1, columns | {c}, rising | {row + c}, falling | {row - c})
        for c in range(size)
        if c not in columns and row + c not in rising and row - c not in falling
    )


def main():
    return [by_permutations(7) + by_sets(6 + turn % 2) for turn in range(scaled(58))]


done("queens", main())
