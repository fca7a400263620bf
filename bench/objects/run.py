#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The same work on Cairn's objects, on CPython's through its C API, and on libgc: medians of interleaved runs.

    ninja -C build bench-objects && bench/objects/run.py --build build --runs 5

The programs of a row run in turns (cairn cpython boehm cairn ...) after one warm-up each, so that a noisy moment meets
them all; times are processor time of the workload alone, memory is how far the workload raised the process's peak. All
programs of a row must come to the same sum. Columns that divide are Cairn / the other: below 1.00 Cairn needs less."""

import argparse
import os
import platform
import statistics
import subprocess
import sys

ROWS = ("binary-trees", "gcbench", "linked-list", "dict-of-lists", "rings", "nodes")
FULL = ("full-lists", "full-nodes")
PROGRAMS = ("cairn", "cpython", "boehm")


def run(build, program, workload, *arguments):
    """One run: its words as a dictionary."""
    path = os.path.join(build, "bench", "on-" + program)
    environment = {**os.environ, "GC_MARKERS": "1", "PYTHONHASHSEED": "0", "LC_ALL": "C"}
    done = subprocess.run([path, workload, *map(str, arguments)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"cairn: {path} {workload} failed: {done.stderr.strip() or done.returncode}")
    words = dict(word.split("=", 1) for word in done.stdout.split())
    return {name: float(value) if name not in ("program", "workload") else value for name, value in words.items()}


def series(build, workload, runs, programs, scale):
    """The counted runs of each program, interleaved."""
    arguments = [scale] if scale else []
    results = {program: [] for program in programs}
    for turn in range(runs + 1):
        for program in programs:
            result = run(build, program, workload, *arguments)
            if turn:
                results[program].append(result)
    sums = {program: results[program][0].get("sum") for program in programs}
    if len(set(sums.values())) != 1:
        sys.exit(f"cairn: the programs disagree about {workload}: {sums}")
    return results


def median(results, word):
    return statistics.median(result[word] for result in results)


def ratio(results, other, word, least=0):
    """The median of the ratios of the runs of one turn; a dash where the other's figure is too small to divide by."""
    pairs = list(zip(results["cairn"], results[other]))
    if any(theirs[word] <= least for _, theirs in pairs):
        return "-"
    return "{:.2f}".format(statistics.median(mine[word] / theirs[word] for mine, theirs in pairs))


def table(headings, lines):
    widths = [max(len(line[i]) for line in [headings, *lines]) for i in range(len(headings))]
    for number, line in enumerate([headings, *lines]):
        cells = [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths))]
        print("| " + " | ".join(cells) + " |")
        if number == 0:
            print("| " + " | ".join("-" * (w - 1) + (":" if i else "-") for i, w in enumerate(widths)) + " |")
    print()


def print_work(build, runs, programs, scale):
    lines = []
    for row in ROWS:
        results = series(build, row, runs, programs, scale)
        line = [row]
        for word, factor, form, least in (("seconds", 1, "{:.3f}", 0), ("peak_kib", 1 / 1024, "{:.1f}", 1024)):
            line += [form.format(median(results[program], word) * factor) for program in programs]
            line += [ratio(results, other, word, least) for other in programs[1:]]
        lines.append(line)
        print(f"cairn: {row} done", file=sys.stderr)
    headings = ["row"]
    for unit in ("s", "MiB"):
        headings += [f"{program}, {unit}" for program in programs]
        headings += [f"cairn / {other}" for other in programs[1:]]
    table(headings, lines)


def print_full(build, runs, programs, millions):
    lines = []
    for row in FULL:
        results = series(build, row, runs, programs, millions)
        line = [row, "{:.0f}".format(median(results["cairn"], "sum"))]
        line += ["{:.1f}".format(median(results[program], "ns_per_object")) for program in programs]
        line += [ratio(results, other, "ns_per_object") for other in programs[1:]]
        line += ["{:.1f}".format(median(results[program], "peak_kib") / 1024) for program in programs]
        lines.append(line)
        print(f"cairn: {row} done", file=sys.stderr)
    headings = ["full collection", "containers"] + [f"{program}, ns each" for program in programs]
    headings += [f"cairn / {other}" for other in programs[1:]] + [f"{program}, MiB" for program in programs]
    table(headings, lines)


def print_collector(build, runs, millions):
    counts = [run(build, "collector", "counts") for _ in range(runs)]
    bounded = [run(build, "collector", "bounded", millions) for _ in range(min(runs, 3))]
    lines = [
        ["count and give up a reference, ns", "{:.3f}".format(median(counts, "cairn_ns"))],
        ["the same on a plain counter, ns", "{:.3f}".format(median(counts, "plain_ns"))],
        ["ratio", "{:.3f}".format(median(counts, "counts_ratio"))],
        ["containers", "{:.0f}".format(median(bounded, "containers"))],
        ["unbounded collection, ms", "{:.1f}".format(median(bounded, "unbounded_ms"))],
    ]
    for state, text in (("quiet", "nothing else running"), ("busy", "cycles being made")):
        lines += [
            [f"longest step, {text}, ms of processor time", "{:.3f}".format(median(bounded, state + "_longest_ms"))],
            [f"longest step, {text}, ms by the clock", "{:.3f}".format(median(bounded, state + "_clock_ms"))],
            [f"late steps of all, {text}",
             "{:.0f} of {:.0f}".format(median(bounded, state + "_late"), median(bounded, state + "_steps"))],
            [f"all steps of a cycle / unbounded, {text}", "{:.2f}".format(median(bounded, state + "_ratio"))],
        ]
    lines += [
        ["the same program, unbounded: a collection, ms", "{:.1f}".format(median(bounded, "same_unbounded_ms"))],
        ["all steps of a cycle / that", "{:.2f}".format(median(bounded, "same_ratio"))],
        ["longest gap of an idle loop, ms of processor time", "{:.3f}".format(median(bounded, "machine_longest_ms"))],
        ["gaps of half a step and more in it", "{:.0f} in {:.0f} s".format(median(bounded, "machine_late"),
                                                                       median(bounded, "machine_seconds"))],
    ]
    for thousands in (100, 200, 400):
        pieces = [run(build, "collector", "piece", thousands) for _ in range(min(runs, 3))]
        lines += [[f"longest step, one piece of garbage of {thousands},000, ms",
                   "{:.3f}".format(median(pieces, "piece_longest_ms"))]]
    rows = [run(build, "collector", "row", millions) for _ in range(min(runs, 3))]
    lines += [[f"longest step, one row of {millions} million references, ms",
               "{:.3f}".format(median(rows, "row_longest_ms"))]]
    table(["counts and bounded mode", "median"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="the build folder (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (default: %(default)s)")
    parser.add_argument("--millions", type=int, default=8, help="live containers of the full collections")
    parser.add_argument("--scale", type=int, help="scale of the other workloads (default: each one's own)")
    parser.add_argument("--only", choices=("work", "full", "collector"), help="one of the tables")
    options = parser.parse_args()
    programs = [p for p in PROGRAMS if os.path.exists(os.path.join(options.build, "bench", "on-" + p))]
    if "cairn" not in programs:
        sys.exit(f"cairn: no benchmarks in {options.build}; run: ninja -C {options.build} bench-objects")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; medians of {options.runs} runs in turns\n")
    if options.only in (None, "work"):
        print_work(options.build, options.runs, programs, options.scale)
    if options.only in (None, "full"):
        print_full(options.build, options.runs, programs, options.millions)
    if options.only in (None, "collector"):
        print_collector(options.build, options.runs, options.millions)


if __name__ == "__main__":
    main()
