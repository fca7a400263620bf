# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""A program never notices the process that looks at its snapshot: not by signals, waiting, descriptors, locks, forks,
exec or exits, and not when that process is killed, may not be made, or the world is an odd one. snapshot/worlds.py has
the scenarios; what they print here is what they print on stock CPython ($CAIRN_TEST_STOCK=1 runs the tests there)."""

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from conftest import PRELOAD, cairn_environment, clean_environment, require
from snapshot_support import ASKED_FOR, DEBIAN, EVERY_TIME, PROGRAMS, each_other_python, snapshots_of

WORLDS = PROGRAMS / "worlds.py"
ON_STOCK = os.environ.get("CAIRN_TEST_STOCK") == "1"
# As a user has it, for a small heap: helpers run beside the program.
USUAL = {"gc": "snapshot", "gc_minimum": 1000}
TOKEN = "CAIRN_TEST_TOKEN"
KERNEL = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
needs_joiner = pytest.mark.skipif(ON_STOCK or os.cpu_count() == 1 or KERNEL < (6, 1), reason="no pages are joined here")


class World:
    """Runs scenarios, each in a session of its own, and looks for processes that outlive them."""

    def __init__(self, folder):
        self.folder = folder
        self.token = uuid.uuid4().hex
        self.figures = None

    def environment(self, options, **more):
        given = clean_environment() if ON_STOCK else cairn_environment(**options)
        return given | {TOKEN: self.token, "SEED": "1"} | more

    def start(self, scenario, *arguments, options=USUAL, python=DEBIAN, front=(), env=(), **how):
        command = [*front, python, WORLDS, scenario, *map(str, arguments)]
        return subprocess.Popen([str(word) for word in command], env=self.environment(options, **dict(env)),
                                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True, **how)

    def run(self, scenario, *arguments, options=USUAL, **how):
        """(output, stderr lines of Cairn's, full collections made), and no process is left."""
        path = Path(self.folder) / "figures.json"
        path.unlink(missing_ok=True)
        process = self.start(scenario, *arguments, options=options | {"stats": "json", "stats_file": path}, **how)
        try:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err[-3000:]
            assert self.left(5) == [], err
        finally:
            self.end()
        self.figures = None if ON_STOCK or not path.exists() else json.loads(path.read_text())
        made = re.search(r"^full collections: (\d+)$", err, re.M)
        return out, [line for line in err.splitlines() if line.startswith("cairn: ")], int(made[1]) if made else None

    def snapshots(self):
        """Snapshots begun in the last run's process."""
        return 1000 if ON_STOCK else snapshots_of(self.figures)["snapshots"]

    def finished(self):
        """Those that came to their end."""
        return 1000 if ON_STOCK else snapshots_of(self.figures)["finished"]

    def left(self, seconds):
        """Processes of this world still there after so many seconds."""
        end = time.monotonic() + seconds
        while (found := self.processes()) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def processes(self):
        mark = f"{TOKEN}={self.token}".encode()
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
            except OSError:
                continue
        return found

    def end(self):
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.end()


# What each scenario prints, and the snapshots that must have been begun at least.
SCENARIOS = {
    "children_unseen": ("([], [])", 3),
    "child_of_ones_own": (str([(True, code) for code in range(6)]), 1),
    "ends_of_pipes": ("0", 3),
    "forks": ("([(0, 2560), (1, 9), (2, 3072)], True)", 1),
    "failed_executions": ("True", 30),
    "failed_executions_beside": ("{-1}", 10),
    "subprocesses": ("([\"('spawned', 768)\", '(0, 100000)', '(1, 100000)', '(2, 100000)', '(3, 100000)', "
                     "'(4, 100000)'], True)", 1),
    "asynchronous_subprocesses": (f"({[*range(5)] * 4}, True)", 1),
    "pools": (str([[0, 1, 4, 9, 16, 25]] * 3), 1),
    "signals": ("(True, True, True)", 3),
    "interrupts": ("True", 1),
    "threads": (str([5000800] * 4), 1),
    "frozen": ("(0, True, (700, 10, 10))", 1),
    "disabled": ("(True, True)", 0),
    "exact_collections": (f"({[6.0] * 30}, [])", 0),
    "tracing": ("True", 0),
    "idle": ("[0, 0, 0, 0, 0]", 1),
    "score": ("True", 1),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_program_does_what_it_does_on_stock(world, scenario):
    printed, snapshots = SCENARIOS[scenario]
    out, said, _ = world.run(scenario)
    assert out == f"{scenario} {printed} True\n"
    assert said == []
    assert world.snapshots() >= snapshots


@pytest.mark.parametrize("scenario", ["forks", "threads", "signals"])
def test_the_same_with_a_snapshot_at_every_young_collection(world, scenario):
    out, said, _ = world.run(scenario, 10000, options=EVERY_TIME)
    assert (out, said) == (f"{scenario} {SCENARIOS[scenario][0]} True\n", [])
    assert world.snapshots() >= 10


@each_other_python
def test_other_versions_reap_while_they_wait(world, python):
    out, said, _ = world.run("idle", python=python)
    assert (out, said) == (f"idle {SCENARIOS['idle'][0]} True\n", [])


@each_other_python
def test_other_versions(world, python):
    out, said, _ = world.run("children_unseen", python=python)
    assert (out, said) == ("children_unseen ([], []) True\n", [])
    assert world.snapshots() >= 1


def test_descriptors_stay_as_they_are(world):
    printed = {}
    for name, options in (("stock", {"gc": "stock"}), ("snapshot", USUAL)):
        printed[name], said, _ = world.run("descriptors_stay", options=options)
        assert said == []
    assert printed["snapshot"] == printed["stock"]
    assert printed["stock"].startswith("descriptors_stay (True, [True, True, True, True, True], ")


@pytest.mark.parametrize("how", ["execv", "execve", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve"])
def test_exec_leaves_no_child_to_the_next_program(world, how):
    out, said, _ = world.run("executions", 100_000, env={"HOW": how})
    assert (out, said) == ("executions 0 True\n", [])


@pytest.mark.parametrize("objects", [100_000, 400_000])
def test_killing_the_helper_is_harmless(world, objects):
    process = world.start("killed_helpers", objects, env={"HITS": "0" if ON_STOCK else "6"})
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "killed_helpers True True\n"), err
    assert world.left(5) == []
    assert ON_STOCK or int(re.search(r"^hit: (\d+)$", err, re.M)[1]) >= 5
    assert len(re.findall(r"^cairn: .*", err, re.M)) <= 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_helper_ends_with_its_program(world, end):
    """At random moments of a heap large enough that a helper is often there."""
    helped = 0
    for _ in range(4):
        process = world.start("runs_on", 400_000)
        assert process.stdout.readline() == "busy\n"
        wait = time.monotonic() + random.uniform(0.2, 0.6)
        while time.monotonic() < wait and len(world.processes()) < 2:
            pass
        helped += len(world.processes()) > 1
        os.kill(process.pid, end)
        process.communicate(timeout=30)
        assert process.returncode == -end
        assert world.left(5) == []
    assert helped or ON_STOCK


def test_leaving_at_any_moment(world):
    for seed in range(4):
        process = world.start("leaves_at_once", 200_000, env={"SEED": str(seed)})
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "leaves\n", "")
        assert world.left(5) == []


def await_helper(world, process):
    """Comes back when a helper has left the program's group, or after a second."""
    end = time.monotonic() + 1
    while time.monotonic() < end and process.poll() is None:
        try:
            if any(os.getpgid(helper) == helper != process.pid for helper in world.processes()):
                return
        except ProcessLookupError:
            pass


def test_stopping_and_continuing_the_group(world):
    """As a shell's job control does it, while a helper runs in a group of its own."""
    process = world.start("children_unseen", 200_000)
    for _ in range(4):
        await_helper(world, process)
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "children_unseen ([], []) True\n"), err
    assert world.left(5) == []


@pytest.mark.parametrize("options", [USUAL, EVERY_TIME], ids=["usual", "forced"])
def test_the_interpreter_is_finalized(world, options):
    out, said, _ = world.run("ends_in_every_way", 20_000, options=options)
    assert (out, said) == ("ends_in_every_way 100 True\nat exit 100 True\n", [])


# ---- odd worlds ----

def said_once(said, *words):
    """One line that holds the words, if there are any: nothing is said twice."""
    assert len(said) == 1, said
    assert all(word in said[0] for word in words), said


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS, errno.EAGAIN])
def test_clone_is_forbidden(world, build, error):
    front = [build("../snapshot/no_clone.c", output="no_clone"), "any", error]
    out, said, made = world.run("plainly", front=front)
    assert out == "plainly done True\n"
    assert made >= 1
    if not ON_STOCK:
        said_once(said)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EAGAIN])
