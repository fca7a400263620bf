# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""constraints: one-way constraints between variables, planned by strength and propagated again and again."""

from bench_common import done, scaled


class Variable:
    def __init__(self, name, value):
        self.name = name
        self.value = value
        self.constraints = []
        self.decided_by = None
        self.mark = 0


class Constraint:
    def __init__(self, strength, *variables):
        self.strength = strength
        self.variables = list(variables)
        for variable in variables:
            variable.constraints.append(self)

    def remove(self):
        for variable in self.variables:
            variable.constraints.remove(self)


class Scale(Constraint):
    """target = source * factor + offset"""

    def __init__(self, strength, source, factor, offset, target):
        super().__init__(strength, source, target)
        self.factor = factor
        self.offset = offset

    def output(self):
        return self.variables[1]

    def execute(self):
        source, target = self.variables
        target.value = (source.value * self.factor + self.offset) % 100003


class Edit(Constraint):
    def output(self):
        return self.variables[0]

    def execute(self):
        pass


def plan(edit, mark):
    """The constraints downstream of an edit in an order in which they may be executed."""
    steps, pending = [], [edit]
    while pending:
        constraint = pending.pop()
        variable = constraint.output()
        if variable.mark == mark:
            continue
        variable.mark = mark
        variable.decided_by = constraint
        steps.append(constraint)
        pending += [
            other
            for other in sorted(variable.constraints, key=lambda other: other.strength)
            if other.output() is not variable
        ]
    return steps


def main():
    total, mark = 0, 0
    for round_number in range(scaled(190)):
        variables = [Variable(f"v{number}", number) for number in range(600)]
        for number in range(1, len(variables)):
            source = variables[(number - 1) // 2]
            Scale(number % 5, source, 3 + number % 4, number, variables[number])
        for change in range(4):
            mark += 1
            edit = Edit(0, variables[change])
            steps = plan(edit, mark)
            for value in range(3):
                variables[change].value = value * 17 + round_number
                for constraint in steps:
                    constraint.execute()
            edit.remove()
        total += sum(variable.value for variable in variables) + len(steps)
    return total


done("constraints", main())
