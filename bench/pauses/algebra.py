# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""algebra.py SIZE: expands, differentiates and collects polynomials in sympy, whose expressions are trees of small
objects kept in caches. Leaves the number of terms in `answer`."""

import sys

import sympy

size = int(sys.argv[1])
symbols = sympy.symbols("a b c d e")
kept, terms = [], 0
for power in range(2, size):
    whole = sympy.expand(sum((k + 1) * symbol for k, symbol in enumerate(symbols[:4])) ** power
                         + sympy.prod(symbol + power for symbol in symbols))
    parts = [sympy.diff(whole, symbol) for symbol in symbols]
    parts += [sympy.collect(part, symbols[0]) for part in parts[:2]]
    kept.append((whole, parts))
    terms += sum(len(part.args) for part in (whole, *parts))
answer = terms
