# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The benchmark harness: every program runs on Cairn with its answer, tables add up, failures show. No times."""

import math
import re
import subprocess
import sys

import pytest
from conftest import BUILD, CAIRN, REPOSITORY, require

BENCH = REPOSITORY / "bench"
PYTHON = "/usr/bin/python3"
TINY = "0.2"
STRICT = ["-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Wconversion", "-Wmissing-prototypes", "-Werror"]

sys.path.insert(0, str(BENCH))
import measure  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402

C_PROGRAMS = sorted(path.stem for path in (BENCH / "programs").glob("*.c"))
PYTHON_PROGRAMS = sorted(path.name for path in (BENCH / "python").glob("*.py") if path.name != "bench_common.py")


def harness(programs, *options):
    return programs.stock([PYTHON, BENCH / "run.py", "--build", BUILD, *options])


def tables(text):
    """The pipe tables of a report by their section's title: {title: {row: [cells]}}."""
    found, title = {}, None
    for line in text.splitlines():
        if line.startswith("## "):
            title = line[3:]
            found[title] = {}
        elif line.startswith("| ") and "---" not in line:
            name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[title][name] = cells
    return found


@pytest.mark.parametrize("name", C_PROGRAMS)
def test_c_program_answers_the_same_on_cairn(programs, tmp_path, name):
    binary = tmp_path / name
    source = BENCH / "programs" / f"{name}.c"
    subprocess.run(["gcc", "-O2", "-std=gnu17", "-pthread", *STRICT, "-o", binary, source], check=True)
    stock = programs.stock([binary, TINY])
    cairn = programs.counted([binary, TINY])
    assert (stock.code, cairn.code) == (0, 0), cairn.err
    assert re.fullmatch(rf"{name} [0-9a-f]{{16}}\n", stock.out)
    assert cairn.out == stock.out
    assert cairn.requests() > 10


def test_c_program_refuses_a_bad_scale(programs, tmp_path):
    binary = tmp_path / "lifo"
    subprocess.run(["gcc", "-O2", "-std=gnu17", "-o", binary, BENCH / "programs" / "lifo.c"], check=True)
    for scale in ("0", "-1", "x", "1e9"):
        outcome = programs.stock([binary, scale])
        assert outcome.code == 2
        assert "usage:" in outcome.err


@pytest.mark.parametrize("name", PYTHON_PROGRAMS)
def test_python_program_answers_the_same_on_cairn(programs, name):
    command = [PYTHON, "-B", BENCH / "python" / name, TINY]
    stock, cairn = programs.stock(command), programs.counted(command)
    assert (stock.code, cairn.code) == (0, 0), cairn.err
    assert re.fullmatch(r"[a-z-]+ [0-9a-f]{8}\n", stock.out)
    assert cairn.out == stock.out
    assert cairn.requests() > 1000


def test_two_rows_one_peer(programs, tmp_path):
    markdown = tmp_path / "benchmarks.md"
    kept = "<!-- kept: what follows is not written by bench/run.py -->\n\nWords.\n"
    markdown.write_text("Old tables.\n\n" + kept)
    outcome = harness(
        programs, "--quick", "--runs", "2", "--only", "lifo,vector-objects", "--allocators", "cairn,glibc",
        "--markdown", markdown,
    )
    assert outcome.code == 0, outcome.err
    assert markdown.read_text() == outcome.out + "\n" + kept
    assert "- glibc: libc.so.6, libc6 2." in outcome.out
    found = tables(outcome.out)
    wall = found["C and programs: Wall time, s"]
    assert wall["row"] == ["cairn", "glibc"]
    assert set(wall) == {"row", "lifo", "geometric mean of ratios"}
    (cairn, _, _, one), (glibc, _, _, share) = (cell.replace("*", " ").split() for cell in wall["lifo"])
    assert float(one) == 1.0
    assert float(share) == pytest.approx(float(glibc) / float(cairn), rel=0.2)
    assert sum(cell.count("*") for cell in wall["lifo"]) >= 1
    assert found["Python: Peak resident memory, MiB"]["row"] == ["stock", "cairn"]
    assert float(found["Python: geometric means over 1 rows"]["stock"][0]) == 1.0


def test_real_program_row(programs):
    require("lua5.4")
    outcome = harness(programs, "--quick", "--only", "programs/lua", "--allocators", "cairn,glibc")
    assert outcome.code == 0, outcome.err
    assert "failed" not in outcome.out
    assert "lua" in tables(outcome.out)["C and programs: Peak resident memory, MiB"]


