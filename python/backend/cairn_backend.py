# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""cairn_backend: builds the Python package (PEP 517) with what the checkout and the machine have, and no network.

A wheel holds the package of python/cairn, the extension cairn._core, compiled once for all CPython from 3.9 on (abi3),
and in cairn/_native the command and its libraries. Those come from CMake in build/wheel of the checkout, which keeps
them for the next time; or, if $CAIRN_BUILD names a folder that has been built in, from there. Wheels are reproducible:
same sources and tools, same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List, NoReturn, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
NAME = "cairn"
SUMMARY = "A memory manager for CPython: give memory back, see where it is, full collections without the stop"
OLDEST = (3, 9)
TAG = f"cp{OLDEST[0]}{OLDEST[1]}-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
CLASSIFIERS = (
    "Development Status :: 4 - Beta", "Intended Audience :: Developers", "License :: OSI Approved :: MIT License",
    "Operating System :: POSIX :: Linux", "Programming Language :: C", "Programming Language :: Python :: 3",
    "Programming Language :: Python :: Implementation :: CPython", "Topic :: Software Development :: Debuggers",
    "Topic :: System :: Systems Administration", "Typing :: Typed",
)
ENTRY_POINTS = "[console_scripts]\ncairn = cairn.__main__:console_script\n"
DESCRIPTION = ROOT / "docs" / "guide" / "python-package.md"
NATIVE = ("cairn", "libcairn-preload.so", "libcairn-record.so")
NATIVE_TARGETS = ("cairn", "cairn-preload", "cairn-record")
SDIST_FILES = ("CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "LICENSE", "Makefile", "README.md",
               "pyproject.toml")
SDIST_FOLDERS = ("bench", "cmake", "docs", "examples", "include", "python", "scripts", "src", "tools")
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))  # 1980, the first that a zip file can express

Settings = Optional[Dict[str, Any]]
Entry = Tuple[str, bytes, int]  # name in the archive, contents, mode


# ---- the hooks ----


def get_requires_for_build_wheel(config_settings: Settings = None) -> List[str]:
    return []


