# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_package.py: the Python package: that it installs without a network, what its wheel holds, what it does in a
process that runs on Cairn and in one that does not, and that it says the same as the command and the header.

The command and its libraries in the wheel are those of CAIRN_BUILD; the extension is built here."""

import base64
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from conftest import BUILD, CAIRN, PRELOAD, REPOSITORY, clean_environment, execute, require
from test_cli import VERSION, help_options

PYTHON = "/usr/bin/python3"
VERSIONS = ("3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0")
WHEEL = f"cairn-{VERSION}-cp39-abi3-linux_{os.uname().machine}.whl"
NOT_PRELOADED = "this process does not run on Cairn"


def other_python(version):
    path = Path.home() / ".pyenv/versions" / version / "bin/python3"
    if not path.exists():
        pytest.skip(f"no Python {version} here")
    return path


def call(*command, env=None, cwd="/"):
    """Runs a command that must succeed; returns its stdout."""
    outcome = execute(command, clean_environment() | {"PIP_CONFIG_FILE": "/dev/null"} | (env or {}), cwd)
    assert outcome.code == 0, outcome.out + outcome.err
    return outcome.out


def backend(python, hook, folder, root=REPOSITORY):
    """Calls a hook of the build backend as an installer does; returns the path of what it made."""
    code = f"import sys; sys.path.insert(0, {str(root / 'python/backend')!r}); import cairn_backend as b; " \
           f"print(b.{hook}({str(folder)!r}))"
    return Path(folder) / call(python, "-B", "-c", code, env={"CAIRN_BUILD": str(BUILD)}, cwd=root).split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return backend(PYTHON, "build_wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The python of a fresh virtual environment with the checkout installed in it, without a network."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    call(PYTHON, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    call(PYTHON, "-m", "pip", "--python", python, "install", "--no-index", "--no-cache-dir", REPOSITORY,
         env={"CAIRN_BUILD": str(BUILD)})
    return python


@pytest.fixture
def stock(installed, tmp_path):
    """stock(code): runs Python code that finds the package, on the system's allocator."""
    return lambda code, *arguments, env=None, options=("-W", "ignore"): execute(
        [installed, *options, "-c", code, *arguments], clean_environment() | (env or {}), tmp_path)


@pytest.fixture
def cairn(installed, tmp_path):
    """cairn(word...): runs `python -m cairn word...`."""
    return lambda *words, env=None: execute([installed, "-m", "cairn", *words], clean_environment() | (env or {}),
                                            tmp_path)


@pytest.fixture
def on_cairn(cairn):
    """on_cairn(code): runs Python code on Cairn; its stdout, after it has said nothing else and succeeded."""

    def run(code, *options, env=None):
        outcome = cairn("run", *options, "-c", code, env=env)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out

    return run


# ---- the wheel ----

def test_names_in_the_wheel(wheel):
    assert wheel.name == WHEEL
    info = f"cairn-{VERSION}.dist-info"
    assert set(zipfile.ZipFile(wheel).namelist()) == {
        *(f"cairn/{name}" for name in ("__init__.py", "__main__.py", "_core.abi3.so", "_core.pyi", "_page.py",
                                       "_types.py", "_version.py", "py.typed")),
        *(f"cairn/_native/{name}" for name in ("cairn", "libcairn-preload.so", "libcairn-record.so")),
        *(f"{info}/{name}" for name in ("LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"))}


def test_record_of_the_wheel(wheel):
    """Every file with its hash and size, RECORD itself with neither."""
    archive = zipfile.ZipFile(wheel)
    record = f"cairn-{VERSION}.dist-info/RECORD"
    rows = {name: (digest, size) for name, digest, size in csv.reader(io.StringIO(archive.read(record).decode()))}
    assert set(rows) == set(archive.namelist())
    assert rows.pop(record) == ("", "")
    for name, (digest, size) in rows.items():
        contents = archive.read(name)
        kind, _, value = digest.partition("=")
        assert (kind, int(size)) == ("sha256", len(contents))
        assert base64.urlsafe_b64decode(value + "=") == hashlib.sha256(contents).digest()


