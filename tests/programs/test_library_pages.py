# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The library's own pages: what only its start needs is given back after it, and nothing is lost by that."""

import re

import pytest

from conftest import CAIRN, PRELOAD, cairn_environment, execute, require

WINDOW = 64  # KiB that the system maps around a page of a file


@pytest.fixture(scope="module")
def program(build):
    return build("library_pages.c", "-g")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """KiB of code in the library, as readelf has it."""
    headers = execute([require("readelf"), "-lW", PRELOAD], cairn_environment(), tmp_path_factory.mktemp("elf")).out
    return int(re.search(r"LOAD +\S+ \S+ \S+ \S+ (0x[0-9a-f]+) R E", headers)[1], 16) // 1024


def pages(program, folder, *words, **options):
    outcome = execute([program, *words], cairn_environment(**options), folder)
    assert outcome.code == 0 and outcome.err == ""
    return tuple(map(int, outcome.out.split()))


def test_the_start_is_given_back(program, mapped, tmp_path):
    """Left are the code of requests (gcc: 16 pages, clang: 19), and symbols and what is relocated of constants."""
    code, constants = pages(program, tmp_path)
    assert mapped > 2 * WINDOW, "there is something to give back"
    assert 0 < code <= WINDOW + 16
    assert 0 < constants <= 32


def test_a_wait_needs_one_window_more(program, tmp_path):
    code, _ = pages(program, tmp_path, "300")
    assert code <= 2 * WINDOW + 16


def test_statistics_work_after_it(program, tmp_path):
    outcome = execute([CAIRN, "run", "--stats", "--", program], cairn_environment(), tmp_path)
    assert outcome.code == 0 and "cairn" in outcome.err


def test_breakpoints_stay(program, tmp_path):
    """A debugger's breakpoint in code that is given back was set before the library started; waits come there."""
    commands = ["set breakpoint pending on", "set startup-with-shell off", f"set environment LD_PRELOAD {PRELOAD}",
                "break first_slice", "run 300", "backtrace 3", "continue"]
    words = [word for command in commands for word in ("-ex", command)]
    outcome = execute([require("gdb"), "-q", "-nx", "-batch", *words, program], cairn_environment(), tmp_path)
    if "ptrace: Operation not permitted" in outcome.err:
        pytest.skip("debuggers are not allowed here")
    assert re.search(r"Breakpoint 1, first_slice", outcome.out), outcome.out + outcome.err
    assert "exited normally" in outcome.out
