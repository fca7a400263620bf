# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""csv: tables written, read back as dicts, grouped and summed."""

import csv
import io

from bench_common import done, scaled

NAMES = ("id", "city", "amount", "note", "when")


def write_table(rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(NAMES)
    for number in range(rows):
        note = 'said "yes", twice' if number % 7 == 0 else f"note {number}"
        writer.writerow((number, f"city {number % 211}", number * 0.25, note, f"2026-{number % 12 + 1:02}-01"))
    return text.getvalue()


def main():
    total = 0
    for _ in range(scaled(16)):
        text = write_table(9000)
        sums = {}
        for row in csv.DictReader(io.StringIO(text)):
            sums.setdefault(row["city"], []).append(float(row["amount"]) + len(row["note"]))
        table = list(csv.reader(io.StringIO(text)))
        columns = list(zip(*table))
        total += int(sum(map(sum, sums.values()))) + len(columns) + len(set(columns[4]))
    return total


done("csv", main())
