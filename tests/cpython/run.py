#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""run.py: CPython's own test-suite, module by module, on stock Python and on Cairn, compared test by test.

    tests/cpython/run.py --smoke                    the representative part (smoke.txt)
    tests/cpython/run.py --jobs 2                   every module
    tests/cpython/run.py --modules test_gc,test_io  these
    tests/cpython/run.py --gc snapshot ...          snapshots do what automatic full collections do, and often
    tests/cpython/run.py --python ~/python3.13 ...  another CPython that ships its test package

Exit code: 0 if every difference is listed in expected-differences.txt, 1 if one is not, 2 for a wrong call. What
stock does is kept in BUILD/cpython-stock-VERSION.json and not run again; --fresh runs it again. With --failures stock
is asked only about modules that are not clean on Cairn, which takes half the time and does not see a test that runs on
stock and is skipped on Cairn. Results go to BUILD/cpython-suite.json, output of every run to BUILD/cpython-suite/. Tests that need the network stay off.

Threads: one worker per job; `Suite.lock` guards the stock cache, the results and the terminal.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import threading

import differences
import module_run

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
RETRIES = 2


class Suite:
    """One run over a list of modules."""

    def __init__(self, arguments, version):
        self.arguments = arguments
        self.version = version
        self.wrapper, self.extra = cairn_command(arguments)
        self.folder = os.path.join(arguments.build, "cpython-suite", f"{version}-{kind_of(arguments)}")
        os.makedirs(self.folder, exist_ok=True)
        self.lock = threading.Lock()
        self.stock_path = os.path.join(arguments.build, f"cpython-stock-{stock_key(arguments)}.json")
        self.stock = {} if arguments.fresh else read_json(self.stock_path)
        self.ignored = ignored_tests()
        self.expected = differences.read_expected(os.path.join(HERE, "expected-differences.txt"), version)
        self.results = {}
        self.done = 0
        self.total = 0

    def attempt(self, module, on_cairn, number):
        side = "cairn" if on_cairn else "stock"
        log = os.path.join(self.folder, f"{module}.{side}.{number}.log")
        return module_run.run_module(
            self.arguments.python, module, self.wrapper if on_cairn else [], self.extra if on_cairn else {},
            self.arguments.timeout, log, self.arguments.use, self.ignored)

    def stock_attempts(self, module, again=False):
        """What stock did, from the cache or by running it; `again` adds another attempt."""
        with self.lock:
            known = list(self.stock.get(module, []))
        if known and not again:
            return known
        known.append(self.attempt(module, False, len(known)))
        with self.lock:
            self.stock[module] = known
            write_json(self.stock_path, self.stock)
        return known

    def run_once(self, module):
        """First attempts of a module on both sides; with --failures, on stock only if Cairn's is not clean."""
        cairn = [] if self.arguments.stock_only else [self.attempt(module, True, 0)]
        clean = self.arguments.failures and cairn and differences.is_clean(cairn[0])
        self.record(module, [] if clean else self.stock_attempts(module), cairn)

    def record(self, module, stock, cairn):
        found, unsteady = differences.compare(module, stock, cairn) if stock and cairn else ([], [])
        with self.lock:
            self.results[module] = {"stock": stock, "cairn": cairn, "differences": found, "unsteady": unsteady}

    def progress(self, module):
        result = self.results[module]
        with self.lock:
            self.done += 1
            line = f"[{self.done:3}/{self.total}] {module:34}"
            for side in ("stock", "cairn"):
                if result[side]:
                    last = result[side][-1]
                    line += f" {side.capitalize()}: {last['state']:14} {last['seconds']:7.1f} s  "
            if result["stock"] and result["cairn"]:
                line += f"{len(result['differences'])} differ" if result["differences"] else "same"
            print(line.rstrip(), flush=True)

    def run(self, modules):
        self.total = len(modules)
        with concurrent.futures.ThreadPoolExecutor(self.arguments.jobs) as pool:
            waiting = {pool.submit(self.run_once, module): module for module in modules}
            for future in concurrent.futures.as_completed(waiting):
                future.result()
                self.progress(waiting[future])
        for module in modules:
            self.settle(module)

    def settle(self, module):
        """Tells a real difference from flakiness: runs a differing module again, alone, on both sides."""
        result = self.results[module]
        for number in range(1, RETRIES + 1):
            if all(difference.subject in self.expected for difference in result["differences"]):
                return
            print(f"again, alone ({number} of {RETRIES}): {module}", flush=True)
            cairn = [*result["cairn"], self.attempt(module, True, number)]
            self.record(module, self.stock_attempts(module, again=True), cairn)
            result = self.results[module]


