"""Programs in processes of their own, metered from start to end; ours are asked in JSON and answer in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PipelineError

__all__ = ["Finished", "answer_request", "ask", "python_module", "run_metered"]


@dataclass(frozen=True)
class Finished:
    """How a process ended and what it cost, from its start to its end, interpreter and imports included.

    wall_s; cpu_s of all threads, and of the processes that it waited for. What memory it took only it can tell: the
    system counts what its parent held when it was started.
    """

    exit_code: int
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float

    @property
    def last_word(self) -> str:
        return (self.stderr.strip().splitlines() or ["it ended without a word"])[-1]

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON on the last line of stdout: what is printed before does not matter."""
        answer: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return answer


def run_metered(command: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None) -> Finished:
    """Run `command` to its end with `text` on stdin; `environment` is added to this process's own."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(text.encode())
        given.seek(0)
        began_s = time.perf_counter()
        child = subprocess.Popen(
            list(command), stdin=given, stdout=out, stderr=err, env=os.environ | dict(environment or {})
        )
        try:
            _, status, usage = os.wait4(child.pid, 0)  # what this child alone took
        except BaseException:  # whoever is interrupted leaves nothing running
            child.kill()
            raise
        wall_s = time.perf_counter() - began_s
        child.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        said, complained = (file.read().decode(errors="replace") for file in (out, err))
    return Finished(child.returncode, said, complained, wall_s, usage.ru_utime + usage.ru_stime)


def python_module(name: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", name]


def ask(
    what: str, command: Sequence[str], request: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Finished:
    """Run `command` with the request as JSON on stdin; `what` names it where it fails, with its last word.

    Raises PipelineError then.
    """
    finished = run_metered(command, json.dumps(request), environment)
    if finished.exit_code:
        raise PipelineError(f"{what}: {finished.last_word}")
    return finished


def answer_request(compute: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """The other side of `ask`: one request from stdin, its answer on stdout; 2 and a message for refused input."""
    try:
        answer = compute(json.loads(sys.stdin.read()))
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 0
