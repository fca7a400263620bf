# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The shape of cairn.stats(). The members of a heap are the fields of cairn_stats in cairn.h, see cairn-run(1)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict


class ProcessStats(TypedDict):
    """Bytes of the process in physical memory, as the system says."""

    resident_bytes: int
    peak_resident_bytes: int


class StopStats(TypedDict):
    """Stops of the program for one cause, in nanoseconds, and the objects that the collections found and freed."""

    count: int
    total_ns: int
    longest_ns: int
    p999_ns: int
    found: int
    freed: int


class CollectorStats(TypedDict):
    """What is known of the collector."""

    mode: str
    """"stock" or "snapshot"."""
    obstacle: str
    """Why CPython does the full collections although snapshots were asked for; "" if nothing keeps them away."""
    stops: Optional[Dict[str, StopStats]]
    """By cause: young, middle and full collections, fork (of a snapshot), wait (for one), batch (freed after one). None
    if stops are not timed: in stock mode without --stats or --gc-trace."""
    snapshots: Optional[Dict[str, int]]
    """The figures of the snapshots, by the names that cairn-run(1) lists. None without Cairn."""


class PythonStats(TypedDict):
    """What is known of the interpreter."""

    version: str
    domains: List[str]
    """CPython's allocator domains that are Cairn's: raw, mem, object."""
    gc: CollectorStats


class Stats(TypedDict):
    """The statistics of a process."""

    cairn: Optional[str]
    """Cairn's version. None if the process does not run on it."""
    pid: int
    program: str
    heaps: List[Dict[str, Any]]
    process: ProcessStats
    python: Optional[PythonStats]
    """None if PYTHONMALLOC and the like keep Cairn out of Python's domains."""
