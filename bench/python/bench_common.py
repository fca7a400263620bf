# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""What all Python benchmark programs share: the scale (first argument, percent of the full work, default 100) and
the line "NAME CHECKSUM" at the end. The work depends on the scale only, so equal scales print equal lines."""

import sys
import zlib


def scaled(full):
    """`full` scaled by the program's argument, at least 1."""
    percent = float(sys.argv[1]) if len(sys.argv) > 1 else 100.0
    return max(1, int(full * percent / 100.0))


def done(name, result):
    print(f"{name} {zlib.crc32(repr(result).encode()):08x}")
