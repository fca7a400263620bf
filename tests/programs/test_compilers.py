# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""gcc, g++ and clang on Cairn: Cairn's own sources and a template-heavy C++ program compile to the same objects as
on the system's allocator, and the program built runs the same."""

import hashlib

import pytest

from conftest import REPOSITORY, SOURCES, require

FLAGS = ["-O2", "-g", "-std=gnu17", "-fvisibility=hidden", "-D_GNU_SOURCE", f"-I{REPOSITORY}/include",
         f"-I{REPOSITORY}/src"]
LAYERS = ("heap",)


def own_sources():
    return sorted(path for layer in LAYERS for path in (REPOSITORY / "src" / layer).glob("*.c"))


def compile_all(run, compiler, folder, sources):
    """Digests of the objects of some sources by name, and the requests made if they were counted."""
    folder.mkdir()
    objects, requests = {}, 0
    for source in sources:
        target = folder / f"{source.parent.name}-{source.stem}.o"
        outcome = run([compiler, *FLAGS, "-c", source, "-o", target])
        assert outcome.code == 0 and outcome.cairn_lines() == [], outcome.err
        objects[target.name] = hashlib.sha256(target.read_bytes()).hexdigest()
        requests += outcome.requests()
    return objects, requests


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_own_sources(programs, tmp_path, compiler):
    require(compiler)
    sources = own_sources()
    assert len(sources) >= 20
    stock, _ = compile_all(programs.stock, compiler, tmp_path / "stock", sources)
    plain, _ = compile_all(programs.cairn, compiler, tmp_path / "cairn", sources)
    assert plain == stock
    counted, requests = compile_all(programs.counted, compiler, tmp_path / "counted", sources[:4])
    assert counted.items() <= stock.items()
    assert requests > 5000 * len(counted)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_templates(programs, tmp_path, compiler):
    require(compiler)
    built = []
    for name, run in (("stock", programs.stock), ("cairn", programs.cairn), ("counted", programs.counted)):
        target = tmp_path / f"{name}.o"
        outcome = run([compiler, "-std=c++17", "-O2", "-g", "-c", SOURCES / "templates.cpp", "-o", target])
        assert outcome.code == 0 and outcome.cairn_lines() == [], outcome.err
        built.append(target.read_bytes())
    assert built[0] == built[1] == built[2]
    assert outcome.requests() > 50000


def test_link_and_run(programs, tmp_path):
    """The linker on Cairn too; the program it makes runs the same on both."""
    program = tmp_path / "templates"
    outcome = programs.cairn(["g++", "-std=c++17", "-O1", "-pthread", SOURCES / "templates.cpp", "-o", program])
    assert outcome.code == 0, outcome.err
    programs.same([program], requests=100000)
