# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""xml: builds a document as a tree of elements, writes it, parses it and searches it."""

import xml.etree.ElementTree as ElementTree
from xml.dom import minidom

from bench_common import done, scaled


def make_document(count):
    root = ElementTree.Element("library")
    for number in range(count):
        book = ElementTree.SubElement(root, "book", id=str(number), shelf=f"s{number % 40}")
        ElementTree.SubElement(book, "title").text = f"Title {number}"
        ElementTree.SubElement(book, "author").text = f"Author {number % 300}"
        for page in range(5):
            ElementTree.SubElement(book, "page", number=str(page)).text = "text " * page
    return root


def main():
    total = 0
    for _ in range(scaled(9)):
        text = ElementTree.tostring(make_document(4000))
        tree = ElementTree.fromstring(text)
        total += len(tree.findall("book[@shelf='s3']/title")) + sum(len(page.text or "") for page in tree.iter("page"))
        document = minidom.parseString(text[: text.index(b"</book>", 60000) + 7] + b"</library>")
        total += len(document.getElementsByTagName("page"))
        document.unlink()
    return total


done("xml", main())
