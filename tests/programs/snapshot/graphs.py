# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""graphs.py: random object graphs that become garbage, and a line for each round of what a program can see of their
end.

usage: graphs.py --collect full|snapshot|auto --seed N --graphs N [--odd FOLDER] [--fork] [--threads N]
[--subinterpreters] [--in-parts]

The same seed makes the same graphs whatever collects them. Lines must be equal between

    full      stock CPython: each young collection is followed by a full one that is asked for
    snapshot  CAIRN_GC=snapshot CAIRN_GC_FORCE=1: nothing is asked for; the snapshot has to do what the full one does

and, for --collect auto (collections where the interpreter makes them; the last line tells what died in all), between
any two collectors. What a line holds: finalizers that ran, weak reference callbacks, memory given back, callbacks and
statistics of the full collection, what the weak dictionaries kept, which objects live on and can be reached from what
was kept, which dicts and tuples are tracked.

With --in-parts finalizers make no garbage: where the snapshot's garbage is freed in several steps, a later one of the
same round would find it.

Rules: random numbers are drawn only while graphs are made, never in finalizers or callbacks; nothing depends on an
address. A round promotes all it made before it lets go of anything, so both ways of collecting start from the same
generations. A test of the test: on stock, --collect snapshot prints other lines than --collect full."""

import argparse
import collections
import functools
import gc
import json
import os
import random
import sys
import threading
import types
import weakref

LOG = []            # events since the last line; append() is all that finalizers do to it
LAZARUS = []        # objects that finalizers brought back
WATCH = {}          # weak references with callbacks to objects, by number
GARBAGE_MADE = [0]  # counts what finalizers make
NEVER = 1_000_000   # as a threshold
ODD = None          # the extension module, if there is one


def log(event):
    LOG.append(event)


# ---- finalizers ----

def ends_plain(self):
    log(f"del {self.i}")


def ends_back_to_life(self):
    log(f"del {self.i}")
    LAZARUS.append(self)


def ends_saving_others(self):
    log(f"del {self.i}")
    LAZARUS.extend(neighbours(self)[:2])


def ends_by_breaking(self):
    """Takes its own cycle apart; only what it alone reads, or the order of finalizers would show."""
    log(f"del {self.i}")
    del self.links[:]


def ends_making_garbage(self):
    log(f"del {self.i}")
    ring = [GARBAGE_MADE]
    ring.append(ring)
    GARBAGE_MADE[0] += 1


def ends_with_an_error(self):
    log(f"del {self.i}")
    raise RuntimeError(self.i)


def ends_collecting(self):
    """For objects that only a collector finds: a collection within a collection does nothing."""
    log(f"del {self.i} {gc.collect()}")


def ends_referring_to_itself(self):
    log(f"del {self.i}")
    self.late = weakref.ref(self)


def neighbours(thing):
    return [other for other in getattr(thing, "links", ())
            if type(other) not in weakref.ProxyTypes and hasattr(other, "i")]


ENDINGS = [None, None, None, ends_plain, ends_plain, ends_back_to_life, ends_saving_others, ends_by_breaking,
           ends_making_garbage, ends_with_an_error, ends_referring_to_itself]
STEADY_ENDINGS = [None, ends_plain, ends_making_garbage, ends_with_an_error]


# ---- classes of instances: every layout of an instance, with and without a finalizer ----

def make_class(shape, ending):
    space = {"__hash__": object.__hash__}
    base = object
    if shape == "slots":
        space["__slots__"] = ("i", "links", "late", "canary", "__weakref__")
    elif shape == "slots without weak references":
        space["__slots__"] = ("i", "links", "late", "canary")
    elif shape == "slots and dict":
        space["__slots__"] = ("i", "__dict__", "__weakref__")
    elif shape in ("list", "dict", "set", "int", "str", "tuple"):
        base = getattr(__builtins__, shape) if hasattr(__builtins__, shape) else __builtins__[shape]
        space["__eq__"] = object.__eq__
    elif shape == "exception":
        base = Exception
    elif shape == "deque":
        base = collections.deque
    if ending:
        space["__del__"] = ending
    return type("".join(word.title() for word in shape.split()), (base,), space)


SHAPES = ["instance", "instance", "slots", "slots without weak references", "slots and dict", "list", "dict", "set",
          "int", "str", "tuple", "exception", "deque"]
CLASSES = {}


def class_of(shape, ending):
    if shape == "slots without weak references" and ending is ends_referring_to_itself:
        ending = ends_plain
    key = shape, ending
    if key not in CLASSES:
        CLASSES[key] = make_class(shape, ending)
    return CLASSES[key]


# ---- nodes that are no instances: each is made around a box, a list that gets its links later ----

def make_generator(box):
    def run():
        try:
            held = box
            yield held
        finally:
            log(f"closed {box[0]}")
    generator = run()
    next(generator)
    return generator


def make_plain_generator(box):
    generator = (item for item in [box, box])
    next(generator)
    return generator


class Never:
    def __await__(self):
        yield self


def make_coroutine(box):
    async def run():
        held = box
        await Never()
        return held
    coroutine = run()
    coroutine.send(None)
    return coroutine


def make_asynchronous_generator(box):
    async def run():
        held = box
        yield held
    generator = run()
    try:
        generator.__anext__().send(None)
    except StopIteration:
        pass
    return generator


def make_closure(box):
    def inner():
        return box, inner
    return inner


def make_module(box):
    module = types.ModuleType("made")
    module.box = box
    module.self = module
    return module


def make_class_of_its_own(box):
    return type("Made", (), {"box": box})


def make_error(box):
    def fail():
        held = box
        raise ValueError(held)
    try:
        fail()
    except ValueError as error:
        return error


def make_frame(box):
    held = box
    return sys._getframe() if held else None


class Method:
    def __init__(self, box):
        self.box = box

    def method(self):
        return self


def make_weak_values(box):
    box.append(weakref.WeakValueDictionary())
    return box


def make_weak_keys(box):
    box.append(weakref.WeakKeyDictionary())
    return box


OTHERS = [
    lambda box: box, lambda box: {"box": box}, lambda box: (box,), lambda box: (1, (box, "x")), lambda box: [box],
    make_generator, make_plain_generator, make_coroutine, make_asynchronous_generator, make_closure, make_module,
    make_class_of_its_own, make_error, make_frame, make_weak_values, make_weak_keys,
    lambda box: functools.partial(print, box), lambda box: Method(box).method,
    lambda box: types.SimpleNamespace(box=box),
    lambda box: collections.OrderedDict(box=box), lambda box: collections.defaultdict(list, box=box),
    lambda box: collections.deque([box]), lambda box: iter([box]), lambda box: map(len, [box]),
    lambda box: types.MappingProxyType({"box": box}), lambda box: {"box": box}.items(), lambda box: zip([box], [box]),
    lambda box: property(box.append), lambda box: staticmethod(box.append), lambda box: {1: (1, 2), 2: (), 3: box},
    lambda box: functools.lru_cache(Method(box).method), lambda box: enumerate([box]),
    lambda box: frozenset([Method(box)]),
]


class Canary:
    """Sits in a box and tells when the collector found the box to be garbage."""
    __slots__ = ("i",)

    def __init__(self, i):
        self.i = i

    def __del__(self):
        log(f"found {self.i}")


class Graphs:
    """Makes graphs. `steady` leaves out what depends on the moment of a collection."""

    def __init__(self, seed, steady=False):
        self.random = random.Random(seed)
        self.steady = steady
        self.endings = STEADY_ENDINGS if steady else ENDINGS
        self.number = seed % 1000 * 10_000_000
        self.kept = collections.deque()
        self.odd = []
        self.rings = []
        self.values = weakref.WeakValueDictionary()
        self.keys = weakref.WeakKeyDictionary()

    def new_number(self):
        self.number += 1
        return self.number

    def node(self):
        """(what holds the links, the object itself)"""
        i = self.new_number()
        pick = self.random.random()
        if pick < 0.55:
            made = self.instance(i)
        elif pick < 0.60 and ODD and not self.steady:
            made = self.odd_one(i)
        else:
            box = [i, Canary(i)]
            if ODD:
                box.append(ODD.Freed(i, functools.partial(print_event, "freed")))
            make = OTHERS[self.random.randrange(len(OTHERS))]
            made = box, make(box)
        self.watch(i, made[1])
        return made

    def instance(self, i):
        shape = self.random.choice(SHAPES)
        thing = class_of(shape, self.random.choice(self.endings))()
        thing.i = i
        thing.links = []
        if ODD and self.random.random() < 0.3:
            thing.canary = ODD.Freed(i, functools.partial(print_event, "freed"))
        if shape in ("list", "deque") and self.random.random() < 0.5:
            thing.append(thing)
        if shape == "dict" and self.random.random() < 0.5:
            thing[thing] = thing
        return thing.links, thing

    def odd_one(self, i):
        box = [i, Canary(i)]
        kind = self.random.randrange(20)
        thing = (ODD.Partial(box, None) if kind < 8 else ODD.Partial(None, box) if kind < 14
                 else ODD.Opaque(box) if kind < 19 else ODD.Legacy(box))
        self.odd.append(weakref.ref(thing))
        return box, thing

    def watch(self, i, thing):
        """Weak references from outside the graph, to what can be referred to weakly."""
        pick = self.random.random()
        try:
            if pick < 0.2:
                WATCH[i] = weakref.ref(thing, functools.partial(called, i))
            elif pick < 0.25:
                WATCH[i] = weakref.ref(thing)
            elif pick < 0.30:
                self.values[i] = thing
            elif pick < 0.35 and hasattr(thing, "i"):
                self.keys[thing] = i
            elif pick < 0.38:
                WATCH[i] = weakref.finalize(thing, log, f"finalize {i}")
                WATCH[i].atexit = False
            elif pick < 0.42:
                WATCH[i] = [weakref.ref(thing, functools.partial(called, f"{i}.{k}")) for k in range(3)]
        except TypeError:
            pass

    def link(self, source, target):
        """An edge of the graph, or a weak one."""
        pick = self.random.random()
        where, thing = source
        weak = [entry for entry in where if isinstance(entry, (weakref.WeakValueDictionary, weakref.WeakKeyDictionary))]
        try:
            if weak:
                weak[0][target[1] if isinstance(weak[0], weakref.WeakKeyDictionary) else self.number] = target[1]
            elif pick < 0.06 and not self.steady:
                i = self.new_number()
                where.append(weakref.ref(target[1], functools.partial(called, i)))
            elif pick < 0.10:
                where.append(weakref.ref(target[1]))
            elif pick < 0.12:
                where.append(weakref.proxy(target[1]))
            elif pick < 0.20 and isinstance(thing, dict) and hasattr(thing, "i"):
                thing[self.new_number()] = target[1]
            elif pick < 0.25 and isinstance(thing, set):
                thing.add(target[1])
            else:
                where.append(target[1])
        except TypeError:
            where.append(target[1])

    def ring(self, size):
        """Instances in a circle: all callbacks come before the first finalizer."""
        nodes, ending = [], self.random.choice([ends_plain, ends_plain, ends_collecting])
        for _ in range(size):
            thing = class_of("instance", ending)()
            thing.i = self.new_number()
            thing.links = nodes[-1:]
            nodes.append(thing)
            WATCH[thing.i] = weakref.ref(thing, functools.partial(called, thing.i))
        nodes[0].links.append(nodes[-1])
        self.rings.append([thing.i for thing in nodes])
        return nodes[:1]

    def rings_in_order(self, events):
        """Of each circle that ended among these events: were all callbacks before all finalizers?"""
        places = {" ".join(event.split()[:2]): place for place, event in enumerate(events)}
        orders = []
        for ring in self.rings:
            if f"del {ring[0]}" in places:
                orders.append(max(places[f"called {i}"] for i in ring) < min(places[f"del {i}"] for i in ring))
        return orders

    def graph(self):
        """Objects that hold a new graph; without them it is garbage, or part of it."""
        size = self.random.choice([1, 2, 3, 5, 8, 13, 30])
        nodes = [self.node() for _ in range(size)]
        for _ in range(int(size * self.random.choice([0.7, 1.0, 1.5, 3.0])) + 1):
            self.link(self.random.choice(nodes), self.random.choice(nodes))
        if self.kept and self.random.random() < 0.2:
            self.link(self.random.choice(nodes), ([], self.random.choice(self.random.choice(self.kept))))
        if self.random.random() < 0.1:
            asked = self.random.choice(nodes)[1]
            if hasattr(asked, "links") and hasattr(asked, "__dict__"):
                asked.rarely = asked
        return [thing for _, thing in nodes]

    def keep(self, things):
        """Some graphs live on for a few rounds, whole or from one object on."""
        if self.random.random() < 0.3:
            self.kept.append(self.random.sample(things, self.random.randint(1, len(things))))
        while len(self.kept) > self.random.randint(3, 12):
            self.kept.popleft()

    def clear_odd(self):
        """What no collector can find dies here, or would gather."""
        for reference in self.odd:
            thing = reference()
            if thing is not None:
                thing.clear()
        del self.odd[:], gc.garbage[:]


def print_event(kind, i):
    log(f"{kind} {i}")


def called(i, reference):
    log(f"called {i} {reference() is None}")
    WATCH.pop(i, None)


# ---- what can be seen afterwards ----

SKIPPED = (type, types.FunctionType, types.CodeType, types.BuiltinFunctionType, types.FrameType, str, int, float,
           weakref.ReferenceType, *weakref.ProxyTypes)


def reached(roots):
    """(numbers of the nodes that can be reached, dicts and tuples tracked, not tracked)"""
    outside = {id(globals()), id(LOG), id(LAZARUS), id(WATCH), id(sys.modules), id(CLASSES)}
    seen, numbers, tracked, work = set(outside), set(), [0, 0], list(roots)
    while work:
        thing = work.pop()
        if id(thing) in seen or type(thing) in SKIPPED:
            continue
        seen.add(id(thing))
        if type(thing) in (dict, tuple):
            tracked[gc.is_tracked(thing)] += 1
        number = thing[0] if type(thing) is list and thing else getattr(thing, "i", None)
        if type(number) is int:
            numbers.add(number)
        work.extend(gc.get_referents(thing))
    return sorted(numbers), tracked


def alive():
    """Numbers whose weak references from outside are alive."""
    return sorted(str(i) for i, entry in WATCH.items()
                  if (entry.alive if isinstance(entry, weakref.finalize)
                      else any(r() is not None for r in entry) if isinstance(entry, list) else entry() is not None))


def take_log():
    events = LOG[:]
    del LOG[:len(events)]
    return events


class FullCollections:
    """Notes the start and stop of the collections of the oldest generation, as the program's callbacks see them."""

    def __init__(self):
        self.seen = []
        gc.callbacks.append(self)

    def __call__(self, phase, info):
        if info["generation"] == 2:
            self.seen.append([phase, info["collected"], info["uncollectable"]])


