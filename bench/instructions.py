#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Instructions of a request and its free, counted by callgrind: exact figures that a busy machine does not change.

    bench/instructions.py --build build                       Cairn, and the peers beside it
    bench/instructions.py --build build --only cairn          Cairn alone
    bench/instructions.py --build build --markdown FILE       and keep the rows in FILE, between two marks

A figure is what N requests in the steady state cost inside the allocator, all it calls included, divided by N: the cost
of 2N requests less that of N, so that what happens once does not count. Kinds, each a request and its free in the same
thread (bench/instructions.c), while a hundred other blocks of the size live: malloc of 16 to 100000 bytes, "lone" with
no other block of its class; calloc of 48; aligned_alloc of 192 at 64; "queue": 48 bytes, freed 1000 requests later;
"resize": one realloc that stays where it is. Cairn alone: private heaps, shared and single, of libcairn.so ("heap") and
of libcairn.a ("static"); CPython's objects (PyObject_Malloc, PyObject_Free) in Debian's interpreter, there also stock
pymalloc.

In the file each version of an allocator has one row: rows of other versions stay as they are, a row of the same version
is replaced. --label names Cairn's row otherwise."""

import argparse
import os
import subprocess
import tempfile

import measure
import report
import rows
import run

BEGIN, END = "<!-- instructions: begin -->", "<!-- instructions: end -->"
KINDS = (
    ("lone_48", "lone 48"),
    ("malloc_16", "malloc 16"),
    ("malloc_48", "malloc 48"),
    ("malloc_512", "malloc 512"),
    ("malloc_4000", "malloc 4000"),
    ("malloc_100000", "malloc 100000"),
    ("calloc_48", "calloc 48"),
    ("aligned_192", "aligned 192"),
    ("queue_48", "queue 48"),
    ("resize_48", "resize 48"),
    ("shared_48", "heap, shared"),
    ("single_48", "heap, single"),
    ("static_shared_48", "static, shared"),
    ("static_single_48", "static, single"),
    ("python_48", "object 48"),
)
BOUNDS = {"malloc_48": 40, "static_shared_48": 40, "static_single_48": 28}
INCLUDE = os.path.join(os.path.dirname(rows.HERE), "include")
# Purging goes by the clock: put off, it does not come into the counts.
CAIRN_OPTIONS = {"CAIRN_PURGE_DELAY": "1000000"}
# A thin process: it calls the measuring function of the shared library with the GIL held.
PYTHON_CALL = "import ctypes, sys; ctypes.PyDLL(sys.argv[1]).measure_python(ctypes.c_size_t(int(sys.argv[2])))"


def inclusive(path):
    """Cost of what each function measured_KIND calls, from a file of callgrind's: {kind: instructions}."""
    costs, kind, called = {}, None, False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("fn="):
                name = line.partition("=")[2].split("'")[0].strip()
                kind = name.removeprefix("measured_") if name.startswith("measured_") else None
            elif line.startswith("calls="):
                called = True
            elif called:  # the line after it: position and inclusive cost of these calls
                called = False
                if kind is not None:
                    costs[kind] = costs.get(kind, 0) + int(line.split()[1])
    return costs


def counted(command, environment):
    """Runs a command under callgrind; {kind: instructions}."""
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        path = os.path.join(folder, "out")
        tool = ["valgrind", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]
        words = [*tool, f"--callgrind-out-file={path}", *command]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            run.fail(f"{' '.join(command)} under callgrind: {done.stderr.strip().splitlines()[-1:]}")
        return inclusive(path)


def per_request(command, environment, count):
    """{kind: instructions of one request}; `command(count)` gives the words."""
    once, twice = (counted(command(number), environment) for number in (count, 2 * count))
    return {kind: (twice[kind] - once[kind]) / count for kind in twice}


def environment_of(allocator, build):
    environment = measure.clean_environment()
    if allocator is measure.CAIRN:
        environment |= {"LD_PRELOAD": os.path.join(build, "libcairn-preload.so")} | CAIRN_OPTIONS
    elif allocator is not measure.STOCK:
        environment["LD_PRELOAD"] = allocator.soname
    return environment


def native(binary, build, allocator, count):
    libcairn = [os.path.join(build, "libcairn.so")] if allocator is measure.CAIRN else []
    return per_request(lambda number: [binary, str(number), *libcairn], environment_of(allocator, build), count)


def static(binary, build, count):
    """Private heaps of libcairn.a, which finds its thread's data without a call."""
    environment = environment_of(measure.STOCK, build) | CAIRN_OPTIONS
    figures = per_request(lambda number: [binary, str(number)], environment, count)
    return {f"static_{kind}": figure for kind, figure in figures.items()}


def objects(library, python, build, allocator, count):
    command = [python, "-I", "-S", "-c", PYTHON_CALL, library]
    return per_request(lambda number: [*command, str(number)], environment_of(allocator, build), count)


