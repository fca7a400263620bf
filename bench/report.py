# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The tables: an overview with Cairn against each, rows by allocator, geometric means, aims, and where Cairn loses.

Every ratio is another allocator's figure divided by the base's (Cairn's; the first allocator's if Cairn was left out),
turn by turn, and of these the median: above 1.00 the other one needs more time or memory, below 1.00 less. In the
Python group the base is stock CPython, so there the ratio is Cairn's figure divided by stock's: below 1.00 Cairn needs
less. The same pipe tables go to the terminal and into the Markdown file."""

import math
import re
import statistics

MEASURES = (
    ("wall", "Wall time", "s", "{:.3f}"),
    ("cpu", "Processor time (user + system, children included)", "s", "{:.3f}"),
    ("peak", "Peak resident memory", "MiB", "{:.1f}"),
    ("final", "Final resident memory: the work done, all freed, after a rest", "MiB", "{:.1f}"),
)
FIGURES = {measure: form for measure, _, _, form in MEASURES}
# What counts as a loss: measure, its name in the list, Cairn's median divided by the other's.
LOSSES = (("wall", "wall time", 1.10), ("cpu", "processor time", 1.10), ("peak", "peak memory", 1.20),
          ("final", "final memory", 1.20))


def pipe_table(header, lines):
    """A Markdown table padded to be read as plain text."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]

    def render(line):
        first = f"| {line[0]:{widths[0]}} |"
        return first + "".join(f" {cell:>{width}} |" for cell, width in zip(line[1:], widths[1:]))

    rule = f"| {'-' * widths[0]} |" + "".join(f" {'-' * (width - 1)}: |" for width in widths[1:])
    return [render(header), rule, *map(render, lines)]


def ratio(cell, base, measure):
    """The cell's figure divided by the base's: the median of the ratios turn by turn, so that what slows a turn as a
    whole does not count; None if either has none."""
    if cell.median(measure) is None or not base.median(measure):
        return None
    values, references = cell.values(measure), base.values(measure)
    if len(values) != len(references) or not all(references):
        return cell.median(measure) / base.median(measure)
    return statistics.median(value / reference for value, reference in zip(values, references))


def cell_text(cell, base, measure, form, best):
    if cell.median(measure) is None:
        return "failed" if cell.failure else "-"
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


def best_of_row(cells, names, measure):
    """The name of the one with the least median among `names`, or None."""
    known = [(cells[name].median(measure), name) for name in names if cells[name].median(measure)]
    return min(known, default=(None, None))[1]


def against_best(results, name, rivals, measure):
    """[(ratio, row name, rival)] of `name` to the best of `rivals` in each row that has both, the worst row first."""
    found = []
    for row, cells in results:
        rival = best_of_row(cells, rivals, measure)
        share = ratio(cells[name], cells[rival], measure) if rival else None
        if share is not None:
            found.append((share, row.name, rival))
    return sorted(found, reverse=True)