def full_count():
    return gc.get_stats()[2]["collections"]


def collect(how):
    """A young collection that the interpreter makes by itself, and then a full one, asked for or by a snapshot. That no
    snapshot was taken is no error here: the lines will differ."""
    young = gc.get_stats()[0]["collections"]
    held = []
    gc.set_threshold(100, NEVER, NEVER)
    while gc.get_stats()[0]["collections"] == young:
        held.append([])
    gc.set_threshold(NEVER, NEVER, NEVER)
    held.clear()
    if how == "full":
        gc.collect()


def stepwise(options, out):
    """Rounds of a few graphs; a line for each."""
    graphs = Graphs(options.seed)
    callbacks = FullCollections()
    made = 0
    while made < options.graphs:
        LAZARUS.sort(key=lambda thing: thing.i)
        del LAZARUS[:graphs.random.choice([0, 1, len(LAZARUS)])]
        batch = [graphs.ring(graphs.random.randint(2, 6)) if graphs.random.random() < 0.1 else graphs.graph()
                 for _ in range(graphs.random.randint(1, 7))]
        made += len(batch)
        collect(options.collect)
        before, first = gc.get_stats()[2], take_log()
        del callbacks.seen[:]
        for things in batch:
            graphs.keep(things)
        batch = things = None
        if options.fork and graphs.random.random() < 0.05:
            out(["child", forked(options, graphs)])
        collect(options.collect)
        after, last = gc.get_stats()[2], take_log()
        out({"made": made, "before": sorted(first), "events": sorted(last), "order": graphs.rings_in_order(last),
             "callbacks": callbacks.seen,
             "stats": {name: after[name] - before[name] for name in after}, "alive": alive(),
             "values": sorted(graphs.values), "keys": sorted(graphs.keys.values()), "reached": reached(graphs.kept),
             "lazarus": len(LAZARUS), "final": sum(map(gc.is_finalized, LAZARUS)), "garbage": len(gc.garbage)})
        if graphs.random.random() < 0.1:
            graphs.clear_odd()