def test_only_the_joiner_is_forbidden(world, build, error):
    """Snapshots are taken without it, and nothing is said."""
    front = [build("../snapshot/no_clone.c", output="no_clone"), "sharing", error]
    out, said, _ = world.run("joiners", 200_000, front=front)
    assert (out, said) == ("joiners 0 True\n", [])
    assert world.finished() >= 2


def test_no_joiner_without_huge_pages(world):
    out, said, _ = world.run("joiners", 200_000, options=USUAL | {"huge": "never"})
    assert (out, said) == ("joiners 0 True\n", [])
    assert world.finished() >= 2


@needs_joiner
def test_there_is_a_joiner(world):
    """What the tests around this one are about does happen."""
    out, _, _ = world.run("joiners", 200_000)
    assert int(out.split()[1]) >= 1


@needs_joiner
@pytest.mark.parametrize("deed", ["fork", "vfork", "execute", "execute_in_vain", "exit", "end"])
def test_what_a_program_does_while_pages_are_joined(world, deed):
    """What it does then ends well, and nothing is left."""
    out, said, _ = world.run("while_joining", 300_000, env={"DEED": deed})
    printed = {"execute": "executions 0 True\n", "exit": "leaves\n"}
    assert (out, said) == (printed.get(deed, f"while_joining {deed} True\n"), [])


