# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Random object graphs end under the snapshot collector as they do under CPython's own: what is finalized, called back,
freed, counted and kept is the same, graph by graph. snapshot/graphs.py makes them.

$CAIRN_TEST_GRAPHS is the number of graphs in all (default 1000, some 20 seconds; 20000 is the number to have
passed)."""

import json
import os

import pytest
from conftest import SOURCES
from snapshot_support import DEBIAN, EVERY_TIME, PROGRAMS, each_other_python, each_python, odd_types  # noqa: F401

GRAPHS = int(os.environ.get("CAIRN_TEST_GRAPHS", "1000"))
IN_A_PROCESS = 500
PROGRAM = PROGRAMS / "graphs.py"
AUTOMATIC = {"gc": "snapshot", "gc_force": 3}


def lines(outcome):
    assert outcome.code == 0, outcome.err[-3000:]
    return [json.loads(line) for line in outcome.out.splitlines()]


def differing(stock, cairn):
    """What differs in the first line that does, by name."""
    assert len(stock) == len(cairn)
    for number, (left, right) in enumerate(zip(stock, cairn)):
        if left == right:
            continue
        if not isinstance(left, dict):
            return number, left, right
        return number, left.get("made"), {name: only(left[name], right[name]) for name in left
                                          if left[name] != right[name]}
    return None


def only(left, right):
    """What only one of two values holds, shortly."""
    if isinstance(left, list) and isinstance(right, list) and all(isinstance(item, str) for item in left + right):
        return {"stock only": [x for x in left if x not in right][:20],
                "cairn only": [x for x in right if x not in left][:20]}
    return {"stock": left, "cairn": right}


def same_rounds(programs, python, seed, graphs, *arguments, how="snapshot", options=EVERY_TIME):
    """The same lines from CPython's full collections and from snapshots that stand in for them."""
    command = [python, PROGRAM, "--seed", seed, "--graphs", graphs, *arguments]
    stock = lines(programs.stock([*command, "--collect", "full"]))
    cairn = programs.cairn([*command, "--collect", how], options=options)
    assert differing(stock, lines(cairn)) is None
    assert cairn.err == ""


@pytest.mark.parametrize("seed", range(1, max(2, GRAPHS // IN_A_PROCESS + 1)))
def test_graphs_end_as_on_stock(programs, odd_types, seed):  # noqa: F811
    same_rounds(programs, DEBIAN, seed, min(GRAPHS, IN_A_PROCESS), "--odd", odd_types(DEBIAN), "--fork")


@each_other_python
def test_graphs_on_other_versions(programs, odd_types, python):  # noqa: F811
    same_rounds(programs, python, 77, GRAPHS // 20, "--odd", odd_types(python), "--fork")


@each_python
def test_graphs_in_slices(programs, odd_types, python):  # noqa: F811
    """The circles of which nothing can come back are freed by Cairn, step by step, and with nothing else to be seen."""
    same_rounds(programs, python, 21, GRAPHS // 2 if python == DEBIAN else GRAPHS // 20, "--odd", odd_types(python),
                "--fork", "--in-parts", options=EVERY_TIME | {"gc_slices": 1})


def test_collections_asked_for_stay_exact(programs, odd_types):  # noqa: F811
    """Without that option they are CPython's."""
    same_rounds(programs, DEBIAN, 8, GRAPHS // 20, "--odd", odd_types(DEBIAN), how="full",
                options={"gc": "snapshot", "gc_minimum": 0})


def test_a_heap_without_pools(programs, odd_types):  # noqa: F811
    """Objects in holes instead of pools lie anywhere."""
    same_rounds(programs, DEBIAN, 5, GRAPHS // 20, "--odd", odd_types(DEBIAN), options=EVERY_TIME | {"pools": "off"})


def test_a_difference_is_seen(programs):
    """Without the snapshot collector the same program prints other lines."""
    command = [DEBIAN, PROGRAM, "--seed", 3, "--graphs", 30]
    stock = lines(programs.stock([*command, "--collect", "full"]))
    without = lines(programs.cairn([*command, "--collect", "snapshot"], options={"gc": "stock"}))
    assert differing(stock, without) is not None


def full_collections(outcome):
    """How many each process's interpreters had made before the last ones, which were asked for."""
    return [int(line.rsplit(" ", 1)[1]) for line in outcome.err.splitlines() if line.startswith("full collections")]


def same_in_the_end(programs, python, graphs, *how):
    command = [python, PROGRAM, "--collect", "auto", "--seed", 9, "--graphs", graphs, *how]
    stock = programs.stock(command)
    cairn = programs.cairn(command, options=AUTOMATIC)
    assert differing(lines(stock), lines(cairn)) is None
    return full_collections(stock), full_collections(cairn)


@each_python
def test_threads(programs, python):
    """Four threads make garbage while snapshots stand in for automatic collections."""
    stock, cairn = same_in_the_end(programs, python, max(200, GRAPHS // 2), "--threads", "4")
    assert cairn[0] >= stock[0] + 5


@each_python
def test_subinterpreters(programs, python):
    """An interpreter beside the main one has its own collector and gets what it would on stock."""
    same_in_the_end(programs, python, 60, "--subinterpreters")
