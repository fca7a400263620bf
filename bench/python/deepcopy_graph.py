# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""deepcopy: copies a nested configuration of dicts, lists, tuples and instances."""

import copy

from bench_common import done, scaled


class Rule:
    def __init__(self, name, limits):
        self.name = name
        self.limits = limits


def make_configuration():
    return {
        f"section{number}": {
            "rules": [Rule(f"rule{k}", {"low": k, "high": k * 2.5, "steps": list(range(k))}) for k in range(12)],
            "pairs": [(k, str(k)) for k in range(30)],
            "default": None,
        }
        for number in range(40)
    }


def main():
    configuration = make_configuration()
    copies = []
    for number in range(scaled(130)):
        copies.append(copy.deepcopy(configuration))
        if number % 8 == 7:
            del copies[:]
    return (len(copies), len(configuration))


done("deepcopy", main())
