# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""conftest.py: what the tests of real programs share.

A program is run three ways: on the system's allocator ("stock"), on Cairn as a user runs it ("plain": the fast
paths), and on Cairn with statistics ("counted": every request counted). Its output must be the same each time, and
the counted run must have served at least the number of requests the test names: that proves Cairn was in use.

$CAIRN_BUILD names the build folder (default: build/). $CAIRN_TEST_FIT, $CAIRN_TEST_POOLS and $CAIRN_TEST_GEOMETRY, with
the values of `cairn run`'s options, are the policy of a run: what programs get wherever a test leaves these open. Each test has its own folder (tmp_path); every process a test
starts is in a session of its own that is killed when the test's command ends or its time is up.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAIRN_BUILD", REPOSITORY / "build")).resolve()
PRELOAD = BUILD / "libcairn-preload.so"
CAIRN = BUILD / "cairn"
SOURCES = Path(__file__).resolve().parent / "src"
TIMEOUT = 240
POLICY = {name: os.environ[f"CAIRN_TEST_{name.upper()}"] for name in ("fit", "pools", "geometry")
          if os.environ.get(f"CAIRN_TEST_{name.upper()}")}
UNWANTED = ("CAIRN_", "LD_PRELOAD", "MALLOC_", "GLIBC_TUNABLES", "PYTHON", "PYENV", "GIT_")


def pytest_sessionstart(session):
    if not PRELOAD.exists():
        raise pytest.UsageError(f"{PRELOAD} does not exist: build first (make), or set CAIRN_BUILD")


def clean_environment():
    """The caller's environment without what would change an allocator or a program's output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    environment.update(LC_ALL="C.UTF-8", TZ="UTC")
    return environment


def under_policy(options):
    """Options with the run's policy where they leave it open; without pools there is no geometry."""
    open_ones = dict(POLICY)
    if "geometry" in options:
        open_ones.pop("pools", None)
    if (open_ones | options).get("pools") == "off":
        open_ones.pop("geometry", None)
    return open_ones | options


def cairn_environment(**options):
    """Environment that puts a program on Cairn; options become CAIRN_ variables in capitals."""
    named = {f"CAIRN_{name.upper()}": str(value) for name, value in under_policy(options).items()}
    return clean_environment() | {"LD_PRELOAD": str(PRELOAD)} | named


@dataclass
class Outcome:
    """What a command did: exit code (negative: signal), output, and the statistics documents it left."""
    code: int
    out: str
    err: str
    statistics: list = field(default_factory=list)

    def requests(self):
        """Requests served in all the processes that left statistics."""
        return sum(requests_in(document) for document in self.statistics)

    def cairn_lines(self):
        return [line for line in self.err.splitlines() if line.startswith("cairn: ")]


def requests_in(document):
    """Requests served by all heaps of a statistics document."""
    return sum(heap["requests"] for heap in document["heaps"])


def execute(command, environment, cwd, stdin="", timeout=TIMEOUT, limits=()):
    """Runs a command in its own session and returns its Outcome; its process group does not outlive it."""

    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for which, value in limits:
            resource.setrlimit(which, (value, value))

    process = subprocess.Popen([str(part) for part in command], env=environment, cwd=cwd, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                               start_new_session=True, preexec_fn=prepare)
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        end_group(process)
        out, err = process.communicate()
        pytest.fail(f"{' '.join(map(str, command))}: not done in {timeout} s\n{out[-2000:]}\n{err[-2000:]}")
    finally:
        end_group(process)
    return Outcome(process.returncode, out, err)


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


class Programs:
    """Runs programs in one test's folder, on stock and on Cairn."""

    def __init__(self, folder):
        self.folder = folder

    def stock(self, command, cwd=None, **how):
        return execute(command, clean_environment() | how.pop("env", {}), cwd or self.folder, **how)

    def cairn(self, command, cwd=None, options=None, **how):
        return execute(command, cairn_environment(**(options or {})) | how.pop("env", {}), cwd or self.folder, **how)

    def counted(self, command, cwd=None, options=None, **how):
        """On Cairn, with the statistics of the program and its children."""
        folder = self.folder / "statistics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        options = {"stats": "json", "stats_file": folder / "%p.json", "stats_children": 1} | (options or {})
        outcome = self.cairn(command, cwd, options, **how)
        outcome.statistics = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        return outcome

    def same(self, command, requests, alike=lambda text: text, **how):
        """The program does the same on stock and on Cairn, and Cairn serves at least `requests` requests. `alike`
        takes out of the output what differs from run to run. Returns the outcome on stock."""
        stock = self.stock(command, **how)
        assert stock.code == 0, f"fails on stock too: {stock.err[-2000:]}"
        for outcome in (self.cairn(command, **how), self.counted(command, **how)):
            assert (outcome.code, outcome.err) == (0, stock.err)
            assert alike(outcome.out) == alike(stock.out)
        assert outcome.requests() >= requests
        return stock


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)


class Compiler:
    """Builds the programs in src/, each once for the whole run."""

    def __init__(self, folder):
        self.folder = folder
        self.built = {}

    def __call__(self, source, *flags, output=None):
        target = self.folder / (output or re.sub(r"\.(c|cpp)$", "", source).replace("/", "-"))
        if target not in self.built:
            driver = ["g++", "-std=c++17"] if source.endswith(".cpp") else ["gcc", "-std=gnu17"]
            # -fno-builtin: the compiler must not elide pairs of malloc and free.
            command = [*driver, "-O1", "-g", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-pthread",
                       str(SOURCES / source), "-o", str(target), "-ldl", *flags]
            done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            self.built[target] = True
        return target


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    return Compiler(tmp_path_factory.mktemp("built"))


def require(name):
    """Skips a test whose program is not installed (the setup script installs them all)."""
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
