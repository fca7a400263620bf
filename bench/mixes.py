#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Makes the distributions in bench/mixes/ from recordings of real programs, for bench/mix.c to draw from.

    bench/mixes.py --build build                 all of them anew
    bench/mixes.py --build build --only redis    one
    bench/mixes.py --recording FILE --name NAME  of any recording of `cairn record`

A program is recorded by `cairn record`, and its recording reduced to how many allocations it made, of which sizes, how
long each size lived (counted in allocations), how frees came in runs and in which order, and which resizes there were:
a few KB of text; bench/mix.c describes the lines. Who asked (malloc or a domain of CPython) and threads are left out,
aligned blocks count as plain ones. Programs are recorded at a scale that gives 500,000 to 1,000,000 allocations."""

import argparse
import collections
import os
import subprocess
import tempfile

import measure
import rows
import run

FOLDER = os.path.join(rows.HERE, "mixes")
EXACT = 56  # so many sizes have a line of their own, if they are this share of all:
EXACT_SHARE = 0.001
RESIZES = 40
LIVES = 24  # lifetimes below 2^LIVES allocations
ALLOCATIONS_MAX = 1_000_000  # bench/mix.c takes no longer rounds
FREE, ALLOC, ZEROED, ALIGNED, RESIZE = 1, 2, 3, 4, 5
CONTROL_THREAD, CONTROL_EXIT, CONTROL_TIME, CONTROL_END = range(4)


def sources(folder):
    """Name, words, whether a child does the work, and the benchmark's full work in allocations (some half a second)."""
    by_name = {row.name: row for row in rows.program_rows()}
    python = [run.DEFAULT_PYTHON, "-B"]
    yield "python-index", [*python, os.path.join(rows.HERE, "python", "dict_index.py"), "25"], False, 9_000_000
    yield "python-web", [*python, os.path.join(rows.HERE, "python", "template_rendering.py"), "10"], False, 9_000_000
    yield "gcc", by_name["gcc"].command(folder, 100), True, 9_000_000
    yield "sqlite", by_name["sqlite"].command(folder, 20), False, 14_000_000
    yield "redis", by_name["redis"].command(folder, 25), True, 10_000_000
    yield "lua", by_name["lua"].command(folder, 10), False, 2_000_000
    yield "perl", by_name["perl"].command(folder, 10), False, 3_000_000


