# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_replay.py: `cairn replay` and `cairn lab` for their user: geometries of one's own in every form of the results,
lists that are given in several options, the bar on a terminal (and nothing of it elsewhere), files that cannot be
written said before the work, and what is left when it is interrupted."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import CAIRN, REPOSITORY, clean_environment, execute, require

PYTHON = "/usr/bin/python3"
OWN = "arena=2M,pool=32K"
LONG = "arena=4M,pool=512K,align=16,small=1K,medium=16K,reuse=1,return=1,first=48"
FITS = ("best", "first", "next", "worst")


@pytest.fixture
def cairn(tmp_path):
    """cairn(argument...): runs the command in the test's folder."""
    return lambda *arguments, **how: execute([CAIRN, *arguments], clean_environment() | how.pop("env", {}), tmp_path,
                                             **how)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """What Python asks for to make and drop some thousand strings."""
    path = tmp_path_factory.mktemp("recording") / "strings.rec"
    subprocess.run([CAIRN, "record", "-qo", path, "--", PYTHON, "-c", "x = [str(i) for i in range(9000)]; del x[::2]"],
                   env=clean_environment(), check=True)
    return path


@pytest.fixture(scope="module")
def slow_recording(tmp_path_factory):
    """A program that takes two seconds and asks for memory all the time."""
    path = tmp_path_factory.mktemp("recording") / "slow.rec"
    code = "import time\nfor i in range(20):\n    x = [str(i) for i in range(900)]\n    time.sleep(0.1)"
    subprocess.run([CAIRN, "record", "-qo", path, "--", PYTHON, "-c", code], env=clean_environment(), check=True)
    return path


# ---- geometries ----

def policies(cairn, recording, *options):
    """The policies that a replay plays, each checked."""
    outcome = cairn("replay", "--csv", *options, recording)
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert all(row["status"] == "ok" for row in rows)
    return rows


@pytest.mark.parametrize("options, geometries", [
    ([f"--geometry={OWN}"], [OWN]),
    ([f"--geometry={OWN}/{LONG}"], [OWN, LONG]),
    ([f"--geometry={OWN};{LONG};classic"], [OWN, LONG, "classic"]),
    ([f"--geometry=classic,{OWN},cpython"], ["classic", OWN, "cpython"]),
    ([f"--geometry={OWN},default/pool=8K,arena=64K"], [OWN, "default", "pool=8K,arena=64K"]),
    (["--geometry", OWN, "--geometry", "classic,default", "--geometry=pool=8K,arena=64K"],
     [OWN, "classic", "default", "pool=8K,arena=64K"]),
    ([f"--geometry={OWN}/{OWN}/classic", "--geometry=classic"], [OWN, "classic"]),
    ([f"--geometry={OWN},small=1K"], [f"{OWN},small=1K"]),
])
def test_lists_of_geometries(cairn, recording, options, geometries):
    rows = policies(cairn, recording, *options)
    assert [row["geometry"] for row in rows] == [row["policy"] for row in rows] == geometries


def test_a_geometry_of_ones_own_is_played(cairn, recording):
    """Not just named: fields that say what the classic geometry is round as it does, and the default does not."""
    classic = "arena=256K,pool=4K,align=8,small=512,medium=1K,reuse=1,return=1"
    own, preset, default = (row["internal_mean_share"] for row in
                            policies(cairn, recording, f"--geometry={classic}/classic/default"))
    assert own == preset != default


def test_every_fit_and_geometry_with_pools_and_without(cairn, recording):
    """Options that are given again add to their lists; without pools a geometry means nothing."""
    rows = policies(cairn, recording, *(f"--fit={fit}" for fit in FITS), "--pools=on", "--pools=off",
                    f"--geometry={OWN}/classic")
    named = [(row["geometry"], row["fit"], row["pools"]) for row in rows]
    assert named == [(geometry, fit, "on") for geometry in (OWN, "classic") for fit in FITS] + \
        [("default", fit, "off") for fit in FITS]
    assert rows[1]["policy"] == f"{OWN}, first fit" and rows[-1]["policy"] == "no pools, worst fit"


def test_table_and_json_name_the_geometry(cairn, recording):
    outcome = cairn("replay", f"--geometry={LONG}/classic", recording)
    assert outcome.code == 0 and re.search(rf"^{LONG} +\d", outcome.out, re.M)
    assert len({len(line) for line in outcome.out.splitlines()[3:]}) == 1, "the table is not straight"
    document = json.loads(cairn("replay", "--json", f"--geometry={LONG}", "--fit=next", recording).out)
    assert [(play["policy"], play["geometry"]) for play in document["plays"]] == [(f"{LONG}, next fit", LONG)]