def forked(options, graphs):
    """A child collects what its parent was about to; what it saw comes back through a pipe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        collect(options.collect)
        with open(writer, "w") as pipe:
            json.dump([sorted(take_log()), alive(), reached(graphs.kept)], pipe)
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        seen = json.load(pipe)
    return [seen, os.waitpid(child, 0)[1]]


def automatic(options, out):
    """Graphs in several threads, collected whenever the interpreter does; then a line of all that died."""
    gc.set_threshold(150, 4, 2)
    makers = [Graphs(options.seed + 1 + k, steady=True) for k in range(options.threads or 1)]

    def work(graphs):
        for _ in range(options.graphs // len(makers)):
            graphs.keep(graphs.graph())

    if options.threads:
        threads = [threading.Thread(target=work, args=(graphs,)) for graphs in makers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        work(makers[0])
    collections_made = full_count()
    while gc.collect():
        pass
    out({"events": sorted(set(take_log())), "alive": alive(), "reached": [reached(graphs.kept)[0] for graphs in makers],
         "values": [sorted(graphs.values) for graphs in makers],
         "keys": [sorted(graphs.keys.values()) for graphs in makers]})
    print("full collections made:", collections_made, file=sys.stderr)
    del makers[:]
    WATCH.clear()
    gc.collect()
    take_log()


def in_subinterpreters(options, out):
    """The same in interpreters beside the main one, while it makes graphs of its own."""
    interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    for k in range(3):
        reader, writer = os.pipe()
        words = ["graphs.py", "--collect", "auto", "--seed", str(options.seed + k), "--graphs", str(options.graphs),
                 "--to", str(writer)]
        program = f"import runpy, sys\nsys.argv = {words!r}\nrunpy.run_path({__file__!r}, run_name='__main__')"
        interpreter = interpreters.create()
        main = threading.Thread(target=automatic, args=(options, out))
        main.start()
        interpreters.run_string(interpreter, program)
        main.join()
        os.close(writer)
        with open(reader) as pipe:
            out(["inner", k, json.loads(pipe.read())])
        interpreters.destroy(interpreter)


def main():
    global ODD
    parser = argparse.ArgumentParser()
    parser.add_argument("--collect", choices=["full", "snapshot", "auto"], required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--graphs", type=int, default=100)
    parser.add_argument("--odd", help="folder of the extension module odd_types")
    parser.add_argument("--fork", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--subinterpreters", action="store_true")
    parser.add_argument("--in-parts", action="store_true")
    parser.add_argument("--to", type=int, default=1, help="descriptor for the lines")
    options = parser.parse_args()
    if options.in_parts:
        ENDINGS[ENDINGS.index(ends_making_garbage)] = ends_plain
    if options.odd:
        sys.path.insert(0, options.odd)
        ODD = __import__("odd_types")
    sys.unraisablehook = lambda error: log(f"unraisable {error.exc_value!r:.60}")
    sys.set_asyncgen_hooks(lambda generator: None, None)
    if options.collect != "auto":
        gc.set_threshold(NEVER, NEVER, NEVER)

    def out(value):
        os.write(options.to, (json.dumps(value) + "\n").encode())

    import warnings
    warnings.simplefilter("ignore")
    if options.subinterpreters:
        in_subinterpreters(options, out)
    elif options.collect == "auto":
        automatic(options, out)
    else:
        stepwise(options, out)


if __name__ == "__main__":
    main()
