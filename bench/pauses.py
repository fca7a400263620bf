#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""How long CPython stops for its collector, and what it costs: stock, on Cairn, and on Cairn with the snapshot
collector.

usage: pauses.py [--build DIR] [--runs RUNS] [--only NAME,...] [--most RUNS] [--fresh] [--quick] [--markdown FILE]

Rows, by name: "machine" (no collector: what the machine itself takes), "steady-1m" and "steady-8m" (a process with 1 and 8
million tracked objects and a stream of old garbage in cycles), "linked-1m" (the same, where 20,000 sessions, 260,000
objects, are one circle), "cycles" (a program that makes no cycles), "service" (Django under a load from another process),
"sympy" and "sphinx" (programs of Debian that build something large); the names with "-one" are the same on one processor.
Kinds run in turns; cells are medians.

Every run is printed and kept in BUILD/bench/pauses.json as it ends, so that rows can be measured one at a time (--only)
and some runs at a time (--most), whenever the machine is quiet: a call does what is lacking of the --runs, and prints
the tables of all that is kept. What was kept of a row is forgotten when Cairn was built anew, and with --fresh.
--markdown puts the tables between two marks into a file that may hold other text (docs/benchmarks.md)."""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

import measure
import report
import rows
import run

BEGIN, END = "<!-- pauses: begin -->", "<!-- pauses: end -->"
PYTHON = "/usr/bin/python3"
HERE = os.path.join(rows.HERE, "pauses")
SNAPSHOT = measure.Allocator("cairn --gc=snapshot", None, None)
AS_STOCK = measure.Allocator("cairn --gc=snapshot --gc-floating=25", None, None)  # about as often as stock collects
KINDS = (measure.STOCK, measure.CAIRN, SNAPSHOT, AS_STOCK)
ONE = ("taskset", "-c", "0")


class Bench(measure.Bench):
    """Runs commands under one of KINDS."""

    def command(self, allocator, words):
        """Cairn writes a trace, which tells the stops."""
        if allocator is measure.STOCK:
            return super().command(allocator, words)
        if allocator in (SNAPSHOT, AS_STOCK):
            words = [self.cairn_command, "run", *allocator.name.split()[1:], "--", *words]
        else:
            words = super().command(allocator, words)
        return [f"CAIRN_GC_TRACE={self.trace_path()}", *words]

    def trace_path(self):
        return os.path.join(self.folder, "trace.json")

    def longest_stop(self, begin, end):
        """In ms, whatever its cause, between two times of the program's clock in seconds."""
        with open(self.trace_path(), encoding="utf-8") as file:
            events = json.load(file)
        return max(event["dur"] for event in events if event["ph"] == "X" and begin <= event["ts"] / 1e6 <= end) / 1e3

    def figures(self, kind, words):
        """One run: time and memory, and what it printed: a JSON object, or an answer. With the times of "begin" and
        "end" in there, also its longest stop between them; on stock it says that itself."""
        used, output = self.run_once(kind, words)
        try:
            printed = json.loads(output)
        except ValueError:
            printed = {"answer": output.decode()}
        if kind is not measure.STOCK and "begin" in printed:
            printed["stop"] = self.longest_stop(printed["begin"], printed["end"])
        return {"wall": used.wall, "cpu": used.cpu, "peak": used.peak} | printed


# ---- rows ----

@dataclass
class Row:
    """One program on some processors. `run(bench, kind)` returns the figures of one run by name; "answer" among them
    must be the same whatever collects."""
    name: str
    title: str
    table: "Table"
    run: object
    kinds: tuple = KINDS
    needs: str = None  # a module; scripts/setup pauses installs them


def script(name):
    return os.path.join(HERE, name)


def program_row(name, title, table, words, front=(), **more):
    return Row(name, title, table, lambda bench, kind: bench.figures(kind, [*front, PYTHON, *words]), **more)


def steady_row(name, objects, requests, front=(), linked=()):
    words = [script("steady.py"), str(objects), str(requests), *map(str, linked)]
    title = f"{objects / 1e6:g} M{' linked' if linked else ''}, {'one' if front else 'all'}"
    return program_row(name, title, STEADY, words, front)