def texts(svg):
    """The texts of an SVG file, those of one element joined."""
    return ["".join(re.findall(r">([^<]*)<", element)).strip()
            for element in re.findall(r"<text[ >].*?</text>", svg, re.S)]


def test_plot_names_the_geometry(cairn, recording, tmp_path):
    """Whole in the key, and in lines beside the bars; text that a script could take for its own stays text."""
    require("gnuplot")
    odd = tmp_path / "lib\"odd'\\n.so"
    odd.symlink_to("/lib/x86_64-linux-gnu/libm.so.6")
    copy = tmp_path / "lib\"c'\\n.so"
    copy.write_bytes(odd.resolve().read_bytes())
    outcome = cairn("replay", f"--geometry={LONG}", f"--allocator={copy}", "--plot=plot.svg", recording)
    assert (outcome.code, outcome.err) == (0, "")
    shown = texts((tmp_path / "plot.svg").read_text())
    assert LONG in shown
    assert shown.count("lib&quot;c'\\n.so") + shown.count("lib\"c'\\n.so") == 2
    start = shown.index("arena=4M,pool=512K,")
    assert "".join(shown[start:start + 4]) == LONG


def test_lab_adds_geometries(cairn, tmp_path):
    """Beside all that it compares anyway; every fit with pools and without."""
    require("gnuplot")
    outcome = cairn("lab", "-o", "page.html", f"--geometry={OWN}", f"--geometry={LONG},default", "--", PYTHON, "-c", "")
    assert outcome.code == 0, outcome.err
    rows = re.findall(r"<tr><td>(.*?)</td>", (tmp_path / "page.html").read_text())
    names = [row.replace("<wbr>", "") for row in rows]
    assert len(names) == len(set(names))
    assert {"default", "cpython", "classic", OWN, LONG, "glibc"} <= set(names)
    assert {f"{pools}, {fit} fit" for pools in ("default", "no pools") for fit in FITS} <= set(names)
    heads = re.findall(r"<h3>(.*?)</h3>", (tmp_path / "page.html").read_text())
    assert heads == rows


@pytest.mark.parametrize("value, words", [
    ("", ["unknown geometry ''", "valid: default, cpython, classic, or fields such as"]),
    ("clasic", ["unknown geometry 'clasic', did you mean classic?"]),
    (f"{OWN}/", ["unknown geometry ''"]),
    (f"classic//{OWN}", ["unknown geometry ''"]),
    ("classic,huge", ["unknown geometry 'huge'"]),
    (f"classic/{OWN},huge", [f"in '{OWN},huge'", "unknown key 'huge'"]),
    (f"{OWN}/pool=5K/classic", ["pool=5120: pool_size must be"]),
    ("classic,arena=3M,pool=16K", ["in 'arena=3M,pool=16K': arena=3145728: arena_size must be"]),
    ("arena=1M,pool=16K,arena=2M", ["'arena=2M' is the second of its kind", "write A/B"]),
    ("pool=16K,arena", ["arena needs a value"]),
    (f"{OWN},first=" + "0" * 200, ["longer than 159 bytes"]),
])
@pytest.mark.parametrize("command", ["replay", "lab"])
def test_geometries_that_are_wrong(cairn, tmp_path, command, value, words):
    """One line that names the part at fault, before anything is done."""
    outcome = cairn(command, f"--geometry={value}", "x")
    assert (outcome.code, outcome.out) == (125, "")
    assert re.fullmatch(r"cairn: --geometry: [^\n]+\n", outcome.err)
    for word in words:
        assert word in outcome.err
    assert not list(tmp_path.iterdir())


def test_a_geometry_without_pools_is_refused(cairn, recording):
    outcome = cairn("replay", "--geometry=classic", "--pools=off", recording)
    assert (outcome.code, outcome.out) == (125, "")
    assert re.fullmatch(r"cairn: --geometry and --pools=off exclude each other[^\n]+\n", outcome.err)


def test_too_many_policies(cairn, recording):
    many = "/".join(f"first={16 * i}" for i in range(1, 14))
    outcome = cairn("replay", f"--geometry={many}", "--fit=best,first,next,worst", "--pools=on,off",
                    "--allocator=glibc", "--geometry=classic,default,cpython/pool=8K,arena=64K", recording)
    assert (outcome.code, outcome.out) == (125, "") and "more than 64 policies" in outcome.err


# ---- the bar ----

