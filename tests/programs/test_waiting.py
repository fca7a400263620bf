# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""Memory goes back while a program waits, and the waiting calls behave as without Cairn."""

import pytest

from conftest import REPOSITORY, cairn_environment, clean_environment, execute

CALLS = ["poll", "select", "epoll_wait", "epoll_pwait", "nanosleep", "clock_nanosleep", "clock_nanosleep_until", "usleep"]


@pytest.mark.parametrize("call", CALLS)
def test_memory_goes_back_while_waiting(build, tmp_path, call):
    program = build("waiting.c")
    outcome = execute([program, call], cairn_environment(), tmp_path)
    result, before, after, waited = map(int, outcome.out.split())
    assert outcome.code == 0 and result == 0
    assert before > 60, "the freed blocks must still hold their pages"
    assert after < 20
    assert 500 <= waited < 5000


@pytest.mark.parametrize("call", CALLS)
def test_memory_goes_back_in_an_event_loop_of_short_waits(build, tmp_path, call):
    """Redis, for one, never waits longer than a tenth of a second. Each wait lasts as long as it was asked to."""
    outcome = execute([build("waiting.c"), call, "50"], cairn_environment(), tmp_path)
    result, before, after, waited = map(int, outcome.out.split())
    assert outcome.code == 0 and result == 0
    assert before > 60, "the freed blocks must still hold their pages"
    assert after < 20
    assert 500 <= waited < 5000


def test_nothing_is_purged_before_its_time(build, tmp_path):
    outcome = execute([build("waiting.c"), "poll"], cairn_environment(purge_delay=60000), tmp_path)
    _, before, after, _ = map(int, outcome.out.split())
    assert before > 60 and after > 60


@pytest.mark.parametrize("environment", [clean_environment, cairn_environment])
def test_interrupted_waits(build, tmp_path, environment):
    outcome = execute([build("interrupted.c")], environment(), tmp_path)
    assert outcome.out == "ok\n" and outcome.code == 0


def test_a_signal_during_the_purge_ends_the_wait(build, tmp_path):
    """Between the two parts of a wait that is split, a signal is neither lost nor does it leave a mask behind."""
    outcome = execute([build("window.c", "-rdynamic")], cairn_environment(), tmp_path, timeout=60)
    assert outcome.out == "ok\n" and outcome.code == 0


def test_sets_and_times_of_select(build, tmp_path):
    outcome = execute([build("select_sets.c", "-pthread")], cairn_environment(), tmp_path, timeout=60)
    assert (outcome.code, outcome.out) == (0, "42 0 0\n")


@pytest.mark.parametrize("case", ["made", "shared", "freed"])
def test_nothing_stays_of_threads_that_ended(programs, build, case):
    """No trim, and the main thread waits all the time for the others' ends: what they free of its blocks, and what is
    freed while they end, is not left in its inbox. Before, 26,000 to 119,000 blocks (made) and 1,000 to 1,600 pools
    (freed). A few blocks are those of the C library."""
    outcome = programs.cairn([build("ended_threads.c", f"-I{REPOSITORY}/include", "-ldl"), case])
    assert (outcome.code, outcome.err) == (0, "")
    blocks, pools, resident = map(int, outcome.out.split())
    assert blocks <= 100 and pools <= 100 and resident <= 2 << 20