def built_row(name, title, program, size, needs, front=()):
    words = [script("collections_timed.py"), script(program), size]
    return program_row(name, title, BUILDERS, words, front, needs=needs)


def processor_time(pid):
    """Seconds that a process and its ended children used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def serve_once(bench, kind, load, front):
    """Load on one service: the load's figures, and the service's."""
    objects, rate, seconds = load
    words = [*front, PYTHON, script("service.py"), str(objects)]
    service = subprocess.Popen(["env", *bench.command(kind, words)], env=measure.clean_environment(), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        port = service.stdout.readline().strip()
        before = processor_time(service.pid)
        client = [*(("taskset", "-c", "1") if front else ()), PYTHON, script("load.py"), port, str(rate), str(seconds)]
        figures = json.loads(subprocess.run(client, env=measure.clean_environment(), stdout=subprocess.PIPE, check=True,
                                            text=True, timeout=bench.timeout).stdout)
        figures["cpu"] = processor_time(service.pid) - before
        with open(f"/proc/{service.pid}/status", encoding="ascii") as status:
            figures["peak"] = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
        figures["full"] = int(service.communicate("", timeout=60)[0])
        return figures
    except (subprocess.SubprocessError, ValueError, OSError) as failure:
        raise RuntimeError(f"no figures from the service: {failure}") from failure
    finally:
        service.kill()
        service.wait()


def service_row(name, title, load, front=()):
    return Row(name, title, SERVICE, lambda bench, kind: serve_once(bench, kind, load, front), needs="django")


def all_rows(quick):
    """In the order of the tables."""
    small, large = ((1_000_000, 60_000), (2_000_000, 60_000)) if quick else ((1_000_000, 200_000), (8_000_000, 500_000))
    load = (300_000, 150, 15) if quick else (1_000_000, 200, 40)
    sympy, sphinx = ("6", "10") if quick else ("13", "80")
    return [
        program_row("machine", "readers of the clock", MACHINE, [script("machine.py"), "5" if quick else "20"], kinds=KINDS[:1]),
        steady_row("steady-1m", *small), steady_row("steady-1m-one", *small, ONE),
        steady_row("linked-1m", *small, linked=[20_000]),
        steady_row("steady-8m", *large), steady_row("steady-8m-one", *large, ONE),
        program_row("cycles", "", CYCLES, [script("no_cycles.py"), "4" if quick else "12"], kinds=KINDS[:3]),
        service_row("service", "all", load), service_row("service-one", "one", load, ONE),
        built_row("sympy", "sympy, all", "algebra.py", sympy, "sympy"),
        built_row("sympy-one", "sympy, one", "algebra.py", sympy, "sympy", ONE),
        built_row("sphinx", "sphinx, all", "manual.py", sphinx, "sphinx"),
        built_row("sphinx-one", "sphinx, one", "manual.py", sphinx, "sphinx", ONE),
    ]


# ---- tables ----

def cell(values, form):
    """Median, and the range if there is one."""
    middle = form.format(statistics.median(values))
    low, high = form.format(min(values)), form.format(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


@dataclass
class Table:
    """Columns are (heading, figure, form); with a fourth member, a kind, cells are ratios to that kind's, turn by
    turn."""
    title: str
    text: list
    first: str
    columns: tuple

    def line(self, row, kind, runs):
        line = [f"{row.title}: {kind.name}" if row.title else kind.name]
        for _, name, form, *base in self.columns:
            values = [figures[name] for figures in runs[kind.name]]
            if base:
                values = [value / other[name] for value, other in zip(values, runs[base[0].name])]
            line.append(cell(values, form))
        return line

    def lines(self, its_rows, kept):
        """As Markdown; nothing if no row has a run of every kind."""
        lines = []
        for row in its_rows:
            runs = kept.runs(row)
            turns = min(len(runs[kind.name]) for kind in row.kinds)
            whole = {name: figures[:turns] for name, figures in runs.items()}
            lines += [self.line(row, kind, whole) for kind in row.kinds] if turns else []
        if not lines:
            return []
        header = [self.first, *(heading for heading, *_ in self.columns)]
        return [f"### {self.title}", "", *self.text, "", *report.pipe_table(header, lines), ""]


MACHINE = Table("The machine itself", [
    "`bench/pauses/machine.py`: on every processor a process reads the clock and does nothing else. What the longest gaps",
    "are here is in every longest stop and request below."], "",
    (("longest gap, ms", "longest", "{:.1f}"), ("longest in a second, median", "usual", "{:.1f}"),
     ("gaps above 1 ms, a second", "one", "{:.1f}"), ("above 3 ms", "three", "{:.2f}")))
PEAK, FULL = ("peak, MiB", "peak", "{:.0f}"), ("full collections", "full", "{:.0f}")
STEADY = Table("A stream of old garbage in cycles", [
    "`bench/pauses/steady.py`: objects that stay, processors, kind. The longest stop of the collector is what",
    "Cairn counts, whatever the cause (clone, wait, batch, young, full; stock: the longest collection between its",
    "callbacks). The longest request and the 99.9th percentile have all else in them that keeps a program up, such as the",
    "first touch of a huge page on a virtual machine whose host has to find the memory. Peak is that of the program,",
    "without the helper's own pages."],
    "objects, processors: kind",
    (("longest stop, ms", "stop", "{:.1f}"), ("longest request, ms", "longest", "{:.1f}"),
     ("99.9%, ms", "p999", "{:.2f}"), ("total, s", "seconds", "{:.2f}"),
     ("total / stock", "seconds", "{:.2f}", measure.STOCK), PEAK, FULL))
CYCLES = Table("A program that makes no cycles", [
    "`bench/pauses/no_cycles.py`; ratios are to Cairn with the stock collector, turn by turn."], "kind",
    (("wall, s", "wall", "{:.2f}"), ("ratio", "wall", "{:.3f}", measure.CAIRN), ("processor, s", "cpu", "{:.2f}"),
     ("ratio", "cpu", "{:.3f}", measure.CAIRN), PEAK))
SERVICE = Table("A Django service under load", [
    "`bench/pauses/service.py` holds a million tracked objects and gets 200 requests a second for 40 s from another",
    "process (`load.py`); answer times in ms from the moment a request was due. Processor time is the service's, its",
    "ended helpers' included."], "processors: kind",
    (("50%, ms", "p50", "{:.1f}"), ("99%", "p99", "{:.1f}"), ("99.9%", "p999", "{:.1f}"),
     ("longest", "longest", "{:.1f}"), ("processor, s", "cpu", "{:.1f}"), PEAK, FULL))
BUILDERS = Table("Programs that build something large", [
    "`bench/pauses/algebra.py` (sympy) and `bench/pauses/manual.py` (sphinx). The longest stop is the longest",
    "time that a second thread, which sleeps for a millisecond again and again, did not run (the switch interval of",
    "5 ms is part of it). The processor time includes the helpers'."], "program, processors: kind",
    (("longest stop, ms", "gap", "{:.0f}"), ("wall, s", "wall", "{:.2f}"),
     ("wall / stock", "wall", "{:.2f}", measure.STOCK), ("processor, s", "cpu", "{:.2f}"), PEAK, FULL))
TABLES = (MACHINE, STEADY, CYCLES, SERVICE, BUILDERS)


# ---- what is kept ----

class Kept:
    """The runs made, by row and kind, in a file that is written anew after each."""

    def __init__(self, path, build):
        self.path = path
        self.build = build  # which Cairn
        try:
            with open(path, encoding="utf-8") as file:
                self.rows = json.load(file)
        except FileNotFoundError:
            self.rows = {}

    def runs(self, row):
        """{kind: [figures]}, for this Cairn's."""
        entry = self.rows.get(row.name, {})
        known = entry.get("runs", {}) if entry.get("build") == self.build else {}
        return {kind.name: list(known.get(kind.name, [])) for kind in row.kinds}

    def forget(self, row):
        self.rows.pop(row.name, None)

    def add(self, row, kind, figures):
        runs = self.runs(row)
        runs[kind.name].append(figures)
        answers = {json.dumps(one.get("answer")) for figures in runs.values() for one in figures}
        if len(answers) != 1:
            raise RuntimeError(f"{row.name}: different answers: {', '.join(answers)}")
        self.rows[row.name] = {"build": self.build, "runs": runs}
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)
        os.replace(self.path + ".new", self.path)