class Terminal:
    """A command with its stderr, or its stdout too, on a terminal; what it wrote there is in `seen`."""

    def __init__(self, command, cwd, columns=80, stdout=subprocess.PIPE):
        self.master, slave = pty.openpty()
        subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=slave, check=True)
        self.process = subprocess.Popen([str(word) for word in command], cwd=cwd, env=clean_environment(),
                                        stdin=subprocess.DEVNULL, stdout=slave if stdout == "terminal" else stdout,
                                        stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def read(self, until=None, timeout=120):
        """Reads until a pattern has been seen (True), or to the end (False if a pattern was wanted)."""
        deadline = time.monotonic() + timeout
        while until is None or not re.search(until, self.seen):
            assert select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0], self.seen
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the last of the other side is closed
                return until is None
            self.seen += data
        return True

    def end(self):
        out = self.process.stdout.read().decode() if self.process.stdout else ""
        code = self.process.wait(60)
        os.close(self.master)
        return code, out

    def states(self):
        """What the terminal's line showed after each carriage return."""
        shown = []
        for text in self.seen.decode().split("\r")[1:]:
            assert re.fullmatch(r"[^\x1b]*(\x1b\[K)?\n?", text), repr(text)  # erased to its end, or written over
            shown.append(text.replace("\x1b[K", "").rstrip("\n"))
        return shown


BAR = r"\[(#*)( *)\] +(\d+)%  (.*)"


def bars(states):
    """Cells, per cent and words of every state that is a bar."""
    found = [re.fullmatch(BAR, state) for state in states if state]
    assert found and all(found), states
    return [(len(match[1]), len(match[1] + match[2]), int(match[3]), match[4]) for match in found]


@pytest.mark.parametrize("columns", [80, 40])
def test_bar(slow_recording, tmp_path, columns):
    """It appears, advances and vanishes before the table; the line is narrower than the terminal. A paced replay cannot
    be faster than the program was, so it is long enough on every machine."""
    terminal = Terminal([CAIRN, "replay", "--paced", f"--geometry={LONG}/classic", slow_recording], tmp_path, columns)
    assert terminal.read()
    code, out = terminal.end()
    states = terminal.states()
    assert code == 0 and "\r" not in out and "#" not in out
    assert re.search(r"^classic +\d", out, re.M)
    assert states[-1] == "" and "" not in states[:-1], "it does not vanish, or flickers"
    shown = bars(states)
    cells, widths, shares, words = zip(*shown)
    assert list(shares) == sorted(shares) and len(set(shares)) >= 10 and shares[0] < 50 < shares[-1] <= 100
    assert list(cells) == sorted(cells) and cells[0] < cells[-1] <= widths[0] and len(set(widths)) == 1
    assert all(abs(cell / widths[0] - share / 100) < 0.11 for cell, share in zip(cells, shares))
    assert [word for i, word in enumerate(words) if word not in words[:i]] == [LONG[:len(words[0])], "classic"]
    assert max(map(len, states)) < columns
    assert len(words[0]) >= 15


def test_no_bar_where_stderr_is_no_terminal(cairn, slow_recording):
    outcome = cairn("replay", "--paced", slow_recording)
    assert (outcome.code, outcome.err) == (0, "") and "\r" not in outcome.out


def test_no_bar_when_only_stdout_is_a_terminal(slow_recording, tmp_path):
    with open(tmp_path / "errors", "w+") as errors:
        master, slave = pty.openpty()
        process = subprocess.Popen([CAIRN, "replay", "--paced", slow_recording], env=clean_environment(),
                                   stdin=subprocess.DEVNULL, stdout=slave, stderr=errors)
        assert process.wait(120) == 0
        os.close(slave)
        assert b"#" not in os.read(master, 65536)
        os.close(master)
        errors.seek(0)
        assert errors.read() == ""


def test_no_bar_when_it_is_over_soon(recording, tmp_path):
    """What takes no time needs none: on a machine so slow that this takes 0.7 s there may be one, and then it goes."""
    start = time.monotonic()
    terminal = Terminal([CAIRN, "replay", recording], tmp_path)
    assert terminal.read()
    assert terminal.end()[0] == 0
    states = terminal.states()
    assert not states or states[-1] == "" and time.monotonic() - start > 0.7


