# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""test_record.py: `cairn record`, `cairn replay` and `cairn lab`: what a recording holds (read here by a decoder of its
own, after docs/design/recording.md), that it survives forks, kills and cuts, that damage is seen, that a replay notices
an allocator that gives a block out twice, and that tables, plots and the page hold what they should."""

import csv
import html.parser
import io
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import CAIRN, clean_environment, execute, require

PYTHON = "/usr/bin/python3"
BAD_FILE = 2
FITS = ("best", "first", "next", "worst")


@pytest.fixture
def cairn(tmp_path):
    """cairn(argument...): runs the command in the test's folder."""
    return lambda *arguments, **how: execute([CAIRN, *arguments], clean_environment() | how.pop("env", {}), tmp_path,
                                             **how)


@pytest.fixture
def compiled(tmp_path):
    """compiled(text, flag...): a program from C source, or a library with -shared."""

    def build(text, *flags, name="program"):
        source, target = tmp_path / f"{name}.c", tmp_path / name
        source.write_text(text)
        subprocess.run(["gcc", "-O1", "-fno-builtin", "-pthread", "-o", target, source, *flags], check=True)
        return target

    return build


def record(cairn, file, *command, code=0, **how):
    options = how.pop("options", ())
    outcome = cairn("record", "-o", file, *options, "--", *command, **how)
    assert outcome.code == code, outcome.err
    return outcome


def replay(cairn, file, *options, code=0):
    """The JSON document of a replay that checks every byte."""
    outcome = cairn("replay", "--json", "--verify=full", *options, file)
    assert outcome.code == code, outcome.err
    return json.loads(outcome.out)


# ---- a decoder ----

def decompressed(path):
    """The description and the bytes of all events, by zstd(1)."""
    text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    data = path.read_bytes()
    assert data[:20] == b"\x5c\x2a\x4d\x18" + (12).to_bytes(4, "little") + b"CAIRNREC" + (1).to_bytes(4, "little")
    size = int.from_bytes(data[28:32], "little")
    first = subprocess.run(["zstd", "-dc"], input=data[36:36 + size], check=True, capture_output=True).stdout
    return first, text[len(first):]


def numbers(data, at, count):
    values = []
    for _ in range(count):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        values.append(value)
    return at, values


def signed(number):
    return number >> 1 if number % 2 == 0 else -(number >> 1) - 1


def decoded(path):
    """The events of a recording as tuples; objects are numbered here by their order of birth."""
    _, data = decompressed(path)
    events, spare, names, fresh, last, born, at = [], [], {}, 0, 0, 0, 0
    while at < len(data):
        tag, upper, at = data[at] & 7, data[at] >> 3, at + 1
        if tag == 0:
            at, values = numbers(data, at, 5 if upper == 3 else 1)
            events.append((("thread", "exit", "time", "end")[upper], *values))
        elif tag == 1:
            if upper == 31:
                at, (upper,) = numbers(data, at, 1)
            last += signed(upper)
            events.append(("free", names.pop(last)))
            spare.append(last)
        elif tag == 5:
            at, (step, size) = numbers(data, at, 2)
            last += signed(step)
            events.append(("resize", names[last], upper & 3, size))
        else:
            alignment = ()
            if tag == 4:
                alignment, at = (1 << data[at],), at + 1
            at, (size,) = numbers(data, at, 1)
            if spare:
                last = spare.pop()
            else:
                last, fresh = fresh, fresh + 1
            assert last not in names
            names[last], born = born, born + 1
            events.append((("alloc", "zeroed", "aligned")[tag - 2], names[last], upper & 3, size, *alignment))
    return events


def requests(events):
    return [event for event in events if event[0] in ("alloc", "zeroed", "aligned", "resize", "free")]


# ---- what is recorded ----

KNOWN = r"""
#include <malloc.h>
#include <stdlib.h>
int main(void)
{
    void *other;
    char *a = malloc(77001), *b = calloc(11, 7001);
    free(malloc(16382)), free(malloc(16383)), free(malloc(16384));
    a = realloc(a, 77003);
    a = realloc(a, 3000000);
    if (posix_memalign(&other, 4096, 77005) != 0)
        return 1;
    void *c = aligned_alloc(64, 77056), *d = memalign(128, 10);
    free(a), free(b), free(other), free(c), free(d);
    b = realloc(NULL, 77007);
    if (realloc(b, 0) != NULL || malloc((size_t)-1) != NULL)
        return 1;
    free(NULL);
    a = malloc(77009);
    if (realloc(a, (size_t)1 << 62) != NULL)
        return 1;
    free(a);
    malloc(77011);
    _Exit(3);
}
"""


