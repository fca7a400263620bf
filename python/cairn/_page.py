# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""The page of cairn.report(): statistics as HTML that refers to nothing outside itself and needs no script.

Pure functions from stats() to text. Everything that is not a number is escaped. Colours follow the reader's theme.
"""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from ._types import PythonStats, Stats, StopStats

STYLE = """\
:root{--back:#fff;--text:#1f2328;--soft:#59636e;--line:#d0d7de;--card:#f6f8fa;--live:#2f6fc4;--slack:#8fb6e8;
--free:#f0a35e;--none:#e4e8ec}
@media (prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--soft:#9198a1;--line:#30363d;--card:#161b22;
--live:#58a6ff;--slack:#2f4f78;--free:#d18a43;--none:#21262d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.3rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}p{margin:.3rem 0 .7rem}.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.2rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem}
.tile b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}
td.bar,th.bar{width:34%;min-width:9rem;text-align:left}
svg{display:block;width:100%;height:.9rem;border-radius:2px}
svg.wide{height:1.5rem;margin:.4rem 0}
.key{font-size:.9rem}
.key span{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .4em 0 1.1em}
.key span:first-child{margin-left:0}
.live{fill:var(--live);background:var(--live)}.slack{fill:var(--slack);background:var(--slack)}
.free{fill:var(--free);background:var(--free)}.none{fill:var(--none);background:var(--none)}
"""

UNITS = ("KiB", "MiB", "GiB", "TiB")
STOP_NAMES = {
    "young": "young collections", "middle": "middle collections", "full": "full collections by CPython",
    "fork": "snapshots taken (fork)", "wait": "waits for a snapshot", "batch": "batches freed after a snapshot",
}
CAUSES = (
    ("free_blocks_resident", "free blocks in pools that also have live ones"),
    ("tails_resident", "ends of such pools"),
    ("untouched_resident", "blocks and pools not used yet"),
    ("free_pools_resident", "free pools, given back once idle"),
    ("holes_resident", "holes"),
    ("handle_holes_resident", "holes between blocks of handles"),
    ("headers_resident", "headers of large blocks"),
    ("cached_resident", "mappings kept for reuse"),
)
SNAPSHOT_FIGURES = (
    ("snapshots", "snapshots begun"), ("finished", "finished"), ("abandoned_copying", "abandoned: pages copied"),
    ("abandoned_program", "abandoned: the program's doing"), ("abandoned_failed", "abandoned: failed"),
    ("batches", "batches"), ("candidates", "unreachable objects found"), ("collected", "objects freed in batches"),
    ("floating_most", "objects that waited for a snapshot, at most"), ("pages_copied_most", "pages copied, at most"),
)

Heap = Dict[str, Any]
Row = Sequence[str]


# ---- numbers and words ----


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a whole part."""
    if count < 1024:
        return f"{count:,} B"
    value, unit = count / 1024, 0
    while value >= 1023.95 and unit + 1 < len(UNITS):
        value, unit = value / 1024, unit + 1
    return f"{value:,.1f} {UNITS[unit]}"


def duration(ns: int) -> str:
    """Nanoseconds in the largest unit that leaves a whole part."""
    for limit, unit in ((1e3, "ns"), (1e6, "µs"), (1e9, "ms")):
        if ns < limit * 0.99995:
            return f"{ns} ns" if unit == "ns" else f"{ns / limit * 1e3:.1f} {unit}"
    return f"{ns / 1e9:.2f} s"


def percent(part: int, whole: int) -> str:
    """A share; nothing of nothing is 0."""
    return f"{100 * part / whole:.1f}%" if whole else "0.0%"


# ---- pieces of a page ----


def bar(parts: Iterable[Tuple[str, int]], whole: int, wide: bool = False) -> str:
    """A bar of parts, each with a class of the style, as shares of the whole."""
    at, pieces = 0.0, []
    for name, part in parts:
        width = 100 * part / whole if whole else 0
        pieces.append(f'<rect class="{name}" x="{at:.2f}" width="{width:.2f}" height="1"/>')
        at += width
    kind = ' class="wide"' if wide else ""
    return (f'<svg{kind} viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="none" width="100" height="1"/>{"".join(pieces)}</svg>')


def key(*entries: Tuple[str, str]) -> str:
    """What the colours of bars stand for."""
    return '<p class="key soft">' + "".join(f'<span class="{name}"></span>{text}' for name, text in entries) + "</p>"


def line(tag: str, row: Row, bars: int) -> str:
    cells = (f'<{tag}{" class=bar" if column == bars else ""}>{cell}</{tag}>' for column, cell in enumerate(row))
    return "<tr>" + "".join(cells) + "</tr>"


def table(head: Row, rows: Iterable[Row], bars: int = -1) -> str:
    """A table of ready HTML cells; the column `bars` holds bars."""
    lines = [line("th", head, bars), *(line("td", row, bars) for row in rows)]
    return '<div class="scroll"><table>\n' + "\n".join(lines) + "\n</table></div>"


def tile(figure: str, text: str) -> str:
    return f'<div class="tile"><b>{figure}</b><span class="soft">{text}</span></div>'


# ---- what there is to say ----


def summary(stats: Stats) -> str:
    """The figures at the top."""
    heaps, process = stats["heaps"], stats["process"]
    tiles = [tile(size(process["resident_bytes"]), "of the process in memory"),
             tile(size(process["peak_resident_bytes"]), "at its peak")]
    if heaps:
        resident = sum(heap["resident_bytes"] for heap in heaps)
        external = sum(heap["external_bytes"] for heap in heaps)
        tiles.append(tile(size(sum(heap["live_bytes"] for heap in heaps)), "in live blocks"))
        tiles.append(tile(percent(external, resident), "of the heaps' memory holds no live block"))
    stops = stops_of(stats)
    if stops:
        longest = max(stop["longest_ns"] for stop in stops.values())
        tiles.append(tile(duration(longest), "the longest stop for the collector"))
    return '<div class="tiles">' + "".join(tiles) + "</div>"


def stops_of(stats: Stats) -> Dict[str, StopStats]:
    python = stats["python"]
    return (python["gc"]["stops"] or {}) if python else {}


def heap_section(heap: Heap) -> str:
    parts = [f'<h2>Heap “{escape(heap["name"])}”</h2>', memory(heap), classes(heap), occupancy(heap), causes(heap),
             holes(heap)]
    return "\n".join(part for part in parts if part)


def memory(heap: Heap) -> str:
    """Where the resident bytes of a heap are."""
    fragmentation = heap["fragmentation"]
    resident, live = fragmentation["resident_bytes"], fragmentation["live_resident"]
    internal = min(heap["internal_bytes"] or 0, live)
    words = (f'{size(heap["live_bytes"])} in {heap["live_blocks"]:,} live blocks; {size(resident)} in memory, of which '
             f'{size(heap["external_bytes"])} ({percent(heap["external_bytes"], resident)}) hold no live block')
    shown = [("live", "live blocks"), ("free", "no live block")]
    if heap["internal_bytes"] is not None:
        words += (f'; {size(internal)} ({percent(internal, heap["live_bytes"])}) of the live blocks are rounding, '
                  "which nobody asked for")
        shown.insert(1, ("slack", "rounding"))
    pieces = (("live", live - internal), ("slack", internal), ("free", heap["external_bytes"]))
    return f"<p>{words}.</p>" + bar(pieces, resident, wide=True) + key(*shown)


def classes(heap: Heap) -> str:
    """Live and free blocks of each size class in use."""
    used = [row for row in heap["classes"] if row["pools_used"] or row["pools_full"] or row["pools_empty"]]
    if not used:
        return ""
    most = max(row["block_size"] * blocks_of(row) for row in used)
    rows = []
    for row in used:
        unit = row["block_size"]
        pieces = (("live", unit * row["blocks_live"]), ("free", unit * row["blocks_free"]))
        rows.append((f"{unit:,}", f'{row["pools_used"] + row["pools_full"] + row["pools_empty"]:,}',
                     f'{row["blocks_live"]:,}', f'{row["blocks_free"]:,}', size(unit * row["blocks_live"]),
                     percent(row["blocks_live"], blocks_of(row)), bar(pieces, most)))
    head = ("Block size", "Pools", "Live blocks", "Free blocks", "Live bytes", "Occupancy", "Bytes of its blocks")
    return ("<h3>Memory by size class</h3>" + key(("live", "live blocks"), ("free", "free blocks")) +
            table(head, rows, bars=6))


def blocks_of(row: Dict[str, int]) -> int:
    return row["blocks_live"] + row["blocks_free"] + row["blocks_untouched"]


def occupancy(heap: Heap) -> str:
    """How full the pools with live blocks are."""
    tenths: List[int] = heap["fragmentation"]["pool_occupancy"]
    if not any(tenths):
        return ""
    rows = [(f"{10 * tenth} to {10 * tenth + 10}%", f"{count:,}", percent(count, sum(tenths)),
             bar((("live", count),), max(tenths))) for tenth, count in enumerate(tenths)]
    return "<h3>Pools by the share of their blocks that is live</h3>" + table(("Live", "Pools", "Share", ""), rows, 3)


def causes(heap: Heap) -> str:
    """The resident bytes that no live block holds, each once."""
    fragmentation, external = heap["fragmentation"], heap["external_bytes"]
    rows = [(text, size(fragmentation[name]), percent(fragmentation[name], external),
             bar((("free", fragmentation[name]),), external)) for name, text in CAUSES if fragmentation[name]]
    return "<h3>Fragmentation by cause</h3>" + table(("Memory without a live block", "Bytes", "Share", ""), rows,
                                                     3) if rows else ""


def holes(heap: Heap) -> str:
    """Free ranges by size."""
    found = heap["fragmentation"]["holes"]
    if not found:
        return ""
    most = max(row["bytes"] for row in found)
    rows = [(size(row["from"]), f'{row["count"]:,}', size(row["bytes"]), bar((("free", row["bytes"]),), most))
            for row in found]
    return "<h3>Holes by size</h3>" + table(("From", "Holes", "Bytes", ""), rows, 3)


def collector_section(python: PythonStats) -> str:
    gc = python["gc"]
    words = {"stock": "Full collections are CPython’s own.", "snapshot": "Full collections come from snapshots."}
    text = words[gc["mode"]]
    if gc["obstacle"]:
        text = f'Full collections are CPython’s own: {escape(gc["obstacle"])}.'
    return f"<h2>Collector</h2>\n<p>{text}</p>\n{stops(gc['stops'])}\n{snapshots(gc['snapshots'])}"


def stops(found: "Dict[str, StopStats] | None") -> str:
    if found is None:
        return ('<p class="soft">Stops are not timed in this process: start it with <code>cairn run --stats</code> or '
                "<code>cairn run --gc=snapshot</code>.</p>")
    shown = {cause: stop for cause, stop in found.items() if stop["count"]}
    longest = max((stop["longest_ns"] for stop in shown.values()), default=0)
    rows = [(STOP_NAMES[cause], f'{stop["count"]:,}', duration(stop["total_ns"]), duration(stop["p999_ns"]),
             duration(stop["longest_ns"]), f'{stop["found"]:,}', f'{stop["freed"]:,}',
             bar((("slack", stop["longest_ns"]),), longest)) for cause, stop in shown.items()]
    head = ("The program stops for", "Count", "In all", "99.9% within", "Longest", "Objects found", "Freed", "Longest")
    return table(head, rows, bars=7)


def snapshots(found: "Dict[str, int] | None") -> str:
    if not found or not found["snapshots"]:
        return ""
    rows = [(text, f"{found[name]:,}") for name, text in SNAPSHOT_FIGURES if found[name]]
    rows.append(("longest analysis, beside the program", duration(found["analysis_ns_longest"])))
    return "<h3>Snapshots</h3>" + table(("", ""), rows)


def resident(heap: Heap) -> int:
    count: int = heap["resident_bytes"]
    return count


def compose(stats: Stats, version: str) -> str:
    """The whole page."""
    program, python = escape(stats["program"] or "Python"), stats["python"]
    heading = f'Memory of {program}'
    origin = f'Process {stats["pid"]}'
    if python:
        origin += f', Python {escape(python["version"])}'
    origin += f', on Cairn {escape(stats["cairn"])}.' if stats["cairn"] else \
        f". It does not run on Cairn {escape(version)}: the heaps cannot be looked into."
    body = [f'<h1>{heading}</h1>\n<p class="soft">{origin}</p>', summary(stats)]
    if python:
        body.append(collector_section(python))
    body.extend(heap_section(heap) for heap in sorted(stats["heaps"], key=resident, reverse=True))
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="color-scheme" content="light dark">\n<title>{heading}</title>\n<style>\n{STYLE}</style>\n'
            "</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n")