def cairn_command(arguments):
    """(command in front, extra environment) that puts a program on Cairn."""
    extra = {"CAIRN_GEOMETRY": arguments.geometry} if arguments.geometry else {}
    if arguments.gc == "snapshot":
        extra |= {"CAIRN_GC": "snapshot", "CAIRN_GC_FORCE": str(arguments.gc_force), "CAIRN_GC_SLICES": "1"}
    if arguments.preload:
        return [], extra | {"LD_PRELOAD": os.path.abspath(arguments.preload)}
    return [os.path.join(arguments.build, "cairn"), "run", "--"], extra


def kind_of(arguments):
    """Names what of Cairn is on trial."""
    return (arguments.geometry or "default") + ("-snapshot" if arguments.gc == "snapshot" else "")


def check_in_use(arguments, wrapper, extra):
    """Refuses to go on unless Python under the wrapper really has Cairn's library mapped."""
    library = os.path.basename(arguments.preload or "libcairn-preload.so")
    probe = "print(open('/proc/self/maps').read())"
    environment = module_run.clean_environment() | extra
    found = subprocess.run([*wrapper, arguments.python, "-c", probe], env=environment, capture_output=True, text=True)
    if library not in found.stdout:
        raise SystemExit(f"run.py: {library} is not loaded into {arguments.python}; build first (make), or give --build"
                         f"\n{found.stderr.strip()}")


def check_allocators(arguments, wrapper, extra):
    """Refuses to go on unless Cairn serves Python's object domain: small objects must lie in Cairn's requests."""
    path = os.path.join(arguments.build, "cpython-suite", "probe.json")
    environment = module_run.clean_environment() | extra | {"CAIRN_STATS": "json", "CAIRN_STATS_FILE": path}
    if os.path.exists(path):
        os.remove(path)
    probe = "x = [str(i) + 'x' for i in range(300000)]"
    subprocess.run([*wrapper, arguments.python, "-c", probe], env=environment, check=True)
    requests = sum(heap["requests"] for heap in read_json(path).get("heaps", []))
    if requests < 300000:
        raise SystemExit(f"run.py: Cairn served {requests} requests of a program that makes 300000 strings: "
                         "it is not Python's object allocator")


def check_snapshots(arguments, wrapper, extra):
    """Refuses to go on unless snapshots stand in for full collections."""
    path = os.path.join(arguments.build, "cpython-suite", "probe.json")
    environment = module_run.clean_environment() | extra | {"CAIRN_STATS": "json", "CAIRN_STATS_FILE": path}
    probe = f"x = [[] for _ in range({arguments.gc_force} * 10000)]"
    subprocess.run([*wrapper, arguments.python, "-c", probe], env=environment, check=True)
    snapshots = read_json(path)["python"]["gc"]["snapshots"]["finished"]
    if snapshots < 1:
        raise SystemExit("run.py: no snapshot was taken where some were due")


