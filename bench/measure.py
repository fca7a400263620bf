# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Allocators and measuring: one run of one row under one allocator, and the interleaved series of a row.

An allocator is put in front of a program from outside, by LD_PRELOAD: Cairn's library of this build, and the others'
sonames, found by the dynamic linker. `cairn run` does the same and becomes the program by exec; run by it, a program
counts the command's own peak (2 MB) and start (1 ms) as its own, since a process keeps its figures over an exec.
"glibc" preloads libc.so.6 itself, which changes nothing for most programs and gives glibc's malloc to those that
Debian links against another one (redis-server against jemalloc). "stock" preloads nothing: for the Python group it is
CPython as it comes, with pymalloc.

Invariants: every allocator gets the same arguments and the same environment; the caller's LD_PRELOAD, PYTHONMALLOC and
CAIRN_* are taken out; the runs of one row go in turns (A B C A B C ...), so that a noisy moment meets them all; a run
that fails, times out or prints another answer than the first allocator's is a failure of its cell, never a number.

Final memory: in the first FINAL_RUNS counted runs of a row that takes part, the program says when its work is done and
everything is freed, and its resident size is read `rest_ms` later (bench/launcher.c). It waits in poll(), as servers
do, so allocators that give back while a program waits have the chance to. That time is not in the wall time."""

import os
import signal
import statistics
import subprocess

PYTHON_GROUP = "python"
FINAL_RUNS = 3


class Allocator:
    def __init__(self, name, soname, package):
        self.name = name
        self.soname = soname
        self.package = package


PEERS = (
    Allocator("glibc", "libc.so.6", "libc6"),
    Allocator("mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"),
    Allocator("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    Allocator("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    Allocator("tcmalloc-full", "libtcmalloc.so.4", "libgoogle-perftools4"),
    Allocator("tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
)
CAIRN = Allocator("cairn", None, None)
STOCK = Allocator("stock", None, None)


def loadable(soname):
    """True if the dynamic linker finds the library: it complains on stderr about one it cannot preload."""
    probe = subprocess.run(
        ["/bin/true"], env={**clean_environment(), "LD_PRELOAD": soname}, capture_output=True, check=False
    )
    return probe.returncode == 0 and not probe.stderr


def clean_environment():
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "PYTHONMALLOC", "PYTHONDEVMODE", "MALLOC_CONF") and not name.startswith("CAIRN_")
    }
    environment.update(PYTHONHASHSEED="0", LC_ALL="C")
    return environment


class Run:
    """What one run used."""

    def __init__(self, wall, user, system, peak_kib, final_kib=-1, faults=0):
        self.wall = wall
        self.cpu = user + system
        # MiB. The system counts a process's pages per processor and adds them up now and then, so its peak may lack some.
        self.peak = max(peak_kib, final_kib) / 1024
        self.final = final_kib / 1024 if final_kib >= 0 else None
        self.faults = int(faults)


class Cell:
    """The counted runs of one row under one allocator, or why there are none."""

    def __init__(self):
        self.runs = []
        self.failure = None

    def values(self, measure):
        values = [getattr(run, measure) for run in self.runs]
        return [value for value in values if value is not None]

    def median(self, measure):
        """The median, or None if the cell failed or the runs have no such figure."""
        values = [] if self.failure else self.values(measure)
        return statistics.median(values) if values else None

    def spread(self, measure):
        """(highest - lowest) / median."""
        values = self.values(measure)
        middle = statistics.median(values)
        return (max(values) - min(values)) / middle if middle else 0.0


class Bench:
    """Runs rows. `folder` is BUILD/bench, `cairn_command` the path of `cairn` in the build folder, beside its libraries,
    `timeout` seconds per run, `rest_ms` the rest before final memory is read (0: it is not)."""

    def __init__(self, folder, cairn_command, launcher, timeout, rest_ms=0):
        self.folder = folder
        self.cairn_command = cairn_command
        self.cairn_preload = os.path.join(os.path.dirname(cairn_command), "libcairn-preload.so")
        self.launcher = launcher
        self.timeout = timeout
        self.rest_ms = rest_ms

    def command(self, allocator, words):
        if allocator is CAIRN:
            return [f"LD_PRELOAD={self.cairn_preload}", *words]
        if allocator is STOCK:
            return words
        return [f"LD_PRELOAD={allocator.soname}", *words]

    def run_once(self, allocator, words, rest_ms=0):
        """Runs once; returns (Run, output) or raises RuntimeError with the reason."""
        result_path = os.path.join(self.folder, f"result-{os.getpid()}")
        process = subprocess.Popen(
            [self.launcher, result_path, str(rest_ms), *self.command(allocator, words)],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise RuntimeError(f"no end after {self.timeout:g} s") from None
        if process.returncode != 0:
            raise RuntimeError(f"launcher: {errors.decode(errors='replace').strip()}")
        with open(result_path, encoding="ascii") as file:
            *figures, status = file.read().split()
        os.unlink(result_path)
        if int(status) != 0:
            raise RuntimeError(describe_status(int(status), errors))
        return Run(*map(float, figures)), output

    def series(self, row, allocators, runs, warm_up, scale):
        """The cells of one row, by allocator name."""
        words = row.command(self.folder, scale)
        cells = {allocator.name: Cell() for allocator in allocators}
        expected = None
        for turn in range(-1 if warm_up else 0, runs):
            rests = row.rests and self.rest_ms > 0 and 0 <= turn < FINAL_RUNS
            how = {"rest_ms": self.rest_ms} if rests else {}
            for allocator in allocators:
                cell = cells[allocator.name]
                if cell.failure:
                    continue
                try:
                    run, output = self.run_once(allocator, words, **how)
                except RuntimeError as failure:
                    cell.failure = str(failure)
                    continue
                expected = output if expected is None else expected
                if output != expected:
                    cell.failure = "printed another answer"
                elif turn >= 0:
                    cell.runs.append(run)
        return cells


def describe_status(status, errors):
    """A wait status in words, with the program's last line of stderr."""
    code = os.waitstatus_to_exitcode(status)
    text = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"{text}: {lines[-1]}" if lines else text
