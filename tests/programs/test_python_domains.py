# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_python_domains.py: Cairn behind CPython's raw, mem and object domains, on every CPython found: the system's,
and those side by side under $PYENV_ROOT/versions or ~/.pyenv/versions if there are any."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import PRELOAD, SOURCES, clean_environment

SYSTEM = Path("/usr/bin/python3")
SERVED = [(3, minor) for minor in range(8, 14)]
WHERE = SOURCES / "python_where.py"
QUIET = ["-W", "ignore"]  # from 3.12 on fork warns of threads
ON_CAIRN = "default python python\n"
MALLOC_ONLY = "default None None\n"  # of the interpreter's own choice "malloc", every domain is malloc's


def version_of(python):
    found = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], env=clean_environment(),
                           capture_output=True, text=True)
    return tuple(map(int, found.stdout.split())) if found.returncode == 0 else None


def interpreters():
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [SYSTEM, *sorted(root.glob("3.*/bin/python3"))]
    return {python: version_of(python) for python in found if python.exists()}


FOUND = interpreters()
served = pytest.mark.parametrize(
    "python", [python for python, version in FOUND.items() if version in SERVED],
    ids=lambda python: python.parent.parent.name)
others = [python for python, version in FOUND.items() if version and version not in SERVED]


# ---- Cairn serves ----

@served
def test_every_domain_is_cairns(programs, python):
    outcome = programs.cairn([python, WHERE])
    assert (outcome.code, outcome.out, outcome.err) == (0, ON_CAIRN, "")


@served
def test_smoke(programs, python):
    script = SOURCES / "python_smoke.py"
    stock = programs.stock([python, *QUIET, script])
    assert (stock.code, stock.err) == (0, "")
    for outcome in (programs.cairn([python, *QUIET, script]), programs.counted([python, *QUIET, script])):
        assert (outcome.code, outcome.err, outcome.out) == (0, "", stock.out)
    main = max(outcome.statistics, key=lambda document: sum(heap["requests"] for heap in document["heaps"]))
    requests = {heap["name"]: heap["requests"] for heap in main["heaps"]}
    assert requests["python"] > 500000
    assert requests["default"] > 100
    assert len(outcome.statistics) >= 12  # the script, its ten forks, and the program it starts


@served
@pytest.mark.parametrize("geometry", ["classic", "cpython", "default"])
def test_every_geometry(programs, python, geometry):
    script = ("import json\ndata = [[str(i), {'i': i}] for i in range(30000)]\n"
              "odd = sum(id(row) % 16 != 0 for row in data)\n"
              "print(len(json.dumps(data)), odd == 0)")
    stock = programs.stock([python, "-c", script])
    outcome = programs.counted([python, "-c", script], options={"geometry": geometry})
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.split()[0] == stock.out.split()[0]
    assert geometry == "classic" or outcome.out.split()[1] == "True"
    heap = next(heap for heap in outcome.statistics[0]["heaps"] if heap["name"] == "python")
    assert heap["requests"] > 100000
    if geometry != "default":
        assert heap["geometry"]["arena_size"] == {"classic": 256, "cpython": 1024}[geometry] * 1024


@served
def test_statistics_of_a_small_script(programs, python, tmp_path):
    script = tmp_path / "small.py"
    script.write_text("print(sum(map(int, map(str, range(10000)))))\n")
    outcome = programs.cairn([python, script, "-X", "dev"], options={"stats": "json", "stats_file": "small.json"})
    assert (outcome.code, outcome.out, outcome.err) == (0, "49995000\n", "")
    document = json.loads((tmp_path / "small.json").read_text())
    assert document["program"] == f"{python.name} small.py"
    requests = {heap["name"]: heap["requests"] for heap in document["heaps"]}
    assert requests["python"] > 10000


@served
def test_a_limit_gives_memory_errors(programs, python):
    script = ("data = []\ntry:\n  while True: data.append(bytes(100000))\nexcept MemoryError: pass\n"
              "n = len(data)\ndel data\nprint(400 < n < 700, len(bytes(30000000)))")
    outcome = programs.cairn([python, "-c", script], options={"limit": "64M"})
    assert (outcome.code, outcome.out, outcome.err) == (0, "True 30000000\n", "")


@served
def test_memory_is_given_back_after_a_trim(programs, python):
    script = """
import ctypes
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
data = [str(i) for i in range(1000000)]
full = resident()
del data
trim = {library}.malloc_trim
trim(0)
for i in range(100000): pass
print(full - resident() > 50_000_000)
"""
    for library in ("ctypes.pythonapi", "ctypes.CDLL(None)"):
        outcome = programs.cairn([python, "-c", script.format(library=library)], options={"purge_delay": 3600000})
        assert (outcome.code, outcome.out, outcome.err) == (0, "True\n", ""), library


# ---- CPython's own tests of its allocators ----

