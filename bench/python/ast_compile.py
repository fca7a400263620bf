# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""ast: a module's source parsed to a syntax tree, changed, compiled and run, again and again."""

import ast

from bench_common import done, scaled

FUNCTION = """
def f{n}(items, limit={n}, *, scale=1.5):
    total, seen = 0, {{}}
    for index, item in enumerate(items):
        if item % 3 == {m} and index < limit:
            total += item * {n} + sum(x * x for x in range(index % 5))
        elif item in seen or not item:
            continue
        else:
            seen[item] = [index, (item, str(item)), {{"k": item}}]
    return total + len(seen) * int(scale + {n})
"""


class Double(ast.NodeTransformer):
    """Doubles every whole number above 1."""

    def visit_Constant(self, node):
        if type(node.value) is int and node.value > 1:
            return ast.copy_location(ast.Constant(node.value * 2), node)
        return node


def main():
    total = 0
    for turn in range(scaled(24)):
        source = "".join(FUNCTION.format(n=number + turn, m=number % 3) for number in range(40))
        tree = ast.fix_missing_locations(Double().visit(ast.parse(source)))
        names = {}
        exec(compile(tree, "<made>", "exec"), names)
        total += sum(names[f"f{number + turn}"](range(30)) for number in range(40))
        total += sum(isinstance(node, ast.Name) for node in ast.walk(tree))
    return total


done("ast", main())
