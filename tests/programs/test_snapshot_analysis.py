# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The analysis of a snapshot (src/python/snapshot_analysis.h) in every CPython found, by the code alone, without the
collector around it: what it calls unreachable is what a full collection finds. src/snapshot_probe.c is the extension
module that takes the snapshots, snapshot/found.py the program that compares; and the module's declarations are held
against that CPython's own headers by its compilation.

$CAIRN_TEST_GRAPHS is the number of graphs in all (default 1000)."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY, SOURCES, clean_environment
from snapshot_support import DEBIAN, PROGRAMS, SERVED, each_python

GRAPHS = int(os.environ.get("CAIRN_TEST_GRAPHS", "1000"))
FOUND = PROGRAMS / "found.py"
PARTS = ("table", "count", "rings", "parts", "analysis", "process")
CODE = [*(REPOSITORY / f"src/python/snapshot_{part}.c" for part in PARTS), *(REPOSITORY / "src/os").glob("*.c")]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The code under test, compiled once: Cairn's own sources know no Python.h."""
    folder = tmp_path_factory.mktemp("library")
    command = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-c",
               f"-I{REPOSITORY / 'src'}", f"-I{REPOSITORY / 'include'}", *CODE]
    subprocess.run(command, cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


@pytest.fixture(scope="session")
def probe(library, tmp_path_factory):
    """The folder of snapshot_probe for an interpreter, built once."""
    folders = {}

    def folder_for(python):
        if python not in folders:
            folders[python] = build_probe(python, library, tmp_path_factory.mktemp("probe"))
        return folders[python]

    return folder_for


def build_probe(python, library, folder):
    asked = "import sysconfig; print(sysconfig.get_paths()['include'])"
    include = subprocess.run([python, "-c", asked], env=clean_environment(), capture_output=True, text=True,
                             check=True).stdout.strip()
    if not (Path(include) / "internal/pycore_interp.h").exists():
        pytest.skip(f"no internal headers in {include} (Debian: python3-dev)")
    command = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-fPIC", "-shared", "-fvisibility=hidden",
               f"-I{REPOSITORY / 'src'}", f"-isystem{include}", SOURCES / "snapshot_probe.c", *library,
               "-o", folder / "snapshot_probe.so"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def found(programs, probe, python, *arguments):
    outcome = programs.cairn([python, "-B", FOUND, *map(str, arguments)], env={"PYTHONPATH": str(probe(python))})
    assert outcome.code == 0, outcome.err[-3000:]
    return int(outcome.out)


@each_python
def test_random_graphs(programs, probe, python):
    count = GRAPHS // len(SERVED)
    assert found(programs, probe, python, "graphs", 1, count) > 5 * count


@each_python
def test_shuffled_heap(programs, probe, python):
    assert found(programs, probe, python, "big", 60000) == 1200


def test_larger_heap(programs, probe):
    assert found(programs, probe, DEBIAN, "big", 400000) == 8000


@each_python
def test_result_too_small(programs, probe, python):
    assert found(programs, probe, python, "room", 20000) > 0