def test_list_names_every_row(programs):
    titles = harness(programs, "--list").out.split()
    assert {f"c/{name}" for name in C_PROGRAMS} <= set(titles)
    assert len([title for title in titles if title.startswith("python/")]) == len(PYTHON_PROGRAMS) >= 10
    assert {"programs/lua", "programs/sqlite", "programs/gcc", "programs/perl", "programs/redis"} <= set(titles)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--build", "/nonexistent", "--only", "lifo"], "/nonexistent/cairn does not exist: run make first"),
        (["--only", "nothing"], "--only nothing matches no row"),
        (["--allocators", "dlmalloc"], "unknown allocator dlmalloc"),
        (["--runs", "0"], "--runs must be at least 1"),
    ],
)
def test_clear_errors(programs, options, message):
    outcome = harness(programs, *options)
    assert outcome.code != 0
    assert message in outcome.err
    assert "Traceback" not in outcome.err


@pytest.fixture
def bench(tmp_path):
    launcher = rows.build_binary(str(tmp_path), str(BENCH / "launcher.c"))
    return measure.Bench(str(tmp_path), str(CAIRN), launcher, 60)


def shell_row(script):
    return rows.Row("c", "shell", "sh", lambda folder, scale: ["sh", "-c", script])


@pytest.mark.parametrize(
    "script, failure",
    [
        ("echo broken >&2; exit 3", "exit code 3: broken"),
        ("kill -SEGV $$", "SIGSEGV"),
    ],
)
def test_failing_program_is_no_number(bench, script, failure):
    cell = bench.series(shell_row(script), [measure.STOCK], 2, False, 1)["stock"]
    assert cell.failure == failure
    assert cell.runs == []
    assert cell.median("wall") is None


def test_program_without_end_is_no_number(bench):
    bench.timeout = 1
    cell = bench.series(shell_row("sleep 300"), [measure.STOCK], 2, False, 1)["stock"]
    assert cell.failure == "no end after 1 s"
    assert cell.runs == []


def test_another_answer_is_a_failure(bench):
    row = shell_row('echo "${LD_PRELOAD:-none}"')
    cells = bench.series(row, [measure.STOCK, measure.PEERS[0]], 1, False, 1)
    assert cells["stock"].failure is None
    assert cells["glibc"].failure == "printed another answer"


def test_peak_is_the_programs_own(bench):
    """A small program's peak is not the harness's, and a large one's is seen."""
    small, _ = bench.run_once(measure.STOCK, ["/bin/true"])
    large, _ = bench.run_once(measure.STOCK, [PYTHON, "-c", "x = b'x' * 100_000_000"])
    assert small.peak < 4
    assert 95 < large.peak < 130


def cell_of(*walls):
    cell = measure.Cell()
    cell.runs = [measure.Run(wall, wall, 0, 1024 * wall) for wall in walls]
    return cell


def test_report_figures():
    first, second = (rows.Row("c", name, "cc", None) for name in ("first", "second"))
    failed = measure.Cell()
    failed.failure = "SIGSEGV"
    results = [
        (first, {"cairn": cell_of(1, 2, 4), "peer": cell_of(1, 1, 1), "other": failed}),
        (second, {"cairn": cell_of(1, 1, 1), "peer": cell_of(8, 8, 8), "other": cell_of(3, 3, 3)}),
    ]
    mean, count = report.geometric_mean(results, "peer", "cairn", "wall")
    assert (mean, count) == (pytest.approx(math.sqrt(0.5 * 8)), 2)
    assert report.geometric_mean(results, "other", "cairn", "wall") == (pytest.approx(3), 1)
    lines = report.group_report("Group", results, ["cairn", "peer", "other"], "cairn", "cairn")
    wall = tables("\n".join(lines))["Group: Wall time, s"]
    assert [cell.split() for cell in wall["first"]] == [
        ["2.000", "±", "75%", "1.00"], ["1.000*", "±", "0%", "0.50"], ["failed"]
    ]
    assert wall["geometric mean of ratios"] == ["1.000", "2.000", "3.000 (1 of 2)"]
    text = "\n".join(lines)
    assert "- c/first under other: SIGSEGV" in text
    assert "- wall time, Cairn / peer above 1.10: first 2.00" in text
    assert "- peak memory, Cairn / peer above 1.20: first 2.00" in text
