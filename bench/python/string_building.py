# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""strings: a page renderer's work: joins, formats, splits, replaces and slices of short and long texts."""

from bench_common import done, scaled

ROW = "<tr><td>{number}</td><td>{name}</td><td>{price:.2f}</td></tr>"


def render(page):
    rows = [ROW.format(number=n, name=f"article {page}-{n}".title(), price=n * 1.19) for n in range(400)]
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def main():
    total = 0
    for page in range(scaled(1700)):
        text = render(page)
        lines = [line.strip("<>").replace("td", "th") for line in text.split("\n")]
        words = [word[:5] + word[-3:] for line in lines for word in line.split()]
        built = ""
        for word in words:
            built += word.upper() + " "
        total += len(built) + len(set(words)) + len(text.encode())
    return total


done("strings", main())
