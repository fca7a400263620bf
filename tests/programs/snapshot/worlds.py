# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""worlds.py SCENARIO [OBJECTS]: a busy program that does what programs do (fork, exec, signals, pipes, locks, exits)
while snapshots are taken of it, and prints what it noticed. It prints the same on stock CPython, where there are none.

The heap holds OBJECTS tracked objects and gets old garbage in cycles all the time: sessions that live for a while. The
last line on stderr, "full collections: N", is for the test to know that some were made."""

import os


def children(state=None, name=None):
    """Ids of this process's children, those in one state or of one name if that is given. The collector's are among
    them: cairn-helper, which analyses, and cairn-joiner."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                front, rest = file.read().rsplit(b")", 1)
        except OSError:
            continue
        fields = rest.split()
        if int(fields[1]) == os.getpid() and state in (None, fields[0]) and name in (None, front.split(b"(", 1)[1]):
            found.append(int(entry))
    return found


BORN_WITH = children()  # before there can have been a collection

import asyncio  # noqa: E402
import collections
import concurrent.futures
import ctypes
import fcntl
import faulthandler
import gc
import mmap
import multiprocessing
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time

PR_SET_DUMPABLE = 4


class Session:
    def __init__(self, number):
        self.number = number
        self.parts = [{"session": self, "part": k} for k in range(4)]
        self.parts.append(self.parts)


