# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""found.py graphs SEED COUNT | big OBJECTS | room OBJECTS: what a snapshot finds against what a full collection does.

Run with snapshot_probe on the path. A full collection says what it found by gc.DEBUG_COLLECTABLE, before any finalizer
runs. `graphs` compares COUNT random graphs: the set of objects, every fourth time also their components and order.
`big` does that with one large shuffled heap, `room` with a result too small for what there is. Prints how many objects
were found, or fails by an assertion that names the graph."""

import gc
import io
import random
import sys
import weakref

import snapshot_probe

LAST, BITS, ADDRESS = 1, 15, (1 << 48) - 1
COMPLETE, PARTIAL = 1, 2
MEMORY, LIMIT_MS = 1 << 28, 60000


class Plain:
    pass


class Slots:
    __slots__ = ("left", "right", "__weakref__")


class DictOf(dict):
    pass


class ListOf(list):
    pass


class TupleOf(tuple):
    pass


class Finalized:
    def __del__(self):
        pass


class ReferenceOf(weakref.ref):
    __slots__ = ("more",)


def suspended(held):
    box = [held]
    yield box
    yield held


def generator(held):
    started = suspended(held)
    next(started)
    return started


MAKERS = [
    lambda some: Plain(),
    lambda some: Slots(),
    lambda some: {},
    lambda some: [],
    lambda some: (some(), some()),
    lambda some: DictOf(),
    lambda some: ListOf(),
    lambda some: TupleOf((some(), [some()])),
    lambda some: Finalized(),
    lambda some: (1, "a", (2, (3,))),
    lambda some: generator(some()),
    lambda some: (lambda held=some(): held),
    lambda some: type("Made", (Plain,), {"held": some()}),
    lambda some: set(),
    lambda some: {"k": 0.5, 1: "two"},
    lambda some: ListOf([some()]).append,
]


def weak(rng, target):
    """A weak reference of some kind, None if the target's type has none."""
    makers = [weakref.ref, lambda to: weakref.ref(to, [].append), ReferenceOf, weakref.proxy]
    try:
        return rng.choice(makers)(target)
    except TypeError:
        return None


def link(rng, source, target):
    if isinstance(source, list):
        source.append(target)
    elif isinstance(source, dict):
        source[rng.choice((rng.randrange(5), f"k{rng.randrange(5)}"))] = target
    elif isinstance(source, Slots):
        setattr(source, rng.choice(("left", "right")), target)
    elif type(source) in (Plain, Finalized):
        setattr(source, f"x{rng.randrange(4)}", target)
    elif isinstance(source, set):
        try:
            source.add(target)
        except TypeError:
            pass


def make_graph(rng):
    """Makes objects, links them, and returns those that stay reachable."""
    count = rng.choice((3, 10, 40, 150))
    made = []
    for _ in range(count):
        made.append(rng.choice(MAKERS)(lambda: rng.choice(made) if made else None))
        reference = weak(rng, rng.choice(made)) if rng.random() < 0.15 else None
        if reference is not None:
            made.append(reference)
    for _ in range(int(count * rng.choice((0.3, 1, 1.5, 3)))):
        link(rng, rng.choice(made), rng.choice(made))
    if rng.random() < 0.3:
        gc.collect(rng.randrange(2))
    share = rng.choice((0, 0.02, 0.2))
    return [thing for thing in made if rng.random() < share]


# ---- what a snapshot found ----

def address(entry):
    return entry & ADDRESS & ~BITS


def parts_of(candidates):
    """The components, as lists of addresses."""
    parts, part = [], []
    for entry in candidates:
        part.append(address(entry))
        if entry & LAST:
            parts.append(part)
            part = []
    assert not part, "the last component does not end"
    return parts


def components(objects):
    """The same by this program's own means. Proxies cannot be asked for their referents: there must be none."""
    parent = {id(thing): id(thing) for thing in objects}

    def root(one):
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for thing in objects:
        targets = gc.get_referents(thing)
        if isinstance(thing, weakref.ref):
            targets.append(weakref.ref.__call__(thing))
        for target in targets:
            if id(target) in parent:
                parent[root(id(thing))] = root(id(target))
    parts = {}
    for thing in objects:
        parts.setdefault(root(id(thing)), set()).add(id(thing))
    return {frozenset(part) for part in parts.values()}