@needs_joiner
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_the_joiner_ends_with_its_program(world, end):
    process = world.start("while_joining", 300_000, env={"DEED": str(int(end))})
    _, err = process.communicate(timeout=60)
    assert process.returncode == -end, err
    assert world.left(5) == []


def open_folder_with_preload():
    """A folder anyone may read, with a copy of the preload: the build's may lie where others may not look."""
    folder = Path(tempfile.mkdtemp(prefix="cairn-test-"))
    folder.chmod(0o755)
    for source in (PRELOAD, WORLDS):
        (folder / source.name).write_bytes(source.read_bytes())
        (folder / source.name).chmod(0o755)
    return folder


def test_no_more_processes_allowed(world):
    """RLIMIT_NPROC, which does not hold for root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become a user without processes")
    folder = open_folder_with_preload()
    front = [require("setpriv"), "--reuid=63999", "--regid=63999", "--clear-groups",
             require("prlimit"), "--nproc=1", "--"]
    environment = world.environment(USUAL)
    if not ON_STOCK:
        environment["LD_PRELOAD"] = str(folder / PRELOAD.name)
    done = subprocess.run([*front, DEBIAN, folder / WORLDS.name, "plainly"], env=environment, cwd=folder,
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "plainly done True\n"), done.stderr
    assert ON_STOCK or len(re.findall("^cairn: ", done.stderr, re.M)) == 1, done.stderr
    assert int(re.search(r"full collections: (\d+)", done.stderr)[1]) >= 1


def can_unshare():
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/proc"], capture_output=True,
                          check=False).returncode == 0


def test_proc_is_not_mounted(world):
    if not can_unshare():
        pytest.skip("may not mount")
    front = [require("unshare"), "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    out, said, made = world.run("plainly", front=front)
    assert out == "plainly done True\n"
    assert made >= 1
    assert len(said) <= 1


def memory_group(name, limit):
    """A control group for memory, of version 1 or 2, with a limit; None if there can be none."""
    for root, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / name
        try:
            group.mkdir()
            (group / file).write_text(str(limit))
            return group
        except OSError:
            if group.is_dir():
                group.rmdir()
    return None


def test_a_containers_memory_limit(world):
    """A heap that takes most of what a container may have: no snapshot may make it die."""
    group = memory_group(f"cairn-{world.token}", 130 << 20)
    if group is None:
        pytest.skip("may not make a control group with a memory limit")
    try:
        front = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        out, said, made = world.run("plainly", 500_000, front=front)
        assert out == "plainly done True\n"
        assert made >= 1
        assert len(said) <= 1
    finally:
        world.end()
        time.sleep(0.1)
        group.rmdir()


def test_memory_is_pinned_for_a_device(world):
    """No snapshot is taken: it would copy that memory at once."""
    out, said, made = world.run("pinned", options=USUAL | {"gc_minimum": 100_000})
    if out == "pinned not allowed True\n":
        pytest.skip("may not register buffers with io_uring")
    assert (out, made >= 1) == ("pinned pinned True\n", True)
    if not ON_STOCK:
        said_once(said, "pinned memory")
        assert snapshots_of(world.figures)["snapshots"] == 0


def test_a_heaps_limit(world):
    out, said, _ = world.run("limited", 20_000, options=USUAL | {"limit": "64M"})
    assert out == "limited 3 True\n"
    assert len(said) <= 1


def test_address_space_is_scarce(world):
    """The helper's tables find no room: it gives up, the program does not."""
    front = [require("prlimit"), f"--as={700 << 20}", "--"]
    out, said, made = world.run("plainly", 200_000, front=front)
    assert (out, made >= 1) == ("plainly done True\n", True)
    assert len(said) <= 1


