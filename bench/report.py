# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The tables: rows by allocator, geometric means, and where Cairn loses.

Every ratio is another allocator's median divided by the base's (Cairn's; the first allocator's if Cairn was left out):
above 1.00 the other one needs more time or memory than the base, below 1.00 less. In the Python group the base is
stock CPython, so there the ratio is Cairn's figure divided by stock's: below 1.00 Cairn needs less. The same pipe
tables go to the terminal and into the Markdown file."""

import math
import re

MEASURES = (
    ("wall", "Wall time", "s", "{:.3f}"),
    ("cpu", "Processor time (user + system, children included)", "s", "{:.3f}"),
    ("peak", "Peak resident memory", "MiB", "{:.1f}"),
)
# What counts as a loss: measure, its name in the list, Cairn's median divided by the other's.
LOSSES = (("wall", "wall time", 1.10), ("cpu", "processor time", 1.10), ("peak", "peak memory", 1.20))


def pipe_table(header, lines):
    """A Markdown table padded to be read as plain text."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]

    def render(line):
        first = f"| {line[0]:{widths[0]}} |"
        return first + "".join(f" {cell:>{width}} |" for cell, width in zip(line[1:], widths[1:]))

    rule = f"| {'-' * widths[0]} |" + "".join(f" {'-' * (width - 1)}: |" for width in widths[1:])
    return [render(header), rule, *map(render, lines)]


def ratio(cell, base, measure):
    """The cell's median divided by the base's, or None if either failed."""
    value, reference = cell.median(measure), base.median(measure)
    return value / reference if value is not None and reference else None


def cell_text(cell, base, measure, form, best):
    if cell.median(measure) is None:
        return "failed"
    text = f"{form.format(cell.median(measure))}{'*' if best else ' '} ±{cell.spread(measure) / 2:4.0%}"
    share = ratio(cell, base, measure)
    return f"{text} {share:5.2f}" if share is not None else f"{text}     -"


def measure_table(results, names, base_name, measure, form):
    """Rows by allocators for one measure; `results` is a list of (row, cells)."""
    lines = []
    for row, cells in results:
        medians = [cells[name].median(measure) for name in names]
        best = min((value for value in medians if value is not None), default=None)
        lines.append(
            [row.name]
            + [
                cell_text(cells[name], cells[base_name], measure, form, value is not None and value == best)
                for name, value in zip(names, medians)
            ]
        )
    means = [["geometric mean of ratios", *(mean_text(results, name, base_name, measure) for name in names)]]
    return pipe_table(["row", *names], lines + means)


def geometric_mean(results, name, base_name, measure):
    """(mean of the ratios, number of rows) over the rows where both have a figure; (None, 0) if there are none."""
    ratios = [ratio(cells[name], cells[base_name], measure) for _, cells in results]
    ratios = [value for value in ratios if value]
    if not ratios:
        return None, 0
    return math.exp(sum(map(math.log, ratios)) / len(ratios)), len(ratios)


def mean_text(results, name, base_name, measure):
    mean, count = geometric_mean(results, name, base_name, measure)
    if mean is None:
        return "-"
    return f"{mean:.3f}" if count == len(results) else f"{mean:.3f} ({count} of {len(results)})"


def summary_table(results, names, base_name):
    lines = [
        [name, *(mean_text(results, name, base_name, measure) for measure, *_ in MEASURES)] for name in names
    ]
    return pipe_table(["allocator", "wall time", "processor time", "peak memory"], lines)


def losses(results, cairn_name, names):
    """Lines that name the rows where Cairn needs more than the bounds of LOSSES allow."""
    lines = []
    for name in names:
        if name == cairn_name:
            continue
        for measure, label, bound in LOSSES:
            rows = []
            for row, cells in results:
                share = ratio(cells[cairn_name], cells[name], measure)
                if share is not None and share > bound:
                    rows.append(f"{row.name} {share:.2f}")
            if rows:
                lines.append(f"- {label}, Cairn / {name} above {bound:.2f}: " + ", ".join(rows))
    return lines


def failures(results, names):
    return [
        f"- {row.title} under {name}: {cells[name].failure}"
        for row, cells in results
        for name in names
        if cells[name].failure
    ]


def section(title, lines):
    return [f"## {title}", "", *lines, ""]


def group_report(title, results, names, base_name, cairn_name):
    """All tables of one group as lines."""
    lines = []
    legend = f"Median, spread, and ratio: allocator / {base_name}; above 1.00 needs more than {base_name}, below less."
    for measure, label, unit, form in MEASURES:
        table = measure_table(results, names, base_name, measure, form)
        lines += section(f"{title}: {label}, {unit}", [legend, "", *table])
    lines += section(f"{title}: geometric means over {len(results)} rows", summary_table(results, names, base_name))
    failed = failures(results, names)
    if failed:
        lines += section(f"{title}: failed", failed)
    if cairn_name in names:
        lost = losses(results, cairn_name, names) or ["Nowhere by more than 10% of time or 20% of peak memory."]
        lines += section(f"{title}: where Cairn loses", lost)
    return lines


def put_between_marks(path, begin, end, text):
    """Puts text into a file that holds other text, in the place of what stood between the marks, or at its end."""
    with open(path, encoding="utf-8") as file:
        old = file.read()
    block = f"{begin}\n{text}\n{end}"
    marked = re.compile(re.escape(begin) + ".*" + re.escape(end), re.DOTALL)
    new = marked.sub(lambda _: block, old) if marked.search(old) else f"{old.rstrip()}\n\n{block}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)
