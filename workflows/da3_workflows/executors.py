"""Where captures run: in processes of their own, so that one that aborts takes nothing with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from da3_pipeline.errors import UsageError
from da3_pipeline.progress import Progress, SilentProgress

from .processes import WorkerProcess
from .tasks import Executor, Report, Task

__all__ = ["LocalExecutor", "executor_named"]

_GRACE_S = 20.0


def executor_named(name: str, jobs: int, limit_s: float | None, address: str | None = None) -> Executor:
    """What `--executor` names: local, or ray, at an address. Raises UsageError for another."""
    if name == "ray":
        from .cluster import RayExecutor

        return RayExecutor(jobs, address=address, limit_s=limit_s)
    if address is not None:
        raise UsageError(f"--ray-address {address}: is for --executor ray; add that")
    if name != "local":
        raise UsageError(f"--executor {name}: is not known; known: local, ray")
    return LocalExecutor(jobs, limit_s=limit_s)


class LocalExecutor:
    """Runs tasks on this machine, `jobs` at a time, in processes that stay for the next capture: importing and loading
    a network is done once. One that dies is replaced. limit_s: seconds that a capture may take.

    `command` is that of a process: see `WorkerProcess`; `python -m da3_workflows` is one.
    """

    def __init__(
        self,
        jobs: int = 1,
        command: Sequence[str] = (sys.executable, "-m", "da3_workflows"),
        *,
        limit_s: float | None = None,
    ) -> None:
        self._jobs = jobs
        self._command = list(command)
        self._limit_s = limit_s
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        self._working: set[WorkerProcess] = set()
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
            while not self._idle.empty():
                self._idle.get().close()

    def _run_one(self, task: Task, progress: Progress) -> Report:
        began_s = time.monotonic()
        try:
            worker = self._taken(task)
        except OSError as error:
            return Report(
                task, None, 1, time.monotonic() - began_s, f"could not be started ({error.strerror or error})"
            )
        if worker is None:
            return Report(task, None, -signal.SIGINT, 0.0)
        try:
            report = worker.work(task, progress, self._limit_s)
        finally:
            with self._lock:
                self._working.discard(worker)
        if worker.serves_on:
            self._idle.put(worker)
        else:
            worker.close()
        return report

    def _taken(self, task: Task) -> WorkerProcess | None:
        """An idle process, or a new one; None once all are stopped."""
        with self._lock:
            if self._stopped:
                return None
            while not self._idle.empty():
                worker = self._idle.get()
                if worker.alive:
                    break
                worker.close()
            else:
                environment = dict(os.environ)
                if self._jobs > 1:
                    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self._jobs)))
                worker = WorkerProcess(self._command, environment, task.log)
            self._working.add(worker)
        return worker

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            working = list(self._working)
        for worker in working:
            worker.interrupt()
        deadline_s = time.monotonic() + _GRACE_S
        for worker in working:
            worker.close(deadline_s - time.monotonic())
