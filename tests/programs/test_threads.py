# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Programs in src/ that use what a malloc replacement gets wrong first: threads that come and go, fork among threads,
thread-local destructors, keys, plugins, signals, children, exceptions. Each checks its own blocks and prints a line
that must be the same as on the system's allocator; each runs in all three geometries."""

import pytest

from conftest import REPOSITORY

# Program, and the requests it makes at the least.
PROGRAMS = {
    "short_threads.c": 100000,
    "ring.c": 100000,
    "fork_threads.c": 5000,
    "thread_locals.cpp": 50000,
    "key_destructors.c": 60000,
    "signals.c": 50000,
    "children.c": 1000,
    "operators.cpp": 20000,
    "malloc_calls.c": 60000,
}


@pytest.mark.parametrize("source", PROGRAMS)
def test_program(programs, build, source):
    programs.same([build(source)], PROGRAMS[source])


@pytest.mark.parametrize("source", PROGRAMS)
@pytest.mark.parametrize("geometry", ["classic", "cpython"])
def test_program_in_geometry(programs, build, source, geometry):
    outcome = programs.cairn([build(source)], options={"geometry": geometry, "purge_delay": 0})
    assert (outcome.code, outcome.err) == (0, "")


def test_plugins(programs, build):
    plugin = build("plugin.c", "-shared", "-fPIC", output="plugin.so")
    programs.same([build("dlopen_loop.c"), plugin], requests=20000)


@pytest.mark.parametrize("case", ["made", "shared", "freed"])
def test_nothing_stays_of_threads_that_ended(programs, build, case):
    """No trim, and the main thread waits all the time for the others' ends: what they free of its blocks, and what is
    freed while they end, is not left in its inbox. Before, 26,000 to 119,000 blocks (made) and 1,000 to 1,600 pools
    (freed). A few blocks are those of the C library."""
    outcome = programs.cairn([build("ended_threads.c", f"-I{REPOSITORY}/include", "-ldl"), case])
    assert (outcome.code, outcome.err) == (0, "")
    blocks, pools, resident = map(int, outcome.out.split())
    assert blocks <= 100 and pools <= 100 and resident <= 2 << 20


@pytest.mark.parametrize("source", ["short_threads.c", "ring.c", "key_destructors.c", "thread_locals.cpp"])
def test_again_and_again(programs, build, source):
    """Thread exits and remote frees depend on timing: ten more rounds."""
    for _ in range(10):
        outcome = programs.cairn([build(source)])
        assert (outcome.code, outcome.err) == (0, "")
