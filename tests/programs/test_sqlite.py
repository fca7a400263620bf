# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""sqlite3 on Cairn: a large import, queries, updates and a dump give what they give on the system's allocator."""

import hashlib
import random

from conftest import require

ROWS = 60000
SCRIPT = """
PRAGMA journal_mode=MEMORY;
PRAGMA cache_size=-8000;
CREATE TABLE item(id INTEGER PRIMARY KEY, owner TEXT, weight REAL, note TEXT);
.mode csv
.import {csv} item
CREATE INDEX item_owner ON item(owner, weight);
CREATE INDEX item_note ON item(note);
SELECT count(*), sum(weight), min(note), max(note) FROM item;
SELECT owner, count(*), round(avg(weight), 6), group_concat(id % 7, '') FROM item GROUP BY owner
  ORDER BY 2 DESC, 1 LIMIT 50;
UPDATE item SET note = note || hex(id) || owner WHERE id % 3 = 0;
DELETE FROM item WHERE id % 11 = 0;
CREATE TABLE pair AS
  SELECT a.id AS x, b.id AS y FROM item a JOIN item b ON a.owner = b.owner AND a.id < b.id LIMIT 200000;
SELECT count(*), sum(x), sum(y) FROM pair;
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
  SELECT sum(length(printf('%0*d', i % 50, i))) FROM n;
VACUUM;
PRAGMA integrity_check;
.dump item
"""


def write_items(path):
    source = random.Random(20240517)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(ROWS):
            note = "".join(source.choices("abcdefgh ", k=source.randrange(1, 120)))
            file.write(f"{number},owner{source.randrange(4000)},{source.random() * 100:.6f},{note}\n")


def test_import_queries_and_dump(programs, tmp_path):
    sqlite3 = require("sqlite3")
    items = tmp_path / "items.csv"
    write_items(items)
    script = SCRIPT.format(csv=items)

    def digest(text):
        assert "\nok\n" in text
        return hashlib.sha256(text.encode()).hexdigest()

    stock = programs.same([sqlite3, "-batch", ":memory:"], requests=200000, alike=digest, stdin=script)
    assert stock.out.count("INSERT INTO item") > ROWS * 9 // 10


def test_database_file_is_the_same(programs, tmp_path):
    sqlite3 = require("sqlite3")
    items = tmp_path / "items.csv"
    write_items(items)
    contents = []
    for run in (programs.stock, programs.cairn):
        database = tmp_path / f"{len(contents)}.db"
        outcome = run([sqlite3, "-batch", database], stdin=SCRIPT.format(csv=items))
        assert outcome.code == 0 and outcome.err == ""
        contents.append(database.read_bytes())
    assert contents[0] == contents[1]
