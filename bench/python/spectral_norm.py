# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""spectral: the spectral norm of an infinite matrix by the power method: float math in generators."""

from bench_common import done, scaled


def entry(row, column):
    return 1.0 / ((row + column) * (row + column + 1) // 2 + row + 1)


def times(vector):
    return [sum(entry(row, column) * value for column, value in enumerate(vector)) for row in range(len(vector))]


def times_transposed(vector):
    return [sum(entry(column, row) * value for column, value in enumerate(vector)) for row in range(len(vector))]


def main():
    vector = [1.0] * 110
    other = vector
    for _ in range(scaled(85)):
        other = times_transposed(times(vector))
        vector = times_transposed(times(other))
    above = sum(one * two for one, two in zip(vector, other))
    below = sum(value * value for value in other)
    return round((above / below) ** 0.5, 9)


done("spectral", main())
