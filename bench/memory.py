#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What stays resident after the work: the programs of bench/memory on stock CPython, on Cairn and on its peers, in turns.

usage: memory.py [--build DIR] [--runs RUNS] [--markdown FILE]

Peers get CPython's objects too (PYTHONMALLOC=malloc). --markdown puts the table between two marks into a file that may hold
other text (docs/benchmarks.md)."""

import argparse
import os
import statistics
import subprocess
import sys

import measure
import report
import rows

BEGIN, END = "<!-- memory: begin -->", "<!-- memory: end -->"
PYTHON = "/usr/bin/python3"
PROGRAMS = (("sparse", ("peak", "after")), ("waves", ("peak", "steady", "all freed")))


def resident(cairn, allocator, program):
    """What the program prints: MB resident at its moments."""
    words = [PYTHON, os.path.join(rows.HERE, "memory", program + ".py")]
    environment = measure.clean_environment()
    if allocator is measure.CAIRN:
        words = [cairn, "run", "--", *words]
    elif allocator is not measure.STOCK:
        environment.update(LD_PRELOAD=allocator.soname, PYTHONMALLOC="malloc")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"cairn: {program} on {allocator.name} failed: {done.stderr.strip() or done.returncode}")
    return [int(word) for word in done.stdout.split()]


def line(allocator, results):
    cells = [allocator.name]
    for program, moments in PROGRAMS:
        for moment in range(len(moments)):
            values = [result[moment] for result in results[allocator.name, program]]
            spread = f" ({min(values)} to {max(values)})" if min(values) != max(values) else ""
            cells.append(f"{statistics.median(values):.0f}{spread}")
    return cells


def main():
    parser = argparse.ArgumentParser(description="What stays resident after the work of two Python programs.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, in turns (default: 3)")
    parser.add_argument("--markdown", metavar="FILE", help="put the table into this file too")
    arguments = parser.parse_args()
    cairn = os.path.join(os.path.abspath(arguments.build), "cairn")
    if not os.access(cairn, os.X_OK):
        sys.exit(f"cairn: no {cairn}: build first (make), or name the folder with --build")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    allocators = [measure.STOCK, measure.CAIRN, *(peer for peer in measure.PEERS if measure.loadable(peer.soname))]
    results = {(allocator.name, program): [] for allocator in allocators for program, _ in PROGRAMS}
    for turn in range(arguments.runs):
        for allocator in allocators:
            for program, _ in PROGRAMS:
                print(f"memory: run {turn + 1} of {arguments.runs}: {program} on {allocator.name}", file=sys.stderr)
                results[allocator.name, program].append(resident(cairn, allocator, program))
    header = ["manager", *(f"{program}, {moment}" for program, moments in PROGRAMS for moment in moments)]
    table = report.pipe_table(header, [line(allocator, results) for allocator in allocators])
    text = (
        f"## Memory after the work\n\nWritten by `bench/memory.py --build build --runs {arguments.runs} --markdown "
        "docs/benchmarks.md`. Debian's CPython, MB resident, medians\n(and ranges). \"sparse\" makes a million dicts with "
        "lists and strings and keeps one in a hundred, at random; \"waves\" is a\nserver's day of 40 waves of sessions, of "
        "which 2% live on for ten waves. Two seconds of sleep before each figure but the\npeaks. The peers serve "
        "CPython's objects too (PYTHONMALLOC=malloc).\n\n" + "\n".join(table)
    )
    print(text)
    if arguments.markdown:
        report.put_between_marks(arguments.markdown, BEGIN, END, text)


if __name__ == "__main__":
    main()
