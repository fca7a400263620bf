# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The benchmark harness: every program runs on Cairn with its answer, tables add up, failures show. No times."""

import math
import re
import subprocess
import sys
import time

import pytest
from conftest import BUILD, CAIRN, REPOSITORY, require

BENCH = REPOSITORY / "bench"
PYTHON = "/usr/bin/python3"
TINY = "0.2"
STRICT = ["-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Wconversion", "-Wmissing-prototypes", "-Werror"]

sys.path.insert(0, str(BENCH))
import churn  # noqa: E402
import instructions  # noqa: E402
import measure  # noqa: E402
import memory  # noqa: E402
import mixes  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402

MIXES = sorted(path.stem for path in (BENCH / "mixes").glob("*.mix"))
C_PROGRAMS = sorted(path.stem for path in (BENCH / "programs").glob("*.c"))
PYTHON_PROGRAMS = sorted(path.name for path in (BENCH / "python").glob("*.py") if path.name != "bench_common.py")


def harness(programs, *options):
    return programs.stock([PYTHON, BENCH / "run.py", "--build", BUILD, *options])


def tables(text):
    """The pipe tables of a report by their section's title: {title: {row: [cells]}}."""
    found, title = {}, None
    for line in text.splitlines():
        if line.startswith("### "):
            title = line[4:]
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


@pytest.fixture(scope="session")
def mix_binary(tmp_path_factory):
    binary = tmp_path_factory.mktemp("mix") / "mix"
    source = BENCH / "mix.c"
    subprocess.run(["gcc", "-O2", "-std=gnu17", "-pthread", *STRICT, "-o", binary, source], check=True)
    return binary


@pytest.mark.parametrize("name", MIXES)
def test_mix_answers_the_same_on_cairn(programs, mix_binary, name):
    command = [mix_binary, BENCH / "mixes" / f"{name}.mix", TINY]
    stock, cairn = programs.stock(command), programs.counted(command)
    assert (stock.code, cairn.code) == (0, 0), cairn.err
    assert re.fullmatch(rf"mix-{name} [0-9a-f]{{16}}\n", stock.out)
    assert cairn.out == stock.out
    assert cairn.requests() > 3000


RECORDED = """#include <stdlib.h>
int main(void)
{
    void *kept[100], *queue[8] = {0};
    for (int i = 0; i < 100; i++)
        kept[i] = calloc(1, 40);
    for (int i = 0; i < 8000; i++) {
        free(queue[i % 8]);
        queue[i % 8] = malloc(i % 2 ? 24 : 3000);
        if (i % 10 == 0)
            queue[i % 8] = realloc(queue[i % 8], 5000);
    }
    for (int i = 0; i < 100; i++)
        free(kept[i]);
    return 0;
}
"""


def test_mix_is_what_the_recording_holds(programs, mix_binary, tmp_path):
    """Sizes, lifetimes, batches and resizes of a program that is known, and requests drawn from them."""
    (tmp_path / "recorded.c").write_text(RECORDED)
    subprocess.run(["gcc", "-O0", "-o", tmp_path / "recorded", tmp_path / "recorded.c"], check=True)
    done = programs.stock([CAIRN, "record", "--quiet", "-o", tmp_path / "rec", tmp_path / "recorded"])
    assert done.code == 0, done.err
    lines, allocations = mixes.reduce(tmp_path / "rec", "mix-known", 100000)
    assert 8100 <= allocations < 8110  # a few by the start of the process
    sizes = {line.split()[1]: list(map(int, line.split()[3:])) for line in lines if line.startswith("size ")}
    assert sizes["24"][:2] == [4000, 0] and sizes["3000"][:2] == [4000, 0]
    assert sizes["24"][2 + 3] == 3996  # seven allocations came between: below 2^3; the last four were never freed
    assert sizes["40"][:2] == [100, 100] and sizes["40"][-1] == 100
    assert [line for line in lines if line.startswith("batches ")] == [f"batches 0 {8000 - 8}"]
    pairs = [line.split() for line in lines if line.startswith("resize ")]
    assert [pair[3] for pair in pairs] == ["800"]
    mixes.write_mix(tmp_path / "known.mix", "of a test", lines)
    outcome = programs.counted([mix_binary, tmp_path / "known.mix"])
    assert outcome.out.startswith("mix-known "), outcome.err
    classes = {row["block_size"]: row for heap in outcome.statistics[0]["heaps"] for row in heap["classes"]}
    assert 0.45 < classes[32]["requests"] / 100000 < 0.55


