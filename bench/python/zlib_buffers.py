# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""zlib: texts compressed and expanded whole and in pieces, and hashed: large buffers that come and go."""

import hashlib
import random
import zlib

from bench_common import done, scaled


def make_text(chance, size):
    words = [bytes(chance.choices(b"abcdefgh", k=3 + chance.randrange(6))) for _ in range(300)]
    return b" ".join(chance.choices(words, k=size // 6))


def in_pieces(data):
    packer, packed = zlib.compressobj(1), []
    for start in range(0, len(data), 8192):
        packed.append(packer.compress(data[start : start + 8192]))
    packed.append(packer.flush())
    unpacker, unpacked = zlib.decompressobj(), []
    for piece in packed:
        unpacked.append(unpacker.decompress(piece))
    return b"".join(unpacked)


def main():
    chance = random.Random(31)
    texts = [make_text(chance, 20000 + 37000 * number) for number in range(12)]
    total = 0
    for turn in range(scaled(8)):
        for text in texts:
            packed = zlib.compress(text[turn:], 1)
            total += len(zlib.decompress(packed)) + len(in_pieces(text))
            total += hashlib.sha256(packed).digest()[turn % 32]
    return len(texts), total


done("zlib", main())