def test_known_requests(cairn, compiled, tmp_path):
    """Each C call becomes its event, failed ones none, and the exit status is the program's."""
    file = tmp_path / "known.rec"
    outcome = record(cairn, file, compiled(KNOWN), code=3)
    assert re.fullmatch(r"cairn: \d+ requests recorded in '.*known\.rec' \(\d+\.\d MiB\)\n", outcome.err)
    events = decoded(file)
    found = requests(events)
    start = next(i for i, event in enumerate(found) if event[-1] == 77001)
    first = found[start][1]
    assert [(event[0], event[1] - first, *event[2:]) for event in found[start:]] == [
        ("alloc", 0, 0, 77001), ("zeroed", 1, 0, 77011), ("alloc", 2, 0, 16382), ("free", 2), ("alloc", 3, 0, 16383),
        ("free", 3), ("alloc", 4, 0, 16384), ("free", 4), ("resize", 0, 0, 77003), ("resize", 0, 0, 3000000),
        ("aligned", 5, 0, 77005, 4096), ("aligned", 6, 0, 77056, 64), ("aligned", 7, 0, 10, 128), ("free", 0),
        ("free", 1), ("free", 5), ("free", 6), ("free", 7), ("alloc", 8, 0, 77007), ("free", 8), ("alloc", 9, 0, 77009),
        ("free", 9), ("alloc", 10, 0, 77011)]
    assert events[-1][:2] == ("end", len(found)) and events[-1][4] == 3
    assert {event for event in events if event[0] in ("thread", "exit")} == {("thread", 0), ("exit", 0)}


def test_description(cairn, tmp_path):
    file = tmp_path / "x.rec"
    record(cairn, file, "/bin/sh", "-c", "exit 0", "two words")
    fields = decompressed(file)[0].decode().rstrip("\0").split("\0")
    assert [field for field in fields if field.startswith("argument=")] == [
        "argument=/bin/sh", "argument=-c", "argument=exit 0", "argument=two words"]
    assert f"page_size={os.sysconf('SC_PAGESIZE')}" in fields
    assert any(re.fullmatch(r"date=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", field) for field in fields)


def test_python_domains(cairn, tmp_path):
    """All three of CPython's domains and malloc are told apart."""
    file = tmp_path / "python.rec"
    record(cairn, file, PYTHON, "-c", "import sqlite3; x = [str(i) * 3 for i in range(20000)]; del x")
    domains = [event[2] for event in requests(decoded(file)) if event[0] != "free"]
    for domain, least in ((0, 1), (1, 100), (2, 500), (3, 40000)):
        assert domains.count(domain) >= least, domain
    document = replay(cairn, file, "--allocator=glibc")
    assert document["recording"]["whole"] and document["recording"]["missed_frees"] == 0
    assert [play["status"] for play in document["plays"]] == ["ok", "ok"]
    assert [play["failed"] for play in document["plays"]] == [0, 0]


def test_time(cairn, tmp_path):
    """Times are those of the program, also of one that waits."""
    file = tmp_path / "time.rec"
    code = "import time; a = bytes(70001); time.sleep(0.4); b = bytes(70003)"
    record(cairn, file, PYTHON, "-c", code)
    at, seen = 0, {}
    for event in decoded(file):
        at += event[1] if event[0] == "time" else 0
        if event[0] in ("alloc", "zeroed") and 70000 < event[3] < 70100:
            seen.setdefault(event[3] - 33, at)
    assert len(seen) == 2
    first, second = (when / 10000 for _, when in sorted(seen.items()))
    assert 0.38 < second - first < 5