class Traffic:
    """A heap of `objects` tracked objects, and sessions that come and go."""

    def __init__(self, objects):
        self.records = [{"number": i, "list": [i]} for i in range(objects // 2)]
        self.sessions = collections.deque(maxlen=1500)
        self.number = 0

    def run(self, count=2000):
        for _ in range(count):
            self.number += 1
            self.sessions.append(Session(self.number))

    def steps(self, seconds, count=300, full=4, least=0):
        """Yields between bits of work until the time is up ($PACE stretches it), `least` times at least, and some full
        collections were made, be it on a busy machine."""
        begun, made = time.monotonic(), gc.get_stats()[2]["collections"]
        shortest = seconds * float(os.environ.get("PACE", "0.5"))
        yields = 0
        while (took := time.monotonic() - begun) < shortest or yields < least or (
                took < 20 and gc.get_stats()[2]["collections"] < made + full):
            self.run(count)
            yield
            yields += 1

    def check(self):
        """True if all that should be alive is, and as it was."""
        records = all(record["number"] == i and record["list"] == [i] for i, record in enumerate(self.records))
        sessions = all(session.parts[4] is session.parts and session.parts[k]["session"] is session
                       and session.parts[k]["part"] == k for session in self.sessions for k in range(4))
        numbers = [session.number for session in self.sessions]
        return records and sessions and numbers == list(range(self.number - len(numbers) + 1, self.number + 1))


def alone(traffic, seconds=5):
    """True once this process has no children at a moment, its work going on: the collector's are looked after then."""
    end = time.monotonic() + seconds
    while children():
        if time.monotonic() > end:
            return False
        traffic.run(100)
        time.sleep(0.002)
    return True


def descriptors():
    return {entry: os.readlink(f"/proc/self/fd/{entry}") for entry in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{entry}")}


# ---- scenarios: each takes the traffic and returns what it noticed ----

def children_unseen(traffic):
    """No SIGCHLD, no byte on the wake-up descriptor, nothing for any way of waiting."""
    signals = []
    signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer)
    returned = []
    waits = [lambda: os.waitpid(-1, os.WNOHANG), lambda: os.wait3(os.WNOHANG), lambda: os.waitpid(0, os.WNOHANG),
             lambda: os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOHANG), os.wait]
    for _ in traffic.steps(1.5, 100):
        for wait in waits:
            try:
                returned.append(str(wait()))
            except ChildProcessError:
                pass
    try:
        returned.append(os.read(reader, 100).hex())
    except BlockingIOError:
        pass
    return signals, returned


def child_of_ones_own(traffic):
    """Waiting for any child returns the program's own, with its status, and only after it has ended."""
    seen = []
    for code in range(6):
        child = os.fork()
        if child == 0:
            time.sleep(0.1)
            os._exit(code)
        thread = threading.Thread(target=traffic.run, args=(20000,))
        thread.start()
        pid, status = os.waitpid(-1, 0)
        thread.join()
        seen.append((pid == child, os.WEXITSTATUS(status)))
    return seen


def locked_within(file, seconds):
    """Takes the lock of a file, if that is possible within a time."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False


def ends_of_pipes(traffic):
    """The end of a pipe comes when the last writer closes, and a file's lock is free when it is closed: at once, or
    within a moment, for the kernel may be copying the descriptors to the helper in the call that closes them there."""
    grace = 0.05
    late = 0
    with tempfile.NamedTemporaryFile() as file:
        for _ in traffic.steps(1.5, 50):
            reader, writer = os.pipe()
            locked = os.open(file.name, os.O_RDWR)
            fcntl.flock(locked, fcntl.LOCK_EX)
            listener = os.open(file.name, os.O_RDWR)
            traffic.run(100)
            os.close(writer)
            os.close(locked)
            late += not select.select([reader], [], [], grace)[0]
            late += not locked_within(listener, grace)
            os.close(reader)
            os.close(listener)
    return late


def descriptors_stay(traffic):
    """What is open stays open, what is closed stays closed; nothing of the collector's crosses exec."""
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    before = descriptors()
    for _ in traffic.steps(1):
        pass
    child = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    listing = subprocess.run([sys.executable, "-I", "-S", "-c", child], close_fds=False, stdout=subprocess.PIPE,
                             text=True, env={}, check=True).stdout
    gc.collect()
    now = descriptors()
    return now == before, [os.fstat(fd).st_rdev == os.stat("/dev/null").st_rdev for fd in held], listing


def forks(traffic):
    """Children made at any moment have the heap as it was, collect on, and end in every way."""
    statuses = []
    for number, _ in enumerate(traffic.steps(2, 400, full=1, least=6)):
        child = os.fork()
        if child == 0:
            traffic.run(random.randrange(3000))
            healthy = traffic.check()
            gc.collect()
            if number % 3 == 0:
                os._exit(10 if healthy else 11)
            if number % 3 == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            os.execv("/bin/sh", ["sh", "-c", "exit 12" if healthy else "exit 13"])
        statuses.append((number % 3, os.waitpid(child, 0)[1]))
    return sorted(set(statuses)), alone(traffic)


def executions(traffic):
    """exec at any moment: the next program has no child it does not know of."""
    left = int(os.environ.get("EXECUTIONS_LEFT", "5"))
    zombies = int(os.environ.get("ZOMBIES", "0")) + len(BORN_WITH)
    if left == 0:
        return zombies
    for _ in traffic.steps(0.2 + random.random() / 5, 20, full=1):
        pass
    os.environ.update(EXECUTIONS_LEFT=str(left - 1), ZOMBIES=str(zombies))
    become(os.environ.get("HOW", "execv"), [sys.executable, *sys.argv])


def failed_executions(traffic):
    """exec that fails ends the snapshot under way, and that is all: the next one comes soon, for what survived before
    the one given up has still to be looked at."""
    waited = []
    for _ in range(30):
        sessions = 0
        while not children(name=b"cairn-helper") and sessions < 15000:
            traffic.run(20)
            sessions += 20
        if sessions < 15000:
            waited.append(sessions)
        try:
            os.execv("/nonexistent/program", ["program"])
        except FileNotFoundError:
            pass
    print("sessions between snapshots:", waited, file=sys.stderr)
    return max(waited[1:], default=0) < 2000


def failed_executions_beside(traffic):
    """exec that fails in one thread, without the GIL, while another is at work on what the snapshot found."""
    done, failed = threading.Event(), []

    def execute():
        arguments = (ctypes.c_char_p * 2)(b"program", None)
        execv = ctypes.CDLL(None).execv
        while not done.is_set():
            failed.append(execv(b"/nonexistent/program", arguments))
            time.sleep(random.random() / 500)

    thread = threading.Thread(target=execute)
    thread.start()
    for _ in traffic.steps(3, full=10):
        pass
    done.set()
    thread.join()
    return set(failed)


def joiners(traffic):
    """How often there was a process that joins pages: the program breaks them apart while snapshots are taken."""
    seen = 0
    for number, _ in enumerate(traffic.steps(1, 200, full=3)):
        for record in traffic.records[number % 100::100]:
            record["number"]
        seen += len(children(name=b"cairn-joiner"))
    return seen


def await_joiner(traffic):
    end = time.monotonic() + 30
    while not children(name=b"cairn-joiner") and time.monotonic() < end:
        for record in traffic.records[traffic.number % 100::100]:
            record["number"]
        traffic.run(100)


def while_joining(traffic):
    """$DEED while a process joins pages: what it has begun, and what it shares with the program, harms neither."""
    deed = os.environ["DEED"]
    for _ in range(4):
        await_joiner(traffic)
        if deed == "fork":
            child = os.fork()
            if child == 0:
                alone_at_once = not children()
                traffic.run(20000)
                os._exit(10 if alone_at_once and traffic.check() else 11)
            assert os.waitpid(child, 0) == (child, 10 << 8)
        elif deed == "vfork":
            assert subprocess.run(["true"], check=True, env={}).returncode == 0
        elif deed == "execute":
            os.environ["EXECUTIONS_LEFT"] = "0"
            os.execv(sys.executable, [sys.executable, sys.argv[0], "executions"])
        elif deed == "execute_in_vain":
            try:
                os.execv("/nonexistent/program", ["program"])
            except FileNotFoundError:
                assert not children(name=b"cairn-joiner")
        elif deed == "exit":
            print("leaves", flush=True)
            os._exit(0)
        elif deed != "end":
            os.kill(os.getpid(), int(deed))
    return deed


def become(how, words):
    """Becomes another program by one of the C library's functions."""
    def array(texts):
        return (ctypes.c_char_p * (len(texts) + 1))(*texts)

    libc = ctypes.CDLL(None)
    encoded = [os.fsencode(word) for word in words]
    environment = array([name + b"=" + value for name, value in os.environb.items()])
    os.environ["PATH"] = os.path.dirname(words[0])
    name = os.path.basename(encoded[0])
    calls = {
        "execv": lambda: os.execv(words[0], words),
        "execve": lambda: os.execve(words[0], words, os.environ),
        "execvp": lambda: libc.execvp(name, array(encoded)),
        "execvpe": lambda: libc.execvpe(name, array(encoded), environment),
        "execl": lambda: libc.execl(encoded[0], *encoded, None),
        "execlp": lambda: libc.execlp(name, *encoded, None),
        "execle": lambda: libc.execle(encoded[0], *encoded, None, environment),
        "fexecve": lambda: os.execve(os.open(words[0], os.O_RDONLY | os.O_CLOEXEC), words, os.environ),
    }
    calls[how]()


def subprocesses(traffic):
    """subprocess by vfork, by fork and by posix_spawn; shells and pipes."""
    results = collections.Counter()
    for number, _ in enumerate(traffic.steps(2, full=1, least=10)):
        how = {"preexec_fn": os.getpid} if number % 2 else {}
        done = subprocess.run(["sh", "-c", f"cat; exit {number % 5}"], input=b"x" * 100000, stdout=subprocess.PIPE,
                              check=False, **how)
        results[done.returncode, len(done.stdout)] += 1
        child = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
        results["spawned", os.waitpid(child, 0)[1]] += 1
    return sorted(map(str, results)), alone(traffic)


def asynchronous_subprocesses(traffic):
    async def one(number):
        process = await asyncio.create_subprocess_exec("sh", "-c", f"exit {number}")
        for _ in range(5):
            traffic.run(500)
            await asyncio.sleep(0)
        return await process.wait()

    async def several():
        return [code for _ in range(4) for code in await asyncio.gather(*map(one, range(5)))]

    return asyncio.run(several()), alone(traffic)


def square(number):
    traffic = Traffic(20000)
    traffic.run(3000)
    return number * number if traffic.check() else None


def pools(traffic):
    """multiprocessing's pools and concurrent's executors, by fork and by spawn."""
    results = []
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            waiting = pool.map_async(square, range(6))
            while not waiting.ready():
                traffic.run(500)
            results.append(waiting.get())
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(square, number) for number in range(6)]
        traffic.run(20000)
        results.append([future.result() for future in futures])
    return results


