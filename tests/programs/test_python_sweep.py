# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""While CPython waits, the pages between its surviving objects go back."""

import pytest

from test_python_domains import SYSTEM, served

# Keeps one object in a hundred and waits; prints MB resident at the peak, after waiting and once all is filled again.
SPARSE = """
import gc, os, random, select, socket, sys, threading, time

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") // 10**6

def make(n):
    return [{"i": i, "s": "x" * (i % 90), "l": [i, i + 1]} for i in range(n)]

random.seed(7)
gc.disable()
objects = make(120_000)
peak = resident()
keep = random.sample(objects, len(objects) // 100)
told = [(o["i"], len(o["s"]), o["l"]) for o in keep]
del objects
{wait}
after = resident()
objects = make(100_000)
assert [(o["i"], len(o["s"]), o["l"]) for o in keep] == told
assert all(o["i"] == i and o["l"] == [i, i + 1] and o["s"] == "x" * (i % 90) for i, o in enumerate(objects))
print(peak, after, resident())
"""

WAITS = {
    "sleep": "time.sleep(1.5)",
    "select": "select.select([], [], [], 1.5)",
    "poll": "p = select.poll(); p.poll(1500)",
    "epoll": "e = select.epoll(); e.poll(1.5)",
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(1.5))",
    "beside threads": """
stop = []
def work():
    while not stop:
        sum(range(50))
        time.sleep(0.01)
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
time.sleep(2.5)
stop.append(1)
for t in threads: t.join()
""",
}


def sparse(programs, python, wait):
    outcome = programs.cairn([python, "-c", SPARSE.replace("{wait}", wait)])
    assert (outcome.code, outcome.err) == (0, "")
    return map(int, outcome.out.split())


@served
def test_a_sleeping_python_keeps_what_lives(programs, python):
    peak, after, again = sparse(programs, python, WAITS["sleep"])
    assert peak > 50
    assert after < 0.6 * peak  # 0.75 with whole pools alone
    assert again < 1.1 * peak


@pytest.mark.parametrize("call", WAITS)
def test_every_wait_of_python_will_do(programs, call):
    peak, after, _ = sparse(programs, SYSTEM, WAITS[call])
    assert after < 0.6 * peak


def test_nothing_goes_back_without_a_wait(programs):
    peak, after, _ = sparse(programs, SYSTEM, "pass")
    assert after > 0.7 * peak


def test_waits_end_in_time_while_much_is_swept(programs):
    """The wait is looked at between slices: what it waits for is not late by the length of the whole sweep."""
    wait = """
a, b = socket.socketpair()
def write():
    time.sleep(0.25)
    b.send(time.monotonic().hex().encode())
threading.Thread(target=write).start()
select.select([a], [], [], 10)
sent = float.fromhex(a.recv(100).decode())
assert time.monotonic() - sent < 0.2, time.monotonic() - sent
"""
    sparse(programs, SYSTEM, wait)


def test_an_interrupt_ends_a_sleep_while_another_thread_works(programs):
    """The GIL is never waited for in a wait, so signals are held back for a moment only."""
    wait = """
def work():
    time.sleep(0.1)
    sum(range(60_000_000))  # one call that keeps the GIL
def interrupt(pid):
    if os.fork() == 0:
        time.sleep(0.6)
        os.kill(pid, 2)
        os._exit(0)
interrupt(os.getpid())
threading.Thread(target=work, daemon=True).start()
begin = time.monotonic()
try:
    time.sleep(30)
except KeyboardInterrupt:
    pass
assert time.monotonic() - begin < 20
"""
    sparse(programs, SYSTEM, wait)
