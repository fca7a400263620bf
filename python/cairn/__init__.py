# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Cairn from inside Python: what the memory manager under this process does, and a word in it.

Cairn becomes Python's memory manager when the process starts, not when this package is imported:

    python -m cairn run app.py                      # or: cairn run -- python app.py
    python -m cairn run --gc=snapshot app.py        # full collections without the stop

In a program that was started so:

    import cairn

    cairn.stats()["process"]["resident_bytes"]      # every figure of `cairn run --stats=json`, any time
    cairn.trim()                                    # give memory back now; returns the bytes
    cairn.check()                                   # are the heaps' structures sound?
    cairn.collect()                                 # free the garbage there is now
    cairn.gc_mode("snapshot")                       # who does full collections from now on
    cairn.report("memory.html")                     # all of it as a page with pictures

The package can be imported without Cairn in the process. It then says once, as a NotPreloadedWarning, how to start the
program; stats(), report(), collect() and trim() do what the interpreter and the C library can, and check() and a change
of the mode raise NotPreloadedError. preloaded() tells which of the two it is.

All functions may be called by any thread of the main interpreter.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import warnings
from typing import NamedTuple, Optional

from . import _core
from ._types import CollectorStats, ProcessStats, PythonStats, Stats, StopStats
from ._version import __version__

__all__ = [
    "Check", "CollectorStats", "NotPreloadedError", "NotPreloadedWarning", "ProcessStats", "PythonStats",
    "Stats", "StopStats", "__version__", "check", "collect", "gc_mode", "preloaded", "report", "stats", "trim",
]

_MODES = ("stock", "snapshot")  # by the numbers of cairn_gc_mode


class NotPreloadedWarning(RuntimeWarning):
    """Given once, when the package is imported in a process that does not run on Cairn."""


class NotPreloadedError(RuntimeError):
    """The call needs Cairn, and the process does not run on it."""


class Check(NamedTuple):
    """What check() found."""

    faults: list[str]
    """A line for each fault; empty if all is sound."""
    skipped: int
    """Heaps that could not be looked at because other threads use them."""


def preloaded() -> bool:
    """Does this process run on Cairn?"""
    return _core.preloaded()


def stats() -> Stats:
    """The statistics of the process: what `cairn run --stats=json` prints when a program ends, as it is now.

    cairn-run(1) describes the members. Without Cairn `heaps` is empty, and only what the system and the interpreter
    know is filled in. Figures that Cairn counts only under `--stats` are None.
    """
    if not preloaded():
        return _stock_stats()
    document: Stats = json.loads(_core.stats_json())
    return document


def trim() -> int:
    """Gives memory that holds nothing back to the system: malloc's and Python's. Returns the bytes.

    Cairn does so by itself, some tenths of a second after memory was freed; trim() does it at once and to the last
    page. Without Cairn it is the C library's malloc_trim(), which gives back what malloc has, not what Python's
    allocator keeps; the bytes are then what the process shrank by.
    """
    if preloaded():
        return _core.trim()
    before = _resident_bytes()
    _core.malloc_trim()
    return max(0, before - _resident_bytes())


def check() -> Check:
    """Checks the structures of the heaps: counters, lists, free blocks, against each other.

    A fault means that something wrote where it must not, often an extension module. While other threads run, only
    Python's own heap is looked at, and that up to Python 3.11, where the GIL keeps them out of it. Takes time in
    proportion to the memory in use. Raises NotPreloadedError without Cairn.
    """
    _need_cairn("check()")
    text, count, skipped = _core.check()
    faults = text.splitlines()
    if count > len(faults):
        faults.append(f"cairn: and {count - len(faults)} more faults")
    return Check(faults, skipped)


def collect() -> int:
    """Frees all cyclic garbage there is now. Returns the number of objects, as gc.collect() does.

    In snapshot mode it is looked for in a snapshot, which this thread waits for; otherwise this is gc.collect().
    """
    if preloaded() and gc_mode() == "snapshot":
        freed = _core.gc_collect()
        if freed >= 0:
            return freed
    return gc.collect()


def gc_mode(mode: Optional[str] = None) -> str:
    """Who does the collections of the oldest generation: "stock" (CPython) or "snapshot" (Cairn, beside the program).

    With an argument, switches to it first. Raises ValueError for another word; RuntimeError, with the reason, if
    snapshots are not possible in this process; NotPreloadedError if it does not run on Cairn.
    """
    if mode is not None:
        _set_gc_mode(mode)
    return _MODES[_core.gc_mode()] if preloaded() else "stock"


def report(path: "str | os.PathLike[str]") -> None:
    """Writes a page on the memory of this process to `path`: one HTML file without references to others.

    It shows memory by heap and size class, fragmentation by cause, how full the pools are, and the stops of the
    collector. Raises OSError if the file cannot be written.
    """
    from . import _page

    text = _page.compose(stats(), __version__)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


# ---- the rest is not for users ----


def _set_gc_mode(mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"gc_mode: unknown mode {mode!r}; valid: {', '.join(_MODES)}")
    if preloaded():
        try:
            _core.gc_set_mode(_MODES.index(mode))
        except RuntimeError as error:
            raise RuntimeError(f"gc_mode: the mode stays stock: {error}") from None
    elif mode != "stock":
        _need_cairn(f"gc_mode({mode!r})")


def _need_cairn(call: str) -> None:
    if not preloaded():
        raise NotPreloadedError(f"{call} needs Cairn: {_how_to_start()}")


def _script() -> str:
    """The program as the user would write it behind `cairn run`."""
    name = os.path.basename(_first_word())
    return name if name.endswith(".py") else "app.py"


def _first_word() -> str:
    """sys.argv[0]; "" in a program that embeds Python and has no sys.argv."""
    words: list[str] = getattr(sys, "argv", [])
    return words[0] if words else ""


def _how_to_start() -> str:
    built, found = _core.interfaces()
    if found not in (0, built):
        return ("the libcairn-preload.so in this process belongs to another version than this package; "
                f"start it with: {_command()} run {_script()}")
    return f"start the program with: {_command()} run {_script()}"


def _command() -> str:
    return f"{os.path.basename(sys.executable or 'python3')} -m cairn"


def _is_the_command() -> bool:
    """Is the package imported for the command, which is there to mend what the warning is about?"""
    if os.path.basename(_first_word()) == "cairn":
        return True
    if _first_word() != "-m":
        return False
    words = getattr(sys, "orig_argv", None)  # from 3.10; before, any -m that leads to this import passes for ours
    return words is None or any(option[0] == "-" and option[-1] == "m" and module.startswith("cairn")
                                for option, module in zip(words, words[1:]))


def _status_bytes(label: str) -> int:
    """A figure of /proc/self/status, which counts in KiB; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith(label):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _resident_bytes() -> int:
    return _status_bytes("VmRSS:")


def _stock_stats() -> Stats:
    process: ProcessStats = {"resident_bytes": _resident_bytes(), "peak_resident_bytes": _status_bytes("VmHWM:")}
    collector: CollectorStats = {"mode": "stock", "obstacle": "this process does not run on Cairn", "stops": None,
                                 "snapshots": None}
    python: PythonStats = {"version": platform.python_version(), "domains": [], "gc": collector}
    return {"cairn": None, "pid": os.getpid(), "program": os.path.basename(_first_word()), "heaps": [],
            "process": process, "python": python}


if not preloaded() and not _is_the_command():
    warnings.warn(f"this process does not run on Cairn; {_how_to_start()}", NotPreloadedWarning, stacklevel=2)
