"""Processes of their own: what they say, how they end, and what they take."""

from __future__ import annotations

import sys

import pytest

from da3_pipeline.benchmark.fresh_process import ask, run_metered
from da3_pipeline.errors import PipelineError

ANSWERING = """
import json, sys
request = json.loads(sys.stdin.read())
print("something that a library says")
print(json.dumps({"twice": 2 * request["number"]}))
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_request_is_answered_whatever_else_is_printed() -> None:
    assert ask("doubling", python(ANSWERING), {"number": 21}).answer == {"twice": 42}


def test_the_environment_is_added_to_ours() -> None:
    code = "import os; print(os.environ['DA3_TEST_WORD'], bool(os.environ['PATH']))"
    assert run_metered(python(code), environment={"DA3_TEST_WORD": "there"}).stdout.split() == ["there", "True"]


def test_processor_time_is_of_the_child_and_those_it_waits_for() -> None:
    burning = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(30_000_000))'])"
    idle, busy = run_metered(python("pass")), run_metered(python(burning))
    assert busy.cpu_s > 2 * idle.cpu_s


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import sys; print('first', file=sys.stderr); sys.exit('no such camera')", "doubling: no such camera"),
        ("import os; os._exit(7)", "doubling: it ended without a word"),
    ],
)
def test_a_process_that_fails_is_told_by_its_last_word(code: str, word: str) -> None:
    with pytest.raises(PipelineError, match=word):
        ask("doubling", python(code), {})