def label_of(allocator, arguments):
    if allocator is measure.STOCK:
        version = subprocess.run([arguments.python, "--version"], capture_output=True, text=True, check=True)
        return "C" + version.stdout.strip()
    if allocator is measure.CAIRN:
        version = subprocess.run(
            [os.path.join(arguments.build, "cairn"), "--version"], capture_output=True, text=True, check=True
        )
        return arguments.label or version.stdout.strip()
    return f"{allocator.name} {run.package_version(allocator.package)}"


def measured_rows(arguments, allocators):
    """{row name: {column: figure}}"""
    folder = os.path.join(arguments.build, "bench")
    source = os.path.join(rows.HERE, "instructions.c")
    flags = ["-fno-builtin", f"-I{INCLUDE}", "-ldl"]
    binary = rows.build_binary(folder, source, flags)
    library = rows.build_binary(folder, source, [*flags, "-shared", "-fPIC"], ".so")
    archive = os.path.join(arguments.build, "libcairn.a")
    found = {}
    for allocator in allocators:
        run.progress(f"counting {allocator.name}")
        figures = {}
        if allocator is not measure.STOCK:
            figures = native(binary, arguments.build, allocator, arguments.count)
        if allocator is measure.CAIRN:
            linked = rows.build_binary(folder, source, [f"-I{INCLUDE}", "-DLINKED"], "-static", [archive, "-lm"])
            figures |= static(linked, arguments.build, arguments.count)
        if allocator in (measure.CAIRN, measure.STOCK):
            figures |= objects(library, arguments.python, arguments.build, allocator, arguments.count)
        name = label_of(allocator, arguments)
        found[name] = {title: f"{figures[kind]:.1f}" for kind, title in KINDS if kind in figures}
        if allocator is measure.CAIRN:
            say_bounds(figures)
    return found


def say_bounds(figures):
    for kind, bound in BOUNDS.items():
        word = "reached" if figures[kind] <= bound else "missed"
        run.progress(f"{dict(KINDS)[kind]}: {figures[kind]:.1f} instructions, at most {bound} asked: {word}")


def old_rows(text):
    """The rows of a table that was written before, in the same form as measured_rows() gives."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    lines = [[cell.strip() for cell in line] for line in lines]
    if not lines:
        return {}
    header = lines[0][1:]
    return {line[0]: dict(zip(header, line[1:])) for line in lines[1:] if not line[0].startswith("---")}


def table(found):
    titles = [title for _, title in KINDS]
    lines = [[name, *(figures.get(title, "-") for title in titles)] for name, figures in found.items()]
    return report.pipe_table(["version", *titles], lines)


TEXT = """## Instructions of a request and its free

Written by `bench/instructions.py`: instructions inside the allocator for a request and its free in the same thread, in
the steady state, counted by callgrind. A hundred other blocks of the size live ("lone": none). "queue": the block is
freed 1000 requests later; "resize": one realloc in place; "heap" and "static": `cairn_alloc` and `cairn_free` of 48
bytes on a private heap of libcairn.so and of libcairn.a; "object": `PyObject_Malloc` and `PyObject_Free` in Debian's
interpreter. One row for each version. Asked of Cairn: at most 40 for 48 bytes in a shared heap, 28 in a single one.

"""


def main():
    parser = argparse.ArgumentParser(description="Counts the instructions of requests with callgrind.")
    known = ["cairn", *(peer.name for peer in measure.PEERS), "stock"]
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--only", default=",".join(known), help="of " + ", ".join(known) + " (default: all)")
    parser.add_argument("--count", type=int, default=20000, help="requests of each kind (default: 20000)")
    parser.add_argument("--label", help="name of Cairn's row (default: its version)")
    parser.add_argument("--python", default=run.DEFAULT_PYTHON, help="CPython for its objects")
    parser.add_argument("--markdown", metavar="FILE", help="keep the rows in this file too")
    arguments = parser.parse_args()
    arguments.build = os.path.abspath(arguments.build)
    names = arguments.only.split(",")
    if arguments.count < 1:
        parser.error("--count must be at least 1")
    run.check_names(parser, "allocator", names, known)
    if "cairn" in names and not os.access(os.path.join(arguments.build, "cairn"), os.X_OK):
        run.fail(f"no {arguments.build}/cairn: build first (make), or name the folder with --build")
    every = [measure.CAIRN, *(peer for peer in measure.PEERS if measure.loadable(peer.soname)), measure.STOCK]
    try:
        found = measured_rows(arguments, [allocator for allocator in every if allocator.name in names])
    except FileNotFoundError as error:
        run.fail(f"{error.filename} is not installed: scripts/setup bench installs what is needed")
    old = old_rows(report.between_marks(arguments.markdown, BEGIN, END)) if arguments.markdown else {}
    text = TEXT + "\n".join(table(old | found))
    run.publish(arguments.markdown, BEGIN, END, text)


if __name__ == "__main__":
    main()
