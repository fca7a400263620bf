# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""moments.py DEED FOLDER: does DEED while a large circle of plain objects is being freed in slices: as soon as the first of
them is taken, or some collections later. FOLDER holds the extension module odd_types. Prints what came of it, the same as on stock CPython, where the circle waits for a
full collection. The moment is seen by an object's count, read at its address; on Cairn it has to come."""

import collections
import ctypes
import gc
import os
import sys

SIZE = 100_000
CIRCLES = 4

records = [[{}] for _ in range(20_000)]
recent = collections.deque(maxlen=40_000)
waiting = []
moments = 0


class Node:
    pass


def traffic(rounds):
    """Makes small garbage that is old when it dies, for collections to come."""
    for _ in range(rounds * 700):
        ring = [None, {}]
        ring[0] = ring
        waiting.append(ring)
        recent.append([[]])
        if len(waiting) > 500:
            waiting.clear()


def count(address):
    return ctypes.c_ssize_t.from_address(address).value


def until_taken(address, before):
    global moments
    for _ in range(400):
        traffic(1)
        if count(address) != before:
            moments += 1
            return
    gc.collect()  # stock: the circle is there until now


def lists():
    """Each refers to the one before it, which nothing else does. Returns the last, and the first's address."""
    first = node = ["node"]
    for _ in range(SIZE):
        node = ["node", node]
    first.append(node)
    return node, id(first)


def nodes(**facts):
    """The same of instances."""
    first = node = Node()
    for _ in range(SIZE):
        node, node.before = Node(), node
        vars(node).update(facts)
    first.before = node
    vars(first).update(facts)
    return node, id(first)


def dropped(make, **facts):
    circle, first = make(**facts)
    traffic(40)
    return first, count(first)


def cut():
    """Looks for a list of the circle, and cuts its reference to the next: all behind it die of that."""
    for _ in range(CIRCLES):
        until_taken(*dropped(lists))
        found = [thing for thing in gc.get_objects() if type(thing) is list and thing[:1] == ["node"]]
        reachable = {id(thing) for thing in found}
        found = next((thing for thing in found if len(thing) == 2 and id(thing[1]) not in reachable), None)
        if found is not None:
            print("a part was found")
            found.clear()
        found = None
        traffic(30)
    gc.collect()


def finalizer():
    """The class gets one: it sees whole objects only."""
    seen = set()
    for later in range(0, 40, 13):
        until_taken(*dropped(nodes, name="a"))
        traffic(later)
        Node.__del__ = lambda node: seen.add(len(vars(node)))
        traffic(60)
        del Node.__del__
        gc.collect()
    print(seen - {2})


def disable(later=1):
    """The circle holds a file, whose lines are written when it goes; with the collector off, that is now or never."""
    file = open(os.dup(1), "w")
    until_taken(*dropped(nodes, file=file))
    traffic(later)
    gc.disable()
    file.write("all of it\n")


def disable_later():
    disable(3)


def leaf():
    """Its end is seen; the collector does not know it."""
    return odd_types.Freed(0, ended)


def ended(_):
    ends[gc.get_stats()[0]["collections"]] += 1


ends = collections.Counter()


def tuples():
    """Each refers to the one before it, and none of them can be cleared."""
    root = []
    deep = (root,)
    for _ in range(SIZE):
        deep = (leaf(), deep)
    root.append(deep)
    return root, id(root)


def chain():
    """It does not go all at once."""
    until_taken(*dropped(tuples))
    for _ in range(400):
        traffic(1 if sum(ends.values()) < SIZE else 0)
    if "LD_PRELOAD" in os.environ and max(ends.values()) > SIZE // 2:
        print("in one", max(ends.values()))
    gc.collect()
    print(sum(ends.values()))


DEEDS = {deed.__name__: deed for deed in (chain, cut, finalizer, disable, disable_later)}
sys.path.insert(0, sys.argv[2])
import odd_types  # noqa: E402

DEEDS[sys.argv[1]]()
if moments == 0 and "LD_PRELOAD" in os.environ:
    sys.exit("nothing was freed in slices")
print("done")
