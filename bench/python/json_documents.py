# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""json: builds, encodes and decodes documents of nested dicts and lists."""

import json
import random

from bench_common import done, scaled


def make_document(chance, number):
    return {
        "id": number,
        "user": {"name": f"user{number}", "tags": [f"tag{chance.randrange(500)}" for _ in range(8)]},
        "items": [
            {"sku": chance.randrange(10**6), "price": chance.random() * 100, "note": "x" * chance.randrange(40)}
            for _ in range(20)
        ],
        "active": number % 3 == 0,
    }


def main():
    chance = random.Random(1)
    documents = [make_document(chance, number) for number in range(2000)]
    total = 0
    for _ in range(scaled(11)):
        text = json.dumps(documents)
        documents = json.loads(text)
        total += len(text)
    return (total, documents[-1])


done("json", main())
