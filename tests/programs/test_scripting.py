# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""perl, lua and node on Cairn: scripts that allocate heavily print what they print on the system's allocator."""

import pytest

from conftest import SOURCES, require


# node keeps JavaScript objects in its own heap: what reaches malloc is buffers, the compiler's zones and libuv.
@pytest.mark.parametrize("language, script, requests, lines", [
    ("perl", "heavy.pl", 300000, 5), ("lua5.4", "heavy.lua", 500000, 10), ("node", "heavy.js", 50000, 7)])
def test_script(programs, language, script, requests, lines):
    stock = programs.same([require(language), SOURCES / script], requests)
    assert len(stock.out.splitlines()) == lines
