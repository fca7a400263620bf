# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""slices.py DEED FOLDER: drops documents, each a large circle of plain objects, while DEED is done at any moment: between two
steps of a document's end, or within one (the end of a leaf, which no collector knows of, calls back). Prints whether each
leaf died once, when it should, and what else was seen: the same as on stock CPython. FOLDER holds the extension module
odd_types."""

import gc
import os
import random
import sys
import threading
import weakref

random.seed(int(os.environ.get("SEED", "1")))
NODES = 6000
DOCUMENTS = 16

deaths = {}
dropped = set()
seen = []
within = None  # what a dying leaf does


def dies(number):
    deaths[number] = deaths.get(number, 0) + 1
    if number // NODES not in dropped:
        seen.append("a leaf died early")
    if within is not None and number % 1500 == 700:
        within()


def leaf(number):
    return odd_types.Freed(number, dies)


class Node:
    def __init__(self, parent, leaf):
        self.parent = parent
        self.leaf = leaf
        self.children = []
        self.facts = {"of": self, "pair": (leaf, self)}
        if parent is not None:
            parent.children.append(self)


def document(number):
    """Each node is referred to by its parent and its children; some chains are deep."""
    nodes = [Node(None, leaf(number * NODES))]
    for k in range(1, NODES):
        parent = nodes[-1] if k % 3 else nodes[random.randrange(k)]
        nodes.append(Node(parent, leaf(number * NODES + k)))
    return nodes[0]


def whole(root):
    """Is the document as it was made?"""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += 1
        good = node.facts["of"] is node and node.facts["pair"] == (node.leaf, node)
        if not good or any(child.parent is not node for child in node.children):
            return False
        waiting += node.children
    return count == NODES


def look():
    """What the collector shows between collections are whole objects."""
    if within is None and not all(hasattr(thing, "facts") for thing in gc.get_objects() if type(thing) is Node):
        seen.append("a node without its facts")


def hold():
    """Takes a node out of a dropped document, which lives on by that; its parent refers to it no more."""
    for thing in gc.get_objects() if within is None else ():
        if type(thing) is Node and thing.parent is not None and thing.leaf.first // NODES in dropped and (
                thing in thing.parent.children):
            thing.parent.children.remove(thing)
            held.append(thing)
            return


def check_held():
    for node in held:
        if len(node.facts) != 2 or node.parent.facts["of"] is not node.parent:
            seen.append("a held node was cleared")


def fork():
    if random.random() < 0.9:
        return
    child = os.fork()
    if child == 0:
        traffic(8)
        gc.collect()  # does nothing within a collection
        os._exit(0 if (within or all_dead()) and not seen and set(deaths.values()) <= {1} else 1)
    if os.waitpid(child, 0)[1] != 0:
        seen.append("a child saw something else")


def save_all():
    gc.set_debug(gc.DEBUG_SAVEALL)
    traffic(1)
    gc.set_debug(0)
    gc.garbage.clear()


def thread():
    worker = threading.Thread(target=traffic, args=(1,))
    worker.start()
    worker.join()


def freeze():
    gc.freeze()
    gc.unfreeze()


def switch():
    cairn.gc_mode("stock")
    cairn.gc_mode("snapshot")


held = []
DEEDS = {"nothing": lambda: None, "collect": gc.collect, "look": look, "hold": hold, "fork": fork, "freeze": freeze,
         "save_all": save_all, "thread": thread, "switch": switch, "leave": lambda: None}


def traffic(rounds):
    """Makes small garbage that is old when it dies, for collections to come."""
    waiting = []
    for _ in range(rounds * 700):
        ring = [None, {}]
        ring[0] = ring
        waiting.append(ring)
        if len(waiting) > 500:
            waiting.clear()


def until_a_leaf_dies():
    """Or, on stock CPython, where that is left to a full collection, for as long as this takes on Cairn."""
    before = len(deaths)
    for _ in range(1000):
        if len(deaths) != before:
            return
        traffic(1)


def all_dead():
    return all(deaths.get(number * NODES + k) == 1 for number in dropped for k in range(NODES))


def main(name):
    global within
    deed = DEEDS[name]
    keep = document(DOCUMENTS)
    records = [[{}] for _ in range(20000)]
    for number in range(DOCUMENTS):
        root = document(number)
        traffic(30)
        watch = weakref.ref(root) if number % 4 == 3 else None  # this one is not plain
        dropped.add(number)
        within = deed if number % 2 else None
        root = None
        if within:
            until_a_leaf_dies()
        for _ in range(30):
            traffic(random.randrange(1, 9))
            if within is None:
                deed()
        within = None
        check_held()
        seen.extend(["a document was held"] if held else [])
        held.clear()
    del watch
    if name == "leave":
        return
    gc.collect()
    print(name, len(deaths) == DOCUMENTS * NODES, all_dead(), whole(keep), len(records), sorted(set(seen)))


sys.path.insert(0, sys.argv[2])
import odd_types  # noqa: E402

if sys.argv[1] == "switch":
    import cairn
main(sys.argv[1])
