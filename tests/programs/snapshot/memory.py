# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""memory.py endless|aging LIVE FAMILIES: exact counts of garbage that has not been freed yet.

Families of model-like objects, parents and children that know each other, are made without end: dropped at once
("endless", the pattern under which an incremental collector let garbage pile up), or kept for a while and dropped when
they are old ("aging"). LIVE tracked objects stay all the time. Every instance counts its birth and its end; after each
birth the number of tracked objects that nothing refers to is known exactly, and the most is kept.

Prints: live tracked objects, the most that floated, what the young generations may hold, full collections, instances at
the end."""

import collections
import gc
import sys


class Model:
    alive = 0

    def __init__(self):
        Model.alive += 1

    def __del__(self):
        Model.alive -= 1


class Parent(Model):
    def __init__(self, children):
        super().__init__()
        self.children = [Child(self, number) for number in range(children)]
        self.by_number = {child.number: child for child in self.children}


class Child(Model):
    def __init__(self, parent, number):
        super().__init__()
        self.parent, self.number = parent, number
        self.siblings = parent.__dict__.setdefault("made", [])
        self.siblings.append(self)


CHILDREN = 3
INSTANCES = CHILDREN + 1


def objects_of_a_family():
    gc.collect()
    before = len(gc.get_objects())
    families = [Parent(CHILDREN) for _ in range(100)]
    gc.collect()
    return (len(gc.get_objects()) - before - 1) / len(families)


def main():
    pattern, live, families = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    weight = objects_of_a_family()
    kept = [Parent(CHILDREN) for _ in range(int(live / weight))]
    aging = collections.deque(maxlen=3000 if pattern == "aging" else 1)
    aging.extend(Parent(CHILDREN) for _ in range(aging.maxlen))
    gc.collect()
    live = len(gc.get_objects())
    held = Model.alive
    before = gc.get_stats()[2]["collections"]
    most = 0
    for _ in range(families):
        aging.append(Parent(CHILDREN))
        most = max(most, Model.alive - held)
    thresholds = gc.get_threshold()
    young = thresholds[0] * (thresholds[1] + 2)
    print(live, int(most / INSTANCES * weight), young, gc.get_stats()[2]["collections"] - before)
    assert len(kept) * INSTANCES + len(aging) * INSTANCES == held
    del aging, kept
    gc.collect()
    print(Model.alive)


if __name__ == "__main__":
    main()
