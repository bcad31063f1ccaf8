"""One capture, in a process of its own: the other side of `LocalExecutor`."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from da3_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from da3_pipeline.pipeline import Outcome

__all__ = ["serve"]

_BAD_INPUT, _INTERRUPTED, _OUR_BUG = 2, 130, 1


def serve(task: str, answers: TextIO) -> int:
    """Process the task (JSON: source, output, config), answer in JSON lines, return the process's exit code."""
    try:
        result = _describe(_process(json.loads(task), _PipedProgress(answers)))
    except PipelineError as error:
        _say(answers, {"result": {"status": "failed", "reason": str(error)}})
        return _BAD_INPUT
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        _say(answers, {"result": {"status": "crashed", "reason": f"{type(error).__name__}: {error}"}})
        return _OUR_BUG
    _say(answers, {"result": result})
    return 0


def _process(task: dict[str, Any], progress: _PipedProgress) -> Outcome:
    from da3_pipeline import pipeline
    from da3_pipeline.config import PipelineConfig

    config = PipelineConfig.model_validate(task["config"])
    flags = {name: bool(task.get(name, False)) for name in ("split", "overwrite", "verify")}
    return pipeline.run([Path(task["source"])], Path(task["output"]), config, progress, **flags)


def _describe(outcome: Outcome) -> dict[str, Any]:
    posed = sum(source != "none" for source in outcome.scene.pose_source)
    return {
        "status": "done" if outcome.passed else "below gates",
        "reason": outcome.scene.verdict.summary,
        "frames_posed": posed,
        "frames": len(outcome.scene.frames),
    }


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


class _PipedProgress:
    """Sends progress through the pipe, a few times a second at most."""

    def __init__(self, answers: TextIO, min_interval_s: float = 0.2) -> None:
        self._answers = answers
        self._min_interval_s = min_interval_s
        self._last_s = 0.0

    def begin(self, stage: str) -> None:
        _say(self._answers, {"begin": stage})

    def step(self, done: int, total: int, note: str = "") -> None:
        now_s = time.monotonic()
        if done == total or now_s - self._last_s >= self._min_interval_s:
            self._last_s = now_s
            _say(self._answers, {"step": [done, total, note]})

    def end(self, summary: str) -> None:
        _say(self._answers, {"end": summary})
