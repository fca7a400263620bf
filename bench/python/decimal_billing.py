# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""decimal: a telephone company's bills: decimal prices, taxes and roundings, and fractions for the shares."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from bench_common import done, scaled

CENT = Decimal("0.01")
RATES = (Decimal("0.0013"), Decimal("0.00894"))
TAX, DISTANCE_TAX = Decimal("0.0675"), Decimal("0.0341")


def bill(calls):
    total, taxes, lines = Decimal(0), Decimal(0), []
    for number in calls:
        seconds, far = number % 3571, number & 1
        price = (seconds * RATES[far]).quantize(CENT, ROUND_HALF_EVEN)
        tax = (price * TAX).quantize(CENT)
        if far:
            tax += (price * DISTANCE_TAX).quantize(CENT)
        taxes += tax
        total += price + tax
        lines.append(str(price + tax))
    return total, taxes, lines


def main():
    total, shares = Decimal(0), Fraction(0)
    for turn in range(scaled(54)):
        amount, taxes, lines = bill(range(turn, 600000 + turn, 41))
        total += amount + taxes + len("".join(lines))
        for number in range(1, 1200):
            shares += Fraction(number, 1 + number % 12)
    return str(total), shares


done("decimal", main())