def python_version(python):
    """'3.11' of an interpreter; exits with 2 if it is not a CPython with a test package."""
    probe = "import sys, test.libregrtest; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run([python, "-c", probe], env=module_run.clean_environment(), capture_output=True,
                               text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        print(f"run.py: {python} cannot run CPython's test-suite: {detail.strip().splitlines()[-1]}", file=sys.stderr)
        print("run.py: on Debian: apt-get install libpython3.11-testsuite", file=sys.stderr)
        raise SystemExit(2) from error
    return found.stdout.strip()


def stock_key(arguments):
    """Names the stock results: version, and a digest of what else they depend on."""
    probe = "import sys; print(sys.version); print(sys.version.split()[0])"
    text = subprocess.run([arguments.python, "-c", probe], env=module_run.clean_environment(), capture_output=True,
                          text=True, check=True).stdout
    version = text.split("\n")[-2]
    parts = [text, os.path.realpath(arguments.python), arguments.use, str(arguments.timeout), *ignored_tests()]
    return version + "-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def suite_modules(python):
    """All modules of the interpreter's suite."""
    found = subprocess.run([python, "-m", "test", "--list-tests"], env=module_run.clean_environment(),
                           capture_output=True, text=True, check=True, cwd="/tmp")
    return found.stdout.split()


def wanted_names(arguments, version, all_modules):
    if not (arguments.modules or arguments.smoke or arguments.versions):
        return all_modules
    if arguments.modules:
        return arguments.modules.split(",")
    smoke = "smoke-snapshot.txt" if arguments.gc == "snapshot" else "smoke.txt"
    return read_list(os.path.join(HERE, smoke if arguments.smoke else "versions.txt"), version)


def choose(names, all_modules):
    """Modules for the names wanted, and names this suite lacks. A name also stands for the parts of a package that
    newer versions list one by one (test.test_asyncio.test_tasks)."""
    chosen, lacking = [], []
    for name in names:
        parts = [m for m in all_modules if m == name or m.startswith((name + ".", "test." + name + "."))]
        chosen += [m for m in parts if m not in chosen]
        if not parts:
            lacking.append(name)
    return chosen, lacking


def read_list(path, version):
    """The names in a list; a name may be followed by the versions it is for."""
    with open(path, encoding="utf-8") as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [row[0] for row in rows if len(row) == 1 or version in row[1].split(",")]


def ignored_tests():
    with open(os.path.join(HERE, "ignored-tests.txt"), encoding="utf-8") as lines:
        return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def write_json(path, value):
    """Writes through a file beside it, so that a reader never sees half."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, default=lambda difference: difference.__dict__)
    os.replace(path + ".new", path)


def report(suite, lacking):
    """Prints the table of differences; returns the number that nobody expected."""
    expected = suite.expected
    found = [d for result in suite.results.values() for d in result["differences"]]
    unlisted = [d for d in found if d.subject not in expected]
    tests = sum(len(result["cairn"][-1]["tests"]) for result in suite.results.values() if result["cairn"])
    print(f"\nPython {suite.version}: {len(suite.results)} modules, {tests} tests on Cairn; {len(found)} differ, "
          f"{len(unlisted)} of them unexpected")
    for name in lacking:
        print(f"  not in this Python's suite: {name}")
    for result in suite.results.values():
        for difference in result["unsteady"]:
            print(f"  unsteady: {difference.text()}")
    for difference in found:
        reason = expected.get(difference.subject)
        print(f"  {'expected' if reason else 'DIFFERS'}: {difference.text()}{f' ({reason})' if reason else ''}")
    report_not_compared(suite)
    report_cairn_lines(suite)
    report_stale(suite, expected, found)
    return len(unlisted)


def report_not_compared(suite):
    """Equal outcomes that say nothing about the module's tests."""
    for module, result in suite.results.items():
        state = result["stock"][-1]["state"] if result["stock"] else "not run"
        if state == "timeout" or differences.is_crash(state):
            print(f"  tests not compared: {module} on stock: {state}")


