#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""One real Python program on stock Python and on Cairn, side by side: `make demo`.

Runs demo/index_stdlib.py under the same interpreter without and with `cairn run`, in turns, so that a noisy moment
of the machine meets both; checks that every run built the same index; prints one table of medians, spread and ratio;
then the statistics of one more run on Cairn. The interpreter and the program are not changed for Cairn.

Invariants: both sides get the same arguments and the same environment (no LD_PRELOAD, PYTHONMALLOC or CAIRN_* of the
caller's); a warm-up run, not counted, fills the file cache first. Rounds are dropped (and it is said) if the machine
is so slow that the whole would pass the time budget."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "index_stdlib.py")
DEFAULT_PYTHON = "/usr/bin/python3"
BUDGET_SECONDS = 85.0
MB = 1e6

# Measure of the program's result, label in the table, text of a value.
ROWS = (
    ("wall_seconds", "wall time", lambda value: f"{value:.2f} s"),
    ("cpu_seconds", "processor time", lambda value: f"{value:.2f} s"),
    ("peak_bytes", "peak resident", lambda value: f"{value / MB:.0f} MB"),
    ("after_bytes", "resident after the work", lambda value: f"{value / MB:.0f} MB"),
)


def fail(message):
    sys.exit(f"cairn: demo: {message}")


def clean_environment():
    """The caller's environment without what would change either side's allocator."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "PYTHONMALLOC", "PYTHONDEVMODE") and not name.startswith("CAIRN_")
    }
    environment["PYTHONHASHSEED"] = "0"
    return environment


def find_cairn(build):
    command = os.path.join(build, "cairn")
    if not os.path.isfile(command):
        fail(f"{command} does not exist: run make first, or name the build directory with --build")
    if not os.access(command, os.X_OK):
        fail(f"{command} is not executable: run make again")
    return command


def interpreter_version(python):
    """The version of a CPython, or a clear end."""
    query = "import platform; print(platform.python_implementation(), platform.python_version())"
    try:
        answer = subprocess.run(
            [python, "-c", query], env=clean_environment(), capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        fail(f"cannot run {python} ({error}): name a CPython with --python PATH")
    if len(answer) != 2 or answer[0] != "CPython":
        fail(f"{python} is not CPython: name one with --python PATH")
    return answer[1]


def run_program(side, prefix, python, options):
    """Runs the program once; returns its result and what it (or `cairn run`) wrote to stderr."""
    command = prefix + [python, PROGRAM] + options
    run = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        fail(f"the run on {side} ended with {run.returncode}: {' '.join(command)}\n{run.stderr.rstrip()}")
    try:
        return json.loads(run.stdout), run.stderr
    except ValueError:
        fail(f"the run on {side} printed no result: {' '.join(command)}\n{run.stderr.rstrip()}")


def affordable_rounds(asked, run_seconds, spent):
    """As many rounds (two runs each) as fit the budget with the statistics run after them; at least one."""
    fitting = int((BUDGET_SECONDS - spent - run_seconds) / (2 * run_seconds))
    return max(1, min(asked, fitting))


def same_index(results):
    """True if all results carry the same counts and the same digest."""
    return all(
        result["counts"] == results[0]["counts"] and result["digest"] == results[0]["digest"] for result in results
    )


def table_cell(values, text):
    return f"{text(statistics.median(values)):>8}  {text(min(values)) + ' .. ' + text(max(values)):>18}"


def format_table(stock, cairn):
    """The table as lines; `stock` and `cairn` are lists of results."""
    heading = f"{'':25}{'stock':>8}  {'lowest .. highest':>18}   {'Cairn':>8}  {'lowest .. highest':>18}   {'ratio':>6}"
    lines = [heading, "-" * len(heading)]
    for measure, label, text in ROWS:
        ours = [result["measures"][measure] for result in cairn]
        theirs = [result["measures"][measure] for result in stock]
        ratio = statistics.median(ours) / statistics.median(theirs)
        lines.append(f"{label:25}{table_cell(theirs, text)}   {table_cell(ours, text)}   {ratio:6.2f}")
    return lines


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare one Python program on stock Python and on Cairn.")
    parser.add_argument("--build", default="build", help="directory that holds cairn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="counted runs on each side (default: %(default)s)")
    parser.add_argument("--python", default=DEFAULT_PYTHON, help="the CPython to run (default: %(default)s)")
    parser.add_argument("--limit-files", type=int, metavar="N", help="index the first N files only")
    parser.add_argument("--no-budget", action="store_true", help="run all rounds however long they take")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def run_rounds(arguments, cairn_command, options):
    """Warm-up, then the rounds. Returns the results of stock and of Cairn."""
    sides = (("stock Python", []), ("Cairn", [cairn_command, "run", "--"]))
    start = time.monotonic()
    progress("warm-up")
    run_program("stock Python", [], arguments.python, options)
    run_seconds = time.monotonic() - start
    rounds = arguments.rounds
    if not arguments.no_budget:
        rounds = affordable_rounds(rounds, run_seconds, run_seconds)
        if rounds < arguments.rounds:
            progress(f"one run takes {run_seconds:.0f} s here: {rounds} instead of {arguments.rounds} rounds")
    results = ([], [])
    for number in range(1, rounds + 1):
        for side, (name, prefix) in enumerate(sides):
            result, _ = run_program(name, prefix, arguments.python, options)
            results[side].append(result)
            progress(f"round {number} of {rounds}: {name}, {result['measures']['wall_seconds']:.2f} s")
    return results


def progress(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)


def main():
    arguments = parse_arguments()
    cairn_command = find_cairn(arguments.build)
    version = interpreter_version(arguments.python)
    options = ["--limit-files", str(arguments.limit_files)] if arguments.limit_files else []
    stock, cairn = run_rounds(arguments, cairn_command, options)
    if not same_index(stock + cairn):
        fail("the runs did not build the same index")
    counts = stock[0]["counts"]
    locations = counts["definitions"] + counts["imports"] + counts["references"]
    print(f"\nIndexing the Python standard library: {counts['files']:,} files, {locations:,} locations")
    print(f"CPython {version} ({arguments.python}), {platform.machine()}, rounds in turns: {len(stock)}")
    print(f"Same index in all {len(stock) + len(cairn)} runs: sha256 {stock[0]['digest'][:16]}\n")
    print("\n".join(format_table(stock, cairn)))
    print("\nMedians. Ratio: Cairn / stock, below 1.00 Cairn needs less.\n")
    print("One more run on Cairn: cairn run --stats\n", flush=True)
    result, statistics_text = run_program(
        "Cairn with --stats", [cairn_command, "run", "--stats", "--"], arguments.python, options
    )
    if not same_index([stock[0], result]):
        fail("the run with --stats did not build the same index")
    print(statistics_text.rstrip())


if __name__ == "__main__":
    main()
