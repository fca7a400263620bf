# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""CPython on Cairn: the representative part of its own test-suite on Debian's Python, a smaller part on every other
CPython found under a pyenv root, and Cairn behind all three of its memory domains. The whole suite is
`make test-cpython`; docs/design/cpython-suite.md says how outcomes are compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BUILD, REPOSITORY, clean_environment

RUNNER = REPOSITORY / "tests/cpython/run.py"
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
    """Runs the suite's runner; shows what it printed if a difference is not expected."""
    done = subprocess.run([sys.executable, RUNNER, "--build", BUILD, "--jobs", "2", *arguments],
                          env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's python3.11 is not installed")
def test_representative_part():
    run_suite("--smoke", "--python", DEBIAN)


@pytest.mark.parametrize("version, python", other_pythons())
def test_other_versions(version, python):
    run_suite("--versions", "--python", python, "--timeout", "300")


DOMAINS = """
junk = [dict(a=str(n)) for n in range(50000)]       # object and mem domains
kept = [bytearray(3000) for n in range(1000)]       # past pymalloc's limit
print(len(junk) + len(kept))
"""


@pytest.mark.parametrize("version, python", [("Debian", DEBIAN), *other_pythons()])
def test_all_domains_are_served(programs, version, python):
    programs.same([python, "-I", "-c", DOMAINS], requests=200000)
