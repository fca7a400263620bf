#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Index the Python standard library's own sources: where is each name defined, imported, called, referred to?

The work is that of an editor's or a documentation tool's indexer, in three steps per batch of modules:
  1. parse every module of the batch and keep all its trees, because references cross module borders;
  2. collect the definitions and imports of every tree;
  3. resolve the calls and attribute references of every tree against the definitions known so far.
Then the batch's trees are dropped and only the compact index stays: three tables from a name to an array of
locations, one 64-bit number each (file << 32 | line).

Invariant: the index depends on the sources and the options only, so `counts` and `digest` of the JSON result are
equal between any two runs of one Python over the same files, whatever allocator serves it. The `measures` differ:
  wall_seconds     the work alone, without interpreter start
  cpu_seconds      its processor time, user and system
  peak_bytes       highest resident size so far (VmHWM)
  after_bytes      resident size (VmRSS) once trees are dropped, after gc.collect() and half a second of idling

Standard library only; runs on CPython 3.8 and later; Linux (/proc/self/status)."""

import argparse
import ast
import gc
import hashlib
import json
import os
import sys
import sysconfig
import time
from array import array

IDLE_SECONDS = 0.5
DEFINING = {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef}
# What an attribute of a node may hold without any name below it.
LEAVES = {int, str, bool, type(None), ast.Constant, ast.Load, ast.Store, ast.Del}
SKIPPED_DIRECTORIES = {"__pycache__", "site-packages", "dist-packages"}


class Index:
    """Three tables from a name to the locations where it is defined, imported or referred to."""

    def __init__(self):
        self.files = []
        self.definitions = {}
        self.imports = {}
        self.references = {}
        self.resolved = 0
        self.unresolved = 0

    @staticmethod
    def add(table, name, location):
        locations = table.get(name)
        if locations is None:
            locations = table[name] = array("Q")
        locations.append(location)

    def digest(self):
        """A hash over the whole index, independent of the order in which names were met."""
        digest = hashlib.sha256()
        for table in (self.definitions, self.imports, self.references):
            for name in sorted(table):
                digest.update(name.encode("utf-8", "surrogatepass"))
                digest.update(table[name].tobytes())
        return digest.hexdigest()

    def counts(self):
        def locations(table):
            return sum(len(places) for places in table.values())

        return {
            "files": len(self.files),
            "defined_names": len(self.definitions),
            "definitions": locations(self.definitions),
            "imported_names": len(self.imports),
            "imports": locations(self.imports),
            "referenced_names": len(self.references),
            "references": locations(self.references),
            "resolved": self.resolved,
            "unresolved": self.unresolved,
        }


def find_sources(root):
    """The paths of all .py files under `root`, sorted, installed third-party packages left out."""
    sources = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(name for name in subdirectories if name not in SKIPPED_DIRECTORIES)
        sources.extend(os.path.join(directory, name) for name in sorted(names) if name.endswith(".py"))
    return sources


def parse(path):
    """The syntax tree of a file, or None: the test-suite holds files that are broken on purpose."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path)
    except (SyntaxError, ValueError, RecursionError):
        return None


def collect_definitions(index, file_number, tree):
    """Step 2: functions, classes, assigned names and imports of one tree. Returns the calls and attributes met on
    the way, so that step 3 need not walk again."""
    base = file_number << 32
    uses = []
    pending = [tree]
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind is list:
            pending += [child for child in node if type(child) not in LEAVES]
            continue
        if kind is ast.Name:
            if type(node.ctx) is ast.Store:
                index.add(index.definitions, node.id, base | node.lineno)
            continue
        if kind in DEFINING:
            index.add(index.definitions, node.name, base | node.lineno)
        elif kind is ast.Attribute or kind is ast.Call and type(node.func) is ast.Name:
            uses.append(node)
        elif kind is ast.Import:
            for alias in node.names:
                index.add(index.imports, alias.name, base | node.lineno)
        elif kind is ast.ImportFrom:
            for alias in node.names:
                index.add(index.imports, f"{node.module or '.'}.{alias.name}", base | node.lineno)
        pending += [child for child in vars(node).values() if type(child) not in LEAVES]
    return uses


def resolve_references(index, file_number, uses):
    """Step 3: records calls and attribute references by name, and whether that name is defined somewhere."""
    base = file_number << 32
    references, definitions = index.references, index.definitions
    for node in uses:
        name = node.attr if type(node) is ast.Attribute else node.func.id
        locations = references.get(name)
        if locations is None:
            locations = references[name] = array("Q")
        locations.append(base | node.lineno)
        if name in definitions:
            index.resolved += 1
        else:
            index.unresolved += 1


def index_batch(index, paths):
    """Indexes one batch; its trees live until this returns."""
    trees = []
    for path in paths:
        tree = parse(path)
        if tree is not None:
            index.files.append(path)
            trees.append((len(index.files) - 1, tree))
    uses = [(number, collect_definitions(index, number, tree)) for number, tree in trees]
    for number, nodes in uses:
        resolve_references(index, number, nodes)


def batches(paths, batch_bytes):
    """Cuts the list of files into runs of about `batch_bytes` of source."""
    batch, size = [], 0
    for path in paths:
        batch.append(path)
        size += os.path.getsize(path)
        if size >= batch_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def status_bytes(field):
    """A field of /proc/self/status that is given in kB, as bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise SystemExit(f"index_stdlib: /proc/self/status has no {field}; this program needs Linux")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Index the sources of the Python standard library.")
    stdlib = sysconfig.get_paths()["stdlib"]
    parser.add_argument("--root", default=stdlib, help="directory to index (default: %(default)s)")
    parser.add_argument("--batch-kib", type=int, default=6144, help="source per batch, KiB (default: %(default)s)")
    parser.add_argument("--limit-files", type=int, metavar="N", help="index the first N files only")
    arguments = parser.parse_args()
    if arguments.batch_kib < 1:
        parser.error("--batch-kib must be at least 1")
    if arguments.limit_files is not None and arguments.limit_files < 1:
        parser.error("--limit-files must be at least 1")
    return arguments


def main():
    arguments = parse_arguments()
    sources = find_sources(arguments.root)[: arguments.limit_files]
    if not sources:
        raise SystemExit(f"index_stdlib: no .py files under {arguments.root}")
    gc.disable()  # trees hold no cycles: reference counts free them all
    index = Index()
    start, start_cpu = time.perf_counter(), time.process_time()
    for paths in batches(sources, arguments.batch_kib * 1024):
        index_batch(index, paths)
    measures = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - start_cpu}
    gc.collect()
    time.sleep(IDLE_SECONDS)
    measures.update(peak_bytes=status_bytes("VmHWM"), after_bytes=status_bytes("VmRSS"))
    result = {"counts": index.counts(), "digest": index.digest(), "measures": measures}
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