def test_bar_and_a_fault(slow_recording, tmp_path):
    """What is said after the bar begins a line of its own."""
    library = tmp_path / "libnone.so"
    (tmp_path / "none.c").write_text("#include <stddef.h>\nvoid *malloc(size_t n) { (void)n; return NULL; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "none.c"], check=True)
    terminal = Terminal([CAIRN, "replay", "--paced", f"--allocator={library}", slow_recording], tmp_path)
    assert terminal.read()
    assert terminal.end()[0] in (0, 1)
    last = terminal.seen.decode().replace("\r\n", "\n").split("\r")[-1]
    assert re.fullmatch(r"\x1b\[Kcairn: libnone.so: [^\n]+\n", last), repr(last)


# ---- files and ends ----

@pytest.mark.parametrize("command, option", [("replay", "--plot"), ("lab", "--output"), ("lab", "--keep")])
@pytest.mark.parametrize("path, words", [("/nowhere/x.svg", "No such file or directory"),
                                         ("folder.svg", "Is a directory")])
def test_files_that_cannot_be_written_are_said_first(cairn, tmp_path, command, option, path, words):
    """Before a program is run or a recording is played, and without a trace."""
    require("gnuplot")
    (tmp_path / "folder.svg").mkdir()
    outcome = cairn(command, f"{option}={path}", "true")
    assert (outcome.code, outcome.out) == (125, "")
    assert re.fullmatch(rf"cairn: [^\n]*{option}: cannot write '{path}': {words}[^\n]*\n", outcome.err)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.svg"]


def test_a_full_disk(cairn, recording, tmp_path):
    """gnuplot does not tell; the command does, behind the table."""
    require("gnuplot")
    (tmp_path / "full.svg").symlink_to("/dev/full")
    outcome = cairn("replay", "--plot=full.svg", recording)
    assert outcome.code == 125 and re.search(r"^default +\d", outcome.out, re.M)
    assert outcome.err == "cairn: cannot draw 'full.svg': the picture is not whole; is the disk full?\n"
    outcome = cairn("lab", "-o", "full.svg", "--", PYTHON, "-c", "")
    assert outcome.code == 125 and re.search(r"^cairn: lab: cannot write 'full.svg': No space left", outcome.err, re.M)


def test_lab_keeps_an_old_report_until_there_is_a_new_one(cairn, tmp_path):
    require("gnuplot")
    (tmp_path / "page.html").write_text("old")
    assert cairn("lab", "-o", "page.html", "no-such-program").code == 127
    assert (tmp_path / "page.html").read_text() == "old"
    for keep in ("page.html", "./page.html", str(tmp_path / "page.html")):
        outcome = cairn("lab", "-o", "page.html", f"--keep={keep}", "true")
        assert outcome.code == 125 and "name the same file" in outcome.err
        assert (tmp_path / "page.html").read_text() == "old"
    outcome = cairn("lab", "-o", "new.html", "--keep=./new.html", "true")
    assert outcome.code == 125 and "name the same file" in outcome.err


def test_lab_leaves_nothing_behind_when_it_is_interrupted(tmp_path, slow_recording):
    """Its folder goes, and it ends by the signal."""
    require("gnuplot")
    (tmp_path / "tmp").mkdir()
    code = "import time; x = bytes(10**6); time.sleep(1.5); print('played', flush=True)"
    lab = subprocess.Popen([CAIRN, "lab", "-o", tmp_path / "page.html", "--paced", "--", PYTHON, "-c", code],
                           env=clean_environment() | {"TMPDIR": str(tmp_path / "tmp")}, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    assert lab.stdout.readline() == b"played\n"
    time.sleep(0.5)  # a dozen paced replays of 1.5 s follow
    assert list((tmp_path / "tmp").iterdir())
    lab.send_signal(signal.SIGINT)
    lab.communicate(timeout=60)
    assert lab.returncode == -signal.SIGINT
    assert not list((tmp_path / "tmp").iterdir()) and not (tmp_path / "page.html").exists()


def test_lists_that_are_wrong(cairn):
    for arguments, words in ((["--allocator=/no/such.so"], "cannot read '/no/such.so': No such file"),
                             (["--fit=best", "--fit=", "--fit=next"], "--fit: unknown value ''"),
                             (["--pools=on", "--pools=of"], "did you mean on?")):
        outcome = cairn("replay", *arguments, "x")
        assert outcome.code == 125 and words in outcome.err, outcome.err


# ---- man pages ----

@pytest.mark.parametrize("command", ["replay", "lab"])
def test_man_page_has_every_option(cairn, command):
    require("mandoc")
    page = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", f"docs/man/cairn-{command}.1"],
                          cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    page = re.sub(r".\x08", "", page)
    options = set(re.findall(r"(?<![\w-])--[a-z]+", cairn(command, "--help").out.split("Options")[0] +
                             re.sub(r"'cairn.*?'", "", cairn(command, "--help").out)))
    assert len(options) > 5
    for option in options:
        assert option in page.split("DESCRIPTION")[0], option
        assert re.search(rf"^ +(-\w.*, )?{option}\b|, {option}\b", page.split("DESCRIPTION")[1], re.M), option