def test_mix_refuses_what_is_no_distribution(programs, mix_binary, tmp_path):
    (tmp_path / "bad.mix").write_text("name bad\nround 100\nsize 9 8 1 0 1 1\n")
    for file, message in (("bad.mix", "a size line that cannot be"), ("none.mix", "cannot be read")):
        outcome = programs.stock([mix_binary, tmp_path / file])
        assert outcome.code == 2
        assert message in outcome.err


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
    text = "# Old\n\n<!-- bench python: begin -->\nold\n<!-- bench python: end -->\n\nWords.\n"
    markdown.write_text(text)
    outcome = harness(
        programs, "--quick", "--only", "lifo,vector-objects", "--allocators", "cairn,glibc",
        "--rest", "150", "--markdown", markdown,
    )
    assert outcome.code == 0, outcome.err
    python_at = outcome.out.index("## Python\n")
    written = text.replace("\nold\n", "\n" + outcome.out[python_at:])
    native = outcome.out[:python_at]
    assert markdown.read_text() == f"{written}\n<!-- bench: begin -->\n{native}<!-- bench: end -->\n"
    assert "- glibc: libc.so.6, libc6 2." in native
    assert re.search(r"^bench: 2 rows: about \d+ min$", outcome.err, re.M)
    assert "c/lifo (1 of 1)" in outcome.err
    found = tables(outcome.out)
    wall = found["C, mixes and programs: Wall time, s"]
    assert wall["row"] == ["cairn", "glibc"]
    assert set(wall) == {"row", "lifo", "geometric mean of ratios"}
    (cairn, _, _, one), (glibc, _, _, share) = (cell.replace("*", " ").split() for cell in wall["lifo"])
    assert float(one) == 1.0
    assert float(share) == pytest.approx(float(glibc) / float(cairn), rel=0.2)
    assert sum(cell.count("*") for cell in wall["lifo"]) >= 1
    overview = found["C, mixes and programs: overview"]["lifo"]
    assert overview[0] == cairn
    assert float(overview[2]) == pytest.approx(float(share), abs=0.011)
    peak, final = (float(overview[at]) for at in (4, 6))
    assert 0.5 < final <= peak < 50
    assert found["Python: Peak resident memory, MiB"]["row"] == ["stock", "cairn"]
    assert found["Python: geometric means over 1 rows"]["stock"][0] == "1.000"
    assert found["Python: aims"]["programs"] == [">= 20", "1", "NO"]


def test_real_program_row(programs):
    require("lua5.4")
    outcome = harness(programs, "--quick", "--only", "programs/lua", "--allocators", "cairn,glibc")
    assert outcome.code == 0, outcome.err
    assert "failed" not in outcome.out
    found = tables(outcome.out)
    assert "lua" in found["C, mixes and programs: Peak resident memory, MiB"]
    assert found["C, mixes and programs: overview"]["lua"][-2:] == ["-", "-"]  # it does not say when it is done


def test_list_names_every_row(programs):
    titles = harness(programs, "--list").out.split()
    assert {f"c/{name}" for name in C_PROGRAMS} | {f"mixes/mix-{name}" for name in MIXES} <= set(titles)
    assert len([title for title in titles if title.startswith("python/")]) == len(PYTHON_PROGRAMS) >= 20
    assert {"programs/lua", "programs/sqlite", "programs/gcc", "programs/perl", "programs/redis"} <= set(titles)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--build", "/nonexistent", "--only", "lifo"], "/nonexistent/cairn does not exist: run make first"),
        (["--only", "nothing"], "--only nothing matches no row"),
        (["--allocators", "dlmalloc"], "unknown allocator dlmalloc"),
        (["--runs", "0"], "--runs must be at least 1"),
        (["--rest", "-1"], "--rest must not be negative"),
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


