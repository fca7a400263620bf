# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What the snapshot collector costs in memory is bounded, in exact counts: garbage that waits to be freed, the helper's
own tables, pages copied because a snapshot shares them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import cairn_environment
from snapshot_support import DEBIAN, PROGRAMS, each_other_python, snapshots_of

SNAPSHOT = {"gc": "snapshot", "gc_minimum": 1000}
MEMORY = PROGRAMS / "memory.py"


def limit(live):
    """Objects that may float, beyond what the young generations hold on stock too."""
    return max(0.10 * live, 20_000)


def floating(programs, python, options, *arguments):
    """(live objects, the most that floated, what the young generations may hold, full collections)"""
    command = [python, MEMORY, *arguments]
    outcome = programs.cairn(command, options=options) if options else programs.stock(command)
    assert (outcome.code, outcome.err) == (0, "")
    first, last = outcome.out.splitlines()
    assert last == "0"
    return map(int, first.split())


@pytest.mark.parametrize("pattern, live, families", [("endless", 200_000, 40_000), ("aging", 200_000, 50_000)])
def test_floating_garbage(programs, pattern, live, families):
    """At any moment."""
    live, most, young, full = floating(programs, DEBIAN, SNAPSHOT, pattern, live, families)
    assert most <= limit(live) + young, (live, most, young, full)


def test_one_processor(programs):
    """There a snapshot takes the program's own time: about as much may float as on stock, and fewer are taken."""
    processor = min(os.sched_getaffinity(0))
    outcome = programs.cairn(["taskset", "-c", processor, DEBIAN, MEMORY, "aging", 200_000, 50_000], options=SNAPSHOT)
    assert (outcome.code, outcome.err) == (0, "")
    live, most, young, _ = map(int, outcome.out.splitlines()[0].split())
    assert limit(live) + young < most <= 0.35 * live + young, (live, most, young)


@each_other_python
def test_floating_garbage_on_other_versions(programs, python):
    live, most, young, full = floating(programs, python, SNAPSHOT, "aging", 200_000, 50_000)
    assert most <= limit(live) + young, (live, most, young, full)


def test_the_limit_of_floating_garbage_is_an_option(programs):
    """With four tenths allowed, fewer snapshots, and more garbage than a tenth."""
    few = floating(programs, DEBIAN, SNAPSHOT | {"gc_floating": 40}, "aging", 200_000, 40_000)
    live, most, young, _ = few
    assert limit(live) + young < most <= 4 * limit(live) + young


def test_stock_lets_more_garbage_float(programs):
    """The test can fail: stock CPython waits for a quarter of what lives, and for what is promoted meanwhile."""
    live, most, young, _ = floating(programs, DEBIAN, None, "aging", 200_000, 40_000)
    assert most > limit(live) + young


HEAP = """
import gc, sys
gc.disable()
kept = [{"number": i, "list": [i], "text": "x" * (i % 50)} for i in range(300_000)]
gc.enable()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
for _ in range(3):
    for _ in range(2000):
        ring = [None]
        ring.append(ring)
print(resident())
"""


def test_the_tables_of_the_analysis(programs, tmp_path):
    """At most a twelfth of the heap."""
    outcome = programs.counted([DEBIAN, "-c", HEAP], options={"gc": "snapshot", "gc_force": 1})
    assert (outcome.code, outcome.err) == (0, "")
    figures = snapshots_of(outcome.statistics[0])
    assert figures["finished"] >= 3
    assert 0 < figures["table_bytes_most"] <= int(outcome.out) / 12


def helpers_of(pid):
    """Those that analyse; one that joins pages has no memory of its own, but shows all of the program's."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            name, rest = Path(f"/proc/{entry}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
            if name == "cairn-helper" and int(rest.split()[1]) == pid:
                found.append(int(entry))
        except OSError:
            continue
    return found


def kilobytes(pid, field):
    """A field of a process's memory, 0 once it is gone."""
    try:
        return int(re.search(rf"^{field}: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    except (OSError, TypeError):
        return 0


def test_the_helper_seen_from_outside(tmp_path):
    """Its own pages, while the program waits for it and copies none, are at most a twelfth of the program's."""
    program = subprocess.Popen([DEBIAN, "-c", HEAP], env=cairn_environment(gc="snapshot", gc_force=1), cwd=tmp_path,
                               stdout=subprocess.PIPE, text=True)
    own = []
    while program.poll() is None:
        own += [kilobytes(helper, "Private_Dirty") for helper in helpers_of(program.pid)]
    resident = int(program.stdout.read()) / 1024
    assert sum(value > 0 for value in own) >= 2
    assert max(own) <= resident / 12


COPYING = """
import gc
gc.disable()
kept = [{"number": i, "list": [i]} for i in range(300_000)]
gc.enable()
young = []
for turn in range(40):
    for record in kept:              # writes to every page of the heap, by the reference counts alone
        record["number"]
    for _ in range(4000):
        ring = [None]
        ring.append(ring)
        young.append(ring)
    if turn % 3 == 0:
        young.clear()
print(len(kept))
"""


def test_copied_pages_are_limited(programs):
    """A program touches its whole heap all the time: snapshots are abandoned when a share of its pages is copied."""
    limit = 5
    outcome = programs.counted([DEBIAN, "-c", COPYING], options=SNAPSHOT | {"gc_copied": limit})
    assert (outcome.code, outcome.out, outcome.err) == (0, "300000\n", "")
    figures = snapshots_of(outcome.statistics[0])
    assert figures["abandoned_copying"] >= 1
    resident = 150e6 / 4096
    assert figures["pages_copied_most"] < resident, figures

