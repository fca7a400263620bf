# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The demonstration: its program builds the same index on Cairn as on stock Python, and its table can be read."""

import json
import re

import pytest
from conftest import BUILD, CAIRN, REPOSITORY

PYTHON = "/usr/bin/python3"
DEMO = REPOSITORY / "demo" / "demo.py"
PROGRAM = REPOSITORY / "demo" / "index_stdlib.py"
FILES = 25
ROW = re.compile(
    r"(?P<label>wall time|processor time|peak resident|resident after the work) +"
    r"(?P<stock>[\d.]+) (?P<unit>s|MB) +[\d.]+ \w+ \.\. [\d.]+ \w+ +"
    r"(?P<cairn>[\d.]+) (?P=unit) +[\d.]+ \w+ \.\. [\d.]+ \w+ +(?P<ratio>[\d.]+)"
)

TWO_MODULES = {
    "first.py": "import second\nfrom second import helper as h\n\ndef work():\n    value = helper()\n"
    "    return second.helper(value.size)\n",
    "second.py": "class Thing:\n    size = 1\n\ndef helper(x=None):\n    return unknown(x)\n",
    "broken.py": "def (\n",
}


def demo(programs, *options):
    return programs.stock([PYTHON, DEMO, "--build", BUILD, *options])


def test_index_is_the_same_on_cairn(programs):
    command = [PYTHON, PROGRAM, "--limit-files", str(FILES), "--batch-kib", "256"]
    results = []
    for outcome in (programs.stock(command), programs.cairn(command), programs.counted(command)):
        assert outcome.code == 0, outcome.err
        results.append(json.loads(outcome.out))
    assert outcome.requests() > 100_000
    for result in results:
        assert result["counts"] == results[0]["counts"]
        assert result["digest"] == results[0]["digest"]
        assert 0 < result["measures"]["after_bytes"] <= result["measures"]["peak_bytes"]
    assert results[0]["counts"]["files"] == FILES
    assert results[0]["counts"]["references"] > 1000


def test_index_of_two_modules(programs, tmp_path):
    """The counts of an input small enough to count by hand."""
    for name, text in TWO_MODULES.items():
        (tmp_path / name).write_text(text)
    outcome = programs.stock([PYTHON, PROGRAM, "--root", tmp_path])
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["counts"] == {
        "files": 2,
        "defined_names": 5,  # work, value, Thing, size, helper
        "definitions": 5,
        "imported_names": 2,  # second, second.helper
        "imports": 2,
        "referenced_names": 3,  # helper, size, unknown
        "references": 4,
        "resolved": 3,
        "unresolved": 1,
    }


def test_digest_tells_indexes_apart(programs, tmp_path):
    digests = []
    for text in ("def f():\n    g()\n", "\ndef f():\n    g()\n"):
        (tmp_path / "module.py").write_text(text)
        outcome = programs.stock([PYTHON, PROGRAM, "--root", tmp_path])
        digests.append(json.loads(outcome.out)["digest"])
    assert digests[0] != digests[1]


def test_table(programs):
    outcome = demo(programs, "--limit-files", str(FILES), "--rounds", "2")
    assert outcome.code == 0, outcome.err
    table = {found["label"]: found for found in map(ROW.fullmatch, outcome.out.splitlines()) if found}
    assert list(table) == ["wall time", "processor time", "peak resident", "resident after the work"]
    peak = table["peak resident"]
    assert float(peak["ratio"]) == pytest.approx(float(peak["cairn"]) / float(peak["stock"]), abs=0.1)
    assert f"{FILES} files" in outcome.out
    assert "Same index in all 4 runs" in outcome.out
    table_text, _, statistics = outcome.out.partition("cairn run --stats\n")
    assert "ratio" in table_text
    assert len(statistics.strip().splitlines()) > 5


@pytest.mark.parametrize(
    "options, message",
    [
        (["--build", "/nonexistent"], "cairn: demo: /nonexistent/cairn does not exist: run make first"),
        (["--python", "/nonexistent/python"], "name a CPython with --python PATH"),
        (["--python", "/bin/true"], "/bin/true is not CPython"),
        (["--rounds", "0"], "--rounds must be at least 1"),
    ],
)
def test_clear_errors(programs, options, message):
    assert CAIRN.exists()
    outcome = demo(programs, *options)
    assert outcome.code != 0
    assert message in outcome.err
    assert "Traceback" not in outcome.err
