# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""no_cycles.py [ROUNDS]: a program whose objects die by their counts alone: a table of records is read from text,
grows, is grouped, sorted and written again. Prints one number that depends on all of it."""

import json
import sys
import zlib


def lines(number, count):
    return [json.dumps({"id": number * count + i, "name": f"name {i * 7919 % count}", "tags": [i % 7, i % 11, i % 13],
                        "size": {"x": i % 100, "y": number}}) for i in range(count)]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    kept, check = [], 0
    for number in range(rounds):
        records = [json.loads(line) for line in lines(number, 20_000)]
        groups = {}
        for record in records:
            groups.setdefault(record["size"]["x"], []).append(record)
        for members in groups.values():
            members.sort(key=lambda record: (record["name"], record["id"]))
            check = zlib.crc32(json.dumps(members[:20]).encode(), check)
        kept.extend(records[::2])
    print(len(kept), f"{check:08x}")


if __name__ == "__main__":
    main()