def signals(traffic):
    """A handler runs once for each signal, in the program only; the mask is the program's."""
    counted, reader_end = [0], os.pipe()

    def handler(number, frame):
        counted[0] += 1
        os.write(reader_end[1], b"x")

    signal.signal(signal.SIGUSR1, handler)
    sent = 0
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for _ in traffic.steps(1.5, 50):
        os.kill(os.getpid(), signal.SIGUSR1)
        sent += 1
        while counted[0] < sent:
            traffic.run(1)
    os.close(reader_end[1])
    received = 0
    while True:
        got = len(os.read(reader_end[0], 65536))
        received += got
        if not got:
            break
    return received == sent, counted[0] == sent, signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


def interrupts(traffic):
    """Ctrl-C at any moment is one KeyboardInterrupt, between two instructions of the program."""
    caught, sent = 0, 0
    signal.signal(signal.SIGALRM, lambda *_: os.kill(0, signal.SIGINT))
    for _ in range(20):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.01 + random.random() / 20)
            sent += 1
            while True:
                traffic.run(10)
        except KeyboardInterrupt:
            caught += 1
            traffic.number = traffic.sessions[-1].number
    return caught == sent


def killed_helpers(traffic):
    """The collector's process is killed at random moments, or stopped."""
    done = threading.Event()
    hit = [0]

    def hunt():
        while not done.is_set():
            for child in children():
                time.sleep(random.random() / 200)
                try:
                    os.kill(child, random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM]))
                    hit[0] += 1
                except ProcessLookupError:
                    pass
            time.sleep(0.001)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    end = time.monotonic() + 20
    while hit[0] < int(os.environ.get("HITS", "0")) and time.monotonic() < end:
        traffic.run(300)
    done.set()
    hunter.join()
    print("hit:", hit[0], file=sys.stderr)
    return traffic.check()


