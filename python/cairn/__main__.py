# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""python -m cairn: the command `cairn`, which comes with the package, for this interpreter's programs.

`python -m cairn run [OPTIONS] app.py` is `cairn run [OPTIONS] -- python app.py` with this very interpreter; what
follows the options is what follows `python`: a script, -m MODULE or -c CODE, with arguments. All else is passed on as
it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import List, NoReturn

NATIVE = Path(__file__).resolve().parent / "_native"

# The options of `cairn run` whose value may be the next word.
TAKES_VALUE = frozenset({
    "--stats-file", "--leaks-file", "--leaks-frames", "--geometry", "--fit", "--pools", "--huge", "--limit",
    "--purge-delay", "--misuse", "--gc", "--gc-floating", "--gc-copied", "--gc-explicit", "--gc-minimum", "--gc-slices", "--gc-trace",
})
ALL_OPTIONS = TAKES_VALUE | {"--stats", "--stats-children", "--leaks", "--no-children", "--no-python", "--help"}


def main(arguments: "List[str] | None" = None, interpreter: bool = False) -> NoReturn:
    """Becomes the command. `interpreter`: what `cairn run` is given is for this interpreter."""
    words = sys.argv[1:] if arguments is None else arguments
    if interpreter and words[:1] == ["run"]:
        words = ["run", *for_interpreter(words[1:])]
    command = NATIVE / "cairn"
    try:
        os.execv(command, ["cairn", *words])
    except OSError as error:
        print(f"cairn: cannot start '{command}': {error.strerror}; install the package again", file=sys.stderr)
        sys.exit(125)


def for_interpreter(words: List[str]) -> List[str]:
    """The words behind `run`, with this interpreter in front of the program's."""
    count = options_length(words)
    options, program = words[:count], words[count:]
    if options[-1:] == ["--"]:
        options.pop()
    return [*options, "--", sys.executable, *program] if program else options


def options_length(words: List[str]) -> int:
    """How many of the words are options of `cairn run`, with their values and the `--` that ends them."""
    at = 0
    while at < len(words) and words[at].startswith("--"):
        if words[at] == "--":
            return at + 1
        at += 2 if "=" not in words[at] and full_name(words[at]) in TAKES_VALUE else 1
    if words[at:at + 1] == ["-h"]:
        at += 1
    return min(at, len(words))


def full_name(word: str) -> str:
    """The option that a word stands for, which may be shortened as long as it is unambiguous."""
    matches = [option for option in ALL_OPTIONS if option.startswith(word)]
    return word if word in ALL_OPTIONS or len(matches) != 1 else matches[0]


def console_script() -> NoReturn:
    """The command `cairn` that pip installs: the very one, which knows nothing of interpreters."""
    main()


if __name__ == "__main__":
    main(interpreter=True)
