# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_cli.py: the command `cairn`: what it passes on, what it refuses and in which words, where it finds the preload,
which variables its options set, and that help, man pages, header and library name the same things."""

import json
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, CAIRN, PRELOAD, REPOSITORY, TIMEOUT, clean_environment, execute, require

PYTHON = "/usr/bin/python3"
HEADER = (REPOSITORY / "include/cairn.h").read_text()
VERSION = re.search(r'CAIRN_VERSION_STRING "(.*)"', HEADER)[1]
OPTIONS_C = (REPOSITORY / "src/heap/options.c").read_text()
MAN = {name: (REPOSITORY / "docs/man" / name).read_text() for name in ("cairn.1", "cairn-run.1", "cairn.3")}
PRESETS = {
    "classic": {"arena_size": 262144, "pool_size": 4096, "alignment": 8, "small_limit": 512},
    "cpython": {"arena_size": 1048576, "pool_size": 16384, "alignment": 16, "small_limit": 512},
}
MAPPED = "grep -c libcairn-preload /proc/$$/maps"


@pytest.fixture
def cairn(tmp_path):
    """cairn(argument...): runs the command in the test's folder."""

    def call(*arguments, env=None, command=CAIRN, **how):
        return execute([command, *arguments], clean_environment() | (env or {}), how.pop("cwd", tmp_path), **how)

    return call


@pytest.fixture
def run(cairn):
    """run(argument...): the same for `cairn run`."""
    return lambda *arguments, **how: cairn("run", *arguments, **how)


def refused(outcome, status, *parts):
    """The command said one line that contains the parts, and nothing else."""
    assert (outcome.code, outcome.out) == (status, "")
    assert re.fullmatch(r"cairn: [^\n]+\n", outcome.err), outcome.err
    for part in parts:
        assert part in outcome.err
    return True