THREADS = r"""
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
enum { THREADS = 4, SLOTS = 64, STEPS = 60000 };
static _Atomic(char *) slot[SLOTS];
static void *churn(void *seed)
{
    unsigned long random = (unsigned long)seed * 2654435761u + 1;
    for (int i = 0; i < STEPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        char *block = (random >> 62) == 0 ? calloc(1, (random >> 40) % 3000) : malloc((random >> 40) % 600);
        char *old = atomic_exchange(&slot[(random >> 33) % SLOTS], block);
        if ((random >> 60) % 4 == 0)
            old = realloc(old, 1 + (random >> 45) % 900);
        free(old);
    }
    return NULL;
}
int main(void)
{
    pthread_t thread[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, churn, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        free(slot[i]);
    return 0;
}
"""


def test_threads(cairn, compiled, tmp_path):
    """Blocks wander between threads: no free precedes its allocation, nothing is lost, none is left."""
    file = tmp_path / "threads.rec"
    record(cairn, file, compiled(THREADS))
    events = decoded(file)
    found = requests(events)
    assert sum(event[0] in ("alloc", "zeroed") for event in found) >= 240000
    assert sum(event[0] == "free" for event in found) >= 240000
    end = events[-1]
    assert end[0] == "end" and end[2:4] == (0, 0), "frees of unknown blocks, or blocks given out twice"
    threads = {event[1] for event in events if event[0] == "thread"}
    assert len(threads) == 5 and threads == {event[1] for event in events if event[0] == "exit"}
    thread, giver, wandered = None, {}, 0
    for event in events:
        if event[0] == "thread":
            thread = event[1]
        elif event[0] == "free":
            wandered += giver[event[1]] != thread
        elif event[0] in ("alloc", "zeroed"):
            giver[event[1]] = thread
    assert wandered > 100, "no thread freed what another had allocated"
    for options in ((), ("--threads",)):
        document = replay(cairn, file, "--allocator=glibc", *options)
        assert [play["status"] for play in document["plays"]] == ["ok", "ok"]
        assert all(play["requests"] == len(found) for play in document["plays"])


SHORT_THREADS = r"""
#include <pthread.h>
#include <stdlib.h>
static void *one(void *unused)
{
    void *block = malloc(5000);
    (void)unused;
    free(malloc(100));
    return block;
}
int main(void)
{
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        void *block;
        pthread_create(&thread, NULL, one, NULL);
        pthread_join(thread, &block);
        free(block);
    }
    return 0;
}
"""


def test_more_threads_than_rings(cairn, compiled, tmp_path):
    file = tmp_path / "storm.rec"
    record(cairn, file, compiled(SHORT_THREADS))
    events = decoded(file)
    assert len({event[1] for event in events if event[0] == "thread"}) == 3001
    assert sum(event[0] == "alloc" and event[3] == 5000 for event in events) == 3000
    assert events[-1][2:4] == (0, 0)


FLOOD = r"""
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
enum { THREADS = 2, STEPS = 250000 };
static _Atomic(char *) shared;
static void *flood(void *unused)
{
    for (int i = 0; i < STEPS; i++) {
        char *block = malloc(1000 + (size_t)i % 61);
        free(i % 16 == 0 ? atomic_exchange(&shared, block) : block);
    }
    return unused;
}
int main(void)
{
    char go;
    pthread_t thread[THREADS];
    if (read(0, &go, 1) != 1)
        return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, flood, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    free(shared);
    return write(1, "done", 4) != 4;
}
"""