def get_requires_for_build_sdist(config_settings: Settings = None) -> List[str]:
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    for name, contents, _ in metadata_entries():
        path = Path(metadata_directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
    return info_folder()


def build_wheel(wheel_directory: str, config_settings: Settings = None,
                metadata_directory: Optional[str] = None) -> str:
    check_interpreter()
    entries = [*package_entries(), *native_entries(), *metadata_entries()]
    entries.append(record_entry(entries))
    name = f"{NAME}-{version()}-{TAG}.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for entry in entries:
            add_to_wheel(wheel, entry)
    return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    folder = f"{NAME}-{version()}"
    entries = [*source_entries(), ("PKG-INFO", metadata(), 0o644)]
    with tarfile.open(Path(sdist_directory, folder + ".tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as sdist:
        for name, contents, mode in sorted(entries):
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mode, info.mtime = len(contents), mode, EPOCH
            sdist.addfile(info, io.BytesIO(contents))
    return folder + ".tar.gz"


def fail(line: str) -> NoReturn:
    raise SystemExit(f"cairn: {line}")


# ---- what the package says of itself ----


def version() -> str:
    """The version has one home, include/cairn.h."""
    header = (ROOT / "include" / "cairn.h").read_text(encoding="utf-8")
    found = re.search(r'^#define CAIRN_VERSION_STRING "([0-9.]+)"$', header, re.M)
    if found is None:
        fail("include/cairn.h does not define CAIRN_VERSION_STRING")
    return found[1]


def info_folder() -> str:
    return f"{NAME}-{version()}.dist-info"


def metadata() -> bytes:
    fields = [("Metadata-Version", "2.1"), ("Name", NAME), ("Version", version()), ("Summary", SUMMARY),
              ("Author", "The Cairn authors"), ("License", "MIT"), ("License-File", "LICENSE"),
              ("Requires-Python", ">=" + ".".join(map(str, OLDEST))), ("Platform", "Linux"),
              *(("Classifier", classifier) for classifier in CLASSIFIERS),
              ("Description-Content-Type", "text/markdown")]
    head = "".join(f"{name}: {value}\n" for name, value in fields)
    return (head + "\n" + DESCRIPTION.read_text(encoding="utf-8")).encode()


def metadata_entries() -> List[Entry]:
    wheel = f"Wheel-Version: 1.0\nGenerator: cairn_backend {version()}\nRoot-Is-Purelib: false\nTag: {TAG}\n"
    files = {"METADATA": metadata(), "WHEEL": wheel.encode(), "LICENSE": (ROOT / "LICENSE").read_bytes(),
             "entry_points.txt": ENTRY_POINTS.encode(), "top_level.txt": f"{NAME}\n".encode()}
    return [(f"{info_folder()}/{name}", contents, 0o644) for name, contents in files.items()]


# ---- what is in it ----


def package_entries() -> List[Entry]:
    """The package's sources, its version and the extension."""
    folder = ROOT / "python" / NAME
    entries = [(f"{NAME}/{path.name}", path.read_bytes(), 0o644)
               for path in sorted(folder.iterdir()) if path.suffix in (".py", ".pyi") or path.name == "py.typed"]
    stamp = f'"""Written when the package was built."""\n\n__version__ = "{version()}"\n'
    return [*entries, (f"{NAME}/_version.py", stamp.encode(), 0o644), (f"{NAME}/_core.abi3.so", extension(), 0o755)]


def native_entries() -> List[Entry]:
    build = native_folder()
    return [(f"{NAME}/_native/{name}", stripped(build / name), 0o755) for name in NATIVE]


def source_entries() -> List[Entry]:
    paths = [ROOT / name for name in SDIST_FILES]
    for name in SDIST_FOLDERS:
        paths.extend(path for path in (ROOT / name).rglob("*") if path.is_file())
    unwanted = re.compile(r"/__pycache__/|\.(pyc|so)$")
    return [(path.relative_to(ROOT).as_posix(), path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644)
            for path in paths if not unwanted.search(path.as_posix())]


def record_entry(entries: List[Entry]) -> Entry:
    """RECORD: each file with its hash and size, and itself without."""
    name = f"{info_folder()}/RECORD"
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for path, contents, _ in entries:
        digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).rstrip(b"=").decode()
        rows.writerow((path, f"sha256={digest}", len(contents)))
    rows.writerow((name, "", ""))
    return name, text.getvalue().encode(), 0o644


def add_to_wheel(wheel: zipfile.ZipFile, entry: Entry) -> None:
    name, contents, mode = entry
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(info, contents)


# ---- building ----


def run(*command: str) -> None:
    """Runs a tool; its output is shown by the installer if it fails."""
    if shutil.which(command[0]) is None:
        fail(f"building needs '{command[0]}', which is not installed; in the checkout, scripts/setup build installs "
             "what building needs")
    sys.stdout.flush()
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        fail(f"'{' '.join(command[:3])} ...' failed, see above; in the checkout, scripts/setup build installs what "
             "building needs")


def check_interpreter() -> None:
    if sys.platform != "linux" or sys.implementation.name != "cpython" or sys.version_info < OLDEST:
        fail(f"the package is for CPython {'.'.join(map(str, OLDEST))} and later on Linux; this is "
             f"{sys.implementation.name} {sysconfig.get_python_version()} on {sys.platform}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        fail("a free-threaded Python needs its own allocator for objects, so the package cannot serve it; use a build "
             "with the GIL")


def compiler() -> List[str]:
    return os.environ.get("CC", "cc").split()


def extension() -> bytes:
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        fail(f"{include}/Python.h is missing; install the headers of Python {sysconfig.get_python_version()} "
             "(python3-dev in Debian)")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "_core.abi3.so")
        run(*compiler(), "-std=gnu17", "-O2", "-Wall", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,now",
            f"-I{ROOT / 'include'}", f"-I{include}", str(ROOT / "python" / "core.c"), "-o", str(target), "-ldl")
        return stripped(target)


def native_folder() -> Path:
    """Where the command and its libraries are, built."""
    given = os.environ.get("CAIRN_BUILD")
    if given:
        folder = ROOT / given
        missing = [name for name in NATIVE if not (folder / name).is_file()]
        if missing:
            fail(f"CAIRN_BUILD={given} does not hold {', '.join(missing)}; build there first, or unset it")
        return folder
    build = ROOT / "build" / "wheel"
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", "-S", str(ROOT), "-B", str(build), *generator, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        "-DCAIRN_TESTS=OFF", "--log-level=WARNING")
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
    run("cmake", "--build", str(build), "--parallel", jobs, "--target", *NATIVE_TARGETS)
    return build


def stripped(path: Path) -> bytes:
    """A binary without its debugging information, which would be most of the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        run("strip", "--strip-debug", "-o", str(copy), str(path))
        return copy.read_bytes()
