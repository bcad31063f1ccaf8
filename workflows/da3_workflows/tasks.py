"""What a batch hands to whoever runs captures, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from da3_pipeline.progress import Progress

__all__ = ["PART_DONE", "Executor", "Report", "Task"]

PART_DONE = "part done"
"""The status of a task of which only the first stages were asked for."""


@dataclass(frozen=True)
class Task:
    """One capture to process. `config` is a PipelineConfig in JSON's terms; `log` receives what its process prints.

    `flags`: `split`, `overwrite` and `verify` of `da3_pipeline.run`, where they are set. `through`: the last stage that
    is to be done for now, as in `da3_pipeline.pipeline.advance`; the whole of it where that is empty.
    fetch, store: the URLs of capture and session, where `source` and `output` are copies of them, made where the task
    is done. key: what identifies sources, settings and versions of the stages.
    """

    name: str
    source: Path
    output: Path
    config: Mapping[str, Any]
    log: Path
    flags: Mapping[str, bool] = field(default_factory=dict)
    through: str = ""
    fetch: str = ""
    store: str = ""
    key: str = ""

    def as_json(self) -> str:
        """On one line. Names that are no UTF-8 are escaped, and come back as they were."""
        paths = {"source": str(self.source), "output": str(self.output), "log": str(self.log)}
        return json.dumps({**paths, "config": dict(self.config), **self._how(), **self.flags})

    def _how(self) -> dict[str, str]:
        return {"through": self.through, "fetch": self.fetch, "store": self.store, "key": self.key}


@dataclass(frozen=True)
class Report:
    """How a task ended. `result` is the worker's last word, None where its process died without one.

    why: what the executor knows beside the exit status, such as that it ended the process itself.
    """

    task: Task
    result: Mapping[str, Any] | None
    exit_status: int
    seconds: float
    why: str = ""


class Executor(Protocol):
    """Runs tasks somewhere."""

    def run(self, tasks: Sequence[Task], progress: Progress) -> Generator[Report, None, None]:
        """Yield a report as each task ends, in any order. Closing the generator interrupts the tasks under way."""
