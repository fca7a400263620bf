# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""big-integers: arithmetic on integers of a few hundred digits: new blocks of many sizes above the small ones."""

from bench_common import done, scaled


def pi_digits(count):
    """The first digits of pi by Gibbons' spigot."""
    q, r, t, k, n, step = 1, 0, 1, 1, 3, 3
    digits = []
    while len(digits) < count:
        if 4 * q + r - t < n * t:
            digits.append(n)
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, step = (
                q * k,
                (2 * q + r) * step,
                t * step,
                k + 1,
                (q * (7 * k + 2) + r * step) // (t * step),
                step + 2,
            )
    return digits


def main():
    total = 0
    for number in range(scaled(5)):
        total += sum(pi_digits(1500 + number))
        table = [pow(3, k, 10**60) * k for k in range(60000)]
        total += sum(table) % 10**9
    return total


done("big-integers", main())
