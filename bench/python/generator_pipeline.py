# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""generators: pipelines of generators over tuples, and recursive tree walks with `yield from`."""

from bench_common import done, scaled


def numbers(count):
    for number in range(count):
        yield number, str(number)


def pairs(source):
    for number, text in source:
        yield text + "x", (number, number * 2)


def chosen(source):
    return ((text, pair[1]) for text, pair in source if pair[0] % 3)


def make_tree(depth):
    return None if depth == 0 else (make_tree(depth - 1), depth, make_tree(depth - 1))


def walk(tree):
    if tree is not None:
        yield from walk(tree[0])
        yield tree[1]
        yield from walk(tree[2])


def main():
    total = 0
    tree = make_tree(13)
    for _ in range(scaled(27)):
        total += sum(len(text) + double for text, double in chosen(pairs(numbers(150000))))
        total += sum(walk(tree)) * 2
    return total


done("generators", main())