ALLOCATOR_TESTS = """
import importlib, sys, unittest, _testcapi
functions = [name for name in dir(_testcapi) if name.startswith(("test_pymem", "test_pyobject_set"))]
for name in functions:
    getattr(_testcapi, name)()
cases = []
for name in ("test.test_capi.test_mem", "test.test_capi.test_misc", "test.test_capi"):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    cases += [value for key, value in vars(module).items() if key.startswith("PyMem") and isinstance(value, type)]
load = unittest.defaultTestLoader.loadTestsFromTestCase
result = unittest.TextTestRunner(sys.stdout).run(unittest.TestSuite(map(load, cases)))
print("functions", len(functions), "classes", len(cases), "tests", result.testsRun, "ok", result.wasSuccessful())
sys.exit(not result.wasSuccessful())
"""


@served
def test_allocators_and_debug_hooks_of_test_capi(programs, python):
    # CAIRN_RUN_PID: as under `cairn run`, the children that choose another allocator do not report it.
    outcome = programs.cairn([python, "-c", ALLOCATOR_TESTS], options={"run_pid": 1})
    assert outcome.code == 0, outcome.out + outcome.err
    functions, classes, tests = map(int, re.search(r"functions (\d+) classes (\d+) tests (\d+) ok True",
                                                   outcome.out).groups())
    assert functions >= 4
    assert (classes, tests) == (0, 0) or tests >= 25  # some distributions leave out test_capi, none _testcapi


@served
def test_debug_hooks_on_top_of_cairn(build, programs, python):
    """CPython's own checks of every block: fences around it, its domain, its end."""
    hooks = {"LD_PRELOAD": f"{build('debug_hooks.c', '-shared', '-fPIC', output='debug_hooks.so')}:{PRELOAD}"}
    script = SOURCES / "python_smoke.py"
    stock = programs.stock([python, *QUIET, script])
    outcome = programs.cairn([python, *QUIET, script], env=hooks)
    assert (outcome.code, outcome.err, outcome.out) == (0, "", stock.out)
    fill = ("import ctypes; f = ctypes.pythonapi.PyMem_Malloc; f.restype = ctypes.c_void_p; "
            "print(ctypes.string_at(f(8), 9) == bytes([0xcd] * 8 + [0xfd]))")
    outcome = programs.cairn([python, "-c", fill], env=hooks)
    assert (outcome.code, outcome.out, outcome.err) == (0, "True\n", "")


@served
@pytest.mark.parametrize("ending, said", [
    ("os._exit(0)", ["cairn: the program replaced or wrapped Python's raw domain while it ran: requests that did not "
                     "reach Cairn are not in these statistics"]),
    ("sys.exit(0)", [])])
def test_tracing_at_the_end(programs, python, ending, said):
    """tracemalloc wraps the domains until the interpreter is finalized."""
    script = f"import os, sys, tracemalloc; tracemalloc.start(); x = [str(i) for i in range(1000)]; {ending}"
    outcome = programs.cairn([python, "-c", script], options={"stats": "json", "stats_file": "s.json"})
    assert (outcome.code, outcome.err.splitlines()) == (0, said)


# ---- Cairn is kept out ----

STAYS_OUT = "keeps Cairn out of Python's memory domains: Cairn serves malloc only"
CHOICES = [
    ([], {"PYTHONMALLOC": "debug"}, "PYTHONMALLOC=debug"),
    ([], {"PYTHONMALLOC": "pymalloc"}, "PYTHONMALLOC=pymalloc"),
    ([], {"PYTHONMALLOC": "default"}, "PYTHONMALLOC=default"),
    ([], {"PYTHONMALLOC": "malloc", "PYTHONDEVMODE": "1"}, "PYTHONMALLOC=malloc"),
    ([], {"PYTHONDEVMODE": "1"}, "PYTHONDEVMODE=1"),
    (["-X", "dev"], {}, "-X dev"),
    (["-Xdev"], {}, "-X dev"),
    (["-bbXdev"], {}, "-X dev"),
    (["-X", "faulthandler", "-W", "ignore", "-X", "dev"], {}, "-X dev"),
    (["--check-hash-based-pycs", "never", "-X", "dev"], {}, "-X dev"),
    (["-I", "-X", "dev"], {"PYTHONMALLOC": "malloc"}, "-X dev"),
    (["-W", "-E"], {"PYTHONDEVMODE": "1"}, "PYTHONDEVMODE=1"),
]


@served
@pytest.mark.parametrize("arguments, variables, named", CHOICES)
def test_another_choice_is_reported_once(programs, python, arguments, variables, named):
    outcome = programs.cairn([python, *arguments, WHERE], env=variables)
    lines = outcome.cairn_lines()
    assert (outcome.code, len(lines)) == (0, 1)
    assert lines[0].startswith(f"cairn: {named} {STAYS_OUT}")
    mallocs = variables.get("PYTHONMALLOC") == "malloc" and "-I" not in arguments
    assert outcome.out == ("default default default\n" if mallocs else MALLOC_ONLY)


