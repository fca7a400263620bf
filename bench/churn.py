#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Many threads on few cores for minutes, with frees of each other's blocks: does memory stay flat, does it come back?

    bench/churn.py --build build                                   Cairn for 10 minutes, each peer for 2
    bench/churn.py --build build --minutes 1 --allocators cairn    Cairn alone for one minute

bench/churn.c says what the threads do. Resident memory (Rss of /proc/PID/smaps_rollup) is read every second. The first
minute (of a short run: the first third) is warm-up. While the threads work, what is resident goes up and down by some MiB
with the blocks that are on their way between threads, and these with how the system runs the threads: for minutes on end
if it has other work. So it is judged twice:

- "settled" is what is resident after the warm-up and at the end, each time with the threads alive but at rest and after
  malloc_trim() in each of them, so that no block is on its way. This hardly varies: flat means that it rises by at
  most 3% or 1 MiB;
- "growth" is the rise of the straight line through the samples after twice the warm-up, in percent of its start, plus or
  minus what chance may add to a line through the means of so many stretches of time (one-sided, 95%): flat means that
  there is no proof of more than the same 3% or 1 MiB, nor of more in the second half alone, should it have fallen first;
- "ended": resident two seconds after all threads have ended and all is freed, "trimmed": after malloc_trim();
- arenas of Cairn while the threads live, after they ended, and after the trim. None is stranded if those that are left
  at the end are no more than the pools of the program's own few blocks.

