"""How a stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

__all__ = ["Progress", "SilentProgress", "TerminalProgress"]


class Progress(Protocol):
    """A listener for stage progress. Implementations must be cheap: `step` is called per frame."""

    def begin(self, stage: str) -> None:
        """A stage starts; later calls to `step` belong to it."""

    def step(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units are finished; `note` says which unit, or of what kind."""

    def end(self, summary: str) -> None:
        """The stage is finished; `summary` is one line for the user."""


class SilentProgress:
    """Says nothing."""

    def begin(self, stage: str) -> None: ...

    def step(self, done: int, total: int, note: str = "") -> None: ...

    def end(self, summary: str) -> None: ...


class TerminalProgress:
    """One line a stage on a text stream: count, rate, remaining time. Redrawn in place on a terminal."""

    def __init__(self, stream: TextIO | None = None, min_interval_s: float = 0.2) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._redraw = self._stream.isatty()
        self._min_interval_s = min_interval_s
        self._stage = ""
        self._started_s = 0.0
        self._phase_started_s = 0.0
        self._last_draw_s = 0.0
        self._last_done = 0

    def begin(self, stage: str) -> None:
        self._stage = stage
        self._started_s = self._phase_started_s = time.monotonic()
        self._last_draw_s = 0.0
        self._last_done = 0

    def step(self, done: int, total: int, note: str = "") -> None:
        now_s = time.monotonic()
        if done < self._last_done:  # the stage moved on to another kind of unit
            self._phase_started_s = now_s
        self._last_done = done
        if not self._redraw or (now_s - self._last_draw_s < self._min_interval_s and done < total):
            return
        self._last_draw_s = now_s
        elapsed_s = now_s - self._phase_started_s
        rate = done / elapsed_s if elapsed_s > 0 else 0.0
        remaining = f", {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
        self._write(f"\r\033[K{self._stage:<8} {done}/{total} {note} ({rate:.1f}/s{remaining})")

    def end(self, summary: str) -> None:
        clear = "\r\033[K" if self._redraw else ""
        self._write(f"{clear}{self._stage:<8} {summary} ({time.monotonic() - self._started_s:.1f} s)\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