def record(cairn, words, child, path):
    """Records a command, or with `child` the one of its children that asks most; returns the file."""
    command = [cairn, "record", "--quiet", "-o", path, *(["--children"] if child else []), *words]
    environment = measure.clean_environment()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
    if done.returncode != 0:
        run.fail(f"recording {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    folder, name = os.path.split(path)
    children = [os.path.join(folder, file) for file in os.listdir(folder) if file.startswith(name + ".")]
    return max([path, *children], key=os.path.getsize)


def contents(path):
    """The bytes of a recording's events (docs/design/recording.md, "The file")."""
    with open(path, "rb") as file:
        data = file.read()
    if data[8:16] != b"CAIRNREC" or data[16:20] != (1).to_bytes(4, "little"):
        run.fail(f"{path} is no recording of this version")
    first = 20 + 16 + int.from_bytes(data[28:32], "little")  # behind the frame with the description
    done = subprocess.run(["zstd", "-dcq"], input=data[first:], capture_output=True, check=False)
    if done.returncode != 0:
        run.fail(f"{path}: zstd: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def events(data):
    """(operation, object, size) of each allocation, free and resize."""
    at, last, unused, given_up = 0, 0, 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        tag, rest = data[at] & 7, data[at] >> 3
        at += 1
        if tag == 0:
            for _ in range(5 if rest == CONTROL_END else 1):
                number()
        elif tag in (ALLOC, ZEROED, ALIGNED):
            at += tag == ALIGNED
            if given_up:
                last = given_up.pop()
            else:
                last = unused
                unused += 1
            yield tag, last, number()
        elif tag in (FREE, RESIZE):
            far = rest if tag == FREE and rest < 31 else number()
            last += far >> 1 ^ -(far & 1)
            if tag == FREE:
                given_up.append(last)
                yield FREE, last, 0
            else:
                yield RESIZE, last, number()
        else:
            run.fail("the recording holds an event of another version")


class Reduction:
    """What is counted while the events pass. More than ALLOCATIONS_MAX allocations are not looked at."""

    def __init__(self):
        self.allocations = 0
        self.live = {}  # object: [number of its allocation, first size, size now]
        self.sizes = collections.Counter()
        self.zeroed = collections.Counter()
        self.lives = collections.defaultdict(collections.Counter)  # size: {bits of the lifetime, or LIVES: never freed}
        self.resizes = collections.Counter()  # (from, to)
        self.batches = collections.Counter()  # bits of the length
        self.orders = [0, 0, 0]  # frees in runs: newest first, oldest first, mixed
        self.run = []

    def allocate(self, number, size, zeroed):
        self.end_run()
        self.live[number] = [self.allocations, size, size]
        self.allocations += 1
        self.sizes[size] += 1
        self.zeroed[size] += zeroed

    def release(self, number):
        made, size, _ = self.live.pop(number)
        self.run.append((made, size))

    def resize(self, number, size):
        block = self.live[number]
        self.resizes[block[2], size] += 1
        block[2] = size

    def end_run(self):
        """The run of frees since the last allocation is over."""
        if not self.run:
            return
        for made, size in self.run:
            self.lives[size][min((self.allocations - 1 - made).bit_length(), LIVES - 1)] += 1
        self.batches[len(self.run).bit_length()] += 1
        pairs = len(self.run) - 1
        if pairs >= 3:
            rising = sum(one < two for one, two in zip(self.run, self.run[1:]))
            self.orders[1 if rising > 0.75 * pairs else 0 if rising < 0.25 * pairs else 2] += len(self.run)
        self.run = []

    def take(self, stream):
        for operation, number, size in stream:
            if operation == FREE:
                self.release(number)
            elif operation == RESIZE:
                self.resize(number, size)
            elif self.allocations == ALLOCATIONS_MAX:
                break
            else:
                self.allocate(number, size, operation == ZEROED)
        for _, size in [*self.run, *(block[:2] for block in self.live.values())]:
            self.lives[size][LIVES] += 1  # what goes after the last allocation lived until the end

    def groups(self):
        """[(low, high)] in order: the frequent sizes, and between them quarters of octaves."""
        every = self.sizes + collections.Counter([size for pair in self.resizes.elements() for size in pair])
        exact = {size for size, count in every.most_common(EXACT) if count >= EXACT_SHARE * self.allocations}
        ranges = {}
        for size in every:
            step = max(1, 1 << max(0, size.bit_length() - 3))
            key = (size, 0) if size in exact else (size // step * step, step)
            low, high = ranges.get(key, (size, size))
            ranges[key] = min(low, size), max(high, size)
        return sorted(ranges.values())

    def lines(self, name, full):
        groups = self.groups()
        exact = {low: index for index, (low, high) in enumerate(groups) if low == high}
        index_of = {
            size: exact[size] if size in exact else next(
                index for index, (low, high) in enumerate(groups) if low <= size <= high and low != high
            )
            for size in set(self.sizes) | {size for pair in self.resizes for size in pair}
        }
        yield f"name {name}"
        yield f"full {full}"
        yield f"round {self.allocations}"
        yield "batches " + " ".join(str(self.batches[bits]) for bits in range(max(self.batches, default=0) + 1))
        yield "order {} {} {}".format(*(self.orders if sum(self.orders) else (0, 0, 1)))
        for index, (low, high) in enumerate(groups):
            inside = [size for size in self.sizes if index_of[size] == index]
            lives = [sum(self.lives[size][bits] for size in inside) for bits in range(LIVES + 1)]
            count, zeroed = (sum(counter[size] for size in inside) for counter in (self.sizes, self.zeroed))
            yield f"size {low} {high} {count} {zeroed} " + " ".join(map(str, lives))
        pairs = collections.Counter()
        for (old, new), count in self.resizes.items():
            pairs[index_of[old], index_of[new]] += count
        for (old, new), count in sorted(pairs.most_common(RESIZES)):
            yield f"resize {old} {new} {count}"


def reduce(path, name, full):
    reduction = Reduction()
    reduction.take(events(contents(path)))
    return list(reduction.lines(name, full)), reduction.allocations


def write_mix(path, source, lines):
    header = ["# SPDX-License-Identifier: MIT", "# Copyright (c) 2026 The Cairn authors", f"# {source}"]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join([*header, *lines]) + "\n")


def relative(word, build):
    """A word of a command with paths in the tree and in the build as they are from the tree."""
    return word.replace(build + os.sep, "build/").replace(os.path.dirname(rows.HERE) + os.sep, "")


def main():
    parser = argparse.ArgumentParser(description="Makes distributions of requests from recordings of real programs.")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--only", metavar="NAME[,...]", help="these programs (default: all)")
    parser.add_argument("--out", default=FOLDER, metavar="DIR", help="where the files go (default: bench/mixes)")
    parser.add_argument("--recording", metavar="FILE", help="reduce this recording, record nothing")
    parser.add_argument("--name", help="name of that recording's file")
    arguments = parser.parse_args()
    if bool(arguments.recording) != bool(arguments.name):
        parser.error("--recording and --name go together")
    os.makedirs(arguments.out, exist_ok=True)
    if arguments.recording:
        lines, _ = reduce(arguments.recording, f"mix-{arguments.name}", 9_000_000)
        path = os.path.join(arguments.out, f"{arguments.name}.mix")
        write_mix(path, "By bench/mixes.py of a given recording.", lines)
        return
    build = os.path.abspath(arguments.build)
    cairn = os.path.join(build, "cairn")
    if not os.access(cairn, os.X_OK):
        run.fail(f"no {cairn}: build first (make), or name the folder with --build")
    wanted = arguments.only.split(",") if arguments.only else None
    for name, words, child, full in sources(os.path.join(build, "bench")):
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="mixes-") as folder:
            path = record(cairn, words, child, os.path.join(folder, "recording"))
            lines, allocations = reduce(path, f"mix-{name}", full)
        shown = " ".join(relative(word, build) for word in words)
        write_mix(os.path.join(arguments.out, f"{name}.mix"), f"By bench/mixes.py --only {name}, of: {shown}", lines)
        run.progress(f"{name}: {allocations} allocations, {len(lines)} lines")


if __name__ == "__main__":
    main()