def test_full_rings(compiled, tmp_path):
    """Threads that write more than fits wait for a reader that is slow: nothing is lost, nothing is overwritten."""
    file, steps = tmp_path / "flood.rec", 250000
    recorder = subprocess.Popen([CAIRN, "record", "-o", file, "--", compiled(FLOOD)], env=clean_environment(),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(0.3)
        recorder.send_signal(signal.SIGSTOP)
        recorder.stdin.write(b"g")
        recorder.stdin.flush()
        assert not select.select([recorder.stdout], [], [], 1.5)[0], "all fits into the rings: make STEPS larger"
        recorder.send_signal(signal.SIGCONT)
        out, errors = recorder.communicate(timeout=60)
    finally:
        recorder.kill()
    assert recorder.returncode == 0 and out == b"done", errors
    events = decoded(file)
    assert events[-1][2:4] == (0, 0), "frees of unknown blocks, or blocks given out twice"
    sizes, thread, live = {}, None, set()
    for event in events:
        if event[0] == "thread":
            thread = event[1]
        elif event[0] == "alloc" and 1000 <= event[3] < 1061:
            sizes.setdefault(thread, []).append(event[3])
            live.add(event[1])
        elif event[0] == "free":
            live.discard(event[1])
    assert len(sizes) == 2 and not live
    assert all(asked == [1000 + i % 61 for i in range(steps)] for asked in sizes.values())


# ---- forks, execs, kills ----

FORKS = """
import os
keep = [str(i) for i in range(20000)]
for turn in range(4):
    child = os.fork()
    if child == 0:
        more = [bytes(1000 + i) for i in range(30000)]
        del keep[:]
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    keep += [str(i) for i in range(1000)]
"""


def test_fork_without_children(cairn, tmp_path):
    """A forked child leaves no trace in its parent's recording."""
    file = tmp_path / "fork.rec"
    record(cairn, file, PYTHON, "-c", FORKS)
    assert [path.name for path in tmp_path.glob("fork.rec*")] == ["fork.rec"]
    document = replay(cairn, file)
    assert document["recording"]["missed_frees"] == document["recording"]["unknown_frees"] == 0
    assert document["recording"]["peak_bytes"] < 10e6, "30 MB of a child are in it"


def test_fork_with_children(cairn, tmp_path):
    """Each child has a recording of its own; the parent's is as without them."""
    file = tmp_path / "fork.rec"
    outcome = record(cairn, file, PYTHON, "-c", FORKS + "import subprocess; subprocess.run(['/bin/ls', '/'])",
                     options=["--children"])
    children = sorted(tmp_path.glob("fork.rec.*"))
    assert len(children) == 5 and len(outcome.cairn_lines()) == 6
    big = 0
    for child in children:
        document = replay(cairn, child)
        assert document["recording"]["whole"] and document["plays"][0]["status"] == "ok"
        big += document["recording"]["peak_bytes"] > 30e6
    assert big == 4
    commands = sorted(replay(cairn, child)["recording"]["command"] for child in children)
    assert commands[0] == "/bin/ls /" and all(command.startswith(f"{PYTHON} -c") for command in commands[1:])
    document = replay(cairn, file)
    assert document["recording"]["missed_frees"] == document["recording"]["unknown_frees"] == 0
    assert document["recording"]["peak_bytes"] < 10e6


def test_exec(cairn, tmp_path):
    """A process that becomes another program stays recorded; what it had is gone."""
    file = tmp_path / "exec.rec"
    outcome = record(cairn, file, "/usr/bin/env", "A=1", PYTHON, "-c", "x = list(range(100000)); print(len(x))")
    assert outcome.out == "100000\n"
    document = replay(cairn, file)
    assert document["recording"]["allocations"] > 100000 and document["plays"][0]["status"] == "ok"
    assert document["recording"]["missed_frees"] == 0
    record(cairn, file, PYTHON, "-c", "import os; x = bytes(5000003); os.execv('/bin/ls', ['ls', '/'])")
    document = replay(cairn, file)
    assert document["recording"]["peak_bytes"] > 5000000
    assert document["recording"]["end_bytes"] < 1000000, "what the former program had is still there"


WITHOUT_PIDFD = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {4, code};
    if (count < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, 2, &program) != 0)
        return 99;
    execv(words[1], words + 1);
    return 99;
}
"""


def test_without_pidfd(cairn, compiled, tmp_path):
    """Where a process cannot be watched by a descriptor, its recording still ends when it does."""
    file = tmp_path / "sandbox.rec"
    code = ("import subprocess, sys, time; time.sleep(0.3); x = bytes(5000003); time.sleep(0.3); y = bytes(5000005); "
            "len(sys.argv) > 1 or subprocess.run([sys.executable, '-c', sys.argv[0], 'child'])")
    code = f"import sys; code = {code!r}; sys.argv[0] = code; exec(code)"
    outcome = execute([compiled(WITHOUT_PIDFD), CAIRN, "record", "--children", "-o", file, "--", "/usr/bin/env", PYTHON,
                       "-c", code], clean_environment(), tmp_path)
    assert outcome.code == 0, outcome.err
    child, = tmp_path.glob("sandbox.rec.*")
    for each in (file, child):
        events = decoded(each)
        sizes = {event[3] for event in requests(events) if event[0] in ("alloc", "zeroed")}
        assert {5000003 + 33, 5000005 + 33} <= sizes and events[-1][0] == "end"


def test_closed_descriptors(cairn, tmp_path):
    """A program that closes what it did not open is recorded on, and writes nowhere it should not."""
    file = tmp_path / "closed.rec"
    code = ("import os; os.closerange(3, 1000); f = os.open('mine', os.O_CREAT | os.O_RDWR); "
            "import threading; x = [str(i) for i in range(50000)]; "
            "t = threading.Thread(target=lambda: [bytes(300) for i in range(50000)]); t.start(); t.join()")
    record(cairn, file, PYTHON, "-c", code)
    document = replay(cairn, file)
    assert document["recording"]["allocations"] > 100000 and document["recording"]["threads"] == 2
    assert (tmp_path / "mine").read_bytes() == b""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_program(cairn, tmp_path, number):
    """What was written when the program died is there, to the last event."""
    file = tmp_path / "killed.rec"
    code = f"import os; x = [bytes(5000 + i) for i in range(20000)]; os.kill(os.getpid(), {int(number)})"
    record(cairn, file, PYTHON, "-c", code, code=-number)
    events = decoded(file)
    sizes = {event[3] for event in requests(events) if event[0] in ("alloc", "zeroed")}
    assert {5000 + i + 33 for i in range(20000)} <= sizes
    assert events[-1][0] == "end" and events[-1][4] == 256 + number
    assert replay(cairn, file)["recording"]["end_bytes"] > 200e6


def test_killed_recorder(tmp_path, cairn):
    """The program runs on without its recorder; what was written is good."""
    file, done = tmp_path / "cut.rec", tmp_path / "done"
    code = (f"import time\nfor i in range(20):\n    x = [str(i) for i in range(60000)]\n    time.sleep(0.12)\n"
            f"open({str(done)!r}, 'w').write('all')")
    recorder = subprocess.Popen([CAIRN, "record", "-o", file, "--", PYTHON, "-c", code], env=clean_environment(),
                                stderr=subprocess.PIPE)
    time.sleep(1.6)
    recorder.kill()
    recorder.communicate()
    outcome = cairn("replay", "--json", file)
    assert outcome.code == 0 and re.search(r"^cairn: '.*' (has no end|was cut short)", outcome.err), outcome.err
    document = json.loads(outcome.out)
    assert not document["recording"]["whole"] and document["recording"]["allocations"] > 60000
    deadline = time.monotonic() + 60
    while not (done.exists() and done.read_text() == "all"):
        assert time.monotonic() < deadline, "the program did not end"
        time.sleep(0.05)


def test_full_disk(compiled, tmp_path):
    """A recording that cannot be written further says so, and is good up to there; the program is not disturbed."""
    program = compiled(THREADS.replace("STEPS = 60000", "STEPS = 400000"))
    (tmp_path / "disk").mkdir()
    mount = ["unshare", "-rm", "/bin/sh", "-c", "mount -t tmpfs -o size=3M none disk && . ./commands"]
    (tmp_path / "commands").write_text("true")
    if execute(mount, clean_environment(), tmp_path).code != 0:
        pytest.skip("no file system of one's own")
    (tmp_path / "commands").write_text(f"{CAIRN} record -o disk/full.rec -- {program}; echo $? >&2\n"
                                       f"{CAIRN} replay --json disk/full.rec")
    outcome = execute(mount, clean_environment(), tmp_path)
    assert outcome.code == 0 and re.match(
        r"cairn: cannot write 'disk/full.rec': No space left on device; what was written before is good\n125\n"
        r"cairn: 'disk/full.rec' (has no end|was cut short)", outcome.err), outcome.err
    assert json.loads(outcome.out)["recording"]["allocations"] > 300000


def test_signals(cairn, tmp_path):
    """SIGTERM to the recorder is the program's."""
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(9)); print('up', flush=True); time.sleep(60)"
    recorder = subprocess.Popen([CAIRN, "record", "-qo", tmp_path / "x.rec", "--", PYTHON, "-c", code],
                                env=clean_environment(), stdout=subprocess.PIPE)
    assert recorder.stdout.readline() == b"up\n"
    # Python may begin its sleep just after it saw the signal, and then sleeps on: so once more, until it is gone.
    for _ in range(100):
        recorder.terminate()
        try:
            recorder.wait(0.3)
            break
        except subprocess.TimeoutExpired:
            pass
    assert recorder.wait(0) == 9
    recorder.stdout.close()


