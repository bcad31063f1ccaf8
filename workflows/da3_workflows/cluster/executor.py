"""Captures on a cluster: each leg of one a task of Ray, which finds it a machine and another where that one is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from da3_pipeline.event_log import LOG_VARIABLE
from da3_pipeline.progress import Progress

from ..tasks import PART_DONE, Report, Task
from .connection import connected, imported, signals_raised
from .legs import Leg, legs_of
from .node import Ended, have_done, which_are_here
from .placement import Node, homes, nodes_of, shares

__all__ = ["RayExecutor"]

_GRACE_S = 25.0
"""A little more than a capture gets to leave its session resumable."""
_LOOKED_FOR_S = 30.0
_NODES_LOST = 3


class RayExecutor:
    """Runs tasks on Ray: on this machine, or on the cluster at `address` ('auto': the one that this machine is of).

    A machine works on `jobs` captures at once, which share its cores. Where the cluster has GPUs, stages that want one
    get one, shared by `jobs` where there are no more; all others go to any machine and see no GPU. A task names
    folders: sessions must be seen by all machines under the same names, captures by those that are to do them.
    Pictures never go through Ray. A capture runs in a process of its own beside Ray's, which stays for the next;
    `command` and `limit_s` are those of `LocalExecutor`, the limit a leg's. Where a machine or Ray's process is lost,
    the leg is begun elsewhere, and resumes.
    """

    def __init__(
        self,
        jobs: int = 1,
        command: Sequence[str] | None = None,
        *,
        address: str | None = None,
        limit_s: float | None = None,
    ) -> None:
        self._jobs = jobs
        self._command = None if command is None else list(command)
        self._address = address
        self._limit_s = limit_s

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        """As `Executor.run`. Raises MissingExtraError without Ray, UsageError where no cluster answers."""
        ray = imported()
        with signals_raised(), connected(ray, self._address):
            dispatch = _Dispatch(ray, self._jobs, self._command, self._limit_s)
            under_way = dispatch.begin(tasks)
            progress.begin("batch")
            done = 0
            try:
                while under_way:
                    ended, _ = ray.wait(list(under_way), num_returns=1, timeout=1.0)
                    for reference in ended:
                        journey = under_way.pop(reference)
                        report = dispatch.arrived(journey, reference)
                        if report is None:
                            under_way[dispatch.send(journey)] = journey
                            continue
                        done += 1
                        progress.step(done, len(tasks), report.task.name)
                        yield report
                progress.end(f"{len(tasks)} captures")
            finally:
                _cancel(ray, under_way)


@dataclass
class _Journey:
    """A capture on its way: the legs that are left, the machine that it belongs to, what it has taken so far."""

    task: Task
    legs: list[Leg]
    home: str = ""
    seconds: float = 0.0
    began: bool = False


class _Dispatch:
    """Sends legs to machines, and takes what comes back."""

    def __init__(self, ray: Any, jobs: int, command: Sequence[str] | None, limit_s: float | None) -> None:
        self._ray, self._command, self._limit_s = ray, command, limit_s
        self._nodes = nodes_of(ray.nodes())
        self._on_gpu, self._elsewhere = shares(self._nodes, jobs)
        self._has_gpus = any(node.gpus for node in self._nodes)
        self._remote = ray.remote(_leg_done)
        self._threads = os.environ.get("OMP_NUM_THREADS") or (str(int(self._elsewhere.cores)) if jobs > 1 else "")

    def begin(self, tasks: Sequence[Task]) -> dict[Any, _Journey]:
        """By Ray's reference, the captures on their first leg."""
        without = {node.id for node in self._nodes if not node.gpus}
        home_of = homes(self._where(tasks), len(tasks))
        under_way = {}
        for number, task in enumerate(tasks):
            home = home_of.get(number, "")
            # What only a machine without a GPU has is done there from end to end.
            legs = legs_of(task.config, self._has_gpus and (bool(task.fetch) or home not in without))
            journey = _Journey(task, list(legs), home)
            under_way[self.send(journey)] = journey
        return under_way

    def send(self, journey: _Journey) -> Any:
        """Begin the leg that is next."""
        leg = journey.legs[0]
        task = replace(journey.task, through=leg.through)
        if journey.began:
            task = replace(task, flags={**task.flags, "overwrite": False})
        options: dict[str, Any] = dict((self._on_gpu if leg.on_gpu else self._elsewhere).options)
        if journey.home:
            options["scheduling_strategy"] = self._near(journey.home, soft=True)
        asked = self._remote.options(max_retries=_NODES_LOST, **options)
        return asked.remote(task, self._command, self._limit_s, self._environment(leg))

    def _environment(self, leg: Leg) -> dict[str, str]:
        threads = {"OMP_NUM_THREADS": self._threads} if self._threads and not leg.on_gpu else {}
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if self._has_gpus and not leg.on_gpu else {}
        log = {LOG_VARIABLE: os.environ[LOG_VARIABLE]} if LOG_VARIABLE in os.environ else {}
        return {**threads, **hidden, **log}

    def arrived(self, journey: _Journey, reference: Any) -> Report | None:
        """How the capture ended; None where its next leg is to begin."""
        began_s = time.monotonic()
        try:
            at, (result, status, seconds, why) = self._ray.get(reference)
        except Exception as error:  # of Ray's: machine or process lost once too often, or the code is not there
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[-200:]}"
            seconds = journey.seconds + time.monotonic() - began_s
            return Report(journey.task, None, 1, seconds, f"was lost by Ray ({reason})")
        journey.seconds += seconds
        journey.began = True
        journey.legs.pop(0)
        if journey.task.fetch or journey.task.store:
            journey.home = at  # where the copies are
        if journey.legs and result is not None and result.get("status") == PART_DONE:
            return None
        return Report(journey.task, result, status, journey.seconds, why)

    def _where(self, tasks: Sequence[Task]) -> dict[str, frozenset[int]]:
        """By machine, the numbers of the tasks whose sources it has; nothing where there is but one machine."""
        if len(self._nodes) < 2:
            return {}
        look, sources = self._ray.remote(which_are_here), [task.source for task in tasks]
        asked = {
            look.options(num_cpus=0, scheduling_strategy=self._near(node.id, soft=False)).remote(sources): node
            for node in self._nodes
        }
        answered, silent = self._ray.wait(list(asked), num_returns=len(asked), timeout=_LOOKED_FOR_S)
        for reference in silent:
            self._ray.cancel(reference, force=True)
        return dict(self._answers(answered, asked))

    def _answers(self, answered: Sequence[Any], asked: dict[Any, Node]) -> Iterable[tuple[str, frozenset[int]]]:
        for reference in answered:
            try:
                yield asked[reference].id, self._ray.get(reference)
            except self._ray.exceptions.RayError:  # it was lost meanwhile
                continue

    def _near(self, node: str, *, soft: bool) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=soft)


def _leg_done(
    task: Task, command: Sequence[str] | None, limit_s: float | None, environment: Mapping[str, str]
) -> tuple[str, Ended]:
    """On a machine of the cluster: which one it is, and how the leg ended."""
    import ray

    return ray.get_runtime_context().get_node_id(), have_done(task, command, limit_s, environment)


def _cancel(ray: Any, pending: Iterable[Any]) -> None:
    """Interrupt what is under way, as Ctrl-C does, and wait until it has left its sessions in order."""
    references = list(pending)
    for reference in references:
        ray.cancel(reference, force=False)
    if references:
        _, stuck = ray.wait(references, num_returns=len(references), timeout=_GRACE_S)
        for reference in stuck:
            ray.cancel(reference, force=True)
