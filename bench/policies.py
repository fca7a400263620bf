#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Compares the fits and geometries on recordings of real programs.

usage: policies.py [--build DIR] [--scale PERCENT] [--keep DIR] [--markdown FILE]

Records an index built by Python, redis under its benchmark, gcc, sqlite and a server mix whose blocks outlive the
threads that made them, replays each under every geometry and, without pools, under every fit, and prints a table for
each figure: time, peak resident memory, mean external fragmentation. --markdown puts the tables, between two marks, into
a file that may hold other text (docs/benchmarks.md)."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import report
import rows

ROOT = os.path.dirname(rows.HERE)
BEGIN, END = "<!-- policies: begin -->", "<!-- policies: end -->"
FIGURES = (
    ("Time to replay, s", "seconds", 1.0, "{:.2f}"),
    ("Peak resident memory, MiB", "peak_resident_bytes", 1 << 20, "{:.1f}"),
    ("External fragmentation, mean share of resident memory, %", "external_mean_share", 0.01, "{:.1f}"),
)


def programs(folder, scale):
    """Name, command, and whether a child of it does the work."""
    index = os.path.join(ROOT, "bench", "python", "dict_index.py")
    mix = rows.build_binary(folder, os.path.join(rows.HERE, "programs", "server-churn.c"))
    by_name = {row.name: row for row in rows.program_rows()}
    yield "python index", ["/usr/bin/python3", index, f"{scale:g}"], False
    yield "redis", by_name["redis"].command(folder, scale), True
    yield "gcc", by_name["gcc"].command(folder, scale), True
    yield "sqlite", by_name["sqlite"].command(folder, scale), False
    yield "server mix", [mix, f"{scale:g}"], False


def progress(text):
    print(f"policies: {text}", file=sys.stderr, flush=True)


def fail(text):
    sys.exit(f"policies: {text}")


def record(cairn, command, child, path):
    """Records a command, or with `child` the one of its children that asks most; returns the file to replay."""
    words = [cairn, "record", "--quiet", "-o", path, *(["--children"] if child else []), *command]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    if not child:
        return path
    folder, name = os.path.split(path)
    found = [os.path.join(folder, file) for file in os.listdir(folder) if file.startswith(name + ".")]
    if not found:
        fail(f"no child of {' '.join(command)} was recorded")
    return max(found, key=os.path.getsize)


def replay(cairn, path, *options):
    done = subprocess.run([cairn, "replay", "--json", *options, path], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        fail(f"replaying {path} with {' '.join(options)} failed")
    return json.loads(done.stdout)


def measure(cairn, path):
    """Policy to figures."""
    plays = replay(cairn, path, "--geometry", "classic,cpython,default", "--verify", "off")["plays"]
    plays += replay(cairn, path, "--fit", "best,first,next,worst", "--pools", "off", "--verify", "off")["plays"]
    return {play["policy"]: play for play in plays}


def table(title, key, unit, form, measured):
    policies = list(next(iter(measured.values())))
    lines = [f"### {title}", "", "| program | " + " | ".join(policies) + " |"]
    lines.append("| --- " + "| ---: " * len(policies) + "|")
    ratios = {policy: [] for policy in policies}
    for program, plays in measured.items():
        values = {policy: plays[policy][key] / unit for policy in policies}
        best = min(values.values())
        cells = [form.format(values[policy]) + ("*" if values[policy] == best else "") for policy in policies]
        lines.append(f"| {program} | " + " | ".join(cells) + " |")
        for policy in policies:
            ratios[policy].append(max(values[policy], 1e-9) / max(values["default"], 1e-9))
    means = [f"{statistics.geometric_mean(ratios[policy]):.2f}" for policy in policies]
    lines.append("| geometric mean, to default | " + " | ".join(means) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Compares fits and geometries on recordings of real programs.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--scale", type=float, default=20, help="percent of the programs' full work (default: 20)")
    parser.add_argument("--keep", metavar="DIR", help="keep the recordings there")
    parser.add_argument("--markdown", metavar="FILE", help="put the tables into this file too")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    cairn = os.path.join(build, "cairn")
    if not os.access(cairn, os.X_OK):
        fail(f"no {cairn}: build first (make), or name the folder with --build")
    measured = {}
    with tempfile.TemporaryDirectory(prefix="policies-") as temporary:
        folder = arguments.keep or temporary
        os.makedirs(folder, exist_ok=True)
        for name, command, child in programs(os.path.join(build, "bench"), arguments.scale):
            progress(f"recording {name}")
            path = record(cairn, command, child, os.path.join(folder, name.replace(" ", "-") + ".rec"))
            progress(f"replaying {name} ({os.path.getsize(path) / (1 << 20):.1f} MiB)")
            measured[name] = measure(cairn, path)
    command = f"`bench/policies.py --scale {arguments.scale:g}`"
    text = f"## Policies and geometries\n\nWritten by {command}: one replay each, in one thread. A star marks the least.\n\n"
    text += "\n\n".join(table(*figure, measured) for figure in FIGURES)
    print(text)
    if arguments.markdown:
        report.put_between_marks(arguments.markdown, BEGIN, END, text)
        progress(f"wrote {arguments.markdown}")


if __name__ == "__main__":
    main()