Exit status 1 if Cairn misses either."""

import argparse
import os
import subprocess
import sys
import time

import measure
import report
import rows
import run

BEGIN, END = "<!-- churn: begin -->", "<!-- churn: end -->"
INCLUDE = os.path.join(os.path.dirname(rows.HERE), "include")
FLAT_PERCENT, FLAT_MIB = 3.0, 1.0
OWN_POOLS = 6  # at most: of the few blocks that the C library and the main thread still hold at the end
SETTLE = 2.0  # seconds after the end, as programs rest
STRETCHES = 9  # of time, whose means are judged: long enough to have little to do with each other
STUDENT = 1.895  # t for one-sided 95% and STRETCHES - 2 degrees of freedom


def resident_mib(process):
    with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Rss:"):
                return int(line.split()[1]) / 1024
    raise OSError("no Rss in smaps_rollup")


def line_through(samples):
    """Least squares through (seconds, MiB): (value at the first moment, value at the last)."""
    count = len(samples)
    middle = sum(moment for moment, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    width = sum((moment - middle) ** 2 for moment, _ in samples)
    slope = sum((moment - middle) * (value - mean) for moment, value in samples) / width if width else 0.0
    return tuple(mean + slope * (moment - middle) for moment in (samples[0][0], samples[-1][0]))


def growth(samples):
    """(percent, MiB) of the line through the samples."""
    first, last = line_through(samples)
    return 100 * (last - first) / first, last - first


def means(samples):
    """The samples as STRETCHES means of (seconds, MiB), or as they are if there are no more."""
    count = len(samples)
    if count <= STRETCHES:
        return samples
    cuts = [round(count * i / STRETCHES) for i in range(STRETCHES + 1)]
    parts = [samples[start:end] for start, end in zip(cuts, cuts[1:])]
    return [tuple(sum(column) / len(part) for column in zip(*part)) for part in parts]


def uncertainty(samples):
    """How much of growth(), in MiB, chance may account for."""
    points = means(samples)
    if len(points) < STRETCHES:
        return float("inf")
    first, last = line_through(points)
    span = points[-1][0] - points[0][0]
    errors = [value - first - (last - first) * (moment - points[0][0]) / span for moment, value in points]
    middle = sum(moment for moment, _ in points) / len(points)
    width = sum((moment - middle) ** 2 for moment, _ in points)
    deviation = (sum(error**2 for error in errors) / (len(points) - 2) / width) ** 0.5
    return STUDENT * deviation * (samples[-1][0] - samples[0][0])


def is_small(percent, mib):
    return percent <= FLAT_PERCENT or mib <= FLAT_MIB


class Result:
    """What one allocator did: samples while it churned, and what was left."""

    def __init__(self, name, seconds, warm_up):
        self.name = name
        self.seconds = seconds
        self.warm_up = warm_up
        self.samples = []
        self.steps = 0
        self.rest = {}  # moment: (MiB, arenas, pools, blocks, owners, remote frees)

    def judged(self):
        """After the warm-up, and as long again, since what was trimmed then fills anew."""
        return [sample for sample in self.samples if sample[0] >= 2 * self.warm_up]

    def growth(self):
        """(percent, MiB) of the samples that are judged."""
        return growth(self.judged())

    def settled(self):
        """What was resident at rest after the warm-up and at the end."""
        return self.rest["warm"][0], self.rest["settled"][0]

    def flat(self):
        first, last = self.settled()
        judged = self.judged()
        proven = [is_small(100 * (last - first) / first, last - first)]
        for samples in (judged, judged[len(judged) // 2 :]):
            start, _ = line_through(samples)
            sure = growth(samples)[1] - uncertainty(samples)
            proven.append(is_small(100 * sure / start, sure))
        return all(proven)

    def stranded(self):
        _, arenas, pools, *_ = self.rest["trimmed"]
        return max(0, arenas - min(pools, OWN_POOLS))

    def cells(self):
        """The row of the table."""
        values = [value for _, value in self.judged()]
        first, last = line_through(self.judged())
        arenas = " / ".join(str(self.rest[moment][1]) for moment in ("churned", "ended", "trimmed"))
        cairn = self.name == measure.CAIRN.name
        return [
            self.name,
            f"{self.seconds / 60:g}",
            f"{self.steps / self.seconds / 1e6:.1f}",
            *(f"{value:.1f}" for value in (first, last, max(values))),
            f"{self.growth()[0]:+.1f} ±{100 * uncertainty(self.judged()) / first:.1f}%",
            " / ".join(f"{value:.1f}" for value in self.settled()),
            "yes" if self.flat() else "NO",
            *(f"{self.rest[moment][0]:.1f}" for moment in ("ended", "trimmed")),
            arenas if cairn else "-",
            str(self.stranded()) if cairn else "-",
        ]


HEADER = [
    "allocator", "minutes", "million steps/s", "first, MiB", "last, MiB", "highest", "growth", "settled, MiB", "flat",
    "ended, MiB", "trimmed, MiB", "arenas", "stranded",
]


class Churn:
    """One run of the program under one allocator."""

    def __init__(self, cairn, binary, allocator, threads, result, lost=0):
        environment = measure.clean_environment()
        words = [binary, f"{result.seconds:g}", f"{result.warm_up:g}", str(threads), str(lost)]
        if allocator is measure.CAIRN:
            words = [cairn, "run", "--", *words]
        else:
            environment["LD_PRELOAD"] = allocator.soname
        self.result = result
        self.program = subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def hear(self, word):
        line = self.program.stdout.readline().split()
        if not line or line[0] != word:
            run.fail(f"churn under {self.result.name} said {line} instead of {word}: exit code {self.program.poll()}")
        return list(map(int, line[1:]))

    def go_on(self):
        self.program.stdin.write("\n")
        self.program.stdin.flush()

    def note(self, moment, figures):
        self.result.rest[moment] = (resident_mib(self.process), *figures)

    def sample(self, begin, end):
        """Each second of the run from `begin` to `end`."""
        start = time.monotonic() - begin
        while (passed := time.monotonic() - start) < end:
            self.result.samples.append((passed, resident_mib(self.process)))
            if len(self.result.samples) % 60 == 0:
                run.progress(f"{self.result.name}: {passed / 60:.0f} min, {self.result.samples[-1][1]:.1f} MiB")
            time.sleep(min(1.0, max(0.0, end - passed)))

    def play(self):
        try:
            (self.process,) = self.hear("started")
            self.go_on()
            self.sample(0, self.result.warm_up)
            self.note("warm", self.hear("warm"))
            self.go_on()
            self.sample(self.result.warm_up, self.result.seconds)
            self.result.steps, *figures = self.hear("churned")
            self.note("churned", figures)
            self.go_on()
            self.note("settled", self.hear("settled"))
            self.go_on()  # end the threads
            time.sleep(SETTLE)
            self.go_on()
            self.note("ended", self.hear("ended"))
            self.go_on()
            self.note("trimmed", self.hear("trimmed"))
            self.go_on()
            if self.program.wait() != 0:
                run.fail(f"churn under {self.result.name} ended with {self.program.returncode}")
        finally:
            self.program.kill()
            self.program.wait()


TEXT = """## Churn for minutes

