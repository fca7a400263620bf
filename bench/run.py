#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The benchmark harness: programs under Cairn and under the allocators Debian packages, in turns.

    bench/run.py --build build                     everything
    bench/run.py --build build --only 'c/*'        one group; also names: --only lifo,fifo
    bench/run.py --build build --quick             a small part of the work, one run: does everything run?

Measures the wall time, processor time, peak and final resident memory of whole processes (bench/launcher.c), and
prints an overview, aims, medians, spread, ratios and geometric means (bench/report.py). Progress and the time it will
take go to stderr, tables to stdout and, with --markdown FILE, with the machine, the versions and the command into a
file, between marks of their own for the Python group and for the others. See bench/rows.py for what is run and
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
REST_MS = 500
USUAL_SECONDS = 0.6  # of one run of one row at full scale, about


def fail(message):
    sys.exit(f"cairn: bench: {message}")


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def check_names(parser, kind, names, known):
    """Ends with the parser's error about a name that is not known."""
    for name in names:
        if name not in known:
            parser.error(f"unknown {kind} {name}: choose from {', '.join(known)}")


def publish(path, begin, end, text):
    """Prints a report; with a path, also puts it between its marks there."""
    print(text, flush=True)
    if path:
        report.put_between_marks(path, begin, end, text)
        progress(f"wrote {path}")


def parse_arguments():
    known = [measure.CAIRN.name] + [peer.name for peer in measure.PEERS]
    parser = argparse.ArgumentParser(description="Benchmark Cairn against the allocators Debian packages.")
    parser.add_argument("--build", default="build", help="directory that holds cairn (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="counted runs per row and allocator (default: 5, quick: 1)")
    parser.add_argument("--only", "--rows", metavar="PATTERN[,...]", help="rows by name or group/name, shell patterns")
    parser.add_argument(
        "--allocators", metavar="NAME[,...]", default=",".join(known), help="of " + ", ".join(known) + " (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SCALE:g}%% of the work, one run, no warm-up")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there too")
    parser.add_argument("--python", default=DEFAULT_PYTHON, help="CPython of the Python group (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per run (default: %(default)s)")
    parser.add_argument(
        "--rest", type=int, default=REST_MS, metavar="MS",
        help="rest before final memory is read, 0: do not read it (default: %(default)s)",
    )
    arguments = parser.parse_args()
    arguments.runs = arguments.runs if arguments.runs is not None else (1 if arguments.quick else 5)
    arguments.allocators = arguments.allocators.split(",")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    if arguments.rest < 0:
        parser.error("--rest must not be negative")
    check_names(parser, "allocator", arguments.allocators, known)
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
    return measure.Bench(folder, cairn_command, launcher, arguments.timeout, getattr(arguments, "rest", 0))


class Clock:
    """How long it will take: a rule of thumb at first, then what the runs so far took."""

    def __init__(self, arguments, counted):
        """`counted`: for each row, how many allocators it runs under."""
        turns = arguments.runs + (0 if arguments.quick else 1)
        work = USUAL_SECONDS * (QUICK_SCALE / 100 if arguments.quick else 1)
        resting = min(measure.FINAL_RUNS, arguments.runs) * arguments.rest / 1000
        self.total = sum(counted)
        self.passed = 0
        self.start = time.monotonic()
        self.first = self.total * (turns * work + resting)

    def minutes(self):
        """Minutes still to go."""
        if not self.passed:
            return self.first / 60
        return (time.monotonic() - self.start) / self.passed * (self.total - self.passed) / 60


def run_group(bench, arguments, chosen, allocators, clock):
    """Runs the rows of one group; returns a list of (row, cells)."""
    results = []
    scale = QUICK_SCALE if arguments.quick else 100.0
    for number, row in enumerate(chosen, 1):
        cells = bench.series(row, allocators, arguments.runs, not arguments.quick, scale)
        results.append((row, cells))
        figures = ", ".join(f"{name} {brief(cell)}" for name, cell in cells.items())
        clock.passed += len(allocators)
        progress(f"{row.title} ({number} of {len(chosen)}): {figures}; {clock.minutes():.0f} min to go")
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


def machine_lines():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    system = f"{platform.system()} {platform.release()}"
    return [
        f"- machine: {processor_name()}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}",
        f"- load average before the first run: {os.getloadavg()[0]:.1f}",
    ]


def version_lines(arguments, allocators, bench):
    lines = []
    if measure.CAIRN in allocators:
        version = subprocess.run([bench.cairn_command, "--version"], capture_output=True, text=True, check=False)
        lines.append(f"- cairn: {version.stdout.strip() or 'unknown version'}")
    for allocator in allocators:
        if allocator.soname:
            version = package_version(allocator.package)
            lines.append(f"- {allocator.name}: {allocator.soname}, {allocator.package} {version}")
    if measure.STOCK in allocators:
        python = subprocess.run([arguments.python, "--version"], capture_output=True, text=True, check=False)
        lines.append(f"- stock: {python.stdout.strip()} ({arguments.python}) with its own pymalloc")
    return lines


def preamble(arguments, allocators, bench, base_name):
    """Command, machine, versions and legend."""
    warm_up = "no warm-up" if arguments.quick else "after one warm-up"
    command = shlex.join(["bench/run.py", *sys.argv[1:]])
    return [
        f"Written by `{command}` on {time.strftime('%Y-%m-%d')}.",
        "",
        *machine_lines(),
        *version_lines(arguments, allocators, bench),
        "",
        f"Medians of {arguments.runs} runs in turns ({warm_up}). In the tables of one measure a cell is the median, "
        "`*` if best in",
        "the row, ± half the distance between lowest and highest, and the ratio to "
        f"{base_name}'s (turn by turn, the median). Final memory is read",
        f"{arguments.rest} ms after the work is done and freed, while the program waits (real programs: not read).",
        "",
    ]


NATIVE = ("C, mixes and programs", "<!-- bench: begin -->", "<!-- bench: end -->")
PYTHON = ("Python", "<!-- bench python: begin -->", "<!-- bench python: end -->")


def report_group(bench, arguments, kind, chosen, allocators, base, clock):
    """Runs one group; returns its report and puts it between its marks in the file."""
    title, begin, end = kind
    lines = preamble(arguments, allocators, bench, base.name)
    results = run_group(bench, arguments, chosen, allocators, clock)
    names = [allocator.name for allocator in allocators]
    lines += report.group_report(title, results, names, base.name, measure.CAIRN.name)
    text = "\n".join([f"## {title}", "", *lines]).rstrip() + "\n"
    publish(arguments.markdown, begin, end, text)


def run_all(bench, arguments, chosen, allocators):
    """Runs everything, group by group."""
    native = [row for row in chosen if row.group != measure.PYTHON_GROUP]
    python = [row for row in chosen if row.group == measure.PYTHON_GROUP]
    if python and measure.CAIRN not in allocators:
        progress("the Python group skipped: it compares stock with cairn, which is not among --allocators")
        python = []
    clock = Clock(arguments, [len(allocators)] * len(native) + [2] * len(python))
    progress(f"{len(native) + len(python)} rows: about {clock.minutes():.0f} min")
    if native:
        report_group(bench, arguments, NATIVE, native, allocators, allocators[0], clock)
    if python:
        report_group(bench, arguments, PYTHON, python, [measure.STOCK, measure.CAIRN], measure.STOCK, clock)


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
        run_all(bench, arguments, chosen, allocators)
    except (OSError, subprocess.CalledProcessError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted")
    warn_if_busy()


if __name__ == "__main__":
    main()
