# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The rows of the benchmark: what is run, in which group, and how its inputs are made.

Groups: "c" (bench/programs/*.c, one allocation pattern each), "mixes" (bench/mix.c with bench/mixes/*.mix: requests as
real programs make them, without the programs), "programs" (real programs of Debian), "python"
(bench/python/*.py under CPython, where the base is stock CPython with its own pymalloc). Every row prints a line that
depends on the scale only, so a wrong answer under some allocator is seen. Inputs are generated with fixed seeds into
BUILD/bench, once per scale."""

import os
import random
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
COMPILER = "cc"
COMPILER_FLAGS = ["-O2", "-std=gnu17", "-pthread", "-Wall", "-Wextra"]


class Row:
    """One benchmark. `command(folder, scale)` gives its argument list, making inputs if need be; `needs` names the
    program that must be installed; `rests`: it says when its work is done, so its final memory can be read."""

    def __init__(self, group, name, needs, command):
        self.group = group
        self.name = name
        self.needs = needs
        self.command = command
        self.rests = group != "programs"

    @property
    def title(self):
        return f"{self.group}/{self.name}"

    def available(self):
        return shutil.which(self.needs) is not None


def build_binary(folder, source, flags=(), suffix="", libraries=()):
    """Compiles a C source of this directory into `folder` unless it is up to date; returns the binary's path. `flags`
    and `libraries` (files, and -l words) go with a `suffix` of the name."""
    name = os.path.splitext(os.path.basename(source))[0]
    binary = os.path.join(folder, name + suffix)
    inputs = [source, os.path.join(HERE, "programs", "bench.h")]
    inputs += [library for library in libraries if not library.startswith("-l")]
    if not os.path.exists(binary) or any(os.path.getmtime(path) > os.path.getmtime(binary) for path in inputs):
        os.makedirs(folder, exist_ok=True)
        subprocess.run([COMPILER, *COMPILER_FLAGS, *flags, "-o", binary, source, *libraries], check=True)
    return binary


def c_rows():
    folder = os.path.join(HERE, "programs")
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".c"):
            continue
        source = os.path.join(folder, file)
        yield Row(
            "c", file[:-2], COMPILER, lambda build, scale, source=source: [build_binary(build, source), f"{scale:g}"]
        )


def mix_rows():
    folder = os.path.join(HERE, "mixes")
    source = os.path.join(HERE, "mix.c")
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".mix"):
            continue
        mix = os.path.join(folder, file)
        yield Row(
            "mixes",
            "mix-" + file[:-4],
            COMPILER,
            lambda build, scale, mix=mix: [build_binary(build, source), mix, f"{scale:g}"],
        )


def python_rows(python):
    folder = os.path.join(HERE, "python")
    for file in sorted(os.listdir(folder)):
        if file == "bench_common.py" or not file.endswith(".py"):
            continue
        source = os.path.join(folder, file)
        name = file[:-3].replace("_", "-")
        yield Row("python", name, python, lambda build, scale, source=source: [python, source, f"{scale:g}"])


def generated(folder, name, scale, write):
    """A generated input: BUILD/bench/inputs/<scale>-<name>, written by `write(file)` if it is not there yet."""
    path = os.path.join(folder, "inputs", f"{scale:g}-{name}")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="ascii") as file:
            write(file)
        os.replace(path + ".new", path)
    return path


def scaled(full, scale):
    return max(1, int(full * scale / 100))


def write_c_source(file, functions):
    """A C file of small functions with loops, structs, switches and calls of each other."""
    chance = random.Random(7)
    file.write("struct item { struct item *next; int key; double weight; char name[24]; };\n")
    for number in range(functions):
        cases = "".join(f" case {k}: sum += item->key * {chance.randrange(99)}; break;\n" for k in range(6))
        call = f"sum ^= f{chance.randrange(number)}(item, n / 2);" if number else ""
        file.write(
            f"int f{number}(struct item *item, int n);\n"
            f"int f{number}(struct item *item, int n) {{\n int sum = {number};\n"
            f" for (int i = 0; i < n && item; i++, item = item->next) {{\n  switch (item->key % 8) {{\n{cases}"
            f"  default: item->weight += sum / {chance.randrange(1, 50)}.0;\n  }}\n"
            f"  if (item->name[i % 24] == 'a' + {chance.randrange(26)}) {call or 'sum++;'}\n }}\n return sum;\n}}\n"
        )


def write_orders(file, count):
    chance = random.Random(8)
    file.write("id,customer,amount,note\n")
    for number in range(count):
        note = "note " * chance.randrange(12)
        file.write(f"{number},customer {chance.randrange(20000)},{chance.randrange(10**5) / 100},{note}\n")


def compile_command(folder, scale):
    source = generated(folder, "source.c", scale, lambda file: write_c_source(file, scaled(220, scale)))
    return ["gcc", "-O1", "-S", "-o", "-", source]


def sqlite_command(folder, scale):
    table = generated(folder, "orders.csv", scale, lambda file: write_orders(file, scaled(180000, scale)))
    script = os.path.join(HERE, "scripts", "orders.sql")
    steps = (".mode csv", f".import {table} orders", f".read {script}")
    return ["sqlite3", ":memory:", *steps]


def script_command(interpreter, script):
    return lambda folder, scale: [interpreter, os.path.join(HERE, "scripts", script), f"{scale:g}"]


def program_rows():
    redis = os.path.join(HERE, "scripts", "redis.sh")
    yield Row("programs", "lua", "lua5.4", script_command("lua5.4", "tables.lua"))
    yield Row("programs", "sqlite", "sqlite3", sqlite_command)
    yield Row("programs", "gcc", "gcc", compile_command)
    yield Row("programs", "perl", "perl", script_command("perl", "log.pl"))
    yield Row("programs", "redis", "redis-server", lambda folder, scale: ["sh", redis, str(scaled(100000, scale))])


def all_rows(python):
    return [*c_rows(), *mix_rows(), *program_rows(), *python_rows(python)]