Written by `bench/churn.py{words}` on {cores} cores.
{threads} threads replace blocks of their own and of each other; each lives for 300,000 steps and is followed by
another. "first" and "last" are the ends of the straight line through what was resident each second after the first two
minutes (of a short run: the first two thirds), "growth" is between them, ± what chance may add; "settled" is what was resident
after the warm-up and at the end with the threads at rest and no block on its way. Flat: "settled" rises by at most 3% or
1 MiB, and no more than that is proven of "growth", also in the second half of these samples alone. "ended" is what was resident two seconds after all threads had ended and all was freed. Arenas:
with the threads alive, ended, trimmed; stranded: left after the trim beyond those of the program's own few blocks.

"""


def main():
    known = [measure.CAIRN.name] + [peer.name for peer in measure.PEERS]
    parser = argparse.ArgumentParser(description="Many threads for minutes: is memory flat, does it come back?")
    parser.add_argument("--build", default="build", help="where cairn was built (default: build)")
    parser.add_argument("--minutes", type=float, default=10, help="for Cairn (default: 10)")
    parser.add_argument("--peer-minutes", type=float, default=2, help="for each other allocator (default: 2)")
    parser.add_argument("--threads", type=int, default=64, help="default: 64")
    parser.add_argument("--allocators", default=",".join(known), help="of " + ", ".join(known) + " (default: all)")
    parser.add_argument("--lost", type=int, default=0, metavar="KIB", help="lose so much each second: a leak to be seen")
    parser.add_argument("--markdown", metavar="FILE", help="put the table into this file too")
    arguments = parser.parse_args()
    names = arguments.allocators.split(",")
    run.check_names(parser, "allocator", names, known)
    if min(arguments.minutes, arguments.peer_minutes) < 0.05:
        parser.error("--minutes and --peer-minutes must be at least 0.05")
    if not 1 <= arguments.threads <= 256:
        parser.error("--threads must be from 1 to 256")
    cairn = os.path.join(os.path.abspath(arguments.build), "cairn")
    if measure.CAIRN.name in names and not os.access(cairn, os.X_OK):
        run.fail(f"no {cairn}: build first (make), or name the folder with --build")
    folder = os.path.join(os.path.abspath(arguments.build), "bench")
    binary = rows.build_binary(folder, os.path.join(rows.HERE, "churn.c"), [f"-I{INCLUDE}", "-ldl"])
    every = [measure.CAIRN, *(peer for peer in measure.PEERS if measure.loadable(peer.soname))]
    chosen = [allocator for allocator in every if allocator.name in names]
    minutes = [arguments.minutes if one is measure.CAIRN else arguments.peer_minutes for one in chosen]
    run.progress(f"churn of {len(chosen)} allocators: about {sum(minutes) + 0.1 * len(chosen):.0f} min")
    results = []
    for allocator, length in zip(chosen, minutes):
        run.progress(f"{allocator.name}: {length:g} min")
        results.append(Result(allocator.name, 60 * length, min(60.0, 20 * length)))
        Churn(cairn, binary, allocator, arguments.threads, results[-1], arguments.lost).play()
    words = "".join(f" {word}" for word in sys.argv[1:])
    text = TEXT.format(words=words, cores=os.cpu_count(), threads=arguments.threads)
    text += "\n".join(report.pipe_table(HEADER, [result.cells() for result in results]))
    run.publish(arguments.markdown, BEGIN, END, text)
    sys.exit(any(one.name == measure.CAIRN.name and (not one.flat() or one.stranded()) for one in results))


if __name__ == "__main__":
    main()