KEEPING = """
import bench_common, ctypes, sys
memory = ctypes.create_string_buffer(b"x" * 60_000_000)
if sys.argv[1] == "drop":
    del memory
bench_common.done("keeping", 1)
"""


def test_final_is_what_stays_after_the_work(bench):
    """What the program holds at its mark is seen, what it dropped is not; the rest is no part of the wall time."""
    command = ["env", f"PYTHONPATH={BENCH / 'python'}", PYTHON, "-c", KEEPING]
    dropped, _ = bench.run_once(measure.STOCK, [*command, "drop"], rest_ms=100)
    start = time.monotonic()
    kept, _ = bench.run_once(measure.STOCK, [*command, "keep"], rest_ms=1000)
    elapsed = time.monotonic() - start
    assert dropped.peak > 60 and kept.peak > 60
    assert dropped.final < 30
    assert 60 < kept.final <= kept.peak
    assert 0 < kept.wall <= elapsed - 1
    assert bench.run_once(measure.STOCK, [*command, "keep"])[0].final is None
    assert bench.run_once(measure.STOCK, ["/bin/true"], rest_ms=100)[0].final is None


def cell_of(*walls):
    cell = measure.Cell()
    cell.runs = [measure.Run(wall, wall, 0, 1024 * wall, 512 * wall) for wall in walls]
    return cell


def test_report_figures():
    first, second = (rows.Row("c", name, "cc", None) for name in ("first", "second"))
    failed = measure.Cell()
    failed.failure = "SIGSEGV"
    results = [
        (first, {"cairn": cell_of(1, 2, 4), "peer": cell_of(1, 1, 1), "other": failed}),
        (second, {"cairn": cell_of(1, 1, 1), "peer": cell_of(8, 8, 8), "other": cell_of(3, 3, 3)}),
    ]
    slow_turn = report.ratio(cell_of(1, 20, 3), cell_of(2, 10, 3), "wall")  # in turns: 0.5, 2, 1
    assert slow_turn == pytest.approx(1)
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
    found = tables(text)
    overview = found["Group: overview"]
    assert overview["first"] == [
        "2.000", "±75%", "0.50", "-", "2.00 peer", "2.0", "2.00 peer", "1.0", "2.00 peer"
    ]
    assert overview["second"][2:5] == ["8.00", "3.00", "0.33 other"]
    assert found["Group: aims"] == {
        "aim": ["bound", "found", "reached"],
        "time, peer / cairn, mean of 2 rows": [">= 1.00", "2.000", "yes"],
        "time, other / cairn, mean of 1 rows": [">= 1.00", "3.000", "yes"],
        "time, cairn / best peer, worst row": ["<= 1.10", "2.00 (first, peer); 1 of 2 rows above", "NO"],
        "peak memory, cairn / peer (the leanest), mean": ["<= 1.10", "0.500", "yes"],
    }
    means = found["Group: geometric means over 2 rows"]
    assert means["cairn"][4] == f"{math.sqrt(2 * 1):.3f} (2.00)"
    assert means["peer"][4] == f"{math.sqrt(1 * 8):.3f} (8.00)"
    assert "- c/first under other: SIGSEGV" in text
    assert "- wall time, Cairn / peer above 1.10: first 2.00" in text
    assert "- peak memory, Cairn / peer above 1.20: first 2.00" in text


CALLGRIND = """
fn=measured_malloc_48
0 3
cob=/libc.so.6
cfn=malloc
calls=10 3281
0 200
0 40
cfn=free
calls=10 3282
0 150

fn=malloc
0 200
cfn=elsewhere
calls=10 1
0 7

fn=measured_malloc_48'2
cfn=malloc
calls=1 1
0 5
"""