def digest_of(*paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


# ---- measuring ----

def next_kind(runs, kinds, wanted):
    """The kind whose turn it is, None when all have their runs."""
    kind = min(kinds, key=lambda kind: len(runs[kind.name]))
    return kind if len(runs[kind.name]) < wanted else None


def run_text(figures):
    parts = [f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, (int, float))
             and name != "answer"]
    return ", ".join(parts)


def measure_rows(bench, kept, wanted_rows, arguments):
    """Makes the runs that are lacking; at most --most of them."""
    made = 0
    for row in wanted_rows:
        while (kind := next_kind(kept.runs(row), row.kinds, arguments.runs)) is not None:
            if arguments.most is not None and made == arguments.most:
                return
            try:
                figures = row.run(bench, kind)
            except RuntimeError as failure:
                raise RuntimeError(f"{row.name}: {kind.name}: {failure}") from failure
            kept.add(row, kind, figures)
            made += 1
            run.progress(f"{row.name}: {kind.name}, run {len(kept.runs(row)[kind.name])} of {arguments.runs}: "
                         f"{run_text(figures)}")


def check_modules(wanted_rows):
    """The programs measured must be there."""
    for module in sorted({row.needs for row in wanted_rows if row.needs}):
        found = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False)
        if found.returncode != 0:
            names = ", ".join(row.name for row in wanted_rows if row.needs == module)
            sys.exit(f"cairn: {PYTHON} has no module {module}: run scripts/setup pauses, or leave {names} out (--only)")


