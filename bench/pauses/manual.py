# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""manual.py PAGES: builds a manual of so many pages of an invented library in HTML with sphinx. Leaves the number of
pages written in `answer`."""

import contextlib
import io
import os
import sys
import tempfile

from sphinx.cmd.build import main as build

PARAGRAPH = ("The :func:`library{page}.function{item}` reads *one* record from ``stream`` and gives it to "
             ":class:`library{other}.Reader`; see :doc:`page{other}`.\n\n")


def page_text(page, pages):
    title = f"Module library{page}"
    text = [title, "=" * len(title), "", f".. py:module:: library{page}", "", ".. py:class:: Reader(stream)", "",
            "   Reads records.", ""]
    for item in range(12):
        other = (page * 31 + item) % pages
        text += [f"Part {item}", "-" * 7, "", f".. py:function:: function{item}(stream, size={item})", "",
                 "   :param stream: where to read", "   :param size: how much", "",
                 PARAGRAPH.format(page=page, item=item, other=other) * 3, "- one", "- two", "",
                 ".. code-block:: python", "", f"   for record in function{item}(stream):", "       print(record)", ""]
    return "\n".join(text)


def write_manual(folder, pages):
    with open(os.path.join(folder, "conf.py"), "w", encoding="utf-8") as conf:
        conf.write("project = 'library'\nhtml_theme = 'basic'\n")
    with open(os.path.join(folder, "index.rst"), "w", encoding="utf-8") as index:
        index.write("Library\n=======\n\n.. toctree::\n\n" + "".join(f"   page{page}\n" for page in range(pages)))
    for page in range(pages):
        with open(os.path.join(folder, f"page{page}.rst"), "w", encoding="utf-8") as file:
            file.write(page_text(page, pages))


with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
    write_manual(source, int(sys.argv[1]))
    with contextlib.redirect_stdout(io.StringIO()):
        failed = build(["-q", "-b", "html", source, target])
    if failed:
        sys.exit("manual.py: sphinx failed")
    answer = sum(name.endswith(".html") for name in os.listdir(target))
