# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""differences.py: compares what a module did on stock Python with what it did on Cairn.

A module has *subjects*: each of its tests by id, and the module itself by its name (its state). An *attempt* is the
outcome of one run. A subject *differs* when no outcome seen on Cairn was also seen on stock. It is *unsteady* when
the attempts on one side disagree but the sides share an outcome. A death by signal or a timeout on Cairn that stock
never showed is a difference however many other attempts went well: a crash is never put down to flakiness.
"""

from dataclasses import dataclass

MISSING = "not run"


@dataclass(frozen=True)
class Difference:
    subject: str
    stock: tuple
    cairn: tuple

    def text(self):
        return f"{self.subject}: stock {', '.join(self.stock)}; Cairn {', '.join(self.cairn)}"


def is_crash(state):
    return state.startswith("died by")


def is_clean(attempt):
    """Whether there is nothing to compare: the module passed, whatever it skipped."""
    return attempt["state"] == "ok"


def subjects_of(module, attempts):
    """{subject: set of outcomes} over the attempts. A module that died has no tests to compare, only its state."""
    seen = {module: {attempt["state"] for attempt in attempts}}
    whole = [attempt for attempt in attempts if not is_crash(attempt["state"]) and attempt["state"] != "timeout"]
    names = {name for attempt in whole for name in attempt["tests"]}
    for name in names:
        seen[name] = {attempt["tests"].get(name, MISSING) for attempt in whole}
    return seen


def compare(module, stock_attempts, cairn_attempts):
    """(differences, unsteady) of one module, each a list of Difference in order of subject."""
    stock, cairn = subjects_of(module, stock_attempts), subjects_of(module, cairn_attempts)
    differences, unsteady = [], []
    for subject in sorted(stock.keys() | cairn.keys()):
        left, right = stock.get(subject, {MISSING}), cairn.get(subject, {MISSING})
        found = Difference(subject, tuple(sorted(left)), tuple(sorted(right)))
        if not left & right or crashes_only_here(left, right):
            differences.append(found)
        elif len(left | right) > 1:
            unsteady.append(found)
    return without_echoes(module, differences, cairn_attempts), unsteady


def crashes_only_here(stock_outcomes, cairn_outcomes):
    return any(is_crash(state) and state not in stock_outcomes for state in cairn_outcomes)


def without_echoes(module, differences, cairn_attempts):
    """Says each thing once. If every attempt on Cairn died, its tests were all 'not run': the line about the module
    says it. If the module merely failed where stock did not, the lines about its tests say it."""
    if all(is_crash(attempt["state"]) or attempt["state"] == "timeout" for attempt in cairn_attempts):
        return [d for d in differences if d.subject == module]
    tests = [d for d in differences if d.subject != module]
    states = {state for d in differences if d.subject == module for state in (*d.stock, *d.cairn)}
    return tests if tests and states <= {"ok", "failed"} else differences


def read_expected(path, version):
    """{subject: reason} from lines 'VERSIONS SUBJECT REASON', VERSIONS being '*' or a list such as '3.11,3.12'."""
    expected = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.split(None, 2)
            if len(fields) < 3:
                raise SystemExit(f"{path}:{number}: a line is VERSIONS SUBJECT REASON; this one has no reason")
            if fields[0] == "*" or version in fields[0].split(","):
                expected[fields[1]] = fields[2].strip()
    return expected
