#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What stays resident after the work: the programs of bench/memory on stock CPython, Cairn and its peers, in turns.

    bench/memory.py --build build [--runs RUNS] [--markdown FILE]

The programs say what is resident at their moments; beside it their time is taken, less what they sleep, and their
processor time, in which what is done while they sleep counts too. Peers get CPython's objects too
(PYTHONMALLOC=malloc). --markdown puts the table between two marks into a file that may hold other text
(docs/benchmarks.md)."""

import argparse
import os
import statistics

import measure
import report
import rows
import run

BEGIN, END = "<!-- memory: begin -->", "<!-- memory: end -->"
SLEEP = {"sparse": 2, "waves": 4}  # seconds at full scale
PROGRAMS = (("sparse", ("peak", "after")), ("waves", ("peak", "steady", "all freed")))
SLOWER = 1.03  # times stock's time, at most asked
ASKED = {("sparse", "after"): 200, ("waves", "steady"): 60, ("waves", "all freed"): 20}  # MB, at most, of Cairn


class Bench(measure.Bench):
    def command(self, allocator, words):
        objects = [] if allocator in (measure.CAIRN, measure.STOCK) else ["PYTHONMALLOC=malloc"]
        return [*objects, *super().command(allocator, words)]


class Result:
    """The runs of one program on one manager."""

    def __init__(self):
        self.moments = []  # of each run: MB at each moment
        self.time = []
        self.cpu = []

    def megabytes(self, moment):
        return [moments[moment] for moments in self.moments]


def run_all(bench, arguments, allocators):
    """{(allocator name, program): Result}"""
    results = {(allocator.name, program): Result() for allocator in allocators for program, _ in PROGRAMS}
    for turn in range(arguments.runs):
        for program, moments in PROGRAMS:
            words = [arguments.python, os.path.join(rows.HERE, "memory", program + ".py"), f"{arguments.scale:g}"]
            for allocator in allocators:
                run.progress(f"run {turn + 1} of {arguments.runs}: {program} on {allocator.name}")
                try:
                    figures, output = bench.run_once(allocator, words)
                except RuntimeError as failure:
                    run.fail(f"{program} on {allocator.name}: {failure}")
                result = results[allocator.name, program]
                result.moments.append([int(word) for word in output.split()])
                result.time.append(figures.wall - SLEEP[program] * min(1, arguments.scale / 100))
                result.cpu.append(figures.cpu)
                if len(result.moments[-1]) != len(moments):
                    run.fail(f"{program} on {allocator.name} printed {output!r}")
    return results


def slowness(results, name, program, kind):
    """`kind` ("time" or "cpu") over stock's, turn by turn, the median."""
    one, stock = (getattr(results[manager, program], kind) for manager in (name, measure.STOCK.name))
    pairs = zip(one, stock, strict=True)
    return statistics.median(one / stock for one, stock in pairs)


def line(name, results):
    cells = [name]
    for program, moments in PROGRAMS:
        result = results[name, program]
        for moment in range(len(moments)):
            values = result.megabytes(moment)
            spread = f" ({min(values)} to {max(values)})" if min(values) != max(values) else ""
            cells.append(f"{statistics.median(values):.0f}{spread}")
        for kind, values in (("time", result.time), ("cpu", result.cpu)):
            cells.append(f"{statistics.median(values):.2f} {slowness(results, name, program, kind):.2f}")
    return cells


def asked(results):
    """Lines that say which of the figures asked of Cairn are reached."""
    for program, moments in PROGRAMS:
        for moment, title in enumerate(moments):
            if (program, title) in ASKED:
                bound = ASKED[program, title]
                value = statistics.median(results["cairn", program].megabytes(moment))
                word = "reached" if value <= bound else "MISSED"
                yield f"- {program}, {title}: {value:.0f} MB, at most {bound}: {word}"
        share = slowness(results, "cairn", program, "time")
        yield f"- {program}, time / stock: {share:.2f}, at most {SLOWER}: {'reached' if share <= SLOWER else 'MISSED'}"


TEXT = """## Memory after the work

Written by `bench/memory.py --runs {runs}`. Debian's CPython, MB resident, medians (and ranges). "sparse" makes a
million dicts with lists and strings and keeps one in a hundred, at random; "waves" is a server's day of 40 waves of
sessions, of which 2% live on for ten waves. Two seconds of sleep before each figure but the peaks. "time" is seconds
less the sleep, and over stock's; "cpu" the same of processor time, in which what is done in the sleep counts too. The
peers serve CPython's objects too (PYTHONMALLOC=malloc).

"""


def main():
    parser = argparse.ArgumentParser(description="What stays resident after the work of two Python programs.")
    known = [measure.STOCK.name, measure.CAIRN.name, *(peer.name for peer in measure.PEERS)]
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind, in turns (default: 5)")
    parser.add_argument("--scale", type=float, default=100, help="percent of the full work (default: 100)")
    about = "of " + ", ".join(known) + "; stock and cairn always (default: all)"
    parser.add_argument("--allocators", default=",".join(known), help=about)
    parser.add_argument("--python", default=run.DEFAULT_PYTHON, help="CPython (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=300, help="seconds per run (default: %(default)s)")
    parser.add_argument("--markdown", metavar="FILE", help="put the table into this file too")
    arguments = parser.parse_args()
    names = arguments.allocators.split(",")
    run.check_names(parser, "allocator", names, known)
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    arguments.allocators = [measure.CAIRN.name]
    bench = run.prepare(arguments)
    bench = Bench(bench.folder, bench.cairn_command, bench.launcher, bench.timeout)
    peers = [peer for peer in measure.PEERS if peer.name in names and measure.loadable(peer.soname)]
    allocators = [measure.STOCK, measure.CAIRN, *peers]
    results = run_all(bench, arguments, allocators)
    header = ["manager"]
    for program, moments in PROGRAMS:
        header += [*(f"{program}, {moment}" for moment in moments), f"{program}, time", f"{program}, cpu"]
    table = report.pipe_table(header, [line(allocator.name, results) for allocator in allocators])
    text = TEXT.format(runs=arguments.runs) + "\n".join([*table, "", *asked(results)])
    run.publish(arguments.markdown, BEGIN, END, text)


if __name__ == "__main__":
    main()
