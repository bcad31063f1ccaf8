"""Captures as they arrive in a folder, each begun when its upload has stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from da3_pipeline.errors import CaptureError
from da3_pipeline.progress import Progress, SilentProgress
from da3_pipeline.types import Dropped

from .arrivals import Arrivals
from .batch import Batch
from .captures import captures_among
from .records import BatchSummary

__all__ = ["watch"]

_EVERY_S = 2.0
_SHARE = 4.0
"""Looking may take a fifth of the time, however many files there are and however slow their file system."""


def watch(
    captures: Path,
    batch: Batch,
    *,
    settled_s: float = 10.0,
    once: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[BatchSummary]:
    """Run what arrives in `captures` through `batch`, in groups of what has settled; say of each group how it went.

    An entry has settled when nothing about its files has changed for `settled_s` seconds and none has the name of
    an unfinished download. One that changes after it was begun settles again, and is done again. What arrives while
    a group is under way makes the next. Without end, or with `once` until all that has settled is done: the last
    summary then names what has not.

    Raises CaptureError where the folder is not there at first, UsageError and ExportError as the batch does. Later
    a folder that cannot be listed is waited for.
    """
    batch.check(captures)
    arrivals = Arrivals(captures.absolute(), batch.output, settled_s)
    teller = _Teller(progress or SilentProgress())
    began_s: float | None = None
    while True:
        now_s = clock()
        try:
            settled = arrivals.look(now_s)
            teller.tell(arrivals.waiting())
        except CaptureError as error:
            if began_s is None:
                raise
            settled = []
            teller.tell({"": str(error)})
        began_s = now_s if began_s is None else began_s
        if settled:
            found, left_out = captures_among(settled, batch.output)
            yield batch.run(found, left_out, progress)
        elif once and now_s - began_s >= settled_s:
            yield BatchSummary((), tuple(Dropped(*entry) for entry in arrivals.waiting().items()))
            return
        else:
            sleep(max(min(_EVERY_S, settled_s), _SHARE * (clock() - now_s)))


class _Teller:
    """Says what is waited for, each time that this is something else."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._told = progress, dict[str, str]()

    def tell(self, waiting: dict[str, str]) -> None:
        for name, reason in waiting.items():
            if self._told.get(name) != reason:
                self._progress.begin("watch")
                self._progress.end(": ".join(filter(None, (name, reason))))
        self._told = waiting
