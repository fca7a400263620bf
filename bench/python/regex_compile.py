# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""regex-compile: compiles thousands of patterns of the usual kinds, each anew."""

import re

from bench_common import done, scaled

SHAPES = (
    r"^(?P<user{n}>[a-z][a-z0-9_.+-]{{1,{m}}})@(?P<host>[a-z0-9-]+(?:\.[a-z]{{2,{m}}})+)$",
    r"(\d{{4}})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{{1,{m}}})?)?",
    r"<(?P<tag>[a-z]+{n})(?:\s+[a-z-]+=(?:\"[^\"]*\"|'[^']*'))*\s*/?>",
    r"(?:GET|PUT|POST|DELETE) (/(?:[\w.-]+/){{0,{m}}}item{n}(?:\?[\w=&%]*)?) HTTP/1\.[01]",
    r"(?i)\b(?:alpha{n}|beta|gamma{m}|delta|epsilon)\b(?!-)",
    r"[+-]?(?:\d+(?:_\d+)*)?\.?\d{{1,{m}}}(?:[eE][+-]?{n}\d+)?",
)


def main():
    groups = 0
    for number in range(scaled(850)):
        for shape in SHAPES:
            pattern = re.compile(shape.format(n=number, m=2 + number % 9))
            groups += pattern.groups + len(pattern.groupindex)
        re.purge()
    return groups


done("regex-compile", main())