def test_what_a_kind_calls_is_its_cost(tmp_path):
    path = tmp_path / "callgrind.out"
    path.write_text(CALLGRIND)
    assert instructions.inclusive(path) == {"malloc_48": 355}


def test_instructions_keep_a_row_for_each_version(programs, tmp_path):
    require("valgrind")
    markdown = tmp_path / "benchmarks.md"
    old = instructions.table({"cairn 0.0.9": {"malloc 48": "123.0"}, "other": {"malloc 48": "55.5", "gone": "1"}})
    markdown.write_text(f"Before.\n{instructions.BEGIN}\n" + "\n".join(old) + f"\n{instructions.END}\nAfter.\n")
    command = [PYTHON, BENCH / "instructions.py", "--build", BUILD, "--only", "cairn", "--count", "2000"]
    outcome = programs.stock([*command, "--label", "other", "--markdown", markdown])
    assert outcome.code == 0, outcome.err
    text = markdown.read_text()
    assert text.startswith("Before.\n") and text.endswith("After.\n")
    found = instructions.old_rows(report.between_marks(markdown, instructions.BEGIN, instructions.END))
    assert list(found) == ["cairn 0.0.9", "other"]
    assert found["cairn 0.0.9"]["malloc 48"] == "123.0"
    assert set(found["other"]) == {title for _, title in instructions.KINDS}
    assert all(5 < float(figure) < 5000 for figure in found["other"].values())
    again = instructions.native(str(BUILD / "bench" / "instructions"), str(BUILD), measure.CAIRN, 2000)
    assert len(again) >= 10
    assert {kind: f"{figure:.1f}" for kind, figure in again.items()} == {
        kind: found["other"][title] for kind, title in instructions.KINDS if kind in again
    }