@served
@pytest.mark.parametrize("arguments, variables", [
    (["-E"], {"PYTHONMALLOC": "debug"}),
    (["-I"], {"PYTHONMALLOC": "debug", "PYTHONDEVMODE": "1"}),
    (["-sE"], {"PYTHONDEVMODE": "1"}),
    ([], {"PYTHONMALLOC": "", "PYTHONDEVMODE": ""}),
    (["-X", "faulthandler"], {}),
    (["-W", "default"], {}),
    (["-X", "utf8"], {}),
    (["-X", "development"], {}),
])
def test_what_does_not_keep_cairn_out(programs, python, arguments, variables):
    for command in ([WHERE], [WHERE, "-X", "dev"], ["--", WHERE], ["-c", WHERE.read_text(), "-X", "dev"]):
        outcome = programs.cairn([python, *arguments, *command], env=variables)
        assert (outcome.code, outcome.out, outcome.cairn_lines()) == (0, ON_CAIRN, []), command


def test_a_child_of_cairn_run_says_nothing(programs):
    outcome = programs.cairn([SYSTEM, "-X", "dev", WHERE], options={"run_pid": 1})
    assert (outcome.code, outcome.out, outcome.err) == (0, MALLOC_ONLY, "")


def test_the_option_leaves_python_alone(programs):
    outcome = programs.cairn([SYSTEM, WHERE], options={"python": 0})
    assert (outcome.code, outcome.out, outcome.err) == (0, MALLOC_ONLY, "")
    outcome = programs.cairn([SYSTEM, "-X", "dev", WHERE], options={"python": 0})
    assert (outcome.code, outcome.out, outcome.err) == (0, MALLOC_ONLY, "")


@pytest.mark.parametrize("name", ["python3", "mine"])
def test_an_interpreter_by_any_name(programs, tmp_path, name):
    """A virtual environment's link, and exec -a: the options are read all the same."""
    link = tmp_path / name
    link.symlink_to(SYSTEM)
    outcome = programs.cairn([link, "-X", "dev", WHERE])
    assert (outcome.code, outcome.out, len(outcome.cairn_lines())) == (0, MALLOC_ONLY, 1)


@pytest.mark.parametrize("python", others or [None], ids=str)
def test_other_versions_are_left_alone(programs, python):
    if python is None:
        pytest.skip("no Python 3 before 3.8 or after 3.13 is installed")
    outcome = programs.cairn([python, "-c", "print(len([str(i) for i in range(100000)]))"])
    assert (outcome.code, outcome.out) == (0, "100000\n")
    line, = outcome.cairn_lines()
    assert line.endswith("is not a version whose memory domains Cairn serves (3.8 to 3.13): Cairn serves malloc only")


# ---- versions and builds that are not at hand ----

@pytest.mark.parametrize("version, domains, said", [
    ("3.8.0 (default, ...)", "raw mem object", None),
    ("3.12.1 (main, ...)", "raw mem object", None),
    ("3.13.5 (main, ...)", "raw mem object", None),
    ("3.13.0 experimental free-threading build (main, ...)", "raw",
     "this Python is a free-threading build, whose objects need its own allocator: Cairn serves malloc and the raw "
     "domain only"),
    ("3.14.2 (main, ...)", "",
     "Python 3.14.2 is not a version whose memory domains Cairn serves (3.8 to 3.13): Cairn serves malloc only"),
    ("3.7.16 (default, ...)", "",
     "Python 3.7.16 is not a version whose memory domains Cairn serves (3.8 to 3.13): Cairn serves malloc only"),
    ("30.9.0 (default, ...)", "",
     "Python 30.9.0 is not a version whose memory domains Cairn serves (3.8 to 3.13): Cairn serves malloc only"),
])
def test_versions(build, programs, version, domains, said):
    outcome = programs.cairn([build("fake_python.c", "-rdynamic")], env={"FAKE_VERSION": version})
    assert (outcome.code, outcome.out.split()) == (0, domains.split())
    assert outcome.err == (f"cairn: {said}\n" if said else "")


def test_an_embedding_program_has_options_of_its_own(build, programs):
    outcome = programs.cairn([build("fake_python.c", "-rdynamic"), "-X", "dev"])
    assert (outcome.code, outcome.out.split(), outcome.err) == (0, ["raw", "mem", "object"], "")


@pytest.mark.parametrize("argument, said", [
    ("keep", []),
    ("replace", ["cairn: the program replaced or wrapped Python's object domain while it ran: requests that did not "
                 "reach Cairn are not in these statistics"])])
def test_a_replaced_domain_is_noticed(build, programs, argument, said):
    outcome = programs.cairn([build("fake_python.c", "-rdynamic"), argument], options={"stats": "json",
                                                                                         "stats_file": "s.json"})
    assert (outcome.code, outcome.err.splitlines()) == (0, said)