def runs_on(traffic):
    """For a test that ends it from outside: says when it is busy."""
    print("busy", flush=True)
    for _ in traffic.steps(200):
        pass


def leaves_at_once(traffic):
    """os._exit at a random moment."""
    for _ in traffic.steps(0.3 + random.random() / 3, 20, full=1):
        pass
    print("leaves", flush=True)
    os._exit(0)


def ends_in_every_way(traffic):
    """An interpreter that is finalized while a snapshot may be on its way: finalizers run as on stock."""
    import atexit

    class Last:
        def __init__(self):
            self.me = self

        def __del__(self):
            counted.append(1)

    counted = []
    atexit.register(lambda: print("at exit", len(counted), traffic.check()))
    atexit.register(traffic.run, 5000)
    traffic.run(20000)
    last = [Last() for _ in range(100)]
    del last
    gc.collect()
    thread = threading.Thread(target=traffic.run, args=(3000,))
    thread.start()
    thread.join()
    return len(counted)


def threads(traffic):
    """Threads that allocate, release the GIL, and hold allocator locks while snapshots are taken."""
    import hashlib
    import zlib
    results = []

    def work():
        total = 0
        for k in range(25):
            data = os.urandom(50_000) * 4
            total += len(zlib.decompress(zlib.compress(data, 1))) + len(hashlib.sha256(data).digest())
            own = [Session(k) for _ in range(50)]
            del own
        results.append(total)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        traffic.run(300)
    return results


def frozen(traffic):
    """gc.freeze, unfreeze, disable and enable at any moment."""
    for number, _ in enumerate(traffic.steps(1.5, 200, full=1)):
        [gc.freeze, gc.unfreeze, gc.disable, gc.enable, gc.collect, lambda: gc.collect(1)][random.randrange(6)]()
    gc.enable()
    gc.unfreeze()
    return gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()


