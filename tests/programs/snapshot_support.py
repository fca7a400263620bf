# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What the tests of the snapshot collector share: the interpreters it serves, the extension module of odd types, and
the options that make it stand in for every full collection."""

import subprocess
from pathlib import Path

import pytest
from conftest import SOURCES, clean_environment
from test_python_domains import FOUND

PROGRAMS = SOURCES.parent / "snapshot"
DEBIAN = Path("/usr/bin/python3")
SERVED = [python for python, version in FOUND.items() if version and (3, 9) <= version <= (3, 13)]
OTHERS = [python for python in SERVED if python != DEBIAN]
EVERY_TIME = {"gc": "snapshot", "gc_force": 1}
ASKED_FOR = {"gc": "snapshot", "gc_explicit": "snapshot"}


def name_of(python):
    return "Debian" if python == DEBIAN else python.parent.parent.name


each_python = pytest.mark.parametrize("python", SERVED, ids=name_of)
each_other_python = pytest.mark.parametrize("python", OTHERS, ids=name_of)


def build_extension(python, folder, source=PROGRAMS / "odd_types.c"):
    """Builds an extension module for an interpreter into `folder` and returns the folder."""
    asked = "import sysconfig; print(sysconfig.get_paths()['include'])"
    include = subprocess.run([python, "-c", asked], env=clean_environment(), capture_output=True, text=True,
                             check=True).stdout.strip()
    if not (Path(include) / "Python.h").exists():
        pytest.skip(f"no Python.h in {include} (Debian: python3-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{source.stem}.so"
    command = ["gcc", "-O1", "-g", "-Wall", "-shared", "-fPIC", f"-I{include}", source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def odd_types(tmp_path_factory):
    """The folder of odd_types for an interpreter, built once."""
    folders = {}

    def folder_for(python):
        if python not in folders:
            folders[python] = build_extension(python, tmp_path_factory.mktemp("odd"))
        return folders[python]

    return folder_for


def snapshots_of(document):
    """The snapshot collector's figures in a statistics document."""
    return document["python"]["gc"]["snapshots"]
