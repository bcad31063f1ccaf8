"""Captures, one after another in a process of their own: the other side of `LocalExecutor`."""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from da3_pipeline.errors import PipelineError, SessionBusyError
from da3_pipeline.event_log import LOG_VARIABLE, EventLog
from da3_pipeline.metering import resident_mb

from .remote import visit
from .tasks import PART_DONE

if TYPE_CHECKING:
    from da3_pipeline.pipeline import Outcome

__all__ = ["serve"]

_INTERRUPTED = 130
_GRACE_S = 20.0
_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ESTALE, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What may be gone when it is tried again: of file systems far away, and of a machine that is full."""


def serve(requests: TextIO, answers: TextIO) -> int:
    """Process tasks (JSON: source, output, log, config) as they come, answer in JSON lines, return an exit code.

    The end of `requests` is the end of whoever asked: what is under way is interrupted then, as by Ctrl-C.
    """
    _hear_interruptions()
    tasks: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(requests, tasks, busy), daemon=True).start()
    try:
        while (line := tasks.get()) is not None:
            busy.set()
            result = _served(json.loads(line), answers)
            busy.clear()  # before it is said: who has heard it may leave
            _say(answers, {"result": result | {"resident_mb": resident_mb()}})
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _hear_interruptions() -> None:
    """Whoever started us may not: a shell's background jobs ignore SIGINT, and Ray's processes block it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _listen(requests: TextIO, tasks: queue.SimpleQueue[str | None], busy: threading.Event) -> None:
    for line in requests:
        tasks.put(line)
    tasks.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(_GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)  # native code does not listen


def _served(task: dict[str, Any], answers: TextIO) -> dict[str, Any]:
    _print_to(Path(task["log"]))
    try:
        with visit(task) as at_hand:
            outcome = _process(task, _PipedProgress(answers))
            if outcome is None:
                at_hand.send(None)
                return {"status": PART_DONE, "reason": ""}
            result = _describe(outcome)
            at_hand.send(result, lambda: [other.result.folder for other in outcome.others])
            return result
    except SessionBusyError as error:
        return {"status": "failed", "reason": str(error), "busy": True}
    except PipelineError as error:
        return {"status": "failed", "reason": str(error)} | _passing(error.__cause__)
    except Exception as error:
        traceback.print_exc()
        return {"status": "crashed", "reason": f"{type(error).__name__}: {error}"} | _passing(error)


def _passing(error: BaseException | None) -> dict[str, bool]:
    """Whether it may be gone when it is tried again."""
    passing = isinstance(error, MemoryError) or getattr(error, "errno", None) in _PASSING
    return {"passing": True} if passing else {}


def _print_to(log: Path) -> None:
    """What this process prints, native libraries included, goes into `log` from here on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _process(task: dict[str, Any], progress: _PipedProgress) -> Outcome | None:
    """None where only the first stages were asked for."""
    from da3_pipeline import pipeline
    from da3_pipeline.config import PipelineConfig

    # Importing COLMAP has set its own answer to SIGTERM, a native stack; ours leaves the session in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = PipelineConfig.model_validate(task["config"])
    flags = {name: bool(task.get(name, False)) for name in ("overwrite", "verify")}
    source, output, told = Path(task["source"]), Path(task["output"]), os.environ.get(LOG_VARIABLE)
    log = EventLog(Path(told) if told else None, output.name)
    with log.warnings():
        heard = log.listening(progress)
        if task.get("through"):
            pipeline.advance([source], output, config, heard, through=task["through"], **flags)
            return None
        return pipeline.run([source], output, config, heard, split=bool(task.get("split", False)), **flags)


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
