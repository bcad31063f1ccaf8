"""Where captures run: each in a process of its own, so that one that aborts takes nothing with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from da3_pipeline.progress import Progress, SilentProgress

__all__ = ["Executor", "LocalExecutor", "Report", "Task"]

_GRACE_S = 20.0
"""What an interrupted capture gets to leave its session resumable."""


@dataclass(frozen=True)
class Task:
    """One capture to process. `config` is a PipelineConfig in JSON's terms; `log` receives what its process prints.

    `flags`: `split`, `overwrite` and `verify` of `da3_pipeline.run`, where they are set.
    """

    name: str
    source: Path
    output: Path
    config: Mapping[str, Any]
    log: Path
    flags: Mapping[str, bool] = field(default_factory=dict)

    def as_json(self) -> str:
        task = {"source": str(self.source), "output": str(self.output), "config": dict(self.config), **self.flags}
        return json.dumps(task)


@dataclass(frozen=True)
class Report:
    """How a task ended. `result` is the worker's last word, None where its process died without one."""

    task: Task
    result: Mapping[str, Any] | None
    exit_status: int
    seconds: float


class Executor(Protocol):
    """Runs tasks somewhere."""

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        """Yield a report as each task ends, in any order. Closing the generator interrupts the tasks under way."""


class LocalExecutor:
    """Runs tasks on this machine, `jobs` at a time, each by `command`, which reads a task as JSON and answers in lines.

    The lines are JSON objects: progress ({"begin": stage}, {"step": [done, total, note]}, {"end": summary}), and last
    {"result": {...}}, as `python -m da3_workflows` writes them.
    """

    def __init__(self, jobs: int = 1, command: Sequence[str] = (sys.executable, "-m", "da3_workflows")) -> None:
        self._jobs = jobs
        self._command = list(command)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        self._stopped = False
        pool = ThreadPoolExecutor(self._jobs)
        try:
            # Stages of several captures at once would overwrite each other's line: then captures are what is counted.
            inner = progress if self._jobs == 1 else SilentProgress()
            futures = [pool.submit(self._run_one, task, inner) for task in tasks]
            if self._jobs > 1:
                progress.begin("batch")
            for done, future in enumerate(as_completed(futures), 1):
                report = future.result()
                if self._jobs > 1:
                    progress.step(done, len(tasks), report.task.name)
                yield report
            if self._jobs > 1:
                progress.end(f"{len(tasks)} captures")
        finally:
            self._stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _run_one(self, task: Task, progress: Progress) -> Report:
        started_s = time.monotonic()
        process = self._start(task)
        if process is None:
            return Report(task, None, -signal.SIGINT, 0.0)
        try:
            result = _converse(process, task, progress)
            status = process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
        return Report(task, result, status, time.monotonic() - started_s)

    def _start(self, task: Task) -> subprocess.Popen[str] | None:
        """A process outside the terminal's group: Ctrl-C reaches it once, from `_stop`, and not twice."""
        environment = dict(os.environ)
        if self._jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self._jobs)))
        with self._lock:
            if self._stopped:
                return None
            task.log.parent.mkdir(parents=True, exist_ok=True)
            with open(task.log, "w", encoding="utf-8") as log:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    encoding="utf-8",
                    env=environment,
                    start_new_session=True,
                )
            self._running.add(process)
        return process

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)
        deadline_s = time.monotonic() + _GRACE_S
        for process in running:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def _converse(process: subprocess.Popen[str], task: Task, progress: Progress) -> Mapping[str, Any] | None:
    """Hand the task over, pass progress on, and return the result if one came."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the worker was started without pipes")
    result: Mapping[str, Any] | None = None
    progress.begin(task.name)
    under_way = True
    with process.stdout as answers:
        with (
            contextlib.suppress(BrokenPipeError),
            process.stdin as request,
        ):  # it died at once; its exit status says how
            request.write(task.as_json())
        for line in answers:
            message = _parse(line)
            if "begin" in message:
                under_way = True
                progress.begin(f"{task.name}: {message['begin']}")
            elif "step" in message:
                progress.step(*message["step"])
            elif "end" in message:
                under_way = False
                progress.end(message["end"])
            elif "result" in message:
                result = message["result"]
    if under_way:
        progress.end(str(result["reason"]) if result else "ended before it was finished")
    return result


def _parse(line: str) -> Mapping[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
