# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""dataclasses: records made, replaced, compared, hashed, ordered and turned into dicts."""

from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from bench_common import done, scaled


class Place(NamedTuple):
    row: int
    column: int


@dataclass(frozen=True, order=True)
class Item:
    price: int
    name: str
    tags: tuple = ()


@dataclass
class Order:
    number: int
    customer: str
    place: Place
    items: list = field(default_factory=list)

    def total(self):
        return sum(item.price for item in self.items)


def make_order(number):
    items = [Item(number * k % 97, f"item{k}", ("new", f"t{k % 3}")) for k in range(8)]
    return Order(number, f"customer {number % 300}", Place(number % 17, number % 23), items)


def main():
    total = 0
    for round_number in range(scaled(18)):
        orders = [make_order(number) for number in range(700)]
        cheaper = [
            replace(order, items=[replace(item, price=item.price // 2) for item in order.items if item.price > 20])
            for order in orders
        ]
        distinct = {item for order in orders for item in order.items}
        total += len(distinct) + max(distinct).price + sum(order.total() for order in cheaper)
        total += sum(len(asdict(order)["items"]) for order in cheaper[round_number::3])
        total += sum(order.place._replace(row=0).column for order in orders)
    return total


done("dataclasses", main())
