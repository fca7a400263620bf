#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""How long CPython stops for its collector, and what it costs: stock, on Cairn, and on Cairn with the snapshot
collector.

usage: pauses.py [--build DIR] [--runs RUNS] [--only NAME,...] [--quick] [--markdown FILE]

Parts, by name: "steady" (a process with 1 and 8 million tracked objects and a stream of old garbage in cycles, on all
processors and on one), "cycles" (a program that makes no cycles), "service" (Django under a load from another process),
"sympy" and "sphinx" (programs of Debian that build something large). Kinds run in turns; cells are medians. --markdown
puts the tables between two marks into a file that may hold other text (docs/benchmarks.md)."""

import argparse
import json
import os
import statistics
import subprocess
import sys

import measure
import report
import rows
import run

BEGIN, END = "<!-- pauses: begin -->", "<!-- pauses: end -->"
PYTHON = "/usr/bin/python3"
HERE = os.path.join(rows.HERE, "pauses")
SNAPSHOT = measure.Allocator("cairn --gc=snapshot", None, None)
AS_STOCK = measure.Allocator("cairn --gc=snapshot --gc-floating=25", None, None)  # about as often as stock collects
KINDS = (measure.STOCK, measure.CAIRN, SNAPSHOT)
ONE = ("taskset", "-c", "0")


class Bench(measure.Bench):
    """Runs commands under one of KINDS, or AS_STOCK."""

    def command(self, allocator, words):
        if allocator in (SNAPSHOT, AS_STOCK):
            return [self.cairn_command, "run", *allocator.name.split()[1:], "--", *words]
        return super().command(allocator, words)

    def turns(self, title, words, runs, front=(), kinds=KINDS):
        """[(Run, output)] by kind, in turns; the answers must agree (see answer())."""
        found = {kind: [] for kind in kinds}
        for turn in range(runs):
            for kind in kinds:
                run.progress(f"{title}: {kind.name}, {turn + 1} of {runs}")
                found[kind].append(self.run_once(kind, [*front, *words]))
        answers = {answer(output) for results in found.values() for _, output in results}
        if len(answers) != 1:
            raise RuntimeError(f"{title}: different answers: {answers}")
        return found


def answer(output):
    """What a run must print whatever collects: the answer of a JSON line, or all of it."""
    try:
        return json.loads(output)["answer"]
    except (ValueError, KeyError, TypeError):
        return output


def cell(values, form):
    """Median, and the range if there is one."""
    middle = form.format(statistics.median(values))
    low, high = form.format(min(values)), form.format(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def ratio_cell(values, base):
    """Ratio to stock, turn by turn."""
    return cell([value / other for value, other in zip(values, base, strict=True)], "{:.3f}")


# ---- a steady stream of old garbage ----

def steady(bench, arguments):
    lines = []
    sizes = ((1_000_000, 60_000),) if arguments.quick else ((1_000_000, 200_000), (8_000_000, 500_000))
    for objects, requests in sizes:
        for where, front in (("all", ()), ("one", ONE)):
            words = [PYTHON, os.path.join(HERE, "steady.py"), str(objects), str(requests)]
            kinds = (*KINDS, AS_STOCK)
            found = bench.turns(f"steady, {objects} objects, {where}", words, arguments.runs, front, kinds)
            figures = {kind: [json.loads(output) for _, output in found[kind]] for kind in kinds}
            for kind in kinds:
                of = {name: [figure[name] for figure in figures[kind]] for name in figures[kind][0]}
                lines.append([
                    f"{objects // 1_000_000} M, {where}: {kind.name}", cell(of["longest"], "{:.1f}"),
                    cell(of["p999"], "{:.2f}"), cell(of["seconds"], "{:.2f}"),
                    ratio_cell(of["seconds"], [figure["seconds"] for figure in figures[measure.STOCK]]),
                    cell([result.peak for result, _ in found[kind]], "{:.0f}"), cell(of["full"], "{:.0f}")])
    return [
        "### A stream of old garbage in cycles", "",
        "`bench/pauses/steady.py`: objects that stay, processors, kind. A stop is seen as a long request: the longest,",
        "and the 99.9th percentile. Peak is that of the program, without the helper's own pages.", "",
        *report.pipe_table(["objects, processors: kind", "longest, ms", "99.9%, ms", "total, s", "total / stock",
                            "peak, MiB", "full collections"], lines)]


# ---- no cycles ----

def no_cycles(bench, arguments):
    words = [PYTHON, os.path.join(HERE, "no_cycles.py"), "4" if arguments.quick else "12"]
    found = bench.turns("no cycles", words, arguments.runs)
    lines = []
    for kind in KINDS:
        cpu = [result.cpu for result, _ in found[kind]]
        wall = [result.wall for result, _ in found[kind]]
        lines.append([kind.name, cell(wall, "{:.2f}"), ratio_cell(wall, [r.wall for r, _ in found[measure.CAIRN]]),
                      cell(cpu, "{:.2f}"), ratio_cell(cpu, [r.cpu for r, _ in found[measure.CAIRN]]),
                      cell([result.peak for result, _ in found[kind]], "{:.0f}")])
    return ["### A program that makes no cycles", "",
            "`bench/pauses/no_cycles.py`; ratios are to Cairn with the stock collector, turn by turn.", "",
            *report.pipe_table(["kind", "wall, s", "ratio", "processor, s", "ratio", "peak, MiB"], lines)]


# ---- a service ----

def serve_once(bench, kind, objects, rate, seconds):
    """Load on one service: the load's figures, and the service's full collections."""
    service = subprocess.Popen(bench.command(kind, [PYTHON, os.path.join(HERE, "service.py"), str(objects)]),
                               env=measure.clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    try:
        port = service.stdout.readline().strip()
        load = [PYTHON, os.path.join(HERE, "load.py"), port, str(rate), str(seconds)]
        figures = json.loads(subprocess.run(load, env=measure.clean_environment(), stdout=subprocess.PIPE, check=True,
                                            text=True, timeout=bench.timeout).stdout)
        with open(f"/proc/{service.pid}/status", encoding="ascii") as status:
            figures["peak"] = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
        figures["full"] = int(service.communicate("", timeout=60)[0])
        return figures
    finally:
        service.kill()
        service.wait()


def service(bench, arguments):
    objects, rate, seconds = (300_000, 150, 15) if arguments.quick else (2_000_000, 200, 60)
    found = {kind: [] for kind in KINDS}
    for turn in range(arguments.runs):
        for kind in KINDS:
            run.progress(f"service: {kind.name}, {turn + 1} of {arguments.runs}")
            found[kind].append(serve_once(bench, kind, objects, rate, seconds))
    lines = []
    for kind in KINDS:
        of = {name: [figure[name] for figure in found[kind]] for name in found[kind][0]}
        lines.append([kind.name, *(cell(of[name], "{:.1f}") for name in ("p50", "p90", "p99", "p999", "longest")),
                      cell(of["peak"], "{:.0f}"), cell(of["full"], "{:.0f}")])
    return ["### A Django service under load", "",
            f"`bench/pauses/service.py` with {objects:,} tracked objects, {rate} requests a second for {seconds} s",
            "from another process (`load.py`); answer times in ms from the moment a request was due.", "",
            *report.pipe_table(["kind", "50%", "90%", "99%", "99.9%", "longest", "peak, MiB", "full collections"],
                               lines)]


# ---- programs that build something large ----

def built(bench, arguments, name, program, size):
    words = [PYTHON, os.path.join(HERE, "collections_timed.py"), os.path.join(HERE, program), size]
    found = bench.turns(name, words, arguments.runs)
    lines = []
    for kind in KINDS:
        figures = [json.loads(output) for _, output in found[kind]]
        wall = [result.wall for result, _ in found[kind]]
        lines.append([f"{name}: {kind.name}", cell([figure["gap"] for figure in figures], "{:.0f}"),
                      cell(wall, "{:.2f}"), ratio_cell(wall, [result.wall for result, _ in found[measure.STOCK]]),
                      cell([result.peak for result, _ in found[kind]], "{:.0f}"),
                      cell([figure["full"] for figure in figures], "{:.0f}")])
    return lines


def builders(bench, arguments):
    lines = []
    if wanted(arguments, "sympy"):
        lines += built(bench, arguments, "sympy", "algebra.py", "6" if arguments.quick else "13")
    if wanted(arguments, "sphinx"):
        lines += built(bench, arguments, "sphinx", "manual.py", "10" if arguments.quick else "80")
    if not lines:
        return []
    return ["### Programs that build something large", "",
            "`bench/pauses/algebra.py` (sympy) and `bench/pauses/manual.py` (sphinx). The longest stop is the longest",
            "time that a second thread, which sleeps for a millisecond again and again, did not run (the switch",
            "interval of 5 ms is part of it).", "",
            *report.pipe_table(["program: kind", "longest stop, ms", "wall, s", "wall / stock", "peak, MiB",
                                "full collections"], lines)]


PARTS = ("steady", "cycles", "service", "sympy", "sphinx")
NEEDED = {"service": "django", "sympy": "sympy", "sphinx": "sphinx"}  # modules; scripts/setup pauses installs them


def wanted(arguments, part):
    return not arguments.only or part in arguments.only.split(",")


def check_modules(arguments):
    """The programs measured must be there."""
    for part, module in NEEDED.items():
        found = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False)
        if wanted(arguments, part) and found.returncode != 0:
            sys.exit(f"cairn: {PYTHON} has no module {module}: run scripts/setup pauses, or leave {part} out (--only)")


def main():
    parser = argparse.ArgumentParser(description="Stops of CPython: stock, on Cairn, and with the snapshot collector.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, in turns (default: 3)")
    parser.add_argument("--only", help=f"parts, by comma: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--timeout", type=float, default=600, help="seconds per run (default: 600)")
    parser.add_argument("--markdown", metavar="FILE", help="put the tables into this file too")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    if arguments.only and not set(arguments.only.split(",")) <= set(PARTS):
        parser.error(f"--only takes some of {', '.join(PARTS)}")
    cairn = os.path.join(os.path.abspath(arguments.build), "cairn")
    if not os.access(cairn, os.X_OK):
        sys.exit(f"cairn: no {cairn}: build first (make), or name the folder with --build")
    check_modules(arguments)
    folder = os.path.join(os.path.abspath(arguments.build), "bench")
    os.makedirs(folder, exist_ok=True)
    launcher = rows.build_binary(folder, os.path.join(rows.HERE, "launcher.c"))
    bench = Bench(folder, cairn, launcher, arguments.timeout)
    run.warn_if_busy()
    try:
        tables = [part(bench, arguments) for part, names in ((steady, ("steady",)), (no_cycles, ("cycles",)),
                                                             (service, ("service",)), (builders, ("sympy", "sphinx")))
                  if any(wanted(arguments, name) for name in names)]
    except RuntimeError as failure:
        sys.exit(f"cairn: {failure}")
    text = "\n".join([
        "## Stops for CPython's collector", "",
        f"Written by `bench/pauses.py --runs {arguments.runs}{' --quick' if arguments.quick else ''} --markdown "
        f"docs/benchmarks.md` on {os.cpu_count()} processors. Debian's CPython; medians",
        "(and ranges) of runs in turns.", "", *("\n".join([*table, ""]) for table in tables)]).rstrip()
    print(text)
    if arguments.markdown:
        report.put_between_marks(arguments.markdown, BEGIN, END, text)


if __name__ == "__main__":
    main()