def disabled(traffic):
    """While the collector is disabled nothing is collected on its own."""
    gc.collect()
    gc.disable()
    before = gc.get_stats()
    traffic.run(20000)
    unchanged = gc.get_stats() == before
    found = gc.collect()
    gc.enable()
    return unchanged, found > 100_000


def exact_collections(traffic):
    """gc.collect() finds what stock finds, whatever a snapshot had begun."""
    found = []
    for _ in range(30):
        gc.collect()
        base = [Session(k) for k in range(random.randint(1, 50))]
        size = len(base)
        traffic.run(random.randrange(400))
        traffic.sessions.clear()
        gc.collect()
        base = None
        found.append(gc.collect() / size)
    return found, gc.garbage


def tracing(traffic):
    """tracemalloc from some moment to another."""
    import tracemalloc
    traffic.run(2000)
    tracemalloc.start(3)
    traffic.run(5000)
    traced = tracemalloc.get_traced_memory()[0] > 1_000_000
    tracemalloc.stop()
    traffic.run(5000)
    return traced


def limited(traffic):
    """Memory that ends is a MemoryError, and what the program then frees it can use again."""
    hoard, errors = [], 0
    for _ in range(3):
        try:
            while True:
                hoard.append([Session(0) for _ in range(300)])
                traffic.run(10)
        except MemoryError:
            hoard.clear()
            errors += 1
            gc.collect()
        traffic.sessions.clear()
    traffic.number = 0
    traffic.sessions.clear()
    gc.collect()
    traffic.run(100)
    return errors


def plainly(traffic):
    """Nothing but the traffic."""
    for _ in range(30):
        traffic.run(1000)
    return "done"


def idle(traffic):
    """A helper that ends while the program waits, for whatever, leaves nothing behind. There are no collections then, so
    nobody else looks after it."""
    reader, writer = os.pipe()
    poll, epoll = select.poll(), select.epoll()
    poll.register(reader)
    epoll.register(reader)
    waits = [time.sleep, lambda s: select.select([reader], [], [], s), lambda s: poll.poll(s * 1000), epoll.poll,
             lambda s: asyncio.run(asyncio.sleep(s))]
    left = []
    for wait in waits:
        for _ in traffic.steps(0, 20, full=3):
            if children():
                break
        gc.disable()
        end = time.monotonic() + 20
        while children(b"Z") == [] != children() and time.monotonic() < end:  # it runs
            wait(0.5)
        wait(0.5)
        left.append(len(children()))
        gc.enable()
    return left


def pinned(traffic):
    """Buffers registered with io_uring: the kernel copies such memory at a clone. The heap grows afterwards."""
    setup, register = 425, 427
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(setup, 1, (ctypes.c_char * 120)())
    if ring < 0:
        return "not allowed"
    size = 32 << 20
    buffer = (ctypes.c_char * size).from_buffer(mmap.mmap(-1, size))
    error = libc.syscall(register, ring, 0, (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), size), 1)
    for _ in range(4):
        first = len(traffic.records)
        traffic.records += [{"number": i, "list": [i]} for i in range(first, first + 30_000)]
        traffic.run(5000)
    return "pinned" if error == 0 else "not allowed"


def score(traffic):
    """The program's own standing with the kernel stays as it is."""
    def standing():
        with open("/proc/self/oom_score_adj") as oom:
            return (oom.read(), resource.getrlimit(resource.RLIMIT_CORE), os.nice(0), os.getpgid(0), os.getsid(0),
                    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE - 1), faulthandler.is_enabled())
    before = standing()
    for _ in traffic.steps(1):
        pass
    return standing() == before


def main():
    scenario = sys.argv[1]
    traffic = Traffic(int(sys.argv[2]) if len(sys.argv) > 2 else 60_000)
    random.seed(os.environ.get("SEED"))
    noticed = globals()[scenario](traffic)
    print(scenario, noticed, traffic.check(), flush=True)
    print("full collections:", gc.get_stats()[2]["collections"], file=sys.stderr)


if __name__ == "__main__":
    main()
