# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""regex: splits and groups the lines of a server's log with regular expressions."""

import random
import re

from bench_common import done, scaled

LINE = re.compile(
    r"(?P<host>\d+\.\d+\.\d+\.\d+) - (\w+) \[(?P<day>\d+)/(?P<month>\w+)\] "
    r'"(?P<request>[^"]*)" (\d{3}) (\d+)'
)
WORD = re.compile(r"[a-z]+|\d+")


def make_log(count):
    chance = random.Random(3)
    return "\n".join(
        f"10.{chance.randrange(256)}.0.{chance.randrange(256)} - user{chance.randrange(99)} "
        f"[{chance.randrange(1, 29)}/Nov] \"GET /path/{chance.randrange(9999)}/page?id={number} HTTP/1.1\" "
        f"{chance.choice((200, 304, 404))} {chance.randrange(90000)}"
        for number in range(count)
    )


def main():
    log = make_log(20000)
    total = 0
    for _ in range(scaled(7)):
        records = [match.groupdict() for match in LINE.finditer(log)]
        words = [WORD.findall(record["request"]) for record in records]
        clean = re.sub(r"\d+\.\d+", lambda match: match.group()[:2], log)
        total += len(records) + sum(map(len, words)) + len(clean)
    return total


done("regex", main())