@pytest.mark.parametrize("choice", ["malloc", "pymalloc", "debug"])
def test_another_allocator_is_chosen(world, choice):
    """Then Cairn does not see what is freed, and the stock collector stays."""
    out, said, made = world.run("plainly", env={"PYTHONMALLOC": choice})
    assert (out, made >= 1) == ("plainly done True\n", True)
    if not ON_STOCK:
        said_once(said, f"PYTHONMALLOC={choice}")


def test_tracing_from_the_start(world):
    out, said, made = world.run("plainly", env={"PYTHONTRACEMALLOC": "1"})
    assert (out, made >= 1) == ("plainly done True\n", True)
    assert len(said) <= 1


SAVING = """
import gc, sys
class Node:
    def __init__(self): self.me = self
    def __del__(self): dead.append(1)
dead = []
gc.collect()
gc.set_debug({flags})
old = [Node() for _ in range(500)]
gc.collect(0), gc.collect(1)
gc.collect()
mark = len(gc.garbage)
del old
gc.collect(0)
print(gc.collect())
found = gc.garbage[mark:]
print(len(dead), len(found), {{type(thing).__name__ for thing in found}}, gc.get_debug(), len(gc.garbage) - mark)
gc.set_debug(0)
del found
gc.garbage.clear()
gc.collect()
print(len(dead))
"""


not_on_stock = pytest.mark.skipif(ON_STOCK, reason="compares with stock")


@not_on_stock
@pytest.mark.parametrize("flags", ["gc.DEBUG_SAVEALL", "gc.DEBUG_COLLECTABLE", "gc.DEBUG_LEAK", "0"])
def test_debug_flags(programs, flags):
    """What gc.set_debug asks for happens to what a snapshot found."""
    def lines(text):
        """What is said of objects; the addresses differ."""
        return sorted(re.sub(r"0x[0-9a-f]+", "0x", line) for line in text.splitlines()
                      if line.startswith("gc: collectable <Node"))

    stock = programs.stock([DEBIAN, "-c", SAVING.format(flags=flags)])
    for options in (USUAL, ASKED_FOR, EVERY_TIME | ASKED_FOR):
        cairn = programs.cairn([DEBIAN, "-c", SAVING.format(flags=flags)], options=options)
        assert (cairn.code, cairn.out) == (0, stock.out), cairn.err
        assert lines(cairn.err) == lines(stock.err)


def test_an_embedding_that_never_starts_python(programs, build):
    """A C program under the same settings has no collector, and nothing is said."""
    outcome = programs.cairn(["/bin/echo", "hello"], options=USUAL)
    assert (outcome.code, outcome.out, outcome.err) == (0, "hello\n", "")


@not_on_stock
@pytest.mark.parametrize("variable, value", [("gc", "sometimes"), ("gc_floating", "-1"), ("gc_copied", "x"),
                                             ("gc_minimum", "many"), ("gc_force", "-5"), ("gc_explicit", "maybe")])
def test_values_that_make_no_sense(programs, variable, value):
    outcome = programs.cairn([DEBIAN, "-c", "print(1)"], options={"gc": "snapshot"} | {variable: value})
    assert (outcome.code, outcome.out) == (0, "1\n")
    line, = outcome.cairn_lines()
    assert f"CAIRN_{variable.upper()}" in line and value in line


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
