# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""module_run.py: runs one module of CPython's test-suite in a process of its own and says what came of it.

Invariants: a run never outlives its timeout by more than GRACE seconds; when run_module() returns, no process the
run started is alive (each carries TOKEN_NAME in its environment, so also those that made a session of their own are
found); the outcome holds nothing that depends on addresses or on time, so outcomes of two runs can be compared.
Thread rule: run_module() may be called from several threads at once; nothing is shared but the file system.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import xml.etree.ElementTree as ElementTree

TOKEN_NAME = "SUITE_RUN_TOKEN"
GRACE = 30
WORST_LAST = ["skip", "ok", "fail", "error"]
SUMMARY = [
    (re.compile(r"^\d+ tests? failed", re.M), "failed"),
    (re.compile(r"^\d+ tests? altered the execution environment", re.M), "environment changed"),
    (re.compile(r"^\d+ tests? skipped", re.M), "skipped"),
    (re.compile(r"^\d+ tests? run no tests", re.M), "no tests"),
    (re.compile(r"^(\d+ tests?|All \d+ tests) OK", re.M), "ok"),
]
FAILED_LINE = re.compile(r"^(FAIL|ERROR): (\w+) \(([\w.]+)\)", re.M)
CAIRN_LINE = re.compile(r"^cairn: .*", re.M)


def clean_environment():
    """The caller's environment without what would change the interpreter or the allocator."""
    unwanted = ("PYTHON", "CAIRN_", "LD_PRELOAD", "MALLOC_", "GLIBC_TUNABLES", "PYENV", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment.setdefault("LANG", "C.UTF-8")
    return environment


def run_module(python, module, wrapper, extra_environment, timeout, log_path, resources="", ignored=()):
    """Runs `module` under `python`; `wrapper` is the command put in front (empty on stock).

    Returns a dict: state, tests {id: outcome}, seconds, cairn_lines (what Cairn said on stderr)."""
    scratch = tempfile.mkdtemp(prefix="cpython-suite-")
    token = uuid.uuid4().hex
    report = os.path.join(scratch, "report.xml")
    command = [*wrapper, python, "-m", "test", "-W", "--timeout", str(timeout), "--junit-xml", report]
    if resources:
        command += ["-u", resources]
    for pattern in ignored:
        command += ["-i", pattern]
    environment = clean_environment() | extra_environment | {TOKEN_NAME: token, "TMPDIR": scratch}
    started = time.monotonic()
    try:
        status = run_bounded([*command, module], environment, scratch, timeout + GRACE, log_path)
    finally:
        end_leftovers(token)
    seconds = round(time.monotonic() - started, 2)
    with open(log_path, encoding="utf-8", errors="replace") as log:
        text = log.read()
    tests = read_report(report) | failures_in(text)
    make_removable(scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return {"state": state_of(status, text), "tests": tests, "seconds": seconds,
            "cairn_lines": CAIRN_LINE.findall(text)[:20]}


def run_bounded(command, environment, directory, seconds, log_path):
    """Runs a command in its own session with output to `log_path`; kills its process group at the deadline.
    Returns the wait status as subprocess has it (negative: signal), or None at the deadline."""
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            kill_group(process)


def prepare_process():
    """What children inherit: no core files, and SIGINT and SIGQUIT as a terminal's programs have them (a shell ignores
    both in what it starts in the background, and tests that send SIGINT then fail)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def end_leftovers(token):
    """Kills processes of this run that left its process group: those whose environment holds the run's token."""
    mark = f"{TOKEN_NAME}={token}".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as environ:
                if mark in environ.read().split(b"\0"):
                    os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue


def make_removable(directory):
    """Tests leave folders without write permission behind when they are killed."""
    for folder, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)


def state_of(status, text):
    """The module's outcome as one phrase."""
    if status is None:
        return "timeout"
    if status < 0:
        return f"died by {signal.Signals(-status).name}"
    if status >= 128 and status - 128 in {s.value for s in signal.Signals}:
        return f"died by {signal.Signals(status - 128).name}"
    if re.search(r"^Timeout \(\d+:\d\d:\d\d\)!$", text, re.M):
        return "timeout"
    for pattern, state in SUMMARY:
        if pattern.search(text):
            return state
    return f"exit {status}"


def read_report(path):
    """The outcome of each test by id from a JUnit report; {} if the process died before it could write one."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return {}
    tests = {}
    for case in root.iter("testcase"):
        if "name" not in case.attrib:
            continue  # a test with a failed subtest: failures_in() finds it
        name = stable_name(case.get("name"))
        outcome = case_outcome(case)
        tests[name] = max(outcome, tests.get(name, "skip"), key=WORST_LAST.index)
    return tests


def failures_in(text):
    """Failures by test id from the text of a run: the report leaves out tests of which a subtest failed."""
    found = {}
    for kind, name, place in FAILED_LINE.findall(text):
        test = place if place.endswith("." + name) else f"{place}.{name}"
        found[test] = "fail" if kind == "FAIL" else "error"
    return found


def case_outcome(case):
    tags = {child.tag for child in case}
    for tag, outcome in (("error", "error"), ("failure", "fail"), ("skipped", "skip")):
        if tag in tags:
            return outcome
    return "ok"


def stable_name(name):
    """A test's id without addresses and process ids, which differ from run to run."""
    name = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", name)
    return re.sub(r"(test_python_|cpython-suite-)\w+", r"\1...", name)
