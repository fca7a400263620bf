#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What giving memory back costs the programs that it could hurt most: Cairn with purging and without, in turns.

    bench/purging.py --build build

The cases are in bench/purging.c: loops across the border of an arena or a segment, a loop over one mapping, and a whole
working set in waves every 50 ms. Without purging means a purge delay of 1000 seconds. A ratio is processor time (user
and system) with purging over that without, turn by turn: at most 1.03 is asked. Page faults are counts."""

import argparse
import os
import statistics

import measure
import report
import rows
import run

BEGIN, END = "<!-- purging: begin -->", "<!-- purging: end -->"
CASES = ("small", "medium", "large", "mapping", "waves")
INCLUDE = os.path.join(os.path.dirname(rows.HERE), "include")
NEVER = measure.Allocator("without purging", None, None)
BOUND = 1.03


class Bench(measure.Bench):
    """Runs a case on Cairn with its usual purge delay, or with one that never passes."""

    def command(self, allocator, words):
        delay = ["--purge-delay=1000000"] if allocator is NEVER else []
        return [self.cairn_command, "run", *delay, "--", *words]


def line_of(name, cells):
    with_it, without = cells[measure.CAIRN.name], cells[NEVER.name]
    for cell in (with_it, without):
        if cell.failure:
            return [name, f"failed: {cell.failure}", *["-"] * 5]
    ratios = [one / other for one, other in zip(with_it.values("cpu"), without.values("cpu"), strict=True)]
    middle = statistics.median(ratios)
    return [
        name,
        *(f"{cell.median('cpu'):.3f}" for cell in (with_it, without)),
        f"{middle:.3f} ({min(ratios):.2f} to {max(ratios):.2f})",
        *(f"{cell.median('faults'):.0f}" for cell in (with_it, without)),
        "yes" if middle <= BOUND else "NO",
    ]


HEADER = ["case", "purging, s", "without, s", "ratio (range)", "faults, purging", "faults, without", f"<= {BOUND}"]
TEXT = """## What purging costs

Written by `bench/purging.py --runs {runs}`: processor time of programs that take and return memory at the border of an
arena or segment, one mapping, or a working set in waves every 50 ms, on Cairn with purging and without. Medians; the
ratio turn by turn.

"""


def main():
    parser = argparse.ArgumentParser(description="What purging costs the programs that it could hurt most.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each kind, in turns (default: 7)")
    parser.add_argument("--scale", type=float, default=100, help="percent of the full work (default: 100)")
    parser.add_argument("--only", default=",".join(CASES), help="of " + ", ".join(CASES) + " (default: all)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per run (default: 120)")
    parser.add_argument("--markdown", metavar="FILE", help="put the table into this file too")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    run.check_names(parser, "case", names, CASES)
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    arguments.allocators = [measure.CAIRN.name]
    bench = run.prepare(arguments)
    bench = Bench(bench.folder, bench.cairn_command, bench.launcher, bench.timeout)
    binary = rows.build_binary(bench.folder, os.path.join(rows.HERE, "purging.c"), [f"-I{INCLUDE}", "-ldl"])
    run.warn_if_busy()
    lines = []
    for name in names:
        row = rows.Row("purging", name, "cc", lambda folder, scale, name=name: [binary, name, f"{scale:g}"])
        cells = bench.series(row, [measure.CAIRN, NEVER], arguments.runs, True, arguments.scale)
        lines.append(line_of(name, cells))
        run.progress(f"{name}: {lines[-1][3]}")
    text = TEXT.format(runs=arguments.runs) + "\n".join(report.pipe_table(HEADER, lines))
    run.publish(arguments.markdown, BEGIN, END, text)


if __name__ == "__main__":
    main()
