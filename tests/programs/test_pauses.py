# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_pauses.py: the stops of a Python program for its collector: their figures in the statistics, the trace, and that
the two agree with each other and with what the gc module says."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from conftest import CAIRN, PRELOAD, TIMEOUT, clean_environment, execute

PYTHON = "/usr/bin/python3"
CAUSES = ["young", "middle", "full", "fork", "wait", "batch"]
CELL = 1 / 32  # width of a cell of the histogram, as a part of the duration

# Loops of objects: some die young, some in the oldest generation; ends with what the gc module counted.
GARBAGE = """
import gc, json, time
class Node: pass
def loops(count):
    made = []
    for _ in range(count):
        node = Node()
        node.me = node
        made.append(node)
    return made
gc.collect()
begin, before = time.monotonic_ns(), gc.get_stats()
kept = loops(30000)
for _ in range(20):
    loops(2000)
    kept[:1000] = []
gc.collect()
end = time.monotonic_ns()
counts = [{name: after[name] - first[name] for name in after} for first, after in zip(before, gc.get_stats())]
"""


@pytest.fixture
def run(tmp_path):
    """run(code, option...): runs Python code on Cairn with `cairn run`'s options, in the test's folder."""
    return lambda code, *options, env=None, python=PYTHON: execute(
        [CAIRN, "run", *options, "--", python, "-c", code], clean_environment() | (env or {}), tmp_path)


NUMBER = (int, float)
# The members of an event, by its phase, with their types: all of them are needed, and there are no others.
MEMBERS = {
    "M": {"name": str, "ph": str, "pid": int, "args": dict},
    "X": {"name": str, "cat": str, "ph": str, "ts": NUMBER, "dur": NUMBER, "pid": int, "tid": int, "args": dict},
    "b": {"name": str, "cat": str, "ph": str, "id": int, "ts": NUMBER, "pid": int, "tid": int, "args": dict},
    "e": {"name": str, "cat": str, "ph": str, "id": int, "ts": NUMBER, "pid": int, "tid": int},
}


def check_event(event):
    """One event by the rules of Chrome's trace event format, in JSON arrays."""
    members = MEMBERS[event["ph"]]
    assert set(event) == set(members), event
    for name, kind in members.items():
        assert isinstance(event[name], kind) and not isinstance(event[name], bool), (name, event)
    assert event["name"] and event.get("cat", "gc") in ("gc", "snapshot") and event["pid"] > 0
    assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0 and event.get("tid", 1) > 0


def check_nesting(events):
    """Complete events of one thread lie one within the other or side by side: viewers drop what overlaps."""
    threads = {}
    for event in events:
        if event["ph"] == "X":
            begin = round(event["ts"] * 1000)
            threads.setdefault((event["pid"], event["tid"]), []).append((begin, -nanoseconds(event)))
    for stops in threads.values():
        ends = []
        for begin, minus in sorted(stops):
            while ends and ends[-1] <= begin:
                ends.pop()
            assert not ends or begin - minus <= ends[-1], (begin, -minus, ends)
            ends.append(begin - minus)


def check_pairs(events):
    """Asynchronous events come in pairs of the same name, category and id, and no id twice at a time."""
    begun = {}
    for event in events:
        key = event.get("cat"), event.get("id"), event["name"]
        if event["ph"] == "b":
            assert key not in begun, event
            begun[key] = event["ts"]
        elif event["ph"] == "e":
            assert begun.pop(key) <= event["ts"], event
    assert not begun


def events_of(path):
    """The events of a trace, read as the viewers do (the last bracket may be missing), once they are found to be such as
    the viewers' format asks for."""
    text = path.read_text(encoding="ascii")
    events = json.loads(text if text.endswith("]\n") else text + "]", parse_constant=pytest.fail)
    assert events[0]["ph"] == "M"
    for event in events:
        check_event(event)
    check_nesting(events)
    check_pairs(events)
    return events


def stops_of(events):
    return [event for event in events if event.get("cat") == "gc"]


def nanoseconds(event):
    return round(event["dur"] * 1000)


def gc_of(path):
    return json.loads(path.read_text())["python"]["gc"]


