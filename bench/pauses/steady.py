# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""steady.py OBJECTS REQUESTS [LINKED]: a service's process without the service. OBJECTS tracked objects stay; each request makes
a session of objects that refer to each other in circles, which lives for 20,000 requests and is old garbage then; it
also reads and writes some of what stays and does a little work. With LINKED each session knows the one before and after
it, in groups of so many, so that a whole group becomes garbage at once, as a large document does. Prints figures of the requests as JSON (a stop of the
process is a long request), and the longest collection between its callbacks."""

import collections
import gc
import json
import random
import sys
import time


DOCUMENT = [{"name": f"part {k}", "price": k * 1.25, "words": ["one", "two", "three"]} for k in range(12)]


class Session:
    def __init__(self, number):
        self.number = number
        self.pages = [{"session": self, "page": page} for page in range(4)]
        self.cart = {"session": self, "lines": [[self, number]]}

    def link(self, before):
        self.before, before.after = before, self


def build(objects):
    """Records of two objects each, in an order that is not that of their addresses."""
    records = [{"id": i, "name": f"name {i}", "values": [i, i + 1]} for i in range(objects // 2)]
    random.shuffle(records)
    return records


class Stops:
    """The longest collection from now on, in ns."""

    def __init__(self):
        self.begun = self.longest = 0
        gc.callbacks.append(self.told)

    def told(self, phase, _info):
        now = time.perf_counter_ns()
        if phase == "start":
            self.begun = now
        else:
            self.longest = max(self.longest, now - self.begun)


def main():
    objects, requests, linked = *map(int, sys.argv[1:3]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    random.seed(1)
    gc.disable()
    records = build(objects)
    gc.collect()
    gc.enable()
    hot = random.sample(range(len(records)), len(records) // 50)
    sessions = collections.deque(maxlen=20_000)
    full = gc.get_stats()[2]["collections"]
    took = []
    check = 0
    stops = Stops()
    began = time.perf_counter()
    for number in range(requests):
        start = time.perf_counter_ns()
        sessions.append(Session(number))
        if number % linked:
            sessions[-1].link(sessions[-2])
        for _ in range(3):
            record = records[random.choice(hot)]
            record["id"] ^= number
        cold = records[random.randrange(len(records))]
        answer = json.loads(json.dumps([record, cold["values"], DOCUMENT]))
        check += len(answer) + answer[1][0]
        took.append(time.perf_counter_ns() - start)
    ended = time.perf_counter()
    took.sort()
    print(json.dumps({"seconds": ended - began, "begin": began, "end": ended, "stop": stops.longest / 1e6,
                      "longest": took[-1] / 1e6, "p999": took[-1 - requests // 1000] / 1e6,
                      "median": took[requests // 2] / 1e6, "full": gc.get_stats()[2]["collections"] - full,
                      "answer": check}))


if __name__ == "__main__":
    main()
