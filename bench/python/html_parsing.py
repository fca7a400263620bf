# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""html: pages parsed into trees of elements, searched, and written again."""

from html.parser import HTMLParser

from bench_common import done, scaled


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.children = []

    def walk(self):
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def text(self):
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)


class Builder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = self.at = Element("root", {}, None)

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), self.at)
        self.at.children.append(element)
        if tag not in ("br", "img"):
            self.at = element

    def handle_endtag(self, tag):
        if self.at.parent is not None:
            self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def make_page(page):
    rows = "".join(
        f'<div class="row c{n % 7}" id="r{n}"><a href="/item/{page}/{n}">Item &amp; {n}</a><br><p>Text <b>{n * 3}</b>'
        f'<img src="p{n}.png"> more</p><!-- {n} --></div>\n'
        for n in range(260)
    )
    return f"<html><body><h1>Page {page}</h1>{rows}</body></html>"


def main():
    total = 0
    for page in range(scaled(40)):
        builder = Builder()
        builder.feed(make_page(page))
        elements = list(builder.root.walk())
        links = [element.attributes["href"] for element in elements if element.tag == "a"]
        total += len(elements) + len("".join(links)) + len(builder.root.text())
        total += sum("c3" in element.attributes.get("class", "") for element in elements)
    return total


done("html", main())
