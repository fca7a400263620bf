# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""A large circle of plain objects ends in slices, and a program sees nothing of it, whatever it does meanwhile:
snapshot/slices.py prints what it prints on stock CPython. That all ends as on stock, graph by graph:
test_snapshot_graphs.py."""

import json

import pytest
from snapshot_support import DEBIAN, PROGRAMS, each_other_python, each_python, odd_types, snapshots_of  # noqa: F401

PROGRAM = PROGRAMS / "slices.py"
SLICED = {"gc": "snapshot", "gc_minimum": 1000, "gc_slices": 1000}
DOCUMENT = """
import gc, xml.dom.minidom
text = "<r>" + "".join(f"<a id='{i}'><b>text {i}</b></a>" for i in range(6000)) + "</r>"
records = [{"number": i} for i in range(150_000)]
for _ in range(3):
    document = xml.dom.minidom.parseString(text)
    waiting = [[i] for i in range(60_000)]
    document = None
    for _ in range(20):
        waiting = [[i] for i in range(30_000)]
print(gc.collect() < 60_000)
"""


def same_as_stock(programs, folder, python, deed):
    """The snapshot collector's figures of the run on Cairn."""
    command = [python, PROGRAM, deed, folder]
    stock, cairn = programs.stock(command), programs.counted(command, options=SLICED)
    for outcome in (stock, cairn):
        assert (outcome.code, outcome.err) == (0, "")
    assert cairn.out == stock.out
    assert "True True True" in stock.out or deed == "leave"
    return [snapshots_of(document) for document in cairn.statistics]


@pytest.mark.parametrize("deed", ["nothing", "collect", "look", "hold", "fork", "freeze", "save_all", "thread", "leave"])
def test_whatever_a_program_does_meanwhile(programs, odd_types, deed):  # noqa: F811
    figures = same_as_stock(programs, odd_types(DEBIAN), DEBIAN, deed)
    assert max(one["sliced"] for one in figures) >= (4 if deed == "collect" else 8)


@each_other_python
def test_other_versions(programs, odd_types, python):  # noqa: F811
    figures = same_as_stock(programs, odd_types(python), python, "fork")
    assert max(one["sliced"] for one in figures) >= 8


@pytest.mark.parametrize("slices, sliced", [(2000, 3), (0, 0)])
def test_documents(programs, slices, sliced):
    """A tree of the standard library, whose nodes know their parents: one stop each, or many."""
    trace = programs.folder / "trace.json"
    outcome = programs.counted([DEBIAN, "-c", DOCUMENT], options=SLICED | {"gc_slices": slices, "gc_trace": trace})
    assert (outcome.code, outcome.out, outcome.err) == (0, "True\n", "")
    figures = snapshots_of(outcome.statistics[0])
    assert figures["sliced"] == sliced and figures["collected"] >= 3 * 60_000
    batches = [event["args"] for event in json.loads(trace.read_text()) if event.get("name") == "batch"]
    if sliced:
        assert len(batches) >= 3 * 4
    else:
        assert max(batch["found"] for batch in batches) >= 60_000


@each_python
@pytest.mark.parametrize("deed", ["chain", "cut", "finalizer", "disable", "disable_later"])
def test_at_the_worst_moment(programs, odd_types, python, deed):  # noqa: F811
    command = [python, PROGRAMS / "moments.py", deed, odd_types(python)]
    stock, cairn = programs.stock(command), programs.cairn(command, options=SLICED)
    for outcome in (stock, cairn):
        assert (outcome.code, outcome.err) == (0, "")
    assert sorted(cairn.out.splitlines()) == sorted(stock.out.splitlines())