def test_modes_in_the_wheel(wheel):
    for entry in zipfile.ZipFile(wheel).infolist():
        binary = entry.filename.startswith("cairn/_native/") or entry.filename.endswith(".so")
        assert entry.external_attr >> 16 == (0o100755 if binary else 0o100644), entry.filename


def test_metadata_of_the_wheel(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata, tags = (archive.read(f"cairn-{VERSION}.dist-info/{name}").decode() for name in ("METADATA", "WHEEL"))
    head = metadata.split("\n\n", 1)[0].splitlines()
    for line in ("Name: cairn", f"Version: {VERSION}", "Requires-Python: >=3.9", "License: MIT"):
        assert line in head
    assert "Wheel-Version: 1.0" in tags and "Tag: " + WHEEL[:-4].split("-", 2)[2] in tags
    assert metadata.endswith((REPOSITORY / "docs/guide/python-package.md").read_text())


def test_wheels_are_reproducible(wheel, tmp_path):
    assert backend(PYTHON, "build_wheel", tmp_path).read_bytes() == wheel.read_bytes()


def test_source_distribution(wheel, tmp_path):
    """What it holds is enough to configure the build, and gives the same wheel."""
    with tarfile.open(backend(PYTHON, "build_sdist", tmp_path)) as archive:
        assert not [name for name in archive.getnames() if re.search(r"/build|/tests/|__pycache__|\.so$", name)]
        archive.extractall(tmp_path)
    root = tmp_path / f"cairn-{VERSION}"
    assert backend(PYTHON, "build_wheel", tmp_path, root).read_bytes() == wheel.read_bytes()
    call("cmake", "-S", root, "-B", tmp_path / "build", "--log-level=WARNING")


@pytest.mark.parametrize("version", VERSIONS)
def test_build_and_import_under_other_versions(version, tmp_path):
    """The extension is the same for all: what one version builds, it can import, and it is named alike."""
    python = other_python(version)
    built = backend(python, "build_wheel", tmp_path)
    assert built.name == WHEEL
    zipfile.ZipFile(built).extractall(tmp_path)
    code = "import cairn; s = cairn.stats(); print(cairn.preloaded(), len(s['heaps']), s['python']['version'], " \
           "cairn.collect() >= 0, cairn.check().faults if cairn.preloaded() else '', cairn.gc_mode())"
    env = {"PYTHONPATH": str(tmp_path)}
    assert call(python, "-W", "ignore", "-c", code, env=env).split() == ["False", "0", version, "True", "stock"]
    outcome = execute([CAIRN, "run", python, "-c", code], clean_environment() | env, tmp_path)
    assert (outcome.out.split(), outcome.err) == (["True", "2", version, "True", "[]", "stock"], "")


def test_build_without_what_it_needs(tmp_path):
    """A line says what is missing."""
    for env, part in (({"CAIRN_BUILD": str(tmp_path)}, "does not hold cairn, libcairn-preload.so"),
                      ({"CAIRN_BUILD": str(BUILD), "CC": "no-such-compiler"}, "needs 'no-such-compiler'")):
        outcome = execute([PYTHON, "-B", "-c", "import cairn_backend as b; b.build_wheel('.')"],
                          clean_environment() | env | {"PYTHONPATH": str(REPOSITORY / "python/backend")}, tmp_path)
        assert outcome.code == 1
        assert re.fullmatch(r"cairn: [^\n]+\n", outcome.err) and part in outcome.err


# ---- as installed ----

def test_installer_left_what_the_wheel_holds(installed):
    code = "import importlib.metadata as m; d = m.distribution('cairn'); print(d.version, d.read_text('INSTALLER'), " \
           "all(d.locate_file(f).exists() for f in d.files), len(d.requires or []))"
    assert call(installed, "-c", code).split() == [VERSION, "pip", "True", "0"]


def test_commands(installed, cairn):
    script = installed.parent / "cairn"
    for command in ([script], [installed, "-m", "cairn"]):
        for words in (["--version"], ["--help"], ["run", "--help"], ["run", "-h"]):
            outcome = execute([*command, *words], clean_environment(), "/")
            expected = execute([CAIRN, *words], clean_environment(), "/")
            assert (outcome.code, outcome.out, outcome.err) == (0, expected.out, "")
    assert execute([script, "run", "sh", "-c", "exit 3"], clean_environment(), "/").code == 3


def test_uninstalled_command(installed, tmp_path):
    """The package alone, without what belongs to it."""
    package = next(installed.parent.parent.glob("lib/python3.*/site-packages/cairn"))
    subprocess.run(["cp", "-r", package, tmp_path / "cairn"], check=True)
    subprocess.run(["rm", "-r", tmp_path / "cairn/_native"], check=True)
    outcome = execute([installed, "-m", "cairn", "run", "app.py"], clean_environment(), tmp_path)
    assert outcome.code == 125
    assert re.fullmatch(r"cairn: cannot start '[^\n]+/_native/cairn': [^\n]+; install the package again\n", outcome.err)


# ---- python -m cairn run ----

def test_run_a_script(cairn, installed, tmp_path):
    (tmp_path / "app.py").write_text("import cairn, sys\n"
                                     "print(cairn.preloaded(), sys.executable, sys.argv)\nsys.exit(5)\n")
    for options in ([], ["--"], ["--stats-file", "stats.txt"], ["--stats-file=stats.txt", "--"], ["--limit", "1G"],
                    ["--stats-f", "stats.txt", "--no-children"]):
        outcome = cairn("run", *options, "app.py", "--stats", "-x")
        assert (outcome.code, outcome.err) == (5, "")
        assert outcome.out == f"True {installed} ['app.py', '--stats', '-x']\n"
    assert "statistics of python app.py" in (tmp_path / "stats.txt").read_text()


def test_run_a_module_or_code(cairn):
    assert cairn("run", "-m", "platform").out.startswith("Linux")
    assert cairn("run", "--misuse", "report", "-O", "-c", "print(__debug__)").out == "False\n"


def test_run_nothing_or_wrongly(cairn):
    for words, part in ((["run"], "no program given"), (["run", "--"], "no program given"),
                        (["run", "--gc=x", "app.py"], "--gc: unknown value 'x'"),
                        (["run", "--nope", "app.py"], "unknown option '--nope'"),
                        (["run", "--limit"], "--limit needs a value"), (["rnu"], "unknown command 'rnu'")):
        outcome = cairn(*words)
        assert (outcome.code, outcome.out) == (125, "")
        assert re.fullmatch(r"cairn: [^\n]+\n", outcome.err) and part in outcome.err


def test_run_passes_its_collectors_options_on(on_cairn):
    code = "import cairn; print(cairn.gc_mode())"
    assert on_cairn(code, "--gc", "snapshot") == "snapshot\n"
    assert on_cairn(code, env={"CAIRN_GC": "snapshot"}) == "snapshot\n"


def test_options_with_values_are_the_commands(stock):
    """The list in the package and the help of the command name the same options."""
    shown = help_options(call(CAIRN, "run", "--help"))
    outcome = stock("import cairn.__main__ as m, json\n"
                    "print(json.dumps([sorted(m.TAKES_VALUE), sorted(m.ALL_OPTIONS)]))")
    takes_value, every = json.loads(outcome.out)
    assert every == sorted(shown)
    assert takes_value == sorted(name for name, (argument, _) in shown.items() if argument.startswith("="))


# ---- without Cairn ----

def test_import_says_what_to_do(installed, tmp_path):
    (tmp_path / "app.py").write_text("import cairn\nprint(cairn.preloaded())\n")
    outcome = execute([installed, "app.py"], clean_environment(), tmp_path)
    assert outcome.out == "False\n"
    assert outcome.err.splitlines() == [
        f"{tmp_path}/app.py:1: NotPreloadedWarning: {NOT_PRELOADED}; "
        "start the program with: python -m cairn run app.py",
        "  import cairn"]


def test_import_says_it_once_and_can_be_silenced(stock):
    assert stock("import cairn, importlib; import cairn.__main__", options=()).err.count(NOT_PRELOADED) == 1
    assert stock("import cairn").err == ""
    outcome = stock("import warnings; warnings.simplefilter('error'); import cairn", options=())
    assert outcome.code == 1 and "NotPreloadedWarning" in outcome.err


def test_what_works_without_cairn(stock, tmp_path):
    code = """
import cairn, gc, json, os
class Loop: pass
gc.disable()
for _ in range(100):
    loop = Loop(); loop.me = loop
del loop
print(cairn.collect(), cairn.gc_mode(), cairn.gc_mode("stock"), cairn.trim() >= 0)
cairn.report("page.html")
stats = cairn.stats()
print(stats["cairn"], stats["heaps"], stats["pid"] == os.getpid(), stats["process"]["resident_bytes"] > 1 << 20)
print(json.dumps(stats["python"]["gc"]))
"""
    lines = stock(code).out.splitlines()
    freed, *rest = lines[0].split()
    assert int(freed) >= 100 and rest == ["stock", "stock", "True"]
    assert lines[1] == "None [] True True"
    assert json.loads(lines[2]) == {"mode": "stock", "obstacle": NOT_PRELOADED, "stops": None, "snapshots": None}
    assert "It does not run on Cairn" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("call", ["cairn.check()", "cairn.gc_mode('snapshot')"])
def test_what_does_not_work_without_cairn(stock, call):
    outcome = stock(f"import cairn\ntry:\n    {call}\nexcept cairn.NotPreloadedError as error:\n    print(error)")
    assert outcome.out == f"{call[6:]} needs Cairn: start the program with: python -m cairn run app.py\n"


def test_another_versions_preload(stock, tmp_path):
    (tmp_path / "other.c").write_text("int cairn_python_interface(void) { return 999; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "other.c", "-o", "other.so"], cwd=tmp_path, check=True)
    outcome = stock("import cairn; print(cairn.preloaded())", env={"LD_PRELOAD": str(tmp_path / "other.so")},
                    options=())
    assert outcome.out == "False\n"
    assert "the libcairn-preload.so in this process belongs to another version than this package" in outcome.err


def test_subinterpreter(stock):
    code = "import _xxsubinterpreters as s\ni = s.create()\ntry:\n    s.run_string(i, 'import cairn')\n" \
           "except s.RunFailedError as error:\n    print(error)"
    assert "cairn can be imported in the main interpreter only" in stock(code).out


# ---- on Cairn ----

def test_statistics_are_those_of_the_command(cairn, tmp_path):
    """The same members at every level, and figures that lie on the way to those at the end."""
    code = "import cairn, json; print(json.dumps(cairn.stats()))"
    outcome = cairn("run", "--stats=json", "--stats-file=end.json", "-c", code)
    now, end = json.loads(outcome.out), json.loads((tmp_path / "end.json").read_text())

    def members(value):
        if isinstance(value, dict):
            return {name: members(part) for name, part in value.items()}
        return [members(part) for part in value[:1]] if isinstance(value, list) else None

    assert members(now) == members(end)
    assert list(now) == list(end)
    assert [heap["name"] for heap in now["heaps"]] == ["default", "python"]
    assert now["python"]["domains"] == ["raw", "mem", "object"]
    for before, after in zip(now["heaps"], end["heaps"]):
        assert 0 < before["requests"] <= after["requests"]


def test_types_name_the_members(stock, on_cairn):
    code = "import cairn, json; print(json.dumps([sorted(t.__annotations__) for t in " \
           "(cairn.Stats, cairn.ProcessStats, cairn.PythonStats, cairn.CollectorStats, cairn.StopStats)]))"
    stats = json.loads(on_cairn("import cairn, json; print(json.dumps(cairn.stats()))", "--gc=snapshot"))
    python = stats["python"]
    stop = {"count", "total_ns", "longest_ns", "p999_ns", "found", "freed"}
    assert json.loads(stock(code).out) == [sorted(part) for part in
                                           (stats, stats["process"], python, python["gc"], stop)]
    assert {frozenset(part) for part in python["gc"]["stops"].values()} == {frozenset(stop)}


def test_stubs_name_the_functions(stock):
    names = stock("from cairn import _core; print(*sorted(n for n in vars(_core) if n[0] != '_'))").out.split()
    stubs = (REPOSITORY / "python/cairn/_core.pyi").read_text()
    assert sorted(re.findall(r"^def (\w+)", stubs, re.M)) == names


def test_everything_is_described(stock):
    code = "import cairn; print([n for n in cairn.__all__ if not n.startswith('__') and not getattr(cairn, n).__doc__])"
    assert stock(code).out == "[]\n"


def test_trim_gives_memory_back(on_cairn):
    code = """
import cairn
blocks = [bytearray(3000) for _ in range(20000)]
small = [[n] for n in range(200000)]
del blocks, small
given = cairn.trim()
print(given > 20 << 20, cairn.stats()["process"]["resident_bytes"] < 40 << 20, cairn.trim() < 1 << 20)
"""
    assert on_cairn(code, "--purge-delay=60000") == "True True True\n"


def test_check_finds_what_was_overwritten(on_cairn):
    code = """
import cairn, ctypes
print(cairn.check())
block = bytes(60)
address = id(block)
del block  # its block is the first free one of its pool now: the next one's address is in it
ctypes.c_uint64.from_address(address).value = 0x4141414141414140
found = cairn.check()
print(len(found.faults) > 0, found.skipped, found.faults[0], flush=True)
import os
os._exit(0)
"""
    sound, faults = on_cairn(code).splitlines()
    assert sound == "Check(faults=[], skipped=0)"
    assert re.fullmatch(r'True 0 cairn: heap "python": \w+.* 0x[0-9a-f]+: .+', faults)


def test_check_beside_other_threads(on_cairn):
    code = """
import cairn, threading, time
done = threading.Event()
thread = threading.Thread(target=done.wait)
thread.start()
print(cairn.check())
done.set()
thread.join()
end = time.monotonic() + 20
while cairn.check().skipped and time.monotonic() < end:  # the system may end the thread a little later
    time.sleep(0.01)
print(cairn.check())
"""
    assert on_cairn(code) == "Check(faults=[], skipped=1)\nCheck(faults=[], skipped=0)\n"


def test_calls_beside_threads_and_forks(on_cairn):
    """Every call, again and again, while other threads make garbage; and in forked children."""
    code = """
import cairn, gc, os, threading
class Node: pass
done = threading.Event()
def work():
    while not done.is_set():
        for _ in range(2000):
            node = Node()
            node.me = node
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for turn in range(12):
    mode = cairn.gc_mode(("stock", "snapshot")[turn % 2])
    assert mode == cairn.stats()["python"]["gc"]["mode"]
    assert cairn.trim() >= 0 and cairn.collect() >= 0 and cairn.check().faults == []
    if turn % 4 == 3:
        child = os.fork()
        if child == 0:
            done.set()
            cairn.report("child.html")
            os._exit(cairn.collect() < 0 or cairn.gc_mode() != mode)
        assert os.waitpid(child, 0)[1] == 0
done.set()
for thread in threads:
    thread.join()
print(cairn.stats()["python"]["gc"]["snapshots"]["finished"] >= 6)
"""
    assert on_cairn(code, "--gc-minimum=1000") == "True\n"


def test_collect(on_cairn):
    code = """
import cairn, gc
class Loop: pass
gc.disable()
for mode in ("stock", "snapshot"):
    print(cairn.gc_mode(mode))
    gc.collect()
    for _ in range(1000):
        loop = Loop(); loop.me = loop
    del loop
    print(cairn.collect() >= 1000, cairn.collect())
"""
    assert on_cairn(code) == "stock\nTrue 0\nsnapshot\nTrue 0\n"


def test_stops_are_timed_only_where_asked_for(on_cairn):
    code = "import cairn, gc; gc.collect(); stops = cairn.stats()['python']['gc']['stops']; " \
           "print(stops and stops['full']['count'] > 0)"
    assert on_cairn(code) == "None\n"
    for options in (["--stats", "--stats-file=/dev/null"], ["--gc-trace=/dev/null"], ["--gc=snapshot"]):
        assert on_cairn(code, *options) == "True\n"


def test_mode_that_does_not_exist(on_cairn):
    code = "import cairn\ntry:\n    cairn.gc_mode('fast')\n" \
           "except ValueError as error:\n    print(error, cairn.gc_mode())"
    assert on_cairn(code) == "gc_mode: unknown mode 'fast'; valid: stock, snapshot stock\n"


def test_mode_that_is_not_possible(cairn):
    code = "import cairn\ntry:\n    cairn.gc_mode('snapshot')\nexcept RuntimeError as error:\n    print(error)\n" \
           "print(cairn.gc_mode(), cairn.stats()['python'])"
    outcome = cairn("run", "-c", code, env={"PYTHONMALLOC": "malloc"})
    assert re.fullmatch(r"gc_mode: the mode stays stock: [^\n]+\nstock None\n", outcome.out)


# ---- the page ----

class Page(html.parser.HTMLParser):
    """Elements must nest; what refers to something outside is noted."""

    EMPTY = {"meta", "rect", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.references, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report(on_cairn, tmp_path):
    code = "import cairn, gc; kept = [[n] for n in range(100000)]; del kept[::2]; cairn.report('page.html')"
    on_cairn(code, "--stats=json", "--stats-file=/dev/null", "--gc=snapshot")
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert page.references == [] and "script" not in page.elements and "@import" not in text and "url(" not in text
    for part in ("Memory of python -c", "Heap “python”", "Memory by size class", "Fragmentation by cause",
                 "Pools by the share of their blocks that is live", "young collections", "99.9% within"):
        assert part in page.text, part


def test_report_of_a_program_with_an_odd_name(cairn, tmp_path):
    (tmp_path / "<i>&.py").write_text("import cairn; cairn.report('page.html')")
    assert cairn("run", "<i>&.py").code == 0
    page = Page((tmp_path / "page.html").read_text())
    assert "i" not in page.elements and "Memory of python <i>&.py" in page.text


def test_report_that_cannot_be_written(on_cairn):
    code = "import cairn\ntry:\n    cairn.report('/no/such/folder.html')\n" \
           "except OSError as error:\n    print(error.strerror)"
    assert on_cairn(code) == "No such file or directory\n"


# ---- the extension's source ----

@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_extension_compiles_without_a_warning(compiler, tmp_path):
    require(compiler)
    include = call(PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('include'))").strip()
    call(compiler, "-std=gnu17", "-O2", "-fPIC", "-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Wconversion", "-Werror",
         f"-I{REPOSITORY / 'include'}", "-isystem", include, "-c", REPOSITORY / "python/core.c", "-o", tmp_path / "core.o")


def test_interface_is_the_headers():
    """The extension looks up every function of cairn_python.h, by its name."""
    header = (REPOSITORY / "include/cairn_python.h").read_text()
    declared = set(re.findall(r"^CAIRN_API [^;]*?\b(cairn_\w+)\(", header, re.M))
    core = (REPOSITORY / "python/core.c").read_text()
    assert set(re.findall(r'find\("(\w+)"', core)) == declared
    assert declared <= set(re.findall(r" T (\w+)$", call("nm", "-D", "--defined-only", PRELOAD), re.M))
