# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What all Python benchmark programs share: the scale (first argument, percent of the full work, default 100) and
the line "NAME CHECKSUM" at the end. The work depends on the scale only, so equal scales print equal lines. Each ends
with done(NAME, main()), outside main(), so that what main() made is dropped before what stays resident is measured."""

import gc
import os
import select
import sys
import zlib


def scaled(full):
    """`full` scaled by the program's argument, at least 1."""
    percent = float(sys.argv[1]) if len(sys.argv) > 1 else 100.0
    return max(1, int(full * percent / 100.0))


def rest():
    """Tells the launcher that the work is done, if it asked to know, drops what is garbage, and waits until it has
    looked at what is resident (bench/launcher.c)."""
    ends = os.environ.get("BENCH_MARK")
    if not ends:
        return
    mark, go = map(int, ends.split(","))
    os.write(mark, os.getpid().to_bytes(4, sys.byteorder))
    gc.collect()
    waiting = select.poll()
    waiting.register(go, select.POLLIN)
    waiting.poll()


def done(name, result):
    checksum = zlib.crc32(repr(result).encode())
    del result
    rest()
    print(f"{name} {checksum:08x}")