# ---- damaged files ----

@pytest.fixture
def small(cairn, tmp_path):
    file = tmp_path / "small.rec"
    record(cairn, file, PYTHON, "-c", "x = [str(i) for i in range(2000)]")
    return file


def frames(data):
    """Where each frame's prefix begins, and the end."""
    starts = [20]
    while starts[-1] < len(data):
        starts.append(starts[-1] + 16 + int.from_bytes(data[starts[-1] + 8:starts[-1] + 12], "little"))
    assert starts[-1] == len(data)
    return starts


def refuses(cairn, file, data, *parts):
    """The file is refused with one line that names a byte, and nothing is played."""
    bad = file.with_name("bad.rec")
    bad.write_bytes(data)
    outcome = cairn("replay", bad)
    assert (outcome.code, outcome.out) == (BAD_FILE, ""), (outcome.code, outcome.err)
    assert re.fullmatch(r"cairn: replay: [^\n]*byte \d+[^\n]*\n", outcome.err), outcome.err
    for part in parts:
        assert part in outcome.err
    return int(re.search(r"byte (\d+)", outcome.err)[1])


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1:]


def test_damage(cairn, small):
    """A changed byte of each kind is seen, and where: opening, version, prefix, size, check, body, checksum."""
    data = small.read_bytes()
    starts = frames(data)
    for at in (0, 3, 4, 8, 15):
        assert refuses(cairn, small, flipped(data, at), "no recording of 'cairn record'") == at
    assert refuses(cairn, small, flipped(data, 16), "version") == 16
    for start, end in zip(starts, starts[1:]):
        for offset in (0, 1, 2, 4, 7):
            assert refuses(cairn, small, flipped(data, start + offset), "is damaged") == start + offset
        for offset in (8, 9, 11, 12, 15):
            assert refuses(cairn, small, flipped(data, start + offset), "is damaged") == start + 8
        for at in (start + 16, (start + end) // 2, end - 5, end - 4, end - 1):
            assert refuses(cairn, small, flipped(data, at), "is damaged") == start + 16


def test_lost_frame(cairn, small):
    """A frame that is missing, repeated or follows the end is seen although each frame is good in itself."""
    data = small.read_bytes()
    starts = frames(data)
    assert refuses(cairn, small, data[:20] + data[starts[1]:], "is damaged") == 28
    assert refuses(cairn, small, data + data[starts[1]:], "is damaged") == len(data) + 8


def test_cut_files(cairn, small):
    """A file that ends anywhere is good up to its last whole frame."""
    data = small.read_bytes()
    starts = frames(data)
    for length in (0, 1, 19, 20, 30, starts[1] - 1):
        refuses(cairn, small, data[:length])
    for start, end in zip(starts[1:], starts[2:]):
        for length in (start + 3, start + 15, start + 16, end - 1):
            cut = small.with_name("cut.rec")
            cut.write_bytes(data[:length])
            outcome = cairn("replay", cut)
            assert outcome.code == 0 and f"the frame at byte {start} is not whole" in outcome.err, outcome.err


def test_foreign_files(cairn, tmp_path, small):
    assert refuses(cairn, small, b"\x7fELF" + bytes(100), "no recording") == 0
    assert refuses(cairn, small, b"\x28\xb5\x2f\xfd" + bytes(100), "no recording") == 0
    for name, words in (("missing.rec", "No such file"), (".", "Is a directory")):
        outcome = cairn("replay", tmp_path / name)
        assert outcome.code == 125 and words in outcome.err


def test_hostile_contents(cairn, tmp_path, small):
    """Frames that are whole but whose events cannot be: a free of nothing, a number without an end, objects without
    a life, absurd sizes."""
    data = small.read_bytes()
    start = frames(data)[1]

    def check(size, offset):
        mixed = (size + ((offset << 32 | offset >> 32) & (2**64 - 1)) + 1) * 0x9E3779B97F4A7C15 & (2**64 - 1)
        return mixed >> 32

    for events in (b"\x01", b"\x02\x05\x01\x01", b"\x02" + b"\xff" * 12, b"\x05\x10\x10", b"\x06", b"\x04\x3f\x10",
                   b"\x02" + b"\xff" * 8 + b"\x7f", b"\xf9" + b"\xff" * 5, b"\x18\x00", b"\x20"):
        frame = subprocess.run(["zstd", "-c", "--check"], input=events, capture_output=True, check=True).stdout
        prefix = b"\x5c\x2a\x4d\x18" + (8).to_bytes(4, "little") + len(frame).to_bytes(4, "little")
        prefix += check(len(frame), start).to_bytes(4, "little")
        assert refuses(cairn, small, data[:start] + prefix + frame, "an event that cannot be") == start


# ---- replaying ----

TWICE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
static char same[4096];
void *malloc(size_t size)
{
    static void *(*real)(size_t);
    if (size == 3001)
        return same;
    if (real == NULL)
        real = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    return real(size);
}
void free(void *block)
{
    static void (*real)(void *);
    if (block == same)
        return;
    if (real == NULL)
        real = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    real(block);
}
"""
SIZES = r"""
#include <stdlib.h>
int main(void)
{
    void *a = malloc(3001), *b = malloc(3001);
    free(a);
    free(b);
    return 0;
}
"""


def test_replay_finds_a_bad_allocator(cairn, compiled, tmp_path):
    """An allocator that gives the same block out twice fails, and the others' rows are there all the same."""
    file = tmp_path / "twice.rec"
    library = compiled(TWICE, "-shared", "-fPIC", "-ldl", name="libtwice.so")
    record(cairn, file, compiled(SIZES))
    for mode in ("full", "ends"):
        outcome = cairn("replay", f"--verify={mode}", f"--allocator={library},glibc", file)
        assert outcome.code == 1
        assert re.search(r"^libtwice.so +FAILED: the contents of object \d+ \(3001 bytes\)", outcome.out, re.M)
        assert re.search(r"^glibc +\d", outcome.out, re.M)
    assert cairn("replay", "--verify=off", f"--allocator={library}", file).code == 0


def test_every_policy(cairn, tmp_path):
    """sqlite under every fit, geometry and allocator: contents hold everywhere, figures are sane, CSV and JSON agree."""
    file = tmp_path / "sqlite.rec"
    sql = ("create table t(a integer primary key, b text); with recursive c(x) as (select 1 union all select x + 1 "
           "from c where x < 20000) insert into t select x, hex(randomblob(20 + x % 200)) from c; "
           "create index i on t(b); delete from t where a % 3 = 0; select count(*) from t;")
    assert record(cairn, file, require("sqlite3"), ":memory:", sql).out == "13334\n"
    options = ["--fit=" + ",".join(FITS), "--geometry=default,cpython,classic", "--pools=on,off", "--allocator=glibc"]
    document = replay(cairn, file, *options)
    plays = document["plays"]
    assert len(plays) == 4 * 3 + 4 + 1
    assert len({play["policy"] for play in plays}) == len(plays)
    for play in plays:
        assert (play["status"], play["failed"]) == ("ok", 0)
        assert play["requests"] == sum(document["recording"][kind] for kind in ("allocations", "resizes", "frees"))
        assert play["peak_asked_bytes"] == document["recording"]["peak_bytes"]
        assert play["peak_resident_bytes"] >= play["peak_asked_bytes"] * 0.9
        assert 0 <= play["external_mean_share"] <= 1 and 0 <= play["internal_mean_share"] <= 1
        assert all(sample["usable_bytes"] >= sample["asked_bytes"] for sample in play["samples"])
        assert play["samples"][-1]["asked_bytes"] == document["recording"]["end_bytes"]
    outcome = cairn("replay", "--csv", *options, file)
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [row["policy"] for row in rows] == [play["policy"] for play in plays]
    assert all(int(row["requests"]) == play["requests"] for row, play in zip(rows, plays))


def test_plot(cairn, small, tmp_path):
    require("gnuplot")
    for name, start in (("plot.svg", b"<?xml"), ("plot.png", b"\x89PNG")):
        assert cairn("replay", "--allocator=glibc", f"--plot={name}", small).code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    text = (tmp_path / "plot.svg").read_text()
    assert "default" in text and "glibc" in text and "asked for" in text


def test_paced(cairn, tmp_path):
    """A paced replay is not faster than the program was, and says the same."""
    file = tmp_path / "slow.rec"
    record(cairn, file, PYTHON, "-c", "import time; x = bytes(10**6); time.sleep(0.5); y = bytes(10**6)")
    start = time.monotonic()
    assert replay(cairn, file, "--paced")["plays"][0]["status"] == "ok"
    assert time.monotonic() - start > 0.45


@pytest.mark.parametrize("arguments, words", [
    (["replay"], "no recording given"),
    (["replay", "a", "b"], "one too many"),
    (["replay", "--fit=bets", "x"], "did you mean best?"),
    (["replay", "--geometry=huge", "x"], "valid: default, cpython, classic"),
    (["replay", "--pools=maybe", "x"], "valid: on, off"),
    (["replay", "--allocator=dlmalloc", "x"], "unknown 'dlmalloc'"),
    (["replay", "--allocator=/etc/passwd", "x"], "no shared library"),
    (["replay", "--csv", "--json", "x"], "exclude each other"),
    (["replay", "--plot=x.gif", "x"], "neither .svg nor .png"),
    (["replay", "--verfy=full", "x"], "did you mean --verify?"),
    (["record"], "no program given"),
    (["record", "-o"], "--output needs a value"),
    (["record", "-o", "/nowhere/x", "--", "true"], "cannot write '/nowhere/x'"),
    (["lab", "--threads=3", "true"], "takes no value"),
    (["lab"], "no program given"),
])
def test_wrong_calls(cairn, arguments, words):
    outcome = cairn(*arguments)
    assert (outcome.code, outcome.out) == (125, "")
    assert re.fullmatch(r"cairn: [^\n]+\n", outcome.err) and words in outcome.err


def test_programs_that_cannot_be_recorded(cairn, compiled, tmp_path):
    assert cairn("record", "--", "no-such-program").code == 127
    static = compiled("int main(void) { return 0; }", "-static")
    outcome = cairn("record", "-o", tmp_path / "x", "--", static)
    assert outcome.code == 126 and "statically linked and cannot be recorded" in outcome.err


# ---- the lab ----

class Page(html.parser.HTMLParser):
    """Counts what a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.row, self.links, self.text = {}, [], None, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.setdefault(tag, []).append(dict(attributes))
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag == "tr":
            self.cells.append([])

    def handle_data(self, data):
        self.text.append(data)
        if self.cells and data.strip():
            self.cells[-1].append(data)


def test_lab(cairn, tmp_path):
    """One file, nothing from outside; every policy has a row and two pictures of its heap."""
    require("gnuplot")
    outcome = cairn("lab", "-o", "report.html", "--keep=kept.rec", "--", PYTHON, "-c",
                    "x = [str(i) for i in range(30000)]; del x[::2]; print('<done> & gone')")
    assert (outcome.code, outcome.out) == (0, "<done> & gone\n"), outcome.err
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert all(link.startswith("#") for link in page.links), page.links
    assert not re.search(r"url\((?!['\"]?#)|@import", text)
    policies = [row[0] for row in page.cells if row]
    wanted = {"default", "cpython", "classic", "glibc"} | {f"no pools, {fit} fit" for fit in FITS}
    assert wanted <= set(policies)
    rows = len(policies) - 1
    assert len(page.tags["svg"]) == 2
    pictures = [canvas["data-cells"] for canvas in page.tags["canvas"]]
    assert len(pictures) == 2 * rows
    assert all(re.fullmatch(r"[.0-9]*", cells) for cells in pictures)
    assert all("9" in cells or "8" in cells for cells in pictures[::2]), "nothing lives at the peak"
    assert "prefers-color-scheme" in text and "print('&lt;done&gt; &amp; gone')" in text
    assert "failed" not in text.split("</table>")[0]
    assert cairn("replay", "kept.rec").code == 0
    assert not list(tmp_path.glob("cairn-lab-*"))