def report_text(known, kept, arguments):
    tables = [line for table in TABLES for line in table.lines([row for row in known if row.table is table], kept)]
    return "\n".join([
        "## Stops of CPython's collector", "",
        f"Written by `bench/pauses.py {'--quick ' if arguments.quick else ''}--markdown docs/benchmarks.md` on "
        f"{os.cpu_count()} processors. Debian's CPython;",
        "medians (and ranges) of runs in turns.", "", *tables]).rstrip()


def parse_arguments():
    names = [row.name for row in all_rows(False)]
    parser = argparse.ArgumentParser(description="Stops of CPython: stock, on Cairn, and with the snapshot collector.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, in turns (default: 3)")
    parser.add_argument("--only", help=f"rows, by comma: {', '.join(names)}")
    parser.add_argument("--most", type=int, metavar="RUNS", help="make so many runs at most now (default: all)")
    parser.add_argument("--fresh", action="store_true", help="forget the rows' runs that are kept")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--timeout", type=float, default=600, help="seconds per run (default: 600)")
    parser.add_argument("--markdown", metavar="FILE", help="put the tables into this file too")
    arguments = parser.parse_args()
    if arguments.runs < 1 or (arguments.most is not None and arguments.most < 0):
        parser.error("--runs must be at least 1, and --most not negative")
    if arguments.only:
        run.check_names(parser, "row", arguments.only.split(","), names)
    return arguments


def main():
    arguments = parse_arguments()
    build = os.path.abspath(arguments.build)
    cairn = os.path.join(build, "cairn")
    if not os.access(cairn, os.X_OK):
        sys.exit(f"cairn: no {cairn}: build first (make), or name the folder with --build")
    known = all_rows(arguments.quick)
    wanted = [row for row in known if not arguments.only or row.name in arguments.only.split(",")]
    check_modules(wanted)
    folder = os.path.join(build, "bench")
    os.makedirs(folder, exist_ok=True)
    launcher = rows.build_binary(folder, os.path.join(rows.HERE, "launcher.c"))
    kept = Kept(os.path.join(folder, f"pauses{'-quick' if arguments.quick else ''}.json"),
                digest_of(cairn, os.path.join(build, "libcairn-preload.so")))
    if arguments.fresh:
        for row in wanted:
            kept.forget(row)
    run.warn_if_busy()
    try:
        measure_rows(Bench(folder, cairn, launcher, arguments.timeout), kept, wanted, arguments)
    except RuntimeError as failure:
        sys.exit(f"cairn: {failure}")
    run.publish(arguments.markdown, BEGIN, END, report_text(known, kept, arguments))


if __name__ == "__main__":
    main()
