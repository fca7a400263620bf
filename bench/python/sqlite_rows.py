# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""sqlite: fills tables in memory, then reads rows back as tuples and dicts."""

import sqlite3

from bench_common import done, scaled


def fill(database, count):
    database.execute("create table orders (id integer primary key, customer text, amount real, note text)")
    rows = ((n, f"customer {n * 7919 % 5000}", n % 977 / 7, "note " * (n % 9)) for n in range(count))
    database.executemany("insert into orders values (?, ?, ?, ?)", rows)
    database.execute("create index by_customer on orders (customer)")


def main():
    total = 0
    for _ in range(scaled(4)):
        database = sqlite3.connect(":memory:")
        fill(database, 60000)
        database.row_factory = sqlite3.Row
        orders = [dict(row) for row in database.execute("select * from orders where amount > 20")]
        database.row_factory = None
        query = "select customer, count(*), sum(amount) from orders group by customer order by 3 desc"
        total += len(orders) + sum(row[1] for row in database.execute(query).fetchall())
        for number in range(2000):
            name = f"customer {number}"
            total += len(database.execute("select note from orders where customer = ?", (name,)).fetchall())
        database.close()
    return total


done("sqlite", main())
