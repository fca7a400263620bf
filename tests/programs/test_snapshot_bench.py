# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""bench/pauses.py: one part of it, small, from the command line to the table. No times."""

from conftest import BUILD, REPOSITORY
from test_bench import tables

PAUSES = ["/usr/bin/python3", REPOSITORY / "bench/pauses.py", "--build", BUILD]


def test_one_part(programs, tmp_path):
    markdown = tmp_path / "benchmarks.md"
    markdown.write_text("Other tables.\n")
    cycles = [*PAUSES, "--quick", "--runs", "1", "--only", "cycles"]
    some = programs.stock([*cycles, "--fresh", "--most", "2"])
    assert some.code == 0 and some.err.count("cycles: ") == 2, some.err
    assert "A program that makes no cycles" not in some.out
    outcome = programs.stock([*cycles, "--markdown", markdown])
    assert outcome.code == 0 and outcome.err.count("cycles: ") == 1, outcome.err
    text = markdown.read_text()
    assert text.startswith("Other tables.\n") and outcome.out.rstrip() in text
    table = tables(outcome.out)["A program that makes no cycles"]
    assert table["kind"] == ["wall, s", "ratio", "processor, s", "ratio", "peak, MiB"]
    assert set(table) == {"kind", "stock", "cairn", "cairn --gc=snapshot"}
    assert table.pop("kind") and table["cairn"][1] == "1.000"
    assert all(float(cells[0]) > 0.05 for cells in table.values())


def test_clear_errors(programs):
    for arguments, message in ((["--only", "nothing"], "unknown row nothing: choose from machine, "),
                               (["--runs", "0"], "at least 1"),
                               (["--build", "/nonexistent"], "no /nonexistent/cairn: build first")):
        outcome = programs.stock([*PAUSES, *arguments])
        assert outcome.code != 0
        assert message in outcome.err and "Traceback" not in outcome.err
