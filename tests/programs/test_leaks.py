# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_leaks.py: `cairn run --leaks`: what it counts, where it says the blocks came from, that a clean program is told
so, that every byte went back, and that the program does not feel the check."""

import json
import re

import pytest

from conftest import BUILD, CAIRN, REPOSITORY, Outcome, clean_environment, execute

PYTHON = "/usr/bin/python3"

# What each way of leaking.c leaves: block sizes asked for, by the function that asked, and the exit status.
LEFT = {
    "none": ({}, 7),
    "small": ({"leak_small": [1000, 1000, 1000, 24]}, 7),
    "large": ({"leak_large": [100000, 6000000]}, 7),
    "resized": ({"leak_resized": [700, 97, 9000000, 512]}, 7),
    "threads": ({"leak_small": [333] * 4}, 7),
    "waiting": ({"leak_small": [333] * 3}, 7),
    "fork": ({"leak_small": [55]}, 7),
    "exec": ({"leak_small": [1000, 1000, 1000, 24]}, 7),
    "_exit": ({"leak_small": [77]}, 7),
    "quick_exit": ({"leak_small": [88]}, 7),
}


@pytest.fixture
def leaking(build):
    return build("leaking.c", "-rdynamic")


@pytest.fixture
def run(tmp_path):
    def call(words, *command, **how) -> Outcome:
        option = f"--leaks={words}" if words else "--leaks"
        return execute([CAIRN, "run", option, "--", *command], clean_environment() | how.pop("env", {}), tmp_path,
                       **how)

    return call


def document(outcome):
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    return json.loads(lines[0])


def heap_of(report, name):
    return next(heap for heap in report["heaps"] if heap["name"] == name)


def everything_went_back(report):
    proof = report["released"]
    assert proof["mapped_bytes"] == proof["returned_bytes"] > 0
    return proof


@pytest.mark.parametrize("way", LEFT)
def test_exact_blocks_bytes_and_call_sites(run, leaking, way):
    left, status = LEFT[way]
    outcome = run("json", leaking, way)
    assert outcome.code == status
    report = document(outcome)
    heap = heap_of(report, "default")
    sizes = sum(left.values(), [])
    assert (heap["blocks"], heap["asked"]) == (report["leaked_blocks"], heap["asked"]) == (len(sizes), sum(sizes))
    assert heap["bytes"] == report["leaked_bytes"] == sum(row["bytes"] for row in heap["classes"]) >= sum(sizes)
    assert heap["blocks"] == sum(row["blocks"] for row in heap["classes"])
    found = {}
    for site in heap["sites"]:
        innermost = site["frames"][0]
        assert innermost["module"].endswith("leaking") and innermost["offset"] > 0
        blocks, asked = found.get(innermost["symbol"], (0, 0))
        found[innermost["symbol"]] = (blocks + site["blocks"], asked + site["asked"])
    assert found == {name: (len(of), sum(of)) for name, of in left.items()}


@pytest.mark.parametrize("way", [way for way in LEFT if way != "threads"])
def test_what_stays_mapped_is_named(run, leaking, way):
    proof = everything_went_back(document(run("json", leaking, way)))
    assert proof["kept_bytes"] == proof["page_map_bytes"] + proof["call_site_bytes"]


def test_text(run, leaking):
    outcome = run("", leaking, "small")
    assert (outcome.code, outcome.out) == (7, "small\n")
    lines = outcome.err.splitlines()
    assert re.fullmatch(r"cairn: 4 blocks, \d+ bytes, still allocated at the end of leaking \(process \d+\)", lines[0])
    assert any(re.fullmatch(r"    (class of \d+ bytes|outside the pools): \d+ blocks?, \d+ bytes", line)
               for line in lines)
    assert any(re.fullmatch(r"      leak_small \(.*leaking\+0x[0-9a-f]+\)", line) for line in lines)
    assert re.search(r"all \d+ bytes went back to the system", lines[-1])


def test_clean_program(run, leaking):
    outcome = run("fail", leaking, "none")
    assert outcome.code == 7
    assert re.match(r"cairn: no leaks: nothing is allocated at the end of leaking ", outcome.err)
    assert len(outcome.err.splitlines()) == 2


@pytest.mark.parametrize("way", ["small", "waiting", "fork", "exec", "_exit", "quick_exit"])
def test_fail(run, leaking, way):
    outcome = run("fail", leaking, way)
    assert (outcome.code, "still allocated" in outcome.err) == (99, True)
    assert outcome.out.endswith(("small" if way == "exec" else way) + "\n")


def test_abort_reports_nothing(run, leaking):
    outcome = run("fail", leaking, "abort")
    assert (outcome.code, outcome.err) == (-6, "")


def test_a_closed_stderr_is_nobody_to_tell(run, leaking):
    """The program gave the numbers of all descriptors away: no word may go into its files."""
    outcome = run("fail", leaking, "closed")
    assert (outcome.code, outcome.out, outcome.err) == (7, "closed\n", "")


def test_input_is_left_where_the_program_left_it(tmp_path, leaking):
    """The copy must not move the offset that it shares with the process: exit() puts it behind the line read."""
    (tmp_path / "lines").write_text("first\nsecond\nthird\n")
    command = f"({CAIRN} run --leaks -- {leaking} input; cat) < lines"
    outcome = execute(["sh", "-c", command], clean_environment(), tmp_path)
    assert outcome.out == "input\nsecond\nthird\n"
    assert "no leaks" in outcome.err


def test_output_comes_once(run, leaking):
    """What stdio holds back at the end is not flushed by the copy too."""
    assert run("", leaking, "none").out == "none\n"


def test_children_do_not_report(run, leaking):
    outcome = run("json", "sh", "-c", f"{leaking} small; exit 0")
    assert outcome.code == 0
    assert "leak_small" not in outcome.err


def test_with_statistics(tmp_path, leaking):
    outcome = execute([CAIRN, "run", "--stats=json", "--leaks=json", "--", leaking, "small"],
                      clean_environment(), tmp_path)
    statistics, leaks = map(json.loads, outcome.err.splitlines())
    assert statistics["heaps"][0]["live_blocks"] >= leaks["leaked_blocks"] == 4


def test_heaps_without_number(run, build):
    """Every heap of the process is in the report and is released."""
    program = build("many_heaps.c", f"-I{REPOSITORY}/include", f"-L{BUILD}", "-lcairn", f"-Wl,-rpath,{BUILD}")
    outcome = run("json", program, "700")
    assert outcome.code == 7
    report = document(outcome)
    names = [heap["name"] for heap in report["heaps"]]
    assert names[0] == "default" and set(names) >= {f"heap {i}" for i in range(700)}
    holding = [heap["name"] for heap in report["heaps"] if heap["blocks"]]
    assert sorted(holding) == ["heap 697", "heap 698", "heap 699"]
    assert report["leaked_blocks"] == 3
    proof = everything_went_back(report)
    threads = proof["kept_bytes"] - proof["page_map_bytes"] - proof["call_site_bytes"]
    assert threads <= 700 * 64, "more than the thread's own table of heaps"


@pytest.mark.parametrize("words", ["json,fail", "json,all,fail"])
def test_python(run, words):
    """Objects outlive the interpreter: they are shown, and where from if that is asked for, and are no leak."""
    outcome = run(words, PYTHON, "-c", "import json; print(len(json.dumps(list(range(1000)))))")
    assert (outcome.code, outcome.out) == (0, "4890\n")
    report = document(outcome)
    python = heap_of(report, "python")
    assert report["leaked_blocks"] == 0
    assert python["blocks"] > 100 and python["bytes"] > 10000
    assert (python["sites"] is None) == ("all" not in words)
    if python["sites"]:
        assert sum(site["blocks"] for site in python["sites"]) == python["blocks"]
        asked = [site["asked"] for site in python["sites"]]
        assert len(asked) > 50 and asked == sorted(asked, reverse=True), "those that hold most come first"
    everything_went_back(report)


def test_a_leaking_extension_of_python_is_seen(run):
    code = "import ctypes; ctypes.CDLL(None).malloc(54321)"
    outcome = run("json,fail", PYTHON, "-c", code)
    assert outcome.code == 99
    report = document(outcome)
    assert 54321 in [site["asked"] for site in heap_of(report, "default")["sites"]]


@pytest.mark.parametrize("value", ["2", "fail;all", "json,,fail", "leaks"])
def test_a_bad_word_is_refused(run, tmp_path, value):
    outcome = run(value, "true")
    assert outcome.code == 125 and re.fullmatch(r"cairn: --leaks: [^\n]+\n", outcome.err)
    by_hand = execute([CAIRN, "run", "--", "true"], clean_environment() | {"CAIRN_LEAKS": value}, tmp_path)
    assert by_hand.code == 0 and by_hand.err.startswith(f"cairn: CAIRN_LEAKS={value} is ignored")


# ---- the file, and the callers that are shown ----

@pytest.fixture
def leaks(tmp_path):
    """leaks(option..., "--", command...): `cairn run` in the test's folder."""
    return lambda *words, **how: execute([CAIRN, "run", *words], clean_environment() | how.pop("env", {}), tmp_path,
                                         **how)


