# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""python_smoke.py: a bit of everything that leans on CPython's allocators. Runs on Python 3.8 to 3.13 and prints the
same on every allocator."""

import ctypes
import gc
import json
import os
import random
import subprocess
import sys
import threading
import tracemalloc
import weakref
import zlib


def crc(text):
    return zlib.crc32(text.encode())


def sizes():
    """Blocks of every class, grown and shrunk one by one."""
    data = {size: bytearray(size) for size in range(0, 2000, 7)}
    for size in data:
        data[size].extend(b"x" * size)
        del data[size][size // 2:]
    return sum(map(len, data.values()))


def big_lists():
    rows = [[i, str(i), (i, float(i))] for i in range(100000)]
    random.Random(1).shuffle(rows)
    kept = rows[::100]
    del rows
    kept.sort()
    return len(kept), crc(repr(kept))


def documents():
    text = json.dumps([{"id": i, "name": f"näme {i}", "values": list(range(i % 50))} for i in range(3000)])
    return len(text), crc(json.dumps(json.loads(text)))


class Node:
    def __init__(self):
        self.me = self
        self.data = [self, {}, set()]


def cycles():
    gc.collect()
    references = [weakref.ref(Node()) for _ in range(20000)]
    gc.collect()
    return sum(reference() is None for reference in references)


def threads():
    results = [None] * 8

    def work(index):
        mine = []
        for i in range(10000):
            mine.append("%d-%d" % (index, i))
            if i % 3 == 0:
                mine.pop(len(mine) // 2)
        results[index] = crc("".join(mine))

    started = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return results


def forks():
    """Children of a process whose other threads allocate."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            [str(i) for i in range(1000)]

    busy = [threading.Thread(target=churn) for _ in range(3)]
    for thread in busy:
        thread.start()
    statuses = []
    for number in range(10):
        child = os.fork()
        if child == 0:
            total = sum(len(str(i)) for i in range(20000))
            os._exit(total % 200)
        statuses.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in busy:
        thread.join()
    return statuses


def interpreters():
    """Four other interpreters, used from four threads at the same time (from 3.12 on each has a GIL of its own)."""
    code = "x = [str(i) * 3 for i in range(10000)]; import json; json.loads(json.dumps(x)); assert len(x) == 10000"
    try:
        import _interpreters as module
        run = module.exec
    except ImportError:
        import _xxsubinterpreters as module
        run = module.run_string
    ids = [module.create() for _ in range(4)]
    failed = []

    def use(identity):
        for _ in range(3):
            if run(identity, code):
                failed.append(identity)

    if sys.version_info >= (3, 12):
        users = [threading.Thread(target=use, args=(identity,)) for identity in ids]
        for user in users:
            user.start()
        for user in users:
            user.join()
    else:
        for identity in ids:
            use(identity)
    for identity in ids:
        module.destroy(identity)
    return len(failed)


def traced():
    tracemalloc.start(5)
    before, _ = tracemalloc.get_traced_memory()
    data = [bytes(1000) for _ in range(1000)]
    after, _ = tracemalloc.get_traced_memory()
    biggest = tracemalloc.take_snapshot().statistics("lineno")[0].size
    tracemalloc.stop()
    return len(data), after - before > 1000000, biggest > 1000000


def domains():
    """Each domain by its C functions, with the corner cases of their contract."""
    answers = []
    for name in ("PyMem_Raw", "PyMem_", "PyObject_"):
        malloc, calloc, realloc, free = (getattr(ctypes.pythonapi, name + call)
                                         for call in ("Malloc", "Calloc", "Realloc", "Free"))
        for function in (malloc, calloc, realloc):
            function.restype = ctypes.c_void_p
        malloc.argtypes = [ctypes.c_size_t]
        calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        free.argtypes = [ctypes.c_void_p]
        empty = [malloc(0), malloc(0), calloc(0, 5), calloc(5, 0), realloc(None, 0)]
        shrunk = realloc(malloc(1000), 0)
        zero = calloc(100, 100)
        zeroed = ctypes.string_at(zero, 10000) == bytes(10000)
        absurd = [malloc(2**63), calloc(2**62, 4), realloc(zero, 2**63), malloc(2**63 - 4097)]
        grown = malloc(10)
        ctypes.memmove(grown, b"0123456789", 10)
        for size in (100, 600, 5000, 100000, 40000000, 50):
            grown = realloc(grown, size)
        answers.append((all(empty), len(set(empty)), bool(shrunk), zeroed, absurd, ctypes.string_at(grown, 10)))
        for block in [*empty, shrunk, zero, grown, None]:
            free(block)
    return answers


def processes():
    code = "print(sum(len(str(i)) for i in range(1000)))"
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout


def trim():
    data = [str(i) for i in range(100000)]
    del data
    ctypes.pythonapi.malloc_trim(0)  # with the GIL
    ctypes.CDLL(None).malloc_trim(0)  # without
    return len([str(i) for i in range(100000)])


for step in (sizes, big_lists, documents, cycles, threads, forks, interpreters, traced, domains, processes, trim):
    print(step.__name__, step())
