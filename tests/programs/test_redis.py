# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""redis-server on Cairn: a bounded redis-benchmark, snapshots by a forked child while clients write, and a restart
from the snapshot that must hold the same data. The server listens on a port of its own on the loopback interface
and keeps its files in the test's folder."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from conftest import cairn_environment, clean_environment, execute, requests_in, require

SETTINGS = ["--bind", "127.0.0.1", "--protected-mode", "yes", "--save", "", "--appendonly", "no", "--daemonize", "no",
            "--dbfilename", "snapshot.rdb", "--loglevel", "notice", "--enable-debug-command", "local"]


class Server:
    """A redis-server in a folder; a context manager that leaves no process behind."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self):
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [require("redis-server"), "--port", str(self.port), "--dir", str(self.folder), *SETTINGS],
                env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 30
        while self.ask("PING", check=False) != "PONG":
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return self

    def __exit__(self, *unused):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]

    def ask(self, *command, check=True):
        outcome = execute([require("redis-cli"), "-h", "127.0.0.1", "-p", self.port, *command], clean_environment(),
                          self.folder, timeout=60)
        assert outcome.code == 0 or not check, outcome.out + outcome.err + self.log()
        return outcome.out.strip()

    def feed(self, lines):
        outcome = execute([require("redis-cli"), "-h", "127.0.0.1", "-p", self.port], clean_environment(), self.folder,
                          stdin="\n".join(lines) + "\n", timeout=120)
        assert outcome.code == 0, outcome.err

    def benchmark(self, *arguments):
        outcome = execute([require("redis-benchmark"), "-h", "127.0.0.1", "-p", self.port, "-q", *arguments],
                          clean_environment(), self.folder, timeout=180)
        assert outcome.code == 0, outcome.err + self.log()
        return outcome.out

    def saved(self):
        """Waits for the snapshot being written; says whether it went well."""
        deadline = time.monotonic() + 120
        while "rdb_bgsave_in_progress:1" in self.ask("INFO", "persistence"):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)
        return "rdb_last_bgsave_status:ok" in self.ask("INFO", "persistence")

    def stop(self):
        """Orderly end, with the exit handlers run."""
        self.ask("SHUTDOWN", "NOSAVE", check=False)
        assert self.process.wait(60) == 0, self.log()


def fill(server):
    """Keys of every type, the same on each call."""
    lines = [f"SET key:{n} {'v' * (n % 700)}{n}" for n in range(4000)]
    lines += [f"RPUSH list:{n % 50} element-{n} {'e' * (n % 90)}" for n in range(3000)]
    lines += [f"HSET hash:{n % 40} field-{n} {'f' * (n % 300)}" for n in range(3000)]
    lines += [f"ZADD sorted:{n % 20} {n * 37 % 1009} member-{n}" for n in range(3000)]
    lines += [f"SADD set:{n % 30} {n} s{n}" for n in range(3000)]
    lines += [f"DEL key:{n}" for n in range(0, 4000, 3)] + [f"APPEND key:{n} {'x' * 5000}" for n in range(1, 4000, 40)]
    server.feed(lines)


@pytest.fixture
def stock_digest(tmp_path):
    """The digest of the filled database on the system's allocator."""
    folder = tmp_path / "stock"
    folder.mkdir()
    with Server(folder, clean_environment()) as server:
        fill(server)
        return digest(server)


def digest(server):
    """A digest of all keys and values, as the server computes it."""
    answer = server.ask("DEBUG", "DIGEST")
    assert len(answer) == 40 and answer.strip("0"), answer
    return answer


def test_snapshot_and_restart(tmp_path, stock_digest):
    folder = tmp_path / "cairn"
    folder.mkdir()
    with Server(folder, cairn_environment()) as server:
        maps = open(f"/proc/{server.process.pid}/maps", encoding="utf-8").read()
        assert "libcairn-preload.so" in maps
        fill(server)
        before = digest(server)
        assert before == stock_digest
        server.ask("BGSAVE")
        assert server.saved(), server.log()
        server.stop()
    with Server(folder, cairn_environment()) as server:
        assert digest(server) == before
        server.stop()
    with Server(folder, clean_environment()) as server:
        assert digest(server) == before


def test_benchmark_with_snapshots_under_load(tmp_path):
    statistics = tmp_path / "statistics.json"
    with Server(tmp_path, cairn_environment(stats="json", stats_file=statistics)) as server:
        load = ["-n", "30000", "-r", "20000", "-c", "20", "-d", "200", "-P", "8"]
        for _ in range(3):
            client = subprocess.Popen(
                [require("redis-benchmark"), "-h", "127.0.0.1", "-p", str(server.port), "-q", *load, "-t",
                 "set,incr,lpush,rpop,sadd,hset,zadd,spop,zpopmin"],
                env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                server.ask("BGSAVE", "SCHEDULE")
                out, _ = client.communicate(timeout=180)
            finally:
                client.kill()
                client.wait()
            assert client.returncode == 0, out + server.log()
            assert server.saved(), server.log()
        before = digest(server)
        server.ask("SAVE")
        server.ask("FLUSHALL")
        assert server.ask("DBSIZE") == "0"
        server.stop()
    assert requests_in(json.loads(statistics.read_text())) > 300000
    with Server(tmp_path, cairn_environment()) as server:
        assert digest(server) == before


def test_memory_comes_back_after_flush(tmp_path):
    """Live bytes, as the server's allocator reports them, fall when the data goes."""
    with Server(tmp_path, cairn_environment()) as server:
        server.benchmark("-n", "40000", "-r", "1000000", "-t", "set", "-d", "1000", "-P", "16")
        full = resident_kib(server.process.pid)
        server.ask("FLUSHALL", "SYNC")
        server.ask("MEMORY", "PURGE", check=False)
        deadline = time.monotonic() + 20
        while resident_kib(server.process.pid) > full * 2 // 3 and time.monotonic() < deadline:
            server.ask("SET", "a", "b")
            time.sleep(0.2)
        assert full > 40000
        assert resident_kib(server.process.pid) <= full * 2 // 3


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
