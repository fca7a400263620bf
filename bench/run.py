#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The benchmark harness: programs under Cairn and under the allocators Debian packages, in turns.

    bench/run.py --build build                     everything
    bench/run.py --build build --only 'c/*'        one group; also names: --only lifo,fifo
    bench/run.py --build build --quick             a small part of the work, one run: does everything run?

Measures the wall time, processor time and peak resident memory of whole processes (bench/launcher.c), and prints
medians, spread, ratios and geometric means (bench/report.py). Progress goes to stderr, tables to stdout and, with
--markdown FILE, into a file with the machine, the versions and the command. See bench/rows.py for what is run and
bench/measure.py for how."""

import argparse
import fnmatch
import os
import platform
import shlex
import subprocess
import sys
import time

import measure
import report
import rows

DEFAULT_PYTHON = "/usr/bin/python3"
QUICK_SCALE = 2.0


def fail(message):
    sys.exit(f"cairn: bench: {message}")


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def parse_arguments():
    known = [measure.CAIRN.name] + [peer.name for peer in measure.PEERS]
    parser = argparse.ArgumentParser(description="Benchmark Cairn against the allocators Debian packages.")
    parser.add_argument("--build", default="build", help="directory that holds cairn (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="counted runs per row and allocator (default: 5, quick: 1)")
    parser.add_argument("--only", metavar="PATTERN[,...]", help="rows by name or group/name, shell patterns")
    parser.add_argument(
        "--allocators", metavar="NAME[,...]", default=",".join(known), help="of " + ", ".join(known) + " (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SCALE:g}%% of the work, one run, no warm-up")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there too")
    parser.add_argument("--python", default=DEFAULT_PYTHON, help="CPython of the Python group (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per run (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.runs = arguments.runs if arguments.runs is not None else (1 if arguments.quick else 5)
    arguments.allocators = arguments.allocators.split(",")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    for name in arguments.allocators:
        if name not in known:
            parser.error(f"unknown allocator {name}: choose from {', '.join(known)}")
    return arguments


def choose_rows(arguments):
    """The rows --only asks for whose programs are installed."""
    patterns = arguments.only.split(",") if arguments.only else ["*"]
    every = rows.all_rows(arguments.python)
    for pattern in patterns:
        if not any(matches(row, pattern) for row in every):
            fail(f"--only {pattern} matches no row: see --list")
    chosen = []
    for row in every:
        if not any(matches(row, pattern) for pattern in patterns):
            continue
        if row.available():
            chosen.append(row)
        else:
            progress(f"{row.title} skipped: {row.needs} is not installed")
    return chosen


def warn_if_busy():
    """Says so when other work shares the machine: wall times then mean little."""
    load = os.getloadavg()[0]
    if load > os.cpu_count() + 1:
        progress(f"the machine is busy (load average {load:.1f}): trust processor times, not wall times")


def matches(row, pattern):
    return fnmatch.fnmatchcase(row.name, pattern) or fnmatch.fnmatchcase(row.title, pattern)


def choose_allocators(names):
    """The allocators asked for that are installed, Cairn first."""
    chosen = [measure.CAIRN] if measure.CAIRN.name in names else []
    for peer in measure.PEERS:
        if peer.name not in names:
            continue
        if measure.loadable(peer.soname):
            chosen.append(peer)
        else:
            progress(f"{peer.name} skipped: {peer.soname} not found (Debian package {peer.package})")
    if not chosen:
        fail("none of the allocators asked for is installed")
    return chosen


def prepare(arguments):
    """Checks the build and compiles the launcher; returns the Bench."""
    cairn_command = os.path.abspath(os.path.join(arguments.build, "cairn"))
    if measure.CAIRN.name in arguments.allocators and not os.access(cairn_command, os.X_OK):
        fail(f"{cairn_command} does not exist: run make first, or leave cairn out of --allocators")
    folder = os.path.abspath(os.path.join(arguments.build, "bench"))
    try:
        launcher = rows.build_binary(folder, os.path.join(rows.HERE, "launcher.c"))
    except (OSError, subprocess.CalledProcessError) as error:
        fail(f"cannot compile bench/launcher.c: {error}")
    return measure.Bench(folder, cairn_command, launcher, arguments.timeout)


def run_group(bench, arguments, chosen, allocators):
    """Runs the rows of one group; returns a list of (row, cells)."""
    results = []
    scale = QUICK_SCALE if arguments.quick else 100.0
    for number, row in enumerate(chosen, 1):
        cells = bench.series(row, allocators, arguments.runs, not arguments.quick, scale)
        results.append((row, cells))
        figures = ", ".join(f"{name} {brief(cell)}" for name, cell in cells.items())
        progress(f"{row.title} ({number} of {len(chosen)}): {figures}")
    return results


def brief(cell):
    return f"{cell.median('wall'):.2f} s" if cell.median("wall") is not None else f"failed ({cell.failure})"


def package_version(package):
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    return query.stdout or "unknown version"


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def preamble(arguments, allocators, bench):
    """Machine, versions, command and legend."""
    lines = ["# Benchmarks", ""]
    lines.append(f"Written by `{shlex.join(['bench/run.py', *sys.argv[1:]])}` on {time.strftime('%Y-%m-%d')}.")
    lines.append("")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    lines.append(f"- machine: {processor_name()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}")
    if measure.CAIRN in allocators:
        version = subprocess.run([bench.cairn_command, "--version"], capture_output=True, text=True, check=False)
        lines.append(f"- cairn: {version.stdout.strip() or 'unknown version'}")
    for allocator in allocators:
        if allocator.soname:
            version = package_version(allocator.package)
            lines.append(f"- {allocator.name}: {allocator.soname}, {allocator.package} {version}")
    python = subprocess.run([arguments.python, "--version"], capture_output=True, text=True, check=False)
    lines.append(f"- load average before the first run: {os.getloadavg()[0]:.1f}")
    lines.append(f"- Python group: {python.stdout.strip()} ({arguments.python}), stock is its own pymalloc")
    lines.append("")
    warm_up = "no warm-up" if arguments.quick else "after one warm-up"
    lines += [
        f"A cell: median of {arguments.runs} runs in turns ({warm_up}), `*` if best in the row, ± half the distance "
        "between lowest and",
        f"highest, and the ratio of medians: this allocator / {allocators[0].name}; in the Python group cairn / stock. "
        "Above 1.00 this allocator",
        "needs more than the base, below 1.00 less.",
        "",
    ]
    return lines


def run_all(bench, arguments, chosen, allocators):
    """Runs everything; returns the report's lines."""
    lines = preamble(arguments, allocators, bench)
    native = [row for row in chosen if row.group != measure.PYTHON_GROUP]
    python = [row for row in chosen if row.group == measure.PYTHON_GROUP]
    if native:
        names = [allocator.name for allocator in allocators]
        results = run_group(bench, arguments, native, allocators)
        lines += report.group_report("C and programs", results, names, names[0], measure.CAIRN.name)
    if python and measure.CAIRN in allocators:
        results = run_group(bench, arguments, python, [measure.STOCK, measure.CAIRN])
        names = [measure.STOCK.name, measure.CAIRN.name]
        lines += report.group_report("Python", results, names, names[0], measure.CAIRN.name)
    elif python:
        progress("the Python group skipped: it compares stock with cairn, which is not among --allocators")
    return lines


KEPT = "<!-- kept: what follows is not written by bench/run.py -->"


def kept_part(path):
    """What a file of tables holds from the mark on, to be written back."""
    try:
        with open(path, encoding="utf-8") as file:
            old = file.read()
    except FileNotFoundError:
        return ""
    return "\n" + old[old.index(KEPT):] if KEPT in old else ""


def main():
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(row.title for row in rows.all_rows(arguments.python)))
        return
    chosen = choose_rows(arguments)
    allocators = choose_allocators(arguments.allocators)
    bench = prepare(arguments)
    warn_if_busy()
    try:
        text = "\n".join(run_all(bench, arguments, chosen, allocators))
    except (OSError, subprocess.CalledProcessError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted")
    print(text)
    warn_if_busy()
    if arguments.markdown:
        kept = kept_part(arguments.markdown)
        with open(arguments.markdown, "w", encoding="utf-8") as file:
            file.write(text + "\n" + kept)
        progress(f"wrote {arguments.markdown}")


if __name__ == "__main__":
    main()
