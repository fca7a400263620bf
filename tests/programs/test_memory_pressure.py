# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Out of memory, by `ulimit -v` and by CAIRN_LIMIT: every call gives NULL and ENOMEM, blocks held stay whole, and
freeing makes it work again, to the full amount. A program that throws bad_alloc goes on; Python raises MemoryError
and goes on."""

import resource

import pytest

from conftest import require

MIB = 1 << 20
SIZES = ["24", "500", "5000", "100000", "3000000", "mixed"]


def bytes_got(outcome):
    assert outcome.code == 0, (outcome.code, outcome.out, outcome.err)
    assert "FAILED" not in outcome.out and outcome.err == ""
    return int(outcome.out.split()[-6])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [[], ["4"]], ids=["alone", "threads"])
def test_limit(programs, build, size, threads):
    outcome = programs.cairn([build("pressure.c"), size, *threads], options={"limit": "64M"})
    assert 40 * MIB * (0.5 if threads else 1) < bytes_got(outcome) * 1.1 + 6 * MIB
    assert bytes_got(outcome) <= 64 * MIB * (4 if threads else 1)


@pytest.mark.parametrize("geometry", ["classic", "cpython", "default"])
def test_limit_with_each_geometry(programs, build, geometry):
    outcome = programs.cairn([build("pressure.c"), "mixed"], options={"limit": "32M", "geometry": geometry})
    assert 16 * MIB < bytes_got(outcome) <= 32 * MIB


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [[], ["4"]], ids=["alone", "threads"])
def test_address_space(programs, build, size, threads):
    """Under `ulimit -v`, which also bounds what can be reserved."""
    space = [(resource.RLIMIT_AS, 300 * MIB)]
    got = bytes_got(programs.cairn([build("pressure.c"), size, *threads], limits=space))
    assert got > 60 * MIB


def test_very_small_address_space(programs, build):
    """So little that large reservations fail at once: a program still starts and runs."""
    for megabytes in (10, 12, 16, 24, 40):
        space = [(resource.RLIMIT_AS, megabytes * MIB)]
        assert programs.stock([build("growth.c")], limits=space).code == 0
        outcome = programs.cairn([build("growth.c")], limits=space)
        assert (outcome.code, outcome.err) == (0, ""), megabytes


@pytest.mark.parametrize("limits, options", [([(resource.RLIMIT_AS, 300 * MIB)], {}), ([], {"limit": "100M"})],
                         ids=["address-space", "limit"])
def test_growth(programs, build, limits, options):
    outcome = programs.cairn([build("growth.c")], limits=limits, options=options)
    assert (outcome.code, outcome.err) == (0, "")
    assert int(outcome.out.split()[-1]) > 20 * MIB


# The second case has a wide bound on the address space too: a limit that does not hold must not fill the machine.
@pytest.mark.parametrize("limits, options", [([(resource.RLIMIT_AS, 400 * MIB)], {}),
                                             ([(resource.RLIMIT_AS, 2000 * MIB)], {"limit": "200M"})],
                         ids=["address-space", "limit"])
def test_python_raises_memory_error(programs, limits, options):
    script = """
import sys
for attempt in range(3):
    kept = []
    try:
        while True:
            kept.append([str(n) * 10 for n in range(20000)])
    except MemoryError:
        count = len(kept)
        del kept
    assert 40 < count < 250, count
    assert sum(len(str(n)) for n in range(100000)) == 488890
try:
    b'x' * (1 << 40)
except MemoryError:
    print('large refused')
print('went on')
"""
    outcome = programs.cairn([require("python3.11"), "-I", "-c", script], limits=limits, options=options, timeout=60)
    assert (outcome.code, outcome.out, outcome.err) == (0, "large refused\nwent on\n", "")


def test_limit_zero_is_none(programs, build):
    outcome = programs.cairn([build("short_threads.c")], options={"limit": "0"})
    assert (outcome.code, outcome.err) == (0, "")