@pytest.mark.parametrize("mode", ["stock", "snapshot"])
def test_statistics_and_trace_tell_the_same(run, tmp_path, mode):
    """Counts, sums, the longest and the 99.9th percentile of the statistics are those of the events."""
    many = "for _ in range(3000): gc.collect(0)"
    outcome = run(GARBAGE + many, "--stats=json", "--stats-file=stats.json", "--gc-trace=trace.json", f"--gc={mode}",
                  "--gc-minimum=10000", env={"CAIRN_GC_FORCE": "7"} if mode == "snapshot" else {})
    assert (outcome.code, outcome.err) == (0, "")
    figures = gc_of(tmp_path / "stats.json")
    assert (figures["mode"], figures["obstacle"], list(figures["stops"])) == (mode, "", CAUSES)
    events = stops_of(events_of(tmp_path / "trace.json"))
    for cause, stop in figures["stops"].items():
        durations = sorted(nanoseconds(event) for event in events if event["name"] == cause)
        assert stop["count"] == len(durations)
        assert stop["total_ns"] == sum(durations)
        assert stop["longest_ns"] == max(durations, default=0)
        exact = durations[-1 - len(durations) // 1000] if durations else 0
        assert exact <= stop["p999_ns"] <= exact * (1 + CELL)
        for name in ("found", "freed"):
            assert stop[name] == sum(event["args"][name] for event in events if event["name"] == cause)
    assert figures["stops"]["young"]["count"] > 3000
    assert (figures["stops"]["batch"]["count"] > 0) == (mode == "snapshot")


def test_stops_are_those_that_the_gc_module_counts(run, tmp_path):
    """Collections, and objects freed, by generation, between two calls of gc.get_stats()."""
    outcome = run(GARBAGE + "print(json.dumps([begin, end, counts]))", "--gc-trace=trace.json")
    begin, end, counts = json.loads(outcome.out)
    events = [event for event in stops_of(events_of(tmp_path / "trace.json")) if begin < 1000 * event["ts"] < end]
    for cause, count in zip(CAUSES, counts):
        freed = [event["args"]["freed"] for event in events if event["name"] == cause]
        assert (len(freed), sum(freed)) == (count["collections"], count["collected"])
    assert sum(count["collected"] for count in counts) == 60000


@pytest.mark.parametrize("mode", ["stock", "snapshot"])
def test_the_program_does_not_see_who_times_it(run, mode):
    code = """
import gc
print(gc.callbacks, len(gc.get_referrers(gc.callbacks)) > 0)
seen = []
gc.callbacks.append(lambda phase, info: seen.append((phase, info["generation"])))
gc.collect(0)
print(len(gc.callbacks), seen)
gc.callbacks.clear()
gc.collect(0)
print(gc.callbacks, seen)
"""
    outcome = run(code, "--stats", "--stats-file=/dev/null", f"--gc={mode}")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == ["[] True", "1 [('start', 0), ('stop', 0)]", "[] [('start', 0), ('stop', 0)]"]


def test_text_and_json_hold_the_same(run, tmp_path):
    outcome = run(GARBAGE, "--stats", "--stats-file=stats.txt")
    assert outcome.code == 0
    text = (tmp_path / "stats.txt").read_text()
    assert re.search(r"^Python 3\.\d+\.\d+: full collections by CPython$", text, re.M)
    row = re.search(r"^  full +(\d+) +[\d.]+ \w+ +[\d.]+ \w+ +[\d.]+ \w+ +(\d+) +(\d+)$", text, re.M)
    assert row and int(row[1]) >= 2 and int(row[2]) >= int(row[3]) > 0


def test_text_about_snapshots(run, tmp_path):
    assert run(GARBAGE, "--gc=snapshot", "--stats", "--stats-file=stats.txt", env={"CAIRN_GC_FORCE": "7"}).code == 0
    text = (tmp_path / "stats.txt").read_text()
    assert re.search(r"^Python 3\.\d+\.\d+: full collections from snapshots$", text, re.M)
    assert re.search(r"^  Snapshots: (\d+) begun, \1 finished, 0 abandoned$", text, re.M)
    assert re.search(r"^  candidates +[1-9]\d*   objects that snapshots found unreachable$", text, re.M)
    assert re.search(r"^  batch +[1-9]", text, re.M)


def test_reason_why_there_are_no_snapshots(run, tmp_path):
    """A version that the snapshot collector does not know."""
    python = Path.home() / ".pyenv/versions/3.8.18/bin/python3"
    if not python.exists():
        pytest.skip("no Python 3.8.18 here")
    reason = "this version of Python is not known to it"
    outcome = run("pass", "--gc=snapshot", "--stats", "--stats-file=stats.txt", python=python)
    assert outcome.err == f"cairn: full collections are left to Python: {reason}\n"
    assert f"Python 3.8.18: full collections by CPython, as snapshots are not possible: {reason}\n" in (
        tmp_path / "stats.txt").read_text()
    run("pass", "--gc=snapshot", "--stats=json", "--stats-file=stats.json", python=python)
    figures = gc_of(tmp_path / "stats.json")
    assert (figures["mode"], figures["obstacle"], figures["stops"]) == ("stock", reason, None)


def test_a_program_that_is_no_python_has_no_such_part(tmp_path):
    for options, expected in ((["--stats=json"], None), (["--stats"], None)):
        outcome = execute([CAIRN, "run", *options, "--stats-file=s", "--gc-trace=trace.json", "--", "ls", "/"],
                          clean_environment(), tmp_path)
        assert outcome.code == 0
        text = (tmp_path / "s").read_text()
        assert json.loads(text)["python"] is expected if options == ["--stats=json"] else "Python" not in text
    assert not (tmp_path / "trace.json").exists()


# ---- the trace ----

def test_trace_names_the_process_and_its_threads(run, tmp_path):
    code = "import gc, os, threading\n" \
           "t = threading.Thread(target=lambda: (print(threading.get_native_id()), gc.collect()))\n" \
           "t.start(); t.join(); print(os.getpid())"
    thread, process = map(int, run(code, "--gc-trace=trace.json").out.split())
    events = events_of(tmp_path / "trace.json")
    assert events[0] == {"name": "process_name", "ph": "M", "pid": process, "args": {"name": "python3 -c"}}
    stops = stops_of(events)
    assert {event["pid"] for event in stops} == {process}
    assert {event["tid"] for event in stops if event["name"] == "full"} == {thread, process}
    assert all(event["ph"] == "X" and event["dur"] > 0 for event in stops)
    assert [event["ts"] for event in stops] == sorted(event["ts"] for event in stops)


def test_trace_shows_the_analysis_beside_the_stops(run, tmp_path):
    run(GARBAGE, "--gc=snapshot", "--gc-trace=trace.json", env={"CAIRN_GC_FORCE": "7"})
    events = events_of(tmp_path / "trace.json")
    analyses = [event for event in events if event.get("cat") == "snapshot"]
    begins, ends = analyses[::2], analyses[1::2]
    assert len(begins) == len(ends) > 0
    for begin, end in zip(begins, ends):
        assert (begin["ph"], end["ph"], begin["id"]) == ("b", "e", end["id"])
        assert begin["ts"] <= end["ts"]  # no time, if the clone came to nothing
    assert any(begin["ts"] < end["ts"] for begin, end in zip(begins, ends))
    assert max(begin["args"]["garbage"] for begin in begins) > 0
    assert max(begin["args"]["objects"] for begin in begins) > 10000


def test_finalizers_that_collect_in_several_threads(run, tmp_path):
    """In CPython's collections and in batches; other threads run meanwhile. The trace keeps to its format."""
    code = """
import collections, gc, threading, time
class Node:
    def __init__(self, number): self.me, self.number = self, number
    def __del__(self):
        if self.number % 500 == 0:
            gc.collect(self.number // 500 % 3); time.sleep(0.001)
together = threading.Barrier(3)
def work():
    together.wait()
    kept = collections.deque(maxlen=3000)  # what falls out of it is old
    for number in range(40000): kept.append(Node(number))
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    outcome = run(code, "--gc=snapshot", "--gc-trace=trace.json", env={"CAIRN_GC_FORCE": "7"})
    assert (outcome.code, outcome.err) == (0, "")
    stops = stops_of(events_of(tmp_path / "trace.json"))
    assert {stop["name"] for stop in stops} | {"wait"} == set(CAUSES)
    assert len({stop["tid"] for stop in stops}) >= 2


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(0)", "os.abort()"])
def test_trace_of_a_program_that_ends_abruptly(run, tmp_path, how):
    """Every event up to then is there."""
    run(f"import gc, os\nfor _ in range(50): gc.collect(1)\n{how}", "--gc-trace=trace.json")
    text = (tmp_path / "trace.json").read_text()
    assert text.endswith("]\n") == (how == "os._exit(0)")
    assert len([event for event in stops_of(events_of(tmp_path / "trace.json")) if event["name"] == "middle"]) >= 50


FORKS = """
import gc, os
gc.collect()
for leave in (False, True):
    child = os.fork()
    if child == 0:
        gc.collect(); gc.collect(1)
        if leave:
            os._exit(0)
        raise SystemExit
    os.waitpid(child, 0)
gc.collect(1)
"""


def test_forked_children_stay_out_of_the_trace(run, tmp_path):
    run(FORKS, "--gc-trace=trace.json")
    events = events_of(tmp_path / "trace.json")
    assert len({(event["pid"], event["tid"]) for event in stops_of(events)}) == 1
    assert sum(event["name"] == "process_name" for event in events) == 1
    assert (tmp_path / "trace.json").read_text().count("]") == 1


def test_traces_of_forked_children(run, tmp_path):
    """With %p each writes its own, which begins with its own first stop."""
    run(FORKS, "--gc-trace=trace-%p.json")
    traces = {path: events_of(path) for path in tmp_path.glob("trace-*.json")}
    assert len(traces) == 3
    for path, events in traces.items():
        assert {event["pid"] for event in events} == {int(re.search(r"\d+", path.name)[0])}
        assert path.read_text().endswith("\n]\n")
    shortest = sorted(map(len, traces.values()))
    assert shortest[0] <= 5


def test_python_children_do_not_write_into_the_trace(run, tmp_path):
    code = "import gc, subprocess, sys; gc.collect(); subprocess.run([sys.executable, '-c', 'import gc; gc.collect()'])"
    for options, env in ((["--gc-trace=trace.json"], {}), ([], {"CAIRN_GC_TRACE": str(tmp_path / "trace.json")})):
        outcome = execute([CAIRN, "run", *options, "--", PYTHON, "-c", code], clean_environment() | env, tmp_path)
        assert (outcome.code, outcome.err) == (0, "")
        assert len({event["pid"] for event in events_of(tmp_path / "trace.json")}) == 1


def test_two_programs_with_one_trace(tmp_path):
    """Without `cairn run`: the file is the first one's."""
    env = clean_environment() | {"LD_PRELOAD": str(PRELOAD), "CAIRN_GC_TRACE": "trace.json"}
    first = subprocess.Popen([PYTHON, "-c", "import gc; gc.collect(); print('on', flush=True); input()"], env=env,
                             cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "on\n"
    assert execute([PYTHON, "-c", "import gc; gc.collect()"], env, tmp_path).err == ""
    first.communicate("\n", TIMEOUT)
    assert {event["pid"] for event in events_of(tmp_path / "trace.json")} == {first.pid}


def test_trace_when_the_program_closes_descriptors(run, tmp_path):
    """Its number may be another file's then: nothing is written, and a line says so."""
    code = "import gc, os; gc.collect(); os.closerange(3, 1000)\n" \
           "kept = [os.open('mine', os.O_RDWR | os.O_CREAT) for _ in range(300)]\ngc.collect(); gc.collect()"
    outcome = run(code, "--gc-trace=trace.json")
    assert outcome.code == 0
    assert re.fullmatch(r"cairn: the program closed the descriptor of the trace '[^\n]+/trace.json': [^\n]+\n",
                        outcome.err)
    assert (tmp_path / "mine").read_bytes() == b""
    assert len(stops_of(events_of(tmp_path / "trace.json"))) >= 1


def test_trace_takes_no_number_that_the_program_comes_to(run):
    code = "import os; print(os.open('/', os.O_RDONLY))"
    assert run(code, "--gc-trace=trace.json").out == run(code).out


def test_trace_that_cannot_be_written(run):
    outcome = run("import gc; gc.collect(); gc.collect(); print('done')", "--gc-trace=/dev/full")
    assert (outcome.code, outcome.out) == (0, "done\n")
    assert outcome.err == ("cairn: cannot go on with the trace '/dev/full': No space left on device "
                           "(see CAIRN_GC_TRACE)\n")
