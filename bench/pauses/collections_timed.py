# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""collections_timed.py PROGRAM [ARGUMENTS]: runs a Python program beside a thread that does nothing but look at the
clock, and prints as JSON the longest time for which it saw none, in ms, the full collections, and the answer that the
program left in the global name `answer`."""

import gc
import json
import runpy
import sys
import threading
import time


class Watch(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0.0
        self.ended = False

    def run(self):
        last = time.perf_counter()
        while not self.ended:
            time.sleep(0.001)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


def main():
    watch = Watch()
    sys.argv = sys.argv[1:]
    before = gc.get_stats()[2]["collections"]
    watch.start()
    made = runpy.run_path(sys.argv[0], run_name="__main__")
    full = gc.get_stats()[2]["collections"] - before
    watch.ended = True
    watch.join()
    print(json.dumps({"gap": watch.longest * 1e3, "full": full, "answer": made["answer"]}))


if __name__ == "__main__":
    main()