def mean_of(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def over_best_text(results, name, names, measure):
    ratios = [share for share, *_ in against_best(results, name, names, measure)]
    return f"{mean_of(ratios):.3f} ({ratios[0]:.2f})" if ratios else "-"


def summary_table(results, names, base_name):
    lines = [
        [name, *(mean_text(results, name, base_name, measure) for measure, *_ in MEASURES)]
        + [over_best_text(results, name, names, measure) for measure in ("wall", "peak", "final")]
        for name in names
    ]
    header = ["allocator", "wall time", "processor time", "peak memory", "final memory"]
    return pipe_table([*header, "wall / best of row", "peak / least", "final / least"], lines)


def share_text(value):
    return f"{value:.2f}" if value is not None else "-"


def overview_line(row, cells, cairn_name, peers):
    cairn = cells[cairn_name]
    if cairn.median("wall") is None:
        return [row.name, "failed", *["-"] * (len(peers) + 6)]
    line = [row.name, FIGURES["wall"].format(cairn.median("wall")), f"±{cairn.spread('wall') / 2:.0%}"]
    line += [share_text(ratio(cells[name], cairn, "wall")) for name in peers]
    for measure in ("wall", "peak", "final"):
        rival = best_of_row(cells, peers, measure)
        value = cairn.median(measure)
        if measure != "wall":
            line.append(FIGURES[measure].format(value) if value is not None else "-")
        share = ratio(cairn, cells[rival], measure) if rival else None
        line.append(f"{share:.2f} {rival}" if share is not None else "-")
    return line


def overview_table(results, names, cairn_name):
    """One line per row: Cairn's time, the others' in units of it, and Cairn over the best of them."""
    peers = [name for name in names if name != cairn_name]
    header = ["row", f"{cairn_name}, s", "±", *peers, "time / best", "peak, MiB", "peak / least", "final, MiB"]
    lines = [overview_line(row, cells, cairn_name, peers) for row, cells in results]
    return pipe_table([*header, "final / least"], lines)


# ---- aims ----

# The native rows: peers' time over Cairn's on the geometric mean at least this (the default for all others).
AHEAD = {"mimalloc": 1.05}


def aim_line(name, bound, found, kept):
    return [name, bound, found, "yes" if kept else "NO"]


def aims_of_time_mean(results, peers, cairn_name):
    for name in peers:
        mean, count = geometric_mean(results, name, cairn_name, "wall")
        if mean is not None:
            bound = AHEAD.get(name, 1.0)
            title = f"time, {name} / {cairn_name}, mean of {count} rows"
            yield aim_line(title, f">= {bound:.2f}", f"{mean:.3f}", mean >= bound)


def aim_of_worst_row(results, peers, cairn_name, bound):
    shares = against_best(results, cairn_name, peers, "wall")
    if shares:
        share, row, rival = shares[0]
        above = sum(share > bound for share, *_ in shares)
        found = f"{share:.2f} ({row}, {rival}); {above} of {len(shares)} rows above"
        rivals = "best peer" if len(peers) > 1 else peers[0]
        yield aim_line(f"time, {cairn_name} / {rivals}, worst row", f"<= {bound:.2f}", found, share <= bound)


def aim_of_peak(results, peers, cairn_name, bound):
    """Cairn's peaks against those of the peer that is leanest on the geometric mean."""
    means = [(geometric_mean(results, name, cairn_name, "peak")[0], name) for name in peers]
    means = [(1 / mean, name) for mean, name in means if mean]
    if means:
        share, name = max(means)
        title = f"peak memory, {cairn_name} / {name}{' (the leanest)' if len(peers) > 1 else ''}, mean"
        yield aim_line(title, f"<= {bound:.2f}", f"{share:.3f}", share <= bound)


def aims_table(results, names, cairn_name):
    """The figures to reach. `stock` among the names: the Python group."""
    peers = [name for name in names if name != cairn_name]
    if "stock" in peers:
        mean, count = geometric_mean(results, cairn_name, "stock", "wall")
        lines = [aim_line("programs", ">= 20", str(len(results)), len(results) >= 20)]
        if mean is not None:
            title = f"time, {cairn_name} / stock, mean of {count} rows"
            lines.append(aim_line(title, "<= 1.00", f"{mean:.3f}", mean <= 1))
        lines += [*aim_of_worst_row(results, peers, cairn_name, 1.03), *aim_of_peak(results, peers, cairn_name, 1.0)]
    else:
        lines = [*aims_of_time_mean(results, peers, cairn_name), *aim_of_worst_row(results, peers, cairn_name, 1.10)]
        lines += aim_of_peak(results, peers, cairn_name, 1.10)
    return pipe_table(["aim", "bound", "found", "reached"], lines)


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
    return [f"### {title}", "", *lines, ""]


OVERVIEW = (
    "Cairn's wall time and half its spread; the others' time / Cairn's (above 1.00 they need more); Cairn / the best",
    "of them in this row, and which that is; the same for peak and final memory.",
)
MEANS = (
    "Ratios to {base}; then what each needs over the best of each row: geometric mean, and the worst row in brackets.",
)


def group_report(title, results, names, base_name, cairn_name):
    """All tables of one group as lines."""
    lines = []
    compared = cairn_name in names and len(names) > 1
    if compared:
        lines += section(f"{title}: overview", [*OVERVIEW, "", *overview_table(results, names, cairn_name)])
        lines += section(f"{title}: aims", aims_table(results, names, cairn_name))
    means = [*(line.format(base=base_name) for line in MEANS), "", *summary_table(results, names, base_name)]
    lines += section(f"{title}: geometric means over {len(results)} rows", means)
    failed = failures(results, names)
    if failed:
        lines += section(f"{title}: failed", failed)
    if compared:
        lost = losses(results, cairn_name, names) or ["Nowhere by more than 10% of time or 20% of memory."]
        lines += section(f"{title}: where Cairn loses", lost)
    legend = f"Median, spread, and ratio: allocator / {base_name}; above 1.00 needs more than {base_name}, below less."
    for measure, label, unit, form in MEASURES:
        table = measure_table(results, names, base_name, measure, form)
        lines += section(f"{title}: {label}, {unit}", [legend, "", *table])
    return lines


def between_marks(path, begin, end):
    """What stands between the marks in a file; an empty string if there is no such file or it has no such marks."""
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(re.escape(begin) + "(.*)" + re.escape(end), file.read(), re.DOTALL)
    except FileNotFoundError:
        return ""
    return found[1] if found else ""


def put_between_marks(path, begin, end, text):
    """Puts text into a file that holds other text, in the place of what stood between the marks, or at its end. A file
    that is not there is made."""
    try:
        with open(path, encoding="utf-8") as file:
            old = file.read()
    except FileNotFoundError:
        old = "# Benchmarks"
    block = f"{begin}\n{text}\n{end}"
    marked = re.compile(re.escape(begin) + ".*" + re.escape(end), re.DOTALL)
    new = marked.sub(lambda _: block, old) if marked.search(old) else f"{old.rstrip()}\n\n{block}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)
