# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Misuse of the heap, one small program each (src/misuse/). It ends the program by SIGABRT after one line on stderr
that names the call, the address and what is wrong with it; with CAIRN_MISUSE=report the line is written and the
program goes on with a whole heap. Options that do not exist or do not parse give one line and no more."""

import re
import signal

import pytest

from conftest import BUILD, CAIRN, POLICY, cairn_environment, execute

FOREIGN, FREE_ALREADY, INTERIOR = "is no address that Cairn gave out", "is free already", "is not the start of a block"
NO_BLOCK = f"{FOREIGN}|{FREE_ALREADY}|{INTERIOR}"
# After a large or huge block is freed its addresses may be gone, or be another block's: any of the three is true.
MISUSES = {
    "free_stack": ("free", FOREIGN),
    "free_static": ("free", FOREIGN),
    "free_wild": ("free", FOREIGN),
    "free_mapping": ("free", FOREIGN),
    "free_interior": ("free", INTERIOR),
    "free_interior_large": ("free", INTERIOR),
    "free_interior_huge": ("free", INTERIOR),
    "double_free_last": ("free", FREE_ALREADY),
    "double_free_only": ("free", FREE_ALREADY),
    "double_free_later": ("free", FREE_ALREADY),
    "double_free_large": ("free", NO_BLOCK),
    "double_free_huge": ("free", NO_BLOCK),
    "free_other_thread": ("free", FREE_ALREADY),
    "realloc_freed": ("realloc", FREE_ALREADY),
    "realloc_interior": ("realloc", INTERIOR),
    "realloc_stack": ("realloc", FOREIGN),
    "usable_size_garbage": ("usable_size", FOREIGN),
}

# What the fast path of free does not look at: whether the address is the start of a block of its pool, and whether
# the block is free already unless it is the newest. If one of these is ever seen, its mark must go (strict).
NOT_SEEN = {"free_interior", "double_free_later"}
HAS_POOLS = POLICY.get("pools") != "off"  # holes are looked at more closely


def cases(not_seen):
    marks = pytest.mark.xfail(strict=True, reason="costs time on every free")
    return [pytest.param(name, marks=marks if name in not_seen else ()) for name in MISUSES]


def built(build, name):
    return build(f"misuse/{name}.c", "-Wno-use-after-free", output=f"misuse-{name}")


def check_report(outcome, call, wanted):
    """One line in all, of Cairn's, with the address the program printed."""
    address = outcome.out.split()[0]
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("cairn: ")
    assert address in lines[0]
    assert re.search(rf"\b{call}\b", lines[0])
    assert re.search(wanted, lines[0])


@pytest.mark.parametrize("name", cases(NOT_SEEN))
@pytest.mark.parametrize("geometry", ["default", "classic"])
def test_misuse_ends_the_program(programs, build, name, geometry):
    call, wanted = MISUSES[name]
    outcome = programs.cairn([built(build, name)], options={"geometry": geometry})
    assert outcome.code == -signal.SIGABRT, (outcome.code, outcome.out, outcome.err)
    check_report(outcome, call, wanted)


@pytest.mark.parametrize("name", cases({"double_free_later"} if HAS_POOLS else ()))
def test_misuse_is_seen_while_counting(programs, build, name):
    """With statistics the heap counts every request and takes other paths."""
    call, wanted = MISUSES[name]
    outcome = programs.cairn([built(build, name)], options={"stats": "json", "stats_file": "statistics.json"})
    assert outcome.code == -signal.SIGABRT, (outcome.code, outcome.out, outcome.err)
    check_report(outcome, call, wanted)


@pytest.mark.parametrize("name", cases(NOT_SEEN if HAS_POOLS else ()))
def test_report_goes_on(programs, build, name):
    call, wanted = MISUSES[name]
    outcome = programs.cairn([built(build, name)], options={"misuse": "report"})
    assert outcome.code == 0, (outcome.code, outcome.out, outcome.err)
    check_report(outcome, call, wanted)
    assert outcome.out.endswith("went on\n")


@pytest.mark.parametrize("variable, value", [
    ("CAIRN_NO_SUCH_OPTION", "1"), ("CAIRN_LIMITS", "1G"), ("CAIRN_LIMIT", "lots"), ("CAIRN_LIMIT", "-1"),
    ("CAIRN_GEOMETRY", "cubic"), ("CAIRN_STATS", "xml"), ("CAIRN_MISUSE", "maybe"), ("CAIRN_PURGE_DELAY", "soon"),
    ("CAIRN_PYTHON", "yes")])
def test_unknown_option_gives_one_line(tmp_path, variable, value):
    outcome = execute(["/bin/sh", "-c", "/bin/true; /bin/echo done"], cairn_environment() | {variable: value}, tmp_path)
    assert (outcome.code, outcome.out) == (0, "done\n")
    lines = outcome.err.splitlines()
    assert lines and len(set(lines)) == 1, outcome.err
    assert lines[0].startswith("cairn: ") and variable in lines[0]


@pytest.mark.parametrize("variable, value", [("CAIRN_NO_SUCH_OPTION", "1"), ("CAIRN_GEOMETRY", "cubic")])
def test_unknown_option_is_said_once_under_run(tmp_path, variable, value):
    """Children of what `cairn run` started stay silent."""
    script = "/bin/true; /bin/true; /bin/echo done"
    environment = cairn_environment() | {"LD_PRELOAD": "", variable: value}
    outcome = execute([CAIRN, "run", "--", "/bin/sh", "-c", script], environment, tmp_path)
    assert (outcome.code, outcome.out) == (0, "done\n")
    lines = [line for line in outcome.err.splitlines() if variable in line]
    assert len(lines) == 1 and lines[0].startswith("cairn: "), outcome.err


def test_good_options_give_no_line(tmp_path):
    options = {"geometry": "cpython", "limit": "1G", "purge_delay": 10, "misuse": "report", "python": 0, "children": 1}
    outcome = execute(["/bin/echo", "done"], cairn_environment(**options), tmp_path)
    assert (outcome.code, outcome.out, outcome.err) == (0, "done\n", "")


def test_commands_report_what_is_missing(tmp_path):
    absent = execute([CAIRN, "run", "--", "no-such-program"], cairn_environment() | {"LD_PRELOAD": ""}, tmp_path)
    assert absent.code == 127 and len(absent.cairn_lines()) == 1 and "no-such-program" in absent.err
    plain = tmp_path / "plain.txt"
    plain.write_text("not a program")
    barred = execute([CAIRN, "run", "--", plain], cairn_environment() | {"LD_PRELOAD": ""}, tmp_path)
    assert barred.code == 126 and len(barred.cairn_lines()) == 1 and "plain.txt" in barred.err
    assert BUILD.is_dir()