def test_a_file_for_people(leaks, leaking, tmp_path):
    """It implies the report, goes where the path was meant from, and what the file held goes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report").write_text("x" * 100000)
    outcome = leaks("--leaks-file=out/report", "--", "sh", "-c", f"cd /; exec {leaking} small")
    assert (outcome.code, outcome.out, outcome.err) == (7, "small\n", "")
    lines = (tmp_path / "out/report").read_text().splitlines()
    assert re.match(r"cairn: 4 blocks, \d+ bytes, still allocated at the end of leaking ", lines[0])
    assert "went back to the system" in lines[-1] and not any("x" * 10 in line for line in lines)


def test_a_file_for_programs_with_the_process_id(leaks, leaking, tmp_path):
    outcome = leaks("--leaks=json,fail", "--leaks-file", tmp_path / "leaks-%p-%p.json", "--", leaking, "small")
    assert (outcome.code, outcome.err) == (99, "")
    [file] = tmp_path.glob("leaks-*")
    report = json.loads(file.read_text())
    assert file.name == f"leaks-{report['pid']}-{report['pid']}.json"
    assert (report["program"], report["leaked_blocks"]) == ("leaking", 4)
    everything_went_back(report)


def test_a_file_by_hand(leaks, tmp_path):
    """A relative path is meant from where the program begins, wherever it ends."""
    outcome = leaks("--", PYTHON, "-c", "import os; os.chdir('/')", env={"CAIRN_LEAKS": "json",
                                                                         "CAIRN_LEAKS_FILE": "report"})
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads((tmp_path / "report").read_text())["program"] == "python3 -c"


@pytest.mark.parametrize("way", ["_exit", "quick_exit", "closed", "threads", "none"])
def test_a_file_however_it_ends(leaks, leaking, tmp_path, way):
    """Also when the program has closed stderr."""
    outcome = leaks("--leaks=json", "--leaks-file=report", "--", leaking, way)
    assert (outcome.code, outcome.err) == (7, "")
    expected = {"none": 0, "threads": 4}.get(way, 1)
    assert json.loads((tmp_path / "report").read_text())["leaked_blocks"] == expected


def test_one_file_for_statistics_and_leaks(leaks, leaking, tmp_path):
    """The leaks follow; neither overwrites the other, nor does an earlier run show."""
    for _ in range(2):
        outcome = leaks("--stats=json", "--leaks=json", "--stats-file=both", "--leaks-file=both", "--", leaking, "small")
        assert (outcome.code, outcome.err) == (7, "")
        statistics, report = map(json.loads, (tmp_path / "both").read_text().splitlines())
        assert statistics["pid"] == report["pid"] and report["leaked_blocks"] == 4


def test_a_file_that_cannot_be_written(leaks, leaking):
    """Said before the program runs, where that can be known; else the report is not lost."""
    outcome = leaks("--leaks-file=/nowhere/x", "--", leaking, "small")
    assert (outcome.code, outcome.out) == (125, "") and "--leaks-file: no folder '/nowhere'" in outcome.err
    by_hand = leaks("--", leaking, "small", env={"CAIRN_LEAKS": "fail", "CAIRN_LEAKS_FILE": "/nowhere/x"})
    lines = by_hand.err.splitlines()
    assert by_hand.code == 99
    assert re.fullmatch(r"cairn: cannot write the leak report to '/nowhere/x': No such file .*; here it is", lines[0])
    assert lines[1].startswith("cairn: 4 blocks") and "went back" in lines[-1]
    full = leaks("--leaks-file=/dev/full", "--", leaking, "small")
    assert (full.code, full.out) == (7, "small\n")
    assert full.err == ("cairn: cannot write all of the leak report to '/dev/full': No space left on device "
                        "(see CAIRN_LEAKS_FILE)\n")


@pytest.mark.parametrize("frames, most", [(1, 1), (3, 3), (64, 5)])
def test_frames(leaks, leaking, frames, most):
    """So many callers and no more; chains that agree in what is kept are one site."""
    outcome = leaks("--leaks=json", f"--leaks-frames={frames}", "--", leaking, "small")
    sites = heap_of(document(outcome), "default")["sites"]
    assert {site["frames"][0]["symbol"] for site in sites} == {"leak_small"}
    assert max(len(site["frames"]) for site in sites) >= most and all(len(site["frames"]) <= frames for site in sites)
    assert sum(site["blocks"] for site in sites) == 4
    assert len(sites) == (1 if frames == 1 else 4)


def test_deep_chains(leaks):
    """Eight callers unless more are asked for, and then as many as there are."""
    code = "import json, decimal, argparse"
    lengths = {}
    for frames in (8, 64):
        option = [] if frames == 8 else [f"--leaks-frames={frames}"]
        outcome = leaks("--leaks=json,all", *option, "--", PYTHON, "-c", code)
        lengths[frames] = [len(site["frames"]) for site in heap_of(document(outcome), "python")["sites"]]
    assert max(lengths[8]) == 8 and 20 < max(lengths[64]) <= 64


@pytest.mark.parametrize("value", ["0", "65", "-1", "many", "8 ", ""])
def test_a_bad_number_of_frames_is_refused(leaks, value):
    outcome = leaks(f"--leaks-frames={value}", "--", "true")
    assert outcome.code == 125 and re.fullmatch(r"cairn: --leaks-frames: [^\n]+ from 1 to 64\n", outcome.err)
    by_hand = leaks("--", "true", env={"CAIRN_LEAKS_FRAMES": value})
    assert by_hand.code == 0
    wanted = f"cairn: CAIRN_LEAKS_FRAMES={value} is ignored: it must be a number from 1 to 64 (see cairn run --help)\n"
    assert by_hand.err == (wanted if value else "")