def order_of_rings():
    """The place of every tracked object, by address."""
    rings = (gc.get_objects(generation=number) for number in (2, 0, 1))
    return {number: place for place, number in enumerate(id(thing) for ring in rings for thing in ring)}


def check_parts(told, places):
    parts = parts_of(told["candidates"])
    assert len(parts) == told["components"]
    objects = snapshot_probe.objects([one for part in parts for one in part])
    if not any(type(thing) in weakref.ProxyTypes for thing in objects):
        assert components(objects) == {frozenset(part) for part in parts}, "components"
    orders = [[places[one] for one in part] for part in parts]
    assert all(order == sorted(order) for order in orders), "order in a component"
    firsts = [order[0] for order in orders]
    assert firsts == sorted(firsts), "order of components"


# ---- what a full collection finds ----

def stock_finds():
    kept, sys.stderr = sys.stderr, io.StringIO()
    gc.set_debug(gc.DEBUG_COLLECTABLE | gc.DEBUG_UNCOLLECTABLE)
    gc.collect()
    gc.set_debug(0)
    kept, sys.stderr = sys.stderr, kept
    found = (line.split() for line in kept.getvalue().splitlines())
    return {int(words[-1].rstrip(">"), 16) for words in found if words[:2] in (["gc:", "collectable"],
                                                                               ["gc:", "uncollectable"])}


def compare(with_parts):
    places = order_of_rings() if with_parts else None
    told = snapshot_probe.analyse(1 << 20, MEMORY, LIMIT_MS)
    assert (told["status"], told["suspicious"]) == (COMPLETE, 0), told
    found = {address(entry) for entry in told["candidates"]}
    assert len(found) == len(told["candidates"]) == told["garbage"]
    assert told["live"] + told["garbage"] == told["objects"]
    if with_parts:
        check_parts(told, places)
    stock = stock_finds()
    assert found == stock, f"{len(found)} found, {len(stock)} by a full collection, {len(found & stock)} by both"
    return len(found)


# ---- commands ----

def graphs(seed, count):
    total = 0
    gc.freeze()  # for the first half: the permanent generation is external
    for number in range(count):
        if number == count // 2:
            gc.unfreeze()
        rng = random.Random(seed * 1000003 + number)
        kept = make_graph(rng)
        try:
            total += compare(number % 4 == 0)
        except AssertionError:
            print(f"seed {seed}, graph {number}", file=sys.stderr)
            raise
        del kept
    return total


def shuffled_heap(count, rng):
    """`count` dicts and lists at addresses that have nothing to do with their order, two in a hundred garbage."""
    rows = [{"number": i, "row": [i, None]} for i in range(count // 2)]
    rng.shuffle(rows)
    del rows[count // 4:]
    rows += [{"number": i, "row": [i, None]} for i in range(count // 4)]
    for row in rows:
        row["row"][1] = rng.choice(rows)
    for i in range(count // 100):
        ring = [rows[i]]
        ring.append({"ring": ring})
    return rows


def big(count):
    kept = shuffled_heap(count, random.Random(count))
    total = compare(True)
    assert len(kept) == count // 4 * 2
    return total


def room(count):
    """A result with room for a third: whole components, and in a few snapshots all of them."""
    kept = shuffled_heap(count, random.Random(count))
    told = snapshot_probe.analyse(1 << 20, MEMORY, LIMIT_MS)
    everything = {frozenset(part) for part in parts_of(told["candidates"])}
    some = snapshot_probe.analyse(told["garbage"] // 3, MEMORY, LIMIT_MS)
    assert some["status"] == PARTIAL
    assert 0 < len(some["candidates"]) <= told["garbage"] // 3
    assert {frozenset(part) for part in parts_of(some["candidates"])} <= everything
    assert snapshot_probe.analyse(0, MEMORY, LIMIT_MS)["status"] == PARTIAL
    assert stock_finds() == {one for part in everything for one in part}
    assert kept
    return len(some["candidates"])


def main():
    gc.collect()
    gc.disable()
    command = {"graphs": graphs, "big": big, "room": room}[sys.argv[1]]
    print(command(*map(int, sys.argv[2:])))


main()
