# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""git on Cairn: a generated history of several hundred commits is imported, cloned, repacked, checked and read; every
output and every object is what it is on the system's allocator."""

import random

import pytest

from conftest import REPOSITORY, clean_environment, execute, require

COMMITS = 600
FILES = 60
# One thread, so that packs do not depend on timing; no configuration of the machine or the user.
SETTINGS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file"}
ONE_THREAD = ["-c", "pack.threads=1", "-c", "index.threads=1", "-c", "gc.auto=0"]


def history():
    """A stream for git fast-import: COMMITS commits on main with a side branch merged now and then."""
    source = random.Random(42)
    lines = {number: [f"line {row} of file {number}" for row in range(80)] for number in range(FILES)}
    parts = []
    for commit in range(1, COMMITS + 1):
        message = f"Change {commit}\n\n" + " ".join(source.choices("pool block arena class free".split(), k=20)) + "\n"
        when = f"Author <author@example.org> {1700000000 + commit * 60} +0000"
        parts.append(f"commit refs/heads/{'side' if commit % 10 == 9 else 'main'}\nmark :{commit}\nauthor {when}\n"
                     f"committer {when}\ndata {len(message)}\n{message}\n")
        if commit % 10 == 9:
            parts.append(f"from :{commit - 1}\n")
        elif commit % 10 == 0:
            parts.append(f"from :{commit - 2}\nmerge :{commit - 1}\n")
        for number in source.sample(range(FILES), 4):
            row = source.randrange(80)
            lines[number][row] = f"line {row} of file {number}, change {commit}: {source.getrandbits(400):x}"
            text = "\n".join(lines[number]) + "\n"
            parts.append(f"M 100644 inline folder{number % 7}/file{number}.txt\ndata {len(text)}\n{text}\n")
    return "".join(parts) + "done\n"


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A bare repository with the history, made on the system's allocator."""
    git = require("git")
    folder = tmp_path_factory.mktemp("git") / "origin.git"
    environment = clean_environment() | SETTINGS
    for command, text in ((["init", "-q", "--bare", "-b", "main", folder], ""),
                          (["--git-dir", folder, "fast-import", "--quiet", "--done"], history())):
        outcome = execute([git, *command], environment, folder.parent, stdin=text)
        assert outcome.code == 0, outcome.err
    return folder


class Git:
    """git in one repository, with one allocator."""

    def __init__(self, run, folder):
        self.run, self.folder = run, folder

    def __call__(self, *arguments, cwd=None, stdin=""):
        outcome = self.run([require("git"), *ONE_THREAD, *arguments], cwd=cwd or self.folder, env=SETTINGS, stdin=stdin)
        assert (outcome.code, outcome.cairn_lines()) == (0, []), f"{arguments}: {outcome.code} {outcome.err}"
        self.last = outcome
        return outcome.out


def read_everything(git):
    """What a user reads from a history, and the names and contents of all objects."""
    return {
        "log": git("log", "--stat", "-p", "--all", "--date-order", "-M", "-C"),
        "graph": git("log", "--graph", "--oneline", "--all"),
        "blame": git("blame", "-w", "-C", "folder3/file3.txt"),
        "objects": git("cat-file", "--batch-all-objects", "--batch-check"),
        "fsck": git("fsck", "--full", "--strict"),
        "grep": git("grep", "-n", "-e", "change 5[0-9]*:", "main"),
        "shortlog": git("shortlog", "-sn", "--all"),
    }


def test_clone_repack_and_read(programs, tmp_path, origin):
    seen = {}
    for name, run in (("stock", programs.stock), ("cairn", programs.cairn), ("counted", programs.counted)):
        folder = tmp_path / name
        folder.mkdir()
        git = Git(run, folder)
        git("clone", "-q", f"file://{origin}", "work")
        work = Git(run, folder / "work")
        work("gc", "--aggressive", "--prune=now", "--quiet")
        seen[name] = read_everything(work)
        if name == "counted":
            work("log", "-p", "--all")
            assert work.last.requests() > 10000
    assert seen["cairn"] == seen["stock"]
    assert seen["counted"] == seen["stock"]
    assert seen["stock"]["graph"].count("Change") == COMMITS


def test_import_gives_the_same_packs(programs, tmp_path):
    stream, packs = history(), []
    for name, run in (("stock", programs.stock), ("cairn", programs.cairn)):
        git = Git(run, tmp_path)
        git("init", "-q", "--bare", "-b", "main", name)
        there = Git(run, tmp_path / name)
        there("fast-import", "--quiet", "--done", stdin=stream)
        there("repack", "-adfq", "--depth=50", "--window=50")
        packs.append([path.read_bytes() for path in sorted((tmp_path / name / "objects/pack").glob("*.pack"))])
    assert packs[0] == packs[1] and len(packs[0]) == 1


def test_work_with_threads(programs, tmp_path, origin):
    """The commands that use threads by default: repack, index-pack, grep, checkout of many files."""
    folder = tmp_path / "threads"
    settings = SETTINGS | {"GIT_TEST_INDEX_THREADS": "2"}

    def git(*arguments, cwd=folder):
        outcome = programs.cairn([require("git"), *arguments], cwd=cwd, env=settings)
        assert (outcome.code, outcome.cairn_lines()) == (0, []), outcome.err
        return outcome.out

    git("clone", "-q", f"file://{origin}", folder, cwd=tmp_path)
    for _ in range(3):
        git("-c", "pack.threads=4", "repack", "-adfq", "--window=30")
        git("-c", "grep.threads=8", "grep", "-c", "line")
        git("checkout", "-q", "main~300")
        git("checkout", "-q", "main")
    assert git("fsck", "--full") == ""
    assert git("status", "--porcelain") == ""


def test_clone_of_this_repository(programs, tmp_path):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    heads = []
    for name, run in (("stock", programs.stock), ("cairn", programs.cairn)):
        git = Git(run, tmp_path)
        safe = ["-c", f"safe.directory={REPOSITORY}", "-c", f"safe.directory={REPOSITORY}/.git"]
        git(*safe, "clone", "-q", "--no-local", "--mirror", REPOSITORY, name)
        there = Git(run, tmp_path / name)
        there("fsck", "--full")
        heads.append(there("for-each-ref") + there("rev-list", "--all", "--objects"))
    assert heads[0] == heads[1]
