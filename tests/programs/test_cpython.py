# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""CPython on Cairn: the representative part of its own test-suite on Debian's Python, a smaller part on every other
CPython found under a pyenv root, a part with snapshots in the place of full collections, and Cairn behind all three of
its memory domains. The whole suite is `make test-cpython`, `make test-cpython GC=snapshot`; docs/design/cpython-suite.md says how outcomes are compared."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import BUILD, REPOSITORY, clean_environment

RUNNER = REPOSITORY / "tests/cpython/run.py"
sys.path.insert(0, str(RUNNER.parent))

import differences  # noqa: E402
import module_run  # noqa: E402

DEBIAN = Path("/usr/bin/python3.11")


def other_pythons():
    """Interpreters 3.8 to 3.13 under $PYENV_ROOT or ~/.pyenv, by version."""
    roots = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"]
    found = {}
    for root in filter(None, roots):
        for python in sorted(Path(root).glob("versions/*/bin/python3")):
            version = re.fullmatch(r"3\.(\d+)\.\d+", python.parts[-3])
            if version and 8 <= int(version[1]) <= 13:
                found[python.parts[-3]] = python
    return sorted(found.items())


def run_suite(*arguments):
    """Runs the suite's runner; shows what it printed if a difference is not expected. The longest modules mostly sleep:
    two modules a processor. None takes longer than a minute and a half; a hang, of which multiprocessing.Pool.terminate()
    has one of its own (CPython's issue 78178), is to cost little, since it is run again and compared."""
    done = subprocess.run([sys.executable, RUNNER, "--build", BUILD, "--jobs", "4", "--timeout", "300", *arguments],
                          env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's python3.11 is not installed")
def test_representative_part():
    run_suite("--smoke", "--failures", "--python", DEBIAN)


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's python3.11 is not installed")
def test_representative_part_with_snapshots():
    run_suite("--smoke", "--python", DEBIAN, "--gc", "snapshot")


@pytest.mark.parametrize("version, python", other_pythons())
def test_other_versions(version, python):
    run_suite("--versions", "--failures", "--python", python)


DOMAINS = """
junk = [dict(a=str(n)) for n in range(50000)]       # object and mem domains
kept = [bytearray(3000) for n in range(1000)]       # past pymalloc's limit
print(len(junk) + len(kept))
"""


@pytest.mark.parametrize("version, python", [("Debian", DEBIAN), *other_pythons()])
def test_all_domains_are_served(programs, version, python):
    programs.same([python, "-I", "-c", DOMAINS], requests=200000)


def attempt(state="ok", **tests):
    return {"state": state, "tests": tests}


@pytest.mark.parametrize("stock, cairn, differing, unsteady", [
    ([attempt(a="ok")], [attempt(a="ok")], [], []),
    ([attempt(a="fail")], [attempt(a="fail")], [], []),
    ([attempt("failed", a="fail")], [attempt("ok", a="ok")], ["a"], []),
    ([attempt(a="ok")], [attempt("failed", a="error")], ["a"], []),
    ([attempt(a="ok", b="ok")], [attempt(a="ok")], ["b"], []),
    ([attempt(a="ok")], [attempt(a="skip")], ["a"], []),
    ([attempt(a="ok")], [attempt("died by SIGSEGV")], ["module"], []),
    ([attempt(a="ok")], [attempt("timeout")], ["module"], []),
    ([attempt("timeout")], [attempt("timeout")], [], []),
    # Tried again: one attempt that agrees is enough for a test, but never for a crash.
    ([attempt(a="ok"), attempt(a="ok")], [attempt("failed", a="fail"), attempt(a="ok")], [], ["a", "module"]),
    ([attempt(a="ok"), attempt(a="fail")], [attempt(a="fail")], [], ["a"]),
    ([attempt(a="ok"), attempt(a="ok")], [attempt("died by SIGABRT"), attempt(a="ok")], ["module"], []),
])
def test_comparison(stock, cairn, differing, unsteady):
    found, shaky = differences.compare("module", stock, cairn)
    assert [d.subject for d in found] == differing
    assert [d.subject for d in shaky] == unsteady


def test_module_run_sees_crashes_timeouts_and_leftovers(tmp_path):
    """A stand-in for the interpreter: its last argument is the module, here what it should do."""
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\nfor what; do :; done\neval \"$what\"\n")
    stand_in.chmod(0o755)
    mark = tmp_path / "leftover.pid"

    def run(what, timeout=60):
        return module_run.run_module(str(stand_in), what, [], {}, timeout, str(tmp_path / "log"))["state"]

    assert run("kill -SEGV $$") == "died by SIGSEGV"
    assert run("echo 1 test OK.") == "ok"
    assert run("echo 1 test failed:; exit 2") == "failed"
    assert run("exit 7") == "exit 7"
    assert run(f"setsid sleep 1000 & echo $! > {mark}; echo 1 test OK.") == "ok"
    deadline = time.monotonic() + 10
    while alive(int(mark.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