def script(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return path


def environment_of(outcome):
    """The environment that a run of `env -0` shows."""
    assert outcome.code == 0, outcome.err
    return dict(entry.split("=", 1) for entry in outcome.out.split("\0") if entry)


# ---- help, version, usage ----

def help_options(text):
    """Option, its argument as shown, and its variable, of each option in a help text."""
    entries = re.split(r"\n  (?=-)", text.split("Options", 1)[1].split("\n\n")[0])[1:]
    rows = {}
    for entry in entries:
        name, argument = re.match(r"(?:-h, )?(--[a-z-]+)(\S*)", entry).groups()
        variable = re.search(r"\[(CAIRN_[A-Z_]+)\]", entry)
        rows[name] = (argument, variable and variable[1])
    return rows


def test_help_of_the_command(cairn):
    outcome = cairn("--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Usage: cairn COMMAND")
    for command in ("run", "help"):
        assert re.search(rf"^  {command}  +\S", outcome.out, re.M)
        assert cairn("help", command).out == cairn(command, "--help" if command == "run" else "help").out
    assert cairn("-h").out == cairn("help").out == outcome.out


def test_help_of_run(cairn):
    outcome = cairn("run", "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == cairn("run", "-h").out == cairn("help", "run").out
    assert len(help_options(outcome.out)) == 23
    assert max(map(len, outcome.out.splitlines())) <= 85


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(cairn, option):
    outcome = cairn(option)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"cairn {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["help", "run"]])
def test_output_that_cannot_be_written(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([CAIRN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    assert done.returncode == 125
    assert done.stderr == "cairn: cannot write to stdout: No space left on device\n"


@pytest.mark.parametrize("arguments, parts", [
    ([], ["no command", "cairn --help"]),
    (["rnu", "ls"], ["unknown command 'rnu'", "did you mean 'cairn run'"]),
    (["ls"], ["unknown command 'ls'", "cairn run -- ls"]),
    (["no-such-thing"], ["unknown command 'no-such-thing'", "cairn --help"]),
    (["--nope"], ["unknown option '--nope'", "cairn --help"]),
    (["help", "rum"], ["unknown command 'rum'", "cairn run"]),
    (["help", "run", "now"], ["'now'"]),
    (["run"], ["no program given", "cairn run"]),
    (["run", "--"], ["no program given"]),
    (["run", "--stats"], ["no program given"]),
    (["run", "--nope", "ls"], ["unknown option '--nope'", "cairn run --help"]),
    (["run", "-x", "ls"], ["unknown option '-x'"]),
    (["run", "--geometri=classic", "ls"], ["unknown option '--geometri=classic'"]),
    (["run", "--limits", "1M", "ls"], ["unknown option '--limits'", "did you mean --limit?"]),
    (["run", "--stats=yaml", "ls"], ["--stats", "'yaml'", "text, json"]),
    (["run", "--stats=jsn", "ls"], ["did you mean json?"]),
    (["run", "--geometry=square", "ls"], ["--geometry", "'square'", "classic, cpython, default"]),
    (["run", "--geometry=", "ls"], ["--geometry", "''", "classic, cpython, default"]),
    (["run", "--geometry=arena=3M", "ls"], ["--geometry: arena=3145728: arena_size must be a power of two from 4 to 64"]),
    (["run", "--geometry=pool=0", "ls"], ["pool=0: pool_size", "4 KiB to 512 KiB"]),
    (["run", "--geometry=pool=-4K", "ls"], ["pool='-4K' must be bytes"]),
    (["run", "--geometry=pool=16K,pool=16K", "ls"], ["pool is given twice"]),
    (["run", "--geometry=size=16K", "ls"], ["unknown key 'size'", "arena, pool, align"]),
    (["run", "--geometry=pool=99999999999T", "ls"], ["pool='99999999999T'"]),
    (["run", "--fit=tight", "ls"], ["--fit", "'tight'", "best, first, next, worst"]),
    (["run", "--huge=yes", "ls"], ["--huge", "'yes'", "never, auto, always"]),
    (["run", "--pools=no", "ls"], ["--pools", "'no'", "on, off"]),
    (["run", "--pools", "ls"], ["--pools", "'ls'", "on, off"]),
    (["run", "--pools=off", "--geometry=classic", "ls"], ["--geometry and --pools=off exclude each other"]),
    (["run", "--misuse=ignore", "ls"], ["--misuse", "'ignore'", "abort, report"]),
    (["run", "--no-python=1", "ls"], ["--no-python takes no value"]),
    (["run", "--limit"], ["--limit needs a value", "--limit=SIZE"]),
    (["run", "--limit=", "ls"], ["--limit", "''"]),
    (["run", "--limit=-1", "ls"], ["--limit", "'-1'", "512M"]),
    (["run", "--limit=1.5G", "ls"], ["'1.5G'"]),
    (["run", "--limit=5X", "ls"], ["'5X'"]),
    (["run", "--limit=5KK", "ls"], ["'5KK'"]),
    (["run", "--limit=9000000T", "ls"], ["'9000000T'"]),
    (["run", "--limit=99999999999999999999", "ls"], ["'99999999999999999999'"]),
    (["run", "--purge-delay=1s", "ls"], ["--purge-delay", "'1s'", "milliseconds"]),
    (["run", "--purge-delay=4294967296", "ls"], ["'4294967296'", "4294967295"]),
    (["run", "--stats-children", "--no-children", "ls"], ["--stats-children", "--no-children"]),
    (["run", "--stats-file=", "ls"], ["--stats-file", "empty"]),
    (["run", "--stats-file=/no-such-folder/x", "ls"], ["--stats-file", "'/no-such-folder'"]),
    (["run", "--stats-file=/etc", "ls"], ["'/etc' is a folder"]),
    (["run", "--stats-file=/etc/passwd/x", "ls"], ["'/etc/passwd' is not a folder"]),
    (["run", "--stats-file=nothing/", "ls"], ["'nothing/' is a folder"]),
    (["run", "--stats-file=/" + "x" * 5000, "ls"], ["--stats-file", "too long"]),
    (["run", "--leaks-file=", "ls"], ["--leaks-file", "empty"]),
    (["run", "--leaks-file=/no-such-folder/x", "ls"], ["--leaks-file", "'/no-such-folder'"]),
    (["run", "--leaks-file=/etc", "ls"], ["--leaks-file: '/etc' is a folder"]),
    (["run", "--leaks-file=/" + "x" * 5000, "ls"], ["--leaks-file", "too long"]),
    (["run", "--leaks-frames=65", "ls"], ["--leaks-frames", "'65'", "1 to 64"]),
    (["run", "--gc=snapshto", "ls"], ["--gc", "'snapshto'", "did you mean snapshot?"]),
    (["run", "--gc=", "ls"], ["--gc", "''", "stock, snapshot"]),
    (["run", "--gc"], ["--gc needs a value", "--gc=stock|snapshot"]),
    (["run", "--gc=snapshot", "--no-python", "ls"], ["--gc=snapshot and --no-python exclude each other"]),
    (["run", "--gc-floating=0", "ls"], ["--gc-floating", "'0'", "1 to 100"]),
    (["run", "--gc-floating=101", "ls"], ["--gc-floating", "'101'", "1 to 100"]),
    (["run", "--gc-floating=10%", "ls"], ["--gc-floating", "'10%'", "1 to 100"]),
    (["run", "--gc-copied=-1", "ls"], ["--gc-copied", "'-1'", "1 to 100"]),
    (["run", "--gc-copied=0.5", "ls"], ["--gc-copied", "'0.5'", "1 to 100"]),
    (["run", "--gc-explicit=yes", "ls"], ["--gc-explicit", "'yes'", "exact, snapshot"]),
    (["run", "--gc-minimum=1e6", "ls"], ["--gc-minimum", "'1e6'", "100000"]),
    (["run", "--gc-slices=-1", "ls"], ["--gc-slices", "'-1'", "2000"]),
    (["run", "--gc-minimum=9223372036854775808", "ls"], ["--gc-minimum", "'9223372036854775808'"]),
    (["run", "--gc-trace=", "ls"], ["--gc-trace", "empty", "trace-%p.json"]),
    (["run", "--gc-trace=/no-such-folder/x", "ls"], ["--gc-trace", "'/no-such-folder'"]),
    (["run", "--gc-trace=/etc", "ls"], ["--gc-trace: '/etc' is a folder"]),
    (["run", "--gc-tracee=x", "ls"], ["unknown option '--gc-tracee=x'"]),
])
def test_usage_errors(cairn, arguments, parts):
    assert refused(cairn(*arguments), 125, *parts)


def test_stats_file_in_a_folder_that_cannot_be_written(run):
    """/proc refuses new files to root too."""
    assert refused(run("--stats-file=/proc/sys/cairn", "ls"), 125, "cannot write in '/proc/sys'")


# ---- what is passed on ----

@pytest.mark.parametrize("status", [0, 1, 42, 125, 126, 127, 255])
def test_exit_status(run, status):
    outcome = run("--", "sh", "-c", f"exit {status}")
    assert (outcome.code, outcome.out, outcome.err) == (status, "", "")


def test_program_killed_by_a_signal(run, tmp_path):
    assert run("sh", "-c", "kill -TERM $$").code == -signal.SIGTERM
    shell = execute(["sh", "-c", f"'{CAIRN}' run sh -c 'kill -TERM $$'; echo $?"], clean_environment(), tmp_path)
    assert shell.out == f"{128 + signal.SIGTERM}\n"


def test_signal_and_process_id_are_the_programs():
    body = "trap 'exit 7' TERM; echo $$ $CAIRN_RUN_PID; while :; do sleep 0.1; done"
    process = subprocess.Popen([CAIRN, "run", "sh", "-c", body], env=clean_environment(), stdout=subprocess.PIPE,
                               text=True)
    try:
        assert process.stdout.readline().split() == [str(process.pid)] * 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 7
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_standard_streams(run):
    outcome = run("sh", "-c", "cat; echo problem >&2", stdin="through\n")
    assert (outcome.code, outcome.out, outcome.err) == (0, "through\n", "problem\n")


def test_arguments_of_any_bytes(tmp_path):
    arguments = [b"", b" ", b"--stats", b"-h", b"--", b"a b", b"\xff\xfe", b"line\nline", b"'\"\\$HOME", b"%p",
                 b"x" * 100000]
    show = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    done = subprocess.run([bytes(CAIRN), b"run", b"--", PYTHON, b"-c", show, *arguments], env=clean_environment(),
                          capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split(b"\0") == arguments


def test_options_after_the_program_are_the_programs(run):
    assert run("echo", "--stats", "--help").out == "--stats --help\n"


def test_a_program_whose_name_begins_with_a_dash(run, tmp_path):
    script(tmp_path / "-h", "#!/bin/sh\necho dashing\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert run("--", "-h", env=env).out == "dashing\n"
    assert run("-h", env=env).out.startswith("Usage:")


# ---- finding the program ----

@pytest.mark.parametrize("name, parts", [
    ("no-such-program", ["'no-such-program' in PATH"]),
    ("./no-such-program", ["'./no-such-program'", "path"]),
    ("/etc/passwd/x", ["'/etc/passwd/x'"]),
    ("", ["''"]),
])
def test_program_not_found(run, name, parts):
    assert refused(run("--", name), 127, *parts)


def test_program_not_found_after_stats(run):
    assert refused(run("--stats", "json", "ls"), 127, "--stats=json")
    assert refused(run("--leaks", "json", "ls"), 127, "--leaks=json")
    assert refused(run("--leaks", "fail,all", "ls"), 127, "--leaks=fail,all")
    assert refused(run("--stats", "fail", "ls"), 127, "no program 'fail' in PATH; check the name")


def test_message_of_a_name_with_control_bytes(run):
    assert refused(run("--", "./bad\nname\x1b[2J"), 127, "'./bad?name?[2J'")


def test_program_not_executable(run, tmp_path):
    plain = script(tmp_path / "plain", "#!/bin/sh\n", 0o644)
    assert refused(run(plain), 126, str(plain), "not an executable file")
    assert refused(run(tmp_path), 126, str(tmp_path), "not an executable file")
    assert refused(run("plain", env={"PATH": str(tmp_path)}), 126, "'plain'")


def test_interpreter_missing(run, tmp_path):
    lost = script(tmp_path / "lost", "#!/no/such/interpreter -x\n")
    assert refused(run(lost), 126, str(lost), "'/no/such/interpreter' does not exist")
    odd = script(tmp_path / "odd", "#!/etc/passwd\n")
    assert refused(run(odd), 126, str(odd), "'/etc/passwd' is not executable")


def test_script_that_names_itself(run, tmp_path):
    endless = tmp_path / "endless"
    script(endless, f"#!{endless}\n")
    assert refused(run(endless), 126, str(endless))


def test_file_that_is_no_program(run, tmp_path):
    junk = tmp_path / "junk"
    junk.write_bytes(b"\x01\x00\x02\x00junk")
    junk.chmod(0o755)
    assert refused(run(junk), 126, str(junk), "for this machine")


def test_search_goes_as_execvp_does(run, tmp_path):
    """Files that cannot be executed and folders are passed over; an empty element is the working folder."""
    for folder in ("a", "b", "c", "here"):
        (tmp_path / folder).mkdir()
    script(tmp_path / "a/tool", "#!/bin/sh\necho a\n", 0o644)
    (tmp_path / "b/tool").mkdir()
    script(tmp_path / "c/tool", "#!/bin/sh\necho c\n")
    script(tmp_path / "here/tool", "#!/bin/sh\necho here\n")
    env = {"PATH": f"/nowhere:{tmp_path}/a:{tmp_path}/b:{tmp_path}/c"}
    assert run("tool", env=env, cwd=tmp_path / "here").out == "c\n"
    assert run("tool", env={"PATH": f":{tmp_path}/c"}, cwd=tmp_path / "here").out == "here\n"
    environment = {name: value for name, value in clean_environment().items() if name != "PATH"}
    assert execute([CAIRN, "run", "sh", "-c", "echo found"], environment, tmp_path).out == "found\n"


def test_folders_that_may_not_be_searched(tmp_path):
    """In PATH they are passed over; in a path they are the reason."""
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if subprocess.run([*user, CAIRN, "--version"], capture_output=True).returncode != 0:
        pytest.skip("another user cannot reach the build folder")
    closed = tmp_path / "closed"
    closed.mkdir()
    script(closed / "tool", "#!/bin/sh\n")
    closed.chmod(0)
    environment = clean_environment() | {"PATH": f"{closed}:/usr/bin:/bin"}
    try:
        found = execute([*user, CAIRN, "run", "echo", "found"], environment, "/")
        assert (found.code, found.out, found.err) == (0, "found\n", "")
        assert refused(execute([*user, CAIRN, "run", "tool"], environment, "/"), 127, "'tool' in PATH")
        assert refused(execute([*user, CAIRN, "run", closed / "tool"], environment, "/"), 126, "may not be searched")
    finally:
        closed.chmod(0o755)


def test_scripts(run, tmp_path):
    """The last is a text without `#!`, which execvp() gives to the shell."""
    for name, text in [("sh", "#!/bin/sh\n"), ("blank", "#! \t/bin/sh -e\n"), ("none", "")]:
        path = script(tmp_path / name, f'{text}echo "$0" "$@"\n{MAPPED} >/dev/null && echo on cairn\n')
        outcome = run(path, "x y", "z")
        assert (outcome.code, outcome.out, outcome.err) == (0, f"{path} x y z\non cairn\n", "")


# ---- programs that cannot be preloaded ----

@pytest.fixture(scope="module")
def static_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    (folder / "main.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n'
        'int main(void) { puts(getenv("LD_PRELOAD") ? "preload set" : "preload not set"); return 3; }\n')
    subprocess.run(["gcc", "-static", "main.c", "-o", "program"], cwd=folder, check=True)
    subprocess.run(["gcc", "-static-pie", "main.c", "-o", "pie"], cwd=folder, check=True)
    return folder / "program"


def test_static_program(run, static_program):
    for program in (static_program, static_program.with_name("pie")):
        outcome = run(program)
        assert (outcome.code, outcome.out) == (3, "preload set\n")
        assert len(outcome.cairn_lines()) == 1
        assert f"'{program}' is statically linked and runs without Cairn" in outcome.err


def test_static_program_whose_children_are_to_run_without(run, static_program):
    """It cannot take the preload out of its environment itself."""
    assert run("--no-children", static_program).out == "preload not set\n"


def test_static_interpreter(run, static_program, tmp_path):
    path = script(tmp_path / "script", f"#!{static_program}\n")
    outcome = run(path)
    assert outcome.code == 3
    assert f"'{static_program}' is statically linked" in outcome.err


def program_of_32_bits(path):
    """The smallest program for i386: exit(7)."""
    code = bytes([0xB8, 1, 0, 0, 0, 0xBB, 7, 0, 0, 0, 0xCD, 0x80])  # mov eax, 1; mov ebx, 7; int 0x80
    base, start = 0x08048000, 52 + 32
    ident = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + start, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, start + len(code), start + len(code), 5, 4096)
    path.write_bytes(header + segment + code)
    path.chmod(0o755)


def test_program_of_another_word_size(run, tmp_path):
    """Where the kernel runs no 32-bit programs, the refusal follows the warning."""
    program = tmp_path / "small"
    program_of_32_bits(program)
    outcome = run(program)
    lines = outcome.cairn_lines()
    assert f"'{program}' is for another machine or word size" in lines[0]
    assert outcome.code == 7 and len(lines) == 1 or outcome.code == 126 and "for this machine" in lines[1]


def test_program_of_another_machine(run, tmp_path):
    program = tmp_path / "foreign"
    image = bytearray(Path("/bin/true").read_bytes())
    image[18:20] = struct.pack("<H", 0xFEED)
    program.write_bytes(image)
    program.chmod(0o755)
    outcome = run(program)
    assert outcome.code == 126
    assert "for another machine" in outcome.cairn_lines()[0]
    assert "for this machine; see file(1)" in outcome.cairn_lines()[1]


def setuid_program(folder):
    """A program that raises privileges and exits with 0, or None."""
    if os.geteuid() == 0 and not os.statvfs(folder).f_flag & os.ST_NOSUID:
        program = folder / "raised"
        shutil.copy("/bin/true", program)
        os.chown(program, 65534, -1)
        program.chmod(0o4755)
        folder.chmod(0o755)
        return [program]
    su = shutil.which("su")
    return [su, "--version"] if su and os.stat(su).st_mode & stat.S_ISUID and os.geteuid() != 0 else None


def test_setuid_program(run, tmp_path):
    command = setuid_program(tmp_path)
    if command is None:
        pytest.skip("no setuid program can be had here")
    outcome = run(*command)
    assert outcome.code == 0
    assert "raises privileges" in outcome.cairn_lines()[0]


def test_setuid_to_oneself_raises_nothing(run, tmp_path):
    program = tmp_path / "mine"
    shutil.copy("/bin/cat", program)
    program.chmod(0o4755)
    outcome = run(program, "/proc/self/maps")
    assert (outcome.code, outcome.err) == (0, "")
    assert str(PRELOAD) in outcome.out


def test_the_loader_itself_is_preloaded(run):
    loader = re.search(r"interpreter: (\S+?)\]?\n", subprocess.run(["readelf", "-l", "/bin/cat"], capture_output=True,
                                                                  text=True, check=True).stdout)[1]
    outcome = run(loader, "/bin/cat", "/proc/self/maps")
    assert (outcome.code, outcome.err) == (0, "")
    assert str(PRELOAD) in outcome.out


# ---- the preload library ----

def preloads(outcome):
    """Paths of the preload libraries in the maps that the outcome shows."""
    assert outcome.code == 0, outcome.err
    return set(re.findall(r"(\S+libcairn-preload\S*)$", outcome.out, re.M))


def test_build_folder(run):
    assert preloads(run("cat", "/proc/self/maps")) == {str(PRELOAD)}


def test_build_folder_through_a_link(cairn, tmp_path):
    (tmp_path / "link").symlink_to(CAIRN)
    assert preloads(cairn("run", "cat", "/proc/self/maps", command=tmp_path / "link")) == {str(PRELOAD)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not os.access(BUILD, os.W_OK):
        pytest.skip("cmake notes what it installs in the build folder, which is read-only")
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True,
                   env=clean_environment())
    return prefix


def test_installed(cairn, installed):
    command = installed / "bin/cairn"
    found = preloads(cairn("run", "cat", "/proc/self/maps", command=command))
    assert len(found) == 1
    assert found.pop().startswith(str(installed) + "/")
    assert cairn("--version", command=command).out == f"cairn {VERSION}\n"


@pytest.mark.parametrize("library_folder", ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/any-name"])
def test_installed_layouts(cairn, tmp_path, library_folder):
    (tmp_path / "bin").mkdir()
    folder = tmp_path / library_folder / "cairn"
    folder.mkdir(parents=True)
    command = shutil.copy(CAIRN, tmp_path / "bin/cairn")
    shutil.copy(PRELOAD, folder)
    outcome = cairn("run", "cat", "/proc/self/maps", command=command)
    assert preloads(outcome) == {str(folder / PRELOAD.name)}


def test_preload_missing(cairn, tmp_path):
    command = shutil.copy(CAIRN, tmp_path / "cairn")
    assert refused(cairn("run", "ls", command=command), 125, "cannot find libcairn-preload.so", str(tmp_path),
                   "CAIRN_PRELOAD")


def test_preload_named(cairn, tmp_path):
    command = shutil.copy(CAIRN, tmp_path / "cairn")
    outcome = cairn("run", "cat", "/proc/self/maps", command=command, env={"CAIRN_PRELOAD": str(PRELOAD)})
    assert (outcome.err, preloads(outcome)) == ("", {str(PRELOAD)})
    outcome = cairn("run", "env", "-0", command=command, env={"CAIRN_PRELOAD": str(PRELOAD)})
    assert "CAIRN_PRELOAD" not in environment_of(outcome)


def test_preload_named_by_a_relative_path(run, tmp_path):
    (tmp_path / "here.so").symlink_to(PRELOAD)
    outcome = run("sh", "-c", "cd /; cat /proc/self/maps", env={"CAIRN_PRELOAD": "here.so"})
    assert (outcome.err, preloads(outcome)) == ("", {str(PRELOAD)})


@pytest.mark.parametrize("value, parts", [
    ("/no/such/file.so", ["CAIRN_PRELOAD names '/no/such/file.so'", "No such file"]),
    ("/etc/passwd", ["'/etc/passwd' is no shared library"]),
    ("/usr", ["'/usr' is no shared library"]),
])
def test_preload_named_wrongly(run, value, parts):
    assert refused(run("ls", env={"CAIRN_PRELOAD": value}), 125, *parts)


@pytest.mark.parametrize("folder", ["a b", "a:b", "a$LIB"])
def test_preload_that_ld_preload_cannot_name(cairn, tmp_path, folder):
    (tmp_path / folder).mkdir()
    command = shutil.copy(CAIRN, tmp_path / folder / "cairn")
    shutil.copy(PRELOAD, tmp_path / folder)
    assert refused(cairn("run", "ls", command=command), 125, "LD_PRELOAD cannot name", folder, "CAIRN_PRELOAD")
    named = cairn("run", "cat", "/proc/self/maps", command=command, env={"CAIRN_PRELOAD": str(PRELOAD)})
    assert preloads(named) == {str(PRELOAD)}


def test_preload_goes_before_others(run):
    other = "libm.so.6"
    assert environment_of(run("env", "-0", env={"LD_PRELOAD": other}))["LD_PRELOAD"] == f"{PRELOAD}:{other}"
    assert environment_of(run("env", "-0", env={"LD_PRELOAD": ""}))["LD_PRELOAD"] == str(PRELOAD)


def test_run_inside_run(run):
    outcome = run("--stats=json", CAIRN, "run", "env", "-0")
    assert outcome.out.count("libcairn-preload.so") == 1
    assert len(outcome.err.splitlines()) == 1
    assert json.loads(outcome.err)["program"] == "env"


# ---- options and variables ----

@pytest.mark.parametrize("arguments, variables", [
    ([], {}),
    (["--stats"], {"STATS": "text"}),
    (["--stats=text"], {"STATS": "text"}),
    (["--stats=json"], {"STATS": "json"}),
    (["--stats-file=/dev/null"], {"STATS": "text", "STATS_FILE": "/dev/null"}),
    (["--stats-file", "/dev/null", "--stats=json"], {"STATS": "json", "STATS_FILE": "/dev/null"}),
    (["--stats-children"], {"STATS": "text", "STATS_CHILDREN": "1"}),
    (["--leaks-file=/dev/null"], {"LEAKS": "text", "LEAKS_FILE": "/dev/null"}),
    (["--leaks-file=/dev/null", "--leaks=json"], {"LEAKS": "json", "LEAKS_FILE": "/dev/null"}),
    (["--leaks-frames=12", "--leaks-file=/dev/null"],
     {"LEAKS": "text", "LEAKS_FILE": "/dev/null", "LEAKS_FRAMES": "12"}),
    (["--no-children"], {"CHILDREN": "0"}),
    (["--geometry=classic"], {"GEOMETRY": "classic"}),
    (["--geometry", "cpython"], {"GEOMETRY": "cpython"}),
    (["--geometry=cpython", "--geometry=default"], {"GEOMETRY": "default"}),
    (["--geometry=arena=2M,pool=32K"], {"GEOMETRY": "arena=2M,pool=32K"}),
    (["--geometry=classic", "--pools=on"], {"GEOMETRY": "classic", "POOLS": "on"}),
    (["--fit=next", "--pools", "off"], {"FIT": "next", "POOLS": "off"}),
    (["--huge=always"], {"HUGE": "always"}),
    (["--limit=0"], {"LIMIT": "0"}),
    (["--limit=123456789"], {"LIMIT": "123456789"}),
    (["--limit=65536K"], {"LIMIT": "67108864"}),
    (["--limit", "512m"], {"LIMIT": "536870912"}),
    (["--limit=3GiB"], {"LIMIT": "3221225472"}),
    (["--limit=2TB"], {"LIMIT": "2199023255552"}),
    (["--limit=8589934591G"], {"LIMIT": "9223372035781033984"}),
    (["--purge-delay=0"], {"PURGE_DELAY": "0"}),
    (["--purge-delay=4294967295"], {"PURGE_DELAY": "4294967295"}),
    (["--misuse=abort"], {"MISUSE": "abort"}),
    (["--misuse=report"], {"MISUSE": "report"}),
    (["--no-python"], {"PYTHON": "0"}),
    (["--gc=stock"], {"GC": "stock"}),
    (["--gc", "snapshot", "--gc-floating=1", "--gc-copied", "100"],
     {"GC": "snapshot", "GC_FLOATING": "1", "GC_COPIED": "100"}),
    (["--gc-explicit=snapshot", "--gc-minimum=0"], {"GC_EXPLICIT": "snapshot", "GC_MINIMUM": "0"}),
    (["--gc-slices=0"], {"GC_SLICES": "0"}),
    (["--gc-explicit=exact", "--gc-minimum=9223372036854775807"],
     {"GC_EXPLICIT": "exact", "GC_MINIMUM": "9223372036854775807"}),
    (["--gc-trace=/dev/null", "--no-python"], {"GC_TRACE": "/dev/null", "PYTHON": "0"}),
    (["--no-python", "--misuse=report", "--purge-delay=7"], {"PYTHON": "0", "MISUSE": "report", "PURGE_DELAY": "7"}),
])
def test_options_set_variables(run, arguments, variables):
    """And the library understands every value: it has nothing to say."""
    outcome = run(*arguments, "env", "-0")
    shown = environment_of(outcome)
    assert shown.pop("CAIRN_RUN_PID").isdigit()
    assert {name[6:]: value for name, value in shown.items() if name.startswith("CAIRN_")} == variables
    assert outcome.cairn_lines() == []


def test_options_win_over_variables(run):
    env = {"CAIRN_MISUSE": "report", "CAIRN_PURGE_DELAY": "9", "CAIRN_STATS": "json", "CAIRN_STATS_FILE": "/dev/null"}
    shown = environment_of(run("--purge-delay=1", "--stats-file=/dev/null", "env", "-0", env=env))
    assert (shown["CAIRN_MISUSE"], shown["CAIRN_PURGE_DELAY"], shown["CAIRN_STATS"]) == ("report", "1", "json")


def test_help_and_library_name_the_same_variables(run):
    named = {variable for _, variable in help_options(run("--help").out).values() if variable}
    table = OPTIONS_C.split("static const struct option table[]", 1)[1].split("};", 1)[0]
    known = set(re.findall(r'"(CAIRN_[A-Z_]+)"', table))
    hidden = {"CAIRN_RUN_PID", "CAIRN_GC_FORCE"}  # for the command, for tests
    assert named == known - hidden
    assert hidden < known


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_geometry(run, preset):
    outcome = run(f"--geometry={preset}", "--stats=json", PYTHON, "-c", "pass")
    for heap in json.loads(outcome.err)["heaps"]:
        assert {name: heap["geometry"][name] for name in PRESETS[preset]} == PRESETS[preset]


def heaps_of(outcome):
    assert outcome.code == 0, outcome.err
    return {heap["name"]: heap for heap in json.loads(outcome.err)["heaps"]}


def test_geometry_of_ones_own(run):
    wanted = {"arena_size": 2097152, "pool_size": 32768, "alignment": 16, "small_limit": 256, "return_at_once": True}
    outcome = run("--geometry=arena=2M,pool=32K,small=256,return=1", "--stats=json", PYTHON, "-c", "pass")
    heaps = heaps_of(outcome)
    assert set(heaps) >= {"default", "python"}
    for heap in heaps.values():
        assert {name: heap["geometry"][name] for name in wanted} == wanted


@pytest.mark.parametrize("fit", ["best", "first", "next", "worst"])
@pytest.mark.parametrize("pools", ["on", "off"])
def test_fit_and_pools(run, fit, pools):
    """They reach both heaps; what Python computes stays the same."""
    outcome = run(f"--fit={fit}", f"--pools={pools}", "--stats=json", PYTHON, "-c", WORK)
    heaps = heaps_of(outcome)
    assert (heaps["python"]["arenas_created"] > 0) == (pools == "on")
    for heap in heaps.values():
        assert heap["hole_searches"] > 0
        assert (heap["class_count"] == 0) == (pools == "off")


def test_variables_that_are_wrong(run):
    outcome = run("true", env={"CAIRN_FIT": "tight", "CAIRN_POOLS": "maybe", "CAIRN_GEOMETRY": "pool=5"})
    lines = outcome.err.splitlines()
    assert len(lines) == 3
    assert any("CAIRN_FIT=tight is ignored: it must be best, first, next or worst" in line for line in lines)
    assert any("CAIRN_POOLS=maybe is ignored: it must be on or off" in line for line in lines)
    assert any("CAIRN_GEOMETRY=pool=5 is ignored: pool=5: pool_size must be" in line for line in lines)


def test_variables_of_the_collector_that_are_wrong(run):
    wrong = {"CAIRN_GC": "on", "CAIRN_GC_FLOATING": "0", "CAIRN_GC_COPIED": "101", "CAIRN_GC_EXPLICIT": "1",
             "CAIRN_GC_MINIMUM": "-1", "CAIRN_GC_SLICES": "many", "CAIRN_GC_FORCE": "x"}
    outcome = run("true", env=wrong)
    lines = outcome.err.splitlines()
    assert len(lines) == len(wrong)
    for name, value in wrong.items():
        assert sum(f"cairn: {name}={value} is ignored: it must be " in line for line in lines) == 1


def test_variables_that_overlap(run):
    outcome = run("true", env={"CAIRN_GEOMETRY": "classic", "CAIRN_POOLS": "off"})
    assert (outcome.code, outcome.err.count("\n")) == (0, 1)
    assert "CAIRN_GEOMETRY has no effect with CAIRN_POOLS=off" in outcome.err


POLICIES = [{"fit": fit, "pools": pools} for fit in ("best", "first", "next", "worst") for pools in ("on", "off")]
GEOMETRIES = ["classic", "cpython", "arena=16K,pool=4K,align=8,small=64,medium=1K", "arena=4M,pool=64K,small=1K,first=48"]


@pytest.mark.parametrize("options", POLICIES + [{"geometry": geometry} for geometry in GEOMETRIES],
                         ids=lambda options: "-".join(options.values()))
def test_python_smoke_under_every_policy(run, options):
    smoke = REPOSITORY / "tests/programs/src/python_smoke.py"
    outcome = run(*(f"--{name}={value}" for name, value in options.items()), PYTHON, "-B", smoke)
    stock = execute([PYTHON, "-B", smoke], clean_environment(), REPOSITORY)
    assert (outcome.code, outcome.err, outcome.out) == (0, "", stock.out)

def test_limit(run):
    ask = "import ctypes; f = ctypes.CDLL(None).malloc; f.restype = ctypes.c_void_p; print(f(ctypes.c_size_t(1 << 28)))"
    assert run("--limit=100M", PYTHON, "-c", ask).out == "None\n"
    assert run("--limit=1G", PYTHON, "-c", ask).out.strip().isdigit()


def test_misuse(run):
    free = "import ctypes; ctypes.CDLL(None).free(ctypes.c_void_p(ctypes.addressof(ctypes.c_int()))); print('on')"
    assert run("--misuse=abort", PYTHON, "-c", free).code == -signal.SIGABRT
    outcome = run("--misuse=report", PYTHON, "-c", free)
    assert (outcome.code, outcome.out) == (0, "on\n")
    assert len(outcome.cairn_lines()) == 1


def test_no_python(run):
    with_python, without = (json.loads(run("--stats=json", *options, PYTHON, "-c", "pass").err)["heaps"]
                            for options in ([], ["--no-python"]))
    assert len(with_python) > len(without) == 1


# ---- statistics ----

WORK = "keep = [str(i) * 3 for i in range(50000)]; del keep[::2]; big = bytearray(5000000)"


def struct_fields(name):
    """The members of a struct in cairn.h, in order."""
    body = re.search(rf"typedef struct {name} {{(.*?)\n}} {name};", HEADER, re.S)[1]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    return [re.split(r"[\s*]", member.strip())[-1].split("[")[0] for member in body.split(";") if member.strip()]


def plausible(heap):
    assert heap["live_blocks"] == heap["requests"] - heap["frees"]
    assert heap["bytes_asked"] <= heap["bytes_given"]
    assert heap["live_bytes"] <= heap["live_peak"] <= heap["bytes_given"]
    assert heap["held_bytes"] <= heap["held_peak"]
    assert heap["held_bytes"] <= heap["reserved_bytes"]
    assert 0 < heap["resident_bytes"] <= heap["reserved_bytes"]
    assert heap["external_bytes"] <= heap["resident_bytes"]
    assert heap["internal_bytes"] <= heap["live_bytes"]
    parts = heap["fragmentation"]
    causes = [name for name in parts if name.endswith("_resident") and name != "live_resident"]
    assert len(causes) == 8 and sum(parts[name] for name in causes) == parts["external_bytes"] == heap["external_bytes"]
    assert parts["live_resident"] + parts["external_bytes"] == parts["resident_bytes"] == heap["resident_bytes"]
    assert sum(row["internal_bytes"] for row in heap["classes"]) <= parts["internal_bytes"] == heap["internal_bytes"]
    assert sum(parts["pool_occupancy"]) == heap["pools_used"] + heap["pools_full"]
    assert sum(row["count"] for row in parts["holes"]) == heap["holes"]
    assert sum(row["bytes"] for row in parts["holes"]) == heap["hole_bytes"]
    assert heap["arenas"] == heap["arenas_created"] - heap["arenas_released"]
    assert sum(row["requests"] for row in heap["classes"]) <= heap["requests"]
    assert sum(row["pools_full"] for row in heap["classes"]) == heap["pools_full"]
    in_classes = sum(row["blocks_live"] for row in heap["classes"])
    assert in_classes + heap["large_blocks"] + heap["huge_blocks"] == heap["live_blocks"]
    sizes = [row["block_size"] for row in heap["classes"]]
    assert sizes == sorted(set(sizes))
    for row in heap["classes"]:
        assert row["blocks_live"] == row["requests"] - row["frees"]
    return True


def test_stats_json(run):
    outcome = run("--stats=json", PYTHON, "-c", WORK + "; import os; print(os.getpid())")
    document = json.loads(outcome.err)
    assert outcome.code == 0
    assert list(document) == ["cairn", "pid", "program", "heaps", "process", "python"]
    assert (document["cairn"], document["pid"]) == (VERSION, int(outcome.out))
    assert document["process"]["resident_bytes"] > 1000000
    assert sum(heap["requests"] for heap in document["heaps"]) > 50000
    assert all(plausible(heap) for heap in document["heaps"])


def test_stats_json_has_every_field_of_the_header(run):
    heap = json.loads(run("--stats=json", PYTHON, "-c", "pass").err)["heaps"][0]
    assert list(heap) == ["name", "geometry", *struct_fields("cairn_stats"), "fragmentation"]
    assert list(heap["fragmentation"]) == struct_fields("cairn_fragmentation")
    assert list(heap["geometry"]) == struct_fields("cairn_geometry")
    assert heap["class_count"] == len(heap["classes"]) > 40
    assert all(list(row) == struct_fields("cairn_class_stats") for row in heap["classes"])


def test_stats_text(run):
    outcome = run("--stats", PYTHON, "-c", WORK + "; print('done')")
    assert (outcome.code, outcome.out) == (0, "done\n")
    for line in (r'Heap "default": arenas of ', r"  served +[\d,]{6,}", r"  live, peak +[\d,]{7,} +[\d.]+ MiB",
                 r"  internal .*% of live", r"  external .*% of resident", r"  Pools +\d+ used, ",
                 r" +all .*\[[#.]{10}\] +\d+%"):
        assert re.search("^" + line, outcome.err, re.M), line
    assert "not counted" not in outcome.err
    assert max(map(len, outcome.err.splitlines())) <= 120


def test_no_stats_unless_asked(run):
    outcome = run(PYTHON, "-c", WORK)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_stats_file(run, tmp_path):
    """A relative path is meant from the folder of `cairn run`; what the file held goes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/stats").write_text("x" * 1000000)
    outcome = run("--stats=json", "--stats-file=out/stats", PYTHON, "-c", "import os; os.chdir('/')")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert json.loads((tmp_path / "out/stats").read_text())["cairn"] == VERSION


def test_stats_file_is_for_people_unless_said(run, tmp_path):
    assert run("--stats-file=stats", "ls").code == 0
    assert (tmp_path / "stats").read_text().startswith(f"cairn {VERSION}: statistics of ls")


def test_stats_file_with_process_id(run, tmp_path):
    outcome = run("--stats=json", "--stats-file", tmp_path / "stats-%p-%p.json", "sh", "-c", "echo $$")
    pid = int(outcome.out)
    assert [path.name for path in tmp_path.iterdir()] == [f"stats-{pid}-{pid}.json"]
    assert json.loads((tmp_path / f"stats-{pid}-{pid}.json").read_text())["pid"] == pid


CHILDREN = ["sh", "-c", f"echo $$; cd /; {PYTHON} -c 'import os; print(os.getpid())'; ls >/dev/null; :"]


def test_stats_of_children(run, tmp_path):
    (tmp_path / "out").mkdir()
    outcome = run("--stats=json", "--stats-children", "--stats-file=out/%p", *CHILDREN)
    documents = {int(path.name): json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()}
    assert all(document["pid"] == pid for pid, document in documents.items())
    assert set(map(int, outcome.out.split())) < set(documents)
    assert {"sh -c", "ls"} & {document["program"] for document in documents.values()} >= {"ls"}


def test_stats_of_children_in_one_file(run, tmp_path):
    """A document a line, and nothing of an earlier run."""
    (tmp_path / "all").write_text("old\n")
    outcome = run("--stats=json", "--stats-children", "--stats-file=all", *CHILDREN)
    pids = [json.loads(line)["pid"] for line in (tmp_path / "all").read_text().splitlines()]
    assert len(pids) == len(set(pids)) >= 3
    assert set(map(int, outcome.out.split())) < set(pids)


def test_children_print_no_stats_unless_asked(run):
    outcome = run("--stats=json", *CHILDREN)
    assert json.loads(outcome.err)["pid"] == int(outcome.out.split()[0])


# ---- children ----

COUNT = 'print(open("/proc/self/maps").read().count("libcairn-preload"))'
NESTED = f"{MAPPED}; env | grep -c ^LD_PRELOAD; {PYTHON} -c '{COUNT}'"


def test_children_run_on_cairn(run):
    outcome = run("sh", "-c", NESTED)
    assert outcome.err == ""
    own, variables, child = map(int, outcome.out.split())
    assert own > 0 and variables == 1 and child > 0


def test_no_children(run):
    outcome = run("--no-children", "sh", "-c", NESTED)
    assert outcome.err == ""
    own, variables, child = map(int, outcome.out.split())
    assert own > 0 and variables == 0 and child == 0


def test_no_children_leaves_other_preloads(run):
    outcome = run("--no-children", "sh", "-c", "env | grep ^LD_PRELOAD", env={"LD_PRELOAD": "libm.so.6"})
    assert outcome.out == "LD_PRELOAD=libm.so.6\n"


def test_no_children_keeps_a_script_that_starts_through_env(run, tmp_path):
    """env becomes the program: it is the same process."""
    path = script(tmp_path / "app", "#!/usr/bin/env python3\nprint('libcairn' in open('/proc/self/maps').read())\n")
    outcome = run("--no-children", path, env={"PATH": "/usr/bin:/bin"})
    assert (outcome.out, outcome.err) == ("True\n", "")


@pytest.mark.parametrize("call", [
    "execl(b'/bin/cat', b'cat', b'/proc/self/maps', None)", "execlp(b'cat', b'cat', b'/proc/self/maps', None)",
    "execle(b'/bin/cat', b'cat', b'/proc/self/maps', None, environment)", "execvpe(b'cat', words, environment)",
    "fexecve(os.open('/bin/cat', os.O_RDONLY), words, environment)"])
def test_no_children_keeps_a_program_however_it_is_executed(run, call):
    code = ("import ctypes, os; libc = ctypes.CDLL(None); environment = ctypes.c_void_p.in_dll(libc, 'environ'); "
            f"words = (ctypes.c_char_p * 3)(b'cat', b'/proc/self/maps', None); libc.{call}")
    outcome = run("--no-children", "python3", "-c", code, env={"PATH": "/usr/bin:/bin"})
    assert (outcome.code, outcome.err) == (0, "")
    assert "libcairn-preload.so" in outcome.out


# ---- man pages ----

def rendered(page):
    """A man page as plain text without hyphenation and line breaks."""
    require("mandoc")
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", REPOSITORY / "docs/man" / page],
                          capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


@pytest.mark.parametrize("page", sorted(MAN))
def test_man_page_is_clean(page):
    require("mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", REPOSITORY / "docs/man" / page],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_man_page_of_run_has_every_option(run):
    page = rendered("cairn-run.1")
    described = page.split("DESCRIPTION", 1)[1]
    for option, (argument, variable) in help_options(run("--help").out).items():
        assert re.search(rf"^ +(-h, )?{option}\b", described, re.M), option
        assert option in page.split("DESCRIPTION", 1)[0]
        assert variable is None or re.search(rf"^ +{variable}\b", page.split("ENVIRONMENT", 1)[1], re.M), variable
    assert not set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - set(help_options(run("--help").out))


def test_man_page_of_run_has_every_variable():
    page = rendered("cairn-run.1").split("ENVIRONMENT", 1)[1]
    table = OPTIONS_C.split("static const struct option table[]", 1)[1].split("};", 1)[0]
    for name in [*re.findall(r'"(CAIRN_[A-Z_]+)"', table), "CAIRN_PRELOAD", "LD_PRELOAD", "PATH"]:
        assert re.search(rf"^ +{name}\b", page, re.M), name


def test_man_page_of_the_command_has_every_command(cairn):
    page = rendered("cairn.1")
    for name in re.findall(r"^  ([a-z]+)  ", cairn("--help").out.split("Options")[0], re.M):
        assert re.search(rf"^ +{name}\b", page, re.M), name


def test_man_page_of_the_library_has_every_function():
    page = rendered("cairn.3")
    functions = set(re.findall(r"^CAIRN_API [^;]*?\b(cairn_\w+)\(", HEADER, re.M))
    assert len(functions) > 25
    for name in functions:
        assert f"{name}(" in page.split("DESCRIPTION", 1)[0], name
        assert name in page.split("LIBRARY", 1)[0], name
        assert f"{name}(" in page.split("DESCRIPTION", 1)[1], name
    assert not set(re.findall(r"\b(cairn_\w+)\(", page)) - functions


def test_example_of_the_man_page_works(tmp_path):
    example = re.search(r"\.Bd -literal.*?\n(.*?)\.Ed", MAN["cairn.3"], re.S)[1]
    (tmp_path / "task.c").write_text(example.replace("\\e", "\\"))
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", f"-I{REPOSITORY}/include", "task.c", f"-L{BUILD}", "-lcairn",
                    f"-Wl,-rpath,{BUILD}", "-o", "task"], cwd=tmp_path, check=True)
    outcome = execute([tmp_path / "task"], clean_environment(), tmp_path)
    assert (outcome.code, outcome.out) == (0, "hello from task\n")
    assert outcome.err.startswith('Heap "task": arenas of ')
    assert re.search(r"^  asked +not counted$", outcome.err, re.M)
