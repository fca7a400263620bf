# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""templates: pages from templates compiled to lists of steps: formats, escapes, loops and joins."""

import html
import re

from bench_common import done, scaled

PAGE = """<h1>{{ title }}</h1><ul>{% for row in rows %}<li class="{{ row.kind }}">{{ row.name }}: {{ row.price }}
{% for tag in row.tags %}<b>{{ tag }}</b>{% end %}</li>{% end %}</ul><p>{{ footer }}</p>"""
TOKEN = re.compile(r"({{.*?}}|{%.*?%})")


def compile_template(text):
    """The template as nested lists of (kind, what, steps)."""
    stack = [[]]
    for token in TOKEN.split(text):
        if token.startswith("{{"):
            stack[-1].append(("value", token[2:-2].strip().split("."), None))
        elif token.startswith("{% for"):
            _, name, _, source = token[2:-2].split()
            stack[-1].append(("loop", (name, source.split(".")), []))
            stack.append(stack[-1][-1][2])
        elif token.startswith("{% end"):
            stack.pop()
        elif token:
            stack[-1].append(("text", token, None))
    return stack[0]


def look_up(path, context):
    value = context[path[0]]
    for name in path[1:]:
        value = value[name]
    return value


def render(steps, context):
    parts = []
    for kind, what, inner in steps:
        if kind == "text":
            parts.append(what)
        elif kind == "value":
            parts.append(html.escape(format(look_up(what, context))))
        else:
            name, source = what
            parts += [render(inner, {**context, name: value}) for value in look_up(source, context)]
    return "".join(parts)


def main():
    total = 0
    for page in range(scaled(600)):
        rows = [
            {"kind": ("even", "odd")[n % 2], "name": f"<{page}/{n}>", "price": n * 1.19, "tags": [f"t{n % 5}", "&"]}
            for n in range(250)
        ]
        steps = compile_template(PAGE)
        text = render(steps, {"title": f"Page {page}", "rows": rows, "footer": "a & b"})
        total += len(text) + text.count("&lt;")
    return total


done("templates", main())
