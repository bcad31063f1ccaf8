"""What runs on a machine of the cluster, in a process of Ray's: it hands captures to processes of ours."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from da3_pipeline.progress import SilentProgress

from ..processes import WorkerProcess
from ..tasks import Task

__all__ = ["Ended", "have_done", "which_are_here"]

Ended = tuple[Any, int, float, str]
"""What a report holds beside its task: result, exit status, seconds and why."""

_Kept = tuple[WorkerProcess, tuple[str, ...]]
_kept: list[_Kept] = []
"""The process of the capture before, and for what command, GPUs and threads it was started."""


def which_are_here(paths: Sequence[Path]) -> frozenset[int]:
    """The numbers of those that this machine sees."""
    there = set()
    for number, path in enumerate(paths):
        with contextlib.suppress(OSError):
            if path.exists():
                there.add(number)
    return frozenset(there)


def have_done(
    task: Task, command: Sequence[str] | None, limit_s: float | None, environment: Mapping[str, str]
) -> Ended:
    """Have a capture, or a leg of it, done by a process of ours, with `environment` over that of this one.

    Cancelled, it leaves the session in order first.
    """
    began_s = time.monotonic()
    try:
        worker, terms = _process(task, command or (sys.executable, "-m", "da3_workflows"), environment)
    except OSError as error:
        return None, 1, time.monotonic() - began_s, f"could not be started ({error.strerror or error})"
    with _ended_if_interrupted(worker):
        report = worker.work(task, SilentProgress(), limit_s)
    if worker.serves_on:
        _kept.append((worker, terms))
    else:
        worker.close()
    return report.result, report.exit_status, report.seconds, report.why


def _process(task: Task, command: Sequence[str], environment: Mapping[str, str]) -> _Kept:
    """The process of the capture before, where it is alive and of the same terms, or a new one."""
    inherited = dict(os.environ)
    inherited.pop("OMP_NUM_THREADS", None)  # Ray has one of its own
    wanted = {**inherited, **environment}
    terms = (*command, wanted.get("CUDA_VISIBLE_DEVICES", ""), wanted.get("OMP_NUM_THREADS", ""))
    while _kept:
        worker, had = _kept.pop()
        if had == terms and worker.alive:
            return worker, terms
        worker.close()
    return WorkerProcess(command, wanted, task.log), terms


@contextlib.contextmanager
def _ended_if_interrupted(worker: WorkerProcess) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ray cancels by a KeyboardInterrupt
        worker.interrupt()
        worker.close()
        raise