def test_churn_is_judged_by_its_line():
    result = churn.Result("cairn", 120, 30)
    result.rest["warm"] = result.rest["settled"] = (50.0, 9, 3, 4, 1, 0)
    result.samples = [(second, 10.0 + second) for second in range(60)]  # the warm-up does not count
    result.samples += [(second, 100 + 0.01 * second + (second % 2) * 3) for second in range(60, 120)]
    percent, mib = result.growth()
    assert 0.4 < mib < 1.4 and 0.3 < percent < 1.3
    assert result.flat()
    result.samples = [(second, 100 + 0.1 * second) for second in range(120)]
    assert result.growth() == (pytest.approx(100 * 5.9 / 106), pytest.approx(5.9))
    assert not result.flat()
    result.samples = [(second, 150 - second if second < 90 else 60 + 0.2 * (second - 90)) for second in range(120)]
    assert result.growth()[1] < 0
    assert not result.flat()  # it fell, and rises again
    flat = [(second, 100.0 + (second % 7)) for second in range(120)]
    result.samples = flat
    assert result.flat()
    result.rest["settled"] = (52.0, 9, 3, 4, 1, 0)  # 4%: what the samples do not prove is seen at rest
    assert not result.flat()
    result.rest["settled"] = (51.4, 9, 3, 4, 1, 0)
    assert result.flat()
    swings = [(second, 100 + 10 * ((second // 4) % 2) + 0.07 * second) for second in range(120)]
    result.samples = swings  # a rise by 4 MiB, half of which chance may have made
    assert result.growth()[0] > churn.FLAT_PERCENT and churn.uncertainty(result.judged()) > 2
    assert result.flat()
    result.rest["trimmed"] = (5.0, 9, 3, 4, 1, 0)
    assert result.stranded() == 6
    result.rest["trimmed"] = (5.0, 40, 50, 4000, 1, 0)  # pools whose blocks are lost keep arenas too
    assert result.stranded() == 34


def test_churn_counts_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(churn, "SETTLE", 0.5)
    binary = rows.build_binary(str(tmp_path), str(BENCH / "churn.c"), [f"-I{churn.INCLUDE}", "-ldl"])
    result = churn.Result("cairn", 1.5, 0)
    churn.Churn(str(CAIRN), binary, measure.CAIRN, 8, result).play()
    assert result.steps > 10000
    assert result.samples[0][1] > 1
    _, arenas, pools, blocks, owners, remote = result.rest["churned"]
    assert arenas > 0 and pools > 0 and owners >= 8 and remote > 1000
    assert blocks > 8 * churn_constant("LIVE") * 0.3
    assert result.rest["trimmed"][0] < result.rest["churned"][0]
    assert result.stranded() == 0
    assert result.rest["trimmed"][3] < 100  # blocks
    assert len(result.cells()) == len(churn.HEADER)


def test_churn_sees_a_leak(tmp_path, monkeypatch):
    """As much as 5 MiB in ten minutes would be for the whole run, in two seconds."""
    monkeypatch.setattr(churn, "SETTLE", 0.1)
    binary = rows.build_binary(str(tmp_path), str(BENCH / "churn.c"), [f"-I{churn.INCLUDE}", "-ldl"])
    result = churn.Result("cairn", 3, 1)
    churn.Churn(str(CAIRN), binary, measure.CAIRN, 8, result, lost=2560).play()
    first, last = result.settled()
    assert 4 < last - first < 8
    assert not result.flat()


def churn_constant(name):
    return int(re.search(rf"#define {name} (\d+)", (BENCH / "churn.c").read_text())[1])


def test_purging_cases(programs):
    """Each case runs, on Cairn only, and the delay of the other side is one that never passes."""
    command = [PYTHON, BENCH / "purging.py", "--build", BUILD, "--runs", "1", "--scale", "10"]
    outcome = programs.stock(command)
    assert outcome.code == 0, outcome.err
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in outcome.out.splitlines() if "|" in line]
    found = {line[0]: line[1:] for line in lines}
    assert set(found) > {"small", "medium", "large", "mapping", "waves"}
    assert all(float(found[name][0]) > 0 and int(found[name][4]) > 50 for name in ("small", "large", "waves"))
    binary = BUILD / "bench" / "purging"
    never = programs.counted([binary, "waves", "10"], options={"purge_delay": 1000000})
    assert sum(heap["purged_bytes"] for heap in never.statistics[0]["heaps"]) == 0
    refused = programs.stock([binary, "small", "1"])
    assert refused.code == 1 and "not on Cairn" in refused.err


def test_memory_after_the_work_is_judged():
    results = {}
    for name, after, cpu in (("stock", 448, 1.0), ("cairn", 190, 1.02)):
        results[name, "sparse"] = sparse = memory.Result()
        results[name, "waves"] = waves = memory.Result()
        sparse.moments = [[455, after], [455, after + 20], [450, after]]
        waves.moments = [[223, 61, 12]] * 3
        sparse.time = [2, 3, 4 * cpu]  # over stock's: 1, 1, 1.02
        waves.time = [cpu, 3, 3 * cpu * cpu]
        sparse.cpu = [cpu, cpu, 5]
        waves.cpu = [cpu, 2 * cpu * cpu, 3 * cpu * cpu]  # over stock's 1, 2, 3
    assert memory.line("cairn", results) == [
        "cairn", "455 (450 to 455)", "190 (190 to 210)", "3.00 1.00", "1.02 1.02",
        "223", "61", "12", "3.00 1.02", "2.08 1.04",
    ]
    assert [line.rsplit(" ", 1)[1] for line in memory.asked(results)] == [
        "reached", "reached", "MISSED", "reached", "reached"
    ]


def test_memory_programs_run_on_each_manager(programs):
    outcome = programs.stock([
        PYTHON, BENCH / "memory.py", "--build", BUILD, "--runs", "1", "--scale", "2", "--allocators", "glibc",
    ])
    assert outcome.code == 0, outcome.err
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in outcome.out.splitlines() if line[:1] == "|"]
    found = {line[0]: line[1:] for line in lines[2:]}
    assert set(found) == {"stock", "cairn", "glibc"}
    for cells in found.values():
        assert 10 < int(cells[0]) < 60 and 8 < int(cells[1]) <= int(cells[0]) + 2
        assert float(cells[2].split()[0]) > 0
    assert outcome.out.count("\n- ") == 5
