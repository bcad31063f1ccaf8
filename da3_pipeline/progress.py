"""How a stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from .guard.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "SilentProgress", "TerminalProgress"]

_STAGE_WIDTH, _BAR_WIDTH = 11, 24  # the longest stage's name is georegister
_AFRESH = "\r\033[K"


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
    """Plain lines, one a stage, on a text stream; on a terminal also a bar with count, rate and remaining time."""

    def __init__(self, stream: TextIO | None = None, min_interval_s: float = 0.2) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = _terminal(self._stream)
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
        if self._terminal is None or (now_s - self._last_draw_s < self._min_interval_s and done < total):
            return
        self._last_draw_s = now_s
        note = printable(note)
        elapsed_s = now_s - self._phase_started_s
        rate = done / elapsed_s if elapsed_s > 0 else 0.0
        remaining = f", {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
        self._write(_AFRESH + self._bar(done, total, f"{done}/{total} {note} ({rate:.1f}/s{remaining})"))

    def end(self, summary: str) -> None:
        summary = printable(summary)
        seconds = f"({time.monotonic() - self._started_s:.1f} s)"
        if self._terminal is None:
            self._write(f"{self._stage:<{_STAGE_WIDTH}} {summary} {seconds}\n")
            return
        from rich.text import Text

        parts = ((f"{self._stage:<{_STAGE_WIDTH}} ", "bold green"), f"{summary} ", (seconds, "dim"))
        with self._terminal.capture() as line:
            self._terminal.print(Text.assemble(*parts), soft_wrap=True)
        self._write(_AFRESH + line.get())

    def _bar(self, done: int, total: int, words: str) -> str:
        """One line no wider than the terminal: a wider one would wrap, and could not be drawn over."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        row.add_column(no_wrap=True)
        row.add_column(width=_BAR_WIDTH)
        row.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH)
        row.add_row(Text(f"{self._stage:<{_STAGE_WIDTH}}", style="bold"), bar, Text(words))
        terminal = self._terminal
        if terminal is None:
            return ""
        with terminal.capture() as line:
            terminal.print(row)
        return line.get().rstrip("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _terminal(stream: TextIO) -> Console | None:
    """What draws on the stream, where that is a terminal on which a line can be drawn over."""
    if not stream.isatty():
        return None
    from rich.console import Console

    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    return None if console.is_dumb_terminal else console
