#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What recording costs: programs on glibc and under `cairn record`, in turns.

    bench/recorder.py --build build                        the C programs
    bench/recorder.py --build build --only 'python/*'      others; see bench/run.py --list

A row's wall time with recording is that of the program and of `cairn record`, which writes the file meanwhile. Progress
goes to stderr, the table to stdout and, with --markdown FILE, between its marks in that file."""

import argparse
import os
import statistics
import sys

import measure
import report
import rows
import run

RECORDED = measure.Allocator("cairn record", None, None)
PLAIN = measure.PEERS[0]
BEGIN, END = "<!-- begin: written by bench/recorder.py -->", "<!-- end: written by bench/recorder.py -->"


class Bench(measure.Bench):
    """Runs a row under `cairn record`, or as it is on glibc; keeps the size of the recording it wrote last."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.path = os.path.join(self.folder, f"recorder-{os.getpid()}.rec")
        self.size = 0

    def command(self, allocator, words):
        if allocator is not RECORDED:
            return super().command(allocator, words)
        return [self.cairn_command, "record", "--quiet", "-o", self.path, "--", *words]

    def run_once(self, allocator, words):
        result = super().run_once(allocator, words)
        if allocator is RECORDED:
            self.size = os.path.getsize(self.path)
            os.unlink(self.path)
        return result


def ratios(cells, figure):
    """Recorded to plain, turn by turn."""
    pairs = zip(cells[RECORDED.name].values(figure), cells[PLAIN.name].values(figure), strict=True)
    return [recorded / plain for recorded, plain in pairs]


def line_of(row, cells, size):
    for cell in cells.values():
        if cell.failure:
            return f"| {row.title} | failed: {cell.failure} | | | | |"
    wall, cpu = ratios(cells, "wall"), ratios(cells, "cpu")
    return (
        f"| {row.title} | {cells[PLAIN.name].median('wall'):.2f} | {cells[RECORDED.name].median('wall'):.2f} "
        f"| {statistics.median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}) | {statistics.median(cpu):.2f} "
        f"| {size / 1e6:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser(description="Measures programs under `cairn record` against the same on glibc.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each kind (default: 5)")
    parser.add_argument("--scale", type=float, default=100, help="percent of the full work (default: 100)")
    parser.add_argument("--only", default="c/*", help="rows by name or group/name (default: c/*)")
    parser.add_argument("--python", default=run.DEFAULT_PYTHON, help="CPython of the Python group")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per run (default: 120)")
    parser.add_argument("--markdown", metavar="FILE", help="put the table into this file too")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    arguments.allocators = [measure.CAIRN.name]
    bench = run.prepare(arguments)
    bench = Bench(bench.folder, bench.cairn_command, bench.launcher, bench.timeout)
    chosen = run.choose_rows(arguments)
    run.warn_if_busy()
    lines = []
    for number, row in enumerate(chosen, 1):
        cells = bench.series(row, [PLAIN, RECORDED], arguments.runs, True, arguments.scale)
        lines.append(line_of(row, cells, bench.size))
        run.progress(f"{number} of {len(chosen)}: {lines[-1]}")
    text = (
        "## Recording\n\n"
        f"Written by `bench/recorder.py --only '{arguments.only}' --runs {arguments.runs}` at {arguments.scale:g}% of "
        f"the work, on {os.cpu_count()} processors. Seconds are medians; ratios are recorded to plain, turn by turn: "
        "median (and range) of wall time, median of processor time.\n\n"
        "| program | glibc s | recorded s | wall, ratio | processor, ratio | file, MB |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n" + "\n".join(lines)
    )
    run.publish(arguments.markdown, BEGIN, END, text)
    sys.exit(any("failed" in line for line in lines))


if __name__ == "__main__":
    main()
