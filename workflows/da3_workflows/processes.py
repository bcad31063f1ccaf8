"""A process that works on captures, one after another, and what happens to it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from da3_pipeline.progress import Progress

from .tasks import Report, Task

__all__ = ["WorkerProcess"]

_GRACE_S = 20.0
"""What an interrupted capture gets to leave its session resumable."""

_LAST_WORDS_S = 2.0
"""What a dead process's pipe gets to be read: a child of it may hold it open for ever."""

_CAPTURES_A_PROCESS = 50
_RESIDENT_MB = 4096.0
"""Captures, and memory between two of them, after which a process makes place for a fresh one: libraries keep what they
were once given (chosen: a process begins at 600 MB)."""


class WorkerProcess:
    """One process, started by `command`, that reads tasks as lines of JSON and answers in lines of JSON.

    Answers are progress ({"begin": stage}, {"step": [done, total, note]}, {"end": summary}) and, last of each task,
    {"result": {...}}. What it reads from is its lifeline, too: it ends when that is closed, as it is when we die.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8") as printed:
            # A session of its own: Ctrl-C in the terminal reaches it once, from `interrupt`, and not twice.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                encoding="utf-8",
                errors="replace",
                env=dict(environment),
                start_new_session=True,
            )
        self.done = 0
        self.resident_mb = 0.0
        self._ended_by_us = ""
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def serves_on(self) -> bool:
        """Whether it may be given another capture."""
        return self.alive and self.done < _CAPTURES_A_PROCESS and self.resident_mb < _RESIDENT_MB

    def work(self, task: Task, progress: Progress, limit_s: float | None = None) -> Report:
        """Hand a task over, pass its progress on, and report how it ended; past `limit_s` seconds it is ended."""
        began_s = time.monotonic()
        self._hand_over(task.as_json())
        shown = _Shown(progress, task.name)
        result = self._result(shown, None if limit_s is None else began_s + limit_s)
        seconds = time.monotonic() - began_s
        self.done += 1
        if result is None:
            self._process.wait()
            self._end_group()
            shown.close("ended before it was finished")
            return Report(task, None, self._process.returncode, seconds, self._ended_by_us)
        self.resident_mb = float(result.get("resident_mb") or 0.0)
        shown.close(str(result.get("reason", "")))
        return Report(task, {k: v for k, v in result.items() if k != "resident_mb"}, 0, seconds)

    def interrupt(self) -> None:
        """Ask it to leave what it has in order, and to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def close(self, grace_s: float = _GRACE_S) -> None:
        """Let it end by itself, and end it and all its children where it does not in time."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, grace_s))
        self._end_group()
        self._process.wait()

    def _hand_over(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it died; its exit status says how
            if self._process.stdin is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def _result(self, shown: _Shown, deadline_s: float | None) -> Mapping[str, Any] | None:
        died_s = None
        while True:
            try:
                line = self._answers.get(timeout=0.2)
            except queue.Empty:
                now_s = time.monotonic()
                if deadline_s is not None and now_s > deadline_s and not self._ended_by_us:
                    self._ended_by_us = "was ended: it took longer than the time limit"
                    self._end_group()
                if not self.alive:
                    died_s = died_s or now_s
                    if now_s - died_s > _LAST_WORDS_S:
                        return None
                continue
            if line is None:
                return None
            message = _parsed(line)
            if isinstance(message.get("result"), dict):
                return dict(message["result"])
            shown.show(message)

    def _listen(self) -> None:
        if self._process.stdout is not None:
            with contextlib.suppress(OSError, ValueError), self._process.stdout as answers:
                for line in answers:
                    self._answers.put(line)
        self._answers.put(None)

    def _end_group(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class _Shown:
    """Passes a worker's messages on, under its capture's name; what is no message is passed over."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name
        self._under_way = True
        progress.begin(name)

    def show(self, message: Mapping[str, Any]) -> None:
        step = message.get("step")
        if isinstance(message.get("begin"), str):
            self._under_way = True
            self._progress.begin(f"{self._name}: {message['begin']}")
        elif isinstance(step, list) and list(map(type, step)) == [int, int, str]:
            self._progress.step(*step)
        elif isinstance(message.get("end"), str):
            self._under_way = False
            self._progress.end(message["end"])

    def close(self, last: str) -> None:
        if self._under_way:
            self._progress.end(last)


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
