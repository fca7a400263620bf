# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""bytes: messages packed, framed, joined, sliced and taken apart again with struct, bytearray and memoryview."""

import struct

from bench_common import done, scaled

HEADER = struct.Struct("<HIQ")


def pack(number):
    name = f"name-{number % 1000}".encode()
    body = b"".join((bytes([len(name)]), name, b"\0" * (number % 24), struct.pack("<dI", number / 3, number)))
    return HEADER.pack(len(body), number, number * number) + body


def unpack(data):
    view, at, found = memoryview(data), 0, []
    while at < len(data):
        size, number, square = HEADER.unpack_from(view, at)
        at += HEADER.size
        body = bytes(view[at : at + size])
        found.append((number, square, body[1 : 1 + body[0]], body[-12:].hex()))
        at += size
    return found


def main():
    total = 0
    for turn in range(scaled(60)):
        stream = bytearray()
        for number in range(6000):
            stream += pack(turn + number)
        found = unpack(bytes(stream))
        text = b",".join(name for _, _, name, _ in found)
        total += len(stream) + len(set(text.split(b","))) + sum(len(tail) for *_, tail in found) + found[-1][1]
    return total


done("bytes", main())
