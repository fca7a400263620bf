# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""machine.py SECONDS: how long the machine itself keeps a program up. On every processor a process reads the clock and
does nothing else; a gap between two readings is time that the system, the host or other programs took. Prints the longest
gap, the longest in a second as a median, and those above a millisecond and three, as JSON."""

import json
import os
import statistics
import sys
import time


def gaps(seconds):
    """The longest gap of each second, and how many were longer than a millisecond and three, in ms."""
    longest, above = [], [0, 0]
    last = time.perf_counter_ns()
    for _ in range(seconds):
        end, most = last + 10**9, 0
        while last < end:
            now = time.perf_counter_ns()
            gap, last = now - last, now
            if gap > most:
                most = gap
            if gap > 10**6:
                above[0] += 1
                above[1] += gap > 3 * 10**6
        longest.append(most / 1e6)
    return longest, above


def main():
    seconds = int(sys.argv[1])
    for _ in range(len(os.sched_getaffinity(0)) - 1):
        if os.fork() == 0:
            gaps(seconds)
            os._exit(0)
    longest, above = gaps(seconds)
    print(json.dumps({"longest": max(longest), "usual": statistics.median(longest), "one": above[0] / seconds,
                      "three": above[1] / seconds, "answer": None}))


if __name__ == "__main__":
    main()
