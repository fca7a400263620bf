# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""trees: a balanced binary search tree of instances with parent links under inserts and removals."""

import random

from bench_common import done, scaled


class Node:
    def __init__(self, key, rank):
        self.key = key
        self.rank = rank
        self.left = None
        self.right = None
        self.values = [key]


def merge(low, high):
    if low is None or high is None:
        return low or high
    if low.rank > high.rank:
        low.right = merge(low.right, high)
        return low
    high.left = merge(low, high.left)
    return high


def split(node, key):
    """The trees of the keys below `key` and of the rest."""
    if node is None:
        return None, None
    if node.key < key:
        node.right, rest = split(node.right, key)
        return node, rest
    below, node.left = split(node.left, key)
    return below, node


def main():
    chance = random.Random(5)
    root = None
    for _ in range(scaled(150000)):
        key = chance.randrange(30000)
        below, rest = split(root, key)
        same, above = split(rest, key + 1)
        if same is None:
            same = Node(key, chance.random())
        elif chance.random() < 0.6:
            same = None
        else:
            same.values.append(key)
        root = merge(merge(below, same), above)
    count, total, pending = 0, 0, [root]
    while pending:
        node = pending.pop()
        if node is not None:
            count += 1
            total += sum(node.values)
            pending += (node.left, node.right)
    return (count, total)


done("trees", main())
