# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Where CPython keeps its collector: the committed table against the headers of every CPython of this machine, and the check
itself against a wrong table."""

import re
import shutil
import subprocess

import pytest

from conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts/python-layouts"
TABLE = REPOSITORY / "src/python/layout_table.h"


def check(script):
    return subprocess.run([script, "--check"], capture_output=True, text=True, check=False)


def test_the_table_is_that_of_the_headers():
    done = check(SCRIPT)
    if "no CPython" in done.stderr:
        pytest.skip("no internal headers of CPython here (Debian: python3-dev)")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r": [1-9]\d* versions looked at, 0 differ", done.stdout)


def test_a_wrong_table_is_seen(tmp_path):
    """The last offset of every row is one word off."""
    for path in (SCRIPT, TABLE):
        target = tmp_path / path.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    table = tmp_path / TABLE.relative_to(REPOSITORY)
    wrong, rows = re.subn(r"(\d+)\}", lambda match: f"{int(match[1]) + 8}}}", table.read_text(encoding="utf-8"))
    assert rows == 5
    table.write_text(wrong, encoding="utf-8")
    done = check(tmp_path / SCRIPT.relative_to(REPOSITORY))
    if "no CPython" in done.stderr:
        pytest.skip("no internal headers of CPython here (Debian: python3-dev)")
    assert done.returncode == 1 and "the table has" in done.stderr
