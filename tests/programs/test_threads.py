# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Programs in src/ that use what a malloc replacement gets wrong first: threads that come and go, fork among threads,
thread-local destructors, keys, plugins, signals, children, exceptions. Each checks its own blocks and prints a line
that must be the same as on the system's allocator; each runs in all three geometries."""

import pytest

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


@pytest.mark.parametrize("source", ["short_threads.c", "ring.c", "key_destructors.c", "thread_locals.cpp"])
def test_again_and_again(programs, build, source):
    """Thread exits and remote frees depend on timing: ten more rounds."""
    for _ in range(10):
        outcome = programs.cairn([build(source)])
        assert (outcome.code, outcome.err) == (0, "")