def report_cairn_lines(suite):
    for module, result in suite.results.items():
        for line in sorted({line for attempt in result["cairn"] for line in attempt["cairn_lines"]}):
            print(f"  said in {module}: {line}")


def report_stale(suite, expected, found):
    """A listed difference that did not show is worth a line: the list should shrink when it can."""
    ran = {subject for module, result in suite.results.items() if result["cairn"]
           for subject in differences.subjects_of(module, result["cairn"])}
    for subject in sorted(expected.keys() & ran - {d.subject for d in found}):
        print(f"  listed as expected, but the same now: {subject}")


def parse_arguments():
    parser = argparse.ArgumentParser(description="CPython's test-suite on stock Python and on Cairn, compared.")
    parser.add_argument("--build", default=os.environ.get("CAIRN_BUILD", os.path.join(REPOSITORY, "build")),
                        help="folder with the cairn command and libcairn-preload.so (default: build)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--modules", help="comma-separated modules")
    which.add_argument("--smoke", action="store_true", help="the modules of smoke.txt")
    which.add_argument("--versions", action="store_true", help="the modules of versions.txt, for other CPythons")
    which.add_argument("--all", action="store_true", help="every module (the default)")
    parser.add_argument("--jobs", type=int, default=1, help="modules at a time (default: 1)")
    parser.add_argument("--python", default="/usr/bin/python3.11", help="the CPython (default: Debian's 3.11)")
    parser.add_argument("--geometry", choices=["classic", "cpython", "default"], help="Cairn's geometry")
    parser.add_argument("--gc", choices=["stock", "snapshot"], default="stock", help="who makes full collections")
    parser.add_argument("--gc-force", type=int, default=10, metavar="N",
                        help="with --gc snapshot: one at every N-th young collection (default: 10)")
    parser.add_argument("--timeout", type=int, default=600, help="seconds per module (default: 600)")
    parser.add_argument("--use", default="", help="resources of the suite to switch on (its -u), such as cpu")
    parser.add_argument("--fresh", action="store_true", help="run stock again instead of taking it from the cache")
    parser.add_argument("--failures", action="store_true", help="run stock only where Cairn's run is not clean")
    parser.add_argument("--stock-only", action="store_true", help="only fill the cache of stock results")
    parser.add_argument("--preload", help="preload this library instead of using `cairn run`")
    arguments = parser.parse_args()
    if arguments.failures and arguments.stock_only:
        parser.error("--failures and --stock-only exclude each other")
    if arguments.jobs < 1 or arguments.timeout < 1 or arguments.gc_force < 1:
        parser.error("--jobs, --timeout and --gc-force must be at least 1")
    if "network" in arguments.use.replace("-network", "") or arguments.use.startswith("all"):
        parser.error("--use: name the resources one by one; those that need the network stay off")
    arguments.build = os.path.abspath(arguments.build)
    return arguments


def main():
    arguments = parse_arguments()
    module_run.prepare_process()
    version = python_version(arguments.python)
    all_modules = suite_modules(arguments.python)
    modules, lacking = choose(wanted_names(arguments, version, all_modules), all_modules)
    if not modules:
        print(f"run.py: this Python's suite has none of: {', '.join(lacking)}", file=sys.stderr)
        return 2
    suite = Suite(arguments, version)
    if not arguments.stock_only:
        check_in_use(arguments, suite.wrapper, suite.extra)
        if not arguments.preload:
            check_allocators(arguments, suite.wrapper, suite.extra)
        if arguments.gc == "snapshot":
            check_snapshots(arguments, suite.wrapper, suite.extra)
    suite.run(modules)
    write_json(os.path.join(arguments.build, f"cpython-suite{'-snapshot' if arguments.gc == 'snapshot' else ''}.json"),
               {"version": version, "geometry": arguments.geometry or "default", "gc": arguments.gc,
                "modules": suite.results})
    return 1 if report(suite, lacking) else 0


if __name__ == "__main__":
    sys.exit(main())
