# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_malloc_surface.py: the malloc surface of the preload, from outside: the C calls and C++ operators (programs in
src/ that check themselves), statistics at every way a program can end, the CAIRN_* variables, and children."""

import json
import re
import signal
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import POLICY, PRELOAD, cairn_environment, execute

GROUPS = ["symbols", "zero", "alignment", "calloc", "limits", "errno", "realloc", "aligned", "pages", "sized",
          "figures", "trim", "libc", "threads"]
GEOMETRIES = ["default", "cpython", "classic"]


# ---- C ----

@pytest.mark.parametrize("group", GROUPS)
def test_c_surface(build, programs, group):
    outcome = programs.cairn([build("malloc_surface.c"), group], options={"purge_delay": 3600000})
    assert (outcome.code, outcome.err) == (0, ""), outcome.out
    assert outcome.out == ("freed after main\n" if group == "threads" else "")


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("group", ["alignment", "aligned", "realloc", "calloc"])
def test_c_surface_in_every_geometry(build, programs, group, geometry):
    outcome = programs.cairn([build("malloc_surface.c"), group], options={"geometry": geometry, "stats": "json",
                                                                          "stats_file": "statistics.json"})
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_the_checks_can_fail(build, programs):
    outcome = programs.stock([build("malloc_surface.c"), "symbols"])
    assert outcome.code == 1
    assert "malloc is from" in outcome.out


def test_malloc_info_is_xml_with_cairns_figures(build, programs):
    outcome = programs.cairn([build("malloc_surface.c"), "info"])
    assert outcome.code == 0
    root = ElementTree.fromstring(outcome.out)
    assert (root.tag, root.get("version")) == ("malloc", "1")
    heap = root.find("heap[@name='default']")
    free_48 = [size for size in heap.iter("size") if int(size.get("from")) <= 48 <= int(size.get("to"))]
    assert sum(int(size.get("count")) for size in free_48) >= 500 or POLICY.get("pools") == "off"
    assert all(int(size.get("total")) == int(size.get("count")) * int(size.get("to")) for size in heap.iter("size"))
    for where in (heap, root):
        mapped = where.find("total[@type='mmap']")
        assert int(mapped.get("count")) == 1
        assert int(mapped.get("size")) >= 64 << 20
        assert int(where.find("system[@type='max']").get("size")) >= int(
            where.find("system[@type='current']").get("size")) > 0
    assert "default" in outcome.err  # malloc_stats


# ---- C++ ----

def test_cxx_operators(build, programs):
    outcome = programs.cairn([build("cxx_new.cpp")])
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_a_new_handler_makes_room_under_a_limit(build, programs):
    outcome = programs.cairn([build("cxx_new.cpp"), "room"], options={"limit": "64M"})
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize("arguments, expected", [([], "bad_alloc\n"), (["nothrow"], "null\n")])
def test_a_runtime_that_comes_late(build, programs, arguments, expected):
    module = build("cxx_new.cpp", "-shared", "-fPIC", "-DMODULE", output="cxx_module.so")
    outcome = programs.cairn([build("cxx_late.c"), module, *arguments])
    assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")


def test_no_runtime_to_throw_with(build, programs):
    outcome = programs.cairn([build("cxx_late.c")])
    assert (outcome.code, outcome.out) == (-signal.SIGABRT, "")
    assert re.fullmatch(r"cairn: operator new: no memory for \d+ bytes, and no C\+\+ runtime to throw "
                        r"std::bad_alloc\n", outcome.err)


# ---- statistics at the end ----

def documents(text):
    return [json.loads(line) for line in text.splitlines()]


def check_document(document, program="ending"):
    assert set(document) == {"cairn", "pid", "program", "heaps", "process", "python"}
    assert document["program"] == program and document["python"] is None
    assert document["process"]["peak_resident_bytes"] >= document["process"]["resident_bytes"] > 0
    assert [heap["name"] for heap in document["heaps"]] == ["default"]
    assert document["heaps"][0]["requests"] > 0


WAYS = ["exit", "return", "_exit", "_Exit", "quick_exit", "closed", "chdir"]


@pytest.mark.parametrize("way", WAYS)
def test_every_ending_prints_once_to_stderr(build, programs, way):
    outcome = programs.cairn([build("ending.c"), way], options={"stats": "json"})
    assert outcome.code == 7
    found = documents(outcome.err)
    assert len(found) == 1
    check_document(found[0])


@pytest.mark.parametrize("way", WAYS)
def test_every_ending_writes_its_file_once(build, programs, tmp_path, way):
    outcome = programs.cairn([build("ending.c"), way], options={"stats": "json", "stats_file": "here-%p.json"})
    assert (outcome.code, outcome.err) == (7, "")
    files = list(tmp_path.glob("here-*.json"))
    assert len(files) == 1
    found = documents(files[0].read_text())
    assert len(found) == 1
    check_document(found[0])
    assert files[0].name == f"here-{found[0]['pid']}.json"


@pytest.mark.parametrize("way, children, expected", [
    ("fork", 0, 1), ("fork", 1, 2), ("fork_exit", 0, 1), ("fork_exit", 1, 2), ("vfork", 0, 1), ("vfork", 1, 1)])
def test_children_print_if_asked(build, programs, tmp_path, way, children, expected):
    options = {"stats": "json", "stats_file": "all.json", "stats_children": children}
    outcome = programs.cairn([build("ending.c"), way], options=options)
    assert (outcome.code, outcome.err) == (7, "")
    found = documents((tmp_path / "all.json").read_text())
    assert len(found) == expected
    assert len({document["pid"] for document in found}) == expected
    for document in found:
        check_document(document)


def test_a_file_for_one_process_is_written_anew(build, programs, tmp_path):
    (tmp_path / "one.json").write_text("what was there before\n" * 10000)
    programs.cairn([build("ending.c"), "exit"], options={"stats": "json", "stats_file": "one.json"})
    check_document(*documents((tmp_path / "one.json").read_text()))


def test_exit_in_a_signal_handler_ends_with_its_status(build, programs):
    outcome = programs.cairn([build("ending.c"), "handler"], options={"stats": "json"}, timeout=60)
    assert outcome.code == 7
    for document in documents(outcome.err):
        check_document(document)


def test_a_signal_prints_nothing(build, programs):
    outcome = programs.cairn([build("ending.c"), "signal"], options={"stats": "json"})
    assert (outcome.code, outcome.err) == (-signal.SIGTERM, "")


def test_reused_descriptors_are_left_alone(build, programs, tmp_path):
    outcome = programs.cairn([build("ending.c"), "reused", tmp_path / "other"], options={"stats": "json"})
    assert (outcome.code, outcome.err) == (7, "")
    assert (tmp_path / "other").read_text() == ""


def test_statistics_as_text(build, programs):
    outcome = programs.cairn([build("ending.c"), "exit"], options={"stats": "text"})
    assert outcome.code == 7
    heading, process = outcome.err.splitlines()[:2]
    assert re.fullmatch(r"cairn \d+\.\d+\.\d+: statistics of ending \(process \d+\)", heading)
    assert re.fullmatch(r"process: \d+\.\d MiB resident, \d+\.\d MiB at its peak", process)
    assert "default" in outcome.err


def test_statistics_when_the_limit_is_reached(programs, tmp_path):
    source = "data = []\ntry:\n while True: data.append(b'x' * 5000)\nexcept MemoryError: pass\nprint(len(data) > 500)"
    outcome = programs.cairn(["/usr/bin/python3", "-S", "-c", source],
                             options={"limit": "64M", "stats": "json", "python": 0, "stats_file": "s.json"},
                             env={"PYTHONMALLOC": "malloc"})
    assert (outcome.code, outcome.out, outcome.err) == (0, "True\n", "")
    document, = documents((tmp_path / "s.json").read_text())
    assert document["heaps"][0]["requests_failed"] > 0


def test_only_the_process_that_cairn_run_started_prints(build, programs):
    options = {"stats": "json", "run_pid": 1}
    outcome = programs.cairn([build("ending.c"), "exit"], options=options)
    assert (outcome.code, outcome.err) == (7, "")
    outcome = programs.cairn([build("ending.c"), "exit"], options=options | {"stats_children": 1})
    check_document(*documents(outcome.err))


def test_an_unwritable_file_is_named(build, programs):
    outcome = programs.cairn([build("ending.c"), "exit"],
                             options={"stats": "json", "stats_file": "/nowhere/at/all.json"})
    assert outcome.code == 7
    assert outcome.err == ("cairn: cannot write the statistics to '/nowhere/at/all.json': No such file or directory "
                           "(see CAIRN_STATS_FILE)\n")


# ---- options ----

SEE = "(see cairn run --help)"


@pytest.mark.parametrize("name, value, wanted", [
    ("LIMIT", "12Q", "a size in bytes, or with suffix K, M, G or T"),
    ("LIMIT", "99999999999999999999", "a size in bytes, or with suffix K, M, G or T"),
    ("LIMIT", "16777216T", "a size in bytes, or with suffix K, M, G or T"),
    ("LIMIT", "-1", "a size in bytes, or with suffix K, M, G or T"),
    ("LIMIT", "K", "a size in bytes, or with suffix K, M, G or T"),
    ("PURGE_DELAY", "1.5", "a number of milliseconds"),
    ("PURGE_DELAY", "4294967296", "a number of milliseconds"),
    ("STATS", "yes", "text or json"),
    ("STATS_CHILDREN", "2", "0 or 1"),
    ("MISUSE", "ignore", "abort or report"),
    ("CHILDREN", "no", "0 or 1"),
    ("PYTHON", "3", "0 or 1"),
])
def test_a_malformed_option_is_reported(programs, name, value, wanted):
    outcome = programs.cairn(["/bin/echo", "hi"], options={name: value})
    assert (outcome.code, outcome.out) == (0, "hi\n")
    assert outcome.err == f"cairn: CAIRN_{name}={value} is ignored: it must be {wanted} {SEE}\n"


def test_an_unknown_geometry_is_reported(programs):
    outcome = programs.cairn(["/bin/echo", "hi"], options={"GEOMETRY": "modern"})
    assert (outcome.code, outcome.out) == (0, "hi\n")
    assert outcome.err == ("cairn: CAIRN_GEOMETRY=modern is ignored: unknown geometry 'modern'; valid: classic, cpython, "
                           f"default, or fields such as arena=1M,pool=16K {SEE}\n")


@pytest.mark.parametrize("name", ["FOO", "LIMITS", "STAT", "limit", "BUILDER", "TEST"])
def test_an_unknown_option_is_reported(programs, name):
    outcome = programs.cairn(["/bin/echo", "hi"], env={f"CAIRN_{name}": "1"})
    assert (outcome.code, outcome.out) == (0, "hi\n")
    assert outcome.err == f"cairn: CAIRN_{name} is not an option of Cairn {SEE}\n"


def test_names_of_the_build_and_the_tests_are_not_options(programs):
    names = {"CAIRN_BUILD": "/tmp", "CAIRN_TEST_SCALE": "1", "CAIRN_BENCH_RUNS": "3", "CAIRNS": "1", "CAIRN": "1"}
    outcome = programs.cairn(["/bin/echo", "hi"], env=names)
    assert (outcome.code, outcome.out, outcome.err) == (0, "hi\n", "")


def test_an_empty_value_is_no_value(programs):
    outcome = programs.cairn(["/bin/echo", "hi"], options={"limit": "", "geometry": "", "stats": "", "misuse": ""})
    assert (outcome.code, outcome.out, outcome.err) == (0, "hi\n", "")


def test_children_of_cairn_run_do_not_repeat_reports(programs):
    outcome = programs.cairn(["/bin/echo", "hi"], options={"foo": 1, "run_pid": 1})
    assert (outcome.code, outcome.out, outcome.err) == (0, "hi\n", "")


@pytest.mark.parametrize("limit, enough", [
    ("1G", True), ("65536K", True), ("64MiB", True), ("64m", True), ("67108864", True), ("0", True),
    ("16M", False), ("16384KB", False), ("16777216", False), ("16777216T", True)])
def test_a_limit_in_every_spelling(programs, limit, enough):
    source = "try: bytes(40 << 20); print('room')\nexcept MemoryError: print('none')"
    outcome = programs.cairn(["/usr/bin/python3", "-c", source], options={"limit": limit})
    assert (outcome.code, outcome.out) == (0, "room\n" if enough else "none\n")
    assert len(outcome.cairn_lines()) == (1 if limit == "16777216T" else 0)  # 2^64


# ---- children ----

def preload_seen(programs, command, preload=PRELOAD, **options):
    environment = cairn_environment(**options) | {"LD_PRELOAD": str(preload)}
    outcome = execute(command, environment, programs.folder)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


# What a program's child sees of LD_PRELOAD, and whether it runs on Cairn.
CHILD = 'echo "[$LD_PRELOAD]"; grep -c libcairn-preload /proc/self/maps; true'


def test_children_follow(programs):
    shown, mapped = preload_seen(programs, ["sh", "-c", f"sh -c '{CHILD}'; true"])
    assert shown == f"[{PRELOAD}]"
    assert int(mapped) > 0


def test_children_go_their_own_way(programs):
    assert preload_seen(programs, ["sh", "-c", f"sh -c '{CHILD}'; true"], children=0) == ["[]", "0"]


def test_other_preloads_stay(programs):
    other = next(path for path in ("/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/x86_64-linux-gnu/libm.so.6",
                                   "/usr/lib/libm.so.6"))
    for preload in (f"{other}:{PRELOAD}", f"{PRELOAD} {other}", f"{PRELOAD}:{other}:{PRELOAD}"):
        shown, mapped = preload_seen(programs, ["sh", "-c", f"sh -c '{CHILD}'; true"], preload, children=0)
        assert (shown, mapped) == (f"[{other}]", "0")


def test_a_program_that_takes_over_by_exec_is_no_child(programs):
    is_cairn = "import ctypes; print(bool(getattr(ctypes.CDLL(None), 'cairn_version', None)))"
    child = f"{is_cairn}; import subprocess, sys; subprocess.run([sys.executable, '-c', {is_cairn!r}])"
    for way in (["env", "X=1"], ["nice"], ["sh", "-c", 'exec "$0" "$@"']):
        command = [*way, "/usr/bin/python3", "-u", "-c", child]
        assert preload_seen(programs, command, children=0) == ["True", "False"]
